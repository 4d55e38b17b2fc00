/** JSON text that is made in pieces when it is written. */
export class JsonText {
  constructor(readonly pieces: Iterable<string>) {}
}

/** Characters of a piece of what is made in pieces, as columns are: no more wait for a reader to take them. */
const pieceLength = 1 << 16;

/** The JSON of a value in pieces; a map's keys stay in its order, where an object has those first that are like integers. */
export function* writeJson(value: unknown): Generator<string, undefined> {
  let text = '';
  for (const piece of piecesOf(value)) {
    text += piece;
    if (text.length < pieceLength) continue;
    yield text;
    text = '';
  }
  if (text !== '') yield text;
}

/** The JSON of a list whose values are made one by one. */
export function* writeList(length: number, valueAt: (place: number) => unknown): Generator<string> {
  for (let i = 0; i < length; i++) {
    yield i === 0 ? '[' : ',';
    yield* piecesOf(valueAt(i));
  }
  yield length === 0 ? '[]' : ']';
}

function piecesOf(value: unknown): Iterable<string> {
  if (value instanceof JsonText) return value.pieces;
  return value instanceof Map ? writeObject(value) : [JSON.stringify(value) ?? 'null'];
}

function* writeObject(entries: ReadonlyMap<string, unknown>): Generator<string> {
  let before = '{';
  for (const [key, value] of entries) {
    // What a wrapper gives may be nothing.
    if (value === undefined) continue;
    yield `${before}${JSON.stringify(key)}:`;
    yield* piecesOf(value);
    before = ',';
  }
  yield before === '{' ? '{}' : '}';
}
