"""A figure that grows while a model trains: the curves of the current run and earlier ones."""

import base64
import html
import io
import threading
from collections.abc import Sequence

import ipywidgets
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from PIL import Image

from vae_utils.notebook.figures import COLOURS

SIZE = (900, 300)  # pixels
# Steps, KL weights, KLs (nats) and squared errors (per pixel), with one entry for each look.
Curves = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class LivePlot(ipywidgets.HTML):
    """Plot KL weight, KL and squared error over the gradient steps, with one line per run.

    It is an HTML widget because the image widgets of ipywidgets take no alternative text.
    Its methods may be called from any thread.

    Args:
        mean_image_mse: squared error per pixel of the mean image, drawn as a dotted line for
            comparison.
    """

    def __init__(self, mean_image_mse: float) -> None:
        super().__init__()
        self._mean_image_mse = mean_image_mse
        self._drawing = threading.Lock()
        self.draw([])

    def draw(self, runs: Sequence[tuple[str, Curves]], running: bool = False) -> None:
        """Redraw the figure.

        Args:
            runs: a label and the curves of each finished run.
            running: whether a run is under way; `move` draws its line.
        """
        with self._drawing:
            self._alt = _in_words(runs, running)
            width, height = (side / 100 for side in SIZE)
            self._figure = Figure((width, height), dpi=100, layout="constrained", facecolor="white")
            self._canvas = FigureCanvasAgg(self._figure)
            self.axes = self._figure.subplots(1, 3)
            lines = list(runs)
            if running:
                nothing = np.empty(0)
                lines.append(("running", (nothing, nothing, nothing, nothing)))
            for position, (label, curves) in enumerate(lines):
                colour = COLOURS[position % len(COLOURS)]
                self._lines = [
                    axis.plot(curves[0], values, color=colour, label=label)[0]
                    for axis, values in zip(self.axes, curves[1:])
                ]
            for axis, title in zip(self.axes, ("KL weight", "KL (nats)", "MSE (per pixel)")):
                # With a place of its own the title needs no search for one at each drawing.
                axis.set_title(title, y=1.0)
                axis.set_xlabel("gradient step")
                axis.xaxis.set_major_locator(MaxNLocator(4))
                axis.grid(color="0.9")
            self.axes[1].set_yscale("symlog")
            self.axes[2].axhline(self._mean_image_mse, color="0.4", linestyle=":")
            if lines:
                self._figure.legend(
                    *self.axes[0].get_legend_handles_labels(),
                    loc="outside upper center",
                    ncols=8,
                    fontsize="small",
                    frameon=False,
                )
            else:
                for axis, highest in zip(self.axes, (1, 100, 1.6 * self._mean_image_mse)):
                    axis.set(xlim=(0, 400), ylim=(0, highest))
            self._figure.draw_without_rendering()
            # Computing the layout takes longer than everything else about a picture.
            self._figure.set_layout_engine("none")
            self._render()

    def move(self, curves: Curves) -> None:
        """Extend the line of the current run.

        Args:
            curves: all of its curves so far.
        """
        with self._drawing:
            for line, values in zip(self._lines, curves[1:]):
                line.set_data(curves[0], values)
            self._render()

    def _render(self) -> None:
        if self.axes[0].lines:
            for axis, highest in zip(self.axes, (None, None, 1.6 * self._mean_image_mse)):
                axis.relim()
                axis.autoscale_view()
                axis.set_ylim(0, highest, auto=highest is None)
        # `savefig` would draw twice, once for the layout.
        self._canvas.draw()
        drawn = io.BytesIO()
        Image.fromarray(np.asarray(self._canvas.buffer_rgba())[:, :, :3]).save(
            drawn, format="png", compress_level=1
        )
        data = base64.b64encode(drawn.getvalue()).decode("ascii")
        self.value = (
            f'<img src="data:image/png;base64,{data}" alt="{html.escape(self._alt)}" '
            f'width="{SIZE[0]}" height="{SIZE[1]}" style="max-width: 100%; height: auto">'
        )


def _in_words(runs: Sequence[tuple[str, Curves]], running: bool) -> str:
    """Describe the figure for readers who can't see it."""
    words = [
        "KL weight, KL and squared error over the steps; the dotted line is the mean image's error."
    ]
    for label, (steps, weights, kl, mse) in runs:
        words.append(
            f"{label}: after {steps[-1]:.0f} steps, at weight {weights[-1]:.3g}, "
            f"a KL of {kl[-1]:.3g} nats and an error of {mse[-1]:.3g} per pixel."
        )
    return " ".join([*words, "A run is under way."] if running else words)
