// T29: whose request is worked on next, and that nobody's is once its client has gone. The database's connections are
// held until everybody has asked.
import {once} from 'node:events';
import {createServer, IncomingMessage, ServerResponse} from 'node:http';
import {Socket, type AddressInfo} from 'node:net';
import {setImmediate as turn} from 'node:timers/promises';
import test, {type ExecutionContext} from 'ava';
import {createTurns, hungUp} from '../../src/http/turns.ts';
import type {OpenChat} from '../../src/open.ts';
import {apiToken} from '../helpers/chat.ts';
import {databases, type Database} from '../helpers/database.ts';
import {startApi, testRoom} from '../helpers/http.ts';
import {mostConnections, watchStatements} from '../helpers/statements.ts';
import {until} from '../helpers/until.ts';

const atOnce = 4;

/** An API whose reads all wait for the database until `go`. An eighth of its places, as on a slow machine, is enough. */
async function standingApi(t: ExecutionContext, database: Database, maxInFlight = 4_000) {
  let asked = 0;
  const admit = async () => void (asked += 1);
  const pass = () => Promise.resolve();
  const api = await startApi(t, database, {
    env: {DATABASE_POOL_MAX: '2'},
    // Nobody's turn ends before its work does, however slow the machine.
    turns: {atOnce, longMs: 600_000},
    limits: {admit, admitAnybody: pass, refused: pass},
    maxInFlight,
  });
  const room = await testRoom(api.chat, {members: ['mia', 'sam']});
  const {sql} = api.chat.db;
  const holders = await Promise.all(Array.from({length: mostConnections(sql)}, () => sql.transaction()));
  const go = async () => {
    for (const holder of holders.splice(0)) await holder.rollback();
  };
  t.teardown(go);
  const answered: string[] = [];
  return {
    chat: api.chat,
    logged: api.logged,
    /** Who was answered, in this order. */
    answered,
    /** Sends so many requests at once; they are here when it comes back. */
    async read(
      user: string,
      count: number,
      {token = apiToken(user), signal = null}: {token?: string; signal?: AbortSignal | null} = {},
    ) {
      const before = asked;
      const headers = {authorization: `Bearer ${token}`};
      const statuses = Array.from({length: count}, async () => {
        const {status} = await fetch(`${api.url}/api/rooms/${room}/messages/`, {headers, signal});
        answered.push(user);
        return status;
      });
      await until(() => asked === before + count, `${count} requests of ${user}`);
      await turn();
      return {statuses};
    },
    go,
  };
}

/** Fails when a membership of the user is read; counts those of others. */
function mustNotRead(t: ExecutionContext, {db}: OpenChat, user: string): () => number {
  let others = 0;
  watchStatements(db.sql, (text, bindings) => {
    if (!/join members/.test(text)) return;
    t.false(JSON.stringify(bindings).includes(user), text);
    others += 1;
  });
  return () => others;
}

test('a request whose client hangs up while it waits gets no turn, and the next one does', async t => {
  const turns = createTurns({atOnce: 1, waitingOfOne: 10, longMs: 600_000});
  const come: string[] = [];
  const begun: string[] = [];
  const left: string[] = [];
  const ends: (() => void)[] = [];
  const serve = async (path: string, response: ServerResponse) => {
    come.push(path);
    try {
      ends.push(await turns.begin(path, response));
      begun.push(path);
      response.end();
    } catch (cause) {
      left.push(cause === hungUp ? path : 'odd');
    }
  };
  const server = createServer((request, response) => void serve(request.url ?? '', response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const {port} = server.address() as AddressInfo;
  const get = (path: string, signal: AbortSignal | null = null) => fetch(`http://127.0.0.1:${port}${path}`, {signal});
  await get('/first');
  const client = new AbortController();
  const second = get('/second', client.signal).catch(() => 'gone');
  await until(() => come.includes('/second'), 'the second');
  const third = get('/third');
  await until(() => come.includes('/third'), 'the third');
  client.abort();
  t.is(await second, 'gone');
  await until(() => left.length > 0, 'the server to know');
  ends[0]?.();
  await third;
  t.deepEqual({begun, left}, {begun: ['/first', '/third'], left: ['/second']});
  ends[1]?.();
});

/** Turns at a clock that stands until it is moved. Everything is there that a caller's requests need. */
function turnsAtClock(t: ExecutionContext, atOnce: number) {
  let time = 0;
  const turns = createTurns({atOnce, waitingOfOne: 1_000, longMs: 600_000}, () => time);
  const ends: {caller: string; end: () => void}[] = [];
  t.teardown(async () => {
    for (time = Infinity; ends.length > 0; await turn()) ends.shift()?.end();
  });
  return {
    /** The callers whose requests are worked on, in the order in which they began. */
    working: () => ends.map(({caller}) => caller),
    async come(caller: string, count: number): Promise<void> {
      for (let n = 0; n < count; n++) {
        const answer = new ServerResponse(new IncomingMessage(new Socket()));
        void turns.begin(caller, answer).then(end => ends.push({caller, end}));
      }
      await turn();
    },
    async endOne(caller: string): Promise<void> {
      const [ended] = ends.splice(
        ends.findIndex(each => each.caller === caller),
        1,
      );
      ended?.end();
      await turn();
    },
    pass: (ms: number) => void (time += ms),
  };
}

test('beside those who ask now and then, who asks much has a quarter of the places, and all once it is alone', async t => {
  const clock = turnsAtClock(t, 8);
  await clock.come('sam', 1);
  await clock.endOne('sam');
  await clock.come('mia', 40);
  t.is(clock.working().length, 5, 'three while it had asked little, and a quarter');
  await clock.come('sam', 1);
  t.is(clock.working().at(-1), 'sam', 'at once');
  for (let n = 0; n < 3; n++) await clock.endOne('mia');
  await clock.endOne('sam');
  t.deepEqual(clock.working(), ['mia', 'mia']);
  clock.pass(1_001);
  await clock.endOne('mia');
  t.is(clock.working().length, 8);
});

test('who sends many at once and is alone has all places from the first one on', async t => {
  const clock = turnsAtClock(t, 8);
  await clock.come('mia', 40);
  t.is(clock.working().length, 8);
});

test('those who ask now and then are served one after another, and do not shut out who asks much', async t => {
  const clock = turnsAtClock(t, 4);
  await clock.come('sam', 1);
  await clock.endOne('sam');
  await clock.come('mia', 20);
  for (let n = 0; n < 10; n++) await clock.come(`user ${n}`, 1);
  for (let n = 0; n < 3; n++) await clock.endOne('mia');
  t.deepEqual(clock.working(), ['mia', 'user 0', 'user 1', 'user 2']);
  await clock.endOne('mia');
  t.deepEqual(clock.working(), ['user 0', 'user 1', 'user 2', 'mia']);
  await clock.endOne('user 1');
  t.deepEqual(clock.working(), ['user 0', 'user 2', 'mia', 'user 3']);
});

test('who asked much is one of the others again half a second later', async t => {
  const clock = turnsAtClock(t, 4);
  await clock.come('mia', 20);
  while (clock.working().length > 0) await clock.endOne('mia');
  await clock.come('sam', 1);
  await clock.come('mia', 2);
  t.is(clock.working().filter(caller => caller === 'mia').length, 1, 'it has asked much a moment ago');
  while (clock.working().includes('mia')) await clock.endOne('mia');
  clock.pass(500);
  await clock.come('mia', 2);
  t.is(clock.working().filter(caller => caller === 'mia').length, 2);
});

for (const database of databases) {
  test(`${database}: who asks once is answered before what others have waiting, and they all are in the end`, async t => {
    const api = await standingApi(t, database);
    const mia = await api.read('mia', 100);
    const sam = await api.read('sam', 1);
    await api.go();
    const statuses = await Promise.all([...mia.statuses, ...sam.statuses]);
    t.deepEqual(new Set(statuses), new Set([200]));
    const before = api.answered.indexOf('sam');
    t.true(before <= 2 * atOnce, `answered after ${before} of 100`);
  });

  test(`${database}: of two who both have much waiting neither waits for all that the other sent`, async t => {
    const api = await standingApi(t, database);
    const mia = await api.read('mia', 60);
    const sam = await api.read('sam', 20);
    await api.go();
    await Promise.all([...mia.statuses, ...sam.statuses]);
    const before = api.answered.slice(0, api.answered.lastIndexOf('sam')).filter(user => user === 'mia').length;
    t.true(before <= 20 + 2 * atOnce, `the last of 20 came after ${before} of 60`);
  });

  test(`${database}: a request whose client has hung up is not worked on`, async t => {
    const api = await standingApi(t, database);
    const mia = await api.read('mia', 10);
    const client = new AbortController();
    const gone = await api.read('sam', 1, client);
    const reads = mustNotRead(t, api.chat, 'sam');
    client.abort();
    t.is((await Promise.allSettled(gone.statuses))[0]?.status, 'rejected');
    await api.go();
    await Promise.all(mia.statuses);
    await until(() => api.logged().includes('"status":499'), 'the server to know');
    t.true(reads() > 0, 'others were');
  });

  test(`${database}: what one caller has waiting is bounded, whatever tokens it brings, and others are served`, async t => {
    const api = await standingApi(t, database, 40);
    const first = await api.read('mia', 20);
    const second = await api.read('mia', 5, {token: apiToken('mia', {jti: 'another'})});
    const sam = await api.read('sam', 1);
    await api.go();
    t.deepEqual(new Set(await Promise.all([...first.statuses, ...sam.statuses])), new Set([200]));
    t.deepEqual(
      (await Promise.all(second.statuses)).toSorted((a, b) => a - b),
      [200, 200, 200, 200, 503],
    );
  });
}
