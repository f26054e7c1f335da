"""Isolario and scvi-tools side by side; bench/run.sh calls it. Writes bench/out/results.json and bench/out/table.md.

Runs alternate, so that a slow minute of the machine hits both. Figures are medians; ratios are of medians of one run.
"""
import argparse
import csv
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def run(command, **more):
    """Seconds, peak MiB and standard output of a command."""
    start = time.perf_counter()
    child = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    out, err = child.communicate()
    seconds = time.perf_counter() - start
    if child.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit {child.returncode}\n{err[-2000:]}")
    return seconds, out, err


def peak_mib(command):
    """Peak resident memory of a command, by a small Python that runs nothing else."""
    code = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True);"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)")
    return float(run([sys.executable, "-c", code, *command])[1].split()[-1])


def isolario(program, path, out, threads, *options):
    """One fit: wall seconds, median seconds of an epoch's steps, and run.json."""
    command = [program, "fit", path, "-o", out, "--force", "--quiet", "--split-key", "split", "--n-samples", 0, "--threads", threads, *options]
    seconds, _, _ = run(command)
    about = json.loads((Path(out) / "run.json").read_text())
    rows = list(csv.DictReader((line for line in open(Path(out) / "log.txt") if not line.startswith("#")), delimiter="\t"))
    epochs = [float(row["seconds"]) for row in rows]
    return {"wall_s": seconds, "epoch_s": statistics.median(epochs[1:] or epochs), "epochs": len(epochs),
            "neg_elbo": -about["training"]["test_elbo"], "train_s": about["seconds"]["train"],
            "steps_per_epoch": -(-about["training"]["n_train"] // 128)}


def scvi(path, likelihood, seed, epochs, threads):
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    out = run([sys.executable, HERE / "scvi_run.py", path, likelihood, seed, epochs, threads], env=environment)[1]
    return json.loads([line for line in out.splitlines() if line.startswith("{")][-1])


def folder_mib(path):
    return sum(f.stat().st_size for f in Path(path).rglob("*") if f.is_file() and not f.is_symlink()) / 2**20


def install_mib(program):
    """The installed program with every shared library that it needs but those of the C library."""
    with tempfile.TemporaryDirectory() as prefix:
        run(["cmake", "--install", Path(program).resolve().parent, "--prefix", prefix])
        own = folder_mib(prefix)
    libraries = set(re.findall(r"=> (/\S+)", run(["ldd", program])[1]))
    system = re.compile(r"/(libc|libm|libpthread|libdl|ld-linux[^/]*|libgcc_s|libstdc\+\+)\.so")
    return own, sum(Path(p).resolve().stat().st_size for p in libraries if not system.search(p)) / 2**20


def median_of(values):
    return statistics.median(values)


def speed(program, path, likelihood, threads, repeats, epochs, work):
    """Steps a second with the same architecture, batch size and optimiser; runs alternate."""
    ours, theirs = [], []
    for k in range(repeats):
        a = isolario(program, path, work / "speed", threads, "--preset", "scvi", "--likelihood", likelihood, "--max-epochs", epochs,
                     "--validation-fraction", "0", "--seed", k)
        b = scvi(path, likelihood, k, epochs, threads)
        ours.append(a["steps_per_epoch"] / a["epoch_s"])
        theirs.append(b["steps_per_epoch"] / b["epoch_s"])
    return {"isolario": median_of(ours), "scvi": median_of(theirs), "runs": [ours, theirs]}


def time_to_quality(program, path, likelihood, threads, full, work):
    """scvi-tools at its defaults; Isolario at its defaults, and with as few epochs as reach the same held-out ELBO, without the map,
    which scvi-tools does not make either."""
    target = scvi(path, likelihood, 0, 0 if full else 25, threads)
    default = isolario(program, path, work / "default", threads, "--likelihood", likelihood)
    reached = None
    for epochs in (20, 25, 30, 35, 40, 50, 75, 100, 150, 200) if full else (5,):
        some = isolario(program, path, work / "some", threads, "--likelihood", likelihood, "--max-epochs", epochs, "--no-map")
        if some["neg_elbo"] <= target["neg_elbo"]:
            reached = some
            break
    return {"scvi": target, "default": default, "reached": reached}


def table(results):
    r = results
    lines = [f"{r['machine']}; {r['threads']} threads; scvi-tools {r['scvi_version']}; medians of {r['repeats']} alternating runs.", "",
             "| what | Isolario | scvi-tools | ratio |", "|---|---|---|---|"]
    for name, d in r["files"].items():
        for law, s in d["speed"].items():
            lines.append(f"| {name}, {law}: training steps a second (128 cells) | {s['isolario']:.1f} | {s['scvi']:.1f} | {s['isolario'] / s['scvi']:.1f} x |")
        for law, q in d["quality"].items():
            a, b, c = q["default"], q["scvi"], q["reached"]
            lines.append(f"| {name}, {law}: whole command at defaults | {a['wall_s']:.1f} s, -ELBO {a['neg_elbo']:.2f} | {b['wall_s']:.1f} s, "
                         f"-ELBO {b['neg_elbo']:.2f} | {b['wall_s'] / a['wall_s']:.1f} x |")
            if c:
                lines.append(f"| {name}, {law}: time to scvi-tools' final -ELBO | {c['wall_s']:.1f} s ({c['epochs']} epochs, {c['neg_elbo']:.2f}) | "
                             f"{b['wall_s']:.1f} s | {b['wall_s'] / c['wall_s']:.1f} x |")
        m = d["memory"]
        lines.append(f"| {name}: peak memory | {m['isolario']:.0f} MiB | {m['scvi']:.0f} MiB | {m['scvi'] / m['isolario']:.1f} x |")
    i, s = r["install"], r["start"]
    lines.append(f"| installed size | {i['own']:.1f} MiB, and {i['libraries']:.0f} MiB of shared libraries | {i['scvi']:.0f} MiB | {i['scvi'] / (i['own'] + i['libraries']):.0f} x |")
    lines.append(f"| start-up (`--version` / `import scvi`) | {1000 * s['isolario']:.1f} ms | {1000 * s['scvi']:.0f} ms | {s['scvi'] / s['isolario']:.0f} x |")
    return "\n".join(lines) + "\n"


def machine():
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return f"{model[1] if model else platform.machine()}, {os.cpu_count()} CPUs"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("files", nargs="*", type=Path, default=[ROOT / "data" / "paul15.h5ad"])
    a = parser.parse_args()
    repeats, epochs = (1, 2) if a.check else (a.repeats, 6)
    out = HERE / "out"
    work = out / "runs"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    results = {"machine": machine(), "threads": a.threads, "repeats": repeats, "files": {}}
    for path in a.files:
        d = results["files"][path.name] = {"speed": {}, "quality": {}}
        for law in ("zinb", "nb"):
            d["speed"][law] = speed(a.program, path, law, a.threads, repeats, epochs, work)
        d["memory"] = {"isolario": peak_mib([a.program, "fit", path, "-o", work / "memory", "--force", "--quiet", "--max-epochs", "2"]),
                       "scvi": scvi(path, "zinb", 0, 2, a.threads)["peak_mib"]}
        d["quality"]["nb"] = time_to_quality(a.program, path, "nb", a.threads, not a.check, work)
        results["scvi_version"] = d["quality"]["nb"]["scvi"]["version"]
        (out / "results.json").write_text(json.dumps(results, indent=1))
    own, libraries = install_mib(a.program)
    results["install"] = {"own": own, "libraries": libraries, "scvi": folder_mib(Path(sys.prefix))}
    results["start"] = {"isolario": median_of([run([a.program, "--version"])[0] for _ in range(11)]),
                        "scvi": median_of([run([sys.executable, "-c", "import scvi"])[0] for _ in range(3)])}
    (out / "results.json").write_text(json.dumps(results, indent=1))
    (out / "table.md").write_text(table(results))
    print(table(results))


if __name__ == "__main__":
    main()
