"""No result is typed into prose, and the check that says so finds one if it is."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "book/build"))
import check_prose  # noqa: E402


def test_the_book_holds_no_typed_in_result(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert check_prose.problems() == []


@pytest.mark.parametrize(
    ("prose", "number"),
    [
        ("The dense network reaches 0.8832 on the test set.", "0.8832"),
        ("FT prunes 43 % of the weights.", "43"),
        ("It beats 5 % of the random masks.", "5"),
        ("Accuracy falls by $0.12$.", "0.12"),
        ("Accuracy is `0.93`.", "0.93"),
        ('The result is "0.93".', "0.93"),
        ("| cancer | 0.93 |", "0.93"),
        ("- **FT** needs 12 epochs less.", "12"),
        ("```{admonition} Result\nIt gains 2.5 points.\n```", "2.5"),
    ],
)
def test_a_typed_in_result_is_found(prose, number):
    assert [n for n, _ in check_prose.typed_numbers(prose)] == [number]


@pytest.mark.parametrize(
    "prose",
    [
        "As sections 2.2, 3.6 and 4 and Tables 1 to 3 say (chapter 2, Lemma 3.2).",
        "It is {glue:text}`gain:.2f` points (95 % interval {glue:text}`low:.2f` to {glue:text}`high:.2f`).",
        "With $0 < \\alpha < 1$ and `window=200`, see [here](02_windowed_le.ipynb) and {cite}`sahu2023`.",
        'The paper says that alpha "lies between 2.0 and 6.0 on every layer".',
        "A test at 5 % keeps its level of 5 %; macro F1 on MNIST-5k.",
        "```{math}\nx = 0.5\n```",
        "1. First\n2. Second",
    ],
)
def test_what_no_run_can_change_may_stay(prose):
    assert check_prose.typed_numbers(prose) == []


def test_the_build_stops_at_a_typed_in_result(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Page\n\nFT reaches 0.8832.\n")
    (line,) = check_prose.problems([page])
    assert str(page) in line and "0.8832" in line
    assert "check_prose.problems()" in (ROOT / "Snakefile").read_text()
