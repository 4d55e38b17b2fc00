import type { Declared } from './declared';
import type { OnnxFile } from './graph/onnx';
import { type Fact, followRows } from './independence/walk';
import type { SampleRun, Sampler } from './samples';
import { type Dim, type Input, instanceDims, type Kind, type Output, type Signature } from './signature';
import { Column } from './values/column';
import { type ElementType, elements } from './values/elements';
import { rowsOf, sameShape, type Tensor } from './values/tensor';

/** Lengths tried for open dimensions: some models fail at 1, as a convolution over open height and width does. */
const sizes = [1, 8, 32, 224, 400];
/** Rows that are tried first: all numbers of row 0 are 0, and some models divide by their inputs. */
const firstRows = [0, 1];
/** Rows of the timed run: to share pays where it takes less than half of as many runs of one. */
const sharedRows = 8;

type SeenOutput = Declared['outputs'][number] & {
  readonly fact: Fact;
  readonly runs: readonly (SampleRun & { readonly output: Tensor })[];
};

/** What a model takes and gives, by its graph and by runs of made-up rows, and the most rows that requests may share a run of. */
export async function observe(sampler: Sampler, file: OnnxFile, declared: Declared, maxBatch: number) {
  const { inputs, prediction, features } = declared;
  const runs = await runSamples(sampler, declared);
  const { first } = sampler;
  const factOf = followRows(file, inputs);
  const outputs = declared.outputs.map((output, o): SeenOutput => {
    const seen = runs.map((run) => ({ ...run, output: run.outputs[o] }));
    return { ...output, fact: factOf(output.tensor), runs: seen };
  });
  // First dimensions of several names are to be seen to be one batch.
  const names = new Set(inputs.map(({ dims }) => dims[0]).filter((dim) => dim !== ''));
  const isOneBatch = names.size <= 1 || outputs.every(isByRow);
  const kind = declared.kind === 'batched' && !isOneBatch ? 'unbatched' : declared.kind;
  const feeds = first && sampler.feeds(first.rows, first.size);
  const signature: Signature = {
    kind,
    inputs: inputs.map((input, i) => ({ ...input, example: feeds && exampleJson(feeds[i], input, kind) })),
    outputs: outputs.map((output) => asSeen(output, kind, declared)),
    prediction,
    features,
  };
  const notes = [...declared.notes];
  if (!first) notes.push('no made-up input fits the model, so its declared shapes are used unchecked');
  const reason = maxBatch > 1 ? await whyNotShared(sampler, declared, outputs) : undefined;
  if (reason !== undefined) notes.push(`requests do not share runs: ${reason}`);
  return { signature, notes, maxShared: reason === undefined ? maxBatch : 1 };
}

/** Runs one row that fits the model, then others and, where lengths are open, one of another length; gives the runs that fit. */
async function runSamples(sampler: Sampler, { kind, openInput }: Declared): Promise<SampleRun[]> {
  const lengths = openInput ? sizes : [1];
  for (const row of firstRows) for (const size of lengths) if (!sampler.first) await sampler.run([row], size);
  const { first } = sampler;
  if (!first) return [];
  const [one] = first.rows;
  const [two, three] = [one + 1, one + 2];
  // What the first dimension of an unbatched model counts is a length like others, along which values differ, too.
  const later = { batched: [[one, two, three], [two], [three]], single: [[two]], unbatched: [[two, three]] };
  const runs: (SampleRun | undefined)[] = [first];
  for (const rows of later[kind]) runs.push(await sampler.run(rows, first.size));
  let longer: SampleRun | undefined;
  for (const size of lengths.filter((size) => size > first.size)) longer ??= await sampler.run([one], size);
  return [...runs, longer].filter((run) => run !== undefined);
}

/** The JSON of the one instance in a feed, without the dimensions that are always 1 at its end, which may be left out. */
function exampleJson(feed: Tensor, input: Input, kind: Kind): string {
  const shape = feed.shape.slice(kind === 'unbatched' ? 0 : 1);
  while (instanceDims(input, kind)?.[shape.length - 1] === 1) shape.pop();
  return JSON.stringify(Column.ofValues([{ ...feed, shape }]).at(0));
}

/** Whether the graph tells that entry i depends on row i alone. */
export function provesRows(fact: Fact): boolean {
  return 'shape' in fact && fact.shape[0] === -1;
}

function countsRows({ runs }: SeenOutput): boolean {
  return runs.every(({ rows, output }) => output.shape[0] === rows.length);
}

/** Whether three rows gave a row each, and together what they gave alone; undefined where that was not seen. */
function keepsRows(seen: SeenOutput): boolean | undefined {
  if (!countsRows(seen)) return false;
  const together = seen.runs.find(({ rows }) => rows.length === 3);
  const alone = seen.runs.filter(({ rows, size }) => rows.length === 1 && size === together?.size);
  if (!together || alone.length < 3) return undefined;
  return alone.every(({ output }, row) => isClose(output, rowsOf(together.output, row, row + 1)));
}

/** How far values that are computed in another order may lie apart, as a share of the largest; float16 has eleven bits. */
const rounding: Partial<Record<ElementType, number>> = { float16: 4e-3, float32: 1e-4, float64: 1e-4 };

function isClose(one: Tensor, other: Tensor): boolean {
  if (!sameShape(one.shape, other.shape)) return false;
  const { get } = elements[one.type];
  const [values, others] = [one, other].map(({ data }) => [...data.keys()].map((i) => get(data, i)));
  const magnitudes = values.map((value) => (typeof value === 'number' ? Math.abs(value) : 0));
  const largest = magnitudes.reduce((most, size) => Math.max(most, size), 0);
  const most = largest * (rounding[one.type] ?? 0);
  const distance = (i: number) => Math.abs(Number(values[i]) - Number(others[i]));
  return values.every((value, i) => value === others[i] || distance(i) <= most);
}

/** Whether entry i depends on row i alone by the graph or, where that does not tell, by what runs showed. */
function isByRow(output: SeenOutput): boolean {
  const { fact } = output;
  if ('reason' in fact) return !fact.isDataDependent && keepsRows(output) === true;
  return provesRows(fact) && keepsRows(output) !== false;
}

async function whyNotShared(sampler: Sampler, declared: Declared, outputs: readonly SeenOutput[]) {
  const { inputs, openInput } = declared;
  const closed = inputs.find(({ dims }) => typeof dims[0] !== 'string');
  if (closed)
    return `${closed.name} has no open first dimension that counts rows (PyTorch: two example rows and dynamic_shapes)`;
  if (openInput) return `rows of ${openInput.name} have no fixed shape`;
  const reason = outputs.map(whyAlone).find(Boolean);
  if (reason) return reason;
  if (!sampler.first) return 'no made-up rows were run';
  const [alone, together] = [await sampler.best(1), await sampler.best(sharedRows)];
  const pays = alone && together && together.ms < (sharedRows / 2) * alone.ms;
  return pays ? undefined : 'rows take about as long together as alone';
}

function whyAlone(output: SeenOutput): string | undefined {
  const { fact, name } = output;
  if ('reason' in fact) return fact.reason;
  if (!provesRows(fact)) return `the output ${name} does not count rows by its first dimension`;
  if (keepsRows(output) !== false) return undefined;
  return `rows that were run together gave another ${name} than alone`;
}

/** An output as runs showed it: lengths that never differed are fixed, names of others kept where an input bears them. */
function asSeen(seen: SeenOutput, kind: Kind, { inputs, openInput }: Declared): Output {
  const { name, type, dims, labels, fact, runs } = seen;
  if ('reason' in fact && fact.isDataDependent)
    return { name, type, dims: dims.map(() => ''), labels, batch: false };
  const isDeclared = kind === 'batched' ? typeof dims[0] === 'string' : dims[0] === 1;
  const sawRows = runs.some(({ rows }) => kind !== 'batched' || rows.length > 1);
  const isBatch = sawRows ? countsRows(seen) : isDeclared || provesRows(fact);
  const output = { name, type, dims, labels, batch: kind !== 'unbatched' && isBatch };
  const shapes = runs.map(({ output }) => output.shape);
  const [first] = shapes;
  if (!first || shapes.some(({ length }) => length !== first.length)) return output;
  const sawLengths = !openInput || runs.some(({ size }) => size !== runs[0].size);
  const seenDims = first.map((length, axis): Dim => {
    const dim = dims.length === first.length ? dims[axis] : '';
    const isCount = axis === 0 && kind === 'batched';
    const isFixed = !(isCount && output.batch) && shapes.every((shape) => shape[axis] === length);
    if (isFixed && (dim === length || sawLengths)) return length;
    // The name of the batch would be a lie.
    if (isCount && !output.batch) return '';
    return typeof dim === 'string' && inputs.some(({ dims }) => dims.includes(dim)) ? dim : '';
  });
  // Labels of some columns only would leave the others out.
  return { ...output, dims: seenDims, labels: first.at(-1) === labels?.length ? labels : undefined };
}
