// F20, T29: slow sockets that never finish a request, and callers that ask as fast as they are answered, beside clients
// that behave. Those must be served as before, the memory must stay within bounds, and all must be well soon after.
import {fork} from 'node:child_process';
import {once} from 'node:events';
import {connect, type Socket} from 'node:net';
import {fileURLToPath} from 'node:url';
import {percentiles} from '../bench/load.ts';
import {temporaryFolder} from '../bench/setup.ts';
import {connectWire, requestText} from '../bench/wire.ts';
import {createRoom, pause, startServerProcess, userToken} from './harness.ts';

export interface OverloadOptions {
  seconds: number;
  slowSockets: number;
  /** Requests that the flood has under way at most; without limits always so many. */
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
/** What an open connection with a request that waits may take. */
const connectionMb = 0.05;
/** Beside twice the figure of before, which on an idle machine is a few milliseconds. */
const noiseMs = 5;
/** Ten times what the limits of production let through: of a user in a second ten reads, and a post into one room. */
const tenfold = 10 * clients * (10 + 1);

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
  const flood = startFlood(server.apiUrl, floodRoom, options);
  await pause(500);
  const peak = watchMemory(server.apiUrl);
  const during = await behave(server.apiUrl, room, users, options.seconds);
  const {asked, statuses} = await flood.stop();
  const memoryAtMost = await peak.stop();
  const cut = slow.stop();
  await pause(2_000);
  const after = await behave(server.apiUrl, room, users, Math.max(options.seconds / 4, 3));
  await server.end('SIGTERM');
  folder.remove();

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
    'requests/s of the flood': asked / options.seconds,
    'flood 429': share('429'),
    'flood 503': share('503'),
    'flood served': share('200') + share('201'),
    'slow sockets cut': cut,
    'memory MB before': memoryBefore,
    'memory MB at most': memoryAtMost,
  };
  const p99Limit = 2 * before.p99 + noiseMs;
  const broken = [
    ...(during.p99 > p99Limit ? [`p99 ${rounded(during.p99)} ms, over twice the ${rounded(before.p99)} before`] : []),
    ...(options.rateLimits === 'on' && asked / options.seconds < 0.95 * tenfold
      ? [`the flood: ${Math.round(asked / options.seconds)} requests/s instead of ${tenfold}`]
      : []),
    ...(during.failed > 0 ? ['clients that behave were refused'] : []),
    ...['500', 'no answer']
      .filter(status => share(status) > 0)
      .map(status => `flood: ${share(status)} times ${status}`),
    ...(memoryAtMost > 2 * memoryBefore + 50 + options.floodConnections * connectionMb ? ['memory'] : []),
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
  const took: number[] = [];
  let failed = 0;
  const end = performance.now() + seconds * 1_000;
  const path = `/api/rooms/${room}/messages/`;
  const one = async (user: string, i: number) => {
    const token = userToken(user);
    const post = requestText('POST', path, token, '{"content":"hello"}');
    const read = requestText('GET', `${path}?limit=10`, token);
    const wire = await connectWire(url);
    await pause((i * pauseMs) / users.length);
    for (let n = i; performance.now() < end; n++) {
      const started = performance.now();
      const status = await wire.send(n % 10 === 0 ? post : read);
      took.push(performance.now() - started);
      if (status >= 300) failed += 1;
      await pause(Math.max(pauseMs - (performance.now() - started), 0));
    }
    wire.close();
  };
  await Promise.all(users.map(one));
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

interface Flooded {
  asked: number;
  statuses: Record<string, number>;
}

function startFlood(
  url: string,
  room: number,
  {floodConnections, rateLimits}: OverloadOptions,
): {stop: () => Promise<Flooded>} {
  // The tests run what was compiled from this.
  const source = fileURLToPath(new URL('flood.ts', import.meta.url));
  const isSource = import.meta.url.endsWith('.ts');
  const child = fork(
    isSource ? source : source.replace(/ts$/, 'js'),
    [url, room, clients, floodConnections, ...(rateLimits === 'on' ? [tenfold] : [])].map(String),
    {execArgv: isSource ? ['--import', 'tsx'] : []},
  );
  return {
    async stop() {
      child.send('stop');
      const [flooded] = (await once(child, 'message')) as [Flooded];
      return flooded;
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
