import type { Model } from '../model/model';
import { type Dim, showShape } from '../model/read';
import { sampleShape } from '../model/sample';
import { wrappers } from './bodies';
import { exampleRequest } from './open-inference';

/** How to ask this model: in messages, and in the boot log in place of a page of documentation. */
export interface Usage {
  /** What the inputs and outputs are. */
  inputs: string;
  outputs: string;
  /** `The model takes …. Try …` with a body for a path, cut where the model has many inputs or long ones. */
  hint(path: string): string;
  /** A shell command that asks with a whole body. */
  curl(url: string, keys: number): string;
}

const mostNamed = 6;
const longestExample = 300;

export function describeUsage(model: Model): Usage {
  const inputs = model.inputs.map((value) => describe(value, model));
  const named =
    inputs.slice(0, mostNamed).join(', ') +
    (inputs.length > mostNamed ? `, and ${inputs.length - mostNamed} more` : '');
  const features = model.features ? ` (${model.features.join(', ')})` : '';
  const example = exampleOf(model);
  const body = JSON.stringify(example.value);
  const short = shortForm(example.value, body);
  const shortInfer = shortForm(exampleRequest(model));
  const takes = `The model takes ${named || 'nothing'}${features}`;
  return {
    inputs: inputs.join(', ') + features,
    outputs: model.outputs
      .map((output) =>
        output.labels ? `${output.name}: {${output.labels.join(', ')}}` : describe(output, model),
      )
      .join(', '),
    hint: (path) => `${takes}. Try ${path.startsWith('/v2/') ? shortInfer : short}`,
    curl(url, keys) {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's, which takes the first of several keys.
      const key = keys === 0 ? '' : ` -H "X-API-Key: ${keys > 1 ? '${API_KEY%%,*}' : '$API_KEY'}"`;
      if (body.length <= 1024) return `curl${key} -d ${quote(body)} ${url}`;
      return `node -p ${quote(`JSON.stringify(${example.code})`)} | curl${key} -d @- ${url}`;
    },
  };
}

function describe(
  { name, type, shape }: { name: string; type: string; shape: readonly Dim[] },
  { kind }: Model,
): string {
  const dims = shape.map((dim, axis) =>
    kind === 'batched' && axis === 0 && typeof dim === 'string' ? 'N' : dim,
  );
  return `${name}: ${type}${dims.length === 0 ? '' : showShape(dims)}`;
}

/** A body that the model takes, as a value and as the JavaScript that makes it. */
function exampleOf(model: Model): { value: Record<string, unknown>; code: string } {
  const { inputs, kind, features, sample } = model;
  const leafOf = (type: string) =>
    type === 'string' ? 'a' : type === 'bool' ? sample.value === 1 : sample.value;
  const entries = features
    ? features.map((name) => [name, leafOf(inputs[0].type), JSON.stringify(leafOf(inputs[0].type))] as const)
    : inputs.map((input) => {
        const leaf = leafOf(input.type);
        const shape = sampleShape(input, kind, sample.size);
        return [
          input.name,
          shape.reduceRight<unknown>((inner, length) => Array(length).fill(inner), leaf),
          shape.reduceRight((inner, length) => `Array(${length}).fill(${inner})`, JSON.stringify(leaf)),
        ] as const;
      });
  const value = Object.fromEntries(entries.map(([name, content]) => [name, content]));
  const code = `{${entries.map(([name, , content]) => `${JSON.stringify(name)}: ${content}`).join(', ')}}`;
  // A wrapper's name wins over an input's, so such an input is to be named inside one.
  if (!entries.some(([name]) => wrappers.includes(name))) return { value, code };
  return { value: { instances: [value] }, code: `{instances: [${code}]}` };
}

/** An example as JSON, cut where that is long. */
function shortForm(value: object, json = JSON.stringify(value)): string {
  return json.length <= longestExample ? json : shorten(value);
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
