/* cmd_voids.c: `voids RUN`: notable places of a latent space, which of them lie where no cells are, and what they are: the
 * prior's samples, the origin, each group's prototype and mean, and what lies halfway between two groups. */
#include "commands.h"
#include "landscape.h"
#include "text_out.h"

#include <string.h>

enum { MOST_GROUPS = 60 };

typedef struct places {
    int64_t n, L;
    float *z;                             /* [n, L] */
    const char **what, **name, **other;   /* [n]; other NULL except between two groups, and for a prototype its nearest cell */
} places;

static void add(places *p, const char *what, const char *name, const char *other, const float *a, const float *b)
{
    for (int64_t k = 0; k < p->L; k++) p->z[p->n * p->L + k] = a ? b ? (a[k] + b[k]) / 2 : a[k] : 0;
    p->what[p->n] = what, p->name[p->n] = name, p->other[p->n++] = other;
}

/* The origin, the groups' prototypes and means, the points halfway between two means. */
static iso_status list_places(iso_env *env, const iso_run_cells *r, const iso_groups *g, places *p, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t L = r->model->v.c.n_latent, groups = g->n < MOST_GROUPS ? g->n : MOST_GROUPS, most = 1 + 2 * g->n + groups * groups, *nearest = NULL;
    float *prototypes = NULL;
    p->L = L;
    ALLOC(p->z, most * L, sizeof *p->z);
    ALLOC(p->what, most, sizeof *p->what);
    ALLOC(p->name, most, sizeof *p->name);
    ALLOC(p->other, most, sizeof *p->other);
    ALLOC(prototypes, g->n * L, sizeof *prototypes);
    ALLOC(nearest, g->n, sizeof *nearest);
    TRY(iso_run_prototypes(env, r, g, prototypes, nearest, err));
    add(p, "origin", "z = 0", NULL, NULL, NULL);
    for (int32_t k = 0; k < g->n; k++)
        if (g->sizes[k]) add(p, "prototype", g->names[k], r->obs.index[nearest[k]], prototypes + k * L, NULL);
    for (int32_t k = 0; k < g->n; k++)
        if (g->sizes[k]) add(p, "group", g->names[k], NULL, g->means + k * L, NULL);
    for (int32_t k = 0; k < groups; k++)
        for (int32_t j = k + 1; j < groups; j++)
            if (g->sizes[k] && g->sizes[j]) add(p, "halfway", g->names[k], g->names[j], g->means + k * L, g->means + j * L);
done:
    iso_free(prototypes);
    iso_free(nearest);
    return st;
}

static void places_clear(places *p)
{
    iso_free(p->z);
    iso_free(p->what);
    iso_free(p->name);
    iso_free(p->other);
}

/* "0.55 A + 0.40 B, fit 0.97; Gata1 with Mpo", as far as there is such evidence. */
static void print_evidence(FILE *f, const iso_run_cells *r, const iso_judge *j, const iso_place *p)
{
    char *const *names = iso_run_mixture_names(r);
    if (p->mixed.group[0] >= 0) {
        fprintf(f, "%.2f ", p->mixed.share[0]);
        iso_put_name(f, names[p->mixed.group[0]]);
        if (p->mixed.group[1] >= 0) {
            fprintf(f, " + %.2f ", p->mixed.share[1]);
            iso_put_name(f, names[p->mixed.group[1]]);
        }
        fprintf(f, ", fit %.2f", p->mixed.fit);
    }
    if (p->rule < 0) return;
    fputs("; ", f);
    iso_put_name(f, r->model->genes[j->rules.rule[p->rule].gene[0]]);
    fputs(" with ", f);
    iso_put_name(f, r->model->genes[j->rules.rule[p->rule].gene[1]]);
    fputs(j->rules.rule[p->rule].learned ? " (hardly any cell has both)" : " (a rule of yours)", f);
}

static void print_heading(FILE *f, const iso_support *s, const double *share, double deep)
{
    fprintf(f, "# void: fewer than 5 %% of %lld %s cells lie at so low a density; never observed in these data\n",
            (long long)s->n[s->n_batches], s->held_out ? "held-out" : "training");
    fprintf(f, "# samples of the prior in voids: %.3f (5 %%), %.3f (1 %%); %s: %.3f, %s: %.3f, %s: %.3f\n", 1 - share[ISO_PLACE_OBSERVED], deep,
            iso_place_names[ISO_PLACE_CHIMERA], share[ISO_PLACE_CHIMERA], iso_place_names[ISO_PLACE_RULE], share[ISO_PLACE_RULE],
            iso_place_names[ISO_PLACE_UNSEEN], share[ISO_PLACE_UNSEEN]);
    fprintf(f, "place\tname\tother\tlog_density\tp_value\tvoid\tclass\tdisagreement\tuncertain\tevidence\n");
}

iso_status iso_cmd_voids(iso_env *env, const iso_options *o, const char *command_line, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_run_cells r = {0};
    iso_groups g = {0};
    iso_judge j = {0};
    iso_text_out t = {0};
    places p = {0};
    iso_place *judged = NULL;
    double share[ISO_PLACE_CLASSES], deep;
    (void)command_line;
    TRY(iso_text_open(o, &t, err));
    TRY(iso_run_open(env, o, &r, err));
    TRY(iso_run_groups(&r, iso_opt_text(o, "key"), &g, err));
    TRY(iso_run_judge(env, &r, o, &j, err));
    TRY(iso_look_at_prior(env, &r, &j, (uint64_t)iso_opt_int(o, "seed"), share, &deep, err));
    TRY(list_places(env, &r, &g, &p, err));
    ALLOC(judged, p.n, sizeof *judged);
    TRY(iso_run_judge_places(env, &r, &j, p.z, p.n, judged, err));
    print_heading(t.file, &j.support, share, deep);
    for (int64_t i = 0; i < p.n; i++) {
        fprintf(t.file, "%s\t", p.what[i]);
        iso_put_name(t.file, p.name[i]);
        putc('\t', t.file);
        if (p.other[i]) iso_put_name(t.file, p.other[i]);
        fprintf(t.file, "\t%.4f\t%.6g\t%s\t%s\t", judged[i].log_density, judged[i].p_value, judged[i].is ? "yes" : "no", iso_place_names[judged[i].is]);
        if (r.heads.n) fprintf(t.file, "%.4f\t%s\t", judged[i].disagreement, judged[i].uncertain ? "yes" : "no");
        else fputs("\t\t", t.file);
        print_evidence(t.file, &r, &j, &judged[i]);
        putc('\n', t.file);
    }
    TRY(iso_text_commit(&t, err));
done:
    iso_text_discard(&t);
    places_clear(&p);
    iso_free(judged);
    iso_judge_clear(&j);
    iso_groups_clear(&g);
    iso_run_close(&r);
    return st;
}
