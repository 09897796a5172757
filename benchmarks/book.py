"""Seconds of each notebook, beside the epochs of one tutorial."""

import json
import os
import time
from pathlib import Path

import nbformat
import numpy as np
from nbclient import NotebookClient

import vae_utils as vu
from benchmarks.rounds import contestant

ROOT = Path(__file__).parent.parent
TITLE = "The book"
KINDS = ("importing", "compiling", "training", "looking", "drawing", "other")
EPOCHS = 10


def run_notebook(path):
    """Seconds of each kind of work, in a fresh kernel. `wall` has the kernel's start, too."""
    notebook = nbformat.read(path, 4)
    first = nbformat.v4.new_code_cell("from benchmarks import stopwatch")
    last = nbformat.v4.new_code_cell("stopwatch.report()")
    notebook.cells = [first, *notebook.cells, last]
    start = time.perf_counter()
    NotebookClient(notebook, timeout=3600, resources={"metadata": {"path": path.parent}}).execute()
    wall = time.perf_counter() - start
    return {**json.loads(last_text(notebook)), "wall": wall}


def last_text(notebook):
    return next(out["text"] for out in notebook.cells[-1].outputs if out.get("name") == "stdout")


def measure():
    """All notebooks, and between them the tutorial's epochs, so that both meet the same weather."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    notebooks, epochs = {}, []
    tutorial = ("benchmarks.peers.cvae_tutorial", (vu.load_images("mnist"),))
    with contestant(*tutorial) as (train_epochs, _):
        for path, share in zip(paths, np.array_split(range(EPOCHS), len(paths))):
            notebooks[path.stem] = run_notebook(path)
            epochs += [train_epochs(1) for _ in share]
    return {
        "notebooks": notebooks,
        "book": sum(some["wall"] for some in notebooks.values()),
        "tutorial": sum(epochs),
    }


def tables(result):
    lines = [
        "| notebook | seconds | " + " | ".join(KINDS) + " | first figure after |",
        "|---" * (len(KINDS) + 3) + "|",
    ]
    for name, some in result["notebooks"].items():
        cells = [some["wall"], *(some.get(kind, 0.0) for kind in KINDS), some["first_figure"]]
        lines.append(f"| {name} | " + " | ".join(f"{cell:.0f}" for cell in cells) + " |")
    lines += [
        "",
        f"The whole book: {result['book']:.0f} seconds. Ten epochs of the tutorial, two after "
        f"each notebook: {result['tutorial']:.0f} seconds.",
    ]
    return "\n".join(lines)
