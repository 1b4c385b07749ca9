import type {RoomId, Timestamp, UserId} from '../core/ids.ts';
import type {Queryable} from './connect.ts';
import {among, rows, table} from './rows.ts';
import type {Tx} from './transaction.ts';

export interface Import {
  id: string;
  kind: string;
  /** Rows of the input that are in. */
  position: number;
  /** Of the input up to there. */
  inputHash: string;
  /** JSON. */
  state: string;
  finishedAt: Timestamp | null;
}

interface ImportRow {
  id: string;
  kind: string;
  position: number;
  input_hash: string;
  state: string;
  finished_at: Timestamp | null;
}

const columns = 'id, kind, position, input_hash, state, finished_at';

function toImport(row: ImportRow): Import {
  return {
    id: row.id,
    kind: row.kind,
    position: row.position,
    inputHash: row.input_hash,
    state: row.state,
    finishedAt: row.finished_at,
  };
}

export async function findImport(q: Queryable, id: string): Promise<Import | undefined> {
  const [row] = await rows<ImportRow>(q, `select ${columns} from imports where id = ?`, [id]);
  return row && toImport(row);
}

/** Those of a kind that have begun and not ended, the latest first. */
export async function listUnfinished(q: Queryable, kind: string, limit: number): Promise<Import[]> {
  const found = await rows<ImportRow>(
    q,
    `select ${columns} from imports where kind = ? and finished_at is null order by updated_at desc, id limit ?`,
    [kind, limit],
  );
  return found.map(toImport);
}

/** Locks it, so that of two processes that go on with the same import one finds what the other did. */
export async function lockImport(tx: Tx, id: string): Promise<Import | undefined> {
  const suffix = tx.dialect.rowLocks ? ' for update' : '';
  const [row] = await rows<ImportRow>(tx, `select ${columns} from imports where id = ?${suffix}`, [id]);
  return row && toImport(row);
}

export async function insertImport(tx: Tx, made: Omit<Import, 'finishedAt'>, now: Timestamp): Promise<void> {
  await rows(tx, 'insert into imports (id, kind, position, input_hash, state, updated_at) values (?, ?, ?, ?, ?, ?)', [
    made.id,
    made.kind,
    made.position,
    made.inputHash,
    made.state,
    now,
  ]);
}

export async function updateImport(
  tx: Tx,
  id: string,
  change: Pick<Import, 'position' | 'inputHash' | 'state'>,
  now: Timestamp,
): Promise<void> {
  await rows(tx, 'update imports set position = ?, input_hash = ?, state = ?, updated_at = ? where id = ?', [
    change.position,
    change.inputHash,
    change.state,
    now,
    id,
  ]);
}

export async function updateFinished(tx: Tx, id: string, now: Timestamp): Promise<void> {
  await rows(tx, 'update imports set finished_at = ?, updated_at = ? where id = ?', [now, now, id]);
}

/** Those that ended before this time are remembered no longer. */
export async function deleteFinishedImports(tx: Tx, before: Timestamp): Promise<void> {
  await rows(tx, 'delete from imports where finished_at < ?', [before]);
}

/** Notes members whom no event has told of yet. */
export async function insertAdded(tx: Tx, room: RoomId, users: readonly UserId[]): Promise<void> {
  if (users.length === 0) return;
  await rows(tx, 'insert into import_added (room_id, users) values (?, ?)', [room, JSON.stringify(users)]);
}

/** Takes the notes of a room out: its event is about to tell. The caller holds the room's lock. */
export async function deleteAdded(tx: Tx, room: RoomId): Promise<UserId[]> {
  const found = await rows<{users: string}>(tx, 'delete from import_added where room_id = ? returning users', [room]);
  return found.flatMap(row => JSON.parse(row.users) as UserId[]);
}

export interface ImportedRoom {
  roomId: RoomId;
  /** The version that the room came with, or null when it was here before. */
  madeVersion: number | null;
}

/** A room that is noted already keeps its note. */
export async function insertImportRooms(tx: Tx, id: string, touched: readonly ImportedRoom[]): Promise<void> {
  if (touched.length === 0) return;
  const {text, bindings} = table(
    tx.dialect,
    ['text', 'bigint', 'bigint'],
    touched.map(each => [id, each.roomId, each.madeVersion]),
  );
  await rows(
    tx,
    `insert into import_rooms (import_id, room_id, made_version) select * from ${text} where true
     on conflict (import_id, room_id) do nothing`,
    bindings,
  );
}

export async function listImportRooms(q: Queryable, id: string, after: number, limit: number): Promise<ImportedRoom[]> {
  const found = await rows<{room_id: RoomId; made_version: number | null}>(
    q,
    'select room_id, made_version from import_rooms where import_id = ? and room_id > ? order by room_id limit ?',
    [id, after, limit],
  );
  return found.map(row => ({roomId: row.room_id, madeVersion: row.made_version}));
}

export async function deleteImportRooms(tx: Tx, id: string, rooms: readonly RoomId[]): Promise<void> {
  const {text, bindings} = among(tx.dialect, 'bigint', rooms);
  await rows(tx, `delete from import_rooms where import_id = ? and room_id ${text}`, [id, ...bindings]);
}

/** What the batch up to this position left out. */
export async function insertRefused(tx: Tx, id: string, position: number, refused: string): Promise<void> {
  await rows(tx, 'insert into import_refused (import_id, position, refused) values (?, ?, ?)', [id, position, refused]);
}

/** What was left out behind a position, batch by batch. */
export async function listRefused(
  q: Queryable,
  id: string,
  after: number,
  limit: number,
): Promise<{position: number; refused: string}[]> {
  return rows(
    q,
    'select position, refused from import_refused where import_id = ? and position > ? order by position limit ?',
    [id, after, limit],
  );
}

export async function deleteRefused(tx: Tx, id: string): Promise<void> {
  await rows(tx, 'delete from import_refused where import_id = ?', [id]);
}
