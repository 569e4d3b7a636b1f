"""How many series are not stationary, and a Granger test in levels that does not mind unit roots."""

import warnings

import numpy as np
from scipy import special
from statsmodels.tsa.stattools import kpss

from legc_utils.granger import has_unit_root
from legc_utils.protocols import check, check_finite


def not_stationary(series, level=0.05):
    """Shares of series that ADF leaves with a unit root and that KPSS calls not stationary: float64 (2,).

    series : float array (n_windows, …), time first; constant ones are left out.
    """
    columns = series.reshape(len(series), -1).T
    columns = columns[np.ptp(columns, axis=1) > 0]
    with warnings.catch_warnings(action="ignore"):  # p-values beyond KPSS' table
        rejected = [kpss(column, nlags="auto")[1] < level for column in columns]
    return np.mean([has_unit_root(columns.T), rejected], axis=1)


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
    float64 (n_series,); NaN where the test is not defined: constant target or series, a series with NaN, perfect fit,
    or a tested lag that the constant and the other lags determine (those of a trend, or of a copy of the target).

    Raises
    ------
    ValueError
        For lag or extra below 1, too few windows for them, or a target that is not finite.
    """
    y, x = np.asarray(target, dtype=np.float64), np.asarray(series, dtype=np.float64)
    check(lag=lag, extra=extra)
    check_finite(target=y)
    p, T = lag + extra, len(y)
    if 3 * p + 1 >= T:
        raise ValueError(f"lag={lag} with extra={extra} needs more than {3 * p + 1} windows; given {T}")
    pvalues = np.full(x.shape[1], np.nan)
    spread = lambda z: np.where(np.ptp(z, axis=0) > 0, z.std(axis=0), 0.0)
    with np.errstate(all="ignore"):  # 0 or inf: constant, or too small or large for squares
        y_sd, x_sd = spread(y), spread(x)
    usable = (x_sd > 0) & (x_sd < np.inf)
    if not (0 < y_sd < np.inf and usable.any()):
        return pvalues
    past = lambda z: np.stack([z[p - k : T - k] for k in range(1, p + 1)], axis=-1)
    x, x_sd = x[:, usable], x_sd[usable]
    rounding = np.finfo(float).eps * (abs(y).max() / y_sd + abs(x).max(axis=0) / x_sd)  # of the standardised data
    y = (y - y.mean()) / y_sd
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    x = past(x).swapaxes(0, 1)  # (n_usable, T - p, p)
    always = np.broadcast_to(np.column_stack([np.ones(T - p), past(y)]), (len(x), T - p, p + 1))

    def left(design):
        """What is left of y[p:] after regression on each of a stack of designs: sums of squares; and the ranks."""
        q, r = np.linalg.qr(design)
        u, singular, _ = np.linalg.svd(r)
        independent = singular > (1e-10 + rounding[:, None]) * singular[:, :1]
        short = ~independent.all(axis=1)
        q[short] = q[short] @ (u[short] * independent[short, None])
        squares = ((y[p:] - (q @ (q.swapaxes(1, 2) @ y[p:, None]))[..., 0]) ** 2).sum(axis=1)
        return squares, independent.sum(axis=1)

    joint, rank = left(np.concatenate([always, x], axis=2))
    restricted, rank_restricted = left(np.concatenate([always, x[:, :, lag:]], axis=2))
    dof = T - p - rank
    with np.errstate(all="ignore"):
        found = special.fdtrc(lag, dof, (restricted - joint) / lag / (joint / dof))
    pvalues[usable] = np.where((joint > 1e-12 * T) & (rank - rank_restricted == lag), found, np.nan)
    return pvalues
