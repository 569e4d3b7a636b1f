"""The 0–1 test for chaos: no embedding, no neighbours, one number (Gottwald & Melbourne 2004, 2009)."""

import numpy as np

from legc_utils.compiling import njit


@njit()
def _growth(x, c):
    """Correlation with time of the modified mean square displacement, for each frequency c: float64 (len(c),)."""
    T = len(x)
    most = T // 10
    mean, found = x.mean(), np.empty(len(c))
    p, q, D = np.empty(T), np.empty(T), np.empty(most)
    for k in range(len(c)):
        at_p = at_q = 0.0
        for t in range(T):
            at_p += x[t] * np.cos((t + 1) * c[k])
            at_q += x[t] * np.sin((t + 1) * c[k])
            p[t], q[t] = at_p, at_q
        for n in range(1, most + 1):
            total = 0.0
            for t in range(T - most):
                total += (p[t + n] - p[t]) ** 2 + (q[t + n] - q[t]) ** 2
            swing = mean**2 * (1 - np.cos(n * c[k])) / (1 - np.cos(c[k]))
            D[n - 1] = total / (T - most) - swing
        a, b, middle, height = 0.0, 0.0, (most + 1) / 2, D.mean()
        both = 0.0
        for n in range(most):
            off, up = n + 1 - middle, D[n] - height
            both, a, b = both + off * up, a + off**2, b + up**2
        found[k] = both / np.sqrt(a * b) if b > 0 else np.nan
    return found


@njit()
def _all(series, frequencies):
    found = np.empty((len(frequencies), series.shape[1]))
    for i in range(series.shape[1]):
        found[:, i] = _growth(np.ascontiguousarray(series[:, i]), frequencies)
    return found


def zero_one(series, rng, frequencies=100):
    """K of each series, float64 (n_series,): near 1 for chaos, near 0 for periodic and quasi-periodic motion.

    A series drives a walk in the plane, p_n = Σ x_j cos jc and q_n = Σ x_j sin jc, which stays bounded if the motion is
    regular and diffuses if it is chaotic. K is the correlation of the mean square displacement with time, the median
    over random c in (π/5, 4π/5), where resonances are few; the displacement's oscillating part, which depends on the
    mean, is taken away (Gottwald & Melbourne 2009). Noise diffuses as well: the test supposes that there is none.

    series : float array (n_steps, n_series), at least 40 steps; rng : numpy Generator; frequencies : int, how many c

    NaN for a constant series. Raises ValueError for another shape, fewer steps or numbers that are not finite.
    """
    series = np.asarray(series, dtype=np.float64)
    if series.ndim != 2 or len(series) < 40 or not np.isfinite(series).all():
        raise ValueError(f"series of shape {series.shape} is not allowed; give finite numbers, (at least 40, n_series)")
    spread = series.std(axis=0)
    flat = spread <= 1e-12 * np.abs(series).max(axis=0)
    unit = series / np.where(flat, 1, spread)
    found = np.median(_all(unit, rng.uniform(np.pi / 5, 4 * np.pi / 5, frequencies)), axis=0)
    return np.where(flat, np.nan, found)
