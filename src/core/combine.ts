// Lookups that come in one turn of the event loop, or while one is under way, are made together. There is no timer and
// nothing is kept: every answer was read after it was asked for.

export interface Bounds {
  /** Of keys. */
  maxTogether: number;
  /** Lookups that are under way at once. */
  atOnce: number;
}

/** For pages: a statement of so many full ones keeps a reading connection of SQLite's for some milliseconds. */
export const fewAtOnce: Bounds = {maxTogether: 8, atOnce: 2};

interface Waiting<K, V> {
  key: K;
  resolve: (value: V | undefined) => void;
  reject: (error: unknown) => void;
}

/** `load` answers what it found by key. When it fails, all who asked for it together are told. */
export function combined<K, V>(
  load: (keys: readonly [K, ...K[]]) => Promise<ReadonlyMap<K, V>>,
  {maxTogether, atOnce}: Bounds = {maxTogether: 500, atOnce: 1},
) {
  const waiting: Waiting<K, V>[] = [];
  let scheduled = false;
  let running = 0;

  async function run(): Promise<void> {
    scheduled = false;
    running += 1;
    for (let batch = take(); batch.length > 0; batch = take()) {
      try {
        const keys = new Set(batch.map(each => each.key));
        const found = await load([...keys] as [K, ...K[]]);
        for (const {key, resolve} of batch) resolve(found.get(key));
      } catch (error) {
        for (const {reject} of batch) reject(error);
      }
    }
    running -= 1;
  }

  function take(): Waiting<K, V>[] {
    return waiting.splice(0, maxTogether);
  }

  return function lookUp(key: K): Promise<V | undefined> {
    return new Promise((resolve, reject) => {
      waiting.push({key, resolve, reject});
      if (scheduled || running >= atOnce) return;
      scheduled = true;
      // Requests that arrived together are read one after another before this runs.
      setImmediate(() => void run());
    });
  };
}

/** The same by owner and kind, for as long as the owner lives: what is alike is loaded together. There must be few kinds. */
export function combinedByKind<Owner extends object, Kind, K, V>(
  load: (owner: Owner, kind: Kind, keys: readonly [K, ...K[]]) => Promise<ReadonlyMap<K, V>>,
  bounds?: Bounds,
) {
  const made = new WeakMap<Owner, Map<Kind, (key: K) => Promise<V | undefined>>>();
  return function lookUp(owner: Owner, kind: Kind, key: K): Promise<V | undefined> {
    const ofOwner = made.get(owner) ?? new Map<Kind, (key: K) => Promise<V | undefined>>();
    const ofKind = ofOwner.get(kind) ?? combined((keys: readonly [K, ...K[]]) => load(owner, kind, keys), bounds);
    made.set(owner, ofOwner.set(kind, ofKind));
    return ofKind(key);
  };
}
