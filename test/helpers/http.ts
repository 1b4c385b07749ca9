import {connect, type AddressInfo} from 'node:net';
import {setImmediate as turn} from 'node:timers/promises';
import type {ExecutionContext} from 'ava';
import pino from 'pino';
import type {SettingName} from '../../src/settings.ts';
import {apiTokenVerifier} from '../../src/core/api-token.ts';
import {keySource, secretKey} from '../../src/core/keys.ts';
import {createRoom} from '../../src/core/rooms.ts';
import {putMember} from '../../src/core/members.ts';
import {CreateRoom, parse} from '../../src/core/input.ts';
import type {HttpOptions} from '../../src/http/context.ts';
import {httpApp} from '../../src/http/koa.ts';
import {createLimits} from '../../src/http/limits.ts';
import {httpServer, serverLimits, type ServerLimits} from '../../src/http/server.ts';
import {rateLimits, type RateLimits} from '../../src/core/rate-limits.ts';
import {withoutSecrets} from '../../src/log.ts';
import type {OpenChat} from '../../src/open.ts';
import {openTestChat, operator, testSecrets, userId} from './chat.ts';
import type {Database} from './database.ts';

/** What the tokens of helpers/chat are signed with. */
export const testKeys = keySource([secretKey('JWT_SECRET', testSecrets.JWT_SECRET)]);

export interface Api {
  url: string;
  port: number;
  chat: OpenChat;
  /** Everything that was logged, as text. */
  logged: () => string;
}

type ApiOptions = Partial<Omit<HttpOptions, 'chat'>> & {
  /** Of another server of the same database; one of its own when it is not given. */
  chat?: OpenChat;
  env?: Partial<Record<SettingName, string>>;
  server?: Partial<ServerLimits>;
  /** Turns the rate limits on, with these figures in place of the usual. */
  rates?: Partial<RateLimits>;
  rateStore?: 'memory' | 'database';
};

/** The REST door alone over real HTTP, without a relay; closed when the test ends. */
export async function startApi(
  t: ExecutionContext,
  database: Database,
  {env = {}, server: limits, rates, rateStore = 'memory', ...options}: ApiOptions = {},
): Promise<Api> {
  const chat = options.chat ?? (await openTestChat(t, database, env));
  const lines: string[] = [];
  // As a server writes it: what the log takes out is part of what is tested.
  const log = pino({level: 'trace'}, withoutSecrets({write: line => void lines.push(line)}));
  const app = httpApp({
    chat,
    verifyApiToken: apiTokenVerifier({keys: testKeys, requireExp: true, serviceScope: 'chat:admin'}),
    centrifugoTokenSecret: testSecrets.CENTRIFUGO_TOKEN_SECRET,
    publicUrl: () => 'https://chat.example',
    corsOrigins: ['https://app.example', 'http://localhost:*'],
    trustProxy: 0,
    maxInFlight: 1_000,
    log,
    ready: async () => ({ok: true, checks: {database: 'ok'}}),
    limits: rates && createLimits({...rateLimits, ...rates}, rateStore, chat),
    ...options,
  });
  const server = httpServer(app, log, {...serverLimits, ...limits});
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(async () => {
    const closed = new Promise(resolve => server.close(resolve));
    server.closeAllConnections();
    await closed;
    // A request that was cut may still hold a statement.
    await turn();
  });
  const {port} = server.address() as AddressInfo;
  return {url: `http://127.0.0.1:${port}`, port, chat, logged: () => lines.join('')};
}

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** The text as a JSON object; empty when it is none. */
  body: Record<string, unknown>;
  /** What the body has at a path such as `results.0.id`. */
  at: (path: string) => unknown;
}

/** A request with a bearer token, or with none. A string is sent as it is. */
export async function ask(
  api: {url: string},
  token: string | undefined,
  method: string,
  path: string,
  body?: object | string | Buffer,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const raw = body === undefined || typeof body === 'string' || Buffer.isBuffer(body);
  const answer = await fetch(`${api.url}${path}`, {
    method,
    redirect: 'manual',
    headers: {
      ...(token !== undefined && {authorization: `Bearer ${token}`}),
      ...(body !== undefined && {'content-type': 'application/json'}),
      ...headers,
    },
    ...(body !== undefined && {body: raw ? body : JSON.stringify(body)}),
  });
  return answerOf(answer.status, answer.headers, await answer.text());
}

function answerOf(status: number, headers: Headers, text: string): Answer {
  const isJson = /json/.test(headers.get('content-type') ?? '') && text !== '';
  const body = (isJson ? JSON.parse(text) : {}) as Record<string, unknown>;
  const at = (path: string) => path.split('.').reduce<unknown>(inside, body);
  return {status, headers, text, body, at};
}

function inside(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

/** Sends a head that fetch would not, and answers the first response of the connection. */
export function sendRaw(api: Api, head: readonly string[], body = ''): Promise<Answer> {
  return sendBytes(api, `${[...head, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`);
}

/** Sends these bytes and answers the first response of the connection, once the server has closed it. */
export async function sendBytes(api: Api, bytes: string | Buffer): Promise<Answer> {
  const [top = '', ...rest] = (await exchange(api, bytes)).split('\r\n\r\n');
  const [first = '', ...lines] = top.split('\r\n');
  const headers = new Headers(lines.map(line => [line.split(':')[0] ?? '', line.slice(line.indexOf(':') + 1)]));
  return answerOf(Number(first.split(' ')[1]), headers, rest.join('\r\n\r\n'));
}

/** Sends these bytes and answers all that came until the server closed the connection. */
export function exchange(api: Api, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(api.port, '127.0.0.1');
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
    socket.write(bytes);
  });
}

/** The id of a new room: `admin` of it is ann, member is mia, and sam is a stranger to it. */
export async function testRoom(chat: OpenChat, input: object = {}): Promise<number> {
  const room = await createRoom(chat, operator, parse(CreateRoom, {name: 'general', members: ['mia'], ...input}));
  await putMember(chat, operator, room.id, userId('ann'), {role: 'admin'});
  return room.id;
}

/** A 401 as the contract has it, with this challenge. */
export function mustBeUnauthenticated(
  t: ExecutionContext,
  {status, headers, body, text}: Answer,
  challenge: RegExp | string,
): void {
  t.is(status, 401, text);
  t.is(headers.get('content-type'), 'application/problem+json');
  if (typeof challenge === 'string') t.is(headers.get('www-authenticate'), challenge);
  else t.regex(headers.get('www-authenticate') ?? '', challenge);
  t.is(body['status'], 401);
}

/** In ascending order: of requests made at once it is open which comes first. */
export function statusesOf(answers: readonly Answer[]): number[] {
  return answers.map(({status}) => status).toSorted((a, b) => a - b);
}

/** The names in an answer, nested ones after their parent's: `user.id`. */
export function keysOf(value: unknown, parent = ''): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) => [`${parent}${key}`, ...keysOf(inner, `${parent}${key}.`)]);
}
