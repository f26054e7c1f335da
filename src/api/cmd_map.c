/* cmd_map.c: `map RUN`: the groups of a run, or its continents, as a table: how large, where, how supported, and which genes mark them in the
 * counts and in what the model decodes. */
#include "atlas.h"
#include "commands.h"
#include "run_counts.h"
#include "run_place.h"
#include "text_out.h"

#include <math.h>
#include <string.h>

enum { MARKERS = 5 };

typedef struct table {
    iso_run_cells run;
    iso_groups groups;
    iso_judge judge;
    iso_csr counts;               /* n_cols 0: not at hand */
    float *z, *decoded;           /* [groups, n_latent] prototypes, [groups, G] what they decode to */
    int64_t *nearest;             /* [groups] */
    iso_place *places;            /* [groups] */
    double *observed, *effect;    /* [groups, G]; observed NULL: no counts */
} table;

static void table_clear(table *t)
{
    iso_free(t->z);
    iso_free(t->decoded);
    iso_free(t->nearest);
    iso_free(t->places);
    iso_free(t->observed);
    iso_free(t->effect);
    iso_csr_clear(&t->counts);
    iso_judge_clear(&t->judge);
    iso_groups_clear(&t->groups);
    iso_run_close(&t->run);
}

/* log2 ratio of a prototype's share of a gene to the mean share of the others', a count per 100,000 added; a difference for Gaussian means. */
static void contrast_prototypes(table *t)
{
    int64_t G = t->run.model->n_genes;
    bool counts = t->run.model->v.c.likelihood->counts;
    for (int64_t g = 0; g < G; g++) {
        double sum = 0;
        for (int32_t k = 0; k < t->groups.n; k++) sum += (double)t->decoded[k * G + g];
        for (int32_t k = 0; k < t->groups.n; k++) {
            double own = (double)t->decoded[k * G + g], rest = t->groups.n > 1 ? (sum - own) / (double)(t->groups.n - 1) : own;
            t->effect[k * G + g] = counts ? log2((own + 1e-5) / (rest + 1e-5)) : own - rest;
        }
    }
}

static iso_status gather(iso_env *env, const iso_options *o, table *t, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_groups *g = &t->groups;
    TRY(iso_run_open(env, o, &t->run, err));
    int64_t L = t->run.model->v.c.n_latent, G = t->run.model->n_genes;
    const char *key = iso_opt_text(o, "key");
    if (!iso_options_given(o, "key") && iso_frame_column(&t->run.obs, "continent")) key = "continent";
    TRY(iso_run_groups(&t->run, key, &t->groups, err));
    TRY(iso_run_judge(env, &t->run, o, &t->judge, err));
    ALLOC(t->z, g->n * L, sizeof *t->z);
    ALLOC(t->nearest, g->n, sizeof *t->nearest);
    ALLOC(t->places, g->n, sizeof *t->places);
    ALLOC(t->decoded, g->n * G, sizeof *t->decoded);
    ALLOC(t->effect, g->n * G, sizeof *t->effect);
    TRY(iso_run_prototypes(env, &t->run, g, t->z, t->nearest, err));
    TRY(iso_run_judge_places(env, &t->run, &t->judge, t->z, g->n, t->places, err));
    TRY(iso_decode(env, &t->run.model->v, t->z, g->n, NULL, t->decoded, NULL, NULL, err));
    contrast_prototypes(t);
    TRY(iso_run_counts(env, &t->run, o, "markers are those that the model decodes alone", &t->counts, err));
    if (t->counts.n_cols == 0) goto done;
    ALLOC(t->observed, g->n * G, sizeof *t->observed);
    TRY(iso_gene_contrasts(&t->counts, g->codes, g->n, t->observed, err));
done:
    return st;
}

/* "Klf1 2.1, Car2 1.9": the genes with the largest effects [G]. */
static void put_markers(FILE *f, const table *t, const double *effect)
{
    int64_t G = t->run.model->n_genes, best[MARKERS];
    int n = 0;
    for (int64_t g = 0; g < G; g++) {
        if (!(effect[g] > 0) || (n == MARKERS && effect[g] <= effect[best[n - 1]])) continue;
        int at = n < MARKERS ? n++ : MARKERS - 1;
        for (; at > 0 && effect[best[at - 1]] < effect[g]; at--) best[at] = best[at - 1];
        best[at] = g;
    }
    for (int i = 0; i < n; i++) {
        if (i) fputs(", ", f);
        iso_put_name(f, t->run.model->genes[best[i]]);
        fprintf(f, " %.2f", effect[best[i]]);
    }
}

iso_status iso_cmd_map(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    table t = {0};
    iso_text_out out = {0};
    (void)command_line;
    TRY(iso_text_open(o, &out, err));
    TRY(gather(env, o, &t, err));
    fprintf(out.file, "group\tcells\tnearest_cell\tlog_density\tp_value\tclass\tmarkers_observed\tmarkers_decoded\n");
    int64_t G = t.run.model->n_genes;
    for (int32_t k = 0; k < t.groups.n; k++) {
        if (t.groups.sizes[k] == 0) continue;
        iso_put_name(out.file, t.groups.names[k]);
        fprintf(out.file, "\t%lld\t", (long long)t.groups.sizes[k]);
        iso_put_name(out.file, t.run.obs.index[t.nearest[k]]);
        fprintf(out.file, "\t%.4f\t%.6g\t%s\t", t.places[k].log_density, t.places[k].p_value, iso_place_names[t.places[k].is]);
        if (t.observed) put_markers(out.file, &t, t.observed + k * G);
        putc('\t', out.file);
        put_markers(out.file, &t, t.effect + k * G);
        putc('\n', out.file);
    }
    TRY(iso_text_commit(&out, err));
done:
    iso_text_discard(&out);
    table_clear(&t);
    return st;
}
