import { type Example, instanceDims, type Signature, showValue, wrappers } from '../../model/signature';
import { type Shape, sizeOf } from '../../model/values/tensor';

// How to ask a model: in messages, and in the boot log in place of a page of documentation.

const mostNamed = 6;
/** Characters of an example in a message. */
const longestExample = 300;
/** Characters of a body in the boot log. */
const longestLine = 1024;

/** What the inputs are, cut where there are many. */
export function showInputs({ inputs, kind, features }: Signature, most = inputs.length): string {
  const shown = inputs.slice(0, most).map((input) => showValue({ ...input, batch: kind === 'batched' }));
  if (inputs.length > most) shown.push(`and ${inputs.length - most} more`);
  return (shown.join(', ') || 'nothing') + (features ? ` (${features.join(', ')})` : '');
}

export function showOutputs({ outputs }: Signature): string {
  return outputs.map(showValue).join(', ');
}

/** `The model takes …. Try …`, cut where it is long. */
export function hintFor(signature: Signature): string {
  const example = exampleBody(signature, longestExample);
  const takes = `The model takes ${showInputs(signature, mostNamed)}`;
  if (!example) return takes;
  const json = JSON.stringify(example);
  return `${takes}. Try ${json.length <= longestExample ? json : `${json.slice(0, longestExample)}…`}`;
}

/** A shell command that asks with a whole body, which it takes from the server where that is long; none without an example. */
export function curlLine(signature: Signature, url: string, keys: number): string | undefined {
  const example = exampleBody(signature);
  if (!example) return undefined;
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's, which takes the first of several keys.
  const key = keys === 0 ? '' : ` -H "X-API-Key: ${keys > 1 ? '${API_KEY%%,*}' : '$API_KEY'}"`;
  const body = JSON.stringify(example);
  const at = /^[\w:/.%[\]-]+$/.test(url) ? url : quote(url);
  if (body.length > longestLine) return `curl -s ${at} | curl${key} -d @- ${at}`;
  return `curl${key} -d ${quote(body)} ${at}`;
}

/**
 * A body that the model is known to take, undefined where there is none; of an input with more values than `most`, as many
 * as show that there are more.
 */
export function exampleBody(signature: Signature, most = Number.POSITIVE_INFINITY): object | undefined {
  const { inputs, kind, features } = signature;
  const entries = inputs.flatMap((input): [string, unknown][] => {
    const { name, example } = input;
    if (!example) return [];
    if (features) return features.map((feature, i) => [feature, nest(example, [], most, i)]);
    const shape = [...example.shape];
    const dims = instanceDims(input, kind) ?? [];
    // Dimensions that are always 1 may be left out at the end.
    while (shape.length > 0 && dims[shape.length - 1] === 1) shape.pop();
    return [[name, nest(example, shape, most)]];
  });
  if (entries.length < inputs.length) return undefined;
  const value = Object.fromEntries(entries);
  // A wrapper's name wins over an input's, so such an input is to be named inside one.
  return entries.some(([name]) => wrappers.includes(name)) ? { instances: [value] } : value;
}

/** Nested arrays of this shape, the first value at `from`; of more values than `most`, little more than so many. */
function nest(example: Example, [length, ...inner]: Shape, most: number, from = 0): unknown {
  if (length === undefined) return example.values[from % example.values.length];
  const size = sizeOf(inner);
  const shown = Math.min(length, Math.ceil(most / size) + 1);
  return Array.from({ length: shown }, (_, i) => nest(example, inner, most, from + i * size));
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
