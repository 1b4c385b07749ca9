import {ChatError} from '../../core/errors.ts';
import {parseDatabaseUrl, type Db} from '../../db/connect.ts';
import * as migrations from '../../db/migrations.ts';
import {openDatabase} from '../../open.ts';
import type {Cli} from '../context.ts';
import {Exit, exits} from '../exit.ts';
import {isJson} from '../output.ts';
import {nameOf} from '../target.ts';

async function withDatabase<T>(cli: Cli, create: boolean, work: (db: Db) => Promise<T>): Promise<T> {
  const db = await openDatabase(await cli.config(), {migrate: create});
  try {
    return await work(db);
  } finally {
    await db.close();
  }
}

/** One line a migration, or the document. */
function print(cli: Cli, lines: readonly string[], document: object): void {
  if (isJson(cli.format)) return cli.line(document);
  for (const line of lines) cli.io.stdout.write(`${line}\n`);
}

export async function migrateUp(cli: Cli, options: {to?: string}): Promise<void> {
  if (cli.globals.dryRun) return rehearseUp(cli, options.to);
  await withDatabase(cli, true, async db => {
    const applied = await migrations.migrateUp(db, options.to);
    const {pending} = await migrations.migrationStatus(db);
    if (applied.length === 0) cli.note(`Nothing is pending in ${db.target.label}.`);
    print(cli, applied, {applied, pending: pending.length});
  });
}

async function rehearseUp(cli: Cli, to: string | undefined): Promise<void> {
  const {label} = parseDatabaseUrl((await cli.config()).DATABASE_URL);
  const pending = await pendingOf(cli);
  const wanted = to === undefined ? pending : pending.filter(name => name <= migrations.mustBeKnown(to));
  cli.note(`Would apply ${wanted.length} to ${label}. Dry run: nothing was changed.`);
  print(cli, wanted, {applied: wanted, pending: pending.length - wanted.length, dry_run: true});
}

/** Where there is no SQLite file, which would be made, all of them. */
async function pendingOf(cli: Cli): Promise<string[]> {
  try {
    return await withDatabase(cli, false, async db => (await migrations.mustKnowAll(db)).pending);
  } catch (error) {
    if (!(error instanceof ChatError) || error.code !== 'database_missing') throw error;
    return migrations.migrations.map(each => each.name);
  }
}

export async function migrateDown(cli: Cli, options: {to?: string}): Promise<void> {
  await withDatabase(cli, false, async db => {
    if (cli.globals.dryRun) return rehearseDown(cli, db, options.to);
    await cli.ask.agreeByName(`This drops tables and the data in them from ${db.target.label}.`, nameOf(db.target));
    const reverted = await migrations.migrateDown(db, options.to);
    print(cli, reverted, {reverted});
  });
}

async function rehearseDown(cli: Cli, db: Db, to: string | undefined): Promise<void> {
  const {applied} = await migrations.mustKnowAll(db);
  const wanted = to === undefined ? applied.slice(-1) : applied.filter(name => name > migrations.mustBeKnown(to));
  cli.note(`Would take back ${wanted.length} from ${db.target.label}. Dry run: nothing was changed.`);
  print(cli, wanted.toReversed(), {reverted: wanted.toReversed(), dry_run: true});
}

export async function migrateStatus(cli: Cli, options: {check?: boolean}): Promise<void> {
  await withDatabase(cli, false, async db => {
    const {applied, pending, unknown, locked} = await migrations.migrationStatus(db);
    const lines = [...applied.map(name => `applied\t${name}`), ...pending.map(name => `pending\t${name}`)];
    print(cli, lines, {applied, pending, unknown, locked});
    if (options.check && pending.length > 0) throw new Exit(exits.checkFailed);
  });
}

export async function migrateUnlock(cli: Cli): Promise<void> {
  await withDatabase(cli, false, async db => {
    if (cli.globals.dryRun) {
      const {locked} = await migrations.migrationStatus(db);
      cli.note(`The lock is ${locked ? 'held' : 'free'}. Dry run: nothing was changed.`);
      return print(cli, [], {unlocked: locked, dry_run: true});
    }
    await cli.ask.agree(`Release the migration lock of ${db.target.label}? Only when no migration runs.`);
    await migrations.unlockMigrations(db);
    print(cli, ['unlocked'], {unlocked: true});
  });
}
