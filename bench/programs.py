"""How bench.py runs the programs it compares, and what it reads of each run."""
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def run(command, **more):
    """A command's standard output, wall seconds, processor seconds, and peak MiB; ends the benchmark if it fails."""
    command = [str(c) for c in command]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=out, stderr=err, **more)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if child.returncode:
            sys.exit(f"bench: {' '.join(command)}: exit {child.returncode}\n{err.read()[-2000:]}")
        return {"out": out.read(), "wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_mib": usage.ru_maxrss / 1024}


def fit(s, path, *options, threads=None):
    """One `isolario fit` of settings s: what run() says, the median seconds of an epoch's steps, and what run.json holds."""
    folder = s.work / "run"
    command = [s.program, "fit", path, "-o", folder, "--force", "--quiet", "--split-key", "split", "--threads", threads or s.threads, *options]
    about = run(command)
    del about["out"]
    report = json.loads((folder / "run.json").read_text())
    rows = csv.DictReader((line for line in open(folder / "log.txt") if not line.startswith("#")), delimiter="\t")
    epochs = [float(row["seconds"]) for row in rows]
    cells = report["training"]["n_train"]
    neg_elbo = report["training"]["test_elbo"]
    return {**about, "epoch_s": statistics.median(epochs[1:] or epochs), "epochs": len(epochs), "n_train": cells,
            "neg_elbo": None if neg_elbo is None else -neg_elbo, "train_s": report["seconds"]["train"],
            "steps_per_s": -(-cells // report["options"]["batch_size"]) / statistics.median(epochs[1:] or epochs)}


def python(s, script, *options):
    """The JSON line that a script beside this one prints, run by this Python on the settings' threads."""
    about = run([sys.executable, HERE / script, *options, "--threads", s.threads], env={**os.environ, "OMP_NUM_THREADS": str(s.threads)})
    line = [line for line in about.pop("out").splitlines() if line.startswith("{")][-1]
    return {**about, **json.loads(line)}


def scvi_fit(s, path, **options):
    """One training by scvi-tools; options are those of scvi_run.py."""
    return python(s, "scvi_run.py", path, *(w for k, v in options.items() for w in (f"--{k.replace('_', '-')}", v)))


def alternate(repeats, **ways):
    """Runs each way, a function of the repetition's number, once a turn, so that a slow minute hits all: name -> what each run gave."""
    runs = {name: [] for name in ways}
    for k in range(repeats):
        for name, way in ways.items():
            runs[name].append(way(k))
    return runs


def median(runs, key):
    return statistics.median(r[key] for r in runs)
