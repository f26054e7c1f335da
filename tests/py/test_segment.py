"""Operations on planes against SciPy and scikit-image, and the nucleus finder on fields whose nuclei are known."""
import subprocess

import pytest

np = pytest.importorskip("numpy")
ndi = pytest.importorskip("scipy.ndimage")
skimage = pytest.importorskip("skimage")
from skimage import feature, filters, measure, segmentation  # noqa: E402


@pytest.fixture
def segment(build, tmp_path):
    """segment(plane, sigma, min_pixels) or segment(heights, least): what tests/tool_segment.c writes."""

    def run(plane, *numbers):
        np.save(tmp_path / "in.npy", plane)
        done = subprocess.run([build / "tests" / "tool_segment", tmp_path / "in.npy", tmp_path / "out.npz", *map(str, numbers)],
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return dict(np.load(tmp_path / "out.npz"))

    return run


def field(seed, n=40, size=256, noise=4.0):
    """Bright ellipses that may touch but do not overlap, and their labels."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[:size, :size]
    labels = np.zeros((size, size), int)
    for _ in range(n * 20):
        y, x, a, turn = *rng.uniform(0, size, 2), rng.uniform(7, 12), rng.uniform(0, np.pi)
        b = a * rng.uniform(0.75, 1)
        u, v = (xx - x) * np.cos(turn) + (yy - y) * np.sin(turn), (yy - y) * np.cos(turn) - (xx - x) * np.sin(turn)
        spot = (u / a) ** 2 + (v / b) ** 2 < 1
        if labels.max() < n and spot.sum() > 80 and not labels[spot].any():
            labels[spot] = labels.max() + 1
    clean = 20 + 80 * ndi.gaussian_filter((labels > 0).astype(float), 1)
    return (clean + rng.normal(0, noise, clean.shape)).astype("float32"), labels


def matches(truth, found):
    """How many true objects have one of their own with an intersection over union above 1/2; the mean of these ratios over all."""
    pairs = np.histogram2d(truth.ravel(), found.ravel(), [np.arange(truth.max() + 2), np.arange(found.max() + 2)])[0]
    iou = pairs / (pairs.sum(1)[:, None] + pairs.sum(0) - pairs)
    best = iou[1:, 1:].max(1)
    return (best > 0.5).sum(), best.mean()


def reference(plane, sigma):
    """The textbook way with scikit-image."""
    smooth = filters.gaussian(plane, sigma)
    inside = ndi.binary_fill_holes(smooth > filters.threshold_otsu(smooth))
    distance = ndi.gaussian_filter(ndi.distance_transform_edt(inside), 1)
    peaks = feature.peak_local_max(distance, min_distance=5, labels=measure.label(inside))
    seeds = np.zeros(plane.shape, int)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return segmentation.watershed(-distance, seeds, mask=inside)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 50), (37, 61)])
@pytest.mark.parametrize("sigma", [0, 0.6, 2.5])
def test_blur(segment, shape, sigma):
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    want = ndi.gaussian_filter(x.astype(float), sigma, mode="reflect", radius=int(np.ceil(4 * sigma))) if sigma else x
    np.testing.assert_allclose(segment(x, sigma, 0)["smooth"], want, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_otsu_and_holes(segment, seed):
    rng = np.random.default_rng(seed)
    x = np.where(rng.random((50, 60)) < 0.2 + 0.1 * seed, rng.normal(150, 30, (50, 60)), rng.normal(60, 20, (50, 60))).clip(0, 255).astype("uint8")
    got = segment(x, 0, 0)
    assert got["threshold"][0] == filters.threshold_otsu(x)
    np.testing.assert_array_equal(got["inside"], x > filters.threshold_otsu(x))
    np.testing.assert_array_equal(got["filled"], ndi.binary_fill_holes(got["inside"]))
    assert (got["filled"] != got["inside"]).any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (64, 47)])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_distance(segment, shape, share):
    x = (np.random.default_rng(1).random(shape) < share).astype("uint8") * 100
    x.flat[0] = 0
    x.flat[-1] = 100 if x.size > 1 else 0
    got = segment(x, 0, 0)
    np.testing.assert_allclose(got["distance"], ndi.distance_transform_edt(got["inside"]), rtol=1e-6)


def test_watershed_keeps_hills_that_stand_out(segment):
    heights = np.tile(np.float32([1, 5, 9, 6, 4, 7, 6.5, 6.8, 3, 2]), (3, 1))
    heights[1] += 0.1
    assert segment(heights, 0.0)["labels"].max() == 3
    assert segment(heights, 0.1)["labels"].max() == 2               # the hill of 6.8 stands out of 6.5 by 4 %
    assert segment(heights, 0.5)["labels"].max() == 1               # that of 7 out of 4 by 43 %
    np.testing.assert_array_equal(segment(heights, 0.1)["labels"][1], [1, 1, 1, 1, 2, 2, 2, 2, 2, 2])     # the pass goes to the higher neighbour


def test_watershed_of_plateaus_and_islands(segment):
    heights = np.zeros((20, 20), "float32")
    heights[2:8, 2:8] = 3
    heights[12:18, 3:17] = 2
    heights[8, 8] = 1                                               # joined by a corner to the first
    got = segment(heights, 0.1)["labels"]
    np.testing.assert_array_equal(got > 0, heights > 0)
    assert measure.label(heights > 0).max() == got.max() == 2 and got[8, 8] == got[2, 2]


def test_watershed_gives_each_pixel_to_one_connected_hill(segment):
    x, _ = field(3)
    got = segment(x, 1.5, 0)["labels"]
    for k in range(1, got.max() + 1):
        assert measure.label(got == k).max() == 1


@pytest.mark.parametrize("seed", range(4))
def test_nuclei_of_a_known_field(segment, seed):
    x, truth = field(seed)
    found = segment(x, 1.5, 30)["labels"]
    n, iou = matches(truth, found)
    n_reference, iou_reference = matches(truth, reference(x, 1.5))
    assert abs(int(found.max()) - int(truth.max())) <= 2, (found.max(), truth.max())
    assert n >= truth.max() - 2 and iou > 0.85, (n, iou)
    assert n >= n_reference - 1 and iou > iou_reference - 0.02, (n, n_reference, iou, iou_reference)


def test_nuclei_of_an_empty_field(segment):
    assert segment(np.full((30, 30), 7, "float32"), 1.5, 30)["labels"].max() == 0


def test_small_objects_are_dropped(segment):
    x = np.zeros((40, 40), "float32")
    x[5:10, 5:10] = x[20:30, 20:30] = 100
    got = segment(x, 0, 26)["labels"]
    np.testing.assert_array_equal(got, (x > 0) * (np.arange(40) > 15))
    assert segment(x, 0, 25)["labels"].max() == 2
