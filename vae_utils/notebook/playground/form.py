"""The playground's fields: what can be set, in which range, and what it means."""

import html
import math

import ipywidgets

from vae_utils import schedules

EVERY = 10  # steps between two looks, so a run has a multiple of them

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


def number(text, name, low, high, example, whole=False):
    """The number that a field holds, such as 0.0025 or 1/400.

    Raises:
        ValueError: if it is none, or out of range.
    """
    try:
        above, *below = text.split("/", 1)
        value = float(above) / (float(below[0]) if below else 1)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not math.isfinite(value) or (whole and not value.is_integer()):
        kind = "whole number" if whole else "number"
        raise ValueError(f"{name} must be a {kind} such as {example}; got {text!r}")
    if not low <= value <= high:
        raise ValueError(f"{name} must lie between {low:,.10g} and {high:,.10g}; got {text}")
    return int(value) if whole else value


def steps_of(text):
    steps = number(text, "steps", EVERY, 100_000, "400", whole=True)
    if steps % EVERY:
        raise ValueError(f"steps must be a multiple of {EVERY}; got {text}")
    return steps


# Of each field: its value at first, what it means, and how its text becomes a number.
FIELDS = {
    "variance": ("0.5", "of the likelihood", lambda t: number(t, "variance", 1e-3, 1e4, "0.5")),
    "rate": (
        "1/400",
        "rise of the weight per step, at a cap of 1",
        lambda t: number(t, "rate", 1e-6, 1, "0.01 or 1/400"),
    ),
    "start": (
        "0",
        "first step of the rise: linear, sigmoid, cosine",
        lambda t: number(t, "start", 0, 1e6, "100"),
    ),
    "cap": ("1", "highest weight", lambda t: number(t, "cap", 0, 1e4, "0.5")),
    "steps": ("400", "gradient steps", steps_of),
    "seed": (
        "0",
        "of start values and noise",
        lambda t: number(t, "seed", 0, 2**31 - 1, "1", whole=True),
    ),
}
MEANINGS = {
    "network": "",
    "schedule": "cyclical: four cycles of 2/rate steps, then the cap",
    **{name: meaning for name, (_, meaning, _) in FIELDS.items()},
}


class Form(ipywidgets.VBox):
    """A line for each setting: its name, its field, and its meaning or what is wrong with it.

    `fields` and `notes` are dicts of widgets, by the names of the settings.
    """

    def __init__(self):
        self.fields = {
            "network": ipywidgets.Dropdown(options=list(NETWORKS), description="network"),
            "schedule": ipywidgets.Dropdown(options=list(SCHEDULES), description="schedule"),
        }
        for name, (value, meaning, _) in FIELDS.items():
            self.fields[name] = ipywidgets.Text(value, description=name, tooltip=meaning)
        for field in self.fields.values():
            field.style = {"description_width": "6.5rem"}
        self.notes = {name: ipywidgets.HTML(MEANINGS[name]) for name in self.fields}
        for name in FIELDS:
            self.fields[name].observe(lambda _, name=name: self._look_at(name), "value")
        super().__init__(
            [ipywidgets.HBox([self.fields[name], self.notes[name]]) for name in self.fields]
        )

    def read(self):
        """What the fields say, as a dict, or None if one of them is wrong; that one says why."""
        settings = {name: self.fields[name].value for name in ("network", "schedule")}
        settings |= {name: self._look_at(name) for name in FIELDS}
        return None if None in settings.values() else settings

    def _look_at(self, name):
        """The number in a field; or None, and beside it what is wrong."""
        try:
            value = FIELDS[name][2](self.fields[name].value)
        except ValueError as error:
            words = html.escape(str(error))
            self.notes[name].value = f'<span role="alert" style="color: red">{words}</span>'
            return None
        self.notes[name].value = MEANINGS[name]
        return value
