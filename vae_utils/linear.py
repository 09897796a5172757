"""The linear case, in which collapse can be solved exactly."""

import numpy as np

from vae_utils.checks import check_images


def eigenvalues(images):
    """Eigenvalues of the images' covariance matrix, largest first: (pixels,).

    Direction i of a linear VAE's latent space is used at the optimum if and only
    if eigenvalue i is above the likelihood's variance (Lucas et al. 2019,
    arXiv 1911.02469, section 4).

    Args:
        images: (n, h, w, c) in [0, 1].

    Raises:
        ValueError: on bad images.
    """
    images = check_images(images)
    flat = images.reshape(len(images), -1)
    centred = flat - flat.mean(axis=0)
    return np.linalg.eigvalsh(centred.T @ centred / len(centred))[::-1]
