import type * as Runtime from 'onnxruntime-node';

/**
 * ONNX Runtime, loaded so that float16 is raw bits in a Uint16Array on every Node.js. Where a Float16Array exists
 * (24 and up) the runtime gives it for outputs and fails on every input; it looks for one when the first tensor is
 * made, so none is to be seen until then. See https://github.com/microsoft/onnxruntime/pull/32323.
 */
export const runtime = hideFloat16Array(() => {
  const loaded: typeof Runtime = require('onnxruntime-node');
  new loaded.Tensor('float16', new Uint16Array(1), [1]);
  return loaded;
});

function hideFloat16Array<T>(load: () => T): T {
  const own = Object.getOwnPropertyDescriptor(globalThis, 'Float16Array');
  if (!own) return load();
  Reflect.deleteProperty(globalThis, 'Float16Array');
  try {
    return load();
  } finally {
    Object.defineProperty(globalThis, 'Float16Array', own);
  }
}
