// Stops asking a service that fails: after some failures in a row nobody asks for a while, then one does, and by what
// comes of it all do again or none.
export interface Breaker {
  /** Whether somebody may ask now; who is told so tells afterwards how it went. */
  mayAsk(): boolean;
  succeeded(): void;
  failed(): void;
}

const failuresInRow = 5;
const openMs = 5_000;

export function breaker(clock: () => number): Breaker {
  let failures = 0;
  let openUntil = -Infinity;
  return {
    mayAsk() {
      if (failures < failuresInRow) return true;
      if (clock() < openUntil) return false;
      // Whoever is told so is the one who tries; the others wait as long again.
      openUntil = clock() + openMs;
      return true;
    },
    succeeded() {
      failures = 0;
    },
    failed() {
      failures += 1;
      if (failures >= failuresInRow) openUntil = clock() + openMs;
    },
  };
}
