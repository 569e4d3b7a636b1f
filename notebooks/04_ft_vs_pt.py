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
# # Full or partial training
#
# The masks of [the previous chapter](03_granger_pruning.ipynb) are now put to use. What does a network lose, or gain,
# if it is trained without the weights that LEGCNet prunes? Every network is trained again from the *same* initial
# weights, dense and pruned, until its training accuracy first reaches a benchmark.
#
# ```{admonition} The paper says
# LEGCNet-FT "achieves notable reductions in Flops without compromising accuracy" and "converges significantly
# faster"; LEGCNet-PT, which looks at the first epochs only, "performs at par" (section 5, Tables 1 and 2).
# ```
#
# A pruned network is $f(x;\, m \odot W)$ with a mask $m$ of zeros and ones that stays on during training: a pruned
# weight is zero from the start and never learns. The network is read at the epoch
#
# ```{math}
# :label: eq-stop
# T = \min \{\, t \ge 0 : \mathrm{acc}_{\mathrm{train}}(t) \ge A \,\}
# ```
#
# with the authors' benchmark $A$; epochs are counted from zero, as their script prints them. $T$ says how fast a
# network learns, and the accuracy on the test set at $T$ how well it does so. Random and magnitude pruning (Table 3)
# take as many weights as FT does, on the same seeds, through `torch.nn.utils.prune`; [the next
# chapter](05_baselines.ipynb) looks at them more closely.

# %% tags=["parameters"]
dataset: str = "cancer"  # cancer, titanic, banknote, iris, iris3f, vowel, mnist5k, mnist, wine, wdbc or digits
protocol: str = "published"  # published (the paper, oddities included), resplit (other splits) or corrected
seeds: list = [0, 1]  # whole numbers; one network a seed
splits: list = [0]  # seeds of the splits; published has one of its own, 42
window: int = None  # iterates a window of the full run; None: the data set's own
overlap: float = None  # share of a window in the next one; None: the protocol's
max_lag: int = None  # largest lag of the full run, windows; None: the data set's own
alpha: float = None  # level of LEGC's test; None: the protocol's
rule: str = None  # noncausal (prune non-predictors) or causal; None: the protocol's
out_dir: str = "results"  # folder for the rows (CSV) and where they came from (JSON)

# %%
from study import parameters

choices = parameters.check(
    globals(),
    "dataset protocol seeds splits window overlap max_lag alpha rule out_dir",
)

# %%
import numpy as np
import pandas as pd

from legc_utils import datasets, selection, training
from study import convergence, evidence, networks, operations, paper
from study import plots, rankings, results

plots.use_style()
split = datasets.load(dataset, choices, splits[0])
for variant in ("FT", "PT"):
    selection.horizon(split, choices, variant)  # both must be possible
n_weights = training.count_weights(training.layer_sizes(split, choices.hidden))
print(f"{dataset}: {n_weights} weights, benchmark {choices.benchmark}")

# %% [markdown]
# ## Five models, all seeds at once
#
# First find the masks of all five models for every seed, the dense one's being all ones. Then train every network, five
# a seed, in one ensemble: those of one seed start from the same weights and see the same samples in the same order, so
# that whatever sets them apart is due to the mask. `at_stop` reads each of them at its own $T$. As the same training
# accuracy makes networks alike, each is read a second time after its last epoch. A sixth mask is a placebo for PT: drawn
# at random, of *its* size.


# %%
def race(split, evaluate="stop"):
    """The masks (seeds, models, weights), their names, and the runs on a split."""
    setup = split, choices.hidden, seeds, choices
    masks = rankings.model_masks(*setup, placebo=True)
    stacked = np.stack(list(masks.values()), axis=1)
    runs = training.train_ensemble(*setup, masks=stacked, evaluate=evaluate)
    return stacked, list(masks), runs


# %% [markdown]
# What is kept of each network: its readings, its weights, and the multiply–adds that would be left if everything that lies
# on no path from an input to an output were cut out.


# %%
def read(stacked, names, runs, number):
    """A row for each network of split `number`."""
    rows, end = runs.at_stop().drop(columns="twin"), runs.at_stop(benchmark=np.inf)
    rows.insert(0, "split", number)
    rows.insert(2, "model", np.array(names)[rows.pop("mask")])
    flat = stacked.reshape(-1, n_weights)
    adds = rankings.compact_operations(flat, runs.layers)
    return rows.assign(
        last_accuracy=end.accuracy, last_f1=end.f1, weights=flat.sum(axis=1),
        pruned_percent=100 * (1 - flat.mean(axis=1)), compact_adds=adds,
        saved_percent=100 * (1 - adds / n_weights),
    )  # fmt: skip


large = n_weights > 10_000  # where every epoch's accuracies cost as much as training
stacked, names, runs = race(split, evaluate="stop" if large else None)
models, rows = names[:5], read(stacked, names, runs, splits[0])

# %% [markdown]
# The table has the mean over seeds of each model: the epoch $T$ (of the networks that get there), accuracy and macro F1
# on the test set, and the weights that are left. Macro F1 is the mean of the classes' F1 scores, so that a rare class
# counts as much as a frequent one. "Reached" is the share of networks that reach the benchmark at all; one that never
# does has no epoch and is read at its last one.

# %% tags=["hide-input"]
last = choices.recorded_epochs + choices.extra_epochs
shown = ["epoch", "accuracy", "f1", "weights", "reached", "last_accuracy"]
means = rows.groupby("model")[shown].mean().loc[names]
means.round(dict(zip(shown, (1, 3, 3, 1, 2, 3))))

# %% [markdown]
# "FLOPs" in the paper are the remaining weights. But a masked layer still multiplies by its zeros: the matrix has the
# shape that it had, and the processor does not look. So we also ask torch's own counter for the multiply–adds of one
# forward pass, which is what an operation saved would have to show in. What *could* be saved without any special kernel
# is what whole units take: one that nothing reaches any more, or that nothing hears, can be cut out of the matrices, and
# so can an input that no unit looks at.

# %%
adds = {}
for k, model in enumerate(models):  # the networks of the first seed
    module = networks.mlp(
        runs.final_weights[k], runs.final_biases[k], runs.layers, choices.output
    )
    adds[model] = float(operations.multiply_adds(module, split.X_test[:1]))

# %% [markdown]
# Beside each other, the three ways of counting:

# %% tags=["hide-input"]
counted = rows.groupby("model")[["weights", "compact_adds"]].mean().loc[models]
counted.insert(1, "adds", pd.Series(adds))
titles = ["weights left", "multiply–adds", "once dead units are cut out"]
counted.set_axis(titles, axis=1).round(1)

# %% [markdown]
# How do the networks get to the benchmark? Each thin line is a network (a large one's ends at the benchmark), each thick
# one the median of its model. If a
# mask made learning faster, its lines would cross the dotted one earlier than the grey ones of the dense network. Lines
# that level off below it belong to networks that have lost something they need. Where models lie on top of each other,
# the choice of what to prune does not matter for learning, or too little is pruned to tell.

# %% mystnb={"figure": {"caption": "Training accuracy of every network, and the benchmark at which it is read.", "name": "fig-curves"}, "image": {"alt": "Training accuracy against epoch for five models, benchmark dotted."}}
figure, (ax,) = plots.panels()
for model, colour in plots.MODELS.items():
    curves = runs.train_accuracy[:, rows.model == model]
    ax.plot(curves, color=colour, lw=1, alpha=0.5)
    median = pd.DataFrame(curves).median(axis=1)
    ax.plot(median, color=colour, lw=2.5, label=f"{model} (median)")
ax.axhline(choices.benchmark, color="black", ls=":", label="benchmark")
ax.legend()
plots.label(ax, f"{dataset}: training accuracy", "epoch", "accuracy (share)")

# %% [markdown]
# ## Beside the paper
#
# The paper reports "the best results from every initialization", of five. The best of several runs is better than a run
# usually is, for pruned and dense networks alike, and the more so the more they vary. We show the best of our first
# five seeds by accuracy, to compare like with like, and the mean over all with the half width of its 95 % interval,
# which is what one run can expect. If "best" agrees with the paper and "mean" does not, the paper shows luck; if
# neither does, the two are different experiments in some way that the paper does not say. First what the networks are
# good for:

# %%
tried = rows[rows.seed.isin(seeds[:5])]
best = tried.sort_values(["accuracy", "epoch"], ascending=[False, True])
by_model = rows.groupby("model")[["accuracy", "f1", "epoch", "weights"]]
table = pd.concat({
    "paper": paper.printed(dataset), "best": best.groupby("model").first(),
    "mean": by_model.mean(),
    "± 95 %": by_model.agg(lambda v: results.interval(v)[2] - v.mean()),
}, axis=1).swaplevel(axis=1).loc[models]  # fmt: skip
table[["accuracy", "f1"]].round(3)

# %% [markdown]
# Then what they cost, in epochs to the benchmark and in weights. NaN stands where the paper prints nothing, or where
# too few networks reach the benchmark for an interval.

# %%
table[["epoch", "weights"]].round(1)

# %% [markdown]
# Is each printed number one that our networks could have given? It is within if it lies between the least and the most
# of our seeds, the same split and protocol, but for one test sample (or one weight, or one epoch) at most. Titanic's
# printed rows are left out: the paper's passengers are Kaggle's, and which these are is not known.


# %%
def within(model, quantity, value):
    """Row of the matrix: printed, least and most found, and whether it lies within."""
    ours = rows[rows.model == model][quantity]
    if quantity == "epoch":
        ours = ours.fillna(last)  # or more
    table = {"dense": 1, "FT": 1, "PT": 2}.get(model, 3)
    slack = 1 / len(split.y_test) if quantity in ("accuracy", "f1") else 1.0
    inside = ours.min() - slack - 5e-5 <= value <= ours.max() + slack + 5e-5
    row = dict(table=table, model=model, quantity=quantity, printed=value)
    return row | dict(least=ours.min(), most=ours.max(), within=inside)


printed = paper.printed(dataset).stack().dropna().items()
matrix = pd.DataFrame([within(*at, value) for at, value in printed])
printable = protocol == "published" and paper.comparable(dataset)
matrix.round(4) if len(matrix) else "The paper prints nothing for this data set."

# %% [markdown]
# ## Pair by pair
#
# Some initial weights are luckier than others, and that luck is shared by all networks that start from them. Dense and
# pruned networks share their seed, so differences are taken pair by pair, and the luck drops out. An interval that
# includes zero cannot tell the pruned networks from the dense ones; that they are equally good takes more, namely an
# interval that is narrow as well: the page on claims states from which loss of accuracy on it counts. Random masks of the same size stand beside each: a gain that they share comes of having
# fewer weights, not of choosing them well.

# %% mystnb={"figure": {"caption": "Pruned minus dense, one point a seed; the mean and its 95 % interval.", "name": "fig-paired"}, "image": {"alt": "Paired differences in accuracy and epochs, five pruned models."}}
columns = {"accuracy": "share", "last_accuracy": "share", "epoch": "epochs"}
by = lambda column: rows.pivot(index="seed", columns="model", values=column)
minus_dense = lambda column: by(column)[names[1:]].sub(by(column).dense, axis=0)
differences = {column: minus_dense(column) for column in columns}
figure, axes = plots.panels(3, figsize=(13, 3.8))
titles = ("accuracy at the stop", "accuracy after the last epoch", "epochs")
for ax, (column, unit), title in zip(axes, columns.items(), titles):
    plots.differences(ax, differences[column], title, f"pruned − dense ({unit})")

# %% [markdown]
# ## The same on other splits
#
# Intervals over seeds say what other initial weights would give on the same data, not what other data would. Where there
# are other splits, every network is trained on each of them. All rows go to the folder of results.

# %% tags=["hide-input"]
others = []
for number in splits[1:]:
    other = datasets.load(dataset, choices, number)
    others.append(read(*race(other), number))
every = pd.concat([rows, *others], ignore_index=True).assign(
    dense_weights=n_weights, test_samples=len(split.y_test),
    train_samples=len(split.y_train), partial_epochs=choices.partial_epochs,
    epochs_allowed=last,
)  # fmt: skip
_ = results.save(
    every, "04_ft_vs_pt", dataset, protocol, out_dir, seeds=seeds, splits=splits,
    alpha=choices.alpha, rule=choices.rule, window=choices.window,
    overlap=choices.overlap, max_lag=choices.max_lag,
)  # fmt: skip

# %% [markdown]
# The page on claims decides by differences, one number a split and seed. Times are logarithms of epochs, counted from
# one, so that a ratio counts the same both ways. A network that never reaches the benchmark is *censored*: all that is
# known is that it takes longer than the last epoch, and its time is restricted to that. Where neither network of most
# pairs arrives, nothing is known of their speed, and the data set is not asked. A mask is a winning ticket if FT is no
# less accurate than the dense network and strictly sooner. What PT spends includes the epochs that its mask is found in.

# %% tags=["hide-input"]
of = lambda column: every.pivot(
    index=["split", "seed"], columns="model", values=column
)
accuracy, f1, weights, epochs = map(of, ("accuracy", "f1", "weights", "epoch"))
logs, left = convergence.restricted_logs(epochs, last), weights.clip(lower=1)
sooner = lambda one, other: convergence.log_ratio(logs, epochs, one, other)


def spared(model, search):
    """Log of the dense network's weights × epochs less that of a model's."""
    spent = search * weights.dense + np.exp(logs[model]) * left[model]
    known = sooner("dense", model).notna()
    return (logs.dense + np.log(weights.dense) - np.log(spent)).where(known)


# %% [markdown]
# Each entry below is one claim of the ledger, under its key, for the pair of FT and PT; the placebo puts random masks of
# the same sizes in their places, which need no search.


# %% tags=["hide-input"]
def outcomes(full, partial, search=0):
    """The evidence of claims on FT and PT, with these models in their place."""
    faster, pruned = sooner("dense", full), of("pruned_percent")[full]
    return {
        "performance": accuracy[full] - accuracy.dense, "flops": pruned,
        "performance_f1": f1[full] - f1.dense, "much_smaller": pruned,
        "partial": accuracy[partial] - accuracy.dense, "faster": faster,
        "exceeds": accuracy[full] - accuracy.dense, "half": faster,
        "flops_real": of("saved_percent")[full],
        "ticket": convergence.tickets(accuracy, epochs, full),
        "cheaper": spared(partial, search),
        "par_accuracy": accuracy[partial] - accuracy[full],
        "par_f1": f1[partial] - f1[full], "par_epochs": sooner(full, partial),
        "par_flops": np.log(left[full] / left[partial]),
    }  # fmt: skip


# %% [markdown]
# After the last epoch, accuracies and F1 are read again: what the stop may hide. Two claims are about the dense network
# and the set-up, and what the paper prints is compared with what was found, where it prints something.

# %% tags=["hide-input"]
ours = outcomes("FT", "PT", choices.partial_epochs)
random = outcomes("random", "random (PT)")
accuracy, f1 = of("last_accuracy"), of("last_f1")
read_last = ("performance", "performance_f1", "partial", "exceeds")
read_last += ("par_accuracy", "par_f1")
last_of = lambda *pair: {k: v for k, v in outcomes(*pair).items() if k in read_last}
beside = {"convergence": of("reached").dense.astype(float)}
if printable:
    share = matrix.groupby("table").within.mean()
    beside |= {f"table{k}": pd.Series({"share": share.get(k)}) for k in (1, 2, 3)}
    results.save(matrix, "printed", dataset, protocol, out_dir, seeds=seeds)
if protocol == "published" and dataset in paper.TABLE_2.index:
    seen = paper.TABLE_2.partial_epochs[dataset] / choices.recorded_epochs
    beside["tenth"] = pd.Series({"Table 2": -abs(seen - 0.1)})
evidence.save(
    ours | beside, "04_ft_vs_pt", dataset, protocol, out_dir, placebo=random,
    last=last_of("FT", "PT"), last_placebo=last_of("random", "random (PT)"),
)  # fmt: skip

# %% [markdown]
# The intervals that the summary quotes are over seeds of the first split, of the differences in the figure above.

# %% tags=["hide-input", "nbval-ignore-output"]
pair = rows[rows.model.isin(["dense", "FT"])].pivot(
    index="seed", columns="model", values="reached"
)
facts = dict(
    n_best=len(seeds[:5]), best_dense=table["accuracy", "best"]["dense"],
    printed_dense=f"{table['accuracy', 'paper']['dense']:.3f}".replace("nan", "nothing"),
    one_sample=100 / len(split.y_test), adds_dense=adds["dense"], adds_FT=adds["FT"],
    compact_FT=counted.compact_adds["FT"], n_pairs=len(pair), last=last,
    not_reached=(~rows.reached).sum(), n_runs=len(rows),
    neither=(~pair.any(axis=1)).sum(),
    n_within=int(matrix.within.sum()) if printable else 0,
    n_printed=len(matrix) if printable else 0,
)  # fmt: skip
for model in ("FT", "PT"):
    for column, value in differences.items():
        scale, decimals = (1, 1) if column == "epoch" else (100, 2)
        text = results.interval_text(value[model], decimals, scale)
        facts[f"{column}_{model}"] = text
results.publish(facts)

# %% [markdown]
# ## What we found
#
# - **Dense network**: the best of {glue:text}`n_best:.0f` seeds reaches {glue:text}`best_dense:.3f` on the test set;
#   the paper prints {glue:text}`printed_dense`.
# - **Accuracy**, in percentage points: FT minus dense is {glue:text}`accuracy_FT`, PT minus dense
#   {glue:text}`accuracy_PT`; after the last epoch they are {glue:text}`last_accuracy_FT` and
#   {glue:text}`last_accuracy_PT`. One test sample is {glue:text}`one_sample:.2f` points; a mean difference that is
#   smaller comes from a sample that changes sides with some seeds only.
# - **Speed**: FT needs {glue:text}`epoch_FT` epochs more than dense, PT {glue:text}`epoch_PT`; negative is faster.
#   Where the interval includes zero, no claim of faster convergence can rest on it. The random and magnitude masks of
#   the same size are the yardstick in the figure: a gain that they share comes of having fewer weights, not of choosing
#   them well.
# - **FLOPs**: a forward pass of the dense network takes {glue:text}`adds_dense:.0f` multiply–adds, that of FT
#   {glue:text}`adds_FT:.0f`. What is saved is on paper, until something skips the zeros; with dead units and inputs cut
#   out {glue:text}`compact_FT:.0f` would be left.
# - **Censored**: {glue:text}`not_reached:.0f` of {glue:text}`n_runs:.0f` networks do not reach the benchmark within
#   {glue:text}`last:.0f` epochs; in {glue:text}`neither:.0f` of {glue:text}`n_pairs:.0f` pairs neither the dense network
#   nor FT does.
# - **Printed numbers**: {glue:text}`n_within:.0f` of {glue:text}`n_printed:.0f` that could be compared lie within what
#   our seeds give.
#
# ```{admonition} What could be wrong with it
# :class: caution
# Most claims are about the first epoch that reaches the same *training* accuracy; that alone makes accuracies alike, so
# the reading after the last epoch stands beside it. Under the published protocol the masks of FT and PT have been chosen with the test set in view, and their test
# accuracy may flatter them. Pairs in which one side never reaches the benchmark drop out of the difference in epochs of
# the figure, though not of the logarithms that decide; "not defined" marks one without any pair left. An interval from a handful of seeds is wide, and it assumes roughly
# normal differences, which accuracies on a small test set, with their few possible values, are not.
# ```
