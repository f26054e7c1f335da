/* run_report_sections.c: the words and numbers of report.html. */
#include "run_report.h"

#include <math.h>
#include <string.h>

void report_fact(iso_report_section *s, const char *key, const char *value, const char *note)
{
    if (s->n_facts < MAX_FACTS) ((iso_report_fact *)s->facts)[s->n_facts++] = (iso_report_fact){key, value, note};
}

static const char *nats(report_page *p, double x) { return isnan(x) ? "not measured" : report_say(p, "%.2f", x); }

static void section_agreement(report_page *p, iso_report_section *s)
{
    const iso_run *r = p->run;
    const char *cells[] = {"",
                           "latent space",
                           "principal components",
                           "neighbour accuracy",
                           report_say(p, "%.3f", r->scores.knn_accuracy),
                           report_say(p, "%.3f", r->pca_scores.knn_accuracy),
                           "linear probe",
                           report_say(p, "%.3f", r->scores.linear_probe),
                           report_say(p, "%.3f", r->pca_scores.linear_probe),
                           "ARI (best resolution)",
                           report_say(p, "%.3f", r->scores.best.ari),
                           report_say(p, "%.3f", r->pca_scores.best.ari),
                           "NMI (best resolution)",
                           report_say(p, "%.3f", r->scores.best.nmi),
                           report_say(p, "%.3f", r->pca_scores.best.nmi),
                           "clusters there",
                           report_say(p, "%d", r->scores.best.n_clusters),
                           report_say(p, "%d", r->pca_scores.best.n_clusters),
                           "ARI (clusters as drawn)",
                           report_say(p, "%.3f", r->scores.ari),
                           report_say(p, "%.3f", r->pca_scores.ari)};
    const char **kept = report_own(p, iso_calloc(sizeof cells / sizeof *cells, sizeof *cells));
    if (!kept) return;
    memcpy(kept, cells, sizeof cells);
    *s = (iso_report_section){.title = report_say(p, "Agreement with %s", iso_opt_text(r->options, "labels_key")),
                              .text = "How well the latent space agrees with labels that training never saw, and "
                                      "principal components (of log1p counts "
                                      "per 10,000, or of pixels) with as many dimensions beside it. Neighbour accuracy: majority of "
                                      "15 neighbours; linear probe: ridge regression on the coordinates; 5 folds both. ARI and NMI: "
                                      "Leiden clusters against the labels; 1 is perfect, 0 (ARI) is chance.",
                              .cells = kept,
                              .n_rows = (int)(sizeof cells / sizeof *cells / 3),
                              .n_columns = 3};
}

static void section_data(report_page *p, iso_report_section *s)
{
    const iso_run *r = p->run;
    iso_data_facts f = iso_describe(r->data);
    const iso_images *im = r->data->images;
    *s = (iso_report_section){.title = "Data", .facts = s->facts};
    report_fact(s, "File", r->data->path, report_say(p, "sha256 %s", r->fitted.model->summary.input_sha256));
    if (im) {
        report_fact(s, "Images", report_say(p, "%lld", (long long)im->n), p->step > 1 ? report_say(p, "one in %lld is drawn", (long long)p->step) : NULL);
        report_fact(s, "Size", report_say(p, "%lld channels of %lld x %lld pixels", (long long)im->channels, (long long)im->height, (long long)im->width), NULL);
        return;
    }
    report_fact(s, "Counts from", r->data->source, NULL);
    report_fact(s, "Cells x genes", report_say(p, "%lld x %lld", (long long)f.cells, (long long)f.genes),
         p->step > 1 ? report_say(p, "one in %lld cells is drawn", (long long)p->step) : NULL);
    report_fact(s, "Filled", report_say(p, "%.1f %%", 100 * f.density), report_say(p, "largest count %g", f.max_count));
    report_fact(s, "Counts a cell", report_say(p, "%g to %g", f.min_total, f.max_total), report_say(p, "median %g", f.median_total));
}

static void section_training(report_page *p, iso_report_section *s)
{
    const iso_run *r = p->run;
    const iso_summary *m = &r->fitted.model->summary;
    const iso_vae_config *c = &r->fitted.model->v.c;
    *s = (iso_report_section){.title = "Model and training", .facts = s->facts};
    report_fact(s, "Model", c->autoencoder ? "autoencoder" : "variational autoencoder",
         report_say(p, "%s likelihood, %d latent dimensions, %d hidden layer%s of %d units", c->likelihood->name, c->n_latent,
             c->n_layers, c->n_layers == 1 ? "" : "s", c->n_hidden));
    report_fact(s, "Cells", report_say(p, "%lld to train", (long long)m->n_train),
         report_say(p, "%lld validation, %lld test", (long long)m->n_validation, (long long)m->n_test));
    report_fact(s, "Epochs", report_say(p, "%d", m->epochs),
         report_say(p, "the best was %d%s; %.1f s", m->best_epoch, m->stopped_early ? ", stopped early" : "", m->seconds));
    report_fact(s, "Final KL weight", report_say(p, "%.3g", m->final_kl_weight), NULL);
    report_fact(s, "ELBO, training cells", nats(p, m->train_elbo), "nats per cell, evaluation mode");
    report_fact(s, "ELBO, validation cells", nats(p, m->validation_elbo), NULL);
    if (m->n_test) {
        report_fact(s, "ELBO, test cells", nats(p, m->test_elbo), report_say(p, "reconstruction %.2f", m->test_reconstruction));
        report_fact(s, "log p, test cells", nats(p, m->test_log_p), "importance-sampled");
    }
    if (m->roll_backs)
        report_fact(s, "Roll-backs", report_say(p, "%d", m->roll_backs),
             "steps that were not finite; the learning rate was halved each time");
    report_fact(s, "Seed", report_say(p, "%llu", (unsigned long long)m->seed),
         "the same seed gives the same bits for any number of threads");
}

static void section_latent(report_page *p, iso_report_section *s)
{
    const iso_diagnosis *d = &p->run->fitted.diagnosis;
    *s = (iso_report_section){.title = "Latent space", .facts = s->facts};
    report_fact(s, "Active dimensions", report_say(p, "%d of %d", d->active_units, d->n_latent),
         "variance of the posterior mean above 0.01");
    report_fact(s, "KL", report_say(p, "%.2f nats", d->kl), "of the posterior to the prior, mean of held-out cells");
    report_fact(s, "Mutual information", report_say(p, "%s%.2f nats", d->capped ? "at least " : "", d->mutual_information),
         report_say(p, "of cell and z; %lld cells can show at most %.2f", (long long)llround(exp(d->mutual_information_cap)),
             d->mutual_information_cap));
    report_fact(s, "KL of all cells' clouds to the prior",
         report_say(p, d->capped ? "%.2f to %.2f nats" : "%.2f nats", d->capped ? d->kl_aggregate_least : d->kl_aggregate,
             d->kl_aggregate),
         "a large part of the KL here is a prior hole");
    report_fact(s, "Shuffle loss", report_say(p, "%.1f nats", d->shuffle_loss),
         report_say(p, "rise of -log p(x|z) = %.1f when cells swap their z", d->nll));
}

/* ------------------------------------------------------------------------------------------------ the map */

static const char *percent(report_page *p, double share) { return report_say(p, "%.1f %%", 100 * share); }

static void section_voids(report_page *p, iso_report_section *s)
{
    const iso_landscape *l = &p->run->landscape;
    *s = (iso_report_section){.title = "Voids",
                              .text = "Where no cells are. A place is a void when its density is one that at most 5 % of held-out cells have. That says "
                                      "\"never observed in these data\", not \"impossible\".",
                              .facts = s->facts};
    report_fact(s, "Samples of the prior in voids", percent(p, 1 - l->prior[ISO_PLACE_OBSERVED]),
         report_say(p, "of N(0, I); like a mixture of groups: %s; against a rule: %s; never observed: %s", percent(p, l->prior[ISO_PLACE_CHIMERA]),
             percent(p, l->prior[ISO_PLACE_RULE]), percent(p, l->prior[ISO_PLACE_UNSEEN])));
    report_fact(s, "z = 0", iso_place_names[l->origin.is], report_say(p, "p = %.3g; it decodes to the average of all cells, which is not a cell", l->origin.p_value));
    report_fact(s, "References", report_say(p, "%lld", (long long)l->n_references), l->held_out ? "held-out cells" : "training cells, each left out in turn");
    report_fact(s, "Exclusive genes", report_say(p, "%d pairs", p->run->judge.rules.n), "learned from the counts: rules.tsv, to which you may add");
}

/* The most frequent of codes [n] among the cells of continent k, and its share. */
static int32_t most_frequent(const iso_run *r, const int32_t *codes, int32_t n_codes, int32_t k, double *share)
{
    int64_t *count = iso_calloc(n_codes, sizeof *count), size = 0;
    int32_t best = -1;
    for (int64_t i = 0; count && i < r->landscape.n; i++) {
        if (r->landscape.continent[i] != k) continue;
        size++;
        if (codes[i] < 0) continue;
        count[codes[i]]++;
        if (best < 0 || count[codes[i]] > count[best]) best = codes[i];
    }
    *share = best >= 0 ? (double)count[best] / (double)size : 0;
    iso_free(count);
    return best;
}

/* The label, or else the cluster, that most of its cells have; "" if none has one. */
static const char *name_most(report_page *p, int32_t k, double *share)
{
    const iso_run *r = p->run;
    int32_t most = r->labels ? most_frequent(r, r->labels, r->n_labels, k, share)
                             : most_frequent(r, r->atlas.clusters, r->atlas.n_clusters, k, share);
    return most < 0 ? "" : r->labels ? r->label_names[most] : report_say(p, "cluster %d", most);
}

const char *report_continent_name(report_page *p, int32_t k)
{
    double share;
    const char *most = name_most(p, k, &share);
    return report_say(p, *most ? "%d, mostly %s" : "%d", k, most);
}

enum { MOST_CONTINENTS = 20, CONTINENT_COLUMNS = 5 };

static void section_continents(report_page *p, iso_report_section *s)
{
    const iso_run *r = p->run;
    const iso_landscape *l = &r->landscape;
    int shown = l->n_continents < MOST_CONTINENTS ? l->n_continents : MOST_CONTINENTS, at = 0;
    const char **cells = report_own(p, iso_calloc((shown + 1) * CONTINENT_COLUMNS, sizeof *cells));
    if (!cells) return;
    for (const char *const *h = (const char *const[]){"continent", "cells", "mostly", "cell at the summit", "height above the saddle", NULL}; *h; h++)
        cells[at++] = *h;
    for (int32_t k = 0; k < shown; k++) {
        int64_t size = 0;
        double share;
        for (int64_t i = 0; i < l->n; i++) size += l->continent[i] == k;
        const char *most = name_most(p, k, &share);
        cells[at++] = report_say(p, "%d", k);
        cells[at++] = report_say(p, "%lld", (long long)size);
        cells[at++] = *most ? report_say(p, "%s (%.0f %%)", most, 100 * share) : "";
        cells[at++] = r->data->obs.index[l->peaks[k].cell];
        cells[at++] = isinf(l->peaks[k].persistence) ? "the highest of its piece" : report_say(p, "%.2f nats", l->peaks[k].persistence);
    }
    *s = (iso_report_section){.title = report_say(p, "Continents: %d", l->n_continents),
                              .text = report_say(p, "Hills of the cells' density that stand higher above their saddles than %.2f nats, which is what the second hill of "
                                             "one normal cloud reaches by chance. Cells that are joined without such a saddle, as along a "
                                             "differentiation, are one continent.",
                                          l->chance),
                              .cells = cells,
                              .n_rows = shown + 1,
                              .n_columns = CONTINENT_COLUMNS};
}

enum { MOST_PROTOTYPES = 40, PROTOTYPE_COLUMNS = 5 };

static void section_prototypes(report_page *p, iso_report_section *s)
{
    const iso_run *r = p->run;
    int shown = r->n_groups < MOST_PROTOTYPES ? r->n_groups : MOST_PROTOTYPES, at = 0;
    const char **cells = report_own(p, iso_calloc((shown + 1) * PROTOTYPE_COLUMNS, sizeof *cells));
    if (!cells) return;
    for (const char *const *h = (const char *const[]){"group", "nearest cell", "the place is", "p", "decoders differ by", NULL}; *h; h++) cells[at++] = *h;
    for (int32_t k = 0; k < shown; k++) {
        const iso_place *place = &r->prototypes[k];
        if (r->nearest[k] < 0) continue;
        cells[at++] = r->labels ? r->label_names[k] : report_say(p, "%d", k);
        cells[at++] = r->data->obs.index[r->nearest[k]];
        cells[at++] = iso_place_names[place->is];
        cells[at++] = report_say(p, "%.2f", place->p_value);
        cells[at++] = r->heads.n ? report_say(p, "%.0f %%%s", 100 * place->disagreement, place->uncertain ? ": uncertain" : "") : "one decoder";
    }
    *s = (iso_report_section){.title = "Prototypes",
                              .text = "The typical cell of each group: the peak of its density, which \"isolario prototype\" decodes. Where the model's decoders differ more than "
                                      "for 99 % of held-out cells, as in small groups, what is decoded is a guess.",
                              .cells = cells,
                              .n_rows = at / PROTOTYPE_COLUMNS,
                              .n_columns = PROTOTYPE_COLUMNS};
}

static const char *beside(report_page *p, double floor) { return report_say(p, "real cells among themselves: %.3f", floor); }

static void section_realism(report_page *p, iso_report_section *s)
{
    const iso_realism *m = &p->run->realism;
    *s = (iso_report_section){.title = "Generated cells",
                              .text = report_say(p, "%lld cells, drawn from where the training cells are, against as many held-out cells. Beside each figure stands what real "
                                             "training cells reach. \"isolario sample\" draws more of them.",
                                          (long long)m->n),
                              .facts = s->facts};
    report_fact(s, "A classifier tells them apart (AUC)", report_say(p, "%.3f", m->auc.generated), beside(p, m->auc.floor));
    report_fact(s, "Difference in genes' means", report_say(p, "%.3f", m->mean.generated), beside(p, m->mean.floor));
    report_fact(s, "in their standard deviations", report_say(p, "%.3f", m->deviation.generated), beside(p, m->deviation.floor));
    report_fact(s, "in their shares of zeros", report_say(p, "%.3f", m->zeros.generated), beside(p, m->zeros.floor));
    report_fact(s, "Co-expression alike", report_say(p, "%.3f", m->coexpression.generated), beside(p, m->coexpression.floor));
    report_chart_realism(p, s);
}

static const char *ratio(report_page *p, double x) { return isnan(x) ? "not measured" : report_say(p, "%.2f", x); }

enum { SHARPNESS_COLUMNS = 4, SHARPNESS_ROWS = 1 + ISO_BANDS + 3 };

static void section_sharpness(report_page *p, iso_report_section *s)
{
    const iso_sharpness *m = &p->run->sharpness;
    static const char *const bands[ISO_BANDS] = {"power at low frequencies", "at middle frequencies", "at high frequencies"};
    const char **cells = report_own(p, iso_calloc(SHARPNESS_ROWS * SHARPNESS_COLUMNS, sizeof *cells));
    int at = 0;
    if (!cells) return;
    for (const char *const *h = (const char *const[]){"", "reconstructed", "generated", "training images", NULL}; *h; h++) cells[at++] = *h;
    for (int b = 0; b < ISO_BANDS; b++) {
        cells[at++] = report_say(p, "%s (%.2f to %.2f a pixel)", bands[b], iso_bands[b][0], iso_bands[b][1]);
        cells[at++] = ratio(p, m->reconstructed[b]), cells[at++] = ratio(p, m->generated[b]), cells[at++] = ratio(p, m->training[b]);
    }
    cells[at++] = "Frechet distance of random features";
    for (const double *d = (const double[]){m->frechet_reconstructed, m->frechet, m->frechet_floor, -1}; !(*d < 0); d++)
        cells[at++] = isnan(*d) ? "not measured" : report_say(p, "%.2g", *d);
    cells[at++] = "PSNR", cells[at++] = report_say(p, "%.1f dB", m->psnr), cells[at++] = "", cells[at++] = "";
    cells[at++] = "SSIM", cells[at++] = report_say(p, "%.3f", m->ssim), cells[at++] = "", cells[at++] = "";
    *s = (iso_report_section){.title = "Sharpness",
                              .text = report_say(p, "Against %lld held-out images, with training images as the measure of what can be reached. Power: of the spectrum, over that of "
                                             "the held-out images; 1 is as sharp as they are, 0 is all blurred away. Noise has power too, at high frequencies most, and a mean "
                                             "has none of it. Held-out -ELBO: %.3f bits a pixel and channel, to be compared within one likelihood alone: the best ELBO is not "
                                             "the best image.",
                                          (long long)m->n, iso_bits_per_dim(p->run->fitted.model)),
                              .cells = cells,
                              .n_rows = SHARPNESS_ROWS,
                              .n_columns = SHARPNESS_COLUMNS};
}

void report_add_sections(report_page *p)
{
    const iso_run *r = p->run;
    iso_report *report = &p->report;
    iso_report_section *s = p->sections;
    report->sections = s;
    for (int i = 0; i < MAX_SECTIONS; i++) s[i].facts = p->facts[i];
    if (r->labels) section_agreement(p, s++);
    if (r->sharpness.n) section_sharpness(p, s++);
    if (r->fitted.diagnosis.kl_per_dim) section_latent(p, s++);
    if (r->landscape.n_continents) section_voids(p, s++);
    if (r->landscape.n_continents) report_section_anomalies(p, s++);
    if (r->landscape.n_continents) section_continents(p, s++);
    if (r->n_ways) report_section_ways(p, s++);
    if (r->n_groups) section_prototypes(p, s++);
    if (r->realism.n) section_realism(p, s++);
    section_training(p, s++);
    section_data(p, s++);
    report->n_sections = (int)(s - p->sections);
}
