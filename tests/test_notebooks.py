"""The paired notebooks: in sync, stored without traces of a run, and strict about their parameters."""

from pathlib import Path

import jupytext
import matplotlib
import nbformat
import papermill
import pytest
from papermill import iorw, parameterize

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "notebooks").glob("*.py"))
NAMES = [p.stem for p in SOURCES]


def cells(path):
    return [(c.cell_type, c.source, sorted(c.metadata.get("tags", []))) for c in jupytext.read(path).cells]


def test_the_six_notebooks_are_there():
    expected = ["01_sdic", "02_windowed_le", "03_granger_pruning", "04_ft_vs_pt", "05_baselines", "06_diagnostics"]
    assert NAMES[:6] == expected


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_a_pair_says_the_same(source):
    assert cells(source) == cells(source.with_suffix(".ipynb"))


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_stored_outputs_are_complete_and_quiet(source):
    notebook = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    code = [c for c in notebook.cells if c.cell_type == "code"]
    outputs = [o for c in code for o in c.outputs]
    assert any("text/html" in o.get("data", {}) for o in outputs), "no table that nbval could compare"
    assert any("image/png" in o.get("data", {}) for o in outputs), "no figure"
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert not [c for c in notebook.cells if {"execution", "papermill"} & set(c.metadata)], "time stamps"
    assert not any("widget" in mime for o in outputs for mime in o.get("data", {})), "progress bars"


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_every_figure_has_a_caption_and_alternative_text(source):
    for cell in nbformat.read(source.with_suffix(".ipynb"), as_version=4).cells:
        if cell.cell_type == "code" and any("image/png" in o.get("data", {}) for o in cell.outputs):
            options = cell.metadata["mystnb"]
            assert options["figure"]["caption"] and options["figure"]["name"] and options["image"]["alt"]


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_cells_are_short(source):
    lengths = [len(c.source.splitlines()) for c in jupytext.read(source).cells if c.cell_type == "code"]
    assert max(lengths) <= 20


WRONG = [
    ("dataset", "irsi", ["irsi", "iris", "banknote"]),
    ("window", 1, ["window=1", "at least 5"]),
    ("overlap", 1.0, ["overlap=1.0", "not including, 1"]),
    ("seeds", [], ["seeds=[]", "at least one"]),
    ("seeds", "[0, 0]", ["seeds=[0, 0]", "each once"]),
    ("protocol", "x", ["protocol='x'", "published, resplit, corrected"]),
    ("dataste", "iris", ["dataste='iris'", "allowed: dataset"]),
]


@pytest.mark.parametrize(("name", "value", "said"), WRONG, ids=[f"{n}={v}" for n, v, _ in WRONG])
def test_wrong_parameters_stop_in_the_validation_cell(name, value, said):
    assert_stops_at_cell(3, "02_windowed_le", {name: value}, said)


@pytest.mark.parametrize(("given", "said"), [
    ({"network": "lenet"}, ["network='lenet'", "resnet, densenet, transformer"]),
    ({"dataset": "pydoc"}, ["dataset='pydoc'", "mnist5k, mnist", "network='resnet'"]),
    ({"network": "transformer", "dataset": "mnist5k"}, ["dataset='mnist5k'", "pydoc", "network='transformer'"]),
])  # fmt: skip
def test_a_network_and_data_that_do_not_fit_stop_there_too(given, said):
    assert_stops_at_cell(3, "13_networks", given, said)


def test_papermill_stops_there_and_leaves_no_result(tmp_path):
    out = tmp_path / "out.ipynb"
    with pytest.raises(papermill.PapermillExecutionError, match="ValueError: dataset='irsi'"):
        papermill.execute_notebook(
            ROOT / "notebooks/02_windowed_le.ipynb", out, {"dataset": "irsi"}, cwd=tmp_path, progress_bar=False
        )
    ran = [c for c in nbformat.read(out, as_version=4).cells if c.cell_type == "code" and c.get("execution_count")]
    assert len(ran) == 3, "parameters, injected parameters, validation"
    assert not list(tmp_path.rglob("*.csv"))


def assert_stops_at_cell(number, name, given, said):
    """A notebook that papermill gives parameters raises ValueError in a code cell, with every part of `said`.

    The cells run in this process: a kernel would take some seconds to start.
    """
    notebook = iorw.load_notebook_node(str(ROOT / f"notebooks/{name}.ipynb"))
    ready = parameterize.parameterize_notebook(notebook, given)
    *before, last = [c.source for c in ready.cells if c.cell_type == "code"][:number]
    with matplotlib.rc_context():
        space = {}
        for source in before:
            exec(source, space)
        with pytest.raises(ValueError) as error:
            exec(last, space)
    assert all(part in str(error.value) for part in said)


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_papermill_knows_every_parameter_by_type_and_meaning(source):
    found = papermill.inspect_notebook(source.with_suffix(".ipynb"))
    assert {"dataset", "protocol", "seeds", "out_dir"} <= set(found)
    for name, parameter in found.items():
        assert parameter["inferred_type_name"] in ("str", "int", "float", "list"), name
        assert len(parameter["help"].split()) >= 3 or name == "dataset", name


@pytest.mark.parametrize("source", SOURCES, ids=NAMES)
def test_a_folder_that_cannot_be_written_to_stops_before_any_work(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    Path("results").write_text("in the way")
    said = ["out_dir='results/mine' cannot be written to"]
    assert_stops_at_cell(3, source.stem, {"out_dir": "results/mine"}, said)


@pytest.mark.parametrize(("cell", "name", "value", "said"), [
    (4, "window", 10**6, ["window=1000000", "longer than"]),
    (4, "max_lag", 60, ["max_lag=60", "up to"]),
    (3, "alpha", 2, ["alpha=2", "between 0 and 1"]),
    (3, "rule", "both", ["rule='both'", "noncausal, causal"]),
])  # fmt: skip
def test_choices_that_cannot_work_stop_before_training(tmp_path, monkeypatch, cell, name, value, said):
    monkeypatch.chdir(tmp_path)
    assert_stops_at_cell(cell, "04_ft_vs_pt", {name: value, "dataset": "iris"}, said)


def test_another_data_set_and_seeds_run_as_the_readme_says(tmp_path):
    """The README's command; papermill hands the list over as text."""
    papermill.execute_notebook(
        ROOT / "notebooks/04_ft_vs_pt.ipynb", tmp_path / "out.ipynb",
        {"dataset": "banknote", "seeds": "[0, 1]"}, cwd=tmp_path, progress_bar=False,
    )  # fmt: skip
    assert (tmp_path / "results/04_ft_vs_pt/banknote-published.csv").exists()
