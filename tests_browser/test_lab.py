"""The playground in a real JupyterLab: run all, train, watch, stop, train again."""

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tools.pace import slowness

ROOT = Path(__file__).parents[1]
NOTEBOOK = "04b_playground.ipynb"


@pytest.fixture
def lab(tmp_path):
    """JupyterLab on a copy of the notebook, so that its outputs stay out of the repository."""
    shutil.copy(ROOT / "notebooks" / NOTEBOOK, tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex()
    options = {
        "ServerApp.port": port,
        "ServerApp.root_dir": tmp_path,
        "IdentityProvider.token": token,
        "ServerApp.open_browser": False,
        "ServerApp.allow_root": True,
        "LabApp.news_url": None,
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    quiet = {"VAE_DATASET": "digits", "TF_CPP_MIN_LOG_LEVEL": "3", "JUPYTER_PREFER_ENV_PATH": "1"}
    with (tmp_path / "lab.log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *flags],
            env={**os.environ, **quiet},
            stdout=log,
            stderr=log,
        )
        try:
            yield wait_for(f"http://127.0.0.1:{port}", tmp_path / "lab.log"), token
        finally:
            server.terminate()
            server.wait(30)


def wait_for(address, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{address}/api", timeout=5).close()
            return address
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"JupyterLab does not answer:\n{log.read_text()}")


def changes(picture, wanted, seconds):
    """Wait until the picture has had so many different sources; the seconds that it took."""
    start, seen = time.monotonic(), set()
    while len(seen) < wanted:
        assert time.monotonic() - start < seconds, f"{len(seen)} pictures in {seconds} s"
        seen.add(picture.get_attribute("src"))
        time.sleep(0.02)
    return time.monotonic() - start


def answer_is_quick(page, second):
    """While a run goes on, the kernel answers a cell of one's own."""
    page.locator(".jp-Notebook .jp-Cell").last.click()
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.keyboard.type("print(6 * 7)")
    page.keyboard.press("Shift+Enter")
    outputs = page.locator(".jp-OutputArea-output")
    outputs.get_by_text("42", exact=True).wait_for(timeout=2_000 * second)


def test_train_watch_stop_and_train_again(browser, lab):
    address, token = lab
    context = browser.new_context(viewport={"width": 1400, "height": 1200})
    page = context.new_page()
    context.route(
        "**/*", lambda route: route.continue_() if address in route.request.url else route.abort()
    )
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(f"{address}/lab/tree/{NOTEBOOK}?token={token}")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=60_000)
    page.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for(timeout=60_000)
    page.wait_for_timeout(3_000)  # JupyterLab forgets cells that are run in a kernel's first moment
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    train = page.get_by_role("button", name="Train", exact=True)
    train.wait_for(timeout=300_000)

    picture = page.get_by_role("img", name="KL weight, KL and squared error")
    table = page.locator("table", has_text="Finished runs")
    steps, rate = page.get_by_label("steps", exact=True), page.get_by_label("rate", exact=True)
    steps.fill("100000")
    second = slowness()
    train.click()
    step = page.get_by_text(re.compile(r"Step [1-9][\d,]* of 100,000"))
    step.wait_for(timeout=30_000)  # it compiles first
    # Five changes in about a second; the best of some, as the machine may be busy.
    assert min(changes(picture, 6, seconds=10 * second) for _ in range(10)) < 1.2 * second
    answer_is_quick(page, second)
    train.click()
    page.get_by_text("A run is in progress").wait_for()
    page.get_by_role("button", name="Stop", exact=True).click()
    page.get_by_text("Stopped after").wait_for(timeout=10_000)
    assert table.locator("td:first-child").all_text_contents() == ["1"]

    steps.fill("nonsense")
    train.click()
    page.get_by_text("steps must be a whole number").wait_for()
    steps.fill("90000")
    rate.fill("1/10")
    train.click()
    # Compiled already.
    page.get_by_text(re.compile(r"Step [1-9][\d,]* of 90,000")).wait_for(timeout=2_000 * second)
    changes(picture, 3, seconds=2 * second)
    page.get_by_role("button", name="Stop", exact=True).click()
    table.locator("tr:nth-of-type(3)").wait_for(timeout=10_000)
    assert table.locator("td:first-child").all_text_contents() == ["1", "2"]
    assert "0.0025" in table.text_content() and "0.1" in table.text_content()
    assert page.get_by_text("javascript error").count() == 0 and wrong == []
    context.close()
