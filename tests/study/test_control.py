"""What is planted is what it says: the share of the error that is driven, the exponents of orbits, nulls left alone."""

import numpy as np
import pytest

from legc_utils import lyapunov, protocols
from study import control, nulls

RNG = lambda: np.random.default_rng(4)


@pytest.mark.parametrize("a", [0.55, 0.8])
def test_the_tent_map_has_the_exponent_of_its_formula(a):
    x = control.tent(np.full(20_000, a), 2, RNG())
    assert np.abs(x.mean(axis=0)).max() < 0.05 and np.allclose(x.std(axis=0), 1, atol=0.03)
    unit = x[:, 0] / np.sqrt(12) + 0.5
    slopes = np.where(unit < a, 1 / a, 1 / (1 - a))
    assert np.isclose(np.log(slopes).mean(), -a * np.log(a) - (1 - a) * np.log(1 - a), atol=0.02)


def test_windowed_exponents_follow_the_driver():
    driver = RNG().normal(size=60)
    weights = np.cumsum(RNG().normal(size=(60 * 90 + 10, 3)), axis=0)
    series = control.chaotic(weights, driver, 100, 0.1, RNG(), size=100.0)
    found = lyapunov.windowed_lyapunov(series, 100, 0.1, min_tsep=10)
    assert min(np.corrcoef(x, driver)[0, 1] for x in found.T) > 0.6
    same = control.chaotic(weights, driver, 100, 0.1, RNG(), size=0.0)
    assert np.array_equal(same, weights)


def test_a_driver_of_another_length_is_refused():
    with pytest.raises(ValueError, match="one number for each window, 5"):
        control.chaotic(np.zeros((100, 2)), np.zeros(4), 20, 0.0, RNG())


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_strength_is_the_share_of_variance_about_the_course(strength):
    errors = np.linspace(1, 0, 5000) ** 2 + 0.1 * RNG().normal(size=5000)
    driver, noise = np.random.default_rng(6).normal(size=(2, 5000))
    about = control.follow(errors, driver, strength, noise) - nulls.course(errors[:, None])[:, 0]
    assert np.isclose(about.std(), 0.1, rtol=0.05)
    assert np.isclose(np.corrcoef(about[1:], driver[:-1])[0, 1] ** 2, strength, atol=0.04)


@pytest.mark.parametrize("strength", [-0.1, 1.1, np.nan])
def test_a_share_outside_0_to_1_is_refused(strength):
    with pytest.raises(ValueError, match="strength=.*from 0 to 1"):
        control.follow(np.zeros(9), np.zeros(9), strength, np.zeros(9))


def test_the_corrected_rule_finds_a_strong_driver_and_leaves_noise_alone():
    driver, noise = np.random.default_rng(7).normal(size=(2, 150))
    series = np.column_stack([driver, np.random.default_rng(8).normal(size=(150, 20))])
    target = control.follow(np.linspace(1, 0, 150) + 0.01 * RNG().normal(size=150), driver, 0.5, noise)
    evidence, causal = control.ask(target, series, protocols.get("corrected"), 14)
    assert causal[0] and causal[1:].sum() <= 2 and evidence.argmax() == 0


def test_auc_counts_ties_half_and_leaves_nan_out():
    assert control.auc([3, 2, np.nan], [1, 2]) == 3.5 / 4
    assert control.auc([1, 1], [1]) == 0.5 and np.isnan(control.auc([np.nan], [1.0]))
