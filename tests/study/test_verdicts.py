"""claims.json, made from the kept results of the quick profile, against its schema and the ledger."""

import copy
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from study import claims, evidence, texts, verdicts

ROOT = Path(__file__).parents[2]
EVIDENCE = evidence.load(ROOT / "tests/reference")
NAMES = claims.counted(["cancer", "iris", "banknote", "mnist5k"])
LEDGERS = {protocol: claims.ledger(EVIDENCE, NAMES, protocol, stability=False) for protocol in verdicts.PROTOCOLS}
SCHEMA = json.loads((ROOT / "book/claims.schema.json").read_text(encoding="utf-8"))
VALID = jsonschema.Draft202012Validator(SCHEMA)
DOCUMENT = verdicts.as_json(LEDGERS, EVIDENCE)
BY_KEY = {claim["key"]: claim for claim in DOCUMENT["claims"]}


def test_it_is_what_the_schema_says():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert [error.message for error in VALID.iter_errors(DOCUMENT)] == []


@pytest.mark.parametrize("spoil", [
    lambda d: d.pop("git_commit"),
    lambda d: d["datasets"][0].update(sha256="unknown"),
    lambda d: d["claims"][0].update(verdict="proved"),
    lambda d: d["claims"][0].update(thoughts="typed in"),
    lambda d: d["claims"][0]["test"].update(least=-1),
    lambda d: d["claims"][0]["findings"][0].update(outcome="true"),
    lambda d: d["claims"][0]["findings"][0].update(rows="/tmp/rows.csv"),
    lambda d: d["claims"][0]["findings"][0].update(url="file:///page.html"),
    lambda d: d["claims"][0]["findings"][0].update(effect="large"),
])  # fmt: skip
def test_the_schema_refuses_what_is_not(spoil):
    spoilt = copy.deepcopy(DOCUMENT)
    spoil(spoilt)
    assert not VALID.is_valid(spoilt)


@pytest.mark.parametrize("protocol", verdicts.PROTOCOLS)
def test_findings_and_verdicts_are_the_ledgers(protocol):
    ledger, found = LEDGERS[protocol]
    for row in ledger.itertuples():
        assert BY_KEY[row.key]["verdicts"][protocol] == claims.in_words(row)
    written = [(c["key"], f) for c in DOCUMENT["claims"] for f in c["findings"] if f["protocol"] == protocol]
    assert [(key, f["dataset"]) for key, f in written] == list(found[["key", "dataset"]].itertuples(index=False))
    for row, (_, finding) in zip(found.itertuples(), written):
        numbers = [finding[name] for name in ("effect", "low", "high")] + [finding["placebo"]["effect"]]
        expected = [row.effect, row.low, row.high, row.placebo]
        np.testing.assert_array_equal(np.array(numbers, dtype=float), np.array(expected, dtype=float))
        assert (finding["outcome"], finding["n"], finding["counted"]) == (row.outcome, row.n, row.counted)


def test_a_claim_has_its_test_its_margins_and_all_data_sets_together():
    claim, row = BY_KEY["performance"], LEDGERS[claims.MAIN][0].set_index("key").loc["performance"]
    own = claims.get("performance")
    assert claim["test"]["margins"] == [-own.least] and claim["test"]["level"] == claims.LEVEL
    assert claim["claimReviewed"] == own.says and claim["section"] == own.section and claim["asks"] == own.asks
    assert claim["pooled"]["effect"] == row.pooled_effect and claim["verdict"] == row.verdict
    assert list(BY_KEY) == list(claims.CLAIMS)
    untested = [claim for claim in DOCUMENT["claims"] if claim["test"] is None]
    assert untested and all(claim["verdict"] == "not testable" and claim["findings"] == [] for claim in untested)


def test_rows_are_those_that_were_judged():
    """The evidence at the address gives the effect that the finding has."""
    for claim in DOCUMENT["claims"]:
        for finding in claim["findings"]:
            path = ROOT / "tests/reference" / finding["rows"].removeprefix(f"{verdicts.ROWS}/")
            rows = evidence.read(path).query("claim == @claim['key'] and reading == 'effect'")
            assert set(rows.protocol) == {finding["computed_under"]} and set(rows.dataset) == {finding["dataset"]}
            mean = claims.means(rows.set_index(["split", "seed"]).value).mean()
            assert mean == pytest.approx(finding["effect"], rel=1e-12)


def test_what_was_never_split_anew_is_told_as_published():
    findings = {(f["dataset"], f["protocol"]): f for f in BY_KEY["alpha_printed"]["findings"]}
    finding = findings["printed", "resplit"]
    assert finding["computed_under"] == "published" and finding["provenance"] is None
    assert finding["url"] == "07_weightwatcher/index.html"
    learnt = {entry["name"]: entry["sha256"] for entry in DOCUMENT["datasets"]}
    assert "printed" not in learnt and learnt["iris"] == texts.checksum("iris")
    assert learnt["transformer"] == texts.checksum("pydoc")


def test_it_is_written_as_json_without_what_json_does_not_have(tmp_path):
    path = verdicts.save(LEDGERS, EVIDENCE, tmp_path)
    fail = lambda constant: pytest.fail(f"{constant} is not JSON")
    assert json.loads(path.read_text(encoding="utf-8"), parse_constant=fail) == DOCUMENT
    assert path == tmp_path / "claims.json"


def test_a_missing_protocol_is_named():
    with pytest.raises(ValueError, match="lack 'corrected'; needed: resplit, published, corrected"):
        verdicts.as_json({p: LEDGERS[p] for p in ("resplit", "published")}, EVIDENCE)


def test_every_name_is_explained_by_the_schema():
    known = set(SCHEMA["properties"]) | {
        name for part in SCHEMA["$defs"].values() for name in part.get("properties", ())
    }
    assert known >= {*DOCUMENT, *DOCUMENT["claims"][0], *DOCUMENT["claims"][0]["findings"][0]}
    assert DOCUMENT["@context"]["@vocab"].endswith(f"book/{verdicts.SCHEMA}#")
