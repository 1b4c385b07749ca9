// Too much at once is refused at the door, with 503 and before anything was done for it, so that what was let in is
// answered in good time. The signal is how many requests are under way; while a turn of the event loop takes long, fewer
// are let in, because what waits then waits where it cannot be counted. One caller has half of the places at most.
//
// What was let in is worked on by turns: where many callers ask at once, one who sends more than a few requests waits for
// its own answers, and the others do not wait for all that it sent before them.
//
// A request whose body is still to come has no place meanwhile: it costs a connection and no work, and a few clients that
// send theirs byte by byte would shut everybody out. It counts as its caller's all the same.
import {ChatError} from '../core/errors.ts';
import type {Context, Middleware} from './context.ts';

/** What is asked for by those who decide whether this process is to live. */
const vital = new Set(['/healthz', '/healthz/', '/readyz', '/readyz/', '/metrics', '/metrics/']);
const slowTurnMs = 100;
const strainedShare = 1 / 8;
/** How much the newest turn counts in the mean. */
const newest = 0.2;

/** Requests worked on at once, shared among the callers there are; each has two of them at least. */
const atOnce = 64;

export function shedLoad(maxInFlight: number): Middleware {
  const held = new Map<string, number>();
  const turns = turnsByCaller();
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

  /** Throws overloaded when there is none. */
  function takePlace(): {take(): void; leave(): void} {
    let taken = false;
    const place = {
      take() {
        if (inFlight >= places()) throw overloaded();
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
    if (own >= Math.ceil(places() / 2)) throw overloaded();
    const place = takePlace();
    held.set(caller, own + 1);
    const turn = turns(caller);
    ctx.state.withoutPlace = async wait => {
      place.leave();
      turn.end();
      const result = await wait();
      place.take();
      await turn.begin();
      return result;
    };
    try {
      await turn.begin();
      await next();
    } finally {
      turn.end();
      place.leave();
      const left = (held.get(caller) ?? 1) - 1;
      if (left > 0) held.set(caller, left);
      else held.delete(caller);
    }
  };
}

/** Has the requests of a caller wait for each other, in order, where it sends more than its share. */
function turnsByCaller() {
  const callers = new Map<string, {working: number; waiting: (() => void)[]}>();

  async function begin(caller: string): Promise<void> {
    const own = callers.get(caller) ?? {working: 0, waiting: []};
    callers.set(caller, own);
    if (own.working < Math.max(2, Math.floor(atOnce / callers.size))) own.working += 1;
    else await new Promise<void>(resolve => own.waiting.push(resolve));
  }

  /** The next of the same caller takes over. */
  function end(caller: string): void {
    const own = callers.get(caller);
    if (!own) return;
    const next = own.waiting.shift();
    if (next) return next();
    own.working -= 1;
    if (own.working === 0) callers.delete(caller);
  }

  return (caller: string) => {
    let working = false;
    return {
      async begin() {
        await begin(caller);
        working = true;
      },
      end() {
        if (working) end(caller);
        working = false;
      },
    };
  };
}

/** The token as it came, which is not verified yet. Who sends many that are none is answered before they pile up. */
function callerOf(ctx: Context): string {
  // The scheme can be written in many ways, and the token in one.
  return ctx.req.headers.authorization?.replace(/^bearer +/i, '') ?? ctx.ip;
}

function overloaded(): ChatError {
  return new ChatError('overloaded', 'Too many requests are under way here; try again in a moment.');
}
