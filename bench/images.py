"""Image VAEs: sharpness on synthetic cells, labels, held-out classes and time on real ones, beside PyTorch and PCA.

    python bench/images.py build/isolario synthetic [--seeds 3]
    python bench/images.py build/isolario real DATA [--sets yeast,bccd,bbbc005,dsb2018] [--seeds 1] [--no-torch] [--fit "--precision bf16"]
    python bench/images.py build/isolario anomaly DATA [--sets yeast,bccd] [--fit "--precision bf16"]
    python bench/images.py build/isolario speed DATA

DATA: a folder with yeast_5proteins, bccd_crops, dsb2018 and bbbc005_sim (docs/BENCHMARKS.md says what they are). Held out are whole
fields or wells. Needs numpy, scikit-learn, scipy, tifffile and, for the contrast, torch. Prints one line a result and keeps them in
bench/out/images.jsonl.
"""
import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

HERE = Path(__file__).resolve().parent
BANDS = ((0.05, 0.1), (0.2, 0.25), (0.35, 0.4))             # cycles a pixel
PHOTONS = 120
SETS = {                                                    # folder, stack, its axes, label, field, channels
    "yeast": ("yeast_5proteins", "yeast_crops_TCYX_uint8.tif", "localisation", "field"),
    "bccd": ("bccd_crops", "bccd_crops_48_TYXS_uint8.tif", "class", "image"),
    "bbbc005": ("bbbc005_sim", "bbbc005_test_8xdown_TYX_uint8.tif", "blur", "well"),
    "dsb2018": ("dsb2018", "nuclei_crops_64_TYX_uint8.tif", "modality", "field"),
}
VARIANTS = {
    "gaussian, grid": [], "photon, grid": ["--likelihood", "photon"],
    "gaussian": ["--grid", 0], "wavelet": ["--likelihood", "wavelet", "--grid", 0], "mse, grid": ["--likelihood", "mse"],
    "mse": ["--likelihood", "mse", "--grid", 0],
}


def run(*command):
    """Seconds and standard output; ends the program if the command fails."""
    start = time.perf_counter()
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return time.perf_counter() - start, done.stdout


def tell(**row):
    line = json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()})
    print(line, flush=True)
    out = HERE / "out"
    out.mkdir(exist_ok=True)
    with open(out / "images.jsonl", "a") as f:
        f.write(line + "\n")


# ------------------------------------------------------------------------------------------- measures


def powers(images):
    """Mean power of images [n, H, W] in the three bands."""
    images = images - images.mean((1, 2), keepdims=True)
    power = (np.abs(np.fft.fft2(images)) ** 2).mean(0)
    radius = np.hypot(np.fft.fftfreq(images.shape[1])[:, None], np.fft.fftfreq(images.shape[2])[None])
    return np.array([power[(radius >= low) & (radius < high)].mean() for low, high in BANDS])


def ratios(images, truth):
    """Power of images [n, C, H, W] over that of the truth, in the three bands, mean over channels."""
    return np.mean([powers(images[:, c]) / powers(truth[:, c]) for c in range(truth.shape[1])], axis=0).round(3).tolist()


def knn(latent, labels, test, k=15, standardise=True):
    """Accuracy of held-out cells' labels, told from the k nearest of the others; on standardised coordinates, or as the map takes them."""
    from sklearn.neighbors import KNeighborsClassifier
    z = (latent - latent[~test].mean(0)) / (latent[~test].std(0) + 1e-9) if standardise else latent
    return KNeighborsClassifier(k).fit(z[~test], labels[~test]).score(z[test], labels[test])


def direction(latent, values, test):
    """|Spearman| of held-out values with their direction in the latent space: Fisher's first discriminant of the values' levels, and ridge
    regression on the values."""
    from scipy.stats import spearmanr
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import Ridge
    z = (latent - latent[~test].mean(0)) / (latent[~test].std(0) + 1e-9)
    fisher = LinearDiscriminantAnalysis().fit(z[~test], values[~test]).transform(z[test])[:, 0]
    ridge = Ridge(1.0).fit(z[~test], values[~test]).predict(z[test])
    return [float(abs(spearmanr(along, values[test])[0])) for along in (fisher, ridge)]


def best_axis(latent, values, test):
    """The largest |Spearman| of one latent dimension with the values of held-out images."""
    from scipy.stats import spearmanr
    return float(max(abs(spearmanr(latent[test, d], values[test])[0]) for d in range(latent.shape[1])))


def accuracy(name, places, labels, test):
    """Of each kind of places: over all ways to turn an image (invariant), in its standard attitude, as it lies, or components."""
    out = {}
    for place, latent in places.items():
        out |= {f"knn_{place}": knn(latent, labels, test), f"knn_{place}_raw": knn(latent, labels, test, standardise=False)}
        if name == "bbbc005":
            fisher, ridge = direction(latent, labels.astype(float), test)
            out |= {f"spearman_{place}": fisher, f"spearman_ridge_{place}": ridge, f"spearman_axis_{place}": best_axis(latent, labels.astype(float), test)}
    return out


# --------------------------------------------------------------------------------------- one model


def fit(program, path, folder, seed, *options):
    """A run of the plain command on an archive of images with a split; its run.json, places of the images and held-out reconstructions."""
    seconds, _ = run(program, "fit", path, "--split-key", "split", "-o", folder, "--force", "--quiet", "--seed", seed, *options)
    about = json.loads((folder / "run.json").read_text())
    with h5py.File(folder / "latent.h5ad") as f:
        places = {"invariant": f["obsm/X_isolario_invariant"][:], "attitude": f["obsm/X_isolario"][:]}
    run(program, "reconstruct", folder, path, "-o", folder / "again.npz", "--force", "--quiet")
    return seconds, about, places, np.load(folder / "again.npz")["images"]


def epochs_of(folder):
    rows = list(csv.DictReader((line for line in open(folder / "log.txt") if not line.startswith("#")), delimiter="\t"))
    return [float(row["seconds"]) for row in rows]


# --------------------------------------------------------------------------------------- synthetic


def synthetic(a, work):
    for seed in range(a.first_seed, a.first_seed + a.seeds):
        cells = work / f"cells{seed}.npz"
        run(a.program, "simulate", "cells", "-n", 6000, "--size", 32, "--seed", seed, "-o", cells, "--quiet")
        data = dict(np.load(cells))
        test = np.arange(6000) >= 5400
        np.savez(work / "split.npz", images=data["images"], label=data["label"], split=np.where(test, "test", "train"))
        clean = data["clean"].reshape(data["images"].shape)
        for name, options in VARIANTS.items():
            if a.variants and name not in a.variants.split(";"):
                continue
            folder = work / "run"
            seconds, about, places, again = fit(a.program, work / "split.npz", folder, seed, "--labels-key", "label", *options, *a.fit.split())
            run(a.program, "sample", folder, "-n", 1000, "-o", folder / "new.npz", "--force", "--quiet")
            error = ((again - clean)[test] ** 2).mean()
            tell(set="synthetic", law=name, seed=seed, psnr=float(10 * np.log10(PHOTONS**2 / error)), power=ratios(again[test], clean[test]),
                 samples=ratios(np.load(folder / "new.npz")["images"], clean[test]), **accuracy("synthetic", places, data["label"], test),
                 verdict=about["diagnosis"]["verdict"], cure=about["diagnosis"]["cure"], epochs=about["training"]["epochs"], seconds=seconds)


# -------------------------------------------------------------------------------------------- real


def load(data, name):
    """Images [n, C, H, W], labels, held-out mask: every fifth field."""
    import tifffile
    folder, stack, label, field = SETS[name]
    series = tifffile.TiffFile(Path(data) / folder / stack).series[0]
    images = series.asarray()
    images = images[:, None] if series.axes[-3:] == "TYX" and images.ndim == 3 else images
    images = images.transpose(0, 3, 1, 2) if "S" in series.axes else images
    table = list(csv.DictReader(open(Path(data) / folder / "labels.csv")))
    fields = np.array([row["file"].split("_")[0] if field == "well" else row[field] for row in table])
    held = np.isin(fields, np.unique(fields)[::5])
    return np.ascontiguousarray(images), np.array([row[label] for row in table]), held


def scaled(images, test):
    """As the model sees them: percentiles 1 and 99.9 of the training images to 0 and 1, mirrored up to a multiple of 8 (16 ...)."""
    low, high = (np.percentile(images[~test], q, axis=(0, 2, 3)).astype(np.float32)[:, None, None] for q in (1, 99.9))
    x = (images.astype(np.float32) - low) / (high - low)
    size = [8 if s <= 16 else 16 if s <= 64 else 32 for s in x.shape[2:]]
    more = [-s % m for s, m in zip(x.shape[2:], size)]
    return np.pad(x, ((0, 0), (0, 0), (0, more[0]), (0, more[1])), "symmetric"), low, high


def torch_model(a, work, x, test, images, low, high, seed, epochs):
    np.savez(work / "torch.npz", images=x, split=np.where(test, "test", "train"))
    _, out = run(sys.executable, HERE / "torch_images.py", work / "torch.npz", work / "torch_out.npz", "--epochs", epochs, "--seed", seed,
                 "--threads", a.threads, *(["--bf16"] if "bf16" in a.fit else []))
    made = np.load(work / "torch_out.npz")
    again = made["reconstructed"][:, :, :images.shape[2], :images.shape[3]] * (high - low) + low
    return json.loads(out), {place: made[place] for place in ("invariant", "attitude", "as_it_lies")}, again


def real(a, work):
    for name in a.sets.split(","):
        images, labels, test = load(a.data, name)
        pixels = scaled(images, test)
        flat = pixels[0].reshape(len(images), -1)
        from sklearn.decomposition import PCA
        pca = PCA(24, random_state=0).fit(flat[~test])
        tell(set=name, model="pca", n=len(images), held_out=int(test.sum()), **accuracy(name, {"components": pca.transform(flat)}, labels, test))
        np.savez(work / "set.npz", images=images, split=np.where(test, "test", "train"), label=labels)
        for seed in range(a.first_seed, a.first_seed + a.seeds):
            folder = work / "run"
            seconds, about, places, again = fit(a.program, work / "set.npz", folder, seed, "--labels-key", "label", *a.fit.split())
            tell(set=name, model="isolario", seed=seed, power=ratios(again[test], images[test].astype(float)), seconds=seconds,
                 epochs=about["training"]["epochs"], epoch_s=statistics.median(epochs_of(folder)), verdict=about["diagnosis"]["verdict"],
                 test_elbo=about["training"]["test_elbo"], **accuracy(name, places, labels, test))
            if not a.no_torch:
                told, places, again = torch_model(a, work, *[pixels[0], test, images, *pixels[1:]], seed, about["training"]["epochs"])
                tell(set=name, model="torch", seed=seed, power=ratios(again, images[test].astype(float)), **told,
                     **accuracy(name, places, labels, test))


# ----------------------------------------------------------------------------------------- anomaly


def anomaly(a, work):
    """Each class in turn is left out of training; its cells among those of held-out fields: area under the ROC curve of what
    `anomaly` and `score` say, and of the error of as many principal components."""
    from sklearn.decomposition import PCA
    from sklearn.metrics import roc_auc_score
    for name in a.sets.split(","):
        images, labels, test = load(a.data, name)
        for left_out in np.unique(labels):
            strange = labels == left_out
            train, asked = ~strange & ~test, strange | test
            np.savez(work / "train.npz", images=images[train])
            np.savez(work / "asked.npz", images=images[asked])
            run(a.program, "fit", work / "train.npz", "-o", work / "run", "--force", "--quiet", *a.fit.split())
            said = {}
            for row in csv.DictReader(run(a.program, "anomaly", work / "run", work / "asked.npz", "--quiet")[1].splitlines(), delimiter="\t"):
                for key, strange_if in (("log_density", -1), ("elbo", -1), ("unexplained", 1), ("anomaly_p", -1)):
                    said.setdefault(key, []).append(strange_if * float(row[key]))
            flat = scaled(images, ~train)[0].reshape(len(images), -1)
            pca = PCA(24, random_state=0).fit(flat[train])
            said["pca_error"] = ((pca.inverse_transform(pca.transform(flat[asked])) - flat[asked]) ** 2).sum(1)
            tell(set=name, left_out=str(left_out), n=int(strange.sum()), others=int((asked & ~strange).sum()),
                 **{k: float(roc_auc_score(strange[asked], v)) for k, v in said.items()})


# ------------------------------------------------------------------------------------------- speed


def speed(a, work):
    """A training step of the same network on 64 images of the yeast set, alternately."""
    images, _, test = load(a.data, "yeast")
    np.savez(work / "set.npz", images=images)
    np.savez(work / "torch.npz", images=scaled(images, test)[0], split=np.where(test, "test", "train"))
    kinds = [("float32", [])]
    if "amx_bf16" in Path("/proc/cpuinfo").read_text():     # elsewhere PyTorch's bf16 is emulated, twenty times slower
        kinds.append(("bf16", ["--bf16"]))
    for precision, theirs_too in kinds:
        ours, theirs = [], []
        for _ in range(5):
            run(a.program, "fit", work / "set.npz", "-o", work / "run", "--force", "--quiet", "--no-map", "--max-epochs", 4, "--batch-size", 64,
                "--validation-fraction", 0, "--threads", a.threads, "--precision", precision)
            ours.append(1e3 * statistics.median(epochs_of(work / "run")) / -(-len(images) // 64))
            _, out = run(sys.executable, HERE / "torch_images.py", work / "torch.npz", "-", "--speed", "--batch", 64, "--threads", a.threads, *theirs_too)
            theirs.append(json.loads(out)["step_ms"])
        tell(set="speed", precision=precision, isolario_ms=statistics.median(ours), torch_ms=statistics.median(theirs),
             ratio=statistics.median(theirs) / statistics.median(ours), ratios=[round(t / o, 2) for o, t in zip(ours, theirs)])


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("program")
    a.add_argument("what", choices=["synthetic", "real", "anomaly", "speed"])
    a.add_argument("data", nargs="?")
    a.add_argument("--sets", default=",".join(SETS))
    a.add_argument("--variants", help="some of the synthetic ones, separated by ;")
    a.add_argument("--seeds", type=int, default=3)
    a.add_argument("--first-seed", type=int, default=0)
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--no-torch", action="store_true")
    a.add_argument("--fit", default="", help="more options of isolario fit; not for speed")
    a = a.parse_args()
    with tempfile.TemporaryDirectory() as work:
        globals()[a.what](a, Path(work))


if __name__ == "__main__":
    main()
