"""Is a pruned network still the same network? SHAP values and WeightWatcher (sections 3.2, 3.3, 5.1)."""

import contextlib
import io
import logging

import numpy as np
import pandas as pd
import shap
import torch
from scipy import stats
from torch.utils.flop_counter import FlopCounterMode

# Importing weightwatcher turns on INFO for every library and prints what hardware it found
_root_level = logging.getLogger().level
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    import weightwatcher
    from weightwatcher.WW_powerlaw import WWFit
logging.getLogger().setLevel(_root_level)

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


def _flop_counts(module, X):
    X = X if torch.is_tensor(X) else torch.as_tensor(X, dtype=torch.float64)
    training = module.training
    module.eval()  # or batch norm would take the sample into its statistics
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(X)
    module.train(training)
    return {name: sum(by_operation.values()) for name, by_operation in counter.get_flop_counts().items()}


def multiply_adds(module, X):
    """Multiply–adds of `module(X)`, by torch's own counter. Masked weights count: they multiply.

    X : a tensor as the module takes it, or an array (n, inputs), which is given as float64. torch counts a multiply–add
    as two operations; this is half of its figure.
    """
    return _flop_counts(module, X).get("Global", 0) // 2


def skippable_multiply_adds(module, X):
    """Those of `multiply_adds` that a zero weight takes part in: what a machine could skip that skips every zero.

    torch's dense kernels, which run here, skip none. Only linear and convolutional layers are looked at; each uses all
    of its weights equally often. Arguments as in `multiply_adds`; returns int.
    """
    counts, root = _flop_counts(module, X), type(module).__name__
    layers = {f"{root}.{name}" if name else root: layer for name, layer in module.named_modules()}
    kinds = torch.nn.Linear | torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Conv3d
    layers = {name: layer for name, layer in layers.items() if isinstance(layer, kinds) and name in counts}
    zero = {name: (layer.weight == 0).double().mean().item() for name, layer in layers.items()}
    return round(sum(counts[name] * share for name, share in zero.items()) / 2)


def weightwatcher_table(module, min_evals=8):
    """WeightWatcher's power-law fits, one row a layer (Martin, Peng & Mahoney 2021).

    Parameters
    ----------
    module : torch.nn.Module
        Pruned weights must already be 0 in it: WeightWatcher does not see masks.
    min_evals : int
        Layers with fewer eigenvalues get NaN; WeightWatcher would drop them without a word.

    Returns
    -------
    DataFrame: layer, shape, eigenvalues (their number), alpha, alpha_w (the paper's alpha-hat), and in_tail, the
    number of eigenvalues the fit rests on.
    """
    linear = [m for m in module.modules() if isinstance(m, torch.nn.Linear)]
    sizes = [tuple(m.weight.shape) for m in linear]
    table = pd.DataFrame({"layer": range(1, len(sizes) + 1), "shape": sizes, "eigenvalues": [min(s) for s in sizes]})
    if table.eigenvalues.max() < min_evals:
        return table.assign(alpha=np.nan, alpha_w=np.nan, in_tail=np.nan)
    weights_only = torch.nn.Sequential(*[torch.nn.Linear(*m.weight.shape[::-1], bias=False) for m in linear])
    for copy, m in zip(weights_only, linear):
        copy.weight.data = m.weight.detach().float()
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            found = weightwatcher.WeightWatcher(model=weights_only).analyze(min_evals=min_evals, plot=False)
    finally:
        logging.disable(logging.NOTSET)
    found = found.set_index(found.name.astype(int))[["alpha", "alpha_weighted", "num_pl_spikes"]]
    found.columns = ["alpha", "alpha_w", "in_tail"]
    return table.join(found)


def eigenvalues(W):
    """Eigenvalues of WᵀW, smallest first: the empirical spectrum that WeightWatcher looks at. W (outputs, inputs)."""
    return np.linalg.svd(np.asarray(W, dtype=np.float64), compute_uv=False)[::-1] ** 2


def shuffled_eigenvalues(W, rng):
    """Eigenvalues after the entries of W were shuffled: the same numbers without any order among them."""
    return eigenvalues(rng.permuted(np.asarray(W).ravel()).reshape(np.shape(W)))


def noise_edge(W, rng, draws=200, level=0.05):
    """What the largest eigenvalue of Gaussian noise of W's shape and variance stays below, but for `level` of draws.

    A shuffled spectrum beyond it is WeightWatcher's correlation trap: single entries stick out, not correlations.
    """
    largest = [eigenvalues(rng.normal(0, np.std(W), np.shape(W)))[-1] for _ in range(draws)]
    return np.quantile(largest, 1 - level)


def tail_fit(values):
    """WeightWatcher's power-law fit to eigenvalues (n,): (alpha, smallest eigenvalue of the tail, size of the tail)."""
    with contextlib.redirect_stdout(io.StringIO()):  # it prints a line for every small spectrum
        fit = WWFit(values)
    return fit.alpha, fit.xmin, len(fit.data)


def bootstrap_alpha(values, rng, draws=200):
    """Alpha of `draws` resamples (with replacement) of the eigenvalues: float64 (draws,)."""
    return np.array([tail_fit(rng.choice(values, len(values)))[0] for _ in range(draws)])
