"""This package, through its public `compile` and `fit`."""

import keras

import vae_utils as vu

# Whether the whole step goes through XLA, or only the optimizer: whichever is faster on two cores.
WITH_XLA = {"conv": False, "mlp": True}
NETWORKS = {
    "conv": (vu.conv_encoder, vu.conv_decoder),
    "mlp": (vu.mlp_encoder, vu.mlp_decoder),
}


def prepare(architecture, params, pool, xla=None):
    """Compile with XLA as is best for the architecture, unless `xla` says otherwise."""
    keras.utils.set_random_seed(0)
    encoder, decoder = NETWORKS[architecture]
    vae = vu.VAE(encoder(params), decoder(params), vu.Gaussian(variance=0.5), seed=0)
    optimizer = keras.optimizers.Adam(params.learning_rate)
    xla = WITH_XLA[architecture] if xla is None else xla
    vae.compile(optimizer=optimizer, jit_compile=xla, steps_per_execution=10)

    def train(steps):
        vae.fit(pool[: steps * params.batch_size], batch_size=params.batch_size, verbose=0)

    return train
