"""How slow is this machine just now? Tests that limit a time ask, so that a busy one passes."""

import time
from collections.abc import Callable

REFERENCE = 0.05  # seconds for the loop below, on a machine on which the limits hold as they stand


def slowness() -> float:
    """Return how many times slower than the reference this machine is now, at least 1."""
    start = time.perf_counter()
    total = 0
    for i in range(1_000_000):
        total += i
    return max(1.0, (time.perf_counter() - start) / REFERENCE)


def least(measure: Callable[[], float], limit: float) -> float:
    """Return the least of three measurements, or at once the first that is below the limit.

    What else the machine did meanwhile is then not taken for the code's.
    """
    taken: list[float] = []
    while not taken or (taken[-1] >= limit and len(taken) < 3):
        taken.append(measure())
    return min(taken)
