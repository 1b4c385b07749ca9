import {
  countFoundRooms,
  countRooms,
  listRooms as listRows,
  listRoomStatesOf,
  type OwnRoomStates,
  searchRooms as searchRows,
  type FoundRoom,
  roomPlace,
  type RoomFilter,
  type RoomSort,
} from '../db/room-lists.ts';
import {
  findRoomIdByKey,
  findRoomsByName,
  insertRoom,
  keyTaken,
  lockRoom,
  updateRoom as updateRow,
  type OwnRoom,
  type Room,
  type RoomChange,
  type SeenRoom,
} from '../db/rooms.ts';
import {inShortRead} from '../db/short-read.ts';
import {inTransaction, type Tx} from '../db/transaction.ts';
import {mustAdministerRoom, mustBeManager, mustBeUser, mustLockRoom, mustSeeRoom, rightTo} from './access.ts';
import {audit} from './audit.ts';
import type {Actor, Chat} from './chat.ts';
import {combinedByKind, fewAtOnce} from './combine.ts';
import {ChatError, roomNotFound} from './errors.ts';
import type {RoomId, UserId} from './ids.ts';
import {RoomIdInput, type CreateRoom, type UpdateRoom} from './input.ts';
import {applyMembers, auditMembers, differenceTo} from './members.ts';
import {countLimit, numberedPage, offsetOf, stretchOf, type Page, type PageRequest, type Stretch} from './pages.ts';
import {broadcast, roomDeleted, roomUpdated} from './publications.ts';
import {placeText, toRoomPlace} from './room-places.ts';
import {ownRoomTexts} from './room-texts.ts';

/** Makes a room; its members, if any are given, learn of it by one `members_changed`. Throws key_taken. */
export async function createRoom(chat: Chat, actor: Actor, input: CreateRoom): Promise<Room> {
  mustBeAllowedToCreate(chat, actor);
  return inTransaction(chat.db, async tx => {
    const room = await create(chat, tx, actor, input);
    if (!room) throw keyTaken(input.key ?? '');
    return room;
  });
}

/** The room of that key, made or brought to what the input says; `members`, when given, are then exactly these. */
export async function putRoom(
  chat: Chat,
  actor: Actor,
  key: string,
  input: Omit<CreateRoom, 'key'>,
): Promise<{room: Room; created: boolean}> {
  mustBeManager(actor, 'put rooms by key');
  return inTransaction(chat.db, async tx => {
    for (let tries = 0; tries < keyTries; tries++) {
      const room = await lockByKey(tx, key);
      if (room) return {room: await bring(chat, tx, actor, room, input), created: false};
      const made = await create(chat, tx, actor, {...input, key});
      if (made) return {room: made, created: true};
    }
    throw keyTaken(key);
  });
}

/** A key may be given up and taken again by others while this waits for them. */
const keyTries = 5;

/** The room has the key, and keeps it from now on. */
async function lockByKey(tx: Tx, key: string): Promise<Room | undefined> {
  const id = await findRoomIdByKey(tx, key);
  const room = id === undefined ? undefined : await lockRoom(tx, id);
  return room?.key === key ? room : undefined;
}

async function bring(
  chat: Chat,
  tx: Tx,
  actor: Actor,
  room: Room,
  {name, visibility, members}: Omit<CreateRoom, 'key'>,
): Promise<Room> {
  const changed = await change(chat, tx, actor, room, {name, visibility});
  if (!members) return changed;
  const applied = await applyMembers(chat, tx, changed, await differenceTo(tx, changed, members));
  auditMembers(chat, tx, actor, applied);
  return applied.room;
}

/** A room the actor sees; for a user with their role and marker. */
export async function getRoom(chat: Chat, actor: Actor, id: RoomId): Promise<Room | OwnRoom> {
  return own(await mustSeeRoom(chat.db, actor, id));
}

export async function getRoomByKey(chat: Chat, actor: Actor, key: string): Promise<Room | OwnRoom> {
  const id = await findRoomIdByKey(chat.db, key);
  if (id === undefined) throw roomNotFound(key, actor);
  try {
    const room = await getRoom(chat, actor, id);
    // It may have been given up meanwhile.
    if (room.key !== key) throw roomNotFound(key, actor);
    return room;
  } catch (error) {
    // The refusal must not give the id away.
    if (error instanceof ChatError && error.code === 'room_not_found') throw roomNotFound(key, actor);
    throw error;
  }
}

/** The caller's rooms, newest bump first, each as its JSON text. */
export async function listOwnRooms(chat: Chat, actor: Actor, request: PageRequest): Promise<Page<string>> {
  const user = mustBeUser(actor, 'have rooms');
  const {count, rooms} = (await readStates(chat, user, request)) ?? {count: 0, rooms: []};
  const page = numberedPage(request, rooms, count);
  const items = await ownRoomTexts(chat, user, page.items);
  return {...page, count: page.count - (page.items.length - items.length), items};
}

/** First pages of one size that are asked for together are read together. */
const readFirst = combinedByKind(
  ({db}: Chat, limit: number, users: readonly UserId[]) =>
    listRoomStatesOf(db, users, offsetOf({page: 1, limit}), countLimit),
  fewAtOnce,
);

async function readStates(chat: Chat, user: UserId, request: PageRequest): Promise<OwnRoomStates | undefined> {
  if (request.page === 1) return readFirst(chat, request.limit, user);
  return (await listRoomStatesOf(chat.db, [user], offsetOf(request), countLimit)).get(user);
}

export async function listRooms(
  chat: Chat,
  actor: Actor,
  filter: RoomFilter,
  page: PageRequest,
  sort: RoomSort = 'bumped',
): Promise<Page<Room>> {
  mustBeManager(actor, 'list all rooms');
  const found = await listRows(chat.db, filter, {sort, ...offsetOf(page)});
  return numberedPage(page, found, await countRooms(chat.db, filter, countLimit));
}

/** The same for whoever reads on and on, from behind the place of a room in the order. Throws invalid_cursor. */
export async function listRoomsAfter(
  chat: Chat,
  actor: Actor,
  filter: RoomFilter,
  {after, limit}: {after?: string | undefined; limit: number},
  sort: RoomSort = 'bumped',
): Promise<Stretch<Room>> {
  mustBeManager(actor, 'list all rooms');
  const place = after === undefined ? undefined : toRoomPlace(after, sort);
  const found = await listRows(chat.db, filter, {sort, after: place, limit: limit + 1});
  return stretchOf(found, limit, room => placeText(roomPlace(room, sort)));
}

/** Public rooms and the caller's own, by a part of the name. */
export async function searchRooms(
  chat: Chat,
  actor: Actor,
  search: string,
  page: PageRequest,
): Promise<Page<FoundRoom>> {
  const user = mustBeUser(actor, 'search rooms');
  const [found, count] = await inShortRead(chat.db, q =>
    Promise.all([searchRows(q, user, search, offsetOf(page)), countFoundRooms(q, user, search, countLimit)]),
  );
  return numberedPage(page, found, count);
}

/** Changes what differs; when nothing does, the version stays and nobody is told. */
export async function updateRoom(chat: Chat, actor: Actor, id: RoomId, input: UpdateRoom): Promise<Room | OwnRoom> {
  return inTransaction(chat.db, async tx => {
    const seen = await mustLockRoom(tx, actor, id);
    mustAdministerRoom(actor, seen, 'change it');
    if (input.key && input.key !== seen.room.key) await mustBeFree(tx, input.key);
    return own({...seen, room: await change(chat, tx, actor, seen.room, input)});
  });
}

export interface DeletedRoom {
  room: Room;
  members: number;
  messages: number;
}

/** Nobody sees the room from now on; its rows go once the members have been told. */
export async function deleteRoom(chat: Chat, actor: Actor, id: RoomId): Promise<DeletedRoom> {
  return inTransaction(chat.db, async tx => {
    const {room} = await mustLockRoom(tx, actor, id);
    mustBeManager(actor, 'delete rooms');
    const deletedAt = chat.now();
    const version = await updateRow(tx, room, {deletedAt, key: null});
    const deleted = {...room, version, deletedAt};
    await broadcast(chat, tx, roomDeleted(deleted));
    const detail = {members: room.memberCount, messages: room.lastSeq};
    audit(chat, tx, actor, {action: 'room.delete', room: id, detail});
    return {room: deleted, members: room.memberCount, messages: room.lastSeq};
  });
}

/**
 * The one room that a person means by `7`, `id:7`, `key:order-1`, `name:7` or a name.
 * Throws room_not_found, and room_ambiguous with the candidates.
 */
export async function resolveRoom(chat: Chat, actor: Actor, reference: string): Promise<Room> {
  mustBeManager(actor, 'name rooms');
  const [, prefix, rest] = /^(?:(id|key|name):)?(.*)$/s.exec(reference) ?? [];
  const wanted = rest ?? reference;
  if (prefix === 'key') return getRoomByKey(chat, actor, wanted);
  const id = prefix === 'name' ? undefined : RoomIdInput.safeParse(wanted).data;
  if (id !== undefined) return getRoom(chat, actor, id);
  if (prefix === 'id') throw roomNotFound(wanted, actor);
  return byName(chat, wanted);
}

async function byName(chat: Chat, name: string): Promise<Room> {
  const found = await findRoomsByName(chat.db, name, 10);
  const exact = found.filter(room => room.name === name);
  const candidates = exact.length > 0 ? exact : found;
  const [room, second] = candidates;
  if (!room) throw await unknownName(chat, name);
  if (second) {
    throw new ChatError('room_ambiguous', `${candidates.length} rooms are named "${name}".`, {
      hint: `Say which by id: ${candidates.map(each => `id:${each.id}`).join(', ')}.`,
    });
  }
  return room;
}

async function unknownName(chat: Chat, name: string): Promise<ChatError> {
  const near = await listRows(chat.db, {search: name.slice(0, 4)}, {sort: 'name', limit: 3, offset: 0});
  const suggestion = near.length > 0 ? `Did you mean ${near.map(room => `"${room.name}"`).join(' or ')}? ` : '';
  return new ChatError('room_not_found', `There is no room "${name}".`, {
    hint: `${suggestion}List rooms: chatctl room list`,
  });
}

function own({room, member}: SeenRoom): Room | OwnRoom {
  return member ? {role: member.role, lastReadSeq: member.lastReadSeq, ...room} : room;
}

function mustBeAllowedToCreate(chat: Chat, actor: Actor): void {
  const action = chat.roomCreation === 'users' ? 'create rooms where users may' : 'create rooms';
  if (rightTo(action, actor) === 'yes') return;
  throw new ChatError('permission_denied', 'Only the primary service may create rooms here.', {
    hint: 'Set ROOM_CREATION=users to let users create rooms.',
  });
}

async function mustBeFree(tx: Tx, key: string): Promise<void> {
  const holder = await findRoomIdByKey(tx, key);
  if (holder !== undefined) throw keyTaken(key);
}

async function mustLock(tx: Tx, id: RoomId): Promise<Room> {
  const room = await lockRoom(tx, id);
  if (!room) throw roomNotFound(id);
  return room;
}

/** Undefined when the key belongs to another room. */
async function create(chat: Chat, tx: Tx, actor: Actor, input: CreateRoom): Promise<Room | undefined> {
  const id = await insertRoom(tx, {
    key: input.key ?? null,
    name: input.name,
    visibility: input.visibility ?? 'public',
    now: chat.now(),
  });
  if (id === undefined) return undefined;
  const room = await mustLock(tx, id);
  const admins: UserId[] = actor.kind === 'user' ? [actor.id] : [];
  const add = [...new Set(input.members ?? [])].filter(user => !admins.includes(user));
  const applied = await applyMembers(chat, tx, room, {add, remove: [], admins});
  audit(chat, tx, actor, {action: 'room.create', room: id, detail: {members: applied.added}});
  return applied.room;
}

async function change(
  chat: Chat,
  tx: Tx,
  actor: Actor,
  room: Room,
  input: {[K in keyof UpdateRoom]?: UpdateRoom[K] | undefined},
): Promise<Room> {
  const changes: RoomChange = {};
  if (input.name !== undefined && input.name !== room.name) changes.name = input.name;
  if (input.key !== undefined && input.key !== room.key) changes.key = input.key;
  if (input.visibility !== undefined && input.visibility !== room.visibility) changes.visibility = input.visibility;
  if (input.archived !== undefined && input.archived !== (room.archivedAt !== null)) {
    changes.archivedAt = input.archived ? chat.now() : null;
  }
  if (Object.keys(changes).length === 0) return room;
  const version = await updateRow(tx, room, changes);
  const updated = {...room, ...changes, version};
  await broadcast(chat, tx, roomUpdated(updated));
  audit(chat, tx, actor, {action: 'room.update', room: room.id, detail: toldOf(updated, changes)});
  return updated;
}

/** Which fields, and the new values of those that are no text of people's. */
function toldOf(room: Room, changes: RoomChange) {
  return {
    changed: Object.keys(changes).map(name => (name === 'archivedAt' ? 'archived' : name)),
    ...(changes.visibility !== undefined && {visibility: changes.visibility}),
    ...(changes.archivedAt !== undefined && {archived: room.archivedAt !== null}),
  };
}
