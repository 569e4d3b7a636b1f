"""Measure everything, print the table, and write benchmarks/results/, which the page "Performance" shows.

Usage: python -m benchmarks [--quick] [--out FOLDER]. Exits with an error if any result differs
from its peer's, or if a ratio falls below four fifths of the kept one.
"""

import argparse
import json
import os
import platform
import sys
from datetime import date
from importlib import metadata
from pathlib import Path

import numba
import pandas as pd

from benchmarks import compare, limits, memory, recorder, scaling, shrink
from study import results

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("neurokit2", "nolds", "numba", "numpy", "scipy", "statsmodels", "torch")


def machine():
    """What the figures were measured on, as a dict."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.processor())
    return {
        "date": date.today().isoformat(), "processor": model, "cores": os.cpu_count(),
        "threads": numba.get_num_threads(), "instructions": "AVX-512" if "avx512f" in " ".join(lines) else "other",
        "system": platform.system(), "python": platform.python_version(), "git_commit": results.git_commit(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
    }  # fmt: skip


def verdict(table, kept=None):
    """Whether every row is equal to its peer and as fast as it was, and a line for each that is not.

    kept : the table of an earlier run, or None; a ratio below four fifths of its own is a failure. A missed floor is
    told alone: another machine may have it.
    """
    unequal = table[~(table.difference <= table.tolerance)]
    slow = table[table.ratio < table.floor]
    fell = table[:0]
    if kept is not None:
        before = table[["task", "peer"]].merge(kept, how="left").ratio.to_numpy()
        fell = table.assign(before=before)[table.ratio < 0.8 * before]
    lines = [f"DIFFERS: {r.task}, {r.peer}: {r.difference:.1e} above {r.tolerance:.0e}" for r in unequal.itertuples()]
    lines += [f"below the floor: {r.task}, {r.peer}: {r.ratio:.0f} of {r.floor:.0f}" for r in slow.itertuples()]
    lines += [f"SLOWER: {r.task}, {r.peer}: {r.ratio:.1f} times, {r.before:.1f} before" for r in fell.itertuples()]
    return unequal.empty and fell.empty, lines or ["all results equal within their tolerances, every floor reached"]


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes: checks that everything runs and agrees")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the tables")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    kept = None if options.quick else pd.read_csv(RESULTS / "compare.csv")

    def save(name, frame):
        frame.to_csv(options.out / f"{name}.csv", index=False, float_format="%.6g")
        print(f"\n{name}\n{frame.to_string(index=False, float_format=lambda v: f'{v:.4g}')}", flush=True)

    (options.out / "machine.json").write_text(json.dumps(machine(), indent=1) + "\n")
    table = compare.compare(options.quick)
    save("compare", table)
    curves = scaling.scaling(options.quick)
    save("scaling", curves)
    save("exponents", scaling.exponents(curves))
    save("memory", memory.memory(options.quick))
    save("mnist", memory.whole_mnist(options.quick))
    shares, stages = limits.limits(options.quick)
    save("limits", shares)
    save("stages", stages)
    save("recorder", recorder.resnet(options.quick))
    save("recorder_networks", recorder.by_network(options.quick))
    save("shrink", shrink.table(options.quick))
    save("recorder_sizes", recorder.by_size(options.quick))
    save("constants", recorder.constants(options.quick))
    save("first_call", limits.first_calls(options.quick))
    fine, lines = verdict(table, kept)
    print("", *lines, sep="\n")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
