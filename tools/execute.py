"""Run the notebooks side by side, and keep them where jupyter-book finds them.

`python -m tools.execute FOLDER` runs those that FOLDER doesn't hold yet, or of the notebooks
that are named after it. jupyter-book would run them too, but one after the other, which leaves
one of two cores idle half the time.
"""

import json
import math
import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path

import nbformat
import psutil
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from tqdm import tqdm

from tools import kernels
from tools.cpu_share import keep_to_share, workers

ROOT = Path(__file__).parent.parent


def notebooks():
    """Return the paths of all notebooks: first one that was never timed, then the longest.

    Two that run side by side then end at almost the same time.
    """
    timed = json.loads((ROOT / "benchmarks" / "results.json").read_text())["book"]["result"]
    seconds = {name: parts["total"] for name, parts in timed["notebooks"].items()}
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    return sorted(paths, key=lambda path: seconds.get(path.stem, math.inf), reverse=True)


def _start(numbers, count, log):
    """Set up a worker; the kernels that it starts inherit its cores and its log."""
    kernels.write_errors_to(log)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    if count > 1:
        keep_to_share(numbers.get(), count)


def _end_with_the_parent():
    """End this worker when its parent is killed; it would go on, and its kernel with it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _run(path, timeout):
    return kernels.run(nbformat.read(path, 4), path.parent, timeout)


@contextmanager
def _nothing_left_behind(pool):
    """Give the pool; on Ctrl+C, drop the waiting notebooks and kill the workers and kernels."""
    with pool:
        try:
            yield pool
        except BaseException:
            for worker in multiprocessing.active_children():
                with suppress(psutil.NoSuchProcess):  # it may have ended by itself
                    for kernel in psutil.Process(worker.pid).children(recursive=True):
                        with suppress(psutil.NoSuchProcess):
                            kernel.kill()
                worker.kill()
            raise


@contextmanager
def side_by_side(log):
    """Give a pool of workers, each with its own share of the cores; they write to the log."""
    Path(log).write_text("")
    count = workers()
    spawn = multiprocessing.get_context("spawn")
    numbers = spawn.Queue()
    for number in range(count):
        numbers.put(number)
    pool = ProcessPoolExecutor(count, spawn, _start, (numbers, count, log))
    with _nothing_left_behind(pool):
        yield pool


def _is_kept(cache, path):
    try:
        cache.match_cache_notebook(nbformat.read(path, 4))
    except KeyError:
        return False
    return True


def keep(cache, path, notebook, seconds):
    """Keep a notebook that was run, and how long that took."""
    bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds})
    cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def log_of(folder):
    """Return the path of the log beside a folder of kept notebooks."""
    return Path(f"{folder}.log")


def execute(paths, folder, timeout):
    """Run the notebooks that the folder doesn't hold, and keep them there.

    Returns:
        Path -> traceback, for each notebook that failed.
    """
    cache = get_cache(folder)
    missing = [path for path in paths if not _is_kept(cache, path)]
    log = log_of(folder)
    print(f"{len(missing)} of {len(paths)} notebooks to run; their log: {log}", file=sys.stderr)
    failed = {}
    with side_by_side(log) as pool:
        futures = {pool.submit(_run, path, timeout): path for path in missing}
        for future in tqdm(as_completed(futures), total=len(missing), unit="notebook"):
            path = futures[future]
            try:
                result = future.result()
            except Exception as error:  # for instance, a kernel ran out of memory
                failed[path] = repr(error)
                continue
            if result.err:
                failed[path] = str(result.err)
                continue
            tqdm.write(f"{path.name}: {result.time:.0f} s", file=sys.stderr)
            keep(cache, path, result.nb, result.time)
    return failed


def main(paths, folder):
    """Run the notebooks, say which failed, and exit: with status 0 if none did."""
    # Clean up when told to terminate, as after Ctrl+C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    config = yaml.safe_load((ROOT / "_config.yml").read_text())["execute"]
    try:
        failures = execute(paths, folder, config["timeout"])
    except KeyboardInterrupt:
        sys.exit("interrupted")
    for path, traceback in failures.items():
        print(f"{path}:\n{traceback}", file=sys.stderr)
    if failures:
        print(f"Other output of the kernels: {log_of(folder)}", file=sys.stderr)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main([Path(name).resolve() for name in sys.argv[2:]] or notebooks(), sys.argv[1])
