import type { Express, Request, RequestHandler } from 'express';
import type { Model } from '../model/model';
import { bytesOfColumns } from '../model/values/column';
import type { Dialect } from './dialects/dialect';
import { readForm } from './dialects/forms';
import { inferMetadata, modelStatus, servingMetadata } from './dialects/metadata';
import { flask, mlflow, tensorflow } from './dialects/replies';
import { rethrowInBody } from './dialects/rows';
import { exampleOf, hintFor } from './dialects/usage';
import { takeBody } from './http/body';
import { HttpError } from './http/errors';
import { send, sendJson, sendText } from './http/send';

/** Answers a prediction asked in any form: an infer request as its protocol says, any other in the route's dialect. */
const answer =
  (write: Dialect): RequestHandler =>
  (req, res) => {
    const { model, pending } = res.locals;
    // The columns are not kept while the model runs: a body may be large.
    const { json, binary } = takeBody(req, model.signature); // parses JSON,
    const { columns, ...query } = readForm(json, model.signature, binary);
    return model
      .predict(columns, pending?.signal) // runs the model,
      .then(
        (outputs) => send(res, write(outputs, query, model), bytesOfColumns(outputs)), // returns JSON.
        (error) => rethrowInBody(error, query, model.signature),
      );
  };

/** Every path with its methods; those of other servers' clients lead to the same handlers. */
export function predictRoutes(
  app: Express,
  models: readonly Model[],
  { guarded, metrics }: Record<'guarded' | 'metrics', RequestHandler[]>,
): void {
  const modelsByName = new Map(models.map((model) => [model.name, model]));
  const names = [...modelsByName.keys()];
  const findModel: RequestHandler = ({ params: { name, version = '1' } }, res, next) => {
    const model = name === undefined ? models[0] : modelsByName.get(String(name));
    // A 404 shows how to ask the first.
    res.locals.model = model ?? models[0];
    if (!model) throw new HttpError(404, `no model has this name, only ${names.join(', ')}`);
    // TorchServe calls the first version 1.0.
    if (version !== '1' && version !== '1.0') throw new HttpError(404, `${model.name} has one version, 1`);
    next();
  };
  const serve = (path: string, handlers: Partial<Record<Method, RequestHandler[]>>) => {
    const route = app.route(path);
    route.all(findModel);
    const methods = Object.keys(handlers) as Method[];
    for (const method of methods) route[method](...(handlers[method] ?? []));
    const allow = [...methods, ...(handlers.get ? ['head'] : []), 'options'].join(', ').toUpperCase();
    route.all((req, res) => {
      res.setHeader('Allow', allow);
      if (req.method === 'OPTIONS') return sendJson(res, 200, { allow });
      throw new HttpError(405, `${req.method} is not allowed at this path: use ${allow}`);
    });
  };

  const predict = (dialect: Dialect) => [...guarded, answer(dialect)];

  serve('/predict{/:name}', { get: [sendExample], post: predict(flask) });
  serve('/health', { get: [checkHealth, sendInfo({ status: 'ok' })] }); // Probes also go into http/log.ts.
  serve('/metrics', { get: metrics });
  serve('/', { get: [sendInfo(describeServer)] });

  // TensorFlow Serving, and KServe v1.
  app.use('/v1/models', readColon);
  serve('/v1/models/:name{/versions/:version}\\:predict', { post: predict(tensorflow) });
  app.all('/v1/models/:name{/versions/:version}\\::verb', findModel, () => {
    throw new HttpError(404, 'only :predict is served');
  });
  serve('/v1/models/:name{/versions/:version}', { get: [sendInfo(modelStatus)] });
  serve('/v1/models/:name{/versions/:version}/metadata', { get: [sendInfo(servingMetadata)] });
  serve('/v1/models', { get: [sendInfo({ models: names })] });

  // The Open Inference Protocol: KServe v2, Triton, MLServer.
  serve('/v2/models/:name{/versions/:version}/infer', { post: predict(flask) });
  serve('/v2/models/:name{/versions/:version}', { get: [sendInfo(inferMetadata)] });
  const modelReady = sendInfo(({ name }) => ({ name, ready: true }));
  serve('/v2/models/:name{/versions/:version}/ready', { get: [checkHealth, modelReady] });
  const server = { name: 'onnx-model-server', version: '2', extensions: ['binary_tensor_data'] };
  serve('/v2', { get: [sendInfo(server)] });
  serve('/v2/health/live', { get: [sendInfo({ live: true })] });
  serve('/v2/health/ready', { get: [checkHealth, sendInfo({ live: true, ready: true })] });

  // TorchServe, whose page shows curl -T, a PUT; MLflow, SageMaker.
  serve('/predictions/:name{/:version}', { post: predict(flask), put: predict(flask) });
  serve('/invocations', { post: predict(mlflow) });
  serve('/ping', { get: [checkHealth, sendInfo({ status: 'Healthy' })] });
}

type Method = 'get' | 'post' | 'put';

/** Encoders of URLs write a colon as %3A, which a path with a literal one does not match. */
const readColon: RequestHandler = (req, _res, next) => {
  req.url = req.url.replace(/^([^?]*)%3a(?=\w+(\?|$))/i, '$1:');
  next();
};

const sendInfo =
  (info: object | ((model: Model, req: Request) => object)): RequestHandler =>
  (req, res) =>
    sendJson(res, 200, typeof info === 'function' ? info(res.locals.model, req) : info);

const checkHealth: RequestHandler = (_req, res, next) => {
  if (res.app.locals.draining) throw new HttpError(503, 'the server is shutting down');
  next();
};

const sendExample: RequestHandler = (_req, res) => {
  const example = exampleOf(res.locals.model.signature);
  if (example === undefined) throw new HttpError(404, 'no example is known for this model');
  sendText(res, 200, 'application/json', example);
};

/** KServe's clients look for `alive`, a person for how to ask. */
function describeServer(model: Model, { baseUrl }: Request): object {
  const usage = `POST ${baseUrl}/predict. ${hintFor(model, baseUrl)}`;
  return { status: 'alive', model: model.name, usage };
}
