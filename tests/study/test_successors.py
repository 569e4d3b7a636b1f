"""The successors' scores against straightforward references, and regressions whose coefficients are known."""

import warnings

import numpy as np
import pytest
import torch
from statsmodels.tsa.stattools import grangercausalitytests

from legc_utils import training
from study import networks, rankings, successors


@pytest.fixture(params=[2, 3])
def case(request, learnable, short):
    """(split, layers, protocol, weights, biases) of two untrained networks, of one output or three."""
    split, protocol = learnable(request.param), short()
    layers = training.layer_sizes(split, (4, 3))
    return split, layers, protocol, *training.initial_ensemble(layers, (0, 1), protocol)


def sample_loss(case, s):
    """Loss of sample s as torch computes it, of flat parameters (n_weights + n_biases,)."""
    split, layers, *_, weights, _ = case
    target = torch.as_tensor(training.one_hot(split.y_train, layers[-1])[s])

    def loss(flat):
        w, b = flat[None, : weights.shape[1]], flat[None, weights.shape[1] :]
        return torch.square(networks.forward(w, b, split.X_train[s : s + 1], layers)[0, 0] - target).mean()

    return loss


def pass_by_hand(case, rate):
    """(gradients, changes) of each step of the first network, one sample after the other, by autograd."""
    split, *_, weights, biases = case
    state, found = torch.as_tensor(np.hstack([weights, biases])[0]), []
    for s in range(len(split.X_train)):
        loss = sample_loss(case, s)
        slope = torch.autograd.functional.jacobian(loss, state)
        found.append((slope.numpy(), (loss(state - rate * slope) - loss(state)).item()))
        state = state - rate * slope
    return tuple(map(np.array, zip(*found)))


def planted(gamma, n_steps=400, noise=0.0):
    """Steps whose change of the loss is γ of the squares, and noise."""
    rng = np.random.default_rng(0)
    squares = rng.chisquare(1, (n_steps, *gamma.shape))
    change = (squares * gamma).sum(axis=2) + noise * rng.normal(size=(n_steps, len(gamma)))
    return successors.Steps(squares, change, change)


GAMMA = -np.random.default_rng(1).uniform(0.5, 2, (2, 5))


def test_one_pass_and_fisher_equal_autograd(case):
    steps = successors.one_pass(*case, rate=0.01)
    slopes, change = pass_by_hand(case, 0.01)
    n = case[3].shape[1]
    np.testing.assert_allclose(steps.squares[:, 0], slopes[:, :n] ** 2, atol=1e-12)
    np.testing.assert_allclose(steps.change[:, 0], change, atol=1e-14)
    np.testing.assert_allclose(steps.predicted[:, 0], -0.01 * (slopes**2).sum(axis=1), atol=1e-12)
    np.testing.assert_allclose(successors.fisher(steps)[0], (slopes[:, :n] ** 2).mean(axis=0), atol=1e-12)


def test_importance_is_what_a_weight_moved_alone_does_beyond_its_gradient(case):
    found = successors.causal_importance(*case, rate=0.1)[0]
    slopes, _ = pass_by_hand(case, 0.1)
    state, gaps = torch.as_tensor(np.hstack(case[3:])[0]), []
    for s, slope in enumerate(slopes):
        loss, moved = sample_loss(case, s), np.eye(len(slope))[: len(found)] * -0.1 * slope
        after = np.array([loss(state + torch.as_tensor(step)).item() for step in moved])
        gaps.append(np.abs(after - loss(state).item() + 0.1 * slope[: len(found)] ** 2))
        state = state - 0.1 * torch.as_tensor(slope)
    np.testing.assert_allclose(found, np.mean(gaps, axis=0), atol=1e-14)


def test_training_is_that_of_train_ensemble(case):
    split, layers, protocol, *start = case
    found = successors.train(*case)
    epochs = protocol.recorded_epochs
    runs = training.train_ensemble(split, (4, 3), (0, 1), protocol, epochs=epochs, record="weights", evaluate=())
    np.testing.assert_allclose(found.weights, runs.final_weights, atol=1e-11)
    np.testing.assert_allclose(found.biases, runs.final_biases, atol=1e-11)
    np.testing.assert_allclose(found.by_step.weights, runs.weights[:-1], atol=1e-11)
    np.testing.assert_allclose(found.by_epoch.weights[-1], found.weights)
    assert len(found.by_epoch.loss) == epochs and found.by_step.loss[0, 0] == pytest.approx(
        sample_loss(case, 0)(torch.as_tensor(np.hstack(start)[0])).item()
    )
    whole = [sample_loss(case, s)(torch.as_tensor(np.hstack([found.weights, found.biases])[0])) for s in range(30)]
    assert found.by_epoch.loss[-1, 0] == pytest.approx(np.mean(whole))


def test_training_refuses_batches(case):
    from legc_utils import protocols

    with pytest.raises(ValueError, match="batch_size=2"):
        successors.train(*case[:2], protocols.get(case[2], batch_size=2), *case[3:])


def test_least_squares_recovers_planted_coefficients():
    steps = planted(GAMMA)
    np.testing.assert_allclose(successors.least_squares(steps, steps.change), GAMMA, rtol=1e-8)
    np.testing.assert_allclose(successors.least_squares(steps), GAMMA / steps.change.mean(axis=0)[:, None], rtol=1e-8)
    small = np.abs(successors.least_squares(steps, steps.change, ridge=1.0))
    assert (small.sum(axis=1) < np.abs(GAMMA).sum(axis=1)).all()
    np.testing.assert_allclose(successors.r2(steps, successors.least_squares(steps)), 1, atol=1e-10)


def test_ridge_equals_scikit_learn():
    from sklearn.linear_model import Ridge

    steps, y = planted(GAMMA, noise=1.0), None
    x = steps.squares[:, 0]
    scale, y = np.sqrt((x**2).mean()), steps.change[:, 0]
    expected = Ridge(alpha=0.1 * len(x), fit_intercept=False).fit(x / scale, y).coef_ / scale
    np.testing.assert_allclose(successors.least_squares(steps, steps.change, ridge=0.1)[0], expected, rtol=1e-8)


def test_least_squares_needs_more_steps_than_weights():
    with pytest.raises(ValueError, match="5 steps"):
        successors.least_squares(planted(GAMMA, n_steps=5))


def test_descent_reaches_what_is_planted_where_squares_are_large_enough():
    gamma = GAMMA / planted(GAMMA).change.mean(axis=0)[:, None]
    steps = planted(GAMMA)
    steps = steps._replace(squares=0.3 * steps.squares)  # or a rate of 0.1 runs away
    np.testing.assert_allclose(successors.granger_fit(steps), gamma / 0.3, rtol=0.02)
    found, reached = successors.causal_fit(steps)
    assert (reached > 0.95).all()
    np.testing.assert_allclose(reached, successors.r2(steps, found))


def test_the_first_fit_ranks_as_the_squared_gradient_where_squares_are_tiny():
    """Its γ after a few steps is the mean of change times square, which the chapter's hypothesis builds on."""
    steps = planted(GAMMA)
    scale = np.array([1.0, 2, 3, 4, 5]) * 1e-4
    steps = steps._replace(squares=steps.squares * scale)
    early = (steps.squares * steps.change[..., None]).mean(axis=0) / steps.change.mean(axis=0)[:, None]
    order = np.argsort(successors.granger_fit(steps), axis=1)
    np.testing.assert_array_equal(order, np.argsort(early, axis=1))


def test_a_penalty_that_nothing_outweighs_leaves_zeros():
    steps = planted(GAMMA)
    assert (successors.granger_fit(steps._replace(squares=1e-9 * steps.squares)) == 0).all()


def test_a_fit_that_runs_away_keeps_its_last_finite_coefficients():
    steps = planted(GAMMA)
    assert np.isfinite(successors.granger_fit(steps._replace(squares=1e3 * steps.squares))).all()


def test_the_gap_of_whole_updates_is_regressed():
    steps = planted(GAMMA)
    steps = steps._replace(predicted=np.zeros_like(steps.change))
    scaled = GAMMA / np.abs(steps.change).mean(axis=0)[:, None]
    np.testing.assert_allclose(successors.joint_gap(steps), scaled, rtol=1e-8)


@pytest.mark.parametrize("differences", [0, 1])
def test_the_third_ones_p_is_the_largest_of_statsmodels(differences):
    rng = np.random.default_rng(2)
    weights, loss = rng.normal(size=(60, 2, 3)), rng.normal(size=(60, 2))
    loss[1:, 0] += 0.7 * weights[:-1, 0, 1]
    series = successors.Series(weights.cumsum(axis=0) if differences else weights, loss)
    found = successors.series_pvalues(series, differences)
    for m, k in np.ndindex(2, 3):
        pair = np.column_stack([loss[:, m], series.weights[:, m, k]])
        pair = np.column_stack([pair[differences:, 0], np.diff(pair[:, 1], differences)])
        with warnings.catch_warnings(action="ignore"):
            tests = grangercausalitytests(pair, [1])[1][0]
        assert found[m, k] == pytest.approx(max(p for _, p, *_ in tests.values()), rel=1e-8)
    np.testing.assert_allclose(successors.series_evidence(series, differences), -np.log(found))
    assert found[0, 1] < 0.01


def test_a_series_that_stands_still_goes_first():
    rng = np.random.default_rng(3)
    weights = rng.normal(size=(40, 1, 3))
    weights[:, :, 1] = 0.5
    found = successors.series_evidence(successors.Series(weights, rng.normal(size=(40, 1))))
    assert found[0, 1] == -np.inf and np.isfinite(found[0, [0, 2]]).all()


def test_all_scores_have_a_row_a_network_and_a_column_a_weight(case):
    steps, dense = successors.one_pass(*case), successors.train(*case)
    found = [
        successors.fisher(steps),
        successors.granger_fit(steps),
        successors.causal_fit(steps)[0],
        successors.causal_importance(*case),
        successors.series_evidence(dense.by_step),
        successors.series_evidence(dense.by_epoch),
    ]
    for scores in found:
        assert scores.shape == case[3].shape and scores.dtype == np.float64 and not np.isnan(scores).any()


@pytest.mark.parametrize("relative", [False, True])
def test_sharpness_and_trace_equal_the_whole_hessian(case, relative):
    split, layers, _, weights, biases = case
    n = weights.shape[1]
    masks = np.random.default_rng(4).random(weights.shape) < 0.6
    kind = successors.KINDS.index("relative" if relative else "absolute")
    found = successors.sharpness(*case[:3], weights, biases, masks, iterations=2000)[kind]
    traces = successors.trace(*case[:3], weights, biases, masks)[kind]
    for m, flat in enumerate(torch.as_tensor(np.hstack([weights, biases]))):
        whole = lambda x: sum(sample_loss(case, s)(x) for s in range(len(split.X_train))) / len(split.X_train)
        hessian = torch.autograd.functional.hessian(whole, flat).numpy()[:n, :n]
        scale = masks[m] * (np.abs(weights[m]) if relative else 1)
        hessian = hessian * scale * scale[:, None]
        assert traces[m] == pytest.approx(np.trace(hessian))
        assert np.exp(found[m]) == pytest.approx(np.abs(np.linalg.eigvalsh(hessian)).max(), rel=1e-3)


def test_a_bend_is_the_largest_second_difference():
    np.testing.assert_allclose(successors.bend([[0.9, 0.9, 0.9, 0.7], [0.9, 0.8, 0.7, 0.6]]), [0.2, 0], atol=1e-12)
    with pytest.raises(ValueError, match="2 shares"):
        successors.bend([0.9, 0.8])


def test_shuffled_scores_stay_in_their_layer():
    scores = np.arange(18.0).reshape(1, -1).repeat(2, axis=0)
    found = rankings.shuffle_within_layers(scores, (3, 4, 1, 2), np.random.default_rng(0))
    for first, last in ((0, 12), (12, 16), (16, 18)):
        assert (np.sort(found[:, first:last]) == scores[:, first:last]).all()
    assert (found != scores).any()


def test_what_they_print_is_whole():
    from study import paper_successors

    assert paper_successors.ACCURACY.shape == (7, 6) and paper_successors.ACCURACY.isna().sum().sum() == 2
    assert (paper_successors.EIGENVALUES > 0).sum().sum() == 13
