// Arguments become the types that use cases believe in.
import type {z} from 'zod';
import {timestamp} from '../../core/chat.ts';
import {commandLine} from '../../core/command-line.ts';
import {databaseError} from '../../core/database-errors.ts';
import {ChatError} from '../../core/errors.ts';
import type {MessageId, RoomId, Timestamp, UserId} from '../../core/ids.ts';
import {
  firstProblem,
  MessageIdInput,
  parse,
  RoomIdInput,
  SearchInput,
  TimeInput,
  UserIdInput,
} from '../../core/input.ts';
import {firstPage} from '../../core/pages.ts';
import {listRooms, resolveRoom} from '../../core/rooms.ts';
import {erased, findUserMeant, listUsers, userNotFound, userNotNamed} from '../../core/users.ts';
import type {Room} from '../../db/rooms.ts';
import {nextCommand} from '../command-name.ts';
import type {Cli, ToldEvent} from '../context.ts';
import {told} from '../errors.ts';
import {Exit, exits} from '../exit.ts';
import {readStdin} from '../io.ts';
import {nearest} from '../../core/nearest.ts';
import {bytesOf} from '../plan.ts';
import {pickRoom, pickUsers} from './choices.ts';

export function toUser(text: string): UserId {
  return scalar(UserIdInput, text, `The user "${text.slice(0, 40)}"`);
}

/** The user behind whom a list goes on. */
export function toUserPlace(after: string | undefined): UserId | undefined {
  return after === undefined ? undefined : scalar(UserIdInput, after, '--after');
}

/** The id that a person means where the users here are not looked at, as by commands that mint tokens: `id:7` is 7. */
export function toUserId(text: string): UserId {
  if (!text.startsWith('name:')) return toUser(text.replace(/^id:/, ''));
  throw new ChatError('bad_format', 'A user is named by id here, not by name.', {
    hint: `See the id with: ${commandLine(['chatctl', 'user', 'list'], [], ['--search', text.slice('name:'.length)])}`,
  });
}

export function toMessage(text: string): MessageId {
  const id = MessageIdInput.safeParse(text);
  if (id.success) return id.data;
  throw new ChatError('bad_format', `"${text.slice(0, 40)}" is no message id: those are whole numbers from 1 on.`, {
    hint: 'See the ids with: chatctl message list <room>',
  });
}

function scalar<S extends z.ZodType>(schema: S, text: string, what: string): z.output<S> {
  const result = schema.safeParse(text);
  if (result.success) return result.data;
  throw new ChatError('bad_format', `${what} ${firstProblem(result.error, text).message}`);
}

/**
 * The user a person means. An id that nobody has stays as it is: the primary service owns identity, so it may be new
 * here.
 */
export async function toKnownUser(cli: Cli, text: string): Promise<UserId> {
  const user = await findUserMeant(await cli.chat(), cli.actor, text);
  return user?.id ?? newUser(cli, text);
}

async function newUser(cli: Cli, text: string): Promise<UserId> {
  if (text.startsWith('name:')) throw await noSuchUser(cli, text);
  return toUser(text.replace(/^id:/, ''));
}

/** For what needs one that is there; one who was erased is. Throws user_not_found. */
export async function toExistingUser(cli: Cli, text: string): Promise<UserId> {
  const user = await findUserMeant(await cli.chat(), cli.actor, text);
  if (user) return user.id;
  throw await noSuchUser(cli, text);
}

/** In whose name a message is posted. Throws user_erased: it would be no help to hear that they are no member. */
export async function toAuthor(cli: Cli, text: string): Promise<UserId> {
  const user = await findUserMeant(await cli.chat(), cli.actor, text);
  if (user?.erasedAt) throw erased(user.id);
  return user?.id ?? newUser(cli, text);
}

async function noSuchUser(cli: Cli, text: string): Promise<ChatError> {
  const [, prefix, word = text] = /^(?:(id|name):)?(.*)$/s.exec(text) ?? [];
  const id = prefix === 'name' ? undefined : UserIdInput.safeParse(word).data;
  const {items} = await listUsers(await cli.chat(), cli.actor, undefined, firstPage);
  const names = items.filter(user => user.erasedAt === null).flatMap(user => [user.id, user.username]);
  const error = id === undefined ? userNotNamed(word) : userNotFound(id);
  return suggesting(error, nearest(word, names), 'List users: chatctl user list');
}

/** The error with what was probably meant in place of its hint, and the list to look into where it has none. */
function suggesting(error: ChatError, near: string | undefined, list: string): ChatError {
  const hint = near === undefined ? (error.hint ?? list) : `Did you mean "${near}"?\n${list}`;
  return new ChatError(error.code, error.message, {hint});
}

/** Parses the fields of a use case's input, which flags and arguments became. */
export const toInput = parse;

/** A part of a name, as long as the API lets it be. */
export function toSearch(text: string | undefined): string | undefined {
  return text === undefined ? undefined : scalar(SearchInput, text, '--search');
}

/** The room a person means; asked for on a terminal when it was left out. */
export async function toRoom(cli: Cli, reference: string | undefined): Promise<Room> {
  const text = await pickRoom(cli, reference);
  const chat = await cli.chat();
  try {
    return await resolveRoom(chat, cli.actor, text);
  } catch (error) {
    if (!(error instanceof ChatError) || error.code !== 'room_not_found') throw error;
    const {items} = await listRooms(chat, cli.actor, {}, firstPage);
    const names = items.map(room => room.name);
    // Digits alone are an id.
    throw suggesting(error, nearest(text, names)?.replace(/^\d+$/, 'name:$&'), 'List rooms: chatctl room list');
  }
}

/** For what needs no more than the id: one that is given is taken without a look whether there is such a room. */
export async function toRoomId(cli: Cli, text: string): Promise<RoomId> {
  const id = RoomIdInput.safeParse(text.replace(/^id:/, ''));
  return id.success ? id.data : (await toRoom(cli, text)).id;
}

const stdinLimit = 16 * 1_048_576;

/** Users from arguments, from standard input, or asked for: of all, or of the room's members where one is given. */
export async function toUsers(
  cli: Cli,
  args: readonly string[] | undefined,
  stdin: boolean | undefined,
  room?: Room,
): Promise<UserId[]> {
  if (!stdin) return eachUser(cli, await pickUsers(cli, args, room));
  const text = await readStdin(cli.io, stdinLimit);
  if (text === undefined)
    throw new ChatError('too_large', 'Standard input holds more than 16 MB; import a file instead.');
  const lines = text
    .split(/\r?\n/)
    .map(line => line.trim())
    .filter(Boolean);
  return [...(await eachUser(cli, args ?? [])), ...lines.map(toUser)];
}

export async function eachUser(cli: Cli, references: readonly string[]): Promise<UserId[]> {
  const users: UserId[] = [];
  for (const reference of references) users.push(await toKnownUser(cli, reference));
  return users;
}

/** What happened to the members' view of it: `{"mode":"none"}` when nobody is told. */
export function eventJson(event: ToldEvent | undefined): object {
  if (!event) return {mode: 'none'};
  if (event.dryRun) return rehearsed(event);
  return {type: event.type, channels: event.receivers, mode: 'outbox', state: 'queued', outbox_id: event.outboxId};
}

/** What would be told: the event itself, and how much of it there would be. */
function rehearsed({type, receivers, body}: ToldEvent): object {
  const data = {type, body};
  const bytes = bytesOf(type, body) * receivers;
  return {type, channels: receivers, mode: 'outbox', state: 'dry_run', outbox_id: null, bytes, data};
}

/** Tells a person what a write did; what it would do is in the plan of the rehearsal. */
export function tellEvents(cli: Cli, events: readonly ToldEvent[]): void {
  if (cli.globals.dryRun) return;
  for (const event of events) cli.note(`Tells ${event.receivers} user(s): ${event.type}`);
}

/** How a change is undone, as a line that a shell takes for what it is, whatever the names in it. */
export function tellWayBack(
  cli: Cli,
  command: readonly string[],
  args: readonly string[],
  flags: readonly string[] = [],
): void {
  if (!cli.globals.dryRun) cli.note(`To take it back: ${nextCommand(cli, command, args, flags)}`);
}

export interface ItemResult {
  ok: boolean;
  event?: object;
  error?: {code: string; message: string};
}

/**
 * Does the same to each of several things and goes on when one fails. One thing alone fails as itself; of several, some
 * failing ends with 7. `mayGoOn` is asked before each of them. Where the database is away the rest is not tried: it is
 * told what was done until then, if anything was.
 */
export async function forEach<T>(
  cli: Cli,
  things: readonly T[],
  named: (thing: T) => object,
  action: (thing: T) => Promise<object>,
  mayGoOn: () => Promise<boolean> = () => Promise.resolve(true),
): Promise<(ItemResult & object)[]> {
  const results: (ItemResult & object)[] = [];
  for (const thing of things) {
    if (!(await mayGoOn())) break;
    try {
      const more = await action(thing);
      results.push({...named(thing), ok: true, ...more});
    } catch (thrown) {
      const error = databaseError(thrown) ?? thrown;
      if (things.length === 1 || !(error instanceof ChatError)) throw thrown;
      const away = error.code === 'database_unavailable';
      if (away && !results.some(result => result.ok)) throw thrown;
      const {code, message} = told(error);
      results.push({...named(thing), ok: false, error: {code, message}});
      cli.note(`Failed: ${message}`);
      if (!away) continue;
      const left = things.length - results.length;
      if (left > 0) cli.note(`${left} more were not tried.`);
      break;
    }
  }
  return results;
}

/** Ends with 7 when some of the results are failures. Called after they were printed. */
export function mustAllBeOk(results: readonly ItemResult[]): void {
  if (results.some(result => !result.ok)) throw new Exit(exits.partial);
}

/** `2h` ago, or a time as the log and the messages show it. */
export function toMoment(given: number | string | undefined, flag: string, now: Timestamp): Timestamp | undefined {
  if (given === undefined) return undefined;
  if (typeof given === 'number') return timestamp(new Date(Date.parse(now) - given));
  const time = TimeInput.safeParse(given);
  if (time.success) return time.data;
  throw new ChatError('bad_format', `${flag} must be how long ago, such as 2h or 7d, or a time like ${now}.`);
}
