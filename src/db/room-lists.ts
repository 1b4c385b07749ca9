// Lists of rooms: the user's own, all of them, and those that a search finds.
import type {Role, RoomId, Timestamp, UserId} from '../core/ids.ts';
import type {Queryable} from './connect.ts';
import {nameKey, roomColumns, toRoom, withLastMessage, type OwnRoom, type Room, type RoomRow} from './rooms.ts';
import {rows} from './rows.ts';
import {likePattern} from './users.ts';

interface OwnRoomRow extends RoomRow {
  role: Role;
  last_read_seq: number;
}

function toOwnRoom(row: OwnRoomRow): OwnRoom {
  return Object.assign(toRoom(row), {role: row.role, lastReadSeq: row.last_read_seq});
}

/** The user's rooms, newest bump first. Last messages are looked up for those of the page alone. */
export async function listRoomsOf(
  q: Queryable,
  user: UserId,
  page: {limit: number; offset: number},
): Promise<OwnRoom[]> {
  const found = await rows<OwnRoomRow>(
    q,
    `select ${roomColumns}, page.role, page.last_read_seq
     from (
       select mine.room_id, mine.role, mine.last_read_seq
       from members mine join rooms r on r.id = mine.room_id
       where mine.user_id = ? and r.deleted_at is null
       order by r.bumped_at desc, r.id desc limit ? offset ?) page
     join rooms r on r.id = page.room_id ${withLastMessage}
     order by r.bumped_at desc, r.id desc`,
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
