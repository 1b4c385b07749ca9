// What was delivered to somebody, kept until it is asked for: whoever looks late misses nothing.

export interface Inbox<Item> {
  /** Everything so far, in order. */
  all: readonly Item[];
  put(item: Item): void;
  /** The first that nobody took yet and for which this holds; undefined when none comes in time, or at the close. */
  take(holds: (item: Item) => boolean, limitMs: number): Promise<Item | undefined>;
  close(): void;
}

interface Waiting<Item> {
  holds: (item: Item) => boolean;
  settle(found: Item | undefined): void;
  fail(error: unknown): void;
}

export function createInbox<Item>(): Inbox<Item> {
  const all: Item[] = [];
  const untaken = new Set<Item>();
  const waiting = new Set<Waiting<Item>>();
  let closed = false;

  /** Whether the one who waits was served, or failed at it. */
  function offer(item: Item, to: Waiting<Item>): boolean {
    try {
      if (!to.holds(item)) return false;
      untaken.delete(item);
      to.settle(item);
    } catch (error) {
      to.fail(error);
    }
    return true;
  }

  return {
    all,
    put(item) {
      all.push(item);
      untaken.add(item);
      for (const each of waiting) if (untaken.has(item)) offer(item, each);
    },
    take(holds, limitMs) {
      return new Promise((resolve, reject) => {
        const end = () => {
          clearTimeout(timer);
          waiting.delete(one);
        };
        const one: Waiting<Item> = {
          holds,
          settle(found) {
            end();
            resolve(found);
          },
          fail(error) {
            end();
            reject(error instanceof Error ? error : new Error(String(error)));
          },
        };
        const timer = setTimeout(() => one.settle(undefined), limitMs);
        waiting.add(one);
        for (const item of untaken) if (offer(item, one)) return;
        if (closed) one.settle(undefined);
      });
    },
    close() {
      closed = true;
      for (const each of waiting) each.settle(undefined);
    },
  };
}
