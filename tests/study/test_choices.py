from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from legc_utils import datasets, protocols, selection, training
from study import choices, explore, rankings
from study.randomness import derived_seed

SPLIT = datasets.load("iris", "resplit", 3)


@pytest.fixture(scope="module")
def kept():
    return choices.masks(SPLIT, "resplit")


@pytest.mark.parametrize(
    ("window", "overlap", "alpha", "lags", "rule"),
    [(100, 0.5, 0.05, "smallest p of all lags", "noncausal"), (200, 0.0, 0.2, "one lag", "causal"),
     (50, 0.0, 0.1, "the lag of BIC", "noncausal")],
)  # fmt: skip
def test_masks_are_those_that_the_method_finds_one_by_one(kept, window, overlap, alpha, lags, rule):
    grid = choices.points(dataset="iris", protocol="resplit")
    point = dict(window=window, overlap=overlap, alpha=alpha, lags=lags, rule=rule)
    (at,) = grid.index[(grid[list(point)] == pd.Series(point)).all(axis=1)]
    own = dict(window=window, overlap=overlap, alpha=alpha, rule=rule) | choices.LAGS[lags]
    protocol = replace(protocols.get("resplit", "iris"), **own)
    expected = selection.find_masks(SPLIT, protocol.hidden, [0], protocol).masks[0]
    assert np.array_equal(kept[at], expected) and len(kept) == len(grid)
    assert len(np.unique(kept, axis=0)) > 20


def test_a_race_is_what_single_trainings_give(kept):
    some = np.stack([kept[0], kept[7], kept[0]])
    protocol = protocols.get("resplit", "iris")
    table = choices.race(SPLIT, protocol, some)
    one = training.train_ensemble(SPLIT, protocol.hidden, [0], protocol, masks=some[1])
    assert table.accuracy[1] == one.at_stop().accuracy.item() and table.loc[0].equals(table.loc[2])
    dense = training.train_ensemble(SPLIT, protocol.hidden, [0], protocol).at_stop().accuracy.item()
    assert (table.dense == dense).all()
    size = int(some[1].sum())
    seeds = [derived_seed("explore", SPLIT.seed, size, k) for k in range(choices.DRAWS + 1)]
    drawn = np.concatenate([rankings.random_masks(some[1:2], [seed]) for seed in seeds])
    runs = training.train_ensemble(SPLIT, protocol.hidden, [0], protocol, masks=drawn[None])
    accuracy = runs.at_stop().accuracy.to_numpy()
    assert table.placebo[1] == accuracy[-1] and table.random[1] == pytest.approx(accuracy[:-1].mean(), abs=1e-12)


def test_a_summary_goes_on_where_it_was_and_decides_as_the_ledger(tmp_path, monkeypatch):
    monkeypatch.setattr(choices, "SPLITS", range(5))
    n, rng = len(choices.points(dataset="iris", protocol="resplit")), np.random.default_rng(0)
    made = []

    def race(split, protocol, kept):
        made.append(split.seed)
        own = rng.normal(0.95, 0.001, n)
        return pd.DataFrame(dict(accuracy=own, random=own - 0.02, placebo=own - 0.02, dense=0.96))

    monkeypatch.setattr(choices, "race", race)
    monkeypatch.setattr(choices, "masks", lambda split, protocol: np.eye(n, 42, dtype=bool))
    first = choices.summary("iris", "resplit", tmp_path)
    assert (
        made == [0, 1, 2, 3, 4] and (first.outcome == "shown").all() and (first.placebo_outcome == "shown absent").all()
    )
    assert first.kept[0] == pytest.approx(1 / 42) and first["mask"][1] == "01" + "0" * 40
    (tmp_path / "iris-resplit-2.csv").unlink()
    assert len(choices.summary("iris", "resplit", tmp_path)) == n and made[5:] == [2]


def test_the_kept_table_is_the_whole_grid_and_small_in_the_page():
    table = pd.read_csv(choices.TABLE, dtype={"mask": str})
    pd.testing.assert_frame_equal(table[list(choices.CHOICES)], choices.points(), check_dtype=False)
    assert len(explore.page(table)) < 1e6
    sizes = {name: a * b + b * c for name, (a, b, c) in explore.layers().items()}
    assert (table["mask"].str.len() == table.dataset.map(sizes)).all()
    assert (table.low <= table.effect).all() and (table.effect <= table.high).all()


def test_the_page_starts_with_a_choice_that_there_is_and_asks_for_nothing_outside():
    assert all(explore.START[name] in choices.GRID[name] for name in choices.CHOICES)
    table = choices.points().assign(**dict.fromkeys([*explore._SHOWN, "outcome"], 0), mask="10")
    html = explore.page(table)
    assert "http" not in html.replace("https://vega.github.io/schema", "") and "noscript" in html
    assert all(f"pick_{name}" in html for name in choices.CHOICES)
