"""What the tests tried is counted, with its outcome."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

TESTS = """
import pytest

@pytest.fixture
def tried(record_property):
    return lambda fault, times: record_property("tried", [fault, times])

@pytest.mark.parametrize("part", range(2))
def test_one(tried, part):
    tried("a page torn out", 3)

def test_two(tried):
    tried("a page upside down", 4)
    assert False
"""


def test_faults_are_added_up_over_the_tests_and_workers(tmp_path):
    (tmp_path / "test_it.py").write_text(TESTS)
    record = tmp_path / "faults.json"
    record.write_text(json.dumps({"a page wet": {"tried": 1, "passed": True}}))
    options = ["-n", "2", "-p", "tools.record_faults", "--record-faults", str(record)]
    subprocess.run(
        [sys.executable, "-m", "pytest", "--rootdir", str(tmp_path), *options, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
    )
    assert json.loads(record.read_text()) == {
        "a page torn out": {"tried": 6, "passed": True},
        "a page upside down": {"tried": 4, "passed": False},
        "a page wet": {"tried": 1, "passed": True},
    }
