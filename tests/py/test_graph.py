"""Neighbours, graph, clusters and scores of map/ against scikit-learn, scanpy, igraph and leidenalg."""
import subprocess
import warnings

import anndata
import numpy as np
import pytest
from scipy import sparse

SEED = 1


@pytest.fixture
def tool(build, tmp_path):
    """tool("knn", x, k, ...) runs tests/tool_map; arrays among the arguments go to files. Returns what it prints."""

    def save(value):
        if not isinstance(value, np.ndarray):
            return [str(value)]
        path = tmp_path / f"in{len(list(tmp_path.iterdir()))}"
        value.tofile(path)
        return [str(path)]

    def run(command, x, k, *more):
        arguments = [a for value in more for a in save(value)]
        at = [*save(np.ascontiguousarray(x, dtype=np.float32)), *map(str, x.shape), str(k)]
        done = subprocess.run([build / "tests" / "tool_map", command, *at, *arguments], capture_output=True, text=True,
                              timeout=120)
        assert done.returncode == 0, done.stderr
        return [float(w) for w in done.stdout.split()]

    return run


@pytest.fixture
def neighbors(tool, tmp_path):
    """index, distance [n, k] of a command of the tool."""

    def run(command, x, k, *more, rows=None):
        rows = len(x) if rows is None else rows
        tool(command, x, k, *more, tmp_path / "out")
        words = np.fromfile(tmp_path / "out", dtype=np.int32).reshape(2, rows, k)
        return words[0], words[1].view(np.float32)

    return run


@pytest.fixture
def graph(tool, tmp_path):
    """connectivities, distances as sparse matrices."""

    def read(path):
        raw = path.read_bytes()
        n, m, nnz = np.frombuffer(raw, np.int64, 3)
        indptr = np.frombuffer(raw, np.int64, n + 1, 24)
        indices = np.frombuffer(raw, np.int32, nnz, 24 + 8 * (n + 1))
        values = np.frombuffer(raw, np.float32, nnz, 24 + 8 * (n + 1) + 4 * nnz)
        return sparse.csr_matrix((values, indices, indptr), shape=(n, m))

    def run(x, k):
        tool("graph", x, k, tmp_path / "connectivities", tmp_path / "distances")
        return read(tmp_path / "connectivities"), read(tmp_path / "distances")

    return run


def random_points(n, d, seed=SEED):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


@pytest.fixture(scope="session")
def cells(paul15):
    """20 principal components [2730, 20] of paul15, and its clusters as codes."""
    from sklearn.decomposition import PCA

    a = anndata.read_h5ad(paul15)
    counts = a.X.toarray()
    x = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)
    x = PCA(20, svd_solver="randomized", iterated_power=2, random_state=SEED).fit_transform(x)
    return np.ascontiguousarray(x, dtype=np.float32), a.obs["cluster"].cat.codes.to_numpy(np.int32)


# ------------------------------------------------------------------------------------------ neighbours


@pytest.mark.parametrize("n, d, k", [(500, 10, 15), (1000, 3, 1), (129, 1, 128), (700, 40, 30)])
def test_neighbors_are_those_of_scikit_learn(neighbors, n, d, k):
    from sklearn.neighbors import NearestNeighbors

    x = random_points(n, d)
    index, distance = neighbors("knn", x, k)
    expected, theirs = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(x.astype(np.float64)).kneighbors()
    np.testing.assert_allclose(distance, expected, rtol=1e-6, atol=1e-7)
    differs = index != theirs            # float32 makes a few distances equal, and then the index decides
    assert differs.mean() < 1e-3
    np.testing.assert_allclose(distance[differs], expected[differs], rtol=1e-6)


def test_neighbors_of_other_points(neighbors):
    from sklearn.neighbors import NearestNeighbors

    x, q = random_points(600, 8), random_points(90, 8, SEED + 1)
    q[:10] = x[:10]
    index, distance = neighbors("query", x, 7, q, len(q), rows=len(q))
    expected, theirs = NearestNeighbors(n_neighbors=7, algorithm="brute").fit(x.astype(np.float64)).kneighbors(q)
    np.testing.assert_array_equal(index, theirs)
    np.testing.assert_allclose(distance, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(index[:10, 0], np.arange(10))
    np.testing.assert_array_equal(distance[:10, 0], 0)


def test_approximate_neighbors_are_nearly_all_right(neighbors):
    x = random_points(6000, 10)
    index, distance = neighbors("knn", x, 15)
    near, near_distance = neighbors("approximate", x, 15)
    recall = np.mean([len(np.intersect1d(a, b)) / 15 for a, b in zip(index, near)])
    assert recall >= 0.95
    assert (near != np.arange(len(x))[:, None]).all()
    assert (np.diff(near_distance, axis=1) >= 0).all()
    same = index == near
    np.testing.assert_array_equal(distance[same], near_distance[same])


# ---------------------------------------------------------------------------------------------- graph


def scanpy_graph(x, n_neighbors):
    import scanpy as sc

    a = anndata.AnnData(np.zeros((len(x), 1), np.float32), obsm={"X": x.astype(np.float64)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sc.pp.neighbors(a, n_neighbors=n_neighbors, use_rep="X", method="umap", transformer="sklearn")
    return a.obsp["connectivities"].tocsr(), a.obsp["distances"].tocsr()


def assert_same_matrix(ours, theirs, rtol, atol):
    theirs.sort_indices()
    np.testing.assert_array_equal(ours.indptr, theirs.indptr)
    np.testing.assert_array_equal(ours.indices, theirs.indices)
    np.testing.assert_allclose(ours.data, theirs.data, rtol=rtol, atol=atol)


@pytest.mark.parametrize("n_neighbors", [5, 15, 30])
def test_graph_is_that_of_scanpy(graph, cells, n_neighbors):
    x = cells[0]
    connectivities, distances = graph(x, n_neighbors - 1)
    theirs, their_distances = scanpy_graph(x, n_neighbors)
    assert_same_matrix(distances, their_distances, 1e-6, 0)
    assert_same_matrix(connectivities, theirs, 1e-5, 0)
    assert abs(connectivities - connectivities.T).max() == 0


def test_graph_with_copies_of_cells_is_that_of_scanpy(graph):
    """Pairs of copies: whichever of two the reference holds for the cell itself, the strengths are the same."""
    x = np.repeat(random_points(150, 4), 2, axis=0)
    connectivities, distances = graph(x, 14)
    theirs, _ = scanpy_graph(x, 15)
    assert (np.diff(distances.indptr) == 14).all()
    ours, theirs = (m.toarray()[::2] + m.toarray()[1::2] for m in (connectivities, theirs))
    ours, theirs = ours[:, ::2] + ours[:, 1::2], theirs[:, ::2] + theirs[:, 1::2]
    close = np.isclose(ours, theirs, rtol=1e-4, atol=1e-5)
    assert close.mean() > 0.99                # the 14th neighbour may be either copy


# --------------------------------------------------------------------------------------------- leiden


def modularity(m, labels, resolution):
    m = m.astype(np.float64)
    s = np.asarray(m.sum(axis=0)).ravel()
    one_hot = sparse.csr_matrix((np.ones(len(labels)), (np.arange(len(labels)), labels)))
    within = (one_hot.T @ m @ one_hot).diagonal().sum()
    return within / s.sum() - resolution * ((one_hot.T @ s) ** 2).sum() / s.sum() ** 2


@pytest.mark.parametrize("resolution", [0.3, 1.0, 2.0])
def test_clusters_are_as_good_as_those_of_others(tool, graph, cells, tmp_path, resolution):
    import igraph
    import leidenalg

    x = cells[0]
    connectivities, _ = graph(x, 14)
    n_clusters, = tool("leiden", x, 14, resolution, tmp_path / "labels")
    labels = np.fromfile(tmp_path / "labels", np.int32)
    sizes = np.bincount(labels)
    assert n_clusters == len(sizes) and (np.diff(sizes) <= 0).all() and sizes[-1] > 0

    upper = sparse.triu(connectivities, 1).tocoo()
    g = igraph.Graph(len(x), list(zip(upper.row.tolist(), upper.col.tolist())))
    weights = upper.data.astype(np.float64).tolist()
    theirs = [leidenalg.find_partition(g, leidenalg.RBConfigurationVertexPartition, weights=weights, seed=s,
                                       resolution_parameter=resolution).membership for s in range(2)]
    theirs.append(g.community_leiden("modularity", weights=weights, resolution=resolution, n_iterations=-1).membership)
    best = max(modularity(connectivities, m, resolution) for m in theirs)
    assert modularity(connectivities, labels, resolution) > 0.99 * best


def test_best_clusters_are_the_best(tool, cells, tmp_path):
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    x, truth = cells
    ari, nmi, resolution, n_clusters = tool("best", x, 14, truth)
    scores = {}
    for r in (.1, .2, .3, .5, .7, 1, 1.3, 1.6, 2):
        n, = tool("leiden", x, 14, r, tmp_path / "labels")
        labels = np.fromfile(tmp_path / "labels", np.int32)
        scores[r] = adjusted_rand_score(truth, labels), normalized_mutual_info_score(truth, labels), n
    assert resolution == max(scores, key=lambda r: scores[r][0])
    np.testing.assert_allclose((ari, nmi, n_clusters), scores[resolution], rtol=1e-9)


# --------------------------------------------------------------------------------------------- scores


@pytest.mark.parametrize("k, folds", [(15, 5), (4, 3), (1, 10)])
def test_accuracy_is_that_of_cross_validation(tool, cells, k, folds):
    """Unsorted, unbalanced labels; even k makes ties; some cells have no label."""
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    x, labels = cells[0], cells[1].copy() * 3 + 1
    labels[::7] = -1
    ours, = tool("accuracy", x, k, labels, folds)
    kept = labels >= 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = cross_val_score(KNeighborsClassifier(k, algorithm="brute"), x[kept].astype(np.float64), labels[kept],
                                 cv=StratifiedKFold(folds)).mean()
    assert ours == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize("classes", [2, 5])
def test_linear_probe(tool, classes):
    from sklearn.linear_model import RidgeClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    rng = np.random.default_rng(classes)
    labels = rng.integers(0, classes, 400).astype(np.int32)
    x = (rng.normal(size=(400, 6)) * [1, 5, .1, 1, 1, 30] + labels[:, None] * [.6, 0, .05, 0, -.5, 0]).astype(np.float32)
    labels[::11] = -1
    ours, = tool("probe", x, 1, labels, 5)
    kept = labels >= 0
    theirs = cross_val_score(make_pipeline(StandardScaler(), RidgeClassifier(1.0)), x[kept].astype(np.float64), labels[kept], cv=StratifiedKFold(5)).mean()
    assert 1.2 / classes < theirs < 0.99 and ours == pytest.approx(theirs, rel=1e-12)


def test_frechet(tool):
    from scipy.linalg import sqrtm
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(300, 7)) @ rng.normal(size=(7, 7)), rng.normal(size=(200, 7)) @ rng.normal(size=(7, 7)) + 0.3
    a, b = a.astype(np.float32).astype(float), b.astype(np.float32).astype(float)
    ca, cb = np.cov(a.T), np.cov(b.T)
    theirs = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(ca + cb - 2 * sqrtm(ca @ cb).real)
    assert tool("frechet", a, 1, b.astype(np.float32), len(b)) == [pytest.approx(theirs, rel=1e-9)]
    assert tool("frechet", a, 1, a.astype(np.float32), len(a))[0] < 1e-9


@pytest.mark.parametrize("make", [
    lambda r, n: (r.integers(0, 5, n), r.integers(0, 9, n)),
    lambda r, n: (a := r.integers(0, 5, n), (a * 7 + 3) % 11),
    lambda r, n: (a := r.integers(0, 5, n), np.where(r.random(n) < .2, r.integers(0, 5, n), a)),
    lambda r, n: (np.arange(n) % 2, np.zeros(n)),
    lambda r, n: (np.arange(n) // 2, np.arange(n)),
    lambda r, n: (r.integers(-1, 4, n), r.integers(-1, 2, n) * 1000000),
], ids=["random", "renamed", "noisy", "one class", "all apart", "missing"])
def test_agreement_is_that_of_scikit_learn(tool, make):
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score

    n = 800
    a, b = (v.astype(np.int32) for v in make(np.random.default_rng(SEED), n))
    x = random_points(n, 6) + a[:, None] * 0.3
    x = x.astype(np.float32)
    ari, nmi, silhouette = tool("agreement", x, 1, a, b)
    both = (a >= 0) & (b >= 0)
    assert ari == pytest.approx(adjusted_rand_score(a[both], b[both]), rel=1e-9, abs=1e-12)
    assert nmi == pytest.approx(normalized_mutual_info_score(a[both], b[both]), rel=1e-9, abs=1e-12)
    theirs = silhouette_score(x[a >= 0].astype(np.float64), a[a >= 0])
    assert silhouette == pytest.approx(theirs, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_auc_is_that_of_scikit_learn(build, tmp_path, ties):
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(SEED)
    positive = (random.random(3000) < 0.3).astype(np.uint8)
    scores = random.normal(size=3000) + positive
    scores = np.round(scores, 1) if ties else scores
    scores.tofile(tmp_path / "scores")
    positive.tofile(tmp_path / "positive")
    out = subprocess.run([build / "tests" / "tool_map", "auc", tmp_path / "scores", "3000", tmp_path / "positive"],
                         capture_output=True, text=True, check=True).stdout
    assert float(out) == pytest.approx(roc_auc_score(positive, scores), rel=1e-12)
