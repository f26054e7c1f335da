"""`simulate cells` by what NumPy, SciPy and scikit-image measure of its images: photons, morphologies, the width of a spot, and refusals."""
import csv

import pytest

np = pytest.importorskip("numpy")
ndimage = pytest.importorskip("scipy.ndimage")
morphology = pytest.importorskip("skimage.morphology")
tifffile = pytest.importorskip("tifffile")

SPOT = 0.75                     # width of a filament's spots in images of 32 pixels a side; it grows with the root of the side
BACKGROUND = 3                  # of the options: expected photons in the dark


@pytest.fixture(scope="module")
def simulate(isolario, tmp_path_factory):
    """simulate("-n", 10, ...): the path of the archive."""
    folder = tmp_path_factory.mktemp("simulated")

    def run(*options):
        path = folder / f"{len(list(folder.glob('*.npz')))}.npz"
        isolario("simulate", "cells", "-o", path, "--quiet", *options)
        return path

    return run


@pytest.fixture(scope="module")
def apart(simulate):
    """900 cells of 64 x 64, each structure in a channel of its own."""
    return dict(np.load(simulate("-n", 900, "--size", 64, "--separate")))


# ------------------------------------------------------------------------------------------ files


def test_a_seed_makes_the_same_bytes(simulate):
    a, b, c = (simulate("-n", 20, "--seed", 7, "--threads", t) for t in (1, 2, 3))
    assert a.read_bytes() == b.read_bytes() == c.read_bytes()
    assert a.with_suffix(".csv").read_bytes() == b.with_suffix(".csv").read_bytes()


def test_another_seed_makes_other_cells(simulate):
    a, b = (np.load(simulate("-n", 20, "--seed", s)) for s in (7, 8))
    assert not np.any(np.all(a["clean"] == b["clean"], (1, 2, 3))) and not np.any(a["angle"] == b["angle"])
    assert len(np.unique(a["clean"].reshape(20, -1), axis=0)) == 20


def test_more_cells_begin_with_the_same(simulate):
    few, many = (np.load(simulate("-n", n, "--size", 32)) for n in (10, 25))
    for name in few.files:
        if name != "channel_names":
            np.testing.assert_array_equal(few[name], many[name][:10])


def test_a_folder_holds_the_same_cells(isolario, simulate, tmp_path):
    d = np.load(simulate("-n", 6, "--size", 40, "--separate"))
    isolario("simulate", "cells", "-n", 6, "--size", 40, "--separate", "-o", tmp_path / "cells", "--quiet")
    for name, image in zip(d["name"], d["images"]):
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "cells" / f"{name}.tif"), image)
    rows = list(csv.DictReader(open(tmp_path / "cells" / "labels.csv")))
    assert [r["name"] for r in rows] == list(d["name"]) and [r["label"] for r in rows] == list(d["label"])
    for column in ("area", "angle", "filaments", "length"):
        np.testing.assert_allclose([float(r[column]) for r in rows], d[column], rtol=1e-6)


def test_sizes_and_channels(simulate):
    d = np.load(simulate("-n", 3, "--size", 24))
    assert d["images"].shape == d["clean"].shape == (3, 1, 24, 24) and list(d["channel_names"]) == ["fluorescence"]
    d = np.load(simulate("-n", 3, "--size", 8, "--separate"))
    assert d["images"].shape == (3, 3, 8, 8) and list(d["channel_names"]) == ["mitochondria", "nucleus", "membrane"]


# ---------------------------------------------------------------------------------------- photons


@pytest.mark.parametrize("photons,background", [(0.5, 0), (5, 0.25), (120, 3), (5000, 40)])
def test_counts_are_poisson(simulate, photons, background):
    """Mean and variance of (counts - clean) against Poisson's, five standard errors either way; clean is what the options say."""
    d = np.load(simulate("-n", 60, "--size", 64, "--photons", photons, "--background", background))
    mean, counts = d["clean"].astype(float), d["images"].astype(float)
    assert mean.min() == pytest.approx(background, abs=1e-3 * photons + 1e-6) and 0.8 * photons < mean.max() - background < 1.5 * photons
    off = counts - mean
    assert abs(off.sum()) < 5 * np.sqrt(mean.sum())
    fourth = 3 * mean**2 + mean                                       # of a Poisson law, about its mean
    assert abs((off**2 - mean).sum()) < 5 * np.sqrt((fourth - mean**2).sum())
    lit = mean > 0
    assert np.all(counts[~lit] == 0)
    half = lit & (mean > np.median(mean[lit]))                         # bright pixels alone: the variance follows the mean
    assert abs((off**2 - mean)[half].sum()) < 5 * np.sqrt((fourth - mean**2)[half].sum())


def test_noise_is_white(apart):
    """No pixel knows of its neighbours' noise: the power of (counts - clean) is the mean count at every frequency."""
    off = (apart["images"] - apart["clean"].astype(float))[:, 0]
    power = (np.abs(np.fft.fft2(off)) ** 2).mean(0) / 64**2 / apart["clean"][:, 0].mean()
    assert abs(power.mean() - 1) < 0.01 and np.abs(power - 1).max() < 6 / np.sqrt(900) * np.sqrt(2)


# -------------------------------------------------------------------------------------- structures


def filaments(d):
    """Mitochondria as 0 in the dark and 1 where a filament is brightest."""
    clean = d["clean"][:, 0].astype(float) - BACKGROUND
    return clean / clean.max()


def chance_of_more(a, b):
    """The chance that one of b is larger than one of a; the area under the curve of a test."""
    return (a[:, None] < b).mean() + 0.5 * (a[:, None] == b).mean()


def test_morphologies_take_equal_shares(apart):
    names, counts = np.unique(apart["label"], return_counts=True)
    assert list(names) == ["fragmented", "network", "tubular"] and list(counts) == [300, 300, 300]


def test_morphologies_can_be_told_apart(apart):
    """Fragments are many objects; networks have more branches on the same length than threads, which cross, too."""
    objects, branches = [], []
    for x in filaments(apart):
        lit = x > 0.4
        thin = morphology.skeletonize(lit)
        neighbours = ndimage.convolve(thin.astype(int), np.ones((3, 3), int), mode="constant") - 1
        objects.append(ndimage.label(lit, np.ones((3, 3)))[1])
        branches.append(ndimage.label(thin & (neighbours >= 3), np.ones((3, 3)))[1] / thin.sum())
    of = {k: apart["label"] == k for k in ("fragmented", "tubular", "network")}
    objects, branches = np.array(objects), np.array(branches)
    for k in ("tubular", "network"):
        assert chance_of_more(objects[of[k]], objects[of["fragmented"]]) > 0.99
    assert chance_of_more(branches[of["tubular"]], branches[of["network"]]) > 0.6
    assert chance_of_more(branches[of["fragmented"]], branches[of["network"]]) > 0.9


def test_the_truth_is_that_of_the_image(apart):
    """Area and angle of the cell against moments of the membrane's inside; lengths of filaments against their light."""
    areas, turned = [], []
    for rim, area, angle in zip(apart["clean"][:150, 2], apart["area"], apart["angle"]):
        lit = ndimage.binary_fill_holes(rim - BACKGROUND > 0.5 * (rim.max() - BACKGROUND))
        if lit[[0, -1]].any() or lit[:, [0, -1]].any():                # cut by the border
            continue
        rows, columns = np.nonzero(lit)
        x, y = np.linalg.eigh(np.cov(columns, rows))[1][:, 1]         # the long axis
        areas.append((lit.sum(), area)), turned.append(np.cos(2 * (np.arctan2(y, x) - angle)))
    assert len(areas) > 75 and np.corrcoef(np.transpose(areas))[0, 1] > 0.95 and np.median(turned) > 0.95
    light = filaments(apart).sum((1, 2))
    for k in ("tubular", "network"):
        of = apart["label"] == k
        assert np.corrcoef(light[of], apart["length"][of])[0, 1] > 0.5


@pytest.mark.parametrize("side", [64, 128, 256])
def test_the_width_of_a_spot(simulate, side):
    """Two ways. At a summit, log light bends by -1 / width^2, whatever the height. And the power spectrum of fragments falls as
    exp(-(frequency * width)^2), somewhat slower as the brighter of two spots hides the other: that width is 0.82 of the true one."""
    d = dict(np.load(simulate("-n", 90, "--size", side, "--separate", "--photons", 1000)))
    width, x = SPOT * np.sqrt(side / 32), filaments(d)[d["label"] == "fragmented"]

    summit = (x == ndimage.maximum_filter(x, (1, 3, 3))) & (x > 0.7)
    summit[:, [0, -1]] = summit[:, :, [0, -1]] = False
    at, row, column = np.nonzero(summit)
    bend = [np.log(x[at, row + a, column + b] * x[at, row - a, column - b] / x[at, row, column] ** 2) for a, b in ((1, 0), (0, 1))]
    assert len(at) > 100 and np.median(-1 / np.concatenate(bend)) == pytest.approx(width**2, rel=0.02)

    power = (np.abs(np.fft.fft2(x)) ** 2).mean(0)
    frequency = 2 * np.pi * np.fft.fftfreq(side)
    square = frequency[:, None] ** 2 + frequency**2
    middle = (square * width**2 > 0.5) & (square * width**2 < 3)
    slope = np.polyfit(square[middle], np.log(power[middle]), 1)[0]
    assert np.sqrt(-slope) == pytest.approx(0.82 * width, rel=0.05)


# ---------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("arguments,words", [
    ((), "simulate cells"),
    (("dogs",), 'what can be simulated is "cells"'),
    (("cells", "more"), "1 argument, not 2"),
    (("cells", "--size", 4), "--size: 4 is out of range; it goes from 8 to 4096"),
    (("cells", "--size", "wide"), '--size: "wide" is not a whole number'),
    (("cells", "-n", 0), "--n-cells: 0 is out of range"),
    (("cells", "--photons", 0), "--photons: 0 is out of range"),
    (("cells", "--photons", "nan"), '--photons: "nan" is not a number'),
    (("cells", "--background", -1), "--background: -1 is out of range"),
    (("cells", "--epochs", 3), 'unknown option "--epochs"'),
])
def test_refusals(isolario, tmp_path, arguments, words):
    bad = isolario("simulate", *arguments, "-o", tmp_path / "out.npz", check=False)
    assert bad.returncode == 1 and words in bad.stderr, bad.stderr
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written(isolario, tmp_path):
    bad = isolario("simulate", "cells", "-n", 3, "-o", tmp_path / "missing" / "x.npz", check=False)
    assert bad.returncode == 3 and "cannot be written" in bad.stderr and not list(tmp_path.iterdir())
    (tmp_path / "x.npz").write_text("mine")
    bad = isolario("simulate", "cells", "-n", 3, "-o", tmp_path / "x.npz", check=False)
    assert bad.returncode == 3 and "--force" in bad.stderr and (tmp_path / "x.npz").read_text() == "mine"
