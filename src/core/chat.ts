import type {Db} from '../db/connect.ts';
import type {RoomId, Timestamp, UserId} from './ids.ts';

/** What every use case works with; open.ts makes it. */
export interface Chat {
  db: Db;
  /** The random id of this database; it keeps idempotency keys of two databases apart. */
  databaseId: string;
  now: () => Timestamp;
  /** Tells the relay that these rooms have new events in the outbox. Does nothing where no relay runs. */
  wakeRelay: (rooms: readonly RoomId[]) => void;
  /** Is shown every event as it is stored; the command line tells of them. */
  onEvent?: ((event: StoredEvent) => void) | undefined;
  /** Who may create rooms: the primary service alone, or users too. */
  roomCreation: 'service' | 'users';
}

/** An event in the outbox, and how many it will reach. */
export interface StoredEvent {
  outboxId: number;
  type: string;
  receivers: number;
  body: object;
}

/** Who asks: a user by API token, the primary service by service token, or the operator at the command line. */
export type Actor = {kind: 'user'; id: UserId} | {kind: 'service'; name: string} | {kind: 'operator'; name: string};

export function timestamp(date: Date): Timestamp {
  return date.toISOString() as Timestamp;
}
