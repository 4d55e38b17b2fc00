import { BadInput, type Path } from '../../model/errors';
import { decodeText } from '../../model/values/base64';
import type { Tensor } from '../../model/values/tensor';

// Tensors as bytes behind the JSON, Triton's binary tensor data extension of the Open Inference Protocol:
// https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md

/** The bytes of each input that has some. */
export function cutBinary(inputs: Record<string, unknown>[], binary: Buffer): (Buffer | undefined)[] {
  let end = 0;
  const chunks = inputs.map(({ parameters, data }, i) => {
    const size = Object(parameters).binary_data_size;
    if (size === undefined) return undefined;
    // Clients of MLServer write null for what they leave out.
    if (!Number.isSafeInteger(size) || size < 0 || (data ?? null) !== null)
      throw new BadInput('must have either data or a number of bytes as binary_data_size', ['inputs', i]);
    end += size;
    return binary.subarray(end - size, end);
  });
  if (end !== binary.length)
    throw new BadInput(`${binary.length} bytes follow the JSON, where the binary_data_size sum up to ${end}`);
  return chunks;
}

/** BYTES as bytes: each element is a uint32 with its length, little-endian, and so many bytes. */
export function readTexts(bytes: Buffer, path: Path): string[] {
  const texts: string[] = [];
  let at = 0;
  while (at + 4 <= bytes.length) {
    const end = at + 4 + bytes.readUInt32LE(at);
    const text = decodeText(bytes.subarray(at + 4, end));
    if (text === undefined) throw new BadInput('must be UTF-8', [...path, texts.length]);
    texts.push(text);
    at = end;
  }
  if (at !== bytes.length) throw new BadInput('must hold elements, each with its length before it', path);
  return texts;
}

/** The values of a tensor as bytes: a view of numbers, texts each behind its length. */
export function bytesOfTensor({ data }: Tensor): Uint8Array {
  if (!Array.isArray(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const bytes = Buffer.allocUnsafe(data.reduce((sum, text) => sum + 4 + Buffer.byteLength(text), 0));
  let at = 0;
  for (const text of data) {
    const length = bytes.write(text, at + 4);
    bytes.writeUInt32LE(length, at);
    at += 4 + length;
  }
  return bytes;
}
