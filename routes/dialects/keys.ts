import { BadInput, type Path, showPath } from '../../model/errors';
import { type Signature, wrappers } from '../../model/signature';
import type { NamedBy } from './dialect';

/** Keys of other protocols that may stand beside any wrapper. */
const companions = ['signature_name', 'id', 'parameters', 'params'];

/** A name as a message shows it. */
export function showName(name: string): string {
  return JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name);
}

/** What skl2onnx makes of a name: `_` of each bracket, space and the like, and one before a digit at the start. */
function plain(name: string): string {
  return name.replaceAll(/[^\p{L}\p{N}_+]/gu, '_').replace(/^(?=\d)/, '_');
}

/** For each known name the given one that stands for it: the same, its plain name, or one of which it is that, in ASCII too. */
function matchNames(given: string[], known: readonly string[], path: Path, hint = ''): readonly string[] {
  const names = new Set(given);
  if (given.length === known.length && known.every((name) => names.has(name))) return known;
  const where = ` in ${showPath(path)}`;
  const places = new Map(known.map((name, i) => [name, i]));
  const plains = new Map<string, number | undefined>();
  // Of two with one plain name, that stands for neither.
  for (const [name, place] of places) plains.set(plain(name), plains.has(plain(name)) ? undefined : place);
  const keys: string[] = [];
  for (const name of given) {
    const direct = places.get(name) ?? plains.get(name);
    const place = direct ?? places.get(plain(name)) ?? places.get(name.replaceAll(/\W/gu, '_'));
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
