/* gene_table.c: decoded points of the latent space as text, one line a gene. */
#include "gene_table.h"

#include "text_out.h"

iso_status iso_gene_table(iso_env *env, iso_model *m, const float *z, int64_t n, const char *const *headings,
                          const iso_options *o, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_text_out t = {0};
    float *expression = NULL;
    int64_t G = m->n_genes;
    TRY(iso_text_open(o, &t, err));
    ALLOC(expression, n * G, sizeof *expression);
    TRY(iso_decode(env, &m->v, z, n, NULL, expression, NULL, NULL, err));
    fputs("gene", t.file);
    for (int64_t k = 0; k < n; k++) {
        putc('\t', t.file);
        iso_put_name(t.file, headings[k]);
    }
    putc('\n', t.file);
    for (int64_t g = 0; g < G; g++) {
        iso_put_name(t.file, m->genes[g]);
        for (int64_t k = 0; k < n; k++) fprintf(t.file, "\t%.6g", (double)expression[k * G + g]);
        putc('\n', t.file);
    }
    TRY(iso_text_commit(&t, err));
done:
    iso_text_discard(&t);
    iso_free(expression);
    return st;
}
