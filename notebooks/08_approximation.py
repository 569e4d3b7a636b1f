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
# # Does a pruned network stay close?
#
# [The previous chapters](06_diagnostics.ipynb) looked inside trained networks. This one checks the theory: the theorem
# that is to guarantee that a pruned network computes nearly the same function as the dense one.
#
# ```{admonition} The paper says
# Theorem 3.1: for a width $h$ of at least $\max\{K_1^{1/\alpha}, (K_2/\epsilon)^{1/\alpha}, (K_3/\delta)^{1/\alpha},
# K_4 + K_5 \log(1/\delta)\}$ the network that LEGCNet prunes is $\epsilon$-close to the dense one on the unit ball, with
# probability $1 - \delta$. Lemma 3.2: the sigmoid is Lipschitz (section 3.5).
# ```
#
# The constants are not given, but one consequence can be tested. Solved for $\epsilon$, the bound promises a distance
#
# ```{math}
# :label: eq-approximation
# D(h) = \sup_{\lVert x \rVert \le 1} \lVert f^s(x) - f^d(x) \rVert_2 \;\le\; K_2\, h^{-\alpha},
# \qquad 0 < \alpha < 1,
# ```
#
# that *falls* with the width. We draw wide networks as the theorem assumes (uniform weights, no biases, a linear
# output), prune them, and look at the slope of $\log D$ against $\log h$.

# %% tags=["parameters"]
dataset: str = "cancer"  # cancer, titanic, banknote, iris, iris3f, vowel, mnist5k, mnist, wine, wdbc or digits
protocol: str = "published"  # published (the paper, oddities included) or corrected
seeds: list = [0, 1]  # whole numbers; one network a seed
out_dir: str = (
    "results"  # folder for the rows: CSV, and JSON that says where they came from
)

# %%
from study import parameters

choices = parameters.check(globals(), "dataset protocol seeds out_dir")

# %%
import numpy as np
import pandas as pd
import torch
from scipy import optimize, special, stats

from legc_utils import datasets, selection, training
from study import evidence, plots, results

plots.use_style()
split = datasets.load(dataset, choices)
layers = training.layer_sizes(split, choices.hidden)
n_in, n_out = layers[0], layers[-1]
masks = selection.find_masks(split, choices.hidden, seeds, choices, "FT").masks
pruned_number = max(
    1, round((~masks).sum(axis=1).mean())
)  # no seed may have pruned anything
share = pruned_number / masks.shape[1]
widths, draws, starts = [8, 32, 128, 512, 2048], 12, 6
print(
    f"{dataset}: LEGCNet-FT prunes {pruned_number} of {masks.shape[1]} weights (mean of seeds {seeds})"
)

# %% [markdown]
# ## Wide networks, pruned like ours
#
# Either the *share* of pruned weights is that of the LEGCNet-FT masks of this data set, or their *number* is. Which
# weights go is decided at random, or by magnitude (the smallest). LEGCNet's own choice needs a training run and says
# nothing about networks that are as wide as the theorem wants; the size of its masks is what we can carry over.


# %%
def pruned_pairs(h, how, regime, rng):
    """Dense and pruned weights of `draws` networks: ((W1, W2), (V1, V2)), W1 (draws, h, n_in), W2 (draws, n_out, h)."""
    bound = lambda a, b: 1 / np.sqrt(max(a, b))  # the theorem's K = 1
    dense = [
        rng.uniform(-bound(a, b), bound(a, b), (draws, b, a))
        for a, b in ((n_in, h), (h, n_out))
    ]
    flat = np.hstack([W.reshape(draws, -1) for W in dense])
    count = (
        pruned_number if regime == "number" else max(1, round(share * flat.shape[1]))
    )
    order = np.argsort(
        np.abs(flat) if how == "magnitude" else rng.random(flat.shape), axis=1
    )
    np.put_along_axis(flat, order[:, :count], 0.0, axis=1)
    V1, V2 = np.split(flat, [h * n_in], axis=1)
    sparse = V1.reshape(draws, h, n_in), V2.reshape(draws, n_out, h)
    return [[torch.as_tensor(W) for W in network] for network in (dense, sparse)]


# %% [markdown]
# The supremum is sought by gradient ascent from several points of the unit ball; what it finds is a lower bound, which
# is the side that could refute a claim of closeness.


# %%
def distance(x, dense, sparse):
    """‖f_s(x) − f_d(x)‖ at points x (draws, starts, n_in): (draws, starts)."""
    out = [
        torch.sigmoid(x @ W1.transpose(1, 2)) @ W2.transpose(1, 2)
        for W1, W2 in (dense, sparse)
    ]
    return (out[1] - out[0]).norm(dim=-1)


def supremum(dense, sparse, rng, steps=60):
    """Largest distance that ascent finds in the unit ball, for every draw: (draws,)."""
    x = torch.as_tensor(rng.normal(size=(draws, starts, n_in)))
    best = torch.zeros(draws, dtype=torch.float64)
    for step in range(steps):
        x = (x / x.norm(dim=-1, keepdim=True).clamp(min=1)).detach().requires_grad_()
        d = distance(x, dense, sparse)
        best = torch.maximum(best, d.detach().amax(dim=1))
        (slope,) = torch.autograd.grad(d.sum(), x)
        x = x + 0.5 * 0.95**step * slope / slope.norm(dim=-1, keepdim=True).clamp(
            min=1e-12
        )
    return best.numpy()


# %%
rng = np.random.default_rng([seeds[0], 8])
rows = pd.concat(
    [
        pd.DataFrame({"regime": regime, "how": how, "width": h, "draw": range(draws),
                      "distance": supremum(*pruned_pairs(h, how, regime, rng), rng)})
        for regime in ("share", "number") for how in ("random", "magnitude") for h in widths
    ],
    ignore_index=True,
)  # fmt: skip
results.save(
    rows,
    "08_approximation",
    dataset,
    protocol,
    out_dir,
    seeds=seeds,
    share=share,
    number=pruned_number,
)
rows.groupby(["regime", "how", "width"]).distance.mean().unstack("width").round(4)

# %% mystnb={"figure": {"caption": "Largest distance found in the unit ball between dense and pruned network, by width: one point a draw, lines through the means.", "name": "fig-distance"}, "image": {"alt": "Two log-log panels of distance against width, one for a fixed share and one for a fixed number of pruned weights, random and magnitude pruning."}}
figure, axes = plots.panels(2, figsize=(10, 4), sharey=True)
for ax, (regime, part) in zip(axes, rows.groupby("regime", sort=False)):
    for how, curve in part.groupby("how", sort=False):
        mean = curve.groupby("width").distance.mean()
        ax.scatter(
            curve.width, curve.distance, color=plots.MODELS[how], alpha=0.3, s=12
        )
        ax.loglog(
            mean.index,
            mean,
            color=plots.MODELS[how],
            marker=plots.MARKERS[how],
            label=how,
        )
    ax.legend()
    plots.label(
        ax,
        f"{dataset}: fixed {regime} pruned",
        "width h (units)",
        "sup of ‖f_s − f_d‖",
    )

# %% [markdown]
# ## The slope
#
# A negative slope is what the theorem promises, $-\alpha$ or steeper. Intervals come from the fit over all draws.


# %%
def slope(part):
    """Slope of log distance against log width, with its 95 % interval."""
    fit = stats.linregress(np.log(part.width), np.log(part.distance))
    half = stats.t.ppf(0.975, len(part) - 2) * fit.stderr
    return pd.Series(
        {"slope": fit.slope, "low": fit.slope - half, "high": fit.slope + half}
    )


slopes = rows.groupby(["regime", "how"], sort=False)[["width", "distance"]].apply(
    slope
)
slopes.round(3)

# %% tags=["hide-input"]
part = rows[(rows.regime == "share") & (rows.how == "random")].pivot(
    index="width", columns="draw", values="distance"
)
falls = -np.polyfit(np.log(part.index), np.log(part), 1)[0]  # one slope a draw
evidence.save(
    {"approximation": pd.Series(falls, part.columns)},
    "08_approximation",
    dataset,
    protocol,
    out_dir,
)

# %% [markdown]
# ## Lipschitz, but with which constant?
#
# The lemma's proof bounds $\sigma(1 - \sigma)$ by the product of the bounds of its factors. The exact constant is the
# largest derivative.

# %%
derivative = lambda z: special.expit(z) * (1 - special.expit(z))
steepest = optimize.minimize_scalar(
    lambda z: -derivative(z),
    bounds=(-5, 5),
    method="bounded",
    options={"xatol": 1e-10},
)
constant, lemma = (
    derivative(steepest.x),
    1.0 * 1.0,
)  # sup σ times sup (1 - σ), as in the proof
print(
    f"largest derivative {constant:.6f} at z = {abs(steepest.x):.6f}; the proof's bound {lemma:.0f}"
)

# %% tags=["hide-input", "nbval-ignore-output"]
facts = dict(pruned=pruned_number, share=100 * share, draws=draws, widest=max(widths), constant=constant,
             looser=lemma / constant)  # fmt: skip
for (regime, how), found in slopes.iterrows():
    for name, value in found.items():
        facts[f"{regime}_{how}_{name}"] = value
results.publish(facts)

# %% [markdown]
# ## What we found
#
# - **Fixed share** ({glue:text}`share:.1f` % of the weights, as LEGCNet-FT prunes here): the slope is
#   {glue:text}`share_random_slope:.2f` (95 % interval {glue:text}`share_random_low:.2f` to
#   {glue:text}`share_random_high:.2f`) for random masks and {glue:text}`share_magnitude_slope:.2f`
#   ({glue:text}`share_magnitude_low:.2f` to {glue:text}`share_magnitude_high:.2f`) by magnitude. An interval that holds
#   zero, or lies above it, means that width alone does not bring the networks together.
# - **Fixed number** ({glue:text}`pruned:.0f` weights): {glue:text}`number_random_slope:.2f`
#   ({glue:text}`number_random_low:.2f` to {glue:text}`number_random_high:.2f`) and
#   {glue:text}`number_magnitude_slope:.2f` ({glue:text}`number_magnitude_low:.2f` to
#   {glue:text}`number_magnitude_high:.2f`).
# - **Lemma 3.2** is true, with constant {glue:text}`constant:.2f`; the bound of its proof is
#   {glue:text}`looser:.0f` times as large. It is a fact about the sigmoid: it holds for every mask, and says nothing in
#   favour of this one.
#
# ```{admonition} What could be wrong with it
# :class: caution
# The theorem is stated after {cite:t}`qian2021`, for networks as they are initialised; our networks are trained, narrow,
# start from Gaussian weights and have biases and a sigmoid at the output. Its constants may hide how many weights a
# mask may remove; the two regimes here are the ends of what one could mean. Ascent finds a lower bound of the
# supremum, from {glue:text}`draws:.0f` draws a width, up to {glue:text}`widest:.0f` units.
# ```
