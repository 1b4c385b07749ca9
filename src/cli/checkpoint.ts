// The file beside an input that says which import it belongs to and how far that has come, for --resume.
//
// What counts is the row in the database, which commits with each batch; the file is written after it and may lag behind
// by one batch when the process was killed in between. Whoever goes on finds the import by the file and its place by the
// row.
import {existsSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {basename, join, resolve} from 'node:path';
import {z} from 'zod';
import {ChatError} from '../core/errors.ts';
import type {Io} from './io.ts';
import {isStream} from './rows.ts';

const Checkpoint = z.object({
  import: z.string(),
  database: z.string(),
  into: z.string(),
  rows: z.int().min(0),
  input_hash: z.string(),
  counts: z.record(z.string(), z.number()),
});
export type Checkpoint = z.output<typeof Checkpoint>;

export interface CheckpointFile {
  path: string;
  read(): Checkpoint | undefined;
  write(checkpoint: Checkpoint): void;
  remove(): void;
}

/** Beside the input; for what has no place of its own, such as standard input, in the working folder. */
export function checkpointFile(io: Io, file: string): CheckpointFile {
  const path = isStream(io, file) ? join(io.cwd, 'stdin.checkpoint.json') : `${resolve(io.cwd, file)}.checkpoint.json`;
  return {
    path,
    read() {
      if (!existsSync(path)) return undefined;
      try {
        return Checkpoint.parse(JSON.parse(readFileSync(path, 'utf8')));
      } catch (cause) {
        throw new ChatError('invalid_input', `${basename(path)} is not a checkpoint that can be read.`, {
          cause,
          hint: `Remove ${path} to begin again; rows that are in are not added twice.`,
        });
      }
    },
    write(checkpoint) {
      // Another name first: a kill in the middle leaves the old file whole.
      try {
        // A link that somebody laid there is not followed.
        rmSync(`${path}.part`, {force: true});
        writeFileSync(`${path}.part`, `${JSON.stringify(checkpoint)}\n`, {mode: 0o600, flag: 'wx', flush: true});
        renameSync(`${path}.part`, path);
      } catch (cause) {
        throw new ChatError('invalid_input', `The checkpoint ${path} cannot be written.`, {
          cause,
          hint: 'Copy the input to a folder that can be written.',
        });
      }
    },
    remove: () => rmSync(path, {force: true}),
  };
}
