"""Do two networks use their inputs alike? SHAP values (sections 3.2, 5.1)."""

import contextlib

import numpy as np
import pandas as pd
import shap
import torch
from scipy import stats

from legc_utils.protocols import check_finite
from study import operations

MAX_BACKGROUND = 100  # rows; each is combined with every coalition
MAX_EXACT = 12  # 2¹² coalitions a row; beyond that exact values are out of reach


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
    background, X = np.asarray(background, dtype=np.float64), np.asarray(X, dtype=np.float64)
    if background.ndim != 2 or X.ndim != 2 or not len(background) or X.shape[1] != background.shape[1]:
        raise ValueError(f"background {background.shape} and X {X.shape} do not fit; allowed: (n, features), twice")
    if X.shape[1] > MAX_EXACT:
        raise ValueError(f"X has {X.shape[1]} features; exact SHAP values are allowed up to {MAX_EXACT}")
    check_finite(background=background, X=X)
    is_module = isinstance(predict, torch.nn.Module)

    def outputs(rows):
        with torch.no_grad():
            rows = operations.as_inputs(predict, rows) if is_module else torch.as_tensor(rows, dtype=torch.float64)
            return torch.as_tensor(predict(rows)).double().cpu().numpy()

    masker = shap.maskers.Independent(used_background(background), max_samples=MAX_BACKGROUND)
    with operations.evaluating(predict) if is_module else contextlib.nullcontext():
        values = shap.explainers.ExactExplainer(outputs, masker)(X, silent=True).values
    return values.reshape(*X.shape, -1)


def used_background(background):
    """The rows of a background (n, features) that `shap_values` uses: all, or the 100 that shap.utils.sample draws."""
    return shap.utils.sample(np.asarray(background), MAX_BACKGROUND)


def shap_importance(values, feature_names):
    """Mean |SHAP| of every feature over rows and outputs: Series by feature, largest first."""
    importance = pd.Series(np.abs(values).mean(axis=(0, 2)), index=list(feature_names), name="mean_abs_shap")
    return importance.sort_values(ascending=False, kind="stable")


def importance_agreement(one, other, top=3):
    """How alike two importances (Series by feature) are: dict of spearman, kendall, top-k overlap (share)."""
    other = other[one.index]
    k = min(top, len(one))
    return {
        "spearman": stats.spearmanr(one, other).statistic,
        "kendall": stats.kendalltau(one, other).statistic,
        f"top{top}": len(set(one.nlargest(k).index) & set(other.nlargest(k).index)) / k,
    }
