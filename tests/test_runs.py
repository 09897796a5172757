"""One training run from its settings."""

import dataclasses
import random
import threading

import keras
import numpy as np
import pytest
from conftest import TINY, bright_bars, precision

from vae_utils import (
    VAE,
    Gaussian,
    Images,
    Params,
    mlp_decoder,
    mlp_encoder,
    programs,
    train,
    train_seeds,
)
from vae_utils.batches import batches
from vae_utils.schedules import Linear, QualityGate, Schedule

IMAGES = Images(bright_bars(64), bright_bars(20, seed=1), None, None, "own", "made for tests")


def run(architecture="mlp", images=IMAGES, steps=4, **changes):
    """A short run with the given changes."""
    settings = dict(likelihood=Gaussian(0.5), kl_weight=1.0, seed=3, params=TINY, every=2, watch=10)
    return train(architecture, images, steps, **{**settings, **changes})


@pytest.fixture(scope="module")
def plain():
    """A run without changes; compiling takes a while."""
    return run()


def test_equal_arguments_give_equal_records(plain):
    again = run()
    for name in plain.record:
        np.testing.assert_array_equal(plain.record[name], again.record[name])
    for one, two in zip(plain.vae.get_weights(), again.vae.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_another_thread_may_draw_random_numbers(plain):
    """Keras' start values come from Python's generator, which threads share: ours don't."""
    done = threading.Event()

    def draw():
        while not done.is_set():
            random.random()

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        again = run()
    finally:
        done.set()
        thread.join()
    for one, two in zip(plain.vae.get_weights(), again.vae.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_runs_that_share_a_program_do_not_touch_each_other(plain):
    """Neither what was trained before, nor with which noise, is left in the program."""
    weights = [weight.copy() for weight in plain.vae.get_weights()]
    other = run(seed=4, steps=8)
    again = run()
    for before, now, new in zip(
        weights, plain.vae.get_weights(), again.vae.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(before, now)
        np.testing.assert_array_equal(before, new)
    assert other.record["step"][-1] == 8 and again.record["step"][-1] == 4
    assert not np.array_equal(other.vae.encode(IMAGES.test)[0], again.vae.encode(IMAGES.test)[0])


def test_a_callback_can_end_a_run_early(plain):
    class AtOnce(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = True

    assert run(callbacks=[AtOnce()]).record["step"].tolist() == [0, 2]
    again = run()
    for name in plain.record:
        np.testing.assert_array_equal(plain.record[name], again.record[name])


def test_networks_of_ones_own_share_a_program_too(plain):
    class Halved(VAE):
        def kl_loss(self, kl):
            return 0.5 * super().kl_loss(kl)

    own = (Halved, mlp_encoder, mlp_decoder)
    one = run(own, watch=0)
    before = programs.shared_program.cache_info().misses
    two = run(own, kl_weight=2.0, watch=0)
    assert programs.shared_program.cache_info().misses == before
    assert isinstance(one.vae, Halved) and one.record == {}
    for whole, double in zip(plain.vae.get_weights(), two.vae.get_weights(), strict=True):
        np.testing.assert_allclose(double, whole, rtol=1e-4, atol=1e-6)
    assert not np.array_equal(one.vae.encode(IMAGES.test)[0], plain.vae.encode(IMAGES.test)[0])


def test_a_setting_of_the_model_may_be_changed_between_runs():
    class Scaled(VAE):
        factor = 1.0

        def kl_loss(self, kl):
            return self.factor * super().kl_loss(kl)

    def means(factor):
        Scaled.factor = factor
        alone = run((Scaled, mlp_encoder, mlp_decoder), watch=0, every=4).vae
        return [vae.encode(IMAGES.test)[0] for vae in (alone, *together(Scaled))]

    for light, heavy in zip(means(1.0), means(30.0), strict=True):
        assert not np.allclose(light, heavy)


def together(model):
    return train_seeds(
        (model, mlp_encoder, mlp_decoder),
        IMAGES,
        4,
        seeds=[3],
        likelihood=Gaussian(0.5),
        kl_weight=1.0,
        params=TINY,
        verbose=False,
    )


def test_the_precision_may_be_changed_between_runs(plain):
    with precision("float64"):
        weights = run().vae.get_weights()
    assert any((kernel != kernel.astype("float32")).any() for kernel in weights)


def test_numbers_that_own_networks_hold_as_constants_are_those_that_train():
    def shifted(params):
        plain = mlp_encoder(params)
        mean, log_std = plain.outputs
        shift = keras.layers.Rescaling(1.0, offset=params.log_std_start)
        return keras.Model(plain.input, [mean, shift(log_std)])

    params = dataclasses.replace(TINY, log_std_start=-1.0)
    result = run((VAE, shifted, mlp_decoder), params=params)
    np.testing.assert_allclose(
        result.record["std_low"][-1], result.vae.encode(IMAGES.test[:10])[1].min(), rtol=1e-5
    )


def test_own_networks_may_start_at_fixed_values():
    def silent(params):
        plain = mlp_decoder(params)
        last = keras.layers.Dense(64, kernel_initializer="zeros")(plain.layers[-3].output)
        return keras.Model(plain.input, keras.layers.Reshape((8, 8, 1))(last))

    result = run((VAE, mlp_encoder, silent), steps=2, learning_rate=1e-6)
    np.testing.assert_allclose(result.vae.decode(np.ones((3, 2))), 0.5, atol=1e-3)


def test_a_run_leaves_the_random_numbers_of_its_caller_alone(plain):
    random.seed(1)
    expected = random.random()
    random.seed(1)
    run()
    assert random.random() == expected


@pytest.mark.parametrize("seed", [None, 1.5, "3", -1, 2**32])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(ValueError, match="whole number"):
        run(seed=seed)


def test_equal_arguments_give_equal_weights_of_a_conv_net():
    one, two = (run("conv") for _ in range(2))
    for first, second in zip(one.vae.get_weights(), two.vae.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)


@dataclasses.dataclass(frozen=True)
class OneNumber(Schedule):
    """A schedule of one's own that returns no tensor."""

    def __call__(self, step):
        return 2


@pytest.mark.parametrize(
    "kl_weight",
    [Linear(rate=0.2, start=1), QualityGate(mse=0.2, rate=0.1), OneNumber()],
    ids=["ramp", "gate", "one number"],
)
def test_a_run_is_what_fit_would_have_done(kl_weight):
    """Start values, rates and weights that are data for the shared program arrive in it."""
    params = dataclasses.replace(TINY, log_std_start=-1.0, learning_rate=0.01)
    run(kl_weight=kl_weight, steps=8)  # leaves a program behind that was used already
    result = run(kl_weight=kl_weight, params=params, steps=8)

    keras.utils.set_random_seed(3)
    vae = VAE(mlp_encoder(params), mlp_decoder(params), Gaussian(0.5), kl_weight, seed=3)
    vae.compile(optimizer=keras.optimizers.Adam(0.01), jit_compile=False)
    vae.fit(batches(IMAGES.train, 16, seed=3), steps_per_epoch=8, shuffle=False, verbose=0)
    for one, two in zip(result.vae.get_weights(), vae.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(result.vae.current_kl_weight(), vae.current_kl_weight())


@pytest.mark.parametrize(
    "changes",
    [
        {"likelihood": Gaussian(0.1)},
        {"kl_weight": 30.0},
        {"learning_rate": 0.05},
        {"params": dataclasses.replace(TINY, log_std_start=-2.0)},
    ],
    ids=str,
)
def test_another_setting_is_another_program(plain, changes):
    other = run(**changes)
    assert not np.array_equal(other.vae.encode(IMAGES.test)[0], plain.vae.encode(IMAGES.test)[0])


def test_a_gate_is_shut_again_in_the_next_run():
    gate = QualityGate(mse=0.2, rate=0.1)
    one, two = (run(kl_weight=gate, steps=8) for _ in range(2))
    assert int(one.vae.gate_opened_at) >= 0
    np.testing.assert_array_equal(one.record["kl_weight"], two.record["kl_weight"])
    assert one.record["kl_weight"][0] == 0


def test_a_run_can_be_trained_further():
    result = run()
    result.vae.fit(IMAGES.train, batch_size=16, epochs=1, verbose=0)
    assert int(result.vae.optimizer.iterations) == 8


def test_a_run_may_be_longer_than_its_data():
    """64 images are 4 batches; more steps than that go round again."""
    result = run(steps=12, every=3, kl_weight=Linear(rate=0.01))
    np.testing.assert_array_equal(result.record["step"], [0, 3, 6, 9, 12])
    np.testing.assert_allclose(result.record["kl_weight"], [0, 0.03, 0.06, 0.09, 0.12], rtol=1e-5)
    assert int(result.vae.optimizer.iterations) == 12


def test_seeds_set_elsewhere_change_nothing(plain):
    keras.utils.set_random_seed(99)
    again = run()
    for one, two in zip(plain.vae.get_weights(), again.vae.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_batches_go_through_all_images_in_a_new_order_each_time_without_an_end():
    numbered = np.arange(10, dtype="float32").reshape(10, 1, 1, 1)

    def thirty(seed):
        taken = list(batches(numbered, 5, seed=seed).take(6).as_numpy_iterator())
        assert {batch.shape for batch in taken} == {(5, 1, 1, 1)}
        return np.concatenate(taken).reshape(3, 10)

    epochs = thirty(seed=1)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(10), (3, 1)))
    assert len({tuple(epoch) for epoch in epochs}) == 3
    np.testing.assert_array_equal(epochs, thirty(seed=1))
    assert not np.array_equal(epochs, thirty(seed=2))


def test_each_pass_through_the_images_has_an_order_of_its_own():
    numbered = np.arange(23, dtype="float32").reshape(23, 1, 1, 1)
    keras.utils.set_random_seed(0)
    shuffled, stored = (batches(numbered, 5, shuffle=shuffle) for shuffle in (True, False))
    passes = [np.concatenate(list(shuffled.as_numpy_iterator())).ravel() for _ in range(3)]
    assert len(shuffled) == 5 and len({tuple(order) for order in passes}) == 3
    for order in passes:
        np.testing.assert_array_equal(np.sort(order), numbered.ravel())
    for _ in range(2):
        taken = np.concatenate(list(stored.as_numpy_iterator()))
        np.testing.assert_array_equal(taken, numbered)


def test_stacked_batches_are_those_that_come_one_by_one():
    numbered = np.arange(23, dtype="float32").reshape(23, 1, 1, 1)

    def two_epochs(stack):
        keras.utils.set_random_seed(0)
        return batches(numbered, 4, at_once=stack)

    single = [batch for _ in range(2) for batch in two_epochs(None).as_numpy_iterator()]
    pairs = list(two_epochs(2).take(6).as_numpy_iterator())
    # 23 images are five batches and 3 more: two stacks of 2, then one batch and the 3.
    assert [(len(stack), len(rest)) for stack, rest in pairs] == [(2, 0), (2, 0), (1, 3)] * 2
    together = [batch for stack, rest in pairs for batch in [*stack, rest] if len(batch)]
    for one, other in zip(single[:6], together[:6], strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(together[0], together[6])
    for epoch in (together[:6], together[6:]):
        np.testing.assert_array_equal(np.sort(np.concatenate(epoch), axis=0), numbered)


def test_a_run_on_images_that_do_not_fill_the_last_batch():
    odd = dataclasses.replace(IMAGES, train=IMAGES.train[:41])
    assert run(images=odd, steps=8).record["step"][-1] == 8


@pytest.mark.parametrize("architecture", ["conv", "mlp"])
def test_both_architectures_are_built_and_watched(plain, architecture):
    result = plain if architecture == "mlp" else run(architecture)
    assert result.vae.encoder.name == f"{architecture}_encoder"
    assert result.vae.decoder.name == f"{architecture}_decoder"
    assert result.record["samples"].shape[2:] == (8, 8, 1)
    mean, std = result.vae.encode(IMAGES.test[:10])
    assert result.record["mean_high"][-1] == mean.max()
    assert result.record["std_low"][-1] == std.min()


def test_seed_and_learning_rate_of_a_run(plain):
    assert float(plain.vae.optimizer.learning_rate) == pytest.approx(TINY.learning_rate)
    other = run(seed=4, learning_rate=0.02)
    assert float(other.vae.optimizer.learning_rate) == pytest.approx(0.02)
    # Before the first step only the seed makes a difference.
    assert other.record["mse"][0] != plain.record["mse"][0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"architecture": "transformer"}, "architecture must be one of"),
        ({"steps": 0}, "steps"),
        ({"steps": -4}, "steps"),
        ({"steps": 5}, r"every \(2\) must divide steps \(5\)"),
        ({"every": 0}, "every"),
        ({"every": -2}, "every"),
        ({"kl_weight": -1.0}, "weight"),
        ({"kl_weight": "linear"}, "kl_weight"),
        ({"watch": -1}, "watch"),
        ({"architecture": ("mlp", "conv")}, "or a tuple of a VAE class and two functions"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"images": IMAGES.train}, "load_images; got ndarray"),
        ({"params": Params()}, r"pass params=Params\(image_shape="),
    ],
    ids=str,
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        run(**arguments)
