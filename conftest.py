"""When tests and notebooks run side by side, each worker keeps to its own share of the cores."""

import os


def pytest_configure(config):
    """TensorFlow starts a thread for each core that it may use.

    Two workers whose threads wait for each other on the same cores are slower than one after
    the other.
    """
    worker = getattr(config, "workerinput", None)
    if worker is None or not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    number, count = int(worker["workerid"].removeprefix("gw")), worker["workercount"]
    if count <= len(cores):
        os.sched_setaffinity(0, cores[number::count])
