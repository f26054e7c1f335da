"""Tells whether Isolario has become slower: check.py PROGRAM [--record]. Needs no Python packages; takes two minutes.

Only ratios of times measured side by side are compared with bench/expected.json, so that a busy or slower minute matters little: each
kernel's time against its plain C build (products: against the rate of a large product), a training step against the product in it, and
2 threads against 1. Higher is better. A ratio is the median of some rounds; that of threads is of the least times, since any other work on
the machine delays two threads. What looks slower is measured once more. Ratios depend on the processor, so that bench/expected.json has one
entry a machine; --record writes that of this one.

Exit status: 0 as expected, 1 slower, 2 nothing to compare with.
"""
import json
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

EXPECTED = Path(__file__).resolve().parent / "expected.json"
ROUNDS, TOLERANCE = 9, 0.2
LIKELIHOODS = {"nb": 1, "zinb": 2}      # with the number of large products in a step of each


def output(program, *words):
    return subprocess.run([program, *words], check=True, capture_output=True, text=True).stdout


def machine(program):
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return f"{model[1] if model else os.uname().machine}, {re.search('instruction set: (.*)', output(program, '--version'))[1]}, {os.cpu_count()} CPUs"


def step_ms(program, likelihood, threads):
    text = output(program, "bench", "step", "--preset", "scvi", "--likelihood", likelihood, "--threads", str(threads), "--quiet")
    return float(re.search(r"^step\t([\d.]+)", text, re.M)[1])


def one_round(program):
    """Ratio by name, each of times that were taken within two seconds; and ms of a step by likelihood and number of threads."""
    lines = [line.split("\t") for line in output(program, "bench", "ops", "--n-genes", "2000", "--quiet").splitlines() if not line.startswith("#")]
    kernels = {r["kernel"]: r for r in (dict(zip(lines[0], line)) for line in lines[1:])}
    ratios = {}
    for name, r in kernels.items():
        if name.startswith("product"):
            ratios[f"{name}: share of the rate of a large one"] = float(r["of_roofline"])
        else:
            ratios[f"{name}: times faster than plain C"] = float(r["reference_ms"]) / float(r["ms"])
    product = sum(float(r["ms"]) for name, r in kernels.items() if name.startswith("product"))
    steps = {(likelihood, n): step_ms(program, likelihood, n) for likelihood in LIKELIHOODS for n in (1, 2)}
    for likelihood, outputs in LIKELIHOODS.items():
        ratios[f"step, {likelihood}: share of products"] = outputs * product / steps[likelihood, 1]
    return ratios, steps


def measure(program):
    rounds, steps = zip(*(one_round(program) for _ in range(ROUNDS)))
    ratios = {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
    for likelihood in LIKELIHOODS:
        ratios[f"step, {likelihood}: 2 threads against 1"] = min(s[likelihood, 1] for s in steps) / min(s[likelihood, 2] for s in steps)
    return {name: round(ratio, 3) for name, ratio in ratios.items()}


def slower(expected, measured, tolerance):
    """Names whose ratio is below what is expected by more than the tolerance, or that were not measured."""
    return [name for name, ratio in expected.items() if measured.get(name, 0) < ratio * (1 - tolerance)]


def main():
    program = sys.argv[1]
    here = machine(program)
    entries = json.loads(EXPECTED.read_text())
    if "--record" in sys.argv[2:]:
        entries[here] = {"tolerance": TOLERANCE, "ratios": measure(program)}
        EXPECTED.write_text(json.dumps(entries, indent=1) + "\n")
        return f"bench-check: recorded {here}", 0
    if here not in entries:
        return f"bench-check: bench/expected.json has no ratios of this machine ({here}); record a good build's: bench/check.py {program} --record", 2
    expected, tolerance = entries[here]["ratios"], entries[here]["tolerance"]
    measured = measure(program)
    if slower(expected, measured, tolerance):
        again = measure(program)
        measured = {name: max(ratio, again[name]) for name, ratio in measured.items()}
    bad = slower(expected, measured, tolerance)
    for name, ratio in expected.items():
        print(f"{'SLOWER' if name in bad else 'ok':8}{name:70}{measured.get(name, 0):8.2f}, expected {ratio:.2f}")
    return f"bench-check: {len(bad)} of {len(expected)} ratios are lower than expected by more than {tolerance:.0%}", bool(bad)


if __name__ == "__main__":
    text, status = main()
    print(text)
    sys.exit(status)
