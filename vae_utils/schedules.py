"""KL-weight schedules: step in, weight out.

A schedule is called with the number of gradient steps so far, like a Keras
`LearningRateSchedule`, and runs inside the compiled training step.
"""

import math
from dataclasses import asdict, dataclass
from numbers import Real
from typing import ClassVar

import keras
from keras import ops

from vae_utils.checks import check_at_least
from vae_utils.settings import Settings


@dataclass(frozen=True)
class Schedule(Settings):
    """What all schedules share: saving, loading and the checks of their numbers.

    A schedule is open, or it waits. Most are open from step 0. One that waits for the model,
    such as `QualityGate`, has a weight of 0 until `opened_at` says that it opens.

    Raises:
        ValueError: if a number is negative or not finite.
    """

    # Whether its weights depend on how training goes, and so can't be known in advance.
    waits: ClassVar[bool] = False

    def __post_init__(self):
        for name, value in asdict(self).items():
            check_at_least(f"{type(self).__name__}({name})", value, 0)

    def __call__(self, step):
        """The KL weight at `step`, for a number, an array or a tensor of steps."""
        raise NotImplementedError

    def opened_at(self, opened_at, step, mse):
        """The step at which the schedule opened, −1 while it waits: unchanged, unless it waits.

        Args:
            opened_at: what this said so far.
            step: the current one.
            mse: mean squared error per pixel of the current training batch.
        """
        return opened_at

    def weight_at(self, step, opened_at):
        """The KL weight at `step`, counted from where the schedule opened; 0 while it waits."""
        return ops.where(opened_at < 0, 0.0, self(step - opened_at))


def _clip_to_ramp(progress):
    """0 before a ramp, its progress in [0, 1] on it, 1 behind it."""
    return ops.clip(progress, 0.0, 1.0)


def _as_float(step):
    return ops.cast(step, "float32")


@keras.saving.register_keras_serializable("vae_utils")
@dataclass(frozen=True)
class Constant(Schedule):
    """The same weight at every step. 1 is the ELBO, 0 the autoencoder."""

    weight: float = 1.0

    def __call__(self, step):
        return 0.0 * _as_float(step) + self.weight


@keras.saving.register_keras_serializable("vae_utils")
@dataclass(frozen=True)
class Linear(Schedule):
    """0 until `start`, then up by `rate` at each step, at most `cap`."""

    rate: float
    start: float = 0
    cap: float = 1.0

    def __call__(self, step):
        return ops.clip(self.rate * (_as_float(step) - self.start), 0.0, self.cap)


@keras.saving.register_keras_serializable("vae_utils")
@dataclass(frozen=True)
class Sigmoid(Schedule):
    """cap / (1 + exp(−rate · (step − midpoint))), as in Bowman et al. 2016, figure 2."""

    rate: float
    midpoint: float
    cap: float = 1.0

    def __call__(self, step):
        return self.cap * ops.sigmoid(self.rate * (_as_float(step) - self.midpoint))


@keras.saving.register_keras_serializable("vae_utils")
@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine wave from 0 at `start` up to `cap`, `steps` steps later."""

    steps: float
    start: float = 0
    cap: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        check_at_least("Cosine(steps)", self.steps, 1)

    def __call__(self, step):
        progress = _clip_to_ramp((_as_float(step) - self.start) / self.steps)
        return self.cap * 0.5 * (1.0 - ops.cos(math.pi * progress))


@keras.saving.register_keras_serializable("vae_utils")
@dataclass(frozen=True)
class Cyclical(Schedule):
    """Linear ramps from 0 to `cap` that start again, `cycles` times; `cap` afterwards.

    Fu et al. 2019 (arXiv 1903.10145): four cycles, the ramp taking half of each.

    Args:
        period: steps of one cycle.
        ramp: the part of a cycle that its ramp takes, in (0, 1].
        cycles: number of cycles.
        cap: weight at the end of each ramp.
    """

    period: float
    ramp: float = 0.5
    cycles: int = 4
    cap: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        check_at_least("Cyclical(period)", self.period, 1)
        if not 0 < self.ramp <= 1:
            raise ValueError(f"Cyclical(ramp) must lie in (0, 1]; got {self.ramp}")

    def __call__(self, step):
        step = _as_float(step)
        within = ops.mod(step, self.period) / (self.period * self.ramp)
        over = ops.cast(step >= self.cycles * self.period, "float32")
        return self.cap * ops.maximum(_clip_to_ramp(within), over)


@keras.saving.register_keras_serializable("vae_utils")
@dataclass(frozen=True)
class QualityGate(Schedule):
    """0 until a batch is reconstructed well enough, then up by `rate` at each step.

    The rule of the original analysis. The model remembers, and saves, the step
    at which the gate opened; the schedule is called with the steps since then.
    The gate doesn't close again.

    Args:
        mse: the gate opens once the mean squared error of a training batch,
            per pixel in [0, 1], is below this.
        rate: increment of the weight at each step.
        cap: highest weight.
    """

    mse: float
    rate: float
    cap: float = 1.0
    waits: ClassVar[bool] = True

    def opened_at(self, opened_at, step, mse):
        good_enough = ops.logical_and(opened_at < 0, mse < self.mse)
        return ops.where(good_enough, step, opened_at)

    def __call__(self, step):
        return ops.clip(self.rate * _as_float(step), 0.0, self.cap)


def get(kl_weight: "float | Schedule") -> Schedule:
    """A schedule from a schedule or from a plain number.

    Raises:
        ValueError: if it is neither, or if the number is negative.
    """
    if isinstance(kl_weight, Schedule):
        return kl_weight
    if isinstance(kl_weight, Real) and not isinstance(kl_weight, bool):
        return Constant(float(kl_weight))
    raise ValueError(
        "kl_weight must be a number of at least 0 or a schedule such as "
        f"Linear(rate=1e-3); got {kl_weight!r}"
    )
