"""make sets up an environment of the right Python, in this checkout and nowhere else, whatever its path."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import legc_utils
from legc_utils import datasets

pytestmark = pytest.mark.whole
ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "book/build"))
import environment  # noqa: E402
import lock  # noqa: E402

BASE = Path(sys._base_executable)  # no environment's
MAKE = ["make", "--no-print-directory"]
# Stands in for setuptools, which pip would have to download
BACKEND = """import zipfile
from pathlib import Path

def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "legc_utils-0.1.0-py3-none-any.whl"
    files = {"legc_utils.pth": str(Path.cwd()), "legc_utils-0.1.0.dist-info/RECORD": "",
             "legc_utils-0.1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: legc-utils\\nVersion: 0.1.0\\n",
             "legc_utils-0.1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nTag: py3-none-any\\n"}
    with zipfile.ZipFile(Path(folder, name), "w") as wheel:
        for file, content in files.items():
            wheel.writestr(file, content)
    return name
"""


def checkout(folder):
    """The project's Makefile and what sets up the environment, with nothing to install but itself."""
    (folder / "legc_utils").mkdir(parents=True)
    (folder / "legc_utils/__init__.py").touch()
    (folder / "requirements.txt").touch()
    (folder / "backend.py").write_text(BACKEND)
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "legc-utils"\nversion = "0.1.0"\n'
    )
    for name in ("Makefile", "book/build/find_python.sh", "book/build/environment.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def program(path, script):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def make(folder, *arguments, path="", **environment):
    """make in a checkout, with folders in front of what finds sh and make: (exit code, all it said)."""
    found = os.pathsep.join([*map(str, [path] if path else []), "/usr/local/bin", "/usr/bin", "/bin"])
    own = {name: value for name, value in os.environ.items() if name not in ("PYTHON", "PYTHONPATH", "MAKEFLAGS")}
    run = subprocess.run([*MAKE, *arguments], cwd=folder, env=own | {"PATH": found} | environment,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip
    return run.returncode, run.stdout


def test_an_environment_is_made_here_and_nowhere_else(tmp_path):
    folder, traps = checkout(tmp_path / "blank's é"), tmp_path / "first on PATH"
    for name in ("python", "python3", "pip", "pip3", "pytest", "ruff", "snakemake"):
        program(traps / name, f'echo "$0 $*" >> "{tmp_path}/sprung"; exit 1')
    elsewhere = {"PIP_TARGET": str(tmp_path / "elsewhere"), "PYTHONHOME": "/nowhere", "PIP_USER": "1"}
    code, said = make(folder, "install", f"PYTHON={BASE}", path=traps, **elsewhere)
    assert code == 0, said
    assert not (tmp_path / "sprung").exists() and not (tmp_path / "elsewhere").exists()
    prefix = [folder / ".venv/bin/python", "-I", "-c", "import legc_utils, sys; print(sys.prefix, legc_utils.__file__)"]
    where = subprocess.run(prefix, capture_output=True, text=True, check=True).stdout
    assert where == f"{folder}/.venv {folder}/legc_utils/__init__.py\n"
    assert "Nothing to be done" in make(folder, "install")[1]
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy, symlinks=True)
    assert "environment.py" in make(copy, "-n", "install")[1]  # the copy's packages are the first one's
    (folder / "requirements.txt").write_text("# changed\n")
    os.utime(folder / ".venv/installed", (0, 0))
    assert "environment.py" in make(folder, "-n", "install")[1]


def test_an_environment_of_another_python_is_made_anew(tmp_path):
    folder = checkout(tmp_path / "here")
    program(folder / ".venv/bin/python", "exit 1")  # as one of 3.13, asked whether it fits
    (folder / ".venv/installed").touch()
    asked = tmp_path / "asked"
    good = program(tmp_path / "python3.11", f'case "$1" in -c) echo 3.11;; *) echo "$@" > {asked};; esac')
    code, said = make(folder, "install", f"PYTHON={good}")
    assert code == 0 and asked.read_text() == "book/build/environment.py\n", said


@pytest.mark.parametrize(
    ("there", "fits", "cleared"),
    [("nothing", False, True), ("half", True, True), ("wrong", False, True), ("old", True, False), ("new", True, None)],
)
def test_what_is_there_is_kept_only_if_it_was_complete_and_fits(tmp_path, monkeypatch, there, fits, cleared):
    monkeypatch.chdir(checkout(tmp_path / "here"))
    ran = []

    def run(command, **options):
        ran.append([str(part) for part in command])
        return subprocess.CompletedProcess(command, not fits and "check" in command)

    monkeypatch.setattr(environment.subprocess, "run", run)
    Path(".venv/bin").mkdir(parents=True)
    if there != "nothing":
        Path(".venv/bin/python").touch()
    if there not in ("nothing", "half"):
        Path(".venv/installed").touch()
        os.utime(".venv/installed", None if there == "new" else (0, 0))
    environment.install()
    assert any("--clear" in command for command in ran) == bool(cleared)
    assert sum("pip" in command for command in ran) == (0 if cleared is None else 2)
    assert Path(".venv/installed").exists()


def test_a_link_to_another_environment_is_never_cleared(tmp_path, monkeypatch):
    monkeypatch.chdir(checkout(tmp_path / "here"))
    (tmp_path / "other/bin").mkdir(parents=True)
    Path(".venv").symlink_to("../other")
    with pytest.raises(SystemExit, match="link to ../other"):
        environment.install()
    assert (tmp_path / "other/bin").exists()


def wheel(folder, name, needs=()):
    """A wheel of a package at version 1 that has nothing but needs: its line in a lock."""
    path = folder / f"{name}-1-py3-none-any.whl"
    about = "".join([f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n", *(f"Requires-Dist: {n}\n" for n in needs)])
    files = {"METADATA": about, "WHEEL": "Wheel-Version: 1.0\nGenerator: x\nTag: py3-none-any\n", "RECORD": ""}
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in files.items():
            archive.writestr(f"{name}-1.dist-info/{file}", content)
    return f"{name}==1 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def test_a_file_with_another_checksum_is_not_installed(tmp_path):
    folder, offline = checkout(tmp_path / "here"), {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    line = wheel(tmp_path, "tiny")
    (folder / "requirements.txt").write_text(line)
    code, said = make(folder, "install", f"PYTHON={BASE}", **offline)
    assert code == 0, said
    (folder / "requirements.txt").write_text(re.sub("sha256:....", "sha256:0000", line))
    shutil.rmtree(folder / ".venv")
    code, said = make(folder, "install", f"PYTHON={BASE}", **offline)
    assert code != 0 and "DO NOT MATCH THE HASHES" in said and not (folder / ".venv/installed").exists()


def test_constraints_are_installed_only_where_a_wheel_asks_for_them(tmp_path):
    """As torch's wheel from the index asks for CUDA, and its CPU wheel does not."""
    if int(metadata.version("pip").split(".")[0]) < 26:
        pytest.skip("this pip refuses what only constraints pin; the lock has a newer one")
    (tmp_path / "requirements-cuda.txt").write_text(wheel(tmp_path, "cuda"))
    for needs, wanted in ((["cuda; sys_platform != 'none'"], {"cuda-1", "framework-1"}), ([], {"framework-1"})):
        (tmp_path / "requirements.txt").write_text(f"-c requirements-cuda.txt\n{wheel(tmp_path, 'framework', needs)}")
        pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--find-links", tmp_path]
        options = ["--ignore-installed", "--require-hashes", "-r", tmp_path / "requirements.txt"]
        ran = subprocess.run([*pip, *options], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        assert set(ran.stdout.splitlines()[-1].removeprefix("Would install ").split()) == wanted


def test_the_lock_has_all_that_pyproject_asks_for_each_with_checksums():
    pins = lock.pins((ROOT / "requirements.txt").read_text())
    locked = {}
    for pin, text in pins.items():
        requirement = Requirement(pin)
        assert re.findall(r"--hash=sha256:[0-9a-f]{64}(?= |$)", text, re.MULTILINE), pin
        if requirement.marker is None or requirement.marker.evaluate():
            locked[requirement.name] = str(requirement.specifier).removeprefix("==")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for needs in (project["dependencies"], *project["optional-dependencies"].values()):
        for need in map(Requirement, needs):
            assert need.specifier.contains(locked[canonicalize_name(need.name)]), need
    assert "pip" in locked and "-c requirements-cuda.txt\n" in (ROOT / "requirements.txt").read_text()
    cuda = {Requirement(pin).name for pin in lock.pins((ROOT / "requirements-cuda.txt").read_text())}
    assert "nvidia-cublas" in cuda and not cuda & locked.keys()
    (cpu,) = lock.pins((ROOT / "requirements-cpu.txt").read_text()).values()
    torch = next(text for pin, text in pins.items() if pin.startswith("torch=="))
    assert cpu.startswith(f"torch=={locked['torch']}+cpu ;") and cpu.split("--hash=")[1].strip() in torch
    for file in ("requirements.txt", "requirements-cpu.txt", "requirements-cuda.txt"):
        assert "://" not in (ROOT / file).read_text()  # of whatever index it was made from


def find_python(folders, *arguments):
    path = os.pathsep.join(map(str, [*folders, "/nowhere"]))
    command = ["/bin/sh", ROOT / "book/build/find_python.sh", *arguments]
    run = subprocess.run(command, env={"PATH": path}, capture_output=True, text=True)
    return run.returncode, run.stdout.strip(), run.stderr


def test_the_first_python_that_runs_is_found(tmp_path):
    shim = program(tmp_path / "shims/python3.11", "echo 'pyenv: python3.11: command not found' >&2; exit 127").parent
    late = program(tmp_path / "late one/python3.11", f'exec "{BASE}" "$@"')
    new = program(tmp_path / "new/python3.11", "echo 3.13").parent
    assert find_python([shim, new, late.parent]) == (0, str(late), "")
    plain = program(tmp_path / "plain/python3", f'exec "{BASE}" "$@"')
    assert find_python([shim, plain.parent]) == (0, str(plain), "")
    assert find_python([shim], str(late)) == (0, str(late), "")


def test_a_missing_python_is_told_in_our_words(tmp_path):
    shim = program(tmp_path / "shims/python3.11", "echo 'pyenv: python3.11: command not found' >&2; exit 127").parent
    program(shim / "python3", "echo 3.13")
    code, found, said = find_python([shim])
    assert code == 1 and not found and "No Python 3.11" in said and "make PYTHON=" in said and "pyenv" not in said
    for named in (str(shim / "python3"), "python3.13", "/nowhere/python"):
        code, found, said = find_python([shim], named)
        assert code == 1 and not found and f"PYTHON={named} is not a Python 3.11" in said
    folder = checkout(tmp_path / "here")
    code, said = make(folder, "install", "PYTHON=/nowhere/python")
    assert code != 0 and "PYTHON=/nowhere/python is not a Python 3.11" in said and not (folder / ".venv").exists()


def test_a_path_that_cannot_work_is_refused_before_anything_is_touched(tmp_path):
    folder = checkout(tmp_path / "a:b")
    before = sorted(folder.rglob("*"))
    for target in ("install", "book", "clean"):
        code, said = make(folder, target, f"PYTHON={BASE}")
        assert code != 0 and "has a colon" in said
    assert sorted(folder.rglob("*")) == before


def test_a_home_that_cannot_be_written_to_is_left_alone(tmp_path):
    folder = checkout(tmp_path / "here")
    with (folder / "Makefile").open("a") as more:
        more.write("\nshow:\n\t@echo $(XDG_CACHE_HOME)\n")
    (tmp_path / "file").touch()
    (tmp_path / "home").mkdir()
    unset = {"XDG_CACHE_HOME": ""}
    assert make(folder, "show", HOME=str(tmp_path / "file"), **unset) == (0, f"{folder}/_build/home/cache\n")
    assert make(folder, "show", HOME=str(tmp_path / "home"), **unset) == (0, "\n")


def test_no_step_takes_a_program_from_path_that_the_environment_has():
    """Nor from a folder whose name is written without quotes."""
    bare = re.compile(r"(?<![\w./-])(python3?|pip|pytest|ruff|snakemake|papermill|jupyter-book|jupytext) +[-\w./{$]")
    for name in ("Makefile", "Snakefile", "sweep.smk", *(f"tests/cluster/{n}.sh" for n in ("run", "with_slurm"))):
        text = (ROOT / name).read_text(encoding="utf-8")
        code = re.sub(r'""".*?"""|#.*', "", text, flags=re.DOTALL if name.endswith("file") else 0)
        steps = "\n".join(line for line in code.splitlines() if line.startswith(("\t", "    ")))
        assert not bare.findall(steps), name
        assert not re.findall(r"\$\(CURDIR\)|(?<![\"'])\$\$?PWD", steps), name


def test_the_method_alone_pins_no_torch_and_brings_nothing_of_the_book():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == legc_utils.__version__
    names = {re.match(r"[\w-]+", line)[0]: line for line in project["dependencies"]}
    assert "==" not in "".join(names.values()) and re.fullmatch(r"torch>=\d\.\d", names["torch"])
    imported = set()
    for file in (ROOT / "legc_utils").glob("*.py"):
        for line in file.read_text().splitlines():
            imported |= set(re.findall(r"^\s*(?:import|from) (\w+)(?=[\w.]*(?: import| as|$))", line))
    own = {"scikit-learn": "sklearn"}
    assert {own.get(name, name) for name in names} - {"sklearn"} <= imported
    assert imported & {"shap", "codecarbon", "weightwatcher", "matplotlib", "seaborn", "mlxtend", "powerlaw"} == set()


def test_the_lock_holds_every_package_that_is_asked_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = project["dependencies"] + sum(project["optional-dependencies"].values(), [])
    plain = lambda name: re.sub(r"[-_.]+", "-", name).lower()
    lock = {plain(line.split("==")[0]): line for line in (ROOT / "requirements.txt").read_text().splitlines()}
    for line in asked:
        assert plain(re.match(r"[\w.-]+", line)[0]) in lock, line
    assert not any("+cpu" in line for line in lock.values())


def clone(folder, **settings):
    if subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True).returncode:
        pytest.skip("not a checkout")
    options = [part for name, value in settings.items() for part in ("-c", f"core.{name}={value}")]
    subprocess.run(["git", "clone", "-q", *options, ROOT, folder], check=True)
    return folder


@pytest.mark.parametrize("settings", [{"autocrlf": "true"}, {"eol": "crlf"}, {"autocrlf": "true", "safecrlf": "true"}])
def test_a_clones_settings_change_no_line_end(tmp_path, settings):
    folder = clone(tmp_path / "clone", **settings)
    ends = subprocess.run(["git", "ls-files", "--eol"], cwd=folder, capture_output=True, text=True, check=True).stdout
    assert ends.count("w/lf") > 200 and "w/crlf" not in ends and "w/mixed" not in ends
    for file, sha256, url in (origin for name in datasets.SOURCES.dataset.unique() for origin in datasets.files(name)):
        if (datasets.PACKAGED / file).exists() and not url:
            assert datasets.pooch.file_hash(folder / "legc_utils/data" / file) == sha256
    for script in folder.rglob("*.sh"):
        subprocess.run(["bash", "-n", script], check=True)
    assert not subprocess.run(["git", "status", "--porcelain"], cwd=folder, capture_output=True, text=True).stdout
