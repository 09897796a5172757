"""Sweeps: on this machine, on a cluster, interrupted and continued. (Killed: test_killed.py.)"""

import hashlib
import pickle
from dataclasses import replace

import distributed
import joblib
import keras
import numpy as np
import pytest
from conftest import TINY, Trap, bright_bars, precision

from vae_utils import (
    Gaussian,
    Images,
    mlp_decoder,
    mlp_encoder,
    remedies,
    sweep,
    sweeps,
    train,
    train_seeds,
)
from vae_utils.schedules import Constant, Linear

BARS = Images(bright_bars(64), bright_bars(64, seed=1), None, None, "bars", "of this test")
FIXED = {"likelihood": Gaussian(0.5), "params": TINY}
OVER = {"kl_weight": [Constant(1.0), Linear(rate=0.1)], "seed": [0, 1]}


def tiny_sweep(folder, **changes):
    return sweep("mlp", BARS, 10, **{"over": OVER, "folder": folder, "jobs": 1, **FIXED, **changes})


def assert_same(results, others):
    for one, other in zip(results, others, strict=True):
        assert one.settings == other.settings
        assert one.summary == other.summary
        for key in one.record:
            np.testing.assert_array_equal(one.record[key], other.record[key])


def test_each_combination_is_trained_as_alone(tmp_path):
    results = tiny_sweep(tmp_path)
    wanted = [{"kl_weight": w, "seed": s} for w in OVER["kl_weight"] for s in OVER["seed"]]
    assert [result.settings for result in results] == wanted
    alone = train("mlp", BARS, 10, kl_weight=Linear(rate=0.1), seed=1, **FIXED)
    np.testing.assert_array_equal(results[-1].record["kl_per_unit"], alone.record["kl_per_unit"])


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
    results = tiny_sweep(str(tmp_path))
    assert calls == [0, 1, 0, 0, 1]  # the third broke off and ran again
    monkeypatch.setattr(sweeps, "train", None)  # nothing is left to train
    assert_same(tiny_sweep(tmp_path), results)


def test_a_pickle_in_the_folder_is_never_loaded(tmp_path):
    one_run = {"over": {"seed": [0]}, "kl_weight": 1.0}
    results = tiny_sweep(tmp_path, **one_run)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    trap = Trap(tmp_path / "sprung")
    pickled = pickle.dumps(trap)
    file.write_bytes(hashlib.sha256(pickled).digest() + pickled)
    assert_same(tiny_sweep(tmp_path, **one_run), results)
    assert not trap.sprung.exists() and file.read_bytes() == whole


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


@pytest.mark.parametrize("damage", [lambda b: b"", lambda b: b[:-1], lambda b: b[:-1] + b"?"])
def test_a_damaged_file_counts_as_absent(tmp_path, damage):
    one_run = {"over": {"seed": [0]}, "kl_weight": 1.0}
    results = tiny_sweep(tmp_path, **one_run)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert_same(tiny_sweep(tmp_path, **one_run), results)
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert len(file.read_bytes()) == len(whole)


def test_a_relative_folder_is_one_of_the_caller(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one_run = {"over": {"seed": [0]}, "kl_weight": 1.0}
    results = tiny_sweep("kept", **one_run)
    monkeypatch.setattr(sweeps, "train", None)
    assert_same(tiny_sweep(tmp_path / "kept", **one_run), results)


def test_processes_give_what_one_gives(tmp_path):
    assert_same(tiny_sweep(tmp_path / "two", jobs=2), tiny_sweep(tmp_path / "one"))


def test_two_workers_of_a_dask_cluster(tmp_path):
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.wait_for_workers(2, timeout=60)
        with joblib.parallel_config(backend="dask", wait_for_workers_timeout=60):
            results = tiny_sweep(tmp_path / "dask", jobs=-1)
        executed = client.run(lambda dask_worker: dask_worker.state.executed_count)
    assert len(executed) == 2 and all(executed.values())
    assert_same(results, tiny_sweep(tmp_path / "one"))


def test_a_keras_schedule_is_known_by_its_numbers(tmp_path, monkeypatch):
    def rate(start):
        return keras.optimizers.schedules.CosineDecay(start, 10)

    one_run = {"over": {"seed": [0]}, "kl_weight": 1.0}
    tiny_sweep(tmp_path, **one_run, learning_rate=rate(1e-3))
    monkeypatch.setattr(sweeps, "train", None)
    tiny_sweep(tmp_path, **one_run, learning_rate=rate(1e-3))
    with pytest.raises(TypeError):
        tiny_sweep(tmp_path, **one_run, learning_rate=rate(2e-3))


def test_a_model_is_known_by_its_attributes(tmp_path, monkeypatch):
    one_run = {"over": {"seed": [0]}, "kl_weight": 1.0, "folder": tmp_path, **FIXED}
    networks = (remedies.FreeBits, mlp_encoder, mlp_decoder)
    sweep(networks, BARS, 10, jobs=1, **one_run)
    monkeypatch.setattr(remedies.FreeBits, "free", 3.0)
    with pytest.raises(ValueError, match="attributes of FreeBits were changed"):
        sweep(networks, BARS, 10, jobs=2, **one_run)
    changed = sweep(networks, BARS, 10, jobs=1, **one_run)
    assert len(list(tmp_path.glob("*.run"))) == 2
    alone = train(networks, BARS, 10, kl_weight=1.0, seed=0, **FIXED)
    np.testing.assert_array_equal(changed[0].record["mse"], alone.record["mse"])


def test_a_sweep_computes_at_the_callers_precision_in_all_processes(tmp_path):
    with precision("mixed_bfloat16"):
        one, two = (
            tiny_sweep(tmp_path / str(jobs), jobs=jobs, over={"seed": [0, 1]}, kl_weight=1.0)
            for jobs in (1, 2)
        )
    assert_same(one, two)
    assert (
        one[0].summary
        != tiny_sweep(tmp_path / "1", kl_weight=1.0, over={"seed": [0, 1]})[0].summary
    )


def test_seeds_together_are_the_same_runs_and_continue(tmp_path, monkeypatch):
    results = tiny_sweep(tmp_path, together=True)
    for one, alone in zip(results, tiny_sweep(tmp_path), strict=True):
        assert one.settings == alone.settings and one.record == {}
        assert one.summary == pytest.approx(alone.summary, rel=1e-4)
    trained = []

    def counted(*args, seeds, **settings):
        trained.append(seeds)
        return train_seeds(*args, seeds=seeds, **settings)

    monkeypatch.setattr(sweeps, "train_seeds", counted)
    assert_same(tiny_sweep(tmp_path, together=True), results)
    tiny_sweep(tmp_path, together=True, over={**OVER, "seed": [1, 2, 3]})
    assert trained == [[2, 3], [2, 3]]


def test_equal_runs_are_trained_once_and_returned_for_each_place(tmp_path, monkeypatch):
    trained = []

    def counted(*args, seed, **settings):
        trained.append(seed)
        return train(*args, seed=seed, **settings)

    monkeypatch.setattr(sweeps, "train", counted)
    results = tiny_sweep(tmp_path, over={"seed": [0, 1, 0]}, kl_weight=1.0)
    assert trained == [0, 1]
    assert [result.settings["seed"] for result in results] == [0, 1, 0]
    assert results[0].summary == results[2].summary != results[1].summary
    one, same = tiny_sweep(tmp_path, over={"kl_weight": [1.0, 1.0], "seed": [5]}, together=True)
    assert one.summary == same.summary


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"together": True, "over": {"kl_weight": [1.0]}}, "over must list the seeds"),
        ({"over": {}}, "at least one value"),
        ({"over": {"seed": []}}, "at least one value"),
        ({"seed": 3}, "seed: either fixed or swept over"),
        ({"over": {"seed": [0], "steps": [10, 20]}}, "must be among callbacks, every.*got steps"),
        ({"over": {"seeds": [0]}}, "must be among callbacks, .*, seed, watch; got seeds"),
        ({"learning_rat": 1e-3}, "must be among .*learning_rate.*got learning_rat$"),
        ({"together": True, "every": 5}, "must be among .*, params, seed; got every"),
        ({"together": True, "verbose": False}, "must be among .*, params, seed; got verbose"),
        ({"over": {"kl_weight": [1.0]}}, "each run needs seed"),
        ({"over": {"seed": [0]}}, "each run needs kl_weight"),
    ],
)
def test_bad_grids_are_refused_before_any_training(tmp_path, monkeypatch, changes, message):
    monkeypatch.setattr(sweeps, "train", None)
    with pytest.raises(ValueError, match=message):
        tiny_sweep(tmp_path, **changes)


def test_a_class_in_place_of_a_likelihood_is_refused(tmp_path):
    with pytest.raises(ValueError, match="likelihood must be"):
        tiny_sweep(tmp_path, likelihood=Gaussian)


def test_a_bad_run_says_why(tmp_path):
    with pytest.raises(ValueError, match="must divide"):
        tiny_sweep(tmp_path, every=3)
