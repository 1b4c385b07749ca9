// The migrations as a list, not a folder: a folder gives other names from source (.ts) than from the built package
// (.js), and the same database would count as corrupt.
import type {Knex} from 'knex';
import * as rooms from '../../migrations/0001-rooms.ts';
import * as outbox from '../../migrations/0002-outbox.ts';
import * as audit from '../../migrations/0003-audit.ts';
import * as rateLimits from '../../migrations/0004-rate-limits.ts';
import * as imports from '../../migrations/0005-imports.ts';
import * as importRefused from '../../migrations/0006-import-refused.ts';
import {ChatError} from '../core/errors.ts';
import type {Db} from './connect.ts';
import {lockMigrations, type Unlock} from './locks.ts';
import {changeSchema} from './transaction.ts';

export const migrations: readonly {name: string; migration: Knex.Migration}[] = [
  {name: '0001-rooms', migration: rooms},
  {name: '0002-outbox', migration: outbox},
  {name: '0003-audit', migration: audit},
  {name: '0004-rate-limits', migration: rateLimits},
  {name: '0005-imports', migration: imports},
  {name: '0006-import-refused', migration: importRefused},
];

/** For `knexfile.ts` and for the commands below: the same names from source and from the package. */
export const migrationSource: Knex.MigrationSource<(typeof migrations)[number]> = {
  getMigrations: () => Promise.resolve([...migrations]),
  getMigrationName: each => each.name,
  getMigration: each => Promise.resolve(each.migration),
};

export interface MigrationStatus {
  applied: string[];
  pending: string[];
  /** Applied to this database but unknown to this version of chatctl. */
  unknown: string[];
  locked: boolean;
}

export async function migrationStatus(db: Db): Promise<MigrationStatus> {
  const {sql} = db;
  const applied: string[] = (await sql.schema.hasTable('knex_migrations'))
    ? await sql('knex_migrations').orderBy('id').pluck('name')
    : [];
  const locked =
    (await sql.schema.hasTable('knex_migrations_lock')) &&
    (await sql('knex_migrations_lock').where({is_locked: 1})).length > 0;
  const names = migrations.map(each => each.name);
  return {
    applied,
    pending: names.filter(name => !applied.includes(name)),
    unknown: applied.filter(name => !names.includes(name)),
    locked,
  };
}

/** Throws unless this database has exactly the migrations that this version knows. */
export async function mustBeMigrated(db: Db): Promise<void> {
  const {pending} = await mustKnowAll(db);
  if (pending.length > 0) {
    throw new ChatError(
      'migrations_pending',
      `The database ${db.target.label} lacks ${pending.length} migration(s): ${pending.join(', ')}.`,
      {
        hint: 'Apply them with: chatctl migrate up',
      },
    );
  }
}

/** Throws schema_newer where this database has migrations that this version does not know. */
export async function mustKnowAll(db: Db): Promise<MigrationStatus> {
  const status = await migrationStatus(db);
  if (status.unknown.length === 0) return status;
  const names = status.unknown.join(', ');
  throw new ChatError('schema_newer', `The database ${db.target.label} was migrated by a newer chatctl (${names}).`, {
    hint: 'Install the newer version.',
  });
}

/** Applies what is pending, up to and with `to` when given. Answers the names applied. */
export function migrateUp(db: Db, to?: string): Promise<string[]> {
  return alone(db, async () => {
    const {pending} = await mustKnowAll(db);
    const wanted = to === undefined ? pending : pending.slice(0, pending.indexOf(mustBeKnown(to)) + 1);
    const batch = 1 + Number((await db.writer('knex_migrations').max({last: 'batch'}))[0]?.last ?? 0);
    for (const name of wanted) {
      await changeSchema(db, async sql => {
        await named(name).up(sql);
        await sql('knex_migrations').insert({name, batch, migration_time: new Date()});
      });
    }
    return wanted;
  });
}

/** Takes back the newest migration, or all after `to`. Answers the names reverted. */
export function migrateDown(db: Db, to?: string): Promise<string[]> {
  return alone(db, async () => {
    const {applied} = await mustKnowAll(db);
    const from = to === undefined ? applied.length - 1 : applied.indexOf(mustBeKnown(to)) + 1;
    const wanted = applied.slice(Math.max(from, 0)).toReversed();
    for (const name of wanted) {
      await changeSchema(db, async sql => {
        await named(name).down?.(sql);
        await sql('knex_migrations').where({name}).delete();
      });
    }
    return wanted;
  });
}

function named(name: string): Knex.Migration {
  const found = migrations.find(each => each.name === name);
  if (!found) throw new Error(`no migration ${name}`);
  return found.migration;
}

/** Releases the lock that a killed migration by Knex's command line left behind. */
export async function unlockMigrations(db: Db): Promise<void> {
  await db.queue.run(() => db.writer.migrate.forceFreeMigrationsLock({migrationSource}));
}

/** The whole name of a migration given by name or by number, with or without zeros before it. Throws invalid_input. */
export function mustBeKnown(name: string): string {
  const number = /^\d+$/.test(name) ? Number(name) : undefined;
  const found = migrations.find(each => each.name === name || Number.parseInt(each.name, 10) === number);
  if (found) return found.name;
  throw new ChatError('invalid_input', `There is no migration ${name}.`, {
    hint: `The migrations are ${migrations.map(each => each.name).join(', ')}.`,
  });
}

/** How long a migration waits for another one. */
const waitMs = 60_000;

/**
 * One process migrates at a time; the second finds what the first did. A migration and the note that it was applied are
 * one transaction, and the lock ends with its process: after a kill the next one goes on. Knex's own migrator would
 * leave its lock behind; it is looked at, because Knex's command line takes it.
 */
async function alone<T>(db: Db, work: () => Promise<T>): Promise<T> {
  const unlock = await lockedBy(db);
  try {
    // This makes Knex's tables where they are missing.
    await db.writer.migrate.list({migrationSource, disableMigrationsListValidation: true});
    if ((await migrationStatus(db)).locked) {
      throw new ChatError('migration_locked', "Knex's command line is migrating, or was killed while it did.", {
        hint: 'When it is not running: chatctl migrate unlock',
      });
    }
    return await work();
  } finally {
    await unlock();
  }
}

async function lockedBy(db: Db): Promise<Unlock> {
  try {
    return await lockMigrations(db, waitMs);
  } catch (cause) {
    if (cause instanceof ChatError) throw cause;
    throw new ChatError('migration_locked', `Another migration has been running for ${waitMs / 1_000} seconds.`, {
      cause,
      hint: 'Wait for it to end and try again.',
    });
  }
}
