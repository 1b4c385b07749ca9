// Answers that are not read. Whoever asks and does not read leaves the answer here, a page of long messages being 4 MB: two
// hundred connections of one user took 2.5 GB so, and kept them. So an answer is cut off when it was not taken in time,
// and before that when all of them together are too much: then it is the oldest of the caller who leaves the most, so
// that a client on a slow line keeps its own beside one that means harm.
//
// Most answers are the kernel's at once and are not looked at here.
import type {ServerResponse} from 'node:http';
import {onceAMinute, type Logger} from '../log.ts';
import type {Context, Middleware} from './context.ts';

export interface UnreadLimits {
  /** From the end of an answer to when the other side must have taken it. */
  timeoutMs: number;
  /** Of all answers together, as far as the kernel has not taken them. */
  maxBytes: number;
}

export const unreadLimits: UnreadLimits = {timeoutMs: 60_000, maxBytes: 64 * 1_048_576};

/** Sizes by answer, the oldest first. */
type Unread = Map<ServerResponse, number>;

export function cutUnread(log: Logger, {timeoutMs, maxBytes}: UnreadLimits = unreadLimits): Middleware {
  const callers = new Map<string, Unread>();
  let bytes = 0;
  const warn = onceAMinute(() => log.warn({unread_bytes: bytes}, 'answers are not read: their connections are closed'));

  function keep(caller: string, answer: ServerResponse, size: number): void {
    const own: Unread = callers.get(caller) ?? new Map();
    callers.set(caller, own.set(answer, size));
    bytes += size;
  }

  function forget(caller: string, answer: ServerResponse): void {
    const own = callers.get(caller);
    bytes -= own?.get(answer) ?? 0;
    own?.delete(answer);
    if (own?.size === 0) callers.delete(caller);
  }

  function cut(caller: string, answer: ServerResponse): void {
    warn();
    forget(caller, answer);
    answer.req.socket.destroy();
  }

  function cutOldestOfGreediest(): void {
    const [[caller, own] = []] = [...callers].toSorted(([, a], [, b]) => sumOf(b) - sumOf(a));
    const [oldest] = own?.keys() ?? [];
    if (caller !== undefined && oldest) cut(caller, oldest);
  }

  return function watchAnswer(ctx, next) {
    const {res: answer} = ctx;
    answer.once('prefinish', () => {
      const size = answer.writableLength;
      if (size === 0 || answer.destroyed) return;
      const caller = callerOf(ctx);
      keep(caller, answer, size);
      const timer = setTimeout(cut, timeoutMs, caller, answer);
      answer.once('close', () => {
        clearTimeout(timer);
        forget(caller, answer);
      });
      while (bytes > maxBytes) cutOldestOfGreediest();
    });
    return next();
  };
}

function sumOf(own: Unread): number {
  return [...own.values()].reduce((sum, size) => sum + size, 0);
}

/** Whatever tokens a user brings, they are one. */
function callerOf({state: {actor}, ip}: Context): string {
  if (!actor) return `address ${ip}`;
  return actor.kind === 'user' ? `user ${actor.id}` : actor.kind;
}
