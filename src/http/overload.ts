// Too much at once is refused at the door, with 503 and before anything was done for it, so that what was let in is
// answered in good time. The signal is how many requests are under way; while a turn of the event loop takes long, fewer
// are let in, because what waits then waits where it cannot be counted. One caller has half of the places at most, and
// the last eighth is for who has none: a few who send much do not shut out those who ask now and then.
//
// A request whose body is still to come has no place meanwhile: it costs a connection and no work, and a few clients that
// send theirs byte by byte would shut everybody out. It counts as its caller's all the same.
import {ChatError} from '../core/errors.ts';
import type {Context, Limited, Middleware} from './context.ts';
import {presentedToken} from './entrance.ts';
import {retryAfterSeconds} from './errors.ts';

/** What is asked for by those who decide whether this process is to live. */
const vital = new Set(['/healthz', '/healthz/', '/readyz', '/readyz/', '/metrics', '/metrics/']);
const slowTurnMs = 100;
const strainedShare = 1 / 8;
const keptShare = 1 / 8;
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

  function places(): number {
    return turnMs > slowTurnMs ? Math.ceil(maxInFlight * strainedShare) : maxInFlight;
  }

  /** For a caller who has so many already. */
  function placesFor(own: number): number {
    return own === 0 ? maxInFlight : places() - Math.floor(places() * keptShare);
  }

  /** Throws overloaded when there is none. */
  function takePlace(own: number): {take(): void; leave(): void} {
    let taken = false;
    const place = {
      take() {
        if (inFlight >= placesFor(own)) throw overloaded();
        inFlight += 1;
        taken = true;
      },
      leave() {
        if (taken) inFlight -= 1;
        taken = false;
      },
    };
    place.take();
    return place;
  }

  return async function shedOverload(ctx, next) {
    if (vital.has(ctx.path)) return next();
    measureTurn();
    const caller = callerOf(ctx);
    const own = held.get(caller) ?? 0;
    if (own >= Math.ceil(places() / 2) || inFlight >= placesFor(own)) {
      // Who has others under way has a second to wait for them.
      const error = overloaded();
      if (own > 0) ctx.state.limited = laterFor(retryAfterSeconds, error);
      throw error;
    }
    const place = takePlace(own);
    held.set(caller, own + 1);
    ctx.state.withoutPlace = async wait => {
      place.leave();
      const result = await wait();
      place.take();
      return result;
    };
    try {
      await next();
    } finally {
      place.leave();
      const left = (held.get(caller) ?? 1) - 1;
      if (left > 0) held.set(caller, left);
      else held.delete(caller);
    }
  };
}

/**
 * Who sends many tokens that are none is answered before they pile up; who has several has more places here, and no more
 * turns than anybody: those go by user.
 */
function callerOf(ctx: Context): string {
  return presentedToken(ctx.req) ?? ctx.ip;
}

function laterFor(seconds: number, error: ChatError): Limited {
  const refusal = {headers: {'Retry-After': String(seconds)}, detail: error.message};
  return {until: performance.now() + seconds * 1_000, error, tell: () => refusal};
}

function overloaded(): ChatError {
  return new ChatError('overloaded', 'Too many requests are under way here; try again in a moment.');
}
