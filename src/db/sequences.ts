// Where the databases' own numbering of rooms and messages stands, for rows that bring their ids along.
import type {Dialect, Queryable} from './connect.ts';
import {rows} from './rows.ts';
import type {Tx} from './transaction.ts';

export type Numbered = 'rooms' | 'messages' | 'outbox';

/** The highest id given out so far. */
export async function lastId(q: Queryable, of: Numbered): Promise<number> {
  const [row] = await rows<{last: number}>(q, `select ${lastIdGiven(q.dialect, of)} as last`);
  return row?.last ?? 0;
}

/** The same in the columns of a statement. On PostgreSQL ids of what was rolled back count too. */
export function lastIdGiven({sequences}: Dialect, of: Numbered): string {
  if (sequences) return `coalesce(pg_sequence_last_value(pg_get_serial_sequence('${of}', 'id')::regclass), 0)`;
  return `(select coalesce(max(seq), 0) from sqlite_sequence where name = '${of}')`;
}

/** In the columns of a statement of a transaction that writes: for each of its rows an id that no other has. */
export function nextId({sequences}: Dialect, of: Numbered): string {
  if (sequences) return `nextval(pg_get_serial_sequence('${of}', 'id'))`;
  return `coalesce((select seq from sqlite_sequence where name = '${of}'), 0) + row_number() over ()`;
}

/** In an insert behind the columns, of which the id is one. */
export function withOwnIds({sequences}: Dialect): string {
  return sequences ? ' overriding system value' : '';
}

/**
 * From now on only ids above this one are given out. Whoever draws an id has locked a room first, so that under a lock on
 * the table of rooms nobody holds an id that is not in the tables yet.
 */
export async function raiseLastId(tx: Tx, of: Numbered, to: number): Promise<void> {
  if ((await lastId(tx, of)) >= to) return;
  if (tx.dialect.rowLocks) await rows(tx, 'lock table rooms in exclusive mode');
  if ((await lastId(tx, of)) >= to) return;
  if (tx.dialect.sequences) {
    await rows(tx, `select setval(pg_get_serial_sequence(?, 'id')::regclass, ?::bigint)`, [of, to]);
    return;
  }
  const updated = await rows(tx, 'update sqlite_sequence set seq = ? where name = ? returning seq', [to, of]);
  if (updated.length === 0) await rows(tx, 'insert into sqlite_sequence (name, seq) values (?, ?)', [of, to]);
}

/** So many ids in a row for the caller alone. Answers the first. */
export async function drawIds(tx: Tx, of: Numbered, count: number): Promise<number> {
  if (tx.dialect.rowLocks) await rows(tx, 'lock table rooms in exclusive mode');
  const last = await lastId(tx, of);
  await raiseLastId(tx, of, last + count);
  return last + 1;
}
