// The database that a command is about to change, as a severe confirmation names it.
import {basename} from 'node:path';
import type {Contents} from '../db/contents.ts';
import type {DatabaseTarget} from '../db/connect.ts';
import type {Cli} from './context.ts';

/** What is typed to confirm: the file's name, or the database's. */
export function nameOf(target: DatabaseTarget): string {
  return target.dialect === 'sqlite' ? basename(target.path) : new URL(target.url).pathname.slice(1);
}

/** `postgres db-1/chat (production) with 3 users, 2 rooms and 40 messages` */
export async function fingerprint(cli: Cli, {users, rooms, messages}: Contents): Promise<string> {
  const {target} = (await cli.chat()).db;
  const production = (await isProduction(cli)) ? ' (production)' : '';
  return `${target.label}${production} with ${users} user(s), ${rooms} room(s) and ${messages} message(s)`;
}

export async function isProduction(cli: Cli): Promise<boolean> {
  return (await cli.config()).NODE_ENV === 'production';
}
