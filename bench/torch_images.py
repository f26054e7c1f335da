"""The network of Isolario's image VAE in PyTorch, for bench/images.py: the same layers, loss, optimiser, schedule, flips and turns.

    python bench/torch_images.py SET.npz OUT.npz --epochs 20 [--threads 2] [--speed] [--bf16]

SET.npz: images [n, C, H, W] float32 as scaled for the model, split [n] of train and test. OUT.npz: latent [n, 24], reconstructed
[tests, C, H, W]. One line of JSON is printed: test_elbo, epoch_s, step_ms.
"""
import argparse
import json
import math
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


def levels(height, width):
    n = 0
    while n < 6 and height % 2 == 0 and width % 2 == 0 and height // 2 >= 4 and width // 2 >= 4:
        height, width, n = height // 2, width // 2, n + 1
    return n


class ImageVAE(nn.Module):
    """z at the end of strided convolutions; a grid s at a quarter of the size with prior p(s|z); one variance a channel."""

    def __init__(self, channels, height, width, n_latent=24, first=32, grid=8):
        super().__init__()
        n = levels(height, width)
        width_at = [channels] + [min(first * 2**l, 256) for l in range(n)]
        self.down = nn.ModuleList(nn.Conv2d(width_at[l], width_at[l + 1], 4, 2, 1) for l in range(n))
        self.up = nn.ModuleList(nn.ConvTranspose2d(width_at[l + 1], width_at[l], 4, 2, 1) for l in range(n))
        self.smallest = (width_at[n], height >> n, width >> n)
        size = math.prod(self.smallest)
        self.mean, self.log_variance = nn.Linear(size, n_latent), nn.Linear(size, n_latent)
        self.first = nn.Linear(n_latent, size)
        wide = width_at[2]
        self.heads = nn.ModuleDict({k: nn.Conv2d(wide, grid, 1) for k in ("q_mean", "q_log_variance", "p_mean", "p_log_variance")})
        self.grid_in, self.mix = nn.Conv2d(grid, wide, 3, 1, 1), nn.Conv2d(wide, wide, 3, 1, 1)
        self.register_buffer("variance", torch.full((channels,), 0.05))

    def encode(self, x):
        for l, layer in enumerate(self.down):
            x = F.relu(layer(x))
            if l == 1:
                at_grid = x
        x = x.flatten(1)
        return self.mean(x), self.log_variance(x), at_grid

    def features(self, z):
        x = F.relu(self.first(z)).view(-1, *self.smallest)
        for layer in reversed(self.up[2:]):
            x = F.relu(layer(x))
        return x

    def image(self, features, s):
        x = F.relu(self.mix(F.relu(features + self.grid_in(s))))
        return self.up[0](F.relu(self.up[1](x)))

    def forward(self, x, beta=1.0, draw=True):
        """(loss of the batch / n, reconstruction + KL a cell)."""
        mu, raw, at_grid = self.encode(x)
        z = mu + torch.exp(0.5 * raw) * torch.randn_like(mu) if draw else mu
        kl = 0.5 * (mu**2 + raw.exp() - 1 - raw).sum(1)
        f = self.features(z)
        both = f + at_grid
        q_mu, q_raw = self.heads["q_mean"](both), self.heads["q_log_variance"](both)
        p_mu, p_raw = self.heads["p_mean"](f), self.heads["p_log_variance"](f)
        s = q_mu + torch.exp(0.5 * q_raw) * torch.randn_like(q_mu) if draw else q_mu
        grid_kl = 0.5 * (p_raw - q_raw + (q_raw.exp() + (q_mu - p_mu) ** 2) / p_raw.exp() - 1).sum((1, 2, 3))
        y = self.image(f, s)
        error = (y - x).float() ** 2
        if self.training:
            with torch.no_grad():
                self.variance.mul_(0.95).add_(0.05 * error.mean((0, 2, 3)))
        v = error.mean((0, 2, 3)).detach() if self.training else self.variance
        nll = 0.5 * (error / v[:, None, None] + torch.log(2 * math.pi * v)[:, None, None]).sum((1, 2, 3))
        return (nll + beta * kl + grid_kl).mean(), nll + kl + grid_kl, y


def ways(x):
    """Flips and turns (no turns if it is not square)."""
    return 8 if x.shape[2] == x.shape[3] else 4


def turned(x, way):
    x = x.flip(3) if way & 1 else x
    x = x.flip(2) if way & 2 else x
    return x.transpose(2, 3) if way & 4 else x


def standing(x):
    """Each in its standard attitude: its light to the right of the middle and below, rather to the right if it is square."""
    height, width = x.shape[2:]
    light = x.sum(1)
    right = (light * (torch.arange(width) - (width - 1) / 2)).sum((1, 2))
    down = (light * (torch.arange(height) - (height - 1) / 2)[:, None]).sum((1, 2))
    turn = (down.abs() > right.abs()) & (ways(x) == 8)
    way = (right < 0).int() + 2 * (down < 0).int() + 4 * turn.int()
    return torch.stack([turned(image[None], int(w))[0].contiguous() for image, w in zip(x, way)])


def placed(model, x):
    """Means of q(z|x)."""
    return torch.cat([model.encode(part.contiguous())[0] for part in x.split(256)]).numpy()


def augmented(x):
    """One of them for each image."""
    way = torch.randint(ways(x), (len(x),))
    out = torch.empty_like(x)
    for w in range(ways(x)):
        out[way == w] = turned(x[way == w], w)
    return out


def step(model, optimiser, x, beta, bf16):
    optimiser.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        loss = model(x.contiguous(memory_format=torch.channels_last), beta)[0]
    loss.backward()
    optimiser.step()


def main():
    a = argparse.ArgumentParser()
    a.add_argument("set")
    a.add_argument("out")
    a.add_argument("--epochs", type=int, default=20)
    a.add_argument("--batch", type=int, default=16)
    a.add_argument("--rate", type=float, default=1.5e-3)
    a.add_argument("--warmup", type=float, default=0.3)
    a.add_argument("--seed", type=int, default=0)
    a.add_argument("--threads", type=int, default=2)
    a.add_argument("--speed", action="store_true", help="40 steps alone")
    a.add_argument("--bf16", action="store_true")
    a = a.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    data = np.load(a.set)
    x, test = torch.from_numpy(data["images"]), torch.from_numpy(data["split"] == "test")
    model = ImageVAE(*x.shape[1:]).to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(model.parameters(), lr=a.rate, eps=1e-8)
    train = torch.nonzero(~test).flatten()
    per_epoch = len(train) // a.batch
    if a.speed:
        times = []
        for i in range(40):
            start = time.perf_counter()
            step(model, optimiser, augmented(x[train[torch.randperm(len(train))[:a.batch]]]), 1.0, a.bf16)
            times.append(time.perf_counter() - start)
        print(json.dumps({"step_ms": 1e3 * statistics.median(times[5:])}))
        return
    done, planned, seconds = 0, a.epochs * per_epoch, []
    for _ in range(a.epochs):
        start = time.perf_counter()
        order = train[torch.randperm(len(train))]
        for b in range(per_epoch):
            for group in optimiser.param_groups:
                group["lr"] = a.rate * min(1, (done + 1) / math.ceil(0.05 * planned)) * 0.5 * (1 + math.cos(math.pi * done / planned))
            step(model, optimiser, augmented(x[order[b * a.batch:(b + 1) * a.batch]]), min(1.0, done / (a.warmup * planned)), a.bf16)
            done += 1
        seconds.append(time.perf_counter() - start)
    model.eval()
    with torch.no_grad():
        places = {"as_it_lies": placed(model, x), "attitude": placed(model, standing(x)),
                  "invariant": sum(placed(model, turned(x, w)) for w in range(ways(x))) / ways(x)}
        held = x[test]
        elbo = -torch.cat([model(part)[1] for part in held.split(256)]).mean().item()
        again = torch.cat([model(part, draw=False)[2] for part in held.split(256)]).numpy()
    np.savez(a.out, reconstructed=again, **places)
    print(json.dumps({"test_elbo": elbo, "epoch_s": statistics.median(seconds), "train_s": sum(seconds),
                      "step_ms": 1e3 * statistics.median(seconds) / per_epoch}))


if __name__ == "__main__":
    main()
