# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Does training forget its initial weights?
#
# Chaos means that a difference too small to notice grows until it decides the outcome: *sensitive dependence on
# initial conditions*, SDIC. If training a network by stochastic gradient descent (SGD) were chaotic, nudging one
# initial weight would in time change all of them.
#
# ```{admonition} The paper says
# Twin runs that differ in one initial weight only, for every weight in turn, have "positive Lyapunov exponents
# which marked the presence of some chaotic behavior in gradient descent" (sections 2.1 and 3.4).
# ```
#
# We repeat that experiment. For each weight $j$ a twin network starts with $w_j + \delta_0$ and everything else
# equal. With $W(t)$ all weights after $t$ iterates, one sample each, the difference series and its growth are
#
# ```{math}
# :label: eq-growth
# \delta W_j(t) = W(t;\, w_j + \delta_0) - W(t), \qquad
# g_j(t) = \frac{\lVert \delta W_j(t) \rVert}{\delta_0}, \qquad
# \lambda_j(t) = \frac{1}{t} \ln g_j(t).
# ```
#
# If $g_j$ grows exponentially, the finite-time exponent $\lambda_j$ settles at a positive value, and that is chaos.
# If $g_j$ merely drifts, $\lambda_j$ decays like $1/t$.

# %% tags=["parameters"]
dataset: str = "cancer"  # cancer, titanic, banknote, iris, iris3f, vowel, mnist5k, mnist, wine, wdbc or digits
protocol: str = "published"  # published (the paper, oddities included) or corrected
seeds: list = [0, 1]  # whole numbers; one network a seed
delta0: float = 1e-6  # size of the nudge to an initial weight
window: int = None  # iterates a window of the full run; None: the data set's own
overlap: float = (
    None  # share of a window that the next one repeats; None: the protocol's
)
out_dir: str = (
    "results"  # folder for the rows: CSV, and JSON that says where they came from
)

# %%
from study import parameters

choices = parameters.check(
    globals(), "dataset protocol seeds delta0 window overlap out_dir"
)

# %%
import numpy as np
import pandas as pd

from legc_utils import datasets, lyapunov, selection, training
from study import evidence, plots, results

plots.use_style()
split = datasets.load(dataset, choices)
look = selection.horizon(split, choices, "FT")
layers = training.layer_sizes(split, choices.hidden)
n_weights = training.count_weights(layers)
if n_weights > 1000:  # a twin a weight, and all weights of each twin
    raise ValueError(
        f"dataset={dataset!r} has {n_weights} weights; allowed here: up to 1000"
    )
print(
    f"{dataset}: network {layers}, {n_weights} weights, {look.epochs * len(split.X_train)} iterates"
)

# %% [markdown]
# ## All twins at once
#
# One ensemble holds the unperturbed network of every seed and its twins, one a weight; all of them advance
# together. Of each iterate we keep two things: the distance of every twin from its origin, over all weights, and
# the difference series of the nudged weight itself.


# %%
def run_twins(delta0):
    """Growth g_j(t) and own difference series, both (iterates, seeds, weights), and the untouched weights."""
    kept = []

    def reduce(piece):
        w = piece.reshape(len(piece), len(seeds), 1 + n_weights, n_weights)
        difference = w[:, :, 1:] - w[:, :, :1]
        own = np.einsum("tsjj->tsj", difference)
        kept.append(
            (
                np.linalg.norm(difference, axis=-1) / delta0,
                own.copy(),
                w[:, :, 0].copy(),
            )
        )

    training.train_ensemble(
        split,
        choices.hidden,
        seeds,
        choices,
        perturb=delta0,
        record=reduce,
        epochs=look.epochs,
    )
    return [np.concatenate(part) for part in zip(*kept)]


growth, own_difference, weights = run_twins(delta0)

# %% mystnb={"figure": {"caption": "Growth of the distance between each twin and its origin, by the layer of the nudged weight, over all seeds. A straight rise on this logarithmic axis would be chaos.", "name": "fig-growth"}, "image": {"alt": "Line plot of growth factor against SGD iterate on a logarithmic axis, with median and spread over twins for each layer."}}
slices = [w for w, _, _ in training.layer_slices(layers)]
iterates = np.arange(len(growth))
shown = np.unique(np.linspace(0, len(growth) - 1, 400).astype(int))
figure, (ax,) = plots.panels()
for layer, (where, colour) in enumerate(zip(slices, plots.LAYERS), start=1):
    plots.fan(
        ax,
        shown,
        growth[shown][..., where].reshape(len(shown), -1),
        colour,
        f"layer {layer}",
    )
ax.axhline(1, color="black", ls=":", lw=1)
ax.set_yscale("log")
ax.legend()
plots.label(
    ax,
    f"{dataset}: growth of a nudge of δ₀ = {delta0:g}",
    "SGD iterate",
    "growth $g_j$ (ratio)",
)
# %% [markdown]
# The dotted line marks no growth at all. By the end the median twin of {glue:text}`dataset` has grown (or shrunk)
# {glue:text}`median_growth:.2f`-fold, and {glue:text}`grown_percent:.0f` % of the twins are further away than they
# started.
#
# ## Exponential, or a drift?
#
# Equation {eq}`eq-growth` tells the two apart. An exponent measured over the second half of the run is free of
# the transient at its start.

# %% mystnb={"figure": {"caption": "Finite-time exponents as the run goes on. Chaos would level off above zero.", "name": "fig-exponent"}, "image": {"alt": "Line plot of the finite-time Lyapunov exponent against SGD iterate, median and spread over all twins."}}
later = shown[shown >= len(growth) // 50]
exponent = np.log(growth[later]) / later[:, None, None]
half = len(growth) // 2
second_half = (
    1e6 * np.log(growth[-1] / growth[half]) / (len(growth) - 1 - half)
)  # nats per million iterates
figure, (ax,) = plots.panels()
plots.fan(ax, later, exponent.reshape(len(later), -1), plots.LAYERS[0], "all twins")
ax.axhline(0, color="black", ls=":", lw=1)
ax.legend()
plots.label(
    ax,
    f"{dataset}: finite-time exponent",
    "SGD iterate",
    r"$\lambda_j$ (nats per iterate)",
)
# %% [markdown]
# ## What the windowed estimator says of the same twins
#
# The paper reads its exponents off windows of a series with Rosenstein's estimator, not off the growth. We apply
# it to both candidates: the difference series, as section 3.4 describes, and the raw weight series, as the
# released code does. [The next chapter](02_windowed_le.ipynb) takes the estimator apart.

# %%
estimate = dict(
    window=choices.window, overlap=choices.overlap, emb_dim=choices.emb_dim, lag=choices.lag,
    min_tsep=choices.min_tsep, steps=choices.steps,
)  # fmt: skip
flat = lambda series: series.reshape(len(series), -1)
le_difference = lyapunov.windowed_lyapunov(flat(own_difference) / delta0, **estimate)
le_raw = lyapunov.windowed_lyapunov(flat(weights), **estimate)
shape = (-1, len(seeds), n_weights)
le_difference, le_raw = le_difference.reshape(shape), le_raw.reshape(shape)

# %% [markdown]
# ## Does δ₀ matter?
#
# A growth factor that depends on $\delta_0$ would be no property of the training map. We repeat the run with a
# nudge a hundred times smaller.

# %%
growth_small, _, _ = run_twins(delta0 / 100)
ratio = growth_small[-1] / growth[-1]

# %%
rows = pd.DataFrame({
    "seed": np.repeat(seeds, n_weights),
    "weight": np.tile(np.arange(n_weights), len(seeds)),
    "growth": growth[-1].ravel(),
    "exponent_second_half": second_half.ravel(),
    "le_difference_positive": (le_difference > 0).mean(axis=0).ravel(),
    "le_raw_positive": (le_raw > 0).mean(axis=0).ravel(),
    "growth_ratio_small_delta0": ratio.ravel(),
})  # fmt: skip
results.save(
    rows, "01_sdic", dataset, protocol, out_dir, seeds=seeds, delta0=delta0, window=choices.window,
    overlap=choices.overlap,
)  # fmt: skip
summary = rows.drop(columns="weight").groupby("seed").median()
summary.round(3)

# %% tags=["hide-input"]
by_seed = rows.groupby("seed")
evidence.save({
    "positive_raw": by_seed.le_raw_positive.mean(), "positive_difference": by_seed.le_difference_positive.mean(),
    "sensitive": by_seed.exponent_second_half.median(),
}, "01_sdic", dataset, protocol, out_dir)  # fmt: skip

# %% tags=["hide-input", "nbval-ignore-output"]
facts = dict(
    dataset=dataset,
    median_growth=rows.growth.median(),
    grown_percent=100 * (rows.growth > 1).mean(),
    exponent_low=rows.exponent_second_half.quantile(0.05),
    exponent_median=rows.exponent_second_half.median(),
    exponent_high=rows.exponent_second_half.quantile(0.95),
    contracting_percent=100 * (rows.exponent_second_half < 0).mean(),
    difference_positive=100 * rows.le_difference_positive.mean(),
    raw_positive=100 * rows.le_raw_positive.mean(),
    worst_ratio=np.abs(ratio - 1).max() * 100,
)
results.publish(facts)

# %% [markdown]
# ## What we found
#
# - **Growth.** In the second half of training the exponent of the true difference is
#   {glue:text}`exponent_median:.1f` nats per *million* iterates (median over twins; nine in ten of them lie between
#   {glue:text}`exponent_low:.1f` and {glue:text}`exponent_high:.1f`), and {glue:text}`contracting_percent:.0f` % of
#   the twins are then *coming closer*.
# - **Estimator.** On the same runs Rosenstein's windowed exponent is positive in
#   {glue:text}`difference_positive:.0f` % of the windows of the difference series and in
#   {glue:text}`raw_positive:.0f` % of those of the raw weights. "Positive in the windows" and "grows" are
#   different statements.
# - **Size of δ₀.** A nudge a hundred times smaller changes the growth by at most
#   {glue:text}`worst_ratio:.3f` %.
#
# ```{admonition} What could be wrong with it
# :class: caution
# Sample order is fixed, as published, so this is the sensitivity of one deterministic map. The paper does not give
# its $\delta_0$. Growth over a finite run says nothing about the limit $t \to \infty$, where training has stopped.
# The number of seeds behind this page stands in the table.
# ```
