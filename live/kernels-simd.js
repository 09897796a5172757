"use strict";

// What `kernels.ts` compiles to; a test compiles it again, and compares.
const SIMD_CODE = [
  "AGFzbQEAAAABKARgCn9/f39/f39/f38AYAN/f38AYAh/f39/f39/fwBgBn9/f39/fQACDwEDZW52Bm1lbW9yeQIAAAMF",
  "BAABAgMHGwMGbWF0bXVsAAIHc2lnbW9pZAABBGFkYW0AAwqGCwSQAQIEfwF9A0AgByAISARAIAkhCgNAIAQgCksEQEMA",
  "AAAAIQ4gASAFIAdsaiELIAIgCmohDEEAIQ0DQCADIA1KBEAgDiALKgIAIAwqAgCUkiEOIA1BAWohDSAGIAtqIQsgBCAM",
  "aiEMDAELCyAAIAQgB2xqIApqIA44AgAgCkEEaiEKDAELCyAHQQFqIQcMAQsLC8UDAgJ7AX8gAkECdCECA0AgAiAFSwRA",
  "IAEgBWr9AAQA/eEB/QwAAK5CAACuQgAArkIAAK5C/egB/QwAAK7CAACuwgAArsIAAK7C/ekBIgT9DDuquD87qrg/O6q4",
  "PzuquD/95gH9aiEDIAAgBWr9DAAAgD8AAIA/AACAPwAAgD/9DAAAgD8AAIA/AACAPwAAgD/9DAENUDkBDVA5AQ1QOQEN",
  "UDkgBCAD/QwAgDE/AIAxPwCAMT8AgDE//eYB/eUBIAP9DIOAXrmDgF65g4BeuYOAXrn95gH95QEiBP3mAf0MYQu2OmEL",
  "tjphC7Y6YQu2Ov3kASAE/eYB/QyJiAg8iYgIPImICDyJiAg8/eQBIAT95gH9DKuqKj2rqio9q6oqPauqKj395AEgBP3m",
  "Af0Mq6oqPquqKj6rqio+q6oqPv3kASAE/eYB/QwAAAA/AAAAPwAAAD8AAAA//eQBIAT95gH9DAAAgD8AAIA/AACAPwAA",
  "gD/95AEgBP3mAf0MAACAPwAAgD8AAIA/AACAP/3kASAD/fgB/Qx/AAAAfwAAAH8AAAB/AAAA/a4BQRf9qwH95gH95AH9",
  "5wH9CwQAIAVBEGohBQwBCwsL1wQCCn8LeyAFQQJ0IhFBYHEhDANAIAlBBGogA0wEQCABIAYgCWxqIg0gBmoiDiAGaiIP",
  "IAZqIRBBACEKA0AgCiAMSQRA/QwAAAAAAAAAAAAAAAAAAAAAIRL9DAAAAAAAAAAAAAAAAAAAAAAhE/0MAAAAAAAAAAAA",
  "AAAAAAAAACEU/QwAAAAAAAAAAAAAAAAAAAAAIRX9DAAAAAAAAAAAAAAAAAAAAAAhFv0MAAAAAAAAAAAAAAAAAAAAACEX",
  "/QwAAAAAAAAAAAAAAAAAAAAAIRj9DAAAAAAAAAAAAAAAAAAAAAAhGUEAIQtBACEFIAIgCmohCANAIAQgC0oEQCASIAUg",
  "DWr9CQIAIhsgCP0ABAAiGv3mAf3kASESIBMgGyAI/QAEECIb/eYB/eQBIRMgFCAFIA5q/QkCACIcIBr95gH95AEhFCAV",
  "IBwgG/3mAf3kASEVIBYgBSAPav0JAgAiHCAa/eYB/eQBIRYgFyAcIBv95gH95AEhFyAYIAUgEGr9CQIAIhwgGv3mAf3k",
  "ASEYIBkgHCAb/eYB/eQBIRkgC0EBaiELIAUgB2ohBSAIIBFqIQgMAQsLIAAgCSARbGogCmoiBSAS/QsEACAFIBP9CwQQ",
  "IAUgEWoiCCAU/QsEACAIIBX9CwQQIAUgEUEBdGoiCCAW/QsEACAIIBf9CwQQIAUgEUEDbGoiBSAY/QsEACAFIBn9CwQQ",
  "IApBIGohCgwBCwsgCUEEaiEJDAELCyAAIAEgAiAEIBEgBiAHQQAgCSAMEAAgACABIAIgBCARIAYgByAJIANBABAAC9EB",
  "AgN/A3sgBEECdCEHA0AgBiAHSQRAIAAgBmoiBCAE/QAEACAF/RMgAiAGaiIE/QAEACIK/QzNzMw9zczMPc3MzD3NzMw9",
  "IAEgBmr9AAQAIgkgCv3lAf3mAf3kASIK/eYBIAMgBmoiCP0ABAAiC/0MbxKDOm8SgzpvEoM6bxKDOiAJIAn95gEgC/3l",
  "Af3mAf3kASIJ/eMB/QyVv9Yzlb/WM5W/1jOVv9Yz/eQB/ecB/eUB/QsEACAEIAr9CwQAIAggCf0LBAAgBkEQaiEGDAEL",
  "Cws=",
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

  function matmul(out, a, b, rows, inner, cols, ai, ap) {
    const addresses = [out.byteOffset, a.byteOffset, b.byteOffset];
    exports.matmul(...addresses, rows, inner, cols, 4 * ai, 4 * ap);
  }

  function sigmoid(out, logits) {
    exports.sigmoid(out.byteOffset, logits.byteOffset, out.length);
  }

  function adam(values, gradient, first, second, rate) {
    const addresses = [values, gradient, first, second].map((array) => array.byteOffset);
    exports.adam(...addresses, values.length, rate);
  }

  return { name: "WebAssembly with SIMD", allocate, reset, matmul, sigmoid, adam };
}

/** The fastest kernels that this browser has. */
function fastestKernels() {
  try {
    return simdKernels();
  } catch {
    return plainKernels();
  }
}
