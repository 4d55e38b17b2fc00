import cluster from 'node:cluster';
import { on } from 'node:events';
import type { RequestHandler } from 'express';
import type * as Prom from 'prom-client';
import type { Model } from '../../model/model';
import { HttpError } from './errors';
import { onceClosed, sendText } from './send';
import { isOurWorker } from './workers';

// The index of the package loads OpenTelemetry's API, too: 8 MB of memory, and 18 ms of a start that takes 300.
const AggregatorRegistry: typeof Prom.AggregatorRegistry = require('prom-client/lib/cluster');
const Gauge: typeof Prom.Gauge = require('prom-client/lib/gauge');
const Histogram: typeof Prom.Histogram = require('prom-client/lib/histogram');
const Registry: typeof Prom.Registry = require('prom-client/lib/registry');

// It listens for the primary, which waits for all workers, from now on: its models may take long to load.
if (isOurWorker) new AggregatorRegistry();

const requestBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25];
const runBuckets = [0.0001, 0.00025, 0.0005, ...requestBuckets];
const rowBuckets = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/** Counts and measures requests, by `measure`, and the models' runs; `send` answers with the metrics in Prometheus' text. */
export function createMetrics(models: readonly Model[]): { measure: RequestHandler; send: RequestHandler } {
  const registry = new Registry();
  const registers = [registry];
  const requests = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Seconds from a request to the end of its reply.',
    labelNames: ['method', 'path', 'status'],
    buckets: requestBuckets,
    registers,
  });
  const inFlight = new Gauge({ name: 'http_requests_in_flight', help: 'Requests in flight.', registers });
  const byModel = { labelNames: ['model'], registers };
  const runSeconds = new Histogram({
    ...byModel,
    name: 'model_run_seconds',
    help: 'Seconds of a run; their count is the number of runs.',
    buckets: runBuckets,
  });
  const runRows = new Histogram({
    ...byModel,
    name: 'model_run_rows',
    help: 'Rows of a run, of one request or of several that share it.',
    buckets: rowBuckets,
  });
  for (const { name: model, status } of models) {
    runSeconds.zero({ model });
    runRows.zero({ model });
    status.watchers.push((rows, seconds) => {
      runRows.observe({ model }, rows);
      runSeconds.observe({ model }, seconds);
    });
  }
  const measure: RequestHandler = (req, res, next) => {
    inFlight.inc();
    onceClosed(res, () => {
      inFlight.dec();
      // As many labels as the app has routes, and Node.js' parser methods: without a route, a path may be anything.
      const path = String(req.route?.path ?? 'none');
      // 499 is what nginx calls a client that disconnected.
      const status = res.headersSent ? res.statusCode : 499;
      const seconds = (performance.now() - res.locals.arrived) / 1000;
      requests.observe({ method: req.method, path, status }, seconds);
    });
    next();
  };
  const readMetrics = isOurWorker ? shareWithPrimary(registry) : () => registry.metrics();
  /** For all who ask meanwhile: a client may ask a thousand times at once, and read nothing. */
  let text: Promise<string> | undefined;
  const send: RequestHandler = async (_req, res) => {
    if (!registry.getSingleMetric('process_cpu_seconds_total')) collectDefaults(registry);
    text ??= readMetrics().finally(() => {
      text = undefined;
    });
    sendText(res, 200, registry.contentType, await text);
  };
  return { measure, send };
}

/** Adds the default metrics, of the process; not before they are asked for, since their modules are large. */
function collectDefaults(register: Prom.Registry): void {
  const { collectDefaultMetrics }: typeof Prom = require('prom-client');
  collectDefaultMetrics({ register });
}

/** In a worker: reports its metrics to the primary, and gives what asks the primary for those of all workers. */
function shareWithPrimary(registry: Prom.Registry): () => Promise<string> {
  collectDefaults(registry);
  AggregatorRegistry.setRegistries(registry);
  return async () => {
    process.send?.({ scrape: '' });
    for await (const [{ scrape }] of on(process, 'message')) {
      if (scrape) return scrape;
      if (scrape === '') break;
    }
    throw new HttpError(503, 'not all workers reported their metrics, try again later');
  };
}

/** In the primary: answers workers that ask for the metrics of all of them, with none where one did not report. */
export function answerScrapes(): void {
  const workers = new AggregatorRegistry();
  cluster.on('message', async (worker, { scrape }: { scrape?: string }) => {
    if (scrape === undefined) return;
    // A worker that has died meanwhile needs no answer.
    worker.send({ scrape: await workers.clusterMetrics().catch(() => '') }, () => {});
  });
}
