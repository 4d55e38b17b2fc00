import type { Model } from '../../model/model';
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

/** `The model takes …. Try …`; of a long body, where it is to be had. */
export function hintFor({ name, signature }: Model, baseUrl: string): string {
  const takes = `The model takes ${showInputs(signature, mostNamed)}`;
  const example = exampleOf(signature)?.trimEnd();
  if (example === undefined) return takes;
  if (example.length <= longestExample) return `${takes}. Try ${example}`;
  return `${takes}. GET ${baseUrl}/predict/${encodeURIComponent(name)} gives a body`;
}

/** A shell command that asks with a whole body, which it takes from the server where that is long; none without an example. */
export function curlLine(signature: Signature, url: string, keys: number): string | undefined {
  const body = exampleOf(signature)?.trimEnd();
  if (body === undefined) return undefined;
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's, which takes the first of several keys.
  const key = keys === 0 ? '' : ` -H "X-API-Key: ${keys > 1 ? '${API_KEY%%,*}' : '$API_KEY'}"`;
  const at = /^[\w:/.%[\]-]+$/.test(url) ? url : quote(url);
  if (body.length > longestLine) return `curl -s ${at} | curl${key} -d @- ${at}`;
  return `curl${key} -d ${quote(body)} ${at}`;
}

const examples = new WeakMap<Signature, string>();

/** A line of JSON that the model is known to take, undefined where there is none; made once, for all replies to share. */
export function exampleOf(signature: Signature): string | undefined {
  const example = examples.has(signature) ? undefined : exampleBody(signature);
  if (example) examples.set(signature, `${JSON.stringify(example)}\n`);
  return examples.get(signature);
}

function exampleBody(signature: Signature): object | undefined {
  const { inputs, kind, features } = signature;
  const entries = inputs.flatMap((input): [string, unknown][] => {
    const { name, example } = input;
    if (!example) return [];
    if (features) return features.map((feature, i) => [feature, nest(example, [], i)]);
    const shape = [...example.shape];
    const dims = instanceDims(input, kind) ?? [];
    // Dimensions that are always 1 may be left out at the end.
    while (shape.length > 0 && dims[shape.length - 1] === 1) shape.pop();
    return [[name, nest(example, shape)]];
  });
  if (entries.length < inputs.length) return undefined;
  const value = Object.fromEntries(entries);
  // A wrapper's name wins over an input's, so such an input is to be named inside one.
  return entries.some(([name]) => wrappers.includes(name)) ? { instances: [value] } : value;
}

/** Nested arrays of this shape, the first value at `from`. */
function nest(example: Example, [length, ...inner]: Shape, from = 0): unknown {
  if (length === undefined) return example.values[from % example.values.length];
  const size = sizeOf(inner);
  return Array.from({ length }, (_, i) => nest(example, inner, from + i * size));
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
