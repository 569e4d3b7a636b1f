"""What became of the verdicts of the version before: which moved, and why they could.

That version's ledger is book/claims_before.csv, the reasons are book/changed.yaml. Neither changes with a run.
"""

from pathlib import Path

import pandas as pd
import yaml

from study import claims

TABLE = Path(__file__).parents[1] / "claims_before.csv"
_DATA = yaml.safe_load(TABLE.with_name("changed.yaml").read_text(encoding="utf-8"))
MERGED = _DATA["merged"]  # key of then: key of the row that it is part of now
SIGNS = {"supported": "+", "undecided": "?", "contradicted": "−"}  # of then


def before():
    """The ledger of the version before, a row a claim, with the words of then: DataFrame."""
    return pd.read_csv(TABLE)


def reasons(key):
    """The sentences of changed.yaml about a claim of then or of now: str, "" if there are none."""
    return " ".join(why["because"] for why in _DATA["why"] if key in why["keys"])


def unknown(old, new):
    """Keys of changed.yaml that stand for nothing: sorted list.

    old, new : collections of the keys of then and of now
    """
    named = {key for why in _DATA["why"] for key in why["keys"]}
    return sorted((named - set(old) - set(new)) | (set(MERGED) - set(old)) | (set(MERGED.values()) - set(new)))


def _in_signs(row, signs):
    """The counts of data sets of a row: "4+ 2?"; "" if none was counted."""
    return " ".join(f"{getattr(row, column)}{sign}" for column, sign in signs.items() if getattr(row, column))


def compare(old, new, why=reasons, merged=MERGED):
    """Every claim of then beside what it is now.

    Parameters
    ----------
    old : DataFrame, as `before` returns
    new : DataFrame, the first that `claims.ledger` returns
    why : function from a key to the reasons why its verdict could move, "" without any
    merged : dict from keys of then to those of the rows that they are part of now

    Returns
    -------
    DataFrame with a row for each claim of then, in that order: key, says, now (the key of today), merged (whether that
    is another row), then and today (verdicts), then_counts and today_counts (data sets by outcome, as signs),
    today_words (the verdict as tables show it), moved (whether the verdicts' words differ) and why.

    Raises
    ------
    ValueError
        Naming the claims that moved without a reason, or those that have no row any more.
    """
    signs = dict(zip(claims.COLUMNS, claims.SIGNS.values()))
    today, rows = {row.key: row for row in new.itertuples()}, []
    if gone := [key for key in old.key if merged.get(key, key) not in today]:
        raise ValueError(f"claims without a row, and not merged in changed.yaml: {', '.join(gone)}")
    for row in old.itertuples():
        now = today[merged.get(row.key, row.key)]
        rows.append({
            "key": row.key, "says": row.says, "now": now.key, "merged": now.key != row.key,
            "then": row.verdict, "then_counts": _in_signs(row, SIGNS), "today": now.verdict,
            "today_counts": _in_signs(now, signs), "today_words": claims.in_words(now),
            "moved": row.verdict != now.verdict, "why": why(row.key),
        })  # fmt: skip
    table = pd.DataFrame(rows)
    if unexplained := table.key[table.moved & (table.why == "")].tolist():
        raise ValueError(f"verdicts moved without a reason in changed.yaml: {', '.join(unexplained)}")
    return table


def added(old, new):
    """The rows of today's ledger that the version before had not, merged ones aside: DataFrame, as `new`."""
    return new[~new.key.isin(old.key)]
