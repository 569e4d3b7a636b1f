"""The method and its tests by the other Pythons that pyproject.toml allows, where they are, from the same lock."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
LOCK = (ROOT / "requirements.txt").read_text(encoding="utf-8")
NEEDED = ("hypothesis", "numba", "pandas", "pooch", "pytest", "pyyaml", "scipy", "statsmodels")  # torch is large
TESTS = ("test_compiling", "test_engine", "test_granger", "test_protocols", "test_selection")


def interpreter(version):
    """A Python of a version that runs, on PATH or of pyenv: path, None where there is none."""
    known = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    for path in filter(None, [shutil.which(f"python{version}"), *known]):
        if not subprocess.run([path, "-c", "import venv, ensurepip"], capture_output=True).returncode:
            return path


def locked(*names):
    """The lines of the lock for some packages: str."""
    return "\n".join(re.search(rf"^{name}==(?:.*\\\n)*.*", LOCK, re.MULTILINE)[0] for name in names)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_the_methods_tests_pass_by_another_python(tmp_path, version):
    if not (found := interpreter(version)):
        pytest.skip(f"no Python {version} on this machine")
    subprocess.run([found, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for names in (["pip"], NEEDED):  # the rest comes from the lock as constraints, which older ones than its pip refuse
        (tmp_path / "needed.txt").write_text(locked(*names))
        options = ["--require-hashes", "-r", tmp_path / "needed.txt", "-c", ROOT / "requirements.txt"]
        subprocess.run([python, "-m", "pip", "install", "-qq", *options[: 3 if names == ["pip"] else 5]], check=True)
    tests = [ROOT / f"tests/unit/{name}.py" for name in TESTS]
    command = [python, "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider", *tests]
    ran = subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]


def test_the_workflow_runs_every_python_that_is_allowed():
    jobs = yaml.safe_load((ROOT / ".github/workflows/book.yml").read_text(encoding="utf-8"))["jobs"]
    job = jobs["python"]
    assert job["strategy"]["matrix"]["python-version"] == ["3.11", "3.12", "3.13"]
    steps = "\n".join(step.get("run", "") for step in job["steps"])
    assert "--require-hashes -r requirements.txt" in steps and "pytest" in steps
    assert "python" in jobs["book"]["needs"]
