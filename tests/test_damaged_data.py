"""Damaged data are noticed, named and replaced; never trained on."""

import errno
import functools
import io
import pickle
import random
import threading
import time
import urllib.request

import numpy as np
import pytest
from conftest import Trap
from small_mnist import SMALL, assert_is_small_mnist, write

from vae_utils import data, load_images

pytestmark = pytest.mark.usefixtures("small_world")

# ---- a file that is damaged ----------------------------------------------------


def one_pixel_off(path):
    images = SMALL["x_train"].copy()
    images[3, 4, 5] ^= 1
    write(path.parent, x_train=images)


def a_folder(path):
    path.unlink()
    path.mkdir()


def another_data_set(path):
    """Same names, shapes and types."""
    rng = np.random.default_rng(1)
    write(path.parent, **{name: rng.permuted(array) for name, array in SMALL.items()})


def one_array_alone(path):
    with path.open("wb") as file:
        np.save(file, SMALL["x_train"])


damaging = pytest.mark.fault("the data file damaged")
stopping = pytest.mark.fault("a download that stops")
filling = pytest.mark.fault("the disk full while downloading")

DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "a web page": lambda path: path.write_bytes(b"<html>please log in</html>"),
    "one array alone": one_array_alone,
    "one pixel off": one_pixel_off,
    "another data set": another_data_set,
    "an array missing": lambda path: write(path.parent, y_test=None),
    "labels exchanged": lambda path: write(path.parent, y_train=SMALL["y_train"][::-1]),
    "another type": lambda path: write(path.parent, x_train=SMALL["x_train"].astype("float32")),
    "same bytes, another shape": lambda path: write(
        path.parent, x_train=SMALL["x_train"].reshape(30, 784)
    ),
    "pickled": lambda path: write(path.parent, y_test=SMALL["y_test"].astype(object)),
    "a folder in its place": a_folder,
}
damaged = pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
NOTICED = "mnist.npz (is damaged|is not a file)"


@damaging
@damaged
def test_a_damaged_file_in_a_named_folder_is_an_error_that_names_it(tmp_path, tried, damage):
    path = write(tmp_path / "mine") / "mnist.npz"
    damage(path)
    tried()
    for source in ("auto", "mnist"):
        with pytest.raises(ValueError, match=NOTICED) as caught:
            load_images(source, path.parent)
        assert str(path) in str(caught.value)
        assert "folder must be" in str(caught.value)


@damaging
@damaged
def test_a_damaged_file_in_the_cache_is_passed_over_with_the_reason(cache, capsys, tried, damage):
    damage(write(cache) / "mnist.npz")
    tried()
    images = load_images()
    assert images.name == "digits"
    (line,) = capsys.readouterr().out.splitlines()
    assert "$KERAS_HOME/datasets/mnist.npz is " in line
    assert "network" in line


def cut_short(content, draw):
    return content[: draw.randrange(len(content))]


def with_a_flipped_byte(content, draw):
    changed = bytearray(content)
    changed[draw.randrange(len(content))] ^= draw.randint(1, 255)
    return bytes(changed)


@damaging
@pytest.mark.parametrize("spoil", [cut_short, with_a_flipped_byte])
def test_a_file_damaged_at_any_place_is_noticed_and_downloaded_again(
    serve, good_content, cache, monkeypatch, tried, spoil
):
    draw = random.Random(0)
    server, path = serve(good_content), write(cache) / "mnist.npz"
    harmless = 0
    for _ in range(100):
        content = spoil(good_content, draw)
        path.write_bytes(content)
        tried()
        with monkeypatch.context() as offline:
            offline.setattr(data, "MNIST_URL", "http://127.0.0.1:9/mnist.npz")
            try:
                # Some bytes, such as the date within the archive, are none of an image.
                assert_is_small_mnist(load_images("mnist"))
                harmless += 1
                continue
            except ValueError as error:
                assert "$KERAS_HOME/datasets/mnist.npz is damaged (" in str(error)
        images = load_images("mnist")
        assert_is_small_mnist(images)
        assert images.origin == "downloaded" and path.read_bytes() == good_content
    assert server.asked.count("GET") == 100 - harmless
    assert harmless == 0 if spoil is cut_short else harmless < 10


def in_an_array(trap):
    file = io.BytesIO()
    np.save(file, np.array([trap], object), allow_pickle=True)
    return file.getvalue()


def in_the_archive(trap):
    file = io.BytesIO()
    np.savez(file, **{**SMALL, "y_test": np.array([trap], object)})
    return file.getvalue()


@damaging
@pytest.mark.parametrize("pack", [pickle.dumps, in_an_array, in_the_archive])
def test_a_pickle_is_never_loaded(tmp_path, cache, serve, tried, pack):
    trap = Trap(tmp_path / "sprung")
    pickle.loads(pickle.dumps(trap))
    trap.sprung.rmdir()  # the trap works
    content = pack(trap)
    server = serve(content)
    for folder in (None, tmp_path / "mine"):
        (write(folder or cache) / "mnist.npz").write_bytes(content)
        tried(1 if folder else 2)  # the cache, then the download
        with pytest.raises(ValueError, match="is damaged"):
            load_images("mnist", folder)
        assert not trap.sprung.exists()
    assert server.asked.count("GET") == 1


@pytest.mark.fault("a data file that can't be read")
def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch, tried):
    """As root may read everything, by a name that is too long for any file system."""
    tried(2)
    with pytest.raises(ValueError, match="can't be read .File name too long.. folder must be"):
        load_images("mnist", tmp_path / (300 * "x"))
    monkeypatch.setenv("KERAS_HOME", 300 * "x")
    with pytest.raises(ValueError, match=r"\$KERAS_HOME/datasets/mnist.npz can't be read"):
        load_images("mnist")


# ---- a download that goes wrong -------------------------------------------------


def test_a_damaged_cache_is_replaced_by_a_good_download(serve, good_content, cache):
    (write(cache) / "mnist.npz").write_bytes(good_content[:500])
    serve(good_content)
    assert load_images().origin == "downloaded"
    assert (cache / "mnist.npz").read_bytes() == good_content


def assert_fails_and_leaves_nothing(cache, reason):
    """The download is no MNIST, says why, and no part of it lies in the cache."""
    with pytest.raises(ValueError, match=f"MNIST was not found.*{reason}.*VAE_DATA_DIR") as caught:
        load_images("mnist")
    assert str(cache) not in str(caught.value)
    assert not list(cache.glob("*"))


@damaging
@pytest.mark.parametrize("content", ["truncated", "web page"])
def test_a_damaged_download_is_not_used_and_not_kept(
    serve, good_content, cache, capsys, tried, content
):
    serve(good_content[:500] if content == "truncated" else b"<html>please log in</html>")
    tried()
    assert load_images().name == "digits"
    assert not list(cache.glob("*"))
    assert "is damaged" in capsys.readouterr().out
    tried()
    assert_fails_and_leaves_nothing(cache, "is damaged")


@stopping
def test_a_download_that_breaks_off_anywhere_is_not_used_and_not_kept(
    serve, good_content, cache, tried
):
    server, draw = serve(good_content), random.Random(0)
    for _ in range(100):
        server.stop_at = draw.randrange(len(good_content))
        tried()
        assert_fails_and_leaves_nothing(cache, "the download failed")


@stopping
def test_a_download_that_falls_silent_anywhere_is_not_waited_for(
    serve, good_content, cache, monkeypatch, tried
):
    monkeypatch.setattr(data, "NETWORK_PATIENCE_SECONDS", 0.5)
    server, draw = serve(good_content, then="fall silent"), random.Random(0)
    for number in range(5):
        server.stop_at = draw.randrange(len(good_content)) if number else 0
        tried()
        assert_fails_and_leaves_nothing(cache, "the download failed .*timed out")


def test_two_downloads_at_once_do_not_spoil_each_other(serve, good_content, cache):
    """As when two notebooks are opened on a new machine; the second finds half a file."""
    serve(good_content, pause=0.1)
    loaded = []
    threads = [threading.Thread(target=lambda: loaded.append(load_images())) for _ in range(2)]
    for thread in threads:
        thread.start()
        time.sleep(0.6)
    for thread in threads:
        thread.join()
    for images in loaded:
        assert_is_small_mnist(images)
    assert [path.name for path in cache.glob("*")] == ["mnist.npz"]


def test_a_download_that_cannot_be_kept_is_used_all_the_same(serve, good_content, cache):
    (cache / "mnist.npz").mkdir(parents=True)  # a folder where the file should be
    serve(good_content)
    assert_is_small_mnist(load_images("mnist"))
    assert [path.name for path in cache.glob("*")] == ["mnist.npz"]


@stopping
def test_a_download_that_never_starts_is_not_waited_for(serve, good_content, tried):
    """As behind a proxy that answers by itself, while the server is out of reach."""
    tried()
    serve(good_content, stop_at=0, then="fall silent")
    loaded = []
    thread = threading.Thread(target=lambda: loaded.append(load_images()), daemon=True)
    thread.start()
    thread.join(12)
    assert loaded and loaded[0].name == "digits"


@pytest.mark.fault("a slow server")
def test_a_slow_download_is_waited_for(serve, good_content, monkeypatch, tried):
    """All of it may take longer than any of its parts."""
    tried()
    monkeypatch.setattr(data, "NETWORK_PATIENCE_SECONDS", 1.0)
    serve(good_content, pause=0.15)
    assert_is_small_mnist(load_images("mnist"))


@filling
def test_a_disk_that_is_full_at_any_place_is_told(serve, good_content, cache, monkeypatch, tried):
    serve(good_content)
    draw = random.Random(0)

    class Full(io.FileIO):
        def write(self, content):
            if self.tell() + len(content) > self.room:
                super().write(content[: self.room - self.tell()])
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(content)

    monkeypatch.setattr(urllib.request, "open", Full, raising=False)
    for _ in range(20):
        Full.room = draw.randrange(len(good_content))
        tried()
        assert_fails_and_leaves_nothing(cache, "the download failed .No space left on device.")
    Full.room = len(good_content)
    assert load_images("mnist").origin == "downloaded"


@filling
def test_a_device_without_room_is_told(serve, good_content, cache, monkeypatch, tried):
    """Linux has one, on which every write fails."""
    serve(good_content)
    full = functools.partial(open, "/dev/full")
    monkeypatch.setattr(urllib.request, "open", lambda path, mode: full(mode), raising=False)
    tried()
    assert_fails_and_leaves_nothing(cache, "the download failed .No space left on device.")
