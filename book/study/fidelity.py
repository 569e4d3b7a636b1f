"""The authors' released masks against ours, from their initial weights: the sharpest test of `published`.

The released weights carry no licence, so they are not part of this repository. With the folder that holds
released/NAME.json in LEGC_DATA_DIR, `python -m study.fidelity` writes the table that the book shows.
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd

from legc_utils import datasets, protocols, selection

TABLE = Path(__file__).parents[1] / "fidelity.csv"
_BESIDE = Path(__file__).parents[3] / "shared" / "data"


def released(dataset):
    """Released initialisations and masks of a data set: dict of initialisations (W1, b1, W2, b2 each), pruned_FT, ….

    Raises FileNotFoundError, saying where the file is looked for.
    """
    file = Path(os.environ.get("LEGC_DATA_DIR") or _BESIDE) / "released" / f"{dataset}.json"
    if not file.is_file():
        raise FileNotFoundError(f"{file} is not here: name the folder with released/{dataset}.json in LEGC_DATA_DIR")
    return json.loads(file.read_text())


def compare(dataset, data, variant):
    """Find the masks from released initial weights and compare.

    Parameters
    ----------
    dataset : str
    data : dict, as `released` gives it
    variant : str, "FT" or "PT"

    Returns
    -------
    DataFrame, one row an initialisation: dataset, variant, initialisation (from 1), weights, pruned_released and
    pruned_here (numbers of weights), differing (weights on which the two masks disagree).
    """
    protocol = protocols.get("published", dataset)
    flat = lambda *names: np.array([np.concatenate([np.ravel(i[n]) for n in names]) for i in data["initialisations"]])
    initial = flat("W1", "W2"), flat("b1", "b2")
    seeds = range(len(initial[0]))
    found = selection.find_masks(datasets.load(dataset), protocol.hidden, seeds, protocol, variant, initial=initial)
    theirs = np.ones_like(found.masks)
    for mask, pruned in zip(theirs, data[f"pruned_{variant}"]):
        mask[pruned] = False
    return pd.DataFrame({
        "dataset": dataset, "variant": variant, "initialisation": np.arange(1, len(theirs) + 1),
        "weights": theirs.shape[1], "pruned_released": (~theirs).sum(axis=1), "pruned_here": (~found.masks).sum(axis=1),
        "differing": (theirs != found.masks).sum(axis=1),
    })  # fmt: skip


def table():
    """`compare` for every released data set and variant that is here."""
    rows = []
    for dataset in protocols.DATASETS:
        try:
            data = released(dataset)
        except FileNotFoundError:
            continue
        rows += [compare(dataset, data, variant) for variant in protocols.VARIANTS if f"pruned_{variant}" in data]
    if not rows:
        raise FileNotFoundError(f"no released masks in {os.environ.get('LEGC_DATA_DIR') or _BESIDE}")
    return pd.concat(rows, ignore_index=True)


if __name__ == "__main__":
    found = table()
    found.to_csv(TABLE, index=False)
    print(found.to_string(index=False))
