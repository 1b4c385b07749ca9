// Events for the members of a room. They are built and stored in the transaction of the change, so that there is
// never a change without its event nor an event without its change; delivery/relay brings them to the broker.
import type {Message} from '../db/messages.ts';
import {insertOutbox, insertOutboxForIds, type NewOutboxRow} from '../db/outbox.ts';
import type {Room} from '../db/rooms.ts';
import type {Piece} from '../db/rows.ts';
import type {Tx} from '../db/transaction.ts';
import type {Chat, StoredEvent} from './chat.ts';
import type {Role, UserId} from './ids.ts';
import {
  presentMembership,
  presentMessage,
  presentRoom,
  presentUser,
  type MembershipJson,
  type MessageJson,
  type RoomJson,
  type UserJson,
} from './present.ts';

/** What a member receives with each. */
export interface EventBodies {
  message_added: MessageJson;
  message_deleted: MessageJson;
  user_joined: MembershipJson;
  user_left: MembershipJson;
  members_changed: {room: RoomJson; added: number; removed: number; you: 'added' | 'removed' | null};
  member_updated: {room: RoomJson; user: UserJson; role: Role};
  room_updated: {room: RoomJson};
  room_deleted: {room: RoomJson};
}

export type EventType = keyof EventBodies;

const everyType: Record<EventType, true> = {
  message_added: true,
  message_deleted: true,
  user_joined: true,
  user_left: true,
  members_changed: true,
  member_updated: true,
  room_updated: true,
  room_deleted: true,
};
export const eventTypes = Object.keys(everyType);

export interface Publication {
  type: EventType;
  /** The room as it is after the change; its version is the event's. */
  room: Pick<Room, 'id' | 'version' | 'membersVersion' | 'memberCount'>;
  idempotencyKey: string;
  body: object;
  /** Receivers who are no longer members. */
  alsoTo?: readonly UserId[];
  /** Members by this very event. */
  added?: readonly UserId[];
}

type Person = {id: UserId; username: string};

export function messageAdded(room: Publication['room'], message: Message): Publication {
  return {type: 'message_added', room, idempotencyKey: `message_${message.id}`, body: presentMessage(message)};
}

export function messageDeleted(room: Room, message: Message): Publication {
  const body = presentMessage(message, room);
  return {type: 'message_deleted', room, idempotencyKey: `message_deleted_${message.id}`, body};
}

export function userJoined(room: Room, user: Person): Publication {
  const idempotencyKey = `user_joined_${room.id}_${room.version}`;
  return {type: 'user_joined', room, idempotencyKey, body: presentMembership({room, user}), added: [user.id]};
}

export function userLeft(room: Room, user: Person): Publication {
  const idempotencyKey = `user_left_${room.id}_${room.version}`;
  return {type: 'user_left', room, idempotencyKey, body: presentMembership({room, user}), alsoTo: [user.id]};
}

export function membersChanged(room: Room, added: readonly UserId[], removed: readonly UserId[]): Publication {
  return {
    type: 'members_changed',
    room,
    idempotencyKey: `members_${room.id}_${room.version}`,
    body: {room: presentRoom(room), added: added.length, removed: removed.length, you: null},
    alsoTo: removed,
    added,
  };
}

export function memberUpdated(room: Room, user: Person, role: Role): Publication {
  const body = {room: presentRoom(room), user: presentUser(user), role};
  return {type: 'member_updated', room, idempotencyKey: `member_${room.id}_${room.version}`, body};
}

export function roomUpdated(room: Room): Publication {
  return {
    type: 'room_updated',
    room,
    idempotencyKey: `room_${room.id}_${room.version}`,
    body: {room: presentRoom(room)},
  };
}

export function roomDeleted(room: Room): Publication {
  return {
    type: 'room_deleted',
    room,
    idempotencyKey: `room_${room.id}_${room.version}`,
    body: {room: presentRoom(room)},
  };
}

/** Stores the event with the change; once both are committed the relay is told. */
export function broadcast(chat: Chat, tx: Tx, publication: Publication): Promise<void> {
  return broadcastAll(chat, tx, [publication]);
}

/** The same for the events of a batch, in their order. Writes of other tables may be made with it. */
export async function broadcastAll(
  chat: Chat,
  tx: Tx,
  publications: readonly Publication[],
  others: readonly Piece[] = [],
): Promise<void> {
  const events = outboxRows(chat, publications);
  // The ids are asked for only where they are told: for each post they would be read for nothing.
  if (chat.onEvent) tell(chat.onEvent, publications, await insertOutboxForIds(tx, events, others));
  else await insertOutbox(tx, events, others);
  tx.afterCommit(() => chat.wakeRelay(publications.map(each => each.room.id)));
}

function outboxRows(chat: Chat, publications: readonly Publication[]): NewOutboxRow[] {
  const createdAt = chat.now();
  return publications.map(({type, room, idempotencyKey, body, alsoTo, added}) => ({
    roomId: room.id,
    type,
    idempotencyKey: `${chat.databaseId}_${idempotencyKey}`,
    body: JSON.stringify({type, body}),
    version: room.version,
    membersVersion: room.membersVersion,
    alsoTo: alsoTo ?? [],
    added: added ?? [],
    createdAt,
  }));
}

function tell(
  onEvent: (event: StoredEvent) => void,
  publications: readonly Publication[],
  ids: readonly number[],
): void {
  for (const [i, {type, room, alsoTo, body}] of publications.entries()) {
    const receivers = room.memberCount + (alsoTo?.length ?? 0);
    onEvent({outboxId: ids[i] ?? 0, type, receivers, body});
  }
}

const youPlace = '"you":null}}';

/** The stored text of a `members_changed` event as those see it whom it added or removed. */
export function addressedTo(data: string, you: 'added' | 'removed'): string {
  if (!data.endsWith(youPlace)) throw new Error(`not a members_changed event: …${data.slice(-40)}`);
  return `${data.slice(0, -youPlace.length)}"you":"${you}"}}`;
}
