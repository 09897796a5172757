"""When the loss becomes NaN: training stops, says so, and goes back to the last good weights."""

import warnings
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from vae_utils.checks import check_images, check_whole
from vae_utils.compiled import state
from vae_utils.densities import kl_to_standard_normal
from vae_utils.model import VAE

# More tell nothing more: what is not finite is so for nearly all images.
ENOUGH_IMAGES = 10


class StopOnNaN(keras.callbacks.Callback):
    """Stop when the loss becomes NaN or infinite, warn, and restore the last good weights.

    Keras' `TerminateOnNaN` stops, too, but leaves the broken weights. This callback restores its
    last good copy of weights, optimizer, step and noise, so that training can continue from
    there. `train` adds one by itself. Put it first in a list of callbacks, so that the others
    don't see a broken model.

    Args:
        images: a few training images (n, h, w, c) in [0, 1]; a copy is good if the model gives
            finite numbers for them.
        every: gradient steps between two copies. These take the memory of two more models and
            optimizers, and almost no time.

    Raises:
        ValueError: on bad images, or unless `every` is a whole number of at least 1.

    Example:
        >>> import keras
        >>> import warnings
        >>> from vae_utils import VAE, mlp_decoder, mlp_encoder
        >>> images = np.random.default_rng(0).uniform(size=(64, 28, 28, 1))
        >>> vae = VAE(mlp_encoder(), mlp_decoder())
        >>> vae.compile(keras.optimizers.SGD(1e9))  # far too high
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     history = vae.fit(images, verbose=0, callbacks=[StopOnNaN(images, every=1)])
        >>> print(caught[-1].message)
        the loss was nan at step 2: the model was restored to step 0. Try a lower learning
        rate, a larger variance of the likelihood, or a lower KL weight
    """

    def __init__(self, images: np.ndarray, every: int = 10) -> None:
        super().__init__()
        self.images = check_images(images)[:ENOUGH_IMAGES]
        self.every = check_whole(every, 1, "every")

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._kept: list[list[tf.Tensor]] = []
        self._went_back = False

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        # Not before: a later callback may have loaded other weights at the start of training.
        if not self._kept:
            self._kept = [self._copy()]

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        # Keras' mean over the epoch so far: NaN from the first NaN on.
        loss = (logs or {}).get("loss", 0.0)
        if not np.isfinite(loss):
            self._go_back(loss)
        elif int(self.model.step) - self._copied_at >= self.every:
            # The older copy has given finite losses since; whether the newer does is not known.
            self._kept = [self._kept[-1], self._copy()]

    def on_train_end(self, logs: dict | None = None) -> None:
        # Nothing but a look tells whether the last step went well.
        if not self._went_back and not gives_numbers(self.model, self.images):
            self._go_back(np.nan)
        self._kept = []

    def _copy(self):
        self._copied_at = int(self.model.step)
        return copied(state(self.model))

    def _go_back(self, loss):
        reached = int(self.model.step)
        for values in reversed(self._kept):
            for variable, value in zip(state(self.model), values, strict=True):
                variable.assign(value)
            if gives_numbers(self.model, self.images):
                break
        self._went_back = True
        self.model.stop_training = True
        warn_of_divergence(f"the loss was {loss:g} at step {reached}", int(self.model.step))


def copied(variables: Sequence[keras.Variable]) -> list[tf.Tensor]:
    """Return the values of variables as they are now.

    It copies nothing yet: TensorFlow lets such a tensor share the variable's memory, and the
    next change of the variable goes elsewhere.
    """
    return [tf.convert_to_tensor(variable.value) for variable in variables]


def gives_numbers(vae: VAE, images: np.ndarray) -> bool:
    """Return whether the weights of a model, and what it says of some images, are finite."""
    # Without noise, whose generator would move.
    mean, log_std = vae.posterior(images)
    log_likelihood = vae.log_likelihood(images, vae.logits(mean, images))
    told = [mean, log_std, kl_to_standard_normal(mean, log_std), log_likelihood]
    values = map(ops.convert_to_numpy, [*told, *vae.variables])
    return all(np.isfinite(value).all() for value in values)


def warn_of_divergence(what: str, step: int) -> None:
    """Warn in one sentence, and say what to try."""
    warnings.warn(
        f"{what}: the model was restored to step {step}. Try a lower learning rate, a larger "
        "variance of the likelihood, or a lower KL weight",
        RuntimeWarning,
        stacklevel=2,
    )
