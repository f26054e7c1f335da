"""The image readers against damaged and hostile files: each ends in time and in little memory, with images or with a message that names
the file. ISO_TEST_DAMAGE multiplies the number of damaged files (1 by default)."""
import os
import struct
import subprocess
import zipfile
import zlib

import pytest

np = pytest.importorskip("numpy")
tifffile = pytest.importorskip("tifffile")
Image = pytest.importorskip("PIL.Image")

DAMAGE = int(os.environ.get("ISO_TEST_DAMAGE", "1"))
OK, EDATA, EIO, MIB = 0, 2, 3, 1 << 20


@pytest.fixture
def check(build):
    """check(paths): status and message of each, from one process that must not die, nor hold more than 500 MiB."""
    tool = build / "tests" / "tool_images"

    def run(paths):
        names = [str(p) for p in paths]
        done = subprocess.run(["prlimit", f"--as={500 * MIB}", tool, "--check"], input="".join(n + "\n" for n in names), capture_output=True,
                              text=True, errors="replace", timeout=120)
        lines = [line.split("\t", 2) for line in done.stdout.splitlines()]
        assert done.returncode == 0, f"{names[len(lines)]}: the program ended with {done.returncode}"
        assert [line[1] for line in lines] == names
        for status, name, message in lines:
            assert int(status) == OK or (int(status) in (EDATA, EIO) and name in message), (status, name, message)
        return [(int(status), message) for status, _, message in lines]

    return run


def whole_files(folder):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 9, (3, 2, 12, 10)).astype("uint16")
    files = {name: folder / name for name in ("strips.tif", "tiles.tif", "ome.tif", "imagej.tif", "rgb.tif", "lzw.tif", "gray.png", "rgb.png", "palette.png",
                                              "a.npy", "stored.npz", "packed.npz")}
    tifffile.imwrite(files["strips.tif"], x[:, 0], compression="zlib", rowsperstrip=5, photometric="minisblack", metadata={"axes": "TYX"})
    tifffile.imwrite(files["tiles.tif"], x[0, 0], tile=(16, 16), bigtiff=True)
    tifffile.imwrite(files["ome.tif"], x, ome=True, photometric="minisblack", metadata={"axes": "TCYX", "Channel": {"Name": ["DNA", "Mito"]}})
    tifffile.imwrite(files["imagej.tif"], x, imagej=True, metadata={"axes": "TCYX"})
    tifffile.imwrite(files["rgb.tif"], rng.integers(0, 9, (3, 12, 10)).astype("uint8"), photometric="rgb", planarconfig="separate")
    tifffile.imwrite(files["lzw.tif"], x[0, 0], compression="lzw", predictor=True)
    Image.fromarray(x[0, 0]).save(files["gray.png"])
    colours = Image.fromarray(rng.integers(0, 255, (12, 10, 3)).astype("uint8"))
    colours.save(files["rgb.png"])
    colours.quantize(8).save(files["palette.png"])
    np.save(files["a.npy"], x)
    columns = {"name": np.array(["a", "ü", "ccc"]), "area": np.arange(3), "channel_names": np.array(["DNA", "Mito"])}
    np.savez(files["stored.npz"], images=x, **columns)
    np.savez_compressed(files["packed.npz"], images=x, **columns)
    return files


NAMES = ["strips.tif", "tiles.tif", "ome.tif", "imagej.tif", "rgb.tif", "lzw.tif", "gray.png", "rgb.png", "palette.png", "a.npy", "stored.npz", "packed.npz"]


@pytest.mark.parametrize("name", NAMES)
def test_damaged_bytes(check, tmp_path, name):
    whole = whole_files(tmp_path)[name].read_bytes()
    rng = np.random.default_rng(NAMES.index(name))
    paths = []
    for k in range(150 * DAMAGE):
        b = bytearray(whole)
        for _ in range(1 + k % 4):
            at = rng.integers(0, min(len(b), 600) if k % 2 else len(b))
            b[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)])
        paths.append(tmp_path / f"{k}_{name}")
        paths[-1].write_bytes(b)
    answers = check(paths)
    assert {status for status, _ in answers} - {OK, EIO} == {EDATA}


@pytest.mark.parametrize("name", NAMES)
def test_cut_short(check, tmp_path, name):
    whole = whole_files(tmp_path)[name].read_bytes()
    paths = []
    for size in [*range(1, 40), *range(40, len(whole), max(1, len(whole) // (100 * DAMAGE)))]:
        paths.append(tmp_path / f"{size}_{name}")
        paths[-1].write_bytes(whole[:size])
    answers = check(paths)
    assert all(status == EDATA for status, _ in answers[:-3])               # the last bytes of a file may be in no use


def tiff(entries, after=0, pages=1, extra=b""):
    """A little-endian TIFF of one directory at 8: entries (tag, type, count, value); `after`: where the next one is said to be."""
    body = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHIHH" if kind == 3 else "<HHII", tag, kind, count, *([value, 0] if kind == 3 else [value]))
                                                      for tag, kind, count, value in entries)
    return b"II*\0" + struct.pack("<I", 8) + body + struct.pack("<I", after) + extra


def plain(width=4, height=4, bits=8, compression=1, offset=200, count=16, rows=None, samples=1):
    return [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, compression), (262, 3, 1, 1), (273, 4, 1, offset),
            (277, 3, 1, samples), (278, 4, 1, rows or height), (279, 4, 1, count)]


def test_hostile_tiffs(check, tmp_path):
    filler = bytes(400)
    good = tiff(plain(), extra=filler)
    cases = {
        "good": good,
        "cycle": tiff(plain(), after=8, extra=filler),
        "next_outside": tiff(plain(), after=1 << 30, extra=filler),
        "huge": tiff(plain(1 << 20, 1 << 20, count=1 << 30), extra=filler),
        "huger": tiff(plain(0xFFFFFFFF, 0xFFFFFFFF, count=0xFFFFFFFF), extra=filler),
        "huge_deflate": tiff(plain(60000, 60000, compression=8), extra=filler),
        "huge_rows": tiff(plain(rows=0xFFFFFFFE), extra=filler),
        "many_samples": tiff(plain(samples=65535), extra=filler),
        "no_size": tiff(plain(0, 0), extra=filler),
        "strip_outside": tiff(plain(offset=1 << 30), extra=filler),
        "no_strips": tiff([e for e in plain() if e[0] not in (273, 279)], extra=filler),
        "many_strips": tiff([(t, k, 1 << 28 if t in (273, 279) else c, v) for t, k, c, v in plain(height=1 << 20, rows=1)], extra=filler),
        "tiles_of_nothing": tiff(plain() + [(322, 4, 1, 0), (323, 4, 1, 0), (324, 4, 1, 100), (325, 4, 1, 16)], extra=filler),
        "tiles_of_all": tiff(plain() + [(322, 4, 1, 1 << 24), (323, 4, 1, 1 << 24), (324, 4, 1, 100), (325, 4, 1, 16)], extra=filler),
        "unknown_compression": tiff(plain(compression=12345), extra=filler),
        "endless_text": tiff([(256, 4, 1, 4), (270, 2, 0xFFFFFFF0, 100)] + plain()[1:], extra=filler),
    }
    paths = []
    for name, b in cases.items():
        paths.append(tmp_path / f"{name}.tif")
        paths[-1].write_bytes(b)
    answers = dict(zip(cases, check(paths)))
    assert answers["good"][0] == OK
    lenient = {"good", "huge_rows", "endless_text"}                          # libtiff may mend these
    for name, (status, message) in answers.items():
        assert status == EDATA or name in lenient, (name, status, message)
    assert "damaged after page 1" in answers["cycle"][1]


def test_descriptions_that_lie(check, tmp_path):
    x = np.zeros((6, 4, 4), "uint8")
    texts = ["ImageJ=1\nimages=6\nchannels=0\n", "ImageJ=1\nimages=6\nchannels=4\n", "ImageJ=1\nimages=99999999999999999999\n", "ImageJ=1\nimages=-6\nchannels=-2\n",
             '{"shape": [9, 4, 4]}', '{"shape": [-6, 4, 4]}', '{"shape": [3037000500, 3037000500, 4, 4]}',
             "<OME><Pixels SizeC='0'/></OME>", "<OME><Pixels DimensionOrder='XYCCT'/></OME>", "<OME></OME>",
             "<OME><Pixels SizeC='3' SizeZ='3'/></OME>", "<OME><Pixels SizeC='6'/><Pixels SizeC='6'/></OME>", "<OME><Pixels SizeC='4611686018427387904' SizeZ='4'/></OME>"]
    fine = ['{"shape": "no"}', '{"shape": [', "<OME", "<OME><Pixels SizeC='6'><Channel Name='unfinished", "<OME:OME><x:Pixels SizeT='6'", "\xff\xfe<"]
    paths = []
    for i, text in enumerate(texts + fine):
        paths.append(tmp_path / f"{i}.tif")
        with tifffile.TiffWriter(paths[-1]) as w:
            for k, page in enumerate(x):
                w.write(page, description=text.encode("latin-1") if k == 0 else None, metadata=None, contiguous=False)
    for text, (status, message) in zip(texts + fine, check(paths)):
        assert status == EDATA or text in fine, (text, message)


def png(chunks):
    b = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        b += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return b


def test_hostile_pngs(check, tmp_path):
    def head(w, h, bits=8, colour=0, interlace=0):
        return b"IHDR", struct.pack(">IIBBBBB", w, h, bits, colour, 0, 0, interlace)

    rows = zlib.compress(b"\0\1\2\3\4" * 4)
    cases = {
        "good": [head(4, 4), (b"IDAT", rows), (b"IEND", b"")],
        "huge": [head(1 << 20, 1 << 20), (b"IDAT", rows), (b"IEND", b"")],
        "huger": [head(0x7FFFFFFF, 0x7FFFFFFF), (b"IDAT", rows), (b"IEND", b"")],
        "nothing": [head(0, 0), (b"IEND", b"")],
        "no_data": [head(4, 4), (b"IEND", b"")],
        "short_data": [head(4, 400), (b"IDAT", rows), (b"IEND", b"")],
        "no_palette": [head(4, 4, colour=3), (b"IDAT", rows), (b"IEND", b"")],
        "odd_bits": [head(4, 4, bits=5), (b"IDAT", rows), (b"IEND", b"")],
        "no_header": [(b"IDAT", rows), (b"IEND", b"")],
        "bomb_text": [head(4, 4), (b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 28))), (b"IDAT", rows), (b"IEND", b"")],
    }
    paths = []
    for name, chunks in cases.items():
        paths.append(tmp_path / f"{name}.png")
        paths[-1].write_bytes(png(chunks))
    for name, (status, message) in zip(cases, check(paths)):
        assert status == (OK if name in ("good", "bomb_text") else EDATA), (name, message)


def test_hostile_archives(check, tmp_path):
    def npy(shape="(1, 4, 4)", descr="'|u1'", data=bytes(16), length=118):
        text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".ljust(length - 1) + "\n"
        return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode() + data

    cases = {"lying_shape": npy("(1000000, 1000000, 1000)"), "overflow": npy("(4294967296, 4294967296, 1)"), "negative": npy("(-1, 4, 4)"),
             "not_closed": npy("(1, 4, 4"), "no_shape": npy("None"), "wide": npy(descr="'<U1000000000'"), "structured": npy(descr="[('a', '<f4')]"),
             "many_axes": npy("(1,1,1,1,1,1,1,1,1,1,4,4)"), "huge_side": npy("(1, 1, 16777216)", data=bytes(1 << 24))}
    paths = []
    for name, b in cases.items():
        paths.append(tmp_path / f"{name}.npz")
        with zipfile.ZipFile(paths[-1], "w", zipfile.ZIP_DEFLATED) as z:
            z.writestr("images.npy", b)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as z:      # says 16 bytes, unpacks to 64 MiB
        z.writestr("images.npy", npy(data=bytes(1 << 26)))
    b = (tmp_path / "bomb.npz").read_bytes()
    true = struct.pack("<I", len(npy()) - 16 + (1 << 26))
    assert b.count(true) == 2
    (tmp_path / "bomb.npz").write_bytes(b.replace(true, struct.pack("<I", len(npy()))))
    with zipfile.ZipFile(tmp_path / "bz2.npz", "w", zipfile.ZIP_BZIP2) as z:
        z.writestr("images.npy", npy())
    with zipfile.ZipFile(tmp_path / "empty.npz", "w"):
        pass
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as z:
        z.writestr("readme.txt", "nothing")
    paths += [tmp_path / f"{n}.npz" for n in ("bomb", "bz2", "empty", "other")]
    for path, (status, message) in zip(paths, check(paths)):
        assert status == EDATA, (path, message)


def test_fuzz_corpus(check, root, tmp_path):
    """What hours of libFuzzer (tests/fuzz_image.c) found that takes a way of its own through the readers."""
    with zipfile.ZipFile(root / "tests/fuzz_image.zip") as corpus:
        corpus.extractall(tmp_path)
    statuses = [status for status, _ in check(sorted(tmp_path.iterdir()))]
    assert len(statuses) > 250 and statuses.count(EDATA) > 100
