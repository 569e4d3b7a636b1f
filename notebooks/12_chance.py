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
# LEGCNet prunes few weights, and on networks that have too many almost any mask will do. [Chapter 5](05_baselines.ipynb)
# compared masks of LEGCNet's own size. Here its statistic ranks *all* weights, so that it can prune any share of them, and
# the ranking meets those that others use.
#
# ```{admonition} The paper says
# LEGCNet compares "very well in performance" with random and magnitude-based pruning (section 1.1), at a sparsity that is
# not given.
# ```
#
# The score of weight $i$ is the smallest $p$ of its Granger tests, turned round; the lowest scores are pruned first. What
# counts is a ranking's advantage over random masks of the same size, averaged over the sparsities $s$:
#
# ```{math}
# :label: eq-advantage
# A = \frac{1}{|S|} \sum_{s \in S} \Bigl( a(s) - \overline{a_\text{random}(s)} \Bigr),
# ```
#
# with $a$ the test accuracy after the last epoch. In networks this small many weights soon lie on no path from input to
# output; they are kept by name only. The *effective* sparsity counts them as pruned {cite}`vysogorets2023`.

# %% tags=["parameters"]
dataset: str = "cancer"  # cancer, titanic, banknote, iris, iris3f, vowel, mnist5k, mnist, wine, wdbc or digits
protocol: str = "published"  # published (the paper, oddities included) or corrected
seeds: list = [0, 1]  # whole numbers; one network a seed
draws: int = (
    10  # random masks a seed and sparsity, and runs whose error serves as a placebo
)
window: int = None  # iterates a window of the full run; None: the data set's own
overlap: float = (
    None  # share of a window that the next one repeats; None: the protocol's
)
max_lag: int = None  # largest lag of the full run's Granger test, in windows; None: the data set's own
out_dir: str = (
    "results"  # folder for the rows: CSV, and JSON that says where they came from
)

# %%
from study import parameters

choices = parameters.check(
    globals(), "dataset protocol seeds draws window overlap max_lag out_dir"
)

# %%
from dataclasses import replace

import numpy as np
import pandas as pd

from legc_utils import datasets, granger, selection, training
from study import evidence, nulls, plots, rankings, results

plots.use_style()
choices = replace(choices, p_decimals=None)  # rounded p-values cannot be ranked
split = datasets.load(dataset, choices)
(
    selection.horizon(split, choices, "FT"),
    selection.horizon(split, choices, "PT"),
)  # both must be possible
layers = training.layer_sizes(split, choices.hidden)
n_weights = training.count_weights(layers)
if n_weights > 2000:  # a thousand and more networks are trained
    raise ValueError(
        f"dataset={dataset!r} has {n_weights} weights; allowed here: up to 2000"
    )
sparsities = [0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99]
print(
    f"{dataset}: {n_weights} weights, sparsities {sparsities}, seeds {seeds}, {draws} random masks each"
)

# %% [markdown]
# ## The rankings
#
# LEGCNet-FT and -PT; FT turned round; magnitude after training, over all weights and layer by layer; SNIP {cite}`lee2019`,
# GraSP {cite}`wang2020` and SynFlow {cite}`tanaka2020` at the initial weights; and iterative magnitude pruning with rewinding
# to them {cite}`frankle2019`. Three variants of the idea follow from [the last chapter](11_causality.ipynb): the evidence
# beyond what other runs' errors give (*calibrated*), the evidence averaged over each hidden unit's weights (*by unit*), and
# the exponents' mean without any test. Whole units keep paths whatever they are chosen by, so *by unit* has a control of its
# own: units in random order.

# %%
chosen = {
    variant: selection.find_masks(split, choices.hidden, seeds, choices, variant)
    for variant in ("FT", "PT")
}
full = chosen["FT"]
w0, b0, w1 = (
    full.runs.initial_weights,
    full.runs.initial_biases,
    full.runs.final_weights,
)
log_p = lambda p: np.log(np.nan_to_num(p, nan=1.0).clip(min=1e-300))
placebos = nulls.placebo_targets(split, choices.hidden, draws, choices, full.horizon)


def beyond_placebo(s):
    """Evidence of seed number s for each weight, minus the mean evidence from the errors of other runs."""
    p = [
        granger.protocol_pvalues(
            e, full.exponents[:, s], choices, full.horizon.max_lag
        ).min(axis=0)
        for e in placebos.T
    ]
    return log_p(np.array(p)).mean(axis=0) - log_p(full.pvalues[s])


# %%
def by_unit(scores):
    """Scores averaged over all weights into and out of the hidden unit they belong to (one hidden layer)."""
    (into, _, (units, inputs)), (out, *_) = training.layer_slices(layers)
    mean = scores[:, into].reshape(-1, units, inputs).sum(2) + scores[
        :, out
    ].reshape(-1, layers[-1], units).sum(1)
    mean = mean / (inputs + layers[-1])
    spread = [np.repeat(mean, inputs, axis=1), np.tile(mean, (1, layers[-1]))]
    return (
        np.hstack(spread) + 1e-9 * scores
    )  # units as a whole, and within a unit the weights


scores = {
    "FT": -log_p(full.pvalues),
    "FT reversed": log_p(full.pvalues),
    "PT": -log_p(chosen["PT"].pvalues),
}
scores |= {"magnitude": np.abs(w1), "SNIP": rankings.snip(split, layers, choices, w0, b0),
           "GraSP": rankings.grasp(split, layers, choices, w0, b0)}  # fmt: skip
scores |= {
    "calibrated": np.array([beyond_placebo(s) for s in range(len(seeds))]),
    "mean exponent": full.exponents.mean(axis=0),
}
if len(layers) == 3:
    scores["by unit"] = by_unit(scores["FT"])

# %% [markdown]
# ## One training for every mask
#
# Each mask is trained from the same initial weights, all of them at once.


# %%
def retrain(masks, **options):
    """Rows of networks with these masks {(method, sparsity, draw): (n_seeds, n_weights)}, and the runs."""
    together = np.stack(list(masks.values()), axis=1)
    runs = training.train_ensemble(
        split, choices.hidden, seeds, choices, masks=together, **options
    )
    stop, end = (
        runs.at_stop(),
        runs.at_stop(benchmark=np.inf),
    )  # never stopped: read after the last epoch
    kept = together.reshape(-1, n_weights)
    names = pd.DataFrame(list(masks), columns=["method", "target", "draw"]).iloc[
        end["mask"]
    ]
    return names.reset_index(drop=True).assign(
        seed=end.seed, sparsity=1 - kept.mean(axis=1), accuracy=end.accuracy, f1=end.f1, at_stop=stop.accuracy,
        effective=1 - rankings.effective_masks(kept, layers).mean(axis=1), epoch=stop.epoch + 1,
    ), runs  # fmt: skip


# %%
masks = {("dense", 0.0, 0): np.ones((len(seeds), n_weights), bool)}
for s in sparsities:
    masks |= {
        (name, s, 0): rankings.keep_highest(score, s)
        for name, score in scores.items()
    }
    masks["magnitude, by layer", s, 0] = rankings.keep_highest(np.abs(w1), s, layers)
    masks["SynFlow", s, 0] = rankings.synflow_masks(w0, layers, s)
    for draw in range(draws):
        drawn = [1000 * seed + draw for seed in seeds]
        masks["random", s, draw] = rankings.random_masks(masks["FT", s, 0], drawn)
        rng = np.random.default_rng([12, draw])
        masks["shuffled in layers", s, draw] = rankings.shuffle_within_layers(
            masks["FT", s, 0], layers, rng
        )
        if len(layers) == 3:
            masks["random, by unit", s, draw] = rankings.keep_highest(
                by_unit(rng.normal(size=w0.shape)), s
            )
rows, runs = retrain(masks)

# %%
left, imp = masks["dense", 0.0, 0], []
trained = runs.final_weights[runs.members["mask"] == 0]  # dense
for s in sparsities:  # drop the smallest of what is left, rewind, train
    left = rankings.keep_highest(np.where(left, np.abs(trained), -np.inf), s)
    masks["IMP", s, 0] = left
    found, runs = retrain({("IMP", s, 0): left})
    trained = runs.final_weights
    imp.append(found)
rows = pd.concat([rows, *imp], ignore_index=True).assign(kind="sweep")
rows.pivot_table(
    index="method", columns="target", values="accuracy", sort=False
).round(3)

# %%
by_panel = {
    "LEGC": ["FT", "FT reversed", "PT", "shuffled in layers"],
    "variants": ["calibrated", "mean exponent", "by unit", "random, by unit"],
    "others": [
        "magnitude",
        "magnitude, by layer",
        "SNIP",
        "GraSP",
        "SynFlow",
        "IMP",
    ],
}


def sweep(ax, methods, x, quantity):
    """Mean curves of methods, with 95 % intervals over seeds, over the band of random masks."""
    random = rows[rows.method == "random"].groupby("target")
    band = random[quantity].quantile([0.05, 0.95]).unstack()
    ax.fill_between(
        random[x].mean(), band[0.05], band[0.95], color="0.85", label="random, 90 %"
    )
    dense = rows[rows.method == "dense"][quantity].mean()
    ax.axhline(dense, color="0.4", ls=":", label="dense")
    for method, colour, marker in zip(
        [m for m in methods if m in set(rows.method)], plots.SERIES[1:], "os^Dv*"
    ):
        each = (
            rows[rows.method == method]
            .groupby(["target", "seed"])[["effective", quantity]]
            .mean()
            .reset_index()
        )
        by = each.drop(columns="seed").assign(x=each[x]).groupby("target")
        half = by[quantity].apply(lambda v: results.interval(v)[2] - v.mean())
        style = dict(color=colour, marker=marker, ms=5, elinewidth=0.6, label=method)
        ax.errorbar(by.x.mean(), by[quantity].mean(), half, **style)


# %% mystnb={"figure": {"caption": "Test accuracy after the last epoch against the share pruned; means over seeds with 95 % intervals. Grey: where nine tenths of the random masks fall; dotted: the dense network.", "name": "fig-sweep"}, "image": {"alt": "Three panels of accuracy against sparsity: LEGC rankings, their variants, and the rankings of others, each over the band of random masks."}}
figure, axes = plots.panels(3, figsize=(13, 4.2), sharey=True)
for ax, (title, methods) in zip(axes, by_panel.items()):
    sweep(ax, methods, "target", "accuracy")
    ax.legend(fontsize="x-small", loc="lower left")
    plots.label(
        ax,
        f"{dataset}: {title}",
        "weights pruned (share)",
        "test accuracy (share)" if ax is axes[0] else "",
    )
    ax.set_ylim(rows.accuracy.min() - 0.05, 1)

# %% [markdown]
# ## Effective sparsity, epochs and F1
#
# A mask that leaves no path is a constant, however many weights it keeps. So the same curves are drawn against the effective
# sparsity. Epochs count from one; a network that never reaches the benchmark counts with the last epoch.

# %% mystnb={"figure": {"caption": "Accuracy against effective sparsity, and epochs to the benchmark and macro F1 against sparsity, for LEGC, magnitude, SynFlow and random masks.", "name": "fig-effective"}, "image": {"alt": "Three panels: accuracy against effective sparsity, epochs against sparsity, macro F1 against sparsity."}}
last = choices.recorded_epochs + choices.extra_epochs
rows["epochs"] = rows.epoch.fillna(last)
figure, axes = plots.panels(3, figsize=(13, 4))
shown = ["FT", "FT reversed", "shuffled in layers", "magnitude", "SynFlow", "IMP"]
for ax, x, quantity, unit in zip(
    axes,
    ("effective", "target", "target"),
    ("accuracy", "epochs", "f1"),
    ("share", "from 1", "share"),
):
    sweep(ax, shown, x, quantity)
    plots.label(ax, f"{dataset}: {quantity}", "effectively pruned (share)" if x == "effective" else "weights pruned (share)",
                f"{quantity} ({unit})")  # fmt: skip
_ = axes[0].legend(fontsize="x-small", loc="lower left")

# %% mystnb={"figure": {"caption": "What each ranking takes from each layer at a sparsity of 0.8, and the sparsity that is effective; means over seeds.", "name": "fig-layers"}, "image": {"alt": "Grouped bars for each method: share pruned in each layer and effective sparsity."}}
at = 0.8
by_layer = {}
for (method, target, _draw), keep in masks.items():
    if target == at:
        shares = [
            1 - keep[:, part].mean() for part, *_ in training.layer_slices(layers)
        ]
        by_layer.setdefault(method, []).append(shares)
names = [f"layer {k}" for k in range(1, len(layers))]
by_layer = pd.DataFrame(
    {method: np.mean(v, axis=0) for method, v in by_layer.items()}, names
).T
by_layer["effective"] = rows[rows.target == at].groupby("method").effective.mean()
figure, (ax,) = plots.panels(figsize=(11, 3.8))
by_layer.plot.bar(ax=ax, width=0.8, color=plots.SERIES[1:])
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
ax.tick_params(axis="x", labelrotation=60)
plots.label(ax, f"{dataset}: pruned at a sparsity of {at}", "", "pruned (share)")

# %% [markdown]
# ## The advantage over chance
#
# Equation {eq}`eq-advantage` for every method, one number a seed.

# %%
base = (
    rows[rows.method == "random"]
    .groupby(["seed", "target"])[["accuracy", "epochs", "f1"]]
    .mean()
)
ours = (
    rows[rows.target > 0]
    .groupby(["method", "seed", "target"], sort=False)[["accuracy", "epochs", "f1"]]
    .mean()
)
gains = (
    (ours - base)
    .groupby(["method", "seed"], sort=False)
    .mean()
    .reset_index()
    .assign(kind="advantage")
)
gains["accuracy"], gains["f1"] = 100 * gains.accuracy, 100 * gains.f1  # in points
gains = gains[gains.method != "random"]
advantage = (
    gains.groupby("method")
    .accuracy.apply(
        lambda v: pd.Series(results.interval(v), ["mean", "low", "high"])
    )
    .unstack()
)
advantage = advantage.sort_values("mean", ascending=False)
advantage.round(2)

# %% mystnb={"figure": {"caption": "Advantage over random masks in accuracy, averaged over the sparsities: one point a seed, the bar their mean.", "name": "fig-advantage"}, "image": {"alt": "One row for each method with the advantage over random masks in percentage points, sorted."}}
figure, (ax,) = plots.panels(figsize=(8, 4.8))
plots.dots(ax, gains.accuracy, gains.method, advantage.index)
plots.label(ax, f"{dataset}: advantage over random masks", "accuracy (points)", "")

# %% [markdown]
# ## Sanity checks
#
# If a mask holds knowledge, it should suffer when that is taken away {cite}`su2020,frankle2021`: its weights shuffled within
# layers, the network started from other initial weights, or the mask found on data with permuted labels. We ask at the
# sparsity where the rankings differ, for FT and for magnitude.

# %%
permuted = replace(
    split, y_train=np.random.default_rng([seeds[0], 13]).permutation(split.y_train)
)
corrupt = selection.find_masks(permuted, choices.hidden, seeds, choices, "FT")
fresh = training.initial_ensemble(layers, [500 + seed for seed in seeds], choices)
wrong = {
    "FT": -log_p(corrupt.pvalues),
    "magnitude": np.abs(corrupt.runs.final_weights),
}
checks = []
for name in ("FT", "magnitude"):
    own = rankings.keep_highest(scores[name], at)
    shuffled = {("shuffled in layers", at, d): rankings.shuffle_within_layers(own, layers, np.random.default_rng([14, d]))
                for d in range(draws)}  # fmt: skip
    as_it_is = {
        ("as it is", at, 0): own,
        ("labels permuted", at, 0): rankings.keep_highest(wrong[name], at),
    }
    checks.append(retrain(as_it_is | shuffled)[0].assign(ranking=name))
    checks.append(
        retrain({("other start", at, 0): own}, initial=fresh)[0].assign(ranking=name)
    )
checks = pd.concat(checks, ignore_index=True).assign(kind="sanity")
sanity = (
    checks.groupby(["ranking", "method", "seed"], sort=False)
    .accuracy.mean()
    .unstack("method")
)
sanity.groupby("ranking", sort=False).mean().round(3)

# %%
table = pd.concat([rows, gains, checks], ignore_index=True)
results.save(
    table, "12_chance", dataset, protocol, out_dir, seeds=seeds, draws=draws, window=choices.window,
    overlap=choices.overlap, max_lag=choices.max_lag, sparsities=sparsities,
)  # fmt: skip

# %% tags=["hide-input"]
over_random = gains.pivot(index="seed", columns="method", values="accuracy")
bases = {"reverse": "FT reversed", "layers": "shuffled in layers", "magnitude": "magnitude, by layer", "snip": "SNIP",
         "grasp": "GraSP", "synflow": "SynFlow", "imp": "IMP"}  # fmt: skip
found = {"chance_random": over_random["FT"]}
found |= {
    f"chance_{key}": over_random["FT"] - over_random[base]
    for key, base in bases.items()
}
found |= {
    "variant_calibrated": over_random["calibrated"],
    "variant_exponent": over_random["mean exponent"],
}
if "by unit" in over_random:
    found["variant_unit"] = over_random["by unit"] - over_random["random, by unit"]
for key, check in {"labels": "labels permuted", "start": "other start"}.items():
    found[f"sane_{key}"] = 100 * (
        sanity.loc["FT"]["as it is"] - sanity.loc["FT"][check]
    )
evidence.save(found, "12_chance", dataset, protocol, out_dir)

# %% tags=["hide-input", "nbval-ignore-output"]
facts = dict(n_seeds=len(seeds), draws=draws, n_sparsities=len(sparsities), at=100 * at, n_networks=len(rows) + len(checks),
             best=advantage.index[0], best_mean=advantage["mean"].iloc[0])  # fmt: skip
keys = {"FT": "ft", "FT reversed": "reverse", "PT": "pt", "magnitude": "magnitude", "SynFlow": "synflow", "IMP": "imp",
        "shuffled in layers": "shuffled", "calibrated": "calibrated", "mean exponent": "exponent", "by unit": "unit",
        "random, by unit": "random_unit"}  # fmt: skip
keys = {method: key for method, key in keys.items() if method in advantage.index}
for method, key in keys.items():
    facts |= {
        f"{key}_{part}": advantage[part][method] for part in ("mean", "low", "high")
    }
facts |= dict(ft_effective=100 * by_layer.effective["FT"], random_effective=100 * by_layer.effective["random"],
              synflow_effective=100 * by_layer.effective["SynFlow"])  # fmt: skip
for name in ("FT", "magnitude"):
    for check, key in {
        "shuffled in layers": "shuffle",
        "other start": "start",
        "labels permuted": "labels",
    }.items():
        difference = results.interval(
            100 * (sanity.loc[name]["as it is"] - sanity.loc[name][check])
        )
        facts |= {
            f"{name}_{key}_{part}": v
            for part, v in zip(("mean", "low", "high"), difference)
        }
results.publish(facts)

# %% [markdown]
# ## What we found
#
# All numbers are points of accuracy over random masks of the same size, means over {glue:text}`n_sparsities:.0f` sparsities
# and {glue:text}`n_seeds:.0f` seeds with 95 % intervals; {glue:text}`n_networks:.0f` networks were trained for this page.
#
# - **LEGC.** FT gains {glue:text}`ft_mean:.1f` points ({glue:text}`ft_low:.1f` to {glue:text}`ft_high:.1f`), its reverse, which
#   prunes the causal weights first, {glue:text}`reverse_mean:.1f` ({glue:text}`reverse_low:.1f` to
#   {glue:text}`reverse_high:.1f`), PT {glue:text}`pt_mean:.1f` ({glue:text}`pt_low:.1f` to {glue:text}`pt_high:.1f`), and FT's
#   masks shuffled within layers {glue:text}`shuffled_mean:.1f`.
# - **Variants.** Calibrated evidence gains {glue:text}`calibrated_mean:.1f` points ({glue:text}`calibrated_low:.1f` to
#   {glue:text}`calibrated_high:.1f`), the mean exponent {glue:text}`exponent_mean:.1f` ({glue:text}`exponent_low:.1f` to
#   {glue:text}`exponent_high:.1f`). Taken by unit, FT's evidence gains {glue:text}`unit_mean:.1f`; but units in random order
#   gain {glue:text}`random_unit_mean:.1f`.
# - **Others.** Magnitude gains {glue:text}`magnitude_mean:.1f`, SynFlow {glue:text}`synflow_mean:.1f`, iterative magnitude
#   pruning {glue:text}`imp_mean:.1f`. The best here is {glue:text}`best` with {glue:text}`best_mean:.1f`.
# - **Paths.** At {glue:text}`at:.0f` % pruned, FT's masks effectively prune {glue:text}`ft_effective:.0f` %, random ones
#   {glue:text}`random_effective:.0f` % and SynFlow's {glue:text}`synflow_effective:.0f` %.
# - **Sanity.** At the same sparsity FT loses {glue:text}`FT_shuffle_mean:.1f` points when shuffled within layers
#   ({glue:text}`FT_shuffle_low:.1f` to {glue:text}`FT_shuffle_high:.1f`), {glue:text}`FT_start_mean:.1f` from another start and
#   {glue:text}`FT_labels_mean:.1f` when found on permuted labels; magnitude {glue:text}`magnitude_shuffle_mean:.1f`,
#   {glue:text}`magnitude_start_mean:.1f` and {glue:text}`magnitude_labels_mean:.1f`.
#
# ```{admonition} What could be wrong with it
# :class: caution
# Magnitude, iterative pruning and FT see a whole training before they choose, PT its beginning, the others only the
# initial weights or nothing. Where the dense network is far too large, sparsity costs nothing and no ranking can show an
# advantage; where no path is left, none can either. A network's accuracy after the last epoch is one draw, so seeds matter
# more than decimals.
# ```
