"""Widgets that need no kernel: what they hold, and how the browser will link it."""

import base64
import io
import re
from dataclasses import replace

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import TINY, a_record, bright_bars
from ipywidgets import HTML, Play, SelectionSlider, Stack, ToggleButtons, jslink
from PIL import Image

from vae_utils import VAE, mlp_decoder, mlp_encoder
from vae_utils.notebook import figures, sliders


@pytest.fixture(autouse=True)
def style():
    with mpl.rc_context():
        figures.use_style()
        yield


def all_of(widget, kind):
    """The widgets of a kind within another, in order."""
    found = [widget] if isinstance(widget, kind) else []
    for child in getattr(widget, "children", ()):
        found += all_of(child, kind)
    return found


@pytest.fixture
def links(monkeypatch):
    """The links that the browser will follow: (source, name), (target, name)."""
    made = []

    def noted(source, target):
        made.append((source, target))
        return jslink(source, target)

    monkeypatch.setattr(sliders, "jslink", noted)
    return made


def pixels(html, mode="L"):
    data = base64.b64decode(re.search(r"base64,([^\")]+)", html.value).group(1))
    return np.asarray(Image.open(io.BytesIO(data)).convert(mode))


def test_a_picture_has_twice_the_pixels_and_says_what_it_shows():
    figure, axis = plt.subplots(figsize=(3, 2))
    axis.plot([0, 1])
    shown = sliders.picture(figure, 'a "line" & more')
    assert pixels(shown).shape == (400, 600)
    assert 'width="300" height="200"' in shown.value
    assert 'alt="a &quot;line&quot; &amp; more"' in shown.value


def test_a_stepper_links_slider_play_and_pictures(links):
    pictures = [HTML(str(i)) for i in range(3)]
    stepper = sliders.frame_stepper(pictures, ["a", "b", "c"], "letter")
    (slider,), (play,), (stack,) = (all_of(stepper, k) for k in (SelectionSlider, Play, Stack))
    assert slider.options == ("a", "b", "c") and slider.description == "letter"
    assert (play.min, play.max) == (0, 2)
    assert stack.children == tuple(pictures) and stack.selected_index == 0
    for pair in (
        ((play, "value"), (slider, "index")),
        ((slider, "index"), (play, "value")),
        ((slider, "index"), (stack, "selected_index")),
    ):
        assert pair in links


def test_an_explorer_links_its_slider_to_each_row_and_its_buttons_to_the_rows(links):
    rows = {name: [HTML(f"{name}{i}") for i in range(2)] for name in ("x", "y", "z")}
    explorer = sliders.explorer(rows, "row", ["0", "1"], "column")
    (buttons,) = all_of(explorer, ToggleButtons)
    outer, *inner = all_of(explorer, Stack)
    (slider,) = all_of(explorer, SelectionSlider)
    assert buttons.options == ("x", "y", "z")
    assert [[h.value for h in row.children] for row in inner] == [
        ["x0", "x1"],
        ["y0", "y1"],
        ["z0", "z1"],
    ]
    assert ((buttons, "index"), (outer, "selected_index")) in links
    for row in inner:
        assert ((slider, "index"), (row, "selected_index")) in links


def test_a_training_stepper_shows_each_moment_as_it_was():
    record = a_record(4)
    stepper = sliders.training_stepper(record)
    assert not plt.get_fignums()
    (stack,), (slider,) = all_of(stepper, Stack), all_of(stepper, SelectionSlider)
    assert slider.options == ("step 10", "step 20", "step 30")
    for shown, index in zip(stack.children, (1, 2, 3)):
        assert f"After {record['step'][index]} steps" in shown.value
        assert f"error of {record['mse'][index]:.4f}" in shown.value
        figure, show = figures.training_moment(record)
        show(index)
        np.testing.assert_array_equal(pixels(shown), pixels(sliders.picture(figure, "again")))
    first, *others = (pixels(shown) for shown in stack.children)
    assert not any(np.array_equal(first, other) for other in others)


def test_a_run_explorer_shows_each_run_with_its_words():
    records = {
        "one": [a_record(4, seed=0), a_record(4, seed=1)],
        "two": [a_record(4, seed=i) for i in (2, 3)],
    }
    texts = {"one": ["A", "B"], "two": ["C", "D"]}
    explorer = sliders.run_explorer(records, texts, "way", ["fast", "slow"], "rate")
    shown = all_of(explorer, HTML)
    words = [("one", "fast", "A"), ("one", "slow", "B"), ("two", "fast", "C"), ("two", "slow", "D")]
    for html, (name, label, text) in zip(shown, words, strict=True):
        assert f'alt="way {name}, rate {label}. {text}. After 30 steps' in html.value
    assert len({html.value for html in shown}) == 4
    assert not plt.get_fignums()


def a_model(latent_size, channels=1):
    params = replace(TINY, latent_size=latent_size, image_shape=(8, 8, channels))
    return VAE(mlp_encoder(params), mlp_decoder(params))


def test_a_latent_map_has_a_picture_for_each_position_and_marks_its_place(links):
    vae, images = a_model(2), bright_bars(30)
    shown = sliders.latent_map(vae, images, np.arange(30) % 10, side=3, reach=2.0)
    _, *places = all_of(shown, HTML)
    outer, *rows = all_of(shown, Stack)
    first, second = all_of(shown, SelectionSlider)
    assert len(places) == 9 and len(rows) == 3
    assert first.options == second.options == ("-2.0", "+0.0", "+2.0")
    codes = [(x, y) for y in (-2.0, 0.0, 2.0) for x in (-2.0, 0.0, 2.0)]
    decoded = vae.decode(np.array(codes, "float32"))
    where = []
    for place, (x, y), image in zip(places, codes, decoded):
        assert f"({x:+.1f}, {y:+.1f})" in place.value
        np.testing.assert_array_equal(pixels(place), np.round(255 * (1 - image[..., 0])))
        where.append([float(n) for n in re.findall(r"(?:left|top): ([\d.]+)%", place.value)])
    across, down = np.array(where).T.reshape(2, 3, 3)
    assert (np.diff(across, axis=1) > 0).all() and (np.diff(down, axis=0) < 0).all()
    assert ((second, "index"), (outer, "selected_index")) in links
    for row in rows:
        assert ((first, "index"), (row, "selected_index")) in links


def test_a_latent_map_shows_colour_images_in_their_colours():
    vae = a_model(2, channels=3)
    images = np.repeat(bright_bars(10), 3, axis=-1)
    _, *places = all_of(sliders.latent_map(vae, images, np.arange(10), side=2, reach=1.0), HTML)
    codes = np.array([(x, y) for y in (-1, 1) for x in (-1, 1)], "float32")
    for place, image in zip(places, vae.decode(codes), strict=True):
        np.testing.assert_array_equal(pixels(place, "RGB"), np.round(255 * image))


def test_a_picture_keeps_all_colours_of_a_colour_image():
    image = np.random.default_rng(0).uniform(size=(1, 32, 32, 3))
    figure = figures.image_rows([image], ["noise"])
    shown = pixels(sliders.picture(figure, "noise"), "RGB")
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 1000


@pytest.mark.parametrize("channels", [2, 4])
def test_a_latent_map_of_other_channels_is_refused(channels):
    images = np.repeat(bright_bars(3), channels, axis=-1)
    with pytest.raises(ValueError, match=f"got {channels}"):
        sliders.latent_map(a_model(2, channels), images, [1, 2, 3], side=2)
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sliders.frame_stepper([HTML()], ["a"], "x"), "number of labels"),
        (
            lambda: sliders.frame_stepper([HTML()], ["a", "b"], "x"),
            "as many labels as pictures; got 2 and 1",
        ),
        (
            lambda: sliders.explorer({"a": [HTML()] * 2, "b": [HTML()]}, "x", ["a", "b"], "y"),
            "as many labels as pictures; got 2 and 1",
        ),
        (
            lambda: sliders.latent_map(a_model(3), bright_bars(3), [1, 2, 3]),
            "2 latent units; got 3",
        ),
        (lambda: sliders.latent_map(a_model(2), bright_bars(3), [1, 2, 3], side=1), "side"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
