"""Run one page: python book/build/page_job.py SOURCE PARAMETERS(JSON) PAGE.ipynb LOG

SOURCE is a chapter's notebook, or a page of prose (.md). PAGE appears by renaming when all of it has run, so a page
that exists is whole, whenever and however a run was stopped.
"""

import sys

import jobs

if __name__ == "__main__":
    jobs.start()

import json
from pathlib import Path

import jupytext
import nbformat
import papermill

from study import results


def run(source, values, page):
    """Execute a notebook with parameters and write it to `page`; raises what the notebook raises."""
    executed = papermill.execute_notebook(jupytext.read(source), None, values, progress_bar=False)
    page.parent.mkdir(parents=True, exist_ok=True)
    results.write(page, nbformat.writes(executed) + "\n")


if __name__ == "__main__":
    source, values, page, log = sys.argv[1:]
    with jobs.logged(log):
        run(source, json.loads(values), Path(page))
