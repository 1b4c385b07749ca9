import test from 'ava';
import {deleteMessage} from '../../src/core/messages.ts';
import {CreateRoom, parse, PostMessage} from '../../src/core/input.ts';
import type {MessageId, RoomId} from '../../src/core/ids.ts';
import {listMessages, type MessageRange} from '../../src/core/message-pages.ts';
import {postMessage} from '../../src/core/post-queue.ts';
import {createRoom} from '../../src/core/rooms.ts';
import {deactivateUser} from '../../src/core/users.ts';
import {findMessage} from '../../src/db/messages.ts';
import {openTestChat, operator, testUser, userId} from '../helpers/chat.ts';
import {databases, type Database} from '../helpers/database.ts';
import {watchStatements} from '../helpers/statements.ts';

/** Two rooms, of which alice is in both and bob in one, with messages by users and by the system. */
async function openRooms(t: Parameters<typeof openTestChat>[0], database: Database) {
  const chat = await openTestChat(t, database);
  const [first, second] = await Promise.all(
    [['alice', 'bob'], ['alice']].map(members => createRoom(chat, operator, parse(CreateRoom, {name: 'r', members}))),
  );
  if (!first || !second) throw new Error('two rooms');
  const [alice, bob, carol] = [
    await testUser(chat, 'alice'),
    await testUser(chat, 'bob'),
    await testUser(chat, 'carol'),
  ];
  const ids: MessageId[] = [];
  for (let n = 1; n <= 12; n++) {
    const room = n % 3 === 0 ? second.id : first.id;
    const content = `"${n}" \\ \t \u{1f600} é\n</script>`;
    const {message} = await postMessage(chat, n % 4 === 0 ? operator : alice, room, parse(PostMessage, {content}));
    ids.push(message.id);
  }
  await deleteMessage(chat, alice, first.id, ids[1] as MessageId);
  return {chat, rooms: [first.id, second.id] as const, ids, alice, bob, carol};
}

for (const database of databases) {
  test(`${database}: pages that are asked for at once are each reader's own, as they are alone`, async t => {
    const {chat, rooms, ids, alice, bob, carol} = await openRooms(t, database);
    await deactivateUser(chat, operator, userId('bob'));
    const ranges: MessageRange[] = [
      {limit: 5, page: 1},
      {limit: 5, page: 2},
      {limit: 5, page: 9},
      {limit: 3, page: 1},
      ...ids.slice(3, 6).flatMap(id => [
        {limit: 5, before: id},
        {limit: 5, after: id},
        {limit: 5, around: id},
      ]),
    ];
    const absent = 999_999 as RoomId;
    const asked = [alice, bob, carol, operator].flatMap(actor =>
      [...rooms, absent].flatMap(room => ranges.map(range => ({actor, room, range}))),
    );
    const ask = async ({actor, room, range}: (typeof asked)[number]) => {
      try {
        return await listMessages(chat, actor, room, range);
      } catch (error) {
        return String(error);
      }
    };
    const together = await Promise.all(asked.map(ask));
    for (const [i, one] of asked.entries()) t.deepEqual(together[i], await ask(one), JSON.stringify(one));

    const told = (actor: unknown) => {
      const words = together.map(each => (typeof each === 'string' ? each.replaceAll(/\d+/g, 'n') : 'a page'));
      return [...new Set(words.filter((_, i) => asked[i]?.actor === actor))].toSorted();
    };
    const hidden = 'ChatError: There is no room n that you can see.';
    t.deepEqual(told(carol), [hidden]);
    t.deepEqual(told(bob), ['ChatError: The user bob is deactivated.', hidden]);
    t.deepEqual(told(alice), ['ChatError: There is no message n in room n to list from.', hidden, 'a page']);
  });

  test(`${database}: a page has the messages as they are one by one, whatever is in them`, async t => {
    const {chat, rooms, alice} = await openRooms(t, database);
    const {items, count} = await listMessages(chat, alice, rooms[0], {page: 1, limit: 100});
    t.is(count, 8);
    for (const item of items) t.deepEqual(item, await findMessage(chat.db, rooms[0], item.id));
    t.true(items.some(each => each.deletedAt !== null) && items.some(each => each.user === null));
  });

  test(`${database}: pages that are alike are read by one statement`, async t => {
    const {chat, rooms, alice, carol} = await openRooms(t, database);
    const statements: string[] = [];
    watchStatements(chat.db.sql, text => statements.push(text));
    const page = (actor: typeof alice, room: RoomId, number: number) =>
      listMessages(chat, actor, room, {page: number, limit: 5});
    await Promise.all([
      page(alice, rooms[0], 1),
      page(alice, rooms[0], 2),
      page(alice, rooms[1], 1),
      t.throwsAsync(page(carol, rooms[0], 1), {code: 'room_not_found'}),
    ]);
    t.is(statements.length, 1, statements.join('\n'));
  });
}
