import logging

import numpy as np
import pytest
import shap
import torch
from torch.nn.utils import prune

from study import importance, operations, spectra


def network(*sizes):
    torch.manual_seed(0)
    pairs = zip(sizes, sizes[1:])
    return torch.nn.Sequential(*[m for a, b in pairs for m in (torch.nn.Linear(a, b).double(), torch.nn.Sigmoid())])


@pytest.fixture(scope="module")
def data():
    return np.random.default_rng(0).normal(size=(40, 4))


def test_values_sum_to_the_output_above_its_mean(data):
    module = network(4, 5, 3)
    values = importance.shap_values(module, data, data[:7])
    outputs = module(torch.as_tensor(data)).detach().numpy()
    assert values.shape == (7, 4, 3)
    np.testing.assert_allclose(values.sum(axis=1), outputs[:7] - outputs.mean(axis=0), atol=1e-12)


def test_values_equal_kernel_shap_over_all_coalitions(data):
    module = network(4, 5, 1)
    explainer = shap.KernelExplainer(lambda rows: module(torch.as_tensor(rows)).detach().numpy(), data)
    expected = explainer.shap_values(data[:5], l1_reg=False, silent=True)
    np.testing.assert_allclose(importance.shap_values(module, data, data[:5]), expected, atol=1e-7)


def test_a_feature_without_weights_gets_nothing(data):
    module = network(4, 5, 1)
    module[0].weight.data[:, 2] = 0
    values = importance.shap_values(module, data, data[:5])
    assert np.abs(values[:, 2]).max() < 1e-12
    assert importance.shap_importance(values, "abcd").index[-1] == "c"


def test_too_many_features_are_refused():
    with pytest.raises(ValueError, match="13 features.*12"):
        importance.shap_values(network(13, 2, 1), np.zeros((2, 13)), np.zeros((2, 13)))


def test_agreement_of_equal_and_opposite_importances(data):
    found = importance.shap_importance(importance.shap_values(network(4, 5, 1), data, data[:5]), "abcd")
    assert importance.importance_agreement(found, found) == {"spearman": 1, "kendall": 1, "top3": 1}
    assert importance.importance_agreement(found, -found)["spearman"] == -1


def test_weightwatcher_sees_baked_in_masks_and_names_every_layer():
    module = network(60, 40, 20, 5)
    table = spectra.weightwatcher_table(module)
    assert list(table.layer) == [1, 2, 3] and list(table.eigenvalues) == [40, 20, 5]
    assert table.alpha[:2].notna().all() and np.isnan(table.alpha[2])  # too few eigenvalues is said, not hidden
    module[0].weight.data[:30] *= 0.01
    assert spectra.weightwatcher_table(module).alpha[0] != table.alpha[0]


def test_importing_weightwatcher_left_the_loggers_alone():
    assert logging.getLogger().level == logging.WARNING


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


def test_noise_stays_below_its_edge_and_one_large_entry_does_not():
    rng = np.random.default_rng(1)
    noise = [rng.normal(size=(10, 30)) for _ in range(40)]
    beyond = [spectra.eigenvalues(W)[-1] > spectra.noise_edge(W, rng, draws=100) for W in noise]
    assert np.mean(beyond) < 0.3
    W = noise[0].copy()
    W[0, 0] = 30
    assert spectra.shuffled_eigenvalues(W, rng)[-1] > spectra.noise_edge(W, rng)


def test_a_mask_saves_no_multiply_adds():
    layer = torch.nn.Sequential(torch.nn.Linear(5, 3, dtype=torch.float64), torch.nn.Sigmoid())
    dense = operations.multiply_adds(layer, np.ones((2, 5)))
    prune.random_unstructured(layer[0], "weight", amount=7)
    assert dense == operations.multiply_adds(layer, np.ones((2, 5))) == 2 * 5 * 3


def test_what_could_be_skipped_is_what_zero_weights_take_part_in():
    convolution = torch.nn.Conv2d(1, 4, 3, padding=1, bias=False)
    model, X = torch.nn.Sequential(convolution, torch.nn.Flatten(), torch.nn.Linear(64, 2)), torch.ones(5, 1, 4, 4)
    assert operations.multiply_adds(model, X) == 5 * (4 * 9 * 16 + 64 * 2)
    assert operations.skippable_multiply_adds(model, X) == 0
    prune.ln_structured(model[0], "weight", 1, n=1, dim=0)
    assert operations.skippable_multiply_adds(model, X) == 5 * 9 * 16
    prune.random_unstructured(model[2], "weight", 32)
    assert operations.skippable_multiply_adds(model, X) == 5 * (9 * 16 + 32)
    assert operations.multiply_adds(model, X) == 5 * (4 * 9 * 16 + 64 * 2)
    assert operations.skippable_multiply_adds(model[2], torch.ones(1, 64)) == 32  # a layer alone


def test_counting_leaves_mode_and_batch_norm_as_they_are():
    norm = torch.nn.BatchNorm1d(3).train()
    operations.multiply_adds(norm, torch.randn(4, 3))
    assert norm.training and (norm.running_mean == 0).all()
