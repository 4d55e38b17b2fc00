/** JSON text that is made, in pieces, when it is written. */
export class JsonText {
  constructor(readonly pieces: () => Generator<string>) {}
}

/**
 * The JSON of a value in pieces: what JSON.stringify gives but for maps, which become objects with their keys in their
 * order, where an object would have those that are like integers first.
 */
export function* writeJson(value: unknown): Generator<string> {
  if (value instanceof JsonText) yield* value.pieces();
  else if (value instanceof Map) yield* writeObject(value);
  else if (Array.isArray(value) && value[0] instanceof Map) yield* writeList(value.length, (i) => value[i]);
  else yield JSON.stringify(value) ?? 'null';
}

/** The JSON of a list of so many items. */
export function* writeList(length: number, itemAt: (place: number) => unknown): Generator<string> {
  yield '[';
  for (let i = 0; i < length; i++) {
    if (i > 0) yield ',';
    yield* writeJson(itemAt(i));
  }
  yield ']';
}

function* writeObject(entries: ReadonlyMap<string, unknown>): Generator<string> {
  let before = '{';
  for (const [key, value] of entries) {
    // What a wrapper gives may be nothing.
    if (value === undefined) continue;
    yield `${before}${JSON.stringify(key)}:`;
    yield* writeJson(value);
    before = ',';
  }
  yield before === '{' ? '{}' : '}';
}
