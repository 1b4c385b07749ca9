// What `doctor --fix` does for what is not well. Each says what it is, for a rehearsal, and does it when it is told to.
import {chmodSync} from 'node:fs';
import {configPath} from '../../config.ts';
import {parseDatabaseUrl} from '../../db/connect.ts';
import {migrateUp, migrationStatus} from '../../db/migrations.ts';
import {openDatabase} from '../../open.ts';
import type {Cli} from '../context.ts';
import {ensureSecrets, missingSecrets} from './project.ts';

export interface Mending {
  /** `make this of that` */
  what: string;
  mend(): Promise<void>;
}

/** Makes the secrets that are set nowhere, and reads the settings anew. */
export async function makeSecrets(cli: Cli): Promise<Mending> {
  const config = await cli.config();
  const names = missingSecrets(config)
    .join(', ')
    .replace(/, (\w+)$/, ' and $1');
  return {
    what: `make ${names} in ${configPath(config.projectDir)}`,
    async mend() {
      ensureSecrets(config);
      await cli.config({});
    },
  };
}

/** Makes a database that is not there: nothing can be lost. */
export async function migrateNew(cli: Cli): Promise<Mending> {
  return {what: `make ${await labelOf(cli)} with the newest schema`, mend: () => migrate(cli)};
}

/** Brings one that is there up to date, which changes what is somebody's. */
export async function migrateOn(cli: Cli): Promise<Mending> {
  const label = await labelOf(cli);
  return {
    what: `apply ${(await pendingOf(cli)).join(', ')} to ${label}`,
    async mend() {
      await cli.ask.agree(`Apply the pending migrations to ${label}?`);
      await migrate(cli);
    },
  };
}

async function labelOf(cli: Cli): Promise<string> {
  return parseDatabaseUrl((await cli.config()).DATABASE_URL).label;
}

async function pendingOf(cli: Cli): Promise<string[]> {
  const db = await openDatabase(await cli.config());
  try {
    return (await migrationStatus(db)).pending;
  } finally {
    await db.close();
  }
}

async function migrate(cli: Cli): Promise<void> {
  const db = await openDatabase(await cli.config(), {migrate: true});
  try {
    await migrateUp(db);
  } finally {
    await db.close();
  }
}

/** Nobody but the owner reads the project's folder and file from now on. */
export function closeToOthers(paths: readonly string[], file: string): Promise<Mending> {
  const modes = paths.map(path => ({path, mode: path === file ? 0o600 : 0o700}));
  return Promise.resolve({
    what: modes.map(({path, mode}) => `chmod ${mode.toString(8)} ${path}`).join(', '),
    mend() {
      for (const {path, mode} of modes) chmodSync(path, mode);
      return Promise.resolve();
    },
  });
}
