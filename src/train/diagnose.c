/* diagnose.c: is the latent space alive? Posterior collapse, prior holes and overfitting, in numbers and words.
 *
 *   KL per dimension    mean over cells of the analytic KL
 *   active units        dimensions whose posterior mean varies: Var_x mu_d > 0.01 (Burda et al. 2016, section 5.2)
 *   mutual information  E[log q(z|x) - log q(z)], q(z) the mixture of n posteriors: held-out cells, and training cells
 *                       to make 5,000. It cannot exceed log n, so a value near log n is a lower bound ("capped")
 *   KL(q(z) || p(z))    KL - mutual information (Hoffman & Johnson 2016): an upper bound when that is capped. Lower
 * bound:
 *                       the KL of the normal law with q(z)'s mean and covariance, as a normal prior makes it the least
 *                       of all laws with these moments
 *   shuffle loss        rise of -log p(x|z) when each cell gets another cell's z: what z tells the decoder, in nats */
#include "train.h"

#include <math.h>
#include <string.h>

enum { MAX_CELLS = 5000, QUERIES = 16 };
static const double ACTIVE = 0.01, LOG_2PI = 1.8378770664093454836;

const char *const iso_verdict_names[] = {"healthy", "partly collapsed", "collapsed", "prior hole", "overfit"};

/* n_query draws z, of cells that are the first of the n components. */
typedef struct mixture { int64_t n, n_query, L; const float *mu, *variance, *z; double *log_q, *log_qx; } mixture;

static double log_normal(const mixture *m, int64_t at, int64_t of)
{
    double sum = 0;
    for (int64_t d = 0; d < m->L; d++) {
        double v = (double)m->variance[of * m->L + d], e = (double)m->z[at * m->L + d] - (double)m->mu[of * m->L + d];
        sum -= 0.5 * (LOG_2PI + log(v) + e * e / v);
    }
    return sum;
}

/* log q(z_i) and log q(z_i | x_i) for a block of draws. */
static void mixture_block(void *arg, int64_t block)
{
    const mixture *m = arg;
    int64_t end = (block + 1) * QUERIES < m->n_query ? (block + 1) * QUERIES : m->n_query;
    for (int64_t i = block * QUERIES; i < end; i++) {
        double top = -HUGE_VAL, sum = 0;
        for (int64_t j = 0; j < m->n; j++) {
            double l = log_normal(m, i, j);
            if (l > top) sum = sum * exp(top - l) + 1, top = l;
            else sum += exp(l - top);
        }
        m->log_q[i] = top + log(sum / (double)m->n);
        m->log_qx[i] = log_normal(m, i, i);
    }
}

/* KL(N(m, S) || N(0, I)) = (tr S + m'm - L - log det S) / 2, S = cov(mu) + mean variance; s [L, L] is work. */
static double moment_kl(int64_t n, int64_t L, const float *mu, const float *variance, double *s)
{
    double kl = 0;
    for (int64_t a = 0; a < L; a++) {
        double mean_a = 0;
        for (int64_t i = 0; i < n; i++) mean_a += (double)mu[i * L + a] / (double)n;
        kl += 0.5 * (mean_a * mean_a - 1);
        for (int64_t b = 0; b <= a; b++) {
            double mean_b = 0, sum = 0;
            for (int64_t i = 0; i < n; i++) mean_b += (double)mu[i * L + b] / (double)n;
            for (int64_t i = 0; i < n; i++) sum += ((double)mu[i * L + a] - mean_a) * ((double)mu[i * L + b] - mean_b);
            for (int64_t i = 0; a == b && i < n; i++) sum += (double)variance[i * L + a];
            s[a * L + b] = sum / (double)n;
        }
        kl += 0.5 * s[a * L + a];
    }
    for (int64_t a = 0; a < L; a++)                 /* Cholesky: log det S = 2 sum of the log diagonal */
        for (int64_t b = 0; b <= a; b++) {
            double x = s[a * L + b];
            for (int64_t k = 0; k < b; k++) x -= s[a * L + k] * s[b * L + k];
            s[a * L + b] = a == b ? sqrt(fmax(x, 1e-12)) : x / s[b * L + b];
            if (a == b) kl -= log(s[a * L + a]);
        }
    return kl;
}

static void per_dimension(iso_diagnosis *out, int64_t n, const float *mu, const float *variance)
{
    int L = out->n_latent;
    for (int d = 0; d < L; d++) {
        double sum = 0, square = 0, kl = 0;
        for (int64_t i = 0; i < n; i++) {
            double m = (double)mu[i * L + d], v = (double)variance[i * L + d];
            sum += m, square += m * m;
            kl += 0.5 * (m * m + v - 1 - log(v));
        }
        out->var_mu[d] = square / (double)n - sum / (double)n * (sum / (double)n);
        out->kl_per_dim[d] = kl / (double)n;
        out->kl += out->kl_per_dim[d];
        out->active_units += out->var_mu[d] > ACTIVE;
    }
}

/* The rules, first match first; thresholds as measured in the project's experiments (docs/MATH.md). */
void iso_diagnosis_judge(iso_diagnosis *d, bool grid)
{
    double whole = fabs(grid ? d->held_out_elbo : d->nll);
    double gap = (d->train_elbo - d->held_out_elbo) / fabs(d->held_out_elbo);
    d->cure[0] = 0;
    if (d->mutual_information < 0.5 || d->shuffle_loss < 0.01 * whole) {
        d->verdict = ISO_COLLAPSED;
        snprintf(d->text, sizeof d->text,
                 "The latent space is not used: z carries %.2f nats about a cell, and dealing it to other cells costs "
                 "the decoder %.2f of %.1f nats.",
                 d->mutual_information, d->shuffle_loss, whole);
        snprintf(d->cure, sizeof d->cure,
                 "Try --free-bits %d, a lower --kl-weight (1 is the ELBO), a longer --kl-warmup, or --kl-cycles 4; for "
                 "Gaussian laws see that sigma is learned.",
                 d->n_latent < 8 ? d->n_latent : 8);
    } else if (d->active_units * 4 < d->n_latent) {
        d->verdict = ISO_PARTLY_COLLAPSED;
        snprintf(d->text, sizeof d->text,
                 "Only %d of %d latent dimensions are active (variance of mu above %.2g); the others equal the prior.",
                 d->active_units, d->n_latent, ACTIVE);
        snprintf(
            d->cure, sizeof d->cure,
            "If the data are simple this is right: lower --n-latent. Else try --free-bits %d --free-bits-groups %d.",
            d->n_latent, d->n_latent);
    } else if (d->capped ? 2 * d->kl_aggregate_least > d->kl : d->kl_aggregate > d->mutual_information) {
        d->verdict = ISO_PRIOR_HOLE;
        snprintf(d->text, sizeof d->text,
                 "The cells' clouds together do not fill the prior: KL(q(z)||p(z)) is %s %.2f of the %.2f nats of KL, "
                 "more than what z tells about a cell. Samples from the prior will look unlike cells.",
                 d->capped ? "at least" : "about", d->capped ? d->kl_aggregate_least : d->kl_aggregate, d->kl);
        snprintf(
            d->cure, sizeof d->cure,
            "Train to the full --kl-weight 1, longer, or with a smaller --n-latent; draw new cells around real ones.");
    } else if (gap > 0.05) {
        d->verdict = ISO_OVERFIT;
        snprintf(d->text, sizeof d->text,
                 "The ELBO of training cells (%.1f, at the same depth) is %.1f %% better than that of held-out cells "
                 "(%.1f).",
                 d->train_elbo, 100 * gap, d->held_out_elbo);
        snprintf(d->cure, sizeof d->cure,
                 "Train for fewer epochs, use a smaller --n-hidden, more --dropout or --weight-decay, or fewer genes.");
    } else {
        d->verdict = ISO_HEALTHY;
        snprintf(d->text, sizeof d->text,
                 "%d of %d latent dimensions are active; z tells %s%.1f nats about a cell, and dealing it to other "
                 "cells costs the decoder %.1f of %.1f nats.",
                 d->active_units, d->n_latent, d->capped ? "at least " : "", d->mutual_information, d->shuffle_loss,
                 whole);
    }
}

/* With sigma fixed at 1 an image's details cost more KL than they are worth: no other cure helps as much. */
static void blame_sigma(iso_diagnosis *d, double sigma)
{
    if (d->verdict != ISO_COLLAPSED && d->verdict != ISO_PARTLY_COLLAPSED) return;
    snprintf(d->cure, sizeof d->cure,
             "This law fixes sigma at %g, much wider than the pixels' errors, so that details are not worth their KL: train with "
             "--likelihood gaussian, which learns sigma; only then think of --free-bits or --kl-warmup.",
             sigma);
}

static iso_status shuffle_loss(iso_evaluator *e, const int64_t *cells, int64_t n, const float *z, uint64_t seed,
                               iso_diagnosis *out, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t *order = NULL, L = out->n_latent;
    float *dealt = NULL;
    double *own = NULL, *others = NULL;
    ALLOC(order, n, sizeof *order);
    ALLOC(dealt, n * L, sizeof *dealt);
    ALLOC(own, n, sizeof *own);
    ALLOC(others, n, sizeof *others);
    iso_permutation((iso_rng_key){seed, ISO_STREAM_EVAL, 1}, n, order);
    for (int64_t i = 0; i < n; i++)       /* along one cycle, so that no cell keeps its own */
        memcpy(dealt + order[i] * L, z + order[(i + 1) % n] * L, (size_t)L * sizeof *z);
    TRY(iso_evaluate_given(e, cells, n, z, own, err));
    TRY(iso_evaluate_given(e, cells, n, dealt, others, err));
    for (int64_t i = 0; i < n; i++)
        out->nll += own[i] / (double)n, out->shuffle_loss += (others[i] - own[i]) / (double)n;
done:
    iso_free(order);
    iso_free(dealt);
    iso_free(own);
    iso_free(others);
    return st;
}

iso_status iso_diagnose(iso_evaluator *e, const int64_t *held_out, int64_t n, const int64_t *more, int64_t n_more,
                        double train_elbo, double held_out_elbo, uint64_t seed, iso_diagnosis *out, iso_error *err)
{
    iso_status st = ISO_OK;
    const iso_vae *v = iso_evaluator_model(e);
    int64_t L = v->c.n_latent;
    float *mu = NULL, *variance = NULL, *z = NULL;
    double *logs = NULL, *work = NULL;
    n = n < MAX_CELLS ? n : MAX_CELLS;
    n_more = n_more < MAX_CELLS - n ? n_more : MAX_CELLS - n;
    *out = (iso_diagnosis){.n_latent = (int)L, .train_elbo = train_elbo, .held_out_elbo = held_out_elbo,
                           .mutual_information_cap = log((double)(n + n_more))};
    FAIL_IF(v->raw < 0, ISO_EUSAGE, "an autoencoder has no posterior to diagnose");
    ALLOC(out->kl_per_dim, L, sizeof *out->kl_per_dim);
    ALLOC(out->var_mu, L, sizeof *out->var_mu);
    ALLOC(mu, (n + n_more) * L, sizeof *mu);
    ALLOC(variance, (n + n_more) * L, sizeof *variance);
    ALLOC(z, n * L, sizeof *z);
    ALLOC(logs, 2 * n, sizeof *logs);
    ALLOC(work, L * L, sizeof *work);
    TRY(iso_evaluate(e, held_out, n, 0, 0, seed, &(iso_cell_scores){.mu = mu, .variance = variance}, err));
    if (n_more)
        TRY(iso_evaluate(e, more, n_more, 0, 0, seed,
                         &(iso_cell_scores){.mu = mu + n * L, .variance = variance + n * L}, err));
    per_dimension(out, n, mu, variance);
    for (int64_t i = 0; i < n; i++) {
        iso_rng r = iso_rng_start((iso_rng_key){seed, ISO_STREAM_EVAL, 0}, (uint64_t)i);
        for (int64_t d = 0; d < L; d++)
            z[i * L + d] = mu[i * L + d] + (float)(sqrt((double)variance[i * L + d]) * iso_rng_normal(&r));
    }
    mixture m = {n + n_more, n, L, mu, variance, z, logs, logs + n};
    iso_parallel(iso_evaluator_env(e), (n + QUERIES - 1) / QUERIES, mixture_block, &m);
    for (int64_t i = 0; i < n; i++) out->mutual_information += (m.log_qx[i] - m.log_q[i]) / (double)n;
    out->kl_aggregate = out->kl - out->mutual_information;
    out->kl_aggregate_least = moment_kl(n + n_more, L, mu, variance, work);
    out->capped = out->mutual_information > 0.9 * out->mutual_information_cap;
    TRY(shuffle_loss(e, held_out, n, z, seed, out, err));
    iso_diagnosis_judge(out, v->c.image.grid > 0);
    if (v->c.image.channels && v->c.likelihood->image->sigma > 0) blame_sigma(out, v->c.likelihood->image->sigma);
done:
    iso_free(mu);
    iso_free(variance);
    iso_free(z);
    iso_free(logs);
    iso_free(work);
    return st;
}

void iso_diagnosis_clear(iso_diagnosis *d)
{
    iso_free(d->kl_per_dim);
    iso_free(d->var_mu);
    d->kl_per_dim = d->var_mu = NULL;
}
