// Lookups that come in one turn of the event loop, or while one is under way, are made together. There is no timer and
// nothing is kept: every answer was read after it was asked for.

const maxTogether = 500;

interface Waiting<K, V> {
  key: K;
  resolve: (value: V | undefined) => void;
  reject: (error: unknown) => void;
}

/** `load` answers what it found by key. When it fails, all who asked for it together are told. */
export function combined<K, V>(load: (keys: readonly K[]) => Promise<ReadonlyMap<K, V>>) {
  let waiting: Waiting<K, V>[] = [];
  let running = false;

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting.slice(0, maxTogether);
      waiting = waiting.slice(maxTogether);
      try {
        const found = await load([...new Set(batch.map(each => each.key))]);
        for (const {key, resolve} of batch) resolve(found.get(key));
      } catch (error) {
        for (const {reject} of batch) reject(error);
      }
    }
    running = false;
  }

  return function lookUp(key: K): Promise<V | undefined> {
    return new Promise((resolve, reject) => {
      waiting.push({key, resolve, reject});
      if (running) return;
      running = true;
      // Requests that arrived together are read one after another before this runs.
      setImmediate(() => void run());
    });
  };
}
