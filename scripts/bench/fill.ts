// Many rows at once, by statements that both databases take. On an empty database rooms get the ids 1, 2, 3 …
import type {Db} from '../../src/db/connect.ts';
import {rows, type Binding} from '../../src/db/rows.ts';
import {inTransaction, type Tx} from '../../src/db/transaction.ts';

const time = `'2026-01-01T00:00:00.000Z'`;

export interface FilledRoom {
  members: number;
  messages?: number;
  /** What the ids of the members begin with; a number follows, from 1 on. */
  prefix: string;
}

/** Rooms with their members and messages; all messages are the first member's. */
export function fillRooms(db: Db, rooms: readonly FilledRoom[]): Promise<void> {
  return inTransaction(db, async tx => {
    await withoutTimeLimit(tx);
    for (const [i, room] of rooms.entries()) await fillRoom(tx, i + 1, room);
  });
}

/** A million messages on a busy machine take longer than a statement of the server may. */
async function withoutTimeLimit(tx: Tx): Promise<void> {
  if (tx.dialect.rowLocks) await rows(tx, 'set local statement_timeout = 0');
}

async function fillRoom(tx: Tx, id: number, {members, messages = 0, prefix}: FilledRoom): Promise<void> {
  const numbered =
    (target: string, columns: string, from = '', values: readonly Binding[] = []) =>
    (count: number) =>
      rows(
        tx,
        `insert into ${target} with recursive n (i) as (select 1 union all select i + 1 from n where i < cast(? as bigint))
       select ${columns} from n ${from}`,
        [count, ...values],
      );
  await rows(
    tx,
    `insert into rooms (name, name_key, visibility, created_at, bumped_at, member_count, last_seq, version)
     values (?, ?, 'public', ${time}, ${time}, ?, ?, ?)`,
    [`room ${id}`, `room ${id}`, members, messages, messages],
  );
  await numbered(
    'users (id, username, created_at)',
    `'${prefix}' || i, '${prefix}' || i, ${time}`,
    'where true on conflict (id) do nothing',
  )(members);
  await numbered(
    'members (room_id, user_id, role, joined_at, joined_version, last_read_seq)',
    `${id}, '${prefix}' || i, 'member', ${time}, 0, 0`,
  )(members);
  if (messages === 0) return;
  await numbered(
    'messages (room_id, seq, version, user_id, author_key, content, created_at)',
    `${id}, i, i, '${prefix}1', '${prefix}1', 'message ' || i, ${time}`,
  )(messages);
  await rows(tx, 'update rooms set last_message_id = (select max(id) from messages) where id = ?', [id]);
}

/** So many rooms of so many members, `r1-1`, `r1-2` … in the first. */
export function fillAlike(db: Db, count: number, members: number): Promise<void> {
  const counted = (name: string) =>
    `${name} (i) as (select 1 union all select i + 1 from ${name} where i < cast(? as bigint))`;
  const pairs = `with recursive ${counted('r')}, ${counted('m')}`;
  const user = `'r' || r.i || '-' || m.i`;
  return inTransaction(db, async tx => {
    await withoutTimeLimit(tx);
    await rows(
      tx,
      `insert into rooms (name, name_key, visibility, created_at, bumped_at, member_count)
       with recursive ${counted('r')} select 'room ' || i, 'room ' || i, 'public', ${time}, ${time}, cast(? as bigint) from r`,
      [count, members],
    );
    await rows(tx, `insert into users (id, username, created_at) ${pairs} select ${user}, ${user}, ${time} from r, m`, [
      count,
      members,
    ]);
    await rows(
      tx,
      `insert into members (room_id, user_id, role, joined_at, joined_version, last_read_seq)
       ${pairs} select r.i, ${user}, 'member', ${time}, 0, 0 from r, m`,
      [count, members],
    );
  });
}

/** So that the planner knows what was filled. */
export async function analyze(db: Db): Promise<void> {
  await db.writer.raw('analyze');
}
