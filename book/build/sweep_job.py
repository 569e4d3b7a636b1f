"""Run one point of a sweep: python book/build/sweep_job.py NOTEBOOK PARAMETERS(JSON) RESULT.csv LOG

The notebook writes into a folder of its own, and its rows move to RESULT.csv, with RESULT.evidence and RESULT.json
beside it, only when all of it has run. So a result that exists is whole, whenever and however a run was stopped.
"""

import sys

import warm

if __name__ == "__main__" and (code := warm.hand_over(sys.argv)) is not None:
    sys.exit(code)

import jobs

if __name__ == "__main__":
    jobs.start()

import hashlib
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import kernels


def run(notebook, values, result):
    """Execute the notebook and move what it saved to `result`; raises what the notebook raises."""
    partial = result.parent.parent / "partial"
    for left_over in partial.glob(f"{result.stem}-*"):  # of a run of this point that was killed
        shutil.rmtree(left_over, ignore_errors=True)
    partial.mkdir(parents=True, exist_ok=True)
    result.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"{result.stem}-", dir=partial) as private:
        out_dir = str(Path(private).resolve())
        kernels.execute(notebook, values | {"out_dir": out_dir})
        (rows,), (found,) = Path(private).glob("[0-9]*/*.csv"), Path(private).glob("evidence/*/*.csv")
        about = rows.with_suffix(".json")
        provenance = json.loads(about.read_text()) | {
            "job_seconds": round(time.monotonic() - start, 1),
            "sha256": hashlib.sha256(rows.read_bytes() + found.read_bytes()).hexdigest(),
        }
        about.write_text(json.dumps(provenance, indent=1) + "\n")
        os.replace(about, result.with_suffix(".json"))
        os.replace(found, result.with_suffix(".evidence"))
        os.replace(rows, result)  # last: this is what makes the point finished


def main(notebook, values, result, log):
    """Run one point, with what it says in a log."""
    with jobs.logged(log):
        run(notebook, json.loads(values), Path(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
