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
# # Does it beat chance?
#
# A pruned network that is as accurate as the whole one proves little. On networks that have too many weights almost any
# mask will do, and LEGCNet prunes few: a method can look good because the task is easy. The question to ask of a ranking is
# not what it costs to follow it, but what it costs *not* to, that is, to leave the choice to dice. [Chapter
# 5](05_baselines.ipynb) compared masks of LEGCNet's own size. Here its statistic ranks *all* weights, so that it can prune
# any share of them, up to where networks break; and the ranking meets those that others use, and chance.
#
# ```{admonition} The paper says
# LEGCNet compares "very well in performance" with random and magnitude-based pruning (section 1.1), at a sparsity that is
# not given.
# ```
#
# The score of weight $i$ is the smallest $p$ of its Granger tests, turned round, so that strong evidence is a high score; the
# lowest scores are pruned first. Chance is a random mask of the same size. What counts is a ranking's advantage over such
# masks, averaged over the sparsities $s$ (shares of weights pruned):
#
# ```{math}
# :label: eq-advantage
# A = \frac{1}{|S|} \sum_{s \in S} \Bigl( a(s) - \overline{a_\text{random}(s)} \Bigr),
# ```
#
# with $a$ the test accuracy after the last epoch and the bar for the mean over random masks of the same seed. An average over
# sparsities needs no choice of the one at which a method looks best. Zero is what dice are worth; below zero one had better
# throw them.
#
# In networks this small many weights soon lie on no path from input to output: their unit has lost all its inputs, or all its
# outputs. They are kept by name only. The *effective* sparsity counts them as pruned {cite}`vysogorets2023`.

# %% tags=["parameters"]
dataset: str = "cancer"  # cancer, titanic, banknote, iris, iris3f, vowel, wine …
protocol: str = "published"  # published (the paper, oddities included) or corrected
seeds: list = [0, 1]  # whole numbers; one network a seed
draws: int = 10  # random masks a seed and sparsity; runs that give placebo errors
window: int = None  # iterates a window of the full run; None: the data set's own
overlap: float = None  # share of a window in the next one; None: the protocol's
max_lag: int = None  # largest lag of the full run, windows; None: the data set's own
out_dir: str = "results"  # folder for the rows (CSV) and where they came from (JSON)

# %%
from study import parameters

choices = parameters.check(
    globals(), "dataset protocol seeds draws window overlap max_lag out_dir"
)

# %% tags=["hide-input"]
from dataclasses import replace

import numpy as np
import pandas as pd

from legc_utils import datasets, granger, selection, training
from study import evidence, nulls, plots, rankings, results
from study.randomness import derived_seed

plots.use_style()
choices = replace(choices, p_decimals=None)  # rounded p-values cannot be ranked
split = datasets.load(dataset, choices)
for variant in ("FT", "PT"):
    selection.horizon(split, choices, variant)  # both must be possible
layers = training.layer_sizes(split, choices.hidden)
n_weights = training.count_weights(layers)
if n_weights > 2000:  # a thousand and more networks are trained
    raise ValueError(f"{dataset=} has {n_weights} weights; allowed here: up to 2000")
print(f"{dataset}: {n_weights} weights, seeds {seeds}, {draws} random masks each")

# %% [markdown]
# ## The rankings
#
# LEGC comes in its two variants, which follow a whole training (FT) or its beginning (PT). Minus the logarithm of $p$ is
# the evidence that a weight is causal; where no test was possible there is none. The paper rounds its p-values, which is
# enough to hold them against a level; a ranking needs all digits. FT *reversed* prunes the causal weights first: if the
# ranking means anything, its reverse must be worse. All rankings have the same weights to choose from; biases are never
# pruned.

# %%
full = selection.find_masks(split, choices.hidden, seeds, choices, "FT")
partial = selection.find_masks(split, choices.hidden, seeds, choices, "PT")
w0, b0 = full.runs.initial_weights, full.runs.initial_biases
w = full.runs.final_weights
surprise = lambda p: -np.log(np.nan_to_num(p, nan=1.0).clip(min=1e-300))
scores = {"FT": surprise(full.pvalues), "FT reversed": -surprise(full.pvalues)}
scores["PT"] = surprise(partial.pvalues)

# %% [markdown]
# The rankings of others need no test. *Magnitude* goes by the size of a weight after training, over all weights or, further
# down, layer by layer; it is the oldest of all and asks for nothing but a trained network. SNIP {cite}`lee2019` asks at the
# initial weights, before any training, how much the loss would notice a weight: its score is the weight times the gradient
# of the loss. GraSP {cite}`wang2020` asks how much the gradient itself would, so that what is left can still be trained.
# Both see each training sample once. All scores are arrays of one row a seed, and higher is better.

# %%
scores["magnitude"] = np.abs(w)
scores["SNIP"] = rankings.snip(split, layers, choices, w0, b0)
scores["GraSP"] = rankings.grasp(split, layers, choices, w0, b0)

# %% [markdown]
# Three variants of the idea follow from [the last chapter](11_causality.ipynb). *Calibrated* is the evidence beyond what
# other runs' errors give, which a weight cannot have caused: if LEGC only sees the course of training, little is left.
# *Mean exponent* leaves out the test and takes the exponent as the score. *By unit* averages the evidence over each hidden
# unit's weights, into it and out of it, as single tests are noisy; it is for networks with one hidden layer. Whole units
# keep paths whatever they are chosen by, so this one has a control of its own: units in random order.

# %%
placebos = nulls.placebo_targets(split, choices.hidden, draws, choices, full.horizon)


def from_placebos(series):
    """Mean evidence from the errors of other runs: (n_weights,)."""
    p = lambda e: granger.protocol_pvalues(e, series, choices, full.horizon.max_lag)
    return np.mean([surprise(p(e).min(axis=0)) for e in placebos.T], axis=0)


beyond = [from_placebos(full.exponents[:, s]) for s in range(len(seeds))]
scores["calibrated"] = scores["FT"] - beyond
scores["mean exponent"] = full.exponents.mean(axis=0)
if one_hidden := len(layers) == 3:
    scores["by unit"] = rankings.by_unit(scores["FT"], layers)

# %% [markdown]
# ## One mask for each ranking and sparsity
#
# Sparsities rise from where nothing happens to where little is left. SynFlow {cite}`tanaka2020` joins here, because it has a
# mask for each sparsity instead of one ranking: it looks at no data at all and keeps the paths through which most would flow,
# pruning in many small rounds. Against FT's masks stand random ones of the same size, and FT's own *shuffled within layers*:
# these keep how much FT takes of each layer and forget which weights. If they do as well, the ranking has chosen layers, not
# weights. Random masks and shuffles are drawn several times, since one draw can be lucky.

# %%
default_rng, shuffle = np.random.default_rng, rankings.shuffle_within_layers
sparsities = [0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99]
masks = {("dense", 0.0, 0): np.ones((len(seeds), n_weights), bool)}
for s in sparsities:
    masks |= {(n, s, 0): rankings.keep_highest(x, s) for n, x in scores.items()}
    ft = masks["FT", s, 0]
    masks["magnitude, by layer", s, 0] = rankings.keep_highest(np.abs(w), s, layers)
    masks["SynFlow", s, 0] = rankings.synflow_masks(w0, layers, s)
    for draw in range(draws):
        drawn = [derived_seed("random mask", n, draw) for n in seeds]
        rng = default_rng(derived_seed("shuffled mask", draw))
        masks["random", s, draw] = rankings.random_masks(ft, drawn)
        masks["shuffled in layers", s, draw] = shuffle(ft, layers, rng)
        if one_hidden:
            noise = rankings.by_unit(rng.normal(size=w0.shape), layers)
            masks["random, by unit", s, draw] = rankings.keep_highest(noise, s)

# %% [markdown]
# ## One training for every mask
#
# Each mask is trained from the same initial weights, over the same samples in the same order, all of them at once. What
# differs between two rows is the mask and nothing else. Accuracy and macro F1 are read after the last epoch, so that no
# method gains from a lucky stop; the epoch at which the paper would have stopped, when the training accuracy reaches its
# benchmark, is kept beside them.

# %%
setup = split, choices.hidden, seeds, choices
rows, runs = rankings.retrain(*setup, masks)

# %% [markdown]
# Iterative magnitude pruning (IMP) cannot be trained with the others, since each of its masks comes from the training
# before: it drops the smallest of what is left, rewinds the rest to their initial weights, trains, and so on
# {cite}`frankle2019`. It is the most expensive of all, one training for every sparsity on the way, and the yardstick for
# the rest. With it the table is complete: test accuracy by the share pruned, mean over seeds and draws. Read it down a
# column. Where a row falls to the share of the largest class, its networks say the same of every sample.

# %%
left, imp = masks["dense", 0.0, 0], []
trained = runs.final_weights[runs.members["mask"] == 0]  # dense
for s in sparsities:
    left = rankings.keep_highest(np.where(left, np.abs(trained), -np.inf), s)
    masks["IMP", s, 0] = left
    found, runs = rankings.retrain(*setup, {("IMP", s, 0): left})
    trained = runs.final_weights
    imp.append(found)
rows = pd.concat([rows, *imp], ignore_index=True).assign(kind="sweep")
rows["epochs"] = rows.epoch.fillna(choices.recorded_epochs + choices.extra_epochs)
rows.pivot_table("accuracy", "method", "target", sort=False).round(3)

# %% [markdown]
# The same as curves, in three groups: LEGC, its variants, and the rankings of others. Grey is where nine tenths of the
# random masks fall, so that a curve inside the band does nothing that luck could not do; dotted is the dense network. Three
# things to look for: whether FT leaves the band at all, on which side its reverse is, and whether the shuffled masks lie
# below FT's. Bars are intervals over seeds; where they are long, they are cut off at the panel's edge.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Test accuracy by share pruned; means with 95 % intervals, grey: nine tenths of random masks.", "name": "fig-sweep"}, "image": {"alt": "Three panels of falling curves."}}
of_legc = ["FT", "FT reversed", "PT", "shuffled in layers"]
variants = ["calibrated", "mean exponent", "by unit", "random, by unit"]
others = ["magnitude", "magnitude, by layer", "SNIP", "GraSP", "SynFlow", "IMP"]
figure, axes = plots.panels(3, figsize=(13, 4.2), sharey=True)
groups = {"LEGC": of_legc, "variants": variants, "others": others}
for ax, (title, methods) in zip(axes, groups.items()):
    plots.over_random(ax, rows, methods, "target", "accuracy")
    ax.legend(fontsize="x-small", loc="lower left")
    plots.label(ax, f"{dataset}: {title}", "weights pruned (share)", "test accuracy")

# %% [markdown]
# ## Effective sparsity, epochs and F1
#
# A mask that leaves no path is a constant, however many weights it keeps. So the first panel draws accuracy against the
# effective sparsity: a method whose advantage is gone here had kept paths, which is worth something, but not chosen weights.
# The second counts epochs to the benchmark, from one; a network that never reaches it counts with the last epoch, so a curve
# that ends at the top has networks that do not learn. The third has macro F1, the mean over classes of each one's F1, which a
# network that names one class only cannot have high.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Accuracy by effective sparsity; epochs to the benchmark and macro F1 by sparsity.", "name": "fig-effective"}, "image": {"alt": "Three panels of curves over the grey band."}}
shown = ["FT", "FT reversed", "shuffled in layers", "magnitude", "SynFlow", "IMP"]
names = dict(accuracy="accuracy", epochs="epochs to the benchmark", f1="macro F1")
figure, axes = plots.panels(3, figsize=(13, 4))
for ax, (y, name) in zip(axes, names.items()):
    x = "effective" if y == "accuracy" else "target"
    plots.over_random(ax, rows, shown, x, y)
    ax.legend(fontsize="x-small").set_visible(ax is axes[0])
    pruned = "effectively pruned" if x == "effective" else "weights pruned"
    plots.label(ax, f"{dataset}: {name}", f"{pruned} (share)", name)

# %% [markdown]
# Where do the rankings take their weights from? A ranking over the whole network decides how much each layer loses, and a
# small last layer that loses all of its weights ends every path. At one high sparsity: the share pruned of each layer, and
# what is effectively pruned. A bar at one is a layer that is gone.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "What each ranking takes of each layer, and what is effective; means over seeds.", "name": "fig-layers"}, "image": {"alt": "Grouped bars, a group for each method."}}
at = 0.8
parts = [part for part, *_ in training.layer_slices(layers)]
by_layer = pd.DataFrame([
    [method, *(1 - keep[:, part].mean() for part in parts)]
    for (method, target, _), keep in masks.items() if target == at
], columns=["method", *(f"layer {k}" for k in range(1, len(layers)))])  # fmt: skip
by_layer = by_layer.groupby("method", sort=False).mean()
by_layer["effective"] = rows[rows.target == at].groupby("method").effective.mean()
figure, (ax,) = plots.panels(figsize=(11, 3.8))
by_layer.plot.bar(ax=ax, width=0.8, rot=60)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plots.label(ax, f"{dataset}: pruned at a sparsity of {at}", "", "pruned (share)")

# %% [markdown]
# ## The advantage over chance
#
# Equation {eq}`eq-advantage` for every method: first the mean over draws, then the difference from random masks of the same
# seed and sparsity, then the mean over sparsities. That leaves one number a seed; the table has their mean and its 95 %
# interval, in points of accuracy, best first. An interval that holds zero says that these seeds do not tell the method from
# chance.

# %%
measured = ["accuracy", "epochs", "f1"]
pruned = rows[rows.target > 0].groupby(["method", "seed", "target"], sort=False)
mean = pruned[measured].mean()
chance = rows[rows.method == "random"].groupby(["seed", "target"])[measured].mean()
gains = (mean - chance).groupby(["method", "seed"], sort=False).mean()
gains = gains.drop("random", level="method").reset_index().assign(kind="advantage")
gains[["accuracy", "f1"]] *= 100  # in points
advantage = results.intervals(gains.groupby("method").accuracy)
advantage = advantage.sort_values("mean", ascending=False)
advantage.round(2)

# %% [markdown]
# The same, one dot a seed. A method that beats chance has all its dots on the right of the dotted line.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Advantage over random masks, averaged over sparsities; one point a seed, bar: mean.", "name": "fig-advantage"}, "image": {"alt": "One row of dots for each method."}}
figure, (ax,) = plots.panels(figsize=(8, 4.8))
plots.dots(ax, gains.accuracy, gains.method, advantage.index)
plots.label(ax, f"{dataset}: advantage over random masks", "accuracy (points)", "")

# %% [markdown]
# ## Sanity checks
#
# If a mask holds knowledge, it should suffer when that is taken away {cite}`su2020,frankle2021`: its weights shuffled within
# layers, the network started from other initial weights, or the mask found on data with permuted labels, in which there is
# nothing to learn. Several published methods did not suffer, which showed that they had chosen how many weights to take of
# each layer and no more. First the masks found on permuted labels, and other initial weights.

# %%
labels = default_rng([seeds[0], 13]).permutation(split.y_train)
permuted = replace(split, y_train=labels)
corrupt = selection.find_masks(permuted, choices.hidden, seeds, choices, "FT")
wrong = {
    "FT": surprise(corrupt.pvalues),
    "magnitude": np.abs(corrupt.runs.final_weights),
}
others = [derived_seed("other start", seed) for seed in seeds]
fresh = training.initial_ensemble(layers, others, choices)

# %% [markdown]
# FT and magnitude are asked, at the sparsity of the bars above, where rankings differ. Each column is a network's accuracy:
# as it is, and after each kind of damage. A ranking whose mask does no worse when it comes from permuted labels has not
# used what the labels say.

# %%
checks = []
for name in ("FT", "magnitude"):
    own = rankings.keep_highest(scores[name], at)
    tried = {("as it is", at, 0): own}
    tried["labels permuted", at, 0] = rankings.keep_highest(wrong[name], at)
    for d in range(draws):
        rng = default_rng(derived_seed("shuffled check", d))
        mixed = shuffle(own, layers, rng)
        tried["shuffled in layers", at, d] = mixed
    for some, start in ((tried, None), ({("other start", at, 0): own}, fresh)):
        found, _ = rankings.retrain(*setup, some, initial=start)
        checks.append(found.assign(ranking=name))
checks = pd.concat(checks, ignore_index=True).assign(kind="sanity")
sanity = checks.groupby(["ranking", "method", "seed"], sort=False).accuracy.mean()
sanity.groupby(["ranking", "method"], sort=False).mean().unstack(sort=False).round(3)

# %% [markdown]
# All rows are kept. What the ledger judges is the advantage of FT's ranking over random masks and over each other ranking,
# that of the variants over their controls, and what the sanity checks cost, one number a seed.

# %% tags=["hide-input"]
table = pd.concat([rows, gains, checks], ignore_index=True)
set_to = dict(seeds=seeds, draws=draws, sparsities=sparsities)
set_to |= {name: getattr(choices, name) for name in ("window", "overlap", "max_lag")}
results.save(table, "12_chance", dataset, protocol, out_dir, **set_to)
over_random = gains.pivot(index="seed", columns="method", values="accuracy")
bases = dict(reverse="FT reversed", layers="shuffled in layers")
bases |= dict(magnitude="magnitude, by layer", snip="SNIP", grasp="GraSP")
bases |= dict(synflow="SynFlow", imp="IMP")
lost = {name: sanity[name].unstack("method") for name in wrong}
lost = {name: 100 * x.rsub(x["as it is"], axis=0) for name, x in lost.items()}
ft, damaged = over_random["FT"], lost["FT"]
judged = {"chance_random": ft}
judged |= {f"chance_{key}": ft - over_random[base] for key, base in bases.items()}
judged["variant_calibrated"] = over_random["calibrated"]
judged["variant_exponent"] = over_random["mean exponent"]
if one_hidden:
    judged["variant_unit"] = over_random["by unit"] - over_random["random, by unit"]
judged["sane_labels"] = damaged["labels permuted"]
judged["sane_start"] = damaged["other start"]
evidence.save(judged, "12_chance", dataset, protocol, out_dir)

# %% [markdown]
# The text below quotes these tables and nothing else. A loss is the accuracy of the mask as it is minus that of the damaged
# one.

# %% tags=["hide-input", "nbval-ignore-output"]
text = lambda values: results.interval_text(values, 1)
slug = lambda name: "_".join(name.lower().replace(",", "").split())
facts = dict(
    n_seeds=len(seeds), n_sparsities=len(sparsities), at=100 * at,
    n_networks=len(rows) + len(checks), best=advantage.index[0],
)  # fmt: skip
every = over_random.reindex(columns=sum(groups.values(), []))
facts |= {slug(method): text(found) for method, found in every.items()}
facts["best_gain"] = text(over_random[facts["best"]])
effective = 100 * by_layer.effective.add_suffix("_effective")
facts |= {slug(name): value for name, value in effective.items()}
for name, x in lost.items():
    facts |= {slug(f"{name} {check}"): text(found) for check, found in x.items()}
results.publish(facts)

# %% [markdown]
# ## What we found
#
# All numbers are points of accuracy over random masks of the same size, means over {glue:text}`n_sparsities:.0f` sparsities
# and {glue:text}`n_seeds:.0f` seeds; {glue:text}`n_networks:.0f` networks were trained for this page.
#
# - **LEGC.** FT gains {glue:text}`ft` points, its reverse, which prunes the causal weights first, {glue:text}`ft_reversed`,
#   PT {glue:text}`pt`. FT's masks shuffled within layers gain {glue:text}`shuffled_in_layers`: what FT has beyond that is
#   owed to which weights it keeps, the rest to how many it takes of each layer.
# - **Variants.** Calibrated evidence gains {glue:text}`calibrated` points, the mean exponent {glue:text}`mean_exponent`.
#   Taken by unit, FT's evidence gains {glue:text}`by_unit`; but units in random order gain {glue:text}`random_by_unit`, and
#   only the difference is the evidence's.
# - **Others.** Magnitude gains {glue:text}`magnitude`, layer by layer {glue:text}`magnitude_by_layer`, SynFlow
#   {glue:text}`synflow`, iterative magnitude pruning {glue:text}`imp`. The best here is {glue:text}`best` with
#   {glue:text}`best_gain`; the best of many is flattered by having been chosen.
# - **Paths.** At {glue:text}`at:.0f` % pruned, FT's masks effectively prune {glue:text}`ft_effective:.0f` %, random ones
#   {glue:text}`random_effective:.0f` % and SynFlow's {glue:text}`synflow_effective:.0f` %. What lies between the two
#   figures of a method are weights that it keeps for nothing.
# - **Sanity.** At the same sparsity FT loses {glue:text}`ft_shuffled_in_layers` points when shuffled within layers,
#   {glue:text}`ft_other_start` from another start and {glue:text}`ft_labels_permuted` when found on permuted labels.
#   Magnitude loses {glue:text}`magnitude_shuffled_in_layers`, {glue:text}`magnitude_other_start` and
#   {glue:text}`magnitude_labels_permuted`. A loss below zero is a gain.
#
# ```{admonition} What could be wrong with it
# :class: caution
# Magnitude, iterative pruning and FT see a whole training before they choose, PT its beginning, the others only the initial
# weights or nothing. Where the dense network is far too large, sparsity costs nothing and no ranking can show an advantage;
# where no path is left, none can either. The advantage is an average over sparsities that we chose, with more of them at
# the upper end, where networks break. Networks are small and trained as the paper does; larger ones are the subject of [the
# next chapter](13_networks.ipynb). A network's accuracy after the last epoch is one draw, so seeds matter more than
# decimals.
# ```
