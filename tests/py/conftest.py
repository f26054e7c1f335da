"""Fixtures of the Python tests: the built program, a way to run it, and the data.

The build folder is build/, or what the environment variable ISO_BUILD names.
"""
import json
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root():
    """The folder of the project."""
    return ROOT


@pytest.fixture(scope="session")
def build():
    """The build folder."""
    return Path(os.environ.get("ISO_BUILD", ROOT / "build")).resolve()


@pytest.fixture(scope="session")
def program(build):
    """The built program."""
    path = build / "isolario"
    assert path.exists(), f"{path} is missing: run `make build` first"
    return path


@pytest.fixture(scope="session")
def isolario(program):
    """isolario("fit", "cells.h5ad", ...) runs the program; check=False to look at a failure."""

    def run(*arguments, check=True, timeout=300, **options):
        done = subprocess.run([program, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, **options)
        if check:
            assert done.returncode == 0, f"isolario {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stderr}"
        return done

    return run


@pytest.fixture(scope="session")
def bound():
    """Words before a command that make permissions bind it, the superuser's too."""
    if os.geteuid() != 0:
        return []
    assert shutil.which("setpriv"), "setpriv, of util-linux, is missing"
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]


@pytest.fixture(scope="session")
def paul15():
    """data/paul15.h5ad."""
    return ROOT / "data" / "paul15.h5ad"


@pytest.fixture(scope="session")
def dump_tool(build):
    """The program that shows what the readers make of a file, tests/tool_dump.c."""
    path = build / "tests" / "tool_dump"
    assert path.exists(), f"{path} is missing: build it first"
    return path


@pytest.fixture
def dump(dump_tool, tmp_path):
    """dump("cells.h5ad", layer=None): .format, .source, .obs and .var as the tool's JSON, .x as SciPy CSR, .log."""
    np = pytest.importorskip("numpy")
    sparse = pytest.importorskip("scipy.sparse")

    def run(path, layer=None):
        out = tmp_path / "matrix.bin"
        words = [str(dump_tool), str(path), str(out)] + ([] if layer is None else [layer])
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{path}: exit {done.returncode}: {done.stderr}"
        raw = out.read_bytes()
        rows, cols, nnz = np.frombuffer(raw, "<i8", 3)
        indptr = np.frombuffer(raw, "<i8", rows + 1, 24)
        indices = np.frombuffer(raw, "<i4", nnz, 24 + indptr.nbytes)
        values = np.frombuffer(raw, "<f4", nnz, 24 + indptr.nbytes + indices.nbytes)
        x = sparse.csr_matrix((rows, cols), dtype="f4")
        x.indptr, x.indices, x.data = indptr, indices, values
        return SimpleNamespace(x=x, log=done.stderr, **json.loads(done.stdout))

    return run
