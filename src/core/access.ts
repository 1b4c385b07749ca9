// Asks the table of core/rights. A room that one may not see is answered as if it were not there.
import type {Queryable} from '../db/connect.ts';
import {findRoomSeenBy, lockRoomSeenBy, type Room, type SeenRoom} from '../db/rooms.ts';
import type {Tx} from '../db/transaction.ts';
import type {Actor} from './chat.ts';
import {ChatError, roomNotFound} from './errors.ts';
import type {Role, RoomId, UserId} from './ids.ts';
import {rights, type Action, type Right} from './rights.ts';

/** What the table says for an actor, by their role where a room is meant and they are in it. */
export function rightTo(action: Action, actor: Actor, role?: Role): Right {
  return rights[action][actor.kind === 'user' ? (role ?? 'stranger') : actor.kind];
}

/**
 * A right that was there says nothing of a moment later: what else belongs to an answer is read by the same statement or by
 * `readInRoom`, so that who was removed meanwhile learns nothing of what came after.
 */
export async function mustSeeRoom(
  q: Queryable,
  actor: Actor,
  id: RoomId,
  action: Action = 'see a room',
): Promise<SeenRoom> {
  return shown(actor, id, await findRoomSeenBy(q, id, userOf(actor)), action);
}

/**
 * Asks for the right before, so that who has none costs little and cannot tell what is there, and after, since it may be gone
 * by then. The room is that of after.
 */
export async function readInRoom<T>(
  q: Queryable,
  actor: Actor,
  id: RoomId,
  action: Action,
  read: () => Promise<T>,
): Promise<{room: Room; found: T}> {
  await mustSeeRoom(q, actor, id, action);
  const found = await read();
  const {room} = await mustSeeRoom(q, actor, id, action);
  return {room, found};
}

/** As `mustSeeRoom`, with the room locked first, so that the membership is the one under which the change commits. */
export async function mustLockRoom(tx: Tx, actor: Actor, id: RoomId): Promise<SeenRoom> {
  return shown(actor, id, await lockRoomSeenBy(tx, id, userOf(actor)), 'see a room');
}

function userOf(actor: Actor): UserId | null {
  return actor.kind === 'user' ? actor.id : null;
}

function shown(actor: Actor, id: RoomId, seen: SeenRoom | undefined, action: Action): SeenRoom {
  if (!seen) throw roomNotFound(id, actor);
  mustBeShown(actor, id, seen.member?.role, action);
  return seen;
}

/** For a room that is there, whose membership was read with it. */
export function mustBeShown(actor: Actor, id: RoomId, role: Role | undefined, action: Action): void {
  if (rightTo(action, actor, role) !== 'yes') throw roomNotFound(id);
}

export function mustAdministerRoom(actor: Actor, {member}: SeenRoom, what: Action): void {
  if (rightTo(what, actor, member?.role) === 'yes') return;
  throw new ChatError('permission_denied', `Only an admin of the room may ${what}.`);
}

export function mustBeManager(actor: Actor, what: Action): void {
  if (rightTo(what, actor) === 'yes') return;
  const who = rights[what].service === 'yes' ? 'the primary service' : 'the operator';
  throw new ChatError('permission_denied', `Only ${who} may ${what}.`, {
    hint: 'Use a service token, or the chatctl command line.',
  });
}

/** The id of the user who asks; a service or operator has none. */
export function mustBeUser(actor: Actor, what: Action): UserId {
  if (actor.kind === 'user' && rightTo(what, actor) !== 'denied') return actor.id;
  throw new ChatError('permission_denied', `Only a user can ${what}.`, {
    hint: 'Use a token whose sub is a user id, without the service scope.',
  });
}

export function mustBeOpen(room: Pick<Room, 'id' | 'archivedAt'>): void {
  if (room.archivedAt === null) return;
  throw new ChatError('room_archived', `Room ${room.id} is archived.`, {hint: 'Unarchive it first.'});
}
