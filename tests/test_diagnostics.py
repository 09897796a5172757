"""The diagnostics against exact answers."""

import keras
import numpy as np
import pytest
from conftest import bright_bars
from scipy import stats
from scipy.integrate import trapezoid
from scipy.special import logsumexp
from sklearn.decomposition import PCA

from vae_utils import (
    VAE,
    Bernoulli,
    Gaussian,
    Params,
    active_units,
    conv_decoder,
    conv_encoder,
    elbo,
    firing_shares,
    importance_weighted_bound,
    kl_per_unit,
    linear_probe,
    mse,
    mutual_information,
    plateau,
    summary,
)
from vae_utils.diagnostics import importance_weighted_bounds

# ---- models with known weights -------------------------------------------------


def dense(kernel, bias):
    kernel, bias = np.asarray(kernel, "float32"), np.asarray(bias, "float32")
    layer = keras.layers.Dense(kernel.shape[1])
    layer.build((None, kernel.shape[0]))
    layer.set_weights([kernel, bias])
    return layer


def linear_encoder(shape, kernel, bias, log_std):
    """mean = flat image @ kernel + bias; the log standard deviation is the same for all."""
    images = keras.Input(shape)
    flat = keras.layers.Flatten()(images)
    zeros = np.zeros_like(np.asarray(kernel))
    log_std = np.broadcast_to(log_std, zeros.shape[1:])
    return keras.Model(images, [dense(kernel, bias)(flat), dense(zeros, log_std)(flat)])


def linear_decoder(shape, kernel, bias):
    """Logits that are linear in the code."""
    codes = keras.Input((len(kernel),))
    return keras.Model(codes, keras.layers.Reshape(shape)(dense(kernel, bias)(codes)))


def constant_vae(mean, log_std, shape=(2, 2, 1), logit=0.0, likelihood=None):
    """The same posterior for every image, and a decoder that ignores the code."""
    size, pixels = len(mean), int(np.prod(shape))
    return VAE(
        linear_encoder(shape, np.zeros((pixels, size)), mean, log_std),
        linear_decoder(shape, np.zeros((size, pixels)), np.full(pixels, logit)),
        likelihood or Bernoulli(),
    )


def channel(gains, log_std):
    """Unit i sees pixel i, blown up to a normal with standard deviation gains[i]."""
    size = len(gains)
    kernel = np.diag(np.asarray(gains) * 10.0)
    return VAE(
        linear_encoder((size, 1, 1), kernel, -0.5 * kernel.sum(0), log_std),
        linear_decoder((size, 1, 1), np.zeros((size, size)), np.zeros(size)),
    )


def normal_pixels(count, size, seed=100):
    """Images (count, size, 1, 1) whose pixels are normal with mean 0.5 and stddev 0.1.

    Their seed is not one that a diagnostic draws its own noise with.
    """
    pixels = np.random.default_rng(seed).normal(0.5, 0.1, (count, size, 1, 1))
    assert 0 < pixels.min() and pixels.max() < 1
    return pixels.astype("float32")


IMAGES = np.random.default_rng(0).uniform(size=(300, 2, 2, 1)).astype("float32")


# ---- KL and active units -------------------------------------------------------


def test_a_constant_encoder_has_a_large_kl_but_carries_no_information():
    vae = constant_vae(np.full(16, 4.0), 0.0)
    np.testing.assert_allclose(kl_per_unit(vae, IMAGES), np.full(16, 8.0), rtol=1e-6)
    assert kl_per_unit(vae, IMAGES).sum() == pytest.approx(128)
    assert mutual_information(vae, IMAGES) == pytest.approx(0, abs=1e-6)
    assert active_units(vae, IMAGES) == 0


def test_a_collapsed_encoder_has_no_kl_at_all():
    vae = constant_vae(np.zeros(3), 0.0)
    np.testing.assert_array_equal(kl_per_unit(vae, IMAGES), 0)
    assert mutual_information(vae, IMAGES) == pytest.approx(0, abs=1e-6)


def test_kl_per_unit_is_the_mean_over_images_of_each_unit():
    vae = channel([1.0, 3.0, 0.0], [-1.0, 0.0, 0.5])
    images = normal_pixels(1500, 3)
    mean, std = vae.encode(images)
    expected = 0.5 * (mean**2 + std**2 - 1 - 2 * np.log(std)).mean(axis=0)
    np.testing.assert_allclose(kl_per_unit(vae, images), expected, rtol=1e-4)
    # And what follows from the distribution of the pixels.
    exact = 0.5 * (np.square([1, 3, 0]) + np.exp([-2, 0, 1]) - 1 - np.array([-2, 0, 1]))
    np.testing.assert_allclose(kl_per_unit(vae, images), exact, rtol=0.1)


def test_active_units_counts_the_units_whose_mean_varies():
    # Variances 1, 0.04, 0.0025 and 0: the threshold is 0.01.
    vae = channel([1.0, 0.2, 0.05, 0.0], 0.0)
    assert active_units(vae, normal_pixels(2000, 4)) == 2
    assert active_units(channel([0.11, 0.09], 0.0), normal_pixels(5000, 2)) == 1


# ---- mutual information --------------------------------------------------------


@pytest.mark.parametrize(
    ("gains", "log_std"), [([1.0], 0.0), ([3.0], -0.5), ([1.0, 2.0], [0.0, -0.3]), ([0.3], 0.0)]
)
def test_mutual_information_of_a_gaussian_channel(gains, log_std):
    noise = np.exp(2 * np.broadcast_to(log_std, len(gains)))
    exact = 0.5 * np.log(1 + np.square(gains) / noise).sum()
    estimate = mutual_information(channel(gains, log_std), normal_pixels(3000, len(gains)))
    assert estimate == pytest.approx(exact, abs=0.06)


def test_mutual_information_cannot_exceed_the_log_of_the_number_of_images():
    vae = channel([3.0], -9.0)
    for count in (10, 200):
        images = np.linspace(0.1, 0.9, count, dtype="float32").reshape(-1, 1, 1, 1)
        assert mutual_information(vae, images) == pytest.approx(np.log(count), abs=1e-9)


def test_mutual_information_is_part_of_the_kl():
    """E[KL] = I + KL(q(z) ‖ p(z)), so it is at most the KL."""
    vae = channel([2.0, 1.0], -0.5)
    images = normal_pixels(2000, 2)
    assert mutual_information(vae, images) < kl_per_unit(vae, images).sum()


# ---- ELBO and IWAE bound, with quadrature as the reference ---------------------

SHAPE = (2, 2, 1)
KERNEL = np.array([[2.0, -1.0, 1.5, 0.5]])
BIAS = np.array([0.3, -0.2, 0.1, -1.0])
IMAGE = np.array([1.0, 0.0, 1.0, 0.0])
MEAN, LOG_STD = 0.4, -0.2  # of a posterior that is not the exact one


def one_dimensional(likelihood):
    encoder = linear_encoder(SHAPE, np.zeros((4, 1)), [MEAN], LOG_STD)
    return VAE(encoder, linear_decoder(SHAPE, KERNEL, BIAS), likelihood)


def log_likelihood(likelihood, codes):
    """ln p(IMAGE|z) in float64, from SciPy."""
    pixels = 1 / (1 + np.exp(-(codes[:, None] * KERNEL + BIAS)))
    if isinstance(likelihood, Gaussian):
        return stats.norm.logpdf(IMAGE, pixels, np.sqrt(likelihood.variance)).sum(1)
    return stats.bernoulli.logpmf(IMAGE.astype(int), pixels).sum(1)


GRID = np.linspace(-12, 12, 20_001)


def exact_values(likelihood):
    """ln p(x), and mean and standard deviation of the ELBO's estimate from one code."""
    likelihoods = log_likelihood(likelihood, GRID)
    evidence = np.log(trapezoid(np.exp(likelihoods + stats.norm.logpdf(GRID)), GRID))
    q = stats.norm.pdf(GRID, MEAN, np.exp(LOG_STD))
    expected = trapezoid(q * likelihoods, GRID)
    variance = trapezoid(q * np.square(likelihoods - expected), GRID)
    kl = 0.5 * (MEAN**2 + np.exp(2 * LOG_STD) - 1 - 2 * LOG_STD)
    return evidence, expected - kl, np.sqrt(variance)


def copies(count):
    """The same image many times: an average over them is an average over codes."""
    return np.broadcast_to(IMAGE.reshape(SHAPE), (count, *SHAPE)).astype("float32")


LIKELIHOODS = pytest.mark.parametrize(
    "likelihood", [Gaussian(0.3), Bernoulli()], ids=["gaussian", "bernoulli"]
)


@LIKELIHOODS
def test_elbo_is_that_of_quadrature(likelihood):
    _, expected, spread = exact_values(likelihood)
    estimate = elbo(one_dimensional(likelihood), copies(20_000))
    assert estimate == pytest.approx(expected, abs=4 * spread / np.sqrt(20_000))


@LIKELIHOODS
def test_one_sample_importance_weighted_bound_is_the_elbo_on_average(likelihood):
    _, expected, _ = exact_values(likelihood)
    codes = MEAN + np.exp(LOG_STD) * np.random.default_rng(5).standard_normal(20_000)
    ratios = stats.norm.logpdf(codes) - stats.norm.logpdf(codes, MEAN, np.exp(LOG_STD))
    spread = (log_likelihood(likelihood, codes) + ratios).std()
    estimate = importance_weighted_bound(one_dimensional(likelihood), copies(20_000), samples=1)
    assert estimate == pytest.approx(expected, abs=4 * spread / np.sqrt(20_000))


@LIKELIHOODS
def test_the_bounds_rise_from_the_elbo_to_the_exact_log_likelihood(likelihood):
    evidence, lowest, _ = exact_values(likelihood)
    vae = one_dimensional(likelihood)
    bounds = [
        importance_weighted_bound(vae, copies(4000), samples=samples) for samples in (1, 4, 32, 256)
    ]
    assert lowest < evidence - 0.05
    assert all(np.diff(bounds) > 0)
    assert bounds[0] == pytest.approx(lowest, abs=0.05)
    assert bounds[-1] == pytest.approx(evidence, abs=0.01)


def test_the_bound_is_that_of_a_reference_in_scipy():
    vae, images = one_dimensional(Bernoulli()), copies(7)
    rng = np.random.default_rng(3)
    rows = []
    for _ in range(5):
        codes = MEAN + np.exp(LOG_STD) * rng.standard_normal((7, 1), "float32")[:, 0]
        ratios = stats.norm.logpdf(codes) - stats.norm.logpdf(codes, MEAN, np.exp(LOG_STD))
        rows.append(log_likelihood(Bernoulli(), codes) + ratios)
    expected = (logsumexp(rows, axis=0) - np.log(5)).mean()
    assert importance_weighted_bound(vae, images, samples=5, seed=3) == pytest.approx(
        expected, rel=1e-4
    )


def test_many_samples_at_a_time_are_those_of_a_loop(make_vae):
    """Three hundred images leave room for three samples at a time, and seven for a rest."""
    vae, images = make_vae(), bright_bars(300)
    mean, std = vae.encode(images)
    rng = np.random.default_rng(4)
    rows = []
    for _ in range(7):
        codes = mean + std * rng.standard_normal(mean.shape, "float32")
        ratios = stats.norm.logpdf(codes) - stats.norm.logpdf(codes, mean, std)
        rows.append(np.asarray(vae.likelihood.log_prob(images, vae.decoder(codes))) + ratios.sum(1))
    bounds = importance_weighted_bounds(vae, images, samples=7, seed=4)
    np.testing.assert_allclose(bounds, logsumexp(rows, axis=0) - np.log(7), atol=1e-3)
    assert bounds.std() > 0.01  # so that a wrong order would be seen


def test_elbo_is_at_weight_one_whatever_the_model_was_trained_with():
    vae = one_dimensional(Bernoulli())
    other = VAE(vae.encoder, vae.decoder, Bernoulli(), kl_weight=0.0)
    assert elbo(vae, copies(50)) == elbo(other, copies(50))


def test_an_exact_posterior_makes_all_bounds_equal():
    """A decoder that ignores the code: the prior is the posterior, and all bounds are ln p(x)."""
    vae = constant_vae(np.zeros(2), 0.0, logit=0.7)
    images = np.round(IMAGES)
    p = 1 / (1 + np.exp(-0.7))
    expected = stats.bernoulli.logpmf(images, p).sum(axis=(1, 2, 3)).mean()
    assert elbo(vae, images) == pytest.approx(expected, rel=1e-5)
    for samples in (1, 10):
        assert importance_weighted_bound(vae, images, samples) == pytest.approx(expected, rel=1e-5)


# ---- squared error, with PCA as the reference ----------------------------------


def pca_vae(pca, shape):
    """PCA as a VAE: the linear nets hold its components, the sigmoid is undone."""
    components = pca.components_.astype("float32")
    encoder = linear_encoder(shape, components.T, -components @ pca.mean_, -9.9)
    codes = keras.Input((len(components),))
    pixels = dense(components, pca.mean_)(codes)
    logits = keras.ops.log(pixels / (1 - pixels))
    return VAE(encoder, keras.Model(codes, keras.layers.Reshape(shape)(logits)))


def test_mse_of_a_linear_autoencoder_is_that_of_pca_and_never_below():
    # Pixels well inside of (0, 1), so that the sigmoid can be undone.
    images = 0.3 + 0.4 * bright_bars(200, side=6)
    flat = images.reshape(200, -1)
    pca = PCA(3).fit(flat)
    best = np.square(pca.inverse_transform(pca.transform(flat)) - flat).mean()
    vae = pca_vae(pca, (6, 6, 1))
    assert mse(vae, images) == pytest.approx(best, rel=1e-3)
    rng = np.random.default_rng(0)
    learned = vae.encoder.get_weights()
    for _ in range(5):
        vae.encoder.set_weights([w + rng.normal(0, 0.02, w.shape) for w in learned])
        assert mse(vae, images) > best


def test_mse_takes_one_posterior_sample_per_image():
    vae = one_dimensional(Gaussian())
    images = copies(20_000)
    codes = MEAN + np.exp(LOG_STD) * np.random.default_rng(9).standard_normal(200_000)
    pixels = 1 / (1 + np.exp(-(codes[:, None] * KERNEL + BIAS)))
    assert mse(vae, images) == pytest.approx(np.square(pixels - IMAGE).mean(), rel=0.02)


# ---- all at once ---------------------------------------------------------------


def test_summary_holds_the_single_diagnostics():
    vae, images = channel([1.0, 0.0], -0.5), normal_pixels(1200, 2)
    assert summary(vae, images, seed=2) == {
        "elbo": elbo(vae, images, 2),
        "kl": pytest.approx(kl_per_unit(vae, images).sum()),
        "mutual_information": mutual_information(vae, images[:1000], 2),
        "active_units": 1,
        "mse": mse(vae, images, 2),
    }


@pytest.mark.parametrize("diagnostic", [elbo, mse, mutual_information, importance_weighted_bound])
def test_equal_seeds_give_equal_numbers(diagnostic):
    vae = (
        one_dimensional(Bernoulli())
        if diagnostic is not mutual_information
        else channel([1.0] * 4, 0.0)
    )
    images = copies(50) if diagnostic is not mutual_information else normal_pixels(50, 4)
    assert diagnostic(vae, images, seed=1) == diagnostic(vae, images, seed=1)
    assert diagnostic(vae, images, seed=1) != diagnostic(vae, images, seed=2)


@pytest.mark.parametrize(
    "diagnostic",
    [elbo, mse, mutual_information, importance_weighted_bound, kl_per_unit, active_units, summary],
)
@pytest.mark.parametrize("bad", [IMAGES * 255, IMAGES * np.nan, IMAGES[:0], IMAGES[:, :1]])
def test_bad_images_are_refused(diagnostic, bad):
    with pytest.raises(ValueError, match="images must"):
        diagnostic(constant_vae(np.zeros(2), 0.0), bad)


# ---- units that fire ------------------------------------------------------------


def test_firing_shares_count_a_unit_that_fires_on_any_image():
    """Two units, each of which fires on one image of 300; a third that never does."""
    pixels = keras.Input((1, 3, 1))
    hidden = keras.layers.ReLU()(keras.layers.Flatten()(pixels))
    vae = VAE(
        keras.Model(pixels, [keras.layers.Dense(2)(hidden), keras.layers.Dense(2)(hidden)]),
        linear_decoder((1, 3, 1), np.zeros((2, 3)), np.zeros(3)),
    )
    images = np.zeros((1300, 1, 3, 1), "float32")
    images[3, 0, 0], images[1299, 0, 2] = 0.5, 1.0
    np.testing.assert_allclose(firing_shares(vae, images), [2 / 3])


def test_firing_shares_of_a_convolution_count_its_filters():
    params = Params(image_shape=(8, 8, 1), conv_filters=(4, 6), conv_units=10)
    vae = VAE(conv_encoder(params), conv_decoder(params))
    images = np.random.default_rng(0).uniform(size=(20, 8, 8, 1))
    conv = vae.encoder.layers[2]
    conv.set_weights([np.zeros(conv.kernel.shape), np.array([1, 1, 1, -1, -1, -1])])
    first, second, _ = firing_shares(vae, images)
    assert first > 0 and second == 0.5
    dense = vae.encoder.layers[4]
    dense.set_weights([np.zeros(dense.kernel.shape), np.full(10, -1.0)])
    assert firing_shares(vae, images)[2] == 0


def test_firing_shares_need_relus():
    with pytest.raises(ValueError, match="must have layers with ReLUs"):
        firing_shares(constant_vae(np.zeros(2), 0.0), IMAGES)


# ---- linear probe --------------------------------------------------------------


def test_linear_probe_reads_a_class_from_a_code_that_holds_it_and_from_no_other():
    images = normal_pixels(600, 2)
    labels = (images[:, 0, 0, 0] > 0.5).astype(int)
    parts = images[:300], labels[:300], images[300:], labels[300:]
    assert linear_probe(channel([3.0, 0.0], -1.0), *parts) > 0.95
    # The second pixel knows nothing of the first: a coin's accuracy, give or take 3 %.
    assert linear_probe(channel([0.0, 3.0], -1.0), *parts) == pytest.approx(0.5, abs=0.12)


def test_linear_probe_takes_the_means_as_they_are():
    """What is a thousandth of the posterior's noise does not count as a code."""
    images = normal_pixels(600, 2)
    labels = (images[:, 0, 0, 0] > 0.52).astype(int)
    parts = images[:300], labels[:300], images[300:], labels[300:]
    usual = max(labels[300:].mean(), 1 - labels[300:].mean())
    assert linear_probe(channel([1e-3, 0.0], 0.0), *parts) == pytest.approx(usual)


def test_linear_probe_refuses_bad_images_and_missing_labels():
    vae = constant_vae(np.zeros(2), 0.0)
    labels = np.arange(300) % 2
    with pytest.raises(ValueError, match="train must"):
        linear_probe(vae, IMAGES * 255, labels, IMAGES, labels)
    with pytest.raises(ValueError, match=r"train_labels must have shape \(300,\).*got \(10,\)"):
        linear_probe(vae, IMAGES, labels[:10], IMAGES, labels)


@pytest.mark.parametrize("samples", [0, -1, float("nan")])
def test_a_bad_number_of_samples_is_refused(samples):
    with pytest.raises(ValueError, match="samples"):
        importance_weighted_bound(constant_vae(np.zeros(2), 0.0), IMAGES, samples)


# ---- the plateau ---------------------------------------------------------------


def a_record(errors):
    return {"step": 10 * np.arange(len(errors)), "mse": np.array(errors)}


def test_plateau_begins_at_the_mean_image_and_ends_when_the_error_falls_for_good():
    errors = [0.2, 0.12, 0.071, 0.070, 0.069, 0.065, 0.067, 0.06, 0.05]
    # 0.065 is below 95 % of 0.07, but the next one isn't.
    assert plateau(a_record(errors), 0.07) == (20, 70)


def test_a_plateau_is_told_in_whole_steps():
    with pytest.raises(ValueError, match="must hold whole numbers"):
        plateau({"step": np.array([0.5]), "mse": np.array([0.1])}, 0.07)


def test_a_plateau_may_last_until_the_end():
    assert plateau(a_record([0.2, 0.07, 0.07, 0.0699]), 0.07) == (10, None)


def test_a_plateau_may_be_left_between_two_looks():
    assert plateau(a_record([0.2, 0.05, 0.04]), 0.07) == (10, 10)


def test_a_run_that_was_good_from_the_start_has_an_empty_plateau():
    record = {"step": np.array([0, 10, 20]), "mse": np.array([0.05, 0.04, 0.03])}
    assert plateau(record, 0.1) == (0, 0)
