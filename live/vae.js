"use strict";

// A complete variational autoencoder, gradients included.
//
// Encoder and decoder are dense layers with ReLUs between them. Images are rows of pixels in
// [0, 1]. Sizes: n images in a batch, D pixels, K latent units.

// A log standard deviation stays within ± this bound, as in `vae_utils.networks.SoftBound`.
const LOG_STD_BOUND = 10;

/** A dense layer: y = x W + b, and what its gradient needs. */
class Dense {
  constructor(kernels, batch, inputs, units) {
    Object.assign(this, { kernels, batch, inputs, units });
    this.weights = kernels.allocate(inputs * units); // (inputs, units)
    this.bias = kernels.allocate(units);
    this.weightsGradient = kernels.allocate(inputs * units);
    this.biasGradient = kernels.allocate(units);
    this.transposed = kernels.allocate(inputs * units);
    this.output = kernels.allocate(batch * units);
    this.inputGradient = kernels.allocate(batch * inputs);
    this.zeros = kernels.allocate(Math.max(inputs, units));
    this.ones = kernels.allocate(batch).fill(1);
  }

  /** Draw initial weights as Glorot and Bengio (2010) do: the default of Keras. */
  start(random) {
    const limit = Math.sqrt(6 / (this.inputs + this.units));
    for (let i = 0; i < this.weights.length; i++) {
      this.weights[i] = limit * (2 * random.uniform() - 1);
    }
    this.bias.fill(0);
  }

  forward(x) {
    const { batch, inputs, units, output, weights, bias } = this;
    this.input = x;
    this.kernels.matmul(output, x, weights, bias, batch, inputs, units, inputs, 1);
    return output;
  }

  /** From dL/dy (n, units): the gradients dW = xᵀ dy and db = 1ᵀ dy, and, if asked for, dx = dy Wᵀ. */
  backward(dy, wantsInput = true) {
    const { batch, inputs, units, weights, transposed, zeros } = this;
    const { matmul } = this.kernels;
    matmul(this.weightsGradient, this.input, dy, zeros, inputs, batch, units, 1, inputs);
    matmul(this.biasGradient, this.ones, dy, zeros, 1, batch, units, batch, 1);
    if (!wantsInput) return null;
    for (let i = 0; i < inputs; i++) {
      for (let j = 0; j < units; j++) transposed[j * inputs + i] = weights[i * units + j];
    }
    matmul(this.inputGradient, dy, transposed, zeros, batch, units, inputs, units, 1);
    return this.inputGradient;
  }
}

/** Dense layers with ReLUs between them, none after the last. */
class Network {
  constructor(kernels, batch, sizes) {
    this.kernels = kernels;
    this.layers = sizes.slice(1).map((units, i) => new Dense(kernels, batch, sizes[i], units));
  }

  forward(x) {
    for (const layer of this.layers) {
      x = layer.forward(x);
      if (layer !== this.layers.at(-1)) this.kernels.relu(x);
    }
    return x;
  }

  backward(gradient, wantsInput) {
    for (let i = this.layers.length - 1; i >= 0; i--) {
      gradient = this.layers[i].backward(gradient, wantsInput || i > 0);
      if (i > 0) this.kernels.reluGradient(gradient, this.layers[i - 1].output);
    }
    return gradient;
  }

  /** Mark in `alive` the units of the first layer whose ReLU is above 0 for some image of the batch. */
  markAlive(alive) {
    const { output, units } = this.layers[0];
    for (let i = 0; i < output.length; i++) if (output[i] > 0) alive[i % units] = 1;
  }
}

/** Encoder, sampling, decoder; the loss and its gradients. */
class VAE {
  /**
   * @param kernels - from `plainKernels` or `simdKernels`.
   * @param sizes - {batch, pixels, encoder: [units, …], latent, decoder: [units, …]}.
   */
  constructor(kernels, sizes) {
    const { batch, pixels, latent } = sizes;
    Object.assign(this, sizes, { kernels });
    this.encoderNetwork = new Network(kernels, batch, [pixels, ...sizes.encoder, 2 * latent]);
    this.decoderNetwork = new Network(kernels, batch, [latent, ...sizes.decoder, pixels]);
    this.layers = [...this.encoderNetwork.layers, ...this.decoderNetwork.layers];
    for (const name of ["codes", "mean", "logStd"]) this[name] = kernels.allocate(batch * latent);
    this.posteriorGradient = kernels.allocate(batch * 2 * latent);
    this.means = kernels.allocate(batch * pixels);
    this.logitsGradient = kernels.allocate(batch * pixels);
  }

  /** Draw initial weights; the posterior's log standard deviations start near `logStd`. */
  start(random, logStd = 0) {
    for (const layer of this.layers) layer.start(random);
    const { bias } = this.encoderNetwork.layers.at(-1);
    bias.fill(LOG_STD_BOUND * Math.atanh(logStd / LOG_STD_BOUND), this.latent);
  }

  /** q(z|x): mean and log standard deviation of each unit, (n, K) each. */
  encode(images) {
    const { latent, mean, logStd } = this;
    const outputs = this.encoderNetwork.forward(images); // (n, 2K): means, then log stds without their bound
    for (let i = 0; i < this.batch; i++) {
      for (let k = 0; k < latent; k++) {
        const raw = outputs[i * 2 * latent + latent + k];
        mean[i * latent + k] = outputs[i * 2 * latent + k];
        logStd[i * latent + k] = LOG_STD_BOUND * Math.tanh(raw / LOG_STD_BOUND);
      }
    }
  }

  /** Pixel means (n, D) of codes (n, K). */
  decode(codes) {
    this.kernels.sigmoid(this.means, this.decoderNetwork.forward(codes));
    return this.means;
  }

  /**
   * The loss of a batch: −ln p(x|z) + weight · KL(q(z|x) ‖ N(0, I)), averaged over its images.
   *
   * @param images - (n, D).
   * @param noise - (n, K), standard normal: codes are mean + exp(logStd) · noise.
   * @param variance - of each pixel, under the Gaussian likelihood.
   * @returns {loss, reconstruction, kl, klPerUnit, elbo} in nats, and mse per pixel.
   */
  loss(images, noise, weight, variance) {
    const { batch, pixels, latent, mean, logStd, codes } = this;
    this.encode(images);
    const klPerUnit = new Float64Array(latent);
    for (let i = 0; i < batch; i++) {
      for (let k = 0; k < latent; k++) {
        const at = i * latent + k;
        const std = Math.exp(logStd[at]);
        codes[at] = mean[at] + std * noise[at];
        // KL of N(μ, σ²) from N(0, 1): (μ² + σ² − 1)/2 − ln σ
        klPerUnit[k] += (0.5 * (mean[at] * mean[at] + std * std - 1) - logStd[at]) / batch;
      }
    }
    const means = this.decode(codes);
    let squares = 0;
    for (let i = 0; i < means.length; i++) {
      const error = images[i] - means[i];
      squares += error * error;
    }
    const mse = squares / (batch * pixels);
    const reconstruction =
      (0.5 * pixels * mse) / variance + 0.5 * pixels * Math.log(2 * Math.PI * variance);
    const kl = klPerUnit.reduce((sum, one) => sum + one, 0);
    const loss = reconstruction + weight * kl;
    return { loss, reconstruction, kl, klPerUnit, elbo: -reconstruction - kl, mse };
  }

  /** Compute the gradients of the loss in every layer, for the batch that `loss` has just seen. */
  gradients(images, noise, weight, variance) {
    const { batch, latent, mean, logStd, means, logitsGradient, posteriorGradient } = this;
    // −ln p is (x − m)²/2v + …, with m = sigmoid(logit), so dm/dlogit = m (1 − m).
    const scale = 1 / (variance * batch);
    for (let i = 0; i < means.length; i++) {
      const m = means[i];
      logitsGradient[i] = scale * (m - images[i]) * m * (1 - m);
    }
    const codesGradient = this.decoderNetwork.backward(logitsGradient, true);
    for (let i = 0; i < batch; i++) {
      for (let k = 0; k < latent; k++) {
        const at = i * latent + k;
        const std = Math.exp(logStd[at]);
        // z = μ + σ ε, so dz/dμ = 1 and dz/d ln σ = σ ε. The KL's own: μ, and σ² − 1.
        const dMean = codesGradient[at] + (weight * mean[at]) / batch;
        const dLogStd = codesGradient[at] * std * noise[at] + (weight * (std * std - 1)) / batch;
        const bounded = logStd[at] / LOG_STD_BOUND; // d tanh = 1 − tanh²
        posteriorGradient[i * 2 * latent + k] = dMean;
        posteriorGradient[i * 2 * latent + latent + k] = dLogStd * (1 - bounded * bounded);
      }
    }
    this.encoderNetwork.backward(posteriorGradient, false);
  }
}

/** Adam (Kingma & Ba 2014), as Keras computes it. */
class Adam {
  constructor({ kernels, layers }, learningRate) {
    Object.assign(this, { kernels, learningRate, step: 0 });
    this.slots = layers.flatMap((layer) =>
      [
        [layer.weights, layer.weightsGradient],
        [layer.bias, layer.biasGradient],
      ].map(([values, gradient]) => ({
        values,
        gradient,
        first: kernels.allocate(values.length), // moving average of the gradient
        second: kernels.allocate(values.length), // and of its square
      })),
    );
  }

  update() {
    this.step += 1;
    // Both averages start at 0; this corrects the bias that results.
    const correction = Math.sqrt(1 - 0.999 ** this.step) / (1 - 0.9 ** this.step);
    for (const { values, gradient, first, second } of this.slots) {
      this.kernels.adam(values, gradient, first, second, this.learningRate * correction);
    }
  }
}
