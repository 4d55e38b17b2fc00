import type { Field, ProtobufFile } from './protobuf';

// What messages hold, said by tables: for each property the number of its field, and a reader of its values.

/** Reads what the fields of one number hold: all that a message has of them, in their order. */
export type Reader<T> = (file: ProtobufFile, fields: readonly Field[]) => T;

/**
 * Reads a message: for each property the number of its field, and what reads that. Ends where there have been as many
 * fields of a number as `most` says: lists of a million numbers are not walked.
 */
export function message<T>(
  properties: { [K in keyof T]: readonly [number, Reader<T[K]>] },
  most: Record<number, number> = {},
): Reader<T> {
  const entries = Object.entries<readonly [number, Reader<unknown>]>(properties);
  return (file, fields) => {
    const parts = new Map<number, Field[]>(entries.map(([, [number]]) => [number, []]));
    // A message that occurs twice is merged.
    for (const field of fields) {
      const left = { ...most };
      for (const part of file.fields(field)) {
        parts.get(part.number)?.push(part);
        if (--left[part.number] === 0) break;
      }
    }
    const read = entries.map(([key, [number, read]]) => [key, read(file, parts.get(number) ?? [])]);
    return Object.fromEntries(read) as T;
  };
}

/** Reads a message of which one field matters. */
export function only<T>(number: number, read: Reader<T>): Reader<T> {
  return mapped(message({ value: [number, read] }), ({ value }) => value);
}

/** Reads a message for each field. */
export function list<T>(read: Reader<T>): Reader<T[]> {
  return (file, fields) => fields.map((field) => read(file, [field]));
}

/** Reads what may not be there. */
export function optional<T>(read: Reader<T>): Reader<T | undefined> {
  return (file, fields) => (fields.length > 0 ? read(file, fields) : undefined);
}

export function mapped<T, U>(read: Reader<T>, change: (value: T) => U): Reader<U> {
  return (file, fields) => change(read(file, fields));
}

/** Tells where the message stands too, the first if it occurs twice. Throws RangeError where there is none. */
export function positioned<T>(read: Reader<T>): Reader<T & { field: Field }> {
  return (file, fields) => {
    const [field] = fields;
    if (!field) throw new RangeError('a message is missing');
    return { ...read(file, fields), field };
  };
}

export const texts: Reader<string[]> = (file, fields) => fields.map((field) => file.bytes(field).toString());

// Of a field that is no list, the last one counts.
export const text: Reader<string> = (file, fields) => texts(file, fields.slice(-1))[0] ?? '';
export const bigint: Reader<bigint> = (file, fields) => integers(1)(file, fields.slice(-1))[0] ?? 0n;
export const integer: Reader<number> = (file, fields) => Number(bigint(file, fields));

/** Reads the first integers of a list. */
export function integers(most: number): Reader<bigint[]> {
  return (file, fields) => fields.slice(0, most).flatMap((field) => file.integers(field, most));
}

/** Reads up to so many bytes; of more, none. */
export function bytes(most: number): Reader<Buffer> {
  return (file, [field]) =>
    field && field.to - field.from <= most ? Buffer.from(file.bytes(field)) : Buffer.alloc(0);
}
