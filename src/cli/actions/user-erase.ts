import {closeSync, constants, fsyncSync, openSync, rmSync, writeSync} from 'node:fs';
import {resolve} from 'node:path';
import {pipeline} from 'node:stream/promises';
import type {Streams} from '../../core/broker.ts';
import {countForErasure, eraseUser as erase} from '../../core/erasure.ts';
import type {UserId} from '../../core/ids.ts';
import type {MessageFate} from '../../core/input.ts';
import {exportUser as exported} from '../../core/user-export.ts';
import type {OpenChat} from '../../open.ts';
import type {Cli} from '../context.ts';
import type {Choice} from '../prompts.ts';
import {notMade} from '../writable.ts';
import {pickExistingUser} from './choices.ts';
import {toExistingUser} from './parse.ts';
import {streamsOf} from './streams.ts';

/** To a file that only its owner can read, or to standard output. */
export async function exportUser(cli: Cli, id: string | undefined, file: string | undefined): Promise<void> {
  const user = await toExistingUser(cli, await pickExistingUser(cli, id));
  if (file !== undefined && file !== '-') return writeExport(cli, user, file);
  await stream(cli, await exported(await cli.chat(), cli.actor, user));
}

/** A reader that is slow is waited for; one that has seen enough is no failure. */
async function stream(cli: Cli, pieces: AsyncGenerator<string>): Promise<void> {
  try {
    await pipeline(pieces, cli.io.stdout, {end: false});
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPIPE')) throw error;
  }
}

interface EraseOptions {
  messages?: MessageFate;
  export?: string;
}

export async function eraseUser(cli: Cli, id: string | undefined, options: EraseOptions): Promise<void> {
  const wanted = await toExistingUser(cli, await pickExistingUser(cli, id));
  const file = await exportFirst(cli, wanted, options.export);
  const flag = '--messages <keep|redact|delete>';
  const mode = await cli.ask.choose(options.messages, flag, 'What becomes of the messages?', fates);
  const chat = await cli.chat();
  const {user, memberships, messages, ...rooms} = await countForErasure(chat, cli.actor, wanted);
  if (!cli.globals.dryRun) {
    const what =
      `This erases ${user.id} "${user.username}" from ${chat.db.target.label} for good: ` +
      `${memberships} membership(s), ${messages} message(s) (${mode}). The id cannot be used again.`;
    // A rehearsal of it takes as long as the work.
    await cli.ask.agreeByName(what, user.id, () =>
      Promise.resolve([`  told    ${toldOf(mode, {messages, ...rooms})}`]),
    );
    if (file !== undefined) await writeExport(cli, wanted, file);
  }
  const what = cli.globals.dryRun ? 'Rehearsing the erasure of' : 'Erasing';
  cli.note(`${what} ${user.id} "${user.username}": ${memberships} membership(s), ${messages} message(s) (${mode}) …`);
  cli.sameAs({method: 'POST', path: `/api/users/${user.id}/erase/`, body: {messages: mode}});
  const told = countEvents(cli, chat);
  const streams = await streamsIfAny(cli);
  const {createProgress} = await import('../progress.ts');
  // Messages that are kept lose their key only, and not all have one.
  const progress = await createProgress(cli, {
    label: 'Erasing messages',
    total: mode === 'keep' ? undefined : messages,
  });
  const erased = await erase(chat, cli.actor, wanted, mode, streams, count => progress.add(count)).finally(
    progress.done,
  );
  if (!cli.globals.dryRun) for (const [type, count] of told) cli.note(`Told: ${count} ${type}`);
  if (erased.streams === null && !cli.globals.dryRun) {
    cli.note('No broker was reached: copies in members’ streams age out there within 10 minutes.');
  }
  cli.print({
    items: [{user: user.id, memberships: erased.memberships, messages: erased.messages, mode}],
    columns: ['user', 'memberships', 'messages', 'mode'],
    id: 'user',
    single: true,
    json: ([counts]) => ({
      erased: counts,
      user: user.id,
      rewritten_events: erased.events,
      cleared_streams: erased.streams,
    }),
  });
}

const fates: readonly Choice<MessageFate>[] = [
  {value: 'keep', name: 'keep: they stay, and their author is called “erased”'},
  {value: 'redact', name: 'redact: their content goes, and each room is told once for many'},
  {value: 'delete', name: 'delete: their content goes, and each room is told of every one'},
];

/** The file to export to first. It is offered where there is a question to come; the line for a script asks nothing. */
async function exportFirst(cli: Cli, user: UserId, file: string | undefined): Promise<string | undefined> {
  if (file !== undefined || cli.globals.dryRun || cli.globals.confirm !== undefined) return file;
  const usual = `${user.replaceAll(/[^\w.@-]/g, '_')}.json`;
  return cli.ask.newFile('--export', `Export first what there is of ${user}?`, usual);
}

/** By a look that is cheap, what the rooms would hear. */
function toldOf(mode: MessageFate, {messages, left, writtenIn}: {messages: number; left: number; writtenIn: number}) {
  const leaving = `${left} room(s) of the leaving`;
  if (mode === 'keep') return leaving;
  return `${leaving}, ${writtenIn} room(s) of the messages${mode === 'delete' ? `, at most ${messages} event(s)` : ''}`;
}

/** There may be one for every message: they are counted and not kept. */
function countEvents(cli: Cli, chat: OpenChat): ReadonlyMap<string, number> {
  const told = new Map<string, number>();
  const {onEvent} = chat;
  chat.onEvent = event => {
    told.set(event.type, (told.get(event.type) ?? 0) + 1);
    onEvent?.(event);
    cli.events();
  };
  return told;
}

/** Without a key there is no way to the streams, and they age out by themselves. */
async function streamsIfAny(cli: Cli): Promise<Pick<Streams, 'clear'> | undefined> {
  if (cli.globals.dryRun || (await cli.config()).CENTRIFUGO_API_KEY === undefined) return undefined;
  return streamsOf(cli);
}

/** A new file, never through a link, and whole or not there. */
async function writeExport(cli: Cli, user: UserId, file: string): Promise<void> {
  const chat = await cli.chat();
  const path = resolve(cli.io.cwd, file);
  // Before the export is noted in the audit log: without a file there is none.
  const out = openNew(path);
  try {
    for await (const piece of await exported(chat, cli.actor, user)) writeSync(out, piece);
    fsyncSync(out);
  } catch (error) {
    rmSync(path, {force: true});
    throw error;
  } finally {
    closeSync(out);
  }
  cli.note(`Written to ${path}.`);
}

function openNew(path: string): number {
  try {
    return openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  } catch (cause) {
    throw notMade(path, cause, 'Remove it, or name another.');
  }
}
