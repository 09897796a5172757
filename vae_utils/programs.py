"""Compiled programs that runs share.

Tracing and compiling a training step take seconds, as long as a few hundred steps. Runs that
differ only in their seed, KL weights or learning rate share one program, to which these are
data, not constants.
"""

import inspect
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from numbers import Number
from typing import Any, TypeAlias

import keras
import tensorflow as tf
from keras import ops

from vae_utils import networks, schedules
from vae_utils.checks import check_positive
from vae_utils.compiled import state
from vae_utils.context import ContextVAE
from vae_utils.data import Images, check_split
from vae_utils.likelihoods import Likelihood, check_likelihood
from vae_utils.model import VAE
from vae_utils.params import Params, check_params

# A class of models, and functions of `Params` that build encoder and decoder.
Network: TypeAlias = Callable[[Params], keras.Model]
Architecture: TypeAlias = tuple[type[VAE], Network, Network]
LearningRate: TypeAlias = float | keras.optimizers.schedules.LearningRateSchedule

ARCHITECTURES: dict[str, Architecture] = {
    "conv": (VAE, networks.conv_encoder, networks.conv_decoder),
    "mlp": (VAE, networks.mlp_encoder, networks.mlp_decoder),
    "context": (ContextVAE, networks.mlp_encoder, networks.context_decoder),
}


@dataclass(frozen=True, eq=False)
class Table(schedules.Schedule):
    """A KL weight that is looked up, so that one program serves many schedules."""

    weights: tf.Variable

    def __post_init__(self) -> None:
        """Check nothing: the schedule that fills the table has checked its numbers."""

    def __call__(self, step: schedules.Steps) -> tf.Tensor:
        # As a tensor: `vectorized_map` knows how to look up rows of these, and not of variables.
        return tf.gather(tf.convert_to_tensor(self.weights), step)


def _draw_start_values(network, seeds):
    """Draw the start values as Keras does, but from a generator of our own.

    Keras draws the seed of each layer from Python's generator, which all threads of a
    process share: a thread that draws meanwhile, such as a Dask worker's, would change them.
    """
    # In the order in which the networks make their layers; Keras lists the deeper head first.
    for layer in sorted(network.layers, key=lambda layer: layer.name == "raw_log_std"):
        initializer = getattr(layer, "kernel_initializer", None)
        if initializer and hasattr(layer, "kernel") and "seed" in initializer.get_config():
            again = type(initializer)(**{**initializer.get_config(), "seed": seeds()})
            layer.kernel.assign(again(layer.kernel.shape))
        elif hasattr(layer, "seed_generator"):  # such as dropout, unless it drops nothing
            layer.seed_generator.state.assign([seeds(), 0])


@dataclass(frozen=True)
class Recipe:
    """All that a model is built and compiled from, but for its seed."""

    architecture: Architecture
    model_settings: tuple[tuple[str, Any], ...]  # the model's class attributes, as they are now
    dtype_policy: str
    params: Params
    likelihood: Likelihood
    kl_weight: schedules.Schedule
    learning_rate: LearningRate
    steps_per_call: int


def name_of(architecture: str | Architecture) -> str:
    """Return what a progress bar calls it."""
    return architecture if isinstance(architecture, str) else architecture[0].__name__


def parts_of(architecture: str | Architecture) -> Architecture:
    """Return class and functions of an architecture, or raise a ValueError if it is none."""
    if isinstance(architecture, str) and architecture in ARCHITECTURES:
        return ARCHITECTURES[architecture]
    if (
        isinstance(architecture, tuple)
        and len(architecture) == 3
        and isinstance(architecture[0], type)
        and all(map(callable, architecture))
    ):
        return architecture
    raise ValueError(
        f"architecture must be one of {tuple(ARCHITECTURES)}, or a tuple of a VAE class and "
        f"two functions of Params that build encoder and decoder; got {architecture!r}"
    )


def recipe_from(
    architecture: str | Architecture,
    images: Images,
    likelihood: Likelihood,
    kl_weight: float | schedules.Schedule,
    params: Params,
    learning_rate: LearningRate | None,
    steps_per_call: int,
) -> Recipe:
    """Return the recipe for these arguments of `train`.

    Raises:
        ValueError: on an unknown architecture, on a bad weight or rate, or on images of another
            shape than `params.image_shape`.
    """
    architecture = parts_of(architecture)
    check_split(images)
    check_params(params)
    check_likelihood(likelihood)
    if images.train.shape[1:] != params.image_shape:
        raise ValueError(
            f"the networks take images of shape {params.image_shape}, but these have "
            f"{images.train.shape[1:]}: pass params=Params(image_shape=images.train.shape[1:])"
        )
    if learning_rate is None:
        learning_rate = params.learning_rate
    elif not isinstance(learning_rate, keras.optimizers.schedules.LearningRateSchedule):
        learning_rate = float(check_positive(learning_rate, "learning_rate"))
        params = replace(params, learning_rate=learning_rate)
    kl_weight = schedules.get(kl_weight)
    return Recipe(
        architecture,
        settings_of(architecture[0]),
        keras.config.dtype_policy().name,
        params,
        likelihood,
        kl_weight,
        learning_rate,
        steps_per_call,
    )


def _is_setting(value):
    if isinstance(value, tuple):
        return all(map(_is_setting, value))
    return isinstance(value, (Number, str, keras.optimizers.schedules.LearningRateSchedule))


def settings_of(model: type) -> tuple[tuple[str, Any], ...]:
    """Return the settings among a class' attributes, which may be set at any time."""
    found = inspect.getmembers_static(model, _is_setting)
    return tuple((name, value) for name, value in found if not name.startswith("_"))


def new_model(recipe: Recipe, seed: int = 0) -> VAE:
    """Build and compile a new model, ready for `fit`."""
    model, encoder, decoder = recipe.architecture
    params = recipe.params
    # Keras takes its seeds from here. Seeding TensorFlow as well would make it prepare compiled
    # programs once more, which takes as long as a hundred steps.
    before = random.getstate()
    random.seed(seed)
    try:
        vae = model(
            encoder(params), decoder(params), recipe.likelihood, recipe.kl_weight, seed=seed
        )
    finally:
        random.setstate(before)
    seeds = partial(random.Random(seed).randint, 1, 10**9)
    for network in (vae.encoder, vae.decoder):
        _draw_start_values(network, seeds)
    optimizer = keras.optimizers.Adam(recipe.learning_rate)
    # A whole step through XLA takes seconds more to compile, and is faster only for the MLP on
    # several cores. The optimizer goes through it in any case.
    vae.compile(optimizer=optimizer, jit_compile=False, steps_per_execution=recipe.steps_per_call)
    return vae


# Runs with equal settings share a program and its weights, so a process does one at a time.
one_run = threading.Lock()


def make_program(recipe: Recipe, size: int) -> VAE:
    """Make a model in whose training step the recipe is constant.

    With a size, its KL weights are not: they come from a table.
    """
    if size:
        recipe = replace(recipe, kl_weight=Table(tf.Variable(tf.zeros(size))))
    return new_model(recipe)


# The step stays compiled for the runs that follow.
shared_program = lru_cache(maxsize=4)(make_program)


def shared(recipe: Recipe, steps: int) -> tuple[Recipe, int]:
    """Return what is constant in the program of a recipe, and the size of its table of weights.

    The size is 0 for a schedule that waits, as its weights can't be known in advance.
    """
    params, kl_weight = replace(recipe.params, learning_rate=1.0), recipe.kl_weight
    if recipe.architecture in ARCHITECTURES.values():
        # These networks have both in weights, which are copied. Others may not.
        params = replace(params, log_std_start=0.0, context=None)
    recipe = replace(recipe, params=params)
    if not callable(recipe.learning_rate):
        recipe = replace(recipe, learning_rate=1.0)  # copied, too
    if kl_weight.waits:
        return recipe, 0
    # Room for the weight of each step, in sizes that runs of other lengths share.
    size = max(4096, 1 << int(steps).bit_length())
    return replace(recipe, kl_weight=schedules.Constant()), size


def fill_table(program: VAE, kl_weight: schedules.Schedule, size: int) -> None:
    """Put the weights of a schedule where the program looks them up."""
    if size:
        table = program.kl_weight
        assert isinstance(table, Table)
        # A schedule may return one number, whatever the steps, and of any type.
        weights = ops.cast(kl_weight(tf.range(size)), table.weights.dtype)
        table.weights.assign(ops.broadcast_to(weights, (size,)))


def program_for(recipe: Recipe, steps: int) -> VAE:
    """Return the program for a recipe, made once for all that differ only in its data."""
    constants, size = shared(recipe, steps)
    program = shared_program(constants, size)
    fill_table(program, recipe.kl_weight, size)
    return program


@lru_cache(maxsize=1)
def pool_of(images: Images) -> tf.Tensor:
    """Return the training images as a tensor: one copy, kept for the runs that follow."""
    return tf.constant(images.train)


def copy_state(source: VAE, target: VAE) -> None:
    """Copy weights, learning rate, optimizer, gate and noise: all that a run starts from."""
    for old, new in zip(state(target), state(source), strict=True):
        old.assign(new)
