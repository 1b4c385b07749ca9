// What every change of a room leaves behind, and what a refused one does not.
import {createHash} from 'node:crypto';
import test from 'ava';
import {
  changeMembers,
  joinRoom,
  leaveRoom,
  listMembers,
  markRead,
  putMember,
  removeMember,
} from '../../src/core/members.ts';
import {deleteMessage} from '../../src/core/messages.ts';
import {postMessage} from '../../src/core/post-queue.ts';
import {CreateRoom, parse, PostMessage} from '../../src/core/input.ts';
import type {OwnRoomJson} from '../../src/core/present.ts';
import {createRoom, deleteRoom, listOwnRooms, putRoom, searchRooms, updateRoom} from '../../src/core/rooms.ts';
import {deactivateUser, provisionUser, upsertUser} from '../../src/core/users.ts';
import type {RoomId} from '../../src/core/ids.ts';
import {rows} from '../../src/db/rows.ts';
import {openChat, type OpenChat} from '../../src/open.ts';
import {openTestChat, operator, testConfig, testUser, userId} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';

const page = {page: 1, limit: 100};

function room(chat: OpenChat, members: string[], more: object = {}) {
  return createRoom(chat, operator, parse(CreateRoom, {name: 'general', members, ...more}));
}

function input(content: string, more: object = {}) {
  return parse(PostMessage, {content, ...more});
}

interface Event {
  type: string;
  version: number;
  idempotency_key: string;
}

function events(chat: OpenChat): Promise<Event[]> {
  return rows(chat.db, 'select type, version, idempotency_key from outbox order by id');
}

/** A hash of everything but the users, which a refused request may provision. */
async function fingerprint(chat: OpenChat): Promise<string> {
  const tables = ['rooms', 'members', 'messages', 'outbox', 'outbox_parked', 'audit'];
  const contents = await Promise.all(tables.map(table => rows(chat.db, `select * from ${table} order by 1, 2`)));
  return createHash('sha256').update(JSON.stringify(contents)).digest('hex');
}

for (const database of databases) {
  test(`${database}: every change raises the version by one and leaves exactly its event`, async t => {
    const chat = await openTestChat(t, database);
    const [alice, bob] = [await testUser(chat, 'alice'), await testUser(chat, 'bob')];
    const {id} = await room(chat, ['alice']);
    await postMessage(chat, alice, id, input('hello'));
    await joinRoom(chat, bob, id);
    await putMember(chat, operator, id, userId('bob'), {role: 'admin'});
    await updateRoom(chat, operator, id, {name: 'lobby'});
    const {message} = await postMessage(chat, bob, id, input('to go'));
    await deleteMessage(chat, bob, id, message.id);
    await changeMembers(chat, operator, id, {add: [userId('carol')], remove: [userId('alice')]});
    await putMember(chat, operator, id, userId('dave'));
    await removeMember(chat, operator, id, userId('dave'));
    await leaveRoom(chat, bob, id);
    await deleteRoom(chat, operator, id);
    const found = await events(chat);
    t.deepEqual(
      found.map(each => each.type),
      [
        'members_changed',
        'message_added',
        'user_joined',
        'member_updated',
        'room_updated',
        'message_added',
        'message_deleted',
        'members_changed',
        'user_joined',
        'user_left',
        'user_left',
        'room_deleted',
      ],
    );
    t.deepEqual(
      found.map(each => each.version),
      Array.from({length: 12}, (_, i) => i + 1),
    );
  });

  test(`${database}: what changes nothing raises nothing and tells nobody`, async t => {
    const chat = await openTestChat(t, database);
    const alice = await testUser(chat, 'alice');
    const {id} = await room(chat, ['alice'], {key: 'k'});
    const {message} = await postMessage(chat, alice, id, input('hello', {client_id: 'c'}));
    await deleteMessage(chat, alice, id, message.id);
    const before = await fingerprint(chat);
    await updateRoom(chat, operator, id, {name: 'general', visibility: 'public', archived: false});
    await putRoom(chat, operator, 'k', {name: 'general', members: [userId('alice')]});
    await putMember(chat, operator, id, userId('alice'), {role: 'member'});
    await changeMembers(chat, operator, id, {add: [userId('alice')], remove: [userId('nobody')]});
    await deleteMessage(chat, alice, id, message.id);
    await postMessage(chat, alice, id, input('hello', {client_id: 'c'}));
    t.is(await fingerprint(chat), before);
  });

  test(`${database}: a refused change leaves every table as it was`, async t => {
    const chat = await openTestChat(t, database);
    const [alice, bob] = [await testUser(chat, 'alice'), await testUser(chat, 'bob')];
    const {id} = await room(chat, ['alice'], {key: 'k'});
    const hidden = await room(chat, [], {visibility: 'private'});
    const archived = await room(chat, ['alice']);
    await updateRoom(chat, operator, archived.id, {archived: true});
    const {message} = await postMessage(chat, operator, id, input('system'));
    await postMessage(chat, alice, id, input('mine', {client_id: 'c'}));
    const before = await fingerprint(chat);
    const refusals: [Promise<unknown>, string][] = [
      [joinRoom(chat, alice, id), 'already_member'],
      [joinRoom(chat, bob, hidden.id), 'room_not_found'],
      [joinRoom(chat, bob, archived.id), 'room_archived'],
      [joinRoom(chat, bob, 4711 as RoomId), 'room_not_found'],
      [leaveRoom(chat, bob, id), 'room_not_found'],
      [postMessage(chat, bob, id, input('x')), 'room_not_found'],
      [postMessage(chat, alice, archived.id, input('x')), 'room_archived'],
      [postMessage(chat, alice, id, input('other', {client_id: 'c'})), 'client_id_reused'],
      [postMessage(chat, alice, id, input('x', {user_id: 'bob'})), 'permission_denied'],
      [deleteMessage(chat, alice, id, message.id), 'permission_denied'],
      [updateRoom(chat, alice, id, {name: 'mine'}), 'permission_denied'],
      [putMember(chat, alice, id, userId('bob')), 'permission_denied'],
      [removeMember(chat, operator, id, userId('bob')), 'member_not_found'],
      [removeMember(chat, bob, id, userId('alice')), 'room_not_found'],
      [room(chat, [], {key: 'k'}), 'key_taken'],
      [changeMembers(chat, operator, id, {add: [userId('x')], remove: [userId('x')]}), 'invalid_input'],
      [markRead(chat, bob, id, 1), 'room_not_found'],
    ];
    for (const [refusal, code] of refusals) await t.throwsAsync(refusal, {code}, code);
    t.is(await fingerprint(chat), before);
  });

  test(`${database}: joins and leaves of one user have events of their own each time`, async t => {
    const chat = await openTestChat(t, database);
    const bob = await testUser(chat, 'bob');
    const {id} = await room(chat, []);
    for (let i = 0; i < 50; i++) {
      await joinRoom(chat, bob, id);
      await leaveRoom(chat, bob, id);
    }
    const keys = (await events(chat)).map(each => each.idempotency_key);
    t.is(keys.length, 100);
    t.is(new Set(keys).size, 100);
  });

  test(`${database}: a clock that is set back does not turn a room's time back`, async t => {
    let clock = Date.parse('2026-01-01T12:00:00Z');
    const chat = await openChat(await testConfig(t, database), {migrate: true, now: () => new Date(clock)});
    t.teardown(() => chat.close());
    const alice = await testUser(chat, 'alice');
    const {id} = await room(chat, ['alice']);
    const posted = [];
    for (const shift of [0, -3_600_000, 1_000, 3_600_000, -60_000]) {
      clock += shift;
      posted.push((await postMessage(chat, alice, id, input('tick'))).message);
    }
    const times = posted.map(each => each.createdAt);
    t.deepEqual(times, times.toSorted());
    t.deepEqual(
      posted.map(each => each.version),
      [2, 3, 4, 5, 6],
    );
  });

  test(`${database}: unread counts follow posts, own posts, joining and the marker`, async t => {
    const chat = await openTestChat(t, database);
    const [alice, bob, carol] = [
      await testUser(chat, 'alice'),
      await testUser(chat, 'bob'),
      await testUser(chat, 'carol'),
    ];
    const {id} = await room(chat, ['alice', 'bob']);
    const unread = async (user: typeof alice) => {
      const [own] = (await listOwnRooms(chat, user, page)).items;
      return own && (JSON.parse(own) as OwnRoomJson).unread_count;
    };
    for (let i = 0; i < 5; i++) await postMessage(chat, alice, id, input(`m${i}`));
    t.is(await unread(alice), 0);
    t.is(await unread(bob), 5);
    await joinRoom(chat, carol, id);
    t.is(await unread(carol), 0);
    t.deepEqual(await markRead(chat, bob, id, 3), {lastReadSeq: 3, unreadCount: 2});
    t.deepEqual(await markRead(chat, bob, id, 1), {lastReadSeq: 3, unreadCount: 2});
    t.deepEqual(await markRead(chat, bob, id, 999), {lastReadSeq: 5, unreadCount: 0});
  });

  test(`${database}: ten thousand members come and go as one change`, async t => {
    const chat = await openTestChat(t, database);
    const everybody = Array.from({length: 10_000}, (_, i) => userId(`u${i}`));
    const {id} = await room(chat, ['old']);
    const added = await changeMembers(chat, operator, id, {add: everybody, remove: [userId('old')]});
    t.deepEqual([added.added, added.removed, added.room.memberCount, added.room.version], [10_000, 1, 10_000, 2]);
    const removed = await changeMembers(chat, operator, id, {add: [], remove: everybody});
    t.deepEqual([removed.removed, removed.room.memberCount, removed.room.version], [10_000, 0, 3]);
    t.is((await events(chat)).length, 3);
    t.deepEqual((await listMembers(chat, operator, id, page)).items, []);
  });

  test(`${database}: T32: search takes wildcards for themselves, folds case and width, and hides private rooms`, async t => {
    const chat = await openTestChat(t, database);
    const alice = await testUser(chat, 'alice');
    for (const name of ['100% sure', 'snake_case', 'Ｗｉｄｅ', 'plain']) await room(chat, [], {name});
    await room(chat, [], {name: 'plain secret', visibility: 'private'});
    await room(chat, ['alice'], {name: 'plain own', visibility: 'private'});
    const names = async (search: string) => (await searchRooms(chat, alice, search, page)).items.map(each => each.name);
    t.deepEqual(await names('%'), ['100% sure']);
    t.deepEqual(await names('_'), ['snake_case']);
    t.deepEqual(await names('wide'), ['Ｗｉｄｅ']);
    t.deepEqual(await names('PLAIN'), ['plain', 'plain own']);
    t.deepEqual(await names('\\'), []);
  });

  test(`${database}: a user is provisioned once, whoever comes first, and refused once deactivated`, async t => {
    const chat = await openTestChat(t, database);
    const made = await Promise.all(Array.from({length: 10}, () => provisionUser(chat, userId('alice'), 'Alice')));
    t.is(new Set(made.map(each => each.createdAt)).size, 1);
    t.is((await provisionUser(chat, userId('alice'), 'Other')).username, 'Alice');
    await deactivateUser(chat, operator, userId('alice'));
    await t.throwsAsync(provisionUser(chat, userId('alice'), undefined), {code: 'user_deactivated'});
    await upsertUser(chat, operator, userId('alice'), 'Alice again');
    t.is((await provisionUser(chat, userId('alice'), undefined)).username, 'Alice again');
  });
}

for (const database of databases) {
  test(`${database}: lists are ordered by the bytes of ids and names, whatever the locale`, async t => {
    const chat = await openTestChat(t, database);
    const ids = ['Zoe', 'a.b', 'a-b', 'ab', 'adam', 'B2', 'b10'];
    const {id} = await room(chat, ids);
    const listed = (await listMembers(chat, operator, id, page)).items.map(each => String(each.user.id));
    t.deepEqual(listed, ids.toSorted());
  });
}
