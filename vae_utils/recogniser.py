"""Do generated pictures look like the data? A classifier's opinion, in one number."""

from collections.abc import Callable

import numpy as np
from sklearn.neural_network import MLPClassifier

from vae_utils.checks import check_images, check_seed
from vae_utils.data import Images, check_split

LEARN_FROM = 10_000


def train_picture_distance(images: Images, seed: int = 0) -> Callable[[np.ndarray], float]:
    """Train a small classifier on real images; return a function that measures a distance.

    The function takes pictures (n, h, w, c) in [0, 1], and returns their distance from the
    training images, as the hidden units of the classifier see both: 0 for equal means and
    covariances. It is the Fréchet distance between two normal distributions,
    |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½), which Heusel et al. (2017, arXiv 1706.08500,
    equation 6) use with a larger classifier. A small set seems further away than a large
    one: compare sets of the same size, with real test images as a yardstick.

    Args:
        images: `Images`, with labels.
        seed: of the classifier's initial weights.

    Raises:
        ValueError: if the images have no labels; the function, on bad pictures, or fewer than 2.
    """
    check_split(images)
    check_seed(seed)
    classifier = _classifier(images, seed)
    shape = images.train.shape[1:]

    def moments(pictures):
        hidden = _flat(pictures) @ classifier.coefs_[0] + classifier.intercepts_[0]
        hidden = np.maximum(hidden, 0).astype("float64")  # the classifier's ReLUs
        return hidden.mean(axis=0), np.cov(hidden.T)

    real_mean, real_covariance = moments(images.train[:LEARN_FROM])
    variances, directions = np.linalg.eigh(real_covariance)
    root = (directions * np.sqrt(variances.clip(0))) @ directions.T

    def distance(pictures):
        pictures = check_images(pictures, shape, "pictures")
        if len(pictures) < 2:
            raise ValueError(f"a covariance needs at least 2 pictures; got {len(pictures)}")
        mean, covariance = moments(pictures)
        # Of Σ₁ Σ₂ and Σ₁^½ Σ₂ Σ₁^½ the eigenvalues are the same, and the second is symmetric.
        products = np.linalg.eigvalsh(root @ covariance @ root)
        traces = np.trace(real_covariance) + np.trace(covariance)
        shared = 2 * np.sqrt(products.clip(0)).sum()
        return float(np.square(mean - real_mean).sum() + traces - shared)

    return distance


def _classifier(images, seed):
    if images.train_labels is None:
        raise ValueError("images must have labels: a recogniser learns from them")
    classifier = MLPClassifier((100,), early_stopping=True, random_state=seed)
    return classifier.fit(_flat(images.train[:LEARN_FROM]), images.train_labels[:LEARN_FROM])


def _flat(images):
    return images.reshape(len(images), -1)
