"""A notebook's kernel as a fork of its job, which shares what the job has imported."""

import multiprocessing
import os
import sys
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage

import papermill
from jupyter_client import AsyncKernelManager


class Kernel(multiprocessing.get_context("fork").Process):
    """A process that waits until it hears what to be the kernel of; for Jupyter's provisioner it is like a Popen.

    It forks before there is anything of Jupyter's, its event loop, threads and sockets, in the job.
    """

    stdin = stdout = stderr = None

    def __init__(self):
        self._orders, self._order = multiprocessing.Pipe(duplex=False)
        super().__init__()
        self.start()
        self._orders.close()

    def run(self):
        self._order.close()
        try:
            arguments = self._orders.recv()
        except EOFError:  # the job is gone
            os._exit(1)
        from ipykernel import kernelapp

        if "numpy" in sys.modules:
            sys.modules["numpy"].random.seed()  # or all forks would draw the same
        if "pandas" in sys.modules:
            sys.modules["pandas"].set_option("display.max_columns", 20)  # its own when a kernel imports it
        sys.path[:] = [folder for folder in sys.path if Path(folder) != Path(__file__).parent]
        sys.argv = ["ipykernel_launcher", *arguments, "--ext=study.drawn"]  # figures carry their data
        kernelapp.launch_new_instance(sys.argv[1:])

    def become(self, arguments):
        """Start the kernel with the arguments of ipykernel's command."""
        self._order.send([*arguments, f"--IPKernelApp.parent_handle={os.getpid()}"])
        self._order.close()

    def poll(self):
        return self.exitcode

    def wait(self):
        self.join()
        return self.exitcode

    def send_signal(self, number):
        os.kill(self.pid, number)


def execute(notebook, values):
    """Execute a notebook (NotebookNode, or a path) with parameters in a fork of this process: the executed notebook.

    Raises what papermill raises for a cell that fails. The metadata of papermill's that say how long it took
    (`duration`) also get `processor_seconds`, those of this process and its kernel.
    """
    kernel, before = Kernel(), processor_seconds()

    class Manager(AsyncKernelManager):
        async def _async_launch_kernel(self, kernel_cmd, **_):
            kernel.become(kernel_cmd[kernel_cmd.index("-f") :])
            self.provisioner.process, self.provisioner.pid = kernel, kernel.pid
            self._reconcile_connection_info(self.provisioner.connection_info)

    try:
        done = papermill.execute_notebook(notebook, None, values, progress_bar=False, kernel_manager_class=Manager)
    finally:
        kernel.kill()
        kernel.join()
    about = done.metadata.papermill
    about["processor_seconds"] = round(processor_seconds() - before, 2)
    del about["input_path"]  # of a notebook that is no file: all of it
    return done


def processor_seconds():
    """User and system time of this process and of its children that have ended."""
    return sum(usage.ru_utime + usage.ru_stime for usage in map(getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN)))
