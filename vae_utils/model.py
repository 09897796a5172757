"""The variational autoencoder: its objective, and nothing that Keras already does."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from vae_utils import schedules
from vae_utils.batches import batches
from vae_utils.checks import check_at_least, check_codes, check_images
from vae_utils.densities import kl_to_standard_normal
from vae_utils.likelihoods import Gaussian, Likelihood

# Enough images at a time to keep two cores busy, few enough for little memory.
EVALUATION_BATCH = 1000


def in_batches(function, *arrays):
    """`function` on a thousand rows at a time; its results, put together as NumPy arrays."""
    starts = range(0, len(arrays[0]), EVALUATION_BATCH)
    pieces = [function(*(a[s : s + EVALUATION_BATCH] for a in arrays)) for s in starts]
    if isinstance(pieces[0], (tuple, list)):
        return tuple(np.concatenate(column) for column in zip(*pieces))
    return np.concatenate(pieces)


class DeviceSeeds(keras.random.SeedGenerator):
    """Seeds that differ between the devices of a `tf.distribute` strategy."""

    def next(self, ordered=True):
        context = tf.distribute.get_replica_context()
        number = 0 if context is None else context.replica_id_in_sync_group
        return super().next(ordered) + ops.cast(number, self.state.dtype)


@keras.saving.register_keras_serializable("vae_utils")
class Sampling(keras.layers.Layer):
    """The reparameterisation trick: mean + exp(log_std) · noise.

    Mean and standard deviation are deterministic and have gradients; the noise
    enters from outside (Kingma & Welling 2013, section 2.4).
    """

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = DeviceSeeds(seed)

    def call(self, mean, log_std):
        noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(log_std) * noise

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable("vae_utils")
class VAE(keras.Model):
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

    Args:
        encoder: Keras model, images (n, h, w, c) to mean and log standard
            deviation, each (n, latent_size).
        decoder: Keras model, codes (n, latent_size) to logits (n, h, w, c).
        likelihood: `Gaussian(variance)` or `Bernoulli()`.
        kl_weight: a number of at least 0, or a schedule from `vae_utils.schedules`.
            Another one that is assigned later counts from the next `compile` on.
        seed: of the noise that the posterior is sampled with.

    Raises:
        ValueError: if encoder and decoder do not fit together, or on a bad weight; in
            training, on sample or class weights, on a `loss` that was given to `compile`,
            or on images of whole numbers.
    """

    def __init__(self, encoder, decoder, likelihood=None, kl_weight=1.0, seed=None, **kwargs):
        super().__init__(**kwargs)
        if len(encoder.outputs) != 2:
            raise ValueError(
                "the encoder must return mean and log standard deviation; "
                f"got {len(encoder.outputs)} outputs"
            )
        if encoder.outputs[0].shape != encoder.outputs[1].shape:
            raise ValueError(
                "the encoder's mean and log standard deviation must have one shape; "
                f"got {encoder.outputs[0].shape} and {encoder.outputs[1].shape}"
            )
        if encoder.outputs[0].shape != decoder.inputs[0].shape:
            raise ValueError(
                f"the encoder returns codes of shape {encoder.outputs[0].shape}, "
                f"but the decoder takes {decoder.inputs[0].shape}"
            )
        if encoder.inputs[0].shape != decoder.outputs[0].shape:
            raise ValueError(
                f"the encoder takes images of shape {encoder.inputs[0].shape}, "
                f"but the decoder returns {decoder.outputs[0].shape}"
            )
        self.encoder = encoder
        self.decoder = decoder
        self.likelihood = Gaussian() if likelihood is None else likelihood
        if not isinstance(self.likelihood, Likelihood):
            raise ValueError(
                "likelihood must be Gaussian(variance), Bernoulli() or another Likelihood; "
                f"got {likelihood!r}"
            )
        self.kl_weight = schedules.get(kl_weight)
        self.seed = seed
        # The objective is computed in the precision of the weights, whatever that of the layers.
        self.sampling = Sampling(seed, dtype=self.variable_dtype)
        # The step at which a QualityGate opened, −1 while it is shut.
        self.gate_opened_at = self.add_weight(
            shape=(),
            dtype="int32",
            initializer=keras.initializers.Constant(-1),
            trainable=False,
            # On several devices, the first one's part of the batch decides.
            aggregation="only_first_replica",
        )
        self.trackers = [
            keras.metrics.Mean(name)
            for name in ("loss", "reconstruction", "kl", "kl_weight", "elbo", "mse")
        ]
        self.built = True

    @property
    def latent_size(self):
        return self.encoder.outputs[0].shape[-1]

    @property
    def image_shape(self):
        return tuple(self.encoder.inputs[0].shape[1:])

    @property
    def _alone(self):
        """On one device, without a `tf.distribute` strategy."""
        return self._distribute_strategy is None and not tf.distribute.has_strategy()

    def call(self, images):
        """The reconstruction from the posterior mean: pixel means, shape of `images`."""
        mean, _ = self.posterior(images)
        return self.likelihood.pixel_means(self.logits(mean, images))

    def logits(self, codes, images, training=False):
        """What the decoder says about each pixel of the images: a hook for one that reads them."""
        return ops.cast(self.decoder(codes, training=training), self.variable_dtype)

    def posterior(self, images, training=False):
        """Mean and log standard deviation, as tensors."""
        outputs = self.encoder(images, training=training)
        return [ops.cast(output, self.variable_dtype) for output in outputs]

    # ---- the objective -------------------------------------------------------

    def terms(self, images, training=False):
        """What the ELBO is made of, with one posterior sample per image.

        Returns:
            log-likelihood (n,) in nats, KL of each unit (n, latent_size) in nats,
            squared error per pixel (n,).
        """
        mean, log_std = self.posterior(images, training)
        logits = self.logits(self.sampling(mean, log_std), images, training)
        log_likelihood = self.likelihood.log_prob(images, logits)
        kl = kl_to_standard_normal(mean, log_std)
        errors = images - self.likelihood.pixel_means(logits)
        return log_likelihood, kl, ops.mean(ops.square(errors), axis=(1, 2, 3))

    def kl_loss(self, kl):
        """What the loss takes of the KL (n, latent_size), unweighted: a hook for remedies."""
        return ops.mean(ops.sum(kl, axis=1))

    def update(self, gradients, variables):
        """One step of the optimizer, the encoder's variables first: a hook for remedies.

        On a processor it goes through XLA, unless the model's `supports_jit` is False.
        """
        self.optimizer.apply(gradients, variables)

    def current_kl_weight(self):
        """The weight of the KL term at the optimizer's step count."""
        step = ops.cast(self.optimizer.iterations, "int32")
        if not isinstance(self.kl_weight, schedules.QualityGate):
            return self.kl_weight(step)
        weight = self.kl_weight(step - self.gate_opened_at)
        return ops.where(self.gate_opened_at < 0, 0.0, weight)

    def _open_gate_when_good(self, mse):
        """Remember the first step whose batch is reconstructed well enough."""
        good = ops.logical_and(self.gate_opened_at < 0, mse < self.kl_weight.mse)
        step = ops.cast(self.optimizer.iterations, "int32")
        self.gate_opened_at.assign(ops.where(good, step, self.gate_opened_at))

    def _objective(self, images, training):
        """The loss, and all that the metrics need, averaged over the batch."""
        images = ops.cast(images, self.variable_dtype)
        log_likelihood, kl_per_unit, squared_error = self.terms(images, training)
        log_likelihood, squared_error = ops.mean(log_likelihood), ops.mean(squared_error)
        kl = ops.mean(ops.sum(kl_per_unit, axis=1))
        weight = self.current_kl_weight()
        # Keras gathers in `losses` what layers add, such as regularisers.
        loss = sum(self.losses, -log_likelihood + weight * self.kl_loss(kl_per_unit))
        return loss, {
            "loss": loss,
            "reconstruction": -log_likelihood,
            "kl": kl,
            "kl_weight": weight,
            "elbo": log_likelihood - kl,
            "mse": squared_error,
        }

    def _track(self, values, images):
        """Add a batch to the running means; a short last batch counts for less."""
        for tracker in self.trackers:
            tracker.update_state(values[tracker.name], sample_weight=ops.shape(images)[0])

    def _results(self):
        return {tracker.name: tracker.result() for tracker in self.trackers}

    def _refuse(self, *weights):
        if any(some is not None for some in weights):
            raise ValueError("all images of a VAE count alike: no sample or class weights")

    def _images_of(self, data):
        """The images of a batch as Keras hands it over."""
        images, _, weights = keras.utils.unpack_x_y_sample_weight(data)
        self._refuse(weights)
        if self.loss is not None:
            raise ValueError(f"a VAE has a loss of its own; compile it without {self.loss!r}")
        if not keras.backend.is_float_dtype(images.dtype):
            raise ValueError(f"images must be floats in [0, 1]; got {images.dtype}")
        return images

    def train_step(self, data):
        self._step(self._images_of(data))
        return self._results()

    def _step(self, images):
        with tf.GradientTape() as tape:
            loss, values = self._objective(images, training=True)
            # Devices add their gradients up; each has the mean over its part of the batch.
            loss = loss / tf.distribute.get_strategy().num_replicas_in_sync
            # Half precision: the optimizer divides the gradients by the same factor.
            loss = self.optimizer.scale_loss(loss)
        variables = self.trainable_variables
        if isinstance(self.kl_weight, schedules.QualityGate):
            self._open_gate_when_good(values["mse"])
        self._update(tape.gradient(loss, variables), variables)
        self._track(values, images)

    def _update(self, gradients, variables):
        """`update`, as one XLA program within a step that is compiled without XLA.

        For each weight, an optimizer is dozens of operations on as many numbers, and each of
        them reads and writes all of them. XLA makes one of them. (Not with a GPU: nothing was
        measured on one, and TensorFlow for a Mac's has no XLA. Not with a scaled loss either:
        Keras then asks whether all gradients are finite, and got wrong answers through XLA.)
        """
        without = (
            self.jit_compile
            or tf.executing_eagerly()
            or not self.supports_jit
            or not self._alone
            or tf.config.list_logical_devices("GPU")
            or isinstance(self.optimizer, keras.optimizers.LossScaleOptimizer)
        )
        if without:
            self.update(gradients, variables)
        else:
            tf.function(lambda some: self.update(some, variables), jit_compile=True)(gradients)

    def test_step(self, data):
        images = self._images_of(data)
        self._track(self._objective(images, training=False)[1], images)
        return self._results()

    # ---- several steps as one program ----------------------------------------

    @property
    def stack(self):
        """How many batches make one program: `steps_per_execution` where that pays, else None.

        It pays with XLA, dense layers, this class's own step and no `tf.distribute` strategy,
        as the program keeps the weights at hand. Within a loop, XLA's convolutions on a
        processor are twenty times slower. `fit` asks, for arrays and without `steps_per_epoch`.
        """
        layers = (layer for net in (self.encoder, self.decoder) for layer in net.layers)
        dense = all(isinstance(layer, keras.layers.Dense) for layer in layers if layer.weights)
        several = self.jit_compile and not self.run_eagerly and self.steps_per_execution > 1
        own = type(self).train_step is VAE.train_step
        return self.steps_per_execution if dense and own and self._alone and several else None

    def _steps(self, stack, rest):
        """A step on each batch of a stack (k, n, h, w, c), and on a short last batch."""
        count = stack.shape[0]
        # XLA slices the stack before it asks whether there is anything in it.
        if count:
            tf.while_loop(
                lambda i: i < count, lambda i: self._step(stack[i]) or (i + 1,), (tf.constant(0),)
            )
        if rest.shape[0]:
            self._step(rest)
        return self._results()

    def make_train_function(self, force=False):
        """Keras' own, which takes batches; and for stacks (see `batches`), one beside it."""
        if self.train_function is not None and not force:
            return
        super().make_train_function(force)
        one_by_one = self.train_function
        together = tf.function(self._steps, jit_compile=self.jit_compile)

        def train(iterator):
            if isinstance(iterator, tf.data.Iterator):
                ranks = [spec.shape.rank for spec in tf.nest.flatten(iterator.element_spec)]
                if ranks == [5, 4]:
                    return together(*next(iterator))
            return one_by_one(iterator)

        self.train_function = train

    def fit(self, x=None, y=None, batch_size=None, epochs=1, verbose="auto", **settings):
        """Keras' `fit`. An array is looked at first, and comes in batches of the package's own.

        Raises:
            ValueError: if `x` is an array but not images in [0, 1], or on weights of images.
        """
        # Keras drops them without a word where there is no `y`.
        self._refuse(settings.get("sample_weight"), settings.get("class_weight"))
        if isinstance(x, np.ndarray):
            x = check_images(x, self.image_shape, "x")
            if y is None and "validation_split" not in settings:
                stack = self.stack if settings.get("steps_per_epoch") is None else None
                batch_size = batch_size or 32
                settings.setdefault("validation_batch_size", batch_size)
                if stack:
                    settings["steps_per_epoch"] = -(-len(x) // batch_size)
                x = batches(x, batch_size, shuffle=settings.get("shuffle", True), stack=stack)
                settings["shuffle"], batch_size = False, None
        return super().fit(x, y, batch_size, epochs, verbose, **settings)

    # ---- NumPy in, NumPy out -------------------------------------------------

    def encode(self, images):
        """Mean and standard deviation of the posterior, each (n, latent_size)."""
        images = check_images(images, self.image_shape)
        mean, log_std = in_batches(self.posterior, images)
        return mean, np.exp(log_std)

    def decode(self, codes):
        """Pixel means (n, h, w, c) of codes (n, latent_size): in [0, 1], unless it is linear."""
        codes = check_codes(codes, self.latent_size)
        return in_batches(lambda some: self.likelihood.pixel_means(self.logits(some, None)), codes)

    def reconstruct(self, images):
        """Pixel means from the posterior mean, shape of `images`."""
        return self.decode(self.encode(images)[0])

    def generate(self, count, seed=0):
        """Pixel means of `count` codes, at least 1, drawn from the prior N(0, I)."""
        count = int(check_at_least("count", count, 1))
        codes = np.random.default_rng(seed).standard_normal((count, self.latent_size))
        return self.decode(codes)

    # ---- saving --------------------------------------------------------------

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "encoder": serialize(self.encoder),
            "decoder": serialize(self.decoder),
            "likelihood": serialize(self.likelihood),
            "kl_weight": serialize(self.kl_weight),
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        deserialize = keras.saving.deserialize_keras_object
        objects = ("encoder", "decoder", "likelihood", "kl_weight")
        return cls(**{k: deserialize(v) if k in objects else v for k, v in config.items()})
