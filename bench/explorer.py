"""The explorer's page with many cells, in a headless chromium that draws in software: explorer.py CELLS.h5ad ATLAS.h5ad FOLDER PROGRAM...

ATLAS.h5ad was made of CELLS.h5ad by bench/atlas.py; its cells lie where the cells that they come from lie in a run on CELLS.h5ad, with normal
noise of 0.1. That spares a fit of all. FOLDER holds the run and a page of each PROGRAM, and is used again.
Prints milliseconds, median and 95th percentile: a frame in which nothing is drawn, one that only clears the canvas, one of a pan and of a zoom (120 each; then three
pans of 240), frames a second, late ones, and how many cells the median frame of a move had; from the end of a move until all cells are drawn; from the choice of a gene until its colours are handed to the
graphics card, and until all cells have them (of each of 4 genes). Needs playwright.
"""
import functools
import http.server
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import anndata
import numpy as np
from playwright import sync_api

FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
MEASURE = """async () => {
  const picture = isolario.app.picture, { painter, view } = picture, gl = painter.gl, tick = () => new Promise(requestAnimationFrame), out = {};
  const rest = async () => { const since = performance.now(); while (!painter.finished) await tick(); return Math.round(performance.now() - since); };
  const frames = async (act, n = 120) => {
    const took = [], cells = []; let last = await tick();
    for (let i = 0; i < n; i++) { act(i); const now = await tick(); took.push(now - last); cells.push(painter.shown); last = now; }
    const rate = (1000 * n / took.reduce((a, b) => a + b)).toFixed(1), late = took.filter((ms) => ms > 20).length;
    for (const list of [took, cells]) list.sort((a, b) => a - b);
    return [`${Math.round(took[n / 2])}, ${Math.round(took[0.95 * n])}; ${rate} frames/s, ${late} of ${n} late`, `; cells ${cells[n / 2]}`];
  };
  const move = async (act, n) => {
    const [took, cells] = await frames((i) => { act(i); picture.changed(); }, n);
    return `${took}${cells}; all after ${await rest()}`;
  };
  await rest();
  out.load = document.documentElement.dataset.loaded;
  out["nothing drawn"] = (await frames(() => {}))[0];
  out["cleared"] = (await frames(() => gl.clear(gl.COLOR_BUFFER_BIT)))[0];
  out.pan = await move((i) => view.pan(i % 60 < 30 ? 5 : -5, 3));
  out.zoom = await move((i) => view.zoomAt(400, 300, i < 60 ? 1.03 : 1 / 1.03));
  for (const k of ["first", "second", "third"]) out[`${k} long pan`] = await move((i) => view.pan(i % 60 < 30 ? 5 : -5, i % 2 ? 3 : -3), 240);
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
            print(f"    {name}: {value}", flush=True)
        browser.close()
    server.shutdown()


def main():
    source, atlas, folder, programs = sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4:]
    run, pages = folder / "run", [folder / f"map{k}" for k in range(len(programs))]
    folder.mkdir(exist_ok=True)
    if not run.exists():
        make_run(programs[0], source, atlas, run)
    for program, page in zip(programs, pages):
        if not page.exists():
            subprocess.run([program, "explore", run, atlas, "-o", page, "--quiet"], check=True)
    for program, page in zip(programs, pages):
        print(program)
        measure(page)


if __name__ == "__main__":
    main()
