import { TestEnvironment } from 'jest-environment-node';

/**
 * Node's environment with the outer realm's typed arrays: onnxruntime-node compares constructors, and a test's own
 * Float32Array is another than the one it knows.
 */
export default class SharedArraysEnvironment extends TestEnvironment {
  override async setup(): Promise<void> {
    await super.setup();
    Object.assign(this.global, {
      ArrayBuffer,
      Float32Array,
      Float64Array,
      Int8Array,
      Int16Array,
      Int32Array,
      BigInt64Array,
      Uint8Array,
      Uint16Array,
      Uint32Array,
      BigUint64Array,
    });
  }
}
