import { BootError } from './errors';
import { findWords } from './graph/categories';
import type { Substitute } from './graph/edits';
import { findEmptyAxes } from './graph/empty-axes';
import type { OnnxFile } from './graph/onnx';
import type { Runner, Value } from './runtime/session';
import { type Dim, type Input, type Output, showDims } from './signature';
import { isElementType } from './values/elements';

/** An output with the name under which the runtime is asked for it. */
export type DeclaredOutput = Output & { fetch: string };

/** What a model's file declares and its user chose, before any run shows more. */
export interface Declared {
  inputs: Input[];
  outputs: DeclaredOutput[];
  /** The name of the output that is the prediction. */
  prediction: string;
  features: readonly string[] | undefined;
  /** The strings that the model knows. */
  words: readonly string[];
  notes: string[];
}

/** An operand of a TensorFlow operator, as in `model/normalization/Sub/y:0`: what the layer has learnt, which is no input. */
const operand = /\/[xy]:0$/;

/** Reads the declarations. Throws BootError for what cannot be served, or does not fit the model. */
export function readDeclared(
  runner: Pick<Runner, 'inputs' | 'outputs'>,
  file: OnnxFile,
  substitutes: ReadonlyMap<string, readonly Substitute[]>,
  options: { outputs?: readonly string[]; features?: readonly string[] },
): Declared {
  const { path, metadata, graph } = file;
  const notes: string[] = [];
  const words = findWords(file);
  const missingText = ['nan', ''].find((text) => words.includes(text));
  const emptyAxes = findEmptyAxes(file);
  const inputs = runner.inputs.map((value): Input => {
    return { ...asInput(value, path), missingText, emptyAxes: emptyAxes.get(value.name) };
  });
  const constant = inputs.find(({ name }) => operand.test(name));
  if (constant) {
    notes.push(
      `the input ${constant.name} is a constant that Keras' export has lost: export a SavedModel, and convert that by python -m tf2onnx.convert`,
    );
  }
  const outputs = servable(runner.outputs, graph.outputs, substitutes, notes);
  if (outputs.length === 0) {
    throw new BootError(`${path} has no output that can be served: export it with a tensor as output.`);
  }
  const names = outputs.map(({ name }) => name);
  const whyNot = {
    outputs: (list: readonly string[]) => whyNotOutputs(list, names),
    features: (list: readonly string[]) => whyNotFeatures(list, inputs),
  };
  // The user's own, or else the model's, which may be somebody else's.
  const choose = (key: 'features' | 'outputs'): readonly string[] | undefined => {
    const list = options[key] ?? listIn(metadata.get(key) ?? '');
    const twice = list?.find((name, i) => list.indexOf(name) !== i);
    const why = twice === undefined ? list && whyNot[key](list) : `names ${twice} twice`;
    if (why === undefined) return list;
    if (options[key]) throw new BootError(`${key.toUpperCase()} ${why}.`);
    notes.push(`${key} in the metadata are not used: the list ${why}`);
    return undefined;
  };
  const wanted = choose('outputs');
  const features = choose('features');
  const chosen = wanted?.flatMap((name) => outputs.filter((output) => output.name === name)) ?? outputs;
  const named = wanted ? undefined : chosen.find(({ name }) => name === 'prediction');
  return { inputs, outputs: chosen, prediction: (named ?? chosen[0]).name, features, words, notes };
}

/** The names in a text with commas between them, or in a JSON list; none in other JSON. */
function listIn(text: string): string[] | undefined {
  if (text.trim() === '') return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object') return Array.isArray(value) ? value.map(String) : [];
  } catch {
    // Not JSON.
  }
  return text.split(',').map((name) => name.trim());
}

function asInput({ name, type, dims }: Value, path: string): Input {
  if (isElementType(type)) return { name, type, dims };
  throw new BootError(
    `${path}: the input ${name} is ${type ?? 'not a tensor'}, which cannot be sent: export the model with tensors of float, int, bool or string.`,
  );
}

/** The outputs that are tensors, or made of one, in the file's order. */
function servable(
  values: readonly Value[],
  declared: readonly { name: string }[],
  substitutes: ReadonlyMap<string, readonly Substitute[]>,
  notes: string[],
): DeclaredOutput[] {
  const byName = new Map(values.map((value) => [value.name, value]));
  return declared.flatMap(({ name: output }) =>
    (substitutes.get(output) ?? [{ name: output, tensor: output }]).flatMap(({ name, tensor, labels }) => {
      const { type, dims } = byName.get(tensor) ?? { dims: [] };
      if (isElementType(type)) {
        const shape: Dim[] = labels ? [dims[0] ?? '', labels.length] : dims;
        return [{ name, type, dims: shape, batch: false, fetch: tensor, ...(labels && { labels }) }];
      }
      notes.push(`the output ${name} is ${type ?? 'a sequence or a map'} and is left out`);
      return [];
    }),
  );
}

/** Why outputs of these names cannot be given. */
function whyNotOutputs(list: readonly string[], names: readonly string[]): string | undefined {
  const unknown = list.find((name) => !names.includes(name));
  if (unknown === undefined) return undefined;
  return `names ${unknown}, which the model does not give: it gives ${names.join(', ')}`;
}

/** Why these cannot be the names of a model's columns. */
function whyNotFeatures(list: readonly string[], inputs: readonly Input[]): string | undefined {
  const [{ name, dims } = { name: '', dims: [] }] = inputs;
  const [rows, width] = dims;
  if (inputs.length !== 1 || dims.length !== 2 || (typeof rows === 'number' && rows !== 1)) {
    const takes = inputs.length === 1 ? `${name}: ${showDims(dims)}` : `${inputs.length} inputs`;
    return `names the columns of one [N,k] input, but the model takes ${takes}: unset it`;
  }
  if (typeof width === 'number' && width !== list.length)
    return `names ${list.length} columns, but the input ${name} has ${width}; a name with a comma in it stands in double quotes`;
  return list.includes(name) ? `holds ${name}, which is the input's own name: rename the column` : undefined;
}
