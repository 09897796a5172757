"""How a notebook's kernel is reached, and where its machinery writes."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

from jupyter_cache.executors.utils import single_nb_execution
from traitlets.config import Config


@contextmanager
def own_sockets():
    """Give the settings of a kernel that is reached through files in a folder of its own.

    Two kernels that start at the same moment can pick the same free port; one of them then dies.
    """
    with tempfile.TemporaryDirectory() as folder:
        connection = str(Path(folder) / "kernel.json")
        yield Config({"KernelManager": {"transport": "ipc", "connection_file": connection}})


def run(notebook, folder, timeout, allow_errors=False):
    """Run a notebook in a kernel of its own, started in a folder."""
    with own_sockets() as config:
        return single_nb_execution(notebook, str(folder), timeout, allow_errors, config=config)


def write_errors_to(log):
    """Let this process, and the kernels that it starts, write to a file in place of the screen.

    TensorFlow writes about processors and missing GPUs before Python could filter it.
    """
    with open(log, "ab") as file:
        os.dup2(file.fileno(), 2)
