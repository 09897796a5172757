"""Diagrams of models, drawn like all other figures of the book."""

import math
from collections.abc import Mapping

import keras
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from vae_utils.notebook.figures import BLACK, BLUE, ORANGE, VERMILION, WIDTH


def vae() -> Figure:
    """Draw a VAE from image to loss: encoder, noise, decoder and the two terms."""
    figure, axis = plt.subplots(figsize=(WIDTH, 3.1))
    axis.set(xlim=(0, 12), ylim=(0, 5.8))
    axis.set_axis_off()
    _box(axis, (0.9, 3.5), "image\n$x$")
    _box(axis, (3.0, 3.5), "encoder", BLUE)
    _box(axis, (5.1, 4.2), r"mean $\mu$")
    _box(axis, (5.1, 2.8), r"std $\sigma$")
    _box(axis, (7.2, 3.5), "code $z$\n" + r"$= \mu + \sigma\varepsilon$")
    _box(axis, (9.2, 3.5), "decoder", BLUE)
    _box(axis, (11.1, 3.5), "pixel\nmeans " + r"$\hat x$")
    axis.text(7.2, 5.35, r"noise $\varepsilon \sim \mathcal{N}(0, 1)$", ha="center", color=BLACK)
    for start, end in (
        ((1.7, 3.5), (2.2, 3.5)),
        ((3.8, 3.7), (4.3, 4.2)),
        ((3.8, 3.3), (4.3, 2.8)),
        ((5.9, 4.2), (6.4, 3.7)),
        ((5.9, 2.8), (6.4, 3.3)),
        ((7.2, 5.1), (7.2, 4.2)),
        ((8.0, 3.5), (8.4, 3.5)),
        ((10.0, 3.5), (10.3, 3.5)),
    ):
        _arrow(axis, start, end)
    _box(
        axis,
        (5.1, 0.7),
        "KL: how far are\n" + r"$\mu$ and $\sigma$ from 0 and 1?",
        VERMILION,
        width=4.4,
    )
    # Both numbers enter the KL, hence one frame around them.
    axis.add_patch(
        FancyBboxPatch(
            (4.3, 2.2), 1.6, 2.6, boxstyle="round,pad=0.12", fill=False, edgecolor=VERMILION, lw=1
        )
    )
    _arrow(axis, (5.1, 2.08), (5.1, 1.25), VERMILION)
    _box(axis, (10.05, 0.7), "error: how far\n" + r"is $\hat x$ from $x$?", ORANGE, width=3.5)
    _arrow(axis, (11.1, 2.95), (11.1, 1.25), ORANGE)
    axis.text(7.8, 0.7, "+", ha="center", va="center", fontsize=13)
    axis.text(1.6, 0.7, "loss  =", ha="center", va="center", fontsize=12)
    return figure


def networks(pairs: Mapping[str, tuple[keras.Model, keras.Model]]) -> Figure:
    """Draw encoders and decoders, a row each: how many numbers every layer gives, and their shape.

    Args:
        pairs: encoder and decoder under a name, which stands above its row.
    """
    figure, axes = plt.subplots(len(pairs), figsize=(WIDTH, 2.0 * len(pairs)), squeeze=False)
    longest = 0
    for axis, (name, (encoder, decoder)) in zip(axes[:, 0], pairs.items(), strict=True):
        code = encoder.output_shape[0][1:]
        columns = [
            *((shape, _in_words(shape), BLUE) for shape in _shapes(encoder)),
            (code, f"$\\mu$, $\\sigma$\n{code[0]} each", BLACK),
            (code, f"code $z$\n{code[0]}", BLACK),
            *((shape, _in_words(shape), ORANGE) for shape in _shapes(decoder)),
        ]
        for x, (shape, text, colour) in enumerate(columns):
            height = math.log2(math.prod(shape))
            axis.bar(x, height, 0.4, bottom=-height / 2, color=colour)
            axis.text(x, -7.5, text, ha="center", va="top", fontsize=9)
            if x:
                _arrow(axis, (x - 0.7, 0), (x - 0.3, 0))
        axis.set(ylim=(-11, 7.5))
        axis.set_title(name, loc="left", fontsize=10)
        axis.set_axis_off()
        longest = max(longest, len(columns))
    for axis in axes[:, 0]:
        axis.set_xlim(-0.6, longest - 0.4)
    return figure


def _shapes(network):
    """Return the shapes between the layers of an encoder or a decoder, but for its codes."""
    shapes = [
        layer.output.shape[1:]
        for layer in network.layers
        if layer.name not in ("codes", "mean", "raw_log_std", "log_std")
    ]
    kept: list[tuple[int, ...]] = []
    for shape in shapes:
        # A layer that only reshapes is no step of its own: the shape that an image has stays.
        if kept and shape != kept[-1] and math.prod(shape) == math.prod(kept[-1]):
            kept[-1] = max(shape, kept[-1], key=len)
        else:
            kept.append(shape)
    return kept


def _in_words(shape):
    height, *rest = shape
    if not rest:
        return f"{height}"
    width, channels = rest
    return f"{height}×{width}" + (f"\n×{channels}" if channels > 1 else "")


def _box(
    axis: Axes, centre: tuple[float, float], text: str, colour: str = BLACK, width: float = 1.5
) -> None:
    x, y = centre
    height = 1.0
    axis.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0.05",
            facecolor="white",
            edgecolor=colour,
            linewidth=1.5,
        )
    )
    axis.text(x, y, text, ha="center", va="center", fontsize=10.5)


def _arrow(
    axis: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = BLACK
) -> None:
    style = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
    axis.annotate("", end, start, arrowprops=style)
