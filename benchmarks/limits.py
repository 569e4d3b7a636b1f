"""How far the core is from what this machine can do, and where its time goes."""

import os
import subprocess
import sys
import tempfile

import numpy as np
import pandas as pd
from numba import get_num_threads, njit

from benchmarks import MAX_LAG, STEPS, WINDOW
from benchmarks.compare import seconds, weight_windows
from legc_utils import datasets, engine, granger, lyapunov, protocols, training

FIRST_CALLS = {
    "lyapunov": "lyapunov.windowed_lyapunov(x, 200)",
    "granger": "granger.granger_pvalues(x[:150, 0], x[:150], 14)",
    "training": "training.train_ensemble(datasets.load('cancer'), 6, [0], epochs=1)",
}


def _best(function, repetitions=5):
    function()
    return min(seconds(function) for _ in range(repetitions))


def machine_peaks():
    """What the whole machine reaches: (GFLOP/s of a large float64 matrix product, GB/s of a large copy)."""
    a = np.random.default_rng(0).random((2000, 2000))
    source, target = np.ones(2**26), np.ones(2**26)
    flops = 2 * len(a) ** 3 / _best(lambda: a @ a)
    return flops / 1e9, 2 * source.nbytes / _best(lambda: np.copyto(target, source)) / 1e9


@njit(error_model="numpy")
def _stages(windows, n_ref, stages, S):
    """Run the first stages of the LE kernel (1 sort, 2 neighbours, 3 all) on one core; mean places compared."""
    space, places = lyapunov._work_space(n_ref, 2), 0
    for x in windows:
        if stages == 3:
            lyapunov._window_divergence(x, 2, 1, 0, space, S)
            continue
        lyapunov._sort_points(x, 2, 1, space)
        if stages == 2:
            places += lyapunov._find_neighbours(x, 1, 0, space)
    return places / len(windows)


@njit(error_model="numpy")
def _sigmoids(x, n):
    found = np.empty_like(x)
    for _ in range(n):
        for k in range(x.size):
            found[k] = 1.0 / (1.0 + engine.exp(-x[k]))
    return found


def _exponents(n):
    """Flops, bytes, seconds and shares of the stages for n windows of SGD weights."""
    windows, S, n_ref = weight_windows(n, np.random.default_rng(0)), np.empty(2), WINDOW - 1 - STEPS
    trajectory = np.ascontiguousarray(windows.T)
    taken = [_best(lambda k=k: _stages(windows, n_ref, k, S)) for k in (1, 2, 3)]
    places = _stages(windows, n_ref, 2, S)
    # two differences, two squares and a sum a pair, one comparison for either point; then the distances one step on
    flops = n * n_ref * (places * (5 + 2) + 2 * 5 + 2)
    both = _best(lambda: lyapunov.windowed_lyapunov(trajectory, WINDOW, steps=STEPS))
    sort, search, logs = np.diff([0.0, *taken]) / taken[2]
    return flops, 8 * n * (WINDOW + 1), both, {"sorting": sort, "finding neighbours": search, "logarithms": logs}


def _granger_flops(T, L):
    """Multiplications and additions for one series, as the kernel does them: products, then every lag's fit."""
    products = T * (3 * L + 1) * 2 + 2 * 4 * L**2 + 10 * T
    fits = sum(2 * p**3 + p**3 / 3 + 5 * p**2 + 2 * (2 * p**2) for p in range(1, L + 1))
    return products + fits


def _granger(n, T=150):
    rng = np.random.default_rng(0)
    target, series = rng.normal(size=T).cumsum(), rng.normal(size=(T, n))
    whole = _best(lambda: granger.granger_pvalues(target, series, MAX_LAG))
    y = (target - target.mean()) / target.std()
    roots, targets, *_ = granger._restricted(y, MAX_LAG)
    kernel = _best(lambda: granger._explained(series, y, roots, targets, MAX_LAG))
    lags = np.arange(1, MAX_LAG + 1)[:, None]
    ratio = rng.random((MAX_LAG, n)) * lags / T
    survival = _best(lambda: granger._survival("ssr_chi2test", lags, T - lags, ratio))
    shares = {"regressions": kernel / whole, "survival function (SciPy)": survival / whole}
    shares["deciding which results to trust"] = 1 - sum(shares.values())
    return n * _granger_flops(T, MAX_LAG), 8 * n * (T + MAX_LAG), whole, shares


def _training(n, epochs=4):
    split, protocol = datasets.load("cancer"), protocols.get("published", "cancer")
    taken = _best(lambda: training.train_ensemble(split, 6, range(n), protocol, epochs=epochs), 3)
    judged = n * epochs * (len(split.X_train) + len(split.X_test))
    steps, weights, units = n * epochs * len(split.X_train), 60, 7
    z = np.random.default_rng(0).normal(size=1000)
    exponential = _best(lambda: _sigmoids(z, 100)) / 1e5 / get_num_threads()
    share = (steps + judged) * units * exponential / taken
    shares = {"exponential function": share, "sums, weights in and out of the cache": 1 - share}
    return 6 * weights * steps + 2 * weights * judged, 8 * n * 67, taken, shares


def first_calls(quick=False):
    """Seconds of the first call in a new process, without and with numba's cache on disk."""
    rows = []
    for part, call in list(FIRST_CALLS.items())[: 1 if quick else None]:
        code = (
            "import time, numpy as np; from legc_utils import datasets, granger, lyapunov, training; "
            "x = np.random.default_rng(0).normal(size=(400, 4)); "
            f"start = time.perf_counter(); {call}; print(time.perf_counter() - start)"
        )
        with tempfile.TemporaryDirectory() as cache:
            environment = os.environ | {"NUMBA_CACHE_DIR": cache}
            command = dict(args=[sys.executable, "-c", code], env=environment, text=True)
            rows.append((part, *(float(subprocess.check_output(**command)) for _ in range(2))))
    return pd.DataFrame(rows, columns=["part", "compiling_s", "cached_s"])


def limits(quick=False):
    """(shares of the machine's peak, shares of the time): data frames, one row a part and one a stage."""
    gflops, bandwidth = machine_peaks()
    sizes = (500, 512, 8) if quick else (20_000, 41_000, 300)
    rows, stages = [], []
    parts = ("LE", "Granger", "training"), ("window", "series", "network"), (_exponents, _granger, _training)
    for part, unit, measure, n in zip(*parts, sizes):
        flops, moved, taken, shares = measure(n)
        rows.append((part, unit, flops / n, moved / n, flops / taken / 1e9, gflops, flops / taken / gflops / 1e7,
                     moved / taken / bandwidth / 1e7))  # fmt: skip
        stages += [(part, stage, 100 * share) for stage, share in shares.items()]
    columns = ["part", "unit", "flop_each", "bytes_each", "gflops", "peak_gflops", "peak_percent", "bandwidth_percent"]
    return pd.DataFrame(rows, columns=columns), pd.DataFrame(stages, columns=["part", "stage", "percent"])
