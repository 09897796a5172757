"""A plugin of pytest: how often the tests tried each fault, and with what outcome.

A test is marked with its fault, `@pytest.mark.fault("training killed with SIGKILL")`, and says
`tried()`, a fixture of tests/conftest.py, before each time that it tries it. So a test that fails,
or that is skipped, is in the record, too.
`pytest -p tools.record_faults --record-faults FILE …` puts that into FILE, which the book shows:
this run, and nothing of earlier ones. One that breaks off leaves FILE as it is. No date is in it,
so that a run which finds what the last one found leaves it as it is, too.
Where the fault is what all tests run with, such as the oldest versions, `--all-try NAME` counts
each of them as one try of that fault, and nothing else.
"""

import json
from pathlib import Path


def pytest_addoption(parser):
    parser.addoption("--record-faults", metavar="FILE", help="count what was tried here")
    parser.addoption("--all-try", metavar="NAME", help="what each test tries, in place of its own")


def pytest_itemcollected(item):
    # All reports of a test bring this along: also of one that is skipped or fails in its fixtures.
    for mark in item.iter_markers("fault"):
        item.user_properties.append(("fault", mark.args[0]))


class Recorder:
    """Adds up what the tests tried; under xdist, the reports of all workers come here."""

    def __init__(self, file, all_try=None):
        self.file = Path(file)
        self.all_try = all_try
        self.faults = {}
        self.lost = False

    def pytest_runtest_logreport(self, report):
        # If a worker of xdist dies, its test has a report of which nothing but the name is known.
        self.lost |= report.when not in ("setup", "call", "teardown")
        said = report.user_properties
        if self.all_try:
            called = report.when == "call" and not report.skipped
            said = [("fault", self.all_try), ("tried", int(called))]
        for fault in [value for name, value in said if name == "fault"]:
            one = self.faults.setdefault(fault, {"tried": 0, "failed": False})
            one["failed"] |= report.failed
            if report.when == "call":
                one["tried"] += sum(times for name, times in said if name == "tried")

    def pytest_collectreport(self, report):
        self.lost |= report.failed  # its tests are not known

    def pytest_sessionfinish(self, exitstatus):
        if exitstatus in (0, 1) and not self.lost:  # all tests ran, and some may have failed
            kept = dict(sorted(self.faults.items()))
            self.file.parent.mkdir(exist_ok=True)
            self.file.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", "utf8")


def pytest_configure(config):
    file = config.getoption("--record-faults")
    if file and not hasattr(config, "workerinput"):  # not in the workers of xdist
        config.pluginmanager.register(Recorder(file, config.getoption("--all-try")))
