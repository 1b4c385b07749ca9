// What operators and browsers see: health, metrics, logs, origins, and errors that are nobody's fault outside.
import test from 'ava';
import {apiToken, serviceToken, testSecrets} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {ask, startApi, testRoom} from '../helpers/http.ts';

const mia = apiToken('mia');

test('a server that is not ready says so and what is amiss', async t => {
  const api = await startApi(t, 'sqlite', {ready: async () => ({ok: false, checks: {database: 'unreachable'}})});
  const answer = await ask(api, undefined, 'GET', '/readyz');
  t.is(answer.status, 503);
  t.deepEqual(answer.body, {status: 'unavailable', checks: {database: 'unreachable'}});
  t.is((await ask(api, undefined, 'GET', '/healthz')).status, 200, 'it is alive all the same');
});

test('health and readiness need no token', async t => {
  const api = await startApi(t, 'sqlite');
  t.deepEqual((await ask(api, undefined, 'GET', '/healthz')).body, {status: 'ok'});
  t.deepEqual((await ask(api, undefined, 'GET', '/readyz')).body, {status: 'ok', checks: {database: 'ok'}});
});

test('metrics are shown to their key alone, and know routes and not ids', async t => {
  const seen: string[] = [];
  const metrics = {
    key: 'metrics-key',
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
    render: async () => 'up 1\n',
    request: (route: string, method: string, status: number) => void seen.push(`${method} ${route} ${status}`),
  };
  const api = await startApi(t, 'sqlite', {metrics});
  for (const token of [undefined, mia, serviceToken(), 'metrics-ke', '']) {
    t.is((await ask(api, token, 'GET', '/metrics')).status, 401);
  }
  const answer = await ask(api, 'metrics-key', 'GET', '/metrics');
  t.is(answer.status, 200);
  t.is(answer.text, 'up 1\n');
  t.is(answer.headers.get('content-type'), metrics.contentType);
  await ask(api, mia, 'GET', '/api/rooms/77/');
  await ask(api, mia, 'GET', '/nowhere/77/');
  t.deepEqual(seen.slice(-3), ['GET /metrics 200', 'GET /api/rooms/{room}/ 404', 'GET none 404']);
});

test('a request is logged with its id, route and actor, and without a secret', async t => {
  const api = await startApi(t, 'sqlite');
  const room = await testRoom(api.chat);
  const answer = await ask(api, mia, 'GET', `/api/rooms/${room}/?canary=${mia}`);
  const [line] = api
    .logged()
    .trim()
    .split('\n')
    .map(text => JSON.parse(text) as Record<string, unknown>);
  t.like(line, {level: 30, method: 'GET', path: `/api/rooms/${room}/`, status: 200, actor: 'mia', msg: 'request'});
  t.is(line?.['request_id'], answer.headers.get('x-request-id'));

  const {body} = await ask(api, mia, 'GET', '/api/token/connection/');
  await ask(api, `${mia}x`, 'GET', '/api/rooms/');
  await ask(api, mia, 'GET', `/api/rooms/${mia}/`);
  await ask(api, mia, 'POST', `/api/rooms/${room}/messages/`, `{"content":"${mia}`);
  await ask(api, mia, 'GET', '/api/rooms/', undefined, {cookie: `session=${mia}`, 'x-api-key': 'canary-key'});
  t.is(api.logged().trim().split('\n').length, 6);
  const signature = (token: unknown) => String(token).split('.')[2] ?? '';
  for (const secret of [signature(mia), signature(body['token']), 'canary', ...Object.values(testSecrets)]) {
    t.true(secret.length > 5);
    t.false(api.logged().includes(secret));
  }
});

for (const database of databases) {
  test(`${database}: an error nobody expected is told without its words, and logged with them`, async t => {
    const api = await startApi(t, database, {
      verifyApiToken: () => {
        throw new Error('the canary died');
      },
    });
    const answer = await ask(api, mia, 'GET', '/api/rooms/');
    t.is(answer.status, 500);
    t.is(answer.at('code'), 'internal');
    t.is(answer.headers.get('content-type'), 'application/problem+json');
    t.false(answer.text.includes('canary'));
    t.true(api.logged().includes('the canary died'));
    t.true(api.logged().includes(String(answer.at('request_id'))));
  });

  test(`${database}: without its tables the database’s own words stay in the log`, async t => {
    const api = await startApi(t, database);
    await api.chat.db.writer.schema.dropTable('outbox');
    const answer = await ask(api, serviceToken(), 'POST', '/api/rooms/', {name: 'x', members: ['mia']});
    t.is(answer.status, 500);
    t.notRegex(answer.text, /outbox|sql|relation|table/i);
    t.regex(api.logged(), /outbox/);
  });
}

test('a database that went away is 503, and to be tried again', async t => {
  const api = await startApi(t, 'sqlite', {
    verifyApiToken: () => {
      throw Object.assign(new Error('connect ECONNREFUSED'), {code: 'ECONNREFUSED'});
    },
  });
  const answer = await ask(api, mia, 'GET', '/api/rooms/');
  t.is(answer.status, 503);
  t.is(answer.at('code'), 'database_unavailable');
  t.regex(answer.headers.get('retry-after') ?? '', /^\d+$/);
});
