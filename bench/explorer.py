"""The explorer's page with many cells, in a headless chromium that draws in software: explorer.py PROGRAM CELLS.h5ad ATLAS.h5ad.

ATLAS.h5ad was made of CELLS.h5ad by bench/atlas.py; its cells lie where the cells that they come from lie in a run on CELLS.h5ad, with normal
noise of 0.1. That spares a fit of all. Prints milliseconds: a frame of a pan and of a zoom (120 frames each), from the end of a move until all cells are
drawn, and from the choice of a gene until its colours are handed to the graphics card and until all cells have them (the least of 4 genes). Needs playwright.
"""
import functools
import http.server
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import anndata
import numpy as np
from playwright import sync_api

FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
MEASURE = """async () => {
  const picture = isolario.app.picture, { painter, view } = picture, tick = () => new Promise(requestAnimationFrame), out = {};
  const rest = async () => { const since = performance.now(); while (!painter.finished) await tick(); return Math.round(performance.now() - since); };
  const move = async (act) => {
    const took = []; let last = await tick();
    for (let i = 0; i < 120; i++) { act(i); picture.changed(); const now = await tick(); took.push(Math.round(now - last)); last = now; }
    took.sort((a, b) => a - b);
    return `median ${took[60]}, 95th percentile ${took[114]}, at rest after ${await rest()}`;
  };
  await rest();
  out.load = document.documentElement.dataset.loaded;
  out.pan = await move((i) => view.pan(i % 60 < 30 ? 5 : -5, 3));
  out.zoom = await move((i) => view.zoomAt(400, 300, i < 60 ? 1.03 : 1 / 1.03));
  for (const kind of ["observed", "decoded"]) {
    isolario.app.legend.kind.value = kind;
    const took = [];
    for (const gene of [10, 11, 12, 13]) {
      const since = performance.now();
      await isolario.app.colorByGene(gene);
      const colored = Math.round(performance.now() - since);
      await rest();
      took.push([colored, Math.round(performance.now() - since)]);
    }
    out["gene, " + kind] = took.map((t) => t.join(" / ")).join(", ");
  }
  return out; }"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def make_run(program, source, atlas, folder):
    """A run whose cells are those of the atlas."""
    subprocess.run([program, "fit", source, "-o", folder, "--max-epochs", "40", "--quiet"], check=True)
    parents = anndata.read_h5ad(atlas, backed="r").obs["parent"].to_numpy()
    cells = anndata.read_h5ad(folder / "latent.h5ad")
    rng = np.random.default_rng(0)
    many = anndata.AnnData(obs=cells.obs.iloc[parents].set_axis([f"c{k}" for k in range(len(parents))]))
    for key in cells.obsm:
        noise = 0 if "var" in key else rng.normal(0, 0.1, (len(parents), cells.obsm[key].shape[1]))
        many.obsm[key] = (np.asarray(cells.obsm[key])[parents] + noise).astype("f4")
    many.write_h5ad(folder / "latent.h5ad")


def measure(folder):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_api.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
        page.wait_for_selector("html[data-ready='1']", state="attached", timeout=300000)
        for name, value in page.evaluate(MEASURE).items():
            print(f"{name}: {value}")
        browser.close()
    server.shutdown()


def main():
    program, source, atlas = sys.argv[1:4]
    with tempfile.TemporaryDirectory() as scratch:
        run, page = Path(scratch) / "run", Path(scratch) / "map"
        make_run(program, source, atlas, run)
        subprocess.run([program, "explore", run, atlas, "-o", page, "--quiet"], check=True)
        measure(page)


if __name__ == "__main__":
    main()
