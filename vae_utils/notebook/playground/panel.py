"""Train with a KL weight of your own and watch: fields, buttons, curves and a table.

Needs a kernel. `vae_utils.train` runs in its own thread, so that the notebook stays
usable; a callback draws the curves and checks whether the stop button was clicked.
"""

import csv
import html
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import ipywidgets
import numpy as np

from vae_utils.data import Images, check_split
from vae_utils.diagnostics import summary
from vae_utils.likelihoods import Gaussian
from vae_utils.notebook.playground import form
from vae_utils.notebook.playground.live_plot import Curves, LivePlot
from vae_utils.params import Params
from vae_utils.recording import Recorder
from vae_utils.runs import Run, train

FRAME = 0.1  # seconds from one picture to the next, at least
WATCH, TEST = 100, 1_000  # test images to look at while training, and to measure at the end
GATE_OPENS_AT = 0.6  # the quality gate opens below this share of the mean image's squared error

# Headings of the columns whose names don't say enough.
TITLES = {
    "elbo": "ELBO (nats)",
    "kl": "KL (nats)",
    "active_units": "active units",
    "mutual_information": "mutual information (nats)",
    "mse": "MSE (per pixel)",
    "seconds": "time (s)",
}
RESULTS = ("elbo", "kl", "active_units", "mutual_information", "mse")

# One look of a `Recorder`: numbers and arrays by the names of its record.
Look = dict[str, Any]


class _Live(Recorder):
    """Pass each look on, and stop training when asked to."""

    def __init__(
        self, images: np.ndarray, show: Callable[[list[Look]], None], stop: threading.Event
    ) -> None:
        super().__init__(images, form.EVERY, pictures=0, on_look=show)
        self._stop = stop

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        super().on_train_batch_end(batch, logs)
        if self._stop.is_set():
            self.model.stop_training = True


class Playground(ipywidgets.VBox):
    """Show the settings of a run; buttons to train, stop, clear and save; curves; and a table.

    Args:
        images: to train on, as `load_images` returns them.

    Raises:
        ValueError: if `images` is not an `Images`.
    """

    _newest_stop: ClassVar[threading.Event] = threading.Event()

    def __init__(self, images: Images) -> None:
        check_split(images)
        self.images = images
        watched = images.test[:WATCH]
        self._mean_image_mse = float(np.square(images.train.mean(axis=0) - watched).mean())
        # Finished runs: settings, results and curves.
        self.runs: list[dict[str, Any]] = []
        self.running = False
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._drawing = threading.Lock()
        # Running the cell again replaces its playground; the old one must not keep training unseen.
        Playground._newest_stop.set()
        Playground._newest_stop = self._stop
        self.form = form.Form()
        self.picture = LivePlot(self._mean_image_mse)
        self._build()
        super().__init__(
            [self.form, self._buttons, self.status, self._progress, self.picture, self.table]
        )

    # ---- what is shown -------------------------------------------------------

    def _build(self) -> None:
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

    def _say(self, text: str) -> None:
        """Show a text below the buttons; screen readers announce it."""
        self.status.value = f'<span role="status">{html.escape(text)}</span>'

    def _draw(self) -> None:
        """Redraw the figure: all finished runs and, while one is under way, a line for it."""
        with self._drawing:  # so that an older state is never drawn over a newer one
            runs = [(f"run {run['run']}", run["curves"]) for run in self.runs]
            self.picture.draw(runs, self.running)

    def _tell(self) -> None:
        """Fill the table, with one row per finished run."""
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
        """Wait for the current run to end.

        Args:
            seconds: how long to wait at most; by default, as long as it takes.
        """
        if self._thread is not None:
            self._thread.join(seconds)

    def _on_train(self, button: ipywidgets.Button) -> None:
        if self.running:
            self._say("A run is in progress: stop it, or wait for it to finish.")
            return
        settings = self.form.read()
        if settings is None:
            self._say("Not started: correct the settings that have an error beside them.")
            return
        self._stop.clear()
        self.running = True
        self.bar.max, self.bar.value, self.bar.bar_style = settings["steps"], 0, ""
        self.steps.value = ""
        self._say("Compiling: this takes a few seconds the first time.")
        self._thread = threading.Thread(target=self._work, args=(settings,), daemon=True)
        self._thread.start()

    def _on_stop(self, button: ipywidgets.Button) -> None:
        if self.running:
            self._stop.set()
            self._say("Stopping.")

    def _on_clear(self, button: ipywidgets.Button) -> None:
        self.runs = []
        self._tell()
        self._draw()

    def _on_save(self, button: ipywidgets.Button) -> None:
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

    # ---- training, in its own thread -----------------------------------------

    def _work(self, settings: dict[str, Any]) -> None:
        began = time.monotonic()
        # (steps, time): of the first look after compiling, and of the latest picture
        first: tuple[int, float] | None = None
        last: tuple[int, float] | None = None

        def show(moments: list[Look]) -> None:
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
        except Exception as error:  # noqa: BLE001  the reader must see any error
            self.bar.bar_style = "danger"
            self._say(f"{type(error).__name__}: {error}")
        finally:
            self.running = False
            self.steps.value = ""
            self._draw()

    def _say_how_far(self, steps: int, first: tuple[int, float], here: tuple[int, float]) -> None:
        """Move the bar, and say how many steps are done and how long the rest will take.

        The estimate is based on the steps since the first look after compiling.
        """
        self.bar.value = here[0]
        text = f"Step {here[0]:,} of {steps:,}"
        if here[0] > first[0]:
            left = (here[1] - first[1]) * (steps - here[0]) / (here[0] - first[0])
            text += f", {left:.0f} s left"
        # Screen readers should not announce this: it changes ten times a second.
        self.steps.value = f"{text}."

    def _train(self, settings: dict[str, Any], live: _Live) -> Run:
        architecture, sizes = form.NETWORKS[settings["network"]]
        shape = self.images.train.shape[1:]
        gate = GATE_OPENS_AT * self._mean_image_mse
        make = form.SCHEDULES[settings["schedule"]]
        # The log standard deviations start at −3, where annealing makes a difference.
        params = replace(Params(), image_shape=shape, log_std_start=-3.0, **sizes)
        return train(
            architecture,
            self.images,
            settings["steps"],
            likelihood=Gaussian(settings["variance"]),
            kl_weight=make(settings["rate"], settings["start"], settings["cap"], gate),
            seed=settings["seed"],
            params=params,
            every=form.EVERY,
            callbacks=[live],
        )

    def _finish(self, settings: dict[str, Any], run: Run, seconds: float) -> None:
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


def _curves(moments: list[Look]) -> Curves:
    """Return the curves of the looks so far."""
    rows = [(m["step"], m["kl_weight"], m["kl_per_unit"].sum(), m["mse"]) for m in moments]
    steps, weights, kl, mse = np.array(rows).T
    return steps, weights, kl, mse


def _text(value: str | float) -> str:
    return f"{value:.4g}".replace("-", "−") if isinstance(value, float) else str(value)
