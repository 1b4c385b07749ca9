import test from 'ava';
import {finishMembers, importMembers, newImportId, type ImportEvents} from '../../src/core/imports.ts';
import {CreateRoom, parse, PostMessage} from '../../src/core/input.ts';
import {changeMembers, putMember, removeMember} from '../../src/core/members.ts';
import {postMessage} from '../../src/core/post-queue.ts';
import {createRoom, getRoom} from '../../src/core/rooms.ts';
import {upsertUser} from '../../src/core/users.ts';
import type {RoomId} from '../../src/core/ids.ts';
import {outboxDepth} from '../../src/db/outbox.ts';
import type {OpenChat} from '../../src/open.ts';
import {startBatchServer, type BatchServer} from '../helpers/batch-server.ts';
import {openTestChat, operator, userId} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {startTestRelay} from '../helpers/relay.ts';
import {until} from '../helpers/until.ts';

interface Part {
  id: string;
  room: RoomId;
  users: string[];
  before?: number;
  event?: ImportEvents;
  existingUsers?: boolean;
}

function importPart(chat: OpenChat, {id, room, users, before = 0, event = 'summary', existingUsers = false}: Part) {
  return importMembers(chat, operator, {
    room,
    event,
    existingUsers,
    before,
    rows: users.map(user => ({user: userId(user), role: 'member', username: undefined})),
    after: () => ({id, position: before + users.length, inputHash: '', state: '{}'}),
  });
}

function post(chat: OpenChat, room: RoomId, content: string) {
  return postMessage(chat, operator, room, parse(PostMessage, {content}));
}

async function openRoom(chat: OpenChat): Promise<RoomId> {
  return (await createRoom(chat, operator, parse(CreateRoom, {name: 'general', members: ['alice']}))).id;
}

function drained(chat: OpenChat) {
  return until(async () => (await outboxDepth(chat.db)).waiting === 0, 'an empty outbox');
}

function typesOn(server: BatchServer, user: string): string[] {
  return server.taken
    .filter(each => each.channel === `personal:${user}`)
    .map(({received}) => {
      const {type, body} = received.data;
      return type === 'members_changed' ? `${type} ${String(body['you'])}` : type;
    });
}

for (const database of databases) {
  test(`${database}: whoever a killed import has added receives what is posted from then on, and is told of once at the end`, async t => {
    const chat = await openTestChat(t, database);
    const server = await startBatchServer(t);
    const room = await openRoom(chat);
    startTestRelay(t, chat, server.broker);
    await post(chat, room, 'before');
    await drained(chat);

    const id = newImportId();
    await importPart(chat, {id, room, users: ['bob', 'carol']});
    t.is((await getRoom(chat, operator, room)).version, 2);
    await post(chat, room, 'between');
    await drained(chat);
    t.deepEqual(typesOn(server, 'bob'), ['message_added']);

    await importPart(chat, {id, room, users: ['dave'], before: 2});
    await finishMembers(chat, operator, id, room, 'summary');
    await finishMembers(chat, operator, id, room, 'summary');
    await post(chat, room, 'after');
    await drained(chat);
    t.deepEqual(typesOn(server, 'bob'), ['message_added', 'members_changed added', 'message_added']);
    t.deepEqual(typesOn(server, 'dave'), ['members_changed added', 'message_added']);
    t.deepEqual(typesOn(server, 'alice').slice(-2), ['members_changed null', 'message_added']);
    const {version, memberCount} = await getRoom(chat, operator, room);
    t.deepEqual({version, memberCount}, {version: 5, memberCount: 4});
  });

  test(`${database}: one whom somebody removed before the end is not told of and receives nothing more`, async t => {
    const chat = await openTestChat(t, database);
    const server = await startBatchServer(t);
    const room = await openRoom(chat);
    startTestRelay(t, chat, server.broker);
    const id = newImportId();
    await importPart(chat, {id, room, users: ['bob', 'carol']});
    await removeMember(chat, operator, room, userId('bob'));
    await finishMembers(chat, operator, id, room, 'summary');
    await post(chat, room, 'after');
    await drained(chat);
    t.deepEqual(typesOn(server, 'bob'), ['user_left']);
    t.deepEqual(typesOn(server, 'carol'), ['user_left', 'members_changed added', 'message_added']);
  });

  test(`${database}: the end of one import does not hide the members of another that tells of nobody`, async t => {
    const chat = await openTestChat(t, database);
    const server = await startBatchServer(t);
    const room = await openRoom(chat);
    startTestRelay(t, chat, server.broker);
    const told = newImportId();
    await importPart(chat, {id: told, room, users: ['bob']});
    await post(chat, room, 'kept');
    await drained(chat);
    await importPart(chat, {id: newImportId(), room, users: ['quiet'], event: 'none'});
    await finishMembers(chat, operator, told, room, 'summary');
    await post(chat, room, 'after');
    await drained(chat);
    t.deepEqual(typesOn(server, 'quiet'), ['members_changed null', 'message_added']);
    t.deepEqual(typesOn(server, 'bob'), ['message_added', 'members_changed added', 'message_added']);
  });

  test(`${database}: with an event for each, versions and events are those of adding one by one`, async t => {
    const outbox = async (chat: OpenChat) =>
      (await chat.db.sql('outbox').orderBy('id')).map(({version, members_version, type, added, body}) => {
        const told = JSON.parse(String(body)) as {body: {room: {member_count: number}}};
        return {version, members_version, type, added, count: told.body.room.member_count};
      });
    const atOnce = await openTestChat(t, database);
    const room = await openRoom(atOnce);
    await importPart(atOnce, {id: newImportId(), room, users: ['bob', 'carol', 'dave'], event: 'each'});
    const single = await openTestChat(t, database);
    const other = await openRoom(single);
    for (const user of ['bob', 'carol', 'dave']) await putMember(single, operator, other, userId(user));
    t.deepEqual(await outbox(atOnce), await outbox(single));
    const {version, membersVersion, memberCount} = await getRoom(atOnce, operator, room);
    const one = await getRoom(single, operator, other);
    t.deepEqual(
      {version, membersVersion, memberCount},
      {version: one.version, membersVersion: one.membersVersion, memberCount: one.memberCount},
    );
  });

  test(`${database}: of two who go on with one import at once, one is refused and nothing is doubled`, async t => {
    const chat = await openTestChat(t, database);
    const room = await openRoom(chat);
    const id = newImportId();
    await importPart(chat, {id, room, users: ['bob']});
    const both = await Promise.allSettled([
      importPart(chat, {id, room, users: ['carol'], before: 1}),
      importPart(chat, {id, room, users: ['carol'], before: 1}),
    ]);
    t.is(both.filter(each => each.status === 'fulfilled').length, 1);
    const refused = both.find(each => each.status === 'rejected');
    t.like(refused, {reason: {code: 'import_moved'}});
    await finishMembers(chat, operator, id, room, 'summary');
    await t.throwsAsync(importPart(chat, {id, room, users: ['dave'], before: 2}), {code: 'import_moved'});
    t.is((await getRoom(chat, operator, room)).memberCount, 3);
  });

  test(`${database}: erased users, and on demand unknown ones, are refused alone`, async t => {
    const chat = await openTestChat(t, database);
    const room = await openRoom(chat);
    await upsertUser(chat, operator, userId('gone'), 'Gone');
    await chat.db.writer('users').where({id: 'gone'}).update({erased_at: chat.now()});
    const users = ['gone', 'new', 'alice', 'new'];
    const strict = await importPart(chat, {id: newImportId(), room, users, existingUsers: true});
    t.deepEqual(
      strict.refused.map(each => each.at),
      [0, 1, 3],
    );
    const outcome = await importPart(chat, {id: newImportId(), room, users});
    t.deepEqual(outcome, {added: 1, existing: 2, refused: [{at: 0, reason: 'the user gone was erased'}]});
  });

  test(`${database}: posts and other changes of members go on during an import, and every version has its event`, async t => {
    const chat = await openTestChat(t, database);
    const room = await openRoom(chat);
    const id = newImportId();
    const names = Array.from({length: 200}, (_, i) => `u${i}`);
    async function imported() {
      for (let before = 0; before < names.length; before += 20) {
        await importPart(chat, {id, room, users: names.slice(before, before + 20), before});
      }
      await finishMembers(chat, operator, id, room, 'summary');
    }
    async function others() {
      for (let i = 0; i < 20; i++) {
        await post(chat, room, `m${i}`);
        await changeMembers(chat, operator, room, {add: [userId(`x${i}`)], remove: i > 0 ? [userId(`x${i - 1}`)] : []});
      }
    }
    await Promise.all([imported(), others()]);
    const {version, memberCount} = await getRoom(chat, operator, room);
    t.is(memberCount, 202);
    const rows: {version: number}[] = await chat.db.sql('outbox').orderBy('id');
    t.deepEqual(
      rows.map(each => each.version),
      Array.from({length: version}, (_, i) => i + 1),
    );
    t.is(version, 42);
  });
}
