// Lists that a person at a terminal picks rooms and users from.
import * as members from '../../core/members.ts';
import {listRooms} from '../../core/rooms.ts';
import {listUsers} from '../../core/users.ts';
import type {Room} from '../../db/rooms.ts';
import type {Cli} from '../context.ts';
import type {Choice} from '../prompts.ts';
import {inCell} from '../text.ts';

/** So many are looked up at a time; who wants others types a part of the name. */
const page = {page: 1, limit: 100};

export function pickRoom(cli: Cli, reference: string | undefined): Promise<string> {
  return cli.ask.pick(reference, '<room>', 'Which room?', term => roomChoices(cli, term));
}

export function pickRooms(cli: Cli, references: readonly string[] | undefined, archived?: boolean): Promise<string[]> {
  return cli.ask.several(references, '<room...>', 'Which rooms?', term => roomChoices(cli, term, archived));
}

/** One user, who may be new here. */
export function pickUser(cli: Cli, user: string | undefined, question: string): Promise<string> {
  return cli.ask.pick(user, '<user>', question, term => userChoices(cli, term), {typed: true});
}

/** One of those who are there. */
export function pickExistingUser(cli: Cli, user: string | undefined): Promise<string> {
  return cli.ask.pick(user, '<user>', 'Which user?', term => userChoices(cli, term));
}

/** Several users, who may be new here; where a room is given, of its members. */
export function pickUsers(cli: Cli, users: readonly string[] | undefined, room?: Room): Promise<string[]> {
  const name = '<users...>';
  if (room) return cli.ask.several(users, name, 'Which members?', term => memberChoices(cli, room, term));
  return cli.ask.several(users, name, 'Which users?', term => userChoices(cli, term), {typed: true});
}

async function roomChoices(cli: Cli, term: string | undefined, archived?: boolean): Promise<Choice[]> {
  const {items} = await listRooms(await cli.chat(), cli.actor, {search: term || undefined, archived}, page);
  return items.map(room => ({
    value: referenceTo(room, items),
    name: `${inCell(room.name)} (id:${room.id}, ${room.memberCount} member${room.memberCount === 1 ? '' : 's'})`,
  }));
}

/** By name where that says which, else by id. */
function referenceTo(room: Room, others: readonly Room[]): string {
  const says =
    !/^(?:\d+$|id:|key:|name:|-)/.test(room.name) && others.filter(each => each.name === room.name).length === 1;
  return says ? room.name : `id:${room.id}`;
}

async function userChoices(cli: Cli, term: string | undefined): Promise<Choice[]> {
  const {items} = await listUsers(await cli.chat(), cli.actor, term || undefined, page);
  return items.map(userChoice);
}

async function memberChoices(cli: Cli, room: Room, term: string | undefined): Promise<Choice[]> {
  const {items} = await members.listMembers(await cli.chat(), cli.actor, room.id, page, term || undefined);
  return items.map(member => userChoice(member.user));
}

function userChoice({id, username}: {id: string; username: string}): Choice {
  return {value: id, name: id === username ? id : `${inCell(username)} (${id})`};
}
