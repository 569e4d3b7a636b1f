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
# # Other networks
#
# Every network so far was the paper's own: one or two hidden layers. Does LEGC's ranking do better on networks of the kind
# that people prune? Three small relatives of those are trained with a recorder on their optimiser, which follows every linear
# map. This page is about one of them, the {glue:text}`title`, and what it learns from {glue:text}`data`.
#
# ```{admonition} The paper says
# "Our pruning approach is yet to be tested on baseline architectures (Resnet, Densenet), and Large Language Models and
# savings in carbon emission needs to be computed" (section 6).
# ```
#
# - A **ResNet** {cite}`he2016` adds. A block returns $\mathrm{relu}(x + f(x))$, $f$ two convolutions with batch norm. It
#   learns digits from images.
# - A **DenseNet** {cite}`huang2017` keeps. Layer $l$ computes $x_l = H_l([x_0, x_1, \ldots, x_{l-1}])$, $H_l$ batch norm,
#   relu and a convolution that adds a few channels. It learns the same images. Each layer sees what all layers before it
#   made, so that a single weight is easier to replace: does that change what a ranking is worth?
# - A **transformer** {cite}`vaswani2017` reads. Two blocks learn to continue a text that every reader has, the docstrings of
#   Python's own library, character by character. The machinery is that of a large language model: embeddings, causal
#   attention, and linear layers at each position.
#
# Weights are ranked over the whole network, in three ways: by LEGC, whose first to go are those with the largest $p$ in the
# Granger tests (of each weight the smallest over the lags); by magnitude after training; at random. The lowest are pruned,
# the network is rewound to its initial weights and trained again. LEGC's scores, shuffled within layers, are its placebo:
# they take as much of each layer. What counts is the mean difference of two rankings' results $q$ and $q'$ over the
# sparsities $s$:
#
# ```{math}
# :label: eq-networks
# A = \frac{1}{|S|} \sum_{s \in S} \bigl( q(s) - q'(s) \bigr).
# ```
#
# For images $q$ is the test accuracy, in per cent, and $A$ is in points. For text it is the loss, the mean cross-entropy in
# nats per character; its exponential, the perplexity, says how many characters the network hesitates between. The error that
# the Granger tests are to predict is in both cases the share of wrong answers.
#
# Beside these stands what a reader expects: SNIP, SynFlow, movement, Taylor and LAMP, Wanda for the language model, and for
# the ResNet the two successors of chapter 15. They are tried by single weights and, but for the successors, which the ledger
# judges, at the largest sparsity alone.
#
# The parameters say which of the networks is trained, and how. Those of the published protocol stand behind what is not set.

# %% tags=["parameters"]
network: str = "resnet"  # resnet, densenet or transformer
dataset: str = (
    None  # mnist5k, mnist, or pydoc (transformer); None: the network's own
)
protocol: str = "published"  # published (the paper, oddities included), resplit (other splits) or corrected
seeds: list = [0]  # whole numbers; one network a seed
sparsities: list = [0.5, 0.9]  # shares of the weights to prune, rising
draws: int = 1  # random masks a seed and sparsity
recorded_epochs: int = 2  # epochs of every training
window: int = 20  # iterates a window of the full run; None: the data set's own
overlap: float = None  # share of a window in the next one; None: the protocol's
max_lag: int = 3  # largest lag of the full run, windows; None: the data set's own
out_dir: str = "results"  # folder for the rows (CSV) and where they came from (JSON)

# %% [markdown]
# The parameters are checked before any work: a value that cannot work stops the run with a message that names what is
# allowed.

# %%
from study import parameters

choices = parameters.check(
    globals(),
    "network dataset protocol seeds sparsities draws recorded_epochs "
    "window overlap max_lag out_dir",
)

# %% [markdown]
# The data are loaded, and the recorder is tried once on an untrained network: it refuses windows and lags that the planned
# number of steps cannot fill, before any training.

# %% tags=["hide-input"]
import math

import numpy as np
import pandas as pd
import torch

from study import evidence, footprint, networks, operations, plots, results, sparsity

plots.use_style()
torch.set_num_threads(1)  # the same bits on any number of cores
case, title = sparsity.CASES[network], parameters.NETWORKS[network].title
build, task, choices = sparsity.prepare(network, choices)
sparsity.record(sparsity.draw(build, 0), task, choices)
n_steps, dataset = sparsity.n_steps(task, choices), choices.dataset
print(f"{title}, {dataset}: {n_steps} steps, window {choices.window}, seeds {seeds}")

# %% [markdown]
# ## What differs
#
# The story is one for all three networks. What sets them apart stands in this table: the rate and the batch size, chosen by
# how the dense network trains and kept for every mask; the units, what can be left out of the network as a whole; the scale
# that a network is shown on; and the one that two rankings are compared on, with the side of zero where the first is better.

# %%
pd.DataFrame(sparsity.CASES, index=sparsity.Case._fields).rename(
    columns=lambda name: parameters.NETWORKS[name].title
)

# %% [markdown]
# ## The network
#
# Every linear map is a module of its own, so that any pruning method finds it; biases, norms and embedding tables are left
# alone. The table lists the maps of the {glue:text}`title`, in the model's order, with the number of weights and units.
#
# In the ResNet the units are the filters of the first convolution of each block, which no sum depends on. In the DenseNet
# they are the channels that a layer adds; between its two dense blocks a convolution halves the channels. In the
# transformer queries, keys, values and outputs have a matrix each, and the units are the heads of the value projections,
# since a head without values says nothing, and the neurons of the hidden layers.

# %%
model = sparsity.draw(build, seeds[0])
layers = networks.layers(model)
layers.astype(object).fillna("–")

# %% [markdown]
# ## Follow, test, prune, rewind, retrain
#
# The dense network is trained while the recorder follows each of these weights. From its p-values come a ranking and the
# rule's own mask; from the trained weights the ranking by magnitude; from the seed random ones. Each mask is applied to the
# *initial* network, which is then trained like the dense one, over the same samples in the same order. So what differs
# between two rows of the table is the mask and nothing else. All masks of a seed train at once, side by side as groups of one
# network, so that their sums are rounded in another order than the dense network's. Columns are the shares that were asked
# for; the rule has none, because it decides by its level how much goes.

# %% tags=["nbval-ignore-output"]
followed = {seed: sparsity.follow(build, task, choices, seed) for seed in seeds}
rivals = sparsity.OTHERS[network]
compare = lambda f: sparsity.compare(f, task, choices, sparsities, draws, rivals)
rows = [compare(f) for f in followed.values()]
rows = pd.concat(rows, ignore_index=True)
rows["perplexity"] = rows.loss.map(math.exp)  # the same bits on any processor
scores = rows.pivot_table(
    case.score, ["by", "kind", "method"], "target", dropna=False, sort=False
)
scores.dropna(how="all").round(3).astype(object).fillna("–")

# %% [markdown]
# A curve that stays near the dotted line has lost nothing yet. Dashed are LEGC's placebo, and the network that magnitude
# pruned after its training and left at that. Left, single weights go, wherever they are in the network;
# right, whole units, the same share of every layer, up to a share that leaves narrow layers some. The star is where LEGC's
# own rule stops. Accuracy is good where it is high, perplexity where it is low.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Accuracy or perplexity after pruning single weights (left) and units (right); star: LEGC's rule.", "name": "fig-networks"}, "image": {"alt": "Two panels of curves."}}
figure, axes = plots.panels(2, figsize=(11, 4.2), sharey=True)
for ax, by, what in zip(axes, ("weights", "units"), ("single weights", case.units)):
    ours = (rows.by == by) & ~rows.method.isin(rivals)
    shown = rows[ours | (rows.kind == "dense")]
    x = "sparsity" if by == "weights" else "target"
    plots.against_sparsity(ax, shown, case.score, x=x)
    score = f"test {case.score} ({case.score_unit})"
    plots.label(ax, f"{title}: {what}", f"{by} pruned (share)", score)
axes[1].set_ylabel("")
_ = axes[0].legend(fontsize="small")

# %% [markdown]
# A ranking over the whole network also decides how much each layer loses. Random masks take the same share of all; a bar
# near one means that hardly anything gets through that layer any more, which no later layer can repair.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "What each ranking takes of each layer when most weights go; means over seeds.", "name": "fig-networks-layers"}, "image": {"alt": "Grouped bars, a group for each layer."}}
most = sparsities[-1]
by_layer = pd.concat([sparsity.shares_by_layer(f, most) for f in followed.values()])
by_layer = by_layer.groupby(level=0, sort=False).mean()
by_layer.index = by_layer.index.str.removesuffix(".weight")
figure, (ax,) = plots.panels(figsize=(8, 5))
colours = [plots.MODELS[name] for name in ("FT", "magnitude", "random")]
by_layer.plot.barh(ax=ax, width=0.8, color=colours)
ax.invert_yaxis()
name = f"{title}: {100 * most:.0f} % of all weights pruned"
plots.label(ax, name, "pruned (share of the layer)", "")
_ = ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))

# %% [markdown]
# ## The advantage
#
# One number a seed and pair of rankings: their difference, averaged over the sparsities (equation {eq}`eq-networks`), in
# {glue:text}`gain_unit`. Where it is {glue:text}`better` zero, the first ranking of the pair is better. The interval is over
# seeds, which differ in initial weights, order of samples and random masks.

# %% tags=["nbval-ignore-output"]
gains = sparsity.advantages(rows)
core = gains[~gains.method.isin([*rivals, sparsity.NOT_RETRAINED])]
pairs = core.method + " over " + core["over"] + ", " + core.by
results.intervals(core.groupby(pairs, sort=False)[case.gain]).round(3)

# %% [markdown]
# The same, seed by seed: dots on both sides of the line say that the pair's order depends on the draw.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Difference between two rankings, mean over sparsities; a point a seed.", "name": "fig-networks-advantage"}, "image": {"alt": "One row of dots for each pair."}}
figure, (ax,) = plots.panels(figsize=(8, 4))
plots.dots(ax, core[case.gain], pairs, pairs.unique())
plots.label(ax, f"{title}: advantage", case.gain_unit, "")

# %% [markdown]
# ## What others would prune
#
# All rankings at the largest sparsity, {glue:text}`most:.0f` %. *SNIP* {cite}`lee2019` is $|w\,\partial L/\partial w|$ of the
# untrained network on one batch. *SynFlow* {cite}`tanaka2020` asks no data: it prunes by the flow through the network of
# $|w|$, a hundred times over. Others look at training: *movement* {cite}`sanh2020` is $-\sum w\,\partial L/\partial w$ over
# its steps; *Taylor* {cite}`molchanov2019` the mean of $(w\,\partial L/\partial w)^2$ after it; *LAMP* {cite}`lee2021` is
# $w^2$ over the sum of those squares in its layer that are no smaller. *Wanda* {cite}`sun2024`, made for large language
# models, is $|w|\,\lVert x \rVert_2$ of the input that the weight meets, compared within each output.
#
# The successors watch one epoch of plain gradient descent at a small rate from the trained ResNet, and regress the change of
# each batch's loss on the squared gradients. *Granger* {cite}`shah2024` is the fit with a lasso penalty, stopped early;
# *causal* {cite}`causalpruning2025` the fit of Causal Pruning's code, without it. Chapter 15 found that the first follows the
# mean squared gradient, which stands here as *Fisher*.
#
# Not every weight that is kept is of use: one that lies on no path from an input to an output is kept by name only. The
# column *effective* is the share of weights that are pruned or lie on no path {cite}`vysogorets2023`. Paths go through
# shortcuts; queries and keys lie on one where both are left.

# %% tags=["nbval-ignore-output"]
last = rows[(rows.by == "weights") & (rows.kind == "sweep") & (rows.target == most)]
at_most = sparsity.advantages(last)
over = at_most[at_most["over"] == "random"].groupby("method")[case.gain]
columns = [case.score, "sparsity", "effective"]
found = last.groupby("method", sort=False)[columns].mean()
found["over random"] = over.mean()
found.sort_values(case.score, ascending=False).round(3).astype(object).fillna("–")

# %% [markdown]
# The same as differences from random masks, with intervals over seeds. In grey are the scores of the row, shuffled within
# layers: what is owed to how much they take of each layer. Better is {glue:text}`better` zero.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Difference from random masks at the largest sparsity, with 90 % intervals over seeds; grey: the same scores shuffled within layers.", "name": "fig-networks-others"}, "image": {"alt": "One row a ranking: a point with its interval, some with a grey one for the placebo."}}
of = {m: v.reset_index(drop=True) for m, v in over}
first = ["LEGC", "magnitude", sparsity.NOT_RETRAINED]
named = [*first, *(m for m in rivals if not m.endswith(sparsity.PLACEBO))]
grey = {m: of[m + sparsity.PLACEBO] for m in named if m + sparsity.PLACEBO in of}
figure, (ax,) = plots.panels(figsize=(8, 4.6))
plots.forest(ax, {m: of[m] for m in named}, grey)
ax.get_yticklabels()[0].set_fontweight("bold")
name = f"{title}: {100 * most:.0f} % of all weights pruned"
plots.label(ax, name, f"over random masks, {case.gain_unit}", "")

# %% [markdown]
# ## What is saved
#
# Multiply–adds of one sample by torch's own counter. A mask multiplies by zero: the dense kernels that run here skip
# nothing, so the count of a pruned network is that of the dense one. `skippable` is the share that hardware could leave out
# which skips every zero weight. For images it is not the sparsity: a convolution uses each weight at every place, and early
# layers have more places than late ones. Whole units could also be cut out of a network for good.

# %% tags=["nbval-ignore-output"]
saved = rows.groupby(["by", "kind", "method", "target"], dropna=False)
saved = saved[["sparsity", "multiply_adds", "skippable"]].mean()
saved.round(3).astype({"multiply_adds": int})

# %% [markdown]
# ## What it costs
#
# {glue:text}`cost_steps:.0f` steps of the first seed's training, several times in turn: as it is; with the recorder; with the
# error that LEGC predicts asked for at each window's end as well; the Granger tests of the whole run; and pruned by magnitude
# to the largest sparsity, by torch's own hooks. Each is divided by plain training in the same round, and the median over the
# rounds is shown. Energy and carbon come from codecarbon, off the network, with the power grid of the authors' country.

# %% tags=["nbval-ignore-output"]
first = followed[seeds[0]]
runs = sparsity.cost_runs(build, task, choices, first, sparsities[-1])
costs = footprint.compare(runs, country="IND")
costs["kwh"] = costs.processor_kwh + costs.memory_kwh
ratios = footprint.ratios(costs, "plain")
ratios[["seconds", "processor_seconds", "kwh", "kg"]].round(2)

# %% [markdown]
# The seconds alone, in every round: how far the dots of a row lie apart is how far the ratio can be trusted.

# %% tags=["hide-input", "nbval-ignore-output"] mystnb={"figure": {"caption": "Seconds over those of plain training in the same round; bar: mean.", "name": "fig-networks-cost"}, "image": {"alt": "Rows of dots, one a kind of run."}}
figure, (ax,) = plots.panels(figsize=(8, 2.8))
plain = costs[costs.run == "plain"].set_index("repeat")
relative = costs.seconds / costs.repeat.map(plain.seconds)
plots.dots(ax, relative, costs.run, costs.run.unique(), at=1)
plots.label(ax, f"{title}: wall time", "relative to plain training", "")

# %% [markdown]
# Rows and advantages are kept in one table, named by the network; beside it lies what was set and what it cost.

# %% tags=["hide-input"]
table = pd.concat([rows, gains], ignore_index=True)
names = "recorded_epochs window overlap max_lag rate batch_size"
set_to = {name: getattr(choices, name) for name in names.split()}
set_to |= dict(seeds=seeds, sparsities=sparsities, draws=draws)
held = dict(recorder_bytes=first.recorder.nbytes)
held["network_bytes"] = sum(p.nbytes for p in model.parameters())
cost = dict(costs=costs.to_dict("records"), power=footprint.power_source())
every = dict(data=dataset) | set_to | held | cost
_ = results.save(table, "13_networks", network, protocol, out_dir, **every)

# %% [markdown]
# What the ledger judges, one number a seed: by how much LEGC's ranking of single weights beats the others, and on the ResNet
# by how much each successor's does. Placebos are random masks, and the successors' own scores shuffled within layers.

# %% tags=["hide-input"]
unit = "nats" if network == "transformer" else "points"
better = gains[gains.by == "weights"].assign(nats=-gains.loss)
better = better.pivot(index="seed", columns=["method", "over"], values=unit)
names = dict(random="random", magnitude="magnitude", shuffled="LEGC, shuffled")
judged = {f"own_{network}_{k}": better["LEGC"][v] for k, v in names.items()}
placebo = {f"own_{network}_magnitude": -better["magnitude"]["random"]}
placebo[f"own_{network}_shuffled"] = -better["LEGC, shuffled"]["random"]
for name in [m for m in sparsity.SUCCESSORS if m in rivals]:
    for other in ("random", "magnitude"):
        key = f"own_{network}_{name.lower()}_{other}"
        judged[key] = better[name][other]
        placebo[key] = better[name + sparsity.PLACEBO][other]
evidence.save(judged, "13_networks", network, protocol, out_dir, placebo=placebo)

# %% [markdown]
# The numbers that the text quotes are taken from these tables and from nowhere else.

# %% tags=["hide-input", "nbval-ignore-output"]
rule = rows[rows.kind == "rule"].mean(numeric_only=True)
facts = case._asdict() | sparsity.quoted(gains, case.gain) | dict(
    title=title, data=dataset, n_seeds=len(seeds), n_sparsities=len(sparsities),
    n_weights=layers.weights.sum(), most=100 * most, rule=rule[case.score],
    dense=rows[rows.kind == "dense"][case.score].mean(),
    rule_share=100 * rule.sparsity, skippable=100 * rule.skippable,
    undefined=100 * np.mean([f.undefined for f in followed.values()]),
    work=operations.multiply_adds(model, task.X_test[:1]) / 1e6,
    recorder=held["recorder_bytes"] / 1e6, power=footprint.power_source(),
    relative=held["recorder_bytes"] / held["network_bytes"],
    mwh=1e6 * plain.kwh.median(), mg=1e6 * plain.kg.median(),
    cost_steps=sparsity.COST_STEPS,
    time_asked=ratios.seconds["recorded, error asked"],
    carbon_pruned=ratios.kg["pruned"],
)  # fmt: skip
for run in ("recorded", "tests", "pruned"):
    facts[f"time_{run}"] = ratios.seconds[run]

# %% [markdown]
# So are those of the other rankings, at the largest sparsity.

# %% tags=["hide-input", "nbval-ignore-output"]
text, kept = results.interval_text, found.drop(index=sparsity.NOT_RETRAINED)
scored = kept[case.score] * (-1 if case.better == "below" else 1)
successors = [
    f"{m} {text(of[m])}, its shuffled scores {text(grey[m])}"
    for m in sparsity.SUCCESSORS if m in rivals
]  # fmt: skip
results.publish(facts | dict(
    not_retrained=found[case.score][sparsity.NOT_RETRAINED],
    pruned_magnitude=found[case.score]["magnitude"], best=scored.idxmax(),
    effective=100 * found.effective["LEGC"], least_paths=found.effective.idxmax(),
    most_effective=100 * found.effective.max(),
    rivals="; ".join(
        f"{m} {text(of[m])}" for m in named[3:] if m not in sparsity.SUCCESSORS
    ),
    successors="; ".join(successors) or "not tried on this network",
))  # fmt: skip

# %% [markdown]
# ## What we found
#
# The dense {glue:text}`title`, {glue:text}`n_weights:.0f` weights, reaches a test {glue:text}`score` of
# {glue:text}`dense:.3g` ({glue:text}`score_unit`; mean of {glue:text}`n_seeds:.0f` seeds). Differences between rankings are
# in {glue:text}`gain_unit`, over {glue:text}`n_sparsities:.0f` sparsities; {glue:text}`better` zero the first is better.
#
# - **Ranking.** By single weights LEGC's ranking differs from random masks by {glue:text}`LEGC_random_weights`, and from
#   magnitude by {glue:text}`LEGC_magnitude_weights`; magnitude differs from random masks by
#   {glue:text}`magnitude_random_weights`.
# - **Placebo.** From its own masks shuffled within layers LEGC's differ by {glue:text}`LEGC_LEGC_shuffled_weights`: so much
#   is owed to which weights of a layer it picks, the rest to how much it takes of each.
# - **Others.** With {glue:text}`most:.0f` % of the weights pruned, rankings differ from random masks as follows:
#   {glue:text}`rivals`. The best mean of all is that of {glue:text}`best`.
# - **Successors.** At that sparsity, over random masks: {glue:text}`successors`.
# - **Retraining.** What magnitude pruned to that share has a test {glue:text}`score` of {glue:text}`not_retrained:.3g` as it
#   is, and of {glue:text}`pruned_magnitude:.3g` when rewound and trained again.
# - **Paths.** Counting weights that lie on no path, LEGC's masks of that share put {glue:text}`effective:.1f` % out of use;
#   the most, {glue:text}`most_effective:.1f` %, go with {glue:text}`least_paths`.
# - **Units.** By whole {glue:text}`units` LEGC differs from random ones by {glue:text}`LEGC_random_units`, and magnitude
#   does by {glue:text}`magnitude_random_units`.
# - **The rule.** Left to itself, at its level of 5 %, it prunes {glue:text}`rule_share:.0f` % of the weights, and the network
#   ends at a test {glue:text}`score` of {glue:text}`rule:.3g`. No test was possible for {glue:text}`undefined:.1f` % of the
#   weights.
# - **Cost.** Recording took {glue:text}`time_recorded:.2f` times as long as plain training,
#   {glue:text}`time_asked:.2f` with the test error asked for at each window's end; the tests of all weights
#   {glue:text}`time_tests:.2f` times as long as these steps. The recorder held {glue:text}`recorder:.1f` MB,
#   {glue:text}`relative:.0f` times the network's own weights.
# - **Savings.** A network pruned to {glue:text}`most:.0f` % trains in {glue:text}`time_pruned:.2f` times the time and for
#   {glue:text}`carbon_pruned:.2f` times the carbon of the dense one: masks save neither on this machine. The rule's own
#   masks would let hardware that skips zeros leave out {glue:text}`skippable:.0f` % of the {glue:text}`work:.2f` million
#   multiply–adds of a sample. These steps of plain training take {glue:text}`mwh:.0f` mWh and emit {glue:text}`mg:.0f` mg
#   of CO₂ equivalent, by a {glue:text}`power`.
#
# ```{admonition} What could be wrong with it
# :class: caution
# All three networks are toys of their kind, and their training short, so that twenty seeds fit into the time of five: few
# epochs, few windows for the tests, one or two sparsities, and others' rankings at one, all decided by cost before any of
# these twenty were run. Large language models are larger by many orders of
# magnitude and trained by other optimisers, while plain SGD, which the idea is about, learns text slowly and stops here long
# before it is done. The published protocol lets the rule see the test error while it chooses; magnitude and random masks do
# not need it. One rate and one batch size serve every mask, and what a network does after the last epoch is one draw.
#
# Others' methods are used as rankings here, then rewound and retrained like all the rest. Movement pruning was made for the
# fine-tuning of trained networks, Wanda for networks that nobody can retrain, and the successors prune in rounds. SynFlow is
# defined for networks without attention; what stands for attention is ours. Fits of the successors see far fewer steps than
# there are weights.
#
# Batch norm judges each image by the batch that it is in, and a channel that is pruned from the DenseNet still sends what its
# batch norm adds to zero to every layer that sees it. The text differs a little between versions of Python (its checksum is
# kept with the results), and its test pieces lie between training pieces of the same pages.
#
# Accuracies, losses and masks come out the same, to the bit, on every x86-64 processor with AVX2 (`study.portable`, and a test
# of it); on others training ends in other networks. They also belong to masks that train together: as training amplifies the
# last digit, a network that trains alone, or among fewer, ends elsewhere. Seconds, energy and carbon never come out twice.
#
# Energy is the processor's where a counter can be read (RAPL), which virtual machines do not have; elsewhere it is a model
# of load and design power, so that it hardly says more than the seconds do. Seconds are of a machine that may be shared.
# ```
