"""Checks that several public functions share; each says what was wrong and what is accepted.

All take the value first, then what it must be, then the name that the message calls it by.
"""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import keras
import numpy as np

# Beyond it, what a decoder makes of a code is no longer sure to fit into float32.
LARGEST_CODE = 1e18

LARGEST_FLOAT = float(np.finfo("float32").max)

# Of whole numbers in place of floats.
FLOATS_HINT = (
    "Convert whole numbers from 0 to 255 with images / 255, or in a dataset with "
    "dataset.map(lambda images: images / 255); convert 0 and 1 with images.astype('float32')"
)


def check_images(
    images: np.ndarray, image_shape: tuple[int, ...] | None = None, name: str = "images"
) -> np.ndarray:
    """Return `images` as float32, or say why they are not images.

    Args:
        images: array of shape (n, height, width, channels), floats in [0, 1].
        image_shape: the (height, width, channels) that is needed, if any.
        name: what the message calls the array.

    Raises:
        ValueError: on a wrong shape, dtype or range, on no image, or on NaN.
    """
    refuse_split(images, name)
    images = as_array(images, name)
    fits = images.ndim == 4 and (image_shape is None or images.shape[1:] == tuple(image_shape))
    if not fits:
        raise ValueError(wrong_shape(images.shape, image_shape, name))
    if images.size == 0:
        raise ValueError(f"{name} must hold at least one image; got none, of shape {images.shape}")
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"{name} must be floats in [0, 1]; got {images.dtype}. {FLOATS_HINT}")
    low, high = float(images.min()), float(images.max())
    # NaN compares false with everything, so it ends up here as well.
    if not (low >= 0 and high <= 1):
        bad = np.argwhere(~np.isfinite(images))
        if len(bad):
            raise ValueError(
                f"{name} must lie in [0, 1]; got NaN or infinity in {len(bad)} pixels, "
                f"the first in {name}[{bad[0][0]}]"
            )
        hint = ""
        if 0 <= low and 1 < high <= 255:
            hint = ". Divide them by 255?"
        elif -1 <= low < 0 and high <= 1:
            hint = ". Rescale them with (images + 1) / 2?"
        raise ValueError(f"{name} must lie in [0, 1]; got values from {low:g} to {high:g}{hint}")
    return images.astype("float32", copy=False)


def wrong_shape(shape: Sequence[int], image_shape: tuple[int, ...] | None, name: str) -> str:
    """Return the message on a wrong shape, with the remedy if it is one of the usual slips."""
    sides = ("height", "width", "channels") if image_shape is None else image_shape
    wanted = f"(n, {', '.join(map(str, sides))})"
    return f"{name} must have shape {wanted}; got {shape}{_shape_hint(shape, image_shape, name)}"


def _shape_hint(shape, image_shape, name):
    fits = (lambda sides: True) if image_shape is None else tuple(image_shape).__eq__
    if len(shape) == 3 and fits((*shape[1:], 1)):
        return f". Give grey images a channel axis with {name}[..., np.newaxis]"
    if len(shape) == 3 and image_shape is not None and fits(shape):
        return f". Make a batch of one image with {name}[np.newaxis]"
    if len(shape) == 4 and fits((*shape[2:], shape[1])):
        return f". Put the channels last with np.moveaxis({name}, 1, -1)"
    sides_fit = image_shape is not None and tuple(shape[1:3]) == tuple(image_shape[:2])
    if sides_fit and len(shape) in (3, 4):
        channels = shape[3] if len(shape) == 4 else 1
        return (
            f". The model was built for {image_shape[2]} channel(s), the images have {channels}: "
            f"build it with image_shape={(*shape[1:3], channels)}"
        )
    return ""


def as_array(values: Any, name: str) -> np.ndarray:
    """Return `values` as an array, or raise a ValueError if they have no common shape."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(values).__name__
        if hasattr(values, "__array__"):  # such as a tensor on a device that NumPy can't read
            raise ValueError(f"{name}, a {kind}, can't be read by NumPy ({error})") from None
        raise ValueError(
            f"{name} must be one array, so all of its rows need the same shape; got a {kind}"
        ) from None


def as_numbers(values: Any, name: str, dtype: str | None = None) -> np.ndarray:
    """Return `values` as an array of finite numbers, of this dtype if there is one.

    Raises:
        ValueError: on anything but numbers, and on NaN, infinity or what the dtype can't hold.
    """
    array = as_array(values, name)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be an array of numbers; got {array.dtype}")
    with np.errstate(over="ignore"):
        array = array.astype(dtype or array.dtype, copy=False)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite; got NaN or infinity")
    return array


def check_finite(results: Any, name: str) -> None:
    """Raise a ValueError if results overflowed, which came from finite numbers called `name`."""
    if not all(np.isfinite(result).all() for result in results):
        raise ValueError(f"{name} must not be so large or small that results overflow")


def refuse_split(images: Any, name: str) -> None:
    """Raise a ValueError on what `load_images` returns, which holds two arrays."""
    if hasattr(images, "train") and hasattr(images, "test"):
        raise ValueError(f"{name} must be one array: the images' .train or .test, not both")


def if_class(value: Any) -> str:
    """Return what to add to a message where a class came in place of an object."""
    return ". Call the class, with its arguments in parentheses" if isinstance(value, type) else ""


def check_codes(codes: np.ndarray, latent_size: int) -> np.ndarray:
    """Return latent `codes` as float32 of shape (n, latent_size).

    Raises:
        ValueError: on a wrong shape, on no code, or on values that are not finite or huge.
    """
    codes = as_array(codes, "codes")
    if codes.ndim != 2 or codes.shape[1] != latent_size:
        raise ValueError(f"codes must have shape (n, {latent_size}); got {codes.shape}")
    if len(codes) == 0:
        raise ValueError("codes must hold at least one row; got none")
    codes = as_numbers(codes, "codes", "float32")
    if (np.abs(codes) > LARGEST_CODE).any():
        raise ValueError(f"codes must lie within ± {LARGEST_CODE:g}; got {np.abs(codes).max():g}")
    return codes


def check_labels(labels: np.ndarray | None, count: int, name: str) -> np.ndarray:
    """Return `labels` as an array of one class for each of `count` images: (count,).

    Raises:
        ValueError: if there are none, on another shape, such as that of one-hot labels, or on
            anything but whole numbers and text.
    """
    got = None if labels is None else as_array(labels, name).shape
    if got != (count,):
        hint = ""
        if got is None:
            hint = ". For images of your own, call load_images(images, labels=labels)"
        elif len(got) == 2 and got[0] == count:
            hint = f". Turn one-hot labels into classes with {name}.argmax(axis=1)"
        raise ValueError(f"{name} must have shape ({count},), one per image; got {got}{hint}")
    labels = np.asarray(labels)
    classes = labels.dtype.kind in "biuSU" or (
        all(isinstance(label, str) for label in labels)
        if labels.dtype.kind == "O"
        else labels.dtype.kind == "f" and bool((np.isfinite(labels) & (labels % 1 == 0)).all())
    )
    if not classes:
        raise ValueError(f"{name} must be classes, as whole numbers or text; got {labels.dtype}")
    return labels


def check_networks(
    encoder: keras.Model, decoder: keras.Model, decoder_inputs: tuple[str, ...]
) -> None:
    """Raise a ValueError unless the two networks make a VAE together.

    The encoder maps images (n, h, w, c) to two outputs (n, latent_size), the decoder codes
    (n, latent_size), and maybe images, to one output (n, h, w, c).
    """
    for name, network in (("encoder", encoder), ("decoder", decoder)):
        if not hasattr(network, "inputs") or not network.inputs:
            raise ValueError(
                f"the {name} must be a functional Keras model, keras.Model(inputs, outputs), whose "
                f"shapes are known before it runs; got {type(network).__name__}. Call a subclassed "
                "model on a keras.Input, and build a functional model from the result"
            )
    if len(encoder.inputs[0].shape) == 2 and len(decoder.inputs[0].shape) == 4:
        raise ValueError(
            "the encoder must take images, and the decoder codes; here it is the other way "
            "round: VAE(encoder, decoder)"
        )
    outputs = encoder.output
    if not isinstance(outputs, (list, tuple)) or len(outputs) != 2:
        got = (
            f"a dict with {sorted(outputs)}"
            if isinstance(outputs, dict)
            else f"{len(encoder.outputs)} output(s)"
        )
        raise ValueError(
            "the encoder must return a list, [mean and log standard deviation], as "
            f"keras.Model(images, [mean, log_std]) does; got {got}"
        )
    if isinstance(decoder.output, (dict, list, tuple)):
        raise ValueError(
            f"the decoder must return one tensor, the logits; got a {type(decoder.output).__name__}"
        )
    if len(decoder.inputs) != len(decoder_inputs):
        raise ValueError(
            f"the decoder must take {' and '.join(decoder_inputs)}; it has "
            f"{len(decoder.inputs)} input(s). (Only the decoder of a ContextVAE reads images.)"
        )
    mean, log_std = outputs
    images = encoder.inputs[0]
    if len(images.shape) != 4:
        raise ValueError(
            "the encoder must take images (n, height, width, channels); it takes "
            f"{images.shape}. Give the rows of a table the shape (n, features, 1, 1)"
        )
    if mean.shape != log_std.shape:
        raise ValueError(
            "the encoder's mean and log standard deviation must have the same shape; "
            f"got {mean.shape} and {log_std.shape}"
        )
    if len(mean.shape) != 2:
        raise ValueError(f"codes must have shape (n, latent_size); the encoder's have {mean.shape}")
    if mean.shape != decoder.inputs[0].shape:
        raise ValueError(
            f"the encoder returns codes of shape {mean.shape}, "
            f"but the decoder takes {decoder.inputs[0].shape}: build both with the same latent_size"
        )
    if images.shape != decoder.outputs[0].shape:
        raise ValueError(
            f"the encoder takes images of shape {images.shape}, but the decoder returns "
            f"{decoder.outputs[0].shape}: build both with the same image_shape"
        )


def check_network(network: Any, name: str) -> None:
    """Raise a ValueError unless it is a Keras model."""
    if not isinstance(network, keras.Model):
        raise ValueError(f"{name} must be a Keras model; got {network!r}{if_class(network)}")


def check_callable(function: Any, name: str) -> None:
    """Raise a ValueError unless it is None, or can be called."""
    if function is not None and not callable(function):
        raise ValueError(f"{name} must be a function, or None; got {function!r}")


def check_number(value: Any, name: str) -> float:
    """Return `value` as Python's, or raise a ValueError unless it is a number.

    Python's and NumPy's integers and floats are, True is not.
    """
    numeric = isinstance(value, (int, float, np.integer, np.floating))
    if not numeric or isinstance(value, bool):
        raise ValueError(f"{name} must be a number; got {value!r}{if_class(value)}")
    # In float16, a comparison with the end of float32 would overflow.
    if isinstance(value, np.generic):
        return int(value) if isinstance(value, np.integer) else float(value)
    return value


def check_at_least(value: float, low: float, name: str) -> float:
    """Return `value`, or raise a ValueError unless it is finite and at least `low`."""
    value = check_number(value, name)
    # NaN compares false with everything.
    if not low <= value <= LARGEST_FLOAT:
        hint = _if_too_large(value)
        raise ValueError(f"{name} must be a finite number of at least {low}; got {value}{hint}")
    return value


def check_positive(value: float, name: str) -> float:
    """Return `value`, or raise a ValueError unless it is finite and above 0."""
    value = check_number(value, name)
    if not 0 < value <= LARGEST_FLOAT:
        hint = _if_too_large(value)
        raise ValueError(f"{name} must be positive and finite; got {value}{hint}")
    return value


def _if_too_large(value):
    return ". (The largest float32 is 3.4e38.)" if LARGEST_FLOAT < value < np.inf else ""


def check_flag(value: Any, name: str) -> bool:
    """Return `value` as a bool, or raise a ValueError unless it is True, False, 1 or 0."""
    if not isinstance(value, (np.bool_, Integral)) or value not in (0, 1):
        raise ValueError(f"{name} must be True or False; got {value!r}")
    return bool(value)


def check_seed(value: Any, name: str = "seed") -> int:
    """Return `value` as an int, or raise a ValueError unless it is a seed that Keras accepts."""
    return check_whole(value, 0, name, high=2**32 - 1)


def check_whole(value: Any, low: int, name: str, high: int | None = None) -> int:
    """Return `value` as an int, or raise a ValueError unless it is whole and in its range.

    Whole numbers are Python's and NumPy's integers; 10.0 is not one, and neither is True.
    """
    whole = isinstance(value, Integral) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        where = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} must be a whole number {where}; got {value!r}")
    return int(value)
