"""Shapes, sizes and start values of the networks."""

import math

import keras
import numpy as np
import pytest

from vae_utils import Params, conv_decoder, conv_encoder, mlp_decoder, mlp_encoder
from vae_utils.networks import SoftBound

ENCODERS = pytest.mark.parametrize("encoder", [conv_encoder, mlp_encoder])
DECODERS = pytest.mark.parametrize("decoder", [conv_decoder, mlp_decoder])


def parameters(*layers):
    """Kernel and bias of dense layers or convolutions, from (inputs, outputs) of each."""
    return sum(inputs * outputs + outputs for inputs, outputs in layers)


# ---- the original architectures ------------------------------------------------


def test_conv_encoder_is_that_of_the_original_analysis():
    encoder = conv_encoder()
    first, second = (layer for layer in encoder.layers if isinstance(layer, keras.layers.Conv2D))
    for layer in (first, second):
        assert (layer.filters, layer.kernel_size, layer.strides) == (64, (4, 4), (2, 2))
    assert first.output.shape == (None, 14, 14, 64)
    assert second.output.shape == (None, 7, 7, 64)
    heads = [(256, 32), (256, 32)]
    assert encoder.count_params() == parameters(
        (4 * 4 * 1, 64), (4 * 4 * 64, 64), (7 * 7 * 64, 256), *heads
    )


def test_conv_decoder_is_that_of_the_original_analysis():
    decoder = conv_decoder()
    # A transposed convolution has one bias for each filter, as a convolution has.
    assert decoder.count_params() == parameters(
        (32, 256), (256, 7 * 7 * 64), (4 * 4 * 64, 64), (4 * 4 * 64, 1)
    )
    last = decoder.layers[-1]
    assert (last.filters, last.kernel_size, last.strides) == (1, (4, 4), (2, 2))


def test_mlp_nets_are_those_of_the_original_analysis():
    assert mlp_encoder().count_params() == parameters((784, 500), (500, 500), (500, 32), (500, 32))
    assert mlp_decoder().count_params() == parameters((32, 500), (500, 784))


@ENCODERS
@DECODERS
def test_shapes_at_the_defaults(encoder, decoder):
    images = np.zeros((3, 28, 28, 1), "float32")
    mean, log_std = encoder()(images)
    assert mean.shape == log_std.shape == (3, 32)
    assert decoder()(mean).shape == (3, 28, 28, 1)


@ENCODERS
@DECODERS
def test_shapes_follow_the_params(encoder, decoder):
    params = Params(image_shape=(8, 12, 3), latent_size=5, conv_filters=(4, 6), conv_units=7)
    mean, log_std = encoder(params)(np.zeros((2, 8, 12, 3), "float32"))
    assert mean.shape == log_std.shape == (2, 5)
    assert decoder(params)(mean).shape == (2, 8, 12, 3)


@DECODERS
def test_logits_are_not_bounded(decoder, tiny):
    """A decoder that ended in a sigmoid would be squashed twice."""
    keras.utils.set_random_seed(0)
    logits = np.asarray(decoder(tiny)(np.full((1, 2), 1e3, "float32")))
    assert logits.min() < -1 or logits.max() > 2


def test_number_of_conv_layers_follows_the_params():
    params = Params(image_shape=(16, 16, 1), conv_filters=(3, 5, 7), conv_units=4, latent_size=2)
    decoder = conv_decoder(params)
    filters = [
        layer.filters for layer in decoder.layers if isinstance(layer, keras.layers.Conv2DTranspose)
    ]
    assert filters == [5, 3, 1]
    assert decoder.output_shape == (None, 16, 16, 1)


@pytest.mark.parametrize("shape", [(27, 28, 1), (28, 30, 1), (2, 2, 1)])
def test_conv_decoder_refuses_sides_that_its_strides_do_not_divide(shape):
    height, width, _ = shape
    with pytest.raises(ValueError, match=f"multiples of 4; got {height} x {width}"):
        conv_decoder(Params(image_shape=shape))


def test_mlp_decoder_takes_any_sides():
    params = Params(image_shape=(7, 5, 1), latent_size=2)
    assert mlp_decoder(params).output_shape == (None, 7, 5, 1)


# ---- the log standard deviation ------------------------------------------------


@ENCODERS
@pytest.mark.parametrize("start", [0.0, -3.0, 2.0, -9.9])
def test_log_std_starts_where_the_params_say(encoder, start):
    params = Params(log_std_start=start)
    # A black image makes all features 0, so only the start value is left.
    mean, log_std = encoder(params)(np.zeros((1, 28, 28, 1), "float32"))
    np.testing.assert_allclose(log_std, start, atol=2e-5)
    np.testing.assert_array_equal(mean, 0)


@ENCODERS
def test_log_std_starts_near_its_start_value_on_any_image(encoder):
    images = np.random.default_rng(0).uniform(size=(8, 28, 28, 1)).astype("float32")
    _, log_std = encoder(Params(log_std_start=-3.0))(images)
    assert abs(np.mean(log_std) + 3) < 0.2


@ENCODERS
def test_log_std_never_leaves_its_bound(encoder):
    keras.utils.set_random_seed(0)
    params = Params(log_std_bound=4.0)
    images = np.random.default_rng(0).uniform(-1e6, 1e6, (16, 28, 28, 1)).astype("float32")
    _, log_std = encoder(params)(images)
    assert np.abs(log_std).max() <= 4.0
    assert np.abs(log_std).max() > 3.9


def test_soft_bound_is_the_identity_near_zero_and_never_beyond():
    bound = SoftBound(10.0)
    small = np.linspace(-0.1, 0.1, 11).astype("float32")
    np.testing.assert_allclose(bound(small), small, atol=1e-5)
    inputs = np.float32([-1e30, -100, -5, 5, 100, 1e30])
    outputs = np.asarray(bound(inputs))
    np.testing.assert_allclose(outputs, 10 * np.tanh(inputs / 10), rtol=1e-6)
    assert (np.abs(outputs) <= 10).all()
    assert math.isclose(outputs[3], -outputs[2], rel_tol=1e-6)


# ---- Keras habits --------------------------------------------------------------


@pytest.mark.parametrize("build", [conv_encoder, mlp_encoder, conv_decoder, mlp_decoder])
def test_a_network_is_saved_and_loaded_like_any_keras_model(build, tiny, tmp_path):
    model = build(tiny)
    inputs = np.random.default_rng(0).uniform(size=(3, *model.input_shape[1:])).astype("float32")
    model.save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras")
    for before, after in zip(
        keras.tree.flatten(model(inputs)), keras.tree.flatten(again(inputs)), strict=True
    ):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("build", [conv_encoder, mlp_encoder, conv_decoder, mlp_decoder])
def test_equal_seeds_give_equal_start_values(build, tiny):
    weights = []
    for seed in (3, 3, 4):
        keras.utils.set_random_seed(seed)
        weights.append(build(tiny).get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(weights[0], weights[1]))
    assert not all(np.array_equal(a, b) for a, b in zip(weights[0], weights[2]))
