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
def logged(paul15):
    """log1p(x / total * 1e4) of paul15, dense, float64."""
    x = anndata.read_h5ad(paul15).X
    x = np.asarray(x.todense() if hasattr(x, "todense") else x, dtype=np.float64)
    return np.log1p(x / x.sum(1, keepdims=True) * 1e4)


@pytest.fixture(scope="module")
def exact(logged):
    """The first 50 components by the eigenvalues of the whole covariance."""
    return PCA(50, svd_solver="covariance_eigh").fit(logged)


def fit(tool, path, n, n_genes, k, folder, log1p=1, threads=2):
    """total variance, noise, variances [k], loadings [k, genes], scores [n, k]"""
    numbers = tool("pca", path, log1p, k, threads, folder / "out")
    raw = np.fromfile(folder / "out", dtype=np.float32)
    return numbers[0], numbers[1], numbers[2:], raw[:k * n_genes].reshape(k, n_genes), raw[k * n_genes:].reshape(n, k)


@pytest.mark.parametrize("k", [1, 10, 50])
def test_components_are_exact(tool, logged, exact, paul15, tmp_path, k):
    n, n_genes = logged.shape
    total, noise, variance, loadings, scores = fit(tool, paul15, n, n_genes, k, tmp_path)
    assert np.abs(variance / exact.explained_variance_[:k] - 1).max() < 1e-6
    assert total == pytest.approx(logged.var(0, ddof=1).sum(), rel=1e-6)
    assert noise == pytest.approx((total - variance.sum()) / (min(n - 1, n_genes) - k), rel=1e-9)
    largest = loadings[np.arange(k), np.abs(loadings).argmax(1)]
    assert (largest > 0).all()
    wanted = exact.components_[:k] * np.sign((exact.components_[:k] * loadings).sum(1))[:, None]
    assert np.linalg.norm(loadings - wanted, axis=1).max() < 1e-4
    spread = np.sqrt(exact.explained_variance_[:k])
    assert (np.abs(scores - (logged - logged.mean(0)) @ wanted.T) / spread).max() < 1e-3


def test_counts_as_they_are(tool, paul15, tmp_path):
    x = anndata.read_h5ad(paul15).X
    x = np.asarray(x.todense() if hasattr(x, "todense") else x, dtype=np.float64)
    wanted = PCA(5, svd_solver="covariance_eigh").fit(x)
    total, _, variance, loadings, _ = fit(tool, paul15, *x.shape, 5, tmp_path, log1p=0)
    assert np.abs(variance / wanted.explained_variance_ - 1).max() < 1e-6
    assert np.abs(np.abs((loadings * wanted.components_).sum(1)) - 1).max() < 1e-6
    assert total == pytest.approx(x.var(0, ddof=1).sum(), rel=1e-9)


def test_layout_keeps_neighbours_as_umap_learn(tool, logged, exact, tmp_path):
    umap = pytest.importorskip("umap")
    z = np.ascontiguousarray(exact.transform(logged)[:, :20], dtype=np.float32)
    z.tofile(tmp_path / "z")
    tool("umap", tmp_path / "z", *z.shape, NEIGHBORS, MIN_DIST, tmp_path / "xy")
    ours = np.fromfile(tmp_path / "xy", dtype=np.float32).reshape(-1, 2)
    theirs = umap.UMAP(n_neighbors=NEIGHBORS + 1, min_dist=MIN_DIST, random_state=1, n_jobs=1).fit_transform(z)
    trust, peer = (trustworthiness(z, xy, n_neighbors=NEIGHBORS) for xy in (ours, theirs))
    assert trust > peer - 0.01
    assert np.ptp(theirs, axis=0).max() / 3 < np.ptp(ours, axis=0).max() < 3 * np.ptp(theirs, axis=0).max()


@pytest.mark.parametrize("features, shift", [(1, 0.5), (10, 0.2), (10, 0.0), (150, 0.05), (150, 3.0)])
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
                                                 method="decision_function")) for s in range(10)]
    assert abs(ours - np.mean(theirs)) < 4 * np.std(theirs) + 1e-3
