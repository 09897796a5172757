"""A callback that backs up training, so that it can resume wherever it was killed."""

import re
from contextlib import suppress
from pathlib import Path

import keras


class BackupAndRestore(keras.callbacks.Callback):
    """Back up training after each epoch; the same call of `fit`, in a new process, resumes it.

    Like Keras' callback of this name, but a kill does no harm at any moment. Keras overwrites two
    files, the weights and the number of the epoch: a process that dies while it writes one of
    them leaves a backup that can't be read, and one that dies between the two trains its last
    epoch twice. Here the backup is one file, which is renamed into place once it is complete.

    If the seeds and all arguments are the same, training ends bit for bit as if it had never been
    killed, with `shuffle=False` or a dataset that is the same in each epoch. (Otherwise the order
    of the images starts anew, as in Keras.) After the last epoch the backup is deleted.

    Args:
        backup_dir: a folder for the backup of this training alone.

    Raises:
        ValueError: if `backup_dir` is not a path.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from vae_utils import VAE, mlp_decoder, mlp_encoder
        >>> images = np.random.default_rng(0).uniform(size=(64, 28, 28, 1))
        >>> vae = VAE(mlp_encoder(), mlp_decoder())
        >>> vae.compile(optimizer="adam")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     backup = BackupAndRestore(f"{folder}/backup")
        ...     history = vae.fit(images, epochs=2, verbose=0, callbacks=[backup])
        >>> history.epoch
        [0, 1]
    """

    def __init__(self, backup_dir: str | Path) -> None:
        super().__init__()
        if not isinstance(backup_dir, (str, Path)):
            raise ValueError(f"backup_dir must be a path; got {backup_dir!r}")
        self.backup_dir = Path(backup_dir)
        self._unfinished = self.backup_dir / "backup-unfinished.weights.h5"

    def _backups(self):
        """Return the whole backups: number of epochs -> file. After a kill there may be two."""
        files = self.backup_dir.glob("*.weights.h5")
        named = {path: re.fullmatch(r"backup-(\d+)\.weights\.h5", path.name) for path in files}
        return {int(name[1]): path for path, name in named.items() if name}

    def on_train_begin(self, logs: dict | None = None) -> None:
        backups = self._backups()
        if backups:
            epochs = max(backups)
            self.model.load_weights(backups[epochs])
            self.model._initial_epoch = epochs

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.backup_dir.mkdir(parents=True, exist_ok=True)
        self.model.save_weights(self._unfinished, overwrite=True)
        newest = self.backup_dir / f"backup-{epoch + 1}.weights.h5"
        self._unfinished.replace(newest)
        for path in set(self._backups().values()) - {newest}:
            path.unlink()

    def on_train_end(self, logs: dict | None = None) -> None:
        for path in [self._unfinished, *self._backups().values()]:
            path.unlink(missing_ok=True)
        with suppress(OSError):  # it isn't there, or holds other files
            self.backup_dir.rmdir()
        # Keras would begin the next `fit` of this model at that epoch, too.
        self.model._initial_epoch = None
