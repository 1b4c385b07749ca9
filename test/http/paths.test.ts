// Paths, ids, queries and methods: which are served, and what is said of the others.
import test, {type ExecutionContext} from 'ava';
import {openRoutes, routes} from '../../src/http/koa.ts';
import {Problem} from '../../src/http/schemas.ts';
import {apiToken, serviceToken} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {ask, sendRaw, startApi, testRoom, type Answer, type Api} from '../helpers/http.ts';

const mia = apiToken('mia');
const service = serviceToken();

function mustBeProblem(t: ExecutionContext, answer: Answer, status: number, code: string): void {
  t.is(answer.status, status, answer.text.slice(0, 300));
  t.is(answer.headers.get('content-type'), 'application/problem+json');
  Problem.parse(answer.body);
  t.is(answer.at('code'), code);
}

const odd = '0 -1 1.5 1e3 abc 007 +1 0x1 %31%00 %00 1%20 %F0%9F%98%80 a%2Fb %E0%A4%A __proto__ NaN'.split(' ');
const tooBig = ['9007199254740991', '9007199254740993', '9223372036854775808', '9'.repeat(40)];
const ids = [...odd, ...tooBig];

for (const database of databases) {
  test(`${database}: E21, E22, E23, E24: an id that is no room’s, however it is written, is answered like one that is absent`, async t => {
    const api = await startApi(t, database);
    const absent = await ask(api, mia, 'GET', '/api/rooms/999/');
    mustBeProblem(t, absent, 404, 'room_not_found');
    for (const id of ids) {
      const answer = await ask(api, mia, 'GET', `/api/rooms/${id}/`);
      mustBeProblem(t, answer, 404, 'room_not_found');
      const plain = ({text, body}: Answer) =>
        text.replace(String(body['request_id']), '').replace(/There is no room .* that/, 'There is no room … that');
      t.is(plain(answer), plain(absent), id);
      for (const rest of ['messages/', 'members/']) {
        mustBeProblem(t, await ask(api, mia, 'GET', `/api/rooms/${id}/${rest}`), 404, 'room_not_found');
      }
      mustBeProblem(t, await ask(api, mia, 'POST', `/api/rooms/${id}/join/`), 404, 'room_not_found');
      mustBeProblem(
        t,
        await ask(api, mia, 'POST', `/api/rooms/${id}/messages/`, {content: 'x'}),
        404,
        'room_not_found',
      );
    }
  });

  test(`${database}: E21: so it is with messages, users and keys`, async t => {
    const api = await startApi(t, database);
    const room = await testRoom(api.chat);
    for (const id of ids) {
      const message = `/api/rooms/${room}/messages/${id}/`;
      mustBeProblem(t, await ask(api, mia, 'GET', message), 404, 'message_not_found');
      mustBeProblem(t, await ask(api, mia, 'DELETE', message), 404, 'message_not_found');
      mustBeProblem(t, await ask(api, service, 'GET', `/api/users/${id}/`), 404, 'user_not_found');
      mustBeProblem(t, await ask(api, service, 'GET', `/api/rooms/by-key/${id}/`), 404, 'room_not_found');
    }
  });

  test(`${database}: E25, E26: limits and pages that are none are refused, each with a code`, async t => {
    const api = await startApi(t, database);
    const room = await testRoom(api.chat);
    const lists = ['/api/rooms/', '/api/search/', `/api/rooms/${room}/messages/`, `/api/rooms/${room}/members/`];
    const queries: Record<string, string> = {
      'limit=0': 'out_of_range',
      'limit=-1': 'out_of_range',
      'limit=101': 'out_of_range',
      'limit=1e9': 'out_of_range',
      'limit=': 'out_of_range',
      'limit=abc': 'wrong_type',
      'limit=1&limit=2': 'wrong_type',
      'limit=1.5': 'wrong_type',
      'page=0': 'out_of_range',
      'page=99999999999999999999': 'out_of_range',
      'unknown=1': 'unknown_field',
    };
    for (const list of lists) {
      for (const [query, code] of Object.entries(queries)) {
        mustBeProblem(t, await ask(api, mia, 'GET', `${list}?${query}`), 400, code);
      }
      const proto = await ask(api, mia, 'GET', `${list}?__proto__=1&__proto__[x]=1`);
      t.true([200, 400].includes(proto.status));
    }
    for (const cursor of ['before=abc', 'after=0', 'around=', 'before=1&before=2', 'before=9007199254740993']) {
      t.is((await ask(api, mia, 'GET', `/api/rooms/${room}/messages/?${cursor}`)).status, 400, cursor);
    }
  });
}

test('what is to be made under an id or key that cannot be one is refused', async t => {
  const api = await startApi(t, 'sqlite');
  for (const id of ['a%20b', '%23', 'a%2Fb', '-x', 'x'.repeat(201), '%00', '%E2%82%AC']) {
    const user = await ask(api, service, 'PUT', `/api/users/${id}/`, {username: 'x'});
    mustBeProblem(t, user, 400, 'bad_format');
    t.is(user.at('errors.0.field'), 'user');
    const room = await ask(api, service, 'PUT', `/api/rooms/by-key/${id}/`, {name: 'x'});
    mustBeProblem(t, room, 400, 'bad_format');
    t.is(room.at('errors.0.field'), 'key');
  }
});

/** A path of the route with something in place of its parameters. */
function example(path: string): string {
  return path.replaceAll(/\{[a-z]+\}/g, '7');
}

test('every path is served with the last slash and without, and is never redirected', async t => {
  const api = await startApi(t, 'sqlite');
  for (const {method, path} of [...routes, ...openRoutes]) {
    const bare = example(path).replace(/\/$/, '');
    const [with_, without] = await Promise.all(
      [`${bare}/`, bare].map(each => ask(api, undefined, method.toUpperCase(), each)),
    );
    t.is(with_?.status, without?.status, path);
    t.true([200, 401, 404].includes(without?.status ?? 0), `${path} ${without?.status}`);
  }
});

test('E37: a method that a path does not have is refused with those that it has', async t => {
  const api = await startApi(t, 'sqlite');
  for (const path of new Set([...routes, ...openRoutes].map(route => example(route.path)))) {
    const {headers} = await ask(api, undefined, 'OPTIONS', path);
    const allowed = (headers.get('allow') ?? '').split(', ');
    t.true(allowed.length > 1, path);
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND']) {
      if (allowed.includes(method)) continue;
      const answer = await ask(api, mia, method, path);
      mustBeProblem(t, answer, 405, 'method_not_allowed');
      t.deepEqual(answer.headers.get('allow')?.split(', '), allowed);
    }
  }
});

test('OPTIONS tells the methods of a path without a token', async t => {
  const api = await startApi(t, 'sqlite');
  const answer = await ask(api, undefined, 'OPTIONS', '/api/rooms/7/');
  t.is(answer.status, 204);
  t.is(answer.headers.get('allow'), 'DELETE, GET, HEAD, OPTIONS, PATCH');
  t.is((await ask(api, undefined, 'OPTIONS', '/healthz')).headers.get('allow'), 'GET, HEAD, OPTIONS');
  mustBeProblem(t, await ask(api, undefined, 'OPTIONS', '/api/nothing/'), 404, 'route_not_found');
});

test('HEAD is GET without the body, for answers and refusals', async t => {
  const api = await startApi(t, 'sqlite');
  const room = await testRoom(api.chat);
  for (const path of [`/api/rooms/${room}/`, '/api/rooms/999/', '/healthz', '/api/openapi.json', '/api/nothing/']) {
    const [get, head] = await Promise.all(['GET', 'HEAD'].map(method => ask(api, mia, method, path)));
    t.is(head?.status, get?.status, path);
    t.is(head?.text, '');
    t.is(head?.headers.get('content-length'), String(Buffer.byteLength(get?.text ?? '')));
  }
});

const nowhere = [
  '/',
  '/api/',
  '/api/room/',
  '/api/rooms/7/8/',
  '/api/rooms//',
  '//api/rooms/',
  '/API/rooms/',
  '/api/rooms/7/Messages/',
];
for (const path of [...nowhere, '/metrics', '/api/docs/x/y', '/.env', '/api/rooms/..%2fusers/']) {
  test(`there is nothing at ${path}`, async t => {
    const api = await startApi(t, 'sqlite');
    const code = path.includes('..%2f') ? 'room_not_found' : 'route_not_found';
    mustBeProblem(t, await sendGet(api, path), 404, code);
  });
}

function sendGet(api: Api, path: string): Promise<Answer> {
  return sendRaw(api, [`GET ${path} HTTP/1.1`, 'Host: a', `Authorization: Bearer ${mia}`]);
}

test('E35, T27: a request with two Host headers is refused', async t => {
  const api = await startApi(t, 'sqlite');
  const answer = await sendRaw(api, ['GET /healthz HTTP/1.1', 'Host: a', 'Host: b']);
  mustBeProblem(t, answer, 400, 'invalid_input');
});

test('T27: links are on the public URL, whatever Host and X-Forwarded headers say', async t => {
  const api = await startApi(t, 'sqlite', {trustProxy: 1});
  await testRoom(api.chat);
  await testRoom(api.chat);
  const forged = ['Host: evil.example', 'X-Forwarded-Host: evil.example', 'X-Forwarded-Proto: ftp'];
  const answer = await sendRaw(api, ['GET /api/rooms/?limit=1 HTTP/1.1', `Authorization: Bearer ${mia}`, ...forged]);
  t.is(answer.status, 200);
  t.notRegex(answer.text, /evil/);
  t.is(answer.at('next'), 'https://chat.example/api/rooms/?limit=1&page=2');
});

test('E33, E34: a body that is cut off leaves the server well', async t => {
  const api = await startApi(t, 'sqlite');
  const head = ['POST /api/rooms/7/messages/ HTTP/1.1', 'Host: a', `Authorization: Bearer ${mia}`];
  const both = await sendRaw(api, [...head, 'Content-Length: 5', 'Transfer-Encoding: chunked'], '0\r\n\r\n');
  t.is(both.status, 400);
  const short = await sendRaw(api, [...head, 'Content-Type: application/json', 'Content-Length: 5'], '{"content":"x"}');
  t.is(short.status, 400);
  t.is((await ask(api, mia, 'GET', '/healthz')).status, 200);
});

test('E38: an answer is JSON also where a page is asked for', async t => {
  const api = await startApi(t, 'sqlite');
  const answer = await ask(api, mia, 'GET', '/api/rooms/', undefined, {accept: 'text/html'});
  t.is(answer.status, 200);
  t.is(answer.headers.get('content-type'), 'application/json; charset=utf-8');
});
