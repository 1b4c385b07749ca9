// Holds the database against every member's stream.
//
// Each change of a room has one event with the next version, so that a stream is right when the versions of each room
// rise by one: one that is left out is missing, one that comes twice is repeated, one that comes after a later one is
// disordered. It is looked at from the first version that the stream still keeps, or from the joining, up to what is
// delivered by now: events that wait in the outbox are not missing yet.
//
// A repair publishes what is missing, marked as such, because it comes too late to be in order. A stream with repeats or
// disorder is cleared: what is wrong in it cannot be taken back, and clients that return are told to fetch anew.
import {listMemberships, type Membership} from '../db/members.ts';
import {findMessageByVersion} from '../db/messages.ts';
import {findLowestWaiting} from '../db/outbox.ts';
import {findRoom, type Room} from '../db/rooms.ts';
import {inTransaction} from '../db/transaction.ts';
import {mustBeManager} from './access.ts';
import {audit} from './audit.ts';
import type {Streams} from './broker.ts';
import type {Actor, Chat} from './chat.ts';
import type {RoomId, UserId} from './ids.ts';
import {messageAdded, roomUpdated, type Publication} from './publications.ts';
import {personalChannel} from './channels.ts';

export interface Finding {
  user: UserId;
  room: RoomId;
  version: number;
}

export interface Verification {
  streams: number;
  missing: Finding[];
  repeated: Finding[];
  disordered: Finding[];
}

export interface VerifyOptions {
  room?: RoomId | undefined;
  user?: UserId | undefined;
}

const repairTag = 'repair';
const pageSize = 1_000;
/** Streams read at once: each is a request to the broker, and their users may be a hundred thousand. */
const streamsAtOnce = 16;

/** Findings are in the order of users and rooms. `onStreams` is told how many more streams were looked at. */
export async function verifyStreams(
  chat: Chat,
  actor: Actor,
  streams: Streams,
  options: VerifyOptions,
  onStreams?: (count: number) => void,
): Promise<Verification> {
  mustBeManager(actor, 'verify streams');
  const verification: Verification = {streams: 0, missing: [], repeated: [], disordered: []};
  for await (const users of inGroups(byUser(chat, options), streamsAtOnce)) {
    // What is delivered is looked up first: whatever has left the outbox by now is in the streams that are read next.
    const rooms = [...new Set(users.flatMap(([, memberships]) => memberships.map(each => each.roomId)))];
    const versions = await Promise.all(rooms.map(room => deliveredVersion(chat, room)));
    const delivered = new Map(rooms.map((room, i) => [room, versions[i] ?? 0]));
    const found = await Promise.all(users.map(each => lookAt(streams, each, delivered)));
    verification.streams += users.length;
    for (const fault of ['missing', 'repeated', 'disordered'] as const) {
      for (const each of found) verification[fault].push(...each[fault]);
    }
    onStreams?.(users.length);
  }
  return verification;
}

async function lookAt(
  streams: Streams,
  [user, memberships]: readonly [UserId, readonly Membership[]],
  delivered: ReadonlyMap<RoomId, number>,
): Promise<Omit<Verification, 'streams'>> {
  const {entries} = await streams.history(personalChannel(user));
  const found = {missing: [] as Finding[], repeated: [] as Finding[], disordered: [] as Finding[]};
  for (const {roomId, joinedVersion} of memberships) {
    const seen = versionsOf(entries, roomId);
    const add = (list: Finding[], versions: number[]) =>
      list.push(...versions.map(version => ({user, room: roomId, version})));
    add(found.missing, missingIn(seen, joinedVersion, delivered.get(roomId) ?? 0));
    add(found.repeated, repeatedIn(seen));
    add(found.disordered, disorderedIn(seen));
  }
  return found;
}

async function* inGroups<Item>(items: AsyncIterable<Item>, size: number): AsyncGenerator<Item[]> {
  let group: Item[] = [];
  for await (const item of items) {
    group.push(item);
    if (group.length < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

/** Each user with their memberships, user by user, a page of rows at a time. */
async function* byUser(chat: Chat, options: VerifyOptions): AsyncGenerator<[UserId, Membership[]]> {
  let group: Membership[] = [];
  let after: {userId: string; roomId: number} = {userId: '', roomId: 0};
  for (;;) {
    const page = await listMemberships(chat.db, options, after, pageSize);
    for (const row of page) {
      if (group[0] && group[0].userId !== row.userId) {
        yield [group[0].userId, group];
        group = [];
      }
      group.push(row);
    }
    const last = page.at(-1);
    if (!last || page.length < pageSize) break;
    after = last;
  }
  if (group[0]) yield [group[0].userId, group];
}

/** The room's version up to which everything has left the outbox. */
async function deliveredVersion(chat: Chat, room: RoomId): Promise<number> {
  const found = await findRoom(chat.db, room);
  const waiting = await findLowestWaiting(chat.db, room);
  return Math.min(found?.version ?? 0, waiting === undefined ? Infinity : waiting - 1);
}

interface Seen {
  version: number;
  repaired: boolean;
}

function versionsOf(entries: readonly {data: unknown; tags: Record<string, string>}[], room: RoomId): Seen[] {
  return entries.flatMap(({data, tags}) => {
    const body = (data as {body?: {room?: {id?: unknown; version?: unknown}}} | null)?.body;
    const version = body?.room?.id === room ? body.room.version : undefined;
    return typeof version === 'number' ? [{version, repaired: tags[repairTag] !== undefined}] : [];
  });
}

function missingIn(seen: readonly Seen[], joined: number, delivered: number): number[] {
  if (seen.length === 0) return [];
  const present = new Set(seen.map(each => each.version));
  const first = Math.max(Math.min(...present), joined);
  return range(first, delivered).filter(version => !present.has(version));
}

function range(first: number, last: number): number[] {
  return Array.from({length: Math.max(last - first + 1, 0)}, (_, i) => first + i);
}

function repeatedIn(seen: readonly Seen[]): number[] {
  const once = new Set<number>();
  return seen.filter(({version}) => once.size === once.add(version).size).map(({version}) => version);
}

/** Versions that come, for the first time, after a later one. */
function disorderedIn(seen: readonly Seen[]): number[] {
  const before = new Set<number>();
  let latest = 0;
  return seen
    .filter(({repaired}) => !repaired)
    .filter(({version}) => {
      const late = version < latest && !before.has(version);
      before.add(version);
      latest = Math.max(latest, version);
      return late;
    })
    .map(({version}) => version);
}

/** What a repair did to the streams of these users, or in a rehearsal would do. */
export interface Repair {
  /** How many events, by user. */
  published: ReadonlyMap<UserId, number>;
  cleared: readonly UserId[];
}

/** Publishes what is missing and clears streams that cannot be mended. A rehearsal tells the events and sends nothing. */
export async function repairStreams(chat: Chat, actor: Actor, streams: Streams, found: Verification): Promise<Repair> {
  mustBeManager(actor, 'repair streams');
  const {clear, publish} = chat.db.dryRun ? rehearsalOf(chat) : mendingOf(streams);
  const spoilt = new Set([...found.repeated, ...found.disordered].map(each => each.user));
  await clear([...spoilt].map(personalChannel));
  const mendable = found.missing.filter(each => !spoilt.has(each.user));
  const published = new Map<UserId, number>();
  for (const {user, room, version} of mendable) {
    const event = await eventAt(chat, room, version);
    if (event === undefined) continue;
    await publish(personalChannel(user), event);
    published.set(user, (published.get(user) ?? 0) + 1);
  }
  const detail = {published: [...published.values()].reduce((sum, count) => sum + count, 0), cleared: spoilt.size};
  await inTransaction(chat.db, async tx => audit(chat, tx, actor, {action: 'streams.repair', detail}));
  return {published, cleared: [...spoilt]};
}

type Event = Pick<Publication, 'type' | 'body'>;

interface Mending {
  clear(channels: readonly string[]): Promise<void>;
  publish(channel: string, event: Event): Promise<void>;
}

function mendingOf(streams: Streams): Mending {
  return {
    clear: channels => streams.clear(channels),
    publish: (channel, event) => streams.publish(channel, JSON.stringify(event), {[repairTag]: 'missing'}),
  };
}

function rehearsalOf(chat: Chat): Mending {
  return {
    clear: () => Promise.resolve(),
    publish(_, event) {
      // It would go to the broker directly, so that no outbox has it.
      chat.onEvent?.({...event, outboxId: 0, receivers: 1});
      return Promise.resolve();
    },
  };
}

/** The event of this version as it can be told today: the message of then, or the room as it is now. */
async function eventAt(chat: Chat, id: RoomId, version: number): Promise<Event | undefined> {
  const room = await findRoom(chat.db, id);
  if (!room) return undefined;
  const then: Room = {...room, version};
  const message = await findMessageByVersion(chat.db, id, version);
  const {type, body} = message ? messageAdded(then, message) : roomUpdated(then);
  return {type, body};
}
