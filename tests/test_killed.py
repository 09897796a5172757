"""Killed with SIGKILL at any moment, and continued: as if nothing had happened."""

import shutil

import h5py
import keras
import numpy as np
import pytest
from conftest import TINY, bright_bars
from killing import killed_again_and_again

from vae_utils import (
    VAE,
    BackupAndRestore,
    Gaussian,
    Images,
    mlp_decoder,
    mlp_encoder,
    sweep,
    sweeps,
)
from vae_utils.programs import state
from vae_utils.schedules import Linear

BARS = Images(bright_bars(32), bright_bars(32, seed=1), None, None, "bars", "of this test")


def assert_all_as_undisturbed(folders):
    undisturbed, *continued = [(folder / "result").read_bytes() for folder in folders]
    assert continued and all(result == undisturbed for result in continued)


# ---- a training ------------------------------------------------------------------


def show_what_is_written():
    """Have each array that h5py writes be seen: it writes in C, without an event for killing.py."""
    create = h5py.Group.create_dataset

    def create_dataset(self, *arguments, **settings):
        result = create(self, *arguments, **settings)
        with open(self.file.filename, "rb"):
            return result

    h5py.Group.create_dataset = create_dataset


def a_training(folder):
    """Train, backed up, and write down all that it comes to: weights, optimizer, noise, steps."""
    if list(folder.glob("backup/backup-unfinished*")):
        with open(folder / "met", "a") as file:
            file.write("half a backup\n")
    show_what_is_written()
    keras.utils.set_random_seed(0)
    vae = VAE(mlp_encoder(TINY), mlp_decoder(TINY), Gaussian(0.5), Linear(rate=0.01), seed=0)
    vae.compile("adam", jit_compile=False)
    vae.fit(
        BARS.train,
        batch_size=16,
        epochs=8,
        shuffle=False,
        verbose=0,
        callbacks=[BackupAndRestore(folder / "backup")],
    )
    assert int(vae.step) == 16 and not (folder / "backup").exists()
    values = (keras.ops.convert_to_numpy(variable) for variable in state(vae))
    (folder / "result").write_bytes(b"".join(value.tobytes() for value in values))


@pytest.mark.fault("training killed with SIGKILL")
def test_a_killed_training_ends_as_one_that_was_not(tmp_path, tried):
    folders = killed_again_and_again(a_training, tmp_path, 20, start=2, files=60, tried=tried)
    assert_all_as_undisturbed(folders)
    met = [file.read_text() for folder in folders for file in folder.glob("met")]
    assert "".join(met).count("half a backup") >= 5


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def test_a_shuffled_training_continues_from_its_backup(make_vae, bars, tmp_path):
    """Only the order of the images starts anew, as in Keras."""

    def fit(vae, epochs, *callbacks):
        return vae.fit(bars, batch_size=16, epochs=epochs, verbose=0, callbacks=callbacks)

    one, other, by_hand = make_vae(), make_vae(), make_vae()
    for vae in (one, other, by_hand):
        vae.compile("adam", jit_compile=False)
    folder = tmp_path / "backup"
    (tmp_path / "backup").mkdir()
    others = {"of-mine.txt", "epoch-7.weights.h5"}  # such as ModelCheckpoint may write
    for name in others:
        (folder / name).write_text("stays")
    with pytest.raises(KeyboardInterrupt):
        fit(one, 5, BackupAndRestore(folder), Interrupt())
    shutil.copy(folder / "backup-2.weights.h5", tmp_path / "copy.weights.h5")

    keras.utils.set_random_seed(1)
    assert fit(other, 5, BackupAndRestore(folder)).epoch == [2, 3, 4]
    by_hand.load_weights(tmp_path / "copy.weights.h5")
    keras.utils.set_random_seed(1)
    fit(by_hand, 3)
    for a, b in zip(state(other), state(by_hand), strict=True):
        np.testing.assert_array_equal(a, b)
    assert {path.name for path in folder.iterdir()} == others
    assert fit(other, 1).epoch == [0]  # a new training begins at its beginning


# ---- a sweep ---------------------------------------------------------------------


def a_sweep(folder):
    """Train twelve models, and write down what is returned; note each training that begins."""
    train = sweeps.train

    def noted(*arguments, **settings):
        with open(folder / "begun", "a") as file:
            print(settings["kl_weight"], settings["seed"], file=file)
        return train(*arguments, **settings)

    sweeps.train = noted
    results = sweep(
        "mlp",
        BARS,
        10,
        over={"kl_weight": [0.5, 1.0], "seed": list(range(6))},
        folder=folder / "runs",
        jobs=1,
        likelihood=Gaussian(0.5),
        params=TINY,
        callbacks=[],
    )
    kept = [f"{one.settings} {one.summary} {list(one.record)}".encode() for one in results]
    kept += [values.tobytes() for one in results for values in one.record.values()]
    (folder / "result").write_bytes(b"".join(kept))


@pytest.mark.fault("a sweep killed with SIGKILL")
def test_a_killed_sweep_ends_as_one_that_was_not(tmp_path, tried):
    folders = killed_again_and_again(a_sweep, tmp_path, 20, start=2, files=20, tried=tried)
    assert_all_as_undisturbed(folders)
    # A kill costs one run at most: those that had ended aren't trained again.
    begun = [len((folder / "begun").read_text().splitlines()) for folder in folders]
    assert begun[0] == 12 and sum(begun[1:]) <= 12 * len(folders[1:]) + 20
