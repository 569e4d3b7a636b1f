"""What torch asks of its own pruning methods (its test/nn/test_pruning.py), asked of both LEGC methods."""

import io
import pickle

import numpy as np
import pytest
import torch
from torch.nn.utils import prune

from legc_utils.pruning import LEGCStructured, LEGCUnstructured

METHODS = [LEGCUnstructured, LEGCStructured]
PLACES = [(make, name) for make in (lambda: torch.nn.Linear(5, 7), lambda: torch.nn.Conv3d(2, 2, 2))
          for name in ("weight", "bias")]  # fmt: skip
P2 = torch.tensor([[0.9, 0.3, 0.02, 0.01], [0.04, 0.2, 0.03, 0.8]])
everywhere = pytest.mark.parametrize(("make", "name"), PLACES, ids=["linear", "linear bias", "conv", "conv bias"])
both = pytest.mark.parametrize("method", METHODS)


def draw(module, name, seed=0):
    return np.random.default_rng(seed).uniform(0, 0.2, getattr(module, name).shape)


def linear(values=((1.0, 2, 3, 4), (-4, -3, -2, -1))):
    layer = torch.nn.Linear(len(values[0]), len(values))
    layer.weight = torch.nn.Parameter(torch.tensor(values))
    return layer


@both
@pytest.mark.parametrize("amount", ["much", 1.1, 20.0, -10, np.nan, True, [1]])
def test_an_amount_is_a_count_or_a_share(method, amount):
    with pytest.raises(ValueError, match="amount="):
        method(amount=amount)


@both
@pytest.mark.parametrize("amount", [0.34, 1500, 0, 0.0, 1, 1.0, None, np.int64(3)])
def test_an_amount_that_is_one_is_taken(method, amount):
    assert method(amount=amount).amount is amount


@both
def test_no_more_can_go_than_there_is(method):
    layer = linear()
    with pytest.raises(ValueError, match="amount=20"):
        method.apply(layer, "weight", P2, amount=20)
    assert not prune.is_pruned(layer)
    method.apply(layer, "weight", P2, amount={LEGCUnstructured: 8, LEGCStructured: 2}[method])
    assert not layer.weight_mask.any()


@pytest.mark.parametrize(
    ("amount", "size", "gone"), [(0, 15, 0), (10, 15, 10), (1, 15, 1), (1.0, 15, 15), (0.4, 17, 7)]
)
def test_an_amount_says_how_many_go(amount, size, gone):
    layer = torch.nn.Linear(size, 1)
    LEGCUnstructured.apply(layer, "weight", draw(layer, "weight"), amount=amount)
    assert (layer.weight_mask == 0).sum() == gone


@both
@everywhere
def test_mask_original_and_product_have_the_size_of_the_parameter(method, make, name):
    module = make()
    before = getattr(module, name)
    method.apply(module, name, draw(module, name))
    mask, original, product = (getattr(module, name + end) for end in ("_mask", "_orig", ""))
    assert mask.shape == original.shape == product.shape == before.shape and original is before
    assert torch.equal(product, original * mask)


@both
@pytest.mark.parametrize("options", [dict(alpha=0.999), dict(amount=0), dict(amount=0.0)])
def test_a_mask_of_ones_changes_neither_forward_nor_backward(method, options):
    layer, x = torch.nn.Linear(5, 2), torch.ones(1, 5)
    before = layer(x)
    before.sum().backward()
    grads = [p.grad.clone() for p in (layer.weight, layer.bias)]
    layer.zero_grad()
    method.apply(layer, "weight", draw(layer, "weight"), **options)
    assert torch.equal(layer(x), before) and torch.equal(layer(x), layer(x))
    layer(x).sum().backward()
    assert torch.equal(layer.weight_orig.grad, grads[0]) and torch.equal(layer.bias.grad, grads[1])


def test_forward_and_gradient_see_the_mask_and_a_step_leaves_what_is_pruned():
    layer = torch.nn.Linear(5, 2)
    p = np.full((2, 5), 0.9)
    p[1, 0] = p[0, 3] = 0
    LEGCUnstructured.apply(layer, "weight", p)
    y = layer(torch.ones(1, 5))
    assert torch.allclose(y[0], layer.weight_orig[[0, 1], [3, 0]] + layer.bias)
    y.sum().backward()
    assert torch.equal(layer.weight_orig.grad, layer.weight_mask)
    before = layer.weight_orig.detach().clone()
    torch.optim.SGD(layer.parameters(), lr=1.0).step()
    changed = layer.weight_orig != before
    assert torch.equal(changed, layer.weight_mask.bool())


@both
def test_removal_leaves_the_output_and_the_identity_of_the_parameter(method):
    layer, x = torch.nn.Linear(5, 2, bias=False), torch.ones(1, 5)
    (own,) = layer.parameters()
    method.apply(layer, "weight", draw(layer, "weight"))
    assert next(layer.parameters()) is own
    before = layer(x)
    prune.remove(layer, "weight")
    assert next(layer.parameters()) is own is layer.weight and torch.equal(layer(x), before)


@both
@everywhere
def test_removal_puts_the_pruned_parameter_back(method, make, name):
    module = make()
    with pytest.raises(ValueError):
        prune.remove(module, name)
    method.apply(module, name, draw(module, name))
    pruned, names = getattr(module, name), dict(module.named_parameters())
    assert f"{name}_orig" in names and name not in names and f"{name}_mask" in dict(module.named_buffers())
    prune.remove(module, name)
    names = dict(module.named_parameters())
    assert name in names and f"{name}_orig" not in names and not list(module.buffers()) and not prune.is_pruned(module)
    assert torch.equal(getattr(module, name), pruned)


@both
@everywhere
def test_a_pruned_module_is_pickled(method, make, name):
    module = make()
    method.apply(module, name, draw(module, name))
    again = pickle.loads(pickle.dumps(module))
    assert type(again) is type(module) and torch.equal(getattr(again, f"{name}_mask"), getattr(module, f"{name}_mask"))


def test_several_prunings_are_one_container_in_their_order():
    module = torch.nn.Conv3d(2, 2, 2)
    LEGCUnstructured.apply(module, "weight", draw(module, "weight"))
    first = module.weight_mask.clone()
    LEGCStructured.apply(module, "weight", draw(module, "weight", 1), amount=1)
    second = module.weight_mask.clone()
    prune.l1_unstructured(module, "weight", amount=1)
    (hook,) = module._forward_pre_hooks.values()
    assert isinstance(hook, prune.PruningContainer) and hook._tensor_name == "weight" and len(hook) == 3
    assert [type(hook[k]) for k in range(3)] == [LEGCUnstructured, LEGCStructured, prune.L1Unstructured]
    assert (second <= first).all() and (module.weight_mask <= second).all()
    assert module.weight_mask.sum() == second.sum() - 1


def test_a_container_takes_methods_of_its_own_tensor_only():
    container, method, other = prune.PruningContainer(), LEGCUnstructured(amount=2), LEGCUnstructured()
    container._tensor_name = method._tensor_name = "one"
    other._tensor_name = "another"
    container.add_pruning_method(method)
    with pytest.raises(ValueError):
        container.add_pruning_method(other)
    assert len(container) == 1 and container[0] is method


@pytest.mark.parametrize(
    ("method", "mask"),
    [
        (LEGCUnstructured(amount=2), [[0, 0, 1, 0], [1, 1, 0, 1]]),
        (LEGCStructured(amount=1), [[0, 0, 0, 0], [1, 1, 0, 1]]),
        (LEGCStructured(amount=1, dim=1), [[0, 1, 1, 0], [0, 1, 0, 1]]),
        (LEGCStructured(amount=1, dim=-1), [[0, 1, 1, 0], [0, 1, 0, 1]]),
    ],
)
def test_a_container_asks_only_for_what_earlier_masks_left(method, mask):
    p = torch.tensor([[0.9, 0.8, 0.3, 0.99], [0.6, 0.2, 0.99, 0.1]])
    container, before = prune.PruningContainer(), torch.tensor([[1, 1, 1, 0], [1, 1, 0, 1]])
    container._tensor_name = method._tensor_name = "one"
    container.add_pruning_method(method)
    assert container.compute_mask(p, before).tolist() == mask


def test_twice_the_same_amount_takes_the_next_ones():
    layer = linear()
    for expected in ([[0, 2, 3, 4], [-4, -3, -2, 0]], [[0, 0, 3, 4], [-4, 0, -2, 0]]):
        LEGCUnstructured.apply(layer, "weight", P2, amount=2)
        assert layer.weight.tolist() == expected


def test_equal_pvalues_are_pruned_by_number_and_the_first_go():
    p = torch.tensor([0.5, 0.1, 0.5, 0.5, 0.1, 0.5])
    assert LEGCUnstructured(amount=2).compute_mask(p, torch.ones(6)).tolist() == [0, 1, 0, 1, 1, 1]
    assert LEGCUnstructured(amount=0.5).compute_mask(p, torch.ones(6)).tolist() == [0, 1, 0, 0, 1, 1]


def test_units_are_pruned_along_any_dimension():
    p = torch.full((5, 4, 2), 0.1)
    p[:, :, 1] = 0.5
    mask = LEGCStructured(amount=0.6, dim=2).compute_mask(p, torch.ones_like(p))
    assert mask[:, :, 0].all() and not mask[:, :, 1].any()
    conv = torch.nn.Conv2d(3, 1, 2)
    p = torch.full((1, 3, 2, 2), 0.1)
    p[:, 1] = 0.8
    p[..., 0] *= 1.2
    expected = torch.ones_like(conv.weight)
    for dim, gone in ((1, (slice(None), 1)), (-1, (..., 0))):
        expected[gone] = 0
        LEGCStructured.apply(conv, "weight", p, dim=dim, amount=1)
        assert torch.equal(conv.weight_mask, expected)


def test_global_pruning_takes_the_weakest_of_all_parameters():
    m, n = linear(), linear(((0.0, 0.1, -2),))
    scores = {(m, "weight"): P2, (n, "weight"): torch.tensor([[0.5, 0.001, 0.85]])}
    prune.global_unstructured(list(scores), LEGCUnstructured, importance_scores=scores, amount=4)
    assert m.weight.tolist() == [[0, 2, 3, 4], [-4, -3, -2, 0]] and n.weight.tolist() == [[0, torch.tensor(0.1), 0]]


@pytest.mark.parametrize("scores", [None, "one"])
def test_global_pruning_refuses_the_weights_themselves(scores):
    layers = [linear(((0.1, 0.2), (0.3, 0.9))), linear(((0.1, 0.2), (0.3, 0.9)))]  # they could be p-values
    places = [(layer, "weight") for layer in layers]
    scores = scores and {places[0]: torch.full((2, 2), 0.5)}
    with pytest.raises(ValueError, match=r"no p-values; allowed: importance_scores .* every \(module, name\)"):
        prune.global_unstructured(places, LEGCUnstructured, importance_scores=scores, amount=1)
    assert not any(prune.is_pruned(layer) for layer in layers)
    with torch.no_grad(), pytest.raises(ValueError, match="allowed: 0 to 1"):
        prune.global_unstructured([(linear(), "weight")], LEGCUnstructured, amount=1)


@both
@everywhere
def test_a_failure_leaves_everything_as_it_was(method, make, name, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no")

    module = make()
    monkeypatch.setattr(method, "compute_mask", fail)
    with pytest.raises(RuntimeError, match="no"):
        method.apply(module, name, draw(module, name))
    assert name in dict(module.named_parameters()) and not list(module.buffers())
    assert f"{name}_orig" not in dict(module.named_parameters()) and not module._forward_pre_hooks


@both
def test_a_model_and_its_state_are_saved_with_original_and_mask(method):
    model = torch.nn.Sequential(torch.nn.Linear(10, 10), torch.nn.ReLU(), torch.nn.Linear(10, 1))
    method.apply(model[0], "weight", draw(model[0], "weight"))
    names = {"0.weight_orig", "0.weight_mask"}
    assert names < set(model.state_dict()) and "0.weight" not in model.state_dict()
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    again = torch.load(file, weights_only=False)
    assert set(again.state_dict()) == set(model.state_dict()) and torch.equal(again[0].weight, model[0].weight)
    pruned = model[0].weight
    prune.remove(model[0], "weight")
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    fresh = torch.nn.Sequential(torch.nn.Linear(10, 10), torch.nn.ReLU(), torch.nn.Linear(10, 1))
    fresh.load_state_dict(torch.load(file))
    assert torch.equal(fresh[0].weight, pruned)


def test_a_tensor_is_pruned_by_the_method_alone():
    t, before = torch.arange(1.0, 9).reshape(2, 4), torch.tensor([[1, 1, 1, 0], [1, 1, 0, 1]])
    p = torch.tensor([[0.9, 0.8, 0.3, 0.99], [0.6, 0.2, 0.99, 0.1]])
    pruned = LEGCUnstructured(amount=4).prune(t, before, importance_scores=p)
    assert pruned.tolist() == [[0, 0, 0, 0], [0, 6, 0, 8]]


def test_a_recurrent_layer_keeps_its_flat_weights():
    layer = torch.nn.LSTM(4, 3)
    LEGCUnstructured.apply(layer, "weight_ih_l0", draw(layer, "weight_ih_l0"))
    assert sum(isinstance(p, torch.nn.Parameter) for p in layer._flat_weights) == 3
    prune.remove(layer, "weight_ih_l0")
    assert sum(isinstance(p, torch.nn.Parameter) for p in layer._flat_weights) == 4
    assert layer._parameters["weight_ih_l0"] is dict(layer.named_parameters())["weight_ih_l0"]
    assert "weight_ih_l0_orig" not in layer._parameters
