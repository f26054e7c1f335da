"""What the library writes as h5ad, read by anndata, used by scanpy, and read by the library again. tool_write.c adds
to its input what the tests look for."""
import json
import os
import subprocess
import warnings

import numpy as np
import pytest

ad = pytest.importorskip("anndata")
pd = pytest.importorskip("pandas")
sp = pytest.importorskip("scipy.sparse")
h5py = pytest.importorskip("h5py")

N, G = 300, 40


@pytest.fixture(scope="module")
def tools(build):
    for name in ("tool_write", "tool_dump"):
        assert (build / "tests" / name).exists(), f"{name} is missing: build all targets first"
    return build / "tests"


@pytest.fixture(scope="module")
def write(tools):
    def run(*arguments, check=True, before=()):
        done = subprocess.run([*before, tools / "tool_write", *map(str, arguments)], capture_output=True, text=True, timeout=120)
        assert not check or done.returncode == 0, done.stderr
        return done

    return run


def some(rng, values):
    """The values with a fifth of them missing."""
    return [None if rng.random() < 0.2 else v for v in values]


def obs_of(n, rng):
    texts = np.array(["", "a", "b b", "é", "日本"])
    frame = pd.DataFrame(index=pd.Index([f"cell {i} é" for i in range(n)], name="barcode"))
    frame["category"] = pd.Categorical(some(rng, texts[rng.integers(0, 5, n)]), categories=texts)
    frame["ordered"] = pd.Categorical(texts[rng.integers(0, 2, n)], categories=texts[[1, 0]], ordered=True)
    frame["many"] = pd.Categorical([f"k{i}" for i in range(n)])
    frame["no_categories"] = pd.Categorical([None] * n, categories=np.array([], dtype=object))
    frame["string"] = texts[rng.integers(0, 5, n)].astype(object)
    frame["int"] = rng.integers(-2**62, 2**62, n)
    frame["int_missing"] = pd.array(some(rng, rng.integers(-9, 9, n).tolist()), dtype="Int64")
    frame["bool"] = rng.random(n) < 0.5
    frame["bool_missing"] = pd.array(some(rng, (rng.random(n) < 0.5).tolist()), dtype="boolean")
    frame["real"] = np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n))
    frame["extremes"] = np.resize([np.inf, -np.inf, -0.0, 5e-324], n)
    frame["replace_me"] = ["old"] * n
    frame["string_missing"] = pd.array(some(rng, texts[rng.integers(0, 5, n)].tolist()), dtype="string")
    return frame


def make(path, n=N, g=G):
    rng = np.random.default_rng(1)
    x = sp.csr_matrix(rng.poisson(0.4, (n, g)).astype(np.float32))
    var = pd.DataFrame({"long name/unit": rng.normal(size=g)}, index=[f"gene{i}" for i in range(g)])
    old = ad.settings.allow_write_nullable_strings
    ad.settings.allow_write_nullable_strings = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")         # of the '/' in a name
            ad.AnnData(x, obs=obs_of(n, rng), var=var).write_h5ad(path, convert_strings_to_categoricals=False)
    finally:
        ad.settings.allow_write_nullable_strings = old
    return path


def read(path):
    """anndata's view; every warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return ad.read_h5ad(path)


@pytest.fixture(scope="module")
def files(tmp_path_factory, write):
    folder = tmp_path_factory.mktemp("h5ad")
    source = make(folder / "in.h5ad")
    write(source, folder / "out.h5ad")
    return source, folder / "out.h5ad"


# ------------------------------------------------------------------------------------- content


def test_columns_are_equal(files):
    old, new = (read(f) for f in files)
    assert new.obs_names.equals(old.obs_names) and new.obs.index.name == "barcode"
    assert list(new.obs.columns) == [*old.obs.columns, "leiden"]
    for name in old.obs.columns.drop("replace_me"):
        pd.testing.assert_series_equal(new.obs[name], old.obs[name])
    assert new.obs["category"].isna().any() and new.obs["int_missing"].isna().any()
    assert new.obs["string_missing"].isna().any() and new.obs["bool_missing"].isna().any()
    assert np.signbit(new.obs["extremes"].iloc[2])
    np.testing.assert_array_equal(new.obs["replace_me"], 0.25 * np.arange(N))
    pd.testing.assert_frame_equal(new.var, old.var)


def test_matrices_are_equal(files):
    old, new = (read(f) for f in files)
    assert new.X.format == "csr" and new.X.dtype == np.float32 and new.X.has_canonical_format
    assert (new.X != old.X).nnz == 0 and new.X.nnz == old.X.nnz
    assert (new.layers["twice"] != 2 * old.X).nnz == 0
    np.testing.assert_array_equal(new.obsm["X_isolario"], np.arange(N * 4, dtype=np.float32).reshape(N, 4) / 8)
    assert new.obsm["X_umap"].shape == (N, 2) and new.obsm["X_umap"].dtype == np.float32
    ring = new.obsp["connectivities"].toarray()
    far = (np.arange(N)[:, None] - np.arange(N)) % N
    np.testing.assert_array_equal(ring, 0.5 * ((far > 0) & ((far <= 5) | (far >= N - 5))))
    assert new.obsp["connectivities"].indices.dtype == np.int32


def test_uns(files):
    uns = read(files[1]).uns
    assert uns["neighbors"] == {"connectivities_key": "connectivities", "distances_key": "distances",
                                "params": {"n_neighbors": 11, "method": "umap", "metric": "euclidean"}}
    assert isinstance(uns["neighbors"]["params"]["n_neighbors"], (int, np.int64))
    ours = uns["isolario"]
    assert ours["verdict"] == "good \u2014 caf?" and ours["empty"] == "" and ours["pi"] == 3.25
    np.testing.assert_array_equal(ours["reals"], [0.5, -1.5, np.nan])
    np.testing.assert_array_equal(ours["ints"], [1, -2, 2**63 - 1])
    assert ours["ints"].dtype == np.int64 and ours["no_ints"].shape == (0,)
    assert list(ours["genes"]) == ["Gata1", "", "é", "caf?"] and list(ours["nothing"]) == []


def test_layout_is_that_of_anndata(files, tmp_path):
    """Every group, array and attribute: the same encodings, shapes and types as anndata gives to the same object."""
    again = tmp_path / "again.h5ad"
    a = read(files[1])
    old = ad.settings.allow_write_nullable_strings
    ad.settings.allow_write_nullable_strings = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            a.write_h5ad(again, convert_strings_to_categoricals=False)
    finally:
        ad.settings.allow_write_nullable_strings = old

    def described(path):
        found = {}

        def visit(name, item):
            attributes = {k: (item.attrs.get_id(k).dtype.str if k != "column-order" else None, np.asarray(v).tolist())
                          for k, v in item.attrs.items()}
            found[name] = (getattr(item, "shape", None), getattr(item, "dtype", None), attributes,
                           h5py.check_string_dtype(item.dtype) if hasattr(item, "dtype") else None)

        with h5py.File(path) as f:
            visit("/", f)
            f.visititems(visit)
        return found

    ours, theirs = described(files[1]), described(again)
    assert ours.keys() == theirs.keys()
    for name in theirs:
        assert ours[name] == theirs[name], name


def test_codes_are_as_narrow_as_pandas_has_them(files):
    with h5py.File(files[1]) as f:
        assert f["obs/category/codes"].dtype == np.int8 and f["obs/many/codes"].dtype == np.int16
        assert f["X/data"].compression == "gzip" and f["X/data"].compression_opts == 4 and f["X/data"].chunks
        assert f["obsm/X_umap"].compression is None


def test_our_reader_reads_it_back(files, tools, tmp_path):
    def dump(path):
        done = subprocess.run([tools / "tool_dump", path, tmp_path / "matrix"], capture_output=True, text=True,
                              check=True)
        return json.loads(done.stdout), (tmp_path / "matrix").read_bytes()

    (old, old_matrix), (new, new_matrix) = (dump(f) for f in files)
    assert old_matrix == new_matrix and repr(old["var"]) == repr(new["var"])
    assert old["obs"]["index"] == new["obs"]["index"] and new["obs"]["index_name"] == "barcode"
    columns = {c["name"]: c for c in new["obs"]["columns"]}
    for c in old["obs"]["columns"]:
        if c["name"] != "replace_me":
            assert repr(columns[c["name"]]) == repr(c)
    assert columns["leiden"]["values"][:5] == [-1, 0, 1, 2, -1]


def test_cells_alone(files, write, tmp_path):
    write("--frame", files[0], tmp_path / "a.h5ad")
    a = read(tmp_path / "a.h5ad")
    assert a.shape == (N, 0) and a.X is None and "X_isolario" in a.obsm and not a.layers


@pytest.mark.parametrize("n, g", [(0, 3), (3, 0), (1, 1)])
def test_small_ones(write, tmp_path, n, g):
    make(tmp_path / "in.h5ad", n, g)
    write(tmp_path / "in.h5ad", tmp_path / "out.h5ad")
    assert read(tmp_path / "out.h5ad").shape == (n, g)


def test_more_columns_than_an_old_attribute_holds(write, tmp_path):
    names = ["real", *(f"column {i}" for i in range(4500))]
    make(tmp_path / "in.h5ad", 20, 2)
    with h5py.File(tmp_path / "old.h5ad", "w", libver=("v108", "v108")) as f, h5py.File(tmp_path / "in.h5ad") as old:
        for name in ("X", "var", "obs/_index", "obs/real"):
            old.copy(name.replace("_index", "barcode"), f, name)
        for name in names[1:]:
            f["obs"][name] = f["obs/real"]              # a link, which is quick
        f["obs"].attrs.update({"_index": "_index", "column-order": names})
    write(tmp_path / "old.h5ad", tmp_path / "out.h5ad")
    with h5py.File(tmp_path / "out.h5ad") as f:
        assert list(f["obs"].attrs["column-order"]) == [*names, "leiden", "replace_me"]
        np.testing.assert_array_equal(f["obs/column 4499"][:], f["obs/real"][:])


def test_a_column_with_the_name_of_the_index(write, tmp_path):
    make(tmp_path / "in.h5ad", 20, 3)
    with h5py.File(tmp_path / "in.h5ad", "a") as f:
        f["obs"].move("barcode", "leiden")
        f["obs"].attrs["_index"] = "leiden"
    write(tmp_path / "in.h5ad", tmp_path / "out.h5ad")
    a = read(tmp_path / "out.h5ad")
    assert a.obs_names[3] == "cell 3 é" and list(a.obs["leiden"].cat.categories) == ["0", "1", "2"]


def test_scanpy_works_on_it(files, tmp_path):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")        # of scanpy's own imports
        sc = pytest.importorskip("scanpy")
        pytest.importorskip("leidenalg")
        import matplotlib.pyplot as plt
    a = read(files[1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in (DeprecationWarning, PendingDeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", kind)      # scanpy's own use of other packages
        sc.tl.leiden(a, flavor="igraph", n_iterations=2, directed=False, key_added="again")
        sc.pl.umap(a, color=["again", "leiden", "real", "gene3"], show=False)
    plt.close("all")
    assert 3 < a.obs["again"].nunique() < 60


# ------------------------------------------------------------------------------------ failures


def test_a_full_disk_is_an_error_that_leaves_nothing(files, write, tmp_path):
    whole = files[1].stat().st_size
    target = tmp_path / "out.h5ad"
    target.write_text("what was there before")
    for room in [*range(0, 8000, 997), *range(8000, whole, whole // 12), whole - 1]:
        done = write("--room", room, files[0], target, check=False)
        assert done.returncode == 3, (room, done.stderr)
        assert str(target) in done.stderr and "File too large" in done.stderr and done.stderr.count("\n") == 1
        assert [p.name for p in tmp_path.iterdir()] == ["out.h5ad"] and target.read_text() == "what was there before"
    write("--room", whole + 65536, files[0], target)        # HDF5 cuts off some room that it has taken, at the end
    assert read(target).shape == (N, G)


@pytest.mark.parametrize("target, message", [
    ("no/such/folder/out.h5ad", "No such file or directory"),
    ("in.h5ad/out.h5ad", "Not a directory"),
    (".", "is a folder"),
    ("/dev/null", "not a regular file"),
])
def test_bad_targets(write, tmp_path, target, message):
    make(tmp_path / "in.h5ad", 3, 2)
    done = write(tmp_path / "in.h5ad", tmp_path / target, check=False)
    assert done.returncode == 3 and message in done.stderr and done.stderr.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["in.h5ad"]


def test_a_folder_without_permission(files, write, bound, tmp_path):
    tmp_path.chmod(0o500)
    done = write(files[0], tmp_path / "out.h5ad", check=False, before=bound)
    tmp_path.chmod(0o700)
    assert done.returncode == 3 and "Permission denied" in done.stderr


def test_every_allocation_may_fail(write, tmp_path):
    make(tmp_path / "in.h5ad", 20, 5)
    done = write("--no-memory", tmp_path / "in.h5ad", tmp_path / "out.h5ad")
    assert int(done.stdout) > 100
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.h5ad", "out.h5ad"]
    assert read(tmp_path / "out.h5ad").shape == (20, 5)


def test_mode_is_what_umask_says_and_links_stay(files, write, tmp_path):
    os.symlink("far/real.h5ad", tmp_path / "link.h5ad")
    (tmp_path / "far").mkdir()
    old = os.umask(0o026)
    try:
        write(files[0], tmp_path / "link.h5ad")
    finally:
        os.umask(old)
    assert (tmp_path / "link.h5ad").is_symlink() and (tmp_path / "far" / "real.h5ad").stat().st_mode & 0o777 == 0o640
    assert [p.name for p in (tmp_path / "far").iterdir()] == ["real.h5ad"]
