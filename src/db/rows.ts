// Statements and their rows. The text of a statement does not depend on how many values it is given, wherever the
// database knows lists: then it is prepared once on each connection.
import type {Dialect, Queryable} from './connect.ts';

type Value = string | number | null;
export type Binding = Value | readonly Value[];

/** Runs one SQL text with `?` bindings and gives its rows, whatever shape the driver wraps them in. */
export async function rows<Row>(q: Queryable, text: string, bindings: readonly Binding[] = []): Promise<Row[]> {
  const {connection} = q;
  // Statements of a transaction run in the order of the calls: a lock before what needs it, the end after everything.
  if (q.dialect.lists && connection) return runPrepared(connection as PostgresConnection, text, bindings);
  const query = q.sql.raw(text, [...bindings] as Value[]);
  if (connection) return rowsOf<Row>(await inTurn(connection, () => query.connection(connection)));
  const result: unknown = await (q.dialect.lists ? query.options(named(prepared(text))) : query);
  return rowsOf<Row>(result);
}

/** The last statement given to each connection. SQLite's driver may otherwise run the later of two first. */
const turns = new WeakMap<object, Promise<unknown>>();

function inTurn(connection: object, run: () => PromiseLike<unknown>): Promise<unknown> {
  const turn = (turns.get(connection) ?? Promise.resolve()).then(run, run);
  turns.set(connection, turn);
  return turn;
}

interface PostgresConnection {
  query(query: {text: string; values: readonly Binding[]; name?: string}): Promise<{rows: unknown[]}>;
}

async function runPrepared<Row>(
  connection: PostgresConnection,
  text: string,
  values: readonly Binding[],
): Promise<Row[]> {
  const {numbered, name} = prepared(text);
  return (await connection.query({text: numbered, values, ...named({name})})).rows as Row[];
}

function rowsOf<Row>(result: unknown): Row[] {
  if (Array.isArray(result)) return result as Row[];
  if (typeof result === 'object' && result !== null && 'rows' in result) return result.rows as Row[];
  return [];
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

function named({name}: Pick<Prepared, 'name'>): {name?: string} {
  return name === undefined ? {} : {name};
}

/** A piece of SQL with what it binds. */
export interface Piece {
  text: string;
  bindings: Binding[];
}

export type ColumnType = 'bigint' | 'int' | 'text' | 'timestamptz';

/** `in (…)` these values; to be written behind a column. */
export function among(dialect: Dialect, type: ColumnType, values: readonly Value[]): Piece {
  if (dialect.lists) return {text: `= any(?::${type}[])`, bindings: [values]};
  return {text: `in (${values.map(() => '?').join(', ')})`, bindings: [...values]};
}

/** Those of these conditions, each with one `?`, whose value is given; to be written behind another condition. */
export function andGiven(...conditions: readonly (readonly [text: string, value: Value | undefined])[]): Piece {
  const given = conditions.flatMap(([text, value]) => (value === undefined ? [] : [{text, value}]));
  return {text: given.map(each => ` and ${each.text}`).join(''), bindings: given.map(each => each.value)};
}

/** These rows as a table `v (column1, column2, …)` to select from. */
export function table(dialect: Dialect, types: readonly ColumnType[], values: readonly (readonly Value[])[]): Piece {
  if (dialect.lists) {
    const columns = types.map((_, i) => `column${i + 1}`).join(', ');
    return {
      text: `unnest(${types.map(type => `?::${type}[]`).join(', ')}) as v (${columns})`,
      bindings: types.map((_, i) => values.map(row => row[i] ?? null)),
    };
  }
  const row = `(${types.map(() => '?').join(', ')})`;
  return {text: `(values ${values.map(() => row).join(', ')}) as v`, bindings: values.flat()};
}

/** PostgreSQL's refusal of a value that another transaction took meanwhile. SQLite lets one transaction write at a time. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '23505';
}
