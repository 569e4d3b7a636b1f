"""The check in every notebook's second cell: what it takes, what it refuses, and what it says then."""

from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from legc_utils import protocols
from study import parameters, portable, sparsity

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


def test_what_ipython_and_imports_define_is_no_parameter(monkeypatch):
    shell = InteractiveShell()
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    assert {"In", "Out", "exit", "get_ipython", "open"} <= set(shell.user_ns)
    parameters.check(shell.user_ns | GIVEN | {"np": pytest}, ALLOWED)
    with pytest.raises(ValueError, match="parameter mine=1 does not exist here; allowed: dataset, protocol"):
        parameters.check(shell.user_ns | GIVEN | {"mine": 1}, ALLOWED)


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


def test_splits_are_for_protocols_that_draw_them():
    several = {"splits": [0, 1]}
    assert parameters.choose(GIVEN | several | {"protocol": "resplit"}).resplit
    assert not parameters.choose(GIVEN | {"splits": [7]}).resplit
    with pytest.raises(
        ValueError, match=r"splits=\[0, 1\] is not allowed; give a list of one number under protocol='publ"
    ):
        parameters.choose(GIVEN | several)


@pytest.mark.parametrize("value", [[], [0.0], [1.0], [0.9, 0.5], [0.5, 0.5], 0.5, ["x"]])
def test_sparsities_are_rising_shares(value):
    with pytest.raises(ValueError, match="sparsities=.*rising list of shares"):
        parameters.choose(GIVEN | {"sparsities": value})


def test_what_keeps_numbers_from_being_portable_is_said(monkeypatch, capsys):
    monkeypatch.setattr(portable, "settle", lambda: "This processor differs.")
    parameters.check(dict(GIVEN), ALLOWED)
    assert capsys.readouterr().out == "This processor differs.\n"


@pytest.mark.parametrize("network", parameters.NETWORKS)
def test_a_network_learns_its_own_data_set_unless_another_is_given(network):
    own, *others = parameters.NETWORKS[network].datasets
    for given, chosen in ((None, own), *((name, name) for name in (own, *others))):
        asked = GIVEN | {"network": network, "dataset": given}
        assert parameters.check(asked, f"network {ALLOWED}") == protocols.get("published", chosen)


@pytest.mark.parametrize(
    ("network", "dataset"), [("resnet", "pydoc"), ("densenet", "iris"), ("transformer", "mnist5k")]
)
def test_data_that_a_network_cannot_learn_are_refused_with_those_that_it_can(network, dataset):
    wanted = ", ".join(parameters.NETWORKS[network].datasets)
    said = f"dataset='{dataset}' is not allowed; give one of {wanted}, which network='{network}' can learn"
    with pytest.raises(ValueError, match=said):
        parameters.choose(GIVEN | {"network": network, "dataset": dataset})


@pytest.mark.parametrize("value", ["lenet", None, ["resnet"]])
def test_unknown_networks_are_refused_with_the_names(value):
    with pytest.raises(ValueError, match="network=.* is not allowed; give one of resnet, densenet, transformer"):
        parameters.choose(GIVEN | {"network": value})


def test_without_a_network_the_data_set_has_to_be_named():
    with pytest.raises(ValueError, match="dataset=None is not allowed; give one of cancer.*digits$"):
        parameters.choose(GIVEN | {"dataset": None})


def test_every_network_has_its_case():
    assert list(parameters.NETWORKS) == list(sparsity.CASES)
