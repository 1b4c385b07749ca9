import type {Queryable} from '../db/connect.ts';
import {
  deleteMembers,
  findMember,
  findMemberIds,
  insertMembers,
  listMembers as listRows,
  listReceivers,
  lockMember,
  updateLastRead,
  updateRole,
  type Member,
} from '../db/members.ts';
import {lockRoomSeenBy, updateRoom, type Room} from '../db/rooms.ts';
import {inShortRead} from '../db/short-read.ts';
import {inTransaction, type Tx} from '../db/transaction.ts';
import {findErasedUsers, findUser, type User} from '../db/users.ts';
import {
  mustAdministerRoom,
  mustBeManager,
  mustBeOpen,
  mustBeUser,
  mustLockRoom,
  mustSeeRoom,
  readInRoom,
  rightTo,
} from './access.ts';
import {audit} from './audit.ts';
import type {Actor, Chat} from './chat.ts';
import {ChatError, roomNotFound} from './errors.ts';
import type {Role, RoomId, UserId} from './ids.ts';
import {numberedPage, offsetOf, stretchOf, type Page, type PageRequest, type Stretch} from './pages.ts';
import {broadcast, memberUpdated, membersChanged, userJoined, userLeft} from './publications.ts';
import {ensureUsers, erased} from './users.ts';

export interface Membership {
  room: Room;
  user: {id: UserId; username: string};
}

/** To a public room. Throws already_member, and room_not_found for private rooms too. */
export async function joinRoom(chat: Chat, actor: Actor, id: RoomId): Promise<Membership> {
  const userId = mustBeUser(actor, 'join a room');
  return inTransaction(chat.db, async tx => {
    const seen = await lockRoomSeenBy(tx, id, userId);
    if (!seen) throw roomNotFound(id);
    const {room, member} = seen;
    const action = room.visibility === 'private' ? 'join a private room' : 'join a room';
    if (rightTo(action, actor, member?.role) !== 'yes') throw roomNotFound(id);
    if (member) throw new ChatError('already_member', 'already a member');
    mustBeOpen(room);
    const joined = await admit(chat, tx, room, await getUserIn(tx, userId), 'member');
    audit(chat, tx, actor, {action: 'member.join', room: id, user: userId});
    return joined;
  });
}

export async function leaveRoom(chat: Chat, actor: Actor, id: RoomId): Promise<Membership> {
  const userId = mustBeUser(actor, 'leave a room');
  return inTransaction(chat.db, async tx => {
    const {room} = await mustLockRoom(tx, actor, id);
    audit(chat, tx, actor, {action: 'member.leave', room: id, user: userId});
    return dismiss(chat, tx, room, await getUserIn(tx, userId));
  });
}

export interface PutMemberResult extends Membership {
  role: Role;
  /** False when the user was a member already; then at most the role changed. */
  created: boolean;
  /** True when the user's row was made as well. */
  userCreated: boolean;
}

/** Adds a user, or gives a member another role. Without a role a new member is a `member`, an old one stays as is. */
export async function putMember(
  chat: Chat,
  actor: Actor,
  id: RoomId,
  userId: UserId,
  options: {role?: Role | undefined; existingUsers?: boolean | undefined} = {},
): Promise<PutMemberResult> {
  return inTransaction(chat.db, async tx => {
    const seen = await mustLockRoom(tx, actor, id);
    mustAdministerRoom(actor, seen, 'add members or change roles');
    const member = await findMember(tx, id, userId);
    if (member) return updateMember(chat, tx, actor, seen.room, member, options.role ?? member.role);
    const made = await ensureUsers(chat, tx, [userId], options.existingUsers);
    const role = options.role ?? 'member';
    const membership = await admit(chat, tx, seen.room, await getUserIn(tx, userId), role);
    audit(chat, tx, actor, {action: 'member.add', room: id, user: userId, detail: {role}});
    return {...membership, role, created: true, userCreated: made.length > 0};
  });
}

/** Throws member_not_found. A member may always remove themselves. The role is the one that is lost. */
export async function removeMember(
  chat: Chat,
  actor: Actor,
  id: RoomId,
  userId: UserId,
): Promise<Membership & {role: Role}> {
  return inTransaction(chat.db, async tx => {
    const seen = await mustLockRoom(tx, actor, id);
    const own = actor.kind === 'user' && actor.id === userId;
    if (!own) mustAdministerRoom(actor, seen, 'remove members');
    const member = await findMember(tx, id, userId);
    if (!member) throw memberNotFound(id, userId);
    audit(chat, tx, actor, {action: own ? 'member.leave' : 'member.remove', room: id, user: userId});
    return {...(await dismiss(chat, tx, seen.room, member.user)), role: member.role};
  });
}

export interface MembersChange {
  add: readonly UserId[];
  remove: readonly UserId[];
}

export interface MembersChanged {
  room: Room;
  /** How many of the named users this added and removed; the others were what was asked already. */
  added: number;
  removed: number;
}

/** Many at once: one version and one `members_changed` for all of it. */
export async function changeMembers(
  chat: Chat,
  actor: Actor,
  id: RoomId,
  change: MembersChange,
): Promise<MembersChanged> {
  const twice = change.add.find(user => change.remove.includes(user));
  if (twice !== undefined)
    throw new ChatError('invalid_input', `The user ${twice} is to be added and removed at once.`);
  return inTransaction(chat.db, async tx => {
    const {room} = await mustLockRoom(tx, actor, id);
    mustBeManager(actor, 'change many members at once');
    const present = await presentAmong(tx, id, [...change.add, ...change.remove]);
    const add = [...new Set(change.add)].filter(user => !present.has(user));
    const remove = [...new Set(change.remove)].filter(user => present.has(user));
    const changed = await applyMembers(chat, tx, room, {add, remove});
    auditMembers(chat, tx, actor, changed);
    return changed;
  });
}

/** One line for a change of many; who they are is with the members, and a line has no place for 10,000 ids. */
export function auditMembers(chat: Chat, tx: Tx, actor: Actor, {room, added, removed}: MembersChanged): void {
  if (added + removed === 0) return;
  audit(chat, tx, actor, {action: 'members.change', room: room.id, detail: {added, removed}});
}

/** Writes a change of members whose users are known to be absent or present. The caller holds the room's lock. */
export async function applyMembers(
  chat: Chat,
  tx: Tx,
  room: Room,
  change: MembersChange & {admins?: readonly UserId[]},
): Promise<MembersChanged> {
  const admins = change.admins ?? [];
  const added = [...admins, ...change.add];
  const removed = change.remove;
  if (added.length + removed.length === 0) return {room, added: 0, removed: 0};
  await ensureUsers(chat, tx, added);
  await mustNotBeErased(tx, added);
  const newcomer = {joinedAt: chat.now(), joinedVersion: room.version + 1, lastReadSeq: room.lastSeq};
  await insertMembers(tx, room.id, admins, {...newcomer, role: 'admin'});
  await insertMembers(tx, room.id, change.add, {...newcomer, role: 'member'});
  for (const chunk of chunks(removed)) await deleteMembers(tx, room.id, chunk);
  const changed = await countedRoom(tx, room, added.length - removed.length);
  await broadcast(chat, tx, membersChanged(changed, added, removed));
  return {room: changed, added: added.length, removed: removed.length};
}

/** What turns the room's members into exactly these. */
export async function differenceTo(tx: Tx, room: Room, wanted: readonly UserId[]): Promise<MembersChange> {
  const missing = new Set(wanted);
  const remove: UserId[] = [];
  let after = '';
  for (;;) {
    const page = await listReceivers(tx, room.id, after, chunkSize);
    for (const {userId} of page) if (!missing.delete(userId)) remove.push(userId);
    const last = page.at(-1);
    if (!last || page.length < chunkSize) return {add: [...missing], remove};
    after = last.userId;
  }
}

export async function listMembers(
  chat: Chat,
  actor: Actor,
  id: RoomId,
  page: PageRequest,
  search?: string,
): Promise<Page<Member>> {
  const {room, found} = await readMembers(chat, actor, id, {search, ...offsetOf(page)});
  const members = numberedPage(page, found, room.memberCount);
  // What a search finds is not counted.
  return search ? {...members, count: room.memberCount} : members;
}

/** The same for whoever reads on and on, from behind a user. */
export async function listMembersAfter(
  chat: Chat,
  actor: Actor,
  id: RoomId,
  {after, limit}: {after?: UserId | undefined; limit: number},
  search?: string,
): Promise<Stretch<Member>> {
  const {found} = await readMembers(chat, actor, id, {search, after, limit: limit + 1});
  return stretchOf(found, limit, member => member.user.id);
}

/** A search looks at every name. */
function readMembers(chat: Chat, actor: Actor, id: RoomId, part: Parameters<typeof listRows>[2]) {
  const read = () => inShortRead(chat.db, q => listRows(q, id, part));
  return readInRoom(chat.db, actor, id, 'list members', read);
}

/** All of them, however many: from one page to the next by id, where a numbered page counts off those before it. */
export async function listMemberIds(chat: Chat, actor: Actor, id: RoomId): Promise<UserId[]> {
  const {found} = await readInRoom(chat.db, actor, id, 'list members', async () => {
    const all: UserId[] = [];
    for (;;) {
      const page = await listReceivers(chat.db, id, all.at(-1) ?? '', chunkSize);
      for (const {userId} of page) all.push(userId);
      if (page.length < chunkSize) return all;
    }
  });
  return found;
}

/** Moves the caller's read marker; it never goes back and not past the last message. */
export async function markRead(
  chat: Chat,
  actor: Actor,
  id: RoomId,
  seq: number,
): Promise<{lastReadSeq: number; unreadCount: number}> {
  const userId = mustBeUser(actor, 'read a room');
  return inTransaction(chat.db, async tx => {
    await lockMember(tx, id, userId);
    await mustSeeRoom(tx, actor, id, 'read a room');
    const marker = await updateLastRead(tx, id, userId, seq);
    if (!marker) throw roomNotFound(id);
    return {lastReadSeq: marker.lastReadSeq, unreadCount: marker.lastSeq - marker.lastReadSeq};
  });
}

async function admit(chat: Chat, tx: Tx, room: Room, user: User, role: Role): Promise<Membership> {
  await mustNotBeErased(tx, [user.id]);
  await insertMembers(tx, room.id, [user.id], {
    role,
    joinedAt: chat.now(),
    joinedVersion: room.version + 1,
    lastReadSeq: room.lastSeq,
  });
  const changed = await countedRoom(tx, room, 1);
  await broadcast(chat, tx, userJoined(changed, user));
  return {room: changed, user};
}

/** Takes a member out of the room and tells the others. The caller holds the room's lock. */
export async function dismiss(
  chat: Chat,
  tx: Tx,
  room: Room,
  user: {id: UserId; username: string},
): Promise<Membership> {
  await deleteMembers(tx, room.id, [user.id]);
  const changed = await countedRoom(tx, room, -1);
  await broadcast(chat, tx, userLeft(changed, user));
  return {room: changed, user};
}

async function updateMember(
  chat: Chat,
  tx: Tx,
  actor: Actor,
  room: Room,
  member: Member,
  role: Role,
): Promise<PutMemberResult> {
  const kept = {user: member.user, role, created: false, userCreated: false};
  if (member.role === role) return {...kept, room};
  await updateRole(tx, room.id, member.user.id, role);
  const changed = {...room, version: await updateRoom(tx, room, {})};
  await broadcast(chat, tx, memberUpdated(changed, member.user, role));
  audit(chat, tx, actor, {action: 'member.role', room: room.id, user: member.user.id, detail: {role}});
  return {...kept, room: changed};
}

async function countedRoom(tx: Tx, room: Room, difference: number): Promise<Room> {
  const counts = {memberCount: room.memberCount + difference, membersVersion: room.membersVersion + 1};
  return {...room, ...counts, version: await updateRoom(tx, room, counts)};
}

const chunkSize = 5_000;

function chunks<T>(values: readonly T[]): T[][] {
  const count = Math.ceil(values.length / chunkSize);
  return Array.from({length: count}, (_, i) => values.slice(i * chunkSize, (i + 1) * chunkSize));
}

/** Who of these users are members. */
export async function presentAmong(q: Queryable, room: RoomId, users: readonly UserId[]): Promise<Set<UserId>> {
  const present = new Set<UserId>();
  for (const chunk of chunks(users)) for (const user of await findMemberIds(q, room, chunk)) present.add(user);
  return present;
}

async function mustNotBeErased(tx: Tx, users: readonly UserId[]): Promise<void> {
  for (const chunk of chunks(users)) {
    const [gone] = await findErasedUsers(tx, chunk);
    if (gone !== undefined) throw erased(gone);
  }
}

async function getUserIn(tx: Tx, id: UserId): Promise<User> {
  const user = await findUser(tx, id);
  if (!user) throw new Error(`the row of user ${id} is missing`);
  return user;
}

function memberNotFound(room: RoomId, user: UserId): ChatError {
  return new ChatError('member_not_found', `The user ${user} is not a member of room ${room}.`, {
    hint: `See who is: chatctl member list ${room}`,
  });
}
