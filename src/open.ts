// Where the parts are put together: settings in, a chat out.
import {timestamp, type Chat} from './core/chat.ts';
import {connect, parseDatabaseUrl, type Db} from './db/connect.ts';
import {getDatabaseId} from './db/meta.ts';
import {migrateUp, mustBeMigrated} from './db/migrations.ts';
import type {Config} from './config.ts';
import type {Streams} from './core/broker.ts';
import {ChatError} from './core/errors.ts';
import {openStreams as openStreamsAt} from './delivery/streams.ts';

export interface OpenOptions {
  /** Create a SQLite file that is not there, and apply pending migrations. */
  migrate?: boolean;
  /** Roll every transaction back at its end. */
  dryRun?: boolean;
  /** The database is gone with the process, so that nothing waits for the disk. */
  throwaway?: boolean;
  now?: () => Date;
}

/** The chat and its database. Whoever opened it closes it. */
export interface OpenChat extends Chat {
  /** Who is told when the outbox has grown; the relay sets it. */
  onOutbox(listener: Chat['wakeRelay']): void;
  close(): Promise<void>;
}

/** Opens the database alone, for migrations, which may create it. */
export function openDatabase(
  config: Config,
  {migrate = false, dryRun = false, throwaway = false}: OpenOptions = {},
): Promise<Db> {
  return connect(parseDatabaseUrl(config.DATABASE_URL), {
    poolMax: config.DATABASE_POOL_MAX,
    create: migrate,
    dryRun,
    throwaway,
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

/** Under load many are asked for in the same millisecond, and a text takes longer to write than to look at. */
function timestamps(now: () => Date): Chat['now'] {
  let last = {ms: 0, text: timestamp(new Date(0))};
  return () => {
    const date = now();
    const ms = date.getTime();
    if (ms !== last.ms) last = {ms, text: timestamp(date)};
    return last.text;
  };
}

function chatOver(db: Db, databaseId: string, config: Config, now: () => Date): OpenChat {
  let wake: Chat['wakeRelay'] | undefined;
  return {
    db,
    databaseId,
    now: timestamps(now),
    wakeRelay: rooms => wake?.(rooms),
    roomCreation: config.ROOM_CREATION,
    onOutbox(listener) {
      wake = listener;
    },
    close: () => db.close(),
  };
}

/** The broker's streams, to look into: Centrifugo's, or those of the server whose embedded endpoint is at this URL. */
export function openStreams(config: Config, embeddedUrl: string): Streams {
  if (!config.CENTRIFUGO_API_KEY) {
    throw new ChatError(
      'config_invalid',
      'CENTRIFUGO_API_KEY is not set, and streams cannot be looked into without it.',
      {hint: 'Set it to the http_api.key of the Centrifugo, or for the embedded endpoint to a secret of its own.'},
    );
  }
  return openStreamsAt(config.CENTRIFUGO_API_URL ?? embeddedUrl, config.CENTRIFUGO_API_KEY.reveal());
}
