"""Lyapunov exponents of windowed weight series (section 3.4).

The estimator is Rosenstein's (Rosenstein, Collins & De Luca 1993, doi:10.1016/0167-2789(93)90009-P) in the
form that the authors call it, TISEAN's lyap_r (Hegger, Kantz & Schreiber 1999, doi:10.1063/1.166424): each
point of the delay space is paired with its nearest neighbour, and S(k) is the mean log distance of the
pairs k iterates later. A straight rise of S is the exponent; the paper reads it off the first iterate alone.
"""

import numpy as np
from numba import njit, prange

STATIC_RANGE = 1e-5  # LE_window.m: a window that moves less than this has LE 0


@njit(cache=True, error_model="numpy")
def _sorted_order(x, order, start):
    """Indices that sort x, into order: buckets of equal width, then insertion sort, as most buckets hold few."""
    low, high = x.min(), x.max()
    n_buckets = start.size - 1
    scale = n_buckets * (1 - 1e-9) / (high - low) if high - low > 1e-290 else 0.0
    start[:] = 0
    for v in x:
        start[int((v - low) * scale) + 1] += 1
    for b in range(n_buckets):
        start[b + 1] += start[b]
    for i in range(x.size - 1, -1, -1):
        b = int((x[i] - low) * scale) + 1
        start[b] -= 1
        order[start[b]] = i
    for p in range(1, x.size):
        i, q = order[p], p
        while q > 0 and x[order[q - 1]] > x[i]:
            order[q] = order[q - 1]
            q -= 1
        order[q] = i


@njit(cache=True, parallel=True, error_model="numpy")
def _divergence(windows, emb_dim, lag, min_tsep, steps, n_out):
    """S(0 … n_out - 1) of each row of `windows`.

    Points are visited in the order of their first coordinate, so that a search can stop where that coordinate alone
    is too far. Of equally near neighbours the latest counts, as in TISEAN.
    """
    span = (emb_dim - 1) * lag
    n_ref = windows.shape[1] - span - steps
    out = np.empty((windows.shape[0], n_out))
    for w in prange(windows.shape[0]):
        x = windows[w]
        order, start = np.empty(n_ref, np.int64), np.empty(n_ref // 2 + 2, np.int64)
        _sorted_order(x[:n_ref], order, start)
        first = x[order]
        total, count, product = np.zeros(n_out), np.zeros(n_out), np.ones(n_out)
        for p in range(n_ref):
            i = order[p]
            best, nearest = np.inf, -1
            for side in (-1, 1):
                q = p + side
                while 0 <= q < n_ref:
                    d = (first[p] - first[q]) ** 2
                    if d > best:
                        break
                    j = order[q]
                    for k in range(lag, span + 1, lag):
                        d += (x[i + k] - x[j + k]) ** 2
                    if 0.0 < d <= best and abs(i - j) > min_tsep and (d < best or j > nearest):
                        best, nearest = d, j
                    q += side
            if nearest < 0:
                continue
            for s in range(n_out):
                d = 0.0
                for k in range(s, s + span + 1, lag):
                    d += (x[i + k] - x[nearest + k]) ** 2
                if d > 0.0:
                    count[s] += 1
                    # one logarithm for many factors, as long as the product is far from under- and overflow
                    if 1e-140 < d < 1e140 and 1e-140 < product[s] < 1e140:
                        product[s] *= d
                    else:
                        total[s] += np.log(d)
                        total[s] += np.log(product[s])
                        product[s] = 1.0
        for s in range(n_out):
            out[w, s] = 0.5 * (total[s] + np.log(product[s])) / count[s] if count[s] else np.nan
    return out


def check_window(window, overlap=0.0, emb_dim=2, lag=1, min_tsep=0, steps=3):
    """Raise ValueError, naming the value and what is allowed, unless these choices can give an exponent."""
    for name, value, least in [
        ("emb_dim", emb_dim, 1),
        ("lag", lag, 1),
        ("min_tsep", min_tsep, 0),
        ("steps", steps, 1),
    ]:
        if not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"{name}={value!r} is not allowed; give a whole number of at least {least}")
    least = (emb_dim - 1) * lag + steps + min_tsep + 2  # room for two points that may be neighbours
    if not isinstance(window, int | np.integer) or window < least:
        raise ValueError(
            f"window={window!r} is not allowed; with emb_dim={emb_dim}, lag={lag}, min_tsep={min_tsep} and "
            f"steps={steps} give a whole number of at least {least} iterates"
        )
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap={overlap!r} is not allowed; give a share from 0 up to, not including, 1")


def stride(window, overlap):
    """Iterates from one window's start to the next one's."""
    return max(1, round(window * (1 - overlap)))


def window_ends(n_rows, window, overlap):
    """Index of the last iterate of every whole window in a series of n_rows iterates, int (n_windows,)."""
    return np.arange(window - 1, n_rows, stride(window, overlap))


def divergence(windows, emb_dim=2, lag=1, min_tsep=0, steps=3):
    """Rosenstein's mean log distance S(k) of nearest neighbours, k iterates later.

    S(k) = ⟨ ln ‖X(i + k) − X(n(i) + k)‖ ⟩, X(i) = (x(i), x(i + lag), …) in emb_dim dimensions, where n(i) is
    the point nearest to X(i) at a distance that is not zero, with |i − n(i)| > min_tsep and with `steps`
    iterates left after both. Pairs at distance 0 after k iterates are left out of S(k).

    Parameters
    ----------
    windows : float array (n_windows, length), or (length,) for one
    emb_dim, lag : int
        Delay embedding; `lag` in iterates.
    min_tsep : int
        Theiler window in iterates. 0, as published, lets a point be the neighbour of the next one.
    steps : int
        The largest k. Larger values leave fewer reference points.

    Returns
    -------
    float64 (n_windows, steps + 1), in nats; NaN where no point has a neighbour.

    Raises
    ------
    ValueError
        If a window is too short (at least (emb_dim − 1)·lag + steps + min_tsep + 2 iterates) or not finite.

    Examples
    --------
    >>> x = np.empty(2000); x[0] = 0.3
    >>> for i in range(1999): x[i + 1] = 4 * x[i] * (1 - x[i])
    >>> S = divergence(x, min_tsep=1)[0]
    >>> bool(abs(S[1] - S[0] - np.log(2)) < 0.05)  # the logistic map's exponent is ln 2
    True
    """
    windows = np.ascontiguousarray(np.atleast_2d(windows), dtype=np.float64)
    if windows.ndim != 2:
        raise ValueError(f"windows has shape {windows.shape}; allowed: (n_windows, length)")
    check_window(windows.shape[1], 0.0, emb_dim, lag, min_tsep, steps)
    if not np.isfinite(windows).all():
        raise ValueError("windows holds NaN or infinite values; allowed: finite numbers")
    return _divergence(windows, emb_dim, lag, min_tsep, steps, steps + 1)


class StreamingLyapunov:
    """Windowed exponents while training runs, in O(window · n_weights) memory.

    Feed every iterate once, in order, with `update`; read the exponents so far with `result`.
    The numbers are those of `windowed_lyapunov`, bit for bit.

    Parameters
    ----------
    n_weights : int
    window : int
        Iterates per window.
    overlap : float
        Share of a window that the next one repeats.
    decimals : int, optional
        Round the weights first, as the published code does when it hands them over in text files.
    emb_dim, lag, min_tsep, steps
        As in `divergence`.
    """

    def __init__(self, n_weights, window=200, overlap=0.1, *, decimals=None, **divergence_kwargs):
        check_window(window, overlap, **divergence_kwargs)
        self.window, self.stride = window, stride(window, overlap)
        self.decimals = decimals
        defaults = {"emb_dim": 2, "lag": 1, "min_tsep": 0, "steps": 3}
        self._choices = tuple((defaults | divergence_kwargs).values())
        self._ring = np.empty((window, n_weights))
        self._seen = 0
        self._exponents = []

    def update(self, weights):
        """Take one iterate (n_weights,) or several (n_steps, n_weights), in order."""
        weights = np.atleast_2d(np.asarray(weights, dtype=np.float64))
        if weights.ndim != 2 or weights.shape[1] != self._ring.shape[1]:
            raise ValueError(f"weights has shape {weights.shape}; allowed: (n_steps, {self._ring.shape[1]})")
        if not np.isfinite(weights).all():
            raise ValueError("trajectory holds NaN or infinite values; allowed: finite numbers")
        while len(weights):
            to_end = self._to_window_end()
            slot = self._seen % self.window
            n = min(len(weights), to_end, self.window - slot)
            self._ring[slot : slot + n] = weights[:n]
            self._seen += n
            weights = weights[n:]
            if n == to_end:
                self._exponents.append(self._exponent())

    def _to_window_end(self):
        if self._seen < self.window:
            return self.window - self._seen
        return self.stride - (self._seen - self.window) % self.stride

    def _exponent(self):
        first = self._seen % self.window
        windows = np.ascontiguousarray(np.concatenate([self._ring[first:], self._ring[:first]]).T)
        low = windows.min(axis=1, keepdims=True)
        span = windows.max(axis=1, keepdims=True) - low
        moving = span[:, 0] >= STATIC_RANGE
        if self.decimals is not None:
            windows = np.round(windows, self.decimals)
            low = windows.min(axis=1, keepdims=True)
            span = windows.max(axis=1, keepdims=True) - low
            moving &= span[:, 0] > 0
        exponents = np.zeros(len(windows))
        if moving.any():
            # Rescaled to [0, 1] as in TISEAN: no exponent depends on it, but near ties between neighbours do
            S = _divergence((windows[moving] - low[moving]) / span[moving], *self._choices, 2)
            exponents[moving] = S[:, 1] - S[:, 0]
        return exponents

    def result(self):
        """Exponents of all whole windows so far, float64 (n_windows, n_weights), in nats per iterate."""
        return np.array(self._exponents).reshape(-1, self._ring.shape[1])


def windowed_lyapunov(trajectory, window=200, overlap=0.1, **divergence_kwargs):
    """Lyapunov exponent of every weight in every window: LE = S(1) − S(0).

    Section 3.4 and the authors' LE_window.m, whose four interpolated slopes all reduce to this one.

    Parameters
    ----------
    trajectory : float array (n_steps, n_weights)
        One row an iterate.
    window : int
        Iterates per window.
    overlap : float
        Share of a window that the next one repeats; windows start round(window · (1 − overlap)) iterates apart.
    **divergence_kwargs
        emb_dim, lag, min_tsep, steps of `divergence`, and `decimals` of `StreamingLyapunov`.

    Returns
    -------
    float64 (n_windows, n_weights), in nats per iterate. 0 for a window whose range is below 1e-5; NaN where no
    point has a neighbour.

    Raises
    ------
    ValueError
        If the window is longer than the run or too short for the embedding, or for malformed input.

    Notes
    -----
    A positive value is not evidence of chaos: picking the *nearest* neighbour biases S(1) − S(0) upwards, and
    white noise is positive in every window.
    """
    trajectory = np.asarray(trajectory, dtype=np.float64)
    if trajectory.ndim != 2:
        raise ValueError(f"trajectory has shape {trajectory.shape}; allowed: (n_steps, n_weights)")
    stream = StreamingLyapunov(trajectory.shape[1], window, overlap, **divergence_kwargs)
    if window > len(trajectory):
        raise ValueError(f"window={window} is longer than the run; allowed: at most {len(trajectory)} iterates")
    stream.update(trajectory)
    return stream.result()
