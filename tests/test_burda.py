"""The big comparison, which takes hours on a GPU, goes on where it was killed."""

import sys

import numpy as np
import pytest
from killing import killed_again_and_again
from small_mnist import write

from benchmarks import burda


def a_big_comparison(folder):
    """Train on a few images, with a checkpoint after each epoch."""
    burda.KEEP_EVERY = 0
    write(folder.parent)
    data, checkpoint = folder.parent / "mnist.npz", folder / "burda.npz"
    sys.argv = ["burda.py", str(data), "--epochs=20", "--seeds=2", f"--checkpoint={checkpoint}"]
    burda.main()


@pytest.mark.fault("the comparison with Burda et al. killed with SIGKILL")
def test_a_killed_comparison_ends_as_one_that_was_not(tmp_path, tried):
    whole, *continued = killed_again_and_again(
        a_big_comparison, tmp_path, 20, start=3, files=12, tried=tried
    )
    for folder in continued:
        with np.load(folder / "burda.npz") as one, np.load(whole / "burda.npz") as other:
            assert set(one) == set(other) and int(one["done"]) == 20
            for name in set(one) - {"seconds"}:
                np.testing.assert_array_equal(one[name], other[name])
