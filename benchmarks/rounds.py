"""Contestants side by side: one process each, taking turns, so that all meet the same weather."""

import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from types import SimpleNamespace

import numpy as np
from tqdm import tqdm

_run = None
_before = None


@dataclass(frozen=True)
class Measured:
    """Of one contestant: seconds per step in each round, and memory beyond the imports."""

    seconds: np.ndarray
    megabytes: float


def plain(params):
    """The numbers of `Params`, for processes in which TensorFlow must not be.

    PyTorch and TensorFlow each bring an LLVM, and can't share a process.
    """
    return SimpleNamespace(**asdict(params))


def _prepare(module, arguments):
    """In the contestant's process: import, build, compile."""
    global _run, _before
    prepare = import_module(module).prepare
    _before = _peak_megabytes()
    _run = prepare(*arguments)


def _peak_megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _growth():
    return _peak_megabytes() - _before


def _time(amount):
    start = time.perf_counter()
    _run(amount)
    return (time.perf_counter() - start) / amount


@contextmanager
def contestant(module, arguments):
    """A process of its own, which is idle until asked.

    Yields two functions: `take(amount)` does so many steps and returns the seconds
    per step; `growth()` returns the peak of memory beyond the imports, in MB.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, _prepare, (module, arguments)) as pool:
        yield (
            lambda amount: pool.submit(_time, amount).result(),
            lambda: pool.submit(_growth).result(),
        )


def measure_each(contestants, rounds):
    """Seconds per step (or whatever a contestant counts) in each round, and memory.

    Args:
        contestants: name -> (module with `prepare`, its arguments, how many steps a
            turn has). `prepare` returns a function of the number of steps.
        rounds: how often each has its turn. One turn more goes first, unmeasured,
            to compile and warm up.

    Returns:
        name -> `Measured`.
    """
    with ExitStack() as stack:
        started = {
            name: stack.enter_context(contestant(module, arguments))
            for name, (module, arguments, _) in contestants.items()
        }
        seconds = {name: [] for name in contestants}
        for turn in tqdm(range(rounds + 1), unit="round"):
            for name, (_, _, amount) in contestants.items():
                took = started[name][0](amount)
                if turn:
                    seconds[name].append(took)
        return {name: Measured(np.array(seconds[name]), started[name][1]()) for name in contestants}


def spread(values):
    """Median, lowest and highest, as a dict of plain numbers."""
    low, high = float(np.min(values)), float(np.max(values))
    return {"median": float(np.median(values)), "low": low, "high": high}
