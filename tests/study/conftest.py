"""A small data set and a short protocol for what needs a whole selection."""

import numpy as np
import pytest

from legc_utils import datasets, protocols


@pytest.fixture
def learnable():
    """A function of the number of classes that gives a small split with noisy but learnable labels."""

    def split(n_classes=2, n=30):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(2 * n, 3))
        y = np.digitize(X[:, 0] + 0.5 * rng.normal(size=2 * n), np.linspace(-0.7, 0.7, n_classes + 1)[1:-1])
        return datasets.Split(X[:n], y[:n], X[n:], y[n:], tuple("abc"), tuple("0123"[:n_classes]), name="toy")

    return split


@pytest.fixture
def short():
    """A function of changes that gives a protocol under which both variants take a moment."""
    chosen = dict(rate=0.5, init_sd=1.0, partial_epochs=6, window=20, partial_window=12, steps=5, max_lag=3)
    return lambda **changes: protocols.get("published", "toy", partial_max_lag=2, **(chosen | changes))
