import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { isAbsolute, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { modelPath, root } from './serve';

/** A server in a process of its own, in a process group of its own. */
export interface ServerProcess {
  child: ChildProcess;
  port: number;
  /** What it has written so far. */
  stdout(): string;
  stderr(): string;
  /** Settles when its output, from stdout on, matches. */
  wrote(pattern: RegExp): Promise<void>;
  /** Its end: how, and what remained unsaid. */
  exited: Promise<{ code: number | null; signal: string | null }>;
}

export interface Reply {
  status: number;
  headers: http.IncomingHttpHeaders;
  text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a body is whatever the server sends.
  body: any;
}

const children = new Set<ChildProcess>();

interface LaunchOptions {
  stdio?: StdioOptions;
  /** What bash runs; the server's command is its `"$@"`. */
  script?: string;
  /** The compiled app. */
  app?: string;
}

/**
 * Starts `node dist/app.js` with nothing in its environment but what is given, on a free port; where a script is given,
 * within bash, as `"$@"`.
 */
export function launch(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  { stdio = ['ignore', 'pipe', 'pipe'], script, app = join(root, 'dist', 'app.js') }: LaunchOptions = {},
): ChildProcess {
  const server = [process.execPath, app, ...args];
  const [command, ...rest] = script === undefined ? server : ['bash', '-c', script, 'bash', ...server];
  const child = spawn(command, rest, {
    cwd: root,
    env: { PATH: process.env.PATH, PORT: '0', ...env },
    stdio,
    detached: true,
  });
  children.add(child);
  return child;
}

/** Runs a server that is not to come up, and gives what it said. */
export async function launchAndEnd(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const child = launch(args, env);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout as NodeJS.ReadableStream),
    text(child.stderr as NodeJS.ReadableStream),
    once(child, 'exit'),
  ]);
  return { stdout, stderr, code };
}

/** Starts a server for one of tests/models, or for a path, and waits until it says where it listens. */
export async function startServer(
  name: string,
  env: NodeJS.ProcessEnv = {},
  options: LaunchOptions = {},
): Promise<ServerProcess> {
  const child = launch([isAbsolute(name) ? name : modelPath(name)], env, options);
  const written = { stdout: '', stderr: '' };
  let check = () => {};
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream]?.setEncoding('utf8').on('data', (chunk: string) => {
      written[stream] += chunk;
      check();
    });
  }
  const exited = once(child, 'close').then(([code, signal]) => ({ code, signal }));
  let ended = false;
  void exited.then(() => {
    ended = true;
    check();
  });
  const wrote = (pattern: RegExp) =>
    new Promise<void>((resolve, reject) => {
      const earlier = check;
      check = () => {
        earlier();
        if (pattern.test(written.stdout + written.stderr)) resolve();
        else if (ended) reject(new Error(`it ended without ${pattern}: ${written.stdout}${written.stderr}`));
      };
      check();
    });
  await wrote(/^Try: |^ {2}note: no made-up input|"message":"(Try|note): /m);
  return {
    child,
    port: Number(/http:\/\/localhost:(\d+)\//.exec(written.stdout)?.[1]),
    stdout: () => written.stdout,
    stderr: () => written.stderr,
    wrote,
    exited,
  };
}

/** Kills every process that was started here, and theirs. For afterEach or afterAll. */
export function killServers(): void {
  for (const child of children) {
    try {
      // Also where the child is gone, since its group may not be.
      process.kill(-(child.pid as number), 'SIGKILL');
    } catch {
      // The whole group is gone.
    }
  }
  children.clear();
}

process.once('exit', killServers);

/** Sends one request and gives the whole reply; rejects where the connection breaks. */
export async function ask(
  port: number,
  path: string,
  body?: unknown,
  options: http.RequestOptions = {},
): Promise<Reply> {
  const request = http.request({
    port,
    path,
    host: '127.0.0.1',
    method: body === undefined ? 'GET' : 'POST',
    ...options,
  });
  request.end(body === undefined || typeof body === 'string' ? body : JSON.stringify(body));
  try {
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    const received = await text(response);
    return readReply(response, received);
  } catch (error) {
    throw Object.assign(error as Error, { reused: request.reusedSocket });
  }
}

function readReply(response: http.IncomingMessage, received: string): Reply {
  return {
    status: response.statusCode as number,
    headers: response.headers,
    text: received,
    body: parse(received),
  };
}

function parse(received: string): unknown {
  try {
    return JSON.parse(received);
  } catch {
    return undefined;
  }
}

/** An agent that keeps one connection and sends its requests one after another. */
export function oneConnection(): http.Agent {
  return new http.Agent({ keepAlive: true, maxSockets: 1 });
}

/** Writes parts to a connection, byte for byte, and gives what came until it was closed. */
export async function exchange(port: number, ...parts: (string | Buffer)[]): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  // A server that has answered may refuse the rest.
  socket.on('error', () => {});
  for (const part of parts) socket.write(part);
  return text(socket.setEncoding('latin1'));
}

/** The replies in what came over a connection: status, headers and body of each. */
export function repliesIn(received: string): { status: number; head: string; body: string }[] {
  const replies = [];
  for (let rest = received; rest !== ''; ) {
    const end = rest.indexOf('\r\n\r\n');
    if (end < 0 || !rest.startsWith('HTTP/1.1 ')) throw new Error(`not a reply: ${rest.slice(0, 200)}`);
    const head = rest.slice(0, end);
    // What Node.js answers by itself may be an empty list of chunks.
    const isChunked = /^transfer-encoding: chunked$/im.test(head);
    const length = isChunked ? 5 : Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
    const status = Number(head.slice(9, 12));
    const body = isChunked ? '' : rest.slice(end + 4, end + 4 + length);
    if (rest.length < end + 4 + length) throw new Error(`a reply cut short: ${rest.slice(0, 200)}`);
    rest = rest.slice(end + 4 + length);
    if (status !== 100) replies.push({ status, head, body });
  }
  return replies;
}

/** A port on which nothing listens. */
export async function freePort(): Promise<number> {
  // Not one of those that the system gives, to other tests at the same time as well: on Linux from 32768 on.
  const port = 20_000 + Math.floor(12_000 * Math.random());
  const server = net.createServer().listen(port);
  try {
    await once(server, 'listening');
  } catch {
    return freePort();
  }
  server.close();
  await once(server, 'close');
  return port;
}

/** Tries until it is so; the test's own time limit ends it otherwise. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10));
}

export interface Load {
  answered: Reply[];
  /** Connections that broke: the client's number, and whether a request had been answered on it before. */
  lost: { client: number; reused: boolean }[];
  /** How many clients were not let in any more, which ended them. */
  refused: number;
  /** Settles when every client has ended. */
  ended: Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts so many clients, each of which keeps one connection and sends one request after another, numbered over all,
 * until it is refused.
 */
export function startLoad(
  clients: number,
  send: (agent: http.Agent, n: number, client: number) => Promise<Reply>,
) {
  let stopped = false;
  let sent = 0;
  const run = async (client: number) => {
    const agent = oneConnection();
    while (!stopped) {
      try {
        load.answered.push(await send(agent, sent++, client));
      } catch (error) {
        const { code, reused } = error as { code?: string; reused?: boolean };
        if (reused === undefined) throw error;
        if (code !== 'ECONNREFUSED') load.lost.push({ client, reused });
        else {
          load.refused++;
          break;
        }
      }
    }
    agent.destroy();
  };
  const load: Load = {
    answered: [],
    lost: [],
    refused: 0,
    ended: Promise.resolve(),
    stop() {
      stopped = true;
      return load.ended;
    },
  };
  load.ended = Promise.all(Array.from({ length: clients }, (_, client) => run(client))).then(() => {});
  return load;
}
