// One connection: frames in, commands strictly in order, replies and pushes out, and the timers that end it.
import {randomUUID} from 'node:crypto';
import {
  CommandError,
  badRequest,
  DisconnectError,
  disconnects,
  errors,
  type Disconnect,
  type ProtocolError,
} from './codes.ts';
import {history, presence, presenceStats, publish, refresh, subRefresh, unsubscribe} from './commands.ts';
import {connect} from './connect.ts';
import {push, reply, type Body} from './encode.ts';
import {isFields, type Fields} from './fields.ts';
import type {Hub, Session} from './hub.ts';
import {subscribe} from './subscribe.ts';
import type {VerifyToken} from './tokens.ts';

/** The socket below a connection. */
export interface Transport {
  send(text: string, encoded?: Buffer): void;
  /** Bytes that wait to be written. */
  buffered(): number;
  close(code: number, reason: string): void;
  terminate(): void;
}

export interface Connection {
  receive(frame: string): void;
  disconnect(disconnect: Disconnect): void;
  /** The socket is gone. */
  closed(): void;
}

/** How long a client whose connect was refused may take to close. */
const closeWaitMs = 5_000;
const longestTimerMs = 2_147_483_647;

type Handler = (hub: Hub, verify: VerifyToken, session: Session, request: Fields) => Body;

/** In the order in which a command with several methods is understood. */
const handlers: Record<string, Handler> = {
  subscribe,
  unsubscribe: (hub, _, session, request) => unsubscribe(hub, session, request),
  publish: (hub, _, session, request) => publish(hub, session, request),
  presence: (hub, _, session, request) => presence(hub, session, request),
  presence_stats: (hub, _, session, request) => presenceStats(hub, session, request),
  history: (hub, _, session, request) => history(hub, session, request),
  rpc() {
    throw new CommandError(errors.notAvailable);
  },
  send() {
    throw new DisconnectError(disconnects.notAvailable);
  },
  refresh,
  sub_refresh: subRefresh,
};
const methods = ['connect', ...Object.keys(handlers)];

export function openConnection(hub: Hub, verify: VerifyToken, transport: Transport): Connection {
  const {settings} = hub;
  let state: 'new' | 'connected' | 'unusable' | 'closed' = 'new';
  let batch: string[] | undefined;
  let batchSize = 0;
  let awaitsPong = false;
  const timers = new Map<string, NodeJS.Timeout>();

  function later(name: string, ms: number, action: () => void): void {
    clearTimeout(timers.get(name));
    timers.set(name, setTimeout(action, Math.min(ms, longestTimerMs)));
  }

  function stopTimers(): void {
    for (const timer of timers.values()) clearTimeout(timer);
    timers.clear();
  }

  function write(text: string, encoded?: Buffer): void {
    if (state === 'closed') return;
    if (transport.buffered() + text.length > settings.queueMaxSize) return disconnect(disconnects.slow);
    transport.send(text, encoded);
  }

  function send(text: string, encoded?: Buffer): void {
    if (!batch) return write(text, encoded);
    batch.push(text);
    batchSize += text.length;
    if (batchSize > settings.queueMaxSize) disconnect(disconnects.slow);
  }

  function flush(): void {
    const texts = batch ?? [];
    batch = undefined;
    if (texts.length > 0) write(texts.join('\n'));
  }

  function disconnect({code, reason}: Disconnect): void {
    if (state === 'closed') return;
    if (code !== disconnects.slow.code) flush();
    end();
    transport.close(code, reason);
    if (code === disconnects.slow.code) transport.terminate();
  }

  function end(): void {
    if (state === 'closed') return;
    state = 'closed';
    stopTimers();
    hub.remove(session);
  }

  const session: Session = {
    id: randomUUID(),
    user: '',
    connInfo: undefined,
    subscriptions: new Map(),
    send,
    disconnect,
    expireAt(seconds) {
      clearTimeout(timers.get('expiry'));
      if (seconds === undefined) return;
      const ms = Math.max(seconds * 1_000 - settings.now(), 0) + settings.expiredCloseDelayMs;
      later('expiry', ms, () => disconnect(disconnects.expired));
    },
  };

  function ping(): void {
    send('{}');
    awaitsPong = true;
    later('pong', settings.pongTimeoutMs, () => disconnect(disconnects.noPong));
    later('ping', settings.pingIntervalMs, ping);
  }

  function pong(): void {
    if (!awaitsPong) throw badRequest();
    awaitsPong = false;
    clearTimeout(timers.get('pong'));
  }

  function handleConnect(id: number, request: Fields): void {
    if (state === 'connected') throw badRequest();
    send(connect(hub, verify, session, id, request));
    state = 'connected';
    clearTimeout(timers.get('stale'));
    later('ping', settings.pingIntervalMs * (0.5 + Math.random() / 2), ping);
  }

  function dispatch(command: Fields): void {
    if (state === 'new' && command['connect'] === undefined) throw badRequest();
    const id = idOf(command);
    if (id === 0 && command['send'] === undefined) return pong();
    const method = methods.find(name => command[name] !== undefined);
    const request = method === undefined ? undefined : command[method];
    if (method === undefined || !isFields(request)) throw badRequest();
    try {
      if (method === 'connect') return handleConnect(id, request);
      const body = handlers[method]?.(hub, verify, session, request);
      if (body) send(reply(id, method, body));
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      send(errorReply(id, error.error));
      if (method === 'connect') becomeUnusable();
    }
  }

  // Nothing more is read; the client is given time to close.
  function becomeUnusable(): void {
    state = 'unusable';
    stopTimers();
    hub.remove(session);
    later('close', closeWaitMs, () => {
      end();
      transport.terminate();
    });
  }

  function receive(frame: string): void {
    if (state === 'closed' || state === 'unusable') return;
    batch = [];
    batchSize = 0;
    try {
      for (const line of linesOf(frame)) {
        dispatch(decode(line));
        if (isOver()) break;
      }
      flush();
    } catch (error) {
      disconnect(error instanceof DisconnectError ? error.disconnect : disconnects.internal);
    }
  }

  function isOver(): boolean {
    return state === 'closed' || state === 'unusable';
  }

  later('stale', settings.staleCloseDelayMs, () => disconnect(disconnects.stale));
  return {receive, disconnect, closed: end};
}

/** A frame's lines. One newline at the end is fine; what is empty before it is not a command. */
function linesOf(frame: string): string[] {
  const lines = frame.split('\n');
  if (lines.length > 1 && lines.at(-1) === '') lines.pop();
  return lines;
}

function decode(line: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw badRequest();
  }
  if (!isFields(value)) throw badRequest();
  return value;
}

const maxId = 4_294_967_295;

/** The id of the command, 0 when there is none. */
function idOf({id}: Fields): number {
  if (id === undefined) return 0;
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id > maxId) throw badRequest();
  return id;
}

function errorReply(id: number, error: ProtocolError): string {
  return JSON.stringify({id, error});
}

/** Ends subscriptions whose token ran out and was not refreshed in time. */
export function endExpiredSubscriptions(hub: Hub, session: Session): void {
  const limit = hub.settings.now() - hub.settings.expiredSubCloseDelayMs;
  for (const [channel, {expireAt, serverSide}] of session.subscriptions) {
    if (expireAt === undefined || expireAt * 1_000 > limit) continue;
    if (serverSide) return session.disconnect({code: 3006, reason: 'subscription expired'});
    hub.unsubscribe(session, channel);
    session.send(push(channel, 'unsubscribe', {code: 2501, reason: 'subscription expired'}));
  }
}
