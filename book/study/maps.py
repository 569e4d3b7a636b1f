"""Training as a map of the parameters, maps whose chaos is known, and the Lyapunov exponent of such a map itself.

A map is a callable (state, t) -> next state, whose states are rows that do not see each other.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy import stats

from legc_utils.compiling import njit
from legc_utils.engine import exp
from legc_utils.protocols import check, check_finite, is_whole
from legc_utils.training import one_hot


def tangent_lyapunov(step, state, n_steps, discard=0, local=False, seed=0, tangent=None):
    """Largest finite-time Lyapunov exponent of a map itself, by Jacobian–vector products (Benettin et al. 1980).

    A tangent vector is carried along by the derivative of the map and normalised after every iterate; the mean log of
    its growth is the exponent. Nothing is estimated from a series: this is what a windowed exponent is held against.

    Parameters
    ----------
    step : callable, (state, t) -> next state
        The map, in operations of torch that can be differentiated; t counts iterates from 0. A gradient step of
        training is such a map (`torch.func.grad` may be used inside). Not called if `tangent` is given.
    state : float array (d,) or (n, d)
        Where to start; n independent copies are followed together, if `step` treats rows by themselves.
    n_steps : int
        Iterates over which the growth is averaged.
    discard : int
        Iterates before that, for the state to reach its attractor and the tangent vector its direction.
    local : bool
        Return the log growth of each iterate instead of the mean.
    seed : int
        Of the first tangent vector.
    tangent : callable, (state, v, t) -> (next state, next v), optional
        The map with its derivative applied to v, float64 arrays, where one knows it: `SGDMap.tangent`,
        `by_complex_step(step)`. None: torch.func.jvp of `step`, which takes a millisecond.

    Returns
    -------
    float64 () or (n,), nats per iterate; with `local`, (n_steps,) or (n_steps, n). −inf where the derivative vanishes.

    Raises
    ------
    ValueError
        For a step count below 1, a state that is not finite, or a map that leaves the finite numbers or changes shape.
    """
    check(n_steps=n_steps)
    if not is_whole(discard, 0):
        raise ValueError(f"discard={discard!r} is not allowed; give a whole number of at least 0")
    x = np.asarray(state, dtype=np.float64)
    check_finite(state=x)
    v, tangent = np.random.default_rng(seed).normal(size=x.shape), tangent or _by_torch(step)
    begun = carry(tangent, x, v, 0, discard)
    growth = carry(tangent, begun.state, begun.tangent, discard, n_steps).growth
    return growth if local else growth.mean(axis=0)[()]


class Carried(NamedTuple):
    """Where a state and a tangent vector have come to, and how the vector grew on its way."""

    growth: np.ndarray  # float64 (n_steps, n), log of its length after each iterate over that before it
    state: np.ndarray  # (n, d)
    tangent: np.ndarray  # (n, d), of length one, or 0 where the derivative vanished
    states: np.ndarray | None = None  # (n_steps + 1, n, d), the first one included, if they were asked for


def carry(tangent, state, v, begin, n_steps):
    """Follow states and tangent vectors for n_steps iterates from iterate `begin` on: `Carried`.

    tangent : callable, (state, v, t) -> (next state, next v), as `tangent_lyapunov` takes it. Raises ValueError for a
    map that leaves the finite numbers or changes shape.
    """
    x, v = state, _unit(v)
    growth = np.empty((n_steps, *np.shape(x)[:-1]))
    for t in range(begin, begin + n_steps):
        y, v = tangent(x, v, t)
        if y.shape != x.shape or not np.isfinite(y).all():
            raise ValueError(f"step gives a state of shape {y.shape} at t={t}; allowed: finite, {x.shape}")
        with np.errstate(divide="ignore"):
            growth[t - begin] = np.log(np.linalg.norm(v, axis=-1))
        x, v = y, _unit(v)
    return Carried(growth, x, v)


def _unit(v):
    return v / np.linalg.norm(v, axis=-1, keepdims=True).clip(np.finfo(float).tiny)


class Aligned(NamedTuple):
    """A run whose tangent vector had the first half of it to find its direction."""

    exponent: np.ndarray  # float64 (n,), nats per iterate, over the second half
    last: np.ndarray  # the same over the last tenth
    middle: Carried  # after the first half
    end: Carried  # the second half


def aligned_exponent(follow, state, n_steps, seed=1, **options):
    """Finite-time exponent of a map that runs for n_steps iterates from `state` and then ends, as training does.

    A random tangent vector has a part of every direction, the fast and the slow. Its growth is the exponent only after
    the fastest has outgrown the others; before that it averages over all. So it is carried along from the first iterate
    and what it does in the first half, while it aligns, is not counted.

    Parameters
    ----------
    follow : callable, (state, v, begin, n_steps) -> Carried
        `SGDMap.carry`, or `functools.partial(carry, tangent)` of any map.
    state : float array (n, d), where the run starts
    n_steps : int, of the whole run
    seed : int, of the first tangent vector
    **options : of `follow`, for the second half

    Returns
    -------
    Aligned
    """
    state, half = np.asarray(state, dtype=np.float64), n_steps // 2
    middle = follow(state, np.random.default_rng(seed).normal(size=state.shape), 0, half)
    end = follow(middle.state, middle.tangent, half, n_steps - half, **options)
    last = end.growth[-max(1, n_steps // 10) :].mean(axis=0)
    return Aligned(end.growth.mean(axis=0), last, middle, end)


def stretches(follow, state, begin, n_steps):
    """Logs of the singular values of the product of n_steps Jacobians, over n_steps: float64 (n, d), largest first.

    The first is the most that any displacement, however it was chosen, grows over these iterates; the exponent of a
    vector that was carried there is no larger. Exact: every coordinate's unit vector is carried along, and what
    they become are the columns of the product.

    follow : callable, as `aligned_exponent` takes it; state : (n, d), at iterate `begin`.
    """
    found = []
    for row in np.asarray(state, dtype=np.float64):
        each = follow(np.tile(row, (len(row), 1)), np.eye(len(row)), begin, n_steps)
        size = each.growth.sum(axis=0)
        values = np.linalg.svd(each.tangent * np.exp(size - size.max())[:, None], compute_uv=False)
        found.append((np.log(values.clip(np.finfo(float).tiny)) + size.max()) / n_steps)
    return np.stack(found)


SATURATED = 1e-9  # nats per iterate: a smaller exponent is that of a map that stands still, and its sign is rounding


def rank_agreement(estimate, truth, least=4):
    """Spearman's correlation of estimated and true exponents over runs, those left out that have no true one.

    estimate, truth : float (n,), nats per iterate. Runs whose true exponent is within ±`SATURATED` have stopped; their
    rank would be that of rounding errors. NaN if fewer than `least` runs are left, or an estimate is the same for all.
    """
    estimate, truth = np.asarray(estimate, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    moving = (np.abs(truth) >= SATURATED) & ~np.isnan(estimate)
    if moving.sum() < least or np.ptp(estimate[moving]) == 0 or np.all(truth[moving] == truth[moving][0]):
        return np.nan
    return stats.spearmanr(estimate[moving], truth[moving]).statistic


def _by_torch(step):
    def tangent(x, v, t):
        y, v = torch.func.jvp(lambda s: step(s, t), (torch.as_tensor(x),), (torch.as_tensor(v),))
        return y.detach().numpy(), v.numpy()

    return tangent


def by_complex_step(step):
    """`tangent` of a map of sums, products and other analytic operations of torch, exact to rounding.

    To a state with a tiny imaginary part the map adds its derivative's as an imaginary part (Squire & Trapp 1998).
    """

    def tangent(x, v, t):
        y = step(torch.as_tensor(x + 1e-100j * v), t).numpy()
        return y.real, y.imag / 1e-100

    return tangent


def follow(step, state, begin, end):
    """States of a map from iterate `begin`, where it starts, to `end`: (end − begin + 1, n, d)."""
    states = [torch.as_tensor(state)]
    for t in range(begin, end):
        states.append(step(states[-1], t))
    return np.stack([np.asarray(s) for s in states])


def orbits(step, first, n_steps, every=1, transient=100):
    """First coordinates of orbits that have come to their attractor: float64 (n_steps, n).

    first : float array (n, d), where they start; every : int, iterates from one value to the next
    transient : int, values that are left out at the beginning
    """
    states = follow(step, first, 0, every * (transient + n_steps))
    return states[every * (transient + 1) :: every, :, 0]


def logistic(x, t):
    """The logistic map at full chaos, (n, 1); its exponent is ln 2."""
    return 4 * x * (1 - x)


def henon(s, t):
    """Hénon's map, (n, 2)."""
    x, y = s.unbind(-1)
    return torch.stack([1 - 1.4 * x**2 + y, 0.3 * x], -1)


def lorenz(s, t, h=0.03):
    """Lorenz's flow, (n, 3), over a time of h by the midpoint rule."""

    def flow(s):
        x, y, z = s.unbind(-1)
        return torch.stack([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], -1)

    return s + h * flow(s + h / 2 * flow(s))


CHAOTIC = {"logistic map": (logistic, 1), "Hénon map": (henon, 2), "Lorenz system": (lorenz, 3)}  # map, coordinates


def largest_eigenvalue(product, state, iterations=60):
    """Eigenvalue of largest modulus of the Hessian at each row of `state`, by power iteration: float64 (n,).

    product : callable, (state, v) -> Hessian · v, by rows; arrays (n, d). NaN where it vanishes.
    """
    v = np.random.default_rng(0).normal(size=np.shape(state))
    with np.errstate(invalid="ignore", divide="ignore"):
        for _ in range(iterations):
            v = v / np.linalg.norm(v, axis=-1, keepdims=True)
            turned = product(state, v)
            value, v = (v * turned).sum(axis=-1), turned
    return value


class SGDMap:
    """One step of training as a map of the parameters, with its derivatives.

    Calling it with (state, t) gives the next state; iterated, the weights of `train_ensemble`. States are float64
    arrays (n, n_weights + n_biases), a network a row. All derivatives are exact, by back-propagation and Pearlmutter's
    (1994) differentiation of it along a vector.

    split : datasets.Split
    layers : tuple
        As `layer_sizes` gives them.
    protocol : protocols.Protocol
        Its loss and outputs; samples come one at a time in a fixed order, as published.
    rates : float array (n,), optional
        Learning rate of each row of the state; needed for steps only.
    full_batch : bool
        Gradient descent on all samples instead: the map does not depend on t.
    """

    def __init__(self, split, layers, protocol, rates=0.0, full_batch=False):
        self.X, self.T = np.ascontiguousarray(split.X_train), one_hot(split.y_train, layers[-1])
        self.layers, self.softmax = np.array(layers), protocol.output == "softmax"
        self.share = 1 / layers[-1] if protocol.loss == "mean" else 1.0
        self.rates, self.full_batch = np.asarray(rates, dtype=np.float64).reshape(-1, 1), full_batch

    def __call__(self, state, t):
        return np.asarray(state) - self.rates * self.gradient(state, t)

    def gradient(self, state, t=0):
        """Gradient of the loss of each row of `state`, on the sample or samples of iterate t."""
        return self._derivatives(state, np.empty((0, 0)), t)[0]

    def product(self, state, v, t=0):
        """Hessian of the same loss, applied to the rows of v."""
        return self._derivatives(state, v, t)[1]

    def tangent(self, state, v, t):
        """The step and its derivative applied to v, as `tangent_lyapunov` takes them."""
        slope, turned = self._derivatives(state, v, t)
        return state - self.rates * slope, v - self.rates * turned

    def carry(self, state, v, begin, n_steps, record=False):
        """As the function `carry`, compiled: `Carried`, whose states are kept with `record`."""
        state, v = (np.array(np.asarray(x, dtype=np.float64).T, order="C") for x in (state, _unit(v)))
        growth = np.empty((n_steps, state.shape[1]))
        states = np.empty((n_steps + 1 if record else 0, *state.shape))
        rates = np.broadcast_to(self.rates[:, 0], state.shape[1]).copy()
        size = len(self.X) if self.full_batch else 1
        given = self.X, self.T, size, self.layers, self.softmax, self.share / size, rates
        _carry(state, v, *given, begin, growth, states)
        if not np.isfinite(state).all():
            raise ValueError(f"training leaves the finite numbers before t={begin + n_steps}; allowed: finite states")
        return Carried(growth, state.T.copy(), v.T.copy(), states.transpose(0, 2, 1) if record else None)

    def _derivatives(self, state, v, t):
        now = slice(None) if self.full_batch else slice(t % len(self.X), t % len(self.X) + 1)
        X, T = self.X[now], self.T[now]
        state, v = (np.ascontiguousarray(np.asarray(x, dtype=np.float64).T) for x in (state, v))
        found = _derivatives(state, v, X, T, self.layers, self.softmax, self.share / len(X))
        return tuple(np.ascontiguousarray(x.T) for x in found)


@njit()
def _derivatives(state, along, X, T, layers, softmax, share):
    """Gradients of share · Σ squared errors of networks (d, n), and their derivatives along vectors (d, n) or (0, 0).

    Networks are the last index everywhere, for vector instructions. A name with a d in front is the derivative of what
    it names.
    """
    n, n_weights, n_units, asked = state.shape[1], (layers[:-1] * layers[1:]).sum(), layers.sum(), along.size > 0
    w, b, end = state[:n_weights], state[n_weights:], n_units - layers[-1]
    slopes, dslopes = np.zeros_like(state), np.zeros_like(along)
    g, gb, dw, db = slopes[:n_weights], slopes[n_weights:], along[:n_weights], along[n_weights:]
    dg, dgb = dslopes[:n_weights], dslopes[n_weights:]
    a, da, delta, ddelta = np.zeros((4, n_units, n))
    for s in range(len(X)):
        for j in range(layers[0]):
            a[j] = X[s, j]
        wo, bo, ao = 0, 0, 0
        for layer in range(layers.size - 1):
            fan_in, fan_out = layers[layer], layers[layer + 1]
            an = ao + fan_in
            for i in range(fan_out):
                z, dz = a[an + i], da[an + i]
                z[:] = b[bo + i]
                for j in range(fan_in):
                    for m in range(n):
                        z[m] += w[wo + i * fan_in + j, m] * a[ao + j, m]
                if asked:
                    dz[:] = db[bo + i]
                    for j in range(fan_in):
                        at = wo + i * fan_in + j
                        for m in range(n):
                            dz[m] += dw[at, m] * a[ao + j, m] + w[at, m] * da[ao + j, m]
                if not softmax or layer < layers.size - 2:
                    for m in range(n):
                        z[m] = 1.0 / (1.0 + exp(-z[m]))
                        dz[m] *= z[m] * (1.0 - z[m])
            wo, bo, ao = wo + fan_in * fan_out, bo + fan_out, an
        for m in range(n if softmax else 0):
            y, dy = a[end:, m], da[end:, m]
            y -= y.max()
            for k in range(len(y)):
                y[k] = exp(y[k])
            y /= y.sum()
            dy[:] = y * (dy - (y * dy).sum())
        for i in range(layers[-1]):
            delta[end + i] = 2 * share * (a[end + i] - T[s, i])
            ddelta[end + i] = 2 * share * da[end + i]
        for m in range(n if softmax else 0):  # through the last activation
            y, dy, u, du = a[end:, m], da[end:, m], delta[end:, m], ddelta[end:, m]
            mean, dmean = (y * u).sum(), (dy * u + y * du).sum()
            du[:] = dy * (u - mean) + y * (du - dmean)
            u[:] = y * (u - mean)
        for layer in range(layers.size - 2, -1, -1):
            fan_in, fan_out = layers[layer], layers[layer + 1]
            wo, bo, an = wo - fan_in * fan_out, bo - fan_out, ao - fan_in
            for i in range(ao, ao + (0 if softmax and layer == layers.size - 2 else fan_out)):
                for m in range(n):
                    rise = a[i, m] * (1 - a[i, m])
                    ddelta[i, m] = ddelta[i, m] * rise + delta[i, m] * (1 - 2 * a[i, m]) * da[i, m]
                    delta[i, m] *= rise
            delta[an:ao], ddelta[an:ao] = 0.0, 0.0
            for i in range(fan_out):
                gb[bo + i] += delta[ao + i]
                for j in range(fan_in):
                    at = wo + i * fan_in + j
                    for m in range(n):
                        g[at, m] += delta[ao + i, m] * a[an + j, m]
                    for m in range(n if layer else 0):
                        delta[an + j, m] += w[at, m] * delta[ao + i, m]
                if asked:
                    dgb[bo + i] += ddelta[ao + i]
                    for j in range(fan_in):
                        at = wo + i * fan_in + j
                        for m in range(n):
                            dg[at, m] += ddelta[ao + i, m] * a[an + j, m] + delta[ao + i, m] * da[an + j, m]
                        for m in range(n if layer else 0):
                            ddelta[an + j, m] += dw[at, m] * delta[ao + i, m] + w[at, m] * ddelta[ao + i, m]
            ao = an
    return slopes, dslopes


@njit()
def _carry(state, v, X, T, size, layers, softmax, share, rates, begin, growth, states):
    """Take steps, one a row of `growth`, in place, with the tangent vectors v; both (d, n), batches of `size` samples.

    The arithmetic is that of `SGDMap.tangent`, to the bit in the states.
    """
    tiny = np.finfo(np.float64).tiny
    if len(states):
        states[0] = state
    for k in range(len(growth)):
        at = 0 if size == len(X) else (begin + k) % len(X)
        slopes, turned = _derivatives(state, v, X[at : at + size], T[at : at + size], layers, softmax, share)
        square = np.zeros(state.shape[1])
        for i in range(len(state)):
            for m in range(state.shape[1]):
                state[i, m] -= rates[m] * slopes[i, m]
                v[i, m] -= rates[m] * turned[i, m]
                square[m] += v[i, m] * v[i, m]
        length = np.sqrt(square)
        for i in range(len(state)):
            for m in range(state.shape[1]):
                v[i, m] /= max(length[m], tiny)
        growth[k] = np.log(length)
        if len(states):
            states[k + 1] = state
