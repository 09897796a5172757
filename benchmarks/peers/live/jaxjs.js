// The same VAE in jax-js on its WebAssembly backend, one compiled function for each step.
import { defaultDevice, init, jit, nn, numpy as np, tree, valueAndGrad } from "/jaxjs/index.js";

globalThis.prepare = async ({ batch, pixels, width, depth, latent, rate, variance }) => {
  await init("wasm");
  defaultDevice("wasm");
  const sizes = [
    ...[[pixels, width], [width, latent], [width, latent], [latent, width]],
    ...Array(depth - 1).fill([width, width]),
    [width, pixels],
  ];
  const uniform = (count, low, high) =>
    np.array(Float32Array.from({ length: count }, () => low + (high - low) * Math.random()));
  let params = sizes.map(([inputs, units]) => {
    const limit = Math.sqrt(6 / (inputs + units));
    return {
      weights: uniform(inputs * units, -limit, limit).reshape([inputs, units]),
      bias: np.zeros([units]),
    };
  });
  const zeros = () => tree.map((array) => np.zeros(array.shape), params);
  let [first, second] = [zeros(), zeros()];
  const images = uniform(batch * pixels, 0, 1).reshape([batch, pixels]);
  const dense = (x, { weights, bias }) => np.matmul(x, weights).add(bias);

  function loss([hidden, mean, raw, ...decoder], x, noise) {
    const h = nn.relu(dense(x.ref, hidden));
    const mu = dense(h.ref, mean);
    const logStd = np.tanh(dense(h, raw).mul(0.1)).mul(10);
    let y = mu.ref.add(np.exp(logStd.ref).mul(noise));
    decoder.forEach((layer, i) => {
      y = dense(y, layer);
      if (i < decoder.length - 1) y = nn.relu(y);
    });
    const error = x.sub(nn.sigmoid(y));
    const squares = np.sum(error.ref.mul(error)).mul(0.5 / variance);
    const square = mu.ref.mul(mu).add(np.exp(logStd.ref.mul(2))).sub(1).mul(0.5);
    return squares.add(np.sum(square.sub(logStd))).mul(1 / batch);
  }

  // Adam, with its correction in the rate, in the same compiled function.
  const step = jit((params, first, second, x, noise, corrected) => {
    const [value, gradient] = valueAndGrad(loss)(tree.ref(params), x, noise);
    first = tree.map((m, g) => m.mul(0.9).add(g.ref.mul(0.1)), first, gradient);
    second = tree.map((v, g) => v.mul(0.999).add(g.ref.mul(g).mul(0.001)), second, gradient);
    const moved = tree.map(
      (p, m, v) => p.sub(m.ref.mul(corrected.ref).div(np.sqrt(v.ref).add(1e-7))),
      params, first, second,
    );
    corrected.dispose();
    return [value, moved, first, second];
  });

  // Box and Muller's, as in `live/random.js`: faster than the library's own for so few.
  const normal = () =>
    Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  let count = 0;
  return async (steps) => {
    let value;
    for (let i = 0; i < steps; i++) {
      count += 1;
      value?.dispose();
      const noise = np.array(Float32Array.from({ length: batch * latent }, normal)).reshape([batch, latent]);
      const corrected = (rate * Math.sqrt(1 - 0.999 ** count)) / (1 - 0.9 ** count);
      [value, params, first, second] = step(params, first, second, images.ref, noise, np.array(corrected));
    }
    return (await value.data())[0];
  };
};
