"""The benchmarks run, agree with their peers and say so if they do not. Not how fast they are."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import __main__ as command
from benchmarks import compare, memory, scaling

pytestmark = pytest.mark.whole
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """What a quick run writes, by name."""
    out = tmp_path_factory.mktemp("benchmarks")
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--out", out], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    assert "every floor" in run.stdout or "below the floor" in run.stdout
    return {path.stem: pd.read_csv(path) for path in out.glob("*.csv")}


def test_every_part_is_compared_with_every_peer_and_agrees():
    table = compare.compare(quick=True)
    parts = table.task.str.split(",").str[0].value_counts()
    assert parts.to_dict() == {"LE": 6, "Granger": 2, "training": 8}
    assert (table.difference <= table.tolerance).all()
    assert (table.tolerance[~table.peer.str.contains("neurokit2")] <= 1e-8).all()
    assert (table[["ours_us", "peer_us", "ratio"]] > 0).all(axis=None)


@pytest.mark.slow
def test_a_run_writes_what_the_page_reads(tables):
    page = (ROOT / "book/performance.md").read_text()
    wanted = {line.split('read("')[1].split('"')[0] for line in page.splitlines() if 'read("' in line}
    assert wanted <= set(tables) and wanted
    assert {path.stem for path in (ROOT / "benchmarks/results").glob("*.csv")} == set(tables)


@pytest.mark.slow
def test_shares_of_the_time_add_up(tables):
    whole = tables["stages"].groupby("part").percent.sum()
    np.testing.assert_allclose(whole, 100, atol=1e-3)
    assert ((tables["limits"].peak_percent > 0) & (tables["limits"].peak_percent < 100)).all()


@pytest.mark.slow
def test_recording_takes_the_memory_that_its_cost_model_says(tables):
    resnet = tables["recorder"].iloc[0]
    assert resnet.weights > 10_000 and resnet.windows > 0
    assert resnet.measured == pytest.approx(resnet.modelled, rel=0.2)
    assert (tables["recorder_sizes"] > 0).all(axis=None) and len(tables["recorder_sizes"]) > 1
    assert (tables["constants"] > 0).all(axis=None) and len(tables["constants"]) > 1


@pytest.mark.parametrize(
    ("difference", "ratio", "equal", "said"),
    [
        (1e-12, 200, True, "every floor reached"),
        (1e-6, 200, False, "DIFFERS: LE, nolds"),
        (np.nan, 200, False, "DIFFERS"),
        (1e-12, 100, True, "below the floor: LE, nolds: 100 of 150"),
    ],
)
def test_a_difference_fails_and_a_missed_floor_is_told(difference, ratio, equal, said):
    row = dict(task="LE", peer="nolds", ratio=ratio, floor=150.0, difference=difference, tolerance=1e-9)
    verdict, lines = command.verdict(pd.DataFrame([row]))
    assert verdict is equal and said in "\n".join(lines)


def test_a_ratio_below_four_fifths_of_the_kept_one_fails():
    row = dict(task="LE", peer="nolds", ratio=161.0, floor=150.0, difference=0.0, tolerance=1e-9)
    kept = pd.DataFrame([row | dict(ratio=200.0), row | dict(peer="another", ratio=1e4)])
    assert command.verdict(pd.DataFrame([row]), kept)[0]
    fine, lines = command.verdict(pd.DataFrame([row | dict(ratio=159.0)]), kept)
    assert not fine and lines == ["SLOWER: LE, nolds: 159.0 times, 200.0 before"]
    assert command.verdict(pd.DataFrame([row | dict(peer="new", ratio=1.0)]), kept)[0]


def test_slopes_are_those_of_the_power_law():
    size = 2 ** np.arange(8)
    rows = pd.DataFrame({"part": "LE", "quantity": "weights", "size": size, "seconds": 3e-6 * size**1.5})
    assert scaling.exponents(rows).exponent.item() == pytest.approx(1.5)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux' /proc")
def test_streaming_memory_does_not_depend_on_the_length_of_the_run():
    short, long = (memory.measure("streaming", 1000, steps) for steps in (500, 4000))
    kept = memory.measure("recording", 1000, 4000)
    window = 200 * 1000 * 8 / 2**20
    assert long["MiB"] < short["MiB"] + window / 2 and long["MiB"] < 4 * window
    assert kept["MiB"] > 15 * window
