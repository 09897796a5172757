"""The scripts of `live/`: what is committed is what its sources make."""

import base64
import re
import shutil
import subprocess

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tools import live_scripts

COMPILER = "assemblyscript@0.28.20"
OPTIONS = (
    *("--optimize", "--runtime", "stub", "--importMemory", "--noExportMemory"),
    *("--noAssert", "--enable", "simd"),
)


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm compiles the kernels")
def test_the_committed_kernels_are_what_their_source_compiles_to(tmp_path):
    compiled = tmp_path / "kernels.wasm"
    subprocess.run(
        ["npx", "--yes", "--package", COMPILER, "asc", str(live_scripts.LIVE / "kernels.ts")]
        + [*OPTIONS, "--outFile", str(compiled)],
        cwd=tmp_path,
        check=True,
        timeout=300,
    )
    script = (live_scripts.LIVE / "kernels-simd.js").read_text("utf8")
    lines = re.search(r"SIMD_CODE = \[(.*?)\]", script, re.S)[1]
    assert base64.b64decode("".join(re.findall(r'"(.*?)"', lines))) == compiled.read_bytes()


def test_the_digits_are_written_without_loss():
    written = live_scripts.digits()
    small, labels = load_digits(return_X_y=True)
    letters = np.frombuffer(written["digits"].encode(), "uint8").reshape(small.shape)
    np.testing.assert_array_equal(letters - ord("a"), small)
    np.testing.assert_array_equal(list(written["labels"]), labels.astype(str))
    # No digit of the test images was seen in training.
    assert not set(written["test"]["rows"]) & set(written["train"]["rows"])


def test_all_scripts_of_the_folder_are_used():
    files = {file.stem for file in live_scripts.LIVE.glob("*.js")}
    assert files == {*live_scripts.WORKER, *live_scripts.PAGE}
