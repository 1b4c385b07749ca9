import type {ExecutionContext} from 'ava';
import {Centrifuge, type PublicationContext, type Subscription} from 'centrifuge';
import {WebSocket} from 'ws';
import type {SettingName} from '../../src/settings.ts';
import {createLog} from '../../src/log.ts';
import {startServer, type RunningServer} from '../../src/serve.ts';
import {startChat, type TestChat} from '../../src/testing.ts';
import {apiToken, driver, serviceToken, testConfig} from './chat.ts';
import {emptyDatabase, migratedDatabase, type Database} from './database.ts';

/** A whole server of the test's own on free ports, closed when the test ends. */
export async function startTestServer(
  t: ExecutionContext,
  database: Database,
  env: Partial<Record<SettingName, string>> = {},
): Promise<RunningServer> {
  const DATABASE_URL = env.DATABASE_URL ?? (await migratedDatabase(t, database));
  const server = await startServer(await testConfig(t, database, {...env, DATABASE_URL}), {
    migrate: true,
    log: createLog('silent', 'stderr'),
  });
  t.teardown(() => server.close());
  return server;
}

/** The published fixture on a database of the test's own, closed when the test ends. */
export async function startTestChat(t: ExecutionContext, database: Database): Promise<TestChat> {
  const {SQLITE_DRIVER: sqliteDriver} = driver;
  const chat = await startChat({
    ...(database === 'postgres' && {databaseUrl: await emptyDatabase(t, database)}),
    ...(sqliteDriver && {sqliteDriver: sqliteDriver as 'node:sqlite'}),
  });
  t.teardown(() => chat.close());
  return chat;
}

export interface Answer {
  status: number;
  headers: Headers;
  // The tests look into it as they need.
  // eslint-disable-next-line
  body: Record<string, never> & {[key: string]: unknown};
  text: string;
}

/** A request over real HTTP with a bearer token. */
export async function request(
  server: {apiUrl: string},
  token: string,
  method: string,
  path: string,
  body?: object,
): Promise<Answer> {
  const answer = await fetch(`${server.apiUrl}${path}`, {
    method,
    headers: {authorization: `Bearer ${token}`, ...(body ? {'content-type': 'application/json'} : {})},
    ...(body ? {body: JSON.stringify(body)} : {}),
  });
  const text = await answer.text();
  return {status: answer.status, headers: answer.headers, text, body: text.startsWith('{') ? JSON.parse(text) : {}};
}

export interface Event {
  type: string;
  body: Record<string, unknown>;
  offset: number;
}

export interface Listener {
  client: Centrifuge;
  subscription: Subscription;
  events: Event[];
  /** Whether the last subscribing recovered what was missed. */
  recovered: () => boolean | undefined;
}

/** A user's client with tokens from the API, subscribed to the personal channel. */
export async function listen(t: ExecutionContext, server: RunningServer, user: string): Promise<Listener> {
  const token = apiToken(user);
  const get = async (path: string) => String((await request(server, token, 'GET', path)).body['token']);
  const client = new Centrifuge(server.realtimeUrl ?? '', {
    websocket: WebSocket,
    getToken: () => get('/api/token/connection/'),
    minReconnectDelay: 1,
    maxReconnectDelay: 20,
  });
  t.teardown(() => client.disconnect());
  const subscription = client.newSubscription(`personal:${user}`, {
    getToken: () => get(`/api/token/subscription/?channel=personal:${user}`),
  });
  const events: Event[] = [];
  let recovered: boolean | undefined;
  subscription.on('publication', ({data, offset}: PublicationContext) => {
    events.push({...(data as {type: string; body: Record<string, unknown>}), offset: offset ?? 0});
  });
  subscription.on('subscribed', context => {
    recovered = context.wasRecovering ? context.recovered : undefined;
  });
  subscription.subscribe();
  client.connect();
  await subscription.ready(30_000);
  return {client, subscription, events, recovered: () => recovered};
}

/** A room with these members, made over REST as the primary service. */
export async function roomOf(server: RunningServer, members: string[], name = 'general'): Promise<number> {
  const {body} = await request(server, serviceToken(), 'POST', '/api/rooms/', {name, members});
  return Number(body['id']);
}
