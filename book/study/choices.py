"""What a reader may choose on the page "Explore", and what comes of every choice: masks, accuracies, outcomes.

`python -m study.choices` computes the whole grid and writes `TABLE`, one data set, protocol and split after another.
What is there already is not computed again.
"""

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from legc_utils import datasets, granger, lyapunov, protocols, selection, training
from study import claims, rankings, results, texts
from study.randomness import derived_seed

TABLE = Path(__file__).parents[1] / "explore.csv.gz"
PARTS = TABLE.parents[1] / "_build/explore"
CLAIM = "superior_random"  # whose smallest effect of interest decides
DATASETS = ("cancer", "titanic", "banknote", "iris", "wine")
PROTOCOLS = ("resplit", "corrected")
LAGS = {"smallest p of all lags": dict(lag_choice="min"), "one lag": dict(lag_choice="min", max_lag=1),
        "the lag of BIC": dict(lag_choice="bic")}  # fmt: skip
GRID = {  # choice -> its levels, as the page offers them
    "dataset": DATASETS, "protocol": PROTOCOLS, "window": (50, 100, 200, 300), "overlap": (0.0, 0.5),
    "alpha": (0.01, 0.05, 0.1, 0.2), "lags": tuple(LAGS), "rule": protocols.CHOICES["rule"],
}  # fmt: skip
CHOICES = tuple(GRID)
SPLITS, DRAWS = range(40), 4  # one network a split; random masks a size, the last one as the placebo


def points(**chosen):
    """The grid, in the order of the table: DataFrame with a column a choice; `chosen` has a level for some of them."""
    levels = [(chosen[name],) if name in chosen else GRID[name] for name in CHOICES]
    return pd.DataFrame(itertools.product(*levels), columns=CHOICES)


def masks(split, protocol, seed=0):
    """LEGCNet-FT's mask at each of `points` of a data set and protocol, from one dense training.

    Returns bool (n_points, n_weights), True = keep; `selection.find_masks` would find the same, one by one.
    """
    protocol = protocols.get(protocol, split.name)
    n_rows = protocol.recorded_epochs * -(-len(split.X_train) // protocol.batch_size) + 1
    n_weights = training.count_weights(training.layer_sizes(split, protocol.hidden))
    windows = list(itertools.product(GRID["window"], GRID["overlap"]))
    choices = dict(decimals=protocol.decimals, steps=protocol.steps, **protocol.embedding)
    streams = [lyapunov.StreamingLyapunov(n_weights, *window, **choices) for window in windows]
    ends = [lyapunov.window_ends(n_rows, *window, needed=True) for window in windows]
    rows = np.unique(np.concatenate(ends))

    def take(piece):
        for stream in streams:
            stream.update(piece.reshape(len(piece), -1))

    read = dict(epochs=protocol.recorded_epochs, rows=rows, errors=(protocol.target,), evaluate=(), record=take)
    error = training.train_ensemble(split, protocol.hidden, [seed], protocol, **read).target_error[:, 0]
    found = {}
    for window, stream, end in zip(windows, streams, ends):
        target, exponents = error[np.searchsorted(rows, end)], stream.result()
        for name, change in LAGS.items():
            own = replace(protocol, **change)
            found[(*window, name)] = granger.protocol_pvalues(target, exponents, own, own.max_lag)
    kept = [
        selection.legc_mask(found[p.window, p.overlap, p.lags], p.alpha, p.rule, protocol.correction)
        for p in points(dataset=split.name, protocol=protocol.name).itertuples()
    ]
    return np.array(kept)


def race(split, protocol, kept, seed=0):
    """Accuracies at the stop under each mask of `kept` (n, n_weights), beside those of random ones of its size.

    Returns a DataFrame, a row a mask: accuracy, random (mean of `DRAWS`), placebo (one more random mask), dense.
    """
    protocol = protocols.get(protocol, split.name)
    different, place = np.unique(kept, axis=0, return_inverse=True)
    sizes, first, of_size = np.unique(kept.sum(axis=1), return_index=True, return_inverse=True)
    drawn = [[derived_seed("explore", split.seed, size, k) for size in sizes.tolist()] for k in range(DRAWS + 1)]
    random = np.concatenate([rankings.random_masks(kept[first], seeds) for seeds in drawn])
    every = np.concatenate([np.ones_like(kept[:1]), different, random])
    runs = training.train_ensemble(
        split, protocol.hidden, [seed], protocol, masks=every[None], evaluate="stop", halt=True
    )
    accuracy = runs.at_stop().accuracy.to_numpy()
    chance = accuracy[1 + len(different) :].reshape(DRAWS + 1, -1)[:, of_size.ravel()]
    own = accuracy[1:][place.ravel()]
    return pd.DataFrame(dict(accuracy=own, random=chance[:-1].mean(axis=0), placebo=chance[-1], dense=accuracy[0]))


def summary(dataset, protocol, folder=PARTS):
    """The table's rows of a data set and protocol: `points` with what came of them over `SPLITS`.

    Beside the choices: kept (share of weights, mean), accuracy, random, dense (means), effect, low, high, outcome
    (accuracy minus random, as the ledger decides `CLAIM`), the same four of a random mask with placebo_ before them,
    and mask (of the first split, "1" for a weight that is kept, in the order of `training`). `folder` keeps each split.
    """
    found = []
    for number in tqdm(SPLITS, f"{dataset}, {protocol}"):
        path = Path(folder, f"{dataset}-{protocol}-{number}.csv")
        if not path.exists():
            split = datasets.load(dataset, protocol, number)
            kept = masks(split, protocol)
            text = ["".join(row) for row in np.where(kept, "1", "0")]
            path.parent.mkdir(parents=True, exist_ok=True)
            results.write(path, race(split, protocol, kept).assign(mask=text).to_csv(index=False))
        found.append(pd.read_csv(path, dtype={"mask": str}))
    every = pd.concat(found, keys=SPLITS, names=["split", "point"])
    claim, at = claims.get(CLAIM), every.groupby("point")
    rows = points(dataset=dataset, protocol=protocol).join(at[["accuracy", "random", "dense"]].mean())
    rows.insert(
        len(CHOICES), "kept", every["mask"].map(lambda bits: bits.count("1") / len(bits)).groupby("point").mean()
    )
    for name, of in {"": every.accuracy - every.random, "placebo_": every.placebo - every.random}.items():
        decided = pd.DataFrame([claim.decide(of.xs(point, level="point")) for point in rows.index])
        rows[[f"{name}effect", f"{name}low", f"{name}high", f"{name}outcome"]] = decided[
            ["effect", "low", "high", "outcome"]
        ]
    return rows.assign(mask=found[0]["mask"])


def main(folder=PARTS, table=TABLE):
    """Compute what is missing of the grid, and write the table with, beside it, where it came from."""
    parts = [summary(dataset, protocol, folder) for dataset in DATASETS for protocol in PROTOCOLS]
    whole = pd.concat(parts, ignore_index=True)
    whole.to_csv(table, index=False, float_format="%.5g", compression=dict(method="gzip", mtime=0))
    about = dict(splits=len(SPLITS), draws=DRAWS, claim=CLAIM, git_commit=results.git_commit())
    about["data_sha256"] = {name: texts.checksum(name) for name in DATASETS}
    results.write(table.with_name("explore.json"), json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
