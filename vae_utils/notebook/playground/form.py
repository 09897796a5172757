"""The fields of the playground: what can be set, within which range, and what it means."""

import html
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ipywidgets

from vae_utils import schedules

EVERY = 10  # steps from one look to the next; the steps of a run are a multiple of it

# Architecture and sizes, by name.
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "deep MLP": (
        "mlp",
        {"latent_size": 16, "mlp_encoder_units": (200, 200), "mlp_decoder_units": (100,) * 5},
    ),
    "MLP": ("mlp", {}),
    "small conv": ("conv", {"conv_filters": (16, 32), "conv_units": 128}),
    "conv": ("conv", {}),
}


# Each takes everything that the form knows about a schedule, and ignores what its kind has no use
# for: the rise of the weight per step at a cap of 1, the first step of the rise, the highest
# weight, and the squared error per pixel below which the quality gate opens.


def linear(rate: float, start: float, cap: float, gate: float) -> schedules.Schedule:
    """Rise by `rate` at each step, from `start` on."""
    return schedules.Linear(rate, start, cap)


def sigmoid(rate: float, start: float, cap: float, gate: float) -> schedules.Schedule:
    """Rise most steeply, by cap · `rate` per step, where a linear rise to 1 would be halfway."""
    return schedules.Sigmoid(4 * rate, start + 0.5 / rate, cap)


def cosine(rate: float, start: float, cap: float, gate: float) -> schedules.Schedule:
    """Rise along half a cosine wave of 1 / `rate` steps, from `start` on."""
    return schedules.Cosine(1 / rate, start, cap)


def cyclical(rate: float, start: float, cap: float, gate: float) -> schedules.Schedule:
    """Rise four times, in cycles of 2 / `rate` steps, then stay at the cap."""
    return schedules.Cyclical(2 / rate, cap=cap)


def quality_gate(rate: float, start: float, cap: float, gate: float) -> schedules.Schedule:
    """Rise by `rate` at each step once the squared error is below `gate`."""
    return schedules.QualityGate(gate, rate, cap)


def constant(rate: float, start: float, cap: float, gate: float) -> schedules.Schedule:
    """Stay at the cap."""
    return schedules.Constant(cap)


SCHEDULES = {
    "linear": linear,
    "sigmoid": sigmoid,
    "cosine": cosine,
    "cyclical": cyclical,
    "quality gate": quality_gate,
    "constant": constant,
}


def number(
    text: str, name: str, low: float, high: float, example: str, whole: bool = False
) -> float:
    """Read the number in a field, such as 0.0025 or 1/400.

    Args:
        text: what the field holds.
        name: the name of the field, for the message of an error.
        low: lowest number allowed.
        high: highest number allowed.
        example: a good number, for the message of an error.
        whole: whether only whole numbers are allowed.

    Returns:
        The number, as an int if `whole`.

    Raises:
        ValueError: if the text is not a number of this kind, or the number is out of range.
    """
    try:
        numerator, slash, denominator = text.partition("/")
        value = float(numerator)
        if slash:
            value /= float(denominator)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not math.isfinite(value) or (whole and not value.is_integer()):
        kind = "whole number" if whole else "number"
        raise ValueError(f"{name} must be a {kind} such as {example}; got {text!r}")
    if not low <= value <= high:
        raise ValueError(f"{name} must lie between {low:,.10g} and {high:,.10g}; got {text}")
    return int(value) if whole else value


def steps_of(text: str) -> int:
    """Read the number of gradient steps in a field.

    Raises:
        ValueError: as `number`, or if the number is not a multiple of `EVERY`.
    """
    steps = int(number(text, "steps", EVERY, 100_000, "400", whole=True))
    if steps % EVERY:
        raise ValueError(f"steps must be a multiple of {EVERY}; got {text}")
    return steps


@dataclass(frozen=True)
class Field:
    """A field of the form.

    Attributes:
        first: its text at the start.
        meaning: what its number means.
        convert: a function that turns its text into the number, or raises a ValueError that
            says what is wrong.
    """

    first: str
    meaning: str
    convert: Callable[[str], float]


FIELDS = {
    "variance": Field(
        "0.5", "of the likelihood", lambda text: number(text, "variance", 1e-3, 1e4, "0.5")
    ),
    "rate": Field(
        "1/400",
        "rise of the weight per step, at a cap of 1",
        lambda text: number(text, "rate", 1e-6, 1, "0.01 or 1/400"),
    ),
    "start": Field(
        "0",
        "first step of the rise: linear, sigmoid, cosine",
        lambda text: number(text, "start", 0, 1e6, "100"),
    ),
    "cap": Field("1", "highest weight", lambda text: number(text, "cap", 0, 1e4, "0.5")),
    "steps": Field("400", "gradient steps", steps_of),
    "seed": Field(
        "0",
        "of initial weights, order of images and noise",
        lambda text: number(text, "seed", 0, 2**31 - 1, "1", whole=True),
    ),
}
MEANINGS = {
    "network": "",
    "schedule": "cyclical: four cycles of 2/rate steps, then the cap",
    **{name: field.meaning for name, field in FIELDS.items()},
}


class Form(ipywidgets.VBox):
    """Show one line per setting: its name, its field, and what it means or what is wrong with it.

    Attributes:
        fields: the fields, by the names of the settings.
        notes: what stands beside each field, by the same names.
    """

    def __init__(self) -> None:
        self.fields: dict[str, ipywidgets.Widget] = {
            "network": ipywidgets.Dropdown(options=list(NETWORKS), description="network"),
            "schedule": ipywidgets.Dropdown(options=list(SCHEDULES), description="schedule"),
        }
        for name, field in FIELDS.items():
            self.fields[name] = ipywidgets.Text(
                field.first, description=name, tooltip=field.meaning
            )
        for widget in self.fields.values():
            widget.style = {"description_width": "6.5rem"}
        self.notes = {name: ipywidgets.HTML(MEANINGS[name]) for name in self.fields}
        for name in FIELDS:
            self.fields[name].observe(lambda _, name=name: self._look_at(name), "value")
        super().__init__(
            [ipywidgets.HBox([self.fields[name], self.notes[name]]) for name in self.fields]
        )

    def read(self) -> dict[str, str | float] | None:
        """Return the settings by name; or None if a field is wrong, and say beside it why."""
        settings = {name: self.fields[name].value for name in ("network", "schedule")}
        settings |= {name: self._look_at(name) for name in FIELDS}
        return None if None in settings.values() else settings

    def _look_at(self, name: str) -> float | None:
        """Return the number in a field; or None if it is wrong, and say beside it why."""
        try:
            value = FIELDS[name].convert(self.fields[name].value)
        except ValueError as error:
            words = html.escape(str(error))
            self.notes[name].value = f'<span role="alert" style="color: red">{words}</span>'
            return None
        self.notes[name].value = MEANINGS[name]
        return value
