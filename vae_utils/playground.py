"""Train with a KL weight of your own, and watch: fields, buttons, curves and a table.

Needs a kernel. Training is `vae_utils.train` in a thread of its own, so that the
notebook stays usable; a callback draws, and listens for the stop button.
"""

import csv
import html
import io
import math
import threading
import time
from dataclasses import replace
from pathlib import Path

import ipywidgets
import numpy as np
from matplotlib.figure import Figure

from vae_utils import figures, schedules
from vae_utils.data import Images
from vae_utils.diagnostics import summary
from vae_utils.likelihoods import Gaussian
from vae_utils.params import Params
from vae_utils.recording import Recorder
from vae_utils.runs import train

EVERY = 10  # steps between two looks, and between two chances to stop
FRAME = 0.1  # seconds between two pictures, at least
WATCH, TEST = 100, 1_000  # images to look at while training, and to measure at the end
SHUT = 0.6  # the quality gate opens at this part of the mean image's squared error

# The log standard deviations start at −3, where annealing has something to do.
NETWORKS = {
    "deep MLP": (
        "mlp",
        {"latent_size": 16, "mlp_encoder_units": (200, 200), "mlp_decoder_units": (100,) * 5},
    ),
    "MLP": ("mlp", {}),
    "small conv": ("conv", {"conv_filters": (16, 32), "conv_units": 128}),
    "conv": ("conv", {}),
}
SCHEDULES = {
    "linear": lambda rate, start, cap, gate: schedules.Linear(rate, start, cap),
    "sigmoid": lambda rate, start, cap, gate: schedules.Sigmoid(4 * rate, start + 0.5 / rate, cap),
    "cosine": lambda rate, start, cap, gate: schedules.Cosine(1 / rate, start, cap),
    "cyclical": lambda rate, start, cap, gate: schedules.Cyclical(2 / rate, cap=cap),
    "quality gate": lambda rate, start, cap, gate: schedules.QualityGate(gate, rate, cap),
    "constant": lambda rate, start, cap, gate: schedules.Constant(cap),
}
RESULTS = ("elbo", "kl", "active_units", "mutual_information", "mse")


def number(text, name, low, high, whole=False):
    """The number that a field holds, such as 0.0025 or 1/400.

    Raises:
        ValueError: if it is none, or out of range.
    """
    try:
        above, _, below = text.partition("/")
        value = float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{name} must be a number such as 2, 0.5 or 1/400; got {text!r}")
    if whole and not value.is_integer():
        raise ValueError(f"{name} must be a whole number; got {text}")
    if not low <= value <= high:
        raise ValueError(f"{name} must lie between {low:g} and {high:g}; got {text}")
    return int(value) if whole else value


def steps_of(text):
    steps = number(text, "steps", EVERY, 100_000, whole=True)
    if steps % EVERY:
        raise ValueError(f"steps must be a multiple of {EVERY}; got {text}")
    return steps


# Of each field: its value at first, what it means, and how its text becomes a number.
FIELDS = {
    "variance": ("0.5", "of the likelihood", lambda t: number(t, "variance", 1e-3, 1e4)),
    "rate": (
        "1/400",
        "rise of the weight per step, at a cap of 1",
        lambda t: number(t, "rate", 1e-6, 1),
    ),
    "start": (
        "0",
        "first step of the rise: linear, sigmoid, cosine",
        lambda t: number(t, "start", 0, 1e6),
    ),
    "cap": ("1", "highest weight", lambda t: number(t, "cap", 0, 1e4)),
    "steps": ("400", "gradient steps", steps_of),
    "seed": ("0", "of start values and noise", lambda t: number(t, "seed", 0, 2**31 - 1, True)),
}


class _Live(Recorder):
    """A recorder that hands each look on, and ends the training when it is asked to."""

    def __init__(self, images, show, stop):
        super().__init__(images, EVERY, pictures=0)
        self._show, self._stop = show, stop

    def _look(self):
        super()._look()
        self._show(self._moments)

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if self._stop.is_set():
            self.model.stop_training = True


class Playground(ipywidgets.VBox):
    """Fields for a run, buttons to train, stop, clear and save, curves and a table of all runs.

    Args:
        images: `Images`, as `load_images` returns them.

    Raises:
        ValueError: if the images are something else.
    """

    _newest_stop = threading.Event()

    def __init__(self, images):
        if not isinstance(images, Images):
            raise ValueError(f"images must come from load_images; got {type(images).__name__}")
        self.images = images
        watched = images.test[:WATCH]
        self._mean_image_mse = float(np.square(images.train.mean(axis=0) - watched).mean())
        self.runs = []  # finished ones: settings, numbers and curves
        self.running = False
        self._thread = None
        self._stop = threading.Event()
        # A cell that runs again replaces its playground: the old one's run would go on unseen.
        Playground._newest_stop.set()
        Playground._newest_stop = self._stop
        self._drawing = threading.Lock()
        self._build()
        self._draw()
        super().__init__([self._form, self._buttons, self._progress, self.picture, self.table])

    # ---- what is seen --------------------------------------------------------

    def _build(self):
        style = {"description_width": "6.5rem"}
        self.fields = {
            "network": ipywidgets.Dropdown(options=list(NETWORKS), description="network"),
            "schedule": ipywidgets.Dropdown(options=list(SCHEDULES), description="schedule"),
        }
        for name, (value, meaning, _) in FIELDS.items():
            self.fields[name] = ipywidgets.Text(value, description=name, tooltip=meaning)
        self.errors = {name: ipywidgets.HTML() for name in self.fields}
        for name, field in self.fields.items():
            field.style = style
            self.errors[name].value = self._meaning(name)
        self._form = ipywidgets.VBox(
            [ipywidgets.HBox([self.fields[name], self.errors[name]]) for name in self.fields]
        )
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
        self._progress = ipywidgets.HBox([self.bar, self.status])
        self.picture = ipywidgets.Image(format="png", layout={"max_width": "100%"})
        self.table = ipywidgets.HTML()

    def _say(self, text):
        """Below the buttons; screen readers say it, too."""
        self.status.value = f'<span role="status">{html.escape(text)}</span>'

    @staticmethod
    def _meaning(name):
        return FIELDS[name][1] if name in FIELDS else ""

    def _draw(self):
        """The figure anew: all finished runs and, while one goes on, a line for it in each axis."""
        with self._drawing:
            self._figure = Figure(
                figsize=(9, 2.8), dpi=100, layout="constrained", facecolor="white"
            )
            self._axes = self._figure.subplots(1, 3)
            runs = [(f"run {run['run']}", run["curves"]) for run in self.runs]
            if self.running:
                runs.append(("running", np.empty((4, 0))))
            for position, (label, curves) in enumerate(runs):
                colour = figures.COLOURS[position % len(figures.COLOURS)]
                self._lines = [
                    axis.plot(curves[0], values, color=colour, label=label)[0]
                    for axis, values in zip(self._axes, curves[1:])
                ]
            for axis, title in zip(self._axes, ("KL weight", "KL (nats)", "MSE (per pixel)")):
                axis.set(title=title, xlabel="gradient step")
                axis.grid(color="0.9")
            self._axes[1].set_yscale("symlog")
            self._axes[2].axhline(self._mean_image_mse, color="0.4", linestyle=":")
            if runs:
                self._axes[0].legend(loc="upper left", fontsize="small", frameon=False)
            self._figure.draw_without_rendering()
            # Working out the layout takes longer than all the rest of a picture.
            self._figure.set_layout_engine("none")
            self._render()

    def _move(self, curves):
        """Draw the line of the run that goes on up to where it is."""
        with self._drawing:
            for line, values in zip(self._lines, curves[1:]):
                line.set_data(curves[0], values)
            self._render()

    def _render(self):
        for axis, highest in zip(self._axes, (None, None, 1.6 * self._mean_image_mse)):
            axis.relim()
            axis.autoscale_view()
            axis.set_ylim(0, highest, auto=highest is None)
        drawn = io.BytesIO()
        self._figure.savefig(drawn, format="png", pil_kwargs={"compress_level": 1})
        self.picture.value = drawn.getvalue()

    def _tell(self):
        """The table: a row for each finished run."""
        runs = list(self.runs)
        if not runs:
            self.table.value = ""
            return
        columns = [name for name in runs[0] if name != "curves"]
        head = "".join(f'<th scope="col">{name.replace("_", " ")}</th>' for name in columns)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(_text(run[name]))}</td>" for name in columns)
            for run in runs
        )
        self.table.value = f"<table><caption>Finished runs</caption><tr>{head}</tr>{body}</table>"

    # ---- the buttons ---------------------------------------------------------

    def wait(self, seconds=None):
        """Wait for the run to end, at most so many seconds."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _on_train(self, button):
        if self.running:
            self._say("A run is on its way: stop it, or wait for its end.")
            return
        settings = self._settings()
        if settings is None:
            self._say("Not started: see the fields.")
            return
        self._stop.clear()
        self.running = True
        self.bar.max, self.bar.value, self.bar.bar_style = settings["steps"], 0, ""
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

    def _settings(self):
        """What the fields say, or None if one of them is wrong; that one says why."""
        settings = {name: self.fields[name].value for name in ("network", "schedule")}
        wrong = False
        for name, (_, _, convert) in FIELDS.items():
            try:
                settings[name] = convert(self.fields[name].value)
                self.errors[name].value = self._meaning(name)
            except ValueError as error:
                wrong = True
                words = html.escape(str(error))
                self.errors[name].value = f'<span role="alert" style="color: red">{words}</span>'
        return None if wrong else settings

    # ---- the training, in its own thread -------------------------------------

    def _work(self, settings):
        began = time.monotonic()
        first = last = (
            None  # (steps, time): of the first steps after compiling, of the last picture
        )

        def show(moments):
            nonlocal first, last
            here = moments[-1]["step"], time.monotonic()
            if last is not None and here[1] - last[1] < FRAME:
                return
            last = here
            self._move(_curves(moments))
            if here[0] and not self._stop.is_set():
                first = first or here
                self._say_how_far(settings["steps"], first, here)

        live = _Live(self.images.test[:WATCH], show, self._stop)
        self._draw()
        try:
            run = self._train(settings, live)
            self._finish(settings, run, time.monotonic() - began)
        except Exception as error:  # noqa: BLE001  whatever it is, the reader shall see it
            self.bar.bar_style = "danger"
            self._say(f"{type(error).__name__}: {error}")
        finally:
            self.running = False
            self._draw()

    def _say_how_far(self, steps, first, here):
        """The bar, and in words; the first steps tell nothing of the time that is left."""
        self.bar.value = here[0]
        text = f"Step {here[0]:,} of {steps:,}"
        if here[0] > first[0]:
            left = (here[1] - first[1]) * (steps - here[0]) / (here[0] - first[0])
            text += f", {left:.0f} s left"
        # Not aloud: it changes ten times a second.
        self.status.value = f"{text}."

    def _train(self, settings, live):
        architecture, sizes = NETWORKS[settings["network"]]
        shape = self.images.train.shape[1:]
        gate = SHUT * self._mean_image_mse
        make = SCHEDULES[settings["schedule"]]
        return train(
            architecture,
            self.images,
            settings["steps"],
            likelihood=Gaussian(settings["variance"]),
            kl_weight=make(settings["rate"], settings["start"], settings["cap"], gate),
            seed=settings["seed"],
            params=replace(Params(), image_shape=shape, log_std_start=-3.0, **sizes),
            every=EVERY,
            callbacks=[live],
        )

    def _finish(self, settings, run, seconds):
        record = run.record
        done = int(record["step"][-1])
        numbers = summary(run.vae, self.images.test[:TEST])
        self.runs.append(
            {
                "run": max((some["run"] for some in self.runs), default=0) + 1,
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
        self._say(f"{ended} after {done:,} steps and {seconds:.1f} s.")
        self._tell()


def _curves(moments):
    """Steps, KL weight, KL and squared error of the looks so far."""
    rows = [(m["step"], m["kl_weight"], m["kl_per_unit"].sum(), m["mse"]) for m in moments]
    return tuple(np.array(rows).T)


def _text(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)
