import numpy as np
import pandas as pd
import pytest
from scipy import stats

from study import claims, margins

NOISE = np.random.default_rng(0).normal(size=20)


def test_equivalence_needs_the_whole_interval_inside_the_margin():
    assert claims.equivalence(0.001 * NOISE, 0.02)["outcome"] == "supported"
    assert claims.equivalence(0.1 + 0.001 * NOISE, 0.02)["outcome"] == "contradicted"
    assert claims.equivalence(-0.1 + 0.001 * NOISE, 0.02)["outcome"] == "contradicted"
    assert claims.equivalence(0.2 * NOISE, 0.02)["outcome"] == "undecided"
    assert claims.equivalence([0.0], 0.02)["outcome"] == "too few"


def test_equivalence_is_two_one_sided_t_tests():
    d = 0.01 + 0.02 * NOISE
    found = claims.equivalence(d, 0.02)
    p = max(
        stats.ttest_1samp(d, 0.02, alternative="less").pvalue, stats.ttest_1samp(d, -0.02, alternative="greater").pvalue
    )
    assert (found["outcome"] == "supported") == (p < margins.LEVEL)


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


def test_a_ledger_without_results_calls_nothing_reproduced(tmp_path):
    table, found = claims.ledger(["cancer"], out_dir=tmp_path)
    assert set(table.verdict) == {"not testable"} and found.empty and table.key.is_unique


@pytest.mark.skipif(not claims.TABLE.exists(), reason="no kept verdicts yet")
def test_the_readme_shows_the_kept_verdicts():
    kept = pd.read_csv(claims.TABLE)
    assert list(kept.key) == [claim.key for claim in claims.CLAIMS]
    assert claims.markdown(kept) in (claims.TABLE.parent.parent / "README.md").read_text()
    again = [o for row in kept.itertuples() for o in [[c for c in claims.OUTCOMES[:3] for _ in range(getattr(row, c))]]]
    most = [claim.most for claim in claims.CLAIMS]
    assert [claims.verdict(o, m) for o, m in zip(again, most)] == kept.verdict.tolist()


REFERENCE = claims.TABLE.parent.parent / "tests" / "reference"


def test_every_claim_with_a_measure_finds_its_rows_in_the_reference_results():
    _, found = claims.ledger(["cancer", "iris", "banknote", "mnist5k", "wine", "pydoc"], out_dir=REFERENCE)
    assert {c.key for c in claims.CLAIMS if c.measure} <= {*found.key, "half", "shap_magnitude_keeps"}
    assert found[found.key.str.startswith("variant_")].dataset.eq("wine").all()


def test_the_two_families_are_corrected_apart():
    _, found = claims.ledger(["cancer"], out_dir=REFERENCE)
    beyond = {c.key for c in claims.CLAIMS if c.section == claims.BEYOND}
    for family in (found[found.key.isin(beyond)], found[~found.key.isin(beyond)]):
        assert claims.correct(family).p_holm.equals(family.p_holm) and family.p_holm.notna().any()


def test_an_advantage_is_taken_over_its_base_seed_by_seed():
    rows = pd.DataFrame({
        "kind": "advantage", "seed": [0, 1] * 3, "method": ["FT"] * 2 + ["SNIP"] * 2 + ["IMP"] * 2,
        "accuracy": [1.0, 2.0, 0.5, 0.25, 0.0, 0.0],
    })  # fmt: skip
    assert claims._advantage("FT")(lambda notebook: rows).tolist() == [1.0, 2.0]
    assert claims._advantage("FT", "SNIP")(lambda notebook: rows).tolist() == [0.5, 1.75]
    assert len(claims._advantage("by unit", "random, by unit")(lambda notebook: rows)) == 0


def test_on_a_network_of_ones_own_better_is_above_zero():
    rows = pd.DataFrame({
        "kind": ["advantage"] * 5 + ["sweep"], "by": ["weights"] * 4 + ["units"] * 2, "method": ["LEGC"] * 6,
        "over": ["random", "random", "magnitude", "magnitude", "random", None], "seed": [0, 1, 0, 1, 0, 0],
        "points": [1.0, 2.0, -3.0, -4.0, 9.0, 0.5], "loss": [-0.1, -0.2, 0.3, 0.4, 9.0, 0.5],
    })  # fmt: skip
    assert claims._on_own("14_resnet", "random")(lambda notebook: rows).tolist() == [1.0, 2.0]
    assert claims._on_own("16_transformer", "magnitude", "loss", -1)(lambda notebook: rows).tolist() == [-0.3, -0.4]


def test_what_the_paper_does_not_claim_holds_or_is_not_shown():
    table = pd.DataFrame(
        {"section": ["5", "beyond", "beyond"], "verdict": ["reproduced", "reproduced", "not reproduced"]}
    )
    assert claims.in_words(table).tolist() == ["reproduced", "holds", "not shown"]
