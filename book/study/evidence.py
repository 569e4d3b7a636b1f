"""Evidence: the numbers that decide claims, one long table that notebooks write and nothing but `claims` judges.

A row is one number: claim (a key of claims.yaml), dataset (or network), protocol, split (which division into training
and test set), seed, value. Most values are differences between two networks of one seed.
"""

from pathlib import Path

import pandas as pd

from legc_utils import protocols
from study import claims, results

COLUMNS = ["claim", "dataset", "protocol", "split", "seed", "value"]


def save(values, notebook, dataset, protocol, out_dir, split=None):
    """Write what a notebook has measured: out_dir/evidence/notebook/dataset-protocol.csv, the whole file or nothing.

    Parameters
    ----------
    values : dict of str to Series
        For each claim of this notebook (its key) one number a seed, indexed by seed; where no seed is involved, by what
        stands in its place (a draw, the name of a series). NaN, for what could not be measured, is kept. A claim tested
        by `near` takes two: found − printed, and one test sample.
    notebook, dataset, protocol, out_dir : str
        As in `results.save`; a network's name may stand for a data set.
    split : str, optional
        The division of the data. By default "fixed" where the protocol has but one, or the seed it was drawn from.

    Raises
    ------
    ValueError
        For a claim that claims.yaml does not have or has under another notebook, or two numbers for one seed.
    """
    for key, numbers in values.items():
        if (owner := claims.get(key).notebook) != notebook:
            raise ValueError(f"claim {key!r} is not {notebook}'s; claims.yaml has it in {owner or 'no chapter'}")
        if not numbers.index.is_unique:
            raise ValueError(f"claim {key!r} has two numbers for seed={numbers.index[numbers.index.duplicated()][0]}")
    if split is None:  # what `datasets.load` does unless told otherwise
        split = "0" if protocols.get(protocol).stratify else "fixed"
    table = pd.concat(values, names=["claim", "seed"]).astype(float).rename("value").reset_index()
    table = table.assign(dataset=dataset, protocol=protocol, split=split)
    path = Path(out_dir, "evidence", notebook, f"{dataset}-{protocol}.csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    results.write(path, table[COLUMNS].to_csv(index=False))


def read(path):
    """One file of evidence: DataFrame with `COLUMNS`, values bit by bit as they were saved, split and seed as text."""
    return pd.read_csv(path, dtype={"split": str, "seed": str})


def load(out_dir="results"):
    """All evidence in a folder of results: DataFrame with `COLUMNS`.

    Raises FileNotFoundError, naming the folder, if there is none.
    """
    paths = sorted(Path(out_dir, "evidence").glob("*/*.csv"))
    if not paths:
        raise FileNotFoundError(f"no evidence in {Path(out_dir).resolve()}")
    return pd.concat([read(path) for path in paths], ignore_index=True)
