"""Work side by side, each worker on its own share of the cores.

TensorFlow and NumPy start a thread for each core that they may use, and two workers whose
threads wait for each other on the same cores are slower than one after the other.
"""

import os
import time


def workers():
    """Two where each can have cores of its own, else one."""
    return 2 if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1 else 1


def keep_to_share(worker, count):
    """From here on, this process and those that it starts have one core in `count`."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[worker % count :: count])
    # Two kernels that start in the same moment can choose the same free port, and one dies.
    time.sleep(worker % count)


if __name__ == "__main__":
    print(workers())
