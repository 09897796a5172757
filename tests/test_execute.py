"""The notebooks of a build: side by side, each once, and none that failed is kept."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import nbformat
import psutil
import pytest
from jupyter_cache import get_cache

from tools import cpu_share, execute

ROOT = Path(__file__).parents[1]
ONCE = "with open('{name}.ran', 'a') as file:\n    print(1, file=file)\n"


@pytest.fixture
def notebook(tmp_path):
    """Writes a notebook of one cell; it notes in a file each time that it runs."""

    def write(name, code="print('done')"):
        cells = [nbformat.v4.new_code_cell(ONCE.format(name=name) + code)]
        path = tmp_path / f"{name}.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        return path

    return write


def test_each_notebook_runs_once_in_its_folder_and_is_kept(notebook, tmp_path):
    paths = [notebook("a"), notebook("b")]
    kept = tmp_path / "kept"
    assert execute.execute(paths[:1], kept, timeout=60) == {}
    assert execute.execute(paths, kept, timeout=60) == {}
    for path in paths:
        assert path.with_suffix(".ran").read_text() == "1\n"
        _, merged = get_cache(kept).merge_match_into_notebook(nbformat.read(path, 4))
        assert merged.cells[0].outputs[0].text == "done\n"
        assert not nbformat.read(path, 4).cells[0].outputs


def test_a_notebook_that_fails_is_named_with_its_error_and_the_others_are_kept(notebook, tmp_path):
    good, bad = notebook("good"), notebook("bad", "1 / 0")
    kept = tmp_path / "kept"
    failed = execute.execute([bad, good], kept, timeout=60)
    assert failed.keys() == {bad} and "ZeroDivisionError" in failed[bad]
    assert [record.uri for record in get_cache(kept).list_cache_records()] == [str(good)]
    assert execute.execute([bad], kept, timeout=60).keys() == {bad}


def test_what_nbmake_has_run_does_not_run_again(notebook, tmp_path):
    drawn = "import matplotlib.pyplot as plt; print('done'); plt.plot([1, 2]);"
    good, bad = notebook("good", drawn), notebook("bad", "1 / 0")
    kept = tmp_path / "kept"
    command = [sys.executable, "-m", "pytest", "--nbmake", "-p", "tools.keep_notebooks"]
    told = [*command, "--keep-notebooks", kept, good, bad]
    ended = subprocess.run(told, cwd=ROOT, capture_output=True, text=True)
    assert "1 failed, 1 passed" in ended.stdout
    assert "without encryption" not in ended.stdout  # the kernel of the one that failed
    assert [record.uri for record in get_cache(kept).list_cache_records()] == [str(good)]
    assert execute.execute([good], kept, timeout=60) == {}
    assert good.with_suffix(".ran").read_text() == "1\n"
    _, merged = get_cache(kept).merge_match_into_notebook(nbformat.read(good, 4))
    text, figure = merged.cells[0].outputs
    assert text.text == "done\n" and "image/png" in figure.data


TRAINS = """
import os
import tensorflow as tf
tf.function(tf.square, jit_compile=True)(tf.ones(3))
os.write(2, b"from the machine")
"""


def test_a_build_prints_a_few_lines_and_the_rest_goes_to_a_log(notebook, tmp_path):
    kept = tmp_path / "kept"
    command = [sys.executable, "-m", "tools.execute", kept]
    good, bad = notebook("good", TRAINS), notebook("bad", "1 / 0")
    ended = subprocess.run([*command, good], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0 and ended.stdout == ""
    first, *bar = ended.stderr.splitlines()
    log = tmp_path / "kept.log"
    assert first == f"1 of 1 notebooks to run; their log: {log}"
    assert any(line.startswith("good.ipynb: ") for line in bar) and len(bar) < 10
    assert "from the machine" in log.read_text()

    ended = subprocess.run([*command, good, bad], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "1 of 2 notebooks to run" in ended.stderr
    assert f"{bad}:\n" in ended.stderr and "ZeroDivisionError" in ended.stderr
    assert ended.stderr.splitlines()[-1] == f"Other output of the kernels: {log}"


@pytest.mark.parametrize("breaks", [False, True])
def test_what_an_import_of_tensorflow_says_is_shown_only_if_it_fails(tmp_path, breaks):
    says = "import os\nos.write(2, b'about the machine')\n" + "raise ImportError\n" * breaks
    (tmp_path / "tensorflow.py").write_text(says)
    code = f"import sys\nsys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]\nimport tools.quiet\n"
    code += "print('later', file=sys.stderr)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if breaks:
        assert "about the machine" in ended.stderr and "ImportError" in ended.stderr
    else:
        assert ended.stderr == "later\n"


# Two kernels that start at the same moment could pick the same free port.
NO_PORTS = """
import json
from ipykernel.connect import get_connection_info
assert json.loads(get_connection_info())["transport"] == "ipc"
"""


def test_no_kernel_takes_the_port_of_another(notebook, tmp_path):
    assert execute.execute([notebook("one", NO_PORTS)], tmp_path / "kept", timeout=60) == {}
    command = [sys.executable, "-m", "pytest", "--nbmake", "-p", "tools.keep_notebooks"]
    told = [*command, "--keep-notebooks", tmp_path / "kept", notebook("two", NO_PORTS)]
    ended = subprocess.run(told, cwd=ROOT, capture_output=True, text=True)
    assert "1 passed" in ended.stdout


ENDLESS = "import os, time\nopen('{name}.pid', 'w').write(str(os.getpid()))\ntime.sleep(1000)"
RUN = "from pathlib import Path; from tools.execute import main; main({paths}, {kept})"


@pytest.mark.parametrize("how", ["Ctrl+C", "SIGTERM", "SIGKILL"])
def test_one_signal_ends_the_build_and_its_kernels(notebook, tmp_path, how):
    paths = [str(notebook(name, ENDLESS.format(name=name))) for name in "abc"]
    code = RUN.format(paths=f"[Path(p) for p in {paths}]", kept=f"Path({str(tmp_path / 'kept')!r})")
    run = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True
    )
    processes = []
    try:
        kernels = set()
        deadline = time.monotonic() + 60
        while len(kernels) < cpu_share.workers():
            assert time.monotonic() < deadline and run.poll() is None
            time.sleep(0.1)
            kernels = {int(f.read_text()) for f in tmp_path.glob("*.pid") if f.read_text()}
        processes = psutil.Process(run.pid).children(recursive=True)
        assert kernels <= {process.pid for process in processes}
        if how == "Ctrl+C":  # as a terminal does
            os.killpg(run.pid, signal.SIGINT)
        else:
            run.send_signal(signal.Signals[how])
        # What hangs, hangs for good; what is slow comes to its end.
        assert run.wait(120) != 0
        _, alive = psutil.wait_procs(processes, timeout=120)
        assert not alive
    finally:
        for process in [run, *processes]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        run.wait()


def test_workers_have_no_core_in_common(monkeypatch):
    taken = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 1, 7, 5, 9}, raising=False)
    monkeypatch.setattr(
        os, "sched_setaffinity", lambda _, cores: taken.append(cores), raising=False
    )
    count = cpu_share.workers()
    assert count == 2
    for worker in range(count):
        cpu_share.keep_to_share(worker, count)
    assert taken == [[1, 5, 9], [3, 7]]


def test_one_core_is_one_worker(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert cpu_share.workers() == 1
