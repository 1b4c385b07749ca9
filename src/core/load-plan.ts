// What becomes of each row of a batch of a load (core/load), and how those that go in are written.
import type {Queryable} from '../db/connect.ts';
import {insertAdded, type ImportedRoom} from '../db/imports.ts';
import {
  findTakenMessages,
  findTakenRooms,
  insertMemberRows,
  insertMessageRows,
  insertRooms,
  insertUsers,
  updateLastMessages,
  updateMemberCounts,
  updateMemberRows,
  updateMessageRows,
  updateRooms,
  type MemberRecord,
  type MessageRecord,
  type RoomRecord,
  type UserRecord,
} from '../db/load.ts';
import {findAuthors, findByClientIds, memberKey} from '../db/posting.ts';
import {findBareRooms, type Room} from '../db/rooms.ts';
import type {Tx} from '../db/transaction.ts';
import {findUsers, type User} from '../db/users.ts';
import {audit} from './audit.ts';
import type {Actor, Chat} from './chat.ts';
import {endConnections} from './disconnections.ts';
import type {RoomId, UserId} from './ids.ts';
import type {Batch} from './records.ts';

export interface Load {
  kind: 'load' | 'seed' | 'grandchat';
  /** Whether what is there already is refused, or brought to what comes. */
  mode: 'insert' | 'upsert';
  event: 'none' | 'summary';
  /** Members and messages only of rooms that came before them. */
  ownRoomsOnly: boolean;
  /** Rooms that must have gone in before their members and messages do, whatever else is here by these ids. */
  awaited: Set<RoomId>;
  /** The rooms of this load so far. */
  rooms: Map<RoomId, ImportedRoom>;
  /** Users who come as they were before they were erased here. A user may also come erased, with messages that were kept. */
  erasedHere: Set<UserId>;
  /** Of a rehearsal, what each room would be told of. */
  rehearsed: Map<RoomId, RehearsedRoom>;
}

export interface LoadOutcome {
  added: number;
  updated: number;
  /** There already, and left as they are. */
  existing: number;
  refused: {at: number; reason: string}[];
}

/** What a rehearsal will tell each room of at its end. */
export interface RehearsedRoom {
  /** As it comes, where it is not here yet. */
  room: Room | undefined;
  added: number;
}

/** What becomes of the rows of a batch, and how to write those that go in. */
export interface Plan {
  outcome: LoadOutcome;
  /** Rooms that are there once it is written. */
  rooms: readonly RoomId[];
  /** Rooms that it changes, with how many members it adds. */
  touched: ReadonlyMap<RoomId, number>;
  write(chat: Chat, tx: Tx, actor: Actor): Promise<ImportedRoom[]>;
}

export function planBatch(q: Queryable, load: Load, batch: Batch): Promise<Plan> {
  switch (batch.kind) {
    case 'users':
      return planUsers(q, load, batch.records);
    case 'rooms':
      return planRooms(q, load, batch.records);
    case 'members':
      return planMembers(q, load, batch.records);
    case 'messages':
      return planMessages(q, load, batch.records);
  }
}

interface Sorted<T> {
  outcome: LoadOutcome;
  fresh: T[];
  changed: T[];
  refuse(at: number, reason: string): void;
  add(row: T): void;
  /** Something that is there: brought to what comes, left as it is, or refused for the reason. */
  meet(at: number, row: T, reason: string | undefined): void;
}

/** Sorts rows by what is to become of them. */
function sorting<T>({mode}: Load): Sorted<T> {
  const outcome: LoadOutcome = {added: 0, updated: 0, existing: 0, refused: []};
  const fresh: T[] = [];
  const changed: T[] = [];
  return {
    outcome,
    fresh,
    changed,
    refuse: (at, reason) => void outcome.refused.push({at, reason}),
    add(row) {
      fresh.push(row);
      outcome.added += 1;
    },
    meet(at, row, reason) {
      if (mode === 'upsert') {
        changed.push(row);
        outcome.updated += 1;
      } else if (reason === undefined) outcome.existing += 1;
      else outcome.refused.push({at, reason});
    },
  };
}

async function planUsers(q: Queryable, load: Load, records: readonly UserRecord[]): Promise<Plan> {
  const ids = records.map(each => each.id);
  const known = new Map((await findUsers(q, ids)).map(each => [each.id, each]));
  const sorted = sorting<UserRecord>(load);
  const seen = new Set<UserId>();
  for (const [at, row] of records.entries()) {
    const there = known.get(row.id);
    if (seen.has(row.id)) sorted.refuse(at, `the user ${row.id} comes twice`);
    else if (there?.erasedAt && !row.erasedAt) {
      sorted.refuse(at, `the user ${row.id} was erased here`);
      load.erasedHere.add(row.id);
    } else if (there) sorted.meet(at, row, undefined);
    else sorted.add(row);
    seen.add(row.id);
  }
  return {
    outcome: sorted.outcome,
    rooms: [],
    touched: new Map(),
    async write(chat, tx, actor) {
      await insertUsers(tx, sorted.fresh, false);
      await insertUsers(tx, sorted.changed, true);
      for (const row of sorted.changed) await tellOfActivity(chat, tx, actor, known.get(row.id), row);
      return [];
    },
  };
}

/** A user who is no longer active has no connections, whichever way they became so. */
async function tellOfActivity(chat: Chat, tx: Tx, actor: Actor, was: User | undefined, row: UserRecord): Promise<void> {
  if (!was || was.erasedAt !== null) return;
  const isActive = row.deactivatedAt === null && row.erasedAt === null;
  if (isActive === (was.deactivatedAt === null)) return;
  if (isActive) {
    const detail = {created: false, reactivated: true};
    return audit(chat, tx, actor, {action: 'user.upsert', user: row.id, detail});
  }
  await endConnections(chat, tx, row.id);
  audit(chat, tx, actor, {action: 'user.deactivate', user: row.id});
}

async function planRooms(q: Queryable, load: Load, records: readonly RoomRecord[]): Promise<Plan> {
  const ids = records.map(each => each.id);
  const keys = records.flatMap(each => (each.key === null ? [] : [each.key]));
  const taken = await findTakenRooms(q, ids, keys);
  const byId = new Map(taken.map(each => [each.id, each]));
  const byKey = new Map(taken.flatMap(each => (each.key === null ? [] : [[each.key, each.id] as const])));
  const sorted = sorting<RoomRecord>(load);
  const seen = new Set<RoomId>();
  for (const [at, row] of records.entries()) {
    const there = byId.get(row.id);
    const holder = row.key === null ? undefined : byKey.get(row.key);
    if (seen.has(row.id)) sorted.refuse(at, `room ${row.id} comes twice`);
    else if (there?.deleted) sorted.refuse(at, `room ${row.id} was deleted here, and its rows are not gone yet`);
    else if (holder !== undefined && holder !== row.id) {
      sorted.refuse(at, `the key ${row.key} belongs to room ${holder}`);
    } else {
      if (there) sorted.meet(at, row, `room ${row.id} is here already`);
      else sorted.add(row);
      if (row.key !== null) byKey.set(row.key, row.id);
    }
    seen.add(row.id);
  }
  const made = sorted.fresh.map(each => ({roomId: each.id, madeVersion: each.version}));
  const touched = [...made, ...sorted.changed.map(each => ({roomId: each.id, madeVersion: null}))];
  return {
    outcome: sorted.outcome,
    rooms: touched.map(each => each.roomId),
    touched: new Map(touched.map(each => [each.roomId, 0])),
    async write(_, tx) {
      await insertRooms(tx, sorted.fresh);
      await updateRooms(tx, sorted.changed);
      return touched;
    },
  };
}

/** Why nothing can be loaded into this room. */
function roomProblem(load: Load, rooms: ReadonlyMap<RoomId, Room>, id: RoomId): string | undefined {
  if ((load.ownRoomsOnly || load.awaited.has(id)) && !load.rooms.has(id))
    return `room ${id} did not go in, or does not come before this`;
  return rooms.has(id) || load.rehearsed.has(id) ? undefined : `there is no room ${id}`;
}

async function planMembers(q: Queryable, load: Load, records: readonly MemberRecord[]): Promise<Plan> {
  const ids = [...new Set(records.map(each => each.roomId))];
  const [rooms, there, users] = await Promise.all([
    findBareRooms(q, ids),
    findAuthors(
      q,
      records.map(each => ({room: each.roomId, user: each.userId})),
    ),
    findUsers(q, [...new Set(records.map(each => each.userId))]),
  ]);
  const erased = new Set(users.filter(each => each.erasedAt !== null).map(each => each.id));
  const sorted = sorting<MemberRecord>(load);
  const seen = new Set<string>();
  for (const [at, row] of records.entries()) {
    const key = memberKey(row.roomId, row.userId);
    const problem = roomProblem(load, rooms, row.roomId);
    if (problem !== undefined) sorted.refuse(at, problem);
    else if (erased.has(row.userId)) sorted.refuse(at, `the user ${row.userId} was erased`);
    else if (seen.has(key)) sorted.outcome.existing += 1;
    else if (there.has(key)) sorted.meet(at, row, undefined);
    else sorted.add(row);
    seen.add(key);
  }
  const byRoom = grouped(sorted.fresh);
  return {
    outcome: sorted.outcome,
    rooms: [],
    touched: new Map([
      ...sorted.changed.map(each => [each.roomId, 0] as const),
      ...[...byRoom].map(([id, members]) => [id, members.length] as const),
    ]),
    async write(chat, tx) {
      await ensureNamed(chat, tx, sorted.fresh);
      await insertMemberRows(
        tx,
        sorted.fresh.map(each => joined(load, rooms, each)),
      );
      await updateMemberRows(tx, sorted.changed);
      await updateMemberCounts(
        tx,
        [...byRoom].map(([id, members]) => ({id, more: members.length})),
      );
      if (load.event === 'summary') {
        for (const [room, members] of byRoom)
          await insertAdded(
            tx,
            room,
            members.map(each => each.userId),
          );
      }
      return touchedBy([...sorted.fresh, ...sorted.changed]);
    },
  };
}

function grouped(members: readonly MemberRecord[]): Map<RoomId, MemberRecord[]> {
  const groups = new Map<RoomId, MemberRecord[]>();
  for (const each of members) {
    const group = groups.get(each.roomId) ?? [];
    group.push(each);
    groups.set(each.roomId, group);
  }
  return groups;
}

/** In a room that stands as it came, a member comes as they were; in one that goes on, they join it now. */
function joined(load: Load, rooms: ReadonlyMap<RoomId, Room>, row: MemberRecord): MemberRecord {
  const room = rooms.get(row.roomId);
  if (!room) throw new Error(`room ${row.roomId} is missing`);
  const next = room.version + 1;
  const asItCame = load.rooms.get(room.id)?.madeVersion === room.version;
  return {
    ...row,
    joinedVersion: asItCame ? Math.min(row.joinedVersion, next) : next,
    lastReadSeq: Math.min(row.lastReadSeq, room.lastSeq),
  };
}

function touchedBy(rows: readonly {roomId: RoomId}[]): ImportedRoom[] {
  return [...new Set(rows.map(each => each.roomId))].map(roomId => ({roomId, madeVersion: null}));
}

async function planMessages(q: Queryable, load: Load, records: readonly MessageRecord[]): Promise<Plan> {
  const [rooms, taken, posted, authors] = await Promise.all([
    findBareRooms(q, [...new Set(records.map(each => each.roomId))]),
    findTakenMessages(q, records),
    findByClientIds(
      q,
      records.flatMap(({roomId: room, userId: author, clientId}) =>
        clientId === null ? [] : [{room, author, clientId}],
      ),
    ),
    findUsers(q, usersOf({kind: 'messages', records})),
  ]);
  const erased = new Set(authors.filter(each => each.erasedAt !== null).map(each => each.id));
  const byId = new Map<number, {roomId: RoomId; seq: number}>(taken.map(each => [each.id, each]));
  const bySeq = new Map<string, number>(taken.map(each => [placeOf(each), each.id]));
  const byClientId = new Map<string, number>(
    posted.map(each => [clientKey(each.roomId, each.user?.id, each.clientId), each.id]),
  );
  const there = new Set<number>(byId.keys());
  // What an erasure took is not brought back, and one that was made elsewhere still comes.
  const isOfErased = ({userId, deletedAt}: MessageRecord) =>
    userId !== null && erased.has(userId) && deletedAt === null;
  const sorted = sorting<MessageRecord>(load);
  for (const [at, row] of records.entries()) {
    const same = byId.get(row.id);
    const client = row.clientId === null ? undefined : clientKey(row.roomId, row.userId, row.clientId);
    const problem = roomProblem(load, rooms, row.roomId);
    if (problem !== undefined) sorted.refuse(at, problem);
    else if (same && placeOf(same) !== placeOf(row)) sorted.refuse(at, `message ${row.id} is here as another one`);
    else if ((bySeq.get(placeOf(row)) ?? row.id) !== row.id) {
      sorted.refuse(at, `room ${row.roomId} has another message ${row.seq}`);
    } else if (client !== undefined && (byClientId.get(client) ?? row.id) !== row.id) {
      sorted.refuse(at, `the client id ${row.clientId} belongs to another message`);
    } else if (row.userId !== null && load.erasedHere.has(row.userId)) {
      sorted.refuse(at, `its author ${row.userId} was erased here`);
    } else if (load.mode === 'upsert' && there.has(row.id) && isOfErased(row)) sorted.outcome.existing += 1;
    else if (there.has(row.id)) sorted.meet(at, row, `message ${row.id} is here already`);
    else if (same) sorted.refuse(at, `message ${row.id} comes twice`);
    else {
      sorted.add(row);
      byId.set(row.id, row);
      bySeq.set(placeOf(row), row.id);
      if (client !== undefined) byClientId.set(client, row.id);
    }
  }
  return {
    outcome: sorted.outcome,
    rooms: [],
    touched: new Map([...sorted.fresh, ...sorted.changed].map(each => [each.roomId, 0])),
    async write(chat, tx) {
      await ensureNamed(chat, tx, [...sorted.fresh, ...sorted.changed]);
      await insertMessageRows(tx, sorted.fresh);
      await updateMessageRows(tx, sorted.changed);
      await updateLastMessages(tx, lastOfEach(sorted.fresh));
      return touchedBy([...sorted.fresh, ...sorted.changed]);
    },
  };
}

function placeOf({roomId, seq}: {roomId: RoomId; seq: number}): string {
  return `${roomId} ${seq}`;
}

function clientKey(room: RoomId, user: UserId | null | undefined, clientId: string | null): string {
  return JSON.stringify([room, user ?? '', clientId]);
}

function lastOfEach(messages: readonly MessageRecord[]): MessageRecord[] {
  const last = new Map<RoomId, MessageRecord>();
  for (const each of messages) if (each.seq > (last.get(each.roomId)?.seq ?? 0)) last.set(each.roomId, each);
  return [...last.values()];
}

/** Rows for users whom members or messages name and who have none. */
async function ensureNamed(chat: Chat, tx: Tx, named: readonly {userId: UserId | null}[]): Promise<void> {
  const made = {createdAt: chat.now(), deactivatedAt: null, erasedAt: null};
  const ids = new Set(named.flatMap(each => (each.userId === null ? [] : [each.userId])));
  await insertUsers(
    tx,
    [...ids].map(id => ({id, username: id.slice(0, 150), ...made})),
    false,
  );
}

/** Whom members and messages name. */
export function usersOf(batch: Batch): UserId[] {
  if (batch.kind === 'users' || batch.kind === 'rooms') return [];
  return [...new Set(batch.records.flatMap(({userId}) => (userId === null ? [] : [userId])))];
}
