"""Peak memory, each case in a process of its own: python -m benchmarks.memory CASE N_WEIGHTS N_STEPS."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import MAX_LAG, WINDOW
from legc_utils import datasets, granger, lyapunov, protocols, training


def _start_peak():
    """Forget the peak so far and return the memory in use, in MiB (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak():
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


def _walk(n_steps, n_weights):
    """A random walk, one iterate at a time: nothing but the case itself keeps it."""
    rng, x = np.random.default_rng(0), np.zeros(n_weights)
    for _ in range(n_steps):
        x = x + rng.normal(size=n_weights)
        yield x


def streaming(n_weights, n_steps):
    """LE while the series runs by."""
    stream = lyapunov.StreamingLyapunov(n_weights, WINDOW)
    for x in _walk(n_steps, n_weights):
        stream.update(x)
    return {"windows": len(stream.result())}


def recording(n_weights, n_steps):
    """The plain way: keep the whole trajectory, then compute."""
    trajectory = np.empty((n_steps, n_weights))
    for row, x in zip(trajectory, _walk(n_steps, n_weights)):
        row[:] = x
    return {"windows": len(lyapunov.windowed_lyapunov(trajectory, WINDOW))}


def mnist(n_weights, n_steps):
    """LEGC on synthetic images of MNIST's shape and number; 784-50-30-10, batches of 128. Memory without the images."""
    protocol, rng = protocols.get("published", "mnist", window=WINDOW), np.random.default_rng(0)
    labels = rng.integers(10, size=29_399 + 1_000)
    images = rng.random((10, 784))[labels] * (rng.random((len(labels), 784)) < 0.3)
    names = tuple(map(str, range(784))), tuple("0123456789")
    split = datasets.Split(images[:29_399], labels[:29_399], images[29_399:], labels[29_399:], *names, name="mnist")
    epochs = -(-n_steps // -(-29_399 // protocol.batch_size))
    ends = lyapunov.window_ends(n_steps, WINDOW, protocol.overlap)
    stream = lyapunov.StreamingLyapunov(n_weights, WINDOW, protocol.overlap)
    spent = {"exponents": 0.0}

    def follow(piece):
        start = time.perf_counter()
        stream.update(piece[:, 0][: max(0, n_steps - stream.seen)])
        spent["exponents"] += time.perf_counter() - start

    base, start = _start_peak(), time.perf_counter()
    runs = training.train_ensemble(split, (50, 30), [0], protocol, epochs=epochs, rows=ends, record=follow)
    spent["training"] = time.perf_counter() - start - spent["exponents"]
    exponents, start = stream.result(), time.perf_counter()
    p = granger.granger_pvalues(runs.train_error[:, 0], exponents, MAX_LAG)
    spent["granger"] = time.perf_counter() - start
    return {"windows": len(exponents), "undefined": float(np.isnan(p).any(axis=0).mean()), "base": base, **spent}


CASES = {"streaming": streaming, "recording": recording, "mnist": mnist}


def measure(case, n_weights, n_steps):
    """One row: case, sizes, seconds, and the peak memory above what was in use before (MiB)."""
    command = [sys.executable, "-m", "benchmarks.memory", case, str(n_weights), str(n_steps)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def memory(quick=False):
    """Streaming against recording, by the length of the run."""
    lengths = (400, 800) if quick else (500, 1000, 2000, 4000, 8000, 16_000)
    n = 500 if quick else 4_100
    return pd.DataFrame([measure(case, n, steps) for steps in lengths for case in ("streaming", "recording")])


def whole_mnist(quick=False):
    """One row: the method on synthetic data of MNIST's size, 41,000 weights and 10,000 steps."""
    return pd.DataFrame([measure("mnist", 41_000, 250 if quick else 10_000)])


if __name__ == "__main__":
    case, sizes = sys.argv[1], list(map(int, sys.argv[2:]))
    lyapunov.windowed_lyapunov(np.random.default_rng(0).normal(size=(WINDOW, 2)), WINDOW)
    granger.granger_pvalues(np.arange(20.0) % 3, np.random.default_rng(0).normal(size=(20, 2)), 2)
    before, start = _start_peak(), time.perf_counter()
    found = CASES[case](*sizes)
    seconds = time.perf_counter() - start
    added = _peak() - found.pop("base", before)
    print(json.dumps({"case": case, "weights": sizes[0], "steps": sizes[1], "seconds": seconds, "MiB": added} | found))
