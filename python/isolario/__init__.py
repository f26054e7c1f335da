"""Isolario: variational autoencoders for counts of single cells and for images of cells.

    model = isolario.fit(images, labels=labels)       # or an AnnData, a matrix of counts, a path
    mean, variance = model.embed(images)
    model.save("model.safetensors")

docs/PYTHON.md says more.
"""
from ._library import Error
from ._model import Interrupted, Model, Scores, fit, load
from ._version import __version__

__all__ = ["Error", "Interrupted", "Model", "Scores", "__version__", "fit", "load"]
