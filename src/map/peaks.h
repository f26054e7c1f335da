/* peaks.h: the hills of a density over cells, and which of them stand out. */
#ifndef ISO_PEAKS_H
#define ISO_PEAKS_H

#include "map.h"

/* A hill: its summit, and how far one must come down from it, in nats of log density, before a higher one can be climbed; the highest
 * hill of a piece of the graph: HUGE_VAL. */
typedef struct iso_peak { int64_t cell; double log_density, persistence; } iso_peak;

/* Hills of log_q [n] over the neighbours of cells, by falling summit; those lower than `least` count to the higher hill that they
 * touch (Chazal, Guibas, Oudot & Skraba 2013, ToMATo). peaks [n] has room for all; *n_peaks of them have a persistence of at least
 * `least`; hill [n] (NULL: not wanted) says which one each cell is on. */
iso_status iso_peaks_find(const iso_knn *knn, const double *log_q, double least, iso_peak *peaks, int64_t *n_peaks, int32_t *hill,
                          iso_error *err);
/* Log density [n] of the cells by their neighbours, up to a constant: -d log r, r the distance to the farthest of the k listed. Its
 * error is nearly the same everywhere, 1 / sqrt(k), so that hills of dense and of thin regions can be compared. */
void iso_peaks_density(const iso_knn *knn, int64_t d, double *log_q);
/* The persistence that the second highest hill of one normal cloud reaches by chance: the largest of nine such clouds of n points
 * with the covariance of z [n, d], k neighbours each. */
iso_status iso_peaks_null(iso_env *env, const float *z, int64_t n, int64_t d, int k, uint64_t seed, double *persistence, iso_error *err);

#endif
