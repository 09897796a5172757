"""Batches for training: a pool of images that stays where it is, and rows in random order."""

import tensorflow as tf

from vae_utils.checks import check_whole
from vae_utils.densities import Array


def batches(
    images: Array,
    batch_size: int,
    shuffle: bool = True,
    seed: int | None = None,
    at_once: int | None = None,
) -> tf.data.Dataset:
    """Make a `tf.data.Dataset` of batches (batch_size, h, w, c), in a new order each epoch.

    Only the row numbers are shuffled, all of an epoch at once; the images are gathered from one
    tensor.

    Args:
        images: (n, h, w, c), an array, which is copied once, or a tensor, which is not.
        batch_size: images per batch.
        shuffle: False keeps the images in their order.
        seed: with one, the epochs repeat for ever, without a short last batch, in an order
            that depends on nothing else. Without, Keras' seed decides.
        at_once: how many batches come at once, the model's `steps_per_execution`. They are a
            pair: (at_once, batch_size, h, w, c), and the short last batch (m, h, w, c), whose
            m is mostly 0. The epochs of such a dataset repeat for ever.

    Raises:
        ValueError: if `batch_size` is not a whole number of at least 1.
    """
    check_whole(batch_size, 1, "batch_size")
    pool = tf.constant(images)
    rows = tf.range(len(images))

    def shuffled(*numbers):
        return tf.random.experimental.stateless_shuffle(rows, numbers)

    if seed is not None:
        epochs = tf.data.Dataset.range(tf.int64.max).map(lambda number: shuffled(seed, number))
    elif shuffle:
        # Another number each time that the dataset is gone through.
        numbers = tf.data.Dataset.random(rerandomize_each_iteration=True)
        epochs = numbers.take(1).map(lambda number: shuffled(number, 0))
    else:
        epochs = tf.data.Dataset.from_tensors(rows)

    def several(chosen):
        images = tf.gather(pool, chosen)
        full = tf.shape(images)[0] // batch_size * batch_size
        return tf.reshape(images[:full], (-1, batch_size, *pool.shape[1:])), images[full:]

    if at_once:
        chosen = epochs.rebatch(batch_size * at_once).map(several).repeat()
    else:
        chosen = epochs.rebatch(batch_size).map(lambda numbers: tf.gather(pool, numbers))
    if seed is None and not at_once:
        chosen = chosen.apply(
            tf.data.experimental.assert_cardinality(-(-len(images) // batch_size))
        )
    chosen = chosen.prefetch(2)
    # While tf.data tunes itself, the end of `fit` waits for its next look at the clock. These
    # come after 10 ms, 20 ms, 40 ms … so that a training of 2.7 s takes 5.1 s.
    options = tf.data.Options()
    options.autotune.enabled = False
    # To optimise its graph, tf.data would write the pool into it: up to 0.3 s for each training.
    options.experimental_optimization.apply_default_optimizations = False
    return chosen.with_options(options)
