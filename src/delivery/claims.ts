// Which partitions of the outbox this process drains: order within a room holds only while one process at a time does.
import {ChatError} from '../core/errors.ts';
import type {SqliteDriverName} from '../db/drivers.ts';
import {lockFile} from '../db/locks.ts';
import {partitionCount} from '../db/outbox.ts';

export interface Claims {
  /** The partitions that may be drained now. Whoever does says so with `hold`. */
  held(): readonly number[];
  /** Keeps these partitions from being handed to another process until the answered function is called. */
  hold(partitions: readonly number[]): () => void;
  /** Tells the processes that drain these partitions that there is something new. */
  tell(partitions: readonly number[]): void;
  /** Is called when another process tells of something new. */
  onNews(listener: () => void): void;
  release(): Promise<void>;
}

export const everyPartition: readonly number[] = Array.from({length: partitionCount}, (_, partition) => partition);

/** All partitions, for a process that has the database to itself. */
export function claimEverything(release: () => Promise<void> = () => Promise.resolve()): Claims {
  return {held: () => everyPartition, hold: () => () => {}, tell: () => {}, onNews: () => {}, release};
}

/** SQLite: one server on a file, held by a lock that ends with the process. Rejects with server_running. */
export async function claimFile(path: string, driverName?: SqliteDriverName): Promise<Claims> {
  try {
    return claimEverything(await lockFile(`${path}.server-lock`, 0, driverName));
  } catch (cause) {
    if (cause instanceof ChatError) throw cause;
    throw new ChatError('server_running', `Another chatctl server runs on ${path} already.`, {
      cause,
      hint: 'Stop it first, give this one a database of its own, or use PostgreSQL for several servers.',
    });
  }
}
