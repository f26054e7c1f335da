"""report.html as people see it: in a real browser, wide, narrow, dark and printed. The arrays are made up by tests/tool_report.c."""
import re
import shutil
import subprocess
import zlib

import pytest

from browser import Browser

pytestmark = pytest.mark.skipif(not shutil.which("chromium"), reason="chromium is not installed; scripts/packages.sh test does that")

HOSTILE = '</script><img src=x onerror="document.documentElement.dataset.error=\'broken out\'">'


@pytest.fixture(scope="module")
def browser():
    with Browser() as b:
        yield b


@pytest.fixture(scope="module")
def pages(build, tmp_path_factory):
    """A report of each kind, by name."""
    tool, folder = build / "tests" / "tool_report", tmp_path_factory.mktemp("report")
    assert tool.exists(), f"{tool} is missing: build it first"
    kinds = {"cells": (), "autoencoder": (), "empty": (), "collapsed": (), "many": ("cells", 120000)}
    for kind, arguments in kinds.items():
        subprocess.run([tool, folder / f"{kind}.html", *map(str, arguments or (kind,))], check=True)
    return {kind: folder / f"{kind}.html" for kind in kinds}


def check(browser, path, state):
    """What holds for every page: drawn without a fault, nothing too wide, nothing fetched."""
    assert state.get("error") is None, state
    assert state["ready"] == "1"
    assert state["overflow"] == "0", "wider than the window"
    assert browser.requests == [path.resolve().as_uri()]
    assert browser.log == []


@pytest.mark.parametrize("kind, width, dark", [
    ("cells", 1400, False), ("cells", 1400, True), ("cells", 800, False), ("cells", 360, False), ("autoencoder", 360, True),
    ("collapsed", 1400, False), ("empty", 1400, False), ("empty", 360, True), ("many", 800, False)])
def test_draws(browser, pages, kind, width, dark):
    state = browser.open(pages[kind], width=width, dark=dark)
    check(browser, pages[kind], state)
    assert int(state["width"]) == width
    if kind != "empty":
        assert int(state["painted"]) > 0.05 * (width * 0.6) ** 2
    assert browser.js("getComputedStyle(document.documentElement).colorScheme") == ("dark" if dark else "light")


def luminance(color):
    rgb = [int(v) / 255 for v in re.findall(r"\d+", color)[:3]]
    return sum(w * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for w, c in zip((0.2126, 0.7152, 0.0722), rgb))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_contrast(browser, pages, dark):
    """Text has a contrast of 4.5 to what is behind it (WCAG 2.1, 1.4.3)."""
    browser.open(pages["cells"], dark=dark)
    paper = browser.js("getComputedStyle(document.body).backgroundColor")
    for selector in ("body", "#size", ".mark", ".hint", ".count", ".key", "footer", "svg text", "svg text.rust", "svg text.blue"):
        color = browser.js(f"(() => {{ const s = getComputedStyle(document.querySelector('{selector}'));"
                           f" return '{selector}'.startsWith('svg') ? s.fill : s.color; }})()")
        low, high = sorted((luminance(color), luminance(paper)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (selector, color, paper)
    color, behind = browser.js("(() => { const s = getComputedStyle(document.querySelector('#verdict .word').parentElement);"
                               " return [s.color, s.backgroundColor]; })()")
    low, high = sorted((luminance(color), luminance(behind)))
    assert (high + 0.05) / (low + 0.05) >= 4.5, (color, behind)


def test_nothing_from_outside(pages):
    text = pages["cells"].read_text(encoding="utf-8")
    outside = [u for u in re.findall(r"https?://[^\s\"'<)]+", text) if u != "http://www.w3.org/2000/svg"]     # the name of SVG
    assert outside == []
    assert not re.search(r"<(link|img|iframe|object|embed)\b|@import|url\((?!#)", text)
    assert "default-src 'none'" in text and "unsafe-inline" not in text


def test_names_are_text(browser, pages):
    browser.open(pages["cells"])
    browser.js("document.querySelector('#color').value = '1'; document.querySelector('#color').dispatchEvent(new Event('change'))")
    names = browser.js("[...document.querySelectorAll('.entry .name')].map((e) => e.textContent)")
    assert names[0] == HOSTILE
    assert names[1] == "\"quoted\" & 'single' \\ back\nline"
    assert names[2] == "invalid \ufffd\ufffd\ufffd( bytes"
    assert names[10:] == ["(no name)", "NK", "missing"]
    assert browser.js("document.title") == 'paul15 <cells> & "more".h5ad – Isolario'
    assert browser.js("document.querySelector('h1').textContent") == 'paul15 <cells> & "more".h5ad'
    assert browser.js("document.images.length + document.querySelectorAll('svg[onload]').length") == 0
    assert browser.js("document.documentElement.dataset.error") is None


def test_policy_stops_foreign_scripts(browser, pages, tmp_path):
    """Even if a name got out, it could do nothing: the policy allows our scripts alone."""
    text = pages["cells"].read_text(encoding="utf-8")
    path = tmp_path / "broken.html"
    path.write_text(text.replace("<main>", "<script>document.title = 'broken out'</script><main>", 1), encoding="utf-8")
    state = browser.open(path)
    assert "error" not in state or "policy" in state["error"]
    assert browser.js("document.title") != "broken out"


def test_verdict_in_words(browser, pages):
    for kind, name, word in (("cells", "warn", "!Partly collapsed"), ("collapsed", "bad", "×Collapsed"), ("autoencoder", "good", "✓Healthy")):
        browser.open(pages[kind])
        assert browser.js("document.querySelector('#verdict').className") == name
        assert browser.js("document.querySelector('#verdict .word').textContent") == word
    browser.open(pages["cells"])
    assert "Fewer latent dimensions" in browser.js("document.querySelector('#verdict').textContent")


def test_charts(browser, pages):
    titles = "[...document.querySelectorAll('figure h3')].map((e) => e.textContent)"
    browser.open(pages["cells"])
    assert browser.js(titles) == [
        "Loss (−ELBO)", "Reconstruction, log p(x | z)", "KL divergence and its weight", "Gradient norm and learning rate",
        "KL divergence by dimension", "Variance of the posterior means", "Zeros against mean, by gene", "Counts per cell", "A way", "Mean, by gene"]
    assert browser.js("[...document.querySelectorAll('figure > svg')].every((s) => !/NaN|Infinity|undefined/.test(s.outerHTML))")
    assert browser.js("document.querySelectorAll('.bar.off').length") == 2 * 5
    browser.open(pages["autoencoder"])
    assert not any("KL" in t for t in browser.js(titles))
    browser.open(pages["empty"])
    assert browser.js(titles) == []
    assert browser.js("[...document.querySelectorAll('main section')].filter((s) => !s.hidden).map((s) => s.id)") == ["map"]


def test_charts_of_sections(browser, pages):
    """Lines with a band over a shaded ground, and dots on a diagonal; what is under the pointer is named."""
    browser.open(pages["cells"])
    drawn = "(() => { const f = [...document.querySelectorAll('#sections figure')]; return f.map((e) => ['.band', '.line', '.shade', '.cloud', '.best']" \
            ".map((s) => e.querySelectorAll('figure > svg ' + s).length)); })()"
    assert browser.js(drawn) == [[1, 2, 2, 0, 0], [0, 0, 0, 2, 1]]
    assert browser.js("document.querySelectorAll('#sections section')[1].querySelectorAll('figure').length") == 2
    keys = browser.js("[...document.querySelectorAll('#sections figure')].map((f) => [...f.querySelectorAll('.key span')].map((e) => e.textContent))")
    assert keys == [[HOSTILE, "Gata2", "in a void"], ["generated", "training"]]
    box = browser.js("(() => { const e = document.querySelector('#sections figure > svg'); e.scrollIntoView({block: 'center'});"
                     " const b = e.getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()")
    browser.mouse("mouseMoved", box[0] + 52 + (box[2] - 62) / 2, box[1] + 100)
    said = browser.js("document.querySelector('#sections figure .tip').textContent")
    assert "share of the way: 0.5" in said and f"{HOSTILE}: 2.909 (2.409 to 3.409)" in said and "Gata2: 2.409" in said


def test_legend_highlights(browser, pages):
    browser.open(pages["cells"])
    counts = browser.js("[...document.querySelectorAll('.entry .count')].map((e) => parseInt(e.textContent.replace(',', '')))")
    assert sum(counts) == 3000
    before = browser.js("document.querySelector('canvas').toDataURL()")
    browser.click(".entry")
    assert browser.js("document.querySelector('.entry').getAttribute('aria-pressed')") == "true"
    assert browser.js("document.querySelector('canvas').toDataURL()") != before
    browser.click(".legend-head button")
    assert browser.js("document.querySelector('.entry').getAttribute('aria-pressed')") == "false"
    browser.mouse("mouseMoved", 1, 1)
    assert browser.js("document.querySelector('canvas').toDataURL()") == before


def test_counts_are_of_all_cells(browser, pages):
    """Above 100,000 cells not all are drawn, but all are counted, and the page says so."""
    assert pages["many"].stat().st_size < 6e6
    browser.open(pages["many"])
    counts = browser.js("[...document.querySelectorAll('.entry .count')].map((e) => parseInt(e.textContent.replace(',', '')))")
    assert sum(counts) == 120000
    assert "100,000 cells, evenly taken from 120,000" in browser.js("document.querySelector('.legend').textContent")


def test_zoom_and_hover(browser, pages):
    browser.open(pages["cells"])
    drawn = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(document.querySelector('canvas').toDataURL()))))"
    whole = browser.js(drawn)
    x, y = browser.js("(() => { document.querySelector('canvas').scrollIntoView({block: 'center'});"
                      " const b = document.querySelector('canvas').getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()")
    browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-50)
    assert browser.js(drawn) == whole, "the wheel zooms before the map was clicked"
    browser.click("canvas")
    for _ in range(4):
        browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-100)
    near = browser.js(drawn)
    assert near != whole
    browser.mouse("mousePressed", x, y, button="left", clickCount=1)
    browser.mouse("mouseMoved", x + 60, y + 30, button="left", buttons=1)
    browser.mouse("mouseReleased", x + 60, y + 30, button="left", clickCount=1)
    assert browser.js(drawn) != near
    browser.click("#zoom-reset")
    assert browser.js(drawn) == whole
    shown = set()
    box = browser.js("(() => { const b = document.querySelector('canvas').getBoundingClientRect(); return [b.x, b.y, b.width, b.height]; })()")
    for k in range(60):
        browser.mouse("mouseMoved", box[0] + box[2] * (k + 0.5) / 60, box[1] + box[3] * 0.3)
        shown.add(browser.js("(() => { const t = document.querySelector('.frame .tip'); return t.hidden ? '' : t.textContent; })()"))
    assert "" in shown and any(re.fullmatch(r"leiden: \d+", t) for t in shown), shown
    assert browser.js("document.documentElement.dataset.error") is None


def test_structure(browser, pages):
    """Headings in order, labelled controls, real tables."""
    browser.open(pages["cells"])
    levels = browser.js("[...document.querySelectorAll('h1, h2, h3, h4')].map((h) => Number(h.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(levels, levels[1:]))
    assert browser.js("[...document.querySelectorAll('select, button')].every((e) => e.labels.length || e.textContent.trim() || e.ariaLabel)")
    assert browser.js("[...document.querySelectorAll('figure > svg, canvas')].every((e) => e.getAttribute('aria-label').length > 20)")
    assert browser.js("document.querySelectorAll('table').length") == 2
    assert browser.js("document.querySelector('optgroup').label") == "Clusters"


def inflated(pdf):
    """The streams of a PDF that are text once they are unpacked."""
    for part in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.S):
        try:
            text = zlib.decompress(part)
        except zlib.error:
            continue
        if len(text) < 1e6:
            yield text


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_print(browser, pages, dark, tmp_path):
    """The same paper from a light and a dark screen: pages of A4 with the map as a picture, and the screen as it was after."""
    browser.open(pages["cells"], dark=dark)
    before = browser.js("document.querySelector('canvas').toDataURL()")
    pdf = browser.print(tmp_path / "report.pdf")
    n_pages = len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))
    assert 3 <= n_pages <= 6
    width = max(int(w) for w in re.findall(rb"/Subtype\s*/Image\s.*?/Width (\d+)", pdf, re.S))
    assert width > 1500, "the map is not drawn sharp enough for paper"
    content = b"".join(inflated(pdf))
    assert b".149 .1922 .2275 rg" in content, "the ink of the light page"
    assert b".902 .8902 .8471 rg" not in content, "the ink of the dark page"
    assert browser.js("document.querySelector('canvas').toDataURL()") == before
