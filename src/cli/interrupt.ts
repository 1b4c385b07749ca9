// Ctrl-C during long work: what is under way ends well, and then the work stops.
import {Exit, exits} from './exit.ts';
import type {Io} from './io.ts';

export interface Interrupt {
  /** True once the person or the system has asked for the end. */
  asked(): boolean;
  /** What is waited for, or undefined when the end is asked for first. */
  orAsked<T>(waited: Promise<T>): Promise<T | undefined>;
  /** Ends the command with the signal's code. */
  exit(): never;
  /** Lets signals be as they were. */
  release(): void;
}

export function interruptOf(io: Io): Interrupt {
  let code: number | undefined;
  let wake: (() => void) | undefined;
  const ask = (signalCode: number) => () => {
    code = signalCode;
    wake?.();
  };
  const release = [io.onSignal('SIGINT', ask(exits.interrupted)), io.onSignal('SIGTERM', ask(exits.terminated))];
  return {
    asked: () => code !== undefined,
    // Not Promise.race: that would hang one more callback on one long promise for every row.
    orAsked: waited =>
      new Promise((resolve, reject) => {
        wake = () => resolve(undefined);
        waited.then(resolve, reject);
      }),
    exit() {
      throw new Exit(code ?? exits.interrupted);
    },
    release() {
      for (const each of release) each();
    },
  };
}

/** Gathers what comes into batches of at most so many; what is gathered when the end is asked for is left out. */
export async function* batchesOf<T>(items: AsyncIterable<T>, size: number, interrupt: Interrupt): AsyncGenerator<T[]> {
  const each = items[Symbol.asyncIterator]();
  let batch: T[] = [];
  for (;;) {
    const next = await interrupt.orAsked(each.next());
    if (!next) return;
    if (next.done) break;
    batch.push(next.value);
    if (batch.length < size) continue;
    yield batch;
    batch = [];
    if (interrupt.asked()) return;
  }
  if (batch.length > 0) yield batch;
}
