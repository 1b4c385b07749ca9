// Users whose connections were ended, so that a token which they were given before does not let them back in. Centrifugo
// has this in its paid edition only. What is made later counts again: whoever gives out tokens knows who may have one.
import type {Disconnect} from './codes.ts';

/** The oldest are forgotten: their tokens are long expired. */
const maxKept = 100_000;

export interface Revoked {
  add(user: string, why: Disconnect, nowMs: number): void;
  /** Why a token of this time (seconds since 1970, undefined when it tells none) counts no more, if so. */
  reason(user: string, issuedAt: number | undefined): Disconnect | undefined;
}

export function rememberRevoked(size = maxKept): Revoked {
  const ended = new Map<string, {why: Disconnect; atSeconds: number}>();
  return {
    add(user, why, nowMs) {
      ended.delete(user);
      ended.set(user, {why, atSeconds: Math.floor(nowMs / 1_000)});
      const [oldest] = ended.keys();
      if (ended.size > size && oldest !== undefined) ended.delete(oldest);
    },
    reason(user, issuedAt) {
      const own = ended.get(user);
      // One of the same second may be of before.
      return own && (issuedAt === undefined || issuedAt <= own.atSeconds) ? own.why : undefined;
    },
  };
}
