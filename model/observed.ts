import type { Declared, Fetched } from './declared';
import type { Fact } from './independence/walk';
import type { QuickRun } from './runtime/inline';
import type { Runner } from './runtime/session';
import { plainRecipe, type Recipe, sampleFeeds, type Tables, variedRecipe } from './samples';
import type { Dim, Input, Kind, Output, Signature } from './signature';
import { largestQuickRun, paysToShare } from './timing';
import { elementOf } from './values/elements';
import { rowsOf, stackFeeds } from './values/rows';
import { copyOf, type Shape, sameShape, type Tensor } from './values/tensor';

/** What a model shows when made-up rows are run, which decides where the graph does not tell. */
export interface Observation {
  signature: Omit<Signature, 'prediction'>;
  /** Whether any made-up rows fit the model. */
  fits: boolean;
  /** An output whose rows, by the graph, depend on nothing else, but did not look so. */
  contradicted?: string;
  /** Whether rows take much less time together than alone. */
  pays: boolean;
  /** The largest run that was quick, where one was. */
  quickRun?: QuickRun;
}

/** Milliseconds from the first run that fits to the end of the runs at boot. */
const timeLimitMs = 2000;
/** Lengths tried for open dimensions: some models fail at 1, as a convolution over open height and width does. */
const sizes = [1, 8, 32, 224, 400];
/** Every number of the first row: some models divide by their inputs. */
const numbers = [0, 1];

/** The outputs of a run, or undefined where it fails or the time is over: then its feeds are not made. */
export type Attempt = (makeFeeds: () => Tensor[]) => Promise<Tensor[] | undefined>;

/** The shapes that a run of so many rows gave. */
interface SeenRun {
  readonly rows: number;
  readonly shapes: Shape[];
}

/** An output with what the graph tells of it, and what the runs showed. */
interface SeenOutput {
  readonly declared: Fetched;
  readonly fact: Fact;
  readonly shapes: Shape[];
  /** Whether its first dimension was the number of rows in each run. */
  readonly follows: boolean;
  /** Whether three different rows gave together what they gave alone, where that was seen. */
  readonly agrees?: boolean;
}

/**
 * Runs one made-up row and then three different ones, together and alone, to see the model's kind, and which outputs follow
 * the rows where the graph does not tell. What is not seen is believed as declared. `timed` rows are tried for a quick run.
 */
export async function observe(
  runner: Pick<Runner, 'run'>,
  { inputs, outputs }: Pick<Declared, 'inputs' | 'outputs'>,
  tables: Tables,
  factOf: (tensor: string) => Fact,
  { timed, maxBatch }: { timed?: number; maxBatch: number },
): Promise<Observation> {
  const fetches = outputs.map(({ fetch }) => fetch);
  const run = (feeds: Tensor[]) => runner.run(feeds, fetches);
  const declared = declaredKind(inputs);
  const first = await firstThatFits(inputs, declared, tables, run);
  if (!first) {
    const believed = outputs.map((output) =>
      asDeclared({ declared: output, fact: factOf(output.fetch), shapes: [], follows: false }, declared),
    );
    return { fits: false, pays: false, signature: { kind: declared, inputs, outputs: believed } };
  }
  const { recipe } = first;
  const attempt = withinTime(run);
  const runs: SeenRun[] = [{ rows: 1, shapes: shapesOf(first.outputs) }];
  const agree = await seeThree(inputs, declared, variedRecipe(recipe, tables), attempt, runs);
  const severalSizes = await seeLonger(inputs, declared, recipe, attempt, runs);
  const seen = outputs.map(
    (output, o): SeenOutput => ({
      declared: output,
      fact: factOf(output.fetch),
      shapes: runs.map(({ shapes }) => shapes[o]),
      follows: runs.every(({ rows, shapes }) => shapes[o][0] === rows),
      agrees: agree?.[o],
    }),
  );
  const isBatch = declared !== 'batched' || haveOneName(inputs) || seen.every(isIndependent);
  const kind = isBatch ? declared : 'whole';
  const contradicted =
    kind === 'batched' ? seen.find((output) => isRows(output.fact) && isContradicted(output)) : undefined;
  const sawRows = runs.some(({ rows }) => rows > 1);
  const samples = (rows: number) => () => sampleFeeds(inputs, kind, rows, recipe);
  return {
    fits: true,
    contradicted: contradicted?.declared.name,
    signature: {
      kind,
      inputs: withExamples(inputs, declared, kind, recipe),
      outputs: seen.map((output) => asSeen(output, inputs, kind, { sawRows, severalSizes })),
    },
    pays: kind === 'batched' && maxBatch > 1 && (await paysToShare(attempt, samples)),
    quickRun: timed === undefined ? undefined : await largestQuickRun(attempt, inputs, kind, recipe, timed),
  };
}

/** The kind by the declared first dimensions, whatever their names. */
function declaredKind(inputs: readonly Input[]): Kind {
  const first = inputs.map(({ dims }) => dims[0]);
  if (inputs.length === 0) return 'whole';
  if (first.every((dim) => typeof dim === 'string')) return 'batched';
  return first.every((dim) => dim === 1) ? 'single' : 'whole';
}

/** Whether all first dimensions are open under one name, or none. */
function haveOneName(inputs: readonly Input[]): boolean {
  return new Set(inputs.map(({ dims }) => dims[0]).filter((dim) => dim !== '')).size <= 1;
}

function hasOpenLength(inputs: readonly Input[], kind: Kind): boolean {
  return inputs.some(({ dims }) =>
    dims.slice(kind === 'whole' ? 0 : 1).some((dim) => typeof dim === 'string'),
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

function withinTime(run: (feeds: Tensor[]) => Promise<Tensor[]>): Attempt {
  const end = performance.now() + timeLimitMs;
  return async (makeFeeds) => {
    const left = end - performance.now();
    if (left <= 0) return undefined;
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, left, undefined);
    });
    const outputs = (async () => run(makeFeeds()))().catch(() => undefined);
    return Promise.race([outputs, over]).finally(() => clearTimeout(timer));
  };
}

/**
 * Runs three different rows, noting what shapes they give. Of a batched model, tells by output whether they give together
 * what they give alone; undefined where that is not seen.
 */
async function seeThree(
  inputs: readonly Input[],
  declared: Kind,
  varied: Recipe,
  attempt: Attempt,
  runs: SeenRun[],
): Promise<boolean[] | undefined> {
  const rows = declared === 'single' ? 1 : 3;
  const feeds = sampleFeeds(inputs, declared, rows, varied);
  const together = await attempt(() => feeds.map(copyOf));
  if (!together) return undefined;
  runs.push({ rows, shapes: shapesOf(together) });
  if (declared !== 'batched') return undefined;
  const alone: Tensor[][] = [];
  for (let row = 0; row < rows; row++) {
    const outputs = await attempt(() => feeds.map((tensor) => copyOf(rowsOf(tensor, row, row + 1))));
    if (!outputs) return undefined;
    runs.push({ rows: 1, shapes: shapesOf(outputs) });
    alone.push(outputs);
  }
  return together.map((tensor, o) => {
    const each = alone.map((outputs) => outputs[o]);
    const isEven = each.every(({ shape }) => sameShape(shape, [1, ...tensor.shape.slice(1)]));
    return isEven && isClose(tensor, stackFeeds(each.map((one) => [one]))[0]);
  });
}

/** Runs a row of another length, where lengths are open. Tells whether they all had several, or none is open. */
async function seeLonger(
  inputs: readonly Input[],
  declared: Kind,
  recipe: Recipe,
  attempt: Attempt,
  runs: SeenRun[],
): Promise<boolean> {
  if (!hasOpenLength(inputs, declared)) return true;
  for (const size of sizes.filter((size) => size > recipe.size)) {
    // What the first dimension of a whole model counts is a length like others.
    for (const rows of declared === 'whole' ? [2, 1] : [1]) {
      const outputs = await attempt(() => sampleFeeds(inputs, declared, rows, { ...recipe, size }));
      if (!outputs) continue;
      runs.push({ rows, shapes: shapesOf(outputs) });
      return true;
    }
  }
  return false;
}

function shapesOf(tensors: readonly Tensor[]): Shape[] {
  return tensors.map(({ shape }) => shape);
}

/** Whether tensors of one shape are the same but for rounding, measured by the largest value. */
function isClose({ type, data, shape }: Tensor, other: Tensor): boolean {
  if (!sameShape(shape, other.shape)) return false;
  const { get } = elementOf(type);
  const values = Array.from({ length: data.length }, (_, i) => [get(data, i), get(other.data, i)]);
  const sizes = values.flat().map((value) => (typeof value === 'number' ? Math.abs(value) : 0));
  // Half precision has eleven bits. Integers and texts are exact.
  const rounding = { float16: 4e-3, float32: 1e-4, float64: 1e-4 }[String(type)] ?? 0;
  const tolerance = rounding * sizes.reduce((most, size) => Math.max(most, size), 0);
  return values.every(([a, b]) => Object.is(a, b) || Math.abs(Number(a) - Number(b)) <= tolerance);
}

/** Whether the graph tells that entry i depends on row i alone. */
export function isRows(fact: Fact): boolean {
  return 'shape' in fact && fact.axis === 0 && fact.shape[0] === 1;
}

function isContradicted({ follows, agrees }: SeenOutput): boolean {
  return !follows || agrees === false;
}

/** Whether an output's rows depend on nothing else, by the graph or, where it does not tell, by what was seen. */
function isIndependent(output: SeenOutput): boolean {
  if ('loose' in output.fact) return false;
  return isRows(output.fact) ? !isContradicted(output) : output.follows && output.agrees === true;
}

function withExamples(inputs: readonly Input[], declared: Kind, kind: Kind, recipe: Recipe): Input[] {
  return sampleFeeds(inputs, declared, 1, recipe).map(({ shape }, i) => {
    const values = recipe.valuesFor(inputs[i], 0);
    return { ...inputs[i], example: { values, shape: shape.slice(kind === 'whole' ? 0 : 1) } };
  });
}

/** An output as its file declares it, but for what the graph tells. */
function asDeclared({ declared: { name, type, dims, labels }, fact }: SeenOutput, kind: Kind): Output {
  const [first] = dims;
  const isDeclared = kind === 'batched' ? typeof first === 'string' : kind === 'single' && first === 1;
  const batch =
    kind !== 'whole' && !('loose' in fact) && (isDeclared || isRows(fact) || labels !== undefined);
  return { name, type, dims: 'loose' in fact ? dims.map(() => '') : dims, labels, batch };
}

/**
 * An output as runs showed it. Lengths that were the same at all sizes are fixed, but where they follow the values; the
 * declared names of others are kept where an input bears them too.
 */
function asSeen(
  output: SeenOutput,
  inputs: readonly Input[],
  kind: Kind,
  { sawRows, severalSizes }: { sawRows: boolean; severalSizes: boolean },
): Output {
  const { fact, shapes, follows } = output;
  const declared = asDeclared(output, kind);
  if ('loose' in fact) return declared;
  const batch = kind === 'batched' && !sawRows ? declared.batch : kind !== 'whole' && follows;
  const [first] = shapes;
  if (!shapes.every(({ length }) => length === first.length)) return { ...declared, batch };
  const dims = first.map((length, axis): Dim => {
    const dim = declared.dims.length === first.length ? declared.dims[axis] : '';
    const isBatch = axis === 0 && batch && kind === 'batched';
    const isFixed = !isBatch && shapes.every((shape) => shape[axis] === length);
    if (isFixed && (dim === length || severalSizes)) return length;
    // The name of the batch would be a lie.
    if (axis === 0 && kind === 'batched' && !isBatch) return '';
    return typeof dim === 'string' && inputs.some(({ dims }) => dims.includes(dim)) ? dim : '';
  });
  // Labels of some columns only would leave the others out.
  const labels = first.at(-1) === declared.labels?.length ? declared.labels : undefined;
  return { ...declared, batch, dims, labels };
}
