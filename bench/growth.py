"""How time grows with genes, batch size and cells: growth.py PROGRAM OUT.png [CELLS.h5ad ...]. Needs matplotlib.

Seconds of a training step on made-up cells (`isolario bench step`), and of an epoch on files of different sizes (bench/atlas.py makes them).
Each point is the least of three runs; the line through a panel's points is proportional to the axis. Prints the points.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

REPEATS, THREADS = 3, "2"


def step_ms(program, **options):
    words = [str(w) for k, v in options.items() for w in (f"--{k.replace('_', '-')}", v)]
    out = subprocess.run([program, "bench", "step", "--quiet", "--threads", THREADS, *words], check=True, capture_output=True, text=True).stdout
    return next(float(line.split("\t")[1]) for line in out.splitlines() if line.startswith("step\t"))


def epoch_s(program, path):
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        subprocess.run([program, "fit", path, "-o", run, "--no-map", "--max-epochs", "1", "--n-samples", "0", "--quiet", "--threads", THREADS],
                       check=True, capture_output=True)
        header, row = [line.split("\t") for line in (run / "log.txt").read_text().splitlines() if not line.startswith("#")][-2:]
        cells = int((run / "log.txt").read_text().split(" cells")[0].split()[-1].replace(",", ""))
        return cells, float(row[header.index("seconds")])


def panel(axis, x, y, xlabel, ylabel, title):
    axis.loglog(x, y, "o", color="#0b5a8a")
    k = y[-1] / x[-1]
    axis.loglog(x, [k * v for v in x], "--", color="#999", linewidth=1, label="proportional")
    axis.set(xlabel=xlabel, ylabel=ylabel, title=title)
    axis.legend(frameon=False)
    print(title, *(f"{a}:{b:.4g}" for a, b in zip(x, y)))


def main():
    program, out, files = sys.argv[1], sys.argv[2], sys.argv[3:]
    figure, axes = plt.subplots(1, 3 if files else 2, figsize=(13 if files else 9, 3.6), layout="constrained")
    genes, batches = [500, 1000, 2000, 5000, 10000, 20000], [32, 64, 128, 256, 512, 1024]
    best = lambda f: min(f() for _ in range(REPEATS))  # noqa: E731
    panel(axes[0], genes, [best(lambda g=g: step_ms(program, n_genes=g)) for g in genes], "genes", "ms a step", "genes (128 cells a step)")
    panel(axes[1], batches, [best(lambda b=b: step_ms(program, batch_size=b)) for b in batches], "cells a step", "ms a step",
          "batch size (2,000 genes)")
    if files:
        points = sorted(min((epoch_s(program, f) for _ in range(REPEATS)), key=lambda p: p[1]) for f in files)
        panel(axes[2], [p[0] for p in points], [p[1] for p in points], "cells", "s an epoch", "cells (2,000 genes, from a file)")
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    main()
