"""Image readers against tifffile, Pillow and NumPy: every kind of file that they write, and what is said of files that are not read."""
import os
import subprocess
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
tifffile = pytest.importorskip("tifffile")
Image = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="session")
def tool(build):
    path = build / "tests" / "tool_images"
    assert path.exists(), f"{path} is missing: build it first"
    return path


@pytest.fixture
def read(tool, tmp_path):
    """read(path, labels=None): the set as NumPy's own reader sees it: images, name, channel_names, columns."""

    def run(path, labels=None, out=tmp_path / "set.npz"):
        words = [tool, path, out] + ([labels] if labels else [])
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{path}: exit {done.returncode}: {done.stderr}"
        return dict(np.load(out)) | {"log": done.stderr}

    return run


@pytest.fixture
def refuse(tool, tmp_path):
    """refuse(path, words...): the file is refused with status 2 or 3 and a message that names it and has the words."""

    def run(path, *words, labels=None):
        line = [tool, path, tmp_path / "set.npz"] + ([labels] if labels else [])
        done = subprocess.run(line, capture_output=True, text=True, timeout=60)
        assert done.returncode in (2, 3), (path, done.returncode, done.stderr)
        assert Path(labels or path).name in done.stderr or str(path) in done.stderr
        for word in words:
            assert word in done.stderr, done.stderr
        return done.stderr

    return run


def numbers(dtype, shape, seed=0):
    rng = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return rng.normal(0, 100, shape).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(max(info.min, -(2**24)), min(info.max, 2**24), shape, endpoint=True, dtype=dtype)


# ------------------------------------------------------------------------------------------ TIFF


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiff_numbers(read, tmp_path, dtype, order):
    x = numbers(dtype, (3, 21, 17))
    tifffile.imwrite(tmp_path / "a.tif", x, byteorder=order, photometric="minisblack", metadata={"axes": "TYX"})
    got = read(tmp_path / "a.tif")
    assert got["images"].shape == (3, 1, 21, 17)
    np.testing.assert_array_equal(got["images"][:, 0], x.astype("float32"))
    assert got["images"].dtype == (dtype if dtype in ("uint8", "uint16") else "float32")
    assert list(got["name"]) == ["0", "1", "2"] and list(got["channel_names"]) == ["0"]


@pytest.mark.parametrize("compression, predictor", [(c, p) for c in (None, "lzw", "zlib", "adobe_deflate", "packbits", "zstd") for p in (False, True)
                                                    if not (p and c in (None, "packbits"))])            # these two know no predictor
@pytest.mark.parametrize("tile", [None, (16, 32)])
def test_tiff_storage(read, tmp_path, compression, tile, predictor):
    x = numbers("uint16", (70, 50)) // 64
    tifffile.imwrite(tmp_path / "a.tif", x, compression=compression, tile=tile, predictor=predictor, rowsperstrip=None if tile else 9)
    np.testing.assert_array_equal(read(tmp_path / "a.tif")["images"][0, 0], x)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_tiff_colours(read, tmp_path, planar, tile, dtype):
    x = numbers(dtype, (30, 40, 3))
    stored = x if planar == "contig" else np.moveaxis(x, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar, tile=tile)
    np.testing.assert_array_equal(read(tmp_path / "a.tif")["images"][0], np.moveaxis(x, -1, 0))


def test_tiff_alpha_is_dropped(read, tmp_path):
    x = numbers("uint8", (9, 8, 4))
    tifffile.imwrite(tmp_path / "a.tif", x, photometric="rgb", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read(tmp_path / "a.tif")["images"][0], np.moveaxis(x[..., :3], -1, 0))


@pytest.mark.parametrize("axes", ["TCYX", "CTYX", "ZCYX", "CZYX", "TZCYX", "TCZYX", "CYX", "ZYX", "TYX"])
@pytest.mark.parametrize("kind", ["ome", "shaped", "bigtiff"])
def test_tiff_axes(read, tmp_path, axes, kind):
    sizes = {"T": 3, "Z": 2, "C": 4, "Y": 11, "X": 13}
    x = numbers("uint16", tuple(sizes[a] for a in axes))
    metadata = {"axes": axes}
    names = ["DNA", "Actin & co", "ER", "Mito"]
    if kind == "ome" and "C" in axes:
        metadata["Channel"] = {"Name": names}
    tifffile.imwrite(tmp_path / "a.tif", x, ome=kind == "ome", bigtiff=kind == "bigtiff", photometric="minisblack", metadata=metadata)
    got = read(tmp_path / "a.tif")
    order = [axes.index(a) for a in "TZC" if a in axes] + [len(axes) - 2, len(axes) - 1]
    want = x.transpose(order).reshape(-1, 4 if "C" in axes else 1, 11, 13)
    np.testing.assert_array_equal(got["images"], want)
    if kind == "ome" and "C" in axes:
        assert list(got["channel_names"]) == names


def test_tiff_imagej_hyperstack(read, tmp_path):
    x = numbers("uint16", (3, 2, 4, 11, 13))
    tifffile.imwrite(tmp_path / "a.tif", x, imagej=True, metadata={"axes": "TZCYX"})
    np.testing.assert_array_equal(read(tmp_path / "a.tif")["images"], x.reshape(6, 4, 11, 13))


def test_tiff_ome_dimension_orders(read, tmp_path):
    """All six orders, with the pages laid out by hand."""
    for order in ("CZT", "CTZ", "ZCT", "ZTC", "TCZ", "TZC"):
        xml = ('<?xml version="1.0"?><OME:OME xmlns:OME="x"><OME:Image ID="Image:0"><OME:Pixels DimensionOrder="XY%s" SizeX="5" SizeY="4" '
               "SizeC='2' SizeZ='3' SizeT='2' Type='uint8'></OME:Pixels></OME:Image></OME:OME>" % order)
        want = numbers("uint8", (2, 3, 2, 4, 5))                     # T Z C Y X
        slow_to_fast = order[::-1]
        pages = want.transpose(["TZC".index(a) for a in slow_to_fast] + [3, 4]).reshape(-1, 4, 5)
        with tifffile.TiffWriter(tmp_path / "a.tif") as w:
            for i, page in enumerate(pages):
                w.write(page, description=xml if i == 0 else None, metadata=None, contiguous=False)
        got = read(tmp_path / "a.tif")["images"]
        assert got.shape == (6, 2, 4, 5)
        frames = {tuple(f.ravel()) for f in got.reshape(6, -1)}
        assert frames == {tuple(f.ravel()) for f in want.reshape(6, -1)}, order


def test_tiff_pages_of_unknown_meaning_are_images(read, tmp_path):
    x = numbers("uint8", (5, 6, 7))
    with tifffile.TiffWriter(tmp_path / "a.tif") as w:
        for page in x:
            w.write(page, metadata=None, contiguous=False)
    np.testing.assert_array_equal(read(tmp_path / "a.tif")["images"][:, 0], x)


def test_tiff_reduced_pages_are_passed_over(read, tmp_path):
    x = numbers("uint8", (16, 16))
    with tifffile.TiffWriter(tmp_path / "a.tif") as w:
        w.write(x, metadata=None)
        w.write(x[::2, ::2], metadata=None, subfiletype=1)
    np.testing.assert_array_equal(read(tmp_path / "a.tif")["images"][0, 0], x)


def test_tiff_written_by_pillow(read, tmp_path):
    for mode, dtype in (("L", "uint8"), ("I;16", "uint16"), ("F", "float32"), ("RGB", "uint8")):
        x = numbers(dtype, (12, 10, 3) if mode == "RGB" else (12, 10))
        Image.fromarray(x).save(tmp_path / "a.tif", compression="tiff_lzw")
        want = np.moveaxis(x, -1, 0) if mode == "RGB" else x[None]
        np.testing.assert_array_equal(read(tmp_path / "a.tif")["images"][0], want)


def test_tiff_palettes_are_numbers(read, tmp_path):
    x = numbers("uint8", (12, 10))
    im = Image.fromarray(x).convert("P")
    im.putpalette([i for i in range(256) for _ in range(3)])
    im.save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read(tmp_path / "a.tif")["images"][0, 0], x)


def test_tiff_refusals(refuse, tmp_path):
    x = numbers("uint8", (32, 32, 3))
    Image.fromarray(x).save(tmp_path / "jpeg.tif", compression="jpeg")
    refuse(tmp_path / "jpeg.tif", "JPEG", "save it with deflate")
    Image.fromarray(x[..., 0] > 99).save(tmp_path / "bits.tif")
    refuse(tmp_path / "bits.tif", "pixels of 1 bits", "8 or 16")
    with tifffile.TiffWriter(tmp_path / "mixed.tif") as w:
        w.write(x[..., 0], metadata=None)
        w.write(x[:9, ..., 0], metadata=None)
    refuse(tmp_path / "mixed.tif", "page 2", "32 x 9", "must be alike")
    tifffile.imwrite(tmp_path / "big.tif", np.full((4, 4), 2**24, "uint32"))
    refuse(tmp_path / "big.tif", "16,777,216", "scale them down")
    tifffile.imwrite(tmp_path / "part.ome.tif", numbers("uint8", (4, 8, 8)), ome=True, metadata={"axes": "CYX"}, photometric="minisblack")
    whole = (tmp_path / "part.ome.tif").read_bytes()
    (tmp_path / "part.ome.tif").write_bytes(whole.replace(b'SizeC="4"', b'SizeC="8"'))
    refuse(tmp_path / "part.ome.tif", "OME-XML speaks of 8 pages but there are 4", "save it as one")


def test_tiff_truncated_anywhere(tool, tmp_path):
    x = numbers("uint16", (2, 40, 30))
    tifffile.imwrite(tmp_path / "a.tif", x, compression="zlib", rowsperstrip=10, photometric="minisblack", metadata={"axes": "TYX"})
    whole = (tmp_path / "a.tif").read_bytes()
    names = []
    for size in range(1, len(whole), 37):
        names.append(tmp_path / f"{size}.tif")
        names[-1].write_bytes(whole[:size])
    done = subprocess.run([tool, "--check"], input="\n".join(map(str, names)) + "\n", capture_output=True, text=True, timeout=120)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and len(lines) == len(names)
    assert all(line.startswith("2\t") and str(n) in line.split("\t", 2)[2] for line, n in zip(lines, names))


# ------------------------------------------------------------------------------------------- PNG


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_png_gray(read, tmp_path, dtype):
    x = numbers(dtype, (23, 31))
    Image.fromarray(x).save(tmp_path / "a.png")
    got = read(tmp_path / "a.png")
    assert got["images"].dtype == dtype
    np.testing.assert_array_equal(got["images"], x[None, None])


def test_png_colours_palette_alpha_bits(read, tmp_path):
    x = numbers("uint8", (20, 30, 4))
    Image.fromarray(x).save(tmp_path / "rgba.png")
    np.testing.assert_array_equal(read(tmp_path / "rgba.png")["images"][0], np.moveaxis(x[..., :3], -1, 0))
    Image.merge("LA", [Image.fromarray(x[..., 0]), Image.fromarray(x[..., 1])]).save(tmp_path / "la.png")
    np.testing.assert_array_equal(read(tmp_path / "la.png")["images"][0], x[None, ..., 0])
    palette = Image.fromarray(x[..., :3]).quantize(16)
    palette.save(tmp_path / "p.png")
    np.testing.assert_array_equal(read(tmp_path / "p.png")["images"][0], np.moveaxis(np.asarray(palette.convert("RGB")), -1, 0))
    Image.fromarray(x[..., 0] > 99).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read(tmp_path / "bits.png")["images"][0, 0], (x[..., 0] > 99) * 255)


def test_png_keeps_values_whatever_gamma_says(read, tmp_path):
    from PIL.PngImagePlugin import PngInfo

    x = numbers("uint8", (20, 30))
    info = PngInfo()
    info.add(b"gAMA", (100000).to_bytes(4, "big"))
    Image.fromarray(x).save(tmp_path / "a.png", pnginfo=info)
    np.testing.assert_array_equal(read(tmp_path / "a.png")["images"][0, 0], x)


# ----------------------------------------------------------------------------------- NumPy's files


@pytest.mark.parametrize("dtype", ["|b1", "|u1", "<u2", ">u2", "<i4", ">i8", "<f4", ">f8"])
def test_npy_numbers(read, tmp_path, dtype):
    x = (numbers("uint8", (3, 7, 5)) % 2).astype(bool) if dtype == "|b1" else numbers(dtype[1:], (3, 7, 5)).astype(dtype)
    np.save(tmp_path / "a.npy", x)
    np.testing.assert_array_equal(read(tmp_path / "a.npy")["images"][:, 0], x.astype("float32"))


@pytest.mark.parametrize("shape, want", [((7, 5), (1, 1, 7, 5)), ((3, 7, 5), (3, 1, 7, 5)), ((3, 2, 7, 5), (3, 2, 7, 5)),
                                         ((6, 7, 5, 3), (6, 3, 7, 5)), ((2, 4, 5, 3), (2, 4, 5, 3))])
def test_npy_shapes(read, tmp_path, shape, want):
    x = numbers("uint8", shape)
    np.save(tmp_path / "a.npy", x)
    got = read(tmp_path / "a.npy")["images"]
    assert got.shape == want
    np.testing.assert_array_equal(got, np.moveaxis(x, -1, 1) if shape == (6, 7, 5, 3) else x.reshape(want))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_with_columns(read, tmp_path, save):
    x = numbers("uint16", (5, 2, 6, 7))
    columns = {"name": np.array(["a", "b b", "ü", "日本", "e" * 40]), "area": np.arange(5) - 2, "weight": np.linspace(0, 1, 5),
               "treated": np.arange(5) % 2 == 0, "channel_names": np.array(["DNA", "Mito"]), "of_another_length": np.arange(9),
               "label": np.array([[1], [2], [3], [4], [5]], "uint8"), "matrix": np.zeros((5, 3))}
    save(tmp_path / "a.npz", images=x, **columns)
    got = read(tmp_path / "a.npz")
    np.testing.assert_array_equal(got["images"], x)
    for key in ("name", "area", "weight", "treated", "channel_names"):
        np.testing.assert_array_equal(got[key], columns[key])
    np.testing.assert_array_equal(got["label"], [1, 2, 3, 4, 5])
    assert set(got) == {"images", "name", "area", "weight", "treated", "channel_names", "label", "log"}


def test_npz_finds_the_one_array_of_images(read, refuse, tmp_path):
    x = numbers("uint8", (5, 6, 7))
    np.savez(tmp_path / "a.npz", cells=x, label=np.arange(5))
    np.testing.assert_array_equal(read(tmp_path / "a.npz")["images"][:, 0], x)
    np.savez(tmp_path / "b.npz", cells=x, masks=x)
    refuse(tmp_path / "b.npz", "\"images\"", "2 could be")


def test_numpy_refusals(refuse, tmp_path):
    np.save(tmp_path / "f.npy", np.asfortranarray(numbers("uint8", (4, 5, 6))))
    refuse(tmp_path / "f.npy", "Fortran", "ascontiguousarray")
    np.save(tmp_path / "c.npy", np.zeros((4, 4), "complex64"))
    refuse(tmp_path / "c.npy", "<c8", "uint16 or float32")
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object), allow_pickle=True)
    refuse(tmp_path / "o.npy", "|O")
    np.save(tmp_path / "n.npy", np.zeros((0, 4, 4)))
    refuse(tmp_path / "n.npy", "no images")
    np.save(tmp_path / "d.npy", np.zeros((2, 2, 2, 2, 2)))
    refuse(tmp_path / "d.npy", "5 axes")
    x = np.zeros((3, 4, 5), "float32")
    x[1, 2, 3] = np.nan
    np.save(tmp_path / "nan.npy", x)
    refuse(tmp_path / "nan.npy", "image 1", "row 2, column 3", "NaN")
    whole = (tmp_path / "nan.npy").read_bytes()
    (tmp_path / "short.npy").write_bytes(whole[:-8])
    refuse(tmp_path / "short.npy", "cut short")
    (tmp_path / "lies.npy").write_bytes(whole.replace(b"(3, 4, 5)", b"(9, 9, 9)"))
    refuse(tmp_path / "lies.npy", "729 elements")
    (tmp_path / "huge.npy").write_bytes(whole.replace(b"(3, 4, 5), }      ", b"(3000000000,9,9),}"))
    refuse(tmp_path / "huge.npy", "announces")


def test_other_files_are_refused(refuse, tmp_path):
    (tmp_path / "a.txt").write_text("not an image")
    refuse(tmp_path / "a.txt", "TIFF, PNG, .npy and .npz")
    (tmp_path / "empty.tif").write_bytes(b"")
    refuse(tmp_path / "empty.tif", "empty")
    (tmp_path / "folder").mkdir()
    refuse(tmp_path / "folder", "no image file")
    refuse(tmp_path / "missing.tif", "No such file")


# -------------------------------------------------------------------------------- folders and labels


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "cells"
    path.mkdir()
    x = numbers("uint8", (4, 9, 8))
    tifffile.imwrite(path / "b.tif", x[1])
    Image.fromarray(x[0]).save(path / "a.png")
    tifffile.imwrite(path / "c.tif", x[2:], photometric="minisblack", metadata={"axes": "TYX"})
    (path / "notes.txt").write_text("passed over")
    (path / ".hidden.png").write_bytes((path / "a.png").read_bytes())
    return path, x


def test_folder(read, folder):
    path, x = folder
    got = read(path)
    np.testing.assert_array_equal(got["images"][:, 0], x)
    assert list(got["name"]) == ["a.png", "b.tif", "c.tif:0", "c.tif:1"]


def test_labels(read, folder, tmp_path):
    path, x = folder
    table = tmp_path / "labels.csv"
    table.write_text('\ufefffile,type,"dose, µM",plate,note,code\r\nc.tif:1,"a ""b""",0.5,3,,007\r\nb,B,1,4,x,008\r\na.png,A,2,5,y,009\r\nc.tif:0,C,,6,,010\r\nzzz,Z,9,9,,1\r\n',
                     encoding="utf-8")
    got = read(path, table)
    assert list(got["type"]) == ["A", "B", "C", 'a "b"']
    np.testing.assert_array_equal(got["dose, µM"], [2, 1, np.nan, 0.5])
    np.testing.assert_array_equal(got["plate"], [5, 4, 6, 3])
    assert list(got["code"]) == ["009", "008", "010", "007"]
    assert "1 rows are of no image" in got["log"]


def test_labels_of_a_stack_by_place(read, tmp_path):
    x = numbers("uint8", (3, 9, 8))
    np.save(tmp_path / "a.npy", x)
    (tmp_path / "labels.csv").write_text("index\tfile\tclass\n2\tz\tC\n0\tx\tA\n1\ty\tB\n")
    got = read(tmp_path / "a.npy", tmp_path / "labels.csv")
    assert list(got["class"]) == ["A", "B", "C"] and list(got["file"]) == ["x", "y", "z"]


def test_label_refusals(refuse, folder, tmp_path):
    path, _ = folder
    table = tmp_path / "labels.csv"
    for text, words in [("type\nA\n", ["no column \"file\""]), ("file,type\na.png,A\n", ["no row for image \"b.tif\""]),
                        ("file,type\na,A\nb,B\n\"c,C\n", ["line 4", "quote"]), ("file,type\na,A,B\n", ["line 2", "more fields"]),
                        ("file,type\na\n", ["line 2", "1 fields"]), ("", ["empty"]),
                        ("file,t\na,1\na,2\nb,3\nc.tif:0,4\nc.tif:1,5\n", ["\"a.png\"", "more than one"])]:
        table.write_text(text)
        refuse(path, *words, labels=table)


def test_mixed_folders_are_refused(refuse, folder):
    path, _ = folder
    tifffile.imwrite(path / "d.tif", numbers("uint8", (9, 9)))
    refuse(path, "d.tif: 9 x 9 pixels", "a.png has 9 x 8", "isolario crops")
    tifffile.imwrite(path / "d.tif", numbers("uint8", (9, 8, 3)), photometric="rgb")
    refuse(path, "d.tif: 3 channels", "a.png has 1")


def test_twelve_bits_are_noted(read, tmp_path):
    np.save(tmp_path / "a.npy", np.full((2, 4, 4), 4095, "uint16"))
    assert "12 bits or fewer" in read(tmp_path / "a.npy")["log"]
    np.save(tmp_path / "a.npy", np.full((2, 4, 4), 4096, "uint16"))
    assert "12 bits" not in read(tmp_path / "a.npy")["log"]


# -------------------------------------------------------------------------------- memory; real data


@pytest.mark.parametrize("kind", ["tif", "png", "npy", "npz", "folder"])
def test_every_allocation_may_fail(tool, folder, tmp_path, kind):
    path, x = folder
    tifffile.imwrite(tmp_path / "a.tif", x[:, None], ome=True, photometric="minisblack", metadata={"axes": "TCYX", "Channel": {"Name": ["DNA"]}})
    Image.fromarray(x[0]).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", x)
    np.savez_compressed(tmp_path / "a.npz", images=x, name=np.array(list("abcd")), label=np.arange(4.0))
    done = subprocess.run([tool, "--no-memory", path if kind == "folder" else tmp_path / f"a.{kind}"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and int(done.stdout) > 3, done.stderr


@pytest.mark.skipif("ISO_IMAGE_DATA" not in os.environ, reason="set ISO_IMAGE_DATA to a folder of your own TIFF and PNG files to have them read beside tifffile and Pillow")
def test_real_files(read):
    """Every image file below the folder that ISO_IMAGE_DATA names, against tifffile and Pillow."""
    files = [p for p in sorted(Path(os.environ["ISO_IMAGE_DATA"]).rglob("*")) if p.suffix in (".tif", ".png")]
    assert files
    for path in files:
        if path.suffix == ".png":
            want = np.asarray(Image.open(path))[None, None]
        else:
            with tifffile.TiffFile(path) as t:
                series = t.series[0]
                want, axes = series.asarray(), series.axes
            want = want.reshape(-1, *want.shape[-3:]) if "S" in axes else want
            if "S" in axes:
                want = np.moveaxis(want, -1, 1)
            elif "C" in axes:
                want = want.reshape(-1, want.shape[axes.index("C")], *want.shape[-2:])
            else:
                want = want.reshape(-1, 1, *want.shape[-2:])
        got = read(path)["images"]
        assert got.shape == want.shape, path
        np.testing.assert_array_equal(got, want, err_msg=str(path))
