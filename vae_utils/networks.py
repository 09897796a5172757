"""Encoders and decoders: plain Keras models.

An encoder maps images (n, h, w, c) to the mean and the log standard deviation
of the posterior, each (n, latent_size). A decoder maps codes (n, latent_size)
to logits (n, h, w, c), one per pixel.
"""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from vae_utils.params import Params, check_params


@keras.saving.register_keras_serializable("vae_utils")
class SoftBound(layers.Layer):
    """bound · tanh(x / bound): the identity near 0, never beyond ± bound.

    A log standard deviation that runs off to infinity turns 0 · KL into NaN.
    """

    def __init__(self, bound: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bound = bound

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return self.bound * ops.tanh(inputs / self.bound)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "bound": self.bound}


def _posterior(features, params):
    """Add the two heads of every encoder: mean and log standard deviation."""
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
    """Build the high-capacity encoder: strided convolutions, then one dense layer.

    Args:
        params: sizes of the network and of the images.

    Returns:
        A Keras model: images (n, h, w, c) to mean and log standard deviation, each
        (n, latent_size).

    Raises:
        ValueError: if `params` is not a `Params`.

    Example:
        >>> encoder = conv_encoder(Params(image_shape=(20, 28, 3), latent_size=8))
        >>> encoder.input_shape, encoder.output_shape
        ((None, 20, 28, 3), [(None, 8), (None, 8)])
    """
    check_params(params)
    images = keras.Input(params.image_shape, name="images")
    hidden = images
    for filters in params.conv_filters:
        hidden = layers.Conv2D(
            filters, params.conv_kernel, params.conv_stride, padding="same", activation="relu"
        )(hidden)
    hidden = layers.Dense(params.conv_units, activation="relu")(layers.Flatten()(hidden))
    return keras.Model(images, _posterior(hidden, params), name="conv_encoder")


def conv_decoder(params: Params = Params()) -> keras.Model:
    """Build the high-capacity decoder: dense layers, then transposed convolutions.

    Args:
        params: sizes of the network and of the images.

    Returns:
        A Keras model: codes (n, latent_size) to logits (n, h, w, c).

    Raises:
        ValueError: if the image's sides are not multiples of the total stride, or if `params`
            is not a `Params`.

    Example:
        >>> decoder = conv_decoder(Params(image_shape=(20, 28, 3), latent_size=8))
        >>> decoder.input_shape, decoder.output_shape
        ((None, 8), (None, 20, 28, 3))
    """
    check_params(params)
    height, width, channels = params.image_shape
    total_stride = params.conv_stride ** len(params.conv_filters)
    if height % total_stride or width % total_stride:
        raise ValueError(
            f"the conv decoder needs image sides that are multiples of {total_stride}; got "
            f"{height} x {width}, as image_shape is (height, width, channels). "
            f"({total_stride} is conv_stride to the power of the number of conv_filters.) "
            f"Pad the images to {-(-height // total_stride) * total_stride} x "
            f"{-(-width // total_stride) * total_stride}, or take mlp_decoder"
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
    """Build the low-capacity encoder: ReLU layers on the flattened image.

    Args:
        params: sizes of the network and of the images.

    Returns:
        A Keras model: images (n, h, w, c) to mean and log standard deviation, each
        (n, latent_size).

    Raises:
        ValueError: if `params` is not a `Params`.

    Example:
        >>> mlp_encoder(Params(latent_size=2)).output_shape
        [(None, 2), (None, 2)]
    """
    check_params(params)
    images = keras.Input(params.image_shape, name="images")
    hidden = layers.Flatten()(images)
    for units in params.mlp_encoder_units:
        hidden = layers.Dense(units, activation="relu")(hidden)
    return keras.Model(images, _posterior(hidden, params), name="mlp_encoder")


def mlp_decoder(params: Params = Params()) -> keras.Model:
    """Build the low-capacity decoder: ReLU layers, then one logit per pixel.

    Args:
        params: sizes of the network and of the images.

    Returns:
        A Keras model: codes (n, latent_size) to logits (n, h, w, c).

    Raises:
        ValueError: if `params` is not a `Params`.

    Example:
        >>> linear = mlp_decoder(Params(mlp_decoder_units=()))  # no hidden layer
        >>> linear.output_shape
        (None, 28, 28, 1)
    """
    check_params(params)
    codes = keras.Input((params.latent_size,), name="codes")
    logits = layers.Reshape(params.image_shape, name="logits")(_mlp_logits(codes, params))
    return keras.Model(codes, logits, name="mlp_decoder")


def _mlp_logits(codes, params):
    """Return what the code alone says about each pixel: (n, pixels)."""
    hidden = codes
    for units in params.mlp_decoder_units:
        hidden = layers.Dense(units, activation="relu")(hidden)
    return layers.Dense(math.prod(params.image_shape))(hidden)


@keras.saving.register_keras_serializable("vae_utils")
class MaskedDense(layers.Dense):
    """A dense layer in which each unit reads only earlier inputs, at most `context` back.

    Every input and every unit has a time. A unit reads the inputs with
    0 < its time − their time ≤ `context`. (The masks are those of Germain et al. 2015,
    arXiv 1502.03509, section 3, except for the window.)

    Args:
        input_times: one number for each input.
        unit_times: one number for each unit.
        context: how far back a unit reads, at least 0; None for all that came before.
        settings: as for `Dense`, without `units`.
    """

    # Dense's own save kernel and bias only.
    save_own_variables = layers.Layer.save_own_variables
    load_own_variables = layers.Layer.load_own_variables

    def __init__(
        self,
        input_times: Sequence[float] | np.ndarray,
        unit_times: Sequence[float] | np.ndarray,
        context: float | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**{**settings, "units": len(unit_times)})
        self.input_times = [float(time) for time in input_times]
        self.unit_times = [float(time) for time in unit_times]
        self.context = context

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        ages = np.subtract.outer(self.unit_times, self.input_times).T
        oldest = math.inf if self.context is None else self.context
        # A weight that is not trained, so that runs with different masks share a program.
        self.mask = self.add_weight(name="mask", shape=ages.shape, trainable=False)
        self.mask.assign((ages > 0) & (ages <= oldest))

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        outputs = ops.matmul(inputs, self.kernel * self.mask)
        return self.activation(outputs + self.bias if self.use_bias else outputs)

    def get_config(self) -> dict[str, Any]:
        own = ("input_times", "unit_times", "context")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


def context_decoder(params: Params = Params()) -> keras.Model:
    """Build a decoder that also reads pixels: it adds logits from them to the MLP decoder's.

    Pixels are drawn row by row. Each logit reads the `params.context` pixels before its own
    through one masked layer (as in Chen et al. 2017, arXiv 1611.02731, a window keeps it from
    seeing the whole image), or all pixels before its own through two, with
    `params.context_units` between them.

    Args:
        params: sizes of the network and of the images.

    Returns:
        A Keras model: [codes (n, latent_size), images (n, h, w, c)] to logits (n, h, w, c).

    Raises:
        ValueError: if `params` is not a `Params`.

    Example:
        >>> decoder = context_decoder(Params(latent_size=2, context=3))
        >>> decoder.input_shape, decoder.output_shape
        ([(None, 2), (None, 28, 28, 1)], (None, 28, 28, 1))
    """
    check_params(params)
    codes = keras.Input((params.latent_size,), name="codes")
    seen = keras.Input(params.image_shape, name="seen")
    times = np.arange(math.prod(params.image_shape))
    # From 0 and 1 to −1 and 1, so that 0 stands for a pixel that is not seen.
    hidden = layers.Rescaling(2.0, offset=-1.0)(layers.Flatten()(seen))
    hidden = layers.Dropout(params.pixel_dropout)(hidden)
    if params.context_units:
        between = np.linspace(times[0] + 0.5, times[-1] - 0.5, params.context_units)
        hidden = MaskedDense(times, between, activation="relu")(hidden)
        from_pixels = MaskedDense(between, times)(hidden)
    else:
        from_pixels = MaskedDense(times, times, params.context)(hidden)
    logits = layers.Add()([_mlp_logits(codes, params), from_pixels])
    logits = layers.Reshape(params.image_shape, name="logits")(logits)
    return keras.Model([codes, seen], logits, name="context_decoder")
