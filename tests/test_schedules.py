"""The shape of every KL-weight schedule."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from vae_utils import schedules
from vae_utils.schedules import Constant, Cosine, Cyclical, Linear, QualityGate, Sigmoid

ONE_OF_EACH = [
    Constant(0.3),
    Linear(rate=0.01, start=20, cap=0.8),
    Sigmoid(rate=0.1, midpoint=50, cap=0.9),
    Cosine(steps=100, start=10, cap=0.7),
    Cyclical(period=50, ramp=0.4, cycles=3, cap=0.6),
    QualityGate(mse=0.03, rate=0.02, cap=0.5),
]
NAMES = [type(schedule).__name__ for schedule in ONE_OF_EACH]
each = pytest.mark.parametrize("schedule", ONE_OF_EACH, ids=NAMES)


def weights(schedule, steps):
    return np.asarray(schedule(np.asarray(steps)))


# ---- shapes --------------------------------------------------------------------


def test_constant_is_constant():
    np.testing.assert_allclose(weights(Constant(0.3), [0, 1, 10_000]), 0.3)
    assert Constant().weight == 1.0


def test_linear_waits_then_rises_by_its_rate_up_to_its_cap():
    schedule = Linear(rate=0.01, start=20, cap=0.8)
    np.testing.assert_array_equal(weights(schedule, [0, 10, 20]), 0)
    np.testing.assert_allclose(weights(schedule, [21, 30, 99]), [0.01, 0.1, 0.79], rtol=1e-5)
    np.testing.assert_allclose(weights(schedule, [100, 101, 10**6]), 0.8, rtol=1e-6)
    np.testing.assert_allclose(np.diff(weights(schedule, np.arange(20, 100))), 0.01, rtol=1e-3)


def test_linear_by_default_starts_at_once_and_ends_at_one():
    np.testing.assert_allclose(
        weights(Linear(rate=0.25), [0, 1, 2, 4, 5]), [0, 0.25, 0.5, 1, 1], rtol=1e-6
    )


def test_sigmoid_is_half_of_its_cap_at_the_midpoint_and_symmetric_around_it():
    schedule = Sigmoid(rate=0.1, midpoint=50, cap=0.9)
    np.testing.assert_allclose(weights(schedule, 50), 0.45, rtol=1e-6)
    away = np.arange(0, 200, 7)
    np.testing.assert_allclose(
        weights(schedule, 50 + away) + weights(schedule, 50 - away), 0.9, rtol=1e-5
    )
    np.testing.assert_allclose(weights(schedule, 60), 0.9 / (1 + np.exp(-1.0)), rtol=1e-5)
    np.testing.assert_allclose(weights(schedule, 10_000), 0.9, rtol=1e-6)
    assert weights(schedule, 0) < 0.01


def test_cosine_is_half_a_wave():
    schedule = Cosine(steps=100, start=10, cap=0.7)
    np.testing.assert_allclose(weights(schedule, [0, 5, 10]), 0, atol=1e-7)
    np.testing.assert_allclose(weights(schedule, 60), 0.35, rtol=1e-5)
    np.testing.assert_allclose(weights(schedule, [110, 111, 10**6]), 0.7, rtol=1e-5)
    steps = np.arange(10, 111)
    expected = 0.7 * (1 - np.cos(np.pi * (steps - 10) / 100)) / 2
    np.testing.assert_allclose(weights(schedule, steps), expected, atol=1e-6)


def test_cyclical_ramps_holds_and_starts_again():
    schedule = Cyclical(period=50, ramp=0.4, cycles=3, cap=0.6)
    one_cycle = weights(schedule, np.arange(50))
    np.testing.assert_allclose(one_cycle[:20], 0.6 * np.arange(20) / 20, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(one_cycle[20:], 0.6, rtol=1e-6)
    np.testing.assert_allclose(weights(schedule, 50 + np.arange(50)), one_cycle, atol=1e-6)
    np.testing.assert_allclose(weights(schedule, 100 + np.arange(50)), one_cycle, atol=1e-6)
    # After the last cycle the weight stays, it doesn't start again.
    np.testing.assert_allclose(weights(schedule, np.arange(150, 400)), 0.6, rtol=1e-6)


def test_cyclical_defaults_are_those_of_fu_et_al():
    schedule = Cyclical(period=100)
    assert (schedule.cycles, schedule.ramp, schedule.cap) == (4, 0.5, 1.0)
    restarts = np.flatnonzero(np.diff(weights(schedule, np.arange(1000))) < 0) + 1
    np.testing.assert_array_equal(restarts, [100, 200, 300])


def test_cyclical_ramp_may_fill_the_cycle():
    np.testing.assert_allclose(
        weights(Cyclical(period=10, ramp=1.0, cycles=1), np.arange(12)),
        [*np.arange(10) / 10, 1, 1],
        atol=1e-6,
    )


def test_quality_gate_rises_by_its_rate_since_it_opened():
    schedule = QualityGate(mse=0.03, rate=0.02, cap=0.5)
    np.testing.assert_allclose(
        weights(schedule, [0, 1, 10, 25, 26, 10**6]), [0, 0.02, 0.2, 0.5, 0.5, 0.5], rtol=1e-5
    )


rates = st.floats(1e-4, 1)


@given(
    st.sampled_from([Linear, Cosine, Sigmoid, QualityGate]),
    rates,
    st.integers(0, 500),
    st.floats(0.01, 5),
)
def test_ramps_never_fall_and_stay_between_zero_and_their_cap(kind, rate, start, cap):
    schedule = {
        Linear: lambda: Linear(rate, start, cap),
        Cosine: lambda: Cosine(1 + 100 * rate, start, cap),
        Sigmoid: lambda: Sigmoid(rate, start, cap),
        QualityGate: lambda: QualityGate(0.1, rate, cap),
    }[kind]()
    values = weights(schedule, np.arange(0, 2000, 3))
    assert (np.diff(values) >= -1e-6 * cap).all()
    assert values.min() >= 0
    assert values.max() <= cap * (1 + 1e-6)


@given(st.integers(1, 300), st.floats(0.01, 1), st.integers(0, 6), st.floats(0.01, 5))
def test_cyclical_stays_between_zero_and_its_cap(period, ramp, cycles, cap):
    values = weights(Cyclical(period, ramp, cycles, cap), np.arange(2500))
    assert values.min() >= 0
    assert values.max() <= cap * (1 + 1e-6)
    np.testing.assert_allclose(values[period * cycles :], cap, rtol=1e-6)


# ---- what a step may be --------------------------------------------------------


@each
def test_numbers_arrays_and_tensors_give_the_same(schedule):
    steps = [0, 15, 37, 60, 200]
    array = weights(schedule, steps)
    assert array.shape == (5,)
    np.testing.assert_allclose([float(schedule(step)) for step in steps], array, rtol=1e-6)
    np.testing.assert_allclose([float(schedule(float(s))) for s in steps], array, rtol=1e-6)
    for dtype in ("int32", "int64", "float32"):
        np.testing.assert_allclose(schedule(tf.constant(steps, dtype)), array, rtol=1e-6)
        np.testing.assert_allclose(schedule(np.array(steps, dtype)), array, rtol=1e-6)


@each
def test_a_schedule_runs_inside_a_compiled_function(schedule):
    compiled = tf.function(schedule, jit_compile=True)
    steps = tf.constant([0, 15, 37, 60, 200])
    np.testing.assert_allclose(compiled(steps), schedule(steps), rtol=1e-6)


# ---- what is refused -----------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Constant(-1), r"Constant\(weight\)"),
        (lambda: Constant(float("nan")), r"Constant\(weight\)"),
        (lambda: Constant(float("inf")), r"Constant\(weight\)"),
        (lambda: Linear(-0.1), r"Linear\(rate\)"),
        (lambda: Linear(0.1, start=-1), r"Linear\(start\)"),
        (lambda: Linear(0.1, cap=-1), r"Linear\(cap\)"),
        (lambda: Linear(float("nan")), r"Linear\(rate\)"),
        (lambda: Sigmoid(-0.1, 10), r"Sigmoid\(rate\)"),
        (lambda: Linear(100), r"Linear\(rate\) is the rise.*it is 1 / 100$"),
        (lambda: QualityGate(0.1, 100), r"QualityGate\(rate\) is the rise"),
        (lambda: Sigmoid(0.1, float("nan")), r"Sigmoid\(midpoint\)"),
        (lambda: Cosine(0), r"Cosine\(steps\)"),
        (lambda: Cosine(10, -1), r"Cosine\(start\)"),
        (lambda: Cosine(float("nan")), r"Cosine\(steps\)"),
        (lambda: Cyclical(0), r"Cyclical\(period\)"),
        (lambda: Cyclical(10, ramp=0), r"Cyclical\(ramp\)"),
        (lambda: Cyclical(10, ramp=1.1), r"Cyclical\(ramp\)"),
        (lambda: Cyclical(10, cycles=-1), r"Cyclical\(cycles\)"),
        (lambda: Cyclical(10, cap=float("nan")), r"Cyclical\(cap\)"),
        (lambda: QualityGate(-0.1, 0.1), r"QualityGate\(mse\)"),
        (lambda: QualityGate(0.1, -0.1), r"QualityGate\(rate\)"),
        (lambda: QualityGate(0.1, 0.1, float("nan")), r"QualityGate\(cap\)"),
    ],
)
def test_a_bad_number_is_refused_by_name(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("rate", ["fast", -1.0, None, (1, 2)])
def test_the_numbers_of_ones_own_schedule_are_checked(rate):
    with pytest.raises(ValueError, match=r"Milestones\(rate\) must be"):
        Milestones(rate=rate)


# ---- get -----------------------------------------------------------------------


@each
def test_get_passes_schedules_through(schedule):
    assert schedules.get(schedule) is schedule


@pytest.mark.parametrize(
    "number", [0, 1, 0.5, np.float64(0.5), np.float32(0.5), np.int64(2)], ids=lambda n: repr(n)
)
def test_get_makes_numbers_constant(number):
    assert schedules.get(number) == Constant(float(number))


@pytest.mark.parametrize("bad", ["linear", "1", True, False, None, [1.0], Linear, lambda s: 1.0])
def test_get_refuses_anything_else(bad):
    with pytest.raises(ValueError, match="number of at least 0 or a schedule"):
        schedules.get(bad)


@pytest.mark.parametrize("number", [-1, -0.1, float("nan"), float("inf")])
def test_get_refuses_bad_numbers(number):
    with pytest.raises(ValueError, match="weight"):
        schedules.get(number)


# ---- saving --------------------------------------------------------------------


@keras.saving.register_keras_serializable("test_schedules")
@dataclasses.dataclass(frozen=True)
class Milestones(schedules.Schedule):
    """A schedule of one's own, whose fields are not all numbers."""

    rate: float = 0.5
    at: tuple = (10, 20)
    pairs: tuple = ((1, "a"), (2, None))
    after: schedules.Schedule | None = None

    def __call__(self, step):
        passed = sum(tf.cast(step >= at, "float32") for at in self.at)
        return self.rate * passed + (0.0 if self.after is None else self.after(step))


def test_the_fields_of_ones_own_schedule_may_be_other_than_numbers(make_vae, bars, tmp_path):
    schedule = Milestones(after=Milestones(at=(30,), after=Linear(rate=0.01)))
    assert hash(schedule) == hash(dataclasses.replace(schedule))
    np.testing.assert_allclose(weights(schedule, [0, 10, 20, 30]), [0.0, 0.6, 1.2, 1.8], rtol=1e-6)
    make_vae(kl_weight=schedule).save(tmp_path / "vae.keras")
    again = keras.saving.load_model(tmp_path / "vae.keras")
    assert again.kl_weight == schedule
    again.compile("adam", jit_compile=False)
    again.fit(bars, batch_size=4, verbose=0)  # 16 steps
    assert float(again.current_kl_weight()) == pytest.approx(0.66)


@each
def test_a_saved_schedule_comes_back_equal(schedule):
    config = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(schedule)
    assert again == schedule
    steps = np.arange(0, 300, 7)
    np.testing.assert_array_equal(weights(again, steps), weights(schedule, steps))
