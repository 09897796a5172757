"use strict";

// What `kernels.ts` compiles to; a test compiles it again, and compares.
const SIMD_CODE = [
  "AGFzbQEAAAABGQJgCn9/f39/f39/f38AYAh/f39/f39/fwACDwEDZW52Bm1lbW9yeQIAAAMDAgABBwoBBm1hdG11bAAB",
  "CuwFApABAgR/AX0DQCAHIAhIBEAgCSEKA0AgBCAKSwRAQwAAAAAhDiABIAUgB2xqIQsgAiAKaiEMQQAhDQNAIAMgDUoE",
  "QCAOIAsqAgAgDCoCAJSSIQ4gDUEBaiENIAYgC2ohCyAEIAxqIQwMAQsLIAAgBCAHbGogCmogDjgCACAKQQRqIQoMAQsL",
  "IAdBAWohBwwBCwsL1wQCCn8LeyAFQQJ0IhFBYHEhDANAIAlBBGogA0wEQCABIAYgCWxqIg0gBmoiDiAGaiIPIAZqIRBB",
  "ACEKA0AgCiAMSQRA/QwAAAAAAAAAAAAAAAAAAAAAIRL9DAAAAAAAAAAAAAAAAAAAAAAhE/0MAAAAAAAAAAAAAAAAAAAA",
  "ACEU/QwAAAAAAAAAAAAAAAAAAAAAIRX9DAAAAAAAAAAAAAAAAAAAAAAhFv0MAAAAAAAAAAAAAAAAAAAAACEX/QwAAAAA",
  "AAAAAAAAAAAAAAAAIRj9DAAAAAAAAAAAAAAAAAAAAAAhGUEAIQtBACEFIAIgCmohCANAIAQgC0oEQCASIAUgDWr9CQIA",
  "IhsgCP0ABAAiGv3mAf3kASESIBMgGyAI/QAEECIb/eYB/eQBIRMgFCAFIA5q/QkCACIcIBr95gH95AEhFCAVIBwgG/3m",
  "Af3kASEVIBYgBSAPav0JAgAiHCAa/eYB/eQBIRYgFyAcIBv95gH95AEhFyAYIAUgEGr9CQIAIhwgGv3mAf3kASEYIBkg",
  "HCAb/eYB/eQBIRkgC0EBaiELIAUgB2ohBSAIIBFqIQgMAQsLIAAgCSARbGogCmoiBSAS/QsEACAFIBP9CwQQIAUgEWoi",
  "CCAU/QsEACAIIBX9CwQQIAUgEUEBdGoiCCAW/QsEACAIIBf9CwQQIAUgEUEDbGoiBSAY/QsEACAFIBn9CwQQIApBIGoh",
  "CgwBCwsgCUEEaiEJDAELCyAAIAEgAiAEIBEgBiAHQQAgCSAMEAAgACABIAIgBCARIAYgByAJIANBABAACw==",
].join("");
const SIMD_MEMORY = 16; // MiB: several times what the largest net of the page needs

/**
 * The same kernels in WebAssembly with SIMD: four numbers at a time.
 *
 * Their arrays lie in one memory, which is never given back: new kernels for each training.
 *
 * @throws where the browser has no SIMD, or where the page's policy forbids WebAssembly.
 */
function simdKernels() {
  const code = Uint8Array.from(atob(SIMD_CODE), (letter) => letter.charCodeAt(0));
  const pages = SIMD_MEMORY * 16; // of 64 KiB each
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory } });
  let used = 0;

  function allocate(size) {
    const array = new Float32Array(memory.buffer, used, size);
    used += Math.ceil(size / 4) * 16; // SIMD likes addresses that are multiples of 16
    return array;
  }

  function matmul(out, a, b, rows, inner, cols, ai, ap) {
    const addresses = [out.byteOffset, a.byteOffset, b.byteOffset];
    instance.exports.matmul(...addresses, rows, inner, cols, 4 * ai, 4 * ap);
  }

  return { name: "WebAssembly with SIMD", allocate, matmul };
}

/** The fastest kernels that this browser has. */
function fastestKernels() {
  try {
    return simdKernels();
  } catch {
    return plainKernels();
  }
}
