"""Figure style shared by the notebooks: colour-blind-safe, legible in print and on a dark page."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from study import results

_COLOURS = sns.color_palette("colorblind")
MODELS = {  # one colour a model, the same on every page
    "dense": _COLOURS[7],
    "FT": _COLOURS[0],
    "PT": _COLOURS[2],
    "random": _COLOURS[1],
    "random (PT)": _COLOURS[8],
    "magnitude": _COLOURS[4],
}
MARKERS = {"dense": "o", "FT": "s", "PT": "D", "random": "v", "random (PT)": "<", "magnitude": "^"}
LAYERS = (_COLOURS[0], _COLOURS[1], _COLOURS[2], _COLOURS[4])


def use_style():
    """Set seaborn's and matplotlib's defaults for the book. White figures, so that both themes can show them."""
    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind")
    plt.rcParams.update({
        "figure.figsize": (8, 4), "figure.dpi": 90, "savefig.facecolor": "white", "figure.facecolor": "white",
        "figure.constrained_layout.use": True, "axes.titlesize": "medium", "axes.titleweight": "bold",
        "image.cmap": "cividis",
    })  # fmt: skip


def grid(n_rows, n_columns, **kwargs):
    """A figure with axes in rows and columns: (figure, array of axes)."""
    return plt.subplots(n_rows, n_columns, squeeze=False, **kwargs)


def panels(n=1, **kwargs):
    """A figure with n axes side by side: (figure, list of axes)."""
    figure, axes = grid(1, n, **kwargs)
    return figure, list(axes[0])


def label(ax, title, x, y):
    """Title and axis labels, units included, in one call."""
    ax.set(title=title, xlabel=x, ylabel=y)


def sortable(table, page=None):
    """Show a table that sorts by any column at a click, without a network (itables).

    For prose pages, whose outputs no test compares: all that it loads is written into the page. Shows `page` rows at a
    time, or all.
    """
    import itables  # only the book needs it

    itables.init_notebook_mode(all_interactive=False, connected=False)
    layout = {"topStart": None, "topEnd": "search", "bottomStart": "info", "bottomEnd": "paging" if page else None}
    paging = dict(paging=True, pageLength=page) if page else dict(paging=False)
    itables.show(table, showIndex=False, classes="display compact", layout=layout, **paging)


def dots(ax, values, rows, order, at=0):
    """One row a name of `order`, the first on top: a dot for every value, a bar for their mean, a dotted line at `at`.

    values, rows : Series of one index; the number to show and the name of its row.
    """
    ax.scatter(values, rows.map(list(order).index), color=MODELS["FT"], alpha=0.6)
    ax.scatter(values.groupby(rows).mean()[list(order)], range(len(order)), color="black", marker="|", s=200)
    ax.axvline(at, color="black", ls=":", lw=1)
    ax.set_yticks(range(len(order)), list(order))
    ax.set_ylim(len(order) - 0.5, -0.5)


def forest(ax, effects, placebo=None, level=0.9, at=0):
    """One row a name, the first on top: a mean with its t interval, in grey that of a placebo, a dotted line at `at`.

    effects, placebo : dict of str to Series, the numbers that an interval at `level` is over; placebo may lack names
    """
    places = {name: row for row, name in enumerate(effects)}
    for numbers, shift, style in (
        (placebo or {}, 0.2, dict(color="0.65", marker="D", ms=4, label="placebo")),
        (effects, 0, dict(color=MODELS["FT"], marker="o", ms=6)),
    ):
        mean, low, high = np.array([results.interval(values, level) for values in numbers.values()]).reshape(-1, 3).T
        y = [places[name] + shift for name in numbers]
        ax.errorbar(mean, y, xerr=[mean - low, high - mean], linestyle="none", elinewidth=1.5, capsize=3, **style)
    ax.axvline(at, color="black", ls=":", lw=1)
    ax.set_yticks(range(len(places)), list(places))
    ax.set_ylim(len(places) - 0.5, -0.5)


def differences(ax, values, title, unit, colours=MODELS):
    """One column a category: a dot for every value, their mean with its 95 % interval, and a dotted line at zero.

    values : DataFrame, a column of differences for every name; NaN are left out
    colours : mapping from these names
    """
    interval = lambda v: results.interval(v)[1:]
    bars = dict(color="black", linestyle="none", marker="_", capsize=0.1, err_kws=dict(linewidth=1.2))
    sns.pointplot(values, errorbar=interval, ax=ax, **bars)
    sns.stripplot(values, palette=[colours[name] for name in values], jitter=False, size=7, alpha=0.6, ax=ax)
    ax.axhline(0, color="black", ls=":", lw=1)
    label(ax, title, "", unit)


def against_sparsity(ax, rows, quantity, x="sparsity"):
    """Mean curves of the rankings against sparsity, with 95 % intervals over seeds; dotted, the dense network.

    rows : DataFrame of `sparsity.compare`, of one kind of pruning; quantity, x : its columns to show. A row of kind
    "rule", where LEGC itself says how much to prune, is a star.
    """
    ax.axhline(rows[rows.kind == "dense"][quantity].mean(), color=MODELS["dense"], ls=":", label="dense")
    for (kind, method), part in rows[rows.kind != "dense"].groupby(["kind", "method"], sort=False):
        part = part.fillna({"target": 0})
        by = part.groupby(["target", "seed"])[[quantity]].mean().groupby("target")
        half = by[quantity].apply(lambda v: results.interval(v)[2] - v.mean())
        at = part.groupby("target")[[x]].mean()[x]
        base, _, apart = method.partition(", ")  # a ranking's placebo or twin is a thin dashed line of its colour
        like = {"LEGC": "FT"}.get(base, base)
        marker, label = ("*", "LEGC, its own rule") if kind == "rule" else (MARKERS[like], method)
        style = dict(color=MODELS[like], marker=marker, ms=12 if kind == "rule" else 6, elinewidth=1, capsize=2)
        style |= dict(ls="--", lw=1, ms=4, mfc="white") if apart else {}
        ax.errorbar(at, by[quantity].mean(), half, label=label, **style)


def over_random(ax, rows, methods, x, quantity):
    """Mean curves of methods with 95 % intervals over seeds, over the band of random masks; dotted, the dense network.

    rows : DataFrame of `rankings.retrain`; x, quantity : its columns to show.
    """
    random = rows[rows.method == "random"].groupby("target")
    low, high = (random[quantity].quantile(q) for q in (0.05, 0.95))
    ax.fill_between(random[x].mean(), low, high, color="0.85", label="random, 90 %")
    ax.axhline(rows[rows.method == "dense"][quantity].mean(), color="0.4", ls=":", label="dense")
    shown = rows[rows.method.isin(methods)].groupby(["method", "target", "seed"], as_index=False)[
        ["effective", quantity]
    ]
    shown = shown.mean().assign(at=lambda found: found.groupby(["method", "target"])[x].transform("mean"))
    like = dict(hue="method", hue_order=methods, style="method", style_order=methods, markers=True, dashes=False)
    interval = dict(errorbar=lambda v: results.interval(v)[1:], err_style="bars", err_kws={"elinewidth": 0.6})
    sns.lineplot(shown, x="at", y=quantity, ax=ax, **like, **interval)
    least, most = rows[quantity].min(), rows[quantity].max()
    margin = 0.05 * (most - least) or 0.05
    ax.set_ylim(least - margin, most + margin)  # intervals of few seeds reach far beyond what was measured


def fan(ax, x, curves, colour, name):
    """Median of curves (n_points, …), one for every place of the other axes, with the bands that hold 50 % and 90 %."""
    curves = curves.reshape(len(x), -1)
    low, q1, median, q3, high = np.nanquantile(curves, [0.05, 0.25, 0.5, 0.75, 0.95], axis=1)
    ax.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    ax.fill_between(x, q1, q3, color=colour, alpha=0.3, linewidth=0)
    ax.plot(x, median, color=colour, label=f"{name} (median, 50 %, 90 %)")


def heat_map(ax, values, title, x, y, unit, **kwargs):
    """An array (n_rows, n_columns) as coloured cells, with a colour bar in `unit`; kwargs go to `ax.imshow`."""
    picture = ax.imshow(values, aspect="auto", interpolation="nearest", **kwargs)
    ax.grid(False)
    ax.figure.colorbar(picture, label=unit)
    label(ax, title, x, y)


def weight_names(split, layers):
    """A readable name for every weight, in the flat order: "w1[3, clump_thickness]", "w2[malignant, 3]"."""
    names = []
    for layer, (fan_in, fan_out) in enumerate(zip(layers, layers[1:]), start=1):
        inputs = split.feature_names if layer == 1 else range(1, fan_in + 1)
        last = layer == len(layers) - 1
        outputs = split.class_names[-fan_out:] if last else range(1, fan_out + 1)
        names += [f"w{layer}[{o}, {i}]" for o in outputs for i in inputs]
    return names


def draw_network(ax, layers, mask, title, first=0):
    """A network with kept weights as lines and pruned ones dashed (Figure 1 of the paper, from a real mask).

    mask holds the weights from layer of units `first` on; what lies before is not drawn.
    """
    names = ["inputs", *[f"hidden {k}" for k in range(1, len(layers) - 1)], "outputs"][first:]
    layers = layers[first:]
    at = [np.column_stack([np.full(n, x), np.linspace(0, 1, n + 2)[1:-1]]) for x, n in enumerate(layers)]
    start = 0
    for left, right in zip(at, at[1:]):
        keep = mask[start : start + len(left) * len(right)].reshape(len(right), len(left))
        start += keep.size
        for o, b in enumerate(right):
            for i, a in enumerate(left):
                style = dict(color="0.75", lw=0.8) if keep[o, i] else dict(color=_COLOURS[3], lw=2, ls="--", zorder=2)
                ax.plot(*zip(a, b), **style)
    for points in at:
        ax.scatter(*points.T, s=120, color=_COLOURS[0], edgecolor="black", zorder=3)
    ax.set(title=title, xticks=range(len(layers)), yticks=[])
    ax.set_xticklabels(names)
    ax.grid(False)
    sns.despine(ax=ax, left=True, bottom=True)


OUTCOMES = {  # of a claim's test: colour and marker
    "shown": (_COLOURS[0], "o"),
    "shown absent": (_COLOURS[1], "D"),
    "shown the other way": (_COLOURS[3], "v"),
    "undecided": (_COLOURS[7], "s"),
    "too few": ("0.3", "x"),
}


def answer(found, margins, path):
    """A claim at a glance, as an SVG file: a mark with its interval for each data set, the placebo in grey below it.

    found : DataFrame, the findings of one claim (`claims.ledger`); margins : tuple, drawn dotted; path : of the file
    """
    with plt.rc_context({"svg.hashsalt": "answer", "figure.constrained_layout.use": True}):  # the same bytes each time
        figure, ax = plt.subplots(figsize=(2.1, 0.32 + 0.13 * len(found)))
        for y, row in enumerate(found.itertuples()):
            colour, marker = OUTCOMES[row.outcome]
            ax.scatter(row.placebo, y + 0.3, color="0.65", marker="|", s=14)
            ax.hlines(y, row.low, row.high, color=colour, linewidth=1)
            ax.scatter(row.effect, y, color=colour, marker=marker, s=9, zorder=3)
        for margin in margins:
            ax.axvline(margin, color="black", linestyle=":", linewidth=0.7)
        ax.set(yticks=[], ylim=(len(found) - 0.3, -0.7))
        ax.tick_params(axis="x", labelsize=6, length=2, pad=1)
        ax.locator_params(axis="x", nbins=4)
        ax.grid(False)
        sns.despine(ax=ax, left=True)
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def specification_curve(found, axes, title, unit):
    """Effects of all specifications in order of size, and below which choices make up each (Simonsohn et al. 2020).

    Parameters
    ----------
    found : DataFrame, as `sweeps.specifications` returns
    axes : list of str, the choices to show
    title, unit : str, of the effect

    Returns
    -------
    (figure, (upper, lower)) : the curve with its intervals, and the choices
    """
    levels = [(axis, level) for axis in axes for level in found[axis].unique()]
    found = found.sort_values("effect", ignore_index=True)
    heights = dict(height_ratios=[3, 0.22 * len(levels)])
    figure, (upper, lower) = plt.subplots(2, 1, sharex=True, figsize=(9, 3.5 + 0.24 * len(levels)), gridspec_kw=heights)
    for outcome, (colour, marker) in OUTCOMES.items():
        part = found[found.outcome == outcome]
        if part.empty:
            continue
        upper.vlines(part.index, part.low, part.high, color=colour, alpha=0.4, lw=2)
        upper.scatter(part.index, part.effect, color=colour, marker=marker, s=20, label=f"{outcome} ({len(part)})")
        for row, (axis, level) in enumerate(levels):
            at = part.index[part[axis] == level]
            lower.scatter(at, np.full(len(at), row), color=colour, marker="|", s=40)
    upper.axhline(0, color="black", ls=":", lw=1)
    upper.legend(fontsize="small")
    label(upper, title, "", unit)
    lower.set_yticks(range(len(levels)), [f"{axis}: {level}" for axis, level in levels], fontsize="small")
    lower.invert_yaxis()
    label(lower, "the choices behind each", "specification, by its effect", "")
    return figure, (upper, lower)
