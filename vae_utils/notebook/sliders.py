"""Sliders over pictures that work in a notebook, and on a page without a kernel.

Every picture is drawn in advance. The browser links the controls to the pictures,
so no Python runs when a slider is moved.
"""

import base64
import hashlib
import html
import io
from collections.abc import Callable, Mapping, Sequence

import ipywidgets
import numpy as np
from ipywidgets import jslink
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image
from tqdm import tqdm

from vae_utils.checks import check_whole
from vae_utils.model import VAE
from vae_utils.notebook import figures

# Pixels of a picture for each pixel of the page: sharp on modern screens.
DENSITY = 2
# Enough for lines, letters and small grey images, and little more than half the bytes.
# A figure that shows colour images keeps all of its colours.
COLOURS = 128
PAUSE = 300  # milliseconds that each picture stays while they play


def picture(figure: Figure, alt: str) -> ipywidgets.Widget:
    """Turn a figure, as it looks now, into a widget.

    Args:
        figure: the figure, which may be changed or closed afterwards.
        alt: a description in words, for readers who can't see the picture.
    """
    width, height = np.round(100 * figure.get_size_inches()).astype(int)
    return ipywidgets.HTML(
        f'<img src="data:image/webp;base64,{_encoded(figure)}" alt="{html.escape(alt)}" '
        f'width="{width}" height="{height}" style="max-width: 100%; height: auto">'
    )


def _encoded(figure: Figure) -> str:
    """Encode a figure as WebP in base64; nothing is lost except, in grey figures, some colours."""
    drawn, few = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100 * DENSITY, pil_kwargs={"compress_level": 1})
    pixels = Image.open(drawn).convert("RGB")
    images = [image.get_array() for axis in figure.axes for image in axis.images]
    if not any(image is not None and image.ndim == 3 for image in images):
        pixels = pixels.quantize(COLOURS, dither=Image.Dither.NONE).convert("RGB")
    pixels.save(few, "webp", lossless=True)
    return base64.b64encode(few.getvalue()).decode("ascii")


def frame_stepper(
    pictures: Sequence[ipywidgets.Widget], labels: Sequence[str], description: str
) -> ipywidgets.Widget:
    """Put a slider and a play button above pictures, and show one picture at a time.

    Args:
        pictures: one widget per position of the slider.
        labels: one text per position, which the slider shows.
        description: what the slider changes.

    Raises:
        ValueError: if there are fewer than two labels, or more or fewer labels than pictures.
    """
    stack = ipywidgets.Stack(pictures, selected_index=0)
    return ipywidgets.VBox([_controls([stack], labels, description), stack])


def explorer(
    pictures: Mapping[str, Sequence[ipywidgets.Widget]],
    choice: str,
    labels: Sequence[str],
    description: str,
) -> ipywidgets.Widget:
    """Build a `frame_stepper` for several rows of pictures, with buttons to choose the row.

    Args:
        pictures: name of a row -> one widget per position of the slider.
        choice: what the names stand for.
        labels: as for `frame_stepper`.
        description: as for `frame_stepper`.

    Raises:
        ValueError: as `frame_stepper`, for any row.
    """
    rows = [ipywidgets.Stack(row, selected_index=0) for row in pictures.values()]
    controls = _controls(rows, labels, description)
    names = ipywidgets.ToggleButtons(
        options=list(pictures), description=choice, style={"button_width": "auto"}
    )
    shown = ipywidgets.Stack(rows, selected_index=0)
    jslink((names, "index"), (shown, "selected_index"))
    return ipywidgets.VBox([names, controls, shown])


def _controls(
    stacks: Sequence[ipywidgets.Stack], labels: Sequence[str], description: str
) -> ipywidgets.Widget:
    """Link one slider, with a play button, to all stacks."""
    check_whole(len(labels), 2, "the number of labels")
    for stack in stacks:
        if len(stack.children) != len(labels):
            raise ValueError(
                f"there must be as many labels as pictures; got {len(labels)} and "
                f"{len(stack.children)}"
            )
    # Link the index rather than the value: that works without a kernel.
    slider = ipywidgets.SelectionSlider(
        options=list(labels), description=description, layout={"width": "auto", "flex": "1 1 14rem"}
    )
    play = ipywidgets.Play(min=0, max=len(labels) - 1, interval=PAUSE)
    jslink((play, "value"), (slider, "index"))
    # And back, so that the play button continues from where the slider was left.
    jslink((slider, "index"), (play, "value"))
    for stack in stacks:
        jslink((slider, "index"), (stack, "selected_index"))
    return ipywidgets.Box([play, slider], layout={"flex_flow": "row wrap", "max_width": "40rem"})


def training_stepper(record: figures.Record, moments: int = 20) -> ipywidgets.Widget:
    """Build a slider over training, which shows the images and the training values of a moment.

    Args:
        record: of a `Recorder`, with at least two moments.
        moments: how many to show at most, evenly spread in log(step).

    Raises:
        ValueError: as `frame_stepper`, and on images that have neither 1 channel nor 3.
    """
    chosen = figures.spread_moments(record["step"], moments)
    figure, show = figures.training_moment(record)
    pictures = []
    for index in tqdm(chosen, desc="pictures", unit="picture"):
        show(index)
        pictures.append(picture(figure, _moment_in_words(record, index)))
    plt.close(figure)
    return frame_stepper(pictures, [f"step {record['step'][i]:,}" for i in chosen], "moment")


def _moment_in_words(record: figures.Record, index: int) -> str:
    def of(name: str) -> np.ndarray:
        return record[name][index]

    return (
        f"After {of('step'):,} steps: reconstructions of test images with a squared error of "
        f"{of('mse'):.4f} per pixel, and decoded samples of the prior. Posterior means lie between "
        f"{of('mean_low'):.2f} and {of('mean_high'):.2f}, standard deviations between "
        f"{of('std_low'):.2g} and {of('std_high'):.2g}; the KL is "
        f"{of('kl_per_unit').sum():.2f} nats."
    )


def run_explorer(
    records: Mapping[str, Sequence[figures.Record]],
    texts: Mapping[str, Sequence[str]],
    choice: str,
    labels: Sequence[str],
    description: str,
) -> ipywidgets.Widget:
    """Build an `explorer` of whole runs: buttons choose a row of runs, the slider a run in it.

    Args:
        records: name of a row -> records of a `Recorder`, one per position of the slider, all
            of them recorded at the same steps.
        texts: name of a row -> one short text per record, drawn in its picture.
        choice: as for `explorer`.
        labels: as for `explorer`.
        description: as for `explorer`.

    Raises:
        ValueError: as `explorer`, and on images that have neither 1 channel nor 3.
    """
    figure, show = figures.run_overview([record for row in records.values() for record in row])
    pictures: dict[str, list[ipywidgets.Widget]] = {name: [] for name in records}
    bar = tqdm(total=sum(map(len, records.values())), desc="pictures", unit="picture")
    for name, row in records.items():
        for record, text, label in zip(row, texts[name], labels):
            show(record, text)
            words = " ".join(text.split())
            alt = f"{choice} {name}, {description} {label}. {words}. {_moment_in_words(record, -1)}"
            pictures[name].append(picture(figure, alt))
            bar.update()
    bar.close()
    plt.close(figure)
    return explorer(pictures, choice, labels, description)


def latent_map(
    vae: VAE, images: np.ndarray, labels: np.ndarray, side: int = 15, reach: float = 3.0
) -> ipywidgets.Widget:
    """Build two sliders that move through a two-dimensional latent space.

    They show the decoded image of each place, beside a map of the codes of labelled images.

    Args:
        vae: a model with two latent units.
        images: (n, h, w, c) in [0, 1]; the map shows their posterior means.
        labels: whole numbers (n,) from 0 to 9, which colour the map.
        side: number of positions of each slider, at least 2.
        reach: how far the sliders go from 0, in standard deviations of the prior.

    Raises:
        ValueError: if the model does not have two latent units, if `side` is below 2, or on
            images that are out of range or have neither 1 channel nor 3.
    """
    if vae.latent_size != 2:
        raise ValueError(f"the map needs a model with 2 latent units; got {vae.latent_size}")
    check_whole(side, 2, "side")
    places = np.linspace(-reach, reach, side)
    codes = np.array([(x, y) for y in places for x in places], "float32")
    decoded = figures.drawable(vae.decode(codes).reshape(side, side, *vae.image_shape))
    figure, axis, frame = figures.code_map(vae.encode(images)[0], labels, reach)
    style, place = _map_and_marker(figure, axis, frame)
    rows = [
        ipywidgets.Stack(
            [place(x, y, image) for x, image in zip(places, row)], selected_index=side // 2
        )
        for y, row in zip(places, decoded)
    ]
    shown = ipywidgets.Stack(rows, selected_index=side // 2)
    first, second = (
        ipywidgets.SelectionSlider(
            options=[f"{value:+.1f}" for value in places], index=side // 2, description=name
        )
        for name in ("first unit", "second unit")
    )
    for row in rows:
        jslink((first, "index"), (row, "selected_index"))
    jslink((second, "index"), (shown, "selected_index"))
    return ipywidgets.VBox([style, first, second, shown])


def _map_and_marker(
    figure: Figure, axis: Axes, frame: Axes
) -> tuple[ipywidgets.Widget, Callable[[float, float, np.ndarray], ipywidgets.Widget]]:
    """Store the map once, as a style sheet.

    Returns:
        The style sheet, and a function that marks a place on the map and adds its image.
    """
    figure.canvas.draw()
    to_percent = axis.transData + figure.transFigure.inverted()
    left, _, width, height = frame.get_position().bounds
    top = 1 - frame.get_position().y1
    ratio = "{:g} / {:g}".format(*figure.get_size_inches())
    wide = round(100 * figure.get_size_inches()[0])
    data = _encoded(figure)
    plt.close(figure)
    name = f"vae-map-{hashlib.sha256(data.encode()).hexdigest()[:8]}"
    style = ipywidgets.HTML(
        f"<style>.{name} {{background: url(data:image/webp;base64,{data}) 0 0 / 100% 100%; "
        f"position: relative; width: {wide}px; max-width: calc(100vw - 4rem); "
        f"aspect-ratio: {ratio}}} "
        f".{name} > * {{position: absolute}} .{name} > img {{image-rendering: pixelated; "
        f"left: {left:.1%}; top: {top:.1%}; width: {width:.1%}; height: {height:.1%}}} "
        f".{name} > span {{width: 12px; height: 12px; margin: -6px; border: 3px solid #000; "
        f"box-sizing: border-box; border-radius: 50%; background: #fff}}</style>"
    )

    def place(x: float, y: float, image: np.ndarray) -> ipywidgets.Widget:
        across, up = to_percent.transform((x, y))
        alt = f"The decoded image of the code ({x:+.1f}, {y:+.1f}), and its place on the map."
        return ipywidgets.HTML(
            f'<div class="{name}" role="img" aria-label="{alt}">'
            f'<span style="left: {across:.1%}; top: {1 - up:.1%}"></span>'
            f'<img alt="" src="data:image/png;base64,{_small(image)}"></div>'
        )

    return style, place


def _small(image: np.ndarray) -> str:
    """Encode a `drawable` image as PNG in base64: grey dark on light, colour as it is."""
    buffer = io.BytesIO()
    pixels = np.round(255 * (1 - image if image.ndim == 2 else image)).clip(0, 255).astype("uint8")
    Image.fromarray(pixels).save(buffer, "png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
