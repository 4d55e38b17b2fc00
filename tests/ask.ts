import { serveModel } from './serve';

const served = new Map<string, ReturnType<typeof serveModel>>();

/** POSTs a body to /predict of a model under an environment, which a test file serves but once. */
export async function ask(name: string, body: unknown, env: NodeJS.ProcessEnv = {}) {
  const key = JSON.stringify([name, env]);
  if (!served.has(key)) served.set(key, serveModel(name, env));
  const { post } = await (served.get(key) as ReturnType<typeof serveModel>);
  return post('/predict', body);
}

/** Little-endian bytes of numbers, as a body gives them. */
export function b64(data: NodeJS.TypedArray | string, shape?: readonly number[]): object {
  const bytes =
    typeof data === 'string' ? Buffer.from(data) : Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return { b64: bytes.toString('base64'), ...(shape && { shape }) };
}
