"""Writes images.h: -log p of whole images, its gradient by the mean, and Haar coefficients, from the definitions.

    python tests/golden/images.py > tests/golden/images.h

Pixels are multiples of 1/32 and Haar functions are powers of 1/2, so that NumPy's sums of them are exact; logarithms, gamma functions
and quotients have mpmath's 50 digits. Needs NumPy and mpmath.
"""
from itertools import product

import numpy as np
from mpmath import exp, log, loggamma, mp, mpf, pi

mp.dps = 50
LEAST = exp(mpf(-12))                     # of a variance
DARK = mpf("0.01")                        # photons that come in any case
rng = np.random.default_rng(3)


def grid(low, high, shape):
    """Random multiples of 1/32."""
    return rng.integers(round(32 * low), round(32 * high) + 1, shape) / 32


# ------------------------------------------------------------------------------------------ the Haar basis


def haar(height, width):
    """(W, band, place): the Haar functions as the rows of a matrix, the sub-band of each, and where its coefficient stands.

    A function of level l lives on a square of 2^(l+1) pixels a side and is +-1 over that side: + on the left half (in x), the upper
    half (in y), or where these two agree (in both). Those that are left are constant on the squares of the last level.
    """
    levels = 0
    while levels < 4 and height % 2 ** (levels + 1) == 0 and width % 2 ** (levels + 1) == 0:
        levels += 1
    rows, band, place = [], [], []

    def add(side, top, left, pattern, number, at):
        f = np.zeros((height, width))
        f[top * side:(top + 1) * side, left * side:(left + 1) * side] = pattern / side
        rows.append(f.ravel()), band.append(number), place.append(at)

    for l in range(levels):
        side, h, w = 2 ** (l + 1), height >> (l + 1), width >> (l + 1)
        half = np.repeat([1.0, -1.0], side // 2)
        patterns = [np.tile(half, (side, 1)), np.tile(half[:, None], (1, side)), np.outer(half, half)]
        for top, left, (k, pattern) in product(range(h), range(w), enumerate(patterns)):
            add(side, top, left, pattern, 3 * l + k, (top + h * (k > 0), left + w * (k != 1)))
    side = 2**levels
    for top, left in product(range(height // side), range(width // side)):
        add(side, top, left, np.ones((side, side)), 3 * levels, (top, left))
    W = np.array(rows)
    assert W.shape == (height * width,) * 2 and np.array_equal(W @ W.T, np.eye(len(W)))
    assert len(set(place)) == len(place)
    return W, np.array(band), place


# ------------------------------------------------------------------------------------------------ the laws


def normal(mean, image, variance):
    """-log p of each cell and its gradient, of numbers [cells, places, channels] with variances of the same shape."""
    r = [mpf(v) for v in (mean - image).ravel()]
    v = list(variance.ravel())
    loss = np.array([a * a / (2 * b) + log(2 * pi * b) / 2 for a, b in zip(r, v)]).reshape(mean.shape).sum((1, 2))
    return loss, np.array([a / b for a, b in zip(r, v)]).reshape(mean.shape)


def gaussian(mean, image, state, training, momentum, transform=None, band=None):
    """One variance a channel, with a transform one a sub-band: the mean square in training, else the state's; at least e^-12."""
    places, channels = mean.shape[1:]
    W = np.eye(places) if transform is None else transform
    band = np.zeros(places, int) if band is None else band
    a, b, after = W @ mean, W @ image, [[mpf(s) for s in row] for row in state]
    own = np.empty((band.max() + 1, channels), object)
    for k, c in product(range(len(own)), range(channels)):
        r = (a - b)[:, band == k, c]
        own[k, c] = max(mpf((r * r).sum()) / r.size if training else mpf(state[k][c]), LEAST)
        if training:
            after[k][c] += momentum * (own[k, c] - after[k][c])
    loss, d = normal(a, b, np.broadcast_to(own[band], mean.shape))
    return loss, np.array([W.T.astype(object) @ one for one in d]), np.array(after)


def wavelet(mean, image, state, training, momentum, shape):
    W, band, _ = haar(*shape)
    return gaussian(mean, image, state, training, momentum, W, band)


def mse(mean, image):
    return *normal(mean, image, np.full(mean.shape, mpf(1))), np.zeros((0, 0))


def photon(mean, image, state):
    """The Poisson law of count = unit * x + zero >= 0, continued by the gamma function, as a density of x."""
    loss, d = np.zeros(len(mean), object), np.empty(mean.shape, object)
    for i in np.ndindex(mean.shape):
        unit, zero = (mpf(v) for v in state[:, i[2]])
        count, rate = max(unit * mpf(image[i]) + zero, mpf(0)), unit * mpf(mean[i]) + DARK
        loss[i[0]] += rate - count * log(rate) + loggamma(count + 1) - log(unit)
        d[i] = unit * (1 - count / rate)
    return loss, d, state


def convolution(height, width, inputs, outputs, weights):
    """The matrix of a convolution of 4 x 4 at every second pixel, with a border of one zero; channels last."""
    A = np.zeros((height // 2, width // 2, outputs, height + 2, width + 2, inputs))
    for y, x in product(range(height // 2), range(width // 2)):
        A[y, x, :, 2 * y:2 * y + 4, 2 * x:2 * x + 4] = weights.reshape(outputs, 4, 4, inputs)
    return A[:, :, :, 1:-1, 1:-1].reshape(height * width // 4 * outputs, height * width * inputs)


def features(mean, image, weights):
    """gaussian of pixels and of the positive responses of two convolutions, one after the other: loss of each cell and gradient."""
    size, inputs, loss, seen = 8, 1, 0, []
    a, b = mean, image
    for w in [None, *weights]:
        if w is not None:
            outputs = 8 * inputs if inputs == 1 else 2 * inputs
            A = convolution(size, size, inputs, outputs, w)
            size, inputs, a, b = size // 2, outputs, a @ A.T, b @ A.T
            assert np.all(a != 0)
            seen[-1] += (A, a > 0)
            a, b = np.maximum(a, 0), np.maximum(b, 0)
        shape = (len(a), size * size, inputs)
        l, d, _ = gaussian(a.reshape(shape), b.reshape(shape), np.ones((1, inputs)), True, 0)
        loss += l
        seen.append((d.reshape(a.shape),))
    d = seen.pop()[0]
    for own, A, lit in reversed(seen):
        d = own + (d * lit) @ A.astype(object)
    return loss, d


# ------------------------------------------------------------------------------------------------- the file


def numbers(name, values):
    values = [float(v) for v in np.ravel(values)] or [0.0]
    text = [f"{v:g}" if float(f"{v:g}") == v else repr(v) for v in values]
    lines, line = [], ""
    for t in text:
        if len(line) + len(t) > 140:
            lines.append(line)
            line = ""
        line += t + ", "
    print(f"static const double {name}[] = {{\n    " + "\n    ".join(x.rstrip() for x in lines + [line]) + "\n};")


table = []


def write(law, cells, height, width, channels, mean, image, state, training, momentum, result):
    loss, d, after = result
    name = f"images_{len(table)}"
    for what, values in (("mean", mean), ("image", image), ("state", state), ("loss", loss), ("gradient", d), ("after", after)):
        numbers(f"{name}_{what}", values)
    table.append(f'    {{&iso_likelihood_{law}, {str(training).lower()}, {cells}, {height}, {width}, {channels}, {len(state)}, {momentum:g}, '
                 + ", ".join(f"{name}_{what}" for what in ("mean", "image", "state", "loss", "gradient", "after")) + "},")


def learned(law, cells, height, width, channels, training, same=False):
    """A law with variances; same: the first channel is met exactly."""
    places = height * width
    bands = haar(height, width)[1].max() + 1 if law == "wavelet" else 1
    mean, image = grid(0, 1.25, (cells, places, channels)), grid(-0.125, 1.5, (cells, places, channels))
    image[:, :, 1:] = mean[:, :, 1:] + grid(-0.25, 0.25, mean[:, :, 1:].shape)          # channels unlike each other
    if same:
        image[:, :, 0] = mean[:, :, 0]
    state = grid(0.0625, 1, (bands, channels))
    more = (height, width) if law == "wavelet" else None
    result = wavelet(mean, image, state, training, 0.125, more) if more else gaussian(mean, image, state, training, 0.125)
    write(law, cells, height, width, channels, mean, image, state, training, 0.125, result)


print("""/* Written by images.py: -log p of each cell, its gradient by the mean and the state afterwards; and Haar coefficients. */
typedef struct golden_images {
    const iso_likelihood *law;
    bool training;
    int cells, height, width, channels, states;        /* mean, image, gradient [cells, height, width, channels]; state [states, channels] */
    double momentum;
    const double *mean, *image, *state, *loss, *gradient, *after;
} golden_images;
""")
learned("gaussian", 3, 3, 5, 2, True)
learned("gaussian", 2, 4, 3, 2, False)
learned("gaussian", 2, 2, 3, 2, True, same=True)
learned("feature", 2, 2, 3, 1, True)
learned("wavelet", 2, 3, 5, 1, True)              # no level
learned("wavelet", 2, 6, 10, 1, True)             # one
learned("wavelet", 1, 6, 10, 1, False)
learned("wavelet", 1, 8, 24, 2, True)             # three
learned("wavelet", 1, 16, 16, 1, True)           # four; some sub-bands of one coefficient
learned("wavelet", 1, 4, 4, 2, True, same=True)
mean, image = grid(0, 1.25, (2, 6, 2)), grid(-0.25, 1.5, (2, 6, 2))
write("mse", 2, 3, 2, 2, mean, image, np.zeros((0, 0)), True, 0, mse(mean, image))
mean, image = grid(0, 1.25, (2, 15, 2)), grid(-0.125, 1.5, (2, 15, 2))
mean[0, :3, 0], image[0, 1, 0], image[1, 4, 1] = 0, -0.125, 400             # no light, fewer than no photons, many
state = np.array([[20.5, 3.375], [1.75, 0.25]])
for training in (True, False):
    write("photon", 2, 3, 5, 2, mean, image, state, training, 0, photon(mean, image, state))
print("\nstatic const golden_images golden_images_table[] = {\n" + "\n".join(table) + "\n    {0},\n};\n")

print("""/* The scalar law: log p of count x under mean photons. */
static const struct golden_photon { double x, mean, log_p; } golden_photons[] = {""")
for x, m in product([0, 0.5, 1, 2.25, 7, 13.5, 1000.75, 2000000], [0.01, 0.75, 4, 1000, 2000000]):
    x, m = float(x), float(m)
    print(f"    {{{x!r}, {m!r}, {float(mpf(x) * log(mpf(m)) - mpf(m) - loggamma(mpf(x) + 1))!r}}},")
print("};\n")

def dealt(n, step, most):
    """Numbers that the test makes by the same rule."""
    return (np.arange(n) * step % most - most // 2) / 256


loss, d = features(np.full((2, 64), 0.5), dealt(128, 29, 251).reshape(2, 64), [dealt(128, 137, 509), dealt(2048, 141, 521)])
print("/* The law `feature` of the numbers in test_feature_law.c: of two cells; and the gradient by a mean that all pixels share. */")
numbers("golden_feature_loss", loss)
print(f"static const double golden_feature_gradient = {float(d.sum())!r};\n")

print("""/* Coefficients where they stand, of `image` [height, width, channels]. */
typedef struct golden_haar {
    int height, width, channels;
    const double *image, *coefficients;
} golden_haar;
""")
table = []
for height, width, channels in ((12, 20, 1), (6, 4, 2), (5, 6, 1)):
    W, _, place = haar(height, width)
    image, out = grid(-1, 1, (height * width, channels)), np.empty((height, width, channels))
    for row, at in zip(W, place):
        out[at] = row @ image
    name = f"haar_{len(table)}"
    numbers(f"{name}_image", image), numbers(f"{name}_coefficients", out)
    table.append(f"    {{{height}, {width}, {channels}, {name}_image, {name}_coefficients}},")
print("\nstatic const golden_haar golden_haar_table[] = {\n" + "\n".join(table) + "\n    {0},\n};")
