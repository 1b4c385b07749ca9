// What `doctor --fix` does for what is not well.
import {chmodSync} from 'node:fs';
import {parseDatabaseUrl} from '../../db/connect.ts';
import {migrateUp} from '../../db/migrations.ts';
import {openDatabase} from '../../open.ts';
import type {Cli} from '../context.ts';
import {ensureSecrets} from './project.ts';

/** Makes the secrets that are set nowhere, and reads the settings anew. */
export async function makeSecrets(cli: Cli): Promise<void> {
  ensureSecrets(await cli.config());
  await cli.config({});
}

/** Makes a database that is not there: nothing can be lost. */
export async function migrateNew(cli: Cli): Promise<void> {
  const db = await openDatabase(await cli.config(), {migrate: true});
  try {
    await migrateUp(db);
  } finally {
    await db.close();
  }
}

/** Brings one that is there up to date, which changes what is somebody's. */
export async function migrateOn(cli: Cli): Promise<void> {
  const {label} = parseDatabaseUrl((await cli.config()).DATABASE_URL);
  await cli.ask.agree(`Apply the pending migrations to ${label}?`);
  await migrateNew(cli);
}

/** Nobody but the owner reads the project's folder and file from now on. */
export function closeToOthers(paths: readonly string[], file: string): Promise<void> {
  for (const path of paths) chmodSync(path, path === file ? 0o600 : 0o700);
  return Promise.resolve();
}
