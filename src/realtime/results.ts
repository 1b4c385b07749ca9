// What publications under an idempotency key gave. A broadcast has one key for all of its channels, so that the results are
// kept by key and then by stream: a text for each channel and key was most of what a busy server kept.
import type {Position, Stream} from './stream.ts';

/** Results are remembered for this long, as Centrifugo does. */
const ttlMs = 300_000;
/** Of channels, over all keys. */
const maxResults = 500_000;
/** Results of a key that came so soon after each other end together: a large broadcast goes in portions. */
const togetherMs = 1_000;

interface Kept {
  /** By stream, or for a publication that went into none by channel, without an offset. */
  offsets: Map<Stream | string, number | undefined>;
  expiresAt: number;
}

export interface Results {
  of(key: string, channel: string, stream: Stream | undefined): Partial<Position> | undefined;
  add(key: string, channel: string, stream: Stream | undefined, result: Partial<Position>): void;
  /** Forgets what is expired, and the oldest beyond the bound. */
  sweep(): void;
}

export function rememberResults(now: () => number): Results {
  /** The keys that came first come first, and of each its oldest results. */
  const byKey = new Map<string, Kept[]>();
  let count = 0;

  function keptBy(key: string): Kept {
    const expiresAt = now() + ttlMs;
    const known = byKey.get(key) ?? [];
    const newest = known.at(-1);
    if (newest && expiresAt - newest.expiresAt < togetherMs) return newest;
    const kept = {offsets: new Map<Stream | string, number | undefined>(), expiresAt};
    byKey.set(key, [...known, kept]);
    return kept;
  }

  function forgetOldest(key: string, [oldest, ...others]: readonly Kept[]): void {
    count -= oldest?.offsets.size ?? 0;
    byKey.delete(key);
    if (others.length > 0) byKey.set(key, others);
  }

  return {
    of(key, channel, stream) {
      const time = now();
      for (const {offsets, expiresAt} of byKey.get(key)?.toReversed() ?? []) {
        if (expiresAt <= time) break;
        if (stream && offsets.has(stream)) return {offset: offsets.get(stream) ?? 0, epoch: stream.epoch};
        if (offsets.has(channel)) return {};
      }
      return undefined;
    },
    add(key, channel, stream, {offset}) {
      const {offsets} = keptBy(key);
      count -= offsets.size;
      offsets.set(stream && offset !== undefined ? stream : channel, offset);
      count += offsets.size;
    },
    sweep() {
      const time = now();
      for (const [key, kept] of byKey) {
        const [oldest] = kept;
        if (!oldest) continue;
        const {offsets, expiresAt} = oldest;
        if (expiresAt > time && count <= maxResults) return;
        if (expiresAt <= time || count - offsets.size >= maxResults) forgetOldest(key, kept);
        else count -= dropFirst(offsets, count - maxResults);
      }
    },
  };
}

function dropFirst(map: Map<unknown, unknown>, many: number): number {
  let dropped = 0;
  for (const key of map.keys()) {
    if (dropped === many) break;
    map.delete(key);
    dropped += 1;
  }
  return dropped;
}
