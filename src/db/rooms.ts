import {ChatError} from '../core/errors.ts';
import type {MessageId, Role, RoomId, Timestamp, UserId, Visibility} from '../core/ids.ts';
import type {Queryable} from './connect.ts';
import {isUniqueViolation, rows} from './rows.ts';
import type {Tx} from './transaction.ts';
import {likePattern} from './users.ts';

export interface Room {
  id: RoomId;
  key: string | null;
  name: string;
  visibility: Visibility;
  version: number;
  membersVersion: number;
  memberCount: number;
  lastSeq: number;
  createdAt: Timestamp;
  bumpedAt: Timestamp;
  archivedAt: Timestamp | null;
  deletedAt: Timestamp | null;
  lastMessage: LastMessage | null;
}

export interface LastMessage {
  id: MessageId;
  content: string;
  user: {id: UserId; username: string} | null;
  createdAt: Timestamp;
}

/** A room as one of its members has it. */
export interface OwnRoom extends Room {
  role: Role;
  lastReadSeq: number;
}

interface RoomRow {
  id: RoomId;
  key: string | null;
  name: string;
  visibility: Visibility;
  version: number;
  members_version: number;
  member_count: number;
  last_seq: number;
  created_at: Timestamp;
  bumped_at: Timestamp;
  archived_at: Timestamp | null;
  deleted_at: Timestamp | null;
  message_id: MessageId | null;
  message_content: string | null;
  message_created_at: Timestamp | null;
  message_user_id: UserId | null;
  message_username: string | null;
}

interface OwnRoomRow extends RoomRow {
  role: Role;
  last_read_seq: number;
}

const roomColumns = `r.id, r.key, r.name, r.visibility, r.version, r.members_version, r.member_count, r.last_seq,
  r.created_at, r.bumped_at, r.archived_at, r.deleted_at,
  m.id as message_id, m.content as message_content, m.created_at as message_created_at,
  u.id as message_user_id, u.username as message_username`;
const withLastMessage = `left join messages m on m.room_id = r.id and m.id = r.last_message_id left join users u on u.id = m.user_id`;

function toRoom(row: RoomRow): Room {
  return {
    id: row.id,
    key: row.key,
    name: row.name,
    visibility: row.visibility,
    version: row.version,
    membersVersion: row.members_version,
    memberCount: row.member_count,
    lastSeq: row.last_seq,
    createdAt: row.created_at,
    bumpedAt: row.bumped_at,
    archivedAt: row.archived_at,
    deletedAt: row.deleted_at,
    lastMessage: toLastMessage(row),
  };
}

function toLastMessage(row: RoomRow): LastMessage | null {
  if (row.message_id === null || row.message_content === null || row.message_created_at === null) return null;
  return {
    id: row.message_id,
    content: row.message_content,
    user:
      row.message_user_id === null
        ? null
        : {id: row.message_user_id, username: row.message_username ?? row.message_user_id},
    createdAt: row.message_created_at,
  };
}

function toOwnRoom(row: OwnRoomRow): OwnRoom {
  return {...toRoom(row), role: row.role, lastReadSeq: row.last_read_seq};
}

/** What the column of folded names holds. A single character may fold into eighteen. */
const maxNameKey = 400;

/** A name as it is searched: compatibility forms folded, lower case, and cut where the column ends. */
export function nameKey(name: string): string {
  const folded = name.normalize('NFKC').toLowerCase();
  return folded.length <= maxNameKey ? folded : [...folded].slice(0, maxNameKey).join('');
}

export async function findRoom(q: Queryable, id: RoomId): Promise<Room | undefined> {
  const [row] = await rows<RoomRow>(
    q,
    `select ${roomColumns} from rooms r ${withLastMessage} where r.id = ? and r.deleted_at is null`,
    [id],
  );
  return row && toRoom(row);
}

export async function findRoomIdByKey(q: Queryable, key: string): Promise<RoomId | undefined> {
  const [row] = await rows<{id: RoomId}>(q, 'select id from rooms where key = ? and deleted_at is null', [key]);
  return row?.id;
}

/** Rooms of exactly this name, few at most: enough to say that a name is ambiguous. */
export async function findRoomsByName(q: Queryable, name: string, limit: number): Promise<Room[]> {
  const found = await rows<RoomRow>(
    q,
    `select ${roomColumns} from rooms r ${withLastMessage} where r.name_key = ? and r.deleted_at is null order by r.id limit ?`,
    [nameKey(name), limit],
  );
  return found.map(toRoom);
}

// Locks the room so that versions, seqs and outbox rows of one room get the same order. A statement of its own: one
// that waited for the lock would go on with the snapshot from before the wait.
export async function lockRoom(tx: Tx, id: RoomId): Promise<Room | undefined> {
  if (tx.dialect.rowLocks) await rows(tx, 'select id from rooms where id = ? for update', [id]);
  return findRoom(tx, id);
}

/** Undefined when a room has the key, be it one that was committed a moment ago. */
export async function insertRoom(
  tx: Tx,
  room: {key: string | null; name: string; visibility: Visibility; now: Timestamp},
): Promise<RoomId | undefined> {
  const [row] = await rows<{id: RoomId}>(
    tx,
    `insert into rooms (key, name, name_key, visibility, created_at, bumped_at) values (?, ?, ?, ?, ?, ?)
     on conflict (key) do nothing returning id`,
    [room.key, room.name, nameKey(room.name), room.visibility, room.now, room.now],
  );
  return row?.id;
}

export interface RoomChange {
  name?: string;
  key?: string | null;
  visibility?: Visibility;
  archivedAt?: Timestamp | null;
  deletedAt?: Timestamp;
  membersVersion?: number;
  memberCount?: number;
  lastSeq?: number;
  lastMessageId?: MessageId;
  bumpedAt?: Timestamp;
}

const changeColumns: Record<keyof RoomChange, string> = {
  name: 'name',
  key: 'key',
  visibility: 'visibility',
  archivedAt: 'archived_at',
  deletedAt: 'deleted_at',
  membersVersion: 'members_version',
  memberCount: 'member_count',
  lastSeq: 'last_seq',
  lastMessageId: 'last_message_id',
  bumpedAt: 'bumped_at',
};

/**
 * Writes the change under the version after this one; the caller holds the room's lock. Answers that version.
 * Throws key_taken when another transaction gave the key away meanwhile.
 */
export async function updateRoom(tx: Tx, room: {id: RoomId; version: number}, change: RoomChange): Promise<number> {
  const version = room.version + 1;
  const sets = ['version = ?'];
  const bindings: (string | number | null)[] = [version];
  for (const key of Object.keys(change) as (keyof RoomChange)[]) {
    sets.push(`${changeColumns[key]} = ?`);
    bindings.push(change[key] ?? null);
  }
  if (change.name !== undefined) {
    sets.push('name_key = ?');
    bindings.push(nameKey(change.name));
  }
  try {
    await rows(tx, `update rooms set ${sets.join(', ')} where id = ?`, [...bindings, room.id]);
  } catch (error) {
    // The key is the only column of a room that must be unique and can change.
    if (change.key && isUniqueViolation(error)) throw keyTaken(change.key);
    throw error;
  }
  return version;
}

export function keyTaken(key: string): ChatError {
  return new ChatError('key_taken', `The key ${key} belongs to another room already.`);
}

/** The user's rooms, newest bump first. */
export async function listRoomsOf(
  q: Queryable,
  user: UserId,
  page: {limit: number; offset: number},
): Promise<OwnRoom[]> {
  const found = await rows<OwnRoomRow>(
    q,
    `select ${roomColumns}, mine.role, mine.last_read_seq
     from members mine join rooms r on r.id = mine.room_id ${withLastMessage}
     where mine.user_id = ? and r.deleted_at is null
     order by r.bumped_at desc, r.id desc limit ? offset ?`,
    [user, page.limit, page.offset],
  );
  return found.map(toOwnRoom);
}

export async function countRoomsOf(q: Queryable, user: UserId, atMost: number): Promise<number> {
  const [row] = await rows<{n: number}>(
    q,
    `select count(*) as n from (
       select 1 from members mine join rooms r on r.id = mine.room_id
       where mine.user_id = ? and r.deleted_at is null limit ?) as found`,
    [user, atMost],
  );
  return row?.n ?? 0;
}

export interface RoomFilter {
  search?: string | undefined;
  member?: UserId | undefined;
  /** Only archived rooms, or only those that are not; both when absent. */
  archived?: boolean | undefined;
}
export type RoomSort = 'bumped' | 'name' | 'members' | 'id';

const orders: Record<RoomSort, string> = {
  bumped: 'r.bumped_at desc, r.id desc',
  name: 'r.name_key, r.id',
  members: 'r.member_count desc, r.id',
  id: 'r.id',
};

export async function listRooms(
  q: Queryable,
  filter: RoomFilter,
  page: {sort: RoomSort; limit: number; offset: number},
): Promise<Room[]> {
  const {where, bindings} = roomWhere(filter);
  const found = await rows<RoomRow>(
    q,
    `select ${roomColumns} from rooms r ${withLastMessage} where ${where} order by ${orders[page.sort]} limit ? offset ?`,
    [...bindings, page.limit, page.offset],
  );
  return found.map(toRoom);
}

export async function countRooms(q: Queryable, filter: RoomFilter, atMost: number): Promise<number> {
  const {where, bindings} = roomWhere(filter);
  const [row] = await rows<{n: number}>(
    q,
    `select count(*) as n from (select 1 from rooms r where ${where} limit ?) as found`,
    [...bindings, atMost],
  );
  return row?.n ?? 0;
}

function roomWhere(filter: RoomFilter): {where: string; bindings: (string | number)[]} {
  const wheres = ['r.deleted_at is null'];
  const bindings: (string | number)[] = [];
  if (filter.archived !== undefined) wheres.push(`r.archived_at is ${filter.archived ? 'not null' : 'null'}`);
  if (filter.search) {
    wheres.push(`r.name_key like ? escape '\\'`);
    bindings.push(likePattern(nameKey(filter.search)));
  }
  if (filter.member !== undefined) {
    wheres.push('exists (select 1 from members f where f.room_id = r.id and f.user_id = ?)');
    bindings.push(filter.member);
  }
  return {where: wheres.join(' and '), bindings};
}

export interface FoundRoom {
  id: RoomId;
  name: string;
  createdAt: Timestamp;
  isMember: boolean;
}

/** Rooms by name that the user may see: public ones and own ones. Archived public rooms are left out. */
export async function searchRooms(
  q: Queryable,
  user: UserId,
  search: string,
  page: {limit: number; offset: number},
): Promise<FoundRoom[]> {
  const found = await rows<{id: RoomId; name: string; created_at: Timestamp; mine: string | null}>(
    q,
    `select r.id, r.name, r.created_at, mine.user_id as mine ${searchFrom} order by r.name_key, r.id limit ? offset ?`,
    [user, likePattern(nameKey(search)), page.limit, page.offset],
  );
  return found.map(row => ({id: row.id, name: row.name, createdAt: row.created_at, isMember: row.mine !== null}));
}

export async function countFoundRooms(q: Queryable, user: UserId, search: string, atMost: number): Promise<number> {
  const [row] = await rows<{n: number}>(q, `select count(*) as n from (select 1 ${searchFrom} limit ?) as found`, [
    user,
    likePattern(nameKey(search)),
    atMost,
  ]);
  return row?.n ?? 0;
}

const searchFrom = `from rooms r left join members mine on mine.room_id = r.id and mine.user_id = ?
  where r.deleted_at is null and r.name_key like ? escape '\\'
  and (mine.user_id is not null or (r.visibility = 'public' and r.archived_at is null))`;
