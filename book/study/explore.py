"""The figure of the page "Explore": a reader chooses, and mask, effect and outcome follow, by Vega-Altair.

Nothing is loaded from outside: `script` is what book/build/stage.py writes beside the pages, from Altair's own package.
"""

import json

import pandas as pd

from legc_utils import datasets, protocols, training
from study import choices, claims, plots

SCRIPT = "vega/vega.js"  # below _static
LABELS = {
    "dataset": "Data set", "protocol": "Protocol", "window": "Window (iterates)", "overlap": "Overlap (share)",
    "alpha": "Level of the test", "lags": "Lag", "rule": "Weights to prune",
}  # fmt: skip
WORDS = {"resplit": "published, other splits", "noncausal": "noncausal ones", "causal": "causal ones"}  # fmt: skip
START = dict(dataset="cancer", protocol="resplit", window=200, overlap=0.0, alpha=0.05,
             lags="smallest p of all lags", rule="noncausal")  # fmt: skip
_SHOWN = (
    "kept",
    "accuracy",
    "random",
    "dense",
    *(f"{p}{e}" for p in ("", "placebo_") for e in ("effect", "low", "high")),
)

_PAGE = """
<div id="chooser"></div>
<p id="chooser-says" role="status"></p>
<noscript>To choose takes JavaScript; the figure below shows all choices at once.</noscript>
<script type="text/csv" id="chooser-table">{table}</script>
<script src="_static/{script}"></script>
<script>
(() => {{
  const spec = {spec}, names = {names}, words = {words};
  const text = document.getElementById("chooser-table").textContent.trim();
  const [head, ...lines] = text.split("\\n").map(line => line.split(","));
  const value = (name, cell) => words.includes(name) ? cell : +cell;
  const rows = lines.map(line => Object.fromEntries(head.map((name, k) => [name, value(name, line[k])])));
  const share = value => (100 * value).toFixed(1), points = value => (100 * value).toFixed(2).replace("-", "−");
  spec.datasets = {{table: rows}};
  vegaEmbed("#chooser", spec, {{renderer: "svg", actions: false}}).then(({{view}}) => {{
    const says = document.getElementById("chooser-says");
    const say = () => {{
      const r = rows.find(row => names.every(name => row[name] === view.signal("pick_" + name)));
      says.textContent = `Accuracy at the stop ${{share(r.accuracy)}} %, of random masks of the same size ` +
        `${{share(r.random)}} %, dense ${{share(r.dense)}} %; ${{share(r.kept)}} % of the weights kept. ` +
        `LEGC minus random ${{points(r.effect)}} points (${{points(r.low)}} to ${{points(r.high)}}): ${{r.outcome}}; ` +
        `placebo ${{points(r.placebo_effect)}} (${{points(r.placebo_low)}} to ${{points(r.placebo_high)}}).`;
    }};
    names.forEach(name => view.addSignalListener("pick_" + name, say));
    say();
  }});
}})();
</script>
"""


def script():
    """Vega, Vega-Lite and vega-embed as one script, which leaves its names to no one else: str."""
    import vl_convert

    return f"(() => {{{vl_convert.javascript_bundle()}}})();\n"


def layers():
    """Data set -> (inputs, hidden, outputs) of the network behind a mask."""
    of = lambda name: training.layer_sizes(datasets.load(name), protocols.get("published", name).hidden)
    return {name: of(name) for name in choices.DATASETS}


def chart(table, sizes):
    """The figure, an altair Chart of the data `table`; its parameters are pick_<choice>."""
    import altair as alt

    picks = []
    for name in choices.CHOICES:
        levels = list(dict.fromkeys(table[name]))
        bind = alt.binding_select(options=levels, labels=[WORDS.get(v, str(v)) for v in levels], name=LABELS[name])
        picks.append(alt.param(name=f"pick_{name}", value=START[name], bind=bind))
    same = " && ".join(f"datum.{name} === pick_{name}" for name in choices.CHOICES)
    base = alt.Chart(alt.NamedData("table"))

    inside = f"datum.k < {json.dumps({n: a * b for n, (a, b, _) in sizes.items()})}[datum.dataset]"
    of = lambda place: f"{json.dumps({n: layer[place] for n, layer in sizes.items()})}[datum.dataset]"
    weights = (
        base.transform_filter(same)
        .transform_calculate(bit="split(datum.mask, '')", k="sequence(0, length(datum.mask))")
        .transform_flatten(["bit", "k"])
    )
    colour = alt.Color("state:N", title=None, legend=alt.Legend(orient="bottom")).scale(
        domain=["kept", "pruned"], range=[_hex(plots.MODELS["FT"]), "#bdbdbd"]
    )
    panels = []
    for title, which, first, width, x, y in (
        ("W1: inputs to hidden", inside, "0", of(1), "hidden unit", "input"),
        ("W2: hidden to outputs", f"!({inside})", f"{of(0)} * {of(1)}", of(2), "output", "hidden unit"),
    ):
        at = f"(datum.k - {first})"
        panel = weights.transform_filter(which).transform_calculate(
            state="datum.bit === '1' ? 'kept' : 'pruned'",
            column=f"{at} % {width} + 1",
            row=f"floor({at} / {width}) + 1",
        )
        marks = panel.mark_rect(stroke="white").encode(
            alt.X("column:O", title=x, axis=alt.Axis(labelAngle=0)), alt.Y("row:O", title=y), colour,
            tooltip=[alt.Tooltip("state:N"), alt.Tooltip("k:Q", title="weight")],
        )  # fmt: skip
        panels.append(marks.properties(title=title, width=alt.Step(16), height=alt.Step(16)))

    ranked = base.transform_filter("datum.dataset === pick_dataset").transform_window(
        rank="row_number()", sort=[alt.SortField("effect")]
    ).transform_calculate(
        points="100 * datum.effect", least="100 * datum.low", most="100 * datum.high",
        chance="100 * datum.placebo_effect",
        chance_low="100 * datum.placebo_low", chance_high="100 * datum.placebo_high",
        beside="datum.rank + 8",
    )  # fmt: skip
    x = alt.X("rank:Q", title="all choices on this data set, by their effect")
    y = alt.Y("points:Q", title="accuracy, LEGC − random masks (points)", scale=alt.Scale(zero=False))
    outcome = alt.Color("outcome:N", title="outcome", legend=alt.Legend(orient="bottom", columns=2)).scale(
        domain=list(claims.OUTCOMES[:4]), range=[_hex(plots.OUTCOMES[o][0]) for o in claims.OUTCOMES[:4]]
    )
    cloud = ranked.mark_point(size=8, filled=True, opacity=0.35).encode(x, y, outcome)
    mine = ranked.transform_filter(same)
    bar = mine.mark_rule(strokeWidth=3).encode(x, alt.Y("least:Q"), alt.Y2("most:Q"), outcome)
    dot = mine.mark_point(size=140, filled=True, opacity=1).encode(x, y, outcome)
    grey = mine.mark_rule(strokeWidth=3, color="#8c8c8c").encode(
        alt.X("beside:Q"), alt.Y("chance_low:Q"), alt.Y2("chance_high:Q")
    )
    placebo = mine.mark_point(size=90, shape="diamond", filled=True, opacity=1, color="#8c8c8c").encode(
        alt.X("beside:Q"), alt.Y("chance:Q")
    )
    line = alt.Chart(alt.InlineData([{}])).mark_rule(strokeDash=[2, 3], color="#8c8c8c", aria=False)
    zero = line.encode(y=alt.datum(0))
    effect = alt.layer(zero, cloud, grey, placebo, bar, dot).properties(
        title="Your choice among all, placebo in grey", width=560, height=220
    )
    both = alt.vconcat(alt.hconcat(*panels), effect).resolve_scale(color="independent")
    return both.add_params(*picks).configure(background="transparent").configure_view(stroke=None)


def _hex(colour):
    import matplotlib.colors

    return matplotlib.colors.to_hex(colour)


def page(table):
    """The figure with its choices and, in a sentence that is read aloud, its numbers: HTML for a page of the book.

    table : DataFrame, as `choices.summary` makes it
    """
    shown = table[[*choices.CHOICES, *_SHOWN, "outcome", "mask"]]
    words = [name for name in shown if not pd.api.types.is_numeric_dtype(shown[name])]
    return _PAGE.format(
        table=shown.to_csv(index=False, float_format="%.4g"), script=SCRIPT, names=json.dumps(choices.CHOICES),
        spec=chart(table, layers()).to_json(indent=None), words=json.dumps(words),
    )  # fmt: skip
