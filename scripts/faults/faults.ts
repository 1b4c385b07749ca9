// The faults of delivery and of the database, each with a size: small in the tests, large by hand.
import {createServer, type IncomingMessage, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import pg from 'pg';
import type {RoomId} from '../../src/core/ids.ts';
import {partitionCount, partitionOf} from '../../src/db/outbox.ts';
import {freePort} from '../free-port.mjs';
import {temporaryFolder} from '../bench/setup.ts';
import {
  createRoom,
  faultsIn,
  pause,
  randomOf,
  request,
  secrets,
  startBroker,
  serviceToken,
  startServerProcess,
  startWriters,
  subscribe,
  verdictOf,
  type ServerProcess,
  type Subscriber,
  type Verdict,
  type Writers,
} from './harness.ts';

export interface FaultResult {
  verdict: Verdict;
  /** What must not be, empty when the promise held. */
  broken: string[];
  figures: Record<string, number>;
}

export interface FaultOptions {
  seed: number;
  /** How often the fault strikes. */
  times: number;
  /** A database for both servers; a SQLite file when there is none. */
  databaseUrl?: string;
}

/** Writers and a subscriber under a server that ends again and again. */
async function underRestarts(options: FaultOptions, signal: 'SIGKILL' | 'SIGTERM'): Promise<FaultResult> {
  const random = randomOf(options.seed);
  const folder = temporaryFolder();
  const [port, realtimePort] = [await freePort(), await freePort()];
  const env = {
    DATABASE_URL: options.databaseUrl ?? `sqlite:${folder.path}/chat.db`,
    PORT: String(port),
    REALTIME_PORT: String(realtimePort),
  };
  const users = Array.from({length: 8}, (_, i) => `user${i}`);
  let server: ServerProcess = await startServerProcess(env);
  const {apiUrl, realtimeUrl} = server;
  const room = await createRoom(apiUrl, users);
  const subscriber = await subscribe(
    () => realtimeUrl,
    () => apiUrl,
    'user0',
    room,
  );
  const writers = startWriters(() => apiUrl, room, users, `s${options.seed}`);
  const readyTimes: number[] = [];
  const endTimes: number[] = [];
  for (let time = 0; time < options.times; time++) {
    // Under load: whatever the machine is busy with, posts have gone through since the last time.
    const enough = writers.acknowledged.size + 2 * users.length;
    while (writers.acknowledged.size < enough) await pause(5);
    await pause(random() * 250);
    const before = performance.now();
    await server.end(signal);
    endTimes.push(performance.now() - before);
    server = await startServerProcess(env);
    readyTimes.push(server.readyMs);
  }
  await pause(200);
  await writers.stop();
  const verdict = await verdictOf(apiUrl, room, writers, subscriber);
  subscriber.close();
  await server.end('SIGTERM');
  folder.remove();
  const figures = {
    'ready ms at most': Math.round(Math.max(...readyTimes)),
    'end ms at most': Math.round(Math.max(...endTimes)),
    refetches: subscriber.refetches,
  };
  return {verdict, broken: faultsIn(verdict), figures};
}

/** F1, F29: kill -9 under eight writers. A 201 is durable, the restart needs no repair, a retry answers the first. */
export const killServer = (options: FaultOptions) => underRestarts(options, 'SIGKILL');

/** F19: SIGTERM under load. What is under way is finished, sockets are sent away with 3001, nothing is lost. */
export const rollingRestart = (options: FaultOptions) => underRestarts(options, 'SIGTERM');

interface Proxy {
  url: string;
  /** Called after the broker acted and before it answers. */
  onAnswer: (answered: number) => 'answer' | 'cut' | 'fail';
  close(): Promise<void>;
}

/** Stands between the relay and the broker's server API. */
async function startProxy(target: string): Promise<Proxy> {
  let answered = 0;
  const proxy: Proxy = {url: '', onAnswer: () => 'answer', close: () => Promise.resolve()};
  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const choice = proxy.onAnswer(answered++);
    if (choice === 'fail') return void response.writeHead(503).end();
    const answer = await fetch(`${target}${request.url}`, {
      method: 'POST',
      headers: {'x-api-key': secrets.CENTRIFUGO_API_KEY},
      body: Buffer.concat(chunks),
    }).catch(() => undefined);
    if (!answer) return void response.writeHead(502).end();
    const text = await answer.text();
    if (choice === 'cut') return void request.socket.destroy();
    response.writeHead(answer.status, {'content-type': 'application/json'}).end(text);
  }
  const server = createServer((request, response) => void handle(request, response).catch(() => response.destroy()));
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  proxy.close = async () => {
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
  };
  return proxy;
}

/**
 * F3, F8: the answer is lost after the broker acted, and with `kill` the relay's process dies at that moment. The
 * broker is not of that process, so that its streams and keys outlive the relay.
 */
async function afterPublish(options: FaultOptions, kill: boolean): Promise<FaultResult> {
  const random = randomOf(options.seed);
  const folder = temporaryFolder();
  const broker = await startBroker();
  const proxy = await startProxy(broker.httpUrl);
  const port = await freePort();
  const env = {
    DATABASE_URL: options.databaseUrl ?? `sqlite:${folder.path}/chat.db`,
    PORT: String(port),
    CENTRIFUGO_API_URL: proxy.url,
  };
  let server: ServerProcess | undefined = await startServerProcess(env);
  const {apiUrl} = server;
  const users = Array.from({length: 4}, (_, i) => `user${i}`);
  const room = await createRoom(apiUrl, users);
  const subscriber = await subscribe(
    () => broker.realtimeUrl,
    () => apiUrl,
    'user0',
    room,
  );
  const writers = startWriters(() => apiUrl, room, users, `s${options.seed}`);
  let strikes = 0;
  let restarting: Promise<void> | undefined;
  let untilStrike = 3;
  proxy.onAnswer = () => {
    if (strikes >= options.times || restarting || untilStrike-- > 0) return 'answer';
    strikes += 1;
    untilStrike = 2 + Math.floor(random() * 20);
    if (kill) restarting = restart();
    return 'cut';
  };
  async function restart(): Promise<void> {
    await server?.end('SIGKILL');
    server = await startServerProcess(env);
    restarting = undefined;
  }
  const deadline = performance.now() + 20_000 + options.times * 2_000;
  while ((strikes < options.times || restarting) && performance.now() < deadline) await pause(20);
  await pause(200);
  await writers.stop();
  const verdict = await verdictOf(apiUrl, room, writers, subscriber);
  subscriber.close();
  await server?.end('SIGTERM');
  await proxy.close();
  await broker.close();
  folder.remove();
  const missed = strikes < options.times ? [`only ${strikes} of ${options.times} strikes`] : [];
  return {verdict, broken: [...faultsIn(verdict), ...missed], figures: {strikes}};
}

export const killAfterPublish = (options: FaultOptions) => afterPublish(options, true);
export const cutAnswer = (options: FaultOptions) => afterPublish(options, false);

/** F4, F7: the broker fails for a while, again and again, under load. Every post is accepted, everything arrives. */
export async function brokerOutage(options: FaultOptions): Promise<FaultResult> {
  const random = randomOf(options.seed);
  const folder = temporaryFolder();
  const broker = await startBroker();
  const proxy = await startProxy(broker.httpUrl);
  const server = await startServerProcess({
    DATABASE_URL: options.databaseUrl ?? `sqlite:${folder.path}/chat.db`,
    CENTRIFUGO_API_URL: proxy.url,
  });
  const users = Array.from({length: 4}, (_, i) => `user${i}`);
  const room = await createRoom(server.apiUrl, users);
  const subscriber = await subscribe(
    () => broker.realtimeUrl,
    () => server.apiUrl,
    'user0',
    room,
  );
  const writers = startWriters(() => server.apiUrl, room, users, `s${options.seed}`);
  for (let time = 0; time < options.times; time++) {
    await pause(100 + random() * 100);
    proxy.onAnswer = () => 'fail';
    await pause(100 + random() * 400);
    proxy.onAnswer = () => 'answer';
  }
  await pause(200);
  await writers.stop();
  const verdict = await verdictOf(server.apiUrl, room, writers, subscriber);
  const refusals = [...writers.refused.values()].reduce((sum, count) => sum + count, 0);
  subscriber.close();
  await server.end('SIGTERM');
  await proxy.close();
  await broker.close();
  folder.remove();
  return {
    verdict,
    broken: [...faultsIn(verdict), ...(refusals > 0 ? [`${refusals} posts refused`] : [])],
    figures: {refusals},
  };
}

/**
 * F6: the broker is killed and comes back with its memory empty, under load. Clients learn that their position is lost,
 * fetch once, and end with the same messages as the database.
 */
export async function restartBroker(options: FaultOptions & {clients: number}): Promise<FaultResult> {
  const random = randomOf(options.seed);
  const [folder, brokerFolder] = [temporaryFolder(), temporaryFolder()];
  const brokerEnv = {DATABASE_URL: `sqlite:${brokerFolder.path}/chat.db`, REALTIME_PORT: String(await freePort())};
  let broker = await startServerProcess(brokerEnv);
  const {realtimeUrl} = broker;
  const server = await startServerProcess({
    DATABASE_URL: options.databaseUrl ?? `sqlite:${folder.path}/chat.db`,
    CENTRIFUGO_API_URL: `http://${new URL(realtimeUrl).host}`,
  });
  const users = Array.from({length: options.clients}, (_, i) => `user${i}`);
  const room = await createRoom(server.apiUrl, users);
  const subscribers = await Promise.all(
    users.map(user =>
      subscribe(
        () => realtimeUrl,
        () => server.apiUrl,
        user,
        room,
      ),
    ),
  );
  const writers = startWriters(() => server.apiUrl, room, users.slice(0, 2), `s${options.seed}`);
  for (let time = 0; time < options.times; time++) {
    const enough = writers.acknowledged.size + 10;
    while (writers.acknowledged.size < enough) await pause(5);
    await pause(random() * 200);
    await broker.end('SIGKILL');
    broker = await startServerProcess(brokerEnv);
    await Promise.all(subscribers.map(each => each.client.ready(20_000)));
  }
  await pause(300);
  await writers.stop();
  const verdicts = await Promise.all(subscribers.map(each => verdictOf(server.apiUrl, room, writers, each)));
  const refetches = Math.max(...subscribers.map(each => each.refetches));
  for (const each of subscribers) each.close();
  await server.end('SIGTERM');
  await broker.end('SIGTERM');
  folder.remove();
  brokerFolder.remove();
  const [verdict] = verdicts;
  if (!verdict) throw new Error('no clients');
  return {verdict, broken: verdicts.flatMap(faultsIn), figures: {'refetches of a client at most': refetches}};
}

/** F22: many clients lose the connection at once, again and again, and recover from the broker without our API. */
export async function reconnectStorm(options: FaultOptions & {clients: number}): Promise<FaultResult> {
  const folder = temporaryFolder();
  const server = await startServerProcess({DATABASE_URL: options.databaseUrl ?? `sqlite:${folder.path}/chat.db`});
  const users = Array.from({length: options.clients}, (_, i) => `user${i}`);
  const room = await createRoom(server.apiUrl, users);
  const subscribers = await Promise.all(
    users.map(user =>
      subscribe(
        () => server.realtimeUrl,
        () => server.apiUrl,
        user,
        room,
      ),
    ),
  );
  const writers = startWriters(() => server.apiUrl, room, users.slice(0, 2), `s${options.seed}`);
  const before = subscribers.map(each => each.tokens);
  for (let time = 0; time < options.times; time++) {
    for (const {client} of subscribers) client.disconnect();
    const enough = writers.acknowledged.size + 5;
    while (writers.acknowledged.size < enough) await pause(5);
    for (const {client} of subscribers) client.connect();
    await Promise.all(subscribers.map(each => each.client.ready(20_000)));
  }
  await writers.stop();
  const verdicts = await Promise.all(subscribers.map(each => verdictOf(server.apiUrl, room, writers, each)));
  const refetches = subscribers.reduce((sum, each) => sum + each.refetches, 0);
  const tokens = Math.max(...subscribers.map((each, i) => each.tokens - (before[i] ?? 0)));
  for (const each of subscribers) each.close();
  await server.end('SIGTERM');
  folder.remove();
  const broken = [
    ...verdicts.flatMap(faultsIn),
    ...(refetches > 0 ? [`${refetches} clients fetched from the database`] : []),
    ...(tokens > options.times ? [`${tokens} tokens for ${options.times} reconnects`] : []),
  ];
  const verdict = verdicts[0];
  if (!verdict) throw new Error('no clients');
  return {verdict, broken, figures: {refetches, 'tokens of a client at most': tokens}};
}

/**
 * F12, on PostgreSQL: the process that delivers is frozen and holds its partitions; the database ends its session, another
 * process takes over, and then the first one wakes up.
 */
export async function freezeRelay(options: FaultOptions & {databaseUrl: string}): Promise<FaultResult> {
  const results: FaultResult[] = [];
  for (let time = 0; time < options.times; time++) {
    results.push(await freezeOnce(options.databaseUrl, `s${options.seed}-${time}`));
  }
  const verdict = results.map(each => each.verdict).reduce(sumOf);
  const takeoverMs = Math.max(...results.map(each => each.figures['taken over after ms'] ?? 0));
  return {verdict, broken: results.flatMap(each => each.broken), figures: {'taken over after ms': takeoverMs}};
}

async function freezeOnce(databaseUrl: string, tag: string): Promise<FaultResult> {
  const broker = await startBroker();
  const env = {DATABASE_URL: databaseUrl, CENTRIFUGO_API_URL: broker.httpUrl};
  const frozen = await startServerProcess(env);
  const locks = await watchLocks(databaseUrl);
  const other = await startServerProcess(env);
  const users = Array.from({length: 4}, (_, i) => `user${i}`);
  const room = await roomDeliveredByFirst(locks, () => createRoom(other.apiUrl, users));
  const subscriber = await subscribe(
    () => broker.realtimeUrl,
    () => other.apiUrl,
    'user0',
    room,
  );
  const writers = startWriters(() => other.apiUrl, room, users, tag);
  await pause(300);
  frozen.child.kill('SIGSTOP');
  const stopped = performance.now();
  // What the frozen process had sent already may still arrive.
  await pause(1_000);
  const quiet = subscriber.versions.length;
  while (subscriber.versions.length <= quiet && performance.now() - stopped < 30_000) await pause(20);
  const takeoverMs = Math.round(performance.now() - stopped);
  frozen.child.kill('SIGCONT');
  await pause(500);
  await writers.stop();
  const verdict = await verdictOf(other.apiUrl, room, writers, subscriber);
  subscriber.close();
  for (const each of [frozen, other]) await each.end('SIGTERM');
  await broker.close();
  await locks.close();
  const late = takeoverMs > 15_000 ? [`taken over after ${takeoverMs} ms`] : [];
  return {verdict, broken: [...faultsIn(verdict), ...late], figures: {'taken over after ms': takeoverMs}};
}

interface Locks {
  /** The partitions of the server that was there when the watch began. */
  ofFirst(): Promise<number[]>;
  close(): Promise<void>;
}

async function watchLocks(databaseUrl: string): Promise<Locks> {
  const client = new pg.Client({connectionString: databaseUrl});
  await client.connect();
  const {rows: sessions} = await client.query<{pid: number}>(
    `select pid from pg_stat_activity where application_name = 'chatctl relay' and datname = current_database()`,
  );
  return {
    async ofFirst() {
      const {rows} = await client.query<{key: number}>(
        `select objid::int as key from pg_locks where locktype = 'advisory' and granted and pid = $1`,
        [sessions[0]?.pid],
      );
      return rows.map(row => row.key).filter(key => key < partitionCount);
    },
    close: () => client.end(),
  };
}

/** A room in one of the partitions that stay with the first server once the second has its share. */
async function roomDeliveredByFirst(locks: Locks, create: () => Promise<number>): Promise<number> {
  while ((await locks.ofFirst()).length !== partitionCount / 2) await pause(20);
  const held = await locks.ofFirst();
  for (;;) {
    const room = await create();
    if (held.includes(partitionOf(room as RoomId))) return room;
  }
}

function sumOf(one: Verdict, other: Verdict): Verdict {
  const names = Object.keys(one) as (keyof Verdict)[];
  return Object.fromEntries(names.map(name => [name, one[name] + other[name]])) as unknown as Verdict;
}

/**
 * Two servers on one PostgreSQL, one of them killed at random again and again while writers post to whichever is there.
 * A third process is the broker of both. After a kill the other one must have the dead one's partitions, which shows in
 * the next event of a room that lay in one of them.
 */
export async function killOneOfTwo(
  options: FaultOptions & {databaseUrl: string; everyMs: number; takeoverLimitMs: number},
): Promise<FaultResult> {
  const random = randomOf(options.seed);
  const brokerFolder = temporaryFolder();
  const broker = await startServerProcess({DATABASE_URL: `sqlite:${brokerFolder.path}/chat.db`});
  const ports = [await freePort(), await freePort()];
  const start = (which: number) =>
    startServerProcess({
      DATABASE_URL: options.databaseUrl,
      CENTRIFUGO_API_URL: `http://${new URL(broker.realtimeUrl).host}`,
      PORT: String(ports[which]),
    });
  const servers = [await start(0), await start(1)];
  const apiUrls = servers.map(each => each.apiUrl);
  let turn = 0;
  // As behind a balancer without stickiness: each request goes to the next server.
  const balanced = () => apiUrls[turn++ % 2] ?? '';
  const users = Array.from({length: 4}, (_, i) => `user${i}`);
  const rooms: {id: number; writers: Writers; subscriber: Subscriber}[] = [];
  for (let i = 0; i < roomsUnderKills; i++) {
    const id = await createRoom(balanced(), users);
    const subscriber = await subscribe(() => broker.realtimeUrl, balanced, `user${i % users.length}`, id);
    rooms.push({id, subscriber, writers: startWriters(balanced, id, users.slice(0, 2), `s${options.seed}-${i}`)});
  }
  const takeovers: number[] = [];
  for (let time = 0; time < options.times; time++) {
    await pause(options.everyMs * (0.5 + random()));
    const which = Math.floor(random() * 2);
    const killed = servers[which];
    if (!killed) throw new Error('there is no such server');
    const killedAt = performance.now();
    await killed.end('SIGKILL');
    await everyRoomGoesOn(apiUrls[1 - which] ?? '', rooms);
    takeovers.push(performance.now() - killedAt);
    servers[which] = await start(which);
  }
  await pause(300);
  for (const {writers} of rooms) await writers.stop();
  const verdicts: Verdict[] = [];
  for (const {id, writers, subscriber} of rooms) {
    verdicts.push(await verdictOf(balanced(), id, writers, subscriber));
    subscriber.close();
  }
  for (const each of [...servers, broker]) await each.end('SIGTERM');
  brokerFolder.remove();
  const slowest = Math.round(Math.max(...takeovers));
  const late = slowest > options.takeoverLimitMs ? [`taken over after ${slowest} ms`] : [];
  const verdict = verdicts.reduce(sumOf);
  return {verdict, broken: [...faultsIn(verdict), ...late], figures: {'taken over after ms at most': slowest}};
}

/** Enough for some to lie in the partitions of each server. */
const roomsUnderKills = 8;

/** Until every room delivered something that was stored from now on. */
async function everyRoomGoesOn(apiUrl: string, rooms: readonly {id: number; subscriber: Subscriber}[]): Promise<void> {
  const waiting = rooms.map(async ({id, subscriber}) => {
    const answer = await request(apiUrl, serviceToken(), 'GET', `/api/rooms/${id}/`);
    while ((subscriber.versions.at(-1) ?? 0) <= Number(answer?.body['version'])) await pause(5);
  });
  await Promise.all(waiting);
}
