"""Draw figures from records and arrays, without training anything.

Every function draws on new axes and returns the figure. Colours are Okabe and
Ito's, which colour-blind readers can tell apart; lines also differ in style.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from IPython import get_ipython
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, NullFormatter

# What a `Recorder` keeps: arrays by name, with one entry along the first axis for each moment.
Record = Mapping[str, np.ndarray]

# Okabe & Ito 2008.
BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, BLACK = COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#000000",
)
DIGITS = plt.color_sequences["tab10"]  # one for each digit
WIDTH = 6.0  # inches: wide enough for a laptop, with type that a phone can still show
# Options for text that may lie on a mark or a line.
HALO: dict[str, Any] = {"path_effects": [withStroke(linewidth=3, foreground="white")], "zorder": 3}


def use_style() -> None:
    """Give all figures of a notebook one look: sharp, and readable on phones and in dark mode."""
    plt.rcParams.update(
        {
            "figure.figsize": (WIDTH, 3.2),
            "figure.dpi": 100,
            # Solid white, so that axes and labels stay dark on light in dark mode.
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.constrained_layout.use": True,
            "font.size": 11,
            "axes.prop_cycle": cycler(color=COLOURS[:6])
            + cycler(linestyle=["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1))]),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "0.9",
            "image.interpolation": "nearest",
            "legend.frameon": False,
        }
    )
    shell = get_ipython()
    if shell is not None:
        # Twice the pixels at the same size, for sharp lines on modern screens.
        shell.run_line_magic("config", "InlineBackend.figure_format = 'retina'")


def image_rows(
    rows: Sequence[Iterable[np.ndarray]], labels: Sequence[str], brighten: float = 1.0
) -> Figure:
    """Draw rows of images, each row with a label on its left.

    Args:
        rows: arrays of images (n, h, w, c) in [0, 1], one array per row. Grey images (1 channel)
            are drawn dark on light, colour images (3 channels: red, green, blue) as they are.
        labels: one label per row.
        brighten: pixel values are raised to the power 1 / brighten, to make small ones visible.

    Raises:
        ValueError: if images have neither 1 channel nor 3.
    """
    drawn = [[_brightened(drawable(image), brighten) for image in row] for row in rows]
    columns = max(len(row) for row in drawn)
    figure, axes = plt.subplots(
        len(drawn), columns, figsize=(WIDTH, WIDTH / (columns + 1.5) * len(drawn)), squeeze=False
    )
    for row, label, line in zip(drawn, labels, axes):
        _row_of_images(line, row, label)
    return figure


def drawable(images: np.ndarray) -> np.ndarray:
    """Reshape images (..., h, w, c) to what matplotlib can draw.

    Returns:
        The images as (..., h, w) if they are grey, as (..., h, w, 3) if they are in colour.

    Raises:
        ValueError: unless there are 1 or 3 channels.
    """
    channels = images.shape[-1]
    if channels not in (1, 3):
        raise ValueError(
            f"images must have 1 channel (grey) or 3 (red, green, blue) to be drawn; got {channels}"
        )
    return images[..., 0] if channels == 1 else images


def _brightened(image: np.ndarray, brighten: float) -> np.ndarray:
    """Raise small pixel values; clip to [0, 1] first, as a linear model may leave that range."""
    return np.clip(image, 0, 1) ** (1 / brighten)


def _row_of_images(
    axes: Sequence[Axes], images: Iterable[np.ndarray], label: str
) -> list[AxesImage]:
    """Draw `drawable` images on the first axes, one on each, with a label on their left."""
    for axis in axes:
        axis.set_axis_off()
    # An axis that is turned off shows no label of its own.
    axes[0].text(-0.15, 0.5, label, transform=axes[0].transAxes, ha="right", va="center")
    # The limits and the colour map apply to grey images; matplotlib draws colours as they are.
    return [axis.imshow(image, vmin=0, vmax=1, cmap="gray_r") for image, axis in zip(images, axes)]


def spread_moments(steps: np.ndarray, moments: int) -> np.ndarray:
    """Choose moments that are evenly spread in log(step), up to the last.

    Args:
        steps: gradient steps (n,), in ascending order.
        moments: how many to choose at most; with two or more, the last is among them.

    Returns:
        Their indices in `steps`, in ascending order.
    """
    wanted = np.geomspace(max(steps[min(1, len(steps) - 1)], 1), max(steps[-1], 1), moments)
    return np.unique(np.abs(steps[:, None] - wanted).argmin(axis=0))


def training_samples(record: Record, moments: int = 6, brighten: float = 2.0) -> Figure:
    """Show how the images evolve during training, in one row per moment.

    The left half shows reconstructions of test images; the right half shows decoded samples
    of the prior, from the same codes in every row.

    Args:
        record: of a `Recorder`.
        moments: how many to show at most, evenly spread in log(step).
        brighten: as for `image_rows`.

    Raises:
        ValueError: as `image_rows`.
    """
    steps = record["step"]
    chosen = spread_moments(steps, moments)
    left, right = record["reconstructions"][:, :4], record["samples"][:, :4]
    # White, like the page: grey images are drawn dark on light, colours as they are.
    gap = np.full_like(left[0, :1], 0 if left.shape[-1] == 1 else 1)
    rows = [np.concatenate([left[i], gap, right[i]]) for i in chosen]
    figure = image_rows(rows, [f"step {steps[i]:,}" for i in chosen], brighten)
    for start, title in ((0, "reconstructions"), (left.shape[1] + 1, "samples")):
        # Centred, so that a title wider than its image does not push the images apart.
        figure.axes[start + min(1, left.shape[1] - 1)].set_title(title)
    return figure


def training_values(record: Record) -> Figure:
    """Plot the highest and lowest posterior mean and standard deviation over training.

    Args:
        record: of a `Recorder`; the extremes are those over its test images and latent units.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 2.7))
    _draw_training_values(figure, axes, record)
    return figure


def _draw_training_values(figure: Figure | SubFigure, axes: Iterable[Axes], record: Record) -> None:
    means, deviations = axes
    for axis, name, title in (
        (means, "mean", "means"),
        (deviations, "std", "standard deviations"),
    ):
        axis.plot(record["step"], record[f"{name}_high"], label="highest")
        axis.plot(record["step"], record[f"{name}_low"], label="lowest")
        axis.set(xlabel="gradient step", title=title)
        axis.xaxis.set_major_locator(MaxNLocator(3))
    means.set_ylabel("value of latent units")
    deviations.set_yscale("log")
    deviations.yaxis.set_major_formatter("{x:g}")
    deviations.yaxis.set_minor_formatter(NullFormatter())
    # Outside, where it hides no line.
    figure.legend(*means.get_legend_handles_labels(), loc="outside lower center", ncols=2)


def training_moment(record: Record, brighten: float = 2.0) -> tuple[Figure, Callable[[int], None]]:
    """Draw the images of one moment above the training values, and mark the moment there.

    Args:
        record: of a `Recorder`.
        brighten: as for `image_rows`.

    Returns:
        The figure, which shows the first moment, and a function that takes the index of
        another moment and makes the figure show it.

    Raises:
        ValueError: as `image_rows`.
    """
    figure, below, show_images = _images_above(record, 0, brighten, (WIDTH, 4.3), (1.5, 2.8))
    axes = below.subplots(1, 2)
    _draw_training_values(below, axes, record)
    marks = [axis.axvline(0, color=BLACK, linewidth=1) for axis in axes]

    def show(index: int) -> None:
        show_images(record, index)
        for mark in marks:
            mark.set_xdata([record["step"][index]] * 2)

    show(0)
    _freeze_layout(figure)
    return figure, show


def _images_above(
    record: Record,
    index: int,
    brighten: float,
    size: tuple[float, float],
    heights: tuple[float, float],
) -> tuple[Figure, SubFigure, Callable[[Record, int], None]]:
    """Draw a row of reconstructions and a row of samples, with room below.

    Args:
        size: width and height of the figure in inches.
        heights: of the images and of the room, in proportion.

    Returns:
        The figure, the room, and a function that takes a record and the index of a moment
        and shows the images of that moment instead.
    """
    images = _images_at(record, index, brighten)  # before the figure, in case they are refused
    columns = min(8, record["samples"].shape[1])
    figure = plt.figure(figsize=size)
    above, below = figure.subfigures(2, 1, squeeze=False, height_ratios=heights)[:, 0]
    rows = {
        name: _row_of_images(line, images[name][:columns], name)
        for name, line in zip(images, above.subplots(2, columns))
    }

    def show(record: Record, index: int) -> None:
        for name, images in _images_at(record, index, brighten).items():
            for image, shown in zip(images, rows[name]):
                shown.set_data(image)

    return figure, below, show


def _images_at(record: Record, index: int, brighten: float) -> dict[str, np.ndarray]:
    """Return the images of one moment, by name, as they are drawn."""
    return {
        name: _brightened(drawable(record[name][index]), brighten)
        for name in ("reconstructions", "samples")
    }


def _freeze_layout(figure: Figure) -> None:
    """Keep the layout: nothing may move between frames, and each layout takes long to compute."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def _curves(record: Record) -> dict[str, list[np.ndarray]]:
    """Return everything in a record but its images: title -> lines over the steps."""
    return {
        "KL weight": [record["kl_weight"]],
        "KL (nats)": [record["kl_per_unit"].sum(axis=1)],
        "MSE (per pixel)": [record["mse"]],
        "means": [record["mean_high"], record["mean_low"]],
        "standard deviations": [record["std_high"], record["std_low"]],
    }


def run_overview(
    records: Sequence[Record], brighten: float = 2.0
) -> tuple[Figure, Callable[[Record, str], None]]:
    """Prepare a figure that shows any one of several runs, on axes that fit them all.

    The last reconstructions and samples are above. Below, over the steps, are the KL weight,
    the KL, the squared error, and the highest and lowest mean and standard deviation.

    Args:
        records: of runs that were recorded at the same steps.
        brighten: as for `image_rows`.

    Returns:
        The figure, and a function that takes one of the records and a text and makes the
        figure show them.

    Raises:
        ValueError: as `image_rows`.
    """
    figure, below, show_images = _images_above(records[0], -1, brighten, (WIDTH, 6.8), (1.5, 5.3))
    axes = below.subplot_mosaic(
        [
            ["KL weight", "KL (nats)"],
            ["MSE (per pixel)", "means"],
            ["standard deviations", "words"],
        ]
    )
    lines: dict[str, list[Line2D]] = {}
    for title, series in _curves(records[0]).items():
        axis = axes[title]
        lines[title] = axis.plot(records[0]["step"], np.transpose(series))
        # The first moment does not count: an untrained decoder's error would flatten the rest.
        values = np.array([_curves(record)[title] for record in records])[..., 1:]
        low, high = values.min(), values.max()
        if title == "standard deviations":
            axis.set(yscale="log", ylim=(low / 1.5, high * 1.5))
        else:
            axis.set_ylim(min(0, 1.1 * low), 1.1 * high)
        axis.set_title(title, fontsize="medium")
        axis.xaxis.set_major_locator(MaxNLocator(4))
    # On a linear axis, the KL at weight 0 would flatten all other values.
    axes["KL (nats)"].set_yscale("symlog")
    for title in ("KL (nats)", "standard deviations"):
        axes[title].yaxis.set_major_formatter("{x:g}")
        axes[title].yaxis.set_minor_formatter(NullFormatter())
    # Only the lowest panel of each column names the steps.
    for title in ("standard deviations", "means"):
        axes[title].set_xlabel("gradient step")
    words = axes["words"].text(0, 1.1, "", va="top", transform=axes["words"].transAxes)
    axes["words"].legend(lines["means"], ["highest", "lowest"], loc=(0, 0), borderpad=0)
    axes["words"].set_axis_off()
    _freeze_layout(figure)

    def show(record: Record, text: str) -> None:
        words.set_text(text)
        show_images(record, -1)
        for title, series in _curves(record).items():
            for line, values in zip(lines[title], series):
                line.set_ydata(values)

    return figure, show


def code_map(mean: np.ndarray, labels: np.ndarray, reach: float) -> tuple[Figure, Axes, Axes]:
    """Map the codes of labelled images in two dimensions, with an empty frame beside the map.

    Args:
        mean: posterior means (n, 2).
        labels: whole numbers (n,) from 0 to 9, which colour the map.
        reach: the map goes a little beyond ± this, in standard deviations of the prior.

    Returns:
        The figure, the axis of the map, and the axis of the frame.
    """
    figure, (axis, frame) = plt.subplots(1, 2, figsize=(WIDTH, 3.4), width_ratios=[1.7, 1])
    for label in np.unique(labels):
        # Each dot is its digit: no ten colours are told apart by everybody.
        codes = mean[labels == label]
        axis.scatter(*codes.T, color=DIGITS[label], marker=f"${label}$", s=16, linewidths=0)
    for label in np.unique(labels):
        centre = np.median(mean[labels == label], axis=0)
        box = {"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": "0.5"}
        axis.text(*centre, str(label), ha="center", va="center", fontsize=9, bbox=box, clip_on=True)
    limits = (-1.1 * reach, 1.1 * reach)
    axis.set(xlim=limits, ylim=limits, aspect="equal", xlabel="first unit", ylabel="second unit")
    frame.set_axis_off()
    frame.set(aspect="equal", title="decoded")
    return figure, axis, frame


def loss_curves(records: Iterable[Record], labels: Iterable[str]) -> Figure:
    """Plot the squared error (per pixel) and the KL (nats) over training, one line per record.

    Args:
        records: of `Recorder`s.
        labels: one label per record, for the legend.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 2.9))
    for record, label in zip(records, labels):
        axes[0].plot(record["step"], record["mse"], label=label)
        axes[1].plot(record["step"], record["kl_per_unit"].sum(axis=1), label=label)
    axes[0].set(xlabel="gradient step", title="MSE (per pixel)", ylim=(0, None))
    axes[1].set(xlabel="gradient step", title="KL (nats)")
    # Linear up to 0.1 nats, so that a KL of exactly 0 can be shown.
    axes[1].set_yscale("symlog", linthresh=0.1)
    axes[1].set_ylim(0, 2 * max(0.5, axes[1].dataLim.y1))
    axes[1].yaxis.set_major_formatter("{x:g}")
    for axis in axes:
        axis.xaxis.set_major_locator(MaxNLocator(3))
    axes[0].legend()
    return figure
