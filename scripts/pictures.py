#!/usr/bin/env python3
"""Makes the pictures of the documentation from a demo: scripts/pictures.py demo docs/img. Needs chromium."""
import base64
import sys
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
