"""Sweeps: refused before they start if they cannot run, and the same table however often they were killed."""

import io
import json
import multiprocessing
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
import workflow
import yaml
from workflow import finish, kill_everything

from benchmarks import cluster
from study import claims, sweeps

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "book/build"))
import sweep_job  # noqa: E402

PARAMETERS = """dataset = "cancer"
protocol = "published"
seeds = [0, 1]
window = None
overlap = None
max_lag = None
alpha = None
rule = None
out_dir = "results"
"""
# What a real chapter leaves, without its work: the machinery is tested here. It notes down every run
WORK = """import json
from pathlib import Path
import pandas as pd
from study import evidence
with open("ran.txt", "a") as ran:
    ran.write(f"{overlap} {alpha}\\n")
if alpha == 0.2:
    raise RuntimeError("this level fails")
folder = Path(out_dir) / "03_granger_pruning"
folder.mkdir()
causal = [f"FT,{seed},{100 * alpha},{30 * overlap}" for seed in seeds]
(folder / "rows.csv").write_text("\\n".join(["variant,seed,causal_percent,causal_percent_noise", *causal, ""]))
(folder / "rows.json").write_text(json.dumps(dict(seconds=1.0, git_commit=None, packages={})))
above = pd.Series(float(100 * alpha - 30 * overlap), seeds)
evidence.save({"causality": above, "early": above}, "03_granger_pruning", dataset, protocol, out_dir)
"""
GRID = {"notebook": "03_granger_pruning", "dataset": "iris3f", "seeds": [[0, 1, 2, 3, 4]]}


def checkout(folder, **grid):
    """A folder with the project's workflow, a notebook that takes no time, and a grid of its own."""
    return workflow.checkout(folder, {"03_granger_pruning": workflow.chapter(PARAMETERS, WORK)}, GRID | grid)


def start(folder, *arguments):
    return workflow.start(folder, *arguments, "sweep_table")


def runs(folder):
    return (folder / "ran.txt").read_text().split("\n")[:-1]


@pytest.mark.whole
def test_a_sweep_that_is_killed_goes_on_and_ends_with_the_same_bytes(tmp_path):
    levels = {"overlap": [0.1, 0.5], "alpha": [0.01, 0.05, 0.1, 0.4]}
    killed, quiet = checkout(tmp_path / "killed's é", **levels), checkout(tmp_path / "quiet", **levels)
    results = killed / "_build/sweep/results"

    process = start(killed, "-s", "sweep.smk")
    while process.poll() is None and len(list(results.glob("*.csv"))) < 3:
        time.sleep(0.02)
    assert process.poll() is None, finish(process)[1]
    kill_everything(process)
    there = {p: p.stat().st_mtime_ns for p in results.glob("*.csv")}
    assert 3 <= len(there) < 8 and not (killed / "_build/sweep/table.csv").exists()
    broken = min(there)  # what a full disk would leave
    broken.write_text(broken.read_text()[:-20])
    del there[broken]
    before = len(runs(killed))

    code, said = finish(start(killed, "-s", "sweep.smk"))
    assert code == 0, said
    assert {p: p.stat().st_mtime_ns for p in there} == there
    assert len(runs(killed)) - before == 8 - len(there)
    assert f"sweep: 8 of 8 points done, {len(there)} of them before" in said
    assert not list((killed / "_build/sweep/partial").iterdir())

    code, said = finish(start(quiet))  # as a part of the book's Snakefile
    assert code == 0, said
    for name in ("table.csv", "specifications.csv"):
        assert (killed / "_build/sweep" / name).read_bytes() == (quiet / "_build/sweep" / name).read_bytes()
    table = pd.read_csv(quiet / "_build/sweep/table.csv")
    assert len(table) == 40 and set(table.status) == {"done"} and table.job.nunique() == 8


@pytest.mark.whole
def test_a_failing_point_is_told_and_the_others_go_on(tmp_path):
    folder = checkout(tmp_path, overlap=0.1, alpha=[0.2, 0.05])
    code, said = finish(start(folder, "-s", "sweep.smk"))
    assert code != 0 and "1 of 2 points" in said
    table = pd.read_csv(folder / "_build/sweep/table.csv").set_index("alpha")
    assert table.status.groupby(level=0).agg(set).to_dict() == {0.05: {"done"}, 0.2: {"missing"}}
    failed = table.job[0.2]
    assert f"missing {failed}" in said and "alpha=0.2" in said
    assert "this level fails" in (folder / f"_build/sweep/log/{failed}.log").read_text()
    assert json.loads((folder / "_build/sweep/specifications.json").read_text())["missing"] == [failed]


@pytest.mark.whole
def test_a_bad_grid_stops_the_command_before_anything_runs(tmp_path):
    folder = checkout(tmp_path, dataset=["iris3f", "irsi"])
    code, said = finish(start(folder, "-s", "sweep.smk"))
    assert code != 0 and "1 of 2 points" in said and "dataset='irsi' is not allowed" in said
    assert not (folder / "_build").exists() and not (folder / "ran.txt").exists()


@pytest.mark.whole
def test_the_command_for_a_cluster_plans_the_jobs(tmp_path):
    folder = checkout(tmp_path, alpha=[0.05, 0.1])
    page = (ROOT / "book/cluster.md").read_text()
    command = re.search(r"^snakemake .*--workflow-profile(?:.*\\\n)*.*$", page, re.MULTILINE)[0]
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    planned = subprocess.run(
        f"{command} -n", cwd=folder, shell=True, env=os.environ | path, capture_output=True, text=True
    )
    assert planned.returncode == 0 and "point        2" in planned.stdout, planned.stderr
    assert yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())["executor"] == "slurm"


def test_the_grid_that_the_book_shows_can_be_run():
    (example,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "book/rerun.md").read_text(), re.DOTALL)
    for section in (yaml.safe_load(example)["sweep"], yaml.safe_load((ROOT / "config.yaml").read_text())["sweep"]):
        points = sweeps.expand(section, ROOT / "notebooks")
        assert 10 <= len(points) <= 100
        sweeps.check(points, section["notebook"])


def test_seconds_of_a_job_leave_out_how_long_it_took_to_get_going():
    assert cluster.seconds_each([30, 31, 36, 37, 42, 43], cores=2) == pytest.approx(6)
    with pytest.raises(ValueError, match="2 jobs say nothing about 2 cores"):
        cluster.seconds_each([1, 2], cores=2)
    assert cluster.cost(3600, 10, 5, 360) == pytest.approx((5, 0.6))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"notebook": "02_windowed_le"}, ["notebook='02_windowed_le'", "01_sdic, 03_granger_pruning, 04_ft_vs_pt"]),
        ({"delta0": [1e-6]}, ["takes no parameter delta0=[1e-06]", "allowed: notebook, claim, dataset"]),
        ({"windw": 100}, ["windw=100", "window"]),
        ({"claim": "alpha"}, ["claim='alpha'", "causality"]),
        ({"alpha": []}, ["alpha=[]", "at least one value"]),
        ({"alpha": [0.1, 0.1]}, ["alpha=[0.1, 0.1]", "every value once"]),
        ({"seeds": [[0, 1], [1, 2]]}, ["seeds=[[0, 1], [1, 2]]", "every value once"]),
        ({"splits": [0, [0, 2]]}, ["splits=[0, [0, 2]]", "every value once"]),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else "",
)
def test_a_grid_that_makes_no_sense_is_refused(changes, said):
    with pytest.raises(ValueError) as error:
        sweeps.expand(GRID | changes, ROOT / "notebooks")
    assert all(part in str(error.value) for part in said)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dataset": ["iris", "irsi"]}, ["1 of 2 points", "dataset=irsi", "iris3f"]),
        ({"protocol": "x"}, ["protocol='x'", "published, resplit, corrected"]),
        ({"seeds": [-1]}, ["seeds=[-1]"]),
        ({"splits": [[0, 1]], "protocol": ["published", "resplit"]}, ["1 of 2 points", "splits=[0, 1]"]),
        ({"window": [None, 10**6]}, ["1 of 2 points", "window=1000000", "is longer than"]),
        ({"max_lag": list(range(60, 70))}, ["10 of 10 points", "allowed here: max_lag up to", "and 5 more"]),
        ({"notebook": "01_sdic", "dataset": "mnist5k", "delta0": 1e-6}, ["mnist5k", "up to 1000"]),
        ({"notebook": "01_sdic", "delta0": 0}, ["delta0=0", "positive"]),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else "",
)
def test_points_that_the_notebook_would_refuse_are_refused_before_it_starts(changes, said):
    section = GRID | changes
    points = sweeps.expand(section, ROOT / "notebooks")
    with pytest.raises(ValueError) as error:
        sweeps.check(points, section["notebook"])
    assert all(part in str(error.value) for part in said)


def test_a_grid_is_every_combination_and_takes_the_notebooks_defaults():
    points = sweeps.expand(
        {"notebook": "01_sdic", "dataset": ["iris", "cancer"], "seeds": [0, [1, 2]]}, ROOT / "notebooks"
    )
    assert [(p["dataset"], p["seeds"]) for p in points] == [
        ("iris", [0]), ("iris", [1, 2]), ("cancer", [0]), ("cancer", [1, 2]),
    ]  # fmt: skip
    assert points[0]["delta0"] == 1e-6 and points[0]["window"] is None and "out_dir" not in points[0]
    sweeps.check(points, "01_sdic")


@pytest.mark.whole
def test_a_real_chapter_leaves_one_whole_result_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    result = tmp_path / "results/iris3f.csv"
    (tmp_path / "partial/iris3f-killed").mkdir(parents=True)
    # the job forks its kernel, which a process must not do that has computed with numba's threads, as this one may have
    given = "notebooks/03_granger_pruning.ipynb", {"dataset": "iris3f", "seeds": [0]}, result
    job = multiprocessing.get_context("spawn").Process(target=sweep_job.run, args=given)
    job.start()
    job.join()
    assert job.exitcode == 0
    assert sweeps.finished(result) and not list((tmp_path / "partial").iterdir())
    whole = result.read_text()
    for damaged in (whole[:-1], "", whole + "x"):
        result.write_text(damaged)
        assert not sweeps.finished(result)
    result.write_text(whole)
    found = result.with_suffix(".evidence").rename(tmp_path / "away")
    assert not sweeps.finished(result)
    found.rename(result.with_suffix(".evidence"))
    assert sweeps.finished(result)
    result.with_suffix(".json").write_text(result.with_suffix(".json").read_text()[:-30])
    assert not sweeps.finished(result)


@pytest.mark.parametrize(
    ("done", "before", "seconds", "said"),
    [
        (0, 0, 3.2, "0 of 40 points done, 0 of them before; 0:00:03 gone, time left not known yet"),
        (20, 10, 100, "20 of 40 points done, 10 of them before; 0:01:40 gone, about 0:03:20 left"),
        (40, 10, 4000, "40 of 40 points done, 10 of them before; 1:06:40 gone"),
    ],
)
def test_the_time_left_is_that_of_this_run(done, before, seconds, said):
    assert sweeps.progress(done, before, 40, seconds) == f"sweep: {said}"


def test_progress_counts_whole_results_of_this_grid_only(tmp_path):
    told = io.StringIO()
    (tmp_path / "old.csv").touch(), (tmp_path / "a.csv").touch()
    arguments = (tmp_path, ["a", "b"]), dict(every=0.01, stream=told)
    thread = threading.Thread(target=sweeps.watch, args=arguments[0], kwargs=arguments[1], daemon=True)
    thread.start()
    (tmp_path / "b.csv.partial").touch()
    time.sleep(0.1)
    assert told.getvalue() == ""
    (tmp_path / "b.csv").touch()
    thread.join(timeout=10)
    assert "2 of 2 points done, 1 of them before" in told.getvalue()


def test_a_specification_is_tested_on_the_evidence_of_all_its_jobs():
    point = {"dataset": "iris", "alpha": 0.05, "window": None}
    frame = lambda key, values, reading="effect": pd.DataFrame(
        {"claim": key, "split": "fixed", "seed": list(values), "reading": reading, "value": list(values.values())}
    )
    found = lambda **values: pd.concat(
        [frame("early", values), frame("early", {"a": 0.0}, "placebo"), frame("causality", {"a": 9.0})]
    )
    jobs = [(point, found(a=0.7, b=0.8)), (point | {"alpha": 0.1}, found(a=0.6)), (point, found(c=0.9, d=0.8, e=0.8))]
    table = sweeps.specifications(jobs, list(point), claims.get("early"))
    assert table[["alpha", "window", "n"]].to_numpy().tolist() == [[0.05, "own", 5], [0.1, "own", 1]]
    assert table.effect[0] == pytest.approx(0.8) and claims.get("early").reference == 0.6
    assert table.outcome.tolist() == ["shown", "too few"]


def test_a_specification_over_splits_counts_splits_and_not_seeds():
    rows = [dict(claim="early", split=str(k), seed=str(s), reading="effect", value=0.7 + 0.01 * k + 0.001 * s)
            for k in range(6) for s in range(5)]  # fmt: skip
    table = sweeps.specifications([({"alpha": 0.05}, pd.DataFrame(rows))], ["alpha"], claims.get("early"))
    assert table.n.tolist() == [6] and table.outcome.tolist() == ["shown"]


def test_influence_finds_the_choice_that_moves_the_conclusion():
    rows = [dict(alpha=a, window=w, rule="own", effect=4.0 * (a == 0.2) + w, outcome=str(a))
            for a in (0.1, 0.2) for w in (0, 1, 2)]  # fmt: skip
    found = sweeps.influence(pd.DataFrame(rows)).set_index("choice")
    assert list(found.index) == ["alpha", "window"]  # rule was not varied
    assert found.swing.to_dict() == {"alpha": 4.0, "window": 2.0} and found.flips.to_dict() == {"alpha": 1, "window": 0}
    assert found.share["alpha"] == pytest.approx(4 / (4 + 2 / 3)) and found.share.sum() == pytest.approx(1)
