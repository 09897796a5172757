"""Log-densities and divergences as pure functions, in nats.

All of them take NumPy arrays or tensors of the same dtype, broadcast, and return a tensor with one
value per element; the caller sums over the axes that belong to one image or code.
"""

import math
from typing import TypeAlias

import numpy as np
import tensorflow as tf
from keras import ops

Array: TypeAlias = np.ndarray | tf.Tensor


def normal_log_density(value: Array, mean: Array | float, log_std: Array | float) -> tf.Tensor:
    """Return ln N(value; mean, exp(log_std)²), elementwise.

    Args:
        value, mean, log_std: arrays that broadcast together.

    Returns:
        The log-density in nats, of the broadcast shape.

    Example:
        >>> normal_log_density(np.array([0.0, 2.0]), 0.0, np.log(2.0)).numpy()  # ½ apart
        array([-1.61208571, -2.11208571])
    """
    # Keras turns a Python number into float32, which doesn't mix with float64.
    precision = math.exp(-log_std) if isinstance(log_std, (int, float)) else ops.exp(-log_std)
    scaled = (value - mean) * precision
    return -0.5 * ops.square(scaled) - log_std - 0.5 * math.log(2 * math.pi)


def bernoulli_log_density(value: Array, logits: Array) -> tf.Tensor:
    """Return ln Bernoulli(value; sigmoid(logits)), elementwise.

    `value` may lie anywhere in [0, 1]. Only for 0 and 1 is this the log of a
    probability; in between it is minus the cross-entropy.

    Args:
        value: array in [0, 1].
        logits: array that broadcasts with `value`.

    Returns:
        Nats, of the broadcast shape.

    Example:
        >>> bernoulli_log_density(np.array([1.0, 0.0]), np.log(3)).numpy()  # ln ¾ and ln ¼
        array([-0.28768207, -1.38629436])
    """
    # v·ln σ(a) + (1 − v)·ln(1 − σ(a)) = v·a − softplus(a), stable for any a.
    return value * logits - ops.softplus(logits)


def kl_to_standard_normal(mean: Array, log_std: Array) -> tf.Tensor:
    """Return KL(N(mean, exp(log_std)²) ‖ N(0, 1)), elementwise.

    Kingma & Welling 2013 (arXiv 1312.6114), appendix B, written with the log
    of the standard deviation.

    Args:
        mean, log_std: arrays that broadcast together.

    Returns:
        Nats, of the broadcast shape. Never negative, except for rounding: in float32, a KL
        of nearly 0 may come out as −1e-7.

    Example:
        >>> mean, log_std = np.array([0.0, 2.0, 0.0]), np.array([0.0, 0.0, np.log(2)])
        >>> kl_to_standard_normal(mean, log_std).numpy()  # 0, ½ mean², and 1.5 − ln 2
        array([0.        , 2.        , 0.80685282])
    """
    return 0.5 * (mean**2 + ops.exp(2.0 * log_std) - 1.0 - 2.0 * log_std)
