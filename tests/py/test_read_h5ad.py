"""The h5ad reader against anndata: the same values bit for bit, names, categories and order."""
import math

import pytest

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")
sparse = pytest.importorskip("scipy.sparse")
h5py = pytest.importorskip("h5py")
anndata = pytest.importorskip("anndata")

N_CELLS, N_GENES = 37, 23
REALS = np.array([10.0, 0.1, 1e5, 1e16, 9999999999999998.0, 1e-5, 0.0001, 1.5e300, -20.0, 123456.789, 0.1 + 0.2, 0.0, np.inf])
DTYPES = ["float32", "float64", "int32", "int64", "uint16"]


# ------------------------------------------------------------------------------------ comparison


def assert_same_matrix(got, want):
    """`got` as dataset.h promises it, and equal to `want`, any array, once that is float32."""
    want = sparse.csr_matrix(want).astype("f4")
    want.sum_duplicates()
    want.eliminate_zeros()
    assert got.shape == want.shape
    assert got.indptr.tolist() == want.indptr.tolist()
    assert got.indices.tolist() == want.indices.tolist()
    assert got.data.tobytes() == want.data.astype("f4").tobytes()


def expected_column(name, s):
    """A pandas column as the tool shows it."""
    column = {"name": name, "ordered": False, "categories": []}
    if isinstance(s.dtype, pd.CategoricalDtype):
        return {**column, "kind": "category", "ordered": bool(s.cat.ordered),
                "categories": [str(c) for c in s.cat.categories], "values": [None if c < 0 else int(c) for c in s.cat.codes]}
    if pd.api.types.is_bool_dtype(s.dtype):
        return {**column, "kind": "bool", "values": [None if pd.isna(v) else bool(v) for v in s]}
    if pd.api.types.is_integer_dtype(s.dtype):
        return {**column, "kind": "int", "values": [None if pd.isna(v) else int(v) for v in s]}
    if pd.api.types.is_float_dtype(s.dtype):
        return {**column, "kind": "real", "values": [float(v) for v in s]}
    return {**column, "kind": "string", "values": [None if pd.isna(v) else str(v) for v in s]}


def comparable(column):
    """NaN made equal to itself; a missing category is code -1 or null."""
    missing = {"category": lambda v: None if v == -1 else v,
               "real": lambda v: "NaN" if math.isnan(v) else v}.get(column["kind"], lambda v: v)
    return {**column, "values": [missing(v) for v in column["values"]]}


def assert_same_frame(got, want):
    assert got["index"] == [str(name) for name in want.index]
    assert got["index_name"] == (want.index.name or "_index")
    assert [c["name"] for c in got["columns"]] == list(want.columns)
    for column in got["columns"]:
        assert comparable(column) == comparable(expected_column(column["name"], want[column["name"]]))


def assert_same(got, a, x=None, var=None):
    """What the tool read is what anndata read: `a`, and of it matrix `x` with genes `var`."""
    assert got.format == "h5ad"
    assert_same_matrix(got.x, a.X if x is None else x)
    assert_same_frame(got.obs, a.obs)
    assert_same_frame(got.var, a.var if var is None else var)


# -------------------------------------------------------------------------------------- the data


def some_counts(seed=0, cells=N_CELLS, genes=N_GENES):
    rng = np.random.default_rng(seed)
    return rng.poisson(rng.gamma(0.3, 3.0, size=(cells, genes)))


def some_obs(n=N_CELLS):
    """A column of every kind that anndata writes."""
    rng = np.random.default_rng(1)
    i = np.arange(n)
    masked = pd.Series(i - 5, dtype="Int64")
    masked[[0, 7]] = pd.NA
    truth = pd.Series(i % 2 == 0, dtype="boolean")
    truth[[2, 3, n - 1]] = pd.NA
    labels = np.array(["T cell", "B cell", "", 'a "quoted" \\ one', "Zelle mit Umlaut: \u00e4\u00f6\u00fc \u00b5m \u7d30\u80de"], dtype=object)
    reals = rng.normal(size=n) * 10.0 ** rng.integers(-300, 300, size=n)
    reals[[1, 4, 5, 6]] = np.nan, np.inf, -np.inf, -0.0
    return pd.DataFrame({
        "zz label": pd.Categorical(labels[i % 5], categories=labels),
        "missing": pd.Categorical(np.where(i % 3 == 0, None, labels[i % 2].astype(object))),
        "ordered": pd.Categorical(["lo", "mid", "hi"] * (n // 3) + ["hi"] * (n % 3), categories=["lo", "mid", "hi", "never"],
                                  ordered=True),
        "int categories": pd.Categorical(i * 7 % 11 - 3),
        "real categories": pd.Categorical(REALS[i % len(REALS)]),
        "bool categories": pd.Categorical(i % 2 == 0),
        "no categories": pd.Categorical([None] * n, categories=np.array([], dtype=object)),
        "text": pd.Series([f"text {labels[k % 5]} {k}" for k in i], dtype=object),
        "nullable int": masked, "nullable uint8": pd.Series(i % 200, dtype="UInt8"),
        "nullable bool": truth, "bool": i % 3 == 1,
        "real": reals, "real32": reals.clip(-1e30, 1e30).astype("f4"),
        "i8": (i - 18).astype("i1"), "u16": (i + 65000).astype("u2"), "i64": i + 2**62, "u64": i.astype("u8"),
    }).set_index(pd.Index([f"cell{k}-1" for k in i], name="barcode"))


def some_var(n=N_GENES, prefix="gene"):
    i = np.arange(n)
    return pd.DataFrame({"gene_ids": [f"ENSG{k:011d}" for k in i], "highly_variable": i % 2 == 0,
                         "means": i / 7, "chromosome": pd.Categorical(["chr1", "chrX", "chrM"] * (n // 3) + ["chr1"] * (n % 3))},
                        index=[f"{prefix}{k}" for k in i])


def write(path, x, obs=None, var=None, **more):
    n, g = x.shape if x is not None else more.pop("shape")
    obs = pd.DataFrame(index=[f"c{i}" for i in range(n)]) if obs is None else obs
    var = pd.DataFrame(index=[f"g{i}" for i in range(g)]) if var is None else var
    options = {k: more.pop(k) for k in ("compression",) if k in more}
    raw = more.pop("raw", None)
    a = anndata.AnnData(x, obs=obs, var=var, **more)
    if raw is not None:
        a.raw = raw
    a.write_h5ad(path, **options)
    return path


def as_layout(counts, layout, index):
    if layout == "dense":
        return counts
    m = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix}[layout](counts)
    m.indices, m.indptr = m.indices.astype(index), m.indptr.astype(index)
    return m


# --------------------------------------------------------------------------------------- matrix


@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
@pytest.mark.parametrize("layout, index", [("csr", "i4"), ("csr", "i8"), ("csc", "i4"), ("csc", "i8"), ("dense", "i4")])
def test_layouts(dump, tmp_path, layout, index, compression):
    for dtype in DTYPES:
        x = as_layout(some_counts().astype(dtype), layout, index)
        path = write(tmp_path / f"{dtype}.h5ad", x, compression=compression)
        with h5py.File(path) as f:                       # the file is what this test says it is
            data = f["X"] if layout == "dense" else f["X/data"]
            assert data.dtype == dtype and data.compression == compression
            assert layout == "dense" or f["X/indices"].dtype == index
        got = dump(path)
        assert got.source == "X"
        assert_same(got, anndata.read_h5ad(path))


@pytest.mark.parametrize("dtype", ["float16", "bool", "int8", "uint64", ">f4", ">i2", "float64"])
@pytest.mark.parametrize("layout", ["csr", "dense"])
def test_other_values(dump, tmp_path, layout, dtype):
    """Written with h5py as anndata lays it out, for dtypes that SciPy or anndata might change."""
    counts = some_counts().clip(0, 1 if dtype == "bool" else 100)
    values = counts / 3 if dtype in ("float16", "float64", ">f4") else counts
    path = write(tmp_path / "a.h5ad", as_layout(values, layout, "i4"))
    with h5py.File(path, "a") as f:
        name = "X" if layout == "dense" else "X/data"
        data, attrs = f[name][()].astype(dtype), dict(f[name].attrs)
        del f[name]
        f[name] = data
        f[name].attrs.update(attrs)
    assert_same_matrix(dump(path).x, values.astype(dtype).astype("f4"))


def test_many_chunks(dump, tmp_path):
    """Larger than what is read at a time, in chunks that do not divide it."""
    rng = np.random.default_rng(5)
    counts = rng.poisson(0.3, size=(3001, 701)).astype("f8")
    for layout in ("csr", "csc", "dense"):
        path = write(tmp_path / f"{layout}.h5ad", as_layout(counts, layout, "i4"), compression="lzf")
        assert_same_matrix(dump(path).x, counts)


def test_csr_out_of_order(dump, tmp_path):
    """Unsorted rows are sorted, repeated entries added up, explicit zeros dropped, sums of zero too."""
    indptr = [0, 4, 4, 9]
    indices = [5, 0, 5, 2, 1, 3, 1, 0, 3]
    data = np.array([1, 2, 3, 0, 4, 2, -4, 6, 1], dtype="f4")
    x = sparse.csr_matrix((data, indices, indptr), shape=(3, 6))
    path = write(tmp_path / "a.h5ad", x)
    got = dump(path).x
    assert got.indptr.tolist() == [0, 2, 2, 4]
    assert got.indices.tolist() == [0, 5, 0, 3]
    assert got.data.tolist() == [2, 4, 6, 3]


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (1, 1), (1, 5), (5, 1)])
@pytest.mark.parametrize("layout", ["csr", "csc", "dense"])
def test_small_shapes(dump, tmp_path, layout, shape):
    path = write(tmp_path / "a.h5ad", as_layout(np.ones(shape, "f4"), layout, "i4"))
    assert_same(dump(path), anndata.read_h5ad(path))


def test_no_value_at_all(dump, tmp_path):
    for layout in ("csr", "csc", "dense"):
        path = write(tmp_path / "a.h5ad", as_layout(np.zeros((4, 3), "f4"), layout, "i4"))
        assert_same(dump(path), anndata.read_h5ad(path))


def test_not_finite(dump, tmp_path):
    x = np.array([[np.nan, 0, np.inf], [-np.inf, -0.0, 1e-45]], dtype="f4")
    got = dump(write(tmp_path / "a.h5ad", x)).x
    assert got.indices.tolist() == [0, 2, 0, 2]
    assert got.data.tobytes() == np.array([np.nan, np.inf, -np.inf, 1e-45], "f4").tobytes()


# ----------------------------------------------------------------------------- which matrix it is


def log1p(x):
    return np.log1p(x.astype("f4"))


def test_counts_in_x(dump, tmp_path):
    counts = some_counts()
    path = write(tmp_path / "a.h5ad", counts, layers={"counts": some_counts(9)})
    got = dump(path)
    assert got.source == "X" and "taken from" not in got.log
    assert_same_matrix(got.x, counts)


@pytest.mark.parametrize("layout", ["csr", "csc", "dense"])
def test_counts_in_layer(dump, tmp_path, layout):
    counts = some_counts()
    path = write(tmp_path / "a.h5ad", as_layout(log1p(counts), layout, "i4"),
                 layers={"counts": as_layout(counts, layout, "i4"), "other": counts * 2}, obs=some_obs(), var=some_var())
    a, got = anndata.read_h5ad(path), dump(path)
    assert got.source == "layers/counts"
    assert "counts are taken from layers/counts; X does not hold non-negative integers" in got.log
    assert_same(got, a, x=a.layers["counts"])
    for layer, x in (("X", a.X), ("counts", a.layers["counts"]), ("other", a.layers["other"]), ("layers/other", a.layers["other"])):
        got = dump(path, layer)
        assert got.source == ("X" if layer == "X" else f"layers/{layer.split('/')[-1]}")
        assert_same(got, a, x=x)


@pytest.mark.parametrize("layout", ["csr", "csc", "dense"])
def test_counts_in_raw(dump, tmp_path, layout):
    """raw has genes of its own."""
    counts = some_counts()
    raw = anndata.AnnData(as_layout(counts, layout, "i4"), obs=some_obs(), var=some_var(prefix="raw"))
    path = write(tmp_path / "a.h5ad", log1p(counts)[:, 3:9], obs=some_obs(), var=some_var()[3:9], raw=raw,
                 layers={"counts": log1p(counts)[:, 3:9]})
    a, got = anndata.read_h5ad(path), dump(path)
    assert got.source == "raw/X" and "taken from raw/X" in got.log
    assert_same(got, a, x=a.raw.X, var=a.raw.var)
    assert_same(dump(path, "raw"), a, x=a.raw.X, var=a.raw.var)
    assert_same(dump(path, "X"), a)


def test_no_counts_anywhere(dump, tmp_path):
    """Then X, as it is."""
    counts = some_counts()
    raw = anndata.AnnData(log1p(counts), var=some_var())
    path = write(tmp_path / "a.h5ad", log1p(counts)[:, :4], raw=raw, layers={"counts": -counts[:, :4]}, var=some_var()[:4])
    got = dump(path)
    assert got.source == "X"
    assert_same(got, anndata.read_h5ad(path))


def test_no_x(dump, dump_tool, tmp_path):
    counts = some_counts()
    path = write(tmp_path / "a.h5ad", None, layers={"counts": counts}, shape=counts.shape)
    a, got = anndata.read_h5ad(path), dump(path)
    assert a.X is None and got.source == "layers/counts"
    assert_same(got, a, x=counts)


# -------------------------------------------------------------------------------- obs and var


@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
def test_columns(dump, tmp_path, compression):
    path = write(tmp_path / "a.h5ad", some_counts(), obs=some_obs(), var=some_var(), compression=compression)
    got = dump(path)
    assert len(got.obs["columns"]) == 18
    assert_same(got, anndata.read_h5ad(path))


def test_nullable_text(dump, tmp_path):
    path = write(tmp_path / "a.h5ad", np.ones((4, 2)), obs=pd.DataFrame({"s": list("1234")}, index=list("wxyz")))
    with h5py.File(path, "a") as f, anndata.settings.override(allow_write_nullable_strings=True):
        del f["obs/s"]
        anndata.io.write_elem(f["obs"], "s", pd.array(["a", None, "", "d"], dtype="string"))
        assert f["obs/s"].attrs["encoding-type"] == "nullable-string-array"
    got = dump(path)
    assert got.obs["columns"][0]["values"] == ["a", None, "", "d"]
    assert_same(got, anndata.read_h5ad(path))


def test_wide_categories(dump, tmp_path):
    """Codes of 16 and of 32 bits."""
    n = 40000
    obs = pd.DataFrame({"few": pd.Categorical([f"k{i % 300}" for i in range(n)]), "each": pd.Categorical([f"k{i}" for i in range(n)])},
                       index=[str(i) for i in range(n)])
    path = write(tmp_path / "a.h5ad", sparse.csr_matrix((n, 2), dtype="f4"), obs=obs)
    with h5py.File(path) as f:
        assert f["obs/few/codes"].dtype == "i2" and f["obs/each/codes"].dtype == "i4"
    assert_same(dump(path), anndata.read_h5ad(path))


def test_left_out_with_a_word(dump, tmp_path):
    """Columns that iso_column cannot hold are named and left out, the others are read."""
    obs = pd.DataFrame({"a": [1, 2, 3], "huge": np.array([1, 2, 2**63 + 5], "u8"), "z": [1.5, 2.5, 3.5]}, index=list("xyz"))
    path = write(tmp_path / "a.h5ad", np.ones((3, 2)), obs=obs)
    got = dump(path)
    assert [c["name"] for c in got.obs["columns"]] == ["a", "z"]
    assert "/obs/huge has an encoding that is not known here; left out" in got.log


def test_names_with_a_slash(dump, tmp_path):
    """Older versions of anndata let a slash in a column's name make a group."""
    path = write(tmp_path / "a.h5ad", np.ones((3, 2)), obs=pd.DataFrame({"a": [1, 2, 3]}, index=list("xyz")))
    with h5py.File(path, "a") as f:
        f.move("obs/a", "obs/per/cent")
        f["obs"].attrs["column-order"] = ["per/cent"]
    got = dump(path)
    assert got.obs["columns"][0]["name"] == "per/cent" and got.obs["columns"][0]["values"] == [1, 2, 3]


# ------------------------------------------------------------------------- older versions of h5ad


def write_0_7(path, x, obs, var):
    """As anndata 0.7 did: categories in __categories, found by a reference."""
    text = h5py.string_dtype()

    def frame(f, name, df):
        g = f.create_group(name)
        g.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.1.0", "_index": df.index.name or "_index"})
        g.attrs["column-order"] = np.array(list(df.columns), dtype=text)
        g.create_dataset(df.index.name or "_index", data=df.index.to_numpy(dtype=object), dtype=text)
        for k, s in df.items():
            if isinstance(s.dtype, pd.CategoricalDtype):
                values = s.cat.categories.to_numpy()
                c = g.require_group("__categories").create_dataset(k, data=values, dtype=text if values.dtype == object else None)
                c.attrs["ordered"] = s.cat.ordered
                g[k] = s.cat.codes.to_numpy()
                g[k].attrs["categories"] = c.ref
            else:
                g.create_dataset(k, data=s.to_numpy(), dtype=text if s.dtype == object else None)

    with h5py.File(path, "w") as f:
        frame(f, "obs", obs)
        frame(f, "var", var)
        m = sparse.csr_matrix(x)
        g = f.create_group("X")
        g.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": m.shape})
        g["data"], g["indices"], g["indptr"] = m.data, m.indices, m.indptr
    return path


def write_0_6(path, x, obs, var, raw=None, sparse_x=True, index_name="index"):
    """As anndata before 0.7 did: obs and var are tables, with categories in uns; raw.X and raw.var at the top."""

    def matrix(f, name, m):
        if not sparse_x:
            f[name] = m
            return
        m = sparse.csr_matrix(m)
        g = f.create_group(name)
        g.attrs["h5sparse_format"], g.attrs["h5sparse_shape"] = "csr", m.shape
        g["data"], g["indices"], g["indptr"] = m.data, m.indices, m.indptr

    def table(f, name, df):
        fields, columns = [(index_name, h5py.string_dtype())], [df.index.to_numpy(dtype=object)]
        for k, s in df.items():
            if isinstance(s.dtype, pd.CategoricalDtype):
                f.require_group("uns").create_dataset(f"{k}_categories", data=s.cat.categories.to_numpy(dtype=object),
                                                      dtype=h5py.string_dtype())
                s = s.cat.codes
            fields.append((k, h5py.string_dtype() if s.dtype == object else s.dtype))
            columns.append(s.to_numpy())
        rows = np.empty(len(df), dtype=fields)
        for (k, _), values in zip(fields, columns):
            rows[k] = values
        f[name] = rows

    with h5py.File(path, "w") as f:
        matrix(f, "X", x)
        table(f, "obs", obs)
        table(f, "var", var)
        if raw:
            matrix(f, "raw.X", raw[0])
            table(f, "raw.var", raw[1])
    return path


def old_obs():
    return some_obs()[["zz label", "missing", "text", "bool", "real", "real32", "i8", "u16", "i64"]]


def read_old(path):
    import warnings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return anndata.read_h5ad(path)


def test_anndata_0_7(dump, tmp_path):
    obs = some_obs()[["zz label", "missing", "ordered", "int categories", "text", "bool", "real", "i8"]]
    path = write_0_7(tmp_path / "a.h5ad", some_counts(), obs, some_var())
    got = dump(path)
    assert [c["kind"] for c in got.obs["columns"]] == ["category"] * 4 + ["string", "bool", "real", "int"]
    assert_same(got, read_old(path))


def test_anndata_0_7_one_category(dump, tmp_path):
    """A single category used to be written as a scalar."""
    obs = pd.DataFrame({"only": pd.Categorical(["one"] * 3)}, index=list("xyz"))
    path = write_0_7(tmp_path / "a.h5ad", np.ones((3, 2)), obs, some_var(2))
    with h5py.File(path, "a") as f:
        del f["obs/__categories/only"]
        f["obs/__categories/only"] = "one"
        f["obs/only"].attrs["categories"] = f["obs/__categories/only"].ref
    column = dump(path).obs["columns"][0]
    assert column["categories"] == ["one"] and column["values"] == [0, 0, 0]


@pytest.mark.parametrize("sparse_x", [True, False])
def test_anndata_0_6(dump, tmp_path, sparse_x):
    path = write_0_6(tmp_path / "a.h5ad", some_counts(), old_obs(), some_var(), sparse_x=sparse_x)
    got, a = dump(path), read_old(path)
    assert got.obs["columns"][0]["kind"] == "category" and got.obs["columns"][1]["kind"] == "category"
    a.obs.index.name, a.var.index.name = got.obs["index_name"], got.var["index_name"]
    assert_same(got, a)


@pytest.mark.parametrize("sparse_x", [True, False])
def test_anndata_0_6_raw(dump, tmp_path, sparse_x):
    counts = some_counts()
    path = write_0_6(tmp_path / "a.h5ad", log1p(counts)[:, :5], old_obs(), some_var(5), sparse_x=sparse_x,
                     raw=(counts, some_var(prefix="raw")[["gene_ids", "means"]]))
    got, a = dump(path), read_old(path)
    assert got.source == "raw/X"
    a.obs.index.name = got.obs["index_name"]
    assert got.var["index"] == a.raw.var_names.tolist()
    assert_same_frame(got.obs, a.obs)
    assert_same_matrix(got.x, a.raw.X)


def test_anndata_0_6_fixed_width_names(dump, tmp_path):
    """The oldest files hold names of fixed width, padded with zeros."""
    names = np.array(["a", "bcd", "ef"], dtype="S5")
    obs = np.array(list(zip(names, [1, 2, 3], [b"x", b"yy", b""])), dtype=[("index", "S5"), ("n", "i4"), ("s", "S2")])
    path = tmp_path / "a.h5ad"
    with h5py.File(path, "w") as f:
        f["X"] = np.ones((3, 2), "f4")
        f["obs"] = obs
        f["var"] = np.array([(b"g1",), (b"g2",)], dtype=[("index", "S2")])
    got = dump(path)
    assert got.obs["index"] == ["a", "bcd", "ef"] and got.var["index"] == ["g1", "g2"]
    assert got.obs["columns"][0]["values"] == [1, 2, 3] and got.obs["columns"][1]["values"] == ["x", "yy", ""]


def test_paul15(dump, paul15):
    """The data that comes with the project."""
    assert_same(dump(paul15), anndata.read_h5ad(paul15))
