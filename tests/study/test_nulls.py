"""Null series keep what they promise and lose the rest; placebos are other runs' errors."""

import numpy as np
import pytest

from legc_utils import selection, training
from study import nulls
from study.randomness import derived_seed

RNG = lambda: np.random.default_rng(3)
SERIES = nulls.autoregressive(256, np.array([0.0, 0.5, 0.9]), np.array([1.0, 2.0, 0.1]), np.random.default_rng(0))


def spectrum(x):
    return np.abs(np.fft.rfft(x, axis=0))


@pytest.mark.parametrize("n", [255, 256])
def test_phase_randomised_keeps_the_spectrum_and_the_mean(n):
    found = nulls.phase_randomised(SERIES[:n], RNG())
    np.testing.assert_allclose(spectrum(found), spectrum(SERIES[:n]), atol=1e-9)
    assert np.abs(np.corrcoef(found[:, 1], SERIES[:n, 1])[0, 1]) < 0.4


def test_iaaft_keeps_the_values_exactly_and_the_spectrum_nearly():
    found = nulls.iaaft(SERIES, RNG())
    assert np.array_equal(np.sort(found, axis=0), np.sort(SERIES, axis=0)) and not np.array_equal(found, SERIES)
    error = np.linalg.norm(spectrum(found) - spectrum(SERIES), axis=0) / np.linalg.norm(spectrum(SERIES), axis=0)
    assert (error < 0.05).all()


def test_trend_and_noise_keeps_trend_variance_and_correlation():
    t = np.linspace(-1, 1, 2000)[:, None]
    series = 5 * t - 3 * t**2 + nulls.autoregressive(2000, np.full(20, 0.8), 0.3, RNG())
    found = nulls.trend_and_noise(series, np.random.default_rng(5))
    rest = found - (5 * t - 3 * t**2)
    assert np.abs(rest.mean()) < 0.05 and np.isclose(rest.std(), 0.3, rtol=0.1)
    lagged = np.mean([np.corrcoef(x[1:], x[:-1])[0, 1] for x in rest.T])
    assert np.isclose(lagged, 0.8, atol=0.03) and not np.isclose(found, series).any(axis=0).all()


def test_the_same_generator_gives_the_same_series():
    for null in (nulls.phase_randomised, nulls.iaaft, nulls.trend_and_noise):
        assert np.array_equal(null(SERIES, RNG()), null(SERIES, RNG()))


@pytest.mark.parametrize("bad", [np.ones(10), np.ones((3, 2)), np.full((10, 2), np.nan)])
def test_what_is_no_table_of_finite_series_is_refused(bad):
    with pytest.raises(ValueError, match="finite numbers, .at least 4, n_series."):
        nulls.iaaft(bad, RNG())


def test_an_explosive_coefficient_is_refused():
    with pytest.raises(ValueError, match="phi=1.2.*between -1 and 1"):
        nulls.autoregressive(10, np.array([0.5, 1.2]), 1.0, RNG())


@pytest.mark.parametrize("target", ["test", "train"])
def test_placebo_targets_are_the_errors_of_other_runs(learnable, short, target):
    split, settings = learnable(), short(recorded_epochs=40, target=target)
    look = selection.horizon(split, settings)
    found = nulls.placebo_targets(split, 2, 3, settings, look)
    seeds = [derived_seed("placebo", run) for run in range(3)]
    runs = training.train_ensemble(split, 2, seeds, settings, epochs=look.epochs, rows=look.rows)
    assert np.array_equal(found, runs.test_error if target == "test" else runs.train_error)
    assert found.shape == (len(look.rows), 3)


def test_calibrated_pvalues_count_placebos_that_are_as_extreme():
    own, placebos = np.array([0.1, 0.5, 0.01]), np.array([[0.2, 0.2, 0.2], [0.1, 0.4, 0.3], [0.6, 0.6, 0.02]])
    assert nulls.placebo_pvalues(own, placebos).tolist() == [0.5, 0.75, 0.25]


def test_a_test_that_is_undefined_is_not_the_strongest_evidence():
    """No placebo is below NaN, so that an untested weight used to have the smallest calibrated p of all."""
    nan = np.nan
    found = nulls.placebo_pvalues(np.array([nan, 0.1, 0.1]), np.array([[0.2, nan, nan], [0.3, 0.1, nan]]))
    assert np.isnan(found[[0, 2]]).all() and found[1] == 1.0
