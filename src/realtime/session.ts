// One connection: frames in, commands strictly in order, replies and pushes out, and the timers that end it.
import {randomUUID} from 'node:crypto';
import {badRequest, CommandError, DisconnectError, disconnects, errors, type Disconnect} from './codes.ts';
import {history, presence, presenceStats, publish, refresh, subRefresh, unsubscribe} from './commands.ts';
import {connect} from './connect.ts';
import {errorReply, reply, type Body} from './encode.ts';
import type {Fields} from './fields.ts';
import {decodeCommand, linesOf, type Command} from './frames.ts';
import type {Hub, Session} from './hub.ts';
import {createOutput} from './output.ts';
import {subscribe} from './subscribe.ts';
import {createTimers} from './timers.ts';
import type {VerifyToken} from './tokens.ts';

/** The socket below a connection. */
export interface Transport {
  send(text: string, encoded?: Buffer): void;
  /** Bytes that wait to be written. */
  buffered(): number;
  /** Sends a WebSocket ping. Left out where pings are messages, as usual. */
  ping?: (() => void) | undefined;
  close(code: number, reason: string): void;
  terminate(): void;
}

export interface Connection {
  receive(frame: string): void;
  disconnect(disconnect: Disconnect): void;
  /** A WebSocket pong came. */
  ponged(): void;
  /** The socket is gone. */
  closed(): void;
}

/** How long a client whose connect was refused may take to close. */
const closeWaitMs = 5_000;

type Handler = (hub: Hub, verify: VerifyToken, session: Session, request: Fields) => Body;

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

export function openConnection(hub: Hub, verify: VerifyToken, transport: Transport): Connection {
  const {settings} = hub;
  let state: 'new' | 'connected' | 'unusable' | 'closed' = 'new';
  let awaitsPong = false;
  const timers = createTimers();
  const output = createOutput(
    {
      write(text, encoded) {
        if (state !== 'closed') transport.send(text, encoded);
      },
      buffered: transport.buffered,
      overflow: () => disconnect(disconnects.slow),
    },
    settings.queueMaxSize,
  );

  function end(): void {
    if (state === 'closed') return;
    state = 'closed';
    timers.clearAll();
    hub.remove(session);
  }

  function disconnect({code, reason}: Disconnect): void {
    if (state === 'closed') return;
    const isSlow = code === disconnects.slow.code;
    if (!isSlow) output.flush();
    end();
    transport.close(code, reason);
    if (isSlow) transport.terminate();
  }

  const session: Session = {
    id: randomUUID(),
    user: '',
    connInfo: undefined,
    pingsByFrame: transport.ping !== undefined,
    subscriptions: new Map(),
    send: output.send,
    disconnect,
    expireAt(seconds) {
      if (seconds === undefined) return timers.clear('expiry');
      const ms = Math.max(seconds * 1_000 - settings.now(), 0) + settings.expiredCloseDelayMs;
      timers.set('expiry', ms, () => disconnect(disconnects.expired));
    },
  };

  function ping(): void {
    if (transport.ping) transport.ping();
    else output.send('{}');
    awaitsPong = true;
    if (settings.pongTimeoutMs > 0) timers.set('pong', settings.pongTimeoutMs, () => disconnect(disconnects.noPong));
    timers.set('ping', settings.pingIntervalMs, ping);
  }

  function ponged(): void {
    awaitsPong = false;
    timers.clear('pong');
  }

  function handleConnect(id: number, request: Fields): void {
    if (state === 'connected') throw badRequest();
    const {text, afterReply} = connect(hub, verify, session, id, request);
    output.send(text);
    state = 'connected';
    timers.clear('stale');
    timers.set('ping', settings.pingIntervalMs * (0.5 + Math.random() / 2), ping);
    afterReply();
  }

  function handle(method: string, id: number, request: Fields): void {
    if (method === 'connect') return handleConnect(id, request);
    const body = handlers[method]?.(hub, verify, session, request);
    if (!body) throw badRequest();
    output.send(reply(id, method, body));
    body.afterReply?.();
  }

  function dispatch({id, method, request}: Command): void {
    if (state === 'new' && method !== 'connect') throw badRequest();
    if (id === 0 && method !== 'send') {
      if (!awaitsPong || transport.ping) throw badRequest();
      return ponged();
    }
    if (method === undefined) throw badRequest();
    try {
      handle(method, id, request);
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      output.send(errorReply(id, error.error));
      if (method === 'connect') becomeUnusable();
    }
  }

  // Nothing more is read; the client is given time to close, at most until it is stale.
  function becomeUnusable(): void {
    state = 'unusable';
    timers.clear('expiry');
    hub.remove(session);
    timers.set('close', closeWaitMs, () => {
      end();
      transport.terminate();
    });
  }

  function isOver(): boolean {
    return state === 'closed' || state === 'unusable';
  }

  function receive(frame: string): void {
    if (isOver()) return;
    output.collect();
    try {
      for (const line of linesOf(frame)) {
        dispatch(decodeCommand(line));
        if (isOver()) break;
      }
      output.flush();
    } catch (error) {
      if (error instanceof DisconnectError) return disconnect(error.disconnect);
      settings.log('a command failed', error);
      disconnect(disconnects.internal);
    }
  }

  timers.set('stale', settings.staleCloseDelayMs, () => disconnect(disconnects.stale));
  return {receive, disconnect, ponged, closed: end};
}
