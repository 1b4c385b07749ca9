// Lists of rooms: the user's own, all of them, and those that a search finds.
import type {Role, RoomId, Timestamp, UserId} from '../core/ids.ts';
import type {Queryable} from './connect.ts';
import {jsonList, parseList} from './json-lists.ts';
import {stateOf, unversionedChanges} from './meta.ts';
import {nameKey, roomColumns, toRoom, withLastMessage, type OwnRoom, type Room, type RoomRow} from './rooms.ts';
import {among, rows, table} from './rows.ts';
import {likePattern} from './users.ts';

/** What a user sees of a room, without the room itself: it looks the same for as long as its state is the same. */
export interface OwnRoomState {
  id: RoomId;
  state: string;
  role: Role;
  lastReadSeq: number;
}

const ownRooms = `from members mine join rooms r on r.id = mine.room_id
  where mine.user_id = column1 and r.deleted_at is null`;

export interface OwnRoomStates {
  /** Of all the user's rooms, counted so far at most. */
  count: number;
  /** The newest bump first. */
  rooms: OwnRoomState[];
}

/** The states of these users' rooms, the same page of each, in one statement. */
export async function listRoomStatesOf(
  q: Queryable,
  users: readonly UserId[],
  page: {limit: number; offset: number},
  countAtMost: number,
): Promise<Map<UserId, OwnRoomStates>> {
  const {text, bindings} = table(
    q.dialect,
    ['text'],
    users.map(user => [user]),
  );
  const found = await rows<StatesRow>(
    q,
    `select column1 as user_id, (select count(*) from (select 1 ${ownRooms} limit ?) as counted) as n,
       ${unversionedChanges} as unversioned,
       (select ${jsonList(q.dialect, 'id', 'version', 'role', 'last_read_seq')} from (
          select r.id, r.version, mine.role, mine.last_read_seq ${ownRooms}
          order by r.bumped_at desc, r.id desc limit ? offset ?) as page) as rooms
     from ${text}`,
    [countAtMost, page.limit, page.offset, ...bindings],
  );
  return new Map(found.map(row => [row.user_id, {count: row.n, rooms: statesOf(row)}]));
}

interface StatesRow {
  user_id: UserId;
  n: number;
  unversioned: string | null;
  rooms: string | null;
}

function statesOf({unversioned, rooms: text}: StatesRow): OwnRoomState[] {
  return parseList<[RoomId, number, Role, number]>(text).map(([id, version, role, lastReadSeq]) => ({
    id,
    state: stateOf(version, unversioned),
    role,
    lastReadSeq,
  }));
}

/** Those of these rooms that are the user's, with their states. */
export async function findRoomsOf(
  q: Queryable,
  user: UserId,
  ids: readonly RoomId[],
): Promise<(OwnRoom & {state: string})[]> {
  const {text, bindings} = among(q.dialect, 'bigint', ids);
  const found = await rows<RoomRow & {role: Role; last_read_seq: number; unversioned: string | null}>(
    q,
    `select ${roomColumns}, mine.role, mine.last_read_seq, ${unversionedChanges} as unversioned
     from members mine join rooms r on r.id = mine.room_id ${withLastMessage}
     where mine.user_id = ? and mine.room_id ${text} and r.deleted_at is null`,
    [user, ...bindings],
  );
  return found.map(row =>
    Object.assign(toRoom(row), {
      role: row.role,
      lastReadSeq: row.last_read_seq,
      state: stateOf(row.version, row.unversioned),
    }),
  );
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

/** Where a room stands in an order: by this and, among those of which it is the same, by its id. */
export interface RoomPlace {
  id: RoomId;
  /** Nothing but the id, where that is the order. */
  by: string | undefined;
}

export function roomPlace(room: Room, sort: RoomSort): RoomPlace {
  const by = {bumped: room.bumpedAt, name: nameKey(room.name), members: String(room.memberCount), id: undefined};
  return {id: room.id, by: by[sort]};
}

const behind: Record<RoomSort, string> = {
  bumped: '(r.bumped_at, r.id) < (?, ?)',
  name: '(r.name_key, r.id) > (?, ?)',
  // The ids rise while the counts fall.
  members: 'r.member_count <= ? and (r.member_count < ? or r.id > ?)',
  id: 'r.id > ?',
};

function behindBindings({id, by = ''}: RoomPlace, sort: RoomSort): (string | number)[] {
  if (sort === 'id') return [id];
  return sort === 'members' ? [Number(by), Number(by), id] : [by, id];
}

export async function listRooms(
  q: Queryable,
  filter: RoomFilter,
  page: {sort: RoomSort; after?: RoomPlace | undefined; limit: number; offset?: number},
): Promise<Room[]> {
  const {where: filtered, bindings} = roomWhere(filter);
  const where = page.after ? `${filtered} and ${behind[page.sort]}` : filtered;
  if (page.after) bindings.push(...behindBindings(page.after, page.sort));
  const found = await rows<RoomRow>(
    q,
    `select ${roomColumns} from rooms r ${withLastMessage} where ${where} order by ${orders[page.sort]} limit ? offset ?`,
    [...bindings, page.limit, page.offset ?? 0],
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
