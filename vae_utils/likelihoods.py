"""What the decoder's output says about the pixels: log p(x|z).

A decoder returns one number per pixel, mostly a *logit*. A likelihood turns these
numbers into pixel means, and into the log-density of an image.
"""

import math
from dataclasses import dataclass

import keras
from keras import ops

from vae_utils.checks import check_at_least
from vae_utils.densities import bernoulli_log_density, normal_log_density
from vae_utils.settings import Settings

package = "vae_utils"


def pixel_means(logits):
    """Pixel means in [0, 1], of the shape of `logits`."""
    return ops.sigmoid(logits)


def sum_over_pixels(per_pixel):
    """(n, height, width, channels) to (n,)."""
    return ops.sum(per_pixel, axis=(1, 2, 3))


@dataclass(frozen=True)
class Likelihood(Settings):
    """What all likelihoods share. For one of your own, make a frozen dataclass of it.

    Runs with equal likelihoods share a program, so the numbers must be its fields.
    """

    def pixel_means(self, logits):
        """Pixel means, of the shape of `logits`: in [0, 1], unless the model is linear."""
        return pixel_means(logits)

    def log_prob(self, images, logits):
        """ln p(image|z) in nats, shape (n,), for images and logits (n, h, w, c)."""
        raise NotImplementedError


@keras.saving.register_keras_serializable(package)
@dataclass(frozen=True)
class Gaussian(Likelihood):
    """Every pixel is normal around its mean, with one fixed variance.

    Up to a constant the log-density is −(sum of squared errors) / (2 variance).
    So variance 1 is half the sum of squares, 0.5 the plain sum, and 392 the
    *mean* squared error over 784 pixels.

    Args:
        variance: of each pixel, in squared units of a pixel in [0, 1].
        link: "sigmoid" between the decoder's output and the pixel means, or "identity",
            with which a decoder without hidden layers is linear.

    Raises:
        ValueError: if the variance is not positive, or on another link.
    """

    variance: float = 1.0
    link: str = "sigmoid"

    def __post_init__(self):
        if self.link not in ("sigmoid", "identity"):
            raise ValueError(f'link must be "sigmoid" or "identity"; got {self.link!r}')
        check_at_least("variance", self.variance, 1e-12)
        # A plain number can be saved, whatever kind of number came in.
        object.__setattr__(self, "variance", float(self.variance))

    def pixel_means(self, logits):
        return logits if self.link == "identity" else pixel_means(logits)

    def log_prob(self, images, logits):
        log_std = 0.5 * math.log(self.variance)
        return sum_over_pixels(normal_log_density(images, self.pixel_means(logits), log_std))


@keras.saving.register_keras_serializable(package)
@dataclass(frozen=True)
class Bernoulli(Likelihood):
    """Every pixel is 1 with the probability that the decoder says, else 0.

    For grey pixels this is minus the cross-entropy, which is not a normalised
    density; compare such numbers only with each other.
    """

    def log_prob(self, images, logits):
        return sum_over_pixels(bernoulli_log_density(images, logits))
