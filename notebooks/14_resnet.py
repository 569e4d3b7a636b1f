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
# # A residual network
#
# Every network so far was the paper's own: one or two hidden layers. Does the ranking do better on a network of the kind
# that people prune? A small ResNet {cite}`he2016` is trained on MNIST, with a recorder on its optimiser that follows every
# convolution and the last layer.
#
# ```{admonition} The paper says
# "Our pruning approach is yet to be tested on baseline architectures (Resnet, Densenet), and Large Language Models and
# savings in carbon emission needs to be computed" (section 6).
# ```
#
# A block returns $\mathrm{relu}(x + f(x))$, $f$ two convolutions with batch norm. Weights are ranked over the whole network
# by the smallest $p$ of their Granger tests, by magnitude after training, or at random, pruned, rewound and retrained. What
# counts is the mean difference of two rankings' test accuracies $a$ and $a'$ over the sparsities $s$:
#
# ```{math}
# :label: eq-resnet
# A = \frac{1}{|S|} \sum_{s \in S} \bigl( a(s) - a'(s) \bigr),
# ```
#
# in points. The settings of the training stand in the code below: chosen by how the dense network trains, the same for all.

# %% tags=["parameters"]
dataset: str = "mnist5k"  # mnist5k or mnist
protocol: str = "published"  # published (the paper, oddities included) or corrected
seeds: list = [0]  # whole numbers; one network a seed
sparsities: list = [0.5, 0.9]  # shares of the weights to prune, rising
draws: int = 1  # random masks a seed and sparsity
recorded_epochs: int = 3  # epochs of every training
window: int = 20  # iterates a window of the full run; None: the data set's own
overlap: float = None  # share of a window that the next one repeats; None: the protocol's
max_lag: int = 5  # largest lag of the full run's Granger test, in windows; None: the data set's own
out_dir: str = "results"  # folder for the rows: CSV, and JSON that says where they came from

# %%
from legc_utils import protocols
from study import parameters

choices = parameters.check(
    globals(), "dataset protocol seeds sparsities draws recorded_epochs window overlap max_lag out_dir",
    datasets=protocols.IMAGES,
)  # fmt: skip

# %%
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from legc_utils import datasets
from study import footprint, networks, operations, plots, results, sparsity

plots.use_style()
torch.set_num_threads(1)  # the same bits on any number of cores, and networks this small gain little from more
choices = replace(choices, rate=0.05, batch_size=32, p_decimals=None)  # rounded p-values cannot be ranked
task = sparsity.image_task(datasets.load(dataset, choices))
build = networks.ResNet
sparsity.record(sparsity.draw(build, 0), task, choices)  # refuses windows and lags that cannot work
print(f"{dataset}: {sparsity.n_steps(task, choices)} steps, windows of {choices.window}, seeds {seeds}")

# %% [markdown]
# ## The network
#
# `units` are what can be left out as a whole: the filters of the first convolution of each block, which no sum depends on.

# %%
model = sparsity.draw(build, seeds[0])
shapes = {name: tuple(model.get_parameter(name).shape) for name in networks.linear_maps(model)}
layers = pd.DataFrame({"shape": shapes.values(), "weights": [np.prod(s) for s in shapes.values()]}, shapes)
layers["units"] = pd.Series(model.units)
n_weights, work = int(layers.weights.sum()), operations.multiply_adds(model, task.X_test[:1])
layers.astype({"units": "Int64"}).astype(object).fillna("–")

# %% [markdown]
# ## Follow, test, prune, rewind, retrain
#
# The dense network is trained while the recorder follows each of these weights. From its p-values come a ranking and the
# rule's own mask; from the trained weights the ranking by magnitude; from the seed random ones. Each is applied to the
# *initial* network, which is then trained like the dense one.

# %% tags=["nbval-ignore-output"]
followed = {seed: sparsity.follow(build, task, choices, seed) for seed in seeds}
rows = [sparsity.compare(f, task, choices, sparsities, draws) for f in followed.values()]
rows = pd.concat(rows, ignore_index=True)
rows["perplexity"] = np.exp(rows.loss)
rows.pivot_table(index=["by", "kind", "method"], columns="target", values="accuracy", dropna=False, sort=False).dropna(
    how="all"
).round(3).fillna("–")

# %% mystnb={"figure": {"caption": "Accuracy on the test set after the last epoch, against the share that is pruned: single weights over the whole network (left), whole units of every layer (right). Means over seeds with 95 % intervals; the star is where LEGC's own rule stops; dotted, the dense network.", "name": "fig-resnet"}, "image": {"alt": "Two panels of accuracy against sparsity for LEGC, magnitude and random pruning, by weight and by unit, with the dense network as a dotted line."}}
figure, axes = plots.panels(2, figsize=(11, 4.2), sharey=True)
for ax, by, title in zip(axes, ("weights", "units"), ("single weights", "filters")):
    shown = rows[(rows.by == by) | (rows.kind == "dense")]
    plots.against_sparsity(ax, shown, "accuracy", x="sparsity" if by == "weights" else "target")
    plots.label(ax, f"{dataset}: {title}", f"{by} pruned (share)", "test accuracy (share)" if ax is axes[0] else "")
    ax.set_ylim(rows.accuracy.min() - 0.05, 1)
_ = axes[0].legend(fontsize="small")

# %% mystnb={"figure": {"caption": "What each ranking takes of each layer when the largest share of weights goes; means over seeds.", "name": "fig-resnet-layers"}, "image": {"alt": "Grouped bars for every layer: share pruned by LEGC, magnitude and random ranking."}}
by_layer = pd.concat([sparsity.shares_by_layer(f, sparsities[-1]) for f in followed.values()])
by_layer = by_layer.groupby(level=0, sort=False).mean().rename(index=lambda name: name.removesuffix(".weight"))
figure, (ax,) = plots.panels(figsize=(8, 5))
by_layer.plot.barh(ax=ax, width=0.8, color=[plots.MODELS[m] for m in ("FT", "magnitude", "random")])
ax.invert_yaxis()
plots.label(ax, f"{dataset}: {100 * sparsities[-1]:.0f} % of all weights pruned", "pruned (share of the layer)", "")
_ = ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))

# %% [markdown]
# ## The advantage
#
# One number a seed: the difference between two rankings, averaged over the sparsities (equation {eq}`eq-resnet`).

# %% tags=["nbval-ignore-output"]
gains = sparsity.advantages(rows)
pairs = gains.method + " over " + gains["over"] + ", " + gains.by
advantage = gains.groupby(pairs, sort=False).points.apply(
    lambda v: pd.Series(results.interval(v), ["mean", "low", "high"])
)
advantage.unstack().round(3)

# %% mystnb={"figure": {"caption": "Difference in accuracy between two rankings at the same sparsity, averaged over the sparsities. One point a seed, the bar their mean.", "name": "fig-resnet-advantage"}, "image": {"alt": "One row for each pair of rankings, by weight and by unit, with a dot for every seed and a bar for the mean."}}
figure, (ax,) = plots.panels(figsize=(8, 3.2))
plots.dots(ax, gains.points, pairs, pairs.unique())
plots.label(ax, f"{dataset}: advantage", "accuracy (points)", "")

# %% [markdown]
# ## What is saved
#
# Multiply–adds of one sample by torch's own counter. A mask multiplies by zero: the dense kernels that run here skip
# nothing. `skippable` is the share that hardware could leave out which skips every zero weight. Whole units could also be
# cut out of a network for good.

# %% tags=["nbval-ignore-output"]
saved = rows.groupby(["by", "kind", "method", "target"], dropna=False)
saved[["sparsity", "multiply_adds", "skippable"]].mean().round(3)

# %% [markdown]
# ## What it costs
#
# One epoch of the first seed's training, several times in turn: as it is; with the recorder; with the error that LEGC predicts asked
# for at each window's end as well; the Granger tests of the whole run; and pruned by magnitude to the largest sparsity. Energy and carbon
# come from codecarbon, off the network, with the power grid of the authors' country.

# %% tags=["nbval-ignore-output"]
first, epoch = followed[seeds[0]], replace(choices, recorded_epochs=1)
costs = footprint.compare(sparsity.cost_runs(build, task, epoch, first, sparsities[-1]), country="IND")
costs["kwh"] = costs.processor_kwh + costs.memory_kwh
recorder, network = first.recorder.nbytes, sum(p.nbytes for p in model.parameters())
ratios = footprint.ratios(costs, "plain")
ratios.round(2)

# %% tags=["nbval-ignore-output"] mystnb={"figure": {"caption": "Seconds of each run over those of plain training in the same round: one dot a round, the bar their mean.", "name": "fig-resnet-cost"}, "image": {"alt": "One row for each kind of run with its time relative to plain training, one dot a round."}}
figure, (ax,) = plots.panels(figsize=(8, 2.8))
plain = costs[costs.run == "plain"].set_index("repeat").seconds
plots.dots(ax, costs.seconds / costs.repeat.map(plain), costs.run, costs.run.unique(), at=1)
plots.label(ax, f"{dataset}: wall time", "relative to plain training", "")

# %%
table = pd.concat([rows, gains], ignore_index=True)
results.save(
    table, "14_resnet", dataset, protocol, out_dir, seeds=seeds, sparsities=sparsities, draws=draws,
    recorded_epochs=choices.recorded_epochs, window=choices.window, overlap=choices.overlap, max_lag=choices.max_lag,
    rate=choices.rate, batch_size=choices.batch_size, recorder_bytes=recorder, network_bytes=network,
    costs=costs.to_dict("records"), power=footprint.power_source(),
)  # fmt: skip

# %% tags=["hide-input", "nbval-ignore-output"]
rule, dense = rows[rows.kind == "rule"], rows[rows.kind == "dense"]
undefined = np.mean(
    [torch.cat([p.flatten() for p in f.pvalues.values()]).isnan().double().mean() for f in followed.values()]
)
facts = dict(
    n_seeds=len(seeds), n_weights=n_weights, work=work / 1e6, most=100 * sparsities[-1], n_sparsities=len(sparsities),
    dense=100 * dense.accuracy.mean(), rule=100 * rule.accuracy.mean(), rule_share=100 * rule.sparsity.mean(), undefined=100 * undefined,
    skippable=100 * rule.skippable.mean(), recorder=recorder / 1e6, relative=recorder / network, power=footprint.power_source(),
    mwh=1e6 * costs[costs.run == "plain"].kwh.median(), mg=1e6 * costs[costs.run == "plain"].kg.median(),
)  # fmt: skip
runs = {"recorded": "recorded", "asked": "recorded, error asked", "tests": "tests", "pruned": "pruned"}
facts |= {f"time_{key}": ratios.seconds[run] for key, run in runs.items()}
facts |= {f"carbon_{key}": ratios.kg[run] for key, run in runs.items()}
results.publish(facts | sparsity.quoted(gains, "points"))

# %% [markdown]
# ## What we found
#
# The dense network, {glue:text}`n_weights:.0f` weights, reaches {glue:text}`dense:.1f` % (mean of {glue:text}`n_seeds:.0f`
# seeds).
#
# - **Ranking.** Over the {glue:text}`n_sparsities:.0f` sparsities LEGC's ranking differs from random masks by
#   {glue:text}`LEGC_random_weights_mean:.2f` points (95 % interval {glue:text}`LEGC_random_weights_low:.2f` to
#   {glue:text}`LEGC_random_weights_high:.2f`), and from magnitude by {glue:text}`LEGC_magnitude_weights_mean:.2f`
#   ({glue:text}`LEGC_magnitude_weights_low:.2f` to {glue:text}`LEGC_magnitude_weights_high:.2f`); magnitude differs
#   from random masks by {glue:text}`magnitude_random_weights_mean:.2f`.
# - **Filters.** By whole filters LEGC differs from random ones by {glue:text}`LEGC_random_units_mean:.2f` points
#   ({glue:text}`LEGC_random_units_low:.2f` to {glue:text}`LEGC_random_units_high:.2f`), and magnitude does by
#   {glue:text}`magnitude_random_units_mean:.2f`.
# - **The rule.** Left to itself, at its level of 5 %, it prunes {glue:text}`rule_share:.0f` % of the weights, and the network
#   ends at {glue:text}`rule:.1f` %. No test was possible for {glue:text}`undefined:.1f` % of the weights.
# - **Cost.** Recording took {glue:text}`time_recorded:.2f` times as long as plain training,
#   {glue:text}`time_asked:.2f` with the test error asked for at each window's end; the tests of all weights
#   {glue:text}`time_tests:.2f` times as long as one epoch. The recorder held {glue:text}`recorder:.1f` MB,
#   {glue:text}`relative:.0f` times the network's own weights.
# - **Savings.** A network pruned to {glue:text}`most:.0f` % trains in {glue:text}`time_pruned:.2f` times the time and for
#   {glue:text}`carbon_pruned:.2f` times the carbon of the dense one: masks save neither on this machine. The rule's own
#   masks would let hardware that skips zeros leave out {glue:text}`skippable:.0f` % of the
#   {glue:text}`work:.2f` million multiply–adds of a sample. One epoch of plain training takes {glue:text}`mwh:.0f` mWh and emits
#   {glue:text}`mg:.0f` mg of CO₂ equivalent, by a {glue:text}`power`.
#
# ```{admonition} What could be wrong with it
# :class: caution
# A network of this size on small images is a toy of its kind, and its training short. The published protocol lets the rule
# see the test error while it chooses; magnitude and random masks do not need it. One rate and one batch size serve every
# mask. A network's accuracy after the last epoch is one draw, and batch norm judges each image by the batch that it is in.
# Energy is the processor's where a counter can be read (RAPL), which virtual machines do not have; elsewhere it is a model
# of load and design power, so that it hardly says more than the seconds do. Seconds are of a machine that may be shared.
# ```
