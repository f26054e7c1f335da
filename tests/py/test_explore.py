"""`isolario explore`: its files against the run as h5py reads it, the program in the page against the other commands, the server."""
import base64
import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import time
import zlib

import pytest

from browser import Browser

h5py = pytest.importorskip("h5py")
np = pytest.importorskip("numpy")
ndimage = pytest.importorskip("scipy.ndimage")

needs_browser = pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed; scripts/packages.sh test does that")


@pytest.fixture(scope="module")
def run(isolario, paul15, tmp_path_factory):
    """A short run with labels."""
    folder = tmp_path_factory.mktemp("explore") / "run"
    isolario("fit", paul15, "-o", folder, "--labels-key", "cluster", "--max-epochs", 12, "-q")
    return folder


class Map:
    """A written folder: .json, and arrays by name."""

    def __init__(self, folder):
        self.folder, self.json = folder, json.loads((folder / "map.json").read_text())

    def __getitem__(self, name):
        a = self.json["arrays"][name]
        return np.frombuffer((self.folder / a["file"]).read_bytes(), np.dtype(a["dtype"]).newbyteorder("<")).reshape(a["shape"])

    def obs(self, name):
        return next(c for c in self.json["obs"] if c["name"] == name)


@pytest.fixture(scope="module")
def folder(isolario, run):
    isolario("explore", run, "-o", run.parent / "map")
    return Map(run.parent / "map")


@pytest.fixture(scope="module")
def page(isolario, run):
    path = run.parent / "map.html"
    isolario("explore", run, "-o", path)
    return path


@pytest.fixture(scope="module")
def latent(run):
    with h5py.File(run / "latent.h5ad") as f:
        yield f


@pytest.fixture(scope="module")
def counts(paul15):
    """Cells x genes, dense."""
    with h5py.File(paul15) as f:
        x = f["X"]
        if isinstance(x, h5py.Dataset):
            return x[:]
        dense = np.zeros(x.attrs["shape"], "f4")
        indptr = x["indptr"][:]
        dense[np.repeat(np.arange(len(indptr) - 1), np.diff(indptr)), x["indices"][:]] = x["data"][:]
        return dense


# ------------------------------------------------------------------------------------------------- files


def test_cells(folder, latent):
    m, names = folder.json, [n.decode() for n in latent["obs"][latent["obs"].attrs["_index"]][:]]
    assert (m["format"], m["version"], m["title"]) == ("isolario-map", 1, "paul15.h5ad")
    assert (m["n_cells"], m["n_latent"], m["n_genes"], len(m["genes"])) == (len(names), 10, 3451, 3451)
    assert bytes(folder[m["cell_names"]]).decode().split("\n")[:-1] == names
    assert np.array_equal(folder["xy"], latent["obsm/X_umap"][:].astype("f4"))
    assert np.array_equal(folder["z"], latent["obsm/X_isolario"][:])
    assert [c["name"] for c in m["obs"]] == list(latent["obs"].attrs["column-order"])
    for key in ("cluster", "leiden", "isolario_split"):
        column = latent["obs"][key]
        assert folder.obs(key)["categories"] == [c.decode() for c in column["categories"][:]]
        assert np.array_equal(folder[folder.obs(key)["array"]], column["codes"][:].astype("u1"))
    assert np.allclose(folder[folder.obs("mixture_fit")["array"]], latent["obs/mixture_fit"][:], atol=1e-6)


def held_out(folder):
    split = folder.obs("isolario_split")
    return folder[split["array"]] != split["categories"].index("train")


def test_support_of_cells(folder, isolario, run, paul15):
    """Held-out cells as anomaly has them; a training cell does not vouch for itself."""
    rows = isolario("anomaly", run, paul15).stdout.split("\n")[1:-1]
    log_density = np.array([float(r.split("\t")[1]) for r in rows])
    found, held = folder[folder.obs("log_density")["array"]], held_out(folder)
    assert np.allclose(found[held], log_density[held], atol=0.02) and (found[~held] < log_density[~held] + 0.02).all()
    p = folder[folder.obs("p_value")["array"]]
    assert np.allclose(p[held], np.array([float(r.split("\t")[2]) for r in rows])[held], atol=0.02) and 0 < p.min() and p.max() == 1


def test_groups(folder, latent, counts):
    codes, z, xy = latent["obs/cluster/codes"][:], latent["obsm/X_isolario"][:], latent["obsm/X_umap"][:]
    names = [c.decode() for c in latent["obs/cluster/categories"][:]]
    groups = folder.json["groups"]
    assert groups["key"] == "cluster" and [g["name"] for g in groups["places"]] == names
    x = counts.astype("f8")
    y = np.log1p(1e4 * x / x.sum(1, keepdims=True))
    sd = y.std(0)
    for k, g in enumerate(groups["places"]):
        own = codes == k
        assert g["size"] == own.sum()
        assert abs(g["x"] - np.sort(xy[own, 0])[own.sum() // 2]) < 1e-5
        far = np.linalg.norm(z - np.array(g["prototype"]["z"]), axis=1)
        assert far[g["prototype"]["nearest_cell"]] <= far.min() + 1e-5
        effect = np.divide(y[own].mean(0) - y[~own].mean(0), sd, out=np.zeros(len(sd)), where=sd > 0)
        found = [m["gene"] for m in g["markers"]]
        assert len(found) == 25 and np.allclose([m["observed_effect"] for m in g["markers"]], np.sort(effect)[::-1][:25], atol=1e-4)
        assert np.allclose(effect[found], [m["observed_effect"] for m in g["markers"]], atol=1e-4)
    agree = [m["decoded_effect"] > 0 for g in groups["places"] for m in g["markers"]]
    assert np.mean(agree) > 0.9, "what marks a group in the counts should in what is decoded"


def test_raster(folder):
    r = folder.json["raster"]
    density, place, p = folder[r["density"]], folder[r["class"]], folder[r["p_value"]]
    assert density.shape == place.shape == p.shape == (r["height"], r["width"]) == (256, 256)
    xy = folder["xy"].astype("f8")      # a cell may lie on the edge of a pixel
    wide = max(np.ptp(xy[:, 0]), np.ptp(xy[:, 1]))
    assert abs((r["x1"] - r["x0"]) - 1.1 * wide) < 1e-3 and abs((r["y1"] - r["y0"]) - 1.1 * wide) < 1e-3
    assert density.max() == 1 and density.min() >= 0
    sea = place == 255
    assert sea[0, 0] and np.isnan(p[sea]).all() and np.isfinite(p[~sea]).all()
    assert set(np.unique(place)) <= {0, 1, 2, 3, 255} and ((place == 0) == (p > 0.05)).all()
    step = (r["x1"] - r["x0"]) / 256
    column, row = ((xy[:, 0] - r["x0"]) / step).astype(int), ((xy[:, 1] - r["y0"]) / step).astype(int)
    assert not sea[row, column].any(), "no cell lies in open sea"
    cells = np.bincount(row * 256 + column, minlength=65536).reshape(256, 256).astype("f8")
    smooth = ndimage.gaussian_filter(cells, 3, mode="constant", truncate=3)
    assert np.allclose(density, smooth / smooth.max(), atol=0.01)


def test_statistics(folder, isolario, run):
    lines = isolario("voids", run, "--key", "cluster").stdout.split("\n")
    s = folder.json["statistics"]
    assert abs(s["prior_in_voids"] - float(re.search(r"in voids: ([\d.]+)", lines[1]).group(1))) < 1e-3
    origin = dict(zip(lines[2].split("\t"), lines[3].split("\t")))
    classes = ["observed", "chimera", "contradicts a rule", "never observed"]
    assert classes[s["origin"]["class"]] == origin["class"] and abs(s["origin"]["p_value"] - float(origin["p_value"])) < 1e-5
    z = folder["z"]
    for k, d in enumerate(folder.json["dimensions"]):
        assert d["active"] == bool(z[:, k].var() > 0.01) and d["kl"] >= 0
        assert abs(d["low"] - np.sort(z[:, k])[27]) < 1e-5 and abs(d["high"] - np.sort(z[:, k])[-28]) < 1e-5


def test_counts(folder, counts):
    assert np.allclose(folder["totals"], counts.sum(1))
    assert folder.json["counts"] == {"per_gene": "counts/%d.bin"}
    for g in (0, 17, 3450):
        raw = (folder.folder / "counts" / f"{g}.bin").read_bytes()
        n = int.from_bytes(raw[:4], "little")
        cells, values = np.frombuffer(raw, "<u4", n, 4), np.frombuffer(raw, "<u2", n, 4 + 4 * n)
        assert len(raw) == 4 + 6 * n and np.array_equal(cells, np.nonzero(counts[:, g])[0])
        assert np.array_equal(values, counts[cells, g])


def inline(page, name):
    text = re.search(rf'data-name="{name}" data-packed="deflate">([^<]*)<', page.read_text()).group(1)
    return zlib.decompress(base64.b64decode(text))


def test_page_holds_the_same(page, folder, counts):
    text = page.read_text()
    m = json.loads(re.search(r'id="map">(.*?)</script>', text, re.S).group(1))
    assert {k: v for k, v in m.items() if k not in ("arrays", "counts")} == \
        {k: v for k, v in folder.json.items() if k not in ("arrays", "counts")}
    for name in ("xy", "z", "place", "raster_class", "totals"):
        assert inline(page, name) == (folder.folder / f"{name}.bin").read_bytes(), name
    assert inline(page, "wasm") == (folder.folder / "explorer.wasm").read_bytes()
    c = {k: np.frombuffer(inline(page, v), m["arrays"][v]["dtype"]) for k, v in m["counts"].items()}
    g = 100
    cells = c["indices"][c["indptr"][g]:c["indptr"][g + 1]]
    assert np.array_equal(cells, np.nonzero(counts[:, g])[0])
    assert np.array_equal(c["values"][c["indptr"][g]:c["indptr"][g + 1]], counts[cells, g])


def test_small_program(folder):
    """The page's own code may be 1.5 MB; its decoders, of counts and of images, are to stay a quarter of that."""
    assert (folder.folder / "explorer.wasm").stat().st_size < 375_000


def test_without_counts(isolario, run, paul15, tmp_path):
    """The file has moved: the page is made without, and another file of cells is refused."""
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    record = json.loads((moved / "run.json").read_text())
    record["input"]["path"] = str(tmp_path / "gone.h5ad")
    (moved / "run.json").write_text(json.dumps(record))
    done = isolario("explore", moved, "-o", tmp_path / "map")
    m = Map(tmp_path / "map")
    assert "gone.h5ad" in done.stderr and m.json["counts"] is None and "totals" not in m.json["arrays"]
    assert all(x["observed_effect"] is None for g in m.json["groups"]["places"] for x in g["markers"])
    isolario("explore", moved, paul15, "-o", tmp_path / "again.html")
    done = isolario("explore", moved, run / "latent.h5ad", "-o", tmp_path / "no.html", check=False)
    assert done.returncode == 2 and not (tmp_path / "no.html").exists()


def test_refusals(isolario, run, folder, page, tmp_path):
    for out in (folder.folder, page):
        done = isolario("explore", run, "-o", out, check=False)
        assert done.returncode == 3 and "--force" in done.stderr
    assert isolario("explore", run, "-o", page, "--force").returncode == 0
    done = isolario("explore", run, "-o", tmp_path / "x", "--key", "nothing", check=False)
    assert done.returncode == 1 and "cluster" in done.stderr and not (tmp_path / "x").exists()
    assert isolario("explore", run / "run.json", "-o", tmp_path / "x", check=False).returncode == 1
    assert not [p for p in tmp_path.iterdir() if ".part" in p.name]


def test_damaged_record(isolario, run, tmp_path):
    """run.json is a help, not a must."""
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    for text in ("", "[]", '{"input": 3, "options": [], "diagnosis": {"kl_per_dim": ["x"]}}'):
        (moved / "run.json").write_text(text)
        isolario("explore", moved, "-o", tmp_path / "map.html", "--force")


@pytest.mark.parametrize("values", [(1e16, 1e16), (0, 0), (3e38, -3e38), (float("nan"), 0)])
def test_odd_pictures(isolario, run, tmp_path, values):
    """A picture that is a point, or none, ends in a page or in a message."""
    moved = tmp_path / "moved"
    shutil.copytree(run, moved)
    with h5py.File(moved / "latent.h5ad", "r+") as f:
        f["obsm/X_umap"][:] = np.array(values, "f4")
    done = isolario("explore", moved, "-o", tmp_path / "map.html", check=False)
    assert done.returncode in (0, 2), done.stderr


# ---------------------------------------------------------------------------------------- the program in the page

OPEN = """(async () => {
  while (!window.isolario) await new Promise((wait) => setTimeout(wait, 20));
  const { map, app } = window.isolario, w = app.model.wasm;
  const parts = {};
  for (const name of ["place", "xy", "z"]) parts[name] = await app.source.array(name).then((a) => new Uint8Array(a.buffer, a.byteOffset, a.byteLength));
  const bytes = (name) => parts[name];
  const put = (b) => { const p = w.iso_web_alloc(b.length); new Uint8Array(w.memory.buffer).set(b, p); return p; };
  const place = bytes("place"), xy = put(bytes("xy")), z = put(bytes("z"));
  const text = () => { const m = new Uint8Array(w.memory.buffer, w.iso_web_error()); return new TextDecoder().decode(m.slice(0, m.indexOf(0))); };
  window.t = { map, w, xy, z, text, room: (n) => w.iso_web_alloc(n), status: w.iso_web_open(put(place), place.length, xy, z, map.n_cells),
               floats: (p, n) => [...new Float32Array(w.memory.buffer, p, n)], doubles: (p, n) => [...new Float64Array(w.memory.buffer, p, n)],
               ints: (p, n) => [...new Int32Array(w.memory.buffer, p, n)],
               set: (a) => put(new Uint8Array(new Float32Array(a).buffer)), damaged: () => w.iso_web_open(put(place), 1000, xy, z, map.n_cells) };
  return window.t.status;
})()"""


@pytest.fixture(scope="module")
def browser(page):
    with Browser() as b:
        b.open(page)
        assert b.js(OPEN) == 0
        yield b


@needs_browser
def test_page_asks_no_network(browser, page):
    assert browser.requests == [page.resolve().as_uri()] and browser.log == []


@needs_browser
def test_decodes_as_prototype_does(browser, isolario, run, folder):
    table = [r.split("\t") for r in isolario("prototype", run, "--key", "cluster").stdout.split("\n")[:-1] if not r.startswith("#")]
    wanted = {name: np.array([float(r[k + 1]) for r in table[1:]]) for k, name in enumerate(table[0][1:])}
    for name, z in [("origin", [0] * 10)] + [(g["name"], g["prototype"]["z"]) for g in folder.json["groups"]["places"][:4]]:
        got = browser.js(f"(() => {{ const p = t.set({json.dumps(z)}), o = t.room(4 * 3451); t.w.iso_web_decode(p, 1, o); return t.floats(o, 3451); }})()")
        assert np.allclose(got, wanted[name], rtol=1e-4, atol=1e-8), name
        assert np.abs(np.array(got) - wanted[name]).max() < 1e-5 * max(wanted[name])


@needs_browser
def test_classifies_as_the_program_does(browser, folder):
    s, groups = folder.json["statistics"], folder.json["groups"]["places"]
    judge = "(() => {{ const p = t.set({}), o = t.room(80); return [t.w.iso_web_classify(p, o), ...t.doubles(o, 10)]; }})()"
    for z, place in [([0] * 10, s["origin"])] + [(g["prototype"]["z"], g["prototype"]) for g in groups]:
        status, is_class, _, p, second, fit, first, first_share, other, other_share, rule = browser.js(judge.format(json.dumps(z)))
        assert status == 0 and is_class == place["class"] and abs(p - place["p_value"]) < 0.01
        assert 0 <= first < len(folder.json["mixture_groups"]) and first_share >= other_share == second and -1 <= fit <= 1
        assert (rule >= 0) == (is_class == 2) and rule < max(1, len(folder.json["rules"]))


@needs_browser
def test_places_and_neighbours(browser, folder):
    xy, z = folder["xy"], folder["z"]
    p = folder[folder.obs("p_value")["array"]]
    for cell in np.flatnonzero(held_out(folder))[[0, 50, 200]]:
        here = f"const i = {cell}, x = t.floats(t.xy + 8 * i, 2), o = t.room(40), q = t.room(8), c = t.room(20), d = t.room(20);"
        support, lifted = browser.js(f"(() => {{ {here} const p = t.w.iso_web_lift(x[0], x[1], o); return [p, t.floats(o, 10)]; }})()")
        assert np.allclose(lifted, z[cell], atol=1e-6) and abs(support - p[cell]) < 0.01
        down = browser.js(f"(() => {{ {here} t.w.iso_web_project(t.z + 40 * i, 1, q); return t.floats(q, 2); }})()")
        assert np.allclose(down, xy[cell], atol=1e-6)
        near, far = browser.js(f"(() => {{ {here} const n = t.w.iso_web_nearest(t.z + 40 * i, 5, c, d); return [t.ints(c, n), t.floats(d, n)]; }})()")
        distance = np.linalg.norm(z - z[cell], axis=1)
        assert near[0] == cell and np.allclose(far, np.sort(distance)[:5], atol=1e-4)


@needs_browser
def test_gene_and_path(browser, folder):
    gene, cell = 42, 7
    values = browser.js(f"(() => {{ const o = t.room(4 * t.map.n_cells); t.w.iso_web_gene({gene}, o); return t.floats(o, t.map.n_cells); }})()")
    decoded = browser.js(f"(() => {{ const o = t.room(4 * 3451); t.w.iso_web_decode(t.z + 40 * {cell}, 1, o); return t.floats(o, 3451); }})()")
    assert len(values) == folder.json["n_cells"] and abs(values[cell] - 1e4 * decoded[gene]) < 1e-4 * values[cell]
    way = "(() => {{ const z = t.room(4000), p = t.room(800); const s = t.w.iso_web_path(t.z, t.z + 40000, {}, 100, z, p); return [s, t.floats(z, 1000), t.doubles(p, 100)]; }})()"
    voids = []
    for along in (0, 1):
        status, z, p = browser.js(way.format(along))
        z = np.array(z).reshape(100, 10)
        assert status == 0 and np.allclose(z[0], folder["z"][0], atol=1e-6) and np.allclose(z[-1], folder["z"][1000], atol=1e-5)
        voids.append(np.mean(np.array(p) <= 0.05))
        if not along:
            assert np.allclose(z, np.linspace(z[0], z[-1], 100), atol=1e-5)
    assert voids[1] <= voids[0]


@needs_browser
def test_a_damaged_map_is_a_message(browser, page):
    assert browser.js("t.damaged()") == 2 and "damaged" in browser.js("t.text()")
    assert browser.js("t.w.iso_web_decode(t.z, 1, t.room(4 * 3451))") == 1 and "no map" in browser.js("t.text()")
    assert browser.js(OPEN) == 0


# ------------------------------------------------------------------------------------------------- the server


@pytest.fixture(scope="module")
def server(program, run):
    """(process, port) of a map that is being served."""
    p = subprocess.Popen([program, "explore", run, "--no-browser"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    for line in p.stderr:
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        if found:
            break
    assert found, "the program tells its address"
    yield p, int(found.group(1))
    if p.poll() is None:
        p.kill()
    p.wait()


def ask(port, path, method="GET", **headers):
    """Status, headers, body of a request whose path and headers are sent as they are."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    c.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in {"Host": f"127.0.0.1:{port}", **headers}.items():
        if value is not None:
            c.putheader(name, value)
    c.endheaders()
    r = c.getresponse()
    return r.status, r.headers, r.read()


def test_serves_the_folder(server, folder):
    _, port = server
    for name in ("map.json", "xy.bin", "explorer.wasm", "counts/3.bin", "index.html"):
        status, headers, body = ask(port, "/" + name)
        assert status == 200 and body == (folder.folder / name).read_bytes(), name
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
    assert ask(port, "/")[2] == (folder.folder / "index.html").read_bytes()
    assert ask(port, "/explorer.wasm")[1]["Content-Type"] == "application/wasm"
    status, headers, body = ask(port, "/map.json", "HEAD")
    assert (status, body, int(headers["Content-Length"])) == (200, b"", (folder.folder / "map.json").stat().st_size)
    assert ask(port, "/", Host=f"localhost:{port}", Origin=f"http://localhost:{port}")[0] == 200


@pytest.mark.parametrize("path, headers, status", [
    ("/", {"Host": "evil.example:{}"}, 403), ("/", {"Host": "127.0.0.1"}, 403), ("/", {"Host": None}, (400, 403)),
    ("/map.json", {"Origin": "http://evil.example"}, 403), ("/map.json", {"Origin": "null"}, 403),
    ("/map.json", {"Origin": "https://127.0.0.1:{}"}, 403), ("/nothing", {}, 404), ("/counts/", {}, 404), ("/counts/3451.bin", {}, 404),
    ("/../run/run.json", {}, 404), ("/%2e%2e/run/run.json", {}, 404), ("/counts/../map.json", {}, 404), ("//etc/passwd", {}, 404),
    ("/map.json%00.bin", {}, (200, 400, 404))])
def test_server_refuses(server, path, headers, status):
    _, port = server
    got = ask(port, path, **{k: v and v.format(port) for k, v in headers.items()})[0]
    assert got in (status if isinstance(status, tuple) else (status,))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_server_takes_no_other_method(server, method):
    _, port = server
    status, headers, _ = ask(port, "/map.json", method)
    assert status == 405 and headers["Allow"] == "GET, HEAD"


def test_port_taken(server, isolario, run):
    _, port = server
    done = isolario("explore", run, "--no-browser", "--port", port, check=False)
    assert done.returncode == 3 and str(port) in done.stderr and "--port" in done.stderr


def test_listens_on_this_machine_alone(server):
    """The address that other machines would use gets no answer."""
    _, port = server
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(("192.0.2.1", 9))            # nothing is sent: asks for the address that leads outward
        own = s.getsockname()[0]
    if own.startswith("127."):
        pytest.skip("this machine has no network, so no address that others could use")
    with pytest.raises(OSError):
        socket.create_connection((own, port), timeout=5)


@needs_browser
def test_served_page_opens(server):
    _, port = server
    with Browser() as b:
        b.call("Page.navigate", url=f"http://127.0.0.1:{port}/")
        ready, end = "document.documentElement?.dataset.ready ?? null", time.monotonic() + 60      # no document while it changes
        while b.js(ready) is None and time.monotonic() < end:
            time.sleep(0.1)
        assert b.js(ready) is not None and b.log == []
        assert all(u.startswith(f"http://127.0.0.1:{port}/") for u in b.requests if not u.startswith(("data:", "blob:")))


def test_interrupt_ends_it(server):
    """The last: the server is gone after it."""
    p, _ = server
    p.send_signal(signal.SIGINT)
    assert p.wait(20) == 0
