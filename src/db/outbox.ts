import {crc32} from 'node:zlib';
import type {RoomId, Timestamp, UserId} from '../core/ids.ts';
import type {Db, Queryable} from './connect.ts';
import {among, rows, rowsBeside, table, type Binding, type Piece} from './rows.ts';
import {lastIdGiven} from './sequences.ts';
import {inTransaction, type Tx} from './transaction.ts';

/** Rows of one room lie in one partition, so that their order is one drainer's business. */
export const partitionCount = 16;

/** A stable unsigned hash, the same in every process and version. */
export function partitionOf(room: RoomId): number {
  return crc32(String(room)) % partitionCount;
}

export interface NewOutboxRow {
  roomId: RoomId;
  type: string;
  idempotencyKey: string;
  /** JSON text, delivered as it is. */
  body: string;
  version: number;
  membersVersion: number;
  /** Receivers who are no longer members. */
  alsoTo: readonly UserId[];
  /** Members by this very event. */
  added: readonly UserId[];
  createdAt: Timestamp;
}

export interface OutboxRow extends NewOutboxRow {
  id: number;
  partition: number;
}

interface Row {
  id: number;
  partition: number;
  room_id: RoomId;
  type: string;
  idempotency_key: string;
  body: string;
  version: number;
  members_version: number;
  also_to: string | null;
  added: string | null;
  created_at: Timestamp;
}

const columns =
  'id, partition, room_id, type, idempotency_key, body, version, members_version, also_to, added, created_at';

function toOutboxRow(row: Row): OutboxRow {
  return {
    id: row.id,
    partition: row.partition,
    roomId: row.room_id,
    type: row.type,
    idempotencyKey: row.idempotency_key,
    body: row.body,
    version: row.version,
    membersVersion: row.members_version,
    alsoTo: users(row.also_to),
    added: users(row.added),
    createdAt: row.created_at,
  };
}

function users(json: string | null): UserId[] {
  return json === null ? [] : (JSON.parse(json) as UserId[]);
}

function json(ids: readonly UserId[]): string | null {
  return ids.length === 0 ? null : JSON.stringify(ids);
}

/** Writes of other tables may be made with it. */
export async function insertOutbox(
  tx: Tx,
  events: readonly NewOutboxRow[],
  others: readonly Piece[] = [],
): Promise<void> {
  await rowsBeside(tx, others, outboxInsert(tx, events));
}

/** The same, with the ids in the order of the rows. */
export async function insertOutboxForIds(
  tx: Tx,
  events: readonly NewOutboxRow[],
  others: readonly Piece[],
): Promise<number[]> {
  const {text, bindings} = outboxInsert(tx, events);
  const last = {text: `${text} returning id, idempotency_key`, bindings};
  const made = await rowsBeside<{id: number; idempotency_key: string}>(tx, others, last);
  const ids = new Map(made.map(row => [row.idempotency_key, row.id]));
  return events.map(row => {
    const id = ids.get(row.idempotencyKey);
    if (id === undefined) throw new Error('insert into the outbox gave no row');
    return id;
  });
}

function outboxInsert({dialect}: Tx, events: readonly NewOutboxRow[]): Piece {
  const {text, bindings} = table(
    dialect,
    ['int', 'bigint', 'text', 'text', 'text', 'bigint', 'bigint', 'text', 'text', 'timestamptz'],
    events.map(row => [
      partitionOf(row.roomId),
      row.roomId,
      row.type,
      row.idempotencyKey,
      row.body,
      row.version,
      row.membersVersion,
      json(row.alsoTo),
      json(row.added),
      row.createdAt,
    ]),
  );
  return {
    text: `insert into outbox (partition, room_id, type, idempotency_key, body, version, members_version, also_to, added, created_at)
     select * from ${text}`,
    bindings,
  };
}

/** What still waits in these partitions, oldest first, without the rooms that are being left alone for now. */
export async function listOutbox(
  q: Queryable,
  partitions: readonly number[],
  skipRooms: readonly RoomId[],
  limit: number,
): Promise<OutboxRow[]> {
  if (partitions.length === 0) return [];
  const wheres: string[] = [];
  const values: Binding[] = [];
  const add = (before: string, {text, bindings}: Piece, after = '') => {
    wheres.push(`${before} ${text}${after}`);
    values.push(...bindings);
  };
  // Who holds all partitions reads in the order of the ids, without a sort of what waits.
  if (partitions.length < partitionCount) add('partition', among(q.dialect, 'int', partitions));
  if (skipRooms.length > 0) add('not (room_id', among(q.dialect, 'bigint', skipRooms), ')');
  const found = await rows<Row>(
    q,
    `select ${columns} from outbox ${wheres.length > 0 ? `where ${wheres.join(' and ')}` : ''} order by id limit ?`,
    [...values, limit],
  );
  return found.map(toOutboxRow);
}

async function deleteOutbox(tx: Tx, ids: readonly number[]): Promise<void> {
  if (ids.length === 0) return;
  const {text, bindings} = among(tx.dialect, 'bigint', ids);
  await rows(tx, `delete from outbox where id ${text}`, bindings);
}

/**
 * Takes away what was delivered. It need not survive a crash of PostgreSQL, after which the events would be delivered once
 * more: so this is one statement that does not wait for the disk.
 */
export async function deleteDelivered(db: Db, ids: readonly number[]): Promise<void> {
  if (!db.dialect.rowLocks) return inTransaction(db, tx => deleteOutbox(tx, ids));
  const {text, bindings} = among(db.dialect, 'bigint', ids);
  const unhurried = `(select set_config('synchronous_commit', 'off', true)) as unhurried`;
  await rows(db, `delete from outbox using ${unhurried} where id ${text}`, bindings);
}

/** Moves a row that cannot be delivered aside, with the reason; nothing is dropped silently. */
export async function parkOutbox(tx: Tx, id: number, error: string, now: Timestamp): Promise<void> {
  const [row] = await rows<Row>(tx, `select ${columns} from outbox where id = ?`, [id]);
  if (!row) return;
  const parked = {...row, parked_at: now, error};
  await rows(
    tx,
    `insert into outbox_parked (${Object.keys(parked).join(', ')}) values (${Object.keys(parked)
      .map(() => '?')
      .join(', ')})`,
    Object.values(parked),
  );
  await deleteOutbox(tx, [id]);
}

/** How much waits, how old the oldest is, and how many are parked. */
export async function outboxDepth(q: Queryable): Promise<{waiting: number; oldest: Timestamp | null; parked: number}> {
  const [row] = await rows<{waiting: number; oldest: Timestamp | null; parked: number}>(
    q,
    `select (select count(*) from outbox) as waiting, (select min(created_at) from outbox) as oldest,
       (select count(*) from outbox_parked) as parked`,
  );
  return row ?? {waiting: 0, oldest: null, parked: 0};
}

export interface OutboxLook {
  /** The highest id given out. */
  lastId: number;
  parked: number;
  /** Partitions that have any; `earlier` is how many of theirs have an id up to the one that was asked for. */
  partitions: {partition: number; waiting: number; oldest: Timestamp; earlier: number}[];
}

/** One statement, so that the figures belong together. */
export async function lookAtOutbox(q: Queryable, upTo: number): Promise<OutboxLook> {
  interface Figures {
    last: number;
    parked: number;
    partition: number | null;
    waiting: number;
    oldest: Timestamp;
    earlier: number;
  }
  const found = await rows<Figures>(
    q,
    `select ${lastIdGiven(q.dialect, 'outbox')} as last, (select count(*) from outbox_parked) as parked, p.*
     from (select 1 as one) as always left join (
       select partition, count(*) as waiting, min(created_at) as oldest, count(*) filter (where id <= ?) as earlier
       from outbox group by partition
     ) as p on true order by p.partition`,
    [upTo],
  );
  return {
    lastId: found[0]?.last ?? 0,
    parked: found[0]?.parked ?? 0,
    partitions: found.flatMap(({partition, waiting, oldest, earlier}) =>
      partition === null ? [] : [{partition, waiting, oldest, earlier}],
    ),
  };
}

/** Events that wait, by id. */
export async function listWaiting(q: Queryable, after: number, limit: number): Promise<OutboxRow[]> {
  const found = await rows<Row>(q, `select ${columns} from outbox where id > ? order by id limit ?`, [after, limit]);
  return found.map(toOutboxRow);
}

export interface ParkedRow extends OutboxRow {
  parkedAt: Timestamp;
  error: string;
}

type ParkedTableRow = Row & {parked_at: Timestamp; error: string};

function toParkedRow(row: ParkedTableRow): ParkedRow {
  return {...toOutboxRow(row), parkedAt: row.parked_at, error: row.error};
}

/** Events that were refused for good, by id. */
export async function listParked(q: Queryable, after: number, limit: number): Promise<ParkedRow[]> {
  const found = await rows<ParkedTableRow>(
    q,
    `select ${columns}, parked_at, error from outbox_parked where id > ? order by id limit ?`,
    [after, limit],
  );
  return found.map(toParkedRow);
}

/** Puts a parked event back into the outbox, behind what waits. Answers its room, or undefined when there is none of this id. */
export async function unpark(tx: Tx, id: number): Promise<RoomId | undefined> {
  const [row] = await rows<Row>(tx, `select ${columns} from outbox_parked where id = ?`, [id]);
  if (!row) return undefined;
  await insertOutbox(tx, [toOutboxRow(row)]);
  await deleteParked(tx, id);
  return row.room_id;
}

export async function deleteParked(tx: Tx, id: number): Promise<boolean> {
  return (await rows(tx, 'delete from outbox_parked where id = ? returning id', [id])).length > 0;
}

/** Where the event of this key is: it waits, it is parked, or it is in neither table because it was delivered. */
export async function findEventByKey(
  q: Queryable,
  key: string,
): Promise<{state: 'waiting'; row: OutboxRow} | {state: 'parked'; row: ParkedRow} | undefined> {
  const [waiting] = await rows<Row>(q, `select ${columns} from outbox where idempotency_key = ?`, [key]);
  if (waiting) return {state: 'waiting', row: toOutboxRow(waiting)};
  const [parked] = await rows<ParkedTableRow>(
    q,
    `select ${columns}, parked_at, error from outbox_parked where idempotency_key = ?`,
    [key],
  );
  return parked && {state: 'parked', row: toParkedRow(parked)};
}

/** The lowest version of the room whose event still waits. */
export async function findLowestWaiting(q: Queryable, room: RoomId): Promise<number | undefined> {
  const [row] = await rows<{version: number | null}>(
    q,
    'select min(version) as version from outbox where partition = ? and room_id = ?',
    [partitionOf(room), room],
  );
  return row?.version ?? undefined;
}
