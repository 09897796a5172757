"""Remedies: what each changes, against NumPy or against what it promises."""

import dataclasses

import keras
import numpy as np
import pytest
from conftest import TINY, bright_bars
from scipy import stats

from vae_utils import (
    VAE,
    Bernoulli,
    Gaussian,
    Images,
    mlp_decoder,
    mlp_encoder,
    remedies,
    train,
)
from vae_utils.compiled import state
from vae_utils.densities import kl_to_standard_normal
from vae_utils.programs import settings_of

IMAGES = Images(bright_bars(64), bright_bars(20, seed=1), None, None, "own", "made for tests")


def trained(model=VAE, encoder=mlp_encoder, decoder=mlp_decoder, steps=40, **changes):
    settings = dict(likelihood=Gaussian(0.05), kl_weight=1.0, seed=3, params=TINY, every=1)
    return train(
        (model, encoder, decoder), IMAGES, steps, **{**settings, "callbacks": [], **changes}
    ).vae


def weights_of(network):
    return [weights.copy() for weights in network.get_weights()]


def moved(before, network):
    return max(np.abs(b - w).max() for b, w in zip(before, network.get_weights(), strict=True))


# ---- floors --------------------------------------------------------------------------


def test_free_bits_charge_only_what_is_above():
    vae = remedies.FreeBits(mlp_encoder(TINY), mlp_decoder(TINY))
    kl = np.array([[0.1, 1.0], [0.3, 3.0]], "float32")  # means 0.2, below the floor, and 2
    assert float(vae.kl_loss(kl)) == pytest.approx(vae.free + 2.0)


def test_a_number_may_be_an_integer_that_tensorflow_can_not_hold():
    mean, _ = remedies.normalised_encoder(TINY, gamma=10**20)(IMAGES.train)
    assert np.isfinite(mean).all()
    decoder = remedies.with_minimum_norm(mlp_decoder(TINY), lowest=10**20)
    (kernel,) = [weight for weight in decoder.trainable_weights if weight.constraint]
    assert np.isfinite(kernel.constraint(kernel)).all()


@pytest.mark.parametrize("gamma", [0.3, 0.6])
def test_normalised_means_have_the_deviation_that_was_asked_for(gamma):
    encoder = remedies.normalised_encoder(TINY, gamma)
    mean, log_std = encoder(IMAGES.train, training=True)
    np.testing.assert_allclose(np.std(mean, axis=0), gamma, rtol=1e-3)
    assert (np.mean(kl_to_standard_normal(mean, log_std), axis=0) >= 0.999 * gamma**2 / 2).all()


def test_committed_deviations_stay_below_their_bound():
    encoder = remedies.committed_encoder(TINY, highest_std=0.7)
    head = encoder.get_layer("raw_log_std")
    head.bias.assign([100.0, 100.0])
    assert (np.exp(encoder(IMAGES.test)[1]) <= 0.7 + 1e-6).all()


# ---- the weight ----------------------------------------------------------------------


def steered(tolerance):
    return type("Steered", (remedies.GECO,), {"tolerance": tolerance})


def test_geco_lowers_the_weight_until_the_error_is_met():
    never, at_once = (trained(steered(t)) for t in (1e-3, 10.0))
    assert float(never.current_kl_weight()) < 0.1
    assert float(at_once.current_kl_weight()) > 1.1


def test_geco_begins_with_the_first_error_and_forgets_it_slowly():
    vae = steered(0.1)(mlp_encoder(TINY), mlp_decoder(TINY))
    for error in (0.3, 0.1):
        vae.count_step({"mse": np.float32(error)})
    assert float(vae.excess) == pytest.approx(vae.memory * 2, rel=1e-5)
    assert float(vae.log_multiplier) == pytest.approx(vae.rate * (2 + vae.memory * 2), rel=1e-5)


@pytest.mark.parametrize("tolerance", [0, -1.0, np.nan, None, "0.1"])
def test_geco_needs_a_tolerance(tolerance):
    with pytest.raises(ValueError, match="Steered.tolerance must be"):
        steered(tolerance)(mlp_encoder(TINY), mlp_decoder(TINY))
    with pytest.raises(ValueError, match="GECO.tolerance must be set"):
        remedies.GECO(mlp_encoder(TINY), mlp_decoder(TINY))


# ---- the scale -----------------------------------------------------------------------


def test_the_optimal_variance_is_the_error_of_the_batch():
    vae = remedies.OptimalVariance(mlp_encoder(TINY), mlp_decoder(TINY), Gaussian(1.0))
    logits = np.random.default_rng(0).normal(size=IMAGES.test.shape).astype("float32")
    means = 1 / (1 + np.exp(-logits))
    scale = np.sqrt(np.square(IMAGES.test - means).mean())
    expected = stats.norm(means, scale).logpdf(IMAGES.test).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(vae.log_likelihood(IMAGES.test, logits), expected, rtol=1e-4)


def test_the_learned_variance_is_best_at_the_error_and_moves_there():
    vae = trained(remedies.LearnedVariance, steps=200, learning_rate=1e-2)
    assert np.exp(vae.log_variance) < 0.02  # it began at 0.05
    logits = np.zeros_like(IMAGES.test)
    error = np.square(IMAGES.test - 0.5).mean()
    fits = []
    for factor in (0.9, 1.0, 1.1):
        vae.log_variance.assign(np.log(factor * error))
        fits.append(np.mean(vae.log_likelihood(IMAGES.test, logits)))
    assert fits[1] > max(fits[0], fits[2])


@pytest.mark.parametrize("model", [remedies.OptimalVariance, remedies.LearnedVariance])
def test_black_and_white_pixels_have_no_variance(model):
    with pytest.raises(ValueError, match="only Gaussian pixels"):
        model(mlp_encoder(TINY), mlp_decoder(TINY), Bernoulli())


# ---- steps ---------------------------------------------------------------------------


@pytest.mark.parametrize("model", [remedies.DecoderWaits, remedies.TwoOptimizers])
def test_the_decoder_moves_in_one_of_several_steps(model):
    patient = type("Patient", (model,), {"every": 3, "until": 6})
    vae = patient(mlp_encoder(TINY), mlp_decoder(TINY), Gaussian(0.05), seed=0)
    vae.compile("adam", jit_compile=False)
    turns = []
    for _ in range(9):
        encoder, decoder = weights_of(vae.encoder), weights_of(vae.decoder)
        vae.train_on_batch(IMAGES.train[:16])
        assert moved(encoder, vae.encoder) > 0
        turns.append(moved(decoder, vae.decoder) > 0)
    assert turns == [True, False, False, True, False, False, True, True, True]
    counts = [int(optimizer.iterations) for optimizer in vae.list_optimizers()]
    assert counts == ([9] if model is remedies.DecoderWaits else [9, 5])


def test_the_decoder_has_a_rate_of_its_own():
    model = type("Still", (remedies.TwoOptimizers,), {"until": 0, "decoder_rate": 1e-9})
    before = trained(model, steps=1)
    vae = trained(model, steps=9)
    assert moved(weights_of(before.encoder), vae.encoder) > 1e-3
    assert moved(weights_of(before.decoder), vae.decoder) < 1e-6


# ---- files ---------------------------------------------------------------------------


@keras.saving.register_keras_serializable("test_remedies")
class ToTolerance(remedies.GECO):
    """A remedy with settings of one's own."""

    tolerance, rate = 0.05, 0.1


CLASSES = [
    value
    for value in vars(remedies).values()
    if isinstance(value, type) and value.__module__ == "vae_utils.remedies"
]
CLASSES[CLASSES.index(remedies.GECO)] = ToTolerance  # GECO's own has no tolerance


def saved_and_loaded(vae, path):
    vae.save(path)
    return keras.saving.load_model(path)


def assert_trains_alike(vae, again):
    assert type(again) is type(vae)
    for _ in range(2):
        losses = [m.evaluate(IMAGES.test, verbose=0, return_dict=True) for m in (vae, again)]
        assert losses[0] == losses[1]
        steps = [m.train_on_batch(IMAGES.train[:16], return_dict=True) for m in (vae, again)]
        assert steps[0] == steps[1]
    for one, other in zip(state(vae), state(again), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("model", CLASSES, ids=lambda model: model.__name__)
def test_a_loaded_remedy_trains_on_as_the_saved_one(model, tmp_path):
    vae = model(mlp_encoder(TINY), mlp_decoder(TINY), Gaussian(0.05), seed=0)
    vae.compile("adam", jit_compile=False)
    vae.fit(IMAGES.train, batch_size=16, verbose=0)
    again = saved_and_loaded(vae, tmp_path / "vae.keras")
    if model is ToTolerance:
        assert float(again.current_kl_weight()) == float(vae.current_kl_weight()) != 1
    assert_trains_alike(vae, again)


NETWORKS = {
    "normalised": (remedies.normalised_encoder, mlp_decoder),
    "committed": (remedies.committed_encoder, mlp_decoder),
    "skip": (mlp_encoder, remedies.skip_decoder),
    "He": (mlp_encoder, lambda params: remedies.with_he_start(mlp_decoder(params))),
    "norm": (mlp_encoder, lambda params: remedies.with_minimum_norm(mlp_decoder(params), 5.0)),
}


@pytest.mark.parametrize(("encoder", "decoder"), NETWORKS.values(), ids=NETWORKS)
def test_a_loaded_network_trains_on_as_the_saved_one(encoder, decoder, tmp_path):
    vae = VAE(encoder(TINY), decoder(TINY), Gaussian(0.05), seed=0)
    vae.compile("adam", jit_compile=False)
    vae.fit(IMAGES.train, batch_size=16, verbose=0)
    assert_trains_alike(vae, saved_and_loaded(vae, tmp_path / "vae.keras"))


# ---- decoders ------------------------------------------------------------------------

DEEP = dataclasses.replace(TINY, mlp_decoder_units=(6, 6, 6))


def test_each_layer_of_a_skip_decoder_reads_the_code():
    decoder = remedies.skip_decoder(DEEP)
    dense = [layer for layer in decoder.layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.kernel.shape[0] for layer in dense] == [2, 8, 8, 8]
    # With nothing from the layer before, the last one still tells two codes apart.
    last = dense[-1]
    last.kernel.assign(np.where(np.arange(8)[:, None] < 6, 0.0, last.kernel))
    one, two = decoder(np.array([[0.0, 0.0], [1.0, 1.0]], "float32")).numpy()
    assert np.abs(one - two).max() > 0.1


def test_he_start_values_keep_the_variance():
    deep = dataclasses.replace(TINY, latent_size=50, mlp_decoder_units=(400,) * 4)
    for of, expected in ((mlp_decoder, (0.0, 0.1)), (he_decoder, (0.6, 1.6))):
        decoder = of(deep)
        hidden = keras.Model(decoder.input, decoder.layers[4].output)
        codes = np.random.default_rng(0).standard_normal((500, 50)).astype("float32")
        # Half of the squares are left after a ReLU, and He's values double them.
        low, high = expected
        assert low < np.square(hidden(codes)).mean() < high


def he_decoder(params):
    return remedies.with_he_start(mlp_decoder(params))


def test_runs_with_he_start_values_depend_on_their_seed():
    one, again, other = (trained(decoder=he_decoder, steps=1, seed=s) for s in (3, 3, 4))
    assert moved(weights_of(one.decoder), again.decoder) == 0
    assert moved(weights_of(one.decoder), other.decoder) > 0.1


def test_a_minimum_norm_is_kept_in_training():
    vae = trained(decoder=lambda params: remedies.with_minimum_norm(mlp_decoder(params), 5.0))
    kernel = vae.decoder.layers[1].kernel.numpy()
    assert kernel.shape[0] == TINY.latent_size
    assert (np.linalg.norm(kernel, axis=1) >= 5.0 - 1e-3).all()


def test_a_minimum_norm_leaves_larger_weights_alone():
    decoder = remedies.with_minimum_norm(mlp_decoder(TINY), 1.0)
    kernel = np.zeros((2, 16), "float32")
    kernel[:, :2] = [[3.0, 4.0], [0.3, 0.4]]
    bounded = decoder.layers[1].kernel.constraint(kernel)
    np.testing.assert_allclose(bounded[:, :2], [[3.0, 4.0], [0.6, 0.8]], rtol=1e-5)


def test_a_minimum_norm_is_one_for_layers_that_read_the_code():
    wide = dataclasses.replace(TINY, latent_size=16, mlp_decoder_units=(16,))
    decoder = remedies.with_minimum_norm(mlp_decoder(wide), 1.0)
    dense = [layer for layer in decoder.layers if isinstance(layer, keras.layers.Dense)]
    assert [layer.kernel.constraint is not None for layer in dense] == [True, False]


@pytest.mark.parametrize(
    "network",
    [
        keras.Sequential([keras.layers.Dense(4, activation="relu")]),
        keras.Sequential([keras.Input((2,)), keras.layers.ReLU(), keras.layers.Dense(4)]),
        keras.Sequential([keras.Input((2,)), keras.layers.ReLU(), keras.layers.Activation("relu")]),
    ],
    ids=["not built", "a ReLU apart", "no weights"],
)
def test_a_network_that_they_cannot_change_is_refused(network):
    with pytest.raises(ValueError, match="must be built"):
        remedies.with_he_start(network)
    with pytest.raises(ValueError, match="must be built"):
        remedies.with_minimum_norm(network, 1.0)


def test_a_changed_schedule_of_a_class_is_another_program():
    class Scheduled(remedies.TwoOptimizers):
        decoder_rate = keras.optimizers.schedules.CosineDecay(1e-3, 100)

    before = settings_of(Scheduled)
    assert settings_of(Scheduled) == before
    Scheduled.decoder_rate = keras.optimizers.schedules.CosineDecay(1e-5, 100)
    assert settings_of(Scheduled) != before


def test_two_optimizers_refuse_a_scaled_loss():
    vae = remedies.TwoOptimizers(mlp_encoder(TINY), mlp_decoder(TINY))
    with pytest.raises(ValueError, match="mixed_bfloat16"):
        vae.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()))
