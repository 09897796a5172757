"""One training run from its settings: what the experiments of the book repeat."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import keras
import numpy as np

from vae_utils import schedules
from vae_utils.batches import batches
from vae_utils.checks import check_seed, check_whole
from vae_utils.data import Images
from vae_utils.divergence import ENOUGH_IMAGES, StopOnNaN
from vae_utils.likelihoods import Likelihood
from vae_utils.model import VAE
from vae_utils.params import Params
from vae_utils.programs import (
    Architecture,
    LearningRate,
    copy_state,
    name_of,
    new_model,
    one_run,
    pool_of,
    program_for,
    recipe_from,
)
from vae_utils.recording import ProgressBar, Recorder


@dataclass(frozen=True)
class Run:
    """A trained model and what was recorded on the way.

    Attributes:
        vae: the trained model.
        record: as `Recorder.record`; empty without a recorder.

    Example:
        >>> from vae_utils import mlp_decoder, mlp_encoder
        >>> run = Run(VAE(mlp_encoder(), mlp_decoder()), record={"step": np.array([0, 10])})
        >>> run.vae.latent_size, run.record["step"]
        (32, array([ 0, 10]))
    """

    vae: VAE
    record: dict[str, np.ndarray] = field(repr=False)


def train(
    architecture: str | Architecture,
    images: Images,
    steps: int,
    *,
    likelihood: Likelihood,
    kl_weight: float | schedules.Schedule,
    seed: int,
    params: Params = Params(),
    learning_rate: LearningRate | None = None,
    every: int = 10,
    watch: int = 100,
    callbacks: Sequence[keras.callbacks.Callback] | None = None,
) -> Run:
    """Build a model, train it, and record it every few steps.

    Equal arguments give equal results, to the last bit, on the same machine. Several threads
    may call it; they take turns. If training diverges, it stops with a warning, and the model
    goes back to its last good weights (`StopOnNaN`).

    Args:
        architecture: "conv" or "mlp", the two of the original analysis; "context", the MLP
            with a decoder that reads pixels, on images drawn black and white; or a tuple of
            your own: a `VAE` class, and functions of `Params` that build encoder and decoder.
        images: `Images`: training images to learn from, test images to record.
        steps: gradient steps.
        likelihood: a `Likelihood`, such as `Gaussian(variance)`; `Bernoulli()` for "context".
        kl_weight: a number or a schedule.
        seed: a whole number, for the initial weights, the order of the images and the noise.
        params: sizes of the networks, batch size, learning rate.
        learning_rate: a number or a Keras schedule, in place of `params.learning_rate`.
        every: gradient steps between two looks.
        watch: how many test images to record; 0 for no looks and an empty record.
        callbacks: Keras callbacks in place of the progress bar. A `Recorder` among them
            replaces the one that `watch` asks for. Runs share their `model`, so save and keep
            the `vae` of the result instead.

    Returns:
        A `Run`: the model, and what was recorded.

    Raises:
        ValueError: on an unknown architecture, on images of another shape than
            `params.image_shape`, on a bad likelihood, weight or learning rate, on a seed that is
            not a whole number from 0 to 2³² − 1, or if `every` doesn't divide `steps`.

    Example:
        >>> from vae_utils import Gaussian, load_images
        >>> pixels = np.random.default_rng(0).uniform(size=(100, 28, 28))  # your own images
        >>> run = train(
        ...     "mlp", load_images(pixels), 20,
        ...     likelihood=Gaussian(), kl_weight=1.0, seed=0, callbacks=[],
        ... )
        Data: own, 90 training and 10 test images, from an array of your own.
        >>> run.record["step"]
        array([ 0, 10, 20])
    """
    check_whole(steps, 1, "steps")
    check_whole(every, 1, "every")
    check_whole(watch, 0, "watch")
    seed = check_seed(seed)
    if steps % every:
        raise ValueError(f"every ({every}) must divide steps ({steps})")
    recipe = recipe_from(
        architecture, images, likelihood, kl_weight, params, learning_rate, steps_per_call=every
    )
    if callbacks is None:
        callbacks = [ProgressBar(steps, f"{name_of(architecture)}, seed {seed}")]
    if not isinstance(callbacks, Sequence) or not all(
        isinstance(callback, keras.callbacks.Callback) for callback in callbacks
    ):
        raise ValueError(f"callbacks must be a list of Keras callbacks, or None; got {callbacks!r}")
    recorders = [callback for callback in callbacks if isinstance(callback, Recorder)]
    if not recorders and watch:
        recorders = [Recorder(images.test[:watch], every)]
        callbacks = [*recorders, *callbacks]
    callbacks = [StopOnNaN(images.train[:ENOUGH_IMAGES], every), *callbacks]
    with one_run:
        program = program_for(recipe, steps)
        vae = new_model(recipe, seed)
        copy_state(vae, program)
        pool = pool_of(images)
        program.fit(
            batches(pool, recipe.params.batch_size, seed=seed),
            steps_per_epoch=steps,
            shuffle=False,
            verbose=0,
            callbacks=callbacks,
        )
        copy_state(program, vae)
    return Run(vae, recorders[0].record if recorders else {})
