import type Koa from 'koa';
import type {Actor, Chat} from '../core/chat.ts';
import type {VerifyApiToken} from '../core/api-token.ts';
import type {Streams} from '../core/broker.ts';
import type {ChatError} from '../core/errors.ts';
import type {Logger} from '../log.ts';
import type {Limits} from './limits.ts';
import type {TurnLimits} from './turns.ts';
import type {UnreadLimits} from './unread.ts';

/** What the REST door needs; src/serve makes it. */
export interface HttpOptions {
  chat: Chat;
  verifyApiToken: VerifyApiToken;
  /** Signs connection and subscription tokens. */
  centrifugoTokenSecret: string;
  /** The base of links; a function, because the port may be known only once the server listens. */
  publicUrl: () => string;
  /** Exact origins, or with `*` for the port. */
  corsOrigins: readonly string[];
  /** How many proxies stand in front and are believed about the caller's address. */
  trustProxy: number;
  /** Rate limits, where there are any. */
  limits?: Limits | undefined;
  /** Requests under way at once at most; more are refused with 503. */
  maxInFlight: number;
  /** Other turns than the usual. */
  turns?: Pick<TurnLimits, 'atOnce' | 'longMs'>;
  /** Other limits of unread answers than the usual. */
  unread?: UnreadLimits;
  log: Logger;
  ready: () => Promise<{ok: boolean; checks: Record<string, string>}>;
  metrics?: HttpMetrics | undefined;
  /** The broker's streams, from which an erased user goes. */
  streams?: Pick<Streams, 'clear'> | undefined;
}

export interface HttpMetrics {
  /** The bearer key of GET /metrics. */
  key: string;
  contentType: string;
  render: () => Promise<string>;
  request: (route: string, method: string, status: number, seconds: number) => void;
}

export interface State {
  requestId: string;
  /** The path's pattern once a route was found, for logs and metrics. */
  route?: string;
  actor?: Actor;
  /** That the caller has come too often or with too much, and is to come later. */
  limited?: Limited;
  /** Waits for something that is no work of this server. Rejects with overloaded when there is too much of it afterwards. */
  withoutPlace?: <T>(wait: () => Promise<T>) => Promise<T>;
}

export interface Limited {
  /** Until when the same request is refused, as `performance.now()` tells time. */
  until: number;
  error: ChatError;
  /** The refusal's headers and words with the times as they are now, for who is to wait so much longer. */
  tell(longerMs?: number): {headers: Record<string, string>; detail: string};
  /** Tells that the caller came again before that. Returns for how many milliseconds more it is refused. */
  cameAgain?(): number;
}

export type Context = Koa.ParameterizedContext<State>;
export type Middleware = Koa.Middleware<State>;
