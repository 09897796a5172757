"""JAX: pure functions, optax, and the whole step under `jit`."""

from functools import partial

import jax
import numpy as np
import optax
from jax import lax
from jax import numpy as jnp

LAYOUT = ("NHWC", "HWIO", "NHWC")


def dense(key, rows, columns):
    limit = np.sqrt(6 / (rows + columns))
    return jax.random.uniform(key, (rows, columns), minval=-limit, maxval=limit), jnp.zeros(columns)


def kernel(key, side, inputs, outputs):
    limit = np.sqrt(6 / (side * side * (inputs + outputs)))
    shape = (side, side, inputs, outputs)
    return jax.random.uniform(key, shape, minval=-limit, maxval=limit), jnp.zeros(outputs)


def linear(layer, inputs):
    weights, bias = layer
    return inputs @ weights + bias


def conv(layer, inputs):
    weights, bias = layer
    return lax.conv_general_dilated(inputs, weights, (2, 2), "SAME", None, None, LAYOUT) + bias


def conv_transpose(layer, inputs):
    weights, bias = layer
    return lax.conv_transpose(inputs, weights, (2, 2), "SAME", dimension_numbers=LAYOUT) + bias


def start(architecture, params):
    keys = iter(jax.random.split(jax.random.key(0), 16))
    height, width, channels = params.image_shape
    pixels, latent = height * width * channels, params.latent_size
    if architecture == "conv":
        first, last = params.conv_filters
        features, units = last * height * width // 16, params.conv_units
        return {
            "encoder": [
                kernel(next(keys), params.conv_kernel, channels, first),
                kernel(next(keys), params.conv_kernel, first, last),
                dense(next(keys), features, units),
            ],
            "mean": dense(next(keys), units, latent),
            "log_std": dense(next(keys), units, latent),
            "decoder": [
                dense(next(keys), latent, units),
                dense(next(keys), units, features),
                kernel(next(keys), params.conv_kernel, last, first),
                kernel(next(keys), params.conv_kernel, first, channels),
            ],
        }
    first, units = params.mlp_encoder_units
    (back,) = params.mlp_decoder_units
    return {
        "encoder": [dense(next(keys), pixels, first), dense(next(keys), first, units)],
        "mean": dense(next(keys), units, latent),
        "log_std": dense(next(keys), units, latent),
        "decoder": [dense(next(keys), latent, back), dense(next(keys), back, pixels)],
    }


def encode(architecture, layers, images):
    if architecture == "conv":
        for layer in layers["encoder"][:2]:
            images = jax.nn.relu(conv(layer, images))
        hidden = jax.nn.relu(linear(layers["encoder"][2], images.reshape(len(images), -1)))
    else:
        hidden = images.reshape(len(images), -1)
        for layer in layers["encoder"]:
            hidden = jax.nn.relu(linear(layer, hidden))
    return linear(layers["mean"], hidden), linear(layers["log_std"], hidden)


def decode(architecture, layers, codes, shape):
    if architecture == "conv":
        first, second, third, last = layers["decoder"]
        hidden = jax.nn.relu(linear(second, jax.nn.relu(linear(first, codes))))
        hidden = hidden.reshape(shape[0], shape[1] // 4, shape[2] // 4, -1)
        logits = conv_transpose(last, jax.nn.relu(conv_transpose(third, hidden)))
    else:
        first, last = layers["decoder"]
        logits = linear(last, jax.nn.relu(linear(first, codes)))
    return jax.nn.sigmoid(logits.reshape(shape))


def prepare(architecture, params, pool):
    optimizer = optax.adam(params.learning_rate)

    def loss(layers, images, key):
        mean, log_std = encode(architecture, layers, images)
        codes = mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape)
        means = decode(architecture, layers, codes, images.shape)
        error = jnp.square(images - means).sum(axis=(1, 2, 3))
        kl = 0.5 * mean**2 + 0.5 * jnp.exp(2 * log_std) - log_std - 0.5
        return (error + kl.sum(axis=1)).mean()

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(layers, state, images, key):
        updates, state = optimizer.update(jax.grad(loss)(layers, images, key), state)
        return optax.apply_updates(layers, updates), state

    layers = start(architecture, params)
    state = optimizer.init(layers)
    rng = np.random.default_rng(0)
    key = jax.random.key(1)

    def train(steps):
        nonlocal layers, state, key
        for rows in rng.permutation(len(pool))[: steps * params.batch_size].reshape(steps, -1):
            key, noise = jax.random.split(key)
            layers, state = step(layers, state, pool[rows], noise)
        jax.block_until_ready(layers)

    return train
