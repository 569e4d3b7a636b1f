"""Make .venv, with every package at the version in requirements.txt: PYTHON book/build/environment.py

With `check`, run by .venv's own Python, only say by the exit code whether what is there is of the right version and
of this checkout: a copy, or a folder that was moved, still has the first one's packages and paths.
"""

import fcntl
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

VERSION = (3, 11)
VENV = Path(".venv")
PYTHON = VENV / "bin/python"
STAMP = VENV / "installed"
SOURCES = Path("requirements.txt"), Path("pyproject.toml")  # pip checks what it installs by the first's checksums
CPU = Path("requirements-cpu.txt")
ELSEWHERE = ("PIP_PYTHON", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")  # where pip would install instead


def fits():
    """Whether the running Python is one that .venv should have: bool. A link may lead to another checkout's."""
    if sys.version_info[:2] != VERSION or not (spec := find_spec("legc_utils")):
        return False
    return VENV.is_symlink() or Path(spec.origin).parent.samefile("legc_utils")


def install():
    """Install the lock and the project, into an empty .venv unless the one that is there was complete and fits."""
    complete = STAMP.exists() and PYTHON.exists() and not subprocess.run([PYTHON, "-I", __file__, "check"]).returncode
    if complete and STAMP.stat().st_mtime >= max(path.stat().st_mtime for path in SOURCES):
        return  # by another make, while this one waited
    if not complete:
        if VENV.is_symlink():
            sys.exit(f".venv is a link to {VENV.readlink()}, which is not an environment for this project: remove it")
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
    STAMP.unlink(missing_ok=True)  # until all is there
    pip = [PYTHON, "-m", "pip", "install", "-qq"]
    if own := re.search(r"^pip==(?:.*\\\n)*.*", SOURCES[0].read_text(), re.MULTILINE):
        # first, as venv's may be older than 26.1, which refuses what only constraints pin
        first = VENV / "pip.txt"
        first.write_text(own[0])
        subprocess.run([*pip, "-r", first], check=True)
    if CPU.exists() and subprocess.run([*pip, "--no-deps", "-r", CPU], capture_output=True).returncode:
        print("torch comes with CUDA, as pip finds no CPU wheel: README.md says how to have that", file=sys.stderr)
    subprocess.run([*pip, "-r", "requirements.txt"], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "-e", "."], check=True)
    STAMP.touch()


if __name__ == "__main__":
    if sys.argv[1:] == ["check"]:
        sys.exit(not fits())
    for name in ELSEWHERE:
        os.environ.pop(name, None)
    os.environ["PIP_USER"] = "0"
    with SOURCES[0].open() as lock:  # one at a time; the lock ends with its process
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            install()
        except subprocess.CalledProcessError as error:  # venv or pip has said why
            sys.exit(error.returncode)
