/** An object of these keys and values. */
export function recordOf<T>(keys: readonly string[], valueAt: (place: number) => T): Record<string, T> {
  const record: Record<string, T> = {};
  for (let i = 0; i < keys.length; i++) put(record, keys[i], valueAt(i));
  return record;
}

/** An object of values for inputs or outputs, by their names. */
export function byName<N extends { readonly name: string }, T>(
  named: readonly N[],
  valueFor: (one: N, place: number) => T,
): Record<string, T> {
  const record: Record<string, T> = {};
  for (let i = 0; i < named.length; i++) put(record, named[i].name, valueFor(named[i], i));
  return record;
}

/** Unlike Object.fromEntries it costs little; unlike an assignment it makes a key of __proto__ too. */
function put<T>(record: Record<string, T>, key: string, value: T): void {
  if (key !== '__proto__') record[key] = value;
  else Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true });
}
