// T30, T31, T37: what one caller can make the server keep or write down, beyond what is refused.
import {Buffer} from 'node:buffer';
import {once} from 'node:events';
import {connect, type Socket} from 'node:net';
import test from 'ava';
import {bodyLimit} from '../../src/http/body.ts';
import {apiToken, serviceToken} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {ask, sendBytes, startApi, testRoom} from '../helpers/http.ts';
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
