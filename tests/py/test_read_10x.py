"""The 10x readers, h5 and folders, against scanpy: the same values bit for bit, names, order, and genes alone."""
import gzip
import subprocess

import pytest

np = pytest.importorskip("numpy")
sparse = pytest.importorskip("scipy.sparse")
h5py = pytest.importorskip("h5py")
pytestmark = pytest.mark.filterwarnings("ignore:Variable names are not unique")

N_CELLS, N_FEATURES = 31, 17
TYPES = ["Gene Expression", "Gene Expression", "Antibody Capture", "Gene Expression", "CRISPR Guide Capture"]


@pytest.fixture(scope="module")
def scanpy():
    return pytest.importorskip("scanpy")


def some_counts(seed=0, dtype="i4"):
    rng = np.random.default_rng(seed)
    return sparse.csr_matrix(rng.poisson(rng.gamma(0.3, 3.0, size=(N_CELLS, N_FEATURES))).astype(dtype))


def some_features(several_types=True):
    """id, symbol, type; symbols repeat, as in real data."""
    return [(f"ENSG{j:011d}", f"Gene-{j % 14}", TYPES[j % 5] if several_types else TYPES[0]) for j in range(N_FEATURES)]


def some_barcodes():
    return [f"ACGTACGTACGT{i:04d}-1" for i in range(N_CELLS)]


def assert_same(got, a, columns):
    want = sparse.csr_matrix(a.X).astype("f4")
    want.sum_duplicates()
    want.eliminate_zeros()
    assert got.x.shape == want.shape
    for name in ("indptr", "indices"):
        assert getattr(got.x, name).tolist() == getattr(want, name).tolist()
    assert got.x.data.tobytes() == want.data.tobytes()
    assert got.obs["index"] == a.obs_names.tolist() and got.var["index"] == a.var_names.tolist()
    assert [c["name"] for c in got.var["columns"]] == columns == list(a.var.columns)
    for frame, df in ((got.obs, a.obs), (got.var, a.var)):
        for c in frame["columns"]:
            assert c["kind"] == ("bool" if df[c["name"]].dtype == bool else "string")
            assert c["values"] == df[c["name"]].tolist()


# ------------------------------------------------------------------------------------------- h5


def write_v3(path, counts, features, more=(), compression="gzip", dtype="i4", width=None):
    """As Cell Ranger 3 and later: text of fixed width, features x barcodes by column."""
    def text(values):
        return np.array([v.encode() for v in values], dtype=f"S{width}" if width else None)

    with h5py.File(path, "w") as f:
        f.attrs["filetype"], f.attrs["version"] = "matrix", 2
        g = f.create_group("matrix")
        put = g.create_dataset
        put("barcodes", data=text(some_barcodes()), compression=compression)
        put("data", data=counts.data.astype(dtype), compression=compression)
        put("indices", data=counts.indices.astype("i8"), compression=compression)
        put("indptr", data=counts.indptr.astype("i8"), compression=compression)
        put("shape", data=np.array(counts.shape[::-1], dtype="i4"))
        g = g.create_group("features")
        for name, values in zip(("id", "name", "feature_type"), zip(*features)):
            g.create_dataset(name, data=text(values), compression=compression)
        g["_all_tag_keys"] = text(["genome"])
        g["genome"] = text(["GRCh38"] * len(features))
        for name, values in more:
            g[name] = values
    return path


@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
@pytest.mark.parametrize("several_types", [True, False])
def test_h5_v3(dump, scanpy, tmp_path, compression, several_types):
    path = write_v3(tmp_path / "a.h5", some_counts(), some_features(several_types), compression=compression)
    got, a = dump(path), scanpy.read_10x_h5(path)
    assert got.format == "10x-h5" and got.source == "matrix"
    assert a.n_vars == (N_FEATURES if not several_types else 11)
    assert ("6 features that are not genes" in got.log) == several_types
    assert_same(got, a, ["gene_ids", "feature_types", "genome"])


def test_h5_v3_wide_text(dump, scanpy, tmp_path):
    path = write_v3(tmp_path / "a.h5", some_counts(), some_features(), width=64)
    assert_same(dump(path), scanpy.read_10x_h5(path), ["gene_ids", "feature_types", "genome"])


@pytest.mark.parametrize("dtype", ["i8", "f4", "u2"])
def test_h5_v3_values(dump, scanpy, tmp_path, dtype):
    """CellBender and others write other types of value."""
    path = write_v3(tmp_path / "a.h5", some_counts(), some_features(), dtype=dtype)
    assert_same(dump(path), scanpy.read_10x_h5(path), ["gene_ids", "feature_types", "genome"])


def test_h5_v3_more_columns(dump, scanpy, tmp_path):
    """Guides have patterns; targeted panels have a group target_sets, which is no column."""
    more = [("pattern", np.array([b"5P(BC)"] * N_FEATURES)), ("target_sets/panel", np.arange(3)), ("ok", np.arange(N_FEATURES) % 2 == 0)]
    path = write_v3(tmp_path / "a.h5", some_counts(), some_features(), more)
    assert_same(dump(path), scanpy.read_10x_h5(path), ["gene_ids", "feature_types", "genome", "ok", "pattern"])


def test_h5_probes(dump, scanpy, tmp_path):
    """Flex: a matrix of probes, with the gene of each, and which barcodes are cells."""
    more = [("gene_id", np.array([f"G{j // 2}".encode() for j in range(N_FEATURES)])), ("filtered_probes", np.arange(N_FEATURES) % 3 > 0)]
    path = write_v3(tmp_path / "a.h5", some_counts(), some_features(), more)
    with h5py.File(path, "a") as f:
        f["matrix/filtered_barcodes"] = np.arange(N_CELLS) % 4 > 0
    got = dump(path)
    assert [c["name"] for c in got.obs["columns"]] == ["filtered_barcodes"]
    assert_same(got, scanpy.read_10x_h5(path), ["gene_ids", "probe_ids", "feature_types", "filtered_probes", "genome"])


def write_v2(path, genomes):
    with h5py.File(path, "w") as f:
        for k, genome in enumerate(genomes):
            counts = some_counts(k)
            g = f.create_group(genome)
            ids, symbols, _ = zip(*some_features())
            g["barcodes"], g["genes"], g["gene_names"] = (np.array([v.encode() for v in x]) for x in (some_barcodes(), ids, symbols))
            g["data"], g["indices"], g["indptr"] = counts.data, counts.indices.astype("i8"), counts.indptr.astype("i8")
            g["shape"] = np.array(counts.shape[::-1], dtype="i4")
    return path


def test_h5_v2(dump, scanpy, tmp_path):
    path = write_v2(tmp_path / "a.h5", ["GRCh38"])
    got = dump(path)
    assert got.format == "10x-h5"
    assert_same(got, scanpy.read_10x_h5(path), ["gene_ids"])


def test_h5_v2_two_genomes(dump, dump_tool, scanpy, tmp_path):
    path = write_v2(tmp_path / "a.h5", ["hg19", "mm10"])
    for genome in ("hg19", "mm10"):
        assert_same(dump(path, genome), scanpy.read_10x_h5(path, genome=genome), ["gene_ids"])
    done = subprocess.run([dump_tool, path, tmp_path / "x"], capture_output=True, text=True)
    assert done.returncode == 2 and "holds more than one genome; its genomes are: hg19, mm10" in done.stderr
    done = subprocess.run([dump_tool, path, tmp_path / "x", "mm9"], capture_output=True, text=True)
    assert done.returncode == 1 and 'has no genome "mm9"; its genomes are: hg19, mm10' in done.stderr


# -------------------------------------------------------------------------------------- folders


def matrix_market(counts, field="integer", comments=("%", "% made by a test, not by a sequencer"), end="\n"):
    m = counts.tocsr().tocoo()
    order = np.random.default_rng(3).permutation(m.nnz)          # any order is allowed
    value = {"integer": "{:d}", "real": "{:.6g}"}[field].format
    lines = [f"%%MatrixMarket matrix coordinate {field} general", *comments, f"{m.shape[1]} {m.shape[0]} {m.nnz}"]
    lines += [f"{m.col[p] + 1} {m.row[p] + 1} {value(m.data[p])}" for p in order]
    return end.join(lines) + end


def write_folder(folder, matrix, features, version=3, prefix="", gz=None, columns=3):
    """features [id, symbol, type]; version 3 is gzipped and version 2 is not, unless gz says otherwise."""
    folder.mkdir(exist_ok=True)
    gz = version == 3 if gz is None else gz
    names = "features.tsv" if version == 3 else "genes.tsv"
    for name, text in (("matrix.mtx", matrix), ("barcodes.tsv", "".join(f"{b}\n" for b in some_barcodes())),
                       (names, "".join("\t".join(f[:columns]) + "\n" for f in features))):
        path = folder / f"{prefix}{name}{'.gz' if gz else ''}"
        path.write_bytes(gzip.compress(text.encode()) if gz else text.encode())
    return folder


@pytest.mark.parametrize("field", ["integer", "real"])
@pytest.mark.parametrize("version", [2, 3])
def test_folder(dump, scanpy, tmp_path, version, field):
    matrix = matrix_market(some_counts(dtype="i4" if field == "integer" else "f8"), field)
    folder = write_folder(tmp_path / "m", matrix, some_features(), version, columns=version)
    got, a = dump(folder), scanpy.read_10x_mtx(folder, make_unique=False)
    assert got.format == "10x-mtx" and got.source == "matrix"
    assert a.n_vars == (N_FEATURES if version == 2 else 11)
    assert_same(got, a, ["gene_ids", "feature_types"][:version - 1])


def test_folder_values(dump, scanpy, tmp_path):
    """Numbers as people write them: exponents, signs, long fractions."""
    values = np.array([1e-7, 2.5, 3e5, 0.1, 1 / 3, -4, 16777216], dtype="f8")
    counts = some_counts(dtype="f8")
    counts.data = values[np.arange(counts.nnz) % len(values)]
    m = counts.tocoo()
    text = f"%%MatrixMarket matrix coordinate real general\n{m.shape[1]} {m.shape[0]} {m.nnz}\n"
    text += "".join(f"{j + 1}\t{i + 1}  {v!r} \n" for i, j, v in zip(m.row, m.col, m.data.tolist()))
    folder = write_folder(tmp_path / "m", text, some_features())
    assert_same(dump(folder), scanpy.read_10x_mtx(folder, make_unique=False), ["gene_ids", "feature_types"])


VARIANTS = {
    "no comment": dict(comments=()),
    "many comments": dict(comments=["%" + "x" * 100_000, "%", "", '%metadata_json: {"format_version": 2}']),
    "ends of Windows": dict(end="\r\n"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_headers(dump, tmp_path, variant):
    counts = some_counts()
    folder = write_folder(tmp_path / "m", matrix_market(counts, **VARIANTS[variant]), some_features(False))
    assert (dump(folder).x != counts).nnz == 0


@pytest.mark.parametrize("change", [lambda t: t.rstrip("\n"), lambda t: t + "\n\n", lambda t: t.replace("matrix coordinate integer", "MATRIX Coordinate INTEGER"),
                                    lambda t: t.replace(" ", "\t")], ids=["no last end", "empty lines", "case", "tabs"])
def test_spellings(dump, tmp_path, change):
    counts = some_counts()
    folder = write_folder(tmp_path / "m", change(matrix_market(counts)), some_features(False))
    assert (dump(folder).x != counts).nnz == 0


def test_repeated_entries_are_added(dump, tmp_path):
    text = f"%%MatrixMarket matrix coordinate integer general\n{N_FEATURES} {N_CELLS} 4\n3 2 5\n1 1 0\n1 2 4\n3 2 6\n"
    got = dump(write_folder(tmp_path / "m", text, some_features(False))).x
    assert got.nnz == 2 and got[1, 2] == 11 and got[1, 0] == 4


def test_plain_and_gzipped_v3(dump, scanpy, tmp_path):
    """STARsolo and others write features.tsv without compression."""
    matrix = matrix_market(some_counts())
    plain = write_folder(tmp_path / "plain", matrix, some_features(), gz=False)
    gz = write_folder(tmp_path / "gz", matrix, some_features())
    assert_same(dump(plain), scanpy.read_10x_mtx(gz, make_unique=False), ["gene_ids", "feature_types"])


def test_gzipped_v2(dump, tmp_path):
    counts = some_counts()
    folder = write_folder(tmp_path / "m", matrix_market(counts), some_features(), version=2, gz=True, columns=2)
    assert (dump(folder).x != counts).nnz == 0


def test_prefix(dump, scanpy, tmp_path):
    """As archives name them: GSM123_matrix.mtx.gz; two samples in one folder are told apart by naming the file."""
    folder = tmp_path / "m"
    write_folder(folder, matrix_market(some_counts(1)), some_features(), prefix="GSM1_")
    want = scanpy.read_10x_mtx(folder, prefix="GSM1_", make_unique=False)
    assert_same(dump(folder), want, ["gene_ids", "feature_types"])
    write_folder(folder, matrix_market(some_counts(2)), some_features(), prefix="GSM2_")
    assert_same(dump(folder / "GSM1_matrix.mtx.gz"), want, ["gene_ids", "feature_types"])


def test_columns_of_features(dump, scanpy, tmp_path):
    """Multiome has six columns; a single column is id and symbol."""
    matrix = matrix_market(some_counts())
    six = [(*f, "chr1", str(100 * j), str(100 * j + 50)) for j, f in enumerate(some_features())]
    folder = write_folder(tmp_path / "six", matrix, six, columns=6)
    assert_same(dump(folder), scanpy.read_10x_mtx(folder, make_unique=False), ["gene_ids", "feature_types"])
    got = dump(write_folder(tmp_path / "one", matrix, some_features(), columns=1))
    assert got.var["index"] == got.var["columns"][0]["values"] == [f[0] for f in some_features()]


def test_same_from_h5_and_folder(dump, tmp_path):
    counts, features = some_counts(), some_features()
    h5 = dump(write_v3(tmp_path / "a.h5", counts, features))
    folder = dump(write_folder(tmp_path / "m", matrix_market(counts), features))
    assert h5.obs == folder.obs and h5.var["index"] == folder.var["index"] and (h5.x != folder.x).nnz == 0
