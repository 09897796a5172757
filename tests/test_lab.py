"""JupyterLab as `make lab` starts it: for this machine alone, and only with its token."""

import json
import os
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def lab(tmp_path):
    """A server, and what it wrote about itself; of the user's settings it knows nothing."""
    printed = subprocess.run(["make", "-n", "lab"], cwd=ROOT, capture_output=True, text=True)
    (line,) = (line for line in printed.stdout.splitlines() if "jupyter-lab" in line)
    _, *options = shlex.split(line)
    here = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "RUNTIME", "DATA")}
    with (tmp_path / "lab.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options, "--no-browser", "--allow-root"],
            cwd=ROOT,
            env={**os.environ, **here},
            stdout=log,
            stderr=log,
        )
        try:
            yield server, wait_for(tmp_path)
        finally:
            server.terminate()
            server.wait(60)


def wait_for(folder):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for file in folder.glob("RUNTIME/jpserver-*.json"):
            return json.loads(file.read_text("utf8"))
        time.sleep(0.2)
    pytest.fail(f"JupyterLab does not start:\n{(folder / 'lab.log').read_text()}")


def answer(address, token=None):
    headers = {"Authorization": f"token {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as found:
            return found.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.fault("JupyterLab opened without its token")
def test_the_lab_listens_on_loopback_and_asks_for_its_token(lab, tried):
    server, told = lab
    connections = psutil.Process(server.pid).net_connections("tcp")
    listening = [one.laddr.ip for one in connections if one.status == psutil.CONN_LISTEN]
    assert listening and set(listening) <= {"127.0.0.1", "::1"}
    address = f"{told['url']}api/contents"
    assert len(told["token"]) >= 32
    for other in (None, "0" * len(told["token"])):
        tried()
        assert answer(address, other) == 403
    assert answer(address, told["token"]) == 200
