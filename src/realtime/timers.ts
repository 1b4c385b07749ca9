const longestDelayMs = 2_147_483_647;

/** Timers by name, of which setting one replaces the one before, and that all end together. */
export interface Timers {
  set(name: string, ms: number, action: () => void): void;
  clear(name: string): void;
  clearAll(): void;
}

export function createTimers(): Timers {
  const timers = new Map<string, NodeJS.Timeout>();

  function clear(name: string): void {
    clearTimeout(timers.get(name));
    timers.delete(name);
  }

  // Node runs a timer of more than 25 days at once, so that long waits go in steps.
  function set(name: string, ms: number, action: () => void): void {
    clear(name);
    const step = Math.min(ms, longestDelayMs);
    timers.set(
      name,
      setTimeout(() => (step < ms ? set(name, ms - step, action) : action()), step),
    );
  }

  return {
    set,
    clear,
    clearAll() {
      for (const name of timers.keys()) clear(name);
    },
  };
}
