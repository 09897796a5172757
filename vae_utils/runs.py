"""One training run from its settings: what the experiments of the book repeat."""

import random
import threading
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from numbers import Integral

import keras
import numpy as np
import tensorflow as tf

from vae_utils import networks, schedules
from vae_utils.batches import batches
from vae_utils.checks import check_at_least
from vae_utils.context import ContextVAE
from vae_utils.data import Images
from vae_utils.model import VAE
from vae_utils.params import Params
from vae_utils.recording import ProgressBar, Recorder

ARCHITECTURES = {
    "conv": (VAE, networks.conv_encoder, networks.conv_decoder),
    "mlp": (VAE, networks.mlp_encoder, networks.mlp_decoder),
    "context": (ContextVAE, networks.mlp_encoder, networks.context_decoder),
}


@dataclass(frozen=True)
class Run:
    """A trained model and what was recorded on the way (see `Recorder`)."""

    vae: VAE
    record: dict[str, np.ndarray] = field(repr=False)


@dataclass(frozen=True, eq=False)
class _Table(schedules.Schedule):
    """A KL weight that is looked up, so that one program serves many schedules."""

    weights: tf.Variable

    def __post_init__(self):
        """The schedule that fills the table has checked its numbers."""

    def __call__(self, step):
        return tf.gather(self.weights, step)


def _draw_start_values(network, seeds):
    """What a seed leads to in Keras, but from a generator of our own.

    Keras draws the seed of each layer from Python's generator, which all threads of a
    process share: another one that draws meanwhile, as a Dask worker's do, changes them.
    """
    # In the order in which the networks make their layers; Keras lists the deeper head first.
    for layer in sorted(network.layers, key=lambda layer: layer.name == "raw_log_std"):
        initializer = getattr(layer, "kernel_initializer", None)
        if initializer and hasattr(layer, "kernel") and "seed" in initializer.get_config():
            again = type(initializer)(**{**initializer.get_config(), "seed": seeds()})
            layer.kernel.assign(again(layer.kernel.shape))
        elif hasattr(layer, "seed_generator"):  # such as dropout, unless it drops nothing
            layer.seed_generator.state.assign([seeds(), 0])


def _compiled(architecture, params, likelihood, kl_weight, learning_rate, every, seed=0):
    """A new model, ready for `fit`."""
    model, encoder, decoder = architecture
    # Keras takes its seeds from here. To seed TensorFlow, too, would make it prepare a program
    # that is compiled already once more, which takes as long as a hundred steps.
    before = random.getstate()
    random.seed(seed)
    try:
        vae = model(encoder(params), decoder(params), likelihood, kl_weight, seed=seed)
    finally:
        random.setstate(before)
    seeds = partial(random.Random(seed).randint, 1, 10**9)
    for network in (vae.encoder, vae.decoder):
        _draw_start_values(network, seeds)
    optimizer = keras.optimizers.Adam(learning_rate)
    optimizer.build(vae.trainable_variables)
    # A whole step through XLA takes seconds more to compile, and is faster for the MLP on
    # several cores alone. The optimizer goes through it in any case.
    vae.compile(optimizer=optimizer, jit_compile=False, steps_per_execution=every)
    return vae


# Runs with equal settings share a program, and with it weights: one at a time in a process.
_one_run = threading.Lock()


@lru_cache(maxsize=4)
def _program(architecture, params, likelihood, kl_weight, learning_rate, every, size):
    """A model whose training step stays compiled for the runs that follow.

    Tracing and compiling take seconds, as long as some hundred steps. The
    arguments are what the compiled step has as constants.
    """
    if kl_weight is None:
        kl_weight = _Table(tf.Variable(tf.zeros(size)))
    return _compiled(architecture, params, likelihood, kl_weight, learning_rate, every)


def _program_for(architecture, params, likelihood, kl_weight, learning_rate, every, steps):
    """The program for these settings, of which some are data for it, not constants."""
    gated = isinstance(kl_weight, schedules.QualityGate)
    if architecture in ARCHITECTURES.values():
        # These networks have both in weights, which are copied. Of others nobody knows.
        params = replace(params, log_std_start=0.0, context=None)
    # Room for the weight of each step, in sizes that runs of other lengths share.
    size = max(4096, 1 << int(steps).bit_length())
    program = _program(
        architecture,
        replace(params, learning_rate=1.0),
        likelihood,
        kl_weight if gated else None,
        learning_rate if callable(learning_rate) else 1.0,
        every,
        size,
    )
    if not gated:
        program.kl_weight.weights.assign(kl_weight(tf.range(size)))
    return program


@lru_cache(maxsize=1)
def _pool(images):
    """The training images as a tensor: one copy for many runs, which stays for the next."""
    return tf.constant(images.train)


def _copy_state(source, target):
    """Weights, learning rate, optimizer, gate and noise: all that a run starts from."""
    for old, new in zip(
        target.variables + target.optimizer.variables,
        source.variables + source.optimizer.variables,
        strict=True,
    ):
        old.assign(new)


def train(
    architecture,
    images,
    steps,
    *,
    likelihood,
    kl_weight,
    seed,
    params=Params(),
    learning_rate=None,
    every=10,
    watch=100,
    callbacks=None,
) -> Run:
    """Build a model, train it, and look at it every few steps.

    Equal arguments give equal results, to the last bit, on the same machine. Threads may
    call it; they wait for each other.

    Args:
        architecture: "conv" or "mlp", the two of the original analysis; "context", the MLP
            with a decoder that reads pixels, on images that are drawn black and white; or three
            of your own: a `VAE` class, and functions of `Params` that build encoder and decoder.
        images: `Images` to train on and to watch.
        steps: gradient steps.
        likelihood: `Gaussian(variance)` or `Bernoulli()`.
        kl_weight: a number or a schedule.
        seed: a whole number: of the start values, the order of the images and the noise.
        params: sizes of the networks, batch size, learning rate.
        learning_rate: a number or a Keras schedule, in place of `params.learning_rate`.
        every: gradient steps between two looks.
        watch: how many test images to look at; 0 for no looks and an empty record.
        callbacks: Keras callbacks in place of the progress bar. A `Recorder` among them
            takes the place of the one that looks. Their `model` is one that runs share:
            save and keep the `vae` of what is returned instead.

    Raises:
        ValueError: on an unknown architecture, on images of another shape than
            `params.image_shape`, on a seed that is no whole number, or on steps that
            `every` doesn't divide.
    """
    if isinstance(architecture, str) and architecture in ARCHITECTURES:
        name, parts = architecture, ARCHITECTURES[architecture]
    elif isinstance(architecture, tuple) and len(architecture) == 3:
        name, parts = architecture[0].__name__, architecture
    else:
        raise ValueError(
            f"architecture must be one of {tuple(ARCHITECTURES)}, or a tuple of a model, an "
            f"encoder and a decoder; got {architecture!r}"
        )
    if not isinstance(images, Images):
        raise ValueError(f"images must come from load_images; got {type(images).__name__}")
    if images.train.shape[1:] != params.image_shape:
        raise ValueError(
            f"the networks take images of shape {params.image_shape}, and these have "
            f"{images.train.shape[1:]}; say so with Params(image_shape=images.train.shape[1:])"
        )
    check_at_least("steps", steps, 1)
    check_at_least("every", every, 1)
    check_at_least("watch", watch, 0)
    if not isinstance(seed, Integral):
        raise ValueError(f"seed must be a whole number; got {seed!r}")
    seed = int(seed)
    if learning_rate is None:
        learning_rate = params.learning_rate
    elif isinstance(learning_rate, (int, float)):
        params = replace(params, learning_rate=learning_rate)  # checks it
    if steps % every:
        raise ValueError(f"every ({every}) must divide steps ({steps})")
    kl_weight = schedules.get(kl_weight)
    if callbacks is None:
        callbacks = [ProgressBar(steps, f"{name}, seed {seed}")]
    recorders = [callback for callback in callbacks if isinstance(callback, Recorder)]
    if not recorders and watch:
        recorders = [Recorder(images.test[:watch], every)]
        callbacks = [*recorders, *callbacks]
    settings = (parts, params, likelihood, kl_weight, learning_rate, every)
    with _one_run:
        program = _program_for(*settings, steps)
        vae = _compiled(*settings, seed=seed)
        _copy_state(vae, program)
        pool = _pool(images)
        program.fit(
            batches(pool, params.batch_size, seed=seed),
            steps_per_epoch=steps,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
        )
        _copy_state(program, vae)
    return Run(vae, recorders[0].record if recorders else {})
