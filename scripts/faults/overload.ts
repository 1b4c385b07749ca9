// F20, T29: slow sockets that never finish a request, and callers that ask for ten times what the limits let through, or as
// fast as they are answered, beside clients that behave. Those must be served as they were beside callers that ask for as
// much as the limits let through, the memory must stay within bounds, and all must be well soon after.
import {fork} from 'node:child_process';
import {once} from 'node:events';
import {constants, setPriority} from 'node:os';
import {extname} from 'node:path';
import {fileURLToPath} from 'node:url';
import {percentiles} from '../bench/load.ts';
import {residentMegabytes, temporaryFolder} from '../bench/setup.ts';
import {connectWire, requestText, type Wire} from '../bench/wire.ts';
import {createRoom, pause, startServerProcess, userToken} from './harness.ts';

export interface OverloadOptions {
  seconds: number;
  slowSockets: number;
  floodCallers: number;
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

const clients = 20;
const pauseMs = 250;
/** What an open connection with a request that waits may take. */
const connectionMb = 0.05;
/** What the limits of production let through of one user in a second: ten reads, and a post into one room. */
const permittedOfOne = 10 + 1;

export async function overload(options: OverloadOptions): Promise<OverloadResult> {
  const folder = temporaryFolder();
  const server = await startServerProcess({
    DATABASE_URL: options.databaseUrl ?? `sqlite:${folder.path}/chat.db`,
    RATE_LIMITS: options.rateLimits === 'on' ? 'address=1000000/10s' : 'off',
  });
  const pid = Number(server.child.pid);
  const users = Array.from({length: clients}, (_, i) => `user${i}`);
  const room = await createRoom(server.apiUrl, users);

  const slow = await loadProgram<number>('slow-sockets', [server.apiUrl, options.slowSockets]);
  const permitted = options.floodCallers * permittedOfOne;
  const tenfold = 10 * permitted;
  const usual = await loadFlood(server.apiUrl, 'usual', options, permitted);
  const flood = await loadFlood(server.apiUrl, 'flood', options, options.rateLimits === 'on' ? tenfold : undefined);

  const behaving = await connectClients(server.apiUrl, room, users);
  const aWhile = Math.max(options.seconds / 4, 3);
  // A server that has just started is slower than one that has been there for a while, and that is what a flood meets.
  await behave(behaving, aWhile);
  const quiet = await behave(behaving, aWhile);
  usual.begin();
  await pause(500);
  const before = await behave(behaving, aWhile);
  await usual.stop();
  const memoryBefore = residentMegabytes(pid);
  slow.begin();
  flood.begin();
  await pause(500);
  const peak = watchMemory(pid);
  const during = await behave(behaving, options.seconds);
  const {asked, statuses} = await flood.stop();
  const memoryAtMost = peak.stop();
  const cut = await slow.stop();
  await pause(2_000);
  const after = await behave(behaving, aWhile);
  for (const {wire} of behaving) wire.close();
  await server.end('SIGTERM');
  folder.remove();

  const share = (status: string) => statuses[status] ?? 0;
  const figures = {
    'p99 ms in quiet': quiet.p99,
    'p99 ms at the limits': before.p99,
    'p99 ms under overload': during.p99,
    'p99 ms after': after.p99,
    'p50 ms in quiet': quiet.p50,
    'p50 ms at the limits': before.p50,
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
  const broken = [
    ...(during.p99 > 2 * before.p99 ? [`p99 ${rounded(during.p99)} ms, over twice ${rounded(before.p99)}`] : []),
    ...(options.rateLimits === 'on' && asked / options.seconds < 0.95 * tenfold
      ? [`the flood: ${Math.round(asked / options.seconds)} requests/s instead of ${tenfold}`]
      : []),
    ...(during.failed > 0 ? ['clients that behave were refused'] : []),
    ...['500', 'no answer']
      .filter(status => share(status) > 0)
      .map(status => `flood: ${share(status)} times ${status}`),
    ...(memoryAtMost > 2 * memoryBefore + 50 + options.floodConnections * connectionMb ? ['memory'] : []),
    ...(after.p99 > 2 * before.p99 || after.failed > 0 ? ['not normal afterwards'] : []),
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

interface Client {
  wire: Wire;
  post: string;
  read: string;
}

/** Each has a connection of its own from the beginning: who comes anew waits behind all others who do, one a turn of Node's loop. */
function connectClients(url: string, room: number, users: readonly string[]): Promise<Client[]> {
  const path = `/api/rooms/${room}/messages/`;
  return Promise.all(
    users.map(async user => {
      const token = userToken(user);
      return {
        wire: await connectWire(url),
        post: requestText('POST', path, token, '{"content":"hello"}'),
        read: requestText('GET', `${path}?limit=10`, token),
      };
    }),
  );
}

/** Clients that ask four times a second each, and post every tenth time. */
async function behave(all: readonly Client[], seconds: number): Promise<Behaved> {
  const took: number[] = [];
  let failed = 0;
  const end = performance.now() + seconds * 1_000;
  const one = async ({wire, post, read}: Client, i: number) => {
    await pause((i * pauseMs) / all.length);
    for (let n = i; performance.now() < end; n++) {
      const started = performance.now();
      const status = await wire.send(n % 10 === 0 ? post : read);
      took.push(performance.now() - started);
      if (status >= 300) failed += 1;
      await pause(Math.max(pauseMs - (performance.now() - started), 0));
    }
  };
  await Promise.all(all.map(one));
  return {...percentiles(took), count: took.length, failed};
}

interface Flooded {
  asked: number;
  statuses: Record<string, number>;
}

/** Callers of this name in a room of their own, who ask so many times a second together. */
async function loadFlood(apiUrl: string, name: string, options: OverloadOptions, rate: number | undefined) {
  const callers = Array.from({length: options.floodCallers}, (_, i) => `${name}${i}`);
  const args = [apiUrl, await createRoom(apiUrl, callers), callers.join(), options.floodConnections];
  return loadProgram<Flooded>('flood', rate === undefined ? args : [...args, rate]);
}

/**
 * A program of this folder as a process of its own, once it is loaded: that takes a processor for a while, which is not what
 * is measured. It begins when it is told to, and answers once when it is told to stop.
 */
async function loadProgram<Told>(name: 'flood' | 'slow-sockets', args: readonly (string | number)[]) {
  // The tests run what was compiled from this.
  const extension = extname(import.meta.url);
  const child = fork(fileURLToPath(new URL(`${name}${extension}`, import.meta.url)), args.map(String), {
    execArgv: extension === '.ts' ? ['--import', 'tsx'] : [],
  });
  await once(child, 'message');
  // It stands for clients elsewhere. Here it has the processors of the server, and takes of them what that leaves.
  setPriority(Number(child.pid), constants.priority.PRIORITY_BELOW_NORMAL);
  return {
    begin: () => void child.send('begin'),
    async stop(): Promise<Told> {
      child.send('stop');
      const [told] = (await once(child, 'message')) as [Told];
      return told;
    },
  };
}

/** Asks the system, not the server: its metrics take time of the loop that is measured here. */
function watchMemory(pid: number): {stop: () => number} {
  let atMost = 0;
  const looking = setInterval(() => void (atMost = Math.max(atMost, residentMegabytes(pid))), 500);
  return {
    stop() {
      clearInterval(looking);
      return Math.max(atMost, residentMegabytes(pid));
    },
  };
}
