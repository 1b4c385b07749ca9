// Whole users, rooms, members and messages with the ids they had elsewhere: an export, a seed, another database.
//
// Batch after batch, each one transaction and of one kind. A row that cannot go in is refused alone, with the reason.
// Before the first row the numbering of this database is moved past the highest id that comes, so that a post that goes
// on meanwhile does not take one of them. A room comes with its version and its last seq, so that posts into it go on
// behind its history even while that is being loaded. Rooms that were touched are noted with the batch, and at the end
// each gets one version and one event, like an import of members (core/imports).
import {
  deleteImportRooms,
  deleteRefused,
  insertImportRooms,
  listImportRooms,
  lockImport,
  updateFinished,
  type ImportedRoom,
} from '../db/imports.ts';
import type {RoomRecord} from '../db/load.ts';
import {countUnversioned} from '../db/meta.ts';
import {addPlanned} from '../db/rehearsal.ts';
import {findBareRooms, lockRoom, lockRooms, updateRoomTo, type Room} from '../db/rooms.ts';
import {raiseLastId} from '../db/sequences.ts';
import {inTransaction, type Tx} from '../db/transaction.ts';
import {findErasedUsers} from '../db/users.ts';
import {mustBeManager} from './access.ts';
import {audit} from './audit.ts';
import type {Actor, Chat} from './chat.ts';
import {ChatError} from './errors.ts';
import type {RoomId} from './ids.ts';
import {moveImport, rehearseEvent, rehearseTold, tellAdded, type ImportAt} from './imports.ts';
import {planBatch, usersOf, type Load, type LoadOutcome, type Plan, type RehearsedRoom} from './load-plan.ts';
import {broadcast, roomUpdated} from './publications.ts';
import {highestLoaded, type Batch} from './records.ts';

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

/** Keeps ids up to these for the rows that come. Throws invalid_input where none above them would be left. */
export async function reserveIds(chat: Chat, actor: Actor, upTo: {rooms: number; messages: number}): Promise<void> {
  mustBeManager(actor, 'import');
  for (const [of, id] of Object.entries(upTo)) {
    if (id <= highestLoaded) continue;
    throw new ChatError(
      'invalid_input',
      `The ids of ${of} go up to ${id}, and ${highestLoaded} is the highest that fits.`,
      {
        hint: `Give the ${of} lower ids where they come from; nothing was written.`,
      },
    );
  }
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
    countUnversioned(tx);
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
        await deleteRefused(tx, id);
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
