"""What a job's identity is made of: hashes of contents, for the Snakefile and for sweep.smk."""

import ast
import hashlib
import json
import re
from functools import cache
from pathlib import Path

import jupytext

from legc_utils import datasets
from study import texts

LOCK = Path("requirements.txt")
PACKAGES = {"legc_utils": Path("legc_utils"), "study": Path("book/study"), "benchmarks": Path("benchmarks")}
DATA = (Path("book"), Path("legc_utils/data"))  # where the files are that modules read by name
DRAWN = Path("book/study/drawn.py")  # every kernel of the book loads it
JUDGE = Path("book/study/claims.py")  # what a notebook computes does not depend on how it is judged


def digest(*parts):
    """One hash for files (by content) and values."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(Path(part).read_bytes() if isinstance(part, Path) else json.dumps(part, sort_keys=True).encode())
    return whole.hexdigest()


def source_key(path):
    """What a notebook says: its cells, not its stored outputs."""
    return [(c.cell_type, c.source, c.metadata.get("tags")) for c in jupytext.read(path).cells]


def data_key(name):
    """The checksums of a data set's files, or of a text; the lock stands for what a library brings along."""
    return texts.checksum(name) if name in texts.TEXTS else [sha256 for _, sha256, _ in datasets.files(name)]


def code_key(path):
    """One hash for what a notebook (.ipynb) or page (.md) runs beside its cells: `code_behind` it, `DRAWN`, lock."""
    files = code_behind(path)
    return digest([str(file) for file in files], *files, DRAWN, LOCK)


def code_behind(path):
    """The project's modules that a notebook or page imports, all that these import in turn, and the data they name.

    Returns sorted paths. Imports inside functions count; a notebook's do not reach beyond `JUDGE`. Raises SyntaxError
    for a code cell that is not plain Python.
    """
    judges = {JUDGE} if Path(path).suffix == ".ipynb" else set()
    cells = [cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    return behind("\n".join(cells), judges)


def behind(code, without=frozenset(), scripts=()):
    """What `code_behind` says, of some Python: sorted paths.

    without : set of paths, whose imports by another module do not count
    scripts : folders of modules outside the packages that count too
    """
    left, modules = _modules(code, scripts), set()
    while left:
        module = left.pop()
        modules.add(module)
        left |= _modules(module.read_text(), scripts) - modules - without
    return sorted(modules | {file for module in modules for file in _data(module)})


def _modules(code, scripts):
    """Files of the project's modules that some code imports, each with its package's `__init__.py`."""
    found = set()
    for name in _read(code)[0]:
        package, *inner = name.split(".")  # of the first name behind the package only a file says if it is a module
        found |= {Path(folder, f"{package}.py") for folder in scripts}
        if package in PACKAGES:
            found |= {PACKAGES[package] / f"{module}.py" for module in ["__init__", *inner[:1]]}
    return {file for file in found if file.exists()}


def _data(module):
    """Files that a module names in a string of its own: beside it, or in one of the folders of data."""
    return {folder / name for name in _read(module.read_text())[1] for folder in (module.parent, *DATA)
            if (folder / name).exists()}  # fmt: skip


@cache  # Snakemake asks for every job
def _read(code):
    """Dotted names that some Python imports, and file names among its strings: two sets."""
    imported, named = set(), set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and re.fullmatch(r"[\w./-]+\.(csv|json|toml|yaml)", str(node.value)):
            named.add(node.value)
    return imported, named
