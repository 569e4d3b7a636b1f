"""Weights that drive an error by how rough their series are, and weights that do not: what a method finds, it finds.

A driver u, one number a window, makes the series of some weights regular or chaotic, window by window, and an error
follows it one window later. Decoys are changed in the same way by a driver of their own, which drives nothing.
"""

import numpy as np
from scipy import special

from legc_utils import granger, lyapunov, selection

PERIOD = 25  # iterates, of the regular part


def course(series, order=3):
    """The smooth course of each series, float64 (n_steps, n_series): its polynomial in time, by least squares."""
    series = np.asarray(series, dtype=np.float64)
    basis = np.polynomial.legendre.legvander(np.linspace(-1, 1, len(series)), order)
    return basis @ np.linalg.lstsq(basis, series, rcond=None)[0]


def tent(peaks, n_series, rng):
    """Orbits of the skewed tent map, chaotic, each with mean 0 and standard deviation 1: float64 (n_steps, n_series).

    x → x / a below the peak a and (1 − x) / (1 − a) above it. Whatever a, an orbit fills [0, 1] evenly, and its Lyapunov
    exponent is −a ln a − (1 − a) ln(1 − a): ln 2 at a = 1/2, none at a = 1.

    peaks : float array (n_steps,), a at every step, between 0 and 1
    """
    x = np.empty((len(peaks), n_series))
    state = rng.uniform(0.05, 0.95, n_series)
    for t, a in enumerate(peaks):
        state = np.where(state < a, state / a, (1 - state) / (1 - a))
        x[t] = state
    return (x - 0.5) * np.sqrt(12)


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
        raise ValueError(f"driver of shape {np.shape(driver)} is not allowed; give one number for each window, {len(ends)}")
    at = np.minimum(np.arange(len(series)) // lyapunov.stride(window, overlap), len(ends) - 1)
    sd = np.array([series[end + 1 - window : end + 1].std(axis=0) for end in ends])[at]
    return series + size * sd * tent(1 - np.clip(special.ndtr(driver), 0.02, 0.98)[at] / 2, series.shape[1], rng)
