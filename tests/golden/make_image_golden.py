"""Writes image_laws.h: -log p of small batches of images and its gradient by the mean, from mpmath with 50 digits.

    python tests/golden/make_image_golden.py > tests/golden/image_laws.h

The formulas are the textbook ones. The Haar basis is written down image by image: on a square of 2^l pixels a side, +-2^-l in its
halves. Numbers of the cases are multiples of 1/64, so that float and double hold them exactly.
"""
import random

from mpmath import log, loggamma, matrix, mp, mpf, pi

mp.dps = 50
DARK = mpf("0.01")                   # photons that come in any case: src/op/image_likelihood.c


def haar(height, width):
    """(rows of the orthonormal basis over pixels, band of each)."""
    levels = 0
    while levels < 4 and height % 2**(levels + 1) == 0 and width % 2**(levels + 1) == 0:
        levels += 1
    basis, band = [], []
    for l in range(1, levels + 1):
        side = 2**l
        kinds = [(1, 0), (0, 1), (1, 1)] + ([(0, 0)] if l == levels else [])
        for kind, (by_x, by_y) in enumerate(kinds):
            for top in range(0, height, side):
                for left in range(0, width, side):
                    row = [mpf(0)] * (height * width)
                    for y in range(side):
                        for x in range(side):
                            sign = (-1)**(by_x * (x >= side // 2) + by_y * (y >= side // 2))
                            row[(top + y) * width + left + x] = mpf(sign) / side
                    basis.append(row)
                    band.append(3 * (l - 1) + kind)
    if not levels:
        basis, band = [[mpf(int(i == j)) for j in range(height * width)] for i in range(height * width)], [0] * (height * width)
    W = matrix(basis)
    assert W * W.T == matrix([[mpf(int(i == j)) for j in range(W.rows)] for i in range(W.rows)])
    return W, band


def gaussian(case, wavelet=False, sigma=None):
    H, V, C, B = case["height"], case["width"], case["channels"], case["cells"]
    if wavelet:
        W, band = haar(H, V)
    else:
        W, band = None, [0] * (H * V)
    n_bands = max(band) + 1
    residual = {}
    for b in range(B):
        for c in range(C):
            r = matrix([case["mean"][(b * H * V + p) * C + c] - case["image"][(b * H * V + p) * C + c] for p in range(H * V)])
            residual[b, c] = W * r if wavelet else r
    variance = {}
    for c in range(C):
        for k in range(n_bands):
            places = [p for p in range(H * V) if band[p] == k]
            if sigma is not None:
                variance[k, c] = mpf(sigma)**2
            elif case["training"]:
                variance[k, c] = sum(residual[b, c][p]**2 for b in range(B) for p in places) / (B * len(places))
            else:
                variance[k, c] = case["state"][k * C + c]
    loss, gradient = mpf(0), [None] * len(case["mean"])
    for (b, c), r in residual.items():
        v = [variance[band[p], c] for p in range(H * V)]
        loss += sum(r[p]**2 / (2 * v[p]) + log(2 * pi * v[p]) / 2 for p in range(H * V))
        d = matrix([r[p] / v[p] for p in range(H * V)])
        d = W.T * d if wavelet else d
        for p in range(H * V):
            gradient[(b * H * V + p) * C + c] = d[p]
    return loss, gradient


def photon(case):
    C, loss, gradient = case["channels"], mpf(0), []
    for i, (m, x) in enumerate(zip(case["mean"], case["image"])):
        unit, zero = case["state"][i % C], case["state"][C + i % C]
        count, rate = max(unit * x + zero, mpf(0)), unit * m + DARK
        loss += rate - count * log(rate) + loggamma(count + 1) - log(unit)
        gradient.append(unit * (1 - count / rate))
    return loss, gradient


LAWS = {"gaussian": gaussian, "wavelet": lambda c: gaussian(c, wavelet=True), "mse": lambda c: gaussian(c, sigma=1), "photon": photon}
CASES = [("gaussian", 4, 6, 2, 3, True), ("gaussian", 5, 3, 1, 2, False), ("wavelet", 8, 4, 2, 2, True), ("wavelet", 6, 10, 1, 2, False),
         ("wavelet", 16, 16, 1, 1, False), ("mse", 3, 5, 2, 2, True), ("photon", 3, 5, 2, 2, True)]


def make(law, height, width, channels, cells, training):
    rng = random.Random(f"{law} {height} {width}")
    some = lambda n, low, high: [mpf(rng.randint(int(64 * low), int(64 * high))) / 64 for _ in range(n)]
    n = cells * height * width * channels
    case = {"law": law, "height": height, "width": width, "channels": channels, "cells": cells, "training": training}
    bands = max(haar(height, width)[1]) + 1 if law == "wavelet" else 1
    case["rows"] = 0 if law == "mse" else 2 if law == "photon" else bands
    case["mean"] = some(n, 0, 1.25) if law == "photon" else some(n, -0.25, 1.25)
    case["image"] = some(n, -0.25, 1.5)
    case["state"] = some(2 * channels, 2, 9) if law == "photon" else some(case["rows"] * channels, 0.05, 1)
    if law == "photon":              # photons where the scaled image is 0: few, so that some counts are below 0
        case["state"][channels:] = some(channels, 0, 1)
    case["loss"], case["gradient"] = LAWS[law](case)
    return case


def numbers(values):
    return "(const double[]){" + ", ".join(repr(float(v)) for v in values) + "}" if values else "0"


print("""/* Written by make_image_golden.py: -log p of all cells' images, and its gradient by the mean; see op/image_likelihood.c. */
typedef struct golden_images {
    const char *law;
    int height, width, channels, cells, training, state_rows;
    double loss;
    const double *mean, *image, *state, *gradient;
} golden_images;

static const golden_images golden_image_laws[] = {""")
for shape in CASES:
    c = make(*shape)
    print(f'    {{"{c["law"]}", {c["height"]}, {c["width"]}, {c["channels"]}, {c["cells"]}, {int(c["training"])}, {c["rows"]}, {float(c["loss"])!r},')
    print(",\n".join("     " + numbers(c[k]) for k in ("mean", "image", "state", "gradient")) + "},")
print("    {0},\n};")
