"""Every figure of the book leads to its marks, its rows, the cell that drew it, and its provenance."""

import base64
import io
import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import workflow

from study import drawn, results

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "book/build"))
import figures  # noqa: E402
import stage  # noqa: E402

PNG = base64.b64encode(b"a picture").decode()
MARKS = "panel,mark\n1,line\n"


def page(name="fig-x-iris", marks=MARKS, source="plots.draw()"):
    """An executed notebook with one figure."""
    about = {drawn.ROWS: marks} if marks else {}
    output = nbformat.v4.new_output("display_data", {"image/png": PNG}, metadata=about)
    look = {"mystnb": {"figure": {"caption": "What is seen.", "name": name}}}
    cells = [nbformat.v4.new_markdown_cell("# Title"),
             nbformat.v4.new_code_cell(source, outputs=[output], metadata=look)]  # fmt: skip
    of = {"parameters": {"names": ["iris"]}, "duration": 2.5, "git_commit": "c0ffee"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"papermill": of})


def test_a_figure_gets_links_its_cell_a_label_and_its_marks_a_file():
    notebook = page()
    rows = {"rows of this page": "_static/results/01_a/iris-published.csv"}
    files = figures.carry(notebook, "01_a/iris", rows, "_static/results/01_a/iris-published.json")
    assert files == {Path("assets/figures/01_a/iris/fig-x-iris.csv"): MARKS.encode()}
    _, label, cell = notebook.cells
    assert (label.source, cell.id) == ("(cell-fig-x-iris)=", "fig-x-iris")
    caption, links = cell.metadata.mystnb.figure.caption.split("\n\n")
    assert caption == "What is seen." and links == (
        'Data: <a href="../_static/figures/01_a/iris/fig-x-iris.csv">what is drawn</a>'
        ' · <a href="../_static/results/01_a/iris-published.csv">rows of this page</a>'
        ' · <a href="#cell-fig-x-iris">cell</a> · <a href="../_sources/01_a/iris.ipynb">notebook</a>'
        ' · <a href="../_static/results/01_a/iris-published.json">provenance</a>'
    )
    assert not cell.outputs[0].metadata  # the page itself need not carry them twice
    nbformat.validate(notebook)


def test_a_figure_without_marks_and_a_page_without_figures():
    notebook = page(marks=None)
    assert figures.carry(notebook, "verdict", {}, "p.json") == {}
    assert "what is drawn" not in notebook.cells[2].metadata.mystnb.figure.caption
    assert '<a href="p.json">' in notebook.cells[2].metadata.mystnb.figure.caption  # at the top: no way up
    plain = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Title")])
    assert figures.carry(plain, "x", {}, "p.json") == {} and len(plain.cells) == 1


@pytest.fixture
def saved(tmp_path):
    """A folder with results of a chapter on two data sets."""
    (tmp_path / "12_chance").mkdir()
    for name in ("iris-published", "iris-resplit", "wine-published"):
        (tmp_path / f"12_chance/{name}.csv").write_text("a\n1\n")
        (tmp_path / f"12_chance/{name}.json").write_text(json.dumps({"parameters": {"seeds": [0]}, "seconds": 1}))
    return tmp_path


def test_pages_know_where_their_rows_are_from(saved):
    rows, origin = figures.of_chapter("12_chance/iris", saved)
    assert rows == {"rows of this page": "_static/results/12_chance/iris-published.csv"}
    assert origin == "_static/results/12_chance/iris-published.json"
    assert list(figures.of_results("12_chance", saved, ["iris"])) == [
        "12_chance/iris-published", "12_chance/iris-resplit",
    ]  # fmt: skip
    notebook = page(source='results.load("12_chance", name, "published", out_dir)')
    origin = json.loads(figures.of_prose(notebook, "verdict", saved))
    assert (origin["git_commit"], origin["seconds"], origin["parameters"]) == ("c0ffee", 2.5, {"names": ["iris"]})
    assert len(origin["from"]) == 3 and origin["from"]["12_chance/wine-published"]["parameters"]["seeds"] == [0]


@pytest.mark.parametrize("kept", figures.KEPT)
def test_pages_of_kept_tables_say_how_these_were_made(saved, monkeypatch, kept):
    monkeypatch.chdir(ROOT)
    assert json.loads(figures.of_prose(page(), kept, saved))["from"][figures.KEPT[kept]]


def test_the_landing_page_shows_a_chapters_figure_with_its_data():
    chapter = page(stage.LANDING_FIGURE)
    figures.carry(chapter, stage.LANDING_PAGE, {"rows of this page": "_static/rows.csv"}, "_static/rows.json")
    source = f"Words.\n\n```{{figure}} {stage.LANDING}\n:name: fig-landing\n\nA caption.\n```\n\nMore."
    intro = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(source)])
    assert stage.landing(intro, chapter) == b"a picture"
    shown = intro.cells[0].source
    assert shown.startswith("Words.") and shown.endswith("provenance</a>\n```\n\nMore.")
    assert f'<a href="{stage.LANDING_PAGE}.html#cell-{stage.LANDING_FIGURE}">cell</a>' in shown
    assert '<a href="_static/rows.csv">rows of its page</a>' in shown and "../" not in shown
    assert stage.LANDING in (ROOT / "book/intro.md").read_text()


def test_a_page_says_how_to_compute_it_and_the_rows_that_verdicts_rest_on():
    where = {"url": "https://github.com/a/b", "branch": "main"}
    given = {"dataset": "iris", "protocol": "published", "out_dir": "book/executed/quick/results"}
    box = stage.rerun_box("01_sdic", "iris", given, where, [given | {"protocol": "resplit", "splits": [0, 1]}]).source
    first, second = (line for line in box.splitlines() if "papermill notebooks/01_sdic.ipynb" in line)
    assert '"protocol": "published"' in first and '"splits": [0, 1]' in second
    assert all('"out_dir": "results"' in line for line in (first, second)) and box.count("~~~") == 4
    alone = stage.rerun_box("02_windowed_le", "iris", given, where).source
    assert alone.count("~~~") == 2 and "verdicts" not in alone


def test_an_executed_page_keeps_what_its_figures_show_and_the_commit(tmp_path):
    source = "import matplotlib.pyplot as plt\nplt.plot([1, 2], [3, 4], label='le');"
    nbformat.write(workflow.chapter("x = 1", source), tmp_path / "x.ipynb")
    job = [sys.executable, "book/build/page_job.py", tmp_path / "x.ipynb", '{"x": 2}', tmp_path / "page.ipynb"]
    subprocess.run([*job, tmp_path / "log"], cwd=ROOT, check=True)
    executed = nbformat.read(tmp_path / "page.ipynb", as_version=4)
    outputs = executed.cells[-1].outputs
    about = next(output.metadata for output in outputs if "image/png" in output.get("data", {}))
    rows = pd.read_csv(io.StringIO(about[drawn.ROWS]))
    assert rows[["series", "x", "y"]].to_numpy().tolist() == [["le", 1, 3], ["le", 2, 4]]
    assert executed.metadata.papermill.git_commit == results.git_commit()
