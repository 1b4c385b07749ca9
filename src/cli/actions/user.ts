import {maxPageSize, PutUser} from '../../core/input.ts';
import {presentRoom, presentUserRecord} from '../../core/present.ts';
import * as rooms from '../../core/rooms.ts';
import * as users from '../../core/users.ts';
import type {User} from '../../db/users.ts';
import {nextCommand, wordsOf} from '../command-name.ts';
import type {Cli} from '../context.ts';
import {pickExistingUser, pickUser} from './choices.ts';
import {printList, stretches, type ListOptions} from './lists.ts';
import {tellWayBack, toInput, toExistingUser, toSearch, toUserId, toUserPlace} from './parse.ts';

const columns = ['id', 'username', 'created_at', 'deactivated_at'];

function printUser(cli: Cli, user: User, more: object): void {
  cli.print({
    items: [presentUserRecord(user)],
    columns,
    id: 'id',
    single: true,
    json: ([only]) => ({user: only, ...more}),
  });
}

export async function listUsers(cli: Cli, options: ListOptions & {search?: string}): Promise<void> {
  const chat = await cli.chat();
  const search = toSearch(options.search);
  const found = stretches(options, (after, limit) =>
    users.listUsersAfter(chat, cli.actor, search, {after: toUserPlace(after), limit}),
  );
  const listing = {
    name: 'users',
    present: presentUserRecord,
    columns,
    id: 'id',
    command: ['user', 'list'],
    flags: {'--search': search, '--limit': options.limit},
  };
  await printList(cli, listing, found);
}

export async function showUser(cli: Cli, id: string | undefined, options: {rooms?: boolean}): Promise<void> {
  const wanted = await toExistingUser(cli, await pickExistingUser(cli, id));
  const chat = await cli.chat();
  const user = await users.getUser(chat, cli.actor, wanted);
  if (!options.rooms) return printUser(cli, user, {});
  const {items, next} = await rooms.listRoomsAfter(chat, cli.actor, {member: wanted}, {limit: maxPageSize});
  printUser(cli, user, {rooms: items.map(presentRoom), next});
  for (const room of cli.format === 'table' ? items : []) cli.note(`  ${room.id} ${room.name}`);
  if (next === null) return;
  const flags = wordsOf({'--member': wanted, '--limit': maxPageSize, '--after': next});
  cli.note(`There are more: ${nextCommand(cli, ['room', 'list'], [], flags)}`);
}

export async function upsertUser(cli: Cli, id: string | undefined, options: {username?: string}): Promise<void> {
  const wanted = toUserId(await pickUser(cli, id, 'Which user?'));
  const {username} = toInput(PutUser, {username: options.username ?? wanted.slice(0, 150)});
  cli.sameAs({method: 'PUT', path: `/api/users/${wanted}/`, body: {username}});
  const {user, created} = await users.upsertUser(await cli.chat(), cli.actor, wanted, username);
  printUser(cli, user, {created, event: {mode: 'none'}});
}

export async function deactivateUser(cli: Cli, id: string | undefined): Promise<void> {
  const wanted = await toExistingUser(cli, await pickExistingUser(cli, id));
  if (!cli.globals.dryRun)
    await cli.ask.agree(`Refuse the tokens of ${wanted} from now on, and end their connections?`);
  cli.sameAs({method: 'DELETE', path: `/api/users/${wanted}/`});
  const user = await users.deactivateUser(await cli.chat(), cli.actor, wanted);
  tellWayBack(cli, ['user', 'upsert'], [wanted], ['--username', user.username]);
  printUser(cli, user, {event: {mode: 'none'}});
}
