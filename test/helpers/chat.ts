import type {ExecutionContext} from 'ava';
import {loadConfig, type Config} from '../../src/config.ts';
import type {SettingName} from '../../src/settings.ts';
import type {Actor} from '../../src/core/chat.ts';
import type {UserId} from '../../src/core/ids.ts';
import {parse, UserIdInput} from '../../src/core/input.ts';
import {mintApiToken} from '../../src/core/tokens.ts';
import {provisionUser} from '../../src/core/users.ts';
import {openChat, type OpenChat} from '../../src/open.ts';
import {emptyDatabase, migratedDatabase, temporaryDir, wantedDriver, type Database} from './database.ts';

export const testSecrets = {
  JWT_SECRET: 'test-api-secret-0123456789-0123456789',
  CENTRIFUGO_TOKEN_SECRET: 'test-centrifugo-secret-0123456789-012',
} as const;

// All of a process use the same: two SQLite libraries in one process do not see each other's locks on a file.
export const driver = wantedDriver === undefined ? {} : {SQLITE_DRIVER: wantedDriver};

export const operator: Actor = {kind: 'operator', name: 'test'};

/** Settings of a test's own: an empty database, free ports, no environment but what is given. */
export async function testConfig(
  t: ExecutionContext,
  database: Database,
  env: Partial<Record<SettingName, string>> = {},
): Promise<Config> {
  const DATABASE_URL = env.DATABASE_URL ?? (await emptyDatabase(t, database));
  return loadConfig({
    env: {...testSecrets, ...driver, DATABASE_URL, PORT: '0', REALTIME_PORT: '0', LOG_LEVEL: 'silent', ...env},
    cwd: temporaryDir(t),
  });
}

/** A migrated, empty chat without a server. */
export async function openTestChat(
  t: ExecutionContext,
  database: Database,
  env: Partial<Record<SettingName, string>> = {},
): Promise<OpenChat> {
  const DATABASE_URL = env.DATABASE_URL ?? (await migratedDatabase(t, database));
  const chat = await openChat(await testConfig(t, database, {...env, DATABASE_URL}), {migrate: true});
  t.teardown(() => chat.close());
  return chat;
}

export function userId(id: string): UserId {
  return parse(UserIdInput, id);
}

/** A user with a row, as an actor. */
export async function testUser(chat: OpenChat, id: string): Promise<Actor & {kind: 'user'}> {
  await provisionUser(chat, userId(id), undefined);
  return {kind: 'user', id: userId(id)};
}

/** A bearer token of the user, or with a scope one of the service. */
export function apiToken(sub: string, claims: Record<string, unknown> = {}): string {
  return mintApiToken(testSecrets.JWT_SECRET, {sub, ...claims}, 3_600, Math.floor(Date.now() / 1_000)).token;
}

export function serviceToken(): string {
  return apiToken('primary', {scope: 'chat:admin'});
}
