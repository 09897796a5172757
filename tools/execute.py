"""Run the notebooks side by side, and keep them where jupyter-book finds them.

`python -m tools.execute FOLDER` runs those that FOLDER doesn't hold yet, or of the notebooks
that are named after it. jupyter-book would run them too, but one after the other, which leaves
one of two cores idle half the time.
"""

import multiprocessing
import signal
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path

import nbformat
import psutil
import yaml
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from tqdm import tqdm
from traitlets.config import Config

from tools.cpu_share import keep_to_share, workers

ROOT = Path(__file__).parent.parent
# What a notebook and its kernel say to each other, nobody else on the machine can read.
ENCRYPTED = Config({"KernelManager": {"transport_encryption": "auto"}})


def notebooks():
    """Return the paths of all notebooks, last chapter first.

    The last chapters train longest; the first, which is short, fills the gap at the end.
    """
    return sorted((ROOT / "notebooks").glob("*.ipynb"), reverse=True)


def _start(numbers, count):
    """Set up a worker; the kernels that it starts inherit its cores."""
    if count > 1:
        keep_to_share(numbers.get(), count)


def _run(path, timeout):
    notebook = nbformat.read(path, 4)
    return single_nb_execution(
        notebook, str(path.parent), timeout, allow_errors=False, config=ENCRYPTED
    )


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
def side_by_side():
    """Give a pool of workers, each with its own share of the cores."""
    count = workers()
    spawn = multiprocessing.get_context("spawn")
    numbers = spawn.Queue()
    for number in range(count):
        numbers.put(number)
    with _nothing_left_behind(ProcessPoolExecutor(count, spawn, _start, (numbers, count))) as pool:
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


def execute(paths, folder, timeout):
    """Run the notebooks that the folder doesn't hold, and keep them there.

    Returns:
        Path -> traceback, for each notebook that failed.
    """
    cache = get_cache(folder)
    missing = [path for path in paths if not _is_kept(cache, path)]
    failed = {}
    with side_by_side() as pool:
        futures = {pool.submit(_run, path, timeout): path for path in missing}
        for future in tqdm(as_completed(futures), total=len(missing), unit="notebook"):
            path = futures[future]
            try:
                result = future.result()
            except Exception as error:  # for instance, a kernel ran out of memory
                failed[path] = repr(error)
                continue
            if result.err:
                failed[path] = result.exc_string
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
    sys.exit(bool(failures))


if __name__ == "__main__":
    main([Path(name).resolve() for name in sys.argv[2:]] or notebooks(), sys.argv[1])
