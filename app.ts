import cluster from 'node:cluster';
import type { AddressInfo } from 'node:net';
import express, { type Express } from 'express';
import { BootError, messageOf } from './model/errors';
import { loadModel, type Model } from './model/model';
import { wrappers } from './routes/bodies';
import { checkHeaders, notFound, sendError } from './routes/errors';
import { flushLog, outliveStdout, requestLog } from './routes/log';
import { type Options, readOptions } from './routes/options';
import { predictRoutes } from './routes/predict';
import { createHttpServer } from './routes/server';
import { describeUsage, type Usage } from './routes/usage';

/** Most milliseconds from the signal to the end: hosts kill what lives on for 30 s. */
const gracePeriod = 25_000;
/** Bytes of tensors that may wait in a process. */
const maxBytes = 64 * 2 ** 20;

export function createApp(model: Model, options: Options, usage = describeUsage(model)): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.disable('query parser');
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.use(requestLog(options.logFormat));
  app.use(checkHeaders(options));
  predictRoutes(app, model, options);
  app.use(notFound);
  app.use(sendError(options, usage.hint));
  return app;
}

export function openModel(options: Options): Promise<Model> {
  return loadModel(options.modelPath, { ...options, name: options.modelName, maxBytes });
}

/** Loads the model, listens, and ends well on a signal. Throws BootError where it cannot serve. */
async function serve(options: Options): Promise<void> {
  const model = await openModel(options);
  const usage = describeUsage(model);
  const app = createApp(model, options, usage);
  const { server, drain } = createHttpServer(app, options);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, options)));
    server.listen(options.port, options.host, resolve);
  });
  onSignal(
    () => drain().then(() => leave(0, model)),
    () => leave(1, model),
  );
  if ((cluster.worker?.id ?? 1) === 1) {
    await logBoot(model, usage, options, (server.address() as AddressInfo).port);
  }
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

async function logBoot(model: Model, usage: Usage, options: Options, port: number): Promise<void> {
  const hidden = model.inputs.filter(({ name }) => wrappers.includes(name));
  const notes = [
    ...model.notes,
    ...hidden.map(({ name }) => `the input ${name} is to be wrapped: {"instances": [{"${name}": …}]}`),
  ];
  const url = `http://localhost:${port}/predict`;
  console.log(
    [
      `${model.name} (${model.kind}) on ${url}, ${options.processes} × ${options.threads} threads`,
      `  takes ${usage.inputs || 'nothing'}`,
      `  gives ${usage.outputs}`,
      ...notes.map((note) => `  note: ${note}`),
      `Try: ${usage.curl(url, options.apiKeys.length)}`,
    ].join('\n'),
  );
  if (model.kind === 'batched' && options.maxBatch > 1 && !(await model.sharing)) {
    console.log(
      '  note: each request has a run of its own: rows are not proven independent, or gain nothing from company',
    );
  }
}

/** Starts so many workers on one port, replaces those that die, and ends when all have ended. */
function supervise(options: Options): void {
  let ending = false;
  let exitCode = 0;
  let everListened = false;
  let failedBoots = 0;
  const listening = new Set<number>();
  const alive = () =>
    Object.values(cluster.workers ?? {}).flatMap((worker) => (worker && !worker.isDead() ? [worker] : []));
  const end = () => {
    ending = true;
    for (const worker of alive()) worker.process.kill('SIGTERM');
    if (alive().length === 0) process.exit(exitCode);
  };
  const fail = (message: string) => {
    if (!ending) console.error(message);
    exitCode = 1;
    end();
  };
  cluster.on('listening', ({ id }) => {
    everListened = true;
    failedBoots = 0;
    listening.add(id);
  });
  cluster.on('message', (_worker, message: { bootError?: string }) => {
    if (message.bootError === undefined) return;
    if (everListened) console.error(message.bootError);
    else fail(message.bootError);
  });
  cluster.on('exit', (worker, code, signal) => {
    const booted = listening.delete(worker.id);
    if (ending) {
      if (booted && code !== 0) exitCode = 1;
      if (alive().length === 0) process.exit(exitCode);
      return;
    }
    console.error(`worker ${worker.process.pid} died (${signal ?? `exit code ${code}`})`);
    if (!booted && ++failedBoots >= 3) return fail('The workers die before they can listen.');
    cluster.fork();
  });
  onSignal(end, () => {
    for (const worker of alive()) worker.process.kill('SIGKILL');
    process.exit(1);
  });
  // In turn, a connection that was handed to a worker which dies would hang: nobody accepts it any more.
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  for (let i = 0; i < options.processes; i++) cluster.fork();
}

/** Calls `end` at the first SIGTERM or SIGINT, and `giveUp` where that has not ended the process in time. */
function onSignal(end: () => void, giveUp: () => void): void {
  let called = false;
  const once = () => {
    if (called) return;
    called = true;
    setTimeout(giveUp, gracePeriod);
    end();
  };
  process.on('SIGTERM', once).on('SIGINT', once);
}

/**
 * Ends the process. process.exit() waits for threads, and a run cannot be stopped, so during one another program takes
 * the process' place; before Node.js 22.15 nothing but a signal to itself ends it.
 */
function leave(code: number, model: Model): void {
  flushLog();
  if (!model.isBusy()) process.exit(code);
  if (process.execve) process.execve('/bin/sh', ['sh', '-c', `exit ${code}`], process.env);
  process.kill(process.pid, 'SIGKILL');
}

async function main(): Promise<void> {
  outliveStdout();
  try {
    const options = readOptions(process.env, process.argv.slice(2));
    if (options.processes > 1 && cluster.isPrimary) supervise(options);
    else await serve(options);
  } catch (error) {
    const message = messageOf(error);
    if (!process.send) console.error(message);
    else await new Promise((sent) => process.send?.({ bootError: message }, undefined, undefined, sent));
    process.exit(1);
  }
}

if (require.main === module) void main();
