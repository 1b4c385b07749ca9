import {createWriteStream, existsSync, renameSync, rmSync, statSync} from 'node:fs';
import {resolve} from 'node:path';
import {PassThrough, type Readable, type Writable} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import {createGzip} from 'node:zlib';
import {ChatError} from '../../core/errors.ts';
import {exportLines, type ExportWish} from '../../core/export.ts';
import {didYouMean} from '../../core/nearest.ts';
import {kinds, type Kind} from '../../core/records.ts';
import type {Cli} from '../context.ts';
import {Exit, exits} from '../exit.ts';
import {interruptOf} from '../interrupt.ts';
import {createProgress} from '../progress.ts';
import {mustBeWritable} from '../writable.ts';
import {toMoment, toRoom} from './parse.ts';

interface ExportOptions {
  room?: string;
  since?: number | string;
  only?: string[];
  gzip?: boolean;
  force?: boolean;
}

export async function exportData(cli: Cli, file: string | undefined, options: ExportOptions): Promise<void> {
  const started = performance.now();
  const wish = await toWish(cli, options);
  const toFile = file !== undefined && file !== '-';
  const path = resolve(cli.io.cwd, file ?? '-');
  if (toFile) mustBeFree(file, path, options.force ?? false);
  if (!toFile && cli.io.stdout.isTTY && options.gzip) {
    throw new ChatError('invalid_input', 'Compressed data is nothing for a terminal.', {hint: 'Name a file.'});
  }
  const progress = await createProgress(cli, {label: 'Exporting'});
  const sink = openSink(cli, toFile ? path : undefined, options.gzip ?? false);
  // On its way to a pipe there is nothing to clear away, and a write that nobody takes holds up every signal but a plain one.
  const interrupt = toFile && !isPlace(path) ? interruptOf(cli.io) : undefined;
  try {
    const end = await exportLines(await cli.chat(), cli.actor, wish, async (text, rows) => {
      if (interrupt?.asked()) interrupt.exit();
      await sink.write(text);
      progress.add(rows);
    });
    await sink.close();
    progress.done();
    const seconds = Math.round(performance.now() - started) / 1_000;
    const {counts} = end;
    cli.note(
      `${counts.users} user(s), ${counts.rooms} room(s), ${counts.members} member(s), ${counts.messages} message(s) in ${seconds} s.`,
    );
    if (!toFile) return;
    cli.print({
      items: [{file, ...counts, sha256: end.sha256, seconds}],
      columns: ['file', 'users', 'rooms', 'members', 'messages', 'sha256'],
      id: 'sha256',
      single: true,
      json: () => ({...end, file, seconds}),
    });
  } catch (error) {
    progress.done();
    sink.discard();
    if (interrupt?.asked()) cli.note('Stopped. No file was written.');
    throw error;
  } finally {
    interrupt?.release();
  }
}

/** A file that is there is written over only by force, and a folder not at all. */
function mustBeFree(file: string, path: string, force: boolean): void {
  mustBeWritable(path);
  if (!existsSync(path) || isPlace(path)) return;
  if (!statSync(path).isFile()) {
    throw new ChatError('file_exists', `"${file}" is there, and is no file.`, {hint: 'Name a file in it.'});
  }
  if (force) return;
  throw new ChatError('file_exists', `The file ${file} exists.`, {
    hint: 'Name another one, or write over it with --force.',
  });
}

async function toWish(cli: Cli, {room, since, only}: ExportOptions): Promise<ExportWish> {
  const wrong = only?.find(each => !kinds.some(kind => kind === each));
  if (wrong !== undefined) {
    throw new ChatError('unknown_value', `--only ${wrong} means nothing here.`, {
      hint: [didYouMean(wrong, kinds), `There is ${kinds.join(', ')}.`].filter(Boolean).join('\n'),
    });
  }
  return {
    kinds: only === undefined ? kinds : kinds.filter((each: Kind) => only.includes(each)),
    room: room === undefined ? undefined : (await toRoom(cli, room)).id,
    since: toMoment(since, '--since', (await cli.chat()).now()),
  };
}

interface Sink {
  write(text: string): Promise<void>;
  close(): Promise<void>;
  /** After a failure: nothing half stays. */
  discard(): void;
}

/** Where the lines go, no faster than it takes them. A file has its name once it is whole; a device or a pipe keeps its place. */
function openSink(cli: Cli, path: string | undefined, gzip: boolean): Sink {
  const inPlace = path === undefined || isPlace(path);
  const part = `${path}.part`;
  const into = new PassThrough();
  // What stands there under its name goes, a link or a pipe that somebody laid there as well: nobody else is to get all this.
  if (!inPlace) rmSync(part, {force: true});
  const options = {mode: 0o600, flags: inPlace ? 'w' : 'wx'};
  const target = path === undefined ? cli.io.stdout : createWriteStream(inPlace ? path : part, options);
  const steps: (Readable | Writable)[] = [into, ...(gzip ? [createGzip()] : []), target];
  // Standard output is not ours to close.
  const arrived = pipeline(steps as [Readable, Writable], {end: path !== undefined}).catch((cause: unknown) => {
    if (path === undefined && isGone(cause)) throw new Exit(exits.ok);
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ChatError('invalid_input', `${path ?? 'Standard output'} cannot be written: ${reason}.`, {cause});
  });
  arrived.catch(() => undefined);
  return {
    async write(text) {
      if (!into.write(text)) await Promise.race([new Promise(resolve => void into.once('drain', resolve)), arrived]);
    },
    async close() {
      into.end();
      await arrived;
      if (!inPlace) renameSync(part, path);
    },
    discard() {
      into.destroy();
      if (!inPlace) rmSync(part, {force: true});
    },
  };
}

/** A device or a pipe: something to write into, which no file may take the place of. */
function isPlace(path: string): boolean {
  const found = statSync(path, {throwIfNoEntry: false});
  return found !== undefined && !found.isFile() && !found.isDirectory();
}

/** A reader that has seen enough, such as `head`, is no failure. */
function isGone(cause: unknown): boolean {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  return code === 'EPIPE' || code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ERR_STREAM_DESTROYED';
}
