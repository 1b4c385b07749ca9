// Whole users, rooms, members and messages with the ids they had elsewhere: an export, a seed, another database.
//
// Batch after batch, each one transaction and of one kind. A row that cannot go in is refused alone, with the reason.
// Before the first row the numbering of this database is moved past the highest id that comes, so that a post that goes
// on meanwhile does not take one of them. A room comes with its version and its last seq, so that posts into it go on
// behind its history even while that is being loaded. Rooms that were touched are noted with the batch, and at the end
// each gets one version and one event, like an import of members (core/imports).
import {
  deleteImportRooms,
  insertAdded,
  insertImportRooms,
  listImportRooms,
  lockImport,
  updateFinished,
  type ImportedRoom,
} from '../db/imports.ts';
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
import {findAuthors, findByClientIds, lockRooms, memberKey} from '../db/posting.ts';
import type {Queryable} from '../db/connect.ts';
import {addPlanned} from '../db/rehearsal.ts';
import {findBareRooms, lockRoom, updateRoomTo, type Room} from '../db/rooms.ts';
import {raiseLastId} from '../db/sequences.ts';
import {inTransaction, type Tx} from '../db/transaction.ts';
import {findErasedUsers, findUsers, type User} from '../db/users.ts';
import {mustBeManager} from './access.ts';
import {audit} from './audit.ts';
import type {Actor, Chat} from './chat.ts';
import {endConnections} from './disconnections.ts';
import type {RoomId, UserId} from './ids.ts';
import {moveImport, rehearseEvent, rehearseTold, tellAdded, type ImportAt} from './imports.ts';
import {broadcast, roomUpdated} from './publications.ts';
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

/** Where a load that was interrupted goes on. */
export async function openLoad(
  chat: Chat,
  id: string,
  load: Omit<Load, 'rooms' | 'awaited' | 'erasedHere' | 'rehearsed'>,
): Promise<Load> {
  const rooms = new Map<RoomId, ImportedRoom>();
  for (let after = 0; ;) {
    const page = await listImportRooms(chat.db, id, after, pageSize);
    for (const room of page) rooms.set(room.roomId, room);
    const last = page.at(-1);
    if (!last || page.length < pageSize) {
      return {...load, rooms, awaited: new Set(), erasedHere: new Set(), rehearsed: new Map()};
    }
    after = last.roomId;
  }
}
const pageSize = 5_000;

/** Keeps ids up to these for the rows that come. */
export async function reserveIds(chat: Chat, actor: Actor, upTo: {rooms: number; messages: number}): Promise<void> {
  mustBeManager(actor, 'import');
  await inTransaction(chat.db, async tx => {
    await raiseLastId(tx, 'rooms', upTo.rooms);
    await raiseLastId(tx, 'messages', upTo.messages);
  });
}

/** One batch, whole or not at all but for the rows that are refused. */
export async function loadBatch(
  chat: Chat,
  actor: Actor,
  load: Load,
  batch: Batch,
  before: number,
  after: (outcome: LoadOutcome) => ImportAt,
): Promise<LoadOutcome> {
  mustBeManager(actor, 'import');
  return inTransaction(chat.db, async tx => {
    if (batch.kind === 'rooms') await raiseLastId(tx, 'rooms', highest(batch.records));
    if (batch.kind === 'messages') await raiseLastId(tx, 'messages', highest(batch.records));
    await lockRooms(tx, roomsOf(batch), true);
    // Nobody of them is erased between the look at them and the commit.
    await findErasedUsers(tx, usersOf(batch));
    const plan = await planBatch(tx, load, batch);
    const touched = await plan.write(chat, tx, actor);
    const at = after(plan.outcome);
    await moveImport(chat, tx, actor, {kind: load.kind, before}, at);
    await insertImportRooms(tx, at.id, touched);
    tx.afterCommit(() => {
      for (const each of touched) if (!load.rooms.has(each.roomId)) load.rooms.set(each.roomId, each);
    });
    return plan.outcome;
  });
}

/** What a batch would do, without a write. */
export async function rehearseBatch(chat: Chat, actor: Actor, load: Load, batch: Batch): Promise<LoadOutcome> {
  mustBeManager(actor, 'import');
  const plan = await planBatch(chat.db, load, batch);
  for (const roomId of plan.rooms) if (!load.rooms.has(roomId)) load.rooms.set(roomId, {roomId, madeVersion: null});
  const {added, updated} = plan.outcome;
  addPlanned(chat.db.rehearsed, batch.kind, {inserted: added, updated});
  rememberRooms(load.rehearsed, batch, plan);
  return plan.outcome;
}

/** What a rehearsal will tell each room of at its end. */
interface RehearsedRoom {
  /** As it comes, where it is not here yet. */
  room: Room | undefined;
  added: number;
}

function rememberRooms(rooms: Map<RoomId, RehearsedRoom>, batch: Batch, plan: Plan): void {
  const made = new Map(batch.kind === 'rooms' ? batch.records.map(each => [each.id, asRoom(each)]) : []);
  for (const [id, added] of plan.touched) {
    const before = rooms.get(id) ?? {room: made.get(id), added: 0};
    rooms.set(id, {...before, added: before.added + added});
  }
}

function asRoom(record: RoomRecord): Room {
  return {...record, membersVersion: 0, memberCount: 0, deletedAt: null, lastMessage: null};
}

/** The events that the end of a load would send, for a rehearsal. */
export async function rehearseFinish(chat: Chat, actor: Actor, {event, rehearsed}: Load): Promise<void> {
  mustBeManager(actor, 'import');
  if (event === 'none') return;
  const here = await findBareRooms(chat.db, [...rehearsed.keys()]);
  for (const [id, {room: coming, added}] of rehearsed) {
    const room = here.get(id) ?? coming;
    if (!room || room.memberCount + added === 0) continue;
    if (added > 0) rehearseEvent(chat, room, added);
    else rehearseTold(chat, roomUpdated({...room, version: room.version + 1}));
  }
}

function highest(records: readonly {id: number}[]): number {
  return records.reduce((most, each) => Math.max(most, each.id), 0);
}

function roomsOf(batch: Batch): RoomId[] {
  if (batch.kind === 'users') return [];
  const ids = batch.kind === 'rooms' ? batch.records.map(each => each.id) : batch.records.map(each => each.roomId);
  return [...new Set(ids)].toSorted((a, b) => a - b);
}

/** Whom members and messages name. */
function usersOf(batch: Batch): UserId[] {
  if (batch.kind === 'users' || batch.kind === 'rooms') return [];
  return [...new Set(batch.records.flatMap(({userId}) => (userId === null ? [] : [userId])))];
}

/** What becomes of the rows of a batch, and how to write those that go in. */
interface Plan {
  outcome: LoadOutcome;
  /** Rooms that are there once it is written. */
  rooms: readonly RoomId[];
  /** Rooms that it changes, with how many members it adds. */
  touched: ReadonlyMap<RoomId, number>;
  write(chat: Chat, tx: Tx, actor: Actor): Promise<ImportedRoom[]>;
}

function planBatch(q: Queryable, load: Load, batch: Batch): Promise<Plan> {
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

const roomsPerTransaction = 100;

/** Ends a load: one version and one event for each room that it touched and that has members. */
export async function finishLoad(chat: Chat, actor: Actor, id: string, event: Load['event']): Promise<void> {
  mustBeManager(actor, 'import');
  for (;;) {
    const touched = await listImportRooms(chat.db, id, 0, roomsPerTransaction);
    await inTransaction(chat.db, async tx => {
      const known = await lockImport(tx, id);
      if (!known || known.finishedAt) return;
      if (touched.length === 0) {
        const {kind, position} = known;
        audit(chat, tx, actor, {action: 'import.end', detail: {kind, import: id, rows: position}});
        return updateFinished(tx, id, chat.now());
      }
      for (const {roomId} of touched) if (event === 'summary') await tellOf(chat, tx, roomId);
      await deleteImportRooms(
        tx,
        id,
        touched.map(each => each.roomId),
      );
    });
    if (touched.length === 0) return;
  }
}

async function tellOf(chat: Chat, tx: Tx, id: RoomId): Promise<void> {
  const room = await lockRoom(tx, id);
  if (!room || (await tellAdded(chat, tx, room)) || room.memberCount === 0) return;
  const changed = {...room, version: room.version + 1};
  await updateRoomTo(tx, changed);
  await broadcast(chat, tx, roomUpdated(changed));
}
