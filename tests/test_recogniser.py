"""The recogniser of generated pictures."""

from dataclasses import replace

import numpy as np
import pytest

from vae_utils.recogniser import train_recogniser


def test_real_digits_are_named_and_digits_over_each_other_less_often(digits):
    share_named = train_recogniser(digits)
    blend = (digits.test[:200] + digits.test[200:400]) / 2
    assert share_named(digits.test[:200]) > 0.75
    assert share_named(blend) < share_named(digits.test[:200]) - 0.1


def test_one_seed_one_opinion(digits):
    pictures = digits.test[:100] * 0.5
    assert train_recogniser(digits, seed=1)(pictures) == train_recogniser(digits, seed=1)(pictures)


def test_pictures_of_another_shape_are_refused(digits):
    with pytest.raises(ValueError, match="pictures must have shape"):
        train_recogniser(digits)(np.zeros((3, 8, 8, 1), "float32"))


def test_images_without_labels_are_refused(digits):
    with pytest.raises(ValueError, match="labels"):
        train_recogniser(replace(digits, train_labels=None))
