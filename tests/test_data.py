"""Images in, from every source. (From damaged ones: test_damaged_data.py.)"""

import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from small_mnist import assert_is_small_mnist, write

from tools.pace import least, slowness
from vae_utils import data, load_images

SHARED = Path(__file__).parents[2] / "shared" / "data"
pytestmark = pytest.mark.usefixtures("small_world")


@pytest.fixture
def real_checksums():
    """Leave the checksums as they are."""


# ---- a folder of the user's ----------------------------------------------------


@pytest.mark.parametrize("source", [None, "auto", "mnist"])
def test_mnist_from_a_folder(tmp_path, capsys, source):
    folder = write(tmp_path / "mine")
    assert_is_small_mnist(load_images(source, folder))
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"Data: mnist, 30 training and 10 test images, from {folder}."]


def test_mnist_from_the_folder_in_the_environment(tmp_path, monkeypatch, capsys):
    """Its line, which a published page shows, doesn't say where the folder lies."""
    monkeypatch.setenv("VAE_DATA_DIR", str(write(tmp_path / "mine")))
    assert_is_small_mnist(load_images())
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "Data: mnist, 30 training and 10 test images, from the folder in VAE_DATA_DIR."
    ]


def test_the_argument_goes_before_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("VAE_DATA_DIR", str(tmp_path / "nothing here"))
    monkeypatch.setenv("VAE_DATASET", "digits")
    assert_is_small_mnist(load_images("mnist", write(tmp_path / "mine")))


def test_the_checksums_are_those_of_the_real_arrays(real_checksums):
    """Where the real file is at hand it is read; its checksums are published."""
    published = {
        "x_train": "741c9888",
        "y_train": "1feba77c",
        "x_test": "6d87418d",
        "y_test": "ddeff807",
    }
    assert {name: value[:8] for name, value in data.MNIST_SHA256.items()} == published
    if (SHARED / "mnist.npz").is_file():
        images = load_images("mnist", SHARED)
        assert images.train.shape == (60_000, 28, 28, 1)
        assert images.test.shape == (10_000, 28, 28, 1)
        assert (images.train.min(), images.train.max()) == (0, 1)
        assert images.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
        assert images.test_labels[:5].tolist() == [7, 2, 1, 0, 4]
        # The mean and the spread that every MNIST tutorial prints.
        assert images.train.mean() == pytest.approx(0.1307, abs=1e-4)
        assert images.train.std() == pytest.approx(0.3081, abs=1e-4)


@pytest.mark.parametrize("source", ["auto", "mnist"])
def test_a_folder_without_the_file_is_an_error(tmp_path, source):
    with pytest.raises(ValueError, match="there is no .*mnist.npz"):
        load_images(source, tmp_path)


def test_a_file_of_something_else_is_refused_by_the_real_checksums(tmp_path, real_checksums):
    with pytest.raises(ValueError, match="checksum of x_train"):
        load_images("mnist", write(tmp_path / "mine"))


# ---- the cache and the network -------------------------------------------------


def test_mnist_is_downloaded_once_and_then_comes_from_the_cache(serve, good_content, cache, capsys):
    server = serve(good_content)
    images = load_images()
    assert_is_small_mnist(images)
    assert images.origin == "downloaded"
    assert (cache / "mnist.npz").read_bytes() == good_content
    assert server.asked.count("GET") == 1
    again = load_images("mnist")
    assert_is_small_mnist(again)
    assert again.origin == "from the Keras cache"
    assert server.asked.count("GET") == 1
    assert "Data: mnist" in capsys.readouterr().out


def test_a_file_that_is_not_on_the_server_is_done_without(serve, capsys):
    serve(None)
    assert load_images().name == "digits"
    assert "because MNIST was not found" in capsys.readouterr().out


def seconds_until_the_digits_come():
    start = time.monotonic()
    assert load_images().name == "digits"
    return time.monotonic() - start


def test_without_a_network_the_digits_come_at_once_with_the_reason(capsys):
    limit = 4 * slowness()
    assert least(seconds_until_the_digits_come, limit) < limit
    (line,) = set(capsys.readouterr().out.splitlines())  # the same each time
    assert "there is no $KERAS_HOME/datasets/mnist.npz" in line
    assert "the network does not answer" in line


@pytest.fixture
def silent_port():
    """A port that takes connections and never says a word."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        yield silent.getsockname()[1]


def test_a_server_that_never_answers_is_not_waited_for(monkeypatch, silent_port, capsys):
    monkeypatch.setattr(data, "MNIST_URL", f"http://127.0.0.1:{silent_port}/mnist.npz")
    limit = 7 * slowness()
    assert least(seconds_until_the_digits_come, limit) < limit
    assert "the network does not answer" in capsys.readouterr().out


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_server_that_talks_nonsense_is_done_without(monkeypatch, capsys):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/mnist.npz"
        monkeypatch.setattr(data, "MNIST_URL", url)
        assert load_images().name == "digits"
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1
    assert "Traceback" not in captured.err


# ---- which source --------------------------------------------------------------


def test_the_environment_forces_a_source(tmp_path, monkeypatch):
    folder = write(tmp_path / "mine")
    monkeypatch.setenv("VAE_DATA_DIR", str(folder))
    monkeypatch.setenv("VAE_DATASET", "digits")
    assert load_images().name == "digits"
    assert load_images("mnist").name == "mnist"
    monkeypatch.setenv("VAE_DATASET", "mnist")
    assert load_images().name == "mnist"
    monkeypatch.setenv("VAE_DATASET", "")
    assert load_images().name == "mnist"


def test_mnist_forced_by_the_environment_is_an_error_where_it_cannot_be_had(monkeypatch):
    monkeypatch.setenv("VAE_DATASET", "mnist")
    with pytest.raises(ValueError, match='MNIST was not found.*folder=.*VAE_DATA_DIR.*"digits"'):
        load_images()


@pytest.mark.parametrize("name", ["cifar10", "MNIST-M", "digit", " "])
def test_unknown_sources_are_refused_with_the_known_ones(monkeypatch, name):
    with pytest.raises(ValueError, match="'auto', 'mnist', 'digits'"):
        load_images(name)
    monkeypatch.setenv("VAE_DATASET", name)
    with pytest.raises(ValueError, match="'auto', 'mnist', 'digits'"):
        load_images()


# ---- the embedded digits -------------------------------------------------------


def test_digits_have_the_shape_and_the_range_of_mnist(digits):
    for images, labels in (
        (digits.train, digits.train_labels),
        (digits.test, digits.test_labels),
    ):
        assert images.shape == (len(labels), 28, 28, 1)
        assert images.dtype == np.float32
        assert images.min() == 0 and images.max() == 1
        assert set(labels) == set(range(10))
        # No image is empty or full, as a digit that was shifted away would be.
        assert 0.02 < images.mean(axis=(1, 2, 3)).min()
        assert images.mean(axis=(1, 2, 3)).max() < 0.5
        # The margin of MNIST's is nearly black as well.
        assert images[:, [0, 1, -2, -1]].mean() < 0.02
    assert len(digits.train) > 20_000
    assert len(digits.test) > 2_000


def test_digits_are_the_same_every_time_and_in_random_order(capsys):
    first, again = load_images("digits"), load_images("digits")
    for name in ("train", "test", "train_labels", "test_labels"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    # Copies of one digit don't follow each other.
    assert np.mean(first.train_labels[1:] == first.train_labels[:-1]) < 0.2
    assert "Data: digits" in capsys.readouterr().out


def test_no_digit_is_in_training_and_in_test(monkeypatch):
    """With each picture replaced by its own number, the two sides share no number."""
    count = len(load_digits().data)
    numbered = np.repeat(np.arange(count)[:, None], 64, axis=1).astype(float)
    monkeypatch.setattr(data, "load_digits", lambda return_X_y: (numbered, np.arange(count)))
    monkeypatch.setattr(
        data,
        "_placed",
        lambda digit, rng: np.full((28, 28, 1), digit[0, 0] * 16 / count, "float32"),
    )
    images = load_images("digits")
    train, test = (set(np.rint(count * side[:, 0, 0, 0])) for side in (images.train, images.test))
    assert not train & test
    assert train | test == set(range(count))
    # And each picture still has its own label.
    np.testing.assert_array_equal(np.rint(count * images.train[:, 0, 0, 0]), images.train_labels)
    np.testing.assert_array_equal(np.rint(count * images.test[:, 0, 0, 0]), images.test_labels)
    # Every digit counts as often as any other.
    assert set(np.bincount(images.train_labels)) <= {0, data.TRAIN_COPIES}
    assert set(np.bincount(images.test_labels)) <= {0, data.TEST_COPIES}


def test_copies_of_a_digit_differ():
    digit = load_digits().images[0] / 16
    rng = np.random.default_rng(0)
    copies = [data._placed(digit, rng) for _ in range(3)]
    assert not np.array_equal(copies[0], copies[1])
    assert not np.array_equal(copies[1], copies[2])


# ---- images of one's own -------------------------------------------------------


def test_bytes_become_floats_between_zero_and_one(capsys):
    array = np.random.default_rng(0).integers(0, 256, (50, 6, 7)).astype("uint8")
    images = load_images(array)
    assert images.train.shape == (45, 6, 7, 1)
    assert images.test.shape == (5, 6, 7, 1)
    assert images.train.dtype == np.float32
    assert images.train_labels is None and images.test_labels is None
    # Every image is on exactly one side.
    both = np.concatenate([images.train, images.test]) * 255
    assert sorted(np.rint(both).sum(axis=(1, 2, 3))) == sorted(array.sum(axis=(1, 2)))
    assert capsys.readouterr().out.startswith("Data: own, 45 training and 5 test images")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_of_any_width_are_taken(dtype):
    array = np.linspace(0, 1, 20 * 4 * 4 * 3).reshape(20, 4, 4, 3).astype(dtype)
    images = load_images(array)
    assert images.train.shape == (18, 4, 4, 3)
    assert images.train.dtype == images.test.dtype == np.float32
    both = np.sort(np.concatenate([images.train, images.test]).ravel())
    np.testing.assert_allclose(both, np.sort(array.ravel()), atol=1e-6)


def test_an_array_goes_before_the_environment(monkeypatch):
    monkeypatch.setenv("VAE_DATASET", "mnist")
    monkeypatch.setenv("VAE_DATA_DIR", "/nowhere")
    assert load_images(np.zeros((10, 4, 4))).name == "own"


def test_an_own_array_is_split_the_same_way_every_time():
    array = np.random.default_rng(0).uniform(size=(40, 4, 4))
    np.testing.assert_array_equal(load_images(array).test, load_images(array).test)


def test_two_images_are_enough():
    images = load_images(np.zeros((2, 4, 4)))
    assert len(images.train) == len(images.test) == 1


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((1, 4, 4)), "at least two"),
        (np.zeros((0, 4, 4)), "at least one"),
        (np.zeros((4, 4)), "shape"),
        (np.zeros(4), "shape"),
        (np.zeros((2, 3, 4, 4, 1)), "shape"),
        (np.full((5, 4, 4), np.nan), "NaN"),
        (np.full((5, 4, 4), 2.0), r"\[0, 1\]"),
        (np.full((5, 4, 4), -0.1), r"\[0, 1\]"),
        (np.zeros((5, 4, 4), int), "int64"),
        (np.zeros((5, 4, 4), bool), "bool"),
        (np.zeros((5, 3, 20, 28)), r"channels last, but has shape \(5, 3, 20, 28\).*np.moveaxis"),
        (np.zeros((5, 1, 20, 28)), r"np.moveaxis\(images, 1, -1\)"),
    ],
)
def test_bad_arrays_are_refused_with_the_reason(array, message):
    with pytest.raises(ValueError, match=message):
        load_images(array)


@pytest.mark.parametrize("shape", [(5, 3, 20, 3), (5, 3, 1, 1), (5, 1, 28, 4), (5, 28, 28, 8)])
def test_low_images_and_many_channels_are_not_taken_for_channels_first(shape):
    assert load_images(np.zeros(shape)).train.shape == (4, *shape[1:])


def test_images_cannot_be_exchanged():
    with pytest.raises(AttributeError):
        load_images(np.zeros((10, 4, 4))).train = None


# ---- messages that say what to do ------------------------------------------------


def test_the_name_of_a_source_may_be_in_capitals():
    assert load_images("Digits").name == "digits"


def test_a_bad_folder_is_called_as_it_was_given(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="folder must be a folder that"):
        load_images("mnist", tmp_path)
    monkeypatch.setenv("VAE_DATA_DIR", str(tmp_path))
    with pytest.raises(ValueError, match="VAE_DATA_DIR must be a folder that"):
        load_images("mnist")


def test_images_with_labels_are_told_apart_from_images():
    images, labels = np.zeros((10, 4, 4)), np.zeros(10)
    with pytest.raises(ValueError, match="one array; got a tuple of 2.*labels=labels"):
        load_images((images, labels))
    with pytest.raises(ValueError, match="needs none; got ndarray. Pass labels with labels="):
        load_images(images, labels)
    with pytest.raises(ValueError, match="the same shape"):
        load_images([images[0], images[0, :3]])
    with pytest.raises(ValueError, match=".train or .test"):
        load_images(load_images(images))
