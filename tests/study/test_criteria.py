"""What others rank weights by: each against its definition, by hand or by another way to the same number."""

import copy

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from study import criteria, networks, sparsity, successors


class Chain(torch.nn.Sequential):
    """Three inputs, two hidden units, two classes."""

    def __init__(self):
        super().__init__(torch.nn.Linear(3, 2), torch.nn.ReLU(), torch.nn.Linear(2, 2))


@pytest.fixture
def chain():
    return sparsity.draw(Chain, 1)


@pytest.fixture
def task():
    rng = np.random.default_rng(0)
    X, y = torch.tensor(rng.normal(size=(40, 3)).astype("f4")), torch.tensor(rng.integers(0, 2, 40))
    return sparsity.Task(X, y, X[:5], y[:5])


def state(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_snip_is_the_slope_by_a_mask(chain, task):
    masks = [torch.ones_like(chain[k].weight, requires_grad=True) for k in (0, 2)]
    hidden = F.relu(F.linear(task.X_train[:30], chain[0].weight * masks[0], chain[0].bias))
    loss = F.cross_entropy(F.linear(hidden, chain[2].weight * masks[1], chain[2].bias), task.y_train[:30])
    expected = torch.autograd.grad(loss, masks)
    found = criteria.snip(chain, task, samples=30)
    assert list(found) == ["0.weight", "2.weight"]
    for score, slope in zip(found.values(), expected):
        torch.testing.assert_close(score, slope.abs().double())


def test_taylor_is_the_mean_of_squares_over_batches(chain, task):
    found = criteria.taylor(chain, task, batch_size=10, samples=20)["2.weight"]
    squares = []
    for rows in (slice(0, 10), slice(10, 20)):
        loss = F.cross_entropy(chain(task.X_train[rows]), task.y_train[rows])
        squares.append((chain[2].weight * torch.autograd.grad(loss, chain[2].weight)[0]) ** 2)
    torch.testing.assert_close(found, ((squares[0] + squares[1]) / 2).detach().double())


def test_movement_sums_weight_times_negative_slope(chain):
    watch = criteria.Movement(chain)
    with torch.no_grad():
        chain[2].weight.copy_(torch.tensor([[1.0, -2.0], [0.5, 3.0]]))
    for slope in ([[1.0, 1.0], [0.0, -1.0]], [[-3.0, 0.0], [2.0, 0.0]]):
        chain[2].weight.grad, chain[0].weight.grad = torch.tensor(slope), torch.zeros(2, 3)
        watch(chain)
    assert watch.scores["2.weight"].tolist() == [[2.0, 2.0], [-1.0, 3.0]]  # away from zero is positive


def test_negative_scores_go_first(chain):
    scores = {"0.weight": torch.ones(2, 3), "2.weight": torch.tensor([[-9.0, 0.5], [-8.0, 0.4]])}
    sparsity.prune_weights(chain, scores, 0.2)
    assert chain[2].weight_mask.tolist() == [[0, 1], [0, 1]]
    assert sparsity.pruned_share(chain, ["0.weight"]) == 0


def test_lamp_divides_a_square_by_those_that_are_no_smaller(chain):
    with torch.no_grad():
        chain[2].weight.copy_(torch.tensor([[1.0, -2.0], [3.0, 0.0]]))
        chain[0].weight.zero_()
    found = criteria.lamp(chain)
    torch.testing.assert_close(found["2.weight"], torch.tensor([[1 / 14, 4 / 13], [1.0, 0.0]], dtype=torch.float64))
    assert (found["0.weight"] == 0).all()


def test_wanda_ranks_weight_times_input_within_each_output(chain, task):
    found = criteria.wanda(chain, task, samples=40)
    norms = task.X_train.double().square().sum(0).sqrt()
    raw = chain[0].weight.detach().double().abs() * norms
    hidden = F.relu(chain[0](task.X_train)).detach().double().square().sum(0).sqrt()
    assert torch.equal(found["0.weight"].argsort(dim=1), raw.argsort(dim=1))
    assert torch.equal(found["2.weight"].argsort(dim=1), (chain[2].weight.detach().abs() * hidden).argsort(dim=1))
    assert found["0.weight"].sort(dim=1).values[0].tolist() == pytest.approx([1 / 6, 1 / 2, 5 / 6])
    sparsity.prune_weights(chain, {"0.weight": found["0.weight"]}, 1 / 3)
    assert (chain[0].weight_mask.sum(dim=1) == 2).all()  # the same of each output


def test_flow_by_hand_and_conserved(chain, task):
    found = criteria.flow(chain, task.X_test[:1])
    a, b = chain[0].weight.detach().double().abs(), chain[2].weight.detach().double().abs()
    torch.testing.assert_close(found["0.weight"], a * b.sum(0)[:, None])
    torch.testing.assert_close(found["2.weight"], b * a.sum(1))
    model = networks.ResNet()
    sums = {name: score.sum().item() for name, score in criteria.flow(model, torch.rand(1, 1, 28, 28)).items()}
    assert sums["stem.0.1.weight"] == pytest.approx(sums["head.weight"])
    assert sums["blocks.1.conv1.weight"] == pytest.approx(sums["blocks.1.conv2.weight"])


@pytest.mark.parametrize("network", ["ResNet", "DenseNet", "Transformer"])
def test_flow_asks_neither_for_samples_nor_for_what_is_no_weight(network):
    build = {"ResNet": networks.ResNet, "DenseNet": networks.DenseNet}.get(network, lambda: networks.Transformer(9, 8))
    model = sparsity.draw(build, 0)
    sample = torch.randint(9, (1, 8)) if network == "Transformer" else torch.rand(1, 1, 28, 28)
    before, found = state(model), criteria.flow(model, sample)
    other = criteria.flow(model, sample * 0)
    assert all((score > 0).all() and torch.equal(score, other[name]) for name, score in found.items())
    assert list(found) == networks.linear_maps(model) and torch.equal(state(model), before)
    assert criteria.effective_sparsity(model, sample) == 0


def test_synflow_prunes_in_rounds_and_keeps_a_path(chain, task):
    """In one round it may cut off what others feed: here the last round finds zeros of the earlier ones."""
    scores = criteria.synflow(chain, task.X_test[:1], 0.6)
    flat = torch.cat([s.flatten() for s in scores.values()])
    assert (flat == 0).sum() in (5, 6) and (flat > 0).any()  # six of ten go, the last one or two by these scores
    model = copy.deepcopy(chain)
    sparsity.prune_weights(model, scores, 0.6)
    assert sparsity.pruned_share(model, list(scores)) == 0.6


def test_weights_on_no_path_are_of_no_use(chain, task):
    with torch.no_grad():
        chain[0].weight[0] = 0  # nothing reaches the first hidden unit, so that its two outgoing weights are dead
    assert criteria.effective_sparsity(chain, task.X_test[:1]) == pytest.approx(5 / 10)


def test_queries_are_of_use_where_keys_are():
    model = networks.Transformer(9, 8, width=4, heads=1, blocks=1)
    with torch.no_grad():
        model.blocks[0].attention.key.weight.zero_()
    n = sum(model.get_parameter(name).numel() for name in networks.linear_maps(model))
    found = criteria.effective_sparsity(model, torch.zeros(1, 8, dtype=torch.int64))
    assert found == pytest.approx(32 / n)  # keys and queries; values are still heard


def test_a_pass_sees_what_each_step_does_to_its_own_batch(chain, task):
    before = state(chain)
    steps = criteria.one_pass(chain, task, batch_size=10, seed=3)
    assert steps.squares.shape == (4, 1, 10) and steps.change.shape == steps.predicted.shape == (4, 1)
    assert torch.equal(state(chain), before)
    np.testing.assert_allclose(steps.change, steps.predicted, rtol=0.05, atol=1e-6)
    rows = torch.randperm(40, generator=torch.Generator().manual_seed(3))[:10]
    loss = F.cross_entropy(chain(task.X_train[rows]), task.y_train[rows])
    slope = torch.autograd.grad(loss, chain[2].weight)[0]
    np.testing.assert_allclose(steps.squares[0, 0, 6:], slope.flatten().numpy() ** 2, rtol=1e-5)


def test_successors_are_fitted_as_in_chapter_15(chain, task):
    steps = criteria.one_pass(chain, task, batch_size=10, seed=3)
    found = criteria.successor_scores(chain, steps)
    assert list(found) == ["Granger", "causal", "Fisher"]
    flat = lambda name: torch.cat([s.flatten() for s in found[name].values()]).numpy()
    np.testing.assert_array_equal(flat("Granger"), np.abs(successors.granger_fit(steps)[0]))
    np.testing.assert_array_equal(flat("causal"), np.abs(successors.causal_fit(steps)[0][0]))
    np.testing.assert_array_equal(flat("Fisher"), steps.squares.mean(axis=0)[0])


def test_shuffled_scores_stay_in_their_layer():
    scores = {"a": torch.arange(50.0).reshape(5, 10), "b": 100 + torch.arange(40.0)}
    found, again = criteria.shuffled(scores, 7), criteria.shuffled(scores, 7)
    for name, score in scores.items():
        assert torch.equal(found[name].flatten().sort().values, score.flatten().sort().values)
        assert found[name].shape == score.shape and not torch.equal(found[name], score)
        assert torch.equal(found[name], again[name])
