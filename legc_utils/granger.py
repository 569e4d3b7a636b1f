"""Granger tests of one target against many series at once (sections 2.2, 3.6).

The restricted model explains the target by its own lags, the joint model also by the lags of one series. The restricted
model is the same for every series, so it is fitted once and the rest is projected off it (Frisch–Waugh–Lovell). Lags of
a series share almost all their products: those of the longest lag are built once, and each shorter lag adds a row.
"""

import warnings
from bisect import bisect_left
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import get_num_threads, prange
from scipy import special
from tqdm import tqdm

from legc_utils.compiling import njit
from legc_utils.protocols import check, check_finite, numbers

_BLOCK = 64  # series worked on together: long enough for vector code to pay, short enough for the cache
_CONDITION = 1e-4  # below this share of independent variance, sums of products are not trusted
_NEAR = dict.fromkeys(("ssr_chi2test", "ssr_ftest", "lrtest"), 1e-14) | {"params_ftest": 1e-7}  # it inverts twice
_FAR = 5e-7  # values that spread over less than this share of their mean are far from zero


@njit()
def _add_row(xx, yx, sx, x, y, t, p, sign):
    """Add (or take away) the products of row t, lags up to p, from the running sums."""
    for b in range(1, p + 1):
        for c in range(1, p + 1):
            for i in range(_BLOCK):
                xx[b, c, i] += sign * x[t - b, i] * x[t - c, i]
        for i in range(_BLOCK):
            sx[b, i] += sign * x[t - b, i]
    for a in range(p + 1):
        for c in range(1, p + 1):
            for i in range(_BLOCK):
                yx[a, c, i] += sign * y[t - a] * x[t - c, i]


@njit()
def _products(x, y, L, xx, yx, sx):
    """Cross-products of lags 1 … L of x (T, block) with each other, with lags 0 … L of y, and with 1.

    Rows t = L … T-1. Neighbours on a diagonal differ by the first and the last product only.
    """
    T, first, last = len(x), L - 1, len(x) - 1
    xx[:], yx[:], sx[:] = 0.0, 0.0, 0.0
    for t in range(L, T):
        for c in range(1, L + 1):
            for i in range(_BLOCK):
                xx[1, c, i] += x[t - 1, i] * x[t - c, i]
                yx[0, c, i] += y[t] * x[t - c, i]
                yx[c, 1, i] += y[t - c] * x[t - 1, i]
        for i in range(_BLOCK):
            sx[1, i] += x[t - 1, i]
    for c in range(1, L):
        sx[c + 1] = sx[c] + x[first - c] - x[last - c]
        xx[c + 1, 1] = xx[1, c + 1]
    for b in range(1, L):
        for c in range(1, L):
            for i in range(_BLOCK):
                xx[b + 1, c + 1, i] = xx[b, c, i] + x[first - b, i] * x[first - c, i] - x[last - b, i] * x[last - c, i]
    for a in range(L):
        for c in range(1, L):
            for i in range(_BLOCK):
                yx[a + 1, c + 1, i] = yx[a, c, i] + y[first - a] * x[first - c, i] - y[last - a] * x[last - c, i]


@njit()
def _standardise(x, mean, sd):
    """Centre and scale every column of x (T, block) in place; report by what."""
    T = len(x)
    mean[:], sd[:] = 0.0, 0.0
    for t in range(T):
        for i in range(_BLOCK):
            mean[i] += x[t, i] / T
    for t in range(T):
        for i in range(_BLOCK):
            sd[i] += (x[t, i] - mean[i]) ** 2 / T
    sd[:] = np.sqrt(sd)
    for t in range(T):
        for i in range(_BLOCK):
            x[t, i] = (x[t, i] - mean[i]) / sd[i]


@njit(parallel=True)
def _explained(series, y, roots, targets, L):
    """What the lags of each series explain of the target beyond its own lags, and how safely.

    series (T, n), y (T,) centred and scaled; roots (L+1, L+1, L+1): R′ of the QR of (1, own lags) for p lags;
    targets (L+1, L+1): Q′ times the target. Returns the explained sum of squares and the least pivot, each (L, n),
    and mean and standard deviation of the series, as rows (2, n).
    """
    T, n = series.shape
    explained, pivots, columns = np.empty((L, n)), np.empty((L, n)), np.empty((2, n))
    for block in prange((n + _BLOCK - 1) // _BLOCK):
        first = block * _BLOCK
        width = min(_BLOCK, n - first)
        x, scale = np.zeros((T, _BLOCK)), np.empty((2, _BLOCK))
        x[:, :width] = series[:, first : first + width]
        _standardise(x, scale[0], scale[1])
        columns[:, first : first + width] = scale[:, :width]
        xx, yx = np.empty((L + 1, L + 1, _BLOCK)), np.empty((L + 1, L + 1, _BLOCK))
        sx = np.empty((L + 1, _BLOCK))
        _products(x, y, L, xx, yx, sx)
        u, chol, g = np.empty((L + 1, L + 1, _BLOCK)), np.empty((L + 1, L + 1, _BLOCK)), np.empty((L + 1, _BLOCK))
        for p in range(L, 0, -1):
            root, total, least = roots[p], np.zeros(_BLOCK), np.full(_BLOCK, np.inf)
            for b in range(1, p + 1):
                g[b] = yx[0, b]
                for r in range(p + 1):  # Q′X by forward substitution
                    u[r, b] = yx[r, b] if r else sx[b]
                    for q in range(r):
                        for i in range(_BLOCK):
                            u[r, b, i] -= root[r, q] * u[q, b, i]
                    for i in range(_BLOCK):
                        u[r, b, i] /= root[r, r]
                        g[b, i] -= u[r, b, i] * targets[p, r]
            for b in range(1, p + 1):  # Cholesky of what is left of X′X, and the target along with it
                for c in range(1, b + 1):
                    chol[b, c] = xx[b, c]
                    for r in range(p + 1):
                        for i in range(_BLOCK):
                            chol[b, c, i] -= u[r, b, i] * u[r, c, i]
                    for q in range(1, c):
                        for i in range(_BLOCK):
                            chol[b, c, i] -= chol[b, q, i] * chol[c, q, i]
                    if c < b:
                        for i in range(_BLOCK):
                            chol[b, c, i] /= chol[c, c, i]
                for q in range(1, b):
                    for i in range(_BLOCK):
                        g[b, i] -= chol[b, q, i] * g[q, i]
                for i in range(_BLOCK):
                    least[i] = min(least[i], chol[b, b, i] / xx[b, b, i])
                    chol[b, b, i] = np.sqrt(chol[b, b, i])
                    g[b, i] /= chol[b, b, i]
                    total[i] += g[b, i] ** 2
            explained[p - 1, first : first + width] = total[:width]
            pivots[p - 1, first : first + width] = least[:width]
            if p > 1:
                _add_row(xx, yx, sx, x, y, p - 1, p - 1, 1.0)
    return explained, pivots, columns


def _lagged(x, p):
    """x (…, T) one step ago, …, p steps ago, each (…, T − p)."""
    return [x[..., p - k : x.shape[-1] - k] for k in range(1, p + 1)]


def _restricted(y, L):
    """Fit the target on its own lags for p = 1 … L: R′, Q′y, residual and total sum of squares, safe or not."""
    roots, targets = np.zeros((L + 1, L + 1, L + 1)), np.zeros((L + 1, L + 1))
    rss, tss, safe = np.empty(L), np.empty(L), np.empty(L, bool)
    for p in range(1, L + 1):
        own = np.column_stack([np.ones(len(y) - p), *_lagged(y, p)])
        Q, R = np.linalg.qr(own)
        roots[p, : p + 1, : p + 1], targets[p, : p + 1] = R.T, Q.T @ y[p:]
        rss[p - 1] = np.sum((y[p:] - Q @ targets[p, : p + 1]) ** 2)
        tss[p - 1] = np.sum((y[p:] - y[p:].mean()) ** 2)
        safe[p - 1] = np.all(np.diag(R) ** 2 > _CONDITION * np.sum(own**2, axis=0))
    return roots, targets, rss, tss, safe


@njit()
def _longest_run(x):
    """Length of the longest run of one value in each column of x (T, n): int (n,)."""
    run, longest = np.ones(x.shape[1], np.int64), np.ones(x.shape[1], np.int64)
    for t in range(1, len(x)):
        for i in range(x.shape[1]):
            run[i] = run[i] + 1 if x[t, i] == x[t - 1, i] else 1
            longest[i] = max(longest[i], run[i])
    return longest


def _near_zero(x):
    """x (…, n), centred if it lies so far from zero that a regression, statsmodels' too, would lose its digits."""
    mean = x.mean(axis=-1, keepdims=True)
    return np.where(abs(x - mean).mean(axis=-1, keepdims=True) < _FAR * abs(mean), x - mean, x)


def _by_statsmodels(target, series, lag, test):
    """One p-value from statsmodels itself: it decides every case that is close to degenerate."""
    from statsmodels.tools.sm_exceptions import InfeasibleTestError  # a second to import, and seldom needed
    from statsmodels.tsa.stattools import grangercausalitytests

    with warnings.catch_warnings(action="ignore"):
        try:
            return grangercausalitytests(np.column_stack([target, series]), [lag])[lag][0][test][1]
        except InfeasibleTestError:  # a constant column or a perfect fit
            return np.nan


def granger_pvalues(target, series, max_lag=14, test="ssr_chi2test", exact=True):
    """p-values of "series does not help to predict target", for every series and lag.

    For lag p, target(t) is regressed on a constant and its own p lags, with and without the p lags of the series; the
    test compares the two residual sums of squares (Granger 1969). Equal to statsmodels' grangercausalitytests, to which
    near-degenerate cases are handed, except that a target or series far from zero (1e9 plus noise, say), of which
    statsmodels would lose digits, is centred before the regression.

    target : float array (n_windows,)
    series : float array (n_windows, n_series)
    max_lag : int
    test : str, ssr_chi2test (published), ssr_ftest, lrtest or params_ftest
    exact : bool, hand what is too near to degenerate to statsmodels, a millisecond each; False: NaN

    Returns float64 (max_lag, n_series); row k is lag k + 1. NaN where the test is not defined: a constant column, a
    perfect fit, a series with NaN, or too few observations (n_windows must exceed 3·lag + 1).
    Raises ValueError for an unknown test, max_lag < 1, shapes that do not fit, or a target that is not finite.
    """
    target, series = numbers(target=target), numbers(series=series)
    check(test=test, max_lag=max_lag)
    if target.ndim != 1 or series.ndim != 2 or len(target) != len(series):
        raise ValueError(f"target {target.shape} and series {series.shape} do not fit; allowed: (n,) and (n, n_series)")
    check_finite(target=target)
    T, n = series.shape
    pvalues = np.full((max_lag, n), np.nan)
    L = min(max_lag, longest_lag(T))
    if L == 0 or not n or np.ptp(target) == 0:
        return pvalues
    target = _near_zero(target)
    y = (target - target.mean()) / target.std()
    roots, targets, rss, tss, safe = _restricted(y, L)
    explained, pivots, (mean, sd) = _explained(np.ascontiguousarray(series), y, roots, targets, L)
    lags = np.arange(1, L + 1)[:, None]
    n_obs, rss = T - lags, rss[:, None]
    with np.errstate(all="ignore"):
        joint = rss - explained
        ratio = explained / joint
        # on uneven scales statsmodels drops or blurs what is left after centring: its word counts, if not far from zero
        far = sd < _FAR * np.abs(mean)
        even = (
            (far | (sd > 1e-5 * np.abs(mean))) & (sd > 1e-7) & (sd < 1e7) & (target.std() > 1e-5 * abs(target.mean()))
        )
        usual = (joint > 1e-6 * tss[:, None]) & (ratio > 1e-12)  # neither a perfect fit nor a gain of nothing
        trusted = safe[:, None] & even & (pivots > _CONDITION) & usual
        # not where the target's own lags leave nothing, as after a few values of a target that is flat from then on
        defined = (
            np.isfinite(mean) & (_longest_run(target[:, None]) < n_obs) & (rss > np.finfo(float).eps * tss[:, None])
        )
        some = np.flatnonzero((defined & ~trusted).any(axis=0))
        near = series[:, some] - far[some] * mean[some]
        defined[:, some] &= _longest_run(near[:-1]) < n_obs  # no lag is constant
        asked = (defined & ~trusted)[:, some]
        for lag in np.flatnonzero(asked.any(axis=1)) + 1:
            at = np.flatnonzero(asked[lag - 1])
            ratio[lag - 1, some[at]], sure = _near_degenerate(target, near[:, at], lag, test)
            asked[lag - 1, at] = ~sure
    pvalues[:L] = np.where(defined, _survival(test, lags, n_obs, ratio), np.nan)
    if not exact:
        asked, pvalues[:L, some] = asked[:0], np.where(asked, np.nan, pvalues[:L, some])
    for row, i in tqdm(np.argwhere(asked), "near-degenerate tests", disable=None, delay=2, leave=False):
        pvalues[row, some[i]] = _by_statsmodels(target, near[:, i], row + 1, test)
    return pvalues


def _survival(test, lags, n_obs, ratio):
    """p-values (L, n) of ratio = explained / unexplained sum of squares, in one thread a core: SciPy uses only one."""
    dof = n_obs - 2 * lags - 1

    def p(ratio):
        with np.errstate(all="ignore"):  # what is not defined, or not trusted, is decided elsewhere
            if test == "ssr_chi2test":
                return special.chdtrc(lags, n_obs * ratio)
            if test == "lrtest":
                return special.chdtrc(lags, n_obs * np.log1p(ratio))
            return special.fdtrc(lags, dof, ratio / lags * dof)

    threads = get_num_threads()
    if threads == 1:
        return p(ratio)
    with ThreadPoolExecutor(threads) as pool:
        return np.hstack(list(pool.map(p, np.array_split(ratio, threads, axis=1))))


def longest_lag(n_windows, difference=False):
    """The largest lag that so many windows can test, int, 0 or more: n_windows must exceed 3·lag + 1."""
    return max(0, (n_windows - difference - 2) // 3)


def check_lag(max_lag, n_windows, difference=False):
    """Raise ValueError, saying what is allowed, unless so many windows can test up to max_lag; returns max_lag."""
    check(max_lag=max_lag)
    if max_lag > (most := longest_lag(n_windows, difference)):
        raise ValueError(
            f"max_lag={max_lag} needs at least {3 * max_lag + 2 + difference} windows, and there are {n_windows}; "
            f"allowed here: {f'max_lag up to {most}' if most else 'a longer run or a smaller window'}"
        )
    return max_lag


def _nested(*columns):
    """Regressions of the last of columns (…, rows) on the first 0, 1, … others, by the R of their QR.

    Returns R (…, k, k), the sums of squares left (…, k), and whether all is far from degenerate (…).
    """
    R = np.linalg.qr(np.stack(columns, axis=-1), mode="r")
    own, norms = abs(np.diagonal(R, axis1=-2, axis2=-1)), np.linalg.norm(R, axis=-2)
    left = np.cumsum(R[..., ::-1, -1] ** 2, axis=-1)[..., ::-1]
    return R, left, ((own > 1e-6 * norms) & (own > 1e-9 * norms.max(axis=-1, keepdims=True))).all(axis=-1)


def _near_degenerate(target, series, lag, test):
    """Explained over unexplained sum of squares of each series (T, n), (n,), and whether that can be trusted.

    By QR of the data themselves, which keeps twice the digits of sums of products.
    """
    y = np.broadcast_to(target, series.T.shape)
    R, left, _ = _nested(np.ones_like(y[:, lag:]), *_lagged(y, lag), *_lagged(series.T, lag), y[:, lag:])
    explained, joint = np.sum(R[:, lag + 1 : -1, -1] ** 2, axis=1), left[:, -1]
    pivots = np.diagonal(R, axis1=1, axis2=2)[:, :-1] ** 2
    share = pivots.min(axis=1) / np.sum(R[:, :, :-1] ** 2, axis=(1, 2))
    # where statsmodels itself blurs what is asked: the square of rounding, magnified by the condition of the lags
    blur = len(target) * np.square(np.finfo(float).eps * 10) / share * np.sum(target**2)
    sure = (share > _NEAR[test]) & (blur < 1e-9 * joint) & (joint > 1e-12 * left[:, 1])
    return explained / joint, sure & (explained > 1e-12 * joint)


def bic_lag(target, max_lag):
    """The lag with the least BIC in the target's autoregression, at least 1: one lag, chosen without the series.

    As statsmodels' ar_select_order, which is asked where lags nearly determine each other.
    """
    target = _near_zero(np.asarray(target, dtype=np.float64))
    n = len(target) - max_lag
    if n > max_lag + 1:
        _, left, sure = _nested(np.ones(n), *_lagged(target, max_lag), target[max_lag:])
        if sure:
            return max(1, int(np.argmin(n * np.log(left[1:]) + np.log(n) * np.arange(max_lag + 1))))
    from statsmodels.tsa.ar_model import ar_select_order

    with warnings.catch_warnings(action="ignore"):
        lags = ar_select_order(target, max_lag, ic="bic").ar_lags
    return max(lags) if lags else 1


def has_unit_root(values, alpha=0.05):
    """Whether the augmented Dickey–Fuller test keeps a unit root at level alpha. Constant or NaN values: False.

    values (n,), or (n, n_series) for an answer each: bool (n_series,). As statsmodels' adfuller, which is asked where
    lags nearly determine each other; many series at once take a fiftieth of its time.
    """
    from statsmodels.tsa.adfvalues import mackinnonp
    from statsmodels.tsa.stattools import adfuller

    values = np.asarray(values, dtype=np.float64)
    series, found = values.reshape(len(values), -1).T, np.zeros(values[0].size, bool)
    moving = np.isfinite(series).all(axis=1)
    moving[moving] = np.ptp(series[moving], axis=1) > 0
    most = min(len(values) // 2 - 2, int(np.ceil(12 * (len(values) / 100) ** 0.25)))  # lags that adfuller tries
    for part in np.array_split(np.flatnonzero(moving), moving.sum() // 2**10 + 1):
        x = _near_zero(series[part])
        best, stat, sure = np.zeros(len(x), int), np.full(len(x), np.nan), np.zeros(len(x), bool)
        if most >= 0:
            level, *past, step = _adf_columns(x, most)
            _, left, sure = _nested(np.ones_like(step), level, *past, step)
            with np.errstate(divide="ignore"):  # a perfect fit
                fits = step.shape[1] * np.log(left[:, 2:])
            best = np.argmin(fits + 2 * np.arange(most + 1), axis=1)  # AIC
        for lags in np.unique(best[sure]):
            at = np.flatnonzero(sure & (best == lags))
            level, *past, step = _adf_columns(x[at], lags)
            R, left, sure[at] = _nested(np.ones_like(step), *past, level, step)
            stat[at] = R[:, -2, -1] * np.sign(R[:, -2, -2]) * np.sqrt((step.shape[1] - lags - 2) / left[:, -1])
        ranked = np.sort(stat[sure])
        least = bisect_left(ranked, alpha, key=mackinnonp)  # a greater statistic has a greater p-value
        found[part[sure]] = stat[sure] >= np.append(ranked, np.inf)[least]
        with warnings.catch_warnings(action="ignore"):
            found[part[~sure]] = [adfuller(one)[1] >= alpha for one in x[~sure]]
    return found if values.ndim > 1 else found[0]


def _adf_columns(x, lags):
    """Level, lagged steps and step of series x (n, T)."""
    step = np.diff(x)
    return [x[:, lags:-1], *_lagged(step, lags), step[:, lags:]]


def protocol_pvalues(target, series, protocol, max_lag, exact=True):
    """p-values as a protocol wants them, ready for `selection.legc_mask`.

    target (n_windows,), series (n_windows, n_series), exact as in `granger_pvalues`. `lag_choice` "min" keeps all lags,
    "bic" one row.
    With `difference`, every series with a unit root is differenced, and so is the target; that costs one window.
    Raises ValueError if too few windows are left for max_lag.
    """
    check_lag(max_lag, len(target), protocol.difference)
    if protocol.difference:
        series = np.array(series, dtype=np.float64)
        rooted = has_unit_root(series)
        series[1:, rooted] = np.diff(series[:, rooted], axis=0)
        target = np.diff(target) if has_unit_root(target) else target[1:]
        series = series[1:]
    bic = protocol.lag_choice == "bic"
    pvalues = granger_pvalues(target, series, bic_lag(target, max_lag) if bic else max_lag, protocol.test, exact)
    pvalues = pvalues[-1:] if bic else pvalues
    return pvalues if protocol.p_decimals is None else np.round(pvalues, protocol.p_decimals)
