/* place.c: see place.h. */
#include "place.h"

#include <math.h>

const char *const iso_place_names[] = {"observed", "chimera", "contradicts a rule", "never observed"};

iso_status iso_judge_calibrate(iso_env *env, iso_judge *j, const float *states, int64_t n, iso_error *err)
{
    iso_status st = ISO_OK;
    iso_mixed *mixed = NULL;
    double *second = NULL, *fit = NULL;
    float *top = NULL;
    const iso_mixture *m = &j->mixture;
    FAIL_IF(n < 1, ISO_EDATA, "a place is judged by cells, and there are none");
    ALLOC(mixed, n, sizeof *mixed);
    ALLOC(second, n, sizeof *second);
    ALLOC(fit, n, sizeof *fit);
    ALLOC(top, m->G, sizeof *top);
    TRY(iso_mixture_explain_dense(env, m, states, n, mixed, err));
    for (int64_t i = 0; i < n; i++) second[i] = mixed[i].share[1], fit[i] = mixed[i].fit;
    j->most_second = iso_quantile(second, n, 0.95);
    j->least_fit = iso_quantile(fit, n, 0.05);
    for (int64_t g = 0; g < m->G; g++)
        for (int64_t k = 0; k < m->K; k++) top[g] = fmaxf(top[g], m->profile[g * m->K + k] / 1e4f);
    TRY(iso_rules_calibrate(&j->rules, states, n, top, m->G, err));
done:
    iso_free(mixed);
    iso_free(second);
    iso_free(fit);
    iso_free(top);
    return st;
}

void iso_judge_clear(iso_judge *j)
{
    iso_support_clear(&j->support);
    iso_mixture_clear(&j->mixture);
    iso_rules_clear(&j->rules);
    *j = (iso_judge){0};
}

static iso_place_class class_of(const iso_judge *j, const float *state, iso_place *p)
{
    if (p->p_value > ISO_VOID_P) return ISO_PLACE_OBSERVED;
    if (state && (p->rule = iso_rules_broken(&j->rules, state, false)) >= 0) return ISO_PLACE_RULE;
    if (state && j->mixture.K > 1 && p->mixed.share[1] > j->most_second && p->mixed.fit >= j->least_fit) return ISO_PLACE_CHIMERA;
    if (state && (p->rule = iso_rules_broken(&j->rules, state, true)) >= 0) return ISO_PLACE_RULE;
    return ISO_PLACE_UNSEEN;
}

iso_status iso_judge_places(iso_env *env, const iso_judge *j, const float *z, const float *states, int64_t n, iso_place *out, iso_error *err)
{
    iso_status st = ISO_OK;
    double *log_q = NULL;
    iso_mixed *mixed = NULL;
    int64_t G = j->mixture.G;
    ALLOC(log_q, n, sizeof *log_q);
    ALLOC(mixed, n, sizeof *mixed);
    TRY(iso_density_log(env, &j->support.density, z, n, NULL, log_q, err));
    if (states && j->mixture.K) TRY(iso_mixture_explain_dense(env, &j->mixture, states, n, mixed, err));
    for (int64_t i = 0; i < n; i++) {
        out[i] = (iso_place){.log_density = log_q[i], .p_value = iso_support_p(&j->support, -1, log_q[i]), .rule = -1, .mixed = {.group = {-1, -1}}};
        if (states && j->mixture.K) out[i].mixed = mixed[i];
        out[i].is = class_of(j, states && j->mixture.K ? states + i * G : NULL, &out[i]);
    }
done:
    iso_free(log_q);
    iso_free(mixed);
    return st;
}
