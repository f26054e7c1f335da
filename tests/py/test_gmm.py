"""The fitted mixture of map/gmm.c on a real latent space's shape, against scikit-learn."""
import subprocess

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.mixture import GaussianMixture


def curved(n, seed):
    """Cells along two bent branches and in two islands, in 6 dimensions, two of which hold noise alone."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(0, 1, n)
    branch = np.column_stack([3 * t, np.where(rng.random(n) < 0.5, 1, -1) * t**2 * 2, np.sin(4 * t), t])
    islands, _ = make_blobs(n, centers=[[6, 0, 0, 0], [0, -4, 2, 1]], cluster_std=0.3, random_state=seed)
    x = np.where(rng.random(n)[:, None] < 0.7, branch + 0.1 * rng.normal(size=(n, 4)), islands)
    return np.column_stack([x, rng.normal(size=(n, 2))]).astype(np.float32)


@pytest.fixture
def density(build, tmp_path):
    """density(x, variance, q, K): log density of the rows of q, and the number of components."""

    def run(x, variance, q, components, threads=2):
        for name, values in (("x", x), ("v", variance), ("q", q)):
            np.ascontiguousarray(values, np.float32).tofile(tmp_path / name)
        done = subprocess.run([build / "tests" / "tool_map", "density", tmp_path / "x", *map(str, x.shape), str(components), tmp_path / "v", tmp_path / "q",
                               str(len(q)), str(threads), tmp_path / "out"], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return np.fromfile(tmp_path / "out"), int(done.stdout.split()[0])

    return run


@pytest.mark.parametrize("components", [4, 32])
def test_as_likely_as_scikit_learn(density, components):
    x, held_out = curved(6000, 1), curved(3000, 2)
    ours, n = density(x, np.zeros_like(x), held_out, components)
    theirs = GaussianMixture(components, random_state=0).fit(x).score(held_out)
    assert n == components and ours.mean() >= theirs - 0.01 * abs(theirs), (ours.mean(), theirs)


def test_of_clouds_is_that_of_draws_from_them(density):
    rng = np.random.default_rng(3)
    x, held_out = curved(3000, 4), curved(1000, 5)
    draws = np.vstack([x + 0.2 * rng.normal(size=x.shape) for _ in range(5)]).astype(np.float32)
    theirs = GaussianMixture(16, random_state=0).fit(draws).score_samples(held_out)
    clouds, points = (density(x, np.full_like(x, v), held_out, 16)[0] for v in (0.04, 0))
    assert abs(clouds.mean() - theirs.mean()) < 0.1 and np.corrcoef(clouds, theirs)[0, 1] > 0.97
    assert points.mean() - theirs.mean() > 0.3          # what the clouds' width costs, which a fit to points would not show


def test_threads_and_choice(density):
    x, held_out = curved(9000, 6), curved(2000, 7)
    one, n = density(x, np.zeros_like(x), held_out, -1, threads=1)
    two, m = density(x, np.zeros_like(x), held_out, -1, threads=2)
    assert n == m and n in (64, 128, 256) and np.array_equal(one, two)
    assert all(one.mean() >= density(x, np.zeros_like(x), held_out, k)[0].mean() - 0.01 for k in (64, 128, 256))
