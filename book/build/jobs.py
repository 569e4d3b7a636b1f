"""What the jobs of Snakemake share: the surroundings they run in, how they end, and where their words go."""

import contextlib
import fcntl
import os
import re
import shlex
import sys
import threading
import time
import traceback
from pathlib import Path

import psutil

PYTHON = shlex.quote(sys.executable)  # for a shell: ours, whatever comes first on PATH
_held = []


def start():
    """Begin a job in surroundings of its own, which ends with Snakemake. Call it before anything that takes time."""
    settle()
    end_with_parent()


def settle(folder="_build/home"):
    """Make what runs from here on independent of the user's own set-up, and of a home that cannot be written to.

    Kernels are this Python's, not another's of the same name; matplotlib, IPython and Jupyter have their files in
    `folder`, which is made.
    """
    home = Path(folder).absolute()
    home.mkdir(parents=True, exist_ok=True)
    own = {"MPLCONFIGDIR": "matplotlib", "IPYTHONDIR": "ipython", "JUPYTER_CONFIG_DIR": "jupyter",
           "JUPYTER_DATA_DIR": "jupyter/data", "JUPYTER_RUNTIME_DIR": "jupyter/run"}  # fmt: skip
    os.environ |= {name: str(home / inside) for name, inside in own.items()}
    os.environ |= {"JUPYTER_PREFER_ENV_PATH": "1", "PYTHONUTF8": "1"}
    os.environ.pop("JUPYTER_PATH", None)


def alone(path):
    """Take a lock for as long as this process lives, however it ends; raises RuntimeError if another one has it."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    lock = open(path, "a+")  # noqa: SIM115 (open as long as the process)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        raise RuntimeError(f"process {lock.read()} is at work here: wait for it, or stop it ({path})") from None
    except OSError:  # a file system without locks: go on as if there were none
        pass
    lock.truncate(0)
    print(os.getpid(), end="", file=lock, flush=True)
    _held.append(lock)


def need_plain_paths():
    """Raise RuntimeError if this Python or the present folder has a path that a shell would take apart.

    Snakemake's plugin for Slurm writes both into a script without quotes.
    """
    for path in (sys.executable, os.getcwd()):
        if found := re.search(r"[^\w@%+=:,./-]", path):
            raise RuntimeError(f"{path!r} has a {found[0]!r}, which cannot be in the path of what runs through Slurm")


def end_with_parent(every=0.5):
    """End this process, and all that it has started, as soon as the process that started it is gone.

    Snakemake that is killed cannot stop its jobs, and the next one would find them at work.
    """
    parent = os.getppid()

    def gone():
        while os.getppid() == parent:
            time.sleep(every)

    end_after(gone)


def end_after(wait):
    """End this process, and all that it has started, as soon as a function that waits for something returns."""

    def watch():
        wait()
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def logged(path, lines=25):
    """Send all that is printed, by child processes too, to a file; after an exception show its end and exit with 1.

    The exception itself is shown even where the file could not take it, on a full disk.
    """
    path, screen = Path(path), os.dup(2)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        yield
    except Exception:
        why = traceback.format_exc()
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            os.write(2, why.encode())
        told = path.read_text(encoding="utf-8", errors="replace")
        told = told if told.endswith(why) else told + why
        os.write(screen, "".join(told.splitlines(keepends=True)[-lines:]).encode())
        os._exit(1)  # no more flushing: it could fail again
