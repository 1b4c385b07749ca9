// Pages of messages are kept as text: after every change, made by another process, each must show what the messages show.
import test, {type ExecutionContext} from 'ava';
import {eraseUser} from '../../src/core/erasure.ts';
import type {MessageId, RoomId, Timestamp} from '../../src/core/ids.ts';
import {newImportId} from '../../src/core/imports.ts';
import {CreateRoom, parse, PostMessage} from '../../src/core/input.ts';
import {loadBatch, openLoad} from '../../src/core/load.ts';
import {putMember, removeMember} from '../../src/core/members.ts';
import {listMessages, listMessagesAsText, type MessageRange} from '../../src/core/message-pages.ts';
import {deleteMessage} from '../../src/core/messages.ts';
import {postMessage} from '../../src/core/post-queue.ts';
import {presentMessage, type MessageJson} from '../../src/core/present.ts';
import type {Batch} from '../../src/core/records.ts';
import {createRoom, deleteRoom, updateRoom} from '../../src/core/rooms.ts';
import {deactivateUser, upsertUser} from '../../src/core/users.ts';
import {countUnversioned} from '../../src/db/meta.ts';
import {rows} from '../../src/db/rows.ts';
import {inTransaction} from '../../src/db/transaction.ts';
import type {OpenChat} from '../../src/open.ts';
import {operator, testUser, userId} from '../helpers/chat.ts';
import {databases, type Database} from '../helpers/database.ts';
import {beforeStatement} from '../helpers/statements.ts';
import {openTwice} from '../helpers/twice.ts';

type Alice = Awaited<ReturnType<typeof testUser>>;

const newest: MessageRange = {page: 1, limit: 3};

async function openRoom(t: ExecutionContext, database: Database) {
  const {here, elsewhere} = await openTwice(t, database);
  const [alice, bob] = [await testUser(here, 'alice'), await testUser(here, 'bob')];
  const {id} = await createRoom(here, operator, parse(CreateRoom, {name: 'one', members: ['alice', 'bob']}));
  return {here, elsewhere, alice, bob, id};
}

async function read(chat: OpenChat, user: Alice, room: RoomId, range = newest) {
  const {results, ...neighbours} = await listMessagesAsText(chat, user, room, range);
  return {items: JSON.parse(`[${results}]`) as MessageJson[], ...neighbours};
}

/** What is asked for the first time is not kept, and what is asked for once more is. */
async function readUntilKept(chat: OpenChat, user: Alice, room: RoomId, range = newest) {
  for (let i = 0; i < 2; i++) await read(chat, user, room, range);
  return read(chat, user, room, range);
}

/** The page as nobody keeps it. */
async function shown(chat: OpenChat, user: Alice, room: RoomId, range = newest) {
  const {items, ...neighbours} = await listMessages(chat, user, room, range);
  return {items: items.map(each => presentMessage(each)), ...neighbours};
}

async function post(
  chat: OpenChat,
  author: Alice | typeof operator,
  room: RoomId,
  content: string,
  client_id?: string,
) {
  return (await postMessage(chat, author, room, parse(PostMessage, {content, client_id}))).message;
}

const at = '2026-01-01T00:00:00.000Z' as Timestamp;

/** One batch of an import that changes what is here and tells nobody. */
async function load(chat: OpenChat, batch: Batch): Promise<void> {
  const id = newImportId();
  const opened = await openLoad(chat, id, {kind: 'load', mode: 'upsert', event: 'none', ownRoomsOnly: false});
  const {refused} = await loadBatch(chat, operator, opened, batch, 0, () => ({
    id,
    position: 1,
    inputHash: '',
    state: '{}',
  }));
  if (refused.length > 0) throw new Error(JSON.stringify(refused));
}

for (const database of databases) {
  test(`${database}: a page shows every change of another process at once, as the messages themselves do`, async t => {
    const {here, elsewhere, alice, bob, id} = await openRoom(t, database);
    const first = await post(here, bob, id, 'first', 'c1');
    const last = await post(here, bob, id, 'hello "there"\n\\ },{ \u2028 \u{1F600}', 'c2');

    const steps: [title: string, change: () => Promise<unknown>][] = [
      ['posted into', () => post(elsewhere, alice, id, 'more')],
      ['posted into by the system', () => post(elsewhere, operator, id, 'system')],
      ['deleted from', () => deleteMessage(elsewhere, bob, id, last.id)],
      ['with another name of an author', () => upsertUser(elsewhere, operator, userId('bob'), 'Robert')],
      [
        'with a message loaded anew',
        () =>
          load(elsewhere, {
            kind: 'messages',
            records: [
              {
                id: first.id,
                roomId: id,
                seq: first.seq,
                version: first.version,
                userId: userId('bob'),
                content: 'from the file',
                clientId: null,
                createdAt: at,
                deletedAt: null,
              },
            ],
          }),
      ],
      [
        'with an author loaded anew',
        () =>
          load(elsewhere, {
            kind: 'users',
            records: [{id: userId('bob'), username: 'Bobby', createdAt: at, deactivatedAt: null, erasedAt: null}],
          }),
      ],
      ['with an author erased', () => eraseUser(elsewhere, operator, userId('bob'), 'redact')],
    ];
    const range = {page: 1, limit: 10};
    for (const [title, change] of steps) {
      const before = await readUntilKept(here, alice, id, range);
      await change();
      const after = await read(here, alice, id, range);
      t.notDeepEqual(after, before, `${title}: something is to be seen`);
      t.deepEqual(after, await shown(elsewhere, alice, id, range), `a room ${title}`);
      t.deepEqual(await readUntilKept(here, alice, id, range), after, title);
    }
  });

  for (const fate of ['keep', 'redact'] as const) {
    test(`${database}: what an erasure takes off messages is off the pages (${fate})`, async t => {
      const {here, elsewhere, alice, bob, id} = await openRoom(t, database);
      const {id: deleted} = await post(here, bob, id, 'deleted', 'c1');
      await deleteMessage(here, bob, id, deleted);
      if (fate === 'keep') await post(here, bob, id, 'kept', 'c2');
      // The end of a membership has a version, which must not be what tells of it.
      await removeMember(here, operator, id, bob.id);
      const {happened} = beforeStatement(elsewhere.db.writer, /update messages/, async () => {
        const before = await readUntilKept(here, alice, id);
        t.true(before.items.every(each => each.client_id !== null));
      });
      await eraseUser(elsewhere, operator, bob.id, fate);
      t.true(happened());
      const after = await read(here, alice, id);
      t.true(after.items.every(each => each.client_id === null));
      t.deepEqual(after, await shown(elsewhere, alice, id));
    });
  }

  test(`${database}: pages by place are those of the messages, with what is around them`, async t => {
    const {here, alice, bob, id} = await openRoom(t, database);
    const ids: MessageId[] = [];
    for (let i = 0; i < 7; i++) ids.push((await post(here, bob, id, `m${i}`)).id);
    const [third, sixth] = [ids[2] as MessageId, ids[5] as MessageId];
    const ranges: MessageRange[] = [
      ...[1, 2, 3, 4].map(page => ({page, limit: 3})),
      {page: 1, limit: 4},
      ...[third, sixth].flatMap(of => [
        {before: of, limit: 3},
        {after: of, limit: 3},
        {around: of, limit: 3},
      ]),
    ];
    for (let round = 0; round < 3; round++) {
      for (const range of ranges) {
        t.deepEqual(
          await read(here, alice, id, range),
          await shown(here, alice, id, range),
          `${round} ${JSON.stringify(range)}`,
        );
      }
    }
    await t.throwsAsync(read(here, alice, id, {before: 999 as MessageId, limit: 3}), {code: 'invalid_cursor'});
  });

  test(`${database}: a kept page is for who may read it only`, async t => {
    const {here, elsewhere, alice, bob, id} = await openRoom(t, database);
    const carol = await testUser(here, 'carol');
    await post(here, bob, id, 'secret');
    const page = await readUntilKept(here, alice, id);
    await t.throwsAsync(read(here, carol, id), {code: 'room_not_found'});
    await putMember(elsewhere, operator, id, carol.id, {});
    t.deepEqual((await read(here, carol, id)).items, page.items);
    t.deepEqual(await readUntilKept(here, carol, id), await readUntilKept(here, alice, id));
    await removeMember(elsewhere, operator, id, alice.id);
    await t.throwsAsync(read(here, alice, id), {code: 'room_not_found'});
    await readUntilKept(here, carol, id);
    await deactivateUser(elsewhere, operator, carol.id);
    await t.throwsAsync(read(here, carol, id), {code: 'user_deactivated'});
    await readUntilKept(here, bob, id);
    await deleteRoom(elsewhere, operator, id);
    await t.throwsAsync(read(here, bob, id), {code: 'room_not_found'});
  });

  test(`${database}: a page is kept from the second time on, until a change is told by a version or counted`, async t => {
    const {here, elsewhere, alice, bob, id} = await openRoom(t, database);
    await post(here, bob, id, 'one');
    const changeTo = (content: string) =>
      inTransaction(elsewhere.db, tx => rows(tx, 'update messages set content = ?', [content]));
    const content = async () => (await read(here, alice, id)).items[0]?.content;
    t.is(await content(), 'one');
    await changeTo('two');
    t.is(await content(), 'two', 'what is asked for once is not kept');
    await changeTo('three');
    t.is(await content(), 'two');
    await inTransaction(elsewhere.db, async tx => countUnversioned(tx));
    t.is(await content(), 'three');
    await changeTo('four');
    t.is(await content(), 'three');
    await updateRoom(elsewhere, operator, id, {name: 'changed'});
    t.is(await content(), 'four');
  });
}
