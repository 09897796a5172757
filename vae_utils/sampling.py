"""The reparameterisation trick, and where its noise comes from."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

# Of the noise in evaluation: the same for all models, and no seed that anyone would choose.
EVALUATION_SEED = 2_718_281_828


class DeviceSeeds(keras.random.SeedGenerator):
    """Seeds that differ between the devices of a `tf.distribute` strategy."""

    def next(self, ordered=True):
        context = tf.distribute.get_replica_context()
        number = 0 if context is None else context.replica_id_in_sync_group
        return super().next(ordered) + ops.cast(number, self.state.dtype)


@keras.saving.register_keras_serializable("vae_utils")
class Sampling(keras.layers.Layer):
    """The reparameterisation trick: mean + exp(log_std) · noise.

    Mean and standard deviation are deterministic and have gradients; the noise
    enters from outside (Kingma & Welling 2013, section 2.4).

    Training and evaluation have noise of their own, so that to look at a model does not
    change how it trains. That of training is saved with the weights.

    Args:
        seed: of the noise in training.
    """

    def __init__(self, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = DeviceSeeds(seed)
        self.evaluation_seeds = DeviceSeeds(EVALUATION_SEED)

    def call(self, mean, log_std, training=False):
        """One code for each mean and log standard deviation: (n, latent_size)."""
        seeds = self.seed_generator if training else self.evaluation_seeds
        noise = keras.random.normal(ops.shape(mean), dtype=mean.dtype, seed=seeds)
        return mean + ops.exp(log_std) * noise

    def restart_evaluation(self):
        """Let the noise of evaluation begin anew, so that each evaluation has the same."""
        self.evaluation_seeds.state.assign(np.array([EVALUATION_SEED, 0], "uint32"))

    def save_own_variables(self, store):
        store["noise"] = ops.convert_to_numpy(self.seed_generator.state)

    def load_own_variables(self, store):
        self.seed_generator.state.assign(store["noise"])

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}
