"""The readers against damaged and hostile files, and against what people give by mistake.

Whatever a file holds, the readers end in time and in little memory, with the data or with a message that names the file;
status 2 means damaged or not understood, 3 that it could not be read. ISO_TEST_DAMAGE multiplies the number of damaged
files (1 by default; 100 for a long run).
"""
import gzip
import os
import select
import subprocess
import time
import zlib

import pytest

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")
sparse = pytest.importorskip("scipy.sparse")
h5py = pytest.importorskip("h5py")
anndata = pytest.importorskip("anndata")

DAMAGE = int(os.environ.get("ISO_TEST_DAMAGE", "1"))
SECONDS, KIB = 20, 1 << 20                                # a file may take; the program may hold at its peak
OK, EDATA, EIO = 0, 2, 3


# --------------------------------------------------------------------------------- the program


class Checker:
    """One `tool_dump --check`, which opens a file for each line that it is given."""

    def __init__(self, *words):
        self.words = words
        self.process = subprocess.Popen([*words, "--check"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, bufsize=0)

    def __call__(self, path):
        """status, message; asserts what holds for any file."""
        if self.process.returncode is not None:
            self.__init__(*self.words)
        try:
            return self.ask(path)
        except AssertionError:
            self.kill()
            raise

    def ask(self, path):
        self.process.stdin.write(f"{path}\n".encode())
        answer, end = b"", time.monotonic() + SECONDS
        while not answer.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))
            assert ready, f"{path}: no answer after {SECONDS} s"
            got = os.read(self.process.stdout.fileno(), 1 << 16)
            assert got, f"{path}: the program ended with {self.process.wait()}"
            answer += got
        status, same, message = answer.decode(errors="replace").rstrip("\n").split("\t", 2)
        status = int(status)
        assert same == str(path)
        assert status in (OK, EDATA, EIO), f"{path}: {status}: {message}"
        named = str(path).removesuffix("matrix.mtx")          # that file's neighbours may be to blame
        assert status == OK or named in message, f"the message does not name {path}: {message}"
        return status, message

    def close(self):
        """The most memory that was held, in KiB."""
        self.process.stdin.close()
        self.process.stdout.close()
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_maxrss

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def check(dump_tool):
    checker = Checker(dump_tool)
    yield checker
    if checker.process.returncode is None:
        peak = checker.close()
        assert checker.process.returncode == 0
        assert peak < KIB, f"{peak / 1024:.0f} MiB were held"


def refused(check, path, *words, status=EDATA):
    got, message = check(path)
    assert got == status, message
    for word in words:
        assert word in message
    return message


# -------------------------------------------------------------------------------- whole files


def counts(cells=12, genes=9):
    rng = np.random.default_rng(0)
    return sparse.csr_matrix(rng.poisson(0.8, size=(cells, genes)).astype("f4"))


def obs(n):
    i = np.arange(n)
    return pd.DataFrame({"label": pd.Categorical(np.where(i % 3, "a", "b")), "text": [f"t{k}" for k in i], "int": i,
                         "nullable": pd.array([None, *i[1:]], dtype="Int64"), "real": i / 3, "bool": i % 2 == 0},
                        index=[f"cell{k}" for k in i])


def whole_h5ad(path, layout="csr", **options):
    x = {"csr": counts(), "csc": counts().tocsc(), "dense": counts().toarray()}[layout]
    a = anndata.AnnData(x, obs=obs(x.shape[0]), var=pd.DataFrame({"n": range(x.shape[1])}, index=[f"g{j}" for j in range(x.shape[1])]))
    a.write_h5ad(path, **options)
    return path


def whole_old_h5ad(path):
    """Tables, as anndata before 0.7 wrote them."""
    with h5py.File(path, "w") as f:
        g = f.create_group("X")
        m = counts()
        g.attrs["h5sparse_format"], g.attrs["h5sparse_shape"] = "csr", m.shape
        g["data"], g["indices"], g["indptr"] = m.data, m.indices, m.indptr
        f["obs"] = np.array([(f"cell{i}", i % 2, i / 3) for i in range(12)],
                            dtype=[("index", h5py.string_dtype()), ("label", "i1"), ("real", "f8")])
        f["var"] = np.array([(f"g{j}",) for j in range(9)], dtype=[("index", "S4")])
        f["uns/label_categories"] = np.array(["a", "b"], dtype=h5py.string_dtype())
    return path


def whole_10x(path):
    m = counts()
    with h5py.File(path, "w") as f:
        g = f.create_group("matrix")
        text = {"barcodes": [f"b{i}" for i in range(12)], "features/id": [f"id{j}" for j in range(9)],
                "features/name": [f"g{j}" for j in range(9)],
                "features/feature_type": ["Gene Expression"] * 8 + ["Antibody Capture"]}
        for name, values in text.items():
            g.create_dataset(name, data=np.array(values, dtype="S"), compression="gzip")
        for name, values in (("data", m.data.astype("i4")), ("indices", m.indices.astype("i8")), ("indptr", m.indptr.astype("i8"))):
            g.create_dataset(name, data=values, compression="gzip")
        g["shape"] = np.array([9, 12], "i4")
    return path


def whole_mtx():
    m = counts().tocoo()
    return "%%MatrixMarket matrix coordinate integer general\n%\n9 12 " + f"{m.nnz}\n" + "".join(
        f"{j + 1} {i + 1} {v:.0f}\n" for i, j, v in zip(m.row, m.col, m.data))


NAMES = {"barcodes.tsv": "".join(f"b{i}\n" for i in range(12)),
         "features.tsv": "".join(f"id{j}\tg{j}\tGene Expression\n" for j in range(9))}


def folder(path, matrix=None, gz=False, **files):
    """A 10x folder; files["barcodes"] and files["features"] replace the names, None leaves them out."""
    path.mkdir()
    text = {"matrix.mtx": whole_mtx() if matrix is None else matrix}
    text.update({name: files.get(name[:-4], NAMES[name]) for name in NAMES})
    for name, content in text.items():
        if content is None:
            continue
        content = content if isinstance(content, bytes) else content.encode()
        (path / (name + ".gz" * gz)).write_bytes(gzip.compress(content) if gz else content)
    return path


WHOLE = {
    "csr": lambda p: whole_h5ad(p, "csr"),
    "csc gzip": lambda p: whole_h5ad(p, "csc", compression="gzip"),
    "dense lzf": lambda p: whole_h5ad(p, "dense", compression="lzf"),
    "old": whole_old_h5ad,
    "10x": whole_10x,
}


# ------------------------------------------------------------------------ damage, many times over


def damaged(content, seed):
    """One to three places overwritten: a bit, a byte, or eight bytes that matter as a size; or the end cut off."""
    rng = np.random.default_rng(seed)
    b = bytearray(content)
    extremes = [b"\xff" * 8, b"\0" * 8, (2**63 - 1).to_bytes(8, "little"), (2**31).to_bytes(8, "little"), (1).to_bytes(8, "little")]
    for _ in range(rng.integers(1, 4)):
        kind, at = rng.integers(8), int(rng.integers(len(b)))
        if kind < 4:
            b[at] ^= 1 << int(rng.integers(8))
        elif kind < 6:
            b[at] = int(rng.integers(256))
        else:
            new = extremes[rng.integers(len(extremes))][:int(rng.choice([2, 4, 8]))]
            b[at:at + len(new)] = new[:len(b) - at]
    return bytes(b)


def check_damaged(check, path, write, content, seeds):
    """write(content) puts a file at path. A failure names the seed."""
    seen = set()
    for seed in seeds:
        write(damaged(content, seed))
        try:
            seen.add(check(path)[0])
        except AssertionError as e:
            raise AssertionError(f"damage with seed {seed}: {e}") from e
    assert OK in seen and EDATA in seen                  # the damage is neither always nor never noticed


@pytest.mark.parametrize("kind", WHOLE)
def test_damaged_h5(check, tmp_path, kind):
    path = tmp_path / "a.h5"
    content = WHOLE[kind](tmp_path / "whole.h5").read_bytes()
    path.write_bytes(content)
    assert check(path)[0] == OK
    check_damaged(check, path, path.write_bytes, content, range(500 * DAMAGE))


@pytest.mark.parametrize("name", ["matrix.mtx", "barcodes.tsv", "features.tsv"])
@pytest.mark.parametrize("gz", [False, True], ids=["plain", "gzip"])
def test_damaged_folder(check, tmp_path, name, gz):
    """With gzip also damage inside, packed again, so that the checksum is right."""
    path = folder(tmp_path / "m", gz=gz)
    file = path / (name + ".gz" * gz)
    content = file.read_bytes()
    assert check(path)[0] == OK
    if gz:
        inner = gzip.decompress(content)
        seen = set()
        for seed in range(100 * DAMAGE):
            file.write_bytes(damaged(content, seed))
            seen.add(check(path)[0])
            file.write_bytes(gzip.compress(damaged(inner, seed), 1))
            seen.add(check(path)[0])
        assert EDATA in seen
    else:
        check_damaged(check, path, file.write_bytes, content, range(200 * DAMAGE))


@pytest.mark.parametrize("kind", WHOLE)
def test_truncated_h5(check, tmp_path, kind):
    path = tmp_path / "a.h5"
    content = WHOLE[kind](tmp_path / "whole.h5").read_bytes()
    lengths = set(range(1, 100)) | set(range(100, len(content), max(1, len(content) // (150 * DAMAGE)))) | {len(content) - 1}
    for n in sorted(lengths):
        path.write_bytes(content[:n])
        assert check(path)[0] == EDATA, n


@pytest.mark.parametrize("gz", [False, True], ids=["plain", "gzip"])
def test_truncated_matrix(check, tmp_path, gz):
    path = folder(tmp_path / "m", gz=gz)
    file = path / ("matrix.mtx" + ".gz" * gz)
    content = file.read_bytes()
    for n in range(len(content) - 2):                    # without its last end of line, or digit, a text is still whole
        file.write_bytes(content[:n])
        assert check(path)[0] == EDATA, n


def test_out_of_memory(dump_tool, tmp_path):
    """Each allocation fails once; the tool prints how many there are."""
    paths = [write(tmp_path / f"{kind}.h5") for kind, write in WHOLE.items()] + [folder(tmp_path / "m", gz=True)]
    for path in paths:
        done = subprocess.run([dump_tool, "--no-memory", path], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{path}: {done.returncode} {done.stderr}"
        assert int(done.stdout) > 20


# ---------------------------------------------------------------------- h5ad that lies about itself


def edit(path, **places):
    """Replaces arrays ("X/data") or attributes ("X@shape") of a file; a function gets the old value."""
    with h5py.File(path, "a") as f:
        for place, value in places.items():
            name, _, attribute = place.partition("@")
            if attribute:
                f[name].attrs[attribute] = value(f[name].attrs[attribute]) if callable(value) else value
                continue
            old = f[name]
            new, attrs = value(old[()]) if callable(value) else value, dict(old.attrs)
            del f[name]
            f[name] = new
            f[name].attrs.update(attrs)
    return path


def at(k, value):
    def change(old):
        new = old.astype("i8") if old.dtype.kind in "iu" else old.copy()
        new[k] = value
        return new
    return change


LIES = {
    "index too large": ({"X/indices": at(4, 9)}, ["/X/indices: 9 >= 9 genes at cell ", "cell0", "genes were subset without the matrix"]),
    "index negative": ({"X/indices": at(0, -1)}, ["/X/indices: -1 is negative", "cell 0"]),
    "index beyond 32 bits": ({"X/indices": at(0, 2**32)}, ["/X/indices: 4294967296 >= 9"]),
    "indptr falls": ({"X/indptr": at(3, 1)}, ["/X/indptr", "spans values", "damaged"]),
    "indptr negative": ({"X/indptr": at(3, -4)}, ["/X/indptr", "spans values"]),
    "indptr too large": ({"X/indptr": at(3, 2**62)}, ["/X/indptr", "spans values"]),
    "indptr not from 0": ({"X/indptr": at(0, 1)}, ["/X/indptr begins with 1, not 0"]),
    "indptr ends early": ({"X/indptr": lambda p: np.minimum(p, p[-2])}, ["/X/indptr ends with"]),
    "indptr short": ({"X/indptr": lambda p: p[:-1]}, ["/X/indptr has 12 entries for 12 cells"]),
    "indptr empty": ({"X/indptr": np.zeros(0, "i4")}, ["/X/indptr has 0 entries"]),
    "indptr real": ({"X/indptr": lambda p: p.astype("f8")}, ["/X/indptr should hold integers"]),
    "indices real": ({"X/indices": lambda p: p.astype("f8")}, ["/X/indices should hold integers"]),
    "fewer values": ({"X/data": lambda v: v[:-1]}, ["/X has", "values but"]),
    "values are text": ({"X/data": lambda v: np.array([b"x"] * len(v))}, ["/X/data should hold numbers"]),
    "values in two dimensions": ({"X/data": lambda v: v[:, None]}, ["/X/data should be a vector"]),
    "values in three dimensions": ({"X/data": lambda v: v[:, None, None]}, ["/X/data should be a vector"]),
    "a scalar": ({"X/indices": 3}, ["/X/indices should be a vector"]),
    "shape of others": ({"X@shape": (13, 9)}, ["/X has shape 13 x 9 but there are 12 cells and 9 genes"]),
    "shape negative": ({"X@shape": (-12, 9)}, ["/X has shape -12 x 9"]),
    "shape enormous": ({"X@shape": (2**62, 2**62)}, ["/X has shape"]),
    "shape of three": ({"X@shape": (12, 9, 1)}, ["/X has no attribute shape of two numbers"]),
    "shape as text": ({"X@shape": "12, 9"}, ["/X has no attribute shape of two numbers"]),
    "unknown encoding": ({"X@encoding-type": "coo_matrix"}, ["/X is a group without the encoding of a sparse matrix"]),
    "too large a count": ({"X/data": lambda v: np.where(np.arange(len(v)) == 3, 2.0**24 + 2, v)}, ["above 16777216", 'gene', '"cell0"']),
    "too large a count by one": ({"X/data": lambda v: at(3, 2**24 + 1)(v.astype("i8"))}, ["above 16777216"]),
    "codes too large": ({"obs/label/codes": at(2, 2)}, ["/obs/label/codes: code 2 at row 2 (\"cell2\") but there are 2 categories"]),
    "codes too small": ({"obs/label/codes": at(2, -2)}, ["/obs/label/codes: code -2 at row 2"]),
    "codes short": ({"obs/label/codes": lambda v: v[:-1]}, ["/obs/label has 11 values for 12 rows"]),
    "column short": ({"obs/text": lambda v: v[:-1]}, ["/obs/text has 11 values for 12 rows"]),
    "mask short": ({"obs/nullable/mask": lambda v: v[:-1]}, ["/obs/nullable has a mask of another length"]),
    "names short": ({"obs/_index": lambda v: v[:-1]}, ["/obs/label has 12 values for 11 rows"]),
    "names of genes short": ({"var/_index": lambda v: v[:-1]}, ["/var/n has 9 values for 8 rows"]),
    "a column that is not there": ({"obs@column-order": ["label", "none"]}, ['/obs lists "none" but has no such entry']),
    "an index that is not there": ({"obs@_index": "none"}, ['/obs lists "none" but has no such entry']),
    "an index of nothing": ({"obs@_index": ""}, ["/obs"]),
    "a column elsewhere": ({"obs@column-order": ["../X/data"]}, ["/obs"]),
    "column order of numbers": ({"obs@column-order": [1.5]}, ["/obs@column-order should hold text"]),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies(check, tmp_path, lie):
    places, words = LIES[lie]
    refused(check, edit(whole_h5ad(tmp_path / "a.h5ad"), **places), *words)


def test_lies_of_tables(check, tmp_path):
    path = whole_old_h5ad(tmp_path / "a.h5ad")
    with h5py.File(path, "a") as f:
        del f["obs"]
        f["obs"] = np.arange(12)
    refused(check, path, "/obs is neither a dataframe nor a table")
    path = whole_old_h5ad(tmp_path / "b.h5ad")
    with h5py.File(path, "a") as f:
        del f["obs"]
        f["obs"] = np.zeros((12, 2), dtype=[("index", "S3"), ("n", "i4")])
    refused(check, path, "/obs is neither a dataframe nor a table")


def test_unset_reference(check, tmp_path):
    """Of anndata 0.7: the reference to the categories points nowhere."""
    path = edit(whole_h5ad(tmp_path / "a.h5ad"), **{"obs@column-order": ["int"]})
    with h5py.File(path, "a") as f:
        f["obs/int"].attrs["categories"] = h5py.h5r.Reference()
    refused(check, path, "/obs/int@categories")
    with h5py.File(path, "a") as f:
        f["obs/int"].attrs["categories"] = f["obs"].ref
    refused(check, path, "is a group where an array was expected")


@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
def test_enormous_shapes(check, tmp_path, compression):
    """Sizes without the bytes: unwritten chunks cost nothing in the file, and must cost nothing here."""
    huge = [("X", (2**40, 2**20), "f4"), ("X", (2**31 + 10, 1), "f4"), ("obs/_index", (2**33,), h5py.string_dtype()),
            ("obs/_index", (2**28,), "S1"), ("obs/real", (2**45,), "f8"), ("obs/text", (2**26,), "S1")]
    for k, (name, shape, dtype) in enumerate(huge):
        path = whole_h5ad(tmp_path / f"{k}.h5ad", "dense")
        with h5py.File(path, "a") as f:
            attrs = dict(f[name].attrs)
            del f[name]
            f.create_dataset(name, shape=shape, dtype=dtype, chunks=tuple(min(n, 1000) for n in shape), compression=compression)
            f[name].attrs.update(attrs)
        refused(check, path, "claims", name.split("/")[0])


def test_text_that_unpacks_to_much(check, tmp_path):
    """A small file of very many names of one byte."""
    path = whole_h5ad(tmp_path / "a.h5ad")
    n = 2**24 - 100
    with h5py.File(path, "a") as f:
        del f["obs"], f["X"]
        g = f.create_group("obs")
        g.attrs.update({"_index": "_index", "encoding-type": "dataframe", "encoding-version": "0.2.0"})
        g.attrs["column-order"] = np.zeros(0, dtype=h5py.string_dtype())
        g.create_dataset("_index", shape=(n,), dtype="S1", chunks=(2**20,), compression="gzip")
        g = f.create_group("X")
        g.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": (n, 9)})
        for name in ("data", "indices"):
            g[name] = np.zeros(0, "i4")
        g.create_dataset("indptr", shape=(n + 1,), dtype="i1", chunks=(2**20,), compression="gzip")
    check(path)


def test_many_columns_of_nothing(check, tmp_path):
    """Each column within bounds, all of them together far larger than the file."""
    path = whole_h5ad(tmp_path / "a.h5ad")
    n = 2**20
    with h5py.File(path, "a") as f:
        del f["obs"], f["X"]
        g = f.create_group("obs")
        g.attrs.update({"_index": "_index", "encoding-type": "dataframe", "encoding-version": "0.2.0"})
        g.attrs["column-order"] = ["same"] * 1000
        for name, dtype in (("_index", "i4"), ("same", "f8")):
            g.create_dataset(name, shape=(n,), dtype=dtype, chunks=(2**20,), compression="gzip")
    refused(check, path, "/obs")


# -------------------------------------------------------- what HDF5 1.10 believes, and crashes on


def patch(path, old, new, times=1):
    content = path.read_bytes()
    assert content.count(old) == times and len(old) == len(new), content.count(old)
    path.write_bytes(content.replace(old, new))
    return path


def first_reference(path, name):
    """Where the reference to the first text of an array is: length (4 bytes), address (8), index (4)."""
    with h5py.File(path) as f:
        return f[name].id.get_offset()


@pytest.mark.parametrize("field, value, words", [
    ((0, 4), 2**32 - 1, "is damaged"), ((0, 4), 6, "is damaged"), ((4, 8), 2**64 - 1, "past the end"), ((4, 8), 2**40, "past the end"),
    ((4, 8), 96, "is damaged or cut off"), ((12, 4), 9999, "is damaged"), ((12, 4), 2**32 - 1, "is damaged")])
def test_references_to_text(check, tmp_path, field, value, words):
    path = whole_h5ad(tmp_path / "a.h5ad")
    at, n = field
    content = bytearray(path.read_bytes())
    start = first_reference(path, "obs/_index") + at
    content[start:start + n] = value.to_bytes(n, "little")
    path.write_bytes(content)
    refused(check, path, "text", words)


def test_references_to_no_text(check, dump, tmp_path):
    """Length 0, or address 0: an empty text."""
    path = whole_h5ad(tmp_path / "a.h5ad")
    content = bytearray(path.read_bytes())
    start = first_reference(path, "obs/text")
    content[start:start + 4] = bytes(4)
    content[start + 16 + 4:start + 16 + 12] = bytes(8)
    path.write_bytes(content)
    assert dump(path).obs["columns"][1]["values"][:3] == ["", "", "t2"]


@pytest.mark.parametrize("change", [{8: 16}, {0: 0}, {8: 15}], ids=["object too long", "no signature", "collection too small"])
def test_damaged_collections_of_text(check, tmp_path, change):
    path = whole_h5ad(tmp_path / "a.h5ad")
    content = bytearray(path.read_bytes())
    start = first_reference(path, "obs/_index")
    at = int.from_bytes(content[start + 4:start + 12], "little")
    assert content[at:at + 4] == b"GCOL"
    for k, value in change.items():
        content[at + k:at + k + (8 if k else 1)] = value.to_bytes(8 if k else 1, "little")
    path.write_bytes(content)
    refused(check, path, "text stored at byte", "damaged")


def test_text_in_any_order(check, dump, tmp_path):
    """Many collections, followed forwards, backwards and at random; text longer than a collection."""
    rng = np.random.default_rng(0)
    names = [f"cell{i}" + "x" * (i % 50) for i in range(3000)]
    names[7] = "long" * 3000
    path = whole_h5ad(tmp_path / "a.h5ad")
    with h5py.File(path, "a") as f:
        del f["X"], f["obs"]
        f["X"] = np.ones((3000, 9), "f4")
        obs = f.create_group("obs")
        obs.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index", "column-order": ["copy"]})
        obs["_index"] = np.array(names, dtype=h5py.string_dtype())
        obs["copy"] = obs["_index"][()]
    content = bytearray(path.read_bytes())
    start = first_reference(path, "obs/copy")
    references = np.frombuffer(content[start:start + 16 * 3000], "V16")
    for order in (np.arange(3000)[::-1], rng.permutation(3000)):
        content[start:start + 16 * 3000] = references[order].tobytes()
        path.write_bytes(content)
        got = dump(path).obs
        assert got["index"] == names and got["columns"][0]["values"] == [names[k] for k in order]


def test_user_block(check, dump, tmp_path):
    """Bytes of the user's before HDF5's own shift every address."""
    path = tmp_path / "a.h5ad"
    with h5py.File(whole_h5ad(tmp_path / "w.h5ad")) as old, h5py.File(path, "w", userblock_size=1024) as f:
        for name in old:
            old.copy(name, f)
    assert dump(path).obs == dump(tmp_path / "w.h5ad").obs


def test_newest_layout_of_hdf5(check, dump, tmp_path):
    """Headers and groups of the second version, with the attributes of a large frame stored apart."""
    path = tmp_path / "a.h5ad"
    with h5py.File(whole_h5ad(tmp_path / "w.h5ad")) as old, h5py.File(path, "w", libver="v110", track_order=True) as f:
        for name in old:
            old.copy(name, f)
    assert dump(path).obs == dump(tmp_path / "w.h5ad").obs


def test_damaged_enumeration(check, tmp_path):
    """h5py's bool is an enumeration over int8: 8 bytes of base type, 4 that say how it is stored, then the names."""
    base = b"\x10\x08\0\0\1\0\0\0" + b"\0\0\x08\0" + b"FALSE\0\0\0TRUE"
    path = whole_h5ad(tmp_path / "a.h5ad")
    n = path.read_bytes().count(base)
    assert n > 1
    for k, size in enumerate((0x100, 0xffffffff, 8)):
        path = whole_h5ad(tmp_path / f"{k}.h5ad")
        patch(path, base, base.replace(b"\1\0\0\0", size.to_bytes(4, "little")), n)
        refused(check, path, "the file is damaged")


def test_damaged_table(check, tmp_path):
    """A field that lies outside of its row."""
    path = whole_old_h5ad(tmp_path / "a.h5ad")
    patch(path, b"real\0\0\0\0" + (17).to_bytes(4, "little"), b"real\0\0\0\0" + (18).to_bytes(4, "little"))
    refused(check, path, "/obs has a damaged header (type)")


@pytest.mark.parametrize("sides", [(0, 9, 4), (12, 0, 4), (12, 9, 0)])
def test_damaged_chunks(check, tmp_path, sides):
    path = whole_h5ad(tmp_path / "a.h5ad", "dense", compression="gzip")
    patch(path, np.array([12, 9, 4], "<u4").tobytes(), np.array(sides, "<u4").tobytes())
    refused(check, path, "/X has a damaged header (layout)")


@pytest.mark.parametrize("address", [2**64 - 1, 2**63, 2**30])
def test_damaged_address(check, tmp_path, address):
    path = whole_h5ad(tmp_path / "a.h5ad")
    with h5py.File(path) as f:
        true = h5py.h5o.get_info(f["obs/real"].id).addr
    patch(path, true.to_bytes(8, "little"), address.to_bytes(8, "little"))
    refused(check, path, "/obs/real is said to be past the end")


def test_contiguous_values_past_their_room(check, tmp_path):
    """The shape says more than the layout has bytes for."""
    path = whole_h5ad(tmp_path / "a.h5ad", "dense")
    content = path.read_bytes()
    shape = np.array([12, 9, 12, 9], "<u8").tobytes()      # and the largest it may become
    at = content.index(shape)
    path.write_bytes(content[:at] + np.array([12, 90, 12, 90], "<u8").tobytes() + content[at + 32:])
    refused(check, path, "claims 12 x 90 values but only 432 bytes are stored")


# ------------------------------------------------------------------------------ links and filters


def test_links(check, tmp_path):
    """Loops end; what is in other files is never read."""
    other = whole_h5ad(tmp_path / "other.h5ad")
    links = {"obs": h5py.SoftLink("/obs"), "X": h5py.SoftLink("/uns/there"), "var": h5py.SoftLink("/nowhere"),
             "obs/text": h5py.SoftLink("/obs/text"), "X/data": h5py.ExternalLink("other.h5ad", "/X/data"),
             "obs/_index": h5py.ExternalLink(str(other), "/obs/_index")}
    for k, (name, link) in enumerate(links.items()):
        path = whole_h5ad(tmp_path / f"{k}.h5ad")
        with h5py.File(path, "a") as f:
            del f[name]
            f[name] = link
            f["uns/there"] = h5py.SoftLink("/X")
        message = refused(check, path)
        assert name in message or "neither AnnData" in message, message


def test_soft_link_within_the_file(check, tmp_path):
    path = whole_h5ad(tmp_path / "a.h5ad")
    with h5py.File(path, "a") as f:
        f.move("X/data", "elsewhere")
        f["X/data"] = h5py.SoftLink("/elsewhere")
    assert check(path)[0] == OK


def test_hard_link_loop(check, tmp_path):
    path = whole_h5ad(tmp_path / "a.h5ad")
    with h5py.File(path, "a") as f:
        f["obs/self"] = f["obs"]
        f["obs"].attrs["column-order"] = ["self/self/self/int", "self"]
    assert check(path)[0] == OK                          # a column that is a dataframe is left out with a word


def test_external_and_virtual_storage(check, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"\1" * 4096)
    path = whole_h5ad(tmp_path / "a.h5ad", "dense")
    with h5py.File(path, "a") as f:
        del f["X"]
        f.create_dataset("X", shape=(12, 9), dtype="i1", external=[(str(secret), 0, 4096)])
    refused(check, path, "/X keeps its values in other files")
    path = whole_h5ad(tmp_path / "b.h5ad", "dense")
    layout = h5py.VirtualLayout(shape=(12, 9), dtype="f4")
    layout[:] = h5py.VirtualSource(str(path), "Y", shape=(12, 9))
    with h5py.File(path, "a") as f:
        del f["X"]
        f.create_virtual_dataset("X", layout)
    refused(check, path, "/X keeps its values in other files")


def test_filter_that_is_not_known(check, tmp_path):
    """Blosc and others come as plugins of HDF5."""
    path = whole_h5ad(tmp_path / "a.h5ad", "dense", compression="gzip")
    content = path.read_bytes()
    with h5py.File(path) as f:
        create = f["X"].id.get_create_plist()
        assert create.get_filter(0)[0] == 1
    # the filter message: id 1, length of its name, flags, one value, "deflate"
    needle = b"\1\0\x08\0\1\0\1\0deflate\0"
    assert needle in content
    path.write_bytes(content.replace(needle, b"\1\x7d\x08\0\1\0\1\0deflate\0"))
    refused(check, path, 'is compressed with filter 32001 ("', "which is not installed", 'compression="gzip"')


# -------------------------------------------------------------------------------- Matrix Market


HEAD = "%%MatrixMarket matrix coordinate integer general\n"
MTX_LIES = {
    "empty": ("", ["does not begin with"]),
    "no banner": ("9 12 1\n1 1 1\n", ['does not begin with "%%MatrixMarket matrix"']),
    "an array": ("%%MatrixMarket matrix array real general\n9 12\n1\n", ['is "array real general"; only coordinate']),
    "a pattern": ("%%MatrixMarket matrix coordinate pattern general\n9 12 1\n1 1\n", ["pattern"]),
    "symmetric": ("%%MatrixMarket matrix coordinate real symmetric\n9 12 1\n1 1 1\n", ["symmetric"]),
    "complex": ("%%MatrixMarket matrix coordinate complex general\n9 12 1\n1 1 1 1\n", ["complex"]),
    "only comments": (HEAD + "%\n" * 50, ["should hold rows, columns and entries"]),
    "nan in the sizes": (HEAD + "9 12 nan\n", ["line 2 should hold rows, columns and entries"]),
    "two sizes": (HEAD + "9 12\n", ["line 2 should hold"]),
    "four sizes": (HEAD + "9 12 1 1\n", ["line 2 should hold"]),
    "negative entries": (HEAD + "9 12 -1\n", ["line 2 should hold"]),
    "negative rows": (HEAD + "-9 12 1\n1 1 1\n", ["line 2 should hold"]),
    "enormous entries": (HEAD + f"9 12 {2**62}\n1 1 1\n", ["announces 4611686018427387904 entries, more than its"]),
    "overflowing entries": (HEAD + f"9 12 {10**30}\n1 1 1\n", ["matrix.mtx"]),
    "enormous shape": (HEAD + f"{2**40} {2**40} 1\n1 1 1\n", ["features x", "barcodes but there are names for 9 and 12"]),
    "transposed": (HEAD + "12 9 1\n1 1 1\n", ["is 12 features x 9 barcodes but there are names for 9 and 12; it is transposed"]),
    "too few lines": (HEAD + "9 12 3\n1 1 1\n2 2 2\n", ["ends after line 4 with 2 of 3 entries; it was cut short"]),
    "too many lines": (HEAD + "9 12 1\n1 1 1\n2 2 2\n", ["line 4: more than the 1 entries"]),
    "row 0": (HEAD + "9 12 1\n0 1 1\n", ["line 3: should be row (1 to 9), column (1 to 12) and value"]),
    "row too large": (HEAD + "9 12 1\n10 1 1\n", ["line 3"]),
    "row enormous": (HEAD + "9 12 1\n" + "9" * 60 + " 1 1\n", ["line 3"]),
    "column too large": (HEAD + "9 12 1\n1 13 1\n", ["line 3"]),
    "negative row": (HEAD + "9 12 1\n-1 1 1\n", ["line 3"]),
    "a fraction as row": (HEAD + "9 12 1\n1.5 1 1\n", ["line 3"]),
    "no value": (HEAD + "9 12 1\n1 1\n", ["line 3"]),
    "two values": (HEAD + "9 12 1\n1 1 1 1\n", ["line 3"]),
    "text as value": (HEAD + "9 12 1\n1 1 one\n", ["line 3"]),
    "too large a count": (HEAD + "9 12 1\n3 2 16777217\n", ["above 16777216", '"g2"', '"b1"']),
    "a line without end": (HEAD + "9 12 1\n" + "1" * 200_000 + "\n", ["line 3 is too long"]),
    "zero bytes": (HEAD.encode() + b"9 12 1\n1 1\0 1\n", ["line 3"]),
    "not text": (bytes(range(256)) * 10, ["matrix.mtx"]),
}


@pytest.mark.parametrize("gz", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("lie", MTX_LIES)
def test_matrix_market(check, tmp_path, lie, gz):
    text, words = MTX_LIES[lie]
    refused(check, folder(tmp_path / "m", text, gz), *words)


def test_folder_files(check, tmp_path):
    refused(check, folder(tmp_path / "1", barcodes=None), "barcodes.tsv: there is no such file, nor one ending in .gz", status=EIO)
    refused(check, folder(tmp_path / "2", features=None), "genes.tsv: there is no such file", "features.tsv", status=EIO)
    refused(check, folder(tmp_path / "3", barcodes=NAMES["barcodes.tsv"] + "one more\n"), "names for 9 and 13")
    refused(check, folder(tmp_path / "4", features=NAMES["features.tsv"][:-30]), "9 features x 12 barcodes but there are names for 8 and 12")
    refused(check, folder(tmp_path / "5", barcodes=""), "names for 9 and 0")
    refused(check, folder(tmp_path / "6", features=NAMES["features.tsv"].replace("Gene Expression", "Peaks")),
            'none of the 9 features is of type "Gene Expression" (one is "Peaks")')


def test_gzip_bomb(check, tmp_path):
    """A gigabyte of nothing in a megabyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1 << 20)
    bomb = b"".join([packer.compress(HEAD.encode() + b"%"), *(packer.compress(b"x" * (1 << 20)) for _ in range(64)), packer.flush()])
    path = folder(tmp_path / "m", gz=True)
    (path / "matrix.mtx.gz").write_bytes(bomb)
    refused(check, path, "should hold rows, columns and entries")
    (path / "matrix.mtx.gz").write_bytes(gzip.compress(HEAD.encode() + zeros))
    refused(check, path, "matrix.mtx")


def test_10x_lies(check, tmp_path):
    lies = [({"matrix/shape": np.array([9, 13])}, "/matrix/shape is 9 features x 13 barcodes but there are names for 9 and 12"),
            ({"matrix/shape": np.array([12, 9])}, "/matrix/shape is 12 features x 9 barcodes"),
            ({"matrix/shape": np.array([9, 12, 1])}, "/matrix/shape should be two numbers"),
            ({"matrix/shape": np.array([9.0, 12.0])}, "/matrix/shape should hold integers"),
            ({"matrix/indices": at(0, 9)}, "/matrix/indices: 9 >= 9 genes"),
            ({"matrix/indptr": at(2, 10**9)}, "/matrix/indptr"),
            ({"matrix/barcodes": np.arange(12)}, "/matrix/barcodes should hold text"),
            ({"matrix/features/id": lambda v: v[:-1]}, "/matrix/features/id has 8 values for 9 rows"),
            ({"matrix/features/feature_type": np.array([b"Peaks"] * 9)}, 'none of the 9 features is of type "Gene Expression"')]
    for k, (places, words) in enumerate(lies):
        refused(check, edit(whole_10x(tmp_path / f"{k}.h5"), **places), words)
    path = whole_10x(tmp_path / "group.h5")
    with h5py.File(path, "a") as f:
        del f["matrix/features"]
    refused(check, path, "/matrix/features")


# ------------------------------------------------------------------------ what people give by mistake


def test_mistakes(check, tmp_path):
    def file(name, content):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    table = b"gene,cell1,cell2\nA,1,2\n"
    refused(check, tmp_path / "none.h5ad", "No such file", status=EIO)
    refused(check, file("empty.h5ad", b""), "the file is empty")
    (tmp_path / "folder.h5ad").mkdir()
    refused(check, tmp_path / "folder.h5ad", "known are: ", "AnnData .h5ad")
    refused(check, file("text.h5ad", b"this is not a matrix at all\n"), "not a format that is known; known are: ")
    refused(check, file("a.csv", table), "a text table", "anndata.io.read_csv", "write_h5ad")
    refused(check, file("a.tsv", table.replace(b",", b"\t")), "a text table", "write_h5ad")
    refused(check, file("table.h5ad", table), "a text table", "write_h5ad")
    refused(check, file("a.csv.gz", gzip.compress(table)), "a text table", "write_h5ad")
    refused(check, file("a.rds", gzip.compress(b"X\n\0\0\0\3\0\4\2\3" + bytes(100))), "a file of R", "zellkonverter::writeH5AD")
    refused(check, file("b.rds", b"X\n\0\0\0\3\0\4\2\3" + bytes(100)), "a file of R", "zellkonverter::writeH5AD")
    refused(check, file("a.RData", gzip.compress(b"RDX3\nX\n" + bytes(100))), "a file of R", "zellkonverter::writeH5AD")
    refused(check, file("bz.rds", b"BZh91AY&SY" + bytes(100)), "a file of R")
    refused(check, file("a.h5ad.gz", gzip.compress(whole_h5ad(tmp_path / "w.h5ad").read_bytes())), "gunzip")
    refused(check, file("a.h5ad.zip", b"PK\3\4" + bytes(100)), "a zip archive", "unpack it")
    refused(check, file("a.tar.gz", gzip.compress(b"name" + bytes(508))), "gzip", "unpack it")
    refused(check, file("page.h5ad", b"<!DOCTYPE html>\n<html><head><title>404</title>"), "a web page", "the download went wrong")
    refused(check, file("pointer.h5ad", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"), "git lfs pull")
    refused(check, file("counts.mtx", whole_mtx().encode()), "is read when named matrix.mtx")
    (tmp_path / "alone").mkdir()
    file("alone/matrix.mtx", whole_mtx().encode())
    refused(check, tmp_path / "alone", "barcodes.tsv: there is no such file", status=EIO)
    refused(check, tmp_path / "alone" / "matrix.mtx", "barcodes.tsv: there is no such file", status=EIO)
    (tmp_path / "a.zarr").mkdir()
    file("a.zarr/.zgroup", b"{}")
    refused(check, tmp_path / "a.zarr", "a Zarr store", "read_zarr")
    (tmp_path / "outs" / "filtered_feature_bc_matrix").mkdir(parents=True)
    file("outs/filtered_feature_bc_matrix/matrix.mtx", whole_mtx().encode())
    refused(check, tmp_path / "outs", "known are: ")


def test_other_hdf5(check, tmp_path):
    def hdf5(name, *places):
        with h5py.File(tmp_path / name, "w") as f:
            for place in places:
                f[place] = np.ones((2, 3))
        return tmp_path / name

    refused(check, hdf5("a.loom", "matrix", "row_attrs/Gene", "col_attrs/CellID"), "a loom file", "read_loom", "write_h5ad")
    refused(check, hdf5("a.h5mu", "mod/rna/X", "obs/x", "var/x"), "a MuData file", "mudata.read")
    refused(check, hdf5("a.h5seurat", "assays/RNA/counts/data", "cell.names"), "an h5Seurat file", "SeuratDisk::Convert")
    refused(check, hdf5("a.h5", "weights"), "an HDF5 file", "neither AnnData")
    refused(check, hdf5("b.h5ad"), "an HDF5 file", "neither AnnData")
    refused(check, hdf5("c.h5ad", "X"), "/obs is missing; an AnnData file has obs and var")
    refused(check, hdf5("d.h5ad", "obs", "var"), "/obs is neither a dataframe nor a table")


def test_not_allowed(bound, dump_tool, tmp_path):
    check = Checker(*bound, dump_tool)
    path = whole_h5ad(tmp_path / "a.h5ad")
    assert check(path)[0] == OK
    path.chmod(0)
    assert check(path)[0] in (EDATA, EIO)
    check.close()


def test_not_a_file(check, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    refused(check, tmp_path / "pipe", "neither a file nor a folder", status=EIO)
    refused(check, "/dev/null", "neither a file nor a folder", status=EIO)


def test_a_crash_of_hdf5_is_not_ours(check, tmp_path):
    """A symbolic link whose text lies far outside the group's heap: HDF5 1.10 follows it and dies, in a child process."""
    path = whole_h5ad(tmp_path / "a.h5ad")
    content = bytearray(path.read_bytes())
    at = content.index(b"SNOD") + 8                       # entries: name (8), header (8), kind (4), zero (4), scratch (16)
    content[at + 16:at + 20] = (2).to_bytes(4, "little")
    content[at + 24:at + 28] = (0x7fffffff).to_bytes(4, "little")
    path.write_bytes(content)
    refused(check, path, "damaged")


def test_an_image_of_the_cache_is_refused(check, tmp_path):
    """Version 2 of the superblock: its extension is a header whose message 24 says where the image is."""
    path = tmp_path / "a.h5ad"
    with h5py.File(whole_h5ad(tmp_path / "w.h5ad")) as old, h5py.File(path, "w", libver="v110") as f:
        for name in old:
            old.copy(name, f)
    content = bytearray(path.read_bytes())
    content[20:28] = len(content).to_bytes(8, "little")
    content += b"OHDR\2\0\x40" + b"\x18\x10\0\0" + bytes(60)
    path.write_bytes(content)
    refused(check, path, "h5repack")
