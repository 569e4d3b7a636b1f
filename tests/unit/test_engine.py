"""The engine's exponential, its lanes, and the bits in which it ends on every processor."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from llvmlite import binding
from numba import njit

from legc_utils import datasets, engine, protocols, training

FEATURES = {
    "generic": ("generic", ""),
    "AVX2": ("haswell", "+sse4.2,+avx,+avx2,+fma,+bmi,+bmi2"),
    "AVX-512": ("skylake-avx512", "+sse4.2,+avx,+avx2,+fma,+bmi,+bmi2,+avx512f,+avx512dq,+avx512bw,+avx512vl"),
}
KEPT = {  # SHA-256 of the final weights and biases
    "tabular": "955fec85d2dcfbe87380152d2884df80838c8f789b68a818059cdf037ca79993",
    "mini-batch": "415b46f2b194b6da9f587c8f42de48a3d677628b87b2bfa0c669b1740470b145",
    "masked": "bf3f2a23499f2a2c3c5677d8ad195b45b123aabaf1c26134f35b4e4c200b8bae",
    "perturbed": "cf28656ac4dd1e306d1523d38ad1f60bd10c5ec10dff999a8e42c19d258b26df",
}
# From whole numbers by division: no library's random numbers or functions come in
RUNS = """
import hashlib
import numpy as np
from legc_utils import datasets, protocols, training

def numbers(*shape, factor):
    return (np.arange(np.prod(shape)) * factor % 1009 / 504 - 1).reshape(shape)

X = numbers(60, 5, factor=353)
y = (np.arange(60) * 7 % 11 % 3).astype(int)
split = datasets.Split(X[:40], y[:40], X[40:], y[40:], tuple("abcde"), tuple("012"), name="toy")
tabular = protocols.get("published", "toy", rate=0.5)
batches = protocols.get("published", "toy", rate=0.5, batch_size=16, output="softmax")
mask = np.arange(56) % 3 > 0
kinds = {"tabular": (tabular, {}), "mini-batch": (batches, {}), "masked": (tabular, dict(masks=mask)),
         "perturbed": (tabular, dict(perturb=1e-3))}
for name, (protocol, options) in kinds.items():
    seeds = range(11)  # more than a vector holds, and not a multiple
    initial = numbers(11, 56, factor=211), numbers(11, 10, factor=97)
    runs = training.train_ensemble(split, 7, seeds, protocol, initial=initial, epochs=20, **options)
    bits = b"".join([runs.final_weights.tobytes(), runs.final_biases.tobytes(), runs.test_labels.tobytes()])
    print(name + "," + hashlib.sha256(bits).hexdigest())
"""


@pytest.mark.parametrize(
    "processor", ["generic", *(pytest.param(p, marks=pytest.mark.whole) for p in list(FEATURES)[1:])]
)
def test_runs_end_in_the_same_bits_on_every_processor(processor):
    name, features = FEATURES[processor]
    has = binding.get_host_cpu_features()
    if not all(has.get(feature.lstrip("+")) for feature in features.split(",") if feature):
        pytest.skip(f"this processor has no {processor}")
    environment = os.environ | {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
    root = Path(__file__).parents[2]
    ran = subprocess.run([sys.executable, "-c", RUNS], cwd=root, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert dict(line.split(",") for line in ran.stdout.splitlines()) == KEPT


@njit
def exponentials(x):
    found = np.empty_like(x)
    for k in range(x.size):
        found[k] = engine.exp(x[k])
    return found


def test_the_exponential_is_that_of_the_library_to_the_last_digit():
    x = np.concatenate([np.linspace(-708, 708, 400_001), np.linspace(-1, 1, 400_001), [0.0, -0.0, 1e-300, 5e-324]])
    np.testing.assert_allclose(exponentials(x), np.exp(x), rtol=4.5e-16, atol=0)
    assert exponentials(np.zeros(1)) == 1


def test_the_exponential_ends_where_float64_does_and_passes_on_what_is_no_number():
    low, high, infinite, minus, nan = exponentials(np.array([-1e4, 1e4, np.inf, -np.inf, np.nan]))
    assert 0 < low == minus < 1e-307 and np.isfinite(high) and high == infinite > 1e307 and np.isnan(nan)


def toy(n_classes=3, n=30):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2 * n, 4)) * (rng.random((2 * n, 4)) < 0.7)  # zeros are passed over
    y = np.digitize(X[:, 0], np.linspace(-0.7, 0.7, n_classes + 1)[1:-1])
    return datasets.Split(X[:n], y[:n], X[n:], y[n:], tuple("abcd"), tuple("0123"[:n_classes]), name="toy")


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("hidden", [5, (6, 3)])
def test_a_network_ends_in_the_same_bits_in_every_company(monkeypatch, hidden, n_classes):
    protocol = protocols.get("published", "toy", rate=0.5, init_sd=1.0)
    ends = []
    for lanes in (1, 8, 16, 32, 64):
        monkeypatch.setattr(engine, "_lanes", lambda n_members, together, lanes=lanes: lanes)
        ends.append(training.train_ensemble(toy(n_classes), hidden, range(37), protocol, epochs=3))
    for other in ends[1:]:
        for name in ("final_weights", "final_biases", "test_labels", "train_accuracy"):
            assert np.array_equal(getattr(ends[0], name), getattr(other, name))


@pytest.mark.parametrize("members", [1, 2, 7, 8, 31, 32, 33, 40, 500])
def test_lanes_hold_all_members_without_an_idle_vector(members):
    lanes = engine._lanes(members, True)
    blocks = -(-members // lanes)
    assert lanes == 1 or lanes % 8 == 0 and lanes <= engine.LANES and lanes * blocks - members < 8 * blocks
    assert engine._lanes(members, False) == 1


def test_networks_that_diverge_say_so():
    protocol = protocols.get("published", "toy", rate=1e200)
    runs = training.train_ensemble(toy(), 5, range(3), replace(protocol, init_sd=1e160), epochs=2)
    assert runs.test_accuracy.shape == (2, 3) and not np.isnan(runs.test_accuracy).any()
