"""How time grows with the size of the work, and the exponent of the power law that fits the larger sizes."""

from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks import MAX_LAG, WINDOW
from benchmarks.compare import seconds
from legc_utils import datasets, granger, lyapunov, protocols, training


def _median(function, repetitions):
    function()
    return np.median([seconds(function) for _ in range(repetitions)])


def _walks(n_steps, n_weights):
    return np.random.default_rng(0).normal(size=(n_steps, n_weights)).cumsum(axis=0)


def scaling(quick=False):
    """Rows curve, quantity, size, seconds: every curve varies one size and holds the others."""
    top, repetitions = (1, 1) if quick else (8, 3)
    doubling = lambda first: first * 2 ** np.arange(2 if quick else top)
    cancer, split = protocols.get("published", "cancer"), datasets.load("cancer")
    target = _walks(6400, 1)[:, 0]
    exponents = lambda x, window=WINDOW: lyapunov.windowed_lyapunov(x, window)
    tests = lambda x, lags=MAX_LAG: granger.granger_pvalues(target[: len(x)], x, lags)
    run = lambda n, epochs: training.train_ensemble(split, 6, range(n), cancer, epochs=epochs)
    curves = {
        ("LE", "weights", 320): lambda n: (exponents, _walks(1000, n)),
        ("LE", "run length (iterates)", 800): lambda n: (exponents, _walks(n, 60)),
        ("LE", "window length (iterates)", 25): lambda n: (lambda x: exponents(x, n), _walks(n, 2000)),
        ("Granger", "series", 320): lambda n: (tests, _walks(150, n)),
        ("Granger", "windows", 50): lambda n: (lambda x: tests(x, 5), _walks(n, 2000)),
        ("training", "networks", 8): lambda n: (lambda _: run(n, 4), None),
        ("training", "epochs", 1): lambda n: (lambda _: run(32, int(n)), None),
    }  # fmt: skip
    rows = []
    for (part, quantity, first), make in curves.items():
        for size in doubling(first):
            function, data = make(int(size))
            rows.append((part, quantity, int(size), _median(partial(function, data), repetitions)))
    return pd.DataFrame(rows, columns=["part", "quantity", "size", "seconds"])


def exponents(rows):
    """Slope of log seconds against log size over the larger half of each curve, with its standard error."""
    found = []
    for (part, quantity), curve in rows.groupby(["part", "quantity"], sort=False):
        upper = curve.iloc[len(curve) // 2 - (len(curve) < 4) :]
        fit = stats.linregress(np.log(upper["size"]), np.log(upper.seconds))
        found.append((part, quantity, fit.slope, fit.stderr))
    return pd.DataFrame(found, columns=["part", "quantity", "exponent", "standard_error"])
