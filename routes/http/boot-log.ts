import { isIPv6 } from 'node:net';
import type { Model } from '../../model/model';
import { showValue, wrappers } from '../../model/signature';
import { curlLine, showInputs } from '../dialects/usage';
import type { Options } from './options';

/** What each model takes and gives, what there is to note, and a command that asks it. */
export function bootLog(models: readonly Model[], options: Options, port: number): string {
  const { host = '::' } = options;
  const address = isIPv6(host) ? `[${host}]` : host;
  const name = ['0.0.0.0', '[::]'].includes(address) ? 'localhost' : address;
  const lines = models.flatMap((model, i) => {
    const path = i === 0 ? '/predict' : `/predict/${encodeURIComponent(model.name)}`;
    return linesFor(model, `http://${name}:${port}${path}`, options);
  });
  // A name may hold a line's end.
  return lines.map((line) => line.replace(/[\r\n]+/g, ' ')).join('\n');
}

function linesFor({ name, path, signature, notes }: Model, url: string, options: Options): string[] {
  const { inputs, outputs, kind, prediction } = signature;
  const wrapped = inputs.map((input) => input.name).filter((input) => wrappers.includes(input));
  const choice = `; the prediction is ${prediction} (OUTPUTS, or outputs in its metadata, chooses others)`;
  const example = curlLine(signature, url, options.apiKeys.length);
  return [
    `${name} (${kind}) on ${url}, ${options.processes} × ${options.threads} threads, from ${path}`,
    `  takes ${showInputs(signature)}`,
    `  gives ${outputs.map(showValue).join(', ')}${outputs.length > 1 ? choice : ''}`,
    ...notes.map((note) => `  note: ${note}`),
    ...wrapped.map((input) => `  note: send the input ${input} as {"instances": [{"${input}": …}]}`),
    ...(example ? [`Try: ${example}`] : []),
  ];
}
