"""Gather what the table of contents names into one folder, ready for jupyter-book.

Executed notebooks come from book/executed/PROFILE, prose from book/. A page is copied only if it changed, so that
Sphinx rebuilds no more than it must.
"""

import base64
import json
import re
from importlib.util import find_spec
from pathlib import Path

import chapters
import figures
import nbformat
import yaml

from study import evidence, explore, verdicts
from study.parameters import NETWORKS

# The picture on the landing page, and what it is: a figure of a chapter on a data set
LANDING, LANDING_PAGE, LANDING_FIGURE = "_static/fig-controls.png", "02_windowed_le/cancer", "fig-controls-cancer"
PART = "(?:[^.?!`]|`[^`]*`)"  # of a sentence: a letter, or code, which may hold full stops


def write(path, content):
    """Write bytes only where they differ from what is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_bytes() != content:
        path.write_bytes(content)


def title(name):
    """What a page is called that is about a data set or a network."""
    return NETWORKS[name].title if name in NETWORKS else name


def own_labels(source, name, pages):
    """Labels and links of one notebook's Markdown, made unique to the page of its data set or network, or to "index".

    A link to a chapter that has no page of this name leads to the chapter's first page, its index.
    """
    for label in set(re.findall(r":label: (\S+)", source)) | set(re.findall(r"\{eq\}`([^`]+)`", source)):
        source = re.sub(rf"{re.escape(label)}(?![\w-])", f"{label}-{name}", source)

    def page(match):
        own = f"{match[1]}/{name}"
        return f"](../{own}.ipynb)" if own in pages else f"](../{match[1]}/index.md)"

    return re.sub(r"\]\((\d\d_\w+)\.ipynb\)", page, source)


def rerun_box(notebook, name, parameters, repository, others=()):
    """How to compute a page again: the command with its own parameters, the executed notebook, Binder and Colab.

    parameters, others : dict, of the page, and of those whose rows the verdicts rest on, under other protocols
    """
    owner = repository["url"].removeprefix("https://github.com/")
    at = f"{owner}/{{}}{repository['branch']}{{}}notebooks/{notebook}.ipynb"
    binder = "https://mybinder.org/v2/gh/" + at.format("", "?labpath=")
    colab = "https://colab.research.google.com/github/" + at.format("blob/", "/")

    def command(parameters):
        values = json.dumps(parameters | {"out_dir": "results"}, ensure_ascii=False)
        return f"PATH=\"$PWD/.venv/bin:$PATH\" papermill notebooks/{notebook}.ipynb out.ipynb -y '{values}'\n"

    rest = "\nThe rows that verdicts rest on, under other protocols than this page's:\n\n~~~sh\n{}~~~\n"
    box = nbformat.v4.new_markdown_cell(
        "```{admonition} Compute this page yourself\n:class: tip dropdown\n"
        "After `make book` or `make test`, with other values if you like:\n\n"
        f"~~~sh\n{command(parameters)}~~~\n"
        f"{rest.format(''.join(map(command, others))) if others else ''}\n"
        f"{{download}}`The executed notebook <{name}.ipynb>` holds what you see here. "
        "[](../rerun.ipynb) explains every parameter. "
        f"Without an installation: [in Binder]({binder}), or [in Colab]({colab}) after "
        f"`!pip install git+{repository['url']}`.\n```"
    )
    box.id = "rerun"  # a random one would make every page look new
    return box


def opening(path):
    """What a notebook opens with, for its chapter's first page: Markdown, without sentences on one data set's glue."""
    first = next(c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown")
    return re.sub(rf"(?<=[.?!])\s{PART}*?\{{glue:text\}}{PART}*[.?!]", "", first.source)


def own_opening(source, name):
    """What a notebook opens with, for the page of one data set or network, headed by its name.

    The chapter's title stays in the browser's title bar and in search results; what the paper says is on the chapter's
    first page, to which the line below the heading leads.
    """
    if not (heading := re.match(r"# (.+)\n", source)):
        raise ValueError(f"a notebook opens with {source[:60]!r}; allowed: a Markdown cell headed '# Title'")
    all_of_them = "networks" if name in NETWORKS else "data sets"
    rest = re.sub(
        r"\n```\{admonition\} The (?:paper says|successors say)\n.*?\n```\n",
        "",
        source[heading.end() :],
        count=1,
        flags=re.S,
    )
    return (
        f"# {title(name)}\n\n```{{title}} {heading[1]} – {title(name)}\n```\n\n"
        f"*A page of the chapter [{heading[1]}](index.md), which puts all {all_of_them} side by side.*\n{rest}"
    )


def staged(path, name, pages, repository):
    """An executed notebook as its page: titled by its name, with labels of its own and how to compute it again."""
    notebook = nbformat.read(path, as_version=4)
    first = next(c for c in notebook.cells if c.cell_type == "markdown")
    first.source = own_opening(first.source, name)
    made = [path.with_name(f"{name}-{protocol}.ipynb") for protocol in verdicts.PROTOCOLS if protocol != "published"]
    others = [nbformat.read(other, as_version=4).metadata.papermill.parameters for other in made if other.exists()]
    box = rerun_box(path.parent.name, name, notebook.metadata.papermill.parameters, repository, others)
    notebook.cells.insert(notebook.cells.index(first) + 1, box)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    # parameters as written and as given, and their check: the box says it all; then the set-up
    for cell, tag in zip(code, ["remove-input"] * 3 + ["hide-input"]):
        cell.metadata.tags = [*cell.metadata.get("tags", []), tag]
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = own_labels(cell.source, name, pages)
        elif "name" in (figure := cell.metadata.get("mystnb", {}).get("figure", {})):
            figure["name"] += f"-{name}"
        cell.metadata.pop("papermill", None)  # time stamps: they would make every page look new
        cell.metadata.pop("execution", None)
    notebook.metadata.pop("papermill", None)
    return notebook


def prose(path, out_dir):
    """An executed prose page, without the cell that papermill put in, and the files that its figures lead to: both."""
    notebook, page = nbformat.read(path, as_version=4), path.stem
    notebook.cells = [c for c in notebook.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    at = f"{figures.FIGURES}/{page}/{page}.json"
    files = figures.carry(notebook, page, {}, f"_static/{at}")
    if files:
        files[Path("assets", at)] = figures.of_prose(notebook, page, out_dir)
    notebook.metadata.pop("papermill", None)
    return notebook, files


def landing(notebook, chapter):
    """Let the landing page show a chapter's figure as this book has it, with what stands below it there.

    The picture in book/_static, which the README shows, is of the notebook's own parameters; a book has others.

    notebook : the landing page, which is changed; chapter : NotebookNode, the page `LANDING_PAGE` as it is staged

    Returns the picture: bytes of a PNG.
    """
    drew = next(cell for cell in chapter.cells if cell.id == LANDING_FIGURE)
    below = drew.metadata.mystnb.figure.caption.split("\n\n")[-1]
    below = below.replace("this page", "its page").replace("../", "").replace('"#', f'"{LANDING_PAGE}.html#')
    for cell in notebook.cells:
        figure = rf"(```\{{figure\}} {re.escape(LANDING)}\n.*?)\n```"
        cell.source = re.sub(figure, lambda match: f"{match[1]}\n\n{below}\n```", cell.source, count=1, flags=re.S)
    return base64.b64decode(next(out.data["image/png"] for out in drew.outputs if "image/png" in out.get("data", {})))


def contents(toc, pages):
    """The table of contents with a section below each chapter for every data set or network that was run."""
    for part in toc["parts"]:
        for chapter in part["chapters"]:
            if sections := [p for p in pages if p.split("/")[0] == chapter["file"].removesuffix("/index")]:
                chapter["sections"] = [{"file": p, "title": title(p.split("/")[1])} for p in sections]
    return toc


def main(profile, folder, *names):
    """Fill a folder for a profile; names are the data sets that could be had, and the networks."""
    book, executed, stage = Path("book"), Path("book/executed") / profile, Path(folder)
    config = yaml.safe_load(Path("config.yaml").read_text())
    toc = yaml.safe_load(Path("_toc.yml").read_text())
    repository = yaml.safe_load(Path("_config.yml").read_text())["repository"]
    files = {Path("_config.yml"): Path("_config.yml").read_bytes()}
    made = {f"{n}/{name}": executed / n / f"{name}-published.ipynb" for n in config["notebooks"] for name in names}
    pages = [page for page, path in made.items() if path.exists()]
    notebooks = {page: staged(made[page], page.split("/")[1], pages, repository) for page in pages}
    for page, notebook in notebooks.items():
        files |= figures.carry(notebook, page, *figures.of_chapter(page, executed / "results"))
    judged = chapters.judge(evidence.load(executed / "results"), names)
    for n in config["notebooks"]:
        if own := {name: title(name) for name in names if f"{n}/{name}" in pages}:
            text = own_labels(opening(f"notebooks/{n}.ipynb"), "index", pages)
            for file, content in chapters.first_page(n, text, own, judged, executed / "results").items():
                of_figure = Path(file).suffix in (".csv", ".json")
                files[Path("assets", figures.FIGURES, n, file) if of_figure else Path(n, file)] = content
    kept = {*config["notebooks"], "claims", "claims_by_dataset"}
    for path in sorted(
        p for p in (executed / "results").rglob("*.*") if p.parent.name in kept and p.suffix != ".partial"
    ):  # raw rows, to download
        files[Path("assets/results") / path.relative_to(executed / "results")] = path.read_bytes()
    files[Path("_toc.yml")] = yaml.safe_dump(contents(toc, pages), sort_keys=False).encode()
    for path in sorted(book.glob("*.md")):
        made = executed / f"{path.stem}.ipynb"
        if made.exists():
            notebooks[path.stem], carried = prose(made, executed / "results")
            files |= carried
        else:
            files[Path(path.name)] = path.read_bytes()
    for path in (Path("CITATION.cff"), book / "cite.bib", book / "archive.txt"):
        files[Path("assets") / path.name] = path.read_bytes()
    files[Path("assets/code/chapters.py")] = Path(chapters.__file__).read_bytes()
    for source in (executed / "results/claims.json", book / verdicts.SCHEMA):  # at the top of the book
        if source.exists():
            files[Path("extra", source.name)] = source.read_bytes()
    files[Path("references.bib")] = (book / "references.bib").read_bytes()
    for path in sorted((book / "_static").glob("*.*")):  # not the README's pictures, in a folder of their own
        files[Path("_static") / path.name] = path.read_bytes()
    if {"intro", LANDING_PAGE} <= set(notebooks):
        files[Path(LANDING)] = landing(notebooks["intro"], notebooks[LANDING_PAGE])
    files |= {Path(f"{page}.ipynb"): nbformat.writes(notebook).encode() for page, notebook in notebooks.items()}
    mathjax = Path(find_spec("mathjax").origin).parent / "static" / "mathjax" / "es5"
    for path in [
        mathjax / "tex-mml-chtml.js",
        *(mathjax / "output/chtml/fonts").rglob("*.woff"),
    ]:  # all that pages load
        files[Path("assets/mathjax") / path.relative_to(mathjax)] = path.read_bytes()
    files[Path("assets", explore.SCRIPT)] = explore.script().encode()
    for path, content in files.items():
        write(stage / path, content)
    for path in stage.rglob("*"):
        if path.is_file() and path.relative_to(stage) not in files:
            path.unlink()
