"""The ledger: every claim of the paper, how it was tested, what came out, and a verdict that follows from it.

Verdicts are functions of the evidence that notebooks save (`evidence`) and of claims.yaml, nothing else: `ledger`
applies one of the tests below to each claim. `python -m study.claims RESULTS` writes claims.csv and the table in the
README; without a folder, the table alone.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy
import yaml

from study import results

VERDICTS = ("reproduced", "partly", "not reproduced", "not testable")
OUTCOMES = ("supported", "undecided", "contradicted", "too few")
SIGNS = dict(zip(OUTCOMES, "+?−o"))
BEYOND = "beyond"  # the section of rows that the paper does not claim, but its idea needs
TABLE = Path(__file__).parents[1] / "claims.csv"
_DATA = yaml.safe_load(TABLE.with_name("claims.yaml").read_text(encoding="utf-8"))
LEVEL, LEAST = _DATA["level"], _DATA["least"]


# The tests. Each takes one number a seed and returns effect, low, high, n, p and outcome.


def _finding(values, level, outcome, p=np.nan, least=2):
    effect, low, high = results.interval(values, level)
    decided = outcome(low, high) if len(values) >= least else "too few"
    return dict(effect=effect, low=low, high=high, n=len(values), p=p, outcome=decided)


def _clean(values):
    values = np.asarray(values, dtype=np.float64)
    return values[~np.isnan(values)]


def equivalence(differences, margin):
    """Two one-sided tests (Schuirmann 1987): is the mean difference within ±margin?

    differences : float (n,), paired, NaN left out. The interval is the one that decides, of level 1 − 2·LEVEL.

    Returns
    -------
    dict of effect (mean), low, high, n, p (NaN) and outcome: supported if the interval lies inside ±margin,
    contradicted if it lies outside, undecided otherwise, and "too few" below `LEAST` differences.
    """

    def outcome(low, high):
        if low > -margin and high < margin:
            return "supported"
        return "contradicted" if low > margin or high < -margin else "undecided"

    return _finding(_clean(differences), 1 - 2 * LEVEL, outcome, least=LEAST)


def superiority(differences, margin=0.0):
    """One-sided paired t-test: is the mean difference above the margin?

    Returns a dict as `equivalence`, with p, and effect and interval (of level 1 − LEVEL) counted from the margin. The
    outcome is supported if p < LEVEL, which `correct` tightens for the number of tests; contradicted if the whole
    interval lies below the margin; undecided otherwise, and "too few" below `LEAST` differences.
    """
    d = _clean(differences) - margin
    if len(d) < 2:
        p = np.nan
    elif np.ptp(d) <= 1e-12 * np.abs(d).max():  # equal but for rounding: no t statistic; a sign test, all on one side
        p = 0.5 ** len(d) if d[0] > 0 else 1.0
    else:
        p = scipy.stats.ttest_1samp(d, 0, alternative="greater").pvalue

    def outcome(low, high):
        if p < LEVEL:
            return "supported"
        return "contradicted" if high < 0 else "undecided"

    return _finding(d, 1 - LEVEL, outcome, p, LEAST)


def at_least(values, margin):
    """Is the mean at least `margin`? Supported if the interval's lower end is, contradicted if its upper end is not."""

    def outcome(low, high):
        return "supported" if low >= margin else "contradicted" if high < margin else "undecided"

    return _finding(_clean(values), 1 - LEVEL, outcome)


def near(values, margin):
    """One comparison without an interval: is the first value within ±margin, or ± the second if that is more?

    values : (found − printed, one test sample).
    """
    difference, sample = values
    outcome = "supported" if abs(difference) <= max(margin, sample) + 1e-9 else "contradicted"
    return dict(effect=difference, low=np.nan, high=np.nan, n=1, p=np.nan, outcome=outcome)


def correct(found):
    """Holm's correction over all superiority tests of a ledger: `found` with column p_holm and outcomes to match."""
    found = found.assign(p_holm=np.nan)
    tested = found.p.notna()
    if tested.any():
        from statsmodels.stats.multitest import multipletests  # half a second, which the Snakefile need not wait for

        found.loc[tested, "p_holm"] = multipletests(found.p[tested], LEVEL, "holm")[1]
        lost = tested & (found.outcome == "supported") & ~(found.p_holm < LEVEL)
        found.loc[lost, "outcome"] = "undecided"
    return found


def verdict(outcomes, most="reproduced"):
    """What the outcomes on all data sets add up to.

    outcomes : sequence of `OUTCOMES`, one a data set
    most : str
        The best verdict that the test can give: "partly" for a necessary condition that proves less than the claim.

    Returns
    -------
    str: "reproduced" if every data set supports the claim, "partly" if some do, "not reproduced" if none does, "not
    testable" without outcomes. Data sets with "too few" seeds do not count.
    """
    if unknown := set(outcomes) - set(OUTCOMES):
        raise ValueError(f"outcome={sorted(unknown)[0]!r} is unknown; allowed: {', '.join(OUTCOMES)}")
    outcomes = [o for o in outcomes if o != "too few"]
    if not outcomes:
        return "not testable"
    supported = outcomes.count("supported")
    if supported == 0:
        return "not reproduced"
    return most if supported == len(outcomes) else "partly"


@dataclass(frozen=True)
class Claim:
    """One row of the ledger, with the fields of claims.yaml, which explains them.

    A claim without a test is not testable; `tested` says why. Raises ValueError for a test or verdict that is unknown.
    """

    key: str
    section: str
    says: str
    tested: str
    asks: str = ""
    chapter: str = ""
    test: str | None = None
    margin: float | None = None
    on: tuple | None = None
    most: str = "reproduced"

    def __post_init__(self):
        for field, allowed in (("test", TESTS), ("most", VERDICTS)):
            value = getattr(self, field)
            if value is not None and value not in allowed:
                raise ValueError(f"claim {self.key!r}: {field}={value!r} is unknown; allowed: {', '.join(allowed)}")

    @property
    def notebook(self):
        """The notebook that saves the claim's evidence; "" if it cannot be tested."""
        return self.chapter.partition("#")[0]

    def decide(self, values):
        """The test's finding on the evidence, one number a seed: dict of effect, low, high, n, p and outcome."""
        test = TESTS[self.test]
        return test(values) if self.margin is None else test(values, self.margin)


TESTS = {test.__name__: test for test in (equivalence, superiority, at_least, near)}
CLAIMS = {claim["key"]: Claim(**claim) for claim in _DATA["claims"]}  # in the order of the ledger


def get(key):
    """The claim of that key. Raises ValueError, with the keys that there are, for another."""
    if key not in CLAIMS:
        raise ValueError(f"claim {key!r} is unknown; allowed: {', '.join(CLAIMS)}")
    return CLAIMS[key]


def counted(names):
    """The data sets `names`, then what single claims are about beside them: held-out data, networks. List of str."""
    return list(dict.fromkeys([*names, *(name for claim in CLAIMS.values() for name in claim.on or ())]))


def ledger(evidence, names, protocol="published"):
    """Put every claim to its test.

    Parameters
    ----------
    evidence : DataFrame, as `evidence.load` returns
    names : sequence of str
        Data sets and networks, in order. One without evidence for a claim, or with nothing but NaN (not printed, never
        reached), is not counted for that claim.
    protocol : str

    Returns
    -------
    (claims, found) : DataFrames. claims has a row a claim: key, section, says, tested, page, verdict, and how many data
    sets are supported, undecided, contradicted and too_few. found has a row a claim and data set: key, dataset, effect,
    low, high, n, p, p_holm, outcome.

    Raises
    ------
    ValueError
        For evidence of a claim that is not in claims.yaml.
    """
    evidence = evidence[evidence.protocol == protocol]
    values = {(get(key).key, name): v.to_numpy() for (key, name), v in evidence.groupby(["claim", "dataset"]).value}
    found = []
    for claim in CLAIMS.values():
        for name in names if claim.on is None else [name for name in names if name in claim.on]:
            if not np.isnan(values.get((claim.key, name), np.nan)).all():
                found.append(dict(key=claim.key, dataset=name) | claim.decide(values[claim.key, name]))
    columns = ["key", "dataset", "effect", "low", "high", "n", "p", "outcome"]
    found = pd.DataFrame(found, columns=columns)
    beyond = found.key.isin([claim.key for claim in CLAIMS.values() if claim.section == BEYOND])
    found = pd.concat([correct(found[~beyond]), correct(found[beyond])])  # the paper's claims are a family of their own
    rows = []
    for claim in CLAIMS.values():
        outcomes = found.outcome[found.key == claim.key].tolist()
        row = {k: getattr(claim, k) for k in ("key", "section", "says", "tested")} | {"page": claim.chapter}
        row["verdict"] = verdict(outcomes, claim.most)
        rows.append(row | {o.replace(" ", "_"): outcomes.count(o) for o in OUTCOMES})
    return pd.DataFrame(rows), found


def matrix(found):
    """The outcomes of a ledger as `SIGNS`: DataFrame, a row a claim (key), a column a data set; "·" if not tested."""
    signs = found.set_index(["key", "dataset"]).outcome.map(SIGNS).unstack()  # noqa: PD010
    return signs.reindex(index=list(CLAIMS), columns=found.dataset.unique()).fillna("·")


def in_words(claims):
    """Verdicts as tables show them: what the paper does not claim cannot be reproduced; it holds or is not shown."""
    beyond = claims.verdict.replace({"reproduced": "holds", "not reproduced": "not shown"})
    return claims.verdict.where(claims.section != BEYOND, beyond)


def markdown(claims):
    """The questions of claims.yaml as the README answers them: question, data sets by outcome, verdict.

    claims : DataFrame, the first that `ledger` returns.
    """
    lines = ["| | yes | undecided | no | verdict |", "| --- | --- | --- | --- | --- |"]
    for row in claims.assign(verdict=in_words(claims)).itertuples():
        if asks := get(row.key).asks:
            tested = row.supported + row.undecided + row.contradicted
            yes = f"{row.supported} of {tested} data sets" if tested else "–"
            lines.append(f"| {asks} | {yes} | {row.undecided} | {row.contradicted} | {row.verdict} |")
    return "\n".join(lines)


def main(out_dir=None):
    """Write the verdicts of the results in `out_dir` to `TABLE`, then those of `TABLE` between the README's marks."""
    if out_dir:
        claims = results.load("claims", "all", "published", out_dir)
        claims.drop(columns=["dataset", "protocol"]).to_csv(TABLE, index=False)
    readme = TABLE.parent.parent / "README.md"
    before, rest = readme.read_text().split("<!-- verdicts -->\n")
    _, after = rest.split("<!-- end of verdicts -->")
    answers = markdown(pd.read_csv(TABLE))
    readme.write_text(f"{before}<!-- verdicts -->\n{answers}\n<!-- end of verdicts -->{after}")


if __name__ == "__main__":
    main(*sys.argv[1:])
