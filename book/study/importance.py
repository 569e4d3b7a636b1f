"""Do two networks use their inputs alike? SHAP values (sections 3.2, 5.1)."""

import numpy as np
import pandas as pd
import shap
import torch
from scipy import stats

MAX_EXACT = 12  # 2¹² coalitions a row; beyond that exact values are out of reach


def shap_values(predict, background, X):
    """Exact SHAP values (Lundberg & Lee 2017): every coalition of features is evaluated.

    Parameters
    ----------
    predict : callable, (n, features) float64 -> (n, outputs)
        A torch module may be given as it is.
    background : float array (n, features)
        The data that a missing feature is drawn from; up to 100 rows are used.
    X : float array (n, features)
        Rows to explain.

    Returns
    -------
    float64 (n, features, outputs). They sum to predict(x) − mean predict(background).

    Raises
    ------
    ValueError
        With more than 12 features.
    """
    if X.shape[1] > MAX_EXACT:
        raise ValueError(f"X has {X.shape[1]} features; exact SHAP values are allowed up to {MAX_EXACT}")

    def outputs(rows):
        with torch.no_grad():
            return np.asarray(predict(torch.as_tensor(rows, dtype=torch.float64)))

    masker = shap.maskers.Independent(np.asarray(background), max_samples=100)
    values = shap.explainers.ExactExplainer(outputs, masker)(np.asarray(X), silent=True).values
    return values.reshape(*X.shape, -1)


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
