"""The main job, from the shell: fit, and every command on what it wrote, read back with independent readers."""
import base64
import hashlib
import json
import re
import warnings
from pathlib import Path

import anndata
import numpy as np
import pytest
import scipy.sparse as sp
from safetensors import safe_open

GROUPS, CELLS, GENES = 4, 400, 60


def counts(seed=0, n=CELLS, depth=300):
    """Cells of four kinds, negative binomial, two batches of different depth."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, GROUPS, n)
    batch = rng.integers(0, 2, n)
    mean = np.ones((n, GENES)) * (1 + np.arange(GENES) % 7)
    for k in range(GROUPS):
        mean[np.ix_(kind == k, np.arange(GENES) % 10 == k)] *= 8
    mean = mean / mean.sum(1, keepdims=True) * depth * rng.lognormal(0, 0.3, (n, 1)) * (1 + batch[:, None])
    return rng.poisson(mean * rng.gamma(5, 0.2, mean.shape)), kind, batch


def make(path, x, **obs):
    a = anndata.AnnData(sp.csr_matrix(x.astype("float32")))
    a.var_names = [f"Gene{g}" for g in range(x.shape[1])]
    a.obs_names = [f"cell-{i}" for i in range(x.shape[0])]
    for name, values in obs.items():
        a.obs[name] = values
    a.write_h5ad(path)
    return path


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    x, kind, batch = counts()
    rng = np.random.default_rng(1)
    return make(tmp_path_factory.mktemp("data") / "cells.h5ad", x, kind=[f"k{k}" for k in kind], batch=[f"b{b}" for b in batch],
                age=rng.normal(size=CELLS), split=np.where(rng.random(CELLS) < 0.15, "test", "train"))


SHORT = ["--max-epochs", "30", "--quiet"]


@pytest.fixture(scope="module")
def fitted(isolario, cells, tmp_path_factory):
    out = tmp_path_factory.mktemp("fit") / "run"
    isolario("fit", cells, "-o", out, "--labels-key", "kind", "--split-key", "split", "--max-epochs", "60", "--quiet")
    return out


def read(path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return anndata.read_h5ad(path)


def table(text):
    lines = [line.split("\t") for line in text.splitlines()]
    assert len({len(line) for line in lines}) == 1, "ragged table"
    return lines[0], lines[1:]


# ---------------------------------------------------------------------------------------------- outputs


def test_run_folder(fitted, cells):
    assert sorted(p.name for p in fitted.iterdir()) == ["groups.safetensors", "latent.h5ad", "log.txt", "model.safetensors", "report.html", "rules.tsv", "run.json"]
    about = json.loads((fitted / "run.json").read_text())
    assert about["input"]["sha256"] == hashlib.sha256(Path(cells).read_bytes()).hexdigest()
    assert about["input"]["cells"] == CELLS and about["input"]["genes"] == GENES
    assert about["diagnosis"]["verdict"] == "healthy", about["diagnosis"]
    assert about["training"]["n_train"] + about["training"]["n_validation"] + about["training"]["n_test"] == CELLS
    assert about["labels"]["latent"]["knn_accuracy"] > 0.9 and about["labels"]["latent"]["best_ari"] > 0.8
    assert about["options"]["likelihood"] == "nb" and about["options"]["n_latent"] == 10
    assert "fit" in about["command"] and "threads" not in about["options"]
    seconds = about["seconds"]
    assert 0 < seconds["neighbors"] + seconds["clusters"] + seconds["layout"] < seconds["map"] < seconds["total"]


def test_log_has_one_line_an_epoch(fitted):
    lines = (fitted / "log.txt").read_text().splitlines()
    header, rows = table("\n".join(line for line in lines if not line.startswith("#")))
    assert header[0] == "epoch" and [int(r[0]) for r in rows] == list(range(1, len(rows) + 1))
    weight = [float(r[header.index("kl_weight")]) for r in rows]
    assert weight[0] < 0.5 and weight[-1] == 1 and weight == sorted(weight)
    assert float(rows[-1][header.index("validation_elbo")]) > float(rows[0][header.index("validation_elbo")]) + 5


def test_latent_h5ad(fitted, cells):
    a, original = read(fitted / "latent.h5ad"), anndata.read_h5ad(cells)
    assert list(a.obs_names) == list(original.obs_names)
    for name in original.obs:
        assert (a.obs[name].astype(str) == original.obs[name].astype(str)).all()
    assert a.obsm["X_isolario"].shape == (CELLS, 10) and a.obsm["X_umap"].shape == (CELLS, 2)
    assert (a.obsm["X_isolario_var"] > 0).all() and (a.obsm["X_isolario_var"] < 2).all()
    assert a.obs["leiden"].dtype == "category"
    assert a.obsp["connectivities"].shape == (CELLS, CELLS) and abs(a.obsp["connectivities"] - a.obsp["connectivities"].T).max() < 1e-6
    assert a.uns["isolario"]["verdict"] == "healthy"
    assert set(a.obs["isolario_split"]) == {"train", "validation", "test"}
    assert ((a.obs["isolario_split"] == "test") == (original.obs["split"] == "test")).all()


def test_scanpy_goes_on_from_it(fitted):
    import matplotlib

    matplotlib.use("Agg")
    import scanpy

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", PendingDeprecationWarning)      # of matplotlib, by scanpy
        warnings.simplefilter("ignore", DeprecationWarning)
        a = anndata.read_h5ad(fitted / "latent.h5ad")
        scanpy.pl.umap(a, color=["leiden", "kind"], show=False)
    scanpy.tl.leiden(a, key_added="again", flavor="igraph", n_iterations=2, directed=False)
    assert a.obs["again"].nunique() > 1


def test_model_file_is_safetensors(fitted):
    with safe_open(fitted / "model.safetensors", "np") as f:
        about = json.loads(f.metadata()["isolario"])
        assert f.get_tensor("decoder.mean.weight").shape == (GENES, 128)
        assert f.get_tensor("encoder.layer0.weight").shape == (GENES, 128)
    assert about["genes"] == [f"Gene{g}" for g in range(GENES)] and about["config"]["likelihood"] == "nb"


# ------------------------------------------------------------------------------------------- same bits


@pytest.mark.parametrize("options", [[], ["--likelihood", "zinb", "--batch-key", "batch", "--dispersion", "gene-batch"]])
def test_same_bits_for_any_number_of_threads(isolario, cells, tmp_path, options):
    files = []
    for threads in (1, 2, 3):
        out = tmp_path / str(threads)
        isolario("fit", cells, "-o", out, "--threads", threads, "--max-epochs", "5", "--quiet", *options)
        model = (out / "model.safetensors").read_bytes()
        a = anndata.read_h5ad(out / "latent.h5ad")
        with safe_open(out / "model.safetensors", "np") as f:
            weights = {name: f.get_tensor(name).tobytes() for name in f.keys()}
        files.append((weights, a.obsm["X_isolario"].tobytes(), a.obsm["X_umap"].tobytes(), list(a.obs["leiden"]), len(model)))
    assert files[0][:4] == files[1][:4] == files[2][:4]


def test_same_bits_from_a_file_larger_than_memory(isolario, tmp_path):
    """Arrays of 8 MiB and more lie in files with --memory 128M."""
    rng = np.random.default_rng(0)
    path = make(tmp_path / "cells.h5ad", rng.poisson(1.0, size=(3000, 1500)))
    whole, limited = tmp_path / "whole", tmp_path / "limited"
    options = ["--max-epochs", "1", "--n-hidden", "16", "--no-map", "--quiet"]
    isolario("fit", path, "-o", whole, *options)
    isolario("fit", path, "-o", limited, "--memory", "128M", *options)
    a, b = (anndata.read_h5ad(run / "latent.h5ad").obsm["X_isolario"] for run in (whole, limited))
    assert np.array_equal(a, b)


@pytest.mark.parametrize("size, message", [("much", "is not a size"), ("512X", "is not a size"), ("-1G", "is not a size"), ("1M", "at least 128M")])
def test_sizes_of_memory(isolario, cells, tmp_path, size, message):
    done = isolario("fit", cells, "-o", tmp_path / "run", f"--memory={size}", check=False)
    assert done.returncode == 1 and message in done.stderr


def test_without_a_map(isolario, cells, tmp_path):
    run = tmp_path / "run"
    isolario("fit", cells, "-o", run, "--no-map", "--labels-key", "kind", *SHORT)
    assert sorted(f.name for f in run.iterdir()) == ["latent.h5ad", "log.txt", "model.safetensors", "run.json"]
    a = read(run / "latent.h5ad")
    assert set(a.obsm) == {"X_isolario", "X_isolario_var"} and not a.obsp and "leiden" not in a.obs and "neighbors" not in a.uns
    about = json.loads((run / "run.json").read_text())
    assert about["clusters"] is None and about["seconds"]["layout"] is None


def test_another_seed_gives_other_bits(isolario, cells, tmp_path):
    for seed in (1, 2):
        isolario("fit", cells, "-o", tmp_path / str(seed), "--seed", seed, "--max-epochs", "2", "--quiet")
    a, b = (anndata.read_h5ad(tmp_path / s / "latent.h5ad").obsm["X_isolario"] for s in "12")
    assert not np.array_equal(a, b)


# ------------------------------------------------------------------------------------- the other commands


def test_embed_gives_what_fit_gave(isolario, fitted, cells, tmp_path):
    isolario("embed", fitted, cells, "-o", tmp_path / "e.h5ad", "--quiet")
    a, b = read(tmp_path / "e.h5ad"), read(fitted / "latent.h5ad")
    assert np.array_equal(a.obsm["X_isolario"], b.obsm["X_isolario"])
    assert np.array_equal(a.obsm["X_isolario_var"], b.obsm["X_isolario_var"])
    assert list(a.obs.columns) == list(read(cells).obs.columns)


def test_embed_matches_genes_by_name(isolario, fitted, cells, tmp_path):
    a = anndata.read_h5ad(cells)
    order = np.random.default_rng(0).permutation(GENES)
    shuffled = a[:, order].copy()
    shuffled.write_h5ad(tmp_path / "shuffled.h5ad")
    isolario("embed", fitted, tmp_path / "shuffled.h5ad", "-o", tmp_path / "e.h5ad", "--quiet")
    assert np.allclose(read(tmp_path / "e.h5ad").obsm["X_isolario"], read(fitted / "latent.h5ad").obsm["X_isolario"], atol=1e-5)
    a[:, :50].copy().write_h5ad(tmp_path / "fewer.h5ad")
    done = isolario("embed", fitted, tmp_path / "fewer.h5ad", "-o", tmp_path / "f.h5ad")
    assert "10 of the model's 60 genes are missing" in done.stderr
    a[:, :20].copy().write_h5ad(tmp_path / "few.h5ad")
    done = isolario("embed", fitted, tmp_path / "few.h5ad", "-o", tmp_path / "g.h5ad", check=False)
    assert done.returncode == 2 and "only 20 of the model's 60 genes" in done.stderr and not (tmp_path / "g.h5ad").exists()


def test_score(isolario, fitted, cells):
    header, rows = table(isolario("score", fitted, cells, "--n-samples", "100").stdout)
    assert header == ["cell", "elbo", "log_p", "reconstruction"] and len(rows) == CELLS
    elbo, log_p, reconstruction = (np.array([float(r[k]) for r in rows]) for k in (1, 2, 3))
    assert (reconstruction > elbo).all()
    assert log_p.mean() > elbo.mean() and (log_p > elbo - 3).all()
    test = anndata.read_h5ad(cells).obs["split"] == "test"
    about = json.loads((fitted / "run.json").read_text())["training"]
    assert abs(elbo[test].mean() - about["test_elbo"]) < 0.5
    _, rows = table(isolario("score", fitted, cells, "--n-samples", "0").stdout)
    assert all(r[2] == "" for r in rows)


def test_sample(isolario, fitted, cells, tmp_path):
    isolario("sample", fitted, "-n", "2000", "-o", tmp_path / "p.h5ad", "--source", "prior", "--quiet")
    z = read(tmp_path / "p.h5ad").obsm["X_isolario"]
    assert abs(z.mean()) < 0.05 and abs(z.std() - 1) < 0.05
    isolario("sample", fitted, "-n", "2000", "-o", tmp_path / "s.h5ad", "--quiet")
    a, original = read(tmp_path / "s.h5ad"), anndata.read_h5ad(cells)
    x, y = a.X.toarray(), original.X.toarray()
    assert a.shape == (2000, GENES) and (x == np.round(x)).all() and (x >= 0).all()
    run = read(fitted / "latent.h5ad")
    train = (run.obs["isolario_split"] == "train").to_numpy()
    mu, variance = run.obsm["X_isolario"][train], run.obsm["X_isolario_var"][train]
    assert np.allclose(a.obsm["X_isolario"].mean(0), mu.mean(0), atol=0.1)
    assert np.allclose(a.obsm["X_isolario"].var(0), mu.var(0) + variance.mean(0), atol=0.12)
    done = isolario("sample", fitted / "model.safetensors", "--source", "posterior", "-o", tmp_path / "m.h5ad", check=False)
    assert done.returncode == 1 and "run folder" in done.stderr
    assert abs(np.log(x.sum(1).mean() / y.sum(1).mean())) < 0.15
    assert np.corrcoef(np.log1p(x.mean(0)), np.log1p(y.mean(0)))[0, 1] > 0.95
    isolario("sample", fitted, "-n", "2000", "-o", tmp_path / "again.h5ad", "--quiet", "--threads", "1")
    assert np.array_equal(x, read(tmp_path / "again.h5ad").X.toarray())


def test_report_tells_of_the_map(fitted):
    text, about = (fitted / "report.html").read_text(encoding="utf-8"), json.loads((fitted / "run.json").read_text())
    for title in ("Voids", f"Continents: {GROUPS}", "Prototypes", "Generated cells"):
        assert f'"{title}"' in text or f">{title}<" in text, title
    land, real = about["landscape"], about["realism"]
    assert all(name in text for name in ("Paths", "Anomalies", "isolario sample"))
    assert 0 < land["prior_in_voids"] <= 1 and len(land["continents"]) == GROUPS and land["origin"]["class"] != ""
    assert abs(land["prior_in_voids"] - land["prior_chimera"] - land["prior_against_a_rule"] - land["prior_never_observed"]) < 1e-6
    for name in ("auc", "gene_mean", "gene_deviation", "gene_zeros", "coexpression"):
        assert 0 < real[name]["generated"] and 0 < real[name]["floor"]
    obs = read(fitted / "latent.h5ad").obs
    held_out = obs["isolario_split"] != "train"
    assert abs(np.mean(obs["p_value"][held_out] <= 0.1) - 0.1) < 0.06 and obs["continent"].nunique() == GROUPS


def page_data(folder):
    text = (folder / "report.html").read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])


def floats(text):
    return np.frombuffer(base64.b64decode(text), "<f4").astype(float)


def section(folder, title):
    return next(s for s in page_data(folder)["sections"] if s["title"] == title)


def test_paths_of_the_report(isolario, fitted, tmp_path):
    """They join all continents, and say what `path` says of the same ways."""
    ways, run = json.loads((fitted / "run.json").read_text())["paths"], read(fitted / "latent.h5ad").obs
    page = section(fitted, "Paths")
    assert len(ways) == GROUPS - 1 == len(page["charts"]) == len(page["rows"]) - 1
    assert {run.loc[w[end], "continent"] for w in ways for end in ("from", "to")} == set(run["continent"].dropna())
    for way, row, chart in zip(ways, page["rows"][1:], page["charts"]):
        done = isolario("path", fitted, "--from", way["from"], "--to", way["to"], "--steps", 41, "-o", tmp_path / "p.tsv", "--force")
        told = [float(v) / 100 for v in re.search(r"for (\d+) % of its length, the straight line for (\d+) %", done.stderr).groups()]
        assert abs(way["straight_in_voids"] - told[1]) < 0.04 and abs(way["in_voids"] - told[0]) < 0.15
        assert row[4] == ("no" if way["in_voids"] > 0.05 else "may be") and row[2] == f"{100 * way['in_voids']:.0f} %"
        assert sum(chart["shaded"]) / 41 == pytest.approx(way["in_voids"], abs=0.25)
        header, rows = table((tmp_path / "p.tsv").read_text())
        level = {r[0]: np.log1p(1e4 * np.array(r[1:], float)) for r in rows}
        falling = sorted(level, key=lambda g: np.ptp(level[g]), reverse=True)
        assert set(way["genes"]) <= set(falling[:12]) and [s["name"] for s in chart["series"]] == way["genes"]
        for s in chart["series"]:
            assert np.allclose(floats(s["values"])[[0, -1]], level[s["name"]][[0, -1]], atol=1e-3), "both begin and end at the same cells"
            assert s["low"] is None, "the run has one decoder"


def test_anomalies_of_the_report(fitted):
    obs, page = read(fitted / "latent.h5ad").obs, section(fitted, "Anomalies")
    share, farthest = page["facts"]
    assert share[1] == f"{100 * np.mean(obs['p_value'] <= 0.05):.1f} %"
    assert [w.split(" (")[0] for w in farthest[1].split(", ")] == list(obs["log_density"].sort_values().index[:5])
    chart = page["charts"][0]
    at, (held_out, train) = floats(chart["at"]), [floats(s["values"]) for s in chart["series"]]
    assert held_out.sum() == pytest.approx(100, abs=0.01) and train.sum() == pytest.approx(100, abs=0.01)
    assert chart["shaded"] == sorted(chart["shaded"], reverse=True)
    edges = np.r_[-np.inf, (at[1:] + at[:-1]) / 2, np.inf]
    density = obs["log_density"][obs["isolario_split"] == "train"]
    assert np.abs(np.histogram(density, edges)[0] / len(density) * 100 - train).max() < 0.5


def test_generated_genes_of_the_report(fitted, cells):
    """Held-out cells are what the counts say; generated and training cells are as far from them as the figures say."""
    a, split = anndata.read_h5ad(cells), read(fitted / "latent.h5ad").obs["isolario_split"].to_numpy()
    x = a.X.toarray()[split != "train"]
    y = np.log1p(1e4 * x / x.sum(1, keepdims=True))
    figures, charts = json.loads((fitted / "run.json").read_text())["realism"], section(fitted, "Generated cells")["charts"]
    for chart, wanted, figure in zip(charts, (y.mean(0), (x == 0).mean(0)), (figures["gene_mean"], figures["gene_zeros"])):
        assert chart["names"] == list(a.var_names) and np.allclose(floats(chart["at"]), wanted, atol=1e-5)
        apart = [np.sqrt(np.mean((floats(s["values"]) - wanted) ** 2)) for s in chart["series"]]
        assert np.allclose(apart, [figure["generated"], figure["floor"]], atol=1e-4)


def test_sample_around(isolario, fitted, cells, tmp_path):
    done = isolario("sample", fitted, "-n", "50", "-o", tmp_path / "s.h5ad")
    figures = [line.rsplit(None, 3) for line in done.stderr.splitlines() if ", real 0." in line]
    assert len(figures) == 5 and abs(float(figures[0][1].rstrip(",")) - 0.5) < 0.25
    isolario("sample", fitted, "-n", "300", "--key", "kind", "--around", "k2", "-o", tmp_path / "k.h5ad")
    run = read(fitted / "latent.h5ad")
    z, kind = run.obsm["X_isolario"], run.obs["kind"].to_numpy().astype(str)
    made = read(tmp_path / "k.h5ad").obsm["X_isolario"]
    nearest = kind[np.argmin(((made[:, None] - z[None]) ** 2).sum(2), 1)]
    assert np.mean(nearest == "k2") > 0.95
    done = isolario("sample", fitted, "--around", "nobody", "-o", tmp_path / "n.h5ad", check=False)
    assert done.returncode == 1 and "nobody" in done.stderr and not (tmp_path / "n.h5ad").exists()


def test_map(isolario, fitted, cells):
    header, rows = table(isolario("map", fitted, "--key", "kind", "--quiet").stdout)
    assert header == ["group", "cells", "nearest_cell", "log_density", "p_value", "class", "markers_observed", "markers_decoded"]
    a, kind = anndata.read_h5ad(cells), anndata.read_h5ad(cells).obs["kind"].to_numpy().astype(str)
    assert [(row[0], int(row[1])) for row in rows] == [(f"k{k}", (kind == f"k{k}").sum()) for k in range(GROUPS)]
    x = a.X.toarray()
    y = np.log1p(x / x.sum(1, keepdims=True) * 1e4)
    for k, row in enumerate(rows):
        assert kind[list(a.obs_names).index(row[2])] == f"k{k}" and row[5] == "observed"
        effect = (y[kind == f"k{k}"].mean(0) - y[kind != f"k{k}"].mean(0)) / y.std(0)
        found = [word.rsplit(" ", 1) for word in row[6].split(", ")]
        assert np.allclose([float(value) for _, value in found], np.sort(effect)[::-1][:5], atol=0.01)
        assert {name for name, _ in found} & {word.rsplit(" ", 1)[0] for word in row[7].split(", ")}
    run = read(fitted / "latent.h5ad").obs
    assert set(run.index[run["is_prototype"]]) == {row[2] for row in rows}
    _, rows = table(isolario("map", fitted, "--quiet").stdout)
    assert sum(int(row[1]) for row in rows) == CELLS and len(rows) == GROUPS       # continents: the four kinds


def test_anomaly_is_calibrated_and_sees_what_was_never_seen(isolario, fitted, cells, tmp_path):
    header, rows = table(isolario("anomaly", fitted, cells, "--quiet").stdout)
    assert header == ["cell", "log_density", "p_value", "fdr", "mixture_weight", "mixture_fit", "class"] and len(rows) == CELLS
    p, fdr = (np.array([float(row[k]) for row in rows]) for k in (2, 3))
    held_out = read(fitted / "latent.h5ad").obs["isolario_split"].to_numpy() != "train"
    assert abs((p[held_out] <= 0.05).mean() - 0.05) < 0.03 and (fdr >= p - 1e-12).all() and (p > 0).all()
    x = anndata.read_h5ad(cells).X.toarray()
    rng = np.random.default_rng(5)
    strange = make(tmp_path / "strange.h5ad", x[:100][:, rng.permutation(GENES)])
    _, rows = table(isolario("anomaly", fitted, strange, "--quiet").stdout)
    assert np.mean([float(row[2]) <= 0.05 for row in rows]) > 0.9 and np.mean([row[6] == "never observed" for row in rows]) > 0.9


def test_doublets_are_chimeras(isolario, fitted, cells, tmp_path):
    """Counts of two cells of different kinds, thinned to the depth of one; mixture weights against scipy's NNLS."""
    nnls = pytest.importorskip("scipy.optimize").nnls
    a, run = anndata.read_h5ad(cells), read(fitted / "latent.h5ad")
    x, kind = a.X.toarray().astype(int), a.obs["kind"].to_numpy().astype(str)
    rng = np.random.default_rng(8)
    pairs = [(i, j) for i, j in rng.integers(0, CELLS, (600, 2)) if kind[i] != kind[j]][:200]
    made = make(tmp_path / "doublets.h5ad", np.array([rng.binomial(x[i] + x[j], 0.5) for i, j in pairs]))
    _, rows = table(isolario("anomaly", fitted, made, "--quiet").stdout)
    chimera = np.mean([row[6] == "chimera" for row in rows])
    _, rows = table(isolario("anomaly", fitted, cells, "--quiet").stdout)
    held_out = (run.obs["isolario_split"] != "train").to_numpy()
    known = np.mean([row[6] == "known" for row, held in zip(rows, held_out) if held])
    assert chimera > 0.6 and known > 0.85
    assert np.allclose([float(row[4]) for row in rows], run.obs["mixture_weight"], atol=1e-3)
    second, fit = mixtures(nnls, x.astype(float), kind, ~held_out)
    assert np.allclose(second, run.obs["mixture_weight"], atol=2e-3) and np.allclose(fit, run.obs["mixture_fit"], atol=1e-4)


def mixtures(nnls, x, kind, train):
    """What iso_mixture_learn and iso_mixture_explain do, in numpy: second share and fit of each cell."""
    groups = sorted(set(kind))
    t = x / x.sum(1, keepdims=True) * 1e4
    profile = np.array([x[train & (kind == k)].sum(0) for k in groups])
    profile = (profile / profile.sum(1, keepdims=True) * 1e4).T
    rest = np.concatenate([t[train & (kind == k)] - t[train & (kind == k)].mean(0) for k in groups])
    scale = 1 / np.sqrt((rest ** 2).mean(0) + 0.5)
    values, vectors = np.linalg.eigh((rest * scale).T @ (rest * scale) / len(rest))
    v, top = vectors[:, -10:], values[-10:]
    rest = values[:-10].mean()
    white = (np.eye(len(scale)) - v * (1 - np.sqrt(rest / top)) @ v.T) * scale
    shares = np.array([nnls(white @ profile, white @ row)[0] for row in t])
    fit = [np.corrcoef(np.log1p(profile @ s), np.log1p(row))[0, 1] for s, row in zip(shares, t)]
    return np.sort(shares / shares.sum(1, keepdims=True), 1)[:, -2], fit


def test_voids(isolario, fitted, tmp_path):
    out = isolario("voids", fitted, "--key", "kind", "--quiet").stdout
    comments = [line for line in out.splitlines() if line.startswith("#")]
    header, rows = table("\n".join(line for line in out.splitlines() if not line.startswith("#")))
    assert header == ["place", "name", "other", "log_density", "p_value", "void", "class", "disagreement", "uncertain", "evidence"]
    assert [row[0] for row in rows] == ["origin"] + ["prototype"] * GROUPS + ["group"] * GROUPS + ["halfway"] * (GROUPS * (GROUPS - 1) // 2)
    assert all(row[5] == "no" for row in rows if row[0] in ("group", "prototype"))
    assert all((row[5] == "yes") == (float(row[4]) <= 0.05) == (row[6] != "observed") for row in rows)
    share = float(comments[1].split(":")[1].split("(")[0])
    assert 0 < share < 1 and "impossible" not in out
    assert all(row[7] == row[8] == "" for row in rows)              # too few cells for heads


def test_prior_in_voids(isolario, cells, tmp_path):
    """The same share in NumPy, from the same samples of the prior and the clouds of the training cells; their width is that
    which gives the held-out cells the densities that were written."""
    fitted = tmp_path / "run"           # of two dimensions, which the cells fill in part
    isolario("fit", cells, "-o", fitted, "--split-key", "split", "--n-latent", "2", "--max-epochs", "40", "--quiet")
    run = read(fitted / "latent.h5ad")
    train = (run.obs["isolario_split"] == "train").to_numpy()
    mu, variance, told = run.obsm["X_isolario"], run.obsm["X_isolario_var"], np.sort(run.obs["log_density"][~train])

    def log_q(z, h):
        v = variance[train] + h * h
        terms = [-0.5 * ((x - mu[train]) ** 2 / v + np.log(2 * np.pi * v)).sum(1) for x in z]
        return np.array([np.logaddexp.reduce(t) for t in terms]) - np.log(train.sum())

    widths = np.geomspace(1e-3, 2, 60)
    for _ in range(2):
        off = [np.abs(np.sort(log_q(mu[~train], h)) - told).mean() for h in widths]
        widths = np.linspace(*widths[[max(np.argmin(off) - 1, 0), min(np.argmin(off) + 1, 59)]], 60)
    assert min(off) < 0.01
    isolario("sample", fitted, "-n", "4000", "-o", tmp_path / "p.h5ad", "--source", "prior", "--quiet")
    drawn = log_q(read(tmp_path / "p.h5ad").obsm["X_isolario"], widths[30])
    p_value = (1 + np.searchsorted(told, drawn, side="right")) / (1 + len(told))
    share = json.loads((fitted / "run.json").read_text())["landscape"]["prior_in_voids"]
    assert 0.05 < share < 0.95 and abs(np.mean(p_value <= 0.05) - share) < 0.01


def test_heads(isolario, fitted, cells, tmp_path):
    """Several decoders agree where cells are, and differ far from them; a run without them says nothing of it."""
    run = tmp_path / "run"
    isolario("fit", cells, "-o", run, "--n-heads", "3", "--head-epochs", "150", *SHORT)
    for chart in section(run, "Paths")["charts"]:
        for s in chart["series"]:
            low, value, high = floats(s["low"]), floats(s["values"]), floats(s["high"])
            assert np.all(low <= value) and np.all(value <= high) and np.any(low < high)
    words = ["--key", "leiden", "--from", "0", "--to", "1", "--steps", "9", "--route", "straight", "--quiet"]
    isolario("path", run, *words, "--spread", tmp_path / "s.tsv", "-o", tmp_path / "p.tsv")
    header, rows = table((tmp_path / "s.tsv").read_text())
    expected, shares = table((tmp_path / "p.tsv").read_text())
    spread = np.array([[float(v) for v in row[1:]] for row in rows])
    assert header == expected and spread.shape == (GENES, 9) and (spread > 0).all()
    _, rows = table("\n".join(isolario("voids", run, "--quiet").stdout.splitlines()[2:]))
    differ = {place: np.mean([float(row[7]) for row in rows if row[0] == place]) for place in ("prototype", "halfway")}
    assert differ["halfway"] > 1.1 * differ["prototype"] and {row[8] for row in rows} <= {"yes", "no"}
    mean = (np.array([[float(v) for v in row[1:]] for row in shares]) * spread).sum(0)      # over a cell's counts, nearly
    assert abs(mean[0] / [float(row[7]) for row in rows if row[0] == "prototype" and row[1] == "0"][0] - 1) < 0.2
    with safe_open(run / "heads.safetensors", "np") as f:
        file = {name: f.get_tensor(name) for name in f.keys()}
    assert sorted({name.split(".")[0] for name in file}) == ["0", "1", "2"] and not any("encoder" in name for name in file)
    assert all(not np.array_equal(file[name], file["1" + name[1:]]) for name in file if name.startswith("0.") and name.endswith("mean.weight"))
    done = isolario("path", fitted, "--from", "cell-3", "--to", "cell-9", "--spread", tmp_path / "t.tsv", "-o", tmp_path / "q.tsv", check=False)
    assert done.returncode == 1 and "--n-heads" in done.stderr and not (tmp_path / "t.tsv").exists()
    (run / "heads.safetensors").write_bytes((fitted / "groups.safetensors").read_bytes())
    done = isolario("voids", run, check=False)
    assert done.returncode == 2 and "is not of this run" in done.stderr


def test_rules(isolario, fitted, cells, tmp_path):
    """Learned pairs against the counts; a user's rule is what the halfway place between two kinds contradicts."""
    a = anndata.read_h5ad(cells)
    has = a.X.toarray() > 0
    learned = [line.split("\t") for line in (fitted / "rules.tsv").read_text().splitlines() if not line.startswith("#")]
    for first, second, source, n, m, both, expected, p in learned:
        i, j = a.var_names.get_loc(first), a.var_names.get_loc(second)
        assert source == "learned" and [int(n), int(m), int(both)] == [has[:, i].sum(), has[:, j].sum(), (has[:, i] & has[:, j]).sum()]
        assert int(both) <= 0.25 * has[:, i].sum() * has[:, j].sum() / CELLS and float(p) <= 0.01
    mean = np.array([a.X[(a.obs["kind"] == f"k{k}").values].mean(0).A1 for k in range(GROUPS)])
    marker = [a.var_names[np.argmax(mean[k] - np.delete(mean, k, 0).max(0))] for k in range(GROUPS)]
    rules = tmp_path / "rules.tsv"
    rules.write_text("".join(f"{marker[i]}\t{marker[j]}\n" for i in range(GROUPS) for j in range(i)))
    _, rows = table("\n".join(isolario("voids", fitted, "--key", "kind", "--rules", rules, "--quiet").stdout.splitlines()[2:]))
    voids = [row for row in rows if row[0] == "halfway" and row[5] == "yes"]
    assert voids and sum(row[6] == "contradicts a rule" and "a rule of yours" in row[9] for row in voids) >= len(voids) / 2
    rules.write_text("Gene1\tGene999\n")
    done = isolario("voids", fitted, "--rules", rules, check=False)
    assert done.returncode == 2 and "line 1" in done.stderr and "Gene999" in done.stderr


def test_prototype(isolario, fitted, cells):
    header, rows = table(isolario("prototype", fitted, "--key", "kind", "--quiet").stdout)
    assert header == ["gene", "origin", "k0", "k1", "k2", "k3"] and [r[0] for r in rows] == [f"Gene{g}" for g in range(GENES)]
    p = np.array([[float(v) for v in r[1:]] for r in rows])
    assert np.allclose(p.sum(0), 1, atol=1e-4)
    a = anndata.read_h5ad(cells)
    for k in range(GROUPS):                 # each group's prototype is most like that group's cells
        mean = np.array([a.X[(a.obs["kind"] == f"k{j}").values].mean(0).A1 for j in range(GROUPS)])
        likeness = [np.corrcoef(np.log1p(1e4 * p[:, k + 1]), np.log1p(1e4 * m / m.sum()))[0, 1] for m in mean]
        assert int(np.argmax(likeness)) == k
    done = isolario("prototype", fitted, "--key", "kinds", check=False)
    assert done.returncode == 1 and "it has: kind" in done.stderr


def test_path(isolario, fitted, cells, tmp_path):
    header, rows = table(isolario("path", fitted, "--key", "kind", "--from", "k0", "--to", "k1", "--steps", "5", "--route", "straight", "--quiet").stdout)
    assert header == ["gene", "0", "0.25", "0.5", "0.75", "1"]
    p = np.array([[float(v) for v in r[1:]] for r in rows])
    q = np.array([[float(v) for v in r[1:]] for r in table(isolario("prototype", fitted, "--key", "kind", "--quiet").stdout)[1]])
    assert np.allclose(p[:, 0], q[:, 1], rtol=1e-4, atol=1e-8) and np.allclose(p[:, -1], q[:, 2], rtol=1e-4, atol=1e-8)
    marker = np.arange(GENES) % 10 == 0     # of k0: falls along the path
    assert (np.diff(p[marker].sum(0)) < 0).all()
    done = isolario("path", fitted, "--from", "cell-3", "--to", "cell-9", "-o", tmp_path / "p.tsv")
    assert (tmp_path / "p.tsv").exists()
    along, straight = (int(words.split(" %")[0].split()[-1]) for words in done.stderr.split("lies in voids")[1].split(",")[:2])
    assert 0 <= along <= straight <= 100
    _, rows = table(isolario("path", fitted, "--key", "kind", "--from", "k0", "--to", "k1", "--steps", "5", "--quiet").stdout)
    d = np.array([[float(v) for v in r[1:]] for r in rows])
    assert np.allclose(d[:, [0, -1]], p[:, [0, -1]], rtol=1e-4, atol=1e-8) and np.allclose(d.sum(0), 1, atol=1e-4)
    assert not np.allclose(d[:, 2], p[:, 2], rtol=1e-3)
    isolario("path", fitted, "--key", "kind", "--from", "k0", "--to", "k1", "--positions", tmp_path / "where.tsv", "-o", tmp_path / "q.tsv")
    header, rows = table((tmp_path / "where.tsv").read_text())
    assert header == ["cell", "position", "distance"] and [row[0] for row in rows] == list(read(fitted / "latent.h5ad").obs_names)
    kind = anndata.read_h5ad(cells).obs["kind"].to_numpy()
    position = np.array([float(row[1]) for row in rows])
    assert position[kind == "k0"].max() < 0.5 < position[kind == "k1"].min() and all(float(row[2]) >= 0 for row in rows)
    done = isolario("path", fitted, "--key", "kind", "--from", "k0", "--to", "k9", check=False)
    assert done.returncode == 1 and 'k9' in done.stderr and "k0, k1, k2, k3" in done.stderr


def test_info(isolario, fitted, cells):
    assert "cells\t400" in isolario("info", cells).stdout
    assert isolario("info", fitted).stdout == isolario("info", fitted / "model.safetensors").stdout.replace("model.safetensors\n", "model.safetensors\n")
    assert "verdict\thealthy" in isolario("info", fitted).stdout


def test_compare(isolario, cells):
    header, rows = table(isolario("compare", cells, "--labels-key", "kind", "--split-key", "split", *SHORT).stdout)
    value = {r[0]: dict(zip(header, r)) for r in rows}
    assert list(value) == ["vae", "ae", "pca"]
    assert float(value["vae"]["log_p"]) > float(value["vae"]["elbo"])
    assert value["ae"]["elbo"] == value["pca"]["elbo"] == value["pca"]["reconstruction"] == ""
    for m in value.values():
        assert 0 < float(m["poisson_deviance_explained"]) < 1 and float(m["knn_accuracy"]) > 0.8
        assert 0.3 < float(m["realism_floor"]) < 0.7 and float(m["realism_auc"]) > 0.3


# ------------------------------------------------------------------------------------------ other models


@pytest.mark.parametrize("options", [
    ["--likelihood", "poisson"], ["--likelihood", "gaussian_log1p"], ["--likelihood", "zinb", "--dispersion", "gene-cell"],
    ["--library", "learned", "--batch-key", "batch"], ["--linear-decoder"], ["--n-layers", "2", "--n-hidden", "32"],
    ["--dispersion", "gene-label", "--labels-key", "kind"], ["--autoencoder"], ["--kl-cycles", "3"], ["--free-bits", "4"],
    ["--categorical-covariate-keys", "kind,batch", "--continuous-covariate-keys", "age", "--encode-covariates"],
    ["--encoder-input", "log1p_normalized"], ["--validation-fraction", "0", "--no-early-stopping"], ["--preset", "scvi"],
])
def test_every_kind_of_model_trains_saves_and_loads(isolario, cells, tmp_path, options):
    isolario("fit", cells, "-o", tmp_path / "run", "--max-epochs", "4", "--n-heads", "2", "--quiet", *options)
    isolario("embed", tmp_path / "run", cells, "-o", tmp_path / "e.h5ad", "--quiet")
    a, b = read(tmp_path / "e.h5ad"), read(tmp_path / "run" / "latent.h5ad")
    assert np.array_equal(a.obsm["X_isolario"], b.obsm["X_isolario"])
    header, rows = table(isolario("score", tmp_path / "run", cells, "--n-samples", "3", "--quiet").stdout)
    assert np.isfinite([float(r[1]) for r in rows]).all()
    sampled = isolario("sample", tmp_path / "run", "-n", "50", "-o", tmp_path / "s.h5ad", "--quiet", check=False)
    if "--autoencoder" in options:
        assert sampled.returncode == 1 and "no prior" in sampled.stderr
        assert "X_isolario_var" not in b.obsm
    else:
        assert sampled.returncode == 0 and read(tmp_path / "s.h5ad").shape == (50, GENES)
    _, rows = table("\n".join(isolario("voids", tmp_path / "run", "--key", "kind", "--quiet").stdout.splitlines()[2:]))
    assert np.isfinite([float(value) for row in rows for value in (row[3], row[4], row[7])]).all() and max(float(row[7]) for row in rows) > 0
    _, rows = table(isolario("map", tmp_path / "run", "--key", "kind", "--quiet").stdout)
    assert len(rows) == GROUPS
    isolario("path", tmp_path / "run", "--key", "kind", "--from", "k0", "--to", "k1", "--positions", tmp_path / "p.tsv", "--spread", tmp_path / "s.tsv",
             "-o", tmp_path / "g.tsv", "--quiet")
    isolario("explore", tmp_path / "run", "-o", tmp_path / "map.html", "--quiet")
    assert (tmp_path / "map.html").stat().st_size > 100_000


def test_gaussian_takes_continuous_data(isolario, tmp_path):
    x, _, _ = counts()
    y = np.log1p(x) - np.log1p(x).mean(0)
    make(tmp_path / "c.h5ad", y)
    isolario("fit", tmp_path / "c.h5ad", "-o", tmp_path / "run", "--likelihood", "gaussian", *SHORT)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["diagnosis"]["active_units"] > 0


def test_collapse_is_seen_and_can_fail(isolario, cells, tmp_path):
    done = isolario("fit", cells, "-o", tmp_path / "a", "--kl-weight", "300", "--max-epochs", "30")
    assert "collapsed" in done.stderr and "--free-bits" in done.stderr
    done = isolario("fit", cells, "-o", tmp_path / "b", "--kl-weight", "300", "--max-epochs", "30", "--fail-on-collapse", check=False)
    assert done.returncode == 4 and (tmp_path / "b" / "report.html").exists()


def test_small_data(isolario, tmp_path):
    x, _, _ = counts(n=12)
    make(tmp_path / "c.h5ad", x)
    isolario("fit", tmp_path / "c.h5ad", "-o", tmp_path / "run", *SHORT)


# ------------------------------------------------------------------------------------------- refusals


def bad(kind):
    x, _, _ = counts(n=50)
    x = x.astype("float32")
    x[x == 0] = 1
    x[7, 3] = {"nan": np.nan, "inf": np.inf, "negative": -2, "noninteger": 1.5}.get(kind, x[7, 3])
    if kind == "log1p":
        x = np.log1p(x / x.sum(1, keepdims=True) * 1e4)
    if kind == "empty":
        x[7] = 0
    return x


@pytest.mark.parametrize("kind, words", [
    ("nan", ['cell 8 ("cell-7")', '"Gene3"', "not a number"]), ("inf", ['cell 8 ("cell-7")', '"Gene3"']),
    ("negative", ['cell 8 ("cell-7")', '"Gene3"', "negative"]), ("noninteger", ['"Gene3"', "--allow-noninteger"]),
    ("log1p", ["log1p", "--layer"]), ("empty", ['cell 8 ("cell-7")', "--drop-empty"]),
])
def test_bad_counts_are_refused_by_name(isolario, tmp_path, kind, words):
    make(tmp_path / "c.h5ad", bad(kind))
    done = isolario("fit", tmp_path / "c.h5ad", "-o", tmp_path / "run", check=False)
    assert done.returncode == 2 and not (tmp_path / "run").exists()
    for word in [*words, "c.h5ad"]:
        assert word in done.stderr
    remedy = {"noninteger": "--allow-noninteger", "empty": "--drop-empty"}.get(kind)
    if remedy:
        isolario("fit", tmp_path / "c.h5ad", "-o", tmp_path / "run", remedy, *SHORT)
        assert read(tmp_path / "run" / "latent.h5ad").n_obs == (49 if kind == "empty" else 50)


def test_counts_are_found_in_layers(isolario, tmp_path):
    x, _, _ = counts(n=50)
    a = anndata.AnnData(np.log1p(x / x.sum(1, keepdims=True) * 1e4).astype("float32"), layers={"counts": sp.csr_matrix(x.astype("float32"))})
    a.write_h5ad(tmp_path / "c.h5ad")
    done = isolario("fit", tmp_path / "c.h5ad", "-o", tmp_path / "run", "--max-epochs", "2")
    assert "layers/counts" in done.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["input"]["count_source"] == "layers/counts"


def test_nothing_is_overwritten_without_force(isolario, fitted, cells, tmp_path):
    before = {p.name: p.read_bytes() for p in fitted.iterdir()}
    done = isolario("fit", cells, "-o", fitted, check=False)
    assert done.returncode == 3 and "--force" in done.stderr
    assert before == {p.name: p.read_bytes() for p in fitted.iterdir()}
    (tmp_path / "e.h5ad").write_text("mine")
    done = isolario("embed", fitted, cells, "-o", tmp_path / "e.h5ad", check=False)
    assert done.returncode == 3 and (tmp_path / "e.h5ad").read_text() == "mine"
    isolario("embed", fitted, cells, "-o", tmp_path / "e.h5ad", "--force", "--quiet")
    assert read(tmp_path / "e.h5ad").n_obs == CELLS


@pytest.mark.parametrize("options, message", [
    (["--batch-key", "nobody"], "nobody"), (["--labels-key", "nobody"], "nobody"), (["--split-key", "kind"], '"test"'),
    (["--dispersion", "gene-batch"], "--batch-key"), (["--dispersion", "gene-label"], "--labels-key"),
    (["--continuous-covariate-keys", "kind"], "kind"), (["--layer", "nothing"], "nothing"),
])
def test_options_that_do_not_fit_the_data(isolario, cells, tmp_path, options, message):
    done = isolario("fit", cells, "-o", tmp_path / "run", *options, check=False)
    assert done.returncode in (1, 2) and message in done.stderr


def test_damaged_models_are_refused(isolario, fitted, cells, tmp_path):
    whole = (fitted / "model.safetensors").read_bytes()
    rng = np.random.default_rng(0)
    for k in range(60):
        damaged = bytearray(whole)
        if k % 3 == 0:
            damaged = damaged[: rng.integers(0, len(whole))]
        else:
            for at in rng.integers(0, 3000, 4):
                damaged[at] = rng.integers(0, 256)
        (tmp_path / "m.safetensors").write_bytes(damaged)
        done = isolario("info", tmp_path / "m.safetensors", check=False)
        assert done.returncode in (0, 1, 2, 3), done.stderr
        assert done.returncode == 0 or "m.safetensors" in done.stderr or "likelihood" in done.stderr
