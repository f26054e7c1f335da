/* tool_images: shows what the image readers make of files, for tests/py.
 *   tool_images PATH OUT [LABELS]   an npz OUT of the set: images, name, channel_names, columns
 *   tool_images --check             for each path on stdin one line: status, tab, path, tab, message
 *   tool_images --no-memory PATH    fails each allocation in turn; prints how many there are */
#include "io/npz_write.h"

#include <inttypes.h>
#include <string.h>

static void print_log(void *arg, iso_log_level level, const char *msg, double fraction, double eta_s)
{
    (void)arg, (void)level, (void)fraction, (void)eta_s;
    fprintf(stderr, "%s\n", msg);
}

static iso_status write_set(const iso_images *im, const char *path, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_npz *z = NULL;
    const int64_t shape[4] = {im->n, im->channels, im->height, im->width};
    TRY(iso_npz_create(path, &z, err));
    TRY(iso_npz_pixels(z, "images", im->kind, 4, shape, im->pixels, err));
    TRY(iso_npz_texts(z, "name", im->n, im->obs.index, err));
    TRY(iso_npz_texts(z, "channel_names", im->channels, im->channel_names, err));
    for (int k = 0; k < im->obs.n_columns; k++) TRY(iso_npz_column(z, &im->obs.columns[k], im->n, err));
    TRY(iso_npz_commit(z, err));
done:
    iso_npz_free(z);
    return st;
}

static int check_all(iso_env *env)
{
    char path[4096];
    while (fgets(path, sizeof path, stdin)) {
        path[strcspn(path, "\n")] = 0;
        iso_error err = {0};
        iso_images im;
        iso_status st = iso_images_open(env, path, NULL, &im, &err);
        printf("%d\t%s\t%s\n", (int)st, path, err.msg);
        fflush(stdout);
        iso_images_clear(&im);
    }
    return 0;
}

static int fail_each_allocation(iso_env *env, const char *path)
{
    for (int64_t k = 1;; k++) {
        iso_error err = {0};
        iso_images im;
        iso_alloc_fail_at(k);
        iso_status st = iso_images_open(env, path, NULL, &im, &err);
        iso_alloc_fail_at(0);
        iso_images_clear(&im);
        if (st == ISO_EMEMORY) continue;
        printf("%" PRId64 "\n", k - 1);
        if (st != ISO_OK) fprintf(stderr, "%s\n", err.msg);
        return st;
    }
}

int main(int argc, char **argv)
{
    iso_error err = {0};
    iso_images im = {0};
    iso_env *env = iso_env_new(1);
    int code = ISO_OK;
    if (!env || argc < 2) return ISO_EUSAGE;
    if (!strcmp(argv[1], "--check")) {
        code = check_all(env);
    } else if (argc == 3 && !strcmp(argv[1], "--no-memory")) {
        code = fail_each_allocation(env, argv[2]);
    } else if (argc >= 3) {
        iso_env_set_log(env, print_log, NULL);
        code = iso_images_open(env, argv[1], argc > 3 ? argv[3] : NULL, &im, &err);
        if (code == ISO_OK) code = write_set(&im, argv[2], &err);
        if (code != ISO_OK) fprintf(stderr, "%s\n", err.msg);
    }
    iso_images_clear(&im);
    iso_env_free(env);
    return code;
}
