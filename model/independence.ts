import { createHash } from 'node:crypto';
import { copies, factors, randomPlace, syntheticRows } from './synthetic';
import { agree, typicalOf } from './values/compare';
import { elementOf } from './values/elements';
import { rowsOf, splitRows, stackFeeds } from './values/rows';
import { copyOf, type Feeds, type Shape, type Tensor } from './values/tensor';

/** Rows whose shared runs must have agreed with runs alone before one is believed unchecked. */
const enoughRows = 1000;
/** Seconds of checks after which fewer will do: so slow a model would be on probation for minutes. */
const enoughSeconds = 4;
const fewRows = 64;
/** Runs of synthetic rows made from real ones, besides those made because all rows of a run were equal. */
const syntheticRuns = 5;
/** Milliseconds that synthetic rows may take when they are run alone. */
const syntheticTime = 100;
/** Later, one request of one shared run in so many is run alone as well. */
const rarely = 100;
/** The part of the time of shared runs that checks of new kinds of rows may take later. */
const affordable = 0.05;
/** Answers that change with the size of a run alone, as by rounding at a tie, before sharing ends: ever, and in one run. */
const fewTies = 5;
const fewTiesAtOnce = 3;

const anotherAnswer = 'a row had another answer beside others than alone';
const otherRows = 'a run of several requests gave another number of rows than it was asked';
const tooManyTies = 'answers change with the size of a run';

/** A shared run that is being checked. */
interface SharedRun {
  readonly requests: readonly Feeds[];
  readonly rows: number;
  /** What it gave each request. */
  readonly together: readonly Tensor[][];
  /** What each request is answered. */
  readonly answers: (Tensor[] | Error)[];
  /** What is usual for each output. */
  readonly typical: readonly number[];
  /** Requests whose answers changed with the size of the run alone. */
  readonly tied: Set<string>;
}

/** The verdict on a shared run: the answers by request, of its own run where there was one; or why rows depend. */
type Checked = { answers: (Tensor[] | Error)[] } | { dependent: string };

/**
 * Whether rows of different requests may share a run: nothing that a model states can tell, so requests of shared runs
 * are checked by running each alone as well, all of them at first, some for ever. A dependence that shows ends sharing.
 */
export class Independence {
  private agreed = 0;
  /** Seconds that checks have taken, and shared runs. */
  private seconds = 0;
  private sharedSeconds = 0;
  private syntheticLeft = syntheticRuns;
  private sharedRuns = 0;
  private checks = 0;
  private ties = 0;
  /** Most rows of a run that was checked. */
  private largest = 0;
  /** The runs that counted, so that none counts twice. */
  private readonly counted = new Set<string>();
  private readonly novelty: Novelty[] = [];

  constructor(
    private readonly run: (feeds: Tensor[]) => Promise<Tensor[]>,
    private readonly maxBatch: number,
  ) {}

  /** Whether each request of a shared run is still run alone, too. */
  private get onProbation(): boolean {
    const { agreed, seconds } = this;
    const enough = agreed >= enoughRows || (seconds >= enoughSeconds && agreed >= fewRows);
    return !enough || this.syntheticLeft > 0;
  }

  /** Checks what a shared run of several requests gave, whose feeds these are, and which took so many seconds. */
  async check(requests: readonly Feeds[], outputs: readonly Tensor[], seconds: number): Promise<Checked> {
    this.sharedSeconds += seconds;
    const counts = requests.map(([{ shape }]) => shape[0]);
    const rows = counts.reduce((sum, count) => sum + count, 0);
    if (outputs.some(({ shape }) => shape[0] !== rows)) return { dependent: otherRows };
    const together = splitRows(outputs, counts);
    // A row of a new kind may change the answers of those beside it.
    const isNew = this.noteAll(requests);
    const inFull = this.onProbation || rows > this.largest || (isNew && this.canAfford);
    if (!inFull && Math.random() >= this.laterChance()) return { answers: together };
    const run = {
      requests,
      rows,
      together,
      answers: [...together],
      typical: outputs.map(typicalOf),
      tied: new Set<string>(),
    };
    const dependent = await (inFull ? this.checkAll(run) : this.checkOne(run));
    return dependent === undefined ? { answers: run.answers } : { dependent };
  }

  /** Checks each request of a run and, on probation, rows made from one. Gives the reason where rows depend on each other. */
  private async checkAll(run: SharedRun): Promise<string | undefined> {
    const wasOnProbation = this.onProbation;
    const { requests, rows, answers } = run;
    for (const i of requests.keys()) {
      const reason = await this.verify(run, i);
      if (reason) return reason;
    }
    // Where a request fails alone, the shared run should have failed.
    if (answers.some((answer) => answer instanceof Error)) return undefined;
    this.largest = Math.max(this.largest, rows);
    const isEvidence = this.countAsEvidence(requests);
    if (isEvidence) this.agreed += rows;
    if (!wasOnProbation || (this.syntheticLeft <= 0 && isEvidence)) return undefined;
    return this.checkSynthetic(requests[randomPlace(requests.length)]);
  }

  /** Checks one request of a run and, after a tie, those beside it. Gives the reason where rows depend on each other. */
  private async checkOne(run: SharedRun): Promise<string | undefined> {
    const sampled = randomPlace(run.requests.length);
    let reason = await this.verify(run, sampled);
    for (const i of run.requests.keys()) {
      if (reason || run.tied.size === 0) break;
      if (i !== sampled) reason = await this.verify(run, i);
    }
    return reason;
  }

  /** Runs a request of a shared run alone, which it is then answered by. Gives the reason where its rows depend on others. */
  private async verify(run: SharedRun, i: number): Promise<string | undefined> {
    const { requests, rows, together, answers, typical, tied } = run;
    const alone = await this.alone(requests[i]);
    answers[i] = alone;
    if (alone instanceof Error || agreeAll(alone, together[i], typical)) return undefined;
    if (await this.depends(requests[i], together[i], rows, typical)) return anotherAnswer;
    tied.add(rowKeys(requests[i]).join());
    return tied.size >= fewTiesAtOnce || this.tiesOften() ? tooManyTies : undefined;
  }

  /** Whether checks of whole runs are cheap still. */
  private get canAfford(): boolean {
    return this.seconds < enoughSeconds + affordable * this.sharedSeconds;
  }

  /** How likely a later run is checked: nearly always at first, unless checks have taken long already. */
  private laterChance(): number {
    this.sharedRuns++;
    return this.seconds > enoughSeconds
      ? 1 / rarely
      : Math.max(1 / rarely, Math.min(1, enoughRows / this.sharedRuns));
  }

  /** Runs a request by itself. */
  private async alone(feeds: Feeds): Promise<Tensor[] | Error> {
    const start = performance.now();
    this.checks++;
    try {
      return await this.run(feeds.map(copyOf));
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    } finally {
      this.seconds += (performance.now() - start) / 1000;
    }
  }

  /** Counts a checked run as evidence, if it is: it holds two different rows, and repeats none that counted. */
  private countAsEvidence(requests: readonly Feeds[]): boolean {
    const keys = requests.flatMap((feeds) => rowKeys(feeds));
    if (new Set(keys).size < 2) return false;
    const key = keys.join();
    if (this.counted.has(key)) return false;
    if (this.onProbation) this.counted.add(key);
    else this.counted.clear();
    return true;
  }

  /** Checks a run of rows made from a real one. Gives the reason where they depend on each other. */
  private async checkSynthetic(feeds: Feeds): Promise<string | undefined> {
    const start = performance.now();
    const row = feeds.map((tensor) => rowsOf(tensor, 0, 1));
    if ((await this.alone(row)) instanceof Error) return undefined;
    const ms = Math.max(0.01, performance.now() - start);
    const rows = Math.max(2, Math.min(this.maxBatch, Math.floor(syntheticTime / ms)));
    const number = this.syntheticLeft--;
    if (number === 1) return this.checkRows(copies(row, rows)).catch(() => undefined);
    for (const factor of factors) {
      try {
        const reason = await this.checkRows(syntheticRows(row, rows, factor));
        if (reason === undefined) {
          this.agreed += rows;
          this.largest = Math.max(this.largest, rows);
        }
        return reason;
      } catch {
        // Rows that the model does not take prove nothing, but gentler ones may.
      }
    }
    return undefined;
  }

  private async checkRows(synthetic: readonly Feeds[]): Promise<string | undefined> {
    const outputs = await this.run(stackFeeds(synthetic));
    const together = splitRows(
      outputs,
      synthetic.map(() => 1),
    );
    const typical = outputs.map(typicalOf);
    for (const [i, row] of synthetic.entries()) {
      const alone = await this.alone(row);
      if (alone instanceof Error) throw alone;
      if (agreeAll(alone, together[i], typical)) continue;
      if (await this.depends(row, together[i], synthetic.length, typical)) return anotherAnswer;
      if (this.tiesOften()) return tooManyTies;
    }
    return undefined;
  }

  /**
   * Whether an answer differs from the one given alone because of its neighbours, and not of the size of the run alone: then
   * copies of the request, run together, give what it was given beside others. That is rounding, unless it happens often.
   */
  private async depends(
    feeds: Feeds,
    besideOthers: readonly Tensor[],
    rows: number,
    typical: readonly number[],
  ): Promise<boolean> {
    const own = feeds[0].shape[0];
    const counts = Array<number>(Math.max(2, Math.round(rows / own))).fill(own);
    const outputs = await this.run(stackFeeds(counts.map(() => feeds))).catch(() => undefined);
    return !outputs || !splitRows(outputs, counts).every((copy) => agreeAll(copy, besideOthers, typical));
  }

  /** Counts an answer that changed with the size of its run; true where such are more than rounding makes. */
  private tiesOften(): boolean {
    this.ties++;
    return this.ties >= fewTies && this.ties > this.checks / 200;
  }

  /** Notes what requests hold; true where one holds what none before it did. */
  private noteAll(requests: readonly Feeds[]): boolean {
    let isNew = false;
    for (const feeds of requests) {
      for (let i = 0; i < feeds.length; i++) {
        this.novelty[i] ??= new Novelty();
        if (this.novelty[i].note(feeds[i])) isNew = true;
      }
    }
    return isNew;
  }
}

function agreeAll(ones: readonly Tensor[], others: readonly Tensor[], typical: readonly number[]): boolean {
  return ones.every((tensor, o) => agree(tensor, others[o], typical[o]));
}

/** What tells rows apart: a digest of all their values. */
function rowKeys(feeds: Feeds): string[] {
  return Array.from({ length: feeds[0].shape[0] }, (_, row) => {
    const hash = createHash('sha256');
    for (const tensor of feeds) {
      const { data } = rowsOf(tensor, row, row + 1);
      hash.update(Array.isArray(data) ? JSON.stringify(data) : data);
    }
    return hash.digest('base64');
  });
}

/** The most different whole numbers that are remembered. */
const mostIds = 10_000;
const mostShapes = 1000;
/** The most values of a row whose ranges are told apart. */
const mostColumns = 32;

/** What has been seen of one input's values. */
class Novelty {
  /** The range of each of a row's values or, of many, of all together. */
  private min = new Float64Array();
  private max = new Float64Array();
  private sawNaN = false;
  private readonly ids = new Set<number>();
  private readonly shapes = new Set<string>();

  /** Notes a tensor's values, texts by their length; true where one lies beyond what was seen. */
  note({ type, shape, data }: Tensor): boolean {
    let isNew = this.noteShape(shape);
    const size = data.length / shape[0];
    const ranges = this.min.length;
    if (ranges === 0 || (ranges > 1 && ranges !== size)) this.start(ranges === 0 ? size : 1);
    const { min, max } = this;
    const element = elementOf(type);
    const areIds = type !== 'string' && !element.rounding;
    for (let i = 0; i < data.length; i++) {
      const value = element.number(data, i);
      const column = min.length === 1 ? 0 : i % size;
      // So that a NaN is looked at, too.
      if (!(value >= min[column] && value <= max[column]) && this.noteBeyond(value, column)) isNew = true;
      if (areIds && this.ids.size < mostIds && !this.ids.has(value)) {
        this.ids.add(value);
        isNew = true;
      }
    }
    return isNew;
  }

  private start(columns: number): void {
    const ranges = columns > mostColumns ? 1 : columns;
    this.min = new Float64Array(ranges).fill(Number.POSITIVE_INFINITY);
    this.max = new Float64Array(ranges).fill(Number.NEGATIVE_INFINITY);
  }

  private noteBeyond(value: number, column: number): boolean {
    if (Number.isNaN(value)) {
      const isFirst = !this.sawNaN;
      this.sawNaN = true;
      return isFirst;
    }
    const { min, max } = this;
    min[column] = Math.min(min[column], value);
    max[column] = Math.max(max[column], value);
    return true;
  }

  private noteShape([, ...inner]: Shape): boolean {
    const shape = inner.join();
    if (this.shapes.has(shape) || this.shapes.size >= mostShapes) return false;
    this.shapes.add(shape);
    return true;
  }
}
