"""Several seeds of one run, trained as one program.

The steps of a small network are so short that a processor spends much of them between
operations. With a row for each seed in front of every weight, ten models take the operations of
one. Under Adam, which moves each number by itself, they remain ten independent models.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from tqdm import tqdm

from vae_utils import schedules
from vae_utils.batches import batches
from vae_utils.checks import check_flag, check_seed, check_whole
from vae_utils.compiled import state
from vae_utils.data import Images
from vae_utils.divergence import ENOUGH_IMAGES, copied, gives_numbers, warn_of_divergence
from vae_utils.likelihoods import Likelihood
from vae_utils.model import VAE
from vae_utils.params import Params
from vae_utils.programs import (
    Architecture,
    LearningRate,
    Recipe,
    fill_table,
    make_program,
    name_of,
    new_model,
    one_run,
    pool_of,
    recipe_from,
    shared,
)

STEPS_PER_CALL = 100  # between two looks at the losses, and at the progress bar


class _OfEachRow(keras.constraints.Constraint):
    """A model's constraint, for each seed of a stack."""

    def __init__(self, constraint):
        self.constraint = constraint

    def __call__(self, rows):
        return ops.vectorized_map(self.constraint, rows)


class Stack:
    """A model for each seed, in variables with one more axis in front: (seeds, ...).

    The loss, its gradients and what the model counts are the model's own code, for one seed;
    `vectorized_map` makes of it the code for all.
    """

    def __init__(self, recipe: Recipe, size: int, count: int) -> None:
        self.count = count
        self.model = make_program(recipe, size)
        trained = self.model.trainable_variables
        known = {id(variable) for variable in trained}
        self.trained = [(v, self._stacked(v)) for v in trained]
        self.others = [(v, self._stacked(v)) for v in self.model.variables if id(v) not in known]
        if isinstance(self.model.optimizer, keras.optimizers.LossScaleOptimizer):
            raise ValueError(
                "seeds can't be trained together under mixed_float16: each would need "
                "its own scale of the loss. Use mixed_bfloat16"
            )
        # Made for the stacked variables, in place of what was made for those of one model.
        self.model.optimizer = keras.optimizers.Adam(recipe.learning_rate)
        self.model.build_optimizers([stacked for _, stacked in self.trained])
        self._program: Callable | None = None

    def _stacked(self, variable):
        values = np.stack([variable] * self.count)
        stacked = keras.Variable(values, dtype=variable.dtype, trainable=variable.trainable)
        if getattr(variable, "constraint", None):
            stacked.constraint = _OfEachRow(variable.constraint)
        return stacked

    # ---- a step of all seeds -----------------------------------------------------

    def _one_seed(self, rows):
        """Return one seed's gradients, its other variables after the step, and its loss."""
        trained, others, images = rows
        mapping = [
            *zip((v for v, _ in self.trained), trained),
            *zip((v for v, _ in self.others), others),
        ]
        with keras.StatelessScope(mapping) as scope:
            with tf.GradientTape() as tape:
                tape.watch(trained)
                loss, values = self.model.objective(images, training=True)
            self.model.count_step(values)
            moved = [scope.get_current_value(v) for v, _ in self.others]
        return tape.gradient(loss, trained), moved, loss

    def _step(self, images):
        rows = ([s.value for _, s in self.trained], [s.value for _, s in self.others], images)
        # Without a warning: it draws the noise of one seed after the other.
        gradients, moved, losses = tf.vectorized_map(self._one_seed, rows, warn=False)
        for (_, stacked), value in zip(self.others, moved, strict=True):
            stacked.assign(value)
        # As a model alone does: the encoder's first, by one XLA program.
        known = {id(v): (g, stacked) for (v, stacked), g in zip(self.trained, gradients)}
        pairs = [known[id(variable)] for variable in self.model.variables_to_update()]
        self.model.update_through_xla([g for g, _ in pairs], [stacked for _, stacked in pairs])
        return losses

    def steps(self, iterator: tf.data.Iterator, count: tf.Tensor) -> tf.Tensor:
        """Take so many steps, on the next batches of each seed: (seeds, n, h, w, c).

        Returns:
            The sum of each seed's losses: (seeds,).
        """
        if self._program is None:
            # Traced by hand: TensorFlow would warn that many stacks trace the same function.
            program = tf.function(self._several_steps, autograph=False)
            self._program = program.get_concrete_function(iterator, count)
        return self._program(iterator, count)

    def _several_steps(self, iterator, count):
        def step(number, losses):
            return number + 1, losses + self._step(next(iterator))

        start = (tf.constant(0), tf.zeros(self.count, self.model.precision))
        return tf.while_loop(lambda number, _: number < count, step, start)[1]

    # ---- from models, and back to them ---------------------------------------------

    def variables(self) -> list[keras.Variable]:
        """List the stacked variables, in the order of a model's `state`."""
        known = {id(v): stacked for v, stacked in [*self.trained, *self.others]}
        ours = [known[id(variable)] for variable in self.model.variables]
        return sum((each.variables for each in self.model.list_optimizers()), ours)

    def start_from(self, models: Sequence[VAE]) -> None:
        """Take over the state of the models."""
        states = zip(*map(state, models), strict=True)
        for stacked, each in zip(self.variables(), states, strict=True):
            # Adam's count and rate are the same for all.
            alike = stacked.shape == each[0].shape
            stacked.assign(each[0] if alike else np.stack(each))


def hand_back(values: Sequence[tf.Tensor], row: int, model: VAE) -> None:
    """Give a model its row of the values of a stack's variables."""
    for value, variable in zip(values, state(model), strict=True):
        variable.assign(value if value.shape == variable.shape else value[row])


_shared_stack = lru_cache(maxsize=2)(Stack)


def train_seeds(
    architecture: str | Architecture,
    images: Images,
    steps: int,
    *,
    seeds: Sequence[int],
    likelihood: Likelihood,
    kl_weight: float | schedules.Schedule,
    params: Params = Params(),
    learning_rate: LearningRate | None = None,
    verbose: bool = True,
) -> list[VAE]:
    """Train one model for each seed, all of them at once, without recording them.

    Each is the model that `train` gives for its seed: the same initial weights, the same order of
    images and the same noise. Only rounding differs, as sums over several seeds are added up in
    another order, and the difference grows as training goes on. This pays for small dense
    networks (the book's page on speed has a table), not for convolutions. If a seed diverges,
    there is a warning, and its model goes back to its last good weights, of which there is a copy
    every hundred steps; the others go on.

    Args:
        architecture, images, steps, likelihood, kl_weight, params, learning_rate: as for `train`.
        seeds: whole numbers, one for each model.
        verbose: whether to show a progress bar.

    Returns:
        The trained models, in the order of the seeds.

    Raises:
        ValueError: if `seeds` is not a list of at least one whole number, and as `train` does.

    Example:
        >>> from vae_utils import Gaussian, Params
        >>> pixels = np.random.default_rng(0).uniform(size=(64, 8, 8, 1)).astype("float32")
        >>> images = Images(pixels[:48], pixels[48:], None, None, "own", "noise")
        >>> small = Params((8, 8, 1), 2, mlp_encoder_units=(4,), mlp_decoder_units=(4,))
        >>> vaes = train_seeds(
        ...     "mlp", images, 10, seeds=range(3),
        ...     likelihood=Gaussian(), kl_weight=1.0, params=small, verbose=False,
        ... )
        >>> [vae.seed for vae in vaes]
        [0, 1, 2]
    """
    check_whole(steps, 1, "steps")
    check_flag(verbose, "verbose")
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        raise ValueError(f"seeds must be a list of whole numbers; got {seeds!r}")
    seeds = [check_seed(seed, "each of seeds") for seed in seeds]
    if not seeds:
        raise ValueError("seeds must hold at least one whole number; got none")
    recipe = recipe_from(architecture, images, likelihood, kl_weight, params, learning_rate, 1)
    with one_run:
        constants, size = shared(recipe, steps)
        stack = _shared_stack(constants, size, len(seeds))
        fill_table(stack.model, recipe.kl_weight, size)
        models = [new_model(recipe, seed) for seed in seeds]
        stack.start_from(models)
        pool = pool_of(images)
        orders = [batches(pool, recipe.params.batch_size, seed=seed) for seed in seeds]
        iterator = iter(tf.data.Dataset.zip(*orders).map(lambda *each: tf.stack(each)))
        bar = tqdm(
            total=steps,
            desc=f"{name_of(architecture)}, {len(seeds)} seeds",
            unit="step",
            disable=not verbose,
        )
        # The last two looks of each seed: the older one has given finite losses since.
        looks = {row: [copied(stack.variables())] for row in range(len(seeds))}
        diverged = set()
        with bar:
            for done in range(0, steps, STEPS_PER_CALL):
                count = min(STEPS_PER_CALL, steps - done)
                losses = stack.steps(iterator, tf.constant(count))
                bar.update(count)
                now = copied(stack.variables())
                diverged |= set(np.flatnonzero(~np.isfinite(losses)))
                for row in looks.keys() - diverged:
                    looks[row] = [looks[row][-1], now]
        for row, model in enumerate(models):
            _take_the_last_good(looks[row], row, model, images.train[:ENOUGH_IMAGES])
    for seed, model in zip(seeds, models):
        if int(model.step) < steps:
            warn_of_divergence(f"the loss of seed {seed} was not finite", int(model.step))
    return models


def _take_the_last_good(looks, row, model, images):
    for values in reversed(looks):
        hand_back(values, row, model)
        if gives_numbers(model, images):
            return
