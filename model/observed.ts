import type { Declared, Fetched } from './declared';
import { findCategories } from './graph/categories';
import type { OnnxFile } from './graph/onnx';
import { type Fact, followRows } from './independence/walk';
import type { QuickRun } from './runtime/inline';
import type { Runner } from './runtime/session';
import { type Recipe, sampleFeeds, sampleRow } from './samples';
import { type Dim, type Input, type Kind, type Output, type Signature, whyUnbatchable } from './signature';
import {
  findQuickRun,
  paysToShare,
  type RunSamples,
  type SampleRun,
  sampleRunner,
  withinTime,
} from './timing';
import { elementOf } from './values/elements';
import { rowsOf } from './values/rows';
import { type Shape, sameShape, type Tensor } from './values/tensor';

/** What the graph and a few runs of made-up rows show. */
export interface Observation {
  signature: Signature;
  /** Whether requests may share runs. */
  batches: boolean;
  /** The largest run that was quick, where one was. */
  quickRun?: QuickRun;
  /** What is to be said of it. */
  notes: string[];
}

/** Lengths tried for open dimensions: some models fail at 1, as a convolution over open height and width does. */
const sizes = [1, 8, 32, 224, 400];
/** Every number of the first row: some models divide by their inputs. */
const numbers = [0, 1];

/** What runs showed of all outputs. */
interface Seen {
  /** The shapes that runs of so many rows gave. */
  readonly runs: { rows: number; shapes: Shape[] }[];
  /** By output, whether three different rows gave together what they gave alone; undefined where that was not seen. */
  agrees?: boolean[];
  /** Whether open lengths, if there are any, had several. */
  severalSizes: boolean;
}

/**
 * Runs one made-up row and then three different ones, together and alone, to see the model's kind, and which outputs follow
 * the rows where the graph does not tell. What is not seen is believed as declared. For models that `mayRunInline`, a
 * quick run is looked for.
 */
export async function observe(
  runner: Pick<Runner, 'run'>,
  file: OnnxFile,
  { inputs, outputs, words, prediction, features }: Declared,
  { maxBatch, mayRunInline }: { maxBatch: number; mayRunInline: boolean },
): Promise<Observation> {
  const declared = declaredKind(inputs);
  const fetches = outputs.map(({ fetch }) => fetch);
  const facts = fetches.map(followRows(file, inputs));
  const runSamples = sampleRunner(
    (rows, recipe) => sampleFeeds(inputs, declared, rows, recipe),
    (feeds) => runner.run(feeds, fetches),
  );
  const first = await firstThatFits(runSamples, hasOpenLength(inputs, declared), {
    categories: findCategories(file),
    words,
  });
  const attempt = withinTime(runSamples);
  const seen: Seen = first
    ? await seeMore(attempt, inputs, declared, first)
    : { runs: [], severalSizes: false };
  const isRight = facts.map((_, o) => follows(o, seen) && seen.agrees?.[o] !== false);
  const isProved = facts.map(
    (fact, o) => isRight[o] && (isRows(fact) || ('unknown' in fact && seen.agrees?.[o] === true)),
  );
  const isBatch = declared !== 'batched' || !first || haveOneName(inputs) || isProved.every(Boolean);
  const kind = isBatch ? declared : 'unbatched';
  const signature: Signature = {
    kind,
    inputs: first ? withExamples(inputs, declared, kind, first.recipe) : inputs,
    outputs: outputs.map((output, o) => asSeen(output, o, facts[o], { inputs, kind, seen })),
    prediction,
    ...(features && { features }),
  };
  const notes = first ? [] : ['no made-up input fits the model, so what it declares is believed'];
  const reason =
    maxBatch > 1
      ? (whyUnbatchable(signature) ??
        outputs.map(({ name }, o) => whyAlone(name, facts[o], isRight[o])).find(Boolean) ??
        (await whyNoGain(attempt, first)))
      : undefined;
  if (reason !== undefined) notes.push(`requests do not share runs: ${reason}`);
  const rows = kind === 'batched' ? maxBatch : 1;
  return {
    signature,
    batches: maxBatch > 1 && reason === undefined,
    quickRun: mayRunInline && first ? await findQuickRun(attempt, rows, first.recipe) : undefined,
    notes,
  };
}

/** The kind by the declared first dimensions, whatever their names. */
function declaredKind(inputs: readonly Input[]): Kind {
  const first = inputs.map(({ dims }) => dims[0]);
  if (inputs.length === 0) return 'unbatched';
  if (first.every((dim) => typeof dim === 'string')) return 'batched';
  return first.every((dim) => dim === 1) ? 'single' : 'unbatched';
}

/** Whether all first dimensions are open under one name, or none. */
function haveOneName(inputs: readonly Input[]): boolean {
  return new Set(inputs.map(({ dims }) => dims[0]).filter((dim) => dim !== '')).size <= 1;
}

function hasOpenLength(inputs: readonly Input[], kind: Kind): boolean {
  return inputs.some(({ dims }) =>
    dims.slice(kind === 'unbatched' ? 0 : 1).some((dim) => typeof dim === 'string'),
  );
}

type Fit = SampleRun & { recipe: Recipe };

async function firstThatFits(
  runSamples: RunSamples,
  isOpen: boolean,
  tables: Pick<Recipe, 'categories' | 'words'>,
): Promise<Fit | undefined> {
  for (const number of numbers) {
    for (const size of isOpen ? sizes : sizes.slice(0, 1)) {
      const recipe = { ...tables, size, number, repeats: 1 };
      const done = await runSamples([0], recipe);
      if (done) return { ...done, recipe };
    }
  }
  return undefined;
}

/** Runs three different rows, together and alone, and where lengths are open a row of another length. */
async function seeMore(
  runSamples: RunSamples,
  inputs: readonly Input[],
  declared: Kind,
  { recipe, outputs: first }: Fit,
): Promise<Seen> {
  const runs: Seen['runs'] = [];
  const see = async (rows: readonly number[], size = recipe.size) => {
    const done = await runSamples(rows, { ...recipe, size });
    if (done) runs.push({ rows: rows.length, shapes: done.outputs.map(({ shape }) => shape) });
    return done?.outputs;
  };
  runs.push({ rows: 1, shapes: first.map(({ shape }) => shape) });
  const together = await see(declared === 'single' ? [1] : [0, 1, 2]);
  let agrees: boolean[] | undefined;
  if (together && declared === 'batched') {
    const alone = [first, await see([1]), await see([2])].filter((outputs) => outputs !== undefined);
    const isSame = (tensor: Tensor, o: number) =>
      alone.every((outputs, row) => isClose(outputs[o], rowsOf(tensor, row, row + 1)));
    if (alone.length === 3) agrees = together.map(isSame);
  }
  let severalSizes = !hasOpenLength(inputs, declared);
  for (const size of sizes.filter((size) => size > recipe.size)) {
    // What the first dimension of an unbatched model counts is a length like others.
    for (const rows of declared === 'unbatched' ? [[0, 0], [0]] : [[0]])
      severalSizes ||= (await see(rows, size)) !== undefined;
  }
  return { runs, agrees, severalSizes };
}

/** Whether tensors of one shape are the same but for rounding, measured by the largest value. */
function isClose({ type, data, shape }: Tensor, other: Tensor): boolean {
  if (!sameShape(shape, other.shape)) return false;
  const { get } = elementOf(type);
  const pairs = Array.from({ length: data.length }, (_, i) => [get(data, i), get(other.data, i)]);
  const largest = pairs.reduce(
    (most, [a]) => (typeof a === 'number' ? Math.max(most, Math.abs(a)) : most),
    0,
  );
  // Half precision has eleven bits. Integers and texts are exact.
  const rounding = { float16: 4e-3, float32: 1e-4, float64: 1e-4 }[String(type)] ?? 0;
  return pairs.every(([a, b]) => Object.is(a, b) || Math.abs(Number(a) - Number(b)) <= rounding * largest);
}

/** Whether the graph tells that entry i depends on row i alone. */
export function isRows(fact: Fact): boolean {
  return 'shape' in fact && fact.axis === 0 && fact.shape[0] === 1;
}

/** What keeps rows of an output from being run beside those of other requests. */
function whyAlone(name: string, fact: Fact, isRight: boolean): string | undefined {
  if ('loose' in fact) return fact.loose;
  if ('unknown' in fact) return fact.unknown;
  if (!isRows(fact)) return `the output ${name} does not count rows by its first dimension`;
  return isRight ? undefined : `rows of ${name} were other ones together than alone`;
}

/** What speaks against shared runs where nothing in the graph does. */
async function whyNoGain(runSamples: RunSamples, first: Fit | undefined): Promise<string | undefined> {
  if (!first) return 'no made-up rows were run';
  if (await paysToShare(runSamples, first.recipe)) return undefined;
  return 'rows take about as long together as alone';
}

/** Whether an output's first dimension was the number of rows in each run. */
function follows(output: number, { runs }: Seen): boolean {
  return runs.every(({ rows, shapes }) => shapes[output][0] === rows);
}

function withExamples(inputs: readonly Input[], declared: Kind, kind: Kind, recipe: Recipe): Input[] {
  return sampleFeeds(inputs, declared, [0], recipe).map(({ shape }, i) => {
    const values = sampleRow(inputs[i], 0, recipe);
    return { ...inputs[i], example: { values, shape: shape.slice(kind === 'unbatched' ? 0 : 1) } };
  });
}

/**
 * An output as runs showed it, else as declared. Lengths that were the same at all sizes are fixed, but where they follow
 * the values; the declared names of others are kept where an input bears them too.
 */
function asSeen(
  { name, type, dims, labels }: Fetched,
  place: number,
  fact: Fact,
  { inputs, kind, seen }: { inputs: readonly Input[]; kind: Kind; seen: Seen },
): Output {
  if ('loose' in fact) return { name, type, dims: dims.map(() => ''), labels, batch: false };
  const isDeclared = kind === 'batched' ? typeof dims[0] === 'string' : dims[0] === 1;
  const sawRows = seen.runs.some(({ rows }) => kind !== 'batched' || rows > 1);
  const isBatch = sawRows ? follows(place, seen) : isDeclared || isRows(fact) || labels !== undefined;
  const output = { name, type, dims, labels, batch: kind !== 'unbatched' && isBatch };
  const shapes = seen.runs.map((run) => run.shapes[place]);
  const [first] = shapes;
  if (!first || shapes.some(({ length }) => length !== first.length)) return output;
  const seenDims = first.map((length, axis): Dim => {
    const dim = dims.length === first.length ? dims[axis] : '';
    const isCount = axis === 0 && kind === 'batched';
    const isFixed = !(isCount && output.batch) && shapes.every((shape) => shape[axis] === length);
    if (isFixed && (dim === length || seen.severalSizes)) return length;
    // The name of the batch would be a lie.
    if (isCount && !output.batch) return '';
    return typeof dim === 'string' && inputs.some(({ dims }) => dims.includes(dim)) ? dim : '';
  });
  // Labels of some columns only would leave the others out.
  return { ...output, dims: seenDims, labels: first.at(-1) === labels?.length ? labels : undefined };
}
