import type {Db, Queryable} from './connect.ts';
import {rows} from './rows.ts';
import {inTransaction, type Tx} from './transaction.ts';

/** The random id of this database; it keeps the idempotency keys of two databases at one broker apart. */
export async function getDatabaseId(q: Queryable): Promise<string> {
  const [row] = await rows<{value: string}>(q, `select value from meta where key = 'database_id'`);
  if (!row) throw new Error('the database has no database_id; run chatctl migrate up');
  return row.value;
}

/** How often `countUnversioned` was called; for statements that read rooms. */
export const unversionedChanges = `(select value from meta where key = 'unversioned_changes')`;

/** For as long as this is the same a room `r` and its messages look the same. */
export const stateOfRoom = `(r.version || ' ' || coalesce(${unversionedChanges}, '0'))`;

/** The same, of what a statement told of a room. */
export function stateOf(version: number, unversioned: string | null): string {
  return `${version} ${unversioned ?? '0'}`;
}

/**
 * Tells all who keep what rooms and their messages look like that some do so differently without a new version: an author has
 * another name, an import goes on, an erasure takes client ids off. The last write of its transaction, because others may be waiting to say the same.
 */
export function countUnversioned(tx: Tx): void {
  tx.last(
    rows(
      tx,
      `insert into meta (key, value) values ('unversioned_changes', '1')
       on conflict (key) do update set value = cast(cast(meta.value as bigint) + 1 as text)`,
    ),
  );
}

/** Whether the user that the database is reached as may do everything there, on its machine too. */
export async function isSuperuser(q: Queryable): Promise<boolean> {
  if (!q.dialect.users) return false;
  const [row] = await rows<{may: string}>(q, `select current_setting('is_superuser') as may`);
  return row?.may === 'on';
}

/** Writes and takes it back: a file that can only be read is found out before somebody posts. */
export async function mustBeWritable(db: Db): Promise<void> {
  await inTransaction({...db, dryRun: true, rehearsed: {}}, tx =>
    rows(tx, `update meta set value = value where key = 'database_id'`),
  );
}
