// What an import asks of PostgreSQL costs the same however much is there, also while no statistics tell how much that is.
import test, {type ExecutionContext} from 'ava';
import {openGrandChat} from '../../src/core/grandchat.ts';
import type {MessageId, RoomId} from '../../src/core/ids.ts';
import type {Queryable} from '../../src/db/connect.ts';
import {grandChatUsers} from '../../src/db/grandchat.ts';
import {findTakenMessages, type MessageRecord} from '../../src/db/load.ts';
import {rows} from '../../src/db/rows.ts';
import {inSnapshot} from '../../src/db/snapshot.ts';
import {inTransaction} from '../../src/db/transaction.ts';
import {openTestChat} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {grandChat} from '../helpers/grandchat.ts';

const withPostgres = databases.includes('postgres') ? test : test.skip;

/** Rows of a table that this transaction has read so far. */
async function rowsRead(q: Queryable, table: string): Promise<number> {
  const [row] = await rows<{read: number}>(
    q,
    `select (seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint as read from pg_stat_xact_user_tables where relname = ?`,
    [table],
  );
  return row?.read ?? 0;
}

/** The room's messages of these numbers, with ids above all that are there. */
function messages(roomId: number, from: number, count: number): MessageRecord[] {
  return Array.from({length: count}, (_, i) => ({
    id: (1_000_000 + i) as MessageId,
    roomId: roomId as RoomId,
    seq: from + i,
    version: from + i,
    userId: null,
    content: 'x',
    clientId: null,
    createdAt: '2026-01-01T00:00:00.000Z' as MessageRecord['createdAt'],
    deletedAt: null,
  }));
}

async function withRoom(t: ExecutionContext) {
  const {db} = await openTestChat(t, 'postgres');
  await db.writer.raw(`insert into rooms (name, name_key, visibility, created_at, bumped_at)
    values ('r', 'r', 'public', now(), now())`);
  return db;
}

withPostgres(
  'places of messages are looked up one by one by a plan that was made while the table was empty',
  async t => {
    const db = await withRoom(t);
    await inTransaction(db, async tx => {
      t.deepEqual(await findTakenMessages(tx, messages(1, 1, 1)), []);
      await rows(
        tx,
        `insert into messages (room_id, seq, version, author_key, content, client_id, created_at)
       select 1, n, n, '', 'x', 'c' || n, now() from generate_series(1, 2000) n`,
      );
      const before = await rowsRead(tx, 'messages');
      const taken = await findTakenMessages(tx, messages(1, 1_901, 200));
      t.is(taken.length, 100);
      t.deepEqual(
        taken
          .map(each => each.seq)
          .toSorted((a, b) => a - b)
          .at(0),
        1_901,
      );
      const read = (await rowsRead(tx, 'messages')) - before;
      t.true(read <= 400, `read ${read} rows for 200 places`);
    });
  },
);

withPostgres('a page of GrandChat’s users reads no more than its rows', async t => {
  const old = await openGrandChat(await grandChat(t, 1_000));
  t.teardown(() => old.close());
  await inSnapshot(old, async q => {
    const page = await grandChatUsers(q, 100, 10, '2026-01-01T00:00:00.000Z' as MessageRecord['createdAt']);
    t.deepEqual([page.length, page.at(0)?.id, page.at(-1)?.id], [10, '101', '110']);
    const read = await rowsRead(q, 'auth_user');
    t.true(read <= 11, `read ${read} rows for 10`);
  });
});
