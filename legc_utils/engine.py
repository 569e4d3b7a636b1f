"""Networks as lanes: the kernels under `training`, which advance many small networks at once.

Up to `LANES` networks stand side by side, their index innermost, so that every inner loop is a vector instruction over
them, or over the units of one network. No sum changes its order, and the exponential is made of products and sums only:
the same bits whatever the width of a processor's vectors, the number of lanes or who else is trained.

Inside, the weights of a layer are w[input, unit, lane], biases and activations b[unit, lane] and a[sample, unit, lane].
"""

import numpy as np
from numba import get_num_threads, prange

from legc_utils.compiling import njit

_ROWS = 16  # whose activations are found together
_NOBODY = np.uint64(2**64 - 1)  # -1
LANES = 32  # then a layer of 16 units still has its row of weights in the first cache
_LOG2E, _LN2_HIGH, _LN2_LOW = 1.4426950408889634, 6.93147180369123816490e-01, 1.90821492927058770002e-10
_ROUND = 1.5 * 2.0**52  # added and taken away again, it leaves the nearest whole number
_POWERS = tuple(1 / np.prod(np.arange(1.0, k + 1)) for k in range(13, -1, -1))  # of the exponential's series


@njit(inline="always")
def exp(x):
    """e^x to 1e-16 of itself; of ±708 beyond them, where float64 ends. Cody & Waite (1980), chapter 6."""
    x = -708.0 if x < -708.0 else 708.0 if x > 708.0 else x
    shifted = x * _LOG2E + _ROUND
    whole = shifted - _ROUND
    rest = (x - whole * _LN2_HIGH) - whole * _LN2_LOW
    power = 0.0
    for term in _POWERS:
        power = power * rest + term
    bits = np.float64(shifted).view(np.int64) + np.int64(1023)
    return power * np.int64(bits << np.int64(52)).view(np.float64)


@njit()
def _softmax(a, start, n, lanes):
    for first in range(start, start + lanes):
        most, total = a[first], 0.0
        for k in range(first, start + n, lanes):
            most = max(most, a[k])
        for k in range(first, start + n, lanes):
            a[k] = exp(a[k] - most)
            total += a[k]
        for k in range(first, start + n, lanes):
            a[k] /= total


# Offsets are unsigned, as numba then has no negative ones to look for, which would keep loops from being vectors; and
# arrays are flat, as views of them are counted, which takes longer than a row of weights
@njit(inline="always")
def _forward(w, b, X, batch, layers, lanes, softmax, a):
    """Fill the activations a of the samples X[batch]."""
    start = np.uint64(0)
    for sample in batch:
        from_w, from_b = np.uint64(0), np.uint64(0)
        for layer in range(layers.size - 1):
            fan_in, n, z = layers[layer], layers[layer + 1] * lanes, start + from_b
            for k in range(n):
                a[z + k] = b[from_b + k]
            if layer == 0 or lanes == 1:  # one factor for the whole row
                for j in range(fan_in):
                    x = X[sample * fan_in + j] if layer == 0 else a[z - fan_in + j]
                    if x != 0.0:  # most pixels are
                        row = from_w + j * n
                        for k in range(n):
                            a[z + k] += w[row + k] * x
            else:
                for i in range(np.uint64(0), n, lanes):
                    for j in range(fan_in):
                        row, below = from_w + j * n + i, z + (j - fan_in) * lanes
                        for lane in range(lanes):
                            a[z + i + lane] += w[row + lane] * a[below + lane]
            if softmax and layer == layers.size - 2:
                _softmax(a, z, n, lanes)
            else:
                for k in range(z, z + n):
                    a[k] = 1.0 / (1.0 + exp(-a[k]))
            from_w, from_b = from_w + fan_in * n, from_b + n
        start += np.uint64(b.size)


@njit(inline="always")
def _errors(a, T, batch, layers, lanes, softmax, units, delta):
    """Slope of the squared error, summed over outputs, in what enters the last layer's activation."""
    n, end = layers[-1] * lanes, np.uint64(0)
    for s in range(batch.size):
        end += units
        y = end - n
        for i in range(layers[-1]):
            t = T[batch[s] * layers[-1] + i]
            for lane in range(lanes):
                k = y + i * lanes + lane
                delta[k] = 2.0 * (a[k] - t)
        if softmax:
            for lane in range(lanes):
                mean = 0.0
                for k in range(y + lane, end, lanes):
                    mean += delta[k] * a[k]
                for k in range(y + lane, end, lanes):
                    delta[k] = a[k] * (delta[k] - mean)
        else:
            for k in range(y, end):
                delta[k] = delta[k] * a[k] * (1.0 - a[k])


@njit(inline="always")
def _descend(w, b, keep, X, batch, layers, lanes, rate, a, delta, turned):
    """Pass the errors back and take the step; they pass through the weights as they were before it."""
    from_w, from_b, units = np.uint64(w.size), np.uint64(b.size), np.uint64(b.size)
    for layer in range(layers.size - 2, -1, -1):
        fan_in, fan_out = layers[layer], layers[layer + 1]
        n, n_in = fan_out * lanes, fan_in * lanes
        from_w, from_b = from_w - fan_in * n, from_b - n
        if layer and lanes == 1:
            for j in range(fan_in):
                for i in range(fan_out):
                    turned[i * fan_in + j] = w[from_w + j * fan_out + i]
        at = from_b
        for _ in range(batch.size):
            if layer:
                d = at - n_in
                for k in range(d, at):
                    delta[k] = 0.0
                if lanes == 1:
                    for i in range(fan_out):
                        x = delta[at + i]
                        for k in range(fan_in):
                            delta[d + k] += turned[i * fan_in + k] * x
                else:
                    for j in range(fan_in):
                        for i in range(np.uint64(0), n, lanes):
                            row, to, of = from_w + j * n + i, d + j * lanes, at + i
                            for lane in range(lanes):
                                delta[to + lane] += w[row + lane] * delta[of + lane]
                for k in range(d, at):
                    delta[k] *= a[k] * (1.0 - a[k])
            for k in range(n):
                delta[at + k] *= rate
            for k in range(n):
                b[from_b + k] -= delta[at + k]
            at += units
        at = from_b
        for sample in batch:
            if layer == 0 or lanes == 1:
                for j in range(fan_in):
                    x = X[sample * fan_in + j] if layer == 0 else a[at - fan_in + j]
                    if x != 0.0:
                        row = from_w + j * n
                        for k in range(n):
                            w[row + k] -= delta[at + k] * x
            else:
                for j in range(fan_in):
                    below = at - n_in + j * lanes
                    for i in range(np.uint64(0), n, lanes):
                        row = from_w + j * n + i
                        for lane in range(lanes):
                            w[row + lane] -= delta[at + i + lane] * a[below + lane]
            at += units
        if keep.size:
            for k in range(from_w, from_w + fan_in * n):
                w[k] *= keep[k]


@njit()
def _load(flat, place, lanes):
    """Networks flat[lane, place[k]] side by side: float64 (n · lanes,), 0 in lanes that nobody takes."""
    packed = np.zeros(flat.shape[1] * lanes)
    for k in range(flat.shape[1]):
        for lane in range(len(flat)):
            packed[k * lanes + lane] = flat[lane, place[k]]
    return packed


@njit()
def _unload(packed, place, lanes, flat):
    for k in range(flat.shape[1]):
        for lane in range(len(flat)):
            flat[lane, place[k]] = packed[k * lanes + lane]


@njit(parallel=True)
def _advance(weights, biases, masks, X, T, batches, group, layers, lanes, softmax, rate, place, record):
    units, skipped, side_by_side = np.arange(biases.shape[1]), weights.shape[1] - record.shape[2], np.uint64(lanes)
    for block in prange(-(-len(weights) // lanes)):
        m = slice(block * lanes, min((block + 1) * lanes, len(weights)))
        w, b = _load(weights[m], place, lanes), _load(biases[m], units, lanes)
        keep, own = _load(masks[m], place[: masks.shape[1]], lanes), batches[group[m.start]]
        a, delta, turned = np.empty(own.shape[1] * b.size), np.empty(own.shape[1] * b.size), np.empty(w.size)
        for step in range(len(own)):
            size = own.shape[1]
            while own[step, size - 1] == _NOBODY:
                size -= 1
            batch = own[step, :size]
            _forward(w, b, X, batch, layers, side_by_side, softmax, a)
            _errors(a, T, batch, layers, side_by_side, softmax, np.uint64(b.size), delta)
            _descend(w, b, keep, X, batch, layers, side_by_side, rate / batch.size, a, delta, turned)
            if len(record):
                _unload(w[skipped * lanes :], place[skipped:] - skipped, lanes, record[step, m])
        _unload(w, place, lanes, weights[m])
        _unload(b, units, lanes, biases[m])


@njit(parallel=True)
def _predict(weights, biases, X, y, layers, lanes, softmax, exact, place):
    labels, right = np.empty((len(weights), len(y)), np.int8), np.zeros(len(weights), np.int64)
    n_out, units = np.int64(layers[-1]), np.arange(biases.shape[1])
    for block in prange(-(-len(weights) // lanes)):
        first, n = block * lanes, min(lanes, len(weights) - block * lanes)
        w, b = _load(weights[first : first + n], place, lanes), _load(biases[first : first + n], units, lanes)
        a, rows = np.empty(_ROWS * b.size), np.arange(len(y)).astype(np.uint64)
        for start in range(0, len(y), _ROWS):
            batch = rows[start : start + _ROWS]
            _forward(w, b, X, batch, layers, np.uint64(lanes), softmax, a)
            for s in range(batch.size):
                out, truth = a[(s + 1) * b.size - n_out * lanes : (s + 1) * b.size], y[start + s]
                for lane in range(n):
                    label, most, sides = 0, out[lane], True
                    for i in range(n_out):
                        value = out[i * lanes + lane]
                        sides &= (value >= 0.5) == (i == truth)
                        if value > most:
                            label, most = i, value
                    if n_out == 1:
                        label = int(most >= 0.5)
                    labels[first + lane, start + s] = label
                    right[first + lane] += sides if exact and n_out > 1 else label == truth
    return labels, right


def _lanes(n_members, together):
    """How many networks stand side by side: a multiple of a vector's eight numbers, fewer where threads would idle."""
    if n_members == 1 or not together:
        return 1
    blocks = max(-(-n_members // LANES), min(get_num_threads(), -(-n_members // 8)))
    return -(-n_members // blocks // 8) * 8


def layer_slices(layers):
    """For each layer: (slice of its weights, slice of its biases, (outputs, inputs))."""
    slices, w, b = [], 0, 0
    for fan_in, fan_out in zip(layers, layers[1:]):
        slices.append((slice(w, w + fan_in * fan_out), slice(b, b + fan_out), (fan_out, fan_in)))
        w, b = w + fan_in * fan_out, b + fan_out
    return slices


def _places(layers):
    """Flat index (unit by unit, as `training` keeps them) of each packed weight (input by input)."""
    return np.concatenate([np.r_[at].reshape(shape).T.ravel() for at, _, shape in layer_slices(layers)])


class Engine:
    """Trains and asks networks of one shape on one data set, under one protocol.

    layers : units per layer, inputs first; X float64 (n, inputs); T float64 (n, outputs), the targets
    protocol : protocols.Protocol, of which rate, loss, output, batch_size and accuracy count
    """

    def __init__(self, layers, X, T, protocol):
        self.layers, self.place = np.array(layers, np.uint64), _places(layers)
        self.X, self.T = np.ravel(X).astype(np.float64), np.ravel(T)
        self.softmax, self.exact = protocol.output == "softmax", protocol.accuracy == "exact"
        self.rate = protocol.rate / (layers[-1] if protocol.loss == "mean" else 1)
        self.together = protocol.batch_size == 1  # else the units of one network fill a vector, and members may differ

    def advance(self, weights, biases, masks, batches, group, record):
        """Take one step a batch, in place.

        weights (M, n_weights), biases (M, n_biases) float64; masks float64 of 0 and 1, as weights, or (M, 0) for none;
        batches int (G, n_steps, batch_size), numbers of samples, −1 where a batch is shorter; group (M,), whose of the
        G each member sees; record (n_steps, M, n) is filled with the last n weights after each step, or (0, M, n).
        """
        lanes = _lanes(len(weights), self.together)
        given = weights, biases, masks, self.X, self.T, batches.astype(np.uint64), group
        _advance(*given, self.layers, lanes, self.softmax, self.rate, self.place, record)

    def judge(self, weights, biases, X, y):
        """(share classified rightly (M,), predicted labels int8 (M, n)) by the protocol's rule."""
        lanes = _lanes(len(weights), self.together)
        given = weights, biases, np.ravel(X), np.asarray(y), self.layers, lanes, self.softmax, self.exact, self.place
        labels, right = _predict(*given)
        return right / len(y), labels
