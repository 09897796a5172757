"""Collapse in numbers, from a model and images."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

from vae_utils.checks import (
    as_numbers,
    check_images,
    check_labels,
    check_positive,
    check_seed,
    check_whole,
)
from vae_utils.densities import kl_to_standard_normal, normal_log_density
from vae_utils.model import EVALUATION_BATCH, VAE, check_vae, in_batches

# A unit is active if its posterior mean varies by more than this (Burda et al. 2016, section 5.2).
ACTIVE_VARIANCE = 0.01

# Hundreds of codes for each image: the more at a time, the less is lost between operations.
SAMPLES_BATCH = 4 * EVALUATION_BATCH


def _encoded(vae, images, seed=0):
    """Return posterior means and standard deviations, after a look at the arguments."""
    check_vae(vae)
    check_seed(seed)
    return vae.encode(images)


def kl_per_unit(vae: VAE, images: np.ndarray) -> np.ndarray:
    """Return KL(q(z_i|x) ‖ p(z_i)) of each latent unit, in nats, averaged over the images.

    At 0, a unit's posterior is the prior for every image: its code says nothing. A unit far above
    0 need not be active, though: a posterior that is the same for all images may be far from the
    prior.

    Args:
        vae: a model.
        images: (n, h, w, c) in [0, 1].

    Returns:
        (latent_size,).

    Raises:
        ValueError: if `images` are not (n, h, w, c) in [0, 1].

    Example:
        >>> from vae_utils import mlp_decoder, mlp_encoder
        >>> images = np.random.default_rng(0).uniform(size=(100, 28, 28, 1))
        >>> vae = VAE(mlp_encoder(), mlp_decoder())
        >>> vae.encoder.set_weights([0 * weights for weights in vae.encoder.get_weights()])
        >>> kl = kl_per_unit(vae, images)  # q(z|x) = p(z) for every image
        >>> kl.shape, float(kl.max())
        ((32,), 0.0)
    """
    return _kl_per_unit(*_encoded(vae, images))


def _kl_per_unit(mean, std):
    return ops.convert_to_numpy(kl_to_standard_normal(mean, np.log(std))).mean(axis=0)


def active_units(vae: VAE, images: np.ndarray) -> int:
    """Count the latent units whose posterior mean varies over the images.

    Unit i is active if Var_x(E[z_i|x]) > 0.01 (Burda et al. 2016, arXiv 1509.00519,
    section 5.2). Which units are: `vae.encode(images)[0].var(axis=0) > 0.01`.

    Args:
        vae: a model.
        images: (n, h, w, c) in [0, 1].

    Raises:
        ValueError: if `images` are not (n, h, w, c) in [0, 1].

    Example:
        >>> from vae_utils import mlp_decoder, mlp_encoder
        >>> images = np.random.default_rng(0).uniform(size=(100, 28, 28, 1))
        >>> vae = VAE(mlp_encoder(), mlp_decoder())
        >>> mean = vae.encoder.get_layer("mean")
        >>> mean.set_weights([np.pad(np.ones((500, 3)), [(0, 0), (0, 29)]), np.zeros(32)])
        >>> active_units(vae, images)  # the other 29 have a mean of 0 for every image
        3
    """
    return _active_units(_encoded(vae, images)[0])


def _active_units(mean):
    return int((mean.var(axis=0) > ACTIVE_VARIANCE).sum())


def elbo(vae: VAE, images: np.ndarray, seed: int = 0) -> float:
    """Return the evidence lower bound, averaged over images, in nats.

    It takes one posterior sample per image, and the KL in closed form; always at KL weight 1,
    whatever weight the model was trained with. (`vae.evaluate` draws other samples.)

    Args:
        vae: a model.
        images: (n, h, w, c) in [0, 1].
        seed: of the posterior samples.

    Raises:
        ValueError: if `images` are not (n, h, w, c) in [0, 1], or on a seed that is not a whole
            number from 0 to 2³² − 1.

    Example:
        >>> from vae_utils import Bernoulli, mlp_decoder, mlp_encoder
        >>> images = np.random.default_rng(0).uniform(size=(100, 28, 28, 1))
        >>> vae = VAE(mlp_encoder(), mlp_decoder(), Bernoulli())
        >>> vae.set_weights([0 * weights for weights in vae.get_weights()])
        >>> round(elbo(vae, images), 1)  # a KL of 0, and 784 · ln ½
        -543.4
    """
    mean, std = _encoded(vae, images, seed)
    return _elbo_and_mse(vae, images, mean, std, seed)[0]


def mse(vae: VAE, images: np.ndarray, seed: int = 0) -> float:
    """Return the mean squared error per pixel, from one posterior sample per image.

    A `ContextVAE`'s pixel means are conditional on the true pixels before: this is not the error
    of its reconstructions.

    Args:
        vae: a model.
        images: (n, h, w, c) in [0, 1].
        seed: of the posterior samples.

    Raises:
        ValueError: if `images` are not (n, h, w, c) in [0, 1], or on a seed that is not a whole
            number from 0 to 2³² − 1.

    Example:
        >>> from vae_utils import mlp_decoder, mlp_encoder
        >>> black = np.zeros((100, 28, 28, 1))
        >>> 0.2 < mse(VAE(mlp_encoder(), mlp_decoder()), black) < 0.3  # untrained: mid-grey
        True
    """
    mean, std = _encoded(vae, images, seed)
    return _elbo_and_mse(vae, images, mean, std, seed)[1]


def _elbo_and_mse(vae, images, mean, std, seed):
    """Compute both from the same codes, one for each image."""
    images = check_images(images, vae.image_shape)
    noise = np.random.default_rng(seed).standard_normal(mean.shape, "float32")

    def fit(images, codes):
        logits = vae.logits(codes, images)
        errors = ops.mean(ops.square(images - vae.likelihood.pixel_means(logits)), axis=(1, 2, 3))
        return vae.log_likelihood(images, logits), errors

    log_likelihood, errors = in_batches(fit, images, mean + std * noise)
    kl = ops.convert_to_numpy(kl_to_standard_normal(mean, np.log(std))).sum(axis=1)
    return float((log_likelihood - kl).mean()), float(errors.mean())


def mutual_information(vae: VAE, images: np.ndarray, seed: int = 0) -> float:
    """Estimate I_q(x; z), in nats: how much a code says about which image it came from.

    The estimate is the mean of ln q(z|x) − ln q(z), with q(z) the mixture over these same
    images (Hoffman & Johnson 2016; Dieng et al. 2019). It can't exceed
    ln(number of images), so use enough of them.

    Args:
        vae: a model.
        images: (n, h, w, c) in [0, 1].
        seed: of the posterior samples.

    Raises:
        ValueError: if `images` are not (n, h, w, c) in [0, 1], or on a seed that is not a whole
            number from 0 to 2³² − 1.

    Example:
        >>> from vae_utils import mlp_decoder, mlp_encoder
        >>> one_image_only = np.full((100, 28, 28, 1), 0.5)
        >>> abs(mutual_information(VAE(mlp_encoder(), mlp_decoder()), one_image_only)) < 1e-4
        True
    """
    mean, std = _encoded(vae, images, seed)
    return _mutual_information(mean, std, seed)


def _mutual_information(mean, std, seed):
    mean, std = mean.astype("float64"), std.astype("float64")
    rng = np.random.default_rng(seed)
    codes = mean + std * rng.standard_normal(mean.shape)

    # ((z − m) / s)², multiplied out, so that two matrix products do the work. The factor
    # (2π)^(−latent_size/2) is in all densities and cancels.
    constant = np.square(mean / std).sum(axis=1) + 2 * np.log(std).sum(axis=1)
    total = 0.0
    for start in range(0, len(codes), EVALUATION_BATCH):
        some = codes[start : start + EVALUATION_BATCH]
        squares = np.square(some) @ (1 / std**2).T - 2 * some @ (mean / std**2).T
        log_densities = -0.5 * (squares + constant)  # ln q(code|x): (codes, images)
        own = log_densities[np.arange(len(some)), start + np.arange(len(some))]
        total += np.sum(own - logsumexp(log_densities, axis=1))
    return float(total / len(codes) + np.log(len(codes)))


def importance_weighted_bound(
    vae: VAE, images: np.ndarray, samples: int = 100, seed: int = 0
) -> float:
    """Return the IWAE bound ln (1/K) Σ p(x, z_k) / q(z_k|x), averaged over images, in nats.

    In expectation it never decreases with K: it goes from the ELBO at K = 1 towards ln p(x)
    (Burda et al. 2016, arXiv 1509.00519, equation 8).

    Args:
        vae: a model.
        images: (n, h, w, c) in [0, 1].
        samples: K, at least 1.
        seed: of the posterior samples.

    Raises:
        ValueError: if `samples` is not a whole number of at least 1, or on bad images.

    Example:
        >>> from vae_utils import mlp_decoder, mlp_encoder
        >>> images = np.random.default_rng(0).uniform(size=(100, 28, 28, 1))
        >>> vae = VAE(mlp_encoder(), mlp_decoder())
        >>> importance_weighted_bound(vae, images, samples=50) > elbo(vae, images)
        True
    """
    return float(importance_weighted_bounds(vae, images, samples, seed).mean())


def importance_weighted_bounds(
    vae: VAE, images: np.ndarray, samples: int = 100, seed: int = 0
) -> np.ndarray:
    """Return the bound of each image: (n,). See `importance_weighted_bound`."""
    samples = check_whole(samples, 1, "samples")
    mean, std = _encoded(vae, images, seed)
    images = check_images(images, vae.image_shape)
    rng = np.random.default_rng(seed)

    def log_prob(images, codes):
        return vae.log_likelihood(images, vae.logits(codes, images))

    # As many samples at a time as fill a batch.
    at_once = max(1, SAMPLES_BATCH // len(images))
    log_weights = np.empty((samples, len(images)))
    for k in range(0, samples, at_once):
        count = min(at_once, samples - k)
        codes = mean + std * rng.standard_normal((count, *mean.shape), "float32")
        log_ratio = normal_log_density(codes, 0.0, 0.0) - normal_log_density(
            codes, mean, np.log(std)
        )
        repeated = np.tile(images, (count, 1, 1, 1))
        codes = codes.reshape(-1, vae.latent_size)
        log_likelihood = in_batches(log_prob, repeated, codes, rows=SAMPLES_BATCH)
        log_weights[k : k + count] = log_likelihood.reshape(count, -1) + ops.convert_to_numpy(
            ops.sum(log_ratio, axis=-1)
        )
    return logsumexp(log_weights, axis=0) - np.log(samples)


def summary(vae: VAE, images: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Compute the diagnostics of a model on test images.

    Args:
        vae: a model.
        images: (n, h, w, c) in [0, 1]. The mutual information uses only the first thousand.
        seed: of the posterior samples.

    Returns:
        A dict of `elbo`, `kl` and `mutual_information` in nats, `active_units`, and `mse`
        per pixel.

    Raises:
        ValueError: if `images` are not (n, h, w, c) in [0, 1], or on a seed that is not a whole
            number from 0 to 2³² − 1.

    Example:
        >>> from vae_utils import mlp_decoder, mlp_encoder
        >>> images = np.random.default_rng(0).uniform(size=(100, 28, 28, 1))
        >>> numbers = summary(VAE(mlp_encoder(), mlp_decoder()), images)
        >>> list(numbers)
        ['elbo', 'kl', 'mutual_information', 'active_units', 'mse']
    """
    mean, std = _encoded(vae, images, seed)
    elbo, mse = _elbo_and_mse(vae, images, mean, std, seed)
    return {
        "elbo": elbo,
        "kl": float(_kl_per_unit(mean, std).sum()),
        "mutual_information": _mutual_information(mean[:1000], std[:1000], seed),
        "active_units": _active_units(mean),
        "mse": mse,
    }


def firing_shares(vae: VAE, images: np.ndarray) -> np.ndarray:
    """Return the share of units that fire, for each layer of the encoder with ReLUs.

    A unit fires if its output is above 0 for at least one of the images. A layer in which none
    does passes on no gradient from these images: neither it nor the layers before it learn from
    them, whatever the loss. Such an encoder is dead (Lu et al. 2020, arXiv 1903.06733).

    Args:
        vae: a model.
        images: (n, h, w, c) in [0, 1].

    Returns:
        One share for each such layer, from the image to the code. A filter of a convolution is
        one unit.

    Raises:
        ValueError: on bad images, or if no layer of the encoder has ReLUs.

    Example:
        >>> from vae_utils import mlp_decoder, mlp_encoder
        >>> images = np.random.default_rng(0).uniform(size=(100, 28, 28, 1))
        >>> vae = VAE(mlp_encoder(), mlp_decoder())
        >>> last = vae.encoder.layers[3]  # after the images, flattened, and 500 units
        >>> last.set_weights([0 * last.kernel, np.where(np.arange(500) < 125, 1.0, -1.0)])
        >>> float(firing_shares(vae, images)[1])
        0.25
    """
    check_vae(vae)
    images = check_images(images, vae.image_shape)
    relus = [layer for layer in vae.encoder.layers if _is_relu(layer)]
    if not relus:
        raise ValueError("the encoder must have layers with ReLUs; got none")
    outputs = keras.Model(vae.encoder.input, [layer.output for layer in relus])

    def fires(batch):
        above = (ops.convert_to_numpy(o) > 0 for o in keras.tree.flatten(outputs(batch)))
        return tuple(each.reshape(len(batch), -1, each.shape[-1]).any(axis=1) for each in above)

    return np.array([firing.any(axis=0).mean() for firing in in_batches(fires, images)])


def _is_relu(layer):
    relu = keras.activations.relu
    return isinstance(layer, keras.layers.ReLU) or getattr(layer, "activation", None) is relu


def linear_probe(
    vae: VAE,
    train: np.ndarray,
    train_labels: np.ndarray,
    test: np.ndarray,
    test_labels: np.ndarray,
) -> float:
    """Return the test accuracy, in [0, 1], of a linear classifier of the posterior means.

    The classifier is a logistic regression. It takes the means as they are: after scaling each
    unit to variance 1, differences far smaller than the posterior's noise would count as much
    as any other.

    Args:
        vae: a model.
        train, test: images (n, h, w, c) in [0, 1].
        train_labels, test_labels: classes (n,).

    Raises:
        ValueError: on bad images, if there is not one label for each image, or if the training
            labels are all the same.

    Example:
        >>> from vae_utils import mlp_decoder, mlp_encoder
        >>> labels = np.arange(100) % 2
        >>> images = np.broadcast_to(labels[:, None, None, None], (100, 28, 28, 1)) * 0.9
        >>> linear_probe(VAE(mlp_encoder(), mlp_decoder()), images, labels, images, labels)
        1.0
    """
    check_vae(vae)
    train = check_images(train, vae.image_shape, "train")
    test = check_images(test, vae.image_shape, "test")
    train_labels = check_labels(train_labels, len(train), "train_labels")
    test_labels = check_labels(test_labels, len(test), "test_labels")
    if len(np.unique(train_labels)) == 1:
        raise ValueError(f"train_labels must be of two classes or more; got {train_labels[0]} only")
    classifier = LogisticRegression(max_iter=300)
    classifier.fit(vae.encode(train)[0], train_labels)
    return float(np.mean(classifier.predict(vae.encode(test)[0]) == test_labels))


def plateau(record: Mapping[str, Any], mean_image_mse: float) -> tuple[int, int | None]:
    """Find the plateau on which the error stays near that of the mean image.

    It begins once the error is less than 10 % above the mean image's, and ends when the error
    falls below 95 % of it for good.

    Args:
        record: of a `Recorder`.
        mean_image_mse: error of the mean training image on the images that the
            `Recorder` watched.

    Returns:
        (begin, end), in steps. `end` is None if the plateau lasts until the end of training,
        and `begin` is the last step if the error never came so low. If the error never
        stays near that of the mean image, the plateau is empty: both are the same step.

    Raises:
        ValueError: on anything but a record with a step and an error for each look, or on an
            error of the mean image that is not positive.

    Example:
        >>> record = {"step": np.arange(6) * 10, "mse": np.array([9, 1, 1, 1, 0.5, 0.4])}
        >>> plateau(record, mean_image_mse=1.0)
        (10, 40)
    """
    if not isinstance(record, Mapping) or not {"step", "mse"} <= set(record):
        raise ValueError("record must be that of a Recorder, with its step and mse")
    steps, error = (as_numbers(record[name], f"record[{name!r}]") for name in ("step", "mse"))
    if steps.ndim != 1 or steps.shape != error.shape or not len(steps):
        raise ValueError(
            "record must hold one step and one mse for each look, and at least one; got shapes "
            f"{steps.shape} and {error.shape}"
        )
    if (steps != np.floor(steps)).any():
        raise ValueError("record['step'] must hold whole numbers")
    with np.errstate(over="ignore"):
        error = error / check_positive(mean_image_mse, "mean_image_mse")
    begin = int(steps[np.argmax(np.append(error, 0) < 1.1).clip(max=len(steps) - 1)])
    high = np.flatnonzero(error >= 0.95)
    if len(high) == 0:
        return begin, begin
    if high[-1] == len(steps) - 1:
        return begin, None
    return begin, int(steps[high[-1] + 1])
