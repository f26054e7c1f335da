/* tool_dump: shows what the readers make of data files, for tests/py.
 *   tool_dump FILE OUT [LAYER]   frames as JSON on stdout; OUT gets n_rows, n_cols, nnz (int64), indptr (int64),
 *                                indices (int32), values (float32)
 *   tool_dump --check            for each path on stdin one line: status, tab, path, tab, message
 *   tool_dump --no-memory FILE   fails each allocation in turn; prints how many there are */
#include "io/dataset.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void print_log(void *arg, iso_log_level level, const char *msg, double fraction, double eta_s)
{
    (void)arg, (void)level, (void)fraction, (void)eta_s;
    fprintf(stderr, "%s\n", msg);
}

static void print_text(const char *s)
{
    if (!s) {
        fputs("null", stdout);
        return;
    }
    putchar('"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') printf("\\%c", c);
        else if (c < 32) printf("\\u%04x", c);
        else putchar(c);
    }
    putchar('"');
}

static void print_value(const iso_column *c, int64_t i)
{
    if (c->mask && c->mask[i]) fputs("null", stdout);
    else if (c->codes) printf("%d", (int)c->codes[i]);
    else if (c->strings) print_text(c->strings[i]);
    else if (c->ints) printf("%" PRId64, c->ints[i]);
    else if (c->bools) fputs(c->bools[i] ? "true" : "false", stdout);
    else if (isnan(c->reals[i])) fputs("NaN", stdout);
    else if (isinf(c->reals[i])) fputs(c->reals[i] > 0 ? "Infinity" : "-Infinity", stdout);
    else printf("%.17g", c->reals[i]);
}

static void print_texts(char *const *s, int64_t n)
{
    putchar('[');
    for (int64_t i = 0; i < n; i++) {
        if (i) putchar(',');
        print_text(s[i]);
    }
    putchar(']');
}

static void print_frame(const iso_frame *f)
{
    static const char *const kinds[] = {"category", "string", "int", "real", "bool"};
    fputs("{\"index_name\":", stdout);
    print_text(f->index_name);
    fputs(",\"index\":", stdout);
    print_texts(f->index, f->n_rows);
    fputs(",\"columns\":[", stdout);
    for (int k = 0; k < f->n_columns; k++) {
        const iso_column *c = &f->columns[k];
        printf("%s{\"name\":", k ? "," : "");
        print_text(c->name);
        printf(",\"kind\":\"%s\",\"ordered\":%s,\"categories\":", kinds[c->kind], c->ordered ? "true" : "false");
        print_texts(c->categories, c->n_categories);
        fputs(",\"values\":[", stdout);
        for (int64_t i = 0; i < f->n_rows; i++) {
            if (i) putchar(',');
            print_value(c, i);
        }
        fputs("]}", stdout);
    }
    fputs("]}", stdout);
}

static bool write_matrix(const char *path, const iso_csr *m)
{
    const int64_t head[3] = {m->n_rows, m->n_cols, m->nnz};
    FILE *f = fopen(path, "wb");
    if (!f) return false;
    bool good = fwrite(head, sizeof *head, 3, f) == 3 &&
                fwrite(m->indptr, sizeof *m->indptr, (size_t)m->n_rows + 1, f) == (size_t)m->n_rows + 1 &&
                fwrite(m->indices, sizeof *m->indices, (size_t)m->nnz, f) == (size_t)m->nnz &&
                fwrite(m->values, sizeof *m->values, (size_t)m->nnz, f) == (size_t)m->nnz;
    return fclose(f) == 0 && good;
}

static int check_all(iso_env *env)
{
    char path[4096];
    while (fgets(path, sizeof path, stdin)) {
        path[strcspn(path, "\n")] = 0;
        iso_error err = {0};
        iso_dataset *d = NULL;
        iso_status st = iso_dataset_open(env, path, NULL, &d, &err);
        printf("%d\t%s\t%s\n", (int)st, path, st == ISO_OK ? d->source : err.msg);
        fflush(stdout);
        iso_dataset_free(d);
    }
    return 0;
}

static int fail_each_allocation(iso_env *env, const char *path)
{
    for (int64_t k = 1;; k++) {
        iso_error err = {0};
        iso_dataset *d = NULL;
        iso_alloc_fail_at(k);
        iso_status st = iso_dataset_open(env, path, NULL, &d, &err);
        iso_alloc_fail_at(0);
        iso_dataset_free(d);
        if (st == ISO_EMEMORY) continue;
        printf("%" PRId64 "\n", k - 1);
        if (st != ISO_OK) fprintf(stderr, "%s\n", err.msg);
        return st;
    }
}

int main(int argc, char **argv)
{
    iso_error err = {0};
    iso_dataset *d = NULL;
    iso_env *env = iso_env_new(1);
    int code = ISO_OK;
    if (!env || argc < 2) return ISO_EUSAGE;
    if (!strcmp(argv[1], "--check")) {
        code = check_all(env);
    } else if (argc == 3 && !strcmp(argv[1], "--no-memory")) {
        code = fail_each_allocation(env, argv[2]);
    } else if (argc >= 3) {
        iso_env_set_log(env, print_log, NULL);
        code = iso_dataset_open(env, argv[1], argc > 3 ? argv[3] : NULL, &d, &err);
        if (code != ISO_OK) fprintf(stderr, "%s\n", err.msg);
        else {
            printf("{\"format\":\"%s\",\"source\":\"%s\",\"obs\":", d->format, d->source);
            print_frame(&d->obs);
            fputs(",\"var\":", stdout);
            print_frame(&d->var);
            fputs("}\n", stdout);
            if (!write_matrix(argv[2], &d->x)) code = ISO_EIO;
        }
    }
    iso_dataset_free(d);
    iso_env_free(env);
    return code;
}
