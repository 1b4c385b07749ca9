// T30, T31, T37: what one caller can make the server keep or write down, beyond what is refused.
import {Buffer} from 'node:buffer';
import {once} from 'node:events';
import {connect, type Socket} from 'node:net';
import test, {type ExecutionContext} from 'ava';
import {bodyLimit} from '../../src/http/body.ts';
import {apiToken, serviceToken} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {ask, sendBytes, startApi, testRoom, type Api} from '../helpers/http.ts';
import {until} from '../helpers/until.ts';

const mia = apiToken('mia');

test('a request that cannot be read leaves none of its bytes in the log', async t => {
  const api = await startApi(t, 'sqlite');
  const token = 'CANARY-of-a-header';
  await sendBytes(api, `GET /healthz HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nX : 1\r\n\r\n`);
  t.true(api.logged().includes('request could not be read'));
  t.false(api.logged().includes(token));
  t.false(api.logged().includes(Buffer.from(token).join(',')));
});

test('a user sends no bulk bodies: what is large is for the service', async t => {
  const api = await startApi(t, 'sqlite');
  const members = Array.from({length: 1_000}, (_, i) => `${'u'.repeat(100)}${i}`);
  t.true(JSON.stringify({members}).length > bodyLimit);
  const bulk = (token: string) => ask(api, token, 'POST', '/api/rooms/', {name: 'all', members});
  t.is((await bulk(mia)).status, 413);
  t.is((await bulk(serviceToken())).status, 201);
});

test('T29: bodies that do not come take no place from others, and one caller has half of them however they write it', async t => {
  const api = await startApi(t, 'sqlite', {maxInFlight: 2});
  const room = await testRoom(api.chat);
  const waiting: Socket[] = [];
  for (const token of [mia, apiToken('ann'), apiToken('bob')]) {
    const socket = connect(api.port, '127.0.0.1');
    t.teardown(() => socket.destroy());
    socket.write(
      [
        `POST /api/rooms/${room}/messages/ HTTP/1.1`,
        'Host: a',
        `Authorization: Bearer ${token}`,
        'Content-Type: application/json',
        'Content-Length: 16',
        'Expect: 100-continue',
        '',
        '{"content":',
      ].join('\r\n'),
    );
    // That it is here; its place is free again a little later.
    await once(socket, 'data');
    const served = () => ask(api, apiToken('eve'), 'GET', '/api/rooms/').then(({status}) => status === 200);
    await until(served, 'a place beside it');
    waiting.push(socket);
  }
  const own = await ask(api, undefined, 'GET', '/api/rooms/', undefined, {authorization: `bEARER ${mia}`});
  t.is(own.status, 503);
  t.is(own.at('code'), 'overloaded');
  const [first] = waiting as [Socket];
  const answer = once(first, 'data');
  first.write(' "x"}');
  t.regex(String((await answer)[0]), /^HTTP\/1\.1 201 /);
  t.is((await ask(api, mia, 'GET', '/api/rooms/')).status, 200);
});

/** A room of mia and ann whose page of messages is 4 MB, which no kernel takes at once. */
async function roomOfLongMessages(api: Api): Promise<string> {
  const room = await testRoom(api.chat);
  const path = `/api/rooms/${room}/messages/`;
  const content = '😀'.repeat(10_000);
  await Promise.all(Array.from({length: 100}, () => ask(api, mia, 'POST', path, {content})));
  return path;
}

interface Reader {
  /** Reads on, and answers how many bytes came in all until the connection was closed. */
  rest(): Promise<number>;
}

/** Asks over a connection of its own, and reads the beginning of the answer and no more. */
async function startReading(t: ExecutionContext, api: Api, token: string, path: string): Promise<Reader> {
  const socket = connect(api.port, '127.0.0.1').on('error', () => undefined);
  t.teardown(() => socket.destroy());
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
  const begun = once(socket, 'data');
  socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\n\r\n`);
  await begun;
  socket.pause();
  return {
    async rest() {
      const closed = once(socket, 'close');
      socket.resume();
      await closed;
      return bytes;
    },
  };
}

const whole = 4_000_000;

test('T29, T39: an answer that is not read in time is cut off, and one that is read comes whole', async t => {
  const api = await startApi(t, 'sqlite', {unread: {timeoutMs: 50, maxBytes: 1e9}});
  const path = await roomOfLongMessages(api);
  const idle = await startReading(t, api, mia, path);
  await until(() => api.logged().includes('answers are not read'), 'the warning');
  t.true((await idle.rest()) < whole);
  const patient = await startApi(t, 'sqlite', {chat: api.chat, unread: {timeoutMs: 60_000, maxBytes: 1e9}});
  t.true((await (await startReading(t, patient, mia, path)).rest()) > whole);
  t.false(patient.logged().includes('answers are not read'));
});

test('T29, T39: of too much that is not read the oldest goes of who leaves the most, whatever tokens they bring', async t => {
  const api = await startApi(t, 'sqlite', {unread: {timeoutMs: 60_000, maxBytes: 6_000_000}});
  const path = await roomOfLongMessages(api);
  const slow = await startReading(t, api, apiToken('ann'), path);
  const greedy: Reader[] = [];
  for (let i = 0; i < 6; i++) greedy.push(await startReading(t, api, apiToken('mia', {jti: String(i)}), path));
  const taken = await Promise.all(greedy.map(reader => reader.rest()));
  t.true((taken[0] ?? whole) < whole, 'the oldest is gone');
  t.true((taken.at(-1) ?? 0) > whole, 'the newest is whole');
  t.true((await slow.rest()) > whole, 'and that of another too');
});

if (databases.includes('postgres')) {
  test('postgres: T32: a search that takes too long is ended, and its connection serves on', async t => {
    const api = await startApi(t, 'postgres');
    await testRoom(api.chat);
    const blocker = await api.chat.db.sql.transaction();
    await blocker.raw('lock table rooms in access exclusive mode');
    const refused = await ask(api, mia, 'GET', '/api/search/?q=a');
    await blocker.rollback();
    t.is(refused.status, 503, refused.text);
    t.is(refused.at('code'), 'database_busy');
    const [limit] = (await api.chat.db.sql.raw('show statement_timeout')).rows as {statement_timeout: string}[];
    t.is(limit?.statement_timeout, '30s');
    t.is((await ask(api, mia, 'GET', '/api/search/?q=a')).status, 200);
  });
}
