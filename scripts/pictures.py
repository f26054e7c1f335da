#!/usr/bin/env python3
"""Makes the pictures of the documentation from a demo: scripts/pictures.py demo docs/img. Needs chromium."""
import base64
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "py"))
from browser import Browser  # noqa: E402

MARGIN, WIDTH = 12, 1120
# Picture, colouring (None: as the report opens), first and last element.
PICTURES = [
    ("report.png", None, "header", "#map"),
    ("map-leiden.png", "leiden", "#map", "#map"),
    ("map-gene.png", "Car1", "#map", "#map"),
    ("training.png", None, "#training", "#training"),
    ("latent.png", None, "#latent", "#latent"),
    ("data.png", None, "#data-picture", "#data-picture"),
]


def box(browser, first, last):
    top, bottom = browser.js(f"[document.querySelector('{first}').getBoundingClientRect().top + scrollY, "
                             f"document.querySelector('{last}').getBoundingClientRect().bottom + scrollY]")
    return {"x": 0, "y": max(0, top - MARGIN), "width": WIDTH, "height": bottom - top + 2 * MARGIN, "scale": 1}


def choose(browser, name):
    found = browser.js("(() => { const s = document.querySelector('#color'); const o = [...s.options].find(o => o.textContent === '%s');"
                       " if (!o) return false; s.value = o.value; s.dispatchEvent(new Event('change')); return true; })()" % name)
    if not found:
        sys.exit(f"the report cannot be coloured by {name}")


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


main()
