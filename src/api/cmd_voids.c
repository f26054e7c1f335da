/* cmd_voids.c: `voids RUN`: which notable places of a latent space lie where no cells are: the prior's samples, the
 * origin, each group's mean, and what lies halfway between two groups. */
#include "cells_in.h"
#include "commands.h"
#include "generate.h"
#include "support.h"
#include "text_out.h"

#include <string.h>

enum { PRIOR_SAMPLES = 4000, MOST_GROUPS = 60 };

typedef struct places {
    int64_t n, L;
    float *z;                             /* [n, L] */
    const char **what, **name, **other;   /* [n]; other NULL except between two groups */
} places;

static void add(places *p, const char *what, const char *name, const char *other, const float *a, const float *b)
{
    for (int64_t k = 0; k < p->L; k++) p->z[p->n * p->L + k] = a ? b ? (a[k] + b[k]) / 2 : a[k] : 0;
    p->what[p->n] = what, p->name[p->n] = name, p->other[p->n++] = other;
}

/* The origin, the groups' means, the points halfway between two of them. */
static iso_status list_places(const iso_groups *g, int64_t L, places *p, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t most = 1 + g->n + (int64_t)MOST_GROUPS * (MOST_GROUPS - 1) / 2, groups = g->n < MOST_GROUPS ? g->n : MOST_GROUPS;
    p->L = L;
    ALLOC(p->z, most * L, sizeof *p->z);
    ALLOC(p->what, most, sizeof *p->what);
    ALLOC(p->name, most, sizeof *p->name);
    ALLOC(p->other, most, sizeof *p->other);
    add(p, "origin", "z = 0", NULL, NULL, NULL);
    for (int32_t k = 0; k < g->n; k++)
        if (g->sizes[k]) add(p, "group", g->names[k], NULL, g->means + k * L, NULL);
    for (int32_t k = 0; k < groups; k++)
        for (int32_t j = k + 1; j < groups; j++)
            if (g->sizes[k] && g->sizes[j]) add(p, "halfway", g->names[k], g->names[j], g->means + k * L, g->means + j * L);
done:
    return st;
}

/* Shares of samples of the prior whose p-value is at most 5 % and 1 %. */
static iso_status prior_in_voids(iso_env *env, const iso_support *s, int64_t L, uint64_t seed, double *share, iso_error *err)
{
    iso_status st = ISO_OK;
    float *z = NULL;
    double *log_q = NULL;
    ALLOC(z, PRIOR_SAMPLES * L, sizeof *z);
    ALLOC(log_q, PRIOR_SAMPLES, sizeof *log_q);
    iso_draw_prior(PRIOR_SAMPLES, (int)L, seed, z);
    TRY(iso_density_log(env, &s->density, z, PRIOR_SAMPLES, NULL, log_q, err));
    share[0] = share[1] = 0;
    for (int i = 0; i < PRIOR_SAMPLES; i++) {
        double p = iso_support_p(s, -1, log_q[i]);
        share[0] += (p <= 0.05) / (double)PRIOR_SAMPLES, share[1] += (p <= 0.01) / (double)PRIOR_SAMPLES;
    }
done:
    iso_free(z);
    iso_free(log_q);
    return st;
}

iso_status iso_cmd_voids(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_run_cells r = {0};
    iso_groups g = {0};
    iso_support s = {0};
    iso_text_out t = {0};
    places p = {0};
    double *log_q = NULL, share[2] = {0};
    (void)command_line;
    TRY(iso_text_open(o, &t, err));
    TRY(iso_run_open(env, o, &r, err));
    TRY(iso_run_groups(&r, iso_opt_text(o, "key"), &g, err));
    TRY(iso_support_new(env, &r, &s, err));
    int64_t L = r.model->v.c.n_latent;
    TRY(prior_in_voids(env, &s, L, (uint64_t)iso_opt_int(o, "seed"), share, err));
    TRY(list_places(&g, L, &p, err));
    ALLOC(log_q, p.n, sizeof *log_q);
    TRY(iso_density_log(env, &s.density, p.z, p.n, NULL, log_q, err));
    fprintf(t.file, "# void: fewer than 5 %% of %lld %s cells lie at so low a density; never observed in these data\n",
            (long long)s.n[s.n_batches], s.held_out ? "held-out" : "training");
    fprintf(t.file, "# samples of the prior in voids: %.3f (5 %%), %.3f (1 %%)\n", share[0], share[1]);
    fprintf(t.file, "place\tname\tother\tlog_density\tp_value\tvoid\n");
    for (int64_t i = 0; i < p.n; i++) {
        double chance = iso_support_p(&s, -1, log_q[i]);
        fprintf(t.file, "%s\t", p.what[i]);
        iso_put_name(t.file, p.name[i]);
        putc('\t', t.file);
        if (p.other[i]) iso_put_name(t.file, p.other[i]);
        fprintf(t.file, "\t%.4f\t%.6g\t%s\n", log_q[i], chance, chance <= 0.05 ? "yes" : "no");
    }
    TRY(iso_text_commit(&t, err));
done:
    iso_text_discard(&t);
    iso_free(p.z);
    iso_free(p.what);
    iso_free(p.name);
    iso_free(p.other);
    iso_free(log_q);
    iso_support_clear(&s);
    iso_groups_clear(&g);
    iso_run_close(&r);
    return st;
}
