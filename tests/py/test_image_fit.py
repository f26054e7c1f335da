"""Models of images by the commands: every law, bits, conditions, sizes, anomalies, and what they refuse."""
import csv
import json

import pytest

np = pytest.importorskip("numpy")
h5py = pytest.importorskip("h5py")
tifffile = pytest.importorskip("tifffile")

FEW = ("--max-epochs", 3, "--first-channels", 16, "--quiet")


@pytest.fixture(scope="module")
def cells(isolario, tmp_path_factory):
    """240 synthetic cells of 32 x 32."""
    path = tmp_path_factory.mktemp("cells") / "cells.npz"
    isolario("simulate", "cells", "-n", 240, "--size", 32, "-o", path, "--quiet")
    return path


@pytest.fixture(scope="module")
def run(isolario, cells, tmp_path_factory):
    """A run of the plain law, long enough to draw cells."""
    folder = tmp_path_factory.mktemp("run") / "run"
    isolario("fit", cells, "-o", folder, "--labels-key", "label", "--max-epochs", 60, "--batch-size", 8, "--first-channels", 16, "--no-early-stopping",
             "--quiet")
    return folder


def about(folder):
    return json.loads((folder / "run.json").read_text())


def latent(path):
    with h5py.File(path) as f:
        return f["obsm/X_isolario"][:], f["obsm/X_isolario_var"][:]


def invariant(path):
    with h5py.File(path) as f:
        return f["obsm/X_isolario_invariant"][:] if "obsm/X_isolario_invariant" in f else None


def table(text):
    return list(csv.DictReader(text.splitlines(), delimiter="\t"))


@pytest.mark.parametrize("law", ["gaussian", "wavelet", "photon", "feature", "mse"])
@pytest.mark.parametrize("grid", [0, 4])
def test_every_law_learns(isolario, cells, tmp_path, law, grid):
    isolario("fit", cells, "-o", tmp_path / "run", "--likelihood", law, "--grid", grid, "--no-map", *FEW, "--batch-size", 16)
    rows = list(csv.DictReader((x for x in open(tmp_path / "run" / "log.txt") if not x.startswith("#")), delimiter="\t"))
    elbo = [float(row["train_elbo"]) for row in rows]
    assert len(elbo) == 3 and np.all(np.isfinite(elbo)) and elbo[-1] > elbo[0]
    isolario("reconstruct", tmp_path / "run", cells, "-o", tmp_path / "again.npz", "--quiet")
    again = np.load(tmp_path / "again.npz")["images"]
    assert again.shape == (240, 1, 32, 32) and np.all(np.isfinite(again))


def test_reconstructions_are_like_the_clean_cells(isolario, cells, run, tmp_path):
    isolario("reconstruct", run, cells, "-o", tmp_path / "again.npz", "--quiet")
    clean, again = np.load(cells)["clean"].reshape(240, -1), np.load(tmp_path / "again.npz")["images"].reshape(240, -1)
    assert np.mean((again - clean) ** 2) < 0.25 * np.mean((clean.mean(0) - clean) ** 2)


def test_a_fixed_sigma_collapses_and_its_cure_is_named(isolario, cells, tmp_path):
    done = isolario("fit", cells, "-o", tmp_path / "run", "--likelihood", "mse", "--grid", 0, "--no-map", *FEW)
    d = about(tmp_path / "run")["diagnosis"]
    assert d["verdict"] == "collapsed" and "--likelihood gaussian" in d["cure"] and "--likelihood gaussian" in done.stderr


def test_same_bits_for_any_number_of_threads(isolario, cells, tmp_path):
    for t in (1, 2, 3):
        isolario("fit", cells, "-o", tmp_path / f"{t}", "--threads", t, "--no-map", "--max-epochs", 1, "--quiet", "--seed", 5)
    a, b, c = (latent(tmp_path / f"{t}" / "latent.h5ad") for t in (1, 2, 3))
    assert np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1]) and np.array_equal(a[0], c[0])
    weights = [(tmp_path / f"{t}" / "model.safetensors").read_bytes() for t in (1, 2, 3)]
    tensors = [w[8 + int.from_bytes(w[:8], "little"):] for w in weights]
    assert tensors[0] == tensors[1] == tensors[2]


def test_embed_gives_the_latent_of_the_run(isolario, cells, run, tmp_path):
    isolario("embed", run, cells, "-o", tmp_path / "e.h5ad", "--quiet")
    for a, b in zip(latent(tmp_path / "e.h5ad"), latent(run / "latent.h5ad")):
        assert np.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("shape,turns", [((32, 32), (0, 1, 2, 3)), ((24, 40), (0, 2))])
def test_a_turned_image_lies_where_it_lay(isolario, cells, tmp_path, shape, turns):
    """An image is placed in its standard attitude: its light to the right of the middle and below, rather to the right if it is square."""
    images = np.tile(np.load(cells)["images"], (1, 1, 1, 2))[:, :, :shape[0], :shape[1]]
    np.savez(tmp_path / "x.npz", images=images)
    isolario("fit", tmp_path / "x.npz", "-o", tmp_path / "run", "--no-map", *FEW)
    model = (tmp_path / "run" / "model.safetensors").read_bytes()
    assert model.count(b'"augment\\":true') == 1
    (tmp_path / "plain.safetensors").write_bytes(model.replace(b'"augment\\":true', b'"augment\\":null'))      # embeds images as they lie

    def places(model):
        out = []
        for turn in turns:
            for flip in (1, -1):
                np.savez(tmp_path / "turned.npz", images=np.ascontiguousarray(np.rot90(images, turn, axes=(2, 3))[..., ::flip]))
                isolario("embed", model, tmp_path / "turned.npz", "-o", tmp_path / "e.h5ad", "--force", "--quiet")
                out.append((*latent(tmp_path / "e.h5ad"), invariant(tmp_path / "e.h5ad")))
        return [np.array(a) for a in zip(*out)]

    mu, variance, mean = places(tmp_path / "run")
    each, inside, none = places(tmp_path / "plain.safetensors")
    assert np.abs(each - each[0]).max() > 0.01, "the model itself sees how an image lies"
    x, y = np.arange(shape[1]) - (shape[1] - 1) / 2, np.arange(shape[0]) - (shape[0] - 1) / 2
    light = [np.ascontiguousarray(np.rot90(images, turn, axes=(2, 3))[..., ::flip]).sum(1) for turn in turns for flip in (1, -1)]
    right, down = np.array([(v * x).sum((1, 2)) for v in light]), np.array([(v * y[:, None]).sum((1, 2)) for v in light])
    way = np.argmax((right > 0) & (down > 0) & ((right > down) | (len(light) == 4)), axis=0)
    cell = np.arange(len(way))
    assert np.abs(mu - each[way, cell]).max() < 1e-4 and np.abs(variance / inside[way, cell] - 1).max() < 1e-3
    assert np.abs(mean - each.mean(0)).max() < 2e-6 and all(n is None for n in none)
    assert np.array_equal(invariant(tmp_path / "run" / "latent.h5ad"), mean[0])


def test_neighbours_are_those_of_cells_whichever_way_they_are_turned(run):
    with h5py.File(run / "latent.h5ad") as f:
        d, places = f["obsp/distances"], f["obsm/X_isolario_invariant"][:]
        assert f["uns/neighbors/params/use_rep"][()] == b"X_isolario_invariant"
        index, start, distance = d["indices"][:], d["indptr"][:], d["data"][:]
    for i in range(0, len(places), 17):
        away = np.linalg.norm(places - places[i], axis=1)
        mine = slice(start[i], start[i + 1])
        assert np.allclose(distance[mine], away[index[mine]], rtol=1e-6, atol=0)
        assert away[index[mine]].max() <= np.sort(away)[mine.stop - mine.start] * (1 + 1e-6)


def test_new_cells_have_the_units_of_the_file(isolario, cells, run, tmp_path):
    isolario("sample", run, "-n", 50, "-o", tmp_path / "new.npz", "--quiet")
    images, new = np.load(cells)["images"].astype(float), np.load(tmp_path / "new.npz")["images"]
    assert new.shape == (50, 1, 32, 32)
    assert abs(new.mean() - images.mean()) < 0.3 * images.mean() and np.percentile(new, 99) > 0.4 * np.percentile(images, 99)
    isolario("sample", run, "-n", 3, "-o", tmp_path / "tiffs", "--quiet")
    assert sorted(tifffile.imread(f).shape for f in (tmp_path / "tiffs").glob("*.tif*")) == [(32, 32)] * 3


@pytest.mark.parametrize("shape,dtype", [((3, 50, 70), "uint8"), ((8, 33, 32), "float32"), ((1, 100, 256), "uint16")])
def test_sizes_and_channels(isolario, tmp_path, shape, dtype):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "x.npz", images=(rng.random((20, *shape)) * 200).astype(dtype))
    isolario("fit", tmp_path / "x.npz", "-o", tmp_path / "run", "--no-map", "--max-epochs", 1, "--first-channels", 8, "--quiet")
    isolario("reconstruct", tmp_path / "run", tmp_path / "x.npz", "-o", tmp_path / "r.npz", "--quiet")
    assert np.load(tmp_path / "r.npz")["images"].shape == (20, *shape)


def test_a_plate_as_batch(isolario, tmp_path):
    """The decoder is told the plate: a plate that is brighter need not be in z, and must be named to embed."""
    rng = np.random.default_rng(1)
    plate = np.arange(120) % 2
    images = rng.normal(100, 5, (120, 1, 16, 16)) + 60 * plate[:, None, None, None]
    np.savez(tmp_path / "x.npz", images=images.astype("float32"), plate=np.array(["a", "b"])[plate])
    np.savez(tmp_path / "bare.npz", images=images.astype("float32"))
    isolario("fit", tmp_path / "x.npz", "-o", tmp_path / "run", "--batch-key", "plate", "--no-map", "--max-epochs", 20, "--quiet")
    isolario("reconstruct", tmp_path / "run", tmp_path / "x.npz", "-o", tmp_path / "r.npz", "--quiet")
    again = np.load(tmp_path / "r.npz")["images"].mean((1, 2, 3))
    assert abs(again[plate == 1].mean() - again[plate == 0].mean() - 60) < 10
    bad = isolario("embed", tmp_path / "run", tmp_path / "bare.npz", "-o", tmp_path / "e.h5ad", check=False)
    assert bad.returncode != 0 and "plate" in bad.stderr and not (tmp_path / "e.h5ad").exists()


def test_strange_images_are_told(isolario, cells, run, tmp_path):
    images = np.load(cells)["images"]
    strange = np.random.default_rng(2).permuted(images[:60].reshape(60, -1), axis=1).reshape(60, 1, 32, 32)      # the same pixels, dealt anew
    np.savez(tmp_path / "x.npz", images=np.concatenate([images[60:180], strange]))
    rows = table(isolario("anomaly", run, tmp_path / "x.npz", "--quiet").stdout)
    p = np.array([float(row["anomaly_p"]) for row in rows])
    for row in rows[::40]:
        least = min(float(row["p_value"]), float(row["elbo_p"]), float(row["unexplained_p"]))
        assert float(row["anomaly_p"]) == pytest.approx(min(1, 3 * least), rel=1e-4)
    unexplained = np.array([float(row["unexplained"]) for row in rows])
    assert (unexplained[:120, None] < unexplained[None, 120:]).mean() > 0.95
    assert np.median(p[120:]) < 0.15 < np.median(p[:120])


def test_report_and_files_of_a_run(run):
    html = (run / "report.html").read_text()
    assert "data:image/png;base64," in html and "32 x 32 pixels" in html
    with h5py.File(run / "latent.h5ad") as f:
        assert np.all(np.isfinite(f["obs/elbo"][:])) and np.all(f["obs/unexplained"][:] > 0)
    d = about(run)
    assert d["training"]["epochs"] == 60 and all(np.isfinite(x) for x in d["diagnosis"]["kl_per_dim"])


def test_labels_again(isolario, cells, tmp_path):
    """The table that is written beside the archive holds the archive's own columns."""
    isolario("fit", cells, "--labels", cells.with_suffix(".csv"), "-o", tmp_path / "run", "--no-map", "--max-epochs", 1, "--quiet")
    other = tmp_path / "other.csv"
    other.write_text(cells.with_suffix(".csv").read_text().replace("tubular", "round"))
    bad = isolario("fit", cells, "--labels", other, "-o", tmp_path / "bad", "--no-map", check=False)
    assert bad.returncode == 2 and '"label"' in bad.stderr and not (tmp_path / "bad").exists()


@pytest.mark.parametrize("arguments,words", [
    (("fit", "{cells}", "--likelihood", "zinb", "-o", "{out}"), "for images: gaussian"),
    (("fit", "{counts}", "--likelihood", "wavelet", "-o", "{out}"), "is for images"),
    (("embed", "{run}", "{counts}", "-o", "{out}"), "the model is of images"),
    (("reconstruct", "{run}", "{counts}", "-o", "{out}"), "the model is of images"),
    (("embed", "{run}", "{small}", "-o", "{out}"), "32 x 32"),
    (("anomaly", "{run}", "{channels}", "-o", "{out}"), "channel"),
    (("fit", "{nan}", "-o", "{out}"), "NaN"),
])
def test_refusals(isolario, cells, run, paul15, tmp_path, arguments, words):
    images = np.load(cells)["images"].astype("float32")
    np.savez(tmp_path / "small.npz", images=images[:, :, :16])
    np.savez(tmp_path / "channels.npz", images=np.repeat(images, 2, axis=1))
    images[3, 0, 4, 5] = np.nan
    np.savez(tmp_path / "nan.npz", images=images)
    names = {"cells": cells, "counts": paul15, "run": run, "out": tmp_path / "out", **{k: tmp_path / f"{k}.npz" for k in ("small", "channels", "nan")}}
    bad = isolario(*[a.format(**names) for a in arguments], check=False)
    assert bad.returncode in (1, 2) and words in bad.stderr, bad.stderr
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------------------------- how sharp they are

BANDS = {"low": (0.05, 0.1), "middle": (0.2, 0.25), "high": (0.35, 0.4)}


def powers(images):
    """Mean power of images [n, H, W] in the three bands."""
    power = (np.abs(np.fft.fft2(images - images.mean((1, 2), keepdims=True))) ** 2).mean(0)
    radius = np.hypot(np.fft.fftfreq(images.shape[1])[:, None], np.fft.fftfreq(images.shape[2])[None])
    return {name: power[(radius >= low) & (radius < high)].mean() for name, (low, high) in BANDS.items()}


@pytest.mark.parametrize("shape", [(2, 24, 33), (1, 32, 32)])
def test_sharpness_is_what_numpy_and_skimage_say(isolario, tmp_path, shape):
    """Of reconstructions; odd sides, two channels of other units."""
    from skimage.metrics import structural_similarity
    rng = np.random.default_rng(4)
    smooth = np.cumsum(np.cumsum(rng.normal(size=(120, *shape)), 2), 3) * np.array([1, 50])[:shape[0], None, None]
    split = np.where(np.arange(120) < 80, "train", "test")
    np.savez(tmp_path / "x.npz", images=smooth.astype("float32"), split=split)
    isolario("fit", tmp_path / "x.npz", "-o", tmp_path / "run", "--split-key", "split", "--max-epochs", 8, "--first-channels", 16, "--quiet")
    isolario("reconstruct", tmp_path / "run", tmp_path / "x.npz", "-o", tmp_path / "r.npz", "--quiet")
    s = about(tmp_path / "run")["sharpness"]
    truth, again = np.load(tmp_path / "x.npz")["images"][80:].astype(float), np.load(tmp_path / "r.npz")["images"][80:].astype(float)
    # what the model takes for 0 to 1: percentiles 1 and 99.9 of a channel
    values = smooth.astype("float32").transpose(1, 0, 2, 3).reshape(shape[0], -1)
    span = np.percentile(values, 99.9, axis=1) - np.percentile(values, 1, axis=1)
    scaled = (truth - again) / span[:, None, None]
    assert s["images"] == 40 and s["psnr"] == pytest.approx(-10 * np.log10((scaled ** 2).mean()), abs=0.02)
    alike = [structural_similarity(a, b, data_range=r, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
             for x, y in zip(truth, again) for a, b, r in zip(x, y, span)]
    assert s["ssim"] == pytest.approx(np.mean(alike), abs=2e-3)
    channels = [(powers(again[:, c]), powers(truth[:, c])) for c in range(shape[0])]
    for name in BANDS:
        assert s["power_reconstructed"][name] == pytest.approx(np.mean([a[name] / b[name] for a, b in channels]), rel=2e-3)
    assert s["frechet_floor"] < s["frechet_reconstructed"] and s["bits_per_dim"] > 0


def test_bits_do_not_depend_on_units(isolario, cells, tmp_path):
    """A pixel counted in steps half as large takes one bit more."""
    images = np.load(cells)["images"].astype("float32")
    bits = []
    for k, unit in enumerate((1, 2)):
        np.savez(tmp_path / f"{k}.npz", images=images * unit)
        isolario("fit", tmp_path / f"{k}.npz", "-o", tmp_path / f"run{k}", "--max-epochs", 2, "--first-channels", 8, "--quiet")
        bits.append(about(tmp_path / f"run{k}")["sharpness"]["bits_per_dim"])
    assert bits[1] - bits[0] == pytest.approx(1, abs=1e-3)


def test_compare_sets_the_dialects_side_by_side(isolario, cells, tmp_path):
    done = isolario("compare", cells, "--labels-key", "label", "--dialects", "gaussian,mse", "--report", tmp_path / "c.html", *FEW)
    rows = {row["model"]: row for row in table(done.stdout)}
    assert list(rows) == ["gaussian", "mse", "autoencoder", "pca"]
    assert float(rows["gaussian"]["psnr"]) > float(rows["mse"]["psnr"]) and rows["mse"]["verdict"] == "collapsed"
    assert all(0 <= float(row["knn_accuracy"]) <= 1 and float(row["psnr"]) > 5 for row in rows.values())
    page = (tmp_path / "c.html").read_text()
    assert "The same images by each model" in page and page.count("iVBORw0KGgo") == 2
    again = isolario("compare", cells, "--dialects", "gaussian", "--report", tmp_path / "c.html", *FEW, check=False)
    assert again.returncode != 0 and "c.html" in again.stderr and "--force" in again.stderr
    for given, word in ((("--dialects", "nb"), "not a likelihood of images"), (("--dialects", "blurry"), "blurry")):
        bad = isolario("compare", cells, *given, "--report", tmp_path / "d.html", check=False)
        assert bad.returncode != 0 and word in bad.stderr and not (tmp_path / "d.html").exists()


def test_compare_leaves_out_what_the_images_cannot_speak(isolario, tmp_path):
    np.savez(tmp_path / "x.npz", images=np.full((60, 1, 16, 16), 7, "float32") + np.eye(16, dtype="float32"))
    done = isolario("compare", tmp_path / "x.npz", "--dialects", "gaussian,photon", "--report", tmp_path / "c.html", "--max-epochs", 1, "--first-channels", 8)
    assert [row["model"] for row in table(done.stdout)] == ["gaussian", "autoencoder", "pca"] and "photon is left out" in done.stderr
