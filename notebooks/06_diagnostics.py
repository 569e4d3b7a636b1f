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
# # Is it still the same network?
#
# Equal accuracy can hide a changed mind. The paper looks inside with two tools: SHAP values
# {cite}`lundberg2017`, which say how much each input moves the output, and WeightWatcher, the business of
# [the next chapter](07_weightwatcher.ipynb).
#
# ```{admonition} The paper says
# Feature importance "is maintained" in LEGCNet and not under random pruning; magnitude pruning keeps it on three data
# sets (section 5.1, Figures 3, 7 and 8), or does not keep it (section 6).
# ```
#
# The Shapley value of feature $i$, one of $d$, averages its effect over all coalitions $S$ of the others:
#
# ```{math}
# :label: eq-shapley
# \phi_i(x) = \sum_{S \not\ni i} \frac{|S|!\,(d - |S| - 1)!}{d!}
# \bigl( v_x(S \cup \{i\}) - v_x(S) \bigr).
# ```
#
# With few inputs the sum is computed exactly. Whether importance is "maintained" needs a yardstick: we compare a
# pruned network with its dense parent, and dense networks of different seeds *with each other*.

# %% tags=["parameters"]
dataset: str = "cancer"  # cancer, titanic, banknote, iris, iris3f, vowel, mnist5k, mnist, wine, wdbc or digits
protocol: str = "published"  # published (the paper, oddities included) or corrected
seeds: list = [0, 1]  # whole numbers; one network a seed
alpha: float = None  # level of LEGC's test; None: the protocol's
rule: str = None  # noncausal (prune what does not predict the error) or causal (the reverse); None: the protocol's
out_dir: str = (
    "results"  # folder for the rows: CSV, and JSON that says where they came from
)

# %%
from study import parameters

choices = parameters.check(globals(), "dataset protocol seeds alpha rule out_dir")

# %%
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import shap

from legc_utils import datasets, selection, training
from study import evidence, importance, networks, plots, rankings, results

plots.use_style()
split = datasets.load(dataset, choices)
n_features = split.X_train.shape[1]
if n_features > importance.MAX_EXACT:
    raise ValueError(
        f"dataset={dataset!r} has {n_features} inputs; allowed: up to {importance.MAX_EXACT}"
    )
(
    selection.horizon(split, choices, "FT"),
    selection.horizon(split, choices, "PT"),
)  # both must be possible
layers = training.layer_sizes(split, choices.hidden)
print(f"{dataset}: network {layers}, seeds {seeds}")

# %% [markdown]
# ## Five networks a seed, trained to the end

# %%
masks = rankings.model_masks(split, choices.hidden, seeds, choices)
runs = training.train_ensemble(
    split, choices.hidden, seeds, choices, masks=np.stack(list(masks.values()), axis=1),
    epochs=choices.recorded_epochs,
)  # fmt: skip


# %%
def network(seed, model):
    """The trained network of a seed and model, as a torch module."""
    at = runs.members.query(
        "seed == @seed and mask == @list(@masks).index(@model)"
    ).index[0]
    return networks.mlp(
        runs.final_weights[at], runs.final_biases[at], layers, choices.output
    )


values = {
    (seed, model): importance.shap_values(network(seed, model), split.X_train, split.X_test)
    for seed in seeds for model in masks
}  # fmt: skip
by_model = {
    key: importance.shap_importance(v, split.feature_names)
    for key, v in values.items()
}

# %% mystnb={"figure": {"caption": "Mean absolute SHAP value of every feature, averaged over seeds, for the five networks.", "name": "fig-importance"}, "image": {"alt": "Grouped bar chart of mean absolute SHAP value per feature for dense, FT, PT, random and magnitude networks."}}
bars = pd.DataFrame(
    {m: sum(by_model[s, m] for s in seeds) / len(seeds) for m in masks}
)
bars = bars.sort_values("dense", ascending=False)
figure, (ax,) = plots.panels(figsize=(9, 4))
bars.plot.bar(ax=ax, color=[plots.MODELS[m] for m in bars], width=0.8)
ax.tick_params(axis="x", rotation=30)
plots.label(
    ax, f"{dataset}: feature importance", "feature", "mean |SHAP| (output units)"
)
# %% [markdown]
# The bars average over samples. The swarms show every test sample of the first seed, network by network, features in the
# dense network's order: a feature whose colours change sides has changed its meaning.

# %% mystnb={"figure": {"caption": "SHAP values of the five networks, first seed: one point a test sample, coloured by the feature's value.", "name": "fig-beeswarm"}, "image": {"alt": "Five bee-swarm panels, one a network, of SHAP values for each feature, coloured from low to high feature value."}}
order = [split.feature_names.index(name) for name in bars.index]
figure, axes = plots.panels(len(masks), figsize=(15, 0.5 * n_features + 1.5))
for ax, model in zip(axes, masks):
    explained = shap.Explanation(
        values[seeds[0], model][:, order, 0],
        data=split.X_test[:, order],
        feature_names=list(bars.index),
    )
    shap.plots.beeswarm(
        explained, ax=ax, order=np.arange(n_features), max_display=n_features, plot_size=None, show=False, s=8,
        color=plt.get_cmap("cividis"), color_bar=model == "magnitude", group_remaining_features=False,
    )  # fmt: skip
    ax.tick_params(labelsize=9, labelleft=model == "dense")
    plots.label(ax, model, "SHAP value (output units)", "")
# %% [markdown]
# ## How consistent is consistent?
#
# Rank correlation (Spearman, Kendall) and the overlap of the three leading features, of each pruned network with
# its own dense parent. The last row is the yardstick: dense networks of different seeds among themselves.

# %%
rows = [
    dict(model=model, seed=seed, **importance.importance_agreement(by_model[seed, "dense"], by_model[seed, model]))
    for seed in seeds for model in masks if model != "dense"
]  # fmt: skip
rows += [
    dict(model="dense, other seed", seed=a, **importance.importance_agreement(by_model[a, "dense"], by_model[b, "dense"]))
    for a, b in combinations(seeds, 2)
]  # fmt: skip
rows = pd.DataFrame(rows)
results.save(
    rows,
    "06_diagnostics",
    dataset,
    protocol,
    out_dir,
    seeds=seeds,
    alpha=choices.alpha,
    rule=choices.rule,
)
agreement = rows.groupby("model")[["spearman", "kendall", "top3"]].mean()
agreement.round(3)


# %% mystnb={"figure": {"caption": "Rank agreement of feature importance with the dense parent, one point a seed (or pair of seeds), and the mean.", "name": "fig-agreement"}, "image": {"alt": "Strip plot of Spearman correlation for FT, PT, random, magnitude, and dense networks of other seeds."}}
figure, (ax,) = plots.panels(figsize=(8, 3.5))
colours = plots.MODELS | {"dense, other seed": plots.MODELS["dense"]}
sns.stripplot(
    rows,
    x="spearman",
    y="model",
    hue="model",
    palette=colours,
    alpha=0.5,
    ax=ax,
    legend=False,
)
ax.scatter(
    agreement.spearman.loc[rows.model.unique()],
    range(rows.model.nunique()),
    color="black",
    marker="|",
    s=300,
)
plots.label(
    ax,
    f"{dataset}: agreement with the dense network",
    "Spearman correlation of mean |SHAP|",
    "",
)
# %% tags=["hide-input"]
agree = rows.pivot_table(
    index="seed", columns="model", values="spearman", dropna=False
)
others = agree["dense, other seed"].mean() if len(seeds) > 1 else np.nan
evidence.save({
    "explained": agree["FT"] - others, "explained_partial": agree["PT"] - others,
    "shap_magnitude_keeps": agree["magnitude"] - others,
    "shap_random": agree["FT"] - agree["random"], "shap_magnitude": agree["FT"] - agree["magnitude"],
}, "06_diagnostics", dataset, protocol, out_dir)  # fmt: skip

# %% tags=["hide-input", "nbval-ignore-output"]
wide = rows[rows.model != "dense, other seed"].pivot(
    index="seed", columns="model", values="spearman"
)
above = wide.sub(wide["random"], axis=0)
results.publish(dict(
    ft=agreement.spearman["FT"], pt=agreement.spearman["PT"], random=agreement.spearman["random"],
    magnitude=agreement.spearman["magnitude"], n_seeds=len(seeds),
    yardstick=agreement.spearman.get("dense, other seed", np.nan),
    **{f"{m}_{end}": value for m in ("FT", "PT") for end, value in zip(("mean", "low", "high"), results.interval(above[m]))},
))  # fmt: skip

# %% [markdown]
# ## What we found
#
# - **Rank agreement with the dense parent** (Spearman, mean over {glue:text}`n_seeds:.0f` seeds): FT
#   {glue:text}`ft:.2f`, PT {glue:text}`pt:.2f`, random {glue:text}`random:.2f`, magnitude
#   {glue:text}`magnitude:.2f`.
# - **The yardstick**: two dense networks that differ only in their seed agree at {glue:text}`yardstick:.2f`. A
#   pruned network above that line has kept more of its parent's reasoning than another seed would have.
# - **Against a random mask of the same size**, seed by seed, FT agrees better by {glue:text}`FT_mean:.2f` (95 % interval
#   {glue:text}`FT_low:.2f` to {glue:text}`FT_high:.2f`) and PT, which prunes more or fewer weights, by
#   {glue:text}`PT_mean:.2f` ({glue:text}`PT_low:.2f` to {glue:text}`PT_high:.2f`).
#
# ```{admonition} What could be wrong with it
# :class: caution
# SHAP values depend on the background data (at most a hundred training rows) and treat features as independent. Pairs of
# seeds share networks, so the points of the yardstick are not independent. Kept
# importance at a sparsity of a few weights is a weak test: little was taken away. Rank correlations over few
# features are coarse.
# ```
