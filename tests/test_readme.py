"""The README is short, and what it says of the tree is so."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
MAP = README.split("## Where things are")[1]


def test_it_is_read_in_two_minutes():
    assert len(README.splitlines()) <= 90
    assert README.count("![") == 1 and README.startswith("# ")


def test_its_table_answers_ten_questions_in_a_line_each():
    table = README.split("<!-- verdicts -->\n")[1].split("<!-- end of verdicts -->")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]
    assert len(rows) == 10
    for question, picture, effect, *counts, verdict in rows:
        assert question.endswith("?") and verdict and effect and len(counts) == 4, question
        assert (ROOT / re.search(r'src="(.+?)" alt=".+"', picture)[1]).exists()
        if partly := re.match(r"partly \((\d+) of (\d+)\)", verdict):
            assert (int(partly[1]), int(partly[2])) == (int(counts[0]), sum(map(int, counts))), question


def test_every_path_that_it_names_exists():
    first_column = re.findall(r"^\| (`.*?) \|", MAP, re.MULTILINE)
    named = [path for cell in first_column for path in re.findall(r"`([^`]+)`", cell)]
    named += re.findall(r"\]\((?!https?:)([^)]+)\)", README)  # links and the figure
    named += re.findall(r"\bnotebooks/\w+\.ipynb", README)
    assert len(named) > 10
    for path in named:
        assert (ROOT / path).exists(), path


def test_the_map_names_every_folder_every_module_of_the_method_and_what_snakemake_reads():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a checkout: which files belong to the project is not known")
    tracked = [Path(line) for line in listed.stdout.splitlines() if not line.startswith(".")]
    wanted = {f"{path.parts[0]}/" for path in tracked if len(path.parts) > 1}
    wanted |= {str(path) for path in tracked if path.name == "Snakefile" or path.suffix == ".smk"}
    wanted |= {path.stem for path in tracked if path.parts[0] == "legc_utils" and path.suffix == ".py"} - {"__init__"}
    assert {name for name in wanted if f"`{name}`" not in MAP} == set()


def test_every_command_is_one_that_make_knows():
    asked = set(re.findall(r"\bmake ([a-z-]+)(?=`|\s+#)", README))
    known = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split()
    assert {"book", "test"} <= asked <= set(known)


def test_its_chapter_takes_the_parameters_that_it_gives():
    command = re.search(r"papermill (\S+) .*", README)
    source = (ROOT / command[1]).with_suffix(".py").read_text()
    given = re.findall(r"-p (\w+)", command[0])
    assert given and all(re.search(rf"^{name}: ", source, re.MULTILINE) for name in given)
