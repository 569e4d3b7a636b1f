"""`make check` runs the tests and a notebook of what changed, and never nothing."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import workflow

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "book/build"))
import changed  # noqa: E402

FILES = {
    "legc_utils/__init__.py": "",
    "legc_utils/granger.py": "",
    "legc_utils/lyapunov.py": "",
    "legc_utils/recorder.py": "from legc_utils import lyapunov\n",
    "book/study/__init__.py": "",
    "book/study/maps.py": "from legc_utils.granger import longest_lag\n",
    "book/study/nulls.py": 'TABLE = "nulls.csv"\n',
    "book/nulls.csv": "a\n",
    "book/build/stage.py": "from study import maps\n",
    "book/seconds.csv": "page,seconds\n01_a/x-published,9\n01_a/y-published,8\n02_b/x,3\n03_c/x,1\n",
    "Makefile": "",
    "LICENSE": "",
    "requirements.txt": "",
    "tests/unit/conftest.py": "",
    "tests/unit/test_granger.py": "from legc_utils import granger\n",
    "tests/unit/test_recorder.py": "from legc_utils.recorder import LEGCRecorder\n",
    "tests/helper.py": "from study import nulls\n",
    "tests/test_stage.py": "import sys\nimport stage\n",
    "tests/test_nulls.py": "def test():\n    import helper\n",
    "tests/test_make.py": 'ROOT / "Makefile"\nROOT / "notebooks"\n',
}
NOTEBOOKS = {"01_a": "from study import maps", "02_b": "from study import nulls", "03_c": ""}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A checkout of `FILES` on a branch of its own, as the present folder; a function that runs git in it."""
    monkeypatch.chdir(tmp_path)
    for name, content in FILES.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content)
    Path("notebooks").mkdir()
    for name, code in NOTEBOOKS.items():
        nbformat.write(workflow.chapter("", code), f"notebooks/{name}.ipynb")

    def git(*arguments):
        who = ["-c", "user.name=x", "-c", "user.email=x@x"]
        subprocess.run(["git", *who, *arguments], check=True, capture_output=True)

    git("init", "-b", "main")
    git("add", ".")
    git("commit", "-m", "all")
    git("checkout", "-b", "mine")
    return git


def chosen(*names):
    return {path.name if path.suffix else str(path) for path in changed.tests(set(map(Path, names)))}


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["legc_utils/granger.py"], {"test_granger.py", "test_stage.py"}),
        (["legc_utils/lyapunov.py"], {"test_recorder.py"}),
        (["book/nulls.csv"], {"test_nulls.py"}),
        (["tests/helper.py", "tests/test_make.py"], {"test_nulls.py", "test_make.py"}),
        (["tests/unit/conftest.py"], {"test_granger.py", "test_recorder.py"}),
        (["Makefile"], {"test_make.py"}),
        (["notebooks/02_b.ipynb"], {"test_make.py"}),
        ([], {"tests/unit"}),
        (["LICENSE"], {"tests/unit"}),
        (["LICENSE", "Makefile", "legc_utils/granger.py"], {"tests/unit", "test_make.py", "test_stage.py"}),
    ],
)
def test_a_change_is_tested_where_it_is_imported_or_named_and_else_by_all_unit_tests(project, files, found):
    assert chosen(*files) == found


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["notebooks/01_a.py", "book/study/nulls.py"], "01_a"),
        (["notebooks/01_a.ipynb", "notebooks/02_b.ipynb"], "02_b"),
        (["legc_utils/granger.py"], "01_a"),
        (["Makefile"], "03_c"),
        ([], "03_c"),
    ],
)
def test_the_notebook_is_the_shortest_that_a_change_reaches(project, files, found):
    assert changed.notebook(set(map(Path, files))) == Path(f"notebooks/{found}.ipynb")


def test_changes_are_those_of_the_branch_and_those_that_are_not_committed(project):
    assert changed.changes() == set()
    Path("legc_utils/granger.py").write_text("a = 1\n")
    project("commit", "-am", "one")
    Path("legc_utils/lyapunov.py").unlink()
    Path("new.py").touch()
    assert changed.changes() == set(map(Path, ["legc_utils/granger.py", "legc_utils/lyapunov.py", "new.py"]))
    project("checkout", "-f", "main")
    assert changed.changes() == {Path("new.py")}


def test_without_git_all_unit_tests_run(project, monkeypatch):
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert changed.changes() == set()


def test_make_runs_what_is_printed(project):
    said = subprocess.run([sys.executable, ROOT / "book/build/changed.py"], capture_output=True, text=True)
    assert said.stdout == "notebooks/03_c.ipynb\ntests/unit\n", said.stderr
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert "book/build/changed.py" in recipe and "--nbval" in recipe
