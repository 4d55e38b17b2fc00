import { copyFileSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { onServerCore } from './cores.js';
import type { Request } from './load.js';
import { findPython, runPython } from './python.js';
import type { ServerCommand } from './server-process.js';

export interface Entrant {
  name: string;
  server: ServerCommand;
  /** Sent in turn. */
  requests: Request[];
  /** One body for each path. */
  repeated: Request[];
}

export interface Scenario {
  name: string;
  /** Of the load; each server is also asked by one client alone. */
  connections: number;
  entrants: Entrant[];
}

/** A program that serves the model of its last argument at PORT, as `{ name, command }`. */
export interface Peer {
  name: string;
  command: string;
}

export const root = path.resolve(__dirname, '../../..');
export const bundledModel = path.join(root, 'model/model.onnx');
export const serverScript = path.join(root, 'dist/app.js');
const [, serverFlags = ''] =
  /^web: node (.*) dist\/app\.js$/m.exec(readFileSync(path.join(root, 'Procfile'), 'utf8')) ?? [];

export const ours = 'this server';
export const oursBytes = 'this server, b64';
export const handWritten = 'node:http';

/** Each body of a load is another, as those of clients are. */
const bodies = 64;

/** The bundled model behind this server and all peers. */
export function bundled(folder: string, peers: Peer[]): Scenario {
  const requests = flowers();
  const python = pythonServers(folder, requests);
  const floor = entrant('express, no model', [process.execPath, script('express')], requests);
  return scenario('bundled', 32, [...nodeServers(bundledModel, requests, peers), floor, ...python]);
}

/** An MLP, by its layers' sizes. */
export function mlp(folder: string, peers: Peer[], layers: string): Scenario {
  const requests = predictions((i) => ({ x: [floats(Number.parseInt(layers, 10), i)] }));
  const model = path.join(folder, `mlp-${layers}.onnx`);
  return scenario(`MLP ${layers}`, 32, nodeServers(model, requests, peers));
}

/** A CNN over images as nested JSON and, on this server, as bytes. */
export function cnn(folder: string, peers: Peer[]): Scenario {
  const shape = [1, 3, 224, 224];
  const model = path.join(folder, 'cnn-224.onnx');
  const images = Array.from({ length: bodies }, (_, i) => floats(3 * 224 * 224, i));
  const asJson = predictions((i) => ({ x: [chunks(chunks(images[i], 224), 224)] }));
  const asBytes = predictions((i) => {
    return { x: { b64: Buffer.from(new Float32Array(images[i]).buffer).toString('base64'), shape } };
  });
  const bytes = entrant(oursBytes, ourCommand(model), asBytes);
  return scenario('CNN 3×224×224', 8, [...nodeServers(model, asJson, peers), bytes]);
}

/** What a line of log for each request costs. */
export function log(): Scenario {
  const requests = flowers();
  const off = entrant('LOG_FORMAT=off', ourCommand(bundledModel), requests, { LOG_FORMAT: 'off' });
  return scenario('log', 32, [entrant(ours, ourCommand(bundledModel), requests), off]);
}

/** What a second process on the same core costs. */
export function processes(): Scenario {
  const requests = flowers();
  const two = entrant('WEB_CONCURRENCY=2', ourCommand(bundledModel), requests, { WEB_CONCURRENCY: '2' });
  return scenario('processes', 32, [entrant(ours, ourCommand(bundledModel), requests), two]);
}

/** What a second model costs, both being asked. */
export function models(folder: string): Scenario {
  const requests = flowers();
  const names = ['a', 'b'];
  const files = names.map((name) => path.join(folder, `${name}.onnx`));
  for (const file of files) copyFileSync(bundledModel, file);
  const spread = requests.map(({ body }, i) => ({ path: `/predict/${names[i % 2]}`, body }));
  const two = entrant('two models', ourCommand(...files), spread);
  return scenario('models', 32, [entrant(ours, ourCommand(bundledModel), requests), two]);
}

/** Makes the models of the MLPs and the CNN; false without Python's packages. */
export function makeModels(folder: string): boolean {
  const python = findPython();
  if (python) runPython(python, path.join(root, 'tests/bench/make_models.py'), folder);
  return python !== undefined;
}

function scenario(name: string, connections: number, entrants: Entrant[]): Scenario {
  return { name, connections, entrants };
}

function entrant(
  name: string,
  command: string[] | ((port: number) => string[]),
  requests: Request[],
  env?: Record<string, string>,
  cwd?: string,
): Entrant {
  const words = (port: number) => onServerCore(typeof command === 'function' ? command(port) : command);
  const [{ body }] = requests;
  const repeated = [...new Set(requests.map((request) => request.path))].map((path) => ({ path, body }));
  return { name, server: { command: words, cwd, env }, requests, repeated };
}

function nodeServers(model: string, requests: Request[], peers: Peer[]): Entrant[] {
  return [
    entrant(ours, ourCommand(model), requests),
    entrant(handWritten, [process.execPath, script('node-http'), model], requests),
    ...peers.map(({ name, command }) => entrant(name, [...command.split(' '), model], requests)),
  ];
}

function ourCommand(...models: string[]): string[] {
  return [process.execPath, ...serverFlags.split(' ').filter(Boolean), serverScript, ...models];
}

function script(peer: string): string {
  return path.join(__dirname, 'peers', `${peer}.js`);
}

function pythonServers(folder: string, requests: Request[]): Entrant[] {
  const python = findPython();
  if (!python) return [];
  const cwd = path.join(root, 'tests/bench/peers');
  const env = { MODEL: path.join(folder, 'iris.joblib'), ONNX_MODEL: bundledModel };
  runPython(python, path.join(cwd, 'train.py'), env.MODEL);
  const server = (name: string, command: (port: number) => string[]) =>
    entrant(name, (port) => [python, ...command(port)], requests, env, cwd);
  const uvicorn = (app: string) => (port: number) => [
    ...['-m', 'uvicorn', '--workers=1', '--loop=uvloop', '--http=httptools', '--no-access-log'],
    ...[`--port=${port}`, app],
  ];
  return [
    server('Flask', (port) => [
      ...['-m', 'gunicorn', '--workers=1', '--worker-class=sync', `--bind=127.0.0.1:${port}`],
      'flask_app:app',
    ]),
    server('FastAPI', uvicorn('fastapi_app:app')),
    server('FastAPI, onnxruntime', uvicorn('fastapi_onnx_app:app')),
    server('LitServe', () => ['litserve_app.py']),
  ];
}

/** Measurements of flowers, with one decimal as in the data set. */
function flowers(): Request[] {
  const size = (from: number, steps: number) => (from + steps) / 10;
  return predictions((i) => ({
    sepal_length: size(43, (i * 7) % 37),
    sepal_width: size(20, (i * 5) % 25),
    petal_length: size(10, (i * 11) % 60),
    petal_width: size(1, (i * 3) % 25),
  }));
}

function predictions(bodyOf: (i: number) => object): Request[] {
  return Array.from({ length: bodies }, (_, i) => ({ path: '/predict', body: JSON.stringify(bodyOf(i)) }));
}

/** Numbers between -1 and 1 with the 17 or so digits that Python's json.dumps gives a float32. */
function floats(count: number, seed: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.fround(Math.sin(i * i + 1 + seed)));
}

function chunks<T>(values: T[], size: number): T[][] {
  return Array.from({ length: values.length / size }, (_, i) => values.slice(i * size, (i + 1) * size));
}
