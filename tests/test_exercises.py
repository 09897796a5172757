"""What a reader wrote, a table, a diagram and a source, as outputs of cells."""

import itertools
import math

import matplotlib.pyplot as plt
import numpy as np
import pytest

from vae_utils import densities, networks
from vae_utils.notebook import diagrams, figures
from vae_utils.notebook.exercises import check
from vae_utils.notebook.sources import source
from vae_utils.notebook.tables import table
from vae_utils.params import Params

CASES = [(0.5, -0.2), (1.0, 0.3)]


def kl(mean, log_std):
    return (mean**2 + math.exp(2 * log_std) - 1 - 2 * log_std) / 2


def test_a_right_answer_is_called_right(capsys):
    assert check(kl, densities.kl_to_standard_normal, CASES)
    assert capsys.readouterr().out == "✓ Correct in 2 of 2 cases.\n"


def wrong_in_the_second_case(mean, log_std):
    return kl(mean, log_std) + (mean == 1) / 100


def fails(mean, log_std):
    return undefined  # noqa: F821


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda mean, log_std: None, "Not yet: the function returns nothing."),
        (wrong_in_the_second_case, "✗ (1, 0.3) gives 0.6211; it should give 0.6111."),
        (lambda mean, log_std: [0, 0], "✗ (0.5, -0.2) gives the shape (2,); it should be ()."),
        (fails, "✗ (0.5, -0.2) raises NameError: name 'undefined' is not defined"),
        (lambda mean: 0, "raises TypeError"),
        (lambda mean, log_std: float("nan"), "gives nan"),
        (lambda mean, log_std: "text", "✗ (0.5, -0.2) gives text, which is not a number."),
    ],
)
def test_any_other_answer_is_told_what_is_wrong_and_stops_nothing(answer, words, capsys):
    assert not check(answer, densities.kl_to_standard_normal, CASES)
    assert words in capsys.readouterr().out


def test_arrays_are_compared_and_shown_in_short(capsys):
    cases = [(np.linspace(0, 1, 50),)]
    assert check(lambda x: x**2, np.square, cases)
    assert not check(lambda x: x, np.square, cases)
    assert len(capsys.readouterr().out.splitlines()[-1]) < 200


def test_a_table_is_markdown_with_true_minus_signs():
    shown = table(["model", "$x$"], [["a", "-1.5"], ["b", "2"]])
    lines = ["| model | $x$ |", "| --- | --- |", "| a | −1.5 |", "| b | 2 |"]
    assert shown.data == "\n".join(lines)
    with pytest.raises(ValueError, match="a row must have 2 cells"):
        table(["a", "b"], [["1"]])


def test_a_source_is_shown_from_the_left():
    assert source(densities.kl_to_standard_normal).data.startswith("def kl_to_standard_normal(")
    assert source(densities.kl_to_standard_normal).language == "python"


def test_no_text_of_the_diagram_leaves_its_box():
    with plt.rc_context():
        figures.use_style()
        figure = diagrams.vae()
        figure.draw_without_rendering()
    (axis,) = figure.axes
    # The frame around mean and deviation is not filled, and has no text of its own.
    boxes = [patch.get_window_extent() for patch in axis.patches if patch.get_fill()]
    texts = [text.get_window_extent() for text in axis.texts if text.get_text()]
    inside = [
        sum(box.x0 <= t.x0 and t.x1 <= box.x1 and box.y0 <= t.y0 and t.y1 <= box.y1 for t in texts)
        for box in boxes
    ]
    assert inside == [1] * len(boxes) and len(boxes) == 9


def original_networks():
    params = Params()
    return {
        "conv": (networks.conv_encoder(params), networks.conv_decoder(params)),
        "MLP": (networks.mlp_encoder(params), networks.mlp_decoder(params)),
    }


def test_the_diagram_of_networks_shows_the_shape_after_each_layer():
    with plt.rc_context():
        figures.use_style()
        figure = diagrams.networks(original_networks())
        figure.draw_without_rendering()
    conv, mlp = ([text for text in axis.texts if text.get_text()] for axis in figure.axes)
    image, code = r"28×28", [r"$\mu$, $\sigma$ 32 each", "code $z$ 32"]
    maps = ["14×14 ×64", "7×7 ×64"]
    assert _words(mlp) == [image, "500", "500", *code, "500", image]
    assert _words(conv) == [image, *maps, "256", *code, "256", *maps[::-1], image]
    for row in (conv, mlp):
        frames = [text.get_window_extent() for text in row]
        assert all(one.x1 < other.x0 for one, other in itertools.pairwise(frames))


def _words(texts):
    return [text.get_text().replace("\n", " ") for text in texts]
