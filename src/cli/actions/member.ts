import {ChatError} from '../../core/errors.ts';
import type {Role, UserId} from '../../core/ids.ts';
import * as members from '../../core/members.ts';
import {presentMember} from '../../core/present.ts';
import type {Room} from '../../db/rooms.ts';
import {nextCommand} from '../command-name.ts';
import type {Cli} from '../context.ts';
import {printList, stretches, type ListOptions} from './lists.ts';
import {doEach} from './many.ts';
import {eventJson, tellEvents, tellWayBack, toRoom, toSearch, toUserPlace, toUsers, type ItemResult} from './parse.ts';

interface AddOptions {
  role?: Role;
  stdin?: boolean;
  ifNotMember?: boolean;
  existingUsers?: boolean;
}

export async function addMembers(
  cli: Cli,
  reference: string | undefined,
  args: string[],
  options: AddOptions,
): Promise<void> {
  const room = await toRoom(cli, reference);
  const users = await toUsers(cli, args, options.stdin);
  const changed: Changed = {added: [], inRole: {admin: [], member: []}};
  await doEach(
    cli,
    users,
    user => ({user}),
    user => addOne(cli, room, user, options, changed),
    results => {
      if (changed.added.length > 0) tellBack(cli, 'remove', room, changed.added);
      tellRolesBack(cli, room, changed.inRole);
      printResults(cli, results);
    },
  );
}

/** What `member add` did, to tell the way back. */
interface Changed {
  added: UserId[];
  /** Who was a member already and has another role now, by the one they had. */
  inRole: Record<Role, UserId[]>;
}

async function addOne(cli: Cli, room: Room, user: UserId, options: AddOptions, changed: Changed): Promise<object> {
  const {role} = options;
  cli.sameAs({method: 'PUT', path: `/api/rooms/${room.id}/members/${user}/`, body: role === undefined ? {} : {role}});
  const {
    created,
    role: now,
    userCreated,
  } = await members.putMember(await cli.chat(), cli.actor, room.id, user, options);
  const events = cli.events();
  if (!created && events.length === 0 && !options.ifNotMember) {
    throw new ChatError('already_member', `The user ${user} is a member of "${room.name}" already.`, {
      hint: 'With --if-not-member that is no failure.',
    });
  }
  if (created) changed.added.push(user);
  else if (events.length > 0) changed.inRole[now === 'admin' ? 'member' : 'admin'].push(user);
  if (userCreated) cli.note(`The user ${user} is new here. --existing-users refuses that.`);
  tellEvents(cli, events);
  return {event: eventJson(events[0])};
}

/** A line of more users is none that anybody pastes. */
const maxToldBack = 20;

function tellBack(
  cli: Cli,
  verb: 'add' | 'remove',
  room: Room,
  users: readonly UserId[],
  flags: readonly string[] = [],
): void {
  if (users.length > maxToldBack) return;
  // An id may look like a reference to another user.
  const named = users.map(user => (/^(?:id|name):/.test(user) ? `id:${user}` : user));
  tellWayBack(cli, ['member', verb], [`id:${room.id}`, ...named], flags);
}

/** A line for each role, as `member add` gives one to all that it names. */
function tellRolesBack(cli: Cli, room: Room, had: Record<Role, readonly UserId[]>): void {
  for (const role of ['admin', 'member'] as const)
    if (had[role].length > 0) tellBack(cli, 'add', room, had[role], ['--role', role]);
}

function printResults(cli: Cli, items: (ItemResult & object)[]): void {
  cli.print({items, columns: ['user', 'ok', 'error.message'], id: 'user', json: results => ({results})});
}

interface RemoveOptions {
  all?: boolean;
  stdin?: boolean;
}

export async function removeMembers(
  cli: Cli,
  reference: string | undefined,
  args: string[],
  options: RemoveOptions,
): Promise<void> {
  const room = await toRoom(cli, reference);
  if (options.all && (args.length > 0 || options.stdin)) {
    throw new ChatError('invalid_input', 'Either --all or some members are removed: name them, or say --all.');
  }
  if (options.all) return removeAll(cli, room);
  const users = await toUsers(cli, args, options.stdin, room);
  const chat = await cli.chat();
  const had: Record<Role, UserId[]> = {admin: [], member: []};
  await doEach(
    cli,
    users,
    user => ({user}),
    async user => {
      cli.sameAs({method: 'DELETE', path: `/api/rooms/${room.id}/members/${user}/`});
      const {role} = await members.removeMember(chat, cli.actor, room.id, user);
      had[role].push(user);
      const events = cli.events();
      tellEvents(cli, events);
      return {event: eventJson(events[0])};
    },
    results => {
      tellRolesBack(cli, room, had);
      printResults(cli, results);
    },
  );
}

/** One change, however many they are: the limit of a request is none of the operator's. */
async function removeAll(cli: Cli, room: Room): Promise<void> {
  if (!cli.globals.dryRun && !cli.globals.yes) tellHowToKeep(cli, room);
  if (!cli.globals.dryRun) await cli.ask.agree(`Remove all ${room.memberCount} members of "${room.name}"?`);
  const chat = await cli.chat();
  const users = await members.listMemberIds(chat, cli.actor, room.id);
  if (users.length > 0) cli.sameAs({method: 'POST', path: `/api/rooms/${room.id}/members/`, body: {remove: users}});
  const {removed} = await members.changeMembers(chat, cli.actor, room.id, {add: [], remove: users});
  const events = cli.events();
  tellEvents(cli, events);
  cli.print({
    items: [{removed}],
    columns: ['removed'],
    id: 'removed',
    single: true,
    json: () => ({results: users.map(user => ({user, ok: true})), removed, event: eventJson(events[0])}),
  });
}

/** Once they are gone nobody knows who they were. */
function tellHowToKeep(cli: Cli, room: Room): void {
  const file = `members-of-${room.id}.csv`;
  const list = nextCommand(cli, ['member', 'list'], [`id:${room.id}`], ['--all', '--output', 'csv']);
  cli.note(`To keep a list of them first: ${list} > ${file}`);
  cli.note(`To have them back by it: ${nextCommand(cli, ['member', 'import'], [`id:${room.id}`, file])}`);
}

export async function listMembers(
  cli: Cli,
  reference: string | undefined,
  options: ListOptions & {search?: string},
): Promise<void> {
  const room = await toRoom(cli, reference);
  const chat = await cli.chat();
  const search = toSearch(options.search);
  const found = stretches(options, (after, limit) =>
    members.listMembersAfter(chat, cli.actor, room.id, {after: toUserPlace(after), limit}, search),
  );
  const listing = {
    name: 'members',
    present: presentMember,
    columns: ['user.id', 'user.username', 'role', 'joined_at'],
    id: 'user.id',
    command: ['member', 'list'],
    args: [`id:${room.id}`],
    flags: {'--search': search, '--limit': options.limit},
  };
  await printList(cli, listing, found);
}
