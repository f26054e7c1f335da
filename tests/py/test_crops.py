"""isolario crops: cells out of fields, with masks and without, against NumPy's own cutting."""
import csv

import pytest

np = pytest.importorskip("numpy")
tifffile = pytest.importorskip("tifffile")
Image = pytest.importorskip("PIL.Image")


def draw(seed, shape=(120, 150), centres=((30, 40), (60, 100), (90, 30), (5, 70), (100, 140)), dtype="uint16"):
    """A field of two channels with discs, and its mask, whose labels have gaps."""
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    mask = np.zeros(shape, "uint16")
    for k, (y, x) in enumerate(centres):
        mask[(yy - y) ** 2 + (xx - x) ** 2 < (8 + k) ** 2] = 3 * k + 2
    dna = rng.normal(50, 3, shape) + 120 * (mask > 0)
    other = rng.uniform(0, 200, shape)
    return np.stack([dna, other]).clip(0, 255).astype(dtype), mask


@pytest.fixture
def fields(tmp_path):
    """Two fields of unlike sizes as OME-TIFF with named channels, and a folder of their masks."""
    images, masks = tmp_path / "images", tmp_path / "masks"
    images.mkdir(), masks.mkdir()
    truth = {}
    for name, shape in (("one", (120, 150)), ("two", (140, 160))):
        x, mask = draw(len(truth), shape)
        tifffile.imwrite(images / f"{name}.ome.tif", x, ome=True, photometric="minisblack", metadata={"axes": "CYX", "Channel": {"Name": ["DNA", "ER, rough"]}})
        Image.fromarray(mask).save(masks / f"{name}.ome_masks.png")
        truth[f"{name}.ome.tif"] = x, mask
    return images, masks, truth


def cut(plane, y, x, size):
    """The documented rule: the square around the nearest pixel, mirrored beyond the border."""
    top, left = int(np.floor(y + 0.5)) - size // 2, int(np.floor(x + 0.5)) - size // 2
    wide = np.pad(plane, size, mode="symmetric")
    return wide[top + size : top + 2 * size, left + size : left + 2 * size]


@pytest.mark.parametrize("size", [16, 33, 64])
@pytest.mark.parametrize("edge", ["drop", "keep"])
def test_crops_of_masks(isolario, fields, tmp_path, size, edge):
    images, masks, truth = fields
    done = isolario("crops", images, "--masks", masks, "--size", size, "--edge", edge, "-o", tmp_path / "c.npz")
    got = np.load(tmp_path / "c.npz")
    assert list(got["channel_names"]) == ["DNA", "ER, rough"] and got["images"].dtype == np.uint16
    at = 0
    for name, (x, mask) in truth.items():
        for label in np.unique(mask[mask > 0]):
            inside = mask == label
            rows, columns = np.nonzero(inside)
            cut_off = rows.min() == 0 or columns.min() == 0 or rows.max() == mask.shape[0] - 1 or columns.max() == mask.shape[1] - 1
            if cut_off and edge == "drop":
                continue
            assert got["field"][at] == name and got["label"][at] == label and got["area"][at] == inside.sum()
            np.testing.assert_allclose([got["y"][at], got["x"][at]], [rows.mean(), columns.mean()])
            for k, channel in enumerate(["DNA", "ER, rough"]):
                np.testing.assert_array_equal(got["images"][at, k], cut(x[k], rows.mean(), columns.mean(), size))
                np.testing.assert_allclose(got[f"mean_{channel}"][at], x[k][inside].mean())
            want = np.pad(inside, size)[int(np.floor(rows.mean() + 0.5)) - size // 2 + size :, int(np.floor(columns.mean() + 0.5)) - size // 2 + size :]
            np.testing.assert_array_equal(got["masks"][at], want[:size, :size])
            at += 1
    assert at == len(got["images"]) == (7 if edge == "drop" else 10)        # the larger field holds one more whole
    assert ("touch the border" in done.stderr) == (edge == "drop")
    assert ("larger than 16 pixels" in done.stderr) == (size == 16)


def test_table_beside_the_archive(isolario, fields, tmp_path):
    images, masks, _ = fields
    isolario("crops", images, "--masks", masks, "-o", tmp_path / "c.npz")
    got = np.load(tmp_path / "c.npz")
    with open(tmp_path / "c.csv", newline="") as f:
        rows = list(csv.DictReader(f))
    assert list(rows[0]) == ["name", "field", "label", "x", "y", "area", "mean_DNA", "mean_ER, rough"]
    for key in rows[0]:
        column = [r[key] for r in rows]
        if got[key].dtype.kind == "U":
            assert column == list(got[key])
        else:
            np.testing.assert_allclose(np.array(column, float), got[key], rtol=1e-8)


def test_folder_of_crops(isolario, fields, tmp_path, build):
    """Each cell an OME-TIFF, which tifffile and Isolario's own reader read; the table names them."""
    images, masks, _ = fields
    isolario("crops", images, "--masks", masks, "-o", tmp_path / "c.npz")
    isolario("crops", images, "--masks", masks, "-o", tmp_path / "folder")
    got = np.load(tmp_path / "c.npz")
    for i, name in enumerate(got["name"]):
        with tifffile.TiffFile(tmp_path / "folder" / f"{name}.tif") as t:
            assert t.is_ome and t.series[0].axes == "CYX" and "ER, rough" in t.ome_metadata
            np.testing.assert_array_equal(t.asarray(), got["images"][i])
    import subprocess

    subprocess.run([build / "tests" / "tool_images", tmp_path / "folder", tmp_path / "again.npz", tmp_path / "folder" / "cells.csv"], check=True)
    again = np.load(tmp_path / "again.npz")
    order = [list(again["name"]).index(f"{n}.tif") for n in got["name"]]
    np.testing.assert_array_equal(again["images"][order], got["images"])
    np.testing.assert_array_equal(again["area"][order], got["area"])
    assert list(again["channel_names"]) == ["DNA", "ER, rough"]
    done = isolario("crops", images, "--masks", masks, "-o", tmp_path / "folder", "--force", check=False)
    assert done.returncode == 3 and "not overwritten" in done.stderr


def test_nuclei_are_found_in_the_channel_that_is_named(isolario, fields, tmp_path):
    images, _, truth = fields
    isolario("crops", images, "--channel", "DNA", "-o", tmp_path / "c.npz")
    got = np.load(tmp_path / "c.npz")
    want = np.sort([(mask == label).sum() for name, (_, mask) in truth.items() for label in (2, 5, 8, 14) if label < 14 or name == "two.ome.tif"])
    np.testing.assert_allclose(np.sort(got["area"]), want, rtol=0.1)
    again = isolario("crops", images, "--channel", "0", "-o", tmp_path / "d.npz", "--threads", 1)
    assert again.returncode == 0 and (tmp_path / "c.npz").read_bytes() == (tmp_path / "d.npz").read_bytes()
    done = isolario("crops", images, "--channel", "Mito", "-o", tmp_path / "e.npz", check=False)
    assert done.returncode == 2 and 'no channel "Mito"' in done.stderr and '"DNA"' in done.stderr


def test_fields_and_masks_in_one_folder(isolario, tmp_path):
    x, mask = draw(0, dtype="uint8")
    tifffile.imwrite(tmp_path / "f_img.tif", x[0])
    tifffile.imwrite(tmp_path / "f_labels.tif", mask)
    isolario("crops", tmp_path, "--masks", tmp_path, "-o", tmp_path / "c.npz")
    assert list(np.load(tmp_path / "c.npz")["label"]) == [2, 5, 8]
    assert np.load(tmp_path / "c.npz")["images"].dtype == np.uint8


def test_stack_with_a_stack_of_masks(isolario, tmp_path):
    x, mask = draw(0)
    np.save(tmp_path / "x.npy", np.stack([x, x[::-1]]))
    np.save(tmp_path / "m.npy", np.stack([mask, mask]).astype("int64"))
    isolario("crops", tmp_path / "x.npy", "--masks", tmp_path / "m.npy", "-o", tmp_path / "c.npz")
    assert list(np.load(tmp_path / "c.npz")["field"]) == ["x.npy:0"] * 3 + ["x.npy:1"] * 3


def test_refusals(isolario, fields, tmp_path):
    images, masks, truth = fields

    def refuse(*words, status=2, said=()):
        done = isolario("crops", *words, "-o", tmp_path / "no.npz", check=False)
        assert done.returncode == status, done.stderr
        assert all(word in done.stderr for word in said), done.stderr
        assert not (tmp_path / "no.npz").exists()

    (masks / "two.ome_masks.png").rename(masks / "three.png")
    refuse(images, "--masks", masks, said=["two.ome.tif", "no mask"])
    Image.fromarray(np.zeros((9, 9), "uint8")).save(masks / "two.ome_masks.png")
    refuse(images, "--masks", masks, said=["two.ome.tif", "9 x 9", "like the field"])
    tifffile.imwrite(tmp_path / "m.tif", truth["one.ome.tif"][1] / np.float32(2))
    refuse(images / "one.ome.tif", "--masks", tmp_path / "m.tif", said=["its mask holds", "0 for the background"])
    Image.fromarray(np.zeros((120, 150), "uint8")).save(tmp_path / "m.png")
    refuse(images / "one.ome.tif", "--masks", tmp_path / "m.png", said=["no cell in any of the 1 fields", "no cell in its mask"])
    tifffile.imwrite(images / "zz.tif", np.zeros((3, 50, 50), "uint8"), photometric="minisblack", metadata={"axes": "CYX"})
    refuse(images, said=["zz.tif: 3 channels", "have 2"])
    refuse(images, "--size", 5, status=1, said=["--size"])
    refuse(tmp_path / "none", status=3, said=["none"])
    done = isolario("crops", images, "-o", "-", check=False)
    assert done.returncode == 1 and "standard output" in done.stderr
