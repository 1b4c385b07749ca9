// Whose request is worked on next. A database that many ask at once makes everybody wait for all of them, at each
// statement anew. So no more are worked on at once than keep it busy, and the others wait here, by caller.
//
// Turns go round among the callers who wait, one to each, so that nobody waits for what somebody else sent in a heap. Who
// had nothing waiting comes before those who go round: a client that asks now and then is served next, whatever a flood
// has left here. It goes round itself from then on, until its place comes and it has nothing there: who is a newcomer
// again and again gets no more than the others. (Queues of networks are shared so: RFC 8290, for flows.)
//
// What takes long (a lock, a large export) waits for something else and must not hold the others up: after a while its
// turn goes to another. A request whose client has hung up is not worked on at all.
import type {ServerResponse} from 'node:http';
import {ChatError} from '../core/errors.ts';

export interface Turns {
  /** Fulfilled with what ends the turn. Rejects with overloaded, or with `hungUp`. */
  begin(caller: string, answer: ServerResponse): Promise<() => void>;
}

/** Nobody is there any more to be told. */
export const hungUp = new Error('the client has hung up');

export interface TurnLimits {
  atOnce: number;
  /** Requests of one caller that wait. */
  waitingOfOne: number;
  longMs: number;
}

interface Caller {
  name: string;
  /** What gives a turn to each request, the oldest first. */
  waiting: Set<() => void>;
}

export function createTurns({atOnce, waitingOfOne, longMs}: TurnLimits): Turns {
  /** All that are in one of the two rows. */
  const callers = new Map<string, Caller>();
  const newcomers = new Set<Caller>();
  const round = new Set<Caller>();
  let working = 0;

  function start(): () => void {
    working += 1;
    let over = false;
    const end = () => {
      if (over) return;
      over = true;
      clearTimeout(long);
      working -= 1;
      next()?.();
    };
    const long = setTimeout(end, longMs);
    return end;
  }

  /** Takes the next request out. While nobody waits it has emptied both rows. */
  function next(): (() => void) | undefined {
    for (const row of [newcomers, round]) {
      for (const caller of row) {
        row.delete(caller);
        const [first] = caller.waiting;
        if (first) {
          round.add(caller);
          return first;
        }
        callers.delete(caller.name);
      }
    }
    return undefined;
  }

  function enter(name: string): Caller {
    const known = callers.get(name);
    if (known) return known;
    const caller = {name, waiting: new Set<() => void>()};
    callers.set(name, caller);
    newcomers.add(caller);
    return caller;
  }

  function wait({waiting}: Caller, answer: ServerResponse): Promise<() => void> {
    if (waiting.size >= waitingOfOne) {
      throw new ChatError('overloaded', 'Too many of your requests are under way here; send fewer at once.');
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        waiting.delete(go);
        answer.off('close', leaveFor);
      };
      const go = () => {
        leave();
        resolve(start());
      };
      const leaveFor = () => {
        leave();
        reject(hungUp);
      };
      waiting.add(go);
      answer.once('close', leaveFor);
    });
  }

  return {
    async begin(name, answer) {
      if (answer.destroyed) throw hungUp;
      return working < atOnce ? start() : wait(enter(name), answer);
    },
  };
}
