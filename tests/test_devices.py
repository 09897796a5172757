"""One model over two devices. TensorFlow splits the processor before it does anything else,
so this runs in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

SCRIPT = """
import json, sys
import keras, numpy as np, tensorflow as tf
processor, = tf.config.list_physical_devices("CPU")
halves = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(processor, halves)
sys.path.insert(0, {tests!r})
from conftest import TINY, bright_bars
from dataclasses import replace
from vae_utils import VAE, Gaussian, kl_per_unit, mlp_decoder, mlp_encoder
from vae_utils.schedules import Linear, QualityGate

def flat(vae):
    return np.concatenate([w.numpy().ravel() for w in vae.trainable_variables])

def trained(strategy, kl_weight, log_std_start, images=64):
    params = replace(TINY, log_std_start=log_std_start)
    keras.utils.set_random_seed(0)
    with strategy.scope():
        vae = VAE(mlp_encoder(params), mlp_decoder(params), Gaussian(0.5), kl_weight, seed=0)
        vae.compile(optimizer=keras.optimizers.SGD(1e-3))
    start = flat(vae)
    history = vae.fit(bright_bars(images), batch_size=16, epochs=3, shuffle=False, verbose=0)
    return vae, history.history, flat(vae) - start

two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
one = tf.distribute.get_strategy()
# With hardly any noise, both do the same sums.
_, alone, w1 = trained(one, Linear(rate=0.1), -9.0)
vae, both, w2 = trained(two, Linear(rate=0.1), -9.0)
gated, _, _ = trained(two, QualityGate(mse=1.0, rate=0.1), 0.0)
# The last batch is one image for two devices.
odd, history, _ = trained(two, 1.0, 0.0, images=33)
scores = odd.evaluate(bright_bars(33), batch_size=16, verbose=0, return_dict=True)
with two.scope():
    def noise():
        return vae.sampling(tf.zeros((4, 2)), tf.zeros((4, 2)))
    noises = [n.numpy().tolist() for n in two.experimental_local_results(two.run(noise))]
print(json.dumps(dict(
    replicas=two.num_replicas_in_sync, difference=float(abs(w1 - w2).max()),
    moved=float(abs(w1).max()), weight=[alone["kl_weight"], both["kl_weight"]],
    odd=[history["loss"], scores, float(kl_per_unit(odd, bright_bars(33)).sum())],
    opened=int(keras.ops.convert_to_numpy(gated.gate_opened_at)), noises=noises)))
"""


def test_two_devices_do_what_one_does():
    script = SCRIPT.format(tests=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["replicas"] == 2
    assert found["difference"] < 0.01 * found["moved"]
    assert found["weight"][0] == found["weight"][1]
    assert found["opened"] == 0  # the first batch is good enough for this gate
    assert found["noises"][0] != found["noises"][1]
    losses, scores, kl = found["odd"]
    assert np.isfinite(losses).all() and np.isfinite(list(scores.values())).all()
    assert scores["kl"] == pytest.approx(kl, rel=1e-4)


def test_a_strategy_of_one_device_takes_batches_one_by_one(make_vae, bars):
    with tf.distribute.OneDeviceStrategy("CPU:0").scope():
        vae = make_vae()
        vae.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=True, steps_per_execution=2)
    vae.fit(bars, batch_size=16, verbose=0)
    assert int(vae.optimizer.iterations) == 4
