// Too much at once is refused at the door, with 503 and before anything was done for it, so that what was let in is
// answered in good time. The signal is how many requests are under way; while a turn of the event loop takes long, fewer
// are let in, because what waits then waits where it cannot be counted. One caller has half of the places at most.
//
// What was let in is worked on by turns (turns.ts), reads and changes each by their own: reads wait for the database
// one by one, and changes that come together are written together.
//
// A request whose body is still to come has no place meanwhile: it costs a connection and no work, and a few clients that
// send theirs byte by byte would shut everybody out. It counts as its caller's all the same.
import {ChatError} from '../core/errors.ts';
import {countCallers} from './callers.ts';
import type {Middleware} from './context.ts';
import {createTurns, type Turn, type TurnLimits} from './turns.ts';

/** What is asked for by those who decide whether this process is to live. */
const vital = new Set(['/healthz', '/healthz/', '/readyz', '/readyz/', '/metrics', '/metrics/']);
const slowTurnMs = 100;
const strainedShare = 1 / 8;
/** How much the newest turn counts in the mean. */
const newest = 0.2;

/** What nobody reads any more: the status is for log and metrics only, and the one that proxies give it. */
const clientGone = 499;

const patience = {othersAskMs: 1_000, longMs: 250, waitMs: 5_000};

/** As many changes as one transaction may well hold, and more reads than there are connections to read by. */
const usualTurns = {
  reads: {atOnce: 16, ofBusyCallers: 2, ...patience},
  changes: {atOnce: 64, ofBusyCallers: 8, ...patience},
};

export function shedLoad(
  maxInFlight: number,
  limits: Record<'reads' | 'changes', TurnLimits> = usualTurns,
): Middleware {
  const callers = countCallers();
  const reads = createTurns(limits.reads);
  const changes = createTurns(limits.changes);
  const strain = measureStrain();
  let inFlight = 0;

  function places(): number {
    return strain.turnMs() > slowTurnMs ? Math.ceil(maxInFlight * strainedShare) : maxInFlight;
  }

  /** Throws overloaded when there is no place. */
  function takePlace(): () => void {
    if (inFlight >= places()) throw overloaded();
    inFlight += 1;
    let taken = true;
    return () => {
      if (taken) inFlight -= 1;
      taken = false;
    };
  }

  return async function shedOverload(ctx, next) {
    if (vital.has(ctx.path)) return next();
    strain.measure();
    const turns = ctx.method === 'GET' ? reads : changes;
    const visit = callers.enter(ctx);
    let leavePlace: (() => void) | undefined;
    let turn: Turn | undefined;
    let hungUp = false;
    const begin = async () => {
      turn = await turns.begin(visit.caller(), ctx.res);
      hungUp = turn === undefined;
      if (hungUp) throw new Error('the client has hung up');
    };
    ctx.state.withoutPlace = async wait => {
      leavePlace?.();
      turn?.end();
      const result = await wait();
      leavePlace = takePlace();
      await begin();
      return result;
    };
    try {
      if (callers.count(visit.caller()) > Math.ceil(places() / 2)) throw overloaded();
      leavePlace = takePlace();
      await begin();
      await next();
    } catch (error) {
      if (!hungUp) throw error;
      ctx.status = clientGone;
    } finally {
      turn?.end();
      leavePlace?.();
      visit.leave();
    }
  };
}

/** How long a turn of the event loop takes, in the mean of those in which something was asked. */
function measureStrain() {
  let turnMs = 0;
  let measuring = false;
  return {
    turnMs: () => turnMs,
    measure() {
      if (measuring) return;
      measuring = true;
      const started = performance.now();
      setImmediate(() => {
        measuring = false;
        turnMs += newest * (performance.now() - started - turnMs);
      });
    },
  };
}

function overloaded(): ChatError {
  return new ChatError('overloaded', 'Too many requests are under way here; try again in a moment.');
}
