"""Many runs, one for each combination of settings: on all cores, or on a cluster."""

import hashlib
import os
import pickle
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import joblib
import numpy as np
from sklearn.model_selection import ParameterGrid
from tqdm import tqdm

from vae_utils.data import Images
from vae_utils.diagnostics import summary
from vae_utils.runs import train


@dataclass(frozen=True)
class SweepResult:
    """What is kept of one run: the settings swept over, numbers on test images, and its record.

    Example:
        >>> SweepResult({"seed": 0}, {"elbo": -12.5}, {})
        SweepResult(settings={'seed': 0}, summary={'elbo': -12.5})
    """

    settings: dict
    summary: dict[str, float]
    record: dict[str, np.ndarray] = field(repr=False)


def sweep(
    architecture: str | tuple,
    images: Images,
    steps: int,
    *,
    over: Mapping[str, Sequence],
    folder: str | Path,
    test: int = 2_000,
    jobs: int = -1,
    **fixed,
) -> list[SweepResult]:
    """Train one model for each combination of settings, and measure it on test images.

    Each run is written to the folder as soon as it finishes. Repeat the call, even after it
    was killed, and it continues where it stopped (with `callbacks` left out or `[]`). Delete the
    folder after a change to the package or to networks of your own: a run is known by its
    arguments only, and functions by their names.

    The runs are joblib's tasks: processes on this machine, or whatever
    `joblib.parallel_config` says, such as a Dask cluster. Both give the same bits as
    one run after the other, as long as the machines are alike.

    Args:
        architecture, images, steps: as for `train`; classes and functions of your own
            must be importable from a module.
        over: names of arguments of `train` -> lists of their values.
        folder: where finished runs are kept.
        test: how many of the test images, the first ones, to measure on.
        jobs: runs at a time; −1 stands for one on each core, or all that a cluster has.
        fixed: further arguments of `train`, the same for all runs.

    Returns:
        A list of `SweepResult`, in the order of scikit-learn's `ParameterGrid`: the
        alphabetically last name changes fastest.

    Raises:
        ValueError: on an empty grid, on a setting that is both fixed and swept
            over, and as `train` does.

    Example:
        >>> import tempfile
        >>> from vae_utils import Gaussian, Params
        >>> pixels = np.random.default_rng(0).uniform(size=(20, 8, 8, 1)).astype("float32")
        >>> images = Images(pixels[:16], pixels[16:], None, None, "own", "noise")
        >>> small = Params((8, 8, 1), 2, mlp_encoder_units=(4,), mlp_decoder_units=(4,))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     results = sweep(
        ...         "mlp", images, 10, over={"seed": [0, 1]}, folder=folder, jobs=1,
        ...         likelihood=Gaussian(), kl_weight=1.0, params=small, callbacks=[],
        ...     )
        >>> [result.settings for result in results]
        [{'seed': 0}, {'seed': 1}]
    """
    both = sorted(set(over) & set(fixed))
    if both:
        raise ValueError(f"{', '.join(both)}: either fixed or swept over, not both")
    if not over or not all(len(values) for values in over.values()):
        raise ValueError("over must hold at least one value for each setting")
    grid = list(ParameterGrid(over))
    # A reused process may work in another folder, so a relative path would not do.
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    pixels = joblib.hash((images.train, images.test))
    tasks = []
    for combination in grid:
        settings = {**fixed, **combination}
        key = joblib.hash((architecture, pixels, steps, test, _as_text(settings)))
        tasks.append(
            joblib.delayed(_load_or_train)(
                folder / f"{key}.run", architecture, images, steps, test, settings
            )
        )
    finished = joblib.Parallel(n_jobs=jobs, return_as="generator")(tasks)
    results = []
    for combination, (numbers, record) in zip(
        grid, tqdm(finished, total=len(grid), desc="sweep", unit="run")
    ):
        results.append(SweepResult(combination, numbers, record))
    return results


def _as_text(settings):
    """Write the settings as text: equal text for equal values, in any process."""
    described = {}
    for name, value in sorted(settings.items()):
        # The repr of a Keras schedule is its address in memory.
        if hasattr(value, "get_config"):
            value = (type(value).__name__, value.get_config())
        described[name] = value
    return repr(described)


def _load_or_train(path, architecture, images, steps, test, settings):
    """Return summary and record of one run, from its file if there is a good one.

    The model itself is not kept: it is large, and bound to the process that made it.
    """
    kept = _load(path)
    if kept is not None:
        return kept
    run = train(architecture, images, steps, **settings)
    result = summary(run.vae, images.test[:test]), run.record
    _save(path, result)
    return result


DIGEST_BYTES = hashlib.sha256().digest_size


def _save(path, result):
    """Write a file that starts with its checksum, so that it is either whole or not there."""
    contents = pickle.dumps(result)
    # Two machines may write the same run at once; each needs a name of its own.
    unfinished = path.with_suffix(f".{uuid.uuid4().hex}")
    try:
        unfinished.write_bytes(hashlib.sha256(contents).digest() + contents)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _load(path):
    """Return what `_save` wrote, or None if the file is missing or damaged."""
    try:
        written = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, contents = written[:DIGEST_BYTES], written[DIGEST_BYTES:]
    if hashlib.sha256(contents).digest() != digest:
        return None
    return pickle.loads(contents)
