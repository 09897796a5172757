// The kernels of `kernels.js` for WebAssembly with SIMD, in AssemblyScript. Arrays are addresses.
// `kernels-simd.js` holds what it compiles to, in base64: asc kernels.ts --optimize
// --runtime stub --importMemory --noExportMemory --noAssert --enable simd

// @ts-ignore: decorator
@inline function add(sum: v128, a: usize, b: v128): v128 {
  return f32x4.add(sum, f32x4.mul(v128.load32_splat(a), b));
}

// The sums of some rows and columns, one number at a time.
function rest(
  out: usize, a: usize, b: usize, c: usize, inner: i32, line: usize, ai: usize, ap: usize,
  firstRow: i32, rows: i32, firstByte: usize,
): void {
  for (let i = firstRow; i < rows; i++) {
    for (let j = firstByte; j < line; j += 4) {
      let sum = load<f32>(c + j);
      let left = a + <usize>i * ai, right = b + j;
      for (let p = 0; p < inner; p++, left += ap, right += line) {
        sum += load<f32>(left) * load<f32>(right);
      }
      store<f32>(out + <usize>i * line + j, sum);
    }
  }
}

// out (rows, cols) = A B + c; ai and ap count bytes.
export function matmul(
  out: usize, a: usize, b: usize, c: usize,
  rows: i32, inner: i32, cols: i32, ai: usize, ap: usize,
): void {
  const line = <usize>cols << 2; // bytes of a row of B
  const tiled = line & ~31;
  let i = 0;
  // Tiles of four rows by eight columns: eight sums of four numbers each, which stay in registers.
  for (; i + 4 <= rows; i += 4) {
    const a0 = a + <usize>i * ai, a1 = a0 + ai, a2 = a1 + ai, a3 = a2 + ai;
    for (let j: usize = 0; j < tiled; j += 32) {
      const c0 = v128.load(c + j), c1 = v128.load(c + j, 16);
      let s00 = c0, s01 = c1, s10 = c0, s11 = c1, s20 = c0, s21 = c1, s30 = c0, s31 = c1;
      for (let p = 0, q: usize = 0, at = b + j; p < inner; p++, q += ap, at += line) {
        const b0 = v128.load(at), b1 = v128.load(at, 16);
        s00 = add(s00, a0 + q, b0); s01 = add(s01, a0 + q, b1);
        s10 = add(s10, a1 + q, b0); s11 = add(s11, a1 + q, b1);
        s20 = add(s20, a2 + q, b0); s21 = add(s21, a2 + q, b1);
        s30 = add(s30, a3 + q, b0); s31 = add(s31, a3 + q, b1);
      }
      const o = out + <usize>i * line + j;
      v128.store(o, s00); v128.store(o, s01, 16);
      v128.store(o + line, s10); v128.store(o + line, s11, 16);
      v128.store(o + 2 * line, s20); v128.store(o + 2 * line, s21, 16);
      v128.store(o + 3 * line, s30); v128.store(o + 3 * line, s31, 16);
    }
  }
  rest(out, a, b, c, inner, line, ai, ap, 0, i, tiled); // columns that are left
  rest(out, a, b, c, inner, line, ai, ap, i, rows, 0); // rows that are left
}

// Four values of exp(x), for x from -87 to 87: x = n ln 2 + r, and exp(r) by its Taylor series.
// @ts-ignore: decorator
@inline function exp(x: v128): v128 {
  const n = f32x4.nearest(f32x4.mul(x, f32x4.splat(1.4426950408889634)));
  // ln 2 in two parts, of which the first has few bits, so that its product with n is exact.
  let r = f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(-2.12194440e-4)));
  let sum = f32x4.splat(1.0 / 5040);
  sum = f32x4.add(f32x4.mul(sum, r), f32x4.splat(1.0 / 720));
  sum = f32x4.add(f32x4.mul(sum, r), f32x4.splat(1.0 / 120));
  sum = f32x4.add(f32x4.mul(sum, r), f32x4.splat(1.0 / 24));
  sum = f32x4.add(f32x4.mul(sum, r), f32x4.splat(1.0 / 6));
  sum = f32x4.add(f32x4.mul(sum, r), f32x4.splat(0.5));
  sum = f32x4.add(f32x4.mul(sum, r), f32x4.splat(1));
  sum = f32x4.add(f32x4.mul(sum, r), f32x4.splat(1));
  // 2 to the power of n, put together from its bits.
  const bits = i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127));
  return f32x4.mul(sum, i32x4.shl(bits, 23));
}

// Arrays end on a multiple of four numbers, so that nothing is left over from here on.
export function relu(x: usize, size: i32): void {
  for (let at: usize = 0, end = <usize>size << 2; at < end; at += 16) {
    v128.store(x + at, f32x4.max(v128.load(x + at), f32x4.splat(0)));
  }
}

export function reluGradient(gradient: usize, output: usize, size: i32): void {
  for (let at: usize = 0, end = <usize>size << 2; at < end; at += 16) {
    const off = f32x4.eq(v128.load(output + at), f32x4.splat(0));
    v128.store(gradient + at, v128.andnot(v128.load(gradient + at), off));
  }
}

export function sigmoid(out: usize, logits: usize, size: i32): void {
  const one = f32x4.splat(1);
  for (let at: usize = 0, end = <usize>size << 2; at < end; at += 16) {
    let x = f32x4.neg(v128.load(logits + at));
    x = f32x4.max(f32x4.min(x, f32x4.splat(87)), f32x4.splat(-87));
    v128.store(out + at, f32x4.div(one, f32x4.add(one, exp(x))));
  }
}

export function adam(
  values: usize, gradient: usize, first: usize, second: usize, size: i32, rate: f32,
): void {
  for (let at: usize = 0, end = <usize>size << 2; at < end; at += 16) {
    const g = v128.load(gradient + at);
    let m = v128.load(first + at), v = v128.load(second + at);
    m = f32x4.add(m, f32x4.mul(f32x4.splat(0.1), f32x4.sub(g, m)));
    v = f32x4.add(v, f32x4.mul(f32x4.splat(0.001), f32x4.sub(f32x4.mul(g, g), v)));
    const root = f32x4.add(f32x4.sqrt(v), f32x4.splat(1e-7));
    const change = f32x4.div(f32x4.mul(f32x4.splat(rate), m), root);
    v128.store(values + at, f32x4.sub(v128.load(values + at), change));
    v128.store(first + at, m);
    v128.store(second + at, v);
  }
}
