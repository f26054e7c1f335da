"""The program as a shell sees it. ISOLARIO names the program; without it, build/isolario is taken."""
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("ISOLARIO", str(ROOT / "build" / "isolario"))
pytestmark = pytest.mark.skipif(not os.path.exists(PROGRAM), reason=f"{PROGRAM} is not built")


def run(*words, **more):
    more.setdefault("env", {**os.environ, "COLUMNS": "80"})
    return subprocess.run([PROGRAM, *map(str, words)], capture_output=True, text=True, timeout=60, **more)


def commands():
    return re.findall(r"^### (\w+)$", run("help", "--markdown").stdout.split("## Options")[0], re.M)


def option_rows():
    """Name -> commands that take it, as the documentation says."""
    text = run("help", "--markdown").stdout.split("## Options")[1]
    rows = re.findall(r"^\| `(?:-\w, )?--(?:\[no-\])?([\w-]+)[^`]*` \| .*? \| ([\w ]+) \| [^|]*\|$", text, re.M)
    return {name: where.split() for name, where in rows}


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    np = pytest.importorskip("numpy")
    anndata = pytest.importorskip("anndata")
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(2.0, 1.0, size=(120, 40))).astype("float32")
    path = tmp_path_factory.mktemp("cells") / "a, b.h5ad"       # a comma and a space in the name
    anndata.AnnData(counts).write_h5ad(path)
    return path


# ------------------------------------------------------------------------------------------ help


def test_bare_call_prints_usage_on_stderr():
    r = run()
    assert r.returncode == 1 and r.stdout == ""
    for name in commands():
        assert re.search(rf"^  {name} ", r.stderr, re.M)


def test_help_of_every_command():
    names = commands()
    assert names == ["fit", "compare", "embed", "score", "sample", "prototype", "path", "anomaly", "map", "voids", "explore", "annotate", "reconstruct", "crops", "simulate", "info", "bench"]
    for name in names:
        a, b, c = run("help", name), run(name, "--help"), run(name, "x", "-h")
        assert a.returncode == 0 and a.stderr == ""
        assert a.stdout == b.stdout == c.stdout
        assert f"Usage: isolario {name} " in a.stdout and f"\n  isolario {name} " in a.stdout
        for option, where in option_rows().items():
            shown = re.search(rf"--(\[no-\])?{option}\b(?!-)", a.stdout.split("\nExamples:")[1]) is not None
            assert shown == ("all" in where or name in where), (name, option)
    assert run("help").stdout == run("--help").stdout == run("help", "help").stdout


def test_options_name_commands_that_exist():
    rows = option_rows()
    assert len(rows) > 50
    for option, where in rows.items():
        assert where == ["all"] or set(where) <= set(commands()), option


@pytest.mark.parametrize("columns", [50, 80, 100])
def test_help_fits_the_terminal(columns):
    out = run("help", "fit", env={**os.environ, "COLUMNS": str(columns)}).stdout
    lines = [line for line in out.splitlines() if not line.startswith(("  isolario fit", "Usage:"))]
    assert max(map(len, lines)) <= columns
    assert max(map(len, lines)) > columns - 15


def test_documentation_is_up_to_date():
    assert (ROOT / "docs" / "COMMANDS.md").read_text() == run("help", "--markdown").stdout, (
        "make it anew: isolario help --markdown > docs/COMMANDS.md")


def test_version():
    short = run("--version-only").stdout.strip()
    assert re.fullmatch(r"\d+\.\d+\.\d+", short)
    long = run("--version")
    assert long.returncode == 0 and long.stdout.startswith(f"isolario {short}")
    for word in ("compiler: ", "instruction set: ", "precision: float", "HDF5: 1", "igraph: 0", "oneDNN: "):
        assert word in long.stdout


# ---------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("words, message", [
    (["fitt", "x"], 'unknown command "fitt"; did you mean "fit"?'),
    (["help", "scor"], 'unknown command "scor"; did you mean "score"?'),
    (["scor", "--help"], 'did you mean "score"?'),
    (["qwertyuiop"], 'unknown command "qwertyuiop"; "isolario help"'),
    (["fit", "x", "--batch-kye", "d"], 'unknown option "--batch-kye"; did you mean "--batch-key"?'),
    (["fit", "x", "--batch_kye=d"], 'did you mean "--batch-key"?'),
    (["fit", "x", "-z"], 'unknown option "-z"'),
    (["fit", "x", "--no-batch-key"], "--batch-key takes a value"),
    (["fit", "x", "--no-early-stoppin"], "unknown option"),
    (["fit", "x", "--markdown"], "unknown option"),
    (["fit", "x", "--likelihood", "zimb"], '"zimb" is not one of'),
    (["fit", "x", "--n-latent=ten"], '--n-latent: "ten" is not a whole number'),
    (["fit", "x", "--n-latent", "0"], "--n-latent: 0 is out of range; it goes from 1 to 1000"),
    (["fit", "x", "--min-dist", "-0.5"], "--min-dist: -0.5 is out of range"),
    (["sample", "x", "-n", "0"], "--n-cells: 0 is out of range"),
    (["sample", "x", "-n0"], "--n-cells: 0 is out of range"),
    (["fit", "x", "--force=maybe"], "neither true nor false"),
    (["fit", "x", "--batch-key"], "--batch-key needs a value"),
    (["fit", "x", "-o"], "-o needs a value"),
    (["fit", "x", "--batch-key", "--force"], '--batch-key needs a value, but "--force" follows'),
    (["fit"], "fit takes 1 argument, not 0: fit CELLS"),
    (["fit", "x", "y"], "fit takes 1 argument, not 2"),
    (["fit", "x,y", "--", "--force"], "fit takes 1 argument, not 2"),
    (["embed", "x", "y", "--likelihood", "nb"], 'embed takes no option "likelihood"'),
    (["fit", ""], "empty"),
])
def test_usage_errors_are_one_clear_line(words, message):
    r = run(*words)
    assert r.returncode == 1 and r.stdout == ""
    assert r.stderr.startswith("isolario: error: ") and r.stderr.count("\n") == 1
    assert message in r.stderr
    j = run(*words, "--json") if "--" not in words and words[-1] not in ("--batch-key", "-o") else None
    if j:
        assert j.returncode == 1
        assert message in json.loads(j.stderr)["error"] and json.loads(j.stderr)["status"] == 1


def test_missing_file():
    r = run("info", "/no/such/file.h5ad")
    assert r.returncode == 3 and "/no/such/file.h5ad" in r.stderr
    assert re.search(r"\(\w+\.c:\d+\)$", run("info", "/no/such/file.h5ad", "-v").stderr.strip())


def test_a_comma_in_a_path_is_part_of_it():
    assert "/no/such, file,.h5ad" in run("info", "--", "/no/such, file,.h5ad").stderr


# --------------------------------------------------------------------------------------- streams


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
@pytest.mark.parametrize("words", [["help", "fit"], ["--version-only"]])      # more and less than a buffer
def test_full_disk_is_an_error(words):
    with open("/dev/full", "w") as full:
        r = subprocess.run([PROGRAM, *words], stdout=full, stderr=subprocess.PIPE, text=True)
    assert r.returncode == 3 and "No space left" in r.stderr


def test_closed_stdout_is_an_error():
    r = subprocess.run(f"'{PROGRAM}' help fit >&-", shell=True, stderr=subprocess.PIPE, text=True)
    assert r.returncode == 3 and "standard output" in r.stderr


def test_reader_that_leaves_ends_the_program_quietly():
    read, write = os.pipe()
    os.close(read)
    r = subprocess.run([PROGRAM, "help", "fit"], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert r.returncode == -signal.SIGPIPE and r.stderr == ""


# -------------------------------------------------------------------------------------- real runs


def test_a_run_ends_with_its_summary(cells, tmp_path):
    words = ["fit", cells, "--max-epochs", "2", "-o", tmp_path / "it's a run"]
    r = run(*words)
    assert r.returncode == 0, r.stderr
    version, cmd, cost = r.stderr.splitlines()[-3:]
    assert version == "[isolario] Version: " + run("--version-only").stdout.strip()
    quoted = cmd.removeprefix("[isolario] CMD: ")
    words_back = subprocess.run(f"printf '%s\\n' {quoted}", shell=True, capture_output=True, text=True).stdout
    assert words_back.splitlines() == [PROGRAM, *map(str, words)]
    assert re.fullmatch(r"\[isolario\] Real time: \d+\.\d+ s; CPU: \d+\.\d+ s; Peak RSS: \d+\.\d+ GB", cost)
    j = json.loads(run(*words, "--json", "--force").stderr.splitlines()[-1])
    assert j["status"] == 0 and j["real_s"] > 0 and j["peak_rss_bytes"] > 1e5
    assert "Real time" not in run(*words, "--quiet", "--force").stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt(cells, tmp_path, number):
    """Several at once, since where a signal finds the program is chance: on the stack of a product of oneDNN its handler once broke
    the heap in one of seven runs."""
    words = ["fit", cells, "--max-epochs", "1000000", "--no-early-stopping", "--threads", "2", "-o"]
    runs = [subprocess.Popen([PROGRAM, *words, tmp_path / f"run{i}"], stderr=subprocess.PIPE, text=True) for i in range(6)]
    time.sleep(2)           # they have begun to train
    for p in runs:
        blocked = [int(re.search(r"SigBlk:\s*(\w+)", status.read_text())[1], 16) for status in Path(f"/proc/{p.pid}/task").glob("*/status")]
        assert sorted(b >> (number - 1) & 1 for b in blocked) == [0, 1], "one thread, the program's own, heeds signals"
        p.send_signal(number)
    for p in runs:
        _, err = p.communicate(timeout=60)
        assert p.returncode == 130, err
        assert "once more stops at once" in err and "isolario: error: " in err and "Real time" not in err


def test_a_reader_of_the_talk_that_leaves_does_not_end_a_training(cells, tmp_path):
    read, write = os.pipe()
    os.close(read)
    r = subprocess.run([PROGRAM, "fit", cells, "--max-epochs", "2", "-o", tmp_path / "run"], stderr=write)
    os.close(write)
    assert r.returncode == 0


# ----------------------------------------------------------------------------------------- bench


def table(text):
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    assert all(len(row) == len(rows[0]) for row in rows)
    return {row[0]: dict(zip(rows[0][1:], row[1:])) for row in rows[1:]}


@pytest.mark.parametrize("words", [["--n-genes", 300, "--batch-size", 40], ["--likelihood", "zinb", "--n-genes", 50, "--n-layers", 2]])
def test_bench_step_takes_a_step_apart(words):
    r = run("bench", "step", *words)
    assert r.returncode == 0, r.stderr
    rows = table(r.stdout)
    total = float(rows["step"]["forward_ms"])
    parts = sum(float(row["forward_ms"]) + float(row["backward_ms"]) for name, row in rows.items() if name not in ("step", "cells a second"))
    assert {"wait for the batch", "adam, of what no op stepped", "elbo 1"} < set(rows) and total > 0 and parts < 1.3 * total


def test_bench_step_on_cells(cells):
    r = run("bench", "step", cells, "--batch-size", 16)
    assert r.returncode == 0 and "120 cells x 40 genes" in r.stdout


def test_bench_step_on_images(tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "images.npz", images=rng.random((40, 2, 16, 16)).astype(np.float32))
    r = run("bench", "step", tmp_path / "images.npz")
    assert r.returncode == 0 and "40 images of 2 x 16 x 16; gaussian, batches of 16" in r.stdout, r.stderr
    rows = table(r.stdout)
    assert {"wait for the batch", "conv 512 -> 2048", "image_likelihood 512 -> 1", "adam, of what no op stepped", "images a second"} < set(rows)


def test_bench_ops_lists_the_kernels():
    rows = table(run("bench", "ops", "--n-genes", 128, "--batch-size", 16).stdout)
    assert {"nb", "zinb", "adam", "csr_linear"} < set(rows)
    assert all(float(row["ms"]) > 0 and float(row["reference_ms"]) > 0 for row in rows.values())


def test_bench_of_what():
    r = run("bench", "strep")
    assert r.returncode == 1 and "bench step, bench ops" in r.stderr
