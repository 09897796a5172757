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
        rows: arrays (n, h, w, 1), drawn dark on light, or (n, h, w, 3), in [0, 1].
        labels: one text for each row.
        brighten: pixel values are raised to the power 1 / brighten, so that
            small ones become visible.

    Raises:
        ValueError: if the images have neither one channel nor three.
    """
    columns = max(len(row) for row in rows)
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(WIDTH, WIDTH / (columns + 1.5) * len(rows)), squeeze=False
    )
    for row, label, line in zip(rows, labels, axes):
        _row_of_images(line, [_brightened(image, brighten) for image in row], label)
    return figure


def grey_or_colour(image: np.ndarray) -> np.ndarray:
    """An image (h, w, 1) as (h, w), and one (h, w, 3) as it is: what matplotlib draws.

    Raises:
        ValueError: on another number of channels.
    """
    channels = image.shape[-1]
    if channels not in (1, 3):
        raise ValueError(f"pictures have 1 channel (grey) or 3 (red, green, blue); got {channels}")
    return image[..., 0] if channels == 1 else image


def _brightened(image, brighten):
    """Small pixel values raised; those of a linear model may lie outside of [0, 1]."""
    return np.clip(image, 0, 1) ** (1 / brighten)


def _row_of_images(axes, images, label):
    """Images (h, w, c) in [0, 1] on as many of the axes, with a label on their left."""
    for axis in axes:
        axis.set_axis_off()
    # An axis that is off shows no label, so the text stands beside it.
    axes[0].text(-0.15, 0.5, label, transform=axes[0].transAxes, ha="right", va="center")
    return [
        axis.imshow(grey_or_colour(image), vmin=0, vmax=1, cmap="gray_r")
        for image, axis in zip(images, axes)
    ]


def spread_moments(steps, moments):
    """Indices of at most so many of the steps, evenly spread in log(step), the last among them."""
    wanted = np.geomspace(max(steps[min(1, len(steps) - 1)], 1), max(steps[-1], 1), moments)
    return np.unique(np.abs(steps[:, None] - wanted).argmin(axis=0))


def training_samples(record, moments=6, brighten=2.0):
    """How the images evolve: a row for each of some moments, evenly spread in log(step).

    The left half reconstructs test images, the right half decodes codes drawn
    from the prior once. Small pixel values are raised to be visible.
    """
    steps = record["step"]
    chosen = spread_moments(steps, moments)
    left, right = record["reconstructions"][:, :4], record["samples"][:, :4]
    gap = np.zeros_like(left[0, :1])
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
    """
    columns = min(8, record["samples"].shape[1])
    figure = plt.figure(figsize=(WIDTH, 4.3))
    above, below = figure.subfigures(2, 1, height_ratios=[1.5, 2.8])
    rows = {
        name: _row_of_images(line, record[name][0, :columns], name)
        for name, line in zip(("reconstructions", "samples"), above.subplots(2, columns))
    }
    axes = below.subplots(1, 2)
    _draw_training_values(below, axes, record)
    marks = [axis.axvline(0, color=BLACK, linewidth=1) for axis in axes]

    def show(index):
        for name, row in rows.items():
            for image, shown in zip(record[name][index], row):
                shown.set_data(_brightened(grey_or_colour(image), brighten))
        for mark in marks:
            mark.set_xdata([record["step"][index]] * 2)

    show(0)
    _keep_layout(figure)
    return figure, show


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
    """
    columns = min(8, records[0]["samples"].shape[1])
    figure = plt.figure(figsize=(WIDTH, 6.8))
    above, below = figure.subfigures(2, 1, height_ratios=[1.5, 5.3])
    rows = {
        name: _row_of_images(line, records[0][name][-1, :columns], name)
        for name, line in zip(("reconstructions", "samples"), above.subplots(2, columns))
    }
    names = list(_curves(records[0]))
    axes = below.subplot_mosaic([names[:2], names[2:4], [names[4], "words"]])
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
    for axis in (axes["KL (nats)"], axes["standard deviations"]):
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(NullFormatter())
    for title in ("means", "standard deviations"):
        axes[title].set_xlabel("gradient step")
    aside = axes["words"]
    words = aside.text(0, 1.1, "", va="top", transform=aside.transAxes)
    aside.legend(axes["means"].get_lines(), ["highest", "lowest"], loc=(0, 0), borderpad=0)
    aside.set_axis_off()
    _keep_layout(figure)

    def show(record, text):
        words.set_text(text)
        for name, row in rows.items():
            for image, shown in zip(record[name][-1], row):
                shown.set_data(_brightened(grey_or_colour(image), brighten))
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
