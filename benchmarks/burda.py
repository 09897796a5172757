"""The one-layer VAE (or IWAE) of Burda et al. (2016) on dynamically binarised MNIST, in JAX.

    python benchmarks/burda.py mnist.npz --epochs 3280

For comparison with their table 1. The script uses a GPU if JAX finds one, saves a checkpoint,
continues from it when called again, and prints the bound from 5,000 samples and the number
of active units. It needs only JAX, not the package of this book.

The setting is that of the paper: two tanh layers of 200 units on both sides of 50 latent
units; Adam with epsilon 1e-4 on batches of 20; 3^i passes over the data at a learning
rate of 10^(-3 - i/7), for i = 0 ... 7, so 3,280 in all. Other numbers of epochs scale
the stages in proportion, to whole epochs; with fewer than a few hundred, the first stages
vanish. The output bias starts at the logits of the mean training image, as in the authors'
code (github.com/yburda/iwae). Unlike that code, this one trains on all 60,000 images,
shuffles them, uses Adam as published, and does not round the learning rates.
"""

import argparse
import time
from pathlib import Path

import jax
import numpy as np
from jax import numpy as jnp
from jax.flatten_util import ravel_pytree

UNITS, LATENT, BATCH, STAGES = 200, 50, 20, 8
SIZES = {
    "encoder": (784, UNITS, UNITS, 2 * LATENT),
    "decoder": (LATENT, UNITS, UNITS, 784),
}
RATE, EPSILON, BETAS = 1e-3, 1e-4, (0.9, 0.999)
KEEP_EVERY = 30  # seconds between two checkpoints


def start(key, pixel_means):
    """Draw Glorot's start values; the last bias is set from how often each pixel is white."""
    layers = {}
    for name, sizes in SIZES.items():
        layers[name] = []
        for rows, columns in zip(sizes, sizes[1:]):
            key, own = jax.random.split(key)
            limit = np.sqrt(6 / (rows + columns))
            weights = jax.random.uniform(own, (rows, columns), minval=-limit, maxval=limit)
            layers[name].append((weights, jnp.zeros(columns)))
    weights, _ = layers["decoder"][-1]
    means = jnp.clip(pixel_means, 0.001, 0.999)
    layers["decoder"][-1] = (weights, jnp.log(means / (1 - means)))
    return layers


def dense(layers, inputs):
    for weights, bias in layers[:-1]:
        inputs = jnp.tanh(inputs @ weights + bias)
    weights, bias = layers[-1]
    return inputs @ weights + bias


def log_weight(layers, pixels, noise):
    """Compute ln p(x, z)/q(z|x) in nats: (..., n), for noise (..., n, LATENT)."""
    mean, log_std = jnp.split(dense(layers["encoder"], pixels), 2, axis=-1)
    codes = mean + jnp.exp(log_std) * noise
    logits = dense(layers["decoder"], codes)
    log_likelihood = jnp.sum(pixels * logits - jax.nn.softplus(logits), axis=-1)
    log_prior_over_posterior = jnp.sum(0.5 * noise**2 + log_std - 0.5 * codes**2, axis=-1)
    return log_likelihood + log_prior_over_posterior


def active_units(layers, pixels):
    """Count the units whose posterior mean has a variance above 0.01 (their section 5.2)."""
    mean, _ = jnp.split(dense(layers["encoder"], pixels), 2, axis=-1)
    return int((mean.var(axis=0) > 0.01).sum())


def bound(layers, pixels, noise):
    """Compute the importance-weighted bound in nats, averaged over images, for K noise draws.

    Args:
        noise: (K, n, LATENT).
    """
    weights = log_weight(layers, pixels, noise)
    return jnp.mean(jax.nn.logsumexp(weights, axis=0) - jnp.log(len(noise)))


def learning_rate(epoch, epochs):
    """Return the rate of an epoch, counted from 0; stage i takes a share of 3^i of all epochs."""
    ends = np.cumsum(3.0 ** np.arange(STAGES)) * epochs / np.sum(3.0 ** np.arange(STAGES))
    stage = min(int(np.searchsorted(ends, epoch, side="right")), STAGES - 1)
    return RATE * 10 ** (-stage / (STAGES - 1))


def make_epoch(unravel, samples):
    """Return a function that trains one model for one epoch."""

    def epoch(state, images, rate):
        keys = jax.random.split(state["key"], 4)
        steps = len(images) // BATCH
        # Everything random is drawn at once: launching small kernels is what takes the time.
        order = jax.random.permutation(keys[1], len(images))
        white = jax.random.uniform(keys[2], images.shape) < images
        noise = jax.random.normal(keys[3], (steps, samples, BATCH, LATENT))

        def loss(flat, pixels, noise):
            return -bound(unravel(flat), pixels, noise)

        def step(carry, inputs):
            flat, first, second, count = carry
            rows, noise = inputs
            gradient = jax.grad(loss)(flat, white[rows].astype("float32"), noise)
            count = count + 1
            first = BETAS[0] * first + (1 - BETAS[0]) * gradient
            second = BETAS[1] * second + (1 - BETAS[1]) * gradient**2
            mean = first / (1 - BETAS[0] ** count)
            scale = jnp.sqrt(second / (1 - BETAS[1] ** count)) + EPSILON
            return (flat - rate * mean / scale, first, second, count), None

        carry = tuple(state[name] for name in ("weights", "first", "second", "count"))
        rows = order[: steps * BATCH].reshape(steps, BATCH)
        carry, _ = jax.lax.scan(step, carry, (rows, noise))
        return dict(zip(("weights", "first", "second", "count"), carry), key=keys[0])

    return epoch


def evaluate(layers, pixels, key, samples=5_000, chunk=50):
    """Estimate the ELBO and the importance-weighted bound on test images, in nats.

    Args:
        samples: how many to draw for each image.
        chunk: how many of them to draw at a time; must divide `samples`.

    Returns:
        The ELBO, the bound, and the standard error of the bound over the images.
    """

    @jax.jit
    def of_part(pixels, key):
        def more(totals, key):
            noise = jax.random.normal(key, (chunk, len(pixels), LATENT))
            weights = log_weight(layers, pixels, noise)
            total, summed = totals
            total = jnp.logaddexp(total, jax.nn.logsumexp(weights, axis=0))
            return (total, summed + weights.sum(axis=0)), None

        nothing = (jnp.full(len(pixels), -jnp.inf), jnp.zeros(len(pixels)))
        totals, _ = jax.lax.scan(more, nothing, jax.random.split(key, samples // chunk))
        return totals[0] - jnp.log(samples), totals[1] / samples

    starts = range(0, len(pixels), 500)
    keys = jax.random.split(key, len(starts))
    parts = [of_part(pixels[at : at + 500], key) for at, key in zip(starts, keys)]
    bounds, elbos = (np.concatenate(column) for column in zip(*parts))
    return elbos.mean(), bounds.mean(), bounds.std() / np.sqrt(len(bounds))


def read(path):
    with np.load(path) as arrays:
        return [
            (arrays[name].reshape(-1, 784) / 255).astype("float32")
            for name in ("x_train", "x_test")
        ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="mnist.npz, as Keras keeps it")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--samples", type=int, default=1, help="1 is the VAE, more the IWAE")
    parser.add_argument("--seeds", type=int, default=1, help="models, trained side by side")
    parser.add_argument("--checkpoint", type=Path, default=Path("burda.npz"))
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after this many")
    options = parser.parse_args()

    jax.config.update("jax_default_matmul_precision", "float32")
    print(f"JAX {jax.__version__} on {jax.devices()[0]}", flush=True)
    train, test = read(options.data)
    keys = jax.random.split(jax.random.key(0), options.seeds)
    flat, unravel = ravel_pytree(start(keys[0], train.mean(axis=0)))
    run = {"epochs": options.epochs, "samples": options.samples, "seeds": options.seeds}
    done, seconds = 0, 0.0
    state = {
        "weights": jnp.stack([ravel_pytree(start(key, train.mean(axis=0)))[0] for key in keys]),
        "first": jnp.zeros((options.seeds, flat.size)),
        "second": jnp.zeros((options.seeds, flat.size)),
        "count": jnp.zeros(options.seeds),
        "key": jax.random.key_data(keys),
    }
    if options.checkpoint.exists():
        with np.load(options.checkpoint) as kept:
            found = {name: int(kept[name]) for name in run}
            if found != run:
                parser.error(f"{options.checkpoint} belongs to {found}, and this run is {run}")
            state = {name: jnp.asarray(kept[name]) for name in state}
            done, seconds = int(kept["done"]), float(kept["seconds"])
        print(f"continuing after epoch {done}", flush=True)
    state["key"] = jax.random.wrap_key_data(state["key"])

    epoch = make_epoch(unravel, options.samples)
    several = jax.jit(jax.vmap(epoch, in_axes=(0, None, None)), donate_argnums=0)
    images = jnp.asarray(train)

    def keep():
        arrays = {**state, "key": jax.random.key_data(state["key"])}
        temporary = options.checkpoint.with_name("unfinished-" + options.checkpoint.name)
        with open(temporary, "wb") as file:
            np.savez(file, **arrays, **run, done=done, seconds=seconds)
        temporary.replace(options.checkpoint)

    begin = said = time.perf_counter()
    while done < options.epochs and time.perf_counter() - begin < 60 * options.minutes:
        before = time.perf_counter()
        state = several(state, images, learning_rate(done, options.epochs))
        state["count"].block_until_ready()
        done += 1
        seconds += time.perf_counter() - before
        if time.perf_counter() - said > KEEP_EVERY or done == options.epochs:
            said = time.perf_counter()
            keep()
            print(f"epoch {done:,}, {seconds:,.0f} s", flush=True)
    keep()
    if done < options.epochs:
        return

    pixels = (np.random.default_rng(0).random(test.shape) < test).astype("float32")
    for seed, weights in enumerate(state["weights"]):
        elbo, value, error = evaluate(unravel(weights), pixels, jax.random.key(seed))
        units = active_units(unravel(weights), pixels)
        print(
            f"seed {seed}: ELBO {elbo:.2f}, IWAE-5000 bound {value:.2f} ± {error:.2f} nats, "
            f"{units} of {LATENT} units active"
        )


if __name__ == "__main__":
    main()
