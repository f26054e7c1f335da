"""Density of the map on physical mixtures of cell lines: doublets, unseen lines, the origin, paths between lines.

voids.py PROGRAM mixology_lines.h5ad mixology_cellmix.h5ad [SEEDS]

Trains on 80 % of the CEL-seq2 singlets (1,200 most variable genes, nb, 8 dimensions, 150 epochs), with and without two of the five lines, and holds
against the density and the classes of `anomaly`: held-out singlets, in-silico doublets thinned to the usual depth (heterotypic; homotypic as the control
that should not be told), real wells with two cells, the lines that were left out, and wells of nine cells, mixed and pure. ||z||^2 stands beside it as the
control that must fail. Then trains on the wells of nine and holds positions on the paths between pure ones against the known shares. Prints a few lines a seed.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from scipy import sparse


def thin(counts, depth, rng):
    totals = counts.sum(1)
    return np.array([rng.binomial(row, min(1, depth / max(total, 1))) for row, total in zip(counts, totals)])


def auc(low, high):
    """Chance that a value of `high` is above one of `low`."""
    order = np.concatenate([low, high]).argsort().argsort() + 1
    return (order[len(low):].sum() - len(high) * (len(high) + 1) / 2) / len(low) / len(high)


def write(path, counts, genes, **obs):
    a = anndata.AnnData(sparse.csr_matrix(counts.astype("float32")), obs=pd.DataFrame(obs, index=[f"c{i}" for i in range(len(counts))]))
    a.var_names = genes
    a.write_h5ad(path)
    return path


def call(program, *words):
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return done


def scores(program, run, path, folder):
    """-log density and ||z||^2 of the cells of a file."""
    text = call(program, "anomaly", run, path, "--drop-empty", "-q").stdout
    density = np.array([float(line.split("\t")[1]) for line in text.splitlines()[1:]])
    p = np.array([float(line.split("\t")[2]) for line in text.splitlines()[1:]])
    kind = np.array([line.split("\t")[6] for line in text.splitlines()[1:]])
    w2 = np.array([float(line.split("\t")[4]) for line in text.splitlines()[1:]])
    out = folder / "z.h5ad"
    call(program, "embed", run, path, "-o", out, "--force", "--drop-empty", "-q")
    return -density, (anndata.read_h5ad(out).obsm["X_isolario"] ** 2).sum(1), p, kind, w2


def doublets(counts, line, batch, same, n, depth, rng):
    """Counts of n pairs of cells of a batch, of the same line or not; and their batches."""
    out, of = [], []
    while len(out) < n:
        i, j = rng.integers(0, len(counts), 2)
        if i != j and batch[i] == batch[j] and (line[i] == line[j]) == same:
            out.append(counts[i] + counts[j])
            of.append(batch[i])
    return thin(np.array(out), depth, rng), of


def in_voids(program, run, line, split, a, b, rng):
    """Share in voids of paths from cells of line a to cells of line b, along the data and straight: means over eight pairs of training cells, in %."""
    found = []
    for i, j in zip(rng.choice(np.flatnonzero((line == a) & (split == "train")), 8), rng.choice(np.flatnonzero((line == b) & (split == "train")), 8)):
        words = call(program, "path", run, "--from", f"c{i}", "--to", f"c{j}", "--steps", 3).stderr.split("lies in voids for ")[1]
        found.append((float(words.split(" %")[0]), float(words.split("straight line for ")[1].split(" %")[0])))
    return np.mean(found, 0)


LINES = ["H1975", "H2228", "HCC827"]


def shares(wells):
    """Cells of each line in a well [wells, 3]; which wells are sound; which are of one line; which are well mixed."""
    n = wells.obs[LINES].to_numpy().astype(float)
    total, good = n.sum(1), (wells.obs.poor_quality.astype(str) != "YES").to_numpy()
    return n, good & (total > 0), good & (total > 0) & (n.max(1) == total), good & (total >= 3) & (n.max(1) <= 0.7 * total)


def well_sets(wells, genes, depth, rng):
    """Mixed and pure wells, thinned to the depth of a cell, over the genes that the model knows of."""
    shared = [g for g in genes if g in set(wells.var_names)]
    x = wells[:, shared].X.toarray().astype(int)
    _, _, pure, mixed = shares(wells)
    return shared, thin(x[mixed], depth, rng), thin(x[pure], depth, rng)


def along(program, wells, seed, folder):
    """Spearman correlation of the position on the path between two pure lines with the true share, of wells of those two lines."""
    n, sound, pure, _ = shares(wells)
    wells, n, pure = wells[sound], n[sound], pure[sound]
    x = wells.X.toarray().astype(int)
    genes = np.argsort(-np.log1p(x / x.sum(1, keepdims=True) * 1e4).var(0))[:1200]
    line = np.where(pure, np.array(LINES)[n.argmax(1)], "mixed")
    path = write(folder / "wells.h5ad", x[:, genes], wells.var_names[genes], line=line, batch=wells.obs.batch.to_numpy().astype(str))
    call(program, "fit", path, "-o", folder / "wells", "--force", "-q", "--seed", seed, "--labels-key", "line", "--batch-key", "batch", "--n-latent", 8,
         "--encoder-input", "log1p_normalized", "--n-samples", 0)
    found = []
    for i, a in enumerate(LINES):
        for j in range(i + 1, 3):
            call(program, "path", folder / "wells", "--key", "line", "--from", a, "--to", LINES[j], "--positions", folder / "where.tsv", "-q")
            position = pd.read_csv(folder / "where.tsv", sep="\t")["position"].to_numpy()
            only = n[:, i] + n[:, j] == n.sum(1)
            between = only & (n[:, i] > 0) & (n[:, j] > 0)
            found.append([pd.Series(position[w]).corr(pd.Series(n[w, j] / n[w].sum(1)), method="spearman") for w in (only, between)])
    return np.array(found)


def one(program, cells, wells, seed, lines, folder):
    rng = np.random.default_rng(seed)
    x = cells.X.toarray().astype(int)
    celseq = cells.obs.technology.str.contains("CEL").to_numpy() if "technology" in cells.obs else np.ones(cells.n_obs, bool)
    single = celseq & (cells.obs.demuxlet == "SNG").to_numpy()
    known = single & cells.obs.cell_line.isin(lines).to_numpy()
    normal = np.log1p(x / x.sum(1, keepdims=True) * 1e4)
    genes = np.argsort(-normal[single].var(0))[:1200]              # of all lines, so that an unseen one can show
    x, names = x[:, genes], cells.var_names[genes]
    index = rng.permutation(np.flatnonzero(known))
    n = int(0.8 * len(index))
    train, test = index[:n], index[n:]
    depth = int(np.median(x[train].sum(1)))
    split = np.where(rng.random(n) < 0.15, "test", "train")
    line, batch = (cells.obs[k].to_numpy().astype(str) for k in ("cell_line", "batch"))
    path = write(folder / "train.h5ad", x[train], names, cell_line=line[train], batch=batch[train], split=split)
    run = folder / "run"
    call(program, "fit", path, "-o", run, "--force", "-q", "--seed", seed, "--n-latent", 8, "--labels-key", "cell_line", "--batch-key", "batch", "--split-key", "split",
         "--encoder-input", "log1p_normalized", "--n-samples", 0, "--max-epochs", 150)
    base = scores(program, run, write(folder / "test.h5ad", x[test], names, batch=batch[test]), folder)
    sets = {"heterotypic": doublets(x[train], line[train], batch[train], False, 200, depth, rng),
            "homotypic": doublets(x[train], line[train], batch[train], True, 200, depth, rng)}
    two = celseq & (cells.obs.demuxlet == "DBL").to_numpy() & (cells.obs.cells_in_well.astype(str) == "2").to_numpy()
    sets["wells of two"] = thin(x[two], depth, rng), batch[two]
    for unseen in sorted(set(line[single]) - set(lines)):
        sets[unseen + ", unseen"] = x[single & (line == unseen)], batch[single & (line == unseen)]
    result = []
    if len(lines) == 3:
        shared, mixed, pure = well_sets(wells, names, depth, rng)
        mixed, pure = (scores(program, run, write(folder / "w.h5ad", w[w.sum(1) > 0], shared, batch=[batch[train][0]] * (w.sum(1) > 0).sum()), folder)
                       for w in (mixed, pure))
        result.append(f"mixed against pure wells of nine, by the second share {auc(pure[4], mixed[4]):.3f}")
    for name, (counts, of) in sets.items():
        some = counts.sum(1) > 0
        s = scores(program, run, write(folder / "set.h5ad", counts[some], names, batch=np.array(of)[some]), folder)
        result.append(f"{name} {auc(base[0], s[0]):.3f} (||z||^2 {auc(base[1], s[1]):.3f}, p <= 5 %: {np.mean(s[2] <= 0.05):.2f}; "
                      f"chimera {np.mean(s[3] == 'chimera'):.2f}, never observed {np.mean(s[3] == 'never observed'):.2f})")
    text = call(program, "voids", run, "--key", "cell_line", "-q").stdout
    rows = [row.split("\t") for row in text.splitlines() if not row.startswith("#")][1:]
    prior = text.splitlines()[1].split(": ", 1)[1]
    void = lambda place: [row[5] for row in rows if row[0] == place]  # noqa: E731
    ways = [in_voids(program, run, line[train], split, a, b, rng) for i, a in enumerate(lines) for b in lines[i + 1:]]
    less = sum(a < b for a, b in ways)
    print(f"seed {seed}, {len(lines)} lines; held-out singlets p <= 5 %: {np.mean(base[2] <= 0.05):.2f}, chimera "
          f"{np.mean(base[3] == 'chimera'):.2f}, never observed {np.mean(base[3] == 'never observed'):.2f}; AUC: " + "; ".join(result))
    print(f"  prior in voids {prior}; origin void: {void('origin')[0]}; prototypes void: "
          f"{void('prototype').count('yes')} of {len(void('prototype'))}; groups' means void: {void('group').count('yes')} of {len(void('group'))}; "
          f"halfway void: {void('halfway').count('yes')} of {len(void('halfway'))}; along the data less in voids on {less} of {len(ways)} paths "
          f"(mean {np.mean(ways, 0)[0]:.0f} % against {np.mean(ways, 0)[1]:.0f} %)", flush=True)


def main():
    program, cells, wells = sys.argv[1], anndata.read_h5ad(sys.argv[2]), anndata.read_h5ad(sys.argv[3])
    seeds = range(int(sys.argv[4]) if len(sys.argv) > 4 else 3)
    lines = sorted(["A549", "H838", *LINES])
    for seed in seeds:
        for some in (lines, LINES):
            with tempfile.TemporaryDirectory() as folder:
                one(program, cells, wells, seed, some, Path(folder))
        with tempfile.TemporaryDirectory() as folder:
            found = along(program, wells, seed, Path(folder))
            print(f"seed {seed}, wells of nine: position against true share (Spearman), three pairs: {np.round(found[:, 0], 3)}; without pure wells "
                  f"{np.round(found[:, 1], 3)}", flush=True)


if __name__ == "__main__":
    main()
