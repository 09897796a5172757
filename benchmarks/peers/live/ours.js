// The engine of `live/`, with the kernels that its name asks for.
globalThis.prepare = async ({ batch, pixels, width, depth, latent, rate, variance }, kernels) => {
  const vae = new VAE(kernels === "simd" ? simdKernels() : plainKernels(), {
    ...{ batch, pixels, latent, encoder: [width], decoder: Array(depth).fill(width) },
  });
  const random = randomNumbers(0);
  vae.start(random);
  const adam = new Adam(vae, rate);
  const images = vae.kernels.allocate(batch * pixels);
  const noise = vae.kernels.allocate(batch * latent);
  images.forEach((_, i) => (images[i] = random.uniform()));
  return async (steps) => {
    let loss;
    for (let step = 0; step < steps; step++) {
      for (let i = 0; i < noise.length; i++) noise[i] = random.normal();
      ({ loss } = vae.loss(images, noise, 1, variance));
      vae.gradients(images, noise, 1, variance);
      adam.update();
    }
    return loss;
  };
};
