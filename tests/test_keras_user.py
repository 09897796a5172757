"""What a user of Keras does with a model, each with the right answer or words that help."""

import dataclasses
import inspect
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import bright_bars, precision

import vae_utils as vu
from vae_utils import VAE, Gaussian, Params, mlp_decoder, mlp_encoder
from vae_utils.schedules import Constant, Linear, QualityGate, Schedule


def compiled(vae, learning_rate=1e-3, **settings):
    vae.compile(keras.optimizers.Adam(learning_rate), **{"jit_compile": False, **settings})
    return vae


def fit(vae, images, epochs=1, **settings):
    settings = {"shuffle": False, "verbose": 0, "batch_size": 16, **settings}
    return vae.fit(images, epochs=epochs, **settings).history


def assert_equal_weights(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# ---- 1. what enters a step -------------------------------------------------------


def as_array(images):
    return images


def as_tensor(images):
    return tf.constant(images)


def as_dataset(images):
    return tf.data.Dataset.from_tensor_slices(images).batch(16)


def as_generator(images):
    return ((images[i : i + 16],) for i in range(0, len(images), 16))


class Batches(keras.utils.PyDataset):
    def __init__(self, images):
        super().__init__()
        self.images = images

    def __len__(self):
        return len(self.images) // 16

    def __getitem__(self, number):
        return (self.images[16 * number : 16 * number + 16],)


class Foreign:
    """An array as another library has it: NumPy can read it, and it has little more."""

    def __init__(self, images):
        self.images = images
        self.shape, self.dtype = images.shape, images.dtype

    def __array__(self, dtype=None, copy=None):
        return np.array(self.images, dtype)

    def __len__(self):
        return len(self.images)

    def __iter__(self):
        return iter(self.images)

    def __getitem__(self, part):
        return self.images[part]


FORMS = {
    "array": as_array,
    "tensor": as_tensor,
    "another library's": Foreign,
    "dataset": as_dataset,
    "generator": as_generator,
    "PyDataset": Batches,
}
SPOILT = {
    "no channel axis": lambda images: images[..., 0],
    "0 to 255": lambda images: 255 * images,
    "-1 to 1": lambda images: 2 * images - 1,
    "NaN": lambda images: np.where(np.arange(64).reshape(-1, 1, 1, 1) == 3, np.nan, images),
    "bytes": lambda images: (255 * images).astype("uint8"),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_bad_images_are_refused_in_any_form_and_nothing_is_lost(make_vae, bars, form, spoil):
    vae = compiled(make_vae())
    before = vae.get_weights()
    for method in (vae.fit, vae.evaluate, vae.predict):
        with pytest.raises(ValueError, match="must"):
            method(form(spoil(bars).astype(spoil(bars).dtype)), verbose=0)
    for old, new in zip(before, vae.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    # And a right one trains as if nothing had been.
    fit(vae, bars)
    assert int(vae.step) == 4


# Keras warns at the end of every generator: there might have been more steps.
ends = pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")


@ends
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_good_images_train_alike_in_any_form(make_vae, bars, form):
    one, other = compiled(make_vae()), compiled(make_vae())
    fit(one, bars)
    images = form(bars)
    other.fit(
        images,
        verbose=0,
        shuffle=False,
        **({"batch_size": 16} if form in (as_array, as_tensor, Foreign) else {}),
    )
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: (x,), lambda x: {"images": x}])
def test_a_structure_of_one_array_is_that_array(make_vae, bars, wrap):
    one, other = compiled(make_vae()), compiled(make_vae())
    assert fit(one, bars) == fit(other, wrap(bars))
    assert_equal_weights(one, other)


@pytest.mark.parametrize("method", ["train_on_batch", "test_on_batch", "predict_on_batch"])
def test_a_single_batch_is_checked_too(make_vae, bars, method):
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        getattr(compiled(make_vae()), method)(255 * bars)


def test_bad_validation_data_are_refused_before_training(make_vae, bars):
    vae = compiled(make_vae())
    with pytest.raises(ValueError, match="validation_data must have shape"):
        fit(vae, bars, validation_data=(bars[..., 0],))
    assert int(vae.step) == 0


@ends
@pytest.mark.parametrize("form", [as_dataset, as_generator, Batches])
def test_bad_validation_data_are_refused_in_any_form(make_vae, bars, form):
    vae = compiled(make_vae())
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        fit(vae, bars, validation_data=form(255 * bars))
    history = fit(vae, bars, validation_data=form(bars))
    again = vae.evaluate(form(bars), verbose=0, return_dict=True)
    assert history["val_elbo"][0] == pytest.approx(again["elbo"], rel=1e-5)


WITH_IMAGES = "fit evaluate predict train_on_batch test_on_batch predict_on_batch".split()


def arguments(function):
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]


@pytest.mark.parametrize("method", WITH_IMAGES)
def test_arguments_have_the_names_and_places_that_they_have_in_keras(method):
    assert arguments(getattr(VAE, method)) == arguments(getattr(keras.Model, method))


def test_arguments_may_be_given_by_their_places(make_vae, bars):
    one, other = compiled(make_vae()), compiled(make_vae())
    seen = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    history = one.fit(bars, None, 16, 2, 0, [callback], 0.25, None, False, None, None, 1).history
    assert history == fit(other, bars[:48], validation_data=(bars[48:],)) and seen == [1]
    scores = [vae.evaluate(bars, None, 16, 0, None, 2, None, True) for vae in (one, other)]
    assert scores[0] == scores[1] and scores[0]["loss"] > 0
    assert one.predict(bars, 16, 0, 2).shape == (32, 8, 8, 1)
    assert set(one.train_on_batch(bars, None, None, None, True)) == set(scores[0])
    assert set(one.test_on_batch(bars, None, None, True)) == set(scores[0])


def test_a_dataset_is_not_shuffled_and_whoever_asks_for_it_is_told_as_by_keras(make_vae, bars):
    vae = compiled(make_vae())
    vae.fit(as_dataset(bars), verbose=0)
    plain = keras.Sequential([keras.layers.Dense(1)])
    plain.compile(loss="mse")
    told = []
    for model, dataset in ((plain, pairs(bars, bars)), (vae, as_dataset(bars))):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            model.fit(dataset, verbose=0, shuffle=True)
        told.append([str(one.message) for one in caught if "shuffle=True" in str(one.message)])
    assert told[0] == told[1]
    # In the oldest version that is supported, Keras itself says nothing.
    assert told[1] or keras.__version__.startswith("3.10.")


def test_more_than_one_array_is_refused(make_vae, bars):
    with pytest.raises(ValueError, match="one array of images; got 2 parts"):
        fit(compiled(make_vae()), [bars, bars])


# ---- 2. the loss travels with the weights ------------------------------------------


@pytest.mark.parametrize("way", ["save_weights", "ModelCheckpoint", "whole model"])
def test_training_goes_on_to_the_last_bit_after_loading_weights(make_vae, bars, tmp_path, way):
    vae = compiled(make_vae(kl_weight=Linear(rate=0.05)), 1e-2)
    path = str(tmp_path / ("vae.keras" if way == "whole model" else "vae.weights.h5"))
    callbacks = []
    if way == "ModelCheckpoint":
        callbacks = [keras.callbacks.ModelCheckpoint(path, save_weights_only=True)]
    fit(vae, bars, callbacks=callbacks)
    if way == "whole model":
        vae.save(path)
        again = keras.saving.load_model(path)
    else:
        if way == "save_weights":
            vae.save_weights(path)
        again = compiled(make_vae(kl_weight=Linear(rate=0.05), seed=0), 1e-2)
        again.load_weights(path)
    assert float(again.current_kl_weight()) == pytest.approx(0.2)
    assert int(again.optimizer.iterations) == 4
    assert fit(again, bars, epochs=2) == fit(vae, bars, epochs=2)
    assert_equal_weights(again, vae)


@pytest.mark.parametrize("moment", ["on_train_batch_end", "on_epoch_end"])
def test_the_kl_weight_may_be_changed_while_fit_is_under_way(make_vae, bars, moment):
    vae = compiled(make_vae(kl_weight=0.0))

    def change(*_, logs=None):
        if int(vae.step) == 4:
            vae.kl_weight = 0.5

    callback = keras.callbacks.Callback()
    setattr(callback, moment, change)
    history = fit(vae, bars, epochs=2, callbacks=[callback])
    np.testing.assert_allclose(history["kl_weight"], [0.0, 0.5])


def test_a_gate_that_is_open_stays_open_after_another_compile(make_vae, bars):
    vae = compiled(make_vae(kl_weight=QualityGate(mse=1.0, rate=0.1)))
    fit(vae, bars)
    assert int(vae.gate_opened_at) == 0
    compiled(vae)
    np.testing.assert_allclose(fit(vae, bars[:16])["kl_weight"], [0.4], rtol=1e-6)


def test_weights_of_half_precision_bring_the_step_to_single_precision(tiny, bars, tmp_path):
    with precision("mixed_bfloat16"):
        half = compiled(VAE(mlp_encoder(tiny), mlp_decoder(tiny), kl_weight=Linear(rate=0.05)))
    fit(half, bars)
    half.save_weights(tmp_path / "half.weights.h5")
    single = compiled(VAE(mlp_encoder(tiny), mlp_decoder(tiny), kl_weight=Linear(rate=0.05)))
    single.load_weights(tmp_path / "half.weights.h5")
    assert float(single.current_kl_weight()) == pytest.approx(0.2)


# ---- 3. codes ------------------------------------------------------------------------


def test_codes_with_places_are_refused():
    images = keras.Input((28, 28, 1))
    heads = [keras.layers.Conv2D(2, 4, 4)(images) for _ in range(2)]
    codes = keras.Input((7, 7, 2))
    decoder = keras.Model(codes, keras.layers.Conv2DTranspose(1, 4, 4)(codes))
    with pytest.raises(ValueError, match=r"codes must have shape \(n, latent_size\)"):
        VAE(keras.Model(images, heads), decoder)


# ---- 4. export -----------------------------------------------------------------------


def test_an_exported_model_reconstructs_as_predict_does(make_vae, bars, tmp_path):
    vae = make_vae()
    vae.export(tmp_path / "vae", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "vae"))
    served = loaded.serve(bars)
    np.testing.assert_allclose(served, vae.predict(bars, verbose=0), rtol=1e-5, atol=1e-6)


def test_encoder_and_decoder_are_exported_alone(make_vae, bars, tmp_path):
    vae = make_vae()
    mean, std = vae.encode(bars)
    for name, network, value in (("encoder", vae.encoder, bars), ("decoder", vae.decoder, mean)):
        network.export(tmp_path / name, verbose=False)
        loaded = tf.saved_model.load(str(tmp_path / name))
        served = loaded.serve(value)
        for one, other in zip(keras.tree.flatten(served), keras.tree.flatten(network(value))):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


# ---- 5. targets and weights ------------------------------------------------------------


def pairs(images, targets):
    return tf.data.Dataset.from_tensor_slices((images, targets)).batch(16)


def test_images_may_be_their_own_target(make_vae, bars):
    one, other, third = (compiled(make_vae()) for _ in range(3))
    fit(one, bars)
    fit(other, bars, y=bars.copy())
    third.fit(pairs(bars, bars), verbose=0)
    assert_equal_weights(one, other)
    assert_equal_weights(one, third)


def test_other_targets_are_refused(make_vae, bars):
    vae = compiled(make_vae())
    noisy = np.clip(bars + 0.1, 0, 1)
    for use in (
        lambda: fit(vae, noisy, y=bars),
        lambda: vae.fit(pairs(noisy, bars), verbose=0),
        lambda: vae.fit(pairs(bars, np.zeros(64)), verbose=0),
        lambda: vae.evaluate(noisy, bars, verbose=0),
        lambda: vae.train_on_batch(noisy, bars),
        lambda: fit(vae, bars, validation_data=(noisy, bars)),
    ):
        with pytest.raises(ValueError, match="target of a VAE is its input"):
            use()
    assert int(vae.step) == 0


def test_weights_of_images_are_refused_in_evaluation(make_vae, bars):
    with pytest.raises(ValueError, match="count alike"):
        compiled(make_vae()).evaluate(bars, sample_weight=np.ones(64), verbose=0)


# ---- 7. precision ------------------------------------------------------------------------

# Adam's own 1e-7 is below the smallest normal number of half precision (6e-5). Where a processor
# takes such numbers for zero, its first step is 0 / 0.
HALF_EPSILON = 1e-3


@pytest.mark.parametrize("policy", ["float64", "float16", "mixed_float16"])
def test_other_precisions_train_and_are_measured(tiny, bars, policy):
    with precision(policy):
        vae = VAE(mlp_encoder(tiny), mlp_decoder(tiny), Gaussian(0.5), 0.3)
        vae.compile(keras.optimizers.Adam(1e-3, epsilon=HALF_EPSILON), jit_compile=False)
        history = fit(vae, bars, epochs=3)
        scores = vae.evaluate(bars, verbose=0, return_dict=True)
        numbers = vu.summary(vae, bars)
    assert np.isfinite(history["loss"]).all()
    assert scores["loss"] == pytest.approx(scores["reconstruction"] + 0.3 * scores["kl"], rel=1e-4)
    assert scores["kl"] == pytest.approx(numbers["kl"], rel=0.02)


@pytest.mark.parametrize("floatx", ["float64", "float16"])
def test_another_floatx_trains(tiny, bars, floatx):
    keras.config.set_floatx(floatx)
    try:
        with precision(floatx):
            vae = VAE(mlp_encoder(tiny), mlp_decoder(tiny), Gaussian(0.5))
            vae.compile(keras.optimizers.Adam(1e-3, epsilon=HALF_EPSILON), jit_compile=False)
            history = fit(vae, bars)
    finally:
        keras.config.set_floatx("float32")
    assert np.isfinite(history["loss"]).all()


def test_a_model_of_mixed_precision_keeps_its_policy_where_the_default_is_another(tiny, tmp_path):
    with precision("mixed_bfloat16"):
        VAE(mlp_encoder(tiny), mlp_decoder(tiny)).save(tmp_path / "half.keras")
    again = keras.saving.load_model(tmp_path / "half.keras")
    assert again.dtype_policy.name == "mixed_bfloat16"
    assert again.encoder.get_layer("mean").dtype_policy.name == "mixed_bfloat16"


# ---- 8. errors that say what to do -----------------------------------------------------------


def test_metrics_in_compile_are_refused_with_the_names_of_those_there_are(make_vae):
    with pytest.raises(ValueError, match="metrics of its own: loss, reconstruction, kl"):
        make_vae().compile("adam", metrics=["mae"])


def test_the_kl_weight_may_be_changed_at_any_time(make_vae, bars):
    vae = compiled(make_vae(kl_weight=1.0))
    assert fit(vae, bars)["kl_weight"] == [1.0]
    vae.kl_weight = 0.5
    assert vae.kl_weight == Constant(0.5)
    assert fit(vae, bars)["kl_weight"] == [0.5]
    assert vae.evaluate(bars, verbose=0, return_dict=True)["kl_weight"] == 0.5
    with pytest.raises(ValueError, match="weight"):
        vae.kl_weight = -1
    vae.kl_weight = QualityGate(mse=1e-6, rate=1.0)
    assert fit(vae, bars)["kl_weight"] == [0.0]


def test_the_kl_weight_is_known_before_compile(make_vae):
    assert float(make_vae(kl_weight=0.3).current_kl_weight()) == pytest.approx(0.3)


class Subclassed(keras.Model):
    def call(self, images):
        return images, images


def of_a_dict():
    images = keras.Input((8, 8, 1))
    flat = keras.layers.Flatten()(images)
    return keras.Model(images, {name: keras.layers.Dense(2)(flat) for name in ("mean", "log_std")})


def of_a_table():
    rows = keras.Input((64,))
    return keras.Model(rows, [keras.layers.Dense(2)(rows) for _ in range(2)])


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (Subclassed, "functional Keras model"),
        (of_a_dict, "a list.*got a dict with"),
        (of_a_table, r"shape \(n, features, 1, 1\)"),
    ],
)
def test_an_encoder_of_another_kind_is_refused_with_what_to_do(tiny, encoder, message):
    with pytest.raises(ValueError, match=message):
        VAE(encoder(), mlp_decoder(tiny))


def test_rows_of_a_table_are_images_of_one_pixel_each_as_the_message_says():
    params = Params((5, 1, 1), latent_size=2, mlp_encoder_units=(8,), mlp_decoder_units=(8,))
    rows = np.random.default_rng(0).uniform(size=(32, 5)).astype("float32")
    vae = compiled(VAE(mlp_encoder(params), mlp_decoder(params)))
    assert np.isfinite(fit(vae, rows.reshape(-1, 5, 1, 1))["loss"]).all()


def test_another_backend_is_refused_at_import():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            # Other backends are not installed here.
            "import keras; keras.backend.backend = lambda: 'jax'; import vae_utils",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "ImportError: vae_utils trains with TensorFlow" in done.stderr


# ---- 11. looking -------------------------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [False, True])
def test_validation_does_not_change_training(make_vae, bars, shuffle):
    alone, watched = compiled(make_vae()), compiled(make_vae())
    for vae, data in ((alone, None), (watched, (bright_bars(20, seed=1),))):
        keras.utils.set_random_seed(1)
        fit(vae, bars, epochs=3, shuffle=shuffle, validation_data=data)
    assert_equal_weights(alone, watched)


def test_evaluation_between_two_fits_does_not_change_the_second(make_vae, bars):
    alone, watched = compiled(make_vae()), compiled(make_vae())
    for vae in (alone, watched):
        fit(vae, bars)
        if vae is watched:
            vae.evaluate(bars, verbose=0)
            vae.terms(bars)
        fit(vae, bars)
    assert_equal_weights(alone, watched)


def test_evaluation_is_the_same_each_time_with_other_noise_in_each_batch(make_vae, bars):
    vae = compiled(make_vae())
    twice = [vae.evaluate(bars, batch_size=16, verbose=0, return_dict=True) for _ in range(2)]
    assert twice[0] == twice[1]
    same = np.tile(bars[:16], (4, 1, 1, 1))
    once = vae.evaluate(bars[:16], batch_size=16, verbose=0, return_dict=True)
    four = vae.evaluate(same, batch_size=16, verbose=0, return_dict=True)
    assert once["kl"] == pytest.approx(four["kl"], rel=1e-6)
    assert once["reconstruction"] != four["reconstruction"]


# ---- 12. results -------------------------------------------------------------------------------


def test_evaluate_returns_each_number_once(make_vae, bars):
    vae = compiled(make_vae())
    listed = vae.evaluate(bars, verbose=0)
    named = vae.evaluate(bars, verbose=0, return_dict=True)
    assert vae.metrics_names == ["loss", "reconstruction", "kl", "kl_weight", "elbo", "mse"]
    assert listed == [named[name] for name in vae.metrics_names]


class LearnedVariance(VAE):
    """The pixels' variance is a weight."""

    def __init__(self, *networks, **settings):
        super().__init__(*networks, **settings)
        start = keras.initializers.Constant(-3.0)
        self.log_variance = self.add_weight(shape=(), initializer=start, name="log_variance")

    def log_likelihood(self, images, logits):
        errors = keras.ops.square(images - self.likelihood.pixel_means(logits))
        variance = keras.ops.exp(self.log_variance)
        logs = keras.ops.log(2 * np.pi * variance) + errors / variance
        return -0.5 * keras.ops.sum(logs, axis=(1, 2, 3))


def test_evaluate_and_elbo_agree_on_a_model_with_a_learned_variance(tiny, bars):
    vae = compiled(LearnedVariance(mlp_encoder(tiny), mlp_decoder(tiny)))
    fit(vae, bars)
    scores = vae.evaluate(bars, verbose=0, return_dict=True)
    spread = 3.0  # of the noise, which differs
    assert scores["elbo"] == pytest.approx(vu.elbo(vae, bars), abs=spread)
    fixed = VAE(vae.encoder, vae.decoder, vae.likelihood)
    assert abs(vu.elbo(fixed, bars) - scores["elbo"]) > 5 * spread


def test_update_gets_the_encoders_variables_first_whatever_else_is_trained(tiny, bars):
    seen = []

    class Noting(LearnedVariance):
        def update(self, gradients, variables):
            seen.append([variable.path for variable in variables])
            super().update(gradients, variables)

    vae = compiled(Noting(mlp_encoder(tiny), mlp_decoder(tiny)))
    fit(vae, bars)
    encoder = [variable.path for variable in vae.encoder.trainable_variables]
    assert seen[0][: len(encoder)] == encoder
    assert seen[0][-1].endswith("log_variance")
    assert len(seen[0]) == len(vae.trainable_variables)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5])
@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_a_batch_size_that_is_none_is_named(make_vae, bars, method, batch_size):
    vae = compiled(make_vae())
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1"):
        getattr(vae, method)(bars, batch_size=batch_size, verbose=0)


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict", "encode"])
def test_what_load_images_returns_is_not_one_array(make_vae, bars, method):
    vae = compiled(make_vae())
    images = vu.Images(bars, bars, None, None, "own", "made for tests")
    with pytest.raises(ValueError, match=r"one array: the images' .train or .test"):
        getattr(vae, method)(images)


def test_a_class_in_place_of_an_object_is_named(tiny):
    networks = mlp_encoder(tiny), mlp_decoder(tiny)
    with pytest.raises(ValueError, match="kl_weight must be.*Call the class"):
        VAE(*networks, kl_weight=Linear)
    with pytest.raises(ValueError, match="likelihood must be.*Call the class"):
        VAE(*networks, likelihood=Gaussian)
    with pytest.raises(ValueError, match="kl_weight must be a finite number of at least 0; got -1"):
        VAE(*networks, kl_weight=-1)
    with pytest.raises(ValueError, match=r"Linear\(rate\) must be a number; got 'fast'"):
        Linear(rate="fast")


def test_a_decoder_that_takes_too_much_or_too_little_is_named(tiny):
    with pytest.raises(ValueError, match="must take codes; it has 2 input"):
        VAE(mlp_encoder(tiny), vu.context_decoder(tiny))
    with pytest.raises(ValueError, match="must take codes and images; it has 1 input"):
        vu.ContextVAE(mlp_encoder(tiny), mlp_decoder(tiny))


def test_a_seed_may_be_numpy_s(tiny):
    assert VAE(mlp_encoder(tiny), mlp_decoder(tiny), seed=np.int64(3)).seed == 3
    with pytest.raises(ValueError, match="seed must be a whole number"):
        VAE(mlp_encoder(tiny), mlp_decoder(tiny), seed=1.5)


def test_a_likelihood_and_a_schedule_of_ones_own_can_be_saved_and_loaded(tiny, bars, tmp_path):
    vae = VAE(mlp_encoder(tiny), mlp_decoder(tiny), Doubled(), Step(at=3.0), seed=0)
    vae.save(tmp_path / "vae.keras")
    again = keras.saving.load_model(tmp_path / "vae.keras")
    assert (again.likelihood, again.kl_weight) == (Doubled(), Step(at=3.0))
    np.testing.assert_array_equal(again.predict(bars, verbose=0), vae.predict(bars, verbose=0))


@keras.saving.register_keras_serializable("test_keras_user")
@dataclasses.dataclass(frozen=True)
class Doubled(Gaussian):
    """A likelihood of one's own."""


@keras.saving.register_keras_serializable("test_keras_user")
@dataclasses.dataclass(frozen=True)
class Step(Schedule):
    """A schedule of one's own."""

    at: float

    def __call__(self, step):
        return keras.ops.cast(step >= self.at, "float32")


# ---- messages that say what to do ------------------------------------------------

SLIPS = {
    "no channel axis": (lambda x: x[..., 0], r"Give grey .* x\[\.\.\., np\.newaxis\]"),
    "one image": (lambda x: x[0], r"Make a batch of one image with x\[np\.newaxis\]"),
    "channels first": (lambda x: np.moveaxis(x, -1, 1), r"np\.moveaxis\(x, 1, -1\)"),
    "0 to 255": (lambda x: 255 * x, r"values from [\d.e-]+ to [\d.]+\. Divide them by 255"),
    "-1 to 1": (
        lambda x: 2 * x - 1,
        r"values from -[\d.]+ to [\d.]+\. Rescale them with \(images \+ 1\) / 2",
    ),
    "NaN": (
        lambda x: np.where(np.arange(8) == 3, np.nan, x.T).T,
        r"in 64 pixels, the first in x\[3\]",
    ),
    "bytes": (lambda x: (255 * x).astype("uint8"), "uint8. .*with images / 255"),
}


@pytest.mark.parametrize("slip, says", SLIPS.values(), ids=SLIPS)
def test_the_message_names_the_remedy(make_vae, bars, slip, says):
    with pytest.raises(ValueError, match=says):
        compiled(make_vae()).fit(slip(bars[:8]), verbose=0)


def test_the_remedy_for_bytes_in_a_dataset_works(make_vae, bars):
    vae, dataset = compiled(make_vae()), as_dataset((255 * bars).astype("uint8"))
    with pytest.raises(ValueError, match="dataset.map"):
        vae.fit(dataset, verbose=0)
    vae.fit(dataset.map(lambda images: images / 255), verbose=0)


def test_a_bad_dataset_is_refused_without_a_foreign_traceback(make_vae, bars, capfd):
    with pytest.raises(ValueError, match="Divide"):
        compiled(make_vae()).fit(as_dataset(255 * bars), verbose=0)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("form", [as_array, as_tensor], ids=["array", "tensor"])
def test_a_call_checks_the_range(make_vae, bars, form):
    vae = make_vae()
    with pytest.raises(ValueError, match="Divide"):
        vae(form(255 * bars))
    with pytest.raises(ValueError, match=r"shape \(n, 8, 8, 1\); got \(8, 8, 1\). Make a batch"):
        vae(form(bars[0]))
    np.testing.assert_allclose(vae(form(bars)), vae.reconstruct(bars), atol=1e-6)


def test_a_probe_without_labels_says_so(make_vae, bars):
    with pytest.raises(
        ValueError,
        match=r"train_labels must have shape \(64,\).*got None. For images .* labels=labels",
    ):
        vu.linear_probe(make_vae(), bars, None, bars, None)
    with pytest.raises(ValueError, match=r"test_labels must have shape \(64,\).*got \(3,\)"):
        vu.linear_probe(make_vae(), bars, np.arange(64) % 2, bars, [0, 1, 2])


def test_a_probe_names_the_remedy_for_one_hot_labels(make_vae, bars):
    labels = np.arange(64) % 2
    with pytest.raises(ValueError, match=r"with train_labels.argmax\(axis=1\)"):
        vu.linear_probe(make_vae(), bars, np.eye(2)[labels], bars, labels)


def test_own_images_keep_their_own_labels(bars):
    labels = np.arange(64)
    images = vu.load_images(bars, labels=labels)
    np.testing.assert_array_equal(images.train, bars[images.train_labels])
    np.testing.assert_array_equal(images.test, bars[images.test_labels])
    with pytest.raises(ValueError, match=r"labels must have shape \(64,\).*got \(10,\)"):
        vu.load_images(bars, labels=labels[:10])
    with pytest.raises(ValueError, match="labels go with an array of your own"):
        vu.load_images("digits", labels=labels)


def test_whole_numbers_are_refused_with_a_way_out_that_works(bars):
    for pixels, way in (
        ((255 * bars).astype(int), lambda images: images / 255),
        ((bars > 0.5).astype(int), lambda images: images.astype("float32")),
        ((bars > 0.5).astype("uint8"), lambda images: images.astype("float32")),
        (bars > 0.5, lambda images: images.astype("float32")),
    ):
        with pytest.raises(ValueError, match=r"images / 255.*images.astype\('float32'\)"):
            vu.load_images(pixels)
        assert vu.load_images(way(pixels)).train.max() > 0.5


def test_grey_images_for_a_colour_model_are_refused_with_the_remedy(bars):
    colour = Params(image_shape=(8, 8, 3), latent_size=2)
    vae = compiled(VAE(mlp_encoder(colour), mlp_decoder(colour)))
    for images in (bars, bars[..., 0]):
        with pytest.raises(ValueError, match=r"build it with image_shape=\(8, 8, 1\)"):
            fit(vae, images)


def test_networks_that_do_not_meet_are_refused_with_the_remedy(tiny):
    other = dataclasses.replace(tiny, latent_size=5)
    larger = dataclasses.replace(tiny, image_shape=(8, 9, 1))
    with pytest.raises(ValueError, match="build both with the same latent_size"):
        VAE(mlp_encoder(tiny), mlp_decoder(other))
    with pytest.raises(ValueError, match="build both with the same image_shape"):
        VAE(mlp_encoder(tiny), mlp_decoder(larger))
    with pytest.raises(ValueError, match=r"other way round: VAE\(encoder, decoder\)"):
        VAE(mlp_decoder(tiny), mlp_encoder(tiny))


def test_sides_that_a_conv_decoder_cannot_draw_are_refused_with_ones_that_it_can():
    with pytest.raises(ValueError, match="Pad the images to 32 x 28, or take mlp_decoder"):
        vu.conv_decoder(Params(image_shape=(30, 28, 1)))
    vu.conv_decoder(Params(image_shape=(32, 28, 1)))


# Keras tells which parts it skips before it gives up.
@pytest.mark.filterwarnings("ignore:Skipping nested container:UserWarning")
def test_weights_that_do_not_fit_leave_the_model_as_it_was(tiny, bars, tmp_path):
    vae = compiled(VAE(mlp_encoder(tiny), mlp_decoder(tiny)))
    other_size = dataclasses.replace(tiny, latent_size=5)
    other = compiled(VAE(mlp_encoder(other_size), mlp_decoder(other_size)))
    fit(other, bars)
    other.save_weights(tmp_path / "other.weights.h5")
    before = [keras.ops.convert_to_numpy(v) for v in (*vae.variables, *vae.optimizer.variables)]
    with pytest.raises(ValueError):
        vae.load_weights(tmp_path / "other.weights.h5")
    assert int(vae.step) == int(vae.optimizer.iterations) == 0
    for old, new in zip(before, [*vae.variables, *vae.optimizer.variables], strict=True):
        np.testing.assert_array_equal(old, new)
