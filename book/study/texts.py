"""A text for the language model, which the paper leaves to future work."""

import ast
import hashlib
import sysconfig
from functools import cache
from pathlib import Path

from legc_utils import datasets

TEXTS = ("pydoc",)
CITATION, LICENCE = "Docstrings of nine modules of Python's own standard library", "PSF License 2"
# Pure Python with many words, in every Python from 3.11 on
_PYDOC = (
    "argparse", "collections", "configparser", "difflib", "doctest", "heapq", "inspect", "random", "statistics",
)  # fmt: skip


@cache
def load(name):
    """A text to learn characters from: str.

    pydoc is read from the docstrings in the sources of this Python's standard library, in their order; nothing is
    imported or run. It is the same for one version of Python and may differ between two, which `checksum` tells.

    Raises
    ------
    ValueError
        For an unknown name; the message lists the names.
    """
    if name not in TEXTS:
        raise ValueError(f"text={name!r} is unknown; allowed: {', '.join(TEXTS)}")
    documented, found = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef), []
    for module in _PYDOC:
        path = Path(sysconfig.get_path("stdlib"), module)
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        found += [ast.get_docstring(node) or "" for node in nodes if isinstance(node, documented)]
    text = "\n\n".join(filter(None, found))
    return text.encode("ascii", "ignore").decode()  # the few other characters are too rare to learn


def checksum(name):
    """SHA-256 of a text or, as `datasets.checksum`, of a data set: its identity in provenance and in keys."""
    return hashlib.sha256(load(name).encode()).hexdigest() if name in TEXTS else datasets.checksum(name)


def unavailable(name):
    """As `datasets.unavailable`; a text is always there."""
    return None if name in TEXTS else datasets.unavailable(name)
