// Garbage of a fixed seed against every route, and columns that are not a caller's to write.
import test from 'ava';
import fc from 'fast-check';
import {routes} from '../../src/http/koa.ts';
import {Problem} from '../../src/http/schemas.ts';
import {apiToken, serviceToken} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {ask, startApi, testRoom} from '../helpers/http.ts';

const seed = 20_261_124;
const runs = 400;

const texts = [
  '',
  ' ',
  '0',
  'null',
  'a\u0000',
  '\ud800',
  '\uFDFA'.repeat(100),
  "'; drop table rooms; --",
  '${x}',
  '?',
  '%',
];
const values = [0, -1, 1.5, 2 ** 31, 2 ** 53, 1e308, true, null, [], {}, [[]], {a: {}}, ['mia', 'mia'], [null]];
const nasty = fc.constantFrom<unknown>(...texts, ...values, 'x'.repeat(20_000));
const names = 'content client_id user_id name key visibility members archived seq role add remove username id'.split(
  ' ',
);
const body = fc.oneof(fc.jsonValue(), fc.dictionary(fc.constantFrom(...names), fc.oneof(nasty, fc.jsonValue())));
const queryName = fc.constantFrom(...'page limit before after around q all archived channel x'.split(' '));
const query = fc.array(fc.tuple(queryName, fc.oneof(fc.constantFrom(...texts), fc.string({unit: 'binary'}))), {
  maxLength: 3,
});
const inPath = fc.oneof(
  fc.constantFrom(...'1 2 mia k 0 9007199254740991 %00 %ff a%2fb %F0%9F%98%80'.split(' ')),
  fc.string({minLength: 1, maxLength: 30}).map(encodeURIComponent),
);

const call = fc.record({
  route: fc.constantFrom(...routes),
  token: fc.constantFrom(serviceToken(), apiToken('ann'), apiToken('mia')),
  parameters: fc.array(inPath, {minLength: 2, maxLength: 2}),
  body,
  query,
});

for (const database of databases) {
  test(`${database}: garbage is answered or refused with a problem, and never breaks anything`, async t => {
    const api = await startApi(t, database, {env: {ROOM_CREATION: 'users'}});
    await testRoom(api.chat, {key: 'k'});
    const seen = new Set<number>();
    await fc.assert(
      fc.asyncProperty(call, async ({route, token, parameters, ...sent}) => {
        const rest = [...parameters];
        const path = route.path.replaceAll(/\{[a-z]+\}/g, () => rest.shift() ?? '1');
        const search = sent.query
          .map(([name, value]) => `${name}=${encodeURIComponent(value.toWellFormed())}`)
          .join('&');
        const text = route.method === 'get' || route.method === 'delete' ? undefined : JSON.stringify(sent.body);
        const answer = await ask(api, token, route.method.toUpperCase(), `${path}?${search}`, text);
        seen.add(answer.status);
        t.true(
          answer.status < 500,
          `${route.method} ${path}?${search} ${text?.slice(0, 200)}: ${answer.text} ${api.logged().slice(-2_000)}`,
        );
        if (answer.status >= 400) Problem.parse(answer.body);
      }),
      {seed, numRuns: runs},
    );
    t.true(seen.has(200) && seen.has(400) && seen.has(404), [...seen].join());
  });

  test(`${database}: T6, E18: no write takes a field that is not the caller’s to set, and a refused one writes nothing`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat, {key: 'k'})}/`;
    const writes: [string, string, object][] = [
      ['POST', '/api/rooms/', {name: 'x'}],
      ['PUT', '/api/rooms/by-key/k/', {name: 'x'}],
      ['PATCH', room, {name: 'x'}],
      ['POST', `${room}messages/`, {content: 'x'}],
      ['POST', `${room}read/`, {seq: 0}],
      ['PUT', `${room}members/lee/`, {role: 'member'}],
      ['POST', `${room}members/`, {add: ['lee']}],
      ['PUT', '/api/users/mia/', {username: 'x'}],
      ['POST', '/api/users/mia/erase/', {messages: 'keep'}],
    ];
    const withBody = routes.filter(route => route.body).length;
    t.is(writes.length, withBody, 'every route with a body is tried');
    const {text} = await ask(api, serviceToken(), 'GET', room);
    const columns =
      'id version user_name created_at bumped_at deleted_at member_count last_seq joined_at last_read_seq';
    for (const column of [...columns.split(' '), 'constructor', 'toString', 'hasOwnProperty']) {
      for (const [method, path, good] of writes) {
        const answer = await ask(api, serviceToken(), method, path, {...good, [column]: 1});
        t.is(answer.status, 400, `${method} ${path} ${column}: ${answer.text}`);
        t.is(answer.at('code'), 'unknown_field');
        t.is(answer.at('errors.0.field'), column);
      }
    }
    t.is((await ask(api, serviceToken(), 'GET', room)).text, text);
    t.is((await ask(api, serviceToken(), 'GET', '/api/users/lee/')).status, 404);
  });
}
