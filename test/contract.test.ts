// T7, T8. Every route by everybody: nobody, a stranger to the room, a member of it, an admin of it, and the primary service.
// A route that has no line here fails the tests.
import test, {type ExecutionContext} from 'ava';
import {routes} from '../src/http/koa.ts';
import type {Route} from '../src/http/route.ts';
import {Problem} from '../src/http/schemas.ts';
import {apiToken, serviceToken} from './helpers/chat.ts';
import {databases} from './helpers/database.ts';
import {ask, startApi, testRoom, type Answer, type Api} from './helpers/http.ts';

const callers = {
  nobody: undefined,
  stranger: apiToken('sam'),
  member: apiToken('mia'),
  admin: apiToken('ann'),
  service: serviceToken(),
};
type Caller = keyof typeof callers;
const order = ['nobody', 'stranger', 'member', 'admin', 'service'] as const satisfies Caller[];

interface Row {
  /** Statuses for nobody, stranger, member, admin and service. */
  statuses: [number, number, number, number, number];
  body?: object;
  query?: (caller: Caller) => string;
}

const ids: Record<Caller, string> = {nobody: 'x', stranger: 'sam', member: 'mia', admin: 'ann', service: 'primary'};
const room = '/api/rooms/{room}/';

const table: Record<string, Row> = {
  'get /api/token/connection/': {statuses: [401, 200, 200, 200, 403]},
  'get /api/token/subscription/': {
    statuses: [401, 200, 200, 200, 403],
    query: caller => `?channel=personal:${ids[caller]}`,
  },
  'get /api/rooms/': {statuses: [401, 200, 200, 200, 200], query: caller => (caller === 'service' ? '?all=true' : '')},
  'post /api/rooms/': {statuses: [401, 403, 403, 403, 201], body: {name: 'new'}},
  'get /api/search/': {statuses: [401, 200, 200, 200, 403]},
  'get /api/rooms/search/': {statuses: [401, 200, 200, 200, 403]},
  'put /api/rooms/by-key/{key}/': {statuses: [401, 403, 403, 403, 200], body: {name: 'other'}},
  'get /api/rooms/by-key/{key}/': {statuses: [401, 404, 200, 200, 200]},
  [`get ${room}`]: {statuses: [401, 404, 200, 200, 200]},
  [`patch ${room}`]: {statuses: [401, 404, 403, 200, 200], body: {name: 'other'}},
  [`delete ${room}`]: {statuses: [401, 404, 403, 403, 204]},
  [`get ${room}messages/`]: {statuses: [401, 404, 200, 200, 200]},
  [`post ${room}messages/`]: {statuses: [401, 404, 201, 201, 201], body: {content: 'hello'}},
  [`get ${room}messages/{message}/`]: {statuses: [401, 404, 200, 200, 200]},
  [`delete ${room}messages/{message}/`]: {statuses: [401, 404, 403, 204, 204]},
  [`post ${room}join/`]: {statuses: [401, 404, 409, 409, 403]},
  [`post ${room}leave/`]: {statuses: [401, 404, 200, 200, 403]},
  [`post ${room}read/`]: {statuses: [401, 404, 200, 200, 403], body: {seq: 1}},
  [`get ${room}members/`]: {statuses: [401, 404, 200, 200, 200]},
  [`post ${room}members/`]: {statuses: [401, 404, 403, 403, 200], body: {add: ['new']}},
  [`put ${room}members/{user}/`]: {statuses: [401, 404, 403, 200, 200], body: {role: 'admin'}},
  [`delete ${room}members/{user}/`]: {statuses: [401, 404, 403, 204, 204]},
  'get /api/users/': {statuses: [401, 403, 403, 403, 200]},
  'get /api/users/{user}/': {statuses: [401, 403, 403, 403, 200]},
  'put /api/users/{user}/': {statuses: [401, 403, 403, 403, 200], body: {username: 'Other'}},
  'delete /api/users/{user}/': {statuses: [401, 403, 403, 403, 204]},
  'get /api/users/{user}/export/': {statuses: [401, 403, 403, 403, 200]},
  'post /api/users/{user}/erase/': {statuses: [401, 403, 403, 403, 200], body: {messages: 'redact'}},
  'get /api/audit/': {statuses: [401, 403, 403, 403, 200]},
};

const nameOf = ({method, path}: Route) => `${method} ${path}`;

test('every route of the API has its line in the table of who may do what', t => {
  t.deepEqual(Object.keys(table).toSorted(), routes.map(nameOf).toSorted());
});

for (const database of databases) {
  for (const route of routes) {
    const row = table[nameOf(route)];
    if (!row) continue;
    test(`${database}: ${nameOf(route)}: nobody, stranger, member, admin, service get ${row.statuses.join(', ')}`, async t => {
      const api = await startApi(t, database);
      for (const [i, caller] of order.entries()) {
        const answer = await askAs(api, caller, route, row, await parameters(api, `key-${caller}`));
        t.is(answer.status, row.statuses[i] ?? 0, `${caller}: ${answer.text}`);
        mustBeDescribed(t, route, answer);
      }
      if (row.statuses[1] === 404) await mustLookAbsent(t, api, route, row);
    });
  }
}

/** A new private room, with a message of the service's and a member called lee. */
async function parameters(api: Api, key: string): Promise<Record<string, string>> {
  const id = await testRoom(api.chat, {key, visibility: 'private', members: ['mia', 'lee']});
  const message = await ask(api, serviceToken(), 'POST', `/api/rooms/${id}/messages/`, {content: 'first'});
  return {room: String(id), key, message: String(message.at('id')), user: 'lee'};
}

function askAs(api: Api, caller: Caller, {method, path}: Route, row: Row, values: Record<string, string>) {
  const filled = path.replaceAll(/\{([a-z]+)\}/g, (_, name: string) => values[name] ?? '');
  return ask(api, callers[caller], method.toUpperCase(), filled + (row.query?.(caller) ?? ''), row.body);
}

/** The status is one that the route's description has, and the body is what it says there. */
function mustBeDescribed(t: ExecutionContext, route: Route, {status, text, body, headers}: Answer): void {
  if (status >= 400) {
    t.true([400, 401, ...route.refusals].includes(status), `${status} is described`);
    t.is(headers.get('content-type'), 'application/problem+json');
    Problem.parse(body);
    t.is(body['status'], status);
    return;
  }
  const schema = route.answers[status];
  t.not(schema, undefined, `${status} is described`);
  if (schema) schema.parse(body);
  else t.is(text, '');
}

/** What a stranger is told of a room is what anybody is told of one that was never there. */
async function mustLookAbsent(t: ExecutionContext, api: Api, route: Route, row: Row): Promise<void> {
  const there = await parameters(api, 'another');
  const absent = {...there, room: '999999', key: 'never-there'};
  const [foreign, none] = await Promise.all([
    askAs(api, 'stranger', route, row, there),
    askAs(api, 'stranger', route, row, absent),
  ]);
  t.is(none.status, 404);
  const plain = ({text, body}: Answer, values: Record<string, string>) =>
    text
      .replace(String(body['request_id']), '')
      .replace(`room ${values['room']} `, 'room … ')
      .replace(`room ${values['key']} `, 'room … ');
  t.is(plain(foreign, there), plain(none, absent));
}
