"""The variational autoencoder: its objective, and nothing that Keras already does."""

from typing import Any

import keras
import numpy as np
from keras import ops

from vae_utils import schedules
from vae_utils.checks import check_at_least, check_codes, check_images, check_networks
from vae_utils.compiled import CompiledModel
from vae_utils.densities import kl_to_standard_normal
from vae_utils.inputs import images_of
from vae_utils.likelihoods import Gaussian, Likelihood
from vae_utils.sampling import Sampling

# Enough images at a time to keep two cores busy, few enough for little memory.
EVALUATION_BATCH = 1000


def in_batches(function, *arrays):
    """`function` on a thousand rows at a time; its results, put together as NumPy arrays."""
    starts = range(0, len(arrays[0]), EVALUATION_BATCH)
    pieces = [function(*(a[s : s + EVALUATION_BATCH] for a in arrays)) for s in starts]
    if isinstance(pieces[0], (tuple, list)):
        return tuple(np.concatenate(column) for column in zip(*pieces))
    return np.concatenate(pieces)


@keras.saving.register_keras_serializable("vae_utils")
class VAE(CompiledModel):
    """A variational autoencoder that compiles, fits, saves and loads like any Keras model.

    Trained on −E[ln p(x|z)] + weight · KL(q(z|x) ‖ p(z)), with one sample of z
    per image, averaged over the batch (Kingma & Welling 2013, equation 3; the
    weight is Bowman et al. 2016, section 3.1). At weight 1 this is the negative
    ELBO, at weight 0 an autoencoder with noise. So `compile` takes an optimizer
    and no loss.

    Its metrics: `loss` (with the networks' regularisers, if they have any),
    `reconstruction` (−ln p(x|z), nats), `kl` (nats, summed over the latent units),
    `kl_weight`, `elbo` (nats, always at weight 1) and `mse` (per pixel). During an
    epoch Keras shows their running means.

    Saved with the weights, alone or with the model, are the step of the KL schedule, its gate
    and the noise's generator. So a training that goes on after loading equals one that was not
    interrupted, if the order of the images is the same, to the last bit; unless the networks
    draw random numbers of their own, as `Dropout` does, whose state Keras doesn't save.

    Args:
        encoder: Keras model, images (n, h, w, c) to mean and log standard
            deviation, each (n, latent_size).
        decoder: Keras model, codes (n, latent_size) to logits (n, h, w, c).
        likelihood: `Gaussian(variance)` or `Bernoulli()`.
        kl_weight: a number of at least 0, or a schedule from `vae_utils.schedules`.
            Another one may be assigned at any time; its steps are counted from the model's first.
        seed: of the noise that the posterior is sampled with.

    Raises:
        ValueError: if encoder and decoder do not fit together, or on a bad weight; in
            training, on anything but images in [0, 1], on other targets than the images, and
            on weights of images.
    """

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        likelihood: Likelihood | None = None,
        kl_weight: float | schedules.Schedule = 1.0,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_networks(encoder, decoder)
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = Gaussian() if likelihood is None else likelihood
        if not isinstance(self.likelihood, Likelihood):
            raise ValueError(
                "likelihood must be Gaussian(variance), Bernoulli() or another Likelihood; "
                f"got {likelihood!r}"
            )
        self.seed = seed
        # The objective is computed at least in float32, whatever the precision of the layers.
        self.precision = "float64" if self.variable_dtype == "float64" else "float32"
        self.sampling = Sampling(seed, dtype=self.precision)
        self.step = self._add_counter("step", 0)  # training steps so far
        # The step at which the schedule opened, −1 while it waits.
        self.gate_opened_at = self._add_counter("gate_opened_at", -1)
        self.kl_weight = kl_weight
        self.trackers = [
            keras.metrics.Mean(name, dtype=self.precision)
            for name in ("loss", "reconstruction", "kl", "kl_weight", "elbo", "mse")
        ]
        self.built = True

    def _add_counter(self, name, start):
        return self.add_weight(
            shape=(),
            dtype="int32",
            initializer=keras.initializers.Constant(start),
            trainable=False,
            name=name,
            # Where parts of a batch differ, the first one's counts.
            aggregation="only_first_replica",
        )

    @property
    def latent_size(self) -> int:
        """The number of latent units."""
        return self.encoder.outputs[0].shape[-1]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images."""
        return tuple(self.encoder.inputs[0].shape[1:])

    # ---- the objective -------------------------------------------------------

    def posterior(self, images, training=False):
        """Mean and log standard deviation of q(z|x), as tensors: (n, latent_size) each."""
        outputs = self.encoder(images, training=training)
        return [ops.cast(output, self.precision) for output in outputs]

    def logits(self, codes, images, training=False):
        """What the decoder says about each pixel of the images: a hook for one that reads them."""
        return ops.cast(self.decoder(codes, training=training), self.precision)

    def log_likelihood(self, images, logits):
        """ln p(x|z) in nats: (n,). A hook for a likelihood that has weights."""
        return self.likelihood.log_prob(images, logits)

    def terms(self, images, training=False):
        """What the ELBO is made of, with one posterior sample per image.

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

    def kl_loss(self, kl):
        """What the loss takes of the KL (n, latent_size), unweighted: a hook for remedies."""
        return ops.mean(ops.sum(kl, axis=1))

    def objective(self, images, training=False):
        """The loss, and all that the metrics need, averaged over the batch."""
        images = ops.cast(images, self.precision)
        log_likelihood, kl_per_unit, squared_error = self.terms(images, training)
        log_likelihood, squared_error = ops.mean(log_likelihood), ops.mean(squared_error)
        kl = ops.mean(ops.sum(kl_per_unit, axis=1))
        weight = ops.cast(self.current_kl_weight(), self.precision)
        loss = -log_likelihood + weight * self.kl_loss(kl_per_unit)
        # Keras gathers in `losses` what layers add, such as regularisers.
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
        """The schedule of the KL weight. A number that is assigned is a constant weight."""
        return self._kl_weight

    @kl_weight.setter
    def kl_weight(self, value):
        self._kl_weight = schedules.get(value)
        self.gate_opened_at.assign(-1 if self._kl_weight.waits else 0)
        self.forget_programs()

    def current_kl_weight(self):
        """The weight of the KL term in the next training step."""
        return self.kl_weight.weight_at(self.step, self.gate_opened_at)

    def count_step(self, values):
        """One more step; a schedule that waits may open, if the batch is good enough."""
        opened_at = self.kl_weight.opened_at(self.gate_opened_at, self.step, values["mse"])
        self.gate_opened_at.assign(opened_at)
        self.step.assign_add(1)

    # ---- NumPy in, NumPy out -------------------------------------------------

    def call(self, images):
        """The reconstruction from the posterior mean: pixel means, shape of `images`."""
        images = images_of(images, self.image_shape)
        mean, _ = self.posterior(images)
        return self.likelihood.pixel_means(self.logits(mean, images))

    def restart_evaluation(self) -> None:
        """Let each evaluation see the same noise."""
        self.sampling.restart_evaluation()

    def encode(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the posterior, each (n, latent_size)."""
        images = check_images(images, self.image_shape)
        mean, log_std = in_batches(self.posterior, images)
        return mean, np.exp(log_std)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Pixel means (n, h, w, c) of codes (n, latent_size): in [0, 1], unless it is linear."""
        codes = check_codes(codes, self.latent_size)
        return in_batches(lambda part: self.likelihood.pixel_means(self.logits(part, None)), codes)

    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        """Pixel means from the posterior mean, shape of `images`."""
        return self.decode(self.encode(images)[0])

    def generate(self, count: int, seed: int = 0) -> np.ndarray:
        """Pixel means of `count` codes, at least 1, drawn from the prior N(0, I)."""
        count = int(check_at_least("count", count, 1))
        codes = np.random.default_rng(seed).standard_normal((count, self.latent_size))
        return self.decode(codes)

    # ---- saving --------------------------------------------------------------

    def get_config(self):
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
    def from_config(cls, config):
        deserialize = keras.saving.deserialize_keras_object
        objects = ("dtype", "encoder", "decoder", "likelihood", "kl_weight")
        return cls(**{k: deserialize(v) if k in objects else v for k, v in config.items()})

    def export(self, filepath, format="tf_saved_model", verbose=None, input_signature=None, **more):
        """Keras' `export`, of images to their reconstructions, for any number of images."""
        if input_signature is None:
            input_signature = [keras.InputSpec(shape=(None, *self.image_shape), dtype="float32")]
        return super().export(filepath, format, verbose, input_signature, **more)
