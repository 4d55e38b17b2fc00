import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fieldsOf } from '../../model/declared';
import { BootError } from '../../model/errors';

type Read = (text: string | undefined, name: string) => unknown;
type Variable = readonly [name: string, read: Read, help: string, fallback?: string];

/** What the environment decides: every option with its variable; sizes in bytes, durations in milliseconds. */
export const variables = {
  port: ['PORT', integer(0, 65_535), 'the port to listen on', '3000'],
  host: ['HOST', readText, 'the address to listen on: all, of IPv4 and IPv6'],
  modelPaths: ['MODEL_PATH', readPaths, 'the model, several by commas, or a folder; arguments win'],
  modelName: ['MODEL_NAME', readText, "the name in paths and replies: the file's"],
  features: ['FEATURES', readList, 'column names of a model with one [N,k] input'],
  outputs: ['OUTPUTS', readList, 'the outputs to give, by name; the first is the prediction'],
  apiKeys: ['API_KEY', readKeys, 'the key that predictions need; several by commas'],
  bodyLimit: ['BODY_LIMIT', readSize, 'largest body, after decompression', '10mb'],
  maxBatch: ['MAX_BATCH', integer(1, 1e6), 'most rows that waiting requests may share in one run', '32'],
  maxQueue: ['MAX_QUEUE', integer(1, 1e6), 'most requests in flight in a process', '1000'],
  timeout: ['TIMEOUT', readSeconds, 'seconds until 504', '25'],
  keepAlive: ['KEEP_ALIVE', readSeconds, 'seconds that an idle connection is kept', '95'],
  processes: ['WEB_CONCURRENCY', integer(1, 512), 'processes', '1'],
  threads: ['THREADS', integer(0, 1024), 'threads of one run, 0 for cores ÷ processes', '0'],
  logFormat: ['LOG_FORMAT', readText, 'json, off, a morgan format name or string: a line a request'],
  corsOrigins: ['CORS_ORIGIN', readOrigins, 'origins whose pages may ask, by commas, or *'],
} satisfies Record<string, Variable>;

export type Options = {
  [Option in keyof typeof variables]: ReturnType<(typeof variables)[Option][1]>;
};

/** Reads the environment, with the models that the command line names. Throws BootError for a variable that makes no sense. */
export function readOptions(env: NodeJS.ProcessEnv = {}, paths: readonly string[] = []): Options {
  // https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
  if (paths.join() === 'serve')
    return readOptions({ ...env, PORT: env.PORT || '8080', MODEL_PATH: env.MODEL_PATH || '/opt/ml/model' });
  const entries = Object.entries<Variable>(variables).map(([option, [name, read, , fallback]]) => {
    // Files of variables leave spaces and carriage returns around a value, and `docker --env-file` quotes.
    const text = env[name] ? env[name].trim() : undefined;
    // In lists of names, double quotes are those of CSV.
    const quotes = read === readList ? /^'[^']*'$/ : /^("[^"]*"|'[^']*')$/;
    if (text && quotes.test(text)) throw new BootError(`${name} has quotes around its value: remove them.`);
    // Only spaces stay '', which readKeys refuses: a blank API_KEY is not to open the server.
    return [option, read(text || (fallback ?? text), name)];
  });
  const options: Options = Object.fromEntries(entries);
  return {
    ...options,
    modelPaths: paths.length > 0 ? paths : options.modelPaths,
    threads: options.threads || Math.max(1, Math.floor(availableParallelism() / options.processes)),
  };
}

export const defaults: Options = readOptions();

function readText(text: string | undefined): string | undefined {
  return text || undefined;
}

function integer(min: number, max: number) {
  return (text: string | undefined, name: string): number => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new BootError(`${name} must be a whole number from ${min} to ${max}, not ${JSON.stringify(text)}.`);
  };
}

function readSeconds(text: string | undefined, name: string): number {
  const seconds = Number(text);
  if (seconds >= 0.001 && seconds <= 86_400) return Math.round(1000 * seconds);
  throw new BootError(`${name} must be seconds from 0.001 to 86400, not ${JSON.stringify(text)}.`);
}

function readSize(text: string | undefined, name: string): number {
  const [, size, unit = 'b'] = /^(\d+(?:\.\d+)?)\s*(b|kb|mb|gb)?$/i.exec(text ?? '') ?? [];
  const bytes = Math.floor(Number(size) * 1024 ** ['b', 'kb', 'mb', 'gb'].indexOf(unit.toLowerCase()));
  if (bytes >= 1 && bytes <= 2 ** 29) return bytes;
  throw new BootError(`${name} must be a size from 1b to 512mb, such as 10mb, not ${JSON.stringify(text)}.`);
}

function readList(text: string | undefined, name: string): readonly string[] | undefined {
  if (!text) return undefined;
  const items = fieldsOf(text);
  if (items.includes('')) throw new BootError(`${name} has an empty name between two commas.`);
  return items;
}

/** The bundled model is beside the compiled code. */
function readPaths(text: string | undefined, name: string): readonly string[] {
  return readList(text, name) ?? [join(__dirname, '..', '..', '..', 'model', 'model.onnx')];
}

function readOrigins(text: string | undefined, name: string): readonly string[] {
  const origins = readList(text, name) ?? [];
  // They are compared, as texts, to what browsers send.
  const valid = /^(\*|[a-z][a-z\d+.-]*:\/\/([a-z\d.-]+|\[[\da-f:]+\])(:[1-9]\d{0,4})?)$/;
  const invalid = origins.find((origin) => !valid.test(origin));
  if (invalid === undefined) return origins;
  throw new BootError(`${name} must be * or origins, such as https://example.com, not ${invalid}.`);
}

function readKeys(text: string | undefined, name: string): readonly string[] {
  const keys = text?.split(',').map((key) => key.trim()) ?? [];
  // What Node.js' own parser lets into a header; and an empty key would let everybody in.
  if (keys.every((key) => /^[\x21-\x7e]+$/.test(key))) return keys;
  throw new BootError(`${name} must be keys of printable ASCII without spaces, with a comma between two.`);
}
