import { serveModel } from './serve';

const served = new Map<string, ReturnType<typeof serveModel>>();

/** What serveModel gives, once for all tests of a file. */
export function serveOnce(name: string, env: NodeJS.ProcessEnv = {}): ReturnType<typeof serveModel> {
  const key = JSON.stringify([name, env]);
  const known = served.get(key) ?? serveModel(name, env);
  served.set(key, known);
  return known;
}

/** POSTs a body to /predict of a model under an environment, and gives the reply. */
export async function ask(name: string, body: unknown, env: NodeJS.ProcessEnv = {}) {
  const { post } = await serveOnce(name, env);
  return post('/predict', body);
}

/** What every failure promises: JSON with one message, and nothing of the server's insides in it. */
export function expectError(
  reply: { status: number; type: string; body: { error?: unknown } },
  status: number,
): void {
  expect(reply.status).toBe(status);
  expect(reply.type).toBe('application/json');
  expect(typeof reply.body.error).toBe('string');
  expect(reply.body.error).not.toMatch(/\n|node_modules|\.js|\.ts|\/work|onnxruntime/);
}

/** Little-endian bytes of numbers, as a body gives them. */
export function b64(data: NodeJS.TypedArray | string, shape?: readonly number[]): object {
  const bytes =
    typeof data === 'string' ? Buffer.from(data) : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return { b64: bytes.toString('base64'), ...(shape && { shape }) };
}
