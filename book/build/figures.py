"""Figures that carry their data: what stands below each, and the files to which that leads.

Below a figure: the marks that it shows (`study.drawn`), the rows of its page, the cell that drew it, and the provenance
of all that, with commit, parameters, seeds and seconds. Addresses are those of the rendered book, where assets/ is
_static/.
"""

import json
import re
from pathlib import Path

import nbformat

from study import drawn

FIGURES = "figures"  # of the assets: a folder a page
# Kept tables that a page draws from, which this build does not compute: what says how they were made
KEPT = {
    "sensitivity": "book/sensitivity.json",
    "performance": "benchmarks/results/machine.json",
    "cluster": "benchmarks/results/cluster/machine.json",
}


def line(page, links):
    """The links below a figure of a page, as Markdown. links : dict of text to address from the top of the book."""
    up = "../" * page.count("/")
    own = lambda address: address if address.startswith("#") else f"{up}{address}"
    return "Data: " + " · ".join(f'<a href="{own(address)}">{text}</a>' for text, address in links.items())


def carry(notebook, page, rows, provenance):
    """Let every figure of an executed notebook carry its data; changes the notebook.

    Parameters
    ----------
    notebook : NotebookNode, whose figures have names that are unique to the book
    page : str, where the book has it, such as "04_ft_vs_pt/cancer"
    rows : dict of str to str, more rows to lead to: what the link says and its address
    provenance : str, the address of the JSON file that says where they come from

    Returns
    -------
    dict of Path to bytes: the marks of each figure, as CSV, to be put into the book. Cells that drew a figure get a
    label of the same name behind "cell-".
    """
    files, cells = {}, []
    for cell in notebook.cells:
        marks = [output.metadata.pop(drawn.ROWS, None) for output in cell.get("outputs", []) if "metadata" in output]
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        if name := figure.get("name"):
            links = {}
            if shown := "".join(filter(None, marks)):
                files[Path("assets", FIGURES, page, f"{name}.csv")] = shown.encode()
                links["what is drawn"] = f"_static/{FIGURES}/{page}/{name}.csv"
            links |= rows | {
                "cell": f"#cell-{name}", "notebook": f"_sources/{page}.ipynb", "provenance": provenance,
            }  # fmt: skip
            figure["caption"] += f"\n\n{line(page, links)}"
            label = nbformat.v4.new_markdown_cell(f"(cell-{name})=")
            label.id, cell.id = f"cell-{name}"[:64], name[:64]
            cells.append(label)
        cells.append(cell)
    notebook.cells = cells
    return files


def of_chapter(page, out_dir):
    """What `carry` takes for the page of a data set or network, which saves results of its own: (rows, provenance)."""
    at = f"_static/results/{page}-published"
    return ({"rows of this page": f"{at}.csv"} if Path(out_dir, f"{page}-published.csv").exists() else {}), f"{at}.json"


def of_prose(notebook, page, out_dir):
    """The provenance of a page of prose, which draws what others computed: bytes of a JSON file.

    Its own commit, parameters and seconds, and below `from` the provenance of all results that its cells name, or of
    the kept tables.
    """
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    about, sources = notebook.metadata.papermill, {}
    for chapter in sorted(set(re.findall(r'results\.load\("(\d\d_\w+)"', code))):
        sources |= of_results(chapter, out_dir)
    if page in KEPT:
        sources[KEPT[page]] = json.loads(Path(KEPT[page]).read_text(encoding="utf-8"))
    return provenance(page, about.get("git_commit"), about.parameters, about.duration, sources)


def of_results(chapter, out_dir, names=None):
    """The provenance of all results of a chapter, or on some data sets only: dict by what names the file."""
    paths = sorted(Path(out_dir, chapter).glob("*.json"))
    keep = [path for path in paths if names is None or path.stem.rsplit("-", 1)[0] in names]
    return {f"{chapter}/{path.stem}": json.loads(path.read_text(encoding="utf-8")) for path in keep}


def provenance(page, commit, parameters, seconds, sources):
    """What `results.save` would write beside rows, of a figure that is drawn from the rows of others: bytes of JSON."""
    made = {"page": page, "git_commit": commit, "parameters": dict(parameters), "seconds": seconds, "from": sources}
    return json.dumps(made, indent=1, ensure_ascii=False).encode() + b"\n"
