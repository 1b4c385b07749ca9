// Which partitions this process drains: order within a room holds only while one process at a time does.
import {closeSync, openSync} from 'node:fs';
import pg from 'pg';
import knex from 'knex';
import {ChatError} from '../core/errors.ts';
import type {DatabaseTarget} from '../db/connect.ts';
import {sqliteDriver, type SqliteDriverName} from '../db/drivers.ts';
import {partitionCount} from '../db/outbox.ts';
import type {Logger} from '../log.ts';

export interface Claims {
  held(): readonly number[];
  release(): Promise<void>;
}

const everyPartition = Array.from({length: partitionCount}, (_, partition) => partition);

/** SQLite: one server on a file, held by a lock that ends with the process. Rejects with server_running. */
export async function claimFile(path: string, driverName?: SqliteDriverName): Promise<Claims> {
  const driver = await sqliteDriver(driverName);
  // SQLite would make the file readable for everybody.
  closeSync(openSync(`${path}.server-lock`, 'a', 0o600));
  const lock = knex(driver.config(`${path}.server-lock`, ['busy_timeout=0']));
  try {
    await lock.raw('BEGIN EXCLUSIVE');
  } catch (cause) {
    await lock.destroy();
    throw new ChatError('server_running', `Another chatctl server runs on ${path} already.`, {
      cause,
      hint: 'Stop it first, give this one a database of its own, or use PostgreSQL for several servers.',
    });
  }
  return {held: () => everyPartition, release: () => lock.destroy()};
}

/** Keys of our advisory locks are (this, partition). */
const advisoryClass = 0x63686174;
const claimIntervalMs = 1_000;
const heartbeatLimitMs = 4_000;
/** Claims that were not confirmed for so long are not relied upon. */
const confirmationLimitMs = 6_000;
/** PostgreSQL ends the session, and with it the locks, of a process that froze. */
const idleSessionTimeoutMs = 12_000;

/**
 * PostgreSQL: a session advisory lock for each partition, on a connection of its own. Locks that another process holds
 * are asked for again every second. When the connection breaks nothing is held until there is a new one.
 */
export function claimPartitions(target: DatabaseTarget & {dialect: 'postgres'}, log: Logger): Claims {
  let client: pg.Client | undefined;
  let held: number[] = [];
  let confirmedAt = 0;
  let released = false;
  let wakeUp: (() => void) | undefined;

  function drop(failed: pg.Client): void {
    if (client !== failed) return;
    client = undefined;
    held = [];
  }

  async function connect(): Promise<pg.Client> {
    const fresh = new pg.Client({
      connectionString: target.url,
      application_name: 'chatctl relay',
      connectionTimeoutMillis: heartbeatLimitMs,
      query_timeout: heartbeatLimitMs,
      options: `-c idle_session_timeout=${idleSessionTimeoutMs}`,
    });
    fresh.on('error', () => drop(fresh));
    fresh.on('end', () => drop(fresh));
    await fresh.connect();
    return fresh;
  }

  // Asking is the heartbeat too: it keeps the session from being idle, and fails when the server is gone.
  async function claim(): Promise<void> {
    try {
      client ??= await connect();
      const wanted = everyPartition.filter(partition => !held.includes(partition));
      const {rows} = await client.query<{partition: number; got: boolean}>(
        `select partition, pg_try_advisory_lock($1, partition) as got from unnest($2::int[]) as partition`,
        [advisoryClass, wanted],
      );
      held = [...held, ...rows.filter(row => row.got).map(row => row.partition)];
      confirmedAt = performance.now();
    } catch (error) {
      log.warn(
        {error: error instanceof Error ? error.message : String(error)},
        'the claim on the outbox is lost for now',
      );
      const broken = client;
      if (broken) drop(broken);
      await broken?.end().catch(() => undefined);
    }
  }

  async function run(): Promise<void> {
    while (!released) {
      await claim();
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, claimIntervalMs);
        wakeUp = () => {
          clearTimeout(timer);
          resolve();
        };
        if (released) wakeUp();
      });
    }
  }

  const running = run();
  return {
    // A process that was frozen must not go on with what may belong to another by now.
    held: () => (performance.now() - confirmedAt < confirmationLimitMs ? held : []),
    async release() {
      released = true;
      wakeUp?.();
      await running;
      held = [];
      await client?.end().catch(() => undefined);
    },
  };
}
