"""The engine of `live/` in Chromium: the mathematics of the package, and the phenomenon."""

import base64
import re
import subprocess

import keras
import numpy as np
import pytest
import tensorflow as tf

import vae_utils as vu
from tools.live_scripts import ENGINE, LIVE, TEST_IMAGES, TRAIN_IMAGES, digits, joined
from vae_utils import schedules

BATCH, SIDE, LATENT, VARIANCE, WEIGHT, RATE = 64, 14, 8, 0.25, 0.7, 2e-3
DEPTH = 5
KERNELS = ("plainKernels()", "simdKernels()")

# A model with weights that are handed over, and the steps that it takes with batches and noise.
STEPS = """
([kernels, depth, weights, batches, noises, variance, weight, rate]) => {
  const sizes = {batch: 64, pixels: 196, encoder: [64], latent: 8, decoder: Array(depth).fill(64)};
  const vae = new VAE(kernels(), sizes);
  const adam = new Adam(vae, rate);
  vae.layers.forEach((layer, i) => {
    layer.weights.set(weights[i][0]);
    layer.bias.set(weights[i][1]);
  });
  const images = vae.kernels.allocate(64 * 196);
  const noise = vae.kernels.allocate(64 * 8);
  const losses = [];
  let gradients;
  batches.forEach((batch, i) => {
    images.set(batch);
    noise.set(noises[i]);
    losses.push(vae.loss(images, noise, weight, variance));
    vae.gradients(images, noise, weight, variance);
    gradients ??= vae.layers.map((l) => [[...l.weightsGradient], [...l.biasGradient]]);
    adam.update();
  });
  const after = vae.layers.map((l) => [[...l.weights], [...l.bias]]);
  losses.forEach((loss) => (loss.klPerUnit = [...loss.klPerUnit]));
  return {losses, gradients, after};
}
"""


@pytest.fixture(scope="module")
def engine(browser):
    """A blank page that knows the engine."""
    page = browser.new_page()
    page.add_script_tag(content=joined(ENGINE))
    yield page
    page.close()


@pytest.fixture(scope="module")
def data(engine):
    """The digits as the engine draws them, within its page."""
    engine.evaluate(
        """(digits) => {
          const [train, test] = [drawDigits(digits, digits.train), drawDigits(digits, digits.test)];
          globalThis.data = {train, test, meanError: meanImageError(train, test)};
        }""",
        digits(),
    )


# ---- the same mathematics ----------------------------------------------------


def package_model():
    """The page's model as the package builds it, with weights that have been drawn."""
    params = vu.Params(
        image_shape=(SIDE, SIDE, 1),
        latent_size=LATENT,
        mlp_encoder_units=(64,),
        mlp_decoder_units=(64,) * DEPTH,
    )
    vae = vu.VAE(
        vu.mlp_encoder(params),
        vu.mlp_decoder(params),
        likelihood=vu.Gaussian(variance=VARIANCE),
        kl_weight=WEIGHT,
    )
    rng = np.random.default_rng(0)
    for variable in vae.trainable_variables:
        # Larger than at the start, so that no term of the gradient is small by chance.
        variable.assign(variable + 0.05 * rng.standard_normal(variable.shape))
    return vae


def layers_of(vae, values):
    """Values of the package's variables, for each layer of the engine: weights and bias.

    The engine's last layer of the encoder is the package's two: the mean's and the log standard
    deviation's, side by side.
    """
    named = {id(variable): np.asarray(value) for variable, value in values}

    def layer(dense):
        return [named[id(dense.kernel)], named[id(dense.bias)]]

    def dense_layers(network):
        return [layer for layer in network.layers if hasattr(layer, "kernel")]

    heads = [vae.encoder.get_layer(name) for name in ("mean", "raw_log_std")]
    both = [np.concatenate(pair, axis=-1) for pair in zip(*map(layer, heads))]
    hidden = [one for one in dense_layers(vae.encoder) if one not in heads]
    return [*map(layer, hidden), both, *map(layer, dense_layers(vae.decoder))]


@pytest.fixture(scope="module")
def reference():
    """Losses of five steps of the package, the first one's gradients, weights before and after.

    In double precision: where a gradient is next to nothing, Adam's step is as large as elsewhere,
    and its sign would be decided by the package's own rounding.
    """
    usual = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    keras.utils.set_random_seed(0)
    try:
        return five_steps(package_model())
    finally:
        keras.config.set_dtype_policy(usual)


def five_steps(vae):
    rng = np.random.default_rng(1)
    images = vu.halved(vu.load_images("digits").train[: 5 * BATCH])
    batches = images.reshape(5, BATCH, SIDE, SIDE, 1)
    noises = rng.standard_normal((5, BATCH, LATENT)).astype("float32")
    variables = vae.trainable_variables
    before = layers_of(vae, [(v, v.numpy()) for v in variables])
    optimizer = keras.optimizers.Adam(RATE)
    losses, first = [], None
    for batch, noise in zip(batches, noises):
        vae.sampling = lambda mean, log_std, training, e=noise: mean + tf.exp(log_std) * e
        with tf.GradientTape() as tape:
            loss, values = vae.objective(batch, training=True)
        gradients = tape.gradient(loss, variables)
        first = first or layers_of(vae, list(zip(variables, gradients)))
        optimizer.apply(gradients, variables)
        losses.append({name: float(value) for name, value in values.items()})
    after = layers_of(vae, [(v, v.numpy()) for v in variables])
    return before, batches, noises, losses, first, after


def flat(arrays):
    return [np.asarray(array).ravel().tolist() for array in arrays]


def as_layers(layers):
    return [flat(pair) for pair in layers]


def compare(ours, theirs, tolerance):
    """Of each layer's weights and bias, to a share of the largest number."""
    for one, other in zip(ours, theirs, strict=True):
        for a, b in zip(one, flat(other), strict=True):
            assert np.abs(np.subtract(a, b)).max() <= tolerance * np.abs(b).max()


@pytest.mark.parametrize("kernels", KERNELS)
def test_loss_gradients_and_five_steps_are_those_of_the_package(engine, reference, kernels):
    before, batches, noises, losses, gradients, after = reference
    numbers = [as_layers(before), flat(batches), flat(noises), VARIANCE, WEIGHT, RATE]
    got = engine.evaluate(
        f"(numbers) => ({STEPS})([() => {kernels}, {DEPTH}, ...numbers])", numbers
    )
    for ours, theirs in zip(got["losses"], losses, strict=True):
        for name in ("loss", "reconstruction", "elbo", "mse"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-6), name
        # A small difference of larger numbers.
        assert ours["kl"] == pytest.approx(theirs["kl"], abs=1e-6 * theirs["loss"])
    compare(got["gradients"], gradients, 1e-5)
    compare(got["after"], after, 1e-5)


def test_gradients_are_those_of_finite_differences(engine):
    """In double precision, by themselves: of all layers, some of their weights."""
    worst, largest = engine.evaluate("""() => {
      const sizes = {batch: 6, pixels: 9, encoder: [5], latent: 2, decoder: [4, 3]};
      const vae = new VAE(plainKernels(Float64Array), sizes);
      const random = randomNumbers(3);
      vae.start(random, -0.4);
      const images = Float64Array.from({length: 54}, random.uniform);
      const noise = Float64Array.from({length: 12}, random.normal);
      const loss = () => vae.loss(images, noise, 0.7, 0.3).loss;
      loss();
      vae.gradients(images, noise, 0.7, 0.3);
      let [worst, largest] = [0, 0];
      for (const layer of vae.layers) {
        for (const name of ["weights", "bias"]) {
          const [values, gradient] = [layer[name], layer[`${name}Gradient`].slice()];
          for (let i = 0; i < values.length; i++) {
            const value = values[i];
            values[i] = value + 1e-6;
            const above = loss();
            values[i] = value - 1e-6;
            const slope = (above - loss()) / 2e-6;
            values[i] = value;
            worst = Math.max(worst, Math.abs(slope - gradient[i]));
            largest = Math.max(largest, Math.abs(slope));
          }
        }
      }
      return [worst, largest];
    }""")
    assert largest > 0.1
    assert worst < 1e-6 * largest


@pytest.mark.parametrize("ramp", [1, 7, 100, 800, 3333, 10000])
@pytest.mark.parametrize("cap", [1.0, 0.35])
def test_schedules_are_those_of_the_package_at_a_thousand_steps(engine, ramp, cap):
    steps = np.unique(np.linspace(0, 12 * ramp, 1000).astype(int))
    steps = np.union1d(steps, np.arange(1000 - len(steps)))
    rate = 1 / ramp
    gate = schedules.QualityGate(mse=0.03, rate=rate, cap=cap)
    opened = 5
    wanted = {
        "constant": schedules.Constant(cap)(steps),
        "linear": schedules.Linear(rate=rate, cap=cap)(steps),
        "cyclical": schedules.Cyclical(period=2 * ramp, cap=cap)(steps),
        "gate": gate.weight_at(steps, np.where(steps < opened, -1, opened)),
        "revive": np.where(steps < 250, np.float32(cap), schedules.Linear(rate, 500, cap)(steps)),
    }
    for name, weights in wanted.items():
        got = engine.evaluate(
            """([name, steps, settings, opened]) =>
              steps.map((step) => SCHEDULES[name](settings, step, step < opened ? -1 : opened))""",
            [name, steps.tolist(), {"ramp": ramp, "cap": cap}, opened],
        )
        np.testing.assert_array_equal(np.float32(got), np.asarray(weights), err_msg=name)


def test_a_gate_opens_at_the_first_batch_that_is_good_enough(engine, data):
    opened_at, errors, weights = engine.evaluate("""() => {
      const training = new Training({
        ...{schedule: "gate", ramp: 50, cap: 1, variance: 0.25, depth: 1, latent: 8},
        ...{"learning-rate": 0.002, seed: 0, start: "prior"},
      }, data, plainKernels());
      const [errors, weights] = [[], []];
      const loss = training.vae.loss.bind(training.vae);
      training.vae.loss = (...of) => {
        const terms = loss(...of);
        errors.push(terms.mse / data.meanError);
        return terms;
      };
      while (training.step < 300) {
        weights.push(training.weight());
        training.takeStep();
      }
      return [training.openedAt, errors, weights];
    }""")
    assert opened_at == next(i for i, error in enumerate(errors) if error < 0.9)
    assert 0 < opened_at < 200
    wanted = np.clip((np.arange(300) - opened_at) / 50, 0, 1)
    np.testing.assert_allclose(weights, wanted, atol=1e-6)


def test_images_are_those_of_the_package(engine, data):
    images = vu.load_images("digits")
    for part, count, labels in (
        ("train", TRAIN_IMAGES, images.train_labels),
        ("test", TEST_IMAGES, images.test_labels),
    ):
        drawn = engine.evaluate(f"[...data.{part}.images]")
        wanted = vu.halved(getattr(images, part)[:count]).reshape(count, -1)
        np.testing.assert_allclose(np.reshape(drawn, wanted.shape), wanted, atol=1e-6)
        assert engine.evaluate(f"data.{part}.labels") == labels[:count].tolist()


@pytest.mark.parametrize("rows, inner, cols", [(64, 196, 64), (5, 7, 2), (2, 64, 64), (7, 3, 13)])
def test_products_of_matrices_of_any_shape(engine, rows, inner, cols):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((rows, inner)), rng.standard_normal((inner, cols))
    row = rng.standard_normal(cols)
    product = (a @ b + row).ravel()
    for kernels in KERNELS:
        for turned in (False, True):
            got = engine.evaluate(
                f"""([a, b, c, rows, inner, cols, ai, ap]) => {{
                  const kernels = {kernels};
                  const put = (from) => (to => (to.set(from), to))(kernels.allocate(from.length));
                  const out = kernels.allocate(rows * cols);
                  kernels.matmul(out, put(a), put(b), put(c), rows, inner, cols, ai, ap);
                  return [...out];
                }}""",
                [*flat([a.T if turned else a, b, row]), rows, inner, cols]
                + ([1, rows] if turned else [inner, 1]),
            )
            np.testing.assert_allclose(got, product, atol=1e-4)


COMPILER = "assemblyscript@0.28.20"
OPTIONS = (
    *("--optimize", "--runtime", "stub", "--importMemory", "--noExportMemory"),
    *("--noAssert", "--enable", "simd"),
)


def test_the_committed_kernels_are_what_their_source_compiles_to(tmp_path):
    compiled = tmp_path / "kernels.wasm"
    subprocess.run(
        ["npx", "--yes", "--package", COMPILER, "asc", str(LIVE / "kernels.ts")]
        + [*OPTIONS, "--outFile", str(compiled)],
        cwd=tmp_path,
        check=True,
        timeout=300,
    )
    script = (LIVE / "kernels-simd.js").read_text("utf8")
    lines = re.search(r"SIMD_CODE = \[(.*?)\]", script, re.S)[1]
    assert base64.b64decode("".join(re.findall(r'"(.*?)"', lines))) == compiled.read_bytes()


# ---- the phenomenon ----------------------------------------------------------

SEEDS = range(10)


# A worker that draws the digits and answers each [preset, seed, other settings] with what comes of
# it, with the KL every 250 steps, and with the KL when few of the encoder's ReLUs were left.
TRAINS = """
let data;
onmessage = ({data: message}) => {
  if (message.digits) {
    const [train, test] = [message.digits.train, message.digits.test]
      .map((part) => drawDigits(message.digits, part));
    data = {train, test, meanError: meanImageError(train, test)};
    return;
  }
  const [preset, seed, others] = message;
  const settings = {...presetSettings(preset, seed), ...others};
  const training = new Training(settings, data, fastestKernels());
  const meanwhile = [];
  let klAtSilence = null;
  while (training.step < stepsOf(settings)) {
    training.takeStep();
    if (training.step % 250 === 0) meanwhile.push(training.look().kl);
    if (training.step % 10 || klAtSilence !== null || preset !== "mean") continue;
    const {kl, alive} = training.look();
    if (alive < 0.15) klAtSilence = kl;
  }
  const {kl, active, elbo, error} = training.look();
  postMessage({kl, active: active.filter(Boolean).length, elbo, error, meanwhile, klAtSilence});
};
"""

# As many workers as there are cores take the next run from the list, until it is empty.
SHARE_OUT = """
async ([code, digits, runs]) => {
  const results = [];
  let next = 0;
  async function work() {
    const worker = new Worker(URL.createObjectURL(new Blob([code])));
    worker.postMessage({digits});
    while (next < runs.length) {
      const mine = next++;
      results[mine] = await new Promise((done, fail) => {
        worker.onmessage = ({data}) => done(data);
        worker.onerror = fail;
        worker.postMessage(runs[mine]);
      });
    }
    worker.terminate();
  }
  await Promise.all(Array.from({length: navigator.hardwareConcurrency}, work));
  return results;
}
"""


def trained(engine, runs):
    return engine.evaluate(SHARE_OUT, [joined([*ENGINE, "settings"]) + TRAINS, digits(), runs])


@pytest.fixture(scope="module")
def outcomes(engine):
    """Preset -> KL, active units and ELBO of ten seeds; trained once for all tests."""
    engine.add_script_tag(content=joined(["settings"]))
    names = engine.evaluate("Object.keys(PRESETS)")
    runs = [[name, seed, {}] for name in names for seed in SEEDS]
    results = iter(trained(engine, runs))
    return {name: [next(results) for _ in SEEDS] for name in names}


def kl_of(engine, preset, seeds, **others):
    """The KL of a preset with other settings, for each seed."""
    return np.array([end["kl"] for end in trained(engine, [[preset, s, others] for s in seeds])])


def of(outcomes, preset, name):
    return np.array([outcome[name] for outcome in outcomes[preset]])


def test_the_mean_squared_error_collapses_every_seed(outcomes):
    assert (of(outcomes, "mean", "kl") < 0.01).all()


def test_and_does_so_before_the_relus_fall_silent(outcomes):
    kl = [outcome["klAtSilence"] for outcome in outcomes["mean"]]
    assert None not in kl
    assert max(kl) < 0.05


def test_so_it_does_at_other_rates(engine, outcomes):
    for ramp in (1, 10_000):
        assert (kl_of(engine, "mean", (0, 1), ramp=ramp) < 0.01).all()


def test_and_at_a_variance_of_two(engine):
    assert (kl_of(engine, "mean", range(4), variance=2) < 0.1).all()


def test_annealing_keeps_units_active(outcomes):
    assert (of(outcomes, "annealed", "active") >= 3).sum() >= 9


def test_a_short_ramp_does_little(engine, outcomes):
    short = kl_of(engine, "annealed", (0, 1, 2, 3), ramp=100)
    assert short.mean() < 0.5 * of(outcomes, "annealed", "kl").mean()


def test_a_narrow_start_shrinks_the_contrast(engine, outcomes):
    narrow = kl_of(engine, "constant", (0, 1, 2, 3), start="narrow")
    assert narrow.mean() > 2 * of(outcomes, "constant", "kl").mean()


def test_a_constant_weight_collapses_or_barely_lives(outcomes):
    constant, annealed = of(outcomes, "constant", "kl"), of(outcomes, "annealed", "kl")
    assert (constant < annealed).sum() >= 9
    assert (constant < 1).sum() >= 8


def test_a_ramp_that_is_too_slow_is_worse_by_the_elbo(outcomes):
    for other in ("annealed", "constant"):
        assert (of(outcomes, "too-slow", "elbo") < of(outcomes, other, "elbo")).all()
    for other in set(outcomes) - {"too-slow"}:
        assert (of(outcomes, "too-slow", "error") < of(outcomes, other, "error")).all()


def test_a_cap_of_one_half_and_half_the_variance_have_the_same_kl(outcomes):
    cap, half = of(outcomes, "cap", "kl").mean(), of(outcomes, "half-variance", "kl").mean()
    assert abs(cap - half) < 0.3 * min(cap, half)


def test_half_the_variance_brings_more_units_into_use(outcomes):
    for name in ("kl", "active"):
        half, annealed = of(outcomes, "half-variance", name), of(outcomes, "annealed", name)
        assert half.mean() > annealed.mean() + 2 * np.hypot(half.std(), annealed.std()) / 10**0.5


def test_a_shallow_decoder_needs_no_annealing(outcomes):
    assert (of(outcomes, "shallow", "kl") > of(outcomes, "constant", "kl")).sum() >= 9
    assert (of(outcomes, "shallow", "active") >= 3).sum() >= 9


def test_a_collapsed_model_is_revived(outcomes):
    at = np.array([outcome["meanwhile"] for outcome in outcomes["revive"]])
    assert (at[:, 0] < 0.5).sum() >= 8  # after 250 steps at a weight of 1
    assert (at[:, 1] > 10).all()  # after 250 at 0
    assert (of(outcomes, "revive", "active") >= 3).sum() >= 9
    assert (of(outcomes, "revive", "kl") > of(outcomes, "constant", "kl")).sum() >= 9


def test_the_same_seed_gives_the_same_numbers(engine, outcomes):
    assert trained(engine, [["constant", 1, {}]]) == [outcomes["constant"][1]]
