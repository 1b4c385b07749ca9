import type {Role, RoomId, Timestamp, UserId} from '../core/ids.ts';
import type {Queryable} from './connect.ts';
import {among, rows, table} from './rows.ts';
import type {Tx} from './transaction.ts';

export interface Member {
  roomId: RoomId;
  user: {id: UserId; username: string};
  role: Role;
  joinedAt: Timestamp;
  lastReadSeq: number;
}

interface MemberRow {
  room_id: RoomId;
  user_id: UserId;
  username: string;
  role: Role;
  joined_at: Timestamp;
  last_read_seq: number;
}

const columns = 'm.room_id, m.user_id, u.username, m.role, m.joined_at, m.last_read_seq';

function toMember(row: MemberRow): Member {
  return {
    roomId: row.room_id,
    user: {id: row.user_id, username: row.username},
    role: row.role,
    joinedAt: row.joined_at,
    lastReadSeq: row.last_read_seq,
  };
}

export async function findMember(q: Queryable, room: RoomId, user: UserId): Promise<Member | undefined> {
  const [row] = await rows<MemberRow>(
    q,
    `select ${columns} from members m join users u on u.id = m.user_id where m.room_id = ? and m.user_id = ?`,
    [room, user],
  );
  return row && toMember(row);
}

/** Which of these users are members. */
export async function findMemberIds(q: Queryable, room: RoomId, users: readonly UserId[]): Promise<Set<UserId>> {
  if (users.length === 0) return new Set();
  // By a look-up for each: with `= any(…)` PostgreSQL reads the whole room and holds each member against the list. The
  // room stands in each row, because SQLite does the same, and reads the list anew each time, where it knows the room first.
  const {text, bindings} = table(
    q.dialect,
    ['bigint', 'text'],
    users.map(user => [room, user]),
  );
  const found = await rows<{user_id: UserId}>(
    q,
    `select m.user_id from ${text} join members m on m.room_id = v.column1 and m.user_id = v.column2`,
    bindings,
  );
  return new Set(found.map(row => row.user_id));
}

export interface NewMember {
  role: Role;
  joinedAt: Timestamp;
  joinedVersion: number;
  /** Joining counts as having read what was there. */
  lastReadSeq: number;
}

const membersPerStatement = 5_000;

export async function insertMembers(tx: Tx, room: RoomId, users: readonly UserId[], member: NewMember): Promise<void> {
  for (let start = 0; start < users.length; start += membersPerStatement) {
    const chunk = users.slice(start, start + membersPerStatement);
    const {text, bindings} = table(
      tx.dialect,
      ['text'],
      chunk.map(user => [user]),
    );
    const time = tx.dialect.lists === 'arrays' ? 'cast(? as timestamptz)' : '?';
    await rows(
      tx,
      `insert into members (room_id, user_id, role, joined_at, joined_version, last_read_seq)
       select cast(? as bigint), column1, ?, ${time}, cast(? as bigint), cast(? as bigint) from ${text}`,
      [room, member.role, member.joinedAt, member.joinedVersion, member.lastReadSeq, ...bindings],
    );
  }
}

export async function deleteMembers(tx: Tx, room: RoomId, users: readonly UserId[]): Promise<void> {
  if (users.length === 0) return;
  const {text, bindings} = among(tx.dialect, 'text', users);
  await rows(tx, `delete from members where room_id = ? and user_id ${text}`, [room, ...bindings]);
}

export async function updateRole(tx: Tx, room: RoomId, user: UserId, role: Role): Promise<void> {
  await rows(tx, 'update members set role = ? where room_id = ? and user_id = ?', [role, room, user]);
}

/**
 * So that what comes next sees the room as it is then: a post moves the room and its author's marker at once, and a statement
 * that waited for the marker would go on with the room of before.
 */
export async function lockMember(tx: Tx, room: RoomId, user: UserId): Promise<void> {
  if (!tx.dialect.rowLocks) return;
  await rows(tx, 'select 1 from members where room_id = ? and user_id = ? for update', [room, user]);
}

/** Moves the read marker forward, never back, and not past the room's last message. Answers where it is now. */
export async function updateLastRead(
  tx: Tx,
  room: RoomId,
  user: UserId,
  seq: number,
): Promise<{lastReadSeq: number; lastSeq: number} | undefined> {
  const [row] = await rows<{last_read_seq: number; last_seq: number}>(
    tx,
    `update members set last_read_seq = case
       when ? <= last_read_seq then last_read_seq
       when ? > (select last_seq from rooms where id = room_id) then (select last_seq from rooms where id = room_id)
       else ? end
     where room_id = ? and user_id = ?
     returning last_read_seq, (select last_seq from rooms where id = room_id) as last_seq`,
    [seq, seq, seq, room, user],
  );
  return row && {lastReadSeq: row.last_read_seq, lastSeq: row.last_seq};
}

/** By user id. */
export async function listMembers(
  q: Queryable,
  room: RoomId,
  page: {search?: string | undefined; after?: UserId | undefined; limit: number; offset?: number},
): Promise<Member[]> {
  const wheres = ['m.room_id = ?'];
  const bindings: (string | number)[] = [room];
  if (page.after !== undefined) {
    // Of the users too: PostgreSQL may merge the two tables, and would read those before in vain.
    wheres.push('m.user_id > ?', 'u.id > ?');
    bindings.push(page.after, page.after);
  }
  if (page.search) {
    wheres.push(`(lower(m.user_id) like ? escape '\\' or lower(u.username) like ? escape '\\')`);
    const pattern = `%${page.search.toLowerCase().replaceAll(/[\\%_]/g, '\\$&')}%`;
    bindings.push(pattern, pattern);
  }
  const found = await rows<MemberRow>(
    q,
    `select ${columns} from members m join users u on u.id = m.user_id
     where ${wheres.join(' and ')} order by m.user_id limit ? offset ?`,
    [...bindings, page.limit, page.offset ?? 0],
  );
  return found.map(toMember);
}

export interface Receiver {
  userId: UserId;
  joinedVersion: number;
}

/** The next receivers of a room's events by user id; a room of 100,000 is read in several such pages. */
export async function listReceivers(q: Queryable, room: RoomId, after: string, limit: number): Promise<Receiver[]> {
  const found = await rows<{user_id: UserId; joined_version: number}>(
    q,
    'select user_id, joined_version from members where room_id = ? and user_id > ? order by user_id limit ?',
    [room, after, limit],
  );
  return found.map(row => ({userId: row.user_id, joinedVersion: row.joined_version}));
}

/** By the rows, which takes its time in a big room; a room's own count is kept. */
export async function countMembers(q: Queryable, room: RoomId): Promise<number> {
  const [row] = await rows<{n: number}>(q, 'select count(*) as n from members where room_id = ?', [room]);
  return row?.n ?? 0;
}

/** Rises with every change of the room's members; a deleted room has it too. */
export async function findMembersVersion(q: Queryable, room: RoomId): Promise<number | undefined> {
  const [row] = await rows<{members_version: number}>(q, 'select members_version from rooms where id = ?', [room]);
  return row?.members_version;
}

/** Receivers with the `members_version` that they stand for. */
export interface ReceiversAt {
  membersVersion: number;
  receivers: Receiver[];
}

interface ReceiverRow {
  room_id: RoomId;
  members_version: number;
  user_id: UserId | null;
  joined_version: number | null;
}

const receiverRows = `select r.id as room_id, r.members_version, m.user_id, m.joined_version
  from rooms r left join members m on m.room_id = r.id`;

/** All receivers and their version in one statement, so in one snapshot. For a room whose members never rest. */
export async function listAllReceivers(q: Queryable, room: RoomId): Promise<ReceiversAt> {
  const found = await rows<ReceiverRow>(q, `${receiverRows} where r.id = ?`, [room]);
  return receiversByRoom(found).get(room) ?? {membersVersion: 0, receivers: []};
}

/** The same for those of these rooms that have so many members at most. */
export async function listReceiversOfSmall(
  q: Queryable,
  rooms: readonly RoomId[],
  maxMembers: number,
): Promise<Map<RoomId, ReceiversAt>> {
  const {text, bindings} = among(q.dialect, 'bigint', rooms);
  // Not by the room's own count, which an import raises at its end only.
  const counted = 'select count(*) from (select 1 from members f where f.room_id = r.id limit ?) as counted';
  const found = await rows<ReceiverRow>(q, `${receiverRows} where r.id ${text} and (${counted}) <= ?`, [
    ...bindings,
    maxMembers + 1,
    maxMembers,
  ]);
  return receiversByRoom(found);
}

function receiversByRoom(found: readonly ReceiverRow[]): Map<RoomId, ReceiversAt> {
  const byRoom = new Map<RoomId, ReceiversAt>();
  for (const row of found) {
    const room = byRoom.get(row.room_id) ?? {membersVersion: row.members_version, receivers: []};
    byRoom.set(row.room_id, room);
    if (row.user_id !== null) room.receivers.push({userId: row.user_id, joinedVersion: row.joined_version ?? 0});
  }
  return byRoom;
}

export interface Membership {
  userId: UserId;
  roomId: RoomId;
  joinedVersion: number;
}

/** Memberships by user and room, of one room or user or of all, from after the given one on. */
export async function listMemberships(
  q: Queryable,
  filter: {room?: RoomId | undefined; user?: UserId | undefined},
  after: {userId: string; roomId: number},
  limit: number,
): Promise<Membership[]> {
  const wheres = ['(user_id > ? or (user_id = ? and room_id > ?))'];
  const bindings: (string | number)[] = [after.userId, after.userId, after.roomId];
  if (filter.room !== undefined) {
    wheres.push('room_id = ?');
    bindings.push(filter.room);
  }
  if (filter.user !== undefined) {
    wheres.push('user_id = ?');
    bindings.push(filter.user);
  }
  const found = await rows<{user_id: UserId; room_id: RoomId; joined_version: number}>(
    q,
    `select user_id, room_id, joined_version from members where ${wheres.join(' and ')} order by user_id, room_id limit ?`,
    [...bindings, limit],
  );
  return found.map(row => ({userId: row.user_id, roomId: row.room_id, joinedVersion: row.joined_version}));
}
