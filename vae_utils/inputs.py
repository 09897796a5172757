"""What may enter a step: images in [0, 1], wherever they come from, and nothing else.

Arrays and tensors, also those of other libraries, are checked as a whole; `tf.data` datasets,
generators and `PyDataset`s by their first batch. The shape and type of every batch are checked
when Keras traces the step. Of whatever else gives batches, such as PyTorch's `DataLoader` or a
distributed dataset, that is all: the range of its pixels is not looked at.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from vae_utils.checks import FLOATS_HINT, check_images, check_whole, refuse_split, wrong_shape

NOT_THE_IMAGES = (
    "the target of a VAE is its input: fit(images), or fit(images, images). Other targets, "
    "such as labels or clean images for noisy ones, would be ignored. From a dataset of pairs, "
    "take the images: dataset.map(lambda images, labels: images)"
)


def refuse_weights(*weights: Any) -> None:
    """Raise a ValueError if there are sample or class weights."""
    if any(weight is not None for weight in weights):
        raise ValueError("all images of a VAE count alike: it takes no sample or class weights")


def check_batch_size(batch_size: int | None) -> None:
    """Raise a ValueError unless it is None or whole: Keras takes 0 for its default."""
    if batch_size is not None:
        check_whole(batch_size, 1, "batch_size")


def only_part(x: Any, name: str = "images") -> Any:
    """Return the one array in `x`, which Keras also takes as `[x]`, `(x,)` or a dict of one."""
    parts = keras.tree.flatten(x)
    if len(parts) != 1:
        raise ValueError(f"{name} must be one array of images; got {len(parts)} parts")
    return parts[0]


def images_of(batch: Any, image_shape: tuple[int, ...]) -> tf.Tensor:
    """Return the images of a batch that Keras hands to a step, checked by shape and type.

    Outside of compiled programs, as in `vae(images)`, their range is checked, too.
    """
    images, _, weights = keras.utils.unpack_x_y_sample_weight(batch)
    refuse_weights(weights)
    images = only_part(images)
    wanted = tf.TensorShape((None, *image_shape))
    if not wanted.is_compatible_with(images.shape):
        raise ValueError(wrong_shape(tuple(images.shape), image_shape, "images"))
    if not keras.backend.is_float_dtype(images.dtype):
        got = keras.backend.standardize_dtype(images.dtype)
        raise ValueError(f"images must be floats in [0, 1]; got {got}. {FLOATS_HINT}")
    if tf.executing_eagerly() and not isinstance(images, keras.KerasTensor):
        check_images(np.asarray(keras.ops.cast(images, "float32")), image_shape)
    # A dataset may not have known its shape; from here on, it is known.
    return tf.ensure_shape(images, wanted)


def _check_batch(batch, image_shape):
    """Raise a ValueError unless a batch of arrays holds good images, and no other targets."""
    images, targets, weights = keras.utils.unpack_x_y_sample_weight(batch)
    refuse_weights(weights)
    images = check_images(only_part(images), image_shape)
    if targets is not None and not _are(targets, images):
        raise ValueError(NOT_THE_IMAGES)


def _are(targets, images):
    parts = keras.tree.flatten(targets)
    if len(parts) != 1 or parts[0] is images:
        return len(parts) == 1
    try:
        target = np.asarray(parts[0])
    except (TypeError, ValueError):  # rows of several lengths
        return False
    if target.dtype.kind not in "biuf":  # no numbers, or such as no image has
        return False
    with np.errstate(over="ignore"):
        return np.array_equal(target.astype("float32"), images)


@contextmanager
def checked(x: Any, y: Any, image_shape: tuple[int, ...], name: str = "x") -> Iterator[Any]:
    """Give `x` with its images checked before the first step on them.

    Inside the `with`, an error of a dataset's first batch is the ValueError that arrays get.
    """
    errors: list[ValueError] = []
    try:
        yield _checked(x, y, image_shape, name, errors)
    except tf.errors.OpError:
        if errors:
            raise errors[0] from None
        raise


def is_array(x: Any) -> bool:
    """Return whether `x` is an array or a tensor of any library, or a structure of them."""
    parts = keras.tree.flatten(x)
    return bool(parts) and all(hasattr(part, "__array__") for part in parts)


def _checked(x, y, image_shape, name, errors):
    refuse_split(x, name)
    if is_array(x):
        part = only_part(x, name)
        images = check_images(part, image_shape, name)
        if y is not None and y is not x and y is not part and not _are(y, images):
            raise ValueError(NOT_THE_IMAGES)
        return images
    if y is not None:
        raise ValueError(NOT_THE_IMAGES)
    if isinstance(x, tf.data.Dataset):
        return _with_first_batch_checked(x, image_shape, errors)
    if isinstance(x, keras.utils.PyDataset):
        _check_batch(x[0], image_shape)
    elif not hasattr(x, "__iter__") or isinstance(x, (str, bytes, Mapping, Sequence)):
        raise ValueError(
            f"{name} must be an array of images (n, height, width, channels), or give batches of "
            f"them, as a tf.data.Dataset does; got {x!r:.60}"
        )
    elif isinstance(x, Iterator) and not isinstance(x, tf.data.Iterator):
        return _checked_generator(x, image_shape)
    return x


def _checked_generator(batches, image_shape):
    for number, batch in enumerate(batches):
        if number == 0:
            _check_batch(batch, image_shape)
        yield batch


def _with_first_batch_checked(dataset, image_shape, errors):
    structure = dataset.element_spec

    def look(*arrays):
        try:
            _check_batch(tf.nest.pack_sequence_as(structure, arrays), image_shape)
        except ValueError as error:
            # Raised here, it would be logged with TensorFlow's own traceback, before the message.
            errors.append(error)
            return False
        return True

    def in_numpy(tensor):
        # NumPy has no bfloat16.
        return tf.cast(tensor, "float32") if tensor.dtype == "bfloat16" else tensor

    def check(number, batch):
        flat = [in_numpy(tensor) for tensor in tf.nest.flatten(batch)]
        good = tf.cond(
            number == 0, lambda: tf.numpy_function(look, flat, tf.bool), lambda: tf.constant(True)
        )
        with tf.control_dependencies([tf.debugging.Assert(good, ["the first batch"])]):
            return tf.nest.map_structure(tf.identity, batch)

    return dataset.enumerate().map(check)
