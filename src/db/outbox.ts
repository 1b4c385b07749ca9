import {crc32} from 'node:zlib';
import type {RoomId, Timestamp, UserId} from '../core/ids.ts';
import type {Queryable} from './connect.ts';
import {marks, rows} from './rows.ts';
import type {Tx} from './transaction.ts';

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

export async function insertOutbox(tx: Tx, row: NewOutboxRow): Promise<number> {
  const [made] = await rows<{id: number}>(
    tx,
    `insert into outbox (partition, room_id, type, idempotency_key, body, version, members_version, also_to, added, created_at)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) returning id`,
    [
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
    ],
  );
  if (!made) throw new Error('insert into the outbox gave no row');
  return made.id;
}

/** What still waits in these partitions, oldest first, without the rooms that are being left alone for now. */
export async function listOutbox(
  q: Queryable,
  partitions: readonly number[],
  skipRooms: readonly RoomId[],
  limit: number,
): Promise<OutboxRow[]> {
  if (partitions.length === 0) return [];
  const skip = skipRooms.length === 0 ? '' : `and room_id not in (${marks(skipRooms)})`;
  const found = await rows<Row>(
    q,
    `select ${columns} from outbox where partition in (${marks(partitions)}) ${skip} order by id limit ?`,
    [...partitions, ...skipRooms, limit],
  );
  return found.map(toOutboxRow);
}

export async function deleteOutbox(tx: Tx, ids: readonly number[]): Promise<void> {
  if (ids.length > 0) await rows(tx, `delete from outbox where id in (${marks(ids)})`, ids);
}

/** Moves a row that cannot be delivered aside, with the reason; nothing is dropped silently. */
export async function parkOutbox(tx: Tx, id: number, error: string, now: Timestamp): Promise<void> {
  const [row] = await rows<Row>(tx, `select ${columns} from outbox where id = ?`, [id]);
  if (!row) return;
  const parked = {...row, parked_at: now, error};
  await rows(
    tx,
    `insert into outbox_parked (${Object.keys(parked).join(', ')}) values (${marks(Object.keys(parked))})`,
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
