import { BadInput, type Path, showPath } from '../../model/errors';
import { type Signature, wrappers } from '../../model/signature';
import type { NamedBy } from './dialect';

/** Keys of other protocols that may stand beside any wrapper. */
const companions = ['signature_name', 'id', 'parameters', 'params'];

/** A name as a message shows it. */
export function showName(name: string): string {
  return JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name);
}

/**
 * What a name and that which skl2onnx makes of it have in common. It makes `_` of characters, as of the brackets in
 * `size (cm)`, but of no letter, digit or `+`, and puts one before a digit at the start.
 */
function plain(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_]/gu, '_').replace(/^_(?=\d)/, '');
}

/** For each known name the given one that stands for it: itself, or one with the same plain name. */
function matchNames(given: string[], known: readonly string[], path: Path, hint = ''): readonly string[] {
  const names = new Set(given);
  if (given.length === known.length && known.every((name) => names.has(name))) return known;
  const where = ` in ${showPath(path)}`;
  // Whole names stand behind plain ones, and so win over them.
  const places = new Map([...known.map(plain), ...known].map((name, i) => [name, i % known.length]));
  const keys: string[] = [];
  for (const name of given) {
    const place = places.get(name) ?? places.get(plain(name));
    if (place === undefined) throw new BadInput(`unknown input ${showName(name)}${where}${hint}`);
    if (place in keys)
      throw new BadInput(`${showName(keys[place])} and ${showName(name)} name the same input${where}`);
    keys[place] = name;
  }
  const missing = known.find((_, place) => !(place in keys));
  if (missing !== undefined) throw new BadInput(`missing input ${showName(missing)}${where}`);
  return keys;
}

type Keys = { readonly by: NamedBy; readonly keys: readonly string[] };

/** Whether keys name the features or the inputs, and the key of each of these, in their order. Throws BadInput. */
export function matchKeys(given: string[], { inputs, features }: Signature, path: Path): Keys {
  const names = inputs.map(({ name }) => name);
  const [input] = names;
  if (features && !given.some((name) => plain(name) === plain(input) && !features.includes(name)))
    return { by: 'features', keys: matchNames(given, features, path) };
  if (features) return { by: 'inputs', keys: matchNames(given, names, path, ` beside all of ${input}`) };
  const isTable = inputs.length === 1 && inputs[0].dims.length === 2 && !given.includes(input);
  const rows = 'of a data frame send the rows, to_json(orient="records")';
  const hint = `: to send columns by name, set FEATURES to the names of the columns of ${input}; ${rows}`;
  return { by: 'inputs', keys: matchNames(given, names, path, isTable ? hint : '') };
}

/** The wrapper of a body, if it has one. Throws BadInput for two of them, or for a key that may not stand beside it, as these others may. */
export function readWrapper(body: Record<string, unknown>, others: string[] = []): string | undefined {
  const found = wrappers.filter((name) => Object.hasOwn(body, name));
  if (found.length === 0) return undefined;
  if (found.length > 1) throw new BadInput(`a body has one of ${found.join(' and ')}, not both`);
  const known = [...found, ...companions, ...others];
  const unknown = Object.keys(body).find((key) => !known.includes(key));
  if (unknown !== undefined) throw new BadInput(`unknown key ${showName(unknown)} beside ${found[0]}`);
  if (typeof (body.signature_name ?? '') !== 'string') throw new BadInput('signature_name must be a string');
  return found[0];
}
