import { join } from 'node:path';
import request from 'supertest';
import { createApp } from '../app';
import type { LoadedModel } from '../model/model';
import { loadModels } from '../model/models';
import { readOptions } from '../routes/http/options';

/** The repository's root: tests run compiled, from dist/tests. */
export const root = join(__dirname, '..', '..');

export function modelPath(name: string): string {
  return name === 'model' ? join(root, 'model', 'model.onnx') : join(root, 'tests', 'models', `${name}.onnx`);
}

const opened: LoadedModel[] = [];

/** The one model of a path, loaded as the server does. */
export async function openModel(path: string, env: NodeJS.ProcessEnv = {}): Promise<LoadedModel> {
  const options = readOptions(env, [path]);
  const [model] = await loadModels(options.modelPaths, { ...options, name: options.modelName });
  opened.push(model);
  return model;
}

/** An app that serves one of tests/models, or the bundled one as `model`, under an environment; the log is off. */
export async function serveModel(name: string, env: NodeJS.ProcessEnv = {}) {
  const options = readOptions({ LOG_FORMAT: 'off', ...env }, [modelPath(name)]);
  const model = await openModel(modelPath(name), env);
  const app = createApp(model, options);
  const agent = request(app);
  return {
    app,
    model,
    agent,
    /** POSTs a body, as it stands where it is a string, and gives the reply. */
    post: (path: string, body: unknown, type = 'application/json') =>
      agent
        .post(path)
        .set('Content-Type', type)
        .send(typeof body === 'string' ? body : JSON.stringify(body)),
  };
}

/** Ends the inference threads of the models that a test file opened. */
export async function closeModels(): Promise<void> {
  await Promise.all(opened.splice(0).map((model) => model.close()));
}
