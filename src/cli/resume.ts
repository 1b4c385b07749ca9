// Going on with an import that was interrupted: the checkpoint beside its input says which it is, its row in the database
// how far it came, and what is in already is read over and must be what it was.
import type {Hash} from 'node:crypto';
import {resolve} from 'node:path';
import {ChatError} from '../core/errors.ts';
import {findImportAt, newImportId} from '../core/imports.ts';
import type {Import} from '../db/imports.ts';
import {checkpointFile, type CheckpointFile} from './checkpoint.ts';
import {mannerOf, nextCommand, wordsOf, type Said} from './command-name.ts';
import type {Cli} from './context.ts';
import {openRejects, rejectsHead, type KeptRejects, type RejectedInput, type RejectsFile} from './rejects.ts';

export interface Place {
  checkpoint: CheckpointFile;
  id: string;
  /** Of an import that goes on. */
  row: Import | undefined;
  /** Lines or rows of the input that are in. */
  position: number;
  inputHash: string;
}

export interface PlaceWish {
  file: string;
  /** What is imported into, by which an import of the same file into something else is told apart. */
  into: string;
  resume: boolean;
  /** Nothing is written, so that nothing goes on. */
  dry: boolean;
  /** What the input has: rows, or lines. */
  unit: 'row' | 'line';
}

/** A new import, or the one that the checkpoint beside the input belongs to. Throws import_unfinished. */
export async function findPlace(cli: Cli, {file, into, resume, dry, unit}: PlaceWish): Promise<Place> {
  const chat = await cli.chat();
  const checkpoint = checkpointFile(cli.io, file);
  const known = dry ? undefined : checkpoint.read();
  if (known && (known.database !== chat.databaseId || known.into !== into)) {
    throw new ChatError('import_unfinished', `${checkpoint.path} is of an import into another room or database.`, {
      hint: 'Finish that one, or remove the file.',
    });
  }
  const row = known && (await findImportAt(chat, cli.actor, known.import));
  if (row && !resume) {
    throw new ChatError('import_unfinished', `${row.position} ${unit}(s) of ${file} are in already.`, {
      hint: `Go on with --resume, or remove ${checkpoint.path} to begin again.`,
    });
  }
  if (!row && resume && !dry) cli.note('There is nothing to go on with; it begins at the start.');
  const id = known?.import ?? newImportId();
  return {checkpoint, id, row, position: row?.position ?? 0, inputHash: row?.inputHash ?? ''};
}

/** Holds what is said now to what an import was begun with; what is not said is as it was. Throws import_unfinished. */
export function mustBeAsBegun<T extends string>(
  said: Readonly<Record<T, unknown>>,
  begun: Readonly<Record<T, unknown>>,
  flags: readonly T[],
): void {
  for (const flag of flags) {
    if (said[flag] === undefined || said[flag] === begun[flag]) continue;
    const first = `--${flag} ${String(begun[flag])}`;
    throw new ChatError('import_unfinished', `This import was begun with ${first}.`, {
      hint: `Go on with --resume ${first}, or with --resume and no --${flag}.`,
    });
  }
}

/** The file of --rejects; what the last batch rejected may have been lost with the process and is written once more. */
export function goOnRejecting(
  cli: Cli,
  {rejects, file}: {rejects: string | undefined; file: string},
  input: RejectedInput,
  {row}: Pick<Place, 'row'>,
  kept: KeptRejects,
): RejectsFile | undefined {
  if (rejects === undefined) return undefined;
  const wish = {kept, input: resolve(cli.io.cwd, file), head: rejectsHead(input)};
  const opened = openRejects(resolve(cli.io.cwd, rejects), wish);
  if (row) opened.write(kept.text);
  return opened;
}

/** Reads over what is in already, adding it to the hash. Throws input_changed when it is not what it was. */
export async function skipTo<T>(
  {position, inputHash}: Pick<Place, 'position' | 'inputHash'>,
  items: AsyncIterator<T>,
  hash: Hash,
  textOf: (item: T) => string,
): Promise<void> {
  for (let at = 0; at < position; at++) {
    const next = await items.next();
    if (next.done) throw inputChanged(position);
    hash.update(textOf(next.value));
  }
  if (position > 0 && hash.copy().digest('hex') !== inputHash) throw inputChanged(position);
}

interface Stopped {
  command: readonly string[];
  args: readonly string[];
  /** The command's own. */
  flags: Said;
  /** How far it came: `600 row(s)`. */
  read: string;
}

/** Says how an import that was interrupted goes on: with all that was said of it. */
export function tellStop(cli: Cli, {command, args, flags, read}: Stopped): void {
  if (cli.globals.dryRun) return cli.note(`Stopped after ${read}; it was a rehearsal, and none are in.`);
  cli.note(`Stopped after ${read}; they are in.`);
  const words = [...wordsOf({...flags, '--resume': true}), ...mannerOf(cli)];
  cli.note(`Go on with: ${nextCommand(cli, command, args, words)}`);
}

function inputChanged(position: number): ChatError {
  return new ChatError('input_changed', `The first ${position} of the input are not those that were imported.`, {
    hint: 'Go on with the input as it was; what was added behind its end is no change.',
  });
}
