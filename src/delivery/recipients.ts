// Who receives an event: the members of its room at its version, and those whom the event itself removed.
//
// The receivers of a room are kept in memory with the `members_version` they stand for. Events of a room come in
// order, and one that changes the members says whom it added and removed, so that the kept set follows by that
// difference and a post into a room of 100,000 reads no member row. Small rooms that are not kept are read many at once,
// because a server that starts has none. A large one is read page by page; the read counts only when `members_version` is
// the same after it as before. When the room is further than the event by then, `joined_version` tells who came later
// and is left out.
import type {RoomId, UserId} from '../core/ids.ts';
import {personalChannel} from '../core/channels.ts';
import type {Queryable} from '../db/connect.ts';
import {
  findMembersVersion,
  listAllReceivers,
  listReceivers,
  listReceiversOfSmall,
  type Receiver,
} from '../db/members.ts';
import type {OutboxRow} from '../db/outbox.ts';

/** Ids kept at most, over all rooms; the rooms used longest ago go first. */
const maxKeptReceivers = 1_000_000;
const pageSize = 500;
const pagedTries = 3;
const smallRoom = 100;
const roomsTogether = 100;

interface Kept {
  membersVersion: number;
  /** The room's version at which each joined. */
  receivers: Map<UserId, number>;
  latestJoin: number;
  channels: readonly string[] | undefined;
}

export interface Recipients {
  /** Reads those of the rows' rooms that are small and not kept yet, together. */
  prepare(rows: readonly OutboxRow[]): Promise<void>;
  /** Channels of the members at the event's version, without those the event removed. */
  membersOf(row: OutboxRow): Promise<readonly string[]>;
  forget(room: RoomId): void;
}

export function createRecipients(q: Queryable): Recipients {
  const kept = new Map<RoomId, Kept>();
  let size = 0;

  function forget(room: RoomId): void {
    size -= kept.get(room)?.receivers.size ?? 0;
    kept.delete(room);
  }

  function keep(room: RoomId, entry: Kept): void {
    forget(room);
    kept.set(room, entry);
    size += entry.receivers.size;
    for (const oldest of kept.keys()) {
      if (size <= maxKeptReceivers || oldest === room) break;
      forget(oldest);
    }
  }

  async function prepare(rows: readonly OutboxRow[]): Promise<void> {
    const missing = [...new Set(rows.map(row => row.roomId))].filter(room => !kept.has(room));
    // One is read as it is.
    if (missing.length < 2) return;
    for (let start = 0; start < missing.length; start += roomsTogether) {
      const found = await listReceiversOfSmall(q, missing.slice(start, start + roomsTogether), smallRoom);
      for (const [room, {membersVersion, receivers}] of found) keep(room, toKept(membersVersion, receivers));
    }
  }

  async function membersOf(row: OutboxRow): Promise<readonly string[]> {
    const entry = followed(kept.get(row.roomId), row) ?? (await read(q, row.roomId));
    keep(row.roomId, entry);
    return channelsAt(entry, row);
  }

  return {prepare, membersOf, forget};
}

/** The kept set brought to the event's version by what the event says, or undefined when that cannot be. */
function followed(entry: Kept | undefined, row: OutboxRow): Kept | undefined {
  if (!entry || entry.membersVersion >= row.membersVersion) return entry;
  if (entry.membersVersion !== row.membersVersion - 1 || row.added.length + row.alsoTo.length === 0) return undefined;
  for (const user of row.alsoTo) entry.receivers.delete(user);
  for (const user of row.added) entry.receivers.set(user, row.version);
  return {...entry, membersVersion: row.membersVersion, latestJoin: row.version, channels: undefined};
}

function channelsAt(entry: Kept, row: OutboxRow): readonly string[] {
  if (entry.latestJoin > row.version) {
    return [...entry.receivers].filter(([, joined]) => joined <= row.version).map(([user]) => personalChannel(user));
  }
  entry.channels ??= [...entry.receivers.keys()].map(personalChannel);
  return entry.channels;
}

async function read(q: Queryable, room: RoomId): Promise<Kept> {
  for (let tries = 0; tries < pagedTries; tries++) {
    const before = await findMembersVersion(q, room);
    const receivers = await readPages(q, room);
    if (before === (await findMembersVersion(q, room))) return toKept(before ?? 0, receivers);
  }
  const {membersVersion, receivers} = await listAllReceivers(q, room);
  return toKept(membersVersion, receivers);
}

async function readPages(q: Queryable, room: RoomId): Promise<Receiver[]> {
  const all: Receiver[] = [];
  for (;;) {
    const page = await listReceivers(q, room, all.at(-1)?.userId ?? '', pageSize);
    all.push(...page);
    if (page.length < pageSize) return all;
  }
}

function toKept(membersVersion: number, receivers: readonly Receiver[]): Kept {
  return {
    membersVersion,
    receivers: new Map(receivers.map(each => [each.userId, each.joinedVersion])),
    latestJoin: receivers.reduce((latest, each) => Math.max(latest, each.joinedVersion), 0),
    channels: undefined,
  };
}
