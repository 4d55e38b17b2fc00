import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { near } from './near';
import { killServers, startServer } from './process';
import { root } from './serve';

afterAll(killServers);

/** A shell block that asks with curl, the JSON block behind it and, in a comment before, the model and environment. */
const example = /(?:<!-- (\S+) (?:(\w+)=(\S+) )?-->\n)?```sh\n([^`]*curl [^`]*)```\n```json\n([^`]*)```/g;

const examples = [...readFileSync(join(root, 'README.md'), 'utf8').matchAll(example)].map(
  ([, model = 'model', variable, value, command, reply]) => ({
    model,
    env: variable ? { [variable]: value } : {},
    command,
    reply: JSON.parse(reply),
  }),
);

test('README.md has its examples', () => {
  expect(examples.length).toBeGreaterThanOrEqual(8);
});

test.each(examples)('$command', async ({ model, env, command, reply }) => {
  const { port } = await startServer(model, env);
  const asked = command.replaceAll('localhost:3000', `localhost:${port}`).replaceAll('curl ', 'curl -sS ');
  const got = JSON.parse(execFileSync('bash', ['-c', asked], { encoding: 'utf8' }));
  expect(near(got, reply, 1e-5)).toEqual(reply);
});
