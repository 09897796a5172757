"""A VAE whose decoder reads pixels: p(x|z) = Π_j p(x_j | z, the context pixels before x_j).

Chen et al. 2017 (arXiv 1611.02731): what the decoder learns from the context is free, and what
it learns from the code costs KL, so the code carries only what the context can't supply.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from vae_utils import schedules
from vae_utils.checks import as_numbers, check_codes
from vae_utils.densities import Array
from vae_utils.likelihoods import Bernoulli, Likelihood
from vae_utils.model import VAE


@keras.saving.register_keras_serializable("vae_utils")
class ContextVAE(VAE):
    """A `VAE` of black and white images whose decoder is a `context_decoder`.

    In training, each pixel is drawn again in each step: 1 with a probability equal to its grey
    value, else 0 (dynamic binarisation, Burda et al. 2016, arXiv 1509.00519). Evaluate it
    on images that were drawn once, with `binarised`. It generates and reconstructs pixel by pixel:
    these images, and a `Recorder`'s, are black and white. `predict`, `export`, `evaluate` and the
    diagnostics show the decoder the true image instead: what it says of each pixel is its
    probability given the true pixels before it, and the squared error is that of these means.

    Args:
        encoder, decoder, kl_weight, seed: as for `VAE`; the decoder also takes the images.
        likelihood: `Bernoulli()`.

    Raises:
        ValueError: on a likelihood other than `Bernoulli()`, and as `VAE` does.

    Example:
        >>> from vae_utils import Params, binarised, context_decoder, mlp_encoder
        >>> params = Params(image_shape=(8, 8, 1), latent_size=2, context=5)
        >>> vae = ContextVAE(mlp_encoder(params), context_decoder(params))
        >>> vae.compile(optimizer="adam")
        >>> grey = np.random.default_rng(0).uniform(size=(64, 8, 8, 1))
        >>> history = vae.fit(grey, verbose=0)
        >>> numbers = vae.evaluate(binarised(grey), verbose=0, return_dict=True)
        >>> np.unique(vae.generate(3))
        array([0., 1.], dtype=float32)
    """

    decoder_inputs = ("codes", "images")

    def __init__(
        self,
        encoder: keras.Model,
        decoder: keras.Model,
        likelihood: Likelihood | None = None,
        kl_weight: float | schedules.Schedule = 1.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        likelihood = Bernoulli() if likelihood is None else likelihood
        if not isinstance(likelihood, Bernoulli):
            raise ValueError(
                f"likelihood must be Bernoulli(): pixels are drawn as 0 or 1; got {likelihood!r}"
            )
        super().__init__(encoder, decoder, likelihood, kl_weight, seed, **kwargs)

    def logits(self, codes: Array, images: Array | None, training: bool = False) -> tf.Tensor:
        """Return the logit of each pixel, given the code and the pixels before it."""
        # Keras doesn't take a NumPy array beside a tensor.
        both = [ops.convert_to_tensor(part, self.precision) for part in (codes, images)]
        return ops.cast(self.decoder(both, training=training), self.precision)

    def terms(self, images: Array, training: bool = False) -> tuple[tf.Tensor, ...]:
        if training:
            # From the generator of the codes' noise: a second one with the same seed would
            # draw the same bits, and pixels and codes would depend on each other.
            uniforms = keras.random.uniform(
                ops.shape(images), dtype=images.dtype, seed=self.sampling.seed_generator
            )
            images = ops.cast(uniforms < images, images.dtype)
        return super().terms(images, training)

    def draw(self, codes: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """Draw one image for each code, pixel by pixel.

        Args:
            codes: (n, latent_size).
            uniforms: random numbers in [0, 1), one for each pixel: (n, h, w, c). A pixel
                becomes 1 where its probability is above its number. With the same numbers,
                the images of two codes differ only in what the codes say.

        Returns:
            Images of 0 and 1, (n, h, w, c).

        Raises:
            ValueError: on bad codes, or on uniforms of another shape.
        """
        codes = check_codes(codes, self.latent_size)
        uniforms = as_numbers(uniforms, "uniforms", "float32")
        if uniforms.shape != (len(codes), *self.image_shape):
            raise ValueError(
                f"uniforms must have shape {(len(codes), *self.image_shape)}; got {uniforms.shape}"
            )
        images = np.zeros(uniforms.shape, "float32")  # in C order, so that `pixels` is a view
        pixels = images.reshape(len(images), -1)
        thresholds = uniforms.reshape(len(images), -1)
        logits = tf.function(self.logits)  # one graph for all pixels
        for pixel in range(pixels.shape[1]):
            means = self.likelihood.pixel_means(logits(codes, images))
            means = ops.convert_to_numpy(means).reshape(pixels.shape)
            pixels[:, pixel] = means[:, pixel] > thresholds[:, pixel]
        return images

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Draw an image of 0 and 1 for each code, with the same random numbers each time."""
        codes = check_codes(codes, self.latent_size)
        shape = (len(codes), *self.image_shape)
        # A pair as seed: no single seed, such as `generate` takes, gives these bits.
        return self.draw(codes, np.random.default_rng([0, 1]).uniform(size=shape))
