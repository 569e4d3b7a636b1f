"""What an engineer's own model, optimiser and loop ask of the recorder."""

import copy
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

from legc_utils import granger, lyapunov, protocols, selection
from legc_utils import recorder as module
from legc_utils.recorder import LEGCRecorder, named_parameters

WINDOW = dict(window=10, overlap=0.1)


def task(seed=0, **options):
    """A small model with batch norm, its optimiser, one step of training, and its error."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    X = torch.randn(200, 4)
    y = (X[:, 0] > X[:, 1]).long()

    def train(steps, rate=None):
        for k in range(steps):
            rows = torch.arange(8) + 8 * k % 200
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()

    return model, optimizer, train, lambda: (model(X).argmax(1) != y).float().mean()


def walk(recorder, model, steps, seed=0, size=1e-2):
    """Steps of a random walk of the weights, taken by hand."""
    draw = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        recorder.step()
        with torch.no_grad():
            for p in model.parameters():
                p += size * torch.randn(p.shape, generator=draw)


# lag and noise


@pytest.mark.parametrize("steps", [120, 420, 1500])
def test_the_default_lag_keeps_the_level_of_noise_however_long_the_run(steps):
    model = nn.Linear(3, 2)
    recorder = LEGCRecorder(model, **WINDOW)
    walk(recorder, model, steps)
    error = np.random.default_rng(steps).random(recorder.n_windows)
    assert recorder.noise_share(error=error) < 0.09
    largest = LEGCRecorder(model, **WINDOW, max_lag=granger.longest_lag(recorder.n_windows))
    largest.load_state_dict(recorder.state_dict() | largest._settings())
    assert largest.noise_share(error=error) > 0.4
    with pytest.warns(UserWarning, match="of pure noise .* would be kept with max_lag="):
        largest.pvalues(error)


def test_noise_is_tested_as_the_weights_are_and_always_the_same():
    model = nn.Linear(3, 2)
    recorder = LEGCRecorder(model, **WINDOW, max_lag=2)
    walk(recorder, model, 200)
    error = np.random.default_rng(1).random(recorder.n_windows)
    noise = np.random.default_rng(0).standard_normal((recorder.n_windows, 1000))
    p = granger.granger_pvalues(error, noise, 2).min(axis=0)
    assert recorder.noise_share(error=error) == np.mean(p < 0.05)
    assert recorder.noise_share(rule="causal", error=error) == np.mean(p >= 0.05)


def test_a_mask_that_keeps_all_or_nothing_is_told():
    for keep, said in ((np.ones(3, bool), "everything"), (torch.zeros(3), "nothing")):
        with pytest.warns(UserWarning, match=f"mine keeps {said}"):
            selection.warn_if_one_sided(keep, "mine")
    with warnings.catch_warnings(action="error"):
        selection.warn_if_one_sided(np.array([True, False]))


# flat errors


@pytest.mark.parametrize("flat_from", [0, 1, 3])
def test_a_flat_error_gives_nan_at_once_with_a_warning(flat_from, monkeypatch):
    monkeypatch.setattr(granger, "_by_statsmodels", lambda *_: pytest.fail("one by one"))
    model = nn.Linear(30, 20)
    recorder = LEGCRecorder(model, **WINDOW, max_lag=8)
    walk(recorder, model, 300)
    error = np.full(recorder.n_windows, 0.1)
    error[:flat_from] = [0.5, 0.3, 0.2][:flat_from]
    with pytest.warns(UserWarning, match="no weight has a test.*the error is flat"):
        found = recorder.pvalues(error)
    assert found["weight"].isnan().all()


def test_what_is_too_near_to_degenerate_is_left_to_statsmodels_only_where_it_is_asked_for(monkeypatch):
    rng, asked = np.random.default_rng(0), []
    target, lines = rng.normal(size=44), np.outer(np.arange(44.0), np.ones(9))
    monkeypatch.setattr(granger, "_by_statsmodels", lambda *_: asked.append(1) or 0.5)
    found = granger.granger_pvalues(target, lines, 4, exact=False)
    assert not asked and np.isnan(found[-1]).all()
    granger.granger_pvalues(target, lines, 4)
    assert asked


# what is followed


class Tokens(nn.Module):
    """Parameters that are no weights of linear maps, and layers of one's own that are."""

    def __init__(self):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 4))
        self.pos_embedding = nn.Parameter(torch.zeros(1, 5, 4))
        self.layer_scale = nn.Parameter(torch.ones(4, 1, 1))
        self.wte, self.wpe = nn.Embedding(7, 4), nn.Embedding(5, 4)
        self.norm, self.plane = nn.LayerNorm(4), nn.LayerNorm([4, 4])
        self.attention = nn.MultiheadAttention(4, 2, add_bias_kv=True)
        self.lstm = nn.LSTM(4, 3, proj_size=2)
        self.both, self.up = nn.Bilinear(2, 3, 4), nn.ConvTranspose2d(2, 3, 3)
        self.normed = nn.utils.parametrizations.weight_norm(nn.Linear(4, 3))
        self.own = Own()


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.gate_proj = nn.Parameter(torch.ones(3, 3)), nn.Parameter(torch.ones(2, 3, 3))
        self.table = nn.Parameter(torch.ones(3, 3))


def test_weights_of_linear_maps_are_followed_and_nothing_else():
    assert LEGCRecorder(Tokens(), **WINDOW).names == [
        "wte.weight", "attention.in_proj_weight", "attention.out_proj.weight", "lstm.weight_ih_l0", "lstm.weight_hh_l0",
        "lstm.weight_hr_l0", "both.weight", "up.weight", "normed.weight", "own.weight", "own.gate_proj",
    ]  # fmt: skip


KINDS = [getattr(parametrizations, name) for name in ("weight_norm", "spectral_norm", "orthogonal")]


@pytest.mark.parametrize("wrap", [*KINDS, nn.utils.weight_norm, nn.utils.spectral_norm])
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_parametrised_weights_go_by_their_public_name(wrap):
    model = nn.Sequential(wrap(nn.Linear(4, 4)))
    recorder = LEGCRecorder(model, **WINDOW)
    assert recorder.names == ["0.weight"] and recorder.followed()["0.weight"].shape == (4, 4)
    assert LEGCRecorder(model, **WINDOW, parameters=[(model[0], "weight")]).names == ["0.weight"]
    walk(recorder, model, 20)
    owner, own, _ = named_parameters(model)["0.weight"]
    prune.random_unstructured(owner, own, 3)
    assert "0.weight" in named_parameters(model)
    recorder.step()


def test_wrappers_add_nothing_to_names():
    plain = nn.Sequential(nn.Linear(3, 2))
    names = LEGCRecorder(plain, **WINDOW).names
    for wrapped in (nn.DataParallel(plain), torch.compile(plain), torch.compile(nn.DataParallel(plain))):
        assert LEGCRecorder(wrapped, **WINDOW).names == names
    holder = nn.Sequential()
    holder.module = plain  # a name of one's own
    assert LEGCRecorder(holder, **WINDOW).names == ["module.0.weight"]


@pytest.mark.parametrize(
    "model, message",
    [
        (nn.LayerNorm([3, 3]), "leaves nothing to follow; the model has: weight, bias"),
        (nn.LazyLinear(3), "weight is not yet initialised: run the model on one batch"),
        (nn.Linear(3, 2, device="meta"), "weight is on meta"),
        ([nn.Linear(3, 2)], "model is of type list"),
    ],
)
def test_a_model_that_cannot_be_followed_is_named(model, message):
    with pytest.raises(ValueError, match=message):
        LEGCRecorder(model, **WINDOW)


# attach


class Wrapped:
    def __init__(self, optimizer):
        self.optimizer = optimizer


def test_a_wrapped_optimiser_is_unwrapped():
    model, optimizer, train, _ = task()
    recorder = LEGCRecorder(model, **WINDOW).attach(Wrapped(Wrapped(optimizer)))
    train(12)
    assert recorder.seen == 13


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda o: None, "type NoneType; .*attach when training begins"),
        (lambda o: [o], "type list; allowed: one torch.optim.Optimizer"),
        (lambda o: torch.optim.lr_scheduler.StepLR(o, 3), "type StepLR"),
        (lambda o: torch.optim.SGD(nn.Linear(4, 6).parameters(), lr=0.1), r"SGD holds none of 0\.weight, 3\.weight"),
    ],
)
def test_what_is_no_optimiser_of_this_model_is_named(make, message):
    model, optimizer, *_ = task()
    with pytest.raises(ValueError, match=message):
        LEGCRecorder(model, **WINDOW).attach(make(optimizer))


def test_an_optimiser_of_some_of_the_parameters_is_told():
    model, *_ = task()
    with pytest.warns(UserWarning, match=r"SGD does not move what is followed: 0\.weight"):
        LEGCRecorder(model, **WINDOW).attach(torch.optim.SGD(model[3].parameters(), lr=0.1))


def test_a_second_attach_is_refused_by_name():
    model, optimizer, *_ = task()
    recorder = LEGCRecorder(model, **WINDOW).attach(optimizer)
    with pytest.raises(ValueError, match="attached to SGD already"):
        recorder.attach(optimizer)
    recorder.detach()
    recorder.attach(optimizer)


def test_attach_and_step_take_each_iterate_once():
    model, optimizer, train, _ = task()
    recorder = LEGCRecorder(model, **WINDOW).attach(optimizer)
    for _ in range(5):
        train(1)
        with pytest.warns(UserWarning, match="ignored: the recorder is attached"):
            recorder.step()
    assert recorder.seen == 6


def test_a_fused_step_that_the_scaler_skips_is_no_iterate():
    model, *_ = task()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=True)
    recorder = LEGCRecorder(model, **WINDOW).attach(optimizer)
    for skipped in (1.0, 0.0, 1.0, 0.0, 0.0):  # as GradScaler tells a fused optimiser
        optimizer.grad_scale, optimizer.found_inf = torch.tensor(1.0), torch.tensor(skipped)
        model(torch.randn(8, 4)).sum().backward()
        optimizer.step()
    assert recorder.seen == 4


def test_a_copy_is_not_attached():
    model, optimizer, train, _ = task()
    recorder = LEGCRecorder(model, **WINDOW).attach(optimizer)
    twin = copy.deepcopy(recorder)
    train(5)
    assert twin.seen == 1 and "not attached" in repr(twin) and repr(recorder).endswith("windows, attached)")


def test_what_is_trained_only_later_is_told():
    model, optimizer, train, _ = task()
    model[0].weight.requires_grad_(False)
    with pytest.warns(UserWarning, match="frozen"):
        recorder = LEGCRecorder(model, **WINDOW).attach(optimizer)
    model[0].weight.requires_grad_(True)
    with pytest.warns(UserWarning, match=r"0\.weight was frozen at the start and is trained now"):
        train(20)
    with warnings.catch_warnings(action="error"):
        train(20)
    assert recorder.names == ["3.weight"]


# the training is left as it is


def test_the_error_is_asked_in_evaluation_mode_and_nothing_stays_changed():
    model, optimizer, train, wrong = task()
    seen = []

    def error():
        seen.append(model.training)
        model.train()
        np.random.random()  # noqa: NPY002
        return wrong() + 0 * torch.rand(())

    plain = copy.deepcopy(model.state_dict())
    LEGCRecorder(model, **WINDOW, error=error).attach(optimizer)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    train(40)
    assert seen == [False] * 4 and all(m.training for m in model.modules())
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    recorded, (model, optimizer, train, _) = model.state_dict(), task()
    assert all(torch.equal(plain[n], v) for n, v in model.state_dict().items())
    train(40)
    assert all(torch.equal(recorded[n], v) for n, v in model.state_dict().items())


def test_errors_that_fail_may_be_skipped():
    model, optimizer, train, wrong = task()
    calls = []

    def error():
        calls.append(1)
        return wrong() if len(calls) != 2 else 1 / 0

    recorder = LEGCRecorder(model, **WINDOW, error=error, on_error="skip").attach(optimizer)
    with pytest.warns(UserWarning, match="no error at iterate 18, and so a gap: ZeroDivisionError"):
        train(40)
    assert np.isnan(recorder.errors).tolist() == [False, True, False, False]
    with pytest.raises(ValueError, match="on_error='ignore'"):
        LEGCRecorder(model, **WINDOW, on_error="ignore")


# small moves


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1.0, 1e6])
def test_exponents_do_not_depend_on_the_scale(scale):
    def exponents(scale, **options):
        model = nn.Linear(4, 3, bias=False)
        recorder = LEGCRecorder(model, **WINDOW, **options)
        walk_ = np.cumsum(np.random.default_rng(0).normal(size=(30, 3, 4)), axis=0)
        for row in walk_:
            model.weight.data = torch.tensor(row * scale, dtype=torch.float32)
            recorder.step()
        return recorder.exponents()["weight"]

    assert np.allclose(exponents(scale), exponents(1.0), atol=1e-3) and (exponents(scale) != 0).all()
    assert (exponents(1e-8, protocol="published") == 0).all()


@pytest.mark.parametrize("dtype, moves", [(torch.float32, True), (torch.bfloat16, False)])
def test_a_weight_stands_still_below_two_units_in_the_last_place_of_its_type(dtype, moves):
    model = nn.Linear(4, 3, bias=False).to(dtype)
    recorder = LEGCRecorder(model, **WINDOW)
    for k in range(40):
        with torch.no_grad():
            model.weight[:] = (1 + 1e-5 * torch.randn(3, 4, generator=torch.Generator().manual_seed(k))).to(dtype)
        recorder.step()
    assert (recorder.exponents()["weight"] != 0).any() == moves


def test_types_may_differ_within_a_model():
    model = nn.Sequential(nn.Linear(4, 3, bias=False), nn.Linear(3, 2, bias=False).to(torch.bfloat16))
    recorder = LEGCRecorder(model, **WINDOW)
    for k in range(40):
        with torch.no_grad():
            for p in model.parameters():
                p[:] = (1 + 1e-5 * torch.randn(p.shape, generator=torch.Generator().manual_seed(k))).to(p.dtype)
        recorder.step()
    found = recorder.exponents()
    assert (found["0.weight"] != 0).all() and (found["1.weight"] == 0).all()


def test_what_has_no_test_is_counted_by_why():
    model, optimizer, train, wrong = task()
    recorder = LEGCRecorder(model, **WINDOW, error=wrong).attach(optimizer)
    hold = torch.ones(6, 4)
    hold[0], hold[1, 2] = 0, 0
    model[0].weight.register_hook(lambda gradient: gradient * 0 + hold * torch.rand(6, 4))
    train(100)
    counts = recorder.untested(recorder.pvalues())
    assert counts["in a unit that never moved"] == 4 and counts["never moved"] >= 1
    said = recorder.summary()
    assert (
        "4 without a test: in a unit that never moved" in said and "of noise" in said and "0.weight: 24 of 24" in said
    )


# the kernel in single precision


@pytest.mark.parametrize("window", [8, 20, 50, 100])
@pytest.mark.parametrize("kind", ["noise", "walk", "few values"])
@pytest.mark.parametrize("choice", [{}, dict(emb_dim=3, lag=2, min_tsep=2, steps=1)])
def test_exponents_in_single_precision_are_those_of_double(window, kind, choice):
    if window == 8 and choice:
        window = 12
    rng = np.random.default_rng(window)
    x = rng.normal(size=(window, 45)) * 1e-3 + 0.05
    x = np.cumsum(x - 0.05, axis=0) + 0.05 if kind == "walk" else np.round(x, 3) if kind == "few values" else x
    x = x.astype(np.float32)
    stream = lyapunov.StreamingLyapunov(45, window, 0.0, dtype=np.float32, share=np.float32([2e-7]), **choice)
    stream.update(x)
    expected = lyapunov.windowed_lyapunov(x * np.float64(2.0**20), window, **choice)
    near = np.abs(stream.result() - expected) < 1e-5
    assert near.mean() > 0.97 and np.array_equal(np.isnan(stream.result()), np.isnan(expected)) or kind == "few values"


# cost


def test_of_a_large_model_a_sample_is_followed_and_said_so(monkeypatch):
    monkeypatch.setattr(module, "MANY", 1000)
    monkeypatch.setattr(module, "DEFAULT_SAMPLE", 500)
    model = nn.Sequential(nn.Linear(10, 10), nn.Linear(40, 30))
    with pytest.warns(UserWarning, match="of 1,300 weights a sample is followed, up to 400"):
        recorder = LEGCRecorder(model, **WINDOW)
    assert recorder.n_weights == 500 and "500 of 1,300" in repr(recorder)
    with warnings.catch_warnings(action="error"):
        assert LEGCRecorder(model, **WINDOW, sample="all").n_weights == 1300
        assert LEGCRecorder(model, **WINDOW, sample=700).n_weights == 800


def test_blocks_of_tests_change_nothing():
    model, optimizer, train, wrong = task()
    recorder = LEGCRecorder(model, **WINDOW, error=wrong).attach(optimizer)
    train(200)
    whole, recorder._block = recorder.pvalues(), 7
    assert all(torch.equal(v, whole[n]) for n, v in recorder.pvalues().items())


def test_a_state_holds_only_what_a_window_still_needs():
    model = nn.Linear(40, 30, bias=False)
    recorder = LEGCRecorder(model, window=50, overlap=0.1)
    walk(recorder, model, 95)  # just after a window's end
    stream = recorder.state_dict()["stream"]
    assert len(stream["ring"]) == 5 and stream["exponents"].dtype == torch.float32 and len(stream["exponents"]) == 2


@pytest.mark.parametrize(
    "other",
    [dict(protocol="published"), dict(protocol="corrected", window=30), dict(variant="FT", window=30), dict(max_lag=2)],
)
def test_a_state_of_another_protocol_variant_or_lag_is_refused(other):
    model = nn.Linear(4, 3)
    choices = WINDOW | {"window": other.get("window", 10)}
    state = LEGCRecorder(model, **choices).state_dict()
    with pytest.raises(ValueError, match="the state has .*; allowed here"):
        LEGCRecorder(model, **choices | other).load_state_dict(state)


def test_the_last_rows_on_a_device_count_too():
    """The path of accelerators, with the processor in place of one."""
    model, optimizer, train, wrong = task()
    usual = LEGCRecorder(model, **WINDOW, error=wrong).attach(optimizer)
    collected = LEGCRecorder(model, **WINDOW, error=wrong)
    collected._rows = collected._buffer("cpu")
    collected.attach(optimizer)
    train(95)
    assert collected._stream.seen == 91 and collected.seen == usual.seen == 96  # moved once a window
    for a, b in zip(usual.exponents().values(), collected.exponents().values()):
        assert np.array_equal(a, b)
    state, other = collected.state_dict(), usual.state_dict()
    assert torch.equal(state["stream"]["ring"], other["stream"]["ring"]) and state["errors"] == other["errors"]
    with torch.no_grad():
        model[0].weight[0, 0] = torch.nan
    collected.step()
    with pytest.raises(ValueError, match=r"0\.weight holds NaN .* at iterate 96"):
        collected.state_dict()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no accelerator")
def test_no_step_waits_for_the_accelerator():
    model = nn.Linear(40, 30).cuda()
    recorder = LEGCRecorder(model, **WINDOW)
    recorder.step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(8):
            recorder.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    recorder.step()
    assert recorder.n_windows == 1 and protocols.is_whole(recorder.nbytes)
