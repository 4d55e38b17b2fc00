import cluster from 'node:cluster';
import type { RequestHandler, Response } from 'express';
import type { Model } from '../../model/model';
import { shareWithWorkers } from './gather';
import { type Figure, gauge, histogram, Series } from './histogram';
import { sendText } from './reply';

const requestSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25];
const runSeconds = [0.0001, 0.00025, 0.0005, ...requestSeconds];
const runRows = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/** Methods that have a label of their own. */
const methods = ['GET', 'HEAD', 'POST', 'OPTIONS', 'PUT', 'PATCH', 'DELETE'];

/**
 * Counts and measures requests and runs. It keeps its own numbers, since prom-client's `observe` takes 1 µs, most of it
 * to turn a bucket's bound into a string; the library makes the text.
 */
export class Metrics {
  /** The figures of all processes, where there are others. */
  gather: (() => Promise<object[][]>) | undefined;
  private inFlight = 0;
  /** By path pattern, then by method and status: as many as the app's own routes have, whatever is asked. */
  private readonly requests = new Map<string, Map<number, Series>>();
  private readonly seconds: Series[] = [];
  private readonly rows: Series[] = [];
  private readonly onClose: (this: Response) => void;

  constructor(models: readonly Model[]) {
    const metrics = this;
    // One function for all responses, which it is called with.
    this.onClose = function () {
      metrics.endRequest(this);
    };
    for (const model of models) this.watchRuns(model);
  }

  /** Measures a request. */
  readonly measure: RequestHandler = (_req, res, next) => {
    this.inFlight++;
    res.on('close', this.onClose);
    next();
  };

  /** What all processes have counted, in Prometheus' text. */
  async text(): Promise<string> {
    const { textOfOne, textOfAll } = loadLibrary();
    return this.gather ? textOfAll(await this.gather()) : textOfOne(this.figures());
  }

  /** What this process has counted. */
  figures(): Figure[] {
    const requests = [...this.requests.values()].flatMap((byKey) => [...byKey.values()]);
    return [
      histogram('http_request_duration_seconds', 'Seconds from a request to the end of its reply.', requests),
      gauge('http_requests_in_flight', 'Requests that are not answered yet.', this.inFlight),
      histogram('model_run_seconds', 'Seconds of a run; their count is the number of runs.', this.seconds),
      histogram('model_run_rows', 'Rows of a run, of one request or of several that share it.', this.rows),
    ];
  }

  private endRequest(res: Response): void {
    this.inFlight--;
    const { method, route } = res.req;
    // A client that has gone was told nothing.
    const status = res.headersSent ? res.statusCode : 499;
    // Without a route, a path may be anything.
    this.seriesOf(method, route?.path ?? 'none', status).observe(
      (performance.now() - res.locals.arrived) / 1000,
    );
  }

  private seriesOf(method: string, path: unknown, status: number): Series {
    // Of one's own routes it may be a list or a RegExp.
    const pattern = String(path);
    let byKey = this.requests.get(pattern);
    if (!byKey) {
      byKey = new Map();
      this.requests.set(pattern, byKey);
    }
    const known = methods.indexOf(method);
    const key = status * (methods.length + 1) + known + 1;
    let series = byKey.get(key);
    if (!series) {
      const labels = { method: methods[known] ?? 'other', path: pattern, status: String(status) };
      series = new Series(labels, requestSeconds);
      byKey.set(key, series);
    }
    return series;
  }

  private watchRuns({ name, signature, status }: Model): void {
    const seconds = new Series({ model: name }, runSeconds);
    const rows = new Series({ model: name }, runRows);
    this.seconds.push(seconds);
    this.rows.push(rows);
    // Of other kinds, a run is one instance.
    const isBatched = signature.kind === 'batched';
    status.watchers.push((length, duration) => {
      rows.observe(isBatched ? length : 1);
      seconds.observe(duration);
    });
  }
}

/** Answers with the metrics. */
export const sendMetrics: RequestHandler = async (_req, res) => {
  sendText(res, 200, 'text/plain; version=0.0.4; charset=utf-8', await res.app.locals.metrics.text());
};

/** In a worker: speaks for the others as well. */
export function shareMetrics(metrics: Metrics): void {
  if (!cluster.isWorker) return;
  metrics.gather = shareWithWorkers(async () => [
    ...(await loadLibrary().usualFigures()),
    ...metrics.figures(),
  ]);
}

/** Loaded when first asked, which takes 46 ms: who does not scrape never pays. */
function loadLibrary(): typeof import('./prometheus') {
  return require('./prometheus');
}
