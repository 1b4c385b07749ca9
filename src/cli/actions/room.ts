import {CreateRoom, maxPageSize, UpdateRoom} from '../../core/input.ts';
import * as members from '../../core/members.ts';
import {presentMember, presentRoom, type RoomJson} from '../../core/present.ts';
import * as rooms from '../../core/rooms.ts';
import type {RoomSort} from '../../db/room-lists.ts';
import {findRoomIdByKey, findRoomsByName, type Room} from '../../db/rooms.ts';
import {nextCommand, wordsOf} from '../command-name.ts';
import type {Cli} from '../context.ts';
import {pickRooms} from './choices.ts';
import {printList, stretches, type ListOptions} from './lists.ts';
import {doEach} from './many.ts';
import {eachUser, eventJson, tellEvents, tellWayBack, toExistingUser, toInput, toRoom, toSearch} from './parse.ts';

const columns = ['id', 'name', 'key', 'visibility', 'member_count', 'version', 'bumped_at'];

function printRoom(cli: Cli, room: RoomJson, more: object): void {
  cli.print({
    items: [room],
    columns: [...columns, 'created_at', 'archived_at', 'last_message.content'],
    id: 'id',
    single: true,
    json: ([only]) => ({room: only, ...more}),
  });
}

interface CreateOptions {
  key?: string;
  private?: boolean;
  member?: string[];
  ifNotExists?: boolean;
}

export async function createRoom(cli: Cli, name: string | undefined, options: CreateOptions): Promise<void> {
  const input = toInput(CreateRoom, {
    name: await cli.ask.text(name, '<name>', 'Name of the room?'),
    key: options.key,
    visibility: options.private ? 'private' : 'public',
    members: options.member && (await eachUser(cli, options.member)),
  });
  const chat = await cli.chat();
  cli.sameAs({method: 'POST', path: '/api/rooms/', body: input});
  const existing = options.ifNotExists ? await findExisting(cli, input.name, options.key) : undefined;
  const room = existing ?? (await rooms.createRoom(chat, cli.actor, input));
  const events = cli.events();
  tellEvents(cli, events);
  if (existing) cli.note(`There is a room ${existing.id} of that ${options.key ? 'key' : 'name'} already.`);
  printRoom(cli, presentRoom(room), {created: !existing, event: eventJson(events[0])});
}

async function findExisting(cli: Cli, name: string, key: string | undefined): Promise<Room | undefined> {
  const chat = await cli.chat();
  if (key === undefined) return (await findRoomsByName(chat.db, name, 10)).find(room => room.name === name);
  const id = await findRoomIdByKey(chat.db, key);
  return id === undefined ? undefined : rooms.getRoom(chat, cli.actor, id);
}

interface RoomListOptions extends ListOptions {
  search?: string;
  member?: string;
  archived?: boolean;
  sort: RoomSort;
}

export async function listRooms(cli: Cli, options: RoomListOptions): Promise<void> {
  const chat = await cli.chat();
  const filter = {
    search: toSearch(options.search),
    member: options.member === undefined ? undefined : await toExistingUser(cli, options.member),
    archived: options.archived,
  };
  const {member, archived, sort, limit: most} = options;
  const found = stretches(options, (after, limit) =>
    rooms.listRoomsAfter(chat, cli.actor, filter, {after, limit}, sort),
  );
  const listing = {
    name: 'rooms',
    present: presentRoom,
    columns,
    id: 'id',
    command: ['room', 'list'],
    flags: {'--search': filter.search, '--member': member, '--archived': archived, '--sort': sort, '--limit': most},
  };
  await printList(cli, listing, found);
}

export async function showRoom(cli: Cli, reference: string | undefined, options: {members?: boolean}): Promise<void> {
  const room = await toRoom(cli, reference);
  if (!options.members) return printRoom(cli, presentRoom(room), {});
  const {items, next} = await members.listMembersAfter(await cli.chat(), cli.actor, room.id, {limit: maxPageSize});
  printRoom(cli, presentRoom(room), {members: items.map(presentMember), next});
  for (const member of cli.format === 'table' ? items : []) cli.note(`  ${member.user.id} ${member.role}`);
  if (next === null) return;
  const flags = wordsOf({'--limit': maxPageSize, '--after': next});
  cli.note(`There are more: ${nextCommand(cli, ['member', 'list'], [`id:${room.id}`], flags)}`);
}

export async function renameRoom(cli: Cli, reference: string | undefined, name: string | undefined): Promise<void> {
  const room = await toRoom(cli, reference);
  const input = toInput(UpdateRoom, {name: await cli.ask.text(name, '<name>', 'New name?')});
  cli.sameAs({method: 'PATCH', path: `/api/rooms/${room.id}/`, body: input});
  const renamed = await rooms.updateRoom(await cli.chat(), cli.actor, room.id, input);
  const events = cli.events();
  tellEvents(cli, events);
  if (renamed.name !== room.name) tellWayBack(cli, ['room', 'rename'], [`id:${room.id}`, room.name]);
  printRoom(cli, presentRoom(renamed), {event: eventJson(events[0])});
}

export function archiveRooms(cli: Cli, references: string[] | undefined): Promise<void> {
  return setArchived(cli, references, true);
}

export function unarchiveRooms(cli: Cli, references: string[] | undefined): Promise<void> {
  return setArchived(cli, references, false);
}

async function setArchived(cli: Cli, references: string[] | undefined, archived: boolean): Promise<void> {
  const all = await pickRooms(cli, references, !archived);
  const verb = archived ? 'Archive' : 'Unarchive';
  if (all.length > 1 && !cli.globals.dryRun) await cli.ask.agree(`${verb} ${all.length} rooms?`);
  const chat = await cli.chat();
  let changed = 0;
  await doEach(
    cli,
    all,
    room => ({room}),
    async reference => {
      const room = await toRoom(cli, reference);
      cli.sameAs({method: 'PATCH', path: `/api/rooms/${room.id}/`, body: {archived}});
      await rooms.updateRoom(chat, cli.actor, room.id, {archived});
      if ((room.archivedAt !== null) !== archived) changed += 1;
      const events = cli.events();
      tellEvents(cli, events);
      return {id: room.id, event: eventJson(events[0])};
    },
    items => {
      if (all.length === 1 && changed === 1) tellWayBack(cli, ['room', archived ? 'unarchive' : 'archive'], all);
      cli.print({items, columns: ['room', 'ok', 'error.message'], id: 'id', json: results => ({results})});
    },
  );
}

export async function deleteRoom(cli: Cli, reference: string | undefined): Promise<void> {
  const room = await toRoom(cli, reference);
  const chat = await cli.chat();
  const request = {method: 'DELETE', path: `/api/rooms/${room.id}/`} as const;
  if (!cli.globals.dryRun) {
    const what = `This deletes room ${room.id} "${room.name}" with ${room.memberCount} member(s) and ${room.lastSeq} message(s).`;
    await cli.ask.agreeByName(what, room.name, () =>
      cli.foresee([request], tried => rooms.deleteRoom(tried, cli.actor, room.id)),
    );
  }
  cli.sameAs(request);
  const deleted = await rooms.deleteRoom(chat, cli.actor, room.id);
  const events = cli.events();
  tellEvents(cli, events);
  cli.print({
    items: [{id: room.id, rooms: 1, members: deleted.members, messages: deleted.messages}],
    columns: ['id', 'members', 'messages'],
    id: 'id',
    single: true,
    json: ([counts]) => ({deleted: counts, event: eventJson(events[0])}),
  });
}
