"""Render the book: python book/build/html_job.py PROFILE FOLDER LOG NAME …, with what `stage` takes.

Pages that did not change are not rendered again, unless the last run did not come to its end: Sphinx takes the page
that it was writing for a finished one, and the warning that stopped it would not come twice.
"""

import sys

import jobs

if __name__ == "__main__":
    jobs.start()

import shutil
import subprocess
from pathlib import Path

import stage
import tidy_pages


def jupyter_book(source, folder, *options):
    """Build a book or a page into FOLDER/_build; raises CalledProcessError if Jupyter Book fails."""
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    subprocess.run([*command, "build", source, "--path-output", folder, *options], check=True)


def render(profile, folder, names):
    """Stage, render and tidy FOLDER/_build/html; raises CalledProcessError for what Jupyter Book complains of."""
    build = Path(folder, "_build")
    unfinished = build / "unfinished"
    if unfinished.exists():
        for left_over in ("html", ".doctrees"):
            shutil.rmtree(build / left_over, ignore_errors=True)
    build.mkdir(parents=True, exist_ok=True)
    unfinished.touch()
    stage.main(profile, build / "stage", *names)
    jupyter_book(build / "stage", folder, "-W", "-n", "--keep-going")
    tidy_pages.main(build / "html")
    unfinished.unlink()


if __name__ == "__main__":
    profile, folder, log, *names = sys.argv[1:]
    with jobs.logged(log):
        render(profile, folder, names)
