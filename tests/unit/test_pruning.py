"""From p-values to masks: the rule, torch's pruning interface, and the whole selection."""

import copy
import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from statsmodels.stats.multitest import multipletests
from torch.nn.utils import prune

from legc_utils import datasets, granger, lyapunov, protocols, pruning, selection, training
from study import nulls, rankings

pvalues = arrays(float, st.integers(1, 12), elements=st.floats(0, 1) | st.sampled_from([0.01, 0.05, 0.5]))
alphas = st.floats(0.001, 0.999)
corrections = st.sampled_from(protocols.CHOICES["correction"])


# the rule


def test_noncausal_prunes_from_alpha_upwards():
    p = [0.0, 0.0499, 0.05, 0.0501, 1.0]
    assert selection.legc_mask(p, alpha=0.05).tolist() == [True, True, False, False, False]
    assert selection.legc_mask(p, alpha=0.05, rule="causal").tolist() == [False, False, True, True, True]


def test_several_lags_are_reduced_to_the_smallest_p():
    p = [[0.9, 0.01, 0.05], [0.02, 0.8, 0.06], [0.5, 0.5, 0.07]]
    assert selection.legc_mask(p).tolist() == [True, True, False]


@pytest.mark.parametrize("correction", protocols.CHOICES["correction"])
def test_undefined_pvalues_count_as_0(correction):
    p = np.array([[0.9, np.nan, np.nan, 0.9], [0.9, 0.9, np.nan, 0.001]])
    assert selection.legc_mask(p, correction=correction).tolist() == [False, True, True, True]
    assert selection.legc_mask(p, rule="causal", correction=correction).tolist() == [True, False, False, False]


@given(pvalues, alphas, corrections)
def test_the_two_rules_are_complements(p, alpha, correction):
    kept = selection.legc_mask(p, alpha, "noncausal", correction)
    assert kept.dtype == bool and kept.shape == p.shape
    assert np.array_equal(kept, ~selection.legc_mask(p, alpha, "causal", correction))


@given(pvalues, st.tuples(alphas, alphas).map(sorted), corrections)
def test_a_larger_alpha_never_prunes_more(p, levels, correction):
    small, large = (selection.legc_mask(p, alpha, correction=correction) for alpha in levels)
    assert (small <= large).all()


@given(pvalues, alphas, corrections)
def test_a_correction_never_keeps_more(p, alpha, correction):
    corrected, plain = selection.legc_mask(p, alpha, correction=correction), selection.legc_mask(p, alpha)
    assert (corrected <= plain)[p != alpha].all()


@pytest.mark.parametrize("correction", ["bonferroni", "fdr_bh", "fdr_by"])
@settings(max_examples=50)
@given(p=pvalues, alpha=alphas)
def test_corrections_are_statsmodels(correction, p, alpha):
    expected = multipletests(p, alpha, correction)[0]
    assert np.array_equal(selection.legc_mask(p, alpha, correction=correction), expected)
    assert np.array_equal(selection.legc_mask(np.stack([p, np.ones_like(p)]), alpha, correction=correction), expected)


def test_corrections_count_all_weights():
    p = np.r_[0.04, np.ones(19)]
    assert selection.legc_mask(p).sum() == 1
    assert (
        selection.legc_mask(p, correction="bonferroni").sum() == selection.legc_mask(p, correction="fdr_bh").sum() == 0
    )


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (dict(pvalues=[0.5, 1.2]), r"\[0.5, 1.2\].*0 to 1"),
        (dict(pvalues=[-0.1, 0.5]), r"\[-0.1, 0.5\].*0 to 1"),
        (dict(pvalues=[]), "shape"),
        (dict(pvalues=np.zeros((2, 2, 2))), "shape"),
        (dict(alpha=0), "alpha=0.*between 0 and 1"),
        (dict(alpha=1.0), "alpha=1.0.*between 0 and 1"),
        (dict(rule="non-causal"), "non-causal.*noncausal, causal"),
        (dict(correction="holm"), "holm.*bonferroni, fdr_bh, fdr_by"),
    ],
)
def test_bad_input_is_named_with_what_is_allowed(bad, message):
    with pytest.raises(ValueError, match=message):
        selection.legc_mask(**dict(pvalues=[0.1, 0.2]) | bad)


# torch's interface

P6 = [0.01, 0.6, 0.05, 0.049, 0.3, 0.0]
KEEP6 = torch.tensor([1.0, 0, 0, 1, 0, 1])


def legc(module, name, *args, **kwargs):
    pruning.LEGCUnstructured.apply(module, name, *args, **kwargs)
    return module


def pruned_linear(**kwargs):
    torch.manual_seed(0)
    return legc(torch.nn.Linear(3, 2), "weight", P6, **kwargs)


def test_apply_returns_the_method_as_torch_does():
    layer = torch.nn.Linear(3, 2)
    assert isinstance(pruning.LEGCUnstructured.apply(layer, "weight", P6), pruning.LEGCUnstructured)


def test_a_linear_layer_is_pruned_by_its_pvalues():
    torch.manual_seed(0)
    original = torch.nn.Linear(3, 2).weight.detach()
    layer = pruned_linear()
    assert torch.equal(layer.weight_mask, KEEP6.reshape(2, 3))
    assert torch.equal(layer.weight, original * layer.weight_mask)
    assert torch.equal(layer.weight_orig.detach(), original)
    assert torch.allclose(layer(torch.ones(1, 3)), layer.weight.sum(1) + layer.bias)


def test_a_convolution_is_pruned_by_its_pvalues():
    p = np.random.default_rng(0).random((4, 2, 3, 3))
    layer = legc(torch.nn.Conv2d(2, 4, 3), "weight", p, alpha=0.4)
    assert np.array_equal(layer.weight_mask.bool(), p < 0.4)
    flat = legc(torch.nn.Conv2d(2, 4, 3), "weight", p.ravel(), alpha=0.4)
    assert torch.equal(flat.weight_mask, layer.weight_mask)


def test_a_bias_can_be_pruned():
    layer = legc(torch.nn.Linear(3, 2), "bias", [0.9, 0.01])
    assert layer.bias_mask.tolist() == [0, 1] and prune.is_pruned(layer)


def test_several_lags_of_pvalues_are_reduced_like_legc_mask():
    p = np.random.default_rng(0).random((4, 6))
    p[2, 3] = np.nan
    layer = legc(torch.nn.Linear(3, 2), "weight", p, alpha=0.2)
    assert np.array_equal(layer.weight_mask.bool().ravel(), selection.legc_mask(p, 0.2))


@pytest.mark.parametrize("correction", protocols.CHOICES["correction"])
@pytest.mark.parametrize("rule", protocols.CHOICES["rule"])
def test_rule_and_correction_are_those_of_legc_mask(rule, correction):
    layer = pruned_linear(alpha=0.04, rule=rule, correction=correction)
    assert np.array_equal(layer.weight_mask.bool().ravel(), selection.legc_mask(P6, 0.04, rule, correction))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_the_mask_has_the_type_of_the_weights(dtype):
    layer = legc(torch.nn.Linear(3, 2, dtype=dtype), "weight", P6)
    assert layer.weight_mask.dtype == layer.weight.dtype == dtype


def test_pvalues_are_not_rounded_to_the_type_of_the_weights():
    p = np.array([0.05 - 1e-12, 0.05, 0.05 + 1e-12])  # all the same in float32
    layer = legc(torch.nn.Linear(3, 1), "weight", p)
    assert layer.weight_mask.tolist() == [[1, 0, 0]]


def test_pruned_weights_stay_zero_and_the_others_learn():
    layer = pruned_linear()
    before = layer.weight.detach().clone()
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        layer(torch.ones(4, 3)).square().sum().backward()
        optimiser.step()
    layer(torch.ones(1, 3))
    keep = layer.weight_mask.bool()
    assert (layer.weight[~keep] == 0).all() and (layer.weight[keep] != before[keep]).all()


@pytest.mark.parametrize("legc_first", [True, False])
def test_it_stacks_with_other_prunings(legc_first):
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, 2, 3], [4, 5, 6]]))
    if legc_first:  # leaves 1, 4 and 6; then magnitude takes the 1
        legc(layer, "weight", P6)
        prune.l1_unstructured(layer, "weight", amount=1)
        expected = [[0, 0, 0], [4, 0, 6]]
    else:  # magnitude leaves 3, 4, 5, 6, of which LEGC keeps 4 and 6
        prune.l1_unstructured(layer, "weight", amount=2)
        legc(layer, "weight", P6)
        expected = [[0, 0, 0], [4, 0, 6]]
    assert layer.weight.tolist() == expected


def test_legc_on_legc_never_revives_a_weight():
    layer = pruned_linear()
    legc(layer, "weight", np.zeros(6))
    assert torch.equal(layer.weight_mask, KEEP6.reshape(2, 3))


def test_compute_mask_only_takes_away():
    default = torch.tensor([1.0, 0, 1, 0])
    mask = pruning.LEGCUnstructured().compute_mask(torch.tensor([0.0, 0.0, 0.9, 0.9]), default)
    assert mask.tolist() == [1, 0, 0, 0] and default.tolist() == [1, 0, 1, 0]


def test_a_layer_with_nothing_left_can_be_pruned_again():
    layer = torch.nn.Linear(3, 2)
    prune.l1_unstructured(layer, "weight", amount=6)
    legc(layer, "weight", P6)
    assert (layer.weight_mask == 0).all()


def test_remove_makes_it_permanent():
    layer = pruned_linear()
    pruned = layer.weight.detach().clone()
    prune.remove(layer, "weight")
    assert not prune.is_pruned(layer) and not hasattr(layer, "weight_mask")
    assert isinstance(layer.weight, torch.nn.Parameter) and torch.equal(layer.weight.detach(), pruned)


def test_global_pruning_takes_pvalues_as_importance_scores():
    net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Sigmoid(), torch.nn.Linear(2, 1))
    parameters = [(net[0], "weight"), (net[2], "weight")]
    p = np.array([*P6, 0.02, 0.9])
    scores = {(net[0], "weight"): torch.tensor(p[:6]).reshape(2, 3), (net[2], "weight"): torch.tensor(p[6:])[None]}
    settings = dict(alpha=0.06, correction="fdr_bh")  # over the weights of both layers together
    prune.global_unstructured(parameters, pruning.LEGCUnstructured, importance_scores=scores, **settings)
    found = torch.cat([net[0].weight_mask.ravel(), net[2].weight_mask.ravel()]).bool()
    assert np.array_equal(found, selection.legc_mask(p, **settings))
    assert 0 < found.sum() < 8


def test_a_pruned_module_can_be_copied():
    layer = pruned_linear()
    with torch.no_grad():
        layer(torch.ones(1, 3))  # torch copies pruned modules only while their weight carries no gradient
    twin = copy.deepcopy(layer)
    assert torch.equal(twin.weight_mask, layer.weight_mask) and torch.equal(twin.weight, layer.weight)
    with torch.no_grad():
        twin.weight_orig.zero_()
        assert (twin(torch.ones(1, 3)) == twin.bias).all()
        assert not (layer(torch.ones(1, 3)) == layer.bias).all()


def test_a_state_dict_takes_the_mask_along():
    layer, other = pruned_linear(), torch.nn.Linear(3, 2)
    legc(other, "weight", np.zeros(6))
    other.load_state_dict(layer.state_dict())
    x = torch.ones(1, 3)
    assert torch.equal(other(x), layer(x)) and torch.equal(other.weight_mask, layer.weight_mask)


def test_a_pruned_module_can_be_saved_and_loaded():
    layer, file = pruned_linear(alpha=0.04, rule="causal"), io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    x = torch.ones(1, 3)
    assert torch.equal(loaded(x), layer(x)) and torch.equal(loaded.weight_mask, layer.weight_mask)
    method = next(iter(loaded._forward_pre_hooks.values()))
    assert (method.alpha, method.rule) == (0.04, "causal")
    prune.remove(loaded, "weight")


@pytest.mark.parametrize("shape", [(5,), (7,), (3, 5), (6, 2), ()])
def test_a_wrong_number_of_pvalues_is_refused_and_leaves_the_module_as_it_was(shape):
    layer = torch.nn.Linear(3, 2)
    with pytest.raises(ValueError, match=r"pvalues has shape.*\(2, 3\).*\(6,\)"):
        pruning.LEGCUnstructured.apply(layer, "weight", np.full(shape, 0.5))
    assert not prune.is_pruned(layer) and dict(layer.named_parameters()).keys() == {"weight", "bias"}


BAD = [dict(alpha=0), dict(rule="x"), dict(correction="x"), dict(pvalues=[2.0] * 6), dict(pvalues=[0.5] * 5)]


@pytest.mark.parametrize("bad", BAD)
def test_refused_choices_leave_the_module_as_it_was(bad):
    layer = torch.nn.Linear(3, 2)
    with pytest.raises(ValueError, match="allowed"):
        legc(layer, "weight", **dict(pvalues=P6) | bad)
    assert not prune.is_pruned(layer) and dict(layer.named_parameters()).keys() == {"weight", "bias"}


@pytest.mark.parametrize("bad", BAD)
def test_refused_choices_leave_an_earlier_pruning_at_work(bad):
    layer = prune.l1_unstructured(torch.nn.Linear(3, 2), "weight", amount=2)
    with pytest.raises(ValueError, match="allowed"):
        legc(layer, "weight", **dict(pvalues=P6) | bad)
    assert prune.is_pruned(layer) and (layer.weight_mask == 0).sum() == 2
    with torch.no_grad():
        layer.weight_orig.fill_(1.0)
    layer(torch.ones(1, 3))  # the mask still acts on what the weights have become
    assert torch.equal(layer.weight, layer.weight_mask)


# baselines

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


# the whole selection


def toy(n=30, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(2 * n, 3))
    y = (X[:, 0] + 0.5 * rng.normal(size=2 * n) > 0).astype(int)
    return datasets.Split(X[:n], y[:n], X[n:], y[n:], tuple("abc"), ("no", "yes"), name="toy")


SHORT = dict(
    rate=0.5, init_sd=1.0, recorded_epochs=12, partial_epochs=6, window=20, partial_window=12, steps=5, max_lag=3,
    partial_max_lag=2,
)  # fmt: skip


def short(name="published", **changes):
    return protocols.get(name, "toy", **(SHORT | changes))


@pytest.mark.parametrize("variant", protocols.VARIANTS)
@pytest.mark.parametrize("name", protocols.PROTOCOLS)
def test_the_selection_is_the_four_steps_by_hand(name, variant):
    protocol = short(name, min_tsep=2)
    found = selection.find_masks(toy(), 2, [0, 3], protocol, variant)
    epochs, window, steps, max_lag = {"FT": (12, 20, 5, 3), "PT": (6, 12, 3, 2)}[variant]
    ends = lyapunov.window_ends(epochs * 30 + 1, window, 0.1)
    runs = training.train_ensemble(toy(), 2, [0, 3], protocol, epochs=epochs, rows=ends, record="weights")
    for s in range(2):
        exponents = lyapunov.windowed_lyapunov(
            runs.weights[:, s], window, 0.1, decimals=protocol.decimals, min_tsep=2, steps=steps
        )
        error = (runs.test_error if name == "published" else runs.train_error)[:, s]
        p = granger.protocol_pvalues(error, exponents, protocol, max_lag)
        assert np.array_equal(found.exponents[:, s], exponents)
        assert np.array_equal(found.target[:, s], error)
        np.testing.assert_allclose(found.pvalues[s], p.min(axis=0), atol=1e-12)
        assert np.array_equal(found.masks[s], selection.legc_mask(p, correction=protocol.correction))


@pytest.mark.parametrize("name", protocols.PROTOCOLS)
def test_the_selection_has_the_documented_shapes(name):
    found = selection.find_masks(toy(), (3, 2), [0, 1, 2], short(name, min_tsep=2))
    n_windows = len(found.horizon.rows)
    assert found.exponents.shape == (n_windows, 3, 17) and found.target.shape == (n_windows, 3)
    assert found.pvalues.shape == (3, 17) and found.masks.shape == (3, 17) and found.masks.dtype == bool
    assert ((found.target >= 0) & (found.target <= 1)).all()


def test_the_selection_is_repeatable_and_each_seed_stands_alone():
    a, b = (selection.find_masks(toy(), 2, [0, 1], short()) for _ in range(2))
    for name in ("exponents", "target", "pvalues", "masks"):
        assert np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True)
    alone = selection.find_masks(toy(), 2, [1], short())
    assert np.array_equal(alone.exponents[:, 0], a.exponents[:, 1])
    assert np.array_equal(alone.masks[0], a.masks[1])


def test_partial_training_sees_fewer_windows_of_the_same_run():
    settings = short(partial_window=20, partial_steps=5)
    ft, pt = (selection.find_masks(toy(), 2, [0], settings, variant) for variant in ("FT", "PT"))
    n = len(pt.horizon.rows)
    assert n < len(ft.horizon.rows) and pt.horizon.epochs < ft.horizon.epochs
    assert np.array_equal(pt.exponents, ft.exponents[:n]) and np.array_equal(pt.target, ft.target[:n])


def test_mini_batches_can_be_followed_too():
    settings = short(batch_size=8, shuffle=True, recorded_epochs=40, steps=3, max_lag=2)  # 4 iterates an epoch
    found = selection.find_masks(toy(), 2, [0, 1], settings)
    assert found.exponents.shape == (len(lyapunov.window_ends(161, 20, 0.1)), 2, 8)
    assert np.isfinite(found.exponents).all()


def test_given_initial_weights_are_followed():
    initial = training.initial_parameters((3, 2, 1), 9, short())
    given = selection.find_masks(toy(), 2, [0], short(), initial=[part[None] for part in initial])
    assert np.array_equal(given.exponents, selection.find_masks(toy(), 2, [9], short()).exponents)


@pytest.mark.parametrize(
    ("changes", "variant", "message"),
    [
        (dict(), "ft", "variant='ft'.*FT, PT"),
        (dict(window=362), "FT", "window=362.*361"),
        (dict(partial_window=182), "PT", "window=182.*181"),
        (dict(window=5), "FT", "window=5.*at least 8"),
        (dict(overlap=1.0), "FT", "overlap=1.0"),
        (dict(max_lag=7), "FT", "max_lag=7.*has 19 .*up to 5"),
        (dict(window=361), "FT", "max_lag=3.*1 of 361.*up to 0"),
    ],
)
def test_a_horizon_that_cannot_work_is_refused_before_training(monkeypatch, changes, variant, message):
    monkeypatch.setattr(training, "train_ensemble", lambda *args, **kwargs: pytest.fail("trained"))
    with pytest.raises(ValueError, match=message):
        selection.find_masks(toy(), 2, [0], short(**changes), variant)


def test_differencing_needs_one_window_more():
    """17 windows are enough for 5 lags, but not once differencing has taken one: all p-values would be undefined."""
    enough = short(window=22, max_lag=5)
    assert len(selection.horizon(toy(), enough).rows) == 17
    assert np.isfinite(selection.find_masks(toy(), 2, [0], enough).pvalues).all()
    with pytest.raises(ValueError, match="max_lag=5.*has 16 .*up to 4"):
        selection.horizon(toy(), protocols.get(enough, difference=True))  # so it is known before training


TRAIN_ROWS = dict(
    cancer=546,
    titanic=891,
    banknote=1097,
    iris=120,
    iris3f=120,
    vowel=741,
    mnist5k=3500,
    mnist=29_400,
    wine=142,
    wdbc=455,
    digits=1437,
)


@pytest.mark.parametrize("variant", protocols.VARIANTS)
@pytest.mark.parametrize("protocol", protocols.PROTOCOLS)
@pytest.mark.parametrize("dataset", protocols.DATASETS)
def test_every_data_set_has_a_horizon_under_every_protocol(dataset, protocol, variant):
    X = np.empty((TRAIN_ROWS[dataset], 1))
    split = datasets.Split(X, None, X, None, ("x",), ("a", "b"), name=dataset)
    look = selection.horizon(split, protocols.get(protocol, dataset), variant)
    assert len(look.rows) > 3 * look.max_lag + 1


def test_five_models_prune_alike_and_only_candidates():
    settings = short(recorded_epochs=40, candidates="after_first", rule="causal")
    masks = rankings.model_masks(toy(), 2, [0, 1], settings)
    assert list(masks) == ["dense", "FT", "PT", "random", "magnitude"] and masks["dense"].all()
    first = 3 * 2  # weights of the first layer
    assert all(mask[:, :first].all() for mask in masks.values())
    for name in ("random", "magnitude"):
        assert (masks[name].sum(axis=1) == masks["FT"].sum(axis=1)).all()
    full = selection.find_masks(toy(), 2, [0, 1], settings)
    assert full.candidates == slice(first, 8) and full.exponents.shape[-1] == full.pvalues.shape[-1] == 2


def test_after_first_gives_the_same_choice_for_the_weights_it_looks_at():
    everything = selection.find_masks(toy(), 2, [0, 1], short())
    part = selection.find_masks(toy(), 2, [0, 1], short(candidates="after_first"))
    assert np.array_equal(part.masks[:, 6:], everything.masks[:, 6:]) and part.masks[:, :6].all()
    assert np.array_equal(part.exponents, everything.exponents[..., 6:])


@pytest.mark.parametrize("target", ["test", "train"])
def test_placebo_targets_are_the_errors_of_other_runs(target):
    settings = short(recorded_epochs=40, target=target)
    look = selection.horizon(toy(), settings)
    found = nulls.placebo_targets(toy(), 2, 3, settings, look)
    runs = training.train_ensemble(toy(), 2, [1000, 1001, 1002], settings, epochs=look.epochs, rows=look.rows)
    assert np.array_equal(found, runs.test_error if target == "test" else runs.train_error)
    assert found.shape == (len(look.rows), 3)


# structured: whole units


def combined(p):
    return stats.combine_pvalues(p, method="stouffer").pvalue


def structured(module=None, p=None, **options):
    module = torch.nn.Linear(3, 4) if module is None else module
    p = np.random.default_rng(0).uniform(0.001, 0.4, module.weight.shape) if p is None else p
    pruning.LEGCStructured.apply(module, "weight", p, **options)
    return module, p


@pytest.mark.parametrize("rule", protocols.CHOICES["rule"])
def test_whole_neurons_go_by_the_combined_pvalues_of_their_weights(rule):
    layer, p = structured(rule=rule, alpha=0.02)
    causal = np.array([combined(row) for row in p]) < 0.02
    assert 0 < causal.sum() < 4
    kept = causal if rule == "noncausal" else ~causal
    assert np.array_equal(layer.weight_mask.numpy(), np.repeat(kept[:, None], 3, axis=1))


@pytest.mark.parametrize("combine", pruning.COMBINE)
def test_units_are_combined_as_scipy_does(combine):
    p = np.random.default_rng(1).uniform(0.01, 1, 12)
    groups = np.tile([2, 0, 1], 4)
    found = pruning.combine_pvalues(p, groups, combine)
    assert np.allclose(found, [stats.combine_pvalues(p[groups == g], method=combine).pvalue for g in range(3)])


def test_weights_without_a_pvalue_have_no_say_and_units_without_any_are_kept():
    found = pruning.combine_pvalues([0.3, np.nan, np.nan, np.nan], [0, 0, 1, 1])
    assert found[0] == pytest.approx(0.3) and np.isnan(found[1])
    layer, _ = structured(p=np.array([[0.9] * 3, [np.nan] * 3, [0.9, np.nan, 0.9], [0.001] * 3]))
    assert layer.weight_mask[:, 0].tolist() == [0, 1, 0, 1]


def test_one_rounded_pvalue_does_not_outvote_the_rest():
    assert np.isfinite(pruning.combine_pvalues([0.0, 1.0, 0.5], [0, 0, 0])).all()


@pytest.mark.parametrize("amount, gone", [(0, 0), (1, 1), (3, 3), (0.5, 2), (1.0, 4)])
@pytest.mark.parametrize("rule, order", [("noncausal", -1), ("causal", 1)])
def test_an_amount_takes_the_units_with_the_weakest_evidence(amount, gone, rule, order):
    layer, p = structured(amount=amount, rule=rule)
    worst = np.argsort(order * np.array([combined(row) for row in p]))[:gone]
    assert sorted(np.flatnonzero(layer.weight_mask[:, 0] == 0)) == sorted(worst)


def test_filters_input_channels_and_heads_are_units_too():
    conv = torch.nn.Conv2d(3, 4, 2)
    p = np.full(conv.weight.shape, 0.01)
    p[:, 1] = 0.9
    structured(conv, p, dim=1)
    assert conv.weight_mask[:, 1].sum() == 0 and conv.weight_mask[:, [0, 2]].all()
    attention = torch.nn.MultiheadAttention(6, 3)
    p = np.full((18, 6), 0.01)
    p[[2, 3, 8, 9, 14, 15]] = 0.9  # the second head's queries, keys and values
    pruning.LEGCStructured.apply(
        attention, "in_proj_weight", p, groups=pruning.attention_heads(3, 6, projections=3), amount=1
    )
    assert np.flatnonzero((attention.in_proj_weight_mask == 0).all(1)).tolist() == [2, 3, 8, 9, 14, 15]
    with pytest.raises(ValueError, match="n_heads=4 .*width=6"):
        pruning.attention_heads(4, 6)


@pytest.mark.parametrize("first", ["ln", "unstructured", "legc"])
def test_structured_stacks_with_other_prunings(first):
    layer, p = torch.nn.Linear(3, 4), np.random.default_rng(0).uniform(0.001, 0.4, (4, 3))
    if first == "ln":
        prune.ln_structured(layer, "weight", 1, n=2, dim=0)
    elif first == "unstructured":
        prune.l1_unstructured(layer, "weight", 5)
    else:
        pruning.LEGCUnstructured.apply(layer, "weight", p, alpha=0.2)
    before = layer.weight_mask.clone()
    units = pruning.combine_pvalues(np.where(before.bool(), p, np.nan).ravel(), np.repeat(range(4), 3))
    units[before.sum(1).numpy() == 0] = -1  # gone already: no candidate
    structured(layer, p, amount=1, groups=np.array([0, 1, 2, 3]))
    after = before.clone()
    after[np.nanargmax(units)] = 0
    assert torch.equal(layer.weight_mask, after) and after.sum() < before.sum()
    prune.remove(layer, "weight")
    assert torch.equal(layer.weight != 0, after.bool())


@pytest.mark.parametrize(
    "bad, message",
    [
        (dict(dim=2), "dim=2"),
        (dict(amount=5), "amount=5 .*4 units"),
        (dict(amount=1.5), "amount=1.5"),
        (dict(amount=-1), "amount=-1"),
        (dict(amount=True), "amount=True"),
        (dict(combine="mean"), "combine='mean'.*stouffer"),
        (dict(groups=[0, 1]), "groups"),
        (dict(alpha=2), "alpha=2"),
        (dict(rule="both"), "rule='both'"),
        (dict(p=np.zeros(5)), r"shape \(5,\)"),
        (dict(p=np.full((4, 3), 2.0)), "allowed: 0 to 1"),
    ],
)
def test_structured_refuses_and_leaves_an_earlier_pruning_at_work(bad, message):
    layer = torch.nn.Linear(3, 4)
    prune.l1_unstructured(layer, "weight", 5)
    before = layer.weight_mask.clone()
    with pytest.raises(ValueError, match=message):
        structured(layer, **bad)
    layer(torch.ones(1, 3))
    assert torch.equal(layer.weight_mask, before) and len(layer._forward_pre_hooks) == 1


# what engineers do with a pruned model


def unstructured(module=None, stacked=False):
    module = torch.nn.Linear(3, 4) if module is None else module
    if stacked:
        prune.l1_unstructured(module, "weight", 2)
    pruning.LEGCUnstructured.apply(module, "weight", np.random.default_rng(2).uniform(0, 0.2, module.weight.shape))
    return module


@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("make", [unstructured, lambda stacked: structured(unstructured(stacked=stacked), amount=1)[0]])
def test_a_model_can_be_copied_in_the_middle_of_its_training(make, stacked):
    model = torch.nn.Sequential(make(stacked=stacked), torch.nn.ReLU())
    copy.deepcopy(model)  # freshly pruned
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        (model(torch.ones(2, 3)).sum() + model[0].weight.pow(2).sum()).backward()  # a penalty's gradient must flow too
        twin = copy.deepcopy(model)
        optimizer.step()
    assert torch.equal(twin[0].weight_mask, model[0].weight_mask)
    x, old = torch.ones(1, 3), twin(torch.ones(1, 3)).detach().clone()
    with torch.no_grad():
        model[0].weight_orig.add_(1)
    assert torch.equal(twin(x), old) and not torch.equal(model(x), old)
    twin(x).sum().backward()
    assert (twin[0].weight_orig.grad[twin[0].weight_mask == 0] == 0).all()
    for network in (model, twin):
        prune.remove(network[0], "weight")
        assert (network[0].weight[model[0].weight == 0] == 0).all() and isinstance(
            network[0].weight, torch.nn.Parameter
        )


def test_a_penalty_on_a_pruned_weight_reaches_the_parameter():
    layer = unstructured()
    layer(torch.ones(1, 3))
    layer.weight.pow(2).sum().backward()
    assert torch.allclose(layer.weight_orig.grad, 2 * layer.weight_orig * layer.weight_mask)


def test_remove_takes_every_hook_along():
    for layer in (unstructured(), structured()[0]):
        prune.remove(layer, "weight")
        assert not layer._forward_hooks and not layer._forward_pre_hooks and not list(layer.buffers())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("make", [unstructured, lambda: structured()[0]])
def test_masks_survive_a_change_of_type_saving_and_a_state_dict(dtype, make):
    layer, file = make(), io.BytesIO()
    mask = layer.weight_mask.bool()
    layer(torch.ones(1, 3)).sum().backward()  # in use, its weight a result with a graph
    layer.to(dtype)
    torch.save(layer, file)
    file.seek(0)
    loaded, fresh = torch.load(file, weights_only=False), make().to(dtype)
    fresh.load_state_dict(layer.state_dict())
    x = torch.ones(1, 3, dtype=dtype)
    for network in (layer, loaded, fresh):
        assert network(x).dtype == dtype and torch.equal(network(x), layer(x))
        assert torch.equal(network.weight != 0, mask & (network.weight_orig != 0))
        prune.remove(network, "weight")
        assert network.weight.dtype == dtype and torch.equal(network.weight != 0, mask)


def test_masks_survive_a_move_to_another_device():
    layer = unstructured().to("meta")
    assert layer.weight_mask.device.type == "meta" and layer(torch.ones(1, 3, device="meta")).shape == (1, 4)


def test_global_pruning_and_remove_work_with_both_methods():
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    where = [(model[0], "weight"), (model[1], "weight")]
    draw = np.random.default_rng(4)
    p = {pair: torch.from_numpy(draw.uniform(0, 0.2, getattr(*pair).shape)) for pair in where}
    pruning.LEGCStructured.apply(*where[0], p[where[0]], amount=1)
    pruning.LEGCUnstructured.apply(*where[1], p[where[1]])
    before = torch.cat([model[k].weight_mask.flatten() for k in (0, 1)])
    left = int(before.sum())
    prune.global_unstructured(where, prune.L1Unstructured, amount=3)
    prune.global_unstructured(where, pruning.LEGCUnstructured, importance_scores=p, alpha=0.1)
    masks = torch.cat([model[k].weight_mask.flatten() for k in (0, 1)])
    condemned = torch.cat([p[pair].flatten() for pair in where]) >= 0.1
    assert not masks[condemned].any() and (masks <= before).all() and masks.sum() <= left - 3
    for module, name in where:
        prune.remove(module, name)
    assert torch.equal(torch.cat([model[k].weight.flatten() for k in (0, 1)]) != 0, masks.bool())


def test_out_proj_follows_its_attention():
    """MultiheadAttention reads out_proj's weight without calling it, so that torch's own hook never runs."""
    torch.manual_seed(0)
    attention = torch.nn.MultiheadAttention(4, 2)
    pruning.LEGCStructured.apply(
        attention.out_proj, "weight", np.full((4, 4), 0.5), dim=1, amount=1, groups=pruning.attention_heads(2, 4)
    )
    handle = pruning.follow_forward(attention, attention.out_proj)
    optimizer = torch.optim.SGD(attention.parameters(), lr=0.5)
    x = torch.randn(3, 1, 4)
    for _ in range(3):
        optimizer.zero_grad()
        attention(x, x, x)[0].pow(2).sum().backward()
        optimizer.step()
    attention(x, x, x)
    masked = attention.out_proj.weight_orig * attention.out_proj.weight_mask
    assert torch.equal(attention.out_proj.weight, masked) and (masked == 0).any()
    handle.remove()
    assert not attention._forward_pre_hooks


def test_an_encoder_layer_in_evaluation_uses_the_mask():
    """torch's fast path reads weights behind the modules' backs; with a mask it must not be taken."""
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()
    pruning.LEGCUnstructured.apply(layer.linear1, "weight", np.tile([0.01, 0.5], (8, 2)))
    x = torch.randn(1, 3, 4)
    with torch.no_grad():
        layer.linear1.weight_orig.mul_(3)  # trained on, after the last forward pass
        masked = layer(x)
        prune.remove(layer.linear1, "weight")
        assert torch.allclose(layer(x), masked, atol=1e-6)


def test_parameters_are_pruned_by_name_all_or_none():
    model = torch.nn.Sequential(torch.nn.Embedding(5, 2), torch.nn.Conv1d(2, 3, 2), torch.nn.Linear(3, 2))
    p = {f"{k}.weight": torch.full(model[k].weight.shape, 0.9) for k in range(3)}
    with pytest.raises(ValueError, match=r"no parameter '3\.weight'; allowed: 0\.weight"):
        pruning.prune_parameters(model, p | {"3.weight": [0.5]})
    with pytest.raises(ValueError, match=r"2\.weight: pvalues has shape"):
        pruning.prune_parameters(model, p | {"2.weight": np.zeros(5)})
    assert not any(prune.is_pruned(module) for module in model)
    p["1.weight"][0] = 0.01
    masks = pruning.prune_parameters(model, p)
    assert [int(m.sum()) for m in masks.values()] == [0, 4, 0] and masks["1.weight"].dtype == torch.bool
    masks = pruning.prune_parameters(model, {"1.weight": p["1.weight"]}, pruning.LEGCStructured, amount=2)
    assert masks["1.weight"].sum() == 0
