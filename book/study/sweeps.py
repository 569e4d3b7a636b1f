"""Sweeps: every combination of some parameters of a notebook, and which of these choices move a claim's verdict.

`sweep.smk` runs one papermill job for each point of the grid in config.yaml; this module says what the points are,
whether they can be run at all, and what came out.
"""

import ast
import hashlib
import itertools
import json
import sys
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd

from legc_utils import datasets, protocols
from study import claims, evidence, parameters, results

OWN = "own"  # how a parameter reads that is left to the data set


@dataclass(frozen=True)
class Sweepable:
    """What a sweep needs to know of a notebook: the variants that it computes, and how large a network it can take."""

    variants: tuple
    most_weights: float = np.inf


SWEEPABLE = {
    "01_sdic": Sweepable(("FT",), most_weights=1000),
    "03_granger_pruning": Sweepable(protocols.VARIANTS),
    "04_ft_vs_pt": Sweepable(protocols.VARIANTS),
}


def decidable(notebook):
    """The claims that a sweep over a notebook can decide: keys, in the ledger's order.

    Not those that compare the best of some seeds with a printed number: jobs have a part of the seeds each.
    """
    return [claim.key for claim in claims.CLAIMS.values() if claim.notebook == notebook and claim.test != "exact"]


def _refuse(name, value, allowed):
    raise ValueError(f"sweep: {name}={value!r} is not allowed; give {allowed}")


def defaults(notebook, folder="notebooks"):
    """The parameters that a notebook takes, out_dir excepted, with their defaults: dict.

    Raises ValueError for a notebook that cannot be swept.
    """
    if notebook not in SWEEPABLE:
        _refuse("notebook", notebook, f"one of {', '.join(SWEEPABLE)}")
    cells = nbformat.read(Path(folder) / f"{notebook}.ipynb", as_version=4).cells
    source = next(c.source for c in cells if "parameters" in c.metadata.get("tags", []))
    target = lambda node: node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
    found = {target(node).id: ast.literal_eval(node.value) for node in ast.parse(source).body}
    del found["out_dir"]
    return found


def expand(section, folder="notebooks"):
    """The points of a grid, one dict of the notebook's parameters each.

    Parameters
    ----------
    section : dict
        `notebook`, optionally `claim` (a key of the ledger), and for any parameter of the notebook a value or a list
        of values; None leaves it to the data set. An entry of `seeds` is one seed or a list that shares a job.
    folder : path
        Where the notebooks are.

    Returns
    -------
    list of dict, the last parameter varying fastest, parameters in the notebook's order

    Raises
    ------
    ValueError
        Naming the key, its value and what is allowed.
    """
    if not isinstance(section, dict) or "notebook" not in section:
        _refuse("section", section, "a section with at least `notebook`")
    takes = defaults(section["notebook"], folder)
    allowed = decidable(section["notebook"])
    if section.get("claim", allowed[0]) not in allowed:
        _refuse("claim", section["claim"], f"for {section['notebook']} one of {', '.join(allowed)}")
    for name in section.keys() - {"notebook", "claim"} - takes.keys():
        raise ValueError(
            f"sweep: {section['notebook']} takes no parameter {name}={section[name]!r}; "
            f"allowed: notebook, claim, {', '.join(takes)}"
        )
    axes = {name: section.get(name, default) for name, default in takes.items()}
    if "seeds" not in section:
        axes["seeds"] = [takes["seeds"]]
    axes = {name: axis if isinstance(axis, list) else [axis] for name, axis in axes.items()}
    axes["seeds"] = [seeds if isinstance(seeds, list) else [seeds] for seeds in axes["seeds"]]
    for name, axis in axes.items():
        each = list(itertools.chain(*axis)) if name == "seeds" else axis
        if not each or any(each.count(value) > 1 for value in each):
            _refuse(name, section.get(name), "at least one value, and every value once")
    return [dict(zip(axes, values)) for values in itertools.product(*axes.values())]


def check(points, notebook):
    """Refuse points that the notebook would refuse, before anything runs.

    Downloads data sets that are not here yet. Raises ValueError with a line for each of the first few.
    """
    from legc_utils import selection, training  # torch: only the process that starts a sweep checks it

    kind, loaded, wrong = SWEEPABLE[notebook], {}, []
    for point in points:
        try:
            choices = parameters.choose(point)
            data = point["dataset"], point["protocol"]
            if data not in loaded:
                if reason := datasets.unavailable(point["dataset"], download=True):
                    raise ValueError(reason)
                loaded[data] = datasets.load(point["dataset"], point["protocol"])
            for variant in kind.variants:
                selection.horizon(loaded[data], choices, variant)
            size = training.count_weights(training.layer_sizes(loaded[data], choices.hidden))
            if size > kind.most_weights:
                raise ValueError(f"dataset={data[0]!r} has {size} weights; allowed here: up to {kind.most_weights}")
        except ValueError as error:
            wrong.append(f"{describe(point)}: {error}")
    if wrong:
        more = [f"… and {len(wrong) - 5} more"] if len(wrong) > 5 else []
        raise ValueError(
            "\n".join([f"sweep: {len(wrong)} of {len(points)} points cannot be run by {notebook}", *wrong[:5], *more])
        )


def describe(point):
    """A point in words, without what is left to the data set."""
    return ", ".join(f"{name}={value}" for name, value in point.items() if value is not None)


def finished(result):
    """Whether RESULT.csv and RESULT.evidence are there and are what RESULT.json says was written: bool."""
    try:
        kept = json.loads(result.with_suffix(".json").read_text())["sha256"]
        found = result.read_bytes() + result.with_suffix(".evidence").read_bytes()
        return hashlib.sha256(found).hexdigest() == kept
    except (OSError, ValueError, KeyError):
        return False


def progress(done, before, total, seconds):
    """A line for somebody who waits: how much is done, and how long the rest takes at this run's own pace.

    done, before : int, points finished now, and when this run began; seconds : float, since then.
    """
    line = f"sweep: {done} of {total} points done, {before} of them before; {timedelta(seconds=round(seconds))} gone"
    if done == total:
        return line
    if done == before:
        return f"{line}, time left not known yet"
    left = (total - done) * seconds / (done - before)
    return f"{line}, about {timedelta(seconds=round(left))} left"


def watch(folder, names, every=1.0, stream=None):
    """Write `progress` whenever another of the points `names` has its result in `folder`, until all have.

    every : float, seconds between two looks. Blocks: run it in a thread of its own.
    """
    names, start = {f"{name}.csv" for name in names}, time.monotonic()
    there = lambda: len(names.intersection(p.name for p in Path(folder).glob("*.csv")))
    before = last = there()
    while last < len(names):
        time.sleep(every)
        if (done := there()) > last:
            last = done
            line = progress(done, before, len(names), time.monotonic() - start)
            print(line, file=stream or sys.stderr, flush=True)


def collect(section, points, folder):
    """Gather what a sweep has left, and write it: the tidy table, the verdict of every specification, and provenance.

    Parameters
    ----------
    section : dict, as for `expand`
    points : dict from a job's name to its parameters
    folder : path
        With results/NAME.csv and results/NAME.evidence; table.csv, specifications.csv and specifications.json are
        written to it.

    Returns
    -------
    DataFrame: a row an observation, in the order of the points, with the job's name, status and parameters in front. A
    point without a result has one row with status "missing". A column of the notebook with the name of a parameter
    gets the ending _used.
    """
    folder, frames, found, about = Path(folder), [], [], []
    for name, point in points.items():
        result = folder / "results" / f"{name}.csv"
        done = finished(result)
        rows = pd.read_csv(result) if done else pd.DataFrame(index=[0])
        rows = rows.rename(columns={c: f"{c}_used" for c in rows.columns.intersection(list(point))})
        front = {"job": name, "status": "done" if done else "missing", "notebook": section["notebook"]}
        front |= {k: json.dumps(v) if isinstance(v, list) else v for k, v in point.items()}
        frames.append(pd.concat([pd.DataFrame([front] * len(rows), dtype=object), rows], axis=1))
        if done:
            about.append(json.loads(result.with_suffix(".json").read_text()))
            found.append((point, evidence.read(result.with_suffix(".evidence"))))
    table = pd.concat(frames, ignore_index=True)
    claim, axes = _claim(section), [name for name in next(iter(points.values())) if name != "seeds"]
    found = specifications(found, axes, claim)
    margin = None if claim.test == "superiority" else claim.margin  # effects of superiority count from theirs
    provenance = {
        "sweep": section,
        "claim": {k: getattr(claim, k) for k in ("key", "says", "tested")} | {"margin": margin, "page": claim.chapter},
        "jobs": len(points), "missing": [name for name in points if name in set(table.job[table.status == "missing"])],
        "job_seconds": sum(job["job_seconds"] for job in about), "work_seconds": sum(job["seconds"] for job in about),
        "git_commit": sorted({str(job["git_commit"]) for job in about}),
        "packages": about[0]["packages"] if about else {},
    }  # fmt: skip
    results.write(folder / "specifications.json", json.dumps(provenance, indent=1) + "\n")
    results.write(folder / "specifications.csv", found.to_csv(index=False))
    results.write(folder / "table.csv", table.to_csv(index=False))
    return table


def _claim(section):
    return claims.get(section.get("claim", decidable(section["notebook"])[0]))


def specifications(jobs, axes, claim):
    """The claim's test for every combination of choices, over all its seeds.

    Parameters
    ----------
    jobs : list of (point, evidence)
        The parameters of each job that is done, and the evidence it left (DataFrame, as `evidence.read` returns).
    axes : list of str, the names of the choices
    claim : claims.Claim

    Returns
    -------
    DataFrame with a row a specification: the choices (`OWN` where the data set's own value was taken) and effect, low,
    high, n, outcome. No correction for the number of specifications.
    """
    values = {}
    for point, found in jobs:
        choices = tuple(OWN if point[name] is None else point[name] for name in axes)
        values.setdefault(choices, []).extend(found.value[found.claim == claim.key])
    kept = ["effect", "low", "high", "n", "outcome"]
    found = [[*choices, *map(claim.decide(numbers).get, kept)] for choices, numbers in values.items()]
    return pd.DataFrame(found, columns=[*axes, *kept])


def influence(found):
    """Which choices move the conclusion.

    Parameters
    ----------
    found : DataFrame, as `specifications` returns

    Returns
    -------
    DataFrame with a row for each choice that was varied, the most influential first: choice, levels, share (of the
    variance of the effect that the means of its levels make up, the main effect of an analysis of variance), swing
    (largest minus smallest effect when only this choice varies, mean over everything else), and flips (of all settings
    of the others, the share where the outcome depends on this choice).
    """
    axes = [c for c in found.columns[: list(found).index("effect")] if len(found[c].unique()) > 1]
    rows, spread = [], found.effect.var(ddof=0)
    for axis in axes:
        others = found.groupby([a for a in axes if a != axis] or (lambda _: 0))
        rows.append(dict(
            choice=axis, levels=found[axis].nunique(),
            share=found.groupby(axis).effect.transform("mean").var(ddof=0) / spread if spread else 0.0,
            swing=(others.effect.max() - others.effect.min()).mean(), flips=(others.outcome.nunique() >= 2).mean(),
        ))  # fmt: skip
    found = pd.DataFrame(rows, columns=["choice", "levels", "share", "swing", "flips"])
    return found.sort_values("swing", ascending=False, ignore_index=True)
