"""The first page of each chapter: its question, and what came out on all data sets, or networks, side by side.

Its figure has a panel and its table a row for every claim of the chapter or, where a chapter decides none, for every
field of the protocol that it changes. All numbers come from saved evidence and results. In between they are *cells*,
a DataFrame with a row for each claim and data set: says and unit (what is asked, what is measured), heading (of the
data set's own page; "" for none), dataset, each (list, one number a seed), effect (their mean), low, high, margins
(tuple), outcome (None where nothing is judged), placebo (mean, NaN for none), sign (what the table shows).
"""

import io
import textwrap
from collections import Counter
from pathlib import Path

import figures
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from study import claims, drawn, plots, results
from study.parameters import NETWORKS

SWITCHES = "09_switches"
WIDTHS = {1: 5.0, 2: 7.0, 3: 8.7}  # inches of a figure with so many columns of panels
PIXELS = 90  # of a page to show an inch of figure: three columns fill the page's own


def judge(table, names):
    """What all chapters are judged by, for `from_claims` and `first_page`: the ledger over splits.

    table : DataFrame, as `evidence.load` returns; names : sequence of str, all data sets and networks of the book

    Returns the numbers (as `claims.measured`) and the findings (DataFrame, as `claims.ledger`).
    """
    names = claims.counted(names)
    return claims.measured(table, names), claims.ledger(table, names, stability=False)[1]


def from_claims(notebook, judged, shown):
    """The cells of the claims that a notebook saves evidence for.

    judged : as `judge` returns; shown : the data sets or networks to show
    """
    (numbers, found), cells = judged, []
    for row in found.itertuples():
        claim = claims.get(row.key)
        if claim.notebook != notebook or row.dataset not in shown:
            continue
        cells.append({
            "says": claim.says, "unit": claim.tested, "heading": claim.chapter.partition("#")[2],
            "dataset": row.dataset, "each": claims.means(numbers[row.key, row.dataset]["effect"]), "effect": row.effect,
            "low": row.low, "high": row.high, "margins": claim.margins, "outcome": row.outcome, "placebo": row.placebo,
            "sign": claims.SIGNS[row.outcome],
        })  # fmt: skip
    return pd.DataFrame(cells)


def from_switches(saved):
    """The cells of the fields that 09_switches changes: what each does to the share that FT prunes, by seed.

    saved : DataFrame, the rows of that notebook on all data sets to show
    """
    pruned = saved.assign(field=saved.field.str.partition(":")[0])  # the values behind it differ between data sets
    pruned = pruned.set_index(["dataset", "seed", "field"]).pruned_percent
    change = (pruned - pruned.xs("as it is", level="field")).drop("as it is", level="field")
    cells = []
    for (field, name), each in change.groupby(["field", "dataset"], sort=False):
        effect, low, high = results.interval(each)
        cells.append({
            "says": field, "unit": "weights pruned, changed − as it is (points)", "heading": "one-field-at-a-time",
            "dataset": name, "each": each.to_numpy(), "effect": effect, "low": low, "high": high, "margins": (0.0,),
            "outcome": None, "placebo": np.nan, "sign": "0" if effect == 0 else f"{effect:+.1f}".replace("-", "−"),
        })  # fmt: skip
    return pd.DataFrame(cells)


def draw(cells, titles):
    """A panel for each claim, with a row for each of `titles` (dict by name), the first on top.

    Returns (PNG, CSV of its marks, inches wide).
    """
    plots.use_style()
    panels = list(cells.groupby("says", sort=False))
    n_columns = min(3, len(panels))
    n_rows, width = -(-len(panels) // n_columns), WIDTHS[n_columns]
    size = (width, n_rows * (1.3 + 0.22 * len(titles)) + 0.4)
    figure, axes = plots.grid(n_rows, n_columns, figsize=size, sharey=True)
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    wrapped = lambda text: textwrap.fill(text, int(13 * width / n_columns))
    shown = {}
    for ax, (says, part) in zip(axes.flat, panels):
        at = part.dataset.map(list(titles).index)
        for y, row in zip(at, part.itertuples()):
            ax.scatter(row.each, np.full(len(row.each), y), s=14, color="0.35", alpha=0.5, linewidth=0, zorder=2.5)
            ax.vlines(row.margins, y - 0.5, y + 0.5, color="black", linestyle=":", linewidth=1)
            colour, marker = plots.OUTCOMES.get(row.outcome, (plots.MODELS["FT"], "o"))
            if not np.isnan(row.placebo):
                shown["placebo"] = ax.scatter(row.placebo, y, s=40, color="0.6", marker="|", zorder=2.8)
            shown[row.outcome or "mean"] = ax.scatter(row.effect, y, s=36, color=colour, marker=marker, zorder=3)
        ax.autoscale(False)  # an interval from two splits would dwarf all else
        ax.hlines(at, part.low, part.high, color="0.5", linewidth=1.2)
        plots.label(ax, wrapped(says), wrapped(part.unit.iloc[0]), "")
        ax.title.set(size=9, weight="normal")
        ax.xaxis.label.set(size=8.5)
        ax.set_yticks(range(len(titles)), titles.values())
        ax.set_ylim(len(titles) - 0.5, -0.5)
        ax.tick_params(labelsize=8.5)
        ax.locator_params(axis="x", nbins=4)
        ax.grid(False, axis="y")  # not to be taken for intervals
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    figure.legend(shown.values(), shown, loc="outside lower center", ncols=len(shown), fontsize=9, frameon=False)
    png = io.BytesIO()
    figure.savefig(png, dpi=180)
    rows = drawn.csv(figure)
    plt.close(figure)
    return png.getvalue(), rows.encode(), width


def count(n, noun):
    """The number with its noun: "1 claim", "4 data sets"."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def what_fields_do(cells, titles, kind):
    """What switching fields comes to, in sentences."""
    most = cells.loc[cells.effect.abs().idxmax()]
    idle = cells.groupby("says").effect.agg(lambda effects: (effects == 0).all())
    return (
        f"Of {count(len(idle), 'field')}, each changed by itself, {idle.sum()} left the mean share of weights pruned "
        f"as it was on all of {count(len(titles), kind)}. The largest mean change was that of `{most.says}` on "
        f"{titles[most.dataset]}, {most.sign} points. A few seeds show large effects and no small ones."
    )


def what_claims_come_to(cells, titles, kind):
    """What the tests of claims come to, in sentences that say no more than was decided."""
    n, on = Counter(cells.outcome), count(len(titles), kind)
    text = (
        f"Of {count(len(cells), 'test')} ({count(cells.says.nunique(), 'claim')}, {on}) {n['shown']} showed the claim, "
        f"{n['shown absent']} showed that nothing larger than the smallest effect of interest is there, "
        f"{n['shown the other way']} the opposite, and {n['undecided']} left it undecided"
    )
    text += f"; {n['too few']} had too few splits to decide anything." if n["too few"] else "."
    if n["undecided"]:
        text += " Undecided is not refuted: the interval holds what would show the claim and what would not."
    return text


def table(cells, titles):
    """The signs of all claims on all data sets, as a Markdown table that leads to the data sets' own pages."""
    rows = [["", *(f"[{title}]({name}.ipynb)" for name, title in titles.items())], ["---", *[":-:"] * len(titles)]]
    for says, part in cells.groupby("says", sort=False):
        anchor = part.heading.iloc[0] and f"#{part.heading.iloc[0]}"
        sign = dict(zip(part.dataset, part.sign))
        rows.append([says, *(f"[{sign[name]}]({name}.ipynb{anchor})" if name in sign else "·" for name in titles)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def links(notebook, titles, out_dir):
    """What stands below the figure of a first page, as `figures.line` takes it: its marks, and the rows behind them."""
    folder = notebook if notebook == SWITCHES else f"evidence/{notebook}"
    rows = {}
    for name, title in titles.items():
        made = [p for p in (claims.MAIN, "published") if Path(out_dir, folder, f"{name}-{p}.csv").exists()]
        if made:
            rows[f"rows on {title}"] = f"_static/results/{folder}/{name}-{made[0]}.csv"
    at = f"_static/{figures.FIGURES}/{notebook}/{notebook}"
    code = {"code": "_static/code/chapters.py", "provenance": f"{at}.json"}
    return {"what is drawn": f"{at}.csv"} | rows | code


def first_page(notebook, opening, titles, judged, out_dir):
    """The first page of a chapter and its figure.

    Parameters
    ----------
    notebook : str, such as "01_sdic"
    opening : str
        The Markdown that the notebook opens with: title, question, method.
    titles : dict of str to str
        The data sets or networks that have a page in this chapter, in order, and what they are called.
    judged : as `judge` returns
    out_dir : path of the results

    Returns
    -------
    dict of file name to bytes: index.md, the figure's PNG, its marks (CSV) and their provenance (JSON); only the first
    if there is nothing to show.
    """
    kind = "network" if set(titles) <= set(NETWORKS) else "data set"
    if notebook == SWITCHES:
        saved = results.load(notebook, protocol="published", out_dir=out_dir)
        cells, what, says = from_switches(saved[saved.dataset.isin(titles)]), "field", what_fields_do
        each = "seed"
        dotted, key = "no change", "Mean changes in points, · not changed there"
        more = "[](../audit.ipynb) says what each field stands for."
    else:
        cells, what, each = from_claims(notebook, judged, titles), "claim", "split (or, where there is but one, a seed)"
        says, dotted = what_claims_come_to, "the margins that decide"
        key = f"Signs: {', '.join(f'{sign} {outcome}' for outcome, sign in claims.SIGNS.items())}, · not tested there"
        more = "[](../claims.ipynb) says how they are decided, and gives every effect in numbers."
    if cells.empty:
        return {"index.md": opening.encode()}
    placebo = "; a grey bar is the placebo's mean" if cells.placebo.notna().any() else ""
    png, rows, width = draw(cells, titles)
    n = count(cells.says.nunique(), "panel")
    page = f"""{opening}

## On all {kind}s

{says(cells, titles, kind)}

```{{figure}} {notebook}.png
:alt: {n}, one a {what}, with a row for each of {", ".join(titles.values())}; the table below says what came out.
:width: {PIXELS * width:.0f}px

Each {what} on each {kind}: a grey dot a {each}, the larger mark their mean, the line its interval, cut off
where it leaves the panel{placebo}. Dotted: {dotted}.

{figures.line(f"{notebook}/index", links(notebook, titles, out_dir))}
```

{table(cells, titles)}

{key}. Each leads to the {kind}'s own page, with the experiment, its code, and what could be wrong with it. {more}
"""
    sources = figures.of_results(notebook, out_dir, titles)
    seconds = sum(source["seconds"] for source in sources.values())
    origin = figures.provenance(f"{notebook}/index", results.git_commit(), {"names": list(titles)}, seconds, sources)
    return {"index.md": page.encode(), f"{notebook}.png": png, f"{notebook}.csv": rows, f"{notebook}.json": origin}
