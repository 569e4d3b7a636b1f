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
# [Chapter 3](03_granger_pruning.ipynb) called some weights causal. A test that means what it says would call far fewer so
# when it is asked about the *wrong* error: that of another network. And the weights it picks would be those whose removal
# changes the network. We try both.
#
# ```{admonition} The paper says
# "Connections (weights) in the learning network that do not causally impact the loss are chosen for pruning" (section 2.2).
# ```
#
# Granger's test takes two stationary series. Exponents and errors share the course of training, and a shared trend passes
# for prediction. So each rule below meets *placebos*. The best of them is the error $e^{(r)}$ of another run $r$ of the same
# network: the same data in the same order, another start, and no way to be caused by this run's weights. With $D$ such runs
# a rule can be calibrated exactly,
#
# ```{math}
# :label: eq-calibrated
# p_i = \frac{1 + \#\{ r : s_i(e^{(r)}) \ge s_i(e) \}}{D + 1} ,
# ```
#
# where $s_i$ is the evidence for weight $i$, whatever the test that gave it.

# %% tags=["parameters"]
dataset: str = "cancer"  # cancer, titanic, banknote, iris, iris3f, vowel, mnist5k, mnist, wine, wdbc or digits
protocol: str = "published"  # published (the paper, oddities included) or corrected
seeds: list = [0, 1]  # whole numbers; one network a seed
draws: int = 10  # runs whose error serves as a placebo
window: int = None  # iterates a window of the full run; None: the data set's own
overlap: float = (
    None  # share of a window that the next one repeats; None: the protocol's
)
max_lag: int = None  # largest lag of the full run's Granger test, in windows; None: the data set's own
alpha: float = None  # level of LEGC's test; None: the protocol's
out_dir: str = (
    "results"  # folder for the rows: CSV, and JSON that says where they came from
)

# %%
from study import parameters

choices = parameters.check(
    globals(), "dataset protocol seeds draws window overlap max_lag alpha out_dir"
)

# %%
import warnings

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.tsa.stattools import kpss

from legc_utils import datasets, granger, protocols, selection, training
from study import evidence, nulls, plots, results, toda_yamamoto

plots.use_style()
split = datasets.load(dataset, choices)
look = selection.horizon(split, choices, "FT")
layers = training.layer_sizes(split, choices.hidden)
n_weights = training.count_weights(layers)
if n_weights > 2000:  # each weight is knocked out in a training of its own
    raise ValueError(
        f"dataset={dataset!r} has {n_weights} weights; allowed here: up to 2000"
    )
print(
    f"{dataset}: {n_weights} weights, {len(look.rows)} windows, up to {look.max_lag} lags, seeds {seeds}"
)

# %% [markdown]
# ## Five rules
#
# The published one takes the smallest p-value over all lags. The others are the usual remedies: one lag, one lag chosen by
# BIC, differences where a unit root is not rejected, and the test of Toda and Yamamoto {cite}`toda1995`, made for levels.

# %%
chosen = selection.find_masks(split, choices.hidden, seeds, choices, "FT")
followed = training.train_ensemble(
    split, choices.hidden, seeds, choices, record="weights", epochs=look.epochs
)
ends, begins = (
    followed.weights[look.rows],
    followed.weights[look.rows - look.window + 1],
)
placebos = nulls.placebo_targets(split, choices.hidden, draws, choices, look)
careful = protocols.get("corrected", dataset)


# %%
def rules(target, series):
    """p-values (n_series,) of every rule, as they are and unrounded."""
    lag = granger.bic_lag(target, look.max_lag)
    by_lag = granger.granger_pvalues(target, series, look.max_lag, "ssr_ftest")
    return {
        "published": granger.granger_pvalues(target, series, look.max_lag, choices.test).min(axis=0),
        "lag 1": by_lag[0], "BIC lag": by_lag[lag - 1],
        "differenced": granger.protocol_pvalues(target, series, careful, look.max_lag)[0],
        "Toda–Yamamoto": toda_yamamoto.toda_yamamoto(target, series, lag),
    }  # fmt: skip


# %% [markdown]
# Many weights are tested at once, and they depend on each other. For that there are the corrections of Benjamini and Hochberg
# (BH), and of Benjamini and Yekutieli (BY), which holds under any dependence; both are applied to the differenced rule.
#
# ## Asked about the wrong error
#
# Every rule gets each weight's exponents with the network's own error, with the errors of other runs, with its own error
# shifted by half the run or with random phases, and with the exponents shuffled in time. An honest test at
# $\alpha$ says "causal" in a share $\alpha$ of all but the first.


# %%
def questions(s, rng):
    """(name, target, exponents) for seed number s, the truth first."""
    target, series = chosen.target[:, s], chosen.exponents[:, s]
    yield "own error", target, series
    for r in range(draws):
        yield "another run's error", placebos[:, r], series
    yield "shifted by half", np.roll(target, len(target) // 2), series
    yield "random phases", nulls.phase_randomised(target[:, None], rng)[:, 0], series
    yield "exponents shuffled", target, rng.permuted(series, axis=0)
    yield "trend + noise", target, nulls.trend_and_noise(series, rng)


# %%
answers = []
for s, seed in enumerate(seeds):
    for against, target, series in questions(s, np.random.default_rng([seed, 11])):
        found = rules(target, series)
        p = np.nan_to_num(found["differenced"], nan=1.0)
        found |= {
            f"differenced, {m.upper()}": multipletests(p, method=f"fdr_{m}")[1]
            for m in ("bh", "by")
        }
        for rule, p in found.items():
            answers.append(
                pd.DataFrame(
                    dict(
                        seed=seed,
                        against=against,
                        rule=rule,
                        weight=range(n_weights),
                        p=p,
                    )
                )
            )
answers = pd.concat(answers, ignore_index=True)
causal = (
    answers.assign(value=100.0 * (answers.p < choices.alpha))
    .groupby(["rule", "against", "seed"], sort=False)
    .value
)
shares = causal.mean().reset_index().assign(kind="share")
shares.pivot_table(
    index="rule", columns="against", values="value", sort=False
).round(1)

# %% mystnb={"figure": {"caption": "Share of weights called causal, by rule and by what the exponents were asked about; means over seeds, dotted the level of the test.", "name": "fig-placebo"}, "image": {"alt": "Groups of bars, one group for each rule, one bar for each question; for most rules the bar of the own error is no higher than those of the placebos."}}
figure, (ax,) = plots.panels(figsize=(11, 4.2))
table = shares.pivot_table(
    index="rule", columns="against", values="value", sort=False
)
table.plot.bar(ax=ax, rot=0, width=0.8)
ax.axhline(100 * choices.alpha, color="black", ls=":", lw=1)
ax.legend(title="", fontsize="small", ncols=2)
plots.label(ax, f"{dataset}: weights called causal", "rule", "weights (%)")

# %% [markdown]
# ## Which rules keep their promise?
#
# Under a true null p-values are uniform. Three nulls: white noise on both sides; the exponents with the errors of other
# runs; and the *weights themselves* as trend plus noise, with an error of the same kind, which is what a series taken from
# training looks like. The last panel is the price of taking the smallest of several lags, on white noise.

# %%
rng = np.random.default_rng([seeds[0], 12])
noisy = lambda x: nulls.trend_and_noise(x, rng)
under = {"white noise": [], "trend + noise": []}
for s in range(len(seeds)):
    under["white noise"].append(
        rules(rng.normal(size=len(ends)), rng.normal(size=(len(ends), n_weights)))
    )
    under["trend + noise"].append(
        rules(noisy(chosen.target[:, [s]])[:, 0], noisy(ends[:, s]))
    )
collected = {null: {rule: np.concatenate([found[rule] for found in all_found]) for rule in all_found[0]}
             for null, all_found in under.items()}  # fmt: skip
other = (
    answers[answers.against == "another run's error"].groupby("rule", sort=False).p
)
collected["another run's error"] = {
    rule: p.to_numpy() for rule, p in other if rule in collected["white noise"]
}
calibration = pd.DataFrame([
    dict(kind="null", against=null, rule=rule, value=100 * (p < choices.alpha).mean(), n=len(p),
         ks=stats.kstest(p[~np.isnan(p)], "uniform").statistic)
    for null, found in collected.items() for rule, p in found.items()
])  # fmt: skip
white = granger.granger_pvalues(
    rng.normal(size=len(ends)),
    rng.normal(size=(len(ends), 2000)),
    look.max_lag,
    choices.test,
)
price = 100 * (np.minimum.accumulate(white, axis=0) < choices.alpha).mean(axis=1)
calibration.pivot_table(
    index="rule", columns="against", values=["value", "ks"], sort=False
).round(2)

# %% mystnb={"figure": {"caption": "Calibration: share of p-values below each level under three nulls (the diagonal is right), and the false alarms of the smallest of several lags.", "name": "fig-calibration"}, "image": {"alt": "Three panels of cumulative p-values by rule with the diagonal, and one panel with the rising share of false alarms against the number of lags."}}
figure, axes = plots.panels(4, figsize=(13, 3.8))
levels = np.linspace(0, 1, 201)
for ax, (null, found) in zip(axes, collected.items()):
    for (rule, p), colour in zip(found.items(), plots.SERIES):
        ax.plot(
            levels,
            np.searchsorted(np.sort(p[~np.isnan(p)]), levels, "right")
            / (~np.isnan(p)).sum(),
            color=colour,
            label=rule,
        )
    ax.plot([0, 1], [0, 1], color="black", ls=":", lw=1)
    plots.label(ax, null, "p", "share of p-values up to p" if ax is axes[0] else "")
axes[2].legend(fontsize="x-small")
axes[3].plot(range(1, len(price) + 1), price, marker="o")
axes[3].axhline(100 * choices.alpha, color="black", ls=":", lw=1)
plots.label(
    axes[3], "smallest of several lags", "lags looked at", "false alarms (%)"
)

# %% [markdown]
# Stationarity is the assumption behind all of it: how often augmented Dickey–Fuller keeps a unit root at 5 %, and KPSS
# rejects stationarity, for the exponents, the weights at the windows' ends and the error.


# %%
def not_stationary(columns):
    """Shares (%) of series that ADF leaves with a unit root and that KPSS calls not stationary."""
    columns = columns[:, np.ptp(columns, axis=0) > 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # p-values beyond KPSS' table
        beyond = [kpss(c, nlags="auto")[1] < 0.05 for c in columns.T]
    return 100 * np.mean(
        [granger.has_unit_root(c) for c in columns.T]
    ), 100 * np.mean(beyond)


flat = lambda x: x.reshape(len(x), -1)
kinds = {
    "exponents": flat(chosen.exponents),
    "weights": flat(ends),
    "error": chosen.target,
}
stationarity = pd.DataFrame(
    [not_stationary(x) for x in kinds.values()],
    list(kinds),
    ["ADF: unit root", "KPSS: rejects"],
)
stationarity.round(1)

# %% [markdown]
# ## Is the exponent needed?
#
# The same question with simpler series in place of the exponents, each against the network's own error and against the
# errors of other runs: the weights at the windows' ends, and how far each weight moved within a window.

# %%
series_of = {
    "exponent": chosen.exponents,
    "weight": ends,
    "|Δw|": np.abs(ends - begins),
}
lags = [
    granger.bic_lag(chosen.target[:, s], look.max_lag) for s in range(len(seeds))
]


def at_bic_lag(name, target, s):
    """F-test p-values (n_weights,) at the BIC lag of the seed's own error."""
    return granger.granger_pvalues(
        target, series_of[name][:, s], lags[s], "ssr_ftest"
    )[-1]


needed, statistic = [], {}
for name in series_of:
    for s, seed in enumerate(seeds):
        own = at_bic_lag(name, chosen.target[:, s], s)
        wrong = np.array([at_bic_lag(name, placebos[:, r], s) for r in range(draws)])
        calibrated = (1 + (wrong <= own).sum(axis=0)) / (draws + 1)
        statistic[name, seed], statistic[f"{name}, calibrated", seed] = (
            -np.log(own),
            -np.log(calibrated),
        )
        needed.append(dict(kind="series", rule=name, seed=seed, value=100 * (own < choices.alpha).mean(),
                           placebo=100 * (wrong < choices.alpha).mean(), calibrated=calibrated.mean()))  # fmt: skip
needed = pd.DataFrame(needed)
needed.groupby("rule", sort=False)[["value", "placebo", "calibrated"]].mean().round(
    3
)

# %% [markdown]
# The last column is the mean calibrated p-value of equation {eq}`eq-calibrated`: one half if a network's own error is no
# better predicted than another's.
#
# ## What removal really does
#
# This is the test that decides. Each weight is knocked out twice: set to zero in the trained network, and left out of a new
# training from the same initial weights. Its effect is what the training loss gains. If the statistic means anything, it
# ranks the weights as these effects do.


# %%
def losses(weights, biases):
    """Mean squared error on the training set: (n_networks,)."""
    out = training.forward(weights, biases, split.X_train, layers, choices.output)
    return np.square(out.numpy() - training.one_hot(split.y_train, layers[-1])).mean(
        axis=(1, 2)
    )


knocked = np.vstack([np.ones(n_weights), 1 - np.eye(n_weights)]).astype(bool)
runs = training.train_ensemble(
    split,
    choices.hidden,
    seeds,
    choices,
    masks=np.broadcast_to(knocked, (len(seeds), *knocked.shape)),
)
retrained = losses(runs.final_weights, runs.final_biases).reshape(len(seeds), -1)
effects = {"retrained": retrained[:, 1:] - retrained[:, :1]}
dense = runs.members["mask"] == 0
dense_w, dense_b = runs.final_weights[dense], runs.final_biases[dense]
zeroed = np.array(
    [
        losses(w * knocked, np.tile(b, (len(knocked), 1)))
        for w, b in zip(dense_w, dense_b)
    ]
)
effects["zeroed"] = zeroed[:, 1:] - zeroed[:, :1]

# %%
published = (
    answers[(answers.rule == "published") & (answers.against == "own error")]
    .set_index(["seed", "weight"])
    .p
)
for s, seed in enumerate(seeds):
    statistic["published (LEGCNet-FT)", seed] = -np.log(
        published[seed].clip(lower=1e-300)
    ).to_numpy()
    statistic["mean exponent", seed] = chosen.exponents[:, s].mean(axis=0)
    statistic["|w| before training", seed] = np.abs(runs.initial_weights[dense][s])
    statistic["|w| after training", seed] = np.abs(dense_w[s])
    statistic["|w| moved", seed] = np.abs(
        dense_w[s] - runs.initial_weights[dense][s]
    )
names = list(dict.fromkeys(name for name, _ in statistic))
knockout = pd.DataFrame([
    dict(kind="knockout", rule=name, against=how, seed=seed,
         value=stats.spearmanr(statistic[name, seed], effect[s], nan_policy="omit").statistic)
    for how, effect in effects.items() for name in names for s, seed in enumerate(seeds)
])  # fmt: skip
ranked = knockout.groupby(["rule", "against"], sort=False).value.apply(
    lambda v: pd.Series(results.interval(v), ["mean", "low", "high"])
)
ranked.unstack([1, 2]).round(3)

# %% mystnb={"figure": {"caption": "Spearman correlation, over the weights of a network, of each statistic with what knocking the weight out does to the training loss. One point a seed, the bar is their mean.", "name": "fig-knockout"}, "image": {"alt": "Two panels, retrained and zeroed, with one row for each statistic and the correlation on the horizontal axis."}}
figure, axes = plots.panels(2, figsize=(11, 4.5), sharey=True)
for ax, how in zip(axes, effects):
    part = knockout[knockout.against == how]
    plots.dots(ax, part.value, part.rule, names)
    plots.label(
        ax,
        f"{dataset}: knocked out, {how}",
        "Spearman correlation with the effect",
        "",
    )

# %%
rows = pd.concat([shares, calibration, needed, knockout], ignore_index=True)
results.save(
    rows, "11_causality", dataset, protocol, out_dir, seeds=seeds, draws=draws, window=look.window,
    overlap=choices.overlap, max_lag=look.max_lag, alpha=choices.alpha,
)  # fmt: skip

# %% tags=["hide-input"]
called = shares[shares.rule == "published"].pivot(
    index="seed", columns="against", values="value"
)
correlation = knockout.pivot(
    index="seed", columns=["against", "rule"], values="value"
)
zeroed, retrained = correlation["zeroed"], correlation["retrained"]
evidence.save({
    "causal_level": 1 - called["exponents shuffled"] / 100,
    "causal_own": called["own error"] - called["another run's error"],
    "causal_knockout": retrained["published (LEGCNet-FT)"], "causal_zeroed": zeroed["published (LEGCNet-FT)"],
    "causal_exponent": retrained["exponent"] - retrained["weight"],
}, "11_causality", dataset, protocol, out_dir)  # fmt: skip

# %% tags=["hide-input", "nbval-ignore-output"]
false = calibration.set_index(["rule", "against"]).value
by_rule = shares.pivot_table(index="rule", columns="against", values="value")
facts = dict(
    by_own=by_rule["own error"]["differenced, BY"],
    by_other=by_rule["another run's error"]["differenced, BY"],
)
facts |= dict(n_seeds=len(seeds), draws=draws, level=100 * choices.alpha, n_weights=n_weights, max_lag=look.max_lag,
             price=price[-1], n_rules=shares.rule.nunique())  # fmt: skip
for rule, key in {
    "published": "published",
    "differenced": "differenced",
    "Toda–Yamamoto": "toda",
}.items():
    part = shares[shares.rule == rule].pivot_table(
        index="seed", columns="against", values="value"
    )
    gap = results.interval(part["own error"] - part["another run's error"])
    facts |= {f"{key}_own": part["own error"].mean(), f"{key}_other": part["another run's error"].mean(),
              f"{key}_trend": false[rule, "trend + noise"], f"{key}_white": false[rule, "white noise"]}  # fmt: skip
    facts |= dict(zip((f"{key}_gap", f"{key}_gap_low", f"{key}_gap_high"), gap))

# %% tags=["hide-input", "nbval-ignore-output"]
for name, key in {"exponent": "le", "weight": "raw", "|Δw|": "moves"}.items():
    facts |= {f"{key}_calibrated": needed[needed.rule == name].calibrated.mean(), f"{key}_own": needed[needed.rule == name].value.mean(),
              f"{key}_placebo": needed[needed.rule == name].placebo.mean()}  # fmt: skip
short = {
    "published (LEGCNet-FT)": "legc",
    "exponent, calibrated": "cal",
    "|w| after training": "size",
}
for (rule, how), row in ranked.unstack().iterrows():
    if rule in short:
        facts |= {
            f"{short[rule]}_{how}_{part}": row[part]
            for part in ("mean", "low", "high")
        }
results.publish(facts)

# %% [markdown]
# ## What we found
#
# - **Placebos.** The published rule calls {glue:text}`published_own:.0f` % of the weights causal for their own network's
#   error and {glue:text}`published_other:.0f` % for the errors of {glue:text}`draws:.0f` other runs: a difference of
#   {glue:text}`published_gap:.1f` points (95 % interval over {glue:text}`n_seeds:.0f` seeds
#   {glue:text}`published_gap_low:.1f` to {glue:text}`published_gap_high:.1f`). With differencing these are
#   {glue:text}`differenced_own:.0f` % and {glue:text}`differenced_other:.0f` %, after the correction BY
#   {glue:text}`by_own:.0f` % and {glue:text}`by_other:.0f` %, with Toda and Yamamoto's test {glue:text}`toda_own:.0f` % and
#   {glue:text}`toda_other:.0f` %.
# - **Calibration.** On white noise the smallest of {glue:text}`max_lag:.0f` lags raises {glue:text}`price:.0f` % false alarms
#   where {glue:text}`level:.0f` % are allowed. On trends plus noise, the shape of weights in training, the published rule
#   raises {glue:text}`published_trend:.0f` %, differencing {glue:text}`differenced_trend:.0f` % and Toda–Yamamoto
#   {glue:text}`toda_trend:.0f` %.
# - **Is the exponent needed?** Calibrated by other runs, the mean p-value is {glue:text}`le_calibrated:.2f` for exponents,
#   {glue:text}`raw_calibrated:.2f` for the weights themselves and {glue:text}`moves_calibrated:.2f` for their moves; one half
#   is nothing.
# - **Knock-outs.** The published statistic correlates with what retraining without the weight does by
#   {glue:text}`legc_retrained_mean:.2f` ({glue:text}`legc_retrained_low:.2f` to {glue:text}`legc_retrained_high:.2f`) and with
#   what zeroing it does by {glue:text}`legc_zeroed_mean:.2f` ({glue:text}`legc_zeroed_low:.2f` to
#   {glue:text}`legc_zeroed_high:.2f`). Calibrated: {glue:text}`cal_retrained_mean:.2f` and {glue:text}`cal_zeroed_mean:.2f`.
#   Plain magnitude: {glue:text}`size_retrained_mean:.2f` and {glue:text}`size_zeroed_mean:.2f`.
#
# ```{admonition} What could be wrong with it
# :class: caution
# Errors of other runs share the data and their order, hence the course of training; that is what makes them a fair null, and
# a shared cause that acts through the data is invisible to it. A surrogate with random phases assumes stationarity and is
# here for comparison only. Weights of one network are dependent, so intervals are over seeds, not weights. The effect of a
# knock-out is measured on the training loss; on the misclassified share of a small test set most effects would be zero. A
# single weight's knock-out says nothing of two weights that stand in for each other.
# ```
