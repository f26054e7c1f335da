"""`isolario explore` of models of images: thumbnails against the files, decoded images against the other commands, in a real browser;
and that nothing in the page speaks of genes."""
import functools
import http.server
import json
import re
import shutil
import threading
import time

import pytest

from browser import Browser

np = pytest.importorskip("numpy")

pytestmark = pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed; scripts/packages.sh test does that")
SIZE = 32


@pytest.fixture(scope="module")
def run(isolario, tmp_path_factory):
    """A short run of 300 cells of 32 x 32."""
    folder = tmp_path_factory.mktemp("images")
    isolario("simulate", "cells", "-n", 300, "--size", SIZE, "-o", folder / "cells.npz", "--quiet")
    isolario("fit", folder / "cells.npz", "--labels-key", "label", "-o", folder / "run", "--max-epochs", 10, "--batch-size", 16, "--first-channels", 16,
             "--quiet")
    return folder / "run"


@pytest.fixture(scope="module")
def pair(isolario, run):
    """A run of two channels, of sides that no network halves, larger than a thumbnail, with a camera's offset."""
    rng = np.random.default_rng(0)
    light = np.load(run.parent / "cells.npz")["images"].reshape(300, 1, SIZE, SIZE)[:120].astype(float)
    wide = np.pad(light, ((0, 0), (0, 0), (4, 4), (1, 1)), mode="edge")
    images = np.concatenate([wide, wide[:, :, ::-1]], axis=1) + 100
    np.savez(run.parent / "pair.npz", images=(images + rng.normal(0, 1, images.shape)).astype("float32"), channel_names=np.array(["DNA", "actin"]),
             name=np.array([f"image-{i}" for i in range(120)]))
    isolario("fit", run.parent / "pair.npz", "-o", run.parent / "pair", "--likelihood", "photon", "--gain", 2, "--offset", 90, "--max-epochs", 2,
             "--first-channels", 8, "--quiet")
    isolario("explore", run.parent / "pair", "-o", run.parent / "pair.html", "--quiet")
    return run.parent / "pair"


@pytest.fixture(scope="module")
def folder(isolario, run):
    isolario("explore", run, "-o", run.parent / "map", "--quiet")
    isolario("explore", run, "-o", run.parent / "map.html", "--quiet")
    return run.parent / "map"


@pytest.fixture(scope="module")
def browser():
    with Browser() as b:
        yield b


READY = "(document.documentElement?.dataset.ready ?? null)"      # no document while it changes


def wait(b, what, seconds=30):
    """Until an expression of the page is true."""
    end = time.monotonic() + seconds
    while not b.js(f"Boolean({what})"):
        assert time.monotonic() < end, what
        time.sleep(0.02)


@pytest.fixture
def show(browser):
    """show(path): an open page, ready, with its thumbnails there. At the end: no fault, no message of the browser, no request to elsewhere."""
    def open_page(path):
        browser.open(path)
        wait(browser, READY)
        assert browser.js(READY) == "1"
        wait(browser, "isolario.app.thumbnails.values || !isolario.map.images.thumbnails")
        return browser

    yield open_page
    assert browser.log == [] and browser.js("document.documentElement.dataset.error ?? null") is None
    assert all(u.startswith(("file:", "blob:", "data:")) for u in browser.requests), browser.requests


def composite(images, about):
    """Pixels [n, channels, height, width] in the colours that the map names: [n, height, width, 3]."""
    low, high = (np.array(about[k], "f8").reshape(1, -1, 1, 1) for k in ("low", "high"))
    share = np.clip((images - low) / (high - low), 0, 1)
    return np.minimum(255, np.einsum("nchw,ck->nhwk", share, np.array(about["colors"], "f8"))).astype(int)


def canvas(b, element):
    """Colours [height, width, 3] of a canvas; element: an expression."""
    width, height, *data = b.js(f"(() => {{ const c = {element}; return [c.width, c.height, ...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]; }})()")
    return np.array(data).reshape(height, width, 4)[..., :3]


def at(b, cell):
    """Where a cell is on the screen."""
    return b.js(f"""(() => {{ const p = isolario.app.picture, box = p.frame.getBoundingClientRect(), xy = isolario.app.xy;
                    const [u, v] = p.view.toScreen(xy[2 * {cell}], xy[2 * {cell} + 1]); return [box.left + u, box.top + v]; }})()""")


def lonely(b):
    """A cell that no other hides, and no name."""
    b.js("document.getElementById('show-names').checked && document.getElementById('show-names').click()")
    return b.js("""(() => { const { picture, xy } = isolario.app;
        for (let i = 0; ; i++) { const [x, y] = [xy[2 * i], xy[2 * i + 1]], r = 10 / picture.view.scale;
          if (!picture.grid.within([[x - r, y - r], [x + r, y - r], [x + r, y + r], [x - r, y + r]]).some((k) => k !== i)) return i; } })()""")


def click(b, cell):
    x, y = at(b, cell)
    b.mouse("mouseMoved", x, y)
    b.mouse("mousePressed", x, y, button="left", clickCount=1)
    b.mouse("mouseReleased", x, y, button="left", clickCount=1)


def decoded(b):
    about = b.js("isolario.map.images")
    return np.array(b.js("isolario.decoded()")).reshape(about["channels"], about["height"], about["width"])


def alike(b, wanted):
    """What the page decoded last is the image that a command made, but for what single precision leaves open."""
    about = b.js("isolario.map.images")
    return np.abs(decoded(b) - wanted).max() < 1e-4 * (min(about["high"]) - max(about["low"]))


# ------------------------------------------------------------------------------------------------- files


def test_map_json(folder):
    m = json.loads((folder / "map.json").read_text())
    about = m["images"]
    assert (about["channels"], about["height"], about["width"]) == (1, SIZE, SIZE) and m["n_genes"] == SIZE * SIZE
    assert m["genes"] == [] and m["counts"] is None and all(g["markers"] == [] for g in m["groups"]["places"])
    assert about["colors"] == [[255, 255, 255]] and about["thumbnail_every"] == 1
    assert m["arrays"]["thumbnails"] == {"file": "thumbnails.bin", "dtype": "uint8", "shape": [300, 3 * SIZE * SIZE]}
    thumbnails = np.frombuffer((folder / "thumbnails.bin").read_bytes(), "u1").reshape(300, SIZE, SIZE, 3).astype(int)
    images = np.load(folder.parent / "cells.npz")["images"].reshape(300, 1, SIZE, SIZE)
    assert np.abs(thumbnails - composite(images, about)).max() <= 1 and thumbnails.max() == 255
    assert (folder / "explorer.wasm").stat().st_size < 375_000


def test_thumbnails_of_large_images(isolario, pair, tmp_path):
    """40 x 34 becomes 20 x 17: means of squares of two."""
    isolario("explore", pair, "-o", tmp_path / "map", "--quiet")
    about = json.loads((tmp_path / "map" / "map.json").read_text())["images"]
    assert (about["thumbnail_height"], about["thumbnail_width"], about["names"]) == (20, 17, ["DNA", "actin"])
    assert about["zero"] == [90, 90] and about["colors"] == [[0, 255, 0], [255, 0, 255]]
    images = np.load(pair.parent / "pair.npz")["images"].reshape(120, 2, 20, 2, 17, 2).mean((3, 5))
    thumbnails = np.frombuffer((tmp_path / "map" / "thumbnails.bin").read_bytes(), "u1").reshape(120, 20, 17, 3).astype(int)
    assert np.abs(thumbnails - composite(images, about)).max() <= 1 and thumbnails.std() > 5


# ------------------------------------------------------------------------------------------------- the page


def test_hover_shows_the_image(show, folder):
    b = show(folder.parent / "map.html")
    cell = lonely(b)
    b.mouse("mouseMoved", *at(b, cell))
    assert b.js("document.querySelector('#tip strong').textContent") == b.js(f"isolario.app.names[{cell}]")
    images = np.load(folder.parent / "cells.npz")["images"].reshape(300, 1, SIZE, SIZE)
    wanted = composite(images[cell:cell + 1], b.js("isolario.map.images"))[0]
    assert np.abs(canvas(b, "document.querySelector('#tip canvas')") - wanted).max() <= 1
    assert b.js("getComputedStyle(document.querySelector('#tip canvas')).imageRendering") == "pixelated"


def test_click_decodes_as_the_program(show, isolario, run, folder, tmp_path):
    b = show(folder.parent / "map.html")
    cell = lonely(b)
    click(b, cell)
    name = b.js(f"isolario.app.names[{cell}]")
    wait(b, f"document.documentElement.dataset.place === 'Cell {name}'")
    isolario("path", run, "--key", "label", "--from", name, "--to", "network", "--route", "straight", "-o", tmp_path / "path.npz", "--quiet")
    wanted = np.load(tmp_path / "path.npz")["images"][0]
    assert alike(b, wanted)
    shown = canvas(b, "document.querySelector('#panel-place .image canvas')")
    assert np.abs(shown - composite(wanted[None], b.js("isolario.map.images"))[0]).max() <= 1 and shown.std() > 1
    assert b.js("document.querySelectorAll('#panel-place .near canvas').length") == 5
    nearest = b.js("isolario.app.model.nearest(Float32Array.from(isolario.z), 5).map((n) => n.cell)")
    assert nearest[0] == cell
    images = np.load(folder.parent / "cells.npz")["images"].reshape(300, 1, SIZE, SIZE)
    for k, c in enumerate(nearest):
        assert np.abs(canvas(b, f"document.querySelectorAll('#panel-place .near canvas')[{k}]") - composite(images[c:c + 1], b.js("isolario.map.images"))[0]).max() <= 1
    png = bytes(b.js("""new Promise((done) => { const make = URL.createObjectURL;
        URL.createObjectURL = (blob) => { URL.createObjectURL = make; blob.arrayBuffer().then((a) => done([...new Uint8Array(a)])); return make.call(URL, blob); };
        document.getElementById('save-image').click(); })"""))
    assert png[:4] == b"\x89PNG" and int.from_bytes(png[16:20], "big") == int.from_bytes(png[20:24], "big") == SIZE


def test_images_of_256_pixels(show, isolario, tmp_path):
    """They decode as the program has it, and fit the panel."""
    isolario("simulate", "cells", "-n", 24, "--size", 256, "-o", tmp_path / "cells.npz", "--quiet")
    isolario("fit", tmp_path / "cells.npz", "--labels-key", "label", "-o", tmp_path / "run", "--max-epochs", 1, "--first-channels", 8, "--quiet")
    isolario("explore", tmp_path / "run", "-o", tmp_path / "map.html", "--quiet")
    isolario("path", tmp_path / "run", "--key", "label", "--from", "cell-0", "--to", "cell-1", "--route", "straight", "-o", tmp_path / "path.npz", "--quiet")
    b = show(tmp_path / "map.html")
    b.js("isolario.app.visitCell(0)")
    wait(b, "document.documentElement.dataset.place === 'Cell cell-0'")
    assert alike(b, np.load(tmp_path / "path.npz")["images"][0])
    assert b.js("document.querySelector('#panel-place .image canvas').getBoundingClientRect().width") == 256
    assert b.js("isolario.map.images.thumbnail_height") == 32


def test_prototypes(show, isolario, run, folder, tmp_path):
    b = show(folder.parent / "map.html")
    isolario("prototype", run, "--key", "label", "-o", tmp_path / "prototypes.npz", "--quiet")
    made = np.load(tmp_path / "prototypes.npz")
    for name, wanted in zip(made["name"], made["images"]):
        b.js("isolario.app.visitOrigin()" if name == "origin" else f"[...document.querySelectorAll('.label')].find((e) => e.textContent === '{name}').click()")
        wait(b, f"document.documentElement.dataset.place === '{'z = 0' if name == 'origin' else f'Prototype of {name}'}'")
        assert alike(b, wanted), name


def test_path_and_sliders(show, isolario, run, folder, tmp_path):
    b = show(folder.parent / "map.html")
    b.click("#tab-path")
    b.js("document.getElementById('route').value = '0'")
    b.click("#draw-path")
    wait(b, "document.querySelector('#path-verdict')")
    points = b.js("isolario.app.paths.courses.points()")
    ends = b.js("[...document.querySelectorAll('#path-from, #path-to')].map((e) => e.selectedOptions[0].textContent)")
    isolario("path", run, "--key", "label", "--from", ends[0], "--to", ends[1], "--route", "straight", "--steps", 61, "-o", tmp_path / "path.npz", "--quiet")
    wanted = np.load(tmp_path / "path.npz")["images"][points]
    about = b.js("isolario.map.images")
    assert b.js("document.querySelectorAll('.strip canvas').length") == len(points) == 10
    for k, colors in enumerate(composite(wanted, about)):
        assert np.abs(canvas(b, f"document.querySelectorAll('.strip canvas')[{k}]") - colors).max() <= 1
    b.click(".strip button:last-child")
    assert b.js("isolario.app.paths.at") == 60
    assert np.abs(canvas(b, "document.querySelector('#panel-path .image canvas')") - composite(wanted[-1:], about)[0]).max() <= 1
    b.click("#tab-sliders")
    wait(b, "document.querySelector('#panel-sliders .image canvas')")
    before = canvas(b, "document.querySelector('#panel-sliders .image canvas')")
    b.js("(() => { const e = document.querySelector('.sliders input'); e.value = e.value > 0 ? e.min : e.max; e.dispatchEvent(new Event('input')); })()")
    wait(b, "isolario.app.sliders.z.some((v, k) => v !== isolario.app.sliders.base[k]) && isolario.z.some((v, k) => v !== isolario.app.sliders.base[k])")
    after = canvas(b, "document.querySelector('#panel-sliders .image canvas')")
    assert (after != before).any() and np.abs(after - composite(decoded(b)[None], about)[0]).max() <= 1


def test_channels_can_be_switched(show, isolario, pair, tmp_path):
    """Two channels, a margin that the decoder has and files do not, and photons that are counted from no light."""
    b = show(pair.parent / "pair.html")
    cell = lonely(b)
    click(b, cell)
    wait(b, "document.documentElement.dataset.place?.startsWith('Cell')")
    isolario("path", pair, "--from", b.js(f"isolario.app.names[{cell}]"), "--to", "image-1",
             "--route", "straight", "-o", tmp_path / "path.npz", "--quiet")
    wanted = np.load(tmp_path / "path.npz")["images"][0]
    about = b.js("isolario.map.images")
    assert alike(b, wanted)
    both = canvas(b, "document.querySelector('#panel-place .image canvas')")
    assert np.abs(both - composite(wanted[None], about)[0]).max() <= 1 and both[..., 1].max() > 0 and both[..., 0].max() > 0
    b.click("#panel-place .channel")
    assert b.js("document.querySelector('#panel-place .channel').getAttribute('aria-pressed')") == "false"
    actin = canvas(b, "document.querySelector('#panel-place .image canvas')")
    assert actin[..., 1].max() == 0 and np.array_equal(actin[..., 0], both[..., 0]), "green is off, magenta as it was"


def test_nothing_speaks_of_genes(show, folder):
    b = show(folder.parent / "map.html")
    click(b, lonely(b))
    wait(b, "document.documentElement.dataset.place")
    b.js("isolario.app.visitMap(...isolario.app.picture.view.x)")
    b.click("#tab-path")
    b.click("#draw-path")
    wait(b, "document.querySelector('#path-verdict')")
    b.js("isolario.app.colorBy('void')")
    b.click("#tab-selections")
    b.click("#take-group")
    assert b.js("isolario.selections[0].cells.length") == 100
    wait(b, "document.querySelector('#save-selections')")
    text = b.js("document.querySelector('header').textContent + document.querySelector('main').textContent").lower()
    assert not re.findall(r"\bgenes?\b|10,000|droplet|doublet|mixture|\brule|expression|\bcounts?\b", text)
    assert b.js("document.querySelector('#gene, #gene-kind, #compare, .charts, .bars')") is None
    assert "32 × 32 pixels of 1 channel" in b.js("document.getElementById('size').textContent")


def test_served_as_a_folder(browser, folder):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser.log.clear()
    browser.call("Page.navigate", url=f"http://127.0.0.1:{server.server_port}/index.html")
    wait(browser, f"location.protocol === 'http:' && {READY} === '1'")
    wait(browser, "isolario.app.thumbnails.values")
    cell = lonely(browser)
    click(browser, cell)
    wait(browser, "document.documentElement.dataset.place && document.querySelector('#panel-place .image canvas')")
    assert browser.js("document.querySelectorAll('.near canvas').length") == 5
    images = np.load(folder.parent / "cells.npz")["images"].reshape(300, 1, SIZE, SIZE)
    assert np.abs(canvas(browser, f"isolario.app.thumbnails.of({cell})") - composite(images[cell:cell + 1], browser.js("isolario.map.images"))[0]).max() <= 1
    assert browser.log == []
    server.shutdown()


@pytest.mark.parametrize("fault,words", [("gone", "not at hand"), ("changed", "not what it was")])
def test_without_the_images(show, isolario, run, tmp_path, fault, words):
    """Everything but thumbnails works, and the log says why; named as a second input, the images are back."""
    moved, cells = tmp_path / "run", tmp_path / "cells.npz"
    shutil.copytree(run, moved)
    record = json.loads((moved / "run.json").read_text())
    record["input"]["path"] = str(cells)
    (moved / "run.json").write_text(json.dumps(record))
    if fault == "changed":
        archive = dict(np.load(run.parent / "cells.npz"))
        np.savez(cells, **{**archive, "images": archive["images"][::-1]})
    done = isolario("explore", moved, "-o", tmp_path / "map.html")
    assert words in done.stderr and str(cells) in done.stderr
    b = show(tmp_path / "map.html")
    assert b.js("isolario.map.images.thumbnails") is None and "not at hand" in b.js("document.getElementById('legend').textContent")
    cell = lonely(b)
    b.mouse("mouseMoved", *at(b, cell))
    assert b.js("document.querySelector('#tip strong') !== null && document.querySelector('#tip canvas') === null")
    click(b, cell)
    wait(b, "document.querySelector('#panel-place .image canvas') && isolario.decoded()")
    assert np.isfinite(decoded(b)).all() and b.js("document.querySelectorAll('.near .gene').length") == 5
    done = isolario("explore", moved, run.parent / "cells.npz", "-o", tmp_path / "map")
    assert "not at hand" not in done.stderr and (tmp_path / "map" / "thumbnails.bin").stat().st_size == 300 * SIZE * SIZE * 3


def test_other_images_are_refused(isolario, run, pair, tmp_path):
    done = isolario("explore", run, pair.parent / "pair.npz", "-o", tmp_path / "map", check=False)
    assert done.returncode == 2 and "channels" in done.stderr and not (tmp_path / "map").exists()
