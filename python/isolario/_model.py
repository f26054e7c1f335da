"""fit, load, and the models that they return."""
import ctypes
import json
import operator
import os
import threading
import warnings
import weakref
from collections import namedtuple
from ctypes import byref, c_void_p

import numpy as np

from ._data import floats, numbers, open_data
from ._library import EDATA, EUSAGE, Error, Options, call, library, run

Scores = namedtuple("Scores", "elbo reconstruction log_p")
Scores.__doc__ = "Nats a cell, each an array [n]; log_p is None without samples, NaN where a model of images has a grid beside z."


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during fit. `model` is what the last whole epoch reached."""

    def __init__(self, model):
        super().__init__("interrupted; the model that was reached is in .model of this exception")
        self.model = model


def fit(data, labels=None, batch=None, split=None, *, channel_names=None, channels_last=False, verbose=False, **options):
    """A model of the data.

    data      images: an array (n, height, width) or (n, channels, height, width), or (n, height, width, channels) with channels_last;
              counts: cells x genes as an AnnData, a sparse matrix or an array; or the path of a file or folder of either
    labels    of cell types, an array or the name of a column of obs, for dispersion="gene-label"; the encoder never sees them
    batch     likewise, of what the latent space shall not show
    split     likewise, of "test" for cells that training never sees and that are scored as the test set; or true for these
    verbose   print what is going on; or a function of (kind, message, fraction)
    options   as of `isolario fit`, such as n_latent=10, likelihood="nb", max_epochs=50, seed=1, threads=4

    The same data, options and seed give the same bits as the command."""
    columns = {}
    for option, given in (("labels", labels), ("batch", batch), ("split", split)):
        if isinstance(given, str):
            options[_KEYS[option]] = given
        elif given is not None:
            options[_KEYS[option]] = option
            columns[option] = _as_split(given) if option == "split" else given
    out = c_void_p()
    with Options("fit", options) as o, open_data(data, columns, channel_names, channels_last, options.get("layer")) as d:
        threads = int(options.get("threads") or 0)
        interrupted = run("iso_model_fit", d.handle, o, byref(out), threads=threads, verbose=verbose)
    model = Model(out, threads)
    if interrupted:
        raise Interrupted(model)
    if model.summary["verdict"] not in ("healthy", "autoencoder"):
        warnings.warn("latent space: {verdict}. {verdict_text} {cure}".format(**model.summary), stacklevel=2)
    return model


_KEYS = {"labels": "labels_key", "batch": "batch_key", "split": "split_key"}


def _as_split(given):
    given = np.asarray(given)
    return np.where(given, "test", "train") if given.dtype == bool else given


def load(path, threads=0):
    """A model from its file, or from a run folder."""
    path = os.fspath(path)
    if os.path.isdir(path):
        path = os.path.join(path, "model.safetensors")
    out = c_void_p()
    interrupted = run("iso_model_load", os.fsencode(path), byref(out))
    model = Model(out, threads)
    if interrupted:
        raise KeyboardInterrupt
    return model


def _whole(name, value, least=0, most=2**31 - 1):
    """A whole number that C can take."""
    value = operator.index(value)
    if not least <= value <= most:
        raise Error(EUSAGE, f"{name}: {value} is out of range {least} to {most}")
    return value


class Model:
    """A trained model, from fit or load.

    info      what its file says of it (docs/MODEL_FILE.md)
    summary   how training ended: verdict, cure, train_elbo, validation_elbo, test_elbo (nats a cell), epochs, seconds ...
    genes     names, of a model of counts
    image_shape   (channels, height, width), of a model of images, else None"""

    def __init__(self, handle, threads=0):
        self._handle, self._threads, self._lock = handle, threads, threading.Lock()
        weakref.finalize(self, library.iso_model_free, handle)
        self.info = self._describe()
        self.summary = self.info["training"]
        self.n_latent = self.info["config"]["n_latent"]
        self.genes = self.info["genes"]
        images = self.info.get("images")
        self.image_shape = (len(images["channel_names"]), images["height"], images["width"]) if images else None

    def __repr__(self):
        what = "{} x {} x {} images".format(*self.image_shape) if self.image_shape else f"{len(self.genes)} genes"
        return f"<isolario.Model of {what}, {self.n_latent} latent dimensions, {self.summary['verdict']}>"

    def __reduce__(self):
        raise TypeError("a Model is not copied or pickled: save(path) it, and isolario.load(path)")

    def _describe(self):
        text = c_void_p()
        call("iso_model_describe", self._handle, byref(text))
        try:
            return json.loads(ctypes.string_at(text.value).decode())
        finally:
            library.iso_text_free(text)

    def _run(self, name, *arguments):
        with self._lock:
            interrupted = run(name, self._handle, *arguments, threads=self._threads)
        if interrupted:
            raise KeyboardInterrupt

    def _open(self, data, batch, channels_last, layer):
        columns = {}
        if batch is not None:
            if not self.info["has_batch"]:
                raise Error(EUSAGE, "batch: the model was fitted without one")
            columns = {self.info["covariates"][0]["key"]: batch}
        return open_data(data, columns, channels_last=channels_last, layer=layer)

    def _needs_images(self):
        if not self.image_shape:
            raise Error(EUSAGE, "the model is of counts, and not of images")

    def _points(self, z):
        z = floats(numbers(z), "z")
        if z.ndim != 2 or z.shape[1] != self.n_latent:
            raise Error(EUSAGE, f"z of shape {z.shape}: the model has {self.n_latent} latent dimensions, so (n, {self.n_latent}) is needed")
        if not np.isfinite(z).all():
            raise Error(EDATA, "z has a value that is NaN or infinite")
        return z

    def embed(self, data, batch=None, *, channels_last=False, layer=None):
        """(mean, variance), each [n, n_latent], of the posterior of each cell or image."""
        with self._open(data, batch, channels_last, layer) as d:
            mean, variance = (np.empty((d.n, self.n_latent), np.float32) for _ in range(2))
            self._run("iso_model_embed", d.handle, mean.ctypes.data, variance.ctypes.data)
        return mean, variance

    def embed_invariant(self, images, batch=None, *, channels_last=False):
        """Mean places [n, n_latent] over all ways to turn and flip each image: these tell kinds of cells best, but decode to rounder ones
        than those of `embed`, which stand in one attitude."""
        self._needs_images()
        with self._open(images, batch, channels_last, None) as d:
            mean = np.empty((d.n, self.n_latent), np.float32)
            self._run("iso_model_embed_invariant", d.handle, mean.ctypes.data)
        return mean

    def decode(self, z):
        """Places z [n, n_latent]: images [n, channels, height, width] in the units of those it was fitted to; of counts, the share of
        a cell's counts for each gene, or the mean for Gaussian laws [n, genes]."""
        z = self._points(z)
        out = np.empty((len(z), *(self.image_shape or (len(self.genes),))), np.float32)
        self._run("iso_model_decode_images" if self.image_shape else "iso_model_decode", len(z), z.ctypes.data, out.ctypes.data)
        return out

    def reconstruct(self, images, batch=None, *, channels_last=False):
        """The images decoded again from their posterior means, without their noise: [n, channels, height, width]."""
        self._needs_images()
        with self._open(images, batch, channels_last, None) as d:
            out = np.empty((d.n, *self.image_shape), np.float32)
            self._run("iso_model_reconstruct", d.handle, out.ctypes.data)
        return out

    def sample(self, n, seed=0):
        """n cells that never were, from the prior: counts [n, genes], or images [n, channels, height, width]."""
        n, seed = _whole("n", n), _whole("seed", seed, most=2**64 - 1)
        out = np.empty((n, *(self.image_shape or (len(self.genes),))), np.float32)
        self._run("iso_model_sample", n, seed, out.ctypes.data)
        return out

    def score(self, data, batch=None, *, n_draws=5, n_samples=200, seed=0, channels_last=False, layer=None):
        """Scores(elbo, reconstruction, log_p): the first two means over n_draws draws of z, the last from n_samples importance
        samples; 0: without it. It is NaN where a model of images has a grid beside z."""
        n_samples = 0 if self.info["config"]["autoencoder"] else _whole("n_samples", n_samples)
        n_draws, seed = _whole("n_draws", n_draws, least=1), _whole("seed", seed, most=2**64 - 1)
        with self._open(data, batch, channels_last, layer) as d:
            elbo, reconstruction, log_p = (np.empty(d.n) for _ in range(3))
            self._run("iso_model_score", d.handle, n_draws, n_samples, seed,
                      elbo.ctypes.data, log_p.ctypes.data, reconstruction.ctypes.data)
        return Scores(elbo, reconstruction, log_p if n_samples else None)

    def save(self, path):
        """To a file that `load` and the commands of the shell read."""
        self._run("iso_model_save", os.fsencode(path))
