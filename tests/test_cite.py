"""What says how to cite the project agrees with pyproject.toml, and with the schema of the Citation File Format."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CITED = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
CODEMETA = json.loads((ROOT / "codemeta.json").read_text(encoding="utf-8"))
REPOSITORY = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]["url"]


def names(authors):
    return [author["name"] for author in authors]


def by_the_official_schema(path):
    """Validate a file by the schema of CFF 1.2.0, as check-jsonschema ships it: CompletedProcess."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.citation-file-format", path]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(("change", "fault"), [({}, ""), ({"license": "free"}, "free"), ({"authors": []}, "authors")])
def test_the_citation_file_is_valid_by_the_official_schema(tmp_path, change, fault):
    path = tmp_path / "CITATION.cff"
    path.write_text(yaml.safe_dump(CITED | change), encoding="utf-8")
    ran = by_the_official_schema(path)
    assert ran.returncode == bool(change) and fault in ran.stdout, ran.stdout + ran.stderr


def test_all_that_names_the_project_says_the_same():
    assert CITED["version"] == CODEMETA["version"] == PROJECT["version"]
    assert CITED["license"] == PROJECT["license"]["text"] == CODEMETA["license"].rpartition("/")[2]
    assert names(CITED["authors"]) == names(CODEMETA["author"]) == names(PROJECT["authors"])
    assert CODEMETA["identifier"] == PROJECT["name"] and CODEMETA["description"] == PROJECT["description"]
    assert CODEMETA["name"] == CITED["title"] and CODEMETA["datePublished"] == str(CITED["date-released"])
    assert CODEMETA["runtimePlatform"] == f"Python {PROJECT['requires-python']}"
    assert CODEMETA["codeRepository"] == REPOSITORY
    paper, article = CITED["references"]
    assert CODEMETA["referencePublication"] == [paper["url"], f"https://doi.org/{article['doi']}"]


def test_the_page_cites_what_the_citation_file_says():
    page = (ROOT / "book/cite.md").read_text(encoding="utf-8")
    entry = (ROOT / "book/cite.bib").read_text(encoding="utf-8")
    fields = dict(re.findall(r"^  (\w+) *= \{(.*)\},$", entry, re.MULTILINE))
    assert fields["title"] == CITED["title"] and fields["version"] == CITED["version"]
    assert fields["author"].strip("{}") == names(CITED["authors"])[0]
    assert fields["year"] == str(CITED["date-released"])[:4]
    for file in ("CITATION.cff", "cite.bib", "archive.txt"):
        assert f"assets/{file}" in page
    assert "verdict    valid\n" in (ROOT / "book/archive.txt").read_text(encoding="utf-8")
