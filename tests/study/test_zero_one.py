"""The 0–1 test on motion whose nature is known."""

import numpy as np
import pytest

from study import surrogates, zero_one

RNG = lambda: np.random.default_rng(2)


def test_one_for_chaos_and_zero_for_quasi_periodic_motion():
    steps = np.arange(2000)[:, None]
    chaos = surrogates.chaos("logistic", 2000, 2, RNG())
    regular = np.sin(0.3 * steps) + np.sin(np.sqrt(2) * 0.3 * steps + [0, 1])
    found = zero_one.zero_one(np.hstack([chaos, regular]), RNG())
    assert (found[:2] > 0.95).all() and (np.abs(found[2:]) < 0.15).all()


def test_noise_is_called_chaotic_too():
    assert (zero_one.zero_one(RNG().normal(size=(200, 5)), RNG()) > 0.9).all()


def test_neither_units_nor_origin_matter_and_a_constant_has_no_k():
    x = surrogates.chaos("Hénon", 200, 3, RNG())
    np.testing.assert_allclose(zero_one.zero_one(1e-3 * x, RNG()), zero_one.zero_one(x, RNG()), atol=1e-9)
    assert np.isnan(zero_one.zero_one(np.full((50, 1), 0.1), RNG())).all()


def test_one_frequency_by_the_definition():
    x, c, most = surrogates.chaos("logistic", 100, 1, RNG())[:, 0], 1.3, 10
    p, q = (np.cumsum(x * wave(np.arange(1, 101) * c)) for wave in (np.cos, np.sin))
    D = []
    for n in range(1, most + 1):
        M = np.mean((p[n:][:90] - p[:90]) ** 2 + (q[n:][:90] - q[:90]) ** 2)
        D.append(M - x.mean() ** 2 * (1 - np.cos(n * c)) / (1 - np.cos(c)))
    expected = np.corrcoef(np.arange(1, most + 1), D)[0, 1]
    np.testing.assert_allclose(zero_one._growth(x, np.array([c])), expected, atol=1e-10)


@pytest.mark.parametrize("bad", [np.ones(100), np.ones((39, 2)), np.full((50, 2), np.nan)])
def test_what_is_too_short_or_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match="at least 40, n_series"):
        zero_one.zero_one(bad, RNG())
