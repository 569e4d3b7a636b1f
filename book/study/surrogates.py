"""Exponents with a null: a p-value for each, series on which it can be wrong, and what other programs say of these.

All series are float64 (n_steps, n_series), one a column.
"""

import warnings
from functools import cache, partial

import numpy as np

from legc_utils import lyapunov
from study import maps, nulls

NOISE = 0.05  # standard deviation of the noise on noisy chaos, in those of the series
SAMPLED = 0.1  # time units between samples of Lorenz' system
_FITTED = 6  # steps that a slope is fitted to, where a program fits one
_EVERY = 5  # steps of the midpoint rule between samples
SYSTEMS = {  # map, where orbits start, iterates a value
    "logistic": (maps.logistic, lambda rng, n: rng.uniform(0.05, 0.95, (n, 1)), 1),
    "Hénon": (maps.henon, lambda rng, n: rng.uniform(-0.1, 0.1, (2, n)).T, 1),
    "Lorenz": (partial(maps.lorenz, h=SAMPLED / _EVERY), lambda rng, n: [1, 1, 25] + rng.normal(size=(3, n)).T, _EVERY),
}


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


@cache
def _trends(n_steps, order):
    """Basis of polynomials in time, and for AR(1) noise by its coefficient what `_expected` says: (basis, φ, s², ρ)."""
    basis = np.linalg.qr(np.polynomial.legendre.legvander(np.linspace(-1, 1, n_steps), order))[0]
    grid = np.concatenate([np.linspace(-0.95, 0.9, 38), [0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999]])
    return basis, grid, *np.array([_expected(basis, phi) for phi in grid]).T


def shape(series, order=3):
    """The null of each series, its own smooth trend and AR(1) noise: a function of a Generator that draws from it.

    As `nulls.trend_and_noise`, but right for tests: a fitted trend swallows a part of the noise, so what is left looks
    smaller and shorter of memory than the noise was. Both are corrected by their expectations under AR(1), and of noise
    that is drawn, too, only what no trend swallows is added.

    series : float array (n_steps, n_series); order : int, of the polynomial
    """
    series = np.asarray(series, dtype=np.float64)
    basis, grid, variance, memory = _trends(len(series), order)
    trend = basis @ (basis.T @ series)
    rest = series - trend
    power = np.maximum((rest**2).sum(axis=0), np.finfo(float).tiny)
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


def chaos(name, n_steps, n_series, rng):
    """Orbits of one of `SYSTEMS`, on its attractor: (n_steps, n_series). Lorenz' has a value every `SAMPLED`."""
    step, first, every = SYSTEMS[name]
    return maps.orbits(step, first(rng, n_series), n_steps, every)


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
    for name, x in {name: chaos(name, n_steps, n_series, rng) for name in SYSTEMS}.items():
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
