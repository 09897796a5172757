"""What the decoder's output says about the pixels: log p(x|z).

A decoder returns one number per pixel, mostly a *logit*. A likelihood turns these
numbers into pixel means, and into the log-density of an image.
"""

import math
from dataclasses import dataclass

import keras
import tensorflow as tf
from keras import ops

from vae_utils.checks import check_at_least
from vae_utils.densities import Array, bernoulli_log_density, normal_log_density
from vae_utils.settings import Settings

package = "vae_utils"


def pixel_means(logits: Array) -> tf.Tensor:
    """Return pixel means in [0, 1], of the shape of `logits`."""
    return ops.sigmoid(logits)


def sum_over_pixels(per_pixel: Array) -> tf.Tensor:
    """Add up what belongs to one image."""
    return ops.sum(per_pixel, axis=(1, 2, 3))  # (n, height, width, channels) -> (n,)


@dataclass(frozen=True)
class Likelihood(Settings):
    """The base of all likelihoods. For one of your own, derive a frozen dataclass from it.

    Its numbers must be fields: Keras saves these, and runs with equal likelihoods share a
    compiled program.

    Example:
        >>> import dataclasses
        >>> import numpy as np
        >>> from keras import ops
        >>> @dataclasses.dataclass(frozen=True)
        ... class Laplace(Likelihood):
        ...     scale: float = 0.1
        ...
        ...     def log_prob(self, images, logits):
        ...         errors = ops.abs(images - self.pixel_means(logits))
        ...         per_pixel = -errors / self.scale - np.log(2 * self.scale)
        ...         return ops.sum(per_pixel, axis=(1, 2, 3))
        >>> Laplace(0.2).get_config()
        {'scale': 0.2}
        >>> Laplace(0.5).log_prob(np.ones((3, 28, 28, 1)), np.zeros((3, 28, 28, 1))).numpy()
        array([-784., -784., -784.])
    """

    def pixel_means(self, logits: Array) -> tf.Tensor:
        """Return pixel means, of the shape of `logits`: in [0, 1], unless the model is linear."""
        return pixel_means(logits)

    def log_prob(self, images: Array, logits: Array) -> tf.Tensor:
        """Return ln p(image|z) in nats, (n,), for images and logits (n, h, w, c)."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package)
@dataclass(frozen=True)
class Gaussian(Likelihood):
    """Each pixel is normal around its mean, with one fixed variance.

    Up to a constant the log-density is −(sum of squared errors) / (2 variance).
    So variance 1 is half the sum of squares, 0.5 the plain sum, and 392 the
    *mean* squared error over 784 pixels.

    Args:
        variance: of each pixel, in squared units of a pixel in [0, 1].
        link: "sigmoid" between the decoder's output and the pixel means, or "identity",
            with which a decoder without hidden layers is linear.

    Raises:
        ValueError: if the variance is not positive, or on another link.

    Example:
        >>> import numpy as np
        >>> grey = np.full((1, 28, 28, 1), 0.5, "float32")
        >>> black = np.zeros_like(grey)
        >>> likelihood = Gaussian(variance=0.5)
        >>> good, bad = (likelihood.log_prob(image, 0 * grey) for image in (grey, black))
        >>> round(float(good[0] - bad[0]), 2)  # 784 · 0.5², the sum of squared errors
        196.0
    """

    variance: float = 1.0
    link: str = "sigmoid"

    def __post_init__(self) -> None:
        if self.link not in ("sigmoid", "identity"):
            raise ValueError(f'link must be "sigmoid" or "identity"; got {self.link!r}')
        check_at_least(self.variance, 1e-12, "variance")
        # A plain number can be saved, whatever kind of number came in.
        object.__setattr__(self, "variance", float(self.variance))

    def pixel_means(self, logits: Array) -> tf.Tensor:
        return logits if self.link == "identity" else pixel_means(logits)

    def log_prob(self, images: Array, logits: Array) -> tf.Tensor:
        log_std = 0.5 * math.log(self.variance)
        return sum_over_pixels(normal_log_density(images, self.pixel_means(logits), log_std))


@keras.saving.register_keras_serializable(package)
@dataclass(frozen=True)
class Bernoulli(Likelihood):
    """Each pixel is 1 with the probability that the decoder gives it, else 0.

    For grey pixels this is minus the cross-entropy, which is not a normalised
    density; compare such numbers only with each other.

    Example:
        >>> import numpy as np
        >>> white, logits = np.ones((2, 28, 28, 1)), np.zeros((2, 28, 28, 1))
        >>> Bernoulli().log_prob(white, logits).numpy().round(1)  # 784 · ln ½
        array([-543.4, -543.4])
    """

    def log_prob(self, images: Array, logits: Array) -> tf.Tensor:
        return sum_over_pixels(bernoulli_log_density(images, logits))
