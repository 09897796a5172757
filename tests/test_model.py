"""The VAE: its objective, and that it behaves like any Keras model."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import bright_bars, precision
from scipy import stats

from vae_utils import (
    VAE,
    Bernoulli,
    Gaussian,
    Params,
    conv_decoder,
    conv_encoder,
    kl_per_unit,
    load_images,
    mlp_decoder,
    mlp_encoder,
    summary,
)
from vae_utils.model import in_batches
from vae_utils.schedules import Constant, Cosine, Cyclical, Linear, QualityGate, Sigmoid

TENSORFLOW = tuple(int(number) for number in tf.__version__.split(".")[:2])


def fit(vae, images, epochs=1, batch_size=16, **settings):
    """A quiet fit without shuffling; its history."""
    settings = {"shuffle": False, "verbose": 0, **settings}
    return vae.fit(images, epochs=epochs, batch_size=batch_size, **settings).history


def compiled(vae, learning_rate=1e-3, **settings):
    settings = {"jit_compile": False, **settings}
    vae.compile(optimizer=keras.optimizers.Adam(learning_rate), **settings)
    return vae


def assert_equal_weights(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- the objective -------------------------------------------------------------


@pytest.mark.parametrize("likelihood", [Gaussian(0.5), Gaussian(392), Bernoulli()])
def test_metrics_of_one_step_fit_together(make_vae, bars, likelihood):
    vae = compiled(make_vae(likelihood, kl_weight=0.3))
    kl = kl_per_unit(vae, bars[:16]).sum()
    values = {name: series[0] for name, series in fit(vae, bars[:16]).items()}
    assert set(values) == {"loss", "reconstruction", "kl", "kl_weight", "elbo", "mse"}
    assert values["kl_weight"] == pytest.approx(0.3)
    assert values["loss"] == pytest.approx(values["reconstruction"] + 0.3 * values["kl"], rel=1e-5)
    assert values["elbo"] == pytest.approx(-values["reconstruction"] - values["kl"], rel=1e-5)
    assert values["kl"] == pytest.approx(kl, rel=1e-4)
    if isinstance(likelihood, Gaussian):
        variance = likelihood.variance
        expected = 64 * (values["mse"] / (2 * variance) + 0.5 * np.log(2 * np.pi * variance))
        assert values["reconstruction"] == pytest.approx(expected, rel=1e-5)


def test_terms_are_those_of_a_reference_in_scipy(make_vae, bars, monkeypatch):
    vae = make_vae(Gaussian(0.1))
    noise = np.random.default_rng(1).standard_normal((64, 2)).astype("float32")
    monkeypatch.setattr(keras.random, "normal", lambda *args, **kwargs: noise)
    log_likelihood, kl, squared_error = vae.terms(bars)
    mean, std = vae.encode(bars)
    pixels = vae.decode(mean + std * noise)
    expected = stats.norm.logpdf(bars, pixels, np.sqrt(0.1)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(log_likelihood, expected, rtol=1e-4)
    np.testing.assert_allclose(squared_error, np.square(pixels - bars).mean((1, 2, 3)), rtol=1e-4)
    expected = 0.5 * (mean**2 + std**2 - 1 - 2 * np.log(std))
    np.testing.assert_allclose(kl, expected, rtol=1e-4, atol=1e-6)


def test_a_subclass_may_take_another_part_of_the_kl_into_the_loss(make_vae, bars):
    class FirstUnitOnly(VAE):
        def kl_loss(self, kl):
            return keras.ops.mean(kl[:, 0])

    plain = make_vae(Gaussian(0.1))
    vae = compiled(FirstUnitOnly(plain.encoder, plain.decoder, Gaussian(0.1), kl_weight=0.3))
    values = vae.evaluate(bars, batch_size=64, verbose=0, return_dict=True)
    kl = kl_per_unit(vae, bars)
    assert values["loss"] == pytest.approx(values["reconstruction"] + 0.3 * kl[0], rel=1e-5)
    assert values["kl"] == pytest.approx(kl.sum(), rel=1e-5)  # and the metrics stay what they are


def test_regularisers_of_the_networks_count_in_the_loss(make_vae, bars):
    vae = compiled(make_vae(kl_weight=0.3))
    plain = vae.evaluate(bars, batch_size=64, verbose=0, return_dict=True)
    (layer, *_) = [dense for dense in vae.decoder.layers if hasattr(dense, "kernel")]
    layer.kernel.regularizer = keras.regularizers.L2(0.5)
    vae.make_test_function(force=True)
    regularised = vae.evaluate(bars, batch_size=64, verbose=0, return_dict=True)
    penalty = 0.5 * np.square(layer.kernel.numpy()).sum()
    assert penalty > 0.1
    assert regularised["loss"] == pytest.approx(plain["loss"] + penalty, rel=1e-5)
    assert regularised["elbo"] == pytest.approx(plain["elbo"], rel=1e-5)


def test_what_a_layer_adds_to_the_loss_counts_once_in_each_step(make_vae, bars):
    plain = make_vae(kl_weight=0.3)
    codes = keras.Input((2,))
    penalised = keras.layers.ActivityRegularization(l2=1.0)(codes)
    vae = VAE(plain.encoder, keras.Model(codes, plain.decoder(penalised)), kl_weight=0.3)
    vae.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    plain.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
    steps = [model.train_on_batch(bars, return_dict=True) for model in (vae, vae, plain)]
    extra = [step["loss"] - step["reconstruction"] - 0.3 * step["kl"] for step in steps]
    assert extra[2] == pytest.approx(0, abs=1e-3)
    assert extra[0] > 0.1 and extra[1] == pytest.approx(extra[0], rel=0.5)


def test_a_subclass_may_move_the_encoder_alone(make_vae, bars):
    class EncoderOnly(VAE):
        def update(self, gradients, variables):
            count = len(self.encoder.trainable_variables)
            super().update(gradients[:count], variables[:count])

    plain = make_vae()
    vae = EncoderOnly(plain.encoder, plain.decoder, plain.likelihood)
    optimizer = keras.optimizers.Adam(1e-2)
    optimizer.build(vae.trainable_variables)
    vae.compile(optimizer=optimizer, jit_compile=False)
    before = [[w.numpy() for w in net.trainable_variables] for net in (vae.encoder, vae.decoder)]
    fit(vae, bars)
    after = [[w.numpy() for w in net.trainable_variables] for net in (vae.encoder, vae.decoder)]
    assert all((new != old).any() for new, old in zip(after[0], before[0], strict=True))
    assert all((new == old).all() for new, old in zip(after[1], before[1], strict=True))


def reference_loss(weights, images, noise, likelihood, kl_weight, bound=10.0):
    """The objective of an MLP VAE with one hidden layer on each side, in NumPy and float64."""
    w1, b1, w_mean, b_mean, w_std, b_std, w2, b2, w3, b3 = weights
    flat = images.reshape(len(images), -1)
    hidden = np.maximum(flat @ w1 + b1, 0)
    mean = hidden @ w_mean + b_mean
    log_std = bound * np.tanh((hidden @ w_std + b_std) / bound)
    codes = mean + np.exp(log_std) * noise
    logits = np.maximum(codes @ w2 + b2, 0) @ w3 + b3
    pixels = 1 / (1 + np.exp(-logits))
    if isinstance(likelihood, Gaussian):
        log_likelihood = stats.norm.logpdf(flat, pixels, np.sqrt(likelihood.variance)).sum(1)
    else:
        log_likelihood = (flat * np.log(pixels) + (1 - flat) * np.log(1 - pixels)).sum(1)
    kl = 0.5 * (mean**2 + np.exp(2 * log_std) - 1 - 2 * log_std).sum(1)
    return np.mean(-log_likelihood + kl_weight * kl)


@pytest.mark.parametrize(
    ("likelihood", "kl_weight"),
    [(Gaussian(0.2), 0.7), (Bernoulli(), 0.0)],
    ids=["gaussian", "bernoulli, weight 0"],
)
def test_a_training_step_follows_the_gradient_of_finite_differences(
    monkeypatch, likelihood, kl_weight
):
    params = Params((4, 4, 1), latent_size=2, mlp_encoder_units=(5,), mlp_decoder_units=(6,))
    images = bright_bars(7, side=4)
    noise = np.random.default_rng(2).standard_normal((7, 2)).astype("float32")
    monkeypatch.setattr(keras.random, "normal", lambda *args, **kwargs: tf.constant(noise))
    keras.utils.set_random_seed(5)
    vae = VAE(mlp_encoder(params), mlp_decoder(params), likelihood, kl_weight)
    # Biases away from 0, so that no hidden unit sits on the kink of its ReLU.
    for variable in vae.trainable_variables:
        if variable.name == "bias":
            spread = np.random.default_rng(len(variable.shape)).uniform(0.1, 0.3, variable.shape)
            variable.assign(spread)
    hidden, output = (x for x in vae.decoder.layers if isinstance(x, keras.layers.Dense))
    first = next(x for x in vae.encoder.layers if isinstance(x, keras.layers.Dense))
    heads = [vae.encoder.get_layer(name) for name in ("mean", "raw_log_std")]
    variables = [v for layer in (first, *heads, hidden, output) for v in layer.weights]
    start = [variable.numpy() for variable in variables]
    # With plain gradient descent at rate 1 a step is minus the gradient.
    vae.compile(optimizer=keras.optimizers.SGD(1.0), jit_compile=False)
    loss = fit(vae, images, batch_size=7)["loss"][0]
    stepped = [a - b.numpy() for a, b in zip(start, variables)]

    weights = [array.astype("float64") for array in start]

    def objective():
        return reference_loss(weights, images.astype("float64"), noise, likelihood, kl_weight)

    assert loss == pytest.approx(objective(), rel=1e-5)
    for array, ours in zip(weights, stepped, strict=True):
        numeric = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + 1e-6
            up = objective()
            array[index] = kept - 1e-6
            numeric[index] = (up - objective()) / 2e-6
            array[index] = kept
        np.testing.assert_allclose(ours, numeric, rtol=2e-4, atol=2e-5)


def test_the_objective_in_float64_has_the_gradient_of_finite_differences(monkeypatch):
    params = Params((4, 4, 1), latent_size=2, mlp_encoder_units=(5,), mlp_decoder_units=(6,))
    noise = tf.constant(np.random.default_rng(2).standard_normal((7, 2)))
    images = tf.constant(bright_bars(7, side=4), tf.float64)
    monkeypatch.setattr(keras.random, "normal", lambda *args, **kwargs: noise)
    with precision("float64"):
        keras.utils.set_random_seed(5)
        vae = VAE(mlp_encoder(params), mlp_decoder(params), Gaussian(0.2))

        def objective():
            log_likelihood, kl, _ = vae.terms(images)
            return tf.reduce_mean(0.7 * tf.reduce_sum(kl, axis=1) - log_likelihood)

        bias = vae.encoder.get_layer("raw_log_std").bias
        kernel = vae.encoder.get_layer("mean").kernel
        for variable in (bias, kernel):
            with tf.GradientTape() as tape:
                loss = objective()
            gradient = tape.gradient(loss, variable.value).numpy()
            start = variable.numpy()
            for index in np.ndindex(start.shape):
                shift = np.zeros_like(start)
                shift[index] = 1e-4
                variable.assign(start + shift)
                up = objective()
                variable.assign(start - shift)
                numeric = float(up - objective()) / 2e-4
                variable.assign(start)
                assert gradient[index] == pytest.approx(numeric, rel=1e-3, abs=1e-3)


def test_sampling_is_mean_plus_std_times_standard_noise(make_vae):
    vae = make_vae()
    mean = np.tile(np.float32([1.0, -2.0]), (50_000, 1))
    codes = np.asarray(vae.sampling(mean, np.log(np.float32([0.5, 3.0])) + 0 * mean))
    np.testing.assert_allclose(codes.mean(0), [1, -2], atol=4 * 3 / np.sqrt(50_000))
    np.testing.assert_allclose(codes.std(0), [0.5, 3], rtol=0.02)
    assert abs(np.corrcoef(codes.T)[0, 1]) < 0.02
    # Each call draws new noise.
    assert not np.array_equal(codes, vae.sampling(mean, 0 * mean + np.log(np.float32([0.5, 3.0]))))


# ---- the KL weight inside the compiled step ------------------------------------

SCHEDULES = [
    Constant(0.4),
    Linear(rate=0.1, start=3, cap=0.5),
    Sigmoid(rate=1.0, midpoint=5),
    Cosine(steps=8, start=2),
    Cyclical(period=4, cycles=2),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: type(schedule).__name__)
def test_the_weight_in_the_compiled_step_is_the_schedules(make_vae, bars, schedule):
    vae = compiled(make_vae(kl_weight=schedule))
    history = fit(vae, bars[:16], epochs=12)  # one step an epoch
    expected = [float(schedule(step)) for step in range(12)]
    np.testing.assert_allclose(history["kl_weight"], expected, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(
        history["loss"],
        np.add(history["reconstruction"], np.multiply(expected, history["kl"])),
        rtol=1e-5,
    )


def test_the_schedule_goes_on_in_a_second_fit(make_vae, bars):
    vae = compiled(make_vae(kl_weight=Linear(rate=0.1)))
    weights = [fit(vae, bars[:16], epochs=4)["kl_weight"] for _ in range(2)]
    np.testing.assert_allclose(np.concatenate(weights), np.arange(8) / 10, rtol=1e-5)


def test_the_schedule_counts_steps_within_one_execution(make_vae, bars):
    vae = compiled(make_vae(kl_weight=Linear(rate=0.1)), steps_per_execution=4)
    weights = fit(vae, bars, epochs=2)["kl_weight"]
    # Keras reports the mean over the four steps of an epoch.
    np.testing.assert_allclose(weights, [0.15, 0.55], rtol=1e-5)


# ---- the quality gate ----------------------------------------------------------


def gated(make_vae, threshold=0.06, rate=0.2, cap=0.5, **settings):
    return compiled(make_vae(kl_weight=QualityGate(threshold, rate, cap)), 3e-2, **settings)


def test_the_gate_opens_once_a_batch_is_good_enough(make_vae, bars):
    vae = gated(make_vae)
    history = fit(vae, bars[:16], epochs=40)
    opened = int(np.argmax(np.less(history["mse"], 0.06)))
    assert 5 < opened < 35
    assert int(vae.gate_opened_at) == opened
    expected = np.clip(0.2 * (np.arange(40) - opened), 0, 0.5)
    np.testing.assert_allclose(history["kl_weight"], expected, rtol=1e-5)


def test_the_gate_stays_shut_while_the_batches_are_not_good_enough(make_vae, bars):
    vae = gated(make_vae, threshold=1e-6)
    assert set(fit(vae, bars, epochs=3)["kl_weight"]) == {0.0}
    assert int(vae.gate_opened_at) == -1


def test_the_gate_does_not_shut_again(make_vae, bars):
    vae = gated(make_vae, threshold=0.5, rate=0.01)
    fit(vae, bars[:16])
    assert int(vae.gate_opened_at) == 0
    # Black and white squares, which nothing in the training so far looks like.
    worse = (np.indices((16, 8, 8, 1)).sum(0) % 2).astype("float32")
    history = fit(vae, worse, epochs=5)
    np.testing.assert_allclose(history["kl_weight"], 0.01 * np.arange(1, 6), rtol=1e-5)
    assert int(vae.gate_opened_at) == 0


def test_evaluating_does_not_open_the_gate(make_vae, bars):
    vae = gated(make_vae, threshold=0.9)
    values = vae.evaluate(bars, verbose=0, return_dict=True)
    assert values["mse"] < 0.9
    assert values["kl_weight"] == 0
    assert int(vae.gate_opened_at) == -1


def test_the_gate_is_the_same_in_larger_executions(make_vae, bars):
    one, four = gated(make_vae), gated(make_vae, steps_per_execution=4)
    fit(one, bars, epochs=10)
    history = fit(four, bars, epochs=10)
    opened = int(four.gate_opened_at)
    assert 0 < opened < 35
    assert int(one.gate_opened_at) == opened
    steps = np.clip(0.2 * (np.arange(40) - opened), 0, 0.5)
    np.testing.assert_allclose(history["kl_weight"], steps.reshape(10, 4).mean(1), rtol=1e-5)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_saved_gate_goes_on_where_it_was(make_vae, bars, tmp_path, when):
    vae = gated(make_vae, rate=0.001)
    epochs = 3 if when == "before" else 25
    fit(vae, bars[:16], epochs=epochs)
    opened = int(vae.gate_opened_at)
    assert (opened == -1) == (when == "before")
    vae.save(tmp_path / "gated.keras")
    again = keras.saving.load_model(tmp_path / "gated.keras")
    assert int(again.gate_opened_at) == opened
    assert again.kl_weight == vae.kl_weight
    goes_on = fit(again, bars[:16], epochs=25)["kl_weight"]
    np.testing.assert_array_equal(goes_on, fit(vae, bars[:16], epochs=25)["kl_weight"])
    assert goes_on[-1] > 0
    if when == "after":
        np.testing.assert_allclose(goes_on[0], 0.001 * (25 - opened), rtol=1e-5)


# ---- like any Keras model ------------------------------------------------------


def test_training_lowers_the_loss(make_vae, bars):
    loss = fit(compiled(make_vae(), 1e-2), bars, epochs=30)["loss"]
    assert loss[-1] < loss[0] - 3


def test_predict_is_the_reconstruction_from_the_posterior_mean(make_vae, bars):
    vae = compiled(make_vae())
    mean, _ = vae.encoder(bars)
    expected = 1 / (1 + np.exp(-np.asarray(vae.decoder(mean))))
    np.testing.assert_allclose(vae.predict(bars, verbose=0), expected, rtol=1e-5)
    np.testing.assert_allclose(vae(bars), expected, rtol=1e-5)
    np.testing.assert_allclose(vae.reconstruct(bars), expected, rtol=1e-5)


def test_evaluate_reports_every_metric_afresh(make_vae, bars):
    vae = compiled(make_vae(kl_weight=0.5))
    fit(vae, bars, epochs=3)
    expected = kl_per_unit(vae, bars).sum()
    for _ in range(2):
        values = vae.evaluate(bars, batch_size=32, verbose=0, return_dict=True)
        assert values["kl"] == pytest.approx(expected, rel=1e-4)
        assert values["loss"] == pytest.approx(
            values["reconstruction"] + 0.5 * values["kl"], rel=1e-5
        )


def test_evaluate_weights_a_short_last_batch_by_its_size(make_vae, bars):
    vae = compiled(make_vae())
    # 48 images and 16: the mean over images, not over the two batches.
    values = vae.evaluate(bars, batch_size=48, verbose=0, return_dict=True)
    assert values["kl"] == pytest.approx(kl_per_unit(vae, bars).sum(), rel=1e-4)


def test_evaluate_changes_no_weight(make_vae, bars):
    vae = compiled(make_vae())
    before = [variable.numpy() for variable in vae.trainable_variables]
    vae.evaluate(bars, verbose=0)
    for old, new in zip(before, vae.trainable_variables):
        np.testing.assert_array_equal(old, new)
    assert int(vae.optimizer.iterations) == 0


def test_fit_takes_validation_data_and_callbacks(make_vae, bars):
    vae = compiled(make_vae(), 1e-2)
    stop = keras.callbacks.EarlyStopping("val_loss", patience=1, min_delta=1e9)
    history = fit(vae, bars, epochs=9, validation_data=(bars[:16],), callbacks=[stop])
    assert len(history["val_elbo"]) == 2


@pytest.mark.parametrize("with_targets", [False, True])
def test_fit_takes_a_tf_dataset(make_vae, bars, with_targets):
    parts = (bars, bars) if with_targets else bars
    dataset = tf.data.Dataset.from_tensor_slices(parts).batch(16)
    from_dataset, from_array = compiled(make_vae()), compiled(make_vae())
    history = from_dataset.fit(dataset, epochs=2, verbose=0).history
    assert history["loss"] == pytest.approx(fit(from_array, bars, epochs=2)["loss"], rel=1e-6)
    assert int(from_dataset.optimizer.iterations) == 8


# Keras begins an iteration more after each epoch, so a second epoch is shuffled in another way.
@pytest.mark.parametrize(("shuffle", "epochs"), [(False, 2), (True, 1)])
def test_many_steps_in_one_program_give_the_bits_of_single_ones(make_vae, shuffle, epochs):
    # 73 images are four batches of 16 and one of 9: a stack of 3, then one and the 9.
    images = bright_bars(73)

    class Steps(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.seen = []

        def on_train_batch_end(self, batch, logs=None):
            self.seen.append(int(self.model.optimizer.iterations))

    def trained(steps_per_execution):
        vae = make_vae(kl_weight=Linear(rate=0.1))
        compiled(vae, jit_compile=True, steps_per_execution=steps_per_execution)
        steps = Steps()
        history = fit(vae, images, epochs=epochs, shuffle=shuffle, callbacks=[steps])
        return vae, history, steps.seen

    single, history, each = trained(1)
    stacked, stacked_history, moments = trained(3)
    assert (single.batches_per_program, stacked.batches_per_program) == (None, 3)
    if TENSORFLOW >= (2, 20):
        assert_equal_weights(single, stacked)
        assert history == stacked_history
    else:  # XLA rounds otherwise within a loop
        for one, other in zip(single.get_weights(), stacked.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
        for name, values in history.items():
            assert stacked_history[name] == pytest.approx(values, rel=1e-5)
    assert each == list(range(1, 5 * epochs + 1))
    assert moments == [3, 5, 8, 10][: 2 * epochs]


def test_a_training_step_of_a_subclass_is_taken_however_many_at_a_time(make_vae, bars):
    class Lazy(VAE):
        def train_step(self, data):
            return self.test_step(data)

    plain = make_vae()
    vae = Lazy(plain.encoder, plain.decoder, plain.likelihood)
    vae.compile("adam", jit_compile=True, steps_per_execution=2)
    before = vae.get_weights()
    fit(vae, bars)
    for one, other in zip(before, vae.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_optimizer_stays_without_xla_where_the_model_says_so(make_vae, bars, capfd):
    class Prints(VAE):
        def update(self, gradients, variables):
            tf.print("not for XLA")
            super().update(gradients, variables)

    plain = make_vae()
    vae = compiled(Prints(plain.encoder, plain.decoder, plain.likelihood))
    vae.supports_jit = False
    fit(vae, bars)
    assert "not for XLA" in capfd.readouterr().err


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_trains_and_is_measured_in_single(tiny, bars, policy):
    with precision(policy):
        vae = compiled(VAE(mlp_encoder(tiny), mlp_decoder(tiny), Gaussian(0.1)), 1e-2)
    before = summary(vae, bars)
    assert vae.encoder.compute_dtype == policy.removeprefix("mixed_")
    fit(vae, bars, epochs=20)
    after = summary(vae, bars)
    assert all(part.dtype == "float32" for part in vae.encode(bars))
    assert after["elbo"] > before["elbo"] + 10


def test_a_scaled_loss_gives_the_same_steps(make_vae, bars):
    plain, scaled = make_vae(), make_vae()
    plain.compile(keras.optimizers.SGD(1e-3), jit_compile=False)
    inner = keras.optimizers.SGD(1e-3)
    scaled.compile(keras.optimizers.LossScaleOptimizer(inner, 2.0**10), jit_compile=False)
    for vae in (plain, scaled):
        fit(vae, bars)
    for one, other in zip(plain.get_weights(), scaled.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_only_dense_layers_are_trained_many_steps_at_a_time(tiny):
    vae = VAE(mlp_encoder(tiny), conv_decoder(tiny), Gaussian(0.5))
    compiled(vae, jit_compile=True, steps_per_execution=4)
    assert vae.batches_per_program is None


@pytest.mark.parametrize("count", [9, 16, 32, 41])
def test_a_stack_may_be_smaller_or_empty(make_vae, count):
    vae = compiled(make_vae(), jit_compile=True, steps_per_execution=2)
    fit(vae, bright_bars(count))
    assert int(vae.optimizer.iterations) == -(-count // 16)


def test_arrays_datasets_and_single_batches_take_turns(make_vae, bars):
    vae = compiled(make_vae(), jit_compile=True, steps_per_execution=2)
    fit(vae, bars)
    vae.fit(tf.data.Dataset.from_tensor_slices(bars).batch(16), verbose=0)
    vae.train_on_batch(bars[:16])
    fit(vae, bars)
    assert int(vae.optimizer.iterations) == 13


def test_xla_gives_the_same_loss(make_vae, bars, monkeypatch):
    # XLA has a random generator of its own, so the noise is given.
    noise = np.random.default_rng(3).standard_normal((16, 2)).astype("float32")
    monkeypatch.setattr(keras.random, "normal", lambda *args, **kwargs: tf.constant(noise))
    losses = []
    for jit_compile in (False, True):
        vae = compiled(make_vae(kl_weight=Linear(rate=0.05)), jit_compile=jit_compile)
        losses.append(fit(vae, bars, epochs=5)["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-4)


def test_the_optimizer_alone_goes_through_xla_and_does_the_same(make_vae, bars):
    """The same weights as in Python, where nothing is compiled."""
    in_graph, in_python = (
        compiled(make_vae(kl_weight=Linear(rate=0.05)), run_eagerly=eagerly)
        for eagerly in (False, True)
    )
    for vae in (in_graph, in_python):
        fit(vae, bars, epochs=2)
    for one, two in zip(in_graph.get_weights(), in_python.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)

    step = tf.function(in_graph.train_step).get_concrete_function(bars[:16])
    programs = [
        f for f in step.graph.as_graph_def().library.function if "_XlaMustCompile" in f.attr
    ]
    (inside,) = [f for f in programs if f.attr["_XlaMustCompile"].b]
    assert not any("MatMul" in node.op for node in inside.node_def)


def test_without_a_sigmoid_all_parts_take_the_output_as_it_is(tiny, bars):
    vae = VAE(
        mlp_encoder(tiny), mlp_decoder(tiny), Gaussian(0.25, link="identity"), kl_weight=0.5, seed=0
    )
    compiled(vae)
    fit(vae, bars)
    logs = vae.evaluate(bars, verbose=0, return_dict=True)
    squares = -2 * 0.25 * (-logs["reconstruction"] + 32 * np.log(2 * np.pi * 0.25))
    assert logs["mse"] == pytest.approx(squares / 64, rel=1e-4)
    codes = vae.encode(bars)[0]
    np.testing.assert_allclose(vae.decode(codes), vae.decoder(codes), rtol=1e-6)
    np.testing.assert_allclose(vae.reconstruct(bars), vae.predict(bars, verbose=0), atol=1e-6)


# ---- saving --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoder", "decoder", "likelihood"),
    [
        (mlp_encoder, mlp_decoder, Gaussian(0.25)),
        (mlp_encoder, mlp_decoder, Gaussian(0.25, link="identity")),
        (conv_encoder, conv_decoder, Bernoulli()),
    ],
    ids=["mlp, gaussian", "mlp, linear", "conv, bernoulli"],
)
def test_a_saved_model_comes_back_the_same(tiny, bars, tmp_path, encoder, decoder, likelihood):
    vae = VAE(encoder(tiny), decoder(tiny), likelihood, Cosine(steps=50), seed=3, name="mine")
    compiled(vae)
    fit(vae, bars[:16])
    vae.save(tmp_path / "vae.keras")
    again = keras.saving.load_model(tmp_path / "vae.keras")
    assert isinstance(again, VAE)
    assert (again.name, again.seed, again.kl_weight) == ("mine", 3, Cosine(steps=50))
    assert type(again.likelihood) is type(likelihood)
    assert again.likelihood.get_config() == likelihood.get_config()
    np.testing.assert_array_equal(again.predict(bars, verbose=0), vae.predict(bars, verbose=0))
    np.testing.assert_array_equal(again.generate(5), vae.generate(5))
    for one, other in zip(again.encode(bars), vae.encode(bars)):
        np.testing.assert_array_equal(one, other)
    assert again.evaluate(bars, verbose=0, return_dict=True) == vae.evaluate(
        bars, verbose=0, return_dict=True
    )


def test_training_goes_on_after_loading_as_if_nothing_had_happened(make_vae, bars, tmp_path):
    vae = compiled(make_vae(kl_weight=Linear(rate=0.01)), steps_per_execution=2)
    fit(vae, bars, epochs=2)
    vae.save(tmp_path / "vae.keras")
    again = keras.saving.load_model(tmp_path / "vae.keras")
    assert int(again.optimizer.iterations) == 8
    history = fit(again, bars, epochs=2)
    assert history["kl_weight"] == pytest.approx([0.095, 0.135], rel=1e-5)
    assert history == fit(vae, bars, epochs=2)
    assert_equal_weights(again, vae)


def test_weights_alone_can_be_saved_and_loaded(make_vae, bars, tmp_path):
    vae, other = make_vae(seed=0), make_vae(seed=1)
    assert not np.array_equal(vae.reconstruct(bars), other.reconstruct(bars))
    vae.save_weights(tmp_path / "vae.weights.h5")
    other.load_weights(tmp_path / "vae.weights.h5")
    np.testing.assert_array_equal(vae.reconstruct(bars), other.reconstruct(bars))


# ---- seeds ---------------------------------------------------------------------


def test_equal_seeds_give_equal_results_and_others_do_not(make_vae, bars):
    runs = []
    for seed in (4, 4, 5):
        vae = compiled(make_vae(seed=seed))
        runs.append((vae, fit(vae, bars, epochs=3, shuffle=True)))
    assert runs[0][1] == runs[1][1]
    assert_equal_weights(runs[0][0], runs[1][0])
    assert runs[0][1]["loss"] != runs[2][1]["loss"]


def test_generate_is_repeatable_and_follows_its_seed(make_vae):
    vae = make_vae()
    assert vae.generate(5).shape == (5, 8, 8, 1)
    np.testing.assert_array_equal(vae.generate(5), vae.generate(5))
    assert not np.array_equal(vae.generate(5), vae.generate(5, seed=1))
    codes = np.random.default_rng(0).standard_normal((5, 2))
    np.testing.assert_array_equal(vae.generate(5), vae.decode(codes))


# ---- weight 0 ------------------------------------------------------------------


@pytest.fixture(scope="module", params=["mlp", "conv"])
def autoencoder(request):
    """A compiled model of the original analysis at weight 0, and its steps; compiled once."""
    nets, steps, batch_size = {
        "mlp": ((mlp_encoder, mlp_decoder), 300, 64),
        "conv": ((conv_encoder, conv_decoder), 30, 16),
    }[request.param]
    vae = VAE(*(net() for net in nets), Gaussian(0.5), kl_weight=0.0, seed=0)
    return compiled(vae, jit_compile=True), nets[0], steps, batch_size


@pytest.mark.parametrize("log_std_start", [0.0, -3.0])
@pytest.mark.parametrize("learning_rate", [1e-3, 3e-3, 1e-2])
def test_weight_zero_stays_finite(autoencoder, digits, learning_rate, log_std_start):
    vae, encoder, steps, batch_size = autoencoder
    keras.utils.set_random_seed(0)
    # The decoder's start values are as good as any; the encoder gets new ones.
    vae.encoder.set_weights(encoder(Params(log_std_start=log_std_start)).get_weights())
    decoder = keras.models.clone_model(vae.decoder)
    vae.decoder.set_weights(decoder.get_weights())
    for variable in vae.optimizer.variables:
        variable.assign(np.zeros(variable.shape))
    vae.optimizer.learning_rate = learning_rate
    history = fit(vae, digits.train[: steps * batch_size], batch_size=batch_size)
    assert all(np.isfinite(series).all() for series in history.values())
    assert all(np.isfinite(weights).all() for weights in vae.get_weights())
    assert int(vae.optimizer.iterations) == steps
    mean, std = vae.encode(digits.test[:200])
    assert np.isfinite(mean).all()
    assert (std > 0).all()


# ---- what is refused -----------------------------------------------------------


@pytest.mark.parametrize(
    "spoil",
    [
        lambda images: images * np.nan,
        lambda images: np.where(np.arange(64).reshape(-1, 1, 1, 1) == 63, np.nan, images),
        lambda images: images * 255,
        lambda images: images * 2 - 1,
        lambda images: (images * 255).astype("uint8"),
        lambda images: images.astype(int),
        lambda images: images[..., 0],
        lambda images: images[:, :4],
        lambda images: images.reshape(64, -1),
        lambda images: images[:0],
    ],
    ids=["NaN", "one NaN", "0 to 255", "-1 to 1", "bytes", "ints", "3-D", "small", "flat", "none"],
)
def test_bad_images_are_refused_before_training(make_vae, bars, spoil):
    vae = compiled(make_vae())
    before = vae.get_weights()
    for refuse in (lambda x: vae.fit(x, verbose=0), vae.encode, vae.reconstruct):
        with pytest.raises(ValueError, match="must"):
            refuse(spoil(bars))
    assert int(vae.optimizer.iterations) == 0
    for old, new in zip(before, vae.get_weights()):
        np.testing.assert_array_equal(old, new)


def heads(*sizes):
    images = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(images)
    return keras.Model(images, [keras.layers.Dense(size)(flat) for size in sizes])


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (lambda: heads(2), "mean and log standard deviation"),
        (lambda: heads(2, 2, 2), "mean and log standard deviation"),
        (lambda: heads(3, 3), "codes of shape"),
        (lambda: mlp_encoder(Params((4, 4, 1), latent_size=2)), "images of shape"),
        # A single log standard deviation would broadcast without a word.
        (lambda: heads(2, 1), "standard deviation"),
    ],
    ids=["one output", "three outputs", "latent sizes", "image shapes", "log_std of another size"],
)
def test_networks_that_do_not_fit_are_refused(tiny, encoder, message):
    with pytest.raises(ValueError, match=message):
        VAE(encoder(), mlp_decoder(tiny))


@pytest.mark.parametrize("kl_weight", [-1, float("nan"), "linear", None, True])
def test_a_bad_kl_weight_is_refused(make_vae, kl_weight):
    with pytest.raises(ValueError, match="weight"):
        make_vae(kl_weight=kl_weight)


@pytest.mark.parametrize("likelihood", ["gaussian", 0.5, Gaussian])
def test_a_bad_likelihood_is_refused(make_vae, likelihood):
    with pytest.raises(ValueError, match="likelihood"):
        make_vae(likelihood)


@pytest.mark.parametrize("codes", [np.zeros(2), np.zeros((3, 3)), np.full((1, 2), np.nan)])
def test_bad_codes_are_refused(make_vae, codes):
    with pytest.raises(ValueError, match="codes"):
        make_vae().decode(codes)


@pytest.mark.parametrize(
    "settings",
    [
        {"sample_weight": np.ones(64, "float32")},
        {"y": np.zeros(64, "int32"), "class_weight": {0: 0.5}},
    ],
    ids=["samples", "classes"],
)
def test_weights_of_images_are_refused(make_vae, bars, settings):
    with pytest.raises(ValueError, match="count alike"):
        fit(compiled(make_vae()), bars, **settings)


def test_weights_in_a_dataset_are_refused(make_vae, bars):
    weighted = tf.data.Dataset.from_tensor_slices((bars, bars, np.ones(64, "float32"))).batch(16)
    with pytest.raises(ValueError, match="count alike"):
        compiled(make_vae()).fit(weighted, verbose=0)


def test_a_loss_of_ones_own_is_refused(make_vae, bars):
    with pytest.raises(ValueError, match="loss of its own"):
        fit(compiled(make_vae(), loss="mse"), bars)


def test_a_dataset_may_be_float64_but_not_of_whole_numbers(make_vae, bars):
    def trained(images):
        vae = compiled(make_vae(seed=5))
        vae.fit(tf.data.Dataset.from_tensor_slices(images).batch(16), verbose=0)
        return vae

    assert_equal_weights(trained(bars), trained(bars.astype("float64")))
    with pytest.raises(ValueError, match=r"floats in \[0, 1\]"):
        trained((255 * bars).astype("uint8"))


def test_fit_takes_its_first_arguments_by_position_as_keras_does(make_vae, bars, capsys):
    assert compiled(make_vae()).fit(bars, None, 16, 2, 0).epoch == [0, 1]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("count", [0, -1])
def test_a_bad_number_of_samples_is_refused(make_vae, count):
    with pytest.raises(ValueError):
        make_vae().generate(count)


# ---- in batches ----------------------------------------------------------------


def test_more_images_than_a_batch_come_back_in_order(make_vae, monkeypatch):
    vae = make_vae()
    images = bright_bars(25)
    mean, std = vae.encode(images)
    pixels = vae.decode(mean)
    monkeypatch.setattr("vae_utils.model.EVALUATION_BATCH", 10)
    for whole, pieces in zip((mean, std), vae.encode(images)):
        np.testing.assert_allclose(pieces, whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(vae.decode(mean), pixels, rtol=1e-5)
    np.testing.assert_array_equal(
        in_batches(lambda a, b: a + b, np.arange(25), np.arange(25)), 2 * np.arange(25)
    )


def test_numbers_in_and_out_are_float32(make_vae, bars):
    vae = make_vae()
    mean, std = vae.encode(bars.astype("float64"))
    pixels = vae.decode(mean)
    assert mean.dtype == std.dtype == pixels.dtype == np.float32
    assert mean.shape == std.shape == (64, 2)
    assert pixels.shape == bars.shape
    assert 0 <= pixels.min() and pixels.max() <= 1
    assert vae.latent_size == 2
    assert vae.image_shape == (8, 8, 1)


def test_the_example_of_the_readme_works_on_images_of_ones_own(bars):
    images = load_images((bars[..., 0] * 255).astype("uint8"))
    params = Params(image_shape=(8, 8, 1), latent_size=2)
    vae = VAE(
        conv_encoder(params),
        conv_decoder(params),
        likelihood=Gaussian(variance=0.5),
        kl_weight=Linear(rate=1e-3, start=500),
    )
    vae.compile(optimizer="adam", jit_compile=False)
    vae.fit(images.train, batch_size=64, epochs=1, verbose=0)
    assert vae.predict(images.test, verbose=0).shape == images.test.shape
