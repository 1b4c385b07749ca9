// Members by the file: batch after batch, each one transaction, and one event for all of them at the end.
//
// A batch is whole when it commits: its members are members, receive what is posted from then on and count. What is
// still to come is the event that tells of them, so each batch leaves a note of whom it added (import_added), and the
// end turns the notes of the room into one version and one `members_changed`. A batch raises `members_version` without
// an event: a relay that keeps the room's receivers reads them anew at the next event, and does not miss those of an
// import that was killed and never gone on with. The end raises it once more, so that the step that the event describes
// is exactly that one.
//
// How far the import has come is a row that commits with the batch. Whoever goes on starts from there, so that a kill at
// any moment neither loses nor doubles a row; of two who go on at once the second finds that the row has moved.
import {randomBytes} from 'node:crypto';
import {
  deleteAdded,
  deleteFinishedImports,
  findImport,
  insertAdded,
  insertImport,
  insertRefused,
  lockImport,
  updateFinished,
  updateImport,
  type Import,
} from '../db/imports.ts';
import {insertMemberRows, insertUsers, updateMemberCounts} from '../db/load.ts';
import {countMembers} from '../db/members.ts';
import {countUnversioned} from '../db/meta.ts';
import {addPlanned} from '../db/rehearsal.ts';
import {updateRoomTo, type Room} from '../db/rooms.ts';
import {inTransaction, type Tx} from '../db/transaction.ts';
import {findErasedUsers, findUsers, type User} from '../db/users.ts';
import {mustBeManager, mustLockRoom, mustSeeRoom} from './access.ts';
import {audit} from './audit.ts';
import {timestamp, type Actor, type Chat} from './chat.ts';
import {ChatError} from './errors.ts';
import type {Role, RoomId, UserId} from './ids.ts';
import {presentAmong} from './members.ts';
import {broadcast, broadcastAll, membersChanged, userJoined, type Publication} from './publications.ts';

export type ImportEvents = 'none' | 'summary' | 'each';

export interface MemberRow {
  user: UserId;
  role: Role;
  /** Of a user who is new here. */
  username: string | undefined;
}

/** How an import is told apart from others, what it does, and where it stands. */
export interface ImportAt {
  id: string;
  /** Rows of the input that are in. */
  position: number;
  inputHash: string;
  /** JSON, the caller's own. */
  state: string;
  /** JSON of what the batch left out, kept beside what the batches before it did. */
  refused?: string;
}

export function newImportId(): string {
  return randomBytes(12).toString('hex');
}

export async function findImportAt(chat: Chat, actor: Actor, id: string): Promise<Import | undefined> {
  mustBeManager(actor, 'import');
  return findImport(chat.db, id);
}

export interface MemberBatch {
  room: RoomId;
  rows: readonly MemberRow[];
  event: ImportEvents;
  /** Refuse ids that no user has. */
  existingUsers: boolean;
  /** Where the import stood before this batch. */
  before: number;
  /** Where it stands after it, given what became of the rows. */
  after: (outcome: BatchOutcome) => ImportAt;
}

export interface BatchOutcome {
  added: number;
  /** Members already, or named before. */
  existing: number;
  refused: {at: number; reason: string}[];
}

/** One batch, whole or not at all. Throws import_moved when another process went on with the import. */
export async function importMembers(chat: Chat, actor: Actor, batch: MemberBatch): Promise<BatchOutcome> {
  mustBeManager(actor, 'import members');
  return inTransaction(chat.db, async tx => {
    const {room} = await mustLockRoom(tx, actor, batch.room);
    // Nobody of them is erased between the look at them and the commit.
    await findErasedUsers(tx, [...new Set(batch.rows.map(row => row.user))]);
    const {outcome, wanted} = await decide(tx, batch);
    await makeUsers(chat, tx, wanted);
    await admitAll(chat, tx, room, wanted, batch.event);
    await moveImport(chat, tx, actor, {kind: 'members', before: batch.before, room: room.id}, batch.after(outcome));
    countUnversioned(tx);
    return outcome;
  });
}

/**
 * What a batch would do, without a write. `seen` holds the users of the batches before it; `told` is the room where each
 * of them is told of by an event of its own.
 */
export async function rehearseMembers(
  chat: Chat,
  actor: Actor,
  batch: Pick<MemberBatch, 'room' | 'rows' | 'existingUsers'>,
  seen: Set<UserId>,
  told?: Room,
): Promise<BatchOutcome> {
  mustBeManager(actor, 'import members');
  const fresh = [...batch.rows.entries()].filter(([, row]) => !seen.has(row.user));
  const {outcome, wanted, known} = await decide(chat.db, {...batch, rows: fresh.map(([, row]) => row)});
  for (const {user, username} of wanted) {
    seen.add(user);
    if (!told) continue;
    const room = {...told, version: told.version + seen.size, memberCount: told.memberCount + seen.size};
    rehearseTold(chat, userJoined(room, known.get(user) ?? {id: user, username: nameOf(user, username)}));
  }
  addPlanned(chat.db.rehearsed, 'members', {inserted: wanted.length});
  addPlanned(chat.db.rehearsed, 'users', {inserted: wanted.filter(({user}) => !known.has(user)).length});
  return {
    added: outcome.added,
    existing: outcome.existing + batch.rows.length - fresh.length,
    refused: outcome.refused.map(each => ({...each, at: fresh[each.at]?.[0] ?? 0})),
  };
}

/** Who of the rows is to be added, and what becomes of the others. */
async function decide(
  q: Parameters<typeof presentAmong>[0],
  {room, rows, existingUsers}: Pick<MemberBatch, 'room' | 'rows' | 'existingUsers'>,
): Promise<{outcome: BatchOutcome; wanted: MemberRow[]; known: ReadonlyMap<UserId, User>}> {
  const ids = [...new Set(rows.map(row => row.user))];
  const [present, users] = await Promise.all([presentAmong(q, room, ids), findUsers(q, ids)]);
  const known = new Map(users.map(user => [user.id, user]));
  const wanted = new Map<UserId, MemberRow>();
  const outcome: BatchOutcome = {added: 0, existing: 0, refused: []};
  for (const [at, row] of rows.entries()) {
    const reason = refusal(known.get(row.user), row.user, existingUsers);
    if (reason !== undefined) outcome.refused.push({at, reason});
    else if (present.has(row.user) || wanted.has(row.user)) outcome.existing += 1;
    else wanted.set(row.user, row);
  }
  outcome.added = wanted.size;
  return {outcome, wanted: [...wanted.values()], known};
}

function nameOf(user: UserId, username: string | undefined): string {
  return username ?? user.slice(0, 150);
}

function refusal(user: User | undefined, id: UserId, existingUsers: boolean): string | undefined {
  if (user?.erasedAt) return `the user ${id} was erased`;
  return !user && existingUsers ? `there is no user ${id}` : undefined;
}

async function makeUsers(chat: Chat, tx: Tx, wanted: readonly MemberRow[]): Promise<void> {
  const made = {createdAt: chat.now(), deactivatedAt: null, erasedAt: null};
  const records = wanted.map(({user, username}) => ({id: user, username: nameOf(user, username), ...made}));
  await insertUsers(tx, records, false);
}

async function admitAll(
  chat: Chat,
  tx: Tx,
  room: Room,
  wanted: readonly MemberRow[],
  event: ImportEvents,
): Promise<void> {
  if (wanted.length === 0) return;
  const joinedAt = chat.now();
  const versionOf = (i: number) => room.version + 1 + (event === 'each' ? i : 0);
  await insertMemberRows(
    tx,
    wanted.map(({user, role}, i) => ({
      roomId: room.id,
      userId: user,
      role,
      joinedAt,
      joinedVersion: versionOf(i),
      lastReadSeq: room.lastSeq,
    })),
  );
  if (event === 'each') return tellEach(chat, tx, room, wanted);
  await updateMemberCounts(tx, [{id: room.id, more: wanted.length}]);
  const users = wanted.map(row => row.user);
  if (event === 'summary') await insertAdded(tx, room.id, users);
}

/** A version and an event for each, as if they had been added one by one. */
async function tellEach(chat: Chat, tx: Tx, room: Room, wanted: readonly MemberRow[]): Promise<void> {
  const users = new Map(
    (
      await findUsers(
        tx,
        wanted.map(row => row.user),
      )
    ).map(user => [user.id, user]),
  );
  const events = wanted.map(({user}, i) => {
    const found = users.get(user);
    if (!found) throw new Error(`the row of user ${user} is missing`);
    const counts = {memberCount: room.memberCount + i + 1, membersVersion: room.membersVersion + i + 1};
    return userJoined({...room, ...counts, version: room.version + i + 1}, found);
  });
  const last = events.at(-1)?.room ?? room;
  await updateRoomTo(tx, last);
  await broadcastAll(chat, tx, events);
}

/** Writes where an import stands, if it stands where the caller left it. */
export async function moveImport(
  chat: Chat,
  tx: Tx,
  actor: Actor,
  {kind, before, room}: {kind: string; before: number; room?: RoomId},
  at: ImportAt,
): Promise<void> {
  const known = await lockImport(tx, at.id);
  if ((known?.position ?? 0) !== before || known?.finishedAt) throw moved();
  if (at.refused !== undefined) await insertRefused(tx, at.id, at.position, at.refused);
  if (known) return updateImport(tx, at.id, at, chat.now());
  await deleteFinishedImports(tx, timestamp(new Date(Date.parse(chat.now()) - rememberedMs)));
  await insertImport(tx, {...at, kind}, chat.now());
  audit(chat, tx, actor, {action: 'import.begin', room, detail: {kind, import: at.id}});
}

/** How long a finished import is remembered, for one that was killed right after its end and is gone on with. */
const rememberedMs = 30 * 86_400_000;

function moved(): ChatError {
  return new ChatError('import_moved', 'Another process goes on with this import.', {
    hint: 'Wait for it to end.',
  });
}

/** Ends an import: its event, once, however often this is called. */
export async function finishMembers(
  chat: Chat,
  actor: Actor,
  id: string,
  roomId: RoomId,
  event: ImportEvents,
): Promise<void> {
  mustBeManager(actor, 'import members');
  await inTransaction(chat.db, async tx => {
    const {room} = await mustLockRoom(tx, actor, roomId);
    const known = await lockImport(tx, id);
    if (!known || known.finishedAt) return;
    if (event === 'summary') await tellAdded(chat, tx, room);
    await updateFinished(tx, id, chat.now());
    const {kind, position} = known;
    audit(chat, tx, actor, {action: 'import.end', room: room.id, detail: {kind, import: id, rows: position}});
  });
}

/**
 * One event for all whom batches have added to the room and nobody was told of: those who are still members. The caller
 * holds the room's lock. Answers whether there was anybody to tell of.
 */
export async function tellAdded(chat: Chat, tx: Tx, room: Room): Promise<boolean> {
  const noted = await deleteAdded(tx, room.id);
  const present = await presentAmong(tx, room.id, noted);
  if (present.size === 0) return false;
  const changed = {...room, version: room.version + 1, membersVersion: room.membersVersion + 1};
  await updateRoomTo(tx, changed);
  await broadcast(chat, tx, membersChanged(changed, [...present], []));
  return true;
}

/** The event that the end of an import would send, for a rehearsal. */
export function rehearseEvent(chat: Chat, room: Room, added: number): void {
  if (added === 0) return;
  const changed = {...room, version: room.version + 1, memberCount: room.memberCount + added};
  const told = membersChanged(changed, [], []);
  rehearseTold(chat, {...told, body: {...told.body, added}});
}

/** An event that a rehearsal found out without storing it. */
export function rehearseTold(chat: Chat, {type, room, body}: Publication): void {
  addPlanned(chat.db.rehearsed, 'outbox', {inserted: 1});
  chat.onEvent?.({outboxId: 0, type, receivers: room.memberCount, body});
}

/** Members as the rows say and as the room says, to prove an import by. */
export async function proveMembers(chat: Chat, actor: Actor, id: RoomId): Promise<{rows: number; counted: number}> {
  const {room} = await mustSeeRoom(chat.db, actor, id);
  return {rows: await countMembers(chat.db, id), counted: room.memberCount};
}
