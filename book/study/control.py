"""Weights that drive an error by how rough their series are, and weights that do not: what a method finds, it finds.

A driver u, one number a window, makes the series of some weights more or less chaotic, window by window, and an error
follows it one window later. Decoys are changed in the same way by a driver of their own, which drives nothing.
"""

import numpy as np
from scipy import special

from legc_utils import granger, lyapunov, selection
from legc_utils.compiling import njit
from study import nulls, rankings


@njit()
def _orbits(state, peaks):
    found = np.empty((len(peaks), len(state)))
    for t in range(len(peaks)):
        a = peaks[t]
        for i in range(len(state)):
            state[i] = state[i] / a if state[i] < a else (1 - state[i]) / (1 - a)
            found[t, i] = (state[i] - 0.5) * np.sqrt(12)
    return found


def tent(peaks, n_series, rng):
    """Orbits of the skewed tent map, chaotic, each with mean 0 and standard deviation 1: float64 (n_steps, n_series).

    x → x / a below the peak a and (1 − x) / (1 − a) above it. Whatever a, an orbit fills [0, 1] evenly, and its
    Lyapunov exponent is −a ln a − (1 − a) ln(1 − a): ln 2 at a = 1/2, none at a = 1.

    peaks : float array (n_steps,), a at every step, between 0 and 1; not 1/2, where binary digits run out
    """
    return _orbits(rng.uniform(0.05, 0.95, n_series), np.asarray(peaks, dtype=np.float64))


def chaotic(series, driver, window, overlap, rng, size=1.0):
    """Series that a driver has made more or less chaotic, window by window.

    To each weight is added an orbit of the `tent` map, whose exponent rises with the driver: a = 1 − Φ(u_t) / 2.

    Parameters
    ----------
    series : float array (n_steps, n_weights), iterates of weights
    driver : float array (n_windows,), u; standard normal
    window : int, iterates; overlap : float, share of a window that the next one repeats
    size : float, standard deviation of what is added, in those of the weight itself within the window

    Returns float64 (n_steps, n_weights). Raises ValueError unless there is one driver a window.
    """
    series = np.asarray(series, dtype=np.float64)
    ends = lyapunov.window_ends(len(series), window, overlap)
    if np.shape(driver) != (len(ends),):
        raise ValueError(
            f"driver of shape {np.shape(driver)} is not allowed; give one number for each window, {len(ends)}"
        )
    at = np.minimum(np.arange(len(series)) // lyapunov.stride(window, overlap), len(ends) - 1)
    sd = np.array([series[end + 1 - window : end + 1].std(axis=0) for end in ends])[at]
    return series + size * sd * tent(1 - np.clip(special.ndtr(driver), 0.02, 0.98)[at] / 2, series.shape[1], rng)


def follow(errors, driver, strength, noise):
    """An error that follows a driver one window later: float64 (n_windows,).

    Its own `nulls.course` stays; what varies about it is replaced by √s u_{t − 1} + √(1 − s) ε_t, as large as it was.

    errors : float array (n_windows,); driver, noise : float arrays (n_windows,), u and ε, standard normal
    strength : float, s: the share of the variance about the course that the driver explains, 0 to 1

    Raises ValueError for another strength.
    """
    if not 0 <= strength <= 1:
        raise ValueError(f"strength={strength!r} is not allowed; give a share from 0 to 1")
    errors = np.asarray(errors, dtype=np.float64)[:, None]
    smooth = nulls.course(errors)
    before = np.concatenate([noise[:1], driver[:-1]])  # nothing drives the first window
    varies = np.sqrt(strength) * before + np.sqrt(1 - strength) * np.asarray(noise)
    return smooth[:, 0] + (errors - smooth).std() * varies


def ask(target, exponents, protocol, max_lag):
    """What a protocol's test and rule say of each weight.

    Returns evidence, −ln p of its smallest p-value, NaN where there is none, and whether the mask keeps it as causal:
    float64 and bool, each (n_weights,).
    """
    p = granger.protocol_pvalues(target, exponents, protocol, max_lag)
    causal = selection.legc_mask(p, protocol.alpha, "noncausal", protocol.correction)
    return rankings.surprise(p.min(axis=0), untested=np.nan), causal


def auc(planted, null):
    """How often a planted weight has more evidence than a null one, ties counting half: 0.5 by chance. NaN left out."""
    planted, null = (x[~np.isnan(x)] for x in (np.asarray(planted, float), np.asarray(null, float)))
    if not planted.size or not null.size:
        return np.nan
    more, same = planted[:, None] > null, planted[:, None] == null
    return float((more + same / 2).mean())
