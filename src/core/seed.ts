// Demo data out of a number: the same number gives the same people, rooms and messages, up to where the ids begin.
import {drawIds, lastId} from '../db/sequences.ts';
import type {Counts} from '../db/counts.ts';
import type {MemberRecord, MessageRecord, RoomRecord, UserRecord} from '../db/load.ts';
import {inTransaction} from '../db/transaction.ts';
import {mustBeManager} from './access.ts';
import {timestamp, type Actor, type Chat} from './chat.ts';
import {ChatError} from './errors.ts';
import type {MessageId, RoomId, Timestamp, UserId} from './ids.ts';
import type {Batch} from './records.ts';

export interface SeedPlan {
  preset: Preset;
  users: number;
  rooms: {members: number; messages: number}[];
  random: number;
}

const presets = {
  small: {users: 20, rooms: 5, messages: 200, sizes: [20, 12, 8, 5, 3]},
  grandchat: {users: 100_000, rooms: 4, messages: 4_000, sizes: [100, 1_000, 10_000, 100_000]},
};
export type Preset = keyof typeof presets;

/** Rooms of the preset's sizes again and again, none larger than there are users; the messages spread evenly. */
export function planSeed(
  preset: Preset,
  wish: {users?: number | undefined; rooms?: number | undefined; messages?: number | undefined; random: number},
): SeedPlan {
  const {sizes, ...usual} = presets[preset];
  const users = wish.users ?? usual.users;
  const count = wish.rooms ?? usual.rooms;
  const messages = wish.messages ?? usual.messages;
  const rooms = Array.from({length: count}, (_, i) => ({
    members: Math.min(sizes[i % sizes.length] ?? 1, users),
    messages: Math.floor(messages / count) + (i < messages % count ? 1 : 0),
  }));
  return {preset, users, rooms, random: wish.random};
}

export interface FirstIds {
  room: number;
  message: number;
}

/** Ids for the rooms and messages of a plan; for a rehearsal those that they would get. */
export async function drawSeedIds(chat: Chat, actor: Actor, plan: SeedPlan): Promise<FirstIds> {
  mustBeManager(actor, 'seed');
  const messages = plan.rooms.reduce((sum, room) => sum + room.messages, 0);
  if (chat.db.dryRun) {
    return {room: (await lastId(chat.db, 'rooms')) + 1, message: (await lastId(chat.db, 'messages')) + 1};
  }
  return inTransaction(chat.db, async tx => ({
    room: await drawIds(tx, 'rooms', plan.rooms.length),
    message: await drawIds(tx, 'messages', messages),
  }));
}

/** The rows of a plan in batches, in the order in which they are loaded. */
export function* seedBatches(plan: SeedPlan, first: FirstIds, size: number): Generator<Batch> {
  const random = generator(plan.random);
  for (const records of chunked(users(plan, random), size)) yield {kind: 'users', records};
  const rooms = plan.rooms.map((room, i) => seedRoom(plan, random, first, i, room));
  for (const records of chunked(
    rooms.map(each => each.record),
    size,
  ))
    yield {kind: 'rooms', records};
  for (const room of rooms) {
    for (const records of chunked(members(plan, random, room), size)) yield {kind: 'members', records};
  }
  for (const room of rooms) {
    for (const records of chunked(messages(plan, random, room), size)) yield {kind: 'messages', records};
  }
}

interface SeedRoom {
  record: RoomRecord;
  members: number;
  /** The number of the first member; the others follow. */
  start: number;
  firstMessage: number;
}

const began = Date.parse('2026-01-01T08:00:00Z');
const messageMs = 47_000;

function at(ms: number): Timestamp {
  return timestamp(new Date(began + ms));
}

function* users({users: count}: SeedPlan, random: Random): Generator<UserRecord> {
  for (let i = 0; i < count; i++) {
    const username = `${nameOf(i)} ${random.of(lastNames)}`;
    yield {id: userOf(i), username, createdAt: at(i), deactivatedAt: null, erasedAt: null};
  }
}

function nameOf(i: number): string {
  return firstNames[i % firstNames.length] ?? '';
}

/** `alice`, `bob`, … and from the second time on `alice-2`. */
function userOf(i: number): UserId {
  const round = Math.floor(i / firstNames.length);
  return `${nameOf(i).toLowerCase()}${round === 0 ? '' : `-${round + 1}`}` as UserId;
}

function seedRoom(
  plan: SeedPlan,
  random: Random,
  first: FirstIds,
  i: number,
  {members, messages: count}: SeedPlan['rooms'][number],
): SeedRoom {
  const firstMessage = first.message + plan.rooms.slice(0, i).reduce((sum, room) => sum + room.messages, 0);
  const name = roomNames[i] ?? `${random.of(adjectives)} ${random.of(nouns)} ${i + 1}`;
  const record: RoomRecord = {
    id: (first.room + i) as RoomId,
    key: null,
    name,
    visibility: 'public',
    version: count,
    lastSeq: count,
    lastMessageId: count === 0 ? null : ((firstMessage + count - 1) as MessageId),
    createdAt: at(0),
    bumpedAt: at(count * messageMs),
    archivedAt: null,
  };
  // Rooms that do not hold everybody begin somewhere, but the first people are in all small ones.
  const start = members < plan.users && i > 0 && plan.users > 100 ? random.below(plan.users) : 0;
  return {record, members, start, firstMessage};
}

function memberAt(plan: SeedPlan, room: SeedRoom, n: number): UserId {
  return userOf((room.start + n) % plan.users);
}

function* members(plan: SeedPlan, random: Random, room: SeedRoom): Generator<MemberRecord> {
  for (let n = 0; n < room.members; n++) {
    yield {
      roomId: room.record.id,
      userId: memberAt(plan, room, n),
      role: n === 0 ? 'admin' : 'member',
      joinedAt: at(0),
      joinedVersion: room.record.version + 1,
      lastReadSeq: random.below(room.record.lastSeq + 1),
    };
  }
}

function* messages(plan: SeedPlan, random: Random, room: SeedRoom): Generator<MessageRecord> {
  for (let seq = 1; seq <= room.record.lastSeq; seq++) {
    yield {
      id: (room.firstMessage + seq - 1) as MessageId,
      roomId: room.record.id,
      seq,
      version: seq,
      userId: room.members === 0 ? null : memberAt(plan, room, random.below(room.members)),
      content: sentence(random),
      clientId: null,
      createdAt: at(seq * messageMs),
      deletedAt: null,
    };
  }
}

function sentence(random: Random): string {
  const words = `${random.of(openings)} the ${random.of(adjectives)} ${random.of(nouns)} ${random.of(endings)}`;
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function* chunked<T>(items: Iterable<T>, size: number): Generator<T[]> {
  let chunk: T[] = [];
  for (const item of items) {
    chunk.push(item);
    if (chunk.length < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

/** Throws not_empty, where adding to what is there was not asked for. */
export function mustBeEmpty(contents: Counts, label: string, hint = 'Add to them with --append.'): void {
  if (contents.users + contents.rooms === 0) return;
  const message = `${label} holds ${contents.users} user(s) and ${contents.rooms} room(s).`;
  throw new ChatError('not_empty', message, {hint});
}

interface Random {
  below(limit: number): number;
  of<T>(list: readonly T[]): T;
}

/** Numbers that look like chance and are the same everywhere (Mulberry32). */
function generator(seed: number): Random {
  let state = seed | 0;
  function next(): number {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }
  const below = (limit: number) => Math.floor(next() * limit);
  return {
    below,
    of(list) {
      const found = list[below(list.length)];
      if (found === undefined) throw new Error('an empty list of words');
      return found;
    },
  };
}

const firstNames = (
  'Alice Bob Carol Dave Erin Frank Grace Heidi Ivan Judy Karim Lena Mia Niko Olga Pavel Qiu Rosa Sven Tara ' +
  'Uma Victor Wanda Xenia Yusuf Zoe Amir Berta Chiara Dmitri Elif Farid Greta Hana Igor Jana Kofi Luca Maya Noor'
).split(' ');
const lastNames =
  'Adler Bauer Castro Diaz Evans Fischer Garcia Haas Ito Jensen Khan Lopez Moreau Novak Okafor Park Rossi Sato Tanaka Weber'.split(
    ' ',
  );
const roomNames = 'general random support design releases'.split(' ');
const adjectives = 'quiet bright early late green plain open steady quick wide calm fresh'.split(' ');
const nouns = 'build report ticket meeting draft garden bridge harbour lantern river workshop engine'.split(' ');
const openings = [
  'who has seen',
  'I have finished',
  'we should look at',
  'thanks for',
  'let us talk about',
  'please check',
];
const endings = ['today', 'before lunch', 'once more', 'when you have a moment', 'this week', 'again, please'];
