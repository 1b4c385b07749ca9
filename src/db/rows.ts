// Statements and their rows. The text of a statement does not depend on how many values it is given, so that it
// is prepared once on each connection.
import type {Socket} from 'node:net';
import type {Dialect, Queryable} from './connect.ts';
import {onConnection} from './pool.ts';
import type {SqliteConnection} from './sqlite-client.ts';

type Value = string | number | null;
/** A list only where a statement is for PostgreSQL alone. */
export type Binding = Value | readonly Value[];

/** Runs one SQL text with `?` bindings and gives its rows, on the connection of the transaction or on any. */
export async function rows<Row>(q: Queryable, text: string, bindings: readonly Binding[] = []): Promise<Row[]> {
  if (q.connection) return ask(q.dialect, q.connection, text, bindings);
  return onConnection(q.sql, connection => ask(q.dialect, connection, text, bindings));
}

/** What a connection is asked happens in the order of the calls: a lock before what needs it, the end after everything. */
function ask<Row>({lists}: Dialect, connection: object, text: string, bindings: readonly Binding[]): Promise<Row[]> {
  if (lists === 'arrays') return runPrepared(connection as PostgresConnection, text, bindings);
  return askInTurn(connection as SqliteConnection, {text, bindings}, text.startsWith('select ') ? reads : undefined);
}

/** The group of selects, which on SQLite only read: those asked for together take one turn of the event loop instead of several. */
const reads = {};

/** The last statements that a connection was given. SQLite's driver may otherwise run the later of two first. */
interface Turn {
  before: Promise<void>;
  end: Promise<void>;
  /** Statements of one group need nothing of each other, and none of them waits for another. */
  group: object | undefined;
}
const turns = new WeakMap<object, Turn>();

function askInTurn<Row>(connection: SqliteConnection, {text, bindings}: Piece, group?: object): Promise<Row[]> {
  const last = turns.get(connection);
  const beside = group && last?.group === group ? last : undefined;
  const before = beside?.before ?? last?.end ?? Promise.resolve();
  const asked = before.then(() => connection.ask(text, bindings as readonly Value[]));
  // Of the rows nothing is kept: those of everything that was ever asked would hang on the last one.
  const done = asked.then(nothing, nothing);
  const end = beside ? Promise.all([beside.end, done]).then(nothing) : done;
  turns.set(connection, {before, end, group});
  return asked as Promise<Row[]>;
}

function nothing(): void {}

interface PostgresConnection {
  connection: {stream: Socket};
  query(query: {text: string; values: readonly Binding[]; name?: string}): Promise<{rows: unknown[]}>;
}

async function runPrepared<Row>(
  connection: PostgresConnection,
  text: string,
  values: readonly Binding[],
): Promise<Row[]> {
  const {numbered, name} = prepared(text);
  sendTogether(connection.connection.stream);
  return (await connection.query({text: numbered, values, ...(name !== undefined && {name})})).rows as Row[];
}

/** What is asked before this process waits again goes out as one packet: each is a call of the system and wakes PostgreSQL. */
function sendTogether(stream: Socket): void {
  if (stream.writableCorked > 0) return;
  stream.cork();
  process.nextTick(() => stream.uncork());
}

interface Prepared {
  /** With `$1` for the first `?`, and so on. */
  numbered: string;
  name: string | undefined;
}

/** There are about a hundred texts; a statement beyond this is not prepared, so that a mistake here costs no memory. */
const maxPrepared = 500;
const preparedTexts = new Map<string, Prepared>();

function prepared(text: string): Prepared {
  const known = preparedTexts.get(text);
  if (known) return known;
  let n = 0;
  const numbered = text.replaceAll('?', () => `$${++n}`);
  if (preparedTexts.size >= maxPrepared) return {numbered, name: undefined};
  const made = {numbered, name: `chatctl_${preparedTexts.size + 1}`};
  preparedTexts.set(text, made);
  return made;
}

/** A piece of SQL with what it binds. */
export interface Piece {
  text: string;
  bindings: readonly Binding[];
}

/**
 * Runs writes that need nothing of each other, as one statement where the database can do that, and gives the rows of the
 * last of them.
 */
export async function rowsBeside<Row>(q: Queryable, others: readonly Piece[], last: Piece): Promise<Row[]> {
  if (!q.dialect.writesTogether) return besideInSqlite(q, [...others, last]);
  const names = others.map(({text}, i) => `write${i} as (${text})`);
  const text = names.length > 0 ? `with ${names.join(', ')} ${last.text}` : last.text;
  return rows<Row>(q, text, [...others.flatMap(each => each.bindings), ...last.bindings]);
}

async function besideInSqlite<Row>({connection}: Queryable, pieces: readonly Piece[]): Promise<Row[]> {
  if (!connection) throw new Error('writes that are made together need a transaction');
  const group = {};
  const made = await Promise.all(pieces.map(piece => askInTurn<Row>(connection as SqliteConnection, piece, group)));
  return made.at(-1) ?? [];
}

export type ColumnType = 'bigint' | 'int' | 'text' | 'timestamptz';

/** `in (…)` these values; to be written behind a column. */
export function among(dialect: Dialect, type: ColumnType, values: readonly Value[]): Piece {
  if (dialect.lists === 'arrays') return {text: `= any(?::${type}[])`, bindings: [arrayText(type, values)]};
  return {text: 'in (select value from json_each(?))', bindings: [JSON.stringify(values)]};
}

/** Those of these conditions, each with one `?`, whose value is given; to be written behind another condition. */
export function andGiven(...conditions: readonly (readonly [text: string, value: Value | undefined])[]): Piece {
  const given = conditions.flatMap(([text, value]) => (value === undefined ? [] : [{text, value}]));
  return {text: given.map(each => ` and ${each.text}`).join(''), bindings: given.map(each => each.value)};
}

/** These rows as a table `v (column1, column2, …)` to select from. */
export function table(dialect: Dialect, types: readonly ColumnType[], values: readonly (readonly Value[])[]): Piece {
  if (dialect.lists === 'arrays') {
    const columns = types.map((_, i) => `column${i + 1}`).join(', ');
    return {
      text: `unnest(${types.map(type => `?::${type}[]`).join(', ')}) as v (${columns})`,
      bindings: types.map((type, i) =>
        arrayText(
          type,
          values.map(row => row[i] ?? null),
        ),
      ),
    };
  }
  const columns = types.map((_, i) => `value ->> ${i} as column${i + 1}`).join(', ');
  return {text: `(select ${columns} from json_each(?)) as v`, bindings: [JSON.stringify(values)]};
}

/** An array as PostgreSQL reads it. The driver writes the same and looks twice at every value. */
function arrayText(type: ColumnType, values: readonly Value[]): string {
  const plain = type === 'bigint' || type === 'int';
  const texts = values.map(value => {
    if (value === null) return 'NULL';
    return plain ? String(value) : `"${escaped(String(value))}"`;
  });
  return `{${texts.join(',')}}`;
}

function escaped(text: string): string {
  return text.includes('"') || text.includes('\\') ? text.replaceAll(/["\\]/g, '\\$&') : text;
}

/** PostgreSQL's refusal of a value that another transaction took meanwhile. SQLite lets one transaction write at a time. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '23505';
}
