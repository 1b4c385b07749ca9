// Both real-time servers behind one face: the embedded endpoint, and a real Centrifugo where there is one.
import {once} from 'node:events';
import type {ExecutionContext, TestFn} from 'ava';
import jwt from 'jsonwebtoken';
import {WebSocket, type RawData} from 'ws';
import {startEndpoint, type Endpoint} from '../../src/realtime/endpoint.ts';
import type {EndpointOptions, Namespace} from '../../src/realtime/options.ts';
import {centrifugoProgram, startCentrifugo} from './centrifugo.ts';
import {until} from './until.ts';

export const secret = 'conformance-secret-0123456789-0123456789';
export const apiKey = 'conformance-key';

/** What the suite says to both servers, in the words of each. */
export const namespaces: readonly Namespace[] = [
  {name: 'plain', allowSubscribeForClient: true, allowPublishForClient: true},
  {name: 'closed'},
  {
    name: 'chat',
    historySize: 5,
    historyTtlMs: 600_000,
    forceRecovery: true,
    presence: true,
    joinLeave: true,
    forcePushJoinLeave: true,
    allowSubscribeForClient: true,
    allowPublishForSubscriber: true,
    allowPresenceForSubscriber: true,
    allowHistoryForSubscriber: true,
  },
  {name: 'opt', historySize: 5, historyTtlMs: 600_000, allowRecovery: true, allowSubscribeForClient: true},
  {name: 'hist', historySize: 5, historyTtlMs: 600_000, allowSubscribeForClient: true, allowHistoryForSubscriber: true},
  {name: 'asks', presence: true, joinLeave: true, allowSubscribeForClient: true, allowPresenceForClient: true},
  {
    name: 'open',
    historySize: 5,
    historyTtlMs: 600_000,
    presence: true,
    allowSubscribeForClient: true,
    allowSubscribeForAnonymous: true,
    allowPublishForClient: true,
    allowPublishForAnonymous: true,
    allowPresenceForClient: true,
    allowPresenceForAnonymous: true,
    allowHistoryForClient: true,
    allowHistoryForAnonymous: true,
    allowPositioning: true,
  },
  {name: 'personal', historySize: 300, historyTtlMs: 600_000, forceRecovery: true},
  {name: 'userlim', allowUserLimitedChannels: true},
  {name: 'short', historySize: 5, historyTtlMs: 2_000, forceRecovery: true, allowSubscribeForClient: true},
];

/** Times in seconds; the defaults of both servers where nothing is said. */
export interface Setup {
  ping?: number;
  pong?: number;
  stale?: number;
  expiredClose?: number;
  expiredSubClose?: number;
  presenceUpdate?: number;
  channelLimit?: number;
  userConnectionLimit?: number;
  connectionLimit?: number;
  recoveryLimit?: number;
  historyLimit?: number;
  subscriptionSecret?: string;
  anonymous?: boolean;
  personalNamespace?: string;
  serverTime?: boolean;
  errorMode?: 'transport';
  allowedOrigins?: string[];
}

export interface Backend {
  name: 'embedded' | 'centrifugo';
  url: string;
  http: string;
  /** Only of the embedded one. */
  endpoint: Endpoint | undefined;
  stop(): Promise<void>;
}

const backendNames: readonly Backend['name'][] = centrifugoProgram ? ['embedded', 'centrifugo'] : ['embedded'];

async function startBackend(t: ExecutionContext, name: Backend['name'], setup: Setup = {}): Promise<Backend> {
  return name === 'embedded' ? startEmbedded(t, setup) : startReal(t, setup);
}

export async function startEmbedded(
  t: ExecutionContext,
  setup: Setup = {},
  more: Partial<EndpointOptions> = {},
): Promise<Backend & {endpoint: Endpoint}> {
  const ms = (name: string, seconds: number | undefined) => (seconds === undefined ? {} : {[name]: seconds * 1_000});
  const endpoint = await startEndpoint({
    host: '127.0.0.1',
    port: 0,
    tokenSecret: secret,
    apiKey,
    namespaces,
    ...(setup.allowedOrigins && {allowedOrigins: setup.allowedOrigins}),
    ...(setup.channelLimit && {channelLimit: setup.channelLimit}),
    ...(setup.userConnectionLimit && {userConnectionLimit: setup.userConnectionLimit}),
    ...(setup.connectionLimit && {connectionLimit: setup.connectionLimit}),
    ...(setup.recoveryLimit && {recoveryMaxPublicationLimit: setup.recoveryLimit}),
    ...(setup.historyLimit && {historyMaxPublicationLimit: setup.historyLimit}),
    subscriptionTokenSecret: setup.subscriptionSecret,
    allowAnonymousConnectWithoutToken: setup.anonymous ?? false,
    personalChannelNamespace: setup.personalNamespace,
    connectIncludeServerTime: setup.serverTime ?? false,
    apiErrorMode: setup.errorMode,
    ...ms('pingIntervalMs', setup.ping),
    ...ms('pongTimeoutMs', setup.pong),
    ...ms('staleCloseDelayMs', setup.stale),
    ...ms('expiredCloseDelayMs', setup.expiredClose),
    ...ms('expiredSubCloseDelayMs', setup.expiredSubClose),
    ...ms('presenceUpdateIntervalMs', setup.presenceUpdate),
    ...more,
  });
  t.teardown(() => endpoint.close());
  return {
    name: 'embedded',
    url: endpoint.url,
    http: `http://127.0.0.1:${endpoint.port}`,
    endpoint,
    stop: () => endpoint.close(),
  };
}

async function startReal(t: ExecutionContext, setup: Setup): Promise<Backend> {
  const seconds = (name: string, value: number | undefined) => (value === undefined ? {} : {[name]: `${value}s`});
  const config = {
    client: {
      token: {hmac_secret_key: secret},
      allowed_origins: setup.allowedOrigins ?? [],
      ...(setup.channelLimit && {channel_limit: setup.channelLimit}),
      ...(setup.userConnectionLimit && {user_connection_limit: setup.userConnectionLimit}),
      ...(setup.connectionLimit && {connection_limit: setup.connectionLimit}),
      ...(setup.recoveryLimit && {recovery_max_publication_limit: setup.recoveryLimit}),
      ...(setup.historyLimit && {history_max_publication_limit: setup.historyLimit}),
      ...(setup.subscriptionSecret && {
        subscription_token: {enabled: true, hmac_secret_key: setup.subscriptionSecret},
      }),
      ...(setup.personalNamespace && {
        subscribe_to_user_personal_channel: {enabled: true, personal_channel_namespace: setup.personalNamespace},
      }),
      allow_anonymous_connect_without_token: setup.anonymous ?? false,
      connect_include_server_time: setup.serverTime ?? false,
      ...seconds('ping_interval', setup.ping),
      ...seconds('pong_timeout', setup.pong),
      ...seconds('stale_close_delay', setup.stale),
      ...seconds('expired_close_delay', setup.expiredClose),
      ...seconds('expired_sub_close_delay', setup.expiredSubClose),
      ...seconds('presence_update_interval', setup.presenceUpdate),
    },
    channel: {namespaces: namespaces.map(toReal)},
    http_api: {key: apiKey, ...(setup.errorMode && {error_mode: setup.errorMode})},
    health: {enabled: true},
    usage_stats: {disabled: true},
  };
  const real = await startCentrifugo(t, config, {});
  return {name: 'centrifugo', url: real.realtimeUrl, http: real.url, endpoint: undefined, stop: real.stop};
}

function toReal({historyTtlMs, ...rest}: Namespace): object {
  const snake = Object.entries(rest).map(([name, value]) => [
    name.replaceAll(/[A-Z]/g, letter => `_${letter.toLowerCase()}`),
    value,
  ]);
  return {...Object.fromEntries(snake), ...(historyTtlMs && {history_ttl: `${historyTtlMs / 1_000}s`})};
}

/** A token with these claims; times in seconds. */
export function token(claims: object, algorithm: jwt.Algorithm = 'HS256', key = secret): string {
  // As text, because the library would refuse the claims that are to be refused by the server.
  return jwt.sign(JSON.stringify(claims), key, {algorithm});
}

export function now(): number {
  return Math.floor(Date.now() / 1_000);
}

export type Message = Record<string, unknown>;

export interface RawClient {
  socket: WebSocket;
  /** Sends one frame: text as it is, objects as a line each. */
  send(...commands: (object | string)[]): void;
  /** The next message that is no ping; pings are answered when `connect` told to. */
  next(): Promise<Message>;
  /** All messages that are here already. */
  pending(): Message[];
  closed: Promise<{code: number; reason: string}>;
}

const waitMs = 30_000;

/** A socket that speaks frames by hand. */
export async function rawClient(
  t: ExecutionContext,
  backend: {url: string},
  options: {pong?: boolean; headers?: Record<string, string>; query?: string; protocols?: string[]} = {},
): Promise<RawClient> {
  const socket = new WebSocket(`${backend.url}${options.query ?? ''}`, options.protocols ?? [], {
    headers: options.headers ?? {},
  });
  t.teardown(() => socket.terminate());
  const messages: Message[] = [];
  socket.on('message', (data: RawData) => {
    for (const line of (data as Buffer).toString().split('\n')) {
      const message = JSON.parse(line) as Message;
      if (Object.keys(message).length > 0) messages.push(plain(message));
      else if (options.pong !== false) socket.send('{}');
    }
  });
  socket.on('error', () => undefined);
  const closed = once(socket, 'close').then(([code, reason]: unknown[]) => ({
    code: Number(code),
    reason: String(reason),
  }));
  await Promise.race([once(socket, 'open'), closed.then(({code}) => Promise.reject(new Error(`closed with ${code}`)))]);
  return {
    socket,
    send: (...commands) =>
      socket.send(commands.map(each => (typeof each === 'string' ? each : JSON.stringify(each))).join('\n')),
    next: () => until(() => messages.shift(), 'a message', waitMs),
    pending: () => messages.splice(0),
    closed,
  };
}

/** Without zero values, which either server may leave out, and without what is never the same twice. */
function plain(message: Message): Message {
  return JSON.parse(JSON.stringify(message), (key, value: unknown) => {
    if (value === 0 || value === false || value === '') return undefined;
    if (key === 'version' || key === 'node' || key === 'time') return undefined;
    return value;
  }) as Message;
}

/** A client that is connected as this user. */
export async function connected(
  t: ExecutionContext,
  backend: Backend,
  user: string,
  claims: object = {},
): Promise<RawClient & {id: string}> {
  const client = await rawClient(t, backend);
  client.send({id: 1, connect: {token: token({sub: user, ...claims})}});
  const {connect} = (await client.next()) as {connect: {client: string}};
  return {...client, id: connect.client};
}

/** Sends a command, and answers what comes with its id, and passes over what comes before it. */
export async function ask(client: RawClient, command: {id: number} & Message): Promise<Message> {
  client.send(command);
  for (;;) {
    const message = await client.next();
    if (message['id'] === command.id) return message;
  }
}

/** The server API over HTTP. */
export async function api(
  backend: {http: string},
  method: string,
  body: object | string,
  headers: Record<string, string> = {'x-api-key': apiKey},
): Promise<{status: number; text: string; json: Message}> {
  const answer = await fetch(`${backend.http}/api/${method}`, {
    method: 'POST',
    headers,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await answer.text();
  return {status: answer.status, text, json: text.startsWith('{') ? plain(JSON.parse(text) as Message) : {}};
}

export async function publish(
  backend: {http: string},
  channel: string,
  data: unknown,
  more: object = {},
): Promise<Message> {
  return (await api(backend, 'publish', {channel, data, ...more})).json;
}

const conformanceTitles: string[] = [];

type Body = (t: ExecutionContext, backend: Backend) => Promise<void>;

/** What has the same test run against the embedded endpoint and, where there is one, a real Centrifugo. */
export function conformanceOf(test: TestFn) {
  return function conformance(title: string, body: Body, setup: Setup = {}): void {
    for (const name of backendNames) test(`${name}: ${title}`, async t => body(t, await startBackend(t, name, setup)));
    if (!centrifugoProgram && conformanceTitles.push(title) === 1) test(`centrifugo: NOT TESTED HERE`, tellSkipped);
  };
}

function tellSkipped(t: ExecutionContext): void {
  t.log('!!! There is no real Centrifugo. Set CENTRIFUGO_BIN, or put `centrifugo` on PATH, to hold it to these too:');
  for (const title of conformanceTitles) t.log(`    ${title}`);
  t.pass();
}
