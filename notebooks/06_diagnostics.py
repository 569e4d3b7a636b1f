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
# {cite}`lundberg2017`, which say how much each input moves the output, and WeightWatcher {cite}`martin2021`, which
# fits a power law to the eigenvalues of each layer.
#
# ```{admonition} The paper says
# Feature importance "is maintained" in LEGCNet and not under random pruning (section 5.1, Figures 3, 7 and 8);
# alpha "lies between 2.0 and 6.0 on every layer" (Table 4, MNIST).
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
dataset = "cancer"
protocol = "published"
seeds = [0, 1]
alpha = None  # None: the protocol's own
rule = None
out_dir = "results"

# %%
from legc_utils import protocols

choices = protocols.from_parameters(globals(), "dataset protocol seeds alpha rule out_dir")

# %%
from itertools import combinations

import numpy as np
import pandas as pd

from legc_utils import datasets, diagnostics, plots, pruning, results, training

plots.use_style()
split = datasets.load(dataset, choices)
n_features = split.X_train.shape[1]
if n_features > diagnostics.MAX_EXACT:
    raise ValueError(f"dataset={dataset!r} has {n_features} inputs; allowed: up to {diagnostics.MAX_EXACT}")
pruning.horizon(split, choices, "FT"), pruning.horizon(split, choices, "PT")  # both must be possible
layers = training.layer_sizes(split, choices.hidden)
print(f"{dataset}: network {layers}, seeds {seeds}")

# %% [markdown]
# ## Five networks a seed, trained to the end

# %%
full, partial = (pruning.find_masks(split, choices.hidden, seeds, choices, v) for v in ("FT", "PT"))
masks = {
    "dense": np.ones_like(full.masks), "FT": full.masks, "PT": partial.masks,
    "random": pruning.random_masks(full.masks, seeds),
    "magnitude": pruning.magnitude_masks(full.masks, full.runs.final_weights),
}  # fmt: skip
runs = training.train_ensemble(
    split, choices.hidden, seeds, choices, masks=np.stack(list(masks.values()), axis=1),
    epochs=choices.recorded_epochs,
)  # fmt: skip


# %%
def network(seed, model):
    """The trained network of a seed and model, as a torch module."""
    at = runs.members.query("seed == @seed and mask == @list(@masks).index(@model)").index[0]
    return training.as_module(runs.final_weights[at], runs.final_biases[at], layers, choices.output)


values = {
    (seed, model): diagnostics.shap_values(network(seed, model), split.X_train, split.X_test)
    for seed in seeds for model in masks
}  # fmt: skip
importance = {key: diagnostics.shap_importance(v, split.feature_names) for key, v in values.items()}

# %% mystnb={"figure": {"caption": "Mean absolute SHAP value of every feature, averaged over seeds, for the five networks.", "name": "fig-importance"}, "image": {"alt": "Grouped bar chart of mean absolute SHAP value per feature for dense, FT, PT, random and magnitude networks."}}
bars = pd.DataFrame({m: sum(importance[s, m] for s in seeds) / len(seeds) for m in masks})
bars = bars.sort_values("dense", ascending=False)
figure, (ax,) = plots.panels(figsize=(9, 4))
bars.plot.bar(ax=ax, color=[plots.MODELS[m] for m in bars], width=0.8)
ax.tick_params(axis="x", rotation=30)
plots.label(ax, f"{dataset}: feature importance", "feature", "mean |SHAP| (output units)")
# %% mystnb={"figure": {"caption": "One point a test sample: how much each feature moved the dense network's output (first class output), first seed.", "name": "fig-beeswarm"}, "image": {"alt": "Strip plot of SHAP values for each feature, coloured by the feature's value."}}
figure, (ax,) = plots.panels(figsize=(9, 4))
shown = values[seeds[0], "dense"][..., 0]
rng = np.random.default_rng(0)
for y, name in enumerate(bars.index[::-1]):
    column = split.feature_names.index(name)
    jitter = y + rng.uniform(-0.25, 0.25, len(shown))
    points = ax.scatter(shown[:, column], jitter, c=split.X_test[:, column], cmap="cividis", s=12)
ax.set_yticks(range(len(bars)), bars.index[::-1])
figure.colorbar(points, label="feature value (scaled)")
plots.label(ax, f"{dataset}: SHAP values, dense network", "SHAP value (output units)", "")
# %% [markdown]
# ## How consistent is consistent?
#
# Rank correlation (Spearman, Kendall) and the overlap of the three leading features, of each pruned network with
# its own dense parent. The last row is the yardstick: dense networks of different seeds among themselves.

# %%
rows = [
    dict(model=model, seed=seed, **diagnostics.importance_agreement(importance[seed, "dense"], importance[seed, model]))
    for seed in seeds for model in masks if model != "dense"
]  # fmt: skip
rows += [
    dict(model="dense, other seed", seed=a, **diagnostics.importance_agreement(importance[a, "dense"], importance[b, "dense"]))
    for a, b in combinations(seeds, 2)
]  # fmt: skip
rows = pd.DataFrame(rows)
results.save(rows, "06_diagnostics", dataset, protocol, out_dir, seeds=seeds, alpha=choices.alpha, rule=choices.rule)
agreement = rows.groupby("model")[["spearman", "kendall", "top3"]].mean()
agreement.round(3)

# %% [markdown]
# ## WeightWatcher
#
# The spectrum of a layer has as many eigenvalues as its smaller side has units. WeightWatcher wants at least eight
# for a power law.

# %%
watched = diagnostics.weightwatcher_table(network(seeds[0], "dense"))
watched

# %% tags=["hide-input", "nbval-ignore-output"]
results.publish(dict(
    ft=agreement.spearman["FT"], pt=agreement.spearman["PT"], random=agreement.spearman["random"],
    magnitude=agreement.spearman["magnitude"], n_seeds=len(seeds),
    yardstick=agreement.spearman.get("dense, other seed", np.nan),
    most_eigenvalues=watched.eigenvalues.max(), fitted=watched.alpha.notna().sum(),
))  # fmt: skip

# %% [markdown]
# ## What we found
#
# - **Rank agreement with the dense parent** (Spearman, mean over {glue:text}`n_seeds:.0f` seeds): FT
#   {glue:text}`ft:.2f`, PT {glue:text}`pt:.2f`, random {glue:text}`random:.2f`, magnitude
#   {glue:text}`magnitude:.2f`.
# - **The yardstick**: two dense networks that differ only in their seed agree at {glue:text}`yardstick:.2f`. A
#   pruned network above that line has kept more of its parent's reasoning than another seed would have.
# - **WeightWatcher**: the largest spectrum has {glue:text}`most_eigenvalues:.0f`
#   eigenvalues, and {glue:text}`fitted:.0f` layers could be fitted. Table 4 is about MNIST alone.
#
# ```{admonition} What could be wrong with it
# :class: caution
# SHAP values depend on the background data (here 100 training rows) and treat features as independent. Kept
# importance at a sparsity of a few weights is a weak test: little was taken away. Rank correlations over few
# features are coarse.
# ```
