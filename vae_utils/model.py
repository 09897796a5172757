"""The variational autoencoder: its objective, and nothing that Keras already does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from vae_utils import schedules
from vae_utils.checks import (
    check_codes,
    check_images,
    check_networks,
    check_seed,
    check_whole,
    if_class,
)
from vae_utils.compiled import CompiledModel
from vae_utils.densities import Array, kl_to_standard_normal
from vae_utils.inputs import images_of
from vae_utils.likelihoods import Gaussian, Likelihood, check_likelihood
from vae_utils.sampling import Sampling

# Enough images at a time to keep two cores busy, few enough for little memory.
EVALUATION_BATCH = 1000


def check_vae(vae: Any) -> None:
    """Raise a ValueError unless it is a `VAE`."""
    if not isinstance(vae, VAE):
        raise ValueError(f"vae must be a VAE; got {type(vae).__name__}{if_class(vae)}")


def in_batches(function: Callable, *arrays: np.ndarray, rows: int = EVALUATION_BATCH) -> Any:
    """Call `function` with a thousand rows at a time, or as many as `rows` says.

    Returns:
        Its results, put together as one NumPy array, or as a tuple of them.
    """
    starts = range(0, len(arrays[0]), rows)
    pieces = [function(*(a[s : s + rows] for a in arrays)) for s in starts]
    if isinstance(pieces[0], (tuple, list)):
        return tuple(np.concatenate(column) for column in zip(*pieces))
    return np.concatenate(pieces)


@keras.saving.register_keras_serializable("vae_utils")
class VAE(CompiledModel):
    """A variational autoencoder that compiles, fits, saves and loads like any Keras model.

    It minimises −E[ln p(x|z)] + weight · KL(q(z|x) ‖ p(z)), with one sample of z
    per image, averaged over the batch (Kingma & Welling 2013, equation 3; the
    weight is Bowman et al. 2016, section 3.1). At weight 1 this is the negative
    ELBO; at weight 0 the KL term vanishes, and a stochastic autoencoder is left.
    So `compile` takes an optimizer and no loss.

    Its metrics: `loss` (with the networks' regularisers, if they have any),
    `reconstruction` (−ln p(x|z), nats), `kl` (nats, summed over the latent units),
    `kl_weight`, `elbo` (nats, always at weight 1) and `mse` (per pixel). During an
    epoch Keras shows their running means. While the KL weight rises, the loss of one epoch can't be
    compared with that of another: let callbacks such as `ModelCheckpoint` watch `val_elbo`,
    with `mode="max"`.

    The step of the KL schedule, its gate and the state of the noise are saved with the weights,
    alone or with the model (`keras.saving.load_model` reads it where `vae_utils` was imported).
    So training that resumes from a file, in a model that is compiled in the same way, ends bit
    for bit like training that was never interrupted, if the order of the images is the same.
    (Not if the networks draw random numbers of their own, as `Dropout` does: Keras doesn't save
    the state of these.)

    Args:
        encoder: Keras model, images (n, h, w, c) to mean and log standard
            deviation, each (n, latent_size).
        decoder: Keras model, codes (n, latent_size) to logits (n, h, w, c).
        likelihood: a `Likelihood`, such as `Bernoulli()`; `Gaussian()` if there is none.
        kl_weight: a number of at least 0, or a schedule from `vae_utils.schedules`.
            You can assign a new one at any time, even in a callback. A schedule counts steps
            from the model's first, or, if it is a `QualityGate`, from the one at which it opens.
        seed: of the noise with which the posterior is sampled; None lets Keras choose one.

    Raises:
        ValueError: if encoder and decoder do not fit together, on a bad weight, or on a seed
            that is not a whole number from 0 to 2³² − 1; in training, on anything but images
            in [0, 1], on targets other than the images, and on sample or class weights.

    Example:
        >>> from vae_utils import Gaussian, Params, mlp_decoder, mlp_encoder, schedules
        >>> images = np.random.default_rng(0).uniform(size=(64, 28, 28, 1))  # your own
        >>> params = Params(latent_size=2)
        >>> vae = VAE(
        ...     mlp_encoder(params),
        ...     mlp_decoder(params),
        ...     likelihood=Gaussian(variance=0.5),
        ...     kl_weight=schedules.Linear(rate=1 / 100),
        ... )
        >>> vae.compile(optimizer="adam")
        >>> history = vae.fit(images, batch_size=32, epochs=5, verbose=0)
        >>> round(float(vae.current_kl_weight()), 2)  # after 10 steps
        0.1
        >>> vae.reconstruct(images).shape
        (64, 28, 28, 1)
    """

    decoder_inputs: tuple[str, ...] = ("codes",)

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        likelihood: Likelihood | None = None,
        kl_weight: float | schedules.Schedule = 1.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_networks(encoder, decoder, self.decoder_inputs)
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = Gaussian() if likelihood is None else likelihood
        check_likelihood(self.likelihood)
        self.seed = None if seed is None else check_seed(seed)
        # The objective is computed in float32 or better, whatever the precision of the layers.
        self.precision = "float64" if self.variable_dtype == "float64" else "float32"
        self.sampling = Sampling(self.seed, dtype=self.precision)
        self.step = self.add_counter("step", 0)  # training steps so far
        # The step at which the schedule opened, −1 while it waits.
        self.gate_opened_at = self.add_counter("gate_opened_at", -1)
        self.kl_weight = kl_weight
        self.trackers = [
            keras.metrics.Mean(name, dtype=self.precision)
            for name in ("loss", "reconstruction", "kl", "kl_weight", "elbo", "mse")
        ]
        self.built = True

    @property
    def latent_size(self) -> int:
        """Number of latent units."""
        return self.encoder.outputs[0].shape[-1]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images."""
        return tuple(self.encoder.inputs[0].shape[1:])

    # ---- the objective -------------------------------------------------------

    def posterior(self, images: Array, training: bool = False) -> list[tf.Tensor]:
        """Return mean and log standard deviation of q(z|x): (n, latent_size) each."""
        outputs = self.encoder(images, training=training)
        return [ops.cast(output, self.precision) for output in outputs]

    def logits(self, codes: Array, images: Array | None, training: bool = False) -> tf.Tensor:
        """Return the decoder's output for each pixel. Override it if the decoder reads images."""
        return ops.cast(self.decoder(codes, training=training), self.precision)

    def log_likelihood(self, images: Array, logits: Array) -> tf.Tensor:
        """Return ln p(x|z) in nats: (n,). Override it for a likelihood that has weights."""
        return self.likelihood.log_prob(images, logits)

    def terms(self, images: Array, training: bool = False) -> tuple[tf.Tensor, ...]:
        """Compute what the ELBO is made of, with one posterior sample per image.

        Returns:
            log-likelihood (n,) in nats, KL of each unit (n, latent_size) in nats,
            squared error per pixel (n,).
        """
        mean, log_std = self.posterior(images, training)  # (n, latent_size)
        codes = self.sampling(mean, log_std, training=training)
        logits = self.logits(codes, images, training)  # (n, h, w, c)
        kl = kl_to_standard_normal(mean, log_std)
        errors = images - self.likelihood.pixel_means(logits)
        squared_error = ops.mean(ops.square(errors), axis=(1, 2, 3))
        return self.log_likelihood(images, logits), kl, squared_error

    def kl_loss(self, kl: tf.Tensor) -> tf.Tensor:
        """Return the KL term of the loss, unweighted, in nats. Override it for a remedy.

        Args:
            kl: KL of each unit (n, latent_size), in nats.
        """
        return ops.mean(ops.sum(kl, axis=1))

    def objective(
        self, images: Array, training: bool = False
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Return the loss and the metrics, averaged over the batch."""
        images = ops.cast(images, self.precision)
        log_likelihood, kl_per_unit, squared_error = self.terms(images, training)
        log_likelihood, squared_error = ops.mean(log_likelihood), ops.mean(squared_error)
        kl = ops.mean(ops.sum(kl_per_unit, axis=1))
        weight = ops.cast(self.current_kl_weight(), self.precision)
        loss = -log_likelihood + weight * self.kl_loss(kl_per_unit)
        # Keras collects in `losses` what layers add, such as regularisers.
        loss = sum((ops.cast(extra, self.precision) for extra in self.losses), loss)
        return loss, {
            "loss": loss,
            "reconstruction": -log_likelihood,
            "kl": kl,
            "kl_weight": weight,
            "elbo": log_likelihood - kl,
            "mse": squared_error,
        }

    # ---- the weight of the KL ------------------------------------------------

    @property
    def kl_weight(self) -> schedules.Schedule:
        """The schedule of the KL weight. Assign another one, or a number for a constant."""
        return self._kl_weight

    @kl_weight.setter
    def kl_weight(self, value: float | schedules.Schedule) -> None:
        self._kl_weight = schedules.get(value)
        self.gate_opened_at.assign(-1 if self._kl_weight.waits else 0)
        self.forget_programs()

    def current_kl_weight(self) -> tf.Tensor:
        """Return the weight of the KL term in the next training step."""
        return self.kl_weight.weight_at(self.step, self.gate_opened_at)

    def count_step(self, values: dict[str, Any]) -> None:
        """Count a step; a schedule that waits may open, if the batch is good enough."""
        waiting = self.gate_opened_at.value
        opened_at = self.kl_weight.opened_at(waiting, self.step, values["mse"])
        self.gate_opened_at.assign(opened_at)
        self.step.assign_add(1)

    # ---- NumPy in, NumPy out -------------------------------------------------

    def call(self, images: Any) -> tf.Tensor:
        """Reconstruct from the posterior mean: pixel means, shape of `images`."""
        images = images_of(images, self.image_shape)
        mean, _ = self.posterior(images)
        return self.likelihood.pixel_means(self.logits(mean, images))

    def restart_evaluation(self) -> None:
        """Let each evaluation see the same noise."""
        self.sampling.restart_evaluation()

    def encode(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of the posterior: (n, latent_size) each.

        Raises:
            ValueError: if `images` are not (n, h, w, c) in [0, 1].
        """
        images = check_images(images, self.image_shape)
        mean, log_std = in_batches(self.posterior, images)
        return mean, np.exp(log_std)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Return pixel means (n, h, w, c): in [0, 1], unless the likelihood's link is the identity.

        Raises:
            ValueError: if `codes` are not (n, latent_size), not finite, or beyond ± 1e18.
        """
        codes = check_codes(codes, self.latent_size)
        return in_batches(lambda part: self.likelihood.pixel_means(self.logits(part, None)), codes)

    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        """Return the pixel means (n, h, w, c) that come from each image's posterior mean.

        Raises:
            ValueError: as `encode`.
        """
        return self.decode(self.encode(images)[0])

    def generate(self, count: int, seed: int = 0) -> np.ndarray:
        """Draw `count` codes from the prior N(0, I), and return their pixel means (n, h, w, c).

        Raises:
            ValueError: if `count` is not a whole number of at least 1, or `seed` is
                not one from 0 to 2³² − 1.
        """
        count, seed = check_whole(count, 1, "count"), check_seed(seed)
        codes = np.random.default_rng(seed).standard_normal((count, self.latent_size))
        return self.decode(codes)

    # ---- saving --------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "dtype": serialize(self.dtype_policy),
            "encoder": serialize(self.encoder),
            "decoder": serialize(self.decoder),
            "likelihood": serialize(self.likelihood),
            "kl_weight": serialize(self.kl_weight),
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "VAE":
        deserialize = keras.saving.deserialize_keras_object
        objects = ("dtype", "encoder", "decoder", "likelihood", "kl_weight")
        return cls(**{k: deserialize(v) if k in objects else v for k, v in config.items()})

    def export(
        self,
        filepath: str | Path,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: list[keras.InputSpec] | None = None,
        **more: Any,
    ) -> None:
        """Export as Keras does: a function of any number of images to their reconstructions.

        The function doesn't check its input: give it floats in [0, 1]. A SavedModel is called by
        `tensorflow.saved_model.load(filepath).serve(images)`.
        The only input of an ONNX file has the name `session.get_inputs()[0].name`.

        Args:
            filepath, format, verbose, input_signature, more: as for Keras' `export`.
        """
        if input_signature is None:
            input_signature = [keras.InputSpec(shape=(None, *self.image_shape), dtype="float32")]
        return super().export(filepath, format, verbose, input_signature, **more)
