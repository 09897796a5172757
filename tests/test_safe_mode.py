"""A model's file is data: code that somebody put into it doesn't run when it is loaded."""

import re
import subprocess
from pathlib import Path

import keras
import pytest

from vae_utils import VAE, Gaussian, mlp_decoder, mlp_encoder

ROOT = Path(__file__).parents[1]


def with_code(network, mark):
    """The network behind a layer whose code leaves a mark."""
    inputs = keras.Input(network.input_shape[1:])
    code = keras.layers.Lambda(lambda x: (__import__("pathlib").Path(mark).touch(), x)[1])
    return keras.Model(inputs, network(code(inputs)))


@pytest.mark.fault("code in a model's file")
@pytest.mark.parametrize("place", ["encoder", "decoder"])
def test_code_in_a_file_is_refused_and_has_not_run(tiny, tmp_path, tried, place):
    mark = tmp_path / "mark"
    networks = {"encoder": mlp_encoder(tiny), "decoder": mlp_decoder(tiny)}
    networks[place] = with_code(networks[place], str(mark))
    vae = VAE(**networks, likelihood=Gaussian(0.5))
    for name, model in (("vae", vae), ("network", networks[place])):
        file = tmp_path / f"{name}.keras"
        model.save(file)
        mark.unlink(missing_ok=True)
        tried()
        with pytest.raises((ValueError, TypeError), match="safe_mode"):
            keras.saving.load_model(file)
        assert not mark.exists()
        keras.saving.load_model(file, safe_mode=False)
        assert mark.exists()  # so the file does hold it


def test_nothing_of_ours_leaves_the_safe_mode():
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout
    texts = {
        name: (ROOT / name).read_text("utf8")
        for name in files.splitlines()
        if name.endswith((".py", ".ipynb", ".md")) and (ROOT / name).is_file()
    }
    assert "vae_utils/model.py" in texts
    unsafe = re.compile(r"enable_unsafe_deserialization|safe_mode *= *False")
    own = Path(__file__).relative_to(ROOT).as_posix()
    assert [name for name, text in texts.items() if unsafe.search(text) and name != own] == []
