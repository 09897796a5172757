"""Figures from records and arrays; no training here.

Every function draws on new axes and returns the figure. Colours are Okabe and
Ito's, which colour-blind readers can tell apart; lines also differ in style.
"""

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from IPython import get_ipython
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
        rows: arrays (n, h, w, 1) in [0, 1].
        labels: one text for each row.
        brighten: pixel values are raised to the power 1 / brighten, so that
            small ones become visible.
    """
    columns = max(len(row) for row in rows)
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(WIDTH, WIDTH / (columns + 1.5) * len(rows)), squeeze=False
    )
    for row, label, line in zip(rows, labels, axes):
        for axis in line:
            axis.set_axis_off()
        for image, axis in zip(row, line):
            axis.imshow(image[..., 0] ** (1 / brighten), vmin=0, vmax=1, cmap="gray_r")
        # An axis that is off shows no label, so the text stands beside it.
        line[0].text(-0.15, 0.5, label, transform=line[0].transAxes, ha="right", va="center")
    return figure


def training_samples(record, moments=6, brighten=2.0):
    """How the images evolve: a row for each of some moments, evenly spread in log(step).

    The left half reconstructs test images, the right half decodes codes drawn
    from the prior once. Small pixel values are raised to be visible.
    """
    steps = record["step"]
    wanted = np.geomspace(max(steps[min(1, len(steps) - 1)], 1), max(steps[-1], 1), moments)
    chosen = np.unique(np.abs(steps[:, None] - wanted).argmin(axis=0))
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
    return figure


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
