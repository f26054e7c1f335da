"""How the page of `isolario explore` draws, in a real browser: the budget of a frame, a picture drawn in pieces, a lost graphics card,
two fingers; and differential genes of the served map against scipy."""
import re
import subprocess

import pytest

np = pytest.importorskip("numpy")
stats = pytest.importorskip("scipy.stats")
pytest.importorskip("playwright.sync_api")

from test_explorer_page import CHROMIUM, chromium, colors, dense, run, saved, show  # noqa: E402, F401

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed; scripts/packages.sh test does that")

# From here on frames may have this much work, whatever they take.
HOLD = "(work) => { const p = isolario.app.picture.painter; p.leastPiece = 0; p.budget.work = work; p.budget.took = () => {}; }"
FINISH = "async () => { while (!isolario.app.picture.painter.finished) await new Promise(requestAnimationFrame); }"
# Moves the view there and back, a frame each; returns how many cells each frame had.
MOVE = """async () => { const p = isolario.app.picture, cells = [];
    for (const far of [40, 40, -40, -40]) { p.view.pan(far, 0); p.changed(); await new Promise(requestAnimationFrame); cells.push(p.painter.shown); }
    return cells; }"""


def budget(page, most, cost, frames=60):
    """Work of each frame on a screen of 60 frames a second, where a frame takes cost[0] ms and cost[1] ms a thousand cells."""
    return page.evaluate("""([most, fixed, each, frames]) => { const b = new FrameBudget(most), work = [];
        for (let i = 0; i < frames; i++) { work.push(b.work); b.took(1000 / 60 * Math.ceil((fixed + each * b.work / 1000) / (1000 / 60))); }
        return work; }""", [most, *cost, frames])


def test_budget_follows_what_frames_take(show):
    page = show()
    fast = budget(page, 1_000_000, (1, 0.005))
    assert fast[0] < fast[-1] == 1_000_000 and fast == sorted(fast), "a graphics card soon draws all"
    slow = np.array(budget(page, 1_000_000, (5, 0.2), 200)[20:])
    fits = (1000 / 60 - 5) / 0.2 * 1000
    assert 0.4 * fits < slow.min() and slow.max() < 1.6 * fits, "software draws what fits"
    late = slow[60:] > fits
    assert 0 < late.mean() < 0.05, "and hardly a frame is late, as it looks for more"
    assert budget(page, 1_000_000, (50, 1))[-1] == 1000 and budget(page, 100, (50, 1))[-1] == 100
    later = page.evaluate("""() => { const b = new FrameBudget(1e6); for (let i = 0; i < 40; i++) b.took(16.7); const whole = b.whole();
                          for (let i = 0; i < 4; i++) b.took(200); return [whole, b.work]; }""")
    assert later[0] and later[1] < 20000, "and falls at once when frames are late"


def test_first_cells_are_an_even_sample(show):
    page = show()
    mixed, place, stored = (np.array(page.evaluate(f"Array.from({e})")) for e in (
        "isolario.app.picture.painter.mixed", "isolario.app.picture.painter.points.place",
        "(() => { const { gl, points } = isolario.app.picture.painter, out = new Float32Array(2 * points.n);"
        " gl.bindBuffer(gl.ARRAY_BUFFER, points.placeBuffer); gl.getBufferSubData(gl.ARRAY_BUFFER, 0, out); return out; })()"))
    group = np.array(page.evaluate("Array.from(isolario.app.groupColoring.step)"))
    n = len(mixed)
    assert np.array_equal(np.sort(mixed), np.arange(n)) and np.array_equal(place[mixed], np.arange(n))
    xy = np.array(page.evaluate("Array.from(isolario.app.xy)"))
    assert np.array_equal(stored.reshape(-1, 2), xy.reshape(-1, 2)[mixed])
    for share in (0.1, 0.3):
        first = np.bincount(group[mixed[:int(share * n)]], minlength=group.max() + 1)
        wanted = share * np.bincount(group)
        assert (np.abs(first - wanted) < 4 * np.sqrt(wanted) + 2).all()


@pytest.mark.parametrize("column", ["cluster", "p_value"])
def test_pieces_make_the_whole_picture(show, column):
    page = show()
    k = [c["name"] for c in page.evaluate("isolario.map.obs")].index(column)
    page.evaluate(f"isolario.app.colorBy('obs{k}')")
    page.evaluate(FINISH)
    whole = colors(page)
    page.evaluate(HOLD, 100)
    cells = page.evaluate(MOVE)
    assert cells == [100] * 4, "while it moves"
    assert not page.evaluate("isolario.app.picture.painter.finished")
    page.evaluate(FINISH)
    assert page.evaluate("isolario.app.picture.painter.shown") == page.evaluate("isolario.map.n_cells")
    assert np.array_equal(colors(page), whole), "at rest, in four pieces"
    page.evaluate("isolario.app.paint(-1)")
    page.evaluate("() => new Promise(requestAnimationFrame)")
    assert page.evaluate("isolario.app.picture.painter.shown") == 100 and (colors(page) != whole).any(), "new colours show at once in some"
    page.evaluate("isolario.app.picture.drawNow(0, true)")
    assert np.array_equal(colors(page), whole), "all, when asked for"
    page.evaluate(HOLD, 1e9)
    assert page.evaluate(MOVE) == [page.evaluate("isolario.map.n_cells")] * 4


def test_last_picture_moves_with_the_view(show):
    """With next to no cells of its own, a frame of a move still shows the map, where it now is."""
    page = show()
    page.evaluate(FINISH)
    page.evaluate(HOLD, 1)
    shown = """() => { const c = document.createElement("canvas"), from = isolario.app.picture.canvas; c.width = from.width; c.height = from.height;
        const x = c.getContext("2d"); x.drawImage(from, 0, 0); return Array.from(x.getImageData(0, 300, c.width, 1).data); }"""
    before = np.array(page.evaluate(shown)).reshape(-1, 4)
    page.evaluate("() => { isolario.app.picture.view.pan(50, 0); isolario.app.picture.drawNow(); }")
    after = np.array(page.evaluate(shown)).reshape(-1, 4)
    assert (before[:-50] == after[50:]).all(axis=1).mean() > 0.97 and (before != after).any()


def test_without_time_to_draw_the_page_moves_the_canvas(show):
    """Each place of the map is seen where it belongs, nothing is drawn until the view rests, and then everything is."""
    page = show()
    page.evaluate(FINISH)
    page.evaluate(HOLD, 1e9)
    moved = page.evaluate("""async () => { const { picture } = isolario.app, { canvas, painter, view, frame } = picture, out = [];
        const drawn = { ...view }, at = (v, x, y) => [v.width / 2 + (x - v.cx) * v.scale, v.height / 2 - (y - v.cy) * v.scale];
        painter.budget.slides = 1000;
        let draws = 0; const draw = painter.points.draw; painter.points.draw = (...a) => { draws++; draw.apply(painter.points, a); };
        for (const act of [() => view.pan(50, 20), () => view.zoomAt(300, 200, 1.3), () => view.zoomAt(100, 400, 0.6), () => view.pan(-30, 5)]) {
          act(); picture.drawNow();
          const [box, outer] = [canvas.getBoundingClientRect(), frame.getBoundingClientRect()], factor = box.width / drawn.width;
          for (const [x, y] of [[view.cx, view.cy], [drawn.cx + 1, drawn.cy - 2]]) {
            const [[fx, fy], [tx, ty]] = [at(drawn, x, y), at(view, x, y)];
            out.push(Math.hypot(box.left - outer.left + factor * fx - tx, box.top - outer.top + factor * fy - ty)); } }
        const quiet = draws;
        view.zoomAt(300, 300, 4); picture.drawNow();
        const far = draws;
        while (!painter.finished) await new Promise(requestAnimationFrame);
        return { out, quiet, far, left: canvas.style.transform, all: painter.shown === painter.n }; }""")
    assert max(moved["out"]) < 2 and moved["quiet"] == 0, "the frame's border takes a pixel"
    assert moved["far"] == 1, "where the old picture would be a blur, a frame is drawn"
    assert moved["left"] == "" and moved["all"]


def test_no_time_is_found_out_and_tried_again(show):
    page = show()
    none = page.evaluate("""() => { const b = new FrameBudget(1e6), none = [];
        for (let i = 0; i < 600; i++) { none.push(b.none()); b.took(b.none() ? 1000 / 60 : 2000 / 60); } return none; }""")
    assert none[0] is False and none[-1] is True
    assert sum(none) > 400 and any(not v for v in none[200:]), "a frame now and then sees whether there is time again"


def test_lost_graphics_card(show):
    page = show()
    page.evaluate(FINISH)
    whole = colors(page)
    page.evaluate("""async () => { const { canvas, painter: { gl } } = isolario.app.picture;
        const heard = (name) => new Promise((done) => canvas.addEventListener(name, done, { once: true }));
        window.lost = gl.getExtension("WEBGL_lose_context");
        const gone = heard("webglcontextlost"); window.lost.loseContext(); await gone;
        window.back = heard("webglcontextrestored"); }""")
    page.evaluate("() => { isolario.app.picture.view.pan(10, 0); isolario.app.picture.drawNow(); isolario.app.picture.view.pan(-10, 0); }")
    page.evaluate("isolario.app.paint(-1)")
    page.evaluate("async () => { setTimeout(() => window.lost.restoreContext()); await window.back; }")
    page.evaluate(FINISH)
    assert page.evaluate("isolario.app.picture.painter.gl.getError()") == 0
    assert np.array_equal(colors(page), whole), "the same picture again"


def test_a_drag_may_begin_on_a_name(show):
    """It moves the map, and opens nothing; a click on the name opens its prototype."""
    page = show()
    view = "(() => { const v = isolario.app.picture.view; return [v.cx, v.cy, v.scale]; })()"
    box = page.locator(".label:visible").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.evaluate("() => { window.opened = 0; for (const l of isolario.app.labels.labels) l.e.addEventListener('click', () => window.opened++); }")
    cx, cy, scale = page.evaluate(view)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y + 20, steps=4)
    page.mouse.up()
    assert np.allclose(page.evaluate(view), [cx - 40 / scale, cy + 20 / scale, scale], rtol=1e-6) and page.evaluate("window.opened") == 0
    page.mouse.click(x + 40, y + 20)
    assert page.evaluate("window.opened") == 1 and np.allclose(page.evaluate(view)[2], scale)


def touch(page, session, fingers, kind):
    session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(fingers)]})


def test_fingers_pan_and_pinch(show):
    page = show(width=390)
    session = page.context.new_cdp_session(page)
    frame = page.locator("#frame").bounding_box()
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
    view = "(() => { const v = isolario.app.picture.view; return [v.cx, v.cy, v.scale]; })()"
    under = f"isolario.app.picture.view.toMap({x - frame['x']}, {y - frame['y']})"

    def move(paths):
        """paths: of each finger, its points one after the other."""
        touch(page, session, [p[0] for p in paths], "touchStart")
        for step in list(zip(*paths))[1:]:
            touch(page, session, step, "touchMove")
        touch(page, session, [], "touchEnd")
        page.evaluate("() => new Promise(requestAnimationFrame)")

    cx, cy, scale = page.evaluate(view)
    move([[(x + 12 * i, y + 6 * i) for i in range(6)]])
    moved = page.evaluate(view)
    assert np.allclose(moved, [cx - 60 / scale, cy + 30 / scale, scale], rtol=1e-6), "one finger moves"
    at = page.evaluate(under)
    move([[(x - 30 - 6 * i, y) for i in range(6)], [(x + 30 + 6 * i, y) for i in range(6)]])
    assert page.evaluate(view)[2] == pytest.approx(2 * scale, rel=1e-6), "two, from 60 to 120 pixels, zoom"
    assert np.allclose(page.evaluate(under), at, atol=1e-6), "about the middle between them"
    move([[(x - 60 + 6 * i, y) for i in range(6)], [(x + 60 - 6 * i, y) for i in range(6)]])
    assert page.evaluate(view)[2] == pytest.approx(scale, rel=1e-6)
    assert page.evaluate("isolario.z") is None, "none of it is a click"
    touch(page, session, [(x, y)], "touchStart")
    touch(page, session, [], "touchEnd")
    page.wait_for_selector("html[data-place]", state="attached")


def test_differential_genes_of_the_served_map(show, run, program, paul15):
    """All genes of one group against the rest: the effect as scipy's t gives it."""
    server = subprocess.Popen([program, "explore", run, "--no-browser"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        url = next(m.group(0) for line in server.stderr if (m := re.search(r"http://127\.0\.0\.1:\d+/", line)))
        page = show(url=url)
        page.locator("#tab-selections").click()
        page.locator("#group-to-select").select_option(label="14Mo")
        page.locator("#take-group").click()
        page.locator("#compare").click()
        page.wait_for_selector("#differences table")
        rows = saved(page, lambda: page.locator("#save-genes").click())
        inside = np.zeros(page.evaluate("isolario.map.n_cells"), bool)
        inside[page.evaluate("Array.from(isolario.selections[0].cells)")] = True
        genes = page.evaluate("isolario.map.genes")
    finally:
        server.kill()
        server.wait()
    x = dense(paul15)
    level = np.log1p(1e4 * x / x.sum(1, keepdims=True)).astype("f8")
    varies = np.ptp(level, axis=0) > 0
    n, m = inside.sum(), len(inside)
    wanted = stats.ttest_ind(level[inside], level[~inside]).statistic * np.sqrt((1 / n + 1 / (m - n)) * m / (m - 2))
    got = {row[0]: float(row[1]) for row in rows[1:]}
    assert set(got) == set(genes) and len(rows) == len(genes) + 1
    found = np.array([got[name] for name in genes])
    assert np.allclose(found[varies], wanted[varies], rtol=1e-3, atol=1e-4) and (found[~varies] == 0).all()
