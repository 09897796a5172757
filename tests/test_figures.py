"""Figures from records, without any training."""

import warnings

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import a_record

from vae_utils.notebook import figures


@pytest.fixture(autouse=True)
def style():
    with mpl.rc_context():
        figures.use_style()
        yield


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def drawn(figure):
    """The figure, drawn, so that what goes wrong while drawing goes wrong here."""
    assert isinstance(figure, mpl.figure.Figure)
    figure.canvas.draw()
    return figure


def shown(axis):
    """The picture that an axis shows, if any."""
    return axis.images[0].get_array() if axis.images else None


def test_a_training_moment_shows_that_moment():
    record = a_record(5)
    figure, show = figures.training_moment(record, brighten=1.0)
    for index in (3, 1):
        show(index)
        axes = figure.axes
        for row, name in enumerate(("reconstructions", "samples")):
            for column in range(8):
                np.testing.assert_array_equal(
                    shown(axes[8 * row + column]), record[name][index, column, ..., 0]
                )
        for axis in axes[16:]:
            assert axis.lines[-1].get_xdata() == [record["step"][index]] * 2


def test_a_run_overview_shows_the_run_that_it_is_given():
    records = [a_record(5), {k: v[::-1] if k != "step" else v for k, v in a_record(5).items()}]
    figure, show = figures.run_overview(records, brighten=1.0)
    for record in (records[1], records[0]):
        show(record, "words")
        pictures, curves = figure.axes[:16], figure.axes[16:]
        for row, name in enumerate(("reconstructions", "samples")):
            for column in range(8):
                np.testing.assert_array_equal(
                    shown(pictures[8 * row + column]), record[name][-1, column, ..., 0]
                )
        kl = record["kl_per_unit"].sum(axis=1)
        wanted = (
            ("KL weight", [record["kl_weight"]]),
            ("KL (nats)", [kl]),
            ("MSE (per pixel)", [record["mse"]]),
            ("means", [record["mean_high"], record["mean_low"]]),
            ("standard deviations", [record["std_high"], record["std_low"]]),
        )
        for axis, (title, lines) in zip(curves, wanted):
            assert axis.get_title() == title
            for line, values in zip(axis.lines, lines, strict=True):
                np.testing.assert_array_equal(line.get_ydata(), values)
                low, high = axis.get_ylim()
                assert low <= values[1:].min() and values[1:].max() <= high
        assert curves[-1].texts[0].get_text() == "words"


LENGTHS = pytest.mark.parametrize("moments", [1, 2, 3, 40])


@LENGTHS
def test_training_values_draws_the_extremes(moments):
    record = a_record(moments)
    figure = drawn(figures.training_values(record))
    for axis, name in zip(figure.axes, ("mean", "std"), strict=True):
        high, low = axis.lines
        np.testing.assert_array_equal(high.get_xydata().T, [record["step"], record[f"{name}_high"]])
        np.testing.assert_array_equal(low.get_xydata().T, [record["step"], record[f"{name}_low"]])
        assert "step" in axis.get_xlabel()
        assert axis.get_title()
    assert figure.axes[0].get_ylabel()
    assert figure.axes[1].get_yscale() == "log"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["highest", "lowest"]


@LENGTHS
def test_loss_curves_draws_one_line_for_each_record(moments):
    records = [a_record(moments), a_record(moments + 1)]
    figure = drawn(figures.loss_curves(records, ["one", "two"]))
    mse, kl = figure.axes
    for record, mse_line, kl_line in zip(records, mse.lines, kl.lines, strict=True):
        np.testing.assert_array_equal(mse_line.get_xydata().T, [record["step"], record["mse"]])
        np.testing.assert_allclose(
            kl_line.get_xydata().T, [record["step"], record["kl_per_unit"].sum(axis=1)]
        )
    assert {line.get_label() for line in mse.lines} == {"one", "two"}
    for axis, unit in ((mse, "per pixel"), (kl, "nats")):
        assert "step" in axis.get_xlabel()
        assert unit in axis.get_title() + axis.get_ylabel()
    # Colour is not the only difference between two lines.
    assert mse.lines[0].get_linestyle() != mse.lines[1].get_linestyle()
    assert mse.lines[0].get_color() != mse.lines[1].get_color()


@LENGTHS
def test_training_samples_shows_the_first_and_the_last_moment(moments):
    record = a_record(moments)
    figure = drawn(figures.training_samples(record, moments=4, brighten=1.0))
    columns = 9  # four reconstructions, a gap, four samples
    rows = [figure.axes[i : i + columns] for i in range(0, len(figure.axes), columns)]
    assert 1 <= len(rows) <= 4
    last = rows[-1]
    np.testing.assert_allclose(shown(last[0]), record["reconstructions"][-1, 0, ..., 0])
    np.testing.assert_allclose(shown(last[5]), record["samples"][-1, 0, ..., 0])
    labels = [row[0].texts[0].get_text() for row in rows]
    assert labels[-1] == f"step {record['step'][-1]}"
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("pictures", [1, 3, 4])
def test_training_samples_of_a_few_pictures_has_titles_above_its_first_row(pictures):
    figure = drawn(figures.training_samples(a_record(20, pictures), moments=3))
    titles = [axis.get_title() for axis in figure.axes]
    columns = len(figure.axes) // 3
    assert {title for title in titles[:columns] if title} == {"reconstructions", "samples"}
    assert not any(titles[columns:])


def test_image_rows_shows_every_image_beside_its_label():
    rng = np.random.default_rng(0)
    rows = [rng.uniform(size=(3, 5, 5, 1)), rng.uniform(size=(2, 5, 5, 1))]
    figure = drawn(figures.image_rows(rows, ["first", "second"]))
    assert len(figure.axes) == 6
    for i, row in enumerate(rows):
        assert figure.axes[3 * i].texts[0].get_text() == ["first", "second"][i]
        for j, image in enumerate(row):
            np.testing.assert_array_equal(shown(figure.axes[3 * i + j]), image[..., 0])
    assert shown(figure.axes[5]) is None
    for axis in figure.axes[:5]:
        assert axis.images[0].get_clim() == (0, 1)


def test_brighten_raises_small_values_and_keeps_black_and_white():
    images = np.array([0.0, 0.04, 1.0]).reshape(1, 1, 3, 1)
    figure = figures.image_rows([images], ["row"], brighten=2.0)
    np.testing.assert_allclose(shown(figure.axes[0]), [[0, 0.2, 1]])


def test_a_linear_models_pixels_may_lie_outside():
    image = np.array([[-0.2, 0.25, 1.3]])[None, ..., None]
    figure = figures.image_rows([image], ["linear"], brighten=2.0)
    np.testing.assert_allclose(shown(figure.axes[0]), [[0, 0.5, 1]])


def painted(axis):
    """The colour in the middle of an axis of a drawn figure, from 0 to 255."""
    axis.figure.canvas.draw()
    canvas = np.asarray(axis.figure.canvas.buffer_rgba())
    x, y = axis.transAxes.transform((0.5, 0.5)).astype(int)
    return canvas[len(canvas) - 1 - y, x, :3].tolist()


RED, TEAL = (1.0, 0.0, 0.0), (0.0, 0.4, 0.6)


def one_coloured(colour, count=8, side=8):
    """Images (count, side, side, channels) of one colour."""
    return np.broadcast_to(np.array(colour), (count, side, side, len(colour)))


def a_painted_record(reconstruction, sample):
    record = a_record(5)
    for name, colour in (("reconstructions", reconstruction), ("samples", sample)):
        record[name] = np.stack([one_coloured(colour)] * 5)
    return record


def test_rows_of_colour_images_are_drawn_in_their_colours():
    figure = figures.image_rows([one_coloured(RED, 1), one_coloured(TEAL, 1)], ["red", "teal"])
    assert [painted(axis) for axis in figure.axes] == [[255, 0, 0], [0, 102, 153]]


def test_grey_images_are_drawn_dark_on_light():
    figure = figures.image_rows([one_coloured([1.0], 1), one_coloured([0.0], 1)], ["1", "0"])
    assert [painted(axis) for axis in figure.axes] == [[0, 0, 0], [255, 255, 255]]


def test_colour_images_are_brightened_within_their_range():
    images = np.array([-0.2, 0.25, 1.3]).reshape(1, 1, 1, 3)
    figure = figures.image_rows([images], ["row"], brighten=2.0)
    assert painted(figure.axes[0]) == [0, 127, 255]


def test_training_samples_are_drawn_in_colour_with_a_white_gap():
    figure = figures.training_samples(a_painted_record(RED, TEAL), moments=1, brighten=1.0)
    wanted = [[255, 0, 0]] * 4 + [[255, 255, 255]] + [[0, 102, 153]] * 4
    assert [painted(axis) for axis in figure.axes] == wanted


def test_a_grey_gap_is_white_too():
    figure = figures.training_samples(a_painted_record([1.0], [1.0]), moments=1)
    wanted = [[0, 0, 0]] * 4 + [[255, 255, 255]] + [[0, 0, 0]] * 4
    assert [painted(axis) for axis in figure.axes] == wanted


def test_a_training_moment_is_drawn_in_colour():
    record = a_painted_record(RED, RED)
    record["samples"][3] = TEAL
    figure, show = figures.training_moment(record, brighten=1.0)
    show(3)
    assert painted(figure.axes[0]) == [255, 0, 0]
    assert painted(figure.axes[8]) == [0, 102, 153]


def test_a_run_overview_is_drawn_in_colour():
    records = [a_painted_record(RED, RED), a_painted_record(TEAL, RED)]
    figure, show = figures.run_overview(records, brighten=1.0)
    show(records[1], "words")
    assert painted(figure.axes[0]) == [0, 102, 153]
    assert painted(figure.axes[8]) == [255, 0, 0]


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize(
    "draw",
    [
        lambda record: figures.image_rows([record["samples"][0]], ["row"]),
        figures.training_samples,
        figures.training_moment,
        lambda record: figures.run_overview([record]),
    ],
)
def test_images_of_other_channels_are_refused(draw, channels):
    colour = [0.5] * channels
    with pytest.raises(ValueError, match=rf"1 channel .* or 3 .*; got {channels}"):
        draw(a_painted_record(colour, colour))
    assert not plt.get_fignums()


def test_every_call_draws_a_new_figure_and_all_can_be_closed():
    open_before = plt.get_fignums()
    made = [
        figures.training_values(a_record(5)),
        figures.loss_curves([a_record(5)], ["a"]),
        figures.training_samples(a_record(5)),
        figures.image_rows([np.zeros((1, 4, 4, 1))], [""]),
    ]
    assert len({figure.number for figure in made}) == 4
    for figure in made:
        plt.close(figure)
    assert plt.get_fignums() == open_before


def test_colours_are_different_and_so_are_the_line_styles_of_the_cycle():
    assert len(set(figures.COLOURS)) == len(figures.COLOURS)
    cycle = mpl.rcParams["axes.prop_cycle"].by_key()
    assert cycle["color"] == list(figures.COLOURS[:6])
    assert len({str(style) for style in cycle["linestyle"]}) == 6
    assert mpl.rcParams["figure.facecolor"] == "white"
