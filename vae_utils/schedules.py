"""KL-weight schedules: step in, weight out.

A schedule is called with the number of gradient steps so far, like a Keras
`LearningRateSchedule`, and runs inside the compiled training step.
"""

import math
from dataclasses import dataclass, fields
from typing import ClassVar, TypeAlias

import keras
import tensorflow as tf
from keras import ops

from vae_utils.checks import LARGEST_FLOAT, check_at_least, check_number, check_whole, if_class
from vae_utils.densities import Array
from vae_utils.settings import Settings

Steps: TypeAlias = int | Array

# How the fields with numbers are annotated; as text with `from __future__ import annotations`.
NUMBERS = (int, float, "int", "float")


@dataclass(frozen=True)
class Schedule(Settings):
    """The base of all schedules: saving, loading and the checks of their numbers.

    Most schedules are open from step 0. One that waits for the model, such as `QualityGate`,
    has a weight of 0 until `opened_at` says that it opens.

    For a schedule of your own, derive a frozen dataclass with a `__call__`, and register it, so
    that Keras can load models that have it. Of its fields, those annotated as `int` or `float`
    are checked. Others may hold anything that can be hashed and saved, such as text, tuples and
    other schedules.

    Raises:
        ValueError: if a field that is annotated as a number isn't one, is negative or not finite.

    Example:
        >>> import dataclasses
        >>> import keras
        >>> import numpy as np
        >>> from keras import ops
        >>> @keras.saving.register_keras_serializable("mine")
        ... @dataclasses.dataclass(frozen=True)
        ... class Step(Schedule):
        ...     at: float
        ...
        ...     def __call__(self, step):
        ...         return ops.cast(ops.convert_to_tensor(step) >= self.at, "float32")
        >>> Step(at=100)(np.array([99, 100])).numpy()
        array([0., 1.], dtype=float32)
    """

    # Whether its weights depend on the course of training, and so can't be known in advance.
    waits: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in (each.name for each in fields(self) if each.type in NUMBERS):
            value = check_at_least(getattr(self, name), 0, f"{type(self).__name__}({name})")
            object.__setattr__(self, name, value)  # a plain number, whatever kind came in

    def __call__(self, step: Steps) -> tf.Tensor:
        """Return the KL weight at `step`: a number, an array or a tensor of steps."""
        raise NotImplementedError

    def opened_at(self, opened_at: Steps, step: Steps, mse: float | Array) -> Steps:
        """Return the step at which the schedule opened, or −1 while it waits.

        Args:
            opened_at: what this returned one step earlier.
            step: the current step.
            mse: mean squared error per pixel of the current training batch.
        """
        return opened_at

    def weight_at(self, step: Steps, opened_at: Steps) -> tf.Tensor:
        """Return the KL weight at `step`, counted from the opening; 0 before it."""
        return ops.where(opened_at < 0, 0.0, self(step - opened_at))


def _check_rise(rate, name):
    """Refuse a number of steps in place of the weight's rise at each step."""
    if rate > 1:
        raise ValueError(
            f"{name} is the rise of the weight at each step, and must be at most 1; got {rate}. "
            f"For a rise over {rate:g} steps, it is 1 / {rate:g}"
        )


def _clip_to_ramp(progress):
    """Return 0 before a ramp, its progress in [0, 1] on it, and 1 after it."""
    return ops.clip(progress, 0.0, 1.0)


def _as_float(step):
    """Return a step as float32, or say that it isn't one."""
    try:
        step = ops.convert_to_tensor(step)
        kind = tf.as_dtype(step.dtype)
    except (OverflowError, TypeError, ValueError):
        kind = tf.as_dtype("string")
    if not (kind.is_integer or kind.is_floating):
        raise ValueError(f"step must be a number, or an array or tensor of numbers; got {step!r}")
    # What is finite stays so.
    return ops.clip(ops.cast(step, "float32"), -LARGEST_FLOAT, LARGEST_FLOAT)


@keras.saving.register_keras_serializable("vae_utils")
@dataclass(frozen=True)
class Constant(Schedule):
    """The same weight at every step. 1 gives the ELBO, 0 drops the KL term.

    Args:
        weight: the KL weight, at least 0.

    Raises:
        ValueError: as `Schedule`.

    Example:
        >>> float(Constant(0.5)(1000))
        0.5
    """

    weight: float = 1.0

    def __call__(self, step: Steps) -> tf.Tensor:
        return ops.zeros_like(_as_float(step)) + self.weight


@keras.saving.register_keras_serializable("vae_utils")
@dataclass(frozen=True)
class Linear(Schedule):
    """0 until step `start`, then a rise of `rate` per step, up to `cap`.

    Args:
        rate: rise of the weight at each step, at most 1.
        start: step at which the rise begins.
        cap: highest weight.

    Raises:
        ValueError: as `Schedule`, or if the rate is above 1.

    Example:
        >>> import numpy as np
        >>> Linear(rate=1 / 100, start=50)(np.array([0, 75, 1000])).numpy()
        array([0.  , 0.25, 1.  ], dtype=float32)
    """

    rate: float
    start: float = 0
    cap: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_rise(self.rate, "Linear(rate)")

    def __call__(self, step: Steps) -> tf.Tensor:
        return ops.clip(self.rate * (_as_float(step) - self.start), 0.0, self.cap)


@keras.saving.register_keras_serializable("vae_utils")
@dataclass(frozen=True)
class Sigmoid(Schedule):
    """cap / (1 + exp(−rate · (step − midpoint))), as in Bowman et al. 2016, figure 2.

    Args:
        rate: steepness, per step.
        midpoint: step at which the weight is half the cap.
        cap: the weight that it approaches.

    Raises:
        ValueError: as `Schedule`.

    Example:
        >>> import numpy as np
        >>> Sigmoid(rate=0.1, midpoint=100)(np.array([0, 100, 200])).numpy().round(3)
        array([0. , 0.5, 1. ], dtype=float32)
    """

    rate: float
    midpoint: float
    cap: float = 1.0

    def __call__(self, step: Steps) -> tf.Tensor:
        return self.cap * ops.sigmoid(self.rate * (_as_float(step) - self.midpoint))


@keras.saving.register_keras_serializable("vae_utils")
@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine wave, from 0 at step `start` up to `cap`.

    Args:
        steps: length of the rise, at least 1.
        start: step at which the rise begins.
        cap: weight after the rise.

    Raises:
        ValueError: as `Schedule`, or if the rise takes less than one step.

    Example:
        >>> import numpy as np
        >>> Cosine(steps=100)(np.array([0, 50, 100])).numpy().round(3)
        array([0. , 0.5, 1. ], dtype=float32)
    """

    steps: float
    start: float = 0
    cap: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(self.steps, 1, "Cosine(steps)")

    def __call__(self, step: Steps) -> tf.Tensor:
        progress = _clip_to_ramp((_as_float(step) - self.start) / self.steps)
        return self.cap * 0.5 * (1.0 - ops.cos(math.pi * progress))


@keras.saving.register_keras_serializable("vae_utils")
@dataclass(frozen=True)
class Cyclical(Schedule):
    """Linear ramps from 0 to `cap`, repeated `cycles` times; then `cap`.

    Fu et al. 2019 (arXiv 1903.10145) use four cycles, with a ramp over half of each.

    Args:
        period: steps of one cycle, at least 1.
        ramp: the part of a cycle that its ramp takes, in (0, 1].
        cycles: number of cycles.
        cap: weight at the end of each ramp.

    Raises:
        ValueError: as `Schedule`, if a period takes less than one step, if `ramp` is not in
            (0, 1], or if `cycles` is not a whole number of at least 0.

    Example:
        >>> import numpy as np
        >>> Cyclical(period=100)(np.array([0, 25, 75, 100, 1000])).numpy()
        array([0. , 0.5, 1. , 0. , 1. ], dtype=float32)
    """

    period: float
    ramp: float = 0.5
    cycles: int = 4
    cap: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_at_least(self.period, 1, "Cyclical(period)")
        check_whole(self.cycles, 0, "Cyclical(cycles)")
        if not 0 < self.ramp <= 1:
            raise ValueError(f"Cyclical(ramp) must lie in (0, 1]; got {self.ramp}")

    def __call__(self, step: Steps) -> tf.Tensor:
        step = _as_float(step)
        # A ramp too short for float32 is a jump.
        within = ops.mod(step, self.period) / max(self.period * self.ramp, 1e-30)
        over = ops.cast(step >= self.cycles * self.period, "float32")
        return self.cap * ops.maximum(_clip_to_ramp(within), over)


@keras.saving.register_keras_serializable("vae_utils")
@dataclass(frozen=True)
class QualityGate(Schedule):
    """0 until a batch is reconstructed well enough, then a linear rise to `cap`.

    The rule of the original analysis. The model keeps and saves the step at
    which the gate opened; the schedule is called with the number of steps
    since then. An open gate stays open.

    Args:
        mse: the gate opens once the mean squared error of a training batch,
            per pixel in [0, 1], is below this.
        rate: rise of the weight at each step, at most 1.
        cap: highest weight.

    Raises:
        ValueError: as `Schedule`, or if the rate is above 1.

    Example:
        >>> gate = QualityGate(mse=0.02, rate=0.01)
        >>> int(gate.opened_at(-1, step=10, mse=0.03)), int(gate.opened_at(-1, 11, 0.01))
        (-1, 11)
        >>> round(float(gate.weight_at(step=61, opened_at=11)), 3)
        0.5
    """

    mse: float
    rate: float
    cap: float = 1.0
    waits: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_rise(self.rate, "QualityGate(rate)")

    def opened_at(self, opened_at: Steps, step: Steps, mse: float | Array) -> Steps:
        good_enough = ops.logical_and(opened_at < 0, mse < self.mse)
        return ops.where(good_enough, step, opened_at)

    def __call__(self, step: Steps) -> tf.Tensor:
        return ops.clip(self.rate * _as_float(step), 0.0, self.cap)


def get(kl_weight: float | Schedule) -> Schedule:
    """Turn a plain number into a `Constant`; return a schedule unchanged.

    Raises:
        ValueError: if it is neither, or if the number is negative.

    Example:
        >>> get(0.5)
        Constant(weight=0.5)
    """
    if isinstance(kl_weight, Schedule):
        return kl_weight
    try:
        check_number(kl_weight, "kl_weight")
    except ValueError:
        raise ValueError(
            "kl_weight must be a number of at least 0 or a schedule such as "
            f"Linear(rate=1e-3); got {kl_weight!r}{if_class(kl_weight)}"
        ) from None
    return Constant(float(check_at_least(kl_weight, 0, "kl_weight")))
