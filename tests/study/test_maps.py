"""Tangent exponents of maps that are known, and the map that training iterates."""

import numpy as np
import pytest
import torch

from legc_utils import protocols, training
from study import maps


def protocol(**changes):
    return protocols.get("published", "toy", rate=0.5, init_sd=1.0, **changes)


@pytest.mark.parametrize(
    ("step", "start", "steps", "unit", "truth", "tolerance"),
    [
        (maps.logistic, np.random.default_rng(0).uniform(size=(200, 1)), 1500, 1, np.log(2), 0.01),
        (maps.henon, np.random.default_rng(0).uniform(-0.1, 0.1, (200, 2)), 1500, 1, 0.419, 0.02),
        (maps.lorenz, np.random.default_rng(0).normal(size=(100, 3)) + [0, 0, 20], 2000, 0.03, 0.906, 0.05),
    ],
    ids=["logistic", "henon", "lorenz"],
)
def test_tangent_exponents_of_known_maps(step, start, steps, unit, truth, tolerance):
    found = maps.tangent_lyapunov(step, start, steps, discard=300)
    assert found.shape == (len(start),) and abs(found.mean() / unit - truth) < tolerance * truth


def test_followed_states_start_where_they_are_put_and_see_the_time():
    states = maps.follow(lambda s, t: s + t, np.zeros((2, 1)), 3, 6)
    assert states.shape == (4, 2, 1) and states[:, 0, 0].tolist() == [0, 3, 7, 12]
    for step, dim in maps.CHAOTIC.values():
        assert np.isfinite(maps.follow(step, np.full((5, dim), 0.1), 0, 50)).all()


def test_the_largest_eigenvalue_is_that_of_the_hessian():
    A = torch.tensor([[2.0, 1.0], [1.0, -5.0]], dtype=torch.float64)
    found = maps.largest_eigenvalue(lambda s: s @ A, np.ones((3, 2)))
    expected = min(np.linalg.eigvalsh(A))  # of largest modulus
    np.testing.assert_allclose(found, expected)
    assert np.isnan(maps.largest_eigenvalue(lambda s: 0 * s, np.ones((1, 2)))).all()


def test_the_tangent_exponent_of_a_linear_map_is_its_largest_eigenvalue():
    A = torch.tensor([[0.5, 0.2], [0.0, 0.9]], dtype=torch.float64)
    assert np.isclose(maps.tangent_lyapunov(lambda s, t: A @ s, [1.0, 1.0], 50, discard=200), np.log(0.9))
    growth = maps.tangent_lyapunov(lambda s, t: (t + 1.0) * s, [1.0], 4, local=True)
    assert np.allclose(growth, np.log([1, 2, 3, 4]))
    assert maps.tangent_lyapunov(lambda s, t: 0 * s, [1.0], 3) == -np.inf


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(n_steps=0), "n_steps=0.*at least 1"),
        (dict(discard=-1), "discard=-1.*at least 0"),
        (dict(state=[np.nan]), "state.*NaN|state.*finite"),
        (dict(step=lambda s, t: s / 0), r"t=0.*finite"),
        (dict(step=lambda s, t: torch.cat([s, s])), r"shape \(2,\).*\(1,\)"),
    ],
)
def test_a_map_that_cannot_be_followed_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        maps.tangent_lyapunov(**(dict(step=maps.logistic, state=[0.3], n_steps=5) | changes))


@pytest.mark.parametrize("loss", ["mean", "sum"])
def test_iterating_the_training_map_is_training(learnable, loss):
    split, p = learnable(3), protocol(loss=loss)
    runs = training.train_ensemble(split, 4, [0, 1], p, epochs=2)
    step, _ = maps.sgd_map(split, runs.layers, p, [p.rate, p.rate])
    state = torch.as_tensor(np.hstack([runs.initial_weights, runs.initial_biases]))
    for t in range(2 * len(split.X_train)):
        state = step(state, t)
    np.testing.assert_allclose(state, np.hstack([runs.final_weights, runs.final_biases]), atol=1e-12)


def test_the_full_batch_map_takes_the_mean_of_the_samples_gradients(learnable):
    split, p = learnable(2), protocol()
    layers = training.layer_sizes(split, 3)
    state = torch.as_tensor(
        np.random.default_rng(0).normal(size=(2, sum(a * b + b for a, b in zip(layers, layers[1:]))))
    )
    _, each = maps.sgd_map(split, layers, p, [0.1, 0.2])
    step, whole = maps.sgd_map(split, layers, p, [0.1, 0.2], full_batch=True)
    mean = sum(each(state, t) for t in range(len(split.X_train))) / len(split.X_train)
    np.testing.assert_allclose(whole(state, 0), mean, atol=1e-14)
    np.testing.assert_allclose(step(state, 7), state - torch.tensor([[0.1], [0.2]]) * mean, atol=1e-14)
