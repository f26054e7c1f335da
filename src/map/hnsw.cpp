/* hnsw.cpp: see hnsw.h. Hierarchical navigable small worlds (Malkov & Yashunin 2020, doi:10.1109/TPAMI.2018.2889473),
 * as hnswlib has them. The distance is our own: hnswlib's picks other code, with other rounding, by the CPU. */
#include "hnsw.h"

#ifdef ISO_HAVE_HNSWLIB

#define NO_MANUAL_VECTORIZATION           /* of hnswlib's own distances, which choose by the CPU and keep the choice */
#include <hnswlib/hnswlib.h>

#include <exception>
#include <memory>

namespace {

const size_t LINKS = 16;                  /* per row and level ("M") */
const size_t EFFORT_BUILD = 100;          /* candidates held while a row is put in ("efConstruction") */
const size_t EFFORT_FIND = 100;           /* and while it is looked for ("ef"), at least */
const size_t LANES = 8;

/* Squared distance in LANES partial sums, which the compiler can keep in vector registers. */
float squared_distance(const void *a, const void *b, const void *d_)
{
    const float *x = static_cast<const float *>(a), *y = static_cast<const float *>(b);
    const size_t d = *static_cast<const size_t *>(d_);
    float sums[LANES] = {0}, total = 0;
    size_t c = 0;
    for (; c + LANES <= d; c += LANES)
        for (size_t l = 0; l < LANES; l++) sums[l] += (x[c + l] - y[c + l]) * (x[c + l] - y[c + l]);
    for (; c < d; c++) total += (x[c] - y[c]) * (x[c] - y[c]);
    for (float s : sums) total += s;
    return total;
}

class euclidean : public hnswlib::SpaceInterface<float> {
    size_t d;
public:
    explicit euclidean(size_t d_) : d(d_) {}
    size_t get_data_size() override { return d * sizeof(float); }
    hnswlib::DISTFUNC<float> get_dist_func() override { return squared_distance; }
    void *get_dist_func_param() override { return &d; }
};

}

struct hnsw {
    size_t d;
    euclidean space;
    hnswlib::HierarchicalNSW<float> index;
    hnsw(size_t n, size_t d_, size_t seed) : d(d_), space(d_), index(&space, n, LINKS, EFFORT_BUILD, seed) {}
};

bool hnsw_available(void) { return true; }

hnsw *hnsw_new(int64_t n, int64_t d, uint64_t seed)
{
    try {
        return new hnsw(static_cast<size_t>(n), static_cast<size_t>(d), seed);
    } catch (const std::exception &) {
        return nullptr;
    }
}

void hnsw_free(hnsw *h) { delete h; }

bool hnsw_add(hnsw *h, const float *x, int64_t first, int64_t last)
{
    try {
        for (int64_t i = first; i < last; i++)
            h->index.addPoint(x + static_cast<size_t>(i) * h->d, static_cast<size_t>(i));
        return true;
    } catch (const std::exception &) {
        return false;
    }
}

int hnsw_find(const hnsw *h, const float *q, int k, int32_t *index)
{
    try {
        /* searchKnn holds max(ef, k) candidates, and ef is shared by all threads: so ask for more, keep the k nearest */
        auto found = h->index.searchKnn(q, std::max(EFFORT_FIND, static_cast<size_t>(k) * 2));
        while (found.size() > static_cast<size_t>(k)) found.pop();
        const int n = static_cast<int>(found.size());
        for (int j = 0; j < n; j++, found.pop()) index[j] = static_cast<int32_t>(found.top().second);
        return n;
    } catch (const std::exception &) {
        return -1;
    }
}

#else

bool hnsw_available(void) { return false; }
hnsw *hnsw_new(int64_t, int64_t, uint64_t) { return nullptr; }
void hnsw_free(hnsw *) {}
bool hnsw_add(hnsw *, const float *, int64_t, int64_t) { return false; }
int hnsw_find(const hnsw *, const float *, int, int32_t *) { return -1; }

#endif
