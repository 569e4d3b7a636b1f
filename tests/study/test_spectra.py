"""Spectra of weight matrices against WeightWatcher and against noise."""

import logging

import numpy as np
import powerlaw
import pytest
import torch

from study import spectra


def test_weightwatcher_sees_baked_in_masks_and_names_every_layer():
    torch.manual_seed(0)
    linear = [torch.nn.Linear(*size).double() for size in ((60, 40), (40, 20), (20, 5))]
    module = torch.nn.Sequential(*[layer for each in linear for layer in (each, torch.nn.Sigmoid())])
    table = spectra.weightwatcher_table(module)
    assert list(table.layer) == [1, 2, 3] and list(table.eigenvalues) == [40, 20, 5]
    assert table.alpha[:2].notna().all() and np.isnan(table.alpha[2])  # too few eigenvalues is said, not hidden
    module[0].weight.data[:30] *= 0.01
    assert spectra.weightwatcher_table(module).alpha[0] != table.alpha[0]


def rank(r, size=20):
    rng = np.random.default_rng(0)
    return torch.tensor(rng.normal(size=(size, r)) @ rng.normal(size=(r, size)), dtype=torch.float32)


@pytest.mark.parametrize("weight", [torch.zeros(20, 20), rank(1), 1e-20 * rank(20), torch.eye(20)])
def test_what_has_no_fit_has_no_alpha(weight):
    """WeightWatcher says −1 where it failed, and inf for equal eigenvalues."""
    module = torch.nn.Sequential(torch.nn.Linear(20, 20), torch.nn.Linear(20, 30))
    healthy = spectra.weightwatcher_table(module).loc[1, "alpha":]
    module[0].weight.data = weight
    table = spectra.weightwatcher_table(module)
    assert table.loc[0, "alpha":].isna().all() and table.eigenvalues[0] == 20
    assert healthy.notna().all() and table.loc[1, "alpha":].tolist() == healthy.tolist()


def test_zeros_have_no_tail():
    assert np.isnan(spectra.tail_fit(np.zeros(20))).all()


@pytest.mark.parametrize("module", [torch.nn.ReLU(), torch.nn.Conv2d(1, 2, 3), torch.nn.Sequential()])
def test_a_module_without_linear_layers_has_an_empty_table(module):
    table = spectra.weightwatcher_table(module)
    assert len(table) == 0 and list(table) == ["layer", "shape", "eigenvalues", "alpha", "alpha_w", "in_tail"]


def test_weights_that_are_not_finite_are_named():
    module = torch.nn.Sequential(torch.nn.Linear(20, 20), torch.nn.Linear(20, 20))
    module[1].weight.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match="layer 2 holds NaN or infinite values; allowed: finite"):
        spectra.weightwatcher_table(module)
    with pytest.raises(ValueError, match="W holds NaN"):
        spectra.eigenvalues(module[1].weight.detach())


def test_half_precision_is_looked_at_too():
    module = torch.nn.Sequential(torch.nn.Linear(20, 20).bfloat16(), torch.nn.Linear(20, 30).half())
    assert spectra.weightwatcher_table(module).alpha.notna().all()


def test_importing_weightwatcher_left_the_loggers_alone():
    assert logging.getLogger().level == logging.WARNING


def test_matrices_are_the_layers_in_their_order():
    first, second = spectra.matrices(np.arange(10.0), (3, 2, 2))
    assert np.array_equal(first, [[0, 1, 2], [3, 4, 5]]) and np.array_equal(second, [[6, 7], [8, 9]])


def test_tail_fit_is_weightwatchers_own():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(40, 30), torch.nn.Linear(30, 10))
    table = spectra.weightwatcher_table(module)
    fits = [spectra.tail_fit(spectra.eigenvalues(m.weight.detach())) for m in module]
    np.testing.assert_allclose([alpha for alpha, _, _ in fits], table.alpha, rtol=1e-4)
    # WeightWatcher compares with a rounded smallest eigenvalue, and may count one more or less
    assert all(abs(n - counted) <= 1 for (_, _, n), counted in zip(fits, table.in_tail))


def test_shuffling_keeps_the_entries_and_bootstrap_the_eigenvalues():
    rng = np.random.default_rng(0)
    W = rng.normal(size=(12, 30))
    values = spectra.eigenvalues(W)
    assert (np.diff(values) >= 0).all() and np.isclose(values.sum(), (W**2).sum())
    assert np.isclose(spectra.shuffled_eigenvalues(W, rng).sum(), values.sum())
    alphas = spectra.bootstrap_alpha(values, rng, draws=20)
    assert alphas.shape == (20,) and (alphas > 1).all() and len(np.unique(alphas)) > 1


def correlated(n=200, seed=0):
    """A matrix whose eigenvalues are correlation and yet fall off exponentially."""
    rng = np.random.default_rng(seed)
    values = 1 + rng.exponential(1, n)
    left, right = (np.linalg.qr(rng.normal(size=(n, n)))[0] for _ in range(2))
    return left * np.sqrt(values) @ right


def test_heavy_tail_was_a_test_of_correlation():
    """An exponential tail beyond the shuffled spectrum counted as heavy."""
    for seed in range(5):
        W = correlated(seed=seed)
        values = spectra.eigenvalues(W)
        shuffled = spectra.shuffled_eigenvalues(W, np.random.default_rng(seed))
        if values[-1] > shuffled[-1]:
            break
    else:
        raise AssertionError("no correlation")
    assert not spectra.is_heavy(values)


def test_a_power_law_of_enough_values_is_a_heavy_tail_and_an_exponential_none():
    rng = np.random.default_rng(2)
    share = lambda draw: np.mean([spectra.is_heavy(np.sort(draw())) for _ in range(40)])
    assert share(lambda: 1 + rng.pareto(1.5, 500)) > 0.9
    assert share(lambda: 1 + rng.exponential(1, 500)) < 0.05
    assert share(lambda: 1 + rng.pareto(1.5, 10)) < 0.7  # too few: said by the page, not hidden
    assert not spectra.is_heavy(np.zeros(20)) and np.isnan(spectra.tail_test(np.zeros(20))).all()


def test_the_tail_test_is_the_packages_where_its_own_fit_may_go():
    """powerlaw 2 looks for no alpha above three."""
    values = np.sort(1 + np.random.default_rng(3).pareto(1.0, 300))
    fit = powerlaw.Fit(values, xmin=spectra.tail_fit(values)[1], verbose=False)
    own = fit.distribution_compare("power_law", "exponential", normalized_ratio=True)
    np.testing.assert_allclose(spectra.tail_test(values), own, rtol=0.01)


@pytest.mark.parametrize("n", [10, 30, 50])
def test_the_interval_of_alpha_covers_where_the_bootstrap_did_not(n):
    """The quantiles of resamples covered .73, .88 and .92."""
    rng, truth, covered = np.random.default_rng(n), 3, []
    for _ in range(400):
        alpha, _, in_tail = spectra.tail_fit(np.sort(1 + rng.pareto(truth - 1, n)))
        low, high = spectra.alpha_interval(alpha, in_tail)
        covered.append(low <= truth <= high)
    assert 0.92 <= np.mean(covered) <= 0.985


def test_noise_stays_below_its_edge_and_one_large_entry_does_not():
    rng = np.random.default_rng(1)
    noise = [rng.normal(size=(10, 30)) for _ in range(40)]
    beyond = [spectra.eigenvalues(W)[-1] > spectra.noise_edge(W, draws=100) for W in noise]
    assert np.mean(beyond) < 0.3
    W = noise[0].copy()
    W[0, 0] = 30
    assert spectra.shuffled_eigenvalues(W, rng)[-1] > spectra.noise_edge(W)
