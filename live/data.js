"use strict";

// Scikit-learn's 8 × 8 digits, drawn as `vae_utils.data` draws them, and halved to 14 × 14 pixels.

const SMALL = 8; // side of a digit as it comes
const LARGE = 2 * SIDE; // side of the drawing

/**
 * NumPy's default random numbers (PCG64; O'Neill 2014), from its state, which the build wrote down.
 *
 * @returns uniform(low, high).
 */
function pcg64([state, increment]) {
  const mask = (1n << 128n) - 1n;
  const half = (1n << 64n) - 1n;
  const multiplier = 0x2360ed051fc65da44385df649fccf645n;
  state = BigInt(state);
  increment = BigInt(increment);
  return (low, high) => {
    state = (state * multiplier + increment) & mask;
    const mixed = (state >> 64n) ^ (state & half);
    const turn = state >> 122n;
    const word = ((mixed >> turn) | (mixed << (64n - turn))) & half;
    return low + ((high - low) * Number(word >> 11n)) / 2 ** 53;
  };
}

/** Replace eight samples by the coefficients of the cubic spline through them, in place. */
function splineCoefficients(values, start, stride) {
  // (c[i − 1] + 4 c[i] + c[i + 1]) / 6 = sample i, mirrored at both ends: three diagonals, solved
  // from top to bottom and back.
  const above = new Float64Array(SMALL);
  for (let i = 0, at = start; i < SMALL; i++, at += stride) {
    const below = i === 0 ? 0 : i === SMALL - 1 ? 2 : 1;
    const pivot = 4 - (i === 0 ? 0 : below * above[i - 1]);
    above[i] = (i === 0 ? 2 : 1) / pivot;
    values[at] = (6 * values[at] - (i === 0 ? 0 : below * values[at - stride])) / pivot;
  }
  for (let i = SMALL - 2, at = start + i * stride; i >= 0; i--, at -= stride) {
    values[at] -= above[i] * values[at + stride];
  }
}

/** Write the four weights of a cubic B-spline, a share `t` after the second of its points. */
function splineWeights(weights, t) {
  const s = 1 - t;
  weights[0] = (s * s * s) / 6;
  weights[1] = (4 - 6 * t * t + 3 * t * t * t) / 6;
  weights[2] = (4 - 6 * s * s + 3 * s * s * s) / 6;
  weights[3] = (t * t * t) / 6;
}

/** Draw one digit (8 · 8 values in [0, 1]) into `pixels` (14 · 14), turned and shifted a little. */
function drawDigit(pixels, digit, angle, downwards, sideways) {
  const coefficients = Float64Array.from(digit);
  for (let i = 0; i < SMALL; i++) splineCoefficients(coefficients, i, SMALL);
  for (let i = 0; i < SMALL; i++) splineCoefficients(coefficients, i * SMALL, 1);

  const [cos, sin] = [(SMALL / 20) * Math.cos(angle), (SMALL / 20) * Math.sin(angle)];
  const [down, across] = [new Float64Array(4), new Float64Array(4)];
  const last = SMALL - 1;
  const mirrored = (i) => (i < 0 ? -i : i > last ? 2 * last - i : i);

  pixels.fill(0);
  for (let row = 0; row < LARGE; row++) {
    for (let column = 0; column < LARGE; column++) {
      const [dy, dx] = [row - 13.5 - downwards, column - 13.5 - sideways];
      const y = 3.5 + cos * dy - sin * dx;
      const x = 3.5 + sin * dy + cos * dx;
      if (y < 0 || x < 0 || y > last || x > last) continue; // black
      const [top, left] = [Math.floor(y), Math.floor(x)];
      splineWeights(down, y - top);
      splineWeights(across, x - left);
      let sum = 0;
      for (let i = 0; i < 4; i++) {
        const line = mirrored(top - 1 + i) * SMALL;
        for (let j = 0; j < 4; j++) {
          sum += down[i] * across[j] * coefficients[line + mirrored(left - 1 + j)];
        }
      }
      const brightness = Math.fround(Math.min(Math.max(2 * sum - 0.5, 0), 1)); // crisp again
      pixels[(row >> 1) * SIDE + (column >> 1)] += brightness / 4;
    }
  }
}

/**
 * Images (count, 196) in [0, 1], and their labels.
 *
 * @param source - {digits: 64 letters for each, from "a" for 0 to "q" for 16; labels: a letter for
 *   each}.
 * @param set - {rows: which digits; state: of the random numbers}.
 */
function drawDigits({ digits, labels }, { rows, state }) {
  const uniform = pcg64(state);
  const images = new Float32Array(rows.length * PIXELS);
  rows.forEach((row, i) => {
    const digit = Float64Array.from({ length: 64 }, (_, j) => digits.charCodeAt(64 * row + j) - 97);
    const pixels = images.subarray(i * PIXELS, (i + 1) * PIXELS);
    const angle = uniform(-0.2, 0.2);
    drawDigit(pixels, digit.map((value) => value / 16), angle, uniform(-1.5, 1.5), uniform(-1.5, 1.5));
  });
  return { images, labels: rows.map((row) => Number(labels[row])), count: rows.length };
}
