// T1, T2, T5, T8: every route by every kind of caller, held to the table of core/rights. The routes are those of the
// router: one that is not tried here for each right that it names fails the tests.
import test, {type ExecutionContext} from 'ava';
import {changeMembers, putMember} from '../../src/core/members.ts';
import {CreateRoom, parse, PostMessage} from '../../src/core/input.ts';
import {postMessage} from '../../src/core/post-queue.ts';
import {rights, type Action, type Caller, type Right} from '../../src/core/rights.ts';
import {createRoom, deleteRoom} from '../../src/core/rooms.ts';
import {deactivateUser} from '../../src/core/users.ts';
import {routes} from '../../src/http/koa.ts';
import type {Route} from '../../src/http/route.ts';
import {Problem} from '../../src/http/schemas.ts';
import type {RoomId} from '../../src/core/ids.ts';
import {apiToken, operator, serviceToken, testUser, userId} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {exchange, startApi, type Api} from '../helpers/http.ts';

type HttpCaller = Exclude<Caller, 'operator'>;
const names: Record<HttpCaller, string> = {
  nobody: 'nobody',
  deactivated: 'dora',
  stranger: 'sam',
  ex_member: 'eve',
  member: 'mia',
  admin: 'ann',
  service: 'primary',
};
const callers = Object.keys(names) as HttpCaller[];
const token = (caller: HttpCaller) => (caller === 'service' ? serviceToken() : apiToken(names[caller]));

interface Try {
  action: Action;
  body?: object;
  query?: (name: string) => string;
  /** Of the room, which is private unless this is said. */
  visibility?: 'public' | 'private';
  /** The message is the caller's own. */
  own?: boolean;
  /** A success that is another status for some. */
  status?: Partial<Record<HttpCaller, number>>;
  creation?: 'users';
  /** The user in the path, where it is not lee. */
  user?: string;
}

const already = {member: 409, admin: 409};
const room = '/api/rooms/{room}/';
const tries: Record<string, Try[]> = {
  'get /api/token/connection/': [{action: 'connect'}],
  'get /api/token/subscription/': [{action: 'subscribe', query: name => `?channel=personal:${name}`}],
  'get /api/rooms/': [{action: 'have rooms'}, {action: 'list all rooms', query: () => '?all=true'}],
  'post /api/rooms/': [
    {action: 'create rooms', body: {name: 'new'}},
    {action: 'create rooms where users may', body: {name: 'new'}, creation: 'users'},
  ],
  'get /api/search/': [{action: 'search rooms'}],
  'get /api/rooms/search/': [{action: 'search rooms', query: () => '?q=classified'}],
  'put /api/rooms/by-key/{key}/': [{action: 'put rooms by key', body: {name: 'other'}}],
  'get /api/rooms/by-key/{key}/': [{action: 'see a room'}],
  [`get ${room}`]: [{action: 'see a room'}],
  [`patch ${room}`]: [{action: 'change it', body: {name: 'other'}}],
  [`delete ${room}`]: [{action: 'delete rooms'}],
  [`get ${room}messages/`]: [{action: 'read messages'}, {action: 'read messages', query: () => '?limit=1'}],
  [`post ${room}messages/`]: [
    {action: 'post a message', body: {content: 'hello'}},
    {action: 'post as somebody else', body: {content: 'hello', user_id: 'lee'}},
  ],
  [`get ${room}messages/{message}/`]: [{action: 'read messages'}, {action: 'read messages', own: true}],
  [`delete ${room}messages/{message}/`]: [
    {action: 'delete messages of others'},
    {action: 'delete own messages', own: true},
  ],
  [`post ${room}join/`]: [
    {action: 'join a private room', status: already},
    {action: 'join a room', visibility: 'public', status: already},
  ],
  [`post ${room}leave/`]: [{action: 'leave a room'}],
  [`post ${room}read/`]: [{action: 'read a room', body: {seq: 1}}],
  [`get ${room}members/`]: [{action: 'list members'}],
  [`post ${room}members/`]: [{action: 'change many members at once', body: {add: ['new'], remove: ['lee']}}],
  [`put ${room}members/{user}/`]: [{action: 'add members or change roles', body: {role: 'admin'}}],
  [`delete ${room}members/{user}/`]: [{action: 'remove members'}],
  'get /api/users/': [{action: 'list users'}],
  'get /api/users/{user}/': [{action: 'see users'}],
  'put /api/users/{user}/': [{action: 'manage users', body: {username: 'Other'}}],
  'delete /api/users/{user}/': [{action: 'manage users'}],
  'get /api/users/{user}/export/': [{action: 'export users'}],
  'post /api/users/{user}/erase/': [{action: 'erase users', body: {messages: 'keep'}, user: 'gus'}],
  'get /api/audit/': [{action: 'read the audit log'}],
};

const nameOf = ({method, path}: Route) => `${method} ${path}`;

test('T8: every route is tried for every right that it names', t => {
  for (const route of routes) {
    const tried = (tries[nameOf(route)] ?? []).map(({action}) => action);
    t.deepEqual([...new Set(tried)].toSorted(), [...route.rights].toSorted(), nameOf(route));
  }
  t.deepEqual(Object.keys(tries).toSorted(), routes.map(nameOf).toSorted());
});

/** A new room of mia, lee, dora and its admin ann, from which eve was removed. */
async function newRoom(
  {chat}: Api,
  {own, visibility = 'private'}: Try,
  author: string,
): Promise<Record<string, string>> {
  const key = `key-${crypto.randomUUID()}`;
  const members = ['mia', 'lee', 'dora', 'eve'];
  const {id} = await createRoom(chat, operator, parse(CreateRoom, {name: 'classified', key, visibility, members}));
  await putMember(chat, operator, id, userId('ann'), {role: 'admin'});
  const isOwn = own && ['mia', 'ann', 'eve'].includes(author);
  const actor = isOwn ? ({kind: 'user', id: userId(author)} as const) : operator;
  const {message} = await postMessage(chat, actor, id, parse(PostMessage, {content: 'classified'}));
  await changeMembers(chat, operator, id, {add: [], remove: [userId('eve')]});
  return {room: String(id), key, message: String(message.id), user: 'lee'};
}

async function apiOfAll(t: ExecutionContext, database: (typeof databases)[number], creation: 'service' | 'users') {
  const api = await startApi(t, database, {env: {ROOM_CREATION: creation}});
  for (const name of ['dora', 'lee', 'eve', 'mia', 'ann', 'sam', 'gus']) await testUser(api.chat, name);
  await deactivateUser(api.chat, operator, userId('dora'));
  return api;
}

function send(
  api: Api,
  caller: HttpCaller,
  {method, path}: Route,
  {query, body, user}: Try,
  values: Record<string, string>,
) {
  const known = user === undefined ? values : {...values, user};
  const filled = path.replaceAll(/\{([a-z]+)\}/g, (_, name: string) => known[name] ?? '');
  const text = body === undefined ? '' : JSON.stringify(body);
  return exchange(
    api,
    [
      `${method.toUpperCase()} ${filled}${query?.(names[caller]) ?? ''} HTTP/1.1`,
      'Host: a',
      'Connection: close',
      ...(caller === 'nobody' ? [] : [`Authorization: Bearer ${token(caller)}`]),
      ...(body === undefined ? [] : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(text)}`]),
      '',
      text,
    ].join('\r\n'),
  );
}

const statuses: Record<Exclude<Right, 'yes'>, number> = {denied: 403, hidden: 404, unknown: 401};

function mustBe(
  t: ExecutionContext,
  what: string,
  right: Right,
  route: Route,
  each: Try,
  caller: HttpCaller,
  bytes: string,
) {
  const status = Number(bytes.split(' ')[1]);
  const sent = bytes.slice(bytes.indexOf('\r\n\r\n') + 4);
  const body = /^transfer-encoding: chunked/im.test(bytes) ? joined(sent) : sent;
  if (right === 'yes') {
    const wanted = each.status?.[caller];
    t.true(wanted === undefined ? status in route.answers : status === wanted, `${what}: ${bytes}`);
    if (wanted === undefined && route.answers[status]) route.answers[status].parse(JSON.parse(body));
    return;
  }
  t.is(status, statuses[right], `${what}: ${bytes}`);
  t.true([400, 401, 429, 500, 503, ...route.refusals].includes(status), `${what}: ${status} is described`);
  Problem.parse(JSON.parse(body));
  t.false(bytes.includes('classified'), what);
}

/** The text of a chunked body, of ASCII as it is here. */
function joined(chunks: string): string {
  const size = parseInt(chunks, 16);
  if (!size) return '';
  const start = chunks.indexOf('\r\n') + 2;
  return chunks.slice(start, start + size) + joined(chunks.slice(start + size + 2));
}

for (const database of databases) {
  test(`${database}: T1, T2, T8: every route answers every kind of caller as the table of rights says`, async t => {
    // What is refused leaves its room as it was, for the next that is to be refused.
    const kept = new Map<string, Record<string, string>>();
    const apis = {service: await apiOfAll(t, database, 'service'), users: await apiOfAll(t, database, 'users')};
    let tried = 0;
    for (const route of routes) {
      for (const each of tries[nameOf(route)] ?? []) {
        const api = apis[each.creation ?? 'service'];
        for (const caller of callers) {
          const right = rights[each.action][caller];
          const kind = JSON.stringify([each.creation, each.visibility, each.own && caller]);
          const values = (right !== 'yes' && kept.get(kind)) || (await newRoom(api, each, names[caller]));
          if (right !== 'yes') kept.set(kind, values);
          const bytes = await send(api, caller, route, each, values);
          mustBe(t, `${nameOf(route)}, to ${each.action}, by ${caller}`, right, route, each, caller, bytes);
          tried += 1;
        }
      }
    }
    t.log(`${tried} requests`);
  });

  test(`${database}: T5: what one may not see is answered byte for byte like what is not there`, async t => {
    const api = await apiOfAll(t, database, 'service');
    let compared = 0;
    for (const caller of ['stranger', 'ex_member'] as const) {
      for (const route of routes) {
        for (const each of tries[nameOf(route)] ?? []) {
          if (rights[each.action][caller] !== 'hidden') continue;
          const values = await newRoom(api, each, names[caller]);
          const foreign = await send(api, caller, route, each, values);
          await deleteRoom(api.chat, operator, Number(values['room']) as RoomId);
          const absent = await send(api, caller, route, each, values);
          t.is(masked(foreign), masked(absent), `${nameOf(route)} by ${caller}`);
          t.is(foreign.length, absent.length);
          t.is(foreign.split(' ')[1], '404', foreign);
          compared += 1;
        }
      }
    }
    t.true(compared > 20, String(compared));
  });
}

/** Without what differs from answer to answer, whatever is asked. */
function masked(bytes: string): string {
  return bytes
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'request id')
    .replace(/\r\nDate: [^\r]*/, '');
}

test.serial('T5: it takes no longer to refuse what is there than what is not', async t => {
  const api = await apiOfAll(t, 'sqlite', 'service');
  const values = await newRoom(api, {action: 'see a room'}, 'sam');
  const took: Record<string, number[]> = {[values['room'] ?? '']: [], '999999': []};
  for (let i = 0; i < 200; i++) {
    for (const [id, times] of Object.entries(took)) {
      const started = performance.now();
      await (
        await fetch(`${api.url}/api/rooms/${id}/`, {headers: {authorization: `Bearer ${token('stranger')}`}})
      ).text();
      times.push(performance.now() - started);
    }
  }
  const [there = 0, absent = 0] = Object.values(took).map(times => times.toSorted((a, b) => a - b)[100] ?? NaN);
  t.log(`medians ${there.toFixed(2)} and ${absent.toFixed(2)} ms`);
  // A busy machine makes both slower, and the difference with them.
  t.true(Math.abs(there - absent) < Math.max(5, 0.3 * there), `${there} and ${absent} ms`);
});
