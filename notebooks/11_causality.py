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
# # Is it causal?
#
# A series is said to *Granger-cause* another if its past helps to predict the other beyond what the other's own past does.
# The test fits both regressions and asks whether the additional terms explain more than chance would: a small $p$ says that
# they do. LEGC applies it to the exponents of each weight and the network's error, and calls a weight causal if $p$ falls
# below a level at any of several lags. [Chapter 3](03_granger_pruning.ipynb) counted such weights.
#
# A test that means what it says would call far fewer causal when it is asked about the *wrong* error: that of another
# network. And the weights it picks would be those whose removal changes the network. We try both.
#
# ```{admonition} The paper says
# "Connections (weights) in the learning network that do not causally impact the loss are chosen for pruning" (section 2.2).
# ```
#
# Granger's test takes two stationary series, whose mean and spread do not change over time. Exponents and errors share the
# course of training, and a shared trend passes for prediction: two series that both fall because training goes on foretell
# each other, as do the temperatures of two towns in spring, and neither causes the other. So each rule below meets
# *placebos*. The best of them is the error $e^{(r)}$ of another run $r$ of the same network: the same data in the same
# order, another start, and no way to be caused by this run's weights. What a test finds in them is found by the course of
# training alone. With $D$ such runs a rule can be calibrated exactly,
#
# ```{math}
# :label: eq-calibrated
# p_i = \frac{1 + \#\{ r : s_i(e^{(r)}) \ge s_i(e) \}}{D + 1} ,
# ```
#
# where $s_i$ is the evidence for weight $i$, whatever the test that gave it. If the own error is no different from the
# others, it is as likely to come first among them as last, and such a $p$ is right without any assumption on the series. It
# cannot be smaller than one over $D + 1$, so with few runs it ranks the weights but does not convict any.

# %% tags=["parameters"]
dataset: str = "cancer"  # cancer, titanic, banknote, iris, iris3f, vowel, wine …
protocol: str = "published"  # published (the paper, oddities included), resplit (other splits) or corrected
seeds: list = [0, 1]  # whole numbers; one network a seed
splits: list = [0]  # seeds of the splits; published has one of its own, 42
draws: int = 10  # runs whose error serves as a placebo
window: int = None  # iterates a window of the full run; None: the data set's own
overlap: float = None  # share of a window in the next one; None: the protocol's
max_lag: int = None  # largest lag of the full run, windows; None: the data set's own
alpha: float = None  # level of LEGC's test; None: the protocol's
out_dir: str = "results"  # folder for the rows (CSV) and where they came from (JSON)

# %%
from study import parameters

choices = parameters.check(
    globals(),
    "dataset protocol seeds splits draws window overlap max_lag alpha out_dir",
)

# %% tags=["hide-input"]
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import seaborn as sns
from scipy import stats

from legc_utils import datasets, granger, protocols, selection, training
from study import evidence, knockouts, nulls, plots, results, toda_yamamoto
from study.randomness import derived_seed

plots.use_style()
split = datasets.load(dataset, choices, splits[0])
look = selection.horizon(split, choices, "FT")
layers = training.layer_sizes(split, choices.hidden)
n_weights = training.count_weights(layers)
if n_weights > 2000:  # each weight is knocked out in a training of its own
    raise ValueError(f"{dataset=} has {n_weights} weights; allowed here: up to 2000")
print(f"{dataset}: {n_weights} weights, {len(look.rows)} windows, seeds {seeds}")

# %% [markdown]
# ## What the test sees
#
# LEGC follows the dense networks over a whole run (its variant FT). Its series are short and coarse: one entry a window,
# for each weight the exponent of that window, for the network the share of misclassified samples at the window's end. A lag
# of one thus reaches back by a window, which is many steps of training. A second training with the same seeds is the same
# training; it gives the weights themselves at each window's beginning and end, for a question that comes later. The
# placebos are the errors of other networks, trained on the same samples in the same order from other initial weights.


# %%
def follow(split):
    """What the tests see of a split: all float64, windows first, then seeds."""
    setup = split, choices.hidden, seeds, choices
    chosen = selection.find_masks(*setup, "FT")
    again = dict(record="weights", epochs=look.epochs, evaluate=())
    weights = training.train_ensemble(*setup, **again).weights
    return SimpleNamespace(
        exponents=chosen.exponents, target=chosen.target,
        ends=weights[look.rows], begins=weights[look.rows - look.window + 1],
        placebos=nulls.placebo_targets(split, choices.hidden, draws, choices, look),
    )  # fmt: skip


chosen = follow(split)
ends, begins, placebos = chosen.ends, chosen.begins, chosen.placebos

# %% [markdown]
# ## Five rules
#
# The published rule takes the smallest p-value over all lags. Each lag is another chance to be small, so the smallest of
# many is smaller than its level says, even where there is nothing; the level holds for one test. The others are the usual
# remedies, and one of them, `differenced`, is the rule of the corrected protocol. `lag 1` looks at one lag, fixed beforehand. `BIC lag` looks at the number of lags that describes the error's own
# past best, by an information criterion that knows nothing of the weight. `differenced` tests the changes from window to
# window wherever a unit root is not rejected, that is, wherever a series may wander off as a random walk does. The test of
# Toda and Yamamoto {cite}`toda1995` is made for such series as they are: it fits one lag more than it tests.

# %%
plain, careful = (protocols.get(p, dataset) for p in ("published", "corrected"))
exact = replace(choices, p_decimals=None)  # rounded p-values cannot be ranked
own_rule = "differenced" if choices.difference else "published"


def by_protocol(target, series):
    """p-values of this page's own rule, before any correction: (n_series,)."""
    p = granger.protocol_pvalues(target, series, exact, look.max_lag)
    return p.min(axis=0)


# %%
def rules(target, series):
    """p-values of every rule, unrounded: DataFrame, one row a series."""
    lag = granger.bic_lag(target, look.max_lag)
    by_lag = granger.granger_pvalues(target, series, look.max_lag, "ssr_ftest")
    every = granger.granger_pvalues(target, series, look.max_lag, plain.test)
    p, *_ = granger.protocol_pvalues(target, series, careful, look.max_lag)
    return pd.DataFrame({
        "published": every.min(axis=0), "lag 1": by_lag[0],
        "BIC lag": by_lag[lag - 1], "differenced": p,
        "Toda–Yamamoto": toda_yamamoto.toda_yamamoto(target, series, lag),
    })  # fmt: skip


# %% [markdown]
# ## Asked about the wrong error
#
# Every rule gets each weight's exponents with the network's own error, and then with what must not matter: the errors of
# other runs; its own error shifted by half the run, so that no window meets its own error; its own error with random
# phases, which keeps its spectrum and nothing else; the exponents shuffled in time; and a null that has the exponents'
# trend and noise like theirs, but is drawn by us. An honest test at level $\alpha$ says "causal" in a share $\alpha$ of all
# but the first.


# %%
def shuffled(series, number, seed):
    """Exponents in random order; split and seed fix it."""
    rng = np.random.default_rng(derived_seed("shuffled exponents", number, seed))
    return rng.permuted(series, axis=0)


def questions(s, rng):
    """(name, target, exponents) for seed number s, the truth first."""
    target, series = chosen.target[:, s], chosen.exponents[:, s]
    yield "own error", target, series
    yield from (("another run's error", other, series) for other in placebos.T)
    yield "shifted by half", np.roll(target, len(target) // 2), series
    yield "random phases", nulls.phase_randomised(target[:, None], rng)[:, 0], series
    yield "exponents shuffled", target, shuffled(series, splits[0], seeds[s])
    yield "trend + noise", target, nulls.trend_and_noise(series, rng)


# %% [markdown]
# Many weights are tested at once, and they depend on each other. For that there are the corrections of Benjamini and
# Hochberg (BH), which bounds the expected share of false alarms among what is called causal, and of Benjamini and Yekutieli
# (BY), which does so under any dependence. Both are applied to the differenced rule, so that there are two more columns.
# The table has the share of tested weights called causal, in per cent, mean over seeds. Read it along a row: what the own error
# has beyond the other runs' errors is all that can have to do with this network.

# %%
answers = []
for s, seed in enumerate(seeds):
    for against, target, series in questions(s, np.random.default_rng([seed, 11])):
        found = rules(target, series).assign(seed=seed, against=against)
        for m in ("bh", "by"):
            p = (
                found.differenced.dropna()
            )  # what was not tested is not in the family
            found[f"differenced, {m.upper()}"] = np.nan
            if len(p):
                corrected = stats.false_discovery_control(p, method=m)
                found.loc[p.index, f"differenced, {m.upper()}"] = corrected
        answers.append(found)
answers = pd.concat(answers).set_index(["seed", "against"])
causal = 100.0 * (answers < choices.alpha).where(answers.notna())
causal = causal.groupby(["seed", "against"], sort=False).mean()
called = causal.groupby("against", sort=False).mean().T
called.round(1)

# %% [markdown]
# The same as bars, one group a rule; the dotted line is the level of the test. A rule that keeps its promise has one bar
# above it at most, the first of its group. Bars of *another run's error* as high as those of the own one mean that the rule
# sees training go by, not this network.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Weights called causal, by rule and question; means over seeds, dotted the level.", "name": "fig-placebo"}, "image": {"alt": "Bars, a group for each rule."}}
figure, (ax,) = plots.panels(figsize=(11, 4.2))
called.plot.bar(ax=ax, rot=0, width=0.8)
ax.axhline(100 * choices.alpha, color="black", ls=":", lw=1)
ax.legend(title="", fontsize="small", ncols=2)
plots.label(ax, f"{dataset}: weights called causal", "rule", "weights (%)")

# %% [markdown]
# ## Which rules keep their promise?
#
# Placebos from real training leave a doubt: perhaps other runs' errors do hold something. So now series in which there is
# nothing to find, because we drew both sides independently. There p-values should be uniform: a tenth of them lies below a
# tenth, and so on. Three nulls put the rules to that test. White noise on both sides, where every assumption holds. The
# *weights themselves* as trend plus noise, with an error of the same kind, drawn independently: what a series taken from
# training looks like. And the exponents with the errors of other runs, from above.

# %%
rng = np.random.default_rng([seeds[0], 12])
noisy = lambda series: nulls.trend_and_noise(series, rng)
white, trending = [], []
for s in range(len(seeds)):
    noise = rng.normal(size=len(ends)), rng.normal(size=(len(ends), n_weights))
    white.append(rules(*noise))
    trending.append(rules(noisy(chosen.target[:, [s]])[:, 0], noisy(ends[:, s])))
under = {"white noise": pd.concat(white), "trend + noise": pd.concat(trending)}
asked = answers.xs("another run's error", level="against")
under["another run's error"] = asked[[*white[0]]]

# %% [markdown]
# For each null and rule: the share of p-values below the level, in per cent, which should be the level itself, and the
# Kolmogorov–Smirnov distance of all of them from uniform, which is zero if they are right at every level and one at worst.
# The price of taking the smallest of several lags is counted apart, on white noise, lag by lag. That is the kindest case for
# the published rule, since nothing of training is left in it, only the choice of the smallest.

# %%
calibration = pd.DataFrame([
    dict(kind="null", against=null, rule=rule, n=len(p),
         value=100 * (p.dropna() < choices.alpha).mean(),
         ks=stats.kstest(p.dropna(), "uniform").statistic)
    for null, found in under.items() for rule, p in found.items()
])  # fmt: skip
noise = rng.normal(size=len(ends)), rng.normal(size=(len(ends), 2000))
p = granger.granger_pvalues(*noise, look.max_lag, plain.test)
price = 100 * (np.minimum.accumulate(p) < choices.alpha).mean(axis=1)
titles = {"value": "called causal (%)", "ks": "distance from uniform"}
tidy = calibration.rename(columns=titles)
tidy.pivot_table([*titles.values()], "rule", "against", sort=False).round(2)

# %% [markdown]
# The first three panels show each rule's p-values as a cumulative share; right is the diagonal. A curve above it raises false
# alarms, at the level where one reads it and in the amount by which it is above. The last panel shows how the false alarms of
# the smallest p-value grow with the number of lags that it is taken from.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "p-values under three nulls (right: the diagonal), and the price of several lags.", "name": "fig-calibration"}, "image": {"alt": "Four panels of rising curves."}}
figure, axes = plots.panels(4, figsize=(13, 3.8))
for ax, (null, found) in zip(axes, under.items()):
    sns.ecdfplot(found.reset_index(drop=True), ax=ax, legend=ax is axes[2])
    ax.plot([0, 1], [0, 1], color="black", ls=":", lw=1)
    plots.label(ax, null, "p", "share of p-values up to p" if ax is axes[0] else "")
axes[3].plot(range(1, len(price) + 1), price, marker="o")
axes[3].axhline(100 * choices.alpha, color="black", ls=":", lw=1)
plots.label(axes[3], "smallest of several", "lags looked at", "false alarms (%)")

# %% [markdown]
# Stationarity is the assumption behind all of it. Two tests look at it from opposite sides: augmented Dickey–Fuller (ADF)
# assumes a unit root and may reject it; KPSS assumes a stationary series and may reject that. The table has the share of
# series, in per cent, for which the first keeps a unit root and the second rejects stationarity, both at a level of 5 %:
# high values are bad for a test that takes stationary series as given. A series that both reject, or neither, shows how
# little short records can say.

# %%
kinds = {"exponents": chosen.exponents, "weights": ends, "error": chosen.target}
found = {kind: 100 * toda_yamamoto.not_stationary(x) for kind, x in kinds.items()}
columns = ["ADF: unit root (%)", "KPSS: not stationary (%)"]
pd.DataFrame.from_dict(found, "index", columns=columns).round(1)

# %% [markdown]
# ## Is the exponent needed?
#
# The exponent is expensive and, by [the last chapter](10_chaos.ipynb), of doubtful meaning. So the same question is asked
# with simpler series in its place: the weights at the windows' ends, and how far each weight moved within a window. Each is
# tested at the BIC lag, against the network's own error and against the errors of other runs. The lag is chosen once a
# seed, from the own error alone, so that all series and placebos of a seed are compared on equal terms. Where the protocol
# takes differences of series with a unit root, so does this test.

# %%
series_of = {"exponent": chosen.exponents, "weight": ends}
series_of["|Δw|"] = np.abs(ends - begins)


def at_bic_lag(series, target, own):
    """F test's p-values at the BIC lag of the own error: (n_series,)."""
    rooted = choices.difference and granger.has_unit_root(own)
    lag = granger.bic_lag(np.diff(own) if rooted else own, look.max_lag)
    at_lag = replace(exact, test="ssr_ftest", lag_choice="min")
    return granger.protocol_pvalues(target, series, at_lag, lag)[-1]


def share(p):
    """Share of the tested weights that are called causal, in per cent."""
    tested = p[~np.isnan(p)]
    return 100 * np.mean(tested < choices.alpha) if tested.size else np.nan


# %% [markdown]
# For each seed and series: the share of weights called causal for the own error and for another's, in per cent, and the mean
# calibrated p-value of equation {eq}`eq-calibrated`. One half says that a network's own error is no better predicted than
# another's; less, that it is. If a simpler series does no worse than the exponent, the exponent is not what carries the
# information.

# %%
needed, statistic = [], {}
for name, x in series_of.items():
    by_seed = [*zip(chosen.target.T, x.swapaxes(0, 1))]
    own = np.array([at_bic_lag(series, e, e) for e, series in by_seed])
    wrong = np.array([[at_bic_lag(series, other, e) for other in placebos.T]
                      for e, series in by_seed])  # fmt: skip
    calibrated = np.array([*map(nulls.placebo_pvalues, own, wrong)])
    statistic[name] = -np.log(own.clip(min=1e-300))
    statistic[f"{name}, calibrated"] = -np.log(calibrated)
    row = dict(kind="series", rule=name, seed=seeds)
    row |= dict(value=[*map(share, own)], placebo=[*map(share, wrong)])
    row["calibrated"] = pd.DataFrame(calibrated).mean(axis=1)
    needed.append(pd.DataFrame(row))
needed = pd.concat(needed)
by_series = needed.drop(columns=["kind", "seed"]).groupby("rule", sort=False).mean()
titles = ["own error (%)", "another run's (%)", "mean calibrated p"]
by_series.set_axis(titles, axis=1).round(2)

# %% [markdown]
# ## What removal really does
#
# This is the test that decides. Each weight is knocked out twice: *zeroed* in the trained network, and left out of a new
# training from the same initial weights (*retrained*). The first says what the network uses, the second what it cannot do
# without, which is what pruning wants to know: a weight may be in use and yet be replaced by others as soon as they are
# trained without it. The effect is what the training loss gains; it is finer than the number of errors, which a single
# weight seldom changes.

# %%
effects, w0, w, _ = knockouts.knock_out(split, seeds, choices)

# %% [markdown]
# If a statistic means anything, it ranks the weights as these effects do. Beside the evidence from above stand the
# one of LEGCNet-FT itself, by this protocol's rule; the mean exponent without any test, and three that need no test either:
# a weight's magnitude before training, after it, and how far it moved. A correction for many tests moves the level, not the
# order, so that ranks need none. One is a perfect correlation, zero none. A statistic that ranks weights by what
# retraining misses would be a criterion for pruning, whatever its name; one that does so for zeroing alone has to be held
# against magnitude, which is free. The intervals are over seeds; where there are few they reach beyond what a correlation
# can be, and decide nothing.

# %%
p = answers[own_rule].xs("own error", level="against").clip(lower=1e-300)
statistic |= {
    "LEGCNet-FT": -np.log(p.to_numpy()).reshape(len(seeds), -1),
    "mean exponent": chosen.exponents.mean(axis=0),
    "|w| before training": np.abs(w0),
    "|w| after training": np.abs(w),
    "|w| moved": np.abs(w - w0),
}


# %%
knockout = pd.DataFrame([
    dict(kind="knockout", rule=name, against=how, seed=seed,
         value=knockouts.rank(x, effect))
    for how, by_seed in effects.items() for name, found in statistic.items()
    for seed, x, effect in zip(seeds, found, by_seed)
])  # fmt: skip
ranked = results.intervals(knockout.groupby(["against", "rule"], sort=False).value)
ranked.unstack(0, sort=False).swaplevel(axis=1)[[*effects]].round(2)

# %% [markdown]
# The same seed by seed. A statistic that knows what a weight is worth has all its dots on the right of the dotted line, in
# the panel of its kind of removal.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Correlation of each statistic with the effect of a knock-out; one point a seed, bar: mean.", "name": "fig-knockout"}, "image": {"alt": "Two panels of dots by statistic."}}
figure, axes = plots.panels(2, figsize=(11, 4.5), sharey=True)
for ax, how in zip(axes, effects):
    part = knockout[knockout.against == how]
    plots.dots(ax, part.value, part.rule, statistic)
    plots.label(ax, f"{dataset}: {how}", "Spearman correlation with the effect", "")

# %% [markdown]
# ## The same on other splits
#
# All this was one division of the data into training and test set. Where the protocol has several, the same is measured on
# each, as far as the ledger judges it, one number a split and seed: how seldom the protocol's rule calls causal what means
# nothing, how much more often its own error than another's, how its ranking fits either kind of removal, and whether the
# exponent does better there than the weight itself. Shares are of $p$ below the level, test by test: a correction that
# calls next to nothing causal would pass the first question by saying nothing. The placebo's numbers are the same with the
# error of one other run in the place of a network's own.


# %%
def fit(p, effects, s):
    """How p-values rank the weights as their removal does, retrained and zeroed."""
    evidence_of = -np.log(p.clip(min=1e-300))
    return [
        knockouts.rank(evidence_of, effects[how][s])
        for how in ("retrained", "zeroed")
    ]


# %%
def seed_of(seen, effects, number, s):
    """What the ledger judges of one seed, and the placebo's: two dicts."""
    target, series = seen.target[:, s], seen.exponents[:, s]
    found = [by_protocol(e, series) for e in (target, *seen.placebos.T)]
    own, *other = map(share, found)
    alone = share(by_protocol(target, shuffled(series, number, seeds[s])))
    keys = "causal_knockout", "causal_zeroed"
    values, placebo = (dict(zip(keys, fit(p, effects, s))) for p in found[:2])
    p = [at_bic_lag(x, target, target) for x in (series, seen.ends[:, s])]
    exponent, weight = (fit(x, effects, s)[0] for x in p)
    values |= dict(causal_own=own - np.mean(other), causal_level=1 - alone / 100)
    values["causal_exponent"] = exponent - weight
    placebo["causal_own"] = other[0] - np.mean(other[1:] or np.nan)
    return values, placebo


# %%
def judge(number, seen, effects):
    """Two DataFrames, one row a seed and one column a claim."""
    found = [seed_of(seen, effects, number, s) for s in range(len(seeds))]
    index = pd.MultiIndex.from_product([[number], seeds], names=["split", "seed"])
    return [pd.DataFrame(part, index) for part in zip(*found)]


parts = [judge(splits[0], chosen, effects)]
for number in splits[1:]:
    other = datasets.load(dataset, choices, number)
    lost = knockouts.knock_out(other, seeds, choices).effects
    parts.append(judge(number, follow(other), lost))
judged, of_placebo = (pd.concat(part) for part in zip(*parts))
by_split = judged.groupby("split").mean()
pd.DataFrame({"mean": judged.mean(), "over splits ±": by_split.std()}).round(3)

# %% [markdown]
# All rows of the first split are kept, with what the ledger judges on all.

# %% tags=["hide-input"]
shares = causal.rename_axis(columns="rule").stack().rename("value").reset_index()
shares = shares[["rule", "against", "seed", "value"]].assign(kind="share")
rows = pd.concat([shares, calibration, needed, knockout], ignore_index=True)
set_to = dict(seeds=seeds, splits=splits, draws=draws, window=look.window)
set_to |= dict(overlap=choices.overlap, max_lag=look.max_lag, alpha=choices.alpha)
results.save(rows, "11_causality", dataset, protocol, out_dir, **set_to)
saved = "11_causality", dataset, protocol, out_dir
evidence.save(dict(judged), *saved, placebo=dict(of_placebo))

# %% [markdown]
# The text below quotes these tables, of the first split, and nothing else: shares in per cent, differences between them in points, correlations
# with their intervals over seeds.

# %% tags=["hide-input", "nbval-ignore-output"]
asked = shares.pivot(index="seed", columns=["against", "rule"], values="value")
fits = knockout.pivot(index="seed", columns=["against", "rule"], values="value")
own, other = asked["own error"], asked["another run's error"]
zeroed, retrained, ft = fits["zeroed"], fits["retrained"], "LEGCNet-FT"
facts = dict(
    n_seeds=len(seeds), draws=draws, level=100 * choices.alpha, max_lag=look.max_lag,
    price=price[-1], gap=results.interval_text(judged.loc[splits[0]].causal_own, 1),
    rule=own_rule, rule_own=own.mean()[own_rule], rule_other=other.mean()[own_rule],
)  # fmt: skip
trend = calibration[calibration.against == "trend + noise"].value
keys = ["published", "lag_1", "bic", "differenced", "toda", "bh", "by"]
facts |= dict(own.mean()[[*answers]].set_axis(keys).add_suffix("_own"))
facts |= dict(other.mean()[[*answers]].set_axis(keys).add_suffix("_other"))
facts |= dict(trend.set_axis(keys[: len(trend)]).add_suffix("_trend"))
facts |= dict(zip(("exponents", "levels", "moves"), by_series.calibrated))
names = ft, "exponent, calibrated", "|w| after training"
for key, name in zip(("legc", "cal", "size"), names):
    facts[f"{key}_zeroed"] = results.interval_text(zeroed[name])
    facts[f"{key}_retrained"] = results.interval_text(retrained[name])
results.publish(facts)

# %% [markdown]
# ## What we found
#
# - **Placebos.** The rule of this page's protocol ({glue:text}`rule`) calls {glue:text}`rule_own:.0f` % of the weights
#   causal for their own network's error and {glue:text}`rule_other:.0f` % for the errors of {glue:text}`draws:.0f` other
#   runs: a difference of {glue:text}`gap` points over {glue:text}`n_seeds:.0f` seeds. By the published rule these are
#   {glue:text}`published_own:.0f` % and {glue:text}`published_other:.0f` %, with differencing
#   {glue:text}`differenced_own:.0f` % and {glue:text}`differenced_other:.0f` %, after the correction BY
#   {glue:text}`by_own:.0f` % and {glue:text}`by_other:.0f` %, with Toda and Yamamoto's test {glue:text}`toda_own:.0f` % and
#   {glue:text}`toda_other:.0f` %.
# - **Calibration.** On white noise the smallest of {glue:text}`max_lag:.0f` lags raises {glue:text}`price:.0f` % false alarms
#   where {glue:text}`level:.0f` % are allowed. On trends plus noise, the shape of weights in training, the published rule
#   raises {glue:text}`published_trend:.0f` %, differencing {glue:text}`differenced_trend:.0f` % and Toda–Yamamoto
#   {glue:text}`toda_trend:.0f` %. A rule that fails there says of any two trends that one causes the other.
# - **Is the exponent needed?** Calibrated by other runs, the mean p-value is {glue:text}`exponents:.2f` for exponents,
#   {glue:text}`levels:.2f` for the weights themselves and {glue:text}`moves:.2f` for their moves; one half
#   is nothing, and less is something.
# - **Knock-outs.** The statistic of LEGCNet-FT correlates with what retraining without the weight does by
#   {glue:text}`legc_retrained`, and with what zeroing it does by {glue:text}`legc_zeroed`. Calibrated evidence does by
#   {glue:text}`cal_retrained` and {glue:text}`cal_zeroed`, plain magnitude by {glue:text}`size_retrained` and
#   {glue:text}`size_zeroed`.
#
# ```{admonition} What could be wrong with it
# :class: caution
# Errors of other runs share the data and their order, hence the course of training; that is what makes them a fair null,
# and a shared cause that acts through the data is invisible to it. A surrogate with random phases assumes stationarity and
# is here for comparison only, as is the error shifted in time, whose course is no longer that of training. Weights of one
# network are dependent, so intervals are over seeds, not weights. The effect of a knock-out is measured on the training
# loss; on the misclassified share of a small test set most effects would be zero. A single weight's knock-out says nothing
# of two weights that stand in for each other.
# ```
