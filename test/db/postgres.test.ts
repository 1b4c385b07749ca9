// What happens between us and a PostgreSQL: encryption, and a server that goes away and comes back.
import test, {type ExecutionContext} from 'ava';
import {openDatabase} from '../../src/open.ts';
import type {Queryable} from '../../src/db/connect.ts';
import {rows} from '../../src/db/rows.ts';
import {inTransaction} from '../../src/db/transaction.ts';
import {apiToken, openTestChat, serviceToken, testConfig} from '../helpers/chat.ts';
import {databases, emptyDatabase} from '../helpers/database.ts';
import {startProxy, testAuthority} from '../helpers/proxy.ts';
import {request, roomOf, startTestServer} from '../helpers/server.ts';
import {until} from '../helpers/until.ts';

/** Opens the database through TLS with these parameters in its URL. */
async function openEncrypted(t: ExecutionContext, parameters: Record<string, string>, host = 'localhost') {
  const {url} = await startProxy(t, await emptyDatabase(t, 'postgres'), {tls: true});
  const encrypted = new URL(url);
  encrypted.hostname = host;
  for (const [name, value] of Object.entries(parameters)) encrypted.searchParams.set(name, value);
  const db = await openDatabase(await testConfig(t, 'postgres', {DATABASE_URL: encrypted.href}));
  t.teardown(() => db.close());
  return db;
}

if (databases.includes('postgres')) {
  for (const sslmode of ['prefer', 'require', 'verify-ca', 'verify-full']) {
    test(`sslmode=${sslmode} refuses a certificate that nobody vouches for`, async t => {
      const error = await t.throwsAsync(openEncrypted(t, {sslmode}), {code: 'database_unavailable'});
      t.regex(error.message, /certificate/);
      t.regex(String((error as {hint?: string}).hint), /sslrootcert=/);
    });
  }

  test('sslmode=verify-full refuses a certificate of another host', async t => {
    const parameters = {sslmode: 'verify-full', sslrootcert: testAuthority};
    const error = await t.throwsAsync(openEncrypted(t, parameters, '127.0.0.1'), {code: 'database_unavailable'});
    t.regex(error.message, /altnames/);
  });

  test('an authority that cannot be read is named', async t => {
    const parameters = {sslmode: 'verify-full', sslrootcert: '/nowhere/ca.pem'};
    await t.throwsAsync(openEncrypted(t, parameters), {code: 'database_unavailable', message: /\/nowhere\/ca\.pem/});
  });

  test('a server that wants encryption lets in nobody without', async t => {
    await t.throwsAsync(openEncrypted(t, {}), {code: 'database_unavailable'});
  });

  for (const parameters of [
    {sslmode: 'verify-full', sslrootcert: testAuthority},
    {sslmode: 'require', sslrootcert: testAuthority},
    {sslmode: 'no-verify'},
  ]) {
    test(`encrypted with ${Object.keys(parameters).join(' and ')} ${parameters.sslmode}`, async t => {
      const db = await openEncrypted(t, parameters);
      t.deepEqual(await rows(db, 'select 1 as one'), [{one: 1}]);
    });
  }

  test('a whole server over an encrypted connection delivers', async t => {
    const {url} = await startProxy(t, await emptyDatabase(t, 'postgres'), {tls: true});
    const DATABASE_URL = `${url}?sslmode=verify-full&sslrootcert=${testAuthority}`;
    const server = await startTestServer(t, 'postgres', {DATABASE_URL});
    await request(server, serviceToken(), 'POST', '/api/rooms/', {name: 'general', members: ['alice']});
    await until(() => server.relay.state().published === 1, 'the event');
    t.pass();
  });

  test('while the database is away posts get 503 and the time to wait, and go on when it is back', async t => {
    const proxy = await startProxy(t, await emptyDatabase(t, 'postgres'));
    const server = await startTestServer(t, 'postgres', {DATABASE_URL: proxy.url});
    const created = await request(server, serviceToken(), 'POST', '/api/rooms/', {name: 'general', members: ['alice']});
    const post = (content: string) =>
      request(server, apiToken('alice'), 'POST', `/api/rooms/${String(created.body['id'])}/messages/`, {
        content,
        client_id: content,
      });
    t.is((await post('before')).status, 201);
    // Of an event that is being deleted when the connection breaks nobody would know that it was delivered.
    await until(() => server.relay.state().published === 2, 'the events of before');

    await proxy.down();
    for (let i = 0; i < 5; i++) {
      const refused = await post('while');
      t.is(refused.status, 503, refused.text);
      t.truthy(refused.headers.get('retry-after'));
      t.like(refused.body, {code: 'database_unavailable'});
    }
    t.is((await request(server, serviceToken(), 'GET', '/readyz')).status, 503);
    t.is((await request(server, serviceToken(), 'GET', '/healthz')).status, 200);

    await proxy.up();
    t.is(await until(async () => ((await post('while')).status === 201 ? 201 : undefined), 'a post', 5_000), 201);
    // The relay rests up to five seconds between its tries.
    await until(() => server.relay.state().published === 3, 'the events');
    t.is((await request(server, serviceToken(), 'GET', '/readyz')).status, 200);
  });

  test('every session has its time limits and keeps to indexes', async t => {
    const settings = ['statement_timeout', 'lock_timeout', 'timezone', 'enable_seqscan'];
    const show = (q: Queryable) =>
      rows<Record<string, string>>(
        q,
        `select ${settings.map(each => `current_setting('${each}') as ${each}`).join(', ')}`,
      );
    const chat = await openTestChat(t, 'postgres');
    const limits = {statement_timeout: '30s', lock_timeout: '10s', timezone: 'UTC'};
    t.deepEqual(await show(chat.db), [{...limits, enable_seqscan: 'off'}]);
  });

  test('who waits too long for a room gets 503 and the time to wait, and changes nothing', async t => {
    const url = new URL(await emptyDatabase(t, 'postgres'));
    url.searchParams.set('options', '-c lock_timeout=200');
    const server = await startTestServer(t, 'postgres', {DATABASE_URL: url.href});
    const id = await roomOf(server, ['alice']);
    await inTransaction(server.chat.db, async tx => {
      await rows(tx, 'select id from rooms where id = ? for update', [id]);
      const refused = await request(server, serviceToken(), 'PATCH', `/api/rooms/${id}/`, {name: 'other'});
      t.is(refused.status, 503, refused.text);
      t.like(refused.body, {code: 'database_busy'});
      t.truthy(refused.headers.get('retry-after'));
    });
    t.like((await request(server, serviceToken(), 'GET', `/api/rooms/${id}/`)).body, {name: 'general', version: 1});
  });

  test('however many ask at once, there are no more connections than the pool may have', async t => {
    const server = await startTestServer(t, 'postgres', {DATABASE_POOL_MAX: '3'});
    const id = await roomOf(server, ['alice']);
    const asked = Array.from({length: 60}, (_, i) =>
      i % 2 === 0
        ? request(server, apiToken('alice'), 'GET', '/api/rooms/')
        : request(server, serviceToken(), 'PATCH', `/api/rooms/${id}/`, {name: `name ${i}`}),
    );
    const answers = await Promise.all(asked);
    t.true(answers.every(each => each.status === 200));
    const [found] = await rows<{n: number}>(
      server.chat.db,
      `select count(*) as n from pg_stat_activity where datname = current_database() and application_name = 'chatctl'`,
    );
    t.is(found?.n, 3);
  });
}
