"""A checkout for tests of the workflow: the project's own Snakefiles, chapters that take no time, a small grid."""

import contextlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import yaml

ROOT = Path(__file__).parent.parent
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
PARTS = "Snakefile sweep.smk book legc_utils benchmarks profiles requirements.txt _toc.yml _config.yml"
TINY = {"tabular": ["iris"], "images": [], "heldout": [], "networks": [], "seeds": {"tabular": [0]},
        "few_seeds": {"tabular": [0]}, "draws": {"tabular": 2}, "few_draws": {"tabular": 2}}  # fmt: skip
TABLES = ("table.csv", "specifications.csv")


def chapter(parameters, work):
    """A notebook of two cells."""
    cells = [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}), nbformat.v4.new_code_cell(work)]
    return nbformat.v4.new_notebook(cells=cells, metadata=KERNEL)


def checkout(folder, notebooks=None, sweep=None):
    """A folder with the workflow, `notebooks` (name -> notebook; or the project's), a profile `tiny`, a grid."""
    (folder / "book").mkdir(parents=True)
    (folder / ".venv").symlink_to(sys.prefix)
    for name in [*PARTS.split(), *(f"book/{path.name}" for path in (ROOT / "book").iterdir())]:
        if name not in ("book", "book/executed"):
            (folder / name).symlink_to(ROOT / name)
    if notebooks is None:
        (folder / "notebooks").symlink_to(ROOT / "notebooks")
    else:
        (folder / "notebooks").mkdir()
        for name, notebook in notebooks.items():
            nbformat.write(notebook, folder / f"notebooks/{name}.ipynb")
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    config["profiles"]["tiny"] = TINY
    (folder / "config.yaml").write_text(yaml.safe_dump(config | ({"sweep": sweep} if sweep else {})))
    return folder


def start(folder, *arguments, **environment):
    """Snakemake in a checkout: Popen, what it says in one pipe."""
    command = [f"{folder}/.venv/bin/python", "-m", "snakemake", "--cores", "2", *arguments]
    streams = dict(stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return subprocess.Popen(command, cwd=folder, env=os.environ | environment, start_new_session=True, **streams)


def build(folder, pages, **environment):
    """Build some pages, "chapter" of iris under the published protocol, of the profile `tiny`: Popen."""
    wanted = [f"book/executed/tiny/{page}/iris-published.ipynb" for page in pages]
    return start(folder, "--config", "profile=tiny", "--", *wanted, **environment)


def finish(process):
    """What a process ended with: (exit code, all it said)."""
    said, _ = process.communicate(timeout=900)
    return process.returncode, said


def family(process):
    """The process and all that it has started, notebooks' kernels included, which have groups of their own."""
    try:
        return [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill(processes):
    """SIGKILL for each."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def kill_everything(process):
    """SIGKILL for a process and all that it has started."""
    kill(family(process))
    process.communicate()


def kill_at_random(begin, left, seconds, times, seed):
    """Start a run, kill it at a random moment and start it again at once, so many times; then let it end.

    begin : function that starts a run, or goes on with it: Popen
    left : function that says what a finished run has left, dict of bytes; called too after a run that was not killed
        in time, and then it may remove it, so that the next begins anew
    seconds : float, that an undisturbed run takes; moments are uniform up to there
    seed : int, of the moments and of the victims: Snakemake alone, one process that it started, or everything

    Returns what each finished run has left: list of dicts. Prints a line for each kill.
    """
    rng, killed, found = random.Random(seed), 0, []
    while killed < times:
        process, moment = begin(), rng.uniform(0, seconds)
        victims = rng.choice(["Snakemake", "a process of it", "everything"])
        end = time.monotonic() + moment
        while time.monotonic() < end and process.poll() is None:
            time.sleep(0.02)
        alive = family(process)
        if process.poll() is not None or not alive:
            found.append(left())
            continue
        chosen = {"Snakemake": alive[:1], "a process of it": [rng.choice(alive)], "everything": alive}[victims]
        print(f"seed {seed}, kill {killed}: {victims} after {moment:.2f} s: {[one.pid for one in chosen]}", flush=True)
        kill(chosen)
        killed += 1
        if process.poll() is None and chosen[0].pid != process.pid:
            finish(process)  # it lost a job, and ends by itself
        process.stdout.close()  # not to the end: what lives on for a moment has it too
        process.wait()
    code, said = finish(begin())
    assert code == 0, said
    return [*found, left()]
