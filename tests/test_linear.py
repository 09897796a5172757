"""The linear case against scikit-learn, SciPy's densities, and a numerical optimum."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA

from vae_utils import linear

RNG = np.random.default_rng(0)
DATA = RNG.standard_normal((200, 4)) * [2.0, 1.2, 0.7, 0.3] @ np.linalg.qr(RNG.random((4, 4)))[0]
COVARIANCE = linear.covariance(DATA)
VALUES = np.linalg.eigvalsh(COVARIANCE)[::-1]


def test_eigenvalues_are_the_variances_of_principal_components():
    images = np.random.default_rng(0).random((50, 3, 4, 1)).astype("float32")
    images[..., 0, :] *= images[..., 1, :]
    pca = PCA().fit(images.reshape(50, -1))
    # scikit-learn divides by n − 1, the likelihood by n.
    np.testing.assert_allclose(
        linear.eigenvalues(images), pca.explained_variance_ * 49 / 50, rtol=1e-4
    )


def test_the_covariance_of_images_and_of_a_matrix_is_numpys():
    images = RNG.random((30, 2, 3, 1))
    expected = np.cov(images.reshape(30, -1).T, bias=True)
    np.testing.assert_allclose(linear.covariance(images), expected, atol=1e-6)
    np.testing.assert_allclose(linear.covariance(images.reshape(30, -1)), expected, atol=1e-12)


def terms(weights, encoder, stds, variance):
    """Reconstruction and KL of a linear VAE on DATA, averaged, written out with matrices."""
    errors = COVARIANCE - 2 * weights @ encoder @ COVARIANCE
    error = np.trace(errors + weights @ (encoder @ COVARIANCE @ encoder.T) @ weights.T)
    error += np.sum(weights**2 * stds**2)
    reconstruction = 0.5 * (len(weights) * np.log(2 * np.pi * variance) + error / variance)
    means = np.diag(encoder @ COVARIANCE @ encoder.T)
    return reconstruction, 0.5 * (means + stds**2 - 1) - np.log(stds), error


@pytest.mark.parametrize("beta", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("variance", [0.05, 0.4, 1.0])
def test_the_optimum_is_the_one_that_a_numerical_search_finds(variance, beta):
    def unpack(numbers):
        weights, encoder, log_stds = np.split(numbers, [8, 16])
        return weights.reshape(4, 2), encoder.reshape(2, 4), np.exp(log_stds)

    def loss(numbers):
        reconstruction, kl, _ = terms(*unpack(numbers), variance)
        return reconstruction + beta * kl.sum()

    starts = [np.random.default_rng(seed).standard_normal(18) for seed in range(5)]
    found = min((minimize(loss, start, method="BFGS") for start in starts), key=lambda f: f.fun)
    reconstruction, kl, error = terms(*unpack(found.x), variance)
    best = linear.optimum(COVARIANCE, 2, variance, beta)

    lowest = (beta - 1) * best.kl_per_unit.sum() - best.elbo
    np.testing.assert_allclose(found.fun, lowest, atol=1e-4)
    weights, _, stds = unpack(found.x)
    order = np.argsort(stds)
    np.testing.assert_allclose(kl[order], best.kl_per_unit, atol=5e-3)
    np.testing.assert_allclose(stds[order] ** 2, best.posterior_variance, atol=5e-3)
    np.testing.assert_allclose(error, best.squared_error, atol=1e-3)
    np.testing.assert_allclose(-reconstruction - kl.sum(), best.elbo, atol=1e-3)
    np.testing.assert_allclose(
        weights @ weights.T, best.weights @ best.weights.T, atol=5e-3
    )  # whatever order and signs the search ended with


@pytest.mark.parametrize("beta", [0.3, 1.0, 2.5])
def test_log_likelihoods_are_those_of_scipys_normal_distribution(beta):
    best = linear.optimum(COVARIANCE, 3, 0.2, beta)
    normal = multivariate_normal(DATA.mean(0), best.weights @ best.weights.T + 0.2 * np.eye(4))
    np.testing.assert_allclose(normal.logpdf(DATA).mean(), best.log_likelihood)
    each = linear.log_likelihood(best.weights, DATA.mean(0), 0.2, DATA)
    np.testing.assert_allclose(each, normal.logpdf(DATA))


@pytest.mark.parametrize("variance", [1e-3, 1e-300])
def test_where_w_reaches_every_direction_any_small_variance_will_do(variance):
    weights, rows = np.array([[0.0, 1.0], [1.0, 1.0]]), np.array([[1.0, 1.0]])
    normal = multivariate_normal(np.zeros(2), weights @ weights.T + variance * np.eye(2))
    each = linear.log_likelihood(weights, np.zeros(2), variance, rows)
    np.testing.assert_allclose(each, normal.logpdf(rows))


def test_at_weight_1_the_elbo_is_the_log_likelihood_and_else_below():
    best = linear.optimum(COVARIANCE, 3, 0.2)
    assert best.elbo == pytest.approx(best.log_likelihood)
    for beta in (0.5, 2.0):
        other = linear.optimum(COVARIANCE, 3, 0.2, beta)
        assert other.elbo < other.log_likelihood < best.log_likelihood


def test_units_are_used_above_the_threshold_only():
    for threshold, expected in zip(VALUES, range(4)):
        assert linear.optimum(COVARIANCE, 4, threshold * 1.001).active_units == expected
        assert linear.optimum(COVARIANCE, 4, 1.0, threshold * 0.999).active_units == expected + 1
    exactly = linear.optimum(COVARIANCE, 4, linear.optimum(COVARIANCE, 1, 1.0).eigenvalues[0])
    assert exactly.active_units == 0
    idle = linear.optimum(COVARIANCE, 3, 2 * VALUES[0])
    assert idle.active_units == 0 and not idle.weights.any() and not idle.kl_per_unit.any()
    np.testing.assert_array_equal(idle.posterior_variance, 1)
    assert idle.squared_error == pytest.approx(np.trace(COVARIANCE))


def test_the_best_variance_is_the_best():
    best = linear.best_variance(VALUES, 2)
    assert best == pytest.approx(VALUES[2:].mean())
    highest = linear.optimum(COVARIANCE, 2, best)
    assert highest.active_units == 2
    for other in (0.9 * best, 1.1 * best):
        assert linear.optimum(COVARIANCE, 2, other).log_likelihood < highest.log_likelihood


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((np.ones((2, 3)), 1, 1.0), "square"),
        ((np.array([[1.0, 2.0], [0.0, 1.0]]), 1, 1.0), "symmetric"),
        ((np.array([[np.nan]]), 1, 1.0), "finite"),
        ((-np.eye(2), 1, 1.0), "negative eigenvalues"),
        ((np.eye(2), 3, 1.0), "from 1 to 2"),
        ((np.eye(2), 0, 1.0), "latent_size"),
        ((np.eye(2), 1.5, 1.0), "whole"),
        ((np.eye(2), 2.0, 1.0), "whole"),
        ((-1e-7 * np.eye(2), 1, 1.0), "negative eigenvalues"),
        ((np.eye(2), 1, 0.0), "variance must be positive"),
        ((np.eye(2), 1, 1.0, 0.0), "kl_weight must be positive"),
        ((np.eye(2), 1, 1.0, np.inf), "kl_weight must be positive"),
    ],
)
def test_bad_input_is_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        linear.optimum(*arguments)


def test_what_is_not_data_is_refused():
    with pytest.raises(ValueError, match="shape"):
        linear.eigenvalues(np.zeros(5, "float32"))
    with pytest.raises(ValueError, match="finite"):
        linear.covariance(np.array([[1.0, np.inf]]))
    with pytest.raises(ValueError, match="latent_size"):
        linear.best_variance(VALUES, 4)
    with pytest.raises(ValueError, match="largest first"):
        linear.best_variance(VALUES[::-1], 2)
    with pytest.raises(ValueError, match="must not be negative"):
        linear.best_variance(np.array([5.0, -2.0]), 1)
    with pytest.raises(ValueError, match="symmetric"):
        linear.optimum(np.array([[1e-8, 9e-7], [0.0, 1e-8]]), 1, 1e-9)
    with pytest.raises(ValueError, match="variance must be positive"):
        linear.log_likelihood(np.ones((4, 1)), np.zeros(4), 0.0, DATA)
