import {copyFileSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {bareCli, type TestCli} from './cli.ts';

let template: Promise<string> | undefined;

/** Made once, and copied for each test: migrations and first rows take longer than most tests that need them. */
async function makeTemplate(t: ExecutionContext): Promise<string> {
  const cli = await bareCli(t, 'sqlite');
  const folder = mkdtempSync(join(tmpdir(), 'chatctl-seeded-'));
  process.once('exit', () => rmSync(folder, {recursive: true, force: true}));
  const path = join(folder, 'chat.db');
  const on = (args: string[]) => cli([...args, '--db', `sqlite:${path}`]);
  await on(['migrate', 'up']);
  await on(['room', 'create', 'general', '--member', 'alice', '--member', 'bob']);
  await on(['message', 'post', 'general', 'first', '--as', 'alice']);
  return path;
}

/** A command line over a SQLite database with a room, two members and a message, and a token in a file. */
export async function seededCli(t: ExecutionContext): Promise<TestCli> {
  const cli = await bareCli(t, 'sqlite');
  const {DATABASE_URL = ''} = cli.env;
  copyFileSync(await (template ??= makeTemplate(t)), DATABASE_URL.replace('sqlite:', ''));
  writeFileSync(join(cli.cwd, 'token.txt'), (await cli(['token', 'connection', 'alice'])).stdout);
  return cli;
}
