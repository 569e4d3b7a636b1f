"""Lyapunov exponents of windowed weight series (section 3.4).

The estimator is Rosenstein's (Rosenstein, Collins & De Luca 1993, doi:10.1016/0167-2789(93)90009-P) in the
form that the authors call it, TISEAN's lyap_r (Hegger, Kantz & Schreiber 1999, doi:10.1063/1.166424): each
point of the delay space is paired with its nearest neighbour, and S(k) is the mean log distance of the
pairs k iterates later. A straight rise of S is the exponent; the paper reads it off the first iterate alone.
"""

from collections import namedtuple

import numpy as np
from numba import prange

from legc_utils.compiling import announced, njit
from legc_utils.protocols import check, check_finite, is_whole, numbers

STATIC_RANGE = 1e-5  # LE_window.m: a window that moves less than this has LE 0
_SHIFTS, _MOST_SHIFTS = 8, 16  # places in sorted order that are compared for all points together, at a time and in all
_SMALL, _LARGE = 1e-137, 1e150  # squares of differences of numbers of such a size neither over- nor underflow
_MANTISSA, _ONE = (1 << 52) - 1, 1023 << 52  # bits of a float64: its digits; the number 1
_VECTORS = 16  # numbers that a loop takes at a time: arrays that are searched are padded with NaN to whole such parts
_BLOCK = 32  # windows that share one work space; in a trajectory, columns that are copied together
_LANES, _LONGEST = 32, 100  # weights side by side in single precision, and the window up to which that is faster
_MANTISSA32, _ONE32, _INF32 = (1 << 23) - 1, 127 << 23, 255 << 23  # as above, of float32


# The flags tell the compiler that there is no NaN and that 0 = -0: without them it may not use whole vectors
@njit(fastmath={"nnan", "nsz"})
def _bounds(x):
    low = high = x[0]
    for v in x:
        low = v if v < low else low
        high = v if v > high else high
    return low, high


@njit()
def _is_ordinary(x):
    ordinary = True
    for v in x:
        ordinary &= (v == 0.0) | ((abs(v) > _SMALL) & (abs(v) < _LARGE))
    return ordinary


@njit()
def _sort_points(x, emb_dim, lag, space):
    """Points of the delay space in the order of their first coordinate, and their times.

    Buckets of equal width, then insertion sort, as most buckets hold one point at most.
    """
    points, times, bucket, start = space.points, space.times, space.bucket, space.start
    first, n = points[0], times.size
    low, high = _bounds(x[:n])
    scale = (start.size - 1) * (1 - 1e-9) / (high - low) if high > low else 0.0
    for i in range(n):
        bucket[i] = np.uint32((x[i] - low) * scale)
    start[:] = 0
    for b in bucket:
        start[b] += 1
    total = 0
    for b in range(start.size):
        total, start[b] = total + start[b], total
    for i in range(n):
        p = start[bucket[i]]
        start[bucket[i]] = p + 1
        first[p], times[p] = x[i], i
    for p in range(1, n):
        value, time, q = first[p], times[p], p
        while q > 0 and first[q - 1] > value:
            first[q], times[q] = first[q - 1], times[q - 1]
            q -= 1
        first[q], times[q] = value, time
    for k in range(1, emb_dim):
        for p in range(n):
            points[k, p] = x[int(times[p]) + k * lag]


@njit()
def _squared_distances(points, times, shift, min_tsep, d):
    """d[p] from each point to the one `shift` places on; NaN where they coincide or are too close in time."""
    time_a, time_b = times, times[shift:]
    for k in range(len(points)):
        a, b = points[k], points[k, shift:]
        for p in range(d.size):
            d[p] = (d[p] if k else 0.0) + (b[p] - a[p]) ** 2
    for p in range(d.size):
        d[p] = d[p] if (d[p] > 0.0) & (abs(time_b[p] - time_a[p]) > min_tsep) else np.nan


@njit()
def _keep_nearer(d, times, least, nearest):
    """Where d is nearer than `least`, or as near and later, it takes its place. No branches: whole vectors at once."""
    for p in range(d.size):
        nearer = (d[p] < least[p]) | ((d[p] == least[p]) & (times[p] > nearest[p]))
        least[p] = d[p] if nearer else least[p]
        nearest[p] = times[p] if nearer else nearest[p]


@njit()
def _find_neighbours(x, lag, min_tsep, space):
    """The nearest neighbour's time and squared distance, for points that are sorted by their first coordinate.

    Of equally near neighbours the latest counts, as in TISEAN. Nearly all neighbours are a few places away, so
    these are compared for all points together; then each point's search goes on outwards for as long as the
    first coordinate alone is not too far. Returns how many places either way were compared for all points together.
    """
    points, n, emb_dim = space.points, space.times.size, len(space.points)
    times, least, nearest, d = space.padded
    least[:], nearest[:] = np.inf, -1.0
    shifts, unsure = 0, n
    while unsure > n // 8 and shifts < min(_MOST_SHIFTS, n - 1):
        until = min(shifts + _SHIFTS, n - 1)
        for shift in range(shifts + 1, until + 1):
            _squared_distances(points, times, shift, min_tsep, d)
            _keep_nearer(d, times[shift:], least, nearest)
            _keep_nearer(d, times, least[shift:], nearest[shift:])
        shifts, unsure = until, 0
        a, b, least_a, least_b = points[0], points[0, until + 1 :], least, least[until + 1 :]
        for p in range(d.size):
            gap = (b[p] - a[p]) ** 2
            unsure += (gap <= least_a[p]) + (gap <= least_b[p])
    for p in range(n):
        twin, alike = p, False  # if a point before coincides, its neighbour saves a search through many like them
        while not alike and twin > max(0, p - 32) and points[0, twin - 1] == points[0, p]:
            twin, alike = twin - 1, True
            for k in range(1, emb_dim):
                alike &= points[k, twin] == points[k, p]
        if alike and abs(nearest[twin] - times[p]) > min_tsep:
            least[p], nearest[p] = least[twin], nearest[twin]
            time = int(times[twin])  # what is too close to it in time may be a neighbour of this one
            for t in range(max(0, time - min_tsep), min(n, time + min_tsep + 1)):
                distance = 0.0
                for k in range(emb_dim):
                    distance += (x[t + k * lag] - points[k, p]) ** 2
                allowed = distance > 0.0 and abs(t - times[p]) > min_tsep
                if allowed and (distance < least[p] or (distance == least[p] and t > nearest[p])):
                    least[p], nearest[p] = distance, t
            continue
        for side in (-1, 1):
            q = p + side * (shifts + 1)
            while 0 <= q < n:
                distance = (points[0, q] - points[0, p]) ** 2
                if distance > least[p]:
                    break
                for k in range(1, emb_dim):
                    distance += (points[k, q] - points[k, p]) ** 2
                allowed = distance > 0.0 and abs(times[q] - times[p]) > min_tsep
                if allowed and (distance < least[p] or (distance == least[p] and times[q] > nearest[p])):
                    least[p], nearest[p] = distance, times[q]
                q += side
    return shifts


@njit()
def _mean_log(squares, mantissas):
    """Mean logarithm of distances, given their squares; those that are 0, or inf for want of a neighbour, do not count.

    A logarithm of a product for all: the binary exponents are added, the mantissas (from 1 to 2) multiplied two by two.
    """
    bits, mantissa_bits = squares.view(np.int64), mantissas.view(np.int64)
    count, exponent, total = 0, 0, 0.0
    for p in range(squares.size):
        counts = (squares[p] > 0.0) & (squares[p] < np.inf)
        count += counts
        exponent += ((bits[p] >> 52) - 1023) if counts else 0
        mantissa_bits[p] = ((bits[p] & _MANTISSA) | _ONE) if counts else _ONE
    for first in range(0, squares.size, 512):  # a longer product might overflow
        m = mantissas[first : first + 512]
        n = m.size
        while n > 1:
            half = n // 2
            front, back = m[:half], m[n - half :]
            for p in range(half):
                front[p] *= back[p]
            n -= half
        total += np.log(m[0])
    return 0.5 * (total + exponent * np.log(2.0)) / count if count else np.nan


_WorkSpace = namedtuple("_WorkSpace", "points times d least nearest mantissas bucket start padded")


@njit()
def _work_space(n_ref, emb_dim):
    """Arrays for one window at a time; integers are kept as float64 where they share vectors with distances."""
    width = (n_ref + _VECTORS - 1) // _VECTORS * _VECTORS
    rows = np.full((5 + emb_dim, width + _MOST_SHIFTS + 1), np.nan)
    times, least, nearest, d = padded = rows[0], rows[1], rows[2], rows[3, :width]
    bucket, start, n = np.empty(n_ref, np.uint32), np.empty(2 * n_ref, np.uint32), n_ref
    return _WorkSpace(rows[5:], times[:n], d[:n], least[:n], nearest[:n], rows[4, :n], bucket, start, padded)


@njit()
def _window_divergence(x, emb_dim, lag, min_tsep, space, S):
    """S(0 … S.size - 1) of one window x; `space` is overwritten. NaN if x spans too many orders of magnitude."""
    scale, raw = 1.0, x
    if not _is_ordinary(raw):
        scale = 2.0 ** min(1000.0, 497.0 - np.floor(np.log2(np.abs(raw).max())))
        x = raw * scale
        if not (_is_ordinary(x) and (x / scale == raw).all()):
            S[:] = np.nan
            return
    _sort_points(x, emb_dim, lag, space)
    _find_neighbours(x, lag, min_tsep, space)
    times, nearest, d = space.times, space.nearest, space.d
    S[0] = _mean_log(space.least, space.mantissas)
    for s in range(1, S.size):
        for p in range(times.size):
            i, j = int(times[p]) + s, int(nearest[p]) + s
            d[p] = 0.0 if nearest[p] >= 0.0 else np.inf
            for k in range(0, emb_dim * lag, lag):
                d[p] += (x[i + k] - x[j + k]) ** 2
        S[s] = _mean_log(d, space.mantissas)
    S -= np.log(scale)


@njit(parallel=True)
def _divergence(windows, emb_dim, lag, min_tsep, steps):
    """S(0 … steps) of each row of `windows`."""
    n_windows, length = windows.shape
    n_ref = length - (emb_dim - 1) * lag - steps
    S = np.empty((n_windows, steps + 1))
    for block in prange((n_windows + _BLOCK - 1) // _BLOCK):
        space = _work_space(n_ref, emb_dim)
        for w in range(block * _BLOCK, min((block + 1) * _BLOCK, n_windows)):
            _window_divergence(windows[w], emb_dim, lag, min_tsep, space, S[w])
    return S


@njit(parallel=True)
def _double_exponents(series, starts, window, emb_dim, lag, min_tsep, steps, factor, static, share):
    """LE = S(1) - S(0) of every column of `series` in the window behind every start; float64 (starts, columns).

    Row numbers wrap around, so that `series` may be a ring. factor: 10**decimals to round to, or 0. Below the range
    `static`, or the `share` (1,) or (n_columns,) of its largest size, a window stands still.
    """
    n_rows, n_columns = series.shape
    n_ref = window - (emb_dim - 1) * lag - steps
    n_blocks = (n_columns + _BLOCK - 1) // _BLOCK
    out = np.zeros((starts.size, n_columns))
    for task in prange(starts.size * n_blocks):
        start, first = starts[task // n_blocks], task % n_blocks * _BLOCK
        width = min(_BLOCK, n_columns - first)
        columns, space, S = np.empty((_BLOCK, window)), _work_space(n_ref, emb_dim), np.empty(2)
        for t in range(window):
            row = series[(start + t) % n_rows]
            for c in range(width):
                columns[c, t] = row[first + c]
        for c in range(width):
            x = columns[c]
            low, high = _bounds(x)
            if high - low < max(static, share[(first + c) % share.size] * max(high, -low)):
                continue
            if factor:
                for t in range(window):
                    rounded = np.rint(x[t] * factor) / factor
                    x[t] = rounded if abs(rounded) < np.inf else x[t]  # too large to have decimals
                low, high = _bounds(x)
                if high == low:
                    continue
            if _is_ordinary(x):
                for t in range(window):  # to [0, 1] as in TISEAN: LE does not depend on it, but near ties do
                    x[t] = (x[t] - low) / (high - low)
            _window_divergence(x, emb_dim, lag, min_tsep, space, S)
            out[task // n_blocks, first + c] = S[1] - S[0]
    return out


@njit()
def _squares(a, b, d):
    for p in range(d.size):
        gap = b[p] - a[p]
        d[p] = gap * gap


@njit()
def _add(a, b, d):
    for p in range(d.size):
        d[p] = a[p] + b[p]


@njit()
def _take_nearer(d, ahead, least, after):
    """Where d is nearer than `least`, and not 0, it and what it grows to take their place. Loads first, for vectors."""
    for p in range(d.size):
        distance, known, new, old = d[p], least[p], ahead[p], after[p]
        nearer = (distance < known) & (distance > np.float32(0))
        after[p] = new if nearer else old
        least[p] = distance if nearer else known


@njit()
def _take_later(d, ahead, least, after):
    """As `_take_nearer`, and where it is as near."""
    for p in range(d.size):
        distance, known, new, old = d[p], least[p], ahead[p], after[p]
        nearer = (distance <= known) & (distance > np.float32(0))
        after[p] = new if nearer else old
        least[p] = distance if nearer else known


@njit()
def _to_scale(x, low, high):
    """Every lane of x (window, _LANES) by a power of two, which is exact, so that it spreads over 1 to 2."""
    low[:], high[:] = x[0], x[0]
    for row in x:
        for c in range(_LANES):
            low[c], high[c] = min(low[c], row[c]), max(high[c], row[c])
    span = high - low
    exponent = np.minimum(span.view(np.int32) >> 23, np.int32(253))
    scale = ((np.int32(254) - exponent) << 23).astype(np.int32).view(np.float32)
    for row in x:
        for c in range(_LANES):
            row[c] *= scale[c]


@njit()
def _split_logs(bits, mantissas, rest):
    """float32 as bits: mantissas from 1 to 2, and in `rest` the exponent + 2**20; 1 and 0 where it is 0 or infinite."""
    for p in range(bits.size):
        counts = (bits[p] > 0) & (bits[p] < _INF32)
        mantissas[p] = np.int32((bits[p] & _MANTISSA32) | _ONE32) if counts else np.int32(_ONE32)
        rest[p] = np.int32((bits[p] >> 23) - 127 + (1 << 20)) if counts else np.int32(0)


@njit()
def _fold(front, back, front_rest, back_rest):
    for p in range(front.size):
        front[p] *= back[p]
    for p in range(front.size):
        front_rest[p] += back_rest[p]


@njit()
def _mean_logs(squares, mantissas, rest, out):
    """As `_mean_log`, of every lane of float32 squares (n, _LANES), n up to 127: out (_LANES,)."""
    _split_logs(squares.view(np.int32), mantissas.view(np.int32), rest)
    n = squares.size // _LANES
    while n > 1:
        half = n // 2
        keep, m = half * _LANES, n * _LANES
        _fold(mantissas[:keep], mantissas[m - keep : m], rest[:keep], rest[m - keep : m])
        n -= half
    for c in range(_LANES):
        count = (rest[c] + (1 << 19)) >> 20
        total = np.log(mantissas[c]) + (rest[c] - (count << 20)) * np.log(2.0)
        out[c] = 0.5 * total / count if count else np.nan


@njit(parallel=True)
def _lane_exponents(series, starts, window, emb_dim, lag, min_tsep, steps, least):
    """LE of float32 `series` in single precision: all pairs of points of 32 weights at a time.

    least (1,) or (n_columns,): the range, as a share of the largest size, below which a window stands still.
    """
    n_rows, n_columns = series.shape
    n_ref, n_blocks = window - (emb_dim - 1) * lag - steps, (n_columns + _LANES - 1) // _LANES
    out = np.zeros((starts.size, n_columns), np.float32)
    for task in prange(starts.size * n_blocks):
        start, first = starts[task // n_blocks], task % n_blocks * _LANES
        width = min(_LANES, n_columns - first)
        lanes, (low, high) = np.zeros((window, _LANES), np.float32), np.empty((2, _LANES), np.float32)
        for t in range(window):
            lanes[t, :width] = series[(start + t) % n_rows, first : first + width]
        _to_scale(lanes, low, high)
        x, size = lanes.ravel(), n_ref * _LANES
        nearest, after = np.full(size, np.inf, np.float32), np.ones(size, np.float32)
        space, rest = np.empty(size, np.float32), np.empty(size, np.int32)
        squares, sums = np.empty(x.size, np.float32), np.empty(size, np.float32)
        for shift in range(min_tsep + 1, n_ref):  # a later point of equal distance counts, as in `_find_neighbours`
            m = (n_ref - shift) * _LANES
            d = squares
            _squares(x, x[shift * _LANES :], squares[: x.size - shift * _LANES])
            for k in range(lag, emb_dim * lag, lag):
                _add(d, squares[k * _LANES :], sums[: m + _LANES])
                d = sums
            _take_later(d[:m], d[_LANES:], nearest, after)
            _take_nearer(d[:m], d[_LANES:], nearest[shift * _LANES :], after[shift * _LANES :])
        S0, S1 = np.empty(_LANES), np.empty(_LANES)
        _mean_logs(nearest, space, rest, S0)
        _mean_logs(after, space, rest, S1)
        for c in range(width):
            span = high[c] - low[c]
            if span > 0 and span >= least[(first + c) % least.size] * max(high[c], -low[c]):
                out[task // n_blocks, first + c] = S1[c] - S0[c]
    return out


def _exponents(series, starts, choices, factor=0.0, share=None):
    """LE (starts, columns) by the paper's threshold (share None) in double precision, or by one relative to size."""
    if share is None:
        return _double_exponents(series, starts, *choices, factor, STATIC_RANGE, np.zeros(1, np.float32))
    with announced("exponents"):
        if series.dtype == np.float32 and choices[0] <= _LONGEST:
            return _lane_exponents(series, starts, *choices, share)
        return _double_exponents(series, starts, *choices, factor, 0.0, share)


def check_window(window, overlap=0.0, emb_dim=2, lag=1, min_tsep=0, steps=3):
    """Raise ValueError, naming the value and what is allowed, unless these choices can give an exponent."""
    check(overlap=overlap, emb_dim=emb_dim, lag=lag, min_tsep=min_tsep, steps=steps)
    least = (emb_dim - 1) * lag + steps + min_tsep + 2  # room for two points that may be neighbours
    if not is_whole(window, least):
        given = f"emb_dim={emb_dim}, lag={lag}, min_tsep={min_tsep} and steps={steps}"
        raise ValueError(f"window={window!r} is not allowed; with {given} give a whole number of at least {least}")


def _kernel_choices(window, overlap, decimals=None, emb_dim=2, lag=1, min_tsep=0, steps=3):
    """What `_exponents` takes behind its starts, checked: the window's choices, and the factor."""
    check_window(window, overlap, emb_dim, lag, min_tsep, steps)
    check(decimals=decimals)
    return (window, emb_dim, lag, min_tsep, steps), 0.0 if decimals is None else 10.0**decimals


def stride(window, overlap):
    """Iterates from one window's start to the next one's."""
    return max(1, round(window * (1 - overlap)))


def window_ends(n_rows, window, overlap, needed=False):
    """Index of the last iterate of every whole window in a series of n_rows iterates, int (n_windows,).

    With `needed`, ValueError unless there is a window at least.
    """
    if needed and window > n_rows:
        raise ValueError(f"window={window} is longer than the run; allowed: at most {n_rows} iterates")
    return np.arange(window - 1, n_rows, stride(window, overlap))


def divergence(windows, emb_dim=2, lag=1, min_tsep=0, steps=3):
    """Rosenstein's mean log distance S(k) of nearest neighbours, k iterates later.

    S(k) = ⟨ ln ‖X(i + k) − X(n(i) + k)‖ ⟩, X(i) = (x(i), x(i + lag), …) in emb_dim dimensions, where n(i) is
    the point nearest to X(i) at a distance that is not zero, with |i − n(i)| > min_tsep and with `steps`
    iterates left after both. Pairs at distance 0 after k iterates are left out of S(k).

    windows : float array (n_windows, length), or (length,) for one
    emb_dim, lag : int; delay embedding; `lag` in iterates
    min_tsep : int, Theiler window in iterates; 0, as published, lets a point be the neighbour of the next one
    steps : int, the largest k; larger values leave fewer reference points

    Returns float64 (n_windows, steps + 1), in nats; NaN where no point has a neighbour, or values in a window are more
    than 1e286 times as large as others. Raises ValueError if a window is too short (at least (emb_dim − 1)·lag + steps
    + min_tsep + 2 iterates) or not finite.

    >>> x = np.empty(2000); x[0] = 0.3
    >>> for i in range(1999): x[i + 1] = 4 * x[i] * (1 - x[i])
    >>> S = divergence(x, min_tsep=1)[0]
    >>> bool(abs(S[1] - S[0] - np.log(2)) < 0.05)  # the logistic map's exponent is ln 2
    True
    """
    windows = np.ascontiguousarray(np.atleast_2d(numbers(windows=windows)))
    if windows.ndim != 2:
        raise ValueError(f"windows has shape {windows.shape}; allowed: (n_windows, length)")
    check_window(windows.shape[1], 0.0, emb_dim, lag, min_tsep, steps)
    check_finite(windows=windows)
    return _divergence(windows, emb_dim, lag, min_tsep, steps)


class StreamingLyapunov:
    """Windowed exponents while training runs, in O(window · n_weights) memory.

    Feed every iterate once, in order, with `update`; read the exponents so far with `result`.
    The numbers are those of `windowed_lyapunov`, bit for bit.

    n_weights : int
    window, overlap : as in `windowed_lyapunov`
    decimals : int, optional; round the weights first, as the published code does when it hands them over in text files
    dtype : float32 or float64, in which the last window is kept; float32 loses nothing of weights that are float32
    share : float32 array (1,) or (n_weights,), optional
        A window stands still, LE 0, if its range is below this share of its largest size; None: below 1e-5. With it,
        exponents are kept in `dtype`, and those of float32 and of windows up to 100 are in single precision: within
        1e-6 of `windowed_lyapunov` but where two neighbours are equally near to seven digits.
    emb_dim, lag, min_tsep, steps : as in `divergence`

    Attributes: seen (int, iterates taken so far), n_windows and nbytes (int, whole windows so far, and memory held for
    iterates and exponents), ring ((window, n_weights) of dtype; iterate k is row k % window).
    """

    def __init__(
        self, n_weights, window=200, overlap=0.1, *, decimals=None, dtype=np.float64, share=None, **divergence_kwargs
    ):
        check(n_weights=n_weights)
        self._choices = *_kernel_choices(window, overlap, decimals, **divergence_kwargs), share
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise ValueError(f"dtype={dtype!r} is not allowed; give float32 or float64")
        self.window, self.stride = window, stride(window, overlap)
        self._ring = np.zeros((window, n_weights), dtype)
        self._kept = np.float64 if share is None else dtype
        self.seen = 0
        self._exponents = []

    @property
    def n_windows(self):
        return max(0, (self.seen - self.window) // self.stride + 1)

    @property
    def nbytes(self):
        return self._ring.nbytes + sum(e.nbytes for e in self._exponents)

    def update(self, weights):
        """Take one iterate (n_weights,) or several (n_steps, n_weights), in order."""
        weights = np.atleast_2d(np.asarray(weights, dtype=self._ring.dtype))
        if weights.ndim != 2 or weights.shape[1] != self._ring.shape[1]:
            raise ValueError(f"weights has shape {weights.shape}; allowed: (n_steps, {self._ring.shape[1]})")
        check_finite(trajectory=weights)
        self._complete()
        while len(weights):
            to_end = self.to_window_end()
            slot = self.seen % self.window
            n = min(len(weights), to_end, self.window - slot)
            self._ring[slot : slot + n] = weights[:n]
            weights = weights[n:]
            self.advance(n)

    def advance(self, n=1):
        """Take n iterates that are in the ring already, as finite numbers and not beyond the end of a window."""
        self.seen += n
        self._complete()

    def _complete(self):
        """Exponents of a window that has just ended, unless they are there: Ctrl-C may have come before they were."""
        if len(self._exponents) < self.n_windows:
            start = np.array([self.seen % self.window])
            self._exponents.append(_exponents(self._ring, start, *self._choices)[0].astype(self._kept, copy=False))

    def to_window_end(self):
        """How many more iterates complete the next window."""
        if self.seen < self.window:
            return self.window - self.seen
        return self.stride - (self.seen - self.window) % self.stride

    def result(self, part=slice(None)):
        """Exponents of all whole windows so far, float64 (n_windows, n_weights), in nats per iterate; or of a part."""
        self._complete()
        exponents = np.array([e[part] for e in self._exponents], np.float64)
        return exponents.reshape(len(self._exponents), len(range(*part.indices(self._ring.shape[1]))))

    def _live(self):
        """Rows of the ring that a window to come still needs."""
        first = min(self.seen, max(self.n_windows * self.stride, self.seen - self.window))
        return np.arange(first, self.seen) % self.window

    def state_dict(self):
        """Copies of what is still needed: {"ring": (n_rows, n_weights), "seen": int, "exponents": a row a window}."""
        self._complete()
        exponents = np.array(self._exponents, self._kept).reshape(-1, self._ring.shape[1])
        return {"ring": self._ring[self._live()], "seen": self.seen, "exponents": exponents}

    def load_state_dict(self, state):
        """Go on from what `state_dict` gave; every later number is the same, bit for bit.

        Raises ValueError if the state is of another window, number of weights or dtype.
        """
        ring, own, before = state["ring"], self._ring, self.seen
        self.seen = state["seen"]
        live = self._live()
        if ring.shape == own.shape:  # all rows, as they once were saved
            ring = ring[live]
        if (ring.shape, ring.dtype) != ((len(live), own.shape[1]), own.dtype):
            self.seen = before
            allowed = f"{own.dtype} {(len(live), own.shape[1])}"
            raise ValueError(f"the state's ring is {ring.dtype} {ring.shape}; allowed: {allowed}")
        own[live] = ring
        self._exponents = list(np.array(state["exponents"], self._kept))


def windowed_lyapunov(trajectory, window=200, overlap=0.1, **divergence_kwargs):
    """Lyapunov exponent of every weight in every window: LE = S(1) − S(0).

    Section 3.4 and the authors' LE_window.m, whose four interpolated slopes all reduce to this one.

    trajectory : float array (n_steps, n_weights); one row an iterate
    window : int, iterates per window
    overlap : float
        Share of a window that the next one repeats; windows start round(window · (1 − overlap)) iterates apart.
    **divergence_kwargs : emb_dim, lag, min_tsep, steps of `divergence`, and `decimals` of `StreamingLyapunov`

    Returns float64 (n_windows, n_weights), in nats per iterate. 0 for a window whose range is below 1e-5; NaN as for
    `divergence`. Raises ValueError if the window is longer than the run or too short for the embedding, or for
    malformed input.

    A positive value is not evidence of chaos: picking the *nearest* neighbour biases S(1) − S(0) upwards, and
    white noise is positive in every window.
    """
    choices = _kernel_choices(window, overlap, **divergence_kwargs)
    trajectory = np.ascontiguousarray(numbers(trajectory=trajectory))
    if trajectory.ndim != 2:
        raise ValueError(f"trajectory has shape {trajectory.shape}; allowed: (n_steps, n_weights)")
    starts = window_ends(len(trajectory), window, overlap, needed=True) - (window - 1)
    check_finite(trajectory=trajectory)
    return _exponents(trajectory, starts, *choices)
