import {PutUser} from '../../core/input.ts';
import {firstPage} from '../../core/pages.ts';
import {presentRoom, presentUserRecord} from '../../core/present.ts';
import * as rooms from '../../core/rooms.ts';
import * as users from '../../core/users.ts';
import type {User} from '../../db/users.ts';
import {nextCommand} from '../command-name.ts';
import type {Cli} from '../context.ts';
import {pickExistingUser, pickUser} from './choices.ts';
import {
  listPages,
  pageAfter,
  tellWayBack,
  toInput,
  toExistingUser,
  toSearch,
  toUserId,
  type ListOptions,
} from './parse.ts';

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
  const {items, next} = await listPages(cli, options, page => users.listUsers(chat, cli.actor, search, page));
  cli.print({items: items.map(presentUserRecord), columns, id: 'id', json: found => ({users: found, next})});
}

export async function showUser(cli: Cli, id: string | undefined, options: {rooms?: boolean}): Promise<void> {
  const wanted = await toExistingUser(cli, await pickExistingUser(cli, id));
  const chat = await cli.chat();
  const user = await users.getUser(chat, cli.actor, wanted);
  if (!options.rooms) return printUser(cli, user, {});
  const page = await rooms.listRooms(chat, cli.actor, {member: wanted}, firstPage);
  printUser(cli, user, {rooms: page.items.map(presentRoom), next: page.next ? '2' : null});
  for (const room of cli.format === 'table' ? page.items : []) cli.note(`  ${room.id} ${room.name}`);
  if (page.next)
    cli.note(`There are more: ${nextCommand(cli, ['room', 'list'], [], ['--member', wanted, ...pageAfter])}`);
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
