"""The recogniser of generated pictures."""

from dataclasses import replace

import numpy as np
import pytest

from vae_utils.recogniser import _classifier, _flat, train_picture_distance


@pytest.fixture(scope="module")
def few(digits):
    return replace(digits, train=digits.train[:2_000], train_labels=digits.train_labels[:2_000])


@pytest.fixture(scope="module")
def distance(few):
    return train_picture_distance(few)


def test_the_distance_is_that_of_two_normal_distributions(digits, few, distance):
    assert abs(distance(few.train)) < 1e-6
    pictures = digits.test[:200] * 0.7

    def hidden(batch):
        return np.maximum(_flat(batch) @ classifier.coefs_[0] + classifier.intercepts_[0], 0)

    classifier = _classifier(few, 0)
    real, other = hidden(few.train), hidden(pictures)
    products = np.linalg.eigvals(np.cov(real.T) @ np.cov(other.T)).real.clip(0)
    traces = np.trace(np.cov(real.T)) + np.trace(np.cov(other.T))
    apart = np.square(real.mean(axis=0) - other.mean(axis=0)).sum()
    expected = apart + traces - 2 * np.sqrt(products).sum()
    assert distance(pictures) == pytest.approx(expected, rel=1e-3)


def test_one_seed_one_distance(digits, few, distance):
    pictures = digits.test[:100] * 0.5
    assert train_picture_distance(few)(pictures) == distance(pictures)


def test_what_is_no_digit_is_further_away_than_digits(digits, distance):
    one, other = digits.test[:200], digits.test[200:400]
    noise = np.random.default_rng(0).uniform(size=one.shape).astype("float32")
    shuffled = np.random.default_rng(0).permuted(one, axis=1)
    same = np.broadcast_to(one[:1], one.shape)
    near = distance(other)
    assert max(distance(batch) for batch in (one, other)) < 2 * near
    for pictures in (noise, shuffled, same, (one + other) / 2, 1 - one):
        assert distance(pictures) > 3 * near


def test_what_can_not_be_compared_is_refused(digits, distance):
    with pytest.raises(ValueError, match="pictures must have shape"):
        distance(np.zeros((3, 8, 8, 1), "float32"))
    with pytest.raises(ValueError, match="at least 2 pictures"):
        distance(digits.test[:1])
    with pytest.raises(ValueError, match="labels"):
        train_picture_distance(replace(digits, train_labels=None))
