import { BadInput } from '../errors';
import type { Input } from '../signature';

/** An object of values for inputs or outputs, by their names. */
export function byName<N extends { readonly name: string }, T>(
  named: readonly N[],
  valueFor: (one: N, place: number) => T,
): Record<string, T> {
  const record: Record<string, T> = {};
  for (let place = 0; place < named.length; place++) {
    const one = named[place];
    // Of __proto__ an assignment makes no key. Else it takes a fifth of the time.
    if (one.name === '__proto__')
      return Object.fromEntries(named.map((one, i) => [one.name, valueFor(one, i)]));
    record[one.name] = valueFor(one, place);
  }
  return record;
}

/** Whether an object is keyed by the inputs' names and nothing else. */
export function hasJust(given: object, inputs: readonly Input[]): boolean {
  return (
    Object.keys(given).length === inputs.length && inputs.every(({ name }) => Object.hasOwn(given, name))
  );
}

/** Throws BadInput for an object that is not keyed by the inputs' names. */
export function checkNames(given: object, inputs: readonly Input[]): void {
  if (hasJust(given, inputs)) return;
  const unknown = Object.keys(given).find((key) => !inputs.some(({ name }) => name === key));
  if (unknown !== undefined) throw new BadInput(`unknown input ${JSON.stringify(unknown)}`);
  const missing = inputs.find(({ name }) => !Object.hasOwn(given, name));
  throw new BadInput(`missing input ${JSON.stringify(missing?.name)}`);
}

/** Throws BadInput where an input has another number of rows than the first. */
export function checkRows(name: string, rows: number, first: string, expected: number): void {
  if (rows !== expected) throw new BadInput(`${name} has ${rows} rows but ${first} has ${expected}`);
}
