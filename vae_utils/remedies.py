"""Published remedies against posterior collapse: parts of a model, and networks.

A class of this module goes before the model's own, `class MyVAE(FreeBits, VAE)`, and changes one
of its methods; its numbers are class attributes. They aren't saved: set them in a subclass of your
own, and register it, as for any Keras model. A function builds a network, as those of `networks`
do. Chapter 8 compares all of them.
"""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from vae_utils.checks import check_at_least, check_network, check_positive
from vae_utils.likelihoods import Gaussian
from vae_utils.model import VAE
from vae_utils.networks import mlp_encoder
from vae_utils.params import Params, check_params

# ---- a floor under the KL --------------------------------------------------------------


@keras.saving.register_keras_serializable("vae_utils")
class FreeBits(VAE):
    """The first `free` nats of each unit's KL, averaged over the batch, cost nothing.

    Kingma et al. 2016 (arXiv 1606.04934).

    Attributes:
        free: nats for each unit, 0.25.

    Example:
        >>> from vae_utils import mlp_decoder, mlp_encoder
        >>> vae = FreeBits(mlp_encoder(), mlp_decoder())
        >>> float(vae.kl_loss(np.array([[0.1, 1.0]])))  # two units of one image
        1.25
    """

    free = 0.25

    def kl_loss(self, kl):
        return ops.sum(ops.maximum(ops.mean(kl, axis=0), self.free))


def normalised_encoder(params: Params = Params(), gamma: float = 0.6) -> keras.Model:
    """Build an MLP encoder whose means are normalised over the batch.

    Each unit's means get the standard deviation `gamma`, and so a KL of at least gamma²/2
    (BN-VAE, Zhu et al. 2020, arXiv 2004.12585).

    Args:
        params: sizes of the network and of the images.
        gamma: standard deviation of the means, above 0.

    Returns:
        A Keras model, as `mlp_encoder`.

    Raises:
        ValueError: if `params` is not a `Params`, or `gamma` is not positive.

    Example:
        >>> images = np.random.default_rng(0).uniform(size=(100, 28, 28, 1))
        >>> mean, log_std = normalised_encoder(gamma=0.5)(images, training=True)
        >>> np.std(mean, axis=0)[:2].round(3)
        array([0.5, 0.5], dtype=float32)
    """
    gamma = float(check_positive(gamma, "gamma"))  # TensorFlow takes no integers above 2⁶³
    plain = mlp_encoder(params)
    mean, log_std = plain.outputs
    # Keras' epsilon, 1e-3, would let small variances stay small, below the floor.
    mean = layers.BatchNormalization(momentum=0.9, epsilon=1e-8, scale=False)(mean)
    return keras.Model(plain.input, [layers.Rescaling(gamma)(mean), log_std])


def committed_encoder(params: Params = Params(), highest_std: float = 0.7) -> keras.Model:
    """Build an MLP encoder whose standard deviations stay below a bound.

    With a bound below 1, no posterior can be the prior (after the δ-VAE, Razavi et al. 2019,
    arXiv 1901.03416).

    Args:
        params: sizes of the network and of the images.
        highest_std: the bound, above 0.

    Returns:
        A Keras model, as `mlp_encoder`.

    Raises:
        ValueError: if `params` is not a `Params`, or `highest_std` is not positive.

    Example:
        >>> images = np.random.default_rng(0).uniform(size=(100, 28, 28, 1))
        >>> mean, log_std = committed_encoder(highest_std=0.7)(images)
        >>> bool(np.exp(log_std).max() < 0.7)
        True
    """
    check_positive(highest_std, "highest_std")
    plain = mlp_encoder(params)
    mean, log_std = plain.outputs
    # The standard deviation is highest_std · sigmoid(raw): below the bound, whatever raw is.
    log_share = layers.Activation("log_sigmoid")(log_std)
    bounded = layers.Rescaling(1.0, offset=math.log(highest_std))(log_share)
    return keras.Model(plain.input, [mean, bounded])


# ---- the weight, steered by the error --------------------------------------------------


@keras.saving.register_keras_serializable("vae_utils")
class GECO(VAE):
    """The KL weight is adjusted so that the error settles at a `tolerance`.

    Rezende & Viola 2018 (arXiv 1810.00597), algorithm 1. They weight the
    reconstruction by λ; divided by λ, this is a KL weight of 1/λ, for Gaussian
    pixels of a fixed variance. `rate` and `memory` are for about a thousand
    training steps: with a memory as long as theirs, the errors of the first
    steps would decide.

    Attributes:
        tolerance: squared error per pixel, with pixels in [0, 1]; has no default.
        rate: step size of ln λ, 0.01.
        memory: decay of the moving average of the error, 0.9.

    Raises:
        ValueError: unless `tolerance`, a squared error per pixel, is set to
            a number above 0.

    Example:
        >>> from vae_utils import mlp_decoder, mlp_encoder
        >>> class Steered(GECO):
        ...     tolerance = 0.01  # squared error per pixel
        >>> vae = Steered(mlp_encoder(), mlp_decoder())
        >>> vae.compile("adam")
        >>> images = np.random.default_rng(0).uniform(size=(320, 28, 28, 1))
        >>> history = vae.fit(images, batch_size=32, verbose=0)
        >>> float(vae.current_kl_weight()) < 0.5  # noise can't be reconstructed so well
        True
    """

    tolerance: float
    rate, memory = 0.01, 0.9

    def __init__(self, *args: Any, **settings: Any) -> None:
        tolerance = f"{type(self).__name__}.tolerance"
        if not hasattr(self, "tolerance"):
            raise ValueError(f"{tolerance} must be set in a subclass: to a squared error per pixel")
        check_positive(self.tolerance, tolerance)
        super().__init__(*args, **settings)
        for name in ("log_multiplier", "excess"):
            setattr(self, name, self.add_weight((), "zeros", trainable=False, name=name))

    def current_kl_weight(self):
        return ops.exp(-self.log_multiplier)

    def count_step(self, values):
        excess = values["mse"] / self.tolerance - 1
        first = ops.cast(self.step == 0, excess.dtype)
        memory = self.memory * (1 - first)
        self.excess.assign(memory * self.excess + (1 - memory) * excess)
        self.log_multiplier.assign_add(self.rate * self.excess)
        super().count_step(values)


# ---- the scale of the likelihood -------------------------------------------------------


@keras.saving.register_keras_serializable("vae_utils")
class OptimalVariance(VAE):
    """The variance of the pixels is the mean squared error of each batch.

    This is the variance of highest likelihood (the optimal σ-VAE, Rybkin et
    al. 2021, arXiv 2006.13202). `elbo` and the IWAE bound then depend on which
    images are evaluated together.

    Raises:
        ValueError: on a likelihood other than `Gaussian`.

    Example:
        >>> from vae_utils import mlp_decoder, mlp_encoder
        >>> vae = OptimalVariance(mlp_encoder(), mlp_decoder())
        >>> white, mid_grey = np.ones((1, 28, 28, 1)), np.zeros((1, 28, 28, 1))  # logits of 0
        >>> round(float(vae.log_likelihood(white, mid_grey)[0]))  # −392 · (1 + ln(2π · 0.5²))
        -569
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        if not isinstance(self.likelihood, Gaussian):
            raise ValueError(f"only Gaussian pixels have a variance; got {self.likelihood!r}")

    def pixel_variance(self, error):
        return ops.mean(error)

    def log_likelihood(self, images, logits):
        squares = ops.square(images - self.likelihood.pixel_means(logits))
        error = ops.mean(squares, axis=(1, 2, 3))
        variance = self.pixel_variance(error)
        pixels = math.prod(self.image_shape)
        return -0.5 * pixels * (error / variance + ops.log(2 * np.pi * variance))


@keras.saving.register_keras_serializable("vae_utils")
class LearnedVariance(OptimalVariance):
    """The variance of the pixels is learned, like a weight (Rybkin et al. 2021).

    It starts at the variance of the likelihood. The optimizer moves its
    logarithm, at the learning rate of the weights.

    Raises:
        ValueError: on a likelihood other than `Gaussian`.

    Example:
        >>> from vae_utils import Gaussian, mlp_decoder, mlp_encoder
        >>> vae = LearnedVariance(mlp_encoder(), mlp_decoder(), Gaussian(0.25))
        >>> round(float(np.exp(vae.log_variance)), 2)
        0.25
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        assert isinstance(self.likelihood, Gaussian)
        start = keras.initializers.Constant(math.log(self.likelihood.variance))
        self.log_variance = self.add_weight((), start, name="log_variance")

    def pixel_variance(self, error):
        return ops.exp(self.log_variance)


# ---- an encoder ahead of its decoder ---------------------------------------------------


@keras.saving.register_keras_serializable("vae_utils")
class DecoderWaits(VAE):
    """Until step `until`, the decoder moves in one of `every` steps only.

    The encoder moves in each step. After He et al. 2019 (see `TwoOptimizers`).

    Attributes:
        every: gradient steps for each step of the decoder, 10.
        until: the step from which the decoder moves each time, 600.

    Example:
        >>> from vae_utils import mlp_decoder, mlp_encoder
        >>> vae = DecoderWaits(mlp_encoder(), mlp_decoder())
        >>> [bool(vae.decoder_moves(step)) for step in (0, 1, 10, 600, 601)]
        [True, False, True, True, True]
    """

    every, until = 10, 600

    def decoder_moves(self, step):
        return (step >= self.until) | (step % self.every == 0)

    def update(self, gradients, variables):
        step = self.optimizer.iterations
        encoder = len(self.encoder.trainable_variables)
        update = super().update
        tf.cond(
            self.decoder_moves(step),
            lambda: update(gradients, variables) or 0,
            lambda: update(gradients[:encoder], variables[:encoder]) or 0,
        )


@keras.saving.register_keras_serializable("vae_utils")
class TwoOptimizers(DecoderWaits):
    """`DecoderWaits` with an optimizer for each network.

    Each has its own step count and moments. To give the encoder extra steps,
    rather than take steps from the decoder, train for that many more steps (He
    et al. 2019, arXiv 1901.05534, algorithm 1, who let the decoder wait until
    the mutual information stops rising).

    Attributes:
        decoder_rate: the decoder's learning rate, a number or a Keras schedule of its own
            steps; None for that of the encoder.

    Raises:
        ValueError: from `compile`, if the loss is scaled (under `mixed_float16`).

    Example:
        >>> from vae_utils import mlp_decoder, mlp_encoder
        >>> vae = TwoOptimizers(mlp_encoder(), mlp_decoder())
        >>> vae.compile("adam")
        >>> images = np.random.default_rng(0).uniform(size=(64, 28, 28, 1))
        >>> history = vae.fit(images, batch_size=32, verbose=0)
        >>> [int(optimizer.iterations) for optimizer in vae.list_optimizers()]
        [2, 1]
    """

    decoder_rate: Any = None

    def build_optimizers(self, variables):
        super().build_optimizers(variables)
        if isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer):
            raise ValueError("two optimizers can't share a scaled loss: use mixed_bfloat16")
        settings = self.optimizer.get_config()
        if self.decoder_rate is not None:
            settings["learning_rate"] = self.decoder_rate
        self.decoder_optimizer = type(self.optimizer).from_config(settings)
        self.decoder_optimizer.build(variables)

    def list_optimizers(self):
        return [self.optimizer, self.decoder_optimizer]

    def update(self, gradients, variables):
        encoder = len(self.encoder.trainable_variables)
        moves = self.decoder_moves(self.optimizer.iterations)
        self.optimizer.apply(gradients[:encoder], variables[:encoder])
        decoder = self.decoder_optimizer.apply
        tf.cond(moves, lambda: decoder(gradients[encoder:], variables[encoder:]) or 0, lambda: 0)


# ---- a decoder that hears its code -----------------------------------------------------


def skip_decoder(params: Params = Params()) -> keras.Model:
    """Build an MLP decoder in which every layer also reads the code.

    As in the skip-VAE (Dieng et al. 2019, arXiv 1807.04863).

    Args:
        params: sizes of the network and of the images.

    Returns:
        A Keras model, as `mlp_decoder`.

    Raises:
        ValueError: if `params` is not a `Params`.

    Example:
        >>> skip_decoder(Params(latent_size=2, mlp_decoder_units=(100,) * 7)).output_shape
        (None, 28, 28, 1)
    """
    check_params(params)
    codes = keras.Input((params.latent_size,), name="codes")
    hidden = codes
    for units in params.mlp_decoder_units:
        hidden = layers.Dense(units, activation="relu")(hidden)
        hidden = layers.Concatenate()([hidden, codes])
    logits = layers.Dense(math.prod(params.image_shape))(hidden)
    return keras.Model(codes, layers.Reshape(params.image_shape, name="logits")(logits))


def with_he_start(network: keras.Model) -> keras.Model:
    """Give the ReLU layers of a network He's initial weights, which keep the variance of signals.

    He et al. 2015 (arXiv 1502.01852), section 2.2. Keras' default is Glorot's, which are smaller.

    Args:
        network: a Keras model with ReLU layers, such as `mlp_decoder()`.

    Returns:
        The network that was given, changed in place.

    Raises:
        ValueError: if `network` is not a Keras model with a layer whose own activation is
            "relu", or if it is not built yet.

    Example:
        >>> from vae_utils import mlp_decoder
        >>> decoder = with_he_start(mlp_decoder(Params(mlp_decoder_units=(1000, 1000))))
        >>> round(float(np.std(decoder.layers[2].kernel)), 3)  # √(2 / 1000)
        0.045
    """
    check_network(network, "network")
    chosen = [
        layer
        for layer in network.layers
        if getattr(layer, "activation", None) is keras.activations.relu
        and getattr(layer, "kernel", None) is not None
    ]
    if not chosen:
        raise ValueError(
            'network must be built, and have a layer with weights and activation="relu"'
        )
    for layer in chosen:
        layer.kernel_initializer = keras.initializers.HeUniform()
        layer.kernel.assign(layer.kernel_initializer(layer.kernel.shape))
    return network


def with_minimum_norm(decoder: keras.Model, lowest: float) -> keras.Model:
    """Keep the norm of a decoder's weights for each unit of the code at `lowest` or above.

    In a decoder without hidden layers this is a lower bound on how much its output changes with
    the code (Kinoshita et al. 2023, arXiv 2304.12770, have one for deep decoders).

    Args:
        decoder: a Keras model whose first layer is dense, such as `mlp_decoder()`.
        lowest: the bound, at least 0.

    Returns:
        The decoder that was given, changed in place.

    Raises:
        ValueError: if `decoder` is not a Keras model with a Dense layer right after the code,
            or `lowest` is negative.

    Example:
        >>> from vae_utils import mlp_decoder
        >>> linear = with_minimum_norm(mlp_decoder(Params(mlp_decoder_units=())), lowest=1.0)
        >>> linear.layers[1].kernel.constraint.min_value
        1.0
    """
    check_network(decoder, "decoder")
    check_at_least(lowest, 0, "lowest")
    inputs = getattr(decoder, "inputs", None)  # none before it is built
    readers = [
        layer
        for layer in decoder.layers
        if inputs and isinstance(layer, layers.Dense) and layer.input is inputs[0]
    ]
    if not readers:
        raise ValueError("decoder must be built, and have a Dense layer right after the code")
    for layer in readers:
        bound = keras.constraints.MinMaxNorm(lowest, np.inf, axis=1)  # of each unit's row
        layer.kernel_constraint = layer.kernel.constraint = bound
    return decoder
