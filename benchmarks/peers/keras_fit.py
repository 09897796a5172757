"""Plain Keras: the same networks, a `train_step`, and `fit` without XLA."""

import keras
import tensorflow as tf
from keras import layers, ops


def networks(architecture, params):
    images = keras.Input(params.image_shape)
    if architecture == "conv":
        hidden = images
        for filters in params.conv_filters:
            hidden = layers.Conv2D(
                filters, params.conv_kernel, params.conv_stride, "same", activation="relu"
            )(hidden)
        hidden = layers.Dense(params.conv_units, activation="relu")(layers.Flatten()(hidden))
    else:
        hidden = layers.Flatten()(images)
        for units in params.mlp_encoder_units:
            hidden = layers.Dense(units, activation="relu")(hidden)
    heads = [layers.Dense(params.latent_size)(hidden), layers.Dense(params.latent_size)(hidden)]

    codes = keras.Input((params.latent_size,))
    height, width, channels = params.image_shape
    if architecture == "conv":
        hidden = layers.Dense(params.conv_units, activation="relu")(codes)
        smallest = (height // 4, width // 4, params.conv_filters[-1])
        hidden = layers.Dense(height * width // 16 * smallest[-1], activation="relu")(hidden)
        hidden = layers.Reshape(smallest)(hidden)
        hidden = layers.Conv2DTranspose(
            params.conv_filters[0], params.conv_kernel, 2, "same", activation="relu"
        )(hidden)
        means = layers.Conv2DTranspose(
            channels, params.conv_kernel, 2, "same", activation="sigmoid"
        )(hidden)
    else:
        hidden = codes
        for units in params.mlp_decoder_units:
            hidden = layers.Dense(units, activation="relu")(hidden)
        hidden = layers.Dense(height * width * channels, activation="sigmoid")(hidden)
        means = layers.Reshape(params.image_shape)(hidden)
    return keras.Model(images, heads), keras.Model(codes, means)


def squared_error(images, means):
    return ops.square(images - means)


def cross_entropy(images, means):
    return ops.expand_dims(keras.losses.binary_crossentropy(images, means), -1)


class PlainVAE(keras.Model):
    def __init__(self, encoder, decoder, error_of, kl_weight=1.0):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.error_of, self.kl_weight = error_of, kl_weight
        self.loss_tracker = keras.metrics.Mean(name="loss")

    def train_step(self, images):
        with tf.GradientTape() as tape:
            mean, log_std = self.encoder(images)
            codes = mean + ops.exp(log_std) * keras.random.normal(ops.shape(mean))
            error = ops.sum(self.error_of(images, self.decoder(codes)), axis=(1, 2, 3))
            kl = 0.5 * ops.square(mean) + 0.5 * ops.exp(2 * log_std) - log_std - 0.5
            loss = ops.mean(error + self.kl_weight * ops.sum(kl, axis=1))
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights))
        self.loss_tracker.update_state(loss)
        return {"loss": self.loss_tracker.result()}


def prepare(architecture, params, pool, steps_per_call=1):
    vae = PlainVAE(*networks(architecture, params), squared_error)
    optimizer = keras.optimizers.Adam(params.learning_rate)
    vae.compile(optimizer=optimizer, jit_compile=False, steps_per_execution=steps_per_call)

    def train(steps):
        vae.fit(pool[: steps * params.batch_size], batch_size=params.batch_size, verbose=0)

    return train
