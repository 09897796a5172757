"""Figures from records and arrays; no training here.

Every function draws on new axes and returns the figure. Colours are Okabe and
Ito's, which colour-blind readers can tell apart; lines also differ in style.
"""

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from IPython import get_ipython
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, NullFormatter

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
WIDTH = 6.0  # inches: wide enough for a laptop, with type that a phone can still show
# For a text that may lie on a mark or a line.
HALO = {"path_effects": [withStroke(linewidth=3, foreground="white")], "zorder": 3}


def use_style():
    """Make all figures of a notebook look alike: sharp, readable on a phone, in dark mode too."""
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
        # Twice the pixels at the same size, for sharp lines on today's screens.
        shell.run_line_magic("config", "InlineBackend.figure_format = 'retina'")


def image_rows(rows, labels, brighten=1.0):
    """Rows of images, each with a label on its left.

    Args:
        rows: arrays (n, h, w, c) in [0, 1]: grey with 1 channel, which is drawn dark on
            light, or red, green and blue with 3.
        labels: one text for each row.
        brighten: pixel values are raised to the power 1 / brighten, so that
            small ones become visible.

    Raises:
        ValueError: on images with another number of channels.
    """
    rows = [[_brightened(drawable(image), brighten) for image in row] for row in rows]
    columns = max(len(row) for row in rows)
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(WIDTH, WIDTH / (columns + 1.5) * len(rows)), squeeze=False
    )
    for row, label, line in zip(rows, labels, axes):
        _row_of_images(line, row, label)
    return figure


def drawable(images):
    """Return images (..., h, w, c) in the shape that matplotlib draws.

    Returns:
        (..., h, w) for grey images, (..., h, w, 3) for colour.

    Raises:
        ValueError: unless there are 1 or 3 channels.
    """
    channels = images.shape[-1]
    if channels not in (1, 3):
        raise ValueError(
            f"images must have 1 channel (grey) or 3 (red, green, blue) to be drawn; got {channels}"
        )
    return images[..., 0] if channels == 1 else images


def _brightened(image, brighten):
    """Small pixel values raised; those of a linear model may lie outside of [0, 1]."""
    return np.clip(image, 0, 1) ** (1 / brighten)


def _row_of_images(axes, images, label):
    """Draw `drawable` images on as many of the axes, with a label on their left."""
    for axis in axes:
        axis.set_axis_off()
    # An axis that is off shows no label, so the text stands beside it.
    axes[0].text(-0.15, 0.5, label, transform=axes[0].transAxes, ha="right", va="center")
    # Limits and colour map are those of grey images; matplotlib draws colours as they are.
    return [axis.imshow(image, vmin=0, vmax=1, cmap="gray_r") for image, axis in zip(images, axes)]


def spread_moments(steps, moments):
    """Indices of at most so many of the steps, evenly spread in log(step), the last among them."""
    wanted = np.geomspace(max(steps[min(1, len(steps) - 1)], 1), max(steps[-1], 1), moments)
    return np.unique(np.abs(steps[:, None] - wanted).argmin(axis=0))


def training_samples(record, moments=6, brighten=2.0):
    """How the images evolve: a row for each of some moments, evenly spread in log(step).

    The left half reconstructs test images, the right half decodes codes drawn
    from the prior once. Small pixel values are raised to be visible.

    Raises:
        ValueError: as `image_rows`.
    """
    steps = record["step"]
    chosen = spread_moments(steps, moments)
    left, right = record["reconstructions"][:, :4], record["samples"][:, :4]
    # White, as the paper: grey images are drawn dark on light, colours as they are.
    gap = np.full_like(left[0, :1], 0 if left.shape[-1] == 1 else 1)
    rows = [np.concatenate([left[i], gap, right[i]]) for i in chosen]
    figure = image_rows(rows, [f"step {steps[i]:,}" for i in chosen], brighten)
    for start, title in ((0, "reconstructions"), (left.shape[1] + 1, "samples")):
        # Centred, so that a title wider than its picture does not push the pictures apart.
        figure.axes[start + min(1, left.shape[1] - 1)].set_title(title)
    return figure


def training_values(record):
    """Highest and lowest posterior mean and standard deviation of a test batch, over training."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 2.7))
    _draw_training_values(figure, axes, record)
    return figure


def _draw_training_values(figure, axes, record):
    for axis, name, title in zip(axes, ("mean", "std"), ("means", "standard deviations")):
        axis.plot(record["step"], record[f"{name}_high"], label="highest")
        axis.plot(record["step"], record[f"{name}_low"], label="lowest")
        axis.set(xlabel="gradient step", title=title)
        axis.xaxis.set_major_locator(MaxNLocator(3))
    axes[0].set_ylabel("latent units' value")
    axes[1].set_yscale("log")
    axes[1].yaxis.set_major_formatter("{x:g}")
    axes[1].yaxis.set_minor_formatter(NullFormatter())
    # Outside, where it hides no line.
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)


def training_moment(record, brighten=2.0):
    """Training samples at one moment above training values, where a line marks the moment.

    Returns:
        the figure, and a function that takes the index of a moment and changes
        the figure to show it.

    Raises:
        ValueError: as `image_rows`.
    """
    pictures = _pictures(record, 0, brighten)
    columns = min(8, record["samples"].shape[1])
    figure = plt.figure(figsize=(WIDTH, 4.3))
    above, below = figure.subfigures(2, 1, height_ratios=[1.5, 2.8])
    rows = {
        name: _row_of_images(line, pictures[name][:columns], name)
        for name, line in zip(pictures, above.subplots(2, columns))
    }
    axes = below.subplots(1, 2)
    _draw_training_values(below, axes, record)
    marks = [axis.axvline(0, color=BLACK, linewidth=1) for axis in axes]

    def show(index):
        for name, images in _pictures(record, index, brighten).items():
            for image, shown in zip(images, rows[name]):
                shown.set_data(image)
        for mark in marks:
            mark.set_xdata([record["step"][index]] * 2)

    show(0)
    _keep_layout(figure)
    return figure, show


def _pictures(record, index, brighten):
    """Return the pictures of one moment, by name, as they are drawn."""
    return {
        name: _brightened(drawable(record[name][index]), brighten)
        for name in ("reconstructions", "samples")
    }


def _keep_layout(figure):
    """No picture of several may move, and working the layout out again takes long."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


def _curves(record):
    """Title -> lines over the steps: all that a record holds beside its pictures."""
    return {
        "KL weight": [record["kl_weight"]],
        "KL (nats)": [record["kl_per_unit"].sum(axis=1)],
        "MSE (per pixel)": [record["mse"]],
        "means": [record["mean_high"], record["mean_low"]],
        "standard deviations": [record["std_high"], record["std_low"]],
    }


def run_overview(records, brighten=2.0):
    """A whole run on one figure, with the same axes for all of some runs.

    The last reconstructions and samples above; below, over the steps, the KL weight,
    the KL, the squared error, and the highest and lowest mean and standard deviation.

    Args:
        records: of runs with the same moments.
        brighten: as for `image_rows`.

    Returns:
        the figure, and a function that takes one of the records and a text and
        changes the figure to show them.

    Raises:
        ValueError: as `image_rows`.
    """
    pictures = _pictures(records[0], -1, brighten)
    columns = min(8, records[0]["samples"].shape[1])
    figure = plt.figure(figsize=(WIDTH, 6.8))
    above, below = figure.subfigures(2, 1, height_ratios=[1.5, 5.3])
    rows = {
        name: _row_of_images(line, pictures[name][:columns], name)
        for name, line in zip(pictures, above.subplots(2, columns))
    }
    axes = below.subplot_mosaic(
        [
            ["KL weight", "KL (nats)"],
            ["MSE (per pixel)", "means"],
            ["standard deviations", "words"],
        ]
    )
    lines = {}
    for title, series in _curves(records[0]).items():
        axis = axes[title]
        lines[title] = axis.plot(records[0]["step"], np.transpose(series))
        # Without the first moment: an untrained decoder's error would flatten all others.
        values = np.array([_curves(record)[title] for record in records])[..., 1:]
        low, high = values.min(), values.max()
        if title == "standard deviations":
            axis.set(yscale="log", ylim=(low / 1.5, high * 1.5))
        else:
            axis.set_ylim(min(0, 1.1 * low), 1.1 * high)
        axis.set_title(title, fontsize="medium")
        axis.xaxis.set_major_locator(MaxNLocator(4))
    # The KL at weight 0 would hide all others on a linear axis.
    axes["KL (nats)"].set_yscale("symlog")
    for title in ("KL (nats)", "standard deviations"):
        axes[title].yaxis.set_major_formatter("{x:g}")
        axes[title].yaxis.set_minor_formatter(NullFormatter())
    # The lowest of each column.
    for title in ("standard deviations", "means"):
        axes[title].set_xlabel("gradient step")
    words = axes["words"].text(0, 1.1, "", va="top", transform=axes["words"].transAxes)
    axes["words"].legend(lines["means"], ["highest", "lowest"], loc=(0, 0), borderpad=0)
    axes["words"].set_axis_off()
    _keep_layout(figure)

    def show(record, text):
        words.set_text(text)
        for name, images in _pictures(record, -1, brighten).items():
            for image, shown in zip(images, rows[name]):
                shown.set_data(image)
        for title, series in _curves(record).items():
            for line, values in zip(lines[title], series):
                line.set_ydata(values)

    return figure, show


def code_map(mean, labels, reach):
    """The codes of labelled images in two dimensions, and an empty frame for a picture.

    Args:
        mean: (n, 2).
        labels: (n,) whole numbers from 0 to 9.
        reach: half of the map's side.

    Returns:
        the figure, the axis of the map, and the frame.
    """
    figure, (axis, frame) = plt.subplots(1, 2, figsize=(WIDTH, 3.4), width_ratios=[1.7, 1])
    axis.scatter(*mean.T, c=labels, cmap="tab10", vmin=-0.5, vmax=9.5, s=4)
    for label in np.unique(labels):
        centre = np.median(mean[labels == label], axis=0)
        box = {"boxstyle": "circle,pad=0.15", "facecolor": "white", "edgecolor": "0.5"}
        axis.text(*centre, str(label), ha="center", va="center", fontsize=9, bbox=box, clip_on=True)
    limits = (-1.1 * reach, 1.1 * reach)
    axis.set(xlim=limits, ylim=limits, aspect="equal", xlabel="first unit", ylabel="second unit")
    frame.set_axis_off()
    frame.set(aspect="equal", title="decoded")
    return figure, axis, frame


def loss_curves(records, labels):
    """MSE and KL of a test batch over training, one line for each record."""
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 2.9))
    for record, label in zip(records, labels):
        axes[0].plot(record["step"], record["mse"], label=label)
        axes[1].plot(record["step"], record["kl_per_unit"].sum(axis=1), label=label)
    axes[0].set(xlabel="gradient step", title="MSE (per pixel)", ylim=(0, None))
    axes[1].set(xlabel="gradient step", title="KL (nats)")
    # Linear up to 0.1 nats, so that a KL of exactly 0 has its place.
    axes[1].set_yscale("symlog", linthresh=0.1)
    axes[1].set_ylim(0, 2 * max(0.5, axes[1].dataLim.y1))
    axes[1].yaxis.set_major_formatter("{x:g}")
    for axis in axes:
        axis.xaxis.set_major_locator(MaxNLocator(3))
    axes[0].legend()
    return figure
