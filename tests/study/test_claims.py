from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from study import claims, evidence

NOISE = np.random.default_rng(0).normal(size=20)


def test_equivalence_needs_the_whole_interval_inside_the_margin():
    assert claims.equivalence(0.001 * NOISE, 0.02)["outcome"] == "supported"
    assert claims.equivalence(0.1 + 0.001 * NOISE, 0.02)["outcome"] == "contradicted"
    assert claims.equivalence(-0.1 + 0.001 * NOISE, 0.02)["outcome"] == "contradicted"
    assert claims.equivalence(0.2 * NOISE, 0.02)["outcome"] == "undecided"
    assert claims.equivalence([0.0], 0.02)["outcome"] == "too few"


def test_equivalence_is_two_one_sided_t_tests():
    d = 0.01 + 0.02 * NOISE
    for margin in (0.01, 0.015, 0.02, 0.03):
        p = ttost_paired(d, np.zeros(len(d)), -margin, margin)[0]
        assert (claims.equivalence(d, margin)["outcome"] == "supported") == (p < claims.LEVEL)


def test_superiority_is_scipys_paired_test_and_decides_constant_differences():
    d = 0.5 + NOISE
    assert claims.superiority(d)["p"] == stats.ttest_1samp(d, 0, alternative="greater").pvalue
    assert claims.superiority(d - 10)["outcome"] == "contradicted"
    assert claims.superiority([0.0] * 5)["outcome"] == "undecided"
    assert claims.superiority([1.0, np.nan] * 5)["outcome"] == "supported"
    assert claims.superiority([1.0, 1.0])["outcome"] == claims.superiority([1.0])["outcome"] == "too few"


@pytest.mark.filterwarnings("error")
def test_differences_equal_but_for_rounding_are_equal():
    found = claims.superiority([0.3, 0.1 + 0.2, 0.3, 0.3, 0.3])
    assert found["p"] == 0.5**5 and found["outcome"] == "supported"


def test_superiority_by_a_margin_is_superiority_of_what_is_left():
    assert claims.superiority(NOISE + 0.6, 0.6) == claims.superiority((NOISE + 0.6) - 0.6)
    assert claims.superiority([0.7, 0.8, 0.9, 0.8, 0.8], 0.6)["outcome"] == "supported"
    assert claims.superiority([0.5, 0.4, 0.5, 0.4, 0.5], 0.6)["outcome"] == "contradicted"


def test_near_allows_the_margin_or_one_test_sample():
    outcomes = [claims.near((d, sample), 0.02)["outcome"] for d, sample in [(0.02, 0), (-0.03, 0), (-0.03, 0.03)]]
    assert outcomes == ["supported", "contradicted", "supported"]


def test_holm_takes_back_what_only_many_tests_could_find():
    found = pd.DataFrame({"p": [0.04, 0.04, 0.9, np.nan], "outcome": ["supported"] * 2 + ["undecided", "supported"]})
    assert claims.correct(found).outcome.tolist() == ["undecided"] * 3 + ["supported"]


@pytest.mark.parametrize(
    ("outcomes", "most", "expected"),
    [
        (["supported", "supported"], "reproduced", "reproduced"),
        (["supported", "supported"], "partly", "partly"),
        (["supported", "undecided"], "reproduced", "partly"),
        (["undecided", "contradicted"], "reproduced", "not reproduced"),
        (["supported", "too few"], "reproduced", "reproduced"),
        (["too few"], "reproduced", "not testable"),
        ([], "reproduced", "not testable"),
    ],
)
def test_a_verdict_counts_the_data_sets_that_support_it(outcomes, most, expected):
    assert claims.verdict(outcomes, most) == expected


def test_an_unknown_outcome_is_refused():
    with pytest.raises(ValueError, match="outcome='maybe'.*supported, undecided, contradicted, too few"):
        claims.verdict(["maybe"])


def test_a_claim_with_an_unknown_test_is_refused():
    with pytest.raises(ValueError, match="claim 'x': test='t_test' is unknown; allowed: equivalence, superiority"):
        claims.Claim("x", "1", "says", "tested", test="t_test")
    with pytest.raises(ValueError, match="claim 'y' is unknown; allowed: performance, "):
        claims.get("y")


def test_at_most_ten_claims_are_questions_and_all_can_be_tested():
    asked = [claim for claim in claims.CLAIMS.values() if claim.asks]
    assert 0 < len(asked) <= 10 and all(claim.test and claim.asks.endswith("?") for claim in asked)


def test_every_tested_claim_names_a_notebook_and_what_its_test_needs():
    for claim in claims.CLAIMS.values():
        assert bool(claim.test) == bool(claim.notebook)
        assert claim.margin is not None or claim.test in (None, "superiority")


def test_a_ledger_without_evidence_calls_nothing_reproduced():
    table, found = claims.ledger(pd.DataFrame(columns=evidence.COLUMNS), ["cancer"])
    assert set(table.verdict) == {"not testable"} and found.empty and table.key.is_unique


def measured(claim, values, dataset="cancer", protocol="published"):
    rows = pd.DataFrame({"claim": claim, "dataset": dataset, "protocol": protocol, "split": "fixed", "value": values})
    return rows.assign(seed=rows.index.astype(str))


def test_a_ledger_counts_the_data_sets_of_a_claim_that_were_measured():
    table = pd.concat([
        measured("early", [0.7, 0.8, 0.9, 0.8, 0.8]), measured("early", [0.1] * 5, "iris"),
        measured("early", [0.9] * 5, protocol="corrected"), measured("faster", [np.nan] * 5),
        *(measured("variant_unit", [1.0, 2.0, 1.5, 1.0, 1.2], name) for name in ("wine", "iris")),
    ])  # fmt: skip
    counted, found = claims.ledger(table, ["iris", "cancer", "wine", "mnist"])
    assert found[["key", "dataset", "outcome"]].to_numpy().tolist() == [
        ["early", "iris", "contradicted"], ["early", "cancer", "supported"], ["variant_unit", "wine", "supported"],
    ]  # fmt: skip
    counted = counted.set_index("key")
    assert counted.verdict[["early", "variant_unit", "faster"]].tolist() == ["partly", "reproduced", "not testable"]
    signs = claims.matrix(found)
    assert signs.loc["early"].to_dict() == {"iris": "−", "cancer": "+", "wine": "·"} and len(signs) == len(counted)
    with pytest.raises(ValueError, match="claim 'earlier' is unknown"):
        claims.ledger(measured("earlier", [1.0]), ["cancer"])


@pytest.mark.skipif(not claims.TABLE.exists(), reason="no kept verdicts yet")
def test_the_readme_shows_the_kept_verdicts():
    kept = pd.read_csv(claims.TABLE)
    assert list(kept.key) == list(claims.CLAIMS)
    assert list(kept.page.fillna("")) == [claim.chapter for claim in claims.CLAIMS.values()]
    assert claims.markdown(kept) in (claims.TABLE.parent.parent / "README.md").read_text()
    again = [o for row in kept.itertuples() for o in [[c for c in claims.OUTCOMES[:3] for _ in range(getattr(row, c))]]]
    most = [claim.most for claim in claims.CLAIMS.values()]
    assert [claims.verdict(o, m) for o, m in zip(again, most)] == kept.verdict.tolist()


@pytest.fixture(scope="module")
def reference():
    return evidence.load(claims.TABLE.parents[1] / "tests" / "reference")


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_the_reference_evidence_gives_the_ledger_that_was_kept(reference, protocol):
    kept = pd.read_csv(Path(__file__).parent / "ledger.csv").query("protocol == @protocol")
    table, found = claims.ledger(reference, claims.counted(["cancer", "banknote", "iris", "mnist5k"]), protocol)
    found = found.merge(table[["key", "verdict"]], on="key").assign(protocol=protocol)
    order = ["key", "dataset"]
    found, kept = (part.sort_values(order, ignore_index=True) for part in (found[kept.columns], kept))
    pd.testing.assert_frame_equal(found, kept, rtol=1e-12, atol=1e-12)


def test_every_claim_with_a_test_has_evidence_in_the_reference_results(reference):
    assert {claim.key for claim in claims.CLAIMS.values() if claim.test} == set(reference.claim)


def test_the_two_families_are_corrected_apart(reference):
    _, found = claims.ledger(reference, ["cancer"])
    beyond = {claim.key for claim in claims.CLAIMS.values() if claim.section == claims.BEYOND}
    for family in (found[found.key.isin(beyond)], found[~found.key.isin(beyond)]):
        assert claims.correct(family).p_holm.equals(family.p_holm) and family.p_holm.notna().any()


def test_what_the_paper_does_not_claim_holds_or_is_not_shown():
    table = pd.DataFrame(
        {"section": ["5", "beyond", "beyond"], "verdict": ["reproduced", "reproduced", "not reproduced"]}
    )
    assert claims.in_words(table).tolist() == ["reproduced", "holds", "not shown"]


def test_the_readme_is_given_questions_and_the_rest_stays(tmp_path, monkeypatch):
    (tmp_path / "book").mkdir()
    monkeypatch.setattr(claims, "TABLE", tmp_path / "book" / "claims.csv")
    claims.ledger(measured("early", [0.7, 0.8, 0.9, 0.8, 0.8]), ["cancer"])[0].to_csv(claims.TABLE, index=False)
    (tmp_path / "README.md").write_text("before\n<!-- verdicts -->\nold\n<!-- end of verdicts -->\nafter\n")
    claims.main()
    lines = (tmp_path / "README.md").read_text().splitlines()
    assert lines[:2] == ["before", "<!-- verdicts -->"] and lines[-2:] == ["<!-- end of verdicts -->", "after"]
    assert f"| {claims.get('early').asks} | 1 of 1 data sets | 0 | 0 | reproduced |" in lines and len(lines) <= 16
