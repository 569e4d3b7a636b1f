"""Execute the paired notebooks with their own default parameters and store the outputs in the .ipynb files.

Usage: python book/build/refresh.py [NOTEBOOK.py …]. nbval compares these outputs, so run it after every change of a
notebook or of what it computes, and read the difference before you commit it.
"""

import base64
import sys
from pathlib import Path

import jobs
import jupytext
import nbformat
from nbclient import NotebookClient

README_FIGURE = ("02_windowed_le", "fig-controls")


def refresh(source):
    notebook = jupytext.read(source)
    NotebookClient(notebook, record_timing=False, resources={"metadata": {"path": source.parent}}).execute()
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{source.stem}-{number}"[-64:]  # random ids would show up as changes
        figure = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
        if (source.stem, figure) == README_FIGURE:
            png = next(o.data["image/png"] for o in cell.outputs if "image/png" in o.get("data", {}))
            (Path("book/_static") / f"{figure}.png").write_bytes(base64.b64decode(png))
    notebook.metadata.pop("language_info", None)
    nbformat.write(notebook, source.with_suffix(".ipynb"))


if __name__ == "__main__":
    jobs.settle()
    for source in map(Path, sys.argv[1:] or sorted(Path("notebooks").glob("*.py"))):
        print(source)
        refresh(source)
