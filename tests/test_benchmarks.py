"""The benchmarks' own arithmetic, and what the performance page says about the results."""

import copy
import json
import re
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import vae_utils as vu
from benchmarks import arithmetic, literature, quality, steps
from benchmarks.__main__ import PAGES, page


@pytest.mark.parametrize(
    ("architecture", "parts"),
    [
        ("conv", (vu.conv_encoder, vu.conv_decoder)),
        ("mlp", (vu.mlp_encoder, vu.mlp_decoder)),
    ],
)
def test_weights_are_counted_as_the_networks_have_them(architecture, parts):
    params = vu.Params()
    built = sum(part(params).count_params() for part in parts)
    assert sum(count for _, count in arithmetic.layers(architecture, params)) == built


ROOT = Path(__file__).parent.parent
RESULTS = json.loads((ROOT / "benchmarks/results.json").read_text("utf8"))


@pytest.mark.parametrize("name", PAGES)
def test_the_page_shows_the_results(name):
    assert (ROOT / "benchmarks" / name).read_text("utf8") == page(RESULTS, PAGES[name])


def test_the_literature_page_says_what_was_measured():
    result = RESULTS["literature"]["result"]
    spectrum = result["spectrum"]
    np.testing.assert_allclose(spectrum["ours"], spectrum["scikit-learn"], rtol=1e-4)
    assert result["one_layer"]["epochs"] == 10
    for model in result["one_layer"]["models"]:
        assert model["elbo"] < model["bound"] < -86.76
        assert 0 < model["active_units"] <= 50
    text = (ROOT / "book/literature.md").read_text("utf8")
    assert "The table shows ten" in text and "60,000 training" in text
    assert spectrum["images"] == 60_000


def test_the_spectrum_is_divided_by_the_number_of_images():
    images = np.random.default_rng(0).random((30, 4, 4, 1), "float32")
    found = literature.spectrum(images)
    np.testing.assert_allclose(found["ours"], found["scikit-learn"], rtol=1e-4)
    assert found["trace"] == pytest.approx(images.reshape(30, -1).var(axis=0).sum(), rel=1e-5)


def test_what_the_script_says_of_each_seed_is_read(monkeypatch):
    said = (
        "epoch 10, 1,042 s\n"
        "seed 0: ELBO -99.10, IWAE-5000 bound -95.20 ± 0.25 nats, 18 of 50 units active\n"
        "seed 1: ELBO -99.30, IWAE-5000 bound -95.40 ± 0.26 nats, 21 of 50 units active\n"
    )
    few = vu.load_images(np.random.default_rng(0).random((40, 28, 28), "float32"))
    printed = SimpleNamespace(stdout=said)
    monkeypatch.setattr(literature.subprocess, "run", lambda *args, **kwargs: printed)
    found = literature.one_layer(few)
    assert found["seconds"] == 1042
    last = {"elbo": -99.3, "bound": -95.4, "error": 0.26, "active_units": 21}
    assert found["models"][1] == last
    printed.stdout = said[: said.index("seed 1")]
    with pytest.raises(RuntimeError, match="2 seeds"):
        literature.one_layer(few)


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (1.4, "this package is the fastest, ahead of *JAX, jit*"),
        (1.04, "*JAX, jit* is level with this package"),
        (0.96, "*JAX, jit* is level with this package"),
        (0.8, "*JAX, jit* is the fastest"),
    ],
)
def test_the_page_says_who_is_fastest(ratio, words):
    result = copy.deepcopy(RESULTS["steps"]["result"])
    for found in result.values():
        for peer in steps.PEERS:
            found["times_ours"][peer]["median"] = ratio if peer == "JAX, jit" else 2.0
    assert steps.tables(result).splitlines()[-1].count(words) == 2


def test_a_median_of_runs_that_were_stopped_is_marked():
    (row,) = RESULTS["quality"]["result"][:1]
    rows = [{**row, "reached": reached} for reached in range(len(quality.SEEDS) + 1)]
    marked = [line.count("| > ") for line in quality.tables(rows).splitlines()[2:]]
    assert marked == [3, 3, 0, 0]


def test_xla_is_where_it_pays():
    for found in RESULTS["steps"]["result"].values():
        assert found["times_ours"][steps.SWAPPED]["median"] > 1


class Improves:
    """Stands for a model whose score is the number of its trainings."""

    batch = 1

    def __init__(self, *arguments):
        self.trainings = 0

    def train(self, pool):
        assert len(pool) == quality.LOOK_EVERY
        self.trainings += 1


@pytest.fixture
def improving(monkeypatch):
    monkeypatch.setattr(quality, "WAYS", {"vae_utils": Improves})
    monkeypatch.setattr(quality, "GOALS", {"ELBO": 3})
    monkeypatch.setattr(quality, "score", lambda model, goal, images: model.trainings)
    return ("vae_utils", "mlp", "ELBO", 0, None, np.zeros((200, 1)), None)


def test_a_way_trains_until_it_is_good_and_no_longer(improving):
    run = quality.until_good(*improving, np.inf)
    assert run["reached"] and run["steps"] == 3 * quality.LOOK_EVERY and run["seconds"] > 0


def test_a_way_that_takes_too_long_is_stopped_and_has_not_reached_the_goal(improving):
    run = quality.until_good(*improving, 1e-9)
    assert not run["reached"] and run["steps"] == quality.LOOK_EVERY


def test_a_killed_measurement_continues_where_it_stopped(tmp_path, monkeypatch):
    done, stop_at = [], 4

    def side_by_side(*task):
        if len(done) == stop_at:
            raise KeyboardInterrupt
        done.append(task[:3])
        run = {"seconds": 2.0, "steps": 100, "reached": True}
        return {way: {**run, "seconds": 2.0 * (1 + way.count("Keras"))} for way in quality.WAYS}

    monkeypatch.setattr(quality, "side_by_side", side_by_side)
    monkeypatch.setattr(quality, "KEPT", tmp_path / "kept.json")
    monkeypatch.setattr(vu, "load_images", lambda source: None)
    with pytest.raises(KeyboardInterrupt):
        quality.measure()
    stop_at = None
    rows = quality.measure()
    assert len(done) == len(set(done)) == 12
    assert not quality.KEPT.exists()
    assert len(rows) == 12 and all(row["reached"] == 3 for row in rows)
    assert {row["way"]: row["times_ours"]["median"] for row in rows} == {
        "vae_utils": 1,
        "Keras example": 2,
        "PyTorch example": 1,
    }


def test_the_sweep_of_the_page_runs(tmp_path, monkeypatch, capsys):
    text = (ROOT / "book/performance.md").read_text("utf8")
    code = re.findall(r"```python\n(.*?)```", text, re.S)[0]
    assert "500," in code
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VAE_DATASET", "digits")
    exec(code.replace("500,", "10,"), {})
    assert capsys.readouterr().out.count("kl_weight") == 9
    assert len(list((tmp_path / "finished-runs").glob("*.run"))) == 9


def test_the_example_of_the_page_on_several_devices_runs(monkeypatch):
    text = (ROOT / "book/performance.md").read_text("utf8")
    code = re.findall(r"```python\n(.*?)```", text, re.S)[-1]
    few = vu.load_images(np.random.default_rng(0).random((40, 28, 28), "float32"))
    monkeypatch.setattr(vu, "load_images", lambda: few)
    names = {}
    exec(code.replace("batch_size=512", "batch_size=16"), names)
    assert int(keras.ops.convert_to_numpy(names["vae"].optimizer.iterations)) == 3
