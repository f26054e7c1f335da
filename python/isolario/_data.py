"""From what Python has - arrays, sparse matrices, AnnData, paths - to a data set of the library."""
import os
from ctypes import byref, c_void_p

import numpy as np

from ._library import EDATA, EUSAGE, Error, Options, call, library, names_of, run, text_of

MOST = 2**24                                        # float32 holds every whole number up to it


class Dataset:
    """A data set of the library; to be used in a `with`. `lent` holds what it looks at without a copy."""

    def __init__(self, handle, lent=None):
        self.handle, self.lent = handle, lent
        self.n = library.iso_dataset_n_cells(handle)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        library.iso_dataset_free(self.handle)
        self.handle = self.lent = None

    def add(self, name, values):
        """A column of obs: categories, texts, truth values, whole numbers or numbers."""
        if getattr(values, "ndim", 1) != 1 or len(values) != self.n:
            raise Error(EUSAGE, f'"{name}" has {len(values)} values, but there are {self.n} cells')
        if getattr(getattr(values, "dtype", None), "name", "") == "category":
            values = getattr(values, "cat", values)                      # of a Series, or a Categorical itself
            return self._add_categories(name, values.codes, values.categories)
        array = np.asarray(values)
        missing = np.asarray(values.isna() if hasattr(values, "isna") else [_is_missing(v) for v in array], bool)
        kind = getattr(getattr(values, "dtype", array.dtype), "kind", "O")
        if kind in "iu" and not missing.any():
            array = np.ascontiguousarray(array, np.int64)
            return call("iso_dataset_add_integers", self.handle, text_of(name), array.ctypes.data)
        if kind in "iuf":
            array = np.where(missing, np.nan, np.where(missing, 0, array).astype(np.float64))
            return call("iso_dataset_add_numbers", self.handle, text_of(name), array.ctypes.data)
        present = ~missing
        categories, found = np.unique([str(v) for v, there in zip(array, present) if there], return_inverse=True)
        codes = np.full(self.n, -1, np.int32)
        codes[present] = found
        return self._add_categories(name, codes, categories)

    def _add_categories(self, name, codes, categories):
        codes = np.ascontiguousarray(codes, np.int32)
        categories = list(categories)
        call("iso_dataset_add_categories", self.handle, text_of(name), codes.ctypes.data, len(categories), names_of(categories))


def _is_missing(value):
    same = value == value                           # neither NaN nor pandas' NA equals itself
    return value is None or not isinstance(same, (bool, np.bool_)) or not same


def open_data(data, columns=None, channel_names=None, channels_last=False, layer=None):
    """A path, an AnnData, cells x genes (dense, or sparse with .tocsr), or images. columns: more of obs, by name."""
    columns = columns or {}
    if isinstance(data, (str, os.PathLike)):
        dataset = _from_path(data, layer)
    elif hasattr(data, "obs") and hasattr(data, "var_names"):
        dataset = _from_anndata(data, layer, skip=columns)
    elif hasattr(data, "tocsr"):
        dataset = _from_csr(_rows(data))
    else:
        dataset = _from_array(numbers(data), channel_names, channels_last)
    try:
        for name, values in columns.items():
            dataset.add(name, values)
    except BaseException:
        dataset.__exit__()
        raise
    return dataset


def numbers(data):
    """An array of numbers from what NumPy makes one of."""
    if np.ma.is_masked(data):
        raise Error(EDATA, "a masked array with values masked: fill them first, with array.filled(...)")
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise Error(EUSAGE, f"no array can be made of the {type(data).__name__}: {error}") from error
    if array.dtype.kind not in "biuf":
        raise Error(EUSAGE, f"an array of {array.dtype}: numbers are needed")
    return array


def floats(array, what):
    """float32, contiguous; the same array if it is so already."""
    if array.dtype.kind in "iu" and array.size and max(int(array.max()), -int(array.min())) > MOST:
        raise Error(EDATA, f"{what} of {array.dtype} above {MOST}, the largest whole number that is kept exactly")
    with np.errstate(over="ignore"):                # what becomes infinite is refused by the library
        return np.ascontiguousarray(array, np.float32)


def _from_array(array, channel_names, channels_last):
    if array.ndim == 2:
        return _from_csr(_Csr(array))
    if array.ndim in (3, 4):
        return _from_images(array, channel_names, channels_last)
    raise Error(EUSAGE, f"data of shape {array.shape}: images are (n, height, width) or (n, channels, height, width), counts cells x genes")


def _from_path(path, layer):
    out = c_void_p()
    with Options("fit", {"layer": layer}) as o:
        interrupted = run("iso_dataset_read", os.fsencode(path), o, byref(out))
    dataset = Dataset(out)
    if interrupted:
        dataset.__exit__()
        raise KeyboardInterrupt
    return dataset


# ----------------------------------------------------------------------------------------------------- images


def _from_images(array, channel_names, channels_last):
    if array.ndim == 3:
        array = array[:, None]
    elif channels_last:
        array = np.moveaxis(array, 3, 1)
    elif array.shape[3] <= 4:
        raise Error(EUSAGE, f"images of shape {array.shape} are {array.shape[3]} pixels wide; if channels come last, say channels_last=True")
    if channel_names is not None and len(channel_names) != array.shape[1]:
        raise Error(EUSAGE, f"{len(channel_names)} names for {array.shape[1]} channels")
    pixels = floats(array, "pixels")
    out = c_void_p()
    call("iso_dataset_from_images", b"array", *pixels.shape, pixels.ctypes.data, None, names_of(channel_names), byref(out))
    return Dataset(out, lent=pixels)


# ----------------------------------------------------------------------------------------------------- counts


class _Csr:
    """A dense matrix as compressed rows."""

    def __init__(self, dense):
        self.shape = dense.shape
        rows, self.indices = np.nonzero(dense)
        self.indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(dense)))])
        self.data = dense[rows, self.indices]


def _from_csr(x, cells=None, genes=None):
    values = floats(numbers(x.data), "counts")
    if max(x.shape) >= 2**31 - 1:
        raise Error(EDATA, f"a matrix of {x.shape[0]} x {x.shape[1]} is too large")
    if len(x.indptr) != x.shape[0] + 1 or not len(x.indices) == len(values) == x.indptr[-1]:
        raise Error(EDATA, "the sparse matrix is damaged: its arrays do not have the lengths that belong together")
    if len(x.indices) and x.indices.max() >= x.shape[1]:
        raise Error(EDATA, f"the sparse matrix is damaged: it has a value of gene {x.indices.max()}, but there are {x.shape[1]}")
    indptr, indices = np.ascontiguousarray(x.indptr, np.int64), np.ascontiguousarray(x.indices, np.int32)
    out = c_void_p()
    call("iso_dataset_from_counts", b"array", *x.shape, indptr.ctypes.data, indices.ctypes.data, values.ctypes.data, names_of(cells),
         names_of(genes), byref(out))
    return Dataset(out)


def _rows(x):
    """Compressed rows of a matrix, sparse or dense."""
    if np.ndim(x) != 2:
        raise Error(EUSAGE, f"counts of shape {np.shape(x)}: cells x genes are needed")
    return x.tocsr() if hasattr(x, "tocsr") else _Csr(numbers(x))


def _is_counts(x):
    return bool(np.all(np.isfinite(x.data) & (x.data >= 0) & (x.data == np.floor(x.data))))


def _places(adata):
    """Where counts may be, in the order in which they are looked for: name, matrix, genes."""
    if adata.X is not None:
        yield "X", adata.X, adata.var_names
    if "counts" in adata.layers:
        yield "layers/counts", adata.layers["counts"], adata.var_names
    if adata.raw is not None:
        yield "raw", adata.raw.X, adata.raw.var_names


def _matrix_of(adata, layer):
    """The layer that is asked for; else, as for files, the first place that holds whole numbers, else the first."""
    if layer in adata.layers:
        return _rows(adata.layers[layer]), adata.var_names
    first = None
    for name, x, genes in _places(adata):
        found = _rows(x), genes
        if layer == name or (layer is None and _is_counts(found[0])):
            return found
        first = first or found
    if layer is None and first:
        return first
    raise Error(EUSAGE, f'the AnnData has no layer "{layer or "X"}"; its layers are: {", ".join(adata.layers) or "none"}')


def _from_anndata(adata, layer, skip):
    adata = adata.to_memory() if getattr(adata, "isbacked", False) else adata
    x, genes = _matrix_of(adata, layer)
    dataset = _from_csr(x, list(adata.obs_names), list(genes))
    try:
        for name in adata.obs.columns:
            if name not in skip:
                dataset.add(str(name), adata.obs[name])
    except BaseException:
        dataset.__exit__()
        raise
    return dataset
