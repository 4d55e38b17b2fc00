import { BootError } from './errors';
import { fetchesOf } from './graph/edits';
import { findCategories, findEmptyAxes, findWords } from './graph/inputs';
import type { OnnxFile } from './graph/onnx';
import type { ModelOptions } from './model';
import { unservable } from './runtime/faults';
import type { Runner } from './runtime/session';
import { type Input, instanceDims, type Kind, showDims, wrappers } from './signature';
import { isElementType } from './values/elements';

export type Declared = ReturnType<typeof readDeclared>;

/** What a model's file declares and its user chose. Throws BootError for what cannot be served, or does not fit the model. */
export function readDeclared(runner: Runner, file: OnnxFile, options: ModelOptions) {
  const { path, metadata } = file;
  const unfit = [...runner.inputs, ...runner.outputs].find((one) => one.isTensor && !isElementType(one.type));
  if (unfit) throw new BootError(`${path}: ${unfit.name} is ${unservable}`);
  const notes: string[] = [];
  const words = findWords(file);
  const missingText = ['nan', ''].find((text) => words.includes(text));
  const emptyAxes = findEmptyAxes(file);
  const inputs = runner.inputs.map((value): Input => {
    const { name } = value;
    if (value.isTensor && isElementType(value.type))
      return { name, type: value.type, dims: value.shape, missingText, emptyAxes: emptyAxes.get(name) };
    throw new BootError(`${path}: the input ${name} is not a tensor: export the model with tensors only.`);
  });

  const outputs = fetchesOf(file).flatMap(({ name, tensor, labels }) => {
    const value = runner.outputs.find((value) => value.name === tensor);
    if (value?.isTensor && isElementType(value.type)) {
      const dims = labels ? [value.shape[0] ?? '', labels.length] : value.shape;
      return [{ name, type: value.type, dims, tensor, labels }];
    }
    notes.push(`the output ${name} is a sequence or a map and is left out`);
    return [];
  });
  if (outputs.length === 0)
    throw new BootError(`${path} has no output that can be served: export it with a tensor as output.`);
  const outputNames = outputs.map(({ name }) => name);

  /** What the user chose or, where it fits, what the metadata say, which may be somebody else's. */
  const choose = (key: 'features' | 'outputs', whyNot: (names: readonly string[]) => string | undefined) => {
    const names = options[key] ?? namesIn(metadata.get(key) ?? '');
    if (!names) return undefined;
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    const misfit = twice === undefined ? whyNot(names) : `names ${twice} twice`;
    const fault = names.length > 0 ? misfit : `names no ${key}`;
    if (fault === undefined) return names;
    if (options[key]) throw new BootError(`${key.toUpperCase()} ${fault}.`);
    notes.push(`${key} in the metadata are not used: the list ${fault}`);
    return undefined;
  };
  const chosen = choose('outputs', (names) => {
    const unknown = names.find((name) => !outputNames.includes(name));
    if (unknown === undefined) return undefined;
    return `names ${unknown}, which the model does not give: it gives ${outputNames.join(', ')}`;
  });
  const features = choose('features', (names) => whyNotFeatures(names, inputs));
  const kind = declaredKind(inputs);
  return {
    kind,
    inputs,
    openInput: inputs.find((input) => instanceDims(input, kind)?.some((dim) => typeof dim === 'string')),
    outputs: chosen?.flatMap((name) => outputs.filter((output) => output.name === name)) ?? outputs,
    prediction: chosen?.[0] ?? outputNames.find((name) => name === 'prediction') ?? outputNames[0],
    features,
    words,
    categories: findCategories(file),
    notes,
  };
}

function declaredKind(inputs: readonly Input[]): Kind {
  const first = inputs.map(({ dims }) => dims[0]);
  if (inputs.length === 0) return 'unbatched';
  if (first.every((dim) => typeof dim === 'string')) return 'batched';
  return first.every((dim) => dim === 1) ? 'single' : 'unbatched';
}

/** The fields of a line as in CSV: what holds a comma stands in double quotes. */
export function fieldsOf(line: string): string[] {
  const fields = line.matchAll(/(?<=^|,)\s*(?:"((?:[^"]|"")*)"|([^,]*?))\s*(?=,|$)/g);
  return [...fields].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain);
}

/** The names in a JSON list, or else as in CSV; none in other JSON. */
function namesIn(text: string): string[] | undefined {
  if (text.trim() === '') return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object') return Array.isArray(value) ? value.map(String) : [];
  } catch {
    // Not JSON.
  }
  return fieldsOf(text);
}

function whyNotFeatures(names: readonly string[], inputs: readonly Input[]): string | undefined {
  const [{ name, dims } = { name: '', dims: [] }] = inputs;
  const [rows, width] = dims;
  if (inputs.length !== 1 || dims.length !== 2 || (typeof rows === 'number' && rows !== 1)) {
    const takes = inputs.length === 1 ? `${name}: ${showDims(dims)}` : `${inputs.length} inputs`;
    return `names the columns of one [N,k] input, but the model takes ${takes}: unset it`;
  }
  if (typeof width === 'number' && width !== names.length)
    return `names ${names.length} columns, but the input ${name} has ${width}; a name with a comma in it stands in double quotes`;
  const taken = names.find((one) => one === name || wrappers.includes(one));
  return taken && `holds ${taken}, which is the name of the input itself or of a wrapper: rename the column`;
}
