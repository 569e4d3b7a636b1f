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
# [Chapter 2](02_windowed_le.ipynb) found the windowed exponent of every weight positive, and that of white noise as well.
# Two questions are left. Is there *any* setting of the estimator that tells weights from noise of the same shape? And is
# training chaotic in truth, whatever an estimator says?
#
# ```{admonition} The paper says
# "We observed positive Lyapunov exponents which marked the presence of some chaotic behavior in gradient descent"
# (section 2.1).
# ```
#
# The truth needs no estimator, since we own the map $G_t$ that takes the parameters $\theta_t$ to $\theta_{t+1}$. Its
# finite-time exponent follows a tangent vector $v_t$ through the derivative of the map:
#
# ```{math}
# :label: eq-tangent
# v_{t+1} = DG_t(\theta_t)\, v_t, \qquad DG_t = I - \eta\, \nabla^2 L_t, \qquad
# \lambda = \frac{1}{T} \ln \frac{\lVert v_T \rVert}{\lVert v_0 \rVert} .
# ```
#
# For gradient descent near a minimum $\lambda$ turns positive where the step $\eta$ exceeds two over the largest eigenvalue
# of the Hessian, the edge of stability.

# %% tags=["parameters"]
dataset: str = "cancer"  # cancer, titanic, banknote, iris, iris3f, vowel, mnist5k, mnist, wine, wdbc or digits
protocol: str = "published"  # published (the paper, oddities included) or corrected
seeds: list = [0, 1]  # whole numbers; one network a seed
window: int = None  # iterates a window of the full run; None: the data set's own
overlap: float = (
    None  # share of a window that the next one repeats; None: the protocol's
)
out_dir: str = (
    "results"  # folder for the rows: CSV, and JSON that says where they came from
)

# %%
from study import parameters

choices = parameters.check(
    globals(), "dataset protocol seeds window overlap out_dir"
)

# %%
import numpy as np
import pandas as pd
import torch
from scipy import stats

from legc_utils import datasets, lyapunov, selection, training
from study import evidence, maps, nulls, plots, results

plots.use_style()
split = datasets.load(dataset, choices)
look = selection.horizon(split, choices, "FT")
layers = training.layer_sizes(split, choices.hidden)
n_weights = training.count_weights(layers)
if (
    n_weights > 1000
):  # every parameter of every copy is followed in double precision, tangent vectors included
    raise ValueError(
        f"dataset={dataset!r} has {n_weights} weights; allowed here: up to 1000"
    )
torch.set_num_threads(1)  # products this small only wait for other threads
print(
    f"{dataset}: network {layers}, windows of {look.window} iterates, seeds {seeds}"
)

# %% [markdown]
# ## What the estimator calls positive
#
# Beside known series stand two kinds of copies of each real window: *IAAFT* surrogates, which keep its values and its
# spectrum and assume that it is stationary; and a *null of the right shape*, the window's own smooth trend with noise like
# what is left of it.

# %%
runs = training.train_ensemble(
    split, choices.hidden, seeds, choices, record="weights", epochs=look.epochs
)
estimate = dict(
    emb_dim=choices.emb_dim,
    lag=choices.lag,
    min_tsep=choices.min_tsep,
    steps=look.steps,
)
exponent = lambda windows, **changes: np.diff(
    lyapunov.divergence(windows.T, **(estimate | changes))[:, :2]
)[:, 0]
rng = np.random.default_rng([seeds[0], 10])
per_seed = 200
n_each = per_seed * len(seeds)
of_seed = np.repeat(range(len(seeds)), per_seed)
starts = rng.integers(len(runs.weights) - look.window, size=n_each)
columns = rng.integers(n_weights, size=n_each)
real = np.stack(
    [
        runs.weights[s : s + look.window, m, c]
        for s, m, c in zip(starts, of_seed, columns)
    ],
    axis=1,
)


# %%
def lorenz(s, t, h=0.03):
    flow = lambda x, y, z: torch.stack(
        [10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z], -1
    )
    half = s + h / 2 * flow(*s.unbind(-1))
    return s + h * flow(*half.unbind(-1))


systems = {
    "logistic map": (lambda s, t: 4 * s * (1 - s), 1),
    "Hénon map": (
        lambda s, t: torch.stack(
            [1 - 1.4 * s[..., 0] ** 2 + s[..., 1], 0.3 * s[..., 0]], -1
        ),
        2,
    ),
    "Lorenz system": (lorenz, 3),
}  # each takes rows of so many coordinates


# %%
def follow(step, state, begin, end):
    """States of a map from iterate `begin`, where it starts, to `end`: (end - begin + 1, rows, coordinates)."""
    states = [torch.as_tensor(state)]
    for t in range(begin, end):
        states.append(step(states[-1], t))
    return torch.stack(states).numpy()


def orbit(step, dim, n, transient=100):
    """First coordinate of n_each orbits: (n, n_each)."""
    return follow(step, rng.uniform(0.05, 0.25, (n_each, dim)), 0, n + transient)[
        transient + 1 :, :, 0
    ]


noise = rng.normal(size=(look.window, n_each))

# %% mystnb={"figure": {"caption": "The published estimator on real weights, on surrogates of the same windows, on noise, and on three chaotic systems.", "name": "fig-known"}, "image": {"alt": "Box plot of windowed Lyapunov exponents for weights, surrogates, noise and chaotic maps; nearly all lie above zero."}}
samples = {
    f"weights of {dataset}": real, "IAAFT of weights": nulls.iaaft(real, rng),
    "trend + noise": nulls.trend_and_noise(real, rng), "white noise": noise,
    "AR(1), 0.9": nulls.autoregressive(look.window, np.full(n_each, 0.9), 1.0, rng), "random walk": noise.cumsum(axis=0),
} | {name: orbit(*system, look.window) for name, system in systems.items()}  # fmt: skip
found = {name: exponent(windows) for name, windows in samples.items()}
figure, (ax,) = plots.panels(figsize=(9, 4.5))
ax.boxplot(
    list(found.values()),
    tick_labels=list(found),
    orientation="horizontal",
    whis=(5, 95),
    sym="",
)
ax.axvline(0, color="black", ls=":", lw=1)
plots.label(
    ax,
    f"{dataset}: windowed exponents",
    "LE (nats per iterate; whiskers 5 and 95 %)",
    "",
)

# %% [markdown]
# ## Is there a setting that tells them apart?
#
# For each setting and seed: how often a real window has a larger exponent than a window of the null of the right shape (one
# half is chance), and how often white noise is called positive.

# %%
settings = {"as published": {}} | {
    f"{name}={value}": {name: value}
    for name, values in dict(steps=[1, 3, 10], emb_dim=[1, 3, 5], min_tsep=[5, 20], lag=[5]).items() for value in values
}  # fmt: skip


def ranks(name, changes):
    """One row a seed: how often its real windows exceed the null's, and how often noise is positive."""
    ours, theirs, white = (
        exponent(w, **changes) for w in (real, samples["trend + noise"], noise)
    )
    for s, seed in enumerate(seeds):
        rank = np.mean(
            [
                results.share_beaten(x, theirs[of_seed == s])
                for x in ours[of_seed == s]
            ]
        )
        yield dict(
            kind="setting",
            name=name,
            seed=seed,
            value=rank,
            positive=(white[of_seed == s] > 0).mean(),
        )


setting_rows = pd.DataFrame(
    [row for item in settings.items() for row in ranks(*item)]
)
series_rows = pd.DataFrame([
    dict(kind="series", name=name, seed=seed, value=np.median(v[of_seed == s]), positive=(v[of_seed == s] > 0).mean())
    for name, v in found.items() for s, seed in enumerate(seeds)
])  # fmt: skip
setting_rows.groupby("name", sort=False)[["value", "positive"]].mean().round(3)

# %% [markdown]
# ## How far off is it where chaos is certain?
#
# For the three chaotic systems the tangent vector of equation {eq}`eq-tangent` gives the true exponent. We change the
# window, the noise, the Theiler window, the embedding and the number of steps over which the slope of $S(k)$ is fitted, one
# at a time (the published slope is that of the first step).

# %%
truth = {n: maps.tangent_lyapunov(step, np.full((8, dim), 0.1) + 0.05 * rng.random((8, dim)), 3000, 300).mean()
         for n, (step, dim) in systems.items()}  # fmt: skip
base = dict(
    window=look.window,
    noise=0.0,
    min_tsep=choices.min_tsep,
    emb_dim=choices.emb_dim,
    fit=1,
)
tried = dict(window=[50, 100, 200, 800], noise=[0, 0.01, 0.05, 0.2], min_tsep=[0, 1, 10, 20], emb_dim=[1, 2, 3, 5],
             fit=[1, 3, 5, 10, 20])  # fmt: skip
long = {
    name: orbit(*system, max(tried["window"]))[:, :100].T
    for name, system in systems.items()
}


def estimated(windows, window, noise, min_tsep, emb_dim, fit):
    """Median slope of S(k) over the first `fit` steps; noise as a share of each window's deviation."""
    cut = windows[:, :window]
    cut = cut + noise * cut.std() * np.random.default_rng(0).normal(size=cut.shape)
    S = lyapunov.divergence(cut, emb_dim, choices.lag, min_tsep, fit)
    return np.median(np.polyfit(range(fit + 1), S.T, 1)[0])


bias = pd.DataFrame([
    dict(kind="bias", name=name, setting=field, at=value, value=estimated(windows, **(base | {field: value})), truth=truth[name])
    for field, values in tried.items() for value in values for name, windows in long.items()
])  # fmt: skip

# %% mystnb={"figure": {"caption": "Estimated over true exponent of three chaotic systems, one setting changed at a time; one is right.", "name": "fig-bias"}, "image": {"alt": "Five panels with the ratio of estimated to true exponent against window, noise, Theiler window, embedding dimension and fit length."}}
figure, axes = plots.panels(len(tried), figsize=(13, 3.6), sharey=True)
units = dict(
    window="iterates",
    noise="share of s.d.",
    min_tsep="iterates",
    emb_dim="coordinates",
    fit="steps",
)
for ax, (field, part) in zip(axes, bias.groupby("setting", sort=False)):
    for (name, curve), colour, marker in zip(
        part.groupby("name", sort=False), plots.LAYERS, "os^"
    ):
        ax.plot(
            range(len(curve)),
            curve.value / curve.truth,
            color=colour,
            marker=marker,
            label=name,
        )
    ax.set_xticks(range(len(curve)), curve["at"].map("{:g}".format))
    ax.axhline(1, color="black", ls=":", lw=1)
    plots.label(ax, field, f"{field} ({units[field]})", "")
axes[0].set(ylabel="estimated / true", yscale="log")
_ = axes[-1].legend(fontsize="small")

# %% [markdown]
# ## The truth: the map itself
#
# One copy of the network for every learning rate and seed, all followed together: by gradient descent on all samples, and
# by SGD, one sample a step. The tangent vector gives the exponent; a twin that starts a tiny step away along the same
# direction checks it; power iteration gives the largest eigenvalue of the Hessian at the end; and the windowed estimator is
# applied to the weights of the very same run.

# %%
factors = 10.0 ** np.array([-1, 0, 1, 2, 3, 3.5, 4])  # times the data set's own rate
rates = np.repeat(choices.rate * factors, len(seeds))
state0 = np.tile(
    np.hstack(training.initial_ensemble(layers, seeds, choices)), (len(factors), 1)
)
n_steps = {"gradient descent": 1500, "SGD": 6 * len(split.X_train)}
nudge = 1e-9


# %%
def largest_eigenvalue(gradient, state, iterations=60):
    """Of the Hessian on all samples, by power iteration with Jacobian–vector products: (rows,)."""
    state = torch.as_tensor(state)
    v = torch.as_tensor(np.random.default_rng(0).normal(size=state.shape))
    for _ in range(iterations):
        v = v / v.norm(dim=-1, keepdim=True)
        product = torch.func.jvp(lambda s: gradient(s, 0), (state,), (v,))[1]
        value, v = (v * product).sum(dim=-1), product
    return value.numpy()


how_to = {
    how: maps.sgd_map(split, layers, choices, rates, full_batch=how != "SGD")
    for how in n_steps
}
half = {how: n // 2 for how, n in n_steps.items()}


def tangent_exponent(how, states):
    """Exponent of the second half, nats per iterate, from a first tangent vector drawn from seed 1."""
    begin = half[how]
    shifted = lambda state, t: how_to[how][0](state, t + begin)
    return maps.tangent_lyapunov(
        shifted, states[begin], n_steps[how] - begin, seed=1
    )


# %%
def twin_exponent(how, states):
    """Growth of a real twin over the second half, from a nudge along the same first direction."""
    begin, end = half[how], n_steps[how]
    direction = np.random.default_rng(1).normal(size=state0.shape)
    start = states[begin] + nudge * direction / np.linalg.norm(
        direction, axis=1, keepdims=True
    )
    twin = follow(how_to[how][0], start, begin, end)
    return np.log(np.linalg.norm(twin[-1] - states[-1], axis=1) / nudge) / (
        end - begin
    )


# %%
true = []
for how in how_to:
    states = follow(how_to[how][0], state0, 0, n_steps[how])
    windowed = lyapunov.windowed_lyapunov(
        states[half[how] :, :, :n_weights].reshape(n_steps[how] - half[how] + 1, -1),
        look.window,
        **estimate,
    )
    windowed = (
        np.median(windowed.reshape(-1, n_weights), axis=1)
        .reshape(-1, len(rates))
        .mean(axis=0)
    )
    sharp = largest_eigenvalue(how_to["gradient descent"][1], states[-1])
    true.append(pd.DataFrame({
        "kind": "map", "name": how, "rate": rates, "seed": np.tile(seeds, len(factors)), "tangent": tangent_exponent(how, states),
        "twin": twin_exponent(how, states), "windowed": windowed, "sharpness": sharp, "edge": rates * sharp / 2,
    }))  # fmt: skip
true = pd.concat(true, ignore_index=True)

# %% mystnb={"figure": {"caption": "Exponent of the training map by learning rate: from the tangent vector, from a real twin, and what the windowed estimator says of the same runs; below, how near the end is to the edge of stability (one). Medians over seeds.", "name": "fig-truth"}, "image": {"alt": "Three rows by two columns over the learning rate, gradient descent left and SGD right: true exponents, windowed estimator, and rate times half the largest eigenvalue."}}
figure, grid = plots.grid(3, 2, figsize=(11, 9), sharex=True)
for column, (how, part) in enumerate(true.groupby("name", sort=False)):
    middle = part.groupby("rate").median(numeric_only=True)
    for quantity, colour, marker in zip(("tangent", "twin"), plots.LAYERS, "os"):
        grid[0][column].semilogx(
            middle.index,
            middle[quantity],
            color=colour,
            marker=marker,
            label=quantity,
        )
    grid[0][column].axhline(0, color="black", ls=":", lw=1)
    grid[0][column].legend()
    grid[1][column].semilogx(
        middle.index, middle.windowed, color=plots.LAYERS[3], marker="^"
    )
    plots.label(
        grid[0][column], f"{dataset}: {how}", "", "exponent (nats per iterate)"
    )
    grid[2][column].loglog(
        middle.index,
        middle.edge.clip(lower=1e-6),
        color=plots.MODELS["dense"],
        marker="v",
    )
    grid[2][column].axhline(1, color="black", ls=":", lw=1)
    plots.label(grid[1][column], "windowed estimator", "", "LE of weights (nats)")
    plots.label(
        grid[2][column],
        "edge of stability",
        "learning rate",
        "rate × eigenvalue / 2",
    )


# %%
def relation(part):
    """Spearman correlation of windowed and true exponent over the rates, mean of seeds with its interval."""
    each = [
        stats.spearmanr(p.windowed, p.tangent).statistic
        for _, p in part.groupby("seed")
    ]
    return pd.Series(
        [*results.interval(each), len(part)], ["spearman", "low", "high", "runs"]
    )


rows = pd.concat([series_rows, setting_rows, bias, true], ignore_index=True)
results.save(
    rows,
    "10_chaos",
    dataset,
    protocol,
    out_dir,
    seeds=seeds,
    window=look.window,
    overlap=choices.overlap,
)
relations = true.groupby("name", sort=False)[["seed", "windowed", "tangent"]].apply(
    relation
)
relations.round(3)

# %% tags=["hide-input"]
sgd = true[true.name == "SGD"]
evidence.save({
    "chaos_shape": setting_rows[setting_rows.name == "as published"].set_index("seed").value,
    "chaos_true": 1e6 * sgd[np.isclose(sgd.rate, choices.rate)].set_index("seed").tangent,
    "chaos_follows": sgd.groupby("seed")[["windowed", "tangent"]].apply(
        lambda part: stats.spearmanr(part.windowed, part.tangent).statistic
    ),
}, "10_chaos", dataset, protocol, out_dir)  # fmt: skip

# %% tags=["hide-input", "nbval-ignore-output"]
own = true[np.isclose(true.rate, choices.rate)].groupby("name")
facts = {
    "n_rates": len(factors),
    "n_seeds": len(seeds),
    "n_each": n_each,
    "n_settings": len(settings),
}
for how, key in {"gradient descent": "gd", "SGD": "sgd"}.items():
    part = true[true.name == how]
    mean, low, high = results.interval(own.get_group(how).tangent * 1e6)
    facts |= {f"{key}_own": mean, f"{key}_low": low, f"{key}_high": high, f"{key}_most": part.tangent.max(),
              f"{key}_positive": 100 * (part.tangent > 0).mean(), f"{key}_windowed": 100 * (part.windowed > 0).mean(),
              f"{key}_rank": relations.spearman[how], f"{key}_rank_low": relations.low[how],
              f"{key}_rank_high": relations.high[how], f"{key}_edge": part.edge.max(),
              f"{key}_gap": (part.tangent - part.twin).abs().median()}  # fmt: skip

# %% tags=["hide-input", "nbval-ignore-output"]
positive = 100 * series_rows.groupby("name").positive.mean()
by_setting = setting_rows.groupby("name")[["value", "positive"]].mean()
as_published = setting_rows[setting_rows.name == "as published"].value
logistic = (
    bias[(bias.name == "logistic map") & (bias.setting == "fit")]
    .set_index("at")
    .value
)
facts |= dict(zip(("rank", "rank_low", "rank_high"), results.interval(as_published)))
results.publish(facts | {
    "trend_positive": positive["trend + noise"], "iaaft": positive["IAAFT of weights"], "noise": positive["white noise"],
    "rank_least": by_setting.value.min(), "rank_most": by_setting.value.max(), "best": by_setting.value.idxmax(),
    "noise_least": 100 * by_setting.positive.min(), "logistic": truth["logistic map"], "fit_5": logistic[5],
    "fit_20": logistic[20], "ratio_least": (bias.value / bias.truth).min(), "ratio_most": (bias.value / bias.truth).max(),
})  # fmt: skip

# %% [markdown]
# ## What we found
#
# - **The estimator.** It is positive in {glue:text}`trend_positive:.0f` % of the windows of trend plus noise, in
#   {glue:text}`iaaft:.0f` % of the surrogates and in {glue:text}`noise:.0f` % of white noise ({glue:text}`n_each:.0f` windows
#   each). As published, a real window beats one of trend plus noise in {glue:text}`rank:.2f` of the cases (95 % interval over
#   seeds {glue:text}`rank_low:.2f` to {glue:text}`rank_high:.2f`), and in {glue:text}`rank_least:.2f` to
#   {glue:text}`rank_most:.2f` over {glue:text}`n_settings:.0f` settings (most with {glue:text}`best`). No setting calls fewer
#   than {glue:text}`noise_least:.0f` % of the windows of white noise positive.
# - **Its bias.** Where chaos is certain, the estimate is {glue:text}`ratio_least:.2f` to {glue:text}`ratio_most:.2f` times the
#   truth, depending on the setting. The logistic map, truth {glue:text}`logistic:.2f`, gives {glue:text}`fit_5:.2f` over five
#   steps and {glue:text}`fit_20:.2f` over twenty.
# - **The truth at the paper's own rate.** The training map's exponent is {glue:text}`sgd_own:.1f` nats per *million* iterates
#   for SGD (95 % interval {glue:text}`sgd_low:.1f` to {glue:text}`sgd_high:.1f`) and {glue:text}`gd_own:.1f` for gradient
#   descent ({glue:text}`gd_low:.1f` to {glue:text}`gd_high:.1f`).
# - **Over the learning rate** ({glue:text}`n_rates:.0f` rates, {glue:text}`n_seeds:.0f` seeds) it is positive in
#   {glue:text}`sgd_positive:.0f` % of the SGD runs, at most {glue:text}`sgd_most:.4f` nats per iterate, and in
#   {glue:text}`gd_positive:.0f` % of those by gradient descent ({glue:text}`gd_most:.4f`). The rate times half the largest
#   eigenvalue, which is one at the edge of stability, reaches {glue:text}`gd_edge:.2f` and {glue:text}`sgd_edge:.2f`.
# - **Does one know of the other?** Over rates and seeds the windowed exponent correlates with the true one by
#   {glue:text}`sgd_rank:.2f` for SGD ({glue:text}`sgd_rank_low:.2f` to {glue:text}`sgd_rank_high:.2f`) and
#   {glue:text}`gd_rank:.2f` for gradient descent ({glue:text}`gd_rank_low:.2f` to {glue:text}`gd_rank_high:.2f`). It is
#   positive in {glue:text}`sgd_windowed:.0f` % and {glue:text}`gd_windowed:.0f` % of the runs.
#
# ```{admonition} What could be wrong with it
# :class: caution
# A finite-time exponent of a run that ends says nothing of the limit. A positive exponent over the first epochs can be the
# way out of a saddle, not chaos; so only the second half of each run counts. Runs are shorter than the paper's. The twin
# starts a tiny step away and agrees with the tangent vector to {glue:text}`sgd_gap:.1e` (median) until rounding ends that.
# The largest eigenvalue is that of largest modulus.
# ```
