"""Callbacks: one keeps what the figures need, one shows the progress of training."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops
from tqdm import tqdm

from vae_utils.checks import LARGEST_CODE, check_callable, check_images, check_whole
from vae_utils.densities import kl_to_standard_normal


class Recorder(keras.callbacks.Callback):
    """Record what the model makes of a fixed set of test images, every few steps of training.

    `record` is a dict of arrays with one entry along the first axis for each look. It holds all
    looks of the latest `fit`, even an interrupted one, and none at a model that diverged:

    - `step` and `kl_weight`;
    - `kl_per_unit` (looks, latent_size), nats, averaged over the images;
    - `mse`, per pixel, of the reconstructions from one posterior sample per image;
    - `mean_low`, `mean_high`, `std_low`, `std_high`: lowest and highest posterior mean and
      standard deviation over all images and latent units;
    - `reconstructions` and `samples` (looks, pictures, h, w, c): of the
      first images, and of the same few codes from the prior each time.

    Args:
        images: test images (n, h, w, c) in [0, 1].
        every: gradient steps between two looks; where Keras takes several at a time
            (`steps_per_execution`), the look follows the last of them.
        pictures: how many reconstructions and samples to keep.
        on_look: a function to call after each look, with the list of all so far. A look
            is a dict with the names of `record`.

    Raises:
        ValueError: on bad images, or unless `every` is a whole number of at least 1 and
            `pictures` one of at least 0.

    Example:
        >>> from vae_utils import VAE, mlp_decoder, mlp_encoder
        >>> images = np.random.default_rng(0).uniform(size=(64, 28, 28, 1))
        >>> vae = VAE(mlp_encoder(), mlp_decoder())
        >>> vae.compile(optimizer="adam")
        >>> recorder = Recorder(images[:16], every=2)
        >>> history = vae.fit(images, batch_size=16, verbose=0, callbacks=[recorder])
        >>> recorder.record["step"]
        array([0, 2, 4])
        >>> recorder.record["kl_per_unit"].shape
        (3, 32)
    """

    def __init__(
        self,
        images: np.ndarray,
        every: int = 10,
        pictures: int = 8,
        on_look: Callable[[list[dict[str, Any]]], object] | None = None,
    ) -> None:
        super().__init__()
        self.images = check_images(images)
        self.every = check_whole(every, 1, "every")
        self.pictures = check_whole(pictures, 0, "pictures")
        check_callable(on_look, "on_look")
        self._on_look = on_look
        self._moments: list[dict[str, Any]] = []

    @property
    def record(self) -> dict[str, np.ndarray]:
        """All looks so far, as arrays; empty before the first look."""
        if not self._moments:
            return {}
        return {name: np.stack([look[name] for look in self._moments]) for name in self._moments[0]}

    def on_train_begin(self, logs: dict | None = None) -> None:
        rng = np.random.default_rng(0)
        size = self.model.latent_size
        self._codes = rng.standard_normal((self.pictures, size), "float32")
        # The same noise each time, so that only training changes what is seen.
        self._noise = rng.standard_normal((len(self.images), size), "float32")
        self._moments = []
        self._look()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._forget_what_was_taken_back()
        # Several steps may have passed since the last look, or none.
        if int(self.model.step) // self.every > self._last // self.every:
            self._look()

    def on_train_end(self, logs: dict | None = None) -> None:
        self._forget_what_was_taken_back()

    def _forget_what_was_taken_back(self):
        """Drop the looks at later steps than the model's, which `StopOnNaN` takes back."""
        now = int(self.model.step)
        self._moments = [look for look in self._moments if look["step"] <= now]

    def _look(self):
        vae = self.model
        self._last = int(vae.step)
        mean, std = vae.encode(self.images)
        with np.errstate(over="ignore", invalid="ignore"):
            codes = np.concatenate([mean + std * self._noise, self._codes])
        # A model that diverged has nothing to show.
        if not (np.abs(codes) <= LARGEST_CODE).all():
            return
        pixels = vae.decode(codes)
        if not np.isfinite(pixels).all():
            return
        reconstructions = pixels[: len(mean)]
        kl = ops.convert_to_numpy(kl_to_standard_normal(mean, np.log(std)))
        self._moments.append(
            {
                "step": int(vae.step),
                "kl_weight": float(vae.current_kl_weight()),
                "kl_per_unit": kl.mean(axis=0),
                "mse": np.square(reconstructions - self.images).mean(),
                "mean_low": mean.min(),
                "mean_high": mean.max(),
                "std_low": std.min(),
                "std_high": std.max(),
                # Copies: a view would keep all pixels of the look.
                "reconstructions": reconstructions[: self.pictures].copy(),
                "samples": pixels[len(mean) :].copy(),
            }
        )
        if self._on_look is not None:
            self._on_look(self._moments)


class ProgressBar(keras.callbacks.Callback):
    """Show a progress bar over the gradient steps, with the time remaining.

    It is written to standard error, which the book's pages leave out.

    Args:
        steps: gradient steps of the whole training.
        description: text in front of the bar.

    Raises:
        ValueError: unless `steps` is a whole number of at least 1.

    Example:
        >>> from vae_utils import VAE, mlp_decoder, mlp_encoder
        >>> vae = VAE(mlp_encoder(), mlp_decoder())
        >>> vae.compile(optimizer="adam")
        >>> images = np.random.default_rng(0).uniform(size=(64, 28, 28, 1))
        >>> history = vae.fit(images, batch_size=16, verbose=0, callbacks=[ProgressBar(4)])
    """

    def __init__(self, steps: int, description: str = "training") -> None:
        super().__init__()
        self.steps = check_whole(steps, 1, "steps")
        self.description = f"{description}"

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._first = int(self.model.step)
        self._bar = tqdm(total=self.steps, desc=self.description, unit="step", mininterval=0.5)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._bar.update(int(self.model.step) - self._first - self._bar.n)

    def on_train_end(self, logs: dict | None = None) -> None:
        self._bar.close()
