"""What recording a model costs, and the constants of the cost model that the page "How to" computes with."""

import time
import tracemalloc
import warnings
from contextlib import contextmanager

import numba
import numpy as np
import pandas as pd
import torch

from legc_utils import datasets, granger, lyapunov, protocols
from legc_utils.recorder import LEGCRecorder, bytes_per_weight
from study import networks, sparsity

N_WEIGHTS, REPEATS = 20_000, 5  # for the constants
MOST, TURNS = 12_000_000, 5  # weights whose iterates are held, 200 B each; steps of training


def _seconds(run):
    """Of the processor, which on one thread are those of the clock, but for what other processes take."""
    start = time.process_time()
    run()
    return time.process_time() - start


@contextmanager
def one_thread():
    """torch and numba on one core each."""
    threads = torch.get_num_threads(), numba.get_num_threads()
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads[0])
        numba.set_num_threads(threads[1])


@one_thread()
def resnet(quick=False):
    """The small ResNet on MNIST-5k, all weights followed, in turn with plain training: one row.

    Columns: weights, window, steps, windows; plain_ms and recorded_ms a step (medians); ratio (median of the ratios
    within a turn); bytes a weight as measured and as modelled. On one thread each, as the chapters run: networks this
    small do not gain from a second.
    """
    task = sparsity.image_task(datasets.load("mnist5k"))
    protocol = protocols.get("published", window=50, batch_size=32, rate=0.05, recorded_epochs=1 if quick else 3)
    steps = sparsity.n_steps(task, protocol)

    def run(recorded):
        model = sparsity.draw(networks.ResNet, 0)
        recorder = LEGCRecorder(model, protocol.window) if recorded else None
        seconds = _seconds(lambda: sparsity.train(model, task, protocol, 0, recorder))
        return seconds, recorder

    run(True)  # compiles
    turns = [(run(False)[0], run(True)[0]) for _ in range(1 if quick else REPEATS)]
    tracemalloc.start()
    _, recorder = run(True)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    plain, recorded = np.median(turns, axis=0) / steps * 1e3
    return pd.DataFrame([dict(
        weights=recorder.n_weights, window=protocol.window, steps=steps, windows=recorder.n_windows, plain_ms=plain,
        recorded_ms=recorded, ratio=np.median([b / a for a, b in turns]), measured=held / recorder.n_weights,
        modelled=bytes_per_weight(protocol.window, recorder.n_windows),
    )])  # fmt: skip


class _Block(torch.nn.Module):
    """Two convolutions and a way past them (He et al. 2016)."""

    def __init__(self, width, out, stride):
        super().__init__()
        convolution = lambda a, b, s: [torch.nn.Conv2d(a, b, 3, s, 1, bias=False), torch.nn.BatchNorm2d(b)]
        self.body = torch.nn.Sequential(*convolution(width, out, stride), torch.nn.ReLU(), *convolution(out, out, 1))
        past = [torch.nn.Conv2d(width, out, 1, stride, bias=False), torch.nn.BatchNorm2d(out)]
        self.past = torch.nn.Sequential(*past) if width != out else torch.nn.Identity()

    def forward(self, x):
        return torch.relu(self.body(x) + self.past(x))


def _resnet18():
    """ResNet-18 on images of 64², 11 million weights."""
    stem = (
        torch.nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        torch.nn.BatchNorm2d(64),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(3, 2, 1),
    )
    sizes = zip((64, 64, 64, 128, 128, 256, 256, 512), (64, 64, 128, 128, 256, 256, 512, 512), (1, 1, 2, 1, 2, 1, 2, 1))
    end = torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(512, 10)
    return torch.nn.Sequential(*stem, *(_Block(*size) for size in sizes), *end), torch.randn(64, 3, 64, 64)


class _Transformer(torch.nn.Module):
    """An encoder on vectors, with a linear map before it and one behind; shapes of GPT-2 and of ViT-tiny."""

    def __init__(self, n_in, width, heads, layers, n_out):
        super().__init__()
        layer = torch.nn.TransformerEncoderLayer(width, heads, 4 * width, 0.0, batch_first=True, norm_first=True)
        self.before, self.behind = torch.nn.Linear(n_in, width), torch.nn.Linear(width, n_out)
        self.layers = torch.nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    def forward(self, x):
        return self.behind(self.layers(self.before(x)).mean(1))


def _networks(quick):
    mlp = torch.nn.Sequential(torch.nn.Linear(784, 1000), torch.nn.ReLU(), torch.nn.Linear(1000, 10))
    found = {"MLP 784-1000-10": lambda: (mlp, torch.randn(128, 784))}
    if not quick:
        found |= {
            "ResNet-18, 64²": _resnet18,
            "GPT-2, 6 layers": lambda: (_Transformer(768, 768, 12, 6, 1000), torch.randn(8, 64, 768)),
            "ViT-tiny, 64²": lambda: (_Transformer(192, 192, 3, 12, 10), torch.randn(64, 64, 192)),
        }
    return found


@one_thread()
def by_network(quick=False):
    """What following costs networks that people train, by AdamW in windows of 50: a row a network and way to follow.

    Columns: network, followed (all, or the default sample of a large model), weights, window; plain_ms and recorded_ms
    a step, ratio. Medians of a step that only copies, in turn with one of training, and of those that end a window.
    Of a network with more than MOST weights the first parameters are measured, and all are taken to cost as much each.
    """
    rows, first = [], LEGCRecorder(torch.nn.Linear(2, 2), 50)
    for _ in range(50):
        first.step()  # compiles
    for name, make in _networks(quick).items():
        torch.manual_seed(0)
        model, x = make()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

        def train():
            optimizer.zero_grad()  # noqa: B023
            model(x).square().mean().backward()  # noqa: B023
            optimizer.step()  # noqa: B023

        train()
        with warnings.catch_warnings(action="ignore"):
            recorders = {"default sample": LEGCRecorder(model, 50)}
        sizes = np.cumsum([p.numel() for n, p in model.named_parameters() if n in recorders["default sample"].names])
        some = recorders["default sample"].names[: max(1, int((sizes <= MOST).sum()))]
        recorders = {"all": LEGCRecorder(model, 50, parameters=some, sample="all")} | recorders
        if recorders["default sample"].n_weights == sizes[-1]:
            del recorders["default sample"]
        plain, copies, ends = [], {k: [] for k in recorders}, {k: [] for k in recorders}
        for _ in range(TURNS):
            plain.append(_seconds(train))
            for followed, recorder in recorders.items():
                copies[followed].append(_seconds(recorder.step))
        for followed, recorder in recorders.items():
            while recorder.n_windows < 2:  # what an exponent takes in such windows does not depend on the numbers
                before, spent = recorder.n_windows, _seconds(recorder.step)
                ends[followed] += [spent] if recorder.n_windows > before else []
            copy, end, step = (np.median(times) for times in (copies[followed], ends[followed], plain))
            weights = sizes[-1] if followed == "all" else recorder.n_weights
            extra = (copy + (end - copy) / lyapunov.stride(50, recorder.overlap)) * weights / recorder.n_weights
            rows.append(dict(
                network=name, followed=followed, weights=weights, window=50, plain_ms=1e3 * step,
                recorded_ms=1e3 * (step + extra), ratio=1 + extra / step,
            ))  # fmt: skip
    return pd.DataFrame(rows)


@one_thread()
def by_size(quick=False):
    """What a step costs for 10⁵, 10⁶ and 10⁷ weights in windows of 20: one row a size.

    Columns: weights, window; ms of one core for a step that copies, for one that also ends a window, and for each step
    on the average of a window; sgd_ms of the update of plain SGD alone; mb held after three windows.
    """
    rows = []
    for n in (10**3, 10**4) if quick else (10**5, 10**6, 10**7):
        layer = torch.nn.Linear(n // 100, 100, bias=False)
        layer.weight.grad = 0.01 * torch.randn_like(layer.weight)
        optimizer, recorder = torch.optim.SGD(layer.parameters(), lr=0.1), LEGCRecorder(layer, window=20, sample="all")
        spent = {True: [], False: [], "sgd": []}
        while recorder.n_windows < 3:
            before, seconds = recorder.n_windows, _seconds(recorder.step)
            spent[recorder.n_windows > before].append(seconds)
            layer.weight.grad.neg_().mul_(0.99)  # or weights would move along a line
            spent["sgd"].append(_seconds(optimizer.step))
        copy, ending, sgd = (1e3 * np.median(spent[kind]) for kind in (False, True, "sgd"))
        stride = lyapunov.stride(recorder.window, recorder.overlap)
        mean = (copy * (stride - 1) + ending) / stride
        rows.append(dict(weights=n, window=recorder.window, copy_ms=copy, ending_ms=ending, mean_ms=mean, sgd_ms=sgd,
                         mb=recorder.nbytes / 1e6))  # fmt: skip
    return pd.DataFrame(rows)


@one_thread()
def constants(quick=False):
    """By window: microseconds of one core for each weight, for a step, an exponent, and a test of 100 windows, 14 lags.

    Exponents and tests run on all cores, so divide by their number; steps do not.
    """
    n, turns = (500, 2) if quick else (N_WEIGHTS, 5)
    layer = torch.nn.Linear(n // 100, 100, bias=False)
    rng = np.random.default_rng(0)
    target, series = rng.normal(size=100), rng.normal(size=(100, n))
    granger.granger_pvalues(target, series, 14)  # compiles
    tested = [_seconds(lambda: granger.granger_pvalues(target, series, 14)) for _ in range(turns)]
    rows = []
    for window in (20, 50, 100, 200):
        variant = "PT" if window <= protocols.get().partial_window else "FT"
        recorder, spent = LEGCRecorder(layer, window, variant=variant), {True: [], False: []}
        for _ in range(window * turns):
            with torch.no_grad():
                layer.weight.add_(0.01 * torch.randn_like(layer.weight))
            before, seconds = recorder.n_windows, _seconds(recorder.step)
            spent[recorder.n_windows > before].append(seconds)
        step, ending = np.median(spent[False]), np.median(spent[True])
        costs = dict(step_us=step, exponent_us=ending - step, test_us=np.median(tested))
        rows.append({"window": window} | {name: 1e6 * seconds / n for name, seconds in costs.items()})
    return pd.DataFrame(rows)
