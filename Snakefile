"""Which notebook runs with which parameters, and what the book needs.

A page is executed again when the *content* of anything behind it changes: notebook, parameters, the modules that it
imports, data, lock. Time stamps do not count, so a fresh clone, a touched file or a switched branch costs nothing.
"""

import json
import sys
from functools import cache
from pathlib import Path

from study import texts
from study.parameters import NETWORKS

sys.path.insert(0, "book/build")
import check_prose
import jobs
import keys
import progress
import warm
from keys import digest


configfile: "config.yaml"


# Snakemake asks several times for every job
code_key, source_key, data_key = map(cache, (keys.code_key, keys.source_key, keys.data_key))

profile = config["profile"]
if profile not in config["profiles"]:
    raise ValueError(f"profile={profile!r} is unknown; allowed: {', '.join(config['profiles'])}")
settings = config["profiles"][profile]
# A page is about a data set, or about a network and the data that it learns
kinds = {name: kind for kind, members in settings.items() if isinstance(members, list) for name in members}
data = {name: NETWORKS[name].datasets[0] if name in NETWORKS else name for name in kinds}
skipped = {name: reason for name in kinds if (reason := texts.unavailable(data[name]))}
names = [name for name in kinds if name not in skipped]
for reason in skipped.values():
    print(reason)

executed = f"book/executed/{profile}"
out = "." if profile == "paper" else f"_build/{profile}"


def split_key(notebook, protocol):
    """Which value of the profile says how many splits a notebook's pages of a protocol have."""
    return notebook["splits"] if protocol == "resplit" else notebook.get("corrected", "few_splits")


def parameters(wildcards):
    notebook, name = config["notebooks"][wildcards.notebook], wildcards.name
    chosen = {to: settings[key].get(name, settings[key][kinds[name]]) for to, key in notebook["takes"].items()}
    about = {notebook.get("varies", "dataset"): name}
    if wildcards.protocol != "published":
        of = lambda key: settings[key].get(name, settings[key].get(kinds[name]))
        number = "split_seeds" if wildcards.protocol == "resplit" else "corrected_seeds"
        chosen |= dict(splits=list(range(of(split_key(notebook, wildcards.protocol)))), seeds=list(range(of(number))))
        chosen |= {"draws": of("split_draws")} if "draws" in chosen else {}
    return chosen | about | dict(protocol=wildcards.protocol, out_dir=f"{executed}/results")


# networks and images first: theirs are the longest jobs
runs = [(n, d, p) for d in reversed(names) for n, notebook in config["notebooks"].items()
        if kinds[d] in notebook["data"] and d in settings.get("only", {}).get(n, names) for p in notebook["protocols"]
        if p == "published" or {d, kinds[d]} & {*settings.get(split_key(notebook, p), ())}]
pages = [f"{executed}/{n}/{d}-{p}.ipynb" for n, d, p in runs]
prose = ["intro", "claims", "changed", "verdict", "sensitivity", "explore", "tables", "audit", "deviations", "fidelity", "performance", "rerun", "howto", "cluster",
         "budget", "data", "built"]
kept = {  # tables that are not computed by this build, but shown by it
    "rerun": sorted(Path("notebooks").glob("*.py")),
    "fidelity": [Path("book/fidelity.csv")],
    "howto": [Path("benchmarks/results", f"{name}.csv") for name in ("recorder", "recorder_sizes", "recorder_networks", "constants", "shrink")],
    "performance": sorted(Path("benchmarks/results").glob("*.*")),
    "deviations": [Path("book/deviations.yaml")],
    "changed": [Path("book/changed.yaml"), Path("book/claims_before.csv")],
    "sensitivity": [Path("book/sensitivity.csv"), Path("book/sensitivity.json")],
    "explore": [Path("book/explore.csv.gz"), Path("book/explore.json")],
    "cluster": [Path("benchmarks/cluster.py"), *sorted(Path("benchmarks/results/cluster").glob("*.*"))],
    "built": [Path("Snakefile"), Path("config.yaml")],
}
if typed := check_prose.problems():
    raise ValueError("\n".join(["numbers typed into prose, which a result should give by glue:", *typed]))


rule html:
    input:
        pages,
        expand("{executed}/{page}.ipynb", executed=executed, page=prose),
    output:
        f"{out}/_build/html/index.html",
    params:
        key=digest(
            *(Path("book/build", f"{step}.py") for step in ("html_job", "stage", "chapters", "figures", "tidy_pages")),
            keys.code_key("book/build/chapters.py"), Path("_toc.yml"), Path("_config.yml"), keys.LOCK,
            *sorted(Path("book").glob("*.*")), names,
        ),
    log:
        f"{executed}/log/html.log",
    shell:
        "exec {jobs.PYTHON} book/build/html_job.py {profile} {out} {log} {names}"


rule notebook:
    input:
        ancient("notebooks/{notebook}.ipynb"),
    output:
        page=f"{executed}/{{notebook}}/{{name}}-{{protocol}}.ipynb",
    params:
        values=lambda w: json.dumps(parameters(w)),
        key=lambda w: digest(
            code_key(f"notebooks/{w.notebook}.ipynb"), source_key(f"notebooks/{w.notebook}.ipynb"),
            data_key(data[w.name]), parameters(w),
        ),
    log:
        f"{executed}/log/{{notebook}}-{{name}}-{{protocol}}.log",
    shell:
        "NUMBA_NUM_THREADS=1 OMP_NUM_THREADS=1"
        " exec {jobs.PYTHON} book/build/page_job.py {input} {params.values:q} {output.page} {log}"


rule prose:
    input:
        pages,
    output:
        f"{executed}/{{page}}.ipynb",
    params:
        values=json.dumps(dict(out_dir=f"{executed}/results", names=[d for d in names if kinds[d] not in ("heldout", "networks")])),
        key=lambda w: digest(
            code_key(f"book/{w.page}.md"), source_key(f"book/{w.page}.md"), skipped, *kept.get(w.page, [])
        ),
    log:
        f"{executed}/log/{{page}}.log",
    shell:
        "exec {jobs.PYTHON} book/build/page_job.py book/{wildcards.page}.md {params.values:q} {output} {log}"


include: "sweep.smk"  # target `sweep`; its hooks are taken from the main file only


onstart:
    if sweep_wanted():
        sweep_starts()
    elif workflow.is_main_process:
        jobs.alone(f"{executed}/lock")
        if workflow.local_exec:
            warm.start(f"{executed}/warm", f"{executed}/log/warm.log")
        to_do = [str(job.output[0]) for job in workflow.dag.needrun_jobs() if job.rule.name in ("notebook", "prose")]
        rendered = len(pages) if any(job.rule.name == "html" for job in workflow.dag.jobs) else 0
        progress.start(to_do, executed, workflow.cores, rendered)


onerror:
    sweep_ends()
