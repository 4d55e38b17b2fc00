import type { Express, Request, RequestHandler, Response } from 'express';
import { BadInput } from '../model/errors';
import { isWrapped, type Model } from '../model/model';
import { type Asked, takeValues } from './dialects/asked';
import { readForm, wholeAsColumns } from './dialects/forms';
import { inferMetadata, modelConfig, modelStatus, servingMetadata } from './dialects/metadata';
import { readInferBody, splitBody, writeInferReply } from './dialects/open-inference';
import { type Answer, isLarge, type Style, sizeOfAnswer, styles, writeReply } from './dialects/styles';
import { hintFor } from './dialects/usage';
import { jsonOf, parseJson, takeBytes } from './http/body';
import { HttpError } from './http/errors';
import { sendBinary, sendJson, sendOptions, sendPieces } from './http/reply';

/** Answers a prediction as the clients of one tradition want it. */
const predict =
  (style: Style): RequestHandler =>
  async (req, res) => {
    const { model } = res.locals;
    const asked = readForm(jsonOf(req, model.signature), model.signature); // parses JSON,
    const answer = await ask(model, asked, res); // runs the model,
    await reply(res, style, answer, asked, model); // returns JSON.
  };

/** Answers a request of the Open Inference Protocol, whose tensors may follow the JSON as bytes. */
const infer: RequestHandler = async (req, res) => {
  const { model } = res.locals;
  checkInfer(model);
  const header = req.get('Inference-Header-Content-Length');
  const { json, binary } = header === undefined ? {} : splitBody(takeBytes(req), header);
  const body = json ? parseJson(json, model.signature) : jsonOf(req, model.signature);
  const asked = readInferBody(body, binary, model.signature);
  await reply(res, styles.predict, await ask(model, asked, res), asked, model);
};

/** What the model answers. Throws BadInput in the body's own words, or what the model throws. */
function ask(model: Model, asked: Asked, res: Response): Promise<Answer> {
  const { signal } = res.locals;
  if (asked.infer) checkInfer(model);
  // Code that was put around a model, as app.ts shows where, sees every request: `infer` would go past it.
  const wrapped = isWrapped(model);
  const values = takeValues(asked);
  const given = wrapped && 'tensors' in values ? wholeAsColumns(values.tensors, model.signature) : values;
  const answer: Promise<Answer> =
    'tensors' in given
      ? model.infer(given.tensors, signal).then((tensors) => ({ tensors }))
      : model.predict(given.columns, signal).then((columns) => ({ columns }));
  return answer.catch((error) => {
    if (!(error instanceof BadInput && error.place) || wrapped) throw error;
    throw new BadInput(`${asked.nameOf(error.place)} ${error.problem}`);
  });
}

/** Throws HttpError for a model around whose `predict` alone code was put. */
function checkInfer(model: Model): void {
  if (!isWrapped(model)) return;
  throw new HttpError(501, 'this model is asked by its columns only, not in the Open Inference Protocol');
}

async function reply(res: Response, style: Style, answer: Answer, asked: Asked, model: Model): Promise<void> {
  const { json, binary } =
    asked.infer && 'tensors' in answer
      ? writeInferReply(model, asked.infer, answer.tensors)
      : { json: writeReply(style, answer, asked, model.signature), binary: [] };
  const size = sizeOfAnswer(answer);
  if (binary.length > 0) sendBinary(res, json, binary);
  else if (isLarge(size)) await sendPieces(res, json, size.bytes);
  else sendJson(res, 200, json);
}

/** What stands before a prediction, and what answers with the metrics. */
interface Handlers {
  read: RequestHandler[];
  metrics: RequestHandler[];
}

/** Every path with its methods; those of other servers' clients lead to the same handlers. */
export function predictRoutes(app: Express, models: readonly Model[], { read, metrics }: Handlers): void {
  const byName = new Map(models.map((model) => [model.name, model]));
  const served = `${[...byName.keys()].join(', ')} ${models.length > 1 ? 'are' : 'is'}`;
  const findModel: RequestHandler<{ name?: string; version?: string }> = (
    { params: { name, version } },
    res,
    next,
  ) => {
    // A 404 shows how to ask the first.
    [res.locals.model] = models;
    const model = name === undefined ? models[0] : byName.get(name);
    if (!model) throw new HttpError(404, `there is no model of this name, ${served} served`);
    res.locals.model = model;
    // TorchServe calls the first version 1.0.
    if (version !== undefined && version !== '1' && version !== '1.0') {
      throw new HttpError(404, `there is no such version, version 1 of ${model.name} is served`);
    }
    next();
  };
  const serve = (method: 'get' | 'post', path: string, ...handlers: RequestHandler[]) => {
    const allow = method === 'get' ? 'GET, HEAD, OPTIONS' : 'POST, OPTIONS';
    const route = app.route(path);
    route.all(findModel as RequestHandler);
    route[method](...handlers);
    route.all((req, res) => {
      if (req.method === 'OPTIONS') return sendOptions(res, allow);
      res.setHeader('Allow', allow);
      throw new HttpError(405, `${req.method} is not for this path, ${allow} are`);
    });
  };

  serve('post', '/predict{/:name}', ...read, predict(styles.predict));
  serve('get', '/health', checkHealth, sendInfo({ status: 'ok' }));
  serve('get', '/metrics', ...metrics);
  serve('get', '/', describeServer);

  // TensorFlow Serving, and KServe v1: https://github.com/tensorflow/serving/blob/master/tensorflow_serving/g3doc/api_rest.md
  serve('post', '/v1/models/:name{/versions/:version}\\:predict', ...read, predict(styles.tensorflow));
  app.all('/v1/models/:name{/versions/:version}\\::verb', findModel as RequestHandler, () => {
    throw new HttpError(404, 'of the verbs, only :predict is served');
  });
  serve('get', '/v1/models/:name{/versions/:version}', sendInfo(modelStatus));
  serve('get', '/v1/models/:name{/versions/:version}/metadata', sendInfo(servingMetadata));
  serve('get', '/v1/models', sendInfo({ models: [...byName.keys()] }));

  // The Open Inference Protocol: KServe v2, Triton, MLServer.
  serve('post', '/v2/models/:name{/versions/:version}/infer', ...read, infer);
  serve('get', '/v2/models/:name{/versions/:version}', sendInfo(inferMetadata));
  serve('get', '/v2/models/:name{/versions/:version}/config', sendInfo(modelConfig));
  serve(
    'get',
    '/v2/models/:name{/versions/:version}/ready',
    checkHealth,
    sendInfo(({ name }) => ({ name, ready: true })),
  );
  const server = { name: 'onnx-model-server', version: '2', extensions: ['binary_tensor_data'] };
  serve('get', '/v2', sendInfo(server));
  serve('get', '/v2/health/live', sendInfo({ live: true }));
  serve('get', '/v2/health/ready', checkHealth, sendInfo({ live: true, ready: true }));

  // TorchServe, MLflow, SageMaker.
  serve('post', '/predictions/:name{/:version}', ...read, predict(styles.predict));
  serve('post', '/invocations', ...read, predict(styles.mlflow));
  serve('get', '/ping', checkHealth, sendInfo({ status: 'Healthy' }));
}

/** What is said of the server, or of a model. */
type Info = object | ((model: Model) => object);

const sendInfo =
  (info: Info): RequestHandler =>
  (_req, res) =>
    sendJson(res, 200, typeof info === 'function' ? info(res.locals.model) : info);

/** Lets pass as long as requests are taken: 503 where the process drains or a run does not end. */
const checkHealth: RequestHandler = (_req, res, next) => {
  const { draining, stuck } = res.app.locals;
  if (stuck) throw new HttpError(503, 'a run does not end');
  if (draining) throw new HttpError(503, 'the server is shutting down');
  next();
};

/** KServe's clients look for `alive`, a person for how to ask. */
const describeServer: RequestHandler = (req: Request, res) => {
  const { name, signature } = res.locals.model;
  sendJson(res, 200, {
    status: 'alive',
    model: name,
    usage: `POST ${req.baseUrl}/predict. ${hintFor(signature)}`,
  });
};
