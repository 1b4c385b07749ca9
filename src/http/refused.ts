// Who was told to come later, by a rate limit or because too much is under way here, and comes sooner for the same thing
// is refused again from memory, before anything else is done: the answer is the first one but for its times and its
// request id. On a connection that is new or was refused lately it is also given after a short hold, so that a client that
// asks as fast as it is answered asks a few times a second, and leaves the processor to the others. Otherwise it is given
// soon, a few in a turn: what is held outlives the collector's next look, which then takes twice as long.
//
// Such answers are counted by the metrics and have no line of their own in the log: the first of them has one.
import {hash, randomUUID} from 'node:crypto';
import type {IncomingMessage, OutgoingHttpHeader, ServerResponse} from 'node:http';
import {keepNewest} from '../core/keep-newest.ts';
import type {HttpMetrics, Limited, Middleware} from './context.ts';
import {problemText, statuses} from './errors.ts';
import {clientAddress} from './limits.ts';
import {inPortions} from './portions.ts';

export const holdMs = 200;
/** Answers that wait here; more are given at once. */
const maxHeld = 1_000;
/** Refusals of one turn of the event loop: hundreds that come, or are over, together would hold everybody else up. */
const atOnce = 5;
const maxKept = 10_000;

interface Refusal {
  limited: Limited;
  /** How much longer than it was told at first. */
  longerMs: number;
  /** As they were answered first, names and values in turns. */
  headers: OutgoingHttpHeader[];
  route: string | undefined;
}

export interface RefusesAgain {
  /** Whether the request was refused; it never meets koa, whose part of such an answer would be a quarter of it. */
  refuses(request: IncomingMessage, response: ServerResponse): boolean;
  /** Outermost of the middleware: keeps what was refused. */
  remember: Middleware;
}

export function refuseAgain(metrics: HttpMetrics | undefined, trustProxy: number): RefusesAgain {
  const kept = new Map<string, Refusal>();
  /** By connection, when it was last refused something. */
  const refusedAt = new WeakMap<object, number>();
  let held = 0;
  const soon = inPortions({atOnce});

  /** Those that came first are mostly over first; while there are none a request costs nothing here. */
  function forget(now: number): void {
    for (const [key, {limited, longerMs}] of kept) {
      if (now < limited.until + longerMs) return;
      kept.delete(key);
    }
  }

  function hold(answer: ServerResponse, forMs: number, give: () => void): void {
    if (held >= maxHeld) return give();
    held += 1;
    let isHeld = true;
    // Of answers that wait behind others on their connection none is told that it is closed.
    const leave = () => {
      if (isHeld) held -= 1;
      isHeld = false;
      clearTimeout(timer);
    };
    const giveSoon = () =>
      soon(() => {
        leave();
        if (!answer.req.socket.destroyed) give();
      });
    const timer = forMs > 0 ? setTimeout(giveSoon, forMs) : undefined;
    if (!timer) giveSoon();
    answer.once('close', leave);
  }

  function refuse(response: ServerResponse, method: string, {limited, longerMs, headers, route}: Refusal): void {
    const asked = performance.now();
    const {socket} = response.req;
    const paced = (refusedAt.get(socket) ?? asked) + holdMs;
    // Whose time has come meanwhile is not kept from asking for it.
    hold(response, Math.min(paced, limited.until + longerMs) - asked, () => {
      refusedAt.set(socket, performance.now());
      const requestId = randomUUID();
      const told = limited.tell(longerMs);
      const body = problemText(limited.error, requestId, told.detail);
      const own = ['X-Request-Id', requestId, 'Content-Length', String(Buffer.byteLength(body))];
      const {status} = statuses[limited.error.kind];
      response.writeHead(status, [...headers, ...Object.entries(told.headers).flat(), ...own]).end(body);
      metrics?.request(route ?? 'none', method, status, (performance.now() - asked) / 1_000);
    });
  }

  /** Everything that the limits, and the headers of an answer, go by. */
  function keyOf(request: IncomingMessage): string {
    const {method, url = '', headers} = request;
    const [path] = url.split('?', 1);
    const address = clientAddress(request, trustProxy);
    return hash('sha256', JSON.stringify([method, path, address, headers.authorization, headers.origin]), 'base64url');
  }

  return {
    refuses(request, response) {
      const now = performance.now();
      forget(now);
      const known = kept.size > 0 ? kept.get(keyOf(request)) : undefined;
      if (!known || now >= known.limited.until + known.longerMs) return false;
      known.longerMs = Math.max(known.longerMs, known.limited.cameAgain?.() ?? 0);
      refuse(response, request.method ?? '', known);
      return true;
    },
    async remember(ctx, next) {
      await next();
      const {limited, route} = ctx.state;
      if (!limited) return;
      refusedAt.set(ctx.req.socket, performance.now());
      keepNewest(kept, keyOf(ctx.req), {limited, longerMs: 0, headers: lasting(ctx.res), route}, maxKept);
    },
  };
}

const momentary = new Set(['x-request-id', 'ratelimit', 'ratelimit-policy', 'retry-after', 'content-length']);

/** The headers that every answer to this request would have. */
function lasting(response: ServerResponse): OutgoingHttpHeader[] {
  return Object.entries(response.getHeaders()).flatMap(([name, value]) =>
    value === undefined || momentary.has(name) ? [] : [name, value],
  );
}
