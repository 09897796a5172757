"""The reparameterisation trick, and where its noise comes from."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

# Of the noise in evaluation: the same for all models, and no seed that anyone would choose.
EVALUATION_SEED = 2_718_281_828


class DeviceSeeds(keras.random.SeedGenerator):
    """Seeds that differ between the devices of a `tf.distribute` strategy."""

    def next(self, ordered: bool = True) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        number = 0 if context is None else context.replica_id_in_sync_group
        return super().next(ordered) + ops.cast(number, self.state.dtype)


@keras.saving.register_keras_serializable("vae_utils")
class Sampling(keras.layers.Layer):
    """The reparameterisation trick: mean + exp(log_std) · noise.

    Mean and standard deviation are deterministic and have gradients; the noise
    enters from outside (Kingma & Welling 2013, section 2.4).

    Training and evaluation have noise of their own, so that looking at a model does not change
    how it trains. The state of the training noise is saved with the weights.

    Args:
        seed: of the noise in training.
    """

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = DeviceSeeds(seed)
        self.evaluation_seeds = DeviceSeeds(EVALUATION_SEED)

    def call(self, mean: tf.Tensor, log_std: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Draw one code for each mean and log standard deviation: (n, latent_size)."""
        seeds = self.seed_generator if training else self.evaluation_seeds
        noise = keras.random.normal(ops.shape(mean), dtype=mean.dtype, seed=seeds)
        return mean + ops.exp(log_std) * noise

    def restart_evaluation(self) -> None:
        """Rewind the noise of evaluation, so that each evaluation has the same."""
        self.evaluation_seeds.state.assign(np.array([EVALUATION_SEED, 0], "uint32"))

    def save_own_variables(self, store: dict[str, Any]) -> None:
        store["noise"] = ops.convert_to_numpy(self.seed_generator.state)

    def load_own_variables(self, store: dict[str, Any]) -> None:
        self.seed_generator.state.assign(store["noise"])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}
