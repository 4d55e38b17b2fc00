import { parseArgs } from 'node:util';
import { variables } from './options';

/** What the command line asks for: models to serve, or a text to print. Throws an error that names an unknown option. */
export function readCommandLine(): { paths: string[] } | { text: string } {
  const { values, positionals } = parseArgs({
    options: { help: { type: 'boolean', short: 'h' }, version: { type: 'boolean', short: 'v' } },
    allowPositionals: true,
  });
  if (values.help) return { text: help() };
  return values.version ? { text: require('../../../package.json').version } : { paths: positionals };
}

const help = () => `Serves ONNX models over HTTP: POST /predict with JSON, the model runs, JSON comes back.

  onnx-model-server [model.onnx | folder]...

Without a model it serves a classifier of the Iris measurements. The log at the start shows how to ask.

  -h, --help     prints this
  -v, --version  prints the version

Variables of the environment, and their defaults:

${Object.values(variables)
  .map(([name, , text, fallback]) => `  ${name.padEnd(15)}  ${fallback ? `${text}: ${fallback}` : text}`)
  .join('\n')}`;
