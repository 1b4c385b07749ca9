// Rows of a CSV or NDJSON input, read as a stream: memory does not grow with the input.
import {createReadStream, statSync} from 'node:fs';
import {resolve} from 'node:path';
import {Readable} from 'node:stream';
import {parse as csvParser, CsvError} from 'csv-parse';
import {ChatError} from '../core/errors.ts';
import {stdinOf, type Io} from './io.ts';
import {unreadable} from './unreadable.ts';

export type RowFormat = 'csv' | 'ndjson';

/** One row as it stands in the input. */
export interface InputRow {
  /** Which row of the input, with the header as the first; in NDJSON the line. */
  line: number;
  /** Cells of a CSV row in the order of the header, or the text of a line. */
  raw: readonly string[] | string;
  /** By the names of the header, or of the object; undefined when the row cannot be read, with the reason. */
  fields: Readonly<Record<string, unknown>> | undefined;
  reason?: string;
}

export interface InputRows {
  format: RowFormat;
  /** Of a CSV input: its header, and what parts its cells. */
  header: readonly string[];
  delimiter: string;
  rows: AsyncIterable<InputRow>;
}

export interface Input {
  /** They throw file_not_found. */
  bytes: AsyncGenerator<Buffer>;
  /** How much of it is read, from 0 to 1: of compressed data the compressed. Undefined where nobody knows its size. */
  share: () => number | undefined;
}

/** A file, or standard input for `-`. */
export function openInput(io: Io, file: string): Input {
  const found = file === '-' ? undefined : statSync(resolve(io.cwd, file), {throwIfNoEntry: false});
  const size = found?.isFile() ? found.size : 0;
  let read = 0;
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of bytesOf(io, file)) {
      yield chunk;
      read += chunk.length;
    }
  }
  return {bytes: counted(), share: () => (size > 0 ? read / size : undefined)};
}

async function* bytesOf(io: Io, file: string): AsyncGenerator<Buffer> {
  if (file === '-') return yield* stdinOf(io);
  const path = resolve(io.cwd, file);
  try {
    for await (const chunk of createReadStream(path)) yield chunk as Buffer;
  } catch (cause) {
    throw unreadable(path, cause, file);
  }
}

/** Whether a file can be read once only: standard input, and what a shell puts in place of `<(…)`. */
export function isStream(io: Io, file: string): boolean {
  if (file === '-') return true;
  const found = statSync(resolve(io.cwd, file), {throwIfNoEntry: false});
  return found !== undefined && !found.isFile() && !found.isDirectory();
}

/** Reads rows; without a format it is told by the first character: a brace begins NDJSON. */
export async function readRows(bytes: AsyncIterable<Buffer>, wanted: RowFormat | undefined): Promise<InputRows> {
  const {first, all} = await peek(bytes);
  const format = wanted ?? (first.trimStart().startsWith('{') ? 'ndjson' : 'csv');
  if (format === 'ndjson') return {format, header: [], delimiter: '', rows: jsonRows(all)};
  return csvRows(all, delimiterOf(first));
}

/** The first line, or as much of it as comes in the first pieces, and the input as it was. */
async function peek(bytes: AsyncIterable<Buffer>): Promise<{first: string; all: AsyncIterable<Buffer>}> {
  const pieces = bytes[Symbol.asyncIterator]();
  const seen: Buffer[] = [];
  let size = 0;
  while (size < peekBytes) {
    const next = await pieces.next();
    if (next.done) break;
    seen.push(next.value);
    size += next.value.length;
    if (next.value.includes(newLine)) break;
  }
  async function* all(): AsyncGenerator<Buffer> {
    yield* seen;
    for (;;) {
      const next = await pieces.next();
      if (next.done) return;
      yield next.value;
    }
  }
  const text = Buffer.concat(seen).toString();
  return {
    first:
      text
        .replace(/^\uFEFF/, '')
        .split(/\r?\n/)
        .find(line => line.trim() !== '') ?? '',
    all: all(),
  };
}

const peekBytes = 65_536;
const newLine = 10;

/** A comma, unless the header has none and has a semicolon or a tab, as spreadsheets of some countries write. */
function delimiterOf(header: string): string {
  if (header.includes(',')) return ',';
  return [';', '\t'].find(each => header.includes(each)) ?? ',';
}

/** A row longer than this is a quote that nobody closed. */
const maxRowBytes = 1_048_576;

async function csvRows(bytes: AsyncIterable<Buffer>, delimiter: string): Promise<InputRows> {
  const parser = Readable.from(bytes, {objectMode: false}).compose(
    csvParser({
      bom: true,
      delimiter,
      // Of what the first line ends with alone, the others would become parts of cells.
      record_delimiter: ['\r\n', '\n', '\r'],
      relax_column_count: true,
      relax_quotes: true,
      skip_empty_lines: true,
      max_record_size: maxRowBytes,
    }),
  );
  const records = cellsOf(parser);
  const head = await records.next();
  if (head.done) {
    throw new ChatError('bad_format', 'The input is empty: its first line names the columns.', {
      hint: 'A list of members begins with the line: user,role',
    });
  }
  const header = head.value.cells.map(cell => cell.trim());
  const twice = header.find((name, i) => name !== '' && header.indexOf(name) < i);
  if (twice !== undefined) {
    throw new ChatError('bad_format', `The header has the column ${twice} twice.`, {
      hint: 'Give one of them another name: of two nobody knows which counts.',
    });
  }
  return {format: 'csv', header, delimiter, rows: withNames(records, header)};
}

interface Cells {
  line: number;
  cells: string[];
}

async function* cellsOf(parser: AsyncIterable<unknown>): AsyncGenerator<Cells, undefined> {
  try {
    let line = 0;
    for await (const cells of parser as AsyncIterable<string[]>) yield {line: ++line, cells};
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new ChatError('bad_format', `The CSV cannot be read on: ${error.message}.`, {
      cause: error,
      hint: 'A quote that opens a cell must be closed in the same cell.',
    });
  }
  return undefined;
}

async function* withNames(records: AsyncIterable<Cells>, header: readonly string[]): AsyncGenerator<InputRow> {
  for await (const {line, cells} of records) {
    if (cells.length === header.length) {
      const named = Object.fromEntries(header.map((name, i) => [name, cells[i]]));
      yield {line, raw: cells, fields: named, ...(cells.some(isBroken) && {fields: undefined, reason: notText})};
    } else {
      const reason = `the row has ${cells.length} cell(s), and the header ${header.length}`;
      yield {line, raw: cells, fields: undefined, reason};
    }
  }
}

const notText = 'the row is not text in UTF-8';

/** What stands where bytes were no UTF-8. */
function isBroken(text: string): boolean {
  return text.includes('\uFFFD');
}

async function* jsonRows(bytes: AsyncIterable<Buffer>): AsyncGenerator<InputRow> {
  for await (const {line, text} of linesOf(bytes)) {
    if (text.trim() === '') continue;
    yield {line, raw: text, ...parsedLine(text)};
  }
}

function parsedLine(text: string): Pick<InputRow, 'fields' | 'reason'> {
  if (isBroken(text)) return {fields: undefined, reason: notText};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return {fields: {...value}};
    return {fields: undefined, reason: 'the line is not a JSON object'};
  } catch {
    return {fields: undefined, reason: 'the line is not JSON'};
  }
}

export interface Line {
  line: number;
  text: string;
}

/** The lines of a text in UTF-8, without their ends. Throws too_large for one that does not end. */
export async function* linesOf(bytes: AsyncIterable<Buffer>): AsyncGenerator<Line> {
  let line = 0;
  let open: Buffer[] = [];
  let size = 0;
  for await (const chunk of bytes) {
    let start = 0;
    for (let end = chunk.indexOf(newLine); end >= 0; end = chunk.indexOf(newLine, start)) {
      line += 1;
      const part = chunk.subarray(start, end);
      yield {line, text: textOf(open.length > 0 ? Buffer.concat([...open, part]) : part, line)};
      open = [];
      size = 0;
      start = end + 1;
    }
    if (start === chunk.length) continue;
    open.push(chunk.subarray(start));
    size += chunk.length - start;
    if (size > maxRowBytes) {
      throw new ChatError('too_large', `Line ${line + 1} is longer than ${maxRowBytes} bytes.`, {
        hint: 'Look whether it is the right file: each line of it is one row.',
      });
    }
  }
  if (size > 0) yield {line: line + 1, text: textOf(Buffer.concat(open), line + 1)};
}

function textOf(bytes: Buffer, line: number): string {
  const text = bytes.toString();
  const whole = text.endsWith('\r') ? text.slice(0, -1) : text;
  return line === 1 ? whole.replace(/^\uFEFF/, '') : whole;
}
