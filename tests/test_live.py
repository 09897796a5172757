"""The scripts of `live/`, as far as no browser is needed."""

import numpy as np
from sklearn.datasets import load_digits

from tools import live_scripts


def test_the_digits_are_written_without_loss():
    written = live_scripts.digits()
    small, labels = load_digits(return_X_y=True)
    letters = np.frombuffer(written["digits"].encode(), "uint8").reshape(small.shape)
    np.testing.assert_array_equal(letters - ord("a"), small)
    np.testing.assert_array_equal(list(written["labels"]), labels.astype(str))
    # No digit of the test images was seen in training.
    assert not set(written["test"]["rows"]) & set(written["train"]["rows"])


def test_all_scripts_of_the_folder_are_used():
    files = {file.stem for file in live_scripts.LIVE.glob("*.js")}
    assert files == {*live_scripts.WORKER, *live_scripts.PAGE}


def test_the_page_says_how_many_images_there_are():
    page = (live_scripts.LIVE.parent / "book/live.md").read_text("utf8")
    train, test = live_scripts.TRAIN_IMAGES, live_scripts.TEST_IMAGES
    assert f"{train:,} for training, {test} for testing" in page
