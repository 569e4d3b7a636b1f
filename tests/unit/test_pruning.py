"""From p-values to masks by torch's pruning interface: single weights, whole units, whole models."""

import copy
import io
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn.utils import prune

from legc_utils import protocols, pruning, selection

# single weights

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


@pytest.mark.parametrize("first", [None, "torch", "legc"])
@pytest.mark.parametrize("structured", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_the_mask_has_the_type_of_the_weights(dtype, structured, first):
    layer = torch.nn.Linear(3, 2, dtype=dtype)
    if first == "torch":
        prune.l1_unstructured(layer, "weight", 1)
    if first == "legc":
        legc(layer, "weight", P6, alpha=0.1)
    before = layer.weight_mask.bool() if first else torch.ones(2, 3, dtype=bool)
    (pruning.LEGCStructured if structured else pruning.LEGCUnstructured).apply(layer, "weight", P6)
    assert layer.weight_mask.dtype == layer.weight.dtype == dtype
    keep = before & (KEEP6.bool().reshape(2, 3) | structured)
    assert structured or torch.equal(layer.weight_mask.bool(), keep)
    assert layer(torch.ones(1, 3, dtype=dtype)).dtype == dtype


def test_global_pruning_takes_scores_of_half_precision():
    layers = [(torch.nn.Linear(3, 2, dtype=torch.bfloat16), "weight") for _ in range(2)]
    scores = {pair: torch.tensor(P6, dtype=torch.bfloat16).reshape(2, 3) for pair in layers}  # .05 is more in it
    prune.global_unstructured(layers, pruning.LEGCUnstructured, importance_scores=scores)
    assert all(torch.equal(layer.weight_mask.bool(), KEEP6.bool().reshape(2, 3)) for layer, _ in layers)
    assert all(layer.weight_mask.dtype == torch.bfloat16 for layer, _ in layers)


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
    assert type(next(iter(loaded._forward_pre_hooks.values()))) is prune.CustomFromMask  # torch's own, as is all else
    prune.remove(loaded, "weight")


@pytest.mark.parametrize("shape", [(5,), (7,), (3, 5), (6, 2), (), (3, 2), (1, 2, 3), (6, 1), (2, 1, 6)])
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


@pytest.mark.parametrize("rule", protocols.CHOICES["rule"])
def test_a_unit_that_was_not_tested_is_the_last_to_go_under_either_rule(rule):
    p = np.array([[0.9] * 3, [np.nan] * 3, [0.4] * 3, [0.001] * 3])
    for amount in (1, 2, 3):
        layer, _ = structured(p=p, amount=amount, rule=rule)
        assert layer.weight_mask[1].all() and layer.weight_mask[:, 0].sum() == 4 - amount


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


# parametrised layers


def parametrised(kind):
    layer, new = torch.nn.Linear(3, 4), torch.nn.utils.parametrizations
    make = {
        "weight_norm": new.weight_norm, "spectral_norm": new.spectral_norm, "orthogonal": new.orthogonal,
        "old weight_norm": torch.nn.utils.weight_norm, "old spectral_norm": torch.nn.utils.spectral_norm,
    }[kind]  # fmt: skip
    return torch.nn.Sequential(make(layer), torch.nn.ReLU(), torch.nn.Linear(4, 2))


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated")
@pytest.mark.parametrize(
    ("kind", "original"),
    [
        ("weight_norm", "parametrizations.weight.original1"),
        ("spectral_norm", "parametrizations.weight.original"),
        ("orthogonal", "parametrizations.weight.original"),
        ("old weight_norm", "weight_v"),
        ("old spectral_norm", "weight_orig"),
    ],
)
def test_a_parametrised_weight_is_pruned_in_its_original_by_its_public_name(kind, original):
    torch.manual_seed(0)
    model, p = parametrised(kind), np.tile([0.9, 0.01, 0.01], (4, 1))
    with pytest.raises(ValueError, match=rf"no parameter '0\.{original}'; allowed: .*0\.weight"):
        pruning.prune_parameters(model, {"2.weight": np.full((2, 4), 0.9), f"0.{original}": p})
    with pytest.raises(ValueError, match=r"'weight' is no parameter of .*Linear; allowed: bias.*in its original"):
        pruning.LEGCStructured.apply(model[0], "weight", p)
    assert not prune.is_pruned(model)
    masks = pruning.prune_parameters(model, {"0.weight": p})
    assert torch.equal(masks["0.weight"], torch.from_numpy(p < 0.05))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.ones(2, 3)).sum().backward()
        optimizer.step()
    model(torch.ones(2, 3))
    if kind != "orthogonal":  # a rotation of what is left has no zeros
        assert (model[0].weight[:, 0] == 0).all() and (model[0].weight[:, 1:] != 0).all()


@pytest.mark.parametrize("name", ["0.running_mean", "0.weight_mask", "0.weight_orig", "", "0", "7.weight"])
def test_what_is_no_parameter_is_refused_before_anything_is_pruned(name):
    model = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2))
    prune.l1_unstructured(model[0], "weight", 1)
    with pytest.raises(ValueError, match=rf"no parameter '{name}'; allowed: 0\.bias, 0\.weight, 1\.weight, 1\.bias$"):
        pruning.prune_parameters(model, {"1.weight": np.full((2, 3), 0.9), name: [0.9] * 3})
    assert not prune.is_pruned(model[1])


# export


def exported(model, *inputs):
    with warnings.catch_warnings(action="ignore"):  # torch warns that a pruned weight is assigned in a forward pass
        return torch.export.export(model, inputs)


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("stacked", [False, True])
@pytest.mark.parametrize("make", [unstructured, lambda stacked: structured(unstructured(stacked=stacked), amount=1)[0]])
def test_a_pruned_model_is_exported_as_it_is_and_goes_on(make, stacked, used):
    model, x = torch.nn.Sequential(make(stacked=stacked), torch.nn.ReLU()), torch.ones(2, 3)
    if used:
        model(x).sum().backward()
    program, file = exported(model, x), io.BytesIO()
    assert torch.equal(program.module()(x), model(x))
    torch.export.save(program, file)
    file.seek(0)
    assert torch.equal(torch.export.load(file).module()(x), model(x))
    twin = copy.deepcopy(model)
    assert torch.equal(twin(x), model(x)) and type(model[0].weight) is torch.Tensor
    prune.remove(model[0], "weight")
    assert torch.equal(exported(model, x).module()(x), twin(x))


def test_a_pruned_attention_is_exported_copied_and_followed():
    """Its out_proj is read without being called, so that no hook of out_proj runs."""
    attention = torch.nn.MultiheadAttention(4, 2)
    unstructured(attention.out_proj)
    pruning.LEGCUnstructured.apply(attention, "in_proj_weight", np.linspace(0, 0.1, 48))
    pruning.follow_forward(attention, attention.out_proj)
    x = torch.randn(3, 1, 4)
    attention(x, x, x)[0].sum().backward()
    attention(x, x, x)
    twin = copy.deepcopy(attention)
    assert torch.allclose(exported(twin, x, x, x).module()(x, x, x)[0], attention(x, x, x)[0], atol=1e-6)


@pytest.mark.parametrize("how", ["trace", "compile", "ensemble"])
def test_other_transforms_take_a_pruned_model_and_leave_it_copyable(how):
    model, x = torch.nn.Sequential(unstructured(), torch.nn.ReLU()), torch.ones(2, 3)
    expected = model(x)
    if how == "trace":
        found = torch.jit.trace(model, x)(x)
    elif how == "compile":
        found = torch.compile(model, backend="eager")(x)
    else:
        stacked = {name: p.detach()[None] for name, p in model.named_parameters()}
        found = torch.vmap(lambda p: torch.func.functional_call(model, p, (x,)))(stacked)[0]
    assert torch.equal(found, expected)
    model(x)
    assert torch.equal(copy.deepcopy(model)(x), expected)


# shares, scores, what is left out


def two_layers():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    p = {name: torch.rand(model.get_parameter(name).shape) for name in ("0.weight", "1.weight")}
    return model, p


@pytest.mark.parametrize("scope", [None, "global", "layer"])
@pytest.mark.parametrize("rule", protocols.CHOICES["rule"])
def test_a_share_of_all_weights_or_of_each_layer_goes_by_rank(scope, rule):
    model, p = two_layers()
    p["0.weight"] *= 0.5
    masks = pruning.prune_parameters(model, p, amount=0.5, scope=scope, rule=rule)
    flat, kept = (torch.cat([d[name].flatten() for name in p]) for d in (p, masks))
    if scope == "layer":
        assert [int((~m).sum()) for m in masks.values()] == [6, 4]
        flat, kept = flat[:12], kept[:12]
    weak, strong = (~kept, kept) if rule == "noncausal" else (kept, ~kept)
    assert flat[weak].min() > flat[strong].max() and (~kept).sum() == len(kept) // 2
    again = pruning.prune_parameters(model, p, amount=0.5, scope=scope)  # of what is left
    assert all((again[name] <= masks[name]).all() for name in p)
    assert sum(int(m.sum()) for m in again.values()) == 5


def test_a_weight_without_a_test_goes_last_and_of_equals_the_first():
    model, p = two_layers()
    p = {"0.weight": torch.full((4, 3), 0.5), "1.weight": torch.full((2, 4), torch.nan)}
    p["0.weight"][0] = 0.9
    masks = pruning.prune_parameters(model, p, amount=6)
    assert not masks["0.weight"][:2].any() and masks["0.weight"][2:].all() and masks["1.weight"].all()
    with pytest.warns(UserWarning, match=r"keeps nothing of 0\.weight$"):
        masks = pruning.prune_parameters(model, p, amount=8)
    assert int(masks["1.weight"].sum()) == 6 and not masks["1.weight"][0, :2].any()
    with pytest.raises(ValueError, match="amount=7 is not allowed; 6 weights are left"):
        pruning.prune_parameters(model, p, amount=7)


def test_scores_of_ones_own_take_the_place_of_pvalues():
    model, scores = two_layers()
    scores = {name: 10 * s - 5 for name, s in scores.items()}
    masks = pruning.prune_parameters(model, importance_scores=scores, amount=7)
    flat, kept = (torch.cat([d[name].flatten() for name in scores]) for d in (scores, masks))
    assert torch.equal(flat.argsort()[:7].sort()[0], (~kept).nonzero()[:, 0])
    model, scores = two_layers()
    scores["0.weight"] = torch.arange(4.0)[:, None].expand(4, 3)
    masks = pruning.prune_parameters(model, None, pruning.LEGCStructured, importance_scores=scores, amount=2)
    assert masks["0.weight"].any(1).tolist() == [False, False, True, True] == masks["0.bias"].tolist()


@pytest.mark.parametrize("exclude", ["1.*", ["1.weight"], ("*1*", "1.bias")])
def test_what_is_excluded_is_left_alone_and_has_no_part_in_the_ranks(exclude):
    model, p = two_layers()
    masks = pruning.prune_parameters(model, p, amount=6, exclude=exclude)
    assert list(masks) == ["0.weight"] and masks["0.weight"].sum() == 6 and not prune.is_pruned(model[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(exclude="2.*"), r"exclude holds '2\.\*'.*0\.weight"),
        (dict(scope="model"), "scope='model'.*global or layer"),
        (dict(scope="global", method=pruning.LEGCStructured), "scope='global'.*layer"),
        (dict(amount=1.2), "amount=1.2"),
        (dict(importance_scores={}), "importance_scores"),
        (dict(pvalues=None), "importance_scores=None"),
        (dict(pvalues=None, importance_scores={"0.weight": np.zeros((4, 3))}), "scores and amount"),
        (dict(pvalues={"0.weight": np.full((4, 3), 2.0)}, amount=1), r"0\.weight: pvalues lie in \[2, 2\]"),
        (dict(method=pruning.LEGCStructured, amount=5), "amount=5 .*4 units"),
    ],
)
def test_prune_parameters_refuses_before_anything_is_pruned(options, message):
    model, p = two_layers()
    with pytest.raises(ValueError, match=message):
        pruning.prune_parameters(model, **(dict(pvalues=p) | options))
    assert not prune.is_pruned(model)


def test_masks_that_keep_all_or_nothing_are_told():
    model, p = two_layers()
    with pytest.warns(UserWarning, match="the mask keeps everything$"):
        pruning.prune_parameters(model, {"0.weight": np.zeros((4, 3))})
    with pytest.warns(UserWarning, match=r"keeps nothing of 0\.weight$"):
        pruning.prune_parameters(model, {"0.weight": np.full((4, 3), 0.5), "1.weight": np.zeros((2, 4))})
    model, p = two_layers()
    with warnings.catch_warnings(action="error"):
        pruning.prune_parameters(model, p, amount=0.5)


# weights that are tied, or read without a call


class Reads(torch.nn.Module):
    """Reads weights of a list, a dict and a layer, none of which is called."""

    def __init__(self):
        super().__init__()
        draw = lambda: torch.nn.Parameter(torch.randn(4, 4))
        self.several, self.named = torch.nn.ParameterList([draw(), draw()]), torch.nn.ParameterDict({"one": draw()})
        self.layer, self.inner = torch.nn.Linear(4, 4), torch.nn.ModuleList([torch.nn.Linear(4, 4)])

    def forward(self, x):
        for weight in (*self.several, self.named["one"], self.layer.weight, self.inner[0].weight):
            x = torch.tanh(x @ weight)
        return x


class Windows(torch.nn.Module):
    """Attention whose projections are read, as Swin's are."""

    def __init__(self):
        super().__init__()
        self.num_heads, self.qkv, self.proj = 2, torch.nn.Linear(4, 12), torch.nn.Linear(4, 4)

    def forward(self, x):
        q, k, v = (x @ self.qkv.weight.T + self.qkv.bias).unflatten(-1, (3, 2, 2)).transpose(1, 3).unbind(2)
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        return y.transpose(1, 2).flatten(2) @ self.proj.weight.T


class Attends(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = torch.nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)[0]


READERS = {
    "attention": Attends,
    "windows": Windows,
    "parameters": Reads,
    "bare": lambda: torch.nn.MultiheadAttention(4, 2, batch_first=True),
    "encoder": lambda: torch.nn.TransformerEncoder(
        torch.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, dropout=0), 2
    ),
}


def run(model, x):
    return model(x, x, x)[0] if isinstance(model, torch.nn.MultiheadAttention) else model(x)


def reader(kind, method=pruning.LEGCUnstructured):
    torch.manual_seed(0)
    model = READERS[kind]()
    p = {name: torch.rand(w.shape) for name, w in model.named_parameters() if w.ndim > 1}
    pruning.prune_parameters(model, p, method, amount=0.5)
    return model, torch.randn(2, 3, 4)


def originals(model):
    return [p for name, p in model.named_parameters() if name.endswith("_orig")]


@pytest.mark.parametrize("method", [pruning.LEGCUnstructured, pruning.LEGCStructured])
@pytest.mark.parametrize("kind", READERS)
def test_weights_that_are_read_without_a_call_are_trained_rewound_and_copied(kind, method):
    model, x = reader(kind, method)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        run(model, x).pow(2).sum().backward()
        optimizer.step()
        twin = copy.deepcopy(model)
    model.eval()
    with torch.no_grad():
        for parameter in originals(model):
            parameter.mul_(-0.5)  # a rewind
        found = run(model, x)
        plain = pruning.finalize(copy.deepcopy(model))
        assert torch.allclose(found, run(plain, x), atol=1e-6)
        assert not torch.allclose(run(twin.eval(), x), found, atol=1e-6)  # has weights of its own
        for parameter in originals(twin):
            parameter.zero_()
        assert torch.equal(run(model, x), found) and not any(w.any() for w in originals(twin))


@pytest.mark.parametrize("kind", READERS)
def test_finalize_leaves_plain_weights_and_no_hooks(kind):
    model, x = reader(kind)
    masks = {name: m.clone() for name, m in model.state_dict().items() if name.endswith("_mask")}
    before, plain = run(model.eval(), x), READERS[kind]()
    assert pruning.finalize(model) is model and torch.allclose(run(model, x), before, atol=1e-6)
    assert set(model.state_dict()) == set(plain.state_dict()) and not prune.is_pruned(model)
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in model.modules())
    for name, mask in masks.items():
        assert torch.equal(model.state_dict()[name.removesuffix("_mask")] != 0, mask != 0)
    plain.load_state_dict(model.state_dict())
    assert torch.equal(run(plain.eval(), x), run(model, x))
    assert torch.allclose(exported(Run(model), x).module()(x), before, atol=1e-6)


class Run(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return run(self.model, x)


class Tied(torch.nn.Module):
    """A language model without a memory; embedding and head are one parameter."""

    def __init__(self):
        super().__init__()
        self.words, self.head = torch.nn.Embedding(7, 4), torch.nn.Linear(4, 7, bias=False)
        self.head.weight = self.words.weight

    def forward(self, x):
        return self.head(self.words(x))


@pytest.mark.parametrize("name", ["words.weight", "head.weight"])
@pytest.mark.parametrize("removed", [["words"], ["head"], ["words", "head"], ["head", "words"]])
def test_tied_weights_are_masked_together_and_stay_tied(name, removed):
    model, x, p = Tied(), torch.arange(7)[None], torch.rand(7, 4)
    full = model(x)
    masks = pruning.prune_parameters(model, {name: p}, amount=0.5)
    assert torch.equal(model.words.weight, model.head.weight) and masks[name].sum() == 14
    assert model.words.weight_orig is model.head.weight_orig and not torch.allclose(model(x), full)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(x).pow(2).sum().backward()
    optimizer.step()
    twin, before = copy.deepcopy(model), model(x)
    assert torch.equal(twin(x), before)
    for own in removed:
        prune.remove(getattr(model, own), "weight")
        assert torch.equal(model(x), before)
    pruning.finalize(twin)
    assert twin.words.weight is twin.head.weight and torch.equal(twin(x), before)


# files


@pytest.mark.parametrize("kind", READERS)
def test_a_pickled_model_needs_no_package_of_ours(kind, tmp_path):
    model, x = reader(kind)
    run(model, x).sum().backward()
    torch.save(model, tmp_path / "model.pt")
    assert b"legc_utils" not in pickle.dumps(model) and b"legc_utils" not in (tmp_path / "model.pt").read_bytes()
    again = torch.load(tmp_path / "model.pt", weights_only=False)
    assert torch.equal(run(again.eval(), x), run(model.eval(), x))
    pruning.apply_masks(again, again.state_dict())  # has it read masked again
    for parameter in originals(again):
        parameter.data.mul_(2)
    assert torch.allclose(run(again, x), run(pruning.finalize(copy.deepcopy(again)), x), atol=1e-6)


def test_a_pickled_model_is_loaded_where_the_package_is_missing(tmp_path):
    model = torch.nn.Sequential(unstructured(), torch.nn.ReLU())
    torch.save(model, tmp_path / "model.pt")
    script = "import sys, torch; sys.modules['legc_utils'] = None; m = torch.load(sys.argv[1], weights_only=False); "
    script += "torch.nn.utils.prune.remove(m[0], 'weight'); print(int((m[0].weight != 0).sum()))"
    found = subprocess.run([sys.executable, "-c", script, tmp_path / "model.pt"], capture_output=True, text=True)
    assert found.stdout.strip() == str(int(model[0].weight_mask.sum())), found.stderr


@pytest.mark.parametrize("file", ["masks.pt", "masks.safetensors", None])
@pytest.mark.parametrize("kind", ["encoder", "tied"])
def test_masks_are_put_on_a_fresh_model(kind, file, tmp_path):
    if file and file.endswith("safetensors"):
        pytest.importorskip("safetensors")
    if kind == "tied":
        model, x, fresh = Tied(), torch.arange(7)[None], Tied()
        masks = pruning.prune_parameters(model, {"words.weight": torch.rand(7, 4)}, amount=0.5)
    else:
        (model, x), fresh = reader(kind), READERS[kind]()
        masks = {n.removesuffix("_mask"): m.bool() for n, m in model.state_dict().items() if n.endswith("_mask")}
    if file:
        pruning.save_masks(model, tmp_path / file)
        masks = tmp_path / file
    found = pruning.apply_masks(fresh, masks)
    assert all(m.dtype == torch.bool and not m.all() for m in found.values())
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(run(fresh.eval(), x), run(model.eval(), x))


def test_masks_that_do_not_fit_are_refused_before_anything_is_pruned(tmp_path):
    model, _ = two_layers()
    with pytest.raises(ValueError, match="no masks to save"):
        pruning.save_masks(model, tmp_path / "masks.pt")
    good = {"0.weight": torch.ones(4, 3)}
    with pytest.raises(ValueError, match=r"no parameter '2\.weight'; allowed: 0\.weight"):
        pruning.apply_masks(model, good | {"2.weight": torch.ones(2)})
    with pytest.raises(ValueError, match=r"mask of 1\.weight has shape \(2,\); allowed: \(2, 4\)"):
        pruning.apply_masks(model, good | {"1.weight_mask": torch.ones(2)})
    assert not prune.is_pruned(model)


# whole units


@pytest.mark.parametrize("combine", protocols.CHOICES["combine"])
def test_units_are_combined_as_scipy_does_whatever_their_sizes(combine):
    draw = np.random.default_rng(0)
    groups, p = draw.integers(0, 30, 400), draw.random(400)
    groups[groups == 7] = 8  # one without any weight
    p[draw.random(400) < 0.3] = np.nan
    p[groups == 5] = np.nan
    found = pruning.combine_pvalues(p, groups, combine)
    for unit in range(30):
        own = p[(groups == unit) & ~np.isnan(p)]
        expected = stats.combine_pvalues(own, combine).pvalue if len(own) else np.nan
        np.testing.assert_allclose(found[unit], expected, rtol=0, atol=1e-10)


def test_units_of_one_size_are_combined_in_one_call(monkeypatch):
    calls = []
    original = stats.combine_pvalues
    monkeypatch.setattr(stats, "combine_pvalues", lambda *a, **k: calls.append(a) or original(*a, **k))
    pruning.combine_pvalues(np.random.default_rng(0).random(6000), np.repeat(np.arange(1000), 6))
    assert len(calls) == 1


class Conv1D(torch.nn.Module):
    """As transformers has it: a linear layer, inputs first."""

    def __init__(self, nf, nx):
        super().__init__()
        self.nf, self.nx = nf, nx
        self.weight, self.bias = torch.nn.Parameter(torch.randn(nx, nf)), torch.nn.Parameter(torch.randn(nf))

    def forward(self, x):
        return x @ self.weight + self.bias


@pytest.mark.parametrize("make", [torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d, Conv1D, torch.nn.Linear])
def test_outputs_are_counted_where_a_layer_has_them_and_their_biases_go(make):
    module = make(*{Conv1D: (4, 3), torch.nn.Linear: (3, 4)}.get(make, (3, 4, 2)))
    out = 0 if isinstance(module, torch.nn.Linear) else 1
    p = np.full(module.weight.shape, 0.1)
    p.swapaxes(0, out)[2] = 0.9
    gone = torch.tensor([False, False, True, False])
    twin = copy.deepcopy(module)
    structured(twin, p, amount=1)
    model = torch.nn.Sequential(module)
    masks = pruning.prune_parameters(model, {"0.weight": p}, pruning.LEGCStructured, amount=1)
    for mask in (twin.weight_mask, masks["0.weight"]):
        assert torch.equal(mask.movedim(out, 0).flatten(1).sum(1) == 0, gone) and mask.sum() == 0.75 * mask.numel()
    assert torch.equal(~masks["0.bias"], gone) and prune.is_pruned(module)


@pytest.mark.parametrize("biases", [True, False])
def test_biases_and_norms_of_pruned_filters_go_with_them(biases):
    model = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 1), torch.nn.ReLU()
    )
    model[1].bias.data.fill_(1.0)
    p = {name: np.random.default_rng(0).random(model.get_parameter(name).shape) for name in ("0.weight", "3.weight")}
    masks = pruning.prune_parameters(model, p, pruning.LEGCStructured, amount=0.5, biases=biases)
    gone = masks["0.weight"].flatten(1).sum(1) == 0
    silent = model[:3](torch.randn(5, 2, 6, 6)).amax((0, 2, 3)) == 0
    assert set(masks) == {"0.weight", "3.weight"} | ({"0.bias", "1.weight", "1.bias", "3.bias"} if biases else set())
    assert gone.sum() == 2 and torch.equal(silent, gone) == biases


@pytest.mark.parametrize("kind", ["torch", "four", "one"])
def test_queries_keys_values_and_output_of_a_head_go_together(kind):
    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.n_heads = 3
            sizes = dict(four=[("q", 6), ("k", 6), ("v", 6), ("out", 6)], one=[("qkv", 18), ("out", 6)])
            for name, size in sizes[kind]:
                self.add_module(name, torch.nn.Linear(6, size))

    model = torch.nn.MultiheadAttention(6, 3) if kind == "torch" else Own()
    stacked = {"torch": "in_proj_weight", "one": "qkv.weight", "four": None}[kind]
    names = [stacked] if stacked else ["q.weight", "k.weight", "v.weight"]
    p = {name: np.full(model.get_parameter(name).shape, 0.5) for name in names}
    p[names[-1]][-3] = 0.9  # of the second head's values
    masks = pruning.prune_parameters(model, p, pruning.LEGCStructured, amount=1)
    rows = torch.tensor([True, True, False, False, True, True])
    assert torch.equal(torch.cat([masks[n].all(1) for n in names]), rows.repeat(3))
    biases = [m for n, m in masks.items() if n.endswith("bias") and "out" not in n]
    assert torch.equal(torch.cat(biases), rows.repeat(3))
    output = masks["out_proj.weight" if kind == "torch" else "out.weight"]
    assert torch.equal(output.all(0), rows) and not output[:, ~rows].any()


@pytest.mark.parametrize("amount", [0.9, 0.99, 0.999])
def test_a_share_never_empties_a_layer(amount):
    layer, _ = structured(torch.nn.Linear(3, 4), np.random.default_rng(0).random((4, 3)), amount=amount)
    assert layer.weight_mask.any(1).sum() == 1
    structured(layer, np.random.default_rng(0).random((4, 3)), amount=amount)
    assert layer.weight_mask.any(1).sum() == 1
