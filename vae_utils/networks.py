"""Encoders and decoders: plain Keras models.

An encoder maps images (n, h, w, c) to the mean and the log standard deviation
of the posterior, each (n, latent_size). A decoder maps codes (n, latent_size)
to logits (n, h, w, c), one per pixel.
"""

import math

import keras
from keras import layers, ops

from vae_utils.params import Params


@keras.saving.register_keras_serializable("vae_utils")
class SoftBound(layers.Layer):
    """bound · tanh(x / bound): the identity near 0, never beyond ± bound.

    A log standard deviation that runs off to infinity turns 0 · KL into NaN.
    """

    def __init__(self, bound, **kwargs):
        super().__init__(**kwargs)
        self.bound = bound

    def call(self, inputs):
        return self.bound * ops.tanh(inputs / self.bound)

    def get_config(self):
        return {**super().get_config(), "bound": self.bound}


def _posterior(features, params):
    """The two heads of every encoder."""
    mean = layers.Dense(params.latent_size, name="mean")(features)
    bound = params.log_std_bound
    start = bound * math.atanh(params.log_std_start / bound)
    raw = layers.Dense(
        params.latent_size,
        bias_initializer=keras.initializers.Constant(start),
        name="raw_log_std",
    )(features)
    return mean, SoftBound(bound, name="log_std")(raw)


def conv_encoder(params: Params = Params()) -> keras.Model:
    """Strided convolutions, then one dense layer: the high-capacity encoder."""
    images = keras.Input(params.image_shape, name="images")
    hidden = images
    for filters in params.conv_filters:
        hidden = layers.Conv2D(
            filters, params.conv_kernel, params.conv_stride, padding="same", activation="relu"
        )(hidden)
    hidden = layers.Dense(params.conv_units, activation="relu")(layers.Flatten()(hidden))
    return keras.Model(images, _posterior(hidden, params), name="conv_encoder")


def conv_decoder(params: Params = Params()) -> keras.Model:
    """Dense layers, then transposed convolutions: the high-capacity decoder.

    Raises:
        ValueError: if the image's sides are not multiples of the total stride.
    """
    height, width, channels = params.image_shape
    total_stride = params.conv_stride ** len(params.conv_filters)
    if height % total_stride or width % total_stride:
        raise ValueError(
            f"the conv decoder needs image sides that are multiples of {total_stride}; "
            f"got {height} x {width}"
        )
    smallest = (height // total_stride, width // total_stride, params.conv_filters[-1])
    codes = keras.Input((params.latent_size,), name="codes")
    hidden = layers.Dense(params.conv_units, activation="relu")(codes)
    hidden = layers.Dense(math.prod(smallest), activation="relu")(hidden)
    hidden = layers.Reshape(smallest)(hidden)
    for filters in reversed(params.conv_filters[:-1]):
        hidden = layers.Conv2DTranspose(
            filters, params.conv_kernel, params.conv_stride, padding="same", activation="relu"
        )(hidden)
    logits = layers.Conv2DTranspose(
        channels, params.conv_kernel, params.conv_stride, padding="same", name="logits"
    )(hidden)
    return keras.Model(codes, logits, name="conv_decoder")


def mlp_encoder(params: Params = Params()) -> keras.Model:
    """ReLU layers on the flattened image: the low-capacity encoder."""
    images = keras.Input(params.image_shape, name="images")
    hidden = layers.Flatten()(images)
    for units in params.mlp_encoder_units:
        hidden = layers.Dense(units, activation="relu")(hidden)
    return keras.Model(images, _posterior(hidden, params), name="mlp_encoder")


def mlp_decoder(params: Params = Params()) -> keras.Model:
    """ReLU layers, then one logit per pixel: the low-capacity decoder."""
    codes = keras.Input((params.latent_size,), name="codes")
    hidden = codes
    for units in params.mlp_decoder_units:
        hidden = layers.Dense(units, activation="relu")(hidden)
    hidden = layers.Dense(math.prod(params.image_shape))(hidden)
    logits = layers.Reshape(params.image_shape, name="logits")(hidden)
    return keras.Model(codes, logits, name="mlp_decoder")
