/** JSON text, or its parts in their order, which may be made one by one when they are read. */
export type Parts = string | Iterable<Parts>;

/** A value whose JSON is told by its parts. */
export class JsonText {
  constructor(readonly parts: Parts) {}
}

/** The JSON of a value; a map's keys stay in its order, where an object has those first that are like integers. */
export function writeJson(value: unknown): Parts {
  if (value instanceof JsonText) return value.parts;
  if (!(value instanceof Map)) return JSON.stringify(value) ?? 'null';
  const parts: Parts[] = [];
  for (const [key, one] of value) {
    // What a wrapper gives may be nothing.
    if (one !== undefined)
      parts.push(`${parts.length > 0 ? ',' : '{'}${JSON.stringify(key)}:`, writeJson(one));
  }
  return [...parts, parts.length > 0 ? '}' : '{}'];
}

/** The JSON of a list whose values are made one by one, when they are read. */
export function listJson(length: number, valueAt: (place: number) => unknown): JsonText {
  const writeList = function* (): Generator<Parts> {
    for (let i = 0; i < length; i++) {
      yield i === 0 ? '[' : ',';
      yield writeJson(valueAt(i));
    }
    yield length === 0 ? '[]' : ']';
  };
  return new JsonText(writeList());
}

/** All parts as one text. */
export function textOf(parts: Parts): string {
  if (typeof parts === 'string') return parts;
  let text = '';
  for (const part of parts) text += textOf(part);
  return text;
}

/** Characters of a piece: no more wait for a reader to take them. */
const pieceLength = 1 << 16;

/** The same in pieces. */
export function* piecesOf(parts: Parts): Generator<string, undefined> {
  let text = '';
  for (const part of textsIn(parts)) {
    text += part;
    if (text.length < pieceLength) continue;
    yield text;
    text = '';
  }
  if (text !== '') yield text;
}

function* textsIn(parts: Parts): Generator<string> {
  if (typeof parts === 'string') yield parts;
  else for (const part of parts) yield* textsIn(part);
}
