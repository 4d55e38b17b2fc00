/** An object of these keys and values. Unlike Object.fromEntries it costs little; unlike an assignment it makes a key of __proto__ too. */
export function recordOf<T>(keys: readonly string[], valueAt: (place: number) => T): Record<string, T> {
  const record: Record<string, T> = {};
  for (let i = 0; i < keys.length; i++) {
    if (keys[i] !== '__proto__') record[keys[i]] = valueAt(i);
    else
      Object.defineProperty(record, keys[i], {
        value: valueAt(i),
        enumerable: true,
        configurable: true,
        writable: true,
      });
  }
  return record;
}

/** An object of values for inputs or outputs, by their names. */
export function byName<N extends { readonly name: string }, T>(
  named: readonly N[],
  valueFor: (one: N, place: number) => T,
): Record<string, T> {
  return recordOf(
    named.map(({ name }) => name),
    (i) => valueFor(named[i], i),
  );
}
