"""--precision bf16: another rounding, not another model; the same bits for any number of threads."""
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from safetensors.numpy import load_file

PAUL = "data/paul15.h5ad"


def fit(isolario, root, out, *options):
    isolario("fit", root / PAUL, "-o", out, "--split-key", "split", "--max-epochs", "6", "--no-map", "--quiet", *options)
    return json.loads((out / "run.json").read_text()), load_file(out / "model.safetensors")


def test_bf16_trains_the_same_model_in_other_rounding(isolario, root, tmp_path):
    whole, weights = fit(isolario, root, tmp_path / "float32")
    half, rounded = fit(isolario, root, tmp_path / "bf16", "--precision", "bf16", "--threads", "1")
    again, twice = fit(isolario, root, tmp_path / "threads", "--precision", "bf16", "--threads", "2")
    assert half["options"]["precision"] == "bf16" and whole["options"]["precision"] == "float32"
    a, b = (run["training"]["test_elbo"] for run in (whole, half))
    assert abs(a - b) < 0.002 * abs(a), (a, b)
    assert weights.keys() == rounded.keys() and all(v.dtype == np.float32 for k, v in rounded.items() if "weight" in k)
    assert not np.array_equal(weights["decoder.mean.weight"], rounded["decoder.mean.weight"]), "bf16 changed nothing"
    assert all(np.array_equal(rounded[k], twice[k]) for k in rounded)


@pytest.mark.parametrize("size", [16, 32])
def test_bf16_of_images(isolario, tmp_path, size):
    """With AMX as for counts; elsewhere it is float32, and said so. Features at the grid are kept in other ways at 16 pixels and at 32."""
    isolario("simulate", "cells", "-n", 500, "--size", size, "-o", tmp_path / "cells.npz", "--quiet")

    def run(name, *options):
        out = tmp_path / name
        done = isolario("fit", tmp_path / "cells.npz", "-o", out, "--max-epochs", 8, "--no-map", *options)
        return json.loads((out / "run.json").read_text())["training"], load_file(out / "model.safetensors"), done.stderr

    whole, weights, _ = run("float32")
    half, rounded, said = run("bf16", "--precision", "bf16", "--threads", 1)
    _, twice, _ = run("threads", "--precision", "bf16", "--threads", 2)
    assert all(np.array_equal(rounded[k], twice[k]) for k in rounded)
    amx = "amx_bf16" in Path("/proc/cpuinfo").read_text()
    same = all(np.array_equal(weights[k], rounded[k]) for k in weights)
    assert same != amx and ("no AMX" in said) != amx
    a, b = whole["validation_elbo"], half["validation_elbo"]
    assert abs(a - b) < 0.02 * abs(a), (a, b)
    isolario("embed", tmp_path / "bf16", tmp_path / "cells.npz", "-o", tmp_path / "again.h5ad", "--quiet")
    with h5py.File(tmp_path / "bf16" / "latent.h5ad") as f, h5py.File(tmp_path / "again.h5ad") as g:
        assert np.abs(f["obsm/X_isolario"][:] - g["obsm/X_isolario"][:]).max() < 1e-5, "evaluation is in float32"
