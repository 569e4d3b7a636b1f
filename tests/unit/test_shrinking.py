"""Networks without the units that masks take: smaller, dense, and with the same outputs."""

import copy
import sys

import pytest
import torch
from torch import nn

from benchmarks import shrink as benchmark
from legc_utils import pruning, shrinking
from study import networks

tp = pytest.importorskip("torch_pruning")


def vision(name):
    """A small network of `benchmarks.shrink`, of transformers or its own, and inputs."""
    try:
        make, inputs = benchmark.networks(tiny=True)[name]
        return make(), inputs(2)
    except ImportError as error:
        pytest.skip(str(error))


class Unused(nn.Module):
    """Two branches that are added, a sigmoid, a concatenation, and a depthwise and a grouped convolution."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(3, 6, 1), nn.Conv2d(3, 4, 1)
        self.norm, self.own = nn.BatchNorm2d(6), nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.after, self.grouped = nn.Conv2d(10, 8, 1), nn.Conv2d(8, 8, 1, groups=2)
        self.last = nn.Linear(8 * 4, 5)

    def forward(self, x):
        y = self.own(torch.relu(self.norm(self.a(x)) + self.b(x)))
        y = torch.sigmoid(self.after(torch.cat([y, self.c(x).tanh()], 1)))
        return self.last(nn.functional.adaptive_avg_pool2d(self.grouped(y), 2).flatten(1))


class Recurrent(nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.rnn, self.up, self.last = kind(4, 6, batch_first=True, **options), nn.Linear(6, 8), nn.Linear(8, 3)
        if options.get("bidirectional"):
            self.up = nn.Linear(12, 8)

    def forward(self, x):
        return self.last(self.up(self.rnn(x)[0]).relu())


HERE = {
    "branches": lambda: (Unused(), torch.randn(2, 3, 6, 6)),
    "chapter 13's ResNet": lambda: (networks.ResNet((4, 6), 10), torch.randn(2, 1, 8, 8)),
    "chapter 13's DenseNet": lambda: (networks.DenseNet(10), torch.randn(2, 1, 16, 16)),
    "chapter 13's transformer": lambda: (networks.Transformer(9, 8, 16, 4, 2), torch.randint(0, 9, (2, 8))),
    "encoder": lambda: (
        nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2), torch.randn(2, 5, 8)),
    "GRU": lambda: (Recurrent(nn.GRU), torch.randn(2, 5, 4)),
    "deep LSTM": lambda: (Recurrent(nn.LSTM, num_layers=2), torch.randn(2, 5, 4)),
    "transposed": lambda: (
        nn.Sequential(nn.ConvTranspose2d(3, 8, 2), nn.InstanceNorm2d(8, affine=True), nn.ELU(), nn.Conv2d(8, 2, 1)),
        torch.randn(2, 3, 5, 5)),
}  # fmt: skip
ALL = [*HERE, "ResNet-18", "DenseNet", "MobileNet-v2", "ViT", "GPT-2", "LSTM"]
size = lambda model: sum(p.numel() for p in model.parameters())


def pruned(name, share=0.5):
    """A network in evaluation whose units are masked by p-values, its norms and biases anything but zero; inputs."""
    torch.manual_seed(0)
    model, x = HERE[name]() if name in HERE else vision(name)
    for parameter in model.parameters():
        if parameter.ndim == 1 or not parameter.any():
            nn.init.normal_(parameter, 0.5, 0.5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.track_running_stats:
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    p = {own: torch.rand(w.shape) for own, w in model.named_parameters() if w.ndim > 1}
    pruning.prune_parameters(model, p, pruning.LEGCStructured, amount=share, example_inputs=x)
    return model.eval(), x


@pytest.mark.parametrize("name", ALL)
def test_a_smaller_network_has_the_outputs_of_the_masked_one_and_is_trained_on(name):
    model, x = pruned(name)
    full, before = size(model), model(x).detach()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model(x).pow(2).mean().backward()
    optimizer.step()
    masked, old = model(x).detach(), {id(p): n for n, p in model.named_parameters()}
    moments = {old[id(p)].removesuffix("_orig"): s["exp_avg_sq"] for p, s in optimizer.state.items()}
    small = shrinking.shrink(model, x, optimizer=optimizer)
    found = small(x)
    assert (found - masked).abs().max() <= 1e-5 * max(1, masked.abs().max()) and not torch.equal(masked, before)
    assert size(small) < (0.95 if name in ("ViT", "encoder", "GRU", "deep LSTM") else 0.75) * full
    assert size(model) == full and not any(m._forward_pre_hooks for m in small.modules()) and not small.training
    mine = dict(small.named_parameters())
    assert {id(p) for g in optimizer.param_groups for p in g["params"]} == {id(p) for p in mine.values()}
    for own, parameter in mine.items():
        state = optimizer.state.get(parameter)
        if state:
            assert state["exp_avg_sq"].shape == parameter.shape and state["step"] == 1
            assert torch.isin(state["exp_avg_sq"], moments[own]).all()
    optimizer.zero_grad()
    small(x).pow(2).mean().backward()
    optimizer.step()
    assert not torch.equal(small(x), found)


def test_the_state_of_the_optimiser_goes_on_where_it_was():
    """A step of the smaller network is a step of the masked one."""
    model, x = pruned("chapter 13's ResNet")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(x).pow(2).mean().backward()
    optimizer.step()
    twin, x = copy.deepcopy(model), torch.randn(3, 1, 8, 8)
    again = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    small = shrinking.shrink(model, x, optimizer=optimizer)
    for network, own in ((twin, again), (small, optimizer)):
        own.zero_grad()
        network(x).pow(2).mean().backward()
        own.step()
    assert torch.allclose(small(x), twin(x), atol=1e-5)


def test_layers_say_of_themselves_how_large_they_are():
    model, x = pruned("branches")
    small = shrinking.shrink(model, x)
    assert (small.a.out_channels, small.norm.num_features, small.own.groups, small.own.in_channels) == (3, 3, 3, 3)
    assert small.after.in_channels == 3 + 2 and small.after.weight.shape[:2] == (8, 5)  # into the grouped one
    assert small.last.weight.shape == (5, 32) and len(small.norm.running_mean) == 3
    attention = shrinking.shrink(*pruned("chapter 13's transformer", 0.25)).blocks[0].attention
    assert attention.heads == 3 and attention.query.out_features == 12 == attention.out.in_features
    lstm = shrinking.shrink(*pruned("LSTM")).lstm
    assert (lstm.input_size, lstm.hidden_size) == (16, 8) and lstm.weight_hh_l0.shape == (32, 8)


@pytest.mark.parametrize(("name", "kept"), [
    ("encoder", ["layers.0.self_attn.in_proj_weight", "layers.0.norm1.weight"]),
    ("deep LSTM", ["rnn.weight_ih_l0", "rnn.weight_hh_l1"]), ("GRU", ["rnn.weight_ih_l0"]),
    ("branches", ["grouped.weight", "last.weight"]),
])  # fmt: skip
def test_what_cannot_be_cut_is_neither_masked_nor_cut(name, kept):
    model, x = pruned(name)
    fresh, small = HERE[name]()[0], shrinking.shrink(model, x)
    for own in kept:
        assert small.get_parameter(own).shape == fresh.get_parameter(own).shape and small.get_parameter(own).all()


def test_units_that_are_masked_without_the_graph_are_cut_if_nothing_hangs_on_them():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6), nn.Sigmoid(), nn.Linear(6, 3))
    p = {"0.weight": torch.rand(8, 4)}
    pruning.prune_parameters(model, p, pruning.LEGCStructured, amount=3)
    x = torch.randn(5, 4)
    small = shrinking.shrink(model, x)
    assert [small[k].out_features for k in (0, 2, 4)] == [5, 6, 3] and torch.allclose(small(x), model(x), atol=1e-6)
    assert small.training
    model = nn.Sequential(nn.Linear(4, 8), nn.Sigmoid(), nn.Linear(8, 3))  # a half of what is masked is used
    pruning.prune_parameters(model, p, pruning.LEGCStructured, amount=3)
    assert size(shrinking.shrink(model, x)) == size(model)


def test_a_mask_of_single_weights_leaves_zeros():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), torch.randn(5, 4)
    pruning.prune_parameters(model, {"0.weight": torch.rand(8, 4), "2.weight": torch.rand(3, 8)}, amount=0.5)
    small = shrinking.shrink(model, x)
    assert torch.allclose(small(x), model(x), atol=1e-6) and (small[0].weight == 0).any()


def test_tied_parameters_stay_whole_and_tied():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)
            self.two.weight = self.one.weight

        def forward(self, x):
            return self.last(self.two(self.one(x).relu()).relu())

    model, x = Tied(), torch.randn(4, 6)
    pruning.prune_parameters(model, {"one.weight": torch.rand(6, 6)}, pruning.LEGCStructured, amount=2)
    small = shrinking.shrink(model, x)
    assert small.one.weight is small.two.weight and torch.allclose(small(x), model(x), atol=1e-6)


def test_frozen_weights_and_modes_stay_as_they_are():
    model, x = pruned("branches")
    model.a.requires_grad_(False)
    model.train()
    model.norm.eval()
    small = shrinking.shrink(model, x)
    assert not small.a.weight.requires_grad and small.b.weight.requires_grad
    assert small.training and not small.norm.training and model.training and not model.norm.training


class Half(nn.Module):
    """A constant of the inputs' size that is no parameter hangs on the width."""

    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(4, 8), nn.Linear(8, 2)
        self.register_buffer("shift", torch.ones(8))

    def forward(self, x):
        return self.down(self.up(x) + self.shift)


def test_what_comes_out_otherwise_is_refused():
    model, x = Half(), torch.randn(3, 4)
    pruning.prune_parameters(model, {"up.weight": torch.rand(8, 4)}, pruning.LEGCStructured, amount=4, example_inputs=x)
    with pytest.raises(ValueError, match=r"other outputs.*must match the size.*allowed: within 1e-5"):
        shrinking.shrink(model, x)


def test_a_layer_that_cannot_be_traced_is_named():
    with pytest.raises(ValueError, match="rnn is a bidirectional LSTM, which the graph cannot follow"):
        shrinking.shrink(Recurrent(nn.LSTM, bidirectional=True), torch.randn(2, 5, 4))


def test_a_state_that_cannot_be_cut_is_refused():
    model, x = pruned("branches")
    optimizer = torch.optim.Adafactor(model.parameters())
    model(x).sum().backward()
    optimizer.step()
    with pytest.raises(ValueError, match="optimizer=Adafactor keeps row_var of shape"):
        shrinking.shrink(model, x, optimizer=optimizer)


@pytest.mark.parametrize("inputs", [tuple, dict])
def test_inputs_are_given_as_the_model_takes_them(inputs):
    model, x = pruned("branches")
    small = shrinking.shrink(model, (x,) if inputs is tuple else {"x": x})
    assert size(small) == size(shrinking.shrink(model, x)) < size(model)


def test_the_extra_that_is_missing_is_named(monkeypatch):
    model, x = pruned("branches")
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(ImportError, match=r"pip install legc-utils\[shrink\]"):
        shrinking.shrink(model, x)
    with pytest.raises(ImportError, match="shrink"):
        pruning.prune_parameters(model, {}, pruning.LEGCStructured, example_inputs=x)
