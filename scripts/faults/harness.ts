// What every fault run needs: servers as processes, writers that repeat until they are answered, a subscriber that
// keeps what it got, and the comparison at the end.
import {fork, type ChildProcess} from 'node:child_process';
import {Centrifuge, type PublicationContext} from 'centrifuge';
import {WebSocket} from 'ws';
import type {UserId} from '../../src/core/ids.ts';
import {mintApiToken, mintConnectionToken, mintSubscriptionToken} from '../../src/core/tokens.ts';
import {startEndpoint} from '../../src/realtime/endpoint.ts';

export const secrets = {
  JWT_SECRET: 'fault-api-secret-0123456789-0123456789',
  CENTRIFUGO_TOKEN_SECRET: 'fault-centrifugo-secret-0123456789-01',
  CENTRIFUGO_API_KEY: 'fault-centrifugo-key',
};

/** A random number generator that gives the same numbers for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const seconds = () => Math.floor(Date.now() / 1_000);

export function userToken(user: string): string {
  return mintApiToken(secrets.JWT_SECRET, {sub: user}, 86_400, seconds()).token;
}

export function serviceToken(): string {
  return mintApiToken(secrets.JWT_SECRET, {sub: 'faults', scope: 'chat:admin'}, 86_400, seconds()).token;
}

export interface ServerProcess {
  child: ChildProcess;
  apiUrl: string;
  realtimeUrl: string;
  /** Milliseconds from the start to the first answer it could give. */
  readyMs: number;
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
}

const running = new Set<ChildProcess>();

/** What a fault that failed in the middle has left: it would keep whoever started it from ending. */
export function killServers(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** `chatctl serve` from dist/ as a process of its own. */
export async function startServerProcess(env: Record<string, string>): Promise<ServerProcess> {
  const started = performance.now();
  const child = fork('dist/bin/chatctl.js', ['serve', '--migrate'], {
    env: {PATH: process.env['PATH'], ...secrets, PORT: '0', REALTIME_PORT: '0', ...env},
    // Not ours, which may load TypeScript: what is started is built.
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  running.add(child);
  const ended = new Promise<void>(resolve => {
    child.once('exit', () => {
      running.delete(child);
      resolve();
    });
  });
  const ready = await readyLine(child);
  return {
    child,
    apiUrl: String(ready['api']),
    realtimeUrl: String(ready['realtime_url']),
    readyMs: performance.now() - started,
    async end(signal) {
      child.kill(signal);
      await ended;
    },
  };
}

export interface Broker {
  /** Of its server API. */
  httpUrl: string;
  realtimeUrl: string;
  close(): Promise<void>;
}

/** The embedded endpoint by itself, as the broker of servers that come and go. */
export async function startBroker(): Promise<Broker> {
  const endpoint = await startEndpoint({
    host: '127.0.0.1',
    port: 0,
    tokenSecret: secrets.CENTRIFUGO_TOKEN_SECRET,
    apiKey: secrets.CENTRIFUGO_API_KEY,
  });
  return {
    httpUrl: `http://127.0.0.1:${endpoint.port}`,
    realtimeUrl: endpoint.url,
    close: () => endpoint.close(),
  };
}

function readyLine(child: ChildProcess): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    let output = '';
    const look = (chunk: Buffer) => {
      output += chunk.toString();
      const line = output.split('\n').find(each => each.includes('chatctl serves'));
      if (!line) return;
      // The pipe must be read on, or the server would wait for us.
      child.stdout?.off('data', look).resume();
      resolve(JSON.parse(line) as Record<string, unknown>);
    };
    child.stdout?.on('data', look);
    child.stderr?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.once('exit', code => reject(new Error(`the server ended with ${code}: ${output}`)));
  });
}

export interface Answer {
  status: number;
  body: Record<string, unknown>;
}

/** One request; undefined when there was no answer. */
export async function request(
  apiUrl: string,
  token: string,
  method: string,
  path: string,
  body?: object,
): Promise<Answer | undefined> {
  try {
    const answer = await fetch(`${apiUrl}${path}`, {
      method,
      headers: {authorization: `Bearer ${token}`, ...(body && {'content-type': 'application/json'})},
      ...(body && {body: JSON.stringify(body)}),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await answer.text();
    return {status: answer.status, body: text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {}};
  } catch {
    return undefined;
  }
}

export async function createRoom(apiUrl: string, members: readonly string[]): Promise<number> {
  const answer = await request(apiUrl, serviceToken(), 'POST', '/api/rooms/', {name: 'faults', members});
  if (answer?.status !== 201) throw new Error(`no room: ${JSON.stringify(answer)}`);
  return Number(answer.body['id']);
}

export const pause = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms));

export interface Writers {
  /** Ids by client id of the posts that were answered with 201 or 200. */
  acknowledged: Map<string, number>;
  /** Answers that were neither, by status. */
  refused: Map<number, number>;
  /** Ends when every post under way is answered. */
  stop(): Promise<void>;
}

/** A writer rests between its posts: what a fault does shows at any load, and a long wait must not fill the room. */
const postPauseMs = 5;
const retryPauseMs = 50;

/** Users that post one message after the other, each again and again under its client id until it is answered. */
export function startWriters(server: () => string, room: number, users: readonly string[], tag: string): Writers {
  const acknowledged = new Map<string, number>();
  const refused = new Map<number, number>();
  let stopping = false;
  const write = async (user: string) => {
    const token = userToken(user);
    for (let n = 0; !stopping; n++) {
      const client_id = `${tag}-${user}-${n}`;
      for (;;) {
        const answer = await request(server(), token, 'POST', `/api/rooms/${room}/messages/`, {
          content: client_id,
          client_id,
        });
        if (answer?.status === 201 || answer?.status === 200) {
          acknowledged.set(client_id, Number(answer.body['id']));
          break;
        }
        if (answer) refused.set(answer.status, (refused.get(answer.status) ?? 0) + 1);
        await pause(retryPauseMs);
      }
      await pause(postPauseMs);
    }
  };
  const all = Promise.all(users.map(write));
  return {
    acknowledged,
    refused,
    async stop() {
      stopping = true;
      await all;
    },
  };
}

export interface Subscriber {
  /** Versions in the order of arrival, as they came. */
  versions: number[];
  /** How many had come when a stream was lost and another began. */
  losses: number[];
  /** Messages that arrived, by id, after repeats were dropped by version. */
  messages: Map<number, string>;
  /** How often the position was lost, so that the client fetched what it had. */
  refetches: number;
  tokens: number;
  client: Centrifuge;
  close(): void;
}

/** A client as the README tells to write one: it drops repeats by version, and fetches again when told or on a gap. */
export async function subscribe(
  realtimeUrl: () => string,
  apiUrl: () => string,
  user: string,
  room: number,
): Promise<Subscriber> {
  const id = user as UserId;
  const secret = secrets.CENTRIFUGO_TOKEN_SECRET;
  const state = {
    versions: [] as number[],
    losses: [] as number[],
    messages: new Map<number, string>(),
    refetches: 0,
    tokens: 0,
    last: 0,
  };
  const channel = `personal:${user}`;
  const client = new Centrifuge([{transport: 'websocket', endpoint: realtimeUrl()}], {
    websocket: WebSocket,
    minReconnectDelay: 20,
    maxReconnectDelay: 200,
    getToken() {
      state.tokens += 1;
      return Promise.resolve(mintConnectionToken(secret, id, seconds()).token);
    },
  });
  const subscription = client.newSubscription(channel, {
    getToken: () => Promise.resolve(mintSubscriptionToken(secret, id, channel, seconds()).token),
    minResubscribeDelay: 20,
    maxResubscribeDelay: 200,
  });

  // One fetch at a time; a position that is lost meanwhile has another one follow, because the first may have read the
  // newest page before that.
  let fetching = false;
  let again = false;
  const refetch = async () => {
    again = true;
    if (fetching) return;
    fetching = true;
    while (again) {
      again = false;
      state.refetches += 1;
      await readBack();
    }
    fetching = false;
  };
  /** Reads from the newest message back to a page that holds nothing new. */
  const readBack = async () => {
    for (let before = ''; ;) {
      const answer = await request(apiUrl(), userToken(user), 'GET', `/api/rooms/${room}/messages/?limit=100${before}`);
      if (answer?.status !== 200) {
        await pause(50);
        continue;
      }
      const results = answer.body['results'] as {id: number; content: string; room: {version: number}}[];
      const known = results.every(each => state.messages.has(each.id));
      for (const each of results) state.messages.set(each.id, each.content);
      state.last = Math.max(state.last, results[0]?.room.version ?? 0);
      const oldest = results.at(-1);
      if (!oldest || known || !answer.body['next']) return;
      before = `&before=${oldest.id}`;
    }
  };

  subscription.on('publication', ({data}: PublicationContext) => {
    const {type, body} = data as {
      type: string;
      body: {id: number; content: string; room: {id: number; version: number}};
    };
    if (body.room.id !== room) return;
    const {version} = body.room;
    state.versions.push(version);
    if (version <= state.last) return;
    if (state.last > 0 && version > state.last + 1) void refetch();
    state.last = version;
    if (type === 'message_added') state.messages.set(body.id, body.content);
  });
  subscription.on('subscribed', ({wasRecovering, recovered}) => {
    if (!wasRecovering || recovered) return;
    state.losses.push(state.versions.length);
    void refetch();
  });
  subscription.subscribe();
  client.connect();
  await subscription.ready(10_000);
  return Object.assign(state, {client, close: () => client.disconnect()});
}

export interface Verdict {
  acknowledged: number;
  lost: number;
  duplicates: number;
  gaps: number;
  disordered: number;
  repeatedOnTheWire: number;
  undelivered: number;
}

/** Reads the whole room back and compares it with what was acknowledged and what arrived. */
export async function verdictOf(
  apiUrl: string,
  room: number,
  writers: Writers,
  subscriber: Subscriber,
): Promise<Verdict> {
  const stored = await readAll(apiUrl, room);
  await arrival(stored, subscriber);
  const ids = new Set(stored.map(each => each.id));
  const clientIds = stored.map(each => each.client_id);
  return {
    acknowledged: writers.acknowledged.size,
    lost: [...writers.acknowledged.values()].filter(id => !ids.has(id)).length,
    duplicates: clientIds.length - new Set(clientIds).size,
    gaps: stored.filter((each, i) => each.seq !== i + 1).length,
    disordered: disorderedIn(subscriber),
    repeatedOnTheWire: subscriber.versions.length - new Set(subscriber.versions).size,
    undelivered: stored.filter(each => !subscriber.messages.has(each.id)).length,
  };
}

/**
 * What is older than what came before it, and new in its stream. A stream that ends with its process is followed by another,
 * in which stands again what that process published and did not yet take off the outbox: also what this client was away
 * for and fetched.
 */
export function disorderedIn({versions, losses}: Pick<Subscriber, 'versions' | 'losses'>): number {
  const streams = [0, ...losses].map((start, i) => versions.slice(start, losses[i]));
  const descents = streams.map(stream => {
    const fresh = [...new Set(stream)];
    return fresh.filter((version, i) => i > 0 && version < (fresh[i - 1] ?? 0)).length;
  });
  return descents.reduce((sum, each) => sum + each, 0);
}

interface Stored {
  id: number;
  seq: number;
  client_id: string;
}

async function readAll(apiUrl: string, room: number): Promise<Stored[]> {
  const all: Stored[] = [];
  for (let page = 1; ; page++) {
    const answer = await request(apiUrl, serviceToken(), 'GET', `/api/rooms/${room}/messages/?page=${page}`);
    all.push(...((answer?.body['results'] as Stored[] | undefined) ?? []));
    if (!answer?.body['next']) return all.toSorted((a, b) => a.seq - b.seq);
  }
}

/** Until everything is there, or nothing has come for so long that nothing will. */
const silenceLimitMs = 20_000;

async function arrival(stored: readonly Stored[], {messages}: Subscriber): Promise<void> {
  let arrived = messages.size;
  let deadline = performance.now() + silenceLimitMs;
  while (!stored.every(each => messages.has(each.id)) && performance.now() < deadline) {
    await pause(20);
    if (messages.size === arrived) continue;
    arrived = messages.size;
    deadline = performance.now() + silenceLimitMs;
  }
}

/** What must be zero after every fault. */
export function faultsIn(verdict: Verdict): string[] {
  const names = ['lost', 'duplicates', 'gaps', 'disordered', 'undelivered'] as const;
  return names.filter(name => verdict[name] > 0).map(name => `${verdict[name]} ${name}`);
}
