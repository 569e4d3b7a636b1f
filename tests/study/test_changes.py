"""What became of the verdicts of then: nothing moves unseen, and nothing without a reason."""

import pandas as pd
import pytest

from study import changes, claims


def today(**verdicts):
    """A ledger without evidence, but for the verdicts given: as `claims.ledger` returns it."""
    empty = pd.DataFrame(columns=["claim", "dataset", "protocol", "split", "seed", "reading", "value"])
    table, _ = claims.ledger(empty.astype({"value": float}), [], stability=False)
    table.loc[table.key.isin(verdicts), "verdict"] = [verdicts[key] for key in table.key if key in verdicts]
    return table


def test_every_verdict_that_can_move_has_a_reason():
    tested = changes.before().query("verdict != 'not testable'").key
    assert [key for key in tested if not changes.reasons(key)] == []


def test_every_row_of_then_has_a_row_now_and_every_reason_a_claim():
    old = changes.before()
    table = changes.compare(old, today())
    assert list(table.key) == list(old.key) and table.moved.sum() == (old.verdict != "not testable").sum()
    assert changes.unknown(old.key, claims.CLAIMS) == []
    assert changes.unknown(["flops"], ["flops"]) != []


def test_what_moved_is_told_by_words_and_not_reproduced_is_no_word_of_today():
    old = changes.before()
    new = today(positive_raw="reproduced", flops="partly", exceeds="refuted", faster="undecided")
    table = changes.compare(old, new)
    moved = table.set_index("key").moved
    assert not moved["positive_raw"] and not moved["flops"] and not moved["optimisation"]
    assert moved["exceeds"] and moved["faster"]


def test_a_merged_row_is_held_against_the_row_it_is_part_of():
    table = changes.compare(changes.before(), today(superior_random="partly")).set_index("key")
    assert table.merged[list(changes.MERGED)].all() and table.merged.sum() == len(changes.MERGED)
    assert table.now["random_alike"] == "superior_random" and not table.moved["random_alike"]
    assert table.then_counts["random_alike"] == "5+ 1?"


def test_a_move_without_a_reason_and_a_lost_row_are_refused():
    old = pd.DataFrame([dict(key="flops", says="", verdict="partly", supported=5, undecided=1, contradicted=0)])
    with pytest.raises(ValueError, match="without a reason in changed.yaml: flops"):
        changes.compare(old, today(flops="refuted"), why=lambda key: "")
    assert not changes.compare(old, today(flops="partly"), why=lambda key: "").moved.any()
    with pytest.raises(ValueError, match="without a row.*flops"):
        changes.compare(old, today().query("key != 'flops'"))


def test_added_rows_are_those_of_no_key_then():
    found = set(changes.added(changes.before(), today()).key)
    assert {"fixed_point", "lemma", "table4", "alpha_printed", "third_layer"} <= found
    assert not found & set(changes.before().key)
