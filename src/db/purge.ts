import type {RoomId} from '../core/ids.ts';
import type {Db} from './connect.ts';
import {findLowestWaiting} from './outbox.ts';
import {rows} from './rows.ts';
import {inTransaction} from './transaction.ts';

/** Rows of one transaction at most, so that a big room's end does not stop other writers. */
const purgeBatchSize = 2_000;

/** Removes the rows of a deleted room for good. */
export async function purgeRoom(db: Db, room: RoomId): Promise<void> {
  for (const table of ['messages', 'members'] as const) {
    while ((await purgeSome(db, table, room)) === purgeBatchSize);
  }
  await inTransaction(db, async tx => {
    await rows(tx, 'delete from import_added where room_id = ?', [room]);
    await rows(tx, 'delete from rooms where id = ? and deleted_at is not null', [room]);
  });
}

const someRows = {
  messages: `delete from messages where room_id = ? and seq in (
    select seq from messages where room_id = ? order by seq limit ?) returning seq`,
  members: `delete from members where room_id = ? and user_id in (
    select user_id from members where room_id = ? order by user_id limit ?) returning user_id`,
};

async function purgeSome(db: Db, table: keyof typeof someRows, room: RoomId): Promise<number> {
  return inTransaction(db, async tx => (await rows(tx, someRows[table], [room, room, purgeBatchSize])).length);
}

/** Deleted rooms whose last event is delivered but whose rows are still there, as after a crash. */
export async function listPurgeableRooms(db: Db): Promise<RoomId[]> {
  const deleted = await rows<{id: RoomId}>(db, 'select id from rooms where deleted_at is not null');
  const purgeable: RoomId[] = [];
  for (const {id} of deleted) if ((await findLowestWaiting(db, id)) === undefined) purgeable.push(id);
  return purgeable;
}
