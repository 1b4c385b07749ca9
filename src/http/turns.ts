// Whose request is worked on next. A database that many ask at once makes everybody wait for all of them, at each
// statement anew. So no more are worked on at once than keep the database busy, and the others wait here, where it can
// be chosen who goes next: whoever had the fewest turns lately and has the fewest requests waiting. Who asks a few times
// a second goes ahead of all that somebody sent who asks as fast as they are answered; where all ask alike, all get the
// same. Those who send much at once have a few turns among them while others ask too, and all there are while none do.
//
// What takes long (a lock, a large export) waits for something else and does not hold the others up: after a while it
// counts as one that is worked on no more. What has waited too long is refused: its answer would come too late for anybody.
import type {ServerResponse} from 'node:http';
import {ChatError} from '../core/errors.ts';

export interface Turns {
  /** The caller's turn once it has come, or undefined when the connection was closed before. Rejects with overloaded. */
  begin(caller: string, answer: ServerResponse): Promise<Turn | undefined>;
}

export interface Turn {
  end(): void;
}

interface Caller {
  /** Turns lately, as counted at the time `at`; each counts less from second to second. */
  used: number;
  at: number;
  working: number;
  /** When it was last busy. */
  busyAt: number;
  /** The oldest first. */
  waiting: Set<Waiting>;
}

interface Asked {
  caller: Caller | undefined;
  at: number;
}

const nobody: Asked = {caller: undefined, at: -Infinity};

interface Waiting {
  since: number;
  go: (now: number) => void;
  refuse: () => void;
}

/** After this a turn counts half. */
const halfLifeMs = 1_000;
/** Who has used less than this is as good as new. */
const forgotten = 0.05;
const forgetIntervalMs = 5_000;
const lookIntervalMs = 50;
/** Who has so many requests here already is busy. */
const manyOfOne = 2;

export interface TurnLimits {
  /** Requests worked on at once. */
  atOnce: number;
  /** Of those, the ones of callers who send much at once, while others ask too. */
  ofBusyCallers: number;
  /** So long after a request of a caller who is not busy, others are there. */
  othersAskMs: number;
  /** What takes longer counts as worked on no more. */
  longMs: number;
  /** A turn that has not come until then does not come. */
  waitMs: number;
}

export function createTurns({atOnce, ofBusyCallers, othersAskMs, longMs, waitMs}: TurnLimits): Turns {
  const callers = new Map<string, Caller>();
  /** When each began, the oldest first. */
  const working = new Map<Turn, number>();
  let waiting = 0;
  let forgetAt = 0;
  /** The last two callers who asked and were not busy. */
  let [lastAsked, askedBefore]: [Asked, Asked] = [nobody, nobody];
  let watch: NodeJS.Timeout | undefined;

  function callerOf(name: string, now: number): Caller {
    if (now >= forgetAt) forget(now);
    let caller = callers.get(name);
    if (!caller) callers.set(name, (caller = {used: 0, at: now, working: 0, busyAt: -Infinity, waiting: new Set()}));
    return caller;
  }

  function forget(now: number): void {
    forgetAt = now + forgetIntervalMs;
    for (const [name, caller] of callers) {
      if (present(caller) === 0 && usedBy(caller, now) < forgotten) callers.delete(name);
    }
  }

  function hasRoom(caller: Caller, now: number): boolean {
    const other = lastAsked.caller === caller ? askedBefore : lastAsked;
    const shared = isBusy(caller) && now - other.at < othersAskMs;
    return working.size < (shared ? ofBusyCallers : atOnce);
  }

  /** Who was busy a moment ago and is not now stays one of those who wait for the others. */
  function note(caller: Caller, now: number): void {
    if (isBusy(caller)) caller.busyAt = now;
    if (now - caller.busyAt < othersAskMs) return;
    if (lastAsked.caller !== caller) askedBefore = lastAsked;
    lastAsked = {caller, at: now};
  }

  function start(caller: Caller, now: number): Turn {
    caller.used = usedBy(caller, now) + 1;
    caller.at = now;
    caller.working += 1;
    const turn = {
      end() {
        if (!working.delete(turn)) return;
        caller.working -= 1;
        giveOut();
      },
    };
    working.set(turn, now);
    return turn;
  }

  /** Gives out all turns there are: others may have stopped asking, so that more are free than the one that ended. */
  function giveOut(): void {
    const now = performance.now();
    while (waiting > 0 && working.size < atOnce) {
      const [first] = nextCaller(now)?.waiting ?? [];
      if (!first) return;
      first.go(now);
    }
  }

  function nextCaller(now: number): Caller | undefined {
    let [best, bestCost]: [Caller | undefined, number] = [undefined, Infinity];
    for (const caller of callers.values()) {
      if (caller.waiting.size === 0 || !hasRoom(caller, now)) continue;
      const cost = usedBy(caller, now) + caller.waiting.size;
      if (cost < bestCost) [best, bestCost] = [caller, cost];
    }
    return best;
  }

  /** Looks for what takes or waits too long, for as long as somebody waits. */
  function look(): void {
    watch = undefined;
    const now = performance.now();
    for (const [turn, began] of working) if (began <= now - longMs) turn.end();
    for (const caller of callers.values()) {
      for (const each of caller.waiting) if (each.since <= now - waitMs) each.refuse();
    }
    giveOut();
    if (waiting > 0) watch = setTimeout(look, lookIntervalMs);
  }

  function wait(caller: Caller, since: number, answer: ServerResponse): Promise<Turn | undefined> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        caller.waiting.delete(own);
        waiting -= 1;
        answer.off('close', hangUp);
      };
      const hangUp = () => {
        leave();
        resolve(undefined);
      };
      const own: Waiting = {
        since,
        go(now) {
          leave();
          resolve(start(caller, now));
        },
        refuse() {
          leave();
          reject(new ChatError('overloaded', 'Your requests waited too long for their turn; send fewer at once.'));
        },
      };
      answer.once('close', hangUp);
      caller.waiting.add(own);
      waiting += 1;
      watch ??= setTimeout(look, lookIntervalMs);
    });
  }

  return {
    async begin(name, answer) {
      if (answer.destroyed) return undefined;
      const now = performance.now();
      const caller = callerOf(name, now);
      note(caller, now);
      return hasRoom(caller, now) ? start(caller, now) : wait(caller, now, answer);
    },
  };
}

function usedBy({used, at}: Caller, now: number): number {
  return used * 2 ** ((at - now) / halfLifeMs);
}

function present({working, waiting}: Caller): number {
  return working + waiting.size;
}

function isBusy(caller: Caller): boolean {
  return present(caller) >= manyOfOne;
}
