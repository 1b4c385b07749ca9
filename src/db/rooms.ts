import {ChatError} from '../core/errors.ts';
import type {MessageId, Role, RoomId, Timestamp, UserId, Visibility} from '../core/ids.ts';
import type {Queryable} from './connect.ts';
import {among, isUniqueViolation, rows} from './rows.ts';
import type {Tx} from './transaction.ts';

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

interface RoomFields {
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
}

export interface RoomRow extends RoomFields {
  message_id: MessageId | null;
  message_content: string | null;
  message_created_at: Timestamp | null;
  message_user_id: UserId | null;
  message_username: string | null;
}

const fieldNames =
  'id key name visibility version members_version member_count last_seq created_at bumped_at archived_at deleted_at'.split(
    ' ',
  );
/** For queries that name rooms `r` and join what `withLastMessage` says. */
export const roomColumns = `${fieldNames.map(name => `r.${name}`).join(', ')},
  m.id as message_id, m.content as message_content, m.created_at as message_created_at,
  u.id as message_user_id, u.username as message_username`;
export const withLastMessage = `left join messages m on m.room_id = r.id and m.id = r.last_message_id left join users u on u.id = m.user_id`;

export function toRoom(row: RoomRow): Room {
  return Object.assign(toBareRoom(row), {lastMessage: toLastMessage(row)});
}

/** The room without a look at its last message. */
function toBareRoom(row: RoomFields): Room {
  return {
    key: row.key,
    name: row.name,
    visibility: row.visibility,
    createdAt: row.created_at,
    deletedAt: row.deleted_at,
    lastMessage: null,
    ...toLockedRoom(row),
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

/** A room as a user sees it; without a membership for who is no member. */
export interface SeenRoom {
  room: Room;
  member: Pick<OwnRoom, 'role' | 'lastReadSeq'> | undefined;
}

/** Of one moment, by one statement: a post between two of them would be read already and not yet be there. */
export async function findRoomSeenBy(q: Queryable, id: RoomId, user: UserId | null): Promise<SeenRoom | undefined> {
  const [row] = await rows<RoomRow & ({role: Role; last_read_seq: number} | {role: null; last_read_seq: null})>(
    q,
    `select ${roomColumns}, mine.role, mine.last_read_seq
     from rooms r left join members mine on mine.room_id = r.id and mine.user_id = ? ${withLastMessage}
     where r.id = ? and r.deleted_at is null`,
    [user, id],
  );
  if (!row) return undefined;
  const member = row.role === null ? undefined : {role: row.role, lastReadSeq: row.last_read_seq};
  return {room: toRoom(row), member};
}

/** Many rooms by id, without their last messages. */
export async function findBareRooms(q: Queryable, ids: readonly RoomId[]): Promise<Map<RoomId, Room>> {
  if (ids.length === 0) return new Map();
  const {text, bindings} = among(q.dialect, 'bigint', ids);
  const found = await rows<RoomFields>(
    q,
    `select ${fieldNames.join(', ')} from rooms where id ${text} and deleted_at is null`,
    bindings,
  );
  return new Map(found.map(row => [row.id, toBareRoom(row)]));
}

/** What posting reads and moves on. */
export type LockedRoom = Pick<
  Room,
  'id' | 'version' | 'membersVersion' | 'memberCount' | 'lastSeq' | 'bumpedAt' | 'archivedAt'
>;
type LockedRow = Pick<
  RoomFields,
  'id' | 'version' | 'members_version' | 'member_count' | 'last_seq' | 'bumped_at' | 'archived_at'
>;

/**
 * Locks rooms in the order of their ids, in a statement of its own: what else the caller looks at must be read by one that
 * began after the lock was there. Answers the rooms as they are under the lock; without `wait` those that somebody else
 * holds are left out.
 */
export async function lockRooms(tx: Tx, ids: readonly RoomId[], wait: boolean): Promise<Map<RoomId, LockedRoom>> {
  if (ids.length === 0) return new Map();
  const {text, bindings} = among(tx.dialect, 'bigint', ids);
  const lock = tx.dialect.rowLocks ? ` order by id for update${wait ? '' : ' skip locked'}` : '';
  const found = await rows<LockedRow>(
    tx,
    `select id, version, members_version, member_count, last_seq, bumped_at, archived_at
     from rooms where id ${text} and deleted_at is null${lock}`,
    bindings,
  );
  return new Map(found.map(row => [row.id, toLockedRoom(row)]));
}

function toLockedRoom(row: LockedRow): LockedRoom {
  return {
    id: row.id,
    version: row.version,
    membersVersion: row.members_version,
    memberCount: row.member_count,
    lastSeq: row.last_seq,
    bumpedAt: row.bumped_at,
    archivedAt: row.archived_at,
  };
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
async function lockRow(tx: Tx, id: RoomId): Promise<void> {
  if (tx.dialect.rowLocks) await rows(tx, 'select id from rooms where id = ? for update', [id]);
}

export async function lockRoom(tx: Tx, id: RoomId): Promise<Room | undefined> {
  await lockRow(tx, id);
  return findRoom(tx, id);
}

export async function lockRoomSeenBy(tx: Tx, id: RoomId, user: UserId | null): Promise<SeenRoom | undefined> {
  await lockRow(tx, id);
  return findRoomSeenBy(tx, id, user);
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

/** Writes the versions and the count of members of a room that has moved on by several versions at once. */
export async function updateRoomTo(
  tx: Tx,
  room: Pick<Room, 'id' | 'version' | 'membersVersion' | 'memberCount'>,
): Promise<void> {
  await rows(tx, 'update rooms set version = ?, members_version = ?, member_count = ? where id = ?', [
    room.version,
    room.membersVersion,
    room.memberCount,
    room.id,
  ]);
}

export function keyTaken(key: string): ChatError {
  return new ChatError('key_taken', `The key ${key} belongs to another room already.`, {
    hint: 'Take another key, or go on with that room: it is named by key:<key>.',
  });
}
