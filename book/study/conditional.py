"""A Granger test that holds a control fixed: what a series tells beyond the target's own past and another's."""

import numpy as np
from scipy import special

from legc_utils.protocols import check, check_finite


def conditional_granger(target, series, control, lag):
    """p-values of "series does not help to predict target, given its own past and that of a control" (Geweke 1984).

    The target is regressed on a constant and `lag` lags of itself and of the control, with and without the lags of the
    series; a partial F test compares the two.

    Parameters
    ----------
    target : float array (n_windows,)
    series : float array (n_windows, n_series)
    control : float array (n_windows,), or (n_windows, n_series) with one for each series
    lag : int

    Returns
    -------
    float64 (n_series,); NaN where the test is not defined: a constant series or target, NaN, a perfect fit, or lags of
    the series that all else determines. Of a control that adds nothing of its own, what it adds is left out.

    Raises
    ------
    ValueError
        For a lag below 1, too few windows for it (they must exceed 4·lag + 1), shapes that do not fit, or a target that
        is not finite.
    """
    y, x, z = (np.asarray(each, dtype=np.float64) for each in (target, series, control))
    check(lag=lag)
    check_finite(target=y)
    if len(y) <= 4 * lag + 1:
        raise ValueError(f"lag={lag} with a control needs more than {4 * lag + 1} windows; given {len(y)}")
    z = np.broadcast_to(z[:, None] if z.ndim == 1 else z, x.shape)
    if len(x) != len(y):
        raise ValueError(f"series of shape {x.shape} do not fit a target of {len(y)} windows; allowed: as many of each")
    found = np.full(x.shape[1], np.nan)
    usable = np.isfinite(x).all(axis=0) & np.isfinite(z).all(axis=0) & (np.ptp(x, axis=0) > 0)
    if not (usable.any() and np.ptp(y)):
        return found
    scaled = lambda v: (v - v.mean(axis=0)) / np.where(np.ptp(v, axis=0) > 0, v.std(axis=0), 1.0)
    past = lambda v: np.stack([v[lag - k : len(v) - k] for k in range(1, lag + 1)], axis=-1)
    y, x, z = scaled(y), *(past(scaled(v[:, usable])).swapaxes(0, 1) for v in (x, z))
    now = y[lag:]
    own = np.broadcast_to(np.column_stack([np.ones(len(now)), past(y)]), (len(x), len(now), lag + 1))
    less, rank_less = _left(np.concatenate([own, z], axis=2), now)
    more, rank_more = _left(np.concatenate([own, z, x], axis=2), now)
    dof = len(now) - rank_more
    with np.errstate(all="ignore"):
        p = special.fdtrc(lag, dof, (less - more) / lag / (more / dof))
    found[usable] = np.where((more > 1e-12 * len(now)) & (rank_more - rank_less == lag), p, np.nan)
    return found


def _left(designs, y):
    """Sum of squares that each of a stack of designs (n, rows, columns) leaves of y (rows,), and their ranks: (n,)."""
    u, singular, _ = np.linalg.svd(designs, full_matrices=False)
    held = singular > 1e-10 * singular[:, :1]
    fitted = np.einsum("nrc,nc->nr", u, np.einsum("nrc,r->nc", u, y) * held)
    return np.square(y - fitted).sum(axis=1), held.sum(axis=1)


def mean_of_others(series, parts):
    """For each series the mean of the others of its part: the control of a weight is the rest of its layer.

    series : float array (…, n_series); parts : slices of it, of two series at least. float64 as series; NaN do not
    count.
    """
    found = np.full(np.shape(series), np.nan)
    for at in parts:
        part = np.asarray(series, dtype=np.float64)[..., at]
        known = ~np.isnan(part)
        total, n = np.where(known, part, 0).sum(-1, keepdims=True), known.sum(-1, keepdims=True)
        with np.errstate(all="ignore"):  # none other
            found[..., at] = (total - np.where(known, part, 0)) / (n - known)
    return found
