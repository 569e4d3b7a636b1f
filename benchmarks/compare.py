"""Every part of the core against its peers: the same data in the same process, the same results."""

import time

import numpy as np
import pandas as pd
import torch

from benchmarks import MAX_LAG, STEPS, WINDOW, before_lanes, peers
from legc_utils import datasets, engine, granger, lyapunov, protocols, training

# Times faster that must be reached, and times that are aimed at. The loop's floor is for networks as small as the
# paper's.
GOALS = {
    "nolds.lyap_r": (150, 400), "neurokit2.complexity_lyapunov": (None, 100),
    "statsmodels.grangercausalitytests": (200, 1000), "numpy.linalg.lstsq loop": (None, 100),
    "loop over torch models": (50, None), "torch.func vmap": (None, None), "kernel before lanes": (2, 4),
}  # fmt: skip
BATCH_GOALS = {"loop over torch models": (None, None), "torch.func vmap": (1, 1.5), "kernel before lanes": (1, 2)}


def seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def race(task, unit, ours, n_ours, rivals, repetitions):
    """Rows of the table. rivals: name -> (function, number of units it works on, largest difference, tolerance).

    Everybody runs once to warm up, then in turn; times are medians, and the ratio is the median of the ratios
    within a turn, so that a machine that slows down slows both.
    """
    ours()
    own, theirs = [], {name: [] for name in rivals}
    for name in rivals:
        rivals[name][0]()
    for _ in range(repetitions):
        own.append(seconds(ours) / n_ours * 1e6)
        for name, (function, n, *_) in rivals.items():
            theirs[name].append(seconds(function) / n * 1e6)
    for name, (_, _, difference, tolerance) in rivals.items():
        floor, aim = (BATCH_GOALS if "MNIST" in task else GOALS)[name]
        yield {
            "task": task, "unit": unit, "peer": name, "ours_us": np.median(own), "peer_us": np.median(theirs[name]),
            "ratio": np.median(np.divide(theirs[name], own)), "floor": floor, "aim": aim,
            "difference": difference, "tolerance": tolerance,
        }  # fmt: skip


def weight_windows(n, rng):
    """n windows of real weight series: cancer, published protocol, those that move."""
    split, protocol = datasets.load("cancer"), protocols.get("published", "cancer")
    runs = training.train_ensemble(split, protocol.hidden, range(5), protocol, epochs=50, record="weights")
    path = runs.weights.reshape(len(runs.weights), -1)
    ends = lyapunov.window_ends(len(path), WINDOW, 0.1)
    windows = np.concatenate([path[end + 1 - WINDOW : end + 1].T for end in ends])
    windows = windows[np.ptp(windows, axis=1) >= lyapunov.STATIC_RANGE]
    return windows[rng.integers(len(windows), size=n)]


def exponents(n, n_peer, repetitions):
    """LE against nolds and neurokit2, on weights, white noise and random walks."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(n, WINDOW))
    kinds = {"SGD weights": weight_windows(n, rng), "white noise": noise, "random walks": noise.cumsum(axis=1)}
    for kind, windows in kinds.items():
        S, few = lyapunov.divergence(windows, min_tsep=1, steps=STEPS), windows[:n_peer]
        rivals = {}
        # neurokit2 takes distances from |a|² + |b|² - 2ab, which loses digits where neighbours are very near
        for name, peer, tolerance in (("nolds.lyap_r", peers.nolds_divergence, 1e-9),
                                      ("neurokit2.complexity_lyapunov", peers.neurokit_divergence, 1e-3)):  # fmt: skip
            difference = max(np.abs(peer(x, STEPS) - s).max() for x, s in zip(few, S))
            rivals[name] = lambda peer=peer, few=few: [peer(x, STEPS) for x in few], n_peer, difference, tolerance
        columns = np.ascontiguousarray(windows.T)
        ours = lambda x=columns: lyapunov.windowed_lyapunov(x, WINDOW, min_tsep=1, steps=STEPS)
        np.testing.assert_allclose(ours()[0], S[:, 1] - S[:, 0], rtol=0, atol=1e-9)
        yield from race(f"LE, {kind}", "window", ours, n, rivals, repetitions)


def granger_tests(n, n_peer, repetitions, n_windows=150):
    """Granger tests against statsmodels and plain least squares: a wandering target, noise and a trend with noise."""
    rng = np.random.default_rng(0)
    target = rng.normal(size=n_windows).cumsum()
    series = rng.normal(size=(n_windows, n)) + np.linspace(0, 2, n_windows)[:, None] * (np.arange(n) % 2)
    found = granger.granger_pvalues(target, series, MAX_LAG)
    rivals = {}
    for name, peer in (("statsmodels.grangercausalitytests", peers.statsmodels_pvalues),
                       ("numpy.linalg.lstsq loop", peers.lstsq_pvalues)):  # fmt: skip
        difference = max(np.abs(peer(target, series[:, i], MAX_LAG) - found[:, i]).max() for i in range(n_peer))
        run = lambda peer=peer: [peer(target, series[:, i], MAX_LAG) for i in range(n_peer)]
        rivals[name] = run, n_peer, difference, 1e-8
    ours = lambda: granger.granger_pvalues(target, series, MAX_LAG)
    yield from race(f"Granger, {MAX_LAG} lags of {n_windows} windows", "series", ours, n, rivals, repetitions)


def _training(task, split, hidden, protocol, twins, n_peer, repetitions):
    """One epoch of all twins at once against a loop over n_peer of them, and against vmap."""
    n_weights = training.count_weights(training.layer_sizes(split, hidden))
    offsets = np.vstack([np.zeros(n_weights), 1e-3 * np.random.default_rng(0).normal(size=(twins - 1, n_weights))])
    train = lambda: training.train_ensemble(split, hidden, [0], protocol, perturb=offsets, epochs=1)
    runs = train()
    X, X_test = torch.as_tensor(split.X_train), torch.as_tensor(split.X_test)
    T = torch.as_tensor(training.one_hot(split.y_train, runs.layers[-1]))
    batches = torch.arange(len(X)).split(protocol.batch_size)
    loop = lambda: [peers.plain_loop(runs, m, X, T, X_test, batches) for m in range(n_peer)]
    together = lambda: peers.vmap_ensemble(runs, X, T, X_test, batches)
    difference = lambda found: max(np.abs(w - final).max() for w, final in zip(found, runs.final_weights))
    rivals = {
        "loop over torch models": (loop, n_peer * len(batches), difference(loop()), 1e-9),
        "torch.func vmap": (together, twins * len(batches), difference(together()), 1e-9),
    }
    yield from race(task, "member and step", train, twins * len(batches), rivals, repetitions)


def _engine(name, masked, n_networks, repetitions):
    """An epoch of a data set's networks by the engine, and by what it replaced."""
    protocol = protocols.get("published", name)
    split = datasets.load(name, protocol)
    layers = training.layer_sizes(split, protocol.hidden)
    # raw pixels make training chaotic, and last digits grow to large differences
    X, T = split.X_train / max(1, split.X_train.max()), training.one_hot(split.y_train, layers[-1])
    weights, biases = training.initial_ensemble(layers, range(n_networks), protocol)
    masks = (np.random.default_rng(0).random(weights.shape) < 0.5).astype(float) if masked else weights[:, :0]
    weights, size = weights * masks if masked else weights, protocol.batch_size
    batches = np.arange(len(X) // size * size).reshape(-1, size)
    run, record, group = engine.Engine(layers, X, T, protocol), np.empty((0, *weights.shape)), np.zeros(n_networks, int)

    def trained(advance):
        w, b = weights.copy(), biases.copy()
        advance(w, b)
        return w

    def before(w, b):
        if size == 1:
            before_lanes.sgd_by_sample(w, b, masks, X, T, np.array(layers), 0, len(X), protocol.rate / layers[-1])
        else:
            before_lanes.sgd_by_batch(w, b, X, T, layers, protocol.rate, protocol.output, batches)

    ours = lambda: trained(lambda w, b: run.advance(w, b, masks, batches[None], group, record))
    theirs, n_steps = lambda: trained(before), n_networks * len(batches)
    rivals = {"kernel before lanes": (theirs, n_steps, np.abs(ours() - theirs()).max(), 1e-12)}
    task = f"training, {n_networks} {'masked ' * masked}networks on {name.replace('mnist', 'MNIST-')}"
    yield from race(task, "network and step", ours, n_steps, rivals, repetitions)


def engines(n, n_batch, repetitions):
    """The engine against what it replaced: n networks sample by sample, n_batch networks by mini-batches of 16."""
    for name, masked in (("cancer", False), ("cancer", True), ("digits", False)):
        yield from _engine(name, masked, n, repetitions)
    yield from _engine("mnist5k", False, n_batch, repetitions)


def ensembles(twins, mnist_twins, n_peer, repetitions):
    """Training against a loop over single models and torch.func: cancer sample by sample, MNIST-5k by batches."""
    cancer = protocols.get("published", "cancer")
    split = datasets.load("cancer")
    yield from _training(f"training, {twins} twins on cancer", split, 6, cancer, twins, n_peer, repetitions)
    # the authors' batches of 128; over many more steps rounding grows until weights differ in the third digit
    mnist = protocols.get("published", "mnist5k", shuffle=False, batch_size=128)
    split, n = datasets.load("mnist5k"), mnist_twins
    yield from _training(f"training, {n} twins on MNIST-5k", split, (50, 30), mnist, n, 1, repetitions)


def compare(quick=False):
    """The table, one row a task and peer. Times in µs a unit; `difference` is the largest, of S, p or weights."""
    n, few, times = (256, 4, 1) if quick else (20_000, 100, 5)
    rows = [*exponents(n, few, times)]
    rows += granger_tests(256 if quick else 41_000, few // 4 or 1, times)
    rows += ensembles(8 if quick else 300, 2 if quick else 8, 2, times)
    rows += engines(9 if quick else 256, 2 if quick else 8, times)
    return pd.DataFrame(rows).astype({"floor": float, "aim": float})
