"""Importance of features against what defines Shapley values, and how far two importances agree."""

import numpy as np
import pandas as pd
import pytest
import shap
import torch

from legc_utils import datasets, training
from study import importance, networks


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


def test_values_sum_to_the_output_above_its_mean_over_the_background_that_is_used():
    background, module = np.random.default_rng(1).normal(size=(250, 4)), network(4, 5, 2)
    used = importance.used_background(background)
    values = importance.shap_values(module, background, background[:3])
    outputs = lambda rows: module(torch.as_tensor(rows)).detach().numpy()
    assert used.shape == (100, 4)
    np.testing.assert_allclose(values.sum(axis=1), outputs(background[:3]) - outputs(used).mean(axis=0), atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_module_in_training_answers_as_in_evaluation_and_is_left_as_it_was(data, dtype):
    torch.manual_seed(0)
    layers = [torch.nn.Linear(4, 6), torch.nn.BatchNorm1d(6), torch.nn.Dropout(0.5), torch.nn.Linear(6, 2)]
    module = torch.nn.Sequential(*layers).to(dtype)
    module[1].eval()  # one part is frozen, and stays so
    before = {name: value.clone() for name, value in module.state_dict().items()}
    once, twice = (importance.shap_values(module, data, data[:2]) for _ in range(2))
    assert [part.training for part in module] == [True, False, True, True] and module.training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert once.dtype == np.float64 and np.array_equal(once, twice)
    assert np.array_equal(once, importance.shap_values(module.eval(), data, data[:2]))


def test_a_module_that_fails_is_left_as_it_was(data):
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Dropout())
    with pytest.raises(RuntimeError):
        importance.shap_values(module, data, data[:2])
    assert module.training and module[1].training


@pytest.mark.parametrize(
    ("background", "X"),
    [(np.zeros((5, 3)), np.zeros((2, 4))), (np.zeros((0, 4)), np.zeros((2, 4))), (np.zeros(4), np.zeros((2, 4))),
     (np.full((5, 4), np.nan), np.zeros((2, 4)))],
)  # fmt: skip
def test_arrays_that_do_not_fit_are_refused(background, X):
    with pytest.raises(ValueError, match=r"background.*allowed"):
        importance.shap_values(network(4, 2), background, X)


def test_too_many_features_are_refused():
    with pytest.raises(ValueError, match="13 features.*12"):
        importance.shap_values(network(13, 2, 1), np.zeros((2, 13)), np.zeros((2, 13)))


def test_agreement_of_equal_and_opposite_importances(data):
    found = importance.shap_importance(importance.shap_values(network(4, 5, 1), data, data[:5]), "abcd")
    assert importance.importance_agreement(found, found) == {"spearman": 1, "kendall": 1, "top3": 1}
    assert importance.importance_agreement(found, -found)["spearman"] == -1


@pytest.mark.parametrize("name, hidden", [("iris", (3,)), ("banknote", (5,)), ("iris", (3, 2))])
def test_values_of_an_ensemble_equal_those_of_its_networks(name, hidden):
    split = datasets.load(name)
    masks = np.random.default_rng(0).random((2, 2, training.count_weights(training.layer_sizes(split, hidden)))) < 0.8
    runs = training.train_ensemble(split, hidden, [0, 1], masks=masks, epochs=3)
    background, X = np.vstack([split.X_train, split.X_test]), split.X_test[:4]  # more rows than are used
    found = importance.ensemble_shap_values(runs, background, X)
    for values, *flat in zip(found, runs.final_weights, runs.final_biases, strict=True):
        expected = importance.shap_values(networks.mlp(*flat, runs.layers), background, X)
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-10)


def test_an_ensemble_with_huge_weights_equals_its_networks():
    split = datasets.load("iris")
    runs = training.train_ensemble(split, 3, [0], epochs=1)
    runs.final_weights *= 1e4  # whose exponentials would leave float64
    (found,) = importance.ensemble_shap_values(runs, split.X_train, split.X_test[:4])
    network = networks.mlp(runs.final_weights[0], runs.final_biases[0], runs.layers)
    np.testing.assert_allclose(found, importance.shap_values(network, split.X_train, split.X_test[:4]), atol=1e-10)
    assert np.abs(found).max() > 0.1


def test_an_emptied_network_agrees_with_none_and_unheard_features_share_their_rank():
    heard = pd.Series([0.4, 0.3, 0.2, 0.1], list("abcd"))
    assert importance.importance_agreement(heard, 0 * heard) == {"spearman": 0, "kendall": 0, "top3": 0}
    found = importance.importance_agreement(heard, pd.Series([0, 0, 0.5, 0.6], list("abcd")))
    assert found["top3"] == 1 / 3 and np.isclose(found["spearman"], -0.9486833)


def test_values_of_an_ensemble_are_exactly_nothing_where_no_path_leads():
    split = datasets.load("iris")
    masks = np.ones((1, 2, 4 * 3 + 3 * 3), bool)
    masks[:, 0], masks[:, 1, [1, 5, 9]] = False, False  # an empty network, and one that does not see input 1
    runs = training.train_ensemble(split, 3, [0], masks=masks, epochs=1)
    empty, blind = importance.ensemble_shap_values(runs, split.X_train, split.X_test[:4])
    assert (empty == 0).all() and (blind[:, 1] == 0).all() and (blind[:, [0, 2, 3]] != 0).all()
