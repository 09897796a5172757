"""Several seeds of one run, trained as one program.

The steps of a small network are so short that a processor spends much of them between
operations. With a row for each seed in front of every weight, ten models take the operations of
one. Under Adam, which moves each number by itself, they remain ten independent models.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from tqdm import tqdm

from vae_utils import schedules
from vae_utils.batches import batches
from vae_utils.checks import check_whole
from vae_utils.data import Images
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
    state,
)

STEPS_PER_CALL = 100  # between two looks at the progress bar


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
        # Made for the stacked variables, in place of what was made for those of one model.
        self.model.optimizer = keras.optimizers.Adam(recipe.learning_rate)
        self.model.build_optimizers([stacked for _, stacked in self.trained])
        self._program: Callable | None = None

    def _stacked(self, variable):
        values = np.stack([variable] * self.count)
        stacked = keras.Variable(values, dtype=variable.dtype, trainable=variable.trainable)
        if getattr(variable, "constraint", None):
            stacked.constraint = lambda rows: ops.vectorized_map(variable.constraint, rows)
        return stacked

    # ---- a step of all seeds -----------------------------------------------------

    def _one_seed(self, rows):
        """Return the gradients of one seed's loss, and its other variables after the step."""
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
        return tape.gradient(loss, trained), moved

    def _step(self, images):
        rows = ([s.value for _, s in self.trained], [s.value for _, s in self.others], images)
        # Without a warning: it draws the noise of one seed after the other.
        gradients, moved = tf.vectorized_map(self._one_seed, rows, warn=False)
        for (_, stacked), value in zip(self.others, moved, strict=True):
            stacked.assign(value)
        # As a model alone does: the encoder's first, by one XLA program.
        known = {id(v): (g, stacked) for (v, stacked), g in zip(self.trained, gradients)}
        pairs = [known[id(variable)] for variable in self.model.variables_to_update()]
        self.model.update_through_xla([g for g, _ in pairs], [stacked for _, stacked in pairs])

    def steps(self, iterator: tf.data.Iterator, count: tf.Tensor) -> None:
        """Take so many steps, on the next batches of each seed: (seeds, n, h, w, c)."""
        if self._program is None:
            # Traced by hand: TensorFlow would warn that many stacks trace the same function.
            program = tf.function(self._several_steps, autograph=False)
            self._program = program.get_concrete_function(iterator, count)
        self._program(iterator, count)

    def _several_steps(self, iterator, count):
        def step(number):
            self._step(next(iterator))
            return (number + 1,)

        tf.while_loop(lambda number: number < count, step, (tf.constant(0),))

    # ---- from models, and back to them ---------------------------------------------

    def _pairs(self, models):
        """Pair each variable of the stack with those of the models."""
        known = {id(v): stacked for v, stacked in [*self.trained, *self.others]}
        ours = [known[id(variable)] for variable in self.model.variables]
        for optimizer in self.model.list_optimizers():
            ours += optimizer.variables
        return zip(ours, zip(*(state(model) for model in models), strict=True), strict=True)

    def start_from(self, models: Sequence[VAE]) -> None:
        """Take over the state of the models."""
        for stacked, each in self._pairs(models):
            # Adam's count and rate are the same for all.
            alike = stacked.shape == each[0].shape
            stacked.assign(each[0] if alike else np.stack(each))

    def hand_back(self, models: Sequence[VAE]) -> None:
        """Give the models their state."""
        for stacked, each in self._pairs(models):
            values = ops.convert_to_numpy(stacked)
            alike = stacked.shape == each[0].shape
            for row, variable in enumerate(each):
                variable.assign(values if alike else values[row])


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
    """Train one model for each seed, all of them at once, without looks on the way.

    Each is the model that `train` makes of its seed: the same start values, the same order of
    images and the same noise. Only rounding differs, as sums over several seeds are added up in
    another order, and grows as training goes on. It pays for small dense networks (the book's page
    on speed has a table), not for convolutions.

    Args:
        architecture, images, steps, likelihood, kl_weight, params, learning_rate: as for `train`.
        seeds: whole numbers, one for each model.
        verbose: whether to show a progress bar.

    Returns:
        The trained models, in the order of the seeds.

    Raises:
        ValueError: without seeds, and as `train` does.

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
    seeds = [check_whole(seed, 0, "each of seeds") for seed in seeds]
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
        with bar:
            for done in range(0, steps, STEPS_PER_CALL):
                count = min(STEPS_PER_CALL, steps - done)
                stack.steps(iterator, tf.constant(count))
                bar.update(count)
        stack.hand_back(models)
    return models
