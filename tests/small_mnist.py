"""As little as MNIST can be, in files and on a server of one's own."""

import http.server
import threading
import time
from contextlib import suppress

import numpy as np

RNG = np.random.default_rng(0)
# With the shapes and types of the real one.
SMALL = {
    "x_train": RNG.integers(0, 256, (30, 28, 28)).astype("uint8"),
    "y_train": RNG.integers(0, 10, 30).astype("uint8"),
    "x_test": RNG.integers(0, 256, (10, 28, 28)).astype("uint8"),
    "y_test": RNG.integers(0, 10, 10).astype("uint8"),
}


def write(folder, **changes):
    """`mnist.npz` in a folder, with the small arrays or with some of them changed."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: a for name, a in {**SMALL, **changes}.items() if a is not None}
    np.savez_compressed(folder / "mnist.npz", **arrays)
    return folder


def assert_is_small_mnist(images):
    assert images.name == "mnist"
    np.testing.assert_allclose(images.train[..., 0] * 255, SMALL["x_train"], atol=1e-4)
    np.testing.assert_allclose(images.test[..., 0] * 255, SMALL["x_test"], atol=1e-4)
    np.testing.assert_array_equal(images.train_labels, SMALL["y_train"])
    np.testing.assert_array_equal(images.test_labels, SMALL["y_test"])
    assert images.train.dtype == images.test.dtype == np.float32
    assert images.train_labels.dtype.kind == images.test_labels.dtype.kind == "i"


class Server(http.server.ThreadingHTTPServer):
    """Sends one content on 127.0.0.1, and counts what was asked for.

    Args:
        content: None for a file that is not there.
        stop_at: how many bytes to send; None for all.
        then: what follows if it stops: "hang up", or "fall silent".
        pause: seconds after each tenth of the content.
    """

    daemon_threads = True

    def __init__(self, content, stop_at=None, then="hang up", pause=0.0):
        self.content, self.stop_at, self.then, self.pause = content, stop_at, then, pause
        self.asked = []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=[0.05], daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/mnist.npz"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.server.asked.append(self.command)
        self.send_response(200 if self.server.content else 404)
        self.send_header("Content-Length", str(len(self.server.content or b"")))
        self.end_headers()

    def do_GET(self):
        self.do_HEAD()
        sent = self.server.content[: self.server.stop_at]
        tenth = 1 + len(sent) // 10
        with suppress(ConnectionError):  # whoever downloads has had enough
            for start in range(0, len(sent), tenth):
                self.wfile.write(sent[start : start + tenth])
                time.sleep(self.server.pause)
        if self.server.stop_at is not None and self.server.then == "fall silent":
            time.sleep(20)

    def log_message(self, *args):
        pass
