import { readdirSync } from 'node:fs';
import path from 'node:path';
import { loadModel, type Model } from '../../app';
import { readGraph } from '../../model/runtime/onnx';
import type { Input } from '../../model/signature';

// Whether models whose rows depend on each other are found, and those whose rows do not go on to share runs:
// node dist/tests/bench/mixing.js [rows a model] [rows before the first rare value] [models by name, with commas]

const clients = 64;
const folder = path.join(__dirname, '..', '..', '..', 'tests', 'models', 'mixing');
/** Rows whose answers are held until they are compared. */
const block = 10_000;

type Row = Record<string, unknown[]>;

interface Result {
  batches: boolean;
  /** Rows that were answered before sharing ended. */
  until: number;
  /** Answers that differ by a thousandth of the row's largest value. */
  wrong: number;
  /** Answers in which a value differs by a thousandth of itself. */
  wrongValues: number;
  example: string;
  reason: string;
}

async function main(rows: number, only: string[]): Promise<void> {
  const files = readdirSync(folder).filter((file) => file.endsWith('.onnx'));
  const names = files.map((file) => file.replace('.onnx', '')).sort();
  console.log('model                   depends  batches  rows until  wrong  wrong by value  seconds');
  for (const depends of ['yes', 'no']) {
    for (const name of names) {
      const file = path.join(folder, `${name}.onnx`);
      if (readGraph(file).metadata.get('depends') !== depends || (only.length > 0 && !only.includes(name)))
        continue;
      const start = performance.now();
      const { batches, until, wrong, wrongValues, example, reason } = await measure(file, rows);
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      const isRight = batches === (depends === 'no') && wrong === 0;
      console.log(
        name.padEnd(24),
        depends.padEnd(8),
        (batches ? 'yes' : 'no').padEnd(7),
        String(batches ? '' : until).padStart(9),
        String(wrong).padStart(6),
        String(wrongValues).padStart(15),
        seconds.padStart(8),
        isRight ? '' : ' <-',
        reason,
        example,
      );
    }
  }
}

async function measure(file: string, rows: number): Promise<Result> {
  let reason = '';
  const log = (line: string) => {
    reason = line.replace(/.*: /, '');
  };
  const model = await loadModel(file, { maxBatch: 32, log });
  const alone = await loadModel(file, { maxBatch: 1 });
  if (!model.status.batches) reason = `from the start: ${model.notes.join()}`;
  sent = 0;
  let until = 0;
  let wrong = 0;
  let wrongValues = 0;
  let example = '';
  for (let done = 0; done < rows; done += block) {
    const asked: { row: Row; answer: string }[] = [];
    let left = Math.min(block, rows - done);
    await together(async () => {
      while (left-- > 0) {
        const row = randomRow(model);
        sent++;
        const answer = await answerOf(model, row);
        if (model.status.batches) until++;
        asked.push({ row, answer });
      }
    });
    let next = 0;
    await together(async () => {
      while (next < asked.length) {
        const { row, answer } = asked[next++];
        const expected = await answerOf(alone, row);
        if (answer === expected) continue;
        const tolerance = model.signature.inputs[0].type === 'float16' ? 4e-3 : 1e-3;
        if (!agree(model, answer, expected, (values) => tolerance * Math.max(...values))) {
          wrong++;
          example ||= `${JSON.stringify(row)}: ${answer}, not ${expected}`.slice(0, 200);
        }
        if (!agree(model, answer, expected, (_, value) => tolerance * value + 1e-6)) wrongValues++;
      }
    });
  }
  const { batches } = model.status;
  await Promise.all([model.close(), alone.close()]);
  return { batches, until, wrong, wrongValues, example, reason };
}

async function together(client: () => Promise<void>): Promise<void> {
  await Promise.all(Array.from({ length: clients }, client));
}

async function answerOf(model: Model, row: Row): Promise<string> {
  const answer = await model.predict(row).catch((error) => String(error));
  if (typeof answer === 'string') return answer;
  return JSON.stringify(Object.values(answer).map((column) => column.at(0)));
}

/** Whether two answers are the same, floats within a tolerance that is given the row's magnitudes and the value's. */
function agree(
  { signature }: Model,
  answer: string,
  expected: string,
  tolerance: (values: number[], value: number) => number,
): boolean {
  if (!answer.startsWith('[') || !expected.startsWith('[')) return false;
  const [ones, others] = [JSON.parse(answer), JSON.parse(expected)];
  return signature.outputs.every(({ type }, o) => {
    const [one, other] = [[ones[o]].flat(9), [others[o]].flat(9)];
    if (!type.startsWith('float')) return JSON.stringify(one) === JSON.stringify(other);
    const sizes = other.map((value) => (typeof value === 'number' ? Math.abs(value) : 0));
    return (
      one.length === other.length &&
      one.every((value, i) => value === other[i] || Math.abs(value - other[i]) <= tolerance(sizes, sizes[i]))
    );
  });
}

function randomRow({ signature }: Model): Row {
  return Object.fromEntries(signature.inputs.map((input) => [input.name, [randomValue(input)]]));
}

const chance = (times: number) => Math.random() * times < 1;
/** Values that few rows have, and none at first. */
const rare = (times: number) => sent > rareFrom && chance(times);
let sent = 0;
const below = (end: number) => Math.floor(Math.random() * end);

function randomValue({ type, dims }: Input): unknown {
  const lengths = dims.slice(1).map((dim) => {
    if (typeof dim === 'number') return dim;
    return dim === 'seq' ? 3 + below(4) : 4;
  });
  const size = lengths.reduce((product, length) => product * length, 1);
  const values = randomValues(type, size);
  return lengths.reduceRight<unknown[]>(
    (flat, length) =>
      Array.from({ length: flat.length / length }, (_, i) => flat.slice(i * length, (i + 1) * length)),
    values,
  )[0];
}

function randomValues(type: string, size: number): unknown[] {
  const values = (value: () => unknown) => Array.from({ length: size }, value);
  if (type === 'string') return values(() => 'abcdefgh'.slice(below(8)).slice(0, 1 + below(2)));
  if (type === 'int8') return values(() => below(256) - 128);
  if (type === 'uint8') {
    const end = rare(50) ? 256 : 128;
    return values(() => below(end));
  }
  if (type === 'int64') {
    const isLarge = rare(200);
    const length = chance(4) ? 1 + below(size) : size;
    const ids = values(() => 1 + below(100)).map((id, i) => (i < length ? id : 0));
    if (isLarge) ids[below(length)] = 101 + below(50);
    return ids;
  }
  const floats = values(() => 3 * normal());
  if (rare(500)) floats[below(size)] = chance(2) ? Number.NaN : 1500 * (1 + Math.random());
  return floats;
}

function normal(): number {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

const [rows = '50000', from = '0', only] = process.argv.slice(2);
const rareFrom = Number(from);
void main(Number(rows), only ? only.split(',') : []);
