"""The conditional Granger test against statsmodels' regressions, and what it tells apart."""

import numpy as np
import pytest
import statsmodels.api as sm

from legc_utils import granger
from study import conditional


def past(z, p):
    return np.column_stack([z[p - k : len(z) - k] for k in range(1, p + 1)])


@pytest.mark.parametrize("lag", [1, 2, 5])
@pytest.mark.parametrize("each", [False, True])
def test_it_is_the_partial_f_test_of_statsmodels(lag, each):
    rng = np.random.default_rng(8)
    target, series = rng.normal(size=90).cumsum(), 1e4 + rng.normal(size=(90, 4))
    control = 1e-3 * rng.normal(size=(90, 4) if each else 90)
    found = conditional.conditional_granger(target, series, control, lag)
    for j, column in enumerate(series.T):
        z = control[:, j] if each else control
        less = sm.OLS(target[lag:], np.column_stack([np.ones(90 - lag), past(target, lag), past(z, lag)])).fit()
        design = np.column_stack([less.model.exog, past(column - 1e4, lag)])
        p = sm.OLS(target[lag:], design).fit().compare_f_test(less)[1]
        assert np.isclose(found[j], p, rtol=1e-7)


def test_a_constant_control_leaves_the_ordinary_test():
    rng = np.random.default_rng(3)
    target, series = rng.normal(size=60), rng.normal(size=(60, 3))
    found = conditional.conditional_granger(target, series, np.ones(60), 2)
    np.testing.assert_allclose(found, granger.granger_pvalues(target, series, 2, "ssr_ftest")[-1], rtol=1e-9)


def test_it_sees_through_a_common_driver_and_sees_what_is_beyond_it():
    rng = np.random.default_rng(5)
    driver, own = rng.normal(size=400), rng.normal(size=(400, 60))
    target = np.roll(driver, 1) + 0.3 * rng.normal(size=400)
    shared = driver[:, None] + own
    assert (granger.granger_pvalues(target, shared, 1, "ssr_ftest")[-1] < 0.01).all()
    assert (conditional.conditional_granger(target, shared, driver, 1) < 0.05).mean() < 0.2
    caused = target + np.roll(own[:, 0], 1)
    assert conditional.conditional_granger(caused, shared, driver, 1)[0] < 1e-6


def test_it_leaves_out_what_has_no_test():
    rng = np.random.default_rng(0)
    target, control = rng.normal(size=(2, 60))
    holed = np.where(np.arange(60) == 4, np.nan, control)
    series = np.column_stack([rng.normal(size=60), np.ones(60), holed, control, 2 + 3 * target])
    found = conditional.conditional_granger(target, series, control, 2)
    assert np.isnan(found).tolist() == [False, True, True, True, True]
    assert np.isnan(conditional.conditional_granger(np.ones(60), series, control, 2)).all()
    assert np.isnan(conditional.conditional_granger(target, series, holed, 2)).all()
    perfect = np.roll(series[:, 0], 1)
    assert np.isnan(conditional.conditional_granger(perfect, series, control, 1)[0])


@pytest.mark.parametrize(("changes", "message"), [
    (dict(lag=0), "lag=0.*at least 1"), (dict(lag=15), "lag=15.*more than 61.*60"),
    (dict(series=np.ones((59, 2)), control=np.ones(59)), r"\(59, 2\).*60 windows"),
    (dict(target=np.full(60, np.nan)), "target holds NaN"),
])  # fmt: skip
def test_it_refuses_what_cannot_be_tested(changes, message):
    rng = np.random.default_rng(0)
    given = dict(target=rng.normal(size=60), series=rng.normal(size=(60, 2)), control=rng.normal(size=60), lag=1)
    with pytest.raises(ValueError, match=message):
        conditional.conditional_granger(**(given | changes))


def test_the_mean_of_others_is_without_oneself():
    series = np.random.default_rng(1).normal(size=(5, 2, 7))
    found = conditional.mean_of_others(series, [slice(0, 4), slice(4, 7)])
    np.testing.assert_allclose(found[..., 1], series[..., [0, 2, 3]].mean(axis=-1))
    np.testing.assert_allclose(found[..., 6], series[..., [4, 5]].mean(axis=-1))
    series[0, 0, 2] = np.nan
    assert np.isclose(conditional.mean_of_others(series, [slice(0, 4)])[0, 0, 1], series[0, 0, [0, 3]].mean())
    assert np.isnan(conditional.mean_of_others(series[..., :1], [slice(0, 1)])).all()
