// Posts as fast as they are answered, beside bare Koa and beside the databases alone. All of it is started first and
// then runs in turns.
//
// What a 201 costs is measured while the broker is away, so that events pile up; with delivery to the embedded endpoint
// it is measured for itself, because that takes the same processor.
import type {SettingName} from '../../src/settings.ts';
import {postgresAlone, sqliteAlone} from './alone.ts';
import type {Databases, DatabaseName} from './databases.ts';
import {round, type Figures, type Results} from './figures.ts';
import {fillAlike} from './fill.ts';
import {loadFor, percentiles, postsInto, type LoadResult, type Target} from './load.ts';
import {startProgram} from './programs.ts';
import {processorSeconds, startBenchServer, userToken, type BenchServer} from './setup.ts';
import type {Sizes} from './sizes.ts';

interface Contender {
  name: string;
  turn(seconds: number): Promise<void>;
  figures(): Figures;
  close(): Promise<void>;
}

export async function posts(databases: Databases, sizes: Sizes): Promise<Results> {
  const contenders: Contender[] = [];
  const broker = await startProgram('broker');
  try {
    for await (const each of openAll(databases, sizes, broker.url)) contenders.push(each);
    // The first turn warms up and does not count.
    for (const each of contenders) await each.turn(sizes['warm-up']);
    for (let n = 0; n < sizes.rounds; n++) {
      for (const each of contenders) await each.turn(sizes.seconds / sizes.rounds);
    }
    return Object.fromEntries(contenders.map(each => [each.name, each.figures()]));
  } finally {
    for (const each of contenders) await each.close();
    await broker.stop();
  }
}

async function* openAll(databases: Databases, sizes: Sizes, brokerUrl: string): AsyncGenerator<Contender> {
  yield await bareKoa(sizes);
  for (const name of databases.names) {
    yield await alone(databases, name, sizes);
    yield await server(databases, name, name, sizes, [nowhere]);
    yield await server(databases, name, `${name}, delivered`, sizes, [{}]);
  }
  if (!databases.names.includes('PostgreSQL')) return;
  const shared = {CENTRIFUGO_API_URL: brokerUrl};
  yield await server(databases, 'PostgreSQL', 'PostgreSQL, one process', sizes, [shared]);
  yield await server(databases, 'PostgreSQL', 'PostgreSQL, two processes', sizes, [shared, shared]);
}

/** A port that nobody listens on. */
const nowhere = {CENTRIFUGO_API_URL: 'http://127.0.0.1:9'};

/** Ten members each, who post in turn. */
function targets(sizes: Sizes) {
  return Array.from({length: sizes.rooms}, (_, i) => ({room: i + 1, token: userToken(`r${i + 1}-1`)}));
}

async function server(
  databases: Databases,
  database: DatabaseName,
  name: string,
  sizes: Sizes,
  processes: readonly Partial<Record<SettingName, string>>[],
): Promise<Contender> {
  const DATABASE_URL = await databases.open(database, db => fillAlike(db, sizes.rooms, 10));
  const servers: BenchServer[] = [];
  for (const env of processes) servers.push(await startBenchServer({DATABASE_URL, ...env}));
  const {connections} = sizes;
  const load = {apiUrls: servers.map(each => each.apiUrl), connections, requests: postsInto(targets(sizes))};
  const turns = takeTurns(
    load,
    servers.map(each => each.pid),
  );
  return {
    name: `posts, ${name}`,
    turn: turns.take,
    figures: () => turns.figures('posts/s'),
    async close() {
      for (const each of servers) await each.stop();
    },
  };
}

async function bareKoa(sizes: Sizes): Promise<Contender> {
  const koa = await startProgram('koa');
  const load = {apiUrls: [koa.url], connections: sizes.connections, requests: postsInto(targets(sizes))};
  const turns = takeTurns(load, [koa.pid]);
  return {
    name: 'bare Koa',
    turn: turns.take,
    figures: () => turns.figures('requests/s'),
    close: () => koa.stop(),
  };
}

async function alone(databases: Databases, database: DatabaseName, sizes: Sizes): Promise<Contender> {
  const url = await databases.open(database, db => fillAlike(db, sizes.rooms, 10));
  const batch = Math.min(sizes.connections, sizes.rooms);
  const driver =
    database === 'PostgreSQL'
      ? await postgresAlone(url, sizes.connections, sizes.rooms)
      : await sqliteAlone(url.replace('sqlite:', ''), batch, sizes.rooms);
  const rates: number[] = [];
  return {
    name: `${database} alone`,
    turn: async seconds => void rates.push(await driver.postsPerSecond(seconds)),
    figures: () => ({'posts/s': Math.round(median(rates.slice(1))), by: driver.how}),
    close: () => driver.close(),
  };
}

/** The first turn is left out. */
function takeTurns(load: Target, pids: readonly number[]) {
  const turns: (LoadResult & {processor: number})[] = [];
  const processor = () => pids.reduce((sum, pid) => sum + processorSeconds(pid), 0);
  return {
    async take(seconds: number): Promise<void> {
      const before = processor();
      const result = await loadFor(load, seconds);
      turns.push({...result, processor: processor() - before});
    },
    figures(unit: string): Figures {
      const counted = turns.slice(1);
      const total = (of: (each: (typeof turns)[number]) => number) => counted.reduce((sum, each) => sum + of(each), 0);
      const {p50, p99} = percentiles(counted.flatMap(each => each.latencies));
      return {
        [unit]: Math.round(median(counted.map(each => each.perSecond))),
        'p50 ms': round(p50),
        'p99 ms': round(p99),
        'processor µs each': Math.round((total(each => each.processor) * 1e6) / total(each => each.accepted)),
        refused: total(each => each.refused),
      };
    },
  };
}

function median(values: readonly number[]): number {
  return percentiles(values).p50;
}
