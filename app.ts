#!/usr/bin/env node
import cluster from 'node:cluster';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express, { type Express } from 'express';
import { BootError, messageOf } from './model/errors';
import { loadModel, type Model } from './model/model';
import { checkModelNames, loadModels } from './model/models';
import { checkFeatureNames } from './routes/dialects/names';
import { createGuard } from './routes/http/admission';
import { bootLog } from './routes/http/boot-log';
import { readCommandLine } from './routes/http/command-line';
import { crossOrigin } from './routes/http/cross-origin';
import { endOnSignal, killRunsOnExit, killStuckRuns } from './routes/http/end';
import { notFound, sendError } from './routes/http/errors';
import { formatLines } from './routes/http/lines';
import { outliveStdout, requestLog } from './routes/http/log';
import { Metrics, shareMetrics } from './routes/http/metrics';
import { defaults, type Options, readOptions } from './routes/http/options';
import { createHttpServer } from './routes/http/server';
import { report, supervise } from './routes/http/workers';
import { predictRoutes } from './routes/predict';

export { loadModel, type Model };

/** What an app needs to know beside its models. */
export type AppOptions = Pick<
  Options,
  'apiKeys' | 'bodyLimit' | 'maxQueue' | 'timeout' | 'logFormat' | 'corsOrigins'
>;

/** The app around one model or several, of which `/predict` asks the first. Throws BootError for options that make no sense. */
export function createApp(models: Model | readonly Model[], options: Partial<AppOptions> = {}): Express {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const settings: Options = { ...defaults, ...Object.fromEntries(given) };
  const all = [models].flat();
  checkModelNames(all);
  for (const { signature } of all) checkFeatureNames(signature);
  const [model] = all;
  const app = express();
  app.disable('x-powered-by').disable('etag');
  app.enable('case sensitive routing').enable('strict routing');
  const metrics = new Metrics(all);
  const { bodyLimit, timeout, logFormat } = settings;
  app.locals = { ...app.locals, model, metrics, bodyLimit, timeout, logFormat };
  const guard = createGuard(settings, all);
  app.use(requestLog(settings));
  app.use(metrics.measure, ...crossOrigin(settings.corsOrigins));
  predictRoutes(app, all, settings, guard);
  // Routes of your own go here.
  app.use(notFound);
  app.use(sendError);
  return app;
}

/** Loads the models, listens, and ends well on a signal. Throws BootError where it cannot serve. */
async function serve(options: Options): Promise<void> {
  const log = (line: string) => console.log(formatLines(options, line));
  // A model that crashes the runtime leaves nobody to say so; of a worker the primary does.
  if (!cluster.isWorker) log(`Loading ${options.modelPaths.join(', ')}`);
  const loaded = await loadModels(options.modelPaths, { ...options, name: options.modelName });
  // Code before or after a model, such as a computed column, goes around it here: `loaded.map(withRatio)` in README.md.
  // One that takes other names than the model says so in its `signature`.
  const models = loaded;
  const app = createApp(models, options);
  shareMetrics(app.locals.metrics);
  const { server, drain } = createHttpServer(app, options);
  server.listen(options.port, options.host);
  await once(server, 'listening').catch((error) => {
    throw listenError(error, options);
  });
  killRunsOnExit(models);
  endOnSignal(drain, models, options);
  killStuckRuns(app, drain, models, options);
  const { port } = server.address() as AddressInfo;
  await report({ bootLog: bootLog(models, options, port) }, options);
}

function listenError(error: NodeJS.ErrnoException, { port, host }: Options): BootError {
  const reasons: Record<string, string> = {
    EADDRINUSE: `port ${port} is taken: set PORT to another, or stop what listens there.`,
    EACCES: `port ${port} is not allowed to this user: set PORT to one above 1023.`,
  };
  return new BootError(
    reasons[error.code ?? ''] ?? `cannot listen on ${host ?? 'any address'}, port ${port}: ${error.code}.`,
  );
}

async function main(): Promise<void> {
  outliveStdout();
  let options: Options | undefined;
  try {
    const asked = readCommandLine(process.argv.slice(2));
    if ('text' in asked) return console.log(asked.text);
    options = readOptions(process.env, asked.paths);
    if (options.processes > 1 && cluster.isPrimary) supervise(options);
    else await serve(options);
  } catch (error) {
    await report({ bootError: messageOf(error) }, options ?? {});
    process.exit(1);
  }
}

if (require.main === module) void main();
