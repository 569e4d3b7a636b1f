from collections import namedtuple
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

from study import claims, evidence, results

NOISE = np.random.default_rng(0).normal(size=20)
OF = {test: claims.Claim("x", "1", "says", "tested", test=test, least=0.5) for test in claims.TESTS}
NAMES = ["cancer", "titanic", "banknote", "iris", "iris3f"]


def splits(values, n_seeds=1):
    """Numbers by split and seed, n_seeds a split."""
    at = pd.MultiIndex.from_product([range(len(values) // n_seeds), range(n_seeds)], names=["split", "seed"])
    return pd.Series(values, at)


def outcome(test, values, **changes):
    return claims.Claim("x", "1", "says", "tested", test=test, **{"least": 0.5} | changes).decide(values)["outcome"]


@pytest.mark.parametrize(
    ("mean", "expected"),
    [
        (0.0, ("shown absent", "shown", "shown")),
        (2.0, ("shown", "shown the other way", "shown")),
        (-2.0, ("shown the other way", "shown the other way", "shown the other way")),
        (0.3, ("shown absent", "shown", "shown")),  # real, but smaller than anybody would care for
    ],
)
def test_what_an_interval_shows(mean, expected):
    values = mean + 0.1 * NOISE
    assert tuple(outcome(test, values) for test in ("more", "same", "no_less")) == expected


def test_a_wide_interval_decides_nothing():
    assert {outcome(test, 3 * NOISE) for test in ("more", "same", "no_less")} == {"undecided"}
    assert outcome("at_least", 3 * NOISE, least=0.0) == "undecided"


def test_an_interval_narrower_than_the_smallest_effect_always_decides():
    rng = np.random.default_rng(1)
    for _ in range(500):
        low = rng.uniform(-2, 2)
        high = low + rng.uniform(0, 0.499)
        for test in ("more", "same", "no_less"):
            assert OF[test].outcome(low, high) != "undecided", (test, low, high)


def test_no_loss_has_one_side():
    gains = 3 + 0.1 * NOISE
    assert outcome("no_less", gains) == "shown" and outcome("same", gains) == "shown the other way"
    assert outcome("no_less", np.array([-0.4, 5, 5, 5, 5, 5])) == "shown"


def test_a_floor_and_a_single_number():
    assert outcome("at_least", 0.97 + 0.001 * NOISE, reference=0.95) == "shown"
    assert outcome("at_least", 0.9 + 0.001 * NOISE, reference=0.95) == "shown the other way"
    assert [outcome("exact", [x], reference=0.95) for x in (0.95, 0.94)] == ["shown", "shown the other way"]
    assert claims.Claim("x", "1", "", "", test="exact").decide([0.1])["stability"] == 1


def test_fewer_splits_than_needed_decide_nothing():
    assert outcome("more", [3.0] * (claims.FEWEST - 1)) == outcome("more", []) == "too few"
    assert outcome("more", [3.0, np.nan] * claims.FEWEST) == "shown"
    assert outcome("more", splits([3.0] * 40, 10)) == "too few"  # forty networks on four splits


@pytest.mark.parametrize("level", [claims.LEVEL])
def test_either_direction_is_a_one_sided_t_test_and_absence_is_tost(level):
    for shift in np.linspace(-1, 1, 41):
        d = shift + 0.8 * NOISE
        found = outcome("more", d)
        absent = ttost_paired(d, np.zeros(len(d)), -0.5, 0.5)[0] < level
        above = stats.ttest_1samp(d, 0, alternative="greater").pvalue < level
        below = stats.ttest_1samp(d, 0, alternative="less").pvalue < level
        assert found == (
            "shown absent" if absent else "shown" if above else "shown the other way" if below else "undecided"
        )


def test_the_least_level_at_which_a_claim_is_decided():
    for test in ("more", "same", "no_less", "at_least"):
        for shift in np.linspace(-1, 1, 21):
            d = shift + 0.8 * NOISE
            p = OF[test].p(d.mean(), stats.sem(d), len(d) - 1)
            assert (p < claims.LEVEL) == (OF[test].decide(d)["outcome"] != "undecided")


def test_it_is_the_same_bar_for_and_against():
    """The old ledger's 'supported' had to survive Holm's correction, 'contradicted' an uncorrected interval only."""
    rng = np.random.default_rng(2)
    other_way = {"shown": "shown the other way", "shown the other way": "shown"}
    for _ in range(200):
        values = rng.normal(rng.normal(), rng.uniform(0.1, 3), 20)
        found = outcome("more", values)
        assert outcome("more", -values) == other_way.get(found, found)
        assert outcome("same", -values) == outcome("same", values)
    table, found = claims.ledger(measured("faster", NOISE + 3), NAMES)
    flipped_table, flipped = claims.ledger(measured("faster", -NOISE - 3), NAMES)
    assert (found.outcome[0], flipped.outcome[0]) == ("shown", "shown the other way")
    row, flipped_row = (t.set_index("key").loc["faster"] for t in (table, flipped_table))
    assert row.p_holm == flipped_row.p_holm and row.pooled_effect == -flipped_row.pooled_effect


def test_twelve_intervals_above_zero_are_not_undecided():
    """All five seeds positive: +2.3 points on the DenseNet read 'undecided' after Holm's correction."""
    values = [1.1, 2.9, 2.4, 3.6, 1.5]
    _, found = claims.ledger(measured("own_densenet_random", values, "densenet", "published"), ["densenet"])
    assert found.outcome.tolist() == ["shown"]


def test_importance_that_is_kept_perfectly_is_kept():
    """1.0 in 20 of 20 read 'undecided', as other seeds agreed perfectly too: nothing can agree better."""
    perfect = pd.concat([measured("explained", [1.0] * 20), measured("explained", [1.0] * 20, reading="placebo")])
    table, found = claims.ledger(perfect, NAMES)
    assert found.outcome.tolist() == ["shown"] and table.set_index("key").nothing_of_legc["explained"]
    assert claims.ledger(measured("explained", 0.5 + 0.01 * NOISE), NAMES)[1].outcome[0] == "shown the other way"


def test_a_saving_of_next_to_nothing_is_not_notable():
    """One weight of sixty was enough for 'saves FLOPs', and nothing was ever enough for 'saves operations'."""
    for key in ("flops", "flops_real"):
        small, large = (claims.ledger(measured(key, size + 0.1 * NOISE), NAMES)[1].outcome[0] for size in (1.7, 20))
        assert (small, large) == ("shown the other way", "shown")


def test_splits_count_and_not_the_seeds_on_one_of_them():
    """More seeds on one split would manufacture successes: what differs between splits is no noise between seeds."""
    rng = np.random.default_rng(3)
    of_split = np.repeat(rng.normal(0, 2, 20), 25)
    values = splits(of_split + rng.normal(0, 0.1, 500), 25)
    found = claims.Claim("x", "1", "", "", test="more", least=0.5).decide(values)
    assert (found["n"], found["runs"]) == (20, 500)
    means = values.groupby("split").mean()
    assert found["effect"] == pytest.approx(means.mean())
    assert (found["low"], found["high"]) == pytest.approx(results.interval(means, 1 - 2 * claims.LEVEL)[1:])


def test_stability_is_the_share_of_resamples_with_the_same_outcome():
    values = splits(0.5 * np.tile(NOISE, 5), 5)
    border = 0.5 - OF["more"].decide(values)["high"]  # where absent ends
    sure, close, again = (OF["more"].decide(values + by, 0)["stability"] for by in (3, border - 1e-9, border - 1e-9))
    assert sure == 1 and 0.2 < close < 0.9 and close == again


def test_holms_families_have_the_size_of_claims_yaml_whatever_was_measured():
    p = pd.Series(np.nan, [*claims.CLAIMS])
    pooled = pd.DataFrame({"pooled_effect": 1.0, "low": 0.5, "high": 1.5, "p": p})
    pooled.loc["faster", "p"] = pooled.loc["chance_random", "p"] = 1e-4
    found = claims.correct(pooled)
    sizes = [sum(c.test in claims.TESTS[:-1] and (c.section == claims.BEYOND) == b for c in claims.CLAIMS.values())
             for b in (False, True)]  # fmt: skip
    assert found.p_holm[["faster", "chance_random"]].tolist() == pytest.approx([1e-4 * size for size in sizes])
    assert found.p_holm.notna().sum() == 2


def test_a_mean_over_data_sets_has_the_random_effects_of_metafor():
    # dat.bcg of metafor: rma(yi, vi, method="PM", test="knha") has b = -0.7150, se = 0.1809, on 12 df
    yi = [
        -0.8893,
        -1.5854,
        -1.3481,
        -1.4416,
        -0.2175,
        -0.7861,
        -1.6209,
        0.0120,
        -0.4694,
        -1.3713,
        -0.3394,
        0.4459,
        -0.0173,
    ]
    vi = [0.3256, 0.1946, 0.4154, 0.0200, 0.0512, 0.0069, 0.2230, 0.0040, 0.0564, 0.0730, 0.0124, 0.5325, 0.0714]
    half = stats.t.ppf(1 - claims.LEVEL, 99) * np.sqrt(vi)
    found = pd.DataFrame({"effect": yi, "low": yi - half, "high": yi + half, "n": 100})
    pooled = claims.pool(OF["more"], found)
    assert pooled["pooled_effect"] == pytest.approx(-0.715, abs=0.002)
    assert (pooled["high"] - pooled["low"]) / 2 == pytest.approx(0.181 * stats.t.ppf(0.95, 12), abs=0.003)


@pytest.mark.parametrize(
    ("outcomes", "pooled", "most", "expected"),
    [
        (["shown"] * 2, "undecided", "reproduced", "reproduced"),
        (["shown"] * 2, "undecided", "partly", "partly"),
        (["shown", "undecided"], "undecided", "reproduced", "partly"),
        (["shown", "too few"], "undecided", "reproduced", "reproduced"),
        (["shown absent", "shown the other way"], "undecided", "reproduced", "refuted"),
        (["shown absent"] * 2 + ["undecided"], "shown absent", "reproduced", "refuted"),
        (["shown absent"] * 2 + ["undecided"], "undecided", "reproduced", "undecided"),
        (["shown absent"] + ["undecided"] * 2, "shown absent", "reproduced", "undecided"),
        (["undecided"], "shown absent", "reproduced", "undecided"),
        (["too few"], "undecided", "reproduced", "not testable"),
        ([], "undecided", "reproduced", "not testable"),
    ],
)
def test_a_verdict_counts_data_sets_and_never_calls_undecided_refuted(outcomes, pooled, most, expected):
    assert claims.verdict(outcomes, pooled, most) == expected


def test_an_unknown_outcome_or_test_is_refused():
    with pytest.raises(
        ValueError, match="outcome='maybe'.*shown, shown absent, shown the other way, undecided, too few"
    ):
        claims.verdict(["maybe"])
    with pytest.raises(ValueError, match="claim 'x': test='t_test' is unknown; allowed: more, same, no_less"):
        claims.Claim("x", "1", "says", "tested", test="t_test")
    with pytest.raises(ValueError, match="claim 'y' is unknown; allowed: performance, "):
        claims.get("y")


def test_ten_claims_are_questions_and_all_can_be_tested():
    asked = [claim for claim in claims.CLAIMS.values() if claim.asks]
    assert len(asked) == 10 and all(claim.test and claim.asks.endswith("?") for claim in asked)


def test_every_tested_claim_names_a_notebook_a_margin_and_its_reason():
    for claim in claims.CLAIMS.values():
        assert bool(claim.test) == bool(claim.notebook) == bool(claim.why)
        assert claim.least > 0 or claim.test in (None, "at_least", "exact")


def test_a_ledger_without_evidence_calls_nothing_reproduced():
    table, found = claims.ledger(pd.DataFrame(columns=evidence.COLUMNS), ["cancer"])
    assert set(table.verdict) == {"not testable"} and found.empty and table.key.is_unique


def measured(claim, values, dataset="cancer", protocol="resplit", reading="effect"):
    rows = pd.DataFrame({"claim": claim, "dataset": dataset, "protocol": protocol, "value": values, "reading": reading})
    fixed = protocol == "published"
    return rows.assign(
        split="fixed" if fixed else rows.index.astype(str), seed=rows.index.astype(str) if fixed else "0"
    )


def everywhere(rng):
    """Evidence on every claim and data set, of effects of all sizes."""
    return pd.concat([
        measured(key, claim.reference + rng.normal(rng.normal(0, 2 * claim.least + 0.1), claim.least + 0.1, 20), name)
        for key, claim in claims.CLAIMS.items() if claim.test for name in claim.on or NAMES
    ])  # fmt: skip


def test_a_verdict_does_not_depend_on_the_order_of_data_sets_or_rows():
    rng = np.random.default_rng(4)
    table = everywhere(rng)
    one, found = claims.ledger(table, NAMES)
    other, again = claims.ledger(table.sample(frac=1, random_state=0), NAMES[::-1])
    pd.testing.assert_frame_equal(one, other)
    order = ["key", "dataset"]
    pd.testing.assert_frame_equal(*(part.sort_values(order, ignore_index=True) for part in (found, again)))


def test_what_a_data_set_shows_does_not_depend_on_the_presence_of_another():
    table = everywhere(np.random.default_rng(5))
    _, every = claims.ledger(table, NAMES)
    for name in NAMES:
        _, alone = claims.ledger(table[table.dataset == name], [name])
        pd.testing.assert_frame_equal(every[every.dataset == name].reset_index(drop=True), alone)


def test_random_masks_stand_beside_and_say_when_they_pass_as_well():
    both = pd.concat([measured("faster", NOISE + 3), measured("faster", NOISE + 2.5, reading="placebo")])
    table, found = claims.ledger(both, NAMES)
    row = table.set_index("key").loc["faster"]
    assert row.nothing_of_legc and (row.shown, row.placebo_shown) == (1, 1)
    assert row.placebo == pytest.approx(NOISE.mean() + 2.5) and found.placebo_outcome[0] == "shown"
    none = pd.concat([measured("faster", NOISE + 3), measured("faster", 0.01 * NOISE, reading="placebo")])
    row = claims.ledger(none, NAMES)[0].set_index("key").loc["faster"]
    assert not row.nothing_of_legc and (row.placebo_shown, row.placebo_shown_absent) == (0, 1)


def test_what_was_computed_on_the_published_split_only_is_taken_from_there():
    table = pd.concat([measured("faster", NOISE + 3, protocol="published"), measured("early", 0.01 * NOISE)])
    table = pd.concat([table, measured("early", NOISE + 3, protocol="published")])
    _, found = claims.ledger(table, NAMES)
    assert dict(zip(found.key, found.outcome)) == {"faster": "shown", "early": "shown the other way"}
    assert claims.ledger(table, NAMES, "published")[1].outcome.tolist() == ["shown", "shown"]


def test_small_mnist_is_shown_but_not_counted():
    table, found = claims.ledger(measured("faster", NOISE + 3, "mnist5k", "published"), ["cancer", "mnist5k"])
    assert found.outcome.tolist() == ["shown"] and not found.counted.any()
    assert table.set_index("key").loc["faster", ["verdict", "shown"]].tolist() == ["not testable", 0]


def test_a_ledger_counts_the_data_sets_of_a_claim_that_were_measured():
    table = pd.concat([
        measured("early", 0.8 + 0.01 * NOISE), measured("early", 0.1 + 0.01 * NOISE, "iris"),
        measured("early", 0.9 + 0.01 * NOISE, protocol="corrected"), measured("faster", [np.nan] * 5),
        *(measured("variant_unit", 3 + 0.1 * NOISE, name) for name in ("wine", "iris")),
    ])  # fmt: skip
    counted, found = claims.ledger(table, ["iris", "cancer", "wine", "mnist"])
    assert found[["key", "dataset", "outcome"]].to_numpy().tolist() == [
        ["early", "iris", "shown the other way"], ["early", "cancer", "shown"], ["variant_unit", "wine", "shown"],
    ]  # fmt: skip
    counted = counted.set_index("key")
    assert counted.verdict[["early", "variant_unit", "faster"]].tolist() == ["partly", "reproduced", "not testable"]
    signs = claims.matrix(found)
    assert signs.loc["early"].to_dict() == {"iris": "−", "cancer": "+", "wine": "·"} and len(signs) == len(counted)
    with pytest.raises(ValueError, match="claim 'earlier' is unknown"):
        claims.ledger(measured("earlier", [1.0]), ["cancer"])


def test_an_undecided_cell_says_how_many_splits_would_decide_it():
    rng = np.random.default_rng(6)
    _, found = claims.ledger(measured("faster", 0.02 + 0.25 * NOISE), NAMES)
    assert found.outcome[0] == "undecided" and found.needed[0] > 20
    more = rng.choice(0.25 * NOISE, int(found.needed[0]) * 2) + 0.02
    assert claims.get("faster").decide(more)["outcome"] != "undecided"


def test_words_have_counts_and_say_what_is_unstable():
    row = namedtuple("Row", ["section", "verdict", "stability", *claims.COLUMNS])
    assert claims.in_words(row("5", "partly", 1.0, 3, 1, 0, 1)) == "partly (3 of 5)"
    assert claims.in_words(row("5", "refuted", 0.8, 0, 3, 0, 0)) == "refuted, unstable"
    assert claims.in_words(row("beyond", "reproduced", 1.0, 3, 0, 0, 0)) == "holds"
    assert claims.in_words(row("5", "not testable", np.nan, 0, 0, 0, 0)) == "not testable"


def test_the_kept_verdicts_follow_from_their_counts_and_stand_in_the_readme():
    kept = pd.read_csv(claims.TABLE)
    assert list(kept.key) == list(claims.CLAIMS)
    assert list(kept.page.fillna("")) == [claim.chapter for claim in claims.CLAIMS.values()]
    assert claims.markdown(kept) in (claims.TABLE.parent.parent / "README.md").read_text()
    for row in kept.itertuples():
        n, claim = sum(getattr(row, c) for c in claims.COLUMNS), claims.get(row.key)
        assert (row.verdict == "not testable") == (n == 0)
        if row.verdict in ("reproduced", "partly"):
            assert row.shown and (row.shown == n or row.verdict == "partly")
            assert row.verdict == "partly" or claim.most == "reproduced"
        if claim.test and n:
            assert row.smallest_effect == pytest.approx(claim.smallest) and not np.isnan(row.pooled_effect)
        assert claim.asks == "" or (claims.ANSWERS / f"{row.key}.svg").exists()


def test_the_commit_that_fixed_the_margins_is_named():
    commit = claims.margins_fixed()
    assert commit is None or results.last_change("book/claims.yaml", "^") and len(commit) >= 7


@pytest.fixture(scope="module")
def reference():
    return evidence.load(claims.TABLE.parents[1] / "tests" / "reference")


@pytest.mark.parametrize("protocol", ["resplit", "published", "corrected"])
def test_the_reference_evidence_gives_the_ledger_that_was_kept(reference, protocol):
    kept = pd.read_csv(Path(__file__).parent / "ledger.csv").query("protocol == @protocol")
    names = claims.counted(["cancer", "banknote", "iris", "mnist5k"])
    table, found = claims.ledger(reference, names, protocol, stability=False)
    found = found.merge(table[["key", "verdict"]], on="key").assign(protocol=protocol)
    order = ["key", "dataset"]
    found, kept = (part.sort_values(order, ignore_index=True) for part in (found[kept.columns], kept))
    pd.testing.assert_frame_equal(found, kept, rtol=1e-12, atol=1e-12)


def test_every_claim_with_a_test_has_evidence_in_the_reference_results(reference):
    assert {claim.key for claim in claims.CLAIMS.values() if claim.test} == set(reference.claim)


def test_the_readme_is_given_questions_and_the_rest_stays(tmp_path, monkeypatch):
    (tmp_path / "book").mkdir()
    monkeypatch.setattr(claims, "TABLE", tmp_path / "book" / "claims.csv")
    claims.ledger(measured("early", 0.8 + 0.01 * NOISE), ["cancer"])[0].to_csv(claims.TABLE, index=False)
    (tmp_path / "README.md").write_text("before\n<!-- verdicts -->\nold\n<!-- end of verdicts -->\nafter\n")
    claims.main()
    lines = (tmp_path / "README.md").read_text().splitlines()
    assert lines[:2] == ["before", "<!-- verdicts -->"] and lines[-2:] == ["<!-- end of verdicts -->", "after"]
    line = next(line for line in lines if claims.get("early").asks in line)
    assert (
        "| 1 | 0 | 0 | 0 | reproduced |" in line and len(lines) == 16 and 'answers/early.svg" alt="reproduced"' in line
    )
