// F20, T29: slow sockets that never finish a request, and callers that ask as fast as they are answered, beside clients
// that behave. Those must be served as before, the memory must stay within bounds, and all must be well soon after.
import {fork} from 'node:child_process';
import {once} from 'node:events';
import {connect, type Socket} from 'node:net';
import {fileURLToPath} from 'node:url';
import {Pool} from 'undici';
import {percentiles} from '../bench/load.ts';
import {temporaryFolder} from '../bench/setup.ts';
import {createRoom, pause, startServerProcess, userToken} from './harness.ts';

export interface OverloadOptions {
  seconds: number;
  slowSockets: number;
  floodConnections: number;
  /** The setting RATE_LIMITS. Without it nothing but the shedding stands between. */
  rateLimits: 'on' | 'off';
  databaseUrl?: string;
}

export interface OverloadResult {
  broken: string[];
  figures: Record<string, number>;
}

const metricsKey = 'overload-metrics-key';
const clients = 20;
const pauseMs = 250;

export async function overload(options: OverloadOptions): Promise<OverloadResult> {
  const folder = temporaryFolder();
  const server = await startServerProcess({
    DATABASE_URL: options.databaseUrl ?? `sqlite:${folder.path}/chat.db`,
    RATE_LIMITS: options.rateLimits === 'on' ? 'address=1000000/10s' : 'off',
    METRICS_KEY: metricsKey,
  });
  const users = Array.from({length: clients}, (_, i) => `user${i}`);
  const flooders = Array.from({length: clients}, (_, i) => `flood${i}`);
  const room = await createRoom(server.apiUrl, users);
  const floodRoom = await createRoom(server.apiUrl, flooders);

  await behave(server.apiUrl, room, users, 2);
  const before = await behave(server.apiUrl, room, users, Math.max(options.seconds / 4, 3));
  const memoryBefore = await memoryMb(server.apiUrl);
  const slow = startSlowSockets(server.apiUrl, options.slowSockets);
  const flood = startFlood(server.apiUrl, floodRoom, options.floodConnections);
  await pause(500);
  const peak = watchMemory(server.apiUrl);
  const during = await behave(server.apiUrl, room, users, options.seconds);
  const statuses = await flood.stop();
  const memoryAtMost = await peak.stop();
  const cut = slow.stop();
  await pause(2_000);
  const after = await behave(server.apiUrl, room, users, Math.max(options.seconds / 4, 3));
  await server.end('SIGTERM');
  folder.remove();

  const answered = Object.values(statuses).reduce((sum, count) => sum + count, 0);
  const share = (status: string) => statuses[status] ?? 0;
  const figures = {
    'p99 ms before': before.p99,
    'p99 ms under overload': during.p99,
    'p99 ms after': after.p99,
    'p50 ms before': before.p50,
    'p50 ms under overload': during.p50,
    'refused or failed of the clients': during.failed,
    'of requests': during.count,
    'requests/s of the clients': during.count / options.seconds,
    'requests/s of the flood': answered / options.seconds,
    'flood 429': share('429'),
    'flood 503': share('503'),
    'flood served': share('200') + share('201'),
    'slow sockets cut': cut,
    'memory MB before': memoryBefore,
    'memory MB at most': memoryAtMost,
  };
  const broken = [
    ...(during.failed > 0 && options.rateLimits === 'on' ? ['clients that behave were refused'] : []),
    ...(share('500') + share('no answer') > 0 ? ['the flood saw failures'] : []),
    ...(memoryAtMost > 2 * memoryBefore + 50 ? ['memory'] : []),
    ...(after.p99 > 2 * before.p99 + 10 || after.failed > 0 ? ['not normal afterwards'] : []),
  ];
  return {broken, figures: Object.fromEntries(Object.entries(figures).map(([name, value]) => [name, rounded(value)]))};
}

const rounded = (value: number) => Math.round(value * 10) / 10;

interface Behaved {
  p50: number;
  p99: number;
  count: number;
  failed: number;
}

/** Clients that ask four times a second each, and post every tenth time, each on a connection of its own. */
async function behave(url: string, room: number, users: readonly string[], seconds: number): Promise<Behaved> {
  const pool = new Pool(url, {connections: users.length});
  const took: number[] = [];
  let failed = 0;
  const end = performance.now() + seconds * 1_000;
  const one = async (user: string, i: number) => {
    const authorization = `Bearer ${userToken(user)}`;
    await pause((i * pauseMs) / users.length);
    for (let n = i; performance.now() < end; n++) {
      const posts = n % 10 === 0;
      const started = performance.now();
      const {statusCode, body} = await pool.request({
        path: `/api/rooms/${room}/messages/${posts ? '' : '?limit=10'}`,
        method: posts ? 'POST' : 'GET',
        headers: {authorization, ...(posts && {'content-type': 'application/json'})},
        ...(posts && {body: '{"content":"hello"}'}),
      });
      await body.dump();
      took.push(performance.now() - started);
      if (statusCode >= 300) failed += 1;
      await pause(Math.max(pauseMs - (performance.now() - started), 0));
    }
  };
  await Promise.all(users.map(one));
  await pool.close();
  return {...percentiles(took), count: took.length, failed};
}

/** Sockets that send a byte of a header each second, and come back when they are cut. */
function startSlowSockets(url: string, count: number): {stop: () => number} {
  const {hostname, port} = new URL(url);
  const open = new Set<Socket>();
  let cut = 0;
  let stopping = false;
  const start = () => {
    const socket = connect(Number(port), hostname);
    open.add(socket);
    socket.on('error', () => undefined).resume();
    socket.on('close', () => {
      open.delete(socket);
      if (stopping) return;
      cut += 1;
      start();
    });
    socket.write('GET /api/rooms/ HTTP/1.1\r\nHost: a\r\nX-Slow: ');
  };
  for (let i = 0; i < count; i++) start();
  const drip = setInterval(() => {
    for (const socket of open) socket.write('x');
  }, 1_000);
  return {
    stop() {
      stopping = true;
      clearInterval(drip);
      for (const socket of open) socket.destroy();
      return cut;
    },
  };
}

function startFlood(url: string, room: number, connections: number): {stop: () => Promise<Record<string, number>>} {
  // The tests run what was compiled from this.
  const source = fileURLToPath(new URL('flood.ts', import.meta.url));
  const isSource = import.meta.url.endsWith('.ts');
  const child = fork(
    isSource ? source : source.replace(/ts$/, 'js'),
    [url, String(room), String(connections), String(clients)],
    {execArgv: isSource ? ['--import', 'tsx'] : []},
  );
  return {
    async stop() {
      child.send('stop');
      const [statuses] = (await once(child, 'message')) as [Record<string, number>];
      return statuses;
    },
  };
}

async function memoryMb(url: string): Promise<number> {
  const answer = await fetch(`${url}/metrics`, {headers: {authorization: `Bearer ${metricsKey}`}});
  const [, bytes] = /^process_resident_memory_bytes (\S+)$/m.exec(await answer.text()) ?? [];
  return Number(bytes) / 1_048_576;
}

function watchMemory(url: string): {stop: () => Promise<number>} {
  let atMost = 0;
  let stopping = false;
  const watching = (async () => {
    while (!stopping) {
      atMost = Math.max(atMost, await memoryMb(url));
      await pause(500);
    }
  })();
  return {
    async stop() {
      stopping = true;
      await watching;
      return atMost;
    },
  };
}
