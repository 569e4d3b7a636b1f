"""What came after the paper: three later ways to prune by causality in training, from their published descriptions.

*A Granger-causal perspective on gradient descent* (Shah et al. 2024, arXiv 2412.03035), *Causal Pruning* (its
continuation, TMLR submission 5393, 2025) and Granger tests of weights and loss without exponents (a third party's). The
first two watch one pass of plain gradient descent from a trained network (`one_pass`); the last a whole training
(`train`). Scores are float64 (n_networks, n_weights), the higher the more a weight is worth keeping, as in `rankings`;
what moves is flat, in the order of `training`, weights first, then biases.
"""

from typing import NamedTuple

import numpy as np

from legc_utils import granger
from legc_utils.compiling import njit
from legc_utils.engine import exp
from study import maps, networks, rankings

RATE = 1e-3  # of the pass, as in the authors' code
BATCH, PASSES, PATIENCE, GAIN = 16, 30, 2, 1e-7  # of the first fit, as in the authors' code


class Steps(NamedTuple):
    """What one pass of gradient descent shows of n networks, a sample a step."""

    squares: np.ndarray  # float64 (n_steps, n, n_weights), squared gradients: (Δθ)² over the squared rate
    change: np.ndarray  # float64 (n_steps, n), of the sample's loss by the step
    predicted: np.ndarray  # the same to first order, biases included


def one_pass(split, layers, protocol, weights, biases, rate=RATE):
    """Plain gradient descent over the training samples, once, in their order, from where networks are: `Steps`.

    weights (n, n_weights), biases (n, n_biases): of trained networks. The loss is the protocol's, of the one sample
    that the step is about, before and after it.
    """
    states, descent = _states(split, layers, protocol, weights, biases, rate)
    gradients = (states[:-1] - states[1:]) / rate
    before, after = _losses(states[:-1], descent), _losses(states[1:], descent)
    return Steps(gradients[..., : weights.shape[1]] ** 2, after - before, -rate * (gradients**2).sum(axis=-1))


def _states(split, layers, protocol, weights, biases, rate, epochs=1):
    """(states (n_steps + 1, n, n_weights + n_biases), the map that they follow) of training from some parameters on."""
    state = np.array(np.hstack([weights, biases]).T, dtype=np.float64, order="C")
    descent = maps.SGDMap(split, layers, protocol, rates=np.full(len(weights), rate))
    states = np.empty((epochs * len(split.X_train) + 1, *state.shape))
    _follow(state, descent.X, descent.T, descent.layers, descent.softmax, descent.share, rate, states)
    if not np.isfinite(state).all():
        raise ValueError(f"training at {rate=} leaves the finite numbers; allowed: rates at which it does not")
    return states.transpose(0, 2, 1), descent


@njit()
def _follow(state, X, T, layers, softmax, share, rate, states):
    """`SGDMap`, iterated from a state (d, n), in place; all states are kept. Half the time of `carry`: no tangents."""
    none = np.empty((0, 0))
    states[0] = state
    for t in range(len(states) - 1):
        at = t % len(X)
        slopes = maps._derivatives(state, none, X[at : at + 1], T[at : at + 1], layers, softmax, share)[0]
        state -= rate * slopes
        states[t + 1] = state


def _losses(states, descent):
    """Loss of states (n_steps, n, d) on the sample of each step: float64 (n_steps, n)."""
    return _losses_of(states, descent.X, descent.T, descent.layers, descent.softmax, descent.share)


@njit()
def _loss(state, x, t, layers, softmax, share, a):
    """share · Σ squared errors of one network (d,) on one sample; a (n_units,) is overwritten."""
    a[: layers[0]] = x
    return _loss_from(state, 0, -1, t, layers, softmax, share, a)


@njit()
def _loss_from(state, first, only, t, layers, softmax, share, a):
    """The same from a layer on, of which unit `only` alone is computed again unless it is −1; a holds what is below."""
    w, b, at = 0, (layers[:-1] * layers[1:]).sum(), 0
    for layer in range(layers.size - 1):
        fan_in, fan_out = layers[layer], layers[layer + 1]
        alone = layer == first and only >= 0 and layer < layers.size - 2
        for i in range(only if alone else 0, 0 if layer < first else only + 1 if alone else fan_out):
            z = state[b + i]
            for j in range(fan_in):
                z += state[w + i * fan_in + j] * a[at + j]
            linear = softmax and layer == layers.size - 2
            a[at + fan_in + i] = z if linear else 1.0 / (1.0 + exp(-z))
        w, b, at = w + fan_in * fan_out, b + fan_out, at + fan_in
    y = a[at : at + len(t)]
    if softmax:
        y -= y.max()
        for k in range(len(y)):
            y[k] = exp(y[k])
        y /= y.sum()
    total = 0.0
    for k in range(len(t)):
        total += (y[k] - t[k]) ** 2
    return share * total


@njit()
def _losses_of(states, X, T, layers, softmax, share):
    found, a = np.empty(states.shape[:2]), np.empty(layers.sum())
    for t in range(states.shape[0]):
        s = t % len(X)
        for m in range(states.shape[1]):
            found[t, m] = _loss(states[t, m], X[s], T[s], layers, softmax, share, a)
    return found


@njit()
def _gaps(states, n_weights, X, T, layers, softmax, share, rate):
    """Mean over steps of |change of the loss if one weight alone is moved − what its gradient says|: (n, n_weights)."""
    total, a = np.zeros((states.shape[1], n_weights)), np.empty(layers.sum())
    for t in range(states.shape[0] - 1):
        s = t % len(X)
        for m in range(states.shape[1]):
            state, k = states[t, m].copy(), 0
            before = _loss(state, X[s], T[s], layers, softmax, share, a)
            below = a.copy()
            for layer in range(layers.size - 1):
                for i in range(layers[layer + 1]):
                    for _ in range(layers[layer]):
                        step = states[t + 1, m, k] - states[t, m, k]
                        state[k] = states[t + 1, m, k]
                        a[:] = below
                        after = _loss_from(state, layer, i, T[s], layers, softmax, share, a)
                        total[m, k] += abs(after - before + step * step / rate)
                        state[k] = states[t, m, k]
                        k += 1
    return total / (states.shape[0] - 1)


def fisher(steps):
    """Diagonal of the empirical Fisher information: the mean squared gradient of each weight. No regression."""
    return steps.squares.mean(axis=0)


def granger_fit(steps):
    """γ of the first successor: |γ| is its score.

    The change of the loss over its own mean is regressed on the squared gradients, without a constant, by stochastic
    descent from zero on the mean squared error, with a soft threshold after every step for the L1 penalty of 1e-3 a
    number of weights: batches of 16, a step of 0.1 / t^0.1 with t the batches so far, 30 passes at most, and an end
    after 2 of them without an improvement of 1e-7. Not specified, and chosen: batches in the order of the steps, the
    error of a pass as the mean over its batches. Returns float64 (n, n_weights), signed; the last finite γ of a fit
    that runs away.
    """
    return _descend(steps, lambda t: 0.1 / t**0.1, penalty=1e-3 / steps.squares.shape[2])[0]


def causal_fit(steps, passes=PASSES):
    """γ of the second successor's code, and R² where it ended: (float64 (n, n_weights), (n,)).

    The same regression by descent at a rate of 0.1 with momentum 0.9 and weight decay 0.01, until R² exceeds 0.95. Not
    specified, and chosen: batches of 16 and 30 passes at most, as in the first.
    """
    return _descend(steps, lambda t: 0.1, momentum=0.9, decay=0.01, enough=0.95, passes=passes)


def _descend(steps, rate, penalty=0.0, momentum=0.0, decay=0.0, enough=None, passes=PASSES):
    x, y = steps.squares, _scaled(steps.change)
    n_steps, n, n_weights = x.shape
    gamma, speed = np.zeros((2, n, n_weights))
    running, best, waited, t = np.ones(n, bool), np.full(n, np.inf), np.zeros(n, int), 0
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(passes):
            error = np.zeros(n)
            for first in range(0, n_steps, BATCH):
                t += 1
                some, aim = x[first : first + BATCH], y[first : first + BATCH]
                gap = np.einsum("bnk,nk->bn", some, gamma) - aim
                error += (gap**2).sum(axis=0)
                slope = 2 * np.einsum("bn,bnk->nk", gap, some) / len(some) + decay * gamma
                speed = momentum * speed + slope
                new = gamma - rate(t) * speed
                new = np.sign(new) * np.maximum(np.abs(new) - rate(t) * penalty, 0)
                running &= np.isfinite(new).all(axis=1)
                gamma = np.where(running[:, None], new, gamma)
            reached = _r2(x, y, gamma)
            better = error / n_steps < best - GAIN
            waited, best = np.where(better, 0, waited + 1), np.minimum(best, error / n_steps)
            running &= waited < PATIENCE if enough is None else ~(reached > enough)
            if not running.any():
                break
    return gamma, reached


def _scaled(change):
    """Changes of the loss over their own mean, whatever its sign."""
    return change / change.mean(axis=0)


def r2(steps, gamma):
    """Share of the variance of the scaled changes that γ explain: float64 (n,), negative if a mean does better."""
    return _r2(steps.squares, _scaled(steps.change), gamma)


def _r2(x, y, gamma):
    return 1 - ((y - np.einsum("tnk,nk->tn", x, gamma)) ** 2).sum(axis=0) / ((y - y.mean(axis=0)) ** 2).sum(axis=0)


def least_squares(steps, y=None, ridge=0.0):
    """γ where it means what the papers say: by least squares, or ridge regression, over all steps.

    Parameters
    ----------
    steps : Steps
    y : float array (n_steps, n), optional
        What is regressed; by default the change of the loss over its own mean.
    ridge : float
        Penalty of γ², for squares that are scaled to a mean square of one over all weights.

    Returns
    -------
    float64 (n, n_weights), signed. Squares that are linearly dependent share their γ (the shortest solution).

    Raises
    ------
    ValueError
        If there are not more steps than weights.
    """
    x, y = steps.squares, _scaled(steps.change) if y is None else np.asarray(y, dtype=np.float64)
    n_steps, n, n_weights = x.shape
    if n_steps <= n_weights:
        raise ValueError(f"{n_steps} steps are not allowed with {n_weights} weights; give more steps than weights")
    gamma = np.empty((n, n_weights))
    for m in range(n):
        scale = np.sqrt(np.square(x[:, m]).mean()) or 1.0
        some = np.vstack([x[:, m] / scale, np.sqrt(ridge * n_steps) * np.eye(n_weights if ridge else 0, n_weights)])
        aim = np.concatenate([y[:, m], np.zeros(len(some) - n_steps)])
        gamma[m] = np.linalg.lstsq(some, aim)[0] / scale
    return gamma


def causal_importance(split, layers, protocol, weights, biases, rate=RATE):
    """The second successor's importance as described: what a weight's update does beyond its first-order estimate.

    Each update is an intervention: of every step of `one_pass`, the update of one weight is made alone, and the change
    of the loss is compared with the gradient times the update. Not specified, and chosen: one weight at a time, the
    mean over steps of absolute differences. The others are in `joint_gap`. Arguments as of `one_pass`.
    """
    states, descent = _states(split, layers, protocol, weights, biases, rate)
    given = descent.X, descent.T, descent.layers, descent.softmax, descent.share
    return _gaps(states, weights.shape[1], *given, rate)


def joint_gap(steps):
    """The same for whole updates: least-squares γ of the change beyond its first-order estimate."""
    gap = steps.change - steps.predicted
    return least_squares(steps, gap / np.abs(gap).mean(axis=0))


class Series(NamedTuple):
    """A training as series, one row a step or an epoch, of n networks."""

    weights: np.ndarray  # float64 (n_rows, n, n_weights)
    loss: np.ndarray  # float64 (n_rows, n)


class Training(NamedTuple):
    """What a training leaves behind, and what it looked like."""

    weights: np.ndarray  # float64 (n, n_weights), after the last epoch; biases too
    biases: np.ndarray
    by_step: Series  # the loss is that of the step's sample, before the step, and so are the weights
    by_epoch: Series  # the loss is the mean over the training set, after the epoch, and so are the weights


def train(split, layers, protocol, weights, biases):
    """The protocol's recorded epochs from initial parameters on, as `training.train_ensemble`: `Training`.

    Raises ValueError for a protocol that takes more than one sample a step, or another order every epoch.
    """
    if protocol.batch_size != 1 or protocol.shuffle:
        raise ValueError(f"batch_size={protocol.batch_size} is not allowed; give a protocol of one sample a step")
    n_weights, per_epoch = weights.shape[1], len(split.X_train)
    states, descent = _states(split, layers, protocol, weights, biases, protocol.rate, protocol.recorded_epochs)
    each = states[per_epoch::per_epoch]
    flat = each.reshape(-1, each.shape[-1])
    output = networks.forward(flat[:, :n_weights], flat[:, n_weights:], split.X_train, layers, protocol.output).numpy()
    whole = descent.share * np.square(output - descent.T).sum(axis=-1).mean(axis=-1)
    by_step = Series(states[:-1, :, :n_weights], _losses(states[:-1], descent))
    by_epoch = Series(each[..., :n_weights], whole.reshape(each.shape[:2]))
    return Training(states[-1, :, :n_weights].copy(), states[-1, :, n_weights:].copy(), by_step, by_epoch)


def series_pvalues(series, differences=1):
    """p of "a weight's series does not help to predict the loss" at one lag: float64 (n, n_weights).

    Weights are differenced so many times. The largest p of statsmodels' tests counts, which at one lag is always that
    of the F test (no other test of the same two residual sums has as heavy a tail). NaN: no test is possible.
    """
    loss = series.loss[differences:]

    def test(m):
        w = np.diff(np.ascontiguousarray(series.weights[:, m]), differences, axis=0)
        return granger.granger_pvalues(loss[:, m], w, 1, "ssr_ftest")[0]

    return np.stack([test(m) for m in range(loss.shape[1])])


def series_evidence(series, differences=1):
    """−ln p of `series_pvalues`, the third one's score; a weight whose test fails goes first, as in its code."""
    return rankings.surprise(series_pvalues(series, differences), untested=-np.inf)


KINDS = "absolute", "relative"  # of curvature


def _scales(weights, masks):
    """What kept weights are measured in, by `KINDS`: float64 (2, n, n_weights), 0 where a mask prunes."""
    return np.where(masks, [np.ones_like(weights), np.abs(weights)], 0)


def sharpness(split, layers, protocol, weights, biases, masks, iterations=20):
    """Log of the size of the Hessian's largest eigenvalue over the weights that masks keep: float64 (2, n), by `KINDS`.

    The loss is that of the whole training set. The relative kind is of the Hessian in relative changes, |w| H |w|:
    multiplying what goes into a unit and dividing what comes out of it does not move that where units are linear, and
    no weight's own scale does.
    """
    descent, state = maps.SGDMap(split, layers, protocol, full_batch=True), np.hstack([weights, biases])
    within = lambda scale: lambda state, v: scale * descent.product(state, scale * v)
    scales = np.pad(_scales(weights, masks), [(0, 0), (0, 0), (0, biases.shape[1])])
    return np.log(np.abs([maps.largest_eigenvalue(within(scale), state, iterations) for scale in scales]))


def trace(split, layers, protocol, weights, biases, masks):
    """Exact trace of the same Hessians: float64 (2, n), by `KINDS`."""
    descent, state = maps.SGDMap(split, layers, protocol, full_batch=True), np.hstack([weights, biases])
    diagonal = np.zeros(weights.shape)
    for k in range(weights.shape[1]):  # of one weight, of the networks that keep it
        some = np.flatnonzero(masks[:, k])
        along = np.eye(1, state.shape[1], k).repeat(len(some), axis=0)
        diagonal[some, k] = descent.product(state[some], along)[:, k]
    return (_scales(weights, masks) ** 2 * diagonal).sum(axis=2)


def bend(curves):
    """Largest second difference in size of accuracies (…, n) over equal steps of the share pruned: (…,).

    Raises ValueError for fewer than three shares.
    """
    curves = np.asarray(curves, dtype=np.float64)
    if curves.shape[-1] < 3:
        raise ValueError(f"curves of {curves.shape[-1]} shares are not allowed; give at least three")
    return np.abs(np.diff(curves, 2, axis=-1)).max(axis=-1)
