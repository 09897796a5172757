"""The tools that run for hours, killed with SIGKILL at any moment and continued."""

import json
import multiprocessing
import os

import nbformat
import pytest
from killing import killed_again_and_again

from tools import claims, execute

# Half of the seeds fail the second claim.
CELL = "import os\nseed = int(os.environ['VAE_SEED'])\nassert seed > 90\nassert seed % 20 == 0"


def a_count_of_claims(folder):
    """Count the claims of a tiny notebook on three seeds and both data sets."""
    path = folder / "01_one.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)]), path)
    claims.STORED, claims.PAGE = folder / "claims.json", folder / "claims.md"
    os.environ["JUPYTER_RUNTIME_DIR"] = str(folder / "runtime")
    # One worker, which is forked: a new Python would take longer than the notebook.
    execute.workers = lambda: 1
    get_context = multiprocessing.get_context
    multiprocessing.get_context = lambda way: get_context("fork")
    claims.main(3, [path])


def test_a_killed_count_of_claims_ends_as_one_that_was_not(tmp_path, tried):
    whole, *continued = killed_again_and_again(a_count_of_claims, tmp_path, 20, start=1, files=12)
    assert "| `seed % 20 == 0` | 2 of 3 | 2 of 3 |" in (whole / "claims.md").read_text()
    for folder in continued:
        kept = (json.loads((f / "claims.json").read_text()) for f in (folder, whole))
        assert next(kept) == next(kept)
        assert (folder / "claims.md").read_text() == (whole / "claims.md").read_text()
    tried("the count of claims killed with SIGKILL", 20)


def test_a_count_whose_worker_was_killed_says_that_runs_are_missing(tmp_path, monkeypatch):
    """As when memory runs out: the system then kills the largest process."""
    path = tmp_path / "01_one.ipynb"
    cell = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)]), path)
    monkeypatch.setattr(claims, "STORED", tmp_path / "claims.json")
    monkeypatch.setattr(claims, "PAGE", tmp_path / "claims.md")
    monkeypatch.setattr(execute, "workers", lambda: 1)
    with pytest.raises(SystemExit, match="2 of 2 runs broke off"):
        claims.main(1, [path])
