"""Let workers run side by side, each on its own share of the cores.

TensorFlow and NumPy start a thread for each core that they may use. Two workers whose threads
compete for the same cores take longer side by side than one after the other.
"""

import os


def workers():
    """Return two if each worker can have cores of its own, else one."""
    return 2 if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1 else 1


def keep_to_share(worker, count):
    """Confine this process, and those that it starts from now on, to every `count`-th core."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[worker % count :: count])


if __name__ == "__main__":
    print(workers())
