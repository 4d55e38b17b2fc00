import type { Fetched } from './declared';
import type { QuickRun } from './runtime/inline';
import type { Graph } from './runtime/onnx';
import type { Runner } from './runtime/session';
import type { Dim, Input, Kind, Output, Scalar, Signature } from './signature';
import { agree } from './values/compare';
import { elementOf } from './values/elements';
import { rowsOf, stackFeeds } from './values/rows';
import { charactersOf, copyOf, type Shape, sizeOf, type Tensor, valuesIn } from './values/tensor';

/** What a model shows when made-up rows are run, which decides over what its file declares. */
export interface Observation {
  signature: Omit<Signature, 'prediction'>;
  /** Whether any made-up rows fit the model. */
  fits: boolean;
  /** The largest run that was quick, where one was. */
  quickRun?: QuickRun;
}

/** A run that is over within so many milliseconds is quick. */
const quick = 2;
/** Milliseconds from the first run that fits to the end of the experiment. */
const timeLimit = 2000;
/** Lengths tried for open dimensions: some models fail at 1, as a convolution over open height and width does. */
const sizes = [1, 8, 32, 224];
/** More values are not made up for the sake of a length that may do as well when it is shorter. */
const mostValues = 2 ** 22;
/** Every number of the made-up rows: some models divide by their inputs. */
const numbers = [0, 1];

/** How made-up feeds look: the length of open dimensions, and what stands in each row. */
interface Recipe {
  size: number;
  /** The values that fill a row, again and again. */
  valuesFor(input: Input, row: number): readonly Scalar[];
}

/** The outputs of a run, or undefined where it fails or the experiment is over: then its feeds are not made. */
type Attempt = (makeFeeds: () => Tensor[]) => Promise<Tensor[] | undefined>;

/** The shapes that runs gave. */
interface Seen {
  /** How many rows each run had, and the shape of each output. */
  readonly runs: { rows: number; shapes: Shape[] }[];
  /** Whether open dimensions behind the rows, where there are any, had several lengths. */
  readonly severalSizes: boolean;
}

/**
 * Runs 1, 2 and 3 made-up rows, together and alone, to see the model's kind, which outputs follow the rows and, where
 * `timed` rows are given, whether a run of so many is quick. What it does not see is believed as declared.
 */
export async function observe(
  runner: Pick<Runner, 'run'>,
  inputs: readonly Input[],
  outputs: readonly Fetched[],
  graph: Graph,
  timed: number | undefined,
): Promise<Observation> {
  const fetches = outputs.map(({ fetch }) => fetch);
  const run = (feeds: Tensor[]) => runner.run(feeds, fetches);
  const declared = declaredKind(inputs);
  const first = await firstThatFits(inputs, declared, graph, (recipe) =>
    run(madeUp(inputs, declared, 1, recipe)),
  );
  if (!first) {
    const believed = outputs.map((output) => asDeclared(output, declared));
    return { fits: false, signature: { kind: declared, inputs, outputs: believed } };
  }
  const { recipe } = first;
  const attempt = withinTime(run);
  const varied = variedRecipe(recipe, graph);
  // An open length of an output, or a rank, may follow the values.
  const isOpen = hasOpenLength(outputs, declared) || outputs.some(({ dims }) => dims.length === 0);
  const others = isOpen ? varied : undefined;
  const seen = await seeShapes(inputs, declared, [recipe, others], first.outputs, attempt);
  const isOne =
    declared !== 'batched' || haveOneBatch(inputs) || (await addUp(inputs, varied, seen, attempt));
  const kind = isOne ? declared : 'whole';
  const signature = {
    kind,
    inputs: madeUp(inputs, declared, 1, recipe).map(({ shape }, i) => {
      const example = {
        values: recipe.valuesFor(inputs[i], 0),
        shape: shape.slice(kind === 'whole' ? 0 : 1),
      };
      return { ...inputs[i], example };
    }),
    outputs: outputs.map((output, o) => asSeen(asDeclared(output, kind), o, inputs, kind, seen)),
  };
  const quickRun =
    timed === undefined ? undefined : await largestQuickRun(inputs, kind, recipe, timed, attempt);
  return { signature, fits: true, quickRun };
}

function withinTime(run: (feeds: Tensor[]) => Promise<Tensor[]>): Attempt {
  const end = performance.now() + timeLimit;
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
 * Runs several rows, in which each holds the same; the most again with varied values, if there are; and, where lengths are
 * open, one row of another length.
 */
async function seeShapes(
  inputs: readonly Input[],
  declared: Kind,
  [recipe, varied]: readonly [Recipe, Recipe | undefined],
  first: readonly Tensor[],
  attempt: Attempt,
): Promise<Seen> {
  const runs: Seen['runs'] = [{ rows: 1, shapes: shapesOf(first) }];
  const see = async (rows: number, size: number, { valuesFor } = recipe) => {
    const given = await attempt(() => madeUp(inputs, declared, rows, { size, valuesFor }));
    if (given) runs.push({ rows, shapes: shapesOf(given) });
    return given !== undefined;
  };
  if (declared === 'batched') for (const rows of [2, 3]) await see(rows, recipe.size);
  if (varied) await see(declared === 'batched' ? 3 : 1, recipe.size, varied);
  let severalSizes = !hasOpenLength(inputs, declared);
  for (const size of sizes.filter((size) => size > recipe.size)) {
    // What a whole model's first dimension counts is a length like others.
    severalSizes ||= (declared === 'whole' && (await see(2, size))) || (await see(1, size));
  }
  return { runs, severalSizes };
}

/** The kind by the declared first dimensions, whatever their names. */
function declaredKind(inputs: readonly Input[]): Kind {
  const first = inputs.map(({ dims }) => dims[0]);
  if (inputs.length === 0) return 'whole';
  if (first.every((dim) => typeof dim === 'string')) return 'batched';
  return first.every((dim) => dim === 1) ? 'single' : 'whole';
}

/** Whether all first dimensions are open under one name, or none. */
function haveOneBatch(inputs: readonly Input[]): boolean {
  return new Set(inputs.map(({ dims }) => dims[0]).filter((dim) => dim !== '')).size <= 1;
}

function hasOpenLength(values: readonly Pick<Input, 'dims'>[], kind: Kind): boolean {
  return values.some(({ dims }) =>
    dims.slice(kind === 'whole' ? 0 : 1).some((dim) => typeof dim === 'string'),
  );
}

async function firstThatFits(
  inputs: readonly Input[],
  declared: Kind,
  graph: Graph,
  run: (recipe: Recipe) => Promise<Tensor[]>,
): Promise<{ recipe: Recipe; outputs: Tensor[] } | undefined> {
  for (const number of numbers) {
    for (const size of hasOpenLength(inputs, declared) ? sizes : sizes.slice(0, 1)) {
      const recipe: Recipe = { size, valuesFor: (input) => plainValues(input, graph, number) };
      try {
        return { recipe, outputs: await run(recipe) };
      } catch {
        // Another size or value may fit.
      }
    }
  }
  return undefined;
}

/** Categories where encoders want some, else words that the model knows, else one number. */
function plainValues(
  { name, type, dims }: Input,
  { categories, words }: Graph,
  number: number,
): readonly Scalar[] {
  const plain = type === 'string' ? (words[0] ?? 'a') : type === 'bool' ? number === 1 : number;
  const known = categories.get(name);
  const [, width = 1] = dims;
  if (!known || typeof width !== 'number') return [plain];
  return Array.from({ length: width }, (_, place) =>
    typeof known[place] === typeof plain ? known[place] : plain,
  );
}

/** Feeds of made-up rows. A dimension that bears the batch's name is the rows, wherever it stands. Throws RangeError for too many. */
function madeUp(inputs: readonly Input[], kind: Kind, rows: number, recipe: Recipe): Tensor[] {
  const batch = inputs[0]?.dims[0] || undefined;
  return inputs.map((input) => {
    const shape = input.dims.map((dim, axis) => {
      if (typeof dim === 'number') return dim;
      return (axis === 0 && kind === 'batched') || dim === batch ? rows : recipe.size;
    });
    if (recipe.size > 1 && sizeOf(shape) > mostValues) throw new RangeError('too many values');
    const element = elementOf(input.type);
    const data = element.create(sizeOf(shape));
    const size = sizeOf(shape.slice(1)) || 1;
    for (let at = 0; at < data.length; at += size) {
      const values = recipe.valuesFor(input, at / size).slice(0, size);
      element.fill(data, at, values);
      // The row's beginning, again and again.
      for (let filled = values.length; filled < size; filled *= 2)
        data.copyWithin(at + filled, at, at + Math.min(filled, size - filled));
    }
    return { type: input.type, shape, data };
  });
}

/** Other numbers in each row, but for the categories that an encoder knows. */
function variedRecipe({ size, valuesFor }: Recipe, { categories }: Graph): Recipe {
  const vary = (value: Scalar, row: number, isCategory: boolean) =>
    typeof value === 'number' && !isCategory ? (value + row + 1) % 3 : value;
  return {
    size,
    valuesFor: (input, row) => {
      const known = categories.get(input.name);
      return valuesFor(input, row).map((value, place) => vary(value, row, known?.[place] !== undefined));
    },
  };
}

function shapesOf(tensors: readonly Tensor[]): Shape[] {
  return tensors.map(({ shape }) => shape);
}

/** Whether outputs follow the rows, and different rows give together what they give alone: then all first dimensions are one batch. */
async function addUp(
  inputs: readonly Input[],
  varied: Recipe,
  { runs }: Seen,
  attempt: Attempt,
): Promise<boolean> {
  const sawThree = runs.some(({ rows }) => rows === 3);
  if (!sawThree || !runs.every(({ rows, shapes }) => shapes.every(([length]) => length === rows)))
    return false;
  const alone: Tensor[][] = [];
  const rows = [0, 1, 2].map((row) =>
    madeUp(inputs, 'batched', 1, { ...varied, valuesFor: (input) => varied.valuesFor(input, row) }),
  );
  for (const feeds of rows) {
    const outputs = await attempt(() => feeds.map(copyOf));
    if (!outputs) return false;
    alone.push(outputs);
  }
  const together = await attempt(() => stackFeeds(rows));
  return (
    together?.every((tensor, o) =>
      alone.every((outputs, row) => agree(outputs[o], rowsOf(tensor, row, row + 1), 0)),
    ) ?? false
  );
}

function asDeclared({ name, type, dims, labels }: Output, kind: Kind): Output {
  const [first] = dims;
  const batch = kind === 'batched' ? typeof first === 'string' : kind === 'single' && first === 1;
  return { name, type, dims, labels, batch: batch || (labels !== undefined && kind !== 'whole') };
}

/**
 * An output as runs showed it, given as it is declared. Lengths that were the same at all sizes are fixed; the declared
 * names of others are kept where an input bears them too.
 */
function asSeen(
  output: Output,
  place: number,
  inputs: readonly Input[],
  kind: Kind,
  { runs, severalSizes }: Seen,
): Output {
  const sawRows = runs.some(({ rows }) => rows > 1);
  const follows = runs.every(({ rows, shapes }) => shapes[place][0] === rows);
  const batch = kind === 'batched' && !sawRows ? output.batch : kind !== 'whole' && follows;
  const shapes = runs.map((run) => run.shapes[place]);
  const [first] = shapes;
  if (!shapes.every(({ length }) => length === first.length)) return { ...output, batch };
  const dims = first.map((length, axis): Dim => {
    const dim = output.dims.length === first.length ? output.dims[axis] : '';
    const isRows = axis === 0 && batch && kind === 'batched';
    const isFixed = !isRows && shapes.every((shape) => shape[axis] === length);
    if (isFixed && (dim === length || severalSizes)) return length;
    // The name of the batch would be a lie.
    if (axis === 0 && kind === 'batched' && !isRows) return '';
    return typeof dim === 'string' && inputs.some(({ dims }) => dims.includes(dim)) ? dim : '';
  });
  // Labels of some columns only would leave the others out.
  const labels = first.at(-1) === output.labels?.length ? output.labels : undefined;
  return { ...output, batch, dims, labels };
}

/** A run of `maxBatch` rows, with texts much longer than one word where such are quick; undefined where it takes longer. */
async function largestQuickRun(
  inputs: readonly Input[],
  kind: Kind,
  recipe: Recipe,
  maxBatch: number,
  attempt: Attempt,
): Promise<QuickRun | undefined> {
  const rows = kind === 'batched' ? maxBatch : 1;
  const longer: Recipe = {
    ...recipe,
    valuesFor: (input, row) =>
      recipe
        .valuesFor(input, row)
        .map((value) => (typeof value === 'string' ? `${value} `.repeat(40) : value)),
  };
  /** Milliseconds of the best of a few runs: the first allocates, and others may meet a busy machine. */
  const timeOf = async (count: number, tried: Recipe) => {
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 6 && best > quick / 2; i++) {
      const feeds = madeUp(inputs, kind, count, tried);
      const start = performance.now();
      if (!(await attempt(() => feeds))) break;
      best = Math.min(best, performance.now() - start);
      if (best > 50 * quick) break;
    }
    return best;
  };
  const hasText = inputs.some(({ type }) => type === 'string');
  for (const tried of hasText ? [longer, recipe] : [recipe]) {
    // One alone first: so many of a slow model would take long.
    if ((await timeOf(1, tried)) > quick) continue;
    if (rows > 1 && (await timeOf(rows, tried)) > quick) continue;
    const feeds = madeUp(inputs, kind, rows, tried);
    return { values: valuesIn(feeds), characters: charactersOf(feeds) };
  }
  return undefined;
}
