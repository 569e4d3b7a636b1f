"""Train many small networks at once: every seed, mask and perturbed twin advances together.

Weights and biases are kept flat: `weights` holds W1 row by row, then W2, …; only these are recorded, counted and pruned
(section 3.4). `biases` holds b1, b2, ….
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numba import njit, prange
from sklearn.metrics import f1_score

from legc_utils import protocols
from legc_utils.protocols import check, check_finite, is_number, numbers

_PIECE = 2**22  # weights handed to `record` at a time: 32 MiB, whatever the length of the run


@dataclass
class Runs:
    """What `train_ensemble` returns. S seeds × K masks × P twins = M members, seeds slowest, twins fastest."""

    members: pd.DataFrame  # M rows: seed, mask (0 … K-1), twin (0 … P-1)
    layers: tuple  # units per layer, inputs first
    protocol: protocols.Protocol
    initial_weights: np.ndarray  # float64 (M, n_weights), the final ones too
    initial_biases: np.ndarray  # float64 (M, n_biases), the final ones too
    final_weights: np.ndarray
    final_biases: np.ndarray
    rows: np.ndarray  # int (n_rows,), the iterates at which errors were read; 0 is before the first step
    train_error: np.ndarray  # float64 (n_rows, M), share misclassified at those iterates
    test_error: np.ndarray  # the same of the test set
    train_accuracy: np.ndarray  # float64 (epochs, M), after each epoch
    test_accuracy: np.ndarray  # the same of the test set
    test_labels: np.ndarray  # int8 (epochs, M, n_test), predicted classes after each epoch
    y_test: np.ndarray  # int64 (n_test,), true classes
    weights: np.ndarray | None = None  # float64 (n_iterates + 1, M, n_weights) if they were recorded

    @property
    def target_error(self):
        """The error that the protocol's Granger test is to predict: float64 (n_rows, M)."""
        return self.test_error if self.protocol.target == "test" else self.train_error

    def at_stop(self, benchmark=None):
        """Members with epoch, accuracy and macro F1 at the stop (section 5; Testing.ipynb).

        The stop is the first epoch, counted from 0, after which the *training* accuracy is at least
        `benchmark`. Members that never stop have `reached` False, epoch NaN, and are read at the last epoch.
        """
        benchmark = self.protocol.benchmark if benchmark is None else benchmark
        hit = self.train_accuracy >= benchmark
        reached = hit.any(axis=0)
        epoch = np.where(reached, hit.argmax(axis=0), len(hit) - 1)
        at = epoch, np.arange(len(epoch))
        f1 = [f1_score(self.y_test, labels, average="macro", zero_division=0) for labels in self.test_labels[at]]
        read = dict(accuracy=self.test_accuracy[at], f1=f1, train_accuracy=self.train_accuracy[at], reached=reached)
        return self.members.assign(epoch=np.where(reached, epoch, np.nan), **read)


def layer_sizes(split, hidden):
    """(inputs, hidden …, outputs): one output for two classes, else one each. Raises ValueError for a bad `hidden`."""
    check(hidden=hidden)
    n_classes = len(split.class_names)
    return (split.X_train.shape[1], *np.atleast_1d(hidden).tolist(), 1 if n_classes == 2 else n_classes)


def count_weights(layers):
    """Number of weights (not biases) of a dense network with these layer sizes."""
    return sum(a * b for a, b in zip(layers, layers[1:]))


def initial_parameters(layers, seed, protocol):
    """Flat (weights, biases), float64, of one network, drawn from `seed` as the protocol says."""
    rng = np.random.default_rng(seed)
    weights, biases = [], []
    for fan_in, fan_out in zip(layers, layers[1:]):
        for part, n in ((weights, fan_in * fan_out), (biases, fan_out)):
            if protocol.init == "torch":
                part.append(rng.uniform(-(fan_in**-0.5), fan_in**-0.5, n))
            else:
                part.append(rng.normal(0, protocol.init_sd, n))
    return np.concatenate(weights), np.concatenate(biases)


def initial_ensemble(layers, seeds, protocol):
    """`initial_parameters` of one network a seed: (weights (S, n_weights), biases (S, n_biases))."""
    drawn = [initial_parameters(layers, seed, protocol) for seed in seeds]
    return tuple(np.stack(part) for part in zip(*drawn))


def layer_slices(layers):
    """For each layer: (slice of its weights, slice of its biases, (outputs, inputs))."""
    slices, w, b = [], 0, 0
    for fan_in, fan_out in zip(layers, layers[1:]):
        slices.append((slice(w, w + fan_in * fan_out), slice(b, b + fan_out), (fan_out, fan_in)))
        w, b = w + fan_in * fan_out, b + fan_out
    return slices


def forward(weights, biases, X, layers, output="sigmoid"):
    """Outputs (M, n, outputs) of M networks on X, as a torch tensor of the weights' type.

    weights (M, n_weights), biases (M, n_biases): arrays or tensors. X (n, inputs) for all, or (G, n, inputs) with one
    block for each of G groups of M / G networks that follow each other.
    """
    weights, biases = torch.as_tensor(weights), torch.as_tensor(biases)
    a = torch.as_tensor(X, dtype=weights.dtype)
    a = a.reshape(-1, *a.shape[-2:])
    # split rather than sliced: one gradient is put together, instead of one of full size added for every layer
    parts = weights.split([i * o for i, o in zip(layers, layers[1:])], 1), biases.split(list(layers[1:]), 1)
    for layer, (w, b, fan_in, fan_out) in enumerate(zip(*parts, layers, layers[1:]), start=2):
        # networks of a group see the same inputs: one large product for their first layers, instead of many small ones
        together = w.reshape(len(a), -1, fan_in)
        alone = len(a) == 1  # torch is a third faster without the batch axis
        z = torch.nn.functional.linear(a[0], together[0])[None] if alone else a @ together.transpose(1, 2)
        z = z.unflatten(-1, (-1, fan_out)).transpose(1, 2).flatten(0, 1) + b[:, None]
        a = torch.softmax(z, -1) if layer == len(layers) and output == "softmax" else torch.sigmoid(z)
    return a


def one_hot(y, n_outputs):
    """Targets (n, n_outputs) float64: the label itself for one output, one-hot rows for more."""
    return y[:, None].astype(np.float64) if n_outputs == 1 else np.eye(n_outputs)[y]


@njit(cache=True, error_model="numpy")
def _activate(w, b, a, layers):
    """Forward pass of one sigmoid network: fills a (all units) behind the inputs that stand at its start."""
    wo, bo, ao = 0, 0, 0
    for layer in range(layers.size - 1):
        fan_in, fan_out = layers[layer], layers[layer + 1]
        for i in range(fan_out):
            z = b[bo + i]
            for j in range(fan_in):
                z += w[wo + i * fan_in + j] * a[ao + j]
            a[ao + fan_in + i] = 1.0 / (1.0 + np.exp(-z))
        wo, bo, ao = wo + fan_in * fan_out, bo + fan_out, ao + fan_in


@njit(cache=True, parallel=True, error_model="numpy")
def _sigmoid_outputs(weights, biases, X, layers):
    """Outputs (M, n, outputs) of sigmoid networks. For networks this small torch's overhead is a hundredfold."""
    out = np.empty((len(weights), len(X), layers[-1]))
    for m in prange(len(weights)):
        a = np.empty(layers.sum())
        for i in range(len(X)):
            a[: layers[0]] = X[i]
            _activate(weights[m], biases[m], a, layers)
            out[m, i] = a[a.size - layers[-1] :]
    return out


def _judge(weights, biases, X, y, layers, protocol):
    """(accuracy (M,), predicted labels (M, n)) under the protocol's decision rule."""
    if protocol.batch_size == 1:
        out = _sigmoid_outputs(weights, biases, X, np.array(layers))
    else:
        out = forward(weights, biases, X, layers, protocol.output).numpy()
    if out.shape[-1] == 1:
        labels = (out[..., 0] >= 0.5).astype(np.int8)
        return (labels == y).mean(axis=1), labels
    labels = out.argmax(-1).astype(np.int8)
    right = labels == y
    if protocol.accuracy == "exact":
        right = ((out >= 0.5) == (one_hot(y, out.shape[-1]) == 1)).all(-1)
    return right.mean(axis=1), labels


@njit(cache=True, parallel=True, error_model="numpy")
def _sgd_by_sample(weights, biases, masks, X, T, layers, start, stop, rate, record):
    """Advance every member from iterate `start` to `stop` in place; iterate k has seen sample k mod n.

    weights (M, n_weights), masks the same or (M, 0) for none; record (stop - start, M, n_weights) or
    (0, M, n_weights) for none. Squared error, sigmoid layers; plain SGD, one sample a step.
    """
    n_layers = layers.size - 1
    n_units = layers.sum()
    for m in prange(weights.shape[0]):
        w, b = weights[m], biases[m]
        a, delta = np.empty(n_units), np.empty(n_units)
        for step in range(start, stop):
            x, t = X[step % len(X)], T[step % len(X)]
            a[: layers[0]] = x
            _activate(w, b, a, layers)
            wo, bo, ao = w.size, b.size, n_units - layers[-1]
            for i in range(layers[-1]):
                y = a[ao + i]
                delta[ao + i] = 2 * (y - t[i]) * y * (1 - y)
            for layer in range(n_layers - 1, -1, -1):
                fan_in, fan_out = layers[layer], layers[layer + 1]
                wo, bo, an = wo - fan_in * fan_out, bo - fan_out, ao - fan_in
                if layer > 0:  # the error passes back through the weights as they were before the step
                    delta[an:ao] = 0.0
                    for i in range(fan_out):
                        for j in range(fan_in):
                            delta[an + j] += w[wo + i * fan_in + j] * delta[ao + i]
                    for j in range(fan_in):
                        delta[an + j] *= a[an + j] * (1 - a[an + j])
                for i in range(fan_out):
                    g = rate * delta[ao + i]
                    b[bo + i] -= g
                    for j in range(fan_in):
                        w[wo + i * fan_in + j] -= g * a[an + j]
                ao = an
            if masks.shape[1]:
                for i in range(w.size):
                    w[i] *= masks[m, i]
            if record.shape[0]:
                record[step - start, m] = w


def _sgd_by_batch(weights, biases, masks, X, T, layers, protocol, seeds):
    """As `_sgd_by_sample`, by mini-batches in torch: a function of (start, stop, record). Each seed shuffles itself."""
    weights, biases = torch.as_tensor(weights).requires_grad_(), torch.as_tensor(biases).requires_grad_()
    masks, X, T = torch.as_tensor(masks), torch.as_tensor(X), torch.as_tensor(T)
    rngs, size, order = [np.random.default_rng([seed, 1]) for seed in seeds], protocol.batch_size, None
    per_epoch = -(-len(X) // size)

    def advance(start, stop, record):
        nonlocal order
        for step in range(start, stop):
            if step % per_epoch == 0:
                n = len(X)
                orders = [rng.permutation(n) if protocol.shuffle else np.arange(n) for rng in rngs]
                order = torch.as_tensor(np.stack(orders))
            batch = order[:, (step % per_epoch) * size :][:, :size]
            out = forward(weights, biases, X[batch], layers, protocol.output)
            members_a_seed = len(out) // len(batch)
            error = (out - T[batch].repeat_interleave(members_a_seed, 0)).square().sum(-1).mean(-1)
            (error.sum() / (out.shape[-1] if protocol.loss == "mean" else 1)).backward()
            with torch.no_grad():
                for parameter in (weights, biases):
                    parameter -= protocol.rate * parameter.grad
                    parameter.grad = None
                if masks.shape[1]:
                    weights.mul_(masks)
                if len(record):
                    record[step - start] = weights.detach().numpy()

    return advance


def _members(seeds, masks, perturb, n_weights):
    """Cross seeds, masks and twins: (members, masks (M, n_weights) or (M, 0), offsets (M, n_weights))."""
    if is_number(perturb):
        perturb = np.vstack([np.zeros(n_weights), perturb * np.eye(n_weights)])
    offsets = np.zeros((1, n_weights)) if perturb is None else numbers(perturb=perturb)
    check_finite(perturb=offsets)
    if offsets.ndim != 2 or offsets.shape[1] != n_weights:
        raise ValueError(f"perturb has shape {offsets.shape}; allowed: a number, or (n_twins, {n_weights})")
    keep = np.ones((len(seeds), 1, n_weights), bool) if masks is None else np.asarray(masks)
    if keep.ndim == 2:
        keep = keep[:, None]
    if keep.shape == (n_weights,):
        keep = np.broadcast_to(keep, (len(seeds), 1, n_weights))
    if keep.ndim != 3 or keep.shape[::2] != (len(seeds), n_weights) or not np.isin(keep, (0, 1)).all():
        raise ValueError(
            f"masks of shape {np.shape(masks)} do not fit; allowed: True (keep) or False in "
            f"({n_weights},), ({len(seeds)}, {n_weights}) or ({len(seeds)}, n_masks, {n_weights})"
        )
    S, K, P = len(seeds), keep.shape[1], len(offsets)
    index = np.indices((S, K, P)).reshape(3, -1)
    members = pd.DataFrame({"seed": np.asarray(seeds)[index[0]], "mask": index[1], "twin": index[2]})
    flat = keep[index[0], index[1]].astype(np.float64)
    return members, flat if masks is not None else flat[:, :0], offsets[index[2]]


def train_ensemble(
    split, hidden, seeds, protocol="published", masks=None, perturb=None, record=None, *,
    epochs=None, rows=(), initial=None,
):  # fmt: skip
    """Train one network for every seed × mask × twin, all together.

    split : datasets.Split
    hidden : int or sequence of int, units of the hidden layers
    seeds : sequence of int, each seed fixes the initial parameters (and the batches, where these are shuffled)
    protocol : str or protocols.Protocol, rate, batch size, epochs, loss, initialisation and decision rule
    masks : bool array, optional
        True = keep. (n_weights,) for all, (n_seeds, n_weights) one a seed, or (n_seeds, n_masks, n_weights).
        Masked weights are 0 from the start and after every step.
    perturb : float or array, optional
        δ₀: the unperturbed network (twin 0) and, as twin j + 1, a copy with δ₀ added to initial weight j
        (section 3.4). Or an array (n_twins, n_weights) of offsets.
    record : "weights" or callable, optional
        "weights" keeps the whole trajectory in `Runs.weights`. A callable gets it in order, piece by piece,
        as float64 (n_steps, M, n_weights), the initial weights first, and may reduce it as training runs.
        A piece is only valid during the call.
    epochs : int, optional; default: the protocol's recorded + extra epochs
    rows : sequence of int, iterates (0 = before the first step) at which train and test errors are read
    initial : (weights, biases), optional; (n_seeds, n_weights), (n_seeds, n_biases), instead of those of the seeds

    Returns `Runs`. Raises ValueError for anything above that is malformed, before training starts.
    """
    protocol = protocols.get(protocol, split.name)
    layers = layer_sizes(split, hidden)
    check_finite(**{"split.X_train": split.X_train, "split.X_test": split.X_test})
    if not np.isin([*split.y_train, *split.y_test], range(len(split.class_names))).all():
        raise ValueError(f"split holds labels outside its classes; allowed: 0 to {len(split.class_names) - 1}")
    check(seeds=seeds)
    seeds = np.atleast_1d(seeds).tolist()
    if not (record is None or callable(record) or record == "weights"):
        raise ValueError(f"record={record!r} is not allowed; give None, 'weights' or a callable")
    if protocol.batch_size == 1 and (protocol.output != "sigmoid" or protocol.shuffle):
        raise ValueError("batch_size=1 is trained with sigmoid outputs and a fixed sample order only")
    epochs = protocol.recorded_epochs + protocol.extra_epochs if epochs is None else epochs
    check(epochs=epochs)
    per_epoch = -(-len(split.X_train) // protocol.batch_size)
    rows = np.atleast_1d(numbers(rows=rows))
    wrong = rows[(rows < 0) | (rows > epochs * per_epoch) | (rows % 1 != 0)]
    if wrong.size:
        raise ValueError(f"rows holds {wrong[0]}; allowed: whole numbers from 0 to {epochs * per_epoch}, the last one")
    rows = rows.astype(int)
    members, keep, offsets = _members(seeds, masks, perturb, count_weights(layers))
    if initial is None:
        initial = initial_ensemble(layers, seeds, protocol)
    shapes = (len(seeds), count_weights(layers)), (len(seeds), sum(layers[1:]))
    if (np.shape(initial[0]), np.shape(initial[1])) != shapes:
        raise ValueError(f"initial has shapes {tuple(map(np.shape, initial))}; allowed: {shapes}")
    check_finite(**{"initial[0]": initial[0], "initial[1]": initial[1]})
    of_seed = np.repeat(np.arange(len(seeds)), len(members) // len(seeds))
    start_w = (initial[0][of_seed] + offsets) * (keep if keep.size else 1.0)
    start_b = np.array(initial[1], dtype=np.float64)[of_seed]
    w, b = start_w.copy(), start_b.copy()
    X, T = np.ascontiguousarray(split.X_train), one_hot(split.y_train, layers[-1])
    if protocol.batch_size == 1:
        rate = protocol.rate / (layers[-1] if protocol.loss == "mean" else 1)
        sizes = np.array(layers)

        def advance(start, stop, out):
            _sgd_by_sample(w, b, keep, X, T, sizes, start, stop, rate, out)
    else:
        advance = _sgd_by_batch(w, b, keep, X, T, layers, protocol, seeds)
    whole = np.empty((epochs * per_epoch + 1, *w.shape)) if record == "weights" else None
    if whole is not None:
        whole[0] = w
    elif record is not None:
        record(w[None])
    at_epoch = {k * per_epoch: k - 1 for k in range(1, epochs + 1)}
    read, as_asked = np.unique(rows, return_inverse=True)
    at_row = {int(row): i for i, row in enumerate(read)}
    errors, accuracy = np.empty((2, len(read), len(members))), np.empty((2, epochs, len(members)))
    labels = np.empty((epochs, len(members), len(split.y_test)), np.int8)
    done = 0
    for stop in sorted(at_epoch.keys() | at_row.keys()):
        while done < stop:
            until = min(stop, done + max(1, _PIECE // w.size)) if callable(record) else stop
            n_kept = until - done if record else 0
            piece = np.empty((n_kept, *w.shape)) if whole is None else whole[done + 1 : until + 1]
            advance(done, until, piece)
            if callable(record):
                record(piece)
            done = until
        train, _ = _judge(w, b, split.X_train, split.y_train, layers, protocol)
        test, predicted = _judge(w, b, split.X_test, split.y_test, layers, protocol)
        if stop in at_row:
            errors[:, at_row[stop]] = 1 - train, 1 - test
        if stop in at_epoch:
            accuracy[:, at_epoch[stop]], labels[at_epoch[stop]] = (train, test), predicted
    errors, y_test = errors[:, as_asked], split.y_test
    return Runs(members, layers, protocol, start_w, start_b, w, b, rows, *errors, *accuracy, labels, y_test, whole)
