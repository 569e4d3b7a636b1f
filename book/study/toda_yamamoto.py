"""How many series are not stationary, and a Granger test in levels that does not mind unit roots."""

import warnings

import numpy as np
from scipy import special
from statsmodels.tsa.stattools import kpss

from legc_utils.granger import has_unit_root
from legc_utils.protocols import check


def not_stationary(series, level=0.05):
    """Shares of series that ADF leaves with a unit root and that KPSS calls not stationary: float64 (2,).

    series : float array (n_windows, …), time first; constant ones are left out.
    """
    columns = series.reshape(len(series), -1).T
    columns = columns[np.ptp(columns, axis=1) > 0]
    with warnings.catch_warnings(action="ignore"):  # p-values beyond KPSS' table
        rejected = [kpss(column, nlags="auto")[1] < level for column in columns]
    return np.mean([[has_unit_root(column) for column in columns], rejected], axis=1)


def toda_yamamoto(target, series, lag, extra=1):
    """p-values of Granger tests in levels that stay valid with unit roots (Toda & Yamamoto 1995).

    The regression has lag + extra lags of both sides; the F test concerns the first `lag` lags of the series only.

    Parameters
    ----------
    target : float array (n_windows,)
    series : float array (n_windows, n_series)
    lag : int
    extra : int
        Largest order of integration that is thought possible.

    Returns
    -------
    float64 (n_series,); NaN for a constant target or series, a series with NaN, or a perfect fit.

    Raises
    ------
    ValueError
        For lag or extra below 1, or too few windows for them.
    """
    y, x = np.asarray(target, dtype=np.float64), np.asarray(series, dtype=np.float64)
    check(lag=lag, extra=extra)
    p, T = lag + extra, len(y)
    dof = T - p - 2 * p - 1
    if dof < 1:
        raise ValueError(f"lag={lag} with extra={extra} needs more than {3 * p + 1} windows; given {T}")
    pvalues = np.full(x.shape[1], np.nan)
    usable = np.isfinite(x).all(axis=0) & (np.ptp(x, axis=0) > 0)
    if np.ptp(y) == 0 or not usable.any():
        return pvalues
    past = lambda z: np.stack([z[p - k : T - k] for k in range(1, p + 1)], axis=-1)
    y, x = (y - y.mean()) / y.std(), x[:, usable]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    x = past(x).swapaxes(0, 1)  # (n_usable, T - p, p)
    always = np.broadcast_to(np.column_stack([np.ones(T - p), past(y)]), (len(x), T - p, p + 1))

    def left(design):
        """What is left of y[p:] after regression on each of a stack of designs: sums of squares."""
        q = np.linalg.qr(design)[0]
        return ((y[p:] - (q @ (q.swapaxes(1, 2) @ y[p:, None]))[..., 0]) ** 2).sum(axis=1)

    joint = left(np.concatenate([always, x], axis=2))
    explained = left(np.concatenate([always, x[:, :, lag:]], axis=2)) - joint
    with np.errstate(all="ignore"):
        found = special.fdtrc(lag, dof, explained / lag / (joint / dof))
    pvalues[usable] = np.where(joint > 1e-12 * T, found, np.nan)
    return pvalues
