/* h5_matrix.h: cells x genes out of HDF5, sparse in either direction or dense; shared by the h5ad and 10x readers. */
#ifndef ISO_H5_MATRIX_H
#define ISO_H5_MATRIX_H

#include "csr.h"
#include "h5.h"

/* A group of data, indices and indptr. by_gene: indptr runs over genes (CSC); else over cells (CSR). */
iso_status h5_read_sparse(const h5_file *f, const char *group, bool by_gene, csr_axis cells, csr_axis genes, iso_csr *m,
                          iso_error *err);
/* A dataset [cells, genes]. */
iso_status h5_read_dense(const h5_file *f, const char *place, csr_axis cells, csr_axis genes, iso_csr *m, iso_error *err);

#endif
