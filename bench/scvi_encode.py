"""Latent means and variances of a file's cells by scvi-tools, for bench.py: prints one JSON line.

The model is not trained, which encoding does not mind."""
import argparse
import json
import time
import warnings

start = time.perf_counter()
warnings.filterwarnings("ignore")
import anndata
import scvi
import torch

imported = time.perf_counter()
parser = argparse.ArgumentParser()
parser.add_argument("file")
parser.add_argument("--threads", type=int, default=1)
a = parser.parse_args()
torch.set_num_threads(a.threads)
cells = anndata.read_h5ad(a.file)
scvi.model.SCVI.setup_anndata(cells)
model = scvi.model.SCVI(cells)
model.is_trained = True
loaded = time.perf_counter()
mean, variance = model.get_latent_representation(return_dist=True)
encoded = time.perf_counter()
assert mean.shape == variance.shape == (cells.n_obs, 10)
print(json.dumps({"import_s": imported - start, "load_s": loaded - imported, "encode_s": encoded - loaded, "wall_s": encoded - start,
                  "cells": cells.n_obs, "version": scvi.__version__}), flush=True)
