/* rules_file.c: see rules_file.h. */
#include "rules_file.h"

#include "io/tensors.h"
#include "text_out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_LINE = 4096 };

static int32_t gene_named(const iso_model *m, const char *name)
{
    for (int64_t g = 0; g < m->n_genes; g++)
        if (strcmp(m->genes[g], name) == 0) return (int32_t)g;
    return -1;
}

/* Cuts the field at *rest off at its tab; *rest becomes what follows. */
static char *next_field(char **rest)
{
    char *field = *rest, *tab = strchr(field, '\t');
    *rest = tab ? tab + 1 : field + strlen(field);
    if (tab) *tab = 0;
    return field;
}

static iso_status parse_line(const char *path, int line, char *text, const iso_model *m, iso_rule *rule, iso_error *err)
{
    char *rest = text, *name[] = {next_field(&rest), NULL}, *source;
    name[1] = next_field(&rest);
    source = next_field(&rest);
    *rule = (iso_rule){.learned = strcmp(source, "learned") == 0};
    for (int k = 0; k < 2; k++) {
        rule->gene[k] = gene_named(m, name[k]);
        if (rule->gene[k] < 0)
            return iso_fail(err, ISO_EDATA, "%s, line %d: the model has no gene \"%.100s\"; a line names two genes, with a tab between them", path,
                            line, name[k]);
    }
    if (rule->gene[0] == rule->gene[1]) return iso_fail(err, ISO_EDATA, "%s, line %d: \"%.100s\" cannot exclude itself", path, line, name[0]);
    for (int k = 0; k < 2; k++) rule->with[k] = strtoll(next_field(&rest), NULL, 10);
    rule->together = strtoll(next_field(&rest), NULL, 10);
    rule->expected = strtod(next_field(&rest), NULL);
    rule->p = strtod(next_field(&rest), NULL);
    return ISO_OK;
}

iso_status iso_rules_read(const char *path, const iso_model *m, bool missing_ok, iso_rules *r, iso_error *err)
{
    iso_status st = ISO_OK;
    char text[LONGEST_LINE];
    FILE *f = fopen(path, "r");
    if (!f && missing_ok && errno == ENOENT) return ISO_OK;
    FAIL_IF(!f, ISO_EIO, "%s: %s", path, strerror(errno));
    for (int line = 1; fgets(text, sizeof text, f); line++) {
        size_t length = strcspn(text, "\r\n");
        FAIL_IF(length + 1 == sizeof text, ISO_EDATA, "%s, line %d: longer than %d characters", path, line, LONGEST_LINE - 2);
        text[length] = 0;
        if (length == 0 || text[0] == '#') continue;
        iso_rule *more = iso_realloc(r->rule, r->n, r->n + 1, sizeof *more);
        FAIL_IF(!more, ISO_EMEMORY, "out of memory");
        r->rule = more;
        TRY(parse_line(path, line, text, m, &r->rule[r->n], err));
        r->n++;
    }
    FAIL_IF(ferror(f), ISO_EIO, "%s: cannot be read", path);
done:
    if (f) fclose(f);
    return st;
}

iso_status iso_rules_write(const char *path, const iso_model *m, const iso_rules *r, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_out out = {0};
    TRY(iso_out_open(path, &out, err));
    FILE *f = out.file;
    fputs("# Genes that exclude each other: voids, path and explore call a place that has both \"contradicts a rule\".\n"
          "# Add your own: two genes with a tab between them.\n"
          "# gene\tgene\tsource\tcells with the first\twith the second\twith both\texpected\tp\n", f);
    for (int i = 0; i < r->n; i++) {
        const iso_rule *rule = &r->rule[i];
        iso_put_name(f, m->genes[rule->gene[0]]);
        putc('\t', f);
        iso_put_name(f, m->genes[rule->gene[1]]);
        fprintf(f, "\t%s\t%lld\t%lld\t%lld\t%.1f\t%.3g\n", rule->learned ? "learned" : "user", (long long)rule->with[0], (long long)rule->with[1],
                (long long)rule->together, rule->expected, rule->p);
    }
    TRY(iso_out_commit(&out, err));
done:
    iso_out_discard(&out);
    return st;
}
