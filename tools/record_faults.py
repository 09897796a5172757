"""A plugin of pytest: how often the tests tried each fault, and with what outcome.

A test says `tried("training killed with SIGKILL", 20)`, a fixture of tests/conftest.py.
`pytest -p tools.record_faults --record-faults FILE …` puts that into FILE, which the book shows;
faults that this run did not try stay as they were. No date is in it, so that a run which finds
what the last one found leaves the file as it is.
"""

import json
from pathlib import Path


def pytest_addoption(parser):
    parser.addoption("--record-faults", metavar="FILE", help="count what was tried here")


class Recorder:
    """Adds up what the tests tried; under xdist, the reports of all workers come here."""

    def __init__(self, file):
        self.file = Path(file)
        self.faults = {}

    def pytest_runtest_logreport(self, report):
        if report.when == "call":
            for name, value in report.user_properties:
                if name == "tried":
                    fault, times = value
                    one = self.faults.setdefault(fault, {"tried": 0, "passed": True})
                    one["tried"] += times
                    one["passed"] &= report.passed

    def pytest_sessionfinish(self):
        if self.faults:
            known = json.loads(self.file.read_text("utf8")) if self.file.exists() else {}
            kept = dict(sorted({**known, **self.faults}.items()))
            self.file.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf8")


def pytest_configure(config):
    file = config.getoption("--record-faults")
    if file and not hasattr(config, "workerinput"):  # not in the workers of xdist
        config.pluginmanager.register(Recorder(file))
