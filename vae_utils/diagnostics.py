"""Collapse in numbers. All take a model and images, and return nats where it says so."""

import numpy as np
from keras import ops
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

from vae_utils.checks import check_at_least, check_images
from vae_utils.densities import kl_to_standard_normal, normal_log_density
from vae_utils.model import EVALUATION_BATCH, in_batches

# A unit is active if its posterior mean varies by more than this (Burda et al. 2016, section 5.2).
ACTIVE_VARIANCE = 0.01


def kl_per_unit(vae, images):
    """KL(q(z_i|x) ‖ p(z_i)) of each latent unit, averaged over images: (latent_size,), nats."""
    return _kl_per_unit(*vae.encode(images))


def _kl_per_unit(mean, std):
    return ops.convert_to_numpy(kl_to_standard_normal(mean, np.log(std))).mean(axis=0)


def active_units(vae, images):
    """The number of latent units whose posterior mean varies over the images.

    Unit i is active if Var_x(E[z_i|x]) > 0.01 (Burda et al. 2016, arXiv 1509.00519).
    """
    return _active_units(vae.encode(images)[0])


def _active_units(mean):
    return int((mean.var(axis=0) > ACTIVE_VARIANCE).sum())


def elbo(vae, images, seed=0):
    """The evidence lower bound, averaged over images, in nats.

    One posterior sample per image and the KL in closed form; always at KL
    weight 1, whatever weight the model was trained with.
    """
    return _elbo_and_mse(vae, images, *vae.encode(images), seed)[0]


def mse(vae, images, seed=0):
    """Squared error per pixel of the reconstructions from one posterior sample per image."""
    return _elbo_and_mse(vae, images, *vae.encode(images), seed)[1]


def _elbo_and_mse(vae, images, mean, std, seed):
    """Both from the same codes, one for each image."""
    images = check_images(images, vae.image_shape)
    noise = np.random.default_rng(seed).standard_normal(mean.shape, "float32")

    def fit(images, codes):
        logits = vae.logits(codes, images)
        errors = ops.mean(ops.square(images - vae.likelihood.pixel_means(logits)), axis=(1, 2, 3))
        return vae.log_likelihood(images, logits), errors

    log_likelihood, errors = in_batches(fit, images, mean + std * noise)
    kl = ops.convert_to_numpy(kl_to_standard_normal(mean, np.log(std))).sum(axis=1)
    return float((log_likelihood - kl).mean()), float(errors.mean())


def mutual_information(vae, images, seed=0):
    """Estimate of I_q(x; z), in nats: how much a code says about which image it came from.

    The mean of ln q(z|x) − ln q(z), with q(z) the mixture over these same
    images (Hoffman & Johnson 2016; Dieng et al. 2019). It can't exceed
    ln(number of images), so use enough of them.
    """
    return _mutual_information(*vae.encode(images), seed)


def _mutual_information(mean, std, seed):
    mean, std = mean.astype("float64"), std.astype("float64")
    rng = np.random.default_rng(seed)
    codes = mean + std * rng.standard_normal(mean.shape)

    def log_density(code):
        """ln q(code|x) for every image x."""
        scaled = (code - mean) / std
        return -0.5 * np.square(scaled).sum(1) - np.log(std).sum(1)

    # The factor (2π)^(−L/2) is in both terms and cancels.
    total = 0.0
    for index, code in enumerate(codes):
        log_densities = log_density(code)
        total += log_densities[index] - (logsumexp(log_densities) - np.log(len(codes)))
    return float(total / len(codes))


def importance_weighted_bound(vae, images, samples=100, seed=0):
    """The IWAE bound ln (1/K) Σ p(x, z_k) / q(z_k|x), averaged over images, in nats.

    Rises from the ELBO at K = 1 towards ln p(x) (Burda et al. 2016, equation 8).

    Args:
        samples: K, at least 1.

    Raises:
        ValueError: if `samples` is below 1, or on bad images.
    """
    return float(importance_weighted_bounds(vae, images, samples, seed).mean())


def importance_weighted_bounds(vae, images, samples=100, seed=0):
    """As `importance_weighted_bound`, for each image: (n,)."""
    samples = int(check_at_least("samples", samples, 1))
    images = check_images(images, vae.image_shape)
    mean, std = vae.encode(images)
    rng = np.random.default_rng(seed)

    def log_prob(images, codes):
        return vae.log_likelihood(images, vae.logits(codes, images))

    # So many samples at a time that a batch is full; with few images, that is many.
    at_once = max(1, EVALUATION_BATCH // len(images))
    log_weights = np.empty((samples, len(images)))
    for k in range(0, samples, at_once):
        count = min(at_once, samples - k)
        codes = mean + std * rng.standard_normal((count, *mean.shape), "float32")
        log_ratio = normal_log_density(codes, 0.0, 0.0) - normal_log_density(
            codes, mean, np.log(std)
        )
        repeated = np.tile(images, (count, 1, 1, 1))
        log_likelihood = in_batches(log_prob, repeated, codes.reshape(-1, vae.latent_size))
        log_weights[k : k + count] = log_likelihood.reshape(count, -1) + ops.convert_to_numpy(
            ops.sum(log_ratio, axis=-1)
        )
    return logsumexp(log_weights, axis=0) - np.log(samples)


def summary(vae, images, seed=0):
    """The diagnostics of a model on test images, as a dict of numbers.

    `elbo`, `kl`, `mutual_information` in nats, `active_units`, `mse` per pixel.
    The mutual information takes the first thousand images.
    """
    mean, std = vae.encode(images)
    elbo, mse = _elbo_and_mse(vae, images, mean, std, seed)
    return {
        "elbo": elbo,
        "kl": float(_kl_per_unit(mean, std).sum()),
        "mutual_information": _mutual_information(mean[:1000], std[:1000], seed),
        "active_units": _active_units(mean),
        "mse": mse,
    }


def linear_probe(vae, train, train_labels, test, test_labels):
    """Share of test images whose class a linear classifier names from the posterior mean.

    The classifier is a logistic regression. It takes the means as they are: standardised,
    differences that drown in the posterior's noise would count like any other.

    Args:
        train, test: images (n, h, w, c) in [0, 1].
        train_labels, test_labels: classes (n,).

    Raises:
        ValueError: on bad images, or if there are not as many labels as images.
    """
    classifier = LogisticRegression(max_iter=300)
    classifier.fit(vae.encode(train)[0], train_labels)
    return float(classifier.score(vae.encode(test)[0], test_labels))


def plateau(record, mean_image_mse):
    """First and last step of the plateau on which the error is about the mean image's.

    It begins once the error is within 10 % of the mean image's, and ends when
    the error falls for good below 95 % of it.

    Args:
        record: of a `Recorder`.
        mean_image_mse: error of the mean training image on the images that the
            `Recorder` watched.

    Returns:
        (begin, end); `end` is None if the plateau lasts until the end, and
        `begin` is the last step if the error never came so low. If the error was
        low from the start, the plateau is empty: both are the first step.
    """
    steps, error = record["step"], record["mse"] / mean_image_mse
    begin = int(steps[np.argmax(np.append(error, 0) < 1.1).clip(max=len(steps) - 1)])
    high = np.flatnonzero(error >= 0.95)
    if len(high) == 0:
        return begin, begin
    if high[-1] == len(steps) - 1:
        return begin, None
    return begin, int(steps[high[-1] + 1])
