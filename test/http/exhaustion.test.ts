// T30, T31, T37: what one caller can make the server keep or write down, beyond what is refused.
import test from 'ava';
import {Buffer} from 'node:buffer';
import {bodyLimit} from '../../src/http/body.ts';
import {apiToken, serviceToken} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {ask, sendBytes, startApi, testRoom} from '../helpers/http.ts';

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
