"""What a sweep's job costs beyond its work, here and through Slurm: make cluster-bench, which starts a Slurm for it.

Usage: python -m benchmarks.cluster [FOLDER] where `sbatch` answers. Writes jobs.csv, planning.csv and machine.json.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import yaml

ROOT = Path(__file__).parent.parent
# One node, no accounting database, and little patience
HERE = [
    "--workflow-profile", "profiles/slurm", "--slurm-no-account", "--slurm-status-command", "squeue",
    "--default-resources", "slurm_partition=main", "--slurm-init-seconds-before-status-checks", "3",
    "--seconds-between-status-checks", "3",
]  # fmt: skip
SMALL = {"notebook": "03_granger_pruning", "dataset": "iris3f", "seeds": [0]}
RUNS = {("local", 1): ["--cores", "1"], ("local", 2): ["--cores", "2"], ("Slurm", 2): [*HERE, "--jobs", "100"]}
OUT = ROOT / "benchmarks/results/cluster"


def checkout(folder, grid):
    """A folder with the project's workflow and a grid of its own."""
    folder.mkdir(parents=True)
    for name in ("sweep.smk", "notebooks", "book", "legc_utils", "profiles", "requirements.txt"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "config.yaml").write_text(yaml.safe_dump({"sweep": grid}))
    return folder


def environment():
    """The caller's, with this Python's commands first."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def snakemake(folder, *arguments, log=None):
    command = [sys.executable, "-m", "snakemake", "-s", "sweep.smk", "sweep_table", *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment(), stdout=log, stderr=subprocess.STDOUT)


def levels(n):
    """n levels of the test, so that a grid of any size is made of jobs of one length."""
    return [round((k + 1) / (10 * n), 6) for k in range(n)]


def seconds_each(finished, cores):
    """Core seconds of a job, from the times when jobs finished; how long it took to get going is left out.

    finished : sequence of float, seconds; cores : int, jobs at a time. Raises ValueError for too few jobs.
    """
    finished = sorted(finished)
    if len(finished) <= cores:
        raise ValueError(f"{len(finished)} jobs say nothing about {cores} cores; give more than {cores}")
    return cores * (finished[-1] - finished[cores - 1]) / (len(finished) - cores)


def cost(jobs, cores, job_seconds, planning_seconds):
    """(core hours, hours) of a sweep of `jobs` on `cores` cores, planning included in the hours."""
    core_hours = jobs * job_seconds / 3600
    return core_hours, core_hours / cores + planning_seconds / 3600


def run(executor, cores, n, folder):
    """One sweep of n jobs of equal length: a row of jobs.csv."""
    there = checkout(folder / f"{executor}-{cores}", SMALL | {"alpha": levels(n)})
    start = time.monotonic()
    with (folder / "log").open("w") as log:
        code = snakemake(there, *RUNS[executor, cores], log=log).wait()
    wall = time.monotonic() - start
    if code:
        raise RuntimeError(f"the sweep through {executor} failed:\n{(folder / 'log').read_text()[-3000:]}")
    results = there / "_build/sweep/results"
    each = seconds_each([path.stat().st_mtime for path in results.glob("*.json")], cores)
    work = pd.Series([json.loads(path.read_text())["seconds"] for path in results.glob("*.json")]).median()
    row = dict(executor=executor, cores=cores, jobs=n, wall_s=wall, jobs_per_minute=60 * cores / each, job_s=each)
    return row | dict(work_s=work, overhead_s=each - work)


def planning(points, folder):
    """Seconds from the command to the first job of a sweep of so many points, by a dry run."""
    there = checkout(folder / f"plan-{points}", SMALL | {"alpha": levels(points)})
    start = time.monotonic()
    code = snakemake(there, "--cores", "1", "--dry-run", "--quiet", "all", log=subprocess.DEVNULL).wait()
    if code:
        raise RuntimeError(f"planning {points} points failed")
    return dict(points=points, seconds=time.monotonic() - start)


def main(out=OUT, n=12, sizes=(10, 100, 1000, 10_000)):
    if subprocess.run(["sh", "-c", "sinfo -h"], capture_output=True).returncode:
        sys.exit("no Slurm answers here: make cluster-bench starts one")
    from benchmarks.__main__ import machine  # not above: it imports all the peers, and the page wants only `cost`

    Path(out).mkdir(parents=True, exist_ok=True)
    about = machine() | {"load_before": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory(prefix="cluster-") as temporary:
        jobs = pd.DataFrame([run(*key, n, Path(temporary)) for key in RUNS])
        plans = pd.DataFrame([planning(points, Path(temporary)) for points in sizes])
    (Path(out) / "machine.json").write_text(json.dumps(about | {"load_after": os.getloadavg()[0]}, indent=1) + "\n")
    for name, frame in (("jobs", jobs), ("planning", plans)):
        frame.to_csv(Path(out) / f"{name}.csv", index=False, float_format="%.6g")
        print(f"\n{name}\n{frame.to_string(index=False, float_format=lambda v: f'{v:.4g}')}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:2])
