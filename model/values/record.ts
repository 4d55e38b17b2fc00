/** An object of these keys and values. */
export function recordOf<T>(keys: readonly string[], valueAt: (place: number) => T): Record<string, T> {
  const record: Record<string, T> = {};
  for (let place = 0; place < keys.length; place++) {
    const [key, value] = [keys[place], valueAt(place)];
    // Unlike Object.fromEntries it costs little; unlike an assignment it makes a key of __proto__ too.
    if (key !== '__proto__') record[key] = value;
    else Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true });
  }
  return record;
}

/** An object of values for inputs or outputs, by their names. */
export function byName<N extends { readonly name: string }, T>(
  named: readonly N[],
  valueFor: (one: N, place: number) => T,
): Record<string, T> {
  const names = named.map(({ name }) => name);
  return recordOf(names, (place) => valueFor(named[place], place));
}
