"""What the decoder's output says about the pixels."""

from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from vae_utils import Bernoulli, Gaussian, Likelihood

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(size=(5, 28, 28, 1))
LOGITS = RNG.normal(0, 3, size=(5, 28, 28, 1))
MEANS = 1 / (1 + np.exp(-LOGITS))
SQUARES = np.square(IMAGES - MEANS).sum(axis=(1, 2, 3))


each_likelihood = pytest.mark.parametrize(
    "likelihood",
    [Gaussian(0.3), Gaussian(0.3, link="identity"), Bernoulli()],
    ids=["gaussian", "linear", "bernoulli"],
)


def log_prob(likelihood, images=IMAGES, logits=LOGITS):
    return likelihood.log_prob(tf.constant(images), tf.constant(logits)).numpy()


def test_pixel_means_are_the_sigmoid():
    np.testing.assert_allclose(Bernoulli().pixel_means(tf.constant(LOGITS)), MEANS, rtol=1e-12)


@pytest.mark.parametrize("variance", [1e-3, 0.5, 1.0, 392.0])
def test_gaussian_is_the_sum_of_scipys_log_densities(variance):
    expected = stats.norm.logpdf(IMAGES, MEANS, np.sqrt(variance)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(log_prob(Gaussian(variance)), expected, rtol=1e-6)


def test_without_a_sigmoid_the_decoders_output_is_the_mean():
    likelihood = Gaussian(0.5, link="identity")
    expected = stats.norm.logpdf(IMAGES, LOGITS, np.sqrt(0.5)).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(log_prob(likelihood), expected, rtol=1e-6)
    np.testing.assert_array_equal(likelihood.pixel_means(LOGITS), LOGITS)
    np.testing.assert_allclose(Bernoulli().pixel_means(tf.constant(LOGITS)), MEANS, rtol=1e-12)


def test_another_link_is_refused():
    with pytest.raises(ValueError, match='"sigmoid" or "identity"; got \'probit\''):
        Gaussian(link="probit")


def test_a_likelihood_of_ones_own_keeps_its_numbers():
    @dataclass(frozen=True)
    class Laplace(Likelihood):
        scale: float

    assert Laplace(1.0) == Laplace(1.0) != Laplace(2.0)
    assert Laplace.from_config(Laplace(2.0).get_config()) == Laplace(2.0)


def test_variance_one_half_is_minus_the_sum_of_squares():
    rest = log_prob(Gaussian(0.5)) + SQUARES
    np.testing.assert_allclose(rest, -784 / 2 * np.log(np.pi), rtol=1e-6)


def test_variance_one_is_minus_half_the_sum_of_squares():
    rest = log_prob(Gaussian()) + SQUARES / 2
    np.testing.assert_allclose(rest, -784 / 2 * np.log(2 * np.pi), rtol=1e-6)


def test_variance_392_is_minus_the_mean_squared_error():
    rest = log_prob(Gaussian(392)) + SQUARES / 784
    np.testing.assert_allclose(rest, -784 / 2 * np.log(784 * np.pi), rtol=1e-6)


def test_bernoulli_is_minus_keras_cross_entropy_summed():
    entropy = keras.ops.binary_crossentropy(
        tf.constant(IMAGES), tf.constant(LOGITS), from_logits=True
    )
    np.testing.assert_allclose(
        log_prob(Bernoulli()), -np.asarray(entropy).sum(axis=(1, 2, 3)), rtol=1e-10
    )


def test_bernoulli_is_scipys_on_binary_images():
    binary = (IMAGES > 0.5).astype(float)
    expected = stats.bernoulli.logpmf(binary, MEANS).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(log_prob(Bernoulli(), binary), expected, rtol=1e-9)


def test_every_channel_counts():
    images, logits = np.full((2, 2, 2, 3), 0.5), np.zeros((2, 2, 2, 3))
    expected = 12 * stats.norm.logpdf(0)
    np.testing.assert_allclose(log_prob(Gaussian(), images, logits), expected)
    np.testing.assert_allclose(log_prob(Bernoulli(), images, logits), -12 * np.log(2))


@pytest.mark.parametrize("variance", [0, -1, float("nan"), float("inf")])
def test_a_bad_variance_is_refused(variance):
    with pytest.raises(ValueError, match="variance"):
        Gaussian(variance)


@each_likelihood
def test_gradient_is_that_of_finite_differences(likelihood):
    images, logits = IMAGES[:2, :2, :2], LOGITS[:2, :2, :2]
    variable = tf.Variable(logits)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(likelihood.log_prob(tf.constant(images), variable))
    numeric, step = np.zeros_like(logits), 1e-6
    for index in np.ndindex(logits.shape):
        up, down = logits.copy(), logits.copy()
        up[index] += step
        down[index] -= step
        change = log_prob(likelihood, images, up) - log_prob(likelihood, images, down)
        numeric[index] = change.sum() / (2 * step)
    np.testing.assert_allclose(tape.gradient(total, variable), numeric, rtol=1e-5, atol=1e-7)


@each_likelihood
def test_a_saved_likelihood_comes_back_the_same(likelihood):
    config = keras.saving.serialize_keras_object(likelihood)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(likelihood)
    np.testing.assert_array_equal(log_prob(again), log_prob(likelihood))
