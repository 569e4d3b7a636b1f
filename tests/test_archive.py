"""A built book as one RO-Crate: whole, the same bytes every time, valid, and checked by computing a page again."""

import json
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import nbformat
import pytest
import workflow

from legc_utils import datasets

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "book/build"))
import archive  # noqa: E402
import validate  # noqa: E402
import verify  # noqa: E402

PAGE, TABLE = "01_tiny/iris-published", "book/executed/quick/results/01_tiny/iris-published.csv"
WORK = """from pathlib import Path
for part in ("01_tiny", "evidence/01_tiny"):
    Path(out_dir, part).mkdir(parents=True)
    Path(out_dir, part, "iris-published.csv").write_text(f"seed,value\\n{seed},{0.1 * 3}\\n")
"""


@pytest.fixture
def built(tmp_path, monkeypatch):
    """A checkout with one chapter whose page and tables are as a build leaves them, and in which tests run."""
    executed = tmp_path / "book/executed/quick"
    for name in ("CITATION.cff", "codemeta.json", "pyproject.toml", "Snakefile", "requirements.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "notebooks").mkdir()
    notebook = workflow.chapter("seed = 0\nout_dir = 'results'", WORK)
    nbformat.write(notebook, tmp_path / "notebooks/01_tiny.ipynb")
    given = {"parameters": {"seed": 3, "out_dir": "elsewhere"}, "end_time": "2026-11-27T23:42:01.376860+00:00"}
    notebook.metadata["papermill"] = given
    for part in ("01_tiny", "results/01_tiny", "results/evidence/01_tiny", "log"):
        (executed / part).mkdir(parents=True)
    nbformat.write(notebook, executed / f"{PAGE}.ipynb")
    for part in ("results", "results/evidence"):
        (executed / part / f"{PAGE}.csv").write_text("seed,value\n3,0.30000000000000004\n")
    told = {"data": "iris", "data_sha256": datasets.checksum("iris"), "seconds": 1.5}
    (executed / f"results/{PAGE}.json").write_text(json.dumps(told))
    (executed / "log/iris.log").write_text("said")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rewrite(path, change):
    """An archive with its files, a dict of bytes by name, changed in place by a function."""
    with zipfile.ZipFile(path) as old:
        files = {name: old.read(name) for name in old.namelist()}
    change(files)
    with zipfile.ZipFile(path, "w") as new:
        for name, content in files.items():
            new.writestr(name, content)
    return path


def graph(path):
    """What the crate of an archive says: dict of entities by identifier."""
    with zipfile.ZipFile(path) as crate:
        return {entity["@id"]: entity for entity in json.loads(crate.read(verify.METADATA))["@graph"]}


def test_an_archive_has_the_same_bytes_twice(built):
    first = archive.write("quick", "_build/first.zip")
    for path in built.rglob("*.*"):
        os.utime(path, (0, 0))
    assert archive.write("quick", "second.zip").read_bytes() == first.read_bytes()
    with zipfile.ZipFile(first) as crate:
        assert {entry.date_time for entry in crate.infolist()} == {archive.EPOCH}
        assert crate.namelist() == sorted(crate.namelist())


def test_an_archive_has_what_was_computed_and_what_computes_it(built):
    entities = graph(archive.write("quick", "archive.zip"))
    with zipfile.ZipFile("archive.zip") as crate:
        names = set(crate.namelist()) - {verify.METADATA}
        for name in names:
            assert entities[name]["sha256"] == sha256(crate.read(name)).hexdigest()
    executed = {f"book/executed/quick/{name}" for name in (
        f"{PAGE}.ipynb", f"results/{PAGE}.csv", f"results/{PAGE}.json", f"results/evidence/{PAGE}.csv")}  # fmt: skip
    kept = {
        "CITATION.cff",
        "Snakefile",
        "codemeta.json",
        "notebooks/01_tiny.ipynb",
        "pyproject.toml",
        "requirements.txt",
    }
    assert names == executed | kept
    assert "ComputationalWorkflow" in entities["Snakefile"]["@type"]
    assert entities["./"]["mainEntity"] == {"@id": "Snakefile"}
    run = entities["#run-01_tiny-iris-published"]
    assert run["instrument"] == {"@id": "notebooks/01_tiny.ipynb"} and run["object"] == {"@id": "#data-iris"}
    assert {result["@id"] for result in run["result"]} == {name for name in executed if not name.endswith("json")}
    assert entities["#data-iris"]["sha256"] == datasets.checksum("iris")


def test_a_book_that_is_not_built_has_no_archive(built):
    with pytest.raises(FileNotFoundError, match="make book PROFILE=paper"):
        archive.write("paper", "archive.zip")
    assert not Path("archive.zip").exists()


def test_an_independent_validator_accepts_an_archive_without_the_network(built, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    path = archive.write("quick", "archive.zip")
    valid, text = validate.report(path)
    assert valid and "0 failed" in text and text.endswith("verdict    valid\n"), text
    monkeypatch.setattr(archive, "describe", lambda crate, profile: None)
    valid, text = validate.report(archive.write("quick", path))
    assert not valid and "verdict    not valid\n" in text and "license" in text, text


def test_a_page_computed_again_is_the_archives(built, capsys):
    verify.main(archive.write("quick", "archive.zip"), PAGE)
    said = capsys.readouterr().out
    assert f"SHA-256 {sha256(Path('archive.zip').read_bytes()).hexdigest()}" in said
    assert f"{PAGE}.csv: the same bytes\nevidence/{PAGE}.csv: the same bytes" in said


def retold(value):
    """A change of a table that the crate's checksums go along with."""

    def change(files):
        files[TABLE] = f"seed,value\n3,{value}\n".encode()
        crate = json.loads(files[verify.METADATA])
        entity = next(entity for entity in crate["@graph"] if entity["@id"] == TABLE)
        entity["sha256"] = sha256(files[TABLE]).hexdigest()
        files[verify.METADATA] = json.dumps(crate).encode()

    return change


def test_a_table_that_its_notebook_does_not_give_is_found(built, capsys):
    path = archive.write("quick", "archive.zip")
    verify.main(rewrite(path, retold(0.3)), PAGE)  # other bytes, the same number but for its last digit
    assert f"\n{PAGE}.csv: the same to the last digits" in capsys.readouterr().out
    with pytest.raises(ValueError, match=f"{PAGE}.csv, computed again, is not the archive's"):
        verify.main(rewrite(path, retold(0.31)), PAGE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda files: files.update({TABLE: b"seed,value\n3,1\n"}), f"changed: {TABLE}"),
        (lambda files: files.pop(TABLE), f"missing: {TABLE}"),
        (lambda files: files.update({"more.csv": b"1"}), "not of the crate: more.csv"),
        (lambda files: files.pop(verify.METADATA), "is not an RO-Crate: it has no ro-crate-metadata.json"),
        (lambda files: files.update({verify.METADATA: b"{}"}), "does not give each file a SHA-256"),
        (lambda files: files.update({verify.METADATA: b"[1"}), "does not give each file a SHA-256"),
    ],
)
def test_a_tampered_or_foreign_archive_is_refused_before_anything_is_computed(built, monkeypatch, change, said):
    monkeypatch.setattr(verify, "recompute", None)
    with pytest.raises(ValueError, match=said):
        verify.main(rewrite(archive.write("quick", "archive.zip"), change), PAGE)


def test_a_damaged_file_and_an_unknown_page_are_told(built):
    path = archive.write("quick", "archive.zip")
    with pytest.raises(ValueError, match=f"CHAPTER=01_tiny/wine is not in this archive; it has {PAGE}"):
        verify.main(path, "01_tiny/wine")
    content = path.read_bytes()
    at = content.index(TABLE.encode()) + len(TABLE)
    path.write_bytes(content[:at] + bytes(8) + content[at + 8 :])
    with pytest.raises(ValueError, match=f"changed: {TABLE}"):
        verify.main(path, PAGE)
    path.write_bytes(content[:1000])
    for name in (path, "nowhere.zip", ""):
        with pytest.raises(ValueError, match=f"ARCHIVE={name} cannot be read as a zip file"):
            verify.main(name, PAGE)


def test_make_verify_ends_with_an_error_where_there_is_one(built):
    path = rewrite(archive.write("quick", "archive.zip"), lambda files: files.pop(TABLE))
    command = [sys.executable, ROOT / "book/build/verify.py", path, PAGE]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 1 and ran.stderr == f"not verified: missing: {TABLE}\n"
    for target, script in (
        ("archive", "archive.py paper"),
        ("verify", 'verify.py "a b.zip" "04_ft_vs_pt/iris-published"'),
    ):
        ran = subprocess.run(["make", "-n", target, "ARCHIVE=a b.zip"], cwd=ROOT, capture_output=True, text=True)
        assert f"book/build/{script}" in ran.stdout
