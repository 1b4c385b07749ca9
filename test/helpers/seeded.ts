import {copyFileSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {ExecutionContext} from 'ava';
import {bareCli, type TestCli} from './cli.ts';

interface Template {
  path: string;
  token: string;
}

let template: Promise<Template> | undefined;

/** Made once, and copied for each test: migrations and first rows take longer than most tests that need them. */
async function makeTemplate(t: ExecutionContext): Promise<Template> {
  const cli = await bareCli(t, 'sqlite');
  const folder = mkdtempSync(join(tmpdir(), 'chatctl-seeded-'));
  process.once('exit', () => rmSync(folder, {recursive: true, force: true}));
  const path = join(folder, 'chat.db');
  const on = (args: string[]) => cli([...args, '--db', `sqlite:${path}`]);
  await on(['migrate', 'up']);
  await on(['room', 'create', 'general', '--member', 'alice', '--member', 'bob']);
  await on(['message', 'post', 'general', 'first', '--as', 'alice']);
  const {stdout: token} = await cli(['token', 'connection', 'alice', '--ttl', '1h']);
  return {path, token};
}

/** A command line over a SQLite database with a room, two members and a message, and a token in a file. */
export async function seededCli(t: ExecutionContext): Promise<TestCli> {
  const cli = await bareCli(t, 'sqlite');
  const {DATABASE_URL = ''} = cli.env;
  const {path, token} = await (template ??= makeTemplate(t));
  copyFileSync(path, DATABASE_URL.replace('sqlite:', ''));
  writeFileSync(join(cli.cwd, 'token.txt'), token);
  return cli;
}
