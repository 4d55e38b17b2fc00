import bodyParser from 'body-parser';
import type { Express, Request, RequestHandler, Response } from 'express';
import { BadInput, Unavailable } from '../model/errors';
import type { Model } from '../model/model';
import type { Feeds, Tensor } from '../model/tensor';
import { readBody } from './bodies';
import { HttpError, send, sendJson, sendOptions } from './errors';
import { bodyOf, free, readJson } from './json';
import { requireKey } from './key';
import {
  describeModel,
  type InferReply,
  type InferRequest,
  isInferRequest,
  readInferRequest,
  writeInferReply,
} from './open-inference';
import type { Options } from './options';
import { type Style, writeReply } from './replies';

/** What a request asks for, and how its answer is written. */
interface Asked {
  runs: Feeds[];
  reply(outputs: Tensor[][]): InferReply;
}

/** Serves every path, each with its methods; the paths of other servers' clients lead to the same handlers. */
export function predictRoutes(app: Express, model: Model, options: Options): void {
  const readRaw = bodyParser.raw({ type: () => true, limit: options.bodyLimit });
  const key = requireKey(options.apiKeys);

  /** Reads a request, waits for the model, replies. */
  const predict = (read: (req: Request) => Asked): RequestHandler[] => [
    ...key,
    readRaw,
    async (req, res) => {
      const { runs, reply } = read(req);
      // A big body is let go before the model runs.
      req.body = undefined;
      const { json, binary } = reply(await answer(res, runs));
      if (binary.length === 0) return sendJson(res, 200, json);
      const header = Buffer.from(JSON.stringify(json));
      res.setHeader('Inference-Header-Content-Length', header.length);
      send(res, 200, 'application/octet-stream', Buffer.concat([header, ...binary]));
    },
  ];

  const readAny =
    (style: Style) =>
    (req: Request): Asked => {
      const bytes = bodyOf(req);
      const body = readJson(bytes, options);
      free(bytes);
      if (isInferRequest(body) && body.inputs.length > 0)
        return askedOf(readInferRequest(body, new Uint8Array(), model));
      const { runs, form } = readBody(body, model);
      return { runs, reply: (outputs) => ({ json: writeReply(model, form, outputs, style), binary: [] }) };
    };

  const readInfer = (req: Request): Asked => {
    const { json, binary } = splitBody(req);
    return askedOf(readInferRequest(json, binary, model));
  };

  const askedOf = (request: InferRequest): Asked => ({
    runs: [request.feeds],
    reply: ([tensors]) => writeInferReply(model, request, tensors),
  });

  /** The outputs of each run; a request whose client is gone, or whose time is up, leaves the line. */
  const answer = async (res: Response, runs: Feeds[]): Promise<Tensor[][]> => {
    const ticket = model.ask(runs);
    const timer = setTimeout(
      () => ticket.leave(new Unavailable(504, `no answer within TIMEOUT, ${options.timeout / 1000} s`)),
      options.timeout,
    );
    const leave = () => ticket.leave(new HttpError(499, 'the client closed the connection'));
    res.once('close', leave);
    try {
      return await ticket.answer;
    } finally {
      clearTimeout(timer);
      res.off('close', leave);
    }
  };

  const splitBody = (req: Request): { json: unknown; binary: Uint8Array } => {
    const bytes = bodyOf(req);
    const given = req.get('Inference-Header-Content-Length');
    const length = given === undefined ? bytes.length : /^\d{1,15}$/.test(given) ? Number(given) : Number.NaN;
    if (!(length <= bytes.length)) {
      throw new BadInput(
        `Inference-Header-Content-Length must be a number of bytes within the body's ${bytes.length}`,
      );
    }
    return { json: readJson(bytes.subarray(0, length), options), binary: bytes.subarray(length) };
  };

  const say =
    (reply: object): RequestHandler =>
    (_req, res) =>
      sendJson(res, 200, reply);

  /** Says so as long as requests are taken, and 503 while the process drains. */
  const health =
    (reply: object): RequestHandler =>
    (_req, res, next) => {
      if (app.locals.draining) next(new Unavailable(503, 'the server is shutting down'));
      else sendJson(res, 200, reply);
    };

  const serve = (method: 'get' | 'post', path: string, ...handlers: RequestHandler[]) => {
    const allow = method === 'get' ? 'GET, HEAD, OPTIONS' : 'POST, OPTIONS';
    const route = app.route(path);
    if (path.includes(':')) route.all(isServed(model));
    route[method](...handlers);
    route.all((req, res) => {
      if (req.method === 'OPTIONS') return sendOptions(res, allow);
      res.setHeader('Allow', allow);
      throw new HttpError(405, `${req.method} is not for this path, ${allow} are`);
    });
  };

  serve('post', '/predict', ...predict(readAny('predict')));
  serve('get', '/health', health({ status: 'ok' }));

  // TensorFlow Serving, and KServe v1: https://github.com/tensorflow/serving/blob/master/tensorflow_serving/g3doc/api_rest.md
  const state = { version: '1', state: 'AVAILABLE', status: { error_code: 'OK', error_message: '' } };
  const status = { name: model.name, ready: true, model_version_status: [state] };
  serve('post', '/v1/models/:name{/versions/:version}\\:predict', ...predict(readAny('tensorflow')));
  serve('get', '/v1/models/:name{/versions/:version}', say(status));
  serve('get', '/v1/models', say({ models: [model.name] }));

  // The Open Inference Protocol: KServe v2, Triton, MLServer.
  const server = { name: 'onnx-model-server', version: '2', extensions: ['binary_tensor_data'] };
  serve('post', '/v2/models/:name{/versions/:version}/infer', ...predict(readInfer));
  serve('get', '/v2/models/:name{/versions/:version}', say(describeModel(model)));
  serve('get', '/v2/models/:name{/versions/:version}/ready', health({ name: model.name, ready: true }));
  serve('get', '/v2', say(server));
  serve('get', '/v2/health/live', say({ live: true }));
  serve('get', '/v2/health/ready', health({ live: true, ready: true }));

  // TorchServe, MLflow, SageMaker.
  serve('post', '/predictions/:name{/:version}', ...predict(readAny('predict')));
  serve('post', '/invocations', ...predict(readAny('mlflow')));
  serve('get', '/ping', health({ status: 'Healthy' }));
}

/** Answers 404 for another model, or another version than the only one. */
function isServed(model: Model): RequestHandler<{ name?: string; version?: string }> {
  return ({ params: { name, version } }, _res, next) => {
    if (name !== undefined && name !== model.name) {
      throw new HttpError(404, `there is no model of this name, ${model.name} is served`);
    }
    // TorchServe calls the first version 1.0.
    if (version !== undefined && version !== '1' && version !== '1.0') {
      throw new HttpError(404, `there is no such version, version 1 of ${model.name} is served`);
    }
    next();
  };
}
