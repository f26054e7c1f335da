"""PCA, layout and two-sample test of map/ against scikit-learn and umap-learn."""
import subprocess

import anndata
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import trustworthiness
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

NEIGHBORS = 15
MIN_DIST = 0.5
# umap-learn 0.5.12 on the same z: UMAP(n_neighbors=16, min_dist=0.5, random_state=1).fit_transform(z). Not run here: it
# compiles for a minute.
UMAP_LEARN_TRUST = 0.9621
UMAP_LEARN_RANGE = np.array([19.2, 14.5])


@pytest.fixture(scope="module")
def tool(build):
    """tool("pca", ...) runs tests/tool_pca and returns the numbers that it prints."""

    def run(*arguments):
        done = subprocess.run([build / "tests" / "tool_pca", *map(str, arguments)], capture_output=True, text=True,
                              timeout=300)
        assert done.returncode == 0, done.stderr
        return np.array(done.stdout.split(), dtype=float)

    return run


@pytest.fixture(scope="module")
def some_genes(paul15, tmp_path_factory):
    """Every fifth gene of paul15, so that the exact answer takes a second: path, counts [n, genes]."""
    cells = anndata.read_h5ad(paul15)[:, ::5].copy()
    path = tmp_path_factory.mktemp("pca") / "some_genes.h5ad"
    cells.write_h5ad(path)
    return path, np.asarray(cells.X.todense() if hasattr(cells.X, "todense") else cells.X, dtype=np.float64)


@pytest.fixture(scope="module")
def logged(some_genes):
    """log1p(x / total * 1e4), dense, float64."""
    x = some_genes[1]
    return np.log1p(x / np.maximum(x.sum(1, keepdims=True), 1) * 1e4)


@pytest.fixture(scope="module")
def exact(logged):
    """The first 50 components by the singular values of the whole matrix."""
    return PCA(50, svd_solver="full").fit(logged)


def fit(tool, path, n, n_genes, k, folder, log1p=1, threads=2):
    """total variance, noise, variances [k], loadings [k, genes], scores [n, k]"""
    numbers = tool("pca", path, log1p, k, threads, folder / "out")
    raw = np.fromfile(folder / "out", dtype=np.float32)
    return numbers[0], numbers[1], numbers[2:], raw[:k * n_genes].reshape(k, n_genes), raw[k * n_genes:].reshape(n, k)


@pytest.mark.parametrize("k", [1, 10, 50])
def test_components_are_exact(tool, logged, exact, some_genes, tmp_path, k):
    n, n_genes = logged.shape
    total, noise, variance, loadings, scores = fit(tool, some_genes[0], n, n_genes, k, tmp_path)
    assert np.abs(variance / exact.explained_variance_[:k] - 1).max() < 1e-6
    assert total == pytest.approx(logged.var(0, ddof=1).sum(), rel=1e-6)
    assert noise == pytest.approx((total - variance.sum()) / (min(n - 1, n_genes) - k), rel=1e-9)
    largest = loadings[np.arange(k), np.abs(loadings).argmax(1)]
    assert (largest > 0).all()
    wanted = exact.components_[:k] * np.sign((exact.components_[:k] * loadings).sum(1))[:, None]
    assert np.linalg.norm(loadings - wanted, axis=1).max() < 1e-4
    spread = np.sqrt(exact.explained_variance_[:k])
    assert (np.abs(scores - (logged - logged.mean(0)) @ wanted.T) / spread).max() < 1e-3


def test_counts_as_they_are(tool, some_genes, tmp_path):
    path, x = some_genes
    wanted = PCA(5, svd_solver="full").fit(x)
    total, _, variance, loadings, _ = fit(tool, path, *x.shape, 5, tmp_path, log1p=0)
    assert np.abs(variance / wanted.explained_variance_ - 1).max() < 1e-6
    assert np.abs(np.abs((loadings * wanted.components_).sum(1)) - 1).max() < 1e-6
    assert total == pytest.approx(x.var(0, ddof=1).sum(), rel=1e-9)


def test_layout_keeps_neighbours_as_umap_learn(tool, paul15, tmp_path):
    n, n_genes = anndata.read_h5ad(paul15, backed="r").shape
    z = np.ascontiguousarray(fit(tool, paul15, n, n_genes, 20, tmp_path)[4])
    z.tofile(tmp_path / "z")
    tool("umap", tmp_path / "z", *z.shape, NEIGHBORS, MIN_DIST, tmp_path / "xy")
    xy = np.fromfile(tmp_path / "xy", dtype=np.float32).reshape(-1, 2)
    assert trustworthiness(z, xy, n_neighbors=NEIGHBORS) > UMAP_LEARN_TRUST - 0.01
    assert (UMAP_LEARN_RANGE / 2 < np.ptp(xy, axis=0)).all() and (np.ptp(xy, axis=0) < UMAP_LEARN_RANGE * 2).all()


@pytest.mark.parametrize("features, shift", [(1, 0.5), (10, 0.2), (10, 0.0), (150, 0.05)])
def test_auc_is_that_of_logistic_regression(tool, tmp_path, features, shift):
    rng = np.random.default_rng(features)
    scale = 10.0 ** rng.uniform(-3, 3, features)
    a = ((rng.normal(size=(600, features)) + shift) * scale).astype(np.float32)
    b = (rng.normal(size=(400, features)) * scale).astype(np.float32)
    a.tofile(tmp_path / "a")
    b.tofile(tmp_path / "b")
    ours = tool("two_sample", tmp_path / "a", len(a), tmp_path / "b", len(b), features)[0]
    x, y = np.concatenate([a, b]).astype(float), np.repeat([1, 0], [600, 400])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1, tol=1e-8, max_iter=1000))
    theirs = [roc_auc_score(y, cross_val_predict(model, x, y, cv=StratifiedKFold(5, shuffle=True, random_state=s),
                                                 method="decision_function")) for s in range(5)]
    assert abs(ours - np.mean(theirs)) < 4 * np.std(theirs) + 1e-3
