"""The one place of every tunable number."""

import dataclasses

import numpy as np
import pytest

from vae_utils import Params, seed_from_environment


def test_defaults_are_those_of_the_original_analysis():
    params = Params()
    assert params.image_shape == (28, 28, 1)
    assert params.latent_size == 32
    assert (params.conv_filters, params.conv_kernel, params.conv_stride) == ((64, 64), 4, 2)
    assert params.conv_units == 256
    assert params.mlp_encoder_units == (500, 500)
    assert params.mlp_decoder_units == (500,)
    assert params.batch_size == 64
    assert params.learning_rate == 1e-3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_shape", (28, 28)),
        ("image_shape", 28),
        ("image_shape", (28, 0, 1)),
        ("latent_size", 0),
        ("latent_size", -3),
        ("latent_size", 2.5),
        ("latent_size", "8"),
        ("conv_filters", ()),
        ("conv_filters", (64, 0)),
        ("conv_kernel", 0),
        ("conv_stride", 0),
        ("conv_units", 0),
        ("mlp_encoder_units", (500, 0)),
        ("mlp_decoder_units", (-1,)),
        ("mlp_decoder_units", 200),
        ("context", -1),
        ("context", 1.5),
        ("context_units", -1),
        ("context_units", None),
        ("pixel_dropout", -0.1),
        ("pixel_dropout", 1.0),
        ("pixel_dropout", float("nan")),
        ("batch_size", 0),
        ("learning_rate", 0.0),
        ("learning_rate", -1e-3),
        ("learning_rate", float("nan")),
        ("log_std_start", 10.0),
        ("log_std_start", -11.0),
        ("log_std_start", float("nan")),
        ("log_std_bound", 0.0),
        ("log_std_bound", float("nan")),
    ],
)
def test_a_bad_number_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        Params(**{name: value})


def test_a_hidden_context_layer_sees_all_pixels():
    assert Params(context_units=8).context is None
    with pytest.raises(ValueError, match="context_units"):
        Params(context_units=8, context=3)


def test_sizes_become_integers_of_python():
    """Keras refuses NumPy's."""
    sizes = {"latent_size": np.int8(3), "mlp_encoder_units": [np.int64(4)], "context": np.int32(2)}
    params = Params(**sizes)
    given = (params.latent_size, *params.mlp_encoder_units, params.context)
    assert given == (3, 4, 2) and {type(size) for size in given} == {int}


def test_replace_checks_too():
    assert dataclasses.replace(Params(), latent_size=2).latent_size == 2
    with pytest.raises(ValueError, match="latent_size"):
        dataclasses.replace(Params(), latent_size=0)


def test_params_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Params().latent_size = 3


def test_networks_without_hidden_layers_are_allowed():
    assert Params(mlp_encoder_units=(), mlp_decoder_units=()).mlp_encoder_units == ()


def test_seed_is_the_default_unless_the_environment_says_otherwise(monkeypatch):
    assert seed_from_environment(7) == 7
    monkeypatch.setenv("VAE_SEED", "  ")
    assert seed_from_environment(7) == 7
    monkeypatch.setenv("VAE_SEED", " 12 ")
    assert seed_from_environment(7) == 12
    monkeypatch.setenv("VAE_SEED", "0")
    assert seed_from_environment(7) == 0


@pytest.mark.parametrize("text", ["-1", "1.5", "one", "1e3", "0x10", "²", "99999999999"])
def test_a_bad_seed_in_the_environment_is_refused(monkeypatch, text):
    monkeypatch.setenv("VAE_SEED", text)
    with pytest.raises(ValueError, match="VAE_SEED must be a whole number"):
        seed_from_environment(7)
