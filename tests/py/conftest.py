"""Fixtures of the Python tests: the built program, a way to run it, and the data.

The build folder is build/, or what the environment variable ISO_BUILD names.
"""
import os
import subprocess
from pathlib import Path

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
def paul15():
    """data/paul15.h5ad."""
    return ROOT / "data" / "paul15.h5ad"
