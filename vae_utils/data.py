"""Images in: float32 (n, h, w, c) in [0, 1], their labels, and where they came from."""

import hashlib
import os
import socket
import threading
import urllib.request
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from scipy import ndimage
from sklearn.datasets import load_digits

from vae_utils.checks import (
    FLOATS_HINT,
    as_array,
    check_images,
    check_labels,
    check_seed,
    refuse_split,
)

MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
# SHA-256 of each array's bytes in C order, whatever file it came in. The images
# and labels are those of the original IDX files.
MNIST_SHA256 = {
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
SOURCES = ("auto", "mnist", "digits")
# Longer than any reachable server takes to answer, short enough to wait for.
NETWORK_PATIENCE_SECONDS = 4.0


@dataclass(frozen=True, eq=False)
class Images:
    """Images split into training and test.

    Attributes:
        train, test: float32 arrays (n, height, width, channels) in [0, 1], read-only.
        train_labels, test_labels: classes (n,), whole numbers or text, or None without labels.
        name: "mnist", "digits" or "own".
        origin: where they came from, in words.

    Raises:
        ValueError: on bad images, on training and test images of different shapes, or on labels
            that are not one for each image.

    Example:
        >>> pixels = np.zeros((10, 28, 28, 1), "float32")
        >>> print(Images(pixels[:9], pixels[9:], None, None, "own", "all of them black"))
        Data: own, 9 training and 1 test images, all of them black.
    """

    train: np.ndarray
    test: np.ndarray
    train_labels: np.ndarray | None
    test_labels: np.ndarray | None
    name: str
    origin: str

    def __post_init__(self) -> None:
        # Read-only, because runs share one tensor that was made of them. (No copy: it would double
        # the memory. Whoever changes the arrays that came in has to make new `Images`.)
        for name in ("train", "test"):
            pixels = check_images(getattr(self, name), name=name).view()
            pixels.flags.writeable = False
            object.__setattr__(self, name, pixels)
        if self.train.shape[1:] != self.test.shape[1:]:
            raise ValueError(
                "train and test must hold images of the same shape; got "
                f"{self.train.shape[1:]} and {self.test.shape[1:]}"
            )
        for name in ("train_labels", "test_labels"):
            if getattr(self, name) is not None:
                count = len(getattr(self, name.removesuffix("_labels")))
                labels = check_labels(getattr(self, name), count, name)
                object.__setattr__(self, name, labels)

    def __str__(self) -> str:
        return (
            f"Data: {self.name}, {len(self.train):,} training and {len(self.test):,} test "
            f"images, {self.origin}."
        )


def check_split(images: Any) -> None:
    """Raise a ValueError unless they are `Images`."""
    if not isinstance(images, Images):
        raise ValueError(f"images must come from load_images; got {type(images).__name__}")


class _Unavailable(Exception):
    """One place does not have MNIST; the message says why."""


def load_images(
    source: str | np.ndarray | None = None,
    folder: str | Path | None = None,
    labels: np.ndarray | None = None,
) -> Images:
    """Load images, and print one line that says which and why.

    With a folder, MNIST comes from there or not at all. Otherwise "auto" tries the Keras cache,
    then the network, and takes the handwritten digits of scikit-learn if neither has MNIST.

    Args:
        source: "auto", "mnist" (MNIST or an error), "digits", or an array of your own,
            of shape (n, h, w) or (n, h, w, c), uint8 from 0 to 255 or floats in [0, 1]. A
            tenth of it, drawn at random but the same each time, becomes the test images.
            Default: the environment variable `VAE_DATASET`, else "auto".
        folder: a folder that holds `mnist.npz`. Default: the environment
            variable `VAE_DATA_DIR`.
        labels: optional classes (n,) of your own array, which are split along with the images.
            Only `linear_probe` and the map of codes need them.

    Raises:
        ValueError: on an unknown source, a bad array, an array and a folder, labels that are not
            one for each image of an array, a folder without an intact `mnist.npz`, or if "mnist" is
            asked for and not to be found.

    Example:
        >>> pixels = np.zeros((900, 20, 28, 3), "uint8")
        >>> images = load_images(pixels, labels=np.arange(900) % 10)
        Data: own, 810 training and 90 test images, from an array of your own.
        >>> images.train.shape, images.train_labels.shape
        ((810, 20, 28, 3), (810,))
    """
    if source is not None and not isinstance(source, str):
        if folder is not None:
            raise ValueError(
                "folder says where MNIST is, and an array of your own needs none; got "
                f"{type(folder).__name__}. Pass labels with labels="
            )
        images = _own(source, labels)
    elif folder is not None and not isinstance(folder, (str, Path)):
        raise ValueError(f"folder must be a path; got {folder!r}. (Pass labels with labels=)")
    elif labels is not None:
        raise ValueError(
            "labels go with an array of your own; MNIST and the digits come with theirs"
        )
    else:
        source = (source or os.environ.get("VAE_DATASET") or "auto").lower()
        if source not in SOURCES:
            raise ValueError(
                f"source (or VAE_DATASET) must be one of {SOURCES}, or an array; got {source!r}"
            )
        named_by = "folder" if folder else "VAE_DATA_DIR"
        folder = folder or os.environ.get("VAE_DATA_DIR")
        images = _digits("as asked for") if source == "digits" else _mnist(source, folder, named_by)
    print(images)
    return images


# ---- MNIST -------------------------------------------------------------------


def _mnist(source, folder, named_by):
    if folder:
        # A folder was named, so nothing else will do.
        path = Path(folder).expanduser().resolve() / "mnist.npz"
        try:
            # A published page must not say where a folder lies on the machine that built it.
            place = "the folder in VAE_DATA_DIR" if named_by == "VAE_DATA_DIR" else folder
            return _mnist_images(_read_mnist(path), f"from {place}")
        except _Unavailable as error:
            raise ValueError(
                f"{error}. {named_by} must be a folder that holds an intact mnist.npz"
            ) from None
    reasons = []
    for place, origin in ((_from_cache, "from the Keras cache"), (_from_network, "downloaded")):
        try:
            return _mnist_images(place(), origin)
        except _Unavailable as error:
            reasons.append(str(error))
    why = "; ".join(reasons)
    if source == "mnist":
        raise ValueError(
            f"MNIST was not found: {why}. Name a folder that holds mnist.npz, with folder= or "
            'VAE_DATA_DIR, or use the digits of scikit-learn, which need no network: "digits"'
        )
    return _digits(f"because MNIST was not found: {why}")


def _keras_home():
    """Return the folder of Keras' downloads."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")


def _in_words(path):
    """Name a path without the folders of the machine around it, where it lies in Keras' home."""
    if path.is_relative_to(_keras_home()):
        home = "$KERAS_HOME" if os.environ.get("KERAS_HOME") else "~/.keras"
        return f"{home}/{path.relative_to(_keras_home())}"
    return f"{path}"


def _reason(error):
    """Return what went wrong, without the file's name, which may be one of this machine alone."""
    return getattr(error, "strerror", None) or error


def _in_cache():
    return _keras_home() / "datasets" / "mnist.npz"


def _from_cache():
    return _read_mnist(_in_cache())


def _from_network():
    if not _answers(MNIST_URL):
        raise _Unavailable("the network does not answer")
    waited_for = socket.getdefaulttimeout()
    try:
        # get_file has no time limit of its own for a server that falls silent.
        socket.setdefaulttimeout(NETWORK_PATIENCE_SECONDS)
        # Under a name of its own, as another process may be downloading, too.
        path = keras.utils.get_file(
            f"mnist-{uuid.uuid4().hex}.npz", MNIST_URL, cache_dir=_keras_home()
        )
    except Exception as error:  # get_file raises plain Exception
        raise _Unavailable(f"the download failed ({_reason(error)})") from None
    finally:
        socket.setdefaulttimeout(waited_for)
    new = Path(path)
    try:
        arrays = _read_mnist(new, "the download")
        with suppress(OSError):  # these images are good, even if they can't be kept
            new.replace(_in_cache())
        return arrays
    finally:
        new.unlink(missing_ok=True)


def _answers(url):
    """Return whether the server answers soon; in a thread, as name look-ups have no time limit."""
    answered = []

    def ask():
        try:
            request = urllib.request.Request(url, method="HEAD")
            with urllib.request.urlopen(request, timeout=NETWORK_PATIENCE_SECONDS):
                answered.append(True)
        except Exception:  # whatever went wrong, there is nothing to download
            pass

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(NETWORK_PATIENCE_SECONDS)
    return bool(answered)


def _read_mnist(path, called=None):
    """Return the four arrays of an `mnist.npz`, if each of them is what it should be."""
    called = called or _in_words(path)
    try:
        if not path.exists():
            raise _Unavailable(f"there is no {called}")
        if not path.is_file():
            raise _Unavailable(f"{called} is not a file")
        file = path.open("rb")  # NumPy would leave a damaged one open
    except OSError as error:  # such as a folder that may not be looked into
        raise _Unavailable(f"{called} can't be read ({_reason(error)})") from None
    try:
        with file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: np.ascontiguousarray(archive[name]) for name in MNIST_SHA256}
    except Exception as error:  # a damaged zip fails in many ways
        raise _Unavailable(f"{called} is damaged ({_reason(error)})") from None
    for name, wanted in MNIST_SHA256.items():
        dimensions = 3 if name.startswith("x") else 1
        if arrays[name].dtype != np.uint8 or arrays[name].ndim != dimensions:
            raise _Unavailable(f"{called} is damaged ({name} has a wrong shape or type)")
        if hashlib.sha256(arrays[name].tobytes()).hexdigest() != wanted:
            raise _Unavailable(f"{called} is damaged (the checksum of {name} is wrong)")
    return arrays


def _mnist_images(arrays, origin):
    return Images(
        _to_unit(arrays["x_train"]),
        _to_unit(arrays["x_test"]),
        arrays["y_train"].astype(int),
        arrays["y_test"].astype(int),
        "mnist",
        origin,
    )


def _to_unit(pixels):
    """Turn bytes into floats in [0, 1]."""
    return (pixels / np.float32(255))[..., np.newaxis]  # (n, h, w) -> (n, h, w, 1)


# ---- the embedded default ----------------------------------------------------

# Copies of each digit, all different by their shifts and rotations.
TRAIN_COPIES, TEST_COPIES = 20, 10


def digit_rows() -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """Choose which of scikit-learn's digits are drawn for training and testing, in which order.

    Returns:
        rows for training, rows for testing, and the random numbers as they are after that: each
        training image takes three of them, then each test image.
    """
    _, labels = load_digits(return_X_y=True)
    count = len(labels)
    rng = np.random.default_rng(0)
    order = rng.permutation(count)
    # Split before making copies, so that no test digit was seen in training.
    test, train = order[: count // 5], order[count // 5 :]
    train_rows, test_rows = np.repeat(train, TRAIN_COPIES), np.repeat(test, TEST_COPIES)
    rng.shuffle(train_rows)
    rng.shuffle(test_rows)
    return train_rows, test_rows, rng


def _digits(why):
    """Draw scikit-learn's 8×8 digits like MNIST's: 20×20 pixels within 28×28."""
    small, labels = load_digits(return_X_y=True)
    small = small.reshape(-1, 8, 8) / 16.0
    train_rows, test_rows, rng = digit_rows()
    return Images(
        np.stack([_placed(small[row], rng) for row in train_rows]),
        np.stack([_placed(small[row], rng) for row in test_rows]),
        labels[train_rows],
        labels[test_rows],
        "digits",
        f"shipped with scikit-learn, {why}",
    )


def _placed(digit, rng):
    """Draw an 8×8 digit as a (28, 28, 1) image, a little shifted and rotated."""
    angle = rng.uniform(-0.2, 0.2)
    shift = rng.uniform(-1.5, 1.5, size=2)
    scale = 8 / 20
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    offset = 3.5 - turn @ (13.5 + shift)
    large = ndimage.affine_transform(digit, turn, offset, (28, 28), order=3, mode="constant")
    # The spline blurs the strokes; stretching the contrast makes them crisp again.
    return np.clip(2.0 * large - 0.5, 0, 1).astype("float32")[..., np.newaxis]


# ---- the user's own ----------------------------------------------------------


def _own(array, labels):
    refuse_split(array, "the array of images")
    if isinstance(array, (tuple, dict)):
        raise ValueError(
            f"images of your own must be one array; got a {type(array).__name__} of {len(array)}. "
            "(Pass labels separately: load_images(images, labels=labels))"
        )
    array = as_array(array, "the array of images")
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim == 4 and array.shape[1] in (1, 3) and min(array.shape[2:]) > 4:
        raise ValueError(
            f"the array of images must have its channels last, but has shape {array.shape}. Put "
            "them last with np.moveaxis(images, 1, -1)"
        )
    if array.dtype == np.uint8:
        # Black and white as 0 and 1 would become 1/255, and look all black.
        if array.size and array.max() == 1:
            raise ValueError(f"your uint8 images go from 0 to 1, not from 0 to 255. {FLOATS_HINT}")
        array = array / np.float32(255)
    array = check_images(array, name="the array of images")
    if len(array) < 2:
        raise ValueError("at least two images are needed: one to train on, one to test on; got 1")
    order = np.random.default_rng(0).permutation(len(array))
    tests = max(1, len(array) // 10)
    train_labels = test_labels = None
    if labels is not None:
        labels = check_labels(labels, len(array), "labels")
        train_labels, test_labels = labels[order[tests:]], labels[order[:tests]]
    return Images(
        array[order[tests:]],
        array[order[:tests]],
        train_labels,
        test_labels,
        "own",
        "from an array of your own",
    )


# ---- derived from others -----------------------------------------------------


def halved(images: np.ndarray) -> np.ndarray:
    """Halve height and width: the means over squares of two by two pixels.

    Args:
        images: (n, height, width, channels) in [0, 1].

    Returns:
        (n, height / 2, width / 2, channels), float32 in [0, 1].

    Raises:
        ValueError: if a side is odd, or on bad images.

    Example:
        >>> halved(np.array([[0.0, 1.0], [1.0, 1.0]]).reshape(1, 2, 2, 1)).ravel()
        array([0.75], dtype=float32)
    """
    images = check_images(images)
    count, height, width, channels = images.shape
    if height % 2 or width % 2:
        raise ValueError(f"both sides must be even to be halved; got {height} x {width}")
    squares = images.reshape(count, height // 2, 2, width // 2, 2, channels)
    return squares.mean(axis=(2, 4))


def binarised(images: np.ndarray, seed: int = 0) -> np.ndarray:
    """Draw each pixel black or white: 1 with a probability equal to its grey value, else 0.

    Args:
        images: (n, height, width, channels) in [0, 1].
        seed: of the random numbers.

    Returns:
        Images of 0 and 1 of the same shape, float32.

    Raises:
        ValueError: on bad images, or a seed that is not a whole number from 0 to 2³² − 1.

    Example:
        >>> drawn = binarised(np.full((100, 28, 28, 1), 0.25))
        >>> np.unique(drawn), float(drawn.mean().round(2))
        (array([0., 1.], dtype=float32), 0.25)
    """
    images = check_images(images)
    check_seed(seed)
    return (np.random.default_rng(seed).uniform(size=images.shape) < images).astype("float32")
