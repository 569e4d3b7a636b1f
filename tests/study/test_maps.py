"""Tangent exponents of maps that are known, and the map that training iterates."""

from functools import partial

import numpy as np
import pytest
import torch

from legc_utils import protocols, training
from study import maps, networks


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


def test_orbits_have_left_their_start_and_are_read_as_often_as_asked():
    count = lambda s, t: s + 1
    assert maps.orbits(count, np.zeros((2, 1)), 3, transient=4)[:, 0].tolist() == [5, 6, 7]
    assert maps.orbits(count, np.zeros((2, 1)), 3, every=2, transient=4)[:, 1].tolist() == [10, 12, 14]


def test_the_largest_eigenvalue_is_that_of_the_hessian():
    A = torch.tensor([[2.0, 1.0], [1.0, -5.0]], dtype=torch.float64)
    found = maps.largest_eigenvalue(lambda s, v: v @ A.numpy(), np.ones((3, 2)))
    expected = min(np.linalg.eigvalsh(A))  # of largest modulus
    np.testing.assert_allclose(found, expected)
    assert np.isnan(maps.largest_eigenvalue(lambda s, v: 0 * v, np.ones((1, 2)))).all()


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


@pytest.mark.parametrize("name", maps.CHAOTIC)
def test_derivatives_by_a_complex_step_are_those_of_torch(name):
    (step, dim), rng = maps.CHAOTIC[name], np.random.default_rng(0)
    x, v = rng.uniform(0.1, 0.3, (2, 5, dim))
    y, turned = torch.func.jvp(lambda s: step(s, 0), (torch.as_tensor(x),), (torch.as_tensor(v),))
    for found, expected in zip(maps.by_complex_step(step)(x, v, 0), (y, turned)):
        np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("loss", ["mean", "sum"])
def test_iterating_the_training_map_is_training(learnable, loss):
    split, p = learnable(3), protocol(loss=loss)
    runs = training.train_ensemble(split, 4, [0, 1], p, epochs=2)
    step = maps.SGDMap(split, runs.layers, p, [p.rate, p.rate])
    state = np.hstack([runs.initial_weights, runs.initial_biases])
    for t in range(2 * len(split.X_train)):
        state = step(state, t)
    np.testing.assert_allclose(state, np.hstack([runs.final_weights, runs.final_biases]), atol=1e-12)


@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
@pytest.mark.parametrize("loss", ["mean", "sum"])
@pytest.mark.parametrize("full_batch", [False, True])
def test_derivatives_of_training_are_those_of_torch(learnable, output, loss, full_batch):
    split, p, rng = learnable(3), protocol(loss=loss, output=output), np.random.default_rng(0)
    layers = training.layer_sizes(split, (5, 4))
    n_weights, n = training.count_weights(layers), len(split.X_train)
    state, v = torch.as_tensor(rng.normal(size=(2, 3, n_weights + sum(layers[1:]))))
    rates = torch.as_tensor([[0.1], [0.2], [0.3]], dtype=torch.float64)
    now = slice(None) if full_batch else slice(7, 8)
    targets = torch.as_tensor(training.one_hot(split.y_train, layers[-1]))[now]

    def total(s):
        out = networks.forward(s[:, :n_weights], s[:, n_weights:], split.X_train[now], layers, output)
        error = (out - targets).square()
        return (error.mean(-1) if loss == "mean" else error.sum(-1)).mean(-1).sum()

    gradient, product = torch.func.jvp(torch.func.grad(total), (state,), (v,))
    step = maps.SGDMap(split, layers, p, rates, full_batch)
    state, v, t = state.numpy(), v.numpy(), n + 7
    np.testing.assert_allclose(step.gradient(state, t), gradient, rtol=0, atol=1e-14)
    np.testing.assert_allclose(step.product(state, v, t), product, rtol=0, atol=1e-14)
    expected = state - (rates * gradient).numpy(), v - (rates * product).numpy()
    for found, right in zip((step(state, t), *step.tangent(state, v, t)), (expected[0], *expected)):
        np.testing.assert_allclose(found, right, rtol=0, atol=1e-14)


def linear(A):
    return partial(maps.carry, lambda x, v, t: (x @ A.T, v @ A.T))


def test_a_tangent_vector_is_aligned_before_it_is_measured_and_does_not_average_over_directions():
    """One direction in fifty grows slowly, the others shrink: a vector that starts in the middle sees mostly those."""
    Q = np.linalg.qr(np.random.default_rng(0).normal(size=(50, 50)))[0]
    A = Q @ np.diag(np.r_[1.001, np.full(49, 0.999)]) @ Q.T
    start, n = np.random.default_rng(1).normal(size=(3, 50)), 4000
    found = maps.aligned_exponent(linear(A), start, n)
    np.testing.assert_allclose(found.exponent, np.log(1.001), atol=1e-4)
    np.testing.assert_allclose(found.last, np.log(1.001), atol=1e-5)
    in_the_middle = maps.tangent_lyapunov(
        lambda s, t: s @ A.T, found.middle.state, n // 2, tangent=lambda x, v, t: (x, v @ A.T)
    )
    assert (in_the_middle < 0.5 * np.log(1.001)).all()  # what was measured before
    assert found.middle.growth.shape == found.end.growth.shape == (n // 2, 3)


def test_an_aligned_exponent_is_that_of_its_second_half_and_its_last_that_of_the_last_tenth():
    growing = partial(maps.carry, lambda x, v, t: (x, v * np.exp(t)))
    found = maps.aligned_exponent(growing, np.ones((1, 2)), 21)
    np.testing.assert_allclose(found.exponent, np.mean(range(10, 21)))
    np.testing.assert_allclose(found.last, np.mean([19, 20]))


def test_the_stretches_of_a_map_are_the_singular_values_of_its_product():
    A = np.array([[1.0, 5.0], [0.0, 0.5]])  # shears: grows more than its eigenvalues say
    found = maps.stretches(linear(A), np.ones((2, 2)), 0, 30)
    expected = np.log(np.linalg.svd(np.linalg.matrix_power(A, 30), compute_uv=False)[0]) / 30
    assert found.shape == (2, 2) and expected > 0
    np.testing.assert_allclose(found[:, 0], expected)
    assert (found[:, 0] >= maps.aligned_exponent(linear(A), np.ones((2, 2)), 60).exponent - 1e-12).all()


@pytest.mark.parametrize("full_batch", [False, True])
def test_training_is_carried_by_the_compiled_loop_as_by_the_plain_one(learnable, full_batch):
    split, p, rng = learnable(3), protocol(), np.random.default_rng(0)
    layers = training.layer_sizes(split, 4)
    state, v = rng.normal(size=(2, 3, training.count_weights(layers) + sum(layers[1:])))
    step = maps.SGDMap(split, layers, p, [0.1, 0.5, 2.0], full_batch)
    plain, found = maps.carry(step.tangent, state, v, 5, 40), step.carry(state, v, 5, 40, record=True)
    for name in ("growth", "state", "tangent"):
        np.testing.assert_allclose(getattr(found, name), getattr(plain, name), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.states, maps.follow(step, state, 5, 45), rtol=0, atol=1e-12)
    assert plain.states is None and step.carry(state, v, 5, 40).states is None


def test_the_exponent_of_training_is_the_growth_along_the_product_of_its_jacobians(learnable):
    split, p, n = learnable(3), protocol(), 60
    layers = training.layer_sizes(split, 2)
    state = np.hstack(training.initial_ensemble(layers, [0], p))
    step = maps.SGDMap(split, layers, p, p.rate)
    d, half = state.shape[1], n // 2
    jacobian = lambda s, t: step.tangent(np.tile(s, (d, 1)), np.eye(d), t)[1].T
    v, lengths = np.random.default_rng(1).normal(size=d), []
    products = np.eye(d)
    for t, s in enumerate(maps.follow(step, state, 0, n)[:-1]):
        if t == half:
            products = np.eye(d)
        J = jacobian(s, t)
        v, products = J @ v, J @ products
        lengths.append(np.linalg.norm(v))
    found = maps.aligned_exponent(step.carry, state, n)
    np.testing.assert_allclose(found.exponent, np.log(lengths[-1] / lengths[half - 1]) / half)
    most = maps.stretches(step.carry, found.middle.state, half, half)
    np.testing.assert_allclose(most[0, 0], np.log(np.linalg.norm(products, 2)) / half)
    assert most[0, 0] >= found.exponent[0]


def test_training_that_leaves_the_finite_numbers_is_refused(learnable):
    split, p = learnable(3), protocol()
    step = maps.SGDMap(split, training.layer_sizes(split, 2), p, np.inf)
    state = np.ones((1, step.layers[:-1] @ step.layers[1:] + step.layers[1:].sum()))
    with pytest.raises(ValueError, match="t=3; allowed: finite"):
        step.carry(state, state, 0, 3)


def test_saturated_runs_are_not_ranked_by_rounding():
    truth = np.array([1e-5, 2e-5, 3e-5, 4e-5, 1e-17, -3e-12, 2e-16])
    estimate = np.array([0.1, 0.2, 0.3, 0.4, 9.0, 8.0, 7.0])
    assert maps.rank_agreement(estimate, truth) == 1  # with them it is negative
    assert maps.rank_agreement(estimate[::-1], truth[::-1]) == 1
    assert np.isnan(maps.rank_agreement(estimate[1:], truth[1:]))  # three are no ranking
    assert np.isnan(maps.rank_agreement(np.ones(7), truth)) and np.isnan(maps.rank_agreement(estimate, np.ones(7)))
    assert maps.rank_agreement([np.nan, 4, 3, 2, 1], np.array([9, 1, 2, 3, 4.0])) == -1
