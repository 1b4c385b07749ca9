// Where the parts are put together: settings in, a chat out.
import {timestamp, type Chat} from './core/chat.ts';
import {connect, parseDatabaseUrl, type Db} from './db/connect.ts';
import {getDatabaseId} from './db/meta.ts';
import {migrateUp, mustBeMigrated} from './db/migrations.ts';
import type {Config} from './config.ts';

export interface OpenOptions {
  /** Create a SQLite file that is not there, and apply pending migrations. */
  migrate?: boolean;
  /** Roll every transaction back at its end. */
  dryRun?: boolean;
  now?: () => Date;
}

/** The chat and its database. Whoever opened it closes it. */
export interface OpenChat extends Chat {
  /** Who is told when the outbox has grown; the relay sets it. */
  onOutbox(listener: () => void): void;
  close(): Promise<void>;
}

/** Opens the database alone, for migrations, which may create it. */
export function openDatabase(config: Config, {migrate = false, dryRun = false}: OpenOptions = {}): Promise<Db> {
  return connect(parseDatabaseUrl(config.DATABASE_URL), {
    poolMax: config.DATABASE_POOL_MAX,
    create: migrate,
    dryRun,
    ...(config.SQLITE_DRIVER ? {sqliteDriver: config.SQLITE_DRIVER} : {}),
  });
}

/** Opens the chat for use cases. Rejects with database_unavailable, migrations_pending or schema_newer. */
export async function openChat(config: Config, options: OpenOptions = {}): Promise<OpenChat> {
  const db = await openDatabase(config, options);
  try {
    if (options.migrate) await migrateUp(db);
    else await mustBeMigrated(db);
    return chatOver(db, await getDatabaseId(db), config, options.now ?? (() => new Date()));
  } catch (error) {
    await db.close();
    throw error;
  }
}

function chatOver(db: Db, databaseId: string, config: Config, now: () => Date): OpenChat {
  let wake: (() => void) | undefined;
  return {
    db,
    databaseId,
    now: () => timestamp(now()),
    wakeRelay: () => wake?.(),
    roomCreation: config.ROOM_CREATION,
    onOutbox(listener) {
      wake = listener;
    },
    close: () => db.close(),
  };
}
