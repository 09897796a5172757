"""The tools that run for hours, killed with SIGKILL at any moment and continued."""

import multiprocessing
import os

import nbformat
import pytest
from killing import killed_again_and_again

from tools import claims, execute, record

# Half of the seeds fail the second claim.
CELL = "import os\nseed = int(os.environ['VAE_SEED'])\nassert seed > 90\nassert seed % 20 == 0"


def a_count_of_claims(folder):
    """Count the claims of a tiny notebook on three seeds and both data sets."""
    path = folder / "01_one.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)]), path)
    claims.STORED = folder / "claims.json"
    os.environ["JUPYTER_RUNTIME_DIR"] = str(folder / "runtime")
    # One worker, which is forked: a new Python would take longer than the notebook.
    execute.workers = lambda: 1
    get_context = multiprocessing.get_context
    multiprocessing.get_context = lambda way: get_context("fork")
    claims.main(3, [path])


@pytest.mark.fault("`make claims` killed with SIGKILL")
def test_a_killed_count_of_claims_ends_as_one_that_was_not(tmp_path, tried):
    whole, *continued = killed_again_and_again(
        a_count_of_claims, tmp_path, 20, start=1, files=12, tried=tried
    )
    runs = record.read(whole / "claims.json")["01_one"]["runs"]
    assert [one["claims"]["seed % 20 == 0"] for one in runs.values()].count(True) == 4
    for folder in continued:
        assert record.read(folder / "claims.json")["01_one"]["runs"] == runs


def test_a_count_whose_worker_was_killed_says_that_runs_are_missing(tmp_path, monkeypatch):
    """As when memory runs out: the system then kills the largest process."""
    path = tmp_path / "01_one.ipynb"
    cell = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)]), path)
    monkeypatch.setattr(claims, "STORED", tmp_path / "claims.json")
    monkeypatch.setattr(execute, "workers", lambda: 1)
    with pytest.raises(SystemExit, match="2 of 2 runs broke off"):
        claims.main(1, [path])
