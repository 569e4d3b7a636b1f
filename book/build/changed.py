"""What `make check` runs: a notebook and the tests of what changed, one a line, for pytest --nbval.

What changed is all that differs from where this branch left the main one, committed or not. Its tests are those that
import it, by however many modules in between, or name its file.
"""

import ast
import re
import subprocess
from pathlib import Path

import keys
import pandas as pd

TESTS = Path("tests")
ALWAYS = TESTS / "unit"  # where nothing can be told
SCRIPTS = Path("book/build"), TESTS
SECONDS = Path("book/seconds.csv")


def git(*arguments):
    """Lines that git prints, none where it fails."""
    return subprocess.run(["git", *arguments], capture_output=True, text=True).stdout.splitlines()


def changes():
    """Files that differ from the main branch, new and deleted ones included: set of paths."""
    mains = (git("merge-base", "HEAD", name) for name in ("origin/HEAD", "origin/main", "main"))
    base = next(filter(None, mains), ["HEAD"])
    return set(map(Path, git("diff", "--name-only", *base) + git("ls-files", "--others", "--exclude-standard")))


def behind(test):
    """What a test depends on: itself, what it imports or names, and what pytest reads with it: set of paths."""
    code = test.read_text()
    named = {node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)}
    named = {Path(name) for name in named if isinstance(name, str) and re.fullmatch(r"\w[\w./-]*", name)}
    return {test, *keys.behind(code, scripts=SCRIPTS), *(folder / "conftest.py" for folder in test.parents), *named}


def tests(changed):
    """Tests of what changed, and `ALWAYS` if a file is none's or none has changed: sorted paths."""
    of = {test: behind(test) for test in TESTS.rglob("test_*.py")}
    is_of = lambda file, test: bool({file, file.parent} & of[test])  # a folder is named for the files in it
    told = all(any(is_of(file, test) for test in of) for file in changed)
    found = {test for test in of if any(is_of(file, test) for file in changed)}
    return sorted(found if changed and told else {test for test in found if ALWAYS not in test.parents} | {ALWAYS})


def notebook(changed):
    """The notebook that takes the least time among those that changed, else those that import a change, else all."""
    kept = pd.read_csv(SECONDS)
    seconds = kept.seconds.groupby(kept.page.str.partition("/")[0]).min()
    paths = [Path(f"notebooks/{name}.ipynb") for name in seconds.sort_values().index]
    own = [path for path in paths if {path, path.with_suffix(".py")} & changed]
    return next(iter(own or [path for path in paths if changed.intersection(keys.code_behind(path))] or paths))


if __name__ == "__main__":
    changed = changes()
    print(notebook(changed), *tests(changed), sep="\n")
