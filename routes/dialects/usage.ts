import type { Model } from '../../model/model';
import { type Signature, showValue, wrappers } from '../../model/signature';

const mostNamed = 6;
const mostHintCharacters = 300;
const mostCurlCharacters = 1024;

/** What the inputs and features are, cut where there are many. */
export function showInputs({ inputs, kind, features }: Signature, most = Number.POSITIVE_INFINITY): string {
  const show = (names: readonly string[]) =>
    [...names.slice(0, most), ...(names.length > most ? [`and ${names.length - most} more`] : [])].join(', ');
  const shown = inputs.map((input) => showValue({ ...input, batch: kind === 'batched' }));
  return (show(shown) || 'nothing') + (features ? ` (${show(features)})` : '');
}

/** `The model takes …. Try …`; of a long body, where it is to be had. */
export function hintFor({ name, signature }: Model, baseUrl: string): string {
  const takes = `The model takes ${showInputs(signature, mostNamed)}`;
  const example = exampleOf(signature)?.trimEnd();
  if (example === undefined) return takes;
  if (example.length <= mostHintCharacters) return `${takes}. Try ${example}`;
  return `${takes}. Try the body that GET ${baseUrl}/predict/${encodeURIComponent(name)} gives`;
}

/** A shell command that asks with a whole body, which it takes from the server where that is long; none without an example. */
export function curlLine(signature: Signature, url: string, keys: number): string | undefined {
  const body = exampleOf(signature)?.trimEnd();
  if (body === undefined) return undefined;
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's, which takes the first of several keys.
  const key = keys === 0 ? '' : ` -H "X-API-Key: ${keys > 1 ? '${API_KEY%%,*}' : '$API_KEY'}"`;
  const at = /^[\w:/.%[\]-]+$/.test(url) ? url : quote(url);
  if (body.length > mostCurlCharacters) return `curl -s ${at} | curl${key} -d @- ${at}`;
  return `curl${key} -d ${quote(body)} ${at}`;
}

const examples = new WeakMap<Signature, string | undefined>();

/** A line of JSON that the model is known to take, if any; one text for all replies, of which a client may ask 1,000 at once. */
export function exampleOf(signature: Signature): string | undefined {
  if (!examples.has(signature)) examples.set(signature, exampleLine(signature));
  return examples.get(signature);
}

function exampleLine({ inputs, features }: Signature): string | undefined {
  const texts = inputs.flatMap(({ example }) => example ?? []);
  if (texts.length < inputs.length) return undefined;
  const names = features ?? inputs.map(({ name }) => name);
  const row: unknown[] = features ? [JSON.parse(texts[0])].flat() : [];
  const values = features?.map((_, i) => JSON.stringify(row[i % row.length])) ?? texts;
  const body = `{${names.map((name, i) => `${JSON.stringify(name)}:${values[i]}`).join()}}`;
  // A wrapper's name wins over an input's, so such an input is to be named inside one.
  return names.some((name) => wrappers.includes(name)) ? `{"instances":[${body}]}\n` : `${body}\n`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
