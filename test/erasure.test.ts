// What is left of a user who was erased: every table, the events on their way, the streams and an export are searched
// for their name and their words.
import {readFileSync, statSync, symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {eraseUser, withoutUser} from '../src/core/erasure.ts';
import {CreateRoom, parse, PostMessage, type MessageFate} from '../src/core/input.ts';
import {deleteRoom, createRoom, getRoom} from '../src/core/rooms.ts';
import {postMessage} from '../src/core/post-queue.ts';
import {upsertUser} from '../src/core/users.ts';
import {openStreams} from '../src/delivery/streams.ts';
import {UserExport, Erasure} from '../src/http/schemas.ts';
import {parkOutbox} from '../src/db/outbox.ts';
import {inTransaction} from '../src/db/transaction.ts';
import type {OpenChat} from '../src/open.ts';
import type {RunningServer} from '../src/serve.ts';
import {apiToken, openTestChat, operator, serviceToken, userId} from './helpers/chat.ts';
import {testCli} from './helpers/cli.ts';
import {databases} from './helpers/database.ts';
import {listen, request, roomOf, startTestServer} from './helpers/server.ts';
import {until} from './helpers/until.ts';

const fates = ['keep', 'redact', 'delete'] as const satisfies MessageFate[];
const alice = userId('alice');
const name = 'Alice-Nymph-7731';
const words = 'the-words-of-alice-4417';
const service = serviceToken();
const apiKey = 'key-of-the-streams-0123456789-0123456789';

/** Every row of every table, as text. */
async function tablesOf(chat: OpenChat): Promise<Record<string, string>> {
  const {db} = chat;
  const query =
    db.dialect.name === 'sqlite'
      ? `select name from sqlite_master where type = 'table'`
      : `select tablename as name from pg_tables where schemaname = 'public'`;
  const answer: unknown = await db.sql.raw(query);
  const found = (Array.isArray(answer) ? answer : (answer as {rows: unknown[]}).rows) as {name: string}[];
  const texts: [string, string][] = [];
  for (const table of found) texts.push([table.name, JSON.stringify(await db.sql(table.name))]);
  return Object.fromEntries(texts);
}

async function tablesThatHold(chat: OpenChat, text: string): Promise<string[]> {
  return Object.entries(await tablesOf(chat))
    .filter(([, rows]) => rows.includes(text))
    .map(([table]) => table);
}

/** alice and bob in two rooms where both wrote; in one more alice wrote and left; in one bob is alone. */
async function lifeOf(chat: OpenChat): Promise<{rooms: number[]; lonely: number}> {
  await upsertUser(chat, operator, alice, name);
  const rooms: number[] = [];
  for (const room of ['one', 'two']) {
    const {id} = await createRoom(chat, operator, parse(CreateRoom, {name: room, members: ['alice', 'bob']}));
    rooms.push(id);
    await postMessage(
      chat,
      {kind: 'user', id: userId('bob')},
      id,
      parse(PostMessage, {content: 'hello', client_id: 'b'}),
    );
    for (const client_id of ['first', 'second']) {
      const input = parse(PostMessage, {content: `${words} ${client_id}`, client_id});
      await postMessage(chat, {kind: 'user', id: alice}, id, input);
    }
  }
  const {id: lonely} = await createRoom(chat, operator, parse(CreateRoom, {name: 'bob alone', members: ['bob']}));
  // The broker refused one of alice's events; beside a server it is delivered by now.
  const [own] = await chat.db.sql('outbox').where({room_id: rooms[1]}).andWhereLike('body', `%${words} second%`);
  if (own) await inTransaction(chat.db, tx => parkOutbox(tx, Number(own.id), 'refused', chat.now()));
  return {rooms, lonely};
}

for (const database of databases) {
  for (const fate of fates) {
    test(`${database}, ${fate}: nothing of an erased user is in any table, in events that wait or in an export`, async t => {
      const chat = await openTestChat(t, database);
      const {rooms, lonely} = await lifeOf(chat);
      t.deepEqual((await tablesThatHold(chat, name)).toSorted(), ['outbox', 'outbox_parked', 'users']);
      const [room] = await Promise.all(rooms.map(id => getRoom(chat, operator, id as never)));
      const untouched = await getRoom(chat, operator, lonely as never);

      const {events, ...erased} = await eraseUser(chat, operator, alice, fate);
      t.true(events > 0);
      t.deepEqual(erased, {
        user: alice,
        mode: fate,
        memberships: 2,
        messages: fate === 'keep' ? 0 : 4,
        streams: null,
      });
      t.deepEqual(await tablesThatHold(chat, name), []);
      const kept = fate === 'keep' ? ['messages', 'outbox', 'outbox_parked'] : [];
      t.deepEqual((await tablesThatHold(chat, words)).toSorted(), kept);
      t.deepEqual(await tablesThatHold(chat, '"client_id":"first"'), []);
      t.is((await chat.db.sql('members').where({user_id: alice})).length, 0);

      const after = await getRoom(chat, operator, room?.id as never);
      t.is(after.lastSeq, room?.lastSeq ?? 0, 'seqs stay dense');
      t.is(after.memberCount, (room?.memberCount ?? 0) - 1);
      const steps = {keep: 1, redact: 2, delete: 3}[fate];
      t.is(after.version, (room?.version ?? 0) + steps, 'a version for each event');
      t.deepEqual(await getRoom(chat, operator, lonely as never), untouched);
      await mustBeInOrder(t, chat, after.id);
    });
  }

  test(`${database}: the events of an erasure reach the members, and a dense order stays`, async t => {
    const server = await startTestServer(t, database, {CENTRIFUGO_API_KEY: apiKey});
    const id = await roomOf(server, ['alice', 'bob']);
    await request(server, service, 'PUT', '/api/users/alice/', {username: name});
    await request(server, apiToken('alice'), 'POST', `/api/rooms/${id}/messages/`, {content: words});
    const bob = await listen(t, server, 'bob');
    const answer = await request(server, service, 'POST', '/api/users/alice/erase/', {messages: 'delete'});
    t.is(answer.status, 200, answer.text);
    t.deepEqual(Erasure.parse(answer.body), {
      user: 'alice',
      mode: 'delete',
      memberships: 1,
      messages: 1,
      events: Number(answer.body['events']),
      streams: 2,
    });
    await until(() => bob.events.some(event => event.type === 'user_left'), 'bob to be told');
    const told = bob.events.filter(event => ['message_deleted', 'user_left'].includes(event.type));
    t.deepEqual(
      told.map(event => event.type),
      ['message_deleted', 'user_left'],
    );
    t.false(JSON.stringify(told).includes(name));
    t.false(JSON.stringify(told).includes(words));
    await mustBeRefused(t, server, id);
  });

  test(`${database}: the streams of those who were told of an erased user are cleared of them`, async t => {
    const server = await startTestServer(t, database, {CENTRIFUGO_API_KEY: apiKey});
    const id = await roomOf(server, ['alice', 'bob']);
    const other = await roomOf(server, ['carol'], 'other');
    await request(server, service, 'PUT', '/api/users/alice/', {username: name});
    await request(server, apiToken('alice'), 'POST', `/api/rooms/${id}/messages/`, {content: words});
    await request(server, apiToken('carol'), 'POST', `/api/rooms/${other}/messages/`, {content: 'hers'});
    await until(async () => (await waiting(server)) === 0, 'the delivery');
    const streams = openStreams(new URL(server.realtimeUrl ?? '').origin.replace('ws', 'http'), apiKey);
    const textOf = async (user: string) => JSON.stringify(await streams.history(`personal:${user}`));
    t.true((await textOf('bob')).includes(words));
    t.true((await textOf('alice')).includes(name));
    const carols = await textOf('carol');
    await request(server, service, 'POST', '/api/users/alice/erase/', {messages: 'redact'});
    await until(async () => (await waiting(server)) === 0, 'the delivery');
    for (const user of ['alice', 'bob']) {
      const text = await textOf(user);
      t.false(text.includes(words), user);
      t.false(text.includes(name), user);
    }
    t.is(await textOf('carol'), carols, 'a stream that was told nothing stays');
  });

  test(`${database}: an export holds everything of a user, over REST and from the command line`, async t => {
    const server = await startTestServer(t, database);
    await lifeOf(server.chat);
    t.is((await request(server, service, 'GET', '/api/users/nobody/export/')).status, 404);
    t.is((await request(server, apiToken('bob'), 'GET', '/api/users/alice/export/')).status, 403);
    const {status, text, headers} = await request(server, service, 'GET', '/api/users/alice/export/');
    t.is(status, 200);
    t.is(headers.get('content-type'), 'application/json; charset=utf-8');
    const found = UserExport.parse(JSON.parse(text));
    t.is(found.user.username, name);
    t.is(found.memberships.length, 2);
    t.deepEqual(
      found.messages.map(message => message.content),
      ['first', 'second', 'first', 'second'].map(each => `${words} ${each}`),
    );
    t.true(found.audit.some(entry => entry.action === 'user.export'));

    await eraseUser(server.chat, operator, alice, 'redact');
    const {text: after} = await request(server, service, 'GET', '/api/users/alice/export/');
    t.false(after.includes(words) || after.includes(name));
    t.is(UserExport.parse(JSON.parse(after)).messages.length, 4, 'tombstones are still theirs');
  });

  test(`${database}: an erasure that was killed half way is finished by asking again`, async t => {
    const chat = await openTestChat(t, database);
    const {rooms} = await lifeOf(chat);
    const {db} = chat;
    // Killed: the second room's transactions fail.
    let failed = false;
    const broken: OpenChat = {
      ...chat,
      onEvent: event => {
        if (JSON.stringify(event.body).includes(`"id":${rooms[1]},`)) {
          failed = true;
          throw new Error('killed');
        }
      },
    };
    await t.throwsAsync(eraseUser(broken, operator, alice, 'redact'), {message: 'killed'});
    t.true(failed);
    t.true((await tablesThatHold(chat, words)).includes('messages'));
    await t.throwsAsync(upsertUser(chat, operator, alice, 'again'), {code: 'user_erased'});
    const rest = await eraseUser(chat, operator, alice, 'redact');
    t.like(rest, {memberships: 1, messages: 2});
    t.deepEqual(await tablesThatHold(chat, words), []);
    t.deepEqual(await tablesThatHold(chat, name), []);
    t.like(await eraseUser(chat, operator, alice, 'redact'), {memberships: 0, messages: 0, events: 0});
    t.is((await db.sql('users').where({id: alice})).length, 1);
  });

  test(`${database}: two erasures at once, and joins and posts beside them, leave no membership and no words`, async t => {
    const server = await startTestServer(t, database);
    const {rooms} = await lifeOf(server.chat);
    const {id: open} = await createRoom(server.chat, operator, parse(CreateRoom, {name: 'open'}));
    const token = apiToken('alice');
    await Promise.all([
      ...Array.from({length: 5}, () =>
        request(server, token, 'POST', `/api/rooms/${rooms[0]}/messages/`, {content: words}),
      ),
      request(server, token, 'POST', `/api/rooms/${open}/join/`),
      request(server, service, 'PUT', `/api/rooms/${open}/members/alice/`, {}),
      request(server, service, 'POST', '/api/users/alice/erase/', {messages: 'redact'}),
      request(server, service, 'POST', '/api/users/alice/erase/', {messages: 'redact'}),
      request(server, service, 'PUT', '/api/users/alice/', {username: name}),
      ...Array.from({length: 5}, () =>
        request(server, service, 'POST', `/api/rooms/${rooms[1]}/messages/`, {content: words, user_id: 'alice'}),
      ),
    ]);
    t.is((await server.chat.db.sql('members').where({user_id: alice})).length, 0);
    t.deepEqual(await tablesThatHold(server.chat, words), []);
    t.deepEqual(await tablesThatHold(server.chat, name), []);
  });

  test(`${database}: a room that is deleted and not yet purged gives up the user too`, async t => {
    const chat = await openTestChat(t, database);
    const {rooms} = await lifeOf(chat);
    await deleteRoom(chat, operator, rooms[0] as never);
    await eraseUser(chat, operator, alice, 'delete');
    t.deepEqual(await tablesThatHold(chat, words), []);
    t.is((await chat.db.sql('members').where({user_id: alice})).length, 0);
  });

  test(`${database}: chatctl user erase asks for the id, exports first, and can be rehearsed`, async t => {
    const cli = await testCli(t, database);
    await cli(['user', 'upsert', 'alice', '--username', name]);
    await cli(['room', 'create', 'general', '--member', 'alice', '--member', 'bob']);
    await cli(['message', 'post', 'general', words, '--as', 'alice']);

    t.is((await cli(['user', 'erase', 'nobody', '--messages', 'keep', '--confirm', 'nobody'])).code, 3);
    t.is(
      (await cli(['user', 'erase', 'alice', '--confirm', 'alice'])).code,
      2,
      'what becomes of the messages is asked',
    );
    const unsure = await cli(['user', 'erase', 'alice', '--messages', 'redact', '--yes']);
    t.is(unsure.code, 2);
    const unconfirmed = await cli(['user', 'erase', 'alice', '--messages', 'redact']);
    t.is(unconfirmed.code, 2);
    t.regex(unconfirmed.stderr, /1 membership\(s\), 1 message\(s\) \(redact\)[^]*--confirm alice/);
    t.is((await cli(['user', 'erase', 'alice', '--messages', 'redact', '--confirm', 'bob'])).code, 2);

    const rehearsed = await cli(['user', 'erase', 'alice', '--messages', 'redact', '--dry-run', '--json']);
    t.is(rehearsed.code, 0, rehearsed.stderr);
    t.deepEqual(rehearsed.at('erased'), {user: 'alice', memberships: 1, messages: 1, mode: 'redact'});
    t.regex(rehearsed.stderr, /nothing was changed/i);
    t.is((await cli(['user', 'show', 'alice', '--json'])).at('user.username'), name);

    writeFileSync(join(cli.cwd, 'there.json'), 'mine');
    symlinkSync(join(cli.cwd, 'target.json'), join(cli.cwd, 'link.json'));
    for (const file of ['there.json', 'link.json']) {
      const refused = await cli([
        'user',
        'erase',
        'alice',
        '--messages',
        'redact',
        '--confirm',
        'alice',
        '--export',
        file,
      ]);
      t.is(refused.code, 4, refused.stderr);
    }
    t.is((await cli(['user', 'show', 'alice', '--json'])).at('user.username'), name, 'no export, no erasure');

    const args = ['user', 'erase', 'alice', '--messages', 'redact', '--confirm', 'alice', '--export', 'alice.json'];
    const erased = await cli([...args, '--json']);
    t.is(erased.code, 0, erased.stderr);
    t.deepEqual(erased.at('erased'), {user: 'alice', memberships: 1, messages: 1, mode: 'redact'});
    const file = join(cli.cwd, 'alice.json');
    t.is(statSync(file).mode & 0o777, 0o600);
    const document = UserExport.parse(JSON.parse(readFileSync(file, 'utf8')));
    t.is(document.messages[0]?.content, words);

    t.is((await cli(['member', 'add', 'general', 'id:alice'])).code, 4);
    t.is((await cli(['user', 'upsert', 'alice'])).code, 4);
    t.is((await cli(['user', 'deactivate', 'alice', '--yes'])).code, 4);
    t.is((await cli(['message', 'post', 'general', 'x', '--as', 'alice'])).code, 4);
    t.is((await cli(['room', 'create', 'new', '--member', 'alice'])).code, 4);
    const {stdout} = await cli(['user', 'export', 'alice']);
    t.false(stdout.includes(words) || stdout.includes(name));
  });
}

test('an event is rewritten where it names the user, and nowhere else', t => {
  const now = '2026-01-02T00:00:00.000Z' as never;
  const text = (user: string, content: string) =>
    `{"type":"members_changed","body":{"room":{"id":1,"last_message":{"id":2,"content":"${content}","user":${user},"created_at":"x"}},"added":0,"removed":0,"you":null}}`;
  const mine = text('{"id":"alice","username":"A"}', 'alice');
  const bobs = text('{"id":"bob","username":"alice"}', 'alice');
  t.is(withoutUser(bobs, alice, 'redact', now), bobs);
  t.is(withoutUser(mine, alice, 'keep', now), text('{"id":"alice","username":"erased"}', 'alice'));
  t.is(withoutUser(mine, alice, 'redact', now), text('{"id":"alice","username":"erased"}', ''));
});

/** The waiting events of a room have rising versions, without a gap up to the room's own. */
async function mustBeInOrder(t: ExecutionContext, chat: OpenChat, room: number): Promise<void> {
  const versions = (await chat.db.sql('outbox').where({room_id: room}).orderBy('id').pluck('version')).map(Number);
  t.deepEqual(
    versions,
    versions.map((_, i) => i + 1),
  );
  t.is(versions.at(-1), (await getRoom(chat, operator, room as never)).version);
}

async function waiting(server: RunningServer): Promise<number> {
  return (await server.chat.db.sql('outbox')).length;
}

async function mustBeRefused(t: ExecutionContext, server: RunningServer, room: number): Promise<void> {
  t.is((await request(server, apiToken('alice'), 'GET', '/api/rooms/')).status, 401);
  for (const [method, path, body] of [
    ['PUT', '/api/users/alice/', {username: 'x'}],
    ['DELETE', '/api/users/alice/', undefined],
    ['PUT', `/api/rooms/${room}/members/alice/`, {}],
    ['POST', `/api/rooms/${room}/members/`, {add: ['alice']}],
    ['POST', `/api/rooms/${room}/messages/`, {content: 'x', user_id: 'alice'}],
    ['POST', '/api/rooms/', {name: 'x', members: ['alice']}],
  ] as const) {
    const {status, text} = await request(server, service, method, path, body);
    t.is(status, 409, `${method} ${path}: ${text}`);
  }
}
