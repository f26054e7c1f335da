#!/usr/bin/env python3
"""Makes the pictures of the documentation from a demo: scripts/pictures.py demo docs/img [isolario]. Needs chromium; with the program's
path, also those of the explorer."""
import base64
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "py"))
from browser import Browser  # noqa: E402

MARGIN, WIDTH = 12, 1120
GENE = "optgroup[label*=ene] option"          # the first gene of the report
# Picture, colouring (None: as the report opens; or a selector), first and last element.
PICTURES = [
    ("report.png", None, "header", "#map"),
    ("map-leiden.png", "optgroup[label*=luster] option", "#map", "#map"),
    ("map-gene.png", GENE, "#map", "#map"),
    ("training.png", None, "#training", "#training"),
    ("latent.png", None, "#latent", "#latent"),
    ("data.png", None, "#data-picture", "#data-picture"),
]


def box(browser, first, last):
    top, bottom = browser.js(f"[document.querySelector('{first}').getBoundingClientRect().top + scrollY, "
                             f"document.querySelector('{last}').getBoundingClientRect().bottom + scrollY]")
    return {"x": 0, "y": max(0, top - MARGIN), "width": WIDTH, "height": bottom - top + 2 * MARGIN, "scale": 1}


def choose(browser, selector):
    name = browser.js("(() => { const s = document.querySelector('#color'), o = s.querySelector('%s');"
                      " if (!o) return null; s.value = o.value; s.dispatchEvent(new Event('change')); return o.textContent; })()" % selector)
    if not name:
        sys.exit(f"the report has no colouring {selector}")
    print(f"coloured by {name}:", end=" ")


# Pictures of the explorer: name, what is done on the page first, what to wait for.
EXPLORER = [
    ("explorer.png", "null", "document.documentElement.dataset.ready === '1'"),
    ("explorer-place.png", "isolario.app.visitOrigin(), null", "document.querySelector('#panel-place .verdict')"),
    ("explorer-path.png", "isolario.app.openTab('path'), pick('path-from', '7MEP'), pick('path-to', '1Ery'), document.querySelector('#draw-path').click()",
     "document.querySelector('#path-verdict')"),
]
PICK = "window.pick = (id, name) => { const s = document.getElementById(id); s.value = [...s.options].find((o) => o.text === name).value; s.dispatchEvent(new Event('change')); }"


def wait(browser, what):
    end = time.monotonic() + 20
    while not browser.js(f"Boolean({what})"):
        if time.monotonic() > end:
            sys.exit(f"the page never came to: {what}")
        time.sleep(0.05)
    time.sleep(0.5)


def picture_explorer(browser, program, demo, out):
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "map.html"
        subprocess.run([program, "explore", demo, "-o", page, "-q"], check=True)
        for name, act, until in EXPLORER:
            browser.open(page, width=1180, height=760)
            wait(browser, "document.documentElement.dataset.ready === '1'")
            browser.js(PICK)
            browser.js(act)
            wait(browser, until)
            browser.picture(out / name, whole=False)
            print(out / name)


def main():
    demo, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    with Browser() as browser:
        for picture, color, first, last in PICTURES:
            browser.open(demo / "report.html", width=WIDTH, height=1400)
            if color:
                choose(browser, color)
            data = browser.call("Page.captureScreenshot", clip=box(browser, first, last), captureBeyondViewport=True)["data"]
            (out / picture).write_bytes(base64.b64decode(data))
            print(out / picture)
        if len(sys.argv) > 3:
            picture_explorer(browser, sys.argv[3], demo, out)


main()
