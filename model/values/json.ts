/** JSON text that is there already or, where it is long, is made in pieces when it is written. */
export class JsonText {
  constructor(readonly content: string | Iterable<string>) {}
}

/** Characters of a piece of what is made in pieces, as columns are: no more wait for a reader to take them. */
const pieceLength = 1 << 16;

/**
 * The JSON of a value in pieces: what JSON.stringify gives, but that maps become objects with their keys in their order,
 * where an object would have those first that are like integers.
 */
export function* writeJson(value: unknown): Generator<string, undefined> {
  const parts: Parts = [];
  addParts(value, parts);
  let text = '';
  for (const part of parts) {
    if (typeof part === 'string') {
      text += part;
      continue;
    }
    for (const piece of part) {
      text += piece;
      if (text.length < pieceLength) continue;
      yield text;
      text = '';
    }
  }
  if (text !== '') yield text;
}

/** The JSON of a list whose values are made one by one. */
export function* writeList(length: number, valueAt: (place: number) => unknown): Generator<string> {
  for (let i = 0; i < length; i++) {
    yield i === 0 ? '[' : ',';
    yield* writeJson(valueAt(i));
  }
  yield length === 0 ? '[]' : ']';
}

/** What a text is put together of. */
type Parts = (string | Iterable<string>)[];

function addParts(value: unknown, parts: Parts): void {
  if (value instanceof JsonText) parts.push(value.content);
  else if (value instanceof Map) addObject(value, parts);
  else parts.push(JSON.stringify(value) ?? 'null');
}

function addObject(entries: ReadonlyMap<string, unknown>, parts: Parts): void {
  let before = '{';
  for (const [key, value] of entries) {
    // What a wrapper gives may be nothing.
    if (value === undefined) continue;
    parts.push(`${before}${JSON.stringify(key)}:`);
    addParts(value, parts);
    before = ',';
  }
  parts.push(before === '{' ? '{}' : '}');
}
