"""`isolario annotate`: selections made on the page of `explore` come back into an h5ad, which otherwise stays as it was."""
import os
import resource
import shutil
import signal
import warnings

import numpy as np
import pytest

ad = pytest.importorskip("anndata")
h5py = pytest.importorskip("h5py")
pd = pytest.importorskip("pandas")
sp = pytest.importorskip("scipy.sparse")

N, G = 40, 7


def full(seed=0):
    """An AnnData with something in every place."""
    rng = np.random.default_rng(seed)
    x = sp.csr_matrix(rng.poisson(1, (N, G)).astype("f4"))
    obs = pd.DataFrame({"kind": pd.Categorical(rng.choice(["a", "b"], N)), "n": rng.normal(size=N), "ok": rng.random(N) < 0.5,
                        "text": [f"é {i}" for i in range(N)], "maybe": pd.array([None, 1] * (N // 2), dtype="Int64")},
                       index=[f"cell,{i}" for i in range(N)])
    a = ad.AnnData(x, obs=obs, var=pd.DataFrame({"long": np.arange(G)}, index=[f"g{j}" for j in range(G)]))
    a.layers["counts"] = x * 2
    a.layers["dense"] = rng.normal(size=(N, G))
    a.obsm["X_umap"] = rng.normal(size=(N, 2))
    a.obsm["frame"] = pd.DataFrame({"p": np.arange(N)}, index=obs.index)
    a.varm["loadings"] = rng.normal(size=(G, 3))
    a.obsp["distances"] = sp.csr_matrix(sp.eye(N))
    a.varp["cor"] = np.eye(G)
    a.uns = {"colors": np.array(["#fff", "#000"]), "deep": {"er": 1, "text": "x", "list": np.arange(3)}}
    a.raw = a
    return a


def tree(group):
    """Every array and attribute of an HDF5 file, by place."""
    out = {}

    def add(place, thing):
        for name, value in thing.attrs.items():
            out[f"{place}@{name}"] = np.asarray(value).tolist()
        out[place] = (str(thing.dtype), thing.shape, np.asarray(thing[()]).tolist()) if isinstance(thing, h5py.Dataset) else "group"

    add("/", group)
    group.visititems(add)
    return out


def same_but_for(before, after, column):
    """Both files hold the same, but for the column and its place in the order."""
    with h5py.File(before) as f, h5py.File(after) as g:
        old, new = tree(f), tree(g)
    assert {k for k in new if k not in old} == {f"obs/{column}{s}" for s in ("", "@encoding-type", "@encoding-version", "@ordered", "/codes",
                                                "/categories", "/codes@encoding-type", "/codes@encoding-version", "/categories@encoding-type", "/categories@encoding-version")}
    assert new.pop("obs@column-order") == old.pop("obs@column-order") + [column]
    assert all(repr(old[k]) == repr(new[k]) for k in old)                # repr: nan is nan


@pytest.fixture
def cells(tmp_path):
    full().write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


@pytest.fixture
def annotate(isolario, tmp_path):
    """annotate(cells, text, ...): the file that comes out; check=False: the message, and nothing came out."""
    def run(cells, text, *more, check=True, **options):
        table = tmp_path / "table.csv"
        table.write_text(text) if isinstance(text, str) else table.write_bytes(text)
        before, names = cells.read_bytes() if cells.is_file() else b"", set(os.listdir(tmp_path))
        done = isolario("annotate", cells, table, "-o", tmp_path / "out.h5ad", *more, check=check, **options)
        assert not cells.is_file() or cells.read_bytes() == before
        if check:
            assert set(os.listdir(tmp_path)) == names | {"out.h5ad"}
            return tmp_path / "out.h5ad"
        assert done.returncode > 0 and done.stderr.count("\n") == 1, done.stderr
        assert set(os.listdir(tmp_path)) == names
        return done.stderr

    return run


def test_adds_a_category_and_keeps_the_rest(annotate, cells):
    out = annotate(cells, 'cell,selection\n"cell,3",west\n"cell,0","b, ""x"""\n"cell,5",west\n"cell,7",\n"cell,9",west;b\n')
    wanted = [np.nan] * N
    for i, name in ((3, "west"), (0, 'b, "x"'), (5, "west"), (9, "west;b")):
        wanted[i] = name
    a, b = ad.read_h5ad(cells), ad.read_h5ad(out)
    got = b.obs["selection"]
    assert list(got.cat.categories) == ['b, "x"', "west", "west;b"] and not got.cat.ordered
    assert got.astype(object).equals(pd.Series(wanted, index=a.obs.index, dtype=object))
    assert list(b.obs.columns) == [*a.obs.columns, "selection"]
    del b.obs["selection"]
    pd.testing.assert_frame_equal(a.obs, b.obs)
    assert (a.raw.X != b.raw.X).nnz == 0 and (a.layers["counts"] != b.layers["counts"]).nnz == 0 and b.uns["deep"]["text"] == "x"
    same_but_for(cells, out, "selection")


def test_scanpy_takes_the_groups(annotate, cells):
    sc = pytest.importorskip("scanpy")
    out = annotate(cells, "cell\tselection\n" + "".join(f"cell,{i}\t{'ab'[i % 2]}\n" for i in range(20)), "--column", "half")
    a = ad.read_h5ad(out)
    a = a[a.obs["half"].notna()].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sc.pp.log1p(a)
        sc.tl.rank_genes_groups(a, "half", method="t-test", use_raw=False)
    assert set(a.uns["rank_genes_groups"]["names"].dtype.names) == {"a", "b"}


@pytest.mark.parametrize("text", ["x,y\n{0},one\n{1},2\n", ",leiden\n{0},one\n{1},2\n", "selection,who\none,{0}\n2,{1}\n", "\ufeffx,y\r\n{0},one\r\n{1},2\r\n\r\n",
                                  "other,cell,selection\n,{0},one\n1,{1},2\n", "x\ty\n{0}\tone\n{1}\t2\n", "cell,selection\n{0},one\n{1},2\n{0},one"])
def test_forms_of_tables(annotate, cells, text):
    first, second = ('cell,0', 'cell,1') if "\t" in text else ('"cell,0"', '"cell,1"')
    b = ad.read_h5ad(annotate(cells, text.format(first, second)))
    assert b.obs["selection"].dropna().to_dict() == {"cell,0": "one", "cell,1": "2"}


def test_numbers_are_names(annotate, tmp_path):
    """Names of cells and selections that look like numbers stay as they are written."""
    a = full()
    a.obs_names = [f"{i:03}" for i in range(N)]
    a.raw = None
    a.write_h5ad(tmp_path / "cells.h5ad")
    b = ad.read_h5ad(annotate(tmp_path / "cells.h5ad", "cell,selection\n001,1\n002,\n010,1.50\n"))
    assert b.obs["selection"].dropna().to_dict() == {"001": "1", "010": "1.50"}


def test_overlaps_have_all_names(annotate, cells):
    assert "keep one row" in annotate(cells, 'cell,selection\n"cell,1",a\n"cell,1",b\n', check=False)
    b = ad.read_h5ad(annotate(cells, 'cell,selection\n"cell,1",a;b\n'))
    assert b.obs["selection"].dropna().tolist() == ["a;b"]


@pytest.mark.parametrize("text,words", [
    ('cell,selection\n"cell,1",a\n"cell,99",b\n', ['"cell,99"', "is not in", "cells.h5ad", "latent.h5ad"]),
    ('cell,selection\n"cell,1",a\n"cell,1",b\n', ['"cell,1"', 'in "a"', 'in "b"']),
    ('cell,selection\n"cell,1",\n"cell,1",b\n', ['"cell,1"', 'in ""', 'in "b"']),
    ('cell,name,size\n"cell,1",a,3\n', ["table.csv", '"cell"', '"selection"']),
    ('cell\n"cell,1"\n', ["table.csv", '"selection"']),
    ('"cell,1",a\n"cell,2",b\n', ["no heading", '"cell,1"', "cell,selection"]),
    ('cell,selection\n"cell,1",\n', ["no cell is in a selection"]),
    ('cell,selection\n,a\n', ["row 1", "names no cell"]),
    ('cell,selection\n"cell,1",a,b\n', ["line 2", "more fields"]),
    ("", ["table.csv", "empty"]),
    (b"cell,selection\n\0,a\n", ["zero bytes"]),
])
def test_bad_tables(annotate, cells, text, words):
    said = annotate(cells, text, check=False)
    assert all(w in said for w in words), said


GOOD = 'cell,selection\n"cell,1",a\n'


@pytest.mark.parametrize("column,words", [("kind", ['column "kind" already', "--column"]), ("_index", ["does not allow"]), ("a/b", ["does not allow"]), (".", ["HDF5"])])
def test_bad_columns(annotate, cells, column, words):
    said = annotate(cells, GOOD, "--column", column, check=False)
    assert all(w in said for w in words), said


def test_bad_files(annotate, isolario, cells, tmp_path):
    other = tmp_path / "other"
    assert "No such file" in annotate(other, GOOD, check=False)
    other.write_text("cell\tx\n")
    assert "is no .h5ad" in annotate(other, GOOD, check=False)
    assert "is a folder" in annotate(tmp_path, GOOD, check=False)
    with h5py.File(other, "w") as f:
        f["x"] = 1
    assert "has no obs" in annotate(other, GOOD, check=False)
    with h5py.File(other, "w") as f:
        f["obs"] = np.array([(b"a", 1)], dtype=[("index", "S3"), ("n", "i4")])
    assert "before 0.7" in annotate(other, GOOD, check=False)
    other.write_bytes(cells.read_bytes()[:5000])
    assert str(other) in annotate(other, GOOD, check=False)
    a = full()
    a.obs_names = ["cell,1"] * 2 + [f"c{i}" for i in range(2, N)]
    a.raw = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        a.write_h5ad(other)
    assert "several cells" in annotate(other, GOOD, check=False)


def test_the_input_is_never_written(isolario, cells, tmp_path):
    (tmp_path / "table.csv").write_text(GOOD)
    os.symlink(cells, tmp_path / "link.h5ad")
    before = cells.read_bytes()
    for target in (cells, tmp_path / "link.h5ad"):
        done = isolario("annotate", cells, tmp_path / "table.csv", "-o", target, "--force", check=False)
        assert done.returncode == 1 and "over itself" in done.stderr
    (tmp_path / "there.h5ad").write_text("mine")
    assert "--force" in isolario("annotate", cells, tmp_path / "table.csv", "-o", tmp_path / "there.h5ad", check=False).stderr
    assert (tmp_path / "there.h5ad").read_text() == "mine" and cells.read_bytes() == before
    isolario("annotate", cells, tmp_path / "table.csv", "-o", tmp_path / "there.h5ad", "--force")
    assert "selection" in ad.read_h5ad(tmp_path / "there.h5ad").obs


@pytest.mark.parametrize("part", [0.5, 1.0])
def test_a_disk_that_is_full_leaves_nothing(annotate, cells, part):
    """Both while the bytes are copied and while the column is added."""
    most = int(cells.stat().st_size * part)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    said = annotate(cells, GOOD, check=False, preexec_fn=limit)
    assert "cannot be written" in said


@pytest.mark.parametrize("form", ["userblock", "latest", "no columns", "encoding 0.1"])
def test_forms_of_files(annotate, cells, tmp_path, form):
    other = tmp_path / "other.h5ad"
    if form == "no columns":
        ad.AnnData(np.ones((2, 3), "f4"), obs=pd.DataFrame(index=["cell,1", "x"])).write_h5ad(other)
    else:
        more = {"userblock": {"userblock_size": 512}, "latest": {"libver": "latest"}}.get(form, {})
        with h5py.File(cells) as f, h5py.File(other, "w", **more) as g:
            for name in f:
                f.copy(name, g)
            g.attrs.update(f.attrs)
            if form == "encoding 0.1":
                kept = g["obs/kind/categories"][()], g["obs/kind/codes"][()]
                del g["obs/kind"], g["obs/maybe"]
                g["obs/__categories/kind"] = kept[0]
                g["obs/kind"] = kept[1]
                g["obs/kind"].attrs["categories"] = g["obs/__categories/kind"].ref
                g["obs"].attrs["encoding-version"] = "0.1.0"
                g["obs"].attrs["column-order"] = np.array(["kind", "n", "ok", "text"], dtype=h5py.string_dtype())
    out = annotate(other, GOOD)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        b = ad.read_h5ad(out)
    assert b.obs["selection"].dropna().to_dict() == {"cell,1": "a"}
    if form == "encoding 0.1":
        assert set(b.obs["kind"]) == {"a", "b"}


def test_damaged_files_end_in_a_message(isolario, cells, tmp_path):
    """Bytes near those that are changed when a column is added are wrong: a file comes out, or one line that says why not."""
    rng = np.random.default_rng(1)
    good = bytearray(cells.read_bytes())
    (tmp_path / "table.csv").write_text(GOOD)
    isolario("annotate", cells, tmp_path / "table.csv", "-o", tmp_path / "out.h5ad")
    changed = [i for i, (a, b) in enumerate(zip(good, (tmp_path / "out.h5ad").read_bytes())) if a != b]
    places = sorted({i + j for i in changed for j in range(-150, 150) if i + j >= 0})
    for k in range(80):
        bad = bytearray(good)
        for i in rng.choice(places, 1 + k % 3):
            bad[i] = rng.integers(256)
        (tmp_path / "bad.h5ad").write_bytes(bad)
        done = isolario("annotate", tmp_path / "bad.h5ad", tmp_path / "table.csv", "-o", tmp_path / "out.h5ad", "--force", check=False)
        assert done.returncode in (0, 2, 3), (k, done.returncode, done.stderr)
        assert not [f for f in os.listdir(tmp_path) if ".part-" in f]


def test_round_trip_from_the_page(isolario, annotate, paul15, tmp_path_factory):
    """A group taken on the page, named, saved there, and put into the cells' file and into latent.h5ad of the run."""
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("chromium is not installed; scripts/packages.sh test does that")
    folder = tmp_path_factory.mktemp("annotate") / "run"
    isolario("fit", paul15, "-o", folder, "--labels-key", "cluster", "--max-epochs", 5, "-q")
    isolario("explore", folder, "--key", "cluster", "-o", folder.parent / "map.html")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"])
        page = browser.new_page()
        page.goto((folder.parent / "map.html").as_uri())
        page.wait_for_selector("html[data-ready='1']", state="attached", timeout=60000)
        page.evaluate("isolario.select([0, 5, 2], 'mine, \"x\"'); isolario.select([5, 7], 'other')")
        page.locator("#tab-selections").click()
        assert "isolario annotate" in page.locator("#panel-selections").inner_text()
        with page.expect_download() as waiting:
            page.locator("#save-selections").click()
        text = open(waiting.value.path(), newline="").read()
        browser.close()
    names = ad.read_h5ad(paul15).obs_names
    wanted = {names[0]: 'mine, "x"', names[2]: 'mine, "x"', names[5]: 'mine, "x";other', names[7]: "other"}
    for file in (paul15, folder / "latent.h5ad"):
        out = annotate(file, text)
        assert ad.read_h5ad(out).obs["selection"].dropna().to_dict() == wanted
        out.unlink()
