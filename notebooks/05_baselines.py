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
# # Against chance and magnitude
#
# [The previous chapter](04_ft_vs_pt.ipynb) compared LEGCNet with the dense network. The harder question is whether it
# picks *better* weights than a coin or a ruler would.
#
# ```{admonition} The paper says
# LEGCNet compares "very well in performance" with random {cite}`liu2022` and magnitude-based {cite}`li2018` pruning
# (section 1.1, Table 3). No code is released for the two baselines, and their sparsity is not given.
# ```
#
# Both baselines prune exactly as many weights as LEGCNet-FT does on the same seed, with `torch.nn.utils.prune`:
# random draws uniformly among all weights, magnitude drops the smallest $|w|$ of the *trained* dense network. With
# $n$ pruned weights out of $N$ a random mask is one of
#
# ```{math}
# :label: eq-draws
# \binom{N}{n}
# ```
#
# so one draw says little. We draw many a seed and look at where LEGCNet falls among them.

# %% tags=["parameters"]
dataset: str = "cancer"  # cancer, titanic, banknote, iris, iris3f, vowel, mnist5k, mnist, wine, wdbc or digits
protocol: str = "published"  # published (the paper, oddities included) or corrected
seeds: list = [0, 1]  # whole numbers; one network a seed
draws: int = 10  # random masks a seed
alpha: float = None  # level of LEGC's test; None: the protocol's
rule: str = None  # noncausal (prune what does not predict the error) or causal (the reverse); None: the protocol's
out_dir: str = (
    "results"  # folder for the rows: CSV, and JSON that says where they came from
)

# %%
from study import parameters

choices = parameters.check(
    globals(), "dataset protocol seeds draws alpha rule out_dir"
)

# %%
import numpy as np
import pandas as pd

from legc_utils import datasets, selection, training
from study import evidence, paper, plots, rankings, results

plots.use_style()
split = datasets.load(dataset, choices)
selection.horizon(split, choices, "FT")  # must be possible
n_weights = training.count_weights(training.layer_sizes(split, choices.hidden))
print(
    f"{dataset}: {n_weights} weights, {draws} random masks for each of seeds {seeds}"
)

# %% [markdown]
# ## Masks of equal size

# %%
chosen = selection.find_masks(split, choices.hidden, seeds, choices, "FT")
legc = chosen.masks
magnitude = rankings.magnitude_masks(
    legc, chosen.runs.final_weights, chosen.candidates
)
drawn = lambda draw: rankings.random_masks(
    legc, [1000 * seed + draw for seed in seeds], chosen.candidates
)
random = [drawn(draw) for draw in range(draws)]
models = ["dense", "FT", "magnitude"] + ["random"] * draws
masks = np.stack([np.ones_like(legc), legc, magnitude, *random], axis=1)
runs = training.train_ensemble(split, choices.hidden, seeds, choices, masks=masks)

# %%
rows = runs.at_stop().drop(columns="twin")
rows.insert(1, "model", np.array(models)[rows["mask"]])
rows["draw"] = (rows.pop("mask") - models.index("random")).clip(lower=0)
rows["weights"] = masks.sum(axis=2).ravel()
results.save(
    rows,
    "05_baselines",
    dataset,
    protocol,
    out_dir,
    seeds=seeds,
    draws=draws,
    alpha=choices.alpha,
    rule=choices.rule,
)
summary = rows.groupby("model")[
    ["epoch", "accuracy", "f1", "reached", "weights"]
].mean()
summary.round(4)

# %% mystnb={"figure": {"caption": "Where LEGCNet-FT and magnitude pruning fall among random masks of the same size.", "name": "fig-among"}, "image": {"alt": "Two panels, one column a seed: test accuracy and epochs of random masks as small points, with LEGCNet-FT, magnitude and dense as larger markers."}}
figure, axes = plots.panels(2, figsize=(11, 4))
for ax, quantity, unit in zip(axes, ("accuracy", "epoch"), ("share", "from 0")):
    for model in ("random", "dense", "magnitude", "FT"):
        part = rows[rows.model == model]
        size = 15 if model == "random" else 60
        x = part.seed.map(seeds.index) + (
            np.linspace(-0.2, 0.2, len(part)) if model == "random" else 0
        )
        ax.scatter(
            x,
            part[quantity],
            s=size,
            color=plots.MODELS[model],
            marker=plots.MARKERS[model],
            label=model,
        )
    ax.set_xticks(range(len(seeds)), seeds)
    ax.legend()
    plots.label(
        ax, f"{dataset}: {quantity} at the stop", "seed", f"{quantity} ({unit})"
    )
# %% [markdown]
# ## Beside the paper

# %%
best = (
    rows.sort_values(["accuracy", "epoch"], ascending=[False, True])
    .groupby("model")
    .first()
)
order = ["dense", "FT", "random", "magnitude"]
table = pd.concat(
    {
        "paper": paper.printed(dataset),
        "best": best[["weights", "epoch", "accuracy", "f1"]],
    },
    axis=1,
).loc[order]
table.swaplevel(axis=1).sort_index(axis=1).round(4)

# %% [markdown]
# ## A rank among random masks
#
# If LEGCNet were one more random mask, the share of random masks that it beats would be spread evenly over the
# unit interval, with mean one half. Ties count half. Networks that never reach the benchmark count as slowest.


# %%
def rank(part, quantity, sign):
    """Share of a seed's random masks that its LEGCNet-FT beats; sign +1 if larger is better."""
    values = sign * part[quantity].fillna(np.inf)
    return results.share_beaten(
        values[part.model == "FT"].iloc[0], values[part.model == "random"]
    )


beaten = pd.DataFrame({
    quantity: [rank(rows[rows.seed == seed], quantity, sign) for seed in seeds]
    for quantity, sign in {"accuracy": 1, "f1": 1, "epoch": -1}.items()
}, index=pd.Index(seeds, name="seed"))  # fmt: skip
beaten.round(3)

# %% tags=["hide-input"]
accuracy = rows.pivot_table(
    index="seed", columns="model", values="accuracy"
)  # of a seed's random masks, the mean
over = {name: accuracy["FT"] - accuracy[name] for name in ("random", "magnitude")}
evidence.save(
    {f"{name}_alike": over[name] for name in over} | {f"superior_{name}": over[name] for name in over},
    "05_baselines", dataset, protocol, out_dir,
)  # fmt: skip

# %% tags=["hide-input", "nbval-ignore-output"]
facts = dict(
    n_seeds=len(seeds),
    draws=draws,
    pruned=(n_weights - legc.sum(axis=1)).mean(),
    n_weights=n_weights,
)
for quantity in beaten:
    mean, low, high = results.interval(beaten[quantity])
    facts |= {
        quantity: 100 * mean,
        f"{quantity}_low": 100 * low,
        f"{quantity}_high": 100 * high,
    }
facts["empty"] = ((~legc).sum(axis=1) == 0).sum()
results.publish(facts)

# %% [markdown]
# ## What we found
#
# Over {glue:text}`n_seeds:.0f` seeds with {glue:text}`draws:.0f` random masks each, at
# {glue:text}`pruned:.1f` pruned weights of {glue:text}`n_weights:.0f` on average, LEGCNet-FT beats
#
# - {glue:text}`accuracy:.0f` % of the random masks in accuracy (95 % interval {glue:text}`accuracy_low:.0f` to
#   {glue:text}`accuracy_high:.0f` %),
# - {glue:text}`f1:.0f` % in macro F1 ({glue:text}`f1_low:.0f` to {glue:text}`f1_high:.0f` %),
# - {glue:text}`epoch:.0f` % in epochs to the benchmark ({glue:text}`epoch_low:.0f` to
#   {glue:text}`epoch_high:.0f` %).
#
# Chance is one half. An interval that holds it means: on this data set we cannot tell LEGCNet from a random mask.
#
# ```{admonition} What could be wrong with it
# :class: caution
# The shares have two ends, so a *t* interval over few seeds can reach beyond. Where LEGCNet prunes nothing
# ({glue:text}`empty:.0f` of the seeds here) every mask is the same network and the comparison is empty. Sparsity is
# low throughout; [chapter 12](12_chance.ipynb) sweeps over sparsities.
# ```
