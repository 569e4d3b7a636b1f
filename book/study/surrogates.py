"""Exponents with a null: a p-value for each, series on which it can be wrong, and what other programs say of these.

All series are float64 (n_steps, n_series), one a column.
"""

import warnings

import numpy as np

from legc_utils import lyapunov
from study import nulls

NOISE = 0.05  # standard deviation of the noise on noisy chaos, in those of the series
SAMPLED = 0.1  # time units between samples of Lorenz' system
_FITTED = 6  # steps that a slope is fitted to, where a program fits one


def exponents(series, **choices):
    """LE = S(1) − S(0) of each series, in nats a step: (n_series,). choices : of `lyapunov.divergence`."""
    S = lyapunov.divergence(np.asarray(series).T, **choices)
    return S[:, 1] - S[:, 0]


def _expected(basis, phi):
    """What is left of AR(1) noise of variance 1 once the basis is projected off: its variance and lag-1 correlation."""
    off = np.abs(np.subtract.outer(np.arange(len(basis)), np.arange(len(basis))))
    left = phi**off
    left = left - basis @ (basis.T @ left)
    left = left - (left @ basis) @ basis.T
    return np.trace(left) / len(basis), np.trace(left, 1) / np.trace(left)


def shape(series, order=3):
    """The null of each series, its own smooth trend and AR(1) noise: a function of a Generator that draws from it.

    As `nulls.trend_and_noise`, but right for tests: a fitted trend swallows a part of the noise, so what is left looks
    smaller and shorter of memory than the noise was. Both are corrected by their expectations under AR(1), and of noise
    that is drawn, too, only what no trend swallows is added.

    series : float array (n_steps, n_series); order : int, of the polynomial
    """
    series = np.asarray(series, dtype=np.float64)
    basis = np.linalg.qr(np.polynomial.legendre.legvander(np.linspace(-1, 1, len(series)), order))[0]
    trend = basis @ (basis.T @ series)
    rest = series - trend
    power = np.maximum((rest**2).sum(axis=0), np.finfo(float).tiny)
    grid = np.concatenate([np.linspace(-0.95, 0.9, 38), [0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999]])
    variance, memory = np.array([_expected(basis, phi) for phi in grid]).T
    phi = np.interp((rest[1:] * rest[:-1]).sum(axis=0) / power, memory, grid)
    deviation = np.sqrt(power / len(series) / np.interp(phi, grid, variance))

    def draw(rng):
        noise = nulls.autoregressive(len(series), phi, deviation, rng)
        return trend + noise - basis @ (basis.T @ noise)

    return draw


def places(series, statistic, rng, draws=99):
    """Where each series' statistic lies among those of surrogates of its `shape`: in (0, 1), uniform under the null.

    Ranks are spread evenly between their neighbours, so that ties and a finite number of draws leave no steps.

    series : float array (n_steps, n_series)
    statistic : function of such an array that gives (n_found,), n_series or fewer (a mean over windows, say)
    rng : numpy Generator; draws : int, surrogates a series

    Returns float64 (n_found,); NaN where the statistic is.
    """
    own, draw = statistic(series), shape(series)
    below, same = np.zeros((2, len(own)))
    for _ in range(draws):
        other = statistic(draw(rng))
        below += other < own
        same += other == own
    return np.where(np.isnan(own), np.nan, (below + rng.random(len(own)) * (same + 1)) / (draws + 1))


def two_sided(place):
    """p-values of places: small at either end."""
    return 2 * np.minimum(place, 1 - np.asarray(place))


def lorenz(n_steps, n_series, rng, dt=0.01):
    """x of Lorenz' system (σ = 10, ρ = 28, β = 8/3) every `SAMPLED` time units, by Runge–Kutta: (n_steps, n_series)."""

    def slope(s):
        x, y, z = s
        return np.array([10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])

    state = np.array([[1.0], [1.0], [25.0]]) + rng.normal(size=(3, n_series))
    every, found = round(SAMPLED / dt), np.empty((n_steps, n_series))
    for t in range(-100, n_steps):
        for _ in range(every):
            a = slope(state)
            b = slope(state + dt / 2 * a)
            c = slope(state + dt / 2 * b)
            state = state + dt / 6 * (a + 2 * b + 2 * c + slope(state + dt * c))
        if t >= 0:
            found[t] = state[0]
    return found


def logistic(n_steps, n_series, rng):
    """The logistic map at r = 4: (n_steps, n_series)."""
    x, found = rng.uniform(0.05, 0.95, n_series), np.empty((n_steps, n_series))
    for t in range(-100, n_steps):
        x = np.clip(4 * x * (1 - x), 1e-12, 1 - 1e-12)  # 0 and 1 are traps
        if t >= 0:
            found[t] = x
    return found


def henon(n_steps, n_series, rng):
    """x of Hénon's map (a = 1.4, b = 0.3): (n_steps, n_series)."""
    x, y = rng.uniform(-0.1, 0.1, (2, n_series))
    found = np.empty((n_steps, n_series))
    for t in range(-100, n_steps):
        x, y = 1 - 1.4 * x**2 + y, 0.3 * x
        if t >= 0:
            found[t] = x
    return found


def kinds(n_steps, n_series, rng):
    """Series of known nature: dict of name to (chaotic or not, float64 (n_steps, n_series))."""
    noise = lambda: rng.normal(size=(n_steps, n_series))
    steps, (a, b) = np.arange(n_steps)[:, None], 2 * np.pi * rng.random((2, n_series))
    bent = np.polynomial.legendre.legvander(np.linspace(-1, 1, n_steps), 3) @ rng.normal(size=(4, n_series))
    found = {
        "white noise": (False, noise()),
        "AR(1)": (False, nulls.autoregressive(n_steps, np.full(n_series, 0.9), 1.0, rng)),
        "random walk": (False, noise().cumsum(axis=0)),
        "trend + noise": (False, bent + nulls.autoregressive(n_steps, np.full(n_series, 0.5), 0.3, rng)),
        "quasi-periodic": (False, np.sin(steps + a) + np.sin(np.sqrt(2) * steps + b)),
    }
    for name, x in {"logistic": logistic(n_steps, n_series, rng), "Hénon": henon(n_steps, n_series, rng),
                    "Lorenz": lorenz(n_steps, n_series, rng)}.items():  # fmt: skip
        found[name] = True, x
        found[f"{name}, noisy"] = True, x + NOISE * x.std(axis=0) * noise()
    return found


def nolds(series):
    """nolds.lyap_r of each series, in nats a step, by least squares: its default, RANSAC, is not deterministic."""
    with warnings.catch_warnings():  # of the deprecated pkg_resources, and of windows without neighbours
        warnings.simplefilter("ignore")
        import nolds

        like = dict(emb_dim=2, lag=1, min_tsep=1, tau=1, trajectory_len=_FITTED, fit="poly")
        return np.array([nolds.lyap_r(x, **like) for x in np.asarray(series).T])


def neurokit(series):
    """neurokit2.complexity_lyapunov of each series by Rosenstein's method, in nats a step; NaN where it is missing."""
    try:
        import neurokit2
    except ImportError:  # only benchmarks need it
        return np.full(np.shape(series)[1], np.nan)
    like = dict(delay=1, dimension=2, separation=1, len_trajectory=_FITTED, method="rosenstein1993")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.array([neurokit2.complexity_lyapunov(x, **like)[0] for x in np.asarray(series).T])
