import numpy as np
import pandas as pd
import pytest

from study import evidence

NUMBERS = pd.Series(np.random.default_rng(0).normal(size=20) / 3, pd.RangeIndex(20, name="seed"))


def test_evidence_comes_back_bit_by_bit(tmp_path):
    numbers = NUMBERS.where(NUMBERS.index != 3)
    evidence.save({"early": numbers, "causality": -numbers}, "03_granger_pruning", "iris", "published", tmp_path)
    assert (tmp_path / "evidence/03_granger_pruning/iris-published.csv").exists()
    table = evidence.load(tmp_path)
    assert list(table.columns) == evidence.COLUMNS and len(table) == 40
    found = table[table.claim == "early"]
    assert np.array_equal(found.value, numbers, equal_nan=True) and np.isnan(found.value.iloc[3])
    assert list(found.seed) == [str(seed) for seed in numbers.index]
    assert set(found.dataset) == {"iris"} and set(found.protocol) == {"published"} and set(found.split) == {"fixed"}


def test_files_of_several_notebooks_are_one_table(tmp_path):
    evidence.save({"early": NUMBERS}, "03_granger_pruning", "iris", "published", tmp_path)
    evidence.save({"early": NUMBERS}, "03_granger_pruning", "iris", "corrected", tmp_path)
    evidence.save({"own_resnet_random": NUMBERS}, "13_networks", "resnet", "published", tmp_path, split="7")
    table = evidence.load(tmp_path)
    assert len(table) == 60 and set(table.split[table.protocol == "corrected"]) == {"0"}
    assert set(table.split[table.claim == "own_resnet_random"]) == {"7"}


def test_what_stands_in_for_a_seed_may_have_a_name(tmp_path):
    silent = pd.Series([0.0, 0.5], ["white noise", "random walk"])
    evidence.save({"marker": silent}, "02_windowed_le", "iris", "published", tmp_path)
    assert evidence.load(tmp_path).seed.tolist() == ["white noise", "random walk"]


def test_splits_seeds_and_readings_are_kept(tmp_path):
    at = pd.MultiIndex.from_product([[3, 4], [0, 1]], names=["split", "seed"])
    numbers, placebo = pd.Series([1.0, 2, 3, 4], at), pd.Series([0.0, 0, 0, 1], at)
    for protocol in ("resplit", "published"):
        evidence.save({"early": numbers}, "03_granger_pruning", "iris", protocol, tmp_path, placebo={"early": placebo})
    table = evidence.load(tmp_path)
    over, fixed = (table[table.protocol == protocol] for protocol in ("resplit", "published"))
    assert over.split.tolist() == ["3", "3", "4", "4"] * 2 and set(fixed.split) == {"fixed"}
    assert over.reading.tolist() == ["effect"] * 4 + ["placebo"] * 4
    assert over.value.tolist() == [1, 2, 3, 4, 0, 0, 0, 1]


def test_a_reading_that_is_unknown_or_without_an_effect_is_refused(tmp_path):
    where = "03_granger_pruning", "iris", "published", tmp_path
    with pytest.raises(ValueError, match="reading 'guess' is unknown; allowed: effect, placebo, last, last_placebo"):
        evidence.save({"early": NUMBERS}, *where, guess={"early": NUMBERS})
    with pytest.raises(ValueError, match="claim 'causality' has a placebo, but no effect"):
        evidence.save({"early": NUMBERS}, *where, placebo={"causality": NUMBERS})
    assert not (tmp_path / "evidence").exists()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"earlier": NUMBERS}, "claim 'earlier' is unknown; allowed: performance, "),
        ({"partial": NUMBERS}, "claim 'partial' is not 03_granger_pruning's; claims.yaml has it in 04_ft_vs_pt"),
        ({"edge": NUMBERS}, "claim 'edge' is not 03_granger_pruning's; claims.yaml has it in no chapter"),
        ({"early": pd.Series([1.0, 2.0], [0, 0])}, "claim 'early' has two numbers for seed=0"),
    ],
)
def test_what_is_no_evidence_of_the_notebook_is_refused_and_nothing_written(tmp_path, values, said):
    with pytest.raises(ValueError, match=said):
        evidence.save(values, "03_granger_pruning", "iris", "published", tmp_path)
    with pytest.raises(FileNotFoundError, match="no evidence in "):
        evidence.load(tmp_path)


def test_splits_are_joined_and_may_lack_something():
    some = NUMBERS[:2]
    found = evidence.joined({3: {"a": some}, 5: {"b": -some, "a": 2 * some}})
    assert list(found) == ["a", "b"] and list(found["a"].index) == [(3, 0), (3, 1), (5, 0), (5, 1)]
    assert found["a"].index.names == found["b"].index.names == ["split", "seed"]
    assert np.array_equal(found["a"], [*some, *(2 * some)]) and np.array_equal(found["b"], -some)
