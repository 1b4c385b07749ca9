// Who was told to come later, by a rate limit or because too much is under way here, and comes sooner for the same thing
// is refused again from memory, before anything else is done: the answer is the first one but for its times and its
// request id. It is also given after a short hold, so that a client that asks as fast as it is answered asks a few times
// a second, and leaves the processor to the others.
//
// Such answers are counted by the metrics and have no line of their own in the log: the first of them has one.
import {hash, randomUUID} from 'node:crypto';
import type {OutgoingHttpHeaders, ServerResponse} from 'node:http';
import type {Context, HttpMetrics, Limited, Middleware} from './context.ts';
import {problemText, statuses} from './errors.ts';

export const holdMs = 200;
/** Answers held back at once; more are given at once. */
const maxHeld = 1_000;
const maxKept = 10_000;

interface Refusal {
  limited: Limited;
  /** As they were answered first. */
  headers: OutgoingHttpHeaders;
  route: string | undefined;
}

export function refuseAgain(metrics: HttpMetrics | undefined): Middleware {
  const kept = new Map<string, Refusal>();
  let held = 0;

  function keep(key: string, refusal: Refusal): void {
    kept.delete(key);
    kept.set(key, refusal);
    const [oldest] = kept.keys();
    if (kept.size > maxKept && oldest !== undefined) kept.delete(oldest);
  }

  /** Those that came first are mostly over first; while there are none a request costs nothing here. */
  function forget(now: number): void {
    for (const [key, {limited}] of kept) {
      if (now < limited.until) return;
      kept.delete(key);
    }
  }

  function hold(answer: ServerResponse, give: () => void): void {
    if (held >= maxHeld) return give();
    held += 1;
    const timer = setTimeout(give, holdMs);
    answer.once('close', () => {
      held -= 1;
      clearTimeout(timer);
    });
  }

  function refuse(ctx: Context, {limited, headers, route}: Refusal): void {
    ctx.respond = false;
    const {res, method} = ctx;
    const asked = performance.now();
    hold(res, () => {
      const requestId = randomUUID();
      const {headers: times, error} = limited.tell();
      const body = problemText(error, requestId);
      const own = {...times, 'X-Request-Id': requestId, 'Content-Length': String(Buffer.byteLength(body))};
      const {status} = statuses[error.kind];
      res.writeHead(status, {...headers, ...own}).end(body);
      metrics?.request(route ?? 'none', method, status, (performance.now() - asked) / 1_000);
    });
  }

  return async function refuseAtOnce(ctx, next) {
    const now = performance.now();
    forget(now);
    const key = kept.size > 0 && keyOf(ctx);
    const known = key ? kept.get(key) : undefined;
    if (known && now < known.limited.until) return refuse(ctx, known);
    await next();
    const {limited, route} = ctx.state;
    if (limited) keep(key || keyOf(ctx), {limited, headers: lasting(ctx), route});
  };
}

const momentary = new Set(['x-request-id', 'ratelimit', 'ratelimit-policy', 'retry-after', 'content-length']);

/** The headers that every answer to this request would have. */
function lasting({res}: Context): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(res.getHeaders()).filter(([name]) => !momentary.has(name)));
}

/** Everything that the limits, and the headers of an answer, go by. */
function keyOf({req, ip}: Context): string {
  const {method, url = '', headers} = req;
  const [path] = url.split('?', 1);
  return hash('sha256', JSON.stringify([method, path, ip, headers.authorization, headers.origin]), 'base64url');
}
