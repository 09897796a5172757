"""Densities against SciPy, Monte Carlo and finite differences."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import trapezoid

from vae_utils.densities import (
    bernoulli_log_density,
    kl_to_standard_normal,
    normal_log_density,
)

means = st.floats(-20, 20)
log_stds = st.floats(-5, 3)


def float64(*values):
    return [tf.constant(value, tf.float64) for value in values]


def finite_differences(function, point, step=1e-6):
    """Central differences of the sum of `function` at each entry of `point`."""
    gradient = np.zeros_like(point)
    for index in np.ndindex(point.shape):
        shift = np.zeros_like(point)
        shift[index] = step
        gradient[index] = (function(point + shift) - function(point - shift)).sum() / (2 * step)
    return gradient


def tape_gradient(function, point):
    variable = tf.Variable(point, dtype=tf.float64)
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(function(variable))
    return tape.gradient(value, variable).numpy()


# ---- values --------------------------------------------------------------------


@given(st.floats(-30, 30), means, log_stds)
def test_normal_log_density_is_scipys(value, mean, log_std):
    ours = normal_log_density(*float64(value, mean, log_std))
    np.testing.assert_allclose(ours, stats.norm.logpdf(value, mean, np.exp(log_std)), rtol=1e-9)


@given(st.integers(0, 1), st.floats(-30, 30))
def test_bernoulli_log_density_is_scipys(value, logit):
    probability = 1 / (1 + np.exp(-logit))
    # SciPy takes a probability, which near 1 can't hold what the logit says:
    # ask for the smaller side, ln P(value | p) = ln P(1 − value | 1 − p).
    expected = stats.bernoulli.logpmf(
        value if logit < 0 else 1 - value,
        probability if logit < 0 else 1 / (1 + np.exp(logit)),
    )
    np.testing.assert_allclose(
        bernoulli_log_density(*float64(value, logit)), expected, rtol=1e-7, atol=1e-12
    )


def test_bernoulli_log_density_of_grey_values_is_minus_the_cross_entropy():
    value, logit = 0.3, 1.2
    p = 1 / (1 + np.exp(-logit))
    expected = value * np.log(p) + (1 - value) * np.log(1 - p)
    np.testing.assert_allclose(bernoulli_log_density(*float64(value, logit)), expected)


@pytest.mark.parametrize("logit", [-1e4, 1e4])
def test_bernoulli_log_density_is_stable_for_extreme_logits(logit):
    ours = np.asarray(bernoulli_log_density(np.float32([0, 1]), np.float32(logit)))
    np.testing.assert_allclose(np.sort(ours), [-1e4, 0], atol=1e-6)


def test_kl_in_known_cases():
    # By hand: half of mean²; the entropy difference; and both.
    np.testing.assert_allclose(kl_to_standard_normal(*float64(2.0, 0.0)), 2.0)
    np.testing.assert_allclose(
        kl_to_standard_normal(*float64(0.0, np.log(2.0))), 1.5 - np.log(2), rtol=1e-12
    )
    np.testing.assert_allclose(
        kl_to_standard_normal(*float64(1.0, np.log(0.5))), 0.5 * (0.25) + np.log(2), rtol=1e-12
    )


@pytest.mark.parametrize(
    ("mean", "log_std"), [(0.0, 0.0), (1.5, -1.0), (-3.0, 0.7), (0.1, -3.0), (0.0, 1.0)]
)
def test_kl_agrees_with_monte_carlo(mean, log_std):
    std = np.exp(log_std)
    samples = np.random.default_rng(0).normal(mean, std, 400_000)
    ratios = stats.norm.logpdf(samples, mean, std) - stats.norm.logpdf(samples)
    standard_error = ratios.std() / np.sqrt(len(ratios))
    difference = abs(float(kl_to_standard_normal(*float64(mean, log_std))) - ratios.mean())
    assert difference <= 4 * standard_error + 1e-12


@given(means, log_stds)
def test_kl_is_the_integral(mean, log_std):
    std = np.exp(log_std)
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    points = mean + std * nodes
    ratios = stats.norm.logpdf(points, mean, std) - stats.norm.logpdf(points)
    expected = (weights * ratios).sum() / weights.sum()
    ours = kl_to_standard_normal(*float64(mean, log_std))
    np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-9)


# ---- properties ----------------------------------------------------------------


@given(means, log_stds)
def test_kl_is_never_negative_and_zero_only_at_the_prior(mean, log_std):
    kl = float(kl_to_standard_normal(*float64(mean, log_std)))
    assert kl >= -1e-12
    if abs(mean) > 1e-3 or abs(log_std) > 1e-3:
        assert kl > 1e-7
    assert float(kl_to_standard_normal(*float64(0.0, 0.0))) == 0


@given(means, log_stds)
def test_kl_does_not_depend_on_the_sign_of_the_mean(mean, log_std):
    assert kl_to_standard_normal(*float64(mean, log_std)) == kl_to_standard_normal(
        *float64(-mean, log_std)
    )


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**31))
def test_all_broadcast_like_numpy_and_work_element_by_element(rows, columns, seed):
    rng = np.random.default_rng(seed)
    value = rng.normal(size=(rows, 1))
    mean = rng.normal(size=(1, columns))
    log_std = rng.normal(size=())
    density = np.asarray(normal_log_density(value, mean, log_std))
    kl = np.asarray(kl_to_standard_normal(mean, log_std))
    bits = np.asarray(bernoulli_log_density(value > 0, mean))
    assert density.shape == bits.shape == (rows, columns)
    assert kl.shape == (1, columns)
    for i, j in np.ndindex(rows, columns):
        alone = normal_log_density(value[i, 0], mean[0, j], log_std)
        np.testing.assert_allclose(density[i, j], alone, rtol=1e-5)
        alone = bernoulli_log_density(float(value[i, 0] > 0), mean[0, j])
        np.testing.assert_allclose(bits[i, j], alone, rtol=1e-5)


def test_normal_density_integrates_to_one():
    grid = np.linspace(-15, 15, 20_001)
    density = np.exp(normal_log_density(*float64(grid, 0.5, 0.3)))
    np.testing.assert_allclose(trapezoid(density, grid), 1, rtol=1e-9)


def test_numpy_arrays_and_tensors_give_the_same():
    mean, log_std = np.float32([0.5, -1]), np.float32([0.1, -0.2])
    np.testing.assert_array_equal(
        kl_to_standard_normal(mean, log_std),
        kl_to_standard_normal(tf.constant(mean), tf.constant(log_std)),
    )


# ---- gradients -----------------------------------------------------------------

POINT = np.array([[0.3, -1.2], [2.0, 0.7]])
OTHER = np.array([[0.1, 0.9], [0.4, 1.0]])


@pytest.mark.parametrize(
    "function",
    [
        lambda x: normal_log_density(x, tf.constant(OTHER), 0.3),
        lambda x: normal_log_density(tf.constant(OTHER), x, -0.4),
        lambda x: normal_log_density(tf.constant(OTHER), 0.2, x),
        lambda x: bernoulli_log_density(tf.constant(OTHER), x),
        lambda x: kl_to_standard_normal(x, tf.constant(OTHER)),
        lambda x: kl_to_standard_normal(tf.constant(OTHER), x),
    ],
    ids=["normal value", "normal mean", "normal log_std", "bernoulli logits", "kl mean",
         "kl log_std"],
)  # fmt: skip
def test_gradients_are_those_of_finite_differences(function):
    numeric = finite_differences(lambda point: function(tf.constant(point)).numpy(), POINT)
    np.testing.assert_allclose(tape_gradient(function, POINT), numeric, rtol=1e-7, atol=1e-8)
