#!/usr/bin/env node
import cluster from 'node:cluster';
import cors from 'cors';
import express, { type Express } from 'express';
import { messageOf } from './model/errors';
import { loadModel, type Model } from './model/model';
import { checkModelNames, loadModels } from './model/models';
import { createAdmission } from './routes/http/admission';
import { readBody } from './routes/http/body';
import { bootLog } from './routes/http/boot-log';
import { readCommandLine } from './routes/http/command-line';
import { notFound, sendError } from './routes/http/errors';
import { needsKey } from './routes/http/key';
import { requestLog } from './routes/http/log';
import { logInfo, logProblem, outliveStdout } from './routes/http/log-lines';
import { answerScrapes, createMetrics } from './routes/http/metrics';
import { defaults, type Options, readOptions } from './routes/http/options';
import { createHttpServer, listen } from './routes/http/server';
import { endWell, onSignal } from './routes/http/shutdown';
import { isOurWorker, Workers } from './routes/http/workers';
import { predictRoutes } from './routes/predict';

export { loadModel, type Model };

/** The app around one model or several, of which `/predict` asks the first. Throws BootError for options that make no sense. */
export function createApp(models: Model | readonly Model[], options: Partial<Options> = {}): Express {
  const defined = Object.entries(options).filter(([, value]) => value !== undefined);
  const settings: Options = { ...defaults, ...Object.fromEntries(defined) };
  const served = [models].flat();
  checkModelNames(served);
  const [model] = served;
  const { apiKeys, bodyLimit, corsOrigins, logFormat, timeout } = settings;
  const app = express();
  app.disable('x-powered-by').disable('etag');
  app.enable('case sensitive routing').enable('strict routing');
  app.locals = { ...app.locals, model, logFormat, timeout };
  const metrics = createMetrics(served);
  const guard = needsKey(apiKeys, createAdmission(settings, served));
  // First: it notes when a request came, which the metrics need.
  app.use(requestLog(logFormat));
  app.use(metrics.measure);
  const origin = corsOrigins.includes('*') ? '*' : [...corsOrigins];
  if (corsOrigins.length > 0) app.use(cors({ origin, exposedHeaders: ['X-Request-Id'] }));
  const sendMetrics = needsKey(apiKeys, metrics.send);
  predictRoutes(app, served, { guarded: [guard, readBody(bodyLimit)], metrics: [sendMetrics] });
  // Routes of your own go here.
  app.use(notFound);
  app.use(sendError);
  return app;
}

/** Loads the models, listens, and ends well on a signal. Throws BootError where it cannot serve. */
async function startServer(options: Options): Promise<void> {
  // Where a model crashes the runtime, this line is the last; of a worker that crashed, its primary tells.
  if (!isOurWorker) logInfo(options.logFormat, `Loading ${options.modelPaths.join(', ')}`);
  const loaded = await loadModels(options.modelPaths, { ...options, name: options.modelName });
  // Code before or after a model goes around it here, as `loaded.map(withRatio)` in routes/README.md does.
  const models = loaded;
  const app = createApp(models, options);
  const server = createHttpServer(app, options);
  endWell(app, server, models, options);
  const port = await listen(server, options);
  // Of our workers the first says it, for all.
  if (!isOurWorker || cluster.worker?.id === 1) logInfo(options.logFormat, bootLog(models, options, port));
}

async function main(): Promise<void> {
  outliveStdout();
  let options: Options | undefined;
  try {
    const command = readCommandLine();
    if ('text' in command) return console.log(command.text);
    options = readOptions(process.env, command.paths);
    if (options.processes === 1 || cluster.isWorker) return await startServer(options);
    const workers = new Workers(options);
    onSignal(options, () => workers.end());
    answerScrapes();
  } catch (error) {
    logProblem(options?.logFormat, messageOf(error));
    process.exit(1);
  }
}

if (require.main === module) void main();
