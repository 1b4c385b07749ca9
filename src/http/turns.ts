// Whose request is worked on next. A database that many ask at once makes everybody wait for all of them, at each
// statement anew. So no more are worked on at once than keep it busy, and the others wait here, by caller.
//
// Who asked much lately is told from who asks now and then, and while both are about each kind has places of its own: a
// client that asks now and then does not wait for what a flood has sent, and the database has little of the flood's to do
// before it comes to that client. Where there is only one kind it has all places. Among those who ask much turns go
// round, one to each, so that nobody waits for what somebody else sent in a heap.
//
// What takes long (a lock, a large export) waits for something else and must not hold the others up: after a while its
// turn goes to another. A request whose client has hung up is not worked on at all.
import type {ServerResponse} from 'node:http';
import {ChatError} from '../core/errors.ts';
import {asksMuch} from './lately.ts';

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

/** For so long after somebody of the few came there are places for the next. */
const aboutMs = 1_000;
/** Of the places, for those who ask much while others are about. */
const shareOfMuch = 1 / 4;

type Kind = 'few' | 'much';
/** Gives a request that waits its turn. */
type Go = () => void;

export function createTurns({atOnce, waitingOfOne, longMs}: TurnLimits, now = () => performance.now()): Turns {
  const places = {much: Math.ceil(atOnce * shareOfMuch), few: Math.max(Math.floor(atOnce * (1 - shareOfMuch)), 1)};
  const isMuch = asksMuch(now);
  /** Of those who ask now and then, one of each, the oldest first. */
  const few = new Map<string, Go>();
  /** Of those who ask much: by caller in the order of their turns, and of each the oldest first. */
  const much = new Map<string, Set<Go>>();
  const working: Record<Kind, number> = {few: 0, much: 0};
  /** Of those who ask now and then: who came in the last while, and when, the earliest first. */
  const fewLately = new Map<string, number>();

  function mayStart(kind: Kind): boolean {
    if (working.few + working.much >= atOnce) return false;
    if (kind === 'few') return working.few < places.few || much.size === 0;
    return working.much < places.much || !areFewAbout();
  }

  function areFewAbout(): boolean {
    for (const [name, came] of fewLately) {
      if (now() - came <= aboutMs) return true;
      fewLately.delete(name);
    }
    return false;
  }

  /** Who has come to ask much is none of the few any more: a client that begins with many requests must not stand in its own way. */
  function kindOf(name: string): Kind {
    // Who has a request waiting asks much too: on a slow machine they come as slowly as they are answered.
    const kind = isMuch(name) || few.has(name) || much.has(name) ? 'much' : 'few';
    fewLately.delete(name);
    if (kind === 'few') fewLately.set(name, now());
    // There is no more than comes in that while.
    areFewAbout();
    return kind;
  }

  function start(kind: Kind): () => void {
    working[kind] += 1;
    let over = false;
    const end = () => {
      if (over) return;
      over = true;
      clearTimeout(long);
      working[kind] -= 1;
      for (let go = next(); go; go = next()) go();
    };
    const long = setTimeout(end, longMs);
    return end;
  }

  function next(): Go | undefined {
    const [oldest] = few.values();
    if (oldest && mayStart('few')) return oldest;
    const [first] = much;
    if (!first || !mayStart('much')) return undefined;
    const [name, requests] = first;
    much.delete(name);
    much.set(name, requests);
    const [request] = requests;
    return request;
  }

  function wait(kind: Kind, name: string, answer: ServerResponse): Promise<() => void> {
    const row = much.get(name) ?? new Set<Go>();
    if (row.size + Number(few.has(name)) >= waitingOfOne) {
      throw new ChatError('overloaded', 'Too many of your requests are under way here; send fewer at once.');
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        if (kind === 'few') few.delete(name);
        else if (row.delete(go) && row.size === 0) much.delete(name);
        answer.off('close', leaveFor);
      };
      const go = () => {
        leave();
        resolve(start(kind));
      };
      const leaveFor = () => {
        leave();
        reject(hungUp);
      };
      if (kind === 'few') few.set(name, go);
      else much.set(name, row.add(go));
      answer.once('close', leaveFor);
    });
  }

  return {
    async begin(name, answer) {
      if (answer.destroyed) throw hungUp;
      const kind = kindOf(name);
      const others = kind === 'few' ? few : much;
      return others.size === 0 && mayStart(kind) ? start(kind) : wait(kind, name, answer);
    },
  };
}
