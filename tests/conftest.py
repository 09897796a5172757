"""What several test files need: tiny images, a tiny model, and surroundings without surprises."""

import hashlib
import os
import sys
from contextlib import contextmanager

from tools.cpu_share import keep_to_share

# TensorFlow looks at the cores when it is imported, so this comes before.
worker = os.environ.get("PYTEST_XDIST_WORKER", "")
if worker.startswith("gw") and hasattr(os, "sched_setaffinity"):
    count = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    if count <= len(os.sched_getaffinity(0)):
        keep_to_share(int(worker.removeprefix("gw")), count)

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["MPLBACKEND"] = "Agg"

import keras
import numpy as np
import pytest
from hypothesis import settings
from small_mnist import SMALL, Server, write

from vae_utils import VAE, Gaussian, Params, data, mlp_decoder, mlp_encoder

# TensorFlow is slow the first time it meets a shape, and the machine may be busy.
settings.register_profile("book", deadline=None, max_examples=50, derandomize=True)
# What `make fuzz` asks for: other cases each time, and none that takes a minute.
settings.register_profile("fuzz", deadline=60_000, derandomize=False)
settings.load_profile("book")


def pytest_configure(config):
    """Drop what TensorFlow wrote when it was imported; else pytest prints it at its end."""
    config.pluginmanager.getplugin("capturemanager").read_global_capture()


@pytest.fixture(autouse=True)
def plain_surroundings(monkeypatch):
    """No settings of the caller's, no proxy in front of 127.0.0.1, no figure left open."""
    for name in ("VAE_DATASET", "VAE_DATA_DIR", "VAE_SEED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")
    yield
    if "matplotlib.pyplot" in sys.modules:  # the tests of the package alone do without
        sys.modules["matplotlib.pyplot"].close("all")


@contextmanager
def precision(policy):
    """Keras' dtype policy for what is done meanwhile."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@pytest.fixture
def tried(request, record_property):
    """Count a fault, each time before it is tried; its name is the test's mark `fault`."""
    assert request.node.get_closest_marker("fault"), "what is tried has no name"
    return lambda times=1: record_property("tried", times)


# Sizes of networks that train within milliseconds.
TINY = Params(
    image_shape=(8, 8, 1),
    latent_size=2,
    conv_filters=(4, 4),
    conv_units=8,
    mlp_encoder_units=(16,),
    mlp_decoder_units=(16,),
    batch_size=16,
)


@pytest.fixture
def tiny():
    return TINY


def bright_bars(count, side=8, seed=0):
    """Images (count, side, side, 1) in [0, 1]: a bar at some height, and a little noise."""
    rng = np.random.default_rng(seed)
    images = rng.uniform(0, 0.1, (count, side, side, 1))
    rows = rng.integers(0, side - 1, count)
    for image, row in zip(images, rows):
        image[row : row + 2] += 0.8
    return images.astype("float32")


@pytest.fixture
def bars():
    """64 tiny images."""
    return bright_bars(64)


@pytest.fixture
def make_vae(tiny):
    """A function that builds a tiny MLP VAE; equal seeds give equal start values."""

    def make(likelihood=None, kl_weight=1.0, seed=0, params=tiny):
        keras.utils.set_random_seed(seed)
        likelihood = likelihood or Gaussian(0.5)
        return VAE(mlp_encoder(params), mlp_decoder(params), likelihood, kl_weight, seed=seed)

    return make


@pytest.fixture(scope="session")
def digits():
    """The embedded default, loaded once."""
    return data.load_images("digits")


@pytest.fixture
def small_world(request, monkeypatch, tmp_path):
    """The small arrays count as MNIST, the cache is an empty folder, and no network is there."""
    if "real_checksums" not in request.fixturenames:
        sums = {name: hashlib.sha256(a.tobytes()).hexdigest() for name, a in SMALL.items()}
        monkeypatch.setattr(data, "MNIST_SHA256", sums)
    (tmp_path / "home").mkdir()
    # Keras reads the variable when it is imported, and remembers what it said.
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path / "home"))
    monkeypatch.setattr(data, "MNIST_URL", "http://127.0.0.1:9/mnist.npz")
    # Few copies of each digit: what is tested doesn't need more.
    monkeypatch.setattr(data, "TRAIN_COPIES", 2)
    monkeypatch.setattr(data, "TEST_COPIES", 1)


@pytest.fixture
def cache(tmp_path):
    """The folder of Keras' downloads in the small world."""
    return tmp_path / "home" / "datasets"


@pytest.fixture
def serve(monkeypatch):
    """A function that makes a content the one to download."""
    servers = []

    def start(content, **settings):
        servers.append(Server(content, **settings))
        monkeypatch.setattr(data, "MNIST_URL", servers[-1].url)
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def good_content(tmp_path):
    """The bytes of a good `mnist.npz`."""
    return (write(tmp_path / "to serve") / "mnist.npz").read_bytes()


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, sprung):
        self.sprung = sprung

    def __reduce__(self):
        return type(self.sprung).mkdir, (self.sprung,)


def a_record(moments, pictures=8, side=8, seed=0):
    """What a `Recorder` holds, from random numbers."""
    rng = np.random.default_rng(seed)
    return {
        "step": 10 * np.arange(moments),
        "kl_weight": np.linspace(0, 1, moments),
        "kl_per_unit": rng.uniform(0, 1, (moments, 3)),
        "mse": rng.uniform(0, 0.1, moments),
        "mean_low": -rng.uniform(1, 2, moments),
        "mean_high": rng.uniform(1, 2, moments),
        "std_low": rng.uniform(0.1, 0.2, moments),
        "std_high": rng.uniform(0.8, 1, moments),
        "reconstructions": rng.uniform(size=(moments, pictures, side, side, 1)),
        "samples": rng.uniform(size=(moments, pictures, side, side, 1)),
    }
