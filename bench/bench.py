"""Isolario and scvi-tools side by side; bench/run.sh calls it. Each part writes bench/out/PART.json; all of them make bench/out/table.md.

Runs alternate, so that a slow minute of the machine hits both. Figures are medians; ratios are of medians of one run.
A part is a function of the settings and a file that returns rows of the table and what they were made from.
"""
import argparse
import datetime
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import h5py

from programs import alternate, fit, median, python, run, scvi_fit

HERE = Path(__file__).resolve().parent
MIB = 2**20
SCVI = ["--preset", "scvi", "--validation-fraction", 0]     # scvi-tools' architecture, optimiser and schedule


def row(what, ours, theirs="", ratio=None):
    return [what, ours, theirs, "" if ratio is None else f"{ratio:.2f} x" if ratio < 5 else f"{ratio:.1f} x"]


def precision(name):
    """Options that ask for a precision; none for the default, which programs without the option have too."""
    return [] if name == "float32" else ["--precision", name]


def step_rows(s, path, likelihood, batch):
    """Steps a second with the same architecture, batch size and optimiser."""
    def ours(name):
        return lambda k: fit(s, path, *SCVI, "--likelihood", likelihood, "--batch-size", batch, "--max-epochs", s.epochs, "--no-map", "--n-samples", 0,
                             "--seed", k, *precision(name))

    runs = alternate(s.repeats, **{name: ours(name) for name in s.precisions},
                     scvi=lambda k: scvi_fit(s, path, likelihood=likelihood, batch_size=batch, epochs=s.epochs, seed=k))
    theirs = median(runs["scvi"], "steps_per_s")
    rates = {name: median(runs[name], "steps_per_s") for name in s.precisions}
    what = f"{path.name}, {likelihood}, {batch} cells a step"
    return [row(f"{what}, {name}: steps a second", f"{r:.1f} ({1000 / r:.1f} ms)", f"{theirs:.1f} ({1000 / theirs:.1f} ms)", r / theirs)
            for name, r in rates.items()], runs


def steps(s, path):
    parts = [step_rows(s, path, likelihood, 128) for likelihood in s.likelihoods or ("zinb", "nb")]
    return [r for rows, _ in parts for r in rows], [runs for _, runs in parts]


def genes20k(s, path):
    parts = [step_rows(s, path, "zinb", batch) for batch in (128, 512)]
    return [r for rows, _ in parts for r in rows], [runs for _, runs in parts]


def quality(s, path):
    """scvi-tools at its defaults; Isolario at its defaults, with as few epochs as reach the same held-out -ELBO (without the map, which
    scvi-tools does not make either), and on scvi-tools' schedule at each precision."""
    rows, kept = [], {}
    for likelihood in s.likelihoods or ("nb",):
        law = ["--likelihood", likelihood, "--n-samples", 0]
        theirs = scvi_fit(s, path, likelihood=likelihood, epochs=s.full_epochs, elbo_draws=5)
        target, wall = theirs["neg_elbo"], theirs["wall_s"]
        what = f"{path.name}, {likelihood}"
        beside = f"{wall:.1f} s, -ELBO {target:.2f} ({theirs['epochs']} epochs)"
        ways = {"defaults, with map": []}
        ways |= {f"scvi-tools' schedule, {name}": [*SCVI, "--no-map", "--max-epochs", s.full_epochs, *precision(name)] for name in s.precisions}
        found = {way: [fit(s, path, *law, *options)] for way, options in ways.items()}
        for epochs in (15, 20, 25, 30, 35, 40, 50, 75, 100, 150, 200):
            some = [fit(s, path, *law, "--max-epochs", epochs, "--no-map", "--seed", k) for k in range(s.repeats)]
            if median(some, "neg_elbo") <= target:
                found["to scvi-tools' final -ELBO"] = some
                break
        for way, runs in found.items():
            t = median(runs, "wall_s")
            rows.append(row(f"{what}: whole command, {way}", f"{t:.1f} s, -ELBO {median(runs, 'neg_elbo'):.2f} ({runs[0]['epochs']} epochs)", beside, wall / t))
        kept[likelihood] = {"scvi": theirs, **found}
    return rows, kept


def first_cells(path, n, out):
    """The first n cells of a file whose X is CSR, as a file of the same layout."""
    with h5py.File(path) as a, h5py.File(out, "w") as b:
        n = min(n, len(a["X/indptr"]) - 1)
        end = int(a["X/indptr"][n])
        b.attrs.update(a.attrs)
        a.copy("var", b)
        obs = b.create_group("obs")
        obs.attrs.update({"encoding-type": "dataframe", "encoding-version": "0.2.0", "_index": "_index"})
        obs.attrs["column-order"] = []
        obs["_index"] = a["obs"][a["obs"].attrs["_index"]][:n]
        obs["_index"].attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
        x = b.create_group("X")
        x.attrs.update({**a["X"].attrs, "shape": (n, a["X"].attrs["shape"][1])})
        x["indptr"] = a["X/indptr"][:n + 1]
        for name in ("data", "indices"):
            x.create_dataset(name, data=a["X"][name][:end], chunks=(min(1 << 18, end),))
    return n


def encode(s, path):
    """Means and variances of all cells of a file, and of its first 100,000, which is what scvi-tools gets."""
    some = s.work / "first.h5ad"
    n_all, n_some = read_shape(path)[0], first_cells(path, s.encode_cells, some)
    model = s.work / "encoder"
    run([s.program, "fit", some, "-o", model, "--force", "--quiet", "--no-map", "--max-epochs", 1, "--n-samples", 0, "--threads", s.threads])

    def ours(cells):
        return lambda k: run([s.program, "embed", model, cells, "-o", s.work / "latent.h5ad", "--force", "--quiet", "--threads", s.threads])

    read = [sys.executable, "-c", "import h5py, sys; f = h5py.File(sys.argv[1]); [f['X'][k][()] for k in ('data', 'indices')]", path]
    few = min(s.repeats, 3)
    runs = alternate(few, some=ours(some), scvi=lambda k: python(s, "scvi_encode.py", some), all=ours(path), read=lambda k: run(read))
    rate = {name: n / median(runs[name], "wall_s") for name, n in (("some", n_some), ("scvi", n_some), ("all", n_all), ("read", n_all))}
    alone = n_some / median(runs["scvi"], "encode_s")
    return [row(f"{path.name}: means and variances of {n_all:,} cells, whole command; scvi-tools: of {n_some:,}, import and loading not counted",
                f"{rate['all']:,.0f} cells/s", f"{alone:,.0f} cells/s", rate["all"] / alone),
            row("the same, scvi-tools' import and loading counted", f"{rate['all']:,.0f} cells/s", f"{rate['scvi']:,.0f} cells/s", rate["all"] / rate["scvi"]),
            row(f"{n_some:,} cells, import and loading counted", f"{rate['some']:,.0f} cells/s", f"{rate['scvi']:,.0f} cells/s", rate["some"] / rate["scvi"]),
            row("reading the file alone (h5py, counts and columns)", f"{rate['read']:,.0f} cells/s")], runs


def threads(s, path):
    """A training step with 1 and 2 threads, and whether a model trained with either is the same."""
    rows, kept = [], {}
    for likelihood in s.likelihoods or ("zinb", "nb"):
        def step(n):
            def once(_):
                out = run([s.program, "bench", "step", path, "--preset", "scvi", "--likelihood", likelihood, "--quiet", "--threads", n])["out"]
                return {"step_ms": float(re.search(r"^step\t([\d.]+)", out, re.M)[1])}
            return once

        runs = alternate(s.repeats, one=step(1), two=step(2))
        one, two = median(runs["one"], "step_ms"), median(runs["two"], "step_ms")
        rows.append(row(f"{path.name}, {likelihood}: a step with 2 threads, and with 1", f"{two:.2f} ms", f"{one:.2f} ms (Isolario)", one / two))
        kept[likelihood] = runs
    weights = []
    for n in (1, 2):
        fit(s, path, "--max-epochs", 2, "--no-map", "--n-samples", 0, threads=n)
        model = (s.work / "run" / "model.safetensors").read_bytes()
        weights.append(model[8 + int.from_bytes(model[:8], "little"):])      # what follows the header, which holds the command
    rows.append(row(f"{path.name}: the same bits with 1 and 2 threads", "yes" if weights[0] == weights[1] else "NO"))
    return rows, kept


def read_shape(path):
    """Cells, and MiB of the counts as CSR: a column and a count an entry, a start a cell."""
    with h5py.File(path) as f:
        if not isinstance(f["X"], h5py.Group):
            sys.exit(f"bench: {path}: X is a dense matrix; a sparse one (CSR) is wanted")
        return len(f["X/indptr"]) - 1, (f["X/data"].size * 8 + f["X/indptr"].size * 8) / MIB


def memory(s, path):
    csr = read_shape(path)[1]
    ours = run([s.program, "fit", path, "-o", s.work / "run", "--force", "--quiet", "--max-epochs", 2, "--threads", s.threads])["peak_mib"]
    theirs = scvi_fit(s, path, epochs=2)["peak_mib"]
    return [row(f"{path.name}: peak memory of `fit` (its counts: {csr:.0f} MiB)", f"{ours:.0f} MiB", f"{theirs:.0f} MiB", theirs / ours)], {}


def streaming(s, path):
    """An epoch of a large file in memory and with --memory: speed, peak, and the same held-out ELBO."""
    common = ["--no-map", "--n-samples", 0, "--max-epochs", 1]
    runs = alternate(1, memory=lambda k: fit(s, path, *common), streamed=lambda k: fit(s, path, *common, "--memory", "512M"))
    a, b = runs["memory"][0], runs["streamed"][0]
    csr = read_shape(path)[1]
    same = "the same bits" if a["neg_elbo"] == b["neg_elbo"] else f"ANOTHER -ELBO: {a['neg_elbo']} and {b['neg_elbo']}"
    return [row(f"{path.name}: an epoch of {a['n_train']:,} cells, in memory", f"{a['epoch_s']:.1f} s, peak {a['peak_mib']:.0f} MiB: the counts' {csr:.0f} and "
                f"{a['peak_mib'] - csr:.0f}"),
            row("the same, `--memory 512M`", f"{b['epoch_s']:.1f} s ({a['epoch_s'] / b['epoch_s']:.0%} of the speed), peak {b['peak_mib']:.0f} MiB, {same}")], runs


def start(s, path):
    """Commands on nothing, on a model, and on 100 cells."""
    some, model = s.work / "100.h5ad", s.work / "run"
    run([sys.executable, HERE / "subset.py", path, some, 100])
    fit_some = [s.program, "fit", some, "-o", model, "--force", "--quiet", "--threads", s.threads]
    run(fit_some)
    commands = {"`isolario --version`": ([s.program, "--version"], 51), "`isolario info` of a model": ([s.program, "info", model / "model.safetensors", "--quiet"], 51),
                f"`isolario fit` of 100 cells of {path.name}, map and report included": (fit_some, s.repeats)}
    theirs = statistics.median(run([sys.executable, "-c", "import scvi"])["wall_s"] for _ in range(min(s.repeats, 3)))
    rows, kept = [], {}
    for name, (command, n) in commands.items():
        kept[name] = [run(command)["wall_s"] for _ in range(n)]
        t = statistics.median(kept[name])
        rows.append(row(name, f"{1000 * t:.1f} ms", *((f"{1000 * theirs:.0f} ms (`import scvi`)", theirs / t) if not rows else ())))
    return rows, kept


def folder_mib(path):
    return sum(f.stat().st_size for f in Path(path).rglob("*") if f.is_file() and not f.is_symlink()) / MIB


def size(s, _):
    """The installed program with every shared library that it needs but those of the C library."""
    run(["cmake", "--install", Path(s.program).resolve().parent, "--prefix", s.work / "prefix"])
    own = folder_mib(s.work / "prefix")
    system = re.compile(r"/(libc|libm|libpthread|libdl|ld-linux[^/]*|libgcc_s|libstdc\+\+)\.so")
    libraries = {p for p in re.findall(r"=> (/\S+)", run(["ldd", s.program])["out"]) if not system.search(p)}
    shared = sum(Path(p).resolve().stat().st_size for p in libraries) / MIB
    theirs = folder_mib(sys.prefix)
    return [row("installed size", f"{own:.1f} MiB, and {shared:.0f} MiB of shared libraries", f"{theirs:.0f} MiB", theirs / (own + shared))], {}


Part = namedtuple("Part", "measure files")      # files: the option that names them; None: it needs none
PARTS = {"steps": Part(steps, "cells"), "genes20k": Part(genes20k, "genes20k"), "quality": Part(quality, "cells"), "encode": Part(encode, "atlas"),
         "threads": Part(threads, "cells"), "memory": Part(memory, "cells"), "streaming": Part(streaming, "atlas"), "start": Part(start, "cells"),
         "size": Part(size, None)}


def machine(program):
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    isa = re.search(r"instruction set: (\S+)", run([program, "--version"])["out"])
    return f"{model[1] if model else platform.machine()} ({isa[1] if isa else 'unknown instruction set'}), {os.cpu_count()} CPUs"


def write_table(out):
    """Makes table.md of all parts that were measured, also on other days."""
    lines = ["| what | Isolario | scvi-tools | ratio |", "|---|---|---|---|"]
    about = set()
    for name in PARTS:
        file = out / f"{name}.json"
        for entry in json.loads(file.read_text()).values() if file.exists() else ():
            about.add(entry["about"])
            lines += ["| " + " | ".join(r) + " |" for r in entry["rows"]]
    text = "\n\n".join(sorted(about)) + "\n\n" + "\n".join(lines) + "\n"
    (out / "table.md").write_text(text)
    return text


def arguments():
    parser = argparse.ArgumentParser(prog="bench/run.sh", description="Isolario and scvi-tools side by side; see bench/README.md")
    parser.add_argument("--program", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--only", metavar="PARTS", help=f"parts to measure, separated by commas: {', '.join(PARTS)}")
    parser.add_argument("--genes20k", type=Path, metavar="CELLS.h5ad", help="cells with 20,000 genes")
    parser.add_argument("--atlas", type=Path, metavar="CELLS.h5ad", help="a million cells, X as CSR, and split")
    parser.add_argument("--likelihoods", type=lambda w: w.split(","), help="default: zinb and nb; for quality: nb")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=6, help="of a run that measures steps")
    parser.add_argument("--quick", action="store_true", help="one short run of everything, to see that it works")
    parser.add_argument("cells", nargs="*", type=Path, default=[HERE.parent / "data" / "paul15.h5ad"], help="with an obs column split")
    s = parser.parse_args()
    s.full_epochs, s.encode_cells, s.out = 0, 100000, HERE / "out"
    if s.quick:
        s.repeats, s.epochs, s.full_epochs, s.encode_cells, s.out = 1, 2, 5, 1000, s.out / "quick"
    s.only = s.only.split(",") if s.only else [n for n, p in PARTS.items() if not p.files or getattr(s, p.files)]
    for name in s.only:
        if name not in PARTS:
            parser.error(f"no part is called {name}; parts: {', '.join(PARTS)}")
        if PARTS[name].files and not getattr(s, PARTS[name].files):
            parser.error(f"{name} needs --{PARTS[name].files} CELLS.h5ad (bench/README.md says how to make it)")
    return s


def main():
    s = arguments()
    s.work = s.out / "runs"
    shutil.rmtree(s.work, ignore_errors=True)
    s.work.mkdir(parents=True)
    help_text = subprocess.run([s.program, "fit", "--help"], capture_output=True, text=True, check=True).stdout
    s.precisions = ["float32", "bf16"] if "--precision" in help_text else ["float32"]
    about = f"{machine(s.program)}; {s.threads} threads; {datetime.date.today()}; medians of {s.repeats} alternating runs."
    for name in s.only:
        part = PARTS[name]
        files = getattr(s, part.files) if part.files else [None]
        for path in files if isinstance(files, list) else [files]:
            print(f"bench: {name} {path.name if path else ''}", file=sys.stderr)
            rows, runs = part.measure(s, path)
            file = s.out / f"{name}.json"
            entries = json.loads(file.read_text()) if file.exists() else {}
            entries[path.name if path else ""] = {"about": about, "rows": rows, "runs": runs}
            file.write_text(json.dumps(entries, indent=1))
            text = write_table(s.out)
    shutil.rmtree(s.work)
    print(text)


if __name__ == "__main__":
    main()
