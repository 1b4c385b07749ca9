// Lists: the rooms of users who have many, the newest page of messages, and pages at places that differ from one request to the
// next, near the newest message and far down, all by turns. Several users ask, because what one asks for twice at once is read
// once; the newest page is kept as text, the others are not asked for often enough.
import type {Databases, DatabaseName} from './databases.ts';
import {round, type Figures, type Results} from './figures.ts';
import {analyze, fillRooms} from './fill.ts';
import {loadFor, percentiles, type LoadResult} from './load.ts';
import {startBenchServer, userToken} from './setup.ts';
import type {Sizes} from './sizes.ts';
import {requestText} from './wire.ts';

const pageSize = 100;
const readers = 16;

export async function lists(databases: Databases, sizes: Sizes): Promise<Results> {
  const results: Results = {};
  for (const name of databases.names) results[`lists, ${name}`] = await listsOn(databases, name, sizes);
  return results;
}

async function listsOn(databases: Databases, name: DatabaseName, sizes: Sizes): Promise<Figures> {
  const messages = sizes.pages * pageSize;
  const rooms = Array.from({length: sizes['list-rooms']}, (_, i) => ({
    members: readers,
    prefix: 'u',
    messages: i === 0 ? messages : 1,
  }));
  const DATABASE_URL = await databases.open(name, async db => {
    await fillRooms(db, rooms);
    await analyze(db);
  });
  const server = await startBenchServer({DATABASE_URL});
  const tokens = Array.from({length: readers}, (_, i) => userToken(`u${i + 1}`));
  let asked = 0;
  const get = (path: string) => () => requestText('GET', path, tokens[asked++ % readers] ?? '');
  // The first message has the first id.
  const pageWithin = (from: number, to: number) => () => {
    const before = Math.round(Math.max(from * messages, pageSize + 1) + Math.random() * (to - from) * messages);
    return get(`/api/rooms/1/messages/?before=${before}`)();
  };
  const kinds = {
    rooms: {requests: get('/api/rooms/'), turns: [] as LoadResult[]},
    'first page': {requests: get('/api/rooms/1/messages/'), turns: [] as LoadResult[]},
    'near page': {requests: pageWithin(0.9, 1), turns: [] as LoadResult[]},
    'deep page': {requests: pageWithin(0, 0.1), turns: [] as LoadResult[]},
  };
  const seconds = sizes.seconds / sizes.rounds / 2;
  for (let n = 0; n <= sizes.rounds; n++) {
    for (const {requests, turns} of Object.values(kinds)) {
      turns.push(await loadFor({apiUrls: [server.apiUrl], connections: sizes.connections, requests}, seconds));
    }
  }
  await server.stop();
  const figures = Object.entries(kinds).flatMap(([kind, {turns}]) => {
    const counted = turns.slice(1);
    const {p50, p99} = percentiles(counted.flatMap(each => each.latencies));
    const perSecond = percentiles(counted.map(each => each.perSecond)).p50;
    return [
      [`${kind} requests/s`, Math.round(perSecond)],
      [`${kind} p50 ms`, round(p50)],
      [`${kind} p99 ms`, round(p99)],
      [`${kind} refused`, turns.reduce((sum, each) => sum + each.refused, 0)],
    ] as const;
  });
  return {...Object.fromEntries(figures), 'pages deep': sizes.pages};
}
