"""p-values of exponents are uniform under their nulls; known series are what they are said to be."""

import numpy as np
import pytest
from scipy import stats

from study import nulls, surrogates

RNG = lambda: np.random.default_rng(9)
OURS = lambda x: surrogates.exponents(x, min_tsep=10, steps=3)


@pytest.mark.parametrize("kind", ["white noise", "trend + noise"])
def test_places_are_uniform_under_their_own_null(kind):
    _, series = surrogates.kinds(160, 500, RNG())[kind]
    found = surrogates.places(series, OURS, RNG())
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert (found > 0).all() and (found < 1).all()
    assert abs((surrogates.two_sided(found) < 0.05).mean() - 0.05) < 0.03


def test_chaos_has_a_smaller_exponent_than_noise_of_its_shape():
    assert (surrogates.places(surrogates.chaos("logistic", 200, 20, RNG()), OURS, RNG()) < 0.05).all()


def test_ties_leave_no_steps():
    found = surrogates.places(RNG().normal(size=(50, 400)), lambda x: np.zeros(x.shape[1]), RNG(), draws=9)
    assert stats.kstest(found, "uniform").pvalue > 0.01


def test_a_statistic_that_is_not_defined_has_no_place():
    assert np.isnan(surrogates.places(RNG().normal(size=(50, 2)), lambda x: np.full(2, np.nan), RNG(), draws=2)).all()


def test_the_shape_has_the_trend_the_variance_and_the_memory():
    t = np.linspace(-1, 1, 200)[:, None]
    series = 5 * t - 3 * t**2 + nulls.autoregressive(200, np.full(300, 0.8), 0.3, RNG())
    basis = np.linalg.qr(np.polynomial.legendre.legvander(t[:, 0], 3))[0]
    left = lambda x: x - basis @ (basis.T @ x)
    own, drawn = left(series), left(surrogates.shape(series)(RNG()))
    memory = lambda x: np.mean((x[1:] * x[:-1]).sum(axis=0) / (x**2).sum(axis=0))
    np.testing.assert_allclose(surrogates.shape(series)(RNG()) - drawn, series - own, atol=1e-9)
    assert np.isclose(drawn.std(), own.std(), rtol=0.05) and np.isclose(memory(drawn), memory(own), atol=0.03)


def test_known_series_have_known_exponents():
    assert np.isclose(
        np.mean(surrogates.exponents(surrogates.chaos("logistic", 1000, 5, RNG()), min_tsep=1)), np.log(2), atol=0.05
    )
    x = surrogates.chaos("Lorenz", 300, 4, RNG())
    assert np.isfinite(x).all() and 5 < x.std() < 10 and (np.abs(x) < 25).all()
    for chaotic, series in surrogates.kinds(60, 3, RNG()).values():
        assert isinstance(chaotic, bool) and series.shape == (60, 3) and np.isfinite(series).all()


def test_other_programs_give_one_exponent_a_series():
    series = surrogates.chaos("logistic", 200, 2, RNG())
    assert np.allclose(surrogates.nolds(series), np.log(2), atol=0.15)
    found = surrogates.neurokit(series)
    assert np.isnan(found).all() or np.allclose(found, np.log(2), atol=0.15)
