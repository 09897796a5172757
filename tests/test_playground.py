"""The playground without a browser: its buttons, its fields, and what goes wrong."""

import csv
import gc
import threading
import time
from dataclasses import replace

import numpy as np
import psutil
import pytest
from conftest import bright_bars

from tools.pace import least, slowness
from vae_utils import Gaussian, Images, Params, mse
from vae_utils.notebook.playground import Playground, form, panel
from vae_utils.schedules import Linear

IMAGES = Images(bright_bars(64), bright_bars(20, seed=1), None, None, "own", "made for tests")
LONG = "100000"


@pytest.fixture(autouse=True)
def tiny_networks(monkeypatch):
    sizes = {"latent_size": 2, "mlp_encoder_units": (16,), "mlp_decoder_units": (16,)}
    monkeypatch.setattr(form, "NETWORKS", {"tiny": ("mlp", sizes)})


@pytest.fixture
def ground():
    ground = Playground(IMAGES)
    ground.form.fields["steps"].value = "40"
    yield ground
    ground.buttons["Stop"].click()
    ground.wait(60)


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def train(ground):
    ground.buttons["Train"].click()
    ground.wait(60)
    assert not ground.running


def test_a_run_ends_in_the_table_and_in_the_figure(ground):
    empty = ground.picture.value
    train(ground)
    (run,) = ground.runs
    assert ground.picture.value != empty
    words = f"run 1: after 40 steps, at weight 0.1, a KL of {run['curves'][2][-1]:.3g} nats"
    assert words in ground.picture.value and words not in empty
    assert ground.bar.value == ground.bar.max == 40
    assert "Done after 40 steps" in ground.status.value
    for name in ("elbo", "kl", "active_units", "mutual_information", "mse"):
        assert np.isfinite(run[name])
        assert f">{panel.TITLES[name]}</th>" in ground.table.value
    steps, weights, kl, mse = run["curves"]
    np.testing.assert_array_equal(steps, [0, 10, 20, 30, 40])
    np.testing.assert_allclose(weights, steps / 400, rtol=1e-5)
    assert len(kl) == len(mse) == 5


def test_every_curve_lies_within_its_axes(ground):
    """Also while a run is under way, when the axes have to grow with it."""
    ends = []
    ground.picture.observe(lambda change: ends.append(highest_and_limits(ground)), "value")
    for _ in range(2):
        train(ground)
    assert len(ends) >= 4
    for highest, limits in ends:
        for value, (low, high) in zip(highest, limits):
            assert low <= value <= high


def highest_and_limits(ground):
    """Of the weight and the KL, whose axes are free: the highest point, and the axis' limits."""
    free = ground.picture.axes[:2]
    points = [[y for line in axis.lines for y in line.get_ydata()] for axis in free]
    return [max(values, default=0) for values in points], [axis.get_ylim() for axis in free]


def test_earlier_runs_stay_for_comparison(ground):
    train(ground)
    before = ground.picture.value
    ground.form.fields["rate"].value = "1/10"
    train(ground)
    assert [run["rate"] for run in ground.runs] == [1 / 400, 1 / 10]
    assert [run["run"] for run in ground.runs] == [1, 2]
    assert ground.table.value.count("<tr>") == 3
    assert ground.picture.value != before
    assert not np.array_equal(ground.runs[0]["curves"][1], ground.runs[1]["curves"][1])


def test_it_trains_as_train_does(ground):
    """The same settings give the same numbers as the package's own function."""
    ground.form.fields["seed"].value = "5"
    train(ground)
    params = replace(Params(), image_shape=(8, 8, 1), log_std_start=-3.0)
    params = replace(params, **form.NETWORKS["tiny"][1])
    alone = panel.train(
        "mlp",
        IMAGES,
        40,
        likelihood=Gaussian(0.5),
        kl_weight=Linear(1 / 400),
        seed=5,
        params=params,
    )
    assert ground.runs[0]["mse"] == mse(alone.vae, IMAGES.test)


def start_a_long_run(ground):
    ground.form.fields["steps"].value = LONG
    ground.buttons["Train"].click()
    until(lambda: ground.bar.value > 0)


def second_for(ground):
    """A second; longer where a picture takes long to draw, such as on a busy machine."""
    start = time.monotonic()
    ground.picture.draw([])
    # On an idle machine, the layout and one picture take a fifth of a second.
    return max(slowness(), 5 * (time.monotonic() - start))


def test_the_figure_moves_while_a_run_goes_on_and_stop_ends_it_within_a_second(ground):
    second = second_for(ground)
    pictures = []
    ground.picture.observe(lambda change: pictures.append(time.monotonic()), "value")
    start_a_long_run(ground)
    # Within any one second of these, as the machine may be busy with something else.
    until(lambda: any(b - a < second for a, b in zip(pictures, pictures[5:])), 20 * second)
    assert "s left" in ground.steps.value

    def stop():
        if not ground.running:
            start_a_long_run(ground)
        asked = time.monotonic()
        ground.buttons["Stop"].click()
        ground.wait(60)
        return time.monotonic() - asked

    assert least(stop, second) < second
    assert "Stopped after" in ground.status.value
    assert 0 < ground.runs[0]["steps"] < 100_000
    assert ground.runs[0]["steps"] == ground.runs[0]["curves"][0][-1]


def test_python_goes_on_while_a_run_does(ground):
    """Over a few seconds, half of the short sleeps end within 50 ms, and none takes a second."""
    second = second_for(ground)
    start_a_long_run(ground)

    def longest():
        waits = []
        for _ in range(100):
            start = time.monotonic()
            time.sleep(0.01)
            waits.append(time.monotonic() - start)
        return max(20 * np.median(waits), *waits)

    assert least(longest, second) < second
    assert ground.running


def test_a_second_train_is_refused_and_the_first_goes_on(ground):
    start_a_long_run(ground)
    thread = ground._thread
    ground.buttons["Train"].click()
    assert ground._thread is thread and thread.is_alive()
    before = ground.steps.value
    until(lambda: ground.steps.value != before)
    assert "in progress" in ground.status.value  # still there after the next step
    ground.buttons["Stop"].click()
    ground.wait(60)
    assert len(ground.runs) == 1


@pytest.mark.parametrize(
    ("field", "text", "words"),
    [
        ("variance", "0", "variance must lie between"),
        ("variance", "nan", "variance must be a number"),
        ("rate", "fast", "rate must be a number such as 0.01 or 1/400"),
        ("rate", "1e999999999", "rate must be a number such as"),
        ("rate", "1/0", "rate must be a number such as"),
        ("rate", "-1", "rate must lie between"),
        ("start", "-3", "start must lie between"),
        ("cap", "", "cap must be a number"),
        ("steps", "15", "steps must be a multiple of 10"),
        ("steps", "10.5", "steps must be a whole number"),
        ("seed", "1.5", "seed must be a whole number such as 1"),
        ("seed", "3e9", "between 0 and 2,147,483,647"),
        ("seed", "<b>", "got &#x27;&lt;b&gt;&#x27;"),
    ],
)
def test_bad_input_is_named_beside_its_field_and_nothing_is_lost(ground, field, text, words):
    train(ground)
    good = {name: widget.value for name, widget in ground.form.fields.items()}
    ground.form.fields[field].value = text
    ground.buttons["Train"].click()
    assert not ground.running and len(ground.runs) == 1
    note = ground.form.notes[field].value
    assert words in note and 'role="alert"' in note
    for name, widget in ground.form.fields.items():
        assert widget.value == (text if name == field else good[name])
        assert name == field or "alert" not in ground.form.notes[name].value
    ground.form.fields[field].value = good[field]
    assert "alert" not in ground.form.notes[field].value  # at once, not at the next click
    train(ground)
    assert len(ground.runs) == 2 and "alert" not in ground.form.notes[field].value


def test_an_error_in_training_is_shown_and_the_next_run_works(ground, monkeypatch):
    def broken(*args, **settings):
        raise RuntimeError("out of <memory>")

    with monkeypatch.context() as patch:
        patch.setattr(panel, "train", broken)
        train(ground)
    assert "RuntimeError: out of &lt;memory&gt;" in ground.status.value
    assert ground.bar.bar_style == "danger" and not ground.runs
    train(ground)
    assert len(ground.runs) == 1


@pytest.mark.parametrize(
    ("schedule", "weights"),
    [
        ("linear", [0, 0, 0.25, 0.5, 0.5]),
        ("sigmoid", [0.5 / (1 + np.exp(x)) for x in (6, 2, 0, -2, -6)]),
        ("cosine", [0, 0, 0.25, 0.5, 0.5]),
        ("cyclical", [0, 0.5, 0.25, 0, 0.5]),
        ("quality gate", [0, 0.5, 0.5, 0.5, 0.5]),
        ("constant", [0.5] * 5),
    ],
)
def test_each_schedule_is_what_its_fields_say(schedule, weights):
    """Rate 1/10, start 10, cap 0.5. (The gate counts from the step at which it opened.)"""
    rate, start, cap = 0.1, 10, 0.5
    steps = {"linear": (0, 10, 12.5, 15, 30), "cyclical": (0, 10, 25, 20, 30)}.get(
        schedule, (0, 10, 15, 20, 30)
    )
    made = form.SCHEDULES[schedule](rate, start, cap, 0.3)
    measured = [float(made(np.float32(step))) for step in steps]
    np.testing.assert_allclose(measured, weights, atol=1e-6)


def test_the_chosen_schedule_is_trained(ground):
    ground.form.fields["schedule"].value = "constant"
    ground.form.fields["cap"].value = "0.25"
    train(ground)
    np.testing.assert_allclose(ground.runs[0]["curves"][1], 0.25)


@pytest.mark.parametrize(("low", "high"), [("0.001", "10000"), ("1/1000", "1e4")])
def test_the_bounds_are_allowed(low, high):
    convert = form.FIELDS["variance"].convert
    assert (convert(low), convert(high)) == (0.001, 10_000)


def test_a_new_playground_ends_the_run_of_the_one_that_it_replaces(ground):
    start_a_long_run(ground)
    Playground(IMAGES)
    ground.wait(60)
    assert not ground.running and len(ground.runs) == 1


def test_clear_forgets_the_runs(ground):
    empty = ground.picture.value
    train(ground)
    ground.buttons["Clear"].click()
    assert ground.runs == [] and ground.table.value == "" and ground.picture.value == empty
    train(ground)
    assert [run["run"] for run in ground.runs] == [1]


def test_the_table_can_be_saved_and_no_file_is_overwritten(ground, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ground.buttons["Save"].click()
    assert "no finished run" in ground.status.value and not list(tmp_path.iterdir())
    train(ground)
    ground.buttons["Save"].click()
    ground.buttons["Save"].click()
    first, second = sorted(tmp_path.iterdir())
    assert first.read_text() == second.read_text() and str(second) in ground.status.value
    (row,) = csv.DictReader(first.read_text().splitlines())
    assert row["rate"] == "0.0025" and float(row["elbo"]) == ground.runs[0]["elbo"]
    assert "curves" not in row


def megabytes():
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20


def test_fifty_cycles_leave_no_threads_and_no_memory_behind(ground):
    ground.form.fields["steps"].value = LONG

    def cycle():
        ground.buttons["Train"].click()
        until(lambda: ground.bar.value > 0)
        ground.buttons["Stop"].click()
        ground.wait(60)
        ground.buttons["Clear"].click()

    threads, memory = [], []
    for _ in range(50):
        cycle()
        threads.append(threading.active_count())
        memory.append(megabytes())
    assert max(threads[-10:]) <= max(threads[:10])
    # The least of ten: what is held, without what was not yet given back. The first ones warm up.
    growth = min(memory[-10:]) - min(memory[5:15])
    assert growth < 40, f"{growth:.0f} MB"


def test_other_images_are_refused():
    with pytest.raises(ValueError, match="load_images; got ndarray"):
        Playground(IMAGES.train)
