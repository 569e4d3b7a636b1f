"""The ledger as data: claims.json, which a program can read, described as JSON-LD with schema.org's terms.

Each claim is a ClaimReview of schema.org: what is claimed and where, how it was tested, the verdict and, for every data
set and protocol, what came out, with the addresses of its page and of its rows. claims.schema.json says what is in it.
"""

import json
from importlib import metadata
from pathlib import Path

import numpy as np

from study import claims, results, texts
from study.parameters import NETWORKS

PROTOCOLS = (claims.MAIN, "published", "corrected")
PRINTED = "printed"  # what stands for a data set where a claim is about the paper's own numbers
PAPER = {
    "@type": "ScholarlyArticle",
    "@id": "https://arxiv.org/abs/2308.09955",
    "name": "To prune or not to prune: a chaos-causality approach to principled pruning of dense neural networks",
}
ROWS = "_static/results"  # of the rendered book: the folder of results
SCHEMA = "claims.schema.json"
TERMS = "https://schema.org/"
OWN = f"https://github.com/legcnet-companion/legcnet-companion/blob/main/book/{SCHEMA}#"
# schema.org's own terms by name; all others are those of the schema
CONTEXT = {"@vocab": OWN} | {
    term: TERMS + term
    for term in ("Claim", "ClaimReview", "Dataset", "Rating", "ScholarlyArticle", "alternateName", "appearance",
                 "claimReviewed", "isBasedOn", "itemReviewed", "name", "reviewRating", "text")
}  # fmt: skip
CONTEXT |= {"url": {"@id": f"{TERMS}url", "@type": "@id"}, "rows": {"@type": "@id"}, "provenance": {"@type": "@id"}}


def as_json(ledgers, evidence):
    """All verdicts with what they rest on, as plain values that `json` can write.

    Parameters
    ----------
    ledgers : dict of str to (DataFrame, DataFrame)
        For each of `PROTOCOLS` what `claims.ledger` returns under it.
    evidence : DataFrame, as `evidence.load` returns: what the ledgers were made from

    Returns
    -------
    dict: what claims.schema.json describes. Addresses are relative to the folder of the file in the rendered book.

    Raises
    ------
    ValueError
        If a protocol has no ledger.
    """
    if missing := [protocol for protocol in PROTOCOLS if protocol not in ledgers]:
        raise ValueError(f"ledgers={list(ledgers)} lack {missing[0]!r}; needed: {', '.join(PROTOCOLS)}")
    saved = evidence[(evidence.reading == "effect") & evidence.value.notna()]
    saved = set(saved[["claim", "dataset", "protocol"]].itertuples(index=False, name=None))
    names = dict.fromkeys(name for _, found in ledgers.values() for name in found.dataset if name != PRINTED)
    rows = {protocol: ledger.set_index("key") for protocol, (ledger, _) in ledgers.items()}
    return {
        "@context": CONTEXT,
        "@type": "Dataset",
        "$schema": SCHEMA,
        "name": "LEGCNet, re-derived: the verdicts",
        "isBasedOn": PAPER,
        "git_commit": results.git_commit(),
        "margins_fixed": claims.margins_fixed(),
        "packages": {name: metadata.version(name) for name in results.PACKAGES},
        "level": claims.LEVEL,
        "fewest": claims.FEWEST,
        "stable": claims.STABLE,
        "datasets": [{"@type": "Dataset", "name": name, "sha256": _checksum(name)} for name in names],
        "claims": [_claim(claim, rows, ledgers, saved) for claim in claims.CLAIMS.values()],
    }


def save(ledgers, evidence, out_dir):
    """Write `as_json` to out_dir/claims.json, the whole file or nothing; returns its path."""
    path = Path(out_dir, "claims.json")
    text = json.dumps(as_json(ledgers, evidence), indent=1, ensure_ascii=False, allow_nan=False)
    results.write(path, text + "\n")
    return path


def _checksum(name):
    """The SHA-256 of the data set of that name, or of what the network of that name learns."""
    return texts.checksum(NETWORKS[name].datasets[0] if name in NETWORKS else name)


def _claim(claim, rows, ledgers, saved):
    """One claim: how it was tested, its verdict, and the findings on each data set under each protocol."""
    row = rows[claims.MAIN].loc[claim.key]
    words = {protocol: claims.in_words(rows[protocol].loc[claim.key]) for protocol in PROTOCOLS}
    found = [
        _finding(claim, protocol, finding, saved)
        for protocol, (_, table) in ledgers.items()
        for finding in table[table.key == claim.key].itertuples()
    ]
    test = {
        "kind": claim.test, "reference": claim.reference, "least": claim.least, "level": claims.LEVEL,
        "margins": list(claim.margins), "why": claim.why, "scale": claim.scale, "unit": claim.unit, "most": claim.most,
    }  # fmt: skip
    pooled = {"effect": "pooled_effect", "low": "low", "high": "high", "p_holm": "p_holm"}
    return {
        "@type": "ClaimReview",
        "@id": f"#{claim.key}",
        "key": claim.key,
        "section": claim.section,
        "claimReviewed": claim.says,
        "itemReviewed": {"@type": "Claim", "text": claim.says}
        | ({} if claim.section == claims.BEYOND else {"appearance": {"@id": PAPER["@id"]}}),
        "asks": claim.asks or None,
        "tested": claim.tested,
        "test": test if claim.test else None,
        "verdict": row.verdict,
        "reviewRating": {"@type": "Rating", "alternateName": words[claims.MAIN]},
        "verdicts": words,
        "counts": {column: int(row[column]) for column in claims.COLUMNS},
        "placebo_counts": {column: int(row[f"placebo_{column}"]) for column in claims.COLUMNS},
        "pooled": {name: _number(row[column]) for name, column in pooled.items()},
        "stability": _number(row.stability),
        "nothing_of_legc": bool(row.nothing_of_legc),
        "url": f"{claim.notebook}/index.html" if claim.test and found else "claims.html",
        "findings": found,
    }


def _finding(claim, protocol, row, saved):
    """What came out on one data set, with the addresses of its page, of its rows and of what says how they were made.

    saved : set of (claim, data set, protocol), of what has evidence
    """
    own = next(p for p in (protocol, "published") if (claim.key, row.dataset, p) in saved)
    _, _, heading = claim.chapter.partition("#")
    page = f"{row.dataset}.html{heading and f'#{heading}'}" if row.dataset != PRINTED else "index.html"
    at = f"{claim.notebook}/{row.dataset}-{own}"
    numbers = ("effect", "low", "high", "stability")
    return {
        "dataset": row.dataset,
        "protocol": protocol,
        "computed_under": own,
        "counted": bool(row.counted),
        "n": int(row.n),
        "runs": int(row.runs),
        **{name: _number(getattr(row, name)) for name in numbers},
        "outcome": row.outcome,
        "placebo": {"effect": _number(row.placebo), "outcome": row.placebo_outcome or None},
        "last": {"effect": _number(row.last), "outcome": row.last_outcome or None},
        "url": f"{claim.notebook}/{page}",
        "rows": f"{ROWS}/evidence/{at}.csv",
        "provenance": f"{ROWS}/{at}.json" if row.dataset != PRINTED else None,
    }


def _number(value):
    """A float that JSON has, or None for NaN and infinities."""
    return float(value) if np.isfinite(value) else None
