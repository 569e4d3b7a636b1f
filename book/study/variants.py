"""What LEGC's series could have been: of weights as released, and of their differences to twins as section 3.4 says."""

from typing import NamedTuple

import numpy as np

from legc_utils import granger, lyapunov, protocols, selection, training
from study import rankings

TWINS = ("own", "first")


class Followed(NamedTuple):
    """What the tests see of S networks, windows first."""

    look: protocols.Settings
    exponents: np.ndarray  # float64 (n_windows, S, n_weights), nats per iterate, of the raw weights
    errors: dict  # "train" and "test" to float64 (n_windows, S), misclassified share at each window's end
    ends: np.ndarray  # float64 (n_windows, S, n_weights), the weights there
    movement: np.ndarray  # float64 (S, n_weights), Σ −w ∂L/∂w over all steps (Sanh, Wolf & Rush 2020), times the rate
    runs: training.Runs


def _stream(n_series, look, protocol, **changes):
    choices = protocol.embedding | dict(steps=look.steps, decimals=protocol.decimals) | changes
    return lyapunov.StreamingLyapunov(n_series, look.window, protocol.overlap, **choices)


def follow(split, seeds, protocol, variant="FT"):
    """Train the dense networks and follow every weight: `Followed`, whose exponents are `selection.find_masks`'s.

    Arguments and errors as there; hidden layers are the protocol's. Movement is that of plain SGD, whose step is the
    rate times the gradient.
    """
    look = selection.horizon(split, protocol, variant)
    n_weights = training.count_weights(training.layer_sizes(split, protocol.hidden))
    stream, ends, seen, last = _stream(len(seeds) * n_weights, look, protocol), [], 0, None
    movement = np.zeros((len(seeds), n_weights))

    def take(piece):
        nonlocal seen, last
        stream.update(piece.reshape(len(piece), -1))
        ends.append(piece[look.rows[(look.rows >= seen) & (look.rows < seen + len(piece))] - seen])
        seen += len(piece)
        path = piece if last is None else np.concatenate([last, piece])
        movement[:] += np.einsum("tsn,tsn->sn", path[:-1], np.diff(path, axis=0))
        last = piece[-1:].copy()

    read = dict(epochs=look.epochs, rows=look.rows, errors=("train", "test"), evaluate=())
    runs = training.train_ensemble(split, protocol.hidden, seeds, protocol, record=take, **read)
    exponents = stream.result().reshape(len(look.rows), len(seeds), n_weights)
    errors = dict(train=runs.train_error, test=runs.test_error)
    return Followed(look, exponents, errors, np.concatenate(ends), movement, runs)


def twin_exponents(split, seeds, protocol, series, delta0=1e-6):
    """Windowed exponents of difference series of section 3.4, of FT's windows, all from one training.

    Differences are divided by δ₀ and not rounded: an exponent does not depend on the unit, and rounding to the
    protocol's decimals would leave nothing.

    Parameters
    ----------
    split, seeds, protocol : as in `follow`
    series : sequence of (twins, theiler)
        Twins "own": of weight j, its difference to the network that started with δ₀ added to weight j; "first": of
        every weight, its difference to the network with δ₀ added to the first one, w₁₁. theiler : int, the Theiler
        window in iterates.
    delta0 : float

    Returns
    -------
    list of float64 (n_windows, S, n_weights), one a series

    Raises
    ------
    ValueError
        For other twins.
    """
    for twins, _ in series:
        if twins not in TWINS:
            raise ValueError(f"twins={twins!r} is not allowed; give one of {', '.join(TWINS)}")
    look, asked = selection.horizon(split, protocol), {twins for twins, _ in series}
    n = training.count_weights(training.layer_sizes(split, protocol.hidden))
    offsets = np.vstack([np.zeros(n), delta0 * np.eye(n)[: None if "own" in asked else 1]])
    every = np.arange(n)
    streams = [_stream(len(seeds) * n, look, protocol, decimals=None, min_tsep=theiler) for _, theiler in series]

    def take(piece):
        w = piece.reshape(len(piece), len(seeds), len(offsets), n)
        twin = {"first": w[:, :, 1]} | ({"own": w[:, :, every + 1, every]} if "own" in asked else {})
        apart = {twins: ((twin[twins] - w[:, :, 0]) / delta0).reshape(len(piece), -1) for twins in asked}
        for stream, (twins, _) in zip(streams, series):
            stream.update(apart[twins])

    run = dict(perturb=offsets, record=take, epochs=look.epochs, evaluate=())
    training.train_ensemble(split, protocol.hidden, seeds, protocol, **run)
    return [stream.result().reshape(len(look.rows), len(seeds), n) for stream in streams]


def scores(target, exponents, protocol, max_lag):
    """LEGC's scores `rankings.surprise` of the protocol's test, lag rule and differencing: float64 (S, n_weights).

    target (n_windows, S), exponents (n_windows, S, n_weights)
    """
    test = lambda s: granger.protocol_pvalues(target[:, s], exponents[:, s], protocol, max_lag).min(axis=0)
    return rankings.surprise(np.array([test(s) for s in range(target.shape[1])]))
