/* rules.h: pairs of genes that exclude each other: given by the user, or learned from counts with a test. */
#ifndef ISO_RULES_H
#define ISO_RULES_H

#include "io/dataset.h"

typedef struct iso_rule {
    int32_t gene[2];
    bool learned;                 /* from these data; else a user's */
    int64_t with[2], together;    /* cells with a count of each gene, and of both */
    double expected, p;           /* cells with both if the genes were independent; chance of so few or fewer */
    double level[2];              /* what a decoded state must exceed in both to contradict the rule; 0 until calibrated */
} iso_rule;

typedef struct iso_rules { iso_rule *rule; int n; } iso_rules;

/* Pairs of the candidate genes [n] of x that hardly any cell has together: at most a quarter of the expected number of cells,
 * with a p-value (binomial law, lower tail) of at most 0.01 after Bonferroni's correction for all pairs tried; the `most`
 * with the largest expected number. Source: Bais & Kostka 2020 (cxds). */
iso_status iso_rules_learn(iso_env *env, const iso_csr *x, const int32_t *genes, int n, int most, iso_rules *out, iso_error *err);
void iso_rules_clear(iso_rules *r);
/* Sets each rule's levels from n decoded states of held-out cells [n, G]: that share of each gene's largest value over groups, top
 * [G], which 99.9 % of the states do not reach in both genes, and at least a fifth. */
iso_status iso_rules_calibrate(iso_rules *r, const float *state, int64_t n, const float *top, int64_t G, iso_error *err);
/* The first rule that a decoded state [G] contradicts, among the learned ones or the user's; -1: none. */
int iso_rules_broken(const iso_rules *r, const float *state, bool learned);

#endif
