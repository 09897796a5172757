"""Many runs, one for each combination of settings: on all cores, or on a cluster."""

import hashlib
import inspect
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from numbers import Integral
from pathlib import Path

import joblib
import keras
import numpy as np
from sklearn.model_selection import ParameterGrid
from tqdm import tqdm

from vae_utils.checks import check_flag, check_whole
from vae_utils.data import Images, check_split
from vae_utils.diagnostics import summary
from vae_utils.programs import name_of, parts_of, settings_of
from vae_utils.runs import train
from vae_utils.together import train_seeds


def _keywords(function):
    """Return the keyword arguments of a function: name -> whether it is needed."""
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default is p.empty for p in parameters if p.kind is p.KEYWORD_ONLY}


OF_A_RUN = _keywords(train)
# A sweep collects the seeds itself, and shows its own progress.
OF_A_SEED = {**_keywords(train_seeds), "seed": True}
del OF_A_SEED["seeds"], OF_A_SEED["verbose"]


@dataclass(frozen=True)
class SweepResult:
    """What is kept of one run.

    Attributes:
        settings: the values of the arguments swept over, by name.
        summary: as `vae_utils.summary`, on test images.
        record: as `Recorder.record`.

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
    together: bool = False,
    **fixed,
) -> list[SweepResult]:
    """Train one model for each combination of settings, and measure it on test images.

    Each run is written to the folder as soon as it finishes. Repeat the call, even after it
    was killed, and it continues where it stopped (with `callbacks` left out or `[]`). Delete the
    folder after a change to the package or to networks of your own: a run is known by its
    arguments, Keras' dtype policy and the model's class attributes (the public ones that are
    numbers, text, learning-rate schedules or tuples of these), and functions by their names.

    The runs are joblib's tasks: processes on this machine, or whatever
    `joblib.parallel_config` says, such as a Dask cluster. Both give the same bits as
    one run after the other, as long as the machines are alike.

    Args:
        architecture, images, steps: as for `train`, the same for all runs; classes and functions
            of your own must be importable from a module.
        over: a dict from names of keyword arguments of `train` (with `together`, of
            `train_seeds`, and `seed`) to lists of their values. Equal runs are trained once.
        folder: where finished runs are kept.
        test: how many test images to measure on: the first ones.
        jobs: runs at a time; −1 stands for one on each core, or all that a cluster has.
        together: train all seeds of a combination as one program, by `train_seeds`: faster for
            small dense networks, but without records, and with different rounding.
        fixed: other arguments of `train`, the same for all runs.

    Returns:
        A list of `SweepResult`, in the order of scikit-learn's `ParameterGrid`: the
        alphabetically last name changes fastest.

    Raises:
        ValueError: before any training, on an empty grid, on a setting that is both fixed and
            swept over, that is missing or that nothing takes, and on `together` without a swept
            seed; from a worker, if the model's class attributes differ there, because it imports
            the class anew; and as `train` does.

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
    if not isinstance(over, Mapping):
        raise ValueError(f"over must be a dict: names of arguments and their values; got {over!r}")
    for name, values in over.items():
        if isinstance(values, str) or not isinstance(values, (Sequence, np.ndarray)):
            raise ValueError(f"over[{name!r}] must be a list of values; got {values!r}")
    check_split(images)
    check_whole(test, 1, "test")
    check_flag(together, "together")
    if isinstance(jobs, bool) or not isinstance(jobs, Integral) or jobs == 0:
        raise ValueError(f"jobs must be a whole number other than 0, such as -1; got {jobs!r}")
    if not isinstance(folder, (str, Path)):
        raise ValueError(f"folder must be a path; got {folder!r}")
    both = sorted(set(over) & set(fixed))
    if both:
        raise ValueError(f"{', '.join(both)}: either fixed or swept over, not both")
    if not over or not all(len(values) for values in over.values()):
        raise ValueError("over must hold at least one value for each setting")
    if together and "seed" not in over:
        raise ValueError(
            "together trains the seeds of a combination at once: over must list the seeds"
        )
    _check_names({*over, *fixed}, OF_A_SEED if together else OF_A_RUN)
    grid = list(ParameterGrid(over))
    # A reused process may work in another folder, so a relative path would not do.
    folder = Path(folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    pixels = joblib.hash((images.train, images.test))
    policy = keras.config.dtype_policy().name
    attributes = _attributes_of(architecture)
    tasks: dict = {}  # what is trained at once -> file of each run -> its settings
    files = []
    for combination in grid:
        settings = {**fixed, **combination}
        known_by = [architecture, pixels, steps, test, policy, attributes, _as_text(settings)]
        key = joblib.hash((*known_by, "together") if together else tuple(known_by))
        task = _as_text(_without_seed(settings) if together else settings)
        files.append(folder / f"{key}.run")
        tasks.setdefault(task, {})[files[-1]] = settings
    finished = joblib.Parallel(n_jobs=jobs, return_as="generator")(
        joblib.delayed(_in_a_worker)(
            policy, attributes, runs, architecture, images, steps, test, together
        )
        for runs in tasks.values()
    )
    kept: dict = {}
    with tqdm(total=len(set(files)), desc="sweep", unit="run") as bar:
        for results in finished:
            kept.update(results)
            bar.update(len(results))
    return [SweepResult(settings, *kept[file]) for settings, file in zip(grid, files)]


def _check_names(names, keywords):
    """Raise a ValueError unless these are the settings that a run takes, and needs."""
    unknown = [name for name in names if name not in keywords]
    if unknown:
        raise ValueError(
            f"over and the further arguments must be among {', '.join(sorted(keywords))}; "
            f"got {', '.join(sorted(map(str, unknown)))}"
        )
    missing = [name for name, needed in keywords.items() if needed and name not in names]
    if missing:
        raise ValueError(f"each run needs {', '.join(missing)}: fixed, or in over")


def _as_text(settings):
    """Write the settings as text: equal text for equal values, in any process."""
    described = {}
    for name, value in sorted(settings.items()):
        # The repr of a Keras schedule is its address in memory.
        if hasattr(value, "get_config") and not isinstance(value, type):
            value = (type(value).__name__, value.get_config())
        described[name] = value
    return repr(described)


def _attributes_of(architecture):
    return _as_text(dict(settings_of(parts_of(architecture)[0])))


def _in_a_worker(policy, attributes, runs, architecture, *arguments):
    """Train what is missing, if this process is set up as the caller's."""
    keras.config.set_dtype_policy(policy)
    if _attributes_of(architecture) != attributes:
        raise ValueError(
            f"the attributes of {name_of(architecture)} were changed, which other processes "
            "don't see: set them in a subclass, in a module, or use jobs=1"
        )
    return _load_or_train(runs, architecture, *arguments)


def _load_or_train(runs, architecture, images, steps, test, together):
    """Return summary and record of each run, from its file if there is a good one.

    The models themselves are not kept: they are large, and bound to the process that made them.
    """
    results = {path: _load(path) for path in runs}
    missing = [(settings, path) for path, settings in runs.items() if results[path] is None]
    if missing and together:
        seeds = [settings["seed"] for settings, _ in missing]
        alike = _without_seed(missing[0][0])
        vaes = train_seeds(architecture, images, steps, seeds=seeds, verbose=False, **alike)
        trained: list = [(vae, {}) for vae in vaes]
    else:
        new = [train(architecture, images, steps, **settings) for settings, _ in missing]
        trained = [(run.vae, run.record) for run in new]
    for (_, path), (vae, record) in zip(missing, trained, strict=True):
        results[path] = summary(vae, images.test[:test]), record
        _save(path, results[path])
    return results


def _without_seed(settings):
    return {name: value for name, value in settings.items() if name != "seed"}


DIGEST_BYTES = hashlib.sha256().digest_size


def _save(path, result):
    """Write a file that starts with its checksum, so that it is either whole or not there."""
    numbers, record = result
    arrays = {f"summary {name}": value for name, value in numbers.items()}
    arrays |= {f"record {name}": value for name, value in record.items()}
    buffer = BytesIO()
    np.savez(buffer, **arrays)
    contents = buffer.getvalue()
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
    try:
        with np.load(BytesIO(contents), allow_pickle=False) as arrays:
            named = {name.partition(" ")[::2]: arrays[name] for name in arrays}
    except ValueError:  # a pickle, which could run code when it is loaded
        return None
    numbers = {name: value.item() for (kind, name), value in named.items() if kind == "summary"}
    return numbers, {name: value for (kind, name), value in named.items() if kind == "record"}
