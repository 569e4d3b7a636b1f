"""A page is executed again if code changes that it runs, and not for any other."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "book/build"))
import keys  # noqa: E402

NOTEBOOKS = sorted(f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb"))
PAGE = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# A page

The word `from study import audit` in prose imports nothing.

```{code-cell} ipython3
from study import claims, results
```
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A copy of all code behind pages, as the present folder."""
    for name in ("legc_utils", "book", "notebooks"):
        shutil.copytree(
            ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("executed", "results", "__pycache__")
        )
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    (tmp_path / "book/page.md").write_text(PAGE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(page):
    return {file.stem for file in keys.code_behind(page)}


def changed_by(change):
    """The pages of a project, notebooks and one of prose, whose key another content of a file changes."""
    pages = [*NOTEBOOKS, "book/page.md"]
    before = {page: keys.code_key(page) for page in pages}
    change.write_text(change.read_text() + "\n# a comment\n")
    return {page for page in pages if keys.code_key(page) != before[page]}


def test_a_comment_counts_where_its_module_is_imported_and_nowhere_else(project):
    changed = changed_by(project / "book/study/spectra.py")
    assert changed == {"notebooks/07_weightwatcher.ipynb"}
    for judge in ("book/study/claims.py", "book/claims.yaml"):  # no chapter depends on how it is judged
        assert changed_by(project / judge) == {"book/page.md"}


def test_what_every_page_runs_counts_for_all(project):
    everything = {*NOTEBOOKS, "book/page.md"}
    for name in (
        "requirements.txt",
        "legc_utils/__init__.py",
        "legc_utils/protocols.py",
        "book/study/results.py",
        keys.DRAWN,
    ):
        assert changed_by(project / name) == everything, name


def test_imports_count_however_they_are_written(project):
    modules = {
        "first": "def work():\n    from study.second import value\n",
        "second": "import study.third as other\nvalue = 1\n",
        "third": "from legc_utils.granger import longest_lag\n",
        "alone": "",
    }
    for name, code in modules.items():
        (project / f"book/study/{name}.py").write_text(code)
    Path("book/page.md").write_text(PAGE.replace("from study import claims, results", "from study import first"))
    method = {"granger", "protocols", "published", "compiling"}
    assert names("book/page.md") == {"__init__", "first", "second", "third"} | method
    assert changed_by(project / "book/study/third.py") == {"book/page.md"}
    assert changed_by(project / "book/study/alone.py") == set()


def test_data_that_a_module_names_count_with_it(project):
    (project / "book/mine.yaml").write_text("a: 1\n")
    (project / "book/study/first.py").write_text('TABLES = "mine.yaml", "absent.csv"\n')
    Path("book/page.md").write_text(PAGE.replace("from study import claims, results", "from study import first"))
    assert Path("book/mine.yaml") in keys.code_behind("book/page.md")
    assert changed_by(project / "book/mine.yaml") == {"book/page.md"}


def test_data_are_known_by_their_files_and_what_a_library_brings_by_the_lock(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert keys.data_key("cancer") != keys.data_key("banknote") and len(keys.data_key("cancer")[0]) == 64
    assert keys.data_key("iris") == [] and "scikit-learn==" in keys.LOCK.read_text()
    assert len(keys.data_key("pydoc")) == 64


SLOW = "torch", "numba", "sklearn", "statsmodels", "scipy.stats", "matplotlib", "seaborn", "shap", "IPython"


def test_what_the_snakefile_imports_takes_no_time():
    """A build that has nothing to do would wait for it."""
    code = f"""import sys; sys.path.insert(0, "book/build"); import check_prose, jobs, keys, progress, warm
from study import sweeps, texts
from study.parameters import NETWORKS
keys.data_key("digits"), keys.code_key("notebooks/06_diagnostics.ipynb"), sweeps.decidable("03_granger_pruning")
print([name for name in {SLOW} if name in sys.modules])"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout == "[]\n", run.stdout + run.stderr


def test_prose_is_no_code(project):
    assert "audit" not in names("book/page.md")
    before = keys.code_key("book/page.md")
    Path("book/page.md").write_text(PAGE.replace("A page", "Another"))
    assert keys.code_key("book/page.md") == before


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_a_chapter_has_behind_it_what_it_runs(monkeypatch, notebook):
    monkeypatch.chdir(ROOT)
    behind = names(notebook)
    assert {"protocols", "datasets", "training", "parameters", "portable", "results", "sources"} <= behind
    assert not behind & {"sweeps", "fidelity"}  # what notebooks do not use re-executes none of them


def test_heavy_and_special_modules_are_behind_few_chapters(monkeypatch):
    monkeypatch.chdir(ROOT)
    for module, chapters in {"importance": {"06"}, "spectra": {"07"}, "toda_yamamoto": {"11"}}.items():
        assert {Path(n).name[:2] for n in NOTEBOOKS if module in names(n)} == chapters, module


def test_every_import_in_the_project_is_one_that_keys_understand():
    for folder in keys.PACKAGES.values():
        for path in (ROOT / folder).glob("**/*.py"):
            assert path.parent == ROOT / folder, f"{path}: no packages within packages"
            relative = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom) and n.level]
            assert not relative, f"{path}: relative import"
