// The rows that an import refused, in the input's own format with the reason beside, so that they can be mended and
// imported again.
import {closeSync, existsSync, ftruncateSync, openSync, statSync, writeSync} from 'node:fs';
import {stringify} from 'csv-stringify/sync';
import {ChatError} from '../core/errors.ts';
import type {InputRow, InputRows} from './rows.ts';

export interface Rejected {
  row: Pick<InputRow, 'raw' | 'fields'>;
  reason: string;
}

/** The text of rejected rows; the first have the header before them, where the format has one. */
export function rejectsText(
  input: Pick<InputRows, 'format' | 'header' | 'delimiter'>,
  rows: readonly Rejected[],
  first: boolean,
): string {
  if (rows.length === 0) return '';
  if (input.format === 'ndjson') {
    const head = first && input.header.length > 0 ? `${input.header.join('')}\n` : '';
    return head + rows.map(each => `${jsonOf(each)}\n`).join('');
  }
  const known = input.header.indexOf(reasonName);
  const width = input.header.length;
  const cells = ({row, reason}: Rejected) => {
    const given = typeof row.raw === 'string' ? [row.raw] : [...row.raw];
    const all = [...given, ...Array.from({length: Math.max(width - given.length, 0)}, () => '')];
    if (known < 0) return [...all, reason];
    return all.with(known, reason);
  };
  const head = known < 0 ? [...input.header, reasonName] : [...input.header];
  return stringify([...(first ? [head] : []), ...rows.map(cells)], {delimiter: input.delimiter});
}

const reasonName = 'reason';

function jsonOf({row, reason}: Rejected): string {
  return JSON.stringify(row.fields ? {...row.fields, reason} : {line: row.raw, reason});
}

export interface RejectsFile {
  write(text: string): void;
  size(): number;
  close(): void;
}

/**
 * The file for what is rejected from here on, made when there is something to write. From `keep` bytes on it is written
 * anew: what stood behind belongs to a batch that did not take place. Throws file_exists where a new import would write
 * over a file; that of one that goes on may have to be written from its start.
 */
export function openRejects(path: string, keep: number, goesOn: boolean): RejectsFile {
  if (!goesOn && existsSync(path) && statSync(path).size > 0) {
    const hint = 'Name another one for --rejects, or remove it.';
    throw new ChatError('file_exists', `The file ${path} exists.`, {hint});
  }
  let file: number | undefined;
  let at = keep;
  return {
    write(text) {
      if (text === '' && !existsSync(path)) return;
      file ??= openSync(path, existsSync(path) ? 'r+' : 'w', 0o600);
      ftruncateSync(file, at);
      const bytes = Buffer.from(text);
      writeSync(file, bytes, 0, bytes.length, at);
      at += bytes.length;
    },
    size: () => at,
    close() {
      if (file !== undefined) closeSync(file);
    },
  };
}
