"""A stand-in for TensorFlow's CVAE tutorial: its shapes, batch size, loop and work per epoch.

Only its running time matters: https://www.tensorflow.org/tutorials/generative/cvae.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers

LATENT, BATCH = 2, 32


def networks():
    encoder = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, 2, activation="relu"),
            layers.Conv2D(64, 3, 2, activation="relu"),
            layers.Flatten(),
            layers.Dense(2 * LATENT),
        ]
    )
    decoder = keras.Sequential(
        [
            keras.Input((LATENT,)),
            layers.Dense(7 * 7 * 32, activation="relu"),
            layers.Reshape((7, 7, 32)),
            layers.Conv2DTranspose(64, 3, 2, "same", activation="relu"),
            layers.Conv2DTranspose(32, 3, 2, "same", activation="relu"),
            layers.Conv2DTranspose(1, 3, 1, "same"),
        ]
    )
    return encoder, decoder


def normal_log_density(sample, mean, log_variance):
    log_2pi = tf.math.log(2.0 * np.pi)
    square = (sample - mean) ** 2 * tf.exp(-log_variance)
    return tf.reduce_sum(-0.5 * (square + log_variance + log_2pi), axis=1)


def prepare(images):
    """Return a function that trains on `Images` for a given number of epochs."""
    encoder, decoder = networks()
    optimizer = keras.optimizers.Adam(1e-4)

    def batches(pixels):
        binary = np.where(pixels > 0.5, 1.0, 0.0).astype("float32")
        return tf.data.Dataset.from_tensor_slices(binary).shuffle(len(binary)).batch(BATCH)

    train_batches, test_batches = batches(images.train), batches(images.test)

    def loss_of(pixels):
        mean, log_variance = tf.split(encoder(pixels), 2, axis=1)
        codes = mean + tf.random.normal(tf.shape(mean)) * tf.exp(0.5 * log_variance)
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(logits=decoder(codes), labels=pixels)
        log_likelihood = -tf.reduce_sum(entropy, axis=[1, 2, 3])
        prior = normal_log_density(codes, 0.0, 0.0)
        posterior = normal_log_density(codes, mean, log_variance)
        return -tf.reduce_mean(log_likelihood + prior - posterior)

    @tf.function
    def train_step(pixels):
        with tf.GradientTape() as tape:
            loss = loss_of(pixels)
        variables = encoder.trainable_variables + decoder.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

    def train(epochs):
        for _ in range(epochs):
            for pixels in train_batches:
                train_step(pixels)
            tests = keras.metrics.Mean()
            for pixels in test_batches:
                tests(loss_of(pixels))

    return train
