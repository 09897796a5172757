"""Extreme settings: no NaN comes out. What diverges stops, says so, and keeps good weights."""

import dataclasses
import itertools
import warnings

import keras
import numpy as np
import pytest
from conftest import TINY, bright_bars

from vae_utils import (
    BackupAndRestore,
    Bernoulli,
    Gaussian,
    Images,
    Recorder,
    StopOnNaN,
    summary,
    sweep,
    together,
    train,
    train_seeds,
)
from vae_utils.compiled import state

IMAGES = Images(bright_bars(64), bright_bars(20, seed=1), None, None, "own", "made for tests")
SMALL = dataclasses.replace(
    TINY, conv_filters=(2,), conv_units=4, mlp_encoder_units=(6,), mlp_decoder_units=(6,)
)
ADVICE = "Try a lower learning rate, a larger variance of the likelihood, or a lower KL weight"


def heard(call):
    """Return what a call returns, and its warnings (of our kind: NumPy's count as well)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    return result, [str(each.message) for each in caught if each.category is RuntimeWarning]


def run(architecture="mlp", steps=10, **changes):
    settings = dict(likelihood=Gaussian(0.5), kl_weight=1.0, seed=3, params=SMALL, callbacks=[])
    settings |= dict(every=10, watch=10)
    return heard(lambda: train(architecture, IMAGES, steps, **{**settings, **changes}))


def no_nan(values):
    assert all(np.isfinite(value).all() for value in values)


# ---- a grid of extreme settings --------------------------------------------------------------

RATES = (1e-6, 1e-3, 0.03, 0.3, 1.0)
WEIGHTS = (0.0, 1.0, 30.0, 1000.0)
SCALES = (Gaussian(1e-6), Gaussian(1e-2), Gaussian(1e4), Bernoulli())
GRID = [
    *itertools.product(["mlp"], SCALES, RATES, WEIGHTS, (0, 1)),
    *itertools.product(["conv"], (SCALES[0], *SCALES[2:]), (1e-3, 1.0), WEIGHTS, (0,)),
    *itertools.product(["context"], (Bernoulli(),), (1e-3, 1.0), WEIGHTS, (0, 1)),
]


@pytest.mark.fault("training with extreme settings")
def test_no_extreme_setting_makes_a_nan(tried):
    for architecture, likelihood, rate, weight, seed in GRID:
        changes = dict(likelihood=likelihood, learning_rate=rate, kl_weight=weight, seed=seed)
        steps = 100 if rate == 1 and seed == 0 else 10
        tried()
        result, said = run(architecture, steps, **changes)
        no_nan(result.record.values())
        no_nan(result.vae.get_weights())
        no_nan(summary(result.vae, IMAGES.test).values())
        early = int(result.vae.step) < steps
        assert early == any(sentence.endswith(ADVICE) for sentence in said), changes
    assert len(GRID) == 200


# ---- runs that do diverge --------------------------------------------------------------------

# (Up to a rate of 1 none did, since the log standard deviations are bounded.)
DIVERGING = [
    dict(learning_rate=rate, every=every, steps=steps, likelihood=likelihood)
    for likelihood in (Gaussian(0.5), Gaussian(1e-3, "identity"))
    for rate in (1e10, 1e19, 1e30)
    for every, steps in ((1, 4), (2, 4), (4, 4))
]


@pytest.mark.fault("training that diverges")
def test_what_diverges_stops_says_so_and_keeps_the_last_good_weights(tried):
    for changes in DIVERGING:
        tried()
        result, said = run(**changes)
        assert len(said) == 1 and said[0].endswith(ADVICE), changes
        step = int(result.vae.step)
        assert step < changes["steps"] and f"the model was restored to step {step}." in said[0]
        assert result.record["step"][-1] == step
        no_nan(result.record.values())
        no_nan([np.asarray(variable) for variable in state(result.vae)])
        no_nan(summary(result.vae, IMAGES.test).values())


class Breaks(keras.callbacks.Callback):
    """Break the weights once, after some step."""

    def __init__(self, after):
        super().__init__()
        self.after = after

    def on_train_batch_end(self, batch, logs=None):
        if int(self.model.step) == self.after:
            self.after = None  # not again, once the model is back at this step
            kernel = self.model.decoder.trainable_variables[0]
            kernel.assign(np.nan * np.asarray(kernel))


@pytest.mark.parametrize("after", [2, 8, 12])
def test_the_model_is_bit_for_bit_the_one_before_it_broke(after):
    """After the last step, 12, nobody looks at the loss: the weights are looked at."""
    broken, said = run(steps=12, every=2, callbacks=[Breaks(after)])
    assert len(said) == 1 and f"was restored to step {after}." in said[0]
    whole, said = run(steps=after, every=2)
    assert not said
    for one, two in zip(state(broken.vae), state(whole.vae), strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(two))
    for name in whole.record:
        np.testing.assert_array_equal(broken.record[name], whole.record[name])


def test_a_run_that_went_back_can_be_trained_further():
    result, _ = run(learning_rate=1e30, steps=4, every=1)
    result.vae.optimizer.learning_rate = 1e-3
    result.vae.fit(IMAGES.train, batch_size=16, verbose=0)
    no_nan(result.vae.get_weights())
    no_nan(result.vae.evaluate(IMAGES.test, verbose=0))


def test_the_callback_in_a_fit_with_the_others_after_it(make_vae, bars):
    vae, recorder = make_vae(), Recorder(bars[:10], every=1)
    vae.compile(keras.optimizers.Adam(1e30))
    guard = StopOnNaN(bars, every=1)
    settings = dict(batch_size=16, epochs=3, verbose=0, callbacks=[guard, recorder])
    history, said = heard(lambda: vae.fit(bars, **settings))
    assert len(said) == 1 and len(history.epoch) == 1
    assert recorder.record["step"][-1] == int(vae.step)
    no_nan([*vae.get_weights(), *recorder.record.values()])


def test_a_training_that_resumes_goes_back_to_its_backup(make_vae, bars, tmp_path):
    """The guard comes first, as its docstring advises; the backup is loaded after that."""
    good, resumed = make_vae(), make_vae()
    for vae in (good, resumed):
        vae.compile("adam")
    good.fit(bars, batch_size=16, verbose=0)
    (tmp_path / "backup").mkdir()
    good.save_weights(tmp_path / "backup" / "backup-1.weights.h5")
    callbacks = [StopOnNaN(bars, every=100), BackupAndRestore(tmp_path / "backup")]
    callbacks.append(Breaks(after=int(good.step) + 1))
    _, said = heard(
        lambda: resumed.fit(bars, batch_size=16, epochs=2, verbose=0, callbacks=callbacks)
    )
    assert f"restored to step {int(good.step)}." in said[0]
    for one, other in zip(state(resumed), state(good), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_recorder_alone_leaves_out_what_is_not_a_number(make_vae, bars):
    vae, recorder = make_vae(), Recorder(bars[:10], every=1)
    vae.compile("adam")
    vae.fit(bars, batch_size=16, verbose=0, callbacks=[Breaks(2), recorder])
    np.testing.assert_array_equal(recorder.record["step"], [0, 1])


# ---- several seeds at once, and sweeps ---------------------------------------------------------


def several(steps=3, **changes):
    settings = dict(seeds=(3, 5, 11), likelihood=Gaussian(0.5), kl_weight=1.0, params=SMALL)
    settings |= dict(verbose=False, learning_rate=0.01)
    return heard(lambda: train_seeds("mlp", IMAGES, steps, **{**settings, **changes}))


def test_seeds_that_diverge_are_named_and_have_good_weights():
    models, said = several(learning_rate=1e30)
    assert len(said) == 3 and all(ADVICE in sentence for sentence in said)
    assert "seed 11" in said[2] and "restored to step 0." in said[2]
    for vae in models:
        no_nan(vae.get_weights())


def test_one_seed_that_diverges_does_not_end_the_others(monkeypatch):
    """The start values of seed 5 are so large that its first loss is infinite."""
    good, _ = several(steps=250)
    make = together.new_model

    def with_a_bad_start(recipe, seed=0):
        vae = make(recipe, seed)
        if seed == 5:
            kernel = vae.encoder.get_layer("mean").kernel
            kernel.assign(1e30 * np.asarray(kernel))
        return vae

    monkeypatch.setattr(together, "new_model", with_a_bad_start)
    models, said = several(steps=250)
    assert len(said) == 1 and "seed 5" in said[0]
    assert [int(vae.step) for vae in models] == [250, 0, 250]
    for row in (0, 2):
        for one, two in zip(good[row].get_weights(), models[row].get_weights(), strict=True):
            np.testing.assert_array_equal(one, two)


def test_a_sweep_goes_on_after_a_run_that_diverges(tmp_path):
    settings = dict(likelihood=Gaussian(0.5), kl_weight=1.0, seed=3, params=SMALL, callbacks=[])
    settings |= dict(over={"learning_rate": [1e-3, 1e30]}, folder=tmp_path, jobs=1, every=1)
    (good, diverged), said = heard(lambda: sweep("mlp", IMAGES, 4, **settings))
    assert len(said) == 1 and ADVICE in said[0]
    assert good.record["step"][-1] == 4 and diverged.record["step"][-1] < 4
    no_nan([*diverged.summary.values(), *diverged.record.values()])
