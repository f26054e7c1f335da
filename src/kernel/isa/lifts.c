/* lifts.c: the small matrices of Winograd's minimal filters (Lavin & Gray 2016, arXiv:1509.09308), F(2 x 2, r x r), r = 2 or 3.
 *
 * Each is applied to rows and to columns of a square of vectors: out = L in L^T. With n = r + 1 points and taps g, inputs d
 * and outputs y: y = A^T [(G g G^T) . (B^T d B)] A. All entries are 0, 1, -1 or 1/2, so that little precision is lost. */
#include "isa.h"

/* One register. */
typedef real vec __attribute__((vector_size(REGISTER_BYTES), aligned(sizeof(real)), may_alias));
enum { WIDTH = REGISTER_BYTES / sizeof(real) };

/* The next term L x of a sum, for an entry of L that the compiler knows; begun: the sum has one already. */
#define ADD_TERM(sum, begun, entry, x)                              \
    do {                                                            \
        if ((entry) == 0) break;                                    \
        if (begun) (sum) += (real)(entry) * (x);                    \
        else (sum) = (real)(entry) * (x);                           \
        (begun) = true;                                             \
    } while (0)

/* Numbers k .. of all vectors, as many as there are in a `type`. */
#define LIFT(type, p, q, ADDS)                                                                                                            \
    do {                                                                                                                            \
        type rows[p][q];                                                                                                            \
        for (int b = 0; b < (q); b++) {                                                                                             \
            type x[q];                                                                                                              \
            for (int a = 0; a < (q); a++) x[a] = *(const type *)(in + a * in_row + b * in_col + k);                                  \
            for (int i = 0; i < (p); i++) {                                                                                         \
                type sum = {0};                                                                                                     \
                bool begun = false;                                                                                                 \
                for (int a = 0; a < (q); a++) ADD_TERM(sum, begun, L[i][a], x[a]);                                                   \
                rows[i][b] = sum;                                                                                                   \
            }                                                                                                                       \
        }                                                                                                                           \
        for (int i = 0; i < (p); i++)                                                                                               \
            for (int j = 0; j < (p); j++) {                                                                                         \
                type *to = (type *)(out + i * out_row + j * out_col + k), sum = {0};                                                 \
                bool begun = false;                                                                                                 \
                for (int b = 0; b < (q); b++) ADD_TERM(sum, begun, L[j][b], rows[i][b]);                                             \
                if (ADDS) sum += *to;                                                                                               \
                *to = sum;                                                                                                          \
            }                                                                                                                       \
    } while (0)

#define DEFINE_LIFT(name, p, q, ADDS, ...)                                                                                                \
    static void name(int64_t length, const real *in, int64_t in_row, int64_t in_col, real *out, int64_t out_row, int64_t out_col,   \
                     bool add)                                                                                                      \
    {                                                                                                                               \
        (void)add;                                                                                                                  \
        static const double L[p][q] = __VA_ARGS__;                                                                                  \
        int64_t k = 0;                                                                                                              \
        for (; k + WIDTH <= length; k += WIDTH) LIFT(vec, p, q, ADDS);                                                                     \
        for (; k < length; k++) LIFT(real, p, q, ADDS);                                                                                    \
    }

DEFINE_LIFT(read2, 3, 3, false, {{1, -1, 0}, {0, 1, 0}, {0, -1, 1}})
DEFINE_LIFT(unread2, 3, 3, true, {{1, 0, 0}, {-1, 1, -1}, {0, 0, 1}})
DEFINE_LIFT(taps2, 3, 2, false, {{1, 0}, {1, 1}, {0, 1}})
DEFINE_LIFT(untaps2, 2, 3, add, {{1, 1, 0}, {0, 1, 1}})
DEFINE_LIFT(write2, 2, 3, add, {{1, 1, 0}, {0, 1, 1}})
DEFINE_LIFT(unwrite2, 3, 2, false, {{1, 0}, {1, 1}, {0, 1}})

DEFINE_LIFT(read3, 4, 4, false, {{1, 0, -1, 0}, {0, 1, 1, 0}, {0, -1, 1, 0}, {0, 1, 0, -1}})
DEFINE_LIFT(unread3, 4, 4, true, {{1, 0, 0, 0}, {0, 1, -1, 1}, {-1, 1, 1, 0}, {0, 0, 0, -1}})
DEFINE_LIFT(taps3, 4, 3, false, {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}})
DEFINE_LIFT(untaps3, 3, 4, add, {{1, 0.5, 0.5, 0}, {0, 0.5, -0.5, 0}, {0, 0.5, 0.5, 1}})
DEFINE_LIFT(write3, 2, 4, add, {{1, 1, 1, 0}, {0, 1, -1, -1}})
DEFINE_LIFT(unwrite3, 4, 2, false, {{1, 0}, {1, 1}, {1, -1}, {0, -1}})

const iso_winograd KERNEL(winograd)[2] = {
    {.taps = taps2, .untaps = untaps2, .read = read2, .unread = unread2, .write = write2, .unwrite = unwrite2},
    {.taps = taps3, .untaps = untaps3, .read = read3, .unread = unread3, .write = write3, .unwrite = unwrite3},
};
