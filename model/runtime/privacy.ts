/**
 * ONNX Runtime 1.29 and later report model names, hashes and errors to their maker, and leave a device id in the user's
 * cache, unless this is set: in the process' own environment, on the main thread, before the runtime or any Worker is
 * loaded. See docs/Privacy.md of https://github.com/microsoft/onnxruntime.
 */
process.env.ORT_DISABLE_TELEMETRY = '1';
