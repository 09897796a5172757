"""Time each notebook, beside the epochs of a tutorial."""

import json
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from jupyter_cache import get_cache

import vae_utils as vu
from benchmarks.rounds import contestant
from tools.execute import execute, notebooks

ROOT = Path(__file__).parent.parent
TITLE = "The book"
KINDS = ("importing", "compiling", "training", "looking", "drawing", "other")
EPOCHS = 10


def with_stopwatch(path, folder):
    """Write a copy of the notebook with a first and a last cell that measure where time goes."""
    notebook = nbformat.read(path, 4)
    first = nbformat.v4.new_code_cell("from benchmarks import stopwatch")
    last = nbformat.v4.new_code_cell("stopwatch.report()")
    notebook.cells = [first, *notebook.cells, last]
    measured = folder / path.name
    nbformat.write(notebook, measured)
    return measured


def last_text(path, kept):
    """Return what the last cell of a notebook printed."""
    _, notebook = get_cache(kept).merge_match_into_notebook(nbformat.read(path, 4))
    return next(out["text"] for out in notebook.cells[-1].outputs if out.get("name") == "stdout")


def measure():
    """Time the notebooks as `make book` runs them, between two halves of the tutorial's epochs."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    tutorial = ("benchmarks.peers.cvae_tutorial", (vu.load_images("mnist"),))
    with TemporaryDirectory() as folder, contestant(*tutorial) as (train_epochs, _):
        folder, kept = Path(folder), Path(folder, "kept")
        paths = [with_stopwatch(path, folder) for path in notebooks()]
        first_half = train_epochs(EPOCHS // 2) * (EPOCHS // 2)
        start = time.perf_counter()
        failed = execute(paths, kept, timeout=3600)
        book = time.perf_counter() - start
        second_half = train_epochs(EPOCHS // 2) * (EPOCHS // 2)
        if failed:
            raise RuntimeError("\n".join(failed.values()))
        return {
            "notebooks": {path.stem: json.loads(last_text(path, kept)) for path in sorted(paths)},
            "book": book,
            "tutorial": first_half + second_half,
        }


def tables(result):
    lines = [
        "| notebook | seconds | " + " | ".join(KINDS) + " | first figure after |",
        "|---" * (len(KINDS) + 3) + "|",
    ]
    for name, seconds in result["notebooks"].items():
        kinds = [seconds.get(kind, 0.0) for kind in KINDS]
        cells = [seconds["total"], *kinds, seconds["first_figure"]]
        lines.append(f"| {name} | " + " | ".join(f"{cell:.0f}" for cell in cells) + " |")
    lines += [
        "",
        f"All of these notebooks, two at a time with a core each: {result['book']:.0f} seconds. "
        f"Ten epochs of the tutorial, half of them run before the notebooks and half after: "
        f"{result['tutorial']:.0f} seconds.",
    ]
    return "\n".join(lines)
