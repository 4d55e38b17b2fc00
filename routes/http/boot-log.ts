import type { Model } from '../../model/model';
import { wrappers } from '../dialects/names';
import { curlLine, showInputs, showOutputs } from '../dialects/usage';
import type { Options } from './options';

/** What each model takes and gives, what there is to note, and a command that asks it. */
export function bootLog(models: readonly Model[], options: Options, port: number): string {
  const isWildcard = options.host === undefined || ['0.0.0.0', '::'].includes(options.host);
  const host = isWildcard ? 'localhost' : options.host?.includes(':') ? `[${options.host}]` : options.host;
  return models
    .flatMap((model, i) => {
      const url = `http://${host}:${port}/predict${i === 0 ? '' : `/${encodeURIComponent(model.name)}`}`;
      return linesOf(model, url, options);
    })
    .join('\n');
}

function linesOf({ name, path, signature, notes }: Model, url: string, options: Options): string[] {
  const { inputs, outputs, kind, prediction } = signature;
  const hidden = inputs.filter((input) => wrappers.includes(input.name));
  const all = [
    ...notes,
    ...hidden.map(
      (input) => `the input ${input.name} is to be wrapped: {"instances": [{"${input.name}": …}]}`,
    ),
  ];
  const other = outputs.find((output) => output.name !== prediction);
  const chosen = other ? `; the prediction is ${prediction} (OUTPUTS=${other.name} chooses another)` : '';
  const line = curlLine(signature, url, options.apiKeys.length);
  return [
    `${name} (${kind}) on ${url}, ${options.processes} × ${options.threads} threads, from ${path}`,
    `  takes ${showInputs(signature)}`,
    `  gives ${showOutputs(signature)}${chosen}`,
    ...all.map((note) => `  note: ${note}`),
    ...(line ? [`Try: ${line}`] : []),
  ];
}
