"""The sweep of config.yaml: one papermill job for each point of its grid, one table and one page on all of them.

snakemake --cores 2 sweep, or without the book's part: snakemake --cores 2 -s sweep.smk. Add --workflow-profile
profiles/slurm for a cluster. A point is named by the hash of all that it depends on, and its result appears by renaming,
so what is there is done: Snakemake hears of the other points only.
"""

import json
import shutil
import sys
import threading
from pathlib import Path

from study import sweeps

sys.path.insert(0, "book/build")
import jobs
import keys
import warm


configfile: "config.yaml"


sweep = config.get("sweep")
sweep_folder = Path("_build/sweep")
sweep_results = sweep_folder / "results"
sweep_grid = sweeps.expand(sweep)
# Not by the jobs that it starts, nor for a book, which would wait for it. What is asked for only the command line says here
if workflow.is_main_process and any("sweep" in argument for argument in sys.argv[1:]):
    sweeps.check(sweep_grid, sweep["notebook"])
sweep_source = f"notebooks/{sweep['notebook']}.ipynb"
sweep_code = keys.digest(keys.code_key(sweep_source), keys.source_key(sweep_source))
sweep_data = {name: keys.data_key(name) for name in {point["dataset"] for point in sweep_grid}}


def sweep_name(point):
    key = keys.digest(sweep_code, sweep_data[point["dataset"]], point)
    return f"{point['dataset']}-{point['protocol']}-{key[:16]}"


sweep_points = {sweep_name(point): point for point in sweep_grid}
sweep_todo = list(sweep_points)
if workflow.is_main_process:
    sweep_todo = [name for name in sweep_todo if not sweeps.finished(sweep_results / f"{name}.csv")]
    for name in sweep_todo:  # nothing, or what is not whole: Snakemake would take it for a result
        (sweep_results / f"{name}.csv").unlink(missing_ok=True)


def sweep_values(wildcards):
    if wildcards.name not in sweep_points:
        raise ValueError(f"{wildcards.name} is not in the sweep: code, data or config.yaml changed while it ran")
    return json.dumps(sweep_points[wildcards.name])


def sweep_wanted():
    return any(job.rule.name in ("sweep", "sweep_table") for job in workflow.dag.jobs)


def sweep_starts():
    """Report progress from the process that was started by hand, wherever the jobs run."""
    if workflow.is_main_process and sweep_wanted():
        if not workflow.local_exec:
            jobs.need_plain_paths()
        jobs.alone(sweep_folder / "lock")
        if workflow.local_exec:
            warm.start(sweep_folder / "warm", sweep_folder / "log/warm.log")
        threading.Thread(target=sweeps.watch, args=(sweep_results, sweep_points), daemon=True).start()


def sweep_ends():
    """Write the table from what is there, and say what is not."""
    if sweep_wanted():
        table = sweeps.collect(sweep, sweep_points, sweep_folder)
        missing = table.job[table.status == "missing"]
        print(f"sweep: {len(sweep_points) - len(missing)} of {len(sweep_points)} points in {sweep_folder}/table.csv")
        if missing.empty:  # what a job leaves behind that is killed when its result is there already
            for left_over in (sweep_folder / "partial").glob("*"):
                shutil.rmtree(left_over, ignore_errors=True)
        for name in missing:
            print(f"sweep: missing {name} ({sweeps.describe(sweep_points[name])}), see {sweep_folder}/log/{name}.log")


# Without outputs, so they always run: what there is to gather depends on the grid, not on the age of a file
rule sweep:
    input:
        expand("{folder}/{name}.csv", folder=sweep_results, name=sweep_todo),
    log:
        f"{sweep_folder}/log/page.log",
    localrule: True
    run:
        sweep_ends()
        shell("exec {jobs.PYTHON} book/build/sweep_page.py {sweep_folder} {log}")


rule sweep_table:  # the same without the page
    input:
        rules.sweep.input,
    localrule: True
    run:
        sweep_ends()


rule point:
    output:
        f"{sweep_results}/{{name}}.csv",
    params:
        notebook=sweep_source,
        values=sweep_values,
    resources:
        mem_mb=2000,
        runtime=60,
    log:
        f"{sweep_folder}/log/{{name}}.log",
    shell:
        "NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1"
        " exec {jobs.PYTHON} book/build/sweep_job.py {params.notebook} {params.values:q} {output} {log}"


onstart:
    sweep_starts()


onerror:
    sweep_ends()
