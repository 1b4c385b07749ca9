// Who may see and do what. A room that one may not see is answered as if it were not there.
import type {Queryable} from '../db/connect.ts';
import {findMember, type Member} from '../db/members.ts';
import {findRoom, lockRoom, type Room} from '../db/rooms.ts';
import type {Tx} from '../db/transaction.ts';
import {isManager, type Actor} from './chat.ts';
import {ChatError, roomNotFound} from './errors.ts';
import type {RoomId, UserId} from './ids.ts';

/** A room and, where the actor is a user, the membership by which they see it. */
export interface SeenRoom {
  room: Room;
  member: Member | undefined;
}

export async function mustSeeRoom(q: Queryable, actor: Actor, id: RoomId): Promise<SeenRoom> {
  return seen(q, actor, id, await findRoom(q, id));
}

/** The same, with the room locked first, so that the membership is the one under which the change commits. */
export async function mustLockRoom(tx: Tx, actor: Actor, id: RoomId): Promise<SeenRoom> {
  return seen(tx, actor, id, await lockRoom(tx, id));
}

async function seen(q: Queryable, actor: Actor, id: RoomId, room: Room | undefined): Promise<SeenRoom> {
  if (!room) throw roomNotFound(id);
  if (actor.kind !== 'user') return {room, member: undefined};
  const member = await findMember(q, id, actor.id);
  if (!member) throw roomNotFound(id);
  return {room, member};
}

export function mustAdministerRoom(actor: Actor, {member}: SeenRoom, what: string): void {
  if (isManager(actor) || member?.role === 'admin') return;
  throw new ChatError('permission_denied', `Only an admin of the room may ${what}.`);
}

export function mustBeManager(actor: Actor, what: string): void {
  if (isManager(actor)) return;
  throw new ChatError('permission_denied', `Only the primary service may ${what}.`, {
    hint: 'Use a service token, or the chatctl command line.',
  });
}

/** The id of the user who asks; a service or operator has none. */
export function mustBeUser(actor: Actor, what: string): UserId {
  if (actor.kind === 'user') return actor.id;
  throw new ChatError('permission_denied', `Only a user can ${what}.`, {
    hint: 'Use a token whose sub is a user id, without the service scope.',
  });
}

export function mustBeOpen(room: Room): void {
  if (room.archivedAt === null) return;
  throw new ChatError('room_archived', `Room ${room.id} is archived.`, {hint: 'Unarchive it first.'});
}
