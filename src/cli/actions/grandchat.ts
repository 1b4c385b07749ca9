import {readFileSync} from 'node:fs';
import {resolve} from 'node:path';
import {isProduction} from '../../config.ts';
import {isBlocked, openGrandChat, takeOver, type Takeover} from '../../core/grandchat.ts';
import {kinds} from '../../core/records.ts';
import type {Db} from '../../db/connect.ts';
import type {OpenChat} from '../../open.ts';
import type {Cli} from '../context.ts';
import {Exit, exits} from '../exit.ts';
import {interruptOf} from '../interrupt.ts';
import {createProgress, type Progress} from '../progress.ts';
import {fingerprint, nameOf, targetOf} from '../target.ts';
import {unreadable} from '../unreadable.ts';

interface GrandChatOptions {
  urlFile?: string;
}

export async function importGrandChat(cli: Cli, url: string | undefined, options: GrandChatOptions): Promise<void> {
  const started = performance.now();
  const chat = await cli.chat();
  const old = await openGrandChat(await toUrl(cli, url, options));
  try {
    if (!cli.globals.dryRun) await agree(cli, old.target.label);
    const takeover = await takeOverUntilAsked(cli, chat, old);
    tell(cli, takeover, Math.round(performance.now() - started) / 1_000);
  } finally {
    await old.close();
  }
}

/** Takes over, until Ctrl-C ends it behind the batch that is under way. */
async function takeOverUntilAsked(cli: Cli, chat: OpenChat, old: Db): Promise<Takeover> {
  const dryRun = cli.globals.dryRun ?? false;
  const interrupt = interruptOf(cli.io);
  let progress: Progress | undefined;
  try {
    return await takeOver(chat, cli.actor, old, {
      dryRun,
      async onStart({users, rooms, members, messages}) {
        progress = await createProgress(cli, {label: 'Taking over', total: users + rooms + members + messages});
      },
      onRows: count => progress?.add(count),
      mustGoOn() {
        if (!interrupt.asked()) return;
        // The line is not told again, because there may be a password in it.
        if (!dryRun) cli.note('Stopped. What is in stays; the same command goes on with it.');
        interrupt.exit();
      },
    });
  } finally {
    progress?.done();
    interrupt.release();
  }
}

/** From the argument, a file, the environment, or asked for: a password on a command line is seen by others. */
async function toUrl(cli: Cli, url: string | undefined, {urlFile}: GrandChatOptions): Promise<string> {
  if (urlFile !== undefined) {
    const path = resolve(cli.io.cwd, urlFile);
    try {
      return readFileSync(path, 'utf8').trim();
    } catch (cause) {
      throw unreadable(path, cause, urlFile);
    }
  }
  const given = url ?? cli.io.env['GRANDCHAT_DATABASE_URL'];
  if (url !== undefined && URL.canParse(url) && new URL(url).password !== '') {
    cli.note('A password on the command line is seen by others: use GRANDCHAT_DATABASE_URL or --url-file.');
  }
  return cli.ask.text(given, '<postgres-url>', 'Address of the GrandChat database?');
}

async function agree(cli: Cli, from: string): Promise<void> {
  const chat = await cli.chat();
  if (isProduction(await cli.config())) return cli.ask.agreeByName(`This takes over ${from}.`, nameOf(chat.db.target));
  await cli.ask.agree(`Take over ${from} into ${fingerprint(await targetOf(chat, cli.actor))}?`);
}

const maxTold = 100;

function tell(cli: Cli, takeover: Takeover, seconds: number): void {
  const {counts, conflicts, refused, proof, resumed} = takeover;
  const {users, rooms, members, messages} = counts;
  const blocked = isBlocked(takeover);
  const written = !cli.globals.dryRun && !blocked;
  if (resumed) cli.note('It went on with a takeover that was interrupted.');
  for (const {kind, id, reason} of [...conflicts, ...refused].slice(0, maxTold)) cli.note(`${kind} ${id}: ${reason}`);
  if (conflicts.length + refused.length > maxTold) cli.note(`… ${conflicts.length + refused.length} in all`);
  const equal = kinds.every(kind => proof[kind]?.source === proof[kind]?.here);
  const end = {
    rooms,
    users,
    members,
    messages,
    conflicts: conflicts.slice(0, maxTold),
    refused: refused.slice(0, maxTold),
    conflict_count: conflicts.length,
    refused_count: refused.length,
    ...(written && {checksums: proof, equal}),
    ...(cli.globals.dryRun && {dry_run: true}),
    seconds,
  };
  cli.print({
    items: [end],
    columns: ['rooms', 'users', 'members', 'messages', ...(written ? ['equal'] : []), 'seconds'],
    id: 'rooms',
    single: true,
    json: ([only]) => only ?? end,
  });
  if (blocked) {
    cli.note('Rooms or messages with these ids are here already; nothing was written.');
    throw new Exit(exits.conflict);
  }
  if (refused.length > 0 || (written && !equal)) throw new Exit(exits.partial);
}
