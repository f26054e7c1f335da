"""Held-out quality of Isolario: -ELBO and importance-sampled -log p of the cells with split == "test", mean and range over seeds.

quality.py PROGRAM FILE[:BATCH_KEY] ...     one row per file, likelihood and way to train
"scvi" is scvi-tools' architecture and schedule (--preset scvi, all training cells); "default" is the plain command.
"""
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SEEDS = (0, 1, 2)
WAYS = {"scvi": ["--preset", "scvi", "--validation-fraction", "0"], "default": []}


def fit(program, path, batch_key, likelihood, seed, way):
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "fit", path, "-o", f"{folder}/run", "--quiet", "--split-key", "split", "--likelihood", likelihood,
                   "--seed", str(seed), *WAYS[way], *(["--batch-key", batch_key] if batch_key else [])]
        subprocess.run(command, check=True)
        about = json.loads(Path(folder, "run", "run.json").read_text())
        return -about["training"]["test_elbo"], -about["training"]["test_log_p"], about["seconds"]["train"]


def cell(values):
    return f"{statistics.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main():
    program, files = sys.argv[1], sys.argv[2:]
    print("| file | likelihood | training | -ELBO | -log p | seconds |\n|---|---|---|---|---|---|")
    for file in files:
        path, _, batch_key = file.partition(":")
        for likelihood in ("zinb", "nb"):
            for way in WAYS:
                elbo, log_p, seconds = zip(*(fit(program, path, batch_key, likelihood, seed, way) for seed in SEEDS))
                print(f"| {Path(path).stem} | {likelihood} | {way} | {cell(elbo)} | {cell(log_p)} | {statistics.mean(seconds):.1f} |", flush=True)


main()
