"""A cache of compiled loops that is damaged, or has no place, costs time and nothing else."""

import os
import shutil
import subprocess
import sys

import pytest

MODULE = """from legc_utils.compiling import njit

@njit()
def half(x):
    return x / 2

print(half(3.0), sum(half.stats.cache_hits.values()), sum(half.stats.cache_misses.values()))
"""


def run(folder, *before, **environment):
    """What a process says that compiles a loop in folder/loops.py, or finds it compiled."""
    # by its name: numba gives the main program another cache
    command = [*before, sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r}); import loops"]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


CUT, ZEROS = (lambda data: data[:-1]), (lambda data: bytes(len(data)))


@pytest.mark.parametrize(("kind", "damage"), [("nbi", CUT), ("nbi", ZEROS), ("nbc", CUT)])
def test_a_damaged_cache_is_made_anew(tmp_path, kind, damage):
    (tmp_path / "loops.py").write_text(MODULE)
    assert run(tmp_path) == ["1.5", "0", "1"]
    (file,) = (tmp_path / "__pycache__").glob(f"*.{kind}")
    file.write_bytes(damage(file.read_bytes()))
    assert run(tmp_path)[0] == "1.5"
    assert run(tmp_path) == ["1.5", "1", "0"]  # found again


def test_without_a_place_for_a_cache_there_is_none(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source/loops.py").write_text(MODULE)
    (tmp_path / "source").chmod(0o555)
    (tmp_path / "file").touch()
    plain = []
    if os.getuid() == 0:  # the superuser may write everywhere
        if not shutil.which("setpriv"):
            pytest.skip("the superuser may write everywhere")
        plain = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    nowhere = str(tmp_path / "file/cache")
    assert run(tmp_path / "source", *plain, HOME=nowhere, XDG_CACHE_HOME=nowhere)[0] == "1.5"
