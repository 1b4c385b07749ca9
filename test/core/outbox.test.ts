// What two looks at the outbox tell of what has left it in between.
import test from 'ava';
import {getOutboxStatus, retryEvent} from '../../src/core/outbox.ts';
import {createRoom, updateRoom} from '../../src/core/rooms.ts';
import {deleteDelivered, listWaiting, parkOutbox} from '../../src/db/outbox.ts';
import {inTransaction} from '../../src/db/transaction.ts';
import {openTestChat, operator, userId} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';

for (const database of databases) {
  test(`${database}: what left between two looks is counted, by partition only where that is known`, async t => {
    const chat = await openTestChat(t, database);
    const room = async (name: string) => (await createRoom(chat, operator, {name, members: [userId('alice')]})).id;
    const [one, other] = [await room('one'), await room('other')];
    const waiting = () => listWaiting(chat.db, 0, 9);
    const [first, second] = await waiting();
    if (!first || !second) return t.fail('two events wait');
    const start = await getOutboxStatus(chat, operator);
    t.is(start.delivered, null);
    t.deepEqual(
      start.partitions.map(each => each.delivered),
      [null, null],
    );

    // What waited has left, and its partition is told though it is empty by now.
    await deleteDelivered(chat.db, [first.id]);
    const drained = await getOutboxStatus(chat, operator, start.look);
    t.is(drained.depth, 1);
    t.is(drained.delivered, 1);
    t.deepEqual(
      new Map(drained.partitions.map(each => [each.partition, [each.waiting, each.delivered]])),
      new Map([
        [first.partition, [0, 1]],
        [second.partition, [1, 0]],
      ]),
    );

    // What came and left is counted, and nobody knows any more where it was.
    await updateRoom(chat, operator, one, {name: 'came and left'});
    await deleteDelivered(chat.db, [(await waiting()).at(-1)?.id ?? 0]);
    await updateRoom(chat, operator, other, {name: 'came and stays'});
    const passed = await getOutboxStatus(chat, operator, drained.look);
    t.is(passed.delivered, 1);
    t.deepEqual(
      passed.partitions.map(each => [each.partition, each.waiting, each.delivered]),
      [[second.partition, 2, null]],
    );

    // What was parked was not delivered, nor was what is put back.
    await inTransaction(chat.db, tx => parkOutbox(tx, second.id, 'refused', chat.now()));
    const parked = await getOutboxStatus(chat, operator, passed.look);
    t.deepEqual([parked.parked, parked.delivered], [1, 0]);
    await retryEvent(chat, operator, second.id);
    const back = await getOutboxStatus(chat, operator, parked.look);
    t.deepEqual([back.parked, back.depth, back.delivered], [0, 2, 0]);
    const still = await getOutboxStatus(chat, operator, back.look);
    t.deepEqual([still.delivered, still.partitions.map(each => each.delivered)], [0, [0]]);
  });
}
