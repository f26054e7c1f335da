"""--precision bf16: another rounding, not another model; the same bits for any number of threads; counts alone."""
import json

import numpy as np
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


def test_bf16_is_for_counts(isolario, tmp_path):
    np.savez(tmp_path / "images.npz", images=np.random.default_rng(0).random((40, 1, 16, 16), "f4"))
    done = isolario("fit", tmp_path / "images.npz", "-o", tmp_path / "run", "--precision", "bf16", check=False)
    assert done.returncode == 1 and "--precision bf16 is for counts" in done.stderr and not (tmp_path / "run").exists()
