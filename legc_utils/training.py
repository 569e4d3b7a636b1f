"""Train many small networks at once: every seed, mask and perturbed twin advances together.

Weights and biases are kept flat: `weights` holds W1 row by row, then W2, …; only these are recorded, counted and pruned
(section 3.4). `biases` holds b1, b2, ….
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from legc_utils import engine, protocols
from legc_utils.engine import layer_slices
from legc_utils.protocols import check, check_finite, is_number, is_whole, numbers

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
    train_accuracy: np.ndarray  # float64 (epochs, M), after each epoch; NaN where it was not asked for
    test_accuracy: np.ndarray  # the same of the test set
    test_labels: np.ndarray  # int8 (epochs, M, n_test), predicted classes after each epoch; -1 where not asked for
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
        Raises ValueError where `train_ensemble` was not asked for what this takes.
        """
        benchmark = self.protocol.benchmark if benchmark is None else benchmark
        hit = self.train_accuracy >= benchmark
        reached = hit.any(axis=0)
        epoch = np.where(reached, hit.argmax(axis=0), len(hit) - 1)
        at = epoch, np.arange(len(epoch))
        before = np.arange(len(hit))[:, None] <= (epoch if benchmark < np.inf else -1)
        if np.isnan(self.test_accuracy[at]).any() or (before & np.isnan(self.train_accuracy)).any():
            raise ValueError(f"accuracies up to a stop at {benchmark=} were not read; allowed: evaluate=None or 'stop'")
        f1 = macro_f1(self.y_test, self.test_labels[at])
        read = dict(accuracy=self.test_accuracy[at], f1=f1, train_accuracy=self.train_accuracy[at], reached=reached)
        return self.members.assign(epoch=np.where(reached, epoch, np.nan), **read)


def macro_f1(y, labels):
    """Macro F1 of many predictions at once, as scikit-learn's with zero_division=0: float64 (M,).

    y : int (n,), true classes from 0; labels : int (M, n). The mean is over the classes that are true or predicted.
    """
    n_classes = 1 + int(max(np.max(y), np.max(labels)))
    pairs = (np.arange(len(labels))[:, None] * n_classes + y) * n_classes + labels
    counts = np.bincount(pairs.ravel(), minlength=len(labels) * n_classes**2).reshape(-1, n_classes, n_classes)
    either = counts.sum(axis=1) + counts.sum(axis=2)
    f1 = 2 * np.einsum("mcc->mc", counts) / np.maximum(either, 1)
    return np.mean(f1, axis=1, where=either > 0)


def layer_sizes(split, hidden):
    """(inputs, hidden …, outputs): one output for two classes, else one each. Raises ValueError for a bad `hidden`."""
    check(hidden=hidden)
    n_classes = len(split.class_names)
    return (split.X_train.shape[1], *np.atleast_1d(hidden).tolist(), 1 if n_classes == 2 else n_classes)


def count_weights(layers):
    """Number of weights (not biases) of a dense network with these layer sizes."""
    return sum(a * b for a, b in zip(layers, layers[1:]))


def initial_parameters(layers, seed, protocol, split_seed=0):
    """Flat (weights, biases), float64, of one network, drawn from `seed` as the protocol says.

    split_seed : int, `Split.seed`. Other splits have other starts, so that means over splits are independent of them.
    """
    rng = np.random.default_rng([seed, split_seed, 4] if split_seed else seed)
    weights, biases = [], []
    for fan_in, fan_out in zip(layers, layers[1:]):
        for part, n in ((weights, fan_in * fan_out), (biases, fan_out)):
            if protocol.init == "torch":
                part.append(rng.uniform(-(fan_in**-0.5), fan_in**-0.5, n))
            else:
                part.append(rng.normal(0, protocol.init_sd, n))
    return np.concatenate(weights), np.concatenate(biases)


def initial_ensemble(layers, seeds, protocol, split_seed=0):
    """`initial_parameters` of one network a seed: (weights (S, n_weights), biases (S, n_biases))."""
    drawn = [initial_parameters(layers, seed, protocol, split_seed) for seed in seeds]
    return tuple(np.stack(part) for part in zip(*drawn))


def one_hot(y, n_outputs):
    """Targets (n, n_outputs) float64: the label itself for one output, one-hot rows for more."""
    return y[:, None].astype(np.float64) if n_outputs == 1 else np.eye(n_outputs)[y]


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
    record_from=0, epochs=None, rows=(), errors=("train", "test"), evaluate=None, halt=False, initial=None,
):  # fmt: skip
    """Train one network for every seed × mask × twin, all together.

    split : datasets.Split
    hidden : int or sequence of int, units of the hidden layers
    seeds : sequence of int, each seed fixes, with `split.seed`, the initial parameters (and the batches if shuffled)
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
    record_from : int, the first of the flat weights that `record` gets: 0, or the first of a layer
    epochs : int, optional; default: the protocol's recorded + extra epochs
    rows : sequence of int, iterates (0 = before the first step) at which errors are read
    errors : sequence of str, which are read there: "train", "test"; the other is NaN
    evaluate : sequence of int or "stop", optional
        Epochs, counted from 1, after which accuracies and predicted labels are read; default all. "stop" reads what
        `Runs.at_stop` takes, at each member's stop and after the last epoch.
    halt : bool, with evaluate="stop": a member's training ends at its stop
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
    wrong = [kind for kind in np.atleast_1d(errors).tolist() if kind not in ("train", "test")]
    if wrong:
        raise ValueError(f"errors holds {wrong[0]!r}; allowed: 'train', 'test'")
    until_stop = isinstance(evaluate, str) and evaluate == "stop"
    evaluated = range(1, epochs + 1) if evaluate is None or until_stop else np.atleast_1d(evaluate).tolist()
    wrong = [epoch for epoch in evaluated if not is_whole(epoch, 1, epochs)]
    if wrong:
        raise ValueError(f"evaluate={wrong[0]!r} is not allowed; give epochs from 1 to {epochs}, 'stop' or None")
    allowed = [at.start for at, *_ in layer_slices(layers)]
    if record_from not in allowed:
        raise ValueError(f"{record_from=} is not allowed; give the first weight of a layer: {allowed}")
    if halt and (not until_stop or record or rows.size):
        raise ValueError(f"{halt=} is allowed with evaluate='stop' and without record and rows only")
    members, keep, offsets = _members(seeds, masks, perturb, count_weights(layers))
    if initial is None:
        initial = initial_ensemble(layers, seeds, protocol, split.seed)
    shapes = (len(seeds), count_weights(layers)), (len(seeds), sum(layers[1:]))
    if (np.shape(initial[0]), np.shape(initial[1])) != shapes:
        raise ValueError(f"initial has shapes {tuple(map(np.shape, initial))}; allowed: {shapes}")
    check_finite(**{"initial[0]": initial[0], "initial[1]": initial[1]})
    of_seed = np.repeat(np.arange(len(seeds)), len(members) // len(seeds))
    start_w = (initial[0][of_seed] + offsets) * (keep if keep.size else 1.0)
    start_b = np.array(initial[1], dtype=np.float64)[of_seed]
    w, b = start_w.copy(), start_b.copy()
    run = engine.Engine(layers, split.X_train, one_hot(split.y_train, layers[-1]), protocol)
    group = of_seed if protocol.shuffle else np.zeros_like(of_seed)
    recorded = w[:, record_from:]
    whole = np.empty((epochs * per_epoch + 1, *recorded.shape)) if record == "weights" else None
    if whole is not None:
        whole[0] = recorded
    elif record is not None:
        record(recorded[None])
    read, as_asked = np.unique(rows, return_inverse=True)
    found = _Readings(run, split, len(w), len(read), epochs)
    if 0 in read:
        found.errors(0, errors, w, b)
    done, waiting = 0, np.arange(len(w))
    for epoch, batches in enumerate(_batches(protocol, len(split.X_train), seeds, epochs)):
        moving, start, end = waiting if halt else slice(None), epoch * per_epoch, (epoch + 1) * per_epoch
        for stop in sorted({end, *read[(read > start) & (read < end)]}):
            while done < stop:
                until = min(stop, done + max(1, _PIECE // recorded.size)) if callable(record) else stop
                n_kept = until - done if record else 0
                piece = np.empty((n_kept, *recorded.shape)) if whole is None else whole[done + 1 : until + 1]
                some_w, some_b = w[moving], b[moving]
                run.advance(
                    some_w, some_b, keep[moving], batches[:, done - start : until - start], group[moving], piece
                )
                w[moving], b[moving] = some_w, some_b
                if callable(record):
                    record(piece)
                done = until
            if stop in read:
                found.errors(np.searchsorted(read, stop), errors, w, b)
        last = epoch + 1 == epochs
        if until_stop:
            asked = slice(None) if last and not halt else waiting
            found.accuracies(epoch, "train", asked, w, b)
            here = found.accuracy[0, epoch, waiting] >= protocol.benchmark
            found.accuracies(epoch, "test", asked if last else waiting[here], w, b)
            waiting = waiting[~here]
        elif epoch + 1 in evaluated:
            for kind in found.kinds:
                found.accuracies(epoch, kind, slice(None), w, b)
        if halt and not waiting.size:
            break
    readings = (*found.error[:, as_asked], *found.accuracy, found.labels, split.y_test)
    return Runs(members, layers, protocol, start_w, start_b, w, b, rows, *readings, whole)


class _Readings:
    """What is read of S networks while they train; NaN and −1 where nothing was."""

    kinds = "train", "test"

    def __init__(self, run, split, n_members, n_rows, epochs):
        self.run, self.data = run, ((split.X_train, split.y_train), (split.X_test, split.y_test))
        self.error, self.accuracy = np.full((2, n_rows, n_members), np.nan), np.full((2, epochs, n_members), np.nan)
        self.labels = np.full((epochs, n_members, len(split.y_test)), -1, np.int8)

    def errors(self, at, kinds, w, b):
        for k, kind in enumerate(self.kinds):
            if kind in kinds:
                self.error[k, at] = 1 - self.run.judge(w, b, *self.data[k])[0]

    def accuracies(self, epoch, kind, some, w, b):
        k = self.kinds.index(kind)
        if len(w[some]):
            self.accuracy[k, epoch, some], labels = self.run.judge(w[some], b[some], *self.data[k])
            if kind == "test":
                self.labels[epoch, some] = labels


def _batches(protocol, n, seeds, epochs):
    """For each epoch the samples of every step: int (G, n_steps, batch_size), −1 where a batch is shorter.

    One order for all (G = 1), or one for each seed where they are shuffled.
    """
    rngs = [np.random.default_rng([seed, 1]) for seed in seeds] if protocol.shuffle else [None]
    size = protocol.batch_size
    for _ in range(epochs):
        order = np.full((len(rngs), -(-n // size) * size), -1)
        for own, rng in zip(order, rngs):
            own[:n] = rng.permutation(n) if rng else np.arange(n)
        yield order.reshape(len(rngs), -1, size)
