"""Series whose nature is known: what a test or an estimator says of these, it says for no reason of its own.

All take and give float64 (n_steps, n_series), one series a column.
"""

import numpy as np

from legc_utils import training
from study.randomness import derived_seed


def _checked(series):
    series = np.asarray(series, dtype=np.float64)
    if series.ndim != 2 or len(series) < 4 or not np.isfinite(series).all():
        raise ValueError(f"series of shape {series.shape} is not allowed; give finite numbers, (at least 4, n_series)")
    return series


def phase_randomised(series, rng):
    """Surrogates with the spectrum of each series and random phases (Theiler et al. 1992): linear, stationary."""
    series = _checked(series)
    spectrum = np.fft.rfft(series, axis=0)
    turned = spectrum * np.exp(2j * np.pi * rng.random(spectrum.shape))
    turned[0] = spectrum[0]
    if len(series) % 2 == 0:
        turned[-1] = np.abs(spectrum[-1]) * np.sign(rng.random(series.shape[1]) - 0.5)
    return np.fft.irfft(turned, len(series), axis=0)


def iaaft(series, rng, iterations=50):
    """Surrogates with the values of each series and, as nearly as these allow, its spectrum (Schreiber & Schmitz 1996).

    Assumes a stationary series: a trend becomes a slow wave.
    """
    series = _checked(series)
    values, amplitude = np.sort(series, axis=0), np.abs(np.fft.rfft(series, axis=0))
    found = rng.permuted(series, axis=0)
    for _ in range(iterations):
        spectrum = np.fft.rfft(found, axis=0)
        phase = spectrum / np.maximum(np.abs(spectrum), np.finfo(float).tiny)
        found = np.fft.irfft(amplitude * phase, len(series), axis=0)
        found = np.take_along_axis(values, found.argsort(axis=0).argsort(axis=0), axis=0)
    return found


def course(series, order=3):
    """The smooth course of each series, float64 (n_steps, n_series): its polynomial in time, by least squares."""
    series = np.asarray(series, dtype=np.float64)
    basis = np.polynomial.legendre.legvander(np.linspace(-1, 1, len(series)), order)
    return basis @ np.linalg.lstsq(basis, series, rcond=None)[0]


def trend_and_noise(series, rng, order=3):
    """A null of the right shape: each series' own smooth trend, and noise like what is left of it.

    The trend is a polynomial in time; the rest is replaced by an AR(1) process with its variance and lag-1 correlation,
    as stochastic gradients leave behind.
    """
    series = _checked(series)
    trend = course(series, order)
    rest = series - trend
    power = np.maximum((rest**2).sum(axis=0), np.finfo(float).tiny)
    phi = np.clip((rest[1:] * rest[:-1]).sum(axis=0) / power, -0.999, 0.999)
    return trend + autoregressive(len(series), phi, rest.std(axis=0), rng)


def autoregressive(n_steps, phi, deviation, rng):
    """AR(1) with coefficients phi (n_series,) and stationary standard deviations `deviation`: (n_steps, n_series)."""
    phi, deviation = np.broadcast_arrays(np.asarray(phi, float), np.asarray(deviation, float))
    if (np.abs(phi) >= 1).any():
        raise ValueError(f"phi={phi[np.abs(phi) >= 1][0]} is not allowed; give values between -1 and 1")
    shocks = rng.normal(size=(n_steps, *phi.shape)) * deviation * np.sqrt(1 - phi**2)
    found = np.empty_like(shocks)
    found[0] = rng.normal(size=phi.shape) * deviation
    for t in range(1, n_steps):
        found[t] = phi * found[t - 1] + shocks[t]
    return found


def placebo_targets(split, hidden, n_runs, protocol, look):
    """The Granger target of n_runs other dense networks, which the weights under test cannot have caused.

    Their seeds are nobody else's (`derived_seed`); the same data in the same order. look : as `selection.horizon`
    gives it. Returns float64 (n_windows, n_runs).
    """
    seeds = [derived_seed("placebo", run) for run in range(n_runs)]
    read = dict(epochs=look.epochs, rows=look.rows, errors=(protocol.target,), evaluate=())
    return training.train_ensemble(split, hidden, seeds, protocol, **read).target_error


def placebo_pvalues(own, placebos):
    """p-values calibrated by placebos: (1 + #{placebos at least as extreme}) / (number of placebos + 1).

    own (n,) : p-values with the true error. placebos (draws, n) : the same with errors that mean nothing. Where
    such a test is undefined (NaN) it is no placebo; where the own one is, or all are, so is what is returned, (n,).
    """
    n = (~np.isnan(placebos)).sum(axis=0)
    found = (1 + (placebos <= own).sum(axis=0)) / (n + 1)
    return np.where(np.isnan(own) | (n == 0), np.nan, found)
