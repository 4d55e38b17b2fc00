import { join } from 'node:path';
import request from 'supertest';
import { createApp, openModel } from '../app';
import type { Model } from '../model/model';
import { readOptions } from '../routes/options';

/** The repository's root: tests run compiled, from dist/tests. */
export const root = join(__dirname, '..', '..');

export function modelPath(name: string): string {
  return name === 'model' ? join(root, 'model', 'model.onnx') : join(root, 'tests', 'models', `${name}.onnx`);
}

const opened: Model[] = [];

/** An app that serves one of tests/models, or the bundled one as `model`, under an environment; the log is off. */
export async function serveModel(name: string, env: NodeJS.ProcessEnv = {}) {
  const options = readOptions({ LOG_FORMAT: 'off', ...env }, [modelPath(name)]);
  const model = await openModel(options);
  opened.push(model);
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
