/** Growing intervals between tries: doubled each time up to a limit, with jitter so that many do not try as one. */
export interface Pause {
  /** Milliseconds until the next try; `until` is moved there. */
  next(): number;
  /** On the clock of performance.now(). */
  readonly until: number;
  reset(): void;
}

const firstMs = 20;
const longestMs = 5_000;

export function pause(random: () => number = Math.random): Pause {
  let tries = 0;
  let until = 0;
  return {
    next() {
      const ms = Math.min(firstMs * 2 ** tries, longestMs) * (0.5 + random() / 2);
      tries += 1;
      until = performance.now() + ms;
      return Math.round(ms);
    },
    get until() {
      return until;
    },
    reset() {
      tries = 0;
      until = 0;
    },
  };
}
