// The size of a room: what a post costs in the largest and in the smallest, and what its delivery takes beside the
// broker alone doing the same broadcasts.
import {setTimeout as delay} from 'node:timers/promises';
import type {Broadcast} from '../../src/core/broker.ts';
import {centrifugoBroker} from '../../src/delivery/broker.ts';
import {freePort} from '../free-port.mjs';
import {centrifugo, startCentrifugo} from './centrifugo.ts';
import type {Databases, DatabaseName} from './databases.ts';
import {round, type Figures, type Results} from './figures.ts';
import {analyze, fillRooms} from './fill.ts';
import {percentiles} from './load.ts';
import {startProgram} from './programs.ts';
import {metricsOf, secrets, startBenchServer, temporaryFolder, userToken} from './setup.ts';
import type {Sizes} from './sizes.ts';
import {connectWire, requestText, type Wire} from './wire.ts';

/** Members of the rooms whose fan-out is measured. */
const fanOutSizes = [10, 1_000, 10_000, 100_000];
const channelsPerRequest = 5_000;

export async function rooms(databases: Databases, sizes: Sizes): Promise<Results> {
  const results: Results = {};
  for (const name of databases.names) results[`rooms, ${name}`] = await largeBesideSmall(databases, name, sizes);
  const [first] = databases.names;
  const last = databases.names.at(-1) ?? first;
  return last ? {...results, ...(await fanOut(databases, last, sizes))} : results;
}

/** Posts one after the other into both rooms by turns, each once the one before it was delivered. */
async function largeBesideSmall(databases: Databases, name: DatabaseName, sizes: Sizes): Promise<Figures> {
  const members = [2, sizes.members];
  const DATABASE_URL = await databases.open(name, async db => {
    await fillRooms(
      db,
      members.map(each => ({members: each, prefix: 'u'})),
    );
    await analyze(db);
  });
  const server = await startBenchServer({DATABASE_URL});
  const wire = await connectWire(server.apiUrl);
  const [small, large]: [number[], number[]] = [[], []];
  for (let n = 0; n < sizes.posts + 2; n++) {
    for (const [room, times] of [
      [1, small],
      [2, large],
    ] as const) {
      const {ms} = await postAndDeliver(server.apiUrl, wire, room, 'u1');
      if (n >= 2) times.push(ms);
    }
  }
  wire.close();
  await server.stop();
  return {
    'post in the smallest p50 ms': round(percentiles(small).p50),
    'post in the largest p50 ms': round(percentiles(large).p50),
    members: sizes.members,
  };
}

/** Milliseconds until the 201, and until the broker had it all. */
async function postAndDeliver(
  apiUrl: string,
  wire: Wire,
  room: number,
  user: string,
): Promise<{ms: number; deliveredMs: number}> {
  const before = await deliveries(apiUrl);
  const started = performance.now();
  const status = await wire.send(
    requestText('POST', `/api/rooms/${room}/messages/`, userToken(user), '{"content":"message of the benchmark"}'),
  );
  const ms = performance.now() - started;
  if (status !== 201) throw new Error(`a post into room ${room} was answered with ${status}`);
  for (;;) {
    const now = await deliveries(apiUrl);
    if (now.count > before.count) return {ms, deliveredMs: (now.sum - before.sum) * 1_000};
    await delay(5);
  }
}

async function deliveries(apiUrl: string): Promise<{count: number; sum: number}> {
  const metrics = await metricsOf(apiUrl);
  return {
    count: metrics.get('chatctl_delivery_seconds_count') ?? 0,
    sum: metrics.get('chatctl_delivery_seconds_sum') ?? 0,
  };
}

/** Server and broker are processes of their own; then the broker alone gets the same from here. */
async function fanOut(databases: Databases, name: DatabaseName, sizes: Sizes): Promise<Results> {
  const folder = temporaryFolder();
  const wanted = fanOutSizes.filter(each => each <= sizes.members);
  const DATABASE_URL = await databases.open(name, async db => {
    await fillRooms(
      db,
      wanted.map((members, i) => ({members, prefix: `f${i}-`})),
    );
    await analyze(db);
  });
  const port = await freePort();
  const real = centrifugo === undefined ? undefined : await startCentrifugo(folder.path, port);
  const broker = real ? {url: `http://127.0.0.1:${port}`, stop: () => real.stop()} : await startProgram('broker');
  const server = await startBenchServer({DATABASE_URL, CENTRIFUGO_API_URL: broker.url});
  const wire = await connectWire(server.apiUrl);
  const alone = centrifugoBroker({url: broker.url, apiKey: secrets.CENTRIFUGO_API_KEY, requestTimeoutMs: 60_000});
  const results: Results = {};
  for (const [i, members] of wanted.entries()) {
    const channels = Array.from({length: members}, (_, n) => `personal:f${i}-${n + 1}`);
    const times = {server: [] as number[], broker: [] as number[]};
    for (let n = 0; n < sizes.posts + 2; n++) {
      const {deliveredMs} = await postAndDeliver(server.apiUrl, wire, i + 1, `f${i}-1`);
      const started = performance.now();
      for (const each of broadcasts(channels, n)) await alone.broadcast([each]);
      if (n < 2) continue;
      times.server.push(deliveredMs);
      times.broker.push(performance.now() - started);
    }
    results[`fan-out to ${members}`] = {
      'delivered ms': round(percentiles(times.server).p50),
      'broker alone ms': round(percentiles(times.broker).p50),
      broker: real ? 'Centrifugo' : 'the embedded endpoint in a process of its own',
      database: name,
    };
  }
  wire.close();
  await alone.close();
  await server.stop();
  await broker.stop();
  folder.remove();
  return results;
}

/** What the relay sends for one message. */
function broadcasts(channels: readonly string[], n: number): Broadcast[] {
  const data = JSON.stringify({type: 'message_added', body: {content: 'message of the benchmark', n}}).padEnd(300);
  const key = channels.length <= 1_000 ? {idempotencyKey: `bench_alone_${channels.length}_${n}`} : {};
  return Array.from({length: Math.ceil(channels.length / channelsPerRequest)}, (_, i) => ({
    channels: channels.slice(i * channelsPerRequest, (i + 1) * channelsPerRequest),
    data,
    ...key,
  }));
}
