"""The paper against itself: which printed numbers are possible, and which field of the protocol does what."""

from dataclasses import asdict
from itertools import combinations_with_replacement
from math import comb

import numpy as np
import pandas as pd

from legc_utils import protocols
from study import paper

MOST_CONFUSIONS = 100_000
_HALF = 0.5e-4  # printed to four decimals


def grim(value, n):
    """Whether a share printed to four decimals can be k of n (GRIM test, Brown & Heathers 2017).

    Raises ValueError unless 0 ≤ value ≤ 1 and n is a positive whole number.
    """
    if not 0 <= value <= 1:
        raise ValueError(f"value={value!r} is not allowed; give a share from 0 to 1")
    if not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"n={n!r} is not allowed; give a positive whole number")
    return bool(abs(round(value * n) / n - value) <= _HALF * (1 + 1e-9))


def f1_range(class_sizes, n_wrong):
    """Least and largest macro F1 with exactly n_wrong of the samples misclassified, each by one predicted class.

    class_sizes : sequence of int, samples of each class in the test set. (NaN, NaN) where there are more than
    `MOST_CONFUSIONS` confusion matrices to look at.
    """
    K = len(class_sizes)
    errors = [(true, said) for true in range(K) for said in range(K) if true != said]
    if comb(n_wrong + len(errors) - 1, n_wrong) > MOST_CONFUSIONS:
        return np.nan, np.nan
    found = []
    for wrong in combinations_with_replacement(errors, n_wrong):
        confusion = np.diag(class_sizes)
        for true, said in wrong:
            confusion[true, true] -= 1
            confusion[true, said] += 1
        if (np.diag(confusion) >= 0).all():
            both = confusion.sum(axis=0) + confusion.sum(axis=1)
            found.append((2 * np.diag(confusion) / np.maximum(both, 1)).mean())
    return (min(found), max(found)) if found else (np.nan, np.nan)


def printed_scores(dataset, class_sizes, n_total):
    """What Tables 1 to 3 print for a data set, and whether it is possible.

    class_sizes : samples of each class in the authors' test set; n_total : rows of the whole data set.

    Returns
    -------
    DataFrame, one row a model: accuracy and f1 as printed; possible_used and possible_80_20, whether the accuracy is
    k of the test samples used, and of a fifth of the data (section 5); f1_least and f1_most, the range of macro F1
    with that accuracy; f1_possible (missing where the range is not known).
    """
    n_used, n_fifth = sum(class_sizes), n_total - int(0.8 * n_total)
    table = paper.printed(dataset)[["accuracy", "f1"]].dropna()
    table["possible_used"] = [grim(a, n_used) for a in table.accuracy]
    table["possible_80_20"] = [grim(a, n_fifth) for a in table.accuracy]
    ranges = [f1_range(class_sizes, n_used - round(a * n_used)) for a in table.accuracy]
    table["f1_least"], table["f1_most"] = np.array(ranges).reshape(-1, 2).T
    inside = (table.f1 >= table.f1_least - _HALF) & (table.f1 <= table.f1_most + _HALF)
    table["f1_possible"] = inside.astype("boolean").mask(table.f1_least.isna())
    return table


def switches(protocol):
    """The protocol with one field changed at a time: dict of "field: old → new" to Protocol, "as it is" first.

    Every field in which `published` and `corrected` differ takes the other protocol's value; `rule` takes the other
    reading of the paper (section 4 against sections 2.2 and 3.6).
    """
    other = "published" if protocol.name == "corrected" else "corrected"
    theirs = asdict(protocols.get(other, protocol.dataset)) | {
        "rule": "causal" if protocol.rule == "noncausal" else "noncausal"
    }
    mine = asdict(protocol)
    idle = {"name", "resplit"} | (set() if protocol.dataset.startswith("iris") else {"uci_iris"})
    changed = {"as it is": protocol}
    for field in mine:
        if field not in idle and mine[field] != theirs[field]:
            changed[f"{field}: {mine[field]} → {theirs[field]}"] = protocols.get(protocol, **{field: theirs[field]})
    return changed


def table_arithmetic():
    """Sums that Tables 1 and 2 must satisfy, one row a data set and table, with `holds`."""
    one, two = paper.TABLE_1, paper.TABLE_2
    rows = []
    for dataset, row in one.iterrows():
        percent = 100 * row.non_causal / row.flops_dense
        rows += [
            (dataset, "Table 1: weights − FLOPs = non-causal weights", row.flops_dense - row.flops_FT, row.non_causal),
            (dataset, "Table 1: % pruned", round(percent, 2), row.pruned_percent_FT),
            (dataset, "Tables 1 and 2: FLOPs of FT", row.flops_FT, two.flops_FT[dataset]),
            (dataset, "Table 2: % pruned", round(100 * (1 - two.flops_PT[dataset] / row.flops_dense), 2),
             two.pruned_percent_PT[dataset]),
        ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["dataset", "check", "computed", "printed"])
    return table.assign(holds=(table.computed - table.printed).abs() <= 0.01 + 1e-9)


def table4_outside():
    """Every alpha that Table 4 prints outside the 2 to 6 of the sentence on it: DataFrame model, layer, alpha."""
    alpha = paper.TABLE_4.filter(regex=r"^alpha_\d$").rename(columns=lambda c: int(c[-1]))
    long = alpha.reset_index().melt("model", var_name="layer", value_name="alpha")
    return long[~long.alpha.between(paper.ALPHA_LOW, paper.ALPHA_HIGH)].reset_index(drop=True)


def switch_effects(rows):
    """What switching each field does, from the rows of notebook 09_switches of one or more data sets.

    Returns
    -------
    DataFrame by field: pruned_low and pruned_high, gap_low and gap_high: the least and the largest effect over the data
    sets (means over seeds, in percentage points) on the share that LEGCNet-FT prunes and on FT − dense accuracy.
    """
    rows = rows.assign(name=rows.field.str.split(":").str[0])
    mean = rows.groupby(["dataset", "name"])[["pruned_percent", "gap_points"]].mean()
    base = mean.xs("as it is", level="name")
    effect = mean.drop("as it is", level="name").sub(base, axis=0).rename(columns=lambda c: c.split("_")[0])
    found = effect.groupby("name").agg(["min", "max"])
    found.columns = [f"{quantity}_{dict(min='low', max='high')[end]}" for quantity, end in found.columns]
    return found
