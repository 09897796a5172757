"use strict";

// The one expensive operation of the engine: a matrix product. All the rest are plain loops.
//
// Matrices lie row by row in typed arrays. `matmul` reads its first factor with two strides, so
// that one kernel serves forward (x W) and for the gradient of the weights (xᵀ dy), without a copy.

/**
 * Kernels in plain JavaScript: {name, allocate, matmul}.
 *
 * @param Numbers - Float32Array; or Float64Array, to check gradients by finite differences.
 */
function plainKernels(Numbers = Float32Array) {
  /** out (rows, cols) = A B. B is (inner, cols); A's element (i, p) lies at a[i · ai + p · ap]. */
  function matmul(out, a, b, rows, inner, cols, ai, ap) {
    const [tiledRows, tiledCols] = [rows - (rows % 2), cols - (cols % 4)];
    // Tiles of two rows by four columns: eight sums for six numbers that are read.
    for (let i = 0; i < tiledRows; i += 2) {
      for (let j = 0; j < tiledCols; j += 4) {
        let s0 = 0, s1 = 0, s2 = 0, s3 = 0;
        let t0 = 0, t1 = 0, t2 = 0, t3 = 0;
        for (let p = 0, s = i * ai, t = s + ai, q = j; p < inner; p++, s += ap, t += ap, q += cols) {
          const as = a[s], at = a[t];
          const b0 = b[q], b1 = b[q + 1], b2 = b[q + 2], b3 = b[q + 3];
          s0 += as * b0; s1 += as * b1; s2 += as * b2; s3 += as * b3;
          t0 += at * b0; t1 += at * b1; t2 += at * b2; t3 += at * b3;
        }
        const o = i * cols + j, u = o + cols;
        out[o] = s0; out[o + 1] = s1; out[o + 2] = s2; out[o + 3] = s3;
        out[u] = t0; out[u + 1] = t1; out[u + 2] = t2; out[u + 3] = t3;
      }
    }
    // The columns and the row that are left.
    for (let i = 0; i < rows; i++) {
      for (let j = i < tiledRows ? tiledCols : 0; j < cols; j++) {
        let sum = 0;
        for (let p = 0; p < inner; p++) sum += a[i * ai + p * ap] * b[p * cols + j];
        out[i * cols + j] = sum;
      }
    }
  }

  return { name: "plain JavaScript", allocate: (size) => new Numbers(size), matmul };
}
