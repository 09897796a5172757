"""Sweeps: on this machine, on a cluster, interrupted and continued."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import distributed
import joblib
import keras
import numpy as np
import pytest
from conftest import TINY, bright_bars

from vae_utils import Gaussian, Images, sweep, sweeps, train
from vae_utils.schedules import Constant, Linear

BARS = Images(bright_bars(64), bright_bars(64, seed=1), None, None, "bars", "of this test")
FIXED = {"likelihood": Gaussian(0.5), "params": TINY}
OVER = {"kl_weight": [Constant(1.0), Linear(rate=0.1)], "seed": [0, 1]}


def tiny_sweep(folder, **changes):
    return sweep("mlp", BARS, 10, **{"over": OVER, "folder": folder, "jobs": 1, **FIXED, **changes})


def same(some, others):
    for one, other in zip(some, others, strict=True):
        assert one.settings == other.settings
        assert one.summary == other.summary
        for key in one.record:
            np.testing.assert_array_equal(one.record[key], other.record[key])


def test_each_combination_is_trained_as_alone(tmp_path):
    outcomes = tiny_sweep(tmp_path)
    wanted = [{"kl_weight": w, "seed": s} for w in OVER["kl_weight"] for s in OVER["seed"]]
    assert [outcome.settings for outcome in outcomes] == wanted
    alone = train("mlp", BARS, 10, kl_weight=Linear(rate=0.1), seed=1, **FIXED)
    np.testing.assert_array_equal(outcomes[-1].record["kl_per_unit"], alone.record["kl_per_unit"])


def test_an_interrupted_sweep_continues(tmp_path, monkeypatch):
    calls = []

    def interrupted(*args, **settings):
        calls.append(settings["seed"])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return train(*args, **settings)

    monkeypatch.setattr(sweeps, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tiny_sweep(tmp_path)
    outcomes = tiny_sweep(str(tmp_path))
    assert calls == [0, 1, 0, 0, 1]  # the third broke off and ran again
    monkeypatch.setattr(sweeps, "train", None)  # nothing is left to train
    same(tiny_sweep(tmp_path), outcomes)


def test_other_images_or_settings_are_other_runs(tmp_path, monkeypatch):
    tiny_sweep(tmp_path, over={"seed": [0]}, kl_weight=1.0)
    monkeypatch.setattr(sweeps, "train", None)
    with pytest.raises(TypeError):
        tiny_sweep(tmp_path, over={"seed": [0]}, kl_weight=0.5)
    others = replace(BARS, train=BARS.test)
    with pytest.raises(TypeError):
        sweep(
            "mlp", others, 10, over={"seed": [0]}, kl_weight=1.0, folder=tmp_path, jobs=1, **FIXED
        )


KILLED = """
import sys
sys.path.insert(0, {tests!r})
from test_sweeps import tiny_sweep
if __name__ == "__main__":
    tiny_sweep({folder!r}, over={{"kl_weight": [1.0], "seed": list(range(500))}})
"""


def test_a_killed_sweep_has_its_finished_runs_on_disk(tmp_path, monkeypatch):
    folder = tmp_path / "kept"
    script = KILLED.format(tests=str(Path(__file__).parent), folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    try:
        deadline = time.time() + 120
        while len(list(folder.rglob("output.pkl"))) < 3:
            assert process.poll() is None and time.time() < deadline
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    trained = []

    def counted(*args, **settings):
        trained.append(settings["seed"])
        return train(*args, **settings)

    monkeypatch.setattr(sweeps, "train", counted)
    tiny_sweep(folder, over={"kl_weight": [1.0], "seed": [0, 1, 2, 1_000]})
    assert trained == [1_000]


def test_processes_give_what_one_gives(tmp_path):
    same(tiny_sweep(tmp_path / "two", jobs=2), tiny_sweep(tmp_path / "one"))


def test_two_workers_of_a_dask_cluster(tmp_path):
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.wait_for_workers(2, timeout=60)
        with joblib.parallel_config(backend="dask", wait_for_workers_timeout=60):
            outcomes = tiny_sweep(tmp_path / "dask", jobs=-1)
        executed = client.run(lambda dask_worker: dask_worker.state.executed_count)
    assert len(executed) == 2 and all(executed.values())
    same(outcomes, tiny_sweep(tmp_path / "one"))


def test_a_keras_schedule_is_known_by_its_numbers(tmp_path, monkeypatch):
    def rate(start):
        return keras.optimizers.schedules.CosineDecay(start, 10)

    some = {"over": {"seed": [0]}, "kl_weight": 1.0}
    tiny_sweep(tmp_path, **some, learning_rate=rate(1e-3))
    monkeypatch.setattr(sweeps, "train", None)
    tiny_sweep(tmp_path, **some, learning_rate=rate(1e-3))
    with pytest.raises(TypeError):
        tiny_sweep(tmp_path, **some, learning_rate=rate(2e-3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"over": {}}, "at least one value"),
        ({"over": {"seed": []}}, "at least one value"),
        ({"seed": 3}, "seed: either fixed or swept over"),
    ],
)
def test_bad_grids_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        tiny_sweep(tmp_path, **changes)


def test_a_bad_run_says_why(tmp_path):
    with pytest.raises(ValueError, match="must divide"):
        tiny_sweep(tmp_path, every=3)
