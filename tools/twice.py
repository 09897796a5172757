"""Write notebooks whose cells run twice, one time after the other in the same kernel.

`python -m tools.twice FOLDER [NOTEBOOK ...]` writes them, or all, to FOLDER. What the first
time leaves behind must not disturb the second, as when a reader runs all cells again.
"""

import sys
from copy import deepcopy
from pathlib import Path

import nbformat

from tools.execute import notebooks


def write_twice(path, folder):
    """Write a notebook with its code twice to a folder, and return the new path."""
    notebook = nbformat.read(path, 4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    notebook.cells = [
        nbformat.from_dict({**cell, "id": f"{time}-{cell.id}"})
        for time in (1, 2)
        for cell in deepcopy(code)
    ]
    new = Path(folder) / path.name
    nbformat.write(notebook, new)
    return new


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(parents=True, exist_ok=True)
    for path in [Path(name) for name in sys.argv[2:]] or notebooks():
        write_twice(path, sys.argv[1])
