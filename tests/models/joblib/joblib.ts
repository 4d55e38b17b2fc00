import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { installPackages } from '../../bench/python';
import { startServer } from '../../process';
import { root } from '../../serve';

// Saves models, converts each by model/convert.py, serves it, and compares the server's answers with the model's own.

const scripts = path.join(root, 'tests', 'models', 'joblib');
const convert = path.join(root, 'model', 'convert.py');
const run = promisify(execFile);

/** A model's rows as clients send them, and its own answers; probabilities by row, in the order of the classes. */
interface Saved {
  file: string;
  rows: Record<string, unknown>[];
  predictions: unknown[];
  classes: unknown[] | null;
  probabilities: number[][] | null;
}

/** What the server answers to rows. */
interface Reply {
  predictions: unknown[];
  probabilities: (Record<string, number> | number[])[];
}

/** What is refused or does not agree: the exit code and what is said of it. */
const refused: [args: string, code: number, words: string][] = [
  ['missing.joblib', 1, "[Errno 2] No such file or directory: 'missing.joblib'"],
  ['text.joblib', 1, 'It is not a whole file of joblib or pickle (KeyError(109)).'],
  [
    'cut.joblib',
    1,
    "It is not a whole file of joblib or pickle (UnpicklingError('pickle exhausted before end of frame')).",
  ],
  [
    'own.joblib',
    1,
    'OwnScaler is code of the training script: save the model without it, and do its part before asking.',
  ],
  [
    'lambda.cloudpickle',
    1,
    'FunctionTransformer calls a Python function, which an ONNX file cannot hold: do its part before asking.',
  ],
  ['dbscan.joblib', 1, holds('DBSCAN')],
  ['pca.joblib', 1, holds('PCA')],
  ['data.joblib', 1, holds('DataFrame')],
  ['booster.joblib', 1, holds('Booster')],
  ['two.joblib', 1, holds('LogisticRegression, LogisticRegression')],
  ['envelope.joblib', 1, hasNone('EllipticEnvelope')],
  [
    'catboost.joblib',
    1,
    'There is no converter for CatBoostRegressor in a Pipeline: train with another in its place, or save it by itself.',
  ],
  ['hashed.joblib', 1, 'HashingVectorizer has no converter: train with TfidfVectorizer, or CountVectorizer.'],
  [
    'unfitted.joblib',
    1,
    'It does not know its columns: save it after fit(), or give it rows, --data rows.csv.',
  ],
  [
    'imputer.joblib',
    1,
    "KNNImputer ends the server's runtime by a division by zero: train with SimpleImputer.",
  ],
  [
    'threshold.joblib',
    1,
    'TunedThresholdClassifierCV is converted with a threshold of 0.5: save its estimator_, and compare yourself.',
  ],
  [
    'categories.joblib',
    1,
    'LGBMRegressor takes categories as they are, which its export cannot say: encode them before it.',
  ],
  [
    'whole.joblib --data fewer.csv',
    1,
    "It does not take these rows itself (ValueError('X has 1 features, but LogisticRegression is expecting 2 features as input.')): give it others, --data rows.csv.",
  ],
  ['weighted.joblib', 3, disagrees('weighted')],
  ['words.joblib', 3, disagrees('words')],
  [
    'old.joblib',
    0,
    "Warning: scikit-learn 1.2.2 saved it, and this is 1.9.1: convert it where it was trained, or by a Python of its day: pip install scikit-learn==1.2.2 'numpy<2' skl2onnx onnxruntime pandas",
  ],
];

function holds(classes: string): string {
  return `It holds ${classes}, not one model that can predict: save that, or a Pipeline of its steps.`;
}

function hasNone(name: string): string {
  return `There is no converter for ${name}: train with another in its place, or save the model without it.`;
}

function disagrees(name: string): string {
  return `They do not agree: do not serve ${name}.onnx before you know why.`;
}

/** Runs everything in a folder, and gives the number of what failed. */
export async function checkConversions(folder: string): Promise<number> {
  const python = installPackages(path.join(folder, 'joblib-venv'), path.join(scripts, 'requirements.txt'));
  const models = path.join(folder, 'joblib');
  mkdirSync(models);
  const train = spawnSync(python, ['-W', 'ignore', path.join(scripts, 'train.py'), models], {
    encoding: 'utf8',
  });
  if (train.status !== 0) throw new Error(train.stderr);
  const saved = readdirSync(models).filter((file) => file.endsWith('.json'));
  const checks = [
    ...saved.map((file) => () => checkModel(python, models, file)),
    ...refused.map((refusal) => () => checkRefusal(python, models, refusal)),
  ];
  let failures = 0;
  const work = async () => {
    for (let check = checks.shift(); check; check = checks.shift()) {
      await check().catch((error) => {
        failures++;
        console.log(error.message);
      });
    }
  };
  // Two at a time: most of the time goes into loading Python's packages.
  await Promise.all([work(), work()]);
  return failures;
}

async function checkModel(python: string, folder: string, json: string): Promise<void> {
  const saved = JSON.parse(readFileSync(path.join(folder, json), 'utf8')) as Saved;
  const target = path.join(folder, json.replace(/json$/, 'onnx'));
  const { stdout } = await run(python, [convert, path.join(folder, saved.file), target]);
  const [line = 'false'] = /^curl .*/m.exec(stdout) ?? [];
  const { port, child } = await startServer(target);
  const asked = await askInEachForm(port, saved, line).finally(() => child.kill());
  const [way, compared] = stdout.split('\n').filter((text) => !text.startsWith('Note'));
  console.log(`${saved.file}: ${way.slice(target.length + 4)} ${compared} ${asked}`);
}

/** Throws where the server's answers are not the model's, or the curl line that convert.py prints has none. */
async function askInEachForm(port: number, saved: Saved, line: string): Promise<string> {
  const columns = Object.keys(saved.rows[0]);
  const data = saved.rows.map(Object.values);
  const byName = rowsThatAgree(await ask(port, saved.rows), saved);
  const asFrame = rowsThatAgree(await ask(port, { dataframe_split: { columns, data } }), saved);
  const all = saved.rows.length;
  const found = `By name ${byName}, as a frame ${asFrame} of ${all} agree.`;
  if (byName !== all || asFrame !== all) throw new Error(`${saved.file}: ${found}`);
  const command = line.replace('curl', 'curl -sSf').replace('localhost:3000', `localhost:${port}`);
  const { stdout } = await run('bash', ['-c', command]);
  if (!/^{"predictions?":/.test(stdout)) throw new Error(`${saved.file}: ${line} gives ${stdout}`);
  return found;
}

async function ask(port: number, body: unknown): Promise<Reply> {
  const reply = await fetch(`http://localhost:${port}/predict`, {
    method: 'POST',
    body: JSON.stringify(body),
  });
  if (!reply.ok) throw new Error(await reply.text());
  return (await reply.json()) as Reply;
}

function rowsThatAgree({ predictions, probabilities }: Reply, saved: Saved): number {
  return saved.predictions.filter((own, row) => {
    const found = saved.classes?.map((name, i) =>
      Array.isArray(probabilities[row]) ? probabilities[row][i] : probabilities[row][String(name)],
    );
    return isNear(predictions[row], own) && isNear(found ?? [], saved.probabilities?.[row] ?? []);
  }).length;
}

/** Whether values are equal, numbers to what float32 leaves of them. */
function isNear(found: unknown, own: unknown): boolean {
  if (typeof own === 'number') return Math.abs(Number(found) - own) <= 1e-4 * Math.max(1, Math.abs(own));
  if (Array.isArray(own)) return Array.isArray(found) && own.every((value, i) => isNear(found[i], value));
  return found === own;
}

async function checkRefusal(
  python: string,
  folder: string,
  [args, code, words]: (typeof refused)[number],
): Promise<void> {
  const options = { cwd: path.join(folder, 'refused') };
  const ended = await run(python, [convert, ...args.split(' ')], options).catch((error) => error);
  const [file] = args.split(' ');
  const expected = `${code === 1 ? `${file} cannot be converted. ` : ''}${words}\n`;
  if ((ended.code ?? 0) !== code || ended.stderr !== expected)
    throw new Error(`${args} ended with ${ended.code} and ${ended.stderr}`);
  console.log(`${args} ends with ${code}: ${words}`);
}
