// Too much at once is refused at the door, with 503 and before anything was done for it, so that what was let in is
// answered in good time. The signal is how many requests are under way; while a turn of the event loop takes long, fewer
// are let in, because what waits then waits where it cannot be counted. One caller has half of the places at most.
import {ChatError} from '../core/errors.ts';
import type {Context, Middleware} from './context.ts';

/** What is asked for by those who decide whether this process is to live. */
const vital = new Set(['/healthz', '/healthz/', '/readyz', '/readyz/', '/metrics', '/metrics/']);
const slowTurnMs = 100;
const strainedShare = 1 / 8;
/** How much the newest turn counts in the mean. */
const newest = 0.2;

export function shedLoad(maxInFlight: number): Middleware {
  const held = new Map<string, number>();
  let inFlight = 0;
  let turnMs = 0;
  let measuring = false;

  function measureTurn(): void {
    if (measuring) return;
    measuring = true;
    const started = performance.now();
    setImmediate(() => {
      measuring = false;
      turnMs += newest * (performance.now() - started - turnMs);
    });
  }

  return async function shedOverload(ctx, next) {
    if (vital.has(ctx.path)) return next();
    measureTurn();
    const places = turnMs > slowTurnMs ? Math.ceil(maxInFlight * strainedShare) : maxInFlight;
    const caller = callerOf(ctx);
    const own = held.get(caller) ?? 0;
    if (inFlight >= places || own >= Math.ceil(places / 2)) throw overloaded();
    inFlight += 1;
    held.set(caller, own + 1);
    try {
      await next();
    } finally {
      inFlight -= 1;
      const left = (held.get(caller) ?? 1) - 1;
      if (left > 0) held.set(caller, left);
      else held.delete(caller);
    }
  };
}

/** The token as it came, which is not verified yet. Who sends many that are none is answered before they pile up. */
function callerOf(ctx: Context): string {
  return ctx.req.headers.authorization ?? ctx.ip;
}

function overloaded(): ChatError {
  return new ChatError('overloaded', 'Too many requests are under way here; try again in a moment.');
}
