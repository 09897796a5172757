"use strict";

// What `kernels.ts` compiles to; a test compiles it again, and compares.
const SIMD_CODE = [
  "AGFzbQEAAAABLwVgA39/fwBgC39/f39/f39/f39/AGACf38AYAl/f39/f39/f38AYAZ/f39/f30AAg8BA2VudgZtZW1v",
  "cnkCAAADBwYBAAACAwQHMQUGbWF0bXVsAAQEcmVsdQADDHJlbHVHcmFkaWVudAACB3NpZ21vaWQAAQRhZGFtAAUKqAsG",
  "kwECBH8BfQNAIAggCUgEQCAKIQsDQCAFIAtLBEAgAyALaioCACEPIAEgBiAIbGohDCACIAtqIQ1BACEOA0AgBCAOSgRA",
  "IA8gDCoCACANKgIAlJIhDyAOQQFqIQ4gByAMaiEMIAUgDWohDQwBCwsgACAFIAhsaiALaiAPOAIAIAtBBGohCwwBCwsg",
  "CEEBaiEIDAELCwvFAwICewF/IAJBAnQhAgNAIAIgBUsEQCABIAVq/QAEAP3hAf0MAACuQgAArkIAAK5CAACuQv3oAf0M",
  "AACuwgAArsIAAK7CAACuwv3pASIE/Qw7qrg/O6q4PzuquD87qrg//eYB/WohAyAAIAVq/QwAAIA/AACAPwAAgD8AAIA/",
  "/QwAAIA/AACAPwAAgD8AAIA//QwBDVA5AQ1QOQENUDkBDVA5IAQgA/0MAIAxPwCAMT8AgDE/AIAxP/3mAf3lASAD/QyD",
  "gF65g4BeuYOAXrmDgF65/eYB/eUBIgT95gH9DGELtjphC7Y6YQu2OmELtjr95AEgBP3mAf0MiYgIPImICDyJiAg8iYgI",
  "PP3kASAE/eYB/Qyrqio9q6oqPauqKj2rqio9/eQBIAT95gH9DKuqKj6rqio+q6oqPquqKj795AEgBP3mAf0MAAAAPwAA",
  "AD8AAAA/AAAAP/3kASAE/eYB/QwAAIA/AACAPwAAgD8AAIA//eQBIAT95gH9DAAAgD8AAIA/AACAPwAAgD/95AEgA/34",
  "Af0MfwAAAH8AAAB/AAAAfwAAAP2uAUEX/asB/eYB/eQB/ecB/QsEACAFQRBqIQUMAQsLC08BAn8gAkECdCEEA0AgAyAE",
  "SQRAIAAgA2oiAiAC/QAEACABIANq/QAEAP0MAAAAAAAAAAAAAAAAAAAAAP1B/U/9CwQAIANBEGohAwwBCwsLRQECfyAB",
  "QQJ0IQMDQCACIANJBEAgACACaiIBIAH9AAQA/QwAAAAAAAAAAAAAAAAAAAAA/ekB/QsEACACQRBqIQIMAQsLC+ADAgt7",
  "Cn8gBkECdCIVQWBxIRkDQCAWQQRqIARMBEAgASAHIBZsaiIaIAdqIhsgB2oiHCAHaiEdQQAhFwNAIBcgGUkEQCADIBdq",
  "Igb9AAQAIgshDyAG/QAEECIMIRAgCyIJIQ0gDCIKIQ5BACEGQQAhGCACIBdqIRQDQCAFIAZKBEAgCyAYIBpq/QkCACIS",
  "IBT9AAQAIhH95gH95AEhCyAMIBIgFP0ABBAiEv3mAf3kASEMIA8gGCAbav0JAgAiEyAR/eYB/eQBIQ8gECATIBL95gH9",
  "5AEhECAJIBggHGr9CQIAIhMgEf3mAf3kASEJIAogEyAS/eYB/eQBIQogDSAYIB1q/QkCACITIBH95gH95AEhDSAOIBMg",
  "Ev3mAf3kASEOIAZBAWohBiAIIBhqIRggFCAVaiEUDAELCyAAIBUgFmxqIBdqIgYgC/0LBAAgBiAM/QsEECAGIBVqIhQg",
  "D/0LBAAgFCAQ/QsEECAGIBVBAXRqIhQgCf0LBAAgFCAK/QsEECAGIBVBA2xqIgYgDf0LBAAgBiAO/QsEECAXQSBqIRcM",
  "AQsLIBZBBGohFgwBCwsgACABIAIgAyAFIBUgByAIQQAgFiAZEAAgACABIAIgAyAFIBUgByAIIBYgBEEAEAAL0QECA38D",
  "eyAEQQJ0IQcDQCAGIAdJBEAgACAGaiIEIAT9AAQAIAX9EyACIAZqIgT9AAQAIgr9DM3MzD3NzMw9zczMPc3MzD0gASAG",
  "av0ABAAiCSAK/eUB/eYB/eQBIgr95gEgAyAGaiII/QAEACIL/QxvEoM6bxKDOm8SgzpvEoM6IAkgCf3mASAL/eUB/eYB",
  "/eQBIgn94wH9DJW/1jOVv9Yzlb/WM5W/1jP95AH95wH95QH9CwQAIAQgCv0LBAAgCCAJ/QsEACAGQRBqIQYMAQsLCw==",
].join("");
const SIMD_MEMORY = 16; // MiB: several times what the largest net of the page needs

/**
 * The same kernels in WebAssembly with SIMD: four numbers at a time.
 *
 * Their arrays lie in one memory: `reset` clears it for the next training.
 *
 * @throws where the browser has no SIMD, or where the page's policy forbids WebAssembly.
 */
function simdKernels() {
  const code = Uint8Array.from(atob(SIMD_CODE), (letter) => letter.charCodeAt(0));
  const pages = SIMD_MEMORY * 16; // of 64 KiB each
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory } });
  let used = 0;

  function allocate(size) {
    const array = new Float32Array(memory.buffer, used, size);
    used += Math.ceil(size / 4) * 16; // a multiple of four numbers
    return array;
  }

  function reset() {
    new Float32Array(memory.buffer, 0, used / 4).fill(0);
    used = 0;
  }

  const addresses = (...arrays) => arrays.map((array) => array.byteOffset);

  function matmul(out, a, b, c, rows, inner, cols, ai, ap) {
    exports.matmul(...addresses(out, a, b, c), rows, inner, cols, 4 * ai, 4 * ap);
  }

  function relu(x) {
    exports.relu(x.byteOffset, x.length);
  }

  function reluGradient(gradient, output) {
    exports.reluGradient(...addresses(gradient, output), output.length);
  }

  function sigmoid(out, logits) {
    exports.sigmoid(...addresses(out, logits), out.length);
  }

  function adam(values, gradient, first, second, rate) {
    exports.adam(...addresses(values, gradient, first, second), values.length, rate);
  }

  const kernels = { matmul, relu, reluGradient, sigmoid, adam };
  return { name: "WebAssembly with SIMD", allocate, reset, ...kernels };
}

/** The fastest kernels that this browser has. */
function fastestKernels() {
  try {
    return simdKernels();
  } catch {
    return plainKernels();
  }
}
