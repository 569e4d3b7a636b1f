"""Render the page of a sweep: python book/build/sweep_page.py FOLDER LOG"""

import sys

import jobs

if __name__ == "__main__":
    jobs.start()

import shutil
from pathlib import Path

import html_job
import page_job


def render(folder):
    """Make FOLDER/page anew from the specifications in FOLDER."""
    page = Path(folder, "page").absolute()
    shutil.rmtree(page, ignore_errors=True)
    page_job.run("book/sensitivity.md", {"kept": f"{folder}/specifications"}, page / "sensitivity.ipynb")
    html_job.jupyter_book(page / "sensitivity.ipynb", page)


if __name__ == "__main__":
    folder, log = sys.argv[1:]
    with jobs.logged(log):
        render(folder)
