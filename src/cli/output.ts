// Data on stdout in the format that was asked for. The JSON objects are those of the REST API.
import type {aligned, fitted} from './columns.ts';
import type {Io} from './io.ts';
import {ago, inCell, jsonLine, visible} from './text.ts';

export const formats = ['table', 'plain', 'json', 'ndjson', 'csv', 'id'] as const;
export type Format = (typeof formats)[number];

/** For programs: what has no rows is one object. */
export const isJson = (format: Format): boolean => format === 'json' || format === 'ndjson';

/** What a command has to show. */
export interface Result<Item extends object = object> {
  items: readonly Item[];
  /** Paths into an item, such as `name` or `user.id`, for formats with columns. */
  columns: readonly string[];
  /** The path of the id. */
  id: string;
  /** The whole document of `--json`, around the items. */
  json: (items: readonly object[]) => object;
  /** One thing and not a list: on a terminal its fields stand below each other. */
  single?: boolean;
}

/** The same as it is read, page by page. */
export interface Pages extends Omit<Result, 'items'> {
  pages: AsyncIterable<readonly object[]>;
}

export interface Printer {
  print(result: Result): void;
  /** Prints each page as it comes, in formats of lines. False when the reader has seen enough: no more is read then. */
  printPages(list: Pages): Promise<boolean>;
  /** One line of a stream. */
  line(value: object): void;
  format: Format;
}

/** Lays out tables: loaded where one is printed only. */
interface Layout {
  aligned: typeof aligned;
  fitted: typeof fitted;
  /** Of the terminal; a file has none. */
  width: number;
}

export async function printer(io: Io, format: Format, fields: readonly string[] | undefined): Promise<Printer> {
  const width = (io.stdout.isTTY && io.stdout.columns) || Infinity;
  const layout = format === 'table' ? {...(await import('./columns.ts')), width} : undefined;
  const write = (text: string) => void io.stdout.write(`${text}\n`);
  return {
    format,
    line: value => write(jsonLine(value)),
    print(result) {
      for (const line of linesOf(result, format, fields, layout)) write(line);
    },
    async printPages({pages, ...shape}) {
      const isWhole = format === 'json' || format === 'table';
      const kept: object[] = [];
      let isFirst = true;
      for await (const items of pages) {
        if (isWhole) kept.push(...items);
        else {
          const lines = linesOf({...shape, items}, format, fields, layout);
          if (!(await isTaken(io.stdout, format === 'csv' && !isFirst ? lines.slice(1) : lines))) return false;
        }
        isFirst = false;
      }
      if (isWhole) for (const line of linesOf({...shape, items: kept}, format, fields, layout)) write(line);
      return true;
    },
  };
}

/** Waits until a reader who is slow has them. */
function isTaken(stream: Io['stdout'], lines: readonly string[]): Promise<boolean> {
  const text = lines.map(line => `${line}\n`).join('');
  return new Promise(resolve => void stream.write(text, error => resolve(!error)));
}

function linesOf(
  result: Result,
  format: Format,
  fields: readonly string[] | undefined,
  layout: Layout | undefined,
): string[] {
  const columns = fields ?? result.columns;
  const items = fields ? result.items.map(item => picked(item, fields)) : result.items;
  switch (format) {
    case 'json':
      return [jsonLine(result.json(items))];
    case 'ndjson':
      return items.map(jsonLine);
    case 'id':
      // What failed has no id to go on with.
      return result.items
        .filter(item => valueAt(item, 'ok') !== false)
        .map(item => inCell(plain(valueAt(item, result.id))));
    case 'csv':
      return [columns, ...cells(result, columns, value => visible(plain(value)))].map(row => row.map(quoted).join(','));
    case 'plain':
      return cells(result, columns, value => inCell(plain(value))).map(row => row.join('\t'));
    case 'table':
      return layout ? tableOf(result, columns, layout) : [];
  }
}

function tableOf(result: Result, columns: readonly string[], layout: Layout): string[] {
  const rows = cells(result, columns, (value, column) => inCell(human(value, column)));
  const below = (row: readonly string[]) => layout.aligned(columns.map((column, i) => [`${column}:`, row[i] ?? '']));
  if (result.single && rows[0]) return below(rows[0]);
  if (rows.length === 0) return [];
  const head = columns.map(column => column.replaceAll(/[._]/g, ' ').toUpperCase());
  const mayCut = columns.map(column => column !== result.id && isText(column));
  const table = layout.fitted([head, ...rows], layout.width, mayCut);
  return table ?? rows.flatMap((row, i) => [...(i > 0 ? [''] : []), ...below(row)]);
}

/** What people write and others only look over. Ids, times and what says why are there to be read whole. */
function isText(column: string): boolean {
  return /(?:^|\.)(?:name|username|content)$/.test(column);
}

function cells(
  result: Result,
  columns: readonly string[],
  show: (value: unknown, column: string) => string,
): string[][] {
  return result.items.map(item => columns.map(column => show(valueAt(item, column), column)));
}

function plain(value: unknown): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'object') return JSON.stringify(value);
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function human(value: unknown, column: string): string {
  if (value === null || value === undefined || value === '') return '-';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value === 'string' && column.endsWith('_at')) return ago(value, Date.now());
  return plain(value);
}

/** Cells that a spreadsheet would take for a formula are led by a quote. */
function quoted(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** What an item has there: null also where something above is, as of a room without messages its last one's text. */
function valueAt(item: object, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => {
    if (value === null) return null;
    return typeof value === 'object' && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined;
  }, item);
}

/** Of what one of these does not have, as what went well has no error, null. */
function picked(item: object, fields: readonly string[]): object {
  const result: Record<string, unknown> = {};
  for (const field of fields) result[field] = valueAt(item, field) ?? null;
  return result;
}
