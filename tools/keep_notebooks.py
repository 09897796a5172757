"""A plugin of pytest: what nbmake has run is kept for `make pages`, so that it runs once.

`pytest -p tools.keep_notebooks --nbmake --keep-notebooks FOLDER …` keeps the notebooks that
passed where jupyter-book finds them, as `tools.execute` does.
"""

import os
import time
from functools import partial
from unittest.mock import patch

import nbmake.nb_run
import nbmake.pytest_items
from jupyter_cache import get_cache
from nbclient import NotebookClient
from nbmake.nb_run import NotebookRun

from tools.execute import ENCRYPTED, keep


def pytest_addoption(parser):
    parser.addoption("--keep-notebooks", metavar="FOLDER", help="keep what nbmake has run here")


def pytest_configure(config):
    folder = config.getoption("--keep-notebooks")

    class KeptRun(NotebookRun):
        def execute(self):
            start = time.monotonic()
            # With a backend of the tests' own, the kernel would show no figures.
            with patch.dict(os.environ):
                os.environ.pop("MPLBACKEND", None)
                result = super().execute()
            if result.error is None:
                for cell in result.nb.cells:
                    cell.metadata.pop("execution", None)  # nbmake's times; not in the source
                # Reopened each time: the workers of a run write to the same folder.
                keep(get_cache(folder), self.filename, result.nb, time.monotonic() - start)
            return result

    if folder:
        nbmake.pytest_items.NotebookRun = KeptRun
        nbmake.nb_run.NotebookClient = partial(NotebookClient, config=ENCRYPTED)
