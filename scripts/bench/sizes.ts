// How much is measured, by flags of the same names.
export const defaultSizes = {
  connections: 32,
  /** Seconds of each kind of load, over all rounds. */
  seconds: 10,
  /** Seconds of it before that, which do not count: a server's program is compiled while it works. */
  'warm-up': 10,
  /** What is compared runs in turns, so that what else the machine does meets all of it. */
  rounds: 3,
  /** Rooms of ten that posts go into. */
  rooms: 500,
  /** Rooms of the user who lists them. */
  'list-rooms': 200,
  /** How deep the deepest page lies, in pages of 100. */
  pages: 10_000,
  /** Members of the largest room. */
  members: 100_000,
  /** Posts in each room of the fan-out, and in the comparison of a large room with a small one. */
  posts: 20,
  /** Seconds at a steady rate, and that rate. */
  sustain: 60,
  rate: 2_000,
  /** Seconds at full load for the memory, after half as many that do not count; the promise speaks of 600. */
  soak: 60,
  /** Seconds of delivery latency. */
  latency: 15,
};

export type Sizes = typeof defaultSizes;

/** For a test of the benchmark itself: a few seconds, and no figure means anything. */
export const smallSizes: Sizes = {
  connections: 4,
  seconds: 0.2,
  'warm-up': 0.2,
  rounds: 1,
  rooms: 5,
  'list-rooms': 5,
  pages: 3,
  members: 1_000,
  posts: 2,
  sustain: 0.5,
  rate: 50,
  soak: 0.5,
  latency: 1,
};
