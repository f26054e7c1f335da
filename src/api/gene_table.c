/* gene_table.c: decoded points of the latent space as text, one line a gene. */
#include "gene_table.h"

#include "text_out.h"

/* A line a gene, a column a place: values [n, genes]. */
static void put_table(FILE *f, const iso_model *m, const char *const *headings, const float *values, int64_t n)
{
    fputs("gene", f);
    for (int64_t k = 0; k < n; k++) {
        putc('\t', f);
        iso_put_name(f, headings[k]);
    }
    putc('\n', f);
    for (int64_t g = 0; g < m->n_genes; g++) {
        iso_put_name(f, m->genes[g]);
        for (int64_t k = 0; k < n; k++) fprintf(f, "\t%.6g", (double)values[k * m->n_genes + g]);
        putc('\n', f);
    }
}

iso_status iso_gene_table(iso_env *env, iso_model *m, const float *z, int64_t n, const char *const *headings,
                          const iso_options *o, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_text_out t = {0};
    float *expression = NULL;
    TRY(iso_text_open(o, &t, err));
    ALLOC(expression, n * m->n_genes, sizeof *expression);
    TRY(iso_decode(env, &m->v, z, n, NULL, expression, NULL, NULL, err));
    put_table(t.file, m, headings, expression, n);
    TRY(iso_text_commit(&t, err));
done:
    iso_text_discard(&t);
    iso_free(expression);
    return st;
}

iso_status iso_spread_table(iso_env *env, const iso_run_cells *r, const float *z, int64_t n, const char *const *headings, const char *path,
                            iso_error *err)
{
    iso_status st = ISO_OK;
    iso_out out = {0};
    int64_t G = r->model->n_genes;
    float *expression = NULL, *spread = NULL;
    double *mean = NULL;
    FAIL_IF(r->heads.n == 0, ISO_EUSAGE, "%s has one decoder alone, whose spread is not known; fit it with --n-heads 3", r->folder);
    TRY(iso_out_open(path, &out, err));
    ALLOC(expression, n * G, sizeof *expression);
    ALLOC(spread, n * G, sizeof *spread);
    ALLOC(mean, n, sizeof *mean);
    TRY(iso_decode(env, &r->model->v, z, n, NULL, expression, NULL, NULL, err));
    TRY(iso_heads_spread(env, r->model, &r->heads, z, expression, n, spread, mean, err));
    put_table(out.file, r->model, headings, spread, n);
    TRY(iso_out_commit(&out, err));
done:
    iso_out_discard(&out);
    iso_free(expression);
    iso_free(spread);
    iso_free(mean);
    return st;
}
