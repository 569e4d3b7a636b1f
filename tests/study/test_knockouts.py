"""Knock-outs against networks that are trained and cut one at a time; Taylor terms and correlations by definition."""

import numpy as np
import pytest
import torch
from scipy import stats

from legc_utils import training
from study import knockouts, networks


def loss(split, layers, weights, biases):
    with torch.no_grad():
        out = networks.mlp(weights, biases, layers)(torch.as_tensor(split.X_train)).numpy()
    return np.mean((out - training.one_hot(split.y_train, layers[-1])) ** 2)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_effects_are_what_single_networks_lose(learnable, short, n_classes):
    split, protocol = learnable(n_classes), short(hidden=(3,), recorded_epochs=4, extra_epochs=0)
    layers = training.layer_sizes(split, 3)
    found = knockouts.knock_out(split, [0, 5], protocol)
    for s, seed in enumerate([0, 5]):
        dense = training.train_ensemble(split, 3, [seed], protocol, evaluate=())
        w, b = dense.final_weights[0], dense.final_biases[0]
        np.testing.assert_allclose([*found.weights[s], *found.biases[s]], [*w, *b], rtol=1e-12)
        np.testing.assert_array_equal(found.initial[s], dense.initial_weights[0])
        for j in (0, 7, len(w) - 1):
            mask = np.arange(len(w)) != j
            again = training.train_ensemble(split, 3, [seed], protocol, masks=mask, evaluate=())
            own = loss(split, layers, w, b)
            retrained = loss(split, layers, again.final_weights[0], again.final_biases[0]) - own
            assert np.isclose(found.effects["retrained"][s, j], retrained, atol=1e-12)
            assert np.isclose(found.effects["zeroed"][s, j], loss(split, layers, w * mask, b) - own, atol=1e-12)


def test_some_weights_are_left_out_as_among_all(learnable, short):
    split, protocol = learnable(), short(hidden=(3,), recorded_epochs=4, extra_epochs=0)
    every, some = (knockouts.knock_out(split, [0, 5], protocol, which) for which in (slice(None), [7, 2]))
    for how, effects in some.effects.items():
        np.testing.assert_allclose(effects, every.effects[how][:, [7, 2]], atol=1e-12)
    np.testing.assert_allclose(some.weights, every.weights, rtol=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_taylor_terms_equal_those_of_torch(learnable, short, n_classes):
    split, protocol = learnable(n_classes), short(hidden=(3,))
    layers = training.layer_sizes(split, 3)
    weights, biases = training.initial_ensemble(layers, [1, 2], protocol)
    X, T = torch.as_tensor(split.X_train), torch.as_tensor(training.one_hot(split.y_train, layers[-1]))
    first, second = knockouts.taylor(split, layers, protocol, weights, biases)
    for s in range(2):

        def by_torch(w, b=biases[s : s + 1]):
            return torch.nn.functional.mse_loss(networks.forward(w[None], torch.as_tensor(b), X, layers)[0], T)

        w = torch.as_tensor(weights[s])
        slope = torch.autograd.functional.jacobian(by_torch, w)
        curved = torch.autograd.functional.hessian(by_torch, w).diagonal()
        np.testing.assert_allclose(first[s], (w * slope).abs(), atol=1e-14)
        np.testing.assert_allclose(second[s], w**2 * curved / 2, atol=1e-14)


def test_second_order_foretells_a_small_weights_removal_at_a_minimum(learnable, short):
    split, protocol = learnable(), short(hidden=(2,), rate=1.0, recorded_epochs=400, extra_epochs=0)
    layers = training.layer_sizes(split, 2)
    found = knockouts.knock_out(split, [0], protocol)
    _, second = knockouts.taylor(split, layers, protocol, found.weights, found.biases)
    assert knockouts.rank(second[0], found.effects["zeroed"][0]) > 0.5


def test_rank_leaves_out_what_was_not_tested_and_refuses_to_rank_ties():
    x, y = np.array([1.0, 2, 3, 4, np.nan]), np.array([2.0, 1, 3, 4, -9])
    assert knockouts.rank(x, y) == stats.spearmanr(x[:4], y[:4]).statistic
    assert np.isnan(knockouts.rank(np.ones(5), y)) and np.isnan(knockouts.rank(x[:2], y[:2]))


def test_partial_rank_is_the_formula_of_three_correlations():
    rng = np.random.default_rng(2)
    given = rng.normal(size=80)
    x, y = given + rng.normal(size=80), (given + rng.normal(size=80)).round(1)  # with ties
    xy, xz, yz = (stats.spearmanr(*pair).statistic for pair in ((x, y), (x, given), (y, given)))
    truth = (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
    assert np.isclose(knockouts.partial_rank(x, y, given), truth, atol=1e-12)
    assert np.isclose(knockouts.partial_rank(x, y, np.ones(80)), xy, atol=1e-12)  # a control that says nothing
    x[3] = np.nan
    rest = np.arange(80) != 3
    whole = knockouts.partial_rank(x[rest], y[rest], given[rest])
    assert knockouts.partial_rank(x, y, given) == whole


def test_partial_rank_is_undefined_if_nothing_is_left():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(2, 30))
    assert np.isnan(knockouts.partial_rank(x, y, np.exp(x))) and np.isnan(knockouts.partial_rank(np.ones(30), y, x))
    assert np.isnan(knockouts.partial_rank(x[:3], y[:3], y[:3]))
