import { readFileSync } from 'node:fs';
import path from 'node:path';
import { onServerCore } from './cores.js';
import { findPython, runPython } from './python.js';
import type { ServerCommand } from './server-process.js';

export interface Entrant {
  name: string;
  server: ServerCommand;
  body: string;
}

export interface Scenario {
  name: string;
  connections: number[];
  entrants: Entrant[];
}

export const root = path.resolve(__dirname, '../../..');
export const bundledModel = path.join(root, 'model/model.onnx');
export const serverScript = path.join(root, 'dist/app.js');
const [, serverFlags = ''] =
  /^web: node (.*) dist\/app\.js$/m.exec(readFileSync(path.join(root, 'Procfile'), 'utf8')) ?? [];
export const ours = 'this server';
export const oursBytes = 'this server, b64';
export const handWritten = 'node:http';

/** The bundled model behind this server and all peers whose packages are there. */
export function bundled(folder: string): Scenario {
  const body = JSON.stringify({ sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 });
  const entrants = [
    ...nodeServers(bundledModel, body),
    ...pythonServer(folder, body, 'Flask', ['flask', 'gunicorn'], (port) => [
      ...['gunicorn', '--workers=1', '--worker-class=sync', `--bind=127.0.0.1:${port}`, 'flask_app:app'],
    ]),
    ...pythonServer(folder, body, 'FastAPI', ['fastapi', 'uvicorn', 'uvloop', 'httptools'], (port) => [
      ...['uvicorn', '--workers=1', '--loop=uvloop', '--http=httptools', '--no-access-log'],
      ...[`--port=${port}`, 'fastapi_app:app'],
    ]),
  ];
  return { name: 'bundled', connections: [1, 32, 256], entrants };
}

/** An MLP, by its layers' sizes, of which `folder` holds the model. */
export function mlp(folder: string, layers: string): Scenario {
  const body = JSON.stringify({ x: [floats(Number.parseInt(layers, 10))] });
  const entrants = nodeServers(path.join(folder, `mlp-${layers}.onnx`), body);
  return { name: `MLP ${layers}`, connections: [1, 32, 256], entrants };
}

/** The CNN of `folder`, over images as nested JSON and, on this server, as bytes. */
export function cnn(folder: string): Scenario {
  const shape = [1, 3, 224, 224];
  const pixels = floats(3 * 224 * 224);
  const json = JSON.stringify({ x: [chunks(chunks(pixels, 224), 224)] });
  const b64 = Buffer.from(new Float32Array(pixels).buffer).toString('base64');
  const entrants = nodeServers(path.join(folder, 'cnn-224.onnx'), json);
  const bytes = entrants
    .filter(({ name }) => name === ours)
    .map((entrant) => ({ ...entrant, name: oursBytes, body: JSON.stringify({ x: { b64, shape } }) }));
  return { name: 'CNN 3×224×224', connections: [8], entrants: [...entrants, ...bytes] };
}

/** Makes the models of the MLPs and the CNN; false if no Python here has onnx. */
export function makeModels(folder: string): boolean {
  const python = findPython(['numpy', 'onnx']);
  if (python) runPython(python, path.join(root, 'tests/bench/make_models.py'), folder);
  return python !== undefined;
}

function nodeServers(model: string, body: string): Entrant[] {
  const node = (name: string, ...args: string[]) => ({
    name,
    body,
    server: { command: () => onServerCore([process.execPath, ...args, model]) },
  });
  return [
    node(ours, ...serverFlags.split(' ').filter(Boolean), serverScript),
    node(handWritten, path.join(__dirname, 'peers/node-http.js')),
  ];
}

function pythonServer(
  folder: string,
  body: string,
  name: string,
  modules: string[],
  command: (port: number) => string[],
): Entrant[] {
  const python = findPython([...modules, 'joblib', 'sklearn']);
  if (!python) {
    console.error(`${name} is left out: no Python here has ${modules.join(', ')}, joblib and sklearn`);
    return [];
  }
  const cwd = path.join(root, 'tests/bench/peers');
  const model = path.join(folder, 'iris.joblib');
  runPython(python, path.join(cwd, 'train.py'), model);
  const pinned = (port: number) => onServerCore([python, '-m', ...command(port)]);
  return [{ name, body, server: { command: pinned, cwd, env: { MODEL: model } } }];
}

/** Numbers between -1 and 1 with the 17 or so digits that Python's json.dumps gives a float32. */
function floats(count: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.fround(Math.sin(i * i + 1)));
}

function chunks<T>(values: T[], size: number): T[][] {
  return Array.from({ length: values.length / size }, (_, i) => values.slice(i * size, (i + 1) * size));
}
