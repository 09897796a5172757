"""The linear case against scikit-learn."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from vae_utils.linear import eigenvalues


def test_eigenvalues_are_the_variances_of_principal_components():
    images = np.random.default_rng(0).random((50, 3, 4, 1)).astype("float32")
    images[..., 0, :] *= images[..., 1, :]
    pca = PCA().fit(images.reshape(50, -1))
    # scikit-learn divides by n − 1, the likelihood by n.
    np.testing.assert_allclose(eigenvalues(images), pca.explained_variance_ * 49 / 50, rtol=1e-4)


def test_eigenvalues_refuse_what_is_not_images():
    with pytest.raises(ValueError, match="shape"):
        eigenvalues(np.zeros((5, 4), "float32"))
