"""Some cells of a file, as a file of its own: subset.py CELLS.h5ad OUT.h5ad N_CELLS [SEED]

N_CELLS cells drawn at random, without the empty ones, in the order of the file; obs column `split` marks a tenth of them as test, unless
the file has that column.
"""
import sys

import anndata
import numpy as np
import pandas as pd
from scipy import sparse


def main():
    source, out, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
    rng = np.random.default_rng(int(sys.argv[4]) if len(sys.argv) > 4 else 0)
    cells = anndata.read_h5ad(source)
    cells.X = sparse.csr_matrix(cells.X)
    filled = np.flatnonzero(np.asarray(cells.X.sum(axis=1)).ravel() > 0)
    if n > len(filled):
        sys.exit(f"{source}: {len(filled)} cells that are not empty, {n} wanted")
    some = cells[np.sort(rng.choice(filled, n, replace=False))].copy()
    if "split" not in some.obs:
        test = np.isin(np.arange(n), rng.choice(n, n // 10, replace=False))
        some.obs["split"] = pd.Categorical(np.where(test, "test", "train"))
    some.write_h5ad(out, compression="gzip")
    print(f"{out}: {n} of {cells.n_obs} cells x {some.n_vars} genes, {(some.obs['split'] == 'test').sum()} test")


if __name__ == "__main__":
    main()
