"""An atlas-sized file out of real cells: each new cell is a real one with new noise.

atlas.py CELLS.h5ad OUT.h5ad N_CELLS [SEED [N_GENES]]

A new cell takes a real cell's counts x and draws Poisson(x * Gamma(20) / 20): counts spread as those of a sister cell would. Written block
by block as CSR (int32 indices, float32 counts, no compression), so that the file can be larger than memory; obs column `split`
marks a tenth of the real cells, with all that come from them, as test; `parent` is the number of the real cell. With N_GENES only that
many genes, those with the most counts, in the order of the file.
"""
import sys

import anndata
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

BLOCK = 20000


def main():
    source, out, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
    rng = np.random.default_rng(int(sys.argv[4]) if len(sys.argv) > 4 else 0)
    cells = anndata.read_h5ad(source)
    counts = sparse.csr_matrix(cells.X)
    if len(sys.argv) > 5:
        most = np.argsort(-np.asarray(counts.sum(axis=0)).ravel(), kind="stable")[:int(sys.argv[5])]
        cells, counts = cells[:, np.sort(most)], counts[:, np.sort(most)]
    test = rng.random(cells.n_obs) < 0.1
    parents = rng.integers(0, cells.n_obs, n)
    obs = pd.DataFrame({"split": pd.Categorical(np.where(test[parents], "test", "train")), "parent": parents}, index=[f"c{i}" for i in range(n)])
    anndata.AnnData(obs=obs, var=cells.var[[]]).write_h5ad(out)
    with h5py.File(out, "a") as f:
        if "X" in f:
            del f["X"]
        x = f.create_group("X")
        x.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": np.array([n, cells.n_vars])})
        data = x.create_dataset("data", shape=(0,), maxshape=(None,), dtype="f4", chunks=(1 << 18,))
        indices = x.create_dataset("indices", shape=(0,), maxshape=(None,), dtype="i4", chunks=(1 << 18,))
        lengths, nnz = [np.zeros(1, "i8")], 0
        for start in range(0, n, BLOCK):
            block = counts[parents[start:start + BLOCK]]
            block.data = rng.poisson(block.data * rng.gamma(20, 1 / 20, block.nnz)).astype("f4")
            block.eliminate_zeros()
            empty = np.flatnonzero(np.diff(block.indptr) == 0)
            block = block.tolil() if len(empty) else block
            for row in empty:
                block[row, 0] = 1
            block = sparse.csr_matrix(block)
            for dataset, values in ((data, block.data), (indices, block.indices)):
                dataset.resize((nnz + block.nnz,))
                dataset[nnz:] = values
            nnz += block.nnz
            lengths.append(np.diff(block.indptr))
        x.create_dataset("indptr", data=np.cumsum(np.concatenate(lengths)))
    print(f"{out}: {n} cells x {cells.n_vars} genes, {nnz / n / cells.n_vars:.1%} not zero, {nnz * 8 / 2**30:.2f} GiB as CSR")


if __name__ == "__main__":
    main()
