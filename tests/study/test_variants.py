"""Series of every variant against trajectories that are recorded whole."""

from dataclasses import replace

import numpy as np
import pytest

from legc_utils import lyapunov, selection, training
from study import maps, rankings, variants


def whole(split, protocol, seeds, **options):
    run = dict(record="weights", epochs=protocol.recorded_epochs, evaluate=())
    return training.train_ensemble(split, protocol.hidden, seeds, protocol, **run, **options)


@pytest.fixture
def task(learnable, short):
    return learnable(), [0, 3], short(hidden=(3,), recorded_epochs=8, extra_epochs=2)


@pytest.mark.parametrize("variant", ["FT", "PT"])
def test_follow_sees_what_the_selection_sees(task, variant, monkeypatch):
    split, seeds, protocol = task
    monkeypatch.setattr(training, "_PIECE", 250)  # windows that span pieces
    found = variants.follow(split, seeds, protocol, variant)
    chosen = selection.find_masks(split, 3, seeds, protocol, variant)
    np.testing.assert_array_equal(found.exponents, chosen.exponents)
    np.testing.assert_array_equal(found.errors["test"], chosen.target)
    np.testing.assert_array_equal(found.look.rows, chosen.horizon.rows)
    train = selection.find_masks(split, 3, seeds, replace(protocol, target="train"), variant)
    np.testing.assert_array_equal(found.errors["train"], train.target)


def test_ends_are_weights_at_the_windows_ends_and_movement_adds_up_every_step(task, monkeypatch):
    split, seeds, protocol = task
    monkeypatch.setattr(training, "_PIECE", 250)
    found, runs = variants.follow(split, seeds, protocol), whole(split, protocol, seeds)
    np.testing.assert_array_equal(found.ends, runs.weights[found.look.rows])
    layers, n = runs.layers, runs.weights.shape[2]
    step, state = maps.SGDMap(split, layers, protocol, rates=np.full(2, protocol.rate)), None
    state = np.hstack([runs.initial_weights, runs.initial_biases])
    total = np.zeros((2, n))
    for t in range(len(runs.weights) - 1):
        total -= protocol.rate * (state * step.gradient(state, t))[:, :n]
        state = step(state, t)
    np.testing.assert_allclose(found.movement, total, atol=1e-10)


def test_exponents_of_twins_are_those_of_their_differences(task, monkeypatch):
    split, seeds, protocol = task
    monkeypatch.setattr(training, "_PIECE", 900)
    dense, n = whole(split, protocol, seeds).weights, 12
    look = selection.horizon(split, protocol)
    options = dict(window=look.window, overlap=protocol.overlap, steps=look.steps)
    own, first = np.empty_like(dense), None
    for j in range(n):
        offset = 1e-4 * np.eye(n)[[j]]
        twin = whole(split, protocol, seeds, perturb=offset).weights
        own[..., j] = twin[..., j] - dense[..., j]
        first = twin - dense if j == 0 else first
    kinds = [("own", 0), ("first", 2), ("own", 2), ("first", 0)]
    found = variants.twin_exponents(split, seeds, protocol, kinds, 1e-4)
    for (twins, tsep), exponents in zip(kinds, found, strict=True):
        series = ({"own": own, "first": first}[twins] / 1e-4).reshape(len(dense), -1)
        truth = lyapunov.windowed_lyapunov(series, min_tsep=tsep, **options)
        np.testing.assert_allclose(exponents.reshape(len(look.rows), -1), truth, atol=1e-6)
    (alone,) = variants.twin_exponents(split, seeds, protocol, [("first", 2)], 1e-4)  # of a single twin
    np.testing.assert_allclose(alone, found[1], atol=1e-6)


def test_twins_that_are_unknown_are_refused(task):
    with pytest.raises(ValueError, match="twins='all'.*own, first"):
        variants.twin_exponents(*task, [("own", 0), ("all", 0)])


def test_scores_are_the_selections_p_values_and_follow_the_lag_rule(task):
    split, seeds, protocol = task
    chosen, found = selection.find_masks(split, 3, seeds, protocol), variants.follow(split, seeds, protocol)
    scores = variants.scores(found.errors["test"], found.exponents, protocol, protocol.max_lag)
    np.testing.assert_array_equal(scores, rankings.surprise(chosen.pvalues))
    bic = replace(protocol, lag_choice="bic")
    one = variants.scores(found.errors["test"], found.exponents, bic, protocol.max_lag)
    np.testing.assert_array_equal(one, rankings.surprise(selection.find_masks(split, 3, seeds, bic).pvalues))
