"""The Python package python/isolario: on arrays and AnnData it does what the program does with files, to the bit."""
import copy
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import pytest

np = pytest.importorskip("numpy")
anndata = pytest.importorskip("anndata")
sparse = pytest.importorskip("scipy.sparse")
safetensors = pytest.importorskip("safetensors.numpy")

pytestmark = pytest.mark.filterwarnings("ignore:latent space")
SHORT = {"max_epochs": 2, "seed": 5}
SHORT_WORDS = ["--max-epochs", 2, "--seed", 5, "--no-map"]


@pytest.fixture(scope="session")
def py(build, root):
    """The package, from the sources, with the library of the build folder."""
    library = build / "libisolario.so"
    assert library.exists(), f"{library} is missing: build it first"
    os.environ["ISOLARIO_LIBRARY"] = str(library)
    sys.path.insert(0, str(root / "python"))
    import isolario
    return isolario


def discs(n=200, channels=1, seed=0):
    """Discs of different sizes on a noisy ground of 16 bits."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:32, :32] - 16
    radius = rng.uniform(4, 12, (n, channels, 1, 1))
    return (rng.poisson(100, (n, channels, 32, 32)) + 900 * (np.hypot(x, y) < radius)).astype("uint16")


def cells(n=300, genes=120, seed=0):
    """Counts of three types in two batches."""
    import pandas as pd
    rng = np.random.default_rng(seed)
    kind, batch = rng.integers(0, 3, n), rng.integers(0, 2, n)
    rate = rng.gamma(0.5, 2, (3, genes))[kind] * (1 + batch[:, None] * rng.uniform(0, 1, genes))
    obs = pd.DataFrame({"kind": pd.Categorical([f"type {k}" for k in kind]), "batch": batch, "depth": rng.uniform(1, 2, n),
                        "split": np.where(rng.uniform(size=n) < 0.2, "test", "train"), "good": kind > 0},
                       index=[f"cell{i}" for i in range(n)])
    var = pd.DataFrame(index=[f"gene{i}" for i in range(genes)])
    return anndata.AnnData(sparse.csr_matrix(rng.poisson(rate).astype("float32")), obs=obs, var=var)


@pytest.fixture(scope="module")
def images():
    return discs()


@pytest.fixture(scope="module")
def image_model(py, images):
    return py.fit(images, **SHORT)


@pytest.fixture(scope="module")
def count_model(py):
    return py.fit(cells(), **SHORT)


def embedded(path):
    obsm = anndata.read_h5ad(path).obsm
    return np.asarray(obsm["X_isolario"]), np.asarray(obsm["X_isolario_var"])


def same_bits(got, want):
    for g, w in zip(got, want):
        assert g.dtype == w.dtype and g.tobytes() == w.tobytes()


# -------------------------------------------------------------------------------------------- the program's bits


def test_version(py, root):
    assert f'ISO_VERSION "{py.__version__}"' in (root / "include/isolario.h").read_text()


def test_images_as_the_program(py, isolario, images, image_model, tmp_path):
    np.savez(tmp_path / "images.npz", images=images)
    isolario("fit", tmp_path / "images.npz", *SHORT_WORDS, "-o", tmp_path / "run")
    image_model.save(tmp_path / "model.safetensors")
    ours, theirs = (safetensors.load_file(tmp_path / p) for p in ("model.safetensors", "run/model.safetensors"))
    assert sorted(ours) == sorted(theirs)
    same_bits([ours[k] for k in sorted(ours)], [theirs[k] for k in sorted(ours)])

    isolario("embed", tmp_path / "model.safetensors", tmp_path / "images.npz", "-o", tmp_path / "e.h5ad")
    same_bits(image_model.embed(images), embedded(tmp_path / "e.h5ad"))
    same_bits([image_model.embed_invariant(images)], [np.asarray(anndata.read_h5ad(tmp_path / "e.h5ad").obsm["X_isolario_invariant"])])
    isolario("reconstruct", tmp_path / "model.safetensors", tmp_path / "images.npz", "-o", tmp_path / "r.npz")
    same_bits([image_model.reconstruct(images)], [np.load(tmp_path / "r.npz")["images"]])
    isolario("sample", tmp_path / "model.safetensors", "-n", 7, "--seed", 3, "-o", tmp_path / "s.npz")
    same_bits([image_model.sample(7, seed=3)], [np.load(tmp_path / "s.npz")["images"]])

    loaded = py.load(tmp_path / "run")
    same_bits(loaded.embed(tmp_path / "images.npz"), image_model.embed(images))
    assert loaded.summary["validation_elbo"] == image_model.summary["validation_elbo"]


def test_counts_as_the_program(py, isolario, tmp_path):
    adata = cells()
    adata.write_h5ad(tmp_path / "cells.h5ad")
    isolario("fit", tmp_path / "cells.h5ad", *SHORT_WORDS, "--batch-key", "batch", "--labels-key", "kind", "--split-key", "split", "--dispersion",
             "gene-label", "--continuous-covariate-keys", "depth", "--categorical-covariate-keys", "good", "-o", tmp_path / "run")
    model = py.fit(adata, labels="kind", batch="batch", split="split", dispersion="gene-label", continuous_covariate_keys=["depth"],
                   categorical_covariate_keys=["good"], **SHORT)
    model.save(tmp_path / "model.safetensors")
    ours, theirs = (safetensors.load_file(tmp_path / p) for p in ("model.safetensors", "run/model.safetensors"))
    same_bits([ours[k] for k in sorted(theirs)], [theirs[k] for k in sorted(theirs)])
    program = py.load(tmp_path / "run")
    for key in ("covariates", "label", "continuous_covariates", "genes", "config"):
        assert program.info[key] == model.info[key]
    assert program.summary["test_log_p"] == model.summary["test_log_p"] and model.summary["n_test"] == (adata.obs.split == "test").sum()
    same_bits(model.embed(adata), embedded(tmp_path / "run/latent.h5ad"))

    done = isolario("score", tmp_path / "run", tmp_path / "cells.h5ad", "--n-samples", 10, "--seed", 2, "-o", "-")
    rows = [line.split("\t")[1:] for line in done.stdout.splitlines()[1:]]
    scores = model.score(adata, n_samples=10, seed=2)
    assert [[f"{v:.4f}" for v in row] for row in zip(scores.elbo, scores.log_p, scores.reconstruction)] == rows


def test_samples_of_counts_as_the_program(py, isolario, count_model, tmp_path):
    count_model.save(tmp_path / "model.safetensors")
    isolario("sample", tmp_path / "model.safetensors", "-n", 300, "--seed", 4, "-o", tmp_path / "s.h5ad")
    want = anndata.read_h5ad(tmp_path / "s.h5ad").X.toarray()
    same_bits([count_model.sample(300, seed=4)], [want])
    assert want.sum() > 0


# --------------------------------------------------------------------------------------- what arrays may be


def test_kinds_of_images(py, images, image_model):
    want = image_model.embed(images)
    for same in (images[:, 0], images.astype("float64"), images.astype("int32"), images[:, :, ::-1][:, :, ::-1], np.moveaxis(images, 1, 3).tolist()):
        last = np.ndim(same) == 4 and np.shape(same)[1] != 1
        same_bits(image_model.embed(same, channels_last=last), want)
    two = np.concatenate([images, images[::-1] // 2], 1)
    model = py.fit(np.moveaxis(two, 1, 3), channel_names=["DNA", "actin"], channels_last=True, **SHORT)
    assert model.image_shape == (2, 32, 32) and model.info["images"]["channel_names"] == ["DNA", "actin"]
    same_bits(model.embed(two), model.embed(np.moveaxis(two, 1, 3), channels_last=True))


def test_kinds_of_counts(py, count_model):
    adata = cells()
    want = count_model.embed(adata)
    dense = anndata.AnnData(adata.X.toarray(), obs=adata.obs, var=adata.var)
    shuffled = adata[:, ::-1].copy()
    layered = anndata.AnnData(adata.X * 0.5, obs=adata.obs, var=adata.var, layers={"counts": adata.X})
    raw = adata.copy()
    raw.raw = adata
    raw.X = raw.X * 0.5
    for same in (dense, shuffled, layered, raw, anndata.AnnData(sparse.csc_matrix(adata.X), obs=adata.obs, var=adata.var)):
        same_bits(count_model.embed(same), want)
    assert not np.array_equal(count_model.embed(layered, layer="X")[0], want[0])

    bare = py.fit(adata.X, batch=adata.obs["batch"].to_numpy(), **SHORT)
    same_bits(bare.embed(adata.X, batch=adata.obs["batch"]), bare.embed(adata.X.toarray(), batch=list(adata.obs["batch"])))
    assert bare.genes == [str(i) for i in range(120)] and bare.info["covariates"] == [{"key": "batch", "categories": ["0", "1"]}]


def test_columns_with_missing_values(py):
    import pandas as pd
    adata = cells()
    for missing in (pd.Series(["a", None] * 150), np.array(["a", None] * 150), ["a", pd.NA] * 150, pd.Categorical(["a", None] * 150)):
        with pytest.raises(py.Error, match='cell 2 .* has no value in obs column "batch"'):
            py.fit(adata, batch=missing, **SHORT)
    adata.obs["depth"] = [1.5, np.nan] * 150
    adata.obs["number"] = pd.array([1, None] * 150, dtype="Int64")
    for key in ("depth", "number"):
        with pytest.raises(py.Error, match=f'cell 2 .* has no number in obs column "{key}"'):
            py.fit(adata, continuous_covariate_keys=[key], **SHORT)


def test_arrays_are_lent_not_copied(py, images):
    from isolario._data import open_data
    pixels = images.astype("float32")
    with open_data(pixels) as d:
        assert np.shares_memory(d.lent, pixels)


# ------------------------------------------------------------------------------------------ shapes and units


def test_images_have_the_units_of_the_data(py, images):
    """A model that has learned a little makes images like those it saw: ground at 100, discs at 1000. 180 steps: enough for the discs of
    images that it sees; those from the prior are fainter still."""
    image_model = py.fit(images, max_epochs=16, batch_size=16, first_channels=16)
    again = image_model.reconstruct(images)
    assert again.shape == images.shape and again.dtype == np.float32
    assert np.mean((again - images) ** 2) < 0.2 * images.var() and abs(np.median(again) - 100) < 50
    mean, variance = image_model.embed(images)
    assert mean.shape == variance.shape == (200, image_model.n_latent) and (variance > 0).all()
    decoded = image_model.decode(mean[:3])
    assert decoded.shape == (3, 1, 32, 32) and np.mean((decoded - images[:3]) ** 2) < 0.3 * images.var()
    sampled = image_model.sample(5)
    assert sampled.shape == (5, 1, 32, 32) and abs(np.median(sampled) - 100) < 50 and 200 < np.percentile(sampled, 99) < 1500
    assert not np.array_equal(sampled, image_model.sample(5, seed=1))
    scores = image_model.score(images[:20], n_draws=2, n_samples=0)
    assert np.isnan(image_model.score(images[:2], n_samples=1).log_p).all()         # with the grid
    assert scores.log_p is None and np.isfinite(scores.elbo).all() and (scores.elbo < scores.reconstruction).all()


def test_counts_decode_to_shares(py, count_model):
    z = np.zeros((4, count_model.n_latent))
    shares = count_model.decode(z)
    assert shares.shape == (4, 120) and np.allclose(shares.sum(1), 1, atol=1e-5)
    assert count_model.summary["verdict"] and count_model.summary["n_train"] == 270 and "120 genes" in repr(count_model)


# ------------------------------------------------------------------------------------------------- errors


def test_errors(py, images, image_model, count_model, tmp_path):
    hole = images.astype("float32")
    hole[3, 0, 4, 5] = np.nan
    damaged, wrapped, fallen, huge = cells().X, cells().X, cells().X, cells().X.astype("float64")
    damaged.indices[7] = 120
    damaged.indices[8] = -1
    wrapped.indices = wrapped.indices.astype("int64")
    wrapped.indices[7] += 2**32
    fallen.indptr[3] = fallen.indptr[9]
    huge.data[5] = 2**40
    negative, empty = cells(), cells()
    negative.X.data[3] = -1
    empty.X.data[empty.X.indptr[4]:empty.X.indptr[5]] = 0
    cases = [
        (2, "image 3, channel 0, row 4, column 5 is NaN", lambda: py.fit(hole, **SHORT)),
        (2, "image 0, channel 0, row 0, column 0 is infinite", lambda: py.fit(np.full((2, 32, 32), 1e300), **SHORT)),
        (2, "2 channels, but the model has 1", lambda: image_model.embed(np.concatenate([images, images], 1))),
        (2, "images of 31 x 32 pixels, but the model's are 32 x 32", lambda: image_model.embed(images[:, :, 1:])),
        (2, "holds images, but the model is of counts", lambda: count_model.embed(images)),
        (2, "holds no images", lambda: image_model.embed(images[:0])),
        (2, "above 16777216", lambda: py.fit(images.astype("int64") << 20, **SHORT)),
        (2, "value of gene 120, but there are 120", lambda: py.fit(damaged, **SHORT)),
        (2, "value of gene 42949", lambda: py.fit(wrapped, **SHORT)),
        (2, "indptr falls at cell 3", lambda: py.fit(fallen, **SHORT)),
        (2, "count 1099511627776 of gene", lambda: py.fit(huge, **SHORT)),
        (2, "masked", lambda: py.fit(np.ma.masked_less(images, 90))),
        (1, "channels_last=True", lambda: image_model.embed(np.moveaxis(images, 1, 3))),
        (2, "32 channels, but the model has 1", lambda: image_model.embed(images[:192].reshape(6, 32, 32, 32))),
        (2, "16 to 512 pixels a side", lambda: py.fit(images[..., :8])),
        (2, "holds no images", lambda: py.fit(np.zeros((0, 32, 32)))),
        (2, "5 images of 1 channels of 0 x 32", lambda: py.fit(np.zeros((5, 0, 32)))),
        (2, "0 cells x 120 genes: nothing to model", lambda: py.fit(np.zeros((0, 120)))),
        (2, "20 cells x 0 genes: nothing to model", lambda: py.fit(np.zeros((20, 0)))),
        (2, "z has a value that is NaN", lambda: image_model.decode(np.full((2, 24), np.nan))),
        (2, "counts cannot be negative", lambda: py.fit(negative, **SHORT)),
        (2, "1 of 300 cells have no counts", lambda: py.fit(empty, **SHORT)),
        (2, "only 0 of the model's 120 genes", lambda: count_model.embed(cells().X)),
        (1, 'did you mean "n_latent"', lambda: py.fit(images, n_latnt=3)),
        (1, "n_latent: -1 is out of range", lambda: py.fit(images, n_latent=-1)),
        (1, 'fit takes no option "output"', lambda: py.fit(images, output="run")),
        (1, 'fit takes no option "key"', lambda: py.fit(images, key="a")),
        (1, 'no column "knd" in obs .* did you mean "kind"', lambda: py.fit(cells(), batch="knd", **SHORT)),
        (1, '"labels" has 3 values, but there are 200', lambda: py.fit(images, labels=[1, 2, 3])),
        (1, "2 names for 1 channels", lambda: py.fit(images, channel_names=["a", "b"])),
        (1, "numbers are needed", lambda: py.fit(np.array([["a"]]))),
        (1, "an array of complex64: numbers are needed", lambda: py.fit(images.astype("complex64"))),
        (1, "an array of object: numbers are needed", lambda: image_model.decode(np.full((2, 24), None))),
        (1, "no array can be made of the list", lambda: py.fit([[1, 2], [3]])),
        (1, "an array of object", lambda: py.fit(None)),
        (1, "zero character", lambda: py.fit(images, channel_names=["a\0b"])),
        (1, "not text that can be written as UTF-8", lambda: py.fit(images, labels=["\ud800"] * 200)),
        (1, "seed: -1 is out of range", lambda: image_model.sample(3, seed=-1)),
        (1, "n: -3 is out of range", lambda: count_model.sample(-3)),
        (1, "data of shape", lambda: py.fit(np.zeros(3))),
        (1, 'no layer "spliced"', lambda: py.fit(cells(), layer="spliced")),
        (1, "24 latent dimensions", lambda: image_model.decode(np.zeros((2, 3)))),
        (1, "the model is of counts", lambda: count_model.reconstruct(images)),
        (1, "fitted without one", lambda: count_model.embed(cells(), batch=[0] * 300)),
        (1, "n_draws: 0 is out of range", lambda: count_model.score(cells(), n_draws=0)),
        (3, "no.safetensors", lambda: py.load(tmp_path / "no.safetensors")),
        (3, "no.h5ad", lambda: py.fit(tmp_path / "no.h5ad")),
    ]
    for status, message, act in cases:
        with pytest.raises(py.Error) as caught:
            act()
        assert re.search(message, str(caught.value)), (message, str(caught.value))
        assert caught.value.status == status, message


def test_a_model_is_not_copied(image_model):
    """A copy would share the C library's model, and use it when it is gone."""
    for take in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="save"):
            take(image_model)


def test_says_nothing_unless_asked(py, images, capfd):
    py.fit(images[:50], **SHORT)
    assert capfd.readouterr() == ("", "")
    py.fit(images[:50], verbose=True, **SHORT)
    out, err = capfd.readouterr()
    assert out == "" and "training on 45 cells" in err
    heard = []
    py.fit(images[:50], verbose=lambda *said: heard.append(said), **SHORT)
    assert {kind for kind, _, _ in heard} == {"info", "progress"}


def test_warnings_are_pythons(py, count_model):
    with pytest.warns(UserWarning, match="20 of the model's 120 genes are missing"):
        count_model.embed(cells()[:, 20:].copy())


# --------------------------------------------------------------------------- interrupts, threads, memory, installing


def python(py, root, script, *arguments, **environment):
    return subprocess.run([sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": str(root / "python"), **environment})


def test_interrupt(py, root, images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    done = python(py, root, """
        import os, signal, sys
        import isolario
        signal.signal(signal.SIGINT, signal.default_int_handler)        # whoever started the tests may have it ignored
        def interrupt(kind, message, fraction):
            if message.startswith("epoch 3 "):
                for _ in range(3):                                      # an impatient user
                    os.kill(os.getpid(), signal.SIGINT)
        try:
            isolario.fit(sys.argv[1], max_epochs=100000, batch_size=8, verbose=interrupt)
        except KeyboardInterrupt as stop:
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
            print(type(stop).__name__, stop.model.summary["epochs"], stop.model.embed(sys.argv[1])[0].shape)
        """, tmp_path / "images.npy")
    assert done.stdout.startswith("Interrupted ") and done.stdout.endswith("(200, 24)\n"), (done.stdout, done.stderr)
    assert 2 <= int(done.stdout.split()[1]) < 1000


def test_interrupt_without_a_model(py, root, images, tmp_path):
    """Elsewhere Ctrl-C is KeyboardInterrupt, and the model stays as it was."""
    np.save(tmp_path / "images.npy", images)
    done = python(py, root, """
        import os, signal, sys, threading
        import numpy as np
        import isolario
        images = np.load(sys.argv[1])
        model = isolario.fit(images, max_epochs=1, first_channels=4)
        before = model.embed(images)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            model.score(np.tile(images, (20, 1, 1, 1)), n_draws=100, n_samples=0)
        except KeyboardInterrupt as stop:
            print(type(stop).__name__, np.array_equal(model.embed(images), before))
        """, tmp_path / "images.npy", PYTHONWARNINGS="ignore")
    assert done.stdout == "KeyboardInterrupt True\n", (done.stdout, done.stderr)


def test_threads_of_python(images, image_model):
    """One model may be used from several threads at once."""
    want = image_model.embed(images)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(image_model.embed, [images] * 8):
            same_bits(got, want)


def test_no_leak(py, root):
    """Data sets and models are freed: the bytes that C's allocator has given out stay the same."""
    done = python(py, root, """
        import ctypes
        import numpy as np
        import isolario
        names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
        Mallinfo = type("Mallinfo", (ctypes.Structure,), {"_fields_": [(name, ctypes.c_size_t) for name in names]})
        mallinfo = ctypes.CDLL(None).mallinfo2
        mallinfo.restype = Mallinfo
        images = np.random.default_rng(0).normal(100, 10, (100, 32, 32))
        model = isolario.fit(images, max_epochs=1)
        def once():
            mean, _ = model.embed(images)
            model.decode(mean[:10])
            model.sample(10)
            isolario.fit(images[:40], max_epochs=1, first_channels=4)
            try:
                model.embed(images[:, :20])
            except isolario.Error:
                pass
            now = mallinfo()
            return now.uordblks + now.hblkhd
        for _ in range(3):
            before = once()
        for _ in range(20):                                             # what threads keep for later changes by some 30 kB
            after = once()
        print((after - before) // 20)
        """, PYTHONWARNINGS="ignore")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 4000, done.stdout                 # bytes a time; a data set of these images without its pixels has 8,000


def test_install(py, root, tmp_path):
    """With pip, from the sources, without a network."""
    for needed in ("pip", "setuptools"):
        if not importlib.util.find_spec(needed):
            pytest.skip(f"{needed} is not installed here; scripts/venv.sh makes an environment that has it")
    shutil.copytree(root / "python", tmp_path / "python", ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target",
                    tmp_path / "site", tmp_path / "python"], check=True, capture_output=True, timeout=120)
    done = subprocess.run([sys.executable, "-c", "import isolario; print(isolario.__file__, isolario.__version__)"], capture_output=True,
                          text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path / "site")}, timeout=60)
    assert done.stdout.split() == [str(tmp_path / "site/isolario/__init__.py"), py.__version__], done.stderr
    assert list((tmp_path / "site").glob(f"isolario-{py.__version__}.dist-info"))


def test_library_of_another_version(root, tmp_path):
    shutil.copytree(root / "python/isolario", tmp_path / "isolario")
    (tmp_path / "isolario/_version.py").write_text('__version__ = "99.0.0"\n')
    done = subprocess.run([sys.executable, "-c", "import isolario"], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 1 and "this package is of 99.0.0" in done.stderr, done.stderr


def test_library_is_missing(py, root, tmp_path):
    done = python(py, root, "import isolario", ISOLARIO_LIBRARY=str(tmp_path / "no.so"))
    assert done.returncode == 1 and "make install" in done.stderr and "ISOLARIO_LIBRARY" in done.stderr
