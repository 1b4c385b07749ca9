// Who asked much lately is told from who asks now and then.

/** Who asks more often than this in a span of time, or in that and the one before it, asks much. */
const fewRequests = 3;
const spanMs = 250;

/** Counts a request of the caller, and tells whether they ask much. */
export function asksMuch(now = () => performance.now()): (caller: string) => boolean {
  let before = new Map<string, number>();
  let current = new Map<string, number>();
  let began = now();
  return caller => {
    const spans = Math.floor((now() - began) / spanMs);
    if (spans > 0) {
      before = spans === 1 ? current : new Map();
      current = new Map();
      began += spans * spanMs;
    }
    const count = (current.get(caller) ?? 0) + 1;
    current.set(caller, count);
    return count + (before.get(caller) ?? 0) > fewRequests;
  };
}
