"""Evidence: the numbers that decide claims, one long table that notebooks write and nothing but `claims` judges.

A row is one number: claim (a key of claims.yaml), dataset (or network), protocol, split (which division into training
and test set), seed, reading (which of `READINGS`), value. Most values are differences between two networks of one seed.
"""

from pathlib import Path

import pandas as pd

from legc_utils import protocols
from study import claims, results

COLUMNS = ["claim", "dataset", "protocol", "split", "seed", "reading", "value"]
# The number itself; the same of what must not work, such as random masks of the same size; both after the last epoch
READINGS = ("effect", "placebo", "last", "last_placebo")


def save(values, notebook, dataset, protocol, out_dir, split=None, **others):
    """Write what a notebook has measured: out_dir/evidence/notebook/dataset-protocol.csv, the whole file or nothing.

    Parameters
    ----------
    values : dict of str to Series
        For each claim of this notebook (its key) one number a seed, indexed by seed, or by split and seed; where no
        seed is involved, by what stands in its place (a draw, the name of a series). NaN, for what could not be
        measured, is kept.
    notebook, dataset, protocol, out_dir : str
        As in `results.save`; a network's name may stand for a data set.
    split : str, optional
        The division of the data, of values that are not indexed by it. By default "fixed" where the protocol has but
        one, or the seed it was drawn from.
    **others : the other `READINGS` by name (placebo, last, last_placebo), dicts as `values`

    Raises
    ------
    ValueError
        For a claim that claims.yaml does not have or has under another notebook, a reading that is unknown or without
        an effect, or two numbers for one seed of a split.
    """
    if split is None:  # what `datasets.load` does unless told otherwise
        split = "fixed" if protocols.get(protocol).name == "published" else "0"
    readings, parts = {"effect": values} | others, []
    for reading, numbers in readings.items():
        if reading not in READINGS:
            raise ValueError(f"reading {reading!r} is unknown; allowed: {', '.join(READINGS)}")
        for key, series in numbers.items():
            if (owner := claims.get(key).notebook) != notebook:
                raise ValueError(f"claim {key!r} is not {notebook}'s; claims.yaml has it in {owner or 'no chapter'}")
            if key not in values:
                raise ValueError(f"claim {key!r} has a {reading}, but no effect")
            if not series.index.is_unique:
                twice = series.index[series.index.duplicated()][0]
                raise ValueError(f"claim {key!r} has two numbers for seed={twice}")
            drawn, seed = [split] * len(series), series.index
            if series.index.nlevels == 2:
                drawn, seed = (series.index.get_level_values(level) for level in (0, 1))
            parts.append(pd.DataFrame({
                "claim": key, "dataset": dataset, "protocol": protocol, "split": drawn, "seed": seed,
                "reading": reading, "value": series.to_numpy(dtype=float),
            }))  # fmt: skip
    table = pd.concat(parts, ignore_index=True)
    if protocols.get(protocol).name == "published":
        table["split"] = split  # whatever seed was given for it, it is the authors'
    path = Path(out_dir, "evidence", notebook, f"{dataset}-{protocol}.csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    results.write(path, table[COLUMNS].to_csv(index=False))


def joined(parts):
    """What was measured on several splits, as `save` takes it.

    parts : dict of split to dict of str to Series, one number a seed; a split may lack some

    Returns dict of str to Series, indexed by split and seed, in the order in which the names first come.
    """
    names = dict.fromkeys(name for part in parts.values() for name in part)
    return {
        n: pd.concat({k: part[n] for k, part in parts.items() if n in part}, names=["split", "seed"]) for n in names
    }


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
