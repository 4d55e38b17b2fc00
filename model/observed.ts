import type { Declared, Fetched } from './declared';
import type { Fact } from './independence/walk';
import type { Runner } from './runtime/session';
import { plainRecipe, type Recipe, sampleFeeds, type Tables, variedRecipe } from './samples';
import { type Dim, type Input, type Kind, type Output, type Signature, whyUnbatchable } from './signature';
import { type Attempt, largestQuickFeeds, paysToShare, withinTime } from './timing';
import { elementOf } from './values/elements';
import { rowsOf } from './values/rows';
import { type Shape, sameShape, type Tensor } from './values/tensor';

/** What a model shows when made-up rows are run, which decides where the graph does not tell. */
export interface Observation {
  signature: Signature;
  /** Whether any made-up rows fit the model. */
  fits: boolean;
  /** Why requests do not share runs; undefined where they may. */
  whyAlone?: string;
  /** Bytes of the feeds of the largest run that was quick, where one was. */
  quickBytes?: number;
}

/** Lengths tried for open dimensions: some models fail at 1, as a convolution over open height and width does. */
const sizes = [1, 8, 32, 224, 400];
/** Every number of the first row: some models divide by their inputs. */
const numbers = [0, 1];

/** What is known of a model before it has run: its declarations, its tables, and what its graph tells of a tensor. */
export interface Described {
  readonly declared: Declared;
  readonly tables: Tables;
  factOf(tensor: string): Fact;
}

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
 * the rows where the graph does not tell. What is not seen is believed as declared. `timed` rows are tried for a quick run.
 */
export async function observe(
  runner: Pick<Runner, 'run'>,
  { declared: { inputs, outputs, prediction, features }, tables, factOf }: Described,
  { timed, maxBatch }: { timed?: number; maxBatch: number },
): Promise<Observation> {
  const fetches = outputs.map(({ fetch }) => fetch);
  const run = (feeds: Tensor[]) => runner.run(feeds, fetches);
  const declared = declaredKind(inputs);
  const facts = outputs.map(({ fetch }) => factOf(fetch));
  const seen: Seen = { runs: [], severalSizes: false };
  const signatureOf = (kind: Kind, inputs: Input[]): Signature => ({
    kind,
    inputs,
    outputs: outputs.map((output, o) => asSeen(output, o, facts[o], { inputs, kind, seen })),
    prediction,
    features,
  });
  const first = await firstThatFits(inputs, declared, tables, run);
  if (!first) {
    const signature = signatureOf(declared, inputs);
    const whyAlone = whyNotProved(signature, facts) ?? 'no made-up rows were run';
    return { fits: false, signature, whyAlone };
  }
  const { recipe } = first;
  const attempt = withinTime(run);
  seen.runs.push({ rows: 1, shapes: first.outputs.map(({ shape }) => shape) });
  await seeMore(inputs, declared, [recipe, variedRecipe(recipe, tables)], attempt, seen);
  const isRight = facts.map((_, o) => follows(o, seen) && seen.agrees?.[o] !== false);
  const isProved = facts.map(
    (fact, o) => isRight[o] && (isRows(fact) || ('unknown' in fact && seen.agrees?.[o] === true)),
  );
  const isBatch = declared !== 'batched' || haveOneName(inputs) || isProved.every(Boolean);
  const kind = isBatch ? declared : 'unbatched';
  const signature = signatureOf(kind, withExamples(inputs, declared, kind, recipe));
  const whyNotShared = async (): Promise<string | undefined> => {
    const why = whyNotProved(signature, facts);
    if (why !== undefined) return why;
    const contradicted = outputs.find((_, o) => !isRight[o]);
    if (contradicted) return `rows of ${contradicted.name} were other ones together than alone`;
    const pays = await paysToShare(attempt, (rows) => () => sampleFeeds(inputs, kind, rows, recipe));
    return pays ? undefined : 'rows take about as long together as alone';
  };
  return {
    fits: true,
    signature,
    whyAlone: maxBatch > 1 ? await whyNotShared() : undefined,
    quickBytes:
      timed === undefined ? undefined : await largestQuickFeeds(attempt, inputs, kind, recipe, timed),
  };
}

/** Why it is not proved that each row of every output depends on its own row alone. */
function whyNotProved({ kind, inputs, outputs }: Signature, facts: readonly Fact[]): string | undefined {
  const why = whyUnbatchable({ kind, inputs });
  if (why !== undefined) return why;
  for (const [o, fact] of facts.entries()) {
    if ('loose' in fact) return fact.loose;
    if ('unknown' in fact) return fact.unknown;
    if (!isRows(fact)) return `the output ${outputs[o].name} does not count rows by its first dimension`;
  }
  return undefined;
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

async function firstThatFits(
  inputs: readonly Input[],
  declared: Kind,
  tables: Tables,
  run: (feeds: Tensor[]) => Promise<Tensor[]>,
): Promise<{ recipe: Recipe; outputs: Tensor[] } | undefined> {
  for (const number of numbers) {
    for (const size of hasOpenLength(inputs, declared) ? sizes : sizes.slice(0, 1)) {
      const recipe = plainRecipe(tables, number, size);
      try {
        return { recipe, outputs: await run(sampleFeeds(inputs, declared, 1, recipe)) };
      } catch {
        // Another size or value may fit.
      }
    }
  }
  return undefined;
}

/** Runs three different rows, together and alone, and where lengths are open a row of another length. */
async function seeMore(
  inputs: readonly Input[],
  declared: Kind,
  [recipe, varied]: readonly [Recipe, Recipe],
  attempt: Attempt,
  seen: Seen,
): Promise<void> {
  const see = async (rows: number, of: Recipe) => {
    const outputs = await attempt(() => sampleFeeds(inputs, declared, rows, of));
    if (outputs) seen.runs.push({ rows, shapes: outputs.map(({ shape }) => shape) });
    return outputs;
  };
  const together = await see(declared === 'single' ? 1 : 3, varied);
  if (together && declared === 'batched') {
    const alone: Tensor[][] = [];
    for (const row of [0, 1, 2]) {
      const outputs = await see(1, { ...varied, valuesFor: (input) => varied.valuesFor(input, row) });
      if (outputs) alone.push(outputs);
    }
    const agrees = (tensor: Tensor, o: number) =>
      alone.every((outputs, row) => isClose(outputs[o], rowsOf(tensor, row, row + 1)));
    if (alone.length === 3) seen.agrees = together.map(agrees);
  }
  seen.severalSizes = !hasOpenLength(inputs, declared);
  for (const size of sizes.filter((size) => size > recipe.size)) {
    // What the first dimension of an unbatched model counts is a length like others.
    for (const rows of declared === 'unbatched' ? [2, 1] : [1])
      seen.severalSizes ||= (await see(rows, { ...recipe, size })) !== undefined;
  }
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

/** Whether an output's first dimension was the number of rows in each run. */
function follows(output: number, { runs }: Seen): boolean {
  return runs.every(({ rows, shapes }) => shapes[output][0] === rows);
}

function withExamples(inputs: readonly Input[], declared: Kind, kind: Kind, recipe: Recipe): Input[] {
  return sampleFeeds(inputs, declared, 1, recipe).map(({ shape }, i) => {
    const values = recipe.valuesFor(inputs[i], 0);
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
