import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

/** What the command line asks for: models to serve, or a text to print. Throws an Error that names an unknown option. */
export function readCommandLine(args: readonly string[]): { paths: string[] } | { text: string } {
  // Not strict: the parser's own message explains how to name a file that begins with a dash, at length.
  const parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: false, tokens: true });
  for (const token of parsed.tokens) {
    if (token.kind !== 'option') continue;
    if (!Object.hasOwn(options, token.name)) {
      throw new Error(`there is no option ${token.rawName}: see --help.`);
    }
    if (token.value !== undefined) throw new Error(`${token.rawName} takes no value: see --help.`);
  }
  if (parsed.values.help) return { text: help };
  return parsed.values.version ? { text: version() } : { paths: parsed.positionals };
}

const options = {
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const;

function version(): string {
  const file = join(__dirname, '..', '..', '..', 'package.json');
  return JSON.parse(readFileSync(file, 'utf8')).version;
}

const help = `Serves ONNX models over HTTP: POST /predict with JSON, the model runs, JSON comes back.

  onnx-model-server [model.onnx | folder]...

Without a model it serves a classifier of the Iris measurements. The log at the start shows how to ask.

  -h, --help     prints this
  -v, --version  prints the version

Variables of the environment:

  PORT, HOST       where to listen: 3000, all interfaces
  MODEL_PATH       the model, several by commas, or a folder; arguments win
  MODEL_NAME       the name in paths and replies: the file's
  FEATURES         column names of a model with one [N,k] input
  OUTPUTS          the outputs to give, by name; the first is the prediction
  API_KEY          the key that predictions need; several by commas
  BODY_LIMIT       largest body, after decompression: 10mb
  MAX_BATCH        most rows that waiting requests may share in one run: 32
  MAX_QUEUE        most requests in flight in a process: 1000
  TIMEOUT          seconds until 504: 25
  KEEP_ALIVE       seconds that an idle connection is kept: 95
  WEB_CONCURRENCY  processes: 1
  THREADS          threads of one run: cores by processes
  LOG_FORMAT       json, off, a morgan format name or string: a line a request
  CORS_ORIGIN      origins whose pages may ask, by commas, or *`;
