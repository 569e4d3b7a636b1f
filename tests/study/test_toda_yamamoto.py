"""Toda and Yamamoto's test against the regression that defines it, and its level where ordinary tests lose theirs."""

import numpy as np
import pytest
import statsmodels.api as sm

from legc_utils import granger
from study import toda_yamamoto


@pytest.mark.parametrize(("lag", "extra"), [(1, 1), (3, 1), (2, 2)])
def test_toda_yamamoto_is_the_f_test_of_the_first_lags_in_an_augmented_regression(lag, extra):
    rng = np.random.default_rng(8)
    target, series = rng.normal(size=120).cumsum(), rng.normal(size=(120, 4)).cumsum(axis=0)
    p = lag + extra
    past = lambda z: np.column_stack([z[p - k : len(z) - k] for k in range(1, p + 1)])
    for column, found in zip(series.T, toda_yamamoto.toda_yamamoto(target, series, lag, extra)):
        joint = sm.OLS(target[p:], np.column_stack([np.ones(len(target) - p), past(target), past(column)])).fit()
        first = np.eye(2 * p + 1)[1 + p : 1 + p + lag]
        assert np.isclose(found, joint.f_test(first).pvalue, rtol=1e-7)


def test_toda_yamamoto_keeps_its_level_on_random_walks_where_levels_do_not():
    rng = np.random.default_rng(4)
    found = {"levels": [], "toda": []}
    for _ in range(60):
        target, series = rng.normal(size=150).cumsum(), rng.normal(size=(150, 10)).cumsum(axis=0)
        found["levels"].append(granger.granger_pvalues(target, series, 1, "ssr_ftest")[0])
        found["toda"].append(toda_yamamoto.toda_yamamoto(target, series, 1))
    share = {name: (np.array(p) < 0.05).mean() for name, p in found.items()}
    assert share["toda"] < 0.09 and share["levels"] > 0.1


def test_toda_yamamoto_leaves_out_what_has_no_test():
    rng = np.random.default_rng(0)
    series = np.column_stack([rng.normal(size=60), np.ones(60), np.full(60, np.nan)])
    assert np.isnan(toda_yamamoto.toda_yamamoto(rng.normal(size=60), series, 2)).tolist() == [False, True, True]
    assert np.isnan(toda_yamamoto.toda_yamamoto(np.ones(60), series, 2)).all()


@pytest.mark.parametrize(("changes", "message"), [
    (dict(lag=0), "lag=0.*at least 1"), (dict(extra=0), "extra=0.*at least 1"), (dict(lag=19), "lag=19.*61.*60"),
])  # fmt: skip
def test_toda_yamamoto_refuses_what_cannot_be_tested(changes, message):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=message):
        toda_yamamoto.toda_yamamoto(
            **(dict(target=rng.normal(size=60), series=rng.normal(size=(60, 2)), lag=1) | changes)
        )


def test_random_walks_are_not_stationary_and_noise_is():
    noise = np.random.default_rng(6).normal(size=(300, 20))
    walks = noise.cumsum(axis=0)
    assert (toda_yamamoto.not_stationary(walks) > 0.8).all() and (toda_yamamoto.not_stationary(noise) < 0.2).all()
    still = np.hstack([walks, np.ones((300, 30))])  # constant series are no evidence of either
    np.testing.assert_array_equal(toda_yamamoto.not_stationary(still), toda_yamamoto.not_stationary(walks))


T = 60
DETERMINED = {  # of these no lag, or not every one, adds anything to a constant, the target's lags and the extra lags
    "first window only": lambda y: np.eye(T)[0],
    "last window only": lambda y: np.eye(T)[-1],
    "trend": lambda y: 0.1 * np.arange(T),
    "trend far from zero": lambda y: 1e9 + 0.1 * np.arange(T),
    "period 2": lambda y: np.arange(T) % 2.0,
    "geometric": lambda y: 0.6 ** np.arange(T),
    "copy": lambda y: y,
    "scaled copy": lambda y: 1 - 2 * y,
    "copy a step later": lambda y: np.r_[0, y[:-1]],
    "too large for squares": lambda y: np.linspace(-1e307, 1e307, T) * y,
    "too small for squares": lambda y: 1e-300 * y,
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("lag", "extra"), [(1, 1), (2, 1), (3, 2)])
@pytest.mark.parametrize("kind", DETERMINED)
def test_toda_yamamoto_is_not_defined_for_what_is_determined_already(kind, lag, extra):
    y, other = np.random.default_rng(0).normal(size=(2, T))
    together = np.column_stack([DETERMINED[kind](y), other])
    found = toda_yamamoto.toda_yamamoto(y, together, lag, extra)
    assert np.isnan(found[0])
    assert found[1] == toda_yamamoto.toda_yamamoto(y, other[:, None], lag, extra)[0]  # and its neighbours do not notice


@pytest.mark.parametrize("moving", [4, 5, 6, 10])
def test_toda_yamamoto_counts_only_the_extra_lags_that_are_independent(moving):
    """A series that moves in its last windows only: its extra lags are constant, its tested ones are not."""
    rng = np.random.default_rng(moving)
    y, x, lag, extra = rng.normal(size=T), np.zeros(T), 3, 2
    x[-moving:] = rng.normal(size=moving)
    p = lag + extra
    past = lambda z: np.column_stack([z[p - k : T - k] for k in range(1, p + 1)])
    own, series = np.column_stack([np.ones(T - p), past(y)]), past(x)
    extra_lags = series[:, lag:][:, np.ptp(series[:, lag:], axis=0) > 0]
    restricted = sm.OLS(y[p:], np.column_stack([own, extra_lags])).fit()
    joint = sm.OLS(y[p:], np.column_stack([own, series[:, :lag], extra_lags])).fit()
    expected = joint.compare_f_test(restricted)[1]
    assert np.isclose(toda_yamamoto.toda_yamamoto(y, x[:, None], lag, extra)[0], expected, rtol=1e-7)


@pytest.mark.parametrize("offset", [1e6, 1e9])
def test_toda_yamamoto_does_not_mind_how_far_from_zero_the_data_are(offset):
    y, *x = np.random.default_rng(1).normal(size=(4, T))
    expected = toda_yamamoto.toda_yamamoto(y, np.transpose(x), 2)
    np.testing.assert_allclose(
        toda_yamamoto.toda_yamamoto(y + offset, np.transpose(x) - offset, 2), expected, atol=1e-5
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_toda_yamamoto_names_a_target_that_is_not_finite(bad):
    with pytest.raises(ValueError, match="target.*finite"):
        toda_yamamoto.toda_yamamoto(np.r_[bad, np.ones(T - 1)], np.eye(T), 1)
