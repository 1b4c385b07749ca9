// The audit log: what is in it after each change, through which door, and that nothing can be taken out of it.
import test, {type ExecutionContext} from 'ava';
import {auditActions, listAudit} from '../src/core/audit.ts';
import {eraseUser} from '../src/core/erasure.ts';
import {upsertUser} from '../src/core/users.ts';
import {migrateUp} from '../src/db/migrations.ts';
import {parkOutbox} from '../src/db/outbox.ts';
import {inTransaction} from '../src/db/transaction.ts';
import {loadConfig} from '../src/config.ts';
import {openChat, openDatabase, type OpenChat} from '../src/open.ts';
import {apiToken, openTestChat, operator, serviceToken, testConfig, userId} from './helpers/chat.ts';
import {testCli, type TestCli} from './helpers/cli.ts';
import {databases} from './helpers/database.ts';
import {ask, startApi, testRoom, type Api} from './helpers/http.ts';

const service = serviceToken();

interface Told {
  actor: string;
  door: string;
  action: string;
  user: string | null;
  detail: unknown;
}

/** The log, oldest first, after the given number of entries. */
async function toldAfter(chat: OpenChat, seen: number): Promise<Told[]> {
  const {items} = await listAudit(chat, operator, {}, {limit: 1_000});
  return items
    .toReversed()
    .slice(seen)
    .map(({actor, door, action, userId: user, detail}) => ({
      actor,
      door,
      action,
      user,
      detail: JSON.parse(detail) as unknown,
    }));
}

async function count(chat: OpenChat): Promise<number> {
  return (await listAudit(chat, operator, {}, {limit: 1})).count;
}

/** Asks, and answers what the log got by it. */
async function auditOf(t: ExecutionContext, api: Api, token: string, method: string, path: string, body?: object) {
  const before = await count(api.chat);
  const answer = await ask(api, token, method, path, body);
  t.true(answer.status < 300, `${method} ${path}: ${answer.text}`);
  return toldAfter(api.chat, before);
}

for (const database of databases) {
  test(`${database}: every change over REST has its line, by whom and to whom`, async t => {
    const api = await startApi(t, database);
    const path = `/api/rooms/${await testRoom(api.chat)}/`;
    const [ann, mia, zoe] = [apiToken('ann'), apiToken('mia'), apiToken('zoe')];
    const line = (actor: string, action: string, user: string | null, detail: object) => [
      {actor, door: 'rest', action, user, detail},
    ];
    const is = async (wanted: Told[], ...call: [token: string, method: string, path: string, body?: object]) =>
      t.deepEqual(await auditOf(t, api, ...call), wanted, `${call[1]} ${call[2]}`);

    await is(line('service:primary', 'room.create', null, {members: 1}), service, 'POST', '/api/rooms/', {
      name: 'a',
      members: ['x'],
    });
    await is(line('user:ann', 'room.update', null, {changed: ['name']}), ann, 'PATCH', path, {name: 'secret name'});
    await is([], ann, 'PATCH', path, {name: 'secret name'});
    await is(
      line('user:ann', 'room.update', null, {
        changed: ['visibility', 'archived'],
        visibility: 'private',
        archived: true,
      }),
      ann,
      'PATCH',
      path,
      {visibility: 'private', archived: true},
    );
    await is(
      line('service:primary', 'room.update', null, {
        changed: ['visibility', 'archived'],
        visibility: 'public',
        archived: false,
      }),
      service,
      'PATCH',
      path,
      {visibility: 'public', archived: false},
    );
    await is(line('user:zoe', 'member.join', 'zoe', {}), zoe, 'POST', `${path}join/`);
    await is(line('user:zoe', 'member.leave', 'zoe', {}), zoe, 'POST', `${path}leave/`);
    await is(line('user:ann', 'member.add', 'zoe', {role: 'member'}), ann, 'PUT', `${path}members/zoe/`, {});
    await is([], ann, 'PUT', `${path}members/zoe/`, {});
    await is(line('user:ann', 'member.role', 'zoe', {role: 'admin'}), ann, 'PUT', `${path}members/zoe/`, {
      role: 'admin',
    });
    await is(line('service:primary', 'member.remove', 'zoe', {}), service, 'DELETE', `${path}members/zoe/`);
    await is(
      line('service:primary', 'members.change', null, {added: 2, removed: 0}),
      service,
      'POST',
      `${path}members/`,
      {add: ['p', 'q', 'mia']},
    );
    await is([], mia, 'POST', `${path}messages/`, {content: 'her own post is its own record'});
    await is([], mia, 'POST', `${path}read/`, {seq: 1});
    const [posted] = await auditOf(t, api, service, 'POST', `${path}messages/`, {
      content: 'as mia',
      user_id: 'mia',
      client_id: 'c',
    });
    const {message} = (posted?.detail ?? {}) as {message?: number};
    t.like(posted, {actor: 'service:primary', action: 'message.post', user: 'mia'});
    await is([], service, 'POST', `${path}messages/`, {content: 'as mia', user_id: 'mia', client_id: 'c'});
    await is(line('user:ann', 'message.delete', 'mia', {message}), ann, 'DELETE', `${path}messages/${message}/`);
    await is([], ann, 'DELETE', `${path}messages/${message}/`);
    await is(
      line('service:primary', 'user.upsert', 'new', {created: true, reactivated: false}),
      service,
      'PUT',
      '/api/users/new/',
      {username: 'New'},
    );
    await is(line('service:primary', 'user.deactivate', 'new', {}), service, 'DELETE', '/api/users/new/');
    await is([], service, 'DELETE', '/api/users/new/');
    await is(
      line('service:primary', 'user.upsert', 'new', {created: false, reactivated: true}),
      service,
      'PUT',
      '/api/users/new/',
      {username: 'New'},
    );
    await is(line('service:primary', 'user.export', 'new', {}), service, 'GET', '/api/users/new/export/');
    await is(
      [
        ...line('service:primary', 'user.erase', 'new', {messages: 'keep'}),
        ...line('service:primary', 'user.erased', 'new', {memberships: 0, messages: 0, events: 0}),
      ],
      service,
      'POST',
      '/api/users/new/erase/',
      {messages: 'keep'},
    );
    await is(line('service:primary', 'room.delete', null, {members: 4, messages: 2}), service, 'DELETE', path);
  });

  test(`${database}: a refused change has no line`, async t => {
    const api = await startApi(t, database);
    const path = `/api/rooms/${await testRoom(api.chat)}/`;
    const before = await count(api.chat);
    for (const [token, method, target, body] of [
      [apiToken('mia'), 'PATCH', path, {name: 'x'}],
      [apiToken('sam'), 'DELETE', path, undefined],
      [apiToken('mia'), 'PUT', `${path}members/zoe/`, {}],
      [service, 'PUT', `${path}members/ann/`, {role: 'owner'}],
      [service, 'POST', `${path}messages/`, {content: 'x', user_id: 'nobody'}],
      [service, 'DELETE', '/api/users/nobody/', undefined],
    ] as const) {
      t.true((await ask(api, token, method, target, body)).status >= 400);
    }
    t.is(await count(api.chat), before);
  });

  test(`${database}: the command line's changes are told under the operator's name`, async t => {
    const cli = await testCli(t, database);
    const as = {env: {CHATCTL_ACTOR: 'deploy', USER: 'root'}};
    await cli(['room', 'create', 'general', '--member', 'alice'], as);
    await cli(['message', 'post', 'general', 'hello', '--as', 'alice'], {env: {USER: 'root'}});
    await cli(['message', 'post', 'general', 'from the system']);
    await cli(['room', 'rename', 'general', 'lobby', '--dry-run'], as);
    await park(cli, 2);
    await cli(['outbox', 'retry', '1'], as);
    await cli(['outbox', 'drop', '2', '--confirm', 'outbox'], as);
    const {stdout} = await cli(['audit', 'list', '-o', 'ndjson']);
    const lines = stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as Record<string, unknown>);
    t.deepEqual(
      lines.toReversed().map(({actor, door, action, user_id}) => [actor, door, action, user_id]),
      [
        ['operator:deploy', 'cli', 'room.create', null],
        ['operator:root', 'cli', 'message.post', 'alice'],
        ['operator:chatctl', 'cli', 'message.post', null],
        ['operator:deploy', 'cli', 'event.retry', null],
        ['operator:deploy', 'cli', 'event.drop', null],
      ],
    );
  });

  test(`${database}: the log is listed newest first, filtered and paged, by both doors alike`, async t => {
    const cli = await testCli(t, database);
    await cli(['room', 'create', 'general', '--member', 'alice']);
    for (const user of ['bob', 'carol', 'dave'])
      await cli(['member', 'add', 'general', user], {env: {CHATCTL_ACTOR: user}});
    const ids = async (...args: string[]) =>
      (await cli(['audit', 'list', '-o', 'id', ...args])).stdout.split('\n').filter(Boolean);
    const all = await ids();
    t.is(all.length, 4);
    t.deepEqual(
      all,
      all.toSorted((a, b) => Number(b) - Number(a)),
    );
    const [newest = '', second = '', third = '', oldest = ''] = all;
    t.deepEqual(await ids('--limit', '2'), [newest, second]);
    t.deepEqual(await ids('--limit', '2', '--after', second), [third, oldest]);
    t.is((await cli(['audit', 'list', '--limit', '2', '--json'])).at('next'), second);
    t.is((await cli(['audit', 'list', '--all', '--json'])).at('next'), null);
    t.deepEqual(await ids('--user', 'bob'), [third]);
    t.deepEqual(await ids('--actor', 'operator:carol'), [second]);
    t.deepEqual(await ids('--action', 'room.create'), [oldest]);
    t.deepEqual(await ids('--room', 'general', '--action', 'member.add', '--limit', '1'), [newest]);
    t.deepEqual(await ids('--since', '1h'), all);
    t.deepEqual(await ids('--until', '1h'), []);
    t.deepEqual(await ids('--since', '2999-01-01T00:00:00Z'), []);
    for (const format of ['table', 'plain', 'json', 'ndjson', 'csv', 'id']) {
      t.is((await cli(['audit', 'list', '-o', format])).code, 0, format);
    }
    for (const wrong of [
      ['--since', 'yesterday'],
      ['--until', '-1h'],
      ['--since', '0000-01-01T00:00:00Z'],
      ['--action', 'room.creat'],
      ['--after', 'x'],
      ['--limit', '0'],
    ]) {
      t.is((await cli(['audit', 'list', ...wrong])).code, 2, wrong.join(' '));
    }
    t.regex((await cli(['audit', 'list', '--action', 'room.creat'])).stderr, /Did you mean room\.create\?/);
    t.is((await cli(['audit', 'list', '--room', 'nowhere'])).code, 3);
    await cli(['room', 'delete', 'general', '--confirm', 'general']);
    t.is((await ids('--room', '1', '--action', 'room.delete')).length, 1, 'a deleted room by its id');
  });

  test(`${database}: the service reads the log over REST, with links to the next page`, async t => {
    const api = await startApi(t, database);
    await testRoom(api.chat);
    const page = await ask(api, service, 'GET', '/api/audit/?limit=1&action=member.add');
    t.is(page.status, 200, page.text);
    t.is(page.at('count'), 1);
    t.like(page.at('results.0'), {
      actor: 'operator:test',
      door: 'cli',
      action: 'member.add',
      user_id: 'ann',
      detail: {role: 'admin'},
    });
    const first = await ask(api, service, 'GET', '/api/audit/?limit=1');
    const next = new URL(String(first.at('next')));
    const second = await ask(api, service, 'GET', `${next.pathname}${next.search}`);
    t.is(second.at('results.0.action'), 'room.create');
    t.is(second.at('next'), null);
    for (const query of [
      'since=x',
      'since=0000-01-01T00:00:00Z',
      'action=x',
      'before=0',
      'room=0',
      'user=%20',
      'actor=%00',
      'limit=0',
      'page=1',
      'since=9999-12-31T23:59:59-14:00',
    ]) {
      t.is((await ask(api, service, 'GET', `/api/audit/?${query}`)).status, 400, query);
    }
  });

  test(`${database}: no line can be changed or removed, and an erasure needs none of it`, async t => {
    const chat = await openTestChat(t, database);
    await upsertUser(chat, operator, userId('alice'), 'Alice');
    await eraseUser(chat, operator, userId('alice'), 'delete');
    const {writer} = chat.db;
    const before = await toldAfter(chat, 0);
    for (const change of [
      () => writer('audit').update({actor: 'nobody'}),
      () => writer('audit').delete(),
      () => writer('audit').where({id: 1}).delete(),
      ...(database === 'postgres' ? [() => writer.raw('truncate audit')] : []),
    ]) {
      await t.throwsAsync(async () => void (await change()), {message: /audit log is append-only/});
    }
    t.deepEqual(await toldAfter(chat, 0), before);
    t.true(
      before.some(({user}) => user === 'alice'),
      'the id stays, as it does in the tombstone',
    );
    t.false(JSON.stringify(before).includes('"Alice"'));
  });

  test(`${database}: a database from before keeps its lines and gets the guard`, async t => {
    const config = await testConfig(t, database);
    const db = await openDatabase(config, {migrate: true});
    await migrateUp(db, '0002');
    await db.writer('audit').insert({
      at: '2026-01-01T00:00:00.000Z',
      actor: 'operator:old',
      door: 'cli',
      action: 'room.create',
      detail: '{}',
    });
    await db.close();
    const chat = await openChat(config, {migrate: true});
    t.teardown(() => chat.close());
    t.is((await toldAfter(chat, 0))[0]?.actor, 'operator:old');
    await t.throwsAsync(async () => void (await chat.db.writer('audit').delete()), {message: /append-only/});
  });
}

test('actions are a noun and a verb each, and listed once', t => {
  t.is(new Set(auditActions).size, auditActions.length);
  for (const action of auditActions) t.regex(action, /^[a-z]+\.[a-z]+$/);
});

/** Parks the first events, as a broker that refuses them would. */
async function park(cli: TestCli, events: number): Promise<void> {
  const chat = await openChat(loadConfig({env: cli.env, cwd: cli.cwd}));
  for (let id = 1; id <= events; id++) await inTransaction(chat.db, tx => parkOutbox(tx, id, 'refused', chat.now()));
  await chat.close();
}
