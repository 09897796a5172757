// The same VAE in TensorFlow.js on its WebAssembly backend, as its documentation trains models.
globalThis.prepare = async ({ batch, pixels, width, depth, latent, rate, variance }) => {
  tf.wasm.setWasmPaths("/tfjs-wasm/");
  await tf.setBackend("wasm");
  await tf.ready();
  const sizes = [
    ...[[pixels, width], [width, latent], [width, latent], [latent, width]],
    ...Array(depth - 1).fill([width, width]),
    [width, pixels],
  ];
  const layers = sizes.map(([inputs, units]) => {
    const limit = Math.sqrt(6 / (inputs + units));
    return [
      tf.variable(tf.randomUniform([inputs, units], -limit, limit)),
      tf.variable(tf.zeros([units])),
    ];
  });
  const dense = (x, [weights, bias]) => x.matMul(weights).add(bias);
  const images = tf.randomUniform([batch, pixels]);
  const adam = tf.train.adam(rate);

  function loss() {
    const [hidden, mean, raw, ...decoder] = layers;
    const h = dense(images, hidden).relu();
    const mu = dense(h, mean);
    const logStd = dense(h, raw).div(10).tanh().mul(10);
    let x = mu.add(logStd.exp().mul(tf.randomNormal([batch, latent])));
    decoder.forEach((layer, i) => {
      x = dense(x, layer);
      if (i < decoder.length - 1) x = x.relu();
    });
    const squares = images.sub(x.sigmoid()).square().sum().div(2 * variance);
    const kl = mu.square().add(logStd.mul(2).exp()).sub(1).div(2).sub(logStd).sum();
    return squares.add(kl).div(batch);
  }

  return async (steps) => {
    let last;
    for (let step = 0; step < steps; step++) {
      last?.dispose();
      last = adam.minimize(loss, true);
    }
    return (await last.data())[0];
  };
};
