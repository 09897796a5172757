"""The command that counts how often each claim holds."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools import claims, record

ROOT = Path(__file__).parents[1]


def notebook_of(*cells):
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(cell) for cell in cells]
    return notebook


@pytest.fixture
def counted(tmp_path):
    """Counts the claims of a notebook of these cells, on seed 2 of the digits."""

    def run(*cells, timeout=60):
        path = tmp_path / "one.ipynb"
        nbformat.write(notebook_of(*cells), path)
        return claims.run(path, "digits", 2, timeout)

    return run


def test_an_assertion_that_fails_is_counted_and_the_notebook_goes_on(counted):
    result = counted(
        "import os\nseed = int(os.environ['VAE_SEED'])",
        "for k in (1, 2):\n    assert k < seed, 'words'\nassert seed > 0",
        "values = [1, 2]\nassert all(value > 0 for value in values)\nassert missing",
        "assert os.environ['VAE_DATASET'] == 'digits'",
    )
    assert result["error"] is None
    assert result["claims"] == {
        "k < seed": False,
        "seed > 0": True,
        "all((value > 0 for value in values))": True,
        "missing": False,
        "os.environ['VAE_DATASET'] == 'digits'": True,
    }


def test_a_notebook_that_breaks_says_so(counted):
    result = counted("assert 2 > 1", "1 / 0\nassert 3 > 1", "assert 4 > 1")
    assert result["error"] == "ZeroDivisionError: division by zero"
    # The second was not reached.
    assert result["claims"] == {"2 > 1": True, "3 > 1": False, "4 > 1": True}


def test_a_notebook_that_takes_too_long_has_no_claim_that_held(counted):
    result = counted("assert 2 > 1", "import time\ntime.sleep(60)", timeout=3)
    assert "timed out" in result["error"]
    assert result["claims"] == {"2 > 1": False}


def test_assertions_of_numpy_are_claims_too(counted):
    close = "np.testing.assert_allclose({}, 2)"
    cells = ("import numpy as np", close.format(1) + "\nassert 2 > 1", close.format(2))
    result = counted(*cells)
    assert result["error"] is None
    assert result["claims"] == {close.format(1): False, "2 > 1": True, close.format(2): True}


def test_a_claim_that_compares_numbers_has_a_margin(counted):
    result = counted(
        "import numpy as np\nvalues = np.array([4.0, 8.0])",
        "for k in (5, 2, 3):\n    assert k > 1",
        "assert 0 < values[0] < 5 and 1 > 2",
        "assert (values > 1).all()\nassert all(value <= 8 for value in values)",
        "assert not 3 < 2\nassert {1} <= {1, 2}\nassert float('nan') > 0",
    )
    assert list(result["claims"].values()) == [True, False, True, True, True, True, False]
    assert result["margins"] == {
        "k > 1": [0.5, 2, 1],
        "0 < values[0] < 5 and 1 > 2": [-0.5, 1, 2],
        "(values > 1).all()": [0.75, 4, 1],
        "all((value <= 8 for value in values))": [0, 8, 8],
    }


def test_what_was_glued_is_kept(counted):
    result = counted("from vae_utils.notebook.numbers import glue\nglue('share', '-3 %')")
    assert result["glued"] == {"share": "−3 %"}


def test_comments_and_prose_do_not_change_the_code(tmp_path):
    paths = [tmp_path / name for name in ("one.ipynb", "two.ipynb", "three.ipynb")]
    for path, code in zip(paths, ("x = 1", "x = (1)  # one", "x = 2")):
        nbformat.write(notebook_of(code, "%magic"), path)
    one, two, three = map(claims.fingerprint, paths)
    assert one == two != three


def test_cells_with_magics_stay_as_they_are():
    cell = "%pip install -q something\nassert 2 > 1"
    assert claims.counting(cell) == (cell, [])


@pytest.mark.parametrize("code", ["x = 1\nfigure;", "def f():\n    return 2"])
def test_other_code_does_the_same(code):
    scope, other = {"figure": 0}, {"figure": 0}
    exec(code, scope)
    exec(claims.counting(code)[0], other)
    assert scope.keys() == other.keys()


def test_results_are_kept_until_the_code_changes(tmp_path, monkeypatch):
    path = tmp_path / "01_one.ipynb"
    nbformat.write(notebook_of("assert 2 > 1"), path)
    monkeypatch.setattr(claims, "STORED", tmp_path / "claims.json")
    claims.main(1, [path])
    kept = record.read(tmp_path / "claims.json")
    assert set(kept["01_one"]["runs"]) == {"mnist 100", "digits 100"}
    assert all(one["claims"] == {"2 > 1": True} for one in kept["01_one"]["runs"].values())
    kept["01_one"]["runs"]["mnist 100"]["glued"] = {"seen": "before"}  # so not again
    record.write(tmp_path / "claims.json", {**kept, "02_two": kept["01_one"]})
    assert claims.main(2, [path]) == []
    more = record.read(tmp_path / "claims.json")
    assert len(more["01_one"]["runs"]) == 4 and more["02_two"] == kept["01_one"]
    assert more["01_one"]["runs"]["mnist 100"] == kept["01_one"]["runs"]["mnist 100"]
    claims.forget("01_one")
    assert record.read(tmp_path / "claims.json") == {"02_two": more["02_two"]}
    nbformat.write(notebook_of("assert False"), path)
    failed = ["01_one, mnist, seed 100: False", "01_one, digits, seed 100: False"]
    assert claims.main(1, [path]) == failed
    assert claims.main(1, [path]) == failed  # nothing runs, and it is named again
    assert claims.main(0, [path]) == []  # of seeds that are asked for alone
    kept = record.read(tmp_path / "claims.json")
    assert set(kept["01_one"]["runs"]) == {"mnist 100", "digits 100"}
    assert all(one["claims"] == {"False": False} for one in kept["01_one"]["runs"].values())


def test_a_call_with_a_claim_that_failed_ends_in_an_error(tmp_path):
    """As the weekly run makes it, in a copy of the tools."""
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    shutil.copy(ROOT / "_config.yml", tmp_path)
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "notebooks").mkdir()
    path = tmp_path / "notebooks" / "01_one.ipynb"
    nbformat.write(notebook_of("assert 2 > 1\nassert 1 > 2"), path)
    call = [sys.executable, "-m", "tools.claims", "1", str(path)]
    ended = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-2:] == [
        "01_one, mnist, seed 100: 1 > 2",
        "01_one, digits, seed 100: 1 > 2",
    ]
    kept = record.read(tmp_path / "benchmarks" / "claims.json")["01_one"]["runs"]
    assert [one["claims"]["1 > 2"] for one in kept.values()] == [False, False]


def test_what_stopped_a_notebook_is_named_too():
    broken = {"claims": {"2 > 1": True}, "error": "ZeroDivisionError: division by zero"}
    assert claims.failures({"01_one, mnist, seed 100": broken}) == [
        "01_one, mnist, seed 100: stopped by ZeroDivisionError: division by zero"
    ]


def test_a_run_is_told_in_words():
    held = {"claims": {"2 > 1": True}, "margins": {}, "error": None}
    assert claims.in_words(held) == "1 of 1 claims held"
    failed = {
        "claims": {"2 > 1": True, "x > 3": False},
        "margins": {"x > 3": [-0.5, 2, 3]},
        "error": "ValueError: no",
    }
    assert claims.in_words(failed).splitlines() == [
        "1 of 2 claims held",
        "  failed: x > 3 (2 against 3)",
        "  stopped by ValueError: no",
    ]
