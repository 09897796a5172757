"""Measure where the time of a notebook goes; its kernel must import this first."""

import functools
import json
import time
from collections import defaultdict

STARTED = time.perf_counter()
seconds = defaultdict(float)
first_figure = None


def _timed(owner, name, kind):
    """Add the time of each call of a method to the seconds of a kind of work."""
    method = getattr(owner, name)

    @functools.wraps(method)
    def wrapper(*args, **kwargs):
        start = time.perf_counter()
        try:
            return method(*args, **kwargs)
        finally:
            seconds[kind] += time.perf_counter() - start

    setattr(owner, name, wrapper)


def _import():
    import IPython.display  # noqa: F401
    import keras
    import matplotlib.backend_bases
    import matplotlib.pyplot  # noqa: F401

    import vae_utils
    from vae_utils import recording, together

    class FirstStep(keras.callbacks.Callback):
        """Time from the start of `fit` to the end of the first steps: tracing and compiling."""

        def on_train_begin(self, logs=None):
            self.start = time.perf_counter()
            self.looked = seconds["looking"]

        def on_train_batch_end(self, batch, logs=None):
            if self.start is not None:
                looking = seconds["looking"] - self.looked
                took = time.perf_counter() - self.start - looking
                seconds["compiling"] += took
                seconds["training"] -= took  # `fit` counts it again
                self.start = None

    fit = vae_utils.VAE.fit

    def timed_fit(self, *args, callbacks=(), **kwargs):
        start, looked = time.perf_counter(), seconds["looking"]
        history = fit(self, *args, callbacks=[FirstStep(), *callbacks], **kwargs)
        seconds["training"] += time.perf_counter() - start - (seconds["looking"] - looked)
        return history

    vae_utils.VAE.fit = timed_fit
    for name in ("on_train_begin", "on_train_batch_end"):  # where a recorder looks
        _timed(recording.Recorder, name, "looking")

    steps = together.Stack.steps

    def timed_steps(self, *args):
        kind = "training" if self._program else "compiling"
        start = time.perf_counter()
        losses = steps(self, *args)
        losses.numpy()  # waits until the steps are done
        seconds[kind] += time.perf_counter() - start
        return losses

    together.Stack.steps = timed_steps

    draw = matplotlib.backend_bases.FigureCanvasBase.print_figure

    def timed_draw(self, *args, **kwargs):
        global first_figure
        start = time.perf_counter()
        result = draw(self, *args, **kwargs)
        now = time.perf_counter()
        seconds["drawing"] += now - start
        first_figure = first_figure or now - STARTED
        return result

    matplotlib.backend_bases.FigureCanvasBase.print_figure = timed_draw


_import()
seconds["importing"] = time.perf_counter() - STARTED


def report():
    """Print the seconds of each kind of work, as one line of JSON."""
    total = time.perf_counter() - STARTED
    other = total - sum(seconds.values())
    print(json.dumps({"total": total, "first_figure": first_figure, **seconds, "other": other}))
