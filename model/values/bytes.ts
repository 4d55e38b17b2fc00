import { BadInput, type Place } from '../errors';
import { type Dim, showDims } from '../signature';
import { type Base64, decodeBase64 } from './base64';
import { type Data, type ElementType, elementOf } from './elements';
import { type Shape, sizeOf, type Tensor } from './tensor';

/** The tensor that base64 stands for; without a shape it has these dimensions. Throws BadInput. */
export function readBase64(
  value: Base64,
  type: ElementType,
  dims: readonly Dim[] | undefined,
  place: Place,
): Tensor {
  const at = (key: string): Place => ({ ...place, path: [...place.path, key] });
  const bytes = decodeBase64(value.b64);
  if (!bytes) throw new BadInput('is not base64', at('b64'));
  if (Object.keys(value).some((key) => key !== 'b64' && key !== 'shape')) {
    throw new BadInput('has an unknown key beside b64 and shape', place);
  }
  const shape = value.shape ?? shapeFor(bytes.length / elementOf(type).bytes, dims);
  if (!isShape(shape))
    throw new BadInput('needs a "shape", an array of lengths that a tensor can have', place);
  return { type, shape, data: readBytes(bytes, type, shape, at('b64')) };
}

/** Little-endian bytes as the data of a tensor of this shape, without a copy where they are aligned. Throws BadInput. */
export function readBytes(bytes: Uint8Array, type: ElementType, shape: Shape, place: Place): Data {
  const { view, bytes: width } = elementOf(type);
  const size = sizeOf(shape);
  if (!view || bytes.length !== size * width) {
    throw new BadInput(
      `must hold ${size * width} bytes for ${type}${showDims(shape)}, not ${bytes.length}`,
      place,
    );
  }
  if (type === 'bool' && bytes.some((byte) => byte > 1)) {
    throw new BadInput('must hold only bytes 0 and 1 for bool', place);
  }
  const { buffer, byteOffset } = byteAligned(bytes, width);
  return view(buffer, byteOffset, size);
}

function byteAligned(bytes: Uint8Array, width: number): Uint8Array {
  // Not slice(), which shares the memory of a Buffer.
  return bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);
}

/** The only shape of so many values, or undefined where more than one dimension is open. */
export function shapeFor(length: number, dims: readonly Dim[] | undefined): number[] | undefined {
  if (!dims || dims.filter((dim) => typeof dim === 'string').length > 1) return undefined;
  const known = sizeOf(dims.filter((dim) => typeof dim === 'number')) || 1;
  return dims.map((dim) => (typeof dim === 'number' ? dim : Math.floor(length / known)));
}

/** More dimensions than any tensor has. */
const mostDims = 64;
/** Most rows without values that a shape may declare: they cost nothing to send, but time and memory to answer. */
const mostEmptyRows = 1 << 16;

/** Whether a JSON value is a shape that a tensor here can have. */
export function isShape(value: unknown): value is number[] {
  if (!Array.isArray(value) || value.length > mostDims) return false;
  const isLength = (length: unknown) =>
    Number.isInteger(length) && Number(length) >= 0 && Number(length) < 2 ** 31;
  return value.every(isLength) && (!value.includes(0) || sizeOf(value.filter(Boolean)) <= mostEmptyRows);
}
