"""The ledger: every claim of the paper, how it was tested, what came out, and a verdict that follows from it.

Verdicts are functions of the evidence that notebooks save (`evidence`) and of claims.yaml, nothing else. On each data
set a claim's evidence has one mean for every split; their interval decides, for or against at the same level, or that
nothing larger than the smallest effect of interest is there. `python -m study.claims RESULTS` writes claims.csv and the
table in the README; without a folder, the table alone.
"""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy
import yaml

from study import randomness, results

VERDICTS = ("reproduced", "partly", "refuted", "undecided", "not testable")
OUTCOMES = ("shown", "shown absent", "shown the other way", "undecided", "too few")
SIGNS = dict(zip(OUTCOMES, "+∅−?o"))
AGAINST = OUTCOMES[1:3]
COUNTED = OUTCOMES[:4]
COLUMNS = [name.replace(" the", "").replace(" ", "_") for name in COUNTED]  # of a table of counts
TESTS = ("more", "same", "no_less", "at_least", "exact")
BEYOND = "beyond"  # the section of rows that the paper does not claim, but its idea needs
MAIN = "resplit"  # the protocol that verdicts are about: the paper's, whatever the split
TABLE = Path(__file__).parents[1] / "claims.csv"
ANSWERS = TABLE.parent / "_static" / "answers"  # a picture for each question of the README
_DATA = yaml.safe_load(TABLE.with_name("claims.yaml").read_text(encoding="utf-8"))
LEVEL, FEWEST, STABLE, SHOWN_ONLY = (_DATA[name] for name in ("level", "fewest", "stable", "shown_only"))
RESAMPLES = 400


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
    reference: float = 0.0
    least: float = 0.0
    why: str = ""
    scale: float = 1.0
    unit: str = ""
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

    @property
    def smallest(self):
        """The smallest effect of interest, or the floor of a test that has one."""
        return self.reference if self.test in ("at_least", "exact") else self.least

    def outcome(self, low, high):
        """What intervals show: array of `OUTCOMES`.

        low, high : float or arrays, bounds of the interval of level 1 − 2·LEVEL, in units of the evidence; NaN where
        there is none ("too few").
        """
        low, high, d = np.subtract(low, self.reference), np.subtract(high, self.reference), self.least
        above, below, inside = low > 0, high < 0, (low > -d) & (high < d)
        shown, absent, other, undecided, few = OUTCOMES
        if self.test == "more":
            cases = [(inside, absent), (above, shown), (below, other)]
        elif self.test == "same":
            cases = [(inside, shown), (above | below, other)]
        elif self.test == "no_less":
            cases = [(low > -d, shown), (below, other)]
        else:
            cases = [(low >= 0, shown), (below, other)]
        cases = [(np.isnan(low) | np.isnan(high), few), *cases]
        return np.select(*zip(*cases), default=undecided)

    @property
    def margins(self):
        """The values at which outcomes part, in the units of the evidence: tuple."""
        of = {"more": (-self.least, 0, self.least), "same": (-self.least, self.least), "no_less": (-self.least,)}
        return tuple(self.reference + margin for margin in of.get(self.test, (0,)))

    def p(self, effect, error, df):
        """The least one-sided level at which `outcome` decides, for a mean effect, its standard error and df."""
        effect = effect - self.reference
        t = lambda value: scipy.stats.t.sf(value / error, df) if error > 0 else float(value <= 0)
        more_than, less_than = (lambda bound: t(effect - bound)), (lambda bound: t(bound - effect))
        if self.test in ("more", "same"):
            found = max(more_than(-self.least), less_than(self.least)), more_than(0), less_than(0)
        elif self.test == "no_less":
            found = more_than(-self.least), less_than(0)
        else:
            found = more_than(0), less_than(0)
        return min(found)

    def decide(self, numbers, seed=None):
        """The finding on one data set.

        Parameters
        ----------
        numbers : Series by split and seed, or a sequence of floats, NaN left out.
            Where there are several splits, what counts is the mean of each; else every number.
        seed : int, optional, of the resamples behind `stability`; without it there are none

        Returns
        -------
        dict of effect (mean), low, high (interval of level 1 − 2·LEVEL), n (splits, or seeds of a single one), runs,
        outcome; and stability, the share of resampled splits and seeds with the same outcome. Outcomes are
        "too few" for fewer than `FEWEST` means, unless the test is exact.
        """
        table, each = _by_split(numbers), means(numbers)
        runs = int((~np.isnan(table)).sum())
        if self.test == "exact":
            effect = each.mean() if runs else np.nan
            found = dict(effect=effect, low=np.nan, high=np.nan, n=len(each), runs=runs)
            return found | dict(outcome=str(self.outcome(effect, effect)), stability=1.0)
        effect, low, high = results.interval(each, 1 - 2 * LEVEL)
        few = len(each) < FEWEST
        outcome = OUTCOMES[-1] if few else str(self.outcome(low, high))
        found = dict(effect=effect, low=low, high=high, n=len(each), runs=runs, outcome=outcome, stability=np.nan)
        if seed is not None and not few:
            again = self.outcome(*_resampled(table, seed))
            found |= dict(stability=(again == outcome).mean(), again=again)
        return found


CLAIMS = {claim["key"]: Claim(**claim) for claim in _DATA["claims"]}  # in the order of the ledger


def get(key):
    """The claim of that key. Raises ValueError, with the keys that there are, for another."""
    if key not in CLAIMS:
        raise ValueError(f"claim {key!r} is unknown; allowed: {', '.join(CLAIMS)}")
    return CLAIMS[key]


def counted(names):
    """The data sets `names`, then what single claims are about beside them: held-out data, networks. List of str."""
    return list(dict.fromkeys([*names, *(name for claim in CLAIMS.values() for name in claim.on or ())]))


def means(numbers):
    """The mean of every split, or every number of a single one, as `Claim.decide` counts them: float (n,)."""
    table = _by_split(numbers)
    return np.nanmean(table, axis=1) if len(table) else np.array([])


def _by_split(numbers):
    """Numbers as an array (n_splits, n_seeds), or (n, 1) of a single split, without rows and columns of NaN only."""
    if not isinstance(numbers, pd.Series) or numbers.index.nlevels == 1:
        table = np.asarray(numbers, dtype=np.float64).reshape(-1, 1)
    else:
        table = numbers.unstack().sort_index().sort_index(axis=1).to_numpy(dtype=np.float64)  # noqa: PD010
        table = table.reshape(-1, 1) if len(table) == 1 else table
    return table[~np.isnan(table).all(axis=1)]


def _resampled(table, seed):
    """Bounds of the interval of the mean for `RESAMPLES` draws of splits and, within each, of seeds."""
    rng, (n, k) = np.random.default_rng(seed), table.shape
    rows = rng.integers(n, size=(RESAMPLES, n, 1))
    drawn = table[rows, rng.integers(k, size=(RESAMPLES, n, k))]
    held = ~np.isnan(drawn)
    means = np.where(held, drawn, 0.0).sum(axis=2) / np.maximum(held.sum(axis=2), 1)
    means = np.where(held.any(axis=2), means, np.nanmean(table, axis=1)[rows[..., 0]])
    half = scipy.stats.t.ppf(1 - LEVEL, n - 1) * means.std(axis=1, ddof=1) / np.sqrt(n)
    return means.mean(axis=1) - half, means.mean(axis=1) + half


def pool(claim, found):
    """The mean effect over data sets of a claim, by a model of random effects with Hartung & Knapp's interval.

    found : DataFrame with effect, low, high, n, one row a data set; a single one speaks for itself.

    Returns
    -------
    dict of pooled_effect, low, high (level 1 − 2·LEVEL) and p, the least level at which the claim is decided; NaN
    without findings, and p of an exact test.
    """
    none = dict(pooled_effect=np.nan, low=np.nan, high=np.nan, p=np.nan)
    if found.empty:
        return none
    effects = found.effect.to_numpy(dtype=np.float64)
    if claim.test == "exact":  # a number without an error
        return dict.fromkeys(("pooled_effect", "low", "high"), effects.mean()) | dict(p=np.nan)
    errors = (found.high - found.low).to_numpy() / 2 / scipy.stats.t.ppf(1 - LEVEL, found.n.to_numpy() - 1)
    if len(effects) == 1:
        effect, error, df = effects[0], errors[0], found.n.iloc[0] - 1
    else:
        # half a second that the Snakefile need not wait for
        from statsmodels.stats.meta_analysis import combine_effects

        tiny = 1e-9 * max(np.abs(effects).max(), 1e-9)  # effects without any spread have weights too
        with np.errstate(all="ignore"):  # statistics of heterogeneity, which are not looked at
            both = combine_effects(effects, np.maximum(errors, tiny) ** 2, method_re="pm", use_t=True)
        effect, error, df = both.mean_effect_re, both.sd_eff_w_re_hksj, len(effects) - 1
    half = scipy.stats.t.ppf(1 - LEVEL, df) * error
    return dict(pooled_effect=effect, low=effect - half, high=effect + half, p=claim.p(effect, error, df))


def correct(pooled):
    """Holm's correction within the two families, whose sizes are those of claims.yaml.

    pooled : DataFrame by key, with pooled_effect, low, high and p

    Returns
    -------
    DataFrame with p_holm and pooled_outcome, which is undecided unless p_holm is below LEVEL. A claim that could not be
    tested here counts with a p of one, and exact ones, which have none, do not count.
    """
    from statsmodels.stats.multitest import multipletests

    pooled = pooled.assign(p_holm=np.nan, pooled_outcome=OUTCOMES[3])
    for beyond in (False, True):
        family = [key for key, c in CLAIMS.items() if c.test in TESTS[:-1] and (c.section == BEYOND) == beyond]
        p = pooled.p.reindex(family)
        corrected = pd.Series(multipletests(p.fillna(1), LEVEL, "holm")[1], family).where(p.notna()).dropna()
        pooled.loc[corrected.index, "p_holm"] = corrected
        for key in corrected.index[corrected < LEVEL]:
            pooled.loc[key, "pooled_outcome"] = str(get(key).outcome(pooled.low[key], pooled.high[key]))
    return pooled


def verdict(outcomes, pooled="undecided", most="reproduced"):
    """What the outcomes on all data sets add up to.

    Parameters
    ----------
    outcomes : sequence of `OUTCOMES`, one a data set; those with "too few" splits do not count
    pooled : str, the outcome of all data sets together
    most : str
        The best verdict that the test can give: "partly" for a necessary condition that proves less than the claim.

    Returns
    -------
    str: "reproduced" if every data set shows the claim, "partly" if some do. If none does, "refuted" if all decide
    against it, or most of them and all together; else "undecided". "not testable" without outcomes.
    """
    if unknown := set(outcomes) - set(OUTCOMES):
        raise ValueError(f"outcome={sorted(unknown)[0]!r} is unknown; allowed: {', '.join(OUTCOMES)}")
    shown, absent, other, undecided = (list(outcomes).count(outcome) for outcome in COUNTED)
    if not (n := shown + absent + other + undecided):
        return "not testable"
    if shown:
        return most if shown == n else "partly"
    if not undecided or (undecided < absent + other and pooled in AGAINST):
        return "refuted"
    return "undecided"


def margins_fixed():
    """The commit that last changed a margin or level in claims.yaml, abbreviated; None outside a checkout."""
    return results.last_change("book/claims.yaml", r"^ *(least|reference|level|fewest|stable):")


def in_words(row):
    """A verdict as tables show it: "partly (3 of 5)". row : of the ledger's claims, a namedtuple."""
    n = sum(getattr(row, column) for column in COLUMNS)
    words = f"{row.verdict} ({row.shown} of {n})" if row.verdict == "partly" else row.verdict
    if row.section == BEYOND:  # what the paper does not claim cannot be reproduced
        words = words.replace("reproduced", "holds")
    if n and row.stability < STABLE:
        words += ", unstable"
    return words


def measured(evidence, names, protocol=MAIN):
    """The numbers of every claim and data set: dict from (key, name) to dict of readings, Series by split and seed.

    In the ledger's order; arguments, and what is left out, as in `ledger`.
    """
    for key in evidence.claim.unique():
        get(key)
    if "reading" not in evidence:
        evidence = evidence.assign(reading="effect")
    cells, found = {}, {}
    for (*at, reading), part in evidence[evidence.value.notna()].groupby(["claim", "dataset", "protocol", "reading"]):
        cells.setdefault(tuple(at), {})[reading] = part.set_index(["split", "seed"]).value
    allowed = [protocol, "published"] if protocol == MAIN else [protocol]
    for claim in CLAIMS.values():
        for name in names if claim.on is None else [name for name in names if name in claim.on]:
            own = next((p for p in allowed if "effect" in cells.get((claim.key, name, p), ())), None)
            if own is not None:
                found[claim.key, name] = cells[claim.key, name, own]
    return found


def ledger(evidence, names, protocol=MAIN, stability=True):
    """Put every claim to its test.

    Parameters
    ----------
    evidence : DataFrame, as `evidence.load` returns; rows without a `reading` are effects
    names : sequence of str
        Data sets and networks. One without evidence for a claim, or with nothing but NaN (not printed, never reached),
        is not counted for that claim, nor is one of `SHOWN_ONLY`.
    protocol : str
        Under "resplit", what was computed on the published split only is taken from there.
    stability : bool, whether to resample splits and seeds, which takes seconds

    Returns
    -------
    (claims, found) : DataFrames. claims has a row a claim: key, section, says, tested, page, verdict, `COLUMNS` (counts
    of data sets) and the same of the placebo, smallest_effect, pooled_effect, low, high, p_holm, placebo (mean),
    stability, nothing_of_legc (whether random masks pass as well). found has a row a claim and data set: key, dataset,
    counted, effect, low, high, n, runs, outcome, stability, needed (splits that would decide it), and effect and
    outcome of the other readings.

    Raises
    ------
    ValueError
        For evidence of a claim that is not in claims.yaml.
    """
    from study.evidence import READINGS

    found, again = [], {}
    for (key, name), readings in measured(evidence, names, protocol).items():
        claim, seed = get(key), randomness.derived_seed(f"stability {key} {name}") if stability else None
        row = claim.decide(readings["effect"], seed)
        again[key, name] = row.pop("again", None)
        apart = max(claim.least, abs(row["effect"] - claim.reference))
        needed = row["n"] * ((row["high"] - row["low"]) / apart) ** 2
        row["needed"] = np.ceil(needed) if row["outcome"] == "undecided" else np.nan
        for reading in READINGS[1:]:
            other = claim.decide(readings[reading]) if reading in readings else {}
            row |= {reading: other.get("effect", np.nan), f"{reading}_outcome": other.get("outcome", "")}
        found.append(dict(key=key, dataset=name, counted=name not in SHOWN_ONLY) | row)
    columns = ["key", "dataset", "counted", "effect", "low", "high", "n", "runs", "outcome", "stability", "needed"]
    columns += [name for reading in READINGS[1:] for name in (reading, f"{reading}_outcome")]
    found = pd.DataFrame(found, columns=columns)
    return _add_up(found, again), found


def _add_up(found, again):
    """The claims of a ledger, from its findings and their resampled outcomes."""
    of = {claim.key: found[(found.key == claim.key) & found.counted.astype(bool)] for claim in CLAIMS.values()}
    valid = {key: part[part.outcome != OUTCOMES[-1]] for key, part in of.items()}
    pooled = pd.DataFrame({key: pool(get(key), part) for key, part in valid.items()}).T.astype(float)
    pooled = correct(pooled)
    rows = []
    for key, claim in CLAIMS.items():
        part, row = of[key], {k: getattr(claim, k) for k in ("key", "section", "says", "tested")}
        outcomes, placebo = part.outcome.tolist(), part.placebo_outcome.tolist()
        row |= {"page": claim.chapter, "verdict": verdict(outcomes, pooled.pooled_outcome[key], claim.most)}
        row |= {column: outcomes.count(outcome) for column, outcome in zip(COLUMNS, COUNTED)}
        row |= {f"placebo_{column}": placebo.count(outcome) for column, outcome in zip(COLUMNS, COUNTED)}
        row["smallest_effect"] = claim.smallest if claim.test else np.nan
        row |= pooled.loc[key, ["pooled_effect", "low", "high", "p_holm"]].to_dict()
        row["placebo"] = part.placebo.mean()
        drawn = [again.get((key, name)) for name in valid[key].dataset]
        row["stability"] = np.nan if not len(drawn) else 1.0
        if len(drawn) and all(each is not None for each in drawn):
            words = [verdict(each, pooled.pooled_outcome[key], claim.most) for each in zip(*drawn)]
            row["stability"] = np.mean([word == row["verdict"] for word in words])
        row["nothing_of_legc"] = bool(row["shown"] and row["placebo_shown"] >= row["shown"])
        rows.append(row)
    return pd.DataFrame(rows)


def matrix(found):
    """The outcomes of a ledger as `SIGNS`: DataFrame, a row a claim (key), a column a data set; "·" if not tested."""
    signs = found.set_index(["key", "dataset"]).outcome.map(SIGNS).unstack()  # noqa: PD010
    return signs.reindex(index=list(CLAIMS), columns=found.dataset.unique()).fillna("·")


def markdown(claims):
    """The questions of claims.yaml as the README answers them: with picture, effect, data sets by outcome, and verdict.

    claims : DataFrame, the first that `ledger` returns.
    """
    lines = [
        "| | each data set | effect | + | ∅ | − | ? | verdict |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in claims.itertuples():
        if asks := get(row.key).asks:
            counts = " | ".join(str(getattr(row, column)) for column in COLUMNS)
            picture = f'<img src="book/_static/answers/{row.key}.svg" alt="{in_words(row)}">'
            words = in_words(row) + ("; random masks as well" if row.nothing_of_legc else "")
            lines.append(f"| {asks} | {picture} | {effect_text(row)} | {counts} | {words} |")
    return "\n".join(lines)


def effect_text(row):
    """The pooled effect of a row of the ledger with its interval: "−0.33 points (−0.50 to −0.11)"."""
    claim, bounds = get(row.key), (row.pooled_effect, row.low, row.high)
    mean, low, high = (f"{claim.scale * bound + 0.0:.2f}".replace("-", "−") for bound in bounds)
    mean = f"{mean} {claim.unit}".strip()
    return "–" if np.isnan(row.pooled_effect) else mean if row.low == row.high else f"{mean} ({low} to {high})"


def main(out_dir=None):
    """Write the verdicts of the results in `out_dir` to `TABLE`, then those of `TABLE` between the README's marks."""
    if out_dir:
        claims = results.load("claims", "all", "published", out_dir)
        claims.drop(columns=["dataset", "protocol"]).to_csv(TABLE, index=False)
        shutil.copytree(Path(out_dir, "answers"), ANSWERS, dirs_exist_ok=True)
    readme = TABLE.parent.parent / "README.md"
    before, rest = readme.read_text().split("<!-- verdicts -->\n")
    _, after = rest.split("<!-- end of verdicts -->")
    answers = markdown(pd.read_csv(TABLE))
    readme.write_text(f"{before}<!-- verdicts -->\n{answers}\n<!-- end of verdicts -->{after}")


if __name__ == "__main__":
    main(*sys.argv[1:])
