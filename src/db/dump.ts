// Whole rows in the order of their keys, page by page, as an export writes them. Deleted rooms and what is in them are
// left out: their rows are about to go.
import type {MessageId, Role, RoomId, Timestamp, UserId, Visibility} from '../core/ids.ts';
import type {Queryable} from './connect.ts';
import type {MemberRecord, MessageRecord, RoomRecord, UserRecord} from './load.ts';
import {rows, type Binding} from './rows.ts';

export interface DumpFilter {
  room?: RoomId | undefined;
  /** Messages of before are left out. */
  since?: Timestamp | undefined;
}

export async function dumpUsers(q: Queryable, {room}: DumpFilter, after: string, limit: number): Promise<UserRecord[]> {
  const ofRoom =
    room === undefined
      ? ''
      : ` and id in (select user_id from members where room_id = ?
          union select user_id from messages where room_id = ? and user_id is not null)`;
  const found = await rows<{
    id: UserId;
    username: string;
    created_at: Timestamp;
    deactivated_at: Timestamp | null;
    erased_at: Timestamp | null;
  }>(
    q,
    `select id, username, created_at, deactivated_at, erased_at from users where id > ?${ofRoom} order by id limit ?`,
    [after, ...(room === undefined ? [] : [room, room]), limit],
  );
  return found.map(row => ({
    id: row.id,
    username: row.username,
    createdAt: row.created_at,
    deactivatedAt: row.deactivated_at,
    erasedAt: row.erased_at,
  }));
}

export async function dumpRooms(q: Queryable, {room}: DumpFilter, after: number, limit: number): Promise<RoomRecord[]> {
  const found = await rows<{
    id: RoomId;
    key: string | null;
    name: string;
    visibility: Visibility;
    version: number;
    last_seq: number;
    last_message_id: MessageId | null;
    created_at: Timestamp;
    bumped_at: Timestamp;
    archived_at: Timestamp | null;
  }>(
    q,
    `select id, key, name, visibility, version, last_seq, last_message_id, created_at, bumped_at, archived_at
     from rooms where id > ?${room === undefined ? '' : ' and id = ?'} and deleted_at is null order by id limit ?`,
    [after, ...(room === undefined ? [] : [room]), limit],
  );
  return found.map(row => ({
    id: row.id,
    key: row.key,
    name: row.name,
    visibility: row.visibility,
    version: row.version,
    lastSeq: row.last_seq,
    lastMessageId: row.last_message_id,
    createdAt: row.created_at,
    bumpedAt: row.bumped_at,
    archivedAt: row.archived_at,
  }));
}

export async function dumpMembers(
  q: Queryable,
  {room}: DumpFilter,
  after: Pick<MemberRecord, 'roomId' | 'userId'> | undefined,
  limit: number,
): Promise<MemberRecord[]> {
  const found = await rows<{
    room_id: RoomId;
    user_id: UserId;
    role: Role;
    joined_at: Timestamp;
    joined_version: number;
    last_read_seq: number;
  }>(
    q,
    `select m.room_id, m.user_id, m.role, m.joined_at, m.joined_version, m.last_read_seq
     from members m join rooms r on r.id = m.room_id
     where (m.room_id, m.user_id) > (?, ?)${room === undefined ? '' : ' and m.room_id = ?'} and r.deleted_at is null
     order by m.room_id, m.user_id limit ?`,
    [after?.roomId ?? 0, after?.userId ?? '', ...(room === undefined ? [] : [room]), limit],
  );
  return found.map(row => ({
    roomId: row.room_id,
    userId: row.user_id,
    role: row.role,
    joinedAt: row.joined_at,
    joinedVersion: row.joined_version,
    lastReadSeq: row.last_read_seq,
  }));
}

export async function dumpMessages(
  q: Queryable,
  {room, since}: DumpFilter,
  after: Pick<MessageRecord, 'roomId' | 'seq'> | undefined,
  limit: number,
): Promise<MessageRecord[]> {
  const bindings: Binding[] = [after?.roomId ?? 0, after?.seq ?? 0];
  let wheres = '(m.room_id, m.seq) > (?, ?)';
  if (room !== undefined) {
    wheres += ' and m.room_id = ?';
    bindings.push(room);
  }
  if (since !== undefined) {
    wheres += ' and m.created_at >= ?';
    bindings.push(since);
  }
  const found = await rows<{
    id: MessageId;
    room_id: RoomId;
    seq: number;
    version: number;
    user_id: UserId | null;
    content: string;
    client_id: string | null;
    created_at: Timestamp;
    deleted_at: Timestamp | null;
  }>(
    q,
    `select m.id, m.room_id, m.seq, m.version, m.user_id, m.content, m.client_id, m.created_at, m.deleted_at
     from messages m join rooms r on r.id = m.room_id
     where ${wheres} and r.deleted_at is null order by m.room_id, m.seq limit ?`,
    [...bindings, limit],
  );
  return found.map(row => ({
    id: row.id,
    roomId: row.room_id,
    seq: row.seq,
    version: row.version,
    userId: row.user_id,
    content: row.content,
    clientId: row.client_id,
    createdAt: row.created_at,
    deletedAt: row.deleted_at,
  }));
}
