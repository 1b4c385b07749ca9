// The rows that an import refused, in the input's own format with the reason beside, so that they can be mended and
// imported again.
import {closeSync, existsSync, ftruncateSync, openSync, readSync, realpathSync, statSync, writeSync} from 'node:fs';
import {stringify} from 'csv-stringify/sync';
import {z} from 'zod';
import {ChatError} from '../core/errors.ts';
import type {InputRow, InputRows} from './rows.ts';
import {mustBeWritable, notWritable} from './writable.ts';

export interface Rejected {
  row: Pick<InputRow, 'raw' | 'fields'>;
  reason: string;
}

/** What the format of the file is read off. */
export type RejectedInput = Pick<InputRows, 'format' | 'header' | 'delimiter'>;

/** What the file begins with, where its format has something. */
export function rejectsHead({format, header, delimiter}: RejectedInput): string {
  if (format === 'ndjson') return header.length > 0 ? `${header.join('')}\n` : '';
  return stringify([header.includes(reasonName) ? [...header] : [...header, reasonName]], {delimiter});
}

function rejectsText(input: RejectedInput, rows: readonly Rejected[]): string {
  if (input.format === 'ndjson') return rows.map(each => `${jsonOf(each)}\n`).join('');
  const known = input.header.indexOf(reasonName);
  const width = input.header.length;
  const cells = ({row, reason}: Rejected) => {
    const given = typeof row.raw === 'string' ? [row.raw] : [...row.raw];
    const all = [...given, ...Array.from({length: Math.max(width - given.length, 0)}, () => '')];
    if (known < 0) return [...all, reason];
    return all.with(known, reason);
  };
  return stringify(rows.map(cells), {delimiter: input.delimiter});
}

const reasonName = 'reason';

function jsonOf({row, reason}: Rejected): string {
  return JSON.stringify(row.fields ? {...row.fields, reason} : {line: row.raw, reason});
}

/** What an import remembers of its file: how long it was before the last batch, what that adds, and of how many rows. */
export const KeptRejects = z.object({bytes: z.number(), text: z.string(), rows: z.number().default(0)});
export type KeptRejects = z.output<typeof KeptRejects>;

export const noRejects: KeptRejects = {bytes: 0, text: '', rows: 0};

/** With the rejected rows of one more batch, if there is a file that they are for. */
export function withRejected(
  kept: KeptRejects,
  file: RejectsFile | undefined,
  input: RejectedInput,
  rows: readonly Rejected[],
): KeptRejects {
  const bytes = kept.bytes + Buffer.byteLength(kept.text);
  if (!file || rows.length === 0) return {...kept, bytes, text: ''};
  const head = bytes === 0 ? rejectsHead(input) : '';
  return {bytes, text: head + rejectsText(input, rows), rows: kept.rows + rows.length};
}

export interface RejectsFile {
  write(text: string): void;
  close(): void;
}

export interface RejectsWish {
  /** What an import that goes on has written so far. */
  kept: KeptRejects;
  /** Where the rows come from, which is not written over. */
  input: string;
  head: string;
}

/**
 * The file for what is rejected from here on, made when there is something to write. Behind the bytes that are kept it is
 * written anew: what stands there belongs to a batch that did not take place. Throws where that would write over anything
 * but what the import itself has written, or where it cannot be written.
 */
export function openRejects(path: string, wish: RejectsWish): RejectsFile {
  mustBeOwn(path, wish);
  mustBeWritable(path);
  let file: number | undefined;
  let at = wish.kept.bytes;
  return {
    write(text) {
      if (text === '' && !existsSync(path)) return;
      try {
        file ??= openSync(path, existsSync(path) ? 'r+' : 'wx', 0o600);
        ftruncateSync(file, at);
        const bytes = Buffer.from(text);
        writeSync(file, bytes, 0, bytes.length, at);
        at += bytes.length;
      } catch (cause) {
        throw notWritable(path, cause);
      }
    },
    close() {
      if (file !== undefined) closeSync(file);
    },
  };
}

function mustBeOwn(path: string, wish: RejectsWish): void {
  const {kept, input} = wish;
  const there = existsSync(path) ? statSync(path) : undefined;
  const isInput = there !== undefined && existsSync(input) && realpathSync(path) === realpathSync(input);
  if (there && (isInput || !there.isFile() || (there.size > 0 && !beginsAsWritten(path, wish)))) {
    const hint = 'Name another one for --rejects, or remove it.';
    throw new ChatError('file_exists', `The file ${path} exists.`, {hint});
  }
  if ((there?.size ?? 0) < kept.bytes) {
    throw new ChatError('import_unfinished', `${path} does not hold what this import has rejected so far.`, {
      hint: 'Name the file that it was begun with for --rejects, or leave --rejects out.',
    });
  }
}

/** Whether a file that is not empty begins with what the import has written; of a batch that was ended it may be a part. */
function beginsAsWritten(path: string, {kept, head}: RejectsWish): boolean {
  const wanted = Buffer.from(kept.bytes === 0 ? kept.text : head);
  if (wanted.length === 0) return kept.bytes > 0;
  const start = Buffer.alloc(wanted.length);
  const file = openSync(path, 'r');
  try {
    const length = readSync(file, start, 0, start.length, 0);
    return start.subarray(0, length).equals(wanted.subarray(0, length));
  } finally {
    closeSync(file);
  }
}

/** For the end of an import: where its rejected rows are. */
export function whereRejected(path: string | undefined, rejected: number, {rows}: KeptRejects): string {
  if (path === undefined) return 'See them with --rejects <file>.';
  return rows === rejected
    ? `They are in ${path}.`
    : `${rows} of them are in ${path}; those before it was named are not.`;
}
