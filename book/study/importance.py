"""Do two networks use their inputs alike? SHAP values (sections 3.2, 5.1)."""

import contextlib
import itertools

import numpy as np
import pandas as pd
import shap
import torch
from scipy import stats
from shap.utils import shapley_coefficients

from legc_utils import training
from legc_utils.compiling import njit
from legc_utils.engine import exp
from legc_utils.protocols import check_finite
from study import networks, operations

MAX_BACKGROUND = 100  # rows; each is combined with every coalition
MAX_EXACT = 12  # 2¹² coalitions a row; beyond that exact values are out of reach
_LARGEST = 300  # sums whose exponentials, and products of two of them, are float64 numbers


def shap_values(predict, background, X):
    """Exact SHAP values (Lundberg & Lee 2017): every coalition of features is evaluated.

    Parameters
    ----------
    predict : torch.nn.Module or callable, (n, features) -> (n, outputs)
        A module is asked in evaluation mode and in the type of its parameters, and left as it was. Another callable is
        given float64 tensors.
    background : float array (n, features)
        The data that a missing feature is drawn from: `used_background` of it.
    X : float array (n, features)
        Rows to explain.

    Returns
    -------
    float64 (n, features, outputs). They sum to predict(x) − mean predict(used_background(background)).

    Raises
    ------
    ValueError
        With more than 12 features, or for arrays that do not fit each other or are not finite.
    """
    background, X = _checked(background, X)
    is_module = isinstance(predict, torch.nn.Module)

    def outputs(rows):
        with torch.no_grad():
            rows = operations.as_inputs(predict, rows) if is_module else torch.as_tensor(rows, dtype=torch.float64)
            return torch.as_tensor(predict(rows)).double().cpu().numpy()

    masker = shap.maskers.Independent(background, max_samples=MAX_BACKGROUND)
    with operations.evaluating(predict) if is_module else contextlib.nullcontext():
        values = shap.explainers.ExactExplainer(outputs, masker)(X, silent=True).values
    return values.reshape(*X.shape, -1)


def ensemble_shap_values(runs, background, X):
    """`shap_values` of all networks of an ensemble after their last step, every coalition put to all of them at once.

    Parameters
    ----------
    runs : training.Runs
    background, X : float arrays
        As in `shap_values`.

    Returns
    -------
    float64 (M, n, features, outputs), equal to `shap_values` of each network to rounding. Ensembles that are not of one
    hidden layer and sigmoid outputs, or have huge weights, are handed to it network by network.

    Raises
    ------
    ValueError
        As `shap_values`.
    """
    flat = runs.final_weights, runs.final_biases
    background, X = _checked(background, X)
    largest = max(np.abs(background).max(), np.abs(X).max(initial=0))
    most = X.shape[1] * largest * np.abs(flat[0]).max() + np.abs(flat[1]).max()
    if len(runs.layers) != 3 or runs.protocol.output != "sigmoid" or most > _LARGEST:
        one = (networks.mlp(*of, runs.layers, runs.protocol.output) for of in zip(*flat))
        return np.stack([shap_values(network, background, X) for network in one])
    (W, b), (V, c) = (
        (np.ascontiguousarray(flat[0][:, w].reshape(-1, *shape).T), np.ascontiguousarray(flat[1][:, bias].T))
        for w, bias, shape in training.layer_slices(runs.layers)
    )
    n_features, shares = X.shape[1], shapley_coefficients(X.shape[1])
    values = np.zeros((*X.shape, *c.shape))
    for inside in itertools.product((False, True), repeat=n_features):
        inside = np.array(inside)
        mean = _mean_outputs(X * inside, background * ~inside, W, b, V, c)
        for f in range(n_features):  # a coalition counts for those who are in it, against those who are not
            values[:, f] += (shares[inside.sum() - 1] if inside[f] else -shares[inside.sum()]) * mean
    heard = ((W != 0) & (V != 0).any(axis=1)).any(axis=1)  # without a path to an output a feature has none of rounding
    return (values * heard[:, None]).transpose(3, 0, 1, 2)


@njit()
def _mean_outputs(rows, background, W, b, V, c):
    """Outputs of M networks on each row + a row of the background, averaged over the latter: (n, outputs, M).

    rows (n, features), background (n_background, features), W (features, units, M), b (units, M), V (units, outputs,
    M), c (outputs, M). What reaches a unit is the sum of a row's and a background row's part, so that its exponential
    is a product: exponentials are taken of the parts, not of the pairs.
    """
    n, together = len(rows), np.concatenate((rows, background))
    units, outputs, M = V.shape
    parts, found = np.zeros((len(together), units, M)), np.zeros((n, outputs, M))
    for i in range(len(together)):
        for u in range(units):
            if i < n:
                parts[i, u] = b[u]
            for f in range(together.shape[1]):
                if together[i, f] != 0.0:  # where the other has its number
                    parts[i, u] += together[i, f] * W[f, u]
            for m in range(M):
                parts[i, u, m] = exp(-parts[i, u, m])
    z = np.empty((outputs, M))
    for i in range(n):
        for k in range(n, len(parts)):
            z[:] = c
            for u in range(units):
                for o in range(outputs):
                    for m in range(M):
                        z[o, m] += V[u, o, m] / (1.0 + parts[i, u, m] * parts[k, u, m])
            for o in range(outputs):
                for m in range(M):
                    found[i, o, m] += 1.0 / (1.0 + exp(-z[o, m]))
    return found / len(background)


def _checked(background, X):
    """The rows of the background that are used, and X, both float64 (n, features); raises what `shap_values` does."""
    background, X = np.asarray(background, dtype=np.float64), np.asarray(X, dtype=np.float64)
    if background.ndim != 2 or X.ndim != 2 or not len(background) or X.shape[1] != background.shape[1]:
        raise ValueError(f"background {background.shape} and X {X.shape} do not fit; allowed: (n, features), twice")
    if X.shape[1] > MAX_EXACT:
        raise ValueError(f"X has {X.shape[1]} features; exact SHAP values are allowed up to {MAX_EXACT}")
    check_finite(background=background, X=X)
    return used_background(background), X


def used_background(background):
    """The rows of a background (n, features) that `shap_values` uses: all, or the 100 that shap.utils.sample draws."""
    return shap.utils.sample(np.asarray(background), MAX_BACKGROUND)


def shap_importance(values, feature_names):
    """Mean |SHAP| of every feature over rows and outputs: Series by feature, largest first."""
    importance = pd.Series(np.abs(values).mean(axis=(0, 2)), index=list(feature_names), name="mean_abs_shap")
    return importance.sort_values(ascending=False, kind="stable")


def importance_agreement(one, other, top=3):
    """How alike two importances (Series by feature) are: dict of spearman, kendall, top-k overlap (share).

    A network that hears none of its features has no order of them, which agrees with no other: 0. Nor is a feature that
    is not heard among the top.
    """
    other = other[one.index]
    k = min(top, len(one))
    first, second = (set(values[values != 0].nlargest(k).index) for values in (one, other))
    if not (first and second):
        return {"spearman": 0.0, "kendall": 0.0, f"top{top}": 0.0}
    return {
        "spearman": stats.spearmanr(one, other).statistic,
        "kendall": stats.kendalltau(one, other).statistic,
        f"top{top}": len(first & second) / k,
    }
