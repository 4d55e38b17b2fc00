import {
  type Example,
  exampleOf,
  type Input,
  instanceDims,
  type Signature,
  showValue,
  valueAt,
} from '../../model/signature';
import { elementOf } from '../../model/values/elements';
import { type Shape, sizeOf } from '../../model/values/tensor';
import { wrappers } from './names';
import { exampleRequest } from './open-inference';

// How to ask a model: in messages, and in the boot log in place of a page of documentation.

const mostNamed = 6;
const longestExample = 300;
const longestLine = 1024;

/** What the inputs are, cut where there are many. */
export function showInputs({ inputs, kind, features }: Signature, most = inputs.length): string {
  const shown = inputs.slice(0, most).map((input) => showValue(input, kind));
  if (inputs.length > most) shown.push(`and ${inputs.length - most} more`);
  return (shown.join(', ') || 'nothing') + (features ? ` (${features.join(', ')})` : '');
}

export function showOutputs({ outputs, kind }: Signature): string {
  return outputs.map((output) => showValue(output, kind)).join(', ');
}

/** `The model takes …. Try …`, cut where it is long. */
export function hintFor(signature: Signature): string {
  return hintWith(exampleBody(signature, longestExample), signature);
}

/** The same with a body for the Open Inference Protocol. */
export function inferHintFor(signature: Signature): string {
  return hintWith(exampleRequest(signature, longestExample), signature);
}

function hintWith(example: object, signature: Signature): string {
  const json = JSON.stringify(example);
  return `The model takes ${showInputs(signature, mostNamed)}. Try ${json.length <= longestExample ? json : shorten(JSON.parse(json))}`;
}

/** A shell command that asks with a whole body, made by node where that is long. */
export function curlLine(signature: Signature, url: string, keys: number): string {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's, which takes the first of several keys.
  const key = keys === 0 ? '' : ` -H "X-API-Key: ${keys > 1 ? '${API_KEY%%,*}' : '$API_KEY'}"`;
  const body = JSON.stringify(exampleBody(signature));
  if (body.length <= longestLine) return `curl${key} -d ${quote(body)} ${url}`;
  const bytes: Record<string, string> = {};
  const whole = { ...signature, features: undefined };
  const named = exampleBody(whole, Number.POSITIVE_INFINITY, (input) => {
    const code = bytesCode(input);
    if (code === undefined) return undefined;
    bytes[`@${input.name}`] = code;
    return `@${input.name}`;
  });
  const code = Object.entries(bytes).reduce(
    (text, [mark, expression]) => text.replace(JSON.stringify(mark), () => expression),
    JSON.stringify(named),
  );
  return `node -p ${quote(`JSON.stringify(${code})`)} | curl${key} -d @- ${url}`;
}

/** A body that the model takes; of an input with more values than `most`, as many as show that there are more. */
function exampleBody(
  { inputs, kind, features }: Signature,
  most = Number.POSITIVE_INFINITY,
  instead: (input: Input) => unknown = () => undefined,
): object {
  const entries = features
    ? features.map((name, i): [string, unknown] => [name, valueAt(exampleOf(inputs[0], kind), i)])
    : inputs.map((input): [string, unknown] => {
        const example = exampleOf(input, kind);
        const shape = [...example.shape];
        const dims = instanceDims(input, kind) ?? [];
        // Dimensions that are always 1 may be left out at the end.
        while (shape.length > 0 && dims[shape.length - 1] === 1) shape.pop();
        return [input.name, (sizeOf(shape) > 32 && instead(input)) || nest(example, cut(shape, most))];
      });
  const value = Object.fromEntries(entries);
  // A wrapper's name wins over an input's, so such an input is to be named inside one.
  return entries.some(([name]) => wrappers.includes(name)) ? { instances: [value] } : value;
}

/** A shape of little more than so many values, with as many dimensions, 1 where the whole has 1. */
function cut(shape: Shape, most: number): Shape {
  let size = 1;
  const enough = (length: number) => {
    const shown = Math.min(length, Math.ceil(most / size) + 1);
    size *= shown;
    return shown;
  };
  return shape.toReversed().map(enough).toReversed();
}

/** Nested arrays of this shape, the first value at `from`. */
function nest(example: Example, [length, ...inner]: Shape, from = 0): unknown {
  if (length === undefined) return valueAt(example, from);
  return Array.from({ length }, (_, i) => nest(example, inner, from + i * sizeOf(inner)));
}

/** JavaScript that makes the bytes of an example of one value; undefined for texts, which have none. */
function bytesCode({ type, example }: Input): string | undefined {
  if (type === 'string' || example?.values.length !== 1) return undefined;
  const element = elementOf(type);
  const one = element.create(1);
  element.fill(one, 0, example.values);
  const value = typeof one[0] === 'bigint' ? `${one[0]}n` : String(one[0]);
  const array = `new ${one.constructor.name}(${sizeOf(example.shape)}).fill(${value})`;
  return `{b64: Buffer.from(${array}.buffer).toString("base64"), shape: ${JSON.stringify(example.shape)}}`;
}

/** An example with only the first of what repeats. */
function shorten(value: unknown): string {
  if (Array.isArray(value)) {
    return value.length > 1 ? `[${shorten(value[0])},…]` : `[${value.map(shorten).join()}]`;
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value);
  const shown = entries
    .slice(0, mostNamed)
    .map(([name, content]) => `${JSON.stringify(name)}:${shorten(content)}`);
  return `{${shown.join()}${entries.length > mostNamed ? ',…' : ''}}`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
