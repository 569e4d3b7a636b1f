"""Following the weights of any torch model: the same numbers as from its whole trajectory, and visible refusals."""

import io

import numpy as np
import pytest
import torch
from torch import nn

from legc_utils import datasets, granger, lyapunov, protocols, pruning, selection, training
from legc_utils.recorder import LEGCRecorder, bytes_per_weight

WINDOW = dict(window=10, overlap=0.1)


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small are slower on two threads, much slower where another process has the second core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Mixed(nn.Module):
    """One of each kind of layer that holds weights."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(7, 4)
        self.conv1 = nn.Conv1d(4, 4, 3, padding=1)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.norm = nn.LayerNorm(4)
        self.conv2 = nn.Conv2d(1, 2, 3, padding=1)
        self.head = nn.Linear(8, 2)

    def forward(self, tokens):
        x = self.words(tokens)
        x = self.conv1(x.transpose(1, 2)).transpose(1, 2)
        x = self.norm(x + self.attention(x, x, x, need_weights=False)[0])
        return self.head(self.conv2(x[:, None]).mean(2).flatten(1))


WEIGHTS = [
    "words.weight", "conv1.weight", "attention.in_proj_weight", "attention.out_proj.weight", "conv2.weight",
    "head.weight",
]  # fmt: skip


def setting(seed=0, lr=0.05, **options):
    torch.manual_seed(seed)
    model = Mixed()
    return model, torch.optim.SGD(model.parameters(), lr=lr, momentum=0.5)


def train(model, optimizer, steps, first=0, watch=None):
    """Deterministic steps number first to first + steps, for runs that are resumed."""
    for k in range(first, first + steps):
        draw = torch.Generator().manual_seed(k)
        tokens = torch.randint(0, 7, (3, 5), generator=draw)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(tokens), tokens[:, 0] % 2).backward()
        optimizer.step()
        if watch is not None:
            watch.append(torch.cat([dict(model.named_parameters())[n].detach().flatten() for n in WEIGHTS]).numpy())


def wrong(model):
    tokens = torch.randint(0, 7, (50, 5), generator=torch.Generator().manual_seed(999))
    return lambda: (model(tokens).argmax(1) != tokens[:, 0] % 2).float().mean()


# the same numbers


def test_exponents_are_those_of_the_whole_trajectory():
    model, optimizer = setting()
    rows = [torch.cat([dict(model.named_parameters())[n].detach().flatten() for n in WEIGHTS]).numpy()]
    recorder = LEGCRecorder(model, **WINDOW, protocol="published").attach(optimizer)
    train(model, optimizer, 60, watch=rows)
    assert recorder.names == WEIGHTS
    p = protocols.get()
    whole = lyapunov.windowed_lyapunov(
        np.array(rows), 10, 0.1, decimals=p.decimals, emb_dim=p.emb_dim, steps=p.partial_steps
    )
    found = np.hstack(list(recorder.exponents().values()))
    assert found.shape == (6, recorder.n_weights) and np.array_equal(found, whole)
    assert recorder.window_ends.tolist() == [9, 18, 27, 36, 45, 54]


def test_pvalues_are_the_granger_test_of_every_weight():
    model, optimizer = setting()
    recorder = LEGCRecorder(model, **WINDOW, max_lag=3, error=wrong(model), protocol="published").attach(optimizer)
    train(model, optimizer, 200)
    errors = recorder.errors
    assert errors.shape == (recorder.n_windows,) and np.ptp(errors) > 0
    found = recorder.pvalues()
    for name, exponents in recorder.exponents().items():
        p = granger.granger_pvalues(errors, exponents, 3).min(axis=0).round(4)
        assert found[name].shape == dict(model.named_parameters())[name].shape
        assert np.array_equal(found[name].numpy().ravel(), p, equal_nan=True)
    again = recorder.pvalues([torch.tensor(e) for e in errors])  # as losses are collected
    assert all(torch.equal(again[n].nan_to_num(-1), found[n].nan_to_num(-1)) for n in found)


def test_the_papers_own_network_gets_the_papers_own_mask():
    """A plain torch loop with the recorder chooses what `find_masks` chooses with the batched engine."""
    split = datasets.load("cancer")
    p = protocols.get("published", "cancer", recorded_epochs=12, max_lag=2)
    chosen = selection.find_masks(split, p.hidden, [0], p)
    layers = training.layer_sizes(split, p.hidden)
    model = nn.Sequential(nn.Linear(9, 6), nn.Sigmoid(), nn.Linear(6, 1), nn.Sigmoid()).double()
    start = chosen.runs.initial_weights[0], chosen.runs.initial_biases[0]
    with torch.no_grad():
        for layer, (w, b) in zip((model[0], model[2]), zip(*[_layers(v, layers, k) for k, v in enumerate(start)])):
            layer.weight.copy_(torch.from_numpy(w).reshape(layer.weight.shape))
            layer.bias.copy_(torch.from_numpy(b))
    optimizer = torch.optim.SGD(model.parameters(), lr=p.rate)
    x, y = torch.from_numpy(split.X_train), torch.from_numpy(split.y_train).double()[:, None]
    test_x, test_y = torch.from_numpy(split.X_test), torch.from_numpy(split.y_test).double()[:, None]
    error = lambda: ((model(test_x) >= 0.5).double() != test_y).double().mean()
    recorder = LEGCRecorder(model, p.window, p.overlap, protocol=p, variant="FT", error=error).attach(optimizer)
    for _ in range(p.recorded_epochs):
        for k in range(len(x)):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x[k : k + 1]), y[k : k + 1]).backward()
            optimizer.step()
    assert np.abs(recorder.errors - chosen.target[:, 0]).max() < 1e-12
    masks = pruning.prune_parameters(model, recorder.pvalues(), alpha=p.alpha)
    found = torch.cat([mask.flatten() for mask in masks.values()]).numpy()
    assert np.array_equal(found, chosen.masks[0]) and not found.all()


def _layers(values, layers, biases):
    """Flat weights, or biases, of a network, one array a layer."""
    sizes = [fan_out * (1 if biases else fan_in) for fan_in, fan_out in zip(layers, layers[1:])]
    return np.split(values, np.cumsum(sizes)[:-1])


def test_recording_leaves_the_training_alone():
    plain, recorded = [], []
    model, optimizer = setting()
    train(model, optimizer, 30, watch=plain)
    model, optimizer = setting()

    def noisy():
        model.eval()
        return torch.rand(()) + model(torch.zeros(1, 5, dtype=torch.long)).sum()

    torch.manual_seed(5)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    LEGCRecorder(model, **WINDOW, error=noisy).attach(optimizer)
    train(model, optimizer, 30, watch=recorded)
    assert np.array_equal(plain, recorded)
    assert torch.equal(before, torch.random.get_rng_state()) and torch.get_num_threads() == threads
    assert all(module.training for module in model.modules())


def test_a_detached_recorder_sees_no_more_steps():
    model, optimizer = setting()
    recorder = LEGCRecorder(model, **WINDOW).attach(optimizer)
    train(model, optimizer, 12)
    recorder.detach()
    train(model, optimizer, 20)
    assert recorder.n_windows == 1
    recorder.attach(optimizer)  # rows exist: the present weights are not a new row 0
    train(model, optimizer, 5)
    assert recorder.window_ends.tolist() == [9] and recorder._stream.seen == 18


# save and resume


@pytest.mark.parametrize("stop", [3, 9, 10, 57])
@pytest.mark.parametrize("sample", [None, 5])
def test_a_killed_run_continues_to_the_same_mask(stop, sample):
    def new():
        model, optimizer = setting()
        recorder = LEGCRecorder(model, **WINDOW, sample=sample, error=wrong(model), max_lag=2)
        return model, optimizer, recorder

    model, optimizer, recorder = new()
    recorder.attach(optimizer)
    train(model, optimizer, 150)
    undisturbed, file = recorder.pvalues(), io.BytesIO()

    model, optimizer, recorder = new()
    recorder.attach(optimizer)
    train(model, optimizer, stop)
    torch.save([model.state_dict(), optimizer.state_dict(), recorder.state_dict()], file)
    train(model, optimizer, 7)  # lost: what was saved must not change any more
    file.seek(0)
    states = torch.load(file)  # weights_only: nothing but tensors and plain values
    resumed = new()
    for part, state in zip(resumed, states):
        part.load_state_dict(state)
    model, optimizer, recorder = resumed
    recorder.attach(optimizer)
    train(model, optimizer, 150 - stop, first=stop)
    found = recorder.pvalues()
    assert all(torch.equal(found[n].nan_to_num(-1), undisturbed[n].nan_to_num(-1)) for n in WEIGHTS)


@pytest.mark.parametrize(
    "other, message",
    [
        (dict(window=11), "window"),
        (dict(window=10, overlap=0.5), "overlap"),
        (dict(window=10, parameters="head.weight"), "names"),
        (dict(window=10, sample=3), "same sample"),
    ],
)
def test_a_state_of_other_choices_is_refused(other, message):
    model, optimizer = setting()
    recorder = LEGCRecorder(model, **WINDOW).attach(optimizer)
    with pytest.raises(ValueError, match=message):
        LEGCRecorder(model, **other).load_state_dict(recorder.state_dict())


# what is followed


def test_parameters_are_chosen_by_name_pattern_or_pair():
    model, _ = setting()
    assert LEGCRecorder(model, **WINDOW, parameters="head.bias").names == ["head.bias"]
    assert LEGCRecorder(model, **WINDOW, parameters=["conv*.weight"]).names == ["conv1.weight", "conv2.weight"]
    pairs = [(model.attention, "in_proj_weight"), (model.head, "weight")]
    assert LEGCRecorder(model, **WINDOW, parameters=pairs).names == ["attention.in_proj_weight", "head.weight"]


def test_frozen_parameters_are_skipped_visibly():
    model, _ = setting()
    model.words.weight.requires_grad_(False)
    with pytest.warns(UserWarning, match=r"not followed: words\.weight"):
        recorder = LEGCRecorder(model, **WINDOW)
    assert recorder.skipped == ["words.weight"] and "words.weight" not in recorder.names


def test_a_tied_weight_is_followed_once():
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    assert LEGCRecorder(model, **WINDOW).names == ["0.weight"]


def test_a_pruned_model_can_be_followed_and_pruned_while_followed():
    model, optimizer = setting()
    torch.nn.utils.prune.l1_unstructured(model.head, "weight", 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    recorder = LEGCRecorder(model, **WINDOW).attach(optimizer)
    assert recorder.names == WEIGHTS
    torch.nn.utils.prune.l1_unstructured(model.conv1, "weight", 3)
    train(model, optimizer, 20)
    assert recorder.n_windows == 2


@pytest.mark.parametrize("size", [1, 8, 9, 17, 100])
def test_a_sample_is_spread_over_output_units(size):
    model = nn.Linear(10, 8)
    recorder = LEGCRecorder(model, **WINDOW, sample=size)
    by_unit = recorder.followed()["weight"].sum(dim=1)
    assert by_unit.sum() == min(size, 80) == recorder.n_weights and by_unit.max() - by_unit.min() <= 1
    again, other = LEGCRecorder(model, **WINDOW, sample=size), LEGCRecorder(model, **WINDOW, sample=size, seed=1)
    assert torch.equal(again.followed()["weight"], recorder.followed()["weight"])
    assert size == 100 or not torch.equal(other.followed()["weight"], recorder.followed()["weight"])


def test_sampled_weights_have_the_numbers_of_a_full_recording():
    model, optimizer = setting()
    full = LEGCRecorder(model, **WINDOW, max_lag=2, error=wrong(model)).attach(optimizer)
    part = LEGCRecorder(model, **WINDOW, max_lag=2, error=wrong(model), sample=6).attach(optimizer)
    train(model, optimizer, 150)
    whole, found, followed = full.pvalues(), part.pvalues(), part.followed()
    for name in WEIGHTS:
        assert followed[name].sum() == 6 and found[name][~followed[name]].isnan().all()
        assert torch.equal(found[name][followed[name]].nan_to_num(-1), whole[name][followed[name]].nan_to_num(-1))


def test_memory_is_the_cost_models():
    model, optimizer = setting()
    recorder = LEGCRecorder(model, window=20).attach(optimizer)
    train(model, optimizer, 100)
    model_says = recorder.n_weights * bytes_per_weight(20, recorder.n_windows)
    assert model_says <= recorder.nbytes <= 1.1 * model_says


def test_max_bytes_keeps_small_layers_whole_and_shares_the_rest():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(40, 10), nn.Linear(40, 20))
    most = 50_000
    recorder = LEGCRecorder(model, **WINDOW, n_steps=99, max_bytes=most)
    small, *large = [int(m.sum()) for m in recorder.followed().values()]
    assert small == 6 and large[0] == large[1] < 400
    working = recorder._work(recorder._block, 11)  # of the tests, a block at a time
    assert 0.8 * most < recorder.n_weights * (bytes_per_weight(10, 11) + 8) + working <= most
    assert LEGCRecorder(model, **WINDOW, n_steps=99, max_bytes=10**9).n_weights == 1206


@pytest.mark.parametrize("dtype, kept", [(torch.float64, 8), (torch.float32, 4), (torch.bfloat16, 4)])
def test_iterates_are_kept_as_exactly_as_the_weights_are(dtype, kept):
    model = nn.Linear(3, 2).to(dtype)
    assert LEGCRecorder(model, **WINDOW)._row.element_size() == kept


# bad input


@pytest.mark.parametrize(
    "options, message",
    [
        (dict(window=4), "window=4 .*at least"),
        (dict(window=200.0), "window=200.0"),
        (dict(overlap=1), "overlap=1"),
        (dict(parameters="tail.*"), r"'tail\.\*'.*head\.weight"),
        (dict(parameters=[]), "nothing to follow.*head"),
        (dict(parameters=[3]), "holds 3"),
        (dict(parameters=[(nn.Linear(2, 2), "weight")]), "fits nothing"),
        (dict(sample=0), "sample=0"),
        (dict(sample=True), "sample=True"),
        (dict(max_bytes=10**6), "needs n_steps"),
        (dict(max_bytes=10, n_steps=100), "max_bytes=10 .*at least"),
        (dict(n_steps=5), "window=10 is longer than the run; allowed: at most 6"),
        (dict(n_steps=30), "max_lag=1 needs at least 5 windows, and there are 3"),
        (dict(n_steps=300, max_lag=14), "max_lag=14 .*up to 10"),
        (dict(max_lag=0), "max_lag=0"),
        (dict(error=0.5), "error=0.5"),
        (dict(seed=-1), "seed=-1 .*at least 0"),
        (dict(overlap=None), "overlap=None .*from 0 up to"),
        (dict(protocol="mine"), "protocol='mine'"),
        (dict(variant="pt"), "variant='pt' .*FT, PT"),
    ],
)
def test_bad_choices_are_refused_before_training(options, message):
    model, _ = setting()
    with pytest.raises(ValueError, match=message):
        LEGCRecorder(model, **(WINDOW | options))


def test_a_model_without_trainable_weights_is_refused():
    model = nn.Linear(2, 2).requires_grad_(False)
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="nothing to follow.*frozen: weight"):
        LEGCRecorder(model, **WINDOW)
    with pytest.raises(ValueError, match="no parameters"):
        LEGCRecorder(nn.ReLU(), **WINDOW)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_named(value):
    model, optimizer = setting()
    recorder = LEGCRecorder(model, **WINDOW).attach(optimizer)
    with torch.no_grad():
        model.conv2.weight[0, 0, 0, 0] = value
    with pytest.raises(ValueError, match=r"conv2\.weight holds NaN or infinite weights at iterate 1"):
        recorder.step()


def test_a_parameter_that_changes_shape_is_named():
    model, optimizer = setting()
    recorder = LEGCRecorder(model, **WINDOW).attach(optimizer)
    model.head = nn.Linear(8, 3)
    recorder.step()  # the recorder looks at the layer that it was given
    model, optimizer = setting()
    recorder = LEGCRecorder(model, **WINDOW).attach(optimizer)
    model.head.weight = nn.Parameter(torch.zeros(3, 8))
    with pytest.raises(ValueError, match=r"head\.weight is of shape \(3, 8\) at iterate 1; allowed: \(2, 8\)"):
        recorder.step()


@pytest.mark.parametrize(
    "error, message",
    [
        (np.zeros(3), r"shape \(3,\); allowed: \(22,\)"),
        (np.full(22, np.nan), "NaN or infinite"),
        (None, "no error function"),
    ],
)
def test_errors_that_do_not_fit_are_refused(error, message):
    model, optimizer = setting()
    recorder = LEGCRecorder(model, **WINDOW).attach(optimizer)
    train(model, optimizer, 200)
    with pytest.raises(ValueError, match=message):
        recorder.pvalues(error)


def test_an_error_function_that_returns_nan_is_named():
    model, optimizer = setting()
    LEGCRecorder(model, **WINDOW, error=lambda: float("nan")).attach(optimizer)
    with pytest.raises(ValueError, match=r"error\(\) is nan at iterate 9"):
        train(model, optimizer, 12)


class Stop(Exception):
    """A user's own."""


def fails(how, at, model):
    """An error function that fails once, at its call number `at`, after it has changed the model's mode."""
    calls, right = [], wrong(model)

    def error():
        model.eval()
        calls.append(1)
        if len(calls) != at:
            return right()
        if isinstance(how, type):
            raise how
        return how

    return error


FAILURES = [Stop, KeyboardInterrupt, torch.nan, np.inf, None, "0.1", np.ones(2), torch.ones(3), 1j, {}]


@pytest.mark.parametrize("how", FAILURES, ids=repr)
def test_an_error_that_fails_once_leaves_a_gap_and_nothing_else(how):
    model, optimizer = setting()
    undisturbed = LEGCRecorder(model, **WINDOW, max_lag=2, protocol="published", error=wrong(model)).attach(optimizer)
    train(model, optimizer, 150)

    model, optimizer = setting()
    recorder = LEGCRecorder(model, **WINDOW, max_lag=2, protocol="published", error=fails(how, 3, model)).attach(
        optimizer
    )
    train(model, optimizer, 26)  # iterate 27 ends the third window
    raised, said = (
        (how, None) if isinstance(how, type) else (ValueError, r"error\(\) is .* at iterate 27; allowed: a finite")
    )
    with pytest.raises(raised, match=said):
        train(model, optimizer, 1, first=26)
    assert all(module.training for module in model.modules())
    state, file = recorder.state_dict(), io.BytesIO()
    train(model, optimizer, 123, first=27)

    expected = np.delete(undisturbed.errors, 2)
    assert np.isnan(recorder.errors[2]) and np.array_equal(np.delete(recorder.errors, 2), expected)
    assert all(np.array_equal(a, b) for a, b in zip(recorder.exponents().values(), undisturbed.exponents().values()))
    with pytest.warns(UserWarning, match=r"no error: the windows that end at iterates \[27\]"):
        found = recorder.pvalues()
    for name, exponents in undisturbed.exponents().items():
        p = granger.granger_pvalues(expected, np.delete(exponents, 2, axis=0), 2).min(axis=0).round(4)
        assert np.array_equal(found[name].numpy().ravel(), p, equal_nan=True)

    torch.save(state, file)  # saved in the gap, and resumed
    file.seek(0)
    model, optimizer = setting()
    resumed = LEGCRecorder(model, **WINDOW, max_lag=2, protocol="published", error=wrong(model))
    train(model, optimizer, 27)
    resumed.load_state_dict(torch.load(file))
    resumed.attach(optimizer)
    train(model, optimizer, 123, first=27)
    with pytest.warns(UserWarning, match=r"\[27\]"):
        again = resumed.pvalues()
    assert all(torch.equal(again[n].nan_to_num(-1), found[n].nan_to_num(-1)) for n in WEIGHTS)


@pytest.mark.parametrize("wrap", [lambda e: np.array([e]), lambda e: torch.tensor([[e]]), np.float32, lambda e: e])
def test_an_error_may_be_anything_that_holds_one_number(wrap):
    model, optimizer = setting()
    plain = wrong(model)
    recorder = LEGCRecorder(model, **WINDOW, error=lambda: wrap(plain().item())).attach(optimizer)
    train(model, optimizer, 30)
    assert recorder.errors.shape == (3,) and np.isfinite(recorder.errors).all()


def test_gaps_in_errors_that_are_given_are_left_out_too():
    model, optimizer = setting()
    recorder = LEGCRecorder(model, **WINDOW, max_lag=2, error=wrong(model)).attach(optimizer)
    train(model, optimizer, 150)
    errors = recorder.errors
    errors[[0, 7]] = np.nan
    with pytest.warns(UserWarning, match=r"iterates \[9, 72\]"):
        recorder.pvalues(errors)
    errors[1] = np.inf
    with pytest.raises(ValueError, match="NaN or infinite"):
        recorder.pvalues(errors)
    errors[:] = np.nan
    errors[:3] = 0.1
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="at least 8 windows, and there are 3"):
        recorder.pvalues(errors)


def test_states_saved_before_gaps_were_known_still_load():
    """Errors were a list, one a window; a shorter one tells of failures, but not where."""
    model, optimizer = setting()
    recorder = LEGCRecorder(model, **WINDOW, error=wrong(model)).attach(optimizer)
    train(model, optimizer, 60)
    state, errors = recorder.state_dict(), recorder.errors
    state["errors"] = errors.tolist()
    other = LEGCRecorder(model, **WINDOW, error=wrong(model))
    other.load_state_dict(state)
    assert np.array_equal(other.errors, errors)
    other.load_state_dict(state | {"errors": errors.tolist()[:-1]})
    assert np.isnan(other.errors).all() and other.n_windows == len(errors)


def test_an_interrupt_while_exponents_are_computed_loses_no_window(monkeypatch):
    model, optimizer = setting()
    whole = LEGCRecorder(model, **WINDOW).attach(optimizer)
    recorder = LEGCRecorder(model, **WINDOW).attach(optimizer)
    train(model, optimizer, 17)
    kernel = lyapunov._exponents

    def interrupted(ring, *rest):
        if ring is recorder._stream._ring:
            raise KeyboardInterrupt
        return kernel(ring, *rest)

    monkeypatch.setattr(lyapunov, "_exponents", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(model, optimizer, 1, first=17)
    monkeypatch.undo()
    assert recorder.n_windows == 2
    train(model, optimizer, 20, first=18)
    assert all(np.array_equal(a, b) for a, b in zip(recorder.exponents().values(), whole.exponents().values()))


def test_too_short_a_run_is_named_when_it_was_not_announced():
    model, optimizer = setting()
    recorder = LEGCRecorder(model, **WINDOW, error=wrong(model)).attach(optimizer)
    train(model, optimizer, 20)
    with pytest.raises(ValueError, match="needs at least 5 windows, and there are 2"):
        recorder.pvalues()


def test_weights_that_stand_still_have_no_test_and_are_kept():
    model, optimizer = setting()
    recorder = LEGCRecorder(model, **WINDOW, error=wrong(model)).attach(optimizer)
    model.head.weight.requires_grad_(False)  # frozen while it runs
    train(model, optimizer, 100)
    p = recorder.pvalues()
    assert p["head.weight"].isnan().all()
    masks = pruning.prune_parameters(model, p)
    assert masks["head.weight"].all() and not masks["conv1.weight"].all()
