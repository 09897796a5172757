"use strict";

/**
 * Random numbers from a seed: mulberry32 for uniform ones, the transformation of Box and Muller for
 * normal ones. The same in every browser, but for the last bit of Math.log, Math.cos and Math.sin.
 */
function randomNumbers(seed) {
  let state = seed >>> 0;
  let spare = null;

  /** Uniform in [0, 1). */
  function uniform() {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Normal with mean 0 and variance 1. */
  function normal() {
    if (spare !== null) {
      const value = spare;
      spare = null;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** The whole numbers below n, in random order (Fisher and Yates). */
  function permutation(n) {
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = Math.floor(uniform() * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  }

  return { uniform, normal, permutation };
}
