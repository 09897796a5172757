"""Every tunable number in one place, with the values of the original analysis."""

import os
from dataclasses import dataclass
from typing import Any

from vae_utils.checks import check_number, check_positive, check_whole, if_class


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
        mlp_encoder_units: widths of the hidden layers of the MLP encoder.
        mlp_decoder_units: widths of the hidden layers of the MLP decoder.
        context: how many earlier pixels each pixel of the context decoder depends on;
            None for all of them. With 0 it is the MLP decoder.
        context_units: width of a masked hidden layer between all pixels and the logits; 0 for
            no such layer.
        pixel_dropout: share of the pixels that are hidden from the context decoder in training.
        log_std_start: log standard deviation of the posterior at the start of training, apart
            from what the random initial weights add.
        log_std_bound: the log standard deviation stays within ± this bound, at most 40.
        batch_size: images per gradient step.
        learning_rate: step size of Adam.

    Raises:
        ValueError: on a value of the wrong type, or outside its range.

    Example:
        >>> Params(latent_size=2, mlp_decoder_units=[200, 200]).mlp_decoder_units
        (200, 200)
        >>> Params(latent_size=2.5)
        Traceback (most recent call last):
        ValueError: latent_size must be a whole number of at least 1; got 2.5
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

    def __post_init__(self) -> None:
        # Equal sizes are equal parameters, even when given as lists.
        for name in ("image_shape", "conv_filters", "mlp_encoder_units", "mlp_decoder_units"):
            sizes = getattr(self, name)
            if not isinstance(sizes, (tuple, list)):
                raise ValueError(f"{name} must be a tuple such as (200,); got {sizes!r}")
            object.__setattr__(self, name, tuple(sizes))
        if len(self.image_shape) != 3:
            raise ValueError(
                f"image_shape must be (height, width, channels); got {self.image_shape}"
            )
        # Keras takes no integers of NumPy.
        for name in ("latent_size", "conv_kernel", "conv_stride", "conv_units", "batch_size"):
            object.__setattr__(self, name, check_whole(getattr(self, name), 1, name))
        for name in ("image_shape", "conv_filters", "mlp_encoder_units", "mlp_decoder_units"):
            sizes = [check_whole(size, 1, f"each of {name}") for size in getattr(self, name)]
            object.__setattr__(self, name, tuple(sizes))
        if not self.conv_filters:
            raise ValueError("conv_filters must hold at least one number; got ()")
        for name in ("context_units", *(["context"] if self.context is not None else [])):
            object.__setattr__(self, name, check_whole(getattr(self, name), 0, name))
        if self.context_units and self.context is not None:
            raise ValueError("context_units must be 0 unless context is None, which is all pixels")
        for name in ("pixel_dropout", "log_std_start", "log_std_bound", "learning_rate"):
            object.__setattr__(self, name, check_number(getattr(self, name), name))
        if not 0 <= self.pixel_dropout < 1:
            raise ValueError(f"pixel_dropout must lie in [0, 1); got {self.pixel_dropout}")
        check_positive(self.learning_rate, "learning_rate")
        # The KL has the square of the standard deviation, and float32 ends at exp(88).
        if not abs(self.log_std_start) < self.log_std_bound <= 40:
            raise ValueError(
                "log_std_start must lie strictly within ± log_std_bound, which must be at most 40; "
                f"got {self.log_std_start} and {self.log_std_bound}"
            )


def check_params(params: Any) -> None:
    """Raise a ValueError unless they are `Params`."""
    if not isinstance(params, Params):
        raise ValueError(f"params must be Params(...); got {params!r}{if_class(params)}")


def seed_from_environment(default: int) -> int:
    """Return the seed of a notebook: `VAE_SEED` if it is set, else `default`.

    Args:
        default: the seed without that environment variable, from 0 to 2³¹ − 1.

    Raises:
        ValueError: if `VAE_SEED`, or the default, is not a whole number from 0 to 2³¹ − 1.

    Example:
        >>> import os
        >>> from unittest import mock
        >>> with mock.patch.dict(os.environ, {"VAE_SEED": "7"}):
        ...     seed_from_environment(default=0)
        7
    """
    text = os.environ.get("VAE_SEED", "").strip()
    if not text:
        return check_whole(default, 0, "default", high=2**31 - 1)
    # Python reads no number of thousands of digits.
    if not text.isdecimal() or len(text) > 10 or int(text) >= 2**31:
        raise ValueError(f"VAE_SEED must be a whole number from 0 to 2**31 - 1; got {text!r}")
    return int(text)
