"""Each notebook on its own, whatever ran before it and whatever runs beside it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_cache import get_cache

from tools import execute
from tools.twice import write_twice

ROOT = Path(__file__).parents[1]


def test_what_a_notebook_leaves_behind_is_met_when_it_runs_twice(tmp_path):
    cells = [nbformat.v4.new_code_cell(code) for code in ("assert max(1, 2) == 2", "max = min")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "once.ipynb")
    (tmp_path / "twice").mkdir()
    twice = write_twice(tmp_path / "once.ipynb", tmp_path / "twice")
    failed = execute.execute([tmp_path / "once.ipynb", twice], tmp_path / "kept", timeout=60)
    assert failed.keys() == {twice} and "AssertionError" in failed[twice]


@pytest.mark.fault("a notebook run twice in one kernel")
def test_a_chapter_runs_twice_in_one_kernel(tmp_path, tried):
    """The shortest one; `make twice` runs all of them."""
    twice = write_twice(ROOT / "notebooks" / "09_field_guide.ipynb", tmp_path)
    tried()
    assert execute.execute([twice], tmp_path / "kept", timeout=1200) == {}


TRAINS = """
import matplotlib.pyplot as plt
import vae_utils as vu
run = vu.train("mlp", vu.load_images("digits"), 5, likelihood=vu.Gaussian(), kl_weight=1.0,
               seed=0, every=5, callbacks=[])
plt.plot(run.record["mse"])
print([float(abs(weight).sum()).hex() for weight in run.vae.get_weights()])
"""


def begin_build(folder, home):
    """Start a build of one small notebook, in a copy of the repository's programs."""
    shutil.copytree(ROOT / "tools", folder / "tools")
    shutil.copy(ROOT / "_config.yml", folder)
    path = folder / "trains.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(TRAINS)]), path)
    elsewhere = ("XDG_", "KERAS_HOME", "MPL", "JUPYTER_", "IPYTHON")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(elsewhere)}
    command = [sys.executable, "-m", "tools.execute", folder / "kept", path]
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**plain, "HOME": str(home), "JUPYTER_PREFER_ENV_PATH": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


def printed(folder):
    """Return what the kept notebook of a build printed."""
    notebook = nbformat.read(folder / "trains.ipynb", 4)
    _, merged = get_cache(folder / "kept").merge_match_into_notebook(notebook)
    return "".join(output.get("text", "") for output in merged.cells[0].outputs)


@pytest.mark.fault("two simultaneous builds, in two copies of the repository and one home folder")
def test_two_builds_at_once_in_one_home_folder_do_not_meet(tmp_path, tried):
    for number in range(2):
        home = tmp_path / f"home{number}"
        home.mkdir()
        folders = [tmp_path / f"{name}{number}" for name in "ab"]
        tried()
        builds = [begin_build(folder, home) for folder in folders]
        for build in builds:
            _, errors = build.communicate()
            assert build.returncode == 0, errors[-2000:]
        one, other = map(printed, folders)
        assert one == other and "0x" in one
        files = [path for path in home.rglob("*") if path.is_file()]
        assert home / ".keras" / "keras.json" in files
        for path in files:
            if path.suffix == ".json":
                json.loads(path.read_text("utf8"))
            assert path.suffix not in (".part", ".tmp", ".lock", ".matplotlib-lock"), path
