// Brings the outbox to the broker.
//
// A round reads what still waits, oldest first, without the rooms that are busy or being left alone. It goes to the
// broker in waves: the first row of every room, then the second, so that a room's next event is sent only when the one
// before it has arrived. Rows that arrived are deleted; a crash in between repeats them, and clients drop repeats.
// There is no cursor: ids commit out of order, and a row below a cursor would be lost.
//
// A row with very many receivers leaves the round and goes on by itself while its room counts as busy. A row that the
// broker fails on for now leaves its room alone for a while; one it refuses for good is parked with the reason. When
// the broker cannot be reached at all, everything waits and is tried again at growing intervals.
//
// Before each wave the claims are asked again: a process that was frozen in the middle of a round must not go on with
// events of a room that another process is further with.
import type {Broadcast, Broker} from '../core/broker.ts';
import type {RoomId, Timestamp} from '../core/ids.ts';
import type {Db} from '../db/connect.ts';
import {deleteDelivered, listOutbox, parkOutbox, partitionOf, type OutboxRow} from '../db/outbox.ts';
import {purgeRoom} from '../db/purge.ts';
import {inTransaction} from '../db/transaction.ts';
import type {Logger} from '../log.ts';
import {broadcastsOf, publish, type Outcome} from './deliver.ts';
import {disconnectUsers, isDisconnection} from './disconnect.ts';
import type {Claims} from './claims.ts';
import {createRecipients} from './recipients.ts';
import {pause, type Pause} from './pause.ts';

export const relayBatchSize = 500;
/** A row with more receivers than this is delivered beside the rounds. */
const bigRoom = 5_000;
const maxBigAtOnce = 2;
/** When more rooms than this are left alone it is the broker that is ill. */
const maxSkippedRooms = 1_000;

export interface RelayOptions {
  db: Db;
  broker: Broker;
  claims: Claims;
  log: Logger;
  now: () => Timestamp;
  /** Is told of every delivered event, for the metrics. */
  onDelivered?: (row: OutboxRow) => void;
  /** How often to look for rows that nobody told of, such as those of a command line. */
  pollIntervalMs?: number;
}

export interface RelayState {
  /** Why the broker took nothing at the last try, or undefined when it did. */
  unreachable: string | undefined;
  /** Events delivered, tries repeated for one room, and events parked, since the start. */
  published: number;
  repeated: number;
  parked: number;
}

export interface Relay {
  /** These rooms have new events in the outbox. */
  wake: (rooms: readonly RoomId[]) => void;
  state(): RelayState;
  /** Drains what it can in a moment; what is left waits in the outbox. */
  stop(): Promise<void>;
}

const defaultPollIntervalMs = 100;
/** Where events come faster than rounds they gather for so long: a round costs the database much the same for one and for fifty. */
const crowdedRestMs = 15;
/** How long a stop goes on delivering. */
const drainLimitMs = 3_000;

export function startRelay(options: RelayOptions): Relay {
  const {db, broker, claims, log} = options;
  const recipients = createRecipients(db);
  const state: RelayState = {unreachable: undefined, published: 0, repeated: 0, parked: 0};
  const busy = new Map<RoomId, Promise<void>>();
  const resting = new Map<RoomId, Pause>();
  /** Huge rooms whose turn comes when one that is under way has arrived. */
  const queued = new Set<RoomId>();
  const brokerPause = pause();
  let stopping = false;
  let stopAt = Infinity;
  let news = true;
  /** The broker took something in this round. */
  let answered = false;
  let notify: (() => void) | undefined;

  function wake(rooms: readonly RoomId[]): void {
    const partitions = [...new Set(rooms.map(partitionOf))];
    const held = claims.held();
    if (partitions.some(each => held.includes(each))) look();
    claims.tell(partitions);
  }

  function look(): void {
    news = true;
    notify?.();
  }

  function sleep(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(done, ms);
      function done() {
        clearTimeout(timer);
        notify = undefined;
        resolve();
      }
      notify = done;
      if (stopping) done();
    });
  }

  async function run(): Promise<void> {
    for (;;) {
      news = false;
      answered = false;
      try {
        const handled = await round();
        // Not before what was delivered is deleted too: a database that cannot be written is no reason to hurry.
        if (answered) reached();
        if (stopping && (handled === 0 || late())) break;
        if (news && handled > 0 && handled < relayBatchSize) await rest(crowdedRestMs);
        if (handled === 0 && !news) await sleep(options.pollIntervalMs ?? defaultPollIntervalMs);
      } catch (error) {
        if (stopping) break;
        state.unreachable = error instanceof Error ? error.message : String(error);
        const ms = brokerPause.next();
        log[ms > 1_000 ? 'error' : 'warn']({error: state.unreachable, retryInMs: ms}, 'delivery waits');
        await rest(ms);
      }
    }
    await Promise.allSettled(busy.values());
  }

  // New rows do not end a rest: they would have the broker asked once for every post.
  async function rest(ms: number): Promise<void> {
    const end = performance.now() + ms;
    for (let left = ms; left > 0 && !stopping; left = end - performance.now()) await sleep(left);
  }

  function late(): boolean {
    return performance.now() > stopAt;
  }

  function skipped(): RoomId[] {
    const now = performance.now();
    return [...busy.keys(), ...queued, ...[...resting].filter(([, each]) => each.until > now).map(([room]) => room)];
  }

  async function round(): Promise<number> {
    const skip = skipped();
    if (skip.length > maxSkippedRooms) return 0;
    const partitions = claims.held();
    const letGo = claims.hold(partitions);
    try {
      return await deliver(await listOutbox(db, partitions, skip, relayBatchSize));
    } finally {
      letGo();
    }
  }

  async function deliver(rows: readonly OutboxRow[]): Promise<number> {
    const done: OutboxRow[] = [];
    const failed = new Set<RoomId>();
    try {
      for (const wave of waves(rows)) {
        if (late()) break;
        const held = claims.held();
        for (const row of wave) if (!held.includes(row.partition)) failed.add(row.roomId);
        const eligible = wave.filter(row => !failed.has(row.roomId) && !busy.has(row.roomId));
        await deliverWave(eligible, done, failed);
      }
    } finally {
      await finish(done);
    }
    return done.length;
  }

  async function deliverWave(wave: readonly OutboxRow[], done: OutboxRow[], failed: Set<RoomId>): Promise<void> {
    const small: {row: OutboxRow; broadcasts: Broadcast[]}[] = [];
    const ends = wave.filter(isDisconnection);
    if (ends.length > 0) await settle(ends, await disconnectUsers(db, broker, ends), done, failed);
    const events = wave.filter(each => !isDisconnection(each));
    await recipients.prepare(events);
    for (const row of events) {
      const broadcasts = await broadcastsOf(row, recipients, broker.channelsPerRequest);
      const receivers = broadcasts.reduce((sum, each) => sum + each.channels.length, 0);
      if (receivers <= bigRoom) small.push({row, broadcasts});
      else if (busy.size < maxBigAtOnce) startBig(row, broadcasts);
      else putOff(row.roomId, failed);
    }
    if (small.length === 0) return;
    const outcomes = await publish(
      broker,
      small.map(each => each.broadcasts),
    );
    await settle(
      small.map(each => each.row),
      outcomes,
      done,
      failed,
    );
  }

  async function settle(
    rows: readonly OutboxRow[],
    outcomes: readonly Outcome[],
    done: OutboxRow[],
    failed: Set<RoomId>,
  ): Promise<void> {
    answered = true;
    for (const [i, row] of rows.entries()) {
      const outcome = outcomes[i];
      if (outcome?.kind === 'delivered') {
        resting.delete(row.roomId);
        done.push(row);
      } else if (outcome) {
        failed.add(row.roomId);
        await setAside(row, outcome);
      }
    }
  }

  // Left in the rounds its rows would fill them, and there would be no place for the others.
  function putOff(room: RoomId, failed: Set<RoomId>): void {
    failed.add(room);
    queued.add(room);
  }

  function startBig(row: OutboxRow, broadcasts: Broadcast[]): void {
    busy.set(row.roomId, deliverBig(row, broadcasts));
  }

  async function deliverBig(row: OutboxRow, broadcasts: Broadcast[]): Promise<void> {
    const letGo = claims.hold([row.partition]);
    try {
      const [outcome] = await publish(broker, [broadcasts]);
      if (outcome?.kind === 'delivered') await finish([row]);
      else if (outcome) await setAside(row, outcome);
    } catch (error) {
      leaveAlone(row, error instanceof Error ? error.message : String(error));
    } finally {
      busy.delete(row.roomId);
      queued.clear();
      letGo();
      look();
    }
  }

  async function setAside(row: OutboxRow, outcome: Exclude<Outcome, {kind: 'delivered'}>): Promise<void> {
    if (outcome.kind === 'again') return leaveAlone(row, outcome.reason);
    await inTransaction(db, tx => parkOutbox(tx, row.id, outcome.reason, options.now()));
    state.parked += 1;
    log.error({event: row.id, type: row.type, room: row.roomId, reason: outcome.reason}, 'event parked');
  }

  function leaveAlone(row: OutboxRow, reason: string): void {
    const own = resting.get(row.roomId) ?? pause();
    resting.set(row.roomId, own);
    state.repeated += 1;
    log.warn({event: row.id, room: row.roomId, reason, retryInMs: own.next()}, 'event is tried again');
  }

  function reached(): void {
    if (state.unreachable !== undefined) log.info({broker: broker.name}, 'delivery goes on');
    state.unreachable = undefined;
    brokerPause.reset();
  }

  async function finish(rows: readonly OutboxRow[]): Promise<void> {
    if (rows.length === 0) return;
    await deleteDelivered(
      db,
      rows.map(row => row.id),
    );
    state.published += rows.length;
    if (options.onDelivered) rows.forEach(options.onDelivered);
    for (const row of rows.filter(each => each.type === 'room_deleted')) {
      recipients.forget(row.roomId);
      await purgeRoom(db, row.roomId);
    }
  }

  claims.onNews(look);
  const running = run();
  return {
    wake,
    state: () => ({...state}),
    async stop() {
      stopping = true;
      stopAt = performance.now() + drainLimitMs;
      notify?.();
      await running;
    },
  };
}

/** The first row of every room, then the second of every room, and so on, each wave in the order of ids. */
function waves(rows: readonly OutboxRow[]): OutboxRow[][] {
  const all: OutboxRow[][] = [];
  const seen = new Map<RoomId, number>();
  for (const row of rows) {
    const wave = seen.get(row.roomId) ?? 0;
    seen.set(row.roomId, wave + 1);
    (all[wave] ??= []).push(row);
  }
  return all;
}
