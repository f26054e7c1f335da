/* krylov.c: block Lanczos with full reorthogonalisation (Golub & Van Loan, Matrix Computations, 4th ed., 10.3.6).
 *
 * The space grows by blocks Q_0, Q_1, ... of W columns: S Q_j less its part within the space is Q_{j+1} R. In that
 * basis S is a small block-tridiagonal T (diagonal blocks Q_j' S Q_j, the R below them). An eigenvector u of T gives
 * v = Q u, and |S v - value v| is |R (last part of u)|: the growth ends when that is small for the first k.
 * Where a direction vanishes the space is invariant; a random one then looks for what it may have missed.
 *
 * Against subspace iteration with the same products, the polynomial in S is of the whole degree: a spectrum that falls
 * as slowly as that of noise needs some hundred products, not thousands. */
#include "krylov.h"

#include "base/rng.h"
#include "eigen.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { W = KRYLOV_WIDTH, RANGE = 512, PROBE = 4 * W };
static const double TOLERANCE = 1e-7;       /* of the residual, relative to the eigenvalue */
static const double VANISHED = 1e-13;       /* of a new direction, relative to the largest entry of T */

typedef struct space {
    iso_env *env;
    const krylov_operator *s;
    uint64_t seed;
    int64_t n, m, limit;            /* length of a vector; vectors in the space; most of them */
    int64_t width;                  /* vectors of the newest block that count: W, or what is left of n */
    int64_t checked;                /* m at the last check */
    double last_sum;                /* of the first k eigenvalues, then */
    bool vanished;                  /* a direction has vanished since the last check */
    double **q;                     /* blocks of [n, W] */
    double *next;                   /* [n, W] S Q_j, then Q_{j+1} */
    double *t;                      /* [limit, limit] */
    double *overlap;                /* [blocks, W, W] */
} space;

static int64_t n_blocks(const space *a) { return (a->m + W - 1) / W; }

/* --------------------------------------------------------------------------- blocks of W vectors side by side */

/* s [W, W] = p' q. */
static void inner(const double *p, const double *q, int64_t n, double *s)
{
    double sum[W][W] = {{0}};
    for (int64_t i = 0; i < n; i++)
        for (int a = 0; a < W; a++)
            for (int b = 0; b < W; b++) sum[a][b] += p[i * W + a] * q[i * W + b];
    memcpy(s, sum, sizeof sum);
}

/* q -= p s on `rows` rows. */
static void subtract(const double *p, const double *s, int64_t rows, double *q)
{
    for (int64_t i = 0; i < rows; i++)
        for (int b = 0; b < W; b++) {
            double sum = 0;
            for (int a = 0; a < W; a++) sum += p[i * W + a] * s[a * W + b];
            q[i * W + b] -= sum;
        }
}

static void overlap_block(void *arg, int64_t block)
{
    space *a = arg;
    inner(a->q[block], a->next, a->n, a->overlap + block * W * W);
}

static void subtract_range(void *arg, int64_t range)
{
    space *a = arg;
    int64_t begin = range * RANGE, rows = a->n - begin < RANGE ? a->n - begin : RANGE;
    for (int64_t j = 0; j < n_blocks(a); j++)
        subtract(a->q[j] + begin * W, a->overlap + j * W * W, rows, a->next + begin * W);
}

/* next = its part outside the space. */
static void project_out(space *a)
{
    iso_parallel(a->env, n_blocks(a), overlap_block, a);
    iso_parallel(a->env, (a->n + RANGE - 1) / RANGE, subtract_range, a);
}

static void random_column(space *a, int column)
{
    iso_rng r = iso_rng_start((iso_rng_key){a->seed, ISO_STREAM_MAP, 3}, (uint64_t)(a->m + column));
    for (int64_t i = 0; i < a->n; i++) a->next[i * W + column] = iso_rng_normal(&r);
}

static double column_product(const space *a, int b, int c)
{
    double sum = 0;
    for (int64_t i = 0; i < a->n; i++) sum += a->next[i * W + b] * a->next[i * W + c];
    return sum;
}

/* next = Q R, Q orthonormal (modified Gram-Schmidt). A column of length <= least gets a row of zeros in R and random
 * numbers in Q, which are not orthogonal to the space yet. Returns whether the work must be done again: a column
 * vanished, or lost digits. */
static bool orthonormalize(space *a, double least, double *r)
{
    bool again = false;
    memset(r, 0, W * W * sizeof *r);
    for (int c = 0; c < a->width; c++) {
        double before = sqrt(column_product(a, c, c));
        for (int b = 0; b < c; b++) {
            r[b * W + c] = column_product(a, b, c);
            for (int64_t i = 0; i < a->n; i++) a->next[i * W + c] -= r[b * W + c] * a->next[i * W + b];
        }
        double length = sqrt(column_product(a, c, c));
        if (!(length > 0.01 * before)) again = true;
        if (length > least) {
            r[c * W + c] = length;
        } else {
            a->vanished = again = true;
            random_column(a, c);
            length = sqrt(column_product(a, c, c));
        }
        for (int64_t i = 0; i < a->n; i++) a->next[i * W + c] /= length;
    }
    for (int64_t i = 0; i < a->n; i++)
        for (int64_t c = a->width; c < W; c++) a->next[i * W + c] = 0;
    return again;
}

/* r [W, W] = what `next` was before, in terms of the orthonormal block that it becomes. */
static void next_block(space *a, double least, double *r)
{
    double first[W * W], second[W * W];
    project_out(a);
    bool again = orthonormalize(a, least, first);
    memcpy(r, first, sizeof first);
    for (int pass = 0; again && pass < 2; pass++) {
        project_out(a);
        orthonormalize(a, 0, second);
        for (int i = 0; i < W * W; i++) {
            double sum = 0;
            for (int k = 0; k < W; k++) sum += second[i / W * W + k] * r[k * W + i % W];
            first[i] = sum;
        }
        memcpy(r, first, sizeof first);
    }
}

/* ------------------------------------------------------------------------------------------------- the space */

static iso_status add_block(space *a, iso_error *err)
{
    iso_status st = ISO_OK;
    double *block = NULL;
    ALLOC(block, a->n * W, sizeof *block);
    memcpy(block, a->next, (size_t)(a->n * W) * sizeof *block);
    a->q[n_blocks(a)] = block;
    a->m += a->width;
done:
    return st;
}

/* T's block `row`, `column` and its mirror image = s [W, W]; what does not fit is left out. */
static void put(space *a, int64_t row, int64_t column, const double *s)
{
    for (int64_t i = row * W; i < row * W + W && i < a->m; i++)
        for (int64_t j = column * W; j < column * W + W && j < a->m; j++)
            a->t[i * a->limit + j] = a->t[j * a->limit + i] = s[i % W * W + j % W];
}

/* Multiplies the newest block; `next` becomes the block after it and r its coupling to the newest. */
static void multiply(space *a, double *r)
{
    int64_t newest = n_blocks(a) - 1;
    double part[W * W], largest = 0;
    a->s->product(a->s->arg, a->env, a->q[newest], a->next);
    for (int64_t j = newest; j >= 0 && j >= newest - 1; j--) {      /* the others' parts are zero but for rounding */
        inner(a->q[j], a->next, a->n, part);
        put(a, j, newest, part);
        subtract(a->q[j], part, a->n, a->next);
    }
    for (int64_t i = 0; i < a->m; i++) largest = fmax(largest, a->t[i * a->limit + i]);
    a->width = a->n - a->m < W ? a->n - a->m : W;
    next_block(a, VANISHED * largest, r);
}

/* Eigenvalues [m] of T and the last `rows` components of its eigenvectors [m, rows]. */
static iso_status small_problem(const space *a, int64_t rows, double *values, double *vectors, iso_error *err)
{
    iso_status st = ISO_OK;
    double *t = NULL, *work = NULL;
    ALLOC(t, a->m * a->m, sizeof *t);
    ALLOC(work, 3 * a->m, sizeof *work);
    for (int64_t i = 0; i < a->m; i++)
        memcpy(t + i * a->m, a->t + i * a->limit, (size_t)a->m * sizeof *t);
    eigen_symmetric(t, a->m, rows, values, vectors, work);
done:
    iso_free(t);
    iso_free(work);
    return st;
}

/* Whether the first k are found. After a direction vanished that takes two checks that agree, far enough apart for the
 * random block to show an eigenvalue of many dimensions, of which an invariant space has only some. */
static iso_status check(space *a, int k, const double *r, bool *found, iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t rows = a->m - (n_blocks(a) - 1) * W;        /* of the newest block */
    double *values = NULL, *tail = NULL, sum = 0;
    ALLOC(values, a->m, sizeof *values);
    ALLOC(tail, a->m * rows, sizeof *tail);
    TRY(small_problem(a, rows, values, tail, err));
    *found = true;
    for (int64_t i = 0; i < k; i++) {
        double residual = 0;
        for (int64_t b = 0; b < W; b++) {
            double part = 0;
            for (int64_t c = 0; c < rows; c++) part += r[b * W + c] * tail[i * rows + c];
            residual += part * part;
        }
        sum += values[i];
        if (sqrt(residual) > TOLERANCE * fabs(values[i]) + DBL_EPSILON * fabs(values[0])) *found = false;
    }
    bool same = fabs(sum - a->last_sum) <= 1e-9 * fabs(sum);
    if (a->vanished && !same) *found = false;
    if (same) a->vanished = false;
    a->last_sum = sum, a->checked = a->m;
done:
    iso_free(values);
    iso_free(tail);
    return st;
}

static iso_status grow(space *a, int k, iso_error *err)
{
    iso_status st = ISO_OK;
    double r[W * W] = {0};
    a->width = a->n < W ? a->n : W;
    for (int c = 0; c < a->width; c++) random_column(a, c);
    next_block(a, 0, r);
    a->vanished = false;
    bool found = false;
    while (!found && a->m + a->width <= a->limit && a->width > 0) {
        FAIL_IF(iso_env_interrupted(a->env), ISO_EINTERRUPT, "interrupted while computing principal components");
        TRY(add_block(a, err));
        multiply(a, r);
        int64_t due = a->checked + (a->checked / 10 > PROBE ? a->checked / 10 : PROBE);
        if (a->m >= k && a->m >= due && a->width == W) TRY(check(a, k, r, &found, err));
    }
    if (!found && a->m < a->n)
        iso_warn(a->env, "principal components: the last of %d are not exact after %lld products", k, (long long)a->m);
done:
    return st;
}

/* --------------------------------------------------------------------------------------- eigenvectors of S */

typedef struct rotation { const space *a; const double *small; /* [m, m] */ int k; double *vectors; } rotation;

static void rotate_range(void *arg, int64_t range)
{
    const rotation *o = arg;
    const space *a = o->a;
    int64_t begin = range * RANGE, end = a->n - begin < RANGE ? a->n : begin + RANGE;
    for (int64_t j = 0; j < a->m; j++)
        for (int64_t i = begin; i < end; i++) {
            double q = a->q[j / W][i * W + j % W];
            for (int64_t c = 0; c < o->k; c++) o->vectors[i * o->k + c] += q * o->small[j * o->k + c];
        }
}

static iso_status extract(space *a, int k, double *values, double *vectors, iso_error *err)
{
    iso_status st = ISO_OK;
    double *all = NULL, *small = NULL, *first = NULL;
    ALLOC(all, a->m, sizeof *all);
    ALLOC(small, a->m * a->m, sizeof *small);
    ALLOC(first, a->m * k, sizeof *first);
    TRY(small_problem(a, a->m, all, small, err));
    memcpy(values, all, (size_t)k * sizeof *values);
    for (int64_t c = 0; c < k; c++)
        for (int64_t j = 0; j < a->m; j++) first[j * k + c] = small[c * a->m + j];
    rotation o = {a, first, k, vectors};
    memset(vectors, 0, (size_t)(a->n * k) * sizeof *vectors);
    iso_parallel(a->env, (a->n + RANGE - 1) / RANGE, rotate_range, &o);
done:
    iso_free(all);
    iso_free(small);
    iso_free(first);
    return st;
}

iso_status krylov_leading(iso_env *env, const krylov_operator *s, int k, uint64_t seed, double *values, double *vectors,
                          iso_error *err)
{
    iso_status st = ISO_OK;
    int64_t limit = 10 * (int64_t)k + 800;
    space a = {.env = env, .s = s, .seed = seed, .n = s->n, .limit = limit < s->n ? limit : s->n};
    int64_t blocks = (a.limit + W - 1) / W;
    ALLOC(a.q, blocks, sizeof *a.q);
    ALLOC(a.next, a.n * W, sizeof *a.next);
    ALLOC(a.t, a.limit * a.limit, sizeof *a.t);
    ALLOC(a.overlap, blocks * W * W, sizeof *a.overlap);
    TRY(grow(&a, k, err));
    TRY(extract(&a, k, values, vectors, err));
done:
    for (int64_t j = 0; a.q && j < blocks; j++) iso_free(a.q[j]);
    iso_free(a.q);
    iso_free(a.next);
    iso_free(a.t);
    iso_free(a.overlap);
    return st;
}
