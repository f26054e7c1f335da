/* agreement.c: how well labels agree with other labels, with a space, and with scores; see map.h.
 *
 * The numbers are scikit-learn's. They are NaN where they are not defined, or where memory ran out. */
#include "map.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_int32(const void *a, const void *b)
{
    const int32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int compare_int64(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* codes [n] = the rank of each label among those that occur; how many occur, -1: no memory. */
static int64_t rank_labels(const int32_t *labels, int64_t n, int32_t *codes)
{
    int64_t classes = 0;
    int32_t *sorted = iso_calloc(n, sizeof *sorted);
    if (!sorted) return -1;
    memcpy(sorted, labels, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, compare_int32);
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || sorted[i] != sorted[i - 1]) sorted[classes++] = sorted[i];
    for (int64_t i = 0; i < n; i++) {
        const int32_t *at = bsearch(&labels[i], sorted, (size_t)classes, sizeof *sorted, compare_int32);
        codes[i] = (int32_t)(at - sorted);
    }
    iso_free(sorted);
    return classes;
}

/* ---------------------------------------------------------------------------- two labelings */

/* The table of how many cells have label a and label b, without its zeros. */
typedef struct contingency {
    int64_t n, rows, cols, cells;        /* labelled twice; distinct a; distinct b; values */
    int64_t *row_sum, *col_sum;          /* [rows], [cols] */
    int64_t *key, *count;                /* [cells] row * cols + col, ascending */
} contingency;

static void contingency_free(contingency *t)
{
    iso_free(t->row_sum);
    iso_free(t->col_sum);
    iso_free(t->key);
    iso_free(t->count);
}

/* a, b [n], all >= 0. False: no memory. */
static bool count_pairs(contingency *t, const int32_t *a, const int32_t *b, int32_t *row, int32_t *col)
{
    t->rows = rank_labels(a, t->n, row);
    t->cols = rank_labels(b, t->n, col);
    if (t->rows < 0 || t->cols < 0) return false;
    t->row_sum = iso_calloc(t->rows, sizeof *t->row_sum);
    t->col_sum = iso_calloc(t->cols, sizeof *t->col_sum);
    t->key = iso_calloc(t->n, sizeof *t->key);
    t->count = iso_calloc(t->n, sizeof *t->count);
    if (!t->row_sum || !t->col_sum || !t->key || !t->count) return false;
    for (int64_t i = 0; i < t->n; i++) {
        t->row_sum[row[i]]++;
        t->col_sum[col[i]]++;
        t->key[i] = row[i] * t->cols + col[i];
    }
    qsort(t->key, (size_t)t->n, sizeof *t->key, compare_int64);
    for (int64_t i = 0; i < t->n; i++) {
        if (i == 0 || t->key[i] != t->key[t->cells - 1]) t->key[t->cells++] = t->key[i];
        t->count[t->cells - 1]++;
    }
    return true;
}

static bool tabulate(const int32_t *a, const int32_t *b, int64_t n, contingency *t)
{
    int32_t *block = iso_calloc(n, 4 * sizeof *block);       /* kept a, kept b, and their ranks */
    *t = (contingency){0};
    if (!block) return false;
    for (int64_t i = 0; i < n; i++) {
        if (a[i] < 0 || b[i] < 0) continue;
        block[t->n] = a[i];
        block[n + t->n++] = b[i];
    }
    bool good = count_pairs(t, block, block + n, block + 2 * n, block + 3 * n);
    iso_free(block);
    return good;
}

static double sum_of_squares(const int64_t *count, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)count[i] * (double)count[i];
    return sum;
}

double iso_ari(const int32_t *a, const int32_t *b, int64_t n)
{
    contingency t;
    double ari = (double)NAN;
    if (tabulate(a, b, n, &t) && t.n > 0) {
        /* ordered pairs of cells: together in both, in b alone, in a alone, in neither */
        double cells = (double)t.n, same = sum_of_squares(t.count, t.cells), both = same - cells;
        double only_b = sum_of_squares(t.col_sum, t.cols) - same, only_a = sum_of_squares(t.row_sum, t.rows) - same;
        double none = cells * cells - only_a - only_b - same;
        ari = only_a == 0 && only_b == 0 ? 1 : 2 * (both * none - only_a * only_b) /
              ((both + only_a) * (only_a + none) + (both + only_b) * (only_b + none));
    }
    contingency_free(&t);
    return ari;
}

static double entropy(const int64_t *count, int64_t n, double total)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum -= (double)count[i] / total * log((double)count[i] / total);
    return sum;
}

double iso_nmi(const int32_t *a, const int32_t *b, int64_t n)
{
    contingency t;
    double nmi = (double)NAN;
    if (tabulate(a, b, n, &t) && t.n > 0) {
        double cells = (double)t.n, shared = 0;
        for (int64_t e = 0; e < t.cells; e++) {
            double together = (double)t.count[e], row = (double)t.row_sum[t.key[e] / t.cols];
            double col = (double)t.col_sum[t.key[e] % t.cols];
            shared += together / cells * log(together * cells / (row * col));
        }
        double mean = (entropy(t.row_sum, t.rows, cells) + entropy(t.col_sum, t.cols, cells)) / 2;
        nmi = t.rows == 1 && t.cols == 1 ? 1 : shared <= DBL_EPSILON ? 0 : shared / mean;
    }
    contingency_free(&t);
    return nmi;
}

/* --------------------------------------------------------------------------------- silhouette */

enum { TILE = 64, BLOCK = 32 };          /* cells a tile; a block */

typedef struct silhouette_job {
    iso_env *env;
    int64_t n, d, classes;
    const float *columns;                /* [d, n] cells by rising class, columns outermost */
    const int64_t *start;                /* [classes + 1] first cell of a class */
    const int32_t *cell_class;           /* [n] */
    double *width;                       /* [n] */
} silhouette_job;

/* Sum of the distances of cell i to cells from..to-1, in double. */
static double sum_distances(const silhouette_job *job, int64_t i, int64_t from, int64_t to)
{
    double sum = 0;
    for (int64_t j0 = from; j0 < to; j0 += TILE) {
        int rows = to - j0 < TILE ? (int)(to - j0) : TILE;
        double d2[TILE] = {0};
        for (int64_t c = 0; c < job->d; c++) {
            const float *column = job->columns + c * job->n;
            double at = (double)column[i];
            for (int r = 0; r < rows; r++) d2[r] += ((double)column[j0 + r] - at) * ((double)column[j0 + r] - at);
        }
        for (int r = 0; r < rows; r++) sum += sqrt(d2[r]);
    }
    return sum;
}

static void silhouette_block(void *arg, int64_t block)
{
    const silhouette_job *job = arg;
    int64_t i1 = (block + 1) * BLOCK < job->n ? (block + 1) * BLOCK : job->n;
    for (int64_t i = block * BLOCK; i < i1 && !iso_env_interrupted(job->env); i++) {
        double within = 0, nearest = (double)INFINITY;
        int64_t own_size = 0;
        for (int64_t c = 0; c < job->classes; c++) {
            int64_t size = job->start[c + 1] - job->start[c];
            double sum = sum_distances(job, i, job->start[c], job->start[c + 1]);
            if (c == job->cell_class[i]) {
                own_size = size;
                within = size > 1 ? sum / (double)(size - 1) : 0;
            } else nearest = fmin(nearest, sum / (double)size);
        }
        double larger = fmax(within, nearest);
        job->width[i] = own_size > 1 && larger > 0 ? (nearest - within) / larger : 0;
    }
}

/* Cells with a label, by rising class: start [n + 1], columns [d, n], cell_class [n]. How many classes; -1: no memory. */
static int64_t sort_by_class(const float *x, const int32_t *labels, int64_t n_all, silhouette_job *job, int64_t *start,
                             float *columns, int32_t *cell_class)
{
    int64_t kept = 0, classes = -1;
    int32_t *block = iso_calloc(n_all, 2 * sizeof *block);
    if (!block) return -1;
    for (int64_t i = 0; i < n_all; i++)
        if (labels[i] >= 0) block[kept++] = labels[i];
    classes = rank_labels(block, kept, block + n_all);
    for (int64_t i = 0; i < kept && classes > 0; i++) start[block[n_all + i] + 1]++;
    for (int64_t c = 0; c < classes; c++) start[c + 1] += start[c];
    for (int64_t i = 0, from = 0; i < kept && classes > 0; i++, from++) {
        while (labels[from] < 0) from++;
        int32_t c = block[n_all + i];
        int64_t to = start[c]++;                 /* start[c] ends as start[c + 1]; moved back below */
        cell_class[to] = c;
        for (int64_t k = 0; k < job->d; k++) columns[k * job->n + to] = x[from * job->d + k];
    }
    for (int64_t c = classes; c > 0; c--) start[c] = start[c - 1];
    start[0] = 0;
    iso_free(block);
    return classes;
}

double iso_silhouette(iso_env *env, const float *x, const int32_t *labels, int64_t n, int64_t d)
{
    double mean = (double)NAN;
    silhouette_job job = {.env = env, .d = d};
    for (int64_t i = 0; i < n; i++) job.n += labels[i] >= 0;
    int64_t size = 0, *start = iso_calloc(job.n + 1, sizeof *start);
    float *columns = iso_mul(job.n, d, &size) ? iso_calloc(size, sizeof *columns) : NULL;
    int32_t *cell_class = iso_calloc(job.n, sizeof *cell_class);
    job.width = iso_calloc(job.n, sizeof *job.width);
    if (start && columns && cell_class && job.width)
        job.classes = sort_by_class(x, labels, n, &job, start, columns, cell_class);
    if (job.classes >= 2 && job.classes < job.n) {
        job.columns = columns, job.start = start, job.cell_class = cell_class;
        iso_parallel(env, (job.n + BLOCK - 1) / BLOCK, silhouette_block, &job);
        mean = 0;
        for (int64_t i = 0; i < job.n; i++) mean += job.width[i] / (double)job.n;
        if (iso_env_interrupted(env)) mean = (double)NAN;
    }
    iso_free(job.width);
    iso_free(cell_class);
    iso_free(columns);
    iso_free(start);
    return mean;
}

/* ---------------------------------------------------------------------------------------- AUC */

typedef struct scored { double score; bool positive; } scored;

static int by_score(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    return (x->score > y->score) - (x->score < y->score);
}

/* The part of (positive, negative) pairs that the scores order rightly (Mann & Whitney 1947), exact in 64-bit counts. */
double iso_auc(const double *scores, const uint8_t *positive, int64_t n)
{
    scored *s = iso_calloc(n, sizeof *s);
    double right = 0, positives = 0, negatives = 0;
    bool good = s != NULL;
    for (int64_t i = 0; good && i < n; i++) {
        s[i] = (scored){.score = scores[i], .positive = positive[i] != 0};
        if (isnan(scores[i])) good = false;
    }
    if (good) qsort(s, (size_t)n, sizeof *s, by_score);
    for (int64_t i = 0, end = 0; good && i < n; i = end) {
        double tied_positives = 0, tied_negatives = 0;
        for (end = i; end < n && s[end].score == s[i].score; end++) {
            if (s[end].positive) tied_positives++;
            else tied_negatives++;
        }
        right += tied_positives * (negatives + tied_negatives / 2);
        positives += tied_positives;
        negatives += tied_negatives;
    }
    iso_free(s);
    return good && positives > 0 && negatives > 0 ? right / (positives * negatives) : (double)NAN;
}
