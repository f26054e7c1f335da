/* schedule.c: KL weight and learning rate as functions of the step; both end where they should however many steps
 * there are. */
#include "train.h"

#include <math.h>

/* Ramp over the first kl_warmup of the steps; or kl_cycles equal cycles, each rising over its first half (Fu et al.
 * 2019, arXiv:1903.10145). The last step always has the full weight. */
double iso_kl_weight_at(const iso_train_options *o, int64_t t, int64_t total)
{
    double done = total > 1 ? (double)t / (double)(total - 1) : 1, ramp = o->kl_warmup;
    if (o->kl_cycles > 0) {
        double cycle = done * o->kl_cycles;
        done = done >= 1 ? 1 : cycle - floor(cycle);
        ramp = 0.5;
    }
    return o->kl_weight * (ramp <= 0 || done >= ramp ? 1 : done / ramp);
}

/* Half a cosine from the full rate to 0 (Loshchilov & Hutter 2017, eq. 5, one period), or constant; times a ramp over the first lr_warmup
 * of the steps (Goyal et al. 2017, arXiv:1706.02677, section 2.2). */
double iso_learning_rate_at(const iso_train_options *o, int64_t t, int64_t total)
{
    double ramp = ceil(o->lr_warmup * (double)total), rate = o->adam.learning_rate;
    if ((double)t < ramp) rate *= (double)(t + 1) / ramp;
    if (!o->cosine || total < 1) return rate;
    return rate * 0.5 * (1 + cos(3.14159265358979323846 * (double)t / (double)total));
}
