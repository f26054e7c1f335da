/* lifts.c: the small matrices of Winograd's minimal filters F(m x m, r x r) (Lavin & Gray 2016, arXiv:1509.09308), for m = 2 and 4
 * outputs and r = 2 and 3 taps a side.
 *
 * Each is applied to rows and to columns of a square of vectors: out = L in L^T. With n = m + r - 1 points and taps g, inputs d
 * and outputs y: y = A^T[(G g G^T) . (B^T d B)] A. G and A evaluate polynomials at the points, the last of which is infinity, B^T is
 * the transpose of interpolation there (Toom and Cook). Points for 2 outputs: 0, 1 (3 taps: -1); for 4 outputs: 0, 1, -1, 2 (3 taps:
 * -1/2). Rows of B^T are multiplied, and those of G divided, by what leaves few digits. In float the largest error of a
 * convolution, of its largest value, is 2e-7 with 2 outputs, and 1e-6 with 4. */
#include "isa.h"

/* One register. */
typedef real vec __attribute__((vector_size(REGISTER_BYTES), aligned(sizeof(real)), may_alias));
enum { WIDTH = REGISTER_BYTES / sizeof(real) };

/* Of a loop whose counter picks an entry of a matrix: each entry is then known where it is used, and those of 0 and 1 cost nothing. */
#ifdef __clang__
#define UNROLLED _Pragma("clang loop unroll(full)")
#else
#define UNROLLED _Pragma("GCC unroll 8")
#endif

/* The next term L x of a sum, for an entry of L that the compiler knows; begun: the sum has one already. */
#define ADD_TERM(sum, begun, entry, x)                              \
    do {                                                            \
        if ((entry) == 0) break;                                    \
        if (begun) (sum) += (real)(entry) * (x);                    \
        else (sum) = (real)(entry) * (x);                           \
        (begun) = true;                                             \
    } while (0)

#define PLAIN(L, i, a) (L)[i][a]
#define TURNED(L, i, a) (L)[a][i]

/* Numbers k .. of all vectors, a register of each. */
#define LIFT(p, q, ADDS, ENTRY, L)                                                                                                  \
    do {                                                                                                                            \
        vec rows[p][q];                                                                                                             \
        UNROLLED for (int b = 0; b < (q); b++) {                                                                                    \
            vec x[q];                                                                                                               \
            UNROLLED for (int a = 0; a < (q); a++) x[a] = *(const vec *)(in + a * in_row + b * in_col + k);                        \
            UNROLLED for (int i = 0; i < (p); i++) {                                                                                \
                vec sum = {0};                                                                                                      \
                bool begun = false;                                                                                                 \
                UNROLLED for (int a = 0; a < (q); a++) ADD_TERM(sum, begun, ENTRY(L, i, a), x[a]);                                  \
                rows[i][b] = sum;                                                                                                   \
            }                                                                                                                       \
        }                                                                                                                           \
        UNROLLED for (int i = 0; i < (p); i++)                                                                                      \
            UNROLLED for (int j = 0; j < (p); j++) {                                                                                \
                vec *to = (vec *)(out + i * out_row + j * out_col + k), sum = {0};                                                 \
                bool begun = false;                                                                                                 \
                UNROLLED for (int b = 0; b < (q); b++) ADD_TERM(sum, begun, ENTRY(L, j, b), rows[i][b]);                            \
                if (ADDS) sum += *to;                                                                                               \
                *to = sum;                                                                                                          \
            }                                                                                                                       \
    } while (0)

/* The same for what is left when no whole register is: with the matrix [p, q] at run time, its entries `down` and `right` apart. */
enum { MOST = 6 };
typedef struct matrix { int p, q, down, right; const double *L; } matrix;
#define PLAIN_MATRIX(p, q, L) {p, q, q, 1, &(L)[0][0]}
#define TURNED_MATRIX(p, q, L) {p, q, 1, p, &(L)[0][0]}

static void lift_rest(const matrix *m, int64_t k, int64_t length, const real *in, int64_t in_row, int64_t in_col, real *out, int64_t out_row,
                      int64_t out_col, bool add)
{
    for (; k < length; k++) {
        real rows[MOST][MOST];
        for (int i = 0; i < m->p; i++)
            for (int b = 0; b < m->q; b++) {
                rows[i][b] = 0;
                for (int a = 0; a < m->q; a++) rows[i][b] += (real)m->L[i * m->down + a * m->right] * in[a * in_row + b * in_col + k];
            }
        for (int i = 0; i < m->p; i++)
            for (int j = 0; j < m->p; j++) {
                real *to = out + i * out_row + j * out_col + k, sum = 0;
                for (int b = 0; b < m->q; b++) sum += (real)m->L[j * m->down + b * m->right] * rows[i][b];
                *to = add ? *to + sum : sum;
            }
    }
}

#define DEFINE_LIFT(name, p, q, ADDS, ENTRY, L)                                                                                     \
    static void name(int64_t length, const real *in, int64_t in_row, int64_t in_col, real *out, int64_t out_row, int64_t out_col,   \
                     bool add)                                                                                                      \
    {                                                                                                                               \
        (void)add;                                                                                                                  \
        int64_t k = 0;                                                                                                              \
        for (; k + WIDTH <= length; k += WIDTH) LIFT(p, q, ADDS, ENTRY, L);                                                         \
        static const matrix whole = ENTRY##_MATRIX(p, q, L);                                                                        \
        if (k < length) lift_rest(&whole, k, length, in, in_row, in_col, out, out_row, out_col, ADDS);                              \
    }

/* The six lifts of F(m x m, r x r) from its three matrices, by the name's ending. */
#define DEFINE_FILTER(m, r, n)                                                                                                      \
    DEFINE_LIFT(read##m##r, n, n, false, PLAIN, BT##m##r)                                                                           \
    DEFINE_LIFT(unread##m##r, n, n, true, TURNED, BT##m##r)                                                                         \
    DEFINE_LIFT(taps##m##r, n, r, false, PLAIN, G##m##r)                                                                            \
    DEFINE_LIFT(untaps##m##r, r, n, add, TURNED, G##m##r)                                                                           \
    DEFINE_LIFT(write##m##r, m, n, false, PLAIN, AT##m##r)                                                                          \
    DEFINE_LIFT(unwrite##m##r, n, m, false, TURNED, AT##m##r)

static const double BT22[3][3] = {{1, -1, 0}, {0, 1, 0}, {0, -1, 1}};
static const double G22[3][2] = {{1, 0}, {1, 1}, {0, 1}};
static const double AT22[2][3] = {{1, 1, 0}, {0, 1, 1}};
DEFINE_FILTER(2, 2, 3)

static const double BT23[4][4] = {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}};
static const double G23[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
static const double AT23[2][4] = {{1, 1, 1, 0}, {0, 1, -1, -1}};
DEFINE_FILTER(2, 3, 4)

static const double BT42[5][5] = {{2, -1, -2, 1, 0}, {0, 2, 1, -1, 0}, {0, -2, 3, -1, 0}, {0, -1, 0, 1, 0}, {0, 2, -1, -2, 1}};
static const double G42[5][2] = {{0.5, 0}, {0.5, 0.5}, {1 / 6.0, -1 / 6.0}, {1 / 6.0, 1 / 3.0}, {0, 1}};
static const double AT42[4][5] = {{1, 1, 1, 1, 0}, {0, 1, -1, 2, 0}, {0, 1, 1, 4, 0}, {0, 1, -1, 8, 1}};
DEFINE_FILTER(4, 2, 5)

static const double BT43[6][6] = {{1, 1.5, -2, -1.5, 1, 0},  {0, 1, 2.5, 0.5, -1, 0}, {0, 1, 0.5, -2.5, 1, 0},
                                  {0, -1, -2, 1, 2, 0},      {0, -2, 1, 2, -1, 0},    {0, 1, 1.5, -2, -1.5, 1}};
static const double G43[6][3] = {{1, 0, 0},
                                 {1 / 3.0, 1 / 3.0, 1 / 3.0},
                                 {1 / 3.0, -1 / 3.0, 1 / 3.0},
                                 {1 / 30.0, 2 / 30.0, 4 / 30.0},
                                 {16 / 15.0, -8 / 15.0, 4 / 15.0},
                                 {0, 0, 1}};
static const double AT43[4][6] = {{1, 1, 1, 1, 1, 0}, {0, 1, -1, 2, -0.5, 0}, {0, 1, 1, 4, 0.25, 0}, {0, 1, -1, 8, -0.125, 1}};
DEFINE_FILTER(4, 3, 6)

#define FILTER(m, r) {m, taps##m##r, untaps##m##r, read##m##r, unread##m##r, write##m##r, unwrite##m##r}
const iso_winograd KERNEL(winograd)[2][2] = {{FILTER(2, 2), FILTER(2, 3)}, {FILTER(4, 2), FILTER(4, 3)}};
