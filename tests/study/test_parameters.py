"""A notebook's parameters: a protocol if they make sense, an error that says what is allowed if not."""

from pathlib import Path

import pytest

from legc_utils import protocols
from study import parameters

ALLOWED = "dataset protocol seeds out_dir window"
GIVEN = {"dataset": "iris", "protocol": "published", "seeds": [0, 1], "out_dir": "results", "window": None}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """`out_dir` is made where it is missing."""
    monkeypatch.chdir(tmp_path)


def test_parameters_become_a_protocol():
    assert parameters.check(dict(GIVEN), ALLOWED) == protocols.get("published", "iris")
    assert parameters.check(GIVEN | {"window": 80}, ALLOWED).window == 80


@pytest.mark.parametrize("folder", ["file", "file/inside", "/proc/results", "nul\0"])
def test_a_folder_that_cannot_be_written_to_is_refused(folder):
    Path("file").write_text("in the way")
    with pytest.raises(ValueError, match="out_dir=.*cannot be written to"):
        parameters.check(GIVEN | {"out_dir": folder}, ALLOWED)


def test_lists_given_as_text_are_read():
    given = GIVEN | {"seeds": "[2, 3]"}
    parameters.check(given, ALLOWED)
    assert given["seeds"] == [2, 3]


def test_what_jupyter_itself_defines_is_no_parameter():
    parameters.check(GIVEN | {"In": [], "_i1": "", "np": pytest, "get_ipython": print}, ALLOWED)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dataset", "irsi"), ("protocol", "x"), ("seeds", []), ("seeds", [0, 0]), ("seeds", [-1]), ("seeds", "x"),
        ("seeds", 3), ("window", 1), ("window", True), ("window", 20.5), ("out_dir", ""), ("dataste", "iris"),
    ],
)  # fmt: skip
def test_wrong_parameters_are_named_with_what_is_allowed(name, value):
    with pytest.raises(ValueError, match=name) as error:
        parameters.check(GIVEN | {name: value}, ALLOWED)
    assert repr(value) in str(error.value) and ("allowed" in str(error.value))
