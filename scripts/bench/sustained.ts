// A server that lives: a steady rate with delivery to the embedded endpoint for a minute, and its memory at full load.
import {setTimeout as delay} from 'node:timers/promises';
import type {Databases, DatabaseName} from './databases.ts';
import {round, type Figures, type Results} from './figures.ts';
import {fillAlike} from './fill.ts';
import {loadAtPace, loadFor, percentiles, postsInto, type Target} from './load.ts';
import {metricsOf, residentMegabytes, startBenchServer, userToken, type BenchServer} from './setup.ts';
import type {Sizes} from './sizes.ts';

/** Ten members each, as everywhere: one publication a member. */
const membersEach = 10;

export async function sustained(databases: Databases, sizes: Sizes): Promise<Results> {
  const results: Results = {};
  for (const name of databases.names) {
    results[`sustained, ${name}`] = await withServer(databases, name, sizes, (server, load) =>
      steady(server, load, sizes),
    );
  }
  return results;
}

export async function memory(databases: Databases, sizes: Sizes): Promise<Results> {
  const results: Results = {};
  for (const name of databases.names) {
    results[`memory, ${name}`] = await withServer(databases, name, sizes, (server, load) =>
      atFullLoad(server, load, sizes),
    );
  }
  return results;
}

async function withServer(
  databases: Databases,
  name: DatabaseName,
  {rooms, connections}: Sizes,
  work: (server: BenchServer, load: Target) => Promise<Figures>,
): Promise<Figures> {
  const DATABASE_URL = await databases.open(name, db => fillAlike(db, rooms, membersEach));
  const server = await startBenchServer({DATABASE_URL});
  const targets = Array.from({length: rooms}, (_, i) => ({room: i + 1, token: userToken(`r${i + 1}-1`)}));
  const figures = await work(server, {apiUrls: [server.apiUrl], connections, requests: postsInto(targets)});
  await server.stop();
  return figures;
}

async function steady(server: BenchServer, load: Target, {rate, sustain}: Sizes): Promise<Figures> {
  await loadAtPace(load, rate / 2, Math.min(sustain, 3));
  const lag: number[] = [];
  const watch = sampleUntil(loadAtPace(load, rate, sustain), 250, async () => {
    lag.push((await metricsOf(server.apiUrl)).get('chatctl_outbox_oldest_seconds') ?? NaN);
  });
  const result = await watch;
  const {p50, p99} = percentiles(result.latencies);
  const delivered = await whenDelivered(server);
  return {
    'posts/s': Math.round(result.perSecond),
    'publications/s': Math.round(result.perSecond * membersEach),
    'p50 ms': round(p50),
    'p99 ms': round(p99),
    refused: result.refused,
    'lag p50 s': round(percentiles(lag).p50),
    'lag at most s': round(Math.max(...lag)),
    'everything delivered after s': round(delivered),
  };
}

/** Seconds until nothing waits any more. */
async function whenDelivered({apiUrl}: BenchServer): Promise<number> {
  const started = performance.now();
  while ((await metricsOf(apiUrl)).get('chatctl_outbox_events') !== 0) await delay(20);
  return (performance.now() - started) / 1_000;
}

async function atFullLoad(server: BenchServer, load: Target, {soak}: Sizes): Promise<Figures> {
  await delay(Math.min(soak, 5) * 1_000);
  const idle = residentMegabytes(server.pid);
  // What is kept (streams by number, their keys for five minutes) fills up first.
  await loadFor(load, soak / 2);
  const samples: number[] = [];
  const result = await sampleUntil(loadFor(load, soak), Math.min(soak * 20, 1_000), () => {
    samples.push(residentMegabytes(server.pid));
    return Promise.resolve();
  });
  const fifth = (n: number) => {
    const part = samples.slice((samples.length * n) / 5, (samples.length * (n + 1)) / 5);
    return round(percentiles(part).p50);
  };
  return {
    'idle MB': round(idle),
    'first fifth MB': fifth(0),
    'last fifth MB': fifth(4),
    'MB by fifths': [0, 1, 2, 3, 4].map(fifth).join(' '),
    'MB at most': round(Math.max(...samples)),
    'seconds at full load': soak,
    'posts/s': Math.round(result.perSecond),
    refused: result.refused,
  };
}

/** Calls `sample` again and again while the work goes on. */
async function sampleUntil<T>(work: Promise<T>, everyMs: number, sample: () => Promise<void>): Promise<T> {
  let over = false;
  const done = work.finally(() => {
    over = true;
  });
  while (!over) {
    await sample();
    await Promise.race([delay(everyMs), done]);
  }
  return done;
}
