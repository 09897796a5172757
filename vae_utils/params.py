"""Every tunable number in one place, with the values of the original analysis."""

import os
from dataclasses import dataclass
from numbers import Integral


@dataclass(frozen=True)
class Params:
    """The numbers that define a network and its training.

    Change one with `dataclasses.replace(Params(), latent_size=2)` or
    `Params(latent_size=2)`.

    Attributes:
        image_shape: height, width and channels of an image.
        latent_size: number of latent units.
        conv_filters: filters of each strided convolution of the encoder;
            the decoder mirrors all but the last one.
        conv_kernel: side of the square kernels, in pixels.
        conv_stride: stride of each convolution, in pixels.
        conv_units: width of the dense layer next to the latent units.
        mlp_encoder_units: widths of the hidden layers of the feed-forward encoder.
        mlp_decoder_units: widths of the hidden layers of the feed-forward decoder.
        context: how many pixels before its own a pixel of the context decoder depends on;
            None for all of them. 0 makes it the feed-forward decoder.
        context_units: width of a masked hidden layer between all pixels and the logits; 0 for
            no such layer.
        pixel_dropout: share of the pixels that the context decoder doesn't see in training.
        log_std_start: log standard deviation of the posterior before training.
        log_std_bound: the log standard deviation stays within ± this bound.
        batch_size: images per gradient step.
        learning_rate: step size of Adam.

    Raises:
        ValueError: if a number is outside of its range.
    """

    image_shape: tuple[int, int, int] = (28, 28, 1)
    latent_size: int = 32
    conv_filters: tuple[int, ...] = (64, 64)
    conv_kernel: int = 4
    conv_stride: int = 2
    conv_units: int = 256
    mlp_encoder_units: tuple[int, ...] = (500, 500)
    mlp_decoder_units: tuple[int, ...] = (500,)
    context: int | None = None
    context_units: int = 0
    pixel_dropout: float = 0.0
    log_std_start: float = 0.0
    log_std_bound: float = 10.0
    batch_size: int = 64
    learning_rate: float = 1e-3

    def __post_init__(self):
        # Equal sizes are equal parameters, also when they come as lists.
        for name in ("image_shape", "conv_filters", "mlp_encoder_units", "mlp_decoder_units"):
            sizes = getattr(self, name)
            if not isinstance(sizes, (tuple, list)):
                raise ValueError(f"{name} must be a tuple such as (200,); got {sizes!r}")
            object.__setattr__(self, name, tuple(sizes))
        if len(self.image_shape) != 3 or min(self.image_shape) < 1:
            raise ValueError(
                "image_shape must be (height, width, channels), each at least 1; "
                f"got {self.image_shape}"
            )
        sizes = {
            "latent_size": self.latent_size,
            "conv_kernel": self.conv_kernel,
            "conv_stride": self.conv_stride,
            "conv_units": self.conv_units,
            "batch_size": self.batch_size,
            "conv_filters": min(self.conv_filters, default=0),
            "mlp_encoder_units": min(self.mlp_encoder_units, default=1),
            "mlp_decoder_units": min(self.mlp_decoder_units, default=1),
        }
        for name, size in sizes.items():
            if not isinstance(size, Integral) or size < 1:
                raise ValueError(
                    f"{name} must be whole numbers of at least 1; got {getattr(self, name)!r}"
                )
        for name in ("context", "context_units"):
            size = getattr(self, name)
            if not (isinstance(size, Integral) and size >= 0 or name == "context" and size is None):
                raise ValueError(f"{name} must be a whole number of at least 0; got {size!r}")
        if self.context_units and self.context is not None:
            raise ValueError("context_units must be 0 unless context is None, which is all pixels")
        if not 0 <= self.pixel_dropout < 1:
            raise ValueError(f"pixel_dropout must lie in [0, 1); got {self.pixel_dropout}")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate must be positive; got {self.learning_rate}")
        if not abs(self.log_std_start) < self.log_std_bound < float("inf"):
            raise ValueError(
                "log_std_start must lie strictly within ± log_std_bound, which must be finite; "
                f"got {self.log_std_start} and {self.log_std_bound}"
            )


def seed_from_environment(default: int) -> int:
    """The seed of a notebook: `VAE_SEED` where it is set, else `default`.

    Raises:
        ValueError: if `VAE_SEED` is not a whole number from 0 to 2**31 − 1.
    """
    text = os.environ.get("VAE_SEED", "").strip()
    if not text:
        return default
    if not text.isdecimal() or int(text) >= 2**31:
        raise ValueError(f"VAE_SEED must be a whole number from 0 to 2**31 - 1; got {text!r}")
    return int(text)
