"""Neighbours, clusters and layout of many cells against scanpy's: map.py PROGRAM CELLS.h5ad [LABELS_KEY].

Fits a short model (8 epochs) and takes its latent space. Labels are only there to save time: `fit` also explains cells as mixtures of groups, which
are the labels if there are any, and a hundred clusters take long. Isolario's seconds are those that run.json gives for `neighbors`, `clusters` and `layout`;
scanpy's are of pp.neighbors (15 neighbours), tl.leiden (igraph, 2 iterations) and tl.umap on the same latent space, just after. scanpy runs
once before on 9,000 of the cells, which compiles its code, so that this is not counted.

Quality, for 5,000 cells drawn at random, among all cells: trustworthiness (Venna & Kaski 2001, 15 neighbours), and the share of a cell's 15 nearest
in the latent space that are among its 15 and its 100 nearest in the layout. Modularity of both clusterings is on scanpy's graph. Prints a table.
"""
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

THREADS = "2"
os.environ.update(NUMBA_NUM_THREADS=THREADS, OMP_NUM_THREADS=THREADS, OPENBLAS_NUM_THREADS=THREADS)
warnings.simplefilter("ignore")

import anndata  # noqa: E402
import numpy as np  # noqa: E402
import scanpy as sc  # noqa: E402

EPOCHS, K, WIDE, SAMPLE, CHUNK, WARM_UP = 8, 15, 100, 5000, 200, 9000


def ours(program, path, *more):
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        subprocess.run([program, "fit", path, "-o", run, "--max-epochs", str(EPOCHS), "--n-samples", "0", "--quiet", "--threads", THREADS, *more], check=True)
        seconds = json.loads((run / "run.json").read_text())["seconds"]
        cells = anndata.read_h5ad(run / "latent.h5ad")
    return cells, [seconds[stage] for stage in ("neighbors", "clusters", "layout")]


def theirs(latent):
    cells = anndata.AnnData(np.zeros((len(latent), 1), "f4"), obsm={"latent": latent})
    times = [time.perf_counter()]
    for step in (lambda: sc.pp.neighbors(cells, n_neighbors=K, use_rep="latent"),
                 lambda: sc.tl.leiden(cells, flavor="igraph", n_iterations=2, directed=False),
                 lambda: sc.tl.umap(cells)):
        step()
        times.append(time.perf_counter())
    return cells, np.diff(times)


def distances(x, rows):
    """Squared, of rows to all; the row itself is farthest."""
    d = (x[rows] ** 2).sum(1)[:, None] + (x ** 2).sum(1) - 2 * x[rows] @ x.T
    d[np.arange(len(rows)), rows] = np.inf
    return d


def quality(latent, layout, rows):
    n, lost, kept, kept_wide = len(latent), 0, 0, 0
    for some in np.array_split(rows, -(-len(rows) // CHUNK)):
        high, low = distances(latent, some), distances(layout.astype("f4"), some)
        near = np.argpartition(high, K, 1)[:, :K]
        wide = np.argpartition(low, WIDE, 1)[:, :WIDE]
        order = np.take_along_axis(low, wide, 1).argsort(1)
        wide = np.take_along_axis(wide, order, 1)
        for h, own, there in zip(high, near, wide):
            rank = np.searchsorted(np.sort(h), h[there[:K]]) + 1
            lost += np.maximum(rank - K, 0).sum()
            kept += np.isin(own, there[:K]).mean()
            kept_wide += np.isin(own, there).mean()
    return 1 - 2 * lost / (len(rows) * K * (2 * n - 3 * K - 1)), kept / len(rows), kept_wide / len(rows)


def modularity(graph, labels):
    labels = np.unique(np.asarray(labels), return_inverse=True)[1]
    edges, total, degree = graph.tocoo(), graph.sum(), np.asarray(graph.sum(1)).ravel()
    within = edges.data[labels[edges.row] == labels[edges.col]].sum()
    return within / total - (np.bincount(labels, degree) ** 2).sum() / total ** 2


def main():
    program, path = sys.argv[1], sys.argv[2]
    cells, our_times = ours(program, path, *(["--labels-key", sys.argv[3]] if len(sys.argv) > 3 else []))
    latent = np.ascontiguousarray(cells.obsm["X_isolario"], dtype="f4")
    theirs(latent[:WARM_UP])
    other, their_times = theirs(latent)
    rows = np.random.default_rng(0).choice(len(latent), min(SAMPLE, len(latent)), replace=False)
    graph = other.obsp["connectivities"]
    print(f"{len(latent)} cells, {latent.shape[1]} dimensions, {THREADS} threads\n\n| | Isolario | scanpy {sc.__version__} | ratio |\n|---|---|---|---|")
    for name, a, b in zip(("neighbours and graph", "clusters", "layout"), our_times, their_times):
        print(f"| {name} | {a:.1f} s | {b:.1f} s | {b / a:.1f} x |")
    print(f"| together | {sum(our_times):.1f} s | {sum(their_times):.1f} s | {sum(their_times) / sum(our_times):.1f} x |")
    scores = [quality(latent, c.obsm["X_umap"], rows) for c in (cells, other)]
    for name, a, b in zip(("trustworthiness", f"{K} nearest among the {K} nearest of the layout", f"{K} nearest among its {WIDE} nearest"), *scores):
        print(f"| {name} | {a:.3f} | {b:.3f} | |")
    ours_labels, their_labels = cells.obs["leiden"], other.obs["leiden"]
    print(f"| clusters found | {ours_labels.nunique()} | {their_labels.nunique()} | |")
    print(f"| modularity | {modularity(graph, ours_labels):.4f} | {modularity(graph, their_labels):.4f} | |")


if __name__ == "__main__":
    main()
