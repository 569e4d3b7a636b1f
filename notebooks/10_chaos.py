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
# # Is it chaos?
#
# A system is chaotic if two copies of it that start almost alike drift apart exponentially fast. The rate at which they do
# is the Lyapunov exponent, in nats per iterate: above zero the distance grows, below zero it shrinks. LEGC does not follow
# two copies. It reads an exponent off the series of a single weight, window by window, with an estimator that was made for
# records of one chaotic system that runs on. [Chapter 2](02_windowed_le.ipynb) applied it to every weight, and to white
# noise, which has no such law at all.
#
# Two questions are left. Is there *any* setting of the estimator that tells weights from noise of the same shape? And is
# training chaotic in truth, whatever an estimator says?
#
# ```{admonition} The paper says
# "We observed positive Lyapunov exponents which marked the presence of some chaotic behavior in gradient descent"
# (section 2.1).
# ```
#
# The truth needs no estimator, since we own the map $G_t$ that takes the parameters $\theta_t$ to $\theta_{t+1}$: one step of
# training. What a tiny displacement $v_t$ becomes under it is given by the derivative of the map, and the growth of $v_t$ is
# the finite-time exponent:
#
# ```{math}
# :label: eq-tangent
# v_{t+1} = DG_t(\theta_t)\, v_t, \qquad DG_t = I - \eta\, \nabla^2 L_t, \qquad
# \lambda = \frac{1}{T} \ln \frac{\lVert v_T \rVert}{\lVert v_0 \rVert} .
# ```
#
# The Hessian $\nabla^2 L_t$ says how the loss curves. Along a direction in which it curves upwards a step of gradient descent
# shrinks a displacement, unless the step is too long for the curve and lands on the other side, farther out than it began.
# Near a minimum $\lambda$ therefore turns positive where the learning rate $\eta$ exceeds two over the largest eigenvalue of
# the Hessian, the *edge of stability*. Where the loss curves downwards, as on the way out of a saddle, displacements grow for
# a while at any rate, and this is not chaos.

# %% tags=["parameters"]
dataset: str = "cancer"  # cancer, titanic, banknote, iris, iris3f, vowel, wine, wdbc
protocol: str = "published"  # published (the paper, oddities included) or corrected
seeds: list = [0, 1]  # whole numbers; one network a seed
window: int = None  # iterates a window of the full run; None: the data set's own
overlap: float = None  # share of a window in the next one; None: the protocol's
out_dir: str = "results"  # folder for the rows (CSV) and where they came from (JSON)

# %%
from study import parameters

choices = parameters.check(
    globals(), "dataset protocol seeds window overlap out_dir"
)

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from scipy import stats

from legc_utils import datasets, lyapunov, selection, training
from study import evidence, maps, nulls, plots, results

plots.use_style()
torch.set_num_threads(1)  # products this small only wait for other threads
split = datasets.load(dataset, choices)
look = selection.horizon(split, choices, "FT")
layers = training.layer_sizes(split, choices.hidden)
n_weights = training.count_weights(layers)
if n_weights > 1000:  # each is followed in double precision, with a tangent vector
    raise ValueError(f"{dataset=} has {n_weights} weights; allowed here: up to 1000")
print(f"{dataset}: network {layers}, windows of {look.window}, seeds {seeds}")

# %% [markdown]
# ## What the estimator calls positive
#
# We train the dense networks as in the paper, keep every weight after every step, and cut windows out of these records: of
# each seed as many, at a random time and of a random weight each. A column of `real` is one such window. Everything below is
# asked of these windows, so that no comparison depends on which ones happened to be drawn for it.

# %%
runs = training.train_ensemble(
    split, choices.hidden, seeds, choices,
    record="weights", epochs=look.epochs, evaluate=(),
)  # fmt: skip
rng = np.random.default_rng([seeds[0], 10])
n_each = 200 * len(seeds)  # windows, and series of every other kind
start = rng.integers(len(runs.weights) - look.window, size=n_each)
weight = rng.integers(n_weights, size=n_each)
times = start + np.arange(look.window)[:, None]
real = runs.weights[times, np.repeat(range(len(seeds)), 200), weight]

# %% [markdown]
# The estimator first turns a window into points: each holds a few values of the series, a lag apart, which for a
# deterministic system can stand for the whole of its state. It then pairs each point with its nearest neighbour, as a
# substitute for the second copy that nobody has, and averages the log distance of such pairs $k$ iterates later, $S(k)$. If
# distances grow exponentially, $S$ is a straight line whose slope is the exponent. The paper's code takes the first step of
# $S$ for its slope, and so does this function. For noise the nearest neighbour is near by accident only, and an iterate
# later the pair is as far apart as any two points are: the first step is up, whatever the series.


# %%
setting = choices.embedding | {"steps": look.steps}


def exponents(windows, **changes):
    """What S gains in its first step, for each column: (n,), nats per iterate."""
    S = lyapunov.divergence(windows.T, **(setting | changes))
    return S[:, 1] - S[:, 0]


# %% [markdown]
# What should such a number be compared with? White noise is too easy, as nobody would take a weight's smooth path for it.
# So beside the windows stand two kinds of copies of each. *IAAFT* surrogates keep its values and its spectrum and assume that
# it is stationary. The *null of the right shape* keeps the window's own smooth trend and puts noise around it that is like
# what is left of the window. Neither follows any law that could be chaotic. Three systems do: the logistic map, Hénon's map
# and Lorenz's flow, whose exponents are known and positive.

# %%
noise = rng.normal(size=(look.window, n_each))


def orbits(step, dim, n, transient=100):
    """First coordinate of orbits that have come to their attractor: (n, n_each)."""
    first = rng.uniform(0.05, 0.25, (n_each, dim))
    return maps.follow(step, first, 0, n + transient)[transient + 1 :, :, 0]


samples = {
    f"weights of {dataset}": real,
    "IAAFT of weights": nulls.iaaft(real, rng),
    "trend + noise": nulls.trend_and_noise(real, rng),
    "white noise": noise,
    "AR(1), 0.9": nulls.autoregressive(look.window, np.full(n_each, 0.9), 1, rng),
    "random walk": noise.cumsum(axis=0),
}
samples |= {n: orbits(*system, look.window) for n, system in maps.CHAOTIC.items()}

# %% [markdown]
# The boxes show the exponents of each kind. Two things to look for: whether any box reaches zero, which it should for noise;
# and whether the weights' box lies apart from that of trend plus noise. A chaotic system that lies *below* noise says that
# the number measures how unpredictable a window is from one point to the next, not how fast neighbours part.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "The published estimator on weights, surrogates, noise and chaotic systems.", "name": "fig-known"}, "image": {"alt": "Box plot of exponents, one row a kind of series."}}
estimates = {name: exponents(windows) for name, windows in samples.items()}
figure, (ax,) = plots.panels(figsize=(9, 4.5))
whiskers = dict(whis=(5, 95), showfliers=False)
sns.boxplot(pd.DataFrame(estimates), orient="h", color="0.85", ax=ax, **whiskers)
ax.axvline(0, color="black", ls=":", lw=1)
unit = "LE (nats per iterate; whiskers 5 and 95 %)"
plots.label(ax, f"{dataset}: windowed exponents", unit, "")

# %% [markdown]
# ## Is there a setting that tells them apart?
#
# The estimator has knobs: how many coordinates a point has (`emb_dim`), how far apart in time these are (`lag`), how near
# in time a neighbour may be (`min_tsep`, the Theiler window), and how many steps it is followed (`steps`). We turn one at a
# time. For each setting and seed we count how often a real window has a larger exponent than a window of the null of the
# right shape. One half is chance; near one or near zero the setting tells the two apart, and in between it leaves it to
# luck. And we count how often white noise is called positive, which a setting to be trusted would seldom do. A share near
# one in the first column with noise still positive in the second would be a difference in size and no sign of chaos: the
# zero line, at which the paper reads, would mean nothing.

# %%
knobs = dict(steps=[1, 3, 10], emb_dim=[1, 3, 5], min_tsep=[5, 20], lag=[5])
settings = {"as published": {}}
settings |= {f"{k}={v}": {k: v} for k, values in knobs.items() for v in values}
windows = (real, samples["trend + noise"], noise)
found = []
for name, changes in settings.items():
    each = [exponents(w, **changes).reshape(len(seeds), -1) for w in windows]
    for seed, ours, null, white in zip(seeds, *each):
        rank = np.mean([results.share_beaten(x, null) for x in ours])
        row = dict(kind="setting", name=name, seed=seed, value=rank)
        found.append(row | {"positive": (white > 0).mean()})
setting_rows = pd.DataFrame(found)
by_setting = setting_rows.groupby("name", sort=False)[["value", "positive"]].mean()
by_setting.set_axis(
    ["real above null (share)", "noise positive (share)"], axis=1
).round(3)

# %% [markdown]
# ## How far off is it where chaos is certain?
#
# If the estimator fails on noise, is it right at least for chaos? For the three chaotic systems the tangent vector of
# equation {eq}`eq-tangent` gives the true exponent, averaged over several orbits and thousands of iterates.

# %%
truth = {}
for name, (step, dim) in maps.CHAOTIC.items():
    near = 0.1 + 0.05 * rng.random((8, dim))
    at = dict(discard=300, tangent=maps.by_complex_step(step))
    truth[name] = maps.tangent_lyapunov(step, near, 3000, **at).mean()

# %% [markdown]
# Against it we hold the estimates from windows like the paper's. Again one thing is changed at a time: the length of the
# window, the noise that is added to it (as a share of its standard deviation), the Theiler window, the embedding, and the
# number of steps over which the slope of $S(k)$ is fitted. The published slope is that of the first step.

# %%
base = choices.embedding | dict(window=look.window, noise=0.0, fit=1)
tried = dict(
    window=[50, 100, 200, 800], noise=[0, 0.01, 0.05, 0.2], min_tsep=[0, 1, 10, 20],
    emb_dim=[1, 2, 3, 5], fit=[1, 3, 5, 10, 20],
)  # fmt: skip
long = {n: orbits(*system, 800)[:, :100].T for n, system in maps.CHAOTIC.items()}


def estimated(windows, window, noise, fit, **embedding):
    """Median over windows of the slope of S over its first `fit` steps."""
    cut = windows[:, :window]
    cut = cut + noise * cut.std() * np.random.default_rng(0).normal(size=cut.shape)
    S = lyapunov.divergence(cut, steps=fit, **embedding)
    return np.median(np.polyfit(range(fit + 1), S.T, 1)[0])


# %% [markdown]
# Every combination of a changed setting and a system is one row, with the truth beside it; the median over many windows keeps
# chance out of it, so that what is left is bias. In the figure the dotted line is
# a perfect estimate. A curve that moves as one setting is turned shows how much of the answer is that choice's; a curve that
# stays flat away from the line is a bias that the setting cannot cure. The scale is logarithmic.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "Estimated over true exponent, one setting changed at a time; one is right.", "name": "fig-bias"}, "image": {"alt": "Five panels of the ratio, one a setting."}}
bias = pd.DataFrame([
    dict(name=name, setting=key, at=at, value=estimated(w, **(base | {key: at})))
    for key, values in tried.items() for at in values for name, w in long.items()
]).assign(kind="bias")  # fmt: skip
bias["truth"] = bias.name.map(truth)
drawn = bias.assign(ratio=bias.value / bias.truth, x=bias["at"].map("{:g}".format))
figure, axes = plots.panels(len(tried), figsize=(13, 3.6), sharey=True)
units = ["iterates", "share of s.d.", "iterates", "coordinates", "steps"]
look_of = dict(hue="name", style="name", markers=True, dashes=False)
for ax, (key, part), unit in zip(axes, drawn.groupby("setting", sort=False), units):
    sns.lineplot(part, x="x", y="ratio", ax=ax, legend=ax is axes[-1], **look_of)
    ax.axhline(1, color="black", ls=":", lw=1)
    plots.label(ax, key, f"{key} ({unit})", "")
axes[0].set(ylabel="estimated / true", yscale="log")
_ = axes[-1].legend(fontsize="small")

# %% [markdown]
# ## The truth: the map itself
#
# Now training itself. One copy of the network for every learning rate and seed, all followed together, in two ways: by
# gradient descent on all samples at once, for which the theory of the edge of stability is made, and by SGD, one sample a
# step, as the paper trains. The rates range from a tenth of the data set's own to far beyond it, so that the map gets every
# chance to be chaotic. Rates and seeds are rows of one state; biases belong to it, since they are part of the map.

# %%
factors = 10.0 ** np.array([-1, 0, 1, 2, 3, 3.5, 4])  # times the data set's own rate
rates = np.repeat(choices.rate * factors, len(seeds))
untrained = np.hstack(training.initial_ensemble(layers, seeds, choices))
first = np.tile(untrained, (len(factors), 1))
n_steps = {"gradient descent": 1500, "SGD": 6 * len(split.X_train)}
training_map = {
    how: maps.SGDMap(split, layers, choices, rates, full_batch=how != "SGD")
    for how in n_steps
}

# %% [markdown]
# Only the second half of each run counts, so that the way out of the start is over. Two answers to the same question: the
# tangent vector of equation {eq}`eq-tangent`, carried along by Jacobian–vector products, with no estimate anywhere; and a
# real twin of the network, which starts a tiny step away along the same direction and is trained like the first. The twin
# needs no calculus, so it checks the other; but it saturates once it is no longer near, or when rounding is all that is
# left.

# %%
nudge = 1e-9


def tangent_exponent(step, states, begin):
    """Exponent from iterate `begin` on, nats per iterate: (rates × seeds,)."""
    later, n = lambda x, v, t: step.tangent(x, v, t + begin), len(states) - 1 - begin
    return maps.tangent_lyapunov(step, states[begin], n, seed=1, tangent=later)


def twin_exponent(step, states, begin):
    """Growth of a twin over the same iterates, nudged along the same direction."""
    v = np.random.default_rng(1).normal(size=first.shape)
    twin = states[begin] + nudge * v / np.linalg.norm(v, axis=1, keepdims=True)
    twin = maps.follow(step, twin, begin, len(states) - 1)
    apart = np.linalg.norm(twin[-1] - states[-1], axis=1)
    return np.log(apart / nudge) / (len(twin) - 1)


# %% [markdown]
# The windowed estimator reads the weights of the very same runs, as LEGC would: the median over weights, averaged over the
# windows of the second half. At the end of each run we ask how near the network is to the edge of stability: power iteration
# gives the largest eigenvalue of the Hessian on all samples, and `edge` is the rate times half of it, one at the edge.


# %%
def measure(how):
    """One row a rate and seed: exponent, twin, windowed estimate, edge."""
    step, half = training_map[how], n_steps[how] // 2
    states = maps.follow(step, first, 0, n_steps[how])
    weights = states[half:, :, :n_weights].reshape(len(states) - half, -1)
    windowed = lyapunov.windowed_lyapunov(weights, look.window, **setting)
    windowed = np.median(windowed.reshape(-1, len(rates), n_weights), axis=2)
    on_all = training_map["gradient descent"]
    sharp = maps.largest_eigenvalue(on_all.product, states[-1])
    return pd.DataFrame(dict(
        kind="map", name=how, rate=rates, seed=[*seeds] * len(factors),
        tangent=tangent_exponent(step, states, half),
        twin=twin_exponent(step, states, half),
        windowed=windowed.mean(axis=0), sharpness=sharp, edge=rates * sharp / 2,
    ))  # fmt: skip


true = pd.concat(map(measure, n_steps), ignore_index=True)

# %% [markdown]
# Top: the truth by learning rate. Where tangent and twin agree, it can be trusted; above the dotted line displacements
# grow. Middle: what the windowed estimator says of the same runs, on its own scale. If it knew anything of chaos, its curve
# would have the shape of the one above it. Bottom: the distance to the edge, cut off from below where it vanishes; no point
# is shown where the network is saturated, so that the Hessian is zero. The paper's own rate is the second from the left.

# %% tags=["hide-input"] mystnb={"figure": {"caption": "By learning rate: true exponent, estimate, edge of stability. Medians over seeds.", "name": "fig-truth"}, "image": {"alt": "Three rows of curves."}}
figure, grid = plots.grid(3, 2, figsize=(11, 9), sharex=True)
for column, (how, part) in zip(grid.T, true.groupby("name", sort=False)):
    middle = part.groupby("rate").median(numeric_only=True)
    middle["edge"] = middle.edge.clip(lower=1e-6)
    shown = (["tangent", "twin"], ["windowed"], ["edge"])
    titles = (f"{dataset}: {how}", "windowed estimator", "edge of stability")
    for ax, names, title, at in zip(column, shown, titles, (0, 0, 1)):
        middle[names].plot(ax=ax, logx=True, style=["o-", "s--"], legend=at == 0)
        ax.axhline(at, color="black", ls=":", lw=1)
        plots.label(ax, title, "learning rate", "nats per iterate")
    column[2].set(yscale="log", ylabel="rate × eigenvalue / 2")

# %% [markdown]
# Does the one know of the other? For each seed we rank its runs by the windowed and by the true exponent. Spearman's
# correlation of the two rankings is one if they agree, zero if they have nothing to do with each other. The mean over seeds
# comes with its 95 % interval; with few seeds that reaches beyond what a correlation can be, which says how little few seeds
# can decide.

# %%
both = true.groupby(["name", "seed"])[["windowed", "tangent"]]
spearman = both.apply(lambda run: stats.spearmanr(*run.to_numpy().T).statistic)
results.intervals(spearman.groupby("name")).round(3)

# %% [markdown]
# All rows are kept, together with the three numbers a seed that the ledger judges: whether weights stand out from noise of
# their shape, whether training is chaotic at the paper's own rate, and whether the windowed exponent follows the true one.

# %% tags=["hide-input"]
by_seed = lambda values: zip(seeds, values.reshape(len(seeds), -1))
series_rows = pd.DataFrame([
    dict(kind="series", name=n, seed=s, value=np.median(v), positive=np.mean(v > 0))
    for n, values in estimates.items() for s, v in by_seed(values)
])  # fmt: skip
rows = pd.concat([series_rows, setting_rows, bias, true], ignore_index=True)
set_to = dict(seeds=seeds, window=look.window, overlap=choices.overlap)
results.save(rows, "10_chaos", dataset, protocol, out_dir, **set_to)
own = true[np.isclose(true.rate, choices.rate)].set_index(["name", "seed"]).tangent
shape = setting_rows[setting_rows.name == "as published"].set_index("seed").value
judged = dict(chaos_shape=shape, chaos_true=1e6 * own["SGD"])
judged["chaos_follows"] = spearman["SGD"]
evidence.save(judged, "10_chaos", dataset, protocol, out_dir)

# %% [markdown]
# The text below quotes these tables and nothing else. An exponent at the paper's own rate is small, so it is given per
# million iterates.

# %% tags=["hide-input", "nbval-ignore-output"]
positive = 100 * series_rows.groupby("name").positive.mean()
fit = bias[bias.name == "logistic map"].set_index(["setting", "at"]).value
gap = (true.tangent - true.twin)[true.name == "SGD"].abs().median()
facts = dict(
    n_rates=len(factors), n_seeds=len(seeds), n_each=n_each, n_settings=len(settings),
    trend=positive["trend + noise"], iaaft=positive["IAAFT of weights"], gap=gap,
    noise=positive["white noise"], noise_least=100 * by_setting.positive.min(),
    rank=results.interval_text(shape), best=by_setting.value.idxmax(),
    rank_least=by_setting.value.min(), rank_most=by_setting.value.max(),
    ratio_least=drawn.ratio.min(), ratio_most=drawn.ratio.max(),
    logistic=truth["logistic map"], fit_5=fit["fit", 5], fit_20=fit["fit", 20],
)  # fmt: skip
for how, key in {"gradient descent": "gd", "SGD": "sgd"}.items():
    part = true[true.name == how]
    share = 100 * (part[["tangent", "windowed"]] > 0).mean()
    facts[f"{key}_positive"], facts[f"{key}_windowed"] = share
    facts[f"{key}_most"], facts[f"{key}_edge"] = part[["tangent", "edge"]].max()
    facts[f"{key}_own"] = results.interval_text(own[how], 1, 1e6)
    facts[f"{key}_rank"] = results.interval_text(spearman[how])
results.publish(facts)

# %% [markdown]
# ## What we found
#
# - **The estimator.** It is positive in {glue:text}`trend:.0f` % of the windows of trend plus noise, in
#   {glue:text}`iaaft:.0f` % of the surrogates and in {glue:text}`noise:.0f` % of white noise ({glue:text}`n_each:.0f` windows
#   each). A positive sign that noise has as well is no sign of chaos.
# - **Its settings.** As published, a real window beats one of trend plus noise in a share of {glue:text}`rank` of the cases.
#   Over {glue:text}`n_settings:.0f` settings it is {glue:text}`rank_least:.2f` to {glue:text}`rank_most:.2f` (most with
#   {glue:text}`best`). No setting calls fewer than {glue:text}`noise_least:.0f` % of the windows of white noise positive.
# - **Its bias.** Where chaos is certain, the estimate is {glue:text}`ratio_least:.2f` to {glue:text}`ratio_most:.2f` times
#   the truth, depending on the setting. The logistic map, truth {glue:text}`logistic:.2f`, gives {glue:text}`fit_5:.2f`
#   over five steps and {glue:text}`fit_20:.2f` over twenty: a slope is meant to be read where $S$ rises, and where that is
#   depends on the system.
# - **The truth at the paper's own rate.** The training map's exponent is {glue:text}`sgd_own` nats per *million* iterates for
#   SGD and {glue:text}`gd_own` for gradient descent. One nat per million iterates multiplies a distance by $e$ in a million
#   steps.
# - **Over the learning rate** ({glue:text}`n_rates:.0f` rates, {glue:text}`n_seeds:.0f` seeds) it is positive in
#   {glue:text}`sgd_positive:.0f` % of the SGD runs, at most {glue:text}`sgd_most:.4f` nats per iterate, and in
#   {glue:text}`gd_positive:.0f` % of those by gradient descent ({glue:text}`gd_most:.4f`). The rate times half the largest
#   eigenvalue, which is one at the edge of stability, reaches {glue:text}`sgd_edge:.2f` and {glue:text}`gd_edge:.2f`.
# - **Does one know of the other?** Over the rates the windowed exponent correlates with the true one by
#   {glue:text}`sgd_rank` for SGD and by {glue:text}`gd_rank` for gradient descent. It is positive in
#   {glue:text}`sgd_windowed:.0f` % and {glue:text}`gd_windowed:.0f` % of the runs.
#
# ```{admonition} What could be wrong with it
# :class: caution
# A finite-time exponent of a run that ends says nothing of the limit. A positive exponent over the first epochs can be the
# way out of a saddle, not chaos; so only the second half of each run counts, and even then a small positive value can be
# the rest of it. Runs are shorter than the paper's. The twin starts a tiny step away and agrees with the tangent vector to
# {glue:text}`gap:.1e` (median, SGD) until rounding ends that. The largest eigenvalue is that of largest modulus, so it can
# be negative, and it is that of all samples, while SGD meets one at a time. A map of many rates is asked at few of them:
# chaos in a narrow band between two of them would be missed.
# ```
