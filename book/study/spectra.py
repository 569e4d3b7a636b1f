"""Spectra of weight matrices: WeightWatcher's fits and what noise gives (sections 3.3, 5.1)."""

import contextlib
import io
import logging
from functools import cache

import numpy as np
import pandas as pd
import scipy
import torch

from legc_utils import training
from legc_utils.protocols import check, check_finite, numbers
from study.randomness import derived_seed

# Importing weightwatcher turns on INFO for every library and prints what hardware it found
_root_level = logging.getLogger().level
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    import powerlaw
    import weightwatcher
    from weightwatcher.WW_powerlaw import WWFit
logging.getLogger().setLevel(_root_level)


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
    number of eigenvalues the fit rests on. These three are NaN where there is no fit, as for zeros or for rank 1, which
    WeightWatcher reports as an alpha of −1. No rows for a module without `Linear` layers.

    Raises
    ------
    ValueError
        For weights that are not finite.
    """
    check(min_evals=min_evals)
    linear = [m for m in module.modules() if isinstance(m, torch.nn.Linear)]
    sizes = [tuple(m.weight.shape) for m in linear]
    table = pd.DataFrame({"layer": range(1, len(sizes) + 1), "shape": sizes, "eigenvalues": [min(s) for s in sizes]})
    for number, m in enumerate(linear, start=1):
        check_finite(**{f"the weight of layer {number}": m.weight.detach().float().numpy()})
    if not (table.eigenvalues >= min_evals).any():
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
    return table.join(found.where(found.alpha.between(0, np.inf, inclusive="neither")))


def matrices(weights, layers):
    """The weight matrix (outputs, inputs) of every layer, from one network's flat weights (n_weights,): list."""
    return [weights[at].reshape(shape) for at, _, shape in training.layer_slices(layers)]


def eigenvalues(W):
    """Eigenvalues of WᵀW, smallest first: the empirical spectrum that WeightWatcher looks at. W (outputs, inputs)."""
    W = numbers(W=W)
    check_finite(W=W)
    return np.linalg.svd(W, compute_uv=False)[::-1] ** 2


def shuffled_eigenvalues(W, rng):
    """Eigenvalues after the entries of W were shuffled: the same numbers without any order among them."""
    return eigenvalues(rng.permuted(np.asarray(W).ravel()).reshape(np.shape(W)))


def noise_edge(W, draws=200, level=0.05):
    """What the largest eigenvalue of Gaussian noise of W's shape and variance stays below, but for `level` of draws.

    A shuffled spectrum beyond it is WeightWatcher's correlation trap: single entries stick out, not correlations.
    """
    return np.var(W) * _unit_edge(np.shape(W), draws, level)


@cache  # eigenvalues go with the variance: the draws of a shape serve all layers that have it
def _unit_edge(shape, draws, level):
    rng = np.random.default_rng(derived_seed("noise edge", *shape))
    return np.quantile([eigenvalues(rng.normal(size=shape))[-1] for _ in range(draws)], 1 - level)


def tail_fit(values):
    """WeightWatcher's power-law fit to eigenvalues (n,): (alpha, smallest eigenvalue of the tail, size of the tail).

    All NaN where there is no fit, as for zeros.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # it prints a line for every small spectrum
        fit = WWFit(values)
    return (fit.alpha, fit.xmin, len(fit.data)) if fit.alpha > 0 else (np.nan, np.nan, np.nan)


def tail_test(values):
    """Does a power law fit a tail better than an exponential? Vuong's likelihood-ratio test (Clauset et al. 2009).

    Parameters
    ----------
    values : float (n,), eigenvalues, smallest first

    Returns
    -------
    ratio, p : floats. The normalised log-likelihood ratio of the two above `tail_fit`'s smallest eigenvalue, positive
    where the power law is nearer, and the two-sided p-value of its sign. NaN where there is no fit.
    """
    _, smallest, n = tail_fit(values)
    if np.isnan(n):
        return np.nan, np.nan
    tail = values[-n:]
    # At the greatest likelihood, which is known for both: powerlaw.Fit looks for it, and for no alpha above three
    steepness, rate = 1 / np.log(tail / smallest).mean(), 1 / (tail - smallest).mean()
    by_power = np.log(steepness / smallest) - (steepness + 1) * np.log(tail / smallest)
    by_exponential = np.log(rate) - rate * (tail - smallest)
    ratio, p = powerlaw.loglikelihood_ratio(by_power, by_exponential, normalized_ratio=True)
    return float(ratio), float(p)


def is_heavy(values, level=0.05):
    """Whether `tail_test` finds the power law nearer, at that level: bool. No tail, or too short a one, is none."""
    ratio, p = tail_test(values)
    return bool(ratio > 0 and p < level)


def alpha_interval(alpha, n, level=0.95):
    """Bounds of alpha, from a fit to n eigenvalues: its standard error (alpha − 1) / √n times Student's t.

    A bootstrap would repeat eigenvalues, which no spectrum does, and misses the truth too often. alpha, n : floats or
    arrays, as `tail_fit` returns them; NaN where there is no fit.
    """
    half = scipy.stats.t.ppf((1 + level) / 2, np.asarray(n) - 1) * (np.asarray(alpha) - 1) / np.sqrt(n)
    return alpha - half, alpha + half


def bootstrap_alpha(values, rng, draws=200):
    """Alpha of `draws` resamples (with replacement) of the eigenvalues: float64 (draws,)."""
    return np.array([tail_fit(rng.choice(values, len(values)))[0] for _ in range(draws)])
