"use strict";

// The operations that take the engine's time. All the rest are short loops.
//
// Matrices lie row by row in typed arrays. `matmul` reads its first factor with two strides, so
// that one kernel serves forward (x W + b) and for the gradients (xᵀ dy), without a copy.

const PLAIN = "plain JavaScript";

/**
 * Kernels in plain JavaScript: {name, allocate, reset, matmul, relu, reluGradient, sigmoid, adam}.
 *
 * @param Numbers - Float32Array; or Float64Array, to check gradients by finite differences.
 */
function plainKernels(Numbers = Float32Array) {
  /**
   * out (rows, cols) = A B + c: the row c is added to each row of the product.
   *
   * B is (inner, cols); A's element (i, p) lies at a[i · ai + p · ap].
   */
  function matmul(out, a, b, c, rows, inner, cols, ai, ap) {
    const [tiledRows, tiledCols] = [rows - (rows % 4), cols - (cols % 4)];
    // Tiles of four rows by four columns: sixteen sums for eight numbers that are read.
    for (let i = 0; i < tiledRows; i += 4) {
      for (let j = 0; j < tiledCols; j += 4) {
        const c0 = c[j], c1 = c[j + 1], c2 = c[j + 2], c3 = c[j + 3];
        let s0 = c0, s1 = c1, s2 = c2, s3 = c3, t0 = c0, t1 = c1, t2 = c2, t3 = c3;
        let u0 = c0, u1 = c1, u2 = c2, u3 = c3, v0 = c0, v1 = c1, v2 = c2, v3 = c3;
        for (let p = 0, at = i * ai, q = j; p < inner; p++, at += ap, q += cols) {
          const b0 = b[q], b1 = b[q + 1], b2 = b[q + 2], b3 = b[q + 3];
          const s = a[at], t = a[at + ai], u = a[at + 2 * ai], v = a[at + 3 * ai];
          s0 += s * b0; s1 += s * b1; s2 += s * b2; s3 += s * b3;
          t0 += t * b0; t1 += t * b1; t2 += t * b2; t3 += t * b3;
          u0 += u * b0; u1 += u * b1; u2 += u * b2; u3 += u * b3;
          v0 += v * b0; v1 += v * b1; v2 += v * b2; v3 += v * b3;
        }
        let o = i * cols + j;
        out[o] = s0; out[o + 1] = s1; out[o + 2] = s2; out[o + 3] = s3;
        o += cols;
        out[o] = t0; out[o + 1] = t1; out[o + 2] = t2; out[o + 3] = t3;
        o += cols;
        out[o] = u0; out[o + 1] = u1; out[o + 2] = u2; out[o + 3] = u3;
        o += cols;
        out[o] = v0; out[o + 1] = v1; out[o + 2] = v2; out[o + 3] = v3;
      }
    }
    // The columns and the rows that are left.
    for (let i = 0; i < rows; i++) {
      for (let j = i < tiledRows ? tiledCols : 0; j < cols; j++) {
        let sum = c[j];
        for (let p = 0; p < inner; p++) sum += a[i * ai + p * ap] * b[p * cols + j];
        out[i * cols + j] = sum;
      }
    }
  }

  /** x = max(x, 0), in place. */
  function relu(x) {
    for (let i = 0; i < x.length; i++) if (x[i] < 0) x[i] = 0;
  }

  /** Where a ReLU gave 0, nothing below it had a part in the loss: the gradient is 0 there. */
  function reluGradient(gradient, output) {
    for (let i = 0; i < output.length; i++) if (output[i] === 0) gradient[i] = 0;
  }

  /** out = 1 / (1 + exp(−logits)) */
  function sigmoid(out, logits) {
    for (let i = 0; i < out.length; i++) out[i] = 1 / (1 + Math.exp(-logits[i]));
  }

  /** A step of Adam: moving averages of the gradient and of its square, and values that move. */
  function adam(values, gradient, first, second, rate) {
    for (let i = 0; i < values.length; i++) {
      const g = gradient[i];
      first[i] += 0.1 * (g - first[i]);
      second[i] += 0.001 * (g * g - second[i]);
      values[i] -= (rate * first[i]) / (Math.sqrt(second[i]) + 1e-7);
    }
  }

  return {
    name: PLAIN,
    allocate: (size) => new Numbers(size),
    reset() {}, // old arrays are the browser's to collect
    ...{ matmul, relu, reluGradient, sigmoid, adam },
  };
}
