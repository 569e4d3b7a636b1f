"""Run one page: python book/build/page_job.py SOURCE PARAMETERS(JSON) PAGE.ipynb LOG

SOURCE is a chapter's notebook, or a page of prose (.md). PAGE appears by renaming when all of it has run, so a page
that exists is whole, whenever and however a run was stopped.
"""

import sys

import warm

if __name__ == "__main__" and (code := warm.hand_over(sys.argv)) is not None:
    sys.exit(code)

import jobs

if __name__ == "__main__":
    jobs.start()

import json
from pathlib import Path

import jupytext
import kernels
import nbformat

from study import results


def run(source, values, page):
    """Execute a notebook with parameters and write it to `page`; raises what the notebook raises."""
    executed = kernels.execute(jupytext.read(source), values)
    executed.metadata.papermill["git_commit"] = results.git_commit()
    page.parent.mkdir(parents=True, exist_ok=True)
    results.write(page, nbformat.writes(executed) + "\n")


def main(source, values, page, log):
    """Run one page, with what it says in a log."""
    with jobs.logged(log):
        run(source, json.loads(values), Path(page))


if __name__ == "__main__":
    main(*sys.argv[1:])
