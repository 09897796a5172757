"""Random and bad input to every public function: a right answer, or a sentence that says why not.

`make fuzz` tries far more of it, at random; here the cases are the same each time.
"""

import dataclasses
import faulthandler
import functools
import math
import os
import re
import signal
import sys
import tempfile
import traceback
import warnings
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf
from conftest import TINY, bright_bars
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import vae_utils as vu
from vae_utils import densities, linear, recogniser, remedies, schedules

ROOT = Path(__file__).parents[1]
PACKAGE = str(Path(vu.__file__).parent)
MANY = os.environ.get("FUZZ") == "1"  # as `make fuzz` sets it

# ---- what is tried ---------------------------------------------------------------------------

NUMBERS = [0, 1, 2, 3, -1, 0.0, 0.5, 1.0, 2.5, -0.5, 1e-300, 1e-9, 1e9, 1e38, 1e300, -1e300]
ODD = [math.nan, math.inf, -math.inf, True, False, None, "", "3", "text", b"bytes", 1j, 10**400]
ODD += [(), [], {}, [1, [2, 3]], {"a": 1}, set(), object(), int, vu.VAE, len, Path("nowhere")]
ODD += [np.float16(0.5), np.int8(3), np.float64(math.nan), np.bool_(True), np.datetime64("2020")]
DTYPES = ["float16", "float32", "float64", "longdouble", "int8", "int64", "uint8", "bool"]
DTYPES += ["complex64", "object", "U3", "datetime64[D]"]

shapes = st.lists(st.sampled_from([0, 1, 2, 3, 8]), max_size=5).map(tuple)
values = st.sampled_from([0.0, 1.0, 0.5, -1.0, 255.0, math.nan, math.inf, 1e30, 1e300])


@st.composite
def arrays(draw):
    """An array or a tensor of any shape and type, mostly of one value."""
    with np.errstate(all="ignore"):
        try:
            array = np.full(draw(shapes), draw(values)).astype(draw(st.sampled_from(DTYPES)))
        except (OverflowError, ValueError):  # no NaN among the dates
            return np.zeros(3)
    if draw(st.booleans()) and array.dtype in ("float32", "float64", "int64", "bool"):
        return tf.constant(array)
    return array


anything = st.one_of(
    st.sampled_from(NUMBERS), st.sampled_from(ODD), arrays(), st.floats(), st.integers(), st.text()
)


@st.composite
def mostly(draw, good, *more):
    """Five right values of six, and any others. Several right ones may stand in a list."""
    good = st.sampled_from(good) if isinstance(good, list) else good
    return draw(good if draw(st.integers(0, 5)) < 5 else st.one_of(*more, anything))


def pixels(side=8, dtype="float32"):
    numbers = st.floats(0, 1, width=32)
    sizes = st.integers(1, 5)
    return sizes.flatmap(lambda n: hnp.arrays(dtype, (n, side, side, 1), elements=numbers))


images = mostly(st.one_of(pixels(), pixels(dtype="float64"), st.just(bright_bars(5))), pixels(6))
seeds = mostly([0, 1, 2**31, 2**40])
numbers = mostly(st.floats(0, 1e6))
small = mostly([1, 2, 3])
models = mostly([0, 1, 2], st.just(keras.Sequential()))
IMAGES = vu.Images(
    bright_bars(40), bright_bars(20, seed=1), np.arange(40) % 2, np.arange(20) % 2, "own", "bars"
)
PARAMS = dataclasses.replace(
    TINY, conv_filters=(2,), conv_units=4, mlp_encoder_units=(4,), mlp_decoder_units=(4,)
)


@functools.cache
def model(number):
    """One of three small models; anything else is handed on."""
    keras.utils.set_random_seed(number)
    encoder = vu.mlp_encoder(PARAMS)
    if number == 2:
        vae = vu.ContextVAE(encoder, vu.context_decoder(PARAMS), seed=2)
    else:
        likelihood = [vu.Bernoulli(), vu.Gaussian(0.01)][number]
        vae = vu.VAE(encoder, vu.mlp_decoder(PARAMS), likelihood, seed=number)
    vae.compile("adam", jit_compile=False)
    return vae


def as_model(value):
    return model(value) if type(value) is int and value in (0, 1, 2) else value


def finite(result):
    """Every number in a result is one."""
    for part in keras.tree.flatten(result):
        part = np.asarray(part)
        if part.dtype.kind in "fc":
            assert np.isfinite(part).all(), result


# ---- how it is tried -------------------------------------------------------------------------

# A refusal says what is accepted.
ACCEPTED = re.compile(
    r"\bmust\b|\bneeds?\b|are needed|either .* or|go with|all images of a VAE count alike"
    r"|the target of a VAE is its input|can't|only Gaussian"
    r"|compile it without|: pass |: build both |: set them |[Mm]ultiply|divide"
)
FUZZED = {}  # name -> function that draws the arguments, calls, and judges the answer
NOW = [""]  # the name that is fuzzed
CALLED = set()  # that name, once the case has come to a call: what was drawn may be none to try
ANSWERED = set()  # what has given a right answer


def fuzz(*names, cases, many):
    """Register what fuzzes these names, with the number of cases in `make test` and `make fuzz`."""

    def register(function):
        for name in names:
            FUZZED[name] = (function, cases, many)
        return function

    return register


@contextmanager
def at_most(seconds):
    """Fail if what is done meanwhile does not end. (Hypothesis looks only when it has ended.)

    If it hangs outside of Python, the process ends; then the run fails, and no record is written.
    """

    def give_up(*_):
        pytest.fail(f"no answer within {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(2 * seconds, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def answer(call, judge=finite):
    """Judge what a call returns; a refusal must be the package's own, in words."""
    CALLED.add(NOW[-1])
    try:
        with at_most(seconds=120), np.errstate(all="raise", under="ignore"):
            result = call()
    except ValueError as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        assert last.filename.startswith(PACKAGE), traceback.format_exc()
        assert ACCEPTED.search(str(error)) and len(str(error)) > 20, str(error)
        return
    except TypeError as error:  # Python refuses the call before it begins
        assert "argument" in str(error), traceback.format_exc()
        assert len(traceback.extract_tb(error.__traceback__)) <= 2, traceback.format_exc()
        return
    judge(result)
    ANSWERED.add(NOW[-1])


# ---- numbers ---------------------------------------------------------------------------------

KINDS = {
    "Constant": ("weight",),
    "Linear": ("rate", "start", "cap"),
    "Sigmoid": ("rate", "midpoint", "cap"),
    "Cosine": ("steps", "start", "cap"),
    "Cyclical": ("period", "ramp", "cycles", "cap"),
    "QualityGate": ("mse", "rate", "cap"),
}
schedule_numbers = mostly([0, 0.01, 0.5, 1, 1, 4, 100.0, 1e-30, 3e38], st.floats(0, 1))


def a_schedule(draw, kind):
    settings = {name: draw(schedule_numbers) for name in KINDS[kind]}
    return getattr(schedules, kind)(**settings)


@fuzz(*(f"schedules.{kind}" for kind in KINDS), "schedules.Schedule", cases=20, many=300)
def schedule(draw, name):
    kind = draw(st.sampled_from(list(KINDS))) if name.endswith("Schedule") else name.split(".")[1]
    steps = draw(mostly([0, 5, np.arange(200), np.float64(1e300), 10**7]))

    def judge(weights):
        finite(weights)
        weights, cap = np.asarray(weights), getattr(made, "cap", getattr(made, "weight", 1.0))
        assert weights.shape == np.shape(steps) and weights.dtype == np.float32
        assert (weights >= 0).all() and (weights <= np.float32(cap) * (1 + 1e-6)).all()
        if weights.ndim and kind not in ("Cyclical",) and (np.diff(steps) >= 0).all():
            assert (np.diff(weights) >= -1e-6 * cap).all()

    made = None

    def make():
        nonlocal made
        made = a_schedule(draw, kind)

    answer(make, judge=lambda _: None)
    if made is not None and not has_nan(steps):
        answer(lambda: made(steps), judge)
        assert int(made.opened_at(7, 9, 0.0)) == 7
        answer(lambda: made.weight_at(3, -1), lambda weight: finite(weight) or weight == 0)


def has_nan(value):
    array = np.asarray(value) if not isinstance(value, (list, set, dict)) else np.asarray(0)
    return array.dtype.kind in "fc" and not np.isfinite(array).all()


@fuzz("schedules.get", cases=12, many=300)
def get(draw, name):
    value = draw(mostly(st.floats(0, 1e9)))
    answer(lambda: schedules.get(value), lambda made: finite(made(np.arange(3))))


@fuzz("Gaussian", "Bernoulli", "Likelihood", cases=12, many=200)
def likelihood(draw, name):
    variance, link = draw(mostly([1e-12, 1e-6, 1.0, 1e4])), draw(mostly(["sigmoid", "identity"]))
    made = vu.Bernoulli() if name != "Gaussian" else None

    def make():
        nonlocal made
        made = vu.Gaussian(variance, link)

    if name == "Gaussian":
        answer(make, judge=lambda _: None)
    if made is None:
        return
    some, logits = draw(pixels(2, "float64")), draw(st.floats(-50, 50))
    logits = np.full(some.shape, logits)
    CALLED.add(name)
    means = np.asarray(made.pixel_means(logits))
    log_prob = np.asarray(made.log_prob(some, logits))
    finite([means, log_prob])
    assert log_prob.shape == (len(some),) and means.shape == logits.shape
    if isinstance(made, vu.Gaussian):
        wanted = scipy.stats.norm.logpdf(some, means, math.sqrt(made.variance))
        np.testing.assert_allclose(log_prob, wanted.sum((1, 2, 3)), rtol=1e-9, atol=1e-6)
    else:
        assert (log_prob <= 0).all()
    ANSWERED.add(name)


@fuzz(
    "densities.normal_log_density",
    "densities.bernoulli_log_density",
    "densities.kl_to_standard_normal",
    cases=10,
    many=300,
)
def density(draw, name):
    sizes, number = draw(st.integers(0, 5)), st.floats(-100, 100)
    one, two, log_std = (
        draw(hnp.arrays("float64", sizes, elements=each))
        for each in (number, number, st.floats(-10, 10))
    )
    CALLED.add(name)
    if name.endswith("normal_log_density"):
        result, wanted = (
            densities.normal_log_density(one, two, log_std),
            scipy.stats.norm.logpdf(one, two, np.exp(log_std)),
        )
        np.testing.assert_allclose(result, wanted, rtol=1e-9, atol=1e-9)
    elif name.endswith("bernoulli_log_density"):
        one = (one > 0).astype(float)
        two = np.clip(two, -30, 30)
        wanted = scipy.stats.bernoulli.logpmf(one, scipy.special.expit(two))
        result = densities.bernoulli_log_density(one, two)
        np.testing.assert_allclose(result, wanted, rtol=1e-2, atol=1e-9)
    else:
        kl = np.asarray(densities.kl_to_standard_normal(one, log_std))
        variance = np.exp(2 * log_std)
        finite(kl)
        assert (kl >= -1e-9).all()
        np.testing.assert_allclose(kl, (one**2 + variance - 1) / 2 - log_std, atol=1e-9)
    ANSWERED.add(name)


matrices = mostly(
    st.tuples(st.integers(1, 4), st.integers(1, 4)).flatmap(
        lambda shape: hnp.arrays("float64", shape, elements=st.floats(-1e3, 1e3))
    ),
    st.sampled_from([np.full((3, 2), big) for big in (1e30, 1e160, 1e308)]),
    st.just(np.eye(3, dtype="float16")),
)


@fuzz("linear.covariance", "linear.eigenvalues", cases=12, many=250)
def covariance(draw, name):
    data = draw(st.one_of(matrices, images))

    def judge(result):
        finite(result)
        if name.endswith("eigenvalues"):
            assert (result >= 0).all() and (np.diff(result) <= 0).all()
        else:
            np.testing.assert_allclose(result, result.T)
            wanted = np.cov(np.reshape(data, (len(data), -1)).T.astype("float64"), bias=True)
            scale = 1e-5 * (1 + np.abs(wanted).max())
            np.testing.assert_allclose(result, np.reshape(wanted, result.shape), atol=scale)

    answer(lambda: getattr(linear, name.split(".")[1])(data), judge)


@fuzz("linear.optimum", cases=25, many=300)
def optimum(draw, name):
    data = draw(matrices)
    if isinstance(data, np.ndarray) and data.ndim == 2 and draw(st.booleans()):
        with np.errstate(all="ignore"):
            data = data.T @ data
    latent, variance, weight = draw(small), draw(mostly([1e-300, 0.1, 1.0])), draw(mostly([1, 2.0]))

    def judge(best):
        finite(dataclasses.astuple(best))
        assert (best.kl_per_unit >= 0).all() and 0 <= best.active_units <= latent
        assert best.elbo <= best.log_likelihood + 1e-6 * (1 + abs(best.elbo))
        assert ((0 < best.posterior_variance) & (best.posterior_variance <= 1)).all()

    answer(lambda: linear.optimum(data, latent, variance, weight), judge)


@fuzz("linear.best_variance", cases=12, many=250)
def best_variance(draw, name):
    values = draw(mostly([np.array([3.0, 2.0, 1.0]), [5, 4, 0], np.full(4, 1e308)]))
    latent = draw(small)
    answer(lambda: linear.best_variance(values, latent))


@fuzz("linear.log_likelihood", cases=25, many=300)
def log_likelihood(draw, name):
    pixels, latent, count = (draw(st.integers(1, 3)) for _ in range(3))
    number = st.floats(-10, 10)
    weights, mean, rows = (
        draw(mostly(hnp.arrays("float64", shape, elements=number)))
        for shape in ((pixels, latent), (pixels,), (count, pixels))
    )
    variance = draw(mostly([1e-3, 1.0, 100.0]))

    def judge(result):
        finite(result)
        covariance = weights @ weights.T + variance * np.eye(len(weights))
        if np.linalg.cond(covariance) < 1e8:
            wanted = scipy.stats.multivariate_normal.logpdf(
                np.reshape(rows, (len(rows), -1)), mean, covariance
            )
            np.testing.assert_allclose(result, np.reshape(wanted, -1), rtol=1e-5, atol=1e-5)

    answer(lambda: linear.log_likelihood(weights, mean, variance, rows), judge)


# ---- images ----------------------------------------------------------------------------------


@fuzz("binarised", "halved", cases=20, many=300)
def drawn(draw, name):
    some, seed = draw(images), draw(seeds)
    if name == "binarised":
        judge = lambda result: set(np.unique(result)) <= {0, 1} and finite(result)  # noqa: E731
        answer(lambda: vu.binarised(some, seed), judge)
    else:
        answer(
            lambda: vu.halved(some),
            lambda result: np.testing.assert_allclose(
                result.mean(), np.mean(some, dtype="float64"), atol=1e-5
            ),
        )


labels_of = mostly([None, np.arange(5) % 2, list("ababa"), np.arange(5) / 2, np.eye(5)])


@fuzz("load_images", "Images", cases=25, many=300)
def load(draw, name):
    train, labels = draw(st.one_of(images, pixels().map(lambda p: p[..., 0]))), draw(labels_of)
    if isinstance(train, str) and train.lower() in ("", "auto", "mnist", "digits") or train is None:
        return  # the user's folders and network, and the digits, have tests of their own
    folder = draw(mostly([None], st.just("no folder")))

    def judge(loaded):
        finite([loaded.train, loaded.test])
        assert len(loaded.train) and len(loaded.test) and f"{loaded}".startswith("Data: ")

    if name == "Images":
        test = draw(images)
        answer(lambda: vu.Images(train, test, labels, None, "own", "here"), judge)
    else:
        answer(lambda: vu.load_images(train, folder, labels), judge)


@fuzz("seed_from_environment", cases=20, many=300)
def environment(draw, name):
    default, text = draw(seeds), draw(st.one_of(st.text(max_size=12), st.just("9" * 5000)))
    os.environ["VAE_SEED"] = text.replace("\0", "").encode("utf8", "ignore").decode()
    try:
        answer(lambda: vu.seed_from_environment(default), lambda seed: range(2**31).index(seed))
    finally:
        del os.environ["VAE_SEED"]


# ---- networks and models ---------------------------------------------------------------------

sizes = mostly([(), (3,), [2, 2]], st.just((0,)), st.just((1.5,)))
FIELDS = {
    "image_shape": mostly([(4, 4, 1), (2, 2, 3)]),
    "conv_filters": sizes,
    "mlp_encoder_units": sizes,
    "mlp_decoder_units": sizes,
    "context": mostly([None, 0, 3]),
    "context_units": mostly([0, 3]),
    "pixel_dropout": mostly([0.0, 0.5]),
    "log_std_start": mostly([0.0, -1.0]),
    "log_std_bound": mostly([10.0, 40.0]),
    "learning_rate": mostly([1e-3, 1.0]),
    **dict.fromkeys(
        ["latent_size", "conv_kernel", "conv_stride", "conv_units", "batch_size"], small
    ),
}


def some_params(draw):
    chosen = draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=4, unique=True))
    return {name: draw(FIELDS[name]) for name in chosen}


@fuzz("Params", cases=60, many=1500)
def params(draw, name):
    changes = some_params(draw)
    answer(lambda: vu.Params(**changes), lambda made: hash(made) and finite(made.learning_rate))


BUILDERS = ["mlp_encoder", "mlp_decoder", "conv_encoder", "conv_decoder", "context_decoder"]
MENDERS = ["normalised_encoder", "committed_encoder", "skip_decoder"]


@fuzz(*BUILDERS, *(f"remedies.{name}" for name in MENDERS), cases=10, many=80)
def network(draw, name):
    build = functools.reduce(getattr, name.split("."), vu)
    extra = draw(st.lists(mostly([0.5, 1.0]), max_size=1)) if "ed_encoder" in name else []
    good = draw(st.booleans())
    changed = draw(anything)
    if good:
        try:
            changed = dataclasses.replace(
                PARAMS,
                image_shape=(4, 4, 1),
                **{
                    k: v
                    for k, v in some_params(draw).items()
                    if small_enough(v) and k != "image_shape"
                },
            )
        except ValueError:
            return
    rng = np.random.default_rng(0)

    def judge(network):
        inputs = [
            rng.uniform(size=(2, *each.shape[1:])).astype("float32") for each in network.inputs
        ]
        finite(network(inputs if len(inputs) > 1 else inputs[0]))

    answer(lambda: build(changed, *extra), judge)


def small_enough(value):
    """Whether a network of this size fits into any machine."""
    return not isinstance(value, (int, np.integer)) or value < 100


@fuzz("remedies.with_he_start", "remedies.with_minimum_norm", cases=6, many=80)
def mended(draw, name):
    network = as_model(draw(models))
    network = getattr(network, "decoder", network)
    if network is vu.VAE or isinstance(network, keras.Sequential):
        network = None
    lowest = [draw(mostly([0.0, 1.0]))] if name.endswith("norm") else []
    if isinstance(network, keras.Model):
        network = vu.mlp_decoder(PARAMS)  # not that of a model that others use
    build = functools.reduce(getattr, name.split("."), vu)
    answer(lambda: build(network, *lowest), lambda made: finite(made.get_weights()))


CLASSES = [
    "FreeBits",
    "GECO",
    "OptimalVariance",
    "LearnedVariance",
    "DecoderWaits",
    "TwoOptimizers",
]


@fuzz("VAE", "ContextVAE", *(f"remedies.{name}" for name in CLASSES), cases=6, many=80)
def construct(draw, name):
    kind = functools.reduce(getattr, name.split("."), vu)
    if name.endswith("GECO") and draw(st.booleans()):
        kind = type("Steered", (kind,), {"tolerance": 0.01})
    base = model(2 if name == "ContextVAE" else 0)
    encoder = draw(mostly([base.encoder]))
    decoder = draw(mostly([base.decoder]))
    likelihood = draw(mostly([None, vu.Bernoulli(), vu.Gaussian()], st.just(vu.Bernoulli)))
    weight, seed = draw(mostly([1.0, schedules.Linear(0.1)])), draw(seeds)

    def judge(vae):
        finite(vae.objective(IMAGES.train[:2])[0])

    answer(lambda: kind(encoder, decoder, likelihood, weight, seed), judge)


@fuzz(
    *(
        f"VAE.{name}"
        for name in (
            "encode",
            "reconstruct",
            "predict",
            "evaluate",
            "fit",
            "train_on_batch",
            "test_on_batch",
            "predict_on_batch",
        )
    ),
    cases=8,
    many=90,
)
def method_of_images(draw, name):
    vae, some = model(draw(st.sampled_from([0, 1, 2]))), draw(images)
    name = name.split(".")[1]
    settings = {}
    if name in ("predict", "evaluate", "fit"):
        settings = dict(verbose=0, batch_size=draw(mostly([None, 2, 64])))
    if name == "fit":
        others = draw(mostly([None, IMAGES.test, (IMAGES.test, IMAGES.test)]))
        settings["validation_data"] = others
    targets = draw(st.one_of(st.none(), st.just(some), anything))
    if name in ("evaluate", "fit", "train_on_batch", "test_on_batch"):
        settings["y"] = targets
    answer(
        lambda: getattr(vae, name)(some, **settings),
        lambda result: finite(result.history if name == "fit" else result),
    )


@fuzz("VAE.decode", "VAE.generate", "ContextVAE.draw", "VAE.kl_weight", cases=12, many=150)
def method_of_codes(draw, name):
    vae = model(2 if name.startswith("Context") else draw(st.sampled_from([0, 1])))
    number = st.one_of(st.floats(-5, 5), st.sampled_from([1e18, -1e18, 1e30]))
    codes = draw(
        mostly(
            st.integers(1, 3).flatmap(
                lambda n: hnp.arrays("float64", (n, vae.latent_size), elements=number)
            )
        )
    )
    if name == "VAE.decode":
        answer(lambda: vae.decode(codes))
    elif name == "VAE.generate":
        count, seed = draw(small), draw(seeds)
        if small_enough(count):
            answer(lambda: vae.generate(count, seed))
    elif name == "VAE.kl_weight":
        weight = draw(mostly([1.0, schedules.Linear(0.1)]))
        answer(lambda: setattr(vae, "kl_weight", weight))
        finite(vae.current_kl_weight())
        vae.kl_weight = 1.0
    else:
        uniforms = draw(mostly([np.full((1, 8, 8, 1), 0.5), np.full((2, 8, 8, 1), math.nan)]))
        answer(lambda: vae.draw(codes, uniforms))


# ---- diagnostics -----------------------------------------------------------------------------

OF_IMAGES = ["kl_per_unit", "active_units", "firing_shares"]
WITH_SEED = ["elbo", "mse", "mutual_information", "importance_weighted_bound", "summary"]


@fuzz(*OF_IMAGES, *WITH_SEED, cases=8, many=120)
def diagnostic(draw, name):
    vae, some = as_model(draw(models)), draw(images)
    settings = {"seed": draw(seeds)} if name in WITH_SEED else {}
    if name == "importance_weighted_bound":
        settings["samples"] = draw(small)
        if not small_enough(settings["samples"]):
            return

    def judge(result):
        finite(result)
        result = result["kl"] if name == "summary" else result
        if name in ("kl_per_unit", "mse", "firing_shares", "summary", "active_units"):
            assert np.min(result) >= -1e-6
        if name == "mutual_information":
            assert result <= math.log(len(some)) + 1e-9
        if name == "importance_weighted_bound" and settings["samples"] == 1:
            # One sample of the same bound: within the spread of the noise.
            assert abs(result - vu.elbo(vae, some)) < 1e3

    answer(lambda: getattr(vu, name)(vae, some, **settings), judge)


@fuzz("linear_probe", cases=20, many=200)
def probe(draw, name):
    vae, train, test = as_model(draw(models)), draw(images), draw(images)
    labels, others = draw(labels_of), draw(labels_of)
    if draw(st.booleans()):  # by chance alone, they seldom go together
        train = test = bright_bars(5)
        labels = others = np.arange(5) % 2
    judge = lambda share: finite(share) or range(2).index(math.floor(share))  # noqa: E731
    answer(lambda: vu.linear_probe(vae, train, labels, test, others), judge)


@fuzz("plateau", cases=30, many=300)
def plateau(draw, name):
    count = draw(st.integers(1, 4))
    errors = hnp.arrays("float64", count, elements=st.floats(0, 10))
    record = {"step": draw(mostly([10 * np.arange(count)])), "mse": draw(mostly(errors))}
    record = draw(mostly([record]))
    mean = draw(numbers)

    def judge(found):
        begin, end = found
        assert begin in record["step"] and (end is None or end in record["step"])

    answer(lambda: vu.plateau(record, mean), judge)


@functools.cache
def distance():
    return recogniser.train_picture_distance(IMAGES)


@fuzz("recogniser.train_picture_distance", cases=12, many=200)
def recognise(draw, name):
    some, seed = draw(images), draw(seeds)
    if draw(st.booleans()):
        answer(lambda: distance()(some), lambda result: finite(result) or result > -1e-6)
    else:
        unlabelled = dataclasses.replace(IMAGES, train_labels=None)
        others = draw(st.one_of(st.just(unlabelled), anything))
        answer(lambda: recogniser.train_picture_distance(others, seed))


# ---- training --------------------------------------------------------------------------------


@fuzz("Recorder", "StopOnNaN", "ProgressBar", cases=15, many=200)
def callback(draw, name):
    some, every, pictures = draw(images), draw(small), draw(mostly([0, 8]))
    if name == "ProgressBar":
        answer(lambda: vu.ProgressBar(every, pictures), judge=lambda bar: finite(bar.steps))
    elif name == "StopOnNaN":
        answer(lambda: vu.StopOnNaN(some, every), judge=lambda made: finite(made.images))
    else:
        on_look = draw(mostly([None, len]))
        make = lambda: vu.Recorder(some, every, pictures, on_look)  # noqa: E731
        answer(make, judge=lambda made: finite(made.images))


@fuzz("BackupAndRestore", cases=10, many=60)
def a_backup(draw, _):
    folder = draw(mostly(["backup", Path("backup")]))

    def judge(made):
        assert made.backup_dir == Path(folder)

    answer(lambda: vu.BackupAndRestore(folder), judge)


architectures = mostly(["mlp"], st.just("conv"), st.just((1, 2, 3)), st.just((vu.VAE, len)))
STEADY = dict(images=IMAGES, params=PARAMS, likelihood=vu.Gaussian(0.5), kl_weight=1.0)
TRAINING = {
    "images": anything,
    "params": anything,
    "likelihood": anything,
    "kl_weight": mostly([0.0, 1000.0, schedules.Linear(0.1)]),
    "learning_rate": mostly([None, 1e-3, 1e30, keras.optimizers.schedules.CosineDecay(1e-3, 4)]),
    "steps": mostly([1, 2, 4]),
}
OF_TRAIN = {"every": mostly([1, 2]), "watch": mostly([0, 5]), "callbacks": anything, "seed": seeds}
OF_SEEDS = {"seeds": mostly([(0, 1), [5, 6]]), "verbose": anything}
OF_SWEEP = {
    "over": mostly([{"seed": [0]}, {"seed": []}, {"seed": 3}]),
    "test": mostly([5]),
    "jobs": mostly([1]),
    "folder": anything,
    "together": st.booleans(),
}


@fuzz("train", "train_seeds", "sweep", cases=12, many=100)
def training(draw, name):
    more = {"train": OF_TRAIN, "train_seeds": OF_SEEDS, "sweep": OF_SWEEP}[name]
    start = {
        "train": dict(seed=0, every=1, callbacks=[]),
        "train_seeds": dict(seeds=(0, 1), verbose=False),
        "sweep": dict(over={"seed": [0]}, jobs=1, test=5, callbacks=[], every=1),
    }[name]
    settings = {**STEADY, "steps": 2, "architecture": "mlp", **start}
    choices = {**TRAINING, **more, "architecture": architectures}
    for each in draw(st.lists(st.sampled_from(sorted(choices)), max_size=3, unique=True)):
        settings[each] = draw(choices[each])
    if name == "sweep" and settings.get("together"):
        settings = {k: v for k, v in settings.items() if k not in ("callbacks", "every")}
    if not small_enough(settings["steps"]) or not small_enough(settings.get("every")):
        return

    def judge(result):
        if name == "train":
            finite([result.record, result.vae.get_weights(), vu.summary(result.vae, IMAGES.test)])
        elif name == "train_seeds":
            finite([vae.get_weights() for vae in result])
        else:
            finite([[each.summary, each.record] for each in result])

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what diverges says so: in test_divergence.py
        if name == "sweep" and isinstance(settings.get("folder", ""), (str, Path)):
            settings["folder"] = folder
        answer(lambda: getattr(vu, name)(**settings), judge)


# ---- all of them -----------------------------------------------------------------------------

# What nobody fuzzes, and why.
NOT_FUZZED = {
    "Run": "holds what it is given",
    "SweepResult": "holds what it is given",
    "linear.Optimum": "holds what it is given",
    "VAE.compile": "Keras checks the optimizer; the rest is in test_keras_user.py",
    "VAE.export": "writes files, by Keras: in test_export.py",
    "VAE.current_kl_weight": "takes nothing; looked at under VAE.kl_weight",
    "VAE.latent_size": "takes nothing",
    "VAE.image_shape": "takes nothing",
    **dict.fromkeys(
        (f"VAE.{name}" for name in "posterior logits log_likelihood terms kl_loss".split()),
        "part of the compiled step, on tensors that the model has checked",
    ),
    **dict.fromkeys(
        ("VAE.objective", "VAE.update"),
        "part of the compiled step, on tensors that the model has checked",
    ),
}


def public_names():
    """What the reference page lists, and the functions of the modules that the chapters import."""
    page = (ROOT / "book/package.md").read_text("utf8")
    names = re.findall(r"^\.\. auto(?:class|function):: (?:vae_utils\.)?([\w.]+)$", page, re.M)
    names += re.findall(r"^\.\. automethod:: ([\w.]+)$", page, re.M)
    kind = None
    for line in page.splitlines():
        if found := re.match(r"\.\. autoclass:: (\w+)$", line):
            kind = found[1]
        elif found := re.match(r"   \.\. auto(?:method|property):: (\w+)$", line):
            names.append(f"{kind}.{found[1]}")
    for module in (densities, linear, recogniser, remedies, schedules):
        short = module.__name__.removeprefix("vae_utils.")
        names += [
            f"{short}.{name}"
            for name, value in vars(module).items()
            if callable(value) and value.__module__ == module.__name__ and name[0] != "_"
        ]
    return {*names, *vu.__all__} - {"remedies", "schedules"}


def test_every_public_name_is_fuzzed_or_it_says_why_not():
    missing = public_names() - set(FUZZED) - set(NOT_FUZZED)
    assert not missing, f"nobody fuzzes {sorted(missing)}"
    assert not set(NOT_FUZZED) & set(FUZZED) and set(NOT_FUZZED) <= public_names()


@pytest.mark.fault("random and bad input to a public function")
@pytest.mark.parametrize("name", sorted(FUZZED))
def test_any_input_gives_a_right_answer_or_a_sentence(name, tried, capsys):
    function, cases, many = FUZZED[name]
    count = 0

    @settings(
        settings.get_profile("fuzz" if MANY else "book"), max_examples=many if MANY else cases
    )
    @given(st.data())
    def go(data):
        nonlocal count
        NOW[-1] = name
        CALLED.clear()
        try:
            function(data.draw, name)
        finally:
            count += bool(CALLED)

    try:
        go()
    finally:
        tried(count)
    assert name in ANSWERED, "all of them were refused"
    assert count >= (many if MANY else cases) // 2


def test_a_call_that_hangs_fails():
    with pytest.raises(pytest.fail.Exception, match="no answer within 0.1 seconds"):
        with at_most(seconds=0.1):
            while True:
                pass


def test_enough_was_planned():
    assert sum(cases for _, cases, _ in FUZZED.values()) >= 700
    assert sum(many for _, _, many in FUZZED.values()) >= 12_000
