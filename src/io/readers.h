/* readers.h: the functions behind the rows of readers.c; for io/ alone. */
#ifndef ISO_READERS_H
#define ISO_READERS_H

#include "dataset.h"

bool h5ad_sniff(const char *path);
iso_status h5ad_read(iso_env *env, const char *path, const char *layer, iso_dataset *d, iso_error *err);
bool tenx_h5_sniff(const char *path);
iso_status tenx_h5_read(iso_env *env, const char *path, const char *layer, iso_dataset *d, iso_error *err);
bool tenx_mtx_sniff(const char *path);
iso_status tenx_mtx_read(iso_env *env, const char *path, const char *layer, iso_dataset *d, iso_error *err);

/* 10x features are not only genes: keeps the columns of d->x and the rows of d->var whose `feature_types` is
 * "Gene Expression", and says how many others were left out. Without that column all are kept. */
iso_status tenx_keep_genes(iso_env *env, iso_dataset *d, iso_error *err);

/* "a, b, c", at most 20 of the names; if_none when n is 0. The caller frees; NULL: no memory. */
char *iso_join(const char *const *names, int64_t n, const char *if_none);

/* A format that is recognised but not read; the advice ends the message. */
typedef struct iso_unsupported {
    const char *what;
    bool (*sniff)(const char *path);
    const char *advice;
} iso_unsupported;
extern const iso_unsupported iso_unsupported_formats[];      /* ends with what NULL */

#endif
