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
# # Are the layers well trained?
#
# [The previous chapter](06_diagnostics.ipynb) asked what the inputs do. WeightWatcher {cite}`martin2021` looks at the
# weights alone, without any data: it takes the eigenvalues of each layer's correlation matrix and fits a power law to
# the largest.
#
# ```{admonition} The paper says
# On MNIST "the alpha lies between 2.0 and 6.0 on every layer" (Table 4), the spectra are heavy-tailed, and a spike in
# the randomised spectrum, a "correlation trap", "is the case of a well-trained layer" (section 5.1, Figures 2, 4, 5
# and 6).
# ```
#
# The idea is this. A layer that starts out is a matrix $W$ of independent random numbers, and the eigenvalues of
# $W^\top W$ then fill a bounded range, with nothing beyond it. Training builds correlations between the weights, and
# these show as eigenvalues that leave the range: the spectrum grows a tail. How slowly this tail falls off is taken as
# a measure of what the layer has learnt. For singular values $s_i$ of $W$ the spectrum is $\lambda_i = s_i^2$. Above
# some $\lambda_{\min}$ its density is modelled as
#
# ```{math}
# :label: eq-tail
# \rho(\lambda) \propto \lambda^{-\alpha}, \qquad \hat\alpha = \alpha \, \log_{10} \lambda_{\max} .
# ```
#
# A small $\alpha$ is a heavy tail. The guide that the paper goes by comes from large pretrained networks
# {cite}`martin2021`, whose layers have hundreds or thousands of eigenvalues. WeightWatcher tries every eigenvalue as
# $\lambda_{\min}$ and keeps the one from which the power law fits best. Multiplying all weights by a number leaves
# $\alpha$ as it is, but changes $\hat\alpha$.
#
# There are as many eigenvalues as the layer's smaller side has units: few. So each $\alpha$ gets an interval, and a
# control: what would layers get that were never trained?
#
# The parameters follow. WeightWatcher leaves out layers with hardly any eigenvalues, without a word; here a network
# with such a layer is refused.

# %% tags=["parameters"]
dataset: str = "mnist5k"  # mnist5k or mnist; digits for another network
protocol: str = "published"  # published (the paper, oddities included), resplit (other splits) or corrected
seeds: list = [0]  # whole numbers; one network a seed
alpha: float = None  # level of LEGC's test; None: the protocol's
rule: str = None  # noncausal (prune non-predictors) or causal; None: the protocol's
out_dir: str = "results"  # folder for the rows (CSV) and where they came from (JSON)

# %%
from study import parameters

choices = parameters.check(globals(), "dataset protocol seeds alpha rule out_dir")

# %%
from itertools import product

import numpy as np
import pandas as pd

from legc_utils import datasets, protocols, selection, training
from study import evidence, paper, plots, rankings, results, spectra
from study.randomness import derived_seed

plots.use_style()
split = datasets.load(dataset, choices)
layers = training.layer_sizes(split, choices.hidden)
if min(layers) < 8:
    raise ValueError(f"{dataset=} has layers {layers}; allowed: at least 8 units")
for variant in ("FT", "PT"):
    selection.horizon(split, choices, variant)  # raises if no test is possible
print(f"{dataset}: {layers}, {len(split.y_train)} training images, seeds {seeds}")

# %% [markdown]
# ## Five networks, trained to the end
#
# The paper's five models, each with the same number of epochs from the same initial weights. Their test accuracy says
# whether there is anything to look at: nobody would expect well-trained layers in a network that does not classify.

# %% tags=["nbval-ignore-output"]
masks = rankings.model_masks(split, choices.hidden, seeds, choices)
models, stacked = list(masks), np.stack(list(masks.values()), axis=1)
runs = training.train_ensemble(
    split, choices.hidden, seeds, choices, stacked,
    epochs=choices.recorded_epochs, evaluate=[choices.recorded_epochs],
)  # fmt: skip
members = runs.members.assign(model=np.array(models)[runs.members["mask"]])
accuracy = pd.Series(runs.test_accuracy[-1]).groupby(members.model).mean()
accuracy[models].to_frame("test accuracy").round(3)

# %% [markdown]
# ## One layer, measured
#
# Two comparisons stand beside the fit. *Shuffling* the entries of $W$ keeps every weight and destroys whatever order
# there was among them. An eigenvalue larger than all of the shuffled matrix is therefore due to correlation between
# weights, and not to a few large ones. *Gaussian noise* of the same shape and variance is what the shuffled matrix
# should look like, if no single weight stands out. If the largest shuffled eigenvalue lies beyond it nevertheless,
# that is a correlation trap: some entries are so large that they make an eigenvalue of their own, in whatever order.
#
# An eigenvalue beyond the shuffled ones says nothing of how the tail falls off. Whether it is *heavy* is the question of
# Vuong's test, with the package `powerlaw` {cite}`clauset2009`: above $\lambda_{\min}$, is a power law likelier than an
# exponential, and is the difference larger than chance at a level of 5 %? As the interval of $\alpha$ we take its
# standard error, $(\hat\alpha - 1) / \sqrt n$ for the $n$ eigenvalues of the tail, times the quantile of Student's
# $t$; a bootstrap is the alternative, and both are tried below on spectra whose $\alpha$ is known.


# %%
def measure(W, values, shuffled):
    """What Table 4 and Figures 2 to 6 say of a layer: dict, low and high of alpha.

    W (outputs, inputs); values, shuffled : eigenvalues, smallest first.
    """
    alpha, _, in_tail = spectra.tail_fit(values)
    low, high = spectra.alpha_interval(alpha, in_tail)
    return dict(
        eigenvalues=len(values), in_tail=in_tail, alpha=alpha, low=low, high=high,
        alpha_w=alpha * np.log10(values[-1]), heavy=spectra.is_heavy(values),
        largest=values[-1], largest_shuffled=shuffled[-1],
        beyond_shuffled=(values > shuffled[-1]).sum(),
        trap=shuffled[-1] > spectra.noise_edge(W),
    )  # fmt: skip


# %% [markdown]
# Every layer of every network of every seed is measured so, each with random numbers of its own: a row stays the same
# whichever others are computed.

# %%
rows, spectrum = [], {}
for at, seed, model in members[["seed", "model"]].itertuples():
    for layer, W in enumerate(spectra.matrices(runs.final_weights[at], layers), 1):
        rng = np.random.default_rng([seed, at, layer])
        pair = spectra.eigenvalues(W), spectra.shuffled_eigenvalues(W, rng)
        spectrum[seed, model, layer], found = pair, measure(W, *pair)
        rows.append(dict(seed=seed, model=model, layer=layer, **found))
rows = pd.DataFrame(rows)

# %% [markdown]
# ## Table 4, with its uncertainty
#
# If the spectrum had been drawn again, how else could $\alpha$ have come out? The interval reaches from the column
# *from* to the column *to*. Column *λ* counts the layer's eigenvalues, *in tail* those that the fit rests on; the latter
# is the sample size of $\alpha$. *Beyond* counts the eigenvalues above all shuffled ones, and *heavy* says whether the
# test prefers a power law. Compare two things: the width of an interval with the differences between the models, which
# are what the paper's table is to show; and $\alpha$ with the guide, which the printed values of the second layer do
# not meet either.

# %% tags=["nbval-ignore-output"]
printed = paper.TABLE_4.reset_index()
printed = pd.wide_to_long(printed, ["alpha", "alpha_w"], "model", "layer", "_")
first = rows[rows.seed == seeds[0]].set_index(["model", "layer"])
columns = {
    "eigenvalues": "λ", "in_tail": "in tail", "alpha": "α", "low": "from",
    "high": "to", "alpha_paper": "α (paper)", "alpha_w": "α̂",
    "alpha_w_paper": "α̂ (paper)", "beyond_shuffled": "beyond", "heavy": "heavy",
}  # fmt: skip
shown = first.join(printed, rsuffix="_paper")[list(columns)]
shown.rename(columns=columns).round(2)

# %% [markdown]
# Is each printed number one that our networks could have given? It is within if it lies between the least and the most
# of our seeds, as far as its two decimals say. The paper's is MNIST; what is compared with it is named at the top of
# this page.

# %% tags=["nbval-ignore-output"]
quantities = {"alpha": "alpha", "alpha_w": "alpha-hat"}
matrix = printed.rename(columns=quantities).rename_axis(columns="quantity")
matrix = matrix.stack().rename("printed").reset_index()
by_layer = rows.rename(columns=quantities).groupby(["model", "layer"])
ranges = by_layer[["alpha", "alpha-hat"]].agg(["min", "max"]).stack(0)
keys = pd.MultiIndex.from_frame(matrix[["model", "layer", "quantity"]])
matrix[["least", "most"]] = ranges[["min", "max"]].reindex(keys).to_numpy()
slack = 0.005 + 1e-9
matrix["within"] = matrix.printed.between(matrix.least - slack, matrix.most + slack)
matrix["quantity"] += ", layer " + matrix.pop("layer").astype(str)
matrix.insert(0, "table", 4)
matrix.round(2)

# %% [markdown]
# The spectra themselves come next, for the first seed. Filled bars are the trained layer, outlined ones the same
# weights shuffled, and the dashed line is the largest shuffled eigenvalue, the "spike" of the paper's Figure 2. Bars
# to the right of that line are correlation. What one would like to see is a tail: many eigenvalues, more and more
# thinly spread to the right, rather than a handful apart from the rest.

# %% mystnb={"figure": {"caption": "Spectra (blue) and those of the same weights shuffled (orange), first seed.", "name": "fig-spectra"}, "image": {"alt": "Histograms of log eigenvalues by layer and network."}}
every, blue, orange = list(product(models, range(1, len(layers)))), *plots.LAYERS[:2]
figure, grid = plots.grid(len(layers) - 1, len(models), figsize=(15, 8))
for ax, (model, layer) in zip(grid.T.flat, every):
    values, shuffled = np.log10(spectrum[seeds[0], model, layer])
    bins = np.histogram_bin_edges([values, shuffled], 25)
    ax.hist(values, bins, color=blue, alpha=0.7, label="trained")
    ax.hist(shuffled, bins, histtype="step", lw=1.5, color=orange, label="shuffled")
    ax.axvline(shuffled[-1], color=orange, ls="--")
    plots.label(ax, f"{model}, layer {layer}", r"$\log_{10}\lambda$", "")
figure.supylabel("eigenvalues (number)")
_ = grid[0][0].legend(fontsize="small")

# %% [markdown]
# A power law is a straight line on logarithmic axes. Here the share of eigenvalues that are at least as large is drawn
# against their size, with the fitted line over those that it rests on. The slope of this line is $1 - \alpha$, since
# the share is the integral of the density; $n$ counts the points that it rests on. Where points bend away from the
# line, $\alpha$ is the number of a law that the layer does not follow; where they are few, almost any curve would pass
# through them.

# %% mystnb={"figure": {"caption": "Share of eigenvalues at least as large, with the fitted power law.", "name": "fig-tails"}, "image": {"alt": "Log-log plots of eigenvalues with fitted tails, by layer and network."}}
figure, grid = plots.grid(len(layers) - 1, len(models), figsize=(15, 8))
for ax, (model, layer) in zip(grid.T.flat, every):
    values, _ = spectrum[seeds[0], model, layer]
    exponent, smallest, n = spectra.tail_fit(values)
    share = 1 - np.arange(len(values)) / len(values)
    ax.loglog(values, share, "o", ms=3, color=blue)
    fitted = n / len(values) * (values[-n:] / smallest) ** (1 - exponent)
    ax.loglog(values[-n:], fitted, color=orange)
    title = f"{model}, layer {layer}\nα = {exponent:.2f}, n = {n}"
    plots.label(ax, title, "eigenvalue λ", "")
_ = figure.supylabel("share of eigenvalues ≥ λ")

# %% [markdown]
# ## What is an alpha from so few eigenvalues worth?
#
# Two controls, of which we know the truth. *Untrained* networks, as they are initialised, hold no information at all; a
# measure of training should tell them from the others. And *true power laws* with a known exponent, drawn with as many
# values as each layer has eigenvalues, are the best case: nothing is wrong with the model, so that the spread of their
# fits is due to small numbers alone. The table gives the percentage of layers whose alpha lies within the guide, and
# of those whose tail the test calls heavy.

# %% tags=["nbval-ignore-output"]
n_control, true_alpha = 250, 3
rng = np.random.default_rng(derived_seed("power law", seeds[0]))
kinds, control, true = ("untrained", "power law"), [], {}
for k in range(n_control):
    seed = derived_seed("untrained", k)
    fresh, _ = training.initial_parameters(layers, seed, choices)
    for layer, W in enumerate(spectra.matrices(fresh, layers), 1):
        drawn = np.sort(1 + rng.pareto(true_alpha - 1, min(W.shape)))
        true[k, layer] = drawn
        for model, values in zip(kinds, (spectra.eigenvalues(W), drawn)):
            fit, heavy = spectra.tail_fit(values)[0], spectra.is_heavy(values)
            row = dict(seed=k, model=model, layer=layer, alpha=fit, heavy=heavy)
            control.append(row)
rows = pd.concat([rows, pd.DataFrame(control)], ignore_index=True)
rows["inside"] = rows.alpha.between(paper.ALPHA_LOW, paper.ALPHA_HIGH)
held = rows.astype({"heavy": bool}).groupby(["model", "layer"], sort=False)
shares = held[["inside", "heavy"]].mean().unstack()
(100 * shares.rename_axis(columns=("%", "layer"))).round(0)

# %% [markdown]
# An exponential is told from a power law more easily the heavier the tail. So here is the test's power: the percentage
# of true power laws that it calls heavy, by their $\alpha$. Where that is small, a layer that is not called heavy says
# nothing.

# %% tags=["nbval-ignore-output"]
sizes = [min(pair) for pair in zip(layers, layers[1:])]
draw = lambda alpha, n: np.sort(1 + rng.pareto(alpha - 1, n))
called = lambda *law: [spectra.is_heavy(draw(*law)) for _ in range(n_control)]
exponents = 1.5, 2, 3
power = [[100 * np.mean(called(each, n)) for each in exponents] for n in sizes]
power = pd.DataFrame(power, pd.Index(sizes, name="eigenvalues"), exponents)
power.rename_axis(columns="% heavy, by alpha").round(0)

# %% [markdown]
# How often does a 95 % interval hold the true $\alpha$? Below, in per cent of the true power laws of as many values as
# each layer has eigenvalues, for the interval of the table above and for the same quantiles of
# {glue:text}`n_resamples:.0f` bootstrap fits.

# %% tags=["nbval-ignore-output"]
n_resamples, covered = 100, []
for (_, layer), values in true.items():
    exponent, _, n = spectra.tail_fit(values)
    again = spectra.bootstrap_alpha(values, rng, n_resamples)
    intervals = dict(
        t=spectra.alpha_interval(exponent, n),
        bootstrap=np.nanquantile(again, [0.025, 0.975]),
    )  # fmt: skip
    holds = {k: low <= true_alpha <= high for k, (low, high) in intervals.items()}
    covered.append(dict(layer=layer, eigenvalues=len(values), **holds))
covered = pd.DataFrame(covered)
coverage = 100 * covered.groupby(["layer", "eigenvalues"]).mean()
coverage.rename_axis(columns="% that hold the true alpha").round(0)

# %% [markdown]
# The figure shows the values behind these percentages. A box holds the middle half of a control, and its whiskers reach
# over the central 95 % of draws; the trained networks of this page are points, and the guide is the grey band. If the
# points lie within the whiskers of "untrained", alpha has not noticed the training. If the whiskers of "power law" are
# longer than the models are apart, the differences between the models are not to be read.

# %% mystnb={"figure": {"caption": "Alpha of untrained networks, of true power laws and of the trained networks.", "name": "fig-controls-alpha"}, "image": {"alt": "Box plots by layer, with points for trained networks."}}
figure, axes = plots.panels(len(layers) - 1, figsize=(13, 4))
for layer, ax in enumerate(axes, start=1):
    here = rows[rows.layer == layer].groupby("model").alpha
    ax.axhspan(paper.ALPHA_LOW, paper.ALPHA_HIGH, color="0.9", zorder=0)
    ax.boxplot([here.get_group(kind) for kind in kinds], whis=(2.5, 97.5), sym="")
    for m, model in enumerate(models):
        found = here.get_group(model)
        style = dict(color=plots.MODELS[model], marker=plots.MARKERS[model])
        ax.scatter(np.full(len(found), 2.8 + 0.15 * m), found, label=model, **style)
    ax.set_xticks([1, 2, 3.1], [*kinds, "trained"])
    title = f"layer {layer}: {min(layers[layer - 1 : layer + 1])} eigenvalues"
    plots.label(ax, title, "", "alpha")
_ = figure.legend(*ax.get_legend_handles_labels(), loc="outside right")

# %% [markdown]
# Three claims are decided by the share of the layers of a seed's dense, FT and PT networks for which they hold: that
# alpha is within the guide, that the tail is heavy, and that there is a trap. The same share of the random masks' layers
# stands beside each. Appendix A says of the third layer that it is trained well by LEGCNet, but not by the dense
# network or magnitude pruning; what decides is how much larger its alpha is.

# %% tags=["hide-input", "nbval-ignore-output"]
settings = dict(seeds=seeds, alpha=choices.alpha, rule=choices.rule)
results.save(rows, "07_weightwatcher", dataset, protocol, out_dir, **settings)
trained = rows[rows.model.isin(models)].astype({"heavy": bool, "trap": bool})
claimed = dict(inside="alpha", heavy="heavy_tail", trap="trap")


def decide(*shared, treated):
    """Evidence by seed: shares of these models' layers; alpha of the third layer."""
    layers_of = trained[trained.model.isin(shared)].groupby("seed")
    share = layers_of[list(claimed)].mean().rename(columns=claimed)
    third = trained[trained.layer == 3].set_index(["seed", "model"]).alpha.unstack()
    if len(third):
        mean = lambda names: third[names].mean(axis=1, skipna=False)
        share["third_layer"] = mean(treated) - mean(["dense", "magnitude"])
    return dict(share.items())


# %% [markdown]
# What Table 4 prints is compared in two ways: its alphas with the guide, whatever our networks do, and all its numbers
# with what our networks give, where these are the paper's.

# %% tags=["hide-input", "nbval-ignore-output"]
ours = decide("dense", "FT", "PT", treated=["FT", "PT"])
if protocol == "published" and dataset in protocols.IMAGES:
    ours["table4"] = pd.Series({"share": matrix.within.mean()})
    results.save(matrix, "printed_4", dataset, protocol, out_dir, seeds=seeds)
placebo = decide("random", treated=["random"])
evidence.save(ours, "07_weightwatcher", dataset, protocol, out_dir, placebo=placebo)
three = paper.TABLE_4.loc[["dense", "FT", "PT"], ["alpha_1", "alpha_2", "alpha_3"]]
three = three.stack().between(paper.ALPHA_LOW, paper.ALPHA_HIGH)
alpha_printed = {"alpha_printed": pd.Series({"Table 4": three.mean()})}
evidence.save(alpha_printed, "07_weightwatcher", "printed", "published", out_dir)

# %% [markdown]
# The last numbers to collect are those that the summary quotes: how many layers are where, how wide an interval is, and
# how far apart true power laws fall.

# %% tags=["hide-input", "nbval-ignore-output"]
last = rows[rows.layer == len(layers) - 1]
spread = last.alpha[last.model == "power law"].quantile([0.025, 0.975])
percent = lambda shares: ", ".join(f"{share:.0f} %" for share in shares)
heavy_of = lambda kind: percent(100 * shares.loc[kind, "heavy"])
facts = dict(
    dataset=dataset, n_seeds=len(seeds), n_trained=len(trained), n_control=n_control,
    low=paper.ALPHA_LOW, high=paper.ALPHA_HIGH, reached=100 * accuracy["dense"],
    inside=100 * trained.inside.mean(), n_resamples=n_resamples,
    below=(trained.alpha < paper.ALPHA_LOW).sum(),
    above=(trained.alpha > paper.ALPHA_HIGH).sum(),
    untrained=100 * rows.inside[rows.model == "untrained"].mean(),
    width=(trained.high - trained.low).median(), few=last.eigenvalues.min(),
    few_low=spread.iloc[0], few_high=spread.iloc[1], true_alpha=true_alpha,
    printed_range=np.ptp(paper.TABLE_4.alpha_3), traps=int(trained.trap.sum()),
)  # fmt: skip

# %% tags=["hide-input", "nbval-ignore-output"]
third = lambda found: results.interval_text(found.get("third_layer", []))
results.publish(facts | dict(
    beyond=100 * (trained.beyond_shuffled > 0).mean(), heavy=100 * trained.heavy.mean(),
    heavy_untrained=heavy_of("untrained"), few_heavy=percent(power[exponents[-1]]),
    many_heavy=percent(power[exponents[0]]), heaviest=exponents[0],
    sizes=", ".join(map(str, sizes)),
    covers=percent(coverage.t), bootstrap_covers=percent(coverage.bootstrap),
    third=third(ours), third_random=third(placebo), n_printed=len(matrix),
    n_within=int(matrix.within.sum()), n_inside=int(three.sum()), n_three=len(three),
))  # fmt: skip

# %% [markdown]
# ## What we found
#
# Labelled {glue:text}`dataset`: the network, rate and number of iterates an epoch are the paper's, the images are those
# that can be shipped. The dense network ends at {glue:text}`reached:.0f` % test accuracy (mean of
# {glue:text}`n_seeds:.0f` seeds).
#
# - **Guide.** {glue:text}`inside:.0f` % of the {glue:text}`n_trained:.0f` trained layers lie between
#   {glue:text}`low:.0f` and {glue:text}`high:.0f`; {glue:text}`below:.0f` are below, {glue:text}`above:.0f` above. Of
#   the *untrained* layers {glue:text}`untrained:.0f` % do as well ({glue:text}`n_control:.0f` networks). Where
#   untrained layers are within the guide about as often as trained ones, or more often, to lie within it is no sign of
#   training. In Table 4 itself {glue:text}`n_inside:.0f` of the {glue:text}`n_three:.0f` layers of dense, FT and PT are
#   inside.
# - **Table 4.** {glue:text}`n_within:.0f` of its {glue:text}`n_printed:.0f` numbers lie within what our seeds give.
# - **Interval.** The interval of one alpha is {glue:text}`width:.1f` wide (median). It holds the true exponent in
#   {glue:text}`covers` of true power laws of {glue:text}`sizes` values, where the bootstrap does so in
#   {glue:text}`bootstrap_covers`. The last layer has {glue:text}`few:.0f` eigenvalues; as many values from a true power
#   law with exponent {glue:text}`true_alpha:.0f` give an alpha anywhere from {glue:text}`few_low:.1f` to
#   {glue:text}`few_high:.1f` (central 95 % of draws). Between the five models of Table 4 the last layer's alpha differs
#   by {glue:text}`printed_range:.2f` at most. A difference that is small beside such a spread would come out otherwise
#   with another seed.
# - **Third layer.** Its alpha in FT and PT is that of the dense and magnitude-pruned networks plus {glue:text}`third`;
#   with random masks it is plus {glue:text}`third_random`.
# - **Heavy tails.** In {glue:text}`heavy:.0f` % of the trained layers a power law fits the tail better than an
#   exponential. Of untrained layers it does so in {glue:text}`heavy_untrained`, from the first layer to the last; of
#   true power laws of as many values with exponent {glue:text}`true_alpha:.0f` in {glue:text}`few_heavy`, with exponent
#   {glue:text}`heaviest:.1f` in {glue:text}`many_heavy`. Where these are far below all, the test cannot tell, and "on
#   every layer" is a claim that no spectrum of this size can bear out.
# - **Structure.** In {glue:text}`beyond:.0f` % of the trained layers at least one eigenvalue exceeds all shuffled ones;
#   that is correlation. A *trap*, a shuffled spectrum beyond Gaussian noise, occurs in {glue:text}`traps:.0f` of
#   {glue:text}`n_trained:.0f` layers. WeightWatcher's authors read traps as a sign of trouble, not of a well-trained
#   layer.
#
# ```{admonition} What could be wrong with it
# :class: caution
# Fewer images than the paper's, unless this page says `mnist`. Eigenvalues are not independent draws, so intervals and
# Vuong's test, which assume that they are, are rough; both were tried on true power laws, which layers need not be. An
# exponential is one alternative to a power law, and the easiest to tell from it. Spectra are taken at the end of
# training; the paper does not say when. The untrained control starts as the protocol's networks do; with another
# initialisation its alphas would be others. Layers that LEGC may not prune differ between the models only through
# training.
# ```
