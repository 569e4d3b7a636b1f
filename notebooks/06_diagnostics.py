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
# Equal accuracy can hide a changed mind: two networks may be right equally often, for different reasons. The paper
# looks inside with two tools: SHAP values {cite}`lundberg2017`, which say how much each input moves the output, and
# WeightWatcher, the business of [the next chapter](07_weightwatcher.ipynb).
#
# ```{admonition} The paper says
# Feature importance "is maintained" in LEGCNet and not under random pruning; magnitude pruning keeps it on three data
# sets (section 5.1, Figures 3, 7 and 8), or does not keep it (section 6).
# ```
#
# Ask what a feature contributes to one prediction, and the answer depends on what else is known: the second of two
# inputs that say the same adds nothing to the first. The Shapley value, which comes from the theory of games, settles
# this by averaging. That of feature $i$, one of $d$, is its effect over all coalitions $S$ of the others:
#
# ```{math}
# :label: eq-shapley
# \phi_i(x) = \sum_{S \not\ni i} \frac{|S|!\,(d - |S| - 1)!}{d!}
# \bigl( v_x(S \cup \{i\}) - v_x(S) \bigr).
# ```
#
# Here $v_x(S)$ is the mean output of the network if the features in $S$ have the values of sample $x$ and the others
# those of training samples. The values of all features add up to the prediction, less the mean prediction. With few
# inputs the sum over coalitions is computed exactly, so no error of sampling blurs what follows.
#
# Whether importance is "maintained" needs a yardstick: no two networks are quite alike. We compare a pruned network
# with its dense parent, and dense networks of different seeds *with each other*.
#
# The parameters come first. Data sets with more inputs than can be computed exactly are refused, and so are runs too
# short for the tests of either variant of LEGCNet.

# %% tags=["parameters"]
dataset: str = "cancer"  # cancer, titanic, banknote, iris, iris3f or vowel
protocol: str = "published"  # published (the paper, oddities included), resplit (other splits) or corrected
seeds: list = [0, 1]  # whole numbers; one network a seed
splits: list = [0]  # seeds of the splits; published has one of its own, 42
alpha: float = None  # level of LEGC's test; None: the protocol's
rule: str = None  # noncausal (prune non-predictors) or causal; None: the protocol's
out_dir: str = "results"  # folder for the rows (CSV) and where they came from (JSON)

# %%
from study import parameters

choices = parameters.check(
    globals(), "dataset protocol seeds splits alpha rule out_dir"
)

# %%
from itertools import permutations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import shap

from legc_utils import datasets, selection, training
from study import evidence, importance, plots, rankings, results

plots.use_style()
split = datasets.load(dataset, choices, splits[0])
n_inputs, allowed = split.X_train.shape[1], f"up to {importance.MAX_EXACT}"
if n_inputs > importance.MAX_EXACT:
    raise ValueError(f"{dataset=} has {n_inputs} inputs; allowed: {allowed}")
for variant in ("FT", "PT"):
    selection.horizon(split, choices, variant)  # raises if no test is possible

# %% [markdown]
# ## Five networks a seed, trained to the end
#
# The five models of the earlier chapters: dense, the two LEGCNets, and random and magnitude pruning with as many
# weights as FT prunes, and a sixth mask for comparison, drawn at random in PT's size. Unlike there, all are trained for
# the same number of epochs. A network that is stopped sooner than its parent would differ from it for that reason alone.


# %%
def trained(split):
    """The names of the models on a split, and their runs to the last epoch."""
    setup = split, choices.hidden, seeds, choices
    masks = rankings.model_masks(*setup, placebo=True)
    stacked = np.stack(list(masks.values()), axis=1)
    runs = training.train_ensemble(
        *setup, stacked, epochs=choices.recorded_epochs, evaluate=()
    )
    return list(masks), runs


names, runs = trained(split)
models = names[:5]
print(f"{dataset}: {len(runs.members)} networks {runs.layers}, seeds {seeds}")

# %% [markdown]
# ## What moves the output
#
# For every network we compute the SHAP values of all test samples, with training samples as the background. A
# feature's *importance* is their mean size, without the sign: how far this input moves the output from the mean, on
# average. It is in the unit of the output, which lies between nought and one.


# %%
def explain(split, runs):
    """SHAP values of a split's networks, and their importances, by seed and model."""
    found = importance.ensemble_shap_values(runs, split.X_train, split.X_test)
    members = [
        (s, names[m]) for s, m in zip(runs.members.seed, runs.members["mask"])
    ]
    of = lambda values: importance.shap_importance(values, split.feature_names)
    return dict(zip(members, found)), dict(zip(members, map(of, found)))


values, by_model = explain(split, runs)
features = split.feature_names

# %% [markdown]
# The figure is the paper's comparison: one group of bars a feature, the dense network's most important feature first.
# If a pruned network reasons as its parent does, its bars fall from left to right as the grey ones do. A bar that
# stands out from a group of equals is a feature that changed its rank.

# %% mystnb={"figure": {"caption": "Mean absolute SHAP value of every feature, averaged over seeds.", "name": "fig-importance"}, "image": {"alt": "Grouped bars: mean absolute SHAP value per feature and network."}}
bars = pd.DataFrame({m: sum(by_model[s, m] for s in seeds) for m in models})
bars = (bars / len(seeds)).sort_values("dense", ascending=False)
figure, (ax,) = plots.panels(figsize=(9, 4))
bars.plot.bar(ax=ax, color=[plots.MODELS[m] for m in bars], width=0.8)
plt.setp(ax.get_xticklabels(), rotation=30, ha="right")
title, unit = f"{dataset}: feature importance", "mean |SHAP| (output units)"
plots.label(ax, title, "feature", unit)

# %% [markdown]
# The bars average over samples and lose the sign. The swarms show every test sample of the first seed, network by
# network, features in the dense network's order. A point to the right raised the output of that sample, one to the
# left lowered it; its colour says whether the feature's value was low or high. So a row with its dark points on the
# left means that low values lower the output. A feature whose colours change sides between two panels has changed its
# meaning, even where its bar has kept its length. (Of several outputs the first is shown.)

# %% mystnb={"figure": {"caption": "SHAP values, first seed: one point a test sample, coloured by the feature's value.", "name": "fig-beeswarm"}, "image": {"alt": "Five panels, one a network, of SHAP values by feature."}}
order = [features.index(name) for name in bars.index]
figure, axes = plots.panels(len(models), figsize=(15, 0.5 * n_inputs + 1.5))
for ax, model in zip(axes, models):
    explained = shap.Explanation(
        values[seeds[0], model][:, order, 0],
        data=split.X_test[:, order],
        feature_names=list(bars.index),
    )
    shap.plots.beeswarm(
        explained, ax=ax, order=np.arange(n_inputs), max_display=n_inputs, s=8,
        color=plt.get_cmap("cividis"), color_bar=model == models[-1],
        plot_size=None, show=False, group_remaining_features=False,
    )  # fmt: skip
    ax.tick_params(labelsize=9, labelleft=model == "dense")
    plots.label(ax, model, "SHAP value (output units)", "")

# %% [markdown]
# ## How consistent is consistent?
#
# Figures persuade; numbers can be compared. Three of them say how alike the orders of features are in a pruned network
# and in its own dense parent. Spearman's and Kendall's rank correlations are one for the same order and minus one for
# the reverse; Spearman's weighs how far a feature has moved, Kendall's counts the pairs of features that have changed
# places. The third is the share of the three leading features that both have in common.
#
# Two yardsticks stand beside them. Random masks took away just as much: what they keep as well is no merit of the choice.
# And the row "dense, other seed" has dense networks among themselves, which differ in nothing but the seed: for each
# seed the mean over all others, so that the pairs of one network count once. Agreement below this row means that pruning
# changed more than a new start would have; agreement above it, that the child takes after its parent.


# %%
def agreements(by_model, number):
    """A row for each seed and model of split `number`: agreement with the parent."""
    pairs = [(model, seed, (seed, model)) for seed in seeds for model in names[1:]]
    dense = permutations(seeds, 2)
    pairs += [("dense, other seed", a, (b, "dense")) for a, b in dense]
    agree = importance.importance_agreement
    rows = pd.DataFrame([
        dict(split=number, model=model, seed=seed)
        | agree(by_model[seed, "dense"], by_model[other])
        for model, seed, other in pairs
    ])  # fmt: skip
    by = ["split", "model", "seed"]
    return rows.groupby(by, sort=False, as_index=False).mean()


rows = agreements(by_model, splits[0])
agreement = rows.groupby("model")[["spearman", "kendall", "top3"]].mean()
agreement.loc[rows.model.unique()].round(3)

# %% [markdown]
# The means above come from few networks, so here is every one of them: a point a seed, and a black bar at the mean. Look
# whether the points of a model lie to the right of those of the last row, or among them; and whether FT's lie to the
# right of those of the random masks, which took away just as much.

# %% mystnb={"figure": {"caption": "Rank agreement with the dense parent: one point a seed, and the mean.", "name": "fig-agreement"}, "image": {"alt": "Strip plot of Spearman correlation by model."}}
figure, (ax,) = plots.panels(figsize=(8, 3.5))
colours = plots.MODELS | {"dense, other seed": plots.MODELS["dense"]}
points = dict(x="spearman", y="model", hue="model", ax=ax)
sns.stripplot(rows, palette=colours, alpha=0.5, legend=False, **points)
means = agreement.spearman[rows.model.unique()]
ax.scatter(means, range(len(means)), color="black", marker="|", s=300)
ax.set_ylim(len(means) - 0.5, -0.5)
title = f"{dataset}: agreement with the dense network"
plots.label(ax, title, "Spearman correlation of mean |SHAP|", "")

# %% [markdown]
# ## The same on other splits
#
# What decides the claims is Spearman's correlation, one number a split and seed: whether it stays above a floor, for the
# claim that importance is kept, and whether it is above that of random and magnitude pruning, for the claims that LEGCNet
# keeps it better. The placebo puts random masks of the same size in the place of FT and PT; a second random mask, of PT's
# size, stands against the first.

# %% tags=["hide-input"]
every = [rows]
for number in splits[1:]:
    other = datasets.load(dataset, choices, number)
    every.append(agreements(explain(other, trained(other)[1])[1], number))
every = pd.concat(every, ignore_index=True)
settings = dict(seeds=seeds, splits=splits, alpha=choices.alpha, rule=choices.rule)
results.save(every, "06_diagnostics", dataset, protocol, out_dir, **settings)
wide = every.pivot(index=["split", "seed"], columns="model", values="spearman")


def outcomes(full, partial):
    """The evidence of claims on FT and PT, with these models in their place."""
    return {
        "explained": wide[full], "explained_partial": wide[partial],
        "shap_random": wide[full] - wide["random"],
        "shap_magnitude": wide[full] - wide["magnitude"],
    }  # fmt: skip


# %% tags=["hide-input", "nbval-ignore-output"]
random = outcomes("random", "random (PT)")
random["shap_random"] = wide["random (PT)"] - wide["random"]
random["shap_magnitude_keeps"] = wide["random"]
evidence.save(
    outcomes("FT", "PT") | {"shap_magnitude_keeps": wide["magnitude"]},
    "06_diagnostics", dataset, protocol, out_dir, placebo=random,
)  # fmt: skip
here = wide.loc[splits[0]]
equal = {"FT": "random", "PT": "random (PT)"}
above = {m: results.interval_text(here[m] - here[r]) for m, r in equal.items()}
facts = {model.lower(): agreement.spearman[model] for model in models[1:]}
facts |= {f"{model}_above": text for model, text in above.items()}
yardstick = here.get("dense, other seed", pd.Series(dtype=float))
facts["yardstick"] = results.interval_text(yardstick)
results.publish(facts | dict(n_seeds=len(seeds)))

# %% [markdown]
# ## What we found
#
# - **Rank agreement with the dense parent** (Spearman, mean over {glue:text}`n_seeds:.0f` seeds): FT
#   {glue:text}`ft:.2f`, PT {glue:text}`pt:.2f`, random {glue:text}`random:.2f`, magnitude
#   {glue:text}`magnitude:.2f`.
# - **The yardsticks**: two dense networks that differ only in their seed agree at {glue:text}`yardstick`. A pruned
#   network above that line has kept more of its parent's reasoning than another seed would have. The page on claims
#   asks for a floor instead, which does not depend on them.
# - **Against a random mask of the same size**, seed by seed, FT agrees better by {glue:text}`FT_above`, and PT by
#   {glue:text}`PT_above`. Negative is worse; with an interval that holds zero we cannot tell LEGCNet's choice from a
#   draw.
#
# ```{admonition} What could be wrong with it
# :class: caution
# SHAP values depend on the background data (at most a hundred training rows) and treat features as independent, so
# they ask the network about combinations that do not occur. Pairs of seeds share networks, so the points of the
# yardstick are not independent, and its interval is somewhat too narrow. The floor is a convention. Kept importance at a sparsity of a few weights is a
# weak test: little was taken away. Rank correlations over few features are coarse.
# ```
