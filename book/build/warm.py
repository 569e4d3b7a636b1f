"""Pages that start warm: one process of the build imports what they need, once, and each page is a fork of it.

A page still has processes of its own, a job and its kernel, so neither memory nor state gets from one to another. The
command of a job (page_job.py, sweep_job.py) hands its arguments over, waits, and ends as the page does; whichever of
them is killed, the others end too. Where no such process listens, as on the nodes of a cluster, a job runs by itself.
"""

import importlib
import json
import os
import select
import socket
import subprocess
import sys
from pathlib import Path

WHERE = "LEGC_WARM"  # of the environment: the socket where the build's warm process listens
# What takes time, beside the modules of `study`. Importing any of it must change nothing for what does not use it
MODULES = "page_job", "sweep_job", "ipykernel.kernelapp", "ipykernel.zmqshell", "myst_nb", "statsmodels.api"
NOT = "spectra"  # weightwatcher silences all warnings and changes logging
BACKEND = "module://matplotlib_inline.backend_inline"  # of figures in notebooks; the kernel sets it, but too late here


def start(path, log):
    """Start a warm process that listens at `path` and ends with this one; jobs that are started from now on find it.

    It imports nothing before the first job asks. Without sockets in this file system, jobs run by themselves.
    """
    path, log = Path(path), Path(log)
    log.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # of a build that was killed
    with socket.socket(socket.AF_UNIX) as listener, log.open("wb") as said:
        try:
            listener.bind(str(path))
        except OSError:
            return
        path.chmod(0o600)
        listener.listen(1024)
        command = [sys.executable, __file__, str(listener.fileno())]
        one_thread = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
        subprocess.Popen(
            command, env=os.environ | one_thread, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            pass_fds=[listener.fileno()], start_new_session=True,
        )  # fmt: skip
    os.environ[WHERE] = str(path)


def hand_over(command):
    """Have a job (its script and arguments) done by the warm process: its exit code, or None where there is none."""
    parent = os.getppid()
    with socket.socket(socket.AF_UNIX) as connection:

        def answer():
            while not select.select([connection], [], [], 0.5)[0]:
                if os.getppid() != parent:  # Snakemake was killed; so the page hears that we are gone
                    os._exit(1)
            return connection.recv(1)

        try:
            connection.connect(os.environ[WHERE])
            socket.send_fds(connection, [json.dumps(command).encode() + b"\n"], [1, 2])
            if not answer():
                return None
        except (KeyError, OSError):
            return None
        return 0 if answer() == b"0" else 1


def serve(listener):
    """Fork a page for every job that connects, until the process that started this one is gone."""
    import multiprocessing

    import jobs

    parent, context = os.getppid(), multiprocessing.get_context("fork")

    def asked():
        while not select.select([listener], [], [], 0.5)[0]:
            if os.getppid() != parent:
                os._exit(0)

    jobs.settle()
    asked()
    load()
    while True:
        asked()
        connection, _ = listener.accept()
        context.Process(target=_page, args=(connection, listener)).start()
        connection.close()


def load():
    """Import what pages need, without a thread: a fork has only the one that forks."""
    import gc
    import pkgutil

    import study
    from study import portable

    portable.settle()
    os.environ["MPLBACKEND"] = BACKEND
    modules = [f"study.{module.name}" for module in pkgutil.iter_modules(study.__path__) if module.name != NOT]
    for name in (*MODULES, *modules):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what is there for all pages stays in the memory that they share


def _page(connection, listener):
    """Do what a job asks for, in this process of its own, and end with it."""
    import jobs

    listener.close()
    asked, files = b"", []
    while not asked.endswith(b"\n"):
        more, new, *_ = socket.recv_fds(connection, 65536, 2)
        if not more:
            return
        asked, files = asked + more, files + new
    for to, file in enumerate(files, start=1):
        os.dup2(file, to)
        os.close(file)
    connection.sendall(b"+")
    jobs.end_after(lambda: connection.recv(1))  # the job says no more, so what comes is its end
    script, *arguments = json.loads(asked)
    importlib.import_module(Path(script).stem).main(*arguments)
    connection.sendall(b"0")


if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parent)
    serve(socket.socket(fileno=int(sys.argv[1])))
