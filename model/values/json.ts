/** JSON text that is there already or, where it is long, is made in pieces when it is written. */
export class JsonText {
  constructor(readonly content: string | Iterable<string>) {}
}

/** Characters of a piece: no more wait for a reader to take them. */
const pieceLength = 1 << 16;

/**
 * The JSON of a value in pieces: what JSON.stringify gives, but that maps become objects with their keys in their order,
 * where an object would have those first that are like integers.
 */
export function* writeJson(value: unknown): Generator<string, undefined> {
  const parts = new Parts();
  parts.add(value);
  let text = '';
  for (const part of parts.all()) {
    for (const piece of typeof part === 'string' ? [part] : part) {
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

/** What a text is put together of: short ones in one, long ones in their pieces. */
class Parts {
  private readonly parts: (string | Iterable<string>)[] = [];
  private text = '';

  all(): readonly (string | Iterable<string>)[] {
    return [...this.parts, this.text];
  }

  add(value: unknown): void {
    if (value instanceof JsonText) this.addText(value);
    else if (value instanceof Map) this.addObject(value);
    else if (Array.isArray(value) && value[0] instanceof Map) this.addList(value);
    else this.text += JSON.stringify(value) ?? 'null';
  }

  private addText({ content }: JsonText): void {
    if (typeof content === 'string') this.text += content;
    else {
      this.parts.push(this.text, content);
      this.text = '';
    }
  }

  private addObject(entries: ReadonlyMap<string, unknown>): void {
    let before = '{';
    for (const [key, value] of entries) {
      // What a wrapper gives may be nothing.
      if (value === undefined) continue;
      this.text += `${before}${JSON.stringify(key)}:`;
      this.add(value);
      before = ',';
    }
    this.text += before === '{' ? '{}' : '}';
  }

  private addList(items: readonly unknown[]): void {
    for (const [i, item] of items.entries()) {
      this.text += i === 0 ? '[' : ',';
      this.add(item);
    }
    this.text += ']';
  }
}
