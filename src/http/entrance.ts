// A flood often comes in heaps: what was held up on its way, by the network or by whoever sends it, is here in one turn of the
// event loop, and everybody else would wait until all of it has been begun. So requests of who asks much are begun a few in a
// turn, going round by caller, and all others as they come. Nobody is refused here, and only so many wait: beyond that others
// are begun at once, to be refused where load is shed, and so that a client that reads no answers is not read any more.
import type {IncomingMessage, RequestListener} from 'node:http';
import {asksMuch} from './lately.ts';

/** Begun in a turn of the event loop. */
const atOnce = 4;
/** Requests that wait, of one caller and in all. */
const waitingOfOne = 32;
const waitingInAll = 256;

/** `begin` is called for every request whose client is still there when its turn comes. */
export function entrance(begin: RequestListener): RequestListener {
  const isMuch = asksMuch();
  /** By caller in the order of their turns, and of each the oldest first. */
  const rows = new Map<string, (() => void)[]>();
  let waiting = 0;
  let isScheduled = false;

  function beginSome(): void {
    isScheduled = false;
    for (let i = 0; i < atOnce; i++) {
      const [first] = rows;
      if (!first) break;
      const [caller, row] = first;
      rows.delete(caller);
      const oldest = row.shift();
      if (row.length > 0) rows.set(caller, row);
      oldest?.();
    }
    schedule();
  }

  function schedule(): void {
    if (isScheduled || waiting === 0) return;
    isScheduled = true;
    setImmediate(beginSome);
  }

  return (request, response) => {
    const caller = presentedToken(request);
    // Health checks are among those without, and the others are refused before much is done for them.
    if (caller === undefined) return begin(request, response);
    const row = rows.get(caller) ?? [];
    const isFull = row.length >= waitingOfOne || waiting >= waitingInAll;
    // Who has some waiting does not overtake them: where there is no more room the oldest makes some.
    if (isMuch(caller) ? isFull && row.length === 0 : row.length === 0) return begin(request, response);
    row.push(() => {
      waiting -= 1;
      if (!request.socket.destroyed) begin(request, response);
    });
    rows.set(caller, row);
    waiting += 1;
    if (isFull) row.shift()?.();
    schedule();
  };
}

/** As it came, not verified yet. The scheme can be written in many ways, and the token in one. */
export function presentedToken({headers}: IncomingMessage): string | undefined {
  return headers.authorization?.replace(/^bearer +/i, '');
}
