"""What is kept of a training run."""

import keras
import numpy as np
import pytest
from conftest import bright_bars

from vae_utils import Recorder, kl_per_unit
from vae_utils.recording import ProgressBar
from vae_utils.schedules import Linear

WATCHED = bright_bars(12, seed=1)


def recorded(vae, images, recorder, epochs=2, **settings):
    vae.compile(optimizer=keras.optimizers.Adam(1e-2), jit_compile=False, **settings)
    vae.fit(images, batch_size=16, epochs=epochs, shuffle=False, verbose=0, callbacks=[recorder])
    return recorder.record


def test_record_has_one_moment_at_the_start_and_one_every_few_steps(make_vae, bars):
    record = recorded(make_vae(), bars, Recorder(WATCHED, every=3, pictures=5), epochs=3)
    np.testing.assert_array_equal(record["step"], [0, 3, 6, 9, 12])
    shapes = {name: series.shape for name, series in record.items()}
    assert shapes == {
        **dict.fromkeys(
            ["step", "kl_weight", "mse", "mean_low", "mean_high", "std_low", "std_high"], (5,)
        ),
        "kl_per_unit": (5, 2),
        "reconstructions": (5, 5, 8, 8, 1),
        "samples": (5, 5, 8, 8, 1),
    }
    assert all(np.isfinite(series).all() for series in record.values())


def test_steps_that_keras_takes_together_are_looked_at_after_them(make_vae, bars):
    recorder = Recorder(WATCHED, every=5)
    record = recorded(make_vae(), bars, recorder, epochs=3, steps_per_execution=4)
    np.testing.assert_array_equal(record["step"], [0, 8, 12])


def test_a_step_is_looked_at_once_though_it_took_several_batches(make_vae, bars):
    vae, recorder = make_vae(), Recorder(WATCHED, every=1)
    optimizer = keras.optimizers.Adam(1e-2, gradient_accumulation_steps=2)
    vae.compile(optimizer=optimizer, jit_compile=False)
    vae.fit(bars, batch_size=16, shuffle=False, verbose=0, callbacks=[recorder])
    assert len(np.unique(recorder.record["step"])) == len(recorder.record["step"]) > 1


def test_the_last_moment_is_the_trained_model(make_vae, bars):
    vae = make_vae(kl_weight=Linear(rate=0.05))
    record = recorded(vae, bars, Recorder(WATCHED, every=4))
    mean, std = vae.encode(WATCHED)
    assert record["mean_low"][-1] == mean.min()
    assert record["mean_high"][-1] == mean.max()
    assert record["std_low"][-1] == std.min()
    assert record["std_high"][-1] == std.max()
    np.testing.assert_allclose(record["kl_per_unit"][-1], kl_per_unit(vae, WATCHED), rtol=1e-5)
    np.testing.assert_allclose(record["kl_weight"], [0, 0.2, 0.4], rtol=1e-5)


def test_the_first_moment_is_the_model_before_training(make_vae, bars):
    record = recorded(make_vae(seed=7), bars, Recorder(WATCHED))
    fresh = make_vae(seed=7)
    mean, std = fresh.encode(WATCHED)
    assert record["step"][0] == 0
    assert (record["mean_low"][0], record["mean_high"][0]) == (mean.min(), mean.max())
    assert (record["std_low"][0], record["std_high"][0]) == (std.min(), std.max())


def test_pictures_are_those_of_the_same_codes_and_noise_each_time(make_vae, bars):
    """A model that does not change gives the same pictures at every moment."""
    vae = make_vae()
    vae.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=False)
    recorder = Recorder(WATCHED, every=1)
    vae.fit(bars, batch_size=16, verbose=0, callbacks=[recorder])
    for name in ("samples", "reconstructions", "mse"):
        series = recorder.record[name]
        assert len(series) == 5
        for later in series[1:]:
            np.testing.assert_array_equal(later, series[0])


def test_two_recorders_draw_the_same_codes(make_vae, bars):
    first = recorded(make_vae(), bars, Recorder(WATCHED))
    second = recorded(make_vae(), bars, Recorder(WATCHED))
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_mse_is_that_of_one_sample_per_image(make_vae, bars):
    recorder = Recorder(WATCHED, every=4, pictures=12)
    record = recorded(make_vae(), bars, recorder)
    by_hand = np.square(record["reconstructions"] - WATCHED).mean(axis=(1, 2, 3, 4))
    np.testing.assert_allclose(record["mse"], by_hand, rtol=1e-5)


def test_watching_does_not_change_the_training(make_vae, bars):
    watched, alone = make_vae(), make_vae()
    recorded(watched, bars, Recorder(WATCHED, every=1))
    recorded(alone, bars, Nothing())
    for one, other in zip(watched.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


class Nothing(keras.callbacks.Callback):
    record = None


def test_more_steps_per_execution_are_recorded_alike(make_vae, bars):
    one = recorded(make_vae(), bars, Recorder(WATCHED, every=4))
    four = recorded(make_vae(), bars, Recorder(WATCHED, every=4), steps_per_execution=4)
    np.testing.assert_array_equal(one["step"], four["step"])
    np.testing.assert_allclose(one["mse"], four["mse"], rtol=1e-4)


def test_a_second_fit_starts_a_new_record_at_its_own_step(make_vae, bars):
    vae, recorder = make_vae(), Recorder(WATCHED, every=4)
    recorded(vae, bars, recorder, epochs=1)
    vae.fit(bars, batch_size=16, verbose=0, callbacks=[recorder])
    np.testing.assert_array_equal(recorder.record["step"], [4, 8])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Recorder(WATCHED, every=0), "every"),
        (lambda: Recorder(WATCHED, every=float("nan")), "every"),
        (lambda: Recorder(WATCHED, pictures=-1), "pictures"),
        (lambda: Recorder(WATCHED * 255), "images"),
        (lambda: Recorder(WATCHED * np.nan), "images"),
        (lambda: Recorder(WATCHED[:0]), "images"),
        (lambda: Recorder(WATCHED[0]), "images"),
    ],
)
def test_bad_arguments_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("steps_per_execution", [1, 4])
def test_progress_bar_counts_gradient_steps_to_its_total(
    make_vae, bars, capsys, steps_per_execution
):
    vae = make_vae()
    vae.compile(optimizer="adam", jit_compile=False, steps_per_execution=steps_per_execution)
    bar = ProgressBar(8, "tiny")
    vae.fit(bars, batch_size=16, epochs=2, verbose=0, callbacks=[bar])
    captured = capsys.readouterr()
    assert "tiny: 100%" in captured.err and "8/8" in captured.err
    assert captured.out == ""


def test_progress_bar_of_a_second_fit_reaches_its_total_too(make_vae, bars, capsys):
    vae = make_vae()
    vae.compile(optimizer="adam", jit_compile=False)
    for _ in range(2):
        vae.fit(bars, batch_size=16, verbose=0, callbacks=[ProgressBar(4)])
        assert "4/4" in capsys.readouterr().err


class Interrupted(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        if batch == 2:
            raise KeyboardInterrupt


def test_what_was_seen_before_an_interruption_is_kept(make_vae, bars):
    vae, recorder = make_vae(), Recorder(WATCHED, every=1)
    vae.compile("adam", jit_compile=False)
    with pytest.raises(KeyboardInterrupt):
        vae.fit(bars, batch_size=16, verbose=0, callbacks=[recorder, Interrupted()])
    np.testing.assert_array_equal(recorder.record["step"], [0, 1, 2, 3])
    assert recorder.record["samples"].shape == (4, 8, 8, 8, 1)


def test_a_recorder_is_empty_before_its_first_look():
    assert Recorder(WATCHED).record == {}


def test_each_look_is_handed_on(make_vae, bars):
    steps = []
    recorder = Recorder(WATCHED, every=2, on_look=lambda looks: steps.append(looks[-1]["step"]))
    recorded(make_vae(), bars, recorder)
    assert steps == [0, 2, 4, 6, 8]
