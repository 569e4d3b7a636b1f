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
# # Where might it work?
#
# Once a network is trained, what foretells the effect of removing one of its weights? A criterion for pruning is a
# guess at that effect, and an idea that guesses better than magnitude, which is free, is worth carrying on, whatever
# became of its first version. This chapter asks every statistic of the chapters before, one weight at a time; [the next
# one](17_variants.ipynb) asks what LEGC's variants do as masks.
#
# ```{admonition} The paper says
# A weight whose exponents do not Granger-cause the misclassification can be pruned without loss (section 2.2).
# ```
#
# A statistic may rank weights as their effects do only because large weights have large exponents, say. What it adds is
# their correlation among weights of like magnitude: Spearman's partial correlation of statistic $x$ and effect $y$
# given the magnitude $z$,
#
# ```{math}
# :label: eq-partial
# \rho_{xy \cdot z} = \frac{\rho_{xy} - \rho_{xz}\, \rho_{yz}}{\sqrt{(1 - \rho_{xz}^2)(1 - \rho_{yz}^2)}} ,
# ```
#
# where each $\rho$ is a correlation of ranks. It is zero for a statistic that says nothing beyond magnitude, and it can
# be large for one that says little by itself, if what it says is new.

# %% tags=["parameters"]
dataset: str = "cancer"  # cancer, titanic, banknote, iris, iris3f, vowel, wine …
protocol: str = "published"  # published (the paper, oddities included), resplit (other splits) or corrected
seeds: list = [0, 1]  # whole numbers; one network a seed
splits: list = [0]  # seeds of the splits; published has one of its own, 42
out_dir: str = "results"  # folder for the rows (CSV) and where they came from (JSON)

# %%
from study import parameters

choices = parameters.check(globals(), "dataset protocol seeds splits out_dir")

# %% tags=["hide-input"]
from dataclasses import replace

import numpy as np
import pandas as pd

from legc_utils import datasets, granger, selection, training
from study import (
    conditional,
    evidence,
    knockouts,
    plots,
    rankings,
    results,
    successors,
    variants,
)
from study.randomness import derived_seed

plots.use_style()

# %% tags=["hide-input"]
choices = replace(choices, p_decimals=None)  # rounded p-values cannot be ranked
split = datasets.load(dataset, choices, splits[0])
selection.horizon(split, choices)  # FT must be possible
size = lambda hidden: training.count_weights(training.layer_sizes(split, hidden))
n_weights, many = size(choices.hidden), len(splits) > 1
if n_weights > 500:  # each weight is knocked out in a training of its own
    raise ValueError(f"{dataset=} has {n_weights} weights; allowed here: up to 500")
asked = seeds[: 1 if many or n_weights > 100 else 3]
print(f"{dataset}: {n_weights} weights, seeds {asked}")

# %% [markdown]
# ## What removal does
#
# As in [chapter 11](11_causality.ipynb), each weight is knocked out twice: *retrained* leaves it out of a new training
# from the same initial weights, *zeroed* sets it to zero in the trained network. The effect is what the training loss
# gains. Pruning followed by training is about the first. How far do the two agree, and how large are they?

# %%
dense = knockouts.knock_out(split, asked, choices)
sizes = {how: np.quantile(x, (0.1, 0.5, 0.9)) for how, x in dense.effects.items()}
both = [knockouts.rank(*pair) for pair in zip(*dense.effects.values())]
pd.DataFrame(sizes, ["lowest tenth", "median", "highest tenth"]).T.round(5)

# %% [markdown]
# ## What one can know of a weight
#
# First what asks for no test: the *magnitude* before and after training; how far the weight moved; *movement pruning*
# {cite}`sanh2020`, which sums weight times negative gradient over all steps and so says whether training drew a weight
# away from zero; and the first two terms of Taylor's series of the loss at the trained network, for the step that sets
# the weight to zero: its slope {cite}`molchanov2017`, and its curvature, which is optimal brain damage
# {cite}`lecun1990` with the exact diagonal of the Hessian. From [chapter 15](15_successors.ipynb), two scores of one
# more pass over the samples: *Causal Pruning*'s importance {cite}`causalpruning2025`, the change of the loss by each
# update of the weight beyond its first-order estimate, and $|\gamma|$ of the *Granger view* {cite}`shah2024`.


# %%
def by_training(split, layers, protocol, dense, seen):
    """Statistics that need no windows: arrays (seeds, n_weights)."""
    given = split, layers, protocol, dense.weights, dense.biases
    first, second = knockouts.taylor(*given)
    fitted = successors.granger_fit(successors.one_pass(*given))
    return {
        "|w| after training": np.abs(dense.weights),
        "|w| before training": np.abs(dense.initial),
        "|w| moved": np.abs(dense.weights - dense.initial),
        "movement pruning": seen.movement,
        "Taylor, first order": first,
        "Taylor, second order": second,
        "Causal Pruning": successors.causal_importance(*given),
        "Granger view": np.abs(fitted),
    }


# %% [markdown]
# Then what LEGC is made of. The mean of a weight's windowed *exponents*, and their trend from window to window. The
# evidence $-\ln p$ of Granger tests of these exponents and the test error, under three rules: the smallest $p$ of all
# lags, as published; lag one; the lag that BIC picks. A *conditional* test {cite}`geweke1984`, which gives the
# regression the mean exponent of the layer's other weights as a control: what a weight shares with its whole layer is
# the course of training, and evidence beyond it is about this weight. And a test without any exponent, of the weight's
# own moves from one window's end to the next.


# %%
def tested(target, series, control, ends):
    """p-values of one seed by test: dict of (n_weights,)."""
    lag = granger.bic_lag(target, choices.max_lag)
    test = lambda e, x, how: granger.granger_pvalues(e, x, choices.max_lag, how)
    by_lag = test(target, series, "ssr_ftest")
    return {
        "Granger, as published": test(target, series, choices.test).min(axis=0),
        "Granger, lag one": by_lag[0],
        "Granger, BIC lag": by_lag[lag - 1],
        "Granger, given the layer": conditional.conditional_granger(
            target, series, control, lag
        ),
        "Granger, weight's moves": test(
            target[1:], np.diff(ends, axis=0), "ssr_ftest"
        )[lag - 1],
    }


# %% [markdown]
# Tests are of one seed at a time; a trend is the slope of a straight line through a weight's exponents.


# %%
def by_series(layers, seen):
    """Statistics of the exponents: arrays (seeds, n_weights)."""
    x, e = seen.exponents, seen.errors[choices.target]
    parts = [part for part, *_ in training.layer_slices(layers)]
    control = conditional.mean_of_others(x, parts)
    t = np.arange(len(x)) - (len(x) - 1) / 2
    found = {"mean exponent": x.mean(axis=0)}
    found["trend of the exponent"] = np.tensordot(t, x, 1) / (t @ t)
    p = pd.DataFrame([
        tested(e[:, s], x[:, s], control[:, s], seen.ends[:, s])
        for s in range(e.shape[1])
    ])  # fmt: skip
    evidence_of = lambda p: np.where(np.isnan(p), np.nan, rankings.surprise(p))
    return found | {name: evidence_of(np.stack(p[name])) for name in p}


# %% [markdown]
# All statistics are one dictionary, so that one more is one more line. The last is a *placebo*: random numbers. A test
# that is not defined (NaN) has no rank.

# %%
PLACEBO = "random numbers (placebo)"
rng_of = lambda *key: np.random.default_rng(derived_seed(*key))


def measure(split, number, seeds, protocol=choices, which=slice(None), dense=None):
    """Effects and statistics of some weights: two dicts of (seeds, n_weights)."""
    layers = training.layer_sizes(split, protocol.hidden)
    dense = dense or knockouts.knock_out(split, seeds, protocol, which)
    seen = variants.follow(split, seeds, protocol)
    statistic = by_training(split, layers, protocol, dense, seen)
    statistic |= by_series(layers, seen)
    drawn = [rng_of("random statistic", number, seed) for seed in seeds]
    n = training.count_weights(layers)
    statistic[PLACEBO] = np.array([rng.random(n) for rng in drawn])
    return dense.effects, {k: x[:, which] for k, x in statistic.items()}


# %% [markdown]
# Each statistic is then held against both effects, by itself and given the magnitude after training.


# %%
def correlate(effects, statistic, number, seeds):
    """One row a statistic, kind of effect and seed; `partial` is given magnitude."""
    given, rows = statistic["|w| after training"], []
    for how, lost in effects.items():
        for name, found in statistic.items():
            for seed, x, y, z in zip(seeds, found, lost, given):
                row = dict(split=number, seed=seed, rule=name, against=how)
                row["value"] = knockouts.rank(x, y)
                rows.append(row | dict(partial=knockouts.partial_rank(x, y, z)))
    return pd.DataFrame(rows)


# %% [markdown]
# ## What adds to magnitude
#
# Correlations of each statistic with both effects, mean over seeds: by itself, and given the magnitude after training.
# One is a perfect ranking, zero none.

# %%
effects, statistic = measure(split, splits[0], asked, dense=dense)
fits = correlate(effects, statistic, splits[0], asked)
by_rule = fits.groupby(["rule", "against"], sort=False)[["value", "partial"]].mean()
names = {"value": "by itself", "partial": "given magnitude"}
by_rule.rename(columns=names).unstack("against", sort=False).round(2)

# %% [markdown]
# ## The same on other splits
#
# All this was one division of the data. Where the protocol has several, the same functions measure each, with one
# network a split; on ten splits at most where there are more than a hundred weights, as the cost grows with their
# square.

# %%
fits = [fits]
for number in splits[1 : 10 if n_weights > 100 else None]:
    other = datasets.load(dataset, choices, number)
    fits.append(correlate(*measure(other, number, asked), number, asked))
fits = pd.concat(fits, ignore_index=True)

# %% [markdown]
# Each statistic with its interval, over splits where there are several, else over seeds. The left half is the
# correlation with the effect, the right half what is left of it given magnitude. A criterion worth having is right of
# the dotted line in the third panel. The row at the bottom is what random numbers do.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Correlation of each statistic with the effect of removing a weight, and given magnitude; 90 % intervals.", "name": "fig-statistics"}, "image": {"alt": "Four panels, one row a statistic: a point with its interval."}}
every = ["split", "seed"]
one = lambda x: x.groupby("split").mean() if many else x
table_of = lambda fits, how, what: (
    fits[fits.against == how].set_index([*every, "rule"])[what].unstack("rule")
)
figure, axes = plots.panels(4, figsize=(13, 5.2), sharey=True)
shown = [(what, how) for what in ("value", "partial") for how in effects]
for ax, (what, how) in zip(axes, shown):
    part = table_of(fits, how, what)
    known = {name: one(part[name]) for name in statistic}
    noise = {PLACEBO: known[PLACEBO]}
    plots.forest(ax, known | {PLACEBO: known[PLACEBO] * np.nan}, noise)
    given = "" if what == "value" else ", given |w|"
    plots.label(ax, f"{dataset}: {how}{given}", "Spearman correlation", "")

# %% [markdown]
# ## A wider network
#
# Is it the small network? With four times the hidden units a random sample of sixty weights is knocked out, on the
# first split, in a network for each of two seeds, if it has no more than four hundred weights. It is dear, so pages of
# many splits, which are not shown, go without. Correlations with the loss that retraining costs, beside those of the
# paper's width:

# %%
WIDER, SAMPLE = 4, 60
units = WIDER * choices.hidden[0]
wider = []
if size(units) <= 400 and not many:
    for seed in asked[:2]:
        rng = rng_of("weights of a wider network", seed)
        which = np.sort(rng.choice(size(units), SAMPLE, replace=False))
        setup = splits[0], [seed], replace(choices, hidden=(units,)), which
        wider.append(correlate(*measure(split, *setup), splits[0], [seed]))

# %%
wider = pd.concat(wider, ignore_index=True) if wider else fits[:0]
by_width = {
    (hidden, label): table_of(of, "retrained", what).mean().reindex(statistic)
    for hidden, of in {choices.hidden[0]: fits, units: wider}.items()
    for what, label in names.items() if len(of)
}  # fmt: skip
pd.DataFrame(by_width).rename_axis(columns=["hidden units", ""]).round(2)

# %% [markdown]
# The ledger judges what four statistics add to magnitude for the effect of retraining in the paper's network, with the
# random numbers as the placebo.

# %% tags=["hide-input"]
rules = {
    "where_exponent": "mean exponent", "where_granger": "Granger, as published",
    "where_conditional": "Granger, given the layer", "where_causal": "Causal Pruning",
}  # fmt: skip
added = table_of(fits, "retrained", "partial")
judged = {key: added[name] for key, name in rules.items()}
placebo = {key: added[PLACEBO] for key in rules}
of = {choices.hidden[0]: fits, units: wider}
table = pd.concat(
    [rows.assign(hidden=n) for n, rows in of.items() if len(rows)], ignore_index=True
)
at = "16_where", dataset, protocol, out_dir
_ = results.save(table, *at, seeds=seeds, splits=splits)
evidence.save(judged, *at, placebo=placebo)

# %% [markdown]
# The text below quotes these tables: means over splits where there are several, else over seeds.

# %% tags=["hide-input", "nbval-ignore-output"]
text = lambda values: results.interval_text(one(values))
alone = table_of(fits, "retrained", "value")
idea = [name for name in statistic if "xponent" in name or "Granger," in name]
others = [k for k in statistic if k not in [*idea, PLACEBO, "|w| after training"]]
bound = pd.Series({name: results.interval(one(added[name]))[2] for name in idea})
bound = bound.fillna(added[idea].mean())  # of a single network there is no interval

# %% tags=["hide-input", "nbval-ignore-output"]
facts = dict(n_seeds=len(asked), n_splits=fits.split.nunique(), n_stat=len(idea))
facts |= dict(agree=np.mean(both), units=units, sample=SAMPLE)
for key, name in {"size": "|w| after training", **rules}.items():
    facts[key], facts[f"{key}_added"] = text(alone[name]), text(added[name])
facts |= dict(best=alone.mean().drop(index=PLACEBO).idxmax())
facts |= dict(
    best_is=text(alone[facts["best"]]), most_is=bound.idxmax(), most=bound.max()
)
facts["other"] = added[others].mean().idxmax()
facts["other_added"] = text(added[facts["other"]])
facts["noise_added"] = text(added[PLACEBO])
facts["wider_added"] = "not measured here"
if len(wider):
    mean = table_of(wider, "retrained", "partial")[idea].mean()
    facts["wider_added"] = f"{mean.max():.2f} ({mean.idxmax()})".replace("-", "−")
results.publish(facts)

# %% [markdown]
# ## What we found
#
# - **What foretells removal.** With the loss that retraining without a weight costs, {glue:text}`best` correlates best,
#   by {glue:text}`best_is`; magnitude after training by {glue:text}`size`, the mean exponent by
#   {glue:text}`where_exponent`, the published test by {glue:text}`where_granger`, the conditional one by
#   {glue:text}`where_conditional`, Causal Pruning's importance by {glue:text}`where_causal`.
# - **What adds to magnitude.** Given magnitude, the mean exponent has {glue:text}`where_exponent_added` left, the
#   published test {glue:text}`where_granger_added`, the conditional one {glue:text}`where_conditional_added`, Causal
#   Pruning {glue:text}`where_causal_added`; random numbers have {glue:text}`noise_added`. Of what needs no exponents,
#   {glue:text}`other` adds most, {glue:text}`other_added`.
# - **What is ruled out.** Of the {glue:text}`n_stat:.0f` statistics of exponents and tests, the interval that reaches
#   highest is that of {glue:text}`most_is`, up to {glue:text}`most:.2f`: a larger addition is ruled out for each of
#   them.
# - **Width.** With {glue:text}`units:.0f` hidden units the most that any of these adds, as a mean:
#   {glue:text}`wider_added`.
#
# ```{admonition} What could be wrong with it
# :class: caution
# Correlations are over {glue:text}`n_splits:.0f` splits and {glue:text}`n_seeds:.0f` seeds. The best of many statistics
# is flattered by having been chosen; the ledger judges four that were named before. A partial correlation removes
# magnitude as far as ranks go, and a statistic measured with noise can seem to add nothing. The two effects agree by
# {glue:text}`agree:.2f` only (rank correlation, first split), and a single weight's removal says little of many at
# once, which masks are about; that is why [the next chapter](17_variants.ipynb) is needed. Magnitude is that after the
# last epoch, where the networks are cut; Causal Pruning and the Granger view start from there as well. The wider
# network keeps the paper's rate and epochs, which were not chosen for it, and of its weights {glue:text}`sample:.0f`
# are tried.
# ```
