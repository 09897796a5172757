"""What is refused, and whether the message says why."""

import numpy as np
import pytest

from vae_utils.checks import (
    as_array,
    check_at_least,
    check_codes,
    check_flag,
    check_images,
    check_positive,
    check_whole,
)

GOOD = np.full((2, 4, 4, 1), 0.5, "float32")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (GOOD[0], r"shape \(n, height, width, channels\).*\(4, 4, 1\)"),
        (GOOD[:0], "at least one image"),
        ((GOOD * 255).astype("uint8"), "floats in .*uint8.*images / 255"),
        (GOOD > 0, "floats in .*bool"),
        (GOOD * 255, "127.5"),
        (-GOOD, r"\[0, 1\]"),
        (GOOD * np.nan, "NaN"),
        (np.where(np.arange(2)[:, None, None, None] == 1, np.nan, GOOD), "NaN"),
        (GOOD * np.inf, "inf"),
    ],
)
def test_bad_images_are_refused_with_the_reason(images, message):
    with pytest.raises(ValueError, match=message):
        check_images(images)


def test_a_shape_that_the_model_does_not_take_is_named():
    with pytest.raises(ValueError, match=r"my images.*28.*\(2, 4, 4, 1\)"):
        check_images(GOOD, (28, 28, 1), name="my images")


def test_good_images_come_back_as_float32_unchanged():
    assert check_images(GOOD, (4, 4, 1)) is GOOD
    wide = check_images(GOOD.astype("float64"))
    assert wide.dtype == np.float32
    np.testing.assert_array_equal(wide, GOOD)
    np.testing.assert_array_equal(check_images(np.round(GOOD)), np.round(GOOD))


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros(3), r"\(n, 3\)"),
        (np.zeros((2, 4)), r"\(n, 3\).*\(2, 4\)"),
        (np.full((2, 3), np.nan), "finite"),
        (np.full((2, 3), np.inf), "finite"),
    ],
)
def test_bad_codes_are_refused_with_the_reason(codes, message):
    with pytest.raises(ValueError, match=message):
        check_codes(codes, 3)


def test_good_codes_come_back_as_float32():
    codes = check_codes([[1, 2, 3]], 3)
    assert codes.dtype == np.float32
    np.testing.assert_array_equal(codes, [[1, 2, 3]])


@pytest.mark.parametrize("value", [0.99, -1, float("nan"), float("inf")])
def test_a_number_that_is_too_low_or_not_finite_is_refused_by_name(value):
    with pytest.raises(ValueError, match=f"patience.*{value}"):
        check_at_least(value, 1, "patience")


def test_the_lowest_number_is_accepted_and_returned():
    assert check_at_least(1, 1, "patience") == 1


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf")])
def test_a_number_that_is_not_positive_is_named(value):
    with pytest.raises(ValueError, match="variance must be positive and finite; got"):
        check_positive(value, "variance")


@pytest.mark.parametrize("value", [0, 6, 2.0, np.float32(2), "2", None, True, float("nan")])
def test_a_number_that_is_not_whole_or_out_of_range_is_named(value):
    with pytest.raises(ValueError, match="side must be a whole number from 1 to 5; got"):
        check_whole(value, 1, "side", high=5)


@pytest.mark.parametrize("value", [None, "yes", 2, 1.0, np.array([]), np.ones(2)])
def test_what_is_neither_true_nor_false_is_named(value):
    with pytest.raises(ValueError, match="verbose must be True or False; got"):
        check_flag(value, "verbose")


def test_flags_come_back_as_bools():
    assert [check_flag(value, "verbose") for value in (True, np.False_, 1, 0)] == [True, False] * 2


def test_whole_numbers_come_back_as_python_s():
    assert check_positive(0.5, "variance") == 0.5
    assert type(check_whole(np.int64(5), 1, "side", high=5)) is int
    with pytest.raises(ValueError, match="side must be a whole number of at least 1; got 0"):
        check_whole(0, 1, "side")


def test_an_array_that_numpy_cannot_read_is_refused_with_the_reason():
    class Elsewhere:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("it requires a gradient")

    with pytest.raises(ValueError, match="codes, a Elsewhere, .*it requires a gradient"):
        as_array(Elsewhere(), "codes")
