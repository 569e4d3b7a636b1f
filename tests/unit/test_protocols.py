"""Protocols: the numbers of the paper, and no way to change them by accident."""

from dataclasses import FrozenInstanceError, fields

import pytest

from legc_utils import protocols

# Everything in which `corrected` may differ from `published`.
CORRECTED_FIELDS = {
    "name", "scaling", "stratify", "uci_iris", "accuracy", "min_tsep", "steps", "decimals", "target", "max_lag",
    "test", "lag_choice", "difference", "p_decimals", "correction",
}  # fmt: skip
PAPER = {  # hidden units, rate, recorded epochs, FT window, PT epochs (Table 2), benchmark accuracy
    "cancer": ((6,), 0.01, 50, 200, 12, 0.90),
    "titanic": ((8,), 0.1, 50, 250, 3, 0.74),
    "banknote": ((8,), 0.5, 50, 250, 2, 0.91),
    "iris": ((6,), 0.05, 200, 160, 20, 0.95),
    "iris3f": ((6,), 0.05, 200, 160, 20, 0.95),
    "vowel": ((4,), 0.5, 50, 200, 5, 0.80),
    "mnist": ((50, 30), 0.5, 50, 200, 5, 0.92),
}
NAMES = [f.name for f in fields(protocols.Protocol)]


def differences(a, b):
    return {name for name in NAMES if getattr(a, name) != getattr(b, name)}


@pytest.mark.parametrize("dataset", PAPER)
def test_published_holds_the_papers_numbers(dataset):
    p = protocols.get("published", dataset)
    found = (p.hidden, p.rate, p.recorded_epochs, p.window, p.partial_epochs, p.benchmark)
    assert found == PAPER[dataset]
    assert (p.overlap, p.alpha, p.test, p.rule, p.target) == (0.1, 0.05, "ssr_chi2test", "noncausal", "test")
    assert (p.emb_dim, p.lag, p.min_tsep, p.partial_steps, p.partial_window) == (2, 1, 0, 3, 50)


@pytest.mark.parametrize("dataset", protocols.DATASETS)
def test_published_and_corrected_differ_in_documented_fields_only(dataset):
    changed = differences(protocols.get("published", dataset), protocols.get("corrected", dataset))
    assert changed <= CORRECTED_FIELDS
    assert {"name", "scaling", "stratify", "target", "lag_choice", "difference", "correction", "min_tsep"} <= changed


def test_corrected_is_what_a_careful_statistician_would_do():
    p = protocols.get("corrected", "cancer")
    assert (p.scaling, p.stratify, p.target, p.lag_choice, p.difference) == ("train", True, "train", "bic", True)
    assert p.correction == "fdr_bh" and p.min_tsep > 0 and p.p_decimals is None


def test_protocols_are_frozen():
    with pytest.raises(FrozenInstanceError):
        protocols.get("published", "iris").rate = 1.0


def test_fields_change_by_keyword_and_only_those():
    p = protocols.get("published", "iris")
    assert differences(p, protocols.get("published", "iris", rate=9.0, alpha=0.1)) == {"rate", "alpha"}
    assert differences(p, protocols.get(p, alpha=0.1)) == {"alpha"}
    assert protocols.get(p) == p
    assert p == protocols.get("published", "iris")  # and the first one is as it was


def test_unknown_field_is_refused():
    with pytest.raises(TypeError, match="windw"):
        protocols.get("published", "iris", windw=10)


@pytest.mark.parametrize("dataset", ["iris", "mine"])
def test_unknown_protocol_lists_the_names(dataset):
    with pytest.raises(ValueError, match="publishd") as error:
        protocols.get("publishd", dataset)
    assert all(name in str(error.value) for name in protocols.PROTOCOLS)


def test_a_data_set_of_ones_own_gets_the_defaults():
    assert differences(protocols.get("published", "mine"), protocols.Protocol()) == {"dataset"}


CHOICES = ("scaling", "output", "init", "loss", "accuracy", "target", "test", "lag_choice", "rule", "correction")


@pytest.mark.parametrize("field", CHOICES)
def test_unknown_choice_is_refused_rather_than_taken_for_another(field):
    with pytest.raises(ValueError, match="no-such-choice"):
        protocols.get("published", "iris", **{field: "no-such-choice"})
