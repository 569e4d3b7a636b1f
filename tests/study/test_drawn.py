"""The table of a figure's marks, against what was given to matplotlib and seaborn."""

import io

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
import seaborn as sns
from IPython.core.interactiveshell import InteractiveShell

from study import drawn, plots


@pytest.fixture
def panels():
    """A function that makes a figure with axes side by side; it is closed in the end."""
    made = []

    def figure(n=1):
        made.append(plots.panels(n))
        return made[-1]

    yield figure
    for figure, _ in made:
        plt.close(figure)


def test_lines_and_points_have_their_numbers_and_names(panels):
    figure, (left, right) = panels(2)
    left.plot([0, 1, 2], [3.0, np.nan, 5.0], label="exponents")
    left.axhline(0.5)
    left.set_title("one\nweight")
    right.scatter([1, 2], [8, 9], c=[0.25, 0.75])
    found = drawn.table(figure)
    assert list(found.columns) == drawn.COLUMNS and list(found.panel.unique()) == ["one weight", "2"]
    line = found[found.series == "exponents"]
    np.testing.assert_array_equal(line[["x", "y"]], [[0, 3], [1, np.nan], [2, 5]])
    level = found[(found.panel == "one weight") & (found.item == 2)]
    assert level.x.isna().all() and set(level.y) == {0.5}
    points = found[found.mark == "points"]
    np.testing.assert_array_equal(points[["x", "y", "value"]], [[1, 8, 0.25], [2, 9, 0.75]])


def test_bars_areas_segments_and_texts(panels):
    figure, (ax,) = panels()
    ax.bar(["FT", "PT"], [2.0, 3.0], label="pruned")
    ax.vlines([7, 8], [0, 1], [5, 6])
    ax.fill_between([0, 1], [0, 0], [1, 2], label="band")
    ax.text(0.5, 1.5, "best")
    ax.text(0.5, 0.9, "corner", transform=ax.transAxes)
    found = drawn.table(figure)
    bars = found[found.mark == "bar"]
    assert list(bars.y) == [0, 2, 0, 3] and set(bars.series) == {"pruned"} and list(bars.item.unique()) == [4, 5]
    segments = found[found.mark == "line"]
    np.testing.assert_array_equal(segments[["x", "y"]], [[7, 0], [7, 5], [8, 1], [8, 6]])
    assert {(0.0, 1.0), (1.0, 2.0)} <= set(found[found.series == "band"][["x", "y"]].itertuples(index=False, name=None))
    best, corner = found[found.mark == "text"].itertuples()
    assert (best.series, best.x, best.y) == ("best", 0.5, 1.5) and np.isnan([corner.x, corner.y]).all()


def test_an_axis_of_names_gives_them(panels):
    figure, (ax,) = panels()
    values = pd.Series([0.1, 0.2, 0.3])
    plots.dots(ax, values, pd.Series(["LEGC", "random", "LEGC"]), ["random", "LEGC"])
    points = drawn.table(figure).query("mark == 'points'")
    assert list(points.y_name[:3]) == ["LEGC", "random", "LEGC"] and set(points.x_name) == {""}


def test_heat_maps_have_a_row_a_cell_and_no_colour_bar(panels):
    values = np.arange(6.0).reshape(2, 3)
    for origin in ("upper", "lower"):
        figure, (ax,) = panels()
        plots.heat_map(ax, values, "p-values", "window", "weight", "p", origin=origin)
        found = drawn.table(figure)
        assert set(found.panel) == {"p-values"}
        np.testing.assert_array_equal(found.pivot_table(index="y", columns="x", values="value"), values)
    figure, (ax,) = panels()
    sns.heatmap(pd.DataFrame(values), ax=ax)
    found = drawn.table(figure).query("mark == 'image'")
    np.testing.assert_array_equal(found.pivot_table(index="y", columns="x", values="value"), values)


def test_what_seaborn_names_in_the_legend_only_has_that_name(panels):
    figure, (ax,) = panels()
    rows = pd.DataFrame({"x": [0, 1, 0, 1], "y": [1.0, 2, 3, 4], "method": ["FT", "FT", "PT", "PT"]})
    sns.lineplot(rows, x="x", y="y", hue="method", ax=ax)
    found = drawn.table(figure).query("mark == 'line'")
    assert list(found[found.series == "PT"].y) == [3, 4] and set(found.series) == {"FT", "PT"}
    figure, (ax,) = panels()
    ax.errorbar([1, 2], [3, 4], yerr=1, label="mean")
    assert set(drawn.table(figure).series) == {"mean"}


def test_what_is_hidden_is_not_there(panels):
    figure, (ax,) = panels()
    ax.plot([1, 2], visible=False)
    assert drawn.table(figure).empty and list(drawn.table(figure).columns) == drawn.COLUMNS


def test_the_extension_adds_the_rows_to_a_figures_metadata_alone(panels):
    shell = InteractiveShell()
    shell.extension_manager.load_extension("study.drawn")
    figure, (ax,) = panels()
    ax.plot([1, 2], [3, 4.123456789])
    data, about = shell.display_formatter.format(figure)
    assert "text/plain" in data and drawn.ROWS not in data
    assert pd.read_csv(io.StringIO(about[drawn.ROWS])).y.tolist() == [3, 4.12346]
    assert shell.display_formatter.format("a text")[1] == {}
    output = nbformat.v4.new_output("display_data", data, metadata=about)
    nbformat.validate(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[output])]))
