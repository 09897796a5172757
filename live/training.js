"use strict";

// One training run: a model, its batches and its schedule; and what the page shows of it.

const BATCH = 64;
const WIDTH = 64; // units of each hidden layer
const ACTIVE_VARIANCE = 0.01; // of the posterior mean, over images (Burda et al. 2016, section 5.2)
const LOG_STD = { prior: 0, narrow: -3 }; // of the posterior, at the start
// A quality gate opens once a batch's error is below this share of the mean image's.
const GATE = 0.9;

/** Gather rows of a matrix into `out`. */
function gather(out, matrix, rows, width) {
  rows.forEach((row, i) => out.set(matrix.subarray(row * width, (row + 1) * width), i * width));
}

/** Mean squared error per pixel of the mean image of `train`, on `test`. */
function meanImageError(train, test) {
  const mean = new Float64Array(PIXELS);
  train.images.forEach((value, i) => (mean[i % PIXELS] += value / train.count));
  return test.images.reduce((sum, x, i) => sum + (x - mean[i % PIXELS]) ** 2, 0) / test.images.length;
}

class Training {
  /**
   * @param settings - {schedule, ramp, cap, variance, depth, latent, "learning-rate", seed, start}.
   * @param data - {train, test} from `drawDigits`, and meanError.
   */
  constructor(settings, data, kernels) {
    const { depth, latent, seed } = settings;
    const decoder = Array(depth).fill(WIDTH);
    Object.assign(this, { settings, data, step: 0, openedAt: -1, weightByHand: null });
    this.random = randomNumbers(seed);
    this.vae = new VAE(kernels, { batch: BATCH, pixels: PIXELS, encoder: [WIDTH], latent, decoder });
    this.vae.start(this.random, LOG_STD[settings.start]);
    this.adam = new Adam(this.vae, settings["learning-rate"]);
    this.images = kernels.allocate(BATCH * PIXELS);
    this.noise = kernels.allocate(BATCH * latent);
    this.order = [];
    // The same for each look, and for each seed.
    const random = randomNumbers(0);
    const normals = (count) => Float32Array.from({ length: count * latent }, random.normal);
    this.testNoise = normals(data.test.count);
    this.randomCodes = normals(BATCH);
  }

  /** The weight of the KL term in the next step. */
  weight() {
    const { settings, step, openedAt, weightByHand } = this;
    return weightByHand ?? SCHEDULES[settings.schedule](settings, step, openedAt);
  }

  /** One step of gradient descent, on the next batch. */
  takeStep() {
    const { vae, adam, images, noise, random, settings, data } = this;
    if (this.order.length < BATCH) this.order = Array.from(random.permutation(data.train.count));
    gather(images, data.train.images, this.order.splice(0, BATCH), PIXELS);
    for (let i = 0; i < noise.length; i++) noise[i] = random.normal();
    const weight = this.weight();
    const { mse } = vae.loss(images, noise, weight, settings.variance);
    vae.gradients(images, noise, weight, settings.variance);
    adam.update();
    if (this.openedAt < 0 && mse < GATE * data.meanError) this.openedAt = this.step;
    this.step += 1;
  }

  /** Measure the model on the test images, with the same noise each time; pictures are bytes. */
  look() {
    const { vae, images, noise, data, settings, step } = this;
    const { latent } = settings;
    const { count } = data.test;
    const batches = count / BATCH; // a whole number
    const klPerUnit = new Float64Array(latent);
    const mean = new Float32Array(count * latent);
    const std = new Float32Array(count * latent);
    const alive = new Uint8Array(WIDTH);
    let [elbo, mse, reconstructions] = [0, 0, null];
    for (let n = 0; n < batches; n++) {
      const codes = n * BATCH * latent;
      images.set(data.test.images.subarray(n * BATCH * PIXELS, (n + 1) * BATCH * PIXELS));
      noise.set(this.testNoise.subarray(codes, codes + BATCH * latent));
      const terms = vae.loss(images, noise, 1, settings.variance);
      terms.klPerUnit.forEach((kl, k) => (klPerUnit[k] += kl / batches));
      elbo += terms.elbo / batches;
      mse += terms.mse / batches;
      mean.set(vae.mean, codes);
      std.set(vae.logStd.map(Math.exp), codes);
      vae.encoderNetwork.markAlive(alive);
      if (n === 0) reconstructions = asBytes(vae.means);
    }
    noise.set(this.randomCodes);
    const generated = asBytes(vae.decode(noise));
    const active = Array.from(klPerUnit, (_, k) => varianceOf(mean, k, latent) > ACTIVE_VARIANCE);
    return {
      step,
      weight: this.weight(),
      kl: klPerUnit.reduce((sum, one) => sum + one, 0),
      klPerUnit: Array.from(klPerUnit),
      active,
      error: mse / data.meanError,
      elbo,
      alive: alive.reduce((sum, one) => sum + one, 0) / WIDTH, // of the encoder's ReLUs
      pictures: { reconstructions, generated, codes: latent === 2 ? { mean, std } : null },
    };
  }
}

/** The first images of a batch, a byte for each pixel. */
function asBytes(images) {
  return Uint8Array.from(images.subarray(0, SHOWN * PIXELS), (value) => Math.round(255 * value));
}

/** Variance of column k of a matrix with so many columns. */
function varianceOf(matrix, k, columns) {
  const rows = matrix.length / columns;
  let [sum, squares] = [0, 0];
  for (let i = k; i < matrix.length; i += columns) {
    sum += matrix[i];
    squares += matrix[i] * matrix[i];
  }
  return squares / rows - (sum / rows) ** 2;
}
