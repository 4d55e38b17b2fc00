import { BadInput, BootError } from '../../model/errors';
import type { Input, Signature } from '../../model/signature';

/** Keys that wrap what is asked; they win over inputs of the same name. */
export const wrappers = ['instances', 'dataframe_records', 'dataframe_split', 'inputs'];

/** Keys of other protocols that may stand beside a wrapper. */
const companions = ['signature_name', 'id', 'parameters', 'params'];

/** Further keys of the Open Inference Protocol, beside a list of inputs. */
const inferCompanions = ['outputs', 'model_name', 'model_version'];

/** Throws BootError for a feature that a body could not tell from a wrapper. */
export function checkFeatureNames({ features = [] }: Signature): void {
  const taken = features.find((name) => wrappers.includes(name));
  if (taken !== undefined) {
    throw new BootError(`FEATURES holds ${taken}, which is the name of a wrapper: rename the column.`);
  }
}

/** A name as a message shows it. */
export function show(name: string): string {
  return JSON.stringify(name.length > 100 ? `${name.slice(0, 100)}…` : name);
}

/**
 * What a name and that which skl2onnx makes of it have in common. It makes `_` of characters, as of the brackets in
 * `size (cm)`, but of no letter, digit or `+`, and puts one before a digit at the start.
 */
export function plain(name: string): string {
  return underscored(name).replace(/^_(?=\d)/, '');
}

function underscored(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9_]/gu, '_');
}

/**
 * For each known name the given one that stands for it: itself, or one that becomes it, or has the same plain name. Throws
 * BadInput for a name that is unknown, missing, or there twice.
 */
function matchNames(given: readonly string[], known: readonly string[], where: string): string[] {
  const at = where && ` in ${where}`;
  const names = new Set(given);
  if (names.size < given.length) throw new BadInput(`an input is given twice${at}`);
  const places = new Map(known.map((name, i) => [name, i]));
  let plainPlaces: Map<string, number | undefined> | undefined;
  const found = known.map((name) => (names.has(name) ? name : undefined));
  for (const name of given) {
    if (places.has(name)) continue;
    plainPlaces ??= placesOf(known);
    const place = places.get(underscored(name)) ?? plainPlaces.get(plain(name));
    if (place === undefined) throw new BadInput(`unknown input ${show(name)}${at}`);
    const other = found[place];
    if (other !== undefined) throw new BadInput(`${show(other)} and ${show(name)} name the same input${at}`);
    found[place] = name;
  }
  return found.map((name, i) => {
    if (name === undefined) throw new BadInput(`missing input ${show(known[i])}${at}`);
    return name;
  });
}

/** Places by plain name; none for a name that two have. */
function placesOf(names: readonly string[]): Map<string, number | undefined> {
  const places = new Map<string, number | undefined>();
  for (const [i, name] of names.map(plain).entries()) places.set(name, places.has(name) ? undefined : i);
  return places;
}

/** What the keys of an object name, and the key of each of these, in their order. */
export interface MatchedKeys {
  by: 'inputs' | 'features';
  keys: string[];
}

/** Matches keys to the features, if there are any, or else to the inputs. Throws BadInput. */
export function matchKeys(given: readonly string[], signature: Signature, where: string): MatchedKeys {
  const { inputs, features } = signature;
  if (features && !holdInput(given, inputs[0], features))
    return { by: 'features', keys: matchNames(given, features, where) };
  const names = inputs.map(({ name }) => name);
  return { by: 'inputs', keys: matchNames(given, names, where) };
}

/** Whether the name of the one input is among keys. Throws BadInput where one of its features is, too. */
function holdInput(given: readonly string[], { name: input }: Input, features: readonly string[]): boolean {
  const isInput = (name: string) => name === input || plain(name) === plain(input);
  const rest = given.filter((name) => !features.includes(name));
  if (!rest.some(isInput)) return false;
  const feature = given.find((name) => features.includes(name));
  if (feature === undefined) return true;
  throw new BadInput(`${show(feature)} is a part of ${show(input)}: give one of the two`);
}

/** The wrapper of a body, if it has one. Throws BadInput for two of them, or for a key that cannot stand beside one. */
export function findWrapper(body: Record<string, unknown>): string | undefined {
  const found = wrappers.filter((name) => Object.hasOwn(body, name));
  if (found.length === 0) return undefined;
  if (found.length > 1) throw new BadInput(`a body has one of ${found.join(' and ')}, not both`);
  const known = [...found, ...companions, ...(Array.isArray(body.inputs) ? inferCompanions : [])];
  const unknown = Object.keys(body).find((key) => !known.includes(key));
  if (unknown !== undefined) throw new BadInput(`unknown key ${show(unknown)} beside ${found[0]}`);
  if (typeof (body.signature_name ?? '') !== 'string') throw new BadInput('signature_name must be a string');
  return found[0];
}
