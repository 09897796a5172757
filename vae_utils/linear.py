"""The linear case, where the optimum, and so which units collapse, is known in closed form.

A linear VAE draws z ~ N(0, I) and x ~ N(Wz + μ, σ²I): probabilistic principal component
analysis (Tipping & Bishop 1999), whose ELBO has the same optimum as its likelihood
(Lucas et al. 2019, arXiv 1911.02469, section 4). With a weight β on the KL, the optimum is
that of variance βσ²: the loss, divided by β, is the negative ELBO of a likelihood with βσ²,
up to a constant.
"""

from dataclasses import dataclass

import numpy as np

from vae_utils.checks import (
    LARGEST_FLOAT,
    as_array,
    as_numbers,
    check_finite,
    check_images,
    check_positive,
    check_whole,
)


def covariance(images: np.ndarray) -> np.ndarray:
    """Return the covariance matrix of images, divided by their number: (pixels, pixels).

    Args:
        images: (n, h, w, c) in [0, 1], or a matrix (n, pixels) of any finite numbers.

    Raises:
        ValueError: on bad images, or on a matrix that is empty or not finite.

    Example:
        >>> covariance(np.array([[0.0, 0.0], [2.0, 4.0]]))
        array([[1., 2.],
               [2., 4.]])
    """
    flat = as_array(images, "images")
    if flat.ndim == 2:
        # Not in float16, in which nothing is added up, nor in whole numbers.
        kept = flat.dtype == "float32"
        flat = as_numbers(flat, "the matrix", "float32" if kept else "float64")
        if flat.size == 0:
            raise ValueError("the matrix must hold at least one number; got none")
    else:
        pictures = check_images(images)
        flat = pictures.reshape(len(pictures), -1)
    with np.errstate(over="ignore", invalid="ignore"):
        centred = flat - flat.mean(axis=0)
        product = centred.T @ centred / len(centred)
    check_finite([product], "the matrix's numbers")
    return product


def eigenvalues(images: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of the images' covariance matrix, largest first: (pixels,).

    At the optimum, a linear VAE uses principal component i if and only if i is at most its
    latent size, and eigenvalue i above the likelihood's variance times the KL weight.

    Args:
        images: as for `covariance`.

    Raises:
        ValueError: as `covariance`.

    Example:
        >>> eigenvalues(np.array([[0.0, 0.0], [2.0, 4.0]]))
        array([5., 0.])
    """
    # Below 0 only by rounding.
    return np.linalg.eigvalsh(covariance(images))[::-1].clip(0)


@dataclass(frozen=True, eq=False)
class Optimum:
    """The best linear VAE for a covariance matrix.

    Attributes:
        eigenvalues: of the covariance matrix, largest first: (pixels,).
        active_units: number of latent units that are used.
        weights: W, of shape (pixels, latent_size); 0 for units that are not used.
        posterior_variance: of each unit, the same for all images: (latent_size,).
        kl_per_unit: averaged over the images, in nats: (latent_size,).
        squared_error: of a reconstruction from a posterior sample, summed over the pixels
            and averaged over the images.
        log_likelihood: ln p(x), averaged over the images, in nats.
        elbo: at weight 1, averaged over the images, in nats. At β = 1 it is `log_likelihood`.
    """

    eigenvalues: np.ndarray
    active_units: int
    weights: np.ndarray
    posterior_variance: np.ndarray
    kl_per_unit: np.ndarray
    squared_error: float
    log_likelihood: float
    elbo: float


def optimum(
    covariance: np.ndarray, latent_size: int, variance: float, kl_weight: float = 1.0
) -> Optimum:
    """Return the best linear VAE, in closed form.

    Unit i is used iff λ_i > βσ². Then ‖w_i‖² = λ_i − βσ², the posterior variance is βσ²/λ_i
    and the mean KL ½ ln(λ_i/(βσ²)) (Lucas et al. 2019 for β = 1).

    Args:
        covariance: of the data, divided by their number: (pixels, pixels).
        latent_size: number of latent units, from 1 to the number of pixels.
        variance: σ² of the likelihood, positive.
        kl_weight: β, positive.

    Raises:
        ValueError: if the matrix is not a covariance, or on a number out of range.

    Example:
        >>> best = optimum(np.diag([4.0, 1.5]), latent_size=2, variance=1.0, kl_weight=2.0)
        >>> best.active_units, best.posterior_variance  # only 4 is above 2 · 1
        (1, array([0.5, 1. ]))
    """
    matrix = _checked_covariance(covariance)
    pixels = len(matrix)
    check_whole(latent_size, 1, "latent_size", high=pixels)
    check_positive(variance, "variance")
    check_positive(kl_weight, "kl_weight")
    values, vectors = np.linalg.eigh(matrix)
    if values[0] < -1e-6 * np.abs(matrix).max():
        raise ValueError("a covariance must not have negative eigenvalues")
    # Below 0 only by rounding.
    values, vectors = values[::-1].clip(0), vectors[:, ::-1]
    threshold = check_positive(kl_weight * variance, "kl_weight · variance")
    leading = values[:latent_size]
    active = leading > threshold
    used = np.where(active, leading, threshold)  # so that an idle unit has weight 0, variance 1
    kl = 0.5 * np.log(used) - 0.5 * np.log(threshold)

    model_variances = np.full(pixels, float(variance))
    model_variances[:latent_size] += used - threshold
    # What is left out is added up by itself: subtracted from the whole, it would be lost.
    error = active.sum() * threshold + leading[~active].sum() + values[latent_size:].sum()
    log_likelihood = -0.5 * np.sum(np.log(2 * np.pi * model_variances) + values / model_variances)
    log_reconstruction = -0.5 * (pixels * np.log(2 * np.pi * variance) + error / variance)
    return Optimum(
        eigenvalues=values,
        active_units=int(active.sum()),
        weights=vectors[:, :latent_size] * np.sqrt(used - threshold),
        posterior_variance=threshold / used,
        kl_per_unit=kl,
        squared_error=float(error),
        log_likelihood=float(log_likelihood),
        elbo=float(log_reconstruction - kl.sum()),
    )


def _checked_covariance(covariance):
    """Return the matrix as float64, or raise a ValueError if it can't be a covariance."""
    matrix = as_numbers(covariance, "a covariance", "float64")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.size:
        raise ValueError(f"a covariance must be a square matrix; got shape {matrix.shape}")
    if not np.allclose(matrix, matrix.T, atol=1e-6 * np.abs(matrix).max()):
        raise ValueError("a covariance must be symmetric, and this one is not")
    if np.abs(matrix).max() > LARGEST_FLOAT:
        raise ValueError("a covariance must fit into float32, whose largest number is 3.4e38")
    return matrix


def best_variance(eigenvalues: np.ndarray, latent_size: int) -> float:
    """Return the variance σ² at which the likelihood of a linear VAE is highest.

    It is the mean of the eigenvalues that are left out (Tipping & Bishop 1999, equation 8),
    and so below the smallest that is kept, unless that equals all that are left out: learned at
    KL weight 1, a variance collapses no unit. For data that vary in `latent_size` directions or
    fewer, the mean is 0 up to rounding, and the likelihood has no highest value.

    Args:
        eigenvalues: of the data's covariance, largest first: (pixels,).
        latent_size: number of latent units, from 1 to pixels − 1.

    Raises:
        ValueError: on another latent size, if the largest is not first, or on a negative
            eigenvalue.

    Example:
        >>> best_variance(np.array([5.0, 2.0, 1.0]), latent_size=1)
        1.5
    """
    values = as_numbers(eigenvalues, "eigenvalues", "float64")
    if values.ndim != 1 or len(values) < 2:
        raise ValueError(
            f"eigenvalues must have shape (pixels,), for 2 pixels or more; got {values.shape}"
        )
    check_whole(latent_size, 1, "latent_size", high=len(values) - 1)
    if (np.diff(values) > 0).any():
        raise ValueError("eigenvalues must come largest first")
    if np.abs(values).max() > LARGEST_FLOAT:
        raise ValueError("eigenvalues must fit into float32, whose largest number is 3.4e38")
    if values[-1] < -1e-6 * values[0]:
        raise ValueError(f"eigenvalues of a covariance must not be negative; got {values[-1]:g}")
    return float(np.mean(values[latent_size:]))


def log_likelihood(
    weights: np.ndarray, mean: np.ndarray, variance: float, images: np.ndarray
) -> np.ndarray:
    """Return ln p(x) of each image under x ~ N(Wz + μ, σ²I), z ~ N(0, I), in nats: (n,).

    Args:
        weights: W, of shape (pixels, latent_size).
        mean: μ, of shape (pixels,).
        variance: σ², positive.
        images: (n, h, w, c) or (n, pixels).

    Raises:
        ValueError: if the variance is not positive, on shapes that don't go together, or on
            numbers whose squares are not finite.

    Example:
        >>> weights, images = np.array([[1.0], [0.0]]), np.array([[0.0, 0.0], [2.0, 0.0]])
        >>> log_likelihood(weights, np.zeros(2), 1.0, images)  # pixel variances 2 and 1
        array([-2.18445066, -3.18445066])
    """
    check_positive(variance, "variance")
    weights = as_numbers(weights, "weights", "float64")
    if weights.ndim != 2 or not weights.size:
        raise ValueError(f"weights must have shape (pixels, latent_size); got {weights.shape}")
    pixels, latent_size = weights.shape
    mean = as_numbers(mean, "mean", "float64")
    if mean.shape != (pixels,):
        raise ValueError(f"mean must have shape ({pixels},), as weights have; got {mean.shape}")
    rows = as_numbers(images, "images", "float64")
    if rows.ndim not in (2, 4) or not rows.size or rows[0].size != pixels:
        raise ValueError(
            f"images must have shape (n, h, w, c) or (n, pixels), with {pixels} pixels as weights "
            f"have; got {rows.shape}"
        )
    # In the directions that W reaches, the variance is σ² plus a squared singular value.
    reached, scales, _ = np.linalg.svd(weights, full_matrices=False)
    with np.errstate(over="ignore", invalid="ignore"):
        variances = np.square(scales) + variance
        centred = rows.reshape(len(rows), -1) - mean
        along = centred @ reached
        squares = (np.square(along) / variances).sum(1)
        idle = pixels - len(scales)
        if idle:  # else nothing lies beyond them but rounding, which a small σ² would blow up
            squares += np.square(centred - along @ reached.T).sum(1) / variance
        log_determinant = np.log(variances).sum() + idle * np.log(variance)
        result = -0.5 * (pixels * np.log(2 * np.pi) + log_determinant + squares)
    check_finite([result], "weights, mean, images and variance")
    return result
