import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { closeModels, root, serveModel } from './serve';

afterAll(closeModels);

// Triton's own Python client, https://github.com/triton-inference-server/client, where PYTHON has it.
const python = process.env.PYTHON ?? 'python3';
const hasClient = spawnSync(python, ['-c', 'import tritonclient.http']).status === 0;

(hasClient ? test.each : test.skip.each)([
  'identity-float32',
  'identity-float16',
  'identity-int64',
  'identity-bool',
  'identity-string',
  'add',
  'two-outputs',
  'logreg',
  'mixed',
  'whole',
])("Triton's Python client gets the same from %s as bytes and as JSON", async (name) => {
  const server = createServer((await serveModel(name)).app).listen(0);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const script = join(root, 'tests', 'triton_client.py');
  try {
    const { stdout } = await promisify(execFile)(python, [script, `127.0.0.1:${port}`, name]);
    expect(stdout).toBe('all is well\n');
  } finally {
    server.close();
    server.closeAllConnections();
  }
});
