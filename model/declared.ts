import { BootError } from './errors';
import type { Substitute } from './graph/edits';
import { findEmptyAxes } from './graph/empty-axes';
import type { OnnxFile } from './graph/onnx';
import type { Runner, Value } from './runtime/session';
import type { Dim, Input, Output } from './signature';
import { isElementType } from './values/elements';

/** An output with the name under which the runtime is asked for it. */
export type Fetched = Output & { fetch: string };

/** What a model's file declares and its user chose, before any run shows more. */
export interface Declared {
  inputs: Input[];
  outputs: Fetched[];
  /** The name of the output that is the prediction. */
  prediction: string;
  features?: readonly string[];
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
  const emptyAxes = findEmptyAxes(file);
  const inputs = runner.inputs.map((value) => ({
    ...asInput(value, path),
    emptyAxes: emptyAxes.get(value.name),
  }));
  const constant = inputs.find(({ name }) => operand.test(name));
  if (constant) {
    notes.push(
      `the input ${constant.name} is a constant that Keras' export has lost: export a SavedModel, and convert that by python -m tf2onnx.convert`,
    );
  }
  const outputNames = graph.outputs.map(({ name }) => name);
  const wanted = listed('outputs', options.outputs, metadata, path);
  const outputs = chosen(servable(runner.outputs, outputNames, substitutes, notes), wanted, path);
  const features = listed('features', options.features, metadata, path);
  if (features) checkFeatures(features, inputs);
  const named = wanted ? undefined : outputs.find(({ name }) => name === 'prediction');
  return { inputs, outputs, prediction: (named ?? outputs[0]).name, features: features?.names, notes };
}

/** Names that the user chose, or else the model's own metadata, and what lists them. */
interface Listed {
  names: readonly string[];
  by: string;
}

function listed(
  key: string,
  names: readonly string[] | undefined,
  metadata: ReadonlyMap<string, string>,
  path: string,
): Listed | undefined {
  if (names) return { names, by: key.toUpperCase() };
  const text = metadata.get(key)?.trim();
  return text
    ? { names: text.split(',').map((name) => name.trim()), by: `${key} in the metadata of ${path}` }
    : undefined;
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
  names: readonly string[],
  substitutes: ReadonlyMap<string, readonly Substitute[]>,
  notes: string[],
): Fetched[] {
  const byName = new Map(values.map((value) => [value.name, value]));
  return names.flatMap((output) =>
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

/** The outputs that were asked for, in that order. */
function chosen(outputs: Fetched[], wanted: Listed | undefined, path: string): Fetched[] {
  const names = outputs.map(({ name }) => name);
  if (names.length === 0) {
    throw new BootError(`${path} has no output that can be served: export it with a tensor as output.`);
  }
  if (!wanted) return outputs;
  const unknown = wanted.names.find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new BootError(
      `${wanted.by} names ${unknown}, which ${path} does not give: it gives ${names.join(', ')}.`,
    );
  }
  checkOnce(wanted);
  return wanted.names.flatMap((name) => outputs.filter((output) => output.name === name));
}

function checkOnce({ names, by }: Listed): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new BootError(`${by} names ${twice} twice.`);
}

function checkFeatures(features: Listed, inputs: readonly Input[]): void {
  const { names, by } = features;
  const [input] = inputs;
  if (inputs.length !== 1 || input.dims.length !== 2) {
    throw new BootError(
      `${by} names the columns of one [N,k] input, but the model takes ${inputs.length === 1 ? `an input of rank ${input.dims.length}` : `${inputs.length} inputs`}: unset it.`,
    );
  }
  const [rows, width] = input.dims;
  if (typeof rows === 'number' && rows !== 1) {
    throw new BootError(
      `${by} names the columns of one [N,k] input, but the model takes ${rows} rows at once: unset it.`,
    );
  }
  if (typeof width === 'number' && width !== names.length) {
    throw new BootError(`${by} names ${names.length} columns, but the input ${input.name} has ${width}.`);
  }
  checkOnce(features);
  if (names.includes('')) throw new BootError(`${by} has an empty name between two commas.`);
  if (names.includes(input.name)) {
    throw new BootError(`${by} holds ${input.name}, which is the input's own name: rename the column.`);
  }
}
