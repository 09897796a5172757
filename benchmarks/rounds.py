"""Run contestants in turns, each in its own process, so that all meet the same conditions."""

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
    """One contestant's seconds per step in each round, and its memory beyond the imports."""

    seconds: np.ndarray
    megabytes: float


def plain(params):
    """Copy the numbers of `Params` to an object for processes that must not import TensorFlow.

    PyTorch and TensorFlow each bring their own LLVM, and can't share a process.
    """
    return SimpleNamespace(**asdict(params))


def _prepare(module, arguments):
    """Import, build and compile, in the process of the contestant."""
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
    """Start a contestant in a process of its own, which is idle until it is asked.

    Yields two functions: the first takes a number of steps, does them and returns the seconds
    per step; the second returns the peak memory beyond the imports, in MB.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, _prepare, (module, arguments)) as pool:
        yield (
            lambda amount: pool.submit(_time, amount).result(),
            lambda: pool.submit(_growth).result(),
        )


def measure_each(contestants, rounds):
    """Measure the seconds per step (or whatever a contestant counts) in each round, and memory.

    Args:
        contestants: name -> (module with `prepare`, its arguments, steps per turn).
            `prepare` returns a function of the number of steps.
        rounds: number of measured turns of each. One unmeasured turn comes before them, to
            compile and warm up.

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
    """Return the median, the lowest and the highest value, as a dict of plain numbers."""
    low, high = float(np.min(values)), float(np.max(values))
    return {"median": float(np.median(values)), "low": low, "high": high}


def as_text(value, digits):
    """Write a number, or what `spread` returned."""
    if isinstance(value, float):
        return f"{value:.{digits}f}"
    median, low, high = (f"{value[key]:.{digits}f}" for key in ("median", "low", "high"))
    return f"{median} ({low} to {high})"
