/* hnsw.h: hnswlib's index behind C functions. Nothing is thrown across them. */
#ifndef ISO_HNSW_H
#define ISO_HNSW_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hnsw hnsw;

bool hnsw_available(void);                /* false: hnswlib was not there when this was built */
/* An empty index for n rows of d numbers; NULL: no memory. */
hnsw *hnsw_new(int64_t n, int64_t d, uint64_t seed);
void hnsw_free(hnsw *h);
/* Rows first..last-1 of x [n, d]; from one thread, in order: then the index is a function of x and seed alone. */
bool hnsw_add(hnsw *h, const float *x, int64_t first, int64_t last);        /* false: no memory */
/* Up to k rows near q [d], in no order. How many; -1: no memory. Any number of threads at once. */
int hnsw_find(const hnsw *h, const float *q, int k, int32_t *index);

#ifdef __cplusplus
}
#endif
#endif
