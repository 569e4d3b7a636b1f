"""The small networks: their shapes, what the papers they are from say of them, and that they can be pruned."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.utils import prune

from study import networks

BUILD = {
    "ResNet": (networks.ResNet, lambda: torch.rand(3, 1, 28, 28), (3, 10)),
    "DenseNet": (networks.DenseNet, lambda: torch.rand(3, 1, 28, 28), (3, 10)),
    "Transformer": (lambda: networks.Transformer(20, context=8), lambda: torch.randint(20, (3, 8)), (3, 8, 20)),
}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", BUILD)
def test_logits_have_the_shape_of_the_answer(name):
    build, inputs, shape = BUILD[name]
    assert build()(inputs()).shape == shape


@pytest.mark.parametrize("name", BUILD)
def test_linear_maps_are_all_weights_of_linear_and_convolutional_layers(name):
    model = BUILD[name][0]()
    found = {n: model.get_parameter(n) for n in networks.linear_maps(model)}
    others = {n: p for n, p in model.named_parameters() if n not in found}
    assert all(p.ndim in (2, 4) for p in found.values())
    assert all(p.ndim == 1 or n in ("characters.weight", "positions.weight") for n, p in others.items())
    assert 5_000 < sum(p.numel() for p in found.values()) < 50_000


def test_the_table_of_layers():
    table = networks.layers(networks.Transformer(20, context=8, width=12, heads=3, blocks=1))
    assert table.loc["blocks.0.attention.value.weight"].tolist() == [(12, 12), 144, 3]
    assert table.loc["blocks.0.up.weight"].tolist() == [(24, 12), 288, 24]
    assert table.weights.sum() == 4 * 144 + 2 * 288 + 20 * 12 and table.units.isna().sum() == len(table) - 2


@pytest.mark.parametrize("name", BUILD)
def test_units_are_equal_groups_of_rows_of_linear_maps(name):
    model = BUILD[name][0]()
    assert model.units and set(model.units) <= set(networks.linear_maps(model))
    assert all(len(model.get_parameter(n)) % n_units == 0 for n, n_units in model.units.items())


@pytest.mark.parametrize("name", BUILD)
def test_every_linear_map_can_be_pruned_and_matters(name):
    build, inputs, _ = BUILD[name]
    model, x = build().eval(), inputs()
    for full in networks.linear_maps(model):
        before = model(x)
        module, _, own = full.rpartition(".")
        module = model.get_submodule(module)
        prune.l1_unstructured(module, own, 0.5)
        assert not torch.equal(model(x), before), full
        prune.remove(module, own)


@pytest.mark.parametrize("name", BUILD)
def test_side_by_side_networks_answer_and_learn_as_each_alone(name):
    build, inputs, _ = BUILD[name]
    build, x = build if name != "Transformer" else partial(networks.Transformer, 20, context=8), inputs()
    models = [build() for _ in range(3)]
    many = networks.side_by_side(build, models)
    out = many(x)
    (out.flatten(0, -2) ** 2).mean(0).sum().backward()
    for k, (model, own) in enumerate(zip(models, out.chunk(3, dim=-1))):
        alone = model(x)
        torch.testing.assert_close(own, alone, rtol=1e-4, atol=1e-5)
        (alone.flatten(0, -2) ** 2).mean(0).sum().backward()
        for full, parameter in model.named_parameters():
            dim = 1 if full in ("characters.weight", "positions.weight") else 0
            gradient = many.get_parameter(full).grad.chunk(3, dim)[k]
            torch.testing.assert_close(gradient, parameter.grad, rtol=1e-3, atol=1e-5 * out.detach().abs().max().item())


def test_side_by_side_networks_never_meet():
    models = [networks.Transformer(20, context=8) for _ in range(3)]
    x, build = torch.randint(20, (3, 8)), partial(networks.Transformer, 20, context=8)
    before = networks.side_by_side(build, models)(x).chunk(3, dim=-1)
    for parameter in models[1].parameters():
        parameter.data += 1
    after = networks.side_by_side(build, models)(x).chunk(3, dim=-1)
    assert [torch.equal(a, b) for a, b in zip(before, after)] == [True, False, True]


@pytest.mark.parametrize("rows", [8, 13])
def test_the_gradient_of_many_small_maps_is_autograds(rows):
    x = torch.randn(rows, 2 * 5, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2 * 3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, w: networks._Maps.apply(x, w, 2), (x, weight))


def test_a_residual_block_without_its_branch_is_its_shortcut():
    block, x = networks.BasicBlock(4, 4, 1).eval(), torch.randn(2, 4, 7, 7)
    torch.nn.init.zeros_(block.norm2.weight)
    assert torch.equal(block(x), x.relu())


def test_a_dense_layer_keeps_what_it_was_given_in_front():
    layer, x = networks.DenseLayer(4, 3).eval(), torch.randn(2, 4, 7, 7)
    assert layer(x).shape == (2, 7, 7, 7) and torch.equal(layer(x)[:, :4], x)


def test_attention_is_torchs_own_with_a_causal_mask():
    own = networks.Attention(12, 3)
    torchs = torch.nn.MultiheadAttention(12, 3, bias=False, batch_first=True)
    torchs.in_proj_weight.data = torch.cat([own.query.weight, own.key.weight, own.value.weight]).detach()
    torchs.out_proj.weight.data = own.out.weight.detach()
    x, later = torch.randn(2, 5, 12), torch.ones(5, 5).triu(1).bool()
    torch.testing.assert_close(own(x), torchs(x, x, x, attn_mask=later)[0])


def test_the_transformer_does_not_read_ahead():
    model, x = networks.Transformer(20, context=8), torch.randint(20, (1, 8))
    changed = x.clone()
    changed[0, 5] = (x[0, 5] + 1) % 20
    same = (model(x) == model(changed)).all(dim=-1)[0]
    assert same[:5].all() and not same[5:].any()


def test_a_head_without_values_is_a_head_without_a_say():
    attention, x = networks.Attention(12, 3), torch.randn(2, 5, 12)
    attention.value.weight.data[4:8] = 0
    before = attention(x)
    attention.query.weight.data[4:8] = torch.randn(4, 12)
    assert torch.equal(attention(x), before)


def test_bad_sizes_are_refused_with_what_is_allowed():
    with pytest.raises(ValueError, match="width=10 is not allowed with 4 heads.*multiple of 4"):
        networks.Attention(10, 4)
    with pytest.raises(ValueError, match="9 characters; allowed: up to 8"):
        networks.Transformer(20, context=8)(torch.zeros(1, 9, dtype=torch.int64))


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_the_mlp_is_the_network_that_training_computes(output):
    layers, rng = (3, 5, 4, 2), np.random.default_rng(0)
    weights, biases, X = rng.normal(size=(6, 43)), rng.normal(size=(6, 11)), rng.normal(size=(7, 3))
    batched = networks.forward(weights, biases, X, layers, output)
    for m in range(6):
        module = networks.mlp(weights[m], biases[m], layers, output)
        with torch.no_grad():
            np.testing.assert_allclose(module(torch.tensor(X)), batched[m], rtol=0, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_forward_takes_one_block_of_inputs_a_group(groups):
    layers, rng = (3, 4, 2), np.random.default_rng(0)
    weights, biases, X = rng.normal(size=(6, 20)), rng.normal(size=(6, 6)), rng.normal(size=(groups, 7, 3))
    found = networks.forward(weights, biases, X, layers)
    assert found.shape == (6, 7, 2) and found.dtype == torch.float64
    for m in range(6):
        alone = networks.forward(weights[m : m + 1], biases[m : m + 1], X[m * groups // 6], layers)
        np.testing.assert_allclose(found[m], alone[0], rtol=0, atol=1e-12)


def test_the_mlp_copies_its_weights():
    weights, biases = np.ones(8), np.zeros(3)
    networks.mlp(weights, biases, (3, 2, 1))[0].weight.data.zero_()
    assert (weights == 1).all()
