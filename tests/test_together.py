"""Several seeds trained as one program are the models that `train` makes of each."""

import dataclasses

import keras
import numpy as np
import pytest
from conftest import TINY, bright_bars, precision
from keras import layers

from vae_utils import (
    VAE,
    Bernoulli,
    ContextVAE,
    Gaussian,
    Images,
    context_decoder,
    mlp_decoder,
    mlp_encoder,
    remedies,
    train,
    train_seeds,
)
from vae_utils.programs import state
from vae_utils.schedules import Linear, QualityGate

IMAGES = Images(bright_bars(64), bright_bars(20, seed=1), None, None, "own", "made for tests")
SEEDS, STEPS = (3, 5, 11), 12


def normalised_encoder(params):
    plain = mlp_encoder(params)
    # Without a bias: after it, a normalisation leaves gradients of nothing but rounding.
    mean = layers.Dense(params.latent_size, use_bias=False)(plain.layers[2].output)
    mean = layers.BatchNormalization()(mean)
    return keras.Model(plain.input, [mean, plain.outputs[1]])


def bounded_decoder(params):
    decoder = mlp_decoder(params)
    decoder.layers[-2].kernel.constraint = keras.constraints.UnitNorm(axis=1)
    return decoder


class Patient(remedies.TwoOptimizers):
    every, until = 3, 100


CASES = {
    "mlp": ("mlp", {}),
    "a schedule": ("mlp", {"kl_weight": Linear(rate=0.1, start=3)}),
    "a gate": ("mlp", {"kl_weight": QualityGate(mse=0.2, rate=0.1)}),
    "a rate that falls": (
        "mlp",
        {"learning_rate": keras.optimizers.schedules.CosineDecay(1e-2, STEPS)},
    ),
    "convolutions": ("conv", {}),
    "pixels that are hidden": (
        (ContextVAE, mlp_encoder, context_decoder),
        {
            "likelihood": Bernoulli(),
            "params": dataclasses.replace(TINY, pixel_dropout=0.3, context=9),
        },
    ),
    "batch normalisation": ((VAE, normalised_encoder, mlp_decoder), {}),
    "a constraint": ((VAE, mlp_encoder, bounded_decoder), {}),
    "a weight of the model": ((remedies.LearnedVariance, mlp_encoder, mlp_decoder), {}),
    "two optimizers": ((Patient, mlp_encoder, mlp_decoder), {}),
}


def settings_of(case):
    architecture, changes = CASES[case]
    return architecture, {
        **dict(likelihood=Gaussian(0.05), kl_weight=1.0, params=TINY),
        **changes,
    }


@pytest.mark.parametrize("case", CASES)
def test_each_model_is_that_of_its_seed(case):
    architecture, settings = settings_of(case)
    vaes = train_seeds(architecture, IMAGES, STEPS, seeds=SEEDS, verbose=False, **settings)
    start = train_seeds(architecture, IMAGES, 1, seeds=SEEDS, verbose=False, **settings)
    for seed, vae, before in zip(SEEDS, vaes, start, strict=True):
        alone = train(architecture, IMAGES, STEPS, seed=seed, every=4, callbacks=[], **settings).vae
        assert vae.seed == seed and int(vae.step) == STEPS
        for one, two in zip(state(vae), state(alone), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
        moved = [np.abs(w - v).max() for w, v in zip(vae.get_weights(), before.get_weights())]
        assert max(moved) > 0.003  # so that the comparison is not one of start values


def test_a_gate_opens_for_each_seed_alone():
    _, settings = settings_of("mlp")
    settings |= {"kl_weight": QualityGate(mse=0.15, rate=0.1), "learning_rate": 1e-2}
    vaes = train_seeds("mlp", IMAGES, STEPS, seeds=range(4), verbose=False, **settings)
    opened = [int(vae.gate_opened_at) for vae in vaes]
    assert min(opened) > 0 and len(set(opened)) > 1


def test_seeds_do_not_touch_each_other():
    """The first of three models is the first of two, and one alone."""
    _, settings = settings_of("mlp")
    for seeds in ((3, 5), (3,)):
        few = train_seeds("mlp", IMAGES, STEPS, seeds=seeds, verbose=False, **settings)
        many = train_seeds("mlp", IMAGES, STEPS, seeds=SEEDS, verbose=False, **settings)
        for one, two in zip(few[0].get_weights(), many[0].get_weights(), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)


def test_equal_arguments_give_equal_models():
    _, settings = settings_of("mlp")
    one, two = (
        train_seeds("mlp", IMAGES, STEPS, seeds=SEEDS, verbose=False, **settings) for _ in range(2)
    )
    for vae, again in zip(one, two, strict=True):
        for weights, others in zip(vae.get_weights(), again.get_weights(), strict=True):
            np.testing.assert_array_equal(weights, others)


def test_a_model_can_be_trained_on_and_saved(tmp_path):
    _, settings = settings_of("mlp")
    vae = train_seeds("mlp", IMAGES, STEPS, seeds=SEEDS, verbose=False, **settings)[1]
    vae.save(tmp_path / "vae.keras")
    loaded = keras.saving.load_model(tmp_path / "vae.keras")
    np.testing.assert_array_equal(loaded.encode(IMAGES.test)[0], vae.encode(IMAGES.test)[0])
    vae.fit(IMAGES.train, batch_size=16, verbose=0)
    assert int(vae.step) == STEPS + 4


def test_a_scaled_loss_is_refused():
    _, settings = settings_of("mlp")
    with precision("mixed_float16"):
        with pytest.raises(ValueError, match="mixed_bfloat16"):
            train_seeds("mlp", IMAGES, STEPS, seeds=SEEDS, verbose=False, **settings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": []}, "at least one whole number"),
        ({"seeds": [1, 2.5]}, "each of seeds must be a whole number"),
        ({"kl_weight": -1}, "at least 0"),
        ({"steps": 0}, "steps must be a whole number"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    _, settings = settings_of("mlp")
    arguments = {"steps": 2, "seeds": SEEDS, **settings, **changes}
    with pytest.raises(ValueError, match=message):
        train_seeds("mlp", IMAGES, **arguments)
