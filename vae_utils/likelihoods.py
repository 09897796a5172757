"""What the decoder's output says about the pixels: log p(x|z).

A decoder returns one number per pixel, usually a *logit*. A likelihood turns these
numbers into pixel means, and into the log-density of an image.
"""

import math
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from vae_utils.checks import check_at_least, if_class
from vae_utils.densities import Array, bernoulli_log_density, normal_log_density
from vae_utils.settings import Settings

package = "vae_utils"


def sum_over_pixels(per_pixel: Array) -> tf.Tensor:
    """Add up what belongs to one image."""
    return ops.sum(per_pixel, axis=(1, 2, 3))  # (n, height, width, channels) -> (n,)


@dataclass(frozen=True)
class Likelihood(Settings):
    """The base of all likelihoods. For one of your own, derive a frozen dataclass from it.

    Its numbers must be fields: Keras saves these, and runs with equal likelihoods share a
    compiled program. Register it, so that Keras can load models that have it.

    Example:
        >>> import dataclasses
        >>> import keras
        >>> import numpy as np
        >>> from keras import ops
        >>> @keras.saving.register_keras_serializable("mine")
        ... @dataclasses.dataclass(frozen=True)
        ... class Laplace(Likelihood):
        ...     scale: float = 0.1
        ...
        ...     def log_prob(self, images, logits):
        ...         errors = ops.abs(images - self.pixel_means(logits))
        ...         per_pixel = -errors / self.scale - np.log(2 * self.scale)
        ...         return ops.sum(per_pixel, axis=(1, 2, 3))
        >>> Laplace(0.2).get_config()
        {'scale': 0.2}
        >>> white, grey = np.ones((2, 28, 28, 1)), np.zeros((2, 28, 28, 1))  # logits of 0
        >>> Laplace(0.25).log_prob(white, grey).numpy().round(1)  # 784 · (ln 2 − 0.5 / 0.25)
        array([-1024.6, -1024.6])
    """

    def pixel_means(self, logits: Array) -> tf.Tensor:
        """Return pixel means, shape of `logits`: in [0, 1], unless the link is the identity."""
        return ops.sigmoid(logits)

    def log_prob(self, images: Array, logits: Array) -> tf.Tensor:
        """Return ln p(image|z) in nats, (n,), for images and logits (n, h, w, c)."""
        raise NotImplementedError


def check_likelihood(likelihood: Any) -> None:
    """Raise a ValueError unless it is one."""
    if not isinstance(likelihood, Likelihood):
        raise ValueError(
            "likelihood must be Gaussian(variance), Bernoulli() or another Likelihood; "
            f"got {likelihood!r}{if_class(likelihood)}"
        )


@keras.saving.register_keras_serializable(package)
@dataclass(frozen=True)
class Gaussian(Likelihood):
    """Each pixel is normal around its mean, with one fixed variance.

    Up to a constant the log-density is −(sum of squared errors) / (2 variance).
    So with variance 1 the reconstruction term of the loss is half the sum of squared errors,
    with 0.5 the sum itself, and with 392 their *mean* over 784 pixels.

    Args:
        variance: of each pixel, for pixels in [0, 1]; at least 1e-12.
        link: "sigmoid" between the decoder's output and the pixel means, or "identity",
            with which a decoder without hidden layers is linear.

    Raises:
        ValueError: if the variance is below 1e-12 or not finite, or on another link.

    Example:
        >>> import numpy as np
        >>> grey = np.full((1, 28, 28, 1), 0.5, "float32")
        >>> black = np.zeros_like(grey)
        >>> likelihood = Gaussian(variance=2.0)
        >>> good, bad = (likelihood.log_prob(image, 0 * grey) for image in (grey, black))
        >>> round(float(good[0] - bad[0]), 2)  # 784 · 0.5² / (2 · 2.0)
        49.0
    """

    variance: float = 1.0
    link: str = "sigmoid"

    def __post_init__(self) -> None:
        if not isinstance(self.link, str) or self.link not in ("sigmoid", "identity"):
            raise ValueError(f'link must be "sigmoid" or "identity"; got {self.link!r}')
        # A plain number can be saved, whatever kind of number came in.
        variance = check_at_least(self.variance, 1e-12, "variance")
        object.__setattr__(self, "variance", float(variance))

    def pixel_means(self, logits: Array) -> tf.Tensor:
        return logits if self.link == "identity" else super().pixel_means(logits)

    def log_prob(self, images: Array, logits: Array) -> tf.Tensor:
        log_std = 0.5 * math.log(self.variance)
        return sum_over_pixels(normal_log_density(images, self.pixel_means(logits), log_std))


@keras.saving.register_keras_serializable(package)
@dataclass(frozen=True)
class Bernoulli(Likelihood):
    """Each pixel is 1 with the probability that the decoder gives it, else 0.

    As in Kingma & Welling 2013 (arXiv 1312.6114), appendix C.1. For grey
    pixels this is minus the cross-entropy, which is not a normalised density; compare such
    numbers only with each other.

    Example:
        >>> import numpy as np
        >>> images = np.stack([np.ones((28, 28, 1)), np.zeros((28, 28, 1))])  # white and black
        >>> logits = np.full(images.shape, np.log(3))  # each pixel is 1 with probability ¾
        >>> Bernoulli().log_prob(images, logits).numpy().round(1)  # 784 · ln ¾ and 784 · ln ¼
        array([ -225.5, -1086.9])
    """

    def log_prob(self, images: Array, logits: Array) -> tf.Tensor:
        return sum_over_pixels(bernoulli_log_density(images, logits))
