"""What the tests tried is counted, with its outcome."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

TESTS = """
import os
import pytest

@pytest.fixture
def tried(record_property):
    return lambda times=1: record_property("tried", times)

@pytest.fixture
def broken():
    pytest.fail("no page at all")

@pytest.mark.fault("a page torn out")
@pytest.mark.parametrize("part", range(2))
def test_one(tried, part):
    tried(3)

@pytest.mark.fault("a page upside down")
def test_two(tried):
    for number in range(5):
        tried()
        assert number < 2

@pytest.mark.fault("a page wet")
def test_three(broken, tried):
    tried()

@pytest.mark.fault("a page burnt")
@pytest.mark.skipif(True, reason="no matches here")
def test_four(tried):
    tried()

@pytest.mark.fault("a page torn out")
def test_five(tried):
    if "DIE" in os.environ:
        os._exit(1)
"""
EARLIER = json.dumps({"a page in Latin": {"tried": 1, "failed": False}})


@pytest.fixture
def recorded(tmp_path):
    """A function that runs tests, where there is a record already, and returns the new one."""

    def run(tests=TESTS, workers="1", options=(), **more):
        (tmp_path / "test_it.py").write_text(tests)
        record = tmp_path / "faults.json"
        record.write_text(EARLIER)
        options = ["-p", "xdist", "-n", workers, *options]
        options += ["-p", "tools.record_faults", "--record-faults", str(record)]
        subprocess.run(
            [sys.executable, "-m", "pytest", "--rootdir", str(tmp_path), *options, str(tmp_path)],
            cwd=ROOT,
            env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **more},
            capture_output=True,
        )
        return record.read_text()

    return run


def test_faults_are_added_up_over_the_tests_and_workers(recorded):
    """Also one that failed in the midst or before it began; and one left out was not tried."""
    assert json.loads(recorded(workers="2")) == {
        "a page burnt": {"tried": 0, "failed": False},
        "a page torn out": {"tried": 6, "failed": False},
        "a page upside down": {"tried": 3, "failed": True},
        "a page wet": {"tried": 0, "failed": True},
    }


def test_what_all_tests_try_is_counted_in_place_of_their_own(recorded):
    """One was skipped, and one failed before it began."""
    counted = json.loads(recorded(options=["--all-try", "wet paper"]))
    assert counted == {"wet paper": {"tried": 4, "failed": True}}


def test_a_run_that_did_not_see_all_tests_through_leaves_the_record(recorded):
    assert recorded(DIE="1") == EARLIER
    assert recorded("import nothing_of_this_name") == EARLIER
    assert recorded(f"{TESTS}\ndef test_six():\n    raise KeyboardInterrupt", "0") == EARLIER
