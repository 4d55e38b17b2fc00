import { madeCompany, type Rows } from './company';
import { agree, typicalOf } from './values/compare';
import { splitRows } from './values/decode';
import { copyOf, rowsOf, type Shape, stack, type Tensor } from './values/tensor';

/** Rows whose shared runs must have agreed with runs alone before one is believed unchecked. */
const enoughRows = 1000;
/** Seconds of checks after which fewer will do: so slow a model would be on probation for minutes. */
const enoughSeconds = 4;
const fewRows = 64;
/** Runs of company made from real rows, besides those made because all rows of a run were equal. */
const companies = 4;
/** Milliseconds that a made-up company may take when its rows are run alone. */
const companyTime = 100;
/** Later, one request of one shared run in so many is run alone as well. */
const rarely = 100;
/** Answers that change with the size of a run alone, as by rounding at a tie, before sharing ends. */
const fewTies = 5;

/** The verdict on a shared run: the answers by request, of its own run where there was one; or why rows depend. */
type Checked = { answers: (Tensor[] | Error)[] } | { dependent: string };

/**
 * Whether rows of different requests may share a run: nothing that a model states can tell, so requests of shared runs
 * are checked by running each alone as well, all of them at first, some for ever. A dependence that shows ends sharing.
 */
export class Independence {
  private agreed = 0;
  private seconds = 0;
  private companiesLeft = companies;
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
  get onProbation(): boolean {
    const { agreed, seconds } = this;
    const enough = agreed >= enoughRows || (seconds >= enoughSeconds && agreed >= fewRows);
    return !enough || this.companiesLeft > 0 || this.largest < Math.min(this.maxBatch, 2);
  }

  /** Checks what a shared run of several requests gave, whose feeds these are. */
  async check(requests: readonly Rows[], outputs: readonly Tensor[]): Promise<Checked> {
    const together = splitRows(
      outputs,
      requests.map(([{ shape }]) => shape[0]),
    );
    const rows = outputs[0].shape[0];
    const wasOnProbation = this.onProbation;
    const odd = requests.map((feeds) => this.isNew(feeds));
    const all = wasOnProbation || rows > this.largest;
    const chance = wasOnProbation ? 1 : this.laterChance();
    const lucky = Math.random() < chance ? Math.floor(Math.random() * requests.length) : -1;
    let typical: number[] | undefined;
    const answers: (Tensor[] | Error)[] = [...together];
    let failed = false;
    for (let i = 0; i < requests.length; i++) {
      if (!all && !odd[i] && i !== lucky) continue;
      typical ??= outputs.map(typicalOf);
      const alone = await this.alone(requests[i]);
      answers[i] = alone;
      // Where the request fails alone, the shared run should have failed.
      if (alone instanceof Error) failed = true;
      else if (!agreeAll(alone, together[i], typical)) {
        const reason = await this.whyDifferent(requests[i], together[i], rows, typical);
        if (reason) return { dependent: reason };
      }
    }
    if (all && !failed) {
      this.largest = Math.max(this.largest, rows);
      const counts = this.counts(requests);
      if (counts) this.agreed += rows;
      if (wasOnProbation && (this.companiesLeft > 0 || !counts)) {
        const reason = await this.keepCompany(requests[Math.floor(Math.random() * requests.length)]);
        if (reason) return { dependent: reason };
      }
    }
    return { answers };
  }

  /** How likely a later run is checked: nearly always at first, unless checks have taken long already. */
  private laterChance(): number {
    this.sharedRuns++;
    return this.seconds > enoughSeconds
      ? 1 / rarely
      : Math.max(1 / rarely, Math.min(1, enoughRows / this.sharedRuns));
  }

  /** Runs a request by itself. */
  private async alone(feeds: Rows): Promise<Tensor[] | Error> {
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

  /** Whether a checked run is evidence: it holds two different rows, and repeats none that counted. */
  private counts(requests: readonly Rows[]): boolean {
    const keys = requests.flatMap((feeds) => rowKeys(feeds));
    if (new Set(keys).size < 2) return false;
    const key = keys.join('\n').slice(0, 10_000);
    if (this.counted.has(key)) return false;
    if (this.onProbation) this.counted.add(key);
    else this.counted.clear();
    return true;
  }

  /** Checks a run of rows made from a real one. Gives the reason where they depend on each other. */
  private async keepCompany(feeds: Rows): Promise<string | undefined> {
    const start = performance.now();
    const row = feeds.map((tensor) => rowsOf(tensor, 0, 1));
    if ((await this.alone(row)) instanceof Error) return undefined;
    const ms = Math.max(0.01, performance.now() - start);
    const rows = Math.max(2, Math.min(this.maxBatch, Math.floor(companyTime / ms)));
    // One that the model does not take proves nothing, but gentler company may do.
    for (const gentle of [false, true]) {
      const company = madeCompany(row, rows, gentle);
      const reason = await this.compareCompany(company).catch(() => 'failed' as const);
      if (reason === 'failed') continue;
      if (reason === undefined) {
        this.agreed += rows;
        this.largest = Math.max(this.largest, rows);
      }
      this.companiesLeft--;
      return reason;
    }
    this.companiesLeft--;
    return undefined;
  }

  private async compareCompany(company: readonly Rows[]): Promise<string | undefined> {
    const outputs = await this.run(company[0].map((_, i) => stack(company.map((row) => row[i]))));
    const together = splitRows(
      outputs,
      company.map(() => 1),
    );
    const typical = outputs.map(typicalOf);
    for (const [i, row] of company.entries()) {
      const alone = await this.alone(row);
      if (alone instanceof Error) throw alone;
      if (agreeAll(alone, together[i], typical)) continue;
      const reason = await this.whyDifferent(row, together[i], company.length, typical);
      if (reason) return reason;
    }
    return undefined;
  }

  /**
   * Why an answer differs from the one given alone, or undefined where only the size of the run mattered: then copies of
   * the request, run together, give what it was given in company. That is rounding, unless it happens often.
   */
  private async whyDifferent(
    feeds: Rows,
    inCompany: readonly Tensor[],
    rows: number,
    typical: readonly number[],
  ): Promise<string | undefined> {
    const own = feeds[0].shape[0];
    const copies = Math.max(2, Math.round(rows / own));
    const counts = Array<number>(copies).fill(own);
    const outputs = await this.run(feeds.map((tensor) => stack(counts.map(() => tensor)))).catch(
      () => undefined,
    );
    const depends = outputs
      ? !splitRows(outputs, counts).every((copy) => agreeAll(copy, inCompany, typical))
      : true;
    if (depends) return 'a row had another answer in company than alone';
    this.ties++;
    return this.ties >= fewTies && this.ties > this.checks / 200
      ? 'answers change with the size of a run'
      : undefined;
  }

  /** Whether a request holds what none before it did; notes what it holds. */
  private isNew(feeds: Rows): boolean {
    let isNew = false;
    feeds.forEach((tensor, i) => {
      this.novelty[i] ??= new Novelty();
      if (this.novelty[i].note(tensor)) isNew = true;
    });
    return isNew;
  }
}

function agreeAll(ones: readonly Tensor[], others: readonly Tensor[], typical: readonly number[]): boolean {
  return ones.every((tensor, o) => agree(tensor, others[o], typical[o]));
}

/** What tells rows apart. */
function rowKeys(feeds: Rows): string[] {
  return Array.from({ length: feeds[0].shape[0] }, (_, row) =>
    feeds
      .map((tensor) =>
        rowsOf(tensor, row, row + 1)
          .data.slice(0, 32)
          .join(),
      )
      .join('|'),
  );
}

/** The most different whole numbers that are remembered. */
const mostIds = 10_000;
const mostShapes = 1000;

/** What has been seen of one input's values. */
class Novelty {
  private min = Number.POSITIVE_INFINITY;
  private max = Number.NEGATIVE_INFINITY;
  private sawNaN = false;
  private readonly ids = new Set<number>();
  private readonly shapes = new Set<string>();

  /** Notes a tensor's values, texts by their length and float16 by its bits; true where one lies beyond what was seen. */
  note({ type, shape, data }: Tensor): boolean {
    let isNew = this.noteShape(shape);
    const areIds = !Array.isArray(data) && !type.startsWith('float');
    for (let i = 0; i < data.length; i++) {
      const stored = data[i];
      const value =
        typeof stored === 'number' ? stored : typeof stored === 'string' ? stored.length : Number(stored);
      // So that a NaN is looked at, too.
      if (!(value >= this.min && value <= this.max) && this.noteBeyond(value)) isNew = true;
      if (areIds && this.ids.size < mostIds && !this.ids.has(value)) {
        this.ids.add(value);
        isNew = true;
      }
    }
    return isNew;
  }

  private noteBeyond(value: number): boolean {
    if (Number.isNaN(value)) {
      const isFirst = !this.sawNaN;
      this.sawNaN = true;
      return isFirst;
    }
    this.min = Math.min(this.min, value);
    this.max = Math.max(this.max, value);
    return true;
  }

  private noteShape([, ...inner]: Shape): boolean {
    const shape = inner.join();
    if (this.shapes.has(shape) || this.shapes.size >= mostShapes) return false;
    this.shapes.add(shape);
    return true;
  }
}
