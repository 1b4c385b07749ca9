import {createRequire} from 'node:module';
import {migrations} from '../../db/migrations.ts';
import {version} from '../../version.ts';
import type {Cli} from '../context.ts';

export async function showVersions(cli: Cli): Promise<void> {
  const versions = {
    chatctl: version,
    node: process.versions.node,
    drivers: {sqlite3: versionOf('sqlite3'), pg: versionOf('pg')},
    schema: migrations.at(-1)?.name ?? null,
  };
  await Promise.resolve();
  cli.print({
    items: [versions],
    columns: ['chatctl', 'node', 'drivers.sqlite3', 'drivers.pg', 'schema'],
    id: 'chatctl',
    single: true,
    json: ([only]) => only ?? {},
  });
}

function versionOf(name: string): string | null {
  try {
    return (createRequire(import.meta.url)(`${name}/package.json`) as {version: string}).version;
  } catch {
    return null;
  }
}
