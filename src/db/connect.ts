// Opens the one database that the server and the command line share.
//
// SQLite: the file is in WAL mode with synchronous=FULL, so that what was acknowledged survives a power cut. One
// connection writes and a few read, a Knex with a pool for each kind. PostgreSQL: one Knex with a pool.
import {closeSync, existsSync, openSync, statSync} from 'node:fs';
import {dirname, resolve} from 'node:path';
import type {Knex} from 'knex';
import {ChatError} from '../core/errors.ts';
import {sqliteDriver, type SqliteDriverName} from './drivers.ts';
import {makeFolder} from './folders.ts';
import type {Rehearsed} from './rehearsal.ts';
import {writerQueue, type WriterQueue} from './writer.ts';

/** What differs between the databases; each difference has a name and is asked for nowhere else by database. */
export interface Dialect {
  name: 'sqlite' | 'postgres';
  /** Rows are locked one by one; without it the writing transaction holds the whole database. */
  rowLocks: boolean;
  /** As what a list is given to a statement, which is prepared by its text. */
  lists: 'arrays' | 'json';
  /** Several writes can be one statement. */
  writesTogether: boolean;
  /** The aggregate that makes a JSON list of a column, and the function that makes one of a row's values. */
  jsonList: 'json_group_array' | 'json_agg';
  jsonRow: 'json_array' | 'json_build_array';
  /** Ids come from sequences beside the tables; without them they go on from the last one. */
  sequences: boolean;
  /** Who connects is a user of the database with rights of their own; without it a file is all there is. */
  users: boolean;
  /** Behind a column: it is compared by its bytes, and `lower` folds the letters of ASCII only. */
  byBytes: '' | ' collate "C"';
}

/** Where statements go: a database for reading, or a transaction. */
export interface Queryable {
  sql: Knex;
  dialect: Dialect;
  /** The connection that a transaction has for itself. */
  connection?: object;
}

export interface Db extends Queryable {
  /** The connection that writes; only db/transaction uses it. */
  writer: Knex;
  queue: WriterQueue;
  target: DatabaseTarget;
  sqliteDriver: SqliteDriverName | undefined;
  /** Every transaction is rolled back at its end: a rehearsal. */
  dryRun: boolean;
  /** In a rehearsal, what would have been written so far. */
  rehearsed: Rehearsed;
  close(): Promise<void>;
}

/** A database address that was understood. `label` is safe to print. */
export type DatabaseTarget =
  {dialect: 'sqlite'; path: string; label: string} | {dialect: 'postgres'; url: string; label: string};

const dialects: Record<Dialect['name'], Dialect> = {
  sqlite: {
    name: 'sqlite',
    rowLocks: false,
    lists: 'json',
    writesTogether: false,
    jsonList: 'json_group_array',
    jsonRow: 'json_array',
    users: false,
    sequences: false,
    byBytes: '',
  },
  postgres: {
    name: 'postgres',
    rowLocks: true,
    lists: 'arrays',
    writesTogether: true,
    jsonList: 'json_agg',
    jsonRow: 'json_build_array',
    users: true,
    sequences: true,
    byBytes: ' collate "C"',
  },
};

/** Understands `sqlite:path`, `sqlite:///absolute`, `file:path` and `postgres://…`. Throws config_invalid. */
export function parseDatabaseUrl(url: string): DatabaseTarget {
  const sqlite = /^(?:sqlite3?|file):(?:\/\/(?=\/))?(.+)$/.exec(url);
  if (sqlite?.[1]) {
    const path = resolve(sqlite[1]);
    return {dialect: 'sqlite', path, label: `sqlite ${path}`};
  }
  if (/^postgres(ql)?:\/\//.test(url) && URL.canParse(url)) {
    const target = new URL(url);
    const {hostname, port, pathname} = target;
    // What the driver makes of these modes in any case; it would warn of it with every start.
    const sslmode = target.searchParams.get('sslmode') ?? '';
    if (['prefer', 'require', 'verify-ca'].includes(sslmode)) target.searchParams.set('sslmode', 'verify-full');
    return {dialect: 'postgres', url: target.href, label: `postgres ${hostname}${port ? `:${port}` : ''}${pathname}`};
  }
  throw new ChatError(
    'config_invalid',
    'The address of the database is neither sqlite:<path> nor a valid postgres://user@host/database.',
    {
      hint: `It is that of --db or DATABASE_URL. ${encoding}`,
    },
  );
}

/** What makes most addresses invalid. */
export const encoding = 'Percent-encode special characters of the password, for example %40 for @.';

export interface ConnectOptions {
  /** Connections to PostgreSQL at most. */
  poolMax?: number;
  /** Whether a SQLite file may be created. */
  create?: boolean;
  /** Roll every transaction back at its end. */
  dryRun?: boolean;
  /** It is gone with its process, so that nothing waits for the disk. */
  throwaway?: boolean;
  /** Which SQLite driver; the first that loads when it is not said. */
  sqliteDriver?: SqliteDriverName;
}

/** Opens the database without looking at its schema. Rejects with database_unavailable. */
export async function connect(target: DatabaseTarget, options: ConnectOptions = {}): Promise<Db> {
  const db =
    target.dialect === 'sqlite' ? await connectSqlite(target, options) : await connectPostgres(target, options);
  try {
    await db.sql.raw('select 1');
  } catch (cause) {
    await db.close();
    throw unavailable(target, cause);
  }
  return db;
}

/**
 * 32 MB, eight times the usual. When there are so many the commit under way moves them into the file and waits for the disk
 * once more; the pages that posts write again and again are moved less often so.
 */
const walPages = 'wal_autocheckpoint=8000';

/**
 * What asks holds its connection until the event loop comes by again, so that at one alone others wait though nothing is read,
 * and all of them while something is exported. Each read takes one of libuv's four threads, and so does each statement of a post.
 */
const readingConnections = 3;

async function connectSqlite(target: DatabaseTarget & {dialect: 'sqlite'}, options: ConnectOptions): Promise<Db> {
  prepareFile(target.path, options.create ?? false);
  const driver = await sqliteDriver(options.sqliteDriver);
  const knex = await loadKnex();
  const open = (pragmas: string[], connections?: number) =>
    knex({...driver.config(target.path, pragmas, connections), log: silent});
  const safety = options.throwaway ? 'synchronous=OFF' : 'synchronous=FULL';
  // To turn WAL on it waits for others who do; from then on waiting is the writer's queue's business.
  const writer = open(['busy_timeout=5000', 'journal_mode=WAL', safety, walPages, 'foreign_keys=ON', 'busy_timeout=0']);
  const queue = writerQueue();
  try {
    // The writer goes first: it turns WAL on, which the readers then find.
    await writer.raw('select 1');
  } catch (cause) {
    await writer.destroy();
    throw unavailable(target, cause);
  }
  const readers = open(['busy_timeout=5000', 'query_only=ON'], readingConnections);
  async function close() {
    await queue.close();
    // Not both at once: each would leave it to the other to move what the WAL holds into the file, and neither would.
    try {
      await readers.destroy();
    } finally {
      await writer.destroy();
    }
  }
  const {sqliteDriver: driverName, dryRun = false} = options;
  return {
    sql: readers,
    writer,
    queue,
    target,
    sqliteDriver: driverName,
    dialect: dialects.sqlite,
    dryRun,
    rehearsed: {},
    close,
  };
}

// Knex prints a refused connection with its stack; whoever asked for the connection gets the error anyway.
const silent = {warn: () => undefined, error: () => undefined, deprecate: () => undefined, debug: () => undefined};

/** Knex is most of a short command's start; what only reads an address does without it. */
async function loadKnex() {
  return (await import('knex')).default;
}

/**
 * Statements keep to indexes: a plan lives as long as its statement, and that of one over a small table reads it whole. The
 * outbox is small and then, behind a broker that is away, large: until PostgreSQL has looked at it again, a minute later at
 * best, every delete would read all that waits; and an import begins with empty tables. The test of the plans lets
 * PostgreSQL choose, so that a missing index shows. For the same reason each has one plan: made anew for the values of a
 * call it would be the same one, and a sixth of what a batch of posts costs PostgreSQL goes into making it.
 */
const sessionSettings = [
  'timezone=UTC',
  'statement_timeout=30000',
  'lock_timeout=10000',
  'jit=off',
  'enable_seqscan=off',
  'plan_cache_mode=force_generic_plan',
];

async function connectPostgres(target: DatabaseTarget & {dialect: 'postgres'}, options: ConnectOptions): Promise<Db> {
  const [knex, {postgresTypes}] = await Promise.all([loadKnex(), import('./postgres.ts')]);
  const connection = {
    connectionString: target.url,
    types: postgresTypes,
    options: sessionSettings.map(each => `-c ${each}`).join(' '),
    application_name: 'chatctl',
    // Statements that need not wait for each other go out together. Knex hands this on and does not know it.
    pipeline: true,
  };
  const sql = knex({
    client: 'pg',
    connection,
    pool: {min: 0, max: options.poolMax ?? 10},
    acquireConnectionTimeout: 10_000,
    log: silent,
  });
  const queue = writerQueue();
  async function close() {
    await sql.destroy();
  }
  const {dryRun = false} = options;
  return {
    sql,
    writer: sql,
    queue,
    target,
    sqliteDriver: undefined,
    dialect: dialects.postgres,
    dryRun,
    rehearsed: {},
    close,
  };
}

/** Makes the folder (0700) and an empty file (0600), or says in one line why there can be no database here. */
function prepareFile(path: string, create: boolean) {
  if (existsSync(path)) {
    if (statSync(path).isDirectory()) {
      throw new ChatError('database_unavailable', `The database path ${path} is a directory.`, {
        hint: 'Give the path of a file, for example sqlite:.chatctl/chat.db.',
      });
    }
    return;
  }
  if (!create) {
    throw new ChatError('database_missing', `There is no database at ${path}.`, {
      hint: 'Create it with: chatctl migrate up',
    });
  }
  try {
    makeFolder(dirname(path), 0o700);
    // SQLite gives its -wal and -shm files the mode of this one.
    closeSync(openSync(path, 'ax', 0o600));
  } catch (cause) {
    // Another process made it a moment ago; a link to nowhere is not followed.
    if (existsSync(path)) return;
    throw new ChatError('database_unavailable', `The database file ${path} cannot be made.`, {
      cause,
      hint: 'Check the path and its permissions.',
    });
  }
}

function unavailable(target: DatabaseTarget, cause: unknown): ChatError {
  if (cause instanceof ChatError) return cause;
  const reason = cause instanceof Error ? firstReason(cause) : String(cause);
  return new ChatError('database_unavailable', `The database ${target.label} cannot be opened: ${reason}.`, {
    cause,
    hint: target.dialect === 'sqlite' ? 'Check the path, its owner and its permissions.' : postgresHint(reason),
  });
}

function postgresHint(reason: string): string {
  if (/no encryption/.test(reason)) return 'Add sslmode=verify-full to DATABASE_URL, for an encrypted connection.';
  if (!/certificate/.test(reason)) return 'Check the address, and that PostgreSQL is running there.';
  return (
    'Add sslrootcert=<file> with the authority that signed it to DATABASE_URL, ' +
    'or sslmode=no-verify to go without the check.'
  );
}

function firstReason(error: Error): string {
  const inner = error instanceof AggregateError ? error.errors.find(each => each instanceof Error) : undefined;
  return (inner ?? error).message.replace(/\.$/, '') || error.name;
}
