import {timestamp} from '../../core/chat.ts';
import {ChatError} from '../../core/errors.ts';
import type {MessageId, RoomId} from '../../core/ids.ts';
import {PostMessage} from '../../core/input.ts';
import * as messages from '../../core/messages.ts';
import {postMessage as storeMessage} from '../../core/post-queue.ts';
import {presentMessage, type MessageJson} from '../../core/present.ts';
import type {Message} from '../../db/messages.ts';
import type {Cli} from '../context.ts';
import {readStdin} from '../io.ts';
import {eventJson, forEach, mustAllBeOk, tellEvents, toInput, toKnownUser, toMessage, toRoom} from './parse.ts';

const columns = ['id', 'seq', 'user.id', 'created_at', 'content'];
const stdinLimit = 64 * 1_024;
const linesLimit = 16 * 1_048_576;

function printMessage(cli: Cli, message: MessageJson, more: object): void {
  cli.print({
    items: [message],
    columns: [...columns, 'room.id', 'room.version', 'client_id', 'deleted_at'],
    id: 'id',
    single: true,
    json: ([only]) => ({message: only, ...more}),
  });
}

interface PostOptions {
  idempotencyKey?: string;
  lines?: boolean;
}

export async function postMessage(
  cli: Cli,
  reference: string | undefined,
  text: string | undefined,
  options: PostOptions,
): Promise<void> {
  const room = await toRoom(cli, reference);
  if (options.lines) return postLines(cli, room.id, text, options);
  const input = toInput(PostMessage, {
    content: await toContent(cli, text),
    client_id: options.idempotencyKey,
    user_id: cli.globals.as === undefined ? undefined : await toKnownUser(cli, cli.globals.as),
  });
  const {message, repeated} = await storeMessage(await cli.chat(), cli.actor, room.id, input);
  const events = cli.events();
  tellEvents(cli, events);
  if (repeated) cli.note('This key was posted before; here is the first message.');
  printMessage(cli, presentMessage(message), {event: eventJson(events[0])});
}

/** Each line is a message of its own: one that is refused does not hold up the others. */
async function postLines(
  cli: Cli,
  room: RoomId,
  text: string | undefined,
  {idempotencyKey}: PostOptions,
): Promise<void> {
  if ((text !== undefined && text !== '-') || idempotencyKey !== undefined) {
    throw new ChatError(
      'invalid_input',
      '--lines reads standard input, and takes neither [text] nor --idempotency-key.',
    );
  }
  const input = await readStdin(cli.io, linesLimit);
  if (input === undefined) throw new ChatError('too_large', 'Standard input holds more than 16 MB; send it in parts.');
  const lines = input.split(/\r?\n/).flatMap((content, i) => (content.trim() === '' ? [] : [{line: i + 1, content}]));
  const user_id = cli.globals.as === undefined ? undefined : await toKnownUser(cli, cli.globals.as);
  const chat = await cli.chat();
  const results = await forEach(
    cli,
    lines,
    ({line}) => ({line}),
    async ({content}) => {
      const {message} = await storeMessage(chat, cli.actor, room, toInput(PostMessage, {content, user_id}));
      return {message: presentMessage(message), event: eventJson(cli.events()[0])};
    },
  );
  tellEvents(cli, []);
  cli.print({
    items: results,
    columns: ['line', 'ok', 'message.id', 'error.message'],
    id: 'message.id',
    json: each => ({results: each}),
  });
  mustAllBeOk(results);
}

async function toContent(cli: Cli, text: string | undefined): Promise<string> {
  const piped = text === '-' || (text === undefined && !cli.io.stdin.isTTY && !cli.ask.canAsk);
  if (!piped) return cli.ask.text(text, '[text]', 'Message?');
  const content = await readStdin(cli.io, stdinLimit);
  if (content === undefined)
    throw new ChatError('too_long', 'Standard input holds more than a message can: 10,000 characters.');
  if (content.trim() === '') throw new ChatError('input_required', 'Missing [text], and standard input is empty.');
  return content;
}

interface MessageListOptions {
  limit: number;
  before?: string;
  after?: string;
  since?: number;
  from?: string;
  all?: boolean;
}

export async function listMessages(
  cli: Cli,
  reference: string | undefined,
  options: MessageListOptions,
): Promise<void> {
  const room = await toRoom(cli, reference);
  if (options.before !== undefined && options.after !== undefined) {
    throw new ChatError('invalid_input', 'Only one of --before and --after says where to list from.');
  }
  const {items, next} = await read(cli, room.id, options);
  cli.print({
    items: items.map(each => presentMessage(each)),
    columns,
    id: 'id',
    json: found => ({messages: found, next}),
  });
}

async function read(cli: Cli, room: Message['roomId'], options: MessageListOptions) {
  const chat = await cli.chat();
  const wanted = options.all ? Infinity : options.limit;
  const since = options.since === undefined ? undefined : timestamp(new Date(Date.parse(chat.now()) - options.since));
  const filter = {since, author: options.from === undefined ? undefined : await toKnownUser(cli, options.from)};
  const items: Message[] = [];
  let before: MessageId | undefined = options.before === undefined ? undefined : toMessage(options.before);
  const after = options.after === undefined ? undefined : toMessage(options.after);
  while (items.length < wanted) {
    const limit = Math.min(wanted - items.length, 100);
    const place = after === undefined ? (before === undefined ? {page: 1} : {before}) : {after};
    const page = await messages.listMessages(chat, cli.actor, room, {limit, ...place}, filter);
    items.push(...page.items);
    before = page.items.at(-1)?.id;
    if (page.items.length < limit || after !== undefined) return {items, next: null};
  }
  cli.note(`There may be more: --before ${before}, or --all.`);
  return {items, next: before === undefined ? null : String(before)};
}

export async function showMessage(cli: Cli, id: string | undefined): Promise<void> {
  const message = toMessage(await cli.ask.text(id, '<id>', 'Which message?'));
  const chat = await cli.chat();
  const room = await messages.getRoomOfMessage(chat, cli.actor, message);
  printMessage(cli, presentMessage(await messages.getMessage(chat, cli.actor, room, message)), {});
}

export async function deleteMessages(cli: Cli, ids: string[] | undefined): Promise<void> {
  const all = (await cli.ask.texts(ids, '<ids...>', 'Which messages?')).map(toMessage);
  if (all.length > 1 && !cli.globals.dryRun) await cli.ask.agree(`Delete ${all.length} messages?`);
  const chat = await cli.chat();
  const results = await forEach(
    cli,
    all,
    id => ({id}),
    async id => {
      const room = await messages.getRoomOfMessage(chat, cli.actor, id);
      await messages.deleteMessage(chat, cli.actor, room, id);
      const events = cli.events();
      tellEvents(cli, events);
      return {event: eventJson(events[0])};
    },
  );
  cli.print({items: results, columns: ['id', 'ok', 'error.message'], id: 'id', json: each => ({results: each})});
  mustAllBeOk(results);
}
