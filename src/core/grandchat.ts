// Takes over a GrandChat database: its rooms and messages keep their ids, its users become users by their number, which is
// what the `sub` of its tokens is.
//
// First everything is looked at: ids that are taken here are conflicts, and with one nothing is written. Then it is loaded
// like an export (core/load). A takeover that was killed goes on by itself when it is begun again: its place commits with
// each batch. In the end both databases are read once more, row by row, and their hashes compared; only then is it at its
// end, so that one that was killed meanwhile compares again.
import {createHash, type Hash} from 'node:crypto';
import {z} from 'zod';
import {connect, encoding, parseDatabaseUrl, type Db, type Queryable} from '../db/connect.ts';
import {
  countGrandChat,
  grandChatMembers,
  grandChatMessages,
  grandChatRooms,
  grandChatUsers,
  missingTables,
  type GrandChatCounts,
} from '../db/grandchat.ts';
import {findImport, listRefused} from '../db/imports.ts';
import {
  findMessageRecords,
  findTakenMessages,
  findTakenRooms,
  type MemberRecord,
  type MessageRecord,
  type RoomRecord,
} from '../db/load.ts';
import {findAuthors, memberKey} from '../db/posting.ts';
import {addPlanned} from '../db/rehearsal.ts';
import {findBareRooms} from '../db/rooms.ts';
import {inSnapshot} from '../db/snapshot.ts';
import {findUsers} from '../db/users.ts';
import {mustBeManager} from './access.ts';
import type {Actor, Chat} from './chat.ts';
import {ChatError} from './errors.ts';
import type {RoomId} from './ids.ts';
import {finishLoad, loadBatch, openLoad, reserveIds} from './load.ts';
import {kinds, readers, writers, type Batch, type Kind, type Records} from './records.ts';

const pageSize = 1_000;

export interface Conflict {
  kind: Kind;
  id: string | number;
  reason: string;
}

/** Opens the old database for reading. Throws config_invalid where it is no GrandChat. */
export async function openGrandChat(url: string): Promise<Db> {
  if (!/^postgres(?:ql)?:/.test(url) || !URL.canParse(url)) {
    throw new ChatError('config_invalid', 'The address of a GrandChat database is postgres://user@host/database.', {
      hint: `It is the argument, what --url-file holds, or GRANDCHAT_DATABASE_URL. ${encoding}`,
    });
  }
  const target = parseDatabaseUrl(url);
  const db = await connect(target, {poolMax: 1});
  const missing = await missingTables(db);
  if (missing.length === 0) return db;
  await db.close();
  throw new ChatError('config_invalid', `${target.label} is no GrandChat: it has no ${missing.join(', ')}.`, {
    hint: 'Look whether the address names the database that GrandChat itself uses.',
  });
}

export interface Takeover {
  counts: GrandChatCounts;
  /** Taken here already; of users the number and that they stay as they are here. */
  conflicts: Conflict[];
  /** Rows that cannot be here, such as a name of control characters. */
  refused: Conflict[];
  /** Hashes of what is there and of what is here now. */
  proof: Partial<Record<Kind, {source: string; here: string}>>;
  /** A takeover that was interrupted before went on. */
  resumed: boolean;
}

/** What is kept with each batch of a takeover: what it left out, which is told at the end and is no part of the proof. */
const Refused = z.array(z.object({kind: z.enum(kinds), id: z.union([z.string(), z.number()]), reason: z.string()}));

export interface TakeoverOptions {
  dryRun: boolean;
  /** Awaited, before the first row is read. */
  onStart: (counts: GrandChatCounts) => Promise<void>;
  onRows: (count: number) => void;
  /** Asked before each batch is looked at; throws where the work should end. */
  mustGoOn: () => void;
}

/** Loads everything, or throws ids_taken before the first row. */
export async function takeOver(chat: Chat, actor: Actor, old: Db, options: TakeoverOptions): Promise<Takeover> {
  mustBeManager(actor, 'take over a database');
  return inSnapshot(old, async q => {
    const counts = await countGrandChat(q);
    const id = takeoverId(old);
    const known = await findImport(chat.db, id);
    const resumed = known !== undefined && known.finishedAt === null;
    await options.onStart(counts);
    const refused = resumed ? await readRefused(chat, id) : [];
    const takeover: Takeover = {counts, conflicts: [], refused, proof: {}, resumed};
    const rows = () => goingOn(batches(chat, q), options.mustGoOn);
    const found = await findConflicts(chat, rows());
    // Of a takeover that goes on, the rooms and messages that are here are its own.
    takeover.conflicts = resumed ? found.filter(each => each.kind === 'users') : found;
    if (options.dryRun) return rehearse(chat, {...takeover, refused: await findRefused(rows())});
    if (isBlocked(takeover)) return takeover;
    if (known?.finishedAt) {
      throw new ChatError('ids_taken', `${old.target.label} was taken over at ${known.finishedAt} already.`, {
        hint: 'What was deleted since then can be had from an export of that time.',
      });
    }
    await reserveIds(chat, actor, {rooms: counts.highestRoom, messages: counts.highestMessage});
    await load(chat, actor, rows(), id, known?.position ?? 0, takeover, options);
    takeover.proof = await prove(chat, rows(), takeover);
    await finishLoad(chat, actor, id, 'none');
    return takeover;
  });
}

/** Notes how many rows would be written. */
function rehearse(chat: Chat, takeover: Takeover): Takeover {
  if (isBlocked(takeover)) return takeover;
  const left = [...takeover.refused, ...takeover.conflicts];
  for (const kind of kinds) {
    const inserted = takeover.counts[kind] - left.filter(each => each.kind === kind).length;
    addPlanned(chat.db.rehearsed, kind, {inserted});
  }
  return takeover;
}

/** The same for the same database, so that what was begun is found again. */
function takeoverId(old: Db): string {
  return createHash('sha256').update(old.target.label).digest('hex').slice(0, 40);
}

/** Whether what stands in the way of a takeover is more than names of users. */
export function isBlocked({conflicts}: Takeover): boolean {
  return conflicts.some(each => each.kind !== 'users');
}

/** What the batches of a takeover that goes on have left out. */
async function readRefused(chat: Chat, id: string): Promise<Conflict[]> {
  const refused: Conflict[] = [];
  for (let after = 0; ;) {
    const page = await listRefused(chat.db, id, after, refusedPageSize);
    for (const each of page) refused.push(...Refused.parse(JSON.parse(each.refused)));
    const last = page.at(-1);
    if (!last || page.length < refusedPageSize) return refused;
    after = last.position;
  }
}
const refusedPageSize = 100;

async function load(
  chat: Chat,
  actor: Actor,
  rows: AsyncIterable<Batch>,
  id: string,
  position: number,
  takeover: Takeover,
  options: TakeoverOptions,
): Promise<void> {
  const into = await openLoad(chat, id, {kind: 'grandchat', mode: 'insert', event: 'none', ownRoomsOnly: false});
  let at = 0;
  for await (const batch of rows) {
    const before = at;
    at += batch.records.length;
    options.onRows(batch.records.length);
    // A batch that is in; its rows come in the same order again.
    if (at <= position) continue;
    const {good, refused} = sorted(batch);
    await loadBatch(chat, actor, into, good, before, outcome => {
      for (const each of outcome.refused)
        refused.push({kind: batch.kind, id: nameOf(good, each.at), reason: each.reason});
      const place = {id, position: at, inputHash: '', state: '{}'};
      return refused.length === 0 ? place : {...place, refused: JSON.stringify(refused)};
    });
    takeover.refused.push(...refused);
  }
}

async function* goingOn(rows: AsyncIterable<Batch>, mustGoOn: () => void): AsyncGenerator<Batch> {
  for await (const batch of rows) {
    mustGoOn();
    yield batch;
  }
}

/** Everything of the old database, in the order in which it is loaded. */
async function* batches(chat: Chat, q: Queryable): AsyncGenerator<Batch> {
  const now = chat.now();
  yield* pages('users', after => grandChatUsers(q, Number(after?.id ?? 0), pageSize, now));
  const facts = new Map<RoomId, RoomRecord>();
  for await (const batch of pages('rooms', after => grandChatRooms(q, after?.id ?? 0, pageSize))) {
    if (batch.kind === 'rooms') for (const room of batch.records) facts.set(room.id, room);
    yield batch;
  }
  for (let after = 0; ;) {
    const page = await grandChatMembers(q, after, pageSize);
    if (page.length > 0) yield {kind: 'members', records: page.map(each => memberOf(each, facts.get(each.roomId)))};
    const last = page.at(-1);
    if (!last || page.length < pageSize) break;
    after = last.id;
  }
  for await (const page of grandChatMessages(q, pageSize)) {
    yield {kind: 'messages', records: page.map(each => versioned(each, facts.get(each.roomId)))};
  }
}

/** GrandChat knows no roles and no unread messages: all are members and have read everything. */
function memberOf(
  {roomId, userId, joinedAt}: Pick<MemberRecord, 'roomId' | 'userId' | 'joinedAt'>,
  room: RoomRecord | undefined,
): MemberRecord {
  const [version, lastReadSeq] = [room?.version ?? 0, room?.lastSeq ?? 0];
  return {roomId, userId, role: 'member', joinedAt, joinedVersion: version + 1, lastReadSeq};
}

/** The last message has the room's version, those before it the versions before. */
function versioned(message: MessageRecord, room: RoomRecord | undefined): MessageRecord {
  return {...message, version: message.seq + (room ? room.version - room.lastSeq : 0)};
}

async function* pages<K extends Kind>(
  kind: K,
  read: (after: Records[K] | undefined) => Promise<Records[K][]>,
): AsyncGenerator<Batch> {
  let after: Records[K] | undefined;
  for (;;) {
    const records = await read(after);
    if (records.length > 0) yield {kind, records} as unknown as Batch;
    if (records.length < pageSize) return;
    after = records.at(-1);
  }
}

/** Rows that the same checks accept as those of an export. */
function sorted(batch: Batch): {good: Batch; refused: Conflict[]} {
  const refused: Conflict[] = [];
  const good: unknown[] = [];
  const write: (record: never) => object = writers[batch.kind];
  for (const [at, record] of batch.records.entries()) {
    const found = readers[batch.kind](write(record as never));
    if ('record' in found) good.push(found.record);
    else refused.push({kind: batch.kind, id: nameOf(batch, at), reason: found.problem});
  }
  return {good: {kind: batch.kind, records: good} as unknown as Batch, refused};
}

function nameOf(batch: Batch, at: number): string | number {
  const record = batch.records[at];
  if (!record) return at;
  return 'id' in record ? record.id : `${record.roomId}/${record.userId}`;
}

async function findRefused(rows: AsyncIterable<Batch>): Promise<Conflict[]> {
  const refused: Conflict[] = [];
  for await (const batch of rows) refused.push(...sorted(batch).refused);
  return refused;
}

/** What is here under the ids that come. */
async function findConflicts(chat: Chat, rows: AsyncIterable<Batch>): Promise<Conflict[]> {
  const conflicts: Conflict[] = [];
  for await (const batch of rows) {
    if (batch.kind === 'users') {
      const wanted = new Map(batch.records.map(each => [each.id, each.username]));
      const here = await findUsers(chat.db, [...wanted.keys()]);
      for (const {id, username} of here) {
        if (username !== wanted.get(id))
          conflicts.push({kind: 'users', id, reason: `stays ${username} as here, not ${wanted.get(id)}`});
      }
    } else if (batch.kind === 'rooms') {
      const here = await findTakenRooms(
        chat.db,
        batch.records.map(each => each.id),
        [],
      );
      conflicts.push(
        ...ascending(here).map(({id}) => ({kind: 'rooms' as const, id, reason: `room ${id} is here already`})),
      );
    } else if (batch.kind === 'messages') {
      const here = await findTakenMessages(chat.db, batch.records);
      conflicts.push(
        ...ascending(here).map(({id}) => ({kind: 'messages' as const, id, reason: `message ${id} is here already`})),
      );
    }
  }
  return conflicts;
}

function ascending<T extends {id: number}>(rows: readonly T[]): T[] {
  return rows.toSorted((a, b) => a.id - b.id);
}

/**
 * Hashes over what both databases hold of each kind, row by row, without the rows that were refused: a user who was may be
 * here all the same, under their id, because members and messages name them.
 */
async function prove(
  chat: Chat,
  rows: AsyncIterable<Batch>,
  {refused, conflicts}: Takeover,
): Promise<Takeover['proof']> {
  const hashes = {users: pairOfHashes(), rooms: pairOfHashes(), members: pairOfHashes(), messages: pairOfHashes()};
  const left = new Set(refused.map(each => `${each.kind} ${each.id}`));
  const renamed = new Set(conflicts.map(each => each.id));
  for await (const batch of rows) {
    const {source, here} = hashes[batch.kind];
    const taken = without(left, batch);
    for (const fact of factsOf(taken, renamed)) source.update(fact);
    for (const fact of factsOf(await readBack(chat, taken), renamed)) here.update(fact);
  }
  const proof: Takeover['proof'] = {};
  for (const kind of kinds) {
    proof[kind] = {source: hashes[kind].source.digest('hex'), here: hashes[kind].here.digest('hex')};
  }
  return proof;
}

function without(left: ReadonlySet<string>, batch: Batch): Batch {
  if (left.size === 0) return batch;
  const records: unknown[] = [...batch.records].filter((_, at) => !left.has(`${batch.kind} ${nameOf(batch, at)}`));
  return {kind: batch.kind, records} as unknown as Batch;
}

function pairOfHashes(): {source: Hash; here: Hash} {
  return {source: createHash('sha256'), here: createHash('sha256')};
}

/** What must be the same of each row. */
function factsOf(batch: Facts, renamed: ReadonlySet<string | number>): string[] {
  switch (batch.kind) {
    case 'users':
      return batch.records.map(({id, username}) => JSON.stringify(renamed.has(id) ? [id] : [id, username]));
    case 'rooms':
      return batch.records.map(({id, name, version, createdAt}) => JSON.stringify([id, name, version, createdAt]));
    case 'members':
      return batch.records.map(({roomId, userId}) => JSON.stringify([roomId, userId]));
    case 'messages':
      return batch.records.map(({id, roomId, userId, content, createdAt}) =>
        JSON.stringify([id, roomId, userId, content, createdAt]),
      );
  }
}

type Facts =
  | {kind: 'users'; records: readonly Pick<Records['users'], 'id' | 'username'>[]}
  | {kind: 'rooms'; records: readonly Pick<RoomRecord, 'id' | 'name' | 'version' | 'createdAt'>[]}
  | {kind: 'members'; records: readonly Pick<MemberRecord, 'roomId' | 'userId'>[]}
  | {kind: 'messages'; records: readonly Pick<MessageRecord, 'id' | 'roomId' | 'userId' | 'content' | 'createdAt'>[]};

/** The same rows as they are here, in the same order. */
async function readBack({db}: Chat, batch: Batch): Promise<Facts> {
  switch (batch.kind) {
    case 'users':
      return {
        kind: 'users',
        records: inOrder(
          batch.records,
          await findUsers(
            db,
            batch.records.map(each => each.id),
          ),
        ),
      };
    case 'rooms': {
      const found = await findBareRooms(
        db,
        batch.records.map(each => each.id),
      );
      return {kind: 'rooms', records: inOrder(batch.records, [...found.values()])};
    }
    case 'members': {
      const found = await findAuthors(
        db,
        batch.records.map(each => ({room: each.roomId, user: each.userId})),
      );
      return {kind: 'members', records: batch.records.filter(each => found.has(memberKey(each.roomId, each.userId)))};
    }
    case 'messages': {
      const found = await findMessageRecords(
        db,
        batch.records.map(each => each.id),
      );
      return {kind: 'messages', records: inOrder(batch.records, found)};
    }
  }
}

function inOrder<T extends {id: string | number}>(wanted: readonly {id: T['id']}[], found: readonly T[]): T[] {
  const byId = new Map(found.map(each => [each.id, each]));
  return wanted.flatMap(({id}) => byId.get(id) ?? []);
}
