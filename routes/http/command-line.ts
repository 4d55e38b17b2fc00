import { parseArgs } from 'node:util';
import { BootError, messageOf } from '../../model/errors';
import { variables } from './options';

/** What the command line asks for: models to serve, or a text to print. Throws BootError that names an unknown option. */
export function readCommandLine(args: readonly string[]): { paths: string[] } | { text: string } {
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    if (values.help) return { text: help() };
    return values.version ? { text: require('../../../package.json').version } : { paths: positionals };
  } catch (error) {
    // A second sentence explains how to name a file that begins with a dash, at length.
    throw new BootError(`${messageOf(error).split('. ')[0]}: see --help.`);
  }
}

const options = {
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const;

const help = () => `Serves ONNX models over HTTP: POST /predict with JSON, the model runs, JSON comes back.

  onnx-model-server [model.onnx | folder]...

Without a model it serves a classifier of the Iris measurements. The log at the start shows how to ask.

  -h, --help     prints this
  -v, --version  prints the version

Variables of the environment, and their defaults:

${Object.values(variables)
  .map(([name, , text, fallback]) => `  ${name.padEnd(15)}  ${fallback ? `${text}: ${fallback}` : text}`)
  .join('\n')}`;
