import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/** What the environment decides; README.md says the same in words. */
export interface Options {
  port: number;
  /** The address to listen on; undefined is all of them, IPv4 and IPv6. */
  host?: string;
  /** Files, or folders of them. */
  modelPaths: readonly string[];
  /** The name in paths and replies; undefined is the file's. */
  modelName?: string;
  /** The column names of a model with one `[N,k]` input. */
  features?: readonly string[];
  /** The outputs to give; the first is the prediction. */
  outputs?: readonly string[];
  /** Any of these lets a prediction in; none means that all may. */
  apiKeys: readonly string[];
  /** Bytes of the largest body, after decompression. */
  bodyLimit: number;
  /** Most rows that waiting requests may share in one run. */
  maxBatch: number;
  /** Most requests in flight in a process whose body has arrived. */
  maxQueue: number;
  /** Milliseconds from a request's arrival until it gets a 504. */
  timeout: number;
  /** Milliseconds that an idle connection is kept. */
  keepAlive: number;
  processes: number;
  /** Threads of one run. */
  threads: number;
  /** `json`, a morgan format name or string, or `off`; undefined is a line of our own. */
  logFormat?: string;
  /** Origins whose pages may ask, or `*`. */
  corsOrigins: readonly string[];
}

/** The bundled model, beside the compiled code. */
const ownModel = join(__dirname, '..', '..', '..', 'model', 'model.onnx');

const variables =
  `PORT HOST MODEL_PATH MODEL_NAME FEATURES OUTPUTS API_KEY BODY_LIMIT MAX_BATCH MAX_QUEUE TIMEOUT KEEP_ALIVE WEB_CONCURRENCY
  THREADS LOG_FORMAT CORS_ORIGIN`.split(/\s+/);

/** The variables that are set, by name. */
type Variables = Record<string, string | undefined>;

/** Reads the environment, with the models that the command line names. Throws an Error that names a variable which makes no sense. */
export function readOptions(env: NodeJS.ProcessEnv = {}, paths: readonly string[] = []): Options {
  const values = readVariables(env);
  const processes = readNumber(values, 'WEB_CONCURRENCY', { fallback: 1, min: 1, max: 512 });
  // https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
  const isSageMaker = paths.join() === 'serve';
  const ownPaths = readList(values, 'MODEL_PATH') ?? [isSageMaker ? '/opt/ml/model' : ownModel];
  return {
    port: readNumber(values, 'PORT', { fallback: isSageMaker ? 8080 : 3000, min: 0, max: 65535 }),
    host: values.HOST || undefined,
    modelPaths: paths.length > 0 && !isSageMaker ? paths : ownPaths,
    modelName: readName(values),
    features: readList(values, 'FEATURES'),
    outputs: readList(values, 'OUTPUTS'),
    apiKeys: readKeys(values),
    bodyLimit: readSize(values, 'BODY_LIMIT', '10mb'),
    maxBatch: readNumber(values, 'MAX_BATCH', { fallback: 32, min: 1, max: 1e6 }),
    maxQueue: readNumber(values, 'MAX_QUEUE', { fallback: 1000, min: 1, max: 1e6 }),
    timeout: readSeconds(values, 'TIMEOUT', 25),
    keepAlive: readSeconds(values, 'KEEP_ALIVE', 95),
    processes,
    threads: readNumber(values, 'THREADS', {
      fallback: Math.max(1, Math.floor(availableParallelism() / processes)),
      min: 1,
      max: 1024,
    }),
    logFormat: values.LOG_FORMAT || undefined,
    corsOrigins: readOrigins(values),
  };
}

/** What holds where nothing is set. */
export const defaults: Options = readOptions();

/** Files of variables leave spaces and carriage returns around a value, and `docker --env-file` quotes. */
function readVariables(env: NodeJS.ProcessEnv): Variables {
  const set = variables.flatMap((name) => (env[name] ? [[name, env[name].trim()] as const] : []));
  for (const [name, value] of set) {
    // In lists of names, double quotes are those of CSV.
    const quotes = ['FEATURES', 'OUTPUTS'].includes(name) ? /^'[^']*'$/ : /^("[^"]*"|'[^']*')$/;
    if (quotes.test(value)) throw new Error(`${name} has quotes around its value: remove them.`);
  }
  return Object.fromEntries(set);
}

/** What a number may be; one without a unit is whole. */
interface NumberRange {
  fallback: number;
  min: number;
  max: number;
  unit?: string;
}

function readNumber(values: Variables, name: string, { fallback, min, max, unit }: NumberRange): number {
  const text = values[name];
  if (!text) return fallback;
  const value = Number(text);
  if (!(value >= min && value <= max) || (!unit && !Number.isInteger(value))) {
    const kind = unit ? `a number of ${unit}` : 'a whole number';
    throw new Error(`${name} must be ${kind} from ${min} to ${max}, not ${JSON.stringify(text)}.`);
  }
  return value;
}

/** Seconds, as milliseconds. */
function readSeconds(values: Variables, name: string, fallback: number): number {
  return Math.round(1000 * readNumber(values, name, { fallback, min: 0.001, max: 86400, unit: 'seconds' }));
}

function readSize(values: Variables, name: string, fallback: string): number {
  const text = values[name] || fallback;
  const match = /^(\d+(?:\.\d+)?)\s*(b|kb|mb|gb)?$/i.exec(text);
  const bytes = match
    ? Math.floor(Number(match[1]) * 1024 ** ['b', 'kb', 'mb', 'gb'].indexOf((match[2] ?? 'b').toLowerCase()))
    : 0;
  if (!(bytes >= 1 && bytes <= 2 ** 29)) {
    throw new Error(`${name} must be a size from 1b to 512mb, such as 10mb, not ${JSON.stringify(text)}.`);
  }
  return bytes;
}

function readName({ MODEL_NAME }: Variables): string | undefined {
  if (MODEL_NAME && /[/:\s]/.test(MODEL_NAME)) {
    throw new Error('MODEL_NAME is part of paths and cannot hold a slash, a colon or a space.');
  }
  return MODEL_NAME || undefined;
}

/** A list as in CSV: what holds a comma stands in double quotes. */
function readList(values: Variables, variable: string): string[] | undefined {
  const text = values[variable];
  if (!text) return undefined;
  const fields = text.matchAll(/(?<=^|,)\s*(?:"((?:[^"]|"")*)"|([^,]*?))\s*(?=,|$)/g);
  const names = [...fields].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain);
  if (names.includes('')) throw new Error(`${variable} has an empty name between two commas.`);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new Error(`${variable} names ${twice} twice.`);
  return names;
}

function readOrigins(values: Variables): string[] {
  const origins = readList(values, 'CORS_ORIGIN') ?? [];
  const odd = origins.find((origin) => origin !== '*' && !isOrigin(origin));
  if (odd !== undefined) {
    throw new Error(
      `CORS_ORIGIN must be * or origins such as https://example.com, without a path, not ${JSON.stringify(odd)}.`,
    );
  }
  return origins;
}

/** Browsers send an origin in one form only, to which it is compared as text. */
function isOrigin(text: string): boolean {
  if (!URL.canParse(text) || text.includes('*')) return false;
  const { protocol, host } = new URL(text);
  return text === `${protocol}//${host}`;
}

function readKeys({ API_KEY }: Variables): string[] {
  if (API_KEY === undefined) return [];
  const keys = API_KEY.split(',').map((key) => key.trim());
  // What Node.js' own parser lets into a header; and an empty key would let everybody in.
  if (keys.some((key) => !/^[\x21-\x7e]+$/.test(key)))
    throw new Error('API_KEY must be keys of printable ASCII without spaces, with a comma between two.');
  return keys;
}
