"""Many runs, one for each combination of settings: on all cores, or on a cluster."""

from dataclasses import dataclass, field
from pathlib import Path

import joblib
import numpy as np
from sklearn.model_selection import ParameterGrid
from tqdm import tqdm

from vae_utils.diagnostics import summary
from vae_utils.runs import train


@dataclass(frozen=True)
class Outcome:
    """What is left of one run: its settings, numbers on test images, and its record."""

    settings: dict
    summary: dict[str, float]
    record: dict[str, np.ndarray] = field(repr=False)


def sweep(architecture, images, steps, *, over, folder, test=2_000, jobs=-1, **fixed):
    """Train one model for each combination of settings, and measure it on test images.

    A finished run is in the folder at once. The same call again, also after it
    was killed, goes on where it stopped. Delete the folder after a change of
    the package, or of networks of your own: it only knows the arguments, and
    functions by their names.

    The runs are joblib's tasks: processes on this machine, or whatever
    `joblib.parallel_config` says, such as a Dask cluster. Both give the same bits as
    one run after the other, as long as the machines are alike.

    Args:
        architecture, images, steps: as for `train`; classes and functions of your own
            must be those of a module.
        over: names of arguments of `train` -> lists of their values.
        folder: where finished runs are kept.
        test: number of test images that the summary takes.
        jobs: runs at a time; −1 stands for one on each core, or all that a cluster has.
        fixed: further arguments of `train`, the same for all runs.

    Returns:
        A list of `Outcome`, in the order of scikit-learn's `ParameterGrid`: the
        last name in the alphabet changes fastest.

    Raises:
        ValueError: on an empty grid, on a setting that is both fixed and swept
            over, and as `train` does.
    """
    both = sorted(set(over) & set(fixed))
    if both:
        raise ValueError(f"{', '.join(both)}: either fixed or swept over, not both")
    if not over or not all(len(values) for values in over.values()):
        raise ValueError("over must hold at least one value for each setting")
    grid = list(ParameterGrid(over))
    # joblib gives a path in a string another place than the same path as a Path, and a
    # process that is used again may work in another folder.
    kept = joblib.Memory(Path(folder).resolve(), verbose=0).cache(
        _outcome, ignore=["images", "settings"]
    )
    pixels = joblib.hash((images.train, images.test))
    tasks = (
        joblib.delayed(kept)(architecture, images, steps, test, settings, pixels, _words(settings))
        for settings in ({**fixed, **some} for some in grid)
    )
    results = joblib.Parallel(n_jobs=jobs, return_as="generator")(tasks)
    bar = tqdm(results, total=len(grid), desc="sweep", unit="run")
    return [
        Outcome(settings, *numbers_and_record) for settings, numbers_and_record in zip(grid, bar)
    ]


def _words(settings):
    """The settings as text: equal text for equal values, in any process."""
    return repr(
        {
            name: (type(value).__name__, value.get_config())
            if hasattr(value, "get_config")
            else value
            for name, value in sorted(settings.items())
        }
    )


def _outcome(architecture, images, steps, test, settings, pixels, words):
    """One run, as numbers: models are large, and bound to the process that made them.

    `pixels` and `words` stand for the images and the settings on disk.
    """
    run = train(architecture, images, steps, **settings)
    return summary(run.vae, images.test[:test]), run.record
