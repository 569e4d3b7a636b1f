"""Scores of others against straightforward references, and masks from scores."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils import prune

from legc_utils import datasets, protocols, selection, training
from study import rankings

PROTOCOL = protocols.get("published", "toy", init_sd=0.7)


def toy(n_classes, n=20):
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(n, 3)), np.arange(n) % n_classes
    return datasets.Split(X, y, X, y, ("a", "b", "c"), tuple("xyz"[:n_classes]), name="toy")


def networks(layers, seeds=(0, 1)):
    return training.initial_ensemble(layers, seeds, PROTOCOL)


def reference_loss(split, layers):
    """Mean squared error of one network as torch.nn computes it, as a function of its flat parameters."""
    X, T = torch.as_tensor(split.X_train), torch.as_tensor(training.one_hot(split.y_train, layers[-1]))

    def loss(flat):
        w, b = flat[: training.count_weights(layers)], flat[training.count_weights(layers) :]
        a = X
        for at_w, at_b, shape in training.layer_slices(layers):
            a = torch.sigmoid(torch.nn.functional.linear(a, w[at_w].reshape(shape), b[at_b]))
        return torch.nn.functional.mse_loss(a, T)

    return loss


@pytest.mark.parametrize("n_classes", [2, 3])
def test_snip_and_grasp_equal_a_reference_with_the_whole_hessian(n_classes):
    split = toy(n_classes)
    layers = training.layer_sizes(split, (4, 3))
    weights, biases = networks(layers)
    loss = reference_loss(split, layers)
    found = (
        rankings.snip(split, layers, PROTOCOL, weights, biases),
        rankings.grasp(split, layers, PROTOCOL, weights, biases),
    )
    for k, flat in enumerate(torch.as_tensor(np.hstack([weights, biases]))):
        gradient = torch.autograd.functional.jacobian(loss, flat)
        hessian = torch.autograd.functional.hessian(loss, flat)
        n = weights.shape[1]
        np.testing.assert_allclose(found[0][k], (flat * gradient).abs()[:n], atol=1e-14)
        np.testing.assert_allclose(found[1][k], flat[:n] * (hessian[:n, :n] @ gradient[:n]), atol=1e-14)


def test_synflow_equals_autograd():
    layers = (3, 4, 5, 2)
    weights, _ = networks(layers)
    found = rankings.synflow(weights, layers)
    for k in range(len(weights)):
        w = torch.as_tensor(np.abs(weights[k])).requires_grad_()
        flow = torch.ones(layers[0], dtype=w.dtype)
        for at, _, shape in training.layer_slices(layers):
            flow = w[at].reshape(shape) @ flow
        (slope,) = torch.autograd.grad(flow.sum(), w)
        np.testing.assert_allclose(found[k], (w * slope).detach(), rtol=1e-12)


def test_synflow_scores_are_conserved_from_layer_to_layer():
    layers = (5, 4, 3)
    found = rankings.synflow(networks(layers)[0], layers)
    sums = [found[:, at].sum(axis=1) for at, *_ in training.layer_slices(layers)]
    np.testing.assert_allclose(sums[0], sums[1])


def test_iterated_synflow_keeps_a_path_where_a_single_round_collapses():
    layers = (9, 6, 6, 6, 1)
    weights, _ = networks(layers, range(8))
    sparsity = 1 - 8 / weights.shape[1]
    iterated = rankings.synflow_masks(weights, layers, sparsity)
    assert (iterated.sum(axis=1) == 8).all()
    assert rankings.effective_masks(iterated, layers).any(axis=1).all()


@given(st.integers(1, 40), st.floats(0, 1), st.integers(0, 2**16))
def test_as_many_are_kept_as_asked_and_none_scores_below_a_pruned_one(n, sparsity, seed):
    scores = np.random.default_rng(seed).normal(size=(3, n)).round(1)
    masks = rankings.keep_highest(scores, sparsity)
    assert (masks.sum(axis=1) == max(1, n - round(sparsity * n))).all()
    for row, keep in zip(scores, masks):
        assert keep.all() or row[keep].min() >= row[~keep].max()


@pytest.mark.parametrize("layers", [None, (10, 5, 2)])
def test_masks_are_those_of_torch(layers):
    rng = np.random.default_rng(3)
    scores, ties = rng.normal(size=(3, 60)).round(1), rng.random((3, 60))
    masks = rankings.keep_highest(scores, 0.4, layers, ties)
    parts = [slice(None)] if layers is None else [at for at, *_ in training.layer_slices(layers)]
    for row, chance, keep in zip(scores, ties, masks):
        for at in parts:
            rank = 1.0 + np.lexsort((chance[at], row[at])).argsort()  # torch goes by size, not by sign
            expected = rankings.torch_mask(prune.L1Unstructured, round(0.4 * len(rank)), rank)
            assert np.array_equal(keep[at], expected)


def test_what_was_not_tested_scores_as_asked():
    p = np.array([0.5, np.nan])
    assert rankings.surprise(p).tolist() == [-np.log(0.5), np.inf]
    assert rankings.surprise(p, untested=-np.inf).tolist() == [-np.log(0.5), -np.inf]
    assert rankings.surprise(p, reverse=True).tolist() == [np.log(0.5), np.inf]


def test_layer_by_layer_each_layer_loses_the_same_share():
    layers = (10, 10, 10)
    masks = rankings.keep_highest(np.random.default_rng(0).normal(size=(2, 200)), 0.3, layers)
    assert (masks.reshape(2, 2, 100).sum(axis=2) == 70).all()


@pytest.mark.parametrize(("scores", "sparsity", "message"), [
    (np.ones((1, 3)), 1.2, "sparsity=1.2.*from 0 to 1"), (np.full((1, 3), np.nan), 0.5, "scores holds NaN"),
])  # fmt: skip
def test_what_cannot_be_ranked_is_refused(scores, sparsity, message):
    with pytest.raises(ValueError, match=message):
        rankings.keep_highest(scores, sparsity)


P = np.array([[0.5, np.nan, 0.0, 1.0, 0.01, np.nan]])


@pytest.mark.parametrize("reverse", [False, True])
def test_weights_that_were_not_tested_go_last_whichever_way_the_ranking_is_read(reverse):
    """They used to go first in the ranking, as if p were one, and the rule keeps them."""
    found = rankings.surprise(P, reverse)
    order = [3, 0, 4, 2][:: -1 if reverse else 1]
    assert np.argsort(found[0]).tolist()[:4] == order and (found[0, [1, 5]] == np.inf).all()
    for pruned in range(1, 5):
        kept = rankings.keep_highest(found, pruned / 6)[0]
        assert kept[[1, 5]].all() and not kept[order[:pruned]].any()
        assert selection.legc_mask(P[0])[[1, 5]].all()


def test_placebos_without_a_test_have_no_say_in_calibrated_evidence():
    """An undefined placebo used to count as no evidence, and so made a weight look calibrated."""
    nan = np.nan
    placebos = np.array([[0.5, nan, 0.1, nan], [0.5, 0.1, 0.1, nan]])
    found = rankings.calibrated(np.array([0.1, 0.01, nan, 0.01]), placebos)
    np.testing.assert_allclose(found[:2], [np.log(5), np.log(10)])
    assert (found[2:] == np.inf).all()


def test_scores_by_unit_leave_out_what_was_not_tested():
    inf, layers = np.inf, (2, 3, 1)
    scores = np.array([[1.0, inf, inf, inf, 2.0, 4.0, 3.0, inf, 0.0]])  # two inputs of each unit; then one output each
    found = rankings.by_unit(scores, layers)[0]
    np.testing.assert_allclose(found[[0, 1, 4, 5, 6, 8]], [2, 2, 2, 2, 2, 2], atol=1e-7)
    assert (found[[2, 3, 7]] == inf).all() and found[0] < found[1]


def test_ties_fall_to_chance_and_not_to_the_first_layer():
    """Of a network of which nothing could be tested, the ranking used to take the whole first layer first."""
    layers = (9, 6, 1)
    ties = np.random.default_rng(0).random((200, 60))
    masks = rankings.keep_highest(rankings.surprise(np.full((200, 60), np.nan)), 0.5, ties=ties)
    assert (masks.sum(axis=1) == 30).all() and rankings.connected(masks, layers).mean() > 0.9
    assert not rankings.connected(rankings.keep_highest(np.full((1, 60), np.inf), 0.95), layers).any()
    scores = np.arange(60.0)[None]
    assert np.array_equal(rankings.keep_highest(scores, 0.5, ties=ties[:1]), rankings.keep_highest(scores, 0.5))


@given(st.integers(0, 2**16), st.floats(0.2, 0.9))
def test_a_mask_is_connected_if_every_output_hears_some_input(seed, share):
    layers = (3, 3, 2, 2)
    mask = np.random.default_rng(seed).random((1, training.count_weights(layers))) < share
    W = [mask[0, at].reshape(shape) for at, _, shape in training.layer_slices(layers)]
    heard = np.ones(3, bool)
    for w in W:
        heard = (w & heard).any(axis=1)
    assert rankings.connected(mask, layers)[0] == heard.all()


@pytest.mark.parametrize("layers", [(9, 6, 1), (4, 6, 3), (3, 4, 6), (64, 16, 10)])
def test_the_grid_ends_where_random_masks_still_keep_a_path(layers):
    """At the sparsities .95 and .99 that were asked for before, next to none did."""
    n, rng = training.count_weights(layers), np.random.default_rng(5)
    grid = rankings.connected_sparsities(layers)
    assert grid == rankings.connected_sparsities(layers) and len(grid) == 5 and grid == sorted(set(grid))
    scores = rng.random((1000, n))
    alive = lambda s: rankings.connected(rankings.keep_highest(scores, s), layers).mean()
    assert grid[0] == 0.2 and alive(grid[-1]) > 0.87 and alive(grid[-1] + 0.1) < 0.87
    assert n > 1000 or (alive(0.95) < 0.2 and alive(0.99) == 0)


def test_layers_that_fall_apart_at_once_have_no_grid():
    with pytest.raises(ValueError, match="layers=.1, 1, 1. is not allowed.*0.2 pruned"):
        rankings.connected_sparsities((1, 1, 1))


def test_a_network_without_a_path_has_the_accuracy_of_the_class_it_names():
    """By the published protocol's rule every output has to be on its side of one half, and it had an accuracy of 0."""
    split = toy(3, n=30)
    protocol = protocols.get(PROTOCOL, recorded_epochs=3, extra_epochs=2)
    masks = {("none", 1.0, 0): np.zeros((1, 12), bool), ("dense", 0.0, 0): np.ones((1, 12), bool)}
    rows, runs = rankings.retrain(split, 2, [0], protocol, masks)
    assert runs.at_stop(np.inf).accuracy[0] == 0 and rows.accuracy[0] == pytest.approx(1 / 3)
    assert rows.at_stop[0] == pytest.approx(1 / 3)
    out = 1 / (1 + np.exp(-runs.final_biases[0, -3:]))
    assert rows.loss[0] == pytest.approx(np.square(out - np.eye(3)[split.y_test]).mean())
    again, _ = rankings.retrain(split, 2, [0], protocol, masks, stops=False)
    pd.testing.assert_frame_equal(again, rows[again.columns])
    assert not {"at_stop", "epoch"} & {*again.columns}


def test_iterative_magnitude_pruning_takes_the_smallest_of_what_the_last_training_left():
    split, protocol = toy(2), protocols.get(PROTOCOL, recorded_epochs=3, extra_epochs=0)
    dense = {("dense", 0.0, 0): np.ones((2, 8), bool)}
    _, runs = rankings.retrain(split, 2, [4, 5], protocol, dense)
    rows, masks = rankings.iterative_magnitude(split, 2, [4, 5], protocol, runs.final_weights, [0.25, 0.5])
    first, second = masks["IMP", 0.25, 0], masks["IMP", 0.5, 0]
    assert np.array_equal(first, rankings.keep_highest(np.abs(runs.final_weights), 0.25)) and (second <= first).all()
    alone, between = rankings.retrain(split, 2, [4, 5], protocol, {("IMP", 0.25, 0): first})
    w = np.where(first, np.abs(between.final_weights), -1)
    assert np.array_equal(second, rankings.keep_highest(w, 0.5))
    pd.testing.assert_frame_equal(rows[rows.target == 0.25], alone)


def test_shuffling_keeps_each_layers_count_and_moves_the_rest():
    layers = (8, 6, 4)
    masks = np.random.default_rng(0).random((5, 72)) < 0.5
    found = rankings.shuffle_within_layers(masks, layers, np.random.default_rng(1))
    for at, *_ in training.layer_slices(layers):
        assert (found[:, at].sum(axis=1) == masks[:, at].sum(axis=1)).all()
    assert (found != masks).any(axis=1).all()


@given(st.integers(0, 2**16), st.floats(0.1, 0.9))
def test_effective_masks_hold_exactly_the_weights_on_a_path(seed, share):
    layers = (3, 3, 2, 2)
    mask = np.random.default_rng(seed).random((1, training.count_weights(layers))) < share
    W = [mask[0, at].reshape(shape) for at, _, shape in training.layer_slices(layers)]
    on_a_path = [np.zeros_like(w) for w in W]
    for units in product(*map(range, layers)):
        if all(w[o, i] for w, i, o in zip(W, units, units[1:])):
            for found, i, o in zip(on_a_path, units, units[1:]):
                found[o, i] = True
    expected = np.concatenate([found.ravel() for found in on_a_path])
    assert np.array_equal(rankings.effective_masks(mask, layers)[0], expected)


def test_scores_by_unit_are_means_over_what_enters_and_leaves_it():
    scores = np.array([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 10.0, 20.0]])  # inputs 3, hidden units 2, one output
    mean = [(1 + 2 + 3 + 10) / 4, (4 + 5 + 6 + 20) / 4]
    found = rankings.by_unit(scores, (3, 2, 1))
    np.testing.assert_allclose(found[0], [*[mean[0]] * 3, *[mean[1]] * 3, *mean], atol=1e-7)
    assert found[0, 0] < found[0, 1] < found[0, 2]


def test_masks_are_trained_together_as_they_are_alone():
    split, layers = toy(2), (3, 2, 1)
    protocol = protocols.get(PROTOCOL, recorded_epochs=3, extra_epochs=0)
    n = training.count_weights(layers)
    masks = {("dense", 0.0, 0): np.ones((2, n), bool), ("half", 0.5, 1): np.tile(np.arange(n) % 2 == 0, (2, 1))}
    rows, runs = rankings.retrain(split, 2, [4, 5], protocol, masks)
    assert list(rows.seed) == [4, 4, 5, 5] and list(rows.method) == ["dense", "half"] * 2
    assert (
        runs.layers == layers and rows.sparsity.tolist() == [0, 0.5, 0, 0.5] and (rows.effective >= rows.sparsity).all()
    )
    alone, _ = rankings.retrain(split, 2, [5], protocol, {("half", 0.5, 1): masks["half", 0.5, 1][:1]})
    pd.testing.assert_series_equal(alone.iloc[0], rows.iloc[3], check_names=False)


# masks that stand against LEGC's

MASKS = np.random.default_rng(0).random((5, 40)) < np.array([[0.5], [0.9], [0.1], [1.1], [0]])  # incl. all and none


def test_random_masks_prune_as_many_as_the_masks_they_stand_against():
    found = rankings.random_masks(MASKS, range(5))
    assert found.dtype == bool and np.array_equal(found.sum(axis=1), MASKS.sum(axis=1))
    assert not np.array_equal(found[:3], MASKS[:3])


def test_random_masks_are_fixed_by_the_seed_alone():
    assert np.array_equal(rankings.random_masks(MASKS, range(5)), rankings.random_masks(MASKS, range(5)))
    assert np.array_equal(rankings.random_masks(MASKS[2:3], [7])[0], rankings.random_masks(MASKS[:3], [1, 4, 7])[2])
    assert not np.array_equal(rankings.random_masks(MASKS[:1], [0]), rankings.random_masks(MASKS[:1], [1]))


def test_random_masks_favour_no_weight():
    drawn = rankings.random_masks(np.tile(np.arange(10) < 7, (400, 1)), range(400))
    assert np.abs(drawn.mean(axis=0) - 0.7).max() < 0.09  # four standard deviations


def test_baselines_do_not_disturb_torchs_random_numbers():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    rankings.random_masks(MASKS, range(5))
    rankings.magnitude_masks(MASKS, np.ones(MASKS.shape))
    assert torch.equal(torch.rand(3), expected)


def test_magnitude_masks_drop_the_smallest():
    weights = np.random.default_rng(1).normal(size=MASKS.shape)
    found = rankings.magnitude_masks(MASKS, weights)
    assert found.dtype == bool and np.array_equal(found.sum(axis=1), MASKS.sum(axis=1))
    for keep, w in zip(found, np.abs(weights)):
        assert keep.all() or not keep.any() or w[keep].min() > w[~keep].max()


def test_five_models_prune_alike_and_only_candidates(learnable, short):
    split, settings = learnable(), short(recorded_epochs=40, candidates="after_first", rule="causal")
    masks = rankings.model_masks(split, 2, [0, 1], settings)
    assert list(masks) == ["dense", "FT", "PT", "random", "magnitude"] and masks["dense"].all()
    first = 3 * 2  # weights of the first layer
    assert all(mask[:, :first].all() for mask in masks.values())
    for name in ("random", "magnitude"):
        assert (masks[name].sum(axis=1) == masks["FT"].sum(axis=1)).all()
    full = selection.find_masks(split, 2, [0, 1], settings)
    assert full.candidates == slice(first, 8) and full.exponents.shape[-1] == full.pvalues.shape[-1] == 2


def test_what_a_mask_saves_is_what_dead_units_and_inputs_take():
    """torch's counter says nothing is saved, whatever the mask: a masked layer multiplies by its zeros."""
    layers = (3, 2, 1)
    dense = np.ones(8, bool)
    unit, output, feature, alive = dense.copy(), dense.copy(), dense.copy(), dense.copy()
    unit[:3] = False  # nothing reaches the first unit
    output[6] = False  # nothing hears it
    feature[[0, 3]] = False  # no unit looks at the first input
    alive[[0, 4]] = False  # every input, unit and output is still on a path
    found = rankings.compact_operations(np.stack([dense, unit, output, feature, alive, ~dense]), layers)
    assert found.tolist() == [8, 4, 4, 6, 8, 0]


def test_the_placebo_of_pt_has_its_size():
    split, choices = datasets.load("iris"), protocols.get("published", "iris", recorded_epochs=20, partial_epochs=8)
    choices = protocols.get(choices, window=100, max_lag=2, partial_max_lag=2)
    masks = rankings.model_masks(split, (6,), [0, 1], choices, placebo=True)
    assert list(masks) == ["dense", "FT", "PT", "random", "magnitude", "random (PT)"]
    for one, other in (("FT", "random"), ("FT", "magnitude"), ("PT", "random (PT)")):
        assert np.array_equal(masks[one].sum(axis=1), masks[other].sum(axis=1))
