"""Train with a KL weight of your own, and watch: fields, buttons, curves and a table.

Needs a kernel. Training is `vae_utils.train` in a thread of its own, so that the
notebook stays usable; a callback draws, and listens for the stop button.
"""

import csv
import html
import threading
import time
from dataclasses import replace
from pathlib import Path

import ipywidgets
import numpy as np

from vae_utils.data import Images
from vae_utils.diagnostics import summary
from vae_utils.likelihoods import Gaussian
from vae_utils.notebook.playground import form
from vae_utils.notebook.playground.live_plot import LivePlot
from vae_utils.params import Params
from vae_utils.recording import Recorder
from vae_utils.runs import train

FRAME = 0.1  # seconds between two pictures, at least
WATCH, TEST = 100, 1_000  # images to look at while training, and to measure at the end
GATE_OPENS_AT = 0.6  # the quality gate opens at this part of the mean image's squared error

# Of the table's columns whose names don't say enough.
TITLES = {
    "elbo": "ELBO (nats)",
    "kl": "KL (nats)",
    "active_units": "active units",
    "mutual_information": "mutual information (nats)",
    "mse": "MSE (per pixel)",
    "seconds": "time (s)",
}
RESULTS = ("elbo", "kl", "active_units", "mutual_information", "mse")


class _Live(Recorder):
    """Hand each look on, and end the training when asked to."""

    def __init__(self, images, show, stop):
        super().__init__(images, form.EVERY, pictures=0, on_look=show)
        self._stop = stop

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if self._stop.is_set():
            self.model.stop_training = True


class Playground(ipywidgets.VBox):
    """Show fields for a run, buttons to train, stop, clear and save, curves, and all runs' table.

    Args:
        images: `Images`, as `load_images` returns them.

    Raises:
        ValueError: if the images are something else.
    """

    _newest_stop = threading.Event()

    def __init__(self, images: Images):
        if not isinstance(images, Images):
            raise ValueError(f"images must come from load_images; got {type(images).__name__}")
        self.images = images
        watched = images.test[:WATCH]
        self._mean_image_mse = float(np.square(images.train.mean(axis=0) - watched).mean())
        self.runs = []  # finished ones: settings, numbers and curves
        self.running = False
        self._thread = None
        self._stop = threading.Event()
        self._drawing = threading.Lock()
        # A cell that runs again replaces its playground: the old one's run would go on unseen.
        Playground._newest_stop.set()
        Playground._newest_stop = self._stop
        self.form = form.Form()
        self.picture = LivePlot(self._mean_image_mse)
        self._build()
        super().__init__(
            [self.form, self._buttons, self.status, self._progress, self.picture, self.table]
        )

    # ---- what is seen --------------------------------------------------------

    def _build(self):
        self.buttons = {
            name: ipywidgets.Button(description=name) for name in ("Train", "Stop", "Clear", "Save")
        }
        self.buttons["Save"].tooltip = "Write the table to a file beside the notebook"
        for name, button in self.buttons.items():
            button.on_click(getattr(self, f"_on_{name.lower()}"))
        self._buttons = ipywidgets.HBox(list(self.buttons.values()))
        self.bar = ipywidgets.IntProgress(0, 0, 1)
        self.status = ipywidgets.HTML()
        self._say("Ready.")
        self.steps = ipywidgets.HTML()
        self._progress = ipywidgets.HBox([self.bar, self.steps])
        self.table = ipywidgets.HTML()

    def _say(self, text):
        """Show a text below the buttons, announced by screen readers."""
        self.status.value = f'<span role="status">{html.escape(text)}</span>'

    def _draw(self):
        """Redraw the figure: all finished runs and, while one is under way, a line for it."""
        with self._drawing:  # so that no older state is drawn last
            runs = [(f"run {run['run']}", run["curves"]) for run in self.runs]
            self.picture.draw(runs, self.running)

    def _tell(self):
        """Fill the table: a row for each finished run."""
        runs = list(self.runs)
        if not runs:
            self.table.value = ""
            return
        columns = [name for name in runs[0] if name != "curves"]
        cell = 'style="padding: 0 0.6em; text-align: right"'
        head = "".join(f'<th scope="col" {cell}>{TITLES.get(name, name)}</th>' for name in columns)
        body = "".join(
            "<tr>" + "".join(f"<td {cell}>{html.escape(_text(run[name]))}</td>" for name in columns)
            for run in runs
        )
        self.table.value = f"<table><caption>Finished runs</caption><tr>{head}</tr>{body}</table>"

    # ---- the buttons ---------------------------------------------------------

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the run to end, for at most `seconds` if given."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _on_train(self, button):
        if self.running:
            self._say("A run is on its way: stop it, or wait for its end.")
            return
        settings = self.form.read()
        if settings is None:
            self._say("Not started: see the form.")
            return
        self._stop.clear()
        self.running = True
        self.bar.max, self.bar.value, self.bar.bar_style = settings["steps"], 0, ""
        self.steps.value = ""
        self._say("Compiling: some seconds, the first time.")
        self._thread = threading.Thread(target=self._work, args=(settings,), daemon=True)
        self._thread.start()

    def _on_stop(self, button):
        if self.running:
            self._stop.set()
            self._say("Stopping.")

    def _on_clear(self, button):
        self.runs = []
        self._tell()
        self._draw()

    def _on_save(self, button):
        if not self.runs:
            self._say("There is no finished run to save yet.")
            return
        names = (Path(f"playground-{i}.csv") for i in range(1, 10_000))
        path = next(name for name in names if not name.exists())
        rows = [{k: v for k, v in run.items() if k != "curves"} for run in self.runs]
        with path.open("w", newline="", encoding="utf8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        self._say(f"Saved as {path.resolve()}")

    # ---- the training, in its own thread -------------------------------------

    def _work(self, settings):
        began = time.monotonic()
        # (steps, time): of the first steps after compiling, and of the last picture
        first = last = None

        def show(moments):
            nonlocal first, last
            here = moments[-1]["step"], time.monotonic()
            if last is not None and here[1] - last[1] < FRAME:
                return
            last = here
            self.picture.move(_curves(moments))
            if here[0] and not self._stop.is_set():
                if first is None:
                    first = here
                    self._say("Training.")
                self._say_how_far(settings["steps"], first, here)

        live = _Live(self.images.test[:WATCH], show, self._stop)
        try:
            self._draw()
            run = self._train(settings, live)
            self._finish(settings, run, time.monotonic() - began)
        except Exception as error:  # noqa: BLE001  whatever it is, the reader shall see it
            self.bar.bar_style = "danger"
            self._say(f"{type(error).__name__}: {error}")
        finally:
            self.running = False
            self.steps.value = ""
            self._draw()

    def _say_how_far(self, steps, first, here):
        """Move the bar, and say how many steps are done and how long the rest takes.

        Only steps after the first look that followed compiling are timed.
        """
        self.bar.value = here[0]
        text = f"Step {here[0]:,} of {steps:,}"
        if here[0] > first[0]:
            left = (here[1] - first[1]) * (steps - here[0]) / (here[0] - first[0])
            text += f", {left:.0f} s left"
        # Not aloud: it changes ten times a second.
        self.steps.value = f"{text}."

    def _train(self, settings, live):
        architecture, sizes = form.NETWORKS[settings["network"]]
        shape = self.images.train.shape[1:]
        gate = GATE_OPENS_AT * self._mean_image_mse
        make = form.SCHEDULES[settings["schedule"]]
        return train(
            architecture,
            self.images,
            settings["steps"],
            likelihood=Gaussian(settings["variance"]),
            kl_weight=make(settings["rate"], settings["start"], settings["cap"], gate),
            seed=settings["seed"],
            params=replace(Params(), image_shape=shape, log_std_start=-3.0, **sizes),
            every=form.EVERY,
            callbacks=[live],
        )

    def _finish(self, settings, run, seconds):
        record = run.record
        done = int(record["step"][-1])
        numbers = summary(run.vae, self.images.test[:TEST])
        self.runs.append(
            {
                "run": max((earlier["run"] for earlier in self.runs), default=0) + 1,
                **settings,
                "steps": done,
                **{name: float(numbers[name]) for name in RESULTS},
                "seconds": round(seconds, 1),
                "curves": (
                    record["step"],
                    record["kl_weight"],
                    record["kl_per_unit"].sum(axis=1),
                    record["mse"],
                ),
            }
        )
        self.bar.value = done
        self.bar.bar_style = "success" if done == settings["steps"] else "warning"
        ended = "Done" if done == settings["steps"] else "Stopped"
        self._tell()
        self._say(f"{ended} after {done:,} steps and {seconds:.1f} s.")


def _curves(moments):
    """Return steps, KL weights, KLs and squared errors of the looks so far."""
    rows = [(m["step"], m["kl_weight"], m["kl_per_unit"].sum(), m["mse"]) for m in moments]
    return tuple(np.array(rows).T)


def _text(value):
    return f"{value:.4g}".replace("-", "−") if isinstance(value, float) else str(value)
