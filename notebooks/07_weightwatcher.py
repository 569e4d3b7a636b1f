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
# # Are the layers well trained?
#
# [The previous chapter](06_diagnostics.ipynb) asked what the inputs do. WeightWatcher {cite}`martin2021` looks at the
# weights alone: it takes the eigenvalues of each layer's correlation matrix and fits a power law to the largest.
#
# ```{admonition} The paper says
# On MNIST "the alpha lies between 2.0 and 6.0 on every layer" (Table 4), the spectra are heavy-tailed, and a spike in the
# randomised spectrum, a "correlation trap", "is the case of a well-trained layer" (section 5.1, Figures 2, 4, 5 and 6).
# ```
#
# For a layer $W$ with singular values $s_i$ the spectrum is $\lambda_i = s_i^2$. Above some $\lambda_{\min}$ its density
# is modelled as
#
# ```{math}
# :label: eq-tail
# \rho(\lambda) \propto \lambda^{-\alpha}, \qquad \hat\alpha = \alpha \, \log_{10} \lambda_{\max} .
# ```
#
# There are as many eigenvalues as the layer's smaller side has units: few. So each $\alpha$ gets an interval, and a
# control: what would layers get that were never trained?

# %% tags=["parameters"]
dataset: str = "mnist5k"  # cancer, titanic, banknote, iris, iris3f, vowel, mnist5k, mnist, wine, wdbc or digits
protocol: str = "published"  # published (the paper, oddities included) or corrected
seeds: list = [0]  # whole numbers; one network a seed
alpha: float = None  # level of LEGC's test; None: the protocol's
rule: str = None  # noncausal (prune what does not predict the error) or causal (the reverse); None: the protocol's
out_dir: str = (
    "results"  # folder for the rows: CSV, and JSON that says where they came from
)

# %%
from study import parameters

choices = parameters.check(globals(), "dataset protocol seeds alpha rule out_dir")

# %%
import numpy as np
import pandas as pd

from legc_utils import datasets, selection, training
from study import evidence, paper, plots, rankings, results, spectra

plots.use_style()
split = datasets.load(dataset, choices)
layers = training.layer_sizes(split, choices.hidden)
if min(min(pair) for pair in zip(layers, layers[1:])) < 8:
    raise ValueError(
        f"dataset={dataset!r} has layers {layers}; allowed: at least 8 units in every layer"
    )
(
    selection.horizon(split, choices, "FT"),
    selection.horizon(split, choices, "PT"),
)  # both must be possible
slices = training.layer_slices(layers)
print(
    f"{dataset}: network {layers}, {len(split.y_train)} training images, seeds {seeds}"
)

# %% [markdown]
# ## Five networks, trained to the end

# %% tags=["nbval-ignore-output"]
masks = rankings.model_masks(split, choices.hidden, seeds, choices)
runs = training.train_ensemble(
    split, choices.hidden, seeds, choices, masks=np.stack(list(masks.values()), axis=1),
    epochs=choices.recorded_epochs,
)  # fmt: skip
members = runs.members.assign(model=np.array(list(masks))[runs.members["mask"]])
layer_weights = lambda flat: [
    flat[where].reshape(shape) for where, _, shape in slices
]
accuracy = (
    pd.Series(runs.test_accuracy[-1], index=members.model).groupby(level=0).mean()
)
print(accuracy.round(3).to_dict())


# %%
def measure(W, rng):
    """Everything Table 4 and Figures 2 to 6 say of one layer, with an interval."""
    values, shuffled = spectra.eigenvalues(W), spectra.shuffled_eigenvalues(W, rng)
    alpha, _, in_tail = spectra.tail_fit(values)
    low, high = np.quantile(spectra.bootstrap_alpha(values, rng), [0.025, 0.975])
    return dict(
        eigenvalues=len(values), in_tail=in_tail, alpha=alpha, low=low, high=high,
        alpha_w=alpha * np.log10(values[-1]), largest=values[-1], largest_shuffled=shuffled[-1],
        beyond_shuffled=(values > shuffled[-1]).sum(), trap=shuffled[-1] > spectra.noise_edge(W, rng),
    )  # fmt: skip


rows = []
for at, member in members.iterrows():
    for layer, W in enumerate(layer_weights(runs.final_weights[at]), start=1):
        found = measure(W, np.random.default_rng([member.seed, at, layer]))
        rows.append(dict(seed=member.seed, model=member.model, layer=layer, **found))
rows = pd.DataFrame(rows)

# %% [markdown]
# ## Table 4, with its uncertainty
#
# The interval is a bootstrap over eigenvalues: if the spectrum had been drawn again, how else could $\alpha$ have come
# out? The fit rests on `in_tail` of them.

# %% tags=["nbval-ignore-output"]
first = rows[rows.seed == seeds[0]].set_index(["model", "layer"])
table4 = paper.TABLE_4.rename(columns=lambda c: f"{c[:-2]}|{c[-1]}")
table4.columns = pd.MultiIndex.from_tuples(
    [tuple(c.split("|")) for c in table4.columns]
)
printed = (
    table4.stack(future_stack=True).rename_axis(["model", "layer"]).reset_index()
)
printed = (
    printed.astype({"layer": int}).set_index(["model", "layer"]).add_prefix("paper ")
)
shown = first[["eigenvalues", "in_tail", "alpha", "low", "high", "alpha_w"]].join(
    printed
)
shown.round(2)

# %% mystnb={"figure": {"caption": "Spectra (blue) and the spectra of the same weights shuffled (orange outline), for each layer and network of the first seed. The dashed line is the largest shuffled eigenvalue, the spike of Figure 2.", "name": "fig-spectra"}, "image": {"alt": "Grid of histograms of log eigenvalues, three layers by five networks, with shuffled spectra overlaid and a dashed line at the largest shuffled eigenvalue."}}
figure, grid = plots.grid(len(slices), len(masks), figsize=(15, 8))
for m, model in enumerate(masks):
    at = members.index[(members.model == model) & (members.seed == seeds[0])][0]
    for layer, W in enumerate(layer_weights(runs.final_weights[at]), start=1):
        ax, rng = grid[layer - 1][m], np.random.default_rng([seeds[0], at, layer])
        values, shuffled = (
            np.log10(spectra.eigenvalues(W)),
            np.log10(spectra.shuffled_eigenvalues(W, rng)),
        )
        bins = np.histogram_bin_edges(np.concatenate([values, shuffled]), 25)
        ax.hist(values, bins, color=plots.LAYERS[0], alpha=0.7, label="trained")
        ax.hist(
            shuffled,
            bins,
            histtype="step",
            lw=1.5,
            color=plots.LAYERS[1],
            label="shuffled",
        )
        ax.axvline(shuffled[-1], color=plots.LAYERS[1], ls="--")
        plots.label(
            ax,
            f"{model}, layer {layer}",
            r"$\log_{10}\lambda$",
            "" if m else "eigenvalues (number)",
        )
_ = grid[0][0].legend(fontsize="small")
# %% mystnb={"figure": {"caption": "The tails on logarithmic axes: share of eigenvalues at least as large, with the fitted power law over the eigenvalues it rests on.", "name": "fig-tails"}, "image": {"alt": "Grid of log-log plots of the complementary distribution of eigenvalues with fitted straight tails, three layers by five networks."}}
figure, grid = plots.grid(len(slices), len(masks), figsize=(15, 8))
for m, model in enumerate(masks):
    at = members.index[(members.model == model) & (members.seed == seeds[0])][0]
    for layer, W in enumerate(layer_weights(runs.final_weights[at]), start=1):
        values, ax = spectra.eigenvalues(W), grid[layer - 1][m]
        exponent, smallest, n = spectra.tail_fit(values)
        ax.loglog(
            values,
            1 - np.arange(len(values)) / len(values),
            "o",
            ms=3,
            color=plots.LAYERS[0],
        )
        tail = values[-n:]
        ax.loglog(
            tail,
            n / len(values) * (tail / smallest) ** (1 - exponent),
            color=plots.LAYERS[1],
        )
        plots.label(
            ax,
            f"{model}, layer {layer}: α = {exponent:.2f} (n = {n})",
            "eigenvalue λ",
            "" if m else "share ≥ λ",
        )

# %% [markdown]
# ## What is an alpha from so few eigenvalues worth?
#
# Two controls. *Untrained* networks, as they are initialised, hold no information at all. And *true power laws* with a
# known exponent, drawn with as many values as each layer has eigenvalues, show the spread of the fit itself.

# %% tags=["nbval-ignore-output"]
n_control, true_alpha, rng = 300, 3, np.random.default_rng(seeds[0])
control = []
for k in range(n_control):
    fresh, _ = training.initial_parameters(layers, 10_000 + k, choices)
    for layer, W in enumerate(layer_weights(fresh), start=1):
        power_law = np.sort(1 + rng.pareto(true_alpha - 1, min(W.shape)))
        for model, values in (
            ("untrained", spectra.eigenvalues(W)),
            ("power law", power_law),
        ):
            control.append(
                dict(
                    seed=k,
                    model=model,
                    layer=layer,
                    alpha=spectra.tail_fit(values)[0],
                )
            )
rows = pd.concat([rows, pd.DataFrame(control)], ignore_index=True)
results.save(
    rows,
    "07_weightwatcher",
    dataset,
    protocol,
    out_dir,
    seeds=seeds,
    alpha=choices.alpha,
    rule=choices.rule,
)
guide = rows.alpha.between(paper.ALPHA_LOW, paper.ALPHA_HIGH)
by_kind = ["model", "layer"]
inside = 100 * guide.groupby([rows[k] for k in by_kind], sort=False).mean().unstack()
inside.round(0)

# %% [markdown]
# The table gives the percentage of layers inside the guide, for every kind of network, by layer.

# %% mystnb={"figure": {"caption": "Alpha of untrained networks and of samples from a power law with exponent 3, beside the trained networks of this page. The shaded band is the guide of a well-trained layer.", "name": "fig-controls-alpha"}, "image": {"alt": "Three box-plot panels, one a layer, of alpha for untrained networks and true power-law samples, with points for trained networks."}}
figure, axes = plots.panels(len(slices), figsize=(13, 4))
for layer, ax in enumerate(axes, start=1):
    here = rows[rows.layer == layer]
    ax.axhspan(paper.ALPHA_LOW, paper.ALPHA_HIGH, color="0.9", zorder=0)
    kinds = {"untrained": 1, "power law": 2}
    ax.boxplot(
        [here.alpha[here.model == k] for k in kinds],
        tick_labels=list(kinds),
        whis=(2.5, 97.5),
        sym="",
    )
    for m, (model, colour) in enumerate(plots.MODELS.items()):
        alphas = here.alpha[here.model == model]
        ax.scatter(
            np.full(len(alphas), 2.8 + 0.15 * m),
            alphas,
            color=colour,
            marker=plots.MARKERS[model],
            label=model,
        )
    ax.set_xticks([1, 2, 3.1], [*kinds, "trained"])
    plots.label(
        ax, f"layer {layer}: {min(slices[layer - 1][2])} eigenvalues", "", "alpha"
    )
_ = axes[0].legend(fontsize="small")
# %% tags=["hide-input"]
three = rows[rows.model.isin(["dense", "FT", "PT"])]
share = lambda holds: holds.groupby(three.seed).mean()  # of the layers of a seed
evidence.save({
    "alpha": share(guide[three.index]), "heavy_tail": share(three.beyond_shuffled > 0),
    "trap": share(three.trap.astype(bool)),
}, "07_weightwatcher", dataset, protocol, out_dir)  # fmt: skip

# %% tags=["hide-input", "nbval-ignore-output"]
trained = rows[rows.model.isin(list(masks))]
last = rows[rows.layer == len(slices)]
spread = last.alpha[last.model == "power law"].quantile([0.025, 0.975])
results.publish(dict(
    dataset=dataset, n_seeds=len(seeds), n_trained=len(trained), low=paper.ALPHA_LOW, high=paper.ALPHA_HIGH,
    inside=100 * guide[trained.index].mean(), below=(trained.alpha < paper.ALPHA_LOW).sum(),
    above=(trained.alpha > paper.ALPHA_HIGH).sum(), width=(trained.high - trained.low).median(),
    few=last.eigenvalues.min(), few_low=spread.iloc[0], few_high=spread.iloc[1], true_alpha=true_alpha,
    untrained=100 * guide[rows.model == "untrained"].mean(), n_control=n_control, traps=int(trained.trap.sum()),
    printed_range=np.ptp(paper.TABLE_4.alpha_3), beyond=100 * (trained.beyond_shuffled > 0).mean(), reached=100 * accuracy["dense"],
))  # fmt: skip

# %% [markdown]
# ## What we found
#
# Labelled {glue:text}`dataset`: the network, rate and number of iterates an epoch are the paper's, the images are those
# that can be shipped. The dense network ends at {glue:text}`reached:.0f` % test accuracy (mean of
# {glue:text}`n_seeds:.0f` seeds).
#
# - **Guide.** {glue:text}`inside:.0f` % of the {glue:text}`n_trained:.0f` trained layers lie between
#   {glue:text}`low:.0f` and {glue:text}`high:.0f`; {glue:text}`below:.0f` are below, {glue:text}`above:.0f` above. Of the
#   *untrained* layers {glue:text}`untrained:.0f` % do as well ({glue:text}`n_control:.0f` networks).
# - **Interval.** The bootstrap interval of one alpha is {glue:text}`width:.1f` wide (median). The last layer has
#   {glue:text}`few:.0f` eigenvalues; as many values from a true power law with exponent {glue:text}`true_alpha:.0f` give
#   an alpha anywhere from {glue:text}`few_low:.1f` to {glue:text}`few_high:.1f` (central 95 % of draws). Between the five
#   models of Table 4 the last layer's alpha differs by {glue:text}`printed_range:.2f` at most.
# - **Structure.** In {glue:text}`beyond:.0f` % of the trained layers at least one eigenvalue exceeds all shuffled ones;
#   that is correlation. A *trap*, a shuffled spectrum beyond Gaussian noise, occurs in {glue:text}`traps:.0f` of
#   {glue:text}`n_trained:.0f` layers. WeightWatcher's authors read traps as a sign of trouble, not of a well-trained
#   layer.
#
# ```{admonition} What could be wrong with it
# :class: caution
# Fewer images than the paper's, unless this page says `mnist`. Eigenvalues are not independent draws, so the bootstrap
# is a rough interval. Spectra are taken at the end of training; the paper does not say when. Layers that LEGC may not
# prune differ between the models only through training.
# ```
