// An export as it is read again: its first line, its records one by one, and whether it is whole.
import {createHash} from 'node:crypto';
import {createGunzip} from 'node:zlib';
import {Readable} from 'node:stream';
import {ChatError} from '../core/errors.ts';
import type {RoomId} from '../core/ids.ts';
import {firstProblem} from '../core/input.ts';
import {EndLine, exportVersion, HeadLine, kindOfType, readers, type Kind, type Records} from '../core/records.ts';
import type {Io} from './io.ts';
import {linesOf, openInput, type Input} from './rows.ts';

/** A line between the first and the last. */
export interface RecordLine {
  text: string;
  line: number;
  entry: Entry | {problem: string};
  /** Of a room that was refused before: the ids that it has and had. */
  awaited?: RoomId[];
}

export type Entry = {[K in Kind]: {kind: K; record: Records[K]}}[Kind];

export interface ExportFile {
  head: HeadLine;
  records: AsyncIterable<RecordLine>;
  share: Input['share'];
}

/** Opens an export. The records throw export_damaged at their end when some are missing or were changed. */
export async function readExport(io: Io, file: string, parsed: boolean): Promise<ExportFile> {
  const {bytes, share} = openInput(io, file);
  const lines = linesOf(await unpacked(bytes));
  const first = await lines.next();
  const text = first.done ? '' : first.value.text;
  const head = headOf(file, text);
  return {head, records: head.rejects ? rejectsOf(lines) : recordsOf(lines, file, {head, text, parsed}), share};
}

/** What the first line says. Its version comes before all else, because a newer one may say other things. */
function headOf(file: string, text: string): HeadLine {
  const given = json(text);
  const mark = HeadLine.pick({type: true, version: true}).safeParse(given).data;
  if (!mark) {
    throw new ChatError('bad_format', `${file} is not an export of chatctl: its first line is another.`, {
      hint: 'One is written by: chatctl export <file>. A list of members goes in by: chatctl member import <room> <file>',
    });
  }
  if (mark.version > exportVersion) {
    const message = `${file} has format ${mark.version}, and this chatctl reads up to ${exportVersion}.`;
    throw new ChatError('schema_newer', message, {hint: 'Install the newer version.'});
  }
  const {data, error} = HeadLine.safeParse(given);
  if (data) return data;
  const {field, message} = firstProblem(error, given);
  throw damaged(file, `of its first line, ${field} ${message.replace(/\.$/, '')}`);
}

/** Lines that were refused before, each with the reason beside it, which is no part of the record. */
async function* rejectsOf(lines: AsyncIterable<{line: number; text: string}>): AsyncGenerator<RecordLine> {
  for await (const {line, text: given} of lines) {
    const {reason: _, was, ...fields} = objectOf(given);
    const text = Object.keys(fields).length > 0 ? JSON.stringify(fields) : given;
    const kind = kindOfType[String(fields['type'])];
    const awaited = kind === 'rooms' ? [fields['id'] as RoomId, was as RoomId] : [];
    yield {line, text, entry: entryOf(kind, text), awaited};
  }
}

function objectOf(text: string): Record<string, unknown> {
  const value = json(text);
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

interface Expected {
  head: HeadLine;
  /** Of the head. */
  text: string;
  parsed: boolean;
}

async function* recordsOf(
  lines: AsyncIterable<{line: number; text: string}>,
  file: string,
  {head, text: headText, parsed}: Expected,
): AsyncGenerator<RecordLine> {
  const hash = createHash('sha256');
  const found = {counts: {users: 0, rooms: 0, members: 0, messages: 0}, highest: {rooms: 0, messages: 0}};
  for await (const {line, text} of lines) {
    if (text.startsWith('{"type":"end"')) {
      mustBeWhole(file, text, found.counts, hash.digest('hex'));
      return mustFitHead(file, text, head, headText, found.highest);
    }
    hash.update(`${text}\n`);
    const [, type = '', id] = /^\{"type":"([a-z]+)"(?:,"id":(\d+))?/.exec(text) ?? [];
    const kind = kindOfType[type];
    if (kind) found.counts[kind] += 1;
    if (kind === 'rooms' || kind === 'messages') found.highest[kind] = Math.max(found.highest[kind], Number(id));
    if (parsed) yield {line, text, entry: entryOf(kind, text)};
  }
  throw damaged(file, 'it has no last line, so that it is not whole');
}

function entryOf(kind: Kind | undefined, text: string): RecordLine['entry'] {
  const value = json(text);
  if (value === undefined) return {problem: 'the line is cut off, or no JSON'};
  if (kind === undefined) return {problem: 'the line is of no kind known here'};
  const found = readers[kind](value);
  return 'problem' in found ? found : ({kind, record: found.record} as Entry);
}

function mustBeWhole(file: string, text: string, counts: EndLine['counts'], sha256: string): void {
  const end = EndLine.safeParse(json(text)).data;
  if (!end) throw damaged(file, 'its last line cannot be read');
  if (end.sha256 !== sha256) throw damaged(file, 'its lines are not those that were written');
  if (JSON.stringify(end.counts) !== JSON.stringify(counts))
    throw damaged(file, 'its counts are not those of its lines');
}

/** The numbering of a whole database follows the first line, so that it is not believed without a proof. */
function mustFitHead(file: string, end: string, head: HeadLine, headText: string, found: HeadLine['highest']): void {
  const wanted = EndLine.safeParse(json(end)).data?.head_sha256;
  const sha256 = createHash('sha256').update(`${headText}\n`).digest('hex');
  if (wanted !== undefined && wanted !== sha256) throw damaged(file, 'its first line is not the one that was written');
  for (const of of ['rooms', 'messages'] as const) {
    if (found[of] <= head.highest[of]) continue;
    throw damaged(file, `its first line says that ids of ${of} go up to ${head.highest[of]}, and it has ${found[of]}`);
  }
}

function damaged(file: string, why: string): ChatError {
  return new ChatError('export_damaged', `${file} is damaged: ${why}.`, {hint: 'Export once more.'});
}

/** Reads a file through, to know that it is whole before the first row is written. */
export async function mustBeWholeFile(io: Io, file: string): Promise<void> {
  const {records} = await readExport(io, file, false);
  for await (const each of records) void each;
}

function json(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Compressed or not, told by the first two bytes. */
async function unpacked(bytes: AsyncGenerator<Buffer>): Promise<AsyncIterable<Buffer>> {
  const first = await bytes.next();
  if (first.done) return Readable.from([]);
  async function* all(): AsyncGenerator<Buffer> {
    if (!first.done) yield first.value;
    yield* bytes;
  }
  if (first.value[0] !== 0x1f || first.value[1] !== 0x8b) return all();
  return gunzipped(all());
}

async function* gunzipped(bytes: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const source = Readable.from(bytes);
  const gunzip = createGunzip();
  source.once('error', error => gunzip.destroy(error));
  try {
    for await (const chunk of source.pipe(gunzip)) yield chunk as Buffer;
  } catch (cause) {
    if (cause instanceof ChatError) throw cause;
    throw new ChatError('export_damaged', 'The compressed data is damaged or not whole.', {
      cause,
      hint: 'Export once more.',
    });
  }
}
