"""One run of scvi-tools, for bench.py: prints one JSON line. Everything is at its defaults but what is given.

scvi_run.py FILE LIKELIHOOD SEED EPOCHS THREADS     EPOCHS 0: scvi-tools' own number
"""
import json
import resource
import sys
import time
import warnings

start = time.perf_counter()
warnings.filterwarnings("ignore")
import anndata
import lightning
import numpy as np
import scvi
import torch

imported = time.perf_counter()
path, likelihood, seed, epochs, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
torch.set_num_threads(threads)
scvi.settings.seed = seed


class Clock(lightning.pytorch.callbacks.Callback):
    """Seconds of each epoch's training steps."""

    seconds = []

    def on_train_epoch_start(self, *_):
        self.from_ = time.perf_counter()

    def on_train_epoch_end(self, *_):
        self.seconds.append(time.perf_counter() - self.from_)


cells = anndata.read_h5ad(path)
train, test = (cells[cells.obs["split"] == which].copy() for which in ("train", "test"))
scvi.model.SCVI.setup_anndata(train)
model = scvi.model.SCVI(train, gene_likelihood=likelihood)
loaded = time.perf_counter()
model.train(max_epochs=epochs or None, accelerator="cpu", train_size=1.0, enable_progress_bar=False, callbacks=[Clock()])
trained = time.perf_counter()
if not epochs or epochs > 20:
    elbo = [float(model.get_elbo(test)) for _ in range(5)]
else:
    elbo = [float("nan")]
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({
    "import_s": imported - start, "load_s": loaded - imported, "train_s": trained - loaded, "wall_s": trained - start,
    "steps_per_epoch": -(-train.n_obs // 128), "epoch_s": float(np.median(Clock.seconds[1:] or Clock.seconds)),
    "epochs": len(Clock.seconds), "neg_elbo": -float(np.mean(elbo)), "peak_mib": rss, "version": scvi.__version__}), flush=True)
