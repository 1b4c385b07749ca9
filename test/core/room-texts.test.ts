// A list keeps the texts of rooms: after every change, made by another process, it must show what the room itself shows.
import test from 'ava';
import {eraseUser} from '../../src/core/erasure.ts';
import {importMembers, newImportId} from '../../src/core/imports.ts';
import type {MessageId, RoomId, Timestamp} from '../../src/core/ids.ts';
import {CreateRoom, parse, PostMessage} from '../../src/core/input.ts';
import {loadBatch, openLoad} from '../../src/core/load.ts';
import {joinRoom, leaveRoom, markRead, putMember} from '../../src/core/members.ts';
import {deleteMessage} from '../../src/core/messages.ts';
import {postMessage} from '../../src/core/post-queue.ts';
import {presentOwnRoom, type OwnRoomJson} from '../../src/core/present.ts';
import type {Batch} from '../../src/core/records.ts';
import {createRoom, deleteRoom, getRoom, listOwnRooms, updateRoom} from '../../src/core/rooms.ts';
import {upsertUser} from '../../src/core/users.ts';
import {countUnversioned} from '../../src/db/meta.ts';
import {rows} from '../../src/db/rows.ts';
import {inTransaction} from '../../src/db/transaction.ts';
import type {OpenChat} from '../../src/open.ts';
import {operator, testUser, userId} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {watchStatements} from '../helpers/statements.ts';
import {openTwice} from '../helpers/twice.ts';

type Alice = Awaited<ReturnType<typeof testUser>>;

async function listed(chat: OpenChat, user: Alice): Promise<OwnRoomJson[]> {
  const {items} = await listOwnRooms(chat, user, {page: 1, limit: 100});
  return items.map(text => JSON.parse(text) as OwnRoomJson);
}

async function shown(chat: OpenChat, user: Alice, id: RoomId): Promise<OwnRoomJson> {
  const room = await getRoom(chat, user, id);
  if (!('role' in room)) throw new Error('not as a member sees it');
  return presentOwnRoom(room);
}

function post(chat: OpenChat, author: Alice | typeof operator, room: RoomId, content: string) {
  return postMessage(chat, author, room, parse(PostMessage, {content}));
}

const at = '2026-01-01T00:00:00.000Z' as Timestamp;

/** One batch of an import that changes what is here and tells nobody. */
async function load(chat: OpenChat, batch: Batch): Promise<void> {
  const id = newImportId();
  const opened = await openLoad(chat, id, {kind: 'load', mode: 'upsert', event: 'none', ownRoomsOnly: false});
  const outcome = await loadBatch(chat, operator, opened, batch, 0, () => ({
    id,
    position: 1,
    inputHash: '',
    state: '{}',
  }));
  if (outcome.refused.length > 0) throw new Error(JSON.stringify(outcome.refused));
}

for (const database of databases) {
  test(`${database}: a list shows every change of another process at once, as the room itself does`, async t => {
    const {here, elsewhere} = await openTwice(t, database);
    const [alice, bob] = [await testUser(here, 'alice'), await testUser(here, 'bob')];
    const {id} = await createRoom(here, operator, parse(CreateRoom, {name: 'one', members: ['alice', 'bob']}));
    const quiet = await createRoom(here, operator, parse(CreateRoom, {name: 'quiet', members: ['alice']}));

    const steps: [title: string, change: () => Promise<unknown>][] = [
      ['renamed', () => updateRoom(elsewhere, operator, id, {name: 'two "quoted" \u{1F600} },{'})],
      ['given a key', () => updateRoom(elsewhere, operator, id, {key: 'k', visibility: 'private'})],
      ['opened', () => updateRoom(elsewhere, operator, id, {visibility: 'public'})],
      ['archived', () => updateRoom(elsewhere, operator, id, {archived: true})],
      ['unarchived', () => updateRoom(elsewhere, operator, id, {archived: false})],
      ['posted into', () => post(elsewhere, bob, id, 'hello "there"\n\\ },{ \u2028')],
      ['posted into by the system', () => post(elsewhere, operator, id, 'system')],
      ['read', () => markRead(elsewhere, alice, id, 1)],
      ['joined', async () => joinRoom(elsewhere, await testUser(elsewhere, 'carol'), id)],
      ['left', () => leaveRoom(elsewhere, {kind: 'user', id: userId('carol')}, id)],
      ['administered by the reader', () => putMember(elsewhere, operator, id, userId('alice'), {role: 'admin'})],
      [
        'posted into and deleted from',
        async () => {
          const {message} = await post(elsewhere, bob, id, 'secret');
          await listed(here, alice);
          await deleteMessage(elsewhere, bob, id, message.id);
        },
      ],
      ['posted into again', () => post(elsewhere, bob, id, 'again')],
      ['with another name of the author', () => upsertUser(elsewhere, operator, userId('bob'), 'Robert')],
      [
        'with members of an import that is under way',
        () =>
          importMembers(elsewhere, operator, {
            room: id,
            event: 'summary',
            existingUsers: false,
            before: 0,
            rows: [{user: userId('dan'), role: 'member', username: 'Dan'}],
            after: () => ({id: 'import-1', position: 1, inputHash: '', state: '{}'}),
          }),
      ],
      [
        'loaded anew',
        async () => {
          const {version, lastMessage} = await getRoom(elsewhere, operator, id);
          await load(elsewhere, {
            kind: 'rooms',
            records: [
              {
                id,
                key: 'k',
                name: 'from the file',
                visibility: 'public',
                version,
                lastSeq: 1,
                lastMessageId: lastMessage?.id ?? null,
                createdAt: at,
                bumpedAt: at,
                archivedAt: null,
              },
            ],
          });
        },
      ],
      [
        'with the last message loaded anew',
        async () => {
          const room = await getRoom(elsewhere, operator, id);
          await load(elsewhere, {
            kind: 'messages',
            records: [
              {
                id: room.lastMessage?.id ?? (0 as MessageId),
                roomId: id,
                seq: room.lastSeq,
                version: room.version,
                userId: userId('bob'),
                content: 'from the file',
                clientId: null,
                createdAt: at,
                deletedAt: null,
              },
            ],
          });
        },
      ],
      [
        'with the author loaded anew',
        () =>
          load(elsewhere, {
            kind: 'users',
            records: [{id: userId('bob'), username: 'Bobby', createdAt: at, deactivatedAt: null, erasedAt: null}],
          }),
      ],
      // Of a member the erasure ends the membership, which has a version.
      ['left by the author', () => leaveRoom(elsewhere, bob, id)],
      ['with the author erased', () => eraseUser(elsewhere, operator, userId('bob'), 'keep')],
    ];
    for (const [title, change] of steps) {
      const before = await listed(here, alice);
      await change();
      const after = await listed(here, alice);
      t.notDeepEqual(after, before, `${title}: something is to be seen`);
      t.deepEqual(
        after.find(room => room.id === id),
        await shown(elsewhere, alice, id),
        `a room ${title}`,
      );
      t.deepEqual(after.find(room => room.id === quiet.id)?.name, 'quiet', title);
    }
    await deleteRoom(elsewhere, operator, id);
    t.deepEqual(
      (await listed(here, alice)).map(room => room.id),
      [quiet.id],
    );
  });

  test(`${database}: content that is redacted with its author is gone from lists`, async t => {
    const {here, elsewhere} = await openTwice(t, database);
    const [alice, bob] = [await testUser(here, 'alice'), await testUser(here, 'bob')];
    const {id} = await createRoom(here, operator, parse(CreateRoom, {name: 'one', members: ['alice', 'bob']}));
    await post(here, bob, id, 'secret');
    t.is((await listed(here, alice))[0]?.last_message?.content, 'secret');
    await eraseUser(elsewhere, operator, userId('bob'), 'redact');
    t.deepEqual(await listed(here, alice), [await shown(here, alice, id)]);
    t.is((await listed(here, alice))[0]?.last_message?.content, '');
  });

  test(`${database}: members of one room have their own markers and roles in it`, async t => {
    const {here} = await openTwice(t, database);
    const [alice, bob] = [await testUser(here, 'alice'), await testUser(here, 'bob')];
    const {id} = await createRoom(here, operator, parse(CreateRoom, {name: 'one', members: ['alice', 'bob']}));
    await putMember(here, operator, id, bob.id, {role: 'admin'});
    await post(here, bob, id, 'hello');
    for (const user of [alice, bob, alice]) {
      t.deepEqual(await listed(here, user), [await shown(here, user, id)], user.id);
    }
  });

  test(`${database}: a kept text stands until a change is told by a version or counted`, async t => {
    const {here, elsewhere} = await openTwice(t, database);
    const alice = await testUser(here, 'alice');
    await createRoom(here, operator, parse(CreateRoom, {name: 'one', members: ['alice']}));
    const name = async () => (await listed(here, alice))[0]?.name;
    t.is(await name(), 'one');
    await inTransaction(elsewhere.db, tx => rows(tx, `update rooms set name = 'two'`));
    t.is(await name(), 'one');
    await inTransaction(elsewhere.db, async tx => countUnversioned(tx));
    t.is(await name(), 'two');
  });

  test(`${database}: pages of own rooms come in order, with their count also behind the last`, async t => {
    const {here} = await openTwice(t, database);
    const alice = await testUser(here, 'alice');
    const ids: RoomId[] = [];
    for (let i = 0; i < 5; i++) {
      ids.unshift((await createRoom(here, operator, parse(CreateRoom, {name: `room ${i}`, members: ['alice']}))).id);
    }
    const page = async (n: number) => {
      const {items, ...rest} = await listOwnRooms(here, alice, {page: n, limit: 2});
      return {...rest, ids: items.map(text => (JSON.parse(text) as OwnRoomJson).id)};
    };
    for (let round = 0; round < 2; round++) {
      t.deepEqual(await page(1), {count: 5, next: {page: '2'}, previous: null, ids: ids.slice(0, 2)});
      t.deepEqual(await page(3), {count: 5, next: null, previous: {page: '2'}, ids: ids.slice(4)});
      t.deepEqual(await page(4), {count: 5, next: null, previous: {page: '3'}, ids: []});
    }
    t.is((await listOwnRooms(here, await testUser(here, 'nobody'), {page: 1, limit: 2})).count, 0);
  });

  test(`${database}: lists that are asked for at once are each user's own, and read by one statement`, async t => {
    const {here} = await openTwice(t, database);
    const users = await Promise.all(['alice', 'bob', 'carol', 'nobody'].map(id => testUser(here, id)));
    for (const members of [['alice', 'bob'], ['bob'], ['alice', 'carol'], ['bob', 'carol']]) {
      await createRoom(here, operator, parse(CreateRoom, {name: members.join(), members}));
    }
    const list = (user: Alice, limit: number) => listOwnRooms(here, user, {page: 1, limit});
    const alone = [];
    for (const user of users) alone.push(await list(user, 2), await list(user, 100));
    let statements = 0;
    watchStatements(here.db.sql, () => (statements += 1));
    t.deepEqual(await Promise.all(users.flatMap(user => [list(user, 2), list(user, 100)])), alone);
    t.is(statements, 2);
    t.deepEqual(
      alone.map(({count, items}) => [count, items.length]),
      [
        [2, 2],
        [2, 2],
        [3, 2],
        [3, 3],
        [2, 2],
        [2, 2],
        [0, 0],
        [0, 0],
      ],
    );
  });
}
