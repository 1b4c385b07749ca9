import type {ExecutionContext} from 'ava';
import {openChat} from '../../src/open.ts';
import {openTestChat, testConfig} from './chat.ts';
import {migratedDatabase, type Database} from './database.ts';

/** The same database as two servers have it. */
export async function openTwice(t: ExecutionContext, database: Database) {
  const DATABASE_URL = await migratedDatabase(t, database);
  const here = await openTestChat(t, database, {DATABASE_URL});
  const elsewhere = await openChat(await testConfig(t, database, {DATABASE_URL}), {migrate: false});
  t.teardown(() => elsewhere.close());
  return {here, elsewhere};
}
