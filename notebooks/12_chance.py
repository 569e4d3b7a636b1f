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
# lowest scores are pruned first. (The corrected protocol has one test a weight, at a lag chosen by BIC. Its correction for
# many tests moves a level, not the order of weights, and has no part in what follows.) Chance is a random mask of the same size. What counts is a ranking's advantage over such
# masks, averaged over the sparsities $s$ (shares of weights pruned):
#
# ```{math}
# :label: eq-advantage
# A = \frac{1}{|S|} \sum_{s \in S} \Bigl( a(s) - \overline{a_\text{random}(s)} \Bigr),
# ```
#
# with $a$ the test accuracy after the last epoch and the bar for the mean over random masks of the same seed. A sample counts
# as right if its class has the largest output, so that a network which says the same of every sample is worth the share of
# the class that it names; the paper's count, by which every output has to be on its side of one half, would make it worth
# nothing. An average over sparsities needs no choice of the one at which a method looks best. Zero is what dice are worth;
# below zero one had better throw them.
#
# In networks this small many weights soon lie on no path from input to output: their unit has lost all its inputs, or all its
# outputs. They are kept by name only. The *effective* sparsity counts them as pruned {cite}`vysogorets2023`. Where no path
# is left, no ranking can be told from another, so the sparsities end where random masks begin to fall apart.

# %% tags=["parameters"]
dataset: str = "cancer"  # cancer, titanic, banknote, iris, iris3f, vowel, wine …
protocol: str = "published"  # published (the paper, oddities included), resplit (other splits) or corrected
seeds: list = [0, 1]  # whole numbers; one network a seed
splits: list = [0]  # seeds of the splits; published has one of its own, 42
draws: int = 10  # random masks a seed and sparsity; runs that give placebo errors
window: int = None  # iterates a window of the full run; None: the data set's own
overlap: float = None  # share of a window in the next one; None: the protocol's
max_lag: int = None  # largest lag of the full run, windows; None: the data set's own
out_dir: str = "results"  # folder for the rows (CSV) and where they came from (JSON)

# %%
from study import parameters

choices = parameters.check(
    globals(), "dataset protocol seeds splits draws window overlap max_lag out_dir"
)

# %% tags=["hide-input"]
from dataclasses import replace

import numpy as np
import pandas as pd

from legc_utils import datasets, granger, protocols, selection, training
from study import evidence, nulls, plots, rankings, results
from study.randomness import derived_seed

plots.use_style()
choices = replace(choices, p_decimals=None)  # rounded p-values cannot be ranked
split = datasets.load(dataset, choices, splits[0])
for variant in ("FT", "PT"):
    selection.horizon(split, choices, variant)  # both must be possible
layers = training.layer_sizes(split, choices.hidden)
n_weights = training.count_weights(layers)
if n_weights > 2000:  # a thousand and more networks are trained
    raise ValueError(f"{dataset=} has {n_weights} weights; allowed here: up to 2000")
one_hidden = len(layers) == 3
print(f"{dataset}: {n_weights} weights, seeds {seeds}, {draws} random masks each")

# %% [markdown]
# ## The rankings
#
# LEGC comes in its two variants, which follow a whole training (FT) or its beginning (PT). Minus the logarithm of $p$ is
# the evidence that a weight is causal. Where no test is possible, since a series does not change, there is neither evidence
# for nor against: the published rule never prunes such a weight, so in every ranking of LEGC it is the last to go, and among
# several dice decide. The paper rounds its p-values, which is enough to hold them against a level; a ranking needs all
# digits. FT *reversed* prunes the causal weights first: if the ranking means anything, its reverse must be worse. All
# rankings have the same weights to choose from; biases are never pruned.


# %%
def follow(split, variant="FT"):
    return selection.find_masks(split, choices.hidden, seeds, choices, variant)


def by_legc(full):
    """LEGC's scores, one row a seed; `full` is what FT followed."""
    return {
        "FT": rankings.surprise(full.pvalues),
        "FT reversed": rankings.surprise(full.pvalues, reverse=True),
    }


# %% [markdown]
# The rankings of others need no test. *Magnitude* goes by the size of a weight after training, over all weights or, further
# down, layer by layer; it is the oldest of all and asks for nothing but a trained network. SNIP {cite}`lee2019` asks at the
# initial weights, before any training, how much the loss would notice a weight: its score is the weight times the gradient
# of the loss. GraSP {cite}`wang2020` asks how much the gradient itself would, so that what is left can still be trained.
# Both see each training sample once. All scores are arrays of one row a seed, and higher is better.


# %%
def by_others(split, full):
    """Scores that ask for no test."""
    start = full.runs.initial_weights, full.runs.initial_biases
    return {
        "magnitude": np.abs(full.runs.final_weights),
        "SNIP": rankings.snip(split, layers, choices, *start),
        "GraSP": rankings.grasp(split, layers, choices, *start),
    }


# %% [markdown]
# Three variants of the idea follow from [the last chapter](11_causality.ipynb). *Calibrated* is the evidence beyond what
# other runs' errors give, which a weight cannot have caused: if LEGC only sees the course of training, little is left.
# *Mean exponent* leaves out the test and takes the exponent as the score. *By unit* averages the evidence over each hidden
# unit's weights, into it and out of it, as single tests are noisy; it is for networks with one hidden layer. Whole units
# keep paths whatever they are chosen by, so this one has a control of its own: units in random order. A test that is undefined
# with another run's error has no say in the mean over runs.


# %%
def by_variants(split, full):
    """Scores of what one might make of LEGC."""
    look = full.horizon
    placebos = nulls.placebo_targets(split, choices.hidden, draws, choices, look)
    test = lambda e, x: granger.protocol_pvalues(e, x, choices, look.max_lag)
    series = [full.exponents[:, s] for s in range(len(seeds))]
    p = [[test(e, x).min(axis=0) for x in series] for e in placebos.T]
    mean = full.exponents.mean(axis=0)
    scores = {"calibrated": rankings.calibrated(full.pvalues, np.array(p))}
    scores["mean exponent"] = np.where(np.isnan(mean), np.inf, mean)
    if one_hidden:
        scores["by unit"] = rankings.by_unit(rankings.surprise(full.pvalues), layers)
    return scores


# %% [markdown]
# ## One mask for each ranking and sparsity
#
# Sparsities rise in equal steps from where little happens to the largest at which nine of ten random masks still connect
# every output with some input. They are found by drawing masks, before anything is trained, and are the same for all methods
# and seeds of a data set.

# %%
sparsities = rankings.connected_sparsities(layers)
at = sparsities[-1]  # where rankings differ most
pd.Series(sparsities, name="weights pruned (share)").to_frame().T

# %% [markdown]
# SynFlow {cite}`tanaka2020` joins here, because it has a mask for each sparsity instead of one ranking: it looks at no data at
# all and keeps the paths through which most would flow, pruning in many small rounds. Ties fall to dice.

# %%
shape = len(seeds), n_weights
default_rng, shuffle = np.random.default_rng, rankings.shuffle_within_layers


def choose(scores, w0, number):
    """A mask for each ranking and sparsity, on split `number`; w0: untrained weights."""
    ties = default_rng(derived_seed("ties", number)).random(shape)
    w, masks = scores["magnitude"], {("dense", 0.0, 0): np.ones(shape, bool)}
    for s in sparsities:
        masks["SynFlow", s, 0] = rankings.synflow_masks(w0, layers, s)
    for s in sparsities:
        for name, score in scores.items():
            masks[name, s, 0] = rankings.keep_highest(score, s, ties=ties)
        masks["magnitude, by layer", s, 0] = rankings.keep_highest(w, s, layers)
    return masks


# %% [markdown]
# Against FT's masks stand random ones of the same size, and FT's own *shuffled within layers*: these keep how much FT takes of
# each layer and forget which weights. If they do as well, the ranking has chosen layers, not weights. Random masks and
# shuffles are drawn several times, since one draw can be lucky. One more random mask has no part in any mean: it is the
# *placebo*, which takes FT's place to show what this chapter would say of a method that knows nothing.


# %%
def draw(masks, number):
    """Controls of FT's masks: random ones, and shuffled ones."""
    found = {}
    for s, k in [(s, k) for s in sparsities for k in range(draws + 1)]:
        name, ft = "random" if k < draws else "placebo", masks["FT", s, 0]
        own = [derived_seed("random mask", number, seed, k) for seed in seeds]
        found[name, s, k] = rankings.random_masks(ft, own)
        if k < draws:
            rng = default_rng(derived_seed("shuffled mask", number, k))
            found["shuffled in layers", s, k] = shuffle(ft, layers, rng)
        if one_hidden:
            rng = default_rng(derived_seed("random units", number, k))
            noise = rankings.by_unit(rng.normal(size=shape), layers)
            found[f"{name}, by unit", s, k] = rankings.keep_highest(noise, s)
    return found


# %% [markdown]
# ## One training for every mask
#
# Each mask is trained from the same initial weights, over the same samples in the same order, all of them at once. What
# differs between two rows is the mask and nothing else. Accuracy, loss (mean squared error of the outputs) and macro F1 are
# read on the test set after the last epoch, so that no method gains from a lucky stop; the epoch at which the paper would
# have stopped, when the training accuracy reaches its benchmark, is kept beside them.
#
# Iterative magnitude pruning (IMP) cannot be trained with the others, since each of its masks comes from the training
# before: it drops the smallest of what is left, rewinds the rest to their initial weights, trains, and so on
# {cite}`frankle2019`. It is the most expensive of all, one training for every sparsity on the way, and the yardstick for
# the rest.


# %%
def compete(split, number, only=None):
    """Rows of every method, or `only` of some, on a split; masks and scores."""
    full, all_of_them = follow(split), only is None
    scores = by_legc(full) | by_others(split, full)
    if all_of_them:
        scores["PT"] = rankings.surprise(follow(split, "PT").pvalues)
    if all_of_them or "calibrated" in only:
        scores |= by_variants(split, full)
    masks = choose(scores, full.runs.initial_weights, number)
    masks |= draw(masks, number)
    masks = {
        key: mask for key, mask in masks.items() if all_of_them or key[0] in only
    }
    setup = split, choices.hidden, seeds, choices
    rows, runs = rankings.retrain(*setup, masks, stops=all_of_them)
    w = runs.final_weights[runs.members["mask"] == [*masks].index(("dense", 0.0, 0))]
    found, more = rankings.iterative_magnitude(
        *setup, w, sparsities, stops=all_of_them
    )
    return pd.concat([rows, found], ignore_index=True), masks | more, scores


# %% [markdown]
# The table has the test accuracy by the share pruned, mean over seeds and draws. Read it down a column. Where a row falls to
# the share of the largest class, its networks say the same of every sample.

# %%
rows, masks, scores = compete(split, splits[0])
rows = rows.assign(kind="sweep")
rows["epochs"] = rows.epoch.fillna(choices.recorded_epochs + choices.extra_epochs)
placebo = rows.method.isin(["placebo", "placebo, by unit"])
shown = rows[~placebo]
shown.pivot_table("accuracy", "method", "target", sort=False).round(3)

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
# small last layer that loses all of its weights ends every path. At the highest sparsity: the share pruned of each layer, and
# what is effectively pruned. A bar at one is a layer that is gone.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "What each ranking takes of each layer, and what is effective; means over seeds.", "name": "fig-layers"}, "image": {"alt": "Grouped bars, a group for each method."}}
parts = [part for part, *_ in training.layer_slices(layers)]
by_layer = pd.DataFrame([
    [method, *(1 - keep[:, part].mean() for part in parts)]
    for (method, target, _), keep in masks.items() if target == at
], columns=["method", *(f"layer {k}" for k in range(1, len(layers)))])  # fmt: skip
by_layer = by_layer.groupby("method", sort=False).mean()
by_layer["effective"] = rows[rows.target == at].groupby("method").effective.mean()
by_layer = by_layer.loc[[m for m in by_layer.index if not m.startswith("placebo")]]
figure, (ax,) = plots.panels(figsize=(11, 3.8))
by_layer.plot.bar(ax=ax, width=0.8, rot=60)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plots.label(ax, f"{dataset}: pruned at a sparsity of {at}", "", "pruned (share)")

# %% [markdown]
# ## The advantage over chance
#
# Equation {eq}`eq-advantage` for every method: first the mean over draws, then the difference from random masks of the same
# seed and sparsity, then the mean over sparsities. That leaves one number a seed; the table has their mean and its 95 %
# interval, in points of accuracy, best first, and the same difference in the loss (below zero is better), which notices
# what an accuracy in whole samples cannot. An interval that holds zero says that these seeds do not tell the method from
# chance.

# %%
measured = ["accuracy", "loss", "f1"]


def advantages(rows):
    """Mean difference from random masks: one row a method and seed."""
    pruned = rows[rows.target > 0].groupby(["method", "seed", "target"], sort=False)
    mean = pruned[[m for m in [*measured, "epochs"] if m in rows]].mean()
    gains = mean - mean.loc["random"].reindex(mean.index.droplevel(0)).to_numpy()
    gains = gains.groupby(["method", "seed"], sort=False).mean()
    gains[["accuracy", "f1"]] *= 100  # in points
    gains = gains.drop("random", level="method").reset_index()
    of_placebo = gains.method.str.startswith("placebo")
    return gains.assign(kind=np.where(of_placebo, "placebo", "advantage"))


# %%
gains = advantages(rows)
listed = gains[gains.kind == "advantage"].groupby("method")
advantage = results.intervals(listed.accuracy)
advantage["loss"] = listed.loss.mean()
advantage = advantage.sort_values("mean", ascending=False)
advantage.round(3)

# %% [markdown]
# ## Sanity checks
#
# If a mask holds knowledge, it should suffer when that is taken away {cite}`su2020,frankle2021`: its weights shuffled within
# layers, the network started from other initial weights, or the mask found on data with permuted labels, in which there is
# nothing to learn. Several published methods did not suffer, which showed that they had chosen how many weights to take of
# each layer and no more. First the masks found on permuted labels, and other initial weights.


# %%
def damaged(split, masks, number, names, draws):
    """Masks of these rankings found on permuted labels, or shuffled."""
    labels = default_rng(derived_seed("labels", number)).permutation(split.y_train)
    corrupt = follow(replace(split, y_train=labels))
    ties = default_rng(derived_seed("ties", number)).random(shape)
    wrong = {"FT": rankings.surprise(corrupt.pvalues)}
    wrong["magnitude"] = np.abs(corrupt.runs.final_weights)
    found = {}
    for name, s in [(name, s) for name in names for s in sparsities]:
        kept = rankings.keep_highest(wrong[name], s, ties=ties)
        found[f"{name}: labels permuted", s, 0] = kept
        for k in range(draws):
            rng = default_rng(derived_seed("shuffled check", number, k))
            mixed = shuffle(masks[name, s, 0], layers, rng)
            found[f"{name}: shuffled in layers", s, k] = mixed
    return found


# %% [markdown]
# FT and magnitude are asked, at every sparsity. Each column is the accuracy of their networks, averaged over sparsities: as
# they are, and after each kind of damage. A ranking whose mask does no worse when it comes from permuted labels has not
# used what the labels say. A random mask stands beside them, from its own start and from another.


# %%
def check(split, rows, masks, number, names, draws=0):
    """Accuracies of masks as they are and damaged, and from another start."""
    asked, others = (
        [*names, "placebo"],
        [derived_seed("other start", number, s) for s in seeds],
    )
    start = training.initial_ensemble(layers, others, choices)
    own = {key: mask for key, mask in masks.items() if key[0] in asked}
    fresh = {(f"{name}: other start", *key): own[name, *key] for name, *key in own}
    setup, wrong = (
        (split, choices.hidden, seeds, choices),
        damaged(split, masks, number, names, draws),
    )
    found, _ = rankings.retrain(*setup, wrong, stops=False)
    more, _ = rankings.retrain(*setup, fresh, stops=False, initial=start)
    same = rows[rows.method.isin(asked)][[*found]]
    same = same.assign(method=same.method + ": as it is")
    found = pd.concat([same, found, more], ignore_index=True)
    found[["ranking", "method"]] = found.method.str.split(": ", expand=True)
    return found.assign(kind="sanity")


# %%
checks = check(split, rows, masks, splits[0], ["FT", "magnitude"], draws)


def losses(checks):
    """What each damage costs, in points: one row a ranking and seed."""
    found = checks.groupby(["ranking", "method", "seed"]).accuracy.mean()
    found = 100 * found.unstack("method")
    return found.rsub(found["as it is"], axis=0)


means = checks.groupby(["ranking", "method"], sort=False).accuracy.mean()
means.unstack(sort=False).round(3)

# %% [markdown]
# ## The same on other splits
#
# All this was one division of the data into training and test set. Where the protocol has several, the same functions
# measure each of them, for as many methods as a verdict needs. What the ledger judges is the advantage of FT's ranking over
# random masks and over each other ranking, that of the variants over their controls, and what the sanity checks cost: one
# number a split and seed. The placebo's are the same differences with one random mask in the place of FT or of a variant.

# %%
bases = {
    "random": "random", "reverse": "FT reversed", "layers": "shuffled in layers",
    "magnitude": "magnitude, by layer", "snip": "SNIP", "grasp": "GraSP",
    "synflow": "SynFlow", "imp": "IMP",
}  # fmt: skip
new = dict(variant_calibrated="calibrated", variant_exponent="mean exponent")
units = ["by unit", "random, by unit", "placebo, by unit"]


# %%
def judge(gains, checks):
    """What the ledger judges, and the placebo's: two dicts of one number a seed."""
    over = gains.pivot(index="seed", columns="method", values="accuracy")
    over["random"] = 0.0
    claim = lambda own: {f"chance_{k}": own - over[b] for k, b in bases.items()}
    values, placebo = claim(over["FT"]), claim(over["placebo"])
    for key, name in new.items():
        if name in over:
            values[key], placebo[key] = over[name], over["placebo"]
    if units[0] in over:
        values["variant_unit"] = over["by unit"] - over["random, by unit"]
        placebo["variant_unit"] = over["placebo, by unit"] - over["random, by unit"]
    lost = losses(checks)
    values["sane_labels"] = lost.loc["FT", "labels permuted"]
    values["sane_start"] = lost.loc["FT", "other start"]
    placebo["sane_start"] = lost.loc["placebo", "other start"]
    return values, placebo


# %%
needed = {"FT", "placebo", "dense", *bases.values()}
if dataset in protocols.HELDOUT:  # where a variant is claimed to work
    needed |= {*new.values(), *units}
by_split = {splits[0]: (gains, checks)}
for number in splits[1:]:
    other = datasets.load(dataset, choices, number)
    found, kept, _ = compete(other, number, needed)
    by_split[number] = advantages(found), check(other, found, kept, number, ["FT"])
readings = [judge(*found) for found in by_split.values()]
judged, placebos = (
    evidence.joined(dict(zip(splits, parts))) for parts in zip(*readings)
)

# %% [markdown]
# FT against each other ranking, one row a method, in points of accuracy: on the right of the dotted line FT does better.
# Intervals are the ledger's, over splits, or over seeds where there is one split. Grey is the placebo:
# where a random mask's interval lies where FT's does, the row says nothing of LEGC.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "FT minus each other ranking, with 90 % intervals; grey: a random mask minus the same.", "name": "fig-advantage"}, "image": {"alt": "One row a method: a point with its interval, and a grey one for the placebo."}}
one = lambda x: x.groupby("split").mean() if len(splits) > 1 else x
rows_of = lambda parts: {
    f"FT − {b}": one(parts[f"chance_{k}"]) for k, b in bases.items()
}
figure, (ax,) = plots.panels(figsize=(8, 4.2))
plots.forest(ax, rows_of(judged), rows_of(placebos))
plots.label(ax, f"{dataset}: FT against other rankings", "accuracy (points)", "")

# %% [markdown]
# All rows of the first split are kept, with the advantages and checks of all. Accuracies are read after the last epoch, so
# that this reading of the ledger's is the effect itself.

# %% tags=["hide-input"]
by_method, damages = ([found[k].assign(split=number) for number, found in by_split.items()]
                      for k in (0, 1))  # fmt: skip
table = pd.concat([rows, *by_method, *damages], ignore_index=True)
table["split"] = table.split.fillna(splits[0]).astype(int)
set_to = dict(seeds=seeds, splits=splits, draws=draws, sparsities=sparsities)
set_to |= {name: getattr(choices, name) for name in ("window", "overlap", "max_lag")}
results.save(table, "12_chance", dataset, protocol, out_dir, **set_to)
read = dict(placebo=placebos, last=judged, last_placebo=placebos)
evidence.save(judged, "12_chance", dataset, protocol, out_dir, **read)


# %% [markdown]
# The text below quotes these tables, of the first split, and nothing else. A loss of points is the accuracy of the mask as it is minus that of the damaged
# one.

# %% tags=["hide-input", "nbval-ignore-output"]
text = lambda values: results.interval_text(values, 1)
slug = lambda name: "_".join(name.lower().replace(",", "").split())
facts = dict(
    n_seeds=len(seeds), n_sparsities=len(sparsities), at=100 * at,
    n_networks=len(rows) + len(checks), best=advantage.index[0], least=100 * sparsities[0],
)  # fmt: skip
over_random = gains.pivot(index="seed", columns="method", values="accuracy")
every = over_random.reindex(columns=sum(groups.values(), []))
facts |= {slug(method): text(found) for method, found in every.items()}
facts["best_gain"] = text(over_random[facts["best"]])
effective = 100 * by_layer.effective.add_suffix("_effective")
facts |= {slug(name): value for name, value in effective.items()}
for (name, damage), found in losses(checks).stack().groupby(["ranking", "method"]):
    facts[slug(f"{name} {damage}")] = text(found)
facts["untested"] = 100 * np.isinf(scores["FT"]).mean()
facts["ft_loss"] = f"{advantage.loss['FT']:.3f}".replace("-", "−")
results.publish(facts)

# %% [markdown]
# ## What we found
#
# All numbers are points of accuracy over random masks of the same size, means over {glue:text}`n_sparsities:.0f` sparsities
# and {glue:text}`n_seeds:.0f` seeds; {glue:text}`n_networks:.0f` networks were trained for this page.
#
# - **LEGC.** FT gains {glue:text}`ft` points, its reverse, which prunes the causal weights first, {glue:text}`ft_reversed`,
#   PT {glue:text}`pt`; the test loss of FT's masks minus that of random ones is {glue:text}`ft_loss`. FT's masks shuffled
#   within layers gain {glue:text}`shuffled_in_layers`: what FT has beyond that is owed to which weights it keeps, the rest to
#   how many it takes of each layer.
# - **Variants.** Calibrated evidence gains {glue:text}`calibrated` points, the mean exponent {glue:text}`mean_exponent`.
#   Taken by unit, FT's evidence gains {glue:text}`by_unit`; but units in random order gain {glue:text}`random_by_unit`, and
#   only the difference is the evidence's.
# - **Others.** Magnitude gains {glue:text}`magnitude`, layer by layer {glue:text}`magnitude_by_layer`, SynFlow
#   {glue:text}`synflow`, iterative magnitude pruning {glue:text}`imp`. The best here is {glue:text}`best` with
#   {glue:text}`best_gain`; the best of many is flattered by having been chosen.
# - **Paths.** At {glue:text}`at:.0f` % pruned, FT's masks effectively prune {glue:text}`ft_effective:.0f` %, random ones
#   {glue:text}`random_effective:.0f` % and SynFlow's {glue:text}`synflow_effective:.0f` %. What lies between the two
#   figures of a method are weights that it keeps for nothing.
# - **Sanity.** Over all sparsities FT loses {glue:text}`ft_shuffled_in_layers` points when shuffled within layers,
#   {glue:text}`ft_other_start` from another start and {glue:text}`ft_labels_permuted` when found on permuted labels.
#   Magnitude loses {glue:text}`magnitude_shuffled_in_layers`, {glue:text}`magnitude_other_start` and
#   {glue:text}`magnitude_labels_permuted`. A loss below zero is a gain.
#
# ```{admonition} What could be wrong with it
# :class: caution
# No test was possible for {glue:text}`untested:.0f` % of the weights, mostly since the error hardly changes once a network has
# learnt; of a network of nothing else, FT's order is the dice's, and so is its reverse.
# Magnitude, iterative pruning and FT see a whole training before they choose, PT its beginning, the others only the initial
# weights or nothing. Where the dense network is far too large, sparsity costs nothing and no ranking can show an advantage;
# where no path is left, none can either. The advantage is an average over sparsities from {glue:text}`least:.0f` to
# {glue:text}`at:.0f` %; the last one follows from where random masks fall apart, the first is our choice, and what rankings
# do to networks that are sparser still is not seen. Networks are small and trained as the paper does; larger ones are the
# subject of [the next chapter](13_networks.ipynb). A network's accuracy after the last epoch is one draw, so seeds matter
# more than decimals.
# ```
