"""Run a sweep here and through Slurm, lose two jobs on the way, and compare: see run.sh."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))
from benchmarks.cluster import HERE, checkout, snakemake

GRID = {
    "notebook": "03_granger_pruning",
    "dataset": "iris3f",
    "seeds": [0],
    "alpha": [0.05, 0.2],
    "overlap": [0.1, 0.5],
}


def ask(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def at_work(job):
    """Process ids of a Slurm job's notebook, once it has got there; none before."""
    pids = [pid for pid in ask("scontrol", "listpids", job)[5:] if pid.isdigit() and int(pid) > 1]
    command = lambda pid: Path(f"/proc/{pid}/cmdline").read_bytes() if Path(f"/proc/{pid}").exists() else b""
    return [int(pid) for pid in set(pids) if b"sweep_job.py" in command(pid) or b"ipykernel" in command(pid)]


def lose_two_jobs(process, patience=300):
    """Cancel the first running job and kill the notebook of another: their ids."""
    lost, end = [], time.monotonic() + patience
    while len(lost) < 2 and process.poll() is None and time.monotonic() < end:
        for job in ask("squeue", "-h", "-t", "R", "-o", "%i"):
            if job in lost or len(lost) == 2:
                continue
            if not lost:
                subprocess.run(["scancel", job], check=True)
                print(f"cancelled job {job}")
                lost.append(job)
            elif pids := at_work(job):
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)
                print(f"killed processes {pids} of job {job}")
                lost.append(job)
        time.sleep(0.2)
    assert len(lost) == 2, f"only {lost} could be lost: the sweep ended before, or no job ran"
    return lost


def main(folder):
    here, there = checkout(folder / "here", GRID), checkout(folder / "slurm", GRID)
    assert snakemake(here, "--cores", "2", log=subprocess.DEVNULL).wait() == 0
    log = folder / "slurm.log"
    with log.open("w") as stream:
        process = snakemake(there, *HERE, log=stream)
        try:
            lost = lose_two_jobs(process)
            code = process.wait(timeout=600)
        finally:
            process.kill()
    said = log.read_text()
    try:
        assert code == 0, f"snakemake ended with {code}"
        submitted = said.count("has been submitted with SLURM jobid")
        assert submitted == 4 + len(lost), f"{submitted} jobs submitted: the lost ones were not submitted again"
        for name in ("table.csv", "specifications.csv"):
            assert (here / "_build/sweep" / name).read_bytes() == (there / "_build/sweep" / name).read_bytes(), name
    except AssertionError:
        print(said[-6000:])
        raise
    rows = len((there / "_build/sweep/table.csv").read_text().splitlines()) - 1
    print(f"4 points, {submitted} Slurm jobs, {len(lost)} of them lost: the same {rows} rows as without Slurm")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="sweep-") as temporary:
        main(Path(temporary))
