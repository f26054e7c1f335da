"""One training by scvi-tools, for bench.py: prints one JSON line. Everything is at its defaults but what is given."""
import argparse
import json
import resource
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
parser = argparse.ArgumentParser()
parser.add_argument("file")
parser.add_argument("--likelihood", default="zinb")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--epochs", type=int, default=0, help="0: scvi-tools' own number")
parser.add_argument("--batch-size", type=int, default=128)
parser.add_argument("--elbo-draws", type=int, default=0, help="how often the held-out ELBO is drawn")
parser.add_argument("--threads", type=int, default=1)
a = parser.parse_args()
torch.set_num_threads(a.threads)
scvi.settings.seed = a.seed


class Clock(lightning.pytorch.callbacks.Callback):
    """Seconds of each epoch's training steps."""

    seconds = []

    def on_train_epoch_start(self, *_):
        self.from_ = time.perf_counter()

    def on_train_epoch_end(self, *_):
        self.seconds.append(time.perf_counter() - self.from_)


cells = anndata.read_h5ad(a.file)
train, test = (cells[cells.obs["split"] == which].copy() for which in ("train", "test"))
scvi.model.SCVI.setup_anndata(train)
model = scvi.model.SCVI(train, gene_likelihood=a.likelihood)
loaded = time.perf_counter()
model.train(max_epochs=a.epochs or None, batch_size=a.batch_size, accelerator="cpu", train_size=1.0, enable_progress_bar=False, callbacks=[Clock()])
trained = time.perf_counter()
peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
elbo = [float(model.get_elbo(test)) for _ in range(a.elbo_draws)]
epoch_s = float(np.median(Clock.seconds[1:] or Clock.seconds))
print(json.dumps({
    "import_s": imported - start, "load_s": loaded - imported, "train_s": trained - loaded, "wall_s": trained - start,
    "epoch_s": epoch_s, "steps_per_s": -(-train.n_obs // a.batch_size) / epoch_s, "epochs": len(Clock.seconds),
    "neg_elbo": -float(np.mean(elbo)) if elbo else None, "peak_mib": peak_mib, "version": scvi.__version__}), flush=True)
