"""Do generated pictures look like the data? A classifier's opinion, in one number."""

from collections.abc import Callable

import numpy as np
from sklearn.neural_network import MLPClassifier

from vae_utils.checks import check_images
from vae_utils.data import Images

CONFIDENCE = 0.9
LEARN_FROM = 10_000


def train_recogniser(images: Images, seed: int = 0) -> Callable[[np.ndarray], float]:
    """Train a small classifier on real images; return a function that recognises pictures.

    The function takes pictures (n, h, w, c) in [0, 1], and returns the share of them that the
    classifier recognises with a confidence above 0.9. The classifier learns from the first
    10,000 training images.

    A low share says that the pictures are not like the data. A high share does not
    prove that they are: a classifier can be sure about noise (Nguyen et al. 2015,
    arXiv 1412.1897).

    Args:
        images: `Images`, with labels.
        seed: of the classifier's start values.

    Raises:
        ValueError: if the images have no labels.
    """
    if images.train_labels is None:
        raise ValueError("a recogniser learns from labels, and these images have none")
    shape = images.train.shape[1:]
    classifier = MLPClassifier((100,), early_stopping=True, random_state=seed)
    classifier.fit(_flat(images.train[:LEARN_FROM]), images.train_labels[:LEARN_FROM])

    def share_recognised(pictures):
        pictures = check_images(pictures, shape, "pictures")
        confidence = classifier.predict_proba(_flat(pictures)).max(axis=1)
        return float(np.mean(confidence > CONFIDENCE))

    return share_recognised


def _flat(images):
    return images.reshape(len(images), -1)
