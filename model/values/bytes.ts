import { BadInput, type Path } from '../errors';
import { showDims } from '../signature';
import { type Base64, decodeBase64 } from './base64';
import { type Data, type ElementType, elementOf } from './elements';
import { type Expected, fitShape, isShape, shapeFor } from './shapes';
import { type Shape, sizeOf, type Tensor } from './tensor';

/** The tensor that base64 stands for; without a shape it has the dimensions that are expected. Throws BadInput. */
export function readBase64(value: Base64, expected: Expected, place: Path): Tensor {
  const { type, dims } = expected;
  const at = (key: string): Path => [...place, key];
  const bytes = decodeBase64(value.b64);
  if (!bytes) throw new BadInput('is not base64', at('b64'));
  if (Object.keys(value).some((key) => key !== 'b64' && key !== 'shape')) {
    throw new BadInput('has an unknown key beside b64 and shape', place);
  }
  const stated = value.shape ?? shapeFor(bytes.length / elementOf(type).bytes, dims);
  if (!isShape(stated))
    throw new BadInput('needs a "shape", an array of lengths that a tensor can have', place);
  const shape = fitShape(stated, expected, place);
  return { type, shape, data: readBytes(bytes, type, stated, at('b64')) };
}

/** Little-endian bytes as the data of a tensor of this shape, in memory of its own. Throws BadInput. */
export function readBytes(bytes: Uint8Array, type: ElementType, shape: Shape, place: Path): Data {
  const { create, bytes: width } = elementOf(type);
  const size = sizeOf(shape);
  if (bytes.length !== size * width) {
    throw new BadInput(
      `must hold ${size * width} bytes for ${type}${showDims(shape)}, not ${bytes.length}`,
      place,
    );
  }
  if (type === 'bool' && bytes.some((byte) => byte > 1)) {
    throw new BadInput('must hold only bytes 0 and 1 for bool', place);
  }
  const data = create(size);
  if (!Array.isArray(data)) new Uint8Array(data.buffer).set(bytes);
  return data;
}
