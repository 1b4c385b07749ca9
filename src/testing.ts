// The chat as a fixture for anybody's tests: a whole server of its own on free ports, gone at its close. Requests are
// real HTTP and events come over real WebSockets, with the client library that browsers use. It reads no environment,
// logs nothing and leaves no handler on the process, so that several can live in one.
import {mkdirSync, mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {callApi, type ApiAnswer} from './api.ts';
import {loadConfig, type Config} from './config.ts';
import type {UserId} from './core/ids.ts';
import {parse, UserIdInput} from './core/input.ts';
import type {MessageJson, RoomJson} from './core/present.ts';
import type {EventBodies, EventType} from './core/publications.ts';
import {makeSecret} from './core/secrets.ts';
import {personalChannel} from './core/channels.ts';
import {mintApiToken, mintConnectionToken, mintSubscriptionToken} from './core/tokens.ts';
import {follow, type Follower} from './follow.ts';
import {createInbox, type Inbox} from './inbox.ts';
import {createLog} from './log.ts';
import {startServer, type RunningServer} from './serve.ts';

export type {MembershipJson, MessageJson, RoomJson, UserJson} from './core/present.ts';
export type {EventBodies, EventType} from './core/publications.ts';
export type {ApiAnswer} from './api.ts';

export interface StartChatOptions {
  /** Signs API tokens, where your own code is to sign them too. Made up when it is not given. */
  jwtSecret?: string;
  /** Signs connection and subscription tokens. */
  realtimeSecret?: string;
  /** Who may create rooms over REST: the service alone, which is the default, or users too. */
  roomCreation?: 'service' | 'users';
  /** The first SQLite driver that loads when it is not said. All of one process should use the same. */
  sqliteDriver?: 'sqlite3' | 'node:sqlite';
  /** An empty database of yours, such as `postgres://…`, instead of a SQLite file that is gone at the close. */
  databaseUrl?: string;
}

/** What was delivered to a user. */
export type ChatEvent = {[T in EventType]: {type: T; body: EventBodies[T]; offset: number}}[EventType];

export interface TestClient {
  /** Everything delivered to the user since the chat began, in order. */
  events: readonly ChatEvent[];
  /** Cuts the connection, as a network does; `back` takes it up again and resolves when what was missed has come. */
  drop(): void;
  back(): Promise<{recovered: boolean}>;
}

export interface TestChat {
  apiUrl: string;
  /** Where the `centrifuge` client connects. */
  realtimeUrl: string;
  jwtSecret: string;
  realtimeSecret: string;
  /** An API token of the user; further claims, such as `exp`, replace what they would be. */
  token(user: string, claims?: Record<string, unknown>): string;
  /** An API token of the primary service. */
  serviceToken(): string;
  connectionToken(user: string): string;
  /** For the user's own channel unless another is named. */
  subscriptionToken(user: string, channel?: string): string;
  /** A request to the API. An error status is an answer, not a rejection. */
  request(token: string, method: string, path: string, body?: object): Promise<ApiAnswer>;
  /** Makes a room as the service. */
  room(room?: {
    name?: string;
    members?: readonly string[];
    key?: string;
    visibility?: 'public' | 'private';
  }): Promise<RoomJson>;
  /** Posts over REST as the user. */
  post(user: string, room: number | {id: number}, content: string): Promise<MessageJson>;
  /** The user's client, connected and subscribed at the first call; later calls answer the same. */
  connect(user: string): Promise<TestClient>;
  /**
   * The body of the first event of this type that was delivered to the user, for which the predicate holds, and that
   * no earlier call answered. It may have come before the call, or before the user connected. Rejects after the timeout.
   */
  expect<T extends EventType>(
    user: string,
    type: T,
    predicate?: (body: EventBodies[T]) => boolean,
    options?: {timeout?: number},
  ): Promise<EventBodies[T]>;
  /** Ends clients, server and database. A second call does nothing. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const defaultTimeoutMs = 5_000;
const tokenTtlSeconds = 3_600;

/** Starts a chat. Whoever starts it closes it. */
export async function startChat(options: StartChatOptions = {}): Promise<TestChat> {
  const folder = mkdtempSync(join(tmpdir(), 'chatctl-testing-'));
  const remove = () => rmSync(folder, {recursive: true, force: true});
  try {
    const secrets = {jwt: options.jwtSecret ?? makeSecret(), realtime: options.realtimeSecret ?? makeSecret()};
    const server = await startServer(configOf(folder, options, secrets), {
      log: createLog('silent', 'stderr'),
      migrate: true,
      throwaway: true,
    });
    return testChat(server, secrets, remove);
  } catch (error) {
    remove();
    throw error;
  }
}

interface Secrets {
  jwt: string;
  realtime: string;
}

function configOf(folder: string, options: StartChatOptions, secrets: Secrets): Config {
  // Without it the settings of a project above the folder would be found.
  mkdirSync(join(folder, '.chatctl'));
  return loadConfig({
    cwd: folder,
    env: {
      DATABASE_URL: options.databaseUrl,
      JWT_SECRET: secrets.jwt,
      CENTRIFUGO_TOKEN_SECRET: secrets.realtime,
      ROOM_CREATION: options.roomCreation,
      SQLITE_DRIVER: options.sqliteDriver,
      PORT: '0',
      REALTIME_PORT: '0',
    },
  });
}

function testChat(server: RunningServer, secrets: Secrets, remove: () => void): TestChat {
  const {apiUrl, realtimeUrl = ''} = server;
  const clients = new Map<UserId, Promise<OpenClient>>();
  const now = () => Math.floor(Date.now() / 1_000);
  const mint = (claims: {sub: string} & Record<string, unknown>) =>
    mintApiToken(secrets.jwt, claims, 'exp' in claims ? null : tokenTtlSeconds, now()).token;
  const token = (user: string, claims: Record<string, unknown> = {}) =>
    mint({sub: parse(UserIdInput, user), ...claims});
  const serviceToken = () => mint({sub: 'service', scope: 'chat:admin'});
  const connectionToken = (user: string) =>
    mintConnectionToken(secrets.realtime, parse(UserIdInput, user), now()).token;
  const subscriptionToken = (user: string, channel?: string) => {
    const id = parse(UserIdInput, user);
    return mintSubscriptionToken(secrets.realtime, id, channel ?? personalChannel(id), now()).token;
  };
  const request: TestChat['request'] = (bearer, method, path, body) =>
    callApi(apiUrl, method, path, {token: bearer, ...(body ? {body} : {})});

  let closing: Promise<void> | undefined;

  async function connect(user: string): Promise<OpenClient> {
    if (closing) throw new Error('The chat is closed.');
    const id = parse(UserIdInput, user);
    const known = clients.get(id);
    if (known) return known;
    const opening = openClient(realtimeUrl, id, connectionToken, subscriptionToken);
    clients.set(id, opening);
    // Who could not connect may try again.
    opening.catch(() => clients.delete(id));
    return opening;
  }

  async function end(): Promise<void> {
    for (const each of await Promise.allSettled(clients.values())) if (each.status === 'fulfilled') each.value.close();
    await server.close();
    remove();
  }
  const close = () => (closing ??= end());

  return {
    apiUrl,
    realtimeUrl,
    jwtSecret: secrets.jwt,
    realtimeSecret: secrets.realtime,
    token,
    serviceToken,
    connectionToken,
    subscriptionToken,
    request,
    async room({name = 'general', ...more} = {}) {
      const answer = await request(serviceToken(), 'POST', '/api/rooms/', {name, ...more});
      return bodyOf(answer, 201, `making the room ${name}`) as RoomJson;
    },
    async post(user, room, content) {
      const path = `/api/rooms/${typeof room === 'number' ? room : room.id}/messages/`;
      const answer = await request(token(user), 'POST', path, {content});
      return bodyOf(answer, 201, `posting as ${user}`) as MessageJson;
    },
    connect,
    async expect<T extends EventType>(
      user: string,
      type: T,
      predicate: (body: EventBodies[T]) => boolean = () => true,
      {timeout = defaultTimeoutMs} = {},
    ) {
      const {inbox} = await connect(user);
      const holds = (event: ChatEvent) => event.type === type && predicate(event.body as EventBodies[T]);
      const found = await inbox.take(holds, timeout);
      if (found) return found.body as EventBodies[T];
      if (closing) throw new Error(`The chat was closed while ${user} waited for a ${type}.`);
      throw new Error(`${user} did not get a ${type} that fits within ${timeout} ms. ${whatCame(inbox.all)}`);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function bodyOf({status, body}: ApiAnswer, wanted: number, what: string): unknown {
  if (status === wanted) return body;
  throw new Error(`The chat answered ${status} to ${what}: ${JSON.stringify(body['detail'] ?? body)}`);
}

const shownEvents = 10;

function whatCame(events: readonly ChatEvent[]): string {
  if (events.length === 0) return 'Nothing came.';
  const last = events.slice(-shownEvents).map(({type, body}) => `\n  ${type} ${JSON.stringify(body).slice(0, 200)}`);
  return `Of ${events.length} event(s) the last were:${last.join('')}`;
}

interface OpenClient extends TestClient {
  inbox: Inbox<ChatEvent>;
  close(): void;
}

/** Connects and goes on from the beginning of the stream, so that it does not matter when a test connects. */
async function openClient(
  url: string,
  user: UserId,
  connectionToken: (user: string) => string,
  subscriptionToken: (user: string) => string,
): Promise<OpenClient> {
  const inbox = createInbox<ChatEvent>();
  let back: (result: {recovered: boolean}) => void = () => undefined;
  const follower: Follower = await follow({
    url,
    channel: personalChannel(user),
    connectionToken: () => Promise.resolve(connectionToken(user)),
    subscriptionToken: () => Promise.resolve(subscriptionToken(user)),
    since: {offset: 0, epoch: ''},
    onPublication: ({data, offset = 0}) => inbox.put({...(data as ChatEvent), offset}),
    // What is recovered is handed over right after this.
    onSubscribed: ({recovered}) => setImmediate(() => back({recovered})),
  });
  return {
    inbox,
    events: inbox.all,
    drop: () => follower.drop(),
    back() {
      const returned = new Promise<{recovered: boolean}>(resolve => {
        back = resolve;
      });
      follower.back();
      return returned;
    },
    close() {
      follower.close();
      inbox.close();
    },
  };
}
